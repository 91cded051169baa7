//! Occurrences: what became of each period of each subscription.

use crate::actor::Actor;
use crate::body::Valid;
use crate::listing::{Filters, Id, Listing, Sorting};
use crate::once::Once;
use crate::problem::{ApiError, Code, Wrong};
use crate::reply::Reply;
use crate::shape::{PageBody, Shape};
use crate::state::State;
use crate::subscriptions as subscriptions_http;
use crate::tables::{self, Format, Spreadsheet, Tabular};
use actix_web::{HttpResponse, delete, get, post, web};
use chrono::{DateTime, NaiveDate, Utc};
use opiekun_documents::table::{Cell, Column};
use opiekun_domain::ids::{InvoiceId, OccurrenceId, SubscriptionId};
use opiekun_domain::occurrence::OccurrenceState;
use opiekun_domain::permission::Permission;
use opiekun_domain::plan::{Progress, next_open, next_planned, planned_on};
use opiekun_persistence::occurrences::{Occurrence, OccurrenceFilter, OccurrenceSort};
use opiekun_persistence::subscriptions::{Position, Subscription};
use opiekun_persistence::{Page, Tx, extra_lines, occurrences, subscriptions};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use validator::Validate;

pub fn routes(config: &mut ServiceConfig) {
    config
        .service(list_occurrences)
        .service(create_occurrence)
        .service(get_occurrence)
        .service(retry_occurrence)
        .service(skip_occurrence)
        .service(restore_occurrence);
}

/// A period to be planned.
#[derive(Debug, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct OccurrenceInput {
    pub subscription_id: SubscriptionId,
    /// The first day that is billed of a period of the subscription which no run has taken up.
    #[schema(example = "2026-02-01")]
    pub period_start_on: NaiveDate,
}

/// Why a period is skipped.
#[derive(Debug, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct SkipInput {
    #[schema(min_length = 1, max_length = 500, example = "Closed for the summer")]
    #[serde(default)]
    pub reason: Option<String>,
}

/// One period of one subscription, and what became of it. There is one for every period that a run has taken up, or
/// that was planned by itself.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Occurrence, example = json!({
    "id": "0192f0c1-7a10-7cc1-9d5e-0f3b8a61c2ae", "subscription_id": "0192f0c1-7a10-7cc1-9d5e-0f3b8a61c2ad",
    "period_index": 10, "period_start_on": "2026-11-01", "period_end_on": "2026-12-01", "scheduled_on": "2026-11-02",
    "state": "invoiced", "problem": null, "invoice_id": "0192f0c6-3333-7000-8000-000000000003", "attempts": 1,
    "skip_reason": null, "version": 1, "created_at": "2026-11-23T09:15:00Z", "updated_at": "2026-11-23T09:15:00Z",
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
    /// A `failed` or `planned` one is billed by the next run once it is due, whatever `catch_up` says, before later
    /// periods of the subscription. An `invoiced` one has an invoice, issued or still a draft.
    pub state: OccurrenceState,
    /// Why it failed: `customer_archived`, `template_archived`, `buyer_address_missing`, `seller_tax_number_missing`,
    /// `currency_mismatch`, `overridden_line_missing`, `too_many_lines`, `amount_overflow`,
    /// `exchange_rate_missing`, `time_unpriced` (time without an hourly rate), `time_currency_mismatch`,
    /// `time_in_advance`, `time_line_overridden`, `too_much_time` (above 10 000 entries) and others.
    #[schema(max_length = 60)]
    pub problem: Option<String>,
    pub invoice_id: Option<InvoiceId>,
    /// How many runs have tried to invoice it.
    #[schema(minimum = 0)]
    pub attempts: i16,
    /// Why somebody skipped it; `nothing_to_bill` where a run did, since there was nothing on the invoice but a line for time,
    /// and no time or none that costs anything.
    #[schema(max_length = 500)]
    pub skip_reason: Option<String>,
    /// Counts up with every change; `ETag` holds it too.
    #[schema(minimum = 1)]
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl Tabular for OccurrenceBody {
    const NAME: &'static str = "occurrences";
    const COLUMNS: &'static [Column] = &[
        Column::id("id"),
        Column::id("subscription_id"),
        Column::count("period_index"),
        Column::day("period_start_on"),
        Column::day("period_end_on"),
        Column::day("scheduled_on"),
        Column::word("state"),
        Column::word("problem"),
        Column::id("invoice_id"),
        Column::count("attempts"),
        Column::text("skip_reason"),
        Column::moment("created_at"),
        Column::moment("updated_at"),
    ];

    fn cells(self) -> Vec<Cell> {
        let Self {
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
            skip_reason,
            version: _,
            created_at,
            updated_at,
        } = self;
        vec![
            Cell::text(id),
            Cell::text(subscription_id),
            period_index.into(),
            period_start_on.into(),
            period_end_on.into(),
            scheduled_on.into(),
            Cell::text(state),
            problem.into(),
            invoice_id.map(Cell::text).into(),
            attempts.into(),
            skip_reason.into(),
            created_at.into(),
            updated_at.into(),
        ]
    }
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
            skip_reason,
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
            skip_reason,
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
/// Who got no invoice this month? Those with `state=failed` or `state=skipped`; `GET /reports/not-invoiced` adds those
/// that no run has taken up. Newest first. Pages of JSON, or all in a table (CSV or XLSX, by `Accept` or `format`).
#[utoipa::path(tag = "Occurrences", security(("sign_in" = ["billing:read"])),
    params(OccurrenceQuery, Listing<OccurrenceSort>, Format),
    responses((status = 200, content((PageBody<OccurrenceBody> = "application/json"), (String = "text/csv"),
        (Spreadsheet = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet")))))]
#[get("/occurrences")]
async fn list_occurrences(
    state: web::Data<State>,
    actor: Actor,
    filters: Filters<OccurrenceQuery>,
    format: Format,
    listing: Listing<OccurrenceSort>,
    shape: Shape,
) -> Result<HttpResponse, ApiError> {
    let scope = actor.scope(Permission::BillingRead)?;
    let filter = filters.0.into();
    tables::list(state, scope, format, listing, shape, move |tx, page| {
        let Page { items, next, total } = occurrences::list(tx, &filter, page)?;
        Ok(Page { items: items.into_iter().map(OccurrenceBody::from).collect(), next, total })
    })
    .await
}

/// Plan a period.
///
/// Of a subscription, before a run takes it up: so it can be skipped, or billed whatever `catch_up` says. 409
/// `duplicate` where the period has an occurrence already.
#[utoipa::path(tag = "Occurrences", security(("sign_in" = ["billing:write"])), request_body = OccurrenceInput,
    responses((status = 201, body = OccurrenceBody)))]
#[post("/occurrences")]
async fn create_occurrence(
    state: web::Data<State>,
    actor: Actor,
    once: Once,
    input: Valid<OccurrenceInput>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::BillingWrite)?;
    let OccurrenceInput { subscription_id, period_start_on } = input.0;
    state
        .submit(scope, once, move |tx| {
            let subscription = subscriptions::lock(tx, subscription_id, None)
                .map_err(|error| subscriptions_http::referred("/subscription_id", error))?;
            let schedule = subscription.fields.schedule.schedule()?;
            let planned = planned_on(&schedule, subscription.progress(), period_start_on).ok_or_else(|| {
                let detail = "No period of the subscription begins on this day";
                ApiError::invalid_field("/period_start_on", "period_missing", detail)
            })?;
            if occurrences::find_period(tx, subscription.id, planned.period.index)?.is_some() {
                let detail = "The period has an occurrence already";
                let errors = vec![Wrong::field("/period_start_on", "duplicate", detail)];
                return Err(ApiError { errors, ..ApiError::new(Code::Duplicate) });
            }
            let occurrence = occurrences::plan(tx, subscription.id, &planned)?;
            let location = format!("/api/v1/occurrences/{}", occurrence.id);
            Ok(Reply::created(&location, occurrence.version, &OccurrenceBody::from(occurrence)))
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
            let (occurrence, subscription) = locked(tx, id.0)?;
            if occurrence.state != OccurrenceState::Failed {
                return Err(ApiError::state_invalid(occurrence.state.as_str(), "Only a failed period is tried again"));
            }
            subscriptions::forgive(tx, &subscription)?;
            Ok(Reply::ok(&OccurrenceBody::from(occurrence)))
        })
        .await
}

/// Skip a period.
///
/// No run bills it. Of one that failed, the failures of its subscription are forgotten, which goes on behind it. One
/// that is skipped stays as it is; one that is invoiced answers `state_invalid`: throw its draft away, or correct its
/// invoice.
#[utoipa::path(tag = "Occurrences", security(("sign_in" = ["billing:write"])), request_body = SkipInput,
    responses((status = 200, body = OccurrenceBody)))]
#[post("/occurrences/{id}/skip")]
async fn skip_occurrence(
    state: web::Data<State>,
    actor: Actor,
    id: Id<OccurrenceId>,
    once: Once,
    input: Valid<SkipInput>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::BillingWrite)?;
    state
        .submit(scope, once, move |tx| {
            let (mut occurrence, subscription) = locked(tx, id.0)?;
            match occurrence.state {
                OccurrenceState::Skipped => {}
                OccurrenceState::Invoiced => {
                    let state = OccurrenceState::Invoiced.as_str();
                    return Err(ApiError::state_invalid(state, "What is invoiced is not skipped"));
                }
                before @ (OccurrenceState::Planned | OccurrenceState::Failed) => {
                    occurrence = occurrences::skip(tx, &occurrence, input.0.reason)?;
                    let known = occurrences::known_ahead(tx, subscription.id)?;
                    let schedule = subscription.fields.schedule.schedule()?;
                    let known = |index| known.get(&index).copied();
                    let (next_index, next) = next_open(&schedule, subscription.progress(), known);
                    let has_failed = before == OccurrenceState::Failed;
                    let failures = if has_failed { 0 } else { subscription.consecutive_failures };
                    subscriptions::put(tx, &subscription, Position::new(next_index, next), failures)?;
                }
            }
            Ok(Reply::at_version(occurrence.version, &OccurrenceBody::from(occurrence)))
        })
        .await
}

/// Have a skipped period billed after all.
///
/// Whoever skipped it: it becomes `planned`, and the next run bills it once it is due, whatever `catch_up` says. Issues
/// nothing by itself. One that is planned or failed stays as it is; one that is invoiced answers `state_invalid`.
#[utoipa::path(tag = "Occurrences", security(("sign_in" = ["billing:write"])),
    responses((status = 200, body = OccurrenceBody)))]
#[delete("/occurrences/{id}/skip")]
async fn restore_occurrence(state: web::Data<State>, actor: Actor, id: Id<OccurrenceId>) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::BillingWrite)?;
    state
        .transaction(scope, move |tx| {
            let (mut occurrence, subscription) = locked(tx, id.0)?;
            match occurrence.state {
                OccurrenceState::Planned | OccurrenceState::Failed => {}
                OccurrenceState::Invoiced => {
                    let state = OccurrenceState::Invoiced.as_str();
                    return Err(ApiError::state_invalid(state, "What is invoiced is not skipped"));
                }
                OccurrenceState::Skipped => occurrence = plan_again(tx, &occurrence, &subscription)?,
            }
            Ok(Reply::at_version(occurrence.version, &OccurrenceBody::from(occurrence)))
        })
        .await
}

/// An occurrence behind the lock of its subscription, which runs hold while they settle it.
fn locked(tx: &mut Tx<'_>, id: OccurrenceId) -> Result<(Occurrence, Subscription), ApiError> {
    let subscription_id = occurrences::find(tx, id)?.subscription_id;
    let subscription = subscriptions::lock(tx, subscription_id, None)?;
    Ok((occurrences::find(tx, id)?, subscription))
}

/// Plans a period of a locked subscription again, and puts that before it where it has gone past.
fn plan_again(tx: &mut Tx<'_>, occurrence: &Occurrence, subscription: &Subscription) -> Result<Occurrence, ApiError> {
    let occurrence = occurrences::plan_again(tx, occurrence)?;
    let progress = subscription.progress();
    let next_index = u32::try_from(occurrence.period_index).unwrap_or_default().min(progress.next_index);
    let schedule = subscription.fields.schedule.schedule()?;
    let next = next_planned(&schedule, Progress { next_index, ..progress });
    subscriptions::put(tx, subscription, Position::new(next_index, next), subscription.consecutive_failures)?;
    Ok(occurrence)
}

/// Plans the period again that a draft was made for, if it was made for one: it is thrown away, and a run bills the
/// period anew. The extra lines on it wait for the next invoice again.
pub(crate) fn give_back(tx: &mut Tx<'_>, draft_id: InvoiceId) -> Result<(), ApiError> {
    if let Some(occurrence) = occurrences::find_invoiced(tx, draft_id)? {
        let (occurrence, subscription) = locked(tx, occurrence.id)?;
        plan_again(tx, &occurrence, &subscription)?;
        let billed = extra_lines::billed_on(tx, draft_id)?;
        extra_lines::reopen(tx, billed)?;
    }
    Ok(())
}
