//! `opiekun check`: what a person, or a deployment, asks before the server is started.

use crate::clock;
use crate::database::{Database, private_dir};
use crate::failure::Failure;
use crate::secrets;
use crate::settings::Settings;
use crate::terminal::say;
use chrono::{DateTime, TimeDelta, Utc};
use opiekun_jobs::invoice_emails::SmtpServer;
use std::process::ExitCode;

/// Tokens and invoice dates follow the machine's clock; one that differs more is wrong.
const CLOCK_TOLERANCE: TimeDelta = TimeDelta::seconds(5);

/// Looks at everything that a server needs, and tells all that is amiss instead of stopping at the first.
pub fn check(settings: &Settings) -> ExitCode {
    let findings = [
        settings_found(settings),
        secret_found(settings),
        files_found(settings),
        mail_server_found(settings),
        database_found(settings),
    ];
    let mut code = ExitCode::SUCCESS;
    for finding in findings {
        match finding {
            Ok(lines) => lines.iter().for_each(|line| say(format_args!("ok      {line}"))),
            Err(failure) => {
                say(format_args!("amiss   {failure}"));
                code = ExitCode::FAILURE;
            }
        }
    }
    code
}

fn settings_found(settings: &Settings) -> Result<Vec<String>, Failure> {
    if !settings.unknown().is_empty() {
        return Err(Failure::new(format_args!("not settings of Opiekun: {}", settings.unknown().join(", "))));
    }
    let environment = if settings.is_production { "production" } else { "development" };
    Ok(vec![format!("settings ({environment}), to serve on {}", settings.listen)])
}

fn secret_found(settings: &Settings) -> Result<Vec<String>, Failure> {
    secrets::keys(settings)?;
    Ok(vec!["signing secret".to_owned()])
}

fn files_found(settings: &Settings) -> Result<Vec<String>, Failure> {
    let files = settings.open_files()?;
    files.check().map_err(|fault| Failure::new(format_args!("{files}: {fault}")))?;
    Ok(vec![format!("files in {files}, written, read and removed one")])
}

fn mail_server_found(settings: &Settings) -> Result<Vec<String>, Failure> {
    let Some(url) = &settings.smtp_url else { return Ok(vec!["no mail server, so no e-mails".to_owned()]) };
    let server = SmtpServer::parse(url).map_err(|fault| Failure::new(format_args!("OPIEKUN_SMTP_URL {fault}")))?;
    server.check().map_err(|fault| Failure::new(format_args!("the mail server {server}: {fault}")))?;
    let sender = server.sender().unwrap_or("organizations' own addresses");
    Ok(vec![format!("mail server {server}, signed in and out; sends from {sender}")])
}

fn database_found(settings: &Settings) -> Result<Vec<String>, Failure> {
    if settings.database_url.is_none() {
        let dir = private_dir(settings)?;
        if !dir.join("data").exists() {
            return Ok(vec![format!("no database yet; `opiekun serve` makes a private one in {}", dir.display())]);
        }
    }
    let database = Database::open(settings)?;
    let pending = database.pending_migrations()?;
    if !pending.is_empty() {
        return Err(Failure::new(format_args!(
            "{database} is {} migrations behind, from {} on: run `opiekun migrate`",
            pending.len(),
            pending[0]
        )));
    }
    let found = vec![format!("{database}, up to date")];
    let db = database.connect(1)?;
    clock_found(db.clock()?, clock::now()).map(|line| [found, vec![line]].concat())
}

fn clock_found(database: DateTime<Utc>, machine: DateTime<Utc>) -> Result<String, Failure> {
    let apart = (database - machine).abs();
    if apart > CLOCK_TOLERANCE {
        return Err(Failure::new(format_args!(
            "the clock of this machine says {machine}, that of the database {database}: set both by NTP"
        )));
    }
    Ok(format!("clock, {} ms from the database's", apart.num_milliseconds()))
}
