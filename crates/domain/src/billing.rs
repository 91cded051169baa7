//! Billing: what the invoice of one period of a subscription says.
//!
//! [`compose`] is the only place that makes one, and it ends where invoices of every kind are made:
//! [`InvoiceDraft::issue`]. Preview and issue both call it, so they cannot disagree.

use crate::address::Address;
use crate::billable_time::{self, BillableTime};
use crate::currency::Currency;
use crate::decimal::{Amount, Overflow, Percent, Quantity, UnitPrice};
use crate::e_invoice::{self, Inexpressible};
use crate::exchange_rate::ExchangeRates;
use crate::invoice::{InvoiceKind, LineKind, PaymentMethod, PriceMode, TableRate, Totals, VatInPln};
use crate::invoice_draft::{DraftLine, InvoiceDraft, PaymentTerm};
use crate::language::Language;
use crate::price_change::{PriceChange, unit_price_on};
use crate::proration::PartPeriod;
use crate::schedule::{BillingTiming, Period};
use crate::tax_identity::TaxScheme;
use crate::text_template::{TextTemplate, TextValues};
use crate::vat::VatCode;
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

/// How many characters the text of a line may have once its placeholders are filled in.
pub const LINE_TEXT_MAX: usize = 512;

/// How many lines an invoice may have.
pub const LINES_MAX: usize = 100;

/// How often in a row a subscription may fail before it is parked.
pub const FAILURES_MAX: i16 = 3;

/// A line of an invoice template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemplateLine {
    /// Names the line within its template, for the overrides of subscriptions.
    pub key: String,
    #[serde(flatten)]
    pub basis: LineBasis,
    /// With placeholders, see [`TextTemplate`].
    pub text: String,
    pub unit: String,
    pub discount_percent: Option<Percent>,
    pub vat: LineVat,
    pub pkwiu: Option<String>,
    pub gtu: Option<String>,
    /// Whether it is of the goods and services that ustawa o VAT names in Annex 15.
    #[serde(default)]
    pub annex_15: bool,
}

/// What a template's line bills.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum LineBasis {
    Fixed {
        quantity: Quantity,
        /// Net or gross, as the template's [`PriceMode`] says.
        unit_price: UnitPrice,
    },
    /// The customer's billable time of the period that is not invoiced yet, at the net rates resolved for it. A
    /// template has one such line at most, and net prices with it.
    Time,
}

impl LineBasis {
    pub const fn kind(self) -> LineKind {
        match self {
            Self::Fixed { .. } => LineKind::Fixed,
            Self::Time => LineKind::Time,
        }
    }
}

/// How a line is taxed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineVat {
    pub code: VatCode,
    /// The law that exempts it; for exempt sales alone.
    pub exemption_basis: Option<String>,
}

/// What a subscription has instead of a template's line: `None` keeps what the template says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineOverride {
    /// The key of the template's line.
    pub key: String,
    pub quantity: Option<Quantity>,
    pub unit_price: Option<UnitPrice>,
    pub discount_percent: Option<Percent>,
}

/// What a subscription is billed for.
#[derive(Debug, Clone, Copy)]
pub struct Occasion<'a> {
    pub period: Period,
    /// What the period is of the schedule's one, where it is not all of it: fixed lines are billed by its days.
    pub part: Option<PartPeriod>,
    /// At which end of its periods the subscription bills.
    pub billing: BillingTiming,
    pub overrides: &'a [LineOverride],
    /// The customer's of the period, for the template's time line.
    pub time: &'a [BillableTime],
    /// What the subscription has once, on this invoice: billed whole, behind the template's lines. With placeholders,
    /// as the template's texts.
    pub extra_lines: &'a [DraftLine],
}

/// A seller or buyer as an invoice names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Party {
    pub name: String,
    pub tax_scheme: TaxScheme,
    pub tax_country: Option<String>,
    pub tax_number: Option<String>,
    pub address: Option<Address>,
}

/// Who sells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seller {
    pub party: Party,
    /// The accounts that it is paid to, the first of a currency before others.
    pub accounts: Vec<(Currency, String)>,
}

/// Who buys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Buyer {
    pub party: Party,
    pub currency: Currency,
    /// Agreed with this customer; else the template's count.
    pub payment_days: Option<i16>,
    pub is_archived: bool,
}

/// What a template says.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    pub currency: Currency,
    pub price_mode: PriceMode,
    pub lines: &'a [TemplateLine],
    /// In any order.
    pub price_changes: &'a [PriceChange],
    /// Looked into where the currency is another than złoty; `None` for a draft, which takes its rate when it is issued.
    pub exchange_rates: Option<&'a ExchangeRates>,
    pub payment_days: i16,
    pub payment_method: PaymentMethod,
    pub bank_account: Option<&'a str>,
    /// With placeholders, see [`TextTemplate`].
    pub notes: Option<&'a str>,
    pub language: Language,
    pub is_archived: bool,
}

/// An invoice but for its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invoice {
    pub seller: Party,
    pub buyer: Party,
    pub issued_on: NaiveDate,
    /// The day on which the goods were handed over or the service was done; of a period its last.
    pub sold_on: NaiveDate,
    /// What it is issued for; a one-off invoice has none.
    pub period: Option<Period>,
    pub due_on: NaiveDate,
    /// What the day of payment follows from.
    pub payment_term: PaymentTerm,
    pub currency: Currency,
    /// The rate that tells its VAT in złoty, where it is in another currency.
    pub exchange_rate: Option<TableRate>,
    pub price_mode: PriceMode,
    pub payment_method: PaymentMethod,
    pub bank_account: Option<String>,
    /// Whether none was told, so that it is the seller's first.
    pub is_first_account: bool,
    pub notes: Option<String>,
    pub language: Language,
    pub lines: Vec<InvoiceLine>,
    pub totals: Totals,
    /// Its VAT in złoty, where it is in another currency and has a rate.
    pub vat_pln: Option<VatInPln>,
    /// Whether the buyer has to pay by split payment, and the invoice has to say so.
    pub split_payment: bool,
}

/// A line of an invoice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvoiceLine {
    /// Of the template's line.
    pub key: Option<String>,
    pub text: String,
    pub quantity: Quantity,
    pub unit: String,
    pub unit_price: UnitPrice,
    pub discount_percent: Option<Percent>,
    pub vat: LineVat,
    pub pkwiu: Option<String>,
    pub gtu: Option<String>,
    pub annex_15: bool,
    pub net: Amount,
}

/// Why something cannot be invoiced. A period stays due, and is tried again; but where there is nothing to bill it is
/// skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the customer is archived")]
    CustomerArchived,
    #[error("the template is archived")]
    TemplateArchived,
    /// Ustawa o VAT, art. 106e ust. 1 pkt 4.
    #[error("the seller has no tax number")]
    SellerTaxNumberMissing,
    /// Ustawa o VAT, art. 106e ust. 1 pkt 3.
    #[error("the buyer has no address")]
    BuyerAddressMissing,
    #[error("the customer is billed in another currency than the template's")]
    CurrencyMismatch,
    #[error("the subscription overrides a line that the template does not have")]
    OverriddenLineMissing,
    #[error("the subscription overrides a line that bills time")]
    TimeLineOverridden,
    /// The time of a period is known when it is over.
    #[error("time is billed in arrears")]
    TimeInAdvance,
    #[error("time of the period has no hourly rate")]
    TimeUnpriced,
    #[error("time of the period is priced in another currency than the template's")]
    TimeCurrencyMismatch,
    #[error("the period has more than {max} entries of time", max = billable_time::ENTRIES_MAX)]
    TooMuchTime,
    #[error("the period has neither lines nor time to bill")]
    NothingToBill,
    #[error("a text has a placeholder that is not known")]
    TextInvalid,
    #[error("the text of a line is too long once its placeholders are filled in")]
    TextTooLong,
    #[error("with its extra lines the invoice would have more than {LINES_MAX} lines")]
    TooManyLines,
    #[error("the amounts are too large")]
    AmountOverflow,
    #[error("the invoice would be about less than nothing")]
    TotalNegative,
    /// Only a correction takes something off a rate (ustawa o VAT, art. 106e ust. 1 pkt 13 and art. 106j).
    #[error("at one of its VAT rates the invoice would be about less than nothing")]
    VatTotalNegative,
    /// Ustawa o VAT, art. 106e ust. 11: VAT is told in złoty.
    #[error("an invoice in a foreign currency with Polish VAT needs an exchange rate")]
    ExchangeRateMissing,
    /// Ustawa o VAT, art. 31a: the rate is of a day before the one that counts.
    #[error("the exchange rate is not of a day before the issue")]
    ExchangeRateTooLate,
    #[error("the day of payment lies after the year 9999")]
    OutOfCalendar,
    /// Whatever is issued is told as a structured e-invoice too.
    #[error(transparent)]
    Inexpressible(#[from] Inexpressible),
}

impl Refusal {
    /// The stable name that clients and records know it by.
    pub const fn code(self) -> &'static str {
        match self {
            Self::CustomerArchived => "customer_archived",
            Self::TemplateArchived => "template_archived",
            Self::SellerTaxNumberMissing => "seller_tax_number_missing",
            Self::BuyerAddressMissing => "buyer_address_missing",
            Self::CurrencyMismatch => "currency_mismatch",
            Self::OverriddenLineMissing => "overridden_line_missing",
            Self::TimeLineOverridden => "time_line_overridden",
            Self::TimeInAdvance => "time_in_advance",
            Self::TimeUnpriced => "time_unpriced",
            Self::TimeCurrencyMismatch => "time_currency_mismatch",
            Self::TooMuchTime => "too_much_time",
            Self::NothingToBill => "nothing_to_bill",
            Self::TextInvalid => "text_invalid",
            Self::TextTooLong => "text_too_long",
            Self::TooManyLines => "too_many_lines",
            Self::AmountOverflow => "amount_overflow",
            Self::TotalNegative => "total_negative",
            Self::VatTotalNegative => "vat_total_negative",
            Self::ExchangeRateMissing => "exchange_rate_missing",
            Self::ExchangeRateTooLate => "exchange_rate_too_late",
            Self::OutOfCalendar => "out_of_calendar",
            Self::Inexpressible(problem) => problem.code(),
        }
    }
}

impl From<Overflow> for Refusal {
    fn from(_: Overflow) -> Self {
        Self::AmountOverflow
    }
}

/// Composes the invoice of a period, to be issued on a day. Prices are those in force on the period's first day, also of
/// a period that is caught up with.
pub fn compose(
    seller: &Seller,
    buyer: &Buyer,
    terms: Terms<'_>,
    occasion: Occasion<'_>,
    issued_on: NaiveDate,
) -> Result<Invoice, Refusal> {
    let Occasion { period, part, billing, overrides, time, extra_lines } = occasion;
    if terms.is_archived {
        return Err(Refusal::TemplateArchived);
    }
    if buyer.currency != terms.currency {
        return Err(Refusal::CurrencyMismatch);
    }
    if overrides.iter().any(|it| terms.lines.iter().all(|line| line.key != it.key)) {
        return Err(Refusal::OverriddenLineMissing);
    }
    let values = TextValues { period: &period, customer_name: &buyer.party.name, language: terms.language };
    let render = |text: &str| match TextTemplate::new(text) {
        Ok(template) => Ok(template.render(values)),
        Err(_) => Err(Refusal::TextInvalid),
    };
    let mut lines = Vec::with_capacity(terms.lines.len());
    for line in terms.lines {
        let own = overrides.iter().find(|it| it.key == line.key);
        let text = render(&line.text)?;
        let (text, quantity, unit_price) = match line.basis {
            LineBasis::Fixed { quantity, unit_price } => {
                let unit_price = own
                    .and_then(|it| it.unit_price)
                    .unwrap_or_else(|| unit_price_on(&line.key, unit_price, terms.price_changes, period.start_on));
                (
                    part.map_or_else(|| text.clone(), |part| format!("{text} ({})", days_used(part, terms.language))),
                    own.and_then(|it| it.quantity).unwrap_or(quantity),
                    part.map_or(Ok(unit_price), |part| part.price(unit_price))?,
                )
            }
            LineBasis::Time if own.is_some() => return Err(Refusal::TimeLineOverridden),
            LineBasis::Time if billing == BillingTiming::InAdvance => return Err(Refusal::TimeInAdvance),
            LineBasis::Time => match billable_time::price(time, terms.currency)? {
                Some(unit_price) => (text, Quantity::ONE, unit_price),
                None => continue,
            },
        };
        lines.push(DraftLine {
            key: Some(line.key.clone()),
            text,
            quantity,
            unit: line.unit.clone(),
            unit_price,
            discount_percent: own.and_then(|it| it.discount_percent).or(line.discount_percent),
            vat: line.vat.clone(),
            pkwiu: line.pkwiu.clone(),
            gtu: line.gtu.clone(),
            annex_15: line.annex_15,
        });
    }
    for line in extra_lines {
        lines.push(DraftLine { text: render(&line.text)?, ..line.clone() });
    }
    if lines.len() > LINES_MAX {
        return Err(Refusal::TooManyLines);
    }
    // Time that costs nothing makes no invoice by itself.
    let time_line = terms.lines.iter().find(|line| line.basis == LineBasis::Time);
    let is_free_time = |line: &DraftLine| {
        line.unit_price == UnitPrice::default() && time_line.is_some_and(|time| line.key.as_ref() == Some(&time.key))
    };
    if lines.iter().all(is_free_time) {
        return Err(Refusal::NothingToBill);
    }
    let mut draft = InvoiceDraft {
        kind: InvoiceKind::Invoice,
        sold_on: Some(period.last_on()),
        payment_term: PaymentTerm::Days(buyer.payment_days.unwrap_or(terms.payment_days)),
        currency: terms.currency,
        exchange_rate: None,
        price_mode: terms.price_mode,
        payment_method: terms.payment_method,
        bank_account: terms.bank_account.map(str::to_owned),
        notes: terms.notes.map(render).transpose()?,
        language: terms.language,
        lines,
    };
    e_invoice::check_period((period.start_on, period.last_on()))?;
    let invoice = match terms.exchange_rates {
        Some(rates) => {
            let wanted = draft.table_wanted(issued_on);
            draft.exchange_rate = wanted.and_then(|(currency, day)| rates.on(currency, day)).cloned();
            draft.issue(seller, buyer, issued_on)?
        }
        None => draft.issue_but_for_rate(seller, buyer, issued_on)?,
    };
    Ok(Invoice { period: Some(period), ..invoice })
}

/// What a line says of the days that it is billed for: "12/30 dni".
fn days_used(part: PartPeriod, language: Language) -> String {
    let days = match language {
        Language::Polish => "dni",
        Language::English => "days",
    };
    format!("{}/{} {days}", part.used_days(), part.period_days())
}

/// What invoices in one currency come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CurrencyTotal {
    pub currency: Currency,
    pub net: Amount,
    pub vat: Amount,
    pub gross: Amount,
}

impl CurrencyTotal {
    pub const fn of(currency: Currency, totals: &Totals) -> Self {
        Self { currency, net: totals.net, vat: totals.vat, gross: totals.gross }
    }

    /// Adds one to the totals per currency, which stand in the order of their codes.
    pub fn add_to(self, sums: &mut Vec<Self>) -> Result<(), Overflow> {
        match sums.binary_search_by_key(&self.currency, |it| it.currency) {
            Ok(at) => {
                let sum = &mut sums[at];
                sum.net = sum.net.checked_add(self.net)?;
                sum.vat = sum.vat.checked_add(self.vat)?;
                sum.gross = sum.gross.checked_add(self.gross)?;
            }
            Err(at) => sums.insert(at, self),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invoice::{Line, totals};
    use std::sync::LazyLock;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn november() -> Period {
        Period { index: 10, start_on: day("2026-11-01"), end_on: day("2026-12-01") }
    }

    fn party(name: &str) -> Party {
        Party {
            name: name.to_owned(),
            tax_scheme: TaxScheme::Nip,
            tax_country: Some("PL".to_owned()),
            tax_number: Some("5261040828".to_owned()),
            address: Some(Address {
                line1: "ul. Prosta 1".to_owned(),
                line2: None,
                postal_code: Some("00-001".to_owned()),
                city: "Warszawa".to_owned(),
                country: "PL".to_owned(),
            }),
        }
    }

    fn seller() -> Seller {
        let account = "PL61109010140000071219812874".to_owned();
        Seller { party: party("Biuro Kropka"), accounts: vec![(Currency::PLN, account)] }
    }

    fn buyer() -> Buyer {
        Buyer { party: party("Piekarnia Rogal"), currency: Currency::PLN, payment_days: None, is_archived: false }
    }

    fn line(key: &str, unit_price: &str, code: VatCode) -> TemplateLine {
        TemplateLine {
            key: key.to_owned(),
            basis: LineBasis::Fixed { quantity: Quantity::ONE, unit_price: unit_price.parse().unwrap() },
            text: "Obsługa za {{period.month_name}} {{period.year}}".to_owned(),
            unit: "mies.".to_owned(),
            discount_percent: None,
            vat: LineVat { code, exemption_basis: None },
            pkwiu: None,
            gtu: None,
            annex_15: false,
        }
    }

    static NO_RATES: LazyLock<ExchangeRates> = LazyLock::new(ExchangeRates::default);

    fn terms(lines: &[TemplateLine]) -> Terms<'_> {
        Terms {
            currency: Currency::PLN,
            price_mode: PriceMode::Net,
            lines,
            price_changes: &[],
            exchange_rates: Some(&NO_RATES),
            payment_days: 14,
            payment_method: PaymentMethod::Transfer,
            bank_account: None,
            notes: Some("Dla {{customer.name}}"),
            language: Language::Polish,
            is_archived: false,
        }
    }

    fn whole(overrides: &[LineOverride]) -> Occasion<'_> {
        let billing = BillingTiming::InArrears;
        Occasion { period: november(), part: None, billing, overrides, time: &[], extra_lines: &[] }
    }

    fn composed(terms: Terms<'_>, overrides: &[LineOverride]) -> Result<Invoice, Refusal> {
        compose(&seller(), &buyer(), terms, whole(overrides), day("2026-11-05"))
    }

    #[test]
    fn an_invoice_follows_from_template_customer_and_period() {
        let lines = [line("a", "400.00", VatCode::Percent23), line("b", "49.99", VatCode::Percent8)];
        let invoice = composed(terms(&lines), &[]).unwrap();
        assert_eq!(invoice.lines[0].text, "Obsługa za listopad 2026");
        assert_eq!(invoice.notes.as_deref(), Some("Dla Piekarnia Rogal"));
        assert_eq!(invoice.sold_on, day("2026-11-30"));
        assert_eq!(invoice.due_on, day("2026-11-19"));
        assert_eq!(invoice.bank_account.as_deref(), Some("PL61109010140000071219812874"));
        // 400.00 × 23 % = 92.00, 49.99 × 8 % = 3.9992, so 4.00
        assert_eq!(invoice.totals.net.to_string(), "449.99");
        assert_eq!(invoice.totals.vat.to_string(), "96.00");
        assert_eq!(invoice.totals.gross.to_string(), "545.99");
    }

    #[test]
    fn an_override_replaces_only_what_it_names() {
        let lines = [line("a", "400.00", VatCode::Percent23)];
        let overrides = [LineOverride {
            key: "a".to_owned(),
            quantity: Some("2".parse().unwrap()),
            unit_price: None,
            discount_percent: Some("10".parse().unwrap()),
        }];
        // 2 × 400.00 − 10 % = 720.00
        assert_eq!(composed(terms(&lines), &overrides).unwrap().totals.net.to_string(), "720.00");
    }

    #[test]
    fn part_of_a_period_costs_and_tells_its_days() {
        let used = Period { start_on: day("2026-11-19"), ..november() };
        let part = PartPeriod::of((november().start_on, november().end_on), (used.start_on, used.end_on));
        let extra = DraftLine {
            key: None,
            text: "Wdrożenie, {{period.month_name}}".to_owned(),
            quantity: "1".parse().unwrap(),
            unit: "szt.".to_owned(),
            unit_price: "300.00".parse().unwrap(),
            discount_percent: None,
            vat: LineVat { code: VatCode::Percent23, exemption_basis: None },
            pkwiu: None,
            gtu: None,
            annex_15: false,
        };
        let lines = [line("a", "100.00", VatCode::Percent23)];
        let overrides = [LineOverride {
            key: "a".to_owned(),
            quantity: None,
            unit_price: Some("200.00".parse().unwrap()),
            discount_percent: None,
        }];
        let occasion = Occasion { period: used, part, extra_lines: &[extra], ..whole(&overrides) };
        let of = |terms| compose(&seller(), &buyer(), terms, occasion, day("2026-11-30")).unwrap();
        let invoice = of(terms(&lines));
        let shown: Vec<_> =
            invoice.lines.iter().map(|it| format!("{} {} {}", it.text, it.unit_price, it.net)).collect();
        // 200.00 × 12 ÷ 30 = 80.00; what is billed once is billed whole.
        assert_eq!(shown, ["Obsługa za listopad 2026 (12/30 dni) 80.00 80.00", "Wdrożenie, listopad 300.00 300.00"]);
        assert_eq!((invoice.period, invoice.totals.net.to_string()), (Some(used), "380.00".to_owned()));
        let english = of(Terms { language: Language::English, ..terms(&lines) });
        assert_eq!(english.lines[0].text, "Obsługa za November 2026 (12/30 days)");
    }

    #[test]
    fn the_price_in_force_at_the_periods_start_counts() {
        use crate::price_change::ChangedPrice;
        let lines = [line("a", "400.00", VatCode::Percent23)];
        let change = |valid_from_on: &str, unit_price: &str| PriceChange {
            valid_from_on: day(valid_from_on),
            prices: vec![ChangedPrice {
                key: "a".to_owned(),
                unit_price_before: "0".parse().unwrap(),
                unit_price: unit_price.parse().unwrap(),
            }],
        };
        let changes = [change("2026-12-01", "600.00"), change("2026-11-01", "500.00"), change("2026-11-02", "550.00")];
        let changed = Terms { price_changes: &changes, ..terms(&lines) };
        assert_eq!(composed(changed, &[]).unwrap().totals.net.to_string(), "500.00");
        let own = LineOverride {
            key: "a".to_owned(),
            quantity: None,
            unit_price: Some("1.00".parse().unwrap()),
            discount_percent: None,
        };
        assert_eq!(composed(changed, &[own]).unwrap().totals.net.to_string(), "1.00");
    }

    #[test]
    fn vat_in_another_currency_is_told_by_the_table_of_the_day_that_counts() {
        let euro: Currency = "EUR".parse().unwrap();
        let buyer = Buyer { currency: euro, ..buyer() };
        let table =
            |rate: &str, on: &str| TableRate { rate: rate.parse().unwrap(), on: day(on), source: format!("NBP {on}") };
        let lines = [line("a", "100.00", VatCode::Percent23)];
        let issued = |rates: &ExchangeRates, on: &str| {
            let terms = Terms { currency: euro, exchange_rates: Some(rates), ..terms(&lines) };
            compose(&seller(), &buyer, terms, whole(&[]), day(on))
        };
        // November ends on a Monday. Issued before, the day of the issue counts, else the end of the period.
        let rates: ExchangeRates =
            [(euro, table("4.1000", "2026-11-10")), (euro, table("4.2517", "2026-11-27"))].into_iter().collect();
        let in_advance = issued(&rates, "2026-11-12").unwrap();
        // 23.00 × 4.1 = 94.30; 23.00 × 4.2517 = 97.7891
        assert_eq!(in_advance.vat_pln.unwrap().sum.to_string(), "94.30");
        let in_arrears = issued(&rates, "2026-12-03").unwrap();
        assert_eq!(in_arrears.vat_pln.unwrap().sum.to_string(), "97.79");
        assert_eq!(in_arrears.exchange_rate, Some(table("4.2517", "2026-11-27")));
        assert_eq!(issued(&rates, "2026-11-13"), Err(Refusal::ExchangeRateMissing), "no other day's will do");
        assert_eq!(issued(&NO_RATES, "2026-12-03"), Err(Refusal::ExchangeRateMissing));
        let draft = Terms { currency: euro, exchange_rates: None, ..terms(&lines) };
        let drafted = compose(&seller(), &buyer, draft, whole(&[]), day("2026-12-03")).unwrap();
        assert_eq!((drafted.totals, drafted.vat_pln), (in_arrears.totals, None), "it takes its rate when it is issued");
    }

    #[test]
    fn the_customers_payment_days_come_first() {
        let buyer = Buyer { payment_days: Some(30), ..buyer() };
        let lines = [line("a", "1.00", VatCode::Percent23)];
        let invoice = compose(&seller(), &buyer, terms(&lines), whole(&[]), day("2026-11-05")).unwrap();
        assert_eq!(invoice.due_on, day("2026-12-05"));
    }

    #[test]
    fn what_cannot_be_invoiced_says_why() {
        let lines = [line("a", "400.00", VatCode::Percent23)];
        let with = |seller: &Seller, buyer: &Buyer, terms: Terms<'_>| {
            compose(seller, buyer, terms, whole(&[]), day("2026-11-05")).unwrap_err().code()
        };
        let archived = Buyer { is_archived: true, ..buyer() };
        assert_eq!(with(&seller(), &archived, terms(&lines)), "customer_archived");
        assert_eq!(with(&seller(), &buyer(), Terms { is_archived: true, ..terms(&lines) }), "template_archived");
        let untaxed = Seller { party: Party { tax_number: None, ..party("Kropka") }, ..seller() };
        assert_eq!(with(&untaxed, &buyer(), terms(&lines)), "seller_tax_number_missing");
        let homeless = Buyer { party: Party { address: None, ..party("Rogal") }, ..buyer() };
        assert_eq!(with(&seller(), &homeless, terms(&lines)), "buyer_address_missing");
        let foreign = Buyer { currency: "EUR".parse().unwrap(), ..buyer() };
        assert_eq!(with(&seller(), &foreign, terms(&lines)), "currency_mismatch");
        let negative = [line("a", "-1.00", VatCode::Percent23)];
        assert_eq!(with(&seller(), &buyer(), terms(&negative)), "total_negative");
        let mixed = [line("a", "5.00", VatCode::Percent23), line("b", "-1.00", VatCode::Percent8)];
        assert_eq!(with(&seller(), &buyer(), terms(&mixed)), "vat_total_negative");
        let basis =
            LineBasis::Fixed { quantity: "9999999999".parse().unwrap(), unit_price: "999999999999".parse().unwrap() };
        let huge = [TemplateLine { basis, ..line("a", "1.00", VatCode::Exempt) }];
        assert_eq!(with(&seller(), &buyer(), terms(&huge)), "amount_overflow");
        let unknown = [TemplateLine { text: "{{period.moon}}".to_owned(), ..lines[0].clone() }];
        assert_eq!(with(&seller(), &buyer(), terms(&unknown)), "text_invalid");
        let long = [TemplateLine { text: "ą".repeat(LINE_TEXT_MAX + 1), ..lines[0].clone() }];
        assert_eq!(with(&seller(), &buyer(), terms(&long)), "text_too_long");
        let extra = DraftLine {
            key: None,
            text: "Wdrożenie".to_owned(),
            quantity: "1".parse().unwrap(),
            unit: "szt.".to_owned(),
            unit_price: "1.00".parse().unwrap(),
            discount_percent: None,
            vat: LineVat { code: VatCode::Percent23, exemption_basis: None },
            pkwiu: None,
            gtu: None,
            annex_15: false,
        };
        let many = vec![extra; LINES_MAX];
        let of = |extra_lines| {
            let occasion = Occasion { extra_lines, ..whole(&[]) };
            compose(&seller(), &buyer(), terms(&lines), occasion, day("2026-11-05")).map(|it| it.lines.len())
        };
        assert_eq!((of(&many), of(&many[1..])), (Err(Refusal::TooManyLines), Ok(LINES_MAX)));
    }

    #[test]
    fn an_override_of_no_line_is_refused() {
        let overrides =
            [LineOverride { key: "b".to_owned(), quantity: None, unit_price: None, discount_percent: None }];
        let lines = [line("a", "400.00", VatCode::Percent23)];
        assert_eq!(composed(terms(&lines), &overrides), Err(Refusal::OverriddenLineMissing));
    }

    fn time_line() -> TemplateLine {
        TemplateLine { basis: LineBasis::Time, ..line("hours", "0", VatCode::Percent23) }
    }

    fn time(costs: &[&str]) -> Vec<BillableTime> {
        let of = |cost: &&str| BillableTime { cost: Some(cost.parse().unwrap()), currency: Currency::PLN };
        costs.iter().map(of).collect()
    }

    #[test]
    fn a_time_line_bills_the_sum_of_the_entries_and_knows_no_days() {
        let time = time(&["112.50", "33.33", "15.16"]);
        let used = Period { start_on: day("2026-11-19"), ..november() };
        let part = PartPeriod::of((november().start_on, november().end_on), (used.start_on, used.end_on));
        let occasion = Occasion { period: used, part, time: &time, ..whole(&[]) };
        let lines = [line("a", "100.00", VatCode::Percent23), time_line()];
        let invoice = compose(&seller(), &buyer(), terms(&lines), occasion, day("2026-12-01")).unwrap();
        let shown: Vec<_> = invoice
            .lines
            .iter()
            .map(|it| format!("{} × {} {}, {} {}", it.quantity, it.unit, it.text, it.unit_price, it.net))
            .collect();
        // 112.50 + 33.33 + 15.16 = 160.99; 100.00 × 12 ÷ 30 = 40.00
        let months = "Obsługa za listopad 2026";
        assert_eq!(
            shown,
            [format!("1 × mies. {months} (12/30 dni), 40.00 40.00"), format!("1 × mies. {months}, 160.99 160.99")]
        );
        assert_eq!(invoice.lines[1].key.as_deref(), Some("hours"));
        let discounted = [TemplateLine { discount_percent: Some("10".parse().unwrap()), ..time_line() }];
        let invoice = compose(&seller(), &buyer(), terms(&discounted), occasion, day("2026-12-01")).unwrap();
        assert_eq!(invoice.totals.net.to_string(), "144.89"); // 160.99 − 16.099 = 144.891
    }

    #[test]
    fn time_that_costs_nothing_is_billed_beside_other_lines_and_makes_no_invoice_alone() {
        let time = time(&["0.00", "0.00"]);
        let of = |lines: &[TemplateLine]| {
            let occasion = Occasion { time: &time, ..whole(&[]) };
            compose(&seller(), &buyer(), terms(lines), occasion, day("2026-12-01"))
        };
        assert_eq!(of(&[time_line()]), Err(Refusal::NothingToBill));
        // Somebody has written down that it costs nothing.
        assert_eq!(of(&[line("a", "0", VatCode::Percent23)]).unwrap().totals.gross, Amount::ZERO);
        assert_eq!(of(&[line("a", "0", VatCode::Percent23), time_line()]).unwrap().lines.len(), 2);
    }

    #[test]
    fn without_time_the_line_is_left_out_and_alone_it_leaves_nothing_to_bill() {
        let invoice = composed(terms(&[time_line(), line("a", "100.00", VatCode::Percent23)]), &[]).unwrap();
        assert_eq!(invoice.lines.iter().map(|it| it.key.as_deref()).collect::<Vec<_>>(), [Some("a")]);
        assert_eq!(composed(terms(&[time_line()]), &[]), Err(Refusal::NothingToBill));
    }

    #[test]
    fn time_that_cannot_be_billed_says_why() {
        fn with(occasion: Occasion<'_>) -> &'static str {
            compose(&seller(), &buyer(), terms(&[time_line()]), occasion, day("2026-12-01")).unwrap_err().code()
        }
        fn of(time: &[BillableTime]) -> &'static str {
            with(Occasion { time, ..whole(&[]) })
        }
        let hours = time(&["1.00"]);
        let discount_percent = Some("5".parse().unwrap());
        let own = LineOverride { key: "hours".to_owned(), quantity: None, unit_price: None, discount_percent };
        assert_eq!(with(Occasion { time: &hours, ..whole(&[own]) }), "time_line_overridden");
        let billing = BillingTiming::InAdvance;
        assert_eq!(with(Occasion { time: &hours, billing, ..whole(&[]) }), "time_in_advance");
        assert_eq!(of(&[hours[0], BillableTime { cost: None, ..hours[0] }]), "time_unpriced");
        let euro = "EUR".parse().unwrap();
        assert_eq!(of(&[hours[0], BillableTime { currency: euro, ..hours[0] }]), "time_currency_mismatch");
        assert_eq!(of(&vec![hours[0]; billable_time::ENTRIES_MAX + 1]), "too_much_time");
        assert_eq!(of(&time(&["99999999999999.99", "0.01"])), "amount_overflow");
        // More than a price has room for, though not more than an amount.
        assert_eq!(of(&time(&["1000000000000.00"])), "amount_overflow");
    }

    #[test]
    fn a_line_is_kept_as_it_always_was() {
        let kept = r#"{"key":"a","kind":"fixed","text":"x","quantity":"2","unit":"h","unit_price":"49.90",
            "discount_percent":null,"vat":{"code":"23","exemption_basis":null},"pkwiu":null,"gtu":null}"#;
        let fixed: TemplateLine = serde_json::from_str(kept).unwrap();
        let basis = LineBasis::Fixed { quantity: "2".parse().unwrap(), unit_price: "49.90".parse().unwrap() };
        assert_eq!((fixed.basis, fixed.annex_15), (basis, false));
        for line in [fixed, time_line()] {
            let json = serde_json::to_value(&line).unwrap();
            assert_eq!(json["kind"], line.basis.kind().as_str());
            assert_eq!(serde_json::from_value::<TemplateLine>(json).unwrap(), line);
        }
    }

    #[test]
    fn totals_stand_per_currency() {
        let euro: Currency = "EUR".parse().unwrap();
        let of = |net: &str| {
            let price = Line {
                quantity: "1".parse().unwrap(),
                unit_price: net.parse().unwrap(),
                discount_percent: None,
                vat: VatCode::Percent23,
            };
            totals(&[price], PriceMode::Net).unwrap()
        };
        let mut sums = Vec::new();
        for (currency, net) in [(Currency::PLN, "100.00"), (euro, "10.00"), (Currency::PLN, "1.00")] {
            CurrencyTotal::of(currency, &of(net)).add_to(&mut sums).unwrap();
        }
        let shown: Vec<_> =
            sums.iter().map(|it| format!("{} {} {} {}", it.currency, it.net, it.vat, it.gross)).collect();
        assert_eq!(shown, ["EUR 10.00 2.30 12.30", "PLN 101.00 23.23 124.23"]);
    }
}
