//! Tasks: work to do, in trees of main tasks and subtasks.

mod body;
mod change;
mod follow_up;
mod history;

pub(crate) use body::{TaskBody, bodies, found};
pub(crate) use follow_up::FollowUpTask;

use crate::actor::Actor;
use crate::body::Valid;
use crate::customers::check_caretaker;
use crate::listing::{AnyOf, Filters, Id, Listing, Sorting};
use crate::once::Once;
use crate::problem::ApiError;
use crate::reply::Reply;
use crate::shape::{PageBody, Shape};
use crate::state::State;
use crate::threads::check_takes;
use actix_web::{get, post, web};
use body::{SubtaskBody, TaskInput, body, no_progress, not_a_rule};
use chrono::{DateTime, Utc};
use opiekun_domain::authority::Authority;
use opiekun_domain::ids::{CustomerId, InteractionId, OperatorId, OpportunityId, TaskId, TaskSeriesId, ThreadId};
use opiekun_domain::permission::Permission;
use opiekun_domain::task::{Progress, Subtasks, TaskPriority, TaskStatus};
use opiekun_domain::work_item::WorkItem;
use opiekun_persistence::tasks::{Origin, Task, TaskFilter, TaskSort};
use opiekun_persistence::{Page, Tx, procedure_runs, task_progress, task_series, tasks, work_tree};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_actix_web::service_config::ServiceConfig;

pub fn routes(config: &mut ServiceConfig) {
    config
        .service(list_tasks)
        .service(create_task)
        .service(get_task)
        .service(change::update_task)
        .service(change::delete_task)
        .service(list_subtasks)
        .service(history::list_task_history);
}

impl Sorting for TaskSort {
    const WORDS: &'static [(&'static str, Self)] = &[("due_at", Self::DueAt), ("created_at", Self::CreatedAt)];
    const DESCENDING: bool = false;
}

/// Which tasks.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TaskQuery {
    customer_id: Option<CustomerId>,
    caretaker_id: Option<OperatorId>,
    registered_by_id: Option<OperatorId>,
    status: Option<TaskStatus>,
    /// Whether nothing is left to do: `false` finds what is open or in progress.
    closed: Option<bool>,
    /// Whether it should have been closed by now.
    overdue: Option<bool>,
    priority: Option<TaskPriority>,
    thread_id: Option<ThreadId>,
    opportunity_id: Option<OpportunityId>,
    /// Direct subtasks of a task.
    parent_task_id: Option<TaskId>,
    /// What follows from an interaction.
    parent_interaction_id: Option<InteractionId>,
    /// Instances of one series.
    task_series_id: Option<TaskSeriesId>,
    /// Any of these tags.
    #[param(value_type = Option<Vec<String>>, max_items = 20)]
    tag: Option<AnyOf<String>>,
    #[serde(rename = "due_at[gte]")]
    due_from: Option<DateTime<Utc>>,
    #[serde(rename = "due_at[lt]")]
    due_before: Option<DateTime<Utc>>,
}

impl From<TaskQuery> for TaskFilter {
    fn from(query: TaskQuery) -> Self {
        Self {
            customer_id: query.customer_id,
            caretaker_id: query.caretaker_id,
            registered_by_id: query.registered_by_id,
            status: query.status,
            closed: query.closed,
            overdue: query.overdue,
            priority: query.priority,
            thread_id: query.thread_id,
            opportunity_id: query.opportunity_id,
            parent_task_id: query.parent_task_id,
            parent_interaction_id: query.parent_interaction_id,
            task_series_id: query.task_series_id,
            tags: query.tag.map(|tags| tags.0),
            due_from: query.due_from,
            due_before: query.due_before,
        }
    }
}

/// List tasks.
///
/// What presses most first: those without a due date come last.
#[utoipa::path(tag = "Tasks", security(("sign_in" = ["crm:read"])), params(TaskQuery, Listing<TaskSort>),
    responses((status = 200, body = PageBody<TaskBody>)))]
#[get("/tasks")]
async fn list_tasks(
    state: web::Data<State>,
    actor: Actor,
    filters: Filters<TaskQuery>,
    listing: Listing<TaskSort>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmRead)?;
    state
        .snapshot(scope, move |tx| {
            let Page { items, next, total } = tasks::list(tx, &filters.0.into(), &listing.page)?;
            let items = bodies(tx, items)?;
            shape.page(tx, Page { items, next, total })
        })
        .await
}

/// Write down a task.
///
/// One below a task or interaction has its customer, thread and opportunity unless told otherwise. Main tasks above it
/// follow: their percent is worked out anew, and one that was closed is in progress again.
#[utoipa::path(tag = "Tasks", security(("sign_in" = ["crm:write"])), request_body = TaskInput,
    responses((status = 201, body = TaskBody)))]
#[post("/tasks")]
async fn create_task(
    state: web::Data<State>,
    actor: Actor,
    once: Once,
    input: Valid<TaskInput>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmWrite)?;
    state
        .submit(scope, once, move |tx| {
            if input.0.parent.is_some() {
                work_tree::hold(tx)?;
            }
            let body = create(tx, &actor, input.0)?;
            Ok(Reply::created(&format!("/api/v1/tasks/{}", body.id), body.version, &body))
        })
        .await
}

/// Writes down a task for a caller. The shape of the trees is held.
pub(crate) fn create(tx: &mut Tx<'_>, actor: &Actor, input: TaskInput) -> Result<TaskBody, ApiError> {
    let rule = input.rule()?;
    if let Some(WorkItem::Task(id)) = input.parent.map(WorkItem::from) {
        // A run whose main task is opened again by it: before the task, as whoever closes one of its steps has them.
        procedure_runs::hold_of_task(tx, id)?;
    }
    check_takes(tx, input.thread_id)?;
    let progress = Progress::NEW.change(input.status, input.percent_done, &Subtasks::default()).map_err(no_progress)?;
    let authority = actor.authority(tx)?;
    check_parent(tx, &authority, &input)?;
    let mut fields = input.fields();
    fields.caretaker_id = fields.caretaker_id.or(actor.operator_id());
    check_caretaker(&authority, tx, None, fields.caretaker_id)?;
    let registered_by_id = actor.operator_id();
    let instance = match rule {
        Some(rule) => {
            tasks::complete(tx, &mut fields)?;
            let instance = task_series::begin(tx, &fields, registered_by_id, rule)?;
            Some(instance.map_err(|error| not_a_rule(&error))?)
        }
        None => None,
    };
    let task = tasks::create(tx, fields, progress, Origin { registered_by_id, instance })?;
    if task.closed_at.is_some() {
        task_series::make_next(tx, &task)?;
    }
    body(tx, task)
}

/// Whatever hangs below a task draws it along: one that is closed is in progress again, and what was begun as a whole
/// is as far as its subtasks from then on. That is only for those who may change it.
pub(super) fn check_parent(tx: &mut Tx<'_>, authority: &Authority, input: &TaskInput) -> Result<(), ApiError> {
    let Some(WorkItem::Task(id)) = input.parent.map(WorkItem::from) else { return Ok(()) };
    // One that is not there is refused by the reference.
    let Some(parent) = tasks::find_all(tx, &[id])?.pop() else { return Ok(()) };
    let is_drawn_back = parent.closed_at.is_some()
        || (parent.status != TaskStatus::Open && task_progress::subtasks(tx, id)?.total == 0);
    if is_drawn_back { authority.may_change(&parent.holders()).map_err(ApiError::forbidden) } else { Ok(()) }
}

/// Show a task.
///
/// It is always sent whole: time goes on, and what is spent on it and done below it counts too.
#[utoipa::path(tag = "Tasks", security(("sign_in" = ["crm:read"])), extensions(("x-derived" = json!(true))),
    responses((status = 200, body = TaskBody)))]
#[get("/tasks/{id}")]
async fn get_task(state: web::Data<State>, actor: Actor, id: Id<TaskId>, shape: Shape) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmRead)?;
    state
        .snapshot(scope, move |tx| {
            let row = tasks::find(tx, id.0)?;
            let body = body(tx, row)?;
            shape.one(tx, body.version, &body)
        })
        .await
}

/// List what is below a task.
///
/// Its subtasks, theirs, and so on, each with its level and its `parent`, in the order in which they were written down.
/// What follows from an interaction is no subtask. `parent_task_id=` on the list of tasks gives the direct ones alone.
#[utoipa::path(tag = "Tasks", security(("sign_in" = ["crm:read"])), params(Listing<()>),
    responses((status = 200, body = PageBody<SubtaskBody>)))]
#[get("/tasks/{id}/subtasks")]
async fn list_subtasks(
    state: web::Data<State>,
    actor: Actor,
    id: Id<TaskId>,
    listing: Listing<()>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmRead)?;
    state
        .snapshot(scope, move |tx| {
            tasks::find(tx, id.0)?;
            let Page { items, next, total } = task_progress::list_below(tx, id.0, &listing.page)?;
            let (levels, rows): (Vec<i32>, Vec<Task>) = items.into_iter().unzip();
            let bodies = bodies(tx, rows)?;
            let items = levels.into_iter().zip(bodies).map(|(level, task)| SubtaskBody { level, task }).collect();
            shape.page(tx, Page { items, next, total })
        })
        .await
}
