//! Links: secret addresses at which customers answer a survey alone.

use super::responses::{customer_asked, held_task, open_survey};
use crate::actor::Actor;
use crate::body::Valid;
use crate::calendar_feeds::server_of;
use crate::keys::{hash_of, random_survey_secret};
use crate::listing::{Filters, Id, Listing};
use crate::once::Once;
use crate::precondition::IfMatch;
use crate::problem::ApiError;
use crate::reply::Reply;
use crate::shape::{PageBody, Shape};
use crate::state::State;
use actix_web::{HttpRequest, delete, get, post, web};
use chrono::{DateTime, TimeDelta, Utc};
use opiekun_domain::ids::{CustomerId, OperatorId, PersonId, SurveyId, SurveyLinkId, TaskId};
use opiekun_domain::permission::Permission;
use opiekun_domain::survey::Answers;
use opiekun_persistence::survey_links::{SurveyLink, SurveyLinkFields, SurveyLinkFilter};
use opiekun_persistence::survey_responses::{Asked, SurveyResponseFields};
use opiekun_persistence::{Json, Page, Tx, survey_links, survey_responses, surveys, work_tree};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use validator::Validate;

pub fn routes(config: &mut ServiceConfig) {
    config
        .service(list_survey_links)
        .service(list_links_of_survey)
        .service(create_survey_link)
        .service(get_survey_link)
        .service(delete_survey_link);
}

/// How long a link lasts unless told, and at most.
const LASTS: TimeDelta = TimeDelta::days(30);
const LASTS_AT_MOST: TimeDelta = TimeDelta::days(366);

/// What a caller may write of a link.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[schema(example = json!({ "customer_id": "0192f0c1-7a10-7cc1-9d5e-0f3b8a61c2aa", "single_use": true }))]
#[serde(deny_unknown_fields)]
pub struct SurveyLinkInput {
    /// Whose answers they are; anybody's unless told, such as those of a link on a web page.
    #[serde(default)]
    pub customer_id: Option<CustomerId>,
    /// The customer's, who speaks for it.
    #[serde(default)]
    pub person_id: Option<PersonId>,
    /// The task that it is answered for: the answer to the survey that a step of a procedure run asks for is the step's.
    /// Whose answers they are is the task's customer, unless told. A task that is closed asks for nothing (409).
    #[serde(default)]
    pub task_id: Option<TaskId>,
    /// Whether it is good for one response, which can be begun and gone on with until it is complete; unless told, it is.
    /// Otherwise each who opens it answers anew.
    #[schema(default = true)]
    #[serde(default = "once")]
    pub single_use: bool,
    /// In 30 days unless told; in 366 at most.
    #[serde(default)]
    pub expires_at: Option<DateTime<Utc>>,
}

const fn once() -> bool {
    true
}

/// A secret address at which a survey is answered.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SurveyLink)]
pub struct SurveyLinkBody {
    pub id: SurveyLinkId,
    pub survey_id: SurveyId,
    #[serde(flatten)]
    pub link: SurveyLinkInput,
    /// When it was last answered at in whole; a link for a single use is of none from then on.
    pub used_at: Option<DateTime<Utc>>,
    /// The operator who made it; null where a script did.
    pub registered_by_id: Option<OperatorId>,
    /// Counts up with every change; `ETag` holds it too.
    #[schema(minimum = 1)]
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// A new link with its address.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NewSurveyLink)]
pub struct NewSurveyLinkBody {
    #[serde(flatten)]
    pub link: SurveyLinkBody,
    /// Where the form is read and answered, without signing in, by whoever knows the address. It names the host that this
    /// request was sent to, is shown this once and kept as a hash; a repeat of the request shows null.
    #[schema(
        max_length = 1000,
        example = "https://crm.example.com/api/v1/survey-forms/ops_0YpXqJrN1mB9c2T5vW8xZ3aD6eF4gH7iK0lM2nO5pQs"
    )]
    pub url: Option<String>,
    /// The last part of the address, for a page of your own that shows the form.
    #[schema(max_length = 100, example = "ops_0YpXqJrN1mB9c2T5vW8xZ3aD6eF4gH7iK0lM2nO5pQs")]
    pub secret: Option<String>,
}

impl From<SurveyLink> for SurveyLinkBody {
    fn from(row: SurveyLink) -> Self {
        let SurveyLink { id, survey_id, fields, used_at, registered_by_id, version, created_at, updated_at } = row;
        let SurveyLinkFields { customer_id, person_id, task_id, single_use, expires_at } = fields;
        let link = SurveyLinkInput { customer_id, person_id, task_id, single_use, expires_at: Some(expires_at) };
        Self { id, survey_id, link, used_at, registered_by_id, version, created_at, updated_at }
    }
}

impl SurveyLinkInput {
    fn fields(self, tx: &mut Tx<'_>) -> Result<SurveyLinkFields, ApiError> {
        let Self { customer_id, person_id, task_id, single_use, expires_at } = self;
        let expires_at = expires_at.unwrap_or(tx.now + LASTS);
        if expires_at <= tx.now || expires_at > tx.now + LASTS_AT_MOST {
            return Err(ApiError::invalid_field("/expires_at", "range", "Lies ahead, by 366 days at most"));
        }
        let customer_id = customer_asked(tx, "survey_links", (customer_id, person_id), None, task_id)?;
        Ok(SurveyLinkFields { customer_id, person_id, task_id, single_use, expires_at })
    }
}

/// Which links.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SurveyLinkQuery {
    survey_id: Option<SurveyId>,
    customer_id: Option<CustomerId>,
}

/// List survey links.
///
/// Without their addresses, which nobody can read again. Newest first.
#[utoipa::path(tag = "Surveys", security(("sign_in" = ["crm:read"])), params(SurveyLinkQuery, Listing<()>),
    responses((status = 200, body = PageBody<SurveyLinkBody>)))]
#[get("/survey-links")]
async fn list_survey_links(
    state: web::Data<State>,
    actor: Actor,
    filters: Filters<SurveyLinkQuery>,
    listing: Listing<()>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmRead)?;
    let SurveyLinkQuery { survey_id, customer_id } = filters.0;
    state.read(scope, move |tx| page(tx, &SurveyLinkFilter { survey_id, customer_id }, &listing, &shape)).await
}

/// List the links to a survey.
///
/// Without their addresses. Newest first.
#[utoipa::path(tag = "Surveys", security(("sign_in" = ["crm:read"])), params(Listing<()>),
    responses((status = 200, body = PageBody<SurveyLinkBody>)))]
#[get("/surveys/{id}/links")]
async fn list_links_of_survey(
    state: web::Data<State>,
    actor: Actor,
    id: Id<SurveyId>,
    listing: Listing<()>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmRead)?;
    state
        .snapshot(scope, move |tx| {
            surveys::find(tx, id.0)?;
            page(tx, &SurveyLinkFilter { survey_id: Some(id.0), customer_id: None }, &listing, &shape)
        })
        .await
}

fn page(tx: &mut Tx<'_>, filter: &SurveyLinkFilter, listing: &Listing<()>, shape: &Shape) -> Result<Reply, ApiError> {
    let Page { items, next, total } = survey_links::list(tx, filter, &listing.page)?;
    let items = items.into_iter().map(SurveyLinkBody::from).collect();
    shape.page(tx, Page { items, next, total })
}

/// Make a link to a survey.
///
/// For a survey that is open. The answer holds the address, this once. With a link for a single use a response without
/// answers is written down: the survey waits for the customer. Where one waits already for the same task, that is the one
/// that is answered at the address. Send the address to the customer; whoever knows it
/// answers, and learns nothing but the survey's own text and the answers given at it so far.
#[utoipa::path(tag = "Surveys", security(("sign_in" = ["crm:write"])), request_body = SurveyLinkInput,
    responses((status = 201, body = NewSurveyLinkBody)))]
#[post("/surveys/{id}/links")]
async fn create_survey_link(
    req: HttpRequest,
    state: web::Data<State>,
    actor: Actor,
    id: Id<SurveyId>,
    once: Once,
    input: Valid<SurveyLinkInput>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmWrite)?;
    let server = server_of(&req)?;
    state
        .submit(scope, once, move |tx| {
            work_tree::hold(tx)?;
            let (survey, survey_version) = open_survey(tx, id.0)?;
            let task = held_task(tx, input.0.task_id)?;
            if task.is_some_and(|task| task.closed_at.is_some()) {
                return Err(ApiError::state_invalid(
                    "task_closed",
                    "The task is closed: nobody is asked for it any more",
                ));
            }
            let fields = input.0.fields(tx)?;
            let secret = random_survey_secret();
            let link = survey_links::create(tx, survey.id, fields, hash_of(&secret))?;
            if link.fields.single_use {
                let asked = Asked {
                    survey_id: survey.id,
                    survey_version,
                    link_id: Some(link.id),
                    registered_by_id: link.registered_by_id,
                };
                survey_responses::await_at_link(tx, asked, unanswered(&link))?;
            }
            let location = format!("/api/v1/survey-links/{}", link.id);
            let url = format!("{server}/api/v1/survey-forms/{secret}");
            let without = NewSurveyLinkBody { link: link.clone().into(), url: None, secret: None };
            let body = NewSurveyLinkBody { link: link.into(), url: Some(url), secret: Some(secret) };
            Ok(Reply::created(&location, body.link.version, &body).kept_as(&without).secret())
        })
        .await
}

/// A response at a link, before anything is answered.
pub(super) fn unanswered(link: &SurveyLink) -> SurveyResponseFields {
    SurveyResponseFields {
        customer_id: link.fields.customer_id,
        person_id: link.fields.person_id,
        operator_id: None,
        interaction_id: None,
        task_id: link.fields.task_id,
        answers: Json(Answers::new()),
    }
}

/// Show a survey link.
///
/// Whom it is for, until when, and whether it was used, without its address.
#[utoipa::path(tag = "Surveys", security(("sign_in" = ["crm:read"])), responses((status = 200, body = SurveyLinkBody)))]
#[get("/survey-links/{id}")]
async fn get_survey_link(
    state: web::Data<State>,
    actor: Actor,
    id: Id<SurveyLinkId>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmRead)?;
    state
        .read(scope, move |tx| {
            let link = survey_links::find(tx, id.0)?;
            shape.one(tx, link.version, &SurveyLinkBody::from(link))
        })
        .await
}

/// Delete a survey link.
///
/// Its address answers 404 at once and for good. What was answered at it stays; a response without an answer goes, unless
/// a task waits for it. Who made it may, and those above.
#[utoipa::path(tag = "Surveys", security(("sign_in" = ["crm:write"])), params(IfMatch), responses((status = 204)))]
#[delete("/survey-links/{id}")]
async fn delete_survey_link(
    state: web::Data<State>,
    actor: Actor,
    id: Id<SurveyLinkId>,
    seen: IfMatch,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmWrite)?;
    state
        .transaction(scope, move |tx| {
            let link = survey_links::lock(tx, id.0, seen.0)?;
            let holders: Vec<OperatorId> = link.registered_by_id.into_iter().collect();
            actor.authority(tx)?.may_change(&holders).map_err(ApiError::forbidden)?;
            survey_links::delete(tx, &link)?;
            Ok(Reply::empty())
        })
        .await
}
