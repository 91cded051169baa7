//! The time-cost report: the minutes of a period, what they cost, and what was invoiced beside them.

use crate::db::Tx;
use crate::error::{Result, StoreError};
use chrono::{DateTime, Datelike, Days, Months, NaiveDate, Utc};
use chrono_tz::Tz;
use diesel::pg::PgRowByRowLoadingMode;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Date, Integer, Nullable, Numeric, Text, Timestamptz, Uuid};
use opiekun_domain::calendar_day::day_bounds;
use opiekun_domain::currency::Currency;
use opiekun_domain::decimal::{AmountSum, HourlyRate, Overflow};
use opiekun_domain::ids::{CustomerId, OperatorId, OpportunityId, StageId, TaskId, ThreadId};
use opiekun_domain::interaction::Channel;
use opiekun_domain::time_cost::TimeCostKey;
use std::num::NonZeroU32;
use std::ops::ControlFlow;

/// What is asked. Of interactions only those that have been held count.
#[derive(Debug, Clone)]
pub struct TimeCostQuery {
    /// The first and the last day, in `zone`.
    pub from_on: NaiveDate,
    pub through_on: NaiveDate,
    /// The organization's time zone and currency.
    pub zone: Tz,
    pub currency: Currency,
    /// What the rows are grouped by, and sorted by in this order; without any there is one row at most.
    pub keys: Vec<TimeCostKey>,
    /// Any of these; all must hold.
    pub customers: Option<Vec<CustomerId>>,
    pub operators: Option<Vec<OperatorId>>,
    pub threads: Option<Vec<ThreadId>>,
    /// Work entries of these tasks, and interactions right below them.
    pub tasks: Option<Vec<TaskId>>,
    pub opportunities: Option<Vec<OpportunityId>>,
    pub stages: Option<Vec<StageId>>,
    pub channels: Option<Vec<Channel>>,
    pub billable: Option<bool>,
    /// Every entry at this rate, instead of those that the entries keep.
    pub assumed_rate: Option<HourlyRate>,
    /// Every entry's minutes rounded up like this, instead of the billed minutes that the entries keep.
    pub assumed_round_up: Option<NonZeroU32>,
}

/// One row: of the keys only those asked for are there, and of those only what its entries have.
#[derive(Debug, Clone, PartialEq, Eq, QueryableByName)]
pub struct TimeCostRow {
    #[diesel(sql_type = Nullable<Uuid>)]
    pub customer_id: Option<CustomerId>,
    #[diesel(sql_type = Nullable<Text>)]
    pub customer_name: Option<String>,
    #[diesel(sql_type = Nullable<Uuid>)]
    pub operator_id: Option<OperatorId>,
    #[diesel(sql_type = Nullable<Text>)]
    pub operator_name: Option<String>,
    #[diesel(sql_type = Nullable<Uuid>)]
    pub thread_id: Option<ThreadId>,
    #[diesel(sql_type = Nullable<Text>)]
    pub thread_subject: Option<String>,
    #[diesel(sql_type = Nullable<Uuid>)]
    pub task_id: Option<TaskId>,
    #[diesel(sql_type = Nullable<Text>)]
    pub task_title: Option<String>,
    #[diesel(sql_type = Nullable<Uuid>)]
    pub opportunity_id: Option<OpportunityId>,
    #[diesel(sql_type = Nullable<Text>)]
    pub opportunity_title: Option<String>,
    #[diesel(sql_type = Nullable<Uuid>)]
    pub stage_id: Option<StageId>,
    #[diesel(sql_type = Nullable<Text>)]
    pub stage_name: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    pub channel: Option<Channel>,
    /// The Monday of the week of ISO 8601.
    #[diesel(sql_type = Nullable<Date>)]
    pub week_start_on: Option<NaiveDate>,
    #[diesel(sql_type = Nullable<Date>)]
    pub month_start_on: Option<NaiveDate>,
    #[diesel(embed)]
    pub sums: TimeCostSums,
}

/// The sums of a row, and of all rows.
#[derive(Debug, Clone, PartialEq, Eq, Default, QueryableByName)]
pub struct TimeCostSums {
    #[diesel(sql_type = BigInt)]
    pub interactions: i64,
    #[diesel(sql_type = BigInt)]
    pub work_entries: i64,
    #[diesel(sql_type = BigInt)]
    pub minutes: i64,
    #[diesel(sql_type = BigInt)]
    pub billable_minutes: i64,
    #[diesel(sql_type = BigInt)]
    pub billed_minutes: i64,
    /// Minutes of entries without a cost in the organization's currency, mostly for want of a rate in force: they are
    /// missing from the cost.
    #[diesel(sql_type = BigInt)]
    pub unpriced_minutes: i64,
    /// The sum of the entries' costs, each rounded.
    #[diesel(sql_type = Numeric)]
    pub cost: AmountSum,
    /// Net of what was issued in the period; `None` where invoices do not know the keys or filters.
    #[diesel(sql_type = Nullable<Numeric>)]
    pub invoiced: Option<AmountSum>,
    /// Issued invoices in other currencies than the organization's, which `invoiced` leaves out.
    #[diesel(sql_type = BigInt)]
    pub uncounted_invoices: i64,
}

impl TimeCostSums {
    /// What was invoiced less what the time cost.
    pub fn margin(&self) -> Result<Option<AmountSum>, Overflow> {
        self.invoiced.map(|invoiced| invoiced.checked_sub(self.cost)).transpose()
    }

    fn add(&mut self, row: &Self) -> Result<(), Overflow> {
        self.interactions += row.interactions;
        self.work_entries += row.work_entries;
        self.minutes += row.minutes;
        self.billable_minutes += row.billable_minutes;
        self.billed_minutes += row.billed_minutes;
        self.unpriced_minutes += row.unpriced_minutes;
        self.cost = self.cost.checked_add(row.cost)?;
        self.invoiced = match (self.invoiced, row.invoiced) {
            (Some(sum), Some(invoiced)) => Some(sum.checked_add(invoiced)?),
            _ => None,
        };
        self.uncounted_invoices += row.uncounted_invoices;
        Ok(())
    }
}

impl TimeCostQuery {
    /// Whether what was invoiced can stand beside the time: an invoice knows its customer and its day, and neither who
    /// worked nor on what, how, and whether that was to be billed.
    pub fn tells_invoiced(&self) -> bool {
        let knows = |key: &TimeCostKey| match key {
            TimeCostKey::Customer | TimeCostKey::Week | TimeCostKey::Month => true,
            TimeCostKey::Operator
            | TimeCostKey::Thread
            | TimeCostKey::Task
            | TimeCostKey::Opportunity
            | TimeCostKey::Stage
            | TimeCostKey::Channel => false,
        };
        let is_narrowed = self.operators.is_some()
            || self.threads.is_some()
            || self.tasks.is_some()
            || self.opportunities.is_some()
            || self.stages.is_some()
            || self.channels.is_some()
            || self.billable.is_some();
        self.keys.iter().all(knows) && !is_narrowed
    }
}

/// Runs the report and hands over row by row as they come from the database, so that memory does not grow with
/// them. Answers the sums of all rows, or `None` when `each` has had enough.
pub fn report(
    tx: &mut Tx<'_>,
    query: &TimeCostQuery,
    mut each: impl FnMut(TimeCostRow) -> ControlFlow<()>,
) -> Result<Option<TimeCostSums>> {
    let (from, _) = day_bounds(query.from_on, query.zone);
    let (_, before) = day_bounds(query.through_on, query.zone);
    let weeks = Starts::of(query, monday_of(query.from_on), |day| day.checked_add_days(Days::new(7)));
    let months = Starts::of(query, first_of_month(query.from_on), |day| day.checked_add_months(Months::new(1)));
    let channels = query.channels.as_ref().map(|channels| channels.iter().map(|it| it.as_str()).collect::<Vec<_>>());
    let round_up = query.assumed_round_up.and_then(|minutes| i32::try_from(minutes.get()).ok());
    let is_key = |key| query.keys.contains(&key);

    // In the order of the numbers in the statement.
    let rows = diesel::sql_query(statement(&query.keys))
        .bind::<Uuid, _>(tx.organization_id())
        .bind::<Timestamptz, _>(from)
        .bind::<Timestamptz, _>(before)
        .bind::<Date, _>(query.from_on)
        .bind::<Date, _>(query.through_on)
        .bind::<Bool, _>(is_key(TimeCostKey::Customer))
        .bind::<Bool, _>(is_key(TimeCostKey::Operator))
        .bind::<Bool, _>(is_key(TimeCostKey::Thread))
        .bind::<Bool, _>(is_key(TimeCostKey::Task))
        .bind::<Bool, _>(is_key(TimeCostKey::Opportunity))
        .bind::<Bool, _>(is_key(TimeCostKey::Stage))
        .bind::<Bool, _>(is_key(TimeCostKey::Channel))
        .bind::<Bool, _>(is_key(TimeCostKey::Week))
        .bind::<Bool, _>(is_key(TimeCostKey::Month))
        .bind::<Array<Timestamptz>, _>(weeks.instants)
        .bind::<Array<Date>, _>(weeks.days)
        .bind::<Array<Timestamptz>, _>(months.instants)
        .bind::<Array<Date>, _>(months.days)
        .bind::<Nullable<Array<Uuid>>, _>(query.customers.as_ref())
        .bind::<Nullable<Array<Uuid>>, _>(query.operators.as_ref())
        .bind::<Nullable<Array<Uuid>>, _>(query.threads.as_ref())
        .bind::<Nullable<Array<Uuid>>, _>(query.tasks.as_ref())
        .bind::<Nullable<Array<Uuid>>, _>(query.opportunities.as_ref())
        .bind::<Nullable<Array<Uuid>>, _>(query.stages.as_ref())
        .bind::<Nullable<Array<Text>>, _>(channels)
        .bind::<Nullable<Bool>, _>(query.billable)
        .bind::<Nullable<Numeric>, _>(query.assumed_rate)
        .bind::<Nullable<Integer>, _>(round_up)
        .bind::<Bool, _>(query.tells_invoiced())
        .bind::<Text, _>(query.currency)
        .load_iter::<TimeCostRow, PgRowByRowLoadingMode>(tx.conn)?;

    let mut totals =
        TimeCostSums { invoiced: query.tells_invoiced().then_some(AmountSum::ZERO), ..TimeCostSums::default() };
    for row in rows {
        let row = row?;
        totals.add(&row.sums).map_err(too_large)?;
        if each(row).is_break() {
            return Ok(None);
        }
    }
    Ok(Some(totals))
}

/// The statement, with its rows in the order of the keys asked for.
fn statement(keys: &[TimeCostKey]) -> String {
    let columns: Vec<&str> = keys.iter().map(|key| order(*key)).collect();
    let order = if columns.is_empty() { "1".to_owned() } else { columns.join(", ") };
    format!("{}{order}", include_str!("time_cost.sql"))
}

/// What rows are sorted by that have this key: names as people sort them, and the id where names meet; stages as they
/// follow each other in their pipeline. Rows without a value come last.
const fn order(key: TimeCostKey) -> &'static str {
    match key {
        TimeCostKey::Customer => "customers.sort_name, sums.customer_id",
        TimeCostKey::Operator => "fold_text(operators.full_name) collate \"C\", sums.operator_id",
        TimeCostKey::Thread => "fold_text(threads.subject) collate \"C\", sums.thread_id",
        TimeCostKey::Task => "fold_text(tasks.title) collate \"C\", sums.task_id",
        TimeCostKey::Opportunity => "fold_text(opportunities.title) collate \"C\", sums.opportunity_id",
        TimeCostKey::Stage => "stages.pipeline_id, stages.position, sums.stage_id",
        TimeCostKey::Channel => "sums.channel",
        TimeCostKey::Week => "sums.week_start_on",
        TimeCostKey::Month => "sums.month_start_on",
    }
}

fn too_large(overflow: Overflow) -> StoreError {
    StoreError::Database(diesel::result::Error::DeserializationError(Box::new(overflow)))
}

/// The days on which the weeks or months of a period start, and the instants of their midnights. They are counted
/// here, so that the period's ends and what lies between follow one table of time zones.
struct Starts {
    days: Vec<NaiveDate>,
    instants: Vec<DateTime<Utc>>,
}

impl Starts {
    fn of(query: &TimeCostQuery, first: NaiveDate, next: impl Fn(NaiveDate) -> Option<NaiveDate>) -> Self {
        let days: Vec<NaiveDate> =
            std::iter::successors(Some(first), |day| next(*day)).take_while(|day| *day <= query.through_on).collect();
        let instants = days.iter().map(|day| day_bounds(*day, query.zone).0).collect();
        Self { days, instants }
    }
}

fn monday_of(day: NaiveDate) -> NaiveDate {
    day - Days::new(u64::from(day.weekday().num_days_from_monday()))
}

fn first_of_month(day: NaiveDate) -> NaiveDate {
    day - Days::new(u64::from(day.day0()))
}
