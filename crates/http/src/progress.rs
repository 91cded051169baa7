//! The progress report: what each operator was given, did and still owes.

use crate::actor::Actor;
use crate::listing::{AnyOf, Filters};
use crate::problem::{ApiError, Wrong};
use crate::reply::Reply;
use crate::state::State;
use actix_web::{get, web};
use chrono::{Datelike, NaiveDate};
use opiekun_domain::calendar_day::{day_bounds, day_of};
use opiekun_domain::currency::Currency;
use opiekun_domain::decimal::AmountSum;
use opiekun_domain::ids::OperatorId;
use opiekun_domain::permission::Permission;
use opiekun_persistence::progress::{ProgressQuery, ProgressRow, ProgressSums};
use opiekun_persistence::{operators, organizations, progress};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

pub fn routes(config: &mut ServiceConfig) {
    config.service(report_progress);
}

/// What the report is asked for.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ProgressParameters {
    /// The first day of the period, in the organization's time zone; the first of the month of `to` unless told.
    #[param(example = "2026-11-01")]
    from: Option<NaiveDate>,
    /// The last day of the period, which still counts; today unless told.
    #[param(example = "2026-11-30")]
    to: Option<NaiveDate>,
    /// Any of these operators.
    #[param(value_type = Option<Vec<OperatorId>>, min_items = 1, max_items = 100)]
    operator_id: Option<AnyOf<OperatorId>>,
    /// The team of this operator: itself and everybody below it in the supervisor tree.
    team: Option<OperatorId>,
}

/// What the report tells.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProgressReport {
    /// The first day of the period, in the organization's time zone.
    #[schema(example = "2026-11-01")]
    from_on: NaiveDate,
    /// The last day of the period, which still counts.
    #[schema(example = "2026-11-30")]
    to_on: NaiveDate,
    /// The currency of all costs: the organization's.
    currency: Currency,
    /// The operators by their names: those who are active, and whoever else has something to show.
    #[schema(max_items = 10000)]
    rows: Vec<ProgressRowBody>,
    /// The sums of the rows.
    totals: ProgressSumsBody,
}

/// One operator.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProgressRow)]
pub struct ProgressRowBody {
    operator_id: OperatorId,
    #[schema(max_length = 160, example = "Jan Kowalski")]
    operator_name: String,
    supervisor_id: Option<OperatorId>,
    #[serde(flatten)]
    sums: ProgressSumsBody,
}

/// Work given, done and owed, by who is caretaker now; and the time that was spent.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProgressSums)]
pub struct ProgressSumsBody {
    /// Tasks that the operator was made caretaker of in the period.
    #[schema(minimum = 0, example = 14)]
    given: i64,
    /// Tasks that were done in the period.
    #[schema(minimum = 0, example = 11)]
    done: i64,
    /// Of those, the ones that were done by their date, or had none.
    #[schema(minimum = 0, example = 9)]
    done_on_time: i64,
    /// Tasks still to do at the end of the period (now, if it has not ended), the overdue ones among them.
    #[schema(minimum = 0, example = 5)]
    open: i64,
    /// Tasks that were past their date by then.
    #[schema(minimum = 0, example = 2)]
    overdue: i64,
    /// How far the work has come: the mean of what was done in the period and what was still to do at its end, weighted by
    /// planned minutes and rounded down. What was still to do counts by its percent now, and as not done where the period
    /// has ended. A main task counts by its subtasks.
    #[schema(minimum = 0, maximum = 100, example = 72)]
    percent_done: i16,
    /// Interactions that were held.
    #[schema(minimum = 0, example = 40)]
    interactions: i64,
    #[schema(minimum = 0, example = 23)]
    work_entries: i64,
    /// What was attached in the period to tasks and interactions of which the operator is caretaker: the files that show
    /// the effects. One that was put on two of them counts twice. `/attachments` with `caretaker_id`, `created_at[gte]` and
    /// `created_at[lt]` shows them.
    #[schema(minimum = 0, example = 6)]
    files: i64,
    /// Of interactions and work entries together.
    #[schema(minimum = 0, example = 3120)]
    minutes: i64,
    #[schema(minimum = 0, example = 2400)]
    billable_minutes: i64,
    /// The sum of the entries' costs, each of them rounded.
    #[schema(example = "7800.00")]
    cost: AmountSum,
}

impl From<ProgressSums> for ProgressSumsBody {
    fn from(sums: ProgressSums) -> Self {
        let percent_done = sums.percent_done();
        let ProgressSums {
            given,
            done,
            done_on_time,
            open,
            overdue,
            interactions,
            work_entries,
            files,
            minutes,
            billable_minutes,
            cost,
            ..
        } = sums;
        Self {
            given,
            done,
            done_on_time,
            open,
            overdue,
            percent_done,
            interactions,
            work_entries,
            files,
            minutes,
            billable_minutes,
            cost,
        }
    }
}

impl From<ProgressRow> for ProgressRowBody {
    fn from(row: ProgressRow) -> Self {
        let ProgressRow { operator_id, operator_name, supervisor_id, sums } = row;
        Self { operator_id, operator_name, supervisor_id, sums: sums.into() }
    }
}

/// Report the progress of work.
///
/// For each operator, or those of a team: what it was given, did, and still owes; which of it is late; the time that it
/// spent; and how many files show the effects. A manager asks for its team by its own id.
#[utoipa::path(tag = "Reports", security(("sign_in" = ["reports:read"])), params(ProgressParameters),
    responses((status = 200, body = ProgressReport)))]
#[get("/reports/progress")]
async fn report_progress(
    state: web::Data<State>,
    actor: Actor,
    parameters: Filters<ProgressParameters>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::ReportsRead)?;
    let ProgressParameters { from, to, operator_id, team } = parameters.0;
    state
        .snapshot(scope, move |tx| {
            let organization = organizations::find(tx)?;
            let zone = organization.time_zone();
            let to_on = to.unwrap_or_else(|| day_of(tx.now, zone));
            let from_on = from.unwrap_or_else(|| to_on.with_day(1).unwrap_or(to_on));
            if from_on > to_on {
                let wrong = Wrong::parameter("to", "order", "Lies before `from`");
                return Err(ApiError::invalid_parameters(vec![wrong]));
            }
            let team = match team {
                Some(id) => Some(operators::below(tx, id)?.into_iter().chain([id]).collect::<Vec<_>>()),
                None => None,
            };
            let operators = match (operator_id.map(|ids| ids.0), team) {
                (Some(ids), Some(team)) => Some(ids.into_iter().filter(|id| team.contains(id)).collect()),
                (ids, team) => ids.or(team),
            };
            let query = ProgressQuery {
                from: day_bounds(from_on, zone).0,
                before: day_bounds(to_on, zone).1,
                operators,
                currency: organization.fields.currency,
            };
            let rows = progress::report(tx, &query)?;
            let totals = rows.iter().try_fold(ProgressSums::default(), |totals, row| totals.plus(&row.sums));
            let totals = totals.map_err(ApiError::internal)?;
            Ok(Reply::ok(&ProgressReport {
                from_on,
                to_on,
                currency: query.currency,
                rows: rows.into_iter().map(ProgressRowBody::from).collect(),
                totals: totals.into(),
            }))
        })
        .await
}
