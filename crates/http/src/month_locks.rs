//! Month locks: months whose time is settled.

use crate::actor::Actor;
use crate::body::Valid;
use crate::listing::{Filters, Id, Listing, Sorting};
use crate::once::Once;
use crate::precondition::IfMatch;
use crate::problem::ApiError;
use crate::reply::Reply;
use crate::shape::{PageBody, Shape};
use crate::state::State;
use crate::values::capitalised;
use actix_web::{delete, get, post, web};
use chrono::{DateTime, NaiveDate, Utc};
use opiekun_domain::calendar_day::day_of;
use opiekun_domain::ids::{MonthLockId, OperatorId};
use opiekun_domain::month_lock::{NotLockable, check_lockable};
use opiekun_domain::permission::Permission;
use opiekun_persistence::month_locks::{MonthLock, MonthLockFilter, MonthLockSort};
use opiekun_persistence::{Page, month_locks, organizations};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use validator::Validate;

pub fn routes(config: &mut ServiceConfig) {
    config.service(list_month_locks).service(create_month_lock).service(get_month_lock).service(delete_month_lock);
}

/// Which month to lock.
#[derive(Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct MonthLockInput {
    /// The first day of a past month, or of the one that it is, in the organization's time zone.
    #[schema(example = "2026-10-01")]
    pub month_start_on: NaiveDate,
}

/// A month whose time is settled.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MonthLock)]
pub struct MonthLockBody {
    pub id: MonthLockId,
    /// The first day of the month.
    #[schema(example = "2026-10-01")]
    pub month_start_on: NaiveDate,
    /// The month's first instant in the organization's time zone when it was locked.
    #[schema(example = "2026-09-30T22:00:00Z")]
    pub from_at: DateTime<Utc>,
    /// The first instant that is not the month's any more.
    #[schema(example = "2026-10-31T23:00:00Z")]
    pub before_at: DateTime<Utc>,
    /// The operator who locked it; null where a script did.
    pub locked_by_id: Option<OperatorId>,
    /// `ETag` holds it too.
    #[schema(minimum = 1)]
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl From<MonthLock> for MonthLockBody {
    fn from(row: MonthLock) -> Self {
        let MonthLock { id, month_start_on, from_at, before_at, locked_by_id, version, created_at, updated_at } = row;
        Self { id, month_start_on, from_at, before_at, locked_by_id, version, created_at, updated_at }
    }
}

impl Sorting for MonthLockSort {
    const WORDS: &'static [(&'static str, Self)] = &[("month_start_on", Self::MonthStartOn)];
}

/// Which months.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct MonthLockQuery {
    #[serde(rename = "month_start_on[gte]")]
    month_from: Option<NaiveDate>,
    #[serde(rename = "month_start_on[lt]")]
    month_before: Option<NaiveDate>,
}

impl From<MonthLockQuery> for MonthLockFilter {
    fn from(query: MonthLockQuery) -> Self {
        let MonthLockQuery { month_from, month_before } = query;
        Self { month_from, month_before }
    }
}

/// List locked months.
///
/// The latest month first.
#[utoipa::path(tag = "Month locks", security(("sign_in" = ["crm:read"])),
    params(MonthLockQuery, Listing<MonthLockSort>), responses((status = 200, body = PageBody<MonthLockBody>)))]
#[get("/month-locks")]
async fn list_month_locks(
    state: web::Data<State>,
    actor: Actor,
    filters: Filters<MonthLockQuery>,
    listing: Listing<MonthLockSort>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmRead)?;
    state
        .read(scope, move |tx| {
            let Page { items, next, total } = month_locks::list(tx, &filters.0.into(), &listing.page)?;
            let items = items.into_iter().map(MonthLockBody::from).collect();
            shape.page(tx, Page { items, next, total })
        })
        .await
}

/// Lock a month.
///
/// For managers and owners. From then on no interaction or work entry that begins in the month can be added or removed,
/// nor changed in what reports sum over; whoever tries gets 409 with the state `locked`. Texts, people, threads and tags
/// can still change. Changes that are under way come to an end first, so the month's sums stand once this is answered.
#[utoipa::path(tag = "Month locks", security(("sign_in" = ["crm:write"])), request_body = MonthLockInput,
    responses((status = 201, body = MonthLockBody)))]
#[post("/month-locks")]
async fn create_month_lock(
    state: web::Data<State>,
    actor: Actor,
    once: Once,
    input: Valid<MonthLockInput>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmWrite)?;
    let MonthLockInput { month_start_on } = input.0;
    state
        .submit(scope, once, move |tx| {
            actor.authority(tx)?.may_manage().map_err(ApiError::forbidden)?;
            let zone = organizations::find(tx)?.time_zone();
            check_lockable(month_start_on, day_of(tx.now, zone)).map_err(not_lockable)?;
            let month_lock = month_locks::create(tx, month_start_on, zone)?;
            let location = format!("/api/v1/month-locks/{}", month_lock.id);
            Ok(Reply::created(&location, month_lock.version, &MonthLockBody::from(month_lock)))
        })
        .await
}

fn not_lockable(fault: NotLockable) -> ApiError {
    let code = match fault {
        NotLockable::NotTheFirst => "first_of_month",
        NotLockable::NotBegun => "not_begun",
    };
    ApiError::invalid_field("/month_start_on", code, capitalised(&fault.to_string()))
}

/// Show the lock of a month.
///
/// With who locked it, and the instants between which time is settled.
#[utoipa::path(tag = "Month locks", security(("sign_in" = ["crm:read"])),
    responses((status = 200, body = MonthLockBody)))]
#[get("/month-locks/{id}")]
async fn get_month_lock(
    state: web::Data<State>,
    actor: Actor,
    id: Id<MonthLockId>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmRead)?;
    state
        .read(scope, move |tx| {
            let month_lock = month_locks::find(tx, id.0)?;
            shape.one(tx, month_lock.version, &MonthLockBody::from(month_lock))
        })
        .await
}

/// Unlock a month.
///
/// For managers and owners. Its time can change again; the audit log keeps that it was locked.
#[utoipa::path(tag = "Month locks", security(("sign_in" = ["crm:write"])), params(IfMatch),
    responses((status = 204)))]
#[delete("/month-locks/{id}")]
async fn delete_month_lock(
    state: web::Data<State>,
    actor: Actor,
    id: Id<MonthLockId>,
    seen: IfMatch,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmWrite)?;
    state
        .transaction(scope, move |tx| {
            let month_lock = month_locks::lock(tx, id.0, seen.0)?;
            actor.authority(tx)?.may_manage().map_err(ApiError::forbidden)?;
            month_locks::delete(tx, &month_lock)?;
            Ok(Reply::empty())
        })
        .await
}
