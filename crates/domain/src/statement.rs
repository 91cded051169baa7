//! Statements: what changed the account of a customer.

vocabulary! {
    /// What an entry of a customer's account is.
    EntryKind {
        Invoice = "invoice",
        /// A correcting invoice: what it adds to what is owed, or takes from it.
        Correction = "correction",
        Payment = "payment",
    }
}
