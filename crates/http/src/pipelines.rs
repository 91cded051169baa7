//! Pipelines: the ordered stages that sales go through.

use crate::actor::Actor;
use crate::body::{Patch, Valid};
use crate::listing::{Filters, Id, Listing};
use crate::once::Once;
use crate::precondition::IfMatch;
use crate::problem::{ApiError, Wrong};
use crate::reply::Reply;
use crate::shape::{PageBody, Shape};
use crate::stages::{StageBody, StageInput};
use crate::state::State;
use actix_web::{delete, get, patch, post, put, web};
use chrono::{DateTime, Utc};
use opiekun_domain::ids::{PipelineId, StageId};
use opiekun_domain::permission::Permission;
use opiekun_domain::pipeline::DEFAULT_STAGES;
use opiekun_persistence::pipelines::{Pipeline, PipelineFields, PipelineFilter};
use opiekun_persistence::stages::StageFields;
use opiekun_persistence::{Page, Tx, pipelines, stages};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeSet, HashMap, HashSet};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use validator::Validate;

pub fn routes(config: &mut ServiceConfig) {
    config
        .service(list_pipelines)
        .service(create_pipeline)
        .service(get_pipeline)
        .service(update_pipeline)
        .service(archive_pipeline)
        .service(restore_pipeline)
        .service(put_stage_order);
}

/// What a caller may write of a pipeline.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct PipelineInput {
    /// No two pipelines have the same.
    #[schema(min_length = 1, max_length = 120, example = "New customers")]
    pub name: String,
}

/// A new pipeline, and the stages that it starts with.
#[derive(Debug, Clone, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct NewPipelineInput {
    /// No two pipelines have the same.
    #[schema(min_length = 1, max_length = 120, example = "New customers")]
    pub name: String,
    /// In their order. Without them it starts with New (10 %), Qualified (30 %), Proposal (60 %), Won and Lost.
    #[schema(min_items = 1, max_items = 30)]
    #[serde(default)]
    pub stages: Option<Vec<StageInput>>,
}

/// The order that the stages of a pipeline get.
#[derive(Debug, Clone, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct StageOrder {
    /// All stages of the pipeline, each once, the first one first.
    #[schema(min_items = 1, max_items = 30)]
    pub stage_ids: Vec<StageId>,
}

/// The ordered stages that sales go through.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Pipeline)]
pub struct PipelineBody {
    pub id: PipelineId,
    #[serde(flatten)]
    pub pipeline: PipelineInput,
    /// In their order.
    #[schema(max_items = 30)]
    pub stages: Vec<StageBody>,
    /// Since when it is out of use.
    pub archived_at: Option<DateTime<Utc>>,
    /// Counts up with every change of its own, the order of its stages among them; `ETag` holds it too.
    #[schema(minimum = 1)]
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl PipelineBody {
    fn new(row: Pipeline, stages: Vec<StageBody>) -> Self {
        let Pipeline { id, fields, archived_at, version, created_at, updated_at } = row;
        Self { id, pipeline: fields.into(), stages, archived_at, version, created_at, updated_at }
    }
}

impl From<PipelineFields> for PipelineInput {
    fn from(fields: PipelineFields) -> Self {
        let PipelineFields { name } = fields;
        Self { name }
    }
}

impl From<PipelineInput> for PipelineFields {
    fn from(input: PipelineInput) -> Self {
        let PipelineInput { name } = input;
        Self { name }
    }
}

/// Which pipelines.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PipelineQuery {
    /// Exactly this name.
    #[param(min_length = 1, max_length = 120)]
    name: Option<String>,
    /// Those that are out of use, too.
    include_archived: Option<bool>,
}

impl From<PipelineQuery> for PipelineFilter {
    fn from(query: PipelineQuery) -> Self {
        let PipelineQuery { name, include_archived } = query;
        Self { name, include_archived: include_archived.unwrap_or_default() }
    }
}

/// The bodies of rows, with their stages: one statement however many.
fn with_stages(tx: &mut Tx<'_>, rows: Vec<Pipeline>) -> Result<Vec<PipelineBody>, ApiError> {
    let ids: Vec<PipelineId> = rows.iter().map(|row| row.id).collect();
    let mut by_pipeline: HashMap<PipelineId, Vec<StageBody>> = HashMap::new();
    for stage in stages::of_pipelines(tx, &ids)? {
        by_pipeline.entry(stage.pipeline_id).or_default().push(stage.into());
    }
    Ok(rows
        .into_iter()
        .map(|row| {
            let stages = by_pipeline.remove(&row.id).unwrap_or_default();
            PipelineBody::new(row, stages)
        })
        .collect())
}

fn body(tx: &mut Tx<'_>, row: Pipeline) -> Result<PipelineBody, ApiError> {
    with_stages(tx, vec![row])?.pop().ok_or_else(|| ApiError::internal("one row gives one body"))
}

/// The bodies of those of `ids` that exist.
pub(crate) fn bodies(tx: &mut Tx<'_>, ids: &[PipelineId]) -> Result<Vec<Value>, ApiError> {
    let rows = pipelines::find_all(tx, ids)?;
    with_stages(tx, rows)?.iter().map(|body| serde_json::to_value(body).map_err(ApiError::internal)).collect()
}

/// The stages that a pipeline is to start with, or all that is wrong with them.
fn first_stages(given: Option<Vec<StageInput>>) -> Result<Vec<StageFields>, ApiError> {
    let Some(given) = given else {
        let default = DEFAULT_STAGES.iter().map(|stage| StageFields {
            name: stage.name.to_owned(),
            kind: stage.kind,
            probability_percent: stage.probability_percent,
        });
        return Ok(default.collect());
    };
    let mut names = HashSet::new();
    let (mut stages, mut wrong) = (Vec::new(), Vec::new());
    for (index, input) in given.into_iter().enumerate() {
        let pointer = format!("/stages/{index}");
        if !names.insert(input.name.clone()) {
            let detail = "Another stage of the pipeline has this name";
            wrong.push(Wrong::field(format!("{pointer}/name"), "duplicate", detail));
        }
        match input.fields(&pointer) {
            Ok(fields) => stages.push(fields),
            Err(found) => wrong.push(found),
        }
    }
    if wrong.is_empty() { Ok(stages) } else { Err(ApiError::invalid(wrong)) }
}

/// List pipelines.
///
/// Each with its stages. Those out of use are left out unless asked for. Newest first.
#[utoipa::path(tag = "Pipelines", security(("sign_in" = ["crm:read"])), params(PipelineQuery, Listing<()>),
    responses((status = 200, body = PageBody<PipelineBody>)))]
#[get("/pipelines")]
async fn list_pipelines(
    state: web::Data<State>,
    actor: Actor,
    filters: Filters<PipelineQuery>,
    listing: Listing<()>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmRead)?;
    state
        .read(scope, move |tx| {
            let Page { items, next, total } = pipelines::list(tx, &filters.0.into(), &listing.page)?;
            let items = with_stages(tx, items)?;
            shape.page(tx, Page { items, next, total })
        })
        .await
}

/// Add a pipeline.
///
/// With `stages` it starts with those; without, with New, Qualified and Proposal (open), Won and Lost, to be renamed,
/// reordered and added to as one likes. For managers and owners.
#[utoipa::path(tag = "Pipelines", security(("sign_in" = ["crm:write"])), request_body = NewPipelineInput,
    responses((status = 201, body = PipelineBody)))]
#[post("/pipelines")]
async fn create_pipeline(
    state: web::Data<State>,
    actor: Actor,
    once: Once,
    input: Valid<NewPipelineInput>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmWrite)?;
    let NewPipelineInput { name, stages } = input.0;
    let stages = first_stages(stages)?;
    state
        .submit(scope, once, move |tx| {
            actor.authority(tx)?.may_manage().map_err(ApiError::forbidden)?;
            let pipeline = pipelines::create(tx, PipelineFields { name }, stages)?;
            let location = format!("/api/v1/pipelines/{}", pipeline.id);
            let body = body(tx, pipeline)?;
            Ok(Reply::created(&location, body.version, &body))
        })
        .await
}

/// Show a pipeline.
///
/// One that is out of use is shown too. It is always sent whole: its stages change by themselves.
#[utoipa::path(tag = "Pipelines", security(("sign_in" = ["crm:read"])), extensions(("x-derived" = json!(true))),
    responses((status = 200, body = PipelineBody)))]
#[get("/pipelines/{id}")]
async fn get_pipeline(
    state: web::Data<State>,
    actor: Actor,
    id: Id<PipelineId>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmRead)?;
    state
        .read(scope, move |tx| {
            let row = pipelines::find(tx, id.0)?;
            let body = body(tx, row)?;
            shape.one(tx, body.version, &body)
        })
        .await
}

/// Change a pipeline.
///
/// Its name; its stages have addresses of their own. For managers and owners.
#[utoipa::path(tag = "Pipelines", security(("sign_in" = ["crm:write"])), params(IfMatch),
    request_body(content = PipelineInput, content_type = "application/merge-patch+json"),
    responses((status = 200, body = PipelineBody)))]
#[patch("/pipelines/{id}")]
async fn update_pipeline(
    state: web::Data<State>,
    actor: Actor,
    id: Id<PipelineId>,
    seen: IfMatch,
    patch: Patch<PipelineInput>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmWrite)?;
    state
        .transaction(scope, move |tx| {
            actor.authority(tx)?.may_manage().map_err(ApiError::forbidden)?;
            let pipeline = pipelines::lock(tx, id.0, seen.0)?;
            let fields = patch.apply(&pipeline.fields.clone().into())?.into();
            let pipeline = pipelines::update(tx, &pipeline, fields)?;
            let body = body(tx, pipeline)?;
            Ok(Reply::at_version(body.version, &body))
        })
        .await
}

/// Take a pipeline out of use.
///
/// Lists leave it out from then on, and no opportunity comes into it; those that stand in it stay, and go on from stage
/// to stage. Nothing is deleted; done twice it stays as it is. For managers and owners.
#[utoipa::path(tag = "Pipelines", security(("sign_in" = ["crm:write"])), responses((status = 200, body = PipelineBody)))]
#[post("/pipelines/{id}/archival")]
async fn archive_pipeline(
    state: web::Data<State>,
    actor: Actor,
    id: Id<PipelineId>,
    once: Once,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmWrite)?;
    state.submit(scope, once, move |tx| set_archived(tx, &actor, id.0, true)).await
}

/// Take a pipeline back into use.
///
/// Undoes its archival; a pipeline in use stays as it is. For managers and owners.
#[utoipa::path(tag = "Pipelines", security(("sign_in" = ["crm:write"])), responses((status = 200, body = PipelineBody)))]
#[delete("/pipelines/{id}/archival")]
async fn restore_pipeline(state: web::Data<State>, actor: Actor, id: Id<PipelineId>) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmWrite)?;
    state.transaction(scope, move |tx| set_archived(tx, &actor, id.0, false)).await
}

fn set_archived(tx: &mut Tx<'_>, actor: &Actor, id: PipelineId, archived: bool) -> Result<Reply, ApiError> {
    actor.authority(tx)?.may_manage().map_err(ApiError::forbidden)?;
    pipelines::change(tx)?;
    let mut pipeline = pipelines::lock(tx, id, None)?;
    if pipeline.archived_at.is_some() != archived {
        pipeline = pipelines::set_archived(tx, &pipeline, archived.then_some(tx.now))?;
    }
    let body = body(tx, pipeline)?;
    Ok(Reply::at_version(body.version, &body))
}

/// Put the stages of a pipeline into an order.
///
/// All of them at once: each stage of the pipeline is named once, and no other. Opportunities stay where they stand; the
/// funnel report counts by the new order. For managers and owners.
#[utoipa::path(tag = "Pipelines", security(("sign_in" = ["crm:write"])), params(IfMatch), request_body = StageOrder,
    responses((status = 200, body = PipelineBody)))]
#[put("/pipelines/{id}/stage-order")]
async fn put_stage_order(
    state: web::Data<State>,
    actor: Actor,
    id: Id<PipelineId>,
    seen: IfMatch,
    order: Valid<StageOrder>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmWrite)?;
    let ids = order.0.stage_ids;
    state
        .transaction(scope, move |tx| {
            actor.authority(tx)?.may_manage().map_err(ApiError::forbidden)?;
            pipelines::change(tx)?;
            let pipeline = pipelines::lock(tx, id.0, seen.0)?;
            let before: Vec<StageId> = stages::of_pipelines(tx, &[id.0])?.iter().map(|stage| stage.id).collect();
            let is_whole = ids.len() == before.len()
                && ids.iter().collect::<BTreeSet<_>>() == before.iter().collect::<BTreeSet<_>>();
            if !is_whole {
                let detail = "Must name every stage of the pipeline once, and no other";
                return Err(ApiError::invalid_field("/stage_ids", "stages", detail));
            }
            let pipeline = pipelines::reorder(tx, &pipeline, &before, &ids)?;
            let body = body(tx, pipeline)?;
            Ok(Reply::at_version(body.version, &body))
        })
        .await
}
