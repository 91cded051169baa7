//! Number series: the sequences that invoices take their numbers from, and their counters.

use crate::changes::{self, Change};
use crate::db::Tx;
use crate::error::{OrNotFound, Result, StoreError};
use crate::page::{Cursor, Page, PageRequest, keyset};
use crate::schema::{number_counters, number_series};
use chrono::{DateTime, NaiveDate, Utc};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Integer;
use diesel::upsert::excluded;
use opiekun_domain::ids::{NumberSeriesId, OrganizationId};
use opiekun_domain::invoice::InvoiceKind;
use opiekun_domain::numbering::{NumberPattern, Reset};
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Debug, Clone, Queryable, Selectable, Serialize)]
#[diesel(table_name = number_series, check_for_backend(diesel::pg::Pg))]
pub struct NumberSeries {
    pub id: NumberSeriesId,
    #[diesel(embed)]
    #[serde(flatten)]
    pub fields: NumberSeriesFields,
    /// The date of its last invoice: none is dated before it.
    pub last_issued_on: Option<NaiveDate>,
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// What a caller may write; the pattern and its reset only while no invoice has a number of the series.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset, Serialize)]
#[diesel(table_name = number_series, check_for_backend(diesel::pg::Pg), treat_none_as_null = true)]
pub struct NumberSeriesFields {
    pub name: String,
    /// What it numbers. It stays as it was made.
    pub kind: InvoiceKind,
    pub pattern: String,
    pub reset: Reset,
}

#[derive(Insertable)]
#[diesel(table_name = number_series)]
struct NewNumberSeries {
    organization_id: OrganizationId,
    id: NumberSeriesId,
    #[diesel(embed)]
    fields: NumberSeriesFields,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// The counter of a series within one month, year or for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = number_counters, check_for_backend(diesel::pg::Pg))]
pub struct Counter {
    pub next_number: i64,
    /// How many invoices took their number from it.
    pub issued: i64,
}

impl Counter {
    /// A counter that nothing was taken from and nobody has set.
    pub const UNTOUCHED: Self = Self { next_number: 1, issued: 0 };
}

#[derive(Debug, Clone, Default)]
pub struct NumberSeriesFilter {
    pub name: Option<String>,
    pub kind: Option<InvoiceKind>,
    pub reset: Option<Reset>,
}

pub fn create(tx: &mut Tx<'_>, fields: NumberSeriesFields) -> Result<NumberSeries> {
    let row = NewNumberSeries {
        organization_id: tx.organization_id(),
        id: NumberSeriesId::at(tx.now),
        fields,
        created_at: tx.now,
        updated_at: tx.now,
    };
    let series: NumberSeries = diesel::insert_into(number_series::table)
        .values(row)
        .returning(NumberSeries::as_returning())
        .get_result(tx.conn)?;
    record(tx, "created", None, &series)?;
    Ok(series)
}

pub fn find(tx: &mut Tx<'_>, id: NumberSeriesId) -> Result<NumberSeries> {
    number_series::table
        .find((tx.organization_id(), id))
        .select(NumberSeries::as_select())
        .first(tx.conn)
        .optional()
        .or_not_found("number_series")
}

/// Those of `ids` that exist, in no order.
pub fn find_all(tx: &mut Tx<'_>, ids: &[NumberSeriesId]) -> Result<Vec<NumberSeries>> {
    Ok(number_series::table
        .filter(number_series::organization_id.eq(tx.organization_id()))
        .filter(number_series::id.eq_any(ids))
        .select(NumberSeries::as_select())
        .load(tx.conn)?)
}

/// Locks the row; [`StoreError::Stale`] when somebody has changed it since `seen`.
pub fn lock(tx: &mut Tx<'_>, id: NumberSeriesId, seen: Option<i32>) -> Result<NumberSeries> {
    let series = number_series::table
        .find((tx.organization_id(), id))
        .select(NumberSeries::as_select())
        .for_no_key_update()
        .first(tx.conn)
        .optional()
        .or_not_found("number_series")?;
    StoreError::unless_current(series.version, seen)?;
    Ok(series)
}

/// Writes to a row that [`lock`] has returned, and counts its version up.
pub fn update(tx: &mut Tx<'_>, series: &NumberSeries, fields: NumberSeriesFields) -> Result<NumberSeries> {
    let after = diesel::update(number_series::table.find((tx.organization_id(), series.id)))
        .set((fields, number_series::version.eq(number_series::version + 1), number_series::updated_at.eq(tx.now)))
        .returning(NumberSeries::as_returning())
        .get_result(tx.conn)?;
    record(tx, "updated", Some(series), &after)?;
    Ok(after)
}

pub fn list(tx: &mut Tx<'_>, filter: &NumberSeriesFilter, page: &PageRequest<()>) -> Result<Page<NumberSeries>> {
    let organization_id = tx.organization_id();
    let filtered = || {
        let mut query = number_series::table.filter(number_series::organization_id.eq(organization_id)).into_boxed();
        if let Some(name) = &filter.name {
            query = query.filter(number_series::name.eq(name));
        }
        if let Some(kind) = filter.kind {
            query = query.filter(number_series::kind.eq(kind));
        }
        if let Some(reset) = filter.reset {
            query = query.filter(number_series::reset.eq(reset));
        }
        query
    };
    let total = page.total(|cap| filtered().select(sql::<Integer>("1")).limit(cap).load(tx.conn))?;
    let rows = keyset!(filtered(), page, number_series::id).select(NumberSeries::as_select()).load(tx.conn)?;
    Ok(Page::cut(rows, page, total, |series| Cursor::new((), series.id)))
}

/// The counters that stand under `keys`; a series without one is at [`Counter::UNTOUCHED`].
pub fn counters(
    tx: &mut Tx<'_>,
    keys: &[(NumberSeriesId, String)],
) -> Result<BTreeMap<(NumberSeriesId, String), Counter>> {
    let (ids, names): (Vec<_>, Vec<_>) = keys.iter().cloned().unzip();
    let rows: Vec<(NumberSeriesId, String, Counter)> = number_counters::table
        .filter(number_counters::organization_id.eq(tx.organization_id()))
        .filter(number_counters::series_id.eq_any(ids))
        .filter(number_counters::key.eq_any(names))
        .select((number_counters::series_id, number_counters::key, Counter::as_select()))
        .load(tx.conn)?;
    Ok(rows.into_iter().map(|(id, key, counter)| ((id, key), counter)).collect())
}

/// Sets the next number of a counter of a locked series; `false`, and nothing done, once an invoice took one from it.
pub fn set_next_number(tx: &mut Tx<'_>, series: &NumberSeries, key: &str, next_number: i64) -> Result<bool> {
    let upsert = diesel::insert_into(number_counters::table)
        .values((
            number_counters::organization_id.eq(tx.organization_id()),
            number_counters::series_id.eq(series.id),
            number_counters::key.eq(key),
            number_counters::next_number.eq(next_number),
        ))
        .on_conflict((number_counters::organization_id, number_counters::series_id, number_counters::key))
        .do_update()
        .set(number_counters::next_number.eq(excluded(number_counters::next_number)));
    let set = diesel::query_dsl::methods::FilterDsl::filter(upsert, number_counters::issued.eq(0)).execute(tx.conn)?;
    Ok(set == 1)
}

/// Locks those of `ids` that exist, in the order of their ids, so that two who take numbers wait and never block
/// each other for good.
pub fn lock_all(tx: &mut Tx<'_>, ids: &[NumberSeriesId]) -> Result<Vec<NumberSeries>> {
    Ok(number_series::table
        .filter(number_series::organization_id.eq(tx.organization_id()))
        .filter(number_series::id.eq_any(ids))
        .order(number_series::id)
        .select(NumberSeries::as_select())
        .for_no_key_update()
        .load(tx.conn)?)
}

/// Locks those of `ids` that nobody else has locked, and waits for none.
pub fn try_lock_all(tx: &mut Tx<'_>, ids: &[NumberSeriesId]) -> Result<Vec<NumberSeries>> {
    Ok(number_series::table
        .filter(number_series::organization_id.eq(tx.organization_id()))
        .filter(number_series::id.eq_any(ids))
        .select(NumberSeries::as_select())
        .for_no_key_update()
        .skip_locked()
        .load(tx.conn)?)
}

/// Takes the next `count` numbers of a counter of a locked series, for invoices dated `issued_on`, and tells the
/// first of them.
///
/// The counter stays locked until the transaction ends: should it fail, the numbers were never taken.
pub fn take(tx: &mut Tx<'_>, series: &NumberSeries, key: &str, count: i64, issued_on: NaiveDate) -> Result<i64> {
    let next_number: i64 = diesel::insert_into(number_counters::table)
        .values((
            number_counters::organization_id.eq(tx.organization_id()),
            number_counters::series_id.eq(series.id),
            number_counters::key.eq(key),
            number_counters::next_number.eq(Counter::UNTOUCHED.next_number + count),
            number_counters::issued.eq(count),
        ))
        .on_conflict((number_counters::organization_id, number_counters::series_id, number_counters::key))
        .do_update()
        .set((
            number_counters::next_number.eq(number_counters::next_number + count),
            number_counters::issued.eq(number_counters::issued + count),
        ))
        .returning(number_counters::next_number)
        .get_result(tx.conn)?;
    diesel::update(number_series::table.find((tx.organization_id(), series.id)))
        .set((
            number_series::last_issued_on.eq(issued_on),
            number_series::version.eq(number_series::version + 1),
            number_series::updated_at.eq(tx.now),
        ))
        .execute(tx.conn)?;
    Ok(next_number - count)
}

/// Takes the next number of a series for one invoice; `None`, and nothing taken, where the last of the series is dated
/// after `issued_on`. Another who takes one waits until the transaction ends.
pub fn next(tx: &mut Tx<'_>, id: NumberSeriesId, issued_on: NaiveDate) -> Result<Option<String>> {
    let series = lock(tx, id, None)?;
    if series.last_issued_on.is_some_and(|last| last > issued_on) {
        return Ok(None);
    }
    let fields = &series.fields;
    let pattern = NumberPattern::new(&fields.pattern, fields.reset)
        .map_err(|problem| StoreError::Database(diesel::result::Error::DeserializationError(Box::new(problem))))?;
    let number = take(tx, &series, &fields.reset.counter_key(issued_on), 1, issued_on)?;
    // The column takes no number that is longer.
    let number = u32::try_from(number)
        .map_err(|error| StoreError::Database(diesel::result::Error::DeserializationError(Box::new(error))))?;
    Ok(Some(pattern.render(number, issued_on)))
}

fn record(tx: &mut Tx<'_>, action: &'static str, before: Option<&NumberSeries>, after: &NumberSeries) -> Result<()> {
    changes::record(tx, Change::new("number_series", action, (after.id, after.version), before, Some(after)))
}
