//! Operators: the users of an organization.

use crate::actor::Actor;
use crate::body::{Patch, Valid};
use crate::listing::{Filters, Id, Listing};
use crate::once::Once;
use crate::precondition::IfMatch;
use crate::problem::ApiError;
use crate::reply::Reply;
use crate::shape::{PageBody, Shape};
use crate::state::State;
use actix_web::{get, patch, post, web};
use chrono::{DateTime, Utc};
use opiekun_domain::ids::OperatorId;
use opiekun_domain::language::Language;
use opiekun_domain::operator::{BillingRight, Role};
use opiekun_domain::permission::Permission;
use opiekun_persistence::operators::{Operator, OperatorFields, OperatorFilter};
use opiekun_persistence::{Page, StoreError, Tx, Violation, credentials, operators, timers};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use validator::Validate;

pub fn routes(config: &mut ServiceConfig) {
    config.service(list_operators).service(create_operator).service(get_operator).service(update_operator);
}

/// What an owner may write of an operator.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct OperatorInput {
    /// Signs in with it; no two operators have the same.
    #[schema(format = "email", min_length = 3, max_length = 254, example = "jan.kowalski@example.com")]
    pub email: String,
    #[schema(min_length = 1, max_length = 160, example = "Jan Kowalski")]
    pub full_name: String,
    #[schema(example = "operator")]
    pub role: Role,
    /// The right to invoices, given apart from the role.
    #[schema(default = "none")]
    #[serde(default = "no_billing")]
    pub billing: BillingRight,
    /// Who stands above it in the tree; nobody at its top.
    #[serde(default)]
    pub supervisor_id: Option<OperatorId>,
    /// Whether it may sign in. Setting this to false ends its sign-ins.
    #[schema(default = true)]
    #[serde(default = "yes")]
    pub active: bool,
    /// The language of what it is sent.
    #[schema(default = "pl")]
    #[serde(default = "polish")]
    pub locale: Language,
}

/// A new operator, and the password that it starts with.
#[derive(Debug, Clone, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct NewOperatorInput {
    #[schema(format = "email", min_length = 3, max_length = 254, example = "jan.kowalski@example.com")]
    pub email: String,
    #[schema(min_length = 1, max_length = 160, example = "Jan Kowalski")]
    pub full_name: String,
    #[schema(example = "operator")]
    pub role: Role,
    /// The right to invoices, given apart from the role.
    #[schema(default = "none")]
    #[serde(default = "no_billing")]
    pub billing: BillingRight,
    /// Who stands above it in the tree; nobody at its top.
    #[serde(default)]
    pub supervisor_id: Option<OperatorId>,
    #[schema(default = "pl")]
    #[serde(default = "polish")]
    pub locale: Language,
    /// What it signs in with until it changes it. Without one it cannot sign in.
    #[schema(min_length = 12, max_length = 200, format = Password, example = "sosna-rower-3-chmury")]
    #[serde(default)]
    pub password: Option<String>,
}

const fn no_billing() -> BillingRight {
    BillingRight::None
}

const fn yes() -> bool {
    true
}

const fn polish() -> Language {
    Language::Polish
}

/// A user of the organization.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Operator)]
pub struct OperatorBody {
    pub id: OperatorId,
    #[serde(flatten)]
    pub operator: OperatorInput,
    /// Counts up with every change; `ETag` holds it too.
    #[schema(minimum = 1)]
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl From<Operator> for OperatorBody {
    fn from(row: Operator) -> Self {
        // The hash of the password never leaves.
        let Operator { id, fields, password_hash: _, version, created_at, updated_at } = row;
        Self { id, operator: fields.into(), version, created_at, updated_at }
    }
}

impl From<OperatorFields> for OperatorInput {
    fn from(fields: OperatorFields) -> Self {
        let OperatorFields { email, full_name, role, billing, supervisor_id, active, locale } = fields;
        Self { email, full_name, role, billing, supervisor_id, active, locale }
    }
}

impl From<OperatorInput> for OperatorFields {
    fn from(input: OperatorInput) -> Self {
        let OperatorInput { email, full_name, role, billing, supervisor_id, active, locale } = input;
        Self { email, full_name, role, billing, supervisor_id, active, locale }
    }
}

/// Refuses rights beyond the caller's own: a key that manages operators must not make itself an owner.
fn within_giver(actor: &Actor, role: Role, billing: BillingRight) -> Result<(), ApiError> {
    if Permission::of(role, billing).is_within(actor.permissions) {
        return Ok(());
    }
    Err(ApiError::invalid_field("/role", "beyond_giver", "Nobody gives an operator a scope that they lack"))
}

/// Which operators.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct OperatorQuery {
    role: Option<Role>,
    /// Those right below this one.
    supervisor_id: Option<OperatorId>,
    active: Option<bool>,
}

/// The bodies of those of `ids` that exist.
pub(crate) fn bodies(tx: &mut Tx<'_>, ids: &[OperatorId]) -> Result<Vec<Value>, ApiError> {
    let rows = operators::find_all(tx, ids)?;
    rows.into_iter().map(|row| serde_json::to_value(OperatorBody::from(row)).map_err(ApiError::internal)).collect()
}

/// List operators.
///
/// Everybody in the organization sees who works in it. Newest first.
#[utoipa::path(tag = "Operators", security(("sign_in" = ["crm:read"])), params(OperatorQuery, Listing<()>),
    responses((status = 200, body = PageBody<OperatorBody>)))]
#[get("/operators")]
async fn list_operators(
    state: web::Data<State>,
    actor: Actor,
    filters: Filters<OperatorQuery>,
    listing: Listing<()>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmRead)?;
    let OperatorQuery { role, supervisor_id, active } = filters.0;
    state
        .read(scope, move |tx| {
            let Page { items, next, total } =
                operators::list(tx, &OperatorFilter { role, supervisor_id, active }, &listing.page)?;
            let items = items.into_iter().map(OperatorBody::from).collect();
            shape.page(tx, Page { items, next, total })
        })
        .await
}

/// Add an operator.
///
/// Nothing is sent to it: tell it the password that you gave, and to change it.
#[utoipa::path(tag = "Operators", security(("sign_in" = ["admin:write"])), request_body = NewOperatorInput,
    responses((status = 201, body = OperatorBody)))]
#[post("/operators")]
async fn create_operator(
    state: web::Data<State>,
    actor: Actor,
    once: Once,
    body: Valid<NewOperatorInput>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::AdminWrite)?;
    let NewOperatorInput { email, full_name, role, billing, supervisor_id, locale, password } = body.0;
    within_giver(&actor, role, billing)?;
    let fields = OperatorFields { email, full_name, role, billing, supervisor_id, active: true, locale };
    let hash = match password {
        Some(password) => Some(state.passwords.hash(password).await?),
        None => None,
    };
    state
        .submit(scope, once, move |tx| {
            let operator = operators::create(tx, fields, hash)?;
            let location = format!("/api/v1/operators/{}", operator.id);
            Ok(Reply::created(&location, operator.version, &OperatorBody::from(operator)))
        })
        .await
}

/// Show an operator.
///
/// Everybody in the organization may see it.
#[utoipa::path(tag = "Operators", security(("sign_in" = ["crm:read"])),
    responses((status = 200, body = OperatorBody)))]
#[get("/operators/{id}")]
async fn get_operator(
    state: web::Data<State>,
    actor: Actor,
    id: Id<OperatorId>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmRead)?;
    state
        .read(scope, move |tx| {
            let operator = operators::find(tx, id.0)?;
            shape.one(tx, operator.version, &OperatorBody::from(operator))
        })
        .await
}

/// Change an operator.
///
/// Its role and rights hold from its next request on. The last active owner stays one.
#[utoipa::path(tag = "Operators", security(("sign_in" = ["admin:write"])), params(IfMatch),
    request_body(content = OperatorInput, content_type = "application/merge-patch+json"),
    responses((status = 200, body = OperatorBody)))]
#[patch("/operators/{id}")]
async fn update_operator(
    state: web::Data<State>,
    actor: Actor,
    id: Id<OperatorId>,
    seen: IfMatch,
    patch: Patch<OperatorInput>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::AdminWrite)?;
    state
        .transaction(scope, move |tx| {
            // Before the row itself, in the order that everybody takes them: two demotions at once wait here.
            let owners = operators::lock_active_owners(tx)?;
            let operator = operators::lock(tx, id.0, seen.0)?;
            let fields: OperatorFields = patch.apply(&operator.fields.clone().into())?.into();
            if (fields.role, fields.billing) != (operator.fields.role, operator.fields.billing) {
                within_giver(&actor, fields.role, fields.billing)?;
            }
            if owners == [operator.id] && !(fields.active && fields.role == Role::Owner) {
                return Err(ApiError::state_invalid("last_owner", "An organization keeps at least one active owner"));
            }
            if !fields.active {
                credentials::end_sign_ins_of(tx, operator.id)?;
                end_timer(tx, operator.id)?;
            }
            let operator = operators::update(tx, &operator, fields)?;
            Ok(Reply::at_version(operator.version, &OperatorBody::from(operator)))
        })
        .await
}

/// Nobody else could stop it. Its time is written down, unless the month in which it began is locked.
fn end_timer(tx: &mut Tx<'_>, id: OperatorId) -> Result<(), ApiError> {
    let Some(timer) = timers::lock(tx, id)? else { return Ok(()) };
    match tx.attempt(|tx| timers::stop(tx, &timer)) {
        Err(StoreError::Refused { violation: Violation::Restrict, .. }) => Ok(timers::discard(tx, &timer)?),
        other => Ok(other.map(|_| ())?),
    }
}
