//! Hourly rates: what an hour costs from a day on, for a customer, an operator or the whole organization.

use crate::changes::{self, Change};
use crate::db::Tx;
use crate::error::{OrNotFound, Result, StoreError};
use crate::page::{Cursor, Page, PageRequest, keyset};
use crate::schema::{hourly_rates, organizations};
use chrono::{DateTime, NaiveDate, Utc};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Integer;
use opiekun_domain::cost::{DatedRate, RateHolderKind};
use opiekun_domain::currency::Currency;
use opiekun_domain::decimal;
use opiekun_domain::ids::{CustomerId, HourlyRateId, OperatorId, OrganizationId};
use serde::Serialize;
use std::collections::HashMap;
use uuid::Uuid;

#[derive(Debug, Clone, Queryable, Selectable, Serialize)]
#[diesel(table_name = hourly_rates, check_for_backend(diesel::pg::Pg))]
pub struct HourlyRate {
    pub id: HourlyRateId,
    pub operator_id: Option<OperatorId>,
    pub customer_id: Option<CustomerId>,
    /// That of the organization on the day it was written.
    pub currency: Currency,
    #[diesel(embed)]
    #[serde(flatten)]
    pub fields: HourlyRateFields,
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// What a caller may write; whose rate it is, is chosen once.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset, Serialize)]
#[diesel(table_name = hourly_rates, check_for_backend(diesel::pg::Pg))]
pub struct HourlyRateFields {
    pub amount: decimal::HourlyRate,
    /// The first day that it holds for, in the organization's time zone.
    pub valid_from_on: NaiveDate,
}

#[derive(Insertable)]
#[diesel(table_name = hourly_rates)]
struct NewHourlyRate {
    organization_id: OrganizationId,
    id: HourlyRateId,
    operator_id: Option<OperatorId>,
    customer_id: Option<CustomerId>,
    currency: Currency,
    #[diesel(embed)]
    fields: HourlyRateFields,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// Whose price of an hour it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RateHolder {
    Customer(CustomerId),
    Operator(OperatorId),
    Organization,
}

impl RateHolder {
    /// As the table's `holder_id` says it.
    fn id(self, organization_id: OrganizationId) -> Uuid {
        match self {
            Self::Customer(id) => id.0,
            Self::Operator(id) => id.0,
            Self::Organization => organization_id.0,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HourlyRateSort {
    #[default]
    ValidFromOn,
    /// The order of the ids, which count up with time.
    CreatedAt,
}

/// All that is given must hold.
#[derive(Debug, Clone, Default)]
pub struct HourlyRateFilter {
    /// Of one kind of holder.
    pub kind: Option<RateHolderKind>,
    pub customer_id: Option<CustomerId>,
    pub operator_id: Option<OperatorId>,
    pub valid_from: Option<NaiveDate>,
    pub valid_before: Option<NaiveDate>,
}

/// The rates of some holders, of whom each has had several: those that the domain chooses from.
#[derive(Debug, Clone)]
pub struct RateHistories {
    organization_id: OrganizationId,
    by_holder: HashMap<Uuid, Vec<DatedRate>>,
}

impl RateHistories {
    pub fn of(&self, holder: RateHolder) -> &[DatedRate] {
        self.by_holder.get(&holder.id(self.organization_id)).map_or(&[], Vec::as_slice)
    }
}

/// The caller has seen to it that the currency is the organization's.
pub fn create(tx: &mut Tx<'_>, holder: RateHolder, currency: Currency, fields: HourlyRateFields) -> Result<HourlyRate> {
    let (customer_id, operator_id) = match holder {
        RateHolder::Customer(id) => (Some(id), None),
        RateHolder::Operator(id) => (None, Some(id)),
        RateHolder::Organization => (None, None),
    };
    let row = NewHourlyRate {
        organization_id: tx.organization_id(),
        id: HourlyRateId::at(tx.now),
        operator_id,
        customer_id,
        currency,
        fields,
        created_at: tx.now,
        updated_at: tx.now,
    };
    let rate: HourlyRate = diesel::insert_into(hourly_rates::table)
        .values(row)
        .returning(HourlyRate::as_returning())
        .get_result(tx.conn)?;
    record(tx, "created", None, Some(&rate))?;
    Ok(rate)
}

pub fn find(tx: &mut Tx<'_>, id: HourlyRateId) -> Result<HourlyRate> {
    hourly_rates::table
        .find((tx.organization_id(), id))
        .select(HourlyRate::as_select())
        .first(tx.conn)
        .optional()
        .or_not_found("hourly_rate")
}

/// What an hour of these customers' and operators' time, and of the organization's, has cost through a day, in the
/// organization's currency, in one query. A rate in a currency that the organization has left behind prices nothing.
pub fn histories(
    tx: &mut Tx<'_>,
    customers: &[CustomerId],
    operators: &[OperatorId],
    through_on: NaiveDate,
) -> Result<RateHistories> {
    let organization_id = tx.organization_id();
    let customers = customers.iter().copied().map(RateHolder::Customer);
    let operators = operators.iter().copied().map(RateHolder::Operator);
    let holders: Vec<Uuid> =
        customers.chain(operators).chain([RateHolder::Organization]).map(|holder| holder.id(organization_id)).collect();
    let rows: Vec<(Uuid, NaiveDate, decimal::HourlyRate)> = hourly_rates::table
        .inner_join(organizations::table)
        .filter(hourly_rates::organization_id.eq(organization_id))
        .filter(hourly_rates::holder_id.eq_any(holders))
        .filter(hourly_rates::valid_from_on.le(through_on))
        .filter(hourly_rates::currency.eq(organizations::currency))
        .select((hourly_rates::holder_id, hourly_rates::valid_from_on, hourly_rates::amount))
        .load(tx.conn)?;
    let mut by_holder: HashMap<Uuid, Vec<DatedRate>> = HashMap::new();
    for (holder, valid_from_on, rate) in rows {
        by_holder.entry(holder).or_default().push(DatedRate { valid_from_on, rate });
    }
    Ok(RateHistories { organization_id, by_holder })
}

/// The customers' own rates in force on a day, the newest of each that is valid by then; who has none is not among
/// them. One in a currency that the organization has left behind prices nothing.
pub fn in_force_of_customers(
    tx: &mut Tx<'_>,
    customers: &[CustomerId],
    day: NaiveDate,
) -> Result<HashMap<CustomerId, decimal::HourlyRate>> {
    let holders: Vec<Uuid> = customers.iter().map(|customer| customer.0).collect();
    let rows: Vec<(Uuid, decimal::HourlyRate)> = hourly_rates::table
        .inner_join(organizations::table)
        .filter(hourly_rates::organization_id.eq(tx.organization_id()))
        .filter(hourly_rates::holder_id.eq_any(holders))
        .filter(hourly_rates::valid_from_on.le(day))
        .filter(hourly_rates::currency.eq(organizations::currency))
        .distinct_on(hourly_rates::holder_id)
        .order((hourly_rates::holder_id, hourly_rates::valid_from_on.desc()))
        .select((hourly_rates::holder_id, hourly_rates::amount))
        .load(tx.conn)?;
    Ok(rows.into_iter().map(|(holder, rate)| (CustomerId(holder), rate)).collect())
}

/// Locks the row; [`StoreError::Stale`] when somebody has changed it since `seen`.
pub fn lock(tx: &mut Tx<'_>, id: HourlyRateId, seen: Option<i32>) -> Result<HourlyRate> {
    let rate = hourly_rates::table
        .find((tx.organization_id(), id))
        .select(HourlyRate::as_select())
        .for_update()
        .first(tx.conn)
        .optional()
        .or_not_found("hourly_rate")?;
    StoreError::unless_current(rate.version, seen)?;
    Ok(rate)
}

/// Writes to a row that [`lock`] has returned, and counts its version up. Entries keep the rate they were priced at.
pub fn update(tx: &mut Tx<'_>, rate: &HourlyRate, fields: HourlyRateFields) -> Result<HourlyRate> {
    let after = diesel::update(hourly_rates::table.find((tx.organization_id(), rate.id)))
        .set((fields, hourly_rates::version.eq(hourly_rates::version + 1), hourly_rates::updated_at.eq(tx.now)))
        .returning(HourlyRate::as_returning())
        .get_result(tx.conn)?;
    record(tx, "updated", Some(rate), Some(&after))?;
    Ok(after)
}

/// Removes a locked row. Entries keep the rate they were priced at.
pub fn delete(tx: &mut Tx<'_>, rate: &HourlyRate) -> Result<()> {
    diesel::delete(hourly_rates::table.find((tx.organization_id(), rate.id))).execute(tx.conn)?;
    record(tx, "deleted", Some(rate), None)
}

pub fn list(
    tx: &mut Tx<'_>,
    filter: &HourlyRateFilter,
    page: &PageRequest<HourlyRateSort>,
) -> Result<Page<HourlyRate>> {
    let organization_id = tx.organization_id();
    let filtered = || {
        let mut query = hourly_rates::table.filter(hourly_rates::organization_id.eq(organization_id)).into_boxed();
        match filter.kind {
            None => {}
            Some(RateHolderKind::Customer) => query = query.filter(hourly_rates::customer_id.is_not_null()),
            Some(RateHolderKind::Operator) => query = query.filter(hourly_rates::operator_id.is_not_null()),
            Some(RateHolderKind::Organization) => {
                query = query.filter(hourly_rates::holder_id.eq(organization_id.0));
            }
        }
        // The holder is what the index knows.
        if let Some(id) = filter.customer_id {
            query = query.filter(hourly_rates::holder_id.eq(id.0)).filter(hourly_rates::customer_id.eq(id));
        }
        if let Some(id) = filter.operator_id {
            query = query.filter(hourly_rates::holder_id.eq(id.0)).filter(hourly_rates::operator_id.eq(id));
        }
        if let Some(from) = filter.valid_from {
            query = query.filter(hourly_rates::valid_from_on.ge(from));
        }
        if let Some(before) = filter.valid_before {
            query = query.filter(hourly_rates::valid_from_on.lt(before));
        }
        query
    };
    let total = page.total(|cap| filtered().select(sql::<Integer>("1")).limit(cap).load(tx.conn))?;
    let query = match page.sort {
        HourlyRateSort::ValidFromOn => {
            keyset!(filtered(), page, hourly_rates::valid_from_on => NaiveDate, hourly_rates::id)
        }
        HourlyRateSort::CreatedAt => keyset!(filtered(), page, hourly_rates::id),
    };
    let rows = query.select(HourlyRate::as_select()).load(tx.conn)?;
    Ok(Page::cut(rows, page, total, |rate| match page.sort {
        HourlyRateSort::ValidFromOn => Cursor::new(rate.fields.valid_from_on, rate.id),
        HourlyRateSort::CreatedAt => Cursor::new((), rate.id),
    }))
}

fn record(
    tx: &mut Tx<'_>,
    action: &'static str,
    before: Option<&HourlyRate>,
    after: Option<&HourlyRate>,
) -> Result<()> {
    let Some(told) = after.or(before) else { return Ok(()) };
    changes::record(tx, Change::new("hourly_rate", action, (told.id, told.version), before, after))
}
