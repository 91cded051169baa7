//! Signing in and out: tokens for people.

use crate::actor::signing_in;
use crate::body::Valid;
use crate::context::RequestContext;
use crate::keys::{ACCESS_TOKEN_LIFE, REFRESH_TOKEN_LIFE, hash_of, random_secret};
use crate::problem::ApiError;
use crate::reply::Reply;
use crate::state::State;
use actix_web::{HttpRequest, post, web};
use opiekun_domain::ids::{OperatorId, OrganizationId, SignInId};
use opiekun_persistence::{Tx, credentials};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;
use validator::Validate;

pub fn routes(config: &mut ServiceConfig) {
    config.service(create_token).service(revoke_token);
}

/// What a token is asked for with (OAuth 2.0, RFC 6749).
#[derive(Debug, Deserialize, ToSchema)]
#[serde(tag = "grant_type", rename_all = "snake_case", deny_unknown_fields)]
pub enum TokenRequest {
    /// An operator's e-mail and password.
    #[schema(title = "PasswordGrant")]
    Password {
        #[schema(min_length = 3, max_length = 254, example = "anna@kropka.example")]
        username: String,
        #[schema(min_length = 1, max_length = 200, format = Password, example = "kropka-demo-2026")]
        password: String,
    },
    /// The refresh token of the last answer, which is spent by this.
    #[schema(title = "RefreshTokenGrant")]
    RefreshToken {
        #[schema(min_length = 1, max_length = 200)]
        refresh_token: String,
    },
}

impl Validate for TokenRequest {
    fn validate(&self) -> Result<(), validator::ValidationErrors> {
        Ok(())
    }
}

/// A pair of tokens.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Token)]
pub struct TokenBody {
    /// A JWT for `Authorization: Bearer`.
    #[schema(max_length = 2000, example = "eyJhbGciOiJIUzI1NiIsInR5cCI6ImF0K2p3dCJ9.e30.c2ln")]
    access_token: String,
    #[schema(max_length = 20, example = "Bearer")]
    token_type: &'static str,
    /// Seconds until the access token expires.
    #[schema(minimum = 1, maximum = 900, example = 900)]
    expires_in: i64,
    /// For the next pair, once, within 30 days.
    #[schema(max_length = 200, example = "0YpXqJrN1mB9c2T5vW8xZ3aD6eF4gH7iK0lM2nO5pQs")]
    refresh_token: String,
}

/// Get an access token.
///
/// Takes an operator's e-mail and password, or a refresh token. A refresh token is good once: its reuse ends the whole
/// sign-in, since one of the two who used it has stolen it. Unknown accounts and wrong passwords answer alike.
/// Attempts are limited for each account and address.
#[utoipa::path(tag = "Signing in", security(()),
    request_body(content((TokenRequest = "application/json"), (TokenRequest = "application/x-www-form-urlencoded"))),
    responses((status = 200, body = TokenBody)))]
#[post("/auth/token")]
async fn create_token(
    req: HttpRequest,
    state: web::Data<State>,
    context: web::ReqData<RequestContext>,
    body: Valid<TokenRequest>,
) -> Result<Reply, ApiError> {
    let (token, refresh_token) = match body.0 {
        TokenRequest::Password { username, password } => {
            let address = req.peer_addr().map(|address| address.ip());
            state.limits.count_sign_in(&username, address)?;
            with_password(&state, &context, username, password).await?
        }
        TokenRequest::RefreshToken { refresh_token } => refresh(&state, &context, refresh_token).await?,
    };
    let (organization_id, operator_id, sign_in_id) = token;
    let access_token =
        state.keys.access_token(operator_id, organization_id, sign_in_id, state.now()).map_err(ApiError::internal)?;
    let body =
        TokenBody { access_token, token_type: "Bearer", expires_in: ACCESS_TOKEN_LIFE.num_seconds(), refresh_token };
    Ok(Reply::ok(&body).secret())
}

type Signed = (OrganizationId, OperatorId, SignInId);

async fn with_password(
    state: &State,
    context: &RequestContext,
    username: String,
    password: String,
) -> Result<(Signed, String), ApiError> {
    let found = state.lookup(move |db| credentials::find_operator_by_email(db, &username)).await?;
    let hash = found.as_ref().filter(|(_, operator)| operator.fields.active).and_then(|(_, o)| o.password_hash.clone());
    let (true, Some((organization_id, operator))) = (state.passwords.verify(password, hash).await?, found) else {
        return Err(ApiError::unauthenticated().detail("The e-mail or the password is wrong"));
    };
    let scope = signing_in(organization_id, operator.id, context.request_id);
    let (sign_in_id, refresh_token) = state
        .transaction(scope, move |tx| {
            let sign_in_id = credentials::start_sign_in(tx, operator.id)?;
            Ok((sign_in_id, give_refresh_token(tx, sign_in_id)?))
        })
        .await?;
    Ok(((organization_id, operator.id, sign_in_id), refresh_token))
}

async fn refresh(state: &State, context: &RequestContext, token: String) -> Result<(Signed, String), ApiError> {
    let refused = || ApiError::unauthenticated().detail("The refresh token is not valid");
    let now = state.now();
    let found = state
        .lookup(move |db| credentials::find_refresh_token(db, &hash_of(&token)))
        .await?
        .filter(|token| token.revoked_at.is_none() && token.expires_at > now)
        .ok_or_else(refused)?;
    let scope = signing_in(found.organization_id, found.operator_id, context.request_id);
    let next = state
        .transaction(scope, move |tx| {
            if found.spent_at.is_some() || !credentials::spend_refresh_token(tx, found.id)? {
                // Committed, although the caller is refused: the thief's token dies with the victim's.
                credentials::end_sign_in(tx, found.sign_in_id)?;
                return Ok(None);
            }
            credentials::find_active_operator(tx, found.operator_id)?;
            Ok(Some(give_refresh_token(tx, found.sign_in_id)?))
        })
        .await?;
    match next {
        Some(refresh_token) => Ok(((found.organization_id, found.operator_id, found.sign_in_id), refresh_token)),
        None => {
            tracing::warn!(target: "security", request_id = %context.request_id, "a spent refresh token was used again");
            Err(refused())
        }
    }
}

fn give_refresh_token(tx: &mut Tx<'_>, sign_in_id: SignInId) -> Result<String, ApiError> {
    let token = random_secret();
    credentials::add_refresh_token(tx, sign_in_id, hash_of(&token), tx.now + REFRESH_TOKEN_LIFE)?;
    Ok(token)
}

/// Which token to revoke.
#[derive(Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct RevocationRequest {
    /// A refresh token or an access token.
    #[schema(min_length = 1, max_length = 2000, example = "0YpXqJrN1mB9c2T5vW8xZ3aD6eF4gH7iK0lM2nO5pQs")]
    token: String,
    /// Taken as RFC 7009 has it, and not needed.
    #[schema(max_length = 40)]
    #[serde(default)]
    #[expect(dead_code, reason = "clients of RFC 7009 send it; the token itself tells its kind")]
    token_type_hint: Option<String>,
}

/// Sign out.
///
/// Ends the sign-in that the token belongs to: its refresh tokens and its access tokens stop working at once.
/// A token that is unknown or ended already answers the same (RFC 7009).
#[utoipa::path(tag = "Signing in", security(()),
    request_body(content((RevocationRequest = "application/json"), (RevocationRequest = "application/x-www-form-urlencoded"))),
    responses((status = 204)))]
#[post("/auth/revocation")]
async fn revoke_token(
    state: web::Data<State>,
    context: web::ReqData<RequestContext>,
    body: Valid<RevocationRequest>,
) -> Result<Reply, ApiError> {
    let token = body.0.token;
    let signed = match state.keys.read_access_token(&token, state.now()) {
        Ok(claims) => Some((claims.org, claims.sub, claims.sid)),
        Err(_) => state
            .lookup(move |db| credentials::find_refresh_token(db, &hash_of(&token)))
            .await?
            .map(|token| (token.organization_id, token.operator_id, token.sign_in_id)),
    };
    if let Some((organization_id, operator_id, sign_in_id)) = signed {
        let scope = signing_in(organization_id, operator_id, context.request_id);
        state.transaction(scope, move |tx| Ok(credentials::end_sign_in(tx, sign_in_id)?)).await?;
    }
    Ok(Reply::empty())
}
