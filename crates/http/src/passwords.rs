//! Passwords: argon2id, a few at a time, and never telling an unknown account from a wrong password.

use crate::problem::ApiError;
use crate::state::blocking;
use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use std::sync::{Arc, LazyLock};
use tokio::sync::Semaphore;

/// A hash takes 30-40 ms of a core and 19 MiB: more at once would only make every other request wait.
const AT_ONCE: usize = 2;

/// Hashes and checks passwords.
#[derive(Clone)]
pub struct Passwords {
    at_once: Arc<Semaphore>,
}

impl Default for Passwords {
    fn default() -> Self {
        Self { at_once: Arc::new(Semaphore::new(AT_ONCE)) }
    }
}

impl Passwords {
    /// The PHC string of a new password.
    pub async fn hash(&self, password: String) -> Result<String, ApiError> {
        let _turn = self.at_once.acquire().await.map_err(ApiError::unavailable)?;
        blocking(move || hash(&password).map_err(ApiError::internal)).await
    }

    /// Whether a password is the one of `hash`. Without a hash (no such account) it takes as long and fails.
    pub async fn verify(&self, password: String, hash: Option<String>) -> Result<bool, ApiError> {
        let _turn = self.at_once.acquire().await.map_err(ApiError::unavailable)?;
        blocking(move || Ok::<_, ApiError>(verify(&password, hash.as_deref()))).await
    }
}

/// The PHC string of a password: argon2id with the library's defaults (19 MiB, two passes, one lane).
pub fn hash(password: &str) -> Result<String, argon2::password_hash::Error> {
    Ok(Argon2::default().hash_password(password.as_bytes())?.to_string())
}

fn verify(password: &str, hash: Option<&str>) -> bool {
    /// A hash of nobody's password.
    static NOBODY: LazyLock<String> = LazyLock::new(|| self::hash("nobody has this password").unwrap_or_default());
    let known = hash.is_some();
    let parsed = PasswordHash::new(hash.unwrap_or(&NOBODY));
    let matches = parsed.is_ok_and(|parsed| Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok());
    known && matches
}
