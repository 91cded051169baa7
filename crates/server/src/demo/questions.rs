//! What customers are asked: a survey of their satisfaction, with the answers of half a year.

use super::dice::Dice;
use super::matter::MAREK;
use super::office::{Office, turn_to};
use crate::failure::Failure;
use chrono::Days;
use opiekun_domain::ids::SurveyId;
use opiekun_domain::survey::{
    AnswerValue, Answers, Choice, Condition, Form, Holds, Question, QuestionKind, Scale, SurveyStatus, Test,
};
use opiekun_persistence::survey_responses::{Asked, SurveyResponseFields};
use opiekun_persistence::surveys::SurveyFields;
use opiekun_persistence::{ActorRef, Json, Tx, survey_responses, surveys};

/// The minutes of a day at which the survey is made, and from which it is answered.
const MADE: i64 = 9 * 60;
const ANSWERED: i64 = 10 * 60;

const CONTACTS: [(&str, &str); 3] = [("phone", "Telefonicznie"), ("email", "E-mailem"), ("office", "W biurze")];

/// What is missed by those who would not recommend the office.
const MISSED: [&str; 5] = [
    "Długo czekam na odpowiedź na e-maile.",
    "Chciałbym dostawać raport kosztów co miesiąc.",
    "Faktura za księgowość przychodzi za późno.",
    "Trudno się dodzwonić przed 20. dniem miesiąca.",
    "Brakuje mi przypomnienia o terminach.",
];

/// Makes the survey and the answers; tells which it is.
pub fn create(tx: &mut Tx<'_>, dice: &mut Dice, office: &Office<'_>) -> Result<SurveyId, Failure> {
    turn_to(tx, office.at(office.year.month(6), MADE), office.team[MAREK]);
    let questions = questions();
    Form::new(&questions).map_err(|_| Failure::new("the demo's survey does not hold together"))?;
    let survey = surveys::create(
        tx,
        SurveyFields {
            title: "Jak nam się współpracuje?".to_owned(),
            description: Some("Cztery krótkie pytania o nasze biuro.".to_owned()),
            status: SurveyStatus::Open,
            questions: Json(questions),
        },
    )?;
    for month in 6..12 {
        for customer in office.customers {
            // Each is asked every month, and every fourth answers.
            if !dice.percent(25) {
                continue;
            }
            let day = office.year.month(month) + Days::new(u64::try_from(dice.below(26)).unwrap_or_default());
            let at = office.at(day, ANSWERED + i64::try_from(dice.below(420)).unwrap_or_default());
            if day >= office.year.today {
                continue;
            }
            turn_to(tx, at, customer.caretaker_id);
            // At the address that was sent, without an operator.
            tx.scope.actor = ActorRef::System;
            let asked = Asked {
                survey_id: survey.id,
                survey_version: 1,
                link_id: None,
                registered_by_id: Some(customer.caretaker_id),
            };
            let fields = SurveyResponseFields {
                customer_id: Some(customer.id),
                person_id: customer.people.first().copied(),
                operator_id: None,
                interaction_id: None,
                task_id: None,
                answers: Json(answers(dice)),
            };
            survey_responses::create(tx, asked, fields, true)?;
        }
    }
    Ok(survey.id)
}

fn questions() -> Vec<Question> {
    let question = |key: &str, kind, text: &str| Question {
        key: key.to_owned(),
        kind,
        text: text.to_owned(),
        options: Vec::new(),
        scale: None,
        required: true,
        shown_if: None,
    };
    let options = CONTACTS.iter().map(|(key, text)| Choice { key: (*key).to_owned(), text: (*text).to_owned() });
    let is_low = Test { question: "recommend".to_owned(), holds: Holds::AtMost(AnswerValue::Whole(6)) };
    vec![
        Question {
            scale: Some(Scale {
                from: 0,
                to: 10,
                from_text: Some("na pewno nie".to_owned()),
                to_text: Some("na pewno tak".to_owned()),
            }),
            ..question("recommend", QuestionKind::Scale, "Czy poleciliby nas Państwo znajomym?")
        },
        Question {
            required: true,
            shown_if: Some(Condition::Test(is_low)),
            ..question("missed", QuestionKind::Text, "Czego Państwu brakuje?")
        },
        Question {
            options: options.collect(),
            ..question("contact", QuestionKind::SingleChoice, "Jak najchętniej się kontaktujemy?")
        },
        Question { required: false, ..question("in_time", QuestionKind::YesNo, "Czy odpowiadamy na czas?") },
    ]
}

/// Most are content; one in six would not recommend the office and says why.
fn answers(dice: &mut Dice) -> Answers {
    let steps: &[i64] = if dice.percent(16) { &[2, 4, 5, 6] } else { &[7, 8, 8, 9, 9, 9, 10, 10] };
    let step = *dice.pick(steps);
    let word = |word: &str| AnswerValue::Word(word.to_owned());
    let mut answers = Answers::from([
        ("recommend".to_owned(), AnswerValue::Whole(step)),
        ("contact".to_owned(), word(dice.pick(&CONTACTS).0)),
    ]);
    if step <= 6 {
        answers.insert("missed".to_owned(), word(dice.pick::<&str>(&MISSED)));
    }
    if dice.percent(90) {
        let in_time = if dice.percent(if step <= 6 { 35 } else { 88 }) { "yes" } else { "no" };
        answers.insert("in_time".to_owned(), word(in_time));
    }
    answers
}
