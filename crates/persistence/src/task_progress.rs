//! How main tasks follow their subtasks, and take them along.

use crate::changes;
use crate::db::Tx;
use crate::error::Result;
use crate::page::{Cursor, Page, PageRequest};
use crate::procedure_runs::{self, Finish};
use crate::schema::{task_reminders, tasks};
use crate::tasks::{Task, change};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Integer, Nullable, Uuid};
use opiekun_domain::ids::TaskId;
use opiekun_domain::task::{Subtasks, TaskStatus};
use std::collections::HashMap;

#[derive(QueryableByName)]
struct SubtaskSums {
    #[diesel(sql_type = Uuid)]
    parent_task_id: TaskId,
    #[diesel(sql_type = BigInt)]
    total: i64,
    #[diesel(sql_type = BigInt)]
    open: i64,
    #[diesel(sql_type = BigInt)]
    begun: i64,
    #[diesel(sql_type = BigInt)]
    planned: i64,
    #[diesel(sql_type = BigInt)]
    planned_minutes: i64,
    #[diesel(sql_type = BigInt)]
    planned_minutes_by_percent: i64,
    #[diesel(sql_type = BigInt)]
    unplanned: i64,
    #[diesel(sql_type = BigInt)]
    unplanned_percents: i64,
}

/// What the direct subtasks of one task come to.
pub fn subtasks(tx: &mut Tx<'_>, id: TaskId) -> Result<Subtasks> {
    Ok(subtasks_of(tx, &[id])?.remove(&id).unwrap_or_default())
}

/// What the direct subtasks of each task come to; who has none is not among them.
pub fn subtasks_of(tx: &mut Tx<'_>, ids: &[TaskId]) -> Result<HashMap<TaskId, Subtasks>> {
    let rows: Vec<SubtaskSums> = diesel::sql_query(include_str!("task_progress.sql"))
        .bind::<Uuid, _>(tx.organization_id())
        .bind::<Array<Uuid>, _>(ids)
        .load(tx.conn)?;
    Ok(rows.into_iter().map(|row| (row.parent_task_id, row.into())).collect())
}

impl From<SubtaskSums> for Subtasks {
    fn from(row: SubtaskSums) -> Self {
        let SubtaskSums {
            parent_task_id: _,
            total,
            open,
            begun,
            planned,
            planned_minutes,
            planned_minutes_by_percent,
            unplanned,
            unplanned_percents,
        } = row;
        Self { total, open, begun, planned, planned_minutes, planned_minutes_by_percent, unplanned, unplanned_percents }
    }
}

/// Lets a task follow its subtasks, and those above it follow in their turn, as far as something changes.
pub(crate) fn roll_up(tx: &mut Tx<'_>, from: Option<TaskId>) -> Result<()> {
    let (mut next, mut records, mut reopened) = (from, Vec::new(), Vec::new());
    while let Some(id) = next {
        // The lock comes before the sums, so that of two who move subtasks at once the second counts both.
        let task = crate::tasks::lock(tx, id, None)?;
        let subtasks = subtasks(tx, id)?;
        let progress = task.progress().follow(&subtasks);
        let planned_minutes = task.fields.estimate_minutes.map(i64::from).or(subtasks.minutes());
        if progress == task.progress() && planned_minutes == task.planned_minutes {
            break;
        }
        let after: Task = diesel::update(tasks::table.find((tx.organization_id(), id)))
            .set((
                tasks::status.eq(progress.status()),
                tasks::percent_done.eq(progress.percent_done()),
                tasks::planned_minutes.eq(planned_minutes),
                tasks::closed_at.eq(task.closed_at.filter(|_| progress.status().is_closed())),
                tasks::version.eq(tasks::version + 1),
                tasks::updated_at.eq(tx.now),
            ))
            .returning(Task::as_returning())
            .get_result(tx.conn)?;
        records.push(change("updated", Some(&task), Some(&after), &after));
        if task.closed_at.is_some() && after.closed_at.is_none() {
            crate::tasks::set_reminders(tx, &after)?;
            reopened.push(id);
        }
        next = after.fields.parent_task_id;
    }
    changes::record_all(tx, records)?;
    reopened.into_iter().try_for_each(|id| procedure_runs::reopen(tx, id))
}

/// Every task below one, to any depth, with something left to do: locked, in the order of their ids. Moves of the trees
/// are kept away meanwhile.
pub fn lock_open_below(tx: &mut Tx<'_>, id: TaskId) -> Result<Vec<Task>> {
    let ids = open_below(tx, id)?;
    crate::tasks::lock_all(tx, &ids)
}

/// Closes locked tasks, all in the same way. Of instances of a series nothing comes again.
pub fn close_all(tx: &mut Tx<'_>, open: &[Task], status: TaskStatus) -> Result<()> {
    let organization_id = tx.organization_id();
    let before: HashMap<TaskId, &Task> = open.iter().map(|task| (task.id, task)).collect();
    let ids: Vec<TaskId> = open.iter().map(|task| task.id).collect();
    let closing =
        diesel::update(tasks::table).filter(tasks::organization_id.eq(organization_id)).filter(tasks::id.eq_any(&ids));
    let closed = (
        tasks::status.eq(status),
        tasks::closed_at.eq(tx.now),
        tasks::version.eq(tasks::version + 1),
        tasks::updated_at.eq(tx.now),
    );
    let after: Vec<Task> = if status == TaskStatus::Done {
        closing.set((closed, tasks::percent_done.eq(100))).returning(Task::as_returning()).get_results(tx.conn)?
    } else {
        closing.set(closed).returning(Task::as_returning()).get_results(tx.conn)?
    };
    diesel::delete(task_reminders::table)
        .filter(task_reminders::organization_id.eq(organization_id))
        .filter(task_reminders::task_id.eq_any(&ids))
        .execute(tx.conn)?;
    let records =
        after.iter().map(|after| change("updated", before.get(&after.id).copied(), Some(after), after)).collect();
    changes::record_all(tx, records)?;
    procedure_runs::follow(tx, &ids, Finish::Nothing)
}

#[derive(QueryableByName)]
struct Below {
    #[diesel(sql_type = Uuid)]
    id: TaskId,
}

fn open_below(tx: &mut Tx<'_>, id: TaskId) -> Result<Vec<TaskId>> {
    let rows: Vec<Below> = diesel::sql_query(
        "with recursive below (id, closed_at) as (
             select id, closed_at from tasks where organization_id = $1 and parent_task_id = $2
             union all
             select child.* from below cross join lateral (
                 select id, closed_at from tasks where organization_id = $1 and parent_task_id = below.id offset 0
             ) child
         )
         select id from below where closed_at is null",
    )
    .bind::<Uuid, _>(tx.organization_id())
    .bind::<Uuid, _>(id)
    .load(tx.conn)?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

#[derive(QueryableByName)]
struct Placed {
    #[diesel(sql_type = Uuid)]
    id: TaskId,
    #[diesel(sql_type = Integer)]
    level: i32,
}

/// A page of the tasks below one, to any depth, each with its level: 1 of a direct subtask. The tree is walked as a
/// whole, by index at each step: `offset 0` keeps the planner from reading all tasks at once instead.
pub fn list_below(tx: &mut Tx<'_>, id: TaskId, page: &PageRequest<()>) -> Result<Page<(i32, Task)>> {
    let (sign, order) = if page.descending { ("<", "desc") } else { (">", "asc") };
    let below = "with recursive below (id, level) as (
             select id, 1 from tasks where organization_id = $1 and parent_task_id = $2
             union all
             select child.id, level + 1 from below cross join lateral (
                 select id from tasks where organization_id = $1 and parent_task_id = below.id offset 0
             ) child
         ) select id, level from below";
    let total = page.total(|cap| {
        let counted = diesel::sql_query(format!("{below} limit $3"))
            .bind::<Uuid, _>(tx.organization_id())
            .bind::<Uuid, _>(id)
            .bind::<BigInt, _>(cap)
            .load::<Placed>(tx.conn)?;
        Ok(counted.into_iter().map(|row| row.level).collect())
    })?;
    let placed: Vec<Placed> =
        diesel::sql_query(format!("{below} where $3 is null or id {sign} $3 order by id {order} limit $4"))
            .bind::<Uuid, _>(tx.organization_id())
            .bind::<Uuid, _>(id)
            .bind::<Nullable<Uuid>, _>(page.after.as_ref().map(|cursor| cursor.id))
            .bind::<BigInt, _>(page.fetch())
            .load(tx.conn)?;
    let page_of = Page::cut(placed, page, total, |row| Cursor::new((), row.id));
    let ids: Vec<TaskId> = page_of.items.iter().map(|row| row.id).collect();
    let mut rows: HashMap<TaskId, Task> =
        crate::tasks::find_all(tx, &ids)?.into_iter().map(|task| (task.id, task)).collect();
    let items = page_of.items.iter().filter_map(|row| Some((row.level, rows.remove(&row.id)?))).collect();
    Ok(Page { items, next: page_of.next, total: page_of.total })
}
