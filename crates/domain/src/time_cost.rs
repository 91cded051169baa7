//! The time-cost report: minutes and what they cost, side by side with what was invoiced.

vocabulary! {
    /// What the rows of the report stand for: one for each value, or each combination of values.
    TimeCostKey {
        Customer = "customer",
        Operator = "operator",
        Thread = "thread",
        /// The task that work entries are of, and interactions hang below.
        Task = "task",
        Opportunity = "opportunity",
        /// Where the opportunity stood when the time was spent.
        Stage = "stage",
        /// The way the two sides met; work entries have none.
        Channel = "channel",
        /// A week from Monday (ISO 8601) in the organization's time zone.
        Week = "week",
        /// A calendar month in the organization's time zone.
        Month = "month",
    }
}
