//! The command line: what can be asked of the binary, and the exit codes that scripts rely on.

use crate::clock;
use crate::console::{complain, say};
use crate::database::Database;
use crate::demo;
use crate::serve::serve;
use crate::settings::Settings;
use chrono::NaiveDate;
use clap::{Args, Parser, Subcommand};
use opiekun_domain::ids::OrganizationId;
use opiekun_persistence::{ActorRef, Db, Scope, pending_migrations};
use std::error::Error;
use std::process::ExitCode;

mod invoices;
mod organization;

/// All is well, also where nothing was to be done.
const DONE: u8 = 0;
/// The work was done, and some of it failed.
pub const PARTLY: u8 = 1;
/// The work could not be done.
pub const COULD_NOT: u8 = 2;

/// The CRM and recurring-invoice backend. Settings come from the environment; README.md lists them.
#[derive(Parser)]
#[command(name = "opiekun", version)]
pub struct Cli {
    /// `serve` unless told.
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the API until told to stop.
    Serve,
    /// Bring the database up to this version.
    Migrate,
    /// Print the OpenAPI contract.
    Openapi,
    /// Make an organization full of plausible data, the same for the same seed.
    Demo(DemoArgs),
    /// Organizations.
    #[command(subcommand)]
    Organization(OrganizationCommand),
    /// Invoices.
    #[command(subcommand)]
    Invoices(InvoicesCommand),
    /// Tell whether settings and database are fit to serve with.
    Check,
}

#[derive(Args)]
struct DemoArgs {
    /// How much: `small` is what `serve` makes on an empty database.
    #[arg(long, value_parser = ["small", "large"], default_value = "small")]
    scale: String,
    /// Another number, other data.
    #[arg(long)]
    seed: Option<u64>,
    /// The day that the data leads up to; today unless told.
    #[arg(long)]
    today: Option<NaiveDate>,
}

#[derive(Subcommand)]
enum OrganizationCommand {
    /// Make an organization and its first owner.
    Create(organization::CreateArgs),
}

#[derive(Subcommand)]
enum InvoicesCommand {
    /// Issue everything that is due through a day, or preview it. Exits 0 when nothing failed (nothing due is fine), 1
    /// when some did, 2 when it could not run.
    Run(invoices::RunArgs),
}

/// Does what the command line asks.
pub fn run(cli: Cli, settings: Settings) -> ExitCode {
    let done = match cli.command.unwrap_or(Command::Serve) {
        Command::Serve => serve(settings).map(|()| DONE),
        Command::Migrate => migrate(&settings),
        Command::Openapi => openapi(),
        Command::Demo(args) => demo(&settings, &args),
        Command::Organization(OrganizationCommand::Create(args)) => organization::create(&settings, args),
        Command::Invoices(InvoicesCommand::Run(args)) => invoices::run(&settings, &args),
        Command::Check => check(&settings),
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            complain(error);
            ExitCode::from(COULD_NOT)
        }
    }
}

type Outcome = Result<u8, Box<dyn Error>>;

/// Whoever can start the binary may do anything: commands act as the system itself.
#[expect(clippy::disallowed_methods, reason = "the one place of the server where a scope is made")]
pub fn system_scope(organization_id: OrganizationId) -> Scope {
    Scope::new(organization_id, ActorRef::System, None)
}

/// Opens and migrates the database, does `work`, and closes it.
fn with_database(settings: &Settings, work: impl FnOnce(&Db) -> Outcome) -> Outcome {
    let database = Database::open(settings, false)?;
    database.migrate()?;
    let db = database.connect(4)?;
    let done = work(&db);
    drop(db);
    database.close();
    done
}

fn migrate(settings: &Settings) -> Outcome {
    let database = Database::open(settings, false)?;
    let ran = database.migrate()?;
    match ran.as_slice() {
        [] => say("The database is up to date."),
        ran => say(format!("Ran {} migrations, the last of them {}.", ran.len(), ran.last().map_or("", |it| it))),
    }
    database.close();
    Ok(DONE)
}

fn openapi() -> Outcome {
    use std::io::Write;
    std::io::stdout().write_all(opiekun_http::contract()?.document.as_bytes())?;
    Ok(DONE)
}

fn demo(settings: &Settings, args: &DemoArgs) -> Outcome {
    let now = args.today.and_then(|day| day.and_hms_opt(12, 0, 0)).map_or_else(clock::now, |moment| moment.and_utc());
    let mut plan = if args.scale == "large" { demo::Plan::large(now) } else { demo::Plan::small(now) };
    if let Some(seed) = args.seed {
        plan.seed = seed;
    }
    with_database(settings, |db| {
        demo::fill(db, &plan)?;
        say(format!("Sign in as {} with the password {}.", demo::OWNER_EMAIL, demo::PASSWORD));
        Ok(DONE)
    })
}

fn check(settings: &Settings) -> Outcome {
    say("Settings: fine.");
    let database = Database::open(settings, false)?;
    say(format!("Database: {} answers.", database.description));
    let pending = pending_migrations(&database.url)?;
    database.close();
    if pending.is_empty() {
        say("Migrations: none pending.");
        return Ok(DONE);
    }
    say(format!("Migrations: {} pending; `opiekun migrate` or the next start runs them.", pending.len()));
    Ok(PARTLY)
}
