//! Customers: the companies and people that a firm deals with.

vocabulary! {
    /// What a customer is.
    CustomerKind { Company = "company", Person = "person" }
}
