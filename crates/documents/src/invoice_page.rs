//! What an invoice says on paper: the data that a layout shows, with every number written and every sum made.
//!
//! A layout only places and formats what is here, so no layout can make an invoice say anything else. The fields are what
//! firms write their own layouts for: they may gain some, and lose none.

mod samples;

pub use samples::samples;

use chrono::NaiveDate;
use opiekun_domain::amount_in_words::amount_in_words;
use opiekun_domain::billing::{InvoiceLine, Party};
use opiekun_domain::currency::Currency;
use opiekun_domain::decimal::{Amount, ExchangeRate, HourlyRate, Overflow, Percent, Quantity, UnitPrice};
use opiekun_domain::e_invoice::BilledEntry;
use opiekun_domain::invoice::{InvoiceKind, Line, PaymentMethod, PriceMode, TableRate, VatSum, line_value, vat_beside};
use opiekun_domain::language::Language;
use opiekun_domain::tax_identity::TaxScheme;
use opiekun_domain::vat::VatCode;
use serde::Serialize;

/// How many characters of an entry's text stand in the annex.
const ENTRY_TEXT_MAX: usize = 300;

/// An invoice, a correction or a pro forma, issued or in draft.
#[derive(Debug, Clone)]
pub struct Invoice<'a> {
    pub kind: InvoiceKind,
    pub is_draft: bool,
    pub number: Option<&'a str>,
    pub language: Language,
    pub issued_on: Option<NaiveDate>,
    /// The day of the document itself: of the issue, or of the last change of a draft.
    pub dated_on: NaiveDate,
    pub sold_on: Option<NaiveDate>,
    /// The first day and the last of what it is for.
    pub period: Option<(NaiveDate, NaiveDate)>,
    pub due_on: Option<NaiveDate>,
    pub seller: &'a Party,
    pub buyer: &'a Party,
    pub currency: Currency,
    pub price_mode: PriceMode,
    /// Of a correction, those after it.
    pub lines: &'a [InvoiceLine],
    /// Of a correction, the differences, as all other sums.
    pub vat_totals: &'a [VatSum],
    pub net: Amount,
    pub vat: Amount,
    pub gross: Amount,
    pub vat_pln: Option<Amount>,
    pub exchange_rate: Option<&'a TableRate>,
    pub split_payment: bool,
    pub payment_method: PaymentMethod,
    /// The IBAN to pay to.
    pub bank_account: Option<&'a str>,
    pub bank_name: Option<&'a str>,
    pub notes: Option<&'a str>,
    pub correction: Option<Correction<'a>>,
    /// The time that a line of it bills.
    pub time: &'a [BilledEntry<'a>],
}

/// What a correction says beside an invoice.
#[derive(Debug, Clone, Copy)]
pub struct Correction<'a> {
    /// Of the invoice that it corrects.
    pub number: &'a str,
    pub issued_on: Option<NaiveDate>,
    pub reason: &'a str,
    /// Before the correction.
    pub buyer: &'a Party,
    /// Before the correction.
    pub lines: &'a [InvoiceLine],
}

/// How a firm wants its invoices to look.
#[derive(Debug, Clone, Copy)]
pub struct Look<'a> {
    /// As `#0f5c4d`.
    pub color: &'a str,
    /// Stands at the foot of each page; the seller unless told.
    pub footer: Option<&'a str>,
    /// The path of the logo among the files of the document.
    pub logo: Option<&'a str>,
    /// Whether the labels are in both languages.
    pub is_bilingual: bool,
}

/// The other files of the document, by their paths.
#[derive(Debug, Clone, Copy, Default)]
pub struct Attached<'a> {
    /// The code that fills in the transfer.
    pub payment_code: Option<&'a str>,
    /// The code by which KSeF shows the invoice, and what stands below it.
    pub verification: Option<(&'a str, &'a str)>,
    /// The structured invoice.
    pub e_invoice: Option<&'a str>,
}

impl Invoice<'_> {
    /// What there is to be paid; less than 0 where a correction gives some back.
    const fn due(&self) -> Amount {
        self.gross
    }

    /// All that a layout shows, in JSON.
    pub fn data(&self, look: Look<'_>, attached: Attached<'_>) -> Result<String, Overflow> {
        let data = self.page(look, attached)?;
        // Texts, numbers and booleans in structs: nothing that could fail.
        Ok(serde_json::to_string(&data).unwrap_or_default())
    }

    fn page<'a>(&'a self, look: Look<'a>, attached: Attached<'a>) -> Result<Data<'a>, Overflow> {
        let mut languages = vec![self.language];
        if look.is_bilingual {
            languages.extend(Language::ALL.iter().filter(|language| **language != self.language));
        }
        let due = self.due();
        let to_pay = if due < Amount::ZERO { Amount::ZERO.checked_sub(due)? } else { due };
        let lines = lines(self.lines, self.price_mode)?;
        let is_reverse_charge =
            self.lines.iter().any(|line| matches!(line.vat.code, VatCode::ReverseCharge | VatCode::ServiceToEu));
        Ok(Data {
            kind: self.kind,
            is_draft: self.is_draft,
            number: self.number,
            issued_on: self.issued_on,
            dated_on: self.dated_on,
            sold_on: self.sold_on,
            period: self.period.map(|(first_on, last_on)| PeriodData { first_on, last_on }),
            due_on: self.due_on,
            seller: PartyData::of(self.seller),
            buyer: PartyData::of(self.buyer),
            currency: self.currency,
            price_mode: self.price_mode,
            lines,
            vat_totals: self.vat_totals,
            totals: SumsData { net: self.net, vat: self.vat, gross: self.gross, vat_pln: self.vat_pln },
            exchange_rate: self.exchange_rate.map(|table| RateData {
                rate: table.rate,
                quoted_on: table.on,
                source: &table.source,
            }),
            due: DueData {
                amount: to_pay,
                is_refund: due < Amount::ZERO,
                words: languages.iter().map(|language| amount_in_words(to_pay, self.currency, *language)).collect(),
            },
            split_payment: self.split_payment,
            is_reverse_charge,
            exemption_bases: self.exemption_bases(),
            payment: PaymentData {
                method: self.payment_method,
                account: self.bank_account.filter(|_| self.payment_method == PaymentMethod::Transfer),
                bank_name: self.bank_name,
                code: attached.payment_code,
            },
            ksef: attached.verification.map(|(code, label)| KsefData { code, label }),
            correction: self.correction.map(|it| self.corrects(it)).transpose()?,
            time: self.annex()?,
            notes: self.notes,
            e_invoice: attached.e_invoice,
            brand: BrandData {
                color: look.color,
                footer: look.footer.map_or_else(|| in_short(self.seller), str::to_owned),
                logo: look.logo,
            },
            languages,
        })
    }

    fn exemption_bases(&self) -> Vec<&str> {
        let mut bases: Vec<&str> = Vec::new();
        for basis in self.lines.iter().filter_map(|line| line.vat.exemption_basis.as_deref()) {
            if !bases.contains(&basis) {
                bases.push(basis);
            }
        }
        bases
    }

    fn corrects<'a>(&self, correction: Correction<'a>) -> Result<CorrectionData<'a>, Overflow> {
        let Correction { number, issued_on, reason, buyer, lines: before } = correction;
        let buyer = (buyer != self.buyer).then(|| PartyData::of(buyer));
        Ok(CorrectionData { number, issued_on, reason, buyer, lines: lines(before, self.price_mode)? })
    }

    fn annex(&self) -> Result<Option<TimeData<'_>>, Overflow> {
        if self.time.is_empty() {
            return Ok(None);
        }
        let (mut minutes, mut cost) = (0_i64, Amount::ZERO);
        let mut entries = Vec::with_capacity(self.time.len());
        for (no, entry) in (1..).zip(self.time) {
            minutes += i64::from(entry.billed_minutes);
            cost = cost.checked_add(entry.cost)?;
            entries.push(EntryData {
                no,
                on: entry.started_on,
                operator: entry.operator_name,
                text: cut(entry.text.unwrap_or_default(), ENTRY_TEXT_MAX),
                minutes: entry.billed_minutes,
                rate: entry.rate,
                cost: entry.cost,
            });
        }
        Ok(Some(TimeData { entries, minutes, cost }))
    }
}

/// On one line, and no longer than so many characters.
fn cut(text: &str, length_max: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(length_max) {
        Some((end, _)) => format!("{}…", line[..end].trim_end()),
        None => line,
    }
}

/// A firm on one line.
fn in_short(party: &Party) -> String {
    let PartyData { name, address, tax_id } = PartyData::of(party);
    let tax_id = tax_id.filter(|id| id.scheme == TaxScheme::Nip).map(|id| format!("NIP {}", id.number));
    let parts = [Some(name.to_owned()), (!address.is_empty()).then(|| address.join(", ")), tax_id];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" · ")
}

/// Lines with what stands beside them, and what all of them up to each come to.
fn lines(lines: &[InvoiceLine], price_mode: PriceMode) -> Result<Vec<LineData<'_>>, Overflow> {
    let vats = vat_beside(lines.iter().map(|line| (line.vat.code, line.net)))?;
    let mut running = RunningData::default();
    let mut data = Vec::with_capacity(lines.len());
    for ((no, line), vat) in (1..).zip(lines).zip(vats) {
        // With gross prices the VAT is computed from the sums alone, so a line has only its gross.
        let (net, vat, gross) = match price_mode {
            PriceMode::Net => (Some(line.net), Some(vat), line.net.checked_add(vat)?),
            PriceMode::Gross => (None, None, line_value(&price_of(line))?),
        };
        let add = |sum: Option<Amount>, part: Option<Amount>| match part {
            Some(part) => sum.unwrap_or_default().checked_add(part).map(Some),
            None => Ok(None),
        };
        running = RunningData {
            net: add(running.net, net)?,
            vat: add(running.vat, vat)?,
            gross: running.gross.checked_add(gross)?,
        };
        data.push(LineData {
            no,
            text: &line.text,
            quantity: line.quantity,
            unit: &line.unit,
            unit_price: line.unit_price,
            discount_percent: line.discount_percent,
            vat_code: line.vat.code,
            pkwiu: line.pkwiu.as_deref(),
            gtu: line.gtu.as_deref(),
            net,
            vat,
            gross,
            running,
        });
    }
    Ok(data)
}

fn price_of(line: &InvoiceLine) -> Line {
    Line {
        quantity: line.quantity,
        unit_price: line.unit_price,
        discount_percent: line.discount_percent,
        vat: line.vat.code,
    }
}

#[derive(Debug, Serialize)]
struct Data<'a> {
    /// The document's own language, and the other one where its labels are in both.
    languages: Vec<Language>,
    kind: InvoiceKind,
    is_draft: bool,
    number: Option<&'a str>,
    issued_on: Option<NaiveDate>,
    dated_on: NaiveDate,
    sold_on: Option<NaiveDate>,
    period: Option<PeriodData>,
    due_on: Option<NaiveDate>,
    seller: PartyData<'a>,
    buyer: PartyData<'a>,
    currency: Currency,
    price_mode: PriceMode,
    lines: Vec<LineData<'a>>,
    vat_totals: &'a [VatSum],
    totals: SumsData,
    exchange_rate: Option<RateData<'a>>,
    due: DueData,
    split_payment: bool,
    is_reverse_charge: bool,
    exemption_bases: Vec<&'a str>,
    payment: PaymentData<'a>,
    ksef: Option<KsefData<'a>>,
    correction: Option<CorrectionData<'a>>,
    time: Option<TimeData<'a>>,
    notes: Option<&'a str>,
    e_invoice: Option<&'a str>,
    brand: BrandData<'a>,
}

#[derive(Debug, Serialize)]
struct PeriodData {
    first_on: NaiveDate,
    last_on: NaiveDate,
}

#[derive(Debug, Serialize)]
struct PartyData<'a> {
    name: &'a str,
    /// Line by line.
    address: Vec<String>,
    tax_id: Option<TaxIdData>,
}

#[derive(Debug, Serialize)]
struct TaxIdData {
    scheme: TaxScheme,
    number: String,
}

impl<'a> PartyData<'a> {
    fn of(party: &'a Party) -> Self {
        let address = party.address.as_ref().map_or_else(Vec::new, |address| {
            let place = [address.postal_code.as_deref(), Some(address.city.as_str())];
            let place = place.into_iter().flatten().collect::<Vec<_>>().join(" ");
            let country = if address.country == "PL" { String::new() } else { format!(", {}", address.country) };
            let lines = [Some(address.line1.clone()), address.line2.clone(), Some(format!("{place}{country}"))];
            lines.into_iter().flatten().collect()
        });
        let tax_id = party.tax_number.as_deref().map(|number| TaxIdData {
            scheme: party.tax_scheme,
            number: match (party.tax_scheme, party.tax_country.as_deref()) {
                (TaxScheme::Nip, _) => nip_in_groups(number),
                (TaxScheme::EuVat, Some(country)) => format!("{country}{number}"),
                (_, Some(country)) => format!("{country} {number}"),
                (_, None) => number.to_owned(),
            },
        });
        Self { name: &party.name, address, tax_id }
    }
}

/// As it is written: 525-224-84-81.
fn nip_in_groups(number: &str) -> String {
    match (number.get(..3), number.get(3..6), number.get(6..8), number.get(8..10), number.len()) {
        (Some(first), Some(second), Some(third), Some(fourth), 10) => format!("{first}-{second}-{third}-{fourth}"),
        _ => number.to_owned(),
    }
}

#[derive(Debug, Serialize)]
struct LineData<'a> {
    /// From 1.
    no: usize,
    text: &'a str,
    quantity: Quantity,
    unit: &'a str,
    unit_price: UnitPrice,
    discount_percent: Option<Percent>,
    vat_code: VatCode,
    pkwiu: Option<&'a str>,
    gtu: Option<&'a str>,
    net: Option<Amount>,
    vat: Option<Amount>,
    gross: Amount,
    /// What it and all lines before it come to, for the foot of a page.
    running: RunningData,
}

#[derive(Debug, Clone, Copy, Default, Serialize)]
struct RunningData {
    net: Option<Amount>,
    vat: Option<Amount>,
    gross: Amount,
}

#[derive(Debug, Serialize)]
struct SumsData {
    net: Amount,
    vat: Amount,
    gross: Amount,
    vat_pln: Option<Amount>,
}

#[derive(Debug, Serialize)]
struct RateData<'a> {
    rate: ExchangeRate,
    quoted_on: NaiveDate,
    source: &'a str,
}

#[derive(Debug, Serialize)]
struct DueData {
    /// To be paid, or to be given back; never less than 0.
    amount: Amount,
    is_refund: bool,
    /// In each of the languages.
    words: Vec<String>,
}

#[derive(Debug, Serialize)]
struct PaymentData<'a> {
    method: PaymentMethod,
    account: Option<&'a str>,
    bank_name: Option<&'a str>,
    code: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct KsefData<'a> {
    code: &'a str,
    label: &'a str,
}

#[derive(Debug, Serialize)]
struct CorrectionData<'a> {
    number: &'a str,
    issued_on: Option<NaiveDate>,
    reason: &'a str,
    /// Where it was another one.
    buyer: Option<PartyData<'a>>,
    lines: Vec<LineData<'a>>,
}

#[derive(Debug, Serialize)]
struct TimeData<'a> {
    entries: Vec<EntryData<'a>>,
    minutes: i64,
    cost: Amount,
}

#[derive(Debug, Serialize)]
struct EntryData<'a> {
    no: usize,
    on: NaiveDate,
    operator: &'a str,
    text: String,
    minutes: i32,
    rate: HourlyRate,
    cost: Amount,
}

#[derive(Debug, Serialize)]
struct BrandData<'a> {
    color: &'a str,
    footer: String,
    logo: Option<&'a str>,
}
