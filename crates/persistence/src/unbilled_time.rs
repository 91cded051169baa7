//! The report of unbilled time: what was spent for customers, is to be billed, and is on no invoice.

use crate::db::Tx;
use crate::error::Result;
use chrono::{DateTime, Utc};
use diesel::pg::PgRowByRowLoadingMode;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Nullable, Numeric, Text, Timestamptz, Uuid};
use opiekun_domain::currency::Currency;
use opiekun_domain::decimal::{AmountSum, Overflow};
use opiekun_domain::ids::CustomerId;
use std::ops::ControlFlow;

#[derive(Debug, Clone)]
pub struct UnbilledTimeQuery {
    /// Only time that began before.
    pub before_at: DateTime<Utc>,
    /// Any of these.
    pub customers: Option<Vec<CustomerId>>,
}

/// The unbilled time of a customer that is priced in a currency.
#[derive(Debug, Clone, QueryableByName)]
pub struct UnbilledTime {
    #[diesel(sql_type = Uuid)]
    pub customer_id: CustomerId,
    #[diesel(sql_type = Text)]
    pub customer_name: String,
    #[diesel(sql_type = Text)]
    pub currency: Currency,
    #[diesel(embed)]
    pub sums: UnbilledTimeSums,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, QueryableByName)]
pub struct UnbilledTimeSums {
    #[diesel(sql_type = BigInt)]
    pub entries: i64,
    #[diesel(sql_type = BigInt)]
    pub minutes: i64,
    #[diesel(sql_type = BigInt)]
    pub billed_minutes: i64,
    /// Minutes of entries without a rate: they are missing from the cost.
    #[diesel(sql_type = BigInt)]
    pub unpriced_minutes: i64,
    /// The sum of the entries' costs, each rounded.
    #[diesel(sql_type = Numeric)]
    pub cost: AmountSum,
    /// When the oldest of them began.
    #[diesel(sql_type = Timestamptz)]
    pub oldest_at: DateTime<Utc>,
}

impl UnbilledTimeSums {
    pub fn add(&mut self, other: &Self) -> Result<(), Overflow> {
        self.entries += other.entries;
        self.minutes += other.minutes;
        self.billed_minutes += other.billed_minutes;
        self.unpriced_minutes += other.unpriced_minutes;
        self.cost = self.cost.checked_add(other.cost)?;
        self.oldest_at = self.oldest_at.min(other.oldest_at);
        Ok(())
    }
}

/// Hands over row by row, by the customers' names, as they come from the database, so that memory does not grow with
/// them.
pub fn report(
    tx: &mut Tx<'_>,
    query: &UnbilledTimeQuery,
    mut each: impl FnMut(UnbilledTime) -> ControlFlow<()>,
) -> Result<()> {
    let rows = diesel::sql_query(include_str!("unbilled_time.sql"))
        .bind::<Uuid, _>(tx.organization_id())
        .bind::<Timestamptz, _>(query.before_at)
        .bind::<Nullable<Array<Uuid>>, _>(query.customers.as_ref())
        .load_iter::<UnbilledTime, PgRowByRowLoadingMode>(tx.conn)?;
    for row in rows {
        if each(row?).is_break() {
            break;
        }
    }
    Ok(())
}
