//! Hourly rates: what an hour costs from a day on, for a customer, an operator or everybody.

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
use opiekun_domain::authority::Authority;
use opiekun_domain::cost::RateHolderKind;
use opiekun_domain::currency::Currency;
use opiekun_domain::decimal;
use opiekun_domain::ids::{CustomerId, HourlyRateId, OperatorId};
use opiekun_domain::permission::Permission;
use opiekun_persistence::hourly_rates::{HourlyRate, HourlyRateFields, HourlyRateFilter, HourlyRateSort, RateHolder};
use opiekun_persistence::{Page, Tx, customers, hourly_rates, organizations};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use validator::Validate;

pub fn routes(config: &mut ServiceConfig) {
    config
        .service(list_hourly_rates)
        .service(create_hourly_rate)
        .service(get_hourly_rate)
        .service(update_hourly_rate)
        .service(delete_hourly_rate);
}

/// What a caller may write of an hourly rate. Whose it is, is chosen once.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct HourlyRateInput {
    /// The operator whose time it prices.
    #[serde(default)]
    pub operator_id: Option<OperatorId>,
    /// The customer whose time it prices. Without it and an operator it is the organization's rate.
    #[serde(default)]
    pub customer_id: Option<CustomerId>,
    #[schema(example = "150.00")]
    pub amount: decimal::HourlyRate,
    /// The organization's currency; no other is taken.
    #[serde(default)]
    pub currency: Option<Currency>,
    /// The first day that it holds for, in the organization's time zone, until a later rate takes its place.
    pub valid_from_on: NaiveDate,
}

/// The price of an hour from a day on.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = HourlyRateRecord)]
pub struct HourlyRateBody {
    pub id: HourlyRateId,
    /// The operator whose time it prices.
    pub operator_id: Option<OperatorId>,
    /// The customer whose time it prices. Without it and an operator it is the organization's rate.
    pub customer_id: Option<CustomerId>,
    #[schema(example = "150.00")]
    pub amount: decimal::HourlyRate,
    pub currency: Currency,
    /// The first day that it holds for, in the organization's time zone, until a later rate takes its place.
    pub valid_from_on: NaiveDate,
    /// Counts up with every change; `ETag` holds it too.
    #[schema(minimum = 1)]
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl From<HourlyRate> for HourlyRateBody {
    fn from(row: HourlyRate) -> Self {
        let HourlyRate { id, operator_id, customer_id, currency, fields, version, created_at, updated_at } = row;
        let HourlyRateFields { amount, valid_from_on } = fields;
        Self { id, operator_id, customer_id, amount, currency, valid_from_on, version, created_at, updated_at }
    }
}

impl From<&HourlyRate> for HourlyRateInput {
    fn from(row: &HourlyRate) -> Self {
        Self {
            operator_id: row.operator_id,
            customer_id: row.customer_id,
            amount: row.fields.amount,
            currency: Some(row.currency),
            valid_from_on: row.fields.valid_from_on,
        }
    }
}

impl HourlyRateInput {
    fn holder(&self) -> Result<RateHolder, ApiError> {
        match (self.customer_id, self.operator_id) {
            (Some(_), Some(_)) => {
                Err(ApiError::invalid_field("/operator_id", "exclusive", "A rate is a customer's or an operator's"))
            }
            (Some(id), None) => Ok(RateHolder::Customer(id)),
            (None, Some(id)) => Ok(RateHolder::Operator(id)),
            (None, None) => Ok(RateHolder::Organization),
        }
    }

    fn fields(&self) -> HourlyRateFields {
        HourlyRateFields { amount: self.amount, valid_from_on: self.valid_from_on }
    }
}

impl Sorting for HourlyRateSort {
    const WORDS: &'static [(&'static str, Self)] =
        &[("valid_from_on", Self::ValidFromOn), ("created_at", Self::CreatedAt)];
}

/// Which rates.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct HourlyRateQuery {
    /// Of one kind of holder.
    #[param(inline)]
    holder: Option<RateHolderKind>,
    customer_id: Option<CustomerId>,
    operator_id: Option<OperatorId>,
    #[serde(rename = "valid_from_on[gte]")]
    valid_from: Option<NaiveDate>,
    #[serde(rename = "valid_from_on[lt]")]
    valid_before: Option<NaiveDate>,
}

impl From<HourlyRateQuery> for HourlyRateFilter {
    fn from(query: HourlyRateQuery) -> Self {
        let HourlyRateQuery { holder, customer_id, operator_id, valid_from, valid_before } = query;
        Self { kind: holder, customer_id, operator_id, valid_from, valid_before }
    }
}

/// List hourly rates.
///
/// Past, present and future ones, the latest first.
#[utoipa::path(tag = "Hourly rates", security(("sign_in" = ["crm:read"])),
    params(HourlyRateQuery, Listing<HourlyRateSort>), responses((status = 200, body = PageBody<HourlyRateBody>)))]
#[get("/hourly-rates")]
async fn list_hourly_rates(
    state: web::Data<State>,
    actor: Actor,
    filters: Filters<HourlyRateQuery>,
    listing: Listing<HourlyRateSort>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmRead)?;
    state
        .read(scope, move |tx| {
            let Page { items, next, total } = hourly_rates::list(tx, &filters.0.into(), &listing.page)?;
            let items = items.into_iter().map(HourlyRateBody::from).collect();
            shape.page(tx, Page { items, next, total })
        })
        .await
}

/// Set an hourly rate from a day on.
///
/// It prices what is entered from now on for that day and later; entries that have a rate already keep it. The
/// organization's rate is for owners, an operator's for those above it, a customer's for its caretaker and those above.
#[utoipa::path(tag = "Hourly rates", security(("sign_in" = ["crm:write"])), request_body = HourlyRateInput,
    responses((status = 201, body = HourlyRateBody)))]
#[post("/hourly-rates")]
async fn create_hourly_rate(
    state: web::Data<State>,
    actor: Actor,
    once: Once,
    input: Valid<HourlyRateInput>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmWrite)?;
    let input = input.0;
    let holder = input.holder()?;
    state
        .submit(scope, once, move |tx| {
            check_holder(tx, &actor, holder)?;
            let currency = organizations::find(tx)?.fields.currency;
            check_currency(input.currency, currency)?;
            let rate = hourly_rates::create(tx, holder, currency, input.fields())?;
            let location = format!("/api/v1/hourly-rates/{}", rate.id);
            Ok(Reply::created(&location, rate.version, &HourlyRateBody::from(rate)))
        })
        .await
}

/// Show an hourly rate.
///
/// Whether it is in force follows from its day and from later ones of the same holder.
#[utoipa::path(tag = "Hourly rates", security(("sign_in" = ["crm:read"])),
    responses((status = 200, body = HourlyRateBody)))]
#[get("/hourly-rates/{id}")]
async fn get_hourly_rate(
    state: web::Data<State>,
    actor: Actor,
    id: Id<HourlyRateId>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmRead)?;
    state
        .read(scope, move |tx| {
            let rate = hourly_rates::find(tx, id.0)?;
            shape.one(tx, rate.version, &HourlyRateBody::from(rate))
        })
        .await
}

/// Change an hourly rate.
///
/// Its amount or its first day; whose it is stays. Entries that have a rate already keep it.
#[utoipa::path(tag = "Hourly rates", security(("sign_in" = ["crm:write"])), params(IfMatch),
    request_body(content = HourlyRateInput, content_type = "application/merge-patch+json"),
    responses((status = 200, body = HourlyRateBody)))]
#[patch("/hourly-rates/{id}")]
async fn update_hourly_rate(
    state: web::Data<State>,
    actor: Actor,
    id: Id<HourlyRateId>,
    seen: IfMatch,
    patch: Patch<HourlyRateInput>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmWrite)?;
    state
        .transaction(scope, move |tx| {
            let rate = hourly_rates::lock(tx, id.0, seen.0)?;
            let before = HourlyRateInput::from(&rate);
            let holder = before.holder()?;
            check_holder(tx, &actor, holder)?;
            let input = patch.apply(&before)?;
            if input.holder()? != holder {
                let pointer = if input.customer_id == before.customer_id { "/operator_id" } else { "/customer_id" };
                return Err(ApiError::invalid_field(pointer, "fixed", "Whose rate it is stays; set another rate"));
            }
            check_currency(input.currency, rate.currency)?;
            let rate = hourly_rates::update(tx, &rate, input.fields())?;
            Ok(Reply::at_version(rate.version, &HourlyRateBody::from(rate)))
        })
        .await
}

/// Remove an hourly rate.
///
/// The one before it holds again. Entries that have a rate already keep it.
#[utoipa::path(tag = "Hourly rates", security(("sign_in" = ["crm:write"])), params(IfMatch),
    responses((status = 204)))]
#[delete("/hourly-rates/{id}")]
async fn delete_hourly_rate(
    state: web::Data<State>,
    actor: Actor,
    id: Id<HourlyRateId>,
    seen: IfMatch,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmWrite)?;
    state
        .transaction(scope, move |tx| {
            let rate = hourly_rates::lock(tx, id.0, seen.0)?;
            check_holder(tx, &actor, HourlyRateInput::from(&rate).holder()?)?;
            hourly_rates::delete(tx, &rate)?;
            Ok(Reply::empty())
        })
        .await
}

/// Whether the caller may set this holder's prices: nobody sets its own.
fn check_holder(tx: &mut Tx<'_>, actor: &Actor, holder: RateHolder) -> Result<(), ApiError> {
    let authority = actor.authority(tx)?;
    match holder {
        RateHolder::Organization => authority.may_change(&[]).map_err(ApiError::forbidden),
        RateHolder::Customer(id) => {
            // One that does not exist is told of by the reference.
            let Some(customer) = customers::find_all(tx, &[id])?.pop() else { return Ok(()) };
            authority.may_change(customer.fields.caretaker_id.as_slice()).map_err(ApiError::forbidden)
        }
        RateHolder::Operator(id) => match authority {
            Authority::Organization => Ok(()),
            Authority::Team { below, .. } if below.contains(&id) => Ok(()),
            Authority::Team { .. } | Authority::Own { .. } => {
                Err(ApiError::forbidden("an operator's rate is set by those above it in the supervisor tree"))
            }
        },
    }
}

fn check_currency(given: Option<Currency>, wanted: Currency) -> Result<(), ApiError> {
    match given {
        Some(given) if given != wanted => {
            Err(ApiError::invalid_field("/currency", "currency", format!("Rates are in {wanted} here")))
        }
        _ => Ok(()),
    }
}
