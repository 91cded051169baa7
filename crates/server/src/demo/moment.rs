//! The moment that the story has come to, for work that asks a clock.

use chrono::{DateTime, Utc};
use std::cell::Cell;

thread_local! {
    static MOMENT: Cell<DateTime<Utc>> = const { Cell::new(DateTime::UNIX_EPOCH) };
}

pub fn set(moment: DateTime<Utc>) {
    MOMENT.set(moment);
}

/// A clock that stands at the moment set on this thread.
pub fn clock() -> DateTime<Utc> {
    MOMENT.get()
}
