//! Invoices of every kind, made the way that the product makes them.

use chrono::{DateTime, Days, NaiveDate, Utc};
use opiekun_documents::fa3::{self, Fa3Error};
use opiekun_domain::address::Address;
use opiekun_domain::billing::{Buyer, Invoice, InvoiceLine, LineVat, Party, Refusal, Seller};
use opiekun_domain::correction::TakesEffect;
use opiekun_domain::currency::Currency;
use opiekun_domain::decimal::{Percent, Quantity, UnitPrice};
use opiekun_domain::e_invoice::{Account, BilledEntry, Corrected, EInvoice, EInvoiceLine, is_taken};
use opiekun_domain::invoice::{InvoiceKind, PaymentMethod, PriceMode, TableRate};
use opiekun_domain::invoice_draft::{DraftLine, InvoiceDraft, PaymentTerm};
use opiekun_domain::language::Language;
use opiekun_domain::tax_identity::TaxScheme;
use opiekun_domain::vat::VatCode;
use proptest::prelude::*;
use rust_decimal::Decimal;

/// An invoice or correction that is issued.
#[derive(Debug, Clone)]
pub struct Case {
    pub number: String,
    pub issued_at: DateTime<Utc>,
    /// Of a correction what is told after it, with the differences.
    pub invoice: Invoice,
    pub positions: Vec<i16>,
    pub period: Option<(NaiveDate, NaiveDate)>,
    pub swift: Option<String>,
    pub bank_name: Option<String>,
    pub before: Option<Before>,
    pub time: Vec<(i16, BilledEntry<'static>)>,
}

/// What an invoice said before its correction.
#[derive(Debug, Clone)]
pub struct Before {
    pub number: String,
    pub issued_on: NaiveDate,
    pub ksef_number: Option<String>,
    pub reason: String,
    pub takes_effect: Option<TakesEffect>,
    pub buyer: Party,
    pub lines: Vec<(i16, InvoiceLine)>,
}

impl Case {
    pub fn e_invoice(&self) -> EInvoice<'_> {
        let mut told = EInvoice::of(&self.invoice);
        told.period = self.period;
        told.bank_account = told.bank_account.map(|account| Account {
            swift: self.swift.as_deref(),
            bank_name: self.bank_name.as_deref(),
            ..account
        });
        for (line, position) in told.lines.iter_mut().zip(&self.positions) {
            line.position = *position;
        }
        told.correction = self.before.as_ref().map(|before| Corrected {
            number: &before.number,
            issued_on: before.issued_on,
            ksef_number: before.ksef_number.as_deref(),
            reason: &before.reason,
            takes_effect: before.takes_effect,
            buyer: &before.buyer,
            lines: before.lines.iter().map(|(position, line)| EInvoiceLine { position: *position, line }).collect(),
        });
        told.time = self.time.clone();
        told
    }

    pub fn document(&self) -> Result<Vec<u8>, Fa3Error> {
        fa3::document(&self.e_invoice(), &self.number, self.issued_at)
    }
}

pub fn day(text: &str) -> NaiveDate {
    text.parse().expect(text)
}

pub fn address(country: &str) -> Address {
    Address {
        line1: "ul. Źródlana 7".to_owned(),
        line2: Some("lok. 3".to_owned()),
        postal_code: Some("00-950".to_owned()),
        city: "Łódź".to_owned(),
        country: country.to_owned(),
    }
}

pub fn seller() -> Seller {
    let accounts = ["PLN", "EUR"].map(|code| (currency(code), "PL61109010140000071219812874".to_owned()));
    Seller { party: party("Żółw & Syn \"Ślimak\" sp. z o.o.", Some(TaxScheme::Nip)), accounts: accounts.to_vec() }
}

/// With a number of the scheme.
pub fn party(name: &str, scheme: Option<TaxScheme>) -> Party {
    let (country, number) = match scheme.unwrap_or(TaxScheme::None) {
        TaxScheme::Nip => ("PL", Some("5261040828")),
        TaxScheme::EuVat => ("EL", Some("123456789")),
        TaxScheme::Other => ("CH", Some("CHE-109.322.551")),
        TaxScheme::None => ("PL", None),
    };
    Party {
        name: name.to_owned(),
        tax_scheme: scheme.unwrap_or(TaxScheme::None),
        tax_country: number.map(|_| country.to_owned()),
        tax_number: number.map(str::to_owned),
        address: Some(address(if country == "EL" { "GR" } else { country })),
    }
}

pub fn currency(code: &str) -> Currency {
    code.parse().expect(code)
}

pub fn line(code: VatCode, quantity: &str, unit_price: &str) -> DraftLine {
    DraftLine {
        key: None,
        text: "Obsługa <księgowa> & kadry, listopad 2026".to_owned(),
        quantity: quantity.parse().expect(quantity),
        unit: "mies.".to_owned(),
        unit_price: unit_price.parse().expect(unit_price),
        discount_percent: None,
        vat: LineVat { code, exemption_basis: basis(code) },
        pkwiu: None,
        gtu: None,
        annex_15: false,
    }
}

pub fn basis(code: VatCode) -> Option<String> {
    (code == VatCode::Exempt).then(|| "art. 43 ust. 1 pkt 29 lit. a ustawy o VAT".to_owned())
}

pub fn draft(currency: Currency, price_mode: PriceMode, lines: Vec<DraftLine>) -> InvoiceDraft {
    let table = TableRate { rate: "4.2517".parse().expect("a rate"), on: day("2026-11-20"), source: "NBP".to_owned() };
    InvoiceDraft {
        kind: InvoiceKind::Invoice,
        sold_on: None,
        payment_term: PaymentTerm::Days(14),
        currency,
        exchange_rate: (currency != Currency::PLN).then_some(table),
        price_mode,
        payment_method: PaymentMethod::Transfer,
        bank_account: None,
        notes: None,
        language: Language::Polish,
        lines,
    }
}

/// Issues a draft to a buyer on 23 November 2026.
pub fn issued(draft: InvoiceDraft, buyer: &Party) -> Result<Case, Refusal> {
    let buyer = Buyer { party: buyer.clone(), currency: draft.currency, payment_days: None, is_archived: false };
    let invoice = draft.issue(&seller(), &buyer, day("2026-11-23"))?;
    Ok(Case {
        number: "FV/1/11/2026".to_owned(),
        issued_at: "2026-11-23T09:15:00Z".parse().expect("a moment"),
        positions: (1..).take(invoice.lines.len()).collect(),
        invoice,
        period: None,
        swift: None,
        bank_name: None,
        before: None,
        time: Vec::new(),
    })
}

/// Corrects an invoice so that it says what the draft does, to this buyer.
pub fn corrected(case: &Case, after: InvoiceDraft, positions: Vec<i16>, buyer: &Party) -> Result<Case, Refusal> {
    let before = InvoiceDraft { lines: draft_lines(&case.invoice), ..after.clone() };
    let priced = before.price(&case.invoice.seller, &case.invoice.buyer)?;
    let after = InvoiceDraft { kind: InvoiceKind::Correction, ..after };
    let mut correction = issued(after, buyer)?;
    correction.invoice = correction.invoice.correcting(&priced)?;
    let lines = case.positions.iter().copied().zip(case.invoice.lines.iter().cloned()).collect();
    Ok(Case {
        number: "FK/1/11/2026".to_owned(),
        positions,
        period: case.period,
        before: Some(Before {
            number: case.number.clone(),
            issued_on: case.invoice.issued_on,
            ksef_number: None,
            reason: "Błędna ilość".to_owned(),
            takes_effect: None,
            buyer: case.invoice.buyer.clone(),
            lines,
        }),
        ..correction
    })
}

fn draft_lines(invoice: &Invoice) -> Vec<DraftLine> {
    let of = |line: InvoiceLine| DraftLine {
        key: line.key,
        text: line.text,
        quantity: line.quantity,
        unit: line.unit,
        unit_price: line.unit_price,
        discount_percent: line.discount_percent,
        vat: line.vat,
        pkwiu: line.pkwiu,
        gtu: line.gtu,
        annex_15: line.annex_15,
    };
    invoice.lines.iter().cloned().map(of).collect()
}

/// Any text that can be issued.
fn any_text(length: usize) -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[A-Za-zĄąĘęŁłÓóŻż0-9&<>'\"/., -]{0,60}",
        1 => proptest::collection::vec(any::<char>(), 0..40).prop_map(String::from_iter),
        1 => (0..length).prop_map(|letters| "ż".repeat(letters)),
    ]
    .prop_map(move |text| format!("x{text}").chars().filter(|letter| is_taken(*letter)).take(length).collect())
}

fn any_line() -> impl Strategy<Value = DraftLine> {
    (
        (any_text(512), any_text(20)),
        (0_i64..100_000_000, -10_000_000_i64..1_000_000_000, proptest::option::of(0_i64..=10_000)),
        (0..VatCode::ALL.len(), any_text(30), proptest::option::of(1_u8..14), any::<bool>()),
    )
        .prop_map(|((text, unit), (quantity, price, discount), (code, basis, gtu, annex_15))| {
            let code = VatCode::ALL[code];
            DraftLine {
                key: None,
                text,
                quantity: Quantity::new(Decimal::new(quantity, 4)).expect("a quantity"),
                unit,
                unit_price: UnitPrice::new(Decimal::new(price, 4)).expect("a price"),
                discount_percent: discount.map(|it| Percent::new(Decimal::new(it, 2)).expect("a percent")),
                vat: LineVat { code, exemption_basis: (code == VatCode::Exempt).then_some(basis) },
                pkwiu: gtu.map(|it| format!("62.01.{it}")),
                gtu: gtu.map(|it| format!("GTU_{it:02}")),
                annex_15,
            }
        })
}

fn any_party() -> impl Strategy<Value = Party> {
    (0..TaxScheme::ALL.len(), any_text(240), any_text(160), proptest::option::of(any_text(160)), any_text(80)).prop_map(
        |(scheme, name, line1, line2, city)| {
            let mut party = party(&name, Some(TaxScheme::ALL[scheme]));
            let address = party.address.as_mut().expect("an address");
            (address.line1, address.line2, address.city) = (line1, line2, city);
            party
        },
    )
}

fn any_draft() -> impl Strategy<Value = InvoiceDraft> {
    (
        (0_usize..5, any::<bool>(), 0..PaymentMethod::ALL.len(), 0_i16..366, 0_u64..60),
        proptest::option::of(any_text(2000)),
        proptest::collection::vec(any_line(), 1..8),
    )
        .prop_map(|((code, is_net, method, payment_days, sold_days), notes, lines)| {
            let mode = if is_net { PriceMode::Net } else { PriceMode::Gross };
            InvoiceDraft {
                notes,
                payment_method: PaymentMethod::ALL[method],
                payment_term: PaymentTerm::Days(payment_days),
                sold_on: day("2026-11-23").checked_sub_days(Days::new(sold_days)),
                ..draft(currency(["PLN", "EUR", "USD", "CHF", "UAH"][code]), mode, lines)
            }
        })
}

/// Any invoice or correction; `None` where what was drawn can't be issued, as the product would answer.
pub fn any_case() -> impl Strategy<Value = Option<Case>> {
    (any_draft(), any_party(), proptest::option::of((any_draft(), any_party(), any::<u8>())), 0_u64..400).prop_map(
        |(draft, buyer, correction, days)| {
            let mut case = issued(draft.clone(), &buyer).ok()?;
            if days > 200 {
                let last = day("2026-11-30");
                case.period = Some((last.checked_sub_days(Days::new(days - 200))?, last));
            }
            let Some((after, new_buyer, changed)) = correction else { return Some(case) };
            // Some lines stay, some change, some go, some come.
            let mut lines = Vec::new();
            for (bit, line) in draft.lines.iter().enumerate() {
                match (changed >> (bit % 4)) & 3 {
                    0 => lines.push((i16::try_from(bit).ok()? + 1, line.clone())),
                    1 => lines.push((
                        i16::try_from(bit).ok()? + 1,
                        DraftLine { quantity: Quantity::default(), ..line.clone() },
                    )),
                    2 => lines.extend(after.lines.first().map(|it| (i16::try_from(bit).unwrap_or(0) + 1, it.clone()))),
                    _ => {}
                }
            }
            lines.extend((50..).zip(after.lines.iter().skip(1).cloned()));
            let (positions, lines) = lines.into_iter().unzip();
            let to = if new_buyer.tax_scheme == buyer.tax_scheme { &new_buyer } else { &buyer };
            let after = InvoiceDraft { notes: after.notes, lines, ..draft };
            corrected(&case, after, positions, to).ok()
        },
    )
}
