//! The structured e-invoice FA(3), version 1-0E, which Poland takes invoices in (KSeF).
//!
//! A document leaves only when it has passed three gates: the rules of the domain, which hold at the issue already; the
//! official schema; and what KSeF asks for beyond it.

mod form;
mod rules;
mod schema;

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Europe::Warsaw;
use opiekun_domain::calendar_day::day_of;
use opiekun_domain::decimal::Overflow;
use opiekun_domain::e_invoice::{EInvoice, Inexpressible, check_correction};
use opiekun_domain::invoice::InvoiceKind;

pub use rules::BrokenRule;

/// How many bytes KSeF takes of a document without an attachment.
pub const SIZE_MAX: usize = 1_000_000;

/// Why a document does not leave.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fa3Error {
    #[error(transparent)]
    Inexpressible(#[from] Inexpressible),
    #[error(transparent)]
    Overflow(#[from] Overflow),
    /// What the schema, or XML itself, has against it first.
    #[error("it is not as the schema has it: {0}")]
    Schema(String),
    #[error(transparent)]
    Rule(#[from] BrokenRule),
}

/// The document of an invoice or correction that was issued under a number at a moment: the same bytes for the same
/// arguments.
pub fn document(invoice: &EInvoice<'_>, number: &str, issued_at: DateTime<Utc>) -> Result<Vec<u8>, Fa3Error> {
    let kind = if invoice.correction.is_some() { InvoiceKind::Correction } else { InvoiceKind::Invoice };
    invoice.check(kind)?;
    if let Some(corrected) = &invoice.correction {
        let lines = corrected.lines.iter().map(|placed| placed.line);
        check_correction(corrected.reason, corrected.buyer, lines, invoice.buyer)?;
    }
    let mut content = form::write(invoice, number, issued_at, form::Annex::Entries)?;
    if content.len() > SIZE_MAX {
        content = form::write(invoice, number, issued_at, form::Annex::Sum)?;
    }
    check(&content)?;
    Ok(content)
}

/// Holds a document against the schema, and then against what KSeF asks for beyond it.
pub fn check(content: &[u8]) -> Result<(), Fa3Error> {
    let text = rules::check_bytes(content)?;
    schema::check(text).map_err(Fa3Error::Schema)?;
    let tree = uppsala::parse(text).map_err(|error| Fa3Error::Schema(error.to_string()))?;
    rules::check_tree(&tree)?;
    Ok(())
}

/// Whether KSeF takes an invoice of this date yet: not before the day has come in Poland.
pub fn has_come(issued_on: NaiveDate, now: DateTime<Utc>) -> bool {
    issued_on <= day_of(now, Warsaw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_comes_in_poland() {
        let day = "2026-11-27".parse().expect("a day");
        let at = |now: &str| has_come(day, now.parse().expect(now));
        assert!(!at("2026-11-26T22:59:59Z"));
        assert!(at("2026-11-26T23:00:00Z"));
        assert!(at("2027-01-01T00:00:00Z"));
    }
}
