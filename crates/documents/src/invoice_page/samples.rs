//! Invoices that nobody issued, by which a layout is tried out.

use super::{Attached, Correction, Invoice, Look};
use chrono::NaiveDate;
use opiekun_domain::address::Address;
use opiekun_domain::billing::{InvoiceLine, LineVat, Party};
use opiekun_domain::currency::Currency;
use opiekun_domain::decimal::{Amount, ExchangeRate, HourlyRate, Overflow, Percent, Quantity, UnitPrice};
use opiekun_domain::e_invoice::BilledEntry;
use opiekun_domain::invoice::{
    InvoiceKind, Line, PaymentMethod, PriceMode, TableRate, Totals, VatSum, line_net, totals,
};
use opiekun_domain::language::Language;
use opiekun_domain::tax_identity::TaxScheme;
use opiekun_domain::vat::VatCode;
use rust_decimal::Decimal;

/// The data of an invoice that has whatever an invoice may have, and of a correction in another currency, language and
/// price mode that has little else.
pub fn samples(look: Look<'_>) -> Result<[String; 2], Overflow> {
    let table = TableRate {
        rate: ExchangeRate::new(Decimal::new(42_517, 4)).ok_or(Overflow)?,
        on: day(22)?,
        source: "NBP 226/A/NBP/2026".to_owned(),
    };
    Ok([invoice(look)?, correction(look, &table)?])
}

fn invoice(look: Look<'_>) -> Result<String, Overflow> {
    let (seller, buyer) = (firm("Biuro Rachunkowe Kropka sp. z o.o.", "5261040828"), firm("Złoty Kłos", "1234563218"));
    let mut lines = vec![
        line("Księgowość, listopad 2026", 1, 45_000, VatCode::Percent23, PriceMode::Net)?,
        line("Szkolenie", 2, 120_000, VatCode::Exempt, PriceMode::Net)?,
    ];
    if let [first, second] = lines.as_mut_slice() {
        first.discount_percent = Percent::new(Decimal::TEN);
        first.pkwiu = Some("69.20.23.0".to_owned());
        second.vat.exemption_basis = Some("art. 43 ust. 1 pkt 29 ustawy o VAT".to_owned());
    }
    let sums = sums(&lines, PriceMode::Net)?;
    let vat_totals = VatSum::all(&sums, None);
    let entry = BilledEntry {
        started_on: day(3)?,
        operator_name: "Jan Kowalski",
        text: Some("Wprowadzenie faktur zakupu"),
        billed_minutes: 90,
        rate: HourlyRate::new(Decimal::new(15_000, 2)).ok_or(Overflow)?,
        cost: amount(22_500)?,
    };
    let sample = Invoice {
        kind: InvoiceKind::Invoice,
        is_draft: false,
        number: Some("FV/1/11/2026"),
        language: Language::Polish,
        issued_on: Some(day(23)?),
        dated_on: day(23)?,
        sold_on: Some(day(30)?),
        period: Some((day(1)?, day(30)?)),
        due_on: Some(day(30)?),
        seller: &seller,
        buyer: &buyer,
        currency: Currency::PLN,
        price_mode: PriceMode::Net,
        lines: &lines,
        vat_totals: &vat_totals,
        net: sums.net,
        vat: sums.vat,
        gross: sums.gross,
        vat_pln: None,
        exchange_rate: None,
        split_payment: true,
        payment_method: PaymentMethod::Transfer,
        bank_account: Some("PL61109010140000071219812874"),
        bank_name: Some("Bank Przykładowy"),
        notes: Some("Dziękujemy za terminowe wpłaty."),
        correction: None,
        time: &[entry],
    };
    sample.data(look, Attached::default())
}

fn correction(look: Look<'_>, table: &TableRate) -> Result<String, Overflow> {
    let seller = firm("Biuro Rachunkowe Kropka sp. z o.o.", "5261040828");
    let buyer = Party { tax_scheme: TaxScheme::None, tax_country: None, tax_number: None, ..firm("Anna Nowak", "") };
    let buyer_before = Party { name: "Ana Nowak".to_owned(), ..buyer.clone() };
    let before = [line("Books", 3, 9_990, VatCode::Percent5, PriceMode::Gross)?];
    let after = [line("Books", 2, 9_990, VatCode::Percent5, PriceMode::Gross)?];
    let difference = sums(&after, PriceMode::Gross)?.minus(&sums(&before, PriceMode::Gross)?)?;
    let vat_pln = difference.vat_in_pln(table.rate)?;
    let vat_totals = VatSum::all(&difference, Some(&vat_pln));
    let sample = Invoice {
        kind: InvoiceKind::Correction,
        is_draft: true,
        number: None,
        language: Language::English,
        issued_on: None,
        dated_on: day(23)?,
        sold_on: None,
        period: None,
        due_on: None,
        seller: &seller,
        buyer: &buyer,
        currency: "EUR".parse().map_err(|_| Overflow)?,
        price_mode: PriceMode::Gross,
        lines: &after,
        vat_totals: &vat_totals,
        net: difference.net,
        vat: difference.vat,
        gross: difference.gross,
        vat_pln: Some(vat_pln.sum),
        exchange_rate: Some(table),
        split_payment: false,
        payment_method: PaymentMethod::Card,
        bank_account: None,
        bank_name: None,
        notes: None,
        correction: Some(Correction {
            number: "FV/1/11/2026",
            issued_on: Some(day(23)?),
            reason: "One book came back",
            buyer: &buyer_before,
            lines: &before,
        }),
        time: &[],
    };
    sample.data(look, Attached::default())
}

fn firm(name: &str, nip: &str) -> Party {
    Party {
        name: name.to_owned(),
        tax_scheme: TaxScheme::Nip,
        tax_country: Some("PL".to_owned()),
        tax_number: Some(nip.to_owned()),
        address: Some(Address {
            line1: "ul. Polna 12".to_owned(),
            line2: Some("lok. 3".to_owned()),
            postal_code: Some("00-950".to_owned()),
            city: "Warszawa".to_owned(),
            country: "PL".to_owned(),
        }),
    }
}

fn line(text: &str, quantity: i64, price: i64, code: VatCode, mode: PriceMode) -> Result<InvoiceLine, Overflow> {
    let price = Line {
        quantity: Quantity::new(Decimal::from(quantity)).ok_or(Overflow)?,
        unit_price: UnitPrice::new(Decimal::new(price, 2)).ok_or(Overflow)?,
        discount_percent: None,
        vat: code,
    };
    Ok(InvoiceLine {
        key: None,
        text: text.to_owned(),
        quantity: price.quantity,
        unit: "szt.".to_owned(),
        unit_price: price.unit_price,
        discount_percent: None,
        vat: LineVat { code, exemption_basis: None },
        pkwiu: None,
        gtu: None,
        annex_15: false,
        net: line_net(&price, mode)?,
    })
}

fn sums(lines: &[InvoiceLine], mode: PriceMode) -> Result<Totals, Overflow> {
    totals(&lines.iter().map(super::price_of).collect::<Vec<_>>(), mode)
}

fn amount(hundredths: i64) -> Result<Amount, Overflow> {
    Amount::new(Decimal::new(hundredths, 2)).ok_or(Overflow)
}

/// Of November 2026.
fn day(day: u32) -> Result<NaiveDate, Overflow> {
    NaiveDate::from_ymd_opt(2026, 11, day).ok_or(Overflow)
}
