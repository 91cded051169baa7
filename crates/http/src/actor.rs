//! Who asks: an operator who has signed in, or a script with a key, and what they may.

use crate::context::Asked;
use crate::keys::{AccessClaims, TokenFault, parse_api_key};
use crate::problem::{ApiError, Code};
use crate::state::State;
use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::{FromRequest, HttpRequest};
use opiekun_domain::authority::Authority;
use opiekun_domain::ids::{ApiKeyId, OperatorId, OrganizationId, SignInId};
use opiekun_domain::operator::Role;
use opiekun_domain::permission::{Permission, PermissionSet};
use opiekun_persistence::files::Reader;
use opiekun_persistence::operators::Operator;
use opiekun_persistence::{ActorRef, Scope, Tx, credentials, operators};
use std::future::{Ready, ready};
use subtle::ConstantTimeEq;
use uuid::Uuid;

/// A caller whose credentials were checked.
#[derive(Debug, Clone)]
pub struct Actor {
    pub organization_id: OrganizationId,
    pub who: Who,
    pub permissions: PermissionSet,
    request_id: Uuid,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    Operator { id: OperatorId, role: Role, sign_in_id: SignInId },
    ApiKey { id: ApiKeyId },
}

impl Actor {
    /// The key to the database, for those who hold the permission.
    #[expect(clippy::disallowed_methods, reason = "the one place of http where a scope is made")]
    pub fn scope(&self, permission: Permission) -> Result<Scope, ApiError> {
        if !self.permissions.contains(permission) {
            return Err(ApiError::scope_missing(permission));
        }
        Ok(Scope::new(self.organization_id, self.actor_ref(), Some(self.request_id)))
    }

    /// The key to the database, for those who hold both permissions.
    pub fn scope_of_both(&self, one: Permission, other: Permission) -> Result<Scope, ApiError> {
        self.scope(one).and_then(|_| self.scope(other))
    }

    /// The key to the database, for those who hold one of the permissions at least.
    #[expect(clippy::disallowed_methods, reason = "the one place of http where a scope is made")]
    pub fn scope_of_any(&self, permissions: &[Permission]) -> Result<Scope, ApiError> {
        if !permissions.iter().any(|permission| self.permissions.contains(*permission)) {
            return Err(ApiError::scopes_missing(permissions));
        }
        Ok(Scope::new(self.organization_id, self.actor_ref(), Some(self.request_id)))
    }

    /// Which files are there for the caller, besides its own: those on records that it may read.
    pub fn reader(&self) -> Reader {
        Reader {
            crm: self.permissions.contains(Permission::CrmRead),
            billing: self.permissions.contains(Permission::BillingRead),
            knowledge: self.permissions.contains(Permission::KnowledgeRead),
            drafts: self.permissions.contains(Permission::KnowledgeWrite),
        }
    }

    /// The key to the database for what concerns the caller itself, whatever it may do.
    #[expect(clippy::disallowed_methods, reason = "the one place of http where a scope is made")]
    pub fn own_scope(&self) -> Scope {
        Scope::new(self.organization_id, self.actor_ref(), Some(self.request_id))
    }

    pub fn id(&self) -> Uuid {
        match self.who {
            Who::Operator { id, .. } => id.0,
            Who::ApiKey { id } => id.0,
        }
    }

    /// The operator who asks; a script is none.
    pub fn operator_id(&self) -> Option<OperatorId> {
        match self.who {
            Who::Operator { id, .. } => Some(id),
            Who::ApiKey { .. } => None,
        }
    }

    /// Whose records the caller may change within its scopes.
    pub fn authority(&self, tx: &mut Tx<'_>) -> Result<Authority, ApiError> {
        Ok(match self.who {
            Who::ApiKey { .. } | Who::Operator { role: Role::Owner, .. } => Authority::Organization,
            Who::Operator { role: Role::Manager, id, .. } => {
                Authority::Team { operator_id: id, below: operators::below(tx, id)? }
            }
            Who::Operator { id, .. } => Authority::Own { operator_id: id },
        })
    }

    fn actor_ref(&self) -> ActorRef {
        match self.who {
            Who::Operator { id, .. } => ActorRef::Operator(id),
            Who::ApiKey { id } => ActorRef::ApiKey(id),
        }
    }
}

/// The key to the database for signing in and out: the operator acts on itself, before it is an actor.
#[expect(clippy::disallowed_methods, reason = "there is no actor before one has signed in")]
pub(crate) fn signing_in(organization_id: OrganizationId, id: OperatorId, request_id: Uuid) -> Scope {
    Scope::new(organization_id, ActorRef::Operator(id), Some(request_id))
}

/// The key to the database for a calendar program, which reads for the operator whose feed it knows the address of.
#[expect(clippy::disallowed_methods, reason = "there is no actor where the address is the credential")]
pub(crate) fn reading_feed(
    organization_id: OrganizationId,
    reader: &Operator,
    request_id: Uuid,
) -> Option<(Scope, PermissionSet)> {
    let permissions = Permission::of(reader.fields.role, reader.fields.billing);
    let scope = Scope::new(organization_id, ActorRef::Operator(reader.id), Some(request_id));
    permissions.contains(Permission::CrmRead).then_some((scope, permissions))
}

/// The key to the database for a customer who answers a survey at a secret address, and is nobody who signs in.
#[expect(clippy::disallowed_methods, reason = "there is no actor where the address is the credential")]
pub(crate) fn answering_survey(organization_id: OrganizationId, request_id: Uuid) -> Scope {
    Scope::new(organization_id, ActorRef::System, Some(request_id))
}

/// The handler's own look at who asks: the gate has checked the credentials.
impl FromRequest for Actor {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Asked::of(req).and_then(|asked| asked.actor.clone()).ok_or_else(ApiError::unauthenticated))
    }
}

/// Finds out who sends a request. Every refusal for a wrong credential reads the same.
pub(crate) async fn authenticate(state: &State, headers: &HeaderMap, request_id: Uuid) -> Result<Actor, ApiError> {
    let bearer = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim());
    let key = headers.get("x-api-key").and_then(|value| value.to_str().ok());
    match (bearer, key) {
        (_, Some(key)) => with_key(state, key, request_id).await,
        (Some(token), None) if token.starts_with("opk_") => with_key(state, token, request_id).await,
        (Some(token), None) => with_token(state, token, request_id).await,
        (None, None) => Err(ApiError::unauthenticated()),
    }
}

async fn with_token(state: &State, token: &str, request_id: Uuid) -> Result<Actor, ApiError> {
    let claims: AccessClaims = state.keys.read_access_token(token, state.now()).map_err(|fault| match fault {
        TokenFault::Expired => ApiError::new(Code::TokenExpired).header(
            header::WWW_AUTHENTICATE,
            HeaderValue::from_static(r#"Bearer realm="opiekun", error="invalid_token""#),
        ),
        TokenFault::Invalid => ApiError::unauthenticated(),
    })?;
    let (organization_id, id, sign_in_id) = (claims.org, claims.sub, claims.sid);
    let operator = state
        .lookup(move |db| credentials::find_signed_in(db, organization_id, id, sign_in_id))
        .await?
        .ok_or_else(ApiError::unauthenticated)?;
    Ok(Actor {
        organization_id,
        who: Who::Operator { id, role: operator.fields.role, sign_in_id },
        permissions: Permission::of(operator.fields.role, operator.fields.billing),
        request_id,
    })
}

async fn with_key(state: &State, key: &str, request_id: Uuid) -> Result<Actor, ApiError> {
    let (id, secret_hash) = parse_api_key(key).ok_or_else(ApiError::unauthenticated)?;
    let now = state.now();
    let found = state
        .lookup(move |db| {
            let found = credentials::find_api_key(db, id)?
                .filter(|key| bool::from(key.secret_hash.ct_eq(&secret_hash)))
                .filter(|key| key.expires_at.is_none_or(|expires_at| expires_at > now));
            if let Some(key) = &found {
                credentials::touch_api_key(db, key, now)?;
            }
            Ok(found)
        })
        .await?
        .ok_or_else(ApiError::unauthenticated)?;
    Ok(Actor {
        organization_id: found.organization_id,
        who: Who::ApiKey { id },
        permissions: found.scopes.iter().filter_map(|word| word.parse::<Permission>().ok()).collect(),
        request_id,
    })
}
