//! Calendar feeds: what calendar programs subscribe to. The secret of an address is shown once and kept as a hash.

use crate::changes::{self, Change};
use crate::db::Tx;
use crate::error::{OrNotFound, Result, StoreError};
use crate::page::{Cursor, Page, PageRequest, keyset};
use crate::schema::calendar_feeds;
use chrono::{DateTime, Utc};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Integer;
use opiekun_domain::calendar::CalendarKind;
use opiekun_domain::calendar_feed::TasksAs;
use opiekun_domain::ids::{CalendarFeedId, CustomerId, OperatorId, OrganizationId};
use serde::Serialize;

#[derive(Debug, Clone, Queryable, Selectable, Serialize)]
#[diesel(table_name = calendar_feeds, check_for_backend(diesel::pg::Pg))]
pub struct CalendarFeed {
    pub id: CalendarFeedId,
    #[diesel(embed)]
    #[serde(flatten)]
    pub fields: CalendarFeedFields,
    #[serde(skip)]
    pub last_used_at: Option<DateTime<Utc>>,
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// What a caller may write.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset, Serialize)]
#[diesel(table_name = calendar_feeds, check_for_backend(diesel::pg::Pg), treat_none_as_null = true)]
pub struct CalendarFeedFields {
    pub name: String,
    /// Whose rights it shows.
    pub reader_id: OperatorId,
    /// Whose entries; everybody's where there is none.
    pub operator_id: Option<OperatorId>,
    pub registered_by_id: Option<OperatorId>,
    pub customer_id: Option<CustomerId>,
    pub kinds: Vec<CalendarKind>,
    pub tasks_as: TasksAs,
    pub past_days: i32,
    pub future_days: i32,
}

#[derive(Insertable)]
#[diesel(table_name = calendar_feeds)]
struct NewCalendarFeed {
    organization_id: OrganizationId,
    id: CalendarFeedId,
    #[diesel(embed)]
    fields: CalendarFeedFields,
    secret_hash: Vec<u8>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Default)]
pub struct CalendarFeedFilter {
    pub reader_id: Option<OperatorId>,
}

pub fn create(tx: &mut Tx<'_>, fields: CalendarFeedFields, secret_hash: Vec<u8>) -> Result<CalendarFeed> {
    let row = NewCalendarFeed {
        organization_id: tx.organization_id(),
        id: CalendarFeedId::at(tx.now),
        fields,
        secret_hash,
        created_at: tx.now,
        updated_at: tx.now,
    };
    let feed: CalendarFeed = diesel::insert_into(calendar_feeds::table)
        .values(row)
        .returning(CalendarFeed::as_returning())
        .get_result(tx.conn)?;
    record(tx, "created", None, Some(&feed))?;
    Ok(feed)
}

pub fn find(tx: &mut Tx<'_>, id: CalendarFeedId) -> Result<CalendarFeed> {
    calendar_feeds::table
        .find((tx.organization_id(), id))
        .select(CalendarFeed::as_select())
        .first(tx.conn)
        .optional()
        .or_not_found("calendar_feed")
}

/// Locks the row; [`StoreError::Stale`] when somebody has changed it since `seen`.
pub fn lock(tx: &mut Tx<'_>, id: CalendarFeedId, seen: Option<i32>) -> Result<CalendarFeed> {
    let feed = calendar_feeds::table
        .find((tx.organization_id(), id))
        .select(CalendarFeed::as_select())
        .for_update()
        .first(tx.conn)
        .optional()
        .or_not_found("calendar_feed")?;
    StoreError::unless_current(feed.version, seen)?;
    Ok(feed)
}

/// Writes to a row that [`lock`] has returned, and counts its version up.
pub fn update(tx: &mut Tx<'_>, feed: &CalendarFeed, fields: CalendarFeedFields) -> Result<CalendarFeed> {
    let after = diesel::update(calendar_feeds::table.find((tx.organization_id(), feed.id)))
        .set((fields, calendar_feeds::version.eq(calendar_feeds::version + 1), calendar_feeds::updated_at.eq(tx.now)))
        .returning(CalendarFeed::as_returning())
        .get_result(tx.conn)?;
    record(tx, "updated", Some(feed), Some(&after))?;
    Ok(after)
}

/// Removes a locked row, and with it its address for good.
pub fn delete(tx: &mut Tx<'_>, feed: &CalendarFeed) -> Result<()> {
    diesel::delete(calendar_feeds::table.find((tx.organization_id(), feed.id))).execute(tx.conn)?;
    record(tx, "deleted", Some(feed), None)
}

pub fn list(tx: &mut Tx<'_>, filter: &CalendarFeedFilter, page: &PageRequest<()>) -> Result<Page<CalendarFeed>> {
    let organization_id = tx.organization_id();
    let filtered = || {
        let query = calendar_feeds::table.filter(calendar_feeds::organization_id.eq(organization_id)).into_boxed();
        match filter.reader_id {
            Some(reader_id) => query.filter(calendar_feeds::reader_id.eq(reader_id)),
            None => query,
        }
    };
    let total = page.total(|cap| filtered().select(sql::<Integer>("1")).limit(cap).load(tx.conn))?;
    let rows = keyset!(filtered(), page, calendar_feeds::id).select(CalendarFeed::as_select()).load(tx.conn)?;
    Ok(Page::cut(rows, page, total, |feed| Cursor::new((), feed.id)))
}

fn record(
    tx: &mut Tx<'_>,
    action: &'static str,
    before: Option<&CalendarFeed>,
    after: Option<&CalendarFeed>,
) -> Result<()> {
    let Some(told) = after.or(before) else { return Ok(()) };
    changes::record(tx, Change::new("calendar_feed", action, (told.id, told.version), before, after))
}
