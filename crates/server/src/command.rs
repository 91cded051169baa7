//! The commands, as `opiekun --help` tells them.

use clap::{Parser, Subcommand};

/// CRM and recurring invoices as a REST API. Settings are environment variables, which README.md lists.
#[derive(Debug, Parser)]
#[command(name = "opiekun", version, disable_help_subcommand = true)]
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
    #[command(flatten)]
    Database(DatabaseCommand),
}

/// The commands that work on the database, which they bring up to this version first.
#[derive(Debug, Subcommand)]
pub enum DatabaseCommand {
    /// Bring the database up to this version
    Migrate,
}

impl Command {
    /// What the process exits with when the command could not be run at all.
    pub const fn exit_code_of_failure(&self) -> u8 {
        1
    }
}
