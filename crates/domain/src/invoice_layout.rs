//! How invoices look on paper.

vocabulary! {
    /// In which languages the labels of an invoice are.
    LayoutLabels {
        /// In that of the invoice.
        OneLanguage = "one_language",
        /// In that of the invoice and, beside it, the other one.
        BothLanguages = "both_languages",
    }
}

/// The color of an invoice unless a layout has its own.
pub const COLOR_DEFAULT: &str = "#0f5c4d";
