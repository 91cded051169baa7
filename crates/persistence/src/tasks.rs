//! Tasks: work to do, in trees of main tasks and subtasks.

use crate::attachments;
use crate::changes::{self, Change};
use crate::db::Tx;
use crate::error::{OrNotFound, Result, StoreError};
use crate::organizations;
use crate::page::{Among, Cursor, Page, PageRequest, keyset};
use crate::procedure_runs::{self, Finish};
use crate::schema::{interactions, opportunities, task_reminders, task_tags, tasks, work_entries};
use crate::task_progress;
use crate::task_series::{self, Reference};
use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use diesel::dsl::{case_when, sql};
use diesel::prelude::*;
use diesel::sql_types::Integer;
use opiekun_domain::attachment::AttachmentSubject;
use opiekun_domain::ids::{
    CustomerId, InteractionId, OperatorId, OpportunityId, OrganizationId, TaskId, TaskSeriesId, ThreadId,
};
use opiekun_domain::task::{NEVER, Progress, TaskDates, TaskPriority, TaskStatus};
use opiekun_domain::work_item::WorkItem;
use serde::Serialize;
use std::collections::HashMap;

#[derive(Debug, Clone, Queryable, Selectable, Serialize)]
#[diesel(table_name = tasks, check_for_backend(diesel::pg::Pg))]
pub struct Task {
    pub id: TaskId,
    /// The operator who wrote it down; nobody where a script did.
    pub registered_by_id: Option<OperatorId>,
    #[diesel(embed)]
    #[serde(flatten)]
    pub fields: TaskFields,
    pub status: TaskStatus,
    pub percent_done: i16,
    /// When it becomes overdue; far away without a date.
    pub deadline_at: DateTime<Utc>,
    /// Where it stands on a timeline: when it is due, else when it begins, else when it was written down.
    pub dated_at: DateTime<Utc>,
    /// Its estimate, else that of its subtasks together.
    pub planned_minutes: Option<i64>,
    /// The series that it is an instance of, and which one.
    pub task_series_id: Option<TaskSeriesId>,
    pub occurrence_at: Option<DateTime<Utc>>,
    /// When its caretaker was given it.
    pub assigned_at: Option<DateTime<Utc>>,
    pub closed_at: Option<DateTime<Utc>>,
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// What a caller may write, beside the progress.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset, Serialize)]
#[diesel(table_name = tasks, check_for_backend(diesel::pg::Pg), treat_none_as_null = true)]
pub struct TaskFields {
    pub title: String,
    pub description: Option<String>,
    pub customer_id: Option<CustomerId>,
    pub caretaker_id: Option<OperatorId>,
    pub priority: TaskPriority,
    pub start_at: Option<DateTime<Utc>>,
    pub due_at: Option<DateTime<Utc>>,
    pub all_day: bool,
    pub estimate_minutes: Option<i32>,
    pub thread_id: Option<ThreadId>,
    pub parent_task_id: Option<TaskId>,
    pub parent_interaction_id: Option<InteractionId>,
    pub opportunity_id: Option<OpportunityId>,
    pub tags: Vec<String>,
    /// How long before it is due it is told of.
    pub reminder_minutes: Vec<i32>,
}

impl TaskFields {
    pub fn parent(&self) -> Option<WorkItem> {
        WorkItem::of_columns(self.parent_task_id, self.parent_interaction_id)
    }

    fn dates(&self) -> TaskDates {
        TaskDates { start_at: self.start_at, due_at: self.due_at, all_day: self.all_day }
    }
}

impl Task {
    pub const fn progress(&self) -> Progress {
        Progress::recorded(self.status, self.percent_done)
    }

    pub fn is_overdue(&self, now: DateTime<Utc>) -> bool {
        self.closed_at.is_none() && self.deadline_at < now
    }

    /// Whose work it is: who may change it, with those above them.
    pub fn holders(&self) -> Vec<OperatorId> {
        self.registered_by_id.into_iter().chain(self.fields.caretaker_id).collect()
    }
}

/// Where a task comes from: written down by somebody, or made by its series.
#[derive(Debug, Clone, Copy)]
pub struct Origin {
    pub registered_by_id: Option<OperatorId>,
    pub instance: Option<Instance>,
}

/// Which instance of which series.
#[derive(Debug, Clone, Copy)]
pub struct Instance {
    pub task_series_id: TaskSeriesId,
    pub occurrence_at: DateTime<Utc>,
}

#[derive(Insertable)]
#[diesel(table_name = tasks)]
struct NewTask {
    organization_id: OrganizationId,
    id: TaskId,
    registered_by_id: Option<OperatorId>,
    #[diesel(embed)]
    fields: TaskFields,
    #[diesel(embed)]
    state: State,
    ends_at: Option<DateTime<Utc>>,
    task_series_id: Option<TaskSeriesId>,
    occurrence_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// A task that is to be written down together with others, which may be above it.
#[derive(Debug)]
pub struct NewTaskFields {
    pub id: TaskId,
    pub fields: TaskFields,
}

/// What follows from the fields and the progress.
#[derive(Debug, Insertable, AsChangeset)]
#[diesel(table_name = tasks, treat_none_as_null = true)]
struct State {
    status: TaskStatus,
    percent_done: i16,
    deadline_at: DateTime<Utc>,
    planned_minutes: Option<i64>,
    assigned_at: Option<DateTime<Utc>>,
    closed_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TaskSort {
    /// When a task becomes overdue; those without a date come last.
    #[default]
    DueAt,
    /// The order of the ids, which count up with time.
    CreatedAt,
}

/// All that is given must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TaskFilter {
    pub customer_id: Option<CustomerId>,
    pub caretaker_id: Option<OperatorId>,
    pub registered_by_id: Option<OperatorId>,
    pub status: Option<TaskStatus>,
    /// Whether nothing is left to do.
    pub closed: Option<bool>,
    pub overdue: Option<bool>,
    pub priority: Option<TaskPriority>,
    pub thread_id: Option<ThreadId>,
    pub opportunity_id: Option<OpportunityId>,
    pub parent_task_id: Option<TaskId>,
    pub parent_interaction_id: Option<InteractionId>,
    pub task_series_id: Option<TaskSeriesId>,
    /// Any of these.
    pub tags: Option<Vec<String>>,
    pub due_from: Option<DateTime<Utc>>,
    pub due_before: Option<DateTime<Utc>>,
}

/// Writes a task down. One below another takes over its customer, thread and opportunity where it has none of its own.
///
/// The shape of the trees is held (see [`work_tree`](crate::work_tree)) where it has a parent.
pub fn create(tx: &mut Tx<'_>, mut fields: TaskFields, progress: Progress, origin: Origin) -> Result<Task> {
    let zone = match origin.instance {
        // Its dates are those of its series' time zone.
        Some(_) => {
            take_over(tx, &mut fields)?;
            organizations::find(tx)?.time_zone()
        }
        None => complete(tx, &mut fields)?,
    };
    let row = new_row(tx, TaskId::at(tx.now), fields, progress, origin, zone);
    let task: Task =
        diesel::insert_into(tasks::table).values(row).returning(Task::as_returning()).get_result(tx.conn)?;
    record(tx, "created", None, Some(&task))?;
    add_reminders(tx, &task)?;
    task_progress::roll_up(tx, task.fields.parent_task_id)?;
    Ok(task)
}

fn new_row(tx: &Tx<'_>, id: TaskId, fields: TaskFields, progress: Progress, origin: Origin, zone: Tz) -> NewTask {
    NewTask {
        organization_id: tx.scope.organization_id,
        id,
        registered_by_id: origin.registered_by_id,
        ends_at: fields.dates().ends_at(zone),
        state: State {
            status: progress.status(),
            percent_done: progress.percent_done(),
            deadline_at: fields.dates().deadline_at(zone),
            planned_minutes: fields.estimate_minutes.map(i64::from),
            assigned_at: fields.caretaker_id.map(|_| tx.now),
            closed_at: progress.status().is_closed().then_some(tx.now),
        },
        fields,
        task_series_id: origin.instance.map(|instance| instance.task_series_id),
        occurrence_at: origin.instance.map(|instance| instance.occurrence_at),
        created_at: tx.now,
        updated_at: tx.now,
    }
}

/// Writes down tasks that nobody has begun, each with who writes it down, in the order in which they hang below each other.
/// They are complete as they are, without reminders, and their dates fit the time zone. Tasks that were there already do
/// not follow: see [`task_progress::roll_up`].
pub fn create_all(tx: &mut Tx<'_>, mut rows: Vec<(Option<OperatorId>, NewTaskFields)>, zone: Tz) -> Result<Vec<Task>> {
    /// Parameters of one statement are limited.
    const ROWS_AT_ONCE: usize = 1_000;
    let mut tasks = Vec::with_capacity(rows.len());
    while !rows.is_empty() {
        let rest = rows.split_off(rows.len().min(ROWS_AT_ONCE));
        let some = rows.into_iter().map(|(registered_by_id, NewTaskFields { id, fields })| {
            new_row(tx, id, fields, Progress::NEW, Origin { registered_by_id, instance: None }, zone)
        });
        let some: Vec<NewTask> = some.collect();
        let written: Vec<Task> =
            diesel::insert_into(tasks::table).values(some).returning(Task::as_returning()).get_results(tx.conn)?;
        tasks.extend(written);
        rows = rest;
    }
    let records = tasks.iter().map(|task| change("created", None, Some(task), task)).collect();
    changes::record_all(tx, records)?;
    Ok(tasks)
}

pub fn find(tx: &mut Tx<'_>, id: TaskId) -> Result<Task> {
    tasks::table
        .find((tx.organization_id(), id))
        .select(Task::as_select())
        .first(tx.conn)
        .optional()
        .or_not_found("task")
}

/// Those of `ids` that exist, in no order.
pub fn find_all(tx: &mut Tx<'_>, ids: &[TaskId]) -> Result<Vec<Task>> {
    Ok(tasks::table
        .filter(tasks::organization_id.eq(tx.organization_id()))
        .filter(tasks::id.eq_any(ids))
        .select(Task::as_select())
        .load(tx.conn)?)
}

/// Locks the row; [`StoreError::Stale`] when somebody has changed it since `seen`.
pub fn lock(tx: &mut Tx<'_>, id: TaskId, seen: Option<i32>) -> Result<Task> {
    let task = tasks::table
        .find((tx.organization_id(), id))
        .select(Task::as_select())
        // The key stays, so that whoever only refers to the task need not wait.
        .for_no_key_update()
        .first(tx.conn)
        .optional()
        .or_not_found("task")?;
    StoreError::unless_current(task.version, seen)?;
    Ok(task)
}

/// A task as it is until the transaction ends, for whoever writes down something that follows it from thread to thread or
/// goes when it is closed: before what is written. None where there is none.
pub fn hold(tx: &mut Tx<'_>, id: TaskId) -> Result<Option<Task>> {
    Ok(tasks::table.find((tx.organization_id(), id)).select(Task::as_select()).for_share().first(tx.conn).optional()?)
}

/// Locks rows, in the order of their ids.
pub(crate) fn lock_all(tx: &mut Tx<'_>, ids: &[TaskId]) -> Result<Vec<Task>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    Ok(tasks::table
        .filter(tasks::organization_id.eq(tx.organization_id()))
        .filter(tasks::id.eq_any(ids))
        .order(tasks::id)
        .select(Task::as_select())
        .for_no_key_update()
        .load(tx.conn)?)
}

/// Writes to a row that [`lock`] has returned, and counts its version up. Main tasks above it follow.
///
/// The shape of the trees is held, and if the parent changes it is the caller's to change. With an `instance` the task
/// is one of that series from now on.
pub fn update(
    tx: &mut Tx<'_>,
    task: &Task,
    mut fields: TaskFields,
    progress: Progress,
    instance: Option<Instance>,
) -> Result<Task> {
    // Dates that nobody changes stay as they are, also where the organization's time zone has changed since.
    let (deadline_at, ends_at) = if fields.dates() == task.fields.dates() {
        (task.deadline_at, None)
    } else {
        let zone = fit_dates(tx, &mut fields)?;
        (fields.dates().deadline_at(zone), Some(fields.dates().ends_at(zone)))
    };
    let planned_minutes = match fields.estimate_minutes {
        Some(estimate) => Some(i64::from(estimate)),
        None => task_progress::subtasks(tx, task.id)?.minutes(),
    };
    let state = State {
        status: progress.status(),
        percent_done: progress.percent_done(),
        deadline_at,
        planned_minutes,
        assigned_at: match fields.caretaker_id {
            None => None,
            same if same == task.fields.caretaker_id => task.assigned_at,
            Some(_) => Some(tx.now),
        },
        closed_at: progress.status().is_closed().then_some(task.closed_at.unwrap_or(tx.now)),
    };
    let after: Task = diesel::update(tasks::table.find((tx.organization_id(), task.id)))
        .set((
            fields,
            state,
            ends_at.map(|ends_at| tasks::ends_at.eq(ends_at)),
            tasks::task_series_id.eq(instance.map(|instance| instance.task_series_id).or(task.task_series_id)),
            tasks::occurrence_at.eq(instance.map(|instance| instance.occurrence_at).or(task.occurrence_at)),
            tasks::version.eq(tasks::version + 1),
            tasks::updated_at.eq(tx.now),
        ))
        .returning(Task::as_returning())
        .get_result(tx.conn)?;
    record(tx, "updated", Some(task), Some(&after))?;
    if told_of(task) != told_of(&after) {
        set_reminders(tx, &after)?;
    }
    // Before those above are locked: whoever changes a step that is opened now locks them after it.
    if task.closed_at.is_none() && after.closed_at.is_some() {
        procedure_runs::follow(tx, &[after.id], Finish::Main)?;
    } else if task.closed_at.is_some() && after.closed_at.is_none() {
        procedure_runs::reopen(tx, after.id)?;
    }
    let (was, is) = (task.fields.parent_task_id, after.fields.parent_task_id);
    if was != is {
        task_progress::roll_up(tx, was)?;
        task_progress::roll_up(tx, is)?;
    } else if task.progress() != after.progress() || task.planned_minutes != after.planned_minutes {
        task_progress::roll_up(tx, is)?;
    }
    Ok(after)
}

/// Removes a locked row, which the audit log keeps as it was, with the files on it; [`StoreError::InUse`] while something
/// hangs below it or time was spent on it.
pub fn delete(tx: &mut Tx<'_>, task: &Task) -> Result<()> {
    task_series::forget(tx, Reference::Task(task.id))?;
    attachments::delete_all(tx, AttachmentSubject::Task(task.id))?;
    diesel::delete(tasks::table.find((tx.organization_id(), task.id)))
        .execute(tx.conn)
        .map_err(StoreError::of_deletion)?;
    record(tx, "deleted", Some(task), None)?;
    task_progress::roll_up(tx, task.fields.parent_task_id)
}

/// Time spent on each task by itself; who had none spent is not among them.
pub fn worked_minutes(tx: &mut Tx<'_>, ids: &[TaskId]) -> Result<HashMap<TaskId, i64>> {
    let rows: Vec<(TaskId, Option<i64>)> = work_entries::table
        .filter(work_entries::organization_id.eq(tx.organization_id()))
        .filter(work_entries::task_id.eq_any(ids))
        .group_by(work_entries::task_id)
        .select((work_entries::task_id, diesel::dsl::sum(work_entries::duration_minutes)))
        .load(tx.conn)?;
    Ok(rows.into_iter().filter_map(|(id, minutes)| Some((id, minutes?))).collect())
}

pub fn list(tx: &mut Tx<'_>, filter: &TaskFilter, page: &PageRequest<TaskSort>) -> Result<Page<Task>> {
    let (organization_id, now) = (tx.organization_id(), tx.now);
    // What is not overdue is closed or due later: a range of one index each.
    let is_either = filter.overdue == Some(false) && filter.tags.is_none();
    let filtered = || {
        let mut query = tasks::table.filter(tasks::organization_id.eq(organization_id)).into_boxed();
        if let Some(customer_id) = filter.customer_id {
            query = query.filter(tasks::customer_id.eq(customer_id));
        }
        if let Some(caretaker_id) = filter.caretaker_id {
            query = query.filter(tasks::caretaker_id.eq(caretaker_id));
        }
        if let Some(registered_by_id) = filter.registered_by_id {
            query = query.filter(tasks::registered_by_id.eq(registered_by_id));
        }
        if let Some(status) = filter.status {
            query = query.filter(tasks::status.eq(status));
        }
        match filter.closed {
            Some(true) => query = query.filter(tasks::closed_at.is_not_null()),
            Some(false) => query = query.filter(tasks::closed_at.is_null()),
            None => {}
        }
        match filter.overdue {
            Some(true) => query = query.filter(tasks::closed_at.is_null()).filter(tasks::deadline_at.lt(now)),
            Some(false) if is_either => {}
            Some(false) => query = query.filter(tasks::closed_at.is_not_null().or(tasks::deadline_at.ge(now))),
            None => {}
        }
        if let Some(priority) = filter.priority {
            query = query.filter(tasks::priority.eq(priority));
        }
        if let Some(thread_id) = filter.thread_id {
            query = query.filter(tasks::thread_id.eq(thread_id));
        }
        if let Some(opportunity_id) = filter.opportunity_id {
            query = query.filter(tasks::opportunity_id.eq(opportunity_id));
        }
        if let Some(parent_task_id) = filter.parent_task_id {
            query = query.filter(tasks::parent_task_id.eq(parent_task_id));
        }
        if let Some(parent_interaction_id) = filter.parent_interaction_id {
            query = query.filter(tasks::parent_interaction_id.eq(parent_interaction_id));
        }
        if let Some(task_series_id) = filter.task_series_id {
            query = query.filter(tasks::task_series_id.eq(task_series_id));
        }
        // Of whole days the deadline, by which the range is read, is not the due date. As a second range the due date would
        // be taken for one that few of the first pass.
        if filter.due_from.is_some() || filter.due_before.is_some() {
            query = query.filter(tasks::due_at.is_not_null());
        }
        if let Some(from) = filter.due_from {
            let is_within = case_when(tasks::all_day, tasks::due_at.ge(from));
            query = query.filter(is_within.otherwise(tasks::deadline_at.ge(from).nullable()));
        }
        if let Some(before) = filter.due_before {
            let is_within = case_when(tasks::all_day, tasks::due_at.lt(before));
            query = query.filter(is_within.otherwise(tasks::deadline_at.lt(before).nullable()));
        }
        query
    };
    // What the indexes know is the deadline: the due date, or when that day ends, or far away.
    let deadline_from = filter.due_from;
    let deadline_before =
        filter.due_before.map(|before| before + TimeDelta::days(2)).or(filter.due_from.and(Some(NEVER)));
    let in_period = || {
        let mut query = filtered();
        if let Some(from) = deadline_from {
            query = query.filter(tasks::deadline_at.ge(from));
        }
        if let Some(before) = deadline_before {
            query = query.filter(tasks::deadline_at.lt(before));
        }
        query
    };
    // What has a tag is read in the order of the rows of tags.
    // A filter that asks for no more than they know needs no look at the records.
    let known = TaskFilter { tags: filter.tags.clone(), ..TaskFilter::default() };
    let tagged = |tag| {
        let mut query = task_tags::table
            .filter(task_tags::organization_id.eq(organization_id))
            .filter(task_tags::tag.eq(tag))
            .select(task_tags::task_id)
            .into_boxed();
        if *filter != known {
            query = query.filter(task_tags::task_id.eq_any(filtered().select(tasks::id)));
        }
        if let Some(from) = deadline_from {
            query = query.filter(task_tags::deadline_at.ge(from));
        }
        if let Some(before) = deadline_before {
            query = query.filter(task_tags::deadline_at.lt(before));
        }
        query
    };
    let not_overdue = || {
        let closed = in_period().filter(tasks::closed_at.is_not_null());
        let due_later = in_period().filter(tasks::closed_at.is_null()).filter(tasks::deadline_at.ge(now));
        [closed, due_later].into_iter().filter(|_| is_either).map(|query| query.select(tasks::id))
    };
    let tags = || filter.tags.iter().flatten();
    let found = |among| {
        if filter.tags.is_some() || is_either {
            tasks::table.filter(tasks::organization_id.eq(organization_id)).filter(among).into_boxed()
        } else {
            in_period()
        }
    };
    let total = page.total(|cap| {
        let mut among = Among::new(tasks::id);
        tags().for_each(|tag| among.push(tagged(tag).limit(cap)));
        not_overdue().for_each(|query| among.push(query.limit(cap)));
        found(among).select(sql::<Integer>("1")).limit(cap).load(tx.conn)
    })?;
    let mut among = Among::new(tasks::id);
    let query = match page.sort {
        TaskSort::DueAt => {
            for tag in tags() {
                among.push(keyset!(tagged(tag), page, task_tags::deadline_at => DateTime<Utc>, task_tags::task_id));
            }
            for query in not_overdue() {
                among.push(keyset!(query, page, tasks::deadline_at => DateTime<Utc>, tasks::id));
            }
            keyset!(found(among), page, tasks::deadline_at => DateTime<Utc>, tasks::id)
        }
        TaskSort::CreatedAt => {
            for tag in tags() {
                among.push(keyset!(tagged(tag), page, task_tags::task_id));
            }
            for query in not_overdue() {
                among.push(keyset!(query, page, tasks::id));
            }
            keyset!(found(among), page, tasks::id)
        }
    };
    let rows = query.select(Task::as_select()).load(tx.conn)?;
    Ok(Page::cut(rows, page, total, |task| match page.sort {
        TaskSort::DueAt => Cursor::new(task.deadline_at, task.id),
        TaskSort::CreatedAt => Cursor::new((), task.id),
    }))
}

/// Gives a new task what it has from the one above it, and its dates as those of its kind. Tells the time zone.
pub fn complete(tx: &mut Tx<'_>, fields: &mut TaskFields) -> Result<Tz> {
    take_over(tx, fields)?;
    if let Some(id) = fields.opportunity_id.filter(|_| fields.customer_id.is_none()) {
        fields.customer_id = opportunities::table
            .find((tx.organization_id(), id))
            .select(opportunities::customer_id)
            .first(tx.conn)
            .optional()?;
        if fields.customer_id.is_none() {
            return Err(StoreError::no_reference("tasks", "opportunity_id"));
        }
    }
    fit_dates(tx, fields)
}

/// What a task without them has from the one above it.
fn take_over(tx: &mut Tx<'_>, fields: &mut TaskFields) -> Result<()> {
    type Matter = (Option<CustomerId>, Option<ThreadId>, Option<OpportunityId>);
    let organization_id = tx.organization_id();
    let above: Option<Matter> = match fields.parent() {
        None => None,
        // Locked before the new row refers to it, as whoever moves what is below it does.
        Some(WorkItem::Task(id)) => tasks::table
            .find((organization_id, id))
            .select((tasks::customer_id, tasks::thread_id, tasks::opportunity_id))
            .for_no_key_update()
            .first(tx.conn)
            .optional()?,
        Some(WorkItem::Interaction(id)) => interactions::table
            .find((organization_id, id))
            .select((interactions::customer_id.nullable(), interactions::thread_id, interactions::opportunity_id))
            .first(tx.conn)
            .optional()?,
    };
    // One that is not there is refused by the reference.
    let Some((customer_id, thread_id, opportunity_id)) = above else { return Ok(()) };
    fields.thread_id = fields.thread_id.or(thread_id);
    fields.customer_id = fields.customer_id.or(customer_id);
    if fields.customer_id == customer_id {
        fields.opportunity_id = fields.opportunity_id.or(opportunity_id);
    }
    Ok(())
}

/// Puts the dates of a task of whole days on midnights of the organization's time zone, and tells the zone.
pub fn fit_dates(tx: &mut Tx<'_>, fields: &mut TaskFields) -> Result<Tz> {
    let zone = organizations::find(tx)?.time_zone();
    let dates = TaskDates::new(fields.start_at, fields.due_at, fields.all_day, zone);
    (fields.start_at, fields.due_at) = (dates.start_at, dates.due_at);
    Ok(zone)
}

/// What reminders depend on.
fn told_of(task: &Task) -> (Option<DateTime<Utc>>, bool, &[i32]) {
    (task.fields.due_at, task.closed_at.is_some(), &task.fields.reminder_minutes)
}

/// Lets the reminders that are still to come be those of a task that has changed: none once it is closed.
pub(crate) fn set_reminders(tx: &mut Tx<'_>, task: &Task) -> Result<()> {
    diesel::delete(task_reminders::table)
        .filter(task_reminders::organization_id.eq(tx.organization_id()))
        .filter(task_reminders::task_id.eq(task.id))
        .execute(tx.conn)?;
    add_reminders(tx, task)
}

/// Those of an open task that do not lie in the past.
fn add_reminders(tx: &mut Tx<'_>, task: &Task) -> Result<()> {
    let organization_id = tx.organization_id();
    let Some(due_at) = task.fields.due_at.filter(|_| task.closed_at.is_none()) else { return Ok(()) };
    let rows: Vec<_> = task
        .fields
        .reminder_minutes
        .iter()
        .map(|minutes| (*minutes, due_at - TimeDelta::minutes((*minutes).into())))
        .filter(|(_, remind_at)| *remind_at > tx.now)
        .map(|(minutes, remind_at)| {
            (
                task_reminders::organization_id.eq(organization_id),
                task_reminders::task_id.eq(task.id),
                task_reminders::minutes_before.eq(minutes),
                task_reminders::remind_at.eq(remind_at),
            )
        })
        .collect();
    if !rows.is_empty() {
        diesel::insert_into(task_reminders::table).values(rows).execute(tx.conn)?;
    }
    Ok(())
}

fn record(tx: &mut Tx<'_>, action: &'static str, before: Option<&Task>, after: Option<&Task>) -> Result<()> {
    let Some(told) = after.or(before) else { return Ok(()) };
    changes::record(tx, change(action, before, after, told))
}

pub(crate) fn change(action: &'static str, before: Option<&Task>, after: Option<&Task>, told: &Task) -> Change {
    Change::new("task", action, (told.id, told.version), before, after)
}
