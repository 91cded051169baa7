//! Price changes: new prices of a template's lines, each from a day on.

use crate::changes::{self, Change};
use crate::db::Tx;
use crate::error::{OrNotFound, Result, StoreError};
use crate::json::Json;
use crate::page::{Cursor, Page, PageRequest, keyset};
use crate::schema::price_changes;
use chrono::{DateTime, NaiveDate, Utc};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Date, Integer, Jsonb, Text, Uuid as SqlUuid};
use opiekun_domain::billing::LineOverride;
use opiekun_domain::decimal::PercentChange;
use opiekun_domain::ids::{CustomerId, InvoiceTemplateId, OrganizationId, PriceChangeId, SubscriptionId};
use opiekun_domain::price_change::{self, ChangedPrice};
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Debug, Clone, Queryable, Selectable, Serialize)]
#[diesel(table_name = price_changes, check_for_backend(diesel::pg::Pg))]
pub struct PriceChange {
    pub id: PriceChangeId,
    #[diesel(embed)]
    #[serde(flatten)]
    pub fields: PriceChangeFields,
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Queryable, Selectable, Insertable, Serialize)]
#[diesel(table_name = price_changes, check_for_backend(diesel::pg::Pg))]
pub struct PriceChangeFields {
    pub template_id: InvoiceTemplateId,
    pub valid_from_on: NaiveDate,
    /// As it was asked for.
    pub percent: Option<PercentChange>,
    /// What counts.
    pub prices: Json<Vec<ChangedPrice>>,
}

#[derive(Insertable)]
#[diesel(table_name = price_changes)]
struct NewPriceChange {
    organization_id: OrganizationId,
    id: PriceChangeId,
    #[diesel(embed)]
    fields: PriceChangeFields,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PriceChangeSort {
    #[default]
    ValidFromOn,
    /// The order of the ids, which count up with time.
    CreatedAt,
}

/// Whom a change of prices meets.
#[derive(Debug, Clone, Default)]
pub struct Reach {
    /// How many subscriptions pay another price for at least one line.
    pub touched: i64,
    /// How many have prices of their own for every line that it is about.
    pub overridden: i64,
    /// The first of them, those that are touched before the others.
    pub subscriptions: Vec<Reached>,
}

/// A subscription of the template.
#[derive(Debug, Clone, QueryableByName)]
pub struct Reached {
    #[diesel(sql_type = SqlUuid)]
    pub id: SubscriptionId,
    #[diesel(sql_type = SqlUuid)]
    pub customer_id: CustomerId,
    #[diesel(sql_type = Text)]
    pub customer_name: String,
    #[diesel(sql_type = Jsonb)]
    pub line_overrides: Json<Vec<LineOverride>>,
    #[diesel(sql_type = BigInt)]
    touched: i64,
    #[diesel(sql_type = BigInt)]
    overridden: i64,
}

/// For a template that the caller has locked, so that changes of its prices are made one after the other.
pub fn create(tx: &mut Tx<'_>, fields: PriceChangeFields) -> Result<PriceChange> {
    let row = NewPriceChange {
        organization_id: tx.organization_id(),
        id: PriceChangeId::at(tx.now),
        fields,
        created_at: tx.now,
        updated_at: tx.now,
    };
    let change: PriceChange = diesel::insert_into(price_changes::table)
        .values(row)
        .returning(PriceChange::as_returning())
        .get_result(tx.conn)?;
    changes::record(tx, told("created", None, Some(&change)))?;
    Ok(change)
}

pub fn find(tx: &mut Tx<'_>, id: PriceChangeId) -> Result<PriceChange> {
    price_changes::table
        .find((tx.organization_id(), id))
        .select(PriceChange::as_select())
        .first(tx.conn)
        .optional()
        .or_not_found("price_change")
}

/// Locks the row; [`StoreError::Stale`] when somebody has changed it since `seen`.
pub fn lock(tx: &mut Tx<'_>, id: PriceChangeId, seen: Option<i32>) -> Result<PriceChange> {
    let change = price_changes::table
        .find((tx.organization_id(), id))
        .select(PriceChange::as_select())
        .for_update()
        .first(tx.conn)
        .optional()
        .or_not_found("price_change")?;
    StoreError::unless_current(change.version, seen)?;
    Ok(change)
}

/// Removes a locked row, which the audit log keeps as it was.
pub fn delete(tx: &mut Tx<'_>, change: &PriceChange) -> Result<()> {
    diesel::delete(price_changes::table.find((tx.organization_id(), change.id))).execute(tx.conn)?;
    changes::record(tx, told("deleted", Some(change), None))
}

pub fn list(
    tx: &mut Tx<'_>,
    template_id: InvoiceTemplateId,
    page: &PageRequest<PriceChangeSort>,
) -> Result<Page<PriceChange>> {
    let organization_id = tx.organization_id();
    let filtered = || {
        price_changes::table
            .filter(price_changes::organization_id.eq(organization_id))
            .filter(price_changes::template_id.eq(template_id))
            .into_boxed()
    };
    let total = page.total(|cap| filtered().select(sql::<Integer>("1")).limit(cap).load(tx.conn))?;
    let query = match page.sort {
        PriceChangeSort::ValidFromOn => {
            keyset!(filtered(), page, price_changes::valid_from_on => NaiveDate, price_changes::id)
        }
        PriceChangeSort::CreatedAt => keyset!(filtered(), page, price_changes::id),
    };
    let rows = query.select(PriceChange::as_select()).load(tx.conn)?;
    Ok(Page::cut(rows, page, total, |change| match page.sort {
        PriceChangeSort::ValidFromOn => Cursor::new(change.fields.valid_from_on, change.id),
        PriceChangeSort::CreatedAt => Cursor::new((), change.id),
    }))
}

/// How many changes a template has.
pub fn count(tx: &mut Tx<'_>, template_id: InvoiceTemplateId) -> Result<i64> {
    let of_template = price_changes::table
        .filter(price_changes::organization_id.eq(tx.organization_id()))
        .filter(price_changes::template_id.eq(template_id));
    Ok(of_template.count().get_result(tx.conn)?)
}

/// All changes of some templates, as they are priced by.
pub fn of_templates(
    tx: &mut Tx<'_>,
    ids: &[InvoiceTemplateId],
) -> Result<BTreeMap<InvoiceTemplateId, Vec<price_change::PriceChange>>> {
    let rows: Vec<(InvoiceTemplateId, NaiveDate, Json<Vec<ChangedPrice>>)> = price_changes::table
        .filter(price_changes::organization_id.eq(tx.organization_id()))
        .filter(price_changes::template_id.eq_any(ids))
        .select((price_changes::template_id, price_changes::valid_from_on, price_changes::prices))
        .load(tx.conn)?;
    let mut changes: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (id, valid_from_on, prices) in rows {
        changes.entry(id).or_default().push(price_change::PriceChange { valid_from_on, prices: prices.0 });
    }
    Ok(changes)
}

/// Whom new prices of these lines meet: the subscriptions of the template that have not ended by their day, `limit` of
/// them by name.
pub fn reach(tx: &mut Tx<'_>, fields: &PriceChangeFields, limit: i64) -> Result<Reach> {
    let keys: Vec<&str> = fields.prices.0.iter().map(|price| price.key.as_str()).collect();
    let subscriptions: Vec<Reached> = diesel::sql_query(
        "select s.id, s.customer_id, c.name as customer_name, s.line_overrides,
                count(*) filter (where s.own < cardinality($4)) over () as touched,
                count(*) filter (where s.own = cardinality($4)) over () as overridden
         from (
             select s.*, (
                 select count(distinct o ->> 'key') from jsonb_array_elements(s.line_overrides) o
                 where o ->> 'key' = any ($4) and o ->> 'unit_price' is not null
             ) as own
             from subscriptions s
             where s.organization_id = $1 and s.template_id = $2 and s.state <> 'ended'
                 and (s.ends_on is null or s.ends_on > $3)
         ) s
         join customers c on c.organization_id = s.organization_id and c.id = s.customer_id
         order by s.own = cardinality($4), s.id
         limit $5",
    )
    .bind::<SqlUuid, _>(tx.organization_id())
    .bind::<SqlUuid, _>(fields.template_id)
    .bind::<Date, _>(fields.valid_from_on)
    .bind::<Array<Text>, _>(keys)
    .bind::<BigInt, _>(limit)
    .load(tx.conn)?;
    let (touched, overridden) = subscriptions.first().map_or((0, 0), |it| (it.touched, it.overridden));
    Ok(Reach { touched, overridden, subscriptions })
}

fn told(action: &'static str, before: Option<&PriceChange>, after: Option<&PriceChange>) -> Change {
    let (id, version) = after.or(before).map(|told| (told.id.0, told.version)).unwrap_or_default();
    Change::new("price_change", action, (id, version), before, after)
}
