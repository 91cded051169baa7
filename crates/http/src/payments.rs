//! Payments: money that came from a customer, and the invoices that it is for.

use crate::actor::Actor;
use crate::body::{Patch, Valid, wrong_field};
use crate::listing::{Filters, Id, Listing, Sorting};
use crate::once::Once;
use crate::precondition::IfMatch;
use crate::problem::{ApiError, Wrong};
use crate::reply::Reply;
use crate::shape::{PageBody, Shape};
use crate::state::State;
use crate::tables::{self, Format, Spreadsheet, Tabular};
use actix_web::{HttpResponse, delete, get, patch, post, web};
use chrono::{DateTime, NaiveDate, Utc};
use opiekun_documents::table::{Cell, Column};
use opiekun_domain::currency::Currency;
use opiekun_domain::decimal::{Amount, AmountSum};
use opiekun_domain::ids::{CustomerId, InvoiceId, PaymentId};
use opiekun_domain::permission::Permission;
use opiekun_persistence::payments::{Allocation, Payment, PaymentFields, PaymentFilter, PaymentSort};
use opiekun_persistence::{Page, StoreError, Tx, customers, invoices, organizations, payments};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use validator::{Validate, ValidationError};

pub fn routes(config: &mut ServiceConfig) {
    config
        .service(list_payments)
        .service(create_payment)
        .service(get_payment)
        .service(update_payment)
        .service(delete_payment)
        .service(list_invoice_payments);
}

/// What a caller may write of a payment.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[validate(schema(function = one_way_to_allocate, skip_on_field_errors = false))]
pub struct PaymentInput {
    pub customer_id: CustomerId,
    /// More than 0.
    #[validate(custom(function = positive))]
    pub amount: Amount,
    /// The customer's unless told.
    #[serde(default)]
    pub currency: Option<Currency>,
    /// The day on which the money came; not ahead of today.
    pub paid_on: NaiveDate,
    /// What the customer wrote on the transfer, or the bank's own number of it.
    #[schema(min_length = 1, max_length = 240, example = "FV/1/11/2026")]
    #[serde(default)]
    pub reference: Option<String>,
    /// The invoice that it pays for, as far as it is owed: what is left over is the customer's credit.
    #[serde(default)]
    pub invoice_id: Option<InvoiceId>,
    /// The invoices that it pays for, in place of `invoice_id`. What none of them gets is the customer's credit.
    #[schema(max_items = 200)]
    #[serde(default)]
    #[validate(nested)]
    pub allocations: Vec<AllocationBody>,
}

/// What of a payment may change. Its amount, currency and customer stay: take it back and write another.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[validate(schema(function = different_invoices, skip_on_field_errors = false))]
pub struct PaymentUpdateInput {
    pub paid_on: NaiveDate,
    #[schema(min_length = 1, max_length = 240, example = "FV/1/11/2026, FV/2/11/2026")]
    pub reference: Option<String>,
    /// All invoices that it pays for.
    #[schema(max_items = 200)]
    #[validate(nested)]
    pub allocations: Vec<AllocationBody>,
}

/// How much of a payment is for an invoice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema, Validate)]
#[schema(as = Allocation, example = json!({ "invoice_id": "0192f0c6-3333-7000-8000-000000000003", "amount": "553.50" }))]
#[serde(deny_unknown_fields)]
pub struct AllocationBody {
    /// Issued to the payment's customer in its currency.
    pub invoice_id: InvoiceId,
    /// More than 0, and not more than is owed for the invoice.
    #[validate(custom(function = positive))]
    pub amount: Amount,
}

fn positive(amount: &Amount) -> Result<(), ValidationError> {
    if *amount > Amount::ZERO {
        Ok(())
    } else {
        Err(ValidationError::new("minimum").with_message("More than 0".into()))
    }
}

fn are_different(allocations: &[AllocationBody]) -> Result<(), ValidationError> {
    let mut ids: Vec<InvoiceId> = allocations.iter().map(|it| it.invoice_id).collect();
    ids.sort_unstable();
    ids.dedup();
    if ids.len() < allocations.len() {
        return Err(wrong_field("allocations", "uniqueItems", "Each invoice comes once"));
    }
    Ok(())
}

fn one_way_to_allocate(input: &PaymentInput) -> Result<(), ValidationError> {
    if input.invoice_id.is_some() && !input.allocations.is_empty() {
        return Err(wrong_field("invoice_id", "exclusive", "Either this or `allocations`"));
    }
    are_different(&input.allocations)
}

fn different_invoices(input: &PaymentUpdateInput) -> Result<(), ValidationError> {
    are_different(&input.allocations)
}

/// Money that came from a customer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Payment)]
pub struct PaymentBody {
    pub id: PaymentId,
    pub customer_id: CustomerId,
    pub amount: Amount,
    /// Of every amount in it.
    pub currency: Currency,
    pub paid_on: NaiveDate,
    #[schema(max_length = 240)]
    pub reference: Option<String>,
    /// The invoices that it pays for.
    #[schema(max_items = 200)]
    pub allocations: Vec<AllocationBody>,
    /// What is left of the amount: the customer's credit, to be allocated later.
    pub unallocated: Amount,
    /// Counts up with every change; `ETag` holds it too.
    #[schema(minimum = 1)]
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl PaymentBody {
    fn new(row: Payment, allocations: Vec<Allocation>) -> Result<Self, ApiError> {
        let Payment { id, fields, allocated, version, created_at, updated_at } = row;
        let PaymentFields { customer_id, amount, currency, paid_on, reference } = fields;
        Ok(Self {
            id,
            customer_id,
            amount,
            currency,
            paid_on,
            reference,
            allocations: allocations.into_iter().map(AllocationBody::from).collect(),
            unallocated: amount.checked_sub(allocated).map_err(ApiError::internal)?,
            version,
            created_at,
            updated_at,
        })
    }
}

impl Tabular for PaymentBody {
    const NAME: &'static str = "payments";
    const COLUMNS: &'static [Column] = &[
        Column::id("id"),
        Column::id("customer_id"),
        Column::day("paid_on"),
        Column::decimal("amount"),
        Column::decimal("unallocated"),
        Column::word("currency"),
        Column::text("reference"),
        Column::moment("created_at"),
        Column::moment("updated_at"),
    ];

    fn cells(self) -> Vec<Cell> {
        // What each invoice gets is told by the payments of the invoice.
        let Self {
            id,
            customer_id,
            amount,
            currency,
            paid_on,
            reference,
            allocations: _,
            unallocated,
            version: _,
            created_at,
            updated_at,
        } = self;
        vec![
            Cell::text(id),
            Cell::text(customer_id),
            paid_on.into(),
            amount.into(),
            unallocated.into(),
            Cell::text(currency),
            reference.into(),
            created_at.into(),
            updated_at.into(),
        ]
    }
}

impl From<Allocation> for AllocationBody {
    fn from(allocation: Allocation) -> Self {
        let Allocation { invoice_id, amount } = allocation;
        Self { invoice_id, amount }
    }
}

impl From<AllocationBody> for Allocation {
    fn from(body: AllocationBody) -> Self {
        let AllocationBody { invoice_id, amount } = body;
        Self { invoice_id, amount }
    }
}

impl Sorting for PaymentSort {
    const WORDS: &'static [(&'static str, Self)] = &[("created_at", Self::CreatedAt), ("paid_on", Self::PaidOn)];
}

/// Which payments.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PaymentQuery {
    customer_id: Option<CustomerId>,
    /// Those that pay for this invoice.
    invoice_id: Option<InvoiceId>,
    currency: Option<Currency>,
    /// Those of which something is left, or (`false`) nothing.
    has_credit: Option<bool>,
    #[serde(rename = "paid_on[gte]")]
    paid_from: Option<NaiveDate>,
    #[serde(rename = "paid_on[lte]")]
    paid_through: Option<NaiveDate>,
}

impl From<PaymentQuery> for PaymentFilter {
    fn from(query: PaymentQuery) -> Self {
        let PaymentQuery { customer_id, invoice_id, currency, has_credit, paid_from, paid_through } = query;
        Self { customer_id, invoice_id, currency, has_credit, paid_from, paid_through }
    }
}

/// The bodies of rows, with their allocations: one statement however many.
fn with_allocations(tx: &mut Tx<'_>, rows: Vec<Payment>) -> Result<Vec<PaymentBody>, ApiError> {
    let ids: Vec<PaymentId> = rows.iter().map(|row| row.id).collect();
    let mut allocations = payments::allocations_of(tx, &ids)?;
    rows.into_iter()
        .map(|row| {
            let allocations = allocations.remove(&row.id).unwrap_or_default();
            PaymentBody::new(row, allocations)
        })
        .collect()
}

fn one(tx: &mut Tx<'_>, row: Payment) -> Result<PaymentBody, ApiError> {
    with_allocations(tx, vec![row])?.pop().ok_or_else(|| ApiError::internal("one row gives one body"))
}

/// Holds allocations against what is owed, under the locks of the invoices' balances. What the payment has for them
/// already (`current`) it may keep.
fn check_allocations(
    tx: &mut Tx<'_>,
    payment: &PaymentFields,
    allocations: &[Allocation],
    current: &[Allocation],
) -> Result<(), ApiError> {
    let mut ids: Vec<InvoiceId> = allocations.iter().chain(current).map(|it| it.invoice_id).collect();
    ids.sort_unstable();
    ids.dedup();
    let balances = payments::lock_balances(tx, &ids)?;
    let mut violations = Vec::new();
    let mut sum = AmountSum::ZERO;
    for (index, allocation) in allocations.iter().enumerate() {
        let pointer = |field: &str| format!("/allocations/{index}/{field}");
        let Some(balance) = balances.get(&allocation.invoice_id) else {
            return Err(ApiError::reference_not_found(pointer("invoice_id")));
        };
        if balance.customer_id != payment.customer_id {
            violations.push(Wrong::field(pointer("invoice_id"), "customer", "The invoice is another customer's"));
        } else if balance.currency != payment.currency {
            violations.push(Wrong::field(pointer("invoice_id"), "currency", "The invoice is in another currency"));
        }
        let kept = current.iter().find(|it| it.invoice_id == allocation.invoice_id).map(|it| it.amount);
        let others = balance.paid.checked_sub(kept.unwrap_or_default()).map_err(ApiError::internal)?;
        let paid = others.checked_add(allocation.amount);
        // What was paid before a correction stays paid.
        if kept != Some(allocation.amount) && paid.map_or(true, |paid| paid > balance.gross) {
            violations.push(Wrong::field(pointer("amount"), "maximum", "More than is owed for the invoice"));
        }
        let amount = AmountSum::from(allocation.amount);
        sum = sum.checked_add(amount).map_err(ApiError::internal)?;
    }
    if sum > AmountSum::from(payment.amount) {
        violations.push(Wrong::field("/allocations", "maximum", "More than was paid"));
    }
    if violations.is_empty() { Ok(()) } else { Err(ApiError::invalid(violations)) }
}

/// What of a payment an invoice gets by itself: as much as is owed for it.
fn allocated_to(tx: &mut Tx<'_>, payment: &PaymentFields, invoice_id: InvoiceId) -> Result<Vec<Allocation>, ApiError> {
    let balance = payments::lock_balances(tx, &[invoice_id])?.remove(&invoice_id);
    let balance = balance.ok_or_else(|| ApiError::reference_not_found("/invoice_id"))?;
    if balance.customer_id != payment.customer_id {
        return Err(ApiError::invalid_field("/invoice_id", "customer", "The invoice is another customer's"));
    }
    if balance.currency != payment.currency {
        return Err(ApiError::invalid_field("/invoice_id", "currency", "The invoice is in another currency"));
    }
    let owed = balance.gross.checked_sub(balance.paid).map_err(ApiError::internal)?;
    let amount = owed.min(payment.amount);
    Ok((amount > Amount::ZERO).then_some(Allocation { invoice_id, amount }).into_iter().collect())
}

/// Money that has not come yet pays for nothing.
fn check_day(tx: &mut Tx<'_>, paid_on: NaiveDate) -> Result<(), ApiError> {
    if paid_on > organizations::today(tx)? {
        return Err(ApiError::invalid_field("/paid_on", "maximum", "Ahead of today"));
    }
    Ok(())
}

/// List payments.
///
/// Newest first. Pages of JSON, or all in a table (CSV or XLSX, by `Accept` or `format`).
#[utoipa::path(tag = "Payments", security(("sign_in" = ["billing:read"])),
    params(PaymentQuery, Listing<PaymentSort>, Format),
    responses((status = 200, content((PageBody<PaymentBody> = "application/json"), (String = "text/csv"),
        (Spreadsheet = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet")))))]
#[get("/payments")]
async fn list_payments(
    state: web::Data<State>,
    actor: Actor,
    filters: Filters<PaymentQuery>,
    format: Format,
    listing: Listing<PaymentSort>,
    shape: Shape,
) -> Result<HttpResponse, ApiError> {
    let scope = actor.scope(Permission::BillingRead)?;
    let filter = filters.0.into();
    tables::list(state, scope, format, listing, shape, move |tx, page| {
        let Page { items, next, total } = payments::list(tx, &filter, page)?;
        Ok(Page { items: with_allocations(tx, items)?, next, total })
    })
    .await
}

/// List the payments for an invoice.
///
/// Each whole, with whatever else it pays for; `allocations` tell how much of it is for this one. Newest first.
#[utoipa::path(tag = "Payments", security(("sign_in" = ["billing:read"])), params(Listing<PaymentSort>),
    responses((status = 200, body = PageBody<PaymentBody>)))]
#[get("/invoices/{id}/payments")]
async fn list_invoice_payments(
    state: web::Data<State>,
    actor: Actor,
    id: Id<InvoiceId>,
    listing: Listing<PaymentSort>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::BillingRead)?;
    state
        .snapshot(scope, move |tx| {
            invoices::find(tx, id.0)?;
            let filter = PaymentFilter { invoice_id: Some(id.0), ..PaymentFilter::default() };
            let Page { items, next, total } = payments::list(tx, &filter, &listing.page)?;
            let items = with_allocations(tx, items)?;
            shape.page(tx, Page { items, next, total })
        })
        .await
}

/// Write a payment down.
///
/// For one invoice, for several, or for none yet. No invoice is paid beyond what is owed for it after its corrections, by
/// however many at once; what is over stays as the customer's credit.
#[utoipa::path(tag = "Payments", security(("sign_in" = ["billing:write"])),
    extensions(("x-idempotency-required" = json!(true))), request_body = PaymentInput,
    responses((status = 201, body = PaymentBody)))]
#[post("/payments")]
async fn create_payment(
    state: web::Data<State>,
    actor: Actor,
    once: Once,
    input: Valid<PaymentInput>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::BillingWrite)?;
    let PaymentInput { customer_id, amount, currency, paid_on, reference, invoice_id, allocations } = input.0;
    state
        .submit(scope, once, move |tx| {
            let customer = customers::find_all(tx, &[customer_id])?.pop();
            let customer = customer.ok_or_else(|| StoreError::no_reference("payments", "customer_id"))?;
            check_day(tx, paid_on)?;
            let currency = currency.unwrap_or(customer.fields.currency);
            let fields = PaymentFields { customer_id, amount, currency, paid_on, reference };
            let allocations = match invoice_id {
                Some(invoice_id) => allocated_to(tx, &fields, invoice_id)?,
                None => {
                    let mut allocations: Vec<_> = allocations.into_iter().map(Allocation::from).collect();
                    check_allocations(tx, &fields, &allocations, &[])?;
                    allocations.sort_by_key(|allocation| allocation.invoice_id);
                    allocations
                }
            };
            let payment = payments::create(tx, fields, &allocations)?;
            let body = one(tx, payment)?;
            Ok(Reply::created(&format!("/api/v1/payments/{}", body.id), body.version, &body))
        })
        .await
}

/// Show a payment.
///
/// With the invoices that it pays for, and what is left of it.
#[utoipa::path(tag = "Payments", security(("sign_in" = ["billing:read"])),
    responses((status = 200, body = PaymentBody)))]
#[get("/payments/{id}")]
async fn get_payment(
    state: web::Data<State>,
    actor: Actor,
    id: Id<PaymentId>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::BillingRead)?;
    state
        .snapshot(scope, move |tx| {
            let row = payments::find(tx, id.0)?;
            let body = one(tx, row)?;
            shape.one(tx, body.version, &body)
        })
        .await
}

/// Change what a payment is for.
///
/// `allocations` are replaced whole: so credit comes to an invoice, or what was booked on the wrong one leaves it.
#[utoipa::path(tag = "Payments", security(("sign_in" = ["billing:write"])), params(IfMatch),
    request_body(content = PaymentUpdateInput, content_type = "application/merge-patch+json"),
    responses((status = 200, body = PaymentBody)))]
#[patch("/payments/{id}")]
async fn update_payment(
    state: web::Data<State>,
    actor: Actor,
    id: Id<PaymentId>,
    seen: IfMatch,
    patch: Patch<PaymentUpdateInput>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::BillingWrite)?;
    state
        .transaction(scope, move |tx| {
            let payment = payments::lock(tx, id.0, seen.0)?;
            let current = payments::allocations_of(tx, &[payment.id])?.remove(&payment.id).unwrap_or_default();
            let before = PaymentUpdateInput {
                paid_on: payment.fields.paid_on,
                reference: payment.fields.reference.clone(),
                allocations: current.iter().copied().map(AllocationBody::from).collect(),
            };
            let PaymentUpdateInput { paid_on, reference, allocations } = patch.apply(&before)?;
            check_day(tx, paid_on)?;
            let mut allocations: Vec<_> = allocations.into_iter().map(Allocation::from).collect();
            check_allocations(tx, &payment.fields, &allocations, &current)?;
            allocations.sort_by_key(|allocation| allocation.invoice_id);
            let payment = payments::update(tx, &payment, paid_on, reference, &allocations, &current)?;
            let body = one(tx, payment)?;
            Ok(Reply::at_version(body.version, &body))
        })
        .await
}

/// Take a payment back.
///
/// For what was written down by mistake, or came back: the invoices are owed again. The audit log keeps it.
#[utoipa::path(tag = "Payments", security(("sign_in" = ["billing:write"])), params(IfMatch),
    responses((status = 204)))]
#[delete("/payments/{id}")]
async fn delete_payment(
    state: web::Data<State>,
    actor: Actor,
    id: Id<PaymentId>,
    seen: IfMatch,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::BillingWrite)?;
    state
        .transaction(scope, move |tx| {
            let payment = payments::lock(tx, id.0, seen.0)?;
            let current = payments::allocations_of(tx, &[payment.id])?.remove(&payment.id).unwrap_or_default();
            let ids: Vec<InvoiceId> = current.iter().map(|it| it.invoice_id).collect();
            payments::lock_balances(tx, &ids)?;
            payments::delete(tx, &payment, &current)?;
            Ok(Reply::empty())
        })
        .await
}
