//! Interactions: single contacts with a customer.

vocabulary! {
    /// By what way the two sides met.
    Channel {
        Phone = "phone",
        Email = "email",
        Meeting = "meeting",
        Video = "video",
        Chat = "chat",
        Letter = "letter",
        Other = "other",
    }
}

vocabulary! {
    /// Who turned to whom: the customer to the firm, or the firm to the customer.
    Direction { Inbound = "inbound", Outbound = "outbound" }
}

vocabulary! {
    /// Whether it has taken place.
    InteractionStatus { Planned = "planned", Held = "held", NotHeld = "not_held" }
}
