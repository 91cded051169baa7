//! Drafts: made, changed, thrown away or issued.

use super::body::{InvoiceBody, TableRateBody};
use super::{one, time_entries};
use crate::actor::Actor;
use crate::body::{Patch, Valid, wrong_field};
use crate::extra_lines;
use crate::invoice_templates::{LineVatBody, basis_where_exempt};
use crate::listing::Id;
use crate::occurrences;
use crate::once::Once;
use crate::precondition::IfMatch;
use crate::problem::{ApiError, Wrong};
use crate::reply::Reply;
use crate::state::State;
use crate::values::capitalised;
use actix_web::{delete, patch, post, web};
use chrono::NaiveDate;
use opiekun_domain::billing::Refusal;
use opiekun_domain::calendar_day::day_of;
use opiekun_domain::currency::Currency;
use opiekun_domain::decimal::{ExchangeRate, Percent, Quantity, UnitPrice};
use opiekun_domain::e_invoice;
use opiekun_domain::ids::{CustomerId, InvoiceId, NumberSeriesId};
use opiekun_domain::invoice::{InvoiceKind, InvoiceStatus, PaymentMethod, PriceMode, TableRate};
use opiekun_domain::invoice_draft::{DraftLine, InvoiceDraft, PaymentTerm};
use opiekun_domain::language::Language;
use opiekun_domain::permission::Permission;
use opiekun_persistence::customers::Customer;
use opiekun_persistence::invoices::{Invoice, InvoiceLine, NewDraft};
use opiekun_persistence::{
    Json, StoreError, Tx, customers, exchange_rates, invoice_emails, invoice_time_entries, invoices, number_series,
    organizations, subscriptions,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use validator::{Validate, ValidationError};

/// Where neither the invoice nor its customer says by when it is to be paid.
pub(super) const PAYMENT_DAYS_DEFAULT: i16 = 14;

/// What a caller may write of a draft.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[validate(schema(function = one_payment_term, skip_on_field_errors = false))]
#[validate(schema(function = rate_of_another_currency, skip_on_field_errors = false))]
pub struct InvoiceInput {
    /// `invoice` unless told, or `pro_forma`: an offer for which nothing is owed. It stays as it was made. A correction
    /// is made at the invoice that it corrects.
    #[schema(default = "invoice")]
    #[serde(default = "invoice")]
    #[validate(custom(function = no_correction))]
    pub kind: InvoiceKind,
    /// The buyer. One that was made from a template or a pro forma keeps its own.
    pub customer_id: CustomerId,
    /// The number series that it takes its number from at the issue: one of its kind.
    pub series_id: NumberSeriesId,
    /// The customer's unless told.
    #[serde(default)]
    pub currency: Option<Currency>,
    /// Whether unit prices are net or gross; net unless told.
    #[schema(default = "net")]
    #[serde(default = "net")]
    pub price_mode: PriceMode,
    #[schema(min_items = 1, max_items = 100)]
    #[validate(nested)]
    pub lines: Vec<InvoiceLineInput>,
    /// Days from the issue to the day of payment; without `due_on` the customer's unless told, or 14.
    #[schema(minimum = 0, maximum = 365)]
    #[serde(default)]
    pub payment_days: Option<i16>,
    /// The day of payment, in place of `payment_days`.
    #[serde(default)]
    pub due_on: Option<NaiveDate>,
    #[schema(default = "transfer")]
    #[serde(default = "transfer")]
    pub payment_method: PaymentMethod,
    /// The IBAN to pay to; the organization's first account in the currency unless told.
    #[schema(pattern = r"^[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}$")]
    #[serde(default)]
    pub bank_account: Option<String>,
    /// Stands below the lines.
    #[schema(max_length = 2000)]
    #[serde(default)]
    pub notes: Option<String>,
    /// The customer's unless told.
    #[serde(default)]
    pub language: Option<Language>,
    /// When the goods were handed over or the service was done; the day of the issue unless told.
    #[serde(default)]
    pub sold_on: Option<NaiveDate>,
    /// What tells its VAT in złoty. Without it an invoice takes, when it is issued, the rate of `/exchange-rates` that the
    /// law asks for; one in another currency with Polish VAT can't be issued where there is neither.
    #[serde(default)]
    pub exchange_rate: Option<TableRateBody>,
}

/// A line of a draft.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[schema(example = json!({
    "text": "Training", "quantity": "2", "unit": "day", "unit_price": "1200.00", "discount_percent": null,
    "vat": { "code": "23", "exemption_basis": null }, "pkwiu": null, "gtu": null, "annex_15": false,
}))]
#[serde(deny_unknown_fields)]
pub struct InvoiceLineInput {
    /// Of the template's or the extra line that it was drafted from; a draft takes no other. The time that a line bills is
    /// given back when none has its key any more, or for a quantity of 0; an extra line waits for the next invoice of the
    /// subscription again when none has its key any more.
    #[schema(pattern = r"^[a-z][a-z0-9_]{0,39}$")]
    #[serde(default)]
    pub key: Option<String>,
    #[schema(min_length = 1, max_length = 512)]
    pub text: String,
    pub quantity: Quantity,
    #[schema(min_length = 1, max_length = 20)]
    pub unit: String,
    /// Net or gross, as `price_mode` says.
    pub unit_price: UnitPrice,
    #[serde(default)]
    pub discount_percent: Option<Percent>,
    #[validate(custom(function = basis_where_exempt))]
    pub vat: LineVatBody,
    /// Of the Polish classification of goods and services.
    #[schema(pattern = r"^[0-9A-Z.]{1,20}$")]
    #[serde(default)]
    pub pkwiu: Option<String>,
    /// The group of goods and services in the VAT register.
    #[schema(pattern = r"^GTU_(0[1-9]|1[0-3])$")]
    #[serde(default)]
    pub gtu: Option<String>,
    /// Whether it is of the goods and services that ustawa o VAT names in Annex 15.
    #[serde(default)]
    pub annex_15: bool,
}

/// When a draft is issued.
#[derive(Debug, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct IssuanceInput {
    /// Today in the organization's time zone unless told; not later, and not before the last of its series.
    #[schema(example = "2026-01-30")]
    #[serde(default)]
    pub issued_on: Option<NaiveDate>,
}

/// What an invoice has of its own that is made from a pro forma.
#[derive(Debug, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct FinalInvoiceInput {
    /// The number series that it takes its number from at the issue: one of kind `invoice`.
    pub series_id: NumberSeriesId,
    /// When the goods were handed over or the service was done; the day of the issue unless told.
    #[schema(example = "2026-01-30")]
    #[serde(default)]
    pub sold_on: Option<NaiveDate>,
}

const fn invoice() -> InvoiceKind {
    InvoiceKind::Invoice
}

const fn net() -> PriceMode {
    PriceMode::Net
}

const fn transfer() -> PaymentMethod {
    PaymentMethod::Transfer
}

fn no_correction(kind: &InvoiceKind) -> Result<(), ValidationError> {
    match kind {
        InvoiceKind::Invoice | InvoiceKind::ProForma => Ok(()),
        InvoiceKind::Correction => {
            Err(ValidationError::new("kind")
                .with_message("A correction is made at the invoice that it corrects".into()))
        }
    }
}

fn one_payment_term(input: &InvoiceInput) -> Result<(), ValidationError> {
    either_term(input.payment_days, input.due_on)
}

/// So many days to pay, or the day by which is to be paid.
pub(super) fn either_term(payment_days: Option<i16>, due_on: Option<NaiveDate>) -> Result<(), ValidationError> {
    if payment_days.is_some() && due_on.is_some() {
        return Err(wrong_field("due_on", "exclusive", "Either this or `payment_days`"));
    }
    Ok(())
}

/// That a rate for złoty is too much, only the customer's currency may tell; see [`InvoiceInput::draft`].
fn rate_of_another_currency(input: &InvoiceInput) -> Result<(), ValidationError> {
    match &input.exchange_rate {
        Some(table) if table.rate == ExchangeRate::default() => {
            Err(wrong_field("exchange_rate", "minimum", "A rate is more than 0"))
        }
        _ => Ok(()),
    }
}

impl InvoiceInput {
    fn draft(self, customer: &Customer) -> Result<InvoiceDraft, ApiError> {
        let currency = self.currency.unwrap_or(customer.fields.currency);
        if currency == Currency::PLN && self.exchange_rate.is_some() {
            return Err(ApiError::invalid_field("/exchange_rate", "not_expected", "In złoty there is no rate"));
        }
        let payment_days = || self.payment_days.or(customer.fields.payment_days).unwrap_or(PAYMENT_DAYS_DEFAULT);
        Ok(InvoiceDraft {
            kind: self.kind,
            sold_on: self.sold_on,
            payment_term: self.due_on.map_or_else(|| PaymentTerm::Days(payment_days()), PaymentTerm::On),
            currency,
            exchange_rate: self.exchange_rate.map(TableRate::from),
            price_mode: self.price_mode,
            payment_method: self.payment_method,
            bank_account: self.bank_account,
            notes: self.notes,
            language: self.language.unwrap_or(customer.fields.language),
            lines: self.lines.into_iter().map(DraftLine::from).collect(),
        })
    }

    /// What was written of a draft; `None` of one without a series.
    fn of(row: &Invoice, lines: Vec<InvoiceLine>) -> Option<Self> {
        let InvoiceDraft {
            kind,
            sold_on,
            payment_term,
            currency,
            exchange_rate,
            price_mode,
            payment_method,
            bank_account,
            notes,
            language,
            lines,
        } = row.draft(lines);
        let (payment_days, due_on) = match payment_term {
            PaymentTerm::Days(days) => (Some(days), None),
            PaymentTerm::On(day) => (None, Some(day)),
        };
        Some(Self {
            kind,
            customer_id: row.fields.customer_id,
            series_id: row.fields.series_id?,
            currency: Some(currency),
            price_mode,
            lines: lines.into_iter().map(InvoiceLineInput::from).collect(),
            payment_days,
            due_on,
            payment_method,
            bank_account,
            notes,
            language: Some(language),
            sold_on,
            exchange_rate: exchange_rate.map(TableRateBody::from),
        })
    }
}

impl From<InvoiceLineInput> for DraftLine {
    fn from(input: InvoiceLineInput) -> Self {
        let InvoiceLineInput { key, text, quantity, unit, unit_price, discount_percent, vat, pkwiu, gtu, annex_15 } =
            input;
        let vat = vat.into();
        Self { key, text, quantity, unit, unit_price, discount_percent, vat, pkwiu, gtu, annex_15 }
    }
}

impl From<DraftLine> for InvoiceLineInput {
    fn from(line: DraftLine) -> Self {
        let DraftLine { key, text, quantity, unit, unit_price, discount_percent, vat, pkwiu, gtu, annex_15 } = line;
        let vat = vat.into();
        Self { key, text, quantity, unit, unit_price, discount_percent, vat, pkwiu, gtu, annex_15 }
    }
}

/// Why a draft can't be written, told of the field or the record that has to change.
pub(super) fn refused(refusal: Refusal) -> ApiError {
    let detail = capitalised(&refusal.to_string());
    match refusal {
        Refusal::AmountOverflow
        | Refusal::TotalNegative
        | Refusal::VatTotalNegative
        | Refusal::TextTooLong
        | Refusal::TextInvalid => ApiError::invalid_field("/lines", refusal.code(), detail),
        Refusal::Inexpressible(problem) => ApiError::invalid_field(&problem.pointer(), problem.code(), detail),
        _ => ApiError::state_invalid(refusal.code(), detail),
    }
}

/// Why a draft can't be issued as it is, by a request that holds none of its fields. What the structured e-invoice
/// can't tell is named by the invoice's own field.
fn unissuable(refusal: Refusal) -> ApiError {
    match refusal {
        Refusal::Inexpressible(_) => refused(refusal),
        _ => ApiError::state_invalid(refusal.code(), capitalised(&refusal.to_string())),
    }
}

/// Lines have keys of the template's that a draft was made from, which are `known`, and none of their own.
pub(super) fn check_keys(pointer: &str, lines: &[InvoiceLineInput], known: &[Option<String>]) -> Result<(), ApiError> {
    let mut wrong = Vec::new();
    for (index, line) in lines.iter().enumerate().filter(|(_, line)| line.key.is_some()) {
        let (code, detail) = if !known.contains(&line.key) {
            ("no_such_line", "The draft was made from no line with this key")
        } else if lines.iter().take(index).any(|other| other.key == line.key) {
            ("uniqueItems", "The keys of lines differ from each other")
        } else {
            continue;
        };
        wrong.push(Wrong::field(format!("{pointer}/{index}/key"), code, detail));
    }
    if wrong.is_empty() { Ok(()) } else { Err(ApiError::invalid(wrong)) }
}

/// The series of a draft, which has to be one of its kind.
pub(super) fn check_series(tx: &mut Tx<'_>, id: NumberSeriesId, kind: InvoiceKind) -> Result<(), ApiError> {
    let series = number_series::find_all(tx, &[id])?.pop();
    match series.ok_or_else(|| StoreError::no_reference("invoices", "series_id"))?.fields.kind {
        of if of == kind => Ok(()),
        _ => Err(ApiError::invalid_field("/series_id", "kind", "The series numbers documents of another kind")),
    }
}

/// Gives a draft without a rate that of the table which counts for it if issued on a day, where there is one.
pub(super) fn take_table_rate(tx: &mut Tx<'_>, draft: &mut InvoiceDraft, issued_on: NaiveDate) -> Result<(), ApiError> {
    if let Some((currency, day)) = draft.table_wanted(issued_on) {
        draft.exchange_rate = exchange_rates::quoted(tx, [currency], day..=day)?.on(currency, day).cloned();
    }
    Ok(())
}

/// What is written of a draft, priced between the two as they are now.
fn new_draft(tx: &mut Tx<'_>, input: InvoiceInput, pro_forma_id: Option<InvoiceId>) -> Result<NewDraft, ApiError> {
    let (customer_id, series_id) = (input.customer_id, input.series_id);
    check_series(tx, series_id, input.kind)?;
    let customer = customers::find_all(tx, &[customer_id])?.pop();
    let customer = customer.ok_or_else(|| StoreError::no_reference("invoices", "customer_id"))?;
    let draft = input.draft(&customer)?;
    let (seller, buyer) = (organizations::find(tx)?.seller().party, customer.buyer().party);
    let priced = draft.price(&seller, &buyer).map_err(refused)?;
    Ok(NewDraft { series_id, customer_id, seller, buyer, draft, priced, pro_forma_id })
}

/// What is no draft stays as it is.
fn unless_draft(invoice: &Invoice) -> Result<(), ApiError> {
    match invoice.fields.status {
        InvoiceStatus::Draft => Ok(()),
        status => Err(ApiError::state_invalid(status.as_str(), "Only a draft can be changed, thrown away or issued")),
    }
}

pub(super) fn created(body: &InvoiceBody) -> Reply {
    Reply::created(&format!("/api/v1/invoices/{}", body.id), body.version, body)
}

/// Draft a one-off invoice or a pro forma.
///
/// It has no number and binds nobody; its sums are those that it would be issued with today, and neither in all
/// (`total_negative`) nor at any VAT rate (`vat_total_negative`) less than nothing. It is issued by
/// `POST /invoices/{id}/issuance`.
#[utoipa::path(tag = "Invoices", security(("sign_in" = ["billing:write"])),
    extensions(("x-idempotency-required" = json!(true))), request_body = InvoiceInput,
    responses((status = 201, body = InvoiceBody)))]
#[post("/invoices")]
pub async fn create_invoice(
    state: web::Data<State>,
    actor: Actor,
    once: Once,
    input: Valid<InvoiceInput>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::BillingWrite)?;
    state
        .submit(scope, once, move |tx| {
            check_keys("/lines", &input.0.lines, &[])?;
            let new = new_draft(tx, input.0, None)?;
            let draft = invoices::create_draft(tx, new)?;
            Ok(created(&one(tx, draft)?))
        })
        .await
}

/// Change a draft.
///
/// `lines` are replaced whole, and the sums with them. Time that they bill no more is given back: the next time line of
/// the customer bills it, whatever its day, unless it is made not billable before. An extra line that is
/// none of them any more waits for the next invoice again, as its key tells. While they bill time, `currency` stays
/// (`time_currency_mismatch`) and prices are net (`time_is_net`). What is issued or thrown away stays as it is, and so
/// does a correction, which is thrown away and made anew: 409.
#[utoipa::path(tag = "Invoices", security(("sign_in" = ["billing:write"])), params(IfMatch),
    request_body(content = InvoiceInput, content_type = "application/merge-patch+json"),
    responses((status = 200, body = InvoiceBody)))]
#[patch("/invoices/{id}")]
pub async fn update_invoice(
    state: web::Data<State>,
    actor: Actor,
    id: Id<InvoiceId>,
    seen: IfMatch,
    patch: Patch<InvoiceInput>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::BillingWrite)?;
    state
        .transaction(scope, move |tx| {
            let draft = invoices::lock(tx, id.0, seen.0)?;
            unless_draft(&draft)?;
            if draft.fields.kind == InvoiceKind::Correction {
                let detail = "A correction is thrown away and made anew";
                return Err(ApiError::state_invalid(InvoiceKind::Correction.as_str(), detail));
            }
            let lines = invoices::lines_of(tx, &[draft.id])?.remove(&draft.id).unwrap_or_default();
            let keys: Vec<Option<String>> = lines.iter().map(|line| line.key.clone()).collect();
            let mut before =
                InvoiceInput::of(&draft, lines.clone()).ok_or_else(|| ApiError::internal("a draft without series"))?;
            // Whichever of the two terms is given takes the place of the other.
            if patch.field("due_on").is_some_and(|day| !day.is_null()) {
                before.payment_days = None;
            } else if patch.field("payment_days").is_some_and(|days| !days.is_null()) {
                before.due_on = None;
            }
            let after = patch.apply(&before)?;
            if after.kind != before.kind {
                return Err(ApiError::invalid_field("/kind", "fixed", "A draft stays of the kind that it was made as"));
            }
            let fields = &draft.fields;
            let has_origin = fields.template_id.is_some() || fields.pro_forma_id.is_some();
            if after.customer_id != before.customer_id && has_origin {
                return Err(ApiError::invalid_field(
                    "/customer_id",
                    "fixed",
                    "It is the customer's for whom it was made",
                ));
            }
            check_keys("/lines", &after.lines, &keys)?;
            let new = new_draft(tx, after, fields.pro_forma_id)?;
            time_entries::check_terms(tx, &draft, &new.draft)?;
            if time_entries::give_back_unless_billed(tx, draft.id, &new.draft.lines)? {
                invoice_time_entries::remove(tx, draft.id)?;
            }
            extra_lines::give_back_unless_billed(tx, &draft, &keys, &new.draft.lines)?;
            let draft = invoices::update_draft(tx, &draft, &lines, new)?;
            let body = one(tx, draft)?;
            Ok(Reply::at_version(body.version, &body))
        })
        .await
}

/// Throw a draft away.
///
/// It becomes `void`: it can still be read, and never changes again. The period that a run drafted it for is `planned`
/// again, and the next run bills it anew, with the extra lines that were on the draft and the time that is given back.
/// What is issued stays, and is corrected: 409.
#[utoipa::path(tag = "Invoices", security(("sign_in" = ["billing:write"])), params(IfMatch),
    responses((status = 204)))]
#[delete("/invoices/{id}")]
pub async fn void_invoice(
    state: web::Data<State>,
    actor: Actor,
    id: Id<InvoiceId>,
    seen: IfMatch,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::BillingWrite)?;
    state
        .transaction(scope, move |tx| {
            let draft = invoices::lock(tx, id.0, seen.0)?;
            unless_draft(&draft)?;
            occurrences::give_back(tx, draft.id)?;
            invoice_time_entries::give_back(tx, draft.id)?;
            invoices::void(tx, &draft)?;
            Ok(Reply::empty())
        })
        .await
}

/// Issue a draft.
///
/// It gets the next number of its series, without gap or double, and takes seller and buyer as they are now (a
/// correction the buyer of its draft); from then on it never changes. An invoice in another currency without a rate takes
/// that of `/exchange-rates`, of the last working day before its sale, or before its issue where that is earlier. A
/// correction by which an invoice bills its time no more gives the time back: the next time line of the customer bills
/// it, whatever its day, unless it is made not billable before. 409 names what is missing: an
/// address of the buyer (`buyer_address_missing`), a tax number of the seller (`seller_tax_number_missing`), a rate
/// (`exchange_rate_missing`), that only a correction may be about less than nothing at a VAT rate
/// (`vat_total_negative`), or that it is no draft any more. 422 names the field of the invoice that the structured
/// e-invoice FA(3) cannot tell: `/seller/tax_id` without a NIP, say, or `/lines/0/quantity` below 0.
/// What a run has drafted for a subscription is sent to the customer then, if its invoices are.
#[utoipa::path(tag = "Invoices", security(("sign_in" = ["billing:write"])), request_body = IssuanceInput,
    responses((status = 200, body = InvoiceBody)))]
#[post("/invoices/{id}/issuance")]
pub async fn issue_invoice(
    state: web::Data<State>,
    actor: Actor,
    id: Id<InvoiceId>,
    once: Once,
    input: Valid<IssuanceInput>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::BillingWrite)?;
    state
        .submit(scope, once, move |tx| {
            let draft = invoices::lock(tx, id.0, None)?;
            unless_draft(&draft)?;
            let organization = organizations::find(tx)?;
            let today = day_of(tx.now, organization.time_zone());
            let issued_on = input.0.issued_on.unwrap_or(today);
            if issued_on > today {
                return Err(ApiError::invalid_field("/issued_on", "maximum", "Nothing is issued ahead of its day"));
            }
            let customer = customers::find(tx, draft.fields.customer_id)?;
            let lines = invoices::lines_of(tx, &[draft.id])?.remove(&draft.id).unwrap_or_default();
            let emails_invoices = organization.fields.email_invoices;
            let (seller, mut buyer) = (organization.seller(), customer.buyer());
            if draft.fields.kind == InvoiceKind::Correction {
                // It says whose the invoice is, changed or as it was; what became of the customer since is no part of it.
                buyer.party = draft.fields.buyer.0.clone();
            }
            let mut said = draft.draft(lines);
            if let Some(corrected_id) = draft.correction.corrects_id {
                time_entries::give_back_unless_billed(tx, corrected_id, &said.lines)?;
            }
            take_table_rate(tx, &mut said, issued_on)?;
            let mut invoice = said.issue(&seller, &buyer, issued_on).map_err(unissuable)?;
            if let Some(Json(stood)) = &draft.correction.before {
                let before = draft.draft(stood.lines.clone()).price(&seller.party, &stood.buyer).map_err(unissuable)?;
                invoice = invoice.correcting(&before).map_err(|overflow| unissuable(overflow.into()))?;
                let reason = draft.correction.correction_reason.as_deref().unwrap_or_default();
                e_invoice::check_correction(reason, &stood.buyer, &before.lines, &invoice.buyer)
                    .map_err(|problem| unissuable(problem.into()))?;
            }
            let series_id = draft.fields.series_id.ok_or_else(|| ApiError::internal("a draft without series"))?;
            let number = number_series::next(tx, series_id, issued_on)?.ok_or_else(|| {
                ApiError::invalid_field("/issued_on", "minimum", "The last of its series is dated after that day")
            })?;
            let issued = invoices::issue(tx, &draft, number, invoice)?;
            if let Some(id) = issued.fields.subscription_id
                && issued.fields.kind == InvoiceKind::Invoice
                && subscriptions::find(tx, id)?.fields.email_invoices.are_sent(emails_invoices)
            {
                invoice_emails::queue_issued(tx, &[issued.id])?;
            }
            let body = one(tx, issued)?;
            Ok(Reply::at_version(body.version, &body))
        })
        .await
}

/// Draft the invoice of a pro forma.
///
/// A copy of it, but for what only an invoice has: number, day of sale, exchange rate. It can be changed like any other
/// draft, and is issued by itself. A pro forma has one invoice: 409 once there is one that was not thrown away.
#[utoipa::path(tag = "Invoices", security(("sign_in" = ["billing:write"])),
    extensions(("x-idempotency-required" = json!(true))), request_body = FinalInvoiceInput,
    responses((status = 201, body = InvoiceBody)))]
#[post("/invoices/{id}/final-invoice")]
pub async fn make_final_invoice(
    state: web::Data<State>,
    actor: Actor,
    id: Id<InvoiceId>,
    once: Once,
    input: Valid<FinalInvoiceInput>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::BillingWrite)?;
    let FinalInvoiceInput { series_id, sold_on } = input.0;
    state
        .submit(scope, once, move |tx| {
            // Locked, so that of two who make its invoice at once the second finds the first one's.
            let pro_forma = invoices::lock(tx, id.0, None)?;
            let fields = &pro_forma.fields;
            if fields.kind != InvoiceKind::ProForma || fields.status != InvoiceStatus::Issued {
                let state =
                    if fields.kind == InvoiceKind::ProForma { fields.status.as_str() } else { fields.kind.as_str() };
                return Err(ApiError::state_invalid(state, "Only an issued pro forma becomes an invoice"));
            }
            if invoices::has_final_invoice(tx, pro_forma.id)? {
                return Err(ApiError::state_invalid("invoiced", "The pro forma has an invoice already"));
            }
            let lines = invoices::lines_of(tx, &[pro_forma.id])?.remove(&pro_forma.id).unwrap_or_default();
            let copied = InvoiceInput::of(&pro_forma, lines).ok_or_else(|| ApiError::internal("one without series"))?;
            let input = InvoiceInput {
                kind: InvoiceKind::Invoice,
                series_id,
                sold_on,
                exchange_rate: None,
                // Its own day of payment was the pro forma's.
                payment_days: fields.payment_days,
                due_on: None,
                ..copied
            };
            let new = new_draft(tx, input, Some(pro_forma.id))?;
            let draft = invoices::create_draft(tx, new)?;
            Ok(created(&one(tx, draft)?))
        })
        .await
}
