//! Occurrences: one period of one subscription, and what became of it.

vocabulary! {
    /// What became of a period.
    OccurrenceState { Planned = "planned", Invoiced = "invoiced", Skipped = "skipped", Failed = "failed" }
}
