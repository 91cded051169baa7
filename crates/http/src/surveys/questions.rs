//! Questions and answers as they are sent and shown.

use crate::problem::{ApiError, Wrong};
use crate::values::capitalised;
use opiekun_domain::survey::{
    AnswerProblem, AnswerValue, Answers, Choice, Condition, Form, Question, QuestionKind, Scale, SurveyProblem,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::borrow::Cow;
use std::collections::BTreeMap;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{
    AdditionalProperties, ArrayBuilder, ObjectBuilder, OneOfBuilder, Ref, Schema, SchemaType, Type,
};
use utoipa::{PartialSchema, ToSchema};
use validator::Validate;

const KEY: &str = r"^[a-z][a-z0-9_]{0,39}$";

/// A question of a survey.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[schema(as = SurveyQuestion, example = json!({
    "key": "recommend", "kind": "scale", "text": "How likely are you to recommend us?", "options": [],
    "scale": { "from": 0, "to": 10, "from_text": "not at all", "to_text": "very" }, "required": true, "shown_if": null,
}))]
#[serde(deny_unknown_fields)]
pub struct QuestionBody {
    /// Your name for it, by which answers and conditions name it.
    #[schema(pattern = r"^[a-z][a-z0-9_]{0,39}$")]
    pub key: String,
    /// What answers it: an option's key (`single_choice`), a list of them (`multiple_choice`), a whole number (`scale`), a
    /// decimal number as text (`number`), a text, a day, or `yes` or `no` (`yes_no`).
    pub kind: QuestionKind,
    #[schema(min_length = 1, max_length = 1000)]
    pub text: String,
    /// Of a choice, which requires them.
    #[schema(max_items = 100)]
    #[serde(default)]
    #[validate(nested)]
    pub options: Vec<ChoiceBody>,
    /// Of a scale; from 0 to 10 unless told.
    #[serde(default)]
    pub scale: Option<ScaleBody>,
    /// Whether a response is complete only with an answer to it, where it is shown.
    #[serde(default)]
    pub required: bool,
    /// It is shown only where this holds of the answers to earlier questions; always unless told. A condition that no
    /// answers fulfil is refused, with the question named that would never be asked.
    #[serde(default)]
    pub shown_if: Option<ConditionBody>,
}

/// What can be chosen.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[schema(as = SurveyOption)]
#[serde(deny_unknown_fields)]
pub struct ChoiceBody {
    #[schema(pattern = r"^[a-z][a-z0-9_]{0,39}$", example = "phone")]
    pub key: String,
    #[schema(min_length = 1, max_length = 240, example = "By phone")]
    pub text: String,
}

/// Whole numbers from one to another.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = SurveyScale)]
#[serde(deny_unknown_fields)]
pub struct ScaleBody {
    #[schema(minimum = 0, maximum = 100, example = 0)]
    pub from: i16,
    #[schema(minimum = 0, maximum = 100, example = 10)]
    pub to: i16,
    /// What the lower end means.
    #[schema(min_length = 1, max_length = 120, example = "not at all")]
    #[serde(default)]
    pub from_text: Option<String>,
    #[schema(min_length = 1, max_length = 120, example = "very")]
    #[serde(default)]
    pub to_text: Option<String>,
}

/// A condition of answers to earlier questions.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ConditionBody(pub Condition);

impl PartialSchema for ConditionBody {
    fn schema() -> RefOr<Schema> {
        let itself = || Ref::from_schema_name(Self::name());
        let key = || text().pattern(Some(KEY));
        let form = || {
            ObjectBuilder::new()
                .schema_type(SchemaType::Type(Type::Object))
                .additional_properties(Some(AdditionalProperties::FreeForm(false)))
        };
        let joint = |word: &str| {
            let parts = ArrayBuilder::new().items(itself()).min_items(Some(1)).max_items(Some(50));
            form().property(word, parts).required(word)
        };
        let test = |word: &str, value: RefOr<Schema>| {
            form().property("question", key()).property(word, value).required("question").required(word)
        };
        let point = || {
            let whole =
                ObjectBuilder::new().schema_type(SchemaType::Type(Type::Integer)).minimum(Some(0)).maximum(Some(100));
            let word = text().min_length(Some(1)).max_length(Some(40));
            RefOr::T(Schema::OneOf(OneOfBuilder::new().item(whole).item(word).build()))
        };
        let answered = ObjectBuilder::new().schema_type(SchemaType::Type(Type::Boolean)).build();
        let description = "When a question is shown: tests of the answers to earlier questions, joined by `all`, `any` and \
            `not`. `is`: a choice, `yes` or `no`, a number, a day is this one; `includes`: this option is among several; \
            `at_least`, `at_most`: of a scale, a number or a day; `answered`: there is an answer, or there is none. A test \
            of a question without an answer does not hold.";
        let union = OneOfBuilder::new()
            .item(joint("all"))
            .item(joint("any"))
            .item(form().property("not", itself()).required("not"))
            .item(test("is", point()))
            .item(test("includes", key().into()))
            .item(test("at_least", point()))
            .item(test("at_most", point()))
            .item(test("answered", RefOr::T(Schema::Object(answered))))
            .description(Some(description))
            .examples([json!({ "all": [{ "question": "content", "is": "no" }] })]);
        RefOr::T(Schema::OneOf(union.build()))
    }
}

impl ToSchema for ConditionBody {
    fn name() -> Cow<'static, str> {
        "SurveyCondition".into()
    }
}

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(SchemaType::Type(Type::String))
}

/// Answers by the keys of their questions. Null is none.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AnswersBody(BTreeMap<String, Option<AnswerValue>>);

impl PartialSchema for AnswersBody {
    fn schema() -> RefOr<Schema> {
        let none = ObjectBuilder::new().schema_type(SchemaType::Type(Type::Null));
        let whole =
            ObjectBuilder::new().schema_type(SchemaType::Type(Type::Integer)).minimum(Some(0)).maximum(Some(100));
        let word = text().min_length(Some(1)).max_length(Some(4000));
        let words = ArrayBuilder::new().items(text().pattern(Some(KEY))).max_items(Some(100));
        let answer = OneOfBuilder::new().item(word).item(whole).item(words).item(none).build();
        let description = "Answers by the keys of their questions: an option's key, a list of them, a whole number of a \
            scale, a decimal number as text, a text, a day, `yes` or `no`. Null is no answer.";
        let answers = ObjectBuilder::new()
            .schema_type(SchemaType::Type(Type::Object))
            .additional_properties(Some(AdditionalProperties::RefOr(RefOr::T(Schema::OneOf(answer)))))
            .max_properties(Some(100))
            .description(Some(description))
            .examples([json!({ "recommend": 9, "content": "yes" })]);
        RefOr::T(Schema::Object(answers.build()))
    }
}

impl ToSchema for AnswersBody {
    fn name() -> Cow<'static, str> {
        "SurveyAnswers".into()
    }
}

impl From<Answers> for AnswersBody {
    fn from(answers: Answers) -> Self {
        Self(answers.into_iter().map(|(key, answer)| (key, Some(answer))).collect())
    }
}

impl From<AnswersBody> for Answers {
    fn from(body: AnswersBody) -> Self {
        body.0.into_iter().filter_map(|(key, answer)| Some((key, answer?))).collect()
    }
}

impl From<Question> for QuestionBody {
    fn from(question: Question) -> Self {
        let Question { key, kind, text, options, scale, required, shown_if } = question;
        Self {
            key,
            kind,
            text,
            options: options.into_iter().map(ChoiceBody::from).collect(),
            scale: scale.map(|Scale { from, to, from_text, to_text }| ScaleBody { from, to, from_text, to_text }),
            required,
            shown_if: shown_if.map(ConditionBody),
        }
    }
}

impl From<QuestionBody> for Question {
    fn from(body: QuestionBody) -> Self {
        let QuestionBody { key, kind, text, options, scale, required, shown_if } = body;
        let usual =
            (kind == QuestionKind::Scale).then_some(ScaleBody { from: 0, to: 10, from_text: None, to_text: None });
        Self {
            key,
            kind,
            text,
            options: options.into_iter().map(|ChoiceBody { key, text }| Choice { key, text }).collect(),
            scale: scale.or(usual).map(|ScaleBody { from, to, from_text, to_text }| Scale {
                from,
                to,
                from_text,
                to_text,
            }),
            required,
            shown_if: shown_if.map(|condition| condition.0),
        }
    }
}

impl From<Choice> for ChoiceBody {
    fn from(choice: Choice) -> Self {
        let Choice { key, text } = choice;
        Self { key, text }
    }
}

/// Questions that hold together, at `/questions`.
pub(super) fn checked(bodies: Vec<QuestionBody>) -> Result<Vec<Question>, ApiError> {
    let questions: Vec<Question> = bodies.into_iter().map(Question::from).collect();
    let problems = match Form::new(&questions) {
        Ok(form) => form.unreachable(),
        Err(problems) => problems,
    };
    if problems.is_empty() { Ok(questions) } else { Err(refused(problems)) }
}

fn refused(problems: Vec<SurveyProblem>) -> ApiError {
    let wrong = problems.into_iter().map(|SurveyProblem { pointer, fault }| {
        Wrong::field(format!("/questions{pointer}"), fault.code(), capitalised(&fault.to_string()))
    });
    ApiError::invalid(wrong.collect())
}

/// The answers as they are kept, or what is wrong with them, at `/answers`.
pub(super) fn settled(
    questions: &[Question],
    answers: &Answers,
    sent: impl Fn(&str) -> bool,
    complete: bool,
) -> Result<Answers, ApiError> {
    let form =
        Form::new(questions).map_err(|_| ApiError::internal("a published survey that does not hold together"))?;
    form.settle(answers, sent, complete).map_err(|problems| {
        let wrong = problems.into_iter().map(|AnswerProblem { key, fault }| {
            Wrong::field(format!("/answers/{}", escaped(&key)), fault.code(), capitalised(&fault.to_string()))
        });
        ApiError::invalid(wrong.collect())
    })
}

/// A key within a JSON Pointer (RFC 6901). One that is far too long to be a question's is told in part.
fn escaped(key: &str) -> String {
    key.chars().take(60).collect::<String>().replace('~', "~0").replace('/', "~1")
}
