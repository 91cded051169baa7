//! Timers: the work that operators are at. Each has one at most, by the table's key.

use crate::changes::{self, Change};
use crate::db::Tx;
use crate::error::{OrNotFound, Result};
use crate::month_locks;
use crate::schema::{operators, timers};
use crate::work_entries::{self, WorkEntry, WorkEntryFields};
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use opiekun_domain::ids::{OperatorId, OrganizationId, TaskId};
use opiekun_domain::work_entry::timed_minutes;
use serde::Serialize;

#[derive(Debug, Clone, Queryable, Selectable, Serialize)]
#[diesel(table_name = timers, check_for_backend(diesel::pg::Pg))]
pub struct Timer {
    pub operator_id: OperatorId,
    #[diesel(embed)]
    #[serde(flatten)]
    pub fields: TimerFields,
    pub started_at: DateTime<Utc>,
}

/// What its operator may write.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset, Serialize)]
#[diesel(table_name = timers, check_for_backend(diesel::pg::Pg), treat_none_as_null = true)]
pub struct TimerFields {
    pub task_id: TaskId,
    pub note: Option<String>,
    pub billable: bool,
}

#[derive(Insertable)]
#[diesel(table_name = timers)]
struct NewTimer {
    organization_id: OrganizationId,
    operator_id: OperatorId,
    #[diesel(embed)]
    fields: TimerFields,
    started_at: DateTime<Utc>,
}

/// What an operator is at.
pub fn find(tx: &mut Tx<'_>, operator_id: OperatorId) -> Result<Option<Timer>> {
    Ok(timers::table.find((tx.organization_id(), operator_id)).select(Timer::as_select()).first(tx.conn).optional()?)
}

/// What an operator is at, which nobody else changes until the transaction ends: not even when it is nothing, since
/// the operator's row is held.
pub fn lock(tx: &mut Tx<'_>, operator_id: OperatorId) -> Result<Option<Timer>> {
    month_locks::hold(tx)?;
    operators::table
        .find((tx.organization_id(), operator_id))
        .select(operators::id)
        .for_no_key_update()
        .first::<OperatorId>(tx.conn)
        .optional()
        .or_not_found("operator")?;
    find(tx, operator_id)
}

/// Starts the timer of an operator whom [`lock`] has found at nothing.
pub fn start(tx: &mut Tx<'_>, operator_id: OperatorId, fields: TimerFields) -> Result<Timer> {
    let row = NewTimer { organization_id: tx.organization_id(), operator_id, fields, started_at: tx.now };
    let timer: Timer =
        diesel::insert_into(timers::table).values(row).returning(Timer::as_returning()).get_result(tx.conn)?;
    record(tx, "started", None, Some(&timer))?;
    Ok(timer)
}

/// Writes to a timer that [`lock`] has returned; it runs on.
pub fn update(tx: &mut Tx<'_>, timer: &Timer, fields: TimerFields) -> Result<Timer> {
    if timer.fields == fields {
        return Ok(timer.clone());
    }
    let after = diesel::update(timers::table.find((tx.organization_id(), timer.operator_id)))
        .set(fields)
        .returning(Timer::as_returning())
        .get_result(tx.conn)?;
    record(tx, "updated", Some(timer), Some(&after))?;
    Ok(after)
}

/// Stops a timer that [`lock`] has returned: its time becomes a work entry.
pub fn stop(tx: &mut Tx<'_>, timer: &Timer) -> Result<WorkEntry> {
    diesel::delete(timers::table.find((tx.organization_id(), timer.operator_id))).execute(tx.conn)?;
    record(tx, "stopped", Some(timer), None)?;
    let TimerFields { task_id, note, billable } = timer.fields.clone();
    let fields = WorkEntryFields {
        task_id,
        operator_id: timer.operator_id,
        started_at: timer.started_at,
        duration_minutes: timed_minutes(timer.started_at, tx.now).into(),
        note,
        billable,
        hourly_rate: None,
    };
    work_entries::create(tx, fields)
}

/// Takes a locked timer away, and keeps nothing of its time but the record of it.
pub fn discard(tx: &mut Tx<'_>, timer: &Timer) -> Result<()> {
    diesel::delete(timers::table.find((tx.organization_id(), timer.operator_id))).execute(tx.conn)?;
    record(tx, "discarded", Some(timer), None)
}

/// A timer is its operator's and has no version: whoever reads of one that has changed reads it anew.
fn record(tx: &mut Tx<'_>, action: &'static str, before: Option<&Timer>, after: Option<&Timer>) -> Result<()> {
    let Some(told) = after.or(before) else { return Ok(()) };
    changes::record(tx, Change::new("timer", action, (told.operator_id, 1), before, after))
}
