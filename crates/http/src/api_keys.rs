//! API keys: how scripts sign in.

use crate::actor::Actor;
use crate::body::{Patch, Valid};
use crate::keys::{api_key_text, hash_of, random_secret};
use crate::listing::{Filters, Id, Listing};
use crate::once::Once;
use crate::precondition::IfMatch;
use crate::problem::ApiError;
use crate::reply::Reply;
use crate::shape::{PageBody, Shape};
use crate::state::State;
use actix_web::{delete, get, patch, post, web};
use chrono::{DateTime, Utc};
use opiekun_domain::ids::ApiKeyId;
use opiekun_domain::permission::{Permission, PermissionSet};
use opiekun_persistence::api_keys::{ApiKey, ApiKeyFields};
use opiekun_persistence::{Page, api_keys};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use validator::Validate;

pub fn routes(config: &mut ServiceConfig) {
    config
        .service(list_api_keys)
        .service(create_api_key)
        .service(get_api_key)
        .service(update_api_key)
        .service(revoke_api_key);
}

/// What an owner may write of a key.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct ApiKeyInput {
    /// What it is used for.
    #[schema(min_length = 1, max_length = 120, example = "Invoice run of the night")]
    pub name: String,
    /// What it may do: never more than who gives it.
    #[schema(min_items = 1, max_items = 20, example = json!(["billing:read", "billing:write"]))]
    pub scopes: Vec<Permission>,
    /// When it stops working by itself.
    #[serde(default)]
    pub expires_at: Option<DateTime<Utc>>,
}

/// A script's key.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApiKey)]
pub struct ApiKeyBody {
    pub id: ApiKeyId,
    #[serde(flatten)]
    pub key: ApiKeyInput,
    /// To the minute.
    pub last_used_at: Option<DateTime<Utc>>,
    pub revoked_at: Option<DateTime<Utc>>,
    /// Counts up with every change; `ETag` holds it too.
    #[schema(minimum = 1)]
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// A new key with its secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NewApiKey)]
pub struct NewApiKeyBody {
    #[serde(flatten)]
    pub key: ApiKeyBody,
    /// The whole key, to be sent as `Authorization: Bearer` or `X-API-Key`. It is shown this once and kept as a hash;
    /// a repeat of the request shows null.
    #[schema(
        max_length = 200,
        example = "opk_0192f0c17a107cc19d5e0f3b8a61c2aa_0YpXqJrN1mB9c2T5vW8xZ3aD6eF4gH7iK0lM2nO5pQs"
    )]
    pub secret: Option<String>,
}

impl From<ApiKey> for ApiKeyBody {
    fn from(row: ApiKey) -> Self {
        let ApiKey { id, fields, last_used_at, revoked_at, version, created_at, updated_at } = row;
        Self { id, key: fields.into(), last_used_at, revoked_at, version, created_at, updated_at }
    }
}

impl From<ApiKeyFields> for ApiKeyInput {
    fn from(fields: ApiKeyFields) -> Self {
        let ApiKeyFields { name, scopes, expires_at } = fields;
        Self { name, scopes: scopes.iter().filter_map(|word| word.parse().ok()).collect(), expires_at }
    }
}

impl ApiKeyInput {
    /// The fields, unless the key would hold more than `giver` does.
    fn fields(self, giver: PermissionSet) -> Result<ApiKeyFields, ApiError> {
        let scopes: PermissionSet = self.scopes.into_iter().collect();
        if !scopes.is_within(giver) {
            return Err(ApiError::invalid_field(
                "/scopes",
                "beyond_giver",
                "A key holds no scope that its giver lacks",
            ));
        }
        Ok(ApiKeyFields {
            name: self.name,
            scopes: scopes.iter().map(|scope| scope.to_string()).collect(),
            expires_at: self.expires_at,
        })
    }
}

/// Which keys.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ApiKeyQuery {
    /// Those that were revoked, too.
    include_revoked: Option<bool>,
}

/// List API keys.
///
/// Without their secrets, which nobody can read again. Newest first.
#[utoipa::path(tag = "API keys", security(("sign_in" = ["admin:read"])), params(ApiKeyQuery, Listing<()>),
    responses((status = 200, body = PageBody<ApiKeyBody>)))]
#[get("/api-keys")]
async fn list_api_keys(
    state: web::Data<State>,
    actor: Actor,
    filters: Filters<ApiKeyQuery>,
    listing: Listing<()>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::AdminRead)?;
    let include_revoked = filters.0.include_revoked.unwrap_or_default();
    state
        .read(scope, move |tx| {
            let Page { items, next, total } = api_keys::list(tx, include_revoked, &listing.page)?;
            let items = items.into_iter().map(ApiKeyBody::from).collect();
            shape.page(tx, Page { items, next, total })
        })
        .await
}

/// Make an API key.
///
/// The answer holds the secret, this once.
#[utoipa::path(tag = "API keys", security(("sign_in" = ["admin:write"])), request_body = ApiKeyInput,
    responses((status = 201, body = NewApiKeyBody)))]
#[post("/api-keys")]
async fn create_api_key(
    state: web::Data<State>,
    actor: Actor,
    once: Once,
    body: Valid<ApiKeyInput>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::AdminWrite)?;
    let fields = body.0.fields(actor.permissions)?;
    state
        .submit(scope, once, move |tx| {
            let (id, secret) = (ApiKeyId::at(tx.now), random_secret());
            let row = api_keys::create(tx, id, fields, hash_of(&secret))?;
            let location = format!("/api/v1/api-keys/{id}");
            let without = NewApiKeyBody { key: row.clone().into(), secret: None };
            let body = NewApiKeyBody { key: row.into(), secret: Some(api_key_text(id, &secret)) };
            Ok(Reply::created(&location, body.key.version, &body).kept_as(&without).secret())
        })
        .await
}

/// Show an API key.
///
/// Without its secret, which nobody can read again.
#[utoipa::path(tag = "API keys", security(("sign_in" = ["admin:read"])),
    responses((status = 200, body = ApiKeyBody)))]
#[get("/api-keys/{id}")]
async fn get_api_key(state: web::Data<State>, actor: Actor, id: Id<ApiKeyId>, shape: Shape) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::AdminRead)?;
    state
        .read(scope, move |tx| {
            let key = api_keys::find(tx, id.0)?;
            shape.one(tx, key.version, &ApiKeyBody::from(key))
        })
        .await
}

/// Change an API key.
///
/// Its scopes hold from its next request on. The secret stays as it is.
#[utoipa::path(tag = "API keys", security(("sign_in" = ["admin:write"])), params(IfMatch),
    request_body(content = ApiKeyInput, content_type = "application/merge-patch+json"),
    responses((status = 200, body = ApiKeyBody)))]
#[patch("/api-keys/{id}")]
async fn update_api_key(
    state: web::Data<State>,
    actor: Actor,
    id: Id<ApiKeyId>,
    seen: IfMatch,
    patch: Patch<ApiKeyInput>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::AdminWrite)?;
    state
        .transaction(scope, move |tx| {
            let key = api_keys::lock(tx, id.0, seen.0)?;
            if key.revoked_at.is_some() {
                return Err(ApiError::state_invalid("revoked", "A revoked key stays as it is"));
            }
            let fields = patch.apply(&key.fields.clone().into())?.fields(actor.permissions)?;
            let key = api_keys::update(tx, &key, fields)?;
            Ok(Reply::at_version(key.version, &ApiKeyBody::from(key)))
        })
        .await
}

/// Revoke an API key.
///
/// It stops working at once and for good. A key that is revoked already stays so.
#[utoipa::path(tag = "API keys", security(("sign_in" = ["admin:write"])), params(IfMatch), responses((status = 204)))]
#[delete("/api-keys/{id}")]
async fn revoke_api_key(
    state: web::Data<State>,
    actor: Actor,
    id: Id<ApiKeyId>,
    seen: IfMatch,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::AdminWrite)?;
    state
        .transaction(scope, move |tx| {
            let key = api_keys::lock(tx, id.0, seen.0)?;
            if key.revoked_at.is_none() {
                api_keys::revoke(tx, &key)?;
            }
            Ok(Reply::empty())
        })
        .await
}
