//! Number series: the sequences that invoices take their numbers from.

use crate::actor::Actor;
use crate::body::{Patch, Valid};
use crate::listing::{Filters, Id, Listing};
use crate::once::Once;
use crate::precondition::IfMatch;
use crate::problem::ApiError;
use crate::reply::Reply;
use crate::shape::{PageBody, Shape};
use crate::state::State;
use crate::values::capitalised;
use actix_web::{get, patch, post, web};
use chrono::{DateTime, NaiveDate, Utc};
use opiekun_domain::ids::NumberSeriesId;
use opiekun_domain::invoice::InvoiceKind;
use opiekun_domain::numbering::{NumberPattern, Reset};
use opiekun_domain::permission::Permission;
use opiekun_persistence::number_series::{Counter, NumberSeries, NumberSeriesFields, NumberSeriesFilter};
use opiekun_persistence::{Page, Tx, number_series, organizations};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use validator::Validate;

pub fn routes(config: &mut ServiceConfig) {
    config
        .service(list_number_series)
        .service(create_number_series)
        .service(get_number_series)
        .service(update_number_series);
}

/// What a caller may write of a number series.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct NumberSeriesInput {
    #[schema(min_length = 1, max_length = 120, example = "Sales")]
    pub name: String,
    /// What it numbers: invoices unless told, or corrections, or pro forma. It stays as it was made.
    #[schema(default = "invoice")]
    #[serde(default = "invoices")]
    pub kind: InvoiceKind,
    /// How a number is written. It holds `{number}` once (`{number:4}` fills up to four digits with zeros) and may
    /// hold `{month}`, `{year}` and `{year2}`; those that the numbers begin again with must be in it.
    #[schema(min_length = 1, max_length = 40, example = "FV/{number}/{month}/{year}")]
    pub pattern: String,
    /// When the numbers begin again at 1.
    pub reset: Reset,
    /// The number of the next invoice, were it issued today. It may be set, to go on from another system, until the
    /// first invoice of this month or year (as `reset` says) has taken its number.
    #[schema(minimum = 1, maximum = 999_999_999, default = 1, example = 1)]
    #[serde(default = "first")]
    pub next_number: i64,
}

const fn invoices() -> InvoiceKind {
    InvoiceKind::Invoice
}

const fn first() -> i64 {
    Counter::UNTOUCHED.next_number
}

/// A sequence of invoice numbers, without gaps or doubles.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NumberSeries)]
pub struct NumberSeriesBody {
    pub id: NumberSeriesId,
    #[serde(flatten)]
    pub series: NumberSeriesInput,
    /// The date of its last invoice: none is dated before it.
    pub last_issued_on: Option<NaiveDate>,
    /// Counts up with every change; `ETag` holds it too.
    #[schema(minimum = 1)]
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl NumberSeriesBody {
    fn new(row: NumberSeries, counter: Counter) -> Self {
        let NumberSeries { id, fields, last_issued_on, version, created_at, updated_at } = row;
        let series = NumberSeriesInput::new(fields, counter);
        Self { id, series, last_issued_on, version, created_at, updated_at }
    }
}

impl NumberSeriesInput {
    fn new(fields: NumberSeriesFields, counter: Counter) -> Self {
        let NumberSeriesFields { name, kind, pattern, reset } = fields;
        Self { name, kind, pattern, reset, next_number: counter.next_number }
    }

    fn fields(self) -> Result<NumberSeriesFields, ApiError> {
        let Self { name, kind, pattern, reset, next_number: _ } = self;
        NumberPattern::new(&pattern, reset)
            .map_err(|problem| ApiError::invalid_field("/pattern", "pattern", capitalised(&problem.to_string())))?;
        Ok(NumberSeriesFields { name, kind, pattern, reset })
    }
}

/// Which series.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct NumberSeriesQuery {
    /// Exactly this name.
    #[param(min_length = 1, max_length = 120)]
    name: Option<String>,
    kind: Option<InvoiceKind>,
    reset: Option<Reset>,
}

/// The bodies of rows, with the counters that count today: one statement however many.
fn with_counters(tx: &mut Tx<'_>, rows: Vec<NumberSeries>) -> Result<Vec<NumberSeriesBody>, ApiError> {
    let today = organizations::today(tx)?;
    let keys: Vec<_> = rows.iter().map(|row| (row.id, row.fields.reset.counter_key(today))).collect();
    let counters = number_series::counters(tx, &keys)?;
    let counter = |key| counters.get(key).copied().unwrap_or(Counter::UNTOUCHED);
    Ok(rows.into_iter().zip(&keys).map(|(row, key)| NumberSeriesBody::new(row, counter(key))).collect())
}

fn body(tx: &mut Tx<'_>, row: NumberSeries) -> Result<NumberSeriesBody, ApiError> {
    with_counters(tx, vec![row])?.pop().ok_or_else(|| ApiError::internal("one row gives one body"))
}

/// The bodies of those of `ids` that exist.
pub(crate) fn bodies(tx: &mut Tx<'_>, ids: &[NumberSeriesId]) -> Result<Vec<Value>, ApiError> {
    let rows = number_series::find_all(tx, ids)?;
    with_counters(tx, rows)?.iter().map(|body| serde_json::to_value(body).map_err(ApiError::internal)).collect()
}

/// List number series.
///
/// Each with the number that its next invoice would get today. Newest first.
#[utoipa::path(tag = "Number series", security(("sign_in" = ["billing:read"])),
    params(NumberSeriesQuery, Listing<()>), responses((status = 200, body = PageBody<NumberSeriesBody>)))]
#[get("/number-series")]
async fn list_number_series(
    state: web::Data<State>,
    actor: Actor,
    filters: Filters<NumberSeriesQuery>,
    listing: Listing<()>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::BillingRead)?;
    let NumberSeriesQuery { name, kind, reset } = filters.0;
    state
        .read(scope, move |tx| {
            let Page { items, next, total } =
                number_series::list(tx, &NumberSeriesFilter { name, kind, reset }, &listing.page)?;
            let items = with_counters(tx, items)?;
            shape.page(tx, Page { items, next, total })
        })
        .await
}

/// Add a number series.
///
/// To go on from another system's numbers, give the `next_number` of this month or year.
#[utoipa::path(tag = "Number series", security(("sign_in" = ["billing:write"])), request_body = NumberSeriesInput,
    responses((status = 201, body = NumberSeriesBody)))]
#[post("/number-series")]
async fn create_number_series(
    state: web::Data<State>,
    actor: Actor,
    once: Once,
    input: Valid<NumberSeriesInput>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::BillingWrite)?;
    let next_number = input.0.next_number;
    let fields = input.0.fields()?;
    state
        .submit(scope, once, move |tx| {
            let series = number_series::create(tx, fields)?;
            if next_number != first() {
                let key = series.fields.reset.counter_key(organizations::today(tx)?);
                number_series::set_next_number(tx, &series, &key, next_number)?;
            }
            let body = body(tx, series)?;
            Ok(Reply::created(&format!("/api/v1/number-series/{}", body.id), body.version, &body))
        })
        .await
}

/// Show a number series.
///
/// `next_number` is that of an invoice issued today.
#[utoipa::path(tag = "Number series", security(("sign_in" = ["billing:read"])), extensions(("x-derived" = json!(true))),
    responses((status = 200, body = NumberSeriesBody)))]
#[get("/number-series/{id}")]
async fn get_number_series(
    state: web::Data<State>,
    actor: Actor,
    id: Id<NumberSeriesId>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::BillingRead)?;
    state
        .read(scope, move |tx| {
            let row = number_series::find(tx, id.0)?;
            let body = body(tx, row)?;
            shape.one(tx, body.version, &body)
        })
        .await
}

/// Change a number series.
///
/// Its name at any time; its pattern and reset until its first invoice; its next number until the first invoice of
/// the month or year. After that they answer `state_invalid`, since a gap or a double would follow.
#[utoipa::path(tag = "Number series", security(("sign_in" = ["billing:write"])), params(IfMatch),
    request_body(content = NumberSeriesInput, content_type = "application/merge-patch+json"),
    responses((status = 200, body = NumberSeriesBody)))]
#[patch("/number-series/{id}")]
async fn update_number_series(
    state: web::Data<State>,
    actor: Actor,
    id: Id<NumberSeriesId>,
    seen: IfMatch,
    patch: Patch<NumberSeriesInput>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::BillingWrite)?;
    state
        .transaction(scope, move |tx| {
            let series = number_series::lock(tx, id.0, seen.0)?;
            let before = body(tx, series.clone())?.series;
            let after = patch.apply(&before)?;
            let next_number = (after.next_number != before.next_number).then_some(after.next_number);
            let fields = after.fields()?;
            if fields.kind != series.fields.kind {
                return Err(ApiError::invalid_field("/kind", "fixed", "A series numbers what it was made for"));
            }
            if series.last_issued_on.is_some()
                && (&fields.pattern, fields.reset) != (&series.fields.pattern, series.fields.reset)
            {
                return Err(issued(
                    "The pattern and reset stay as they are once an invoice has a number of the series",
                ));
            }
            let series = number_series::update(tx, &series, fields)?;
            if let Some(next_number) = next_number {
                let key = series.fields.reset.counter_key(organizations::today(tx)?);
                if !number_series::set_next_number(tx, &series, &key, next_number)? {
                    return Err(issued("The next number follows the last once an invoice has taken one"));
                }
            }
            let body = body(tx, series)?;
            Ok(Reply::at_version(body.version, &body))
        })
        .await
}

fn issued(detail: &'static str) -> ApiError {
    ApiError::state_invalid("issued", detail)
}
