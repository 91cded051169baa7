//! Reminders of tasks: told as events, each once, by whichever node looks first.

use crate::changes::{self, Happening};
use crate::db::Db;
use crate::error::Result;
use crate::schema::{task_reminders, tasks};
use chrono::{DateTime, Utc};
use diesel::connection::Connection;
use diesel::prelude::*;
use opiekun_domain::ids::{OrganizationId, TaskId};

/// Tells reminders of all organizations whose moment has come, at most `batch`; returns how many.
pub fn tell_due(db: &Db, now: DateTime<Utc>, batch: i64) -> Result<usize> {
    let mut conn = db.connection()?;
    conn.transaction(|conn| {
        let due: Vec<(OrganizationId, TaskId, i32)> = task_reminders::table
            .filter(task_reminders::remind_at.le(now))
            .order(task_reminders::remind_at)
            .limit(batch)
            .select((task_reminders::organization_id, task_reminders::task_id, task_reminders::minutes_before))
            .for_update()
            .skip_locked()
            .load(conn)?;
        if due.is_empty() {
            return Ok(0);
        }
        let keys = |row: &(OrganizationId, TaskId, i32)| {
            Box::new(
                task_reminders::organization_id
                    .eq(row.0)
                    .and(task_reminders::task_id.eq(row.1))
                    .and(task_reminders::minutes_before.eq(row.2)),
            )
        };
        let mut gone = diesel::delete(task_reminders::table).into_boxed();
        for row in &due {
            gone = gone.or_filter(keys(row));
        }
        gone.execute(conn)?;
        let ids: Vec<TaskId> = due.iter().map(|(_, id, _)| *id).collect();
        let told: Vec<(OrganizationId, TaskId, i32)> = tasks::table
            .filter(tasks::id.eq_any(ids))
            .select((tasks::organization_id, tasks::id, tasks::version))
            .load(conn)?;
        let happenings = due
            .iter()
            .filter_map(|(organization_id, id, _)| {
                let (.., version) = told.iter().find(|(owner, task, _)| owner == organization_id && task == id)?;
                Some(Happening {
                    organization_id: *organization_id,
                    type_: "task.reminded".to_owned(),
                    resource_type: "task",
                    resource_id: id.0,
                    resource_version: *version,
                })
            })
            .collect();
        changes::tell(conn, now, happenings)?;
        Ok(due.len())
    })
}
