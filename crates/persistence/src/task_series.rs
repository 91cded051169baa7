//! Tasks that come again and again: the rule, and what each instance begins as.
//!
//! There is one instance to work at: whoever closes it makes the next one. Each is a task like others; what is changed
//! in it is changed in it alone.

use crate::changes::{self, Change};
use crate::db::Tx;
use crate::error::{OrNotFound, Result};
use crate::operators;
use crate::organizations::{self, time_zone};
use crate::schema::{task_series, tasks};
use crate::tasks::{self as task_rows, Instance, Origin, Task, TaskFields};
use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use opiekun_domain::calendar_day::day_of;
use opiekun_domain::ids::{
    CustomerId, InteractionId, OperatorId, OpportunityId, OrganizationId, TaskId, TaskSeriesId, ThreadId,
};
use opiekun_domain::recurrence::{Recurrence, Rule, RuleError};
use opiekun_domain::task::{Progress, TaskDates, TaskPriority};
use serde::Serialize;
use std::collections::HashMap;

#[derive(Debug, Clone, Queryable, Selectable, Serialize)]
#[diesel(table_name = task_series, check_for_backend(diesel::pg::Pg))]
pub struct TaskSeries {
    pub id: TaskSeriesId,
    #[diesel(embed)]
    #[serde(flatten)]
    pub fields: TaskSeriesFields,
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// The rule, and the fields of each new instance.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, Serialize)]
#[diesel(table_name = task_series, check_for_backend(diesel::pg::Pg))]
pub struct TaskSeriesFields {
    /// An RRULE of RFC 5545.
    pub rule: String,
    pub time_zone: String,
    /// When the first instance is due.
    pub first_at: DateTime<Utc>,
    /// From here on there are no more.
    pub ends_before: Option<DateTime<Utc>>,
    pub all_day: bool,
    /// How long before it is due an instance starts; full days of a task of whole days.
    pub lead_minutes: Option<i32>,
    pub title: String,
    pub description: Option<String>,
    pub customer_id: Option<CustomerId>,
    pub caretaker_id: Option<OperatorId>,
    pub registered_by_id: Option<OperatorId>,
    pub priority: TaskPriority,
    pub estimate_minutes: Option<i32>,
    pub thread_id: Option<ThreadId>,
    pub parent_task_id: Option<TaskId>,
    pub parent_interaction_id: Option<InteractionId>,
    pub opportunity_id: Option<OpportunityId>,
    pub tags: Vec<String>,
    pub reminder_minutes: Vec<i32>,
}

#[derive(Insertable)]
#[diesel(table_name = task_series)]
struct NewTaskSeries {
    organization_id: OrganizationId,
    id: TaskSeriesId,
    #[diesel(embed)]
    fields: TaskSeriesFields,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// Begins a series whose first instance has these fields: complete, with dates of their kind. Without a due date there
/// is no first instance.
pub fn begin(
    tx: &mut Tx<'_>,
    fields: &TaskFields,
    registered_by_id: Option<OperatorId>,
    rule: Rule,
) -> Result<std::result::Result<Instance, RuleError>> {
    let Some(due_at) = fields.due_at else { return Ok(Err(RuleError::FirstNotInRule)) };
    let organization = organizations::find(tx)?;
    let zone = organization.time_zone();
    let recurrence = match Recurrence::new(rule, zone, due_at) {
        Ok(recurrence) => recurrence,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let fields = fields.clone();
    let lead_minutes = fields.start_at.map(|start_at| {
        let lead = match fields.all_day {
            true => day_of(due_at, zone).signed_duration_since(day_of(start_at, zone)),
            false => due_at.signed_duration_since(start_at),
        };
        i32::try_from(lead.num_minutes()).unwrap_or(i32::MAX)
    });
    let row = NewTaskSeries {
        organization_id: tx.organization_id(),
        id: TaskSeriesId::at(tx.now),
        fields: TaskSeriesFields {
            rule: recurrence.rule().to_string(),
            time_zone: organization.fields.time_zone,
            first_at: due_at,
            ends_before: None,
            all_day: fields.all_day,
            lead_minutes,
            title: fields.title,
            description: fields.description,
            customer_id: fields.customer_id,
            caretaker_id: fields.caretaker_id,
            registered_by_id,
            priority: fields.priority,
            estimate_minutes: fields.estimate_minutes,
            thread_id: fields.thread_id,
            parent_task_id: fields.parent_task_id,
            parent_interaction_id: fields.parent_interaction_id,
            opportunity_id: fields.opportunity_id,
            tags: fields.tags,
            reminder_minutes: fields.reminder_minutes,
        },
        created_at: tx.now,
        updated_at: tx.now,
    };
    let series: TaskSeries = diesel::insert_into(task_series::table)
        .values(row)
        .returning(TaskSeries::as_returning())
        .get_result(tx.conn)?;
    record(tx, "created", None, Some(&series))?;
    Ok(Ok(Instance { task_series_id: series.id, occurrence_at: due_at }))
}

/// The series, locked: whoever makes or counts its instances waits for others who do.
pub fn lock(tx: &mut Tx<'_>, id: TaskSeriesId) -> Result<TaskSeries> {
    task_series::table
        .find((tx.organization_id(), id))
        .select(TaskSeries::as_select())
        .for_no_key_update()
        .first(tx.conn)
        .optional()
        .or_not_found("task_series")
}

/// Lets a locked series end before a moment.
pub fn end(tx: &mut Tx<'_>, series: &TaskSeries, ends_before: DateTime<Utc>) -> Result<()> {
    let after: TaskSeries = diesel::update(task_series::table.find((tx.organization_id(), series.id)))
        .set((
            task_series::ends_before.eq(ends_before),
            task_series::version.eq(task_series::version + 1),
            task_series::updated_at.eq(tx.now),
        ))
        .returning(TaskSeries::as_returning())
        .get_result(tx.conn)?;
    record(tx, "updated", Some(series), Some(&after))
}

/// Removes a locked series that has no instances.
pub fn delete(tx: &mut Tx<'_>, series: &TaskSeries) -> Result<()> {
    diesel::delete(task_series::table.find((tx.organization_id(), series.id))).execute(tx.conn)?;
    record(tx, "deleted", Some(series), None)
}

/// When the newest instance of a series is.
pub fn newest(tx: &mut Tx<'_>, id: TaskSeriesId) -> Result<Option<DateTime<Utc>>> {
    Ok(tasks::table
        .filter(tasks::organization_id.eq(tx.organization_id()))
        .filter(tasks::task_series_id.eq(id))
        .select(diesel::dsl::max(tasks::occurrence_at))
        .first(tx.conn)?)
}

/// How many instances there are.
pub fn instances(tx: &mut Tx<'_>, id: TaskSeriesId) -> Result<i64> {
    Ok(tasks::table
        .filter(tasks::organization_id.eq(tx.organization_id()))
        .filter(tasks::task_series_id.eq(id))
        .count()
        .get_result(tx.conn)?)
}

/// Removes a series that has no instances left.
pub fn delete_if_empty(tx: &mut Tx<'_>, id: TaskSeriesId) -> Result<()> {
    if instances(tx, id)? > 0 {
        return Ok(());
    }
    let series = lock(tx, id)?;
    delete(tx, &series)
}

/// A record that new instances refer to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Reference {
    Thread(ThreadId),
    Task(TaskId),
    Interaction(InteractionId),
    Opportunity(OpportunityId),
}

/// Lets new instances begin without a record that is about to be removed.
pub(crate) fn forget(tx: &mut Tx<'_>, reference: Reference) -> Result<()> {
    change_all(tx, reference, None)
}

/// Lets new instances begin in the thread that another one is merged into.
pub(crate) fn carry(tx: &mut Tx<'_>, from: ThreadId, into: ThreadId) -> Result<()> {
    change_all(tx, Reference::Thread(from), Some(into))
}

/// What changes of the records that new instances refer to; `Some(None)` empties a column.
#[derive(Default, AsChangeset)]
#[diesel(table_name = task_series)]
struct Referring {
    thread_id: Option<Option<ThreadId>>,
    parent_task_id: Option<Option<TaskId>>,
    parent_interaction_id: Option<Option<InteractionId>>,
    opportunity_id: Option<Option<OpportunityId>>,
}

fn change_all(tx: &mut Tx<'_>, reference: Reference, thread_id: Option<ThreadId>) -> Result<()> {
    let organization_id = tx.organization_id();
    let all = task_series::table.filter(task_series::organization_id.eq(organization_id)).into_boxed();
    let mut change = Referring::default();
    let referring = match reference {
        Reference::Thread(id) => {
            change.thread_id = Some(thread_id);
            all.filter(task_series::thread_id.eq(id))
        }
        Reference::Task(id) => {
            change.parent_task_id = Some(None);
            all.filter(task_series::parent_task_id.eq(id))
        }
        Reference::Interaction(id) => {
            change.parent_interaction_id = Some(None);
            all.filter(task_series::parent_interaction_id.eq(id))
        }
        Reference::Opportunity(id) => {
            change.opportunity_id = Some(None);
            all.filter(task_series::opportunity_id.eq(id))
        }
    };
    let before: Vec<TaskSeries> = referring.select(TaskSeries::as_select()).load(tx.conn)?;
    if before.is_empty() {
        return Ok(());
    }
    let ids: Vec<TaskSeriesId> = before.iter().map(|series| series.id).collect();
    let after: Vec<TaskSeries> = diesel::update(task_series::table)
        .filter(task_series::organization_id.eq(organization_id))
        .filter(task_series::id.eq_any(ids))
        .set((change, task_series::version.eq(task_series::version + 1), task_series::updated_at.eq(tx.now)))
        .returning(TaskSeries::as_returning())
        .get_results(tx.conn)?;
    let records = after.iter().map(|after| {
        let before = before.iter().find(|series| series.id == after.id);
        Change::new("task_series", "updated", (after.id, after.version), before, Some(after))
    });
    changes::record_all(tx, records.collect())
}

/// The rules of series that go on, by their ids.
pub fn rules_of(tx: &mut Tx<'_>, ids: &[TaskSeriesId]) -> Result<HashMap<TaskSeriesId, String>> {
    let rows: Vec<(TaskSeriesId, String)> = task_series::table
        .filter(task_series::organization_id.eq(tx.organization_id()))
        .filter(task_series::id.eq_any(ids))
        .filter(task_series::ends_before.is_null())
        .select((task_series::id, task_series::rule))
        .load(tx.conn)?;
    Ok(rows.into_iter().collect())
}

impl TaskSeries {
    /// The rule with its first date, as it was checked when it was written.
    pub fn recurrence(&self) -> Option<Recurrence> {
        let rule: Rule = self.fields.rule.parse().ok()?;
        Recurrence::new(rule, time_zone(&self.fields.time_zone), self.fields.first_at).ok()
    }

    /// Whose work it is: who may change it, with those above them.
    pub fn holders(&self) -> Vec<OperatorId> {
        self.fields.registered_by_id.into_iter().chain(self.fields.caretaker_id).collect()
    }

    /// What its instance of a date begins as.
    fn instance(&self, due_at: DateTime<Utc>) -> TaskFields {
        let fields = self.fields.clone();
        let zone = time_zone(&fields.time_zone);
        let lead = fields.lead_minutes.map(|minutes| TimeDelta::minutes(minutes.into()));
        let dates = TaskDates::of_instance(due_at, lead, fields.all_day, zone);
        TaskFields {
            title: fields.title,
            description: fields.description,
            customer_id: fields.customer_id,
            caretaker_id: fields.caretaker_id,
            priority: fields.priority,
            start_at: dates.start_at,
            due_at: dates.due_at,
            all_day: dates.all_day,
            estimate_minutes: fields.estimate_minutes,
            thread_id: fields.thread_id,
            parent_task_id: fields.parent_task_id,
            parent_interaction_id: fields.parent_interaction_id,
            opportunity_id: fields.opportunity_id,
            tags: fields.tags,
            reminder_minutes: fields.reminder_minutes,
        }
    }
}

/// Makes the instance that comes after one that was closed, unless there is one at work already or the series has ended.
pub fn make_next(tx: &mut Tx<'_>, closed: &Task) -> Result<Option<Task>> {
    let (Some(id), Some(mut at)) = (closed.task_series_id, closed.occurrence_at) else { return Ok(None) };
    let series = lock(tx, id)?;
    let Some(recurrence) = series.recurrence() else { return Ok(None) };
    let is_active = match series.fields.caretaker_id {
        Some(id) => operators::find(tx, id)?.fields.active,
        None => false,
    };
    // Those that were made already, as a rule none: a closed instance can be opened and closed again.
    let later: HashMap<DateTime<Utc>, Option<DateTime<Utc>>> = tasks::table
        .filter(tasks::organization_id.eq(tx.organization_id()))
        .filter(tasks::task_series_id.eq(id))
        .filter(tasks::occurrence_at.gt(at))
        .select((tasks::occurrence_at.assume_not_null(), tasks::closed_at))
        .load::<(DateTime<Utc>, Option<DateTime<Utc>>)>(tx.conn)?
        .into_iter()
        .collect();
    loop {
        let Some(next_at) = recurrence.next_after(at) else { return Ok(None) };
        if series.fields.ends_before.is_some_and(|ends_before| next_at >= ends_before) {
            return Ok(None);
        }
        match later.get(&next_at) {
            Some(Some(_)) => at = next_at,
            Some(None) => return Ok(None),
            None => {
                let origin = Origin {
                    registered_by_id: series.fields.registered_by_id,
                    instance: Some(Instance { task_series_id: id, occurrence_at: next_at }),
                };
                let mut fields = series.instance(next_at);
                // Nobody sees what somebody gets who has left.
                fields.caretaker_id = fields.caretaker_id.filter(|_| is_active);
                return task_rows::create(tx, fields, Progress::NEW, origin).map(Some);
            }
        }
    }
}

fn record(
    tx: &mut Tx<'_>,
    action: &'static str,
    before: Option<&TaskSeries>,
    after: Option<&TaskSeries>,
) -> Result<()> {
    let Some(told) = after.or(before) else { return Ok(()) };
    changes::record(tx, Change::new("task_series", action, (told.id, told.version), before, after))
}
