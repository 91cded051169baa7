//! Drafts: what an invoice is to say, and the one way from there to its sums and to the invoice.
//!
//! Whatever is invoiced goes through [`InvoiceDraft::price`]: a draft that is shown, one that is issued, a correction
//! before and after, the periods of subscriptions. So they cannot disagree.

use crate::billing::{Buyer, Invoice, InvoiceLine, LINE_TEXT_MAX, LineVat, Party, Refusal, Seller};
use crate::currency::Currency;
use crate::decimal::{Amount, Percent, Quantity, UnitPrice};
use crate::e_invoice::EInvoice;
use crate::exchange_rate::table_day;
use crate::invoice::{
    InvoiceKind, Line, PaymentMethod, PriceMode, TableRate, Totals, VatInPln, line_net, split_payment_is_due, totals,
};
use crate::language::Language;
use crate::tax_identity::TaxScheme;
use chrono::{Days, NaiveDate};

/// A line before its value is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DraftLine {
    /// Of the template's line.
    pub key: Option<String>,
    pub text: String,
    pub quantity: Quantity,
    pub unit: String,
    /// Net or gross, as the draft's [`PriceMode`] says.
    pub unit_price: UnitPrice,
    pub discount_percent: Option<Percent>,
    pub vat: LineVat,
    pub pkwiu: Option<String>,
    pub gtu: Option<String>,
    /// Whether it is of the goods and services that ustawa o VAT names in Annex 15.
    pub annex_15: bool,
}

/// By when an invoice is to be paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaymentTerm {
    /// So many days after the issue.
    Days(i16),
    On(NaiveDate),
}

/// An invoice before its issue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvoiceDraft {
    pub kind: InvoiceKind,
    /// The day on which the goods were handed over or the service was done; that of the issue unless told.
    pub sold_on: Option<NaiveDate>,
    pub payment_term: PaymentTerm,
    pub currency: Currency,
    /// Given with it; see [`InvoiceDraft::table_wanted`] for when it is not.
    pub exchange_rate: Option<TableRate>,
    pub price_mode: PriceMode,
    pub payment_method: PaymentMethod,
    /// The seller's first account in the currency unless told.
    pub bank_account: Option<String>,
    pub notes: Option<String>,
    pub language: Language,
    pub lines: Vec<DraftLine>,
}

/// What the lines of a draft come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Priced {
    pub lines: Vec<InvoiceLine>,
    pub totals: Totals,
    /// The VAT in złoty, where the draft is in another currency and has a rate.
    pub vat_pln: Option<VatInPln>,
    /// Whether it has to be paid by split payment.
    pub split_payment: bool,
}

impl InvoiceDraft {
    /// What the lines come to, between these two.
    pub fn price(&self, seller: &Party, buyer: &Party) -> Result<Priced, Refusal> {
        let mut lines = Vec::with_capacity(self.lines.len());
        let mut prices = Vec::with_capacity(self.lines.len());
        for line in &self.lines {
            if line.text.chars().count() > LINE_TEXT_MAX {
                return Err(Refusal::TextTooLong);
            }
            let price = Line {
                quantity: line.quantity,
                unit_price: line.unit_price,
                discount_percent: line.discount_percent,
                vat: line.vat.code,
            };
            lines.push(InvoiceLine {
                key: line.key.clone(),
                text: line.text.clone(),
                quantity: line.quantity,
                unit: line.unit.clone(),
                unit_price: line.unit_price,
                discount_percent: line.discount_percent,
                vat: line.vat.clone(),
                pkwiu: line.pkwiu.clone(),
                gtu: line.gtu.clone(),
                annex_15: line.annex_15,
                net: line_net(&price, self.price_mode)?,
            });
            prices.push(price);
        }
        let totals = totals(&prices, self.price_mode)?;
        if totals.gross < Amount::ZERO {
            return Err(Refusal::TotalNegative);
        }
        if self.kind != InvoiceKind::Correction && totals.by_code.iter().any(|total| total.gross < Amount::ZERO) {
            return Err(Refusal::VatTotalNegative);
        }
        let rate = self.exchange_rate.as_ref().filter(|_| self.currency != Currency::PLN).map(|table| table.rate);
        let vat_pln = rate.map(|rate| totals.vat_in_pln(rate)).transpose()?;
        let split_payment = self.kind != InvoiceKind::ProForma
            && lines.iter().any(|line| line.annex_15)
            && is_taxpayer(seller)
            && is_taxpayer(buyer)
            && split_payment_is_due(totals.gross, self.currency, rate);
        Ok(Priced { lines, totals, vat_pln, split_payment })
    }

    /// Whose rate, and of which day's table, it takes when it is issued on a day: that which the law asks for. `None`
    /// where it has a rate of its own, which counts whatever the table says, where it is in złoty, and where it is no
    /// invoice: a pro forma needs no rate, and a correction is told at the rate of what it corrects.
    pub fn table_wanted(&self, issued_on: NaiveDate) -> Option<(Currency, NaiveDate)> {
        let takes_one =
            self.kind == InvoiceKind::Invoice && self.currency != Currency::PLN && self.exchange_rate.is_none();
        takes_one.then(|| (self.currency, table_day(self.sold_on.unwrap_or(issued_on), issued_on)))
    }

    /// The invoice, but for its number, issued on a day.
    pub fn issue(self, seller: &Seller, buyer: &Buyer, issued_on: NaiveDate) -> Result<Invoice, Refusal> {
        let kind = self.kind;
        let invoice = self.issue_but_for_rate(seller, buyer, issued_on)?;
        match &invoice.exchange_rate {
            None if invoice.currency != Currency::PLN && kind != InvoiceKind::ProForma && invoice.totals.has_vat() => {
                Err(Refusal::ExchangeRateMissing)
            }
            Some(table) if table.on >= issued_on => Err(Refusal::ExchangeRateTooLate),
            _ => Ok(invoice),
        }
    }

    /// The invoice that [`InvoiceDraft::issue`] gives once it has the rate that it may need.
    pub fn issue_but_for_rate(self, seller: &Seller, buyer: &Buyer, issued_on: NaiveDate) -> Result<Invoice, Refusal> {
        // Who is no customer any more can still be owed a correction.
        if buyer.is_archived && self.kind != InvoiceKind::Correction {
            return Err(Refusal::CustomerArchived);
        }
        if seller.party.tax_number.is_none() {
            return Err(Refusal::SellerTaxNumberMissing);
        }
        if buyer.party.address.is_none() {
            return Err(Refusal::BuyerAddressMissing);
        }
        let Priced { lines, totals, vat_pln, split_payment } = self.price(&seller.party, &buyer.party)?;
        let due_on = match self.payment_term {
            PaymentTerm::On(day) => day,
            PaymentTerm::Days(days) => issued_on
                .checked_add_days(Days::new(u64::try_from(days).unwrap_or_default()))
                .ok_or(Refusal::OutOfCalendar)?,
        };
        let account = seller.accounts.iter().find(|(currency, _)| *currency == self.currency);
        let kind = self.kind;
        let invoice = Invoice {
            seller: seller.party.clone(),
            buyer: buyer.party.clone(),
            issued_on,
            sold_on: self.sold_on.unwrap_or(issued_on),
            period: None,
            due_on,
            payment_term: self.payment_term,
            currency: self.currency,
            exchange_rate: self.exchange_rate,
            price_mode: self.price_mode,
            payment_method: self.payment_method,
            is_first_account: self.bank_account.is_none(),
            bank_account: self.bank_account.or_else(|| account.map(|(_, account)| account.clone())),
            notes: self.notes,
            language: self.language,
            lines,
            totals,
            vat_pln,
            split_payment,
        };
        if kind != InvoiceKind::ProForma {
            EInvoice::of(&invoice).check(kind)?;
        }
        Ok(invoice)
    }
}

/// Whoever is registered under a tax number buys and sells as a taxpayer.
fn is_taxpayer(party: &Party) -> bool {
    party.tax_scheme != TaxScheme::None && party.tax_number.is_some()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::vat::VatCode;

    fn day(text: &str) -> NaiveDate {
        text.parse().expect(text)
    }

    fn party(scheme: TaxScheme) -> Party {
        let number = (scheme != TaxScheme::None).then(|| "5261040828".to_owned());
        Party { name: "Kropka".to_owned(), tax_scheme: scheme, tax_country: None, tax_number: number, address: None }
    }

    fn line(quantity: &str, unit_price: &str, code: VatCode, annex_15: bool) -> DraftLine {
        DraftLine {
            key: None,
            text: "Steel".to_owned(),
            quantity: quantity.parse().expect(quantity),
            unit: "t".to_owned(),
            unit_price: unit_price.parse().expect(unit_price),
            discount_percent: None,
            vat: LineVat { code, exemption_basis: None },
            pkwiu: None,
            gtu: None,
            annex_15,
        }
    }

    fn draft(lines: Vec<DraftLine>) -> InvoiceDraft {
        InvoiceDraft {
            kind: InvoiceKind::Invoice,
            sold_on: None,
            payment_term: PaymentTerm::Days(14),
            currency: Currency::PLN,
            exchange_rate: None,
            price_mode: PriceMode::Gross,
            payment_method: PaymentMethod::Transfer,
            bank_account: None,
            notes: None,
            language: Language::Polish,
            lines,
        }
    }

    fn table(rate: &str, on: &str) -> Option<TableRate> {
        Some(TableRate { rate: rate.parse().expect(rate), on: day(on), source: "NBP".to_owned() })
    }

    fn is_split(draft: &InvoiceDraft, buyer: TaxScheme) -> bool {
        draft.price(&party(TaxScheme::Nip), &party(buyer)).expect("sums").split_payment
    }

    #[test]
    fn split_payment_is_marked_where_the_law_asks() {
        let of = |gross: &str, annex_15| draft(vec![line("1", gross, VatCode::Percent23, annex_15)]);
        assert!(is_split(&of("15000.01", true), TaxScheme::Nip));
        assert!(is_split(&of("15000.01", true), TaxScheme::EuVat));
        assert!(!is_split(&of("15000.00", true), TaxScheme::Nip), "the limit itself is not above it");
        assert!(!is_split(&of("99999.00", false), TaxScheme::Nip), "nothing of Annex 15");
        assert!(!is_split(&of("99999.00", true), TaxScheme::None), "a consumer");
        assert!(!is_split(&InvoiceDraft { kind: InvoiceKind::ProForma, ..of("99999.00", true) }, TaxScheme::Nip));
        // One line of Annex 15 is enough, whatever the others are.
        let mixed =
            draft(vec![line("1", "1.00", VatCode::Percent23, true), line("1", "15000.00", VatCode::Percent8, false)]);
        assert!(is_split(&mixed, TaxScheme::Nip));
    }

    #[test]
    fn only_a_correction_takes_something_off_a_rate() {
        let of = |kind, prices: [&str; 3]| {
            let codes = [VatCode::Percent23, VatCode::Percent8, VatCode::Percent8];
            let lines = prices.into_iter().zip(codes).map(|(price, code)| line("1", price, code, false)).collect();
            let draft = InvoiceDraft { kind, ..draft(lines) };
            draft.price(&party(TaxScheme::Nip), &party(TaxScheme::Nip)).map(|priced| priced.totals.gross.to_string())
        };
        for kind in [InvoiceKind::Invoice, InvoiceKind::ProForma] {
            assert_eq!(of(kind, ["5.00", "1.00", "-1.01"]), Err(Refusal::VatTotalNegative));
            assert_eq!(of(kind, ["5.00", "1.00", "-1.00"]), Ok("5.00".to_owned()));
            assert_eq!(of(kind, ["5.00", "1.00", "-6.01"]), Err(Refusal::TotalNegative));
        }
        assert_eq!(of(InvoiceKind::Correction, ["5.00", "1.00", "-1.01"]), Ok("4.99".to_owned()));
    }

    #[test]
    fn the_limit_of_split_payment_is_in_zloty() {
        let euro: Currency = "EUR".parse().expect("a currency");
        let of = |gross: &str, exchange_rate| InvoiceDraft {
            currency: euro,
            exchange_rate,
            ..draft(vec![line("1", gross, VatCode::Percent23, true)])
        };
        // 3750.00 × 4.0000 = 15 000.00; 3750.01 × 4.0000 = 15 000.04
        assert!(!is_split(&of("3750.00", table("4.0000", "2026-11-20")), TaxScheme::Nip));
        assert!(is_split(&of("3750.01", table("4.0000", "2026-11-20")), TaxScheme::Nip));
        // Not rounded before it is compared: 3750.00 × 4.000001 = 15 000.00375
        assert!(is_split(&of("3750.00", table("4.000001", "2026-11-20")), TaxScheme::Nip));
        assert!(!is_split(&of("99999.00", None), TaxScheme::Nip), "nobody knows how much that is");
    }

    #[test]
    fn vat_in_a_foreign_currency_needs_a_rate_of_an_earlier_day() {
        let (seller, buyer) = (party(TaxScheme::Nip), party(TaxScheme::EuVat));
        let address = crate::address::Address {
            line1: "x".to_owned(),
            line2: None,
            postal_code: None,
            city: "x".to_owned(),
            country: "DE".to_owned(),
        };
        let seller = Seller { party: Party { address: Some(address.clone()), ..seller }, accounts: vec![] };
        let buyer = Buyer {
            party: Party { address: Some(address), ..buyer },
            currency: Currency::PLN,
            payment_days: None,
            is_archived: false,
        };
        let euro: Currency = "EUR".parse().expect("a currency");
        let of = |code, exchange_rate| {
            let draft = InvoiceDraft { currency: euro, exchange_rate, ..draft(vec![line("3", "41.00", code, false)]) };
            draft.issue(&seller, &buyer, day("2026-11-23"))
        };
        assert_eq!(of(VatCode::Percent23, None), Err(Refusal::ExchangeRateMissing));
        assert_eq!(of(VatCode::Percent23, table("4.25", "2026-11-23")), Err(Refusal::ExchangeRateTooLate));
        // 123.00 × 23 ÷ 123 = 23.00; 23.00 × 4.2517 = 97.7891, so 97.79
        let issued = of(VatCode::Percent23, table("4.2517", "2026-11-20")).expect("an invoice");
        assert_eq!(issued.vat_pln.expect("VAT in złoty").sum.to_string(), "97.79");
        assert_eq!((issued.sold_on, issued.due_on), (day("2026-11-23"), day("2026-12-07")));
        // Where no Polish VAT is charged there is none to tell.
        assert_eq!(of(VatCode::ServiceToEu, None).expect("an invoice").vat_pln, None);
    }

    #[test]
    fn an_invoice_in_another_currency_without_a_rate_wants_one() {
        let euro: Currency = "EUR".parse().expect("a currency");
        let foreign = InvoiceDraft { currency: euro, ..draft(vec![]) };
        let wanted = |draft: &InvoiceDraft| draft.table_wanted(day("2026-11-23"));
        assert_eq!(wanted(&foreign), Some((euro, day("2026-11-20"))));
        let sold = InvoiceDraft { sold_on: Some(day("2026-11-12")), ..foreign.clone() };
        assert_eq!(wanted(&sold), Some((euro, day("2026-11-10"))));
        assert_eq!(wanted(&draft(vec![])), None);
        assert_eq!(wanted(&InvoiceDraft { exchange_rate: table("4.25", "2026-11-02"), ..foreign.clone() }), None);
        for kind in [InvoiceKind::ProForma, InvoiceKind::Correction] {
            assert_eq!(wanted(&InvoiceDraft { kind, ..foreign.clone() }), None);
        }
    }

    proptest! {
        #[test]
        fn the_order_of_lines_changes_no_sum(
            prices in proptest::collection::vec((1_u32..100_000, 1_u32..1_000_000, any::<bool>()), 1..20),
        ) {
            let line = |(quantity, price, annex): &(u32, u32, bool)| {
                let code = VatCode::ALL[usize::try_from(price % 10).expect("small")];
                let (quantity, price) = (f(*quantity), f(*price));
                line(&quantity, &price, code, *annex)
            };
            let there: Vec<_> = prices.iter().map(line).collect();
            let back: Vec<_> = prices.iter().rev().map(line).collect();
            let sums = |lines| {
                let priced = draft(lines).price(&party(TaxScheme::Nip), &party(TaxScheme::Nip)).expect("sums");
                (priced.totals, priced.split_payment)
            };
            prop_assert_eq!(sums(there), sums(back));
        }
    }

    /// Hundredths as a decimal text.
    fn f(hundredths: u32) -> String {
        format!("{}.{:02}", hundredths / 100, hundredths % 100)
    }
}
