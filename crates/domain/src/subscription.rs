//! Subscriptions: an invoice template put on a customer with a schedule.

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
    /// The state of a subscription that has, or does not have, a period left to bill.
    pub const fn with_next(self, has_next: bool) -> Self {
        match (self, has_next) {
            (_, false) => Self::Ended,
            (Self::Ended, true) => Self::Active,
            (state, true) => state,
        }
    }
}

/// Something was billed, or skipped, already: what the periods follow from no longer changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the schedule, start and customer of a subscription change only before its first period is taken up")]
pub struct AlreadyBilled;
