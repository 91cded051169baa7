//! What a thread comes to: the time and cost of a matter, and who still owes what.

use crate::db::Tx;
use crate::error::Result;
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Numeric, Text, Timestamptz, Uuid};
use opiekun_domain::currency::Currency;
use opiekun_domain::decimal::AmountSum;
use opiekun_domain::ids::{OperatorId, ThreadId};
use opiekun_domain::task::Subtasks;

/// The sums over everything in a thread.
#[derive(Debug, Clone, QueryableByName)]
pub struct ThreadSums {
    /// Those that were held.
    #[diesel(sql_type = BigInt)]
    pub interactions: i64,
    #[diesel(sql_type = BigInt)]
    pub planned_interactions: i64,
    #[diesel(sql_type = BigInt)]
    pub work_entries: i64,
    #[diesel(sql_type = BigInt)]
    pub minutes: i64,
    #[diesel(sql_type = BigInt)]
    pub billable_minutes: i64,
    #[diesel(sql_type = BigInt)]
    pub billed_minutes: i64,
    /// Minutes of entries without a cost in the organization's currency: they are missing from the cost.
    #[diesel(sql_type = BigInt)]
    pub unpriced_minutes: i64,
    #[diesel(sql_type = Numeric)]
    pub cost: AmountSum,
    #[diesel(sql_type = BigInt)]
    pub tasks: i64,
    #[diesel(sql_type = BigInt)]
    pub open_tasks: i64,
    #[diesel(sql_type = BigInt)]
    pub overdue_tasks: i64,
    #[diesel(sql_type = BigInt)]
    pub done_tasks: i64,
    #[diesel(sql_type = BigInt)]
    pub cancelled_tasks: i64,
    /// When the next open task is due.
    #[diesel(sql_type = Nullable<Timestamptz>)]
    pub next_due_at: Option<DateTime<Utc>>,
    /// When the first and the last of what was held or worked began.
    #[diesel(sql_type = Nullable<Timestamptz>)]
    pub first_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    pub last_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = BigInt)]
    main_total: i64,
    #[diesel(sql_type = BigInt)]
    main_open: i64,
    #[diesel(sql_type = BigInt)]
    main_begun: i64,
    #[diesel(sql_type = BigInt)]
    main_planned: i64,
    #[diesel(sql_type = BigInt)]
    main_planned_minutes: i64,
    #[diesel(sql_type = BigInt)]
    main_planned_minutes_by_percent: i64,
    #[diesel(sql_type = BigInt)]
    main_unplanned: i64,
    #[diesel(sql_type = BigInt)]
    main_unplanned_percents: i64,
}

impl ThreadSums {
    /// How far the matter has come: its tasks that hang below no other of it, weighed as subtasks are.
    pub fn percent_done(&self) -> i16 {
        let main_tasks = Subtasks {
            total: self.main_total,
            open: self.main_open,
            begun: self.main_begun,
            planned: self.main_planned,
            planned_minutes: self.main_planned_minutes,
            planned_minutes_by_percent: self.main_planned_minutes_by_percent,
            unplanned: self.main_unplanned,
            unplanned_percents: self.main_unplanned_percents,
        };
        main_tasks.percent_done()
    }
}

/// What one operator has spent on a matter, and still has to do.
#[derive(Debug, Clone, QueryableByName)]
pub struct ThreadOperator {
    /// Nobody: tasks without a caretaker.
    #[diesel(sql_type = Nullable<Uuid>)]
    pub operator_id: Option<OperatorId>,
    #[diesel(sql_type = Nullable<Text>)]
    pub operator_name: Option<String>,
    #[diesel(sql_type = BigInt)]
    pub open_tasks: i64,
    #[diesel(sql_type = BigInt)]
    pub overdue_tasks: i64,
    #[diesel(sql_type = BigInt)]
    pub minutes: i64,
    #[diesel(sql_type = Numeric)]
    pub cost: AmountSum,
}

/// The sums of a thread, with costs in the organization's currency.
pub fn sums(tx: &mut Tx<'_>, id: ThreadId, currency: Currency) -> Result<ThreadSums> {
    Ok(diesel::sql_query(include_str!("thread_summary.sql"))
        .bind::<Uuid, _>(tx.organization_id())
        .bind::<Uuid, _>(id)
        .bind::<Timestamptz, _>(tx.now)
        .bind::<Text, _>(currency)
        .get_result(tx.conn)?)
}

/// Who has worked on a thread or still has to, those who are late first.
pub fn operators(tx: &mut Tx<'_>, id: ThreadId, currency: Currency) -> Result<Vec<ThreadOperator>> {
    Ok(diesel::sql_query(include_str!("thread_operators.sql"))
        .bind::<Uuid, _>(tx.organization_id())
        .bind::<Uuid, _>(id)
        .bind::<Timestamptz, _>(tx.now)
        .bind::<Text, _>(currency)
        .load(tx.conn)?)
}
