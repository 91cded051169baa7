//! Votes: whether an article helped.

use super::reader;
use crate::actor::Actor;
use crate::body::Valid;
use crate::listing::{Filters, Id, Listing};
use crate::once::Once;
use crate::problem::ApiError;
use crate::reply::Reply;
use crate::shape::{PageBody, Shape};
use crate::state::State;
use actix_web::http::StatusCode;
use actix_web::{get, post, web};
use chrono::{DateTime, Utc};
use opiekun_domain::ids::{ArticleId, ArticleVoteId, OperatorId};
use opiekun_domain::permission::Permission;
use opiekun_persistence::article_votes::ArticleVote;
use opiekun_persistence::{Page, article_votes, articles};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use validator::Validate;

/// What a caller says of an article.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct ArticleVoteInput {
    /// Whether it helped.
    #[schema(example = true)]
    pub helpful: bool,
    /// What was missing, or wrong.
    #[schema(min_length = 1, max_length = 1000, example = "The date is that of last year")]
    #[serde(default)]
    pub comment: Option<String>,
}

/// A vote for or against an article.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ArticleVote)]
pub struct ArticleVoteBody {
    id: ArticleVoteId,
    article_id: ArticleId,
    #[serde(flatten)]
    vote: ArticleVoteInput,
    /// Who voted; null where a script did.
    operator_id: Option<OperatorId>,
    /// Counts up with every change of mind.
    #[schema(minimum = 1)]
    version: i32,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl From<ArticleVote> for ArticleVoteBody {
    fn from(row: ArticleVote) -> Self {
        let ArticleVote { id, article_id, operator_id, helpful, comment, version, created_at, updated_at } = row;
        let vote = ArticleVoteInput { helpful, comment };
        Self { id, article_id, vote, operator_id, version, created_at, updated_at }
    }
}

/// Which votes.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ArticleVoteQuery {
    helpful: Option<bool>,
}

/// List the votes for an article.
///
/// The newest first.
#[utoipa::path(tag = "Articles", security(("sign_in" = ["knowledge:read"])), params(ArticleVoteQuery, Listing<()>),
    responses((status = 200, body = PageBody<ArticleVoteBody>)))]
#[get("/articles/{id}/votes")]
pub async fn list_article_votes(
    state: web::Data<State>,
    actor: Actor,
    id: Id<ArticleId>,
    filters: Filters<ArticleVoteQuery>,
    listing: Listing<()>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::KnowledgeRead)?;
    state
        .read(scope, move |tx| {
            articles::find(tx, reader(&actor), id.0)?;
            let Page { items, next, total } = article_votes::list(tx, id.0, filters.0.helpful, &listing.page)?;
            let items = items.into_iter().map(ArticleVoteBody::from).collect();
            shape.page(tx, Page { items, next, total })
        })
        .await
}

/// Vote for an article.
///
/// An operator has one vote for each article, and changes it by voting again; a script, which votes
/// for people whom Opiekun doesn't know, has as many as it sends.
#[utoipa::path(tag = "Articles", security(("sign_in" = ["knowledge:write"])), request_body = ArticleVoteInput,
    responses((status = 200, body = ArticleVoteBody)))]
#[post("/articles/{id}/votes")]
pub async fn vote_for_article(
    state: web::Data<State>,
    actor: Actor,
    id: Id<ArticleId>,
    once: Once,
    input: Valid<ArticleVoteInput>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::KnowledgeWrite)?;
    state
        .submit(scope, once, move |tx| {
            let ArticleVoteInput { helpful, comment } = input.0;
            articles::lock(tx, id.0, None)?;
            let vote = article_votes::cast(tx, id.0, helpful, comment)?;
            Ok(Reply::json(StatusCode::OK, &ArticleVoteBody::from(vote)))
        })
        .await
}
