//! Extra lines: what a subscription has once, on its next invoice.

use crate::actor::Actor;
use crate::body::Valid;
use crate::invoice_templates::{LineVatBody, basis_where_exempt, known_placeholders};
use crate::listing::{Filters, Id, Listing};
use crate::once::Once;
use crate::precondition::IfMatch;
use crate::problem::ApiError;
use crate::reply::Reply;
use crate::shape::{PageBody, Shape};
use crate::state::State;
use actix_web::{delete, get, post, web};
use chrono::{DateTime, Utc};
use opiekun_domain::billing::LineVat;
use opiekun_domain::decimal::{Percent, Quantity, UnitPrice};
use opiekun_domain::ids::{ExtraLineId, InvoiceId, SubscriptionId};
use opiekun_domain::invoice_draft::DraftLine;
use opiekun_domain::permission::Permission;
use opiekun_domain::subscription::SubscriptionState;
use opiekun_persistence::extra_lines::{ExtraLine, ExtraLineFields, ExtraLineFilter};
use opiekun_persistence::invoices::Invoice;
use opiekun_persistence::{Page, Tx, extra_lines, subscriptions};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use validator::{Validate, ValidationError};

pub fn routes(config: &mut ServiceConfig) {
    config.service(list_extra_lines).service(create_extra_line).service(get_extra_line).service(delete_extra_line);
}

/// How many lines may wait for the next invoice of a subscription: as many as an invoice has.
const OPEN_MAX: i64 = 100;

/// A line that a subscription is to have once.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[schema(example = json!({
    "text": "Annual report for {{period.year}}", "quantity": "1", "unit": "pcs", "unit_price": "300.00",
    "discount_percent": null, "vat": { "code": "23", "exemption_basis": null }, "pkwiu": "69.20.23.0", "gtu": null,
    "annex_15": false,
}))]
#[serde(deny_unknown_fields)]
pub struct ExtraLineInput {
    /// Placeholders as in the lines of templates are filled in from the period that it is billed with. An unknown one is
    /// refused.
    #[schema(min_length = 1, max_length = 512, example = "Annual report for {{period.year}}")]
    #[validate(custom(function = known_placeholders))]
    pub text: String,
    /// Other than 0. A price of 0 is one: what is given for nothing may be on the invoice.
    #[validate(custom(function = some_quantity))]
    pub quantity: Quantity,
    #[schema(min_length = 1, max_length = 20, example = "pcs")]
    pub unit: String,
    /// Net or gross, as the `price_mode` of the template says. Below 0 it takes something off the invoice, which never
    /// comes to less than nothing (`total_negative`), nor does any VAT rate of it (`vat_total_negative`).
    pub unit_price: UnitPrice,
    #[serde(default)]
    pub discount_percent: Option<Percent>,
    #[validate(custom(function = basis_where_exempt))]
    pub vat: LineVatBody,
    /// Of the Polish classification of goods and services.
    #[schema(pattern = r"^[0-9A-Z.]{1,20}$")]
    #[serde(default)]
    pub pkwiu: Option<String>,
    /// The group of goods and services in the VAT register.
    #[schema(pattern = r"^GTU_(0[1-9]|1[0-3])$")]
    #[serde(default)]
    pub gtu: Option<String>,
    /// Whether it is of the goods and services that ustawa o VAT names in Annex 15.
    #[serde(default)]
    pub annex_15: bool,
}

fn some_quantity(quantity: &Quantity) -> Result<(), ValidationError> {
    if *quantity == Quantity::default() {
        return Err(ValidationError::new("not_zero").with_message("A line of nothing is none".into()));
    }
    Ok(())
}

/// A line that a subscription has once, on its next invoice.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ExtraLine)]
pub struct ExtraLineBody {
    pub id: ExtraLineId,
    pub subscription_id: SubscriptionId,
    #[serde(flatten)]
    pub line: ExtraLineInput,
    /// The invoice, draft or issued, that it was billed on, by the line whose key is `extra_` and this id without its
    /// hyphens; null while it waits for the next one.
    pub invoice_id: Option<InvoiceId>,
    /// Counts up with every change; `ETag` holds it too.
    #[schema(minimum = 1)]
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl From<ExtraLineInput> for ExtraLineFields {
    fn from(input: ExtraLineInput) -> Self {
        let ExtraLineInput { text, quantity, unit, unit_price, discount_percent, vat, pkwiu, gtu, annex_15 } = input;
        let LineVat { code: vat_code, exemption_basis } = vat.into();
        Self { text, quantity, unit, unit_price, discount_percent, vat_code, exemption_basis, pkwiu, gtu, annex_15 }
    }
}

/// Lets the extra lines of a locked draft wait for the next invoice again whose keys were among `before` and are none of
/// its lines' any more.
pub(crate) fn give_back_unless_billed(
    tx: &mut Tx<'_>,
    draft: &Invoice,
    before: &[Option<String>],
    lines: &[DraftLine],
) -> Result<(), ApiError> {
    let Some(subscription_id) = draft.fields.subscription_id else { return Ok(()) };
    let is_gone = |key: &Option<String>| before.contains(key) && lines.iter().all(|line| line.key != *key);
    let mut gone = extra_lines::billed_on(tx, draft.id)?;
    gone.retain(|line| is_gone(&Some(line.key())));
    if !gone.is_empty() {
        subscriptions::lock(tx, subscription_id, None)?;
        extra_lines::reopen(tx, gone)?;
    }
    Ok(())
}

impl From<ExtraLine> for ExtraLineBody {
    fn from(row: ExtraLine) -> Self {
        let ExtraLine { id, subscription_id, fields, invoice_id, version, created_at, updated_at } = row;
        let ExtraLineFields {
            text,
            quantity,
            unit,
            unit_price,
            discount_percent,
            vat_code,
            exemption_basis,
            pkwiu,
            gtu,
            annex_15,
        } = fields;
        let vat = LineVatBody { code: vat_code, exemption_basis };
        let line = ExtraLineInput { text, quantity, unit, unit_price, discount_percent, vat, pkwiu, gtu, annex_15 };
        Self { id, subscription_id, line, invoice_id, version, created_at, updated_at }
    }
}

/// Which extra lines.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ExtraLineQuery {
    /// Whether they were billed, or wait for the next invoice.
    invoiced: Option<bool>,
}

/// List the extra lines of a subscription.
///
/// Those that wait for its next invoice, and those that were billed. Newest first.
#[utoipa::path(tag = "Subscriptions", security(("sign_in" = ["billing:read"])),
    params(ExtraLineQuery, Listing<()>), responses((status = 200, body = PageBody<ExtraLineBody>)))]
#[get("/subscriptions/{id}/extra-lines")]
async fn list_extra_lines(
    state: web::Data<State>,
    actor: Actor,
    id: Id<SubscriptionId>,
    filters: Filters<ExtraLineQuery>,
    listing: Listing<()>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::BillingRead)?;
    let ExtraLineQuery { invoiced } = filters.0;
    state
        .read(scope, move |tx| {
            subscriptions::find(tx, id.0)?;
            let Page { items, next, total } =
                extra_lines::list(tx, id.0, &ExtraLineFilter { invoiced }, &listing.page)?;
            let items = items.into_iter().map(ExtraLineBody::from).collect();
            shape.page(tx, Page { items, next, total })
        })
        .await
}

/// Add a line to the next invoice of a subscription.
///
/// It stands behind the template's lines, whole where those are billed by days. Of several periods that a run bills, the
/// first has all lines that wait; where that period fails, its draft is thrown away, or they are taken off it, they wait
/// on. 409 `state_invalid`
/// for a subscription that has `ended`, and with state `full` where 100 lines wait. An invoice of more than 100 lines in
/// all fails with `too_many_lines`.
#[utoipa::path(tag = "Subscriptions", security(("sign_in" = ["billing:write"])), request_body = ExtraLineInput,
    responses((status = 201, body = ExtraLineBody)))]
#[post("/subscriptions/{id}/extra-lines")]
async fn create_extra_line(
    state: web::Data<State>,
    actor: Actor,
    id: Id<SubscriptionId>,
    once: Once,
    input: Valid<ExtraLineInput>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::BillingWrite)?;
    let fields = ExtraLineFields::from(input.0);
    state
        .submit(scope, once, move |tx| {
            let subscription = subscriptions::lock(tx, id.0, None)?;
            if subscription.state == SubscriptionState::Ended {
                let state = SubscriptionState::Ended.as_str();
                return Err(ApiError::state_invalid(state, "The subscription has no invoice to come"));
            }
            if extra_lines::count_open(tx, subscription.id)? >= OPEN_MAX {
                return Err(ApiError::state_invalid("full", "100 lines wait for the next invoice already"));
            }
            let body = ExtraLineBody::from(extra_lines::create(tx, subscription.id, fields)?);
            Ok(Reply::created(&format!("/api/v1/extra-lines/{}", body.id), body.version, &body))
        })
        .await
}

/// Show an extra line.
///
/// With the invoice that it was billed on.
#[utoipa::path(tag = "Subscriptions", security(("sign_in" = ["billing:read"])),
    responses((status = 200, body = ExtraLineBody)))]
#[get("/extra-lines/{id}")]
async fn get_extra_line(
    state: web::Data<State>,
    actor: Actor,
    id: Id<ExtraLineId>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::BillingRead)?;
    state
        .read(scope, move |tx| {
            let body = ExtraLineBody::from(extra_lines::find(tx, id.0)?);
            shape.one(tx, body.version, &body)
        })
        .await
}

/// Take an extra line back.
///
/// Only before it is billed: else 409 `state_invalid` with state `invoiced`. Take it off the draft first, or correct the
/// invoice.
#[utoipa::path(tag = "Subscriptions", security(("sign_in" = ["billing:write"])), params(IfMatch),
    responses((status = 204)))]
#[delete("/extra-lines/{id}")]
async fn delete_extra_line(
    state: web::Data<State>,
    actor: Actor,
    id: Id<ExtraLineId>,
    seen: IfMatch,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::BillingWrite)?;
    state
        .transaction(scope, move |tx| {
            // A run that bills it holds its subscription.
            let subscription_id = extra_lines::find(tx, id.0)?.subscription_id;
            subscriptions::lock(tx, subscription_id, None)?;
            let line = extra_lines::lock(tx, id.0, seen.0)?;
            if line.invoice_id.is_some() {
                return Err(ApiError::state_invalid("invoiced", "What was billed stays"));
            }
            extra_lines::delete(tx, &line)?;
            Ok(Reply::empty())
        })
        .await
}
