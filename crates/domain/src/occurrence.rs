//! Occurrences: one period of one subscription, and what became of it.

use crate::subscription::SubscriptionState;

vocabulary! {
    /// What became of a period.
    OccurrenceState { Planned = "planned", Invoiced = "invoiced", Skipped = "skipped", Failed = "failed" }
}

vocabulary! {
    /// Why a period that was to be invoiced has no issued invoice.
    NotInvoicedReason {
        /// The last run that tried could not bill it.
        Failed = "failed",
        /// Somebody, or the subscription's catch-up rule, has passed it over.
        Skipped = "skipped",
        /// Its invoice is not issued yet.
        Draft = "draft",
        /// The next run bills it.
        Due = "due",
        /// Its subscription is paused.
        Paused = "paused",
        /// Its subscription is set aside after failures.
        Parked = "parked",
    }
}

impl NotInvoicedReason {
    /// Why a period is not invoiced that nothing was decided about: its subscription's state tells. One that has ended
    /// has no such period.
    pub const fn of_waiting(state: SubscriptionState) -> Option<Self> {
        match state {
            SubscriptionState::Active => Some(Self::Due),
            SubscriptionState::Paused => Some(Self::Paused),
            SubscriptionState::Parked => Some(Self::Parked),
            SubscriptionState::Ended => None,
        }
    }
}
