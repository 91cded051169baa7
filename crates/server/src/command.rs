//! The commands, as `opiekun --help` tells them.

use crate::demo::DemoArguments;
use crate::invoices::{self, RunArguments};
use crate::organization::CreateArguments;
use crate::reindex::ReindexArguments;
use crate::render_worker::RenderWorkerArguments;
use crate::settings;
use clap::{Parser, Subcommand};

/// CRM and recurring invoices as a REST API
#[derive(Debug, Parser)]
#[command(name = "opiekun", version, disable_help_subcommand = true, after_long_help = settings::help())]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the API; what happens when no command is given
    Serve,
    /// Print the OpenAPI contract
    Openapi,
    /// Check the settings, the database and the clock; exits with 1 when something is amiss
    Check,
    /// Set documents as PDF, from standard input to standard output; the server starts it for itself
    #[command(hide = true)]
    RenderWorker(RenderWorkerArguments),
    #[command(flatten)]
    Database(DatabaseCommand),
}

/// The commands that work on the database, which they bring up to this version first.
#[derive(Debug, Subcommand)]
pub enum DatabaseCommand {
    /// Bring the database up to this version
    Migrate,
    /// Make an accounting office with a year of plausible data, the same for the same seed and day
    Demo(DemoArguments),
    /// Make anew what searches look in, while it is served
    Reindex(ReindexArguments),
    /// Organizations
    #[command(subcommand)]
    Organization(OrganizationCommand),
    /// Invoices
    #[command(subcommand)]
    Invoices(InvoicesCommand),
}

#[derive(Debug, Subcommand)]
pub enum OrganizationCommand {
    /// Make an organization and its first owner
    Create(CreateArguments),
}

#[derive(Debug, Subcommand)]
pub enum InvoicesCommand {
    /// Issue everything that is due, or show what would be issued
    #[command(after_help = invoices::exit_codes())]
    Run(RunArguments),
}

impl Command {
    /// What the process exits with when the command could not be run at all.
    pub const fn exit_code_of_failure(&self) -> u8 {
        match self {
            Self::Database(DatabaseCommand::Invoices(_)) => invoices::COULD_NOT_RUN,
            _ => 1,
        }
    }
}
