//! The time-cost report: minutes and what they cost, side by side with what was invoiced.

vocabulary! {
    /// What the rows of the report stand for: one for each value, or each combination of values.
    TimeCostKey {
        Customer = "customer",
        Operator = "operator",
        Channel = "channel",
        /// A week from Monday (ISO 8601) in the organization's time zone.
        Week = "week",
        /// A calendar month in the organization's time zone.
        Month = "month",
    }
}
