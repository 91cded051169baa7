//! Runs: a procedure that is done for a customer, how far it has come, and who is late at which step.

use super::steps::{StepBody, check_steps};
use super::{check_assignments, check_references, named};
use crate::actor::Actor;
use crate::body::Valid;
use crate::listing::{Filters, Id, Listing, Sorting};
use crate::once::Once;
use crate::problem::{ApiError, Place};
use crate::reply::Reply;
use crate::shape::{PageBody, Shape};
use crate::state::State;
use actix_web::{get, post, web};
use chrono::{DateTime, NaiveDate, Utc};
use opiekun_domain::ids::{
    ArticleId, CustomerId, OperatorId, ProcedureId, ProcedureRunId, ProcedureStepId, SurveyId, TaskId, ThreadId,
};
use opiekun_domain::permission::Permission;
use opiekun_domain::procedure::{Hands, Node, RunState, Step, StepState, is_ready};
use opiekun_domain::task::{Progress, TaskStatus};
use opiekun_persistence::procedure_runs::{
    Occasion, ProcedureRun, ProcedureRunFilter, ProcedureStep, ProcedureStepFilter, ProcedureStepSort,
};
use opiekun_persistence::tasks::Task;
use opiekun_persistence::{Page, Tx, customers, organizations, procedure_runs, task_progress, tasks, work_tree};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use validator::Validate;

pub fn routes(config: &mut ServiceConfig) {
    config
        .service(list_procedure_runs)
        .service(start_procedure)
        .service(get_procedure_run)
        .service(add_procedure_step)
        .service(skip_procedure_step)
        .service(cancel_procedure_run)
        .service(list_procedure_steps)
        .service(get_procedure_step);
}

/// The days that a run is for.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[schema(as = ProcedurePeriod, example = json!({ "start_on": "2026-10-01", "end_on": "2026-11-01" }))]
#[serde(deny_unknown_fields)]
pub struct PeriodBody {
    pub start_on: NaiveDate,
    /// Exclusive: the first day that is no longer in it.
    pub end_on: NaiveDate,
}

/// What a procedure is started with.
#[derive(Debug, Clone, Deserialize, ToSchema, Validate)]
#[schema(example = json!({
    "procedure_id": "0192f0c1-7a10-7cc1-9d5e-0f3b8a61c2aa", "customer_id": "0192f0c1-7a10-7cc1-9d5e-0f3b8a61c2ab",
    "period": { "start_on": "2026-10-01", "end_on": "2026-11-01" },
}))]
#[serde(deny_unknown_fields)]
pub struct ProcedureRunInput {
    pub procedure_id: ProcedureId,
    pub customer_id: CustomerId,
    /// A procedure runs once for a customer and a period, whoever starts it. Without one it runs as often as one likes.
    #[serde(default)]
    pub period: Option<PeriodBody>,
    /// Steps of this run alone, behind the procedure's.
    #[schema(max_items = 50)]
    #[serde(default)]
    #[validate(nested)]
    pub extra_steps: Vec<StepBody>,
}

/// One execution of a procedure.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProcedureRun)]
pub struct ProcedureRunBody {
    pub id: ProcedureRunId,
    pub procedure_id: ProcedureId,
    /// The version of the procedure whose steps it follows.
    #[schema(minimum = 1)]
    pub procedure_version: i32,
    pub customer_id: CustomerId,
    pub period: Option<PeriodBody>,
    pub started_on: NaiveDate,
    /// The thread of all its tasks.
    pub thread_id: Option<ThreadId>,
    /// The main task; the steps are its subtasks.
    pub task_id: TaskId,
    /// The operator who started it; null where its schedule did, or a script.
    pub registered_by_id: Option<OperatorId>,
    /// That of the main task: done with the last step.
    pub status: RunState,
    #[schema(minimum = 0, maximum = 100, example = 50)]
    pub percent_done: i16,
    #[schema(minimum = 0, example = 6)]
    pub steps_total: usize,
    /// Those that are done or skipped.
    #[schema(minimum = 0, example = 3)]
    pub steps_closed: usize,
    /// Those that can be done and should have been by now.
    #[schema(minimum = 0, example = 1)]
    pub steps_late: usize,
    /// Counts up with every change; `ETag` holds it too.
    #[schema(minimum = 1)]
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// One execution of a procedure, with its steps.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProcedureRunDetail)]
pub struct ProcedureRunDetail {
    #[serde(flatten)]
    pub run: ProcedureRunBody,
    #[schema(max_items = 200)]
    pub steps: Vec<RunStepBody>,
}

/// A step of a run.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProcedureRunStep)]
pub struct RunStepBody {
    pub id: ProcedureStepId,
    #[schema(max_length = 40, example = "book")]
    pub key: String,
    #[schema(max_length = 240, example = "Book the documents")]
    pub title: String,
    pub state: StepState,
    /// Whether it can be done and should have been by now.
    pub late: bool,
    /// Who does it, or will.
    pub caretaker_id: Option<OperatorId>,
    /// By when: the day of the step's rule, or the one that its task was moved to.
    pub due_on: Option<NaiveDate>,
    #[schema(max_items = 50, schema_with = waits)]
    pub waits_for: Vec<String>,
    pub task_id: TaskId,
    #[schema(minimum = 0, maximum = 50)]
    pub files_required: i16,
    pub survey_id: Option<SurveyId>,
    /// What explains it.
    pub article_id: Option<ArticleId>,
    /// Of this run alone.
    pub extra: bool,
    #[schema(max_length = 1000)]
    pub skip_reason: Option<String>,
    /// Since when it can be done.
    pub opened_at: Option<DateTime<Utc>>,
    pub closed_at: Option<DateTime<Utc>>,
}

fn waits() -> utoipa::openapi::schema::Array {
    use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, SchemaType, Type};
    let key = ObjectBuilder::new().schema_type(SchemaType::Type(Type::String)).max_length(Some(40));
    ArrayBuilder::new().items(key).max_items(Some(50)).build()
}

/// A step with the run that it is of.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProcedureStep)]
pub struct ProcedureStepBody {
    pub run_id: ProcedureRunId,
    pub procedure_id: ProcedureId,
    pub customer_id: CustomerId,
    pub period: Option<PeriodBody>,
    #[serde(flatten)]
    pub step: RunStepBody,
    /// Counts up when it is opened, skipped, or opened again after that; `ETag` holds it too. What changes with its task
    /// does not count.
    #[schema(minimum = 1)]
    pub version: i32,
}

impl ProcedureStepBody {
    fn new((step, run, task): (ProcedureStep, ProcedureRun, Task), now: DateTime<Utc>) -> Self {
        Self {
            run_id: run.id,
            procedure_id: run.procedure_id,
            customer_id: run.customer_id,
            period: period_of(&run),
            version: step.version,
            step: RunStepBody::new(step, task, now),
        }
    }
}

fn period_of(run: &ProcedureRun) -> Option<PeriodBody> {
    run.period_start_on.zip(run.period_end_on).map(|(start_on, end_on)| PeriodBody { start_on, end_on })
}

impl RunStepBody {
    fn new(step: ProcedureStep, task: Task, now: DateTime<Utc>) -> Self {
        let late = step.opened_at.is_some() && task.is_overdue(now);
        let ProcedureStep {
            id,
            run_id: _,
            position: _,
            key,
            waits_for,
            task_id,
            caretaker_id,
            due_on,
            sort_due_on: _,
            files_required,
            survey_id,
            article_id,
            is_extra,
            opened_at,
            closed_at: _,
            skip_reason,
            assignee: _,
            state,
            version: _,
            created_at: _,
            updated_at: _,
        } = step;
        Self {
            id,
            key,
            title: task.fields.title,
            state,
            late,
            caretaker_id,
            due_on,
            waits_for,
            task_id,
            files_required,
            survey_id,
            article_id,
            extra: is_extra,
            skip_reason,
            opened_at,
            closed_at: task.closed_at,
        }
    }
}

impl ProcedureRunBody {
    fn new(run: ProcedureRun, main: &Task, steps: &[RunStepBody]) -> Self {
        let count = |is_it: fn(&RunStepBody) -> bool| steps.iter().filter(|step| is_it(step)).count();
        Self {
            period: period_of(&run),
            id: run.id,
            procedure_id: run.procedure_id,
            procedure_version: run.procedure_version,
            customer_id: run.customer_id,
            started_on: run.started_on,
            thread_id: main.fields.thread_id,
            task_id: run.task_id,
            registered_by_id: run.registered_by_id,
            status: state_of(main),
            percent_done: main.percent_done,
            steps_total: steps.len(),
            steps_closed: count(|step| step.closed_at.is_some()),
            steps_late: count(|step| step.late),
            version: run.version,
            created_at: run.created_at,
            updated_at: run.updated_at,
        }
    }
}

const fn state_of(main: &Task) -> RunState {
    match main.status {
        TaskStatus::Open | TaskStatus::InProgress => RunState::Open,
        TaskStatus::Done => RunState::Done,
        TaskStatus::Cancelled => RunState::Cancelled,
    }
}

/// Runs with their steps: two statements, however many there are.
fn details(tx: &mut Tx<'_>, runs: Vec<ProcedureRun>) -> Result<Vec<ProcedureRunDetail>, ApiError> {
    let now = tx.now;
    let task_ids: Vec<TaskId> = runs.iter().map(|run| run.task_id).collect();
    let mains: HashMap<TaskId, Task> =
        tasks::find_all(tx, &task_ids)?.into_iter().map(|task| (task.id, task)).collect();
    let ids: Vec<ProcedureRunId> = runs.iter().map(|run| run.id).collect();
    let mut steps: HashMap<ProcedureRunId, Vec<RunStepBody>> = HashMap::new();
    for (step, task) in procedure_runs::steps_of(tx, &ids)? {
        steps.entry(step.run_id).or_default().push(RunStepBody::new(step, task, now));
    }
    runs.into_iter()
        .map(|run| {
            let main = mains.get(&run.task_id).ok_or_else(|| ApiError::internal("a run without its task"))?;
            let steps = steps.remove(&run.id).unwrap_or_default();
            Ok(ProcedureRunDetail { run: ProcedureRunBody::new(run, main, &steps), steps })
        })
        .collect()
}

fn detail(tx: &mut Tx<'_>, run: ProcedureRun) -> Result<ProcedureRunDetail, ApiError> {
    details(tx, vec![run])?.pop().ok_or_else(|| ApiError::internal("a run without its task"))
}

/// Which runs.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ProcedureRunQuery {
    procedure_id: Option<ProcedureId>,
    customer_id: Option<CustomerId>,
    /// Of the period that begins on this day.
    period_start_on: Option<NaiveDate>,
    status: Option<RunState>,
}

/// List procedure runs.
///
/// How far each has come, newest first; its steps stand at the run itself, and those of all runs at `/procedure-steps`.
#[utoipa::path(tag = "Procedures", security(("sign_in" = ["crm:read"])), params(ProcedureRunQuery, Listing<()>),
    responses((status = 200, body = PageBody<ProcedureRunBody>)))]
#[get("/procedure-runs")]
async fn list_procedure_runs(
    state: web::Data<State>,
    actor: Actor,
    filters: Filters<ProcedureRunQuery>,
    listing: Listing<()>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmRead)?;
    let ProcedureRunQuery { procedure_id, customer_id, period_start_on, status } = filters.0;
    let filter = ProcedureRunFilter { procedure_id, customer_id, period_start_on, state: status };
    state
        .snapshot(scope, move |tx| {
            let Page { items, next, total } = procedure_runs::list(tx, &filter, &listing.page)?;
            let items = details(tx, items)?.into_iter().map(|detail| detail.run).collect();
            shape.page(tx, Page { items, next, total })
        })
        .await
}

/// Start a procedure.
///
/// For a customer, and for a period if it is one of many: its thread, its main task and a subtask a step are made at once.
/// Steps that wait for nothing are open; the others get who does them and by when as soon as what they wait for is done,
/// told by an event `procedure_step.opened`. Once for a customer and period: again it is refused (409).
#[utoipa::path(tag = "Procedures", security(("sign_in" = ["crm:write"])), request_body = ProcedureRunInput,
    responses((status = 201, body = ProcedureRunDetail)))]
#[post("/procedure-runs")]
async fn start_procedure(
    state: web::Data<State>,
    actor: Actor,
    once: Once,
    input: Valid<ProcedureRunInput>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmWrite)?;
    let ProcedureRunInput { procedure_id, customer_id, period, extra_steps } = input.0;
    if period.is_some_and(|period| period.end_on <= period.start_on) {
        return Err(ApiError::invalid_field("/period/end_on", "order", "Lies behind the start"));
    }
    let extra_steps: Vec<Step> = extra_steps.into_iter().map(Step::from).collect();
    state
        .submit(scope, once, move |tx| {
            let procedure = named(tx, procedure_id)?;
            let others: Vec<Node<'_>> = procedure.fields.steps.0.iter().map(Node::from).collect();
            check_steps(&extra_steps, &others, "/extra_steps")?;
            check_assignments(&actor.authority(tx)?, &extra_steps)?;
            check_references(tx, &extra_steps, "/extra_steps")?;
            let period = period.map(|period| (period.start_on, period.end_on));
            let start = procedure_runs::start_for(tx, customer_id, period)?;
            let mut start = match start {
                Some(start) => start,
                None if customers::find_all(tx, &[customer_id])?.is_empty() => {
                    return Err(ApiError::reference_not_found("/customer_id"));
                }
                None => return Err(ApiError::state_invalid("archived", "The customer is archived")),
            };
            start.extra_steps = extra_steps;
            let started_on = organizations::today(tx)?;
            let occasion = Occasion { started_on, starter_id: actor.operator_id() };
            let run = procedure_runs::start_all(tx, &procedure, occasion, vec![start])?.pop();
            let run = run.ok_or_else(|| ApiError::internal("a start without a run"))?;
            let location = format!("/api/v1/procedure-runs/{}", run.id);
            Ok(Reply::created(&location, run.version, &detail(tx, run)?))
        })
        .await
}

/// Show a procedure run.
///
/// With its steps, and which of them are late. It is always sent whole: its tasks change without it.
#[utoipa::path(tag = "Procedures", security(("sign_in" = ["crm:read"])), extensions(("x-derived" = json!(true))),
    responses((status = 200, body = ProcedureRunDetail)))]
#[get("/procedure-runs/{id}")]
async fn get_procedure_run(
    state: web::Data<State>,
    actor: Actor,
    id: Id<ProcedureRunId>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmRead)?;
    state
        .snapshot(scope, move |tx| {
            let run = procedure_runs::find(tx, id.0)?;
            let detail = detail(tx, run)?;
            shape.one(tx, detail.run.version, &detail)
        })
        .await
}

/// Locks a run that goes on and is the caller's to change: who started it may, the caretaker of its main task, and those
/// above them.
fn lock(tx: &mut Tx<'_>, actor: &Actor, id: ProcedureRunId) -> Result<(ProcedureRun, Task), ApiError> {
    // Nobody closes a step meanwhile, so that the locks of its tasks may come in any order.
    work_tree::change(tx)?;
    let run = procedure_runs::lock(tx, id)?;
    let main = tasks::lock(tx, run.task_id, None)?;
    actor.authority(tx)?.may_change(&main.holders()).map_err(ApiError::forbidden)?;
    match state_of(&main) {
        RunState::Open => Ok((run, main)),
        RunState::Done => Err(ApiError::state_invalid("done", "The run is done")),
        RunState::Cancelled => Err(ApiError::state_invalid("cancelled", "The run is cancelled")),
    }
}

/// More steps a run never has.
const STEPS_MAX: usize = 200;

/// Add a step to a procedure run.
///
/// To this run alone. It may wait for others of the run; that others wait for it is nothing that a run that goes on can be
/// told.
#[utoipa::path(tag = "Procedures", security(("sign_in" = ["crm:write"])), request_body = StepBody,
    responses((status = 200, body = ProcedureRunDetail)))]
#[post("/procedure-runs/{id}/steps")]
async fn add_procedure_step(
    state: web::Data<State>,
    actor: Actor,
    id: Id<ProcedureRunId>,
    once: Once,
    input: Valid<StepBody>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmWrite)?;
    let step = Step::from(input.0);
    state
        .submit(scope, once, move |tx| {
            let (run, main) = lock(tx, &actor, id.0)?;
            let steps = procedure_runs::steps_of(tx, &[run.id])?;
            let others: Vec<Node<'_>> =
                steps.iter().map(|(step, _)| Node { key: &step.key, waits_for: &step.waits_for }).collect();
            check_steps(std::slice::from_ref(&step), &others, "").map_err(without_index)?;
            check_assignments(&actor.authority(tx)?, std::slice::from_ref(&step))?;
            check_references(tx, std::slice::from_ref(&step), "").map_err(without_index)?;
            if steps.len() >= STEPS_MAX {
                return Err(ApiError::state_invalid("full", "A run has no more than 200 steps"));
            }
            let is_closed = |key: &str| steps.iter().any(|(step, task)| step.key == key && task.closed_at.is_some());
            let is_open = is_ready(&step.waits_for, is_closed);
            let caretaker_id = customers::find(tx, run.customer_id)?.fields.caretaker_id;
            let hands = Hands { caretaker_id, starter_id: actor.operator_id(), turn: 0 };
            procedure_runs::add_step(tx, &run, &main, &step, hands, is_open)?;
            let run = procedure_runs::find(tx, run.id)?;
            Ok(Reply::at_version(run.version, &detail(tx, run)?))
        })
        .await
}

/// The refusal of the only step, which is the whole body.
fn without_index(mut error: ApiError) -> ApiError {
    for wrong in &mut error.errors {
        if let Place::Pointer(place) = &mut wrong.place
            && let Some(rest) = place.strip_prefix("/0")
        {
            *place = rest.to_owned();
        }
    }
    error
}

/// Which step is skipped, and why.
#[derive(Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct ProcedureStepSkip {
    #[schema(pattern = r"^[a-z][a-z0-9_]{0,39}$", example = "collect")]
    pub key: String,
    #[schema(min_length = 1, max_length = 1000, example = "No purchases this month")]
    pub reason: String,
}

/// Skip a step of a procedure run.
///
/// Its task is cancelled with everything below it, and what waits for it does not any more. The procedure stays as it is.
#[utoipa::path(tag = "Procedures", security(("sign_in" = ["crm:write"])), request_body = ProcedureStepSkip,
    responses((status = 200, body = ProcedureRunDetail)))]
#[post("/procedure-runs/{id}/skips")]
async fn skip_procedure_step(
    state: web::Data<State>,
    actor: Actor,
    id: Id<ProcedureRunId>,
    once: Once,
    input: Valid<ProcedureStepSkip>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmWrite)?;
    let ProcedureStepSkip { key, reason } = input.0;
    state
        .submit(scope, once, move |tx| {
            let (run, _) = lock(tx, &actor, id.0)?;
            let steps = procedure_runs::steps_of(tx, &[run.id])?;
            let Some((step, task)) = steps.iter().find(|(step, _)| step.key == key) else {
                return Err(ApiError::invalid_field("/key", "unknown_step", "The run has no such step"));
            };
            if task.closed_at.is_some() {
                return Err(ApiError::state_invalid("closed", "The step is done or skipped already"));
            }
            procedure_runs::skip(tx, &run, step, reason)?;
            let run = procedure_runs::find(tx, run.id)?;
            Ok(Reply::at_version(run.version, &detail(tx, run)?))
        })
        .await
}

/// Cancel a procedure run.
///
/// Its main task and every step that is not done are cancelled. A cancelled run stays so, also when it is cancelled again:
/// its tasks are not opened again, and nothing comes below its main task (409).
#[utoipa::path(tag = "Procedures", security(("sign_in" = ["crm:write"])),
    responses((status = 200, body = ProcedureRunDetail)))]
#[post("/procedure-runs/{id}/cancellation")]
async fn cancel_procedure_run(
    state: web::Data<State>,
    actor: Actor,
    id: Id<ProcedureRunId>,
    once: Once,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmWrite)?;
    state
        .submit(scope, once, move |tx| {
            work_tree::change(tx)?;
            let run = procedure_runs::lock(tx, id.0)?;
            let main = tasks::lock(tx, run.task_id, None)?;
            actor.authority(tx)?.may_change(&main.holders()).map_err(ApiError::forbidden)?;
            match state_of(&main) {
                RunState::Cancelled => {}
                RunState::Done => return Err(ApiError::state_invalid("done", "The run is done")),
                RunState::Open => {
                    let open = task_progress::lock_open_below(tx, main.id)?;
                    task_progress::close_all(tx, &open, TaskStatus::Cancelled)?;
                    let cancelled = Progress::recorded(TaskStatus::Cancelled, main.percent_done);
                    tasks::update(tx, &main, main.fields.clone(), cancelled, None)?;
                }
            }
            Ok(Reply::at_version(run.version, &detail(tx, run)?))
        })
        .await
}

impl Sorting for ProcedureStepSort {
    const WORDS: &'static [(&'static str, Self)] = &[("due_on", Self::DueOn)];
    const DESCENDING: bool = false;
}

/// Which steps.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ProcedureStepQuery {
    run_id: Option<ProcedureRunId>,
    procedure_id: Option<ProcedureId>,
    customer_id: Option<CustomerId>,
    /// Who does it, or will.
    caretaker_id: Option<OperatorId>,
    /// Of the period that begins on this day.
    period_start_on: Option<NaiveDate>,
    state: Option<StepState>,
    /// Whether it can be done and should have been by now.
    late: Option<bool>,
}

/// List the steps of procedure runs.
///
/// Of all runs, the earliest due first: with `late=true` who is late at which step, and for which customer.
#[utoipa::path(tag = "Procedures", security(("sign_in" = ["crm:read"])),
    params(ProcedureStepQuery, Listing<ProcedureStepSort>),
    responses((status = 200, body = PageBody<ProcedureStepBody>)))]
#[get("/procedure-steps")]
async fn list_procedure_steps(
    state: web::Data<State>,
    actor: Actor,
    filters: Filters<ProcedureStepQuery>,
    listing: Listing<ProcedureStepSort>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmRead)?;
    let ProcedureStepQuery { run_id, procedure_id, customer_id, caretaker_id, period_start_on, state: is, late } =
        filters.0;
    let filter =
        ProcedureStepFilter { run_id, procedure_id, customer_id, caretaker_id, period_start_on, state: is, late };
    state
        .snapshot(scope, move |tx| {
            let now = tx.now;
            let Page { items, next, total } = procedure_runs::list_steps(tx, &filter, &listing.page)?;
            let items = items.into_iter().map(|found| ProcedureStepBody::new(found, now));
            shape.page(tx, Page { items: items.collect(), next, total })
        })
        .await
}

/// Show a step of a procedure run.
///
/// With the run that it is of. It is always sent whole: its task changes without it.
#[utoipa::path(tag = "Procedures", security(("sign_in" = ["crm:read"])), extensions(("x-derived" = json!(true))),
    responses((status = 200, body = ProcedureStepBody)))]
#[get("/procedure-steps/{id}")]
async fn get_procedure_step(
    state: web::Data<State>,
    actor: Actor,
    id: Id<ProcedureStepId>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmRead)?;
    state
        .read(scope, move |tx| {
            let found = procedure_runs::find_step(tx, id.0)?;
            let version = found.0.version;
            shape.one(tx, version, &ProcedureStepBody::new(found, tx.now))
        })
        .await
}
