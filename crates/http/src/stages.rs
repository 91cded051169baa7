//! Stages: the steps of a pipeline.

use crate::actor::Actor;
use crate::body::{Patch, Valid};
use crate::listing::{Id, Listing, Sorting};
use crate::once::Once;
use crate::precondition::IfMatch;
use crate::problem::{ApiError, Code, Wrong};
use crate::reply::Reply;
use crate::shape::{PageBody, Shape};
use crate::state::State;
use crate::values::capitalised;
use actix_web::{delete, get, patch, post, web};
use chrono::{DateTime, Utc};
use opiekun_domain::ids::{PipelineId, StageId};
use opiekun_domain::permission::Permission;
use opiekun_domain::pipeline::{STAGES_MAX, StageKind, probability};
use opiekun_persistence::stages::{Stage, StageFields, StageSort};
use opiekun_persistence::{Page, Tx, pipelines, stages};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;
use validator::Validate;

pub fn routes(config: &mut ServiceConfig) {
    config.service(list_stages).service(create_stage).service(get_stage).service(update_stage).service(delete_stage);
}

/// What a caller may write of a stage.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct StageInput {
    /// No two stages of a pipeline have the same.
    #[schema(min_length = 1, max_length = 120, example = "Negotiation")]
    pub name: String,
    /// Whether a sale that stands here goes on, is won or is lost.
    pub kind: StageKind,
    /// How likely a sale is that has come so far. An open stage needs it; what is won has 100 and what is lost 0.
    #[schema(minimum = 0, maximum = 100, example = 75)]
    #[serde(default)]
    pub probability_percent: Option<i16>,
}

/// A step of a pipeline.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Stage)]
pub struct StageBody {
    pub id: StageId,
    pub pipeline_id: PipelineId,
    /// Its place among the stages of the pipeline, from 1.
    #[schema(minimum = 1, maximum = 30, example = 4)]
    pub position: i16,
    #[schema(max_length = 120, example = "Negotiation")]
    pub name: String,
    pub kind: StageKind,
    /// How likely a sale is that has come so far.
    #[schema(minimum = 0, maximum = 100, example = 75)]
    pub probability_percent: i16,
    /// Counts up with every change; `ETag` holds it too.
    #[schema(minimum = 1)]
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl From<Stage> for StageBody {
    fn from(row: Stage) -> Self {
        let Stage { id, pipeline_id, position, fields, version, created_at, updated_at } = row;
        let StageFields { name, kind, probability_percent } = fields;
        Self { id, pipeline_id, position, name, kind, probability_percent, version, created_at, updated_at }
    }
}

impl From<StageFields> for StageInput {
    fn from(fields: StageFields) -> Self {
        let StageFields { name, kind, probability_percent } = fields;
        Self { name, kind, probability_percent: Some(probability_percent) }
    }
}

impl StageInput {
    /// The fields, or what is wrong with a body that is at `pointer`.
    pub(crate) fn fields(self, pointer: &str) -> Result<StageFields, Wrong> {
        let Self { name, kind, probability_percent } = self;
        let probability_percent = probability(kind, probability_percent).map_err(|problem| {
            let pointer = format!("{pointer}/probability_percent");
            Wrong::field(pointer, "probability", capitalised(&problem.to_string()))
        })?;
        Ok(StageFields { name, kind, probability_percent })
    }
}

impl Sorting for StageSort {
    const WORDS: &'static [(&'static str, Self)] = &[("position", Self::Position)];
    const DESCENDING: bool = false;
}

/// The bodies of those of `ids` that exist.
pub(crate) fn bodies(tx: &mut Tx<'_>, ids: &[StageId]) -> Result<Vec<Value>, ApiError> {
    let rows = stages::find_all(tx, ids)?;
    rows.into_iter().map(|row| serde_json::to_value(StageBody::from(row)).map_err(ApiError::internal)).collect()
}

/// List the stages of a pipeline.
///
/// In their order.
#[utoipa::path(tag = "Pipelines", security(("sign_in" = ["crm:read"])), params(Listing<StageSort>),
    responses((status = 200, body = PageBody<StageBody>)))]
#[get("/pipelines/{id}/stages")]
async fn list_stages(
    state: web::Data<State>,
    actor: Actor,
    id: Id<PipelineId>,
    listing: Listing<StageSort>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmRead)?;
    state
        .read(scope, move |tx| {
            pipelines::find(tx, id.0)?;
            let Page { items, next, total } = stages::list(tx, id.0, &listing.page)?;
            let items = items.into_iter().map(StageBody::from).collect();
            shape.page(tx, Page { items, next, total })
        })
        .await
}

/// Add a stage to a pipeline.
///
/// Behind those that it has; `PUT /pipelines/{id}/stage-order` puts it in its place. A pipeline has at most 30. For
/// managers and owners.
#[utoipa::path(tag = "Pipelines", security(("sign_in" = ["crm:write"])), request_body = StageInput,
    responses((status = 201, body = StageBody)))]
#[post("/pipelines/{id}/stages")]
async fn create_stage(
    state: web::Data<State>,
    actor: Actor,
    id: Id<PipelineId>,
    once: Once,
    input: Valid<StageInput>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmWrite)?;
    let fields = checked(input.0)?;
    state
        .submit(scope, once, move |tx| {
            actor.authority(tx)?.may_manage().map_err(ApiError::forbidden)?;
            pipelines::change(tx)?;
            pipelines::find(tx, id.0)?;
            if stages::of_pipelines(tx, &[id.0])?.len() >= STAGES_MAX {
                let detail = format!("A pipeline has at most {STAGES_MAX} stages");
                return Err(ApiError::new(Code::Conflict).detail(detail));
            }
            let stage = stages::create_all(tx, id.0, vec![fields])?.pop();
            let stage = stage.ok_or_else(|| ApiError::internal("one stage makes one row"))?;
            let location = format!("/api/v1/stages/{}", stage.id);
            Ok(Reply::created(&location, stage.version, &StageBody::from(stage)))
        })
        .await
}

/// Show a stage.
///
/// The pipeline that it is of shows it too, in its place among the others.
#[utoipa::path(tag = "Pipelines", security(("sign_in" = ["crm:read"])), responses((status = 200, body = StageBody)))]
#[get("/stages/{id}")]
async fn get_stage(state: web::Data<State>, actor: Actor, id: Id<StageId>, shape: Shape) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmRead)?;
    state
        .read(scope, move |tx| {
            let stage = stages::find(tx, id.0)?;
            shape.one(tx, stage.version, &StageBody::from(stage))
        })
        .await
}

/// Change a stage.
///
/// Where its kind changes, the opportunities that stand here follow at once: they are won, lost (since they came here)
/// or open again, and so are reports about the past. They keep their versions. For managers and owners.
#[utoipa::path(tag = "Pipelines", security(("sign_in" = ["crm:write"])), params(IfMatch),
    request_body(content = StageInput, content_type = "application/merge-patch+json"),
    responses((status = 200, body = StageBody)))]
#[patch("/stages/{id}")]
async fn update_stage(
    state: web::Data<State>,
    actor: Actor,
    id: Id<StageId>,
    seen: IfMatch,
    patch: Patch<StageInput>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmWrite)?;
    state
        .transaction(scope, move |tx| {
            actor.authority(tx)?.may_manage().map_err(ApiError::forbidden)?;
            pipelines::change(tx)?;
            let stage = stages::lock(tx, id.0, seen.0)?;
            let fields = checked(patch.apply(&stage.fields.clone().into())?)?;
            let stage = stages::update(tx, &stage, fields)?;
            Ok(Reply::at_version(stage.version, &StageBody::from(stage)))
        })
        .await
}

/// Remove a stage.
///
/// Only where no opportunity stands or has ever stood, and not the last one of its pipeline: else 409 `conflict`. Those
/// behind it move up. For managers and owners.
#[utoipa::path(tag = "Pipelines", security(("sign_in" = ["crm:write"])), params(IfMatch), responses((status = 204)))]
#[delete("/stages/{id}")]
async fn delete_stage(
    state: web::Data<State>,
    actor: Actor,
    id: Id<StageId>,
    seen: IfMatch,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmWrite)?;
    state
        .transaction(scope, move |tx| {
            actor.authority(tx)?.may_manage().map_err(ApiError::forbidden)?;
            pipelines::change(tx)?;
            let stage = stages::lock(tx, id.0, seen.0)?;
            if stages::of_pipelines(tx, &[stage.pipeline_id])?.len() == 1 {
                return Err(ApiError::new(Code::Conflict).detail("A pipeline keeps at least one stage"));
            }
            stages::delete(tx, &stage)?;
            Ok(Reply::empty())
        })
        .await
}

fn checked(input: StageInput) -> Result<StageFields, ApiError> {
    input.fields("").map_err(|wrong| ApiError::invalid(vec![wrong]))
}
