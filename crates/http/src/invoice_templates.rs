//! Invoice templates: what is billed, on which terms, in which words.

use crate::actor::Actor;
use crate::body::{Patch, Valid, wrong_field};
use crate::listing::{Filters, Id, Listing, Sorting};
use crate::once::Once;
use crate::precondition::IfMatch;
use crate::problem::{ApiError, Wrong};
use crate::reply::Reply;
use crate::shape::{PageBody, Shape};
use crate::state::State;
use crate::values::capitalised;
use actix_web::{delete, get, patch, post, web};
use chrono::{DateTime, Utc};
use opiekun_domain::billing::{LineBasis, LineVat, TemplateLine};
use opiekun_domain::currency::Currency;
use opiekun_domain::decimal::{Percent, Quantity, UnitPrice};
use opiekun_domain::ids::{InvoiceLayoutId, InvoiceTemplateId, NumberSeriesId};
use opiekun_domain::invoice::{LineKind, PaymentMethod, PriceMode};
use opiekun_domain::language::Language;
use opiekun_domain::permission::Permission;
use opiekun_domain::text_template::TextTemplate;
use opiekun_domain::vat::VatCode;
use opiekun_persistence::invoice_templates::{
    InvoiceTemplate, InvoiceTemplateFields, InvoiceTemplateFilter, InvoiceTemplateSort,
};
use opiekun_persistence::{Json, Page, Tx, invoice_templates, subscriptions};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use validator::{Validate, ValidationError};

pub fn routes(config: &mut ServiceConfig) {
    config
        .service(list_invoice_templates)
        .service(create_invoice_template)
        .service(get_invoice_template)
        .service(update_invoice_template)
        .service(archive_invoice_template)
        .service(restore_invoice_template);
}

/// What a caller may write of an invoice template.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[validate(schema(function = different_keys, skip_on_field_errors = false))]
pub struct InvoiceTemplateInput {
    /// No two templates have the same.
    #[schema(min_length = 1, max_length = 120, example = "Bookkeeping, monthly")]
    pub name: String,
    /// The number series that its invoices take their numbers from: one of kind `invoice`.
    pub series_id: NumberSeriesId,
    /// Customers with another currency can't be billed with it. PLN unless told.
    #[schema(default = "PLN")]
    #[serde(default = "zloty")]
    pub currency: Currency,
    /// Whether unit prices are net or gross; net unless told, and with a line of kind `time`, since hourly rates are.
    #[schema(default = "net")]
    #[serde(default = "net")]
    pub price_mode: PriceMode,
    /// At most one of them is of kind `time`.
    #[schema(min_items = 1, max_items = 100)]
    #[validate(nested)]
    pub lines: Vec<TemplateLineBody>,
    /// Days from the issue to the day of payment, unless the customer has its own; 14 unless told.
    #[schema(minimum = 0, maximum = 365, default = 14, example = 14)]
    #[serde(default = "two_weeks")]
    pub payment_days: i16,
    #[schema(default = "transfer")]
    #[serde(default = "transfer")]
    pub payment_method: PaymentMethod,
    /// The IBAN to pay to; the organization's first account in the currency unless told.
    #[schema(pattern = r"^[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}$", example = "PL61109010140000071219812874")]
    #[serde(default)]
    pub bank_account: Option<String>,
    /// Stands below the lines; takes the same placeholders.
    #[schema(max_length = 2000, example = "Thank you for {{period.month_name}}.")]
    #[serde(default)]
    #[validate(custom(function = known_placeholders))]
    pub notes: Option<String>,
    /// The language of the invoice, and of month names in its texts.
    #[schema(default = "pl")]
    #[serde(default = "polish")]
    pub language: Language,
    /// How its invoices look as PDF; as the organization has them by default unless told.
    #[serde(default)]
    pub layout_id: Option<InvoiceLayoutId>,
}

/// A line of a template.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[schema(as = TemplateLine, example = json!({
    "key": "bookkeeping", "kind": "fixed", "text": "Bookkeeping, {{period.month_name}} {{period.year}}", "quantity": "1",
    "unit": "month", "unit_price": "450.00", "discount_percent": null, "vat": { "code": "23", "exemption_basis": null },
    "pkwiu": "69.20.23.0", "gtu": null, "annex_15": false,
}))]
#[serde(deny_unknown_fields)]
pub struct TemplateLineBody {
    /// Your name for the line, by which subscriptions override it.
    #[schema(pattern = r"^[a-z][a-z0-9_]{0,39}$")]
    pub key: String,
    /// `fixed`: a quantity at a unit price. `time`: the customer's billable, not yet invoiced interactions that were held
    /// and work entries that began in the period, or before it and were given back by an invoice since, as one unit at the
    /// sum of their costs; they are listed at `/invoices/{id}/time-entries`. For subscriptions that bill in arrears. Where
    /// there is no such time the line is left out, and where all of it costs nothing it makes no invoice by itself; time of the period that is written down later is on no invoice, as
    /// `/reports/unbilled-time` tells.
    #[schema(default = "fixed")]
    #[serde(default = "fixed")]
    pub kind: LineKind,
    /// Placeholders are filled in from the period and the customer: `{{period.month_name}}`,
    /// `{{period.month_name_genitive}}`, `{{period.month}}`, `{{period.year}}` (these also with an offset in months,
    /// `{{period.month_name+1}}`), `{{period.start_on}}`, `{{period.last_on}}`, `{{customer.name}}`. An unknown one is
    /// refused.
    #[schema(min_length = 1, max_length = 512)]
    #[validate(custom(function = known_placeholders))]
    pub text: String,
    /// Of a `fixed` line, which requires it; a `time` line has none.
    #[serde(default)]
    pub quantity: Option<Quantity>,
    #[schema(min_length = 1, max_length = 20)]
    pub unit: String,
    /// Of a `fixed` line, which requires it: net or gross, as `price_mode` says. A `time` line has none.
    #[serde(default)]
    pub unit_price: Option<UnitPrice>,
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
    /// Whether it is of the goods and services that ustawa o VAT names in Annex 15: above 15 000 zł they are paid for by
    /// split payment.
    #[serde(default)]
    pub annex_15: bool,
}

/// How a line is taxed.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = LineVat)]
#[serde(deny_unknown_fields)]
pub struct LineVatBody {
    pub code: VatCode,
    /// The law that exempts it; with `zw`, and only there.
    #[schema(min_length = 1, max_length = 240)]
    #[serde(default)]
    pub exemption_basis: Option<String>,
}

const fn zloty() -> Currency {
    Currency::PLN
}

const fn net() -> PriceMode {
    PriceMode::Net
}

const fn two_weeks() -> i16 {
    14
}

const fn transfer() -> PaymentMethod {
    PaymentMethod::Transfer
}

const fn polish() -> Language {
    Language::Polish
}

const fn fixed() -> LineKind {
    LineKind::Fixed
}

/// What is billed: lines, terms, texts. One template serves any number of customers.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InvoiceTemplate)]
pub struct InvoiceTemplateBody {
    pub id: InvoiceTemplateId,
    #[serde(flatten)]
    pub template: InvoiceTemplateInput,
    /// Since when it is out of use.
    pub archived_at: Option<DateTime<Utc>>,
    /// Counts up with every change; `ETag` holds it too.
    #[schema(minimum = 1)]
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl From<InvoiceTemplate> for InvoiceTemplateBody {
    fn from(row: InvoiceTemplate) -> Self {
        let InvoiceTemplate { id, fields, archived_at, version, created_at, updated_at } = row;
        Self { id, template: fields.into(), archived_at, version, created_at, updated_at }
    }
}

impl From<InvoiceTemplateFields> for InvoiceTemplateInput {
    fn from(fields: InvoiceTemplateFields) -> Self {
        let InvoiceTemplateFields {
            name,
            series_id,
            currency,
            price_mode,
            lines,
            payment_days,
            payment_method,
            bank_account,
            notes,
            language,
            layout_id,
        } = fields;
        Self {
            name,
            series_id,
            currency,
            price_mode,
            lines: lines.0.into_iter().map(TemplateLineBody::from).collect(),
            payment_days,
            payment_method,
            bank_account,
            notes,
            language,
            layout_id,
        }
    }
}

impl InvoiceTemplateInput {
    fn fields(self) -> Result<InvoiceTemplateFields, ApiError> {
        let Self {
            name,
            series_id,
            currency,
            price_mode,
            lines,
            payment_days,
            payment_method,
            bank_account,
            notes,
            language,
            layout_id,
        } = self;
        let mut wrong = Vec::new();
        let time_lines: Vec<usize> =
            lines.iter().enumerate().filter(|(_, line)| line.kind == LineKind::Time).map(|(index, _)| index).collect();
        if !time_lines.is_empty() && price_mode == PriceMode::Gross {
            wrong.push(Wrong::field("/price_mode", "time_is_net", "A line that bills time has net prices"));
        }
        for index in time_lines.into_iter().skip(1) {
            let pointer = format!("/lines/{index}/kind");
            wrong.push(Wrong::field(pointer, "time_line_repeated", "One line bills the time of a period"));
        }
        let mut read = Vec::with_capacity(lines.len());
        for (index, line) in lines.into_iter().enumerate() {
            match line.line(&format!("/lines/{index}")) {
                Ok(line) => read.push(line),
                Err(more) => wrong.extend(more),
            }
        }
        if !wrong.is_empty() {
            return Err(ApiError::invalid(wrong));
        }
        Ok(InvoiceTemplateFields {
            name,
            series_id,
            currency,
            price_mode,
            lines: Json(read),
            payment_days,
            payment_method,
            bank_account,
            notes,
            language,
            layout_id,
        })
    }
}

impl From<TemplateLine> for TemplateLineBody {
    fn from(line: TemplateLine) -> Self {
        let TemplateLine { key, basis, text, unit, discount_percent, vat, pkwiu, gtu, annex_15 } = line;
        let (quantity, unit_price) = match basis {
            LineBasis::Fixed { quantity, unit_price } => (Some(quantity), Some(unit_price)),
            LineBasis::Time => (None, None),
        };
        let kind = basis.kind();
        Self { key, kind, text, quantity, unit, unit_price, discount_percent, vat: vat.into(), pkwiu, gtu, annex_15 }
    }
}

impl TemplateLineBody {
    /// The line that stands at `pointer`, or what is wrong with it.
    fn line(self, pointer: &str) -> Result<TemplateLine, Vec<Wrong>> {
        let Self { key, kind, text, quantity, unit, unit_price, discount_percent, vat, pkwiu, gtu, annex_15 } = self;
        let named = [("quantity", quantity.is_some()), ("unit_price", unit_price.is_some())];
        let told = |is_given: bool, code: &'static str, detail: &'static str| {
            let those = named.iter().filter(|(_, given)| *given == is_given);
            those.map(|(name, _)| Wrong::field(format!("{pointer}/{name}"), code, detail)).collect::<Vec<_>>()
        };
        let basis = match (kind, quantity, unit_price) {
            (LineKind::Fixed, Some(quantity), Some(unit_price)) => LineBasis::Fixed { quantity, unit_price },
            (LineKind::Time, None, None) => LineBasis::Time,
            (LineKind::Fixed, ..) => return Err(told(false, "required", "Is required")),
            (LineKind::Time, ..) => return Err(told(true, "not_expected", "A line that bills time has none")),
        };
        Ok(TemplateLine { key, basis, text, unit, discount_percent, vat: vat.into(), pkwiu, gtu, annex_15 })
    }
}

impl From<LineVat> for LineVatBody {
    fn from(vat: LineVat) -> Self {
        let LineVat { code, exemption_basis } = vat;
        Self { code, exemption_basis }
    }
}

impl From<LineVatBody> for LineVat {
    fn from(body: LineVatBody) -> Self {
        let LineVatBody { code, exemption_basis } = body;
        Self { code, exemption_basis }
    }
}

impl Sorting for InvoiceTemplateSort {
    const WORDS: &'static [(&'static str, Self)] = &[("created_at", Self::CreatedAt), ("name", Self::Name)];
}

/// Which templates.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct InvoiceTemplateQuery {
    /// Exactly this name.
    #[param(min_length = 1, max_length = 120)]
    name: Option<String>,
    series_id: Option<NumberSeriesId>,
    currency: Option<Currency>,
    /// Those that are out of use, too.
    include_archived: Option<bool>,
}

impl From<InvoiceTemplateQuery> for InvoiceTemplateFilter {
    fn from(query: InvoiceTemplateQuery) -> Self {
        let InvoiceTemplateQuery { name, series_id, currency, include_archived } = query;
        Self { name, series_id, currency, include_archived: include_archived.unwrap_or_default() }
    }
}

/// The bodies of those of `ids` that exist.
pub(crate) fn bodies(tx: &mut Tx<'_>, ids: &[InvoiceTemplateId]) -> Result<Vec<Value>, ApiError> {
    let rows = invoice_templates::find_all(tx, ids)?;
    rows.into_iter()
        .map(|row| serde_json::to_value(InvoiceTemplateBody::from(row)).map_err(ApiError::internal))
        .collect()
}

/// List invoice templates.
///
/// Those out of use are left out unless asked for. Newest first.
#[utoipa::path(tag = "Invoice templates", security(("sign_in" = ["billing:read"])),
    params(InvoiceTemplateQuery, Listing<InvoiceTemplateSort>),
    responses((status = 200, body = PageBody<InvoiceTemplateBody>)))]
#[get("/invoice-templates")]
async fn list_invoice_templates(
    state: web::Data<State>,
    actor: Actor,
    filters: Filters<InvoiceTemplateQuery>,
    listing: Listing<InvoiceTemplateSort>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::BillingRead)?;
    state
        .read(scope, move |tx| {
            let Page { items, next, total } = invoice_templates::list(tx, &filters.0.into(), &listing.page)?;
            let items = items.into_iter().map(InvoiceTemplateBody::from).collect();
            shape.page(tx, Page { items, next, total })
        })
        .await
}

/// Add an invoice template.
///
/// It bills nobody by itself: subscriptions put it on customers.
#[utoipa::path(tag = "Invoice templates", security(("sign_in" = ["billing:write"])),
    request_body = InvoiceTemplateInput, responses((status = 201, body = InvoiceTemplateBody)))]
#[post("/invoice-templates")]
async fn create_invoice_template(
    state: web::Data<State>,
    actor: Actor,
    once: Once,
    input: Valid<InvoiceTemplateInput>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::BillingWrite)?;
    let fields = input.0.fields()?;
    state
        .submit(scope, once, move |tx| {
            let body = InvoiceTemplateBody::from(invoice_templates::create(tx, fields)?);
            Ok(Reply::created(&format!("/api/v1/invoice-templates/{}", body.id), body.version, &body))
        })
        .await
}

/// Show an invoice template.
///
/// One that is out of use is shown too.
#[utoipa::path(tag = "Invoice templates", security(("sign_in" = ["billing:read"])),
    responses((status = 200, body = InvoiceTemplateBody)))]
#[get("/invoice-templates/{id}")]
async fn get_invoice_template(
    state: web::Data<State>,
    actor: Actor,
    id: Id<InvoiceTemplateId>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::BillingRead)?;
    state
        .read(scope, move |tx| {
            let body = InvoiceTemplateBody::from(invoice_templates::find(tx, id.0)?);
            shape.one(tx, body.version, &body)
        })
        .await
}

/// Change an invoice template.
///
/// It holds for every invoice composed from then on; what is issued stays as it is. `lines` are replaced whole. It goes
/// on to fit the subscriptions that have not ended: 422 says how many stand against the change (`params.subscriptions`),
/// since they override a line that would be gone (`line_missing`) or bill time (`time_line_overridden`), bill in advance
/// what would bill time (`time_in_advance`), or are of customers billed in another currency (`currency_mismatch`).
#[utoipa::path(tag = "Invoice templates", security(("sign_in" = ["billing:write"])), params(IfMatch),
    request_body(content = InvoiceTemplateInput, content_type = "application/merge-patch+json"),
    responses((status = 200, body = InvoiceTemplateBody)))]
#[patch("/invoice-templates/{id}")]
async fn update_invoice_template(
    state: web::Data<State>,
    actor: Actor,
    id: Id<InvoiceTemplateId>,
    seen: IfMatch,
    patch: Patch<InvoiceTemplateInput>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::BillingWrite)?;
    state
        .transaction(scope, move |tx| {
            let template = invoice_templates::lock(tx, id.0, seen.0)?;
            let fields = patch.apply(&template.fields.clone().into())?.fields()?;
            check_subscriptions(tx, &template, &fields)?;
            let body = InvoiceTemplateBody::from(invoice_templates::update(tx, &template, fields)?);
            Ok(Reply::at_version(body.version, &body))
        })
        .await
}

/// A locked template goes on to fit its subscriptions, each of which was held to it when it was written. What did not fit
/// before the change is not held against it.
fn check_subscriptions(
    tx: &mut Tx<'_>,
    template: &InvoiceTemplate,
    after: &InvoiceTemplateFields,
) -> Result<(), ApiError> {
    let before = &template.fields;
    let lines = &after.lines.0;
    let mut wrong = Vec::new();
    let mut against = |pointer: String, code: &'static str, detail: &'static str, subscriptions: i64| {
        if subscriptions > 0 {
            let params = Some(json!({ "subscriptions": subscriptions }));
            wrong.push(Wrong { params, ..Wrong::field(pointer, code, format!("{detail}: {subscriptions}")) });
        }
    };
    if after.currency != before.currency {
        let count = subscriptions::count_in_other_currencies(tx, template.id, after.currency)?;
        let detail = "Subscriptions of customers who are billed in another currency";
        against("/currency".to_owned(), "currency_mismatch", detail, count);
    }
    let time_line = lines.iter().position(|line| line.basis == LineBasis::Time);
    let billed_time = before.lines.0.iter().any(|line| line.basis == LineBasis::Time);
    if let Some(index) = time_line.filter(|_| !billed_time) {
        let count = subscriptions::count_in_advance(tx, template.id)?;
        let detail = "Subscriptions that bill in advance, when time is not known yet";
        against(format!("/lines/{index}/kind"), "time_in_advance", detail, count);
    }
    let is_fixed = |line: &&TemplateLine| line.basis != LineBasis::Time;
    let is_fixed_after = |key: &str| lines.iter().filter(is_fixed).any(|line| line.key == key);
    let fixed_before = before.lines.0.iter().filter(is_fixed).map(|line| line.key.as_str());
    let lost: Vec<&str> = fixed_before.filter(|key| !is_fixed_after(key)).collect();
    if !lost.is_empty() {
        for (key, count) in subscriptions::count_overriding(tx, template.id, lost)? {
            match lines.iter().position(|line| line.key == key) {
                Some(index) => {
                    let detail = "Subscriptions that override this line, which would bill time";
                    against(format!("/lines/{index}/kind"), "time_line_overridden", detail, count);
                }
                None => against("/lines".to_owned(), "line_missing", "Subscriptions that override a line", count),
            }
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(ApiError::invalid(wrong)) }
}

/// Take an invoice template out of use.
///
/// Lists leave it out from then on, and its subscriptions can't be billed. Done twice it stays as it is.
#[utoipa::path(tag = "Invoice templates", security(("sign_in" = ["billing:write"])),
    responses((status = 200, body = InvoiceTemplateBody)))]
#[post("/invoice-templates/{id}/archival")]
async fn archive_invoice_template(
    state: web::Data<State>,
    actor: Actor,
    id: Id<InvoiceTemplateId>,
    once: Once,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::BillingWrite)?;
    state.submit(scope, once, move |tx| set_archived(tx, id.0, true)).await
}

/// Take an invoice template back into use.
///
/// Undoes its archival; a template in use stays as it is.
#[utoipa::path(tag = "Invoice templates", security(("sign_in" = ["billing:write"])),
    responses((status = 200, body = InvoiceTemplateBody)))]
#[delete("/invoice-templates/{id}/archival")]
async fn restore_invoice_template(
    state: web::Data<State>,
    actor: Actor,
    id: Id<InvoiceTemplateId>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::BillingWrite)?;
    state.transaction(scope, move |tx| set_archived(tx, id.0, false)).await
}

fn set_archived(tx: &mut Tx<'_>, id: InvoiceTemplateId, archived: bool) -> Result<Reply, ApiError> {
    let mut template = invoice_templates::lock(tx, id, None)?;
    if template.archived_at.is_some() != archived {
        template = invoice_templates::set_archived(tx, &template, archived.then_some(tx.now))?;
    }
    let body = InvoiceTemplateBody::from(template);
    Ok(Reply::at_version(body.version, &body))
}

pub(crate) fn known_placeholders(text: &str) -> Result<(), ValidationError> {
    TextTemplate::new(text)
        .map(|_| ())
        .map_err(|problem| ValidationError::new("placeholder").with_message(capitalised(&problem.to_string()).into()))
}

pub(crate) fn basis_where_exempt(vat: &LineVatBody) -> Result<(), ValidationError> {
    match (vat.code.needs_exemption_basis(), vat.exemption_basis.is_some()) {
        (true, false) => {
            Err(ValidationError::new("exemption_basis")
                .with_message("An exempt line names the law that exempts it".into()))
        }
        (false, true) => {
            Err(ValidationError::new("exemption_basis")
                .with_message("Only an exempt line has an exemption basis".into()))
        }
        _ => Ok(()),
    }
}

/// A rule of the whole, since validator drops those of the lines where their list has one of its own.
fn different_keys(template: &InvoiceTemplateInput) -> Result<(), ValidationError> {
    let lines = &template.lines;
    let repeated = lines.iter().enumerate().any(|(index, line)| lines.iter().take(index).any(|it| it.key == line.key));
    if repeated {
        return Err(wrong_field("lines", "uniqueItems", "The keys of lines differ from each other"));
    }
    Ok(())
}
