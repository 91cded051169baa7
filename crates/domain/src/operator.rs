//! Operators: the users of an organization, and the rights that each is given.

vocabulary! {
    /// What an operator is in its organization.
    Role {
        /// Everything, billing and administration too.
        Owner = "owner",
        /// Reads all; assigns and changes the work of every operator below it in the supervisor tree; reports.
        Manager = "manager",
        /// Reads CRM data; changes what it registered or is caretaker of.
        Operator = "operator",
        /// Reads.
        Viewer = "viewer",
    }
}

vocabulary! {
    /// The right to invoices and what makes them, which is given apart from the role. An owner always has it.
    BillingRight {
        None = "none",
        Read = "read",
        /// Reads and writes.
        Write = "write",
    }
}
