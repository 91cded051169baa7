//! Opportunities: sales that may come about, and how they went from stage to stage.

use crate::actor::Actor;
use crate::body::{Patch, Valid};
use crate::customers::check_caretaker;
use crate::listing::{AnyOf, Filters, Id, Listing, Sorting};
use crate::once::Once;
use crate::precondition::IfMatch;
use crate::problem::ApiError;
use crate::reply::Reply;
use crate::shape::{PageBody, Shape};
use crate::state::State;
use crate::values::tags_schema;
use actix_web::{delete, get, patch, post, web};
use chrono::{DateTime, NaiveDate, Utc};
use opiekun_domain::currency::Currency;
use opiekun_domain::decimal::{Amount, OpportunityValue};
use opiekun_domain::ids::{CustomerId, OperatorId, OpportunityId, PipelineId, StageChangeId, StageId};
use opiekun_domain::permission::Permission;
use opiekun_domain::pipeline::{StageKind, weighted_value};
use opiekun_persistence::opportunities::{
    Opportunity, OpportunityFields, OpportunityFilter, OpportunitySort, StageChange, StageChangeSort, Standing,
};
use opiekun_persistence::stages::Stage;
use opiekun_persistence::{Page, Tx, opportunities, organizations, pipelines, stages};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use validator::Validate;

pub fn routes(config: &mut ServiceConfig) {
    config
        .service(list_opportunities)
        .service(create_opportunity)
        .service(get_opportunity)
        .service(update_opportunity)
        .service(delete_opportunity)
        .service(list_stage_changes)
        .service(move_opportunity);
}

/// What a caller may write of an opportunity.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct OpportunityInput {
    pub customer_id: CustomerId,
    #[schema(min_length = 1, max_length = 240, example = "Bookkeeping from January")]
    pub title: String,
    #[schema(max_length = 10000)]
    #[serde(default)]
    pub description: Option<String>,
    /// What the sale would bring.
    #[schema(default = "0.00")]
    #[serde(default)]
    pub value: OpportunityValue,
    /// The organization's unless told.
    #[serde(default)]
    pub currency: Option<Currency>,
    /// A pipeline on its own stands for its first open stage.
    #[serde(default)]
    pub pipeline_id: Option<PipelineId>,
    /// The stage where it stands; that or a pipeline has to be told. Another one moves it there.
    #[serde(default)]
    pub stage_id: Option<StageId>,
    /// The operator responsible; the caller unless told, and nobody where a script writes it down.
    #[serde(default)]
    pub caretaker_id: Option<OperatorId>,
    #[schema(example = "2026-12-18")]
    #[serde(default)]
    pub expected_close_on: Option<NaiveDate>,
    #[schema(schema_with = tags_schema)]
    #[serde(default)]
    pub tags: Vec<String>,
}

/// A sale that may come about.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Opportunity)]
pub struct OpportunityBody {
    pub id: OpportunityId,
    pub customer_id: CustomerId,
    #[schema(max_length = 240, example = "Bookkeeping from January")]
    pub title: String,
    #[schema(max_length = 10000)]
    pub description: Option<String>,
    /// What the sale would bring.
    pub value: OpportunityValue,
    /// The currency of its values.
    pub currency: Currency,
    /// Value × probability of its stage ÷ 100, rounded half away from zero to 0.01.
    #[schema(example = "7200.00")]
    pub weighted_value: Amount,
    /// That of its stage.
    pub pipeline_id: PipelineId,
    pub stage_id: StageId,
    /// That of its stage: whether it goes on, is won or is lost.
    pub stage_kind: StageKind,
    /// Since when it stands at its stage.
    pub stage_entered_at: DateTime<Utc>,
    /// Since when it is won, or lost; null while it is open.
    pub closed_at: Option<DateTime<Utc>>,
    /// The operator responsible.
    pub caretaker_id: Option<OperatorId>,
    /// The operator who wrote it down; null where a script did.
    pub registered_by_id: Option<OperatorId>,
    #[schema(example = "2026-12-18")]
    pub expected_close_on: Option<NaiveDate>,
    #[schema(schema_with = tags_schema)]
    pub tags: Vec<String>,
    /// Counts up with every change of its own; `ETag` holds it too.
    #[schema(minimum = 1)]
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl OpportunityBody {
    fn new(row: Opportunity, probability_percent: i16) -> Self {
        // The sort day only serves the order of lists.
        let Opportunity {
            id,
            registered_by_id,
            fields,
            standing,
            sort_close_on: _,
            closed_at,
            version,
            created_at,
            updated_at,
        } = row;
        let OpportunityFields {
            customer_id,
            title,
            description,
            value,
            currency,
            caretaker_id,
            expected_close_on,
            tags,
        } = fields;
        let Standing { pipeline_id, stage_id, stage_kind, stage_entered_at } = standing;
        Self {
            id,
            customer_id,
            title,
            description,
            value,
            currency,
            weighted_value: weighted_value(value, probability_percent),
            pipeline_id,
            stage_id,
            stage_kind,
            stage_entered_at,
            closed_at,
            caretaker_id,
            registered_by_id,
            expected_close_on,
            tags,
            version,
            created_at,
            updated_at,
        }
    }
}

impl From<&Opportunity> for OpportunityInput {
    fn from(row: &Opportunity) -> Self {
        let OpportunityFields {
            customer_id,
            title,
            description,
            value,
            currency,
            caretaker_id,
            expected_close_on,
            tags,
        } = row.fields.clone();
        Self {
            customer_id,
            title,
            description,
            value,
            currency: Some(currency),
            pipeline_id: Some(row.standing.pipeline_id),
            stage_id: Some(row.standing.stage_id),
            caretaker_id,
            expected_close_on,
            tags,
        }
    }
}

impl OpportunityInput {
    /// The stage where it is to stand: the one told, else the first open one of the pipeline. What `before` says
    /// already tells nothing new: another pipeline alone is enough to move there.
    fn stage(&self, tx: &mut Tx<'_>, before: Option<&Standing>) -> Result<Stage, ApiError> {
        let new_pipeline = self.pipeline_id.filter(|id| before.is_none_or(|before| before.pipeline_id != *id));
        let told =
            self.stage_id.filter(|id| new_pipeline.is_none() || before.is_none_or(|before| before.stage_id != *id));
        let stage = match (told, self.pipeline_id) {
            (Some(id), _) => find_stage(tx, id)?,
            (None, Some(id)) => first_open_stage(tx, id)?,
            (None, None) => {
                return Err(ApiError::invalid_field("/stage_id", "required", "A stage or a pipeline has to be told"));
            }
        };
        if new_pipeline.is_some_and(|id| id != stage.pipeline_id) {
            return Err(ApiError::invalid_field("/pipeline_id", "differs", "The stage is one of another pipeline"));
        }
        check_in_use(tx, &stage, before)?;
        Ok(stage)
    }

    fn fields(self, tx: &mut Tx<'_>) -> Result<OpportunityFields, ApiError> {
        let currency = match self.currency {
            Some(currency) => currency,
            None => organizations::find(tx)?.fields.currency,
        };
        Ok(OpportunityFields {
            customer_id: self.customer_id,
            title: self.title,
            description: self.description,
            value: self.value,
            currency,
            caretaker_id: self.caretaker_id,
            expected_close_on: self.expected_close_on,
            tags: self.tags,
        })
    }
}

fn find_stage(tx: &mut Tx<'_>, id: StageId) -> Result<Stage, ApiError> {
    stages::find_all(tx, &[id])?.pop().ok_or_else(|| ApiError::reference_not_found("/stage_id"))
}

fn first_open_stage(tx: &mut Tx<'_>, id: PipelineId) -> Result<Stage, ApiError> {
    let all = stages::of_pipelines(tx, &[id])?;
    if all.is_empty() {
        // Every pipeline has a stage.
        return Err(ApiError::reference_not_found("/pipeline_id"));
    }
    let open = all.into_iter().find(|stage| stage.fields.kind == StageKind::Open);
    open.ok_or_else(|| ApiError::invalid_field("/pipeline_id", "no_open_stage", "It has no open stage: tell one"))
}

/// Nothing comes into a pipeline that is out of use; what stands in it goes on.
fn check_in_use(tx: &mut Tx<'_>, stage: &Stage, before: Option<&Standing>) -> Result<(), ApiError> {
    if before.is_some_and(|before| before.pipeline_id == stage.pipeline_id) {
        return Ok(());
    }
    match pipelines::find(tx, stage.pipeline_id)?.archived_at {
        None => Ok(()),
        Some(_) => Err(ApiError::state_invalid("archived", "The pipeline is out of use")),
    }
}

/// Where an opportunity is to go.
#[derive(Debug, Clone, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct StageChangeInput {
    /// A stage of its pipeline or of another one that is in use.
    pub stage_id: StageId,
    /// Why.
    #[schema(max_length = 2000, example = "They asked for a contract")]
    #[serde(default)]
    pub note: Option<String>,
}

/// A move of an opportunity to a stage; the oldest is where it began.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StageChange)]
pub struct StageChangeBody {
    pub id: StageChangeId,
    pub opportunity_id: OpportunityId,
    /// Where it stood before; null where it began.
    pub from_stage_id: Option<StageId>,
    /// Since when it had stood there.
    pub from_entered_at: Option<DateTime<Utc>>,
    pub to_stage_id: StageId,
    pub changed_at: DateTime<Utc>,
    /// Who moved it; null where a script did.
    pub operator_id: Option<OperatorId>,
    #[schema(max_length = 2000, example = "They asked for a contract")]
    pub note: Option<String>,
}

impl From<StageChange> for StageChangeBody {
    fn from(row: StageChange) -> Self {
        let StageChange {
            id,
            opportunity_id,
            from_stage_id,
            from_entered_at,
            to_stage_id,
            changed_at,
            operator_id,
            note,
        } = row;
        Self { id, opportunity_id, from_stage_id, from_entered_at, to_stage_id, changed_at, operator_id, note }
    }
}

impl Sorting for OpportunitySort {
    const WORDS: &'static [(&'static str, Self)] =
        &[("created_at", Self::CreatedAt), ("expected_close_on", Self::ExpectedCloseOn)];
}

impl Sorting for StageChangeSort {
    const WORDS: &'static [(&'static str, Self)] = &[("changed_at", Self::ChangedAt)];
}

/// Which opportunities.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct OpportunityQuery {
    customer_id: Option<CustomerId>,
    pipeline_id: Option<PipelineId>,
    stage_id: Option<StageId>,
    stage_kind: Option<StageKind>,
    caretaker_id: Option<OperatorId>,
    #[serde(rename = "expected_close_on[gte]")]
    expected_from: Option<NaiveDate>,
    #[serde(rename = "expected_close_on[lt]")]
    expected_before: Option<NaiveDate>,
    /// Any of these tags.
    #[param(value_type = Option<Vec<String>>, max_items = 20)]
    tag: Option<AnyOf<String>>,
}

impl From<OpportunityQuery> for OpportunityFilter {
    fn from(query: OpportunityQuery) -> Self {
        Self {
            customer_id: query.customer_id,
            pipeline_id: query.pipeline_id,
            stage_id: query.stage_id,
            stage_kind: query.stage_kind,
            caretaker_id: query.caretaker_id,
            expected_from: query.expected_from,
            expected_before: query.expected_before,
            tags: query.tag.map(|tags| tags.0),
        }
    }
}

/// The bodies of rows, with what they are worth by their stages: one statement however many.
fn with_chances(tx: &mut Tx<'_>, rows: Vec<Opportunity>) -> Result<Vec<OpportunityBody>, ApiError> {
    let ids: Vec<StageId> = rows.iter().map(|row| row.standing.stage_id).collect();
    let chances = stages::probabilities(tx, &ids)?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let chance = chances.get(&row.standing.stage_id).copied().unwrap_or_default();
            OpportunityBody::new(row, chance)
        })
        .collect())
}

fn body(tx: &mut Tx<'_>, row: Opportunity) -> Result<OpportunityBody, ApiError> {
    with_chances(tx, vec![row])?.pop().ok_or_else(|| ApiError::internal("one row gives one body"))
}

/// The bodies of those of `ids` that exist.
pub(crate) fn bodies(tx: &mut Tx<'_>, ids: &[OpportunityId]) -> Result<Vec<Value>, ApiError> {
    let rows = opportunities::find_all(tx, ids)?;
    with_chances(tx, rows)?.iter().map(|body| serde_json::to_value(body).map_err(ApiError::internal)).collect()
}

/// List opportunities.
///
/// Newest first. Sorted by the day when they are expected to close, those without one come after all others, and
/// before them where the order is reversed.
#[utoipa::path(tag = "Opportunities", security(("sign_in" = ["crm:read"])),
    params(OpportunityQuery, Listing<OpportunitySort>), responses((status = 200, body = PageBody<OpportunityBody>)))]
#[get("/opportunities")]
async fn list_opportunities(
    state: web::Data<State>,
    actor: Actor,
    filters: Filters<OpportunityQuery>,
    listing: Listing<OpportunitySort>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmRead)?;
    state
        .read(scope, move |tx| {
            let Page { items, next, total } = opportunities::list(tx, &filters.0.into(), &listing.page)?;
            let items = with_chances(tx, items)?;
            shape.page(tx, Page { items, next, total })
        })
        .await
}

/// Register an opportunity.
///
/// At a stage, or at the first open stage of a pipeline, which must be in use. That it began there is the first of its
/// stage changes.
#[utoipa::path(tag = "Opportunities", security(("sign_in" = ["crm:write"])),
    request_body(content = OpportunityInput, example = json!({
        "customer_id": "0192f0c1-7a10-7cc1-9d5e-0f3b8a61c2aa", "title": "Bookkeeping from January", "value": "12000.00",
        "stage_id": "0192f0c1-7a10-7cc1-9d5e-0f3b8a61c2aa", "expected_close_on": "2026-12-18",
    })),
    responses((status = 201, body = OpportunityBody)))]
#[post("/opportunities")]
async fn create_opportunity(
    state: web::Data<State>,
    actor: Actor,
    once: Once,
    input: Valid<OpportunityInput>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmWrite)?;
    let mut input = input.0;
    state
        .submit(scope, once, move |tx| {
            match input.caretaker_id {
                Some(_) => check_caretaker(&actor.authority(tx)?, tx, None, input.caretaker_id)?,
                None => input.caretaker_id = actor.operator_id(),
            }
            pipelines::hold(tx)?;
            let stage = input.stage(tx, None)?;
            let fields = input.fields(tx)?;
            let opportunity = opportunities::create(tx, fields, &stage)?;
            let location = format!("/api/v1/opportunities/{}", opportunity.id);
            let body = body(tx, opportunity)?;
            Ok(Reply::created(&location, body.version, &body))
        })
        .await
}

/// Show an opportunity.
///
/// It is always sent whole: its kind and what it is worth follow its stage, which changes by itself.
#[utoipa::path(tag = "Opportunities", security(("sign_in" = ["crm:read"])),
    extensions(("x-derived" = json!(true))), responses((status = 200, body = OpportunityBody)))]
#[get("/opportunities/{id}")]
async fn get_opportunity(
    state: web::Data<State>,
    actor: Actor,
    id: Id<OpportunityId>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmRead)?;
    state
        .read(scope, move |tx| {
            let row = opportunities::find(tx, id.0)?;
            let body = body(tx, row)?;
            shape.one(tx, body.version, &body)
        })
        .await
}

/// Change an opportunity.
///
/// Who registered it may, its caretaker, and those above them. Another `stage_id` moves it, as its stage changes do, and
/// is kept among them; another `pipeline_id` alone moves it to the first open stage there. It stays with its customer
/// (409 `conflict`) once interactions, tasks or work entries refer to it.
#[utoipa::path(tag = "Opportunities", security(("sign_in" = ["crm:write"])), params(IfMatch),
    request_body(content = OpportunityInput, content_type = "application/merge-patch+json"),
    responses((status = 200, body = OpportunityBody)))]
#[patch("/opportunities/{id}")]
async fn update_opportunity(
    state: web::Data<State>,
    actor: Actor,
    id: Id<OpportunityId>,
    seen: IfMatch,
    patch: Patch<OpportunityInput>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmWrite)?;
    state
        .transaction(scope, move |tx| {
            pipelines::hold(tx)?;
            let opportunity = opportunities::lock(tx, id.0, seen.0)?;
            let authority = actor.authority(tx)?;
            authority.may_change(&opportunity.holders()).map_err(ApiError::forbidden)?;
            let input = patch.apply(&OpportunityInput::from(&opportunity))?;
            if patch.field("stage_id").is_some_and(Value::is_null) && patch.field("pipeline_id").is_none() {
                return Err(ApiError::invalid_field("/stage_id", "required", "An opportunity stands at a stage"));
            }
            check_caretaker(&authority, tx, opportunity.fields.caretaker_id, input.caretaker_id)?;
            let stage = input.stage(tx, Some(&opportunity.standing))?;
            let fields = input.fields(tx)?;
            let opportunity = opportunities::update(tx, &opportunity, fields, &stage, None)?;
            let body = body(tx, opportunity)?;
            Ok(Reply::at_version(body.version, &body))
        })
        .await
}

/// Remove an opportunity.
///
/// For what was registered by mistake; what comes to nothing is moved to a lost stage. Once interactions, tasks or work
/// entries refer to it, it stays: 409 `conflict`. Its stage changes go with it; the audit log keeps it.
#[utoipa::path(tag = "Opportunities", security(("sign_in" = ["crm:write"])), params(IfMatch),
    responses((status = 204)))]
#[delete("/opportunities/{id}")]
async fn delete_opportunity(
    state: web::Data<State>,
    actor: Actor,
    id: Id<OpportunityId>,
    seen: IfMatch,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmWrite)?;
    state
        .transaction(scope, move |tx| {
            let opportunity = opportunities::lock(tx, id.0, seen.0)?;
            actor.authority(tx)?.may_change(&opportunity.holders()).map_err(ApiError::forbidden)?;
            opportunities::delete(tx, &opportunity)?;
            Ok(Reply::empty())
        })
        .await
}

/// List the stage changes of an opportunity.
///
/// Every move with its time and who made it, the latest first; each begins where the one before it ended.
#[utoipa::path(tag = "Opportunities", security(("sign_in" = ["crm:read"])), params(Listing<StageChangeSort>),
    responses((status = 200, body = PageBody<StageChangeBody>)))]
#[get("/opportunities/{id}/stage-changes")]
async fn list_stage_changes(
    state: web::Data<State>,
    actor: Actor,
    id: Id<OpportunityId>,
    listing: Listing<StageChangeSort>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmRead)?;
    state
        .read(scope, move |tx| {
            opportunities::find(tx, id.0)?;
            let Page { items, next, total } = opportunities::stage_changes(tx, id.0, &listing.page)?;
            let items = items.into_iter().map(StageChangeBody::from).collect();
            shape.page(tx, Page { items, next, total })
        })
        .await
}

/// Move an opportunity to a stage.
///
/// Who registered it may, its caretaker, and those above them. The move is kept with its time, and the opportunity is
/// answered as it then is: closed at a won or lost stage, open again at an open one. To the stage where it stands it
/// cannot move (409 `state_invalid`), nor into a pipeline that is out of use.
#[utoipa::path(tag = "Opportunities", security(("sign_in" = ["crm:write"])), request_body = StageChangeInput,
    responses((status = 200, body = OpportunityBody)))]
#[post("/opportunities/{id}/stage-changes")]
async fn move_opportunity(
    state: web::Data<State>,
    actor: Actor,
    id: Id<OpportunityId>,
    once: Once,
    input: Valid<StageChangeInput>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmWrite)?;
    let StageChangeInput { stage_id, note } = input.0;
    state
        .submit(scope, once, move |tx| {
            pipelines::hold(tx)?;
            let opportunity = opportunities::lock(tx, id.0, None)?;
            actor.authority(tx)?.may_change(&opportunity.holders()).map_err(ApiError::forbidden)?;
            let stage = find_stage(tx, stage_id)?;
            if stage.id == opportunity.standing.stage_id {
                let state = opportunity.standing.stage_kind.as_str();
                return Err(ApiError::state_invalid(state, "It stands at this stage already"));
            }
            check_in_use(tx, &stage, Some(&opportunity.standing))?;
            let fields = opportunity.fields.clone();
            let opportunity = opportunities::update(tx, &opportunity, fields, &stage, note)?;
            let body = body(tx, opportunity)?;
            Ok(Reply::at_version(body.version, &body))
        })
        .await
}
