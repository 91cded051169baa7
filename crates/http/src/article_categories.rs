//! Article categories: a tree of places for articles.

use crate::actor::Actor;
use crate::body::{Patch, Valid};
use crate::listing::{Filters, Id, Listing, Sorting};
use crate::once::Once;
use crate::precondition::IfMatch;
use crate::problem::ApiError;
use crate::reply::Reply;
use crate::shape::{PageBody, Shape};
use crate::state::State;
use actix_web::{delete, get, patch, post, web};
use chrono::{DateTime, Utc};
use opiekun_domain::ids::ArticleCategoryId;
use opiekun_domain::permission::Permission;
use opiekun_persistence::article_categories::{
    ArticleCategory, ArticleCategoryFields, ArticleCategoryFilter, ArticleCategorySort,
};
use opiekun_persistence::{Page, Tx, article_categories};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use validator::Validate;

pub fn routes(config: &mut ServiceConfig) {
    config
        .service(list_article_categories)
        .service(create_article_category)
        .service(get_article_category)
        .service(update_article_category)
        .service(delete_article_category);
}

/// What a caller may write of a category.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct ArticleCategoryInput {
    /// No two of one parent have the same.
    #[schema(min_length = 1, max_length = 120, example = "VAT")]
    pub name: String,
    /// The category that it is in; at the top unless told. At most eight are within each other.
    #[schema(example = json!(null))]
    #[serde(default)]
    pub parent_id: Option<ArticleCategoryId>,
    /// Its place among those of its parent.
    #[schema(minimum = 0, maximum = 1_000_000, default = 0, example = 10)]
    #[serde(default)]
    pub position: i32,
}

/// A place for articles.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ArticleCategory)]
pub struct ArticleCategoryBody {
    pub id: ArticleCategoryId,
    #[serde(flatten)]
    pub category: ArticleCategoryInput,
    /// Counts up with every change; `ETag` holds it too.
    #[schema(minimum = 1)]
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl From<ArticleCategory> for ArticleCategoryBody {
    fn from(row: ArticleCategory) -> Self {
        let ArticleCategory { id, fields, version, created_at, updated_at } = row;
        Self { id, category: fields.into(), version, created_at, updated_at }
    }
}

impl From<ArticleCategoryFields> for ArticleCategoryInput {
    fn from(fields: ArticleCategoryFields) -> Self {
        let ArticleCategoryFields { name, parent_id, position } = fields;
        Self { name, parent_id, position }
    }
}

impl From<ArticleCategoryInput> for ArticleCategoryFields {
    fn from(input: ArticleCategoryInput) -> Self {
        let ArticleCategoryInput { name, parent_id, position } = input;
        Self { name, parent_id, position }
    }
}

impl Sorting for ArticleCategorySort {
    const WORDS: &'static [(&'static str, Self)] = &[("position", Self::Position)];
    const DESCENDING: bool = false;
}

/// The bodies of those of `ids` that exist.
pub(crate) fn bodies(tx: &mut Tx<'_>, ids: &[ArticleCategoryId]) -> Result<Vec<Value>, ApiError> {
    let bodies = article_categories::find_all(tx, ids)?.into_iter().map(ArticleCategoryBody::from);
    bodies.map(|body| serde_json::to_value(body).map_err(ApiError::internal)).collect()
}

/// Which categories.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ArticleCategoryQuery {
    /// Those directly in this one.
    parent_id: Option<ArticleCategoryId>,
    /// `true`: those at the top; `false`: those within another.
    #[serde(rename = "parent_id[is_null]")]
    is_at_top: Option<bool>,
}

/// List article categories.
///
/// By their places.
#[utoipa::path(tag = "Articles", security(("sign_in" = ["knowledge:read"])),
    params(ArticleCategoryQuery, Listing<ArticleCategorySort>),
    responses((status = 200, body = PageBody<ArticleCategoryBody>)))]
#[get("/article-categories")]
async fn list_article_categories(
    state: web::Data<State>,
    actor: Actor,
    filters: Filters<ArticleCategoryQuery>,
    listing: Listing<ArticleCategorySort>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::KnowledgeRead)?;
    let filter = ArticleCategoryFilter { parent_id: filters.0.parent_id, is_at_top: filters.0.is_at_top };
    state
        .read(scope, move |tx| {
            let Page { items, next, total } = article_categories::list(tx, filter, &listing.page)?;
            let items = items.into_iter().map(ArticleCategoryBody::from).collect();
            shape.page(tx, Page { items, next, total })
        })
        .await
}

/// Add an article category.
///
/// At the top of the tree, or in another one.
#[utoipa::path(tag = "Articles", security(("sign_in" = ["knowledge:write"])), request_body = ArticleCategoryInput,
    responses((status = 201, body = ArticleCategoryBody)))]
#[post("/article-categories")]
async fn create_article_category(
    state: web::Data<State>,
    actor: Actor,
    once: Once,
    input: Valid<ArticleCategoryInput>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::KnowledgeWrite)?;
    state
        .submit(scope, once, move |tx| {
            let category = article_categories::create(tx, input.0.into())?;
            let location = format!("/api/v1/article-categories/{}", category.id);
            Ok(Reply::created(&location, category.version, &ArticleCategoryBody::from(category)))
        })
        .await
}

/// Show an article category.
///
/// Without what is in it: see the list of articles by `category_id`.
#[utoipa::path(tag = "Articles", security(("sign_in" = ["knowledge:read"])),
    responses((status = 200, body = ArticleCategoryBody)))]
#[get("/article-categories/{id}")]
async fn get_article_category(
    state: web::Data<State>,
    actor: Actor,
    id: Id<ArticleCategoryId>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::KnowledgeRead)?;
    state
        .read(scope, move |tx| {
            let category = article_categories::find(tx, id.0)?;
            shape.one(tx, category.version, &ArticleCategoryBody::from(category))
        })
        .await
}

/// Change an article category.
///
/// What is in it goes along where it is moved.
#[utoipa::path(tag = "Articles", security(("sign_in" = ["knowledge:write"])), params(IfMatch),
    request_body(content = ArticleCategoryInput, content_type = "application/merge-patch+json"),
    responses((status = 200, body = ArticleCategoryBody)))]
#[patch("/article-categories/{id}")]
async fn update_article_category(
    state: web::Data<State>,
    actor: Actor,
    id: Id<ArticleCategoryId>,
    seen: IfMatch,
    patch: Patch<ArticleCategoryInput>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::KnowledgeWrite)?;
    state
        .transaction(scope, move |tx| {
            let category = article_categories::lock(tx, id.0, seen.0)?;
            let fields = patch.apply(&category.fields.clone().into())?;
            let category = article_categories::update(tx, &category, fields.into())?;
            Ok(Reply::at_version(category.version, &ArticleCategoryBody::from(category)))
        })
        .await
}

/// Remove an article category.
///
/// Not while an article or another category is in it: 409 `conflict`.
#[utoipa::path(tag = "Articles", security(("sign_in" = ["knowledge:write"])), params(IfMatch), responses((status = 204)))]
#[delete("/article-categories/{id}")]
async fn delete_article_category(
    state: web::Data<State>,
    actor: Actor,
    id: Id<ArticleCategoryId>,
    seen: IfMatch,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::KnowledgeWrite)?;
    state
        .transaction(scope, move |tx| {
            let category = article_categories::lock(tx, id.0, seen.0)?;
            article_categories::delete(tx, &category)?;
            Ok(Reply::empty())
        })
        .await
}
