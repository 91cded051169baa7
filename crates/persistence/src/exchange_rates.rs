//! Exchange rates: what currencies were worth in złoty, one a currency and day of table.

use crate::changes::{self, Change};
use crate::db::Tx;
use crate::error::{OrNotFound, Result, StoreError};
use crate::page::{Cursor, Page, PageRequest, keyset};
use crate::schema::exchange_rates;
use chrono::{DateTime, NaiveDate, Utc};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Integer;
use opiekun_domain::currency::Currency;
use opiekun_domain::decimal;
use opiekun_domain::exchange_rate::ExchangeRates;
use opiekun_domain::ids::{ExchangeRateId, OrganizationId};
use opiekun_domain::invoice::TableRate;
use serde::Serialize;
use std::ops::RangeInclusive;

#[derive(Debug, Clone, Queryable, Selectable, Serialize)]
#[diesel(table_name = exchange_rates, check_for_backend(diesel::pg::Pg))]
pub struct ExchangeRate {
    pub id: ExchangeRateId,
    #[diesel(embed)]
    #[serde(flatten)]
    pub fields: ExchangeRateFields,
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// What a caller may write.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset, Serialize)]
#[diesel(table_name = exchange_rates, check_for_backend(diesel::pg::Pg))]
pub struct ExchangeRateFields {
    /// Another than złoty.
    pub currency: Currency,
    /// The day of the table.
    pub quoted_on: NaiveDate,
    /// How many złoty one unit of the currency is worth; more than 0.
    pub rate: decimal::ExchangeRate,
    /// Whose table it is.
    pub source: String,
}

#[derive(Insertable)]
#[diesel(table_name = exchange_rates)]
struct NewExchangeRate {
    organization_id: OrganizationId,
    id: ExchangeRateId,
    #[diesel(embed)]
    fields: ExchangeRateFields,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ExchangeRateSort {
    #[default]
    QuotedOn,
}

/// All that is given must hold.
#[derive(Debug, Clone, Default)]
pub struct ExchangeRateFilter {
    pub currency: Option<Currency>,
    pub quoted_from: Option<NaiveDate>,
    pub quoted_through: Option<NaiveDate>,
}

pub fn create(tx: &mut Tx<'_>, fields: ExchangeRateFields) -> Result<ExchangeRate> {
    let row = NewExchangeRate {
        organization_id: tx.organization_id(),
        id: ExchangeRateId::at(tx.now),
        fields,
        created_at: tx.now,
        updated_at: tx.now,
    };
    let rate: ExchangeRate = diesel::insert_into(exchange_rates::table)
        .values(row)
        .returning(ExchangeRate::as_returning())
        .get_result(tx.conn)?;
    record(tx, "created", None, Some(&rate))?;
    Ok(rate)
}

pub fn find(tx: &mut Tx<'_>, id: ExchangeRateId) -> Result<ExchangeRate> {
    exchange_rates::table
        .find((tx.organization_id(), id))
        .select(ExchangeRate::as_select())
        .first(tx.conn)
        .optional()
        .or_not_found("exchange_rate")
}

/// The rates of some currencies by the tables of some days, in one query.
pub fn quoted(
    tx: &mut Tx<'_>,
    currencies: impl IntoIterator<Item = Currency>,
    days: RangeInclusive<NaiveDate>,
) -> Result<ExchangeRates> {
    let rows: Vec<ExchangeRateFields> = exchange_rates::table
        .filter(exchange_rates::organization_id.eq(tx.organization_id()))
        .filter(exchange_rates::currency.eq_any(currencies))
        .filter(exchange_rates::quoted_on.between(*days.start(), *days.end()))
        .select(ExchangeRateFields::as_select())
        .load(tx.conn)?;
    let of = |row: ExchangeRateFields| {
        let ExchangeRateFields { currency, quoted_on, rate, source } = row;
        (currency, TableRate { rate, on: quoted_on, source })
    };
    Ok(rows.into_iter().map(of).collect())
}

/// Locks the row; [`StoreError::Stale`] when somebody has changed it since `seen`.
pub fn lock(tx: &mut Tx<'_>, id: ExchangeRateId, seen: Option<i32>) -> Result<ExchangeRate> {
    let rate = exchange_rates::table
        .find((tx.organization_id(), id))
        .select(ExchangeRate::as_select())
        .for_update()
        .first(tx.conn)
        .optional()
        .or_not_found("exchange_rate")?;
    StoreError::unless_current(rate.version, seen)?;
    Ok(rate)
}

/// Writes to a row that [`lock`] has returned, and counts its version up. Invoices keep the rate they were issued with.
pub fn update(tx: &mut Tx<'_>, rate: &ExchangeRate, fields: ExchangeRateFields) -> Result<ExchangeRate> {
    let after = diesel::update(exchange_rates::table.find((tx.organization_id(), rate.id)))
        .set((fields, exchange_rates::version.eq(exchange_rates::version + 1), exchange_rates::updated_at.eq(tx.now)))
        .returning(ExchangeRate::as_returning())
        .get_result(tx.conn)?;
    record(tx, "updated", Some(rate), Some(&after))?;
    Ok(after)
}

/// Removes a locked row. Invoices keep the rate they were issued with.
pub fn delete(tx: &mut Tx<'_>, rate: &ExchangeRate) -> Result<()> {
    diesel::delete(exchange_rates::table.find((tx.organization_id(), rate.id))).execute(tx.conn)?;
    record(tx, "deleted", Some(rate), None)
}

pub fn list(
    tx: &mut Tx<'_>,
    filter: &ExchangeRateFilter,
    page: &PageRequest<ExchangeRateSort>,
) -> Result<Page<ExchangeRate>> {
    let organization_id = tx.organization_id();
    let filtered = || {
        let mut query = exchange_rates::table.filter(exchange_rates::organization_id.eq(organization_id)).into_boxed();
        if let Some(currency) = filter.currency {
            query = query.filter(exchange_rates::currency.eq(currency));
        }
        if let Some(from) = filter.quoted_from {
            query = query.filter(exchange_rates::quoted_on.ge(from));
        }
        if let Some(through) = filter.quoted_through {
            query = query.filter(exchange_rates::quoted_on.le(through));
        }
        query
    };
    let total = page.total(|cap| filtered().select(sql::<Integer>("1")).limit(cap).load(tx.conn))?;
    let ExchangeRateSort::QuotedOn = page.sort;
    let query = keyset!(filtered(), page, exchange_rates::quoted_on => NaiveDate, exchange_rates::id);
    let rows = query.select(ExchangeRate::as_select()).load(tx.conn)?;
    Ok(Page::cut(rows, page, total, |rate| Cursor::new(rate.fields.quoted_on, rate.id)))
}

fn record(
    tx: &mut Tx<'_>,
    action: &'static str,
    before: Option<&ExchangeRate>,
    after: Option<&ExchangeRate>,
) -> Result<()> {
    let Some(told) = after.or(before) else { return Ok(()) };
    changes::record(tx, Change::new("exchange_rate", action, (told.id, told.version), before, after))
}
