//! Prices: what the time of an entry costs, by the rules of rounding and the rates in force on its day.

use crate::db::Tx;
use crate::error::{Result, StoreError};
use crate::hourly_rates::{self, RateHistories, RateHolder};
use crate::organizations::time_zone;
use crate::schema::{customers, organizations};
use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use diesel::prelude::*;
use opiekun_domain::calendar_day::day_of;
use opiekun_domain::cost::{Minutes, RateSource, billed_minutes, cost, resolve_rate};
use opiekun_domain::currency::Currency;
use opiekun_domain::decimal::{Amount, HourlyRate};
use opiekun_domain::ids::{CustomerId, OperatorId};
use std::collections::HashMap;
use std::num::NonZeroU32;

/// What the price of an entry depends on: while it stays the same, so does the price.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Priced {
    /// A contact has one always; work can be for nobody in particular.
    pub customer_id: Option<CustomerId>,
    pub operator_id: OperatorId,
    pub started_at: DateTime<Utc>,
    pub duration_minutes: i32,
    /// The entry's own rate.
    pub hourly_rate: Option<HourlyRate>,
}

/// What the time of an entry costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Price {
    pub billed_minutes: i32,
    pub resolved_rate: Option<HourlyRate>,
    pub rate_source: Option<RateSource>,
    pub cost: Option<Amount>,
    pub currency: Currency,
}

/// Prices one entry.
pub(crate) fn price(tx: &mut Tx<'_>, entry: &Priced) -> Result<Price> {
    Ok(Rules::of(tx, std::slice::from_ref(entry))?.price(entry))
}

/// Prices many entries, in their order, with as many statements as one takes.
pub(crate) fn price_all(tx: &mut Tx<'_>, entries: &[Priced]) -> Result<Vec<Price>> {
    if entries.is_empty() {
        return Ok(Vec::new());
    }
    let rules = Rules::of(tx, entries)?;
    Ok(entries.iter().map(|entry| rules.price(entry)).collect())
}

/// The rules and rates that price some entries.
struct Rules {
    zone: Tz,
    currency: Currency,
    /// The organization's rule of rounding.
    round_up_minutes: Option<i32>,
    /// The customers' own.
    of_customers: HashMap<CustomerId, Option<i32>>,
    rates: RateHistories,
}

impl Rules {
    fn of(tx: &mut Tx<'_>, entries: &[Priced]) -> Result<Self> {
        let named: Vec<CustomerId> = entries.iter().filter_map(|entry| entry.customer_id).collect();
        type Row = (String, Currency, Option<i32>, Option<CustomerId>, Option<i32>);
        let rows: Vec<Row> = organizations::table
            .left_join(
                customers::table.on(customers::organization_id.eq(organizations::id).and(customers::id.eq_any(&named))),
            )
            .filter(organizations::id.eq(tx.organization_id()))
            .select((
                organizations::time_zone,
                organizations::currency,
                organizations::round_up_minutes,
                customers::id.nullable(),
                customers::round_up_minutes.nullable(),
            ))
            .load(tx.conn)?;
        let (zone, currency, round_up_minutes) = match rows.first() {
            Some((zone, currency, round_up_minutes, ..)) => (time_zone(zone), *currency, *round_up_minutes),
            None => return Err(StoreError::NotFound("organization")),
        };
        let of_customers: HashMap<CustomerId, Option<i32>> = rows
            .into_iter()
            .filter_map(|(.., customer_id, round_up_minutes)| Some((customer_id?, round_up_minutes)))
            .collect();
        if named.iter().any(|customer_id| !of_customers.contains_key(customer_id)) {
            // Only a contact's customer is named by a caller; work has that of its task.
            return Err(StoreError::no_reference("interactions", "customer_id"));
        }
        let operators: Vec<OperatorId> = entries.iter().map(|entry| entry.operator_id).collect();
        let last_on = entries.iter().map(|entry| day_of(entry.started_at, zone)).max().unwrap_or(NaiveDate::MAX);
        let rates = hourly_rates::histories(tx, &named, &operators, last_on)?;
        Ok(Self { zone, currency, round_up_minutes, of_customers, rates })
    }

    fn price(&self, entry: &Priced) -> Price {
        let of_customer = entry.customer_id.map_or(&[][..], |id| self.rates.of(RateHolder::Customer(id)));
        let rate = resolve_rate(
            entry.hourly_rate,
            of_customer,
            self.rates.of(RateHolder::Operator(entry.operator_id)),
            self.rates.of(RateHolder::Organization),
            day_of(entry.started_at, self.zone),
        );
        let own_rule = entry.customer_id.and_then(|id| self.of_customers.get(&id).copied().flatten());
        let round_up_to = own_rule.or(self.round_up_minutes).and_then(|minutes| u32::try_from(minutes).ok());
        // The tables' checks hold the minutes within a week.
        let worked = Minutes::try_from(entry.duration_minutes).unwrap_or_default();
        let billed = billed_minutes(worked, round_up_to.and_then(NonZeroU32::new));
        Price {
            billed_minutes: billed.into(),
            resolved_rate: rate.map(|resolved| resolved.rate),
            rate_source: rate.map(|resolved| resolved.source),
            cost: rate.map(|resolved| cost(billed, resolved.rate)),
            currency: self.currency,
        }
    }
}
