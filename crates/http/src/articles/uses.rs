//! Uses: which interactions an article answered.

use super::reader;
use crate::actor::Actor;
use crate::body::Valid;
use crate::listing::{Filters, Id, Listing};
use crate::once::Once;
use crate::problem::ApiError;
use crate::reply::Reply;
use crate::shape::{PageBody, Shape};
use crate::state::State;
use actix_web::{delete, get, post, web};
use chrono::{DateTime, Utc};
use opiekun_domain::article::ArticleStatus;
use opiekun_domain::ids::{ArticleId, ArticleUseId, InteractionId, OperatorId};
use opiekun_domain::permission::Permission;
use opiekun_persistence::article_uses::ArticleUse;
use opiekun_persistence::{Page, article_uses, articles};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use validator::Validate;

/// What an article answered.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct ArticleUseInput {
    pub interaction_id: InteractionId,
}

/// An interaction that an article answered.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ArticleUse)]
pub struct ArticleUseBody {
    id: ArticleUseId,
    article_id: ArticleId,
    interaction_id: InteractionId,
    /// Who noted it; null where a script did.
    registered_by_id: Option<OperatorId>,
    #[schema(minimum = 1)]
    version: i32,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl From<ArticleUse> for ArticleUseBody {
    fn from(row: ArticleUse) -> Self {
        let ArticleUse { id, article_id, interaction_id, registered_by_id, version, created_at, updated_at } = row;
        Self { id, article_id, interaction_id, registered_by_id, version, created_at, updated_at }
    }
}

/// Which uses.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ArticleUseQuery {
    interaction_id: Option<InteractionId>,
}

/// List what an article answered.
///
/// The newest first.
#[utoipa::path(tag = "Articles", security(("sign_in" = ["knowledge:read", "crm:read"])), params(ArticleUseQuery, Listing<()>),
    responses((status = 200, body = PageBody<ArticleUseBody>)))]
#[get("/articles/{id}/uses")]
pub async fn list_article_uses(
    state: web::Data<State>,
    actor: Actor,
    id: Id<ArticleId>,
    filters: Filters<ArticleUseQuery>,
    listing: Listing<()>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope_of_both(Permission::KnowledgeRead, Permission::CrmRead)?;
    state
        .read(scope, move |tx| {
            articles::find(tx, reader(&actor), id.0)?;
            let Page { items, next, total } = article_uses::list(tx, id.0, filters.0.interaction_id, &listing.page)?;
            let items = items.into_iter().map(ArticleUseBody::from).collect();
            shape.page(tx, Page { items, next, total })
        })
        .await
}

/// Note that an article answered an interaction.
///
/// Once each: again there is 409 `duplicate`. It goes with the interaction. What is not published answers nobody: 409
/// `state_invalid`.
#[utoipa::path(tag = "Articles", security(("sign_in" = ["knowledge:write", "crm:read"])), request_body = ArticleUseInput,
    responses((status = 200, body = ArticleUseBody)))]
#[post("/articles/{id}/uses")]
pub async fn create_article_use(
    state: web::Data<State>,
    actor: Actor,
    id: Id<ArticleId>,
    once: Once,
    input: Valid<ArticleUseInput>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope_of_both(Permission::KnowledgeWrite, Permission::CrmRead)?;
    state
        .submit(scope, once, move |tx| {
            let status = articles::lock(tx, id.0, None)?.fields.status;
            if status != ArticleStatus::Published {
                return Err(ApiError::state_invalid(status.as_str(), "Only what is published answers somebody"));
            }
            let noted = article_uses::create(tx, id.0, input.0.interaction_id)?;
            Ok(Reply::ok(&ArticleUseBody::from(noted)))
        })
        .await
}

/// Which use is taken back.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ArticleUseGone {
    interaction_id: InteractionId,
}

/// Take back that an article answered an interaction.
///
/// The article and the interaction stay.
#[utoipa::path(tag = "Articles", security(("sign_in" = ["knowledge:write", "crm:read"])), params(ArticleUseGone),
    responses((status = 204)))]
#[delete("/articles/{id}/uses")]
pub async fn delete_article_use(
    state: web::Data<State>,
    actor: Actor,
    id: Id<ArticleId>,
    gone: Filters<ArticleUseGone>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope_of_both(Permission::KnowledgeWrite, Permission::CrmRead)?;
    state
        .transaction(scope, move |tx| {
            articles::lock(tx, id.0, None)?;
            article_uses::delete(tx, id.0, gone.0.interaction_id)?;
            Ok(Reply::empty())
        })
        .await
}
