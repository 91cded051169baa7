//! Corrections: what an invoice says after a correcting invoice (faktura korygująca), and what that changes of its sums.

use crate::billing::{Invoice, LINES_MAX, LineVat};
use crate::decimal::{Amount, Overflow, Percent, Quantity, UnitPrice};
use crate::invoice::VatInPln;
use crate::invoice_draft::{DraftLine, Priced};
use crate::vat::VatCode;
use std::collections::BTreeMap;

vocabulary! {
    /// From when on a correction counts in the seller's VAT (FA(3): `TypKorekty`).
    TakesEffect {
        /// On the day on which the corrected invoice did: it was wrong from the beginning.
        WithInvoice = "with_invoice",
        /// On the day of the correction.
        WithCorrection = "with_correction",
        /// On another day, or on several.
        Otherwise = "otherwise",
    }
}

/// A line at its place, by which corrections name it. It keeps its place for as long as it is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedLine {
    /// From 1. Places of lines that were removed stay empty.
    pub position: i16,
    pub line: DraftLine,
}

/// What becomes of a line: `None` keeps what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineChange {
    pub position: i16,
    pub text: Option<String>,
    pub quantity: Option<Quantity>,
    pub unit: Option<String>,
    pub unit_price: Option<UnitPrice>,
    pub discount_percent: Option<Percent>,
    pub vat: Option<LineVat>,
}

/// What a correction does to the lines of an invoice.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LineChanges {
    /// Brings the quantity of every line to 0, before all else.
    pub to_zero: bool,
    pub changed: Vec<LineChange>,
    /// The positions of lines that are taken away.
    pub removed: Vec<i16>,
    pub added: Vec<DraftLine>,
}

/// Why lines can't be changed so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LineChangesProblem {
    /// The change at this index of `changed`.
    #[error("the invoice has no line at this position")]
    ChangedLineMissing(usize),
    #[error("the line at this position is changed twice")]
    ChangedTwice(usize),
    /// The position at this index of `removed`.
    #[error("the invoice has no line at this position to be removed")]
    RemovedLineMissing(usize),
    #[error("an invoice has at most {LINES_MAX} lines")]
    TooManyLines,
}

impl LineChanges {
    /// The lines after the correction. Those that are added stand behind `last_position`, the greatest that the invoice
    /// has ever had.
    pub fn apply(self, before: &[PlacedLine], last_position: i16) -> Result<Vec<PlacedLine>, LineChangesProblem> {
        let mut lines: BTreeMap<i16, DraftLine> =
            before.iter().map(|placed| (placed.position, placed.line.clone())).collect();
        if self.to_zero {
            for line in lines.values_mut() {
                line.quantity = Quantity::default();
            }
        }
        for (index, change) in self.changed.iter().enumerate() {
            if self.changed.iter().take(index).any(|other| other.position == change.position) {
                return Err(LineChangesProblem::ChangedTwice(index));
            }
            let line = lines.get_mut(&change.position).ok_or(LineChangesProblem::ChangedLineMissing(index))?;
            change.apply(line);
        }
        for (index, position) in self.removed.iter().enumerate() {
            lines.remove(position).ok_or(LineChangesProblem::RemovedLineMissing(index))?;
        }
        let mut position = last_position;
        for line in self.added {
            position = position.checked_add(1).ok_or(LineChangesProblem::TooManyLines)?;
            lines.insert(position, line);
        }
        if lines.len() > LINES_MAX {
            return Err(LineChangesProblem::TooManyLines);
        }
        Ok(lines.into_iter().map(|(position, line)| PlacedLine { position, line }).collect())
    }
}

impl LineChange {
    fn apply(&self, line: &mut DraftLine) {
        let Self { position: _, text, quantity, unit, unit_price, discount_percent, vat } = self.clone();
        line.text = text.unwrap_or_else(|| line.text.clone());
        line.quantity = quantity.unwrap_or(line.quantity);
        line.unit = unit.unwrap_or_else(|| line.unit.clone());
        line.unit_price = unit_price.unwrap_or(line.unit_price);
        line.discount_percent = discount_percent.or(line.discount_percent);
        line.vat = vat.unwrap_or_else(|| line.vat.clone());
    }
}

impl Priced {
    /// As a correction tells it: the lines after it, and the sums that have to be added to those `before` it (art. 106j
    /// ust. 2 pkt 5).
    pub fn correcting(mut self, before: &Self) -> Result<Self, Overflow> {
        self.totals = self.totals.minus(&before.totals)?;
        self.vat_pln = vat_pln_difference(self.vat_pln, before)?;
        Ok(self)
    }
}

impl Invoice {
    /// A correcting invoice out of what the corrected one says after it.
    pub fn correcting(mut self, before: &Priced) -> Result<Self, Overflow> {
        self.totals = self.totals.minus(&before.totals)?;
        self.vat_pln = vat_pln_difference(self.vat_pln, before)?;
        Ok(self)
    }
}

/// Both sides are told at the rate of the invoice that is corrected (art. 31b ust. 1).
fn vat_pln_difference(after: Option<VatInPln>, before: &Priced) -> Result<Option<VatInPln>, Overflow> {
    match (after, &before.vat_pln) {
        (Some(after), Some(before)) => Ok(Some(after.minus(before)?)),
        (after, _) => Ok(after),
    }
}

impl VatInPln {
    /// What has to be added to `before` so that it becomes this. The difference of the rounded amounts, and not the
    /// rounded amount of the difference: so an invoice and its corrections add up to what it says in the end.
    pub fn minus(&self, before: &Self) -> Result<Self, Overflow> {
        let mut by_code: BTreeMap<VatCode, Amount> = self.by_code.iter().copied().collect();
        for (code, vat) in &before.by_code {
            let difference = by_code.entry(*code).or_insert(Amount::ZERO);
            *difference = difference.checked_sub(*vat)?;
        }
        Ok(Self { by_code: by_code.into_iter().collect(), sum: self.sum.checked_sub(before.sum)? })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::billing::Party;
    use crate::currency::Currency;
    use crate::invoice::{InvoiceKind, PaymentMethod, PriceMode, TableRate, Totals};
    use crate::invoice_draft::{InvoiceDraft, PaymentTerm};
    use crate::language::Language;
    use crate::tax_identity::TaxScheme;

    fn line(hundredths: i64, price: i64, code: VatCode) -> DraftLine {
        let decimal = |of: i64| rust_decimal::Decimal::new(of, 2);
        DraftLine {
            key: None,
            text: "Work".to_owned(),
            quantity: Quantity::new(decimal(hundredths)).expect("a quantity"),
            unit: "h".to_owned(),
            unit_price: UnitPrice::new(decimal(price)).expect("a price"),
            discount_percent: None,
            vat: LineVat { code, exemption_basis: None },
            pkwiu: None,
            gtu: None,
            annex_15: false,
        }
    }

    fn placed(lines: Vec<DraftLine>) -> Vec<PlacedLine> {
        (1..).zip(lines).map(|(position, line)| PlacedLine { position, line }).collect()
    }

    fn change(position: i16, quantity: &str) -> LineChange {
        LineChange {
            position,
            text: None,
            quantity: Some(quantity.parse().expect(quantity)),
            unit: None,
            unit_price: None,
            discount_percent: None,
            vat: None,
        }
    }

    fn price(lines: &[PlacedLine], price_mode: PriceMode) -> Priced {
        let party = Party {
            name: "x".to_owned(),
            tax_scheme: TaxScheme::None,
            tax_country: None,
            tax_number: None,
            address: None,
        };
        let draft = InvoiceDraft {
            kind: InvoiceKind::Correction,
            sold_on: None,
            payment_term: PaymentTerm::Days(0),
            currency: "EUR".parse().expect("a currency"),
            exchange_rate: Some(TableRate {
                rate: "4.2517".parse().expect("a rate"),
                on: "2026-11-20".parse().expect("a day"),
                source: "NBP".to_owned(),
            }),
            price_mode,
            payment_method: PaymentMethod::Transfer,
            bank_account: None,
            notes: None,
            language: Language::Polish,
            lines: lines.iter().map(|placed| placed.line.clone()).collect(),
        };
        assert_ne!(draft.currency, Currency::PLN);
        draft.price(&party, &party).expect("sums")
    }

    #[test]
    fn lines_keep_their_places() {
        let before = placed(vec![
            line(100, 10, VatCode::Percent23),
            line(200, 10, VatCode::Percent8),
            line(300, 10, VatCode::Percent5),
        ]);
        let changes = LineChanges {
            changed: vec![change(3, "7")],
            removed: vec![2],
            added: vec![line(900, 10, VatCode::Exempt)],
            to_zero: false,
        };
        let after = changes.apply(&before, 5).expect("lines");
        let told: Vec<_> = after.iter().map(|it| (it.position, it.line.quantity.to_string())).collect();
        assert_eq!(told, [(1, "1".to_owned()), (3, "7".to_owned()), (6, "9".to_owned())]);
    }

    #[test]
    fn to_zero_comes_before_what_is_changed() {
        let before = placed(vec![line(100, 10, VatCode::Percent23), line(200, 10, VatCode::Percent8)]);
        let after = LineChanges { to_zero: true, changed: vec![change(2, "1")], ..LineChanges::default() };
        let after = after.apply(&before, 2).expect("lines");
        let told: Vec<_> = after.iter().map(|it| it.line.quantity.to_string()).collect();
        assert_eq!(told, ["0", "1"]);
    }

    #[test]
    fn a_line_that_is_not_there_is_neither_changed_nor_removed() {
        let before = placed(vec![line(100, 10, VatCode::Percent23)]);
        let of = |changes: LineChanges| changes.apply(&before, 1).expect_err("a problem");
        let changed = |changed| LineChanges { changed, ..LineChanges::default() };
        assert_eq!(of(changed(vec![change(2, "1")])), LineChangesProblem::ChangedLineMissing(0));
        assert_eq!(of(changed(vec![change(1, "1"), change(1, "2")])), LineChangesProblem::ChangedTwice(1));
        let removed = LineChanges { removed: vec![1, 1], ..LineChanges::default() };
        assert_eq!(of(removed), LineChangesProblem::RemovedLineMissing(1));
        let added = LineChanges { added: vec![line(1, 1, VatCode::Exempt); 100], ..LineChanges::default() };
        assert_eq!(of(added), LineChangesProblem::TooManyLines);
    }

    fn lines() -> impl Strategy<Value = Vec<DraftLine>> {
        let line = (0_i64..10_000, 0_i64..100_000, proptest::sample::select(VatCode::ALL));
        proptest::collection::vec(line.prop_map(|(quantity, price, code)| line_of(quantity, price, code)), 0..6)
    }

    fn line_of(quantity: i64, price: i64, code: VatCode) -> DraftLine {
        line(quantity, price, code)
    }

    fn plus(mut sums: BTreeMap<VatCode, [Amount; 4]>, priced: &Priced) -> BTreeMap<VatCode, [Amount; 4]> {
        let Totals { by_code, .. } = &priced.totals;
        let in_pln: BTreeMap<_, _> = priced.vat_pln.iter().flat_map(|it| it.by_code.iter().copied()).collect();
        for total in by_code {
            let sum = sums.entry(total.code).or_default();
            let parts = [total.net, total.vat, total.gross, in_pln.get(&total.code).copied().unwrap_or_default()];
            for (sum, part) in sum.iter_mut().zip(parts) {
                *sum = sum.checked_add(part).expect("no overflow");
            }
        }
        sums.retain(|_, sums| sums.iter().any(|sum| *sum != Amount::ZERO));
        sums
    }

    proptest! {
        #[test]
        fn an_invoice_and_its_corrections_add_up_to_what_it_says_in_the_end(
            states in proptest::collection::vec(lines(), 2..6),
            price_mode in proptest::sample::select(vec![PriceMode::Net, PriceMode::Gross]),
        ) {
            let states: Vec<Priced> = states.into_iter().map(|lines| price(&placed(lines), price_mode)).collect();
            let mut sums = plus(BTreeMap::new(), &states[0]);
            let mut gross = states[0].totals.gross;
            for pair in states.windows(2) {
                let correction = pair[1].clone().correcting(&pair[0]).expect("no overflow");
                gross = gross.checked_add(correction.totals.gross).expect("no overflow");
                sums = plus(sums, &correction);
            }
            let last = states.last().expect("a state");
            prop_assert_eq!(gross, last.totals.gross);
            prop_assert_eq!(sums, plus(BTreeMap::new(), last));
        }

        #[test]
        fn to_zero_leaves_nothing(lines in lines(), price_mode in proptest::sample::select(vec![PriceMode::Net, PriceMode::Gross])) {
            let before = placed(lines);
            let last = i16::try_from(before.len()).expect("few");
            let after = LineChanges { to_zero: true, ..LineChanges::default() }.apply(&before, last).expect("lines");
            let (before, after) = (price(&before, price_mode), price(&after, price_mode));
            prop_assert_eq!(after.totals.gross, Amount::ZERO);
            let correction = after.correcting(&before).expect("no overflow");
            prop_assert!(plus(plus(BTreeMap::new(), &before), &correction).is_empty());
        }
    }
}
