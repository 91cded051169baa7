//! The binary `opiekun`: the server, and the commands around it.

mod clock;
mod commands;
mod console;
mod database;
mod demo;
mod secrets;
mod serve;
mod settings;

use clap::Parser;
use commands::Cli;
use settings::Settings;
use std::io::IsTerminal;
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

/// The system's allocator costs a fifth of the throughput of reads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let settings = match Settings::read(std::env::vars()) {
        Ok(settings) => settings,
        Err(error) => {
            console::complain(error);
            return ExitCode::from(commands::COULD_NOT);
        }
    };
    start_log(&settings);
    for name in &settings.unknown {
        tracing::warn!(name, "no such setting");
    }
    commands::run(cli, settings)
}

/// Logs on standard error: JSON for machines, lines for a person at a terminal.
fn start_log(settings: &Settings) {
    let filter = EnvFilter::try_new(&settings.log).unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if settings.is_production || !std::io::stderr().is_terminal() {
        log.json().flatten_event(true).init();
    } else {
        log.compact().init();
    }
}
