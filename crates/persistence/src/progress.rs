//! The progress report: what each operator was given, did and still owes in a period, and the time it took.

use crate::db::Tx;
use crate::error::Result;
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Nullable, Numeric, Text, Timestamptz, Uuid};
use opiekun_domain::currency::Currency;
use opiekun_domain::decimal::{AmountSum, Overflow};
use opiekun_domain::ids::OperatorId;
use opiekun_domain::task::Subtasks;

/// What is asked.
#[derive(Debug, Clone)]
pub struct ProgressQuery {
    /// The period, half-open.
    pub from: DateTime<Utc>,
    pub before: DateTime<Utc>,
    /// Only these.
    pub operators: Option<Vec<OperatorId>>,
    /// The organization's.
    pub currency: Currency,
}

/// One operator.
#[derive(Debug, Clone, QueryableByName)]
pub struct ProgressRow {
    #[diesel(sql_type = Uuid)]
    pub operator_id: OperatorId,
    #[diesel(sql_type = Text)]
    pub operator_name: String,
    #[diesel(sql_type = Nullable<Uuid>)]
    pub supervisor_id: Option<OperatorId>,
    #[diesel(embed)]
    pub sums: ProgressSums,
}

/// The sums of an operator, and of all.
#[derive(Debug, Clone, Copy, Default, QueryableByName)]
pub struct ProgressSums {
    /// Tasks that it was given in the period.
    #[diesel(sql_type = BigInt)]
    pub given: i64,
    #[diesel(sql_type = BigInt)]
    pub done: i64,
    #[diesel(sql_type = BigInt)]
    pub done_on_time: i64,
    /// Still to do at the end of the period, the overdue ones among them.
    #[diesel(sql_type = BigInt)]
    pub open: i64,
    #[diesel(sql_type = BigInt)]
    pub overdue: i64,
    #[diesel(sql_type = BigInt)]
    pub interactions: i64,
    #[diesel(sql_type = BigInt)]
    pub work_entries: i64,
    #[diesel(sql_type = BigInt)]
    pub minutes: i64,
    #[diesel(sql_type = BigInt)]
    pub billable_minutes: i64,
    /// What was attached in the period to tasks and interactions of which it is caretaker.
    #[diesel(sql_type = BigInt)]
    pub files: i64,
    /// The sum of the entries' costs, in the organization's currency.
    #[diesel(sql_type = Numeric)]
    pub cost: AmountSum,
    #[diesel(sql_type = BigInt)]
    planned: i64,
    #[diesel(sql_type = BigInt)]
    planned_minutes: i64,
    #[diesel(sql_type = BigInt)]
    planned_minutes_by_percent: i64,
    #[diesel(sql_type = BigInt)]
    unplanned: i64,
    #[diesel(sql_type = BigInt)]
    unplanned_percents: i64,
}

impl ProgressSums {
    /// How far what it had to do has come: what is open and what was done in the period, weighed as subtasks are.
    pub fn percent_done(&self) -> i16 {
        let tasks = Subtasks {
            planned: self.planned,
            planned_minutes: self.planned_minutes,
            planned_minutes_by_percent: self.planned_minutes_by_percent,
            unplanned: self.unplanned,
            unplanned_percents: self.unplanned_percents,
            ..Subtasks::default()
        };
        tasks.percent_done()
    }

    /// With another operator's.
    pub fn plus(&self, other: &Self) -> Result<Self, Overflow> {
        Ok(Self {
            given: self.given + other.given,
            done: self.done + other.done,
            done_on_time: self.done_on_time + other.done_on_time,
            open: self.open + other.open,
            overdue: self.overdue + other.overdue,
            interactions: self.interactions + other.interactions,
            work_entries: self.work_entries + other.work_entries,
            files: self.files + other.files,
            minutes: self.minutes + other.minutes,
            billable_minutes: self.billable_minutes + other.billable_minutes,
            cost: self.cost.checked_add(other.cost)?,
            planned: self.planned + other.planned,
            planned_minutes: self.planned_minutes + other.planned_minutes,
            planned_minutes_by_percent: self.planned_minutes_by_percent + other.planned_minutes_by_percent,
            unplanned: self.unplanned + other.unplanned,
            unplanned_percents: self.unplanned_percents + other.unplanned_percents,
        })
    }
}

/// The operators in the order of their names: who is active, and whoever else has something to show.
pub fn report(tx: &mut Tx<'_>, query: &ProgressQuery) -> Result<Vec<ProgressRow>> {
    Ok(diesel::sql_query(include_str!("progress.sql"))
        .bind::<Uuid, _>(tx.organization_id())
        .bind::<Timestamptz, _>(query.from)
        .bind::<Timestamptz, _>(query.before)
        .bind::<Timestamptz, _>(query.before.min(tx.now))
        .bind::<Nullable<Array<Uuid>>, _>(query.operators.as_ref())
        .bind::<Text, _>(query.currency)
        .load(tx.conn)?)
}
