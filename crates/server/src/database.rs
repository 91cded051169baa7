//! The database of a command: the one that `DATABASE_URL` names, or a private one of our own.

use crate::settings::Settings;
use opiekun_local_postgres::{LocalPostgres, OLDEST_MAJOR, Options, default_root_dir};
use opiekun_persistence::{Db, StoreError, migrate, server_version};

/// A reachable PostgreSQL, which is stopped with this value if it is ours.
pub struct Database {
    pub url: String,
    /// Which one it is, for people.
    pub description: String,
    local: Option<LocalPostgres>,
}

/// Why there is no database to work with.
#[derive(Debug, thiserror::Error)]
pub enum NoDatabase {
    #[error(transparent)]
    Local(#[from] opiekun_local_postgres::Error),
    #[error("the database that DATABASE_URL names does not answer: {0}")]
    Unreachable(String),
    #[error("the database runs PostgreSQL {0}, but version {OLDEST_MAJOR} or newer is needed")]
    TooOld(String),
    #[error("the database could not be brought up to this version: {0}")]
    Migration(StoreError),
}

impl Database {
    /// Finds or starts the database. With `exclusive` a private one must not be served by another process already.
    pub fn open(settings: &Settings, exclusive: bool) -> Result<Self, NoDatabase> {
        let database = match &settings.database_url {
            Some(url) => Self {
                url: url.clone(),
                description: "the database of DATABASE_URL".to_owned(),
                local: None,
            },
            None => {
                let root_dir = default_root_dir(&settings.data_dir, settings.pg_user.as_deref())?;
                let options = Options {
                    programs_dir: settings.pg_bin.clone(),
                    run_as: settings.pg_user.clone(),
                    ..Options::new(root_dir)
                };
                let local = LocalPostgres::start(options)?;
                let local = if exclusive { local.require_started()? } else { local };
                let description = format!(
                    "a private PostgreSQL {} in {} (DATABASE_URL is not set)",
                    local.version(),
                    local.root_dir().display()
                );
                Self { url: local.url(), description, local: Some(local) }
            }
        };
        let version = server_version(&database.url).map_err(|error| NoDatabase::Unreachable(plain(&error)))?;
        let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
        if major.is_none_or(|major| major < OLDEST_MAJOR) {
            return Err(NoDatabase::TooOld(version));
        }
        Ok(database)
    }

    /// Brings the schema up to this version; tells which migrations ran.
    pub fn migrate(&self) -> Result<Vec<String>, NoDatabase> {
        migrate(&self.url).map_err(NoDatabase::Migration)
    }

    pub fn connect(&self, connections: u32) -> Result<Db, NoDatabase> {
        Db::connect(&self.url, connections).map_err(|error| NoDatabase::Unreachable(plain(&error)))
    }

    /// Whether it is a private one.
    pub const fn is_private(&self) -> bool {
        self.local.is_some()
    }

    /// Stops a private server. What uses it must have ended.
    pub fn close(self) {
        if let Some(local) = self.local {
            local.stop();
        }
    }
}

/// The first line of what the library says, which holds no password.
fn plain(error: &StoreError) -> String {
    error.to_string().lines().next().unwrap_or_default().trim().to_owned()
}
