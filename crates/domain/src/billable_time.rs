//! Billable time: what an invoice takes of the time that was spent for a customer, and when it gives it back.

use crate::billing::Refusal;
use crate::currency::Currency;
use crate::decimal::{Amount, Quantity, UnitPrice};
use crate::invoice_draft::DraftLine;

/// How many entries of time one invoice may bill.
pub const ENTRIES_MAX: usize = 10_000;

vocabulary! {
    /// What an entry of time was written down as.
    TimeEntryKind {
        /// A contact that was held.
        Interaction = "interaction",
        /// Work on a task.
        WorkEntry = "work_entry",
    }
}

/// An entry of billable time, as far as its price goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BillableTime {
    /// Rounded, once; `None` where no rate was found for it.
    pub cost: Option<Amount>,
    pub currency: Currency,
}

/// What entries are billed at together, the sum of their rounded costs; `None` where there are none.
pub fn price(entries: &[BillableTime], currency: Currency) -> Result<Option<UnitPrice>, Refusal> {
    if entries.is_empty() {
        return Ok(None);
    }
    if entries.len() > ENTRIES_MAX {
        return Err(Refusal::TooMuchTime);
    }
    let mut sum = Amount::ZERO;
    for entry in entries {
        let cost = entry.cost.ok_or(Refusal::TimeUnpriced)?;
        if entry.currency != currency {
            return Err(Refusal::TimeCurrencyMismatch);
        }
        sum = sum.checked_add(cost)?;
    }
    UnitPrice::new(sum.value()).map(Some).ok_or(Refusal::AmountOverflow)
}

/// Whether lines still bill the time that the line with this key has billed: it is there, and not for nothing.
pub fn is_billed(lines: &[DraftLine], key: &str) -> bool {
    lines.iter().any(|line| line.key.as_deref() == Some(key) && line.quantity != Quantity::default())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rust_decimal::Decimal;

    use super::*;
    use crate::billing::LineVat;
    use crate::vat::VatCode;

    fn line(key: Option<&str>, quantity: &str) -> DraftLine {
        DraftLine {
            key: key.map(str::to_owned),
            text: "Work".to_owned(),
            quantity: quantity.parse().expect(quantity),
            unit: "h".to_owned(),
            unit_price: UnitPrice::default(),
            discount_percent: None,
            vat: LineVat { code: VatCode::Percent23, exemption_basis: None },
            pkwiu: None,
            gtu: None,
            annex_15: false,
        }
    }

    #[test]
    fn time_is_billed_while_its_line_is_there_and_not_for_nothing() {
        let of = |lines: &[DraftLine]| is_billed(lines, "hours");
        assert!(of(&[line(None, "1"), line(Some("hours"), "0.5")]));
        assert!(!of(&[line(Some("hours"), "0.0000"), line(Some("books"), "1")]));
        assert!(!of(&[line(None, "1")]));
        assert!(!of(&[]));
    }

    proptest! {
        #[test]
        fn a_price_is_the_sum_of_the_entries_in_any_order(
            cents in proptest::collection::vec(0_i64..1_000_000, 1..50).prop_flat_map(|it| (Just(it.clone()), Just(it).prop_shuffle())),
        ) {
            let of = |cents: &[i64]| {
                let cost = |cents: &i64| Amount::new(Decimal::new(*cents, 2));
                let time: Vec<_> =
                    cents.iter().map(|cents| BillableTime { cost: cost(cents), currency: Currency::PLN }).collect();
                price(&time, Currency::PLN).expect("no refusal").expect("a price").value()
            };
            prop_assert_eq!(of(&cents.0), Decimal::new(cents.0.iter().sum(), 2));
            prop_assert_eq!(of(&cents.0), of(&cents.1));
        }
    }
}
