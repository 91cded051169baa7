//! Procedure schedules: the runs of each period are started by themselves, once a customer.

use crate::worker::Stop;
use chrono::{DateTime, Utc};
use opiekun_persistence::{Db, Result, StoreError, procedure_schedules};

/// How many schedules are looked at in a turn.
const SCHEDULES_AT_ONCE: i64 = 50;
/// How many runs are started in one transaction: all of them are there, or none.
const RUNS_AT_ONCE: i64 = 100;

/// Starts what is due, batch by batch, until nothing is left, another node is at it or the node is to stop.
pub(crate) fn work(db: &Db, clock: fn() -> DateTime<Utc>, stop: &Stop) -> Result<bool> {
    for due in procedure_schedules::due(db, clock(), SCHEDULES_AT_ONCE)? {
        loop {
            if stop.is_set() {
                return Ok(false);
            }
            match procedure_schedules::start_batch(db, clock(), due, RUNS_AT_ONCE) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error @ StoreError::Unavailable(_)) => return Err(error),
                // One schedule's trouble is not another's.
                Err(error) => {
                    tracing::error!(organization = %due.0, schedule = %due.1, %error, "a schedule starts nothing");
                    break;
                }
            }
        }
    }
    Ok(false)
}
