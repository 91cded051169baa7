//! The log, on standard error: for people on a terminal, as JSON for everybody else.

use crate::settings::Settings;
use std::io::{self, IsTerminal};
use tracing_subscriber::fmt::layer;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Starts logging; from here on `tracing` has somewhere to write to.
pub fn start(settings: &Settings) {
    let on_terminal = io::stderr().is_terminal() && !settings.is_production;
    let for_people = on_terminal.then(|| layer().with_writer(io::stderr));
    let for_machines = (!on_terminal).then(|| layer().json().flatten_event(true).with_writer(io::stderr));
    tracing_subscriber::registry().with(settings.log_filter()).with(for_people).with(for_machines).init();
}
