//! The documents of invoices, read from the database and made ready: the structured e-invoice FA(3), kept byte by byte, and
//! all that a setter needs for the PDF; and the words that they are sent with. Whoever hands them out, over the wire or by mail, hands out the same bytes.

mod correspondence;
mod paper;
mod structured;

use opiekun_persistence::StoreError;

pub use correspondence::Correspondence;
pub use paper::{Paper, paper};
pub use structured::{file_name, structured};

/// Why there is no such document.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The state of the invoice allows none: the state, and in a sentence why.
    #[error("{detail}")]
    NotOfState { state: &'static str, detail: String },
    /// What can't be is.
    #[error("{0}")]
    Internal(String),
}

impl DocumentError {
    fn internal(cause: impl std::fmt::Display) -> Self {
        Self::Internal(cause.to_string())
    }

    fn not_of_state(state: &'static str, detail: impl Into<String>) -> Self {
        Self::NotOfState { state, detail: detail.into() }
    }
}
