//! What was asked and had no answer: what an article is missing for.

use crate::actor::Actor;
use crate::listing::Filters;
use crate::problem::ApiError;
use crate::reply::Reply;
use crate::state::State;
use crate::tables::{self, Format, Spreadsheet};
use crate::time_cost::period_named;
use actix_web::{HttpResponse, get, web};
use chrono::{DateTime, NaiveDate, Utc};
use opiekun_documents::table::{Cell, Column};
use opiekun_domain::permission::Permission;
use opiekun_persistence::missed_searches::MissedSearch;
use opiekun_persistence::{missed_searches, organizations};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

pub fn routes(config: &mut ServiceConfig) {
    config.service(report_searches_without_result);
}

const ROWS_MAX: i64 = 500;

/// Of which days.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SearchesParameters {
    /// The first day; the first of the year of `to` unless told.
    #[param(example = "2026-01-01")]
    from: Option<NaiveDate>,
    /// The last day, which still counts; today unless told. At most ten years from the first.
    #[param(example = "2026-12-31")]
    to: Option<NaiveDate>,
}

/// Questions without an answer.
#[derive(Debug, Serialize, ToSchema)]
pub struct SearchesReport {
    from_on: NaiveDate,
    to_on: NaiveDate,
    /// The most asked ones first, up to 500.
    #[schema(max_items = 500)]
    rows: Vec<SearchesReportRow>,
}

/// A question that nothing answered.
#[derive(Debug, Serialize, ToSchema)]
pub struct SearchesReportRow {
    /// In lower case. What may name somebody is left out: numbers, addresses, and unknown words with a capital.
    #[schema(max_length = 200, example = "urlop opiekuńczy ile dni")]
    question: String,
    #[schema(minimum = 1, example = 3)]
    searches: i64,
    last_at: DateTime<Utc>,
}

impl From<MissedSearch> for SearchesReportRow {
    fn from(row: MissedSearch) -> Self {
        let MissedSearch { question, searches, last_at } = row;
        Self { question, searches, last_at }
    }
}

/// Report searches without result.
///
/// What was asked of the articles and had no answer, and how often: what the next article is to be about. Who asked is not
/// kept. As JSON, or as a table (CSV or XLSX, by `Accept` or `format`).
#[utoipa::path(tag = "Reports", security(("sign_in" = ["reports:read"])), params(SearchesParameters, Format),
    responses((status = 200, content((SearchesReport = "application/json"), (String = "text/csv"),
        (Spreadsheet = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet")))))]
#[get("/reports/searches-without-result")]
async fn report_searches_without_result(
    state: web::Data<State>,
    actor: Actor,
    format: Format,
    query: Filters<SearchesParameters>,
) -> Result<HttpResponse, ApiError> {
    let scope = actor.scope(Permission::ReportsRead)?;
    let report = state
        .snapshot(scope, move |tx| {
            let today = organizations::today(tx)?;
            let (from_on, to_on) = period_named(("from", query.0.from), ("to", query.0.to), today)?;
            let rows = missed_searches::list(tx, from_on, to_on, ROWS_MAX)?;
            Ok(SearchesReport { from_on, to_on, rows: rows.into_iter().map(Into::into).collect() })
        })
        .await?;
    match format {
        Format::Json => Ok(Reply::ok(&report).into_response()),
        Format::Table(format) => {
            let rows = report.rows.into_iter().map(cells);
            tables::table(format, "searches-without-result", &COLUMNS, rows)
        }
    }
}

const COLUMNS: [Column; 3] = [Column::text("question"), Column::count("searches"), Column::moment("last_at")];

fn cells(row: SearchesReportRow) -> Vec<Cell> {
    let SearchesReportRow { question, searches, last_at } = row;
    vec![question.into(), searches.into(), last_at.into()]
}
