//! Procedures: the steps by which a firm serves its customers, and their runs.

mod runs;
mod schedules;
mod steps;

use crate::actor::Actor;
use crate::body::{Patch, Valid};
use crate::listing::{Id, Listing, Sorting};
use crate::once::Once;
use crate::precondition::IfMatch;
use crate::problem::{ApiError, Wrong};
use crate::reply::Reply;
use crate::shape::{PageBody, Shape};
use crate::state::State;
use actix_web::{delete, get, patch, post, web};
use chrono::{DateTime, Utc};
use opiekun_domain::authority::Authority;
use opiekun_domain::ids::{ArticleId, OperatorId, ProcedureId, SurveyId};
use opiekun_domain::permission::Permission;
use opiekun_domain::procedure::{Node, Step, check};
use opiekun_persistence::articles::{self, ArticleReader};
use opiekun_persistence::procedures::{Procedure, ProcedureFields, ProcedureSort};
use opiekun_persistence::{Json, Page, StoreError, Tx, operators, procedure_schedules, procedures, surveys};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use steps::{StepBody, check_steps};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;
use validator::Validate;

pub fn routes(config: &mut ServiceConfig) {
    config
        .service(list_procedures)
        .service(create_procedure)
        .service(get_procedure)
        .service(update_procedure)
        .service(delete_procedure);
    runs::routes(config);
    schedules::routes(config);
}

/// What a caller may write of a procedure.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[schema(as = ProcedureInput)]
#[serde(deny_unknown_fields)]
pub struct ProcedureInput {
    /// No two procedures have the same.
    #[schema(min_length = 1, max_length = 120, example = "Monthly close")]
    pub name: String,
    #[schema(max_length = 4000)]
    #[serde(default)]
    pub description: Option<String>,
    /// In the order in which they are shown. A step waits for others where it says so, and for nobody in a circle. Other
    /// steps are another version of the procedure: runs that were started keep theirs.
    #[schema(min_items = 1, max_items = 100)]
    #[validate(nested)]
    pub steps: Vec<StepBody>,
}

/// The steps by which a firm serves its customers.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Procedure)]
pub struct ProcedureBody {
    pub id: ProcedureId,
    #[serde(flatten)]
    pub procedure: ProcedureInput,
    /// The version whose steps new runs follow: the one at which they were written. `procedure_version` of a run is the one
    /// whose steps it follows.
    #[schema(minimum = 1)]
    pub published_version: i32,
    /// Counts up with every change; `ETag` holds it too.
    #[schema(minimum = 1)]
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl From<Procedure> for ProcedureBody {
    fn from(row: Procedure) -> Self {
        let Procedure { id, fields, published_version, version, created_at, updated_at } = row;
        Self { id, procedure: fields.into(), published_version, version, created_at, updated_at }
    }
}

impl From<ProcedureFields> for ProcedureInput {
    fn from(fields: ProcedureFields) -> Self {
        let ProcedureFields { name, description, steps } = fields;
        Self { name, description, steps: steps.0.into_iter().map(StepBody::from).collect() }
    }
}

impl ProcedureInput {
    fn fields(self) -> Result<ProcedureFields, ApiError> {
        let Self { name, description, steps } = self;
        let steps: Vec<Step> = steps.into_iter().map(Step::from).collect();
        check_steps(&steps, &[], "/steps")?;
        Ok(ProcedureFields { name, description, steps: Json(steps) })
    }
}

/// Steps of one run or customer give work only to those whom the caller may assign it to.
fn check_assignments<'a>(authority: &Authority, steps: impl IntoIterator<Item = &'a Step>) -> Result<(), ApiError> {
    let mut named = steps.into_iter().flat_map(|step| step.assignee.named());
    named.try_for_each(|id| authority.may_assign(*id)).map_err(ApiError::forbidden)
}

/// Extra steps of schedules that fitted a procedure fit it with these steps, too: nothing of theirs would be left out, or
/// come before what it waits for.
fn check_schedules(tx: &mut Tx<'_>, id: ProcedureId, steps: &[Step]) -> Result<(), ApiError> {
    let of_procedure: Vec<Node<'_>> = steps.iter().map(Node::from).collect();
    let misfits =
        procedure_schedules::extra_steps_of(tx, id)?.into_iter().flat_map(|(schedule_id, customer_id, extra)| {
            let nodes: Vec<Node<'_>> = of_procedure.iter().copied().chain(extra.0.iter().map(Node::from)).collect();
            let first = check(&nodes).into_iter().next();
            first.map(|problem| {
                let detail = format!(
                    "The steps of customer {customer_id} in schedule {schedule_id} do not fit any more: {}",
                    problem.fault
                );
                Wrong::field("/steps", "schedule", detail)
            })
        });
    let wrong: Vec<Wrong> = misfits.take(MISFITS_TOLD).collect();
    if wrong.is_empty() { Ok(()) } else { Err(ApiError::invalid(wrong)) }
}

/// Of extra steps that fit no more so many are told.
const MISFITS_TOLD: usize = 20;

/// Operators, surveys and articles that steps name are there, and the operators at work. The first that is not is told with its place.
fn check_references(tx: &mut Tx<'_>, steps: &[Step], pointer: &str) -> Result<(), ApiError> {
    let operator_ids: BTreeSet<OperatorId> =
        steps.iter().flat_map(|step| step.assignee.named().iter().copied()).collect();
    let survey_ids: BTreeSet<SurveyId> = steps.iter().filter_map(|step| step.survey_id).collect();
    let article_ids: BTreeSet<ArticleId> = steps.iter().filter_map(|step| step.article_id).collect();
    let operator_ids: Vec<OperatorId> = operator_ids.into_iter().collect();
    let survey_ids: Vec<SurveyId> = survey_ids.into_iter().collect();
    let article_ids: Vec<ArticleId> = article_ids.into_iter().collect();
    let known: BTreeMap<OperatorId, bool> =
        operators::find_all(tx, &operator_ids)?.into_iter().map(|it| (it.id, it.fields.active)).collect();
    let asked: BTreeSet<SurveyId> = surveys::find_all(tx, &survey_ids)?.into_iter().map(|survey| survey.id).collect();
    let explaining: BTreeSet<ArticleId> = articles::find_all(tx, ArticleReader::Everything, &article_ids)?
        .into_iter()
        .map(|article| article.id)
        .collect();
    for (index, step) in steps.iter().enumerate() {
        for id in step.assignee.named() {
            let pointer = format!("{pointer}/{index}/assignee");
            match known.get(id) {
                Some(true) => {}
                Some(false) => {
                    return Err(ApiError::invalid_field(&pointer, "inactive", "Is not at work here any more"));
                }
                None => return Err(ApiError::reference_not_found(pointer)),
            }
        }
        if step.survey_id.is_some_and(|id| !asked.contains(&id)) {
            return Err(ApiError::reference_not_found(format!("{pointer}/{index}/survey_id")));
        }
        if step.article_id.is_some_and(|id| !explaining.contains(&id)) {
            return Err(ApiError::reference_not_found(format!("{pointer}/{index}/article_id")));
        }
    }
    Ok(())
}

impl Sorting for ProcedureSort {
    const WORDS: &'static [(&'static str, Self)] = &[("created_at", Self::CreatedAt), ("name", Self::Name)];
}

/// The bodies of those of `ids` that exist.
pub(crate) fn bodies(tx: &mut Tx<'_>, ids: &[ProcedureId]) -> Result<Vec<Value>, ApiError> {
    let rows = procedures::find_all(tx, ids)?;
    rows.into_iter().map(|row| serde_json::to_value(ProcedureBody::from(row)).map_err(ApiError::internal)).collect()
}

/// List procedures.
///
/// Newest first.
#[utoipa::path(tag = "Procedures", security(("sign_in" = ["crm:read"])), params(Listing<ProcedureSort>),
    responses((status = 200, body = PageBody<ProcedureBody>)))]
#[get("/procedures")]
async fn list_procedures(
    state: web::Data<State>,
    actor: Actor,
    listing: Listing<ProcedureSort>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmRead)?;
    state
        .read(scope, move |tx| {
            let Page { items, next, total } = procedures::list(tx, &listing.page)?;
            let items = items.into_iter().map(ProcedureBody::from).collect();
            shape.page(tx, Page { items, next, total })
        })
        .await
}

/// Add a procedure.
///
/// Its steps, who does each, by which day, and what it waits for. For managers and owners.
#[utoipa::path(tag = "Procedures", security(("sign_in" = ["crm:write"])), request_body = ProcedureInput,
    responses((status = 201, body = ProcedureBody)))]
#[post("/procedures")]
async fn create_procedure(
    state: web::Data<State>,
    actor: Actor,
    once: Once,
    input: Valid<ProcedureInput>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmWrite)?;
    let fields = input.0.fields()?;
    state
        .submit(scope, once, move |tx| {
            actor.authority(tx)?.may_manage().map_err(ApiError::forbidden)?;
            check_references(tx, &fields.steps.0, "/steps")?;
            let procedure = procedures::create(tx, fields)?;
            let location = format!("/api/v1/procedures/{}", procedure.id);
            Ok(Reply::created(&location, procedure.version, &ProcedureBody::from(procedure)))
        })
        .await
}

/// Show a procedure.
///
/// With its steps as new runs follow them.
#[utoipa::path(tag = "Procedures", security(("sign_in" = ["crm:read"])),
    responses((status = 200, body = ProcedureBody)))]
#[get("/procedures/{id}")]
async fn get_procedure(
    state: web::Data<State>,
    actor: Actor,
    id: Id<ProcedureId>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmRead)?;
    state
        .read(scope, move |tx| {
            let procedure = procedures::find(tx, id.0)?;
            shape.one(tx, procedure.version, &ProcedureBody::from(procedure))
        })
        .await
}

/// Change a procedure.
///
/// Runs that were started keep their steps. The extra steps that schedules have for single customers have to fit the new ones
/// (422 at `/steps` names the schedule). For managers and owners.
#[utoipa::path(tag = "Procedures", security(("sign_in" = ["crm:write"])), params(IfMatch),
    request_body(content = ProcedureInput, content_type = "application/merge-patch+json"),
    responses((status = 200, body = ProcedureBody)))]
#[patch("/procedures/{id}")]
async fn update_procedure(
    state: web::Data<State>,
    actor: Actor,
    id: Id<ProcedureId>,
    seen: IfMatch,
    patch: Patch<ProcedureInput>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmWrite)?;
    state
        .transaction(scope, move |tx| {
            actor.authority(tx)?.may_manage().map_err(ApiError::forbidden)?;
            let procedure = procedures::lock(tx, id.0, seen.0)?;
            let fields = patch.apply(&procedure.fields.clone().into())?.fields()?;
            if fields.steps != procedure.fields.steps {
                check_references(tx, &fields.steps.0, "/steps")?;
                check_schedules(tx, procedure.id, &fields.steps.0)?;
            }
            let procedure = procedures::update(tx, &procedure, fields)?;
            Ok(Reply::at_version(procedure.version, &ProcedureBody::from(procedure)))
        })
        .await
}

/// Delete a procedure.
///
/// Only one that has never run. For managers and owners.
#[utoipa::path(tag = "Procedures", security(("sign_in" = ["crm:write"])), params(IfMatch), responses((status = 204)))]
#[delete("/procedures/{id}")]
async fn delete_procedure(
    state: web::Data<State>,
    actor: Actor,
    id: Id<ProcedureId>,
    seen: IfMatch,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmWrite)?;
    state
        .transaction(scope, move |tx| {
            actor.authority(tx)?.may_manage().map_err(ApiError::forbidden)?;
            let procedure = procedures::lock(tx, id.0, seen.0)?;
            procedures::delete(tx, &procedure)?;
            Ok(Reply::empty())
        })
        .await
}

/// A procedure that a body names.
fn named(tx: &mut Tx<'_>, id: ProcedureId) -> Result<Procedure, ApiError> {
    procedures::lock(tx, id, None).map_err(|error| match error {
        StoreError::NotFound(_) => ApiError::reference_not_found("/procedure_id"),
        other => other.into(),
    })
}
