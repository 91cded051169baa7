//! Procedure schedules: the runs of each period are started by themselves, once a customer.

use crate::worker::Stop;
use chrono::{DateTime, TimeDelta, Utc};
use opiekun_persistence::{Db, Result, StoreError, procedure_schedules};

/// How many schedules are looked at in a turn.
const SCHEDULES_AT_ONCE: i64 = 1_000;
/// How many runs are started in one transaction: all of them are there, or none.
const RUNS_AT_ONCE: i64 = 100;
/// When a schedule is tried again that could not be started.
const RETRY_AFTER: TimeDelta = TimeDelta::minutes(15);

/// Starts a batch of each schedule that waits, so that none has to wait for another's years; `true` when more may be left.
pub(crate) fn work(db: &Db, clock: fn() -> DateTime<Utc>, stop: &Stop) -> Result<bool> {
    let mut is_more = false;
    for waiting in procedure_schedules::waiting(db, clock(), SCHEDULES_AT_ONCE)? {
        if stop.is_set() {
            return Ok(false);
        }
        match procedure_schedules::start_batch(db, clock(), waiting, RUNS_AT_ONCE) {
            Ok(has_started) => is_more |= has_started,
            Err(error @ StoreError::Unavailable(_)) => return Err(error),
            // One schedule's trouble is not another's.
            Err(error) => {
                tracing::error!(organization = %waiting.0, schedule = %waiting.1, %error, "a schedule starts nothing");
                procedure_schedules::put_off(db, waiting, clock() + RETRY_AFTER)?;
            }
        }
    }
    Ok(is_more)
}
