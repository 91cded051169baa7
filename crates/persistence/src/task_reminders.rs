//! Reminders of tasks: told as events, each once, by whichever node looks first.

use crate::changes::{self, Happening};
use crate::db::Db;
use crate::error::Result;
use chrono::{DateTime, Utc};
use diesel::connection::Connection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Integer, Timestamptz, Uuid};
use opiekun_domain::ids::{OrganizationId, TaskId};

/// A task with a reminder that was taken to be told.
#[derive(QueryableByName)]
struct Reminded {
    #[diesel(sql_type = Uuid)]
    organization_id: OrganizationId,
    #[diesel(sql_type = Uuid)]
    id: TaskId,
    #[diesel(sql_type = Integer)]
    version: i32,
}

/// Tells reminders of all organizations whose moment has come, at most `batch`; returns how many.
pub fn tell_due(db: &Db, now: DateTime<Utc>, batch: i64) -> Result<usize> {
    let mut conn = db.connection()?;
    conn.transaction(|conn| {
        let told: Vec<Reminded> = diesel::sql_query(
            "with due as (
                 select organization_id, task_id, minutes_before from task_reminders
                 where remind_at <= $1 order by remind_at limit $2 for update skip locked
             ), gone as (
                 delete from task_reminders r using due
                 where (r.organization_id, r.task_id, r.minutes_before)
                     = (due.organization_id, due.task_id, due.minutes_before)
                 returning r.organization_id, r.task_id
             )
             select t.organization_id, t.id, t.version
             from gone join tasks t on t.organization_id = gone.organization_id and t.id = gone.task_id",
        )
        .bind::<Timestamptz, _>(now)
        .bind::<BigInt, _>(batch)
        .load(conn)?;
        let count = told.len();
        if count > 0 {
            let happening = |task: Reminded| Happening {
                organization_id: task.organization_id,
                type_: "task.reminded".to_owned(),
                resource_type: "task",
                resource_id: task.id.0,
                resource_version: task.version,
            };
            changes::tell(conn, now, told.into_iter().map(happening).collect())?;
        }
        Ok(count)
    })
}
