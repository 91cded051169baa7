//! The clock: the one place that asks the machine what time it is.

use chrono::{DateTime, SubsecRound, Utc};

/// The moment, in whole microseconds as the database keeps them.
#[expect(clippy::disallowed_methods, reason = "this is the clock that everybody else is handed")]
pub fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(6)
}
