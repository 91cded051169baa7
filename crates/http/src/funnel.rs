//! The funnel report: how sales go through the stages of a pipeline, and what the open ones may bring.

use crate::actor::Actor;
use crate::listing::{AnyOf, Filters};
use crate::problem::{ApiError, Wrong};
use crate::reply::Reply;
use crate::state::State;
use crate::tables::{self, Format, Spreadsheet};
use crate::time_cost::period;
use actix_web::{HttpResponse, get, web};
use chrono::NaiveDate;
use opiekun_documents::table::{Cell, Column};
use opiekun_domain::calendar_day::day_of;
use opiekun_domain::currency::Currency;
use opiekun_domain::decimal::{AmountSum, Share, StageDays};
use opiekun_domain::ids::{CustomerId, OperatorId, PipelineId, StageId};
use opiekun_domain::permission::Permission;
use opiekun_domain::pipeline::{StageKind, median_days, share};
use opiekun_persistence::funnel::{ForecastMonth, FunnelQuery, FunnelStage, FunnelTotals, Worth};
use opiekun_persistence::{Tx, funnel, organizations, pipelines};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

pub fn routes(config: &mut ServiceConfig) {
    config.service(report_funnel);
}

/// What the report is asked for.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct FunnelParameters {
    /// The pipeline whose stages it tells of.
    pipeline_id: PipelineId,
    /// The first day of the period, in the organization's time zone; the first of the year of `to` unless told.
    #[param(example = "2026-01-01")]
    from: Option<NaiveDate>,
    /// The last day of the period, which still counts; today unless told. At most ten years from the first.
    #[param(example = "2026-12-31")]
    to: Option<NaiveDate>,
    /// Opportunities of which any of these is the caretaker now.
    #[param(value_type = Option<Vec<OperatorId>>, min_items = 1, max_items = 100)]
    caretaker_id: Option<AnyOf<OperatorId>>,
    /// Opportunities of any of these customers.
    #[param(value_type = Option<Vec<CustomerId>>, min_items = 1, max_items = 100)]
    customer_id: Option<AnyOf<CustomerId>>,
}

/// What the report tells.
#[derive(Debug, Serialize, ToSchema)]
pub struct FunnelReport {
    pipeline_id: PipelineId,
    #[schema(max_length = 120, example = "New customers")]
    pipeline_name: String,
    /// The first day of the period, in the organization's time zone.
    #[schema(example = "2026-01-01")]
    from_on: NaiveDate,
    /// The last day of the period, which still counts.
    #[schema(example = "2026-12-31")]
    to_on: NaiveDate,
    /// The currency of all amounts: the organization's.
    currency: Currency,
    /// In their order.
    #[schema(max_items = 30)]
    stages: Vec<FunnelStageBody>,
    totals: FunnelTotalsBody,
    /// What is open now by the month in which it is expected to close; the sums are those of `totals.open`.
    #[schema(max_items = 120000)]
    forecast: Vec<ForecastMonthBody>,
}

/// One stage: the moves of the period, and what stands there now.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FunnelStage)]
pub struct FunnelStageBody {
    stage_id: StageId,
    #[schema(max_length = 120, example = "Negotiation")]
    name: String,
    kind: StageKind,
    #[schema(minimum = 0, maximum = 100, example = 75)]
    probability_percent: i16,
    /// How often an opportunity came here in the period, to begin here or from another stage.
    #[schema(minimum = 0, example = 12)]
    entered: i64,
    /// How often one went from here in the period.
    #[schema(minimum = 0, example = 8)]
    left: i64,
    /// How often, of those, it went to a won stage or to an open one further on in this pipeline.
    #[schema(minimum = 0, example = 5)]
    advanced: i64,
    /// `advanced` of a hundred that left, rounded half away from zero to 0.01; null where none left.
    #[schema(example = "62.50")]
    conversion_percent: Option<Share>,
    /// The median of how long those had stood here that left in the period, in days of 24 hours: the middle one, or
    /// halfway between the two in the middle, exact to the microsecond and then rounded half away from zero to 0.01.
    /// Null where none left.
    #[schema(example = "4.25")]
    median_days: Option<StageDays>,
    /// What stands here now, whenever it came.
    standing: WorthBody,
}

/// What some opportunities are worth together.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OpportunityWorth)]
pub struct WorthBody {
    #[schema(minimum = 0, example = 4)]
    opportunities: i64,
    #[schema(example = "48000.00")]
    value: AmountSum,
    /// The sum of their values by the probability of their stages, each of them rounded.
    #[schema(example = "36000.00")]
    weighted_value: AmountSum,
    /// How many of them are in other currencies, which the sums leave out.
    #[schema(minimum = 0, example = 0)]
    other_currencies: i64,
}

/// The sums over all stages.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FunnelTotals)]
pub struct FunnelTotalsBody {
    /// Opportunities that began in this pipeline in the period.
    #[schema(minimum = 0, example = 20)]
    opened: i64,
    /// Opportunities that stand at a won stage now and have been won since a moment of the period. One that was won and
    /// opened again counts no more.
    #[schema(minimum = 0, example = 6)]
    won: i64,
    /// Those that stand at a lost stage and have been lost since a moment of the period.
    #[schema(minimum = 0, example = 4)]
    lost: i64,
    /// `won` of a hundred that were won or lost, rounded half away from zero to 0.01; null where none were.
    #[schema(example = "60.00")]
    win_rate_percent: Option<Share>,
    /// The values of those that were won.
    #[schema(example = "72000.00")]
    won_value: AmountSum,
    /// How many of those that were won are in other currencies, which `won_value` leaves out.
    #[schema(minimum = 0, example = 0)]
    won_other_currencies: i64,
    /// All that are open now; `weighted_value` is the forecast of what they will bring.
    open: WorthBody,
}

/// The open opportunities that are expected to close in one month.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ForecastMonth)]
pub struct ForecastMonthBody {
    /// The first day of the month; null for those without a day, which come last.
    #[schema(example = "2026-12-01")]
    month_start_on: Option<NaiveDate>,
    #[serde(flatten)]
    worth: WorthBody,
}

impl From<FunnelStage> for FunnelStageBody {
    fn from(row: FunnelStage) -> Self {
        // What begins and closes at a stage is told by the totals.
        let FunnelStage {
            stage_id,
            name,
            kind,
            probability_percent,
            entered,
            opened: _,
            departed,
            advanced,
            lower_middle,
            upper_middle,
            standing,
            closed: _,
            closed_value: _,
            closed_other_currencies: _,
        } = row;
        Self {
            stage_id,
            name,
            kind,
            probability_percent,
            entered,
            left: departed,
            advanced,
            conversion_percent: share(advanced, departed),
            median_days: lower_middle.zip(upper_middle).and_then(|(lower, upper)| median_days(lower, upper)),
            standing: standing.into(),
        }
    }
}

impl From<Worth> for WorthBody {
    fn from(worth: Worth) -> Self {
        let Worth { opportunities, value, weighted_value, other_currencies } = worth;
        Self { opportunities, value, weighted_value, other_currencies }
    }
}

impl From<FunnelTotals> for FunnelTotalsBody {
    fn from(totals: FunnelTotals) -> Self {
        let FunnelTotals { opened, won, lost, won_value, won_other_currencies, open } = totals;
        let win_rate_percent = share(won, won + lost);
        Self { opened, won, lost, win_rate_percent, won_value, won_other_currencies, open: open.into() }
    }
}

impl From<ForecastMonth> for ForecastMonthBody {
    fn from(row: ForecastMonth) -> Self {
        let ForecastMonth { month_start_on, worth } = row;
        Self { month_start_on, worth: worth.into() }
    }
}

/// Report how sales go through a pipeline.
///
/// Stage by stage: how many opportunities came and left in a period, how many of those went on, how long they had
/// stood, and what stands there now; in all: how many began, were won and lost, and what the open ones may bring, by
/// month. Kinds, order and probabilities of the stages, and values, caretakers and customers of the opportunities, are
/// those of now. As JSON, or as a table (CSV or XLSX, by `Accept` or `format`), which has a row for each stage and no
/// totals.
#[utoipa::path(tag = "Reports", security(("sign_in" = ["reports:read"])), params(FunnelParameters, Format),
    responses((status = 200, content((FunnelReport = "application/json"), (String = "text/csv"),
        (Spreadsheet = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet")))))]
#[get("/reports/funnel")]
async fn report_funnel(
    state: web::Data<State>,
    actor: Actor,
    format: Format,
    parameters: Filters<FunnelParameters>,
) -> Result<HttpResponse, ApiError> {
    let scope = actor.scope(Permission::ReportsRead)?;
    let report = state.snapshot(scope, move |tx| report(tx, parameters.0)).await?;
    match format {
        Format::Json => Ok(Reply::ok(&report).into_response()),
        Format::Table(format) => {
            let currency = report.currency;
            let rows = report.stages.into_iter().map(|stage| cells(stage, currency));
            tables::table(format, "funnel", &COLUMNS, rows)
        }
    }
}

fn report(tx: &mut Tx<'_>, parameters: FunnelParameters) -> Result<FunnelReport, ApiError> {
    let organization = organizations::find(tx)?;
    let zone = organization.time_zone();
    let (from_on, through_on) = period(parameters.from, parameters.to, day_of(tx.now, zone))?;
    let Some(pipeline) = pipelines::find_all(tx, &[parameters.pipeline_id])?.pop() else {
        let wrong = Wrong::parameter("pipeline_id", "reference_not_found", "No such record");
        return Err(ApiError::invalid_parameters(vec![wrong]));
    };
    let query = FunnelQuery {
        pipeline_id: pipeline.id,
        from_on,
        through_on,
        zone,
        currency: organization.fields.currency,
        caretakers: parameters.caretaker_id.map(|ids| ids.0),
        customers: parameters.customer_id.map(|ids| ids.0),
    };
    let found = funnel::report(tx, &query)?;
    Ok(FunnelReport {
        pipeline_id: pipeline.id,
        pipeline_name: pipeline.fields.name,
        from_on,
        to_on: through_on,
        currency: query.currency,
        stages: found.stages.into_iter().map(Into::into).collect(),
        totals: found.totals.into(),
        forecast: found.forecast.into_iter().map(Into::into).collect(),
    })
}

const COLUMNS: [Column; 14] = [
    Column::id("stage_id"),
    Column::text("name"),
    Column::word("kind"),
    Column::count("probability_percent"),
    Column::count("entered"),
    Column::count("left"),
    Column::count("advanced"),
    Column::decimal("conversion_percent"),
    Column::decimal("median_days"),
    Column::count("opportunities"),
    Column::decimal("value"),
    Column::decimal("weighted_value"),
    Column::count("other_currencies"),
    Column::word("currency"),
];

fn cells(stage: FunnelStageBody, currency: Currency) -> Vec<Cell> {
    vec![
        Cell::text(stage.stage_id),
        stage.name.into(),
        Cell::text(stage.kind),
        stage.probability_percent.into(),
        stage.entered.into(),
        stage.left.into(),
        stage.advanced.into(),
        stage.conversion_percent.into(),
        stage.median_days.into(),
        stage.standing.opportunities.into(),
        stage.standing.value.into(),
        stage.standing.weighted_value.into(),
        stage.standing.other_currencies.into(),
        Cell::text(currency),
    ]
}
