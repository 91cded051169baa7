//! The form: what a customer sees and answers at a secret address, without signing in.

use super::links::unanswered;
use super::questions::{AnswersBody, QuestionBody, settled};
use super::responses::{asked, held_task};
use crate::actor::answering_survey;
use crate::body::Valid;
use crate::context::RequestContext;
use crate::keys::hash_of;
use crate::once::Once;
use crate::problem::ApiError;
use crate::reply::Reply;
use crate::state::State;
use actix_web::{HttpRequest, get, post, web};
use chrono::{DateTime, Utc};
use opiekun_domain::survey::{Answers, Question, SurveyStatus};
use opiekun_persistence::survey_links::SurveyLink;
use opiekun_persistence::survey_responses::{Asked, SurveyResponse, SurveyResponseFields};
use opiekun_persistence::surveys::Survey;
use opiekun_persistence::{
    Json, Scope, StoreError, Tx, credentials, survey_links, survey_responses, surveys, work_tree,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;
use validator::Validate;

pub fn routes(config: &mut ServiceConfig) {
    config.service(read_survey_form).service(answer_survey_form);
}

/// A survey as the customer sees it.
#[derive(Debug, Serialize, ToSchema)]
pub struct SurveyForm {
    #[schema(max_length = 240, example = "Are you content with us?")]
    title: String,
    #[schema(max_length = 4000)]
    description: Option<String>,
    #[schema(max_items = 100)]
    questions: Vec<QuestionBody>,
    /// What was answered at this address so far.
    answers: AnswersBody,
    /// Whether it takes one response, which can be gone on with until it is complete.
    single_use: bool,
    expires_at: DateTime<Utc>,
    /// Which version of the survey these questions are, to be sent with the answers.
    #[schema(minimum = 1, example = 1)]
    survey_version: i32,
}

/// What the customer answers.
#[derive(Debug, Deserialize, ToSchema, Validate)]
#[schema(example = json!({ "answers": { "recommend": 9, "content": "yes" }, "complete": true, "survey_version": 1 }))]
#[serde(deny_unknown_fields)]
pub struct SurveyFormAnswers {
    /// All that the form holds now: a question that is not named has no answer.
    answers: AnswersBody,
    /// Whether that was all; it is unless told. A response that is not complete can be gone on with, at an address for a
    /// single use.
    #[schema(default = true)]
    #[serde(default = "all")]
    complete: bool,
    /// The version whose questions were shown: 409 where others are asked by now, so that nobody answers what they have not
    /// seen.
    #[schema(minimum = 1, maximum = 2147483647)]
    #[serde(default)]
    survey_version: Option<i32>,
}

const fn all() -> bool {
    true
}

/// What became of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct SurveyFormState {
    /// Whether that was all.
    complete: bool,
}

/// What stands at an address that is of use.
struct Standing {
    survey: Survey,
    link: SurveyLink,
    /// Of a link for a single use.
    response: Option<SurveyResponse>,
    survey_version: i32,
    questions: Vec<Question>,
}

impl Standing {
    /// Locks what stands there. An address that is of no use is refused as one that is none.
    fn lock(tx: &mut Tx<'_>, link: &SurveyLink) -> Result<Self, ApiError> {
        work_tree::hold(tx)?;
        let link = survey_links::lock(tx, link.id, None).map_err(hidden)?;
        let survey = surveys::hold(tx, link.survey_id).map_err(hidden)?;
        let (SurveyStatus::Open, Some(published_version)) = (survey.fields.status, survey.published_version) else {
            return Err(not_found());
        };
        let task = held_task(tx, link.fields.task_id)?;
        if !link.is_of_use(tx.now) || task.is_some_and(|task| task.closed_at.is_some()) {
            return Err(not_found());
        }
        let (survey_version, questions, response) = if link.fields.single_use {
            let response = survey_responses::lock_of_link(tx, link.id)?.ok_or_else(not_found)?;
            if response.completed_at.is_some() {
                return Err(not_found());
            }
            let (survey_version, questions) = asked(tx, &survey, published_version, &response)?;
            (survey_version, questions, Some(response))
        } else {
            (published_version, survey.fields.questions.0.clone(), None)
        };
        Ok(Self { survey, link, response, survey_version, questions })
    }
}

fn not_found() -> ApiError {
    ApiError::not_found("survey form")
}

/// What is gone is told in the same words.
fn hidden(error: StoreError) -> ApiError {
    match error {
        StoreError::NotFound(_) => not_found(),
        other => other.into(),
    }
}

/// The link of an address and the key to its organization. Who asks for addresses that are none has a limit.
async fn found(
    req: &HttpRequest,
    state: &State,
    context: RequestContext,
    secret: &str,
) -> Result<(Scope, SurveyLink), ApiError> {
    let address = req.peer_addr().map(|address| address.ip());
    let secret_hash = hash_of(secret);
    let hash = secret_hash.clone();
    let Some((organization_id, link)) = state.lookup(move |db| credentials::find_survey_link(db, &hash)).await? else {
        state.limits.count_wrong_form(address)?;
        return Err(not_found());
    };
    state.limits.count_form(secret_hash, address)?;
    Ok((answering_survey(organization_id, context.request_id), link))
}

/// Read a survey form.
///
/// For the customer who was sent the address, without signing in, since the address is the secret. It tells the survey's
/// text and what was answered at the address so far, and nothing else. An address that is none, has run out, was used, is
/// one of a survey that is not open, or is for a task that is closed answers 404, each in the same words.
#[utoipa::path(tag = "Surveys", security(()),
    params(("secret" = String, Path, description = "The secret that `POST /surveys/{id}/links` answered.",
        min_length = 1, max_length = 4000, example = "ops_0YpXqJrN1mB9c2T5vW8xZ3aD6eF4gH7iK0lM2nO5pQs")),
    responses((status = 200, body = SurveyForm)))]
#[get("/survey-forms/{secret}")]
async fn read_survey_form(
    req: HttpRequest,
    state: web::Data<State>,
    context: web::ReqData<RequestContext>,
    secret: web::Path<String>,
) -> Result<Reply, ApiError> {
    let (scope, link) = found(&req, &state, *context, &secret).await?;
    state
        .transaction(scope, move |tx| {
            let Standing { survey, link, response, survey_version, questions } = Standing::lock(tx, &link)?;
            let answers = response.map(|response| response.fields.answers.0).unwrap_or_default();
            let form = SurveyForm {
                title: survey.fields.title,
                description: survey.fields.description,
                questions: questions.into_iter().map(QuestionBody::from).collect(),
                answers: answers.into(),
                single_use: link.fields.single_use,
                expires_at: link.fields.expires_at,
                survey_version,
            };
            Ok(Reply::ok(&form).secret())
        })
        .await
}

/// Answer a survey form.
///
/// Without signing in, at the address that the customer was sent: in whole, or so far, to be gone on with at the same
/// address for a single use. Sent again so far, it takes the place of what was there. Where the survey has changed since
/// the first answer, that one's questions are gone on with.
#[utoipa::path(tag = "Surveys", security(()), extensions(("x-idempotent" = json!(true))),
    params(("secret" = String, Path, description = "The secret that `POST /surveys/{id}/links` answered.",
        min_length = 1, max_length = 4000, example = "ops_0YpXqJrN1mB9c2T5vW8xZ3aD6eF4gH7iK0lM2nO5pQs")),
    request_body = SurveyFormAnswers, responses((status = 200, body = SurveyFormState)))]
#[post("/survey-forms/{secret}/responses")]
async fn answer_survey_form(
    req: HttpRequest,
    state: web::Data<State>,
    context: web::ReqData<RequestContext>,
    secret: web::Path<String>,
    once: Once,
    input: Valid<SurveyFormAnswers>,
) -> Result<Reply, ApiError> {
    let (scope, link) = found(&req, &state, *context, &secret).await?;
    let SurveyFormAnswers { answers, complete, survey_version: shown } = input.0;
    state
        .submit(scope, once.by(link.id.into()), move |tx| {
            let Standing { survey, link, response, survey_version, questions } = Standing::lock(tx, &link)?;
            if !complete && !link.fields.single_use {
                let detail = "At an address for many uses a response is sent in whole";
                return Err(ApiError::invalid_field("/complete", "required", detail));
            }
            if shown.is_some_and(|shown| shown != survey_version) {
                return Err(ApiError::state_invalid("changed", "The questions have changed: read the form again"));
            }
            let answers = Json(settled(&questions, &Answers::from(answers), |_| true, complete)?);
            match response {
                Some(response) => {
                    let fields = SurveyResponseFields { answers, ..response.fields.clone() };
                    survey_responses::update(tx, &response, survey_version, fields, complete)?;
                }
                None => {
                    let asked = Asked {
                        survey_id: survey.id,
                        survey_version,
                        link_id: Some(link.id),
                        registered_by_id: link.registered_by_id,
                    };
                    let mut fields = unanswered(&link);
                    fields.answers = answers;
                    survey_responses::create(tx, asked, fields, complete)?;
                }
            }
            if complete {
                survey_links::mark_used(tx, &link)?;
            }
            Ok(Reply::ok(&SurveyFormState { complete }).secret())
        })
        .await
}
