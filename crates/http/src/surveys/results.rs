//! Results: what the complete responses to a version of a survey come to.

use crate::actor::Actor;
use crate::listing::{Filters, Id, Listing, Sorting};
use crate::problem::{ApiError, Wrong};
use crate::reply::Reply;
use crate::shape::{PageBody, Shape};
use crate::state::State;
use crate::tables::{self, Format, Spreadsheet, Tabular};
use actix_web::{HttpResponse, get, web};
use chrono::{DateTime, NaiveDate, Utc};
use opiekun_documents::table::{Cell, Column};
use opiekun_domain::calendar_day::day_bounds;
use opiekun_domain::decimal::{Share, SurveyFigure};
use opiekun_domain::ids::{CustomerId, OperatorId, SurveyId, SurveyResponseId};
use opiekun_domain::permission::Permission;
use opiekun_domain::survey::{NO, Question, QuestionKind, Scale, YES};
use opiekun_domain::survey_results::{NumberTally, Promoters, share};
use opiekun_persistence::survey_results::{AnswerCount, Counted, TextAnswer, TextAnswerSort};
use opiekun_persistence::surveys::SurveyVersion;
use opiekun_persistence::{Page, Tx, organizations, survey_results, surveys};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

pub fn routes(config: &mut ServiceConfig) {
    config.service(get_survey_results).service(get_survey_cross_table).service(list_survey_text_answers);
}

/// How many versions are told of, the newest.
const VERSIONS_TOLD: i64 = 100;
/// Two scales of 101 steps each.
const CELLS_MAX: i64 = 101 * 101;

/// Which responses count, as every look at them is asked.
struct CountedQuery {
    version: Option<i32>,
    from: Option<NaiveDate>,
    to: Option<NaiveDate>,
    operator_id: Option<OperatorId>,
    customer_tag: Option<String>,
}

/// How results are told.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ResultsQuery {
    /// Those to the questions that were asked at this version of the survey; at the present one unless told.
    #[param(minimum = 1, maximum = 2147483647)]
    version: Option<i32>,
    /// Completed on this day or later, in the organization's time zone.
    from: Option<NaiveDate>,
    /// Completed on this day or before.
    to: Option<NaiveDate>,
    /// Those that this operator asked for.
    operator_id: Option<OperatorId>,
    /// Those of customers that have this tag now.
    #[param(min_length = 1, max_length = 60)]
    customer_tag: Option<String>,
}

/// Which two questions, and which responses.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct CrossTableQuery {
    /// The question whose answers make the rows: a choice, a scale, or yes and no.
    #[param(pattern = r"^[a-z][a-z0-9_]{0,39}$", example = "recommend")]
    row: String,
    /// The question whose answers make the columns.
    #[param(pattern = r"^[a-z][a-z0-9_]{0,39}$", example = "content")]
    column: String,
    /// Those to the questions that were asked at this version of the survey; at the present one unless told.
    #[param(minimum = 1, maximum = 2147483647)]
    version: Option<i32>,
    /// Completed on this day or later, in the organization's time zone.
    from: Option<NaiveDate>,
    /// Completed on this day or before.
    to: Option<NaiveDate>,
    /// Those that this operator asked for.
    operator_id: Option<OperatorId>,
    /// Those of customers that have this tag now.
    #[param(min_length = 1, max_length = 60)]
    customer_tag: Option<String>,
}

/// Which answers in words.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TextAnswersQuery {
    /// The question of kind `text`; the first of them unless told.
    #[param(pattern = r"^[a-z][a-z0-9_]{0,39}$", example = "why")]
    question: Option<String>,
    /// Those to the questions that were asked at this version of the survey; at the present one unless told.
    #[param(minimum = 1, maximum = 2147483647)]
    version: Option<i32>,
    /// Completed on this day or later, in the organization's time zone.
    from: Option<NaiveDate>,
    /// Completed on this day or before.
    to: Option<NaiveDate>,
    /// Those that this operator asked for.
    operator_id: Option<OperatorId>,
    /// Those of customers that have this tag now.
    #[param(min_length = 1, max_length = 60)]
    customer_tag: Option<String>,
}

/// What the complete responses to a version of a survey come to.
#[derive(Debug, Serialize, ToSchema)]
pub struct SurveyResults {
    survey_id: SurveyId,
    /// The version at which these questions were published.
    #[schema(minimum = 1, example = 1)]
    survey_version: i32,
    published_at: DateTime<Utc>,
    /// How many responses count.
    #[schema(minimum = 0, example = 40)]
    responses: i64,
    /// As they were asked at that version.
    #[schema(max_items = 100)]
    questions: Vec<QuestionResults>,
    /// What was published of the survey, newest first, with all complete responses to it.
    #[schema(max_items = 100)]
    versions: Vec<VersionResponses>,
}

/// A version of the questions, and how many have answered it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SurveyVersionResponses)]
pub struct VersionResponses {
    #[schema(minimum = 1, example = 1)]
    survey_version: i32,
    published_at: DateTime<Utc>,
    #[schema(minimum = 0, example = 40)]
    responses: i64,
}

/// What the answers to one question come to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SurveyQuestionResults)]
pub struct QuestionResults {
    #[schema(max_length = 40, example = "recommend")]
    key: String,
    kind: QuestionKind,
    #[schema(max_length = 1000, example = "How likely are you to recommend us?")]
    text: String,
    /// How many responses have an answer to it.
    #[schema(minimum = 0, example = 38)]
    answered: i64,
    /// Of a choice, a scale, yes and no: each answer that can be given.
    #[schema(max_items = 101)]
    options: Vec<OptionResults>,
    /// Of a scale or a number: the arithmetic mean, rounded half away from zero to 4 places.
    #[schema(example = "8.4211")]
    mean: Option<SurveyFigure>,
    /// The answer in the middle, or the mean of the two there, exactly.
    #[schema(example = "9.00")]
    median: Option<SurveyFigure>,
    /// Of these answers as all that there are (divided by n), rounded half up to 4 places.
    #[schema(example = "1.6533")]
    standard_deviation: Option<SurveyFigure>,
    #[schema(example = "3.00")]
    least: Option<SurveyFigure>,
    #[schema(example = "10.00")]
    greatest: Option<SurveyFigure>,
    /// Of a scale from 0 to 10: the net promoter score.
    net_promoters: Option<NetPromoters>,
    /// Of days: the first and the last one.
    earliest_on: Option<NaiveDate>,
    latest_on: Option<NaiveDate>,
}

/// How often an answer was given.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SurveyOptionResults)]
pub struct OptionResults {
    /// The answer: an option's key, `yes` or `no`, or the step of a scale.
    #[schema(max_length = 40, example = "9")]
    answer: String,
    #[schema(max_length = 240, example = "9")]
    text: String,
    #[schema(minimum = 0, example = 12)]
    count: i64,
    /// Of those who have answered the question, rounded half away from zero to 2 places. Of several choices they make more
    /// than a hundred.
    #[schema(example = "31.58")]
    share: Option<Share>,
}

/// Who would recommend: 9 and 10 are promoters, 7 and 8 passives, 0 to 6 detractors.
#[derive(Debug, Serialize, ToSchema)]
pub struct NetPromoters {
    #[schema(minimum = 0, example = 22)]
    promoters: u64,
    #[schema(minimum = 0, example = 12)]
    passives: u64,
    #[schema(minimum = 0, example = 4)]
    detractors: u64,
    /// The promoters of a hundred less the detractors of a hundred, rounded half away from zero to 2 places.
    #[schema(example = "47.37")]
    score: Option<SurveyFigure>,
}

/// How often the answers to two questions come together.
#[derive(Debug, Serialize, ToSchema)]
pub struct SurveyCrossTable {
    survey_id: SurveyId,
    #[schema(minimum = 1, example = 1)]
    survey_version: i32,
    rows: CrossedQuestion,
    columns: CrossedQuestion,
    /// Those that anybody has given.
    #[schema(max_items = 10201)]
    cells: Vec<CrossTableCell>,
}

/// A question with the answers that can be given.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SurveyCrossedQuestion)]
pub struct CrossedQuestion {
    #[schema(max_length = 40, example = "recommend")]
    key: String,
    #[schema(max_length = 1000, example = "How likely are you to recommend us?")]
    text: String,
    #[schema(max_items = 101)]
    answers: Vec<CrossedAnswer>,
}

/// An answer that can be given.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SurveyCrossedAnswer)]
pub struct CrossedAnswer {
    #[schema(max_length = 40, example = "9")]
    answer: String,
    #[schema(max_length = 240, example = "9")]
    text: String,
}

/// How many responses give these two answers.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SurveyCrossTableCell)]
pub struct CrossTableCell {
    #[schema(max_length = 40, example = "9")]
    row: String,
    #[schema(max_length = 40, example = "yes")]
    column: String,
    #[schema(minimum = 1, example = 11)]
    count: i64,
}

/// An answer in words.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SurveyTextAnswer)]
pub struct TextAnswerBody {
    response_id: SurveyResponseId,
    customer_id: Option<CustomerId>,
    completed_at: DateTime<Utc>,
    #[schema(max_length = 4000, example = "The invoices come late.")]
    text: String,
}

impl Tabular for TextAnswerBody {
    const NAME: &'static str = "survey-text-answers";
    const COLUMNS: &'static [Column] =
        &[Column::id("response_id"), Column::id("customer_id"), Column::moment("completed_at"), Column::text("text")];

    fn cells(self) -> Vec<Cell> {
        let Self { response_id, customer_id, completed_at, text } = self;
        vec![Cell::text(response_id), customer_id.map_or(Cell::Empty, Cell::text), completed_at.into(), text.into()]
    }
}

impl From<TextAnswer> for TextAnswerBody {
    fn from(row: TextAnswer) -> Self {
        let TextAnswer { response_id, customer_id, completed_at, text } = row;
        Self { response_id, customer_id, completed_at, text }
    }
}

impl Sorting for TextAnswerSort {
    const WORDS: &'static [(&'static str, Self)] = &[("completed_at", Self::CompletedAt)];
}

/// The version that is asked about, and the responses to it that count.
fn counted(tx: &mut Tx<'_>, survey_id: SurveyId, query: &CountedQuery) -> Result<(SurveyVersion, Counted), ApiError> {
    let survey = surveys::find(tx, survey_id)?;
    let Some(published_version) = survey.published_version else {
        return Err(ApiError::state_invalid("draft", "The survey has not been opened yet"));
    };
    let version = surveys::version_at(tx, survey_id, query.version.unwrap_or(published_version))?;
    let zone = organizations::find(tx)?.time_zone();
    let counted = Counted {
        survey_id,
        survey_version: version.version,
        from: query.from.map(|day| day_bounds(day, zone).0),
        before: query.to.map(|day| day_bounds(day, zone).1),
        operator_id: query.operator_id,
        customer_tag: query.customer_tag.clone(),
    };
    Ok((version, counted))
}

/// Every answer that can be given to a question, with its text; none where they are not of a list.
fn answers_of(question: &Question) -> Vec<(String, String)> {
    match question.kind {
        QuestionKind::SingleChoice | QuestionKind::MultipleChoice => {
            question.options.iter().map(|option| (option.key.clone(), option.text.clone())).collect()
        }
        QuestionKind::YesNo => [YES, NO].map(|word| (word.to_owned(), word.to_owned())).to_vec(),
        QuestionKind::Scale => {
            let text = |scale: &Scale, step: i16| {
                let end = if step == scale.from {
                    scale.from_text.as_deref()
                } else if step == scale.to {
                    scale.to_text.as_deref()
                } else {
                    None
                };
                end.map_or_else(|| step.to_string(), |end| format!("{step}: {end}"))
            };
            let steps =
                |scale: &Scale| scale.steps().map(|step| (step.to_string(), text(scale, step))).collect::<Vec<_>>();
            question.scale.as_ref().map(steps).unwrap_or_default()
        }
        QuestionKind::Number | QuestionKind::Text | QuestionKind::Date => Vec::new(),
    }
}

/// What is known of a question while its answers are counted.
struct Tally {
    answered: i64,
    /// By the answer.
    counts: BTreeMap<String, i64>,
    numbers: Option<NumberTally>,
    promoters: Promoters,
    days: (Option<NaiveDate>, Option<NaiveDate>),
}

impl Tally {
    fn new() -> Self {
        Self {
            answered: 0,
            counts: BTreeMap::new(),
            numbers: None,
            promoters: Promoters::default(),
            days: (None, None),
        }
    }

    fn add(&mut self, question: &Question, row: AnswerCount) {
        let AnswerCount { place: _, word, number, count } = row;
        let many = u64::try_from(count).unwrap_or_default();
        match (word, number) {
            (None, None) => {
                self.answered = count;
                self.numbers = Some(NumberTally::new(many));
            }
            (_, Some(number)) => {
                if let Some(numbers) = &mut self.numbers {
                    numbers.add(number, many);
                }
                if question.kind == QuestionKind::Scale {
                    self.promoters.add(number.to_string().parse().unwrap_or_default(), many);
                    self.counts.insert(number.to_string(), count);
                }
            }
            (Some(word), None) if question.kind == QuestionKind::Date => {
                let day = word.parse().ok();
                self.days = (self.days.0.or(day), day.or(self.days.1));
            }
            (Some(word), None) => _ = self.counts.insert(word, count),
        }
    }

    fn results(self, question: Question) -> QuestionResults {
        let answered = u64::try_from(self.answered).unwrap_or_default();
        let options = answers_of(&question).into_iter().map(|(answer, text)| {
            let count = self.counts.get(&answer).copied().unwrap_or_default();
            OptionResults { answer, text, count, share: share(u64::try_from(count).unwrap_or_default(), answered) }
        });
        let options = options.collect();
        let has_numbers = matches!(question.kind, QuestionKind::Scale | QuestionKind::Number);
        let numbers = self.numbers.filter(|_| has_numbers);
        let is_of_promoters = question.scale.as_ref().is_some_and(Scale::is_of_promoters);
        let Promoters { promoters, passives, detractors } = self.promoters;
        let score = self.promoters.score();
        QuestionResults {
            key: question.key,
            kind: question.kind,
            text: question.text,
            answered: self.answered,
            options,
            mean: numbers.as_ref().and_then(NumberTally::mean),
            median: numbers.as_ref().and_then(NumberTally::median),
            standard_deviation: numbers.as_ref().and_then(NumberTally::standard_deviation),
            least: numbers.as_ref().and_then(NumberTally::least),
            greatest: numbers.as_ref().and_then(NumberTally::greatest),
            net_promoters: is_of_promoters.then_some(NetPromoters { promoters, passives, detractors, score }),
            earliest_on: self.days.0,
            latest_on: self.days.1,
        }
    }
}

fn results(tx: &mut Tx<'_>, survey_id: SurveyId, query: CountedQuery) -> Result<SurveyResults, ApiError> {
    let (version, counted) = counted(tx, survey_id, &query)?;
    let SurveyVersion { survey_id, version: survey_version, questions, published_at } = version;
    let mut tallies: Vec<Tally> = questions.0.iter().map(|_| Tally::new()).collect();
    survey_results::answers(tx, &counted, &questions.0, |row| {
        let place = usize::try_from(row.place).unwrap_or_default().wrapping_sub(1);
        if let (Some(tally), Some(question)) = (tallies.get_mut(place), questions.0.get(place)) {
            tally.add(question, row);
        }
    })?;
    let by_version: BTreeMap<i32, i64> = survey_results::by_version(tx, survey_id)?.into_iter().collect();
    let versions = surveys::versions(tx, survey_id, VERSIONS_TOLD)?.into_iter().map(|version| VersionResponses {
        survey_version: version.version,
        published_at: version.published_at,
        responses: by_version.get(&version.version).copied().unwrap_or_default(),
    });
    Ok(SurveyResults {
        survey_id,
        survey_version,
        published_at,
        responses: survey_results::responses(tx, &counted)?,
        questions: questions.0.into_iter().zip(tallies).map(|(question, tally)| tally.results(question)).collect(),
        versions: versions.collect(),
    })
}

/// Show the results of a survey.
///
/// Of the complete responses to one version of it: its questions as they were worded then, how many have answered each,
/// counts and shares of the answers, mean, median and deviation of numbers, the net promoter score of scales from 0 to 10.
/// As JSON, or as a table (CSV or XLSX, by `Accept` or `format`): a row for each answer that can be given, and one for a
/// question that has none such.
#[utoipa::path(tag = "Surveys", security(("sign_in" = ["crm:read"])),
    extensions(("x-state-bound" = json!(true))), params(ResultsQuery, Format),
    responses((status = 200, content((SurveyResults = "application/json"), (String = "text/csv"),
        (Spreadsheet = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet")))))]
#[get("/surveys/{id}/results")]
async fn get_survey_results(
    state: web::Data<State>,
    actor: Actor,
    id: Id<SurveyId>,
    format: Format,
    query: Filters<ResultsQuery>,
) -> Result<HttpResponse, ApiError> {
    let scope = actor.scope(Permission::CrmRead)?;
    let ResultsQuery { version, from, to, operator_id, customer_tag } = query.0;
    let query = CountedQuery { version, from, to, operator_id, customer_tag };
    let results = state.snapshot(scope, move |tx| results(tx, id.0, query)).await?;
    match format {
        Format::Json => Ok(Reply::ok(&results).into_response()),
        Format::Table(format) => {
            let version = results.survey_version;
            let rows = results.questions.into_iter().flat_map(|question| rows(version, question));
            tables::table(format, "survey-results", &COLUMNS, rows)
        }
    }
}

const COLUMNS: [Column; 17] = [
    Column::count("survey_version"),
    Column::word("question"),
    Column::word("kind"),
    Column::text("text"),
    Column::count("answered"),
    Column::decimal("mean"),
    Column::decimal("median"),
    Column::decimal("standard_deviation"),
    Column::decimal("least"),
    Column::decimal("greatest"),
    Column::decimal("net_promoter_score"),
    Column::day("earliest_on"),
    Column::day("latest_on"),
    Column::word("answer"),
    Column::text("answer_text"),
    Column::count("count"),
    Column::decimal("share"),
];

/// A row for each answer that can be given, or one where there are none such.
fn rows(survey_version: i32, question: QuestionResults) -> Vec<Vec<Cell>> {
    let of_question = [
        survey_version.into(),
        question.key.into(),
        Cell::text(question.kind),
        question.text.into(),
        question.answered.into(),
        question.mean.into(),
        question.median.into(),
        question.standard_deviation.into(),
        question.least.into(),
        question.greatest.into(),
        question.net_promoters.and_then(|promoters| promoters.score).into(),
        question.earliest_on.into(),
        question.latest_on.into(),
    ];
    let none = question.options.is_empty().then_some([Cell::Empty, Cell::Empty, Cell::Empty, Cell::Empty]);
    let answers = question.options.into_iter().map(|option| {
        let OptionResults { answer, text, count, share } = option;
        [answer.into(), text.into(), count.into(), share.into()]
    });
    answers.chain(none).map(|answer| of_question.iter().cloned().chain(answer).collect()).collect()
}

/// Cross two questions of a survey.
///
/// How many complete responses give each answer to the one together with each answer to the other. As JSON, or as a table
/// (CSV or XLSX, by `Accept` or `format`): a row for each two answers that anybody has given together.
#[utoipa::path(tag = "Surveys", security(("sign_in" = ["crm:read"])),
    extensions(("x-state-bound" = json!(true))), params(CrossTableQuery, Format),
    responses((status = 200, content((SurveyCrossTable = "application/json"), (String = "text/csv"),
        (Spreadsheet = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet")))))]
#[get("/surveys/{id}/cross-table")]
async fn get_survey_cross_table(
    state: web::Data<State>,
    actor: Actor,
    id: Id<SurveyId>,
    format: Format,
    query: Filters<CrossTableQuery>,
) -> Result<HttpResponse, ApiError> {
    let scope = actor.scope(Permission::CrmRead)?;
    let CrossTableQuery { row, column, version, from, to, operator_id, customer_tag } = query.0;
    let query = CountedQuery { version, from, to, operator_id, customer_tag };
    let crossed = state
        .snapshot(scope, move |tx| -> Result<SurveyCrossTable, ApiError> {
            let (version, counted) = counted(tx, id.0, &query)?;
            let crossed = |name: &str, key: &str| {
                let question = version.questions.0.iter().find(|question| question.key == *key);
                let Some(question) = question else {
                    return Err(Wrong::parameter(name, "unknown_question", "The survey has no such question"));
                };
                let answers = answers_of(question);
                if answers.is_empty() {
                    return Err(Wrong::parameter(name, "kind", "Its answers are not of a list"));
                }
                let answers = answers.into_iter().map(|(answer, text)| CrossedAnswer { answer, text }).collect();
                Ok(CrossedQuestion { key: question.key.clone(), text: question.text.clone(), answers })
            };
            let (rows, columns) = match (crossed("row", &row), crossed("column", &column)) {
                (Ok(rows), Ok(columns)) => (rows, columns),
                (rows, columns) => {
                    return Err(ApiError::invalid_parameters(
                        [rows.err(), columns.err()].into_iter().flatten().collect(),
                    ));
                }
            };
            let cells = survey_results::pairs(tx, &counted, &row, &column, CELLS_MAX)?;
            let cells = cells.into_iter().map(|cell| CrossTableCell {
                row: cell.row_word,
                column: cell.column_word,
                count: cell.count,
            });
            let cells = cells.collect();
            Ok(SurveyCrossTable { survey_id: id.0, survey_version: version.version, rows, columns, cells })
        })
        .await?;
    match format {
        Format::Json => Ok(Reply::ok(&crossed).into_response()),
        Format::Table(format) => {
            tables::table(format, "survey-cross-table", &CROSS_TABLE_COLUMNS, cross_table_rows(crossed))
        }
    }
}

const CROSS_TABLE_COLUMNS: [Column; 5] = [
    Column::word("row"),
    Column::text("row_text"),
    Column::word("column"),
    Column::text("column_text"),
    Column::count("count"),
];

fn cross_table_rows(crossed: SurveyCrossTable) -> impl Iterator<Item = Vec<Cell>> {
    let texts = |question: CrossedQuestion| -> BTreeMap<String, String> {
        question.answers.into_iter().map(|CrossedAnswer { answer, text }| (answer, text)).collect()
    };
    let (rows, columns) = (texts(crossed.rows), texts(crossed.columns));
    let text =
        |texts: &BTreeMap<String, String>, answer: &str| texts.get(answer).cloned().map_or(Cell::Empty, Cell::from);
    crossed.cells.into_iter().map(move |CrossTableCell { row, column, count }| {
        let (row_text, column_text) = (text(&rows, &row), text(&columns, &column));
        vec![row.into(), row_text, column.into(), column_text, count.into()]
    })
}

/// List the answers in words to a question.
///
/// Of the complete responses to a version of the survey, the latest first. Pages of JSON, or all in a table (CSV or XLSX, by
/// `Accept` or `format`).
#[utoipa::path(tag = "Surveys", security(("sign_in" = ["crm:read"])), extensions(("x-state-bound" = json!(true))),
    params(TextAnswersQuery, Listing<TextAnswerSort>, Format),
    responses((status = 200, content((PageBody<TextAnswerBody> = "application/json"), (String = "text/csv"),
        (Spreadsheet = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet")))))]
#[get("/surveys/{id}/text-answers")]
async fn list_survey_text_answers(
    state: web::Data<State>,
    actor: Actor,
    id: Id<SurveyId>,
    query: Filters<TextAnswersQuery>,
    format: Format,
    listing: Listing<TextAnswerSort>,
    shape: Shape,
) -> Result<HttpResponse, ApiError> {
    let scope = actor.scope(Permission::CrmRead)?;
    let TextAnswersQuery { question, version, from, to, operator_id, customer_tag } = query.0;
    let query = CountedQuery { version, from, to, operator_id, customer_tag };
    tables::list(state, scope, format, listing, shape, move |tx, page| {
        let (version, counted) = counted(tx, id.0, &query)?;
        let is_it = |asked: &&Question| {
            asked.kind == QuestionKind::Text && question.as_ref().is_none_or(|key| asked.key == *key)
        };
        let Some(question) = version.questions.0.iter().find(is_it) else {
            let detail = "The survey has no such question that is answered in words";
            return Err(ApiError::invalid_parameters(vec![Wrong::parameter("question", "unknown_question", detail)]));
        };
        let Page { items, next, total } = survey_results::texts(tx, &counted, &question.key, page)?;
        Ok(Page { items: items.into_iter().map(TextAnswerBody::from).collect(), next, total })
    })
    .await
}
