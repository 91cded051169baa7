//! What the database refuses, in words that the layers above can act on.

use diesel::result::{DatabaseErrorKind, Error};
use std::cell::Cell;

pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// Why a query did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No such row in this organization; another organization's row is no different.
    #[error("no such {0}")]
    NotFound(&'static str),
    /// The row has changed since the caller saw it.
    #[error("changed meanwhile; now at version {current}")]
    Stale { current: i32 },
    /// A constraint, by its name in the migration, refused the change. Where it is of one field its name tells which:
    /// `customers_external_id_key` is of `external_id`.
    #[error("{violation:?} of {constraint}")]
    Refused { violation: Violation, constraint: String, field: Option<String> },
    /// The row cannot go: rows that the constraint speaks of refer to it.
    #[error("still referred to, by {constraint}")]
    InUse { constraint: String },
    /// A cursor that this list did not make.
    #[error("the cursor does not fit this list")]
    Cursor,
    /// No connection, or the server is going down: the same call may succeed later.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    #[error(transparent)]
    Database(Error),
}

impl StoreError {
    /// A reference that was looked up and leads nowhere, as its constraint would refuse it.
    pub fn no_reference(table: &str, field: &str) -> Self {
        Self::Refused {
            violation: Violation::Reference,
            constraint: format!("{table}_{field}_fkey"),
            field: Some(field.to_owned()),
        }
    }

    /// What a refused deletion comes to: a broken reference is then one that leads to the row.
    pub(crate) fn of_deletion(error: Error) -> Self {
        match Self::from(error) {
            Self::Refused { violation: Violation::Reference, constraint, .. } => Self::InUse { constraint },
            other => other,
        }
    }

    /// [`Stale`](Self::Stale) when a caller saw another version than the `current` one; no `seen` means any will do.
    pub(crate) fn unless_current(current: i32, seen: Option<i32>) -> Result<()> {
        match seen {
            Some(seen) if seen != current => Err(Self::Stale { current }),
            _ => Ok(()),
        }
    }
}

/// Which kind of constraint was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Violation {
    Unique,
    Reference,
    Check,
    /// A rule of the database that forbids the change itself, such as that of issued invoices.
    Restrict,
}

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        let Error::DatabaseError(kind, info) = &error else {
            return Self::Database(error);
        };
        let violation = match kind {
            DatabaseErrorKind::UniqueViolation => Violation::Unique,
            DatabaseErrorKind::ForeignKeyViolation => Violation::Reference,
            DatabaseErrorKind::CheckViolation => Violation::Check,
            DatabaseErrorKind::RestrictViolation => Violation::Restrict,
            DatabaseErrorKind::ClosedConnection | DatabaseErrorKind::UnableToSendCommand => {
                LOST.set(true);
                return Self::Unavailable(info.message().to_owned());
            }
            DatabaseErrorKind::SerializationFailure => return Self::Unavailable(info.message().to_owned()),
            // diesel has no kind for these: a lock or statement that took too long, a deadlock, a shutdown, a crash.
            _ if is_passing(info.message()) => return Self::Unavailable(info.message().to_owned()),
            _ if is_loss(info.message()) => {
                LOST.set(true);
                return Self::Unavailable(info.message().to_owned());
            }
            _ => return Self::Database(error),
        };
        let constraint = info.constraint_name().unwrap_or_default().to_owned();
        let field = field_of(info.table_name().unwrap_or_default(), &constraint);
        Self::Refused { violation, constraint, field }
    }
}

/// The field in the middle of a name such as `customers_external_id_key`.
fn field_of(table: &str, constraint: &str) -> Option<String> {
    let rest = constraint.strip_prefix(table)?.strip_prefix('_')?;
    let field = rest.strip_suffix("_key").or_else(|| rest.strip_suffix("_fkey"))?;
    Some(field.to_owned())
}

thread_local! {
    /// Whether the last fault on this thread was that the connection is gone. It is known where faults are read, and
    /// acted on where the same thread gives the connection back to the pool, right after.
    static LOST: Cell<bool> = const { Cell::new(false) };
}

/// Whether the connection that this thread gives back was lost.
pub(crate) fn take_lost() -> bool {
    LOST.take()
}

/// Whether PostgreSQL's message, in English as servers for services are set up, tells of a fault that passes.
fn is_passing(message: &str) -> bool {
    ["deadlock detected", "canceling statement due to"].iter().any(|fault| message.starts_with(fault))
}

/// Whether a message of PostgreSQL, or of its client library, tells that the connection is gone.
fn is_loss(message: &str) -> bool {
    [
        "terminating connection",
        "the database system is",
        "server closed the connection unexpectedly",
        "SSL connection has been closed unexpectedly",
        "SSL error",
        "could not receive data from server",
        "no connection to the server",
    ]
    .iter()
    .any(|fault| message.starts_with(fault))
}

/// `Ok(None)` becomes [`StoreError::NotFound`] of `what`.
pub(crate) trait OrNotFound<T> {
    fn or_not_found(self, what: &'static str) -> Result<T>;
}

impl<T> OrNotFound<T> for diesel::QueryResult<Option<T>> {
    fn or_not_found(self, what: &'static str) -> Result<T> {
        self?.ok_or(StoreError::NotFound(what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unknown(message: &str) -> StoreError {
        Error::DatabaseError(DatabaseErrorKind::Unknown, Box::new(message.to_owned())).into()
    }

    #[test]
    fn a_crash_of_the_database_is_no_fault_of_ours_and_ends_the_connection() {
        for (message, ends) in [
            ("server closed the connection unexpectedly\n\tThis probably means the server terminated", true),
            ("terminating connection due to administrator command", true),
            ("the database system is shutting down", true),
            ("canceling statement due to statement timeout", false),
            ("deadlock detected", false),
        ] {
            assert!(matches!(unknown(message), StoreError::Unavailable(_)), "{message}");
            assert_eq!(take_lost(), ends, "{message}");
        }
        assert!(matches!(unknown("division by zero"), StoreError::Database(_)));
        assert!(!take_lost());
    }
}
