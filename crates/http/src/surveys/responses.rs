//! Responses: an operator writes down what a customer answers, as far as it has come, or looks at what customers answered.

use super::questions::{AnswersBody, settled};
use crate::actor::Actor;
use crate::body::{Patch, Valid};
use crate::listing::{Filters, Id, Listing, Sorting};
use crate::once::Once;
use crate::precondition::IfMatch;
use crate::problem::{ApiError, Code};
use crate::reply::Reply;
use crate::shape::{PageBody, Shape};
use crate::state::State;
use crate::tables::{self, Format, Layout, Spreadsheet};
use actix_web::{HttpResponse, delete, get, patch, post, web};
use chrono::{DateTime, NaiveDate, Utc};
use opiekun_documents::table::{Cell, Column};
use opiekun_domain::ids::{
    CustomerId, InteractionId, OperatorId, PersonId, SurveyId, SurveyLinkId, SurveyResponseId, TaskId, ThreadId,
};
use opiekun_domain::permission::Permission;
use opiekun_domain::survey::{AnswerValue, Answers, Question, QuestionKind, SurveyStatus};
use opiekun_persistence::survey_responses::{
    Asked, SurveyResponse, SurveyResponseFields, SurveyResponseFilter, SurveyResponseSort,
};
use opiekun_persistence::surveys::Survey;
use opiekun_persistence::tasks::Task;
use opiekun_persistence::{Json, Page, StoreError, Tx, interactions, survey_responses, surveys, tasks, work_tree};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use validator::Validate;

pub fn routes(config: &mut ServiceConfig) {
    config
        .service(list_survey_responses)
        .service(list_responses_of_survey)
        .service(create_survey_response)
        .service(get_survey_response)
        .service(update_survey_response)
        .service(delete_survey_response);
}

/// What a caller may write of a response.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[schema(example = json!({
    "survey_id": "0192f0c1-7a10-7cc1-9d5e-0f3b8a61c2aa", "customer_id": "0192f0c1-7a10-7cc1-9d5e-0f3b8a61c2ab",
    "answers": { "recommend": 9, "content": "yes" }, "complete": true,
}))]
#[serde(deny_unknown_fields)]
pub struct SurveyResponseInput {
    /// Stays as it is.
    pub survey_id: SurveyId,
    /// Who answers; that of the interaction, or of the task, unless told.
    #[serde(default)]
    pub customer_id: Option<CustomerId>,
    /// The customer's, who speaks for it.
    #[serde(default)]
    pub person_id: Option<PersonId>,
    /// Who asks; the caller unless told. Nobody where the customer answers alone.
    #[serde(default)]
    pub operator_id: Option<OperatorId>,
    /// The contact in which it is asked.
    #[serde(default)]
    pub interaction_id: Option<InteractionId>,
    /// The task that it is filled in for.
    #[serde(default)]
    pub task_id: Option<TaskId>,
    /// As many as there are already. In a change, a question that is not named keeps its answer and null takes it away;
    /// where an answer takes another question off the survey, the answer to that one goes.
    #[serde(default)]
    pub answers: AnswersBody,
    /// Whether that was all: then every question that is required and shown has an answer, and the response stays as it is.
    #[schema(example = false)]
    #[serde(default)]
    pub complete: bool,
}

/// What one customer answers to a survey.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SurveyResponse)]
pub struct SurveyResponseBody {
    pub id: SurveyResponseId,
    #[serde(flatten)]
    pub response: SurveyResponseInput,
    /// The version of the survey whose questions it answers: the one that was published when the first answer came.
    #[schema(minimum = 1)]
    pub survey_version: i32,
    /// That of its interaction, else of its task; it changes with theirs.
    pub thread_id: Option<ThreadId>,
    /// The address at which the customer answers alone.
    pub link_id: Option<SurveyLinkId>,
    /// The operator who wrote it down, or made its link; null where a script did.
    pub registered_by_id: Option<OperatorId>,
    pub completed_at: Option<DateTime<Utc>>,
    /// Counts up with every change; `ETag` holds it too.
    #[schema(minimum = 1)]
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl From<SurveyResponse> for SurveyResponseBody {
    fn from(row: SurveyResponse) -> Self {
        let response = SurveyResponseInput::of(&row);
        let SurveyResponse {
            id,
            survey_id: _,
            survey_version,
            fields: _,
            thread_id,
            link_id,
            registered_by_id,
            completed_at,
            dated_at: _,
            version,
            created_at,
            updated_at,
        } = row;
        Self {
            id,
            response,
            survey_version,
            thread_id,
            link_id,
            registered_by_id,
            completed_at,
            version,
            created_at,
            updated_at,
        }
    }
}

impl SurveyResponseInput {
    fn of(row: &SurveyResponse) -> Self {
        let SurveyResponseFields { customer_id, person_id, operator_id, interaction_id, task_id, answers } =
            row.fields.clone();
        Self {
            survey_id: row.survey_id,
            customer_id,
            person_id,
            operator_id,
            interaction_id,
            task_id,
            answers: answers.0.into(),
            complete: row.completed_at.is_some(),
        }
    }

    /// What is to be written, less the answers.
    fn fields(&self, tx: &mut Tx<'_>) -> Result<SurveyResponseFields, ApiError> {
        let told = (self.customer_id, self.person_id);
        let customer_id = customer_asked(tx, "survey_responses", told, self.interaction_id, self.task_id)?;
        Ok(SurveyResponseFields {
            customer_id,
            person_id: self.person_id,
            operator_id: self.operator_id,
            interaction_id: self.interaction_id,
            task_id: self.task_id,
            answers: Json(Answers::new()),
        })
    }
}

/// Who is asked: the customer of the interaction and of the task, and the one that is told, which are one.
pub(super) fn customer_asked(
    tx: &mut Tx<'_>,
    table: &'static str,
    (told, person_id): (Option<CustomerId>, Option<PersonId>),
    interaction_id: Option<InteractionId>,
    task_id: Option<TaskId>,
) -> Result<Option<CustomerId>, ApiError> {
    let mut customer_id = told;
    let mut same = |of: Option<CustomerId>, pointer: &str| match (customer_id, of) {
        (Some(told), Some(of)) if told != of => {
            Err(ApiError::invalid_field(pointer, "other_customer", "Is about another customer"))
        }
        _ => {
            customer_id = customer_id.or(of);
            Ok(())
        }
    };
    if let Some(interaction_id) = interaction_id {
        let interaction = interactions::find_all(tx, &[interaction_id])?.pop();
        let interaction = interaction.ok_or_else(|| StoreError::no_reference(table, "interaction_id"))?;
        same(Some(interaction.fields.customer_id), "/interaction_id")?;
    }
    if let Some(task_id) = task_id {
        let task = tasks::find_all(tx, &[task_id])?.pop();
        let task = task.ok_or_else(|| StoreError::no_reference(table, "task_id"))?;
        same(task.fields.customer_id, "/task_id")?;
    }
    if person_id.is_some() && customer_id.is_none() {
        return Err(ApiError::invalid_field("/customer_id", "required", "A person is a customer's"));
    }
    Ok(customer_id)
}

/// The task that a response is about, as it is until the transaction ends, before the response is locked or written: whoever
/// closes a task or takes it to another thread has the task before its responses. The trees are kept in their shape, and with
/// them the interactions in their threads.
pub(super) fn held_task(tx: &mut Tx<'_>, task_id: Option<TaskId>) -> Result<Option<Task>, ApiError> {
    // One that is not there is refused by the reference.
    Ok(task_id.map(|id| tasks::hold(tx, id)).transpose()?.flatten())
}

/// A survey that can be answered, as it is until the transaction ends.
pub(super) fn open_survey(tx: &mut Tx<'_>, id: SurveyId) -> Result<(Survey, i32), ApiError> {
    let survey = surveys::hold(tx, id)?;
    match (survey.fields.status, survey.published_version) {
        (SurveyStatus::Open, Some(version)) => Ok((survey, version)),
        (SurveyStatus::Closed, _) => Err(ApiError::state_invalid("closed", "The survey is closed")),
        (SurveyStatus::Draft | SurveyStatus::Open, _) => {
            Err(ApiError::state_invalid("draft", "The survey has not been opened yet"))
        }
    }
}

/// The questions that a response answers: those that were published when its first answer came, or, as long as it has
/// none, those that are published now.
pub(super) fn asked(
    tx: &mut Tx<'_>,
    survey: &Survey,
    published_version: i32,
    response: &SurveyResponse,
) -> Result<(i32, Vec<Question>), ApiError> {
    if response.survey_version == published_version || response.fields.answers.0.is_empty() {
        return Ok((published_version, survey.fields.questions.0.clone()));
    }
    let version = surveys::version_at(tx, survey.id, response.survey_version)?;
    Ok((version.version, version.questions.0))
}

impl Sorting for SurveyResponseSort {
    const WORDS: &'static [(&'static str, Self)] = &[("dated_at", Self::DatedAt)];
}

/// Which responses.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SurveyResponseQuery {
    survey_id: Option<SurveyId>,
    /// To this version of a survey.
    #[param(minimum = 1, maximum = 2147483647)]
    survey_version: Option<i32>,
    customer_id: Option<CustomerId>,
    person_id: Option<PersonId>,
    /// Who asked.
    operator_id: Option<OperatorId>,
    interaction_id: Option<InteractionId>,
    task_id: Option<TaskId>,
    thread_id: Option<ThreadId>,
    /// Complete ones, or those that are not.
    complete: Option<bool>,
    /// Those that wait to be answered and can be: not complete, to a survey that is open, at no address that has run out, and
    /// for no task that is closed.
    waiting: Option<bool>,
    /// When it was completed, else when it was begun.
    #[serde(rename = "dated_at[gte]")]
    dated_from: Option<DateTime<Utc>>,
    #[serde(rename = "dated_at[lt]")]
    dated_before: Option<DateTime<Utc>>,
}

impl From<SurveyResponseQuery> for SurveyResponseFilter {
    fn from(query: SurveyResponseQuery) -> Self {
        let SurveyResponseQuery {
            survey_id,
            survey_version,
            customer_id,
            person_id,
            operator_id,
            interaction_id,
            task_id,
            thread_id,
            complete,
            waiting,
            dated_from,
            dated_before,
        } = query;
        Self {
            survey_id,
            survey_version,
            customer_id,
            person_id,
            operator_id,
            interaction_id,
            task_id,
            thread_id,
            complete,
            waiting,
            dated_from,
            dated_before,
        }
    }
}

/// List survey responses.
///
/// The latest first, by when they were completed, else begun. With a customer and `complete=false`: the surveys that wait
/// for that customer, begun or only sent to it by a link. Pages of JSON, or all in a table (CSV or XLSX, by `Accept` or
/// `format`), which has a column for each question of the survey that `survey_id` names.
#[utoipa::path(tag = "Surveys", security(("sign_in" = ["crm:read"])),
    params(SurveyResponseQuery, Listing<SurveyResponseSort>, Format),
    responses((status = 200, content((PageBody<SurveyResponseBody> = "application/json"), (String = "text/csv"),
        (Spreadsheet = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet")))))]
#[get("/survey-responses")]
async fn list_survey_responses(
    state: web::Data<State>,
    actor: Actor,
    filters: Filters<SurveyResponseQuery>,
    format: Format,
    listing: Listing<SurveyResponseSort>,
    shape: Shape,
) -> Result<HttpResponse, ApiError> {
    let scope = actor.scope(Permission::CrmRead)?;
    let filter = SurveyResponseFilter::from(filters.0);
    let survey_id = filter.survey_id;
    let lay_out = move |tx: &mut Tx<'_>| ResponseLayout::of(tx, survey_id);
    tables::list_laid_out(state, scope, format, listing, shape, lay_out, move |tx, page| {
        bodies(survey_responses::list(tx, &filter, page)?)
    })
    .await
}

/// List the responses to a survey.
///
/// To all its versions, the latest first; `/survey-responses` narrows them down. Pages of JSON, or all in a table (CSV or
/// XLSX, by `Accept` or `format`), which has a column for each question that any version asks.
#[utoipa::path(tag = "Surveys", security(("sign_in" = ["crm:read"])), params(Listing<SurveyResponseSort>, Format),
    responses((status = 200, content((PageBody<SurveyResponseBody> = "application/json"), (String = "text/csv"),
        (Spreadsheet = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet")))))]
#[get("/surveys/{id}/responses")]
async fn list_responses_of_survey(
    state: web::Data<State>,
    actor: Actor,
    id: Id<SurveyId>,
    format: Format,
    listing: Listing<SurveyResponseSort>,
    shape: Shape,
) -> Result<HttpResponse, ApiError> {
    let scope = actor.scope(Permission::CrmRead)?;
    let filter = SurveyResponseFilter { survey_id: Some(id.0), ..SurveyResponseFilter::default() };
    let lay_out = move |tx: &mut Tx<'_>| {
        surveys::find(tx, id.0)?;
        ResponseLayout::of(tx, Some(id.0))
    };
    tables::list_laid_out(state, scope, format, listing, shape, lay_out, move |tx, page| {
        surveys::find(tx, id.0)?;
        bodies(survey_responses::list(tx, &filter, page)?)
    })
    .await
}

fn bodies(page: Page<SurveyResponse>) -> Result<Page<SurveyResponseBody>, ApiError> {
    let Page { items, next, total } = page;
    Ok(Page { items: items.into_iter().map(SurveyResponseBody::from).collect(), next, total })
}

/// Responses as a table has them: with a column for each question of their survey, where they are those of one.
struct ResponseLayout {
    /// In the order of the newest version, and behind them those that only older ones have.
    questions: Vec<String>,
    kinds: HashMap<(i32, String), QuestionKind>,
}

impl ResponseLayout {
    /// As many versions of a survey are read, the newest.
    const VERSIONS_MAX: i64 = 100;

    fn of(tx: &mut Tx<'_>, survey_id: Option<SurveyId>) -> Result<Self, ApiError> {
        let versions = match survey_id {
            Some(id) => surveys::versions(tx, id, Self::VERSIONS_MAX)?,
            None => Vec::new(),
        };
        let mut layout = Self { questions: Vec::new(), kinds: HashMap::new() };
        let mut known = HashSet::new();
        for version in versions {
            for question in version.questions.0 {
                if known.insert(question.key.clone()) {
                    layout.questions.push(question.key.clone());
                }
                layout.kinds.insert((version.version, question.key), question.kind);
            }
        }
        Ok(layout)
    }
}

impl Layout<SurveyResponseBody> for ResponseLayout {
    const NAME: &'static str = "survey-responses";

    fn columns(&self) -> Vec<Column> {
        let own = [
            Column::id("id"),
            Column::id("survey_id"),
            Column::count("survey_version"),
            Column::id("customer_id"),
            Column::id("person_id"),
            Column::id("operator_id"),
            Column::id("interaction_id"),
            Column::id("task_id"),
            Column::id("thread_id"),
            Column::id("link_id"),
            Column::word("complete"),
            Column::moment("completed_at"),
            Column::moment("created_at"),
            Column::moment("updated_at"),
        ];
        let answers = self.questions.iter().map(|key| Column::named(format!("answers.{key}")));
        own.into_iter().chain(answers).collect()
    }

    fn cells(&self, record: SurveyResponseBody) -> Vec<Cell> {
        let SurveyResponseBody {
            id,
            response,
            survey_version,
            thread_id,
            link_id,
            registered_by_id: _,
            completed_at,
            version: _,
            created_at,
            updated_at,
        } = record;
        let SurveyResponseInput {
            survey_id,
            customer_id,
            person_id,
            operator_id,
            interaction_id,
            task_id,
            answers,
            complete,
        } = response;
        let own = [
            Cell::text(id),
            Cell::text(survey_id),
            survey_version.into(),
            customer_id.map(Cell::text).into(),
            person_id.map(Cell::text).into(),
            operator_id.map(Cell::text).into(),
            interaction_id.map(Cell::text).into(),
            task_id.map(Cell::text).into(),
            thread_id.map(Cell::text).into(),
            link_id.map(Cell::text).into(),
            complete.into(),
            completed_at.into(),
            created_at.into(),
            updated_at.into(),
        ];
        let mut answers = Answers::from(answers);
        let answers = self.questions.iter().map(|key| {
            let kind = self.kinds.get(&(survey_version, key.clone())).copied();
            answers.remove(key).map(|answer| cell(kind, answer)).into()
        });
        own.into_iter().chain(answers).collect()
    }
}

/// An answer as it stands in JSON; of several options the keys, with spaces between them.
fn cell(kind: Option<QuestionKind>, answer: AnswerValue) -> Cell {
    match (kind, answer) {
        (_, AnswerValue::Whole(number)) => Cell::Integer(number),
        (_, AnswerValue::Words(keys)) => Cell::Text(keys.join(" ")),
        (Some(QuestionKind::Number), AnswerValue::Word(number)) => Cell::Decimal(number),
        (Some(QuestionKind::Date), AnswerValue::Word(day)) => {
            day.parse::<NaiveDate>().map_or_else(|_| Cell::Text(day), Cell::Day)
        }
        (_, AnswerValue::Word(word)) => Cell::Text(word),
    }
}

/// Write down a survey response.
///
/// What a customer answers, during a contact or whenever, to a survey that is open: some answers, to be gone on with, or
/// `complete`. Without any it is a survey that waits for the customer.
#[utoipa::path(tag = "Surveys", security(("sign_in" = ["crm:write"])), request_body = SurveyResponseInput,
    responses((status = 201, body = SurveyResponseBody)))]
#[post("/survey-responses")]
async fn create_survey_response(
    state: web::Data<State>,
    actor: Actor,
    once: Once,
    input: Valid<SurveyResponseInput>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmWrite)?;
    let mut input = input.0;
    state
        .submit(scope, once, move |tx| {
            work_tree::hold(tx)?;
            let (survey, survey_version) = open_survey(tx, input.survey_id).map_err(|error| match error.code {
                Code::NotFound => StoreError::no_reference("survey_responses", "survey_id").into(),
                _ => error,
            })?;
            held_task(tx, input.task_id)?;
            input.operator_id = input.operator_id.or(actor.operator_id());
            let mut fields = input.fields(tx)?;
            let answers = Answers::from(input.answers);
            fields.answers = Json(settled(&survey.fields.questions.0, &answers, |_| true, input.complete)?);
            let asked = Asked {
                survey_id: survey.id,
                survey_version,
                link_id: None,
                registered_by_id: tx.scope.actor.operator_id(),
            };
            let response = survey_responses::create(tx, asked, fields, input.complete)?;
            let location = format!("/api/v1/survey-responses/{}", response.id);
            Ok(Reply::created(&location, response.version, &SurveyResponseBody::from(response)))
        })
        .await
}

/// Show a survey response.
///
/// Its answers, as far as they have come. It is always sent whole: it follows its interaction from thread to thread.
#[utoipa::path(tag = "Surveys", security(("sign_in" = ["crm:read"])), extensions(("x-derived" = json!(true))),
    responses((status = 200, body = SurveyResponseBody)))]
#[get("/survey-responses/{id}")]
async fn get_survey_response(
    state: web::Data<State>,
    actor: Actor,
    id: Id<SurveyResponseId>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmRead)?;
    state
        .read(scope, move |tx| {
            let response = survey_responses::find(tx, id.0)?;
            shape.one(tx, response.version, &SurveyResponseBody::from(response))
        })
        .await
}

/// Go on with a survey response.
///
/// Adds answers, takes some away, or completes it. A complete response stays as it is (409). Who asks may, who wrote it
/// down or made its link, and those above them.
#[utoipa::path(tag = "Surveys", security(("sign_in" = ["crm:write"])), params(IfMatch),
    request_body(content = SurveyResponseInput, content_type = "application/merge-patch+json",
        example = json!({ "answers": { "recommend": 9, "content": "yes" } })),
    responses((status = 200, body = SurveyResponseBody)))]
#[patch("/survey-responses/{id}")]
async fn update_survey_response(
    state: web::Data<State>,
    actor: Actor,
    id: Id<SurveyResponseId>,
    seen: IfMatch,
    patch: Patch<SurveyResponseInput>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmWrite)?;
    state
        .transaction(scope, move |tx| {
            work_tree::hold(tx)?;
            let found = survey_responses::find(tx, id.0)?;
            let survey_id = found.survey_id;
            // The survey before its response, as whoever answers by a link has them.
            let held = open_survey(tx, survey_id);
            let wanted = patch.apply(&SurveyResponseInput::of(&found));
            held_task(tx, wanted.map_or(found.fields.task_id, |input| input.task_id))?;
            let response = survey_responses::lock(tx, id.0, seen.0)?;
            if response.fields.task_id != found.fields.task_id {
                // Another task than the one that is held.
                return Err(StoreError::Stale { current: response.version }.into());
            }
            let mut holders = response.holders();
            if let Some(task_id) = response.fields.task_id {
                // Whoever the step was given to since.
                holders.extend(tasks::find(tx, task_id)?.fields.caretaker_id);
            }
            actor.authority(tx)?.may_change(&holders).map_err(ApiError::forbidden)?;
            if response.completed_at.is_some() {
                return Err(ApiError::state_invalid("complete", "A complete response stays as it is"));
            }
            let (survey, published_version) = held?;
            let input = patch.apply(&SurveyResponseInput::of(&response))?;
            if input.survey_id != survey_id {
                return Err(ApiError::invalid_field("/survey_id", "fixed", "A response stays one to its survey"));
            }
            if response.link_id.is_some() {
                let SurveyResponseFields { customer_id, person_id, task_id, .. } = response.fields;
                let whose = [
                    ("/customer_id", input.customer_id == customer_id),
                    ("/person_id", input.person_id == person_id),
                    ("/task_id", input.task_id == task_id),
                ];
                if let Some((pointer, _)) = whose.into_iter().find(|(_, is_same)| !is_same) {
                    return Err(ApiError::invalid_field(
                        pointer,
                        "fixed",
                        "It is answered at an address that was sent for it",
                    ));
                }
            }
            let (survey_version, questions) = asked(tx, &survey, published_version, &response)?;
            // Whose it is was settled when it was written down: what it is about may have come to another customer since.
            let about = ["customer_id", "person_id", "interaction_id", "task_id"];
            let mut fields = if about.iter().any(|field| patch.field(field).is_some()) {
                input.fields(tx)?
            } else {
                SurveyResponseFields { operator_id: input.operator_id, ..response.fields.clone() }
            };
            let sent = |key: &str| patch.field("answers").is_some_and(|answers| answers.get(key).is_some());
            fields.answers = Json(settled(&questions, &Answers::from(input.answers), sent, input.complete)?);
            let response = survey_responses::update(tx, &response, survey_version, fields, input.complete)?;
            Ok(Reply::at_version(response.version, &SurveyResponseBody::from(response)))
        })
        .await
}

/// Delete a survey response.
///
/// It is in no results any more. Who asked may, who wrote it down or made its link, and those above them.
#[utoipa::path(tag = "Surveys", security(("sign_in" = ["crm:write"])), params(IfMatch), responses((status = 204)))]
#[delete("/survey-responses/{id}")]
async fn delete_survey_response(
    state: web::Data<State>,
    actor: Actor,
    id: Id<SurveyResponseId>,
    seen: IfMatch,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmWrite)?;
    state
        .transaction(scope, move |tx| {
            let response = survey_responses::lock(tx, id.0, seen.0)?;
            actor.authority(tx)?.may_change(&response.holders()).map_err(ApiError::forbidden)?;
            survey_responses::delete(tx, &response)?;
            Ok(Reply::empty())
        })
        .await
}
