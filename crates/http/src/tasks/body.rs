//! What a task looks like: as it is written, and as it is shown.

use crate::body::wrong_field;
use crate::problem::ApiError;
use crate::values::{WorkItemBody, capitalised, tags_schema};
use chrono::{DateTime, Datelike, Utc};
use opiekun_domain::ids::{CustomerId, OperatorId, OpportunityId, TaskId, TaskSeriesId, ThreadId};
use opiekun_domain::recurrence::{Rule, RuleError};
use opiekun_domain::task::{Progress, ProgressError, Subtasks, TaskPriority, TaskStatus};
use opiekun_domain::work_item::WorkItem;
use opiekun_persistence::tasks::{Task, TaskFields};
use opiekun_persistence::{Tx, task_progress, task_series, tasks};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use validator::{Validate, ValidationError};

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

pub(super) const fn normal() -> TaskPriority {
    TaskPriority::Normal
}

pub(super) fn dates_fit(task: &TaskInput) -> Result<(), ValidationError> {
    // In a time zone it could otherwise be a day of the year before the first.
    for (field, moment) in [("start_at", task.start_at), ("due_at", task.due_at)] {
        if moment.is_some_and(|moment| moment.year() < 1) {
            return Err(wrong_field(field, "minimum", "Lies before the year 1"));
        }
    }
    if task.start_at.zip(task.due_at).is_some_and(|(start_at, due_at)| due_at < start_at) {
        return Err(wrong_field("due_at", "order", "Is due before it starts"));
    }
    if task.due_at.is_none() && !task.reminders.is_empty() {
        return Err(wrong_field("reminders", "due_at", "Nothing is told of what has no due date"));
    }
    if task.due_at.is_none() && task.recurrence.is_some() {
        return Err(wrong_field("recurrence", "due_at", "The due date is the first one of a rule"));
    }
    let mut minutes: Vec<i32> = task.reminders.iter().map(|reminder| reminder.minutes_before).collect();
    minutes.sort_unstable();
    minutes.dedup();
    if minutes.len() < task.reminders.len() {
        return Err(wrong_field("reminders", "uniqueItems", "The same reminder is there twice"));
    }
    Ok(())
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
    pub(super) level: i32,
    #[serde(flatten)]
    pub(super) task: TaskBody,
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

pub(super) fn body(tx: &mut Tx<'_>, row: Task) -> Result<TaskBody, ApiError> {
    bodies(tx, vec![row])?.pop().ok_or_else(|| ApiError::internal("one row gives one body"))
}

impl TaskInput {
    pub(super) fn new(fields: TaskFields, progress: Progress, recurrence: Option<String>) -> Self {
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

    pub(super) fn fields(self) -> TaskFields {
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
    pub(super) fn rule(&self) -> Result<Option<Rule>, ApiError> {
        self.recurrence.as_deref().map(|text| text.parse().map_err(|error| not_a_rule(&error))).transpose()
    }
}

pub(super) fn not_a_rule(error: &RuleError) -> ApiError {
    ApiError::invalid_field("/recurrence", "rule", capitalised(&error.to_string()))
}

pub(super) fn no_progress(error: ProgressError) -> ApiError {
    ApiError::invalid_field(&format!("/{}", error.field()), "progress", capitalised(&error.to_string()))
}
