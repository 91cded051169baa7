//! Occurrences: what became of each period of each subscription.

use crate::actor::Actor;
use crate::listing::{Filters, Id, Listing, Sorting};
use crate::once::Once;
use crate::problem::ApiError;
use crate::reply::Reply;
use crate::shape::{PageBody, Shape};
use crate::state::State;
use actix_web::{get, post, web};
use chrono::{DateTime, NaiveDate, Utc};
use opiekun_domain::ids::{InvoiceId, OccurrenceId, SubscriptionId};
use opiekun_domain::occurrence::OccurrenceState;
use opiekun_domain::permission::Permission;
use opiekun_persistence::occurrences::{Occurrence, OccurrenceFilter, OccurrenceSort};
use opiekun_persistence::{Page, occurrences, subscriptions};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

pub fn routes(config: &mut ServiceConfig) {
    config.service(list_occurrences).service(get_occurrence).service(retry_occurrence);
}

/// One period of one subscription, and what became of it. There is one for every period that a run has taken up.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Occurrence, example = json!({
    "id": "0192f0c1-7a10-7cc1-9d5e-0f3b8a61c2ae", "subscription_id": "0192f0c1-7a10-7cc1-9d5e-0f3b8a61c2ad",
    "period_index": 10, "period_start_on": "2026-11-01", "period_end_on": "2026-12-01", "scheduled_on": "2026-11-02",
    "state": "invoiced", "problem": null, "invoice_id": "0192f0c6-3333-7000-8000-000000000003", "attempts": 1,
    "version": 1, "created_at": "2026-11-23T09:15:00Z", "updated_at": "2026-11-23T09:15:00Z",
}))]
pub struct OccurrenceBody {
    pub id: OccurrenceId,
    pub subscription_id: SubscriptionId,
    /// The place of the period in the schedule, from 0 at the anchor.
    #[schema(minimum = 0)]
    pub period_index: i32,
    pub period_start_on: NaiveDate,
    /// The first day after the period.
    pub period_end_on: NaiveDate,
    /// The day on which it was to be invoiced.
    pub scheduled_on: NaiveDate,
    /// A `failed` one is tried again by the next run, before later periods of the subscription.
    pub state: OccurrenceState,
    /// Why it failed: `customer_archived`, `template_archived`, `buyer_address_missing`, `seller_tax_number_missing`,
    /// `currency_mismatch`, `overridden_line_missing`, `amount_overflow`,
    /// `exchange_rate_missing` and others.
    #[schema(max_length = 60)]
    pub problem: Option<String>,
    pub invoice_id: Option<InvoiceId>,
    /// How many runs have tried to invoice it.
    #[schema(minimum = 0)]
    pub attempts: i16,
    /// Counts up with every change; `ETag` holds it too.
    #[schema(minimum = 1)]
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl From<Occurrence> for OccurrenceBody {
    fn from(row: Occurrence) -> Self {
        let Occurrence {
            id,
            subscription_id,
            period_index,
            period_start_on,
            period_end_on,
            scheduled_on,
            state,
            problem,
            invoice_id,
            attempts,
            version,
            created_at,
            updated_at,
        } = row;
        Self {
            id,
            subscription_id,
            period_index,
            period_start_on,
            period_end_on,
            scheduled_on,
            state,
            problem,
            invoice_id,
            attempts,
            version,
            created_at,
            updated_at,
        }
    }
}

impl Sorting for OccurrenceSort {
    const WORDS: &'static [(&'static str, Self)] =
        &[("created_at", Self::CreatedAt), ("scheduled_on", Self::ScheduledOn)];
}

/// Which occurrences.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct OccurrenceQuery {
    subscription_id: Option<SubscriptionId>,
    state: Option<OccurrenceState>,
    #[serde(rename = "scheduled_on[gte]")]
    scheduled_from: Option<NaiveDate>,
    #[serde(rename = "scheduled_on[lte]")]
    scheduled_through: Option<NaiveDate>,
}

impl From<OccurrenceQuery> for OccurrenceFilter {
    fn from(query: OccurrenceQuery) -> Self {
        let OccurrenceQuery { subscription_id, state, scheduled_from, scheduled_through } = query;
        Self { subscription_id, state, scheduled_from, scheduled_through }
    }
}

/// List occurrences.
///
/// Who got no invoice this month? Those with `state=failed` or `state=skipped`. Newest first.
#[utoipa::path(tag = "Occurrences", security(("sign_in" = ["billing:read"])),
    params(OccurrenceQuery, Listing<OccurrenceSort>), responses((status = 200, body = PageBody<OccurrenceBody>)))]
#[get("/occurrences")]
async fn list_occurrences(
    state: web::Data<State>,
    actor: Actor,
    filters: Filters<OccurrenceQuery>,
    listing: Listing<OccurrenceSort>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::BillingRead)?;
    state
        .read(scope, move |tx| {
            let Page { items, next, total } = occurrences::list(tx, &filters.0.into(), &listing.page)?;
            let items = items.into_iter().map(OccurrenceBody::from).collect();
            shape.page(tx, Page { items, next, total })
        })
        .await
}

/// Show an occurrence.
///
/// With its invoice, or the reason why there is none.
#[utoipa::path(tag = "Occurrences", security(("sign_in" = ["billing:read"])),
    responses((status = 200, body = OccurrenceBody)))]
#[get("/occurrences/{id}")]
async fn get_occurrence(
    state: web::Data<State>,
    actor: Actor,
    id: Id<OccurrenceId>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::BillingRead)?;
    state
        .read(scope, move |tx| {
            let body = OccurrenceBody::from(occurrences::find(tx, id.0)?);
            shape.one(tx, body.version, &body)
        })
        .await
}

/// Have a failed period tried again.
///
/// Forgets the failures of its subscription, so that one that was parked for them goes on: the next run tries this
/// period first. Put right before what `problem` names. Issues nothing by itself.
#[utoipa::path(tag = "Occurrences", security(("sign_in" = ["billing:write"])),
    responses((status = 200, body = OccurrenceBody)))]
#[post("/occurrences/{id}/retries")]
async fn retry_occurrence(
    state: web::Data<State>,
    actor: Actor,
    id: Id<OccurrenceId>,
    once: Once,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::BillingWrite)?;
    state
        .submit(scope, once, move |tx| {
            let occurrence = occurrences::find(tx, id.0)?;
            let subscription = subscriptions::lock(tx, occurrence.subscription_id, None)?;
            // Read again behind the lock: a run may have settled it meanwhile.
            let occurrence = occurrences::find(tx, id.0)?;
            if occurrence.state != OccurrenceState::Failed {
                return Err(ApiError::state_invalid(occurrence.state.as_str(), "Only a failed period is tried again"));
            }
            subscriptions::forgive(tx, &subscription)?;
            Ok(Reply::ok(&OccurrenceBody::from(occurrence)))
        })
        .await
}
