//! Layouts: how the invoices of an organization look as PDF.

use crate::actor::Actor;
use crate::body::{Patch, Valid};
use crate::listing::{Filters, Id, Listing};
use crate::once::Once;
use crate::precondition::IfMatch;
use crate::problem::ApiError;
use crate::reply::Reply;
use crate::shape::{PageBody, Shape};
use crate::state::State;
use crate::typesetter::refused_source;
use actix_web::{delete, get, patch, post, web};
use chrono::{DateTime, Utc};
use opiekun_documents::invoice_page::{Look, samples};
use opiekun_domain::ids::InvoiceLayoutId;
use opiekun_domain::invoice_layout::{COLOR_DEFAULT, LayoutLabels};
use opiekun_domain::permission::Permission;
use opiekun_persistence::invoice_layouts::{InvoiceLayout, InvoiceLayoutFields, InvoiceLayoutFilter};
use opiekun_persistence::{Page, Tx, invoice_layouts};
use opiekun_typesetting::Job;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use validator::Validate;

pub fn routes(config: &mut ServiceConfig) {
    config
        .service(list_invoice_layouts)
        .service(create_invoice_layout)
        .service(get_invoice_layout)
        .service(update_invoice_layout)
        .service(delete_invoice_layout);
}

/// What a caller may write of a layout.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct InvoiceLayoutInput {
    /// No two layouts have the same.
    #[schema(min_length = 1, max_length = 120, example = "Green, in two languages")]
    pub name: String,
    /// A layout of your own, in Typst; the one that is built in unless told. It reads `/data.json`, the invoice with all
    /// numbers and sums as text, `/labels.json`, the fixed texts by language, and the files that the data name: the logo,
    /// the QR codes and the structured invoice; `#include "/invoice.typ"` sets the built-in one. There is nothing else to
    /// read: no other file, no package, no date of today. It sets the date of the document (`set document(date: ..)`), and
    /// gives images an alternative text. Fonts: Lato; for a letter of the data that it has not, `□` stands there. It takes 10 seconds of computing and 1 GiB of memory at most.
    #[schema(
        min_length = 1,
        max_length = 200_000,
        example = "#let invoice = json(\"/data.json\")\n#include \"/invoice.typ\""
    )]
    #[serde(default)]
    pub source: Option<String>,
    /// The color of the built-in layout's lines and titles; a layout of your own finds it in `brand.color`.
    #[schema(pattern = r"^#[0-9a-f]{6}$", default = "#0f5c4d", example = "#0f5c4d")]
    #[serde(default = "green")]
    pub color: String,
    /// Stands at the foot of each page; name, address and NIP of the seller unless told.
    #[schema(min_length = 1, max_length = 400, example = "KRS 0000912345, share capital 50 000 zł")]
    #[serde(default)]
    pub footer: Option<String>,
    /// Whether labels are in the language of the invoice alone, as unless told, or in both languages.
    #[schema(default = "one_language")]
    #[serde(default = "one_language")]
    pub labels: LayoutLabels,
    /// Whether invoices look so whose template has no layout; one layout is the default at most.
    #[schema(default = false)]
    #[serde(default)]
    pub is_default: bool,
}

fn green() -> String {
    COLOR_DEFAULT.to_owned()
}

const fn one_language() -> LayoutLabels {
    LayoutLabels::OneLanguage
}

/// How invoices look as PDF.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InvoiceLayout)]
pub struct InvoiceLayoutBody {
    pub id: InvoiceLayoutId,
    #[serde(flatten)]
    pub layout: InvoiceLayoutInput,
    /// Counts up with every change; `ETag` holds it too.
    #[schema(minimum = 1)]
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl From<InvoiceLayout> for InvoiceLayoutBody {
    fn from(row: InvoiceLayout) -> Self {
        let InvoiceLayout { id, fields, version, created_at, updated_at } = row;
        Self { id, layout: fields.into(), version, created_at, updated_at }
    }
}

impl From<InvoiceLayoutFields> for InvoiceLayoutInput {
    fn from(fields: InvoiceLayoutFields) -> Self {
        let InvoiceLayoutFields { name, source, color, footer, labels, is_default } = fields;
        Self { name, source, color, footer, labels, is_default }
    }
}

impl From<InvoiceLayoutInput> for InvoiceLayoutFields {
    fn from(input: InvoiceLayoutInput) -> Self {
        let InvoiceLayoutInput { name, source, color, footer, labels, is_default } = input;
        Self { name, source, color, footer, labels, is_default }
    }
}

/// The bodies of those of `ids` that exist.
pub(crate) fn bodies(tx: &mut Tx<'_>, ids: &[InvoiceLayoutId]) -> Result<Vec<Value>, ApiError> {
    let rows = invoice_layouts::find_all(tx, ids)?;
    let body = |row| serde_json::to_value(InvoiceLayoutBody::from(row)).map_err(ApiError::internal);
    rows.into_iter().map(body).collect()
}

/// Sets sample invoices in a layout of an organization's own, and refuses what it cannot set.
async fn check_source(state: &State, layout: &InvoiceLayoutInput) -> Result<(), ApiError> {
    let Some(source) = &layout.source else { return Ok(()) };
    let look = Look {
        color: &layout.color,
        footer: layout.footer.as_deref(),
        logo: None,
        is_bilingual: layout.labels == LayoutLabels::BothLanguages,
    };
    for data in samples(look).map_err(ApiError::internal)? {
        let job = Job { layout: Some(source.clone()), ident: "sample".to_owned(), data, files: Vec::new() };
        state.typesetter.set(job).await?.map_err(|error| refused_source(&error))?;
    }
    Ok(())
}

/// Which layouts.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct InvoiceLayoutQuery {
    /// Exactly this name.
    #[param(min_length = 1, max_length = 120)]
    name: Option<String>,
}

/// List invoice layouts.
///
/// Newest first.
#[utoipa::path(tag = "Invoice layouts", security(("sign_in" = ["billing:read"])),
    params(InvoiceLayoutQuery, Listing<()>), responses((status = 200, body = PageBody<InvoiceLayoutBody>)))]
#[get("/invoice-layouts")]
async fn list_invoice_layouts(
    state: web::Data<State>,
    actor: Actor,
    filters: Filters<InvoiceLayoutQuery>,
    listing: Listing<()>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::BillingRead)?;
    let filter = InvoiceLayoutFilter { name: filters.0.name };
    state
        .read(scope, move |tx| {
            let Page { items, next, total } = invoice_layouts::list(tx, &filter, &listing.page)?;
            let items = items.into_iter().map(InvoiceLayoutBody::from).collect();
            shape.page(tx, Page { items, next, total })
        })
        .await
}

/// Add an invoice layout.
///
/// Colors and texts for the built-in layout, or a `source` of your own. Sample invoices are set in that, in a process that
/// reads no file and has limits; where they can't be, it is refused with the line and column of the error. Invoices look
/// so whose template names the layout, and all others once it is the default.
#[utoipa::path(tag = "Invoice layouts", security(("sign_in" = ["billing:write"])), request_body = InvoiceLayoutInput,
    responses((status = 201, body = InvoiceLayoutBody)))]
#[post("/invoice-layouts")]
async fn create_invoice_layout(
    state: web::Data<State>,
    actor: Actor,
    once: Once,
    input: Valid<InvoiceLayoutInput>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::BillingWrite)?;
    check_source(&state, &input.0).await?;
    state
        .submit(scope, once, move |tx| {
            let layout = invoice_layouts::create(tx, input.0.into())?;
            let location = format!("/api/v1/invoice-layouts/{}", layout.id);
            Ok(Reply::created(&location, layout.version, &InvoiceLayoutBody::from(layout)))
        })
        .await
}

/// Show an invoice layout.
///
/// With its source, where it has one of its own.
#[utoipa::path(tag = "Invoice layouts", security(("sign_in" = ["billing:read"])),
    responses((status = 200, body = InvoiceLayoutBody)))]
#[get("/invoice-layouts/{id}")]
async fn get_invoice_layout(
    state: web::Data<State>,
    actor: Actor,
    id: Id<InvoiceLayoutId>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::BillingRead)?;
    state
        .read(scope, move |tx| {
            let layout = invoice_layouts::find(tx, id.0)?;
            shape.one(tx, layout.version, &InvoiceLayoutBody::from(layout))
        })
        .await
}

/// Change an invoice layout.
///
/// Also invoices that were issued before look so from then on; what they say stays. A `source` is tried out first, as with
/// a new layout.
#[utoipa::path(tag = "Invoice layouts", security(("sign_in" = ["billing:write"])), params(IfMatch),
    request_body(content = InvoiceLayoutInput, content_type = "application/merge-patch+json"),
    responses((status = 200, body = InvoiceLayoutBody)))]
#[patch("/invoice-layouts/{id}")]
async fn update_invoice_layout(
    state: web::Data<State>,
    actor: Actor,
    id: Id<InvoiceLayoutId>,
    seen: IfMatch,
    patch: Patch<InvoiceLayoutInput>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::BillingWrite)?;
    // Tried out before any row is locked: it may take seconds.
    let (before, after) = state
        .transaction(scope, move |tx| {
            let layout = invoice_layouts::lock(tx, id.0, seen.0)?;
            let after = patch.apply(&layout.fields.clone().into())?;
            Ok((layout, after))
        })
        .await?;
    check_source(&state, &after).await?;
    let scope = actor.scope(Permission::BillingWrite)?;
    state
        .transaction(scope, move |tx| {
            let layout = invoice_layouts::lock(tx, id.0, Some(before.version))?;
            let layout = invoice_layouts::update(tx, &layout, after.into())?;
            Ok(Reply::at_version(layout.version, &InvoiceLayoutBody::from(layout)))
        })
        .await
}

/// Remove an invoice layout.
///
/// Not while a template has it: 409 `conflict`. Invoices that looked so look as is the default then.
#[utoipa::path(tag = "Invoice layouts", security(("sign_in" = ["billing:write"])), params(IfMatch),
    responses((status = 204)))]
#[delete("/invoice-layouts/{id}")]
async fn delete_invoice_layout(
    state: web::Data<State>,
    actor: Actor,
    id: Id<InvoiceLayoutId>,
    seen: IfMatch,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::BillingWrite)?;
    state
        .transaction(scope, move |tx| {
            let layout = invoice_layouts::lock(tx, id.0, seen.0)?;
            invoice_layouts::delete(tx, &layout)?;
            Ok(Reply::empty())
        })
        .await
}
