//! The binary `opiekun`: its commands, its settings, the private PostgreSQL, start and graceful stop.

mod address;
mod check;
mod clock;
mod command;
mod database;
mod demo;
mod failure;
mod invoices;
mod log;
mod organization;
mod reindex;
mod render_worker;
mod secrets;
mod serve;
mod settings;
mod system_scope;
mod terminal;

use clap::Parser;
use command::{Cli, Command, DatabaseCommand, InvoicesCommand, OrganizationCommand};
use database::Database;
use failure::Failure;
use settings::Settings;
use std::process::ExitCode;
use terminal::say;

/// The system's allocator costs a fifth of the throughput of reads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let command = Cli::parse().command.unwrap_or(Command::Serve);
    let exit_code_of_failure = command.exit_code_of_failure();
    match run(command) {
        Ok(code) => code,
        Err(failure) => {
            terminal::complain(&failure);
            ExitCode::from(exit_code_of_failure)
        }
    }
}

fn run(command: Command) -> Result<ExitCode, Failure> {
    if let Command::Openapi = command {
        let contract = opiekun_http::contract().map_err(Failure::new)?;
        terminal::say_as_is(&contract.document);
        return Ok(ExitCode::SUCCESS);
    }
    if let Command::RenderWorker(arguments) = command {
        return render_worker::run(&arguments);
    }
    let settings = Settings::from_environment()?;
    log::start(&settings);
    settings.warn_of_unknown();
    match command {
        Command::Serve => serve::serve(&settings),
        Command::Check => Ok(check::check(&settings)),
        Command::Openapi | Command::RenderWorker(_) => Ok(ExitCode::SUCCESS),
        Command::Database(command) => with_database(&settings, &command),
    }
}

/// Opens the database, brings it up to this version, and does what is asked.
fn with_database(settings: &Settings, command: &DatabaseCommand) -> Result<ExitCode, Failure> {
    /// An invoice run takes two at a time.
    const CONNECTIONS: u16 = 4;
    let database = Database::open(settings)?;
    let ran = database.migrate()?;
    let db = database.connect(CONNECTIONS)?;
    match command {
        DatabaseCommand::Migrate => {
            ran.iter().for_each(|migration| say(format_args!("Ran {migration}")));
            say(format_args!("{database} is up to date"));
            Ok(ExitCode::SUCCESS)
        }
        DatabaseCommand::Demo(arguments) => demo::command(settings, &db, arguments),
        DatabaseCommand::Reindex(arguments) => reindex::run(&db, arguments),
        DatabaseCommand::Organization(OrganizationCommand::Create(arguments)) => {
            organization::create(settings, &db, arguments)
        }
        DatabaseCommand::Invoices(InvoicesCommand::Run(arguments)) => invoices::run(&db, arguments),
    }
}
