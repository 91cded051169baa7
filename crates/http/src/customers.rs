//! Customers: the companies and people that the firm deals with.

use crate::actor::Actor;
use crate::body::{Patch, Valid};
use crate::listing::{AnyOf, Filters, Id, Listing, Sorting};
use crate::once::Once;
use crate::precondition::IfMatch;
use crate::problem::{ApiError, Code, Wrong};
use crate::reply::Reply;
use crate::shape::{PageBody, Shape};
use crate::state::State;
use crate::tables::{self, Format, Spreadsheet, Tabular};
use crate::text;
use crate::values::{AddressBody, TaxIdBody, tags_schema};
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, delete, get, patch, post, put, web};
use chrono::{DateTime, Utc};
use opiekun_documents::table::{Cell, Column};
use opiekun_domain::address::Address;
use opiekun_domain::authority::Authority;
use opiekun_domain::calendar_day::day_of;
use opiekun_domain::currency::Currency;
use opiekun_domain::customer::CustomerKind;
use opiekun_domain::decimal::HourlyRate;
use opiekun_domain::ids::{CustomerId, OperatorId};
use opiekun_domain::language::Language;
use opiekun_domain::permission::Permission;
use opiekun_persistence::customers::{Customer, CustomerFields, CustomerFilter, CustomerSort};
use opiekun_persistence::{Json, Page, Tx, customers, hourly_rates, operators, organizations};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use validator::Validate;

pub fn routes(config: &mut ServiceConfig) {
    config
        .service(list_customers)
        .service(create_customer)
        .service(put_customer_by_external_id)
        .service(get_customer)
        .service(update_customer)
        .service(archive_customer)
        .service(restore_customer);
}

/// What a caller may write of a customer.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct CustomerInput {
    pub kind: CustomerKind,
    /// The full name, as it stands on invoices.
    #[schema(min_length = 1, max_length = 240, example = "Piekarnia Złoty Kłos sp. z o.o.")]
    pub name: String,
    /// What people call it; lists are sorted by it where it is given.
    #[schema(min_length = 1, max_length = 80, example = "Złoty Kłos")]
    #[serde(default)]
    pub short_name: Option<String>,
    /// `{"scheme": "none"}` unless told.
    #[serde(default = "no_tax_id")]
    pub tax_id: TaxIdBody,
    #[serde(default)]
    pub billing_address: Option<AddressBody>,
    /// Where letters go, if not to the billing address.
    #[serde(default)]
    pub correspondence_address: Option<AddressBody>,
    #[schema(format = "email", max_length = 254, example = "biuro@klos.example")]
    #[serde(default)]
    pub email: Option<String>,
    /// E.164.
    #[schema(max_length = 16, pattern = r"^\+[1-9][0-9]{6,14}$", example = "+48221234567")]
    #[serde(default)]
    pub phone: Option<String>,
    /// The operator responsible; who creates a customer without one becomes it.
    #[serde(default)]
    pub caretaker_id: Option<OperatorId>,
    #[schema(schema_with = tags_schema)]
    #[serde(default)]
    pub tags: Vec<String>,
    /// Days to pay, instead of the template's.
    #[schema(minimum = 0, maximum = 365, example = 14)]
    #[serde(default)]
    pub payment_days: Option<i16>,
    /// Started units of so many minutes are billed whole, instead of by the organization's rule.
    #[schema(minimum = 1, maximum = 480)]
    #[serde(default)]
    pub round_up_minutes: Option<i32>,
    /// The currency of its invoices; PLN unless told.
    #[schema(default = "PLN")]
    #[serde(default = "zloty")]
    pub currency: Currency,
    /// The language of its invoices.
    #[schema(default = "pl")]
    #[serde(default = "polish")]
    pub language: Language,
    /// Its key in another system; no two customers have the same.
    #[schema(min_length = 1, max_length = 120, example = "ERP-00417")]
    #[serde(default)]
    pub external_id: Option<String>,
    #[schema(max_length = 10000)]
    #[serde(default)]
    pub notes: Option<String>,
    /// Whether it is reminded of invoices that it has not paid, where the organization does so (`reminders`).
    #[schema(default = true)]
    #[serde(default = "yes")]
    pub send_reminders: bool,
}

const fn yes() -> bool {
    true
}

const fn no_tax_id() -> TaxIdBody {
    TaxIdBody::NONE
}

const fn zloty() -> Currency {
    Currency::PLN
}

const fn polish() -> Language {
    Language::Polish
}

/// A company or person that the firm deals with.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Customer)]
pub struct CustomerBody {
    pub id: CustomerId,
    #[serde(flatten)]
    pub customer: CustomerInput,
    /// Its own rate in force today; null where the operator's or the organization's counts.
    pub hourly_rate: Option<HourlyRate>,
    /// Since when it is out of use.
    pub archived_at: Option<DateTime<Utc>>,
    /// Counts up with every change; `ETag` holds it too.
    #[schema(minimum = 1)]
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl CustomerBody {
    fn new(row: Customer, hourly_rate: Option<HourlyRate>) -> Self {
        // The sort name only serves the order of lists.
        let Customer { id, fields, sort_name: _, archived_at, version, created_at, updated_at } = row;
        Self { id, customer: fields.into(), hourly_rate, archived_at, version, created_at, updated_at }
    }
}

impl Tabular for CustomerBody {
    const NAME: &'static str = "customers";
    const COLUMNS: &'static [Column] = &[
        Column::id("id"),
        Column::word("kind"),
        Column::text("name"),
        Column::text("short_name"),
        Column::word("tax_scheme"),
        Column::word("tax_country"),
        Column::word("tax_number"),
        Column::text("address_line1"),
        Column::word("address_line2"),
        Column::word("postal_code"),
        Column::word("city"),
        Column::word("country"),
        Column::text("email"),
        Column::word("phone"),
        Column::id("caretaker_id"),
        Column::text("tags"),
        Column::count("payment_days"),
        Column::count("round_up_minutes"),
        Column::word("currency"),
        Column::word("language"),
        Column::word("send_reminders"),
        Column::word("external_id"),
        Column::decimal("hourly_rate"),
        Column::text("notes"),
        Column::moment("archived_at"),
        Column::moment("created_at"),
        Column::moment("updated_at"),
    ];

    fn cells(self) -> Vec<Cell> {
        let Self { id, customer, hourly_rate, archived_at, version: _, created_at, updated_at } = self;
        // Of its addresses a table tells that of its invoices.
        let CustomerInput {
            kind,
            name,
            short_name,
            tax_id,
            billing_address,
            correspondence_address: _,
            email,
            phone,
            caretaker_id,
            tags,
            payment_days,
            round_up_minutes,
            currency,
            language,
            external_id,
            notes,
            send_reminders,
        } = customer;
        let mut cells = vec![Cell::text(id), Cell::text(kind), name.into(), short_name.into()];
        cells.extend(tax_id.cells());
        cells.extend(AddressBody::cells(billing_address));
        cells.extend([
            email.into(),
            phone.into(),
            caretaker_id.map(Cell::text).into(),
            tags.join(", ").into(),
            payment_days.into(),
            round_up_minutes.into(),
            Cell::text(currency),
            Cell::text(language),
            send_reminders.into(),
            external_id.into(),
            hourly_rate.into(),
            notes.into(),
            archived_at.into(),
            created_at.into(),
            updated_at.into(),
        ]);
        cells
    }
}

impl From<CustomerFields> for CustomerInput {
    fn from(fields: CustomerFields) -> Self {
        let CustomerFields {
            kind,
            name,
            short_name,
            tax_scheme,
            tax_country,
            tax_number,
            billing_address,
            correspondence_address,
            email,
            phone,
            caretaker_id,
            tags,
            payment_days,
            round_up_minutes,
            currency,
            language,
            external_id,
            notes,
            send_reminders,
        } = fields;
        Self {
            kind,
            name,
            short_name,
            tax_id: TaxIdBody::of(tax_scheme, tax_country, tax_number),
            billing_address: billing_address.map(|address| address.0.into()),
            correspondence_address: correspondence_address.map(|address| address.0.into()),
            email,
            phone,
            caretaker_id,
            tags,
            payment_days,
            round_up_minutes,
            currency,
            language,
            external_id,
            notes,
            send_reminders,
        }
    }
}

impl CustomerInput {
    fn fields(self) -> Result<CustomerFields, ApiError> {
        let tax_id = self.tax_id.check("/tax_id")?;
        Ok(CustomerFields {
            kind: self.kind,
            name: self.name,
            short_name: self.short_name,
            tax_scheme: tax_id.scheme(),
            tax_country: tax_id.country().map(str::to_owned),
            tax_number: tax_id.number().map(str::to_owned),
            billing_address: self.billing_address.map(|body| Json(Address::from(body))),
            correspondence_address: self.correspondence_address.map(|body| Json(Address::from(body))),
            email: self.email,
            phone: self.phone,
            caretaker_id: self.caretaker_id,
            tags: self.tags,
            payment_days: self.payment_days,
            round_up_minutes: self.round_up_minutes,
            currency: self.currency,
            language: self.language,
            external_id: self.external_id,
            notes: self.notes,
            send_reminders: self.send_reminders,
        })
    }
}

impl Sorting for CustomerSort {
    const WORDS: &'static [(&'static str, Self)] = &[("created_at", Self::CreatedAt), ("name", Self::Name)];
}

/// Which customers.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct CustomerQuery {
    kind: Option<CustomerKind>,
    caretaker_id: Option<OperatorId>,
    /// The number of its tax identity, without prefix and separators.
    #[param(min_length = 1, max_length = 60)]
    tax_number: Option<String>,
    #[param(min_length = 1, max_length = 120)]
    external_id: Option<String>,
    /// Any of these tags.
    #[param(value_type = Option<Vec<String>>, max_items = 20)]
    tag: Option<AnyOf<String>>,
    /// How its short name (or name) starts, whatever the case; Polish letters match plain ones.
    #[serde(rename = "name[prefix]")]
    #[param(min_length = 1, max_length = 80)]
    name_prefix: Option<String>,
    #[serde(rename = "created_at[gte]")]
    created_from: Option<DateTime<Utc>>,
    #[serde(rename = "created_at[lt]")]
    created_before: Option<DateTime<Utc>>,
    /// Those that are out of use, too.
    include_archived: Option<bool>,
}

impl From<CustomerQuery> for CustomerFilter {
    fn from(query: CustomerQuery) -> Self {
        Self {
            kind: query.kind,
            caretaker_id: query.caretaker_id,
            tax_number: query.tax_number,
            external_id: query.external_id,
            tags: query.tag.map(|tags| tags.0),
            name_prefix: query.name_prefix,
            created_from: query.created_from,
            created_before: query.created_before,
            include_archived: query.include_archived.unwrap_or_default(),
        }
    }
}

/// The bodies of rows, with the rates in force today: one statement however many.
fn with_rates(tx: &mut Tx<'_>, rows: Vec<Customer>) -> Result<Vec<CustomerBody>, ApiError> {
    let ids: Vec<CustomerId> = rows.iter().map(|row| row.id).collect();
    let organization = organizations::find(tx)?;
    let today = day_of(tx.now, organization.time_zone());
    let rates = hourly_rates::in_force_of_customers(tx, &ids, today)?;
    Ok(rows
        .into_iter()
        .map(|row| CustomerBody { hourly_rate: rates.get(&row.id).copied(), ..CustomerBody::new(row, None) })
        .collect())
}

fn body(tx: &mut Tx<'_>, row: Customer) -> Result<CustomerBody, ApiError> {
    with_rates(tx, vec![row])?.pop().ok_or_else(|| ApiError::internal("one row gives one body"))
}

/// The bodies of those of `ids` that exist.
pub(crate) fn bodies(tx: &mut Tx<'_>, ids: &[CustomerId]) -> Result<Vec<Value>, ApiError> {
    let rows = customers::find_all(tx, ids)?;
    let bodies = with_rates(tx, rows)?;
    bodies.iter().map(|body| serde_json::to_value(body).map_err(ApiError::internal)).collect()
}

/// List customers.
///
/// Those out of use are left out unless asked for. Newest first. Pages of JSON, or all in a table (CSV or XLSX, by `Accept`
/// or `format`).
#[utoipa::path(tag = "Customers", security(("sign_in" = ["crm:read"])),
    params(CustomerQuery, Listing<CustomerSort>, Format),
    responses((status = 200, content((PageBody<CustomerBody> = "application/json"), (String = "text/csv"),
        (Spreadsheet = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet")))))]
#[get("/customers")]
async fn list_customers(
    state: web::Data<State>,
    actor: Actor,
    filters: Filters<CustomerQuery>,
    format: Format,
    listing: Listing<CustomerSort>,
    shape: Shape,
) -> Result<HttpResponse, ApiError> {
    let scope = actor.scope(Permission::CrmRead)?;
    let filter = filters.0.into();
    tables::list(state, scope, format, listing, shape, move |tx, page| {
        let Page { items, next, total } = customers::list(tx, &filter, page)?;
        Ok(Page { items: with_rates(tx, items)?, next, total })
    })
    .await
}

/// Add a customer.
///
/// Without a caretaker the operator who adds it becomes it.
#[utoipa::path(tag = "Customers", security(("sign_in" = ["crm:write"])), request_body = CustomerInput,
    responses((status = 201, body = CustomerBody)))]
#[post("/customers")]
async fn create_customer(
    state: web::Data<State>,
    actor: Actor,
    once: Once,
    input: Valid<CustomerInput>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmWrite)?;
    let fields = input.0.fields()?;
    state.submit(scope, once, move |tx| create(tx, &actor, fields)).await
}

fn create(tx: &mut Tx<'_>, actor: &Actor, mut fields: CustomerFields) -> Result<Reply, ApiError> {
    fields.caretaker_id = fields.caretaker_id.or(actor.operator_id());
    check_caretaker(&actor.authority(tx)?, tx, None, fields.caretaker_id)?;
    let customer = customers::create(tx, fields)?;
    let location = format!("/api/v1/customers/{}", customer.id);
    let body = body(tx, customer)?;
    Ok(Reply::created(&location, body.version, &body))
}

/// Whoever makes somebody the caretaker must stand above them (or be them), and it is somebody who is there.
pub(crate) fn check_caretaker(
    authority: &Authority,
    tx: &mut Tx<'_>,
    before: Option<OperatorId>,
    after: Option<OperatorId>,
) -> Result<(), ApiError> {
    check_assignment(authority, before, after)?;
    let Some(id) = after.filter(|after| before != Some(*after)) else { return Ok(()) };
    match operators::find_all(tx, &[id])?.pop() {
        Some(operator) if !operator.fields.active => {
            Err(ApiError::invalid_field("/caretaker_id", "inactive", "Is not at work here any more"))
        }
        // One that is not there is refused by the reference.
        _ => Ok(()),
    }
}

/// Whoever gives somebody work, or writes down somebody's, must stand above them (or be them).
pub(crate) fn check_assignment(
    authority: &Authority,
    before: Option<OperatorId>,
    after: Option<OperatorId>,
) -> Result<(), ApiError> {
    match after {
        Some(after) if before != Some(after) => authority.may_assign(after).map_err(ApiError::forbidden),
        _ => Ok(()),
    }
}

/// Show a customer.
///
/// One that is out of use is shown too. It is always sent whole: the rate in force changes with the day.
#[utoipa::path(tag = "Customers", security(("sign_in" = ["crm:read"])), extensions(("x-derived" = json!(true))),
    responses((status = 200, body = CustomerBody)))]
#[get("/customers/{id}")]
async fn get_customer(
    state: web::Data<State>,
    actor: Actor,
    id: Id<CustomerId>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmRead)?;
    state
        .read(scope, move |tx| {
            let row = customers::find(tx, id.0)?;
            let body = body(tx, row)?;
            shape.one(tx, body.version, &body)
        })
        .await
}

/// Change a customer.
///
/// Its caretaker may, and those above the caretaker. Invoices that are issued already keep what they were issued with.
#[utoipa::path(tag = "Customers", security(("sign_in" = ["crm:write"])), params(IfMatch),
    request_body(content = CustomerInput, content_type = "application/merge-patch+json"),
    responses((status = 200, body = CustomerBody)))]
#[patch("/customers/{id}")]
async fn update_customer(
    state: web::Data<State>,
    actor: Actor,
    id: Id<CustomerId>,
    seen: IfMatch,
    patch: Patch<CustomerInput>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmWrite)?;
    state
        .transaction(scope, move |tx| {
            let customer = customers::lock(tx, id.0, seen.0)?;
            let fields = patch.apply(&customer.fields.clone().into())?.fields()?;
            update(tx, &actor, &customer, fields)
        })
        .await
}

fn update(tx: &mut Tx<'_>, actor: &Actor, customer: &Customer, fields: CustomerFields) -> Result<Reply, ApiError> {
    let authority = actor.authority(tx)?;
    authority.may_change(customer.fields.caretaker_id.as_slice()).map_err(ApiError::forbidden)?;
    check_caretaker(&authority, tx, customer.fields.caretaker_id, fields.caretaker_id)?;
    let customer = customers::update(tx, customer, fields)?;
    let body = body(tx, customer)?;
    Ok(Reply::at_version(body.version, &body))
}

/// Add or replace a customer by your own key.
///
/// For synchronisation: makes the customer with this `external_id`, or replaces all of its fields (a field left out
/// gets its default). With `If-None-Match: *` it only adds.
#[utoipa::path(tag = "Customers", security(("sign_in" = ["crm:write"])), request_body = CustomerInput,
    params(
        ("external_id" = String, Path, min_length = 1, max_length = 120, description = "The customer's key in your system.", example = "ERP-00417"),
        ("If-None-Match" = Option<String>, Header, description = "`*` to refuse replacing.", pattern = r"^\*$"),
    ),
    responses((status = 200, body = CustomerBody), (status = 201, body = CustomerBody)))]
#[put("/customers/by-external-id/{external_id}")]
async fn put_customer_by_external_id(
    req: HttpRequest,
    state: web::Data<State>,
    actor: Actor,
    external_id: web::Path<String>,
    input: Valid<CustomerInput>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmWrite)?;
    let only_create = req.headers().contains_key(header::IF_NONE_MATCH);
    let external_id = text::normal(&external_id);
    if external_id.is_empty() {
        return Err(ApiError::invalid_parameters(vec![Wrong::parameter(
            "external_id",
            "minLength",
            "At least 1 character",
        )]));
    }
    if input.0.external_id.as_ref().is_some_and(|given| *given != external_id) {
        return Err(ApiError::invalid_field("/external_id", "differs", "Differs from the path's"));
    }
    let fields = CustomerFields { external_id: Some(external_id.clone()), ..input.0.fields()? };
    state
        .transaction(scope, move |tx| match customers::lock_by_external_id(tx, &external_id)? {
            None => create(tx, &actor, fields),
            Some(customer) if only_create => {
                Err(ApiError::new(Code::PreconditionFailed).extra("current_etag", format!("\"{}\"", customer.version)))
            }
            Some(customer) => {
                // A synchronisation that knows no caretakers does not take them away.
                let caretaker_id = fields.caretaker_id.or(customer.fields.caretaker_id);
                update(tx, &actor, &customer, CustomerFields { caretaker_id, ..fields })
            }
        })
        .await
}

/// Take a customer out of use.
///
/// Lists leave it out from then on, and it can't be billed. Nothing is deleted; done twice it stays as it is.
#[utoipa::path(tag = "Customers", security(("sign_in" = ["crm:write"])), responses((status = 200, body = CustomerBody)))]
#[post("/customers/{id}/archival")]
async fn archive_customer(
    state: web::Data<State>,
    actor: Actor,
    id: Id<CustomerId>,
    once: Once,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmWrite)?;
    state.submit(scope, once, move |tx| set_archived(tx, &actor, id.0, true)).await
}

/// Take a customer back into use.
///
/// Undoes its archival; a customer in use stays as it is.
#[utoipa::path(tag = "Customers", security(("sign_in" = ["crm:write"])), responses((status = 200, body = CustomerBody)))]
#[delete("/customers/{id}/archival")]
async fn restore_customer(state: web::Data<State>, actor: Actor, id: Id<CustomerId>) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmWrite)?;
    state.transaction(scope, move |tx| set_archived(tx, &actor, id.0, false)).await
}

fn set_archived(tx: &mut Tx<'_>, actor: &Actor, id: CustomerId, archived: bool) -> Result<Reply, ApiError> {
    let mut customer = customers::lock(tx, id, None)?;
    actor.authority(tx)?.may_change(customer.fields.caretaker_id.as_slice()).map_err(ApiError::forbidden)?;
    if customer.archived_at.is_some() != archived {
        customer = customers::set_archived(tx, &customer, archived.then_some(tx.now))?;
    }
    let body = body(tx, customer)?;
    Ok(Reply::at_version(body.version, &body))
}
