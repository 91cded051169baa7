//! What customers owe: the account of one, and all of them by age.

use crate::actor::Actor;
use crate::listing::{Filters, Id};
use crate::problem::ApiError;
use crate::state::State;
use crate::tables::{self, Format, Report, Spreadsheet, Totals};
use crate::time_cost::period_named;
use actix_web::{HttpResponse, get, web};
use chrono::NaiveDate;
use opiekun_documents::table::{Cell, Column};
use opiekun_domain::currency::Currency;
use opiekun_domain::decimal::AmountSum;
use opiekun_domain::ids::CustomerId;
use opiekun_domain::permission::Permission;
use opiekun_domain::statement::EntryKind;
use opiekun_persistence::statements::{self, Receivable, ReceivableAges, StatementEntry, StatementQuery};
use opiekun_persistence::{Tx, customers, organizations};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;

pub fn routes(config: &mut ServiceConfig) {
    config.service(show_customer_statement).service(report_receivables);
}

/// Which part of a customer's account.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct StatementParameters {
    /// The first day; the first of the year of `to_on` unless told.
    #[param(example = "2026-01-01")]
    from_on: Option<NaiveDate>,
    /// The last day, which still counts; today unless told. At most ten years from the first.
    #[param(example = "2026-12-31")]
    to_on: Option<NaiveDate>,
    /// The customer's unless told.
    #[param(example = "PLN")]
    currency: Option<Currency>,
}

/// A customer's account in one currency.
#[derive(Debug, Serialize, ToSchema)]
pub struct CustomerStatement {
    #[serde(flatten)]
    head: StatementHead,
    /// In the order of days; of one day, invoices and corrections before payments.
    #[schema(max_items = 1000000)]
    entries: Vec<StatementEntryBody>,
    #[serde(flatten)]
    sums: StatementSums,
}

/// Whose account it is, and how it stood at first.
#[derive(Debug, Serialize, ToSchema)]
pub struct StatementHead {
    customer_id: CustomerId,
    /// Of every amount in it.
    currency: Currency,
    from_on: NaiveDate,
    /// It still counts.
    to_on: NaiveDate,
    /// What the customer owed when the first day began; below 0, what the customer had paid too much.
    opening_balance: AmountSum,
}

/// What the entries come to.
#[derive(Debug, Serialize, ToSchema)]
pub struct StatementSums {
    /// The sum of invoices and corrections.
    invoiced: AmountSum,
    /// The sum of payments.
    paid: AmountSum,
    /// What is owed when the last day has ended: opening balance + invoiced − paid.
    closing_balance: AmountSum,
}

/// One thing that changed what the customer owes.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StatementEntry, example = json!({
    "entered_on": "2026-11-23", "kind": "invoice", "id": "0192f0c6-3333-7000-8000-000000000003", "text": "FV/1/11/2026",
    "amount": "553.50", "balance": "553.50",
}))]
pub struct StatementEntryBody {
    /// The day of issue, or that on which was paid.
    entered_on: NaiveDate,
    kind: EntryKind,
    /// Of the invoice, the correction or the payment.
    id: Uuid,
    /// The number of an invoice or correction, the reference of a payment.
    #[schema(max_length = 240)]
    text: Option<String>,
    /// What is owed more by it; less where it is below 0, as with a payment.
    amount: AmountSum,
    /// What is owed after it.
    balance: AmountSum,
}

/// Of which day.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ReceivablesParameters {
    /// The day at whose end it is told; today unless told.
    #[param(example = "2026-12-31")]
    on: Option<NaiveDate>,
}

/// What is owed to the organization.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReceivablesReport {
    /// The day at whose end it is told.
    as_of_on: NaiveDate,
    /// By the customers' names; one for each currency.
    #[schema(max_items = 1000000)]
    rows: Vec<ReceivableBody>,
    /// The sums of the rows, for each currency.
    #[schema(max_items = 200)]
    totals: Vec<ReceivableTotalBody>,
}

/// What a customer owes in one currency.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Receivable)]
pub struct ReceivableBody {
    customer_id: CustomerId,
    #[schema(max_length = 240, example = "Piekarnia Złoty Kłos sp. z o.o.")]
    customer_name: String,
    currency: Currency,
    #[serde(flatten)]
    ages: ReceivableAgesBody,
}

/// What all customers owe in one currency.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReceivableTotal)]
pub struct ReceivableTotalBody {
    currency: Currency,
    #[serde(flatten)]
    ages: ReceivableAgesBody,
}

/// What is owed, by how many days have gone by since the day of payment.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReceivableAges)]
pub struct ReceivableAgesBody {
    not_yet_due: AmountSum,
    days_1_to_30: AmountSum,
    days_31_to_60: AmountSum,
    days_61_to_90: AmountSum,
    days_over_90: AmountSum,
    total: AmountSum,
}

impl From<ReceivableAges> for ReceivableAgesBody {
    fn from(ages: ReceivableAges) -> Self {
        let ReceivableAges { not_yet_due, days_1_to_30, days_31_to_60, days_61_to_90, days_over_90, total } = ages;
        Self { not_yet_due, days_1_to_30, days_31_to_60, days_61_to_90, days_over_90, total }
    }
}

/// Show a customer's account.
///
/// What was owed at first, every issued invoice and correction and every payment in their order, and what is owed then.
/// A pro forma is not owed for. As JSON, or as a table (CSV or XLSX, by `Accept` or `format`), whose first and last rows
/// are the balances. Sent as it is read, however long.
#[utoipa::path(tag = "Payments", security(("sign_in" = ["billing:read"])), params(StatementParameters, Format),
    responses((status = 200, content((CustomerStatement = "application/json"), (String = "text/csv"),
        (Spreadsheet = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet")))))]
#[get("/customers/{id}/statement")]
async fn show_customer_statement(
    state: web::Data<State>,
    actor: Actor,
    id: Id<CustomerId>,
    format: Format,
    parameters: Filters<StatementParameters>,
) -> Result<HttpResponse, ApiError> {
    let scope = actor.scope(Permission::BillingRead)?;
    tables::report(state, scope, format, move |tx| Statement::open(tx, id.0, &parameters.0)).await
}

/// Report receivables by age.
///
/// What was owed when a day ended, for each customer and currency: not yet due, and 1–30, 31–60, 61–90 and more than 90
/// days after the day of payment. Payments count from their day and corrections from that of their issue, so that the
/// report of a day gone by stays as it was unless something is entered for that day later. Credit that no invoice has
/// got is not taken off. As JSON, or as a table (CSV or XLSX, by `Accept` or `format`) without totals. Sent as it is read.
#[utoipa::path(tag = "Reports", security(("sign_in" = ["reports:read"])), params(ReceivablesParameters, Format),
    responses((status = 200, content((ReceivablesReport = "application/json"), (String = "text/csv"),
        (Spreadsheet = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet")))))]
#[get("/reports/receivables")]
async fn report_receivables(
    state: web::Data<State>,
    actor: Actor,
    format: Format,
    parameters: Filters<ReceivablesParameters>,
) -> Result<HttpResponse, ApiError> {
    let scope = actor.scope(Permission::ReportsRead)?;
    tables::report(state, scope, format, move |tx| {
        let as_of_on = match parameters.0.on {
            Some(on) => on,
            None => organizations::today(tx)?,
        };
        Ok(Receivables { as_of_on })
    })
    .await
}

/// A part of a customer's account, and how that stood at first.
struct Statement {
    query: StatementQuery,
    opening_balance: AmountSum,
}

impl Statement {
    fn open(tx: &mut Tx<'_>, id: CustomerId, parameters: &StatementParameters) -> Result<Self, ApiError> {
        let customer = customers::find(tx, id)?;
        let today = organizations::today(tx)?;
        let (from_on, through_on) = period_named(("from_on", parameters.from_on), ("to_on", parameters.to_on), today)?;
        let currency = parameters.currency.unwrap_or(customer.fields.currency);
        let query = StatementQuery { customer_id: id, currency, from_on, through_on };
        let opening_balance = statements::opening_balance(tx, &query)?;
        Ok(Self { query, opening_balance })
    }

    /// A row that tells a balance and nothing else.
    fn balance(&self, kind: &str, on: NaiveDate, balance: AmountSum) -> Vec<Cell> {
        vec![
            on.into(),
            Cell::text(kind),
            Cell::Empty,
            Cell::Empty,
            Cell::Empty,
            balance.into(),
            Cell::text(self.query.currency),
        ]
    }
}

impl Report for Statement {
    type Row = StatementEntryBody;
    type Tail = StatementSums;

    const ROWS: &'static str = "entries";
    const NAME: &'static str = "statement";

    fn head(&self) -> impl Serialize {
        let StatementQuery { customer_id, currency, from_on, through_on } = self.query;
        StatementHead { customer_id, currency, from_on, to_on: through_on, opening_balance: self.opening_balance }
    }

    fn each(
        &self,
        tx: &mut Tx<'_>,
        mut take: impl FnMut(StatementEntryBody) -> Result<(), ApiError>,
    ) -> Result<StatementSums, ApiError> {
        let (mut invoiced, mut paid, mut balance) = (AmountSum::ZERO, AmountSum::ZERO, self.opening_balance);
        let add = |entry: StatementEntry| {
            let StatementEntry { entered_on, kind, id, text, amount } = entry;
            balance = balance.checked_add(amount).map_err(ApiError::internal)?;
            match kind {
                EntryKind::Payment => paid = paid.checked_sub(amount).map_err(ApiError::internal)?,
                EntryKind::Invoice | EntryKind::Correction => {
                    invoiced = invoiced.checked_add(amount).map_err(ApiError::internal)?;
                }
            }
            take(StatementEntryBody { entered_on, kind, id, text, amount, balance })
        };
        tables::each_row(add, |step| statements::entries(tx, &self.query, step))?;
        Ok(StatementSums { invoiced, paid, closing_balance: balance })
    }

    fn columns(&self) -> Vec<Column> {
        vec![
            Column::day("entered_on"),
            Column::word("kind"),
            Column::id("id"),
            Column::text("text"),
            Column::decimal("amount"),
            Column::decimal("balance"),
            Column::word("currency"),
        ]
    }

    fn cells(&self, entry: StatementEntryBody) -> Vec<Cell> {
        let StatementEntryBody { entered_on, kind, id, text, amount, balance } = entry;
        vec![
            entered_on.into(),
            Cell::text(kind),
            Cell::text(id),
            text.into(),
            amount.into(),
            balance.into(),
            Cell::text(self.query.currency),
        ]
    }

    fn first_row(&self) -> Option<Vec<Cell>> {
        Some(self.balance("opening_balance", self.query.from_on, self.opening_balance))
    }

    fn last_row(&self, sums: &StatementSums) -> Option<Vec<Cell>> {
        Some(self.balance("closing_balance", self.query.through_on, sums.closing_balance))
    }
}

/// What was owed when a day ended.
struct Receivables {
    as_of_on: NaiveDate,
}

impl Report for Receivables {
    type Row = ReceivableBody;
    /// In the order of currencies.
    type Tail = Totals<Vec<ReceivableTotalBody>>;

    const NAME: &'static str = "receivables";

    fn head(&self) -> impl Serialize {
        json!({ "as_of_on": self.as_of_on })
    }

    fn each(
        &self,
        tx: &mut Tx<'_>,
        mut take: impl FnMut(ReceivableBody) -> Result<(), ApiError>,
    ) -> Result<Self::Tail, ApiError> {
        let mut totals: BTreeMap<Currency, ReceivableAges> = BTreeMap::new();
        let add = |row: Receivable| {
            let Receivable { customer_id, customer_name, currency, ages } = row;
            totals.entry(currency).or_default().add(&ages).map_err(ApiError::internal)?;
            take(ReceivableBody { customer_id, customer_name, currency, ages: ages.into() })
        };
        tables::each_row(add, |step| statements::receivables(tx, self.as_of_on, step))?;
        let total = |(currency, ages): (Currency, ReceivableAges)| ReceivableTotalBody { currency, ages: ages.into() };
        Ok(Totals { totals: totals.into_iter().map(total).collect() })
    }

    fn columns(&self) -> Vec<Column> {
        vec![
            Column::day("as_of_on"),
            Column::id("customer_id"),
            Column::text("customer_name"),
            Column::word("currency"),
            Column::decimal("not_yet_due"),
            Column::decimal("days_1_to_30"),
            Column::decimal("days_31_to_60"),
            Column::decimal("days_61_to_90"),
            Column::decimal("days_over_90"),
            Column::decimal("total"),
        ]
    }

    fn cells(&self, row: ReceivableBody) -> Vec<Cell> {
        let ReceivableBody { customer_id, customer_name, currency, ages } = row;
        vec![
            self.as_of_on.into(),
            Cell::text(customer_id),
            customer_name.into(),
            Cell::text(currency),
            ages.not_yet_due.into(),
            ages.days_1_to_30.into(),
            ages.days_31_to_60.into(),
            ages.days_61_to_90.into(),
            ages.days_over_90.into(),
            ages.total.into(),
        ]
    }
}
