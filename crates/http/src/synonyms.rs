//! Synonyms: words and phrases of one meaning, by which articles are found too.

use crate::actor::Actor;
use crate::body::{Patch, Valid};
use crate::listing::{Filters, Id, Listing};
use crate::once::Once;
use crate::precondition::IfMatch;
use crate::problem::{ApiError, Wrong};
use crate::reply::Reply;
use crate::shape::{PageBody, Shape};
use crate::state::State;
use actix_web::{delete, get, patch, post, web};
use chrono::{DateTime, Utc};
use opiekun_domain::ids::SynonymGroupId;
use opiekun_domain::permission::Permission;
use opiekun_persistence::synonyms::{SynonymGroup, TermFault};
use opiekun_persistence::{Page, synonyms};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::openapi::schema::{Array, ArrayBuilder, ObjectBuilder, SchemaType, Type};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use validator::Validate;

pub fn routes(config: &mut ServiceConfig) {
    config
        .service(list_synonym_groups)
        .service(create_synonym_group)
        .service(get_synonym_group)
        .service(update_synonym_group)
        .service(delete_synonym_group);
}

/// What a caller may write of a group of synonyms.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct SynonymGroupInput {
    #[schema(schema_with = terms_schema)]
    pub terms: Vec<String>,
}

fn terms_schema() -> Array {
    let term = ObjectBuilder::new()
        .schema_type(SchemaType::Type(Type::String))
        .min_length(Some(1))
        .max_length(Some(60))
        .pattern(Some(r"^[^,\n\r\t]*[^\s,.:;!?()-][^,\n\r\t]*$"));
    ArrayBuilder::new()
        .items(term)
        .min_items(Some(2))
        .max_items(Some(40))
        .unique_items(true)
        .description(Some("Words and phrases of one meaning, in any form."))
        .examples([json!(["pensja", "wynagrodzenie", "wypłata"])])
        .build()
}

impl SynonymGroupInput {
    /// The terms, or which of them cannot be in a group.
    fn checked(self) -> Result<Vec<String>, ApiError> {
        let wrong: Vec<Wrong> = synonyms::faults(&self.terms)
            .into_iter()
            .map(|(place, fault)| {
                let (word, detail) = match fault {
                    TermFault::SaysNothing => ("says_nothing", "It has no word but one that stands in every sentence"),
                    TermFault::Same => ("same", "A term before it has the same words"),
                };
                Wrong::field(format!("/terms/{place}"), word, detail)
            })
            .collect();
        if wrong.is_empty() { Ok(self.terms) } else { Err(ApiError::invalid(wrong)) }
    }
}

/// Words and phrases of one meaning.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SynonymGroup)]
pub struct SynonymGroupBody {
    pub id: SynonymGroupId,
    #[serde(flatten)]
    pub group: SynonymGroupInput,
    /// Counts up with every change; `ETag` holds it too.
    #[schema(minimum = 1)]
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl From<SynonymGroup> for SynonymGroupBody {
    fn from(row: SynonymGroup) -> Self {
        let SynonymGroup { id, terms, version, created_at, updated_at } = row;
        Self { id, group: SynonymGroupInput { terms }, version, created_at, updated_at }
    }
}

/// Which groups.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SynonymGroupQuery {
    /// Those with exactly this term.
    #[param(min_length = 1, max_length = 60)]
    term: Option<String>,
}

/// List groups of synonyms.
///
/// The newest first. An organization begins with some hundred groups of how offices, taxes, wages, firms, contracts and
/// computers are spoken of in Polish and in English; they are its own to change.
#[utoipa::path(tag = "Articles", security(("sign_in" = ["knowledge:read"])), params(SynonymGroupQuery, Listing<()>),
    responses((status = 200, body = PageBody<SynonymGroupBody>)))]
#[get("/synonyms")]
async fn list_synonym_groups(
    state: web::Data<State>,
    actor: Actor,
    filters: Filters<SynonymGroupQuery>,
    listing: Listing<()>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::KnowledgeRead)?;
    state
        .read(scope, move |tx| {
            let Page { items, next, total } = synonyms::list(tx, filters.0.term.as_deref(), &listing.page)?;
            let items = items.into_iter().map(SynonymGroupBody::from).collect();
            shape.page(tx, Page { items, next, total })
        })
        .await
}

/// Add a group of synonyms.
///
/// From then on a question with one of the terms, in whatever form, finds articles with another, if a little behind those
/// that have the word itself. A term can be in several groups: what it has in common with each is found. A single
/// word that stands in every sentence says nothing and is refused, as is a term that differs from another in nothing but
/// letters' marks.
#[utoipa::path(tag = "Articles", security(("sign_in" = ["knowledge:write"])), request_body = SynonymGroupInput,
    responses((status = 201, body = SynonymGroupBody)))]
#[post("/synonyms")]
async fn create_synonym_group(
    state: web::Data<State>,
    actor: Actor,
    once: Once,
    input: Valid<SynonymGroupInput>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::KnowledgeWrite)?;
    let terms = input.0.checked()?;
    state
        .submit(scope, once, move |tx| {
            let group = synonyms::create(tx, terms)?;
            let location = format!("/api/v1/synonyms/{}", group.id);
            Ok(Reply::created(&location, group.version, &SynonymGroupBody::from(group)))
        })
        .await
}

/// Show a group of synonyms.
///
/// Whether the organization began with it or wrote it itself.
#[utoipa::path(tag = "Articles", security(("sign_in" = ["knowledge:read"])),
    responses((status = 200, body = SynonymGroupBody)))]
#[get("/synonyms/{id}")]
async fn get_synonym_group(
    state: web::Data<State>,
    actor: Actor,
    id: Id<SynonymGroupId>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::KnowledgeRead)?;
    state
        .read(scope, move |tx| {
            let group = synonyms::find(tx, id.0)?;
            shape.one(tx, group.version, &SynonymGroupBody::from(group))
        })
        .await
}

/// Change a group of synonyms.
///
/// The terms as a whole; questions are understood by them at once.
#[utoipa::path(tag = "Articles", security(("sign_in" = ["knowledge:write"])), params(IfMatch),
    request_body(content = SynonymGroupInput, content_type = "application/merge-patch+json"),
    responses((status = 200, body = SynonymGroupBody)))]
#[patch("/synonyms/{id}")]
async fn update_synonym_group(
    state: web::Data<State>,
    actor: Actor,
    id: Id<SynonymGroupId>,
    seen: IfMatch,
    patch: Patch<SynonymGroupInput>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::KnowledgeWrite)?;
    state
        .transaction(scope, move |tx| {
            let group = synonyms::lock(tx, id.0, seen.0)?;
            let terms = patch.apply(&SynonymGroupInput { terms: group.terms.clone() })?.checked()?;
            let group = synonyms::update(tx, &group, terms)?;
            Ok(Reply::at_version(group.version, &SynonymGroupBody::from(group)))
        })
        .await
}

/// Remove a group of synonyms.
///
/// Also one that the organization began with: it does not come back.
#[utoipa::path(tag = "Articles", security(("sign_in" = ["knowledge:write"])), params(IfMatch), responses((status = 204)))]
#[delete("/synonyms/{id}")]
async fn delete_synonym_group(
    state: web::Data<State>,
    actor: Actor,
    id: Id<SynonymGroupId>,
    seen: IfMatch,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::KnowledgeWrite)?;
    state
        .transaction(scope, move |tx| {
            let group = synonyms::lock(tx, id.0, seen.0)?;
            synonyms::delete(tx, &group)?;
            Ok(Reply::empty())
        })
        .await
}
