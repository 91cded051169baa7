//! Who got no invoice: the periods of some days that have none, each with the reason.

use crate::actor::Actor;
use crate::listing::Filters;
use crate::problem::ApiError;
use crate::state::State;
use crate::tables::{self, Format, Report, Spreadsheet, Totals};
use crate::time_cost::period_named;
use actix_web::{HttpResponse, get, web};
use chrono::{Datelike, NaiveDate};
use opiekun_documents::table::{Cell, Column};
use opiekun_domain::ids::{CustomerId, InvoiceId, OccurrenceId, SubscriptionId};
use opiekun_domain::occurrence::NotInvoicedReason;
use opiekun_domain::permission::Permission;
use opiekun_domain::plan::{Planned, fell_due, is_billed};
use opiekun_persistence::not_invoiced::{self, NotInvoiced, NotInvoicedQuery, Waiting};
use opiekun_persistence::subscriptions::Subscription;
use opiekun_persistence::{Tx, occurrences, organizations};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeSet;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

pub fn routes(config: &mut ServiceConfig) {
    config.service(report_not_invoiced);
}

/// How many subscriptions are read at a time.
const SUBSCRIPTIONS_A_PAGE: i64 = 500;

/// Of which days, and whom.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct NotInvoicedParameters {
    /// The first day on which periods were to be invoiced; the first of the month of `to` unless told.
    #[param(example = "2026-01-01")]
    from: Option<NaiveDate>,
    /// The last of these days; today unless told. At most ten years from the first.
    #[param(example = "2026-01-31")]
    to: Option<NaiveDate>,
    customer_id: Option<CustomerId>,
    /// Only periods that have none for this reason.
    reason: Option<NotInvoicedReason>,
}

/// Periods that have no issued invoice.
#[derive(Debug, Serialize, ToSchema)]
pub struct NotInvoicedReport {
    /// The first day on which they were to be invoiced.
    from_on: NaiveDate,
    /// The last of these days.
    to_on: NaiveDate,
    /// First those that a run has taken up or somebody has decided about, by their days; then those of active
    /// subscriptions that no run has taken up, and those of paused and parked ones, by the day on which the first of a
    /// subscription was to be invoiced.
    #[schema(max_items = 1000000)]
    rows: Vec<NotInvoicedBody>,
    totals: NotInvoicedTotals,
}

/// A period without an issued invoice.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NotInvoicedPeriod, example = json!({
    "subscription_id": "0192f0c1-7a10-7cc1-9d5e-0f3b8a61c2ad", "customer_id": "0192f0c1-7a10-7cc1-9d5e-0f3b8a61c2ab",
    "customer_name": "Piekarnia Złoty Kłos sp. z o.o.", "period_start_on": "2026-01-01", "period_end_on": "2026-02-01",
    "scheduled_on": "2026-01-02", "reason": "failed", "occurrence_id": "0192f0c1-7a10-7cc1-9d5e-0f3b8a61c2ae",
    "problem": "buyer_address_missing", "skip_reason": null, "invoice_id": null,
}))]
pub struct NotInvoicedBody {
    subscription_id: SubscriptionId,
    customer_id: CustomerId,
    #[schema(max_length = 240, example = "Piekarnia Złoty Kłos sp. z o.o.")]
    customer_name: String,
    period_start_on: NaiveDate,
    /// The first day after the period.
    period_end_on: NaiveDate,
    /// The day on which it was to be invoiced.
    scheduled_on: NaiveDate,
    /// `failed` in the last run that tried; `skipped` by somebody, or by the `catch_up` of its subscription, also where the
    /// next run is yet to do so; `draft`: it has an invoice that is not issued yet; `due`: runs through today would bill
    /// it, of more than 120 periods of a subscription not all the first; `paused` or `parked`, as its subscription is.
    reason: NotInvoicedReason,
    /// Null where no run has taken it up and nobody has planned it.
    occurrence_id: Option<OccurrenceId>,
    /// Why it failed.
    #[schema(max_length = 60)]
    problem: Option<String>,
    /// Why somebody skipped it.
    #[schema(max_length = 500)]
    skip_reason: Option<String>,
    /// The draft.
    invoice_id: Option<InvoiceId>,
}

/// How many rows there are for each reason.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct NotInvoicedTotals {
    #[schema(minimum = 0)]
    failed: u64,
    #[schema(minimum = 0)]
    skipped: u64,
    #[schema(minimum = 0)]
    draft: u64,
    #[schema(minimum = 0)]
    due: u64,
    #[schema(minimum = 0)]
    paused: u64,
    #[schema(minimum = 0)]
    parked: u64,
}

impl NotInvoicedTotals {
    fn count(&mut self, reason: NotInvoicedReason) {
        *match reason {
            NotInvoicedReason::Failed => &mut self.failed,
            NotInvoicedReason::Skipped => &mut self.skipped,
            NotInvoicedReason::Draft => &mut self.draft,
            NotInvoicedReason::Due => &mut self.due,
            NotInvoicedReason::Paused => &mut self.paused,
            NotInvoicedReason::Parked => &mut self.parked,
        } += 1;
    }
}

impl From<NotInvoiced> for NotInvoicedBody {
    fn from(row: NotInvoiced) -> Self {
        let NotInvoiced {
            subscription_id,
            customer_id,
            customer_name,
            period_start_on,
            period_end_on,
            scheduled_on,
            reason,
            occurrence_id,
            problem,
            skip_reason,
            draft_id,
        } = row;
        Self {
            subscription_id,
            customer_id,
            customer_name,
            period_start_on,
            period_end_on,
            scheduled_on,
            reason,
            occurrence_id,
            problem,
            skip_reason,
            invoice_id: draft_id,
        }
    }
}

impl NotInvoicedBody {
    /// A period that nothing was decided about.
    fn waiting(subscription: &Subscription, customer_name: &str, reason: NotInvoicedReason, planned: &Planned) -> Self {
        Self {
            subscription_id: subscription.id,
            customer_id: subscription.fields.customer_id,
            customer_name: customer_name.to_owned(),
            period_start_on: planned.period.start_on,
            period_end_on: planned.period.end_on,
            scheduled_on: planned.issue_on,
            reason,
            occurrence_id: None,
            problem: None,
            skip_reason: None,
            invoice_id: None,
        }
    }
}

/// Report who got no invoice.
///
/// Every period that was to be invoiced on some days and has no issued invoice, with the reason. A period that no run
/// has taken up is told once its day has come, and follows from the schedule as a run would plan it; one whose draft
/// was thrown away is among them again. As JSON, or as a table (CSV or XLSX, by `Accept` or `format`)
/// without totals. Sent as it is read, however long; a subscription has at most a row a day.
#[utoipa::path(tag = "Reports", security(("sign_in" = ["reports:read"])), params(NotInvoicedParameters, Format),
    responses((status = 200, content((NotInvoicedReport = "application/json"), (String = "text/csv"),
        (Spreadsheet = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet")))))]
#[get("/reports/not-invoiced")]
async fn report_not_invoiced(
    state: web::Data<State>,
    actor: Actor,
    format: Format,
    parameters: Filters<NotInvoicedParameters>,
) -> Result<HttpResponse, ApiError> {
    let scope = actor.scope(Permission::ReportsRead)?;
    tables::report(state, scope, format, move |tx| asked(tx, &parameters.0)).await
}

impl Report for NotInvoicedQuery {
    type Row = NotInvoicedBody;
    type Tail = Totals<NotInvoicedTotals>;

    const NAME: &'static str = "not-invoiced";

    fn head(&self) -> impl Serialize {
        json!({ "from_on": self.from_on, "to_on": self.through_on })
    }

    fn each(
        &self,
        tx: &mut Tx<'_>,
        take: impl FnMut(NotInvoicedBody) -> Result<(), ApiError>,
    ) -> Result<Self::Tail, ApiError> {
        Ok(Totals { totals: each_row(tx, self, take)? })
    }

    fn columns(&self) -> Vec<Column> {
        vec![
            Column::id("subscription_id"),
            Column::id("customer_id"),
            Column::text("customer_name"),
            Column::day("period_start_on"),
            Column::day("period_end_on"),
            Column::day("scheduled_on"),
            Column::word("reason"),
            Column::id("occurrence_id"),
            Column::word("problem"),
            Column::text("skip_reason"),
            Column::id("invoice_id"),
        ]
    }

    fn cells(&self, row: NotInvoicedBody) -> Vec<Cell> {
        let NotInvoicedBody {
            subscription_id,
            customer_id,
            customer_name,
            period_start_on,
            period_end_on,
            scheduled_on,
            reason,
            occurrence_id,
            problem,
            skip_reason,
            invoice_id,
        } = row;
        vec![
            Cell::text(subscription_id),
            Cell::text(customer_id),
            customer_name.into(),
            period_start_on.into(),
            period_end_on.into(),
            scheduled_on.into(),
            Cell::text(reason),
            occurrence_id.map(Cell::text).into(),
            problem.into(),
            skip_reason.into(),
            invoice_id.map(Cell::text).into(),
        ]
    }
}

/// The question in full.
fn asked(tx: &mut Tx<'_>, parameters: &NotInvoicedParameters) -> Result<NotInvoicedQuery, ApiError> {
    let today = organizations::today(tx)?;
    let to = parameters.to.unwrap_or(today);
    let from = parameters.from.or_else(|| to.with_day(1));
    let (from_on, through_on) = period_named(("from", from), ("to", Some(to)), today)?;
    Ok(NotInvoicedQuery {
        from_on,
        through_on,
        due_through_on: through_on.min(today),
        today,
        customer_id: parameters.customer_id,
        reason: parameters.reason,
    })
}

/// Hands each row to `take` and answers how many there are for each reason.
fn each_row(
    tx: &mut Tx<'_>,
    query: &NotInvoicedQuery,
    mut take: impl FnMut(NotInvoicedBody) -> Result<(), ApiError>,
) -> Result<NotInvoicedTotals, ApiError> {
    let mut totals = NotInvoicedTotals::default();
    let mut add = |row: NotInvoicedBody| -> Result<(), ApiError> {
        totals.count(row.reason);
        take(row)
    };
    tables::each_row(|row: NotInvoiced| add(row.into()), |step| not_invoiced::taken_up(tx, query, step))?;
    let groups = match query.reason {
        None => &[Waiting::Active, Waiting::Halted][..],
        Some(NotInvoicedReason::Due | NotInvoicedReason::Skipped) => &[Waiting::Active],
        Some(NotInvoicedReason::Paused | NotInvoicedReason::Parked) => &[Waiting::Halted],
        Some(NotInvoicedReason::Failed | NotInvoicedReason::Draft) => &[],
    };
    for group in groups {
        let mut after = None;
        loop {
            let page = not_invoiced::waiting(tx, query, *group, after, SUBSCRIPTIONS_A_PAGE)?;
            each_waiting(tx, query, &page, &mut add)?;
            after = page.last().and_then(|(last, _)| Some((last.next_issue_on?, last.id)));
            if after.is_none() {
                break;
            }
        }
    }
    Ok(totals)
}

/// Hands over the periods of a page of subscriptions that nothing was decided about.
fn each_waiting(
    tx: &mut Tx<'_>,
    query: &NotInvoicedQuery,
    page: &[(Subscription, String)],
    add: &mut impl FnMut(NotInvoicedBody) -> Result<(), ApiError>,
) -> Result<(), ApiError> {
    let ids: Vec<SubscriptionId> = page.iter().map(|(subscription, _)| subscription.id).collect();
    let decided: BTreeSet<(SubscriptionId, u32)> =
        occurrences::ahead(tx, &ids)?.into_iter().map(|(id, period, _)| (id, period)).collect();
    let Some(until_on) = query.due_through_on.succ_opt() else { return Ok(()) };
    for (subscription, customer_name) in page {
        let Some(reason) = NotInvoicedReason::of_waiting(subscription.state) else { continue };
        let (schedule, progress) = (subscription.fields.schedule.schedule()?, subscription.progress());
        for planned in fell_due(&schedule, progress, query.from_on, until_on) {
            if decided.contains(&(subscription.id, planned.period.index)) {
                continue;
            }
            // What the next run would skip is not due for it.
            let is_missed = reason == NotInvoicedReason::Due
                && !is_billed(&schedule, progress, &planned, query.today, subscription.fields.catch_up);
            let reason = if is_missed { NotInvoicedReason::Skipped } else { reason };
            if query.reason.is_none_or(|asked| asked == reason) {
                add(NotInvoicedBody::waiting(subscription, customer_name, reason, &planned))?;
            }
        }
    }
    Ok(())
}
