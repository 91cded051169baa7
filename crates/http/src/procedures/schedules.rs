//! Schedules: a procedure that is started for many customers, period by period, by itself.

use super::runs::PeriodBody;
use super::steps::{StepBody, check_steps};
use super::{check_assignments, check_references, named};
use crate::actor::Actor;
use crate::body::{Patch, Valid};
use crate::listing::{Filters, Id, Listing};
use crate::once::Once;
use crate::precondition::IfMatch;
use crate::problem::{ApiError, Wrong};
use crate::reply::Reply;
use crate::shape::{PageBody, Shape};
use crate::state::State;
use crate::subscriptions::{EveryBody, ScheduleDayBody};
use crate::values::capitalised;
use actix_web::{delete, get, patch, post, web};
use chrono::{DateTime, NaiveDate, Utc};
use opiekun_domain::authority::Authority;
use opiekun_domain::ids::{CustomerId, OperatorId, ProcedureId, ProcedureScheduleId};
use opiekun_domain::permission::Permission;
use opiekun_domain::procedure::{Node, Step};
use opiekun_domain::schedule::{BillingTiming, IssueDayShift, ScheduleDay, ScheduleProblem};
use opiekun_domain::subscription::CatchUp;
use opiekun_persistence::procedure_schedules::{ProcedureSchedule, ProcedureScheduleFields, ScheduledCustomer};
use opiekun_persistence::procedures::Procedure;
use opiekun_persistence::{Json, Page, Tx, customers, operators, procedure_schedules, procedures};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use validator::Validate;

pub fn routes(config: &mut ServiceConfig) {
    config
        .service(list_procedure_schedules)
        .service(create_procedure_schedule)
        .service(get_procedure_schedule)
        .service(update_procedure_schedule)
        .service(delete_procedure_schedule)
        .service(preview_procedure_schedule);
}

/// How many customers a preview tells by name.
const CUSTOMERS_TOLD: i64 = 200;
/// How many periods a preview tells.
const PERIODS_TOLD: usize = 12;

/// What a caller may write of a schedule.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct ProcedureScheduleInput {
    /// Stays as it is.
    pub procedure_id: ProcedureId,
    /// The customers that it is started for; those of `customer_filter` unless told.
    #[schema(max_items = 10000)]
    #[serde(default)]
    pub customer_ids: Option<Vec<CustomerId>>,
    /// Which customers it is started for, as they are when a period is started; all of them unless told. Archived ones are
    /// left out.
    #[serde(default)]
    pub customer_filter: Option<CustomerFilterBody>,
    /// How long a period is. Stays once the first period has been started, as `first_on`, `day` and `timing` do.
    pub every: EveryBody,
    /// The day that all periods are counted from: the first day of the first one.
    #[schema(example = "2026-11-01")]
    pub first_on: NaiveDate,
    /// The day of the month on which periods begin: 1 to 31, or `last_day`; the day of `first_on` unless told. Only for
    /// months, quarters and years.
    #[serde(default)]
    pub day: Option<ScheduleDayBody>,
    /// Whether a period is started when it begins or when it is over, as the close of a month is.
    #[schema(default = "in_arrears")]
    #[serde(default = "in_arrears")]
    pub timing: BillingTiming,
    /// Days from the period's first day (in advance), or from the first day after it (in arrears), to the start.
    #[schema(minimum = -366, maximum = 366, default = 0)]
    #[serde(default)]
    pub start_offset_days: i32,
    /// Where a start goes whose day is not worked in Poland.
    #[schema(default = "none")]
    #[serde(default = "no_shift")]
    pub start_day_shift: IssueDayShift,
    /// Periods that begin on this day or later are not started.
    #[serde(default)]
    pub ends_on: Option<NaiveDate>,
    /// What becomes of periods that were missed, such as those before today when the schedule is made: unless told, those
    /// that are a full period late are skipped.
    #[schema(default = "skip")]
    #[serde(default = "skip")]
    pub catch_up: CatchUp,
    /// Whether it starts anything; it does unless told.
    #[schema(default = true)]
    #[serde(default = "active")]
    pub active: bool,
    /// What single customers have beside the procedure's steps, period by period.
    #[schema(max_items = 1000)]
    #[serde(default)]
    #[validate(nested)]
    pub extra_steps: Vec<ExtraStepsBody>,
}

const fn in_arrears() -> BillingTiming {
    BillingTiming::InArrears
}

const fn no_shift() -> IssueDayShift {
    IssueDayShift::None
}

const fn skip() -> CatchUp {
    CatchUp::Skip
}

const fn active() -> bool {
    true
}

/// Customers for whom all that is told holds.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[schema(as = ProcedureCustomerFilter)]
#[serde(deny_unknown_fields)]
pub struct CustomerFilterBody {
    #[schema(min_length = 1, max_length = 60, example = "monthly-close")]
    #[serde(default)]
    pub tag: Option<String>,
    #[serde(default)]
    pub caretaker_id: Option<OperatorId>,
}

/// Steps of one customer's runs, behind the procedure's.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[schema(as = ProcedureExtraSteps)]
#[serde(deny_unknown_fields)]
pub struct ExtraStepsBody {
    pub customer_id: CustomerId,
    #[schema(min_items = 1, max_items = 50)]
    #[validate(nested)]
    pub steps: Vec<StepBody>,
}

/// A procedure that is started by itself.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProcedureSchedule)]
pub struct ProcedureScheduleBody {
    pub id: ProcedureScheduleId,
    #[serde(flatten)]
    pub schedule: ProcedureScheduleInput,
    /// The period that is started next; null when none is left.
    pub next_period: Option<PeriodBody>,
    /// The day on which it is started.
    pub next_start_on: Option<NaiveDate>,
    /// Where that failed: when it is tried again. A change of the schedule has it tried at once.
    pub retry_at: Option<DateTime<Utc>>,
    /// Counts up with every change; `ETag` holds it too.
    #[schema(minimum = 1)]
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// What a schedule would start.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProcedureSchedulePreview {
    /// The periods that are started next, in their order. Of what was missed, what the rule for it leaves is told too.
    #[schema(max_items = 12)]
    periods: Vec<PreviewedPeriod>,
    /// How many customers the next period would be started for now.
    #[schema(minimum = 0, example = 38)]
    customers_total: i64,
    /// The first of them by their ids.
    #[schema(max_items = 200)]
    customers: Vec<PreviewedCustomer>,
}

/// A period, and by when each step of the procedure is done.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProcedurePreviewPeriod)]
pub struct PreviewedPeriod {
    period: PeriodBody,
    start_on: NaiveDate,
    #[schema(max_items = 100)]
    steps: Vec<PreviewedStep>,
}

/// A step, and by when it is done.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProcedurePreviewStep)]
pub struct PreviewedStep {
    #[schema(max_length = 40, example = "book")]
    key: String,
    #[schema(max_length = 240, example = "Book the documents")]
    title: String,
    due_on: Option<NaiveDate>,
}

/// A customer whom a period would be started for.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProcedurePreviewCustomer)]
pub struct PreviewedCustomer {
    customer_id: CustomerId,
    caretaker_id: Option<OperatorId>,
    /// How many steps it has beside the procedure's.
    #[schema(minimum = 0, example = 1)]
    extra_steps: usize,
}

impl ProcedureScheduleInput {
    fn of(fields: ProcedureScheduleFields, scheduled: Vec<ScheduledCustomer>) -> Result<Self, ApiError> {
        let rule = fields.schedule().map_err(ApiError::internal)?;
        let listed = scheduled.iter().filter(|row| row.is_listed).map(|row| row.customer_id).collect();
        let extra_steps = scheduled.into_iter().filter(|row| !row.extra_steps.0.is_empty()).map(|row| ExtraStepsBody {
            customer_id: row.customer_id,
            steps: row.extra_steps.0.into_iter().map(StepBody::from).collect(),
        });
        let has_filter = fields.customer_tag.is_some() || fields.caretaker_id.is_some();
        Ok(Self {
            procedure_id: fields.procedure_id,
            customer_ids: fields.is_listed.then_some(listed),
            customer_filter: has_filter
                .then_some(CustomerFilterBody { tag: fields.customer_tag, caretaker_id: fields.caretaker_id }),
            every: rule.rule().every.into(),
            first_on: fields.first_on,
            day: rule.rule().day.map(ScheduleDayBody::from),
            timing: fields.timing,
            start_offset_days: fields.start_offset_days,
            start_day_shift: fields.start_day_shift,
            ends_on: fields.ends_on,
            catch_up: fields.catch_up,
            active: fields.active,
            extra_steps: extra_steps.collect(),
        })
    }

    fn split(
        self,
        tx: &mut Tx<'_>,
        authority: &Authority,
        procedure: &Procedure,
        known: &[ScheduledCustomer],
    ) -> Result<(ProcedureScheduleFields, Vec<ScheduledCustomer>), ApiError> {
        if self.customer_ids.is_some() && self.customer_filter.is_some() {
            let detail = "Either a list or a filter tells the customers";
            return Err(ApiError::invalid_field("/customer_filter", "not_expected", detail));
        }
        let mut scheduled: BTreeMap<CustomerId, ScheduledCustomer> = BTreeMap::new();
        let row = |customer_id, is_listed| ScheduledCustomer { customer_id, is_listed, extra_steps: Json(Vec::new()) };
        for customer_id in self.customer_ids.iter().flatten() {
            scheduled.insert(*customer_id, row(*customer_id, true));
        }
        let of_procedure: Vec<Node<'_>> = procedure.fields.steps.0.iter().map(Node::from).collect();
        for (index, extra) in self.extra_steps.into_iter().enumerate() {
            let pointer = format!("/extra_steps/{index}");
            let steps: Vec<Step> = extra.steps.into_iter().map(Step::from).collect();
            // Those that are there already fitted once, and are somebody's work.
            let there = known.iter().find(|known| known.customer_id == extra.customer_id);
            let there: &[Step] = there.map_or(&[], |known| &known.extra_steps.0);
            if steps != there {
                check_steps(&steps, &of_procedure, &format!("{pointer}/steps"))?;
                check_assignments(authority, steps.iter().filter(|step| !there.contains(step)))?;
                check_references(tx, &steps, &format!("{pointer}/steps"))?;
            }
            let scheduled = scheduled.entry(extra.customer_id).or_insert_with(|| row(extra.customer_id, false));
            if !scheduled.extra_steps.0.is_empty() {
                let detail = "The customer's steps stand in one place";
                return Err(ApiError::invalid_field(&format!("{pointer}/customer_id"), "duplicate", detail));
            }
            scheduled.extra_steps = Json(steps);
        }
        let ids: Vec<CustomerId> = scheduled.keys().copied().collect();
        let known: BTreeSet<CustomerId> =
            customers::find_all(tx, &ids)?.into_iter().map(|customer| customer.id).collect();
        if known.len() < ids.len() {
            let is_listed = self.customer_ids.iter().flatten().any(|customer_id| !known.contains(customer_id));
            let pointer = if is_listed { "/customer_ids" } else { "/extra_steps" };
            return Err(ApiError::reference_not_found(pointer));
        }
        let (tag, caretaker_id) =
            self.customer_filter.map(|filter| (filter.tag, filter.caretaker_id)).unwrap_or_default();
        if let Some(id) = caretaker_id
            && operators::find_all(tx, &[id])?.is_empty()
        {
            return Err(ApiError::reference_not_found("/customer_filter/caretaker_id"));
        }
        let fields = ProcedureScheduleFields {
            procedure_id: self.procedure_id,
            every_unit: self.every.unit,
            every_count: i32::try_from(self.every.count).unwrap_or(i32::MAX),
            first_on: self.first_on,
            day: self.day.map(|day| ScheduleDay::from(day).to_string()),
            timing: self.timing,
            start_offset_days: self.start_offset_days,
            start_day_shift: self.start_day_shift,
            ends_on: self.ends_on,
            catch_up: self.catch_up,
            is_listed: self.customer_ids.is_some(),
            customer_tag: tag,
            caretaker_id,
            active: self.active,
        };
        fields.schedule().map_err(refused)?;
        Ok((fields, scheduled.into_values().collect()))
    }
}

fn refused(problem: ScheduleProblem) -> ApiError {
    let pointer = match problem {
        ScheduleProblem::Anchor => "/first_on",
        ScheduleProblem::IssueOffset => "/start_offset_days",
        other => other.pointer(),
    };
    ApiError::invalid(vec![Wrong::field(pointer, "schedule", capitalised(&problem.to_string()))])
}

fn bodies(tx: &mut Tx<'_>, rows: Vec<ProcedureSchedule>) -> Result<Vec<ProcedureScheduleBody>, ApiError> {
    let ids: Vec<ProcedureScheduleId> = rows.iter().map(|row| row.id).collect();
    let mut scheduled: HashMap<ProcedureScheduleId, Vec<ScheduledCustomer>> = HashMap::new();
    for (id, row) in procedure_schedules::customers_of(tx, &ids)? {
        scheduled.entry(id).or_default().push(row);
    }
    rows.into_iter()
        .map(|row| {
            let next = match row.next_start_on {
                Some(_) => row.next().map_err(ApiError::internal)?,
                None => None,
            };
            let scheduled = scheduled.remove(&row.id).unwrap_or_default();
            let ProcedureSchedule {
                id,
                fields,
                next_index: _,
                next_start_on,
                reached: _,
                retry_at,
                version,
                created_at,
                updated_at,
            } = row;
            Ok(ProcedureScheduleBody {
                id,
                schedule: ProcedureScheduleInput::of(fields, scheduled)?,
                next_period: next.map(|next| PeriodBody { start_on: next.period.start_on, end_on: next.period.end_on }),
                next_start_on,
                retry_at,
                version,
                created_at,
                updated_at,
            })
        })
        .collect()
}

fn body(tx: &mut Tx<'_>, row: ProcedureSchedule) -> Result<ProcedureScheduleBody, ApiError> {
    bodies(tx, vec![row])?.pop().ok_or_else(|| ApiError::internal("a schedule without a body"))
}

/// Which schedules.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ProcedureScheduleQuery {
    procedure_id: Option<ProcedureId>,
}

/// List procedure schedules.
///
/// Newest first.
#[utoipa::path(tag = "Procedures", security(("sign_in" = ["crm:read"])), params(ProcedureScheduleQuery, Listing<()>),
    responses((status = 200, body = PageBody<ProcedureScheduleBody>)))]
#[get("/procedure-schedules")]
async fn list_procedure_schedules(
    state: web::Data<State>,
    actor: Actor,
    filters: Filters<ProcedureScheduleQuery>,
    listing: Listing<()>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmRead)?;
    state
        .snapshot(scope, move |tx| {
            let page = procedure_schedules::list(tx, filters.0.procedure_id, &listing.page)?;
            let Page { items, next, total } = page;
            let items = bodies(tx, items)?;
            shape.page(tx, Page { items, next, total })
        })
        .await
}

/// Schedule a procedure.
///
/// It is started for each customer once a period, by itself, on the day that the schedule gives: by whichever node is free,
/// also after one that was down, and never again for a customer who has a run of the period already. Making a schedule
/// starts nothing yet; what is due is started within a minute. For managers and owners.
#[utoipa::path(tag = "Procedures", security(("sign_in" = ["crm:write"])), request_body = ProcedureScheduleInput,
    responses((status = 201, body = ProcedureScheduleBody)))]
#[post("/procedure-schedules")]
async fn create_procedure_schedule(
    state: web::Data<State>,
    actor: Actor,
    once: Once,
    input: Valid<ProcedureScheduleInput>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmWrite)?;
    let input = input.0;
    let reply = state
        .submit(scope, once, move |tx| {
            let authority = actor.authority(tx)?;
            authority.may_manage().map_err(ApiError::forbidden)?;
            let procedure = named(tx, input.procedure_id)?;
            let (fields, scheduled) = input.split(tx, &authority, &procedure, &[])?;
            let schedule = procedure_schedules::create(tx, fields, scheduled)?;
            let location = format!("/api/v1/procedure-schedules/{}", schedule.id);
            let body = body(tx, schedule)?;
            Ok(Reply::created(&location, body.version, &body))
        })
        .await?;
    (state.wake)();
    Ok(reply)
}

/// Show a procedure schedule.
///
/// With the period that is started next. It is always sent whole: that changes without it.
#[utoipa::path(tag = "Procedures", security(("sign_in" = ["crm:read"])), extensions(("x-derived" = json!(true))),
    responses((status = 200, body = ProcedureScheduleBody)))]
#[get("/procedure-schedules/{id}")]
async fn get_procedure_schedule(
    state: web::Data<State>,
    actor: Actor,
    id: Id<ProcedureScheduleId>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmRead)?;
    state
        .snapshot(scope, move |tx| {
            let row = procedure_schedules::find(tx, id.0)?;
            let body = body(tx, row)?;
            shape.one(tx, body.version, &body)
        })
        .await
}

/// Change a procedure schedule.
///
/// For whom it starts the procedure, with which extra steps, whether at all. Which periods there are stays once the first
/// of them has been started (409). Runs that were started stay as they are. For managers and owners.
#[utoipa::path(tag = "Procedures", security(("sign_in" = ["crm:write"])), params(IfMatch),
    request_body(content = ProcedureScheduleInput, content_type = "application/merge-patch+json"),
    responses((status = 200, body = ProcedureScheduleBody)))]
#[patch("/procedure-schedules/{id}")]
async fn update_procedure_schedule(
    state: web::Data<State>,
    actor: Actor,
    id: Id<ProcedureScheduleId>,
    seen: IfMatch,
    patch: Patch<ProcedureScheduleInput>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmWrite)?;
    state
        .transaction(scope, move |tx| {
            let authority = actor.authority(tx)?;
            authority.may_manage().map_err(ApiError::forbidden)?;
            let schedule = procedure_schedules::lock(tx, id.0, seen.0)?;
            let current = body(tx, schedule.clone())?.schedule;
            let input = patch.apply(&current)?;
            if input.procedure_id != current.procedure_id {
                let detail = "A schedule stays one of its procedure";
                return Err(ApiError::invalid_field("/procedure_id", "fixed", detail));
            }
            // Its steps stay as they are meanwhile.
            let procedure = procedures::lock(tx, input.procedure_id, None)?;
            let known = procedure_schedules::customers_of(tx, &[schedule.id])?;
            let known: Vec<ScheduledCustomer> = known.into_iter().map(|(_, known)| known).collect();
            let (fields, scheduled) = input.split(tx, &authority, &procedure, &known)?;
            let begun = schedule.next_index > 0 || schedule.reached.is_some();
            let before = &schedule.fields;
            if begun
                && (before.every_unit, before.every_count, before.first_on, &before.day, before.timing)
                    != (fields.every_unit, fields.every_count, fields.first_on, &fields.day, fields.timing)
            {
                return Err(ApiError::state_invalid("begun", "The first period has been started: the periods stay"));
            }
            let schedule = procedure_schedules::update(tx, &schedule, fields, scheduled)?;
            let body = body(tx, schedule)?;
            Ok(Reply::at_version(body.version, &body))
        })
        .await
}

/// Delete a procedure schedule.
///
/// It starts nothing any more; runs that were started go on. For managers and owners.
#[utoipa::path(tag = "Procedures", security(("sign_in" = ["crm:write"])), params(IfMatch), responses((status = 204)))]
#[delete("/procedure-schedules/{id}")]
async fn delete_procedure_schedule(
    state: web::Data<State>,
    actor: Actor,
    id: Id<ProcedureScheduleId>,
    seen: IfMatch,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmWrite)?;
    state
        .transaction(scope, move |tx| {
            actor.authority(tx)?.may_manage().map_err(ApiError::forbidden)?;
            let schedule = procedure_schedules::lock(tx, id.0, seen.0)?;
            procedure_schedules::delete(tx, &schedule)?;
            Ok(Reply::empty())
        })
        .await
}

/// Preview a procedure schedule.
///
/// The next twelve periods with the day on which each is started and by when each step is done, and for whom the next one
/// would be started now. Nothing is started by it.
#[utoipa::path(tag = "Procedures", security(("sign_in" = ["crm:read"])),
    responses((status = 200, body = ProcedureSchedulePreview)))]
#[get("/procedure-schedules/{id}/preview")]
async fn preview_procedure_schedule(
    state: web::Data<State>,
    actor: Actor,
    id: Id<ProcedureScheduleId>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmRead)?;
    state
        .snapshot(scope, move |tx| {
            let schedule = procedure_schedules::find(tx, id.0)?;
            let procedure = procedures::find(tx, schedule.fields.procedure_id)?;
            let upcoming = procedure_schedules::to_come(tx, &schedule, PERIODS_TOLD)?;
            let first = upcoming.first().map(|planned| planned.period.start_on);
            let (customers_total, customers) = match first {
                Some(start_on) => procedure_schedules::preview(tx, &schedule, start_on, CUSTOMERS_TOLD)?,
                None => (0, Vec::new()),
            };
            let extra: HashMap<CustomerId, usize> = procedure_schedules::customers_of(tx, &[schedule.id])?
                .into_iter()
                .map(|(_, row)| (row.customer_id, row.extra_steps.0.len()))
                .collect();
            let periods = upcoming.into_iter().map(|planned| {
                let (start_on, end_on) = (planned.period.start_on, planned.period.end_on);
                let steps = procedure.fields.steps.0.iter().map(|step| PreviewedStep {
                    key: step.key.clone(),
                    title: step.title.clone(),
                    due_on: step.due.map(|rule| rule.due_on(planned.issue_on, Some(start_on))),
                });
                PreviewedPeriod {
                    period: PeriodBody { start_on, end_on },
                    start_on: planned.issue_on,
                    steps: steps.collect(),
                }
            });
            let customers = customers.into_iter().map(|(customer_id, caretaker_id)| PreviewedCustomer {
                customer_id,
                caretaker_id,
                extra_steps: extra.get(&customer_id).copied().unwrap_or_default(),
            });
            Ok(Reply::ok(&ProcedureSchedulePreview {
                periods: periods.collect(),
                customers_total,
                customers: customers.collect(),
            }))
        })
        .await
}
