//! What customers owe: the account of one, and all of them by age.

use crate::actor::Actor;
use crate::listing::{Filters, Id};
use crate::problem::ApiError;
use crate::state::State;
use crate::stream::{Chunks, streamed};
use crate::time_cost::{ReportFormat, cell, format_of, period_named};
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, get, web};
use chrono::NaiveDate;
use opiekun_documents::csv::CsvWriter;
use opiekun_domain::currency::Currency;
use opiekun_domain::decimal::AmountSum;
use opiekun_domain::ids::CustomerId;
use opiekun_domain::permission::Permission;
use opiekun_domain::statement::EntryKind;
use opiekun_persistence::statements::{self, Receivable, ReceivableAges, StatementEntry, StatementQuery};
use opiekun_persistence::{Tx, customers, organizations};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::ops::ControlFlow;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;

pub fn routes(config: &mut ServiceConfig) {
    config.service(show_customer_statement).service(report_receivables);
}

/// Which part of a customer's account.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct StatementParameters {
    /// The first day; the first of the year of `to_on` unless told.
    #[param(example = "2026-01-01")]
    from_on: Option<NaiveDate>,
    /// The last day, which still counts; today unless told. At most ten years from the first.
    #[param(example = "2026-12-31")]
    to_on: Option<NaiveDate>,
    /// The customer's unless told.
    #[param(example = "PLN")]
    currency: Option<Currency>,
    /// `csv` where `Accept` cannot be set.
    #[param(inline)]
    format: Option<ReportFormat>,
    /// Begins CSV with a byte order mark, which some spreadsheets want.
    bom: Option<bool>,
}

/// A customer's account in one currency.
#[derive(Debug, Serialize, ToSchema)]
pub struct CustomerStatement {
    #[serde(flatten)]
    head: StatementHead,
    /// In the order of days; of one day, invoices and corrections before payments.
    #[schema(max_items = 1000000)]
    entries: Vec<StatementEntryBody>,
    #[serde(flatten)]
    sums: StatementSums,
}

/// Whose account it is, and how it stood at first.
#[derive(Debug, Serialize, ToSchema)]
pub struct StatementHead {
    customer_id: CustomerId,
    /// Of every amount in it.
    currency: Currency,
    from_on: NaiveDate,
    /// It still counts.
    to_on: NaiveDate,
    /// What the customer owed when the first day began; below 0, what the customer had paid too much.
    opening_balance: AmountSum,
}

/// What the entries come to.
#[derive(Debug, Serialize, ToSchema)]
pub struct StatementSums {
    /// The sum of invoices and corrections.
    invoiced: AmountSum,
    /// The sum of payments.
    paid: AmountSum,
    /// What is owed when the last day has ended: opening balance + invoiced − paid.
    closing_balance: AmountSum,
}

/// One thing that changed what the customer owes.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StatementEntry, example = json!({
    "entered_on": "2026-11-23", "kind": "invoice", "id": "0192f0c6-3333-7000-8000-000000000003", "text": "FV/1/11/2026",
    "amount": "553.50", "balance": "553.50",
}))]
pub struct StatementEntryBody {
    /// The day of issue, or that on which was paid.
    entered_on: NaiveDate,
    kind: EntryKind,
    /// Of the invoice, the correction or the payment.
    id: Uuid,
    /// The number of an invoice or correction, the reference of a payment.
    #[schema(max_length = 240)]
    text: Option<String>,
    /// What is owed more by it; less where it is below 0, as with a payment.
    amount: AmountSum,
    /// What is owed after it.
    balance: AmountSum,
}

/// Of which day, and how it is written.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ReceivablesParameters {
    /// The day at whose end it is told; today unless told.
    #[param(example = "2026-12-31")]
    on: Option<NaiveDate>,
    /// `csv` where `Accept` cannot be set.
    #[param(inline)]
    format: Option<ReportFormat>,
    /// Begins CSV with a byte order mark, which some spreadsheets want.
    bom: Option<bool>,
}

/// What is owed to the organization.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReceivablesReport {
    /// The day at whose end it is told.
    as_of_on: NaiveDate,
    /// By the customers' names; one for each currency.
    #[schema(max_items = 1000000)]
    rows: Vec<ReceivableBody>,
    /// The sums of the rows, for each currency.
    #[schema(max_items = 200)]
    totals: Vec<ReceivableTotalBody>,
}

/// What a customer owes in one currency.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Receivable)]
pub struct ReceivableBody {
    customer_id: CustomerId,
    #[schema(max_length = 240, example = "Piekarnia Złoty Kłos sp. z o.o.")]
    customer_name: String,
    currency: Currency,
    #[serde(flatten)]
    ages: ReceivableAgesBody,
}

/// What all customers owe in one currency.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReceivableTotal)]
pub struct ReceivableTotalBody {
    currency: Currency,
    #[serde(flatten)]
    ages: ReceivableAgesBody,
}

/// What is owed, by how many days have gone by since the day of payment.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReceivableAges)]
pub struct ReceivableAgesBody {
    not_yet_due: AmountSum,
    days_1_to_30: AmountSum,
    days_31_to_60: AmountSum,
    days_61_to_90: AmountSum,
    days_over_90: AmountSum,
    total: AmountSum,
}

impl From<ReceivableAges> for ReceivableAgesBody {
    fn from(ages: ReceivableAges) -> Self {
        let ReceivableAges { not_yet_due, days_1_to_30, days_31_to_60, days_61_to_90, days_over_90, total } = ages;
        Self { not_yet_due, days_1_to_30, days_31_to_60, days_61_to_90, days_over_90, total }
    }
}

/// Show a customer's account.
///
/// What was owed at first, every issued invoice and correction and every payment in their order, and what is owed then.
/// A pro forma is not owed for. As JSON, or as CSV (by `Accept: text/csv` or `format=csv`), whose first and last rows are
/// the balances. Sent as it is read, however long.
#[utoipa::path(tag = "Payments", security(("sign_in" = ["billing:read"])), params(StatementParameters),
    responses((status = 200, content((CustomerStatement = "application/json"), (String = "text/csv")))))]
#[get("/customers/{id}/statement")]
async fn show_customer_statement(
    req: HttpRequest,
    state: web::Data<State>,
    actor: Actor,
    id: Id<CustomerId>,
    parameters: Filters<StatementParameters>,
) -> Result<HttpResponse, ApiError> {
    let scope = actor.scope(Permission::BillingRead)?;
    let parameters = parameters.0;
    match parameters.format.unwrap_or_else(|| format_of(&req)) {
        ReportFormat::Json => {
            streamed(state, scope, json(), move |tx, out| write_statement(tx, id.0, &parameters, out)).await
        }
        ReportFormat::Csv => {
            let response = csv("attachment; filename=\"statement.csv\"");
            streamed(state, scope, response, move |tx, out| write_statement_csv(tx, id.0, &parameters, out)).await
        }
    }
}

/// Report receivables by age.
///
/// What was owed when a day ended, for each customer and currency: not yet due, and 1–30, 31–60, 61–90 and more than 90
/// days after the day of payment. Payments count from their day and corrections from that of their issue, so that the
/// report of a day gone by stays as it was unless something is entered for that day later. Credit that no invoice has
/// got is not taken off. As JSON, or as CSV (by `Accept: text/csv` or `format=csv`) without totals. Sent as it is read.
#[utoipa::path(tag = "Reports", security(("sign_in" = ["reports:read"])), params(ReceivablesParameters),
    responses((status = 200, content((ReceivablesReport = "application/json"), (String = "text/csv")))))]
#[get("/reports/receivables")]
async fn report_receivables(
    req: HttpRequest,
    state: web::Data<State>,
    actor: Actor,
    parameters: Filters<ReceivablesParameters>,
) -> Result<HttpResponse, ApiError> {
    let scope = actor.scope(Permission::ReportsRead)?;
    let parameters = parameters.0;
    match parameters.format.unwrap_or_else(|| format_of(&req)) {
        ReportFormat::Json => {
            streamed(state, scope, json(), move |tx, out| write_receivables(tx, &parameters, out)).await
        }
        ReportFormat::Csv => {
            let response = csv("attachment; filename=\"receivables.csv\"");
            streamed(state, scope, response, move |tx, out| write_receivables_csv(tx, &parameters, out)).await
        }
    }
}

pub(crate) fn json() -> actix_web::HttpResponseBuilder {
    let mut response = HttpResponse::Ok();
    response.content_type("application/json");
    response
}

pub(crate) fn csv(disposition: &'static str) -> actix_web::HttpResponseBuilder {
    let mut response = HttpResponse::Ok();
    response.content_type("text/csv; charset=utf-8");
    response.insert_header((header::CONTENT_DISPOSITION, disposition));
    response
}

fn write_statement(
    tx: &mut Tx<'_>,
    id: CustomerId,
    parameters: &StatementParameters,
    out: &mut Chunks,
) -> Result<(), ApiError> {
    let (query, head) = opened(tx, id, parameters)?;
    let opening_balance = head.opening_balance;
    let head = serde_json::to_string(&head).map_err(ApiError::internal)?;
    // The object that [`CustomerStatement`] describes, left open for its entries.
    write!(out, "{},\"entries\":[", head.trim_end_matches('}')).map_err(ApiError::unavailable)?;
    let mut separator = "";
    let sums = each_entry(tx, &query, opening_balance, |entry| {
        out.write_all(separator.as_bytes())?;
        separator = ",";
        serde_json::to_writer(&mut *out, &entry).map_err(io::Error::from)
    })?;
    let sums = serde_json::to_string(&sums).map_err(ApiError::internal)?;
    write!(out, "],{}", sums.trim_start_matches('{')).map_err(ApiError::unavailable)
}

fn write_statement_csv(
    tx: &mut Tx<'_>,
    id: CustomerId,
    parameters: &StatementParameters,
    out: &mut Chunks,
) -> Result<(), ApiError> {
    let (query, head) = opened(tx, id, parameters)?;
    let header = ["entered_on", "kind", "id", "text", "amount", "balance", "currency"];
    let mut table = CsvWriter::new(out, parameters.bom.unwrap_or_default(), header).map_err(ApiError::unavailable)?;
    let currency = query.currency.to_string();
    let balance = |kind: &str, on: NaiveDate, balance: AmountSum| {
        let none = String::new;
        [on.to_string(), kind.to_owned(), none(), none(), none(), balance.to_string(), currency.clone()]
    };
    let opening = balance("opening_balance", query.from_on, head.opening_balance);
    table.write_row(opening).map_err(ApiError::unavailable)?;
    let sums = each_entry(tx, &query, head.opening_balance, |entry| {
        table.write_row([
            entry.entered_on.to_string(),
            entry.kind.to_string(),
            entry.id.to_string(),
            cell(entry.text),
            entry.amount.to_string(),
            entry.balance.to_string(),
            currency.clone(),
        ])
    })?;
    let closing = balance("closing_balance", query.through_on, sums.closing_balance);
    table.write_row(closing).map_err(ApiError::unavailable)?;
    table.finish().map_err(ApiError::unavailable)?;
    Ok(())
}

/// The question in full, and how the account stood at first.
fn opened(
    tx: &mut Tx<'_>,
    id: CustomerId,
    parameters: &StatementParameters,
) -> Result<(StatementQuery, StatementHead), ApiError> {
    let customer = customers::find(tx, id)?;
    let today = organizations::today(tx)?;
    let (from_on, through_on) = period_named(("from_on", parameters.from_on), ("to_on", parameters.to_on), today)?;
    let currency = parameters.currency.unwrap_or(customer.fields.currency);
    let query = StatementQuery { customer_id: id, currency, from_on, through_on };
    let opening_balance = statements::opening_balance(tx, &query)?;
    Ok((query, StatementHead { customer_id: id, currency, from_on, to_on: through_on, opening_balance }))
}

/// Hands each entry to `write`, with the balance after it, and answers what they come to.
fn each_entry<E: std::error::Error>(
    tx: &mut Tx<'_>,
    query: &StatementQuery,
    opening_balance: AmountSum,
    mut write: impl FnMut(StatementEntryBody) -> Result<(), E>,
) -> Result<StatementSums, ApiError> {
    let (mut invoiced, mut paid, mut balance) = (AmountSum::ZERO, AmountSum::ZERO, opening_balance);
    let mut add = |entry: StatementEntry| -> Result<(), ApiError> {
        let StatementEntry { entered_on, kind, id, text, amount } = entry;
        balance = balance.checked_add(amount).map_err(ApiError::internal)?;
        match kind {
            EntryKind::Payment => paid = paid.checked_sub(amount).map_err(ApiError::internal)?,
            EntryKind::Invoice | EntryKind::Correction => {
                invoiced = invoiced.checked_add(amount).map_err(ApiError::internal)?;
            }
        }
        write(StatementEntryBody { entered_on, kind, id, text, amount, balance }).map_err(ApiError::unavailable)
    };
    let mut failed = None;
    statements::entries(tx, query, |entry| match add(entry) {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => {
            failed = Some(error);
            ControlFlow::Break(())
        }
    })?;
    match failed {
        Some(error) => Err(error),
        None => Ok(StatementSums { invoiced, paid, closing_balance: balance }),
    }
}

fn write_receivables(tx: &mut Tx<'_>, parameters: &ReceivablesParameters, out: &mut Chunks) -> Result<(), ApiError> {
    let on = asked_day(tx, parameters)?;
    // The object that [`ReceivablesReport`] describes.
    write!(out, "{{\"as_of_on\":\"{on}\",\"rows\":[").map_err(ApiError::unavailable)?;
    let mut separator = "";
    let totals = each_receivable(tx, on, |row| {
        out.write_all(separator.as_bytes())?;
        separator = ",";
        serde_json::to_writer(&mut *out, &row).map_err(io::Error::from)
    })?;
    out.write_all(b"],\"totals\":")
        .and_then(|()| Ok(serde_json::to_writer(&mut *out, &totals)?))
        .and_then(|()| out.write_all(b"}"))
        .map_err(ApiError::unavailable)
}

fn write_receivables_csv(
    tx: &mut Tx<'_>,
    parameters: &ReceivablesParameters,
    out: &mut Chunks,
) -> Result<(), ApiError> {
    let on = asked_day(tx, parameters)?;
    let header = [
        "as_of_on",
        "customer_id",
        "customer_name",
        "currency",
        "not_yet_due",
        "days_1_to_30",
        "days_31_to_60",
        "days_61_to_90",
        "days_over_90",
        "total",
    ];
    let mut table = CsvWriter::new(out, parameters.bom.unwrap_or_default(), header).map_err(ApiError::unavailable)?;
    each_receivable(tx, on, |row| {
        let ReceivableBody { customer_id, customer_name, currency, ages } = row;
        table.write_row([
            on.to_string(),
            customer_id.to_string(),
            customer_name,
            currency.to_string(),
            ages.not_yet_due.to_string(),
            ages.days_1_to_30.to_string(),
            ages.days_31_to_60.to_string(),
            ages.days_61_to_90.to_string(),
            ages.days_over_90.to_string(),
            ages.total.to_string(),
        ])
    })?;
    table.finish().map_err(ApiError::unavailable)?;
    Ok(())
}

fn asked_day(tx: &mut Tx<'_>, parameters: &ReceivablesParameters) -> Result<NaiveDate, ApiError> {
    match parameters.on {
        Some(on) => Ok(on),
        None => Ok(organizations::today(tx)?),
    }
}

/// Hands each row to `write` and answers the totals, in the order of currencies.
fn each_receivable<E: std::error::Error>(
    tx: &mut Tx<'_>,
    on: NaiveDate,
    mut write: impl FnMut(ReceivableBody) -> Result<(), E>,
) -> Result<Vec<ReceivableTotalBody>, ApiError> {
    let mut totals: BTreeMap<Currency, ReceivableAges> = BTreeMap::new();
    let mut add = |row: Receivable| -> Result<(), ApiError> {
        let Receivable { customer_id, customer_name, currency, ages } = row;
        totals.entry(currency).or_default().add(&ages).map_err(ApiError::internal)?;
        write(ReceivableBody { customer_id, customer_name, currency, ages: ages.into() }).map_err(ApiError::unavailable)
    };
    let mut failed = None;
    statements::receivables(tx, on, |row| match add(row) {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => {
            failed = Some(error);
            ControlFlow::Break(())
        }
    })?;
    match failed {
        Some(error) => Err(error),
        None => {
            Ok(totals.into_iter().map(|(currency, ages)| ReceivableTotalBody { currency, ages: ages.into() }).collect())
        }
    }
}
