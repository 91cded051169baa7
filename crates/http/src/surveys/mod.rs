//! Surveys: what customers are asked, what they answer, and what that comes to.

mod form;
mod links;
mod questions;
mod responses;
mod results;

pub(crate) use responses::SurveyResponseBody;

use crate::actor::Actor;
use crate::body::{Patch, Valid};
use crate::listing::{Filters, Id, Listing, Sorting};
use crate::once::Once;
use crate::precondition::IfMatch;
use crate::problem::ApiError;
use crate::reply::Reply;
use crate::shape::{PageBody, Shape};
use crate::state::State;
use crate::values::capitalised;
use actix_web::{delete, get, patch, post, web};
use chrono::{DateTime, Utc};
use opiekun_domain::ids::SurveyId;
use opiekun_domain::permission::Permission;
use opiekun_domain::survey::SurveyStatus;
use opiekun_persistence::surveys::{Survey, SurveyFields, SurveyFilter, SurveySort};
use opiekun_persistence::{Json, Page, Tx, procedure_runs, surveys, work_tree};
use questions::{QuestionBody, checked};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use validator::Validate;

pub fn routes(config: &mut ServiceConfig) {
    config
        .service(list_surveys)
        .service(create_survey)
        .service(get_survey)
        .service(update_survey)
        .service(delete_survey);
    responses::routes(config);
    links::routes(config);
    form::routes(config);
    results::routes(config);
}

/// What a caller may write of a survey.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[schema(as = SurveyInput)]
#[serde(deny_unknown_fields)]
pub struct SurveyInput {
    #[schema(min_length = 1, max_length = 240, example = "Are you content with us?")]
    pub title: String,
    /// What stands before the questions.
    #[schema(max_length = 4000)]
    #[serde(default)]
    pub description: Option<String>,
    /// `draft` unless told. A draft is opened once it has questions; an open survey can be answered, is closed, and opened
    /// again as one likes.
    #[schema(default = "draft")]
    #[serde(default = "draft")]
    pub status: SurveyStatus,
    /// In the order in which they are asked. Other questions for a survey that has been open are another version of it:
    /// who has answered before has answered the old ones.
    #[schema(max_items = 100)]
    #[serde(default)]
    #[validate(nested)]
    pub questions: Vec<QuestionBody>,
}

const fn draft() -> SurveyStatus {
    SurveyStatus::Draft
}

/// What customers are asked.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Survey)]
pub struct SurveyBody {
    pub id: SurveyId,
    #[serde(flatten)]
    pub survey: SurveyInput,
    /// The version whose questions are asked now: the one at which they were published. `survey_version` of a response
    /// is the one whose questions it answers. None of a draft.
    #[schema(minimum = 1)]
    pub published_version: Option<i32>,
    /// Counts up with every change; `ETag` holds it too.
    #[schema(minimum = 1)]
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl From<Survey> for SurveyBody {
    fn from(row: Survey) -> Self {
        let Survey { id, fields, published_version, version, created_at, updated_at } = row;
        Self { id, survey: fields.into(), published_version, version, created_at, updated_at }
    }
}

impl From<SurveyFields> for SurveyInput {
    fn from(fields: SurveyFields) -> Self {
        let SurveyFields { title, description, status, questions } = fields;
        let questions = questions.0.into_iter().map(QuestionBody::from).collect();
        Self { title, description, status, questions }
    }
}

impl SurveyInput {
    /// What is to be written, of a survey that was in a status before.
    fn fields(self, before: SurveyStatus) -> Result<SurveyFields, ApiError> {
        let Self { title, description, status, questions } = self;
        let status = before
            .change_to(status)
            .map_err(|error| ApiError::invalid_field("/status", "transition", capitalised(&error.to_string())))?;
        if status != SurveyStatus::Draft && questions.is_empty() {
            return Err(ApiError::invalid_field("/questions", "required", "A survey is opened once it has questions"));
        }
        Ok(SurveyFields { title, description, status, questions: Json(checked(questions)?) })
    }
}

impl Sorting for SurveySort {
    const WORDS: &'static [(&'static str, Self)] = &[("created_at", Self::CreatedAt), ("title", Self::Title)];
}

/// Which surveys.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SurveyQuery {
    status: Option<SurveyStatus>,
}

/// The bodies of those of `ids` that exist.
pub(crate) fn bodies(tx: &mut Tx<'_>, ids: &[SurveyId]) -> Result<Vec<Value>, ApiError> {
    let rows = surveys::find_all(tx, ids)?;
    rows.into_iter().map(|row| serde_json::to_value(SurveyBody::from(row)).map_err(ApiError::internal)).collect()
}

/// List surveys.
///
/// Newest first. `GET /survey-responses` with a customer and `complete=false` tells which surveys wait for that customer.
#[utoipa::path(tag = "Surveys", security(("sign_in" = ["crm:read"])), params(SurveyQuery, Listing<SurveySort>),
    responses((status = 200, body = PageBody<SurveyBody>)))]
#[get("/surveys")]
async fn list_surveys(
    state: web::Data<State>,
    actor: Actor,
    filters: Filters<SurveyQuery>,
    listing: Listing<SurveySort>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmRead)?;
    let filter = SurveyFilter { status: filters.0.status };
    state
        .read(scope, move |tx| {
            let Page { items, next, total } = surveys::list(tx, &filter, &listing.page)?;
            let items = items.into_iter().map(SurveyBody::from).collect();
            shape.page(tx, Page { items, next, total })
        })
        .await
}

/// Add a survey.
///
/// Conditions are checked when it is saved: they name earlier questions only, fit them, and can be fulfilled. For managers
/// and owners.
#[utoipa::path(tag = "Surveys", security(("sign_in" = ["crm:write"])), request_body = SurveyInput,
    responses((status = 201, body = SurveyBody)))]
#[post("/surveys")]
async fn create_survey(
    state: web::Data<State>,
    actor: Actor,
    once: Once,
    input: Valid<SurveyInput>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmWrite)?;
    let fields = input.0.fields(SurveyStatus::Draft)?;
    state
        .submit(scope, once, move |tx| {
            actor.authority(tx)?.may_manage().map_err(ApiError::forbidden)?;
            let survey = surveys::create(tx, fields)?;
            let location = format!("/api/v1/surveys/{}", survey.id);
            Ok(Reply::created(&location, survey.version, &SurveyBody::from(survey)))
        })
        .await
}

/// Show a survey.
///
/// With its questions as they are now; those of an earlier version stand in the results of that version.
#[utoipa::path(tag = "Surveys", security(("sign_in" = ["crm:read"])), responses((status = 200, body = SurveyBody)))]
#[get("/surveys/{id}")]
async fn get_survey(state: web::Data<State>, actor: Actor, id: Id<SurveyId>, shape: Shape) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmRead)?;
    state
        .read(scope, move |tx| {
            let survey = surveys::find(tx, id.0)?;
            shape.one(tx, survey.version, &SurveyBody::from(survey))
        })
        .await
}

/// Change a survey.
///
/// Other questions for one that has been open are published as another version; responses that were begun keep theirs. Once
/// it is opened it waits for the customers of the open steps of procedure runs that ask for it. For managers and owners.
#[utoipa::path(tag = "Surveys", security(("sign_in" = ["crm:write"])), params(IfMatch),
    request_body(content = SurveyInput, content_type = "application/merge-patch+json"),
    responses((status = 200, body = SurveyBody)))]
#[patch("/surveys/{id}")]
async fn update_survey(
    state: web::Data<State>,
    actor: Actor,
    id: Id<SurveyId>,
    seen: IfMatch,
    patch: Patch<SurveyInput>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmWrite)?;
    state
        .transaction(scope, move |tx| {
            actor.authority(tx)?.may_manage().map_err(ApiError::forbidden)?;
            if patch.field("status").is_some() {
                // Nobody opens or closes a step meanwhile.
                work_tree::change(tx)?;
            }
            let before = surveys::lock(tx, id.0, seen.0)?;
            let fields = patch.apply(&before.fields.clone().into())?.fields(before.fields.status)?;
            let survey = surveys::update(tx, &before, fields)?;
            if before.fields.status != SurveyStatus::Open && survey.fields.status == SurveyStatus::Open {
                procedure_runs::ask_for_open_steps(tx, survey.id)?;
            }
            Ok(Reply::at_version(survey.version, &SurveyBody::from(survey)))
        })
        .await
}

/// Delete a survey.
///
/// Only while it has neither responses nor links; close it otherwise. For managers and owners.
#[utoipa::path(tag = "Surveys", security(("sign_in" = ["crm:write"])), params(IfMatch), responses((status = 204)))]
#[delete("/surveys/{id}")]
async fn delete_survey(
    state: web::Data<State>,
    actor: Actor,
    id: Id<SurveyId>,
    seen: IfMatch,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmWrite)?;
    state
        .transaction(scope, move |tx| {
            actor.authority(tx)?.may_manage().map_err(ApiError::forbidden)?;
            let survey = surveys::lock(tx, id.0, seen.0)?;
            surveys::delete(tx, &survey)?;
            Ok(Reply::empty())
        })
        .await
}
