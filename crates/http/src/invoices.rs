//! Invoices: what was issued, with its lines and VAT.

use crate::actor::Actor;
use crate::invoice_templates::LineVatBody;
use crate::listing::{Filters, Id, Listing, Sorting};
use crate::problem::ApiError;
use crate::reply::Reply;
use crate::shape::{PageBody, Shape};
use crate::state::State;
use crate::values::{AddressBody, TaxIdBody};
use actix_web::{get, web};
use chrono::{DateTime, NaiveDate, Utc};
use opiekun_domain::billing::Party;
use opiekun_domain::currency::Currency;
use opiekun_domain::decimal::{Amount, Percent, Quantity, UnitPrice};
use opiekun_domain::ids::{
    CustomerId, InvoiceId, InvoiceRunId, InvoiceTemplateId, NumberSeriesId, OccurrenceId, SubscriptionId,
};
use opiekun_domain::invoice::{InvoiceKind, InvoiceStatus, PaymentMethod, PriceMode, VatTotal};
use opiekun_domain::language::Language;
use opiekun_domain::permission::Permission;
use opiekun_domain::vat::VatCode;
use opiekun_persistence::invoices::{Invoice, InvoiceFields, InvoiceFilter, InvoiceLine, InvoiceSort};
use opiekun_persistence::{Page, Tx, invoices};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

pub fn routes(config: &mut ServiceConfig) {
    config.service(list_invoices).service(get_invoice);
}

/// An invoice. Once it is issued it never changes.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Invoice, example = json!({
    "id": "0192f0c6-3333-7000-8000-000000000003", "kind": "invoice", "status": "issued",
    "series_id": "0192f0c1-7a10-7cc1-9d5e-0f3b8a61c2aa", "number": "FV/1/11/2026",
    "customer_id": "0192f0c1-7a10-7cc1-9d5e-0f3b8a61c2ab", "template_id": "0192f0c1-7a10-7cc1-9d5e-0f3b8a61c2ac",
    "subscription_id": "0192f0c1-7a10-7cc1-9d5e-0f3b8a61c2ad", "occurrence_id": "0192f0c1-7a10-7cc1-9d5e-0f3b8a61c2ae",
    "run_id": "0192f0c4-1111-7000-8000-000000000001",
    "seller": {
        "name": "Biuro Rachunkowe Kropka sp. z o.o.",
        "tax_id": { "scheme": "nip", "country": "PL", "number": "5261040828" },
        "address": { "line1": "ul. Polna 12", "line2": "lok. 3", "postal_code": "00-950", "city": "Warszawa", "country": "PL" },
    },
    "buyer": {
        "name": "Piekarnia Złoty Kłos sp. z o.o.",
        "tax_id": { "scheme": "nip", "country": "PL", "number": "1234563218" },
        "address": { "line1": "ul. Chlebowa 4", "line2": null, "postal_code": "05-800", "city": "Pruszków", "country": "PL" },
    },
    "issued_on": "2026-11-23", "sold_on": "2026-11-30", "period_start_on": "2026-11-01", "period_end_on": "2026-12-01",
    "due_on": "2026-12-07", "currency": "PLN", "price_mode": "net", "payment_method": "transfer",
    "bank_account": "PL61109010140000071219812874", "notes": null, "language": "pl",
    "lines": [{
        "position": 1, "key": "bookkeeping", "text": "Księgowość, listopad 2026", "quantity": "1", "unit": "mies.",
        "unit_price": "450.00", "discount_percent": null, "vat": { "code": "23", "exemption_basis": null },
        "pkwiu": "69.20.23.0", "gtu": null, "net": "450.00",
    }],
    "vat_totals": [{ "code": "23", "net": "450.00", "vat": "103.50", "gross": "553.50" }],
    "net": "450.00", "vat": "103.50", "gross": "553.50",
    "version": 1, "created_at": "2026-11-23T09:15:00Z", "updated_at": "2026-11-23T09:15:00Z",
}))]
pub struct InvoiceBody {
    pub id: InvoiceId,
    pub kind: InvoiceKind,
    pub status: InvoiceStatus,
    pub series_id: Option<NumberSeriesId>,
    /// A draft has none.
    #[schema(max_length = 60)]
    pub number: Option<String>,
    pub customer_id: CustomerId,
    pub template_id: Option<InvoiceTemplateId>,
    pub subscription_id: Option<SubscriptionId>,
    /// The period that it was issued for.
    pub occurrence_id: Option<OccurrenceId>,
    /// The run that issued it.
    pub run_id: Option<InvoiceRunId>,
    /// The organization as it was at the issue.
    pub seller: PartyBody,
    /// The customer as it was at the issue.
    pub buyer: PartyBody,
    pub issued_on: Option<NaiveDate>,
    /// When the service was done: the last day of the period.
    pub sold_on: Option<NaiveDate>,
    pub period_start_on: Option<NaiveDate>,
    /// The first day after the period.
    pub period_end_on: Option<NaiveDate>,
    pub due_on: Option<NaiveDate>,
    /// Of every amount in it.
    pub currency: Currency,
    pub price_mode: PriceMode,
    pub payment_method: PaymentMethod,
    /// The IBAN to pay to.
    #[schema(max_length = 34)]
    pub bank_account: Option<String>,
    #[schema(max_length = 4000)]
    pub notes: Option<String>,
    pub language: Language,
    #[schema(max_items = 100)]
    pub lines: Vec<InvoiceLineBody>,
    /// The sums of each VAT code.
    #[schema(max_items = 20)]
    pub vat_totals: Vec<VatTotalBody>,
    pub net: Amount,
    pub vat: Amount,
    pub gross: Amount,
    /// `ETag` holds it too.
    #[schema(minimum = 1)]
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// A seller or buyer as an invoice names it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Party)]
pub struct PartyBody {
    #[schema(max_length = 240, example = "Piekarnia Złoty Kłos sp. z o.o.")]
    pub name: String,
    pub tax_id: TaxIdBody,
    pub address: Option<AddressBody>,
}

/// A line as it was issued.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InvoiceLine, example = json!({
    "position": 1, "key": "bookkeeping", "text": "Bookkeeping, November 2026", "quantity": "1", "unit": "month",
    "unit_price": "450.00", "discount_percent": null, "vat": { "code": "23", "exemption_basis": null },
    "pkwiu": "69.20.23.0", "gtu": null, "net": "450.00",
}))]
pub struct InvoiceLineBody {
    /// From 1.
    #[schema(minimum = 1, maximum = 1000)]
    pub position: i16,
    /// Of the template's line.
    #[schema(max_length = 40)]
    pub key: Option<String>,
    #[schema(max_length = 512)]
    pub text: String,
    pub quantity: Quantity,
    #[schema(max_length = 20)]
    pub unit: String,
    /// Net or gross, as `price_mode` says.
    pub unit_price: UnitPrice,
    pub discount_percent: Option<Percent>,
    pub vat: LineVatBody,
    #[schema(max_length = 20)]
    pub pkwiu: Option<String>,
    #[schema(max_length = 6)]
    pub gtu: Option<String>,
    /// Quantity × unit price, less the discount. With gross prices only for show: VAT is computed from the sums.
    pub net: Amount,
}

/// The sums of all lines with one VAT code: net + VAT = gross.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = VatTotal, example = json!({ "code": "23", "net": "450.00", "vat": "103.50", "gross": "553.50" }))]
pub struct VatTotalBody {
    pub code: VatCode,
    pub net: Amount,
    pub vat: Amount,
    pub gross: Amount,
}

impl InvoiceBody {
    fn new(row: Invoice, lines: Vec<InvoiceLine>, occurrence_id: Option<OccurrenceId>) -> Self {
        let Invoice { id, fields, version, created_at, updated_at } = row;
        let InvoiceFields {
            kind,
            status,
            series_id,
            number,
            customer_id,
            template_id,
            subscription_id,
            run_id,
            seller,
            buyer,
            issued_on,
            sold_on,
            period_start_on,
            period_end_on,
            due_on,
            currency,
            price_mode,
            payment_method,
            bank_account,
            notes,
            language,
            vat_totals,
            net,
            vat,
            gross,
        } = fields;
        Self {
            id,
            kind,
            status,
            series_id,
            number,
            customer_id,
            template_id,
            subscription_id,
            occurrence_id,
            run_id,
            seller: seller.0.into(),
            buyer: buyer.0.into(),
            issued_on,
            sold_on,
            period_start_on,
            period_end_on,
            due_on,
            currency,
            price_mode,
            payment_method,
            bank_account,
            notes,
            language,
            lines: lines.into_iter().map(InvoiceLineBody::from).collect(),
            vat_totals: vat_totals.0.into_iter().map(VatTotalBody::from).collect(),
            net,
            vat,
            gross,
            version,
            created_at,
            updated_at,
        }
    }
}

impl From<Party> for PartyBody {
    fn from(party: Party) -> Self {
        let Party { name, tax_scheme, tax_country, tax_number, address } = party;
        Self {
            name,
            tax_id: TaxIdBody::of(tax_scheme, tax_country, tax_number),
            address: address.map(AddressBody::from),
        }
    }
}

impl From<InvoiceLine> for InvoiceLineBody {
    fn from(line: InvoiceLine) -> Self {
        let InvoiceLine {
            position,
            key,
            text,
            quantity,
            unit,
            unit_price,
            discount_percent,
            vat_code,
            exemption_basis,
            pkwiu,
            gtu,
            net,
        } = line;
        let vat = LineVatBody { code: vat_code, exemption_basis };
        Self { position, key, text, quantity, unit, unit_price, discount_percent, vat, pkwiu, gtu, net }
    }
}

impl From<VatTotal> for VatTotalBody {
    fn from(total: VatTotal) -> Self {
        let VatTotal { code, net, vat, gross } = total;
        Self { code, net, vat, gross }
    }
}

impl Sorting for InvoiceSort {
    const WORDS: &'static [(&'static str, Self)] = &[("created_at", Self::CreatedAt), ("issued_on", Self::IssuedOn)];
}

/// Which invoices.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct InvoiceQuery {
    kind: Option<InvoiceKind>,
    status: Option<InvoiceStatus>,
    /// Exactly this number.
    #[param(min_length = 1, max_length = 60, example = "FV/1/11/2026")]
    number: Option<String>,
    customer_id: Option<CustomerId>,
    template_id: Option<InvoiceTemplateId>,
    subscription_id: Option<SubscriptionId>,
    /// Those that this run issued.
    run_id: Option<InvoiceRunId>,
    #[serde(rename = "issued_on[gte]")]
    issued_from: Option<NaiveDate>,
    #[serde(rename = "issued_on[lte]")]
    issued_through: Option<NaiveDate>,
}

impl From<InvoiceQuery> for InvoiceFilter {
    fn from(query: InvoiceQuery) -> Self {
        let InvoiceQuery {
            kind,
            status,
            number,
            customer_id,
            template_id,
            subscription_id,
            run_id,
            issued_from,
            issued_through,
        } = query;
        Self { kind, status, number, customer_id, template_id, subscription_id, run_id, issued_from, issued_through }
    }
}

/// The bodies of rows, with their lines and occurrences: two statements however many.
fn with_lines(tx: &mut Tx<'_>, rows: Vec<Invoice>) -> Result<Vec<InvoiceBody>, ApiError> {
    let ids: Vec<InvoiceId> = rows.iter().map(|row| row.id).collect();
    let mut lines = invoices::lines_of(tx, &ids)?;
    let occurrences = invoices::occurrences_of(tx, &ids)?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let (lines, occurrence_id) = (lines.remove(&row.id), occurrences.get(&row.id).copied());
            InvoiceBody::new(row, lines.unwrap_or_default(), occurrence_id)
        })
        .collect())
}

/// List invoices.
///
/// Newest first; invoices of one series and run stand in the order of their numbers.
#[utoipa::path(tag = "Invoices", security(("sign_in" = ["billing:read"])),
    params(InvoiceQuery, Listing<InvoiceSort>), responses((status = 200, body = PageBody<InvoiceBody>)))]
#[get("/invoices")]
async fn list_invoices(
    state: web::Data<State>,
    actor: Actor,
    filters: Filters<InvoiceQuery>,
    listing: Listing<InvoiceSort>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::BillingRead)?;
    state
        .read(scope, move |tx| {
            let Page { items, next, total } = invoices::list(tx, &filters.0.into(), &listing.page)?;
            let items = with_lines(tx, items)?;
            shape.page(tx, Page { items, next, total })
        })
        .await
}

/// Show an invoice.
///
/// As it was issued: what has changed since at the seller, the customer or the template does not show in it.
#[utoipa::path(tag = "Invoices", security(("sign_in" = ["billing:read"])),
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
        .read(scope, move |tx| {
            let row = invoices::find(tx, id.0)?;
            let body = with_lines(tx, vec![row])?.pop().ok_or_else(|| ApiError::internal("one row gives one body"))?;
            shape.one(tx, body.version, &body)
        })
        .await
}
