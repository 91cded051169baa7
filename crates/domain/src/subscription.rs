//! Subscriptions: an invoice template put on a customer with a schedule.

use crate::billing::FAILURES_MAX;

vocabulary! {
    /// Whether a subscription is billed.
    SubscriptionState {
        Active = "active",
        /// Stopped by the firm until it is resumed.
        Paused = "paused",
        /// Set aside after it failed repeatedly, until it succeeds.
        Parked = "parked",
        /// Its last period is behind it.
        Ended = "ended",
    }
}

vocabulary! {
    /// What becomes of periods that were missed, while the system was down or the subscription was paused.
    CatchUp {
        /// Each is billed.
        All = "all",
        /// The newest is billed, those before it are skipped.
        Latest = "latest",
        /// All are skipped; only a period that is not yet a full cycle late is billed.
        Skip = "skip",
    }
}

impl SubscriptionState {
    /// The state that follows from whether a period is left to bill, whether the firm has paused it, and how many runs
    /// in a row it has failed.
    pub const fn of(has_next: bool, is_paused: bool, consecutive_failures: i16) -> Self {
        if !has_next {
            Self::Ended
        } else if is_paused {
            Self::Paused
        } else if consecutive_failures >= FAILURES_MAX {
            Self::Parked
        } else {
            Self::Active
        }
    }
}

/// Something was billed, or skipped, already: what the periods follow from no longer changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the schedule, start and customer of a subscription change only before its first period is taken up")]
pub struct AlreadyBilled;
