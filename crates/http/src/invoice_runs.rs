//! Invoice runs: issuing or drafting everything that is due through a day, or previewing it.

use crate::actor::Actor;
use crate::body::Valid;
use crate::listing::{Filters, Id, Listing, Sorting};
use crate::once::Once;
use crate::problem::{ApiError, Code, Wrong};
use crate::reply::Reply;
use crate::shape::{PageBody, Shape};
use crate::state::State;
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use actix_web::{HttpRequest, get, post, web};
use chrono::{DateTime, NaiveDate, Utc};
use opiekun_domain::billing::CurrencyTotal;
use opiekun_domain::currency::Currency;
use opiekun_domain::decimal::Amount;
use opiekun_domain::ids::{CustomerId, InvoiceId, InvoiceRunId, InvoiceTemplateId, SubscriptionId};
use opiekun_domain::invoice_run::{RunMode, RunProblem, RunStatus};
use opiekun_domain::occurrence::OccurrenceState;
use opiekun_domain::permission::Permission;
use opiekun_persistence::invoice_runs::{
    InvoiceRun, InvoiceRunFields, InvoiceRunFilter, RunProgress, RunResult, RunResultFilter, RunResultSort,
};
use opiekun_persistence::{Page, Scope, Tx, customers, invoice_runs, invoice_templates, organizations, subscriptions};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;
use validator::Validate;

pub fn routes(config: &mut ServiceConfig) {
    config
        .service(list_invoice_runs)
        .service(create_invoice_run)
        .service(get_invoice_run)
        .service(list_invoice_run_results)
        .service(cancel_invoice_run);
}

/// What a run is to do.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct InvoiceRunInput {
    /// `preview` shows what `issue` would do, and does nothing of it. `draft` makes a draft for each period, without a
    /// number: it can be changed, is issued by `POST /invoices/{id}/issuance`, which is when it takes its exchange rate,
    /// and thrown away makes its period due again.
    pub mode: RunMode,
    /// Everything with an issue day up to and including this one; today unless told.
    #[schema(example = "2026-11-30")]
    #[serde(default)]
    pub through_on: Option<NaiveDate>,
    /// The date on the invoices: today unless told, and not later. Not before the last invoice of a series that is
    /// used, or the run fails with `issued_before_last`. Drafts get their dates when they are issued.
    #[serde(default)]
    pub issue_on: Option<NaiveDate>,
    /// Only these subscriptions. All that is given must hold.
    #[schema(min_items = 1, max_items = 1000)]
    #[serde(default)]
    pub subscription_ids: Option<Vec<SubscriptionId>>,
    /// Only subscriptions of these templates.
    #[schema(min_items = 1, max_items = 1000)]
    #[serde(default)]
    pub template_ids: Option<Vec<InvoiceTemplateId>>,
    /// Only subscriptions of these customers.
    #[schema(min_items = 1, max_items = 1000)]
    #[serde(default)]
    pub customer_ids: Option<Vec<CustomerId>>,
}

/// One execution of "issue everything due through this day".
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InvoiceRun, example = json!({
    "id": "0192f0c4-1111-7000-8000-000000000001", "kind": "invoice_run", "mode": "issue", "through_on": "2026-11-30",
    "issue_on": "2026-11-23", "subscription_ids": null, "template_ids": null, "customer_ids": null, "status": "running",
    "progress": { "done": 120, "failed": 2, "total": 500 },
    "counts": { "planned": 0, "invoiced": 118, "skipped": 0, "failed": 2 },
    "totals": [{ "currency": "PLN", "net": "53100.00", "vat": "12213.00", "gross": "65313.00" }],
    "result": null, "problem": null, "automatic": false, "cancel_requested_at": null, "created_at": "2026-11-23T09:15:00Z",
    "started_at": "2026-11-23T09:15:00.120Z", "finished_at": null, "version": 3,
}))]
pub struct InvoiceRunBody {
    pub id: InvoiceRunId,
    /// Always `invoice_run`: the kind of this operation among all that take their time.
    #[schema(example = "invoice_run", pattern = "^invoice_run$")]
    pub kind: &'static str,
    pub mode: RunMode,
    pub through_on: NaiveDate,
    /// The date on the invoices.
    pub issue_on: NaiveDate,
    #[schema(max_items = 1000)]
    pub subscription_ids: Option<Vec<SubscriptionId>>,
    #[schema(max_items = 1000)]
    pub template_ids: Option<Vec<InvoiceTemplateId>>,
    #[schema(max_items = 1000)]
    pub customer_ids: Option<Vec<CustomerId>>,
    /// `partially_failed`: it came to its end, and some subscriptions failed, each with its reason.
    pub status: RunStatus,
    pub progress: ProgressBody,
    pub counts: CountsBody,
    /// What was invoiced or drafted, or in a preview would be, in each currency.
    #[schema(max_items = 200)]
    pub totals: Vec<CurrencyTotalBody>,
    /// Where what became of each period is listed, once the run is finished.
    #[schema(max_length = 200)]
    pub result: Option<String>,
    /// Why the run as a whole failed. What it issued or drafted before stays.
    pub problem: Option<RunProblemBody>,
    /// Whether it is the organization's automatic run of the day, and nobody asked for it.
    pub automatic: bool,
    /// Since when it is to stop.
    pub cancel_requested_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub started_at: Option<DateTime<Utc>>,
    pub finished_at: Option<DateTime<Utc>>,
    /// Counts up with every step; `ETag` holds it too.
    #[schema(minimum = 1)]
    pub version: i32,
}

/// How far a run has come, in subscriptions.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RunProgress)]
pub struct ProgressBody {
    /// Taken up so far; those that failed are among them.
    #[schema(minimum = 0)]
    pub done: i32,
    #[schema(minimum = 0)]
    pub failed: i32,
    /// Due when the run began.
    #[schema(minimum = 0)]
    pub total: i32,
}

/// What became of periods.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RunCounts)]
pub struct CountsBody {
    /// That an issue would invoice; of a preview.
    #[schema(minimum = 0)]
    pub planned: i32,
    /// Issued or drafted.
    #[schema(minimum = 0)]
    pub invoiced: i32,
    /// Missed, and by the subscription's `catch_up` not billed any more.
    #[schema(minimum = 0)]
    pub skipped: i32,
    #[schema(minimum = 0)]
    pub failed: i32,
}

/// Sums in one currency.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CurrencyTotal)]
pub struct CurrencyTotalBody {
    pub currency: Currency,
    pub net: Amount,
    pub vat: Amount,
    pub gross: Amount,
}

/// Why a run failed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RunProblem)]
pub struct RunProblemBody {
    /// `issued_before_last`: the issue date lies before the last invoice of a series. `internal`: the server's log
    /// knows more.
    #[schema(max_length = 60)]
    pub code: String,
    #[schema(max_length = 400)]
    pub detail: String,
}

/// What became of one period in a run.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InvoiceRunResult, example = json!({
    "id": "0192f0c1-7a10-7cc1-9d5e-0f3b8a61c2aa", "subscription_id": "0192f0c1-7a10-7cc1-9d5e-0f3b8a61c2ad",
    "customer_id": "0192f0c1-7a10-7cc1-9d5e-0f3b8a61c2ab", "period_start_on": "2026-11-01",
    "period_end_on": "2026-12-01", "scheduled_on": "2026-11-02", "outcome": "invoiced", "problem": null,
    "invoice_id": "0192f0c6-3333-7000-8000-000000000003", "currency": "PLN", "net": "450.00", "vat": "103.50",
    "gross": "553.50",
}))]
pub struct InvoiceRunResultBody {
    pub id: Uuid,
    pub subscription_id: SubscriptionId,
    pub customer_id: CustomerId,
    pub period_start_on: NaiveDate,
    /// The first day after the period.
    pub period_end_on: NaiveDate,
    /// The day on which it was to be invoiced.
    pub scheduled_on: NaiveDate,
    /// `planned`, in a preview, is what an issue would invoice.
    pub outcome: OccurrenceState,
    /// Why it failed, as the occurrence tells it; `nothing_to_bill` where it was skipped for that.
    #[schema(max_length = 60)]
    pub problem: Option<String>,
    /// The invoice, or the draft.
    pub invoice_id: Option<InvoiceId>,
    /// With the sums, where it was invoiced or would be.
    pub currency: Option<Currency>,
    pub net: Option<Amount>,
    pub vat: Option<Amount>,
    pub gross: Option<Amount>,
}

impl From<InvoiceRun> for InvoiceRunBody {
    fn from(row: InvoiceRun) -> Self {
        let InvoiceRun {
            id,
            fields,
            progress,
            // Who asked is told by the audit log.
            requested_by_kind: _,
            requested_by_id: _,
            cancel_requested_at,
            automatic_on,
            version,
            created_at,
            // Every step is a version.
            updated_at: _,
        } = row;
        let InvoiceRunFields { mode, through_on, issue_on, subscription_ids, template_ids, customer_ids } = fields;
        let RunProgress {
            status,
            done,
            total,
            planned,
            invoiced,
            skipped,
            failed,
            totals,
            problem,
            started_at,
            finished_at,
        } = progress;
        Self {
            id,
            kind: "invoice_run",
            mode,
            through_on,
            issue_on,
            subscription_ids,
            template_ids,
            customer_ids,
            status,
            progress: ProgressBody { done, failed, total },
            counts: CountsBody { planned, invoiced, skipped, failed },
            totals: totals.0.into_iter().map(CurrencyTotalBody::from).collect(),
            result: status.is_finished().then(|| format!("{}/results", path(id))),
            problem: problem.map(|code| RunProblemBody {
                detail: RunProblem::from_code(&code).map(|problem| problem.to_string()).unwrap_or_default(),
                code,
            }),
            automatic: automatic_on.is_some(),
            cancel_requested_at,
            created_at,
            started_at,
            finished_at,
            version,
        }
    }
}

impl From<CurrencyTotal> for CurrencyTotalBody {
    fn from(total: CurrencyTotal) -> Self {
        let CurrencyTotal { currency, net, vat, gross } = total;
        Self { currency, net, vat, gross }
    }
}

impl From<RunResult> for InvoiceRunResultBody {
    fn from(row: RunResult) -> Self {
        let RunResult {
            id,
            run_id: _,
            subscription_id,
            customer_id,
            period_start_on,
            period_end_on,
            scheduled_on,
            outcome,
            problem,
            invoice_id,
            currency,
            net,
            vat,
            gross,
        } = row;
        Self {
            id,
            subscription_id,
            customer_id,
            period_start_on,
            period_end_on,
            scheduled_on,
            outcome,
            problem,
            invoice_id,
            currency,
            net,
            vat,
            gross,
        }
    }
}

fn path(id: InvoiceRunId) -> String {
    format!("/api/v1/invoice-runs/{id}")
}

impl InvoiceRunInput {
    /// The run that is asked for, on the organization's calendar.
    fn fields(self, tx: &mut Tx<'_>) -> Result<InvoiceRunFields, ApiError> {
        let today = organizations::today(tx)?;
        let issue_on = self.issue_on.unwrap_or(today);
        if issue_on > today {
            return Err(ApiError::invalid_field("/issue_on", "too_late", "An invoice is not dated ahead"));
        }
        let mut wrong = Vec::new();
        if let Some(ids) = &self.subscription_ids {
            let known = subscriptions::find_all(tx, ids)?.into_iter().map(|it| it.id).collect();
            unknown("subscription_ids", ids, &known, &mut wrong);
        }
        if let Some(ids) = &self.template_ids {
            let known = invoice_templates::find_all(tx, ids)?.into_iter().map(|it| it.id).collect();
            unknown("template_ids", ids, &known, &mut wrong);
        }
        if let Some(ids) = &self.customer_ids {
            let known = customers::find_all(tx, ids)?.into_iter().map(|it| it.id).collect();
            unknown("customer_ids", ids, &known, &mut wrong);
        }
        if !wrong.is_empty() {
            return Err(ApiError { errors: wrong, ..ApiError::new(Code::ReferenceNotFound) });
        }
        Ok(InvoiceRunFields {
            mode: self.mode,
            through_on: self.through_on.unwrap_or(today),
            issue_on,
            subscription_ids: self.subscription_ids,
            template_ids: self.template_ids,
            customer_ids: self.customer_ids,
        })
    }
}

fn unknown<T: Ord>(field: &str, ids: &[T], known: &BTreeSet<T>, wrong: &mut Vec<Wrong>) {
    let missing = ids.iter().enumerate().filter(|(_, id)| !known.contains(id));
    wrong.extend(
        missing.map(|(index, _)| Wrong::field(format!("/{field}/{index}"), "reference_not_found", "No such record")),
    );
}

impl Sorting for RunResultSort {
    const WORDS: &'static [(&'static str, Self)] = &[("id", Self::Id)];
    const DESCENDING: bool = false;
}

/// Which runs.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct InvoiceRunQuery {
    status: Option<RunStatus>,
    mode: Option<RunMode>,
    #[serde(rename = "through_on[gte]")]
    through_from: Option<NaiveDate>,
    #[serde(rename = "through_on[lte]")]
    through_through: Option<NaiveDate>,
    /// Automatic runs, or those that somebody asked for.
    automatic: Option<bool>,
}

/// Which results.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct InvoiceRunResultQuery {
    outcome: Option<OccurrenceState>,
    subscription_id: Option<SubscriptionId>,
}

/// List invoice runs.
///
/// Previews and automatic runs too. Newest first.
#[utoipa::path(tag = "Invoice runs", security(("sign_in" = ["billing:read"])),
    params(InvoiceRunQuery, Listing<()>), responses((status = 200, body = PageBody<InvoiceRunBody>)))]
#[get("/invoice-runs")]
async fn list_invoice_runs(
    state: web::Data<State>,
    actor: Actor,
    filters: Filters<InvoiceRunQuery>,
    listing: Listing<()>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::BillingRead)?;
    let InvoiceRunQuery { status, mode, through_from, through_through, automatic } = filters.0;
    let filter = InvoiceRunFilter { status, mode, through_from, through_through, automatic };
    state
        .read(scope, move |tx| {
            let Page { items, next, total } = invoice_runs::list(tx, &filter, &listing.page)?;
            let items = items.into_iter().map(InvoiceRunBody::from).collect();
            shape.page(tx, Page { items, next, total })
        })
        .await
}

/// Issue, draft or preview what is due.
///
/// The run works in the background, survives a restart, and bills each period of a subscription at most once however
/// often it is asked for: repeating a call is safe. A subscription that can't be billed fails alone, and after three
/// runs in a row is parked. Nothing due is a success with zeros. A subscription is billed for at most 120 periods a
/// run; the next run goes on. Polish VAT in another currency is told in złoty by `/exchange-rates`: without the rate that
/// the law asks for the period fails with `exchange_rate_missing`, until a later run finds it there; drafts are made
/// without.
///
/// Follow it at `Location`, or send `Prefer: wait=30` to get the finished run with 200 if it ends in time.
#[utoipa::path(tag = "Invoice runs", security(("sign_in" = ["billing:write"])), request_body = InvoiceRunInput,
    params(Wait),
    responses((status = 202, body = InvoiceRunBody),
        (status = 200, body = InvoiceRunBody, description = "It has finished within `Prefer: wait`.")))]
#[post("/invoice-runs")]
async fn create_invoice_run(
    req: HttpRequest,
    state: web::Data<State>,
    actor: Actor,
    once: Once,
    input: Valid<InvoiceRunInput>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::BillingWrite)?;
    let accepted = state
        .submit(scope, once, move |tx| {
            let fields = input.0.fields(tx)?;
            let body = InvoiceRunBody::from(invoice_runs::create(tx, fields)?);
            Ok(Reply::accepted(&path(body.id), &body))
        })
        .await?;
    (state.wake)();
    let Some((wait, id)) = Wait::of(req.headers()).zip(id_of(&accepted)) else {
        return Ok(accepted);
    };
    let run = finished(&state, scope, id, wait).await?;
    if !run.progress.status.is_finished() {
        return Ok(accepted);
    }
    let version = run.version;
    let mut reply = Reply::at_version(version, &InvoiceRunBody::from(run));
    for (name, value) in accepted.headers {
        // Where it is, and whether it was asked for before, are as true as in the first answer.
        if name != RETRY_AFTER && !reply.headers.iter().any(|(given, _)| *given == name) {
            reply = reply.header(name, value);
        }
    }
    Ok(reply.header(PREFERENCE_APPLIED, wait.applied()))
}

/// The run that an accepted answer, fresh or repeated, is about.
fn id_of(accepted: &Reply) -> Option<InvoiceRunId> {
    #[derive(Deserialize)]
    struct Named {
        id: InvoiceRunId,
    }
    let named: Option<Named> = serde_json::from_slice(&accepted.body).ok();
    named.filter(|_| accepted.status == StatusCode::ACCEPTED).map(|named| named.id)
}

/// Show an invoice run.
///
/// `Retry-After` tells when to look again while it works; `Prefer: wait=30` waits for its end.
#[utoipa::path(tag = "Invoice runs", security(("sign_in" = ["billing:read"])), params(Wait),
    responses((status = 200, body = InvoiceRunBody)))]
#[get("/invoice-runs/{id}")]
async fn get_invoice_run(
    req: HttpRequest,
    state: web::Data<State>,
    actor: Actor,
    id: Id<InvoiceRunId>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::BillingRead)?;
    let wait = Wait::of(req.headers());
    let run = finished(&state, scope, id.0, wait.unwrap_or(Wait::NONE)).await?;
    let is_finished = run.progress.status.is_finished();
    let reply = state.read(scope, move |tx| shape.one(tx, run.version, &InvoiceRunBody::from(run))).await?;
    Ok(match wait {
        Some(wait) if is_finished => reply.header(PREFERENCE_APPLIED, wait.applied()),
        _ if is_finished => reply,
        _ => reply.header(RETRY_AFTER, HeaderValue::from_static("1")),
    })
}

/// List what became of each period in a run.
///
/// Those who got no invoice: `outcome=failed`. In the order of working.
#[utoipa::path(tag = "Invoice runs", security(("sign_in" = ["billing:read"])),
    params(InvoiceRunResultQuery, Listing<RunResultSort>),
    responses((status = 200, body = PageBody<InvoiceRunResultBody>)))]
#[get("/invoice-runs/{id}/results")]
async fn list_invoice_run_results(
    state: web::Data<State>,
    actor: Actor,
    id: Id<InvoiceRunId>,
    filters: Filters<InvoiceRunResultQuery>,
    listing: Listing<RunResultSort>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::BillingRead)?;
    let InvoiceRunResultQuery { outcome, subscription_id } = filters.0;
    let filter = RunResultFilter { outcome, subscription_id };
    state
        .read(scope, move |tx| {
            let run = invoice_runs::find(tx, id.0)?;
            let Page { items, next, total } = invoice_runs::list_results(tx, &run, &filter, &listing.page)?;
            let items = items.into_iter().map(InvoiceRunResultBody::from).collect();
            shape.page(tx, Page { items, next, total })
        })
        .await
}

/// Stop an invoice run.
///
/// It stops after the batch that it is at; what it issued or drafted stays, and another run goes on with the rest. A run
/// that is finished answers `state_invalid`; asked twice, a run stops once.
#[utoipa::path(tag = "Invoice runs", security(("sign_in" = ["billing:write"])),
    responses((status = 200, body = InvoiceRunBody)))]
#[post("/invoice-runs/{id}/cancellation")]
async fn cancel_invoice_run(
    state: web::Data<State>,
    actor: Actor,
    id: Id<InvoiceRunId>,
    once: Once,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::BillingWrite)?;
    state
        .submit(scope, once, move |tx| {
            let mut run = invoice_runs::lock(tx, id.0)?;
            let status = run.progress.status;
            if status.is_finished() && status != RunStatus::Cancelled {
                return Err(ApiError::state_invalid(status.as_str(), "The run is finished"));
            }
            if run.cancel_requested_at.is_none() {
                run = invoice_runs::cancel(tx, &run)?;
            }
            Ok(Reply::at_version(run.version, &InvoiceRunBody::from(run)))
        })
        .await
}

const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// `Prefer: wait=30` (RFC 7240): how long the caller would wait for the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoParams)]
#[into_params(parameter_in = Header)]
struct Wait {
    /// `wait=30`: answer when the run has finished, or after so many seconds, at most 30.
    #[param(rename = "Prefer", value_type = Option<String>, max_length = 200, example = "wait=30")]
    seconds: u64,
}

impl Wait {
    const NONE: Self = Self { seconds: 0 };
    const SECONDS_MAX: u64 = 30;

    /// What is not understood of a preference is passed over (RFC 7240, section 2).
    fn of(headers: &HeaderMap) -> Option<Self> {
        let preferences = headers.get("prefer")?.to_str().ok()?;
        let seconds =
            preferences.split([',', ';']).find_map(|it| it.trim().strip_prefix("wait=")?.parse::<u64>().ok())?;
        Some(Self { seconds: seconds.min(Self::SECONDS_MAX) })
    }

    fn applied(self) -> HeaderValue {
        HeaderValue::from_str(&format!("wait={}", self.seconds)).unwrap_or(HeaderValue::from_static("wait"))
    }
}

/// The run once it is finished, or as it is when the wait is over.
async fn finished(
    state: &web::Data<State>,
    scope: Scope,
    id: InvoiceRunId,
    wait: Wait,
) -> Result<InvoiceRun, ApiError> {
    const EVERY: Duration = Duration::from_millis(100);
    let until = Instant::now() + Duration::from_secs(wait.seconds);
    loop {
        let run = state.read(scope, move |tx| Ok(invoice_runs::find(tx, id)?)).await?;
        if run.progress.status.is_finished() || Instant::now() >= until {
            return Ok(run);
        }
        actix_web::rt::time::sleep(EVERY).await;
    }
}
