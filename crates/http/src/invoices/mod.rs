//! Invoices: drafts and what was issued, with lines and VAT.

mod body;
mod correction;
mod document;
mod draft;
mod ksef_number;
mod time_entries;

use crate::actor::Actor;
use crate::listing::{Filters, Id, Listing, Sorting};
use crate::problem::ApiError;
use crate::reply::Reply;
use crate::shape::{PageBody, Shape};
use crate::state::State;
use crate::tables::{self, Format, Spreadsheet};
use actix_web::{HttpResponse, get, web};
use body::InvoiceBody;
use chrono::NaiveDate;
use opiekun_domain::ids::{CustomerId, InvoiceId, InvoiceRunId, InvoiceTemplateId, SubscriptionId};
use opiekun_domain::invoice::{InvoiceKind, InvoiceStatus, PaymentStatus};
use opiekun_domain::permission::Permission;
use opiekun_persistence::invoices::{Invoice, InvoiceFilter, InvoiceSort};
use opiekun_persistence::{Page, Tx, invoice_ksef_numbers, invoices, organizations, payments};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_actix_web::service_config::ServiceConfig;

pub fn routes(config: &mut ServiceConfig) {
    config
        .service(list_invoices)
        .service(draft::create_invoice)
        .service(get_invoice)
        .service(draft::update_invoice)
        .service(draft::void_invoice)
        .service(draft::issue_invoice)
        .service(draft::make_final_invoice)
        .service(correction::create_correction)
        .service(document::get_invoice_document)
        .service(ksef_number::put_invoice_ksef_number)
        .service(time_entries::list_invoice_time_entries);
}

impl Sorting for InvoiceSort {
    const WORDS: &'static [(&'static str, Self)] = &[("created_at", Self::CreatedAt), ("issued_on", Self::IssuedOn)];
}

/// Which invoices.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct InvoiceQuery {
    kind: Option<InvoiceKind>,
    status: Option<InvoiceStatus>,
    /// How issued invoices stand today.
    payment_status: Option<PaymentStatus>,
    /// Exactly this number, such as `FV/1/11/2026`.
    #[param(min_length = 1, max_length = 60)]
    number: Option<String>,
    customer_id: Option<CustomerId>,
    template_id: Option<InvoiceTemplateId>,
    subscription_id: Option<SubscriptionId>,
    /// Those that this run issued or drafted.
    run_id: Option<InvoiceRunId>,
    /// Those that were made from this pro forma.
    pro_forma_id: Option<InvoiceId>,
    /// The corrections of this invoice.
    corrects_id: Option<InvoiceId>,
    #[serde(rename = "issued_on[gte]")]
    issued_from: Option<NaiveDate>,
    #[serde(rename = "issued_on[lte]")]
    issued_through: Option<NaiveDate>,
}

impl InvoiceQuery {
    fn filter(self, today: NaiveDate) -> InvoiceFilter {
        let Self {
            kind,
            status,
            payment_status,
            number,
            customer_id,
            template_id,
            subscription_id,
            run_id,
            pro_forma_id,
            corrects_id,
            issued_from,
            issued_through,
        } = self;
        InvoiceFilter {
            kind,
            status,
            payment_status: payment_status.map(|status| (status, today)),
            number,
            customer_id,
            template_id,
            subscription_id,
            run_id,
            pro_forma_id,
            corrects_id,
            issued_from,
            issued_through,
        }
    }
}

/// The bodies of rows, with their lines, corrections, balances, occurrences and numbers of KSeF: six statements however
/// many.
fn with_lines(tx: &mut Tx<'_>, rows: Vec<Invoice>) -> Result<Vec<InvoiceBody>, ApiError> {
    let ids: Vec<InvoiceId> = rows.iter().map(|row| row.id).collect();
    let mut lines = invoices::lines_of(tx, &ids)?;
    let mut corrections = invoices::corrections_of(tx, &ids)?;
    let balances = payments::balances_of(tx, &ids)?;
    let today = organizations::today(tx)?;
    let occurrences = invoices::occurrences_of(tx, &ids)?;
    let mut ksef_numbers = invoice_ksef_numbers::of(tx, &ids)?;
    rows.into_iter()
        .map(|row| {
            let lines = lines.remove(&row.id).unwrap_or_default();
            let corrections = corrections.remove(&row.id).unwrap_or_default();
            let occurrence_id = occurrences.get(&row.id).copied();
            let balance = balances.get(&row.id).copied();
            let ksef_number = ksef_numbers.remove(&row.id);
            InvoiceBody::new(row, lines, occurrence_id, corrections, balance, ksef_number, today)
                .map_err(ApiError::internal)
        })
        .collect()
}

/// The body of one row.
fn one(tx: &mut Tx<'_>, row: Invoice) -> Result<InvoiceBody, ApiError> {
    with_lines(tx, vec![row])?.pop().ok_or_else(|| ApiError::internal("one row gives one body"))
}

/// List invoices.
///
/// Drafts and those that were thrown away (`void`) too, unless a `status` is asked for. Newest first; invoices of one series and run stand in the order of their numbers.
/// Pages of JSON, or all in a table (CSV or XLSX, by `Accept` or `format`), which has a row for each invoice and no lines.
#[utoipa::path(tag = "Invoices", security(("sign_in" = ["billing:read"])),
    params(InvoiceQuery, Listing<InvoiceSort>, Format),
    responses((status = 200, content((PageBody<InvoiceBody> = "application/json"), (String = "text/csv"),
        (Spreadsheet = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet")))))]
#[get("/invoices")]
async fn list_invoices(
    state: web::Data<State>,
    actor: Actor,
    filters: Filters<InvoiceQuery>,
    format: Format,
    listing: Listing<InvoiceSort>,
    shape: Shape,
) -> Result<HttpResponse, ApiError> {
    let scope = actor.scope(Permission::BillingRead)?;
    tables::list(state, scope, format, listing, shape, move |tx, page| {
        let filter = filters.0.clone().filter(organizations::today(tx)?);
        let Page { items, next, total } = invoices::list(tx, &filter, page)?;
        Ok(Page { items: with_lines(tx, items)?, next, total })
    })
    .await
}

/// Show an invoice.
///
/// As it was issued: what has changed since at the seller, the customer or the template does not show in it. Its
/// corrections stand beside it, with what it comes to with them. Of a draft the sums are those that it would be issued
/// with.
#[utoipa::path(tag = "Invoices", security(("sign_in" = ["billing:read"])), extensions(("x-derived" = json!(true))),
    responses((status = 200, body = InvoiceBody)))]
#[get("/invoices/{id}")]
async fn get_invoice(
    state: web::Data<State>,
    actor: Actor,
    id: Id<InvoiceId>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::BillingRead)?;
    state
        .snapshot(scope, move |tx| {
            let row = invoices::find(tx, id.0)?;
            let body = one(tx, row)?;
            shape.one(tx, body.version, &body)
        })
        .await
}
