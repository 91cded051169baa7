//! The funnel report: how sales go through the stages of a pipeline, how they end, and what the open ones may bring.

use crate::db::Tx;
use crate::error::{Result, StoreError};
use chrono::NaiveDate;
use chrono_tz::Tz;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Date, Nullable, Numeric, SmallInt, Text, Timestamptz, Uuid};
use opiekun_domain::calendar_day::day_bounds;
use opiekun_domain::currency::Currency;
use opiekun_domain::decimal::{AmountSum, Overflow};
use opiekun_domain::ids::{CustomerId, OperatorId, PipelineId, StageId};
use opiekun_domain::pipeline::StageKind;

/// What is asked.
#[derive(Debug, Clone)]
pub struct FunnelQuery {
    pub pipeline_id: PipelineId,
    /// The first and the last day, in `zone`.
    pub from_on: NaiveDate,
    pub through_on: NaiveDate,
    /// The organization's time zone and currency.
    pub zone: Tz,
    pub currency: Currency,
    /// Any of these; both must hold, of the opportunities as they are now.
    pub caretakers: Option<Vec<OperatorId>>,
    pub customers: Option<Vec<CustomerId>>,
}

/// What the report tells. It grows with stages and months, not with opportunities.
#[derive(Debug, Clone)]
pub struct Funnel {
    /// In their order.
    pub stages: Vec<FunnelStage>,
    pub totals: FunnelTotals,
    /// By month, what has no day last.
    pub forecast: Vec<ForecastMonth>,
}

/// One stage: who came and went in the period, and who stands there now.
#[derive(Debug, Clone, QueryableByName)]
pub struct FunnelStage {
    #[diesel(sql_type = Uuid)]
    pub stage_id: StageId,
    #[diesel(sql_type = Text)]
    pub name: String,
    #[diesel(sql_type = Text)]
    pub kind: StageKind,
    #[diesel(sql_type = SmallInt)]
    pub probability_percent: i16,
    #[diesel(sql_type = BigInt)]
    pub entered: i64,
    /// Of those, the ones that began here.
    #[diesel(sql_type = BigInt)]
    pub opened: i64,
    #[diesel(sql_type = BigInt)]
    pub departed: i64,
    /// Of those, the ones that went to a later open stage of the pipeline, or to a won one of any.
    #[diesel(sql_type = BigInt)]
    pub advanced: i64,
    /// The stays in the middle of those that ended, in microseconds; one and the same where their number is odd.
    #[diesel(sql_type = Nullable<BigInt>)]
    pub lower_middle: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    pub upper_middle: Option<i64>,
    #[diesel(embed)]
    pub standing: Worth,
    /// Those that stand here and were closed in the period.
    #[diesel(sql_type = BigInt)]
    pub closed: i64,
    #[diesel(sql_type = Numeric)]
    pub closed_value: AmountSum,
    #[diesel(sql_type = BigInt)]
    pub closed_other_currencies: i64,
}

/// What some opportunities are worth together.
#[derive(Debug, Clone, PartialEq, Eq, Default, QueryableByName)]
pub struct Worth {
    #[diesel(sql_type = BigInt)]
    pub opportunities: i64,
    #[diesel(sql_type = Numeric)]
    pub value: AmountSum,
    /// The sum of their values by their chances, each rounded.
    #[diesel(sql_type = Numeric)]
    pub weighted_value: AmountSum,
    /// How many of them are in other currencies than the organization's, which the sums leave out.
    #[diesel(sql_type = BigInt)]
    pub other_currencies: i64,
}

impl Worth {
    fn add(&mut self, other: &Self) -> Result<(), Overflow> {
        self.opportunities += other.opportunities;
        self.value = self.value.checked_add(other.value)?;
        self.weighted_value = self.weighted_value.checked_add(other.weighted_value)?;
        self.other_currencies += other.other_currencies;
        Ok(())
    }
}

/// The open opportunities that are expected to close in one month.
#[derive(Debug, Clone, QueryableByName)]
pub struct ForecastMonth {
    /// `None` for those without a day.
    #[diesel(sql_type = Nullable<Date>)]
    pub month_start_on: Option<NaiveDate>,
    #[diesel(embed)]
    pub worth: Worth,
}

/// The sums over all stages.
#[derive(Debug, Clone, Default)]
pub struct FunnelTotals {
    /// Begun in the period.
    pub opened: i64,
    /// Closed in the period, as they stand now.
    pub won: i64,
    pub lost: i64,
    pub won_value: AmountSum,
    pub won_other_currencies: i64,
    /// All that are open now.
    pub open: Worth,
}

impl FunnelTotals {
    fn add(&mut self, stage: &FunnelStage) -> Result<(), Overflow> {
        self.opened += stage.opened;
        match stage.kind {
            StageKind::Open => self.open.add(&stage.standing)?,
            StageKind::Won => {
                self.won += stage.closed;
                self.won_value = self.won_value.checked_add(stage.closed_value)?;
                self.won_other_currencies += stage.closed_other_currencies;
            }
            StageKind::Lost => self.lost += stage.closed,
        }
        Ok(())
    }
}

/// Runs the report: two statements, which agree where they see one state of the database.
pub fn report(tx: &mut Tx<'_>, query: &FunnelQuery) -> Result<Funnel> {
    let (from, _) = day_bounds(query.from_on, query.zone);
    let (_, before) = day_bounds(query.through_on, query.zone);
    // In the order of the numbers in the statements.
    let stages: Vec<FunnelStage> = diesel::sql_query(include_str!("funnel.sql"))
        .bind::<Uuid, _>(tx.organization_id())
        .bind::<Uuid, _>(query.pipeline_id)
        .bind::<Timestamptz, _>(from)
        .bind::<Timestamptz, _>(before)
        .bind::<Nullable<Array<Uuid>>, _>(query.caretakers.as_ref())
        .bind::<Nullable<Array<Uuid>>, _>(query.customers.as_ref())
        .bind::<Text, _>(query.currency)
        .load(tx.conn)?;
    let forecast: Vec<ForecastMonth> = diesel::sql_query(include_str!("funnel_forecast.sql"))
        .bind::<Uuid, _>(tx.organization_id())
        .bind::<Uuid, _>(query.pipeline_id)
        .bind::<Nullable<Array<Uuid>>, _>(query.caretakers.as_ref())
        .bind::<Nullable<Array<Uuid>>, _>(query.customers.as_ref())
        .bind::<Text, _>(query.currency)
        .load(tx.conn)?;
    let mut totals = FunnelTotals::default();
    for stage in &stages {
        totals.add(stage).map_err(too_large)?;
    }
    Ok(Funnel { stages, totals, forecast })
}

fn too_large(overflow: Overflow) -> StoreError {
    StoreError::Database(diesel::result::Error::DeserializationError(Box::new(overflow)))
}
