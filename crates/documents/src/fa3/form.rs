//! The form, written element by element in the order that its schema has.

use chrono::{DateTime, Utc};
use opiekun_domain::address::Address;
use opiekun_domain::billing::{InvoiceLine, Party};
use opiekun_domain::correction::TakesEffect;
use opiekun_domain::currency::Currency;
use opiekun_domain::decimal::{Amount, Overflow, Quantity};
use opiekun_domain::e_invoice::{
    BilledEntry, BuyerId, Corrected, EInvoice, EInvoiceLine, collapsed, exemption_basis, is_taken,
};
use opiekun_domain::iban::polish_number;
use opiekun_domain::invoice::{Line, PaymentMethod, PriceMode, VatSum, line_value};
use opiekun_domain::vat::VatCode;
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};
use rust_decimal::Decimal;
use std::collections::BTreeMap;
use std::fmt::Display;

const NAMESPACE: &str = "http://crd.gov.pl/wzor/2025/06/25/13775/";

/// How many characters a value of `DodatkowyOpis` has room for.
const DESCRIPTION_MAX: usize = 256;

/// How many characters a text of `StopkaFaktury` has room for; there may be three.
const FOOTER_MAX: usize = 3500;

/// The key that ties the buyer's data of a correction to those before it.
const BUYER_KEY: &str = "0001";

/// How the time behind a line is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Annex {
    Entries,
    /// In one sentence, where the entries would make the document too large.
    Sum,
}

/// The bytes of a document.
pub(super) fn write(
    invoice: &EInvoice<'_>,
    number: &str,
    issued_at: DateTime<Utc>,
    annex: Annex,
) -> Result<Vec<u8>, Overflow> {
    let mut form = Form(Writer::new(Vec::new()));
    form.event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)));
    let mut root = BytesStart::new("Faktura");
    root.push_attribute(("xmlns", NAMESPACE));
    form.event(Event::Start(root));
    heading(&mut form, issued_at);
    seller(&mut form, invoice);
    form.element("Podmiot2", |form| buyer(form, invoice));
    form.start("Fa");
    body(&mut form, invoice, number, annex)?;
    form.end("Fa");
    footer(&mut form, invoice.notes);
    form.end("Faktura");
    Ok(form.0.into_inner())
}

/// The document as far as it is written.
struct Form(Writer<Vec<u8>>);

impl Form {
    fn event(&mut self, event: Event<'_>) {
        // A vector takes whatever is written to it.
        self.0.write_event(event).unwrap_or_default();
    }

    fn start(&mut self, name: &str) {
        self.event(Event::Start(BytesStart::new(name)));
    }

    fn end(&mut self, name: &str) {
        self.event(Event::End(BytesEnd::new(name)));
    }

    fn element(&mut self, name: &str, content: impl FnOnce(&mut Self)) {
        self.start(name);
        content(self);
        self.end(name);
    }

    /// An element with a text on one line; none at all without one.
    fn text(&mut self, name: &str, text: &str) {
        self.whole_text(name, &collapsed(text));
    }

    /// An element with a text as it is.
    fn whole_text(&mut self, name: &str, text: &str) {
        if !text.is_empty() {
            self.element(name, |form| form.event(Event::Text(BytesText::new(text))));
        }
    }

    fn value(&mut self, name: &str, value: impl Display) {
        self.whole_text(name, &value.to_string());
    }
}

fn heading(form: &mut Form, issued_at: DateTime<Utc>) {
    form.element("Naglowek", |form| {
        let mut code = BytesStart::new("KodFormularza");
        code.push_attribute(("kodSystemowy", "FA (3)"));
        code.push_attribute(("wersjaSchemy", "1-0E"));
        form.event(Event::Start(code));
        form.event(Event::Text(BytesText::new("FA")));
        form.end("KodFormularza");
        form.value("WariantFormularza", 3);
        form.value("DataWytworzeniaFa", issued_at.format("%Y-%m-%dT%H:%M:%SZ"));
        form.text("SystemInfo", "Opiekun");
    });
}

fn seller(form: &mut Form, invoice: &EInvoice<'_>) {
    form.element("Podmiot1", |form| {
        // Asked for where the buyer accounts for the supply in another country of the Union.
        if has_code(invoice, &[VatCode::IntraEu, VatCode::ServiceToEu]) {
            form.text("PrefiksPodatnika", "PL");
        }
        identity(form, invoice.seller);
        address(form, invoice.seller.address.as_ref());
    });
}

fn buyer(form: &mut Form, invoice: &EInvoice<'_>) {
    identity(form, invoice.buyer);
    address(form, invoice.buyer.address.as_ref());
    if invoice.correction.as_ref().is_some_and(|corrected| corrected.buyer != invoice.buyer) {
        form.text("IDNabywcy", BUYER_KEY);
    }
    // Neither for a unit of a local government nor for a member of a VAT group, which would stand as further parties.
    form.value("JST", 2);
    form.value("GV", 2);
}

fn identity(form: &mut Form, party: &Party) {
    form.element("DaneIdentyfikacyjne", |form| {
        match BuyerId::of(party) {
            BuyerId::Nip(number) => form.text("NIP", number),
            BuyerId::EuVat(country, number) => {
                form.text("KodUE", country);
                form.text("NrVatUE", number);
            }
            BuyerId::Other(country, number) => {
                form.text("KodKraju", country);
                form.text("NrID", number);
            }
            BuyerId::None => form.value("BrakID", 1),
        }
        form.text("Nazwa", &party.name);
    });
}

fn address(form: &mut Form, address: Option<&Address>) {
    let Some(Address { line1, line2, postal_code, city, country }) = address else { return };
    let joined = |parts: [Option<&str>; 2], separator: &str| {
        let parts: Vec<String> = parts.into_iter().flatten().map(collapsed).filter(|part| !part.is_empty()).collect();
        parts.join(separator)
    };
    form.element("Adres", |form| {
        form.text("KodKraju", country);
        form.text("AdresL1", &joined([Some(line1), line2.as_deref()], ", "));
        form.text("AdresL2", &joined([postal_code.as_deref(), Some(city)], " "));
    });
}

fn body(form: &mut Form, invoice: &EInvoice<'_>, number: &str, annex: Annex) -> Result<(), Overflow> {
    form.text("KodWaluty", invoice.currency.code());
    form.value("P_1", invoice.issued_on);
    form.text("P_2", number);
    sold(form, invoice);
    sums(form, invoice);
    form.value("P_15", invoice.gross);
    form.element("Adnotacje", |form| annotations(form, invoice));
    form.text("RodzajFaktury", if invoice.correction.is_some() { "KOR" } else { "VAT" });
    if let Some(corrected) = &invoice.correction {
        correction(form, corrected, invoice.buyer);
    }
    time(form, invoice, annex);
    rows(form, invoice)?;
    // What a correction takes away is not to be paid.
    if invoice.correction.is_none() || invoice.gross > Amount::ZERO {
        form.element("Platnosc", |form| payment(form, invoice));
    }
    Ok(())
}

/// The period, or the day of the sale where it is another than that of the invoice (art. 106e ust. 1 pkt 6).
fn sold(form: &mut Form, invoice: &EInvoice<'_>) {
    let invoiced_on = invoice.correction.as_ref().map_or(invoice.issued_on, |corrected| corrected.issued_on);
    match invoice.period {
        Some((first, last)) => form.element("OkresFa", |form| {
            form.value("P_6_Od", first);
            form.value("P_6_Do", last);
        }),
        None if invoice.sold_on != invoiced_on => form.value("P_6", invoice.sold_on),
        None => {}
    }
}

fn sums(form: &mut Form, invoice: &EInvoice<'_>) {
    for code in VatCode::ALL {
        let Some(VatSum { total, vat_pln }) = invoice.vat_sums.iter().find(|sum| sum.total.code == *code) else {
            continue;
        };
        // A correction tells the sums that it changes.
        if invoice.correction.is_some() && total.net == Amount::ZERO && total.vat == Amount::ZERO {
            continue;
        }
        let (number, is_taxed) = sum_number(*code);
        form.value(&format!("P_13_{number}"), total.net);
        if is_taxed {
            form.value(&format!("P_14_{number}"), total.vat);
            if let Some(vat_pln) = vat_pln {
                form.value(&format!("P_14_{number}W"), vat_pln);
            }
        }
    }
}

/// By which number the form knows the sums of a code, and whether there is VAT among them.
const fn sum_number(code: VatCode) -> (&'static str, bool) {
    match code {
        VatCode::Percent23 => ("1", true),
        VatCode::Percent8 => ("2", true),
        VatCode::Percent5 => ("3", true),
        VatCode::Percent0 => ("6_1", false),
        VatCode::IntraEu => ("6_2", false),
        VatCode::Export => ("6_3", false),
        VatCode::Exempt => ("7", false),
        VatCode::OutsidePoland => ("8", false),
        VatCode::ServiceToEu => ("9", false),
        VatCode::ReverseCharge => ("10", false),
    }
}

/// How a line's code is spelt.
const fn rate(code: VatCode) -> &'static str {
    match code {
        VatCode::Percent23 => "23",
        VatCode::Percent8 => "8",
        VatCode::Percent5 => "5",
        VatCode::Percent0 => "0 KR",
        VatCode::IntraEu => "0 WDT",
        VatCode::Export => "0 EX",
        VatCode::Exempt => "zw",
        VatCode::OutsidePoland => "np I",
        VatCode::ServiceToEu => "np II",
        VatCode::ReverseCharge => "oo",
    }
}

/// The lines that tell of the whole: those of a correction after it, or before it where none is left.
fn told<'a, 'b>(invoice: &'b EInvoice<'a>) -> &'b [EInvoiceLine<'a>] {
    match &invoice.correction {
        Some(corrected) if invoice.lines.is_empty() => &corrected.lines,
        _ => &invoice.lines,
    }
}

fn has_code(invoice: &EInvoice<'_>, codes: &[VatCode]) -> bool {
    told(invoice).iter().any(|placed| codes.contains(&placed.line.vat.code))
}

fn annotations(form: &mut Form, invoice: &EInvoice<'_>) {
    let yes_or_no = |is: bool| if is { 1 } else { 2 };
    // Who buys outside of Poland accounts for the tax there, unless it is a consumer.
    let is_reversed = has_code(invoice, &[VatCode::ServiceToEu, VatCode::ReverseCharge])
        || (has_code(invoice, &[VatCode::OutsidePoland]) && BuyerId::of(invoice.buyer) != BuyerId::None);
    form.value("P_16", 2);
    form.value("P_17", 2);
    form.value("P_18", yes_or_no(is_reversed));
    form.value("P_18A", yes_or_no(invoice.split_payment));
    form.element("Zwolnienie", |form| match exemption_basis(told(invoice)) {
        Some(basis) => {
            form.value("P_19", 1);
            form.text(if names_directive(&basis) { "P_19B" } else { "P_19A" }, &basis);
        }
        None => form.value("P_19N", 1),
    });
    form.element("NoweSrodkiTransportu", |form| form.value("P_22N", 1));
    form.value("P_23", 2);
    form.element("PMarzy", |form| form.value("P_PMarzyN", 1));
}

/// Whether a legal basis is the VAT directive itself, and not the Polish law.
fn names_directive(basis: &str) -> bool {
    let basis = basis.to_lowercase();
    basis.contains("2006/112") && !basis.contains("ustaw")
}

fn correction(form: &mut Form, corrected: &Corrected<'_>, buyer_after: &Party) {
    form.text("PrzyczynaKorekty", corrected.reason);
    if let Some(takes_effect) = corrected.takes_effect {
        let kind = match takes_effect {
            TakesEffect::WithInvoice => 1,
            TakesEffect::WithCorrection => 2,
            TakesEffect::Otherwise => 3,
        };
        form.value("TypKorekty", kind);
    }
    form.element("DaneFaKorygowanej", |form| {
        form.value("DataWystFaKorygowanej", corrected.issued_on);
        form.text("NrFaKorygowanej", corrected.number);
        match corrected.ksef_number {
            Some(number) => {
                form.value("NrKSeF", 1);
                form.text("NrKSeFFaKorygowanej", number);
            }
            None => form.value("NrKSeFN", 1),
        }
    });
    if corrected.buyer != buyer_after {
        form.element("Podmiot2K", |form| {
            identity(form, corrected.buyer);
            address(form, corrected.buyer.address.as_ref());
            form.text("IDNabywcy", BUYER_KEY);
        });
    }
}

/// The time behind a line, among the further descriptions: an attachment is taken only from those who gave notice of it.
fn time(form: &mut Form, invoice: &EInvoice<'_>, annex: Annex) {
    let mut describe = |position: i16, key: &str, value: &str| {
        form.element("DodatkowyOpis", |form| {
            form.value("NrWiersza", position);
            form.text("Klucz", &cut(key));
            form.text("Wartosc", &cut(value));
        });
    };
    match annex {
        Annex::Entries => {
            for (position, entry) in &invoice.time {
                let BilledEntry { started_on, operator_name, text, billed_minutes, rate, cost } = entry;
                let text = text.map(|text| format!(": {text}")).unwrap_or_default();
                let value = format!("{billed_minutes} min × {rate} = {cost} {}{text}", invoice.currency);
                describe(*position, &format!("{started_on} {operator_name}"), &value);
            }
        }
        Annex::Sum => {
            if let Some((position, _)) = invoice.time.first() {
                let minutes: i64 = invoice.time.iter().map(|(_, entry)| i64::from(entry.billed_minutes)).sum();
                let value = format!("{} pozycji, razem {} h {} min", invoice.time.len(), minutes / 60, minutes % 60);
                describe(*position, "Czas pracy", &value);
            }
        }
    }
}

/// As much of a text as a description has room for, without what KSeF refuses.
fn cut(text: &str) -> String {
    let taken: String = text.chars().filter(|letter| is_taken(*letter)).collect();
    collapsed(&taken).chars().take(DESCRIPTION_MAX).collect()
}

/// The lines; of a correction those that it changes, each before it and after it.
fn rows(form: &mut Form, invoice: &EInvoice<'_>) -> Result<(), Overflow> {
    let Some(corrected) = &invoice.correction else {
        return invoice.lines.iter().try_for_each(|placed| row(form, invoice, *placed, false));
    };
    let by_position = |lines: &[EInvoiceLine<'_>]| -> BTreeMap<i16, InvoiceLine> {
        lines.iter().map(|placed| (placed.position, placed.line.clone())).collect()
    };
    let (before, mut after) = (by_position(&corrected.lines), by_position(&invoice.lines));
    for (position, line) in &before {
        // Nothing is left of a line that was taken away.
        after.entry(*position).or_insert_with(|| InvoiceLine {
            quantity: Quantity::default(),
            net: Amount::ZERO,
            ..line.clone()
        });
    }
    for (position, line) in &after {
        let was = before.get(position);
        if was == Some(line) {
            continue;
        }
        if let Some(line) = was {
            row(form, invoice, EInvoiceLine { position: *position, line }, true)?;
        }
        row(form, invoice, EInvoiceLine { position: *position, line }, false)?;
    }
    Ok(())
}

fn row(form: &mut Form, invoice: &EInvoice<'_>, placed: EInvoiceLine<'_>, is_before: bool) -> Result<(), Overflow> {
    let EInvoiceLine { position, line } = placed;
    let InvoiceLine { key: _, text, quantity, unit, unit_price, discount_percent, vat, pkwiu, gtu, annex_15, net } =
        line;
    let price =
        Line { quantity: *quantity, unit_price: *unit_price, discount_percent: *discount_percent, vat: vat.code };
    let value = line_value(&price)?;
    form.start("FaWiersz");
    form.value("NrWierszaFa", position);
    form.text("P_7", text);
    form.text("PKWiU", pkwiu.as_deref().unwrap_or_default());
    form.text("P_8A", unit);
    form.value("P_8B", quantity);
    form.value(if invoice.price_mode == PriceMode::Net { "P_9A" } else { "P_9B" }, unit_price);
    // What a unit costs less: it has at most the eight places that the form has.
    let discount = discount_percent.unwrap_or_default().value() * unit_price.value() / Decimal::ONE_HUNDRED;
    if !discount.is_zero() {
        form.value("P_10", discount.normalize());
    }
    match invoice.price_mode {
        PriceMode::Net => form.value("P_11", net),
        PriceMode::Gross => form.value("P_11A", value),
    }
    form.text("P_12", rate(vat.code));
    if *annex_15 {
        form.value("P_12_Zal_15", 1);
    }
    form.text("GTU", gtu.as_deref().unwrap_or_default());
    let (_, is_taxed) = sum_number(vat.code);
    if let Some(rate) = invoice.exchange_rate.filter(|_| is_taxed && invoice.currency != Currency::PLN) {
        form.value("KursWaluty", rate);
    }
    if is_before {
        form.value("StanPrzed", 1);
    }
    form.end("FaWiersz");
    Ok(())
}

fn payment(form: &mut Form, invoice: &EInvoice<'_>) {
    form.element("TerminPlatnosci", |form| form.value("Termin", invoice.due_on));
    let method = match invoice.payment_method {
        PaymentMethod::Cash => Some(1),
        PaymentMethod::Card => Some(2),
        PaymentMethod::Transfer => Some(6),
        // Another one would have to be described.
        PaymentMethod::Other => None,
    };
    if let Some(method) = method {
        form.value("FormaPlatnosci", method);
    }
    if let Some(account) = invoice.bank_account {
        let at_home = polish_number(account.iban).filter(|_| invoice.currency == Currency::PLN);
        form.element("RachunekBankowy", |form| {
            form.text("NrRB", at_home.unwrap_or(account.iban));
            form.text("SWIFT", account.swift.unwrap_or_default());
            form.text("NazwaBanku", &cut(account.bank_name.unwrap_or_default()));
        });
    }
}

/// The notes, in as many parts as they need.
fn footer(form: &mut Form, notes: Option<&str>) {
    let letters: Vec<char> = notes.unwrap_or_default().trim().chars().filter(|letter| *letter != '\r').collect();
    if letters.is_empty() {
        return;
    }
    form.element("Stopka", |form| {
        for part in letters.chunks(FOOTER_MAX) {
            let part: String = part.iter().collect();
            form.element("Informacje", |form| form.whole_text("StopkaFaktury", &part));
        }
    });
}
