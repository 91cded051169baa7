//! The report of unbilled time: what was spent for customers, is to be billed, and is on no invoice.

use crate::actor::Actor;
use crate::listing::{AnyOf, Filters};
use crate::problem::ApiError;
use crate::state::State;
use crate::stream::{Chunks, streamed};
use crate::time_cost::{ReportFormat, format_of};
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, get, web};
use chrono::NaiveDate;
use chrono_tz::Tz;
use opiekun_documents::csv::CsvWriter;
use opiekun_domain::calendar_day::{day_bounds, day_of};
use opiekun_domain::currency::Currency;
use opiekun_domain::decimal::AmountSum;
use opiekun_domain::ids::CustomerId;
use opiekun_domain::permission::Permission;
use opiekun_persistence::unbilled_time::{self, UnbilledTime, UnbilledTimeQuery, UnbilledTimeSums};
use opiekun_persistence::{Tx, organizations};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::ops::ControlFlow;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

pub fn routes(config: &mut ServiceConfig) {
    config.service(report_unbilled_time);
}

/// What the report is asked for.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct UnbilledTimeParameters {
    /// The last day, which still counts, in the organization's time zone; today unless told.
    #[param(example = "2026-12-31")]
    to_on: Option<NaiveDate>,
    /// Any of these customers.
    #[param(value_type = Option<Vec<CustomerId>>, min_items = 1, max_items = 100)]
    customer_id: Option<AnyOf<CustomerId>>,
    /// `csv` where `Accept` cannot be set.
    #[param(inline)]
    format: Option<ReportFormat>,
    /// Begins CSV with a byte order mark, which some spreadsheets want.
    bom: Option<bool>,
}

/// Time that could be billed.
#[derive(Debug, Serialize, ToSchema)]
pub struct UnbilledTimeReport {
    /// The last day, which still counts.
    to_on: NaiveDate,
    /// By the customers' names; one for each currency.
    #[schema(max_items = 1000000)]
    rows: Vec<UnbilledTimeRowBody>,
    /// The sums of the rows, for each currency.
    #[schema(max_items = 200)]
    totals: Vec<UnbilledTimeTotalBody>,
}

/// The time of a customer that is priced in one currency.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UnbilledTimeRow)]
pub struct UnbilledTimeRowBody {
    customer_id: CustomerId,
    #[schema(max_length = 240, example = "Piekarnia Złoty Kłos sp. z o.o.")]
    customer_name: String,
    currency: Currency,
    #[serde(flatten)]
    sums: UnbilledTimeSumsBody,
}

/// The time of all customers that is priced in one currency.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UnbilledTimeTotal)]
pub struct UnbilledTimeTotalBody {
    currency: Currency,
    #[serde(flatten)]
    sums: UnbilledTimeSumsBody,
}

/// Sums over interactions that were held and work entries.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UnbilledTimeSums)]
pub struct UnbilledTimeSumsBody {
    /// How many interactions and work entries.
    #[schema(minimum = 1, example = 12)]
    entries: i64,
    #[schema(minimum = 1, example = 305)]
    minutes: i64,
    /// The minutes as they are billed, each entry's rounded up by itself.
    #[schema(minimum = 1, example = 330)]
    billed_minutes: i64,
    /// Minutes of entries for which no rate was in force: they are missing from `cost`, and can't be billed.
    #[schema(minimum = 0, example = 0)]
    unpriced_minutes: i64,
    /// The sum of the entries' costs, each of them rounded.
    #[schema(example = "825.00")]
    cost: AmountSum,
    /// The day on which the oldest of them began, in the organization's time zone.
    #[schema(example = "2026-09-14")]
    oldest_on: NaiveDate,
}

impl UnbilledTimeSumsBody {
    fn new(sums: UnbilledTimeSums, zone: Tz) -> Self {
        let UnbilledTimeSums { entries, minutes, billed_minutes, unpriced_minutes, cost, oldest_at } = sums;
        let oldest_on = day_of(oldest_at, zone);
        Self { entries, minutes, billed_minutes, unpriced_minutes, cost, oldest_on }
    }
}

/// Report billable time that is on no invoice.
///
/// The billable interactions that were held and the billable work entries through a day which no invoice bills, for each
/// customer and currency: how many, how long, what they cost, and since when. A draft bills too; what an invoice gave
/// back is here until the next time line of the customer bills it. Work on tasks of no customer is left out. As JSON, or as CSV (by `Accept: text/csv` or `format=csv`) without totals. Sent as it is read.
#[utoipa::path(tag = "Reports", security(("sign_in" = ["reports:read"])), params(UnbilledTimeParameters),
    responses((status = 200, content((UnbilledTimeReport = "application/json"), (String = "text/csv")))))]
#[get("/reports/unbilled-time")]
async fn report_unbilled_time(
    req: HttpRequest,
    state: web::Data<State>,
    actor: Actor,
    parameters: Filters<UnbilledTimeParameters>,
) -> Result<HttpResponse, ApiError> {
    let scope = actor.scope(Permission::ReportsRead)?;
    let parameters = parameters.0;
    let mut response = HttpResponse::Ok();
    match parameters.format.unwrap_or_else(|| format_of(&req)) {
        ReportFormat::Json => {
            response.content_type("application/json");
            streamed(state, scope, response, move |tx, out| write_json(tx, &parameters, out)).await
        }
        ReportFormat::Csv => {
            response.content_type("text/csv; charset=utf-8");
            response.insert_header((header::CONTENT_DISPOSITION, "attachment; filename=\"unbilled-time.csv\""));
            streamed(state, scope, response, move |tx, out| write_csv(tx, &parameters, out)).await
        }
    }
}

fn write_json(tx: &mut Tx<'_>, parameters: &UnbilledTimeParameters, out: &mut Chunks) -> Result<(), ApiError> {
    let (to_on, zone) = asked_day(tx, parameters)?;
    // The object that [`UnbilledTimeReport`] describes.
    write!(out, "{{\"to_on\":\"{to_on}\",\"rows\":[").map_err(ApiError::unavailable)?;
    let mut separator = "";
    let totals = each_row(tx, parameters, (to_on, zone), |row| {
        out.write_all(separator.as_bytes())?;
        separator = ",";
        serde_json::to_writer(&mut *out, &row).map_err(io::Error::from)
    })?;
    out.write_all(b"],\"totals\":")
        .and_then(|()| Ok(serde_json::to_writer(&mut *out, &totals)?))
        .and_then(|()| out.write_all(b"}"))
        .map_err(ApiError::unavailable)
}

fn write_csv(tx: &mut Tx<'_>, parameters: &UnbilledTimeParameters, out: &mut Chunks) -> Result<(), ApiError> {
    let (to_on, zone) = asked_day(tx, parameters)?;
    let header = [
        "to_on",
        "customer_id",
        "customer_name",
        "currency",
        "entries",
        "minutes",
        "billed_minutes",
        "unpriced_minutes",
        "cost",
        "oldest_on",
    ];
    let mut table = CsvWriter::new(out, parameters.bom.unwrap_or_default(), header).map_err(ApiError::unavailable)?;
    each_row(tx, parameters, (to_on, zone), |row| {
        let UnbilledTimeRowBody { customer_id, customer_name, currency, sums } = row;
        table.write_row([
            to_on.to_string(),
            customer_id.to_string(),
            customer_name,
            currency.to_string(),
            sums.entries.to_string(),
            sums.minutes.to_string(),
            sums.billed_minutes.to_string(),
            sums.unpriced_minutes.to_string(),
            sums.cost.to_string(),
            sums.oldest_on.to_string(),
        ])
    })?;
    table.finish().map_err(ApiError::unavailable)?;
    Ok(())
}

/// The last day, and on whose calendar.
fn asked_day(tx: &mut Tx<'_>, parameters: &UnbilledTimeParameters) -> Result<(NaiveDate, Tz), ApiError> {
    let zone = organizations::find(tx)?.time_zone();
    Ok((parameters.to_on.unwrap_or_else(|| day_of(tx.now, zone)), zone))
}

/// Hands each row to `write` and answers the totals, in the order of currencies.
fn each_row<E: std::error::Error>(
    tx: &mut Tx<'_>,
    parameters: &UnbilledTimeParameters,
    (to_on, zone): (NaiveDate, Tz),
    mut write: impl FnMut(UnbilledTimeRowBody) -> Result<(), E>,
) -> Result<Vec<UnbilledTimeTotalBody>, ApiError> {
    let query = UnbilledTimeQuery {
        before_at: day_bounds(to_on, zone).1,
        customers: parameters.customer_id.clone().map(|ids| ids.0),
    };
    let mut totals: BTreeMap<Currency, UnbilledTimeSums> = BTreeMap::new();
    let mut add = |row: UnbilledTime| -> Result<(), ApiError> {
        let UnbilledTime { customer_id, customer_name, currency, sums } = row;
        match totals.get_mut(&currency) {
            Some(total) => total.add(&sums).map_err(ApiError::internal)?,
            None => {
                totals.insert(currency, sums);
            }
        }
        let sums = UnbilledTimeSumsBody::new(sums, zone);
        write(UnbilledTimeRowBody { customer_id, customer_name, currency, sums }).map_err(ApiError::unavailable)
    };
    let mut failed = None;
    unbilled_time::report(tx, &query, |row| match add(row) {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => {
            failed = Some(error);
            ControlFlow::Break(())
        }
    })?;
    match failed {
        Some(error) => Err(error),
        None => Ok(totals
            .into_iter()
            .map(|(currency, sums)| UnbilledTimeTotalBody { currency, sums: UnbilledTimeSumsBody::new(sums, zone) })
            .collect()),
    }
}
