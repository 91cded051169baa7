//! Surveys: questions, after which answers each of them is asked, and what is a valid answer.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use chrono::{Datelike, NaiveDate};
use serde::{Deserialize, Serialize};

use crate::decimal::SurveyNumber;

vocabulary! {
    /// `draft`: its questions are still being written; `open`: it can be answered; `closed`: not any more.
    SurveyStatus { Draft = "draft", Open = "open", Closed = "closed" }
}

vocabulary! {
    /// What an answer is: the key of an option, several keys, a whole number of a scale, a decimal number, a text, a day, or
    /// `yes` or `no`.
    QuestionKind {
        SingleChoice = "single_choice",
        MultipleChoice = "multiple_choice",
        Scale = "scale",
        Number = "number",
        Text = "text",
        Date = "date",
        YesNo = "yes_no",
    }
}

/// The words that answer a question of kind `yes_no`.
pub const YES: &str = "yes";
pub const NO: &str = "no";

/// How long an answer in words may be.
pub const ANSWER_LENGTH_MAX: usize = 4000;
/// How many tests and joints the condition of one question may have.
pub const CONDITION_SIZE_MAX: usize = 100;
/// How many combinations of answers are tried to find one after which a question is asked.
const TRIALS_MAX: u32 = 50_000;

impl SurveyStatus {
    /// A survey is opened once its questions are written, and closed and opened again as one likes. What has been open is
    /// no draft any more.
    pub fn change_to(self, to: Self) -> Result<Self, IllegalStatus> {
        match (self, to) {
            (Self::Draft, Self::Draft | Self::Open) | (Self::Open | Self::Closed, Self::Open | Self::Closed) => Ok(to),
            (Self::Draft, Self::Closed) | (Self::Open | Self::Closed, Self::Draft) => Err(IllegalStatus { from: self }),
        }
    }
}

/// A survey does not go from there to where it was to go.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a survey that is {from} cannot become that")]
pub struct IllegalStatus {
    pub from: SurveyStatus,
}

/// One question of a survey.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// Names its answers, and it in the conditions of later questions.
    pub key: String,
    pub kind: QuestionKind,
    pub text: String,
    /// Of the choices.
    pub options: Vec<Choice>,
    /// Of a scale.
    pub scale: Option<Scale>,
    /// Whether a response is complete only with an answer to it, where it is shown.
    pub required: bool,
    /// It is shown only where this holds.
    pub shown_if: Option<Condition>,
}

/// What can be chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    pub key: String,
    pub text: String,
}

/// Whole numbers from one to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scale {
    pub from: i16,
    pub to: i16,
    pub from_text: Option<String>,
    pub to_text: Option<String>,
}

impl Scale {
    pub const FROM_MIN: i16 = 0;
    pub const TO_MAX: i16 = 100;

    /// Where "how likely are you to recommend us" is asked: the scale that a net promoter score is counted on.
    pub const fn is_of_promoters(&self) -> bool {
        self.from == 0 && self.to == 10
    }

    pub fn steps(&self) -> impl Iterator<Item = i16> + use<> {
        self.from..=self.to
    }
}

/// An answer as it stands in JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum AnswerValue {
    /// Of a scale.
    Whole(i64),
    /// An option's key, `yes` or `no`, a text, a day, a decimal number.
    Word(String),
    /// Options' keys.
    Words(Vec<String>),
}

/// By the keys of the questions.
pub type Answers = BTreeMap<String, AnswerValue>;

/// Says of earlier answers whether a question is shown. A test of a question that has no answer does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
    #[serde(untagged)]
    Test(Test),
}

/// A test of one answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Test {
    pub question: String,
    #[serde(flatten)]
    pub holds: Holds,
}

/// What an answer is held to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Holds {
    /// It is this: all kinds but multiple choice and text.
    Is(AnswerValue),
    /// This option is among those chosen.
    Includes(String),
    /// Of a scale, a number or a day.
    AtLeast(AnswerValue),
    AtMost(AnswerValue),
    Answered(bool),
}

/// What is wrong with the questions of a survey, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SurveyProblem {
    /// A JSON Pointer into the list of questions.
    pub pointer: String,
    pub fault: SurveyFault,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SurveyFault {
    #[error("another question has this key")]
    KeyRepeated,
    #[error("another option has this key")]
    OptionRepeated,
    #[error("a choice needs options")]
    OptionsRequired,
    #[error("only choices have options")]
    OptionsNotExpected,
    #[error("only a scale has one")]
    ScaleNotExpected,
    #[error("a scale rises, from 0 at least to 100 at most")]
    ScaleOrder,
    #[error("there is no such question")]
    UnknownQuestion,
    #[error("the question must come before the one that it decides about")]
    NotEarlier,
    #[error("answers to such a question cannot be tested like this")]
    TestNotExpected,
    #[error("the question has no such option")]
    UnknownOption,
    #[error("no answer to the question can be this")]
    NoSuchAnswer,
    #[error("the condition has more than {} parts", CONDITION_SIZE_MAX)]
    TooLarge,
    #[error("no answers lead to this question: it would never be asked")]
    NeverShown,
    #[error("the conditions are too entangled to tell whether the question can be asked")]
    TooEntangled,
}

impl SurveyFault {
    /// The stable name of it.
    pub const fn code(self) -> &'static str {
        match self {
            Self::KeyRepeated | Self::OptionRepeated => "duplicate",
            Self::OptionsRequired => "required",
            Self::OptionsNotExpected | Self::ScaleNotExpected => "not_expected",
            Self::ScaleOrder => "order",
            Self::UnknownQuestion => "unknown_question",
            Self::NotEarlier => "not_earlier",
            Self::TestNotExpected => "test_not_expected",
            Self::UnknownOption => "unknown_option",
            Self::NoSuchAnswer => "no_such_answer",
            Self::TooLarge => "too_large",
            Self::NeverShown => "never_shown",
            Self::TooEntangled => "too_entangled",
        }
    }
}

/// What is wrong with the answer to a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerProblem {
    /// The question's key, or the one that names none.
    pub key: String,
    pub fault: AnswerFault,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AnswerFault {
    #[error("the survey has no such question")]
    UnknownQuestion,
    #[error("an answer to such a question is of another type")]
    Kind,
    #[error("the question has no such option")]
    UnknownOption,
    #[error("an option is chosen once")]
    Repeated,
    #[error("lies beyond the scale")]
    OutOfScale,
    #[error("must be a decimal number as text, with at most 9 digits before the point and 4 after it")]
    NotANumber,
    #[error("must be a day, as 2026-11-23")]
    NotADay,
    #[error("must say something")]
    Empty,
    #[error("is longer than {} characters", ANSWER_LENGTH_MAX)]
    TooLong,
    #[error("the question is not asked after the other answers")]
    NotShown,
    #[error("an answer is needed")]
    Required,
}

impl AnswerFault {
    pub const fn code(self) -> &'static str {
        match self {
            Self::UnknownQuestion => "unknown_question",
            Self::Kind => "type",
            Self::UnknownOption => "unknown_option",
            Self::Repeated => "duplicate",
            Self::OutOfScale => "out_of_scale",
            Self::NotANumber => "not_a_number",
            Self::NotADay => "not_a_day",
            Self::Empty => "empty",
            Self::TooLong => "too_long",
            Self::NotShown => "not_shown",
            Self::Required => "required",
        }
    }
}

/// An answer that is one of its question's.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Meaning {
    /// A step of a scale, a number in units of its last place, a day: what has an order.
    Point(i64),
    /// An option, `yes`, `no`.
    Word(String),
    Words(BTreeSet<String>),
    Text,
}

/// A condition whose tests are known to fit their questions, which it names by their place.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Formula {
    Constant(bool),
    All(Vec<Formula>),
    Any(Vec<Formula>),
    Not(Box<Formula>),
    Atom(usize, Atom),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Atom {
    Answered,
    Is(Meaning),
    Includes(String),
    AtLeast(i64),
    AtMost(i64),
}

impl Atom {
    fn holds(&self, answer: Option<&Meaning>) -> bool {
        match (self, answer) {
            (_, None) => false,
            (Self::Answered, Some(_)) => true,
            (Self::Is(wanted), Some(answer)) => wanted == answer,
            (Self::Includes(option), Some(Meaning::Words(chosen))) => chosen.contains(option),
            (Self::AtLeast(bound), Some(Meaning::Point(point))) => point >= bound,
            (Self::AtMost(bound), Some(Meaning::Point(point))) => point <= bound,
            (Self::Includes(_) | Self::AtLeast(_) | Self::AtMost(_), Some(_)) => false,
        }
    }
}

impl Formula {
    fn negated(self) -> Self {
        match self {
            Self::Constant(it) => Self::Constant(!it),
            Self::Not(inner) => *inner,
            other => Self::Not(Box::new(other)),
        }
    }

    /// What is left of it once the answer to a question is known, or that there is none.
    fn given(&self, question: usize, answer: Option<&Meaning>) -> Self {
        match self {
            Self::Constant(it) => Self::Constant(*it),
            Self::Atom(of, atom) if *of == question => Self::Constant(atom.holds(answer)),
            Self::Atom(..) => self.clone(),
            Self::Not(inner) => inner.given(question, answer).negated(),
            Self::All(parts) => joined(parts.iter().map(|part| part.given(question, answer)), true),
            Self::Any(parts) => joined(parts.iter().map(|part| part.given(question, answer)), false),
        }
    }

    fn each_atom<'a>(&'a self, visit: &mut impl FnMut(usize, &'a Atom)) {
        match self {
            Self::Constant(_) => {}
            Self::Atom(question, atom) => visit(*question, atom),
            Self::Not(inner) => inner.each_atom(visit),
            Self::All(parts) | Self::Any(parts) => parts.iter().for_each(|part| part.each_atom(visit)),
        }
    }

    fn holds(&self, answers: &BTreeMap<usize, Meaning>) -> bool {
        match self {
            Self::Constant(it) => *it,
            Self::Atom(question, atom) => atom.holds(answers.get(question)),
            Self::Not(inner) => !inner.holds(answers),
            Self::All(parts) => parts.iter().all(|part| part.holds(answers)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(answers)),
        }
    }
}

/// All of the parts, or any of them, as short as it can be said. `neutral` is what a part is that says nothing: true
/// among all, false among any.
fn joined(parts: impl Iterator<Item = Formula>, neutral: bool) -> Formula {
    let mut kept = Vec::new();
    for part in parts {
        match part {
            Formula::Constant(it) if it == neutral => {}
            Formula::Constant(it) => return Formula::Constant(it),
            other => kept.push(other),
        }
    }
    match kept.len() {
        0 => Formula::Constant(neutral),
        1 => kept.remove(0),
        _ if neutral => Formula::All(kept),
        _ => Formula::Any(kept),
    }
}

/// The questions of a survey, held to the rules: what answers are checked by.
#[derive(Debug, Clone)]
pub struct Form<'a> {
    questions: &'a [Question],
    shown_if: Vec<Option<Formula>>,
}

impl<'a> Form<'a> {
    /// Reads questions; everything that is wrong with them otherwise. A condition names earlier questions only, so that
    /// none can lead in a circle.
    pub fn new(questions: &'a [Question]) -> Result<Self, Vec<SurveyProblem>> {
        let mut problems = Vec::new();
        let mut places: BTreeMap<&str, usize> = BTreeMap::new();
        let mut shown_if = Vec::with_capacity(questions.len());
        for (index, question) in questions.iter().enumerate() {
            let mut wrong = |pointer: String, fault| {
                problems.push(SurveyProblem { pointer: format!("/{index}{pointer}"), fault });
            };
            if places.contains_key(question.key.as_str()) {
                wrong("/key".to_owned(), SurveyFault::KeyRepeated);
            } else {
                places.insert(&question.key, index);
            }
            check_options(question, &mut wrong);
            shown_if.push(None);
            if let Some(condition) = &question.shown_if {
                if condition.size() > CONDITION_SIZE_MAX {
                    wrong("/shown_if".to_owned(), SurveyFault::TooLarge);
                    continue;
                }
                let reader = Reader { questions, index };
                shown_if[index] = reader.formula(condition, "/shown_if", &mut wrong);
            }
        }
        if problems.is_empty() { Ok(Self { questions, shown_if }) } else { Err(problems) }
    }

    /// Questions that are never asked, whatever is answered to the others: a survey with one is not what its author
    /// means.
    pub fn unreachable(&self) -> Vec<SurveyProblem> {
        let mut trials = TRIALS_MAX;
        let mut problems = Vec::new();
        for (index, condition) in self.shown_if.iter().enumerate() {
            let Some(condition) = condition else { continue };
            let fault = match self.can_hold(vec![condition.clone()], &mut trials) {
                Some(true) => continue,
                Some(false) => SurveyFault::NeverShown,
                None => SurveyFault::TooEntangled,
            };
            problems.push(SurveyProblem { pointer: format!("/{index}/shown_if"), fault });
        }
        problems
    }

    /// Whether the answers of some complete response make all of `parts` hold; `None` where finding out takes too long.
    ///
    /// The latest question that they speak of is given each answer that makes a difference to them, or none: an answer
    /// says that it is shown, and none, where one is required, that it is not. So its own condition takes its place, which
    /// speaks of earlier questions only.
    fn can_hold(&self, parts: Vec<Formula>, trials: &mut u32) -> Option<bool> {
        let whole = joined(parts.into_iter(), true);
        let mut latest = None;
        whole.each_atom(&mut |question, _| latest = latest.max(Some(question)));
        let Some(latest) = latest else { return Some(whole == Formula::Constant(true)) };
        let mut atoms = Vec::new();
        whole.each_atom(&mut |question, atom| {
            if question == latest && !atoms.contains(&atom) {
                atoms.push(atom);
            }
        });
        let question = &self.questions[latest];
        let shown = self.shown_if[latest].clone().unwrap_or(Formula::Constant(true));
        let unanswered = if question.required { shown.clone().negated() } else { Formula::Constant(true) };
        for answer in telling_answers(question, &atoms, *trials)?.into_iter().map(Some).chain([None]) {
            *trials = trials.checked_sub(1)?;
            let own = if answer.is_some() { shown.clone() } else { unanswered.clone() };
            if self.can_hold(vec![whole.given(latest, answer.as_ref()), own], trials)? {
                return Some(true);
            }
        }
        Some(false)
    }

    /// Answers as they are to be kept, or everything that is wrong with them. Where an answer that was not `sent` now is
    /// of a question that is not shown any more, it is left out; `complete` ones lack nothing that is required.
    pub fn settle(
        &self,
        answers: &Answers,
        sent: impl Fn(&str) -> bool,
        complete: bool,
    ) -> Result<Answers, Vec<AnswerProblem>> {
        let mut problems = Vec::new();
        let mut kept = Answers::new();
        let mut meanings = BTreeMap::new();
        for key in answers.keys().filter(|key| self.questions.iter().all(|question| question.key != **key)) {
            problems.push(AnswerProblem { key: key.clone(), fault: AnswerFault::UnknownQuestion });
        }
        for (index, question) in self.questions.iter().enumerate() {
            let shown = self.shown_if[index].as_ref().is_none_or(|condition| condition.holds(&meanings));
            let fault = match answers.get(&question.key) {
                None if complete && shown && question.required => Some(AnswerFault::Required),
                None => None,
                Some(_) if !shown => sent(&question.key).then_some(AnswerFault::NotShown),
                Some(answer) => match meaning(question, answer) {
                    Ok((meaning, answer)) => {
                        meanings.insert(index, meaning);
                        kept.insert(question.key.clone(), answer);
                        None
                    }
                    Err(fault) => Some(fault),
                },
            };
            problems.extend(fault.map(|fault| AnswerProblem { key: question.key.clone(), fault }));
        }
        if problems.is_empty() { Ok(kept) } else { Err(problems) }
    }
}

fn check_options(question: &Question, wrong: &mut impl FnMut(String, SurveyFault)) {
    let is_choice = matches!(question.kind, QuestionKind::SingleChoice | QuestionKind::MultipleChoice);
    if is_choice && question.options.is_empty() {
        wrong("/options".to_owned(), SurveyFault::OptionsRequired);
    }
    if !is_choice && !question.options.is_empty() {
        wrong("/options".to_owned(), SurveyFault::OptionsNotExpected);
    }
    for (place, option) in question.options.iter().enumerate() {
        if question.options.iter().take(place).any(|earlier| earlier.key == option.key) {
            wrong(format!("/options/{place}/key"), SurveyFault::OptionRepeated);
        }
    }
    match (&question.scale, question.kind) {
        (Some(scale), QuestionKind::Scale) => {
            if scale.from < Scale::FROM_MIN || scale.to > Scale::TO_MAX || scale.from >= scale.to {
                wrong("/scale".to_owned(), SurveyFault::ScaleOrder);
            }
        }
        (Some(_), _) => wrong("/scale".to_owned(), SurveyFault::ScaleNotExpected),
        (None, QuestionKind::Scale) => wrong("/scale".to_owned(), SurveyFault::ScaleOrder),
        (None, _) => {}
    }
}

impl Condition {
    /// How many tests and joints it has.
    fn size(&self) -> usize {
        match self {
            Self::All(parts) | Self::Any(parts) => 1 + parts.iter().map(Self::size).sum::<usize>(),
            Self::Not(inner) => 1 + inner.size(),
            Self::Test(_) => 1,
        }
    }
}

/// Reads the condition of the question at `index`.
struct Reader<'a> {
    questions: &'a [Question],
    index: usize,
}

impl Reader<'_> {
    fn formula(
        &self,
        condition: &Condition,
        pointer: &str,
        wrong: &mut impl FnMut(String, SurveyFault),
    ) -> Option<Formula> {
        let mut each = |parts: &[Condition], word: &str| {
            let read: Vec<_> = parts
                .iter()
                .enumerate()
                .map(|(place, part)| self.formula(part, &format!("{pointer}/{word}/{place}"), wrong))
                .collect();
            read.into_iter().collect::<Option<Vec<_>>>()
        };
        match condition {
            Condition::All(parts) => Some(joined(each(parts, "all")?.into_iter(), true)),
            Condition::Any(parts) => Some(joined(each(parts, "any")?.into_iter(), false)),
            Condition::Not(inner) => Some(self.formula(inner, &format!("{pointer}/not"), wrong)?.negated()),
            Condition::Test(test) => self.atom(test, pointer, wrong),
        }
    }

    fn atom(&self, test: &Test, pointer: &str, wrong: &mut impl FnMut(String, SurveyFault)) -> Option<Formula> {
        let Some(place) = self.questions.iter().position(|question| question.key == test.question) else {
            wrong(format!("{pointer}/question"), SurveyFault::UnknownQuestion);
            return None;
        };
        if place >= self.index {
            wrong(format!("{pointer}/question"), SurveyFault::NotEarlier);
            return None;
        }
        let question = &self.questions[place];
        let has_order = matches!(question.kind, QuestionKind::Scale | QuestionKind::Number | QuestionKind::Date);
        let is_word = matches!(question.kind, QuestionKind::SingleChoice | QuestionKind::YesNo);
        let mut refuse = |word: &str, fault| {
            wrong(format!("{pointer}/{word}"), fault);
            None
        };
        let bound = |value: &AnswerValue| match meaning(question, value) {
            Ok((Meaning::Point(point), _)) => Ok(point),
            Ok(_) => Err(SurveyFault::TestNotExpected),
            Err(fault) => Err(fault.of_test()),
        };
        let atom = match &test.holds {
            Holds::Answered(true) => Atom::Answered,
            Holds::Answered(false) => return Some(Formula::Atom(place, Atom::Answered).negated()),
            Holds::Is(value) if has_order || is_word => match meaning(question, value) {
                Ok((meaning, _)) => Atom::Is(meaning),
                Err(fault) => return refuse("is", fault.of_test()),
            },
            Holds::Is(_) => return refuse("is", SurveyFault::TestNotExpected),
            Holds::Includes(option) if question.kind == QuestionKind::MultipleChoice => {
                if question.options.iter().all(|known| known.key != *option) {
                    return refuse("includes", SurveyFault::UnknownOption);
                }
                Atom::Includes(option.clone())
            }
            Holds::Includes(_) => return refuse("includes", SurveyFault::TestNotExpected),
            Holds::AtLeast(value) if has_order => match bound(value) {
                Ok(bound) => Atom::AtLeast(bound),
                Err(fault) => return refuse("at_least", fault),
            },
            Holds::AtLeast(_) => return refuse("at_least", SurveyFault::TestNotExpected),
            Holds::AtMost(value) if has_order => match bound(value) {
                Ok(bound) => Atom::AtMost(bound),
                Err(fault) => return refuse("at_most", fault),
            },
            Holds::AtMost(_) => return refuse("at_most", SurveyFault::TestNotExpected),
        };
        Some(Formula::Atom(place, atom))
    }
}

impl AnswerFault {
    /// The same, where it is the value of a test that no answer can be.
    const fn of_test(self) -> SurveyFault {
        match self {
            Self::UnknownOption => SurveyFault::UnknownOption,
            _ => SurveyFault::NoSuchAnswer,
        }
    }
}

/// What an answer to a question says, and how it is kept.
fn meaning(question: &Question, answer: &AnswerValue) -> Result<(Meaning, AnswerValue), AnswerFault> {
    let known = |key: &str| match question.options.iter().any(|option| option.key == key) {
        true => Ok(()),
        false => Err(AnswerFault::UnknownOption),
    };
    let meaning = match (question.kind, answer) {
        (QuestionKind::SingleChoice, AnswerValue::Word(key)) => {
            known(key)?;
            Meaning::Word(key.clone())
        }
        (QuestionKind::YesNo, AnswerValue::Word(word)) => match word.as_str() {
            YES | NO => Meaning::Word(word.clone()),
            _ => return Err(AnswerFault::UnknownOption),
        },
        (QuestionKind::MultipleChoice, AnswerValue::Words(keys)) => {
            keys.iter().try_for_each(|key| known(key))?;
            let chosen: BTreeSet<String> = keys.iter().cloned().collect();
            if chosen.is_empty() {
                return Err(AnswerFault::Empty);
            }
            if chosen.len() < keys.len() {
                return Err(AnswerFault::Repeated);
            }
            Meaning::Words(chosen)
        }
        (QuestionKind::Scale, AnswerValue::Whole(step)) => {
            let on_scale = |scale: &Scale| (i64::from(scale.from)..=i64::from(scale.to)).contains(step);
            if !question.scale.as_ref().is_some_and(on_scale) {
                return Err(AnswerFault::OutOfScale);
            }
            Meaning::Point(*step)
        }
        (QuestionKind::Number, AnswerValue::Word(text)) => {
            let number = SurveyNumber::from_str(text).map_err(|_| AnswerFault::NotANumber)?;
            return Ok((Meaning::Point(number.units()), AnswerValue::Word(number.to_string())));
        }
        (QuestionKind::Date, AnswerValue::Word(text)) => {
            let day = text
                .parse::<NaiveDate>()
                .ok()
                .filter(|day| (1..=9999).contains(&day.year()) && day.to_string() == *text);
            Meaning::Point(day.ok_or(AnswerFault::NotADay)?.num_days_from_ce().into())
        }
        (QuestionKind::Text, AnswerValue::Word(text)) => {
            if text.trim().is_empty() {
                return Err(AnswerFault::Empty);
            }
            if text.chars().count() > ANSWER_LENGTH_MAX {
                return Err(AnswerFault::TooLong);
            }
            Meaning::Text
        }
        (
            QuestionKind::SingleChoice
            | QuestionKind::YesNo
            | QuestionKind::MultipleChoice
            | QuestionKind::Scale
            | QuestionKind::Number
            | QuestionKind::Date
            | QuestionKind::Text,
            _,
        ) => return Err(AnswerFault::Kind),
    };
    Ok((meaning, answer.clone()))
}

/// Answers of which one is like any other answer, as far as the `atoms` can tell; `None` where they are more than `most`.
fn telling_answers(question: &Question, atoms: &[&Atom], most: u32) -> Option<Vec<Meaning>> {
    match question.kind {
        QuestionKind::YesNo => Some([YES, NO].map(|word| Meaning::Word(word.to_owned())).to_vec()),
        QuestionKind::SingleChoice => {
            Some(question.options.iter().map(|option| Meaning::Word(option.key.clone())).collect())
        }
        QuestionKind::Text => Some(vec![Meaning::Text]),
        QuestionKind::Scale => {
            Some(question.scale.iter().flat_map(Scale::steps).map(|step| Meaning::Point(step.into())).collect())
        }
        QuestionKind::Number | QuestionKind::Date => {
            // Between the points that are named, all are alike.
            let (least, greatest) = match question.kind {
                QuestionKind::Number => SurveyNumber::BOUNDS,
                _ => (NaiveDate::MIN.num_days_from_ce().into(), NaiveDate::MAX.num_days_from_ce().into()),
            };
            let mut points = BTreeSet::from([least, greatest]);
            for atom in atoms {
                let point = match atom {
                    Atom::Is(Meaning::Point(point)) | Atom::AtLeast(point) | Atom::AtMost(point) => *point,
                    Atom::Answered | Atom::Includes(_) | Atom::Is(_) => continue,
                };
                points.extend([point - 1, point, point + 1].into_iter().filter(|it| (least..=greatest).contains(it)));
            }
            Some(points.into_iter().map(Meaning::Point).collect())
        }
        QuestionKind::MultipleChoice => {
            let is_named = |key: &str| atoms.iter().any(|atom| matches!(atom, Atom::Includes(named) if named == key));
            let (named, others): (Vec<_>, Vec<_>) =
                question.options.iter().map(|option| option.key.as_str()).partition(|key| is_named(key));
            let count = u32::try_from(named.len()).ok().and_then(|named| 1_u32.checked_shl(named))?;
            if count > most {
                return None;
            }
            let chosen = (0..count).map(|bits| {
                let of_named = named.iter().enumerate().filter(|(place, _)| bits & (1 << place) != 0);
                let mut keys: BTreeSet<String> = of_named.map(|(_, key)| (*key).to_owned()).collect();
                if keys.is_empty() {
                    keys.extend(others.first().map(|key| (*key).to_owned()));
                }
                keys
            });
            Some(chosen.filter(|keys| !keys.is_empty()).map(Meaning::Words).collect())
        }
    }
}

#[cfg(test)]
mod tests;
