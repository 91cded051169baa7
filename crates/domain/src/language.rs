//! The languages that Opiekun speaks.

vocabulary! {
    /// A language of texts that people read, as a BCP 47 tag.
    Language { Polish = "pl", English = "en" }
}
