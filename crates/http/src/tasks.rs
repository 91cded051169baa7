//! Tasks: work to do, in trees of main tasks and subtasks.

use crate::actor::Actor;
use crate::body::{Patch, Valid};
use crate::customers::check_assignment;
use crate::listing::{AnyOf, Filters, Id, Listing, Sorting};
use crate::once::Once;
use crate::precondition::IfMatch;
use crate::problem::ApiError;
use crate::reply::Reply;
use crate::shape::{PageBody, Shape};
use crate::state::State;
use crate::threads::check_takes;
use crate::values::{WorkItemBody, capitalised, tags_schema};
use actix_web::{delete, get, patch, post, web};
use chrono::{DateTime, TimeDelta, Utc};
use opiekun_domain::authority::Authority;
use opiekun_domain::ids::{CustomerId, InteractionId, OperatorId, OpportunityId, TaskId, TaskSeriesId, ThreadId};
use opiekun_domain::permission::Permission;
use opiekun_domain::recurrence::Rule;
use opiekun_domain::task::{Progress, ProgressError, Subtasks, TaskPriority, TaskStatus};
use opiekun_domain::work_item::WorkItem;
use opiekun_persistence::interactions::Interaction;
use opiekun_persistence::tasks::{Origin, Task, TaskFields, TaskFilter, TaskSort};
use opiekun_persistence::{Page, Tx, month_locks, task_progress, task_series, tasks, threads, work_entries, work_tree};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use validator::{Validate, ValidationError};

pub fn routes(config: &mut ServiceConfig) {
    config
        .service(list_tasks)
        .service(create_task)
        .service(get_task)
        .service(update_task)
        .service(delete_task)
        .service(list_subtasks);
}

/// What a caller may write of a task.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[validate(schema(function = dates_fit))]
pub struct TaskInput {
    #[schema(min_length = 1, max_length = 240, example = "VAT return of October")]
    pub title: String,
    #[schema(max_length = 10000)]
    #[serde(default)]
    pub description: Option<String>,
    /// Whom it is done for; that of its parent unless told.
    #[serde(default)]
    pub customer_id: Option<CustomerId>,
    /// The operator who has to do it; the caller unless told. One gives work to oneself, and a manager to everybody
    /// below in the supervisor tree.
    #[serde(default)]
    pub caretaker_id: Option<OperatorId>,
    #[schema(default = "normal")]
    #[serde(default = "normal")]
    pub priority: TaskPriority,
    /// How far it has come; `open` unless told. It agrees with `percent_done`, and either alone draws the other along:
    /// what is open is at 0, what is done at 100. Closing a task with open subtasks is refused unless
    /// `close_subtasks=true` is asked for.
    #[schema(example = "in_progress")]
    #[serde(default)]
    pub status: Option<TaskStatus>,
    /// 0 to 100. That of a main task is worked out from its subtasks, weighted by their estimates, and cannot be set.
    #[schema(minimum = 0, maximum = 100, example = 40)]
    #[serde(default)]
    pub percent_done: Option<i16>,
    #[serde(default)]
    pub start_at: Option<DateTime<Utc>>,
    #[schema(example = "2026-11-25T15:00:00Z")]
    #[serde(default)]
    pub due_at: Option<DateTime<Utc>>,
    /// Whether its dates are whole days: they are then put on the midnights at which those days begin in the
    /// organization's time zone, and the task is overdue when the day has ended.
    #[schema(default = false)]
    #[serde(default)]
    pub all_day: bool,
    /// How long it will take, in minutes.
    #[schema(minimum = 1, maximum = 1000000, example = 90)]
    #[serde(default)]
    pub estimate_minutes: Option<i32>,
    /// The matter that it belongs to; that of its parent unless told.
    #[serde(default)]
    pub thread_id: Option<ThreadId>,
    /// The task or interaction that it hangs below. Whoever changes it moves the task with everything below it.
    #[serde(default)]
    pub parent: Option<WorkItemBody>,
    /// A sale to its customer; that of its parent unless told.
    #[serde(default)]
    pub opportunity_id: Option<OpportunityId>,
    #[schema(schema_with = tags_schema)]
    #[serde(default)]
    pub tags: Vec<String>,
    /// When it is told of before it is due, each time by an event `task.reminded`.
    #[schema(max_items = 10)]
    #[serde(default)]
    #[validate(nested)]
    pub reminders: Vec<ReminderBody>,
    /// How it comes again: an RRULE of RFC 5545 with FREQ of DAILY, WEEKLY, MONTHLY or YEARLY. `due_at` is its first
    /// date, with the time of day that all of them have in the organization's time zone. Whoever closes an instance,
    /// done or cancelled, makes the next one.
    #[schema(min_length = 1, max_length = 500, examples("FREQ=MONTHLY;BYMONTHDAY=25"))]
    #[serde(default)]
    pub recurrence: Option<String>,
}

/// A reminder of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema, Validate)]
#[schema(as = Reminder)]
#[serde(deny_unknown_fields)]
pub struct ReminderBody {
    /// So many minutes before `due_at`, at most a year.
    #[schema(minimum = 0, maximum = 525600, example = 1440)]
    pub minutes_before: i32,
}

const fn normal() -> TaskPriority {
    TaskPriority::Normal
}

fn dates_fit(task: &TaskInput) -> Result<(), ValidationError> {
    let wrong = |field: &'static str, code: &'static str, message: &'static str| {
        let mut error = ValidationError::new(code).with_message(message.into());
        error.add_param("field".into(), &field);
        Err(error)
    };
    if task.start_at.zip(task.due_at).is_some_and(|(start_at, due_at)| due_at < start_at) {
        return wrong("due_at", "order", "Is due before it starts");
    }
    if task.due_at.is_none() && !task.reminders.is_empty() {
        return wrong("reminders", "due_at", "Nothing is told of what has no due date");
    }
    if task.due_at.is_none() && task.recurrence.is_some() {
        return wrong("recurrence", "due_at", "The due date is the first one of a rule");
    }
    let mut minutes: Vec<i32> = task.reminders.iter().map(|reminder| reminder.minutes_before).collect();
    minutes.sort_unstable();
    minutes.dedup();
    if minutes.len() < task.reminders.len() {
        return wrong("reminders", "uniqueItems", "The same reminder is there twice");
    }
    Ok(())
}

/// What a caller may write of a task that comes of an interaction. Customer, thread and opportunity are the
/// interaction's.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[validate(schema(function = follow_up_fits))]
pub struct FollowUpTask {
    #[schema(min_length = 1, max_length = 240, example = "Send the corrected return")]
    title: String,
    #[schema(max_length = 10000)]
    #[serde(default)]
    description: Option<String>,
    /// The operator who has to do it; the caller unless told, and the interaction's caretaker where a script writes it
    /// down.
    #[serde(default)]
    caretaker_id: Option<OperatorId>,
    #[schema(default = "normal")]
    #[serde(default = "normal")]
    priority: TaskPriority,
    #[serde(default)]
    start_at: Option<DateTime<Utc>>,
    #[schema(example = "2026-11-25T15:00:00Z")]
    #[serde(default)]
    due_at: Option<DateTime<Utc>>,
    /// Whether its dates are whole days, as a task's.
    #[schema(default = false)]
    #[serde(default)]
    all_day: bool,
    /// How long it will take, in minutes.
    #[schema(minimum = 1, maximum = 1000000)]
    #[serde(default)]
    estimate_minutes: Option<i32>,
    #[schema(schema_with = tags_schema)]
    #[serde(default)]
    tags: Vec<String>,
    #[schema(max_items = 10)]
    #[serde(default)]
    reminders: Vec<ReminderBody>,
}

impl FollowUpTask {
    /// The task that hangs below the interaction.
    pub(crate) fn below(self, interaction: &Interaction) -> TaskInput {
        TaskInput {
            parent: Some(WorkItem::Interaction(interaction.id).into()),
            ..self.alone(interaction.registered_by_id.or(interaction.fields.caretaker_id))
        }
    }

    fn alone(self, caretaker_id: Option<OperatorId>) -> TaskInput {
        TaskInput {
            title: self.title,
            description: self.description,
            customer_id: None,
            caretaker_id: self.caretaker_id.or(caretaker_id),
            priority: self.priority,
            status: None,
            percent_done: None,
            start_at: self.start_at,
            due_at: self.due_at,
            all_day: self.all_day,
            estimate_minutes: self.estimate_minutes,
            thread_id: None,
            parent: None,
            opportunity_id: None,
            tags: self.tags,
            reminders: self.reminders,
            recurrence: None,
        }
    }
}

fn follow_up_fits(task: &FollowUpTask) -> Result<(), ValidationError> {
    dates_fit(&task.clone().alone(None))
}

/// Work to do.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Task)]
pub struct TaskBody {
    pub id: TaskId,
    #[serde(flatten)]
    pub task: TaskInput,
    /// The operator who wrote it down; null where a script did.
    pub registered_by_id: Option<OperatorId>,
    /// Whether it should have been closed by now.
    pub overdue: bool,
    /// Time spent on it by itself, without its subtasks.
    #[schema(minimum = 0, example = 45)]
    pub worked_minutes: i64,
    /// Its estimate, else that of its subtasks together: by it the percent of a main task weighs them.
    #[schema(minimum = 1, example = 90)]
    pub planned_minutes: Option<i64>,
    /// Its direct subtasks.
    pub subtasks: SubtaskCounts,
    /// The series that it is an instance of: `task_series_id=` lists the others.
    pub task_series_id: Option<TaskSeriesId>,
    /// Which instance it is: when the rule has it due, also where its own date was moved.
    pub occurrence_at: Option<DateTime<Utc>>,
    /// When its caretaker was given it.
    pub assigned_at: Option<DateTime<Utc>>,
    /// When it was done or cancelled.
    pub closed_at: Option<DateTime<Utc>>,
    /// Counts up with every change; `ETag` holds it too.
    #[schema(minimum = 1)]
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// How many direct subtasks a task has.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub struct SubtaskCounts {
    #[schema(minimum = 0, example = 3)]
    total: i64,
    /// Those where something is left to do.
    #[schema(minimum = 0, example = 2)]
    open: i64,
}

/// One task below another.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Subtask)]
pub struct SubtaskBody {
    /// 1 of a direct subtask, 2 of one below that.
    #[schema(minimum = 1, example = 1)]
    level: i32,
    #[serde(flatten)]
    task: TaskBody,
}

/// The bodies of rows: two statements more, however many, and one for those that come again.
pub(crate) fn bodies(tx: &mut Tx<'_>, rows: Vec<Task>) -> Result<Vec<TaskBody>, ApiError> {
    let ids: Vec<TaskId> = rows.iter().map(|row| row.id).collect();
    let series: Vec<TaskSeriesId> = rows.iter().filter_map(|row| row.task_series_id).collect();
    let worked = tasks::worked_minutes(tx, &ids)?;
    let subtasks = task_progress::subtasks_of(tx, &ids)?;
    let rules = if series.is_empty() { Default::default() } else { task_series::rules_of(tx, &series)? };
    let now = tx.now;
    let body = |row: Task| {
        let Subtasks { total, open, .. } = subtasks.get(&row.id).copied().unwrap_or_default();
        let overdue = row.is_overdue(now);
        // Two moments that serve lists: clients see what they come from.
        let Task {
            id,
            registered_by_id,
            fields,
            status,
            percent_done,
            deadline_at: _,
            dated_at: _,
            planned_minutes,
            task_series_id,
            occurrence_at,
            assigned_at,
            closed_at,
            version,
            created_at,
            updated_at,
        } = row;
        let rule = task_series_id.and_then(|series| rules.get(&series).cloned());
        TaskBody {
            id,
            task: TaskInput::new(fields, Progress::recorded(status, percent_done), rule),
            registered_by_id,
            overdue,
            worked_minutes: worked.get(&id).copied().unwrap_or_default(),
            planned_minutes,
            subtasks: SubtaskCounts { total, open },
            task_series_id,
            occurrence_at,
            assigned_at,
            closed_at,
            version,
            created_at,
            updated_at,
        }
    };
    Ok(rows.into_iter().map(body).collect())
}

/// The bodies of those that exist, for expansion.
pub(crate) fn found(tx: &mut Tx<'_>, ids: &[TaskId]) -> Result<Vec<Value>, ApiError> {
    let rows = tasks::find_all(tx, ids)?;
    bodies(tx, rows)?.into_iter().map(|body| serde_json::to_value(body).map_err(ApiError::internal)).collect()
}

pub(crate) fn body(tx: &mut Tx<'_>, row: Task) -> Result<TaskBody, ApiError> {
    bodies(tx, vec![row])?.pop().ok_or_else(|| ApiError::internal("one row gives one body"))
}

impl TaskInput {
    fn new(fields: TaskFields, progress: Progress, recurrence: Option<String>) -> Self {
        let parent = fields.parent().map(WorkItemBody::from);
        let TaskFields {
            title,
            description,
            customer_id,
            caretaker_id,
            priority,
            start_at,
            due_at,
            all_day,
            estimate_minutes,
            thread_id,
            parent_task_id: _,
            parent_interaction_id: _,
            opportunity_id,
            tags,
            reminder_minutes,
        } = fields;
        Self {
            title,
            description,
            customer_id,
            caretaker_id,
            priority,
            status: Some(progress.status()),
            percent_done: Some(progress.percent_done()),
            start_at,
            due_at,
            all_day,
            estimate_minutes,
            thread_id,
            parent,
            opportunity_id,
            tags,
            reminders: reminder_minutes.into_iter().map(|minutes_before| ReminderBody { minutes_before }).collect(),
            recurrence,
        }
    }

    fn fields(self) -> TaskFields {
        let parent = self.parent.map(WorkItem::from);
        TaskFields {
            title: self.title,
            description: self.description,
            customer_id: self.customer_id,
            caretaker_id: self.caretaker_id,
            priority: self.priority,
            start_at: self.start_at,
            due_at: self.due_at,
            all_day: self.all_day,
            estimate_minutes: self.estimate_minutes,
            thread_id: self.thread_id,
            parent_task_id: parent.and_then(WorkItem::task_id),
            parent_interaction_id: parent.and_then(WorkItem::interaction_id),
            opportunity_id: self.opportunity_id,
            tags: self.tags,
            reminder_minutes: self.reminders.into_iter().map(|reminder| reminder.minutes_before).collect(),
        }
    }

    /// The rule that it comes again by, read.
    fn rule(&self) -> Result<Option<Rule>, ApiError> {
        self.recurrence.as_deref().map(|text| text.parse().map_err(|error| not_a_rule(&error))).transpose()
    }
}

fn not_a_rule(error: &opiekun_domain::recurrence::RuleError) -> ApiError {
    ApiError::invalid_field("/recurrence", "rule", capitalised(&error.to_string()))
}

fn no_progress(error: ProgressError) -> ApiError {
    ApiError::invalid_field(&format!("/{}", error.field()), "progress", capitalised(&error.to_string()))
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
            work_tree::hold(tx)?;
            let body = create(tx, &actor, input.0)?;
            Ok(Reply::created(&format!("/api/v1/tasks/{}", body.id), body.version, &body))
        })
        .await
}

/// Writes down a task for a caller. The shape of the trees is held.
pub(crate) fn create(tx: &mut Tx<'_>, actor: &Actor, input: TaskInput) -> Result<TaskBody, ApiError> {
    let rule = input.rule()?;
    check_takes(tx, input.thread_id)?;
    let progress = Progress::NEW.change(input.status, input.percent_done, &Subtasks::default()).map_err(no_progress)?;
    let mut fields = input.fields();
    fields.caretaker_id = fields.caretaker_id.or(actor.operator_id());
    check_assignment(&actor.authority(tx)?, None, fields.caretaker_id)?;
    let origin = Origin { registered_by_id: actor.operator_id(), instance: None };
    let mut task = tasks::create(tx, fields, progress, origin)?;
    if let Some(rule) = rule {
        task = task_series::begin(tx, &task, rule)?.map_err(|error| not_a_rule(&error))?;
        if progress.status().is_closed() {
            task_series::make_next(tx, &task)?;
        }
    }
    body(tx, task)
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

/// How far a change of a task reaches.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TaskChangeQuery {
    /// `true` closes every open task below together with a task that is done or cancelled. All of them have to be the
    /// caller's to change. Of those that come again, nothing comes again then.
    close_subtasks: Option<bool>,
    /// Of a task that comes again: `this` instance alone, unless told, or `this_and_following`, which ends the series
    /// here and begins another with the changed task as its first instance.
    #[param(inline)]
    apply_to: Option<ApplyTo>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ApplyTo {
    This,
    ThisAndFollowing,
}

/// Change a task.
///
/// Who registered it may, its caretaker, and those above them; a new caretaker is the caller or somebody below. Main
/// tasks above follow. A moved task takes everything below it along, and so does one that goes to another thread.
/// Closing an instance of a series makes the next one: cancelling it skips it.
#[utoipa::path(tag = "Tasks", security(("sign_in" = ["crm:write"])), params(TaskChangeQuery, IfMatch),
    request_body(content = TaskInput, content_type = "application/merge-patch+json"),
    responses((status = 200, body = TaskBody)))]
#[patch("/tasks/{id}")]
async fn update_task(
    state: web::Data<State>,
    actor: Actor,
    id: Id<TaskId>,
    seen: IfMatch,
    query: Filters<TaskChangeQuery>,
    patch: Patch<TaskInput>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmWrite)?;
    let TaskChangeQuery { close_subtasks, apply_to } = query.0;
    let close_subtasks = close_subtasks.unwrap_or_default();
    state
        .transaction(scope, move |tx| {
            if close_subtasks || patch.field("parent").is_some() || patch.field("thread_id").is_some() {
                work_tree::change(tx)?;
            } else {
                work_tree::hold(tx)?;
            }
            if ["customer_id", "thread_id", "opportunity_id"].iter().any(|field| patch.field(field).is_some()) {
                // Time that was spent on it follows, and is perhaps priced anew.
                month_locks::hold(tx)?;
            }
            let task = tasks::lock(tx, id.0, seen.0)?;
            let authority = actor.authority(tx)?;
            authority.may_change(&task.holders()).map_err(ApiError::forbidden)?;
            let rule = match task.task_series_id {
                Some(series) => task_series::rules_of(tx, &[series])?.remove(&series),
                None => None,
            };
            let current = TaskInput::new(task.fields.clone(), task.progress(), rule);
            let input = patch.apply(&current)?;
            check_assignment(&authority, current.caretaker_id, input.caretaker_id)?;
            let progress = progress_of(tx, &task, &input, &authority, close_subtasks)?;
            let change = SeriesChange::of(&task, &current, &input, apply_to.unwrap_or(ApplyTo::This))?;
            if input.thread_id != current.thread_id {
                check_takes(tx, input.thread_id)?;
            }
            let task = tasks::update(tx, &task, input.fields(), progress)?;
            if task.fields.thread_id != current.thread_id {
                threads::carry(tx, WorkItem::Task(task.id), task.fields.thread_id)?;
            }
            let is = &task.fields;
            if (is.customer_id, is.thread_id, is.opportunity_id)
                != (current.customer_id, current.thread_id, current.opportunity_id)
            {
                work_entries::follow_task(tx, &[task.id])?;
            }
            let task = change.carry_out(tx, task)?;
            let body = body(tx, task)?;
            Ok(Reply::at_version(body.version, &body))
        })
        .await
}

/// How far the task has come after the change, with its subtasks closed where that was asked for.
fn progress_of(
    tx: &mut Tx<'_>,
    task: &Task,
    input: &TaskInput,
    authority: &Authority,
    close_subtasks: bool,
) -> Result<Progress, ApiError> {
    let before = task.progress();
    let status = input.status.filter(|status| *status != before.status());
    let percent_done = input.percent_done.filter(|percent| *percent != before.percent_done());
    let subtasks = task_progress::subtasks(tx, task.id)?;
    let progress = before.change(status, percent_done, &subtasks).map_err(no_progress)?;
    if progress.status().is_closed() && !before.status().is_closed() && subtasks.open > 0 {
        if !close_subtasks {
            return Err(ApiError::state_invalid("open_subtasks", "Subtasks are open: close them, or all at once"));
        }
        let open = task_progress::lock_open_below(tx, task.id)?;
        open.iter().try_for_each(|task| authority.may_change(&task.holders())).map_err(ApiError::forbidden)?;
        task_progress::close_all(tx, &open, progress.status())?;
    }
    Ok(progress)
}

/// What a change of a task does to its series.
enum SeriesChange {
    Nothing,
    /// The task comes again from now on.
    Begin(Rule),
    /// It is the last of its series.
    End,
    /// Another series goes on from it. Without a rule it is that of the old one.
    Split(Option<Rule>),
}

impl SeriesChange {
    fn of(task: &Task, before: &TaskInput, after: &TaskInput, apply_to: ApplyTo) -> Result<Self, ApiError> {
        let rule = if after.recurrence == before.recurrence { None } else { after.rule()? };
        let is_changed = after.recurrence != before.recurrence;
        match (task.task_series_id, apply_to) {
            (None, _) => Ok(rule.map_or(Self::Nothing, Self::Begin)),
            (Some(_), ApplyTo::This) if is_changed => Err(ApiError::invalid_field(
                "/recurrence",
                "apply_to",
                "A rule is that of the series: apply_to=this_and_following changes it from here on",
            )),
            (Some(_), ApplyTo::This) => Ok(Self::Nothing),
            (Some(_), ApplyTo::ThisAndFollowing) if after.recurrence.is_none() => Ok(Self::End),
            (Some(_), ApplyTo::ThisAndFollowing) => Ok(Self::Split(rule)),
        }
    }

    /// Of the changed task: and if it is closed by the change, its series goes on.
    fn carry_out(self, tx: &mut Tx<'_>, task: Task) -> Result<Task, ApiError> {
        let task = match self {
            Self::Nothing => task,
            Self::Begin(rule) => task_series::begin(tx, &task, rule)?.map_err(|error| not_a_rule(&error))?,
            Self::End => {
                cut(tx, &task, TimeDelta::microseconds(1))?;
                task
            }
            Self::Split(rule) => {
                let tail = cut(tx, &task, TimeDelta::zero())?;
                let rule = rule.or(tail).ok_or_else(|| ApiError::internal("a series without a rule"))?;
                task_series::begin(tx, &task, rule)?.map_err(|error| not_a_rule(&error))?
            }
        };
        if task.closed_at == Some(tx.now) {
            task_series::make_next(tx, &task)?;
        }
        Ok(task)
    }
}

/// Ends the series of a task so long after its date, and tells the rule from that date on.
fn cut(tx: &mut Tx<'_>, task: &Task, after: TimeDelta) -> Result<Option<Rule>, ApiError> {
    let (Some(id), Some(occurrence_at)) = (task.task_series_id, task.occurrence_at) else {
        return Err(ApiError::internal("a task without a series"));
    };
    let series = task_series::lock(tx, id)?;
    if task_series::newest(tx, id)?.is_some_and(|newest| newest > occurrence_at) {
        return Err(ApiError::state_invalid(
            "not_newest",
            "A later instance is there: the series goes on from that one",
        ));
    }
    task_series::end(tx, &series, occurrence_at + after)?;
    Ok(series.recurrence().and_then(|recurrence| recurrence.rule_from(occurrence_at)))
}

/// Remove a task.
///
/// For what was written down by mistake; what is not to be done after all is cancelled. Refused while something hangs
/// below it or time was spent on it. An instance of a series goes only where it is the only one, and the series with it.
/// The audit log keeps it.
#[utoipa::path(tag = "Tasks", security(("sign_in" = ["crm:write"])), params(IfMatch), responses((status = 204)))]
#[delete("/tasks/{id}")]
async fn delete_task(state: web::Data<State>, actor: Actor, id: Id<TaskId>, seen: IfMatch) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmWrite)?;
    state
        .transaction(scope, move |tx| {
            work_tree::hold(tx)?;
            let task = tasks::lock(tx, id.0, seen.0)?;
            actor.authority(tx)?.may_change(&task.holders()).map_err(ApiError::forbidden)?;
            let series = task.task_series_id.map(|series| task_series::lock(tx, series)).transpose()?;
            if let Some(series) = &series
                && task_series::instances(tx, series.id)? > 1
            {
                return Err(ApiError::state_invalid("instance", "One of a series is skipped by cancelling it"));
            }
            tasks::delete(tx, &task)?;
            if let Some(series) = &series {
                task_series::delete(tx, series)?;
            }
            Ok(Reply::empty())
        })
        .await
}

/// List what is below a task.
///
/// Every task below it, to any depth, each with its level and its `parent`, in the order in which they were written
/// down. `parent_task_id=` on the list of tasks gives the direct ones alone.
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
