//! Exchange rates: by which the VAT of invoices in other currencies is told in złoty.

use crate::actor::Actor;
use crate::body::{Patch, Valid};
use crate::listing::{Filters, Id, Listing, Sorting};
use crate::once::Once;
use crate::precondition::IfMatch;
use crate::problem::ApiError;
use crate::reply::Reply;
use crate::shape::{PageBody, Shape};
use crate::state::State;
use actix_web::{delete, get, patch, post, web};
use chrono::{DateTime, NaiveDate, Utc};
use opiekun_domain::calendar_day::is_working_day;
use opiekun_domain::currency::Currency;
use opiekun_domain::decimal;
use opiekun_domain::ids::ExchangeRateId;
use opiekun_domain::permission::Permission;
use opiekun_persistence::exchange_rates::{ExchangeRate, ExchangeRateFields, ExchangeRateFilter, ExchangeRateSort};
use opiekun_persistence::{Page, Tx, exchange_rates, organizations};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use validator::{Validate, ValidationError};

pub fn routes(config: &mut ServiceConfig) {
    config
        .service(list_exchange_rates)
        .service(create_exchange_rate)
        .service(get_exchange_rate)
        .service(update_exchange_rate)
        .service(delete_exchange_rate);
}

/// What a caller may write of an exchange rate.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[schema(example = json!({
    "currency": "EUR", "quoted_on": "2026-11-20", "rate": "4.2517", "source": "NBP 226/A/NBP/2026",
}))]
#[serde(deny_unknown_fields)]
pub struct ExchangeRateInput {
    /// Another than złoty.
    #[validate(custom(function = foreign))]
    pub currency: Currency,
    /// The day of the table, at the latest today. An organization has one rate of a currency a day. The National Bank has
    /// tables of working days in Poland alone, so with a `source` that begins with `NBP` it is one of those.
    #[schema(example = "2026-11-20")]
    pub quoted_on: NaiveDate,
    /// How many złoty one unit of the currency is worth; more than 0.
    #[validate(custom(function = some_worth))]
    pub rate: decimal::ExchangeRate,
    /// Whose table it is.
    #[schema(min_length = 1, max_length = 120, example = "NBP 226/A/NBP/2026")]
    pub source: String,
}

/// What a currency is worth in złoty, by the table of a day.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ExchangeRateRecord, example = json!({
    "id": "0192f0c1-7a10-7cc1-9d5e-0f3b8a61c2aa", "currency": "EUR", "quoted_on": "2026-11-20", "rate": "4.2517",
    "source": "NBP 226/A/NBP/2026", "version": 1, "created_at": "2026-11-20T11:30:00Z",
    "updated_at": "2026-11-20T11:30:00Z",
}))]
pub struct ExchangeRateBody {
    pub id: ExchangeRateId,
    #[serde(flatten)]
    pub table: ExchangeRateInput,
    /// Counts up with every change; `ETag` holds it too.
    #[schema(minimum = 1)]
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

fn foreign(currency: &Currency) -> Result<(), ValidationError> {
    match *currency {
        Currency::PLN => {
            Err(ValidationError::new("currency").with_message("Rates are those of other currencies than złoty".into()))
        }
        _ => Ok(()),
    }
}

fn some_worth(rate: &decimal::ExchangeRate) -> Result<(), ValidationError> {
    if *rate == decimal::ExchangeRate::default() {
        return Err(ValidationError::new("minimum").with_message("A rate is more than 0".into()));
    }
    Ok(())
}

/// There was a table on that day, as far as anybody can tell before it is looked up.
fn check_day(tx: &mut Tx<'_>, input: &ExchangeRateInput) -> Result<(), ApiError> {
    if input.quoted_on > organizations::today(tx)? {
        return Err(ApiError::invalid_field("/quoted_on", "maximum", "No table is published ahead of its day"));
    }
    if is_of_national_bank(&input.source) && !is_working_day(input.quoted_on) {
        let detail = "The National Bank publishes tables on working days";
        return Err(ApiError::invalid_field("/quoted_on", "working_day", detail));
    }
    Ok(())
}

fn is_of_national_bank(source: &str) -> bool {
    source.trim_start().get(..3).is_some_and(|bank| bank.eq_ignore_ascii_case("NBP"))
}

impl From<ExchangeRate> for ExchangeRateBody {
    fn from(row: ExchangeRate) -> Self {
        let ExchangeRate { id, fields, version, created_at, updated_at } = row;
        Self { id, table: fields.into(), version, created_at, updated_at }
    }
}

impl From<ExchangeRateFields> for ExchangeRateInput {
    fn from(fields: ExchangeRateFields) -> Self {
        let ExchangeRateFields { currency, quoted_on, rate, source } = fields;
        Self { currency, quoted_on, rate, source }
    }
}

impl From<ExchangeRateInput> for ExchangeRateFields {
    fn from(input: ExchangeRateInput) -> Self {
        let ExchangeRateInput { currency, quoted_on, rate, source } = input;
        Self { currency, quoted_on, rate, source }
    }
}

impl Sorting for ExchangeRateSort {
    const WORDS: &'static [(&'static str, Self)] = &[("quoted_on", Self::QuotedOn)];
}

/// Which rates.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ExchangeRateQuery {
    /// Such as `EUR`.
    currency: Option<Currency>,
    #[serde(rename = "quoted_on[gte]")]
    quoted_from: Option<NaiveDate>,
    #[serde(rename = "quoted_on[lte]")]
    quoted_through: Option<NaiveDate>,
}

impl From<ExchangeRateQuery> for ExchangeRateFilter {
    fn from(query: ExchangeRateQuery) -> Self {
        let ExchangeRateQuery { currency, quoted_from, quoted_through } = query;
        Self { currency, quoted_from, quoted_through }
    }
}

/// List exchange rates.
///
/// Those of the latest day first.
#[utoipa::path(tag = "Exchange rates", security(("sign_in" = ["billing:read"])),
    params(ExchangeRateQuery, Listing<ExchangeRateSort>), responses((status = 200, body = PageBody<ExchangeRateBody>)))]
#[get("/exchange-rates")]
async fn list_exchange_rates(
    state: web::Data<State>,
    actor: Actor,
    filters: Filters<ExchangeRateQuery>,
    listing: Listing<ExchangeRateSort>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::BillingRead)?;
    state
        .read(scope, move |tx| {
            let Page { items, next, total } = exchange_rates::list(tx, &filters.0.into(), &listing.page)?;
            let items = items.into_iter().map(ExchangeRateBody::from).collect();
            shape.page(tx, Page { items, next, total })
        })
        .await
}

/// Add an exchange rate.
///
/// An invoice in another currency that has no rate of its own takes, when it is issued, by a run or by itself, the rate
/// of the last working day in Poland before its day of sale, or before its day of issue where that is earlier (ustawa o
/// VAT, art. 31a): of exactly that day. What failed for want of it (`exchange_rate_missing`) is billed by the next run.
#[utoipa::path(tag = "Exchange rates", security(("sign_in" = ["billing:write"])), request_body = ExchangeRateInput,
    responses((status = 201, body = ExchangeRateBody)))]
#[post("/exchange-rates")]
async fn create_exchange_rate(
    state: web::Data<State>,
    actor: Actor,
    once: Once,
    input: Valid<ExchangeRateInput>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::BillingWrite)?;
    state
        .submit(scope, once, move |tx| {
            check_day(tx, &input.0)?;
            let rate = exchange_rates::create(tx, input.0.into())?;
            let location = format!("/api/v1/exchange-rates/{}", rate.id);
            Ok(Reply::created(&location, rate.version, &ExchangeRateBody::from(rate)))
        })
        .await
}

/// Show an exchange rate.
///
/// An invoice that took it shows it as its `exchange_rate`, and keeps it.
#[utoipa::path(tag = "Exchange rates", security(("sign_in" = ["billing:read"])),
    responses((status = 200, body = ExchangeRateBody)))]
#[get("/exchange-rates/{id}")]
async fn get_exchange_rate(
    state: web::Data<State>,
    actor: Actor,
    id: Id<ExchangeRateId>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::BillingRead)?;
    state
        .read(scope, move |tx| {
            let rate = exchange_rates::find(tx, id.0)?;
            shape.one(tx, rate.version, &ExchangeRateBody::from(rate))
        })
        .await
}

/// Change an exchange rate.
///
/// Invoices that are issued already keep the rate they were issued with.
#[utoipa::path(tag = "Exchange rates", security(("sign_in" = ["billing:write"])), params(IfMatch),
    request_body(content = ExchangeRateInput, content_type = "application/merge-patch+json",
        example = json!({ "rate": "4.2571" })),
    responses((status = 200, body = ExchangeRateBody)))]
#[patch("/exchange-rates/{id}")]
async fn update_exchange_rate(
    state: web::Data<State>,
    actor: Actor,
    id: Id<ExchangeRateId>,
    seen: IfMatch,
    patch: Patch<ExchangeRateInput>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::BillingWrite)?;
    state
        .transaction(scope, move |tx| {
            let rate = exchange_rates::lock(tx, id.0, seen.0)?;
            let input = patch.apply(&rate.fields.clone().into())?;
            check_day(tx, &input)?;
            let rate = exchange_rates::update(tx, &rate, input.into())?;
            Ok(Reply::at_version(rate.version, &ExchangeRateBody::from(rate)))
        })
        .await
}

/// Remove an exchange rate.
///
/// Invoices that are issued already keep it.
#[utoipa::path(tag = "Exchange rates", security(("sign_in" = ["billing:write"])), params(IfMatch),
    responses((status = 204)))]
#[delete("/exchange-rates/{id}")]
async fn delete_exchange_rate(
    state: web::Data<State>,
    actor: Actor,
    id: Id<ExchangeRateId>,
    seen: IfMatch,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::BillingWrite)?;
    state
        .transaction(scope, move |tx| {
            let rate = exchange_rates::lock(tx, id.0, seen.0)?;
            exchange_rates::delete(tx, &rate)?;
            Ok(Reply::empty())
        })
        .await
}
