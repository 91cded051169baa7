//! The database of a command: the one that DATABASE_URL names, or a private PostgreSQL.

use crate::address;
use crate::failure::Failure;
use crate::settings::Settings;
use opiekun_local_postgres::{LocalPostgres, OLDEST_MAJOR, Options, default_root_dir};
use opiekun_persistence::{Db, StoreError};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// A database that answers. A private one that this process started stops when the value is dropped.
pub enum Database {
    Private(Box<LocalPostgres>),
    Given { url: String },
}

impl Database {
    /// Opens it for one command, which may borrow the private PostgreSQL of a server that runs.
    pub fn open(settings: &Settings) -> Result<Self, Failure> {
        let database = match &settings.database_url {
            Some(url) => Self::Given { url: url.clone() },
            None => {
                let mut options = Options::new(private_dir(settings)?);
                options.programs_dir.clone_from(&settings.postgres.programs_dir);
                options.run_as.clone_from(&settings.postgres.run_as);
                options.wait = Duration::from_secs(settings.postgres.wait_seconds);
                Self::Private(Box::new(LocalPostgres::start(options)?))
            }
        };
        database.check_version()?;
        Ok(database)
    }

    /// Opens it for a server, which would lose a borrowed one when its owner stops.
    pub fn open_to_serve(settings: &Settings) -> Result<Self, Failure> {
        match Self::open(settings)? {
            Self::Private(postgres) => Ok(Self::Private(Box::new(postgres.require_started()?))),
            given => Ok(given),
        }
    }

    pub const fn is_private(&self) -> bool {
        matches!(self, Self::Private(_))
    }

    /// Brings it up to this version; tells which migrations ran.
    pub fn migrate(&self) -> Result<Vec<String>, Failure> {
        opiekun_persistence::migrate(&self.url()).map_err(|error| self.fault("can't migrate", &error))
    }

    /// The migrations that this version has and the database has not.
    pub fn pending_migrations(&self) -> Result<Vec<String>, Failure> {
        opiekun_persistence::pending_migrations(&self.url()).map_err(|error| self.fault("can't look into", &error))
    }

    pub fn connect(&self, connections: u16) -> Result<Db, Failure> {
        Db::connect(&self.url(), connections.into()).map_err(|error| self.fault("can't reach", &error))
    }

    fn check_version(&self) -> Result<(), Failure> {
        let found =
            opiekun_persistence::server_version(&self.url()).map_err(|error| self.fault("can't reach", &error))?;
        if found.major < OLDEST_MAJOR {
            return Err(Failure::new(format_args!(
                "{self} is PostgreSQL {found}, but version {OLDEST_MAJOR} or newer is needed: upgrade it, or set \
                 DATABASE_URL to another"
            )));
        }
        Ok(())
    }

    fn url(&self) -> String {
        match self {
            Self::Private(postgres) => postgres.url(),
            Self::Given { url } => url.clone(),
        }
    }

    fn fault(&self, doing: &str, error: &StoreError) -> Failure {
        // libpq spreads its messages over indented lines.
        let reason = error.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        Failure::new(format_args!("{doing} {self}: {}", address::redacted(&reason, &self.url())))
    }
}

/// As people are told which database is used.
impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Private(postgres) => {
                let dir = postgres.root_dir().display();
                write!(f, "a private PostgreSQL {} in {dir} (DATABASE_URL is not set)", postgres.version())
            }
            Self::Given { url } => f.write_str(&address::shown(url)),
        }
    }
}

/// Where the private PostgreSQL of these settings lies, or would lie.
pub fn private_dir(settings: &Settings) -> Result<PathBuf, Failure> {
    Ok(default_root_dir(&settings.data_dir, settings.postgres.run_as.as_deref())?)
}
