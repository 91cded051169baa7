//! Why a command came to nothing, said to the person who gave it.

use std::fmt;

/// A message that says what is wrong and, where there is one, the way out.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Failure(String);

impl Failure {
    pub fn new(message: impl fmt::Display) -> Self {
        Self(message.to_string())
    }
}

impl From<opiekun_local_postgres::Error> for Failure {
    fn from(error: opiekun_local_postgres::Error) -> Self {
        Self::new(error)
    }
}

impl From<opiekun_persistence::StoreError> for Failure {
    fn from(error: opiekun_persistence::StoreError) -> Self {
        Self::new(error)
    }
}
