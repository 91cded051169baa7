//! The report of unbilled time: what was spent for customers, is to be billed, and is on no invoice.

use crate::actor::Actor;
use crate::listing::{AnyOf, Filters};
use crate::problem::ApiError;
use crate::state::State;
use crate::tables::{self, Format, Report, Spreadsheet, Totals};
use actix_web::{HttpResponse, get, web};
use chrono::NaiveDate;
use chrono_tz::Tz;
use opiekun_documents::table::{Cell, Column};
use opiekun_domain::calendar_day::{day_bounds, day_of};
use opiekun_domain::currency::Currency;
use opiekun_domain::decimal::AmountSum;
use opiekun_domain::ids::CustomerId;
use opiekun_domain::permission::Permission;
use opiekun_persistence::unbilled_time::{self, UnbilledTime, UnbilledTimeQuery, UnbilledTimeSums};
use opiekun_persistence::{Tx, organizations};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;
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
/// back is here until the next time line of the customer bills it. Work on tasks of no customer is left out. As JSON, or as a table (CSV or
/// XLSX, by `Accept` or `format`) without totals. Sent as it is read.
#[utoipa::path(tag = "Reports", security(("sign_in" = ["reports:read"])), params(UnbilledTimeParameters, Format),
    responses((status = 200, content((UnbilledTimeReport = "application/json"), (String = "text/csv"),
        (Spreadsheet = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet")))))]
#[get("/reports/unbilled-time")]
async fn report_unbilled_time(
    state: web::Data<State>,
    actor: Actor,
    format: Format,
    parameters: Filters<UnbilledTimeParameters>,
) -> Result<HttpResponse, ApiError> {
    let scope = actor.scope(Permission::ReportsRead)?;
    tables::report(state, scope, format, move |tx| {
        let UnbilledTimeParameters { to_on, customer_id } = parameters.0;
        let zone = organizations::find(tx)?.time_zone();
        let to_on = to_on.unwrap_or_else(|| day_of(tx.now, zone));
        let query = UnbilledTimeQuery { before_at: day_bounds(to_on, zone).1, customers: customer_id.map(|ids| ids.0) };
        Ok(Unbilled { to_on, zone, query })
    })
    .await
}

/// The report that was asked for.
struct Unbilled {
    /// The last day, and on whose calendar.
    to_on: NaiveDate,
    zone: Tz,
    query: UnbilledTimeQuery,
}

impl Report for Unbilled {
    type Row = UnbilledTimeRowBody;
    /// In the order of currencies.
    type Tail = Totals<Vec<UnbilledTimeTotalBody>>;

    const NAME: &'static str = "unbilled-time";

    fn head(&self) -> impl Serialize {
        json!({ "to_on": self.to_on })
    }

    fn each(
        &self,
        tx: &mut Tx<'_>,
        mut take: impl FnMut(UnbilledTimeRowBody) -> Result<(), ApiError>,
    ) -> Result<Self::Tail, ApiError> {
        let mut totals: BTreeMap<Currency, UnbilledTimeSums> = BTreeMap::new();
        let add = |row: UnbilledTime| {
            let UnbilledTime { customer_id, customer_name, currency, sums } = row;
            match totals.get_mut(&currency) {
                Some(total) => total.add(&sums).map_err(ApiError::internal)?,
                None => {
                    totals.insert(currency, sums);
                }
            }
            let sums = UnbilledTimeSumsBody::new(sums, self.zone);
            take(UnbilledTimeRowBody { customer_id, customer_name, currency, sums })
        };
        tables::each_row(add, |step| unbilled_time::report(tx, &self.query, step))?;
        let total = |(currency, sums)| {
            let sums = UnbilledTimeSumsBody::new(sums, self.zone);
            UnbilledTimeTotalBody { currency, sums }
        };
        Ok(Totals { totals: totals.into_iter().map(total).collect() })
    }

    fn columns(&self) -> Vec<Column> {
        vec![
            Column::day("to_on"),
            Column::id("customer_id"),
            Column::text("customer_name"),
            Column::word("currency"),
            Column::count("entries"),
            Column::count("minutes"),
            Column::count("billed_minutes"),
            Column::count("unpriced_minutes"),
            Column::decimal("cost"),
            Column::day("oldest_on"),
        ]
    }

    fn cells(&self, row: UnbilledTimeRowBody) -> Vec<Cell> {
        let UnbilledTimeRowBody { customer_id, customer_name, currency, sums } = row;
        vec![
            self.to_on.into(),
            Cell::text(customer_id),
            customer_name.into(),
            Cell::text(currency),
            sums.entries.into(),
            sums.minutes.into(),
            sums.billed_minutes.into(),
            sums.unpriced_minutes.into(),
            sums.cost.into(),
            sums.oldest_on.into(),
        ]
    }
}
