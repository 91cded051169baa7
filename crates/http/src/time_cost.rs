//! The time-cost report: minutes, what they cost, and what was invoiced beside them.

use crate::actor::Actor;
use crate::listing::{AnyOf, Filters};
use crate::problem::{ApiError, Wrong};
use crate::state::State;
use crate::tables::{self, Format, Report, Spreadsheet, Totals};
use actix_web::{HttpResponse, get, web};
use chrono::{Datelike, NaiveDate};
use opiekun_documents::table::{Cell, Column};
use opiekun_domain::calendar_day::day_of;
use opiekun_domain::currency::Currency;
use opiekun_domain::decimal::{AmountSum, HourlyRate, Overflow};
use opiekun_domain::ids::{CustomerId, OperatorId, OpportunityId, StageId, TaskId, ThreadId};
use opiekun_domain::interaction::Channel;
use opiekun_domain::permission::Permission;
use opiekun_domain::time_cost::TimeCostKey;
use opiekun_persistence::time_cost::{self, TimeCostQuery, TimeCostRow, TimeCostSums};
use opiekun_persistence::{Tx, organizations};
use serde::{Deserialize, Serialize};
use std::num::NonZeroU32;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

pub fn routes(config: &mut ServiceConfig) {
    config.service(report_time_cost);
}

/// Ten years.
const PERIOD_DAYS_MAX: i64 = 3_660;

/// What the report is asked for.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TimeCostParameters {
    /// The first day of the period, in the organization's time zone; the first of the year of `to` unless told.
    #[param(example = "2026-01-01")]
    from: Option<NaiveDate>,
    /// The last day of the period, which still counts; today unless told. At most ten years from the first.
    #[param(example = "2026-12-31")]
    to: Option<NaiveDate>,
    /// What the rows stand for, several with commas between; rows are sorted in this order. `customer` unless told.
    #[param(value_type = Option<Vec<TimeCostKey>>, min_items = 1, max_items = 9)]
    group_by: Option<AnyOf<TimeCostKey>>,
    /// Any of these customers.
    #[param(value_type = Option<Vec<CustomerId>>, min_items = 1, max_items = 100)]
    customer_id: Option<AnyOf<CustomerId>>,
    /// Any of these operators.
    #[param(value_type = Option<Vec<OperatorId>>, min_items = 1, max_items = 100)]
    operator_id: Option<AnyOf<OperatorId>>,
    /// Any of these threads.
    #[param(value_type = Option<Vec<ThreadId>>, min_items = 1, max_items = 100)]
    thread_id: Option<AnyOf<ThreadId>>,
    /// Any of these tasks: their work entries, and the interactions right below them.
    #[param(value_type = Option<Vec<TaskId>>, min_items = 1, max_items = 100)]
    task_id: Option<AnyOf<TaskId>>,
    /// Any of these opportunities.
    #[param(value_type = Option<Vec<OpportunityId>>, min_items = 1, max_items = 100)]
    opportunity_id: Option<AnyOf<OpportunityId>>,
    /// Any of these stages: where the opportunity stood when the time was spent.
    #[param(value_type = Option<Vec<StageId>>, min_items = 1, max_items = 100)]
    stage_id: Option<AnyOf<StageId>>,
    /// Any of these channels; work entries have none.
    #[param(value_type = Option<Vec<Channel>>, min_items = 1, max_items = 10)]
    channel: Option<AnyOf<Channel>>,
    /// Only time that is to be billed, or only time that is not.
    billable: Option<bool>,
    /// "And at this rate?": prices every entry at it instead of its own, and changes nothing.
    hourly_rate: Option<HourlyRate>,
    /// "And in such units?": bills started units of so many minutes instead of each entry's billed minutes.
    #[param(minimum = 1, maximum = 480)]
    round_up_minutes: Option<u32>,
}

/// What the report tells.
#[derive(Debug, Serialize, ToSchema)]
pub struct TimeCostReport {
    #[serde(flatten)]
    head: TimeCostHead,
    #[schema(max_items = 1000000)]
    rows: Vec<TimeCostRowBody>,
    /// The sums of the rows.
    totals: TimeCostSumsBody,
}

/// What was asked, with what was left out filled in.
#[derive(Debug, Serialize, ToSchema)]
pub struct TimeCostHead {
    /// The first day of the period, in the organization's time zone.
    #[schema(example = "2026-01-01")]
    from_on: NaiveDate,
    /// The last day of the period, which still counts.
    #[schema(example = "2026-12-31")]
    to_on: NaiveDate,
    #[schema(max_items = 9)]
    group_by: Vec<TimeCostKey>,
    /// The currency of all amounts: the organization's.
    currency: Currency,
    /// The rate that was assumed.
    hourly_rate: Option<HourlyRate>,
    /// The rounding that was assumed.
    #[schema(minimum = 1, maximum = 480)]
    round_up_minutes: Option<u32>,
}

/// One customer, operator, thread, task, opportunity, stage, channel, week or month, or a combination of them.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TimeCostRow)]
pub struct TimeCostRowBody {
    keys: TimeCostKeys,
    #[serde(flatten)]
    sums: TimeCostSumsBody,
}

/// What a row stands for; null what rows are not grouped by, and what its entries do not have.
#[derive(Debug, Serialize, ToSchema)]
pub struct TimeCostKeys {
    customer_id: Option<CustomerId>,
    #[schema(max_length = 240, example = "Piekarnia Złoty Kłos sp. z o.o.")]
    customer_name: Option<String>,
    operator_id: Option<OperatorId>,
    #[schema(max_length = 160, example = "Jan Kowalski")]
    operator_name: Option<String>,
    thread_id: Option<ThreadId>,
    #[schema(max_length = 240, example = "VAT correction of October")]
    thread_subject: Option<String>,
    /// The task of work entries, and the one that interactions hang below.
    task_id: Option<TaskId>,
    #[schema(max_length = 240, example = "Correct the VAT return")]
    task_title: Option<String>,
    opportunity_id: Option<OpportunityId>,
    #[schema(max_length = 240, example = "Payroll for 40 people")]
    opportunity_title: Option<String>,
    /// Where the opportunity stood when the time was spent.
    stage_id: Option<StageId>,
    #[schema(max_length = 120, example = "Offer sent")]
    stage_name: Option<String>,
    /// Work entries have none.
    channel: Option<Channel>,
    /// The Monday of the week (ISO 8601).
    #[schema(example = "2026-11-23")]
    week_start_on: Option<NaiveDate>,
    /// The first day of the month.
    #[schema(example = "2026-11-01")]
    month_start_on: Option<NaiveDate>,
}

/// The sums over what has been held and worked.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TimeCostSums)]
pub struct TimeCostSumsBody {
    #[schema(minimum = 0, example = 12)]
    interactions: i64,
    #[schema(minimum = 0, example = 3)]
    work_entries: i64,
    #[schema(minimum = 0, example = 305)]
    minutes: i64,
    #[schema(minimum = 0, example = 260)]
    billable_minutes: i64,
    /// The minutes as they are billed, each entry's rounded up by itself.
    #[schema(minimum = 0, example = 330)]
    billed_minutes: i64,
    /// Minutes of entries without a cost in the organization's currency, mostly because no rate was in force on their
    /// day: they are missing from `cost`.
    #[schema(minimum = 0, example = 0)]
    unpriced_minutes: i64,
    /// The sum of the entries' costs, each of them rounded. Time that is not to be billed costs as much.
    #[schema(example = "825.00")]
    cost: AmountSum,
    /// Net of what was issued in the period, invoices and corrections. Null where the report is grouped or filtered by
    /// what invoices do not know: all but customer, week and month.
    #[schema(example = "1200.00")]
    invoiced: Option<AmountSum>,
    /// `invoiced` less `cost`.
    #[schema(example = "375.00")]
    margin: Option<AmountSum>,
    /// Invoices in other currencies, which `invoiced` leaves out.
    #[schema(minimum = 0, example = 0)]
    uncounted_invoices: i64,
}

impl TimeCostSumsBody {
    fn new(sums: TimeCostSums) -> Result<Self, Overflow> {
        let margin = sums.margin()?;
        let TimeCostSums {
            interactions,
            work_entries,
            minutes,
            billable_minutes,
            billed_minutes,
            unpriced_minutes,
            cost,
            invoiced,
            uncounted_invoices,
        } = sums;
        Ok(Self {
            interactions,
            work_entries,
            minutes,
            billable_minutes,
            billed_minutes,
            unpriced_minutes,
            cost,
            invoiced,
            margin,
            uncounted_invoices,
        })
    }
}

impl TimeCostRowBody {
    fn new(row: TimeCostRow) -> Result<Self, Overflow> {
        let TimeCostRow {
            customer_id,
            customer_name,
            operator_id,
            operator_name,
            thread_id,
            thread_subject,
            task_id,
            task_title,
            opportunity_id,
            opportunity_title,
            stage_id,
            stage_name,
            channel,
            week_start_on,
            month_start_on,
            sums,
        } = row;
        Ok(Self {
            keys: TimeCostKeys {
                customer_id,
                customer_name,
                operator_id,
                operator_name,
                thread_id,
                thread_subject,
                task_id,
                task_title,
                opportunity_id,
                opportunity_title,
                stage_id,
                stage_name,
                channel,
                week_start_on,
                month_start_on,
            },
            sums: TimeCostSumsBody::new(sums)?,
        })
    }
}

/// Report time, cost and margin.
///
/// Sums over the interactions that were held and the work entries that began in a period, by customer, operator, thread,
/// task, opportunity, stage, channel, week or month, or several of them at once; for customers, weeks and months also
/// what was invoiced, and so the margin. What has no thread, say, is told in a row of its own, whose key is null. As
/// JSON, or as a table (CSV or XLSX, by `Accept` or `format`), which has a column or two for each key that is grouped by and
/// no totals. Sent as it is read, however long.
#[utoipa::path(tag = "Reports", security(("sign_in" = ["reports:read"])), params(TimeCostParameters, Format),
    responses((status = 200, content((TimeCostReport = "application/json"), (String = "text/csv"),
        (Spreadsheet = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet")))))]
#[get("/reports/time-cost")]
async fn report_time_cost(
    state: web::Data<State>,
    actor: Actor,
    format: Format,
    parameters: Filters<TimeCostParameters>,
) -> Result<HttpResponse, ApiError> {
    let scope = actor.scope(Permission::ReportsRead)?;
    tables::report(state, scope, format, move |tx| {
        let parameters = parameters.0;
        Ok(TimeCost { query: query(tx, &parameters)?, round_up_minutes: parameters.round_up_minutes })
    })
    .await
}

/// The report that was asked for.
struct TimeCost {
    query: TimeCostQuery,
    /// The rounding that was assumed.
    round_up_minutes: Option<u32>,
}

impl Report for TimeCost {
    type Row = TimeCostRowBody;
    type Tail = Totals<TimeCostSumsBody>;

    const NAME: &'static str = "time-cost";

    fn head(&self) -> impl Serialize {
        let query = &self.query;
        TimeCostHead {
            from_on: query.from_on,
            to_on: query.through_on,
            group_by: query.keys.clone(),
            currency: query.currency,
            hourly_rate: query.assumed_rate,
            round_up_minutes: self.round_up_minutes,
        }
    }

    fn each(
        &self,
        tx: &mut Tx<'_>,
        mut take: impl FnMut(TimeCostRowBody) -> Result<(), ApiError>,
    ) -> Result<Self::Tail, ApiError> {
        let take = |row| take(TimeCostRowBody::new(row).map_err(ApiError::internal)?);
        let totals = tables::each_row(take, |step| time_cost::report(tx, &self.query, step))?;
        let totals = totals.ok_or_else(|| ApiError::internal("a report that ended early"))?;
        Ok(Totals { totals: TimeCostSumsBody::new(totals).map_err(ApiError::internal)? })
    }

    fn columns(&self) -> Vec<Column> {
        let keys = self.query.keys.iter().flat_map(|key| key_columns(*key));
        keys.chain(SUM_COLUMNS).collect()
    }

    fn cells(&self, row: TimeCostRowBody) -> Vec<Cell> {
        let TimeCostRowBody { keys, sums } = row;
        let mut cells = Vec::with_capacity(30);
        for key in &self.query.keys {
            push_key(&mut cells, *key, &keys);
        }
        push_sums(&mut cells, &sums);
        cells.push(Cell::text(self.query.currency));
        cells
    }
}

const SUM_COLUMNS: [Column; 11] = [
    Column::count("interactions"),
    Column::count("work_entries"),
    Column::count("minutes"),
    Column::count("billable_minutes"),
    Column::count("billed_minutes"),
    Column::count("unpriced_minutes"),
    Column::decimal("cost"),
    Column::decimal("invoiced"),
    Column::decimal("margin"),
    Column::count("uncounted_invoices"),
    Column::word("currency"),
];

fn key_columns(key: TimeCostKey) -> Vec<Column> {
    match key {
        TimeCostKey::Customer => vec![Column::id("customer_id"), Column::text("customer_name")],
        TimeCostKey::Operator => vec![Column::id("operator_id"), Column::text("operator_name")],
        TimeCostKey::Thread => vec![Column::id("thread_id"), Column::text("thread_subject")],
        TimeCostKey::Task => vec![Column::id("task_id"), Column::text("task_title")],
        TimeCostKey::Opportunity => vec![Column::id("opportunity_id"), Column::text("opportunity_title")],
        TimeCostKey::Stage => vec![Column::id("stage_id"), Column::text("stage_name")],
        TimeCostKey::Channel => vec![Column::word("channel")],
        TimeCostKey::Week => vec![Column::day("week_start_on")],
        TimeCostKey::Month => vec![Column::day("month_start_on")],
    }
}

/// The cells of the columns of [`key_columns`].
fn push_key(cells: &mut Vec<Cell>, key: TimeCostKey, keys: &TimeCostKeys) {
    let mut named = |id: Option<Cell>, name: &Option<String>| cells.extend([id.into(), name.clone().into()]);
    match key {
        TimeCostKey::Customer => named(keys.customer_id.map(Cell::text), &keys.customer_name),
        TimeCostKey::Operator => named(keys.operator_id.map(Cell::text), &keys.operator_name),
        TimeCostKey::Thread => named(keys.thread_id.map(Cell::text), &keys.thread_subject),
        TimeCostKey::Task => named(keys.task_id.map(Cell::text), &keys.task_title),
        TimeCostKey::Opportunity => named(keys.opportunity_id.map(Cell::text), &keys.opportunity_title),
        TimeCostKey::Stage => named(keys.stage_id.map(Cell::text), &keys.stage_name),
        TimeCostKey::Channel => cells.push(keys.channel.map(Cell::text).into()),
        TimeCostKey::Week => cells.push(keys.week_start_on.into()),
        TimeCostKey::Month => cells.push(keys.month_start_on.into()),
    }
}

/// The cells of [`SUM_COLUMNS`], but for the currency.
fn push_sums(cells: &mut Vec<Cell>, sums: &TimeCostSumsBody) {
    cells.extend([
        sums.interactions.into(),
        sums.work_entries.into(),
        sums.minutes.into(),
        sums.billable_minutes.into(),
        sums.billed_minutes.into(),
        sums.unpriced_minutes.into(),
        sums.cost.into(),
        sums.invoiced.into(),
        sums.margin.into(),
        sums.uncounted_invoices.into(),
    ]);
}

/// The question in full, within the organization's time zone and currency.
fn query(tx: &mut Tx<'_>, parameters: &TimeCostParameters) -> Result<TimeCostQuery, ApiError> {
    let organization = organizations::find(tx)?;
    let zone = organization.time_zone();
    let (from_on, through_on) = period(parameters.from, parameters.to, day_of(tx.now, zone))?;
    let mut keys = Vec::new();
    for key in parameters.group_by.as_ref().map_or(&[TimeCostKey::Customer][..], |keys| &keys.0) {
        if !keys.contains(key) {
            keys.push(*key);
        }
    }
    Ok(TimeCostQuery {
        from_on,
        through_on,
        zone,
        currency: organization.fields.currency,
        keys,
        customers: parameters.customer_id.clone().map(|ids| ids.0),
        operators: parameters.operator_id.clone().map(|ids| ids.0),
        threads: parameters.thread_id.clone().map(|ids| ids.0),
        tasks: parameters.task_id.clone().map(|ids| ids.0),
        opportunities: parameters.opportunity_id.clone().map(|ids| ids.0),
        stages: parameters.stage_id.clone().map(|ids| ids.0),
        channels: parameters.channel.clone().map(|channels| channels.0),
        billable: parameters.billable,
        assumed_rate: parameters.hourly_rate,
        assumed_round_up: parameters.round_up_minutes.and_then(NonZeroU32::new),
    })
}

/// The first and the last day of a report, from the first of the last day's year until today unless told.
pub(crate) fn period(
    from: Option<NaiveDate>,
    to: Option<NaiveDate>,
    today: NaiveDate,
) -> Result<(NaiveDate, NaiveDate), ApiError> {
    period_named(("from", from), ("to", to), today)
}

/// The same, where the parameters have other names.
pub(crate) fn period_named(
    (from_name, from): (&str, Option<NaiveDate>),
    (to_name, to): (&str, Option<NaiveDate>),
    today: NaiveDate,
) -> Result<(NaiveDate, NaiveDate), ApiError> {
    let through_on = to.unwrap_or(today);
    let from_on = from.unwrap_or_else(|| through_on.with_ordinal(1).unwrap_or(through_on));
    let days = through_on.signed_duration_since(from_on).num_days();
    if days < 0 {
        let wrong = Wrong::parameter(to_name, "order", format!("Lies before `{from_name}`"));
        return Err(ApiError::invalid_parameters(vec![wrong]));
    }
    if days > PERIOD_DAYS_MAX {
        let wrong = Wrong::parameter(to_name, "maximum", format!("At most ten years from `{from_name}`"));
        return Err(ApiError::invalid_parameters(vec![wrong]));
    }
    Ok((from_on, through_on))
}
