//! Month locks: months whose time is settled. What reports sum over there can neither come, change nor go.
//!
//! Triggers hold that. Whoever writes time holds the organization's months shared, whoever locks one holds them alone.

use crate::changes::{self, Change};
use crate::db::Tx;
use crate::error::{OrNotFound, Result, StoreError};
use crate::page::{Cursor, Page, PageRequest, keyset};
use crate::schema::month_locks;
use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use diesel::dsl::{exists, select, sql};
use diesel::prelude::*;
use diesel::sql_types::{Bool, Integer, Text};
use opiekun_domain::calendar_day::month_bounds;
use opiekun_domain::ids::{MonthLockId, OperatorId, OrganizationId};
use serde::Serialize;

#[derive(Debug, Clone, Queryable, Selectable, Serialize)]
#[diesel(table_name = month_locks, check_for_backend(diesel::pg::Pg))]
pub struct MonthLock {
    pub id: MonthLockId,
    pub month_start_on: NaiveDate,
    /// The month's instants in the organization's time zone when it was locked, the last one exclusive.
    pub from_at: DateTime<Utc>,
    pub before_at: DateTime<Utc>,
    /// Nobody where a script did.
    pub locked_by_id: Option<OperatorId>,
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

#[derive(Insertable)]
#[diesel(table_name = month_locks)]
struct NewMonthLock {
    organization_id: OrganizationId,
    id: MonthLockId,
    month_start_on: NaiveDate,
    from_at: DateTime<Utc>,
    before_at: DateTime<Utc>,
    locked_by_id: Option<OperatorId>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MonthLockSort {
    #[default]
    MonthStartOn,
}

#[derive(Debug, Clone, Default)]
pub struct MonthLockFilter {
    pub month_from: Option<NaiveDate>,
    pub month_before: Option<NaiveDate>,
}

/// Keeps months from being locked until the transaction ends.
///
/// The triggers do it too. Whoever locks rows first, and writes time afterwards, calls this before the first row, so
/// that nobody waits behind a locker who waits for them.
pub fn hold(tx: &mut Tx<'_>) -> Result<()> {
    let name = format!("months:{}", tx.organization_id());
    let call =
        sql::<Bool>("pg_advisory_xact_lock_shared(hashtextextended(").bind::<Text, _>(name).sql(", 0)) is not null");
    select(call).get_result::<bool>(tx.conn)?;
    Ok(())
}

/// Whether a moment lies in a locked month.
pub fn is_locked(tx: &mut Tx<'_>, at: DateTime<Utc>) -> Result<bool> {
    let covering = month_locks::table
        .filter(month_locks::organization_id.eq(tx.organization_id()))
        .filter(month_locks::from_at.le(at))
        .filter(month_locks::before_at.gt(at));
    Ok(select(exists(covering)).get_result(tx.conn)?)
}

/// Locks the month that begins on a day, as soon as everybody who writes time has come to an end.
pub fn create(tx: &mut Tx<'_>, month_start_on: NaiveDate, zone: Tz) -> Result<MonthLock> {
    let (from_at, before_at) = month_bounds(month_start_on, zone);
    let row = NewMonthLock {
        organization_id: tx.organization_id(),
        id: MonthLockId::at(tx.now),
        month_start_on,
        from_at,
        before_at,
        locked_by_id: tx.scope.actor.operator_id(),
        created_at: tx.now,
        updated_at: tx.now,
    };
    let month_lock: MonthLock =
        diesel::insert_into(month_locks::table).values(row).returning(MonthLock::as_returning()).get_result(tx.conn)?;
    record(tx, "created", None, Some(&month_lock))?;
    Ok(month_lock)
}

pub fn find(tx: &mut Tx<'_>, id: MonthLockId) -> Result<MonthLock> {
    month_locks::table
        .find((tx.organization_id(), id))
        .select(MonthLock::as_select())
        .first(tx.conn)
        .optional()
        .or_not_found("month_lock")
}

/// Locks the row; [`StoreError::Stale`] when somebody has changed it since `seen`.
pub fn lock(tx: &mut Tx<'_>, id: MonthLockId, seen: Option<i32>) -> Result<MonthLock> {
    let month_lock = month_locks::table
        .find((tx.organization_id(), id))
        .select(MonthLock::as_select())
        .for_update()
        .first(tx.conn)
        .optional()
        .or_not_found("month_lock")?;
    StoreError::unless_current(month_lock.version, seen)?;
    Ok(month_lock)
}

/// Opens the month again: removes a locked row.
pub fn delete(tx: &mut Tx<'_>, month_lock: &MonthLock) -> Result<()> {
    diesel::delete(month_locks::table.find((tx.organization_id(), month_lock.id))).execute(tx.conn)?;
    record(tx, "deleted", Some(month_lock), None)
}

pub fn list(tx: &mut Tx<'_>, filter: &MonthLockFilter, page: &PageRequest<MonthLockSort>) -> Result<Page<MonthLock>> {
    let organization_id = tx.organization_id();
    let filtered = || {
        let mut query = month_locks::table.filter(month_locks::organization_id.eq(organization_id)).into_boxed();
        if let Some(from) = filter.month_from {
            query = query.filter(month_locks::month_start_on.ge(from));
        }
        if let Some(before) = filter.month_before {
            query = query.filter(month_locks::month_start_on.lt(before));
        }
        query
    };
    let total = page.total(|cap| filtered().select(sql::<Integer>("1")).limit(cap).load(tx.conn))?;
    let MonthLockSort::MonthStartOn = page.sort;
    let query = keyset!(filtered(), page, month_locks::month_start_on => NaiveDate, month_locks::id);
    let rows = query.select(MonthLock::as_select()).load(tx.conn)?;
    Ok(Page::cut(rows, page, total, |month_lock| Cursor::new(month_lock.month_start_on, month_lock.id)))
}

fn record(tx: &mut Tx<'_>, action: &'static str, before: Option<&MonthLock>, after: Option<&MonthLock>) -> Result<()> {
    let Some(told) = after.or(before) else { return Ok(()) };
    changes::record(tx, Change::new("month_lock", action, (told.id, told.version), before, after))
}
