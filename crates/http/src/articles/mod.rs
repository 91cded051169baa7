//! Articles: answers to questions that keep coming back.

mod search;
mod uses;
mod votes;

use crate::actor::Actor;
use crate::body::{Patch, Valid};
use crate::context::Asked;
use crate::files::SANDBOX;
use crate::gate::most_wanted;
use crate::listing::{AnyOf, Filters, Id, Listing, Sorting};
use crate::once::Once;
use crate::precondition::IfMatch;
use crate::problem::ApiError;
use crate::reply::Reply;
use crate::shape::{PageBody, Shape};
use crate::state::{State, blocking};
use crate::values::tags_schema;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, delete, get, patch, post, web};
use chrono::{DateTime, NaiveDate, Utc};
use opiekun_documents::article_page;
use opiekun_domain::article::ArticleStatus;
use opiekun_domain::ids::{ArticleCategoryId, ArticleId, ArticleRevisionId, OperatorId};
use opiekun_domain::language::Language;
use opiekun_domain::permission::{Permission, PermissionSet};
use opiekun_persistence::articles::{
    Article, ArticleFields, ArticleFilter, ArticleReader, ArticleRevision, ArticleRevisionSort, ArticleSort,
};
use opiekun_persistence::{Page, Tx, articles};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use validator::Validate;

pub fn routes(config: &mut ServiceConfig) {
    config
        .service(search::search_articles)
        .service(list_articles)
        .service(create_article)
        .service(get_article)
        .service(update_article)
        .service(delete_article)
        .service(list_article_revisions)
        .service(restore_article)
        .service(votes::list_article_votes)
        .service(votes::vote_for_article)
        .service(uses::list_article_uses)
        .service(uses::create_article_use)
        .service(uses::delete_article_use);
}

/// What a caller may write of an article.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct ArticleInput {
    #[schema(min_length = 1, max_length = 240, example = "Until when is the VAT return due?")]
    pub title: String,
    /// Markdown, with tables. As HTML it is sent without scripts, styles, images and whatever HTML was written in it.
    #[schema(max_length = 100_000, example = "By the **25th** of the month that follows, with the register of sales.")]
    #[serde(default)]
    pub body: String,
    /// Polish unless told.
    #[schema(default = "pl")]
    #[serde(default = "polish")]
    pub language: Language,
    /// Only published articles are found by a search, and read by those without `knowledge:write`.
    #[schema(default = "draft")]
    #[serde(default = "draft")]
    pub status: ArticleStatus,
    #[serde(default)]
    pub category_id: Option<ArticleCategoryId>,
    #[schema(schema_with = tags_schema)]
    #[serde(default)]
    pub tags: Vec<String>,
    /// The last day on which it holds. A search does not find it after that, unless asked to.
    #[serde(default)]
    pub valid_until_on: Option<NaiveDate>,
    /// The articles that it leads on to, in this order. Shown are those that the reader may read.
    #[schema(max_items = 20, example = json!([]), extensions(("uniqueItems" = json!(true))))]
    #[serde(default)]
    pub related_article_ids: Vec<ArticleId>,
}

const fn polish() -> Language {
    Language::Polish
}

const fn draft() -> ArticleStatus {
    ArticleStatus::Draft
}

impl ArticleInput {
    fn of(fields: ArticleFields, related_article_ids: Vec<ArticleId>) -> Self {
        let ArticleFields { title, body, language, status, category_id, tags, valid_until_on } = fields;
        Self { title, body, language, status, category_id, tags, valid_until_on, related_article_ids }
    }

    /// The row, and what it leads on to.
    fn split(self) -> (ArticleFields, Vec<ArticleId>) {
        let Self { title, body, language, status, category_id, tags, valid_until_on, related_article_ids } = self;
        (ArticleFields { title, body, language, status, category_id, tags, valid_until_on }, related_article_ids)
    }
}

/// An answer to a question that keeps coming back.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Article)]
pub struct ArticleBody {
    pub id: ArticleId,
    #[serde(flatten)]
    pub article: ArticleInput,
    /// When it was published for the first time.
    pub published_at: Option<DateTime<Utc>>,
    /// The operator who began it; null where a script did.
    pub registered_by_id: Option<OperatorId>,
    /// The number of the text that it has now: see its revisions.
    #[schema(minimum = 1)]
    pub revision: i32,
    #[schema(minimum = 0, example = 12)]
    pub helpful_votes: i32,
    #[schema(minimum = 0, example = 1)]
    pub unhelpful_votes: i32,
    /// How many interactions it answered.
    #[schema(minimum = 0, example = 5)]
    pub uses: i32,
    /// Counts up with every change; `ETag` holds it too. Votes and uses are none, nor what becomes of related articles.
    #[schema(minimum = 1)]
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl ArticleBody {
    fn of(row: Article, related: Vec<ArticleId>) -> Self {
        let Article {
            id,
            fields,
            published_at,
            registered_by_id,
            revision,
            helpful_votes,
            unhelpful_votes,
            uses,
            version,
            created_at,
            updated_at,
        } = row;
        Self {
            id,
            article: ArticleInput::of(fields, related),
            published_at,
            registered_by_id,
            revision,
            helpful_votes,
            unhelpful_votes,
            uses,
            version,
            created_at,
            updated_at,
        }
    }

    /// With what each leads on to.
    fn all(tx: &mut Tx<'_>, reader: ArticleReader, rows: Vec<Article>) -> Result<Vec<Self>, ApiError> {
        let ids: Vec<ArticleId> = rows.iter().map(|row| row.id).collect();
        let mut related = articles::related(tx, reader, &ids)?;
        Ok(rows
            .into_iter()
            .map(|row| (related.remove(&row.id).unwrap_or_default(), row))
            .map(|(related, row)| Self::of(row, related))
            .collect())
    }

    fn one(tx: &mut Tx<'_>, reader: ArticleReader, row: Article) -> Result<Self, ApiError> {
        let related = articles::related(tx, reader, &[row.id])?.remove(&row.id).unwrap_or_default();
        Ok(Self::of(row, related))
    }
}

/// Which articles there are for the caller.
pub(crate) fn reader(actor: &Actor) -> ArticleReader {
    reader_with(actor.permissions)
}

fn reader_with(permissions: PermissionSet) -> ArticleReader {
    match permissions.contains(Permission::KnowledgeWrite) {
        true => ArticleReader::Everything,
        false => ArticleReader::Published,
    }
}

/// The bodies of those of `ids` that there are for a caller with these permissions.
pub(crate) fn bodies(tx: &mut Tx<'_>, ids: &[ArticleId], permissions: PermissionSet) -> Result<Vec<Value>, ApiError> {
    let reader = reader_with(permissions);
    let rows = articles::find_all(tx, reader, ids)?;
    let bodies = ArticleBody::all(tx, reader, rows)?;
    bodies.into_iter().map(|body| serde_json::to_value(body).map_err(ApiError::internal)).collect()
}

/// What an article leads on to is other articles, which there are.
fn check_related(tx: &mut Tx<'_>, id: Option<ArticleId>, related: &[ArticleId]) -> Result<(), ApiError> {
    let found = articles::find_all(tx, ArticleReader::Everything, related)?;
    for (place, other) in related.iter().enumerate() {
        let pointer = format!("/related_article_ids/{place}");
        if Some(*other) == id {
            return Err(ApiError::invalid_field(&pointer, "itself", "An article does not lead on to itself"));
        }
        if related.iter().take(place).any(|earlier| earlier == other) {
            return Err(ApiError::invalid_field(&pointer, "unique_items", "The same article stands there before"));
        }
        if found.iter().all(|article| article.id != *other) {
            return Err(ApiError::reference_not_found(pointer));
        }
    }
    Ok(())
}

impl Sorting for ArticleSort {
    const WORDS: &'static [(&'static str, Self)] = &[("created_at", Self::CreatedAt), ("title", Self::Title)];
}

/// Which articles.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ArticleQuery {
    status: Option<ArticleStatus>,
    language: Option<Language>,
    /// Those directly in this category.
    category_id: Option<ArticleCategoryId>,
    /// Those that lead on to this one, if the caller may read it.
    related_article_id: Option<ArticleId>,
    /// Those that hold to no day after: `valid_until_on[lt]` of today are the ones to be looked through.
    #[serde(rename = "valid_until_on[lt]")]
    valid_before_on: Option<NaiveDate>,
    /// Any of these tags.
    #[param(value_type = Option<Vec<String>>, max_items = 20)]
    tag: Option<AnyOf<String>>,
}

impl From<ArticleQuery> for ArticleFilter {
    fn from(query: ArticleQuery) -> Self {
        Self {
            status: query.status,
            language: query.language,
            category_id: query.category_id,
            related_article_id: query.related_article_id,
            valid_before_on: query.valid_before_on,
            tags: query.tag.map(|tags| tags.0),
        }
    }
}

/// List articles.
///
/// The newest first. Drafts and archived ones are there for those with `knowledge:write` alone. To find an answer, use
/// the search.
#[utoipa::path(tag = "Articles", security(("sign_in" = ["knowledge:read"])), params(ArticleQuery, Listing<ArticleSort>),
    responses((status = 200, body = PageBody<ArticleBody>)))]
#[get("/articles")]
async fn list_articles(
    state: web::Data<State>,
    actor: Actor,
    filters: Filters<ArticleQuery>,
    listing: Listing<ArticleSort>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::KnowledgeRead)?;
    let reader = reader(&actor);
    state
        .snapshot(scope, move |tx| {
            let Page { items, next, total } = articles::list(tx, reader, &filters.0.into(), &listing.page)?;
            let items = ArticleBody::all(tx, reader, items)?;
            shape.page(tx, Page { items, next, total })
        })
        .await
}

/// Write an article.
///
/// A draft unless told. Published, it is found by questions from the same moment on.
#[utoipa::path(tag = "Articles", security(("sign_in" = ["knowledge:write"])), request_body = ArticleInput,
    responses((status = 201, body = ArticleBody)))]
#[post("/articles")]
async fn create_article(
    state: web::Data<State>,
    actor: Actor,
    once: Once,
    input: Valid<ArticleInput>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::KnowledgeWrite)?;
    state
        .submit(scope, once, move |tx| {
            let (fields, related) = input.0.split();
            check_related(tx, None, &related)?;
            let article = articles::create(tx, fields, &related)?;
            let location = format!("/api/v1/articles/{}", article.id);
            Ok(Reply::created(&location, article.version, &ArticleBody::of(article, related)))
        })
        .await
}

const JSON: &str = "application/json";
const HTML: &str = "text/html";

/// An HTML page.
#[derive(ToSchema)]
#[schema(value_type = String)]
#[expect(dead_code, reason = "only the contract names it")]
struct HtmlPage(String);

/// Show an article.
///
/// As `application/json`, with its Markdown, unless `Accept` prefers `text/html`: a page that holds its text alone, with
/// neither scripts nor anything fetched from elsewhere, whatever was written in it; it takes neither `fields` nor `expand`,
/// and has no `ETag`. The article is always sent whole, since votes, uses and related articles change without it. A draft
/// or archived one is there for those with `knowledge:write` alone.
#[utoipa::path(tag = "Articles", security(("sign_in" = ["knowledge:read"])), extensions(("x-derived" = json!(true))),
    responses((status = 200, description = "The article.",
        content((ArticleBody = "application/json"), (HtmlPage = "text/html")))))]
#[get("/articles/{id}")]
async fn get_article(
    state: web::Data<State>,
    actor: Actor,
    id: Id<ArticleId>,
    req: HttpRequest,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::KnowledgeRead)?;
    let reader = reader(&actor);
    if most_wanted(req.headers(), &[JSON, HTML]) == Some(HTML) {
        let asked = Asked::of(&req).ok_or_else(|| ApiError::internal("a request that passed no gate"))?;
        asked.refuse(&["fields", "expand"], "A page has the text of the article alone")?;
        let article = state.read(scope, move |tx| Ok(articles::find(tx, reader, id.0)?)).await?;
        let ArticleFields { title, body, language, .. } = article.fields;
        // A long text takes a while, which no connection to the database waits for.
        let page = blocking(move || Ok::<_, ApiError>(article_page::page(&title, &body, language))).await?;
        return Ok(Reply { status: StatusCode::OK, body: page.into_bytes(), ..Reply::empty() }
            .header(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"))
            .header(header::CONTENT_SECURITY_POLICY, SANDBOX));
    }
    state
        .snapshot(scope, move |tx| {
            let article = articles::find(tx, reader, id.0)?;
            let version = article.version;
            let body = ArticleBody::one(tx, reader, article)?;
            shape.one(tx, version, &body)
        })
        .await
}

/// Change an article.
///
/// Another text is a new revision, and the earlier ones stay. Published, it is found by what it says now; taken back to a
/// draft or archived, by nothing.
#[utoipa::path(tag = "Articles", security(("sign_in" = ["knowledge:write"])), params(IfMatch),
    request_body(content = ArticleInput, content_type = "application/merge-patch+json"),
    responses((status = 200, body = ArticleBody)))]
#[patch("/articles/{id}")]
async fn update_article(
    state: web::Data<State>,
    actor: Actor,
    id: Id<ArticleId>,
    seen: IfMatch,
    patch: Patch<ArticleInput>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::KnowledgeWrite)?;
    state
        .transaction(scope, move |tx| {
            let article = articles::lock(tx, id.0, seen.0)?;
            let before = articles::related(tx, ArticleReader::Everything, &[article.id])?
                .remove(&article.id)
                .unwrap_or_default();
            let after = patch.apply(&ArticleInput::of(article.fields.clone(), before))?;
            let (fields, related) = after.split();
            check_related(tx, Some(article.id), &related)?;
            let article = articles::update(tx, &article, fields, &related)?;
            Ok(Reply::at_version(article.version, &ArticleBody::of(article, related)))
        })
        .await
}

/// Remove an article.
///
/// A draft that was never published, with its revisions. What was published once is archived instead: 409 `state_invalid`.
#[utoipa::path(tag = "Articles", security(("sign_in" = ["knowledge:write"])), params(IfMatch), responses((status = 204)))]
#[delete("/articles/{id}")]
async fn delete_article(
    state: web::Data<State>,
    actor: Actor,
    id: Id<ArticleId>,
    seen: IfMatch,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::KnowledgeWrite)?;
    state
        .transaction(scope, move |tx| {
            let article = articles::lock(tx, id.0, seen.0)?;
            if article.published_at.is_some() {
                return Err(ApiError::state_invalid("published", "What was published once can only be archived"));
            }
            articles::delete(tx, &article)?;
            Ok(Reply::empty())
        })
        .await
}

/// A text that an article had.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ArticleRevision)]
pub struct ArticleRevisionBody {
    id: ArticleRevisionId,
    article_id: ArticleId,
    /// From 1 on.
    #[schema(minimum = 1, example = 3)]
    number: i32,
    #[schema(max_length = 240, example = "Until when is the VAT return due?")]
    title: String,
    #[schema(max_length = 100_000, example = "By the **25th** of the month that follows.")]
    body: String,
    language: Language,
    #[schema(schema_with = tags_schema)]
    tags: Vec<String>,
    /// When the article was published with it for the first time; null where it never was.
    published_at: Option<DateTime<Utc>>,
    /// The revision whose text it is again; null where it was written.
    #[schema(minimum = 1)]
    restored_from: Option<i32>,
    /// Who wrote it; null where a script did.
    registered_by_id: Option<OperatorId>,
    created_at: DateTime<Utc>,
}

impl From<ArticleRevision> for ArticleRevisionBody {
    fn from(row: ArticleRevision) -> Self {
        let ArticleRevision {
            id,
            article_id,
            number,
            title,
            body,
            language,
            tags,
            published_at,
            restored_from,
            registered_by_id,
            created_at,
        } = row;
        Self {
            id,
            article_id,
            number,
            title,
            body,
            language,
            tags,
            published_at,
            restored_from,
            registered_by_id,
            created_at,
        }
    }
}

impl Sorting for ArticleRevisionSort {
    const WORDS: &'static [(&'static str, Self)] = &[("number", Self::Number)];
}

/// List the texts of an article.
///
/// Every text that it had, the newest first: its title, body, language and tags. Without `knowledge:write` those alone with
/// which it was published.
#[utoipa::path(tag = "Articles", security(("sign_in" = ["knowledge:read"])), params(Listing<ArticleRevisionSort>),
    responses((status = 200, body = PageBody<ArticleRevisionBody>)))]
#[get("/articles/{id}/revisions")]
async fn list_article_revisions(
    state: web::Data<State>,
    actor: Actor,
    id: Id<ArticleId>,
    listing: Listing<ArticleRevisionSort>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::KnowledgeRead)?;
    state
        .read(scope, move |tx| {
            articles::find(tx, reader(&actor), id.0)?;
            let Page { items, next, total } = articles::revisions(tx, reader(&actor), id.0, &listing.page)?;
            let items = items.into_iter().map(ArticleRevisionBody::from).collect();
            shape.page(tx, Page { items, next, total })
        })
        .await
}

/// Which text an article is to have again.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct ArticleRestoration {
    /// The number of one of its revisions.
    #[schema(minimum = 1, maximum = 1_000_000_000, example = 1)]
    pub revision: i32,
}

/// Give an article an earlier text again.
///
/// As a new revision: nothing of what it had since is lost. Status, category and the like stay as they are. Where it has
/// that text already, nothing new comes.
#[utoipa::path(tag = "Articles", security(("sign_in" = ["knowledge:write"])), params(IfMatch),
    request_body = ArticleRestoration, responses((status = 200, body = ArticleBody)))]
#[post("/articles/{id}/restoration")]
async fn restore_article(
    state: web::Data<State>,
    actor: Actor,
    id: Id<ArticleId>,
    seen: IfMatch,
    once: Once,
    input: Valid<ArticleRestoration>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::KnowledgeWrite)?;
    state
        .submit(scope, once, move |tx| {
            let article = articles::lock(tx, id.0, seen.0)?;
            let revision = articles::revision(tx, id.0, input.0.revision)?
                .ok_or_else(|| ApiError::reference_not_found("/revision"))?;
            let article = articles::restore(tx, &article, revision)?;
            let version = article.version;
            Ok(Reply::at_version(version, &ArticleBody::one(tx, ArticleReader::Everything, article)?))
        })
        .await
}
