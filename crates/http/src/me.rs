//! Who is signed in, and what they may.

use crate::actor::{Actor, Who};
use crate::body::Valid;
use crate::operators::OperatorBody;
use crate::organization::OrganizationBody;
use crate::problem::ApiError;
use crate::reply::Reply;
use crate::state::State;
use actix_web::{get, put, web};
use opiekun_domain::permission::Permission;
use opiekun_persistence::{credentials, operators, organizations};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;
use validator::Validate;

pub fn routes(config: &mut ServiceConfig) {
    config.service(get_me).service(change_password);
}

/// The caller, its organization and its permissions.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Me)]
pub struct MeBody {
    /// The operator who has signed in; null for an API key.
    operator: Option<OperatorBody>,
    organization: OrganizationBody,
    /// The scopes that the caller has.
    #[schema(max_items = 20)]
    permissions: Vec<Permission>,
}

/// Show who is signed in.
///
/// The operator, its organization, and the scopes that its role and billing right, or the key's own, come to.
#[utoipa::path(tag = "Me", security(("sign_in" = [])), responses((status = 200, body = MeBody)))]
#[get("/me")]
async fn get_me(state: web::Data<State>, actor: Actor) -> Result<Reply, ApiError> {
    let scope = actor.own_scope();
    state
        .snapshot(scope, move |tx| {
            let operator = actor.operator_id().map(|id| operators::find(tx, id)).transpose()?;
            let body = MeBody {
                operator: operator.map(OperatorBody::from),
                organization: organizations::find(tx)?.into(),
                permissions: actor.permissions.iter().collect(),
            };
            Ok(Reply::ok(&body))
        })
        .await
}

/// The old and the new password.
#[derive(Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct PasswordChange {
    #[schema(min_length = 1, max_length = 200, format = Password, example = "kropka-demo-2026")]
    current_password: String,
    /// At least 12 characters of any kind.
    #[schema(min_length = 12, max_length = 200, format = Password, example = "sosna-rower-3-chmury")]
    new_password: String,
}

/// Change one's own password.
///
/// Ends every sign-in of the operator, this one too: sign in again with the new password.
#[utoipa::path(tag = "Me", security(("sign_in" = [])), request_body = PasswordChange, responses((status = 204)))]
#[put("/me/password")]
async fn change_password(
    state: web::Data<State>,
    actor: Actor,
    body: Valid<PasswordChange>,
) -> Result<Reply, ApiError> {
    let Who::Operator { id, .. } = actor.who else {
        return Err(ApiError::forbidden("A key has no password"));
    };
    state.limits.count_sign_in(&id.to_string(), None)?;
    let scope = actor.own_scope();
    let operator = state.read(scope, move |tx| Ok(operators::find(tx, id)?)).await?;
    let PasswordChange { current_password, new_password } = body.0;
    if !state.passwords.verify(current_password, operator.password_hash).await? {
        return Err(ApiError::invalid_field("/current_password", "wrong", "Is not the current password"));
    }
    let hash = state.passwords.hash(new_password).await?;
    state
        .transaction(scope, move |tx| {
            let operator = operators::lock(tx, id, None)?;
            operators::set_password(tx, &operator, hash)?;
            credentials::end_sign_ins_of(tx, id)?;
            Ok(Reply::empty())
        })
        .await
}
