//! Why there is no database, said so that the reader knows what to do next.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use crate::programs::OLDEST_MAJOR;

/// What keeps a local PostgreSQL from running. The messages are for the person who started the program.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error(
        "no PostgreSQL server programs (initdb, postgres; version {OLDEST_MAJOR} or newer) found in {}. Either install \
         them: Debian/Ubuntu: apt-get install postgresql | Fedora: dnf install postgresql-server | macOS: brew install \
         postgresql@17 - or set OPIEKUN_PG_BIN to the directory that has them - or set DATABASE_URL",
        list(looked_in)
    )]
    NotFound { looked_in: Vec<PathBuf> },

    #[error(
        "found PostgreSQL {major} in {}, but version {OLDEST_MAJOR} or newer is needed: install a newer one, or set \
         OPIEKUN_PG_BIN to its programs, or set DATABASE_URL",
        dir.display()
    )]
    TooOld { major: u32, dir: PathBuf },

    #[error(
        "the data directory was made by PostgreSQL {needed}, found only {}: install PostgreSQL {needed}, or dump the \
         data with it and restore them into a new data directory",
        list(found)
    )]
    WrongMajor { needed: u32, found: Vec<u32> },

    #[error(
        "running as root, and PostgreSQL refuses to: there is no account {} to run it as. Set OPIEKUN_PG_USER to an \
         account of this machine, or start as another user, or set DATABASE_URL",
        wanted.join(" or ")
    )]
    NoAccount { wanted: Vec<String> },

    #[error(
        "user id {uid} has no entry in the list of users, and PostgreSQL can't be run without: add one to /etc/passwd, \
         or set DATABASE_URL"
    )]
    UnknownUser { uid: u32 },

    #[error(
        "root may not switch to the account {account} here ({reason}; the capabilities CHOWN, SETUID and SETGID are \
         needed): start as another user, or set DATABASE_URL"
    )]
    CannotSwitch { account: String, reason: io::Error },

    #[error(
        "{} can't be entered by user {account}, who runs PostgreSQL: give it the x permission (chmod o+x), or use \
         another place: OPIEKUN_DATA_DIR for the data, OPIEKUN_PG_BIN for the programs",
        dir.display()
    )]
    CannotEnter { dir: PathBuf, account: String },

    #[error(
        "{} can't be written ({reason}): set OPIEKUN_DATA_DIR to another place, or set DATABASE_URL",
        dir.display()
    )]
    NotWritable { dir: PathBuf, reason: io::Error },

    #[error("{} already exists and belongs to somebody else: have it removed", dir.display())]
    ForeignOwner { dir: PathBuf },

    #[error("PostgreSQL could not be set up: initdb or its first start ended with {status}:\n{tail}")]
    NotInitialised { status: ExitStatus, tail: String },

    #[error("PostgreSQL did not start, it ended with {status}; the end of {}:\n{tail}", log.display())]
    Exited { status: ExitStatus, log: PathBuf, tail: String },

    #[error("PostgreSQL runs, but refuses connections: {0}")]
    Refused(String),

    #[error("PostgreSQL was not ready after {} s; see {}", waited.as_secs(), log.display())]
    TimedOut { waited: Duration, log: PathBuf },

    #[error(
        "{} is already served by another process: stop that one first, or set OPIEKUN_DATA_DIR to another place",
        root_dir.display()
    )]
    AlreadyServed { root_dir: PathBuf },

    #[error("could not {doing} {}: {reason}", path.display())]
    Io { doing: &'static str, path: PathBuf, reason: io::Error },
}

impl Error {
    /// For `map_err`: what failed, and on what. The reason is part of the message, not a source behind it: these
    /// messages are read whole by a person.
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |reason| Self::Io { doing, path: path.to_owned(), reason }
    }

    /// The same for what changes something on disk, where the way out of a refusal is another place.
    pub(crate) fn write(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |reason| match reason.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Self::NotWritable { dir: path.to_owned(), reason }
            }
            _ => Self::Io { doing, path: path.to_owned(), reason },
        }
    }
}

/// The last lines of a program's output: what a person would look at first.
pub(crate) fn tail(output: &str) -> String {
    const LINES: usize = 6;
    let lines: Vec<&str> = output.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

fn list<T: Listed>(items: &[T]) -> String {
    match items {
        [] => "nothing".to_owned(),
        _ => items.iter().map(Listed::text).collect::<Vec<_>>().join(", "),
    }
}

trait Listed {
    fn text(&self) -> String;
}

impl Listed for PathBuf {
    fn text(&self) -> String {
        self.display().to_string()
    }
}

impl Listed for u32 {
    fn text(&self) -> String {
        self.to_string()
    }
}
