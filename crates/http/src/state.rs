//! What every handler reaches: the database through one bridge, the clock, the contract, keys and limits.

use crate::contract::Contract;
use crate::keys::Keys;
use crate::limits::Limits;
use crate::once::Once;
use crate::passwords::Passwords;
use crate::problem::ApiError;
use crate::reply::Reply;
use crate::typesetter::Typesetter;
use actix_web::web;
use chrono::{DateTime, SubsecRound, Utc};
use opiekun_files::FileStore;
use opiekun_persistence::{Db, Scope, StoreError, Tx, idempotency};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Tells the moment. An argument, so that tests can set it.
pub type Clock = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

pub struct State {
    pub db: Db,
    pub contract: Arc<Contract>,
    pub keys: Keys,
    pub passwords: Passwords,
    pub limits: Limits,
    pub clock: Clock,
    /// Where the bytes of files are.
    pub files: FileStore,
    pub uploads: UploadLimits,
    /// One permit an upload, so that memory has an end.
    pub uploading: Semaphore,
    /// One permit a calendar or feed that is drawn: thousands of entries keep a core busy, and everybody else waits then.
    pub calendars: Semaphore,
    pub typesetter: Typesetter,
    /// Wakes the background work of this node, so that a new run starts at once.
    pub wake: Arc<dyn Fn() + Send + Sync>,
    /// Whether this server sends e-mails; without it none is asked for.
    pub mail: Option<Mail>,
}

/// How e-mails are sent.
#[derive(Debug, Clone, Copy)]
pub struct Mail {
    /// Whether there is an address to send from, for organizations that have none of their own.
    pub has_sender: bool,
}

/// How many calendars and feeds are drawn at once; others wait their turn.
pub const CALENDARS_AT_ONCE: usize = 2;

/// What one upload may take, of space and of time.
#[derive(Debug, Clone, Copy)]
pub struct UploadLimits {
    pub file_bytes_max: u64,
    /// How many are received at once; others wait. Each may hold a part in memory (5 MiB, where files are in S3).
    pub at_once: usize,
    /// How long nothing at all may come.
    pub silent_max: Duration,
    /// Over which time `bytes_min` have to come. A download that takes fewer is ended, too.
    pub measured_over: Duration,
    pub bytes_min: u64,
}

impl Default for UploadLimits {
    fn default() -> Self {
        Self {
            file_bytes_max: 256 << 20,
            at_once: 16,
            silent_max: Duration::from_secs(30),
            measured_over: Duration::from_secs(60),
            bytes_min: 240 << 10,
        }
    }
}

impl State {
    /// The moment, in whole microseconds as the database keeps them.
    pub fn now(&self) -> DateTime<Utc> {
        (self.clock)().trunc_subsecs(6)
    }

    /// One transaction that writes: all of `work` happens, or none of it.
    pub async fn transaction<T: Send + 'static>(
        &self,
        scope: Scope,
        work: impl FnOnce(&mut Tx<'_>) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let (db, now) = (self.db.clone(), self.now());
        blocking(move || db.transaction(scope, now, work)).await
    }

    /// One read, as a rule of one statement.
    pub async fn read<T: Send + 'static>(
        &self,
        scope: Scope,
        work: impl FnOnce(&mut Tx<'_>) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let (db, now) = (self.db.clone(), self.now());
        blocking(move || db.read(scope, now, work)).await
    }

    /// Several reads of one state of the database.
    pub async fn snapshot<T: Send + 'static>(
        &self,
        scope: Scope,
        work: impl FnOnce(&mut Tx<'_>) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let (db, now) = (self.db.clone(), self.now());
        blocking(move || db.snapshot(scope, now, work)).await
    }

    /// A look-up that belongs to no organization: who is asking is what it finds out.
    pub async fn lookup<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Db) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let db = self.db.clone();
        blocking(move || work(&db)).await
    }

    /// A POST: its effect happens once for an idempotency key, and the answer is kept in the same transaction.
    ///
    /// A refusal is kept too, its changes undone; a fault of ours (5xx) is not, so that a repeat tries again.
    pub async fn submit(
        &self,
        scope: Scope,
        once: Once,
        work: impl FnOnce(&mut Tx<'_>) -> Result<Reply, ApiError> + Send + 'static,
    ) -> Result<Reply, ApiError> {
        let Some(key) = once.key.clone() else {
            return self.transaction(scope, work).await;
        };
        self.transaction(scope, move |tx| {
            match idempotency::claim(tx, &key)? {
                idempotency::Claim::InProgress => return Err(Once::in_progress()),
                idempotency::Claim::Answered(answer) => return once.replay(answer),
                idempotency::Claim::Fresh => {}
            }
            let reply = match tx.attempt(work) {
                Err(error) if error.code.status() < 500 => once.render(&error),
                other => other?,
            };
            idempotency::keep(tx, &key, once.answer(&reply))?;
            Ok(reply)
        })
        .await
    }
}

/// The one place where handlers leave the event loop.
#[expect(clippy::disallowed_methods, reason = "the bridge to blocking work")]
pub(crate) async fn blocking<T, E>(work: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, ApiError>
where
    T: Send + 'static,
    E: Into<ApiError> + Send + 'static,
{
    web::block(work).await.map_err(ApiError::unavailable)?.map_err(Into::into)
}
