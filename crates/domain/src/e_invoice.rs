//! The structured e-invoice FA(3): what of an issued invoice it tells, and what it cannot tell.
//!
//! Whatever is issued has to be expressible in it, so these rules hold at the issue of every invoice and correction, and
//! in every preview of one. The form itself is written by the documents crate, which holds it against its schema too.

use crate::billing::{Invoice, InvoiceLine, Party};
use crate::correction::TakesEffect;
use crate::currency::Currency;
use crate::decimal::{Amount, ExchangeRate, HourlyRate};
use crate::iban;
use crate::invoice::{InvoiceKind, PaymentMethod, PriceMode, VatSum};
use crate::tax_identity::{TaxScheme, nip};
use crate::vat::VatCode;
use chrono::NaiveDate;

/// How many characters the form has for a correction's reason.
pub const REASON_MAX: usize = 256;

/// How many characters it has for the legal basis of all exempt lines together.
pub const EXEMPTION_BASIS_MAX: usize = 256;

vocabulary! {
    /// In which form a document of an invoice is kept.
    DocumentFormat {
        /// The structured e-invoice FA(3), as XML.
        Fa3 = "fa3",
    }
}

/// An invoice or correction that is issued, but for its number.
#[derive(Debug, Clone)]
pub struct EInvoice<'a> {
    pub seller: &'a Party,
    pub buyer: &'a Party,
    pub issued_on: NaiveDate,
    /// Of a correction, that of the invoice which it corrects.
    pub sold_on: NaiveDate,
    /// The first day and the last of what it is for; of a correction, those of the invoice which it corrects.
    pub period: Option<(NaiveDate, NaiveDate)>,
    pub due_on: NaiveDate,
    pub currency: Currency,
    /// By which its VAT is told in złoty.
    pub exchange_rate: Option<ExchangeRate>,
    pub price_mode: PriceMode,
    pub payment_method: PaymentMethod,
    pub bank_account: Option<Account<'a>>,
    pub notes: Option<&'a str>,
    /// Of a correction, those after it.
    pub lines: Vec<EInvoiceLine<'a>>,
    /// Of a correction, the differences.
    pub vat_sums: Vec<VatSum>,
    /// Of a correction, the difference.
    pub gross: Amount,
    pub split_payment: bool,
    pub correction: Option<Corrected<'a>>,
    /// The time that its line of time bills.
    pub time: Vec<(i16, BilledEntry<'a>)>,
}

/// A line at its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EInvoiceLine<'a> {
    /// From 1.
    pub position: i16,
    pub line: &'a InvoiceLine,
}

/// Where to pay to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account<'a> {
    pub iban: &'a str,
    /// The bank's code (BIC).
    pub swift: Option<&'a str>,
    pub bank_name: Option<&'a str>,
}

/// The invoice that a correction corrects, as it was before.
#[derive(Debug, Clone)]
pub struct Corrected<'a> {
    pub number: &'a str,
    pub issued_on: NaiveDate,
    /// The number that KSeF gave it; without one it was issued outside of KSeF.
    pub ksef_number: Option<&'a str>,
    pub reason: &'a str,
    pub takes_effect: Option<TakesEffect>,
    pub buyer: &'a Party,
    pub lines: Vec<EInvoiceLine<'a>>,
}

/// An entry of time that a line bills.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BilledEntry<'a> {
    pub started_on: NaiveDate,
    pub operator_name: &'a str,
    pub text: Option<&'a str>,
    pub billed_minutes: i32,
    /// Of an hour.
    pub rate: HourlyRate,
    pub cost: Amount,
}

/// Declares what the form cannot tell: the stable name of each, the field of the invoice (`{}` stands for the index of its
/// line) and what is wrong with it.
macro_rules! inexpressible {
    ($($variant:ident $(($index:ident))? = $code:literal, $pointer:literal, $message:literal;)+) => {
        /// Why an invoice cannot be told as a structured e-invoice.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
        pub enum Inexpressible {
            $(#[error($message)] $variant $(($index))?,)+
        }

        impl Inexpressible {
            /// The stable name that clients and records know it by.
            pub const fn code(self) -> &'static str {
                match self { $(inexpressible!(@pattern $variant $($index)?) => $code),+ }
            }

            /// The field of the invoice that it is about, as a JSON Pointer.
            pub fn pointer(self) -> String {
                match self {
                    $(inexpressible!(@named index $variant $($index)?) =>
                        inexpressible!(@pointer index $pointer $($index)?),)+
                }
            }
        }
    };
    (@pattern $variant:ident) => { Self::$variant };
    (@pattern $variant:ident $index:ident) => { Self::$variant(_) };
    (@named $name:ident $variant:ident) => { Self::$variant };
    (@named $name:ident $variant:ident $index:ident) => { Self::$variant($name) };
    (@pointer $name:ident $pointer:literal) => { $pointer.to_owned() };
    (@pointer $name:ident $pointer:literal $index:ident) => { format!($pointer, $name) };
}

inexpressible! {
    SellerNip = "seller_nip_missing", "/seller/tax_id", "the seller has no NIP";
    SellerName = "seller_name_unprintable", "/seller/name", "the seller's name has no letters, or some that KSeF refuses";
    SellerAddress = "seller_address_unprintable", "/seller/address",
        "the seller's address has no letters, or some that KSeF refuses";
    SellerCountry = "seller_country_unknown", "/seller/address/country", "the seller's country is none that KSeF knows";
    BuyerName = "buyer_name_unprintable", "/buyer/name", "the buyer's name has no letters, or some that KSeF refuses";
    BuyerAddress = "buyer_address_unprintable", "/buyer/address",
        "the buyer's address has no letters, or some that KSeF refuses";
    BuyerCountry = "buyer_country_unknown", "/buyer/address/country", "the buyer's country is none that KSeF knows";
    BuyerTaxCountry = "buyer_tax_country_unknown", "/buyer/tax_id/country",
        "the country of the buyer's tax number is none that KSeF knows";
    BuyerTaxNumber = "buyer_tax_number_unprintable", "/buyer/tax_id/number",
        "the buyer's tax number has no letters, or some that KSeF refuses";
    BuyerNip = "buyer_nip_invalid", "/buyer/tax_id/number", "the buyer's NIP is none";
    BuyerNipElsewhere = "buyer_nip_elsewhere", "/buyer/tax_id/scheme",
        "the buyer's NIP is given as another number, so that the buyer would not get the invoice in KSeF";
    BuyerNipCorrected = "buyer_nip_corrected", "/buyer/tax_id",
        "a wrong NIP of the buyer is not corrected: bring the invoice to zero and issue another";
    IssuedOn = "issued_on_out_of_range", "/issued_on", "the day of the issue is before 2006 or after the beginning of 2050";
    SoldOn = "sold_on_out_of_range", "/sold_on", "the day of the sale is before 2006 or after the beginning of 2050";
    Period = "period_out_of_range", "/period_end_on", "the period begins before 2006 or ends after the beginning of 2050";
    DueOn = "due_on_out_of_range", "/due_on", "the day of payment is before July 2016 or after the beginning of 2050";
    CurrencyUnknown = "currency_unknown", "/currency", "the currency is none that KSeF knows";
    BankAccount = "bank_account_invalid", "/bank_account", "the check digits of the account do not match";
    Notes = "notes_unprintable", "/notes", "the notes have characters that KSeF refuses";
    Before = "before_unprintable", "/before",
        "buyer or lines before the correction have no letters, or some that KSeF refuses, or an unknown country";
    Reason = "reason_unprintable", "/correction_reason", "the reason has no letters, or some that KSeF refuses";
    ReasonLength = "reason_too_long", "/correction_reason", "KSeF has 256 characters for the reason";
    LineText(usize) = "line_text_unprintable", "/lines/{}/text", "the text of a line has no letters, or some that KSeF refuses";
    LineUnit(usize) = "line_unit_unprintable", "/lines/{}/unit", "the unit of a line has no letters, or some that KSeF refuses";
    LineQuantity(usize) = "line_quantity_negative", "/lines/{}/quantity", "a quantity is below 0, which only a correction may have";
    ExemptionBasis(usize) = "exemption_basis_unprintable", "/lines/{}/vat/exemption_basis",
        "an exempt line names no legal basis, or one with characters that KSeF refuses";
    ExemptionBasisLength = "exemption_basis_too_long", "/lines", "KSeF has 256 characters for the legal bases of all exempt lines";
}

impl<'a> EInvoice<'a> {
    /// An invoice that is about to be issued; of a correction what is told after it.
    pub fn of(invoice: &'a Invoice) -> Self {
        let account = |iban| Account { iban, swift: None, bank_name: None };
        Self {
            seller: &invoice.seller,
            buyer: &invoice.buyer,
            issued_on: invoice.issued_on,
            sold_on: invoice.sold_on,
            period: invoice.period.map(|period| (period.start_on, period.last_on())),
            due_on: invoice.due_on,
            currency: invoice.currency,
            exchange_rate: invoice.exchange_rate.as_ref().map(|table| table.rate),
            price_mode: invoice.price_mode,
            payment_method: invoice.payment_method,
            bank_account: invoice.bank_account.as_deref().map(account),
            notes: invoice.notes.as_deref(),
            lines: (1..).zip(&invoice.lines).map(|(position, line)| EInvoiceLine { position, line }).collect(),
            vat_sums: VatSum::all(&invoice.totals, invoice.vat_pln.as_ref()),
            gross: invoice.totals.gross,
            split_payment: invoice.split_payment,
            correction: None,
            time: Vec::new(),
        }
    }

    /// Whether the form can tell it. What is told of a correction beside its invoice, [`check_correction`] knows.
    pub fn check(&self, kind: InvoiceKind) -> Result<(), Inexpressible> {
        check_seller(self.seller)?;
        check_buyer(self.buyer)?;
        within(self.issued_on, FIRST_DAY).ok_or(Inexpressible::IssuedOn)?;
        within(self.sold_on, FIRST_DAY).ok_or(Inexpressible::SoldOn)?;
        self.period.map_or(Ok(()), check_period)?;
        within(self.due_on, FIRST_DUE_DAY).ok_or(Inexpressible::DueOn)?;
        if CURRENCIES.binary_search(&self.currency.code()).is_err() {
            return Err(Inexpressible::CurrencyUnknown);
        }
        if self.bank_account.is_some_and(|account| !iban::checks(account.iban)) {
            return Err(Inexpressible::BankAccount);
        }
        if self.notes.is_some_and(|notes| !notes.chars().all(is_taken)) {
            return Err(Inexpressible::Notes);
        }
        for (index, placed) in self.lines.iter().enumerate() {
            check_line(placed.line, kind, index)?;
        }
        match exemption_basis(&self.lines) {
            Some(basis) if basis.chars().count() > EXEMPTION_BASIS_MAX => Err(Inexpressible::ExemptionBasisLength),
            _ => Ok(()),
        }
    }
}

/// Whether the form can tell a correction for a reason: of an invoice that said so before, and after which the buyer is
/// named so.
pub fn check_correction<'a>(
    reason: &str,
    before: &Party,
    lines_before: impl IntoIterator<Item = &'a InvoiceLine>,
    after: &Party,
) -> Result<(), Inexpressible> {
    let can_tell_line = |line| check_line(line, InvoiceKind::Correction, 0).is_ok();
    if check_buyer(before).is_err() || !lines_before.into_iter().all(can_tell_line) {
        return Err(Inexpressible::Before);
    }
    if !is_printable(reason) {
        return Err(Inexpressible::Reason);
    }
    if collapsed(reason).chars().count() > REASON_MAX {
        return Err(Inexpressible::ReasonLength);
    }
    match (BuyerId::of(before), BuyerId::of(after)) {
        (BuyerId::Nip(before), BuyerId::Nip(after)) if before == after => Ok(()),
        (BuyerId::Nip(_), _) => Err(Inexpressible::BuyerNipCorrected),
        _ => Ok(()),
    }
}

/// Whether the form can tell a period, of its first day and its last.
pub fn check_period((first, last): (NaiveDate, NaiveDate)) -> Result<(), Inexpressible> {
    within(first, FIRST_DAY).and(within(last, FIRST_DAY)).ok_or(Inexpressible::Period)
}

/// By what the form knows a buyer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BuyerId<'a> {
    Nip(&'a str),
    /// The prefix of a member state of the European Union, and the number after it.
    EuVat(&'a str, &'a str),
    /// The country and the number that it gave.
    Other(&'a str, &'a str),
    /// A consumer.
    None,
}

impl<'a> BuyerId<'a> {
    /// A Polish VAT number of the Union is the NIP behind its prefix.
    pub fn of(party: &'a Party) -> Self {
        let country = party.tax_country.as_deref().unwrap_or_default();
        match (party.tax_scheme, party.tax_number.as_deref()) {
            (TaxScheme::Nip, Some(number)) => Self::Nip(number),
            (TaxScheme::EuVat, Some(number)) if country == "PL" => Self::Nip(number),
            (TaxScheme::EuVat, Some(number)) => Self::EuVat(country, number),
            (TaxScheme::Other, Some(number)) => Self::Other(country, number),
            (TaxScheme::None, _) | (_, None) => Self::None,
        }
    }
}

/// The legal bases of all exempt lines: each once, in the order of the lines. `None` where none is exempt.
pub fn exemption_basis(lines: &[EInvoiceLine<'_>]) -> Option<String> {
    let mut bases: Vec<String> = Vec::new();
    for EInvoiceLine { line, .. } in lines.iter().filter(|placed| placed.line.vat.code == VatCode::Exempt) {
        let basis = collapsed(line.vat.exemption_basis.as_deref().unwrap_or_default());
        if !bases.contains(&basis) {
            bases.push(basis);
        }
    }
    (!bases.is_empty()).then(|| bases.join("; "))
}

/// On one line, with one space where there were more.
pub fn collapsed(text: &str) -> String {
    let words = text.split([' ', '\t', '\n', '\r']).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ")
}

/// Whether XML can hold the character, and KSeF takes it: it refuses those that XML 1.0 discourages.
pub fn is_taken(letter: char) -> bool {
    match letter {
        '\t' | '\n' | '\r' => true,
        '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{84}' | '\u{86}'..='\u{9f}' | '\u{fdd0}'..='\u{fdef}' => false,
        other => u32::from(other) & 0xfffe != 0xfffe,
    }
}

/// The first day that FA(3) has for dates of an invoice.
const FIRST_DAY: (i32, u32, u32) = (2006, 1, 1);

/// The first day that it has for dates of payment.
const FIRST_DUE_DAY: (i32, u32, u32) = (2016, 7, 1);

/// The last day that it has for either.
const LAST_DAY: (i32, u32, u32) = (2050, 1, 1);

fn within(day: NaiveDate, first: (i32, u32, u32)) -> Option<()> {
    let of = |(year, month, day)| NaiveDate::from_ymd_opt(year, month, day);
    (of(first)? <= day && day <= of(LAST_DAY)?).then_some(())
}

/// Whether the form shows anything of a text, and takes all of it.
fn is_printable(text: &str) -> bool {
    text.chars().all(is_taken) && text.chars().any(|letter| !matches!(letter, ' ' | '\t' | '\n' | '\r'))
}

/// Whether a number is a NIP, and one of those that the form takes: none begins with 0, or goes on with 00.
fn is_nip(number: &str) -> bool {
    nip(number).as_deref() == Ok(number) && !number.starts_with('0') && number.get(1..3) != Some("00")
}

fn knows_country(code: &str) -> bool {
    COUNTRIES.binary_search(&code).is_ok()
}

fn check_seller(seller: &Party) -> Result<(), Inexpressible> {
    match BuyerId::of(seller) {
        BuyerId::Nip(number) if is_nip(number) => {}
        _ => return Err(Inexpressible::SellerNip),
    }
    if !is_printable(&seller.name) {
        return Err(Inexpressible::SellerName);
    }
    check_address(seller, Inexpressible::SellerAddress, Inexpressible::SellerCountry)
}

fn check_buyer(buyer: &Party) -> Result<(), Inexpressible> {
    match BuyerId::of(buyer) {
        BuyerId::Nip(number) if !is_nip(number) => return Err(Inexpressible::BuyerNip),
        BuyerId::Other(_, number) if !is_printable(number) => return Err(Inexpressible::BuyerTaxNumber),
        BuyerId::Other("PL", number) if nip(number).is_ok() => return Err(Inexpressible::BuyerNipElsewhere),
        BuyerId::Other(country, _) if !knows_country(country) => return Err(Inexpressible::BuyerTaxCountry),
        _ => {}
    }
    if !is_printable(&buyer.name) {
        return Err(Inexpressible::BuyerName);
    }
    check_address(buyer, Inexpressible::BuyerAddress, Inexpressible::BuyerCountry)
}

fn check_address(party: &Party, unprintable: Inexpressible, unknown: Inexpressible) -> Result<(), Inexpressible> {
    let address = party.address.as_ref().ok_or(unprintable)?;
    let optional = [&address.line2, &address.postal_code].into_iter().flatten();
    let is_taken_whole = optional.flat_map(|part| part.chars()).all(is_taken);
    if !is_printable(&address.line1) || !is_printable(&address.city) || !is_taken_whole {
        return Err(unprintable);
    }
    if knows_country(&address.country) { Ok(()) } else { Err(unknown) }
}

fn check_line(line: &InvoiceLine, kind: InvoiceKind, index: usize) -> Result<(), Inexpressible> {
    if !is_printable(&line.text) {
        return Err(Inexpressible::LineText(index));
    }
    if !is_printable(&line.unit) {
        return Err(Inexpressible::LineUnit(index));
    }
    if kind == InvoiceKind::Invoice && line.quantity.value().is_sign_negative() && !line.quantity.value().is_zero() {
        return Err(Inexpressible::LineQuantity(index));
    }
    let is_exempt = line.vat.code == VatCode::Exempt;
    if is_exempt && !line.vat.exemption_basis.as_deref().is_some_and(is_printable) {
        return Err(Inexpressible::ExemptionBasis(index));
    }
    Ok(())
}

/// The currencies of FA(3) (`TKodWaluty`), sorted.
pub const CURRENCIES: [&str; 182] = [
    "AED", "AFN", "ALL", "AMD", "ANG", "AOA", "ARS", "AUD", "AWG", "AZN", "BAM", "BBD", "BDT", "BGN", "BHD", "BIF",
    "BMD", "BND", "BOB", "BOV", "BRL", "BSD", "BTN", "BWP", "BYN", "BZD", "CAD", "CDF", "CHE", "CHF", "CHW", "CLF",
    "CLP", "CNY", "COP", "COU", "CRC", "CUC", "CUP", "CVE", "CZK", "DJF", "DKK", "DOP", "DZD", "EGP", "ERN", "ETB",
    "EUR", "FJD", "FKP", "GBP", "GEL", "GGP", "GHS", "GIP", "GMD", "GNF", "GTQ", "GYD", "HKD", "HNL", "HRK", "HTG",
    "HUF", "IDR", "ILS", "IMP", "INR", "IQD", "IRR", "ISK", "JEP", "JMD", "JOD", "JPY", "KES", "KGS", "KHR", "KMF",
    "KPW", "KRW", "KWD", "KYD", "KZT", "LAK", "LBP", "LKR", "LRD", "LSL", "LYD", "MAD", "MDL", "MGA", "MKD", "MMK",
    "MNT", "MOP", "MRU", "MUR", "MVR", "MWK", "MXN", "MXV", "MYR", "MZN", "NAD", "NGN", "NIO", "NOK", "NPR", "NZD",
    "OMR", "PAB", "PEN", "PGK", "PHP", "PKR", "PLN", "PYG", "QAR", "RON", "RSD", "RUB", "RWF", "SAR", "SBD", "SCR",
    "SDG", "SEK", "SGD", "SHP", "SLL", "SOS", "SRD", "SSP", "STN", "SVC", "SYP", "SZL", "THB", "TJS", "TMT", "TND",
    "TOP", "TRY", "TTD", "TWD", "TZS", "UAH", "UGX", "USD", "USN", "UYI", "UYU", "UYW", "UZS", "VES", "VND", "VUV",
    "WST", "XAF", "XAG", "XAU", "XBA", "XBB", "XBC", "XBD", "XCD", "XCG", "XDR", "XOF", "XPD", "XPF", "XPT", "XSU",
    "XUA", "XXX", "YER", "ZAR", "ZMW", "ZWL",
];

/// The countries of FA(3) (`TKodKraju`), sorted.
pub const COUNTRIES: [&str; 254] = [
    "AD", "AE", "AF", "AG", "AI", "AL", "AM", "AN", "AO", "AQ", "AR", "AS", "AT", "AU", "AW", "AX", "AZ", "BA", "BB",
    "BD", "BE", "BF", "BG", "BH", "BI", "BJ", "BL", "BM", "BN", "BO", "BQ", "BR", "BS", "BT", "BV", "BW", "BY", "BZ",
    "CA", "CC", "CD", "CF", "CG", "CH", "CI", "CK", "CL", "CM", "CN", "CO", "CR", "CU", "CV", "CW", "CX", "CY", "CZ",
    "DE", "DJ", "DK", "DM", "DO", "DZ", "EC", "EE", "EG", "EH", "ER", "ES", "ET", "FI", "FJ", "FK", "FM", "FO", "FR",
    "GA", "GB", "GD", "GE", "GF", "GG", "GH", "GI", "GL", "GM", "GN", "GP", "GQ", "GR", "GS", "GT", "GU", "GW", "GY",
    "HK", "HM", "HN", "HR", "HT", "HU", "ID", "IE", "IL", "IM", "IN", "IO", "IQ", "IR", "IS", "IT", "JE", "JM", "JO",
    "JP", "KE", "KG", "KH", "KI", "KM", "KN", "KP", "KR", "KW", "KY", "KZ", "LA", "LB", "LC", "LI", "LK", "LR", "LS",
    "LT", "LU", "LV", "LY", "MA", "MC", "MD", "ME", "MF", "MG", "MH", "MK", "ML", "MM", "MN", "MO", "MP", "MQ", "MR",
    "MS", "MT", "MU", "MV", "MW", "MX", "MY", "MZ", "NA", "NC", "NE", "NF", "NG", "NI", "NL", "NO", "NP", "NR", "NU",
    "NZ", "OM", "PA", "PE", "PF", "PG", "PH", "PK", "PL", "PM", "PN", "PR", "PS", "PT", "PW", "PY", "QA", "RE", "RO",
    "RS", "RU", "RW", "SA", "SB", "SC", "SD", "SE", "SG", "SH", "SI", "SJ", "SK", "SL", "SM", "SN", "SO", "SR", "SS",
    "ST", "SV", "SX", "SY", "SZ", "TC", "TD", "TF", "TG", "TH", "TJ", "TK", "TL", "TM", "TN", "TO", "TR", "TT", "TV",
    "TW", "TZ", "UA", "UG", "UM", "US", "UY", "UZ", "VA", "VC", "VE", "VG", "VI", "VN", "VU", "WF", "WS", "XC", "XI",
    "XK", "XL", "YE", "YT", "ZA", "ZM", "ZW",
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_problem_names_its_field() {
        assert_eq!(Inexpressible::LineQuantity(3).pointer(), "/lines/3/quantity");
        assert_eq!(Inexpressible::LineQuantity(3).code(), "line_quantity_negative");
        assert_eq!(Inexpressible::SellerNip.pointer(), "/seller/tax_id");
        assert_eq!(Inexpressible::SellerNip.to_string(), "the seller has no NIP");
    }

    #[test]
    fn what_xml_discourages_is_not_taken() {
        for letter in ['\u{0}', '\u{b}', '\u{1f}', '\u{7f}', '\u{84}', '\u{86}', '\u{9f}', '\u{fdd0}', '\u{fdef}'] {
            assert!(!is_taken(letter), "{letter:?}");
        }
        for letter in ['\u{fffe}', '\u{ffff}', '\u{1fffe}', '\u{10ffff}'] {
            assert!(!is_taken(letter), "{letter:?}");
        }
        for letter in ['\t', '\n', ' ', 'ż', '\u{85}', '\u{a0}', '\u{fdcf}', '\u{fdf0}', '\u{fffd}', '😀'] {
            assert!(is_taken(letter), "{letter:?}");
        }
    }

    #[test]
    fn a_nip_is_one_that_the_form_takes() {
        assert!(is_nip("5261040828") && is_nip("1111111111"));
        // Their check digits match, or not.
        for number in ["0000000000", "1000000001", "5261040827", "526-104-08-28", ""] {
            assert!(!is_nip(number), "{number}");
        }
    }

    proptest! {
        #[test]
        fn what_is_collapsed_stays_so(text in any::<String>()) {
            let once = collapsed(&text);
            prop_assert_eq!(collapsed(&once), once.clone());
            prop_assert!(!once.contains(['\t', '\n', '\r']) && !once.contains("  "));
        }
    }
}
