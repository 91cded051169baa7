use proptest::prelude::*;

use super::*;

fn question(key: &str, kind: QuestionKind) -> Question {
    let keys: &[&str] = match kind {
        QuestionKind::SingleChoice => &["a", "b", "c"],
        QuestionKind::MultipleChoice => &["a", "b"],
        _ => &[],
    };
    Question {
        key: key.to_owned(),
        kind,
        text: "?".to_owned(),
        options: keys.iter().map(|key| Choice { key: (*key).to_owned(), text: (*key).to_owned() }).collect(),
        scale: (kind == QuestionKind::Scale).then_some(Scale { from: 0, to: 3, from_text: None, to_text: None }),
        required: false,
        shown_if: None,
    }
}

impl Question {
    fn required(self) -> Self {
        Self { required: true, ..self }
    }

    fn shown_if(self, condition: &str) -> Self {
        Self { shown_if: Some(serde_json::from_str(condition).expect(condition)), ..self }
    }
}

fn answers(json: &str) -> Answers {
    serde_json::from_str(json).expect(json)
}

fn problems(questions: &[Question]) -> Vec<(String, &'static str)> {
    let found = Form::new(questions).map_or_else(|problems| problems, |form| form.unreachable());
    found.into_iter().map(|problem| (problem.pointer, problem.fault.code())).collect()
}

fn settled(questions: &[Question], json: &str, complete: bool) -> Result<Answers, Vec<(String, &'static str)>> {
    let form = Form::new(questions).expect("questions");
    form.settle(&answers(json), |_| true, complete)
        .map_err(|problems| problems.into_iter().map(|problem| (problem.key, problem.fault.code())).collect())
}

#[test]
fn a_condition_reads_as_it_is_written() {
    let text = r#"{"all":[{"question":"q1","is":"yes"},{"any":[{"question":"q2","at_least":9},{"not":{"question":"q3","includes":"a"}}]},{"question":"q4","answered":false}]}"#;
    let condition: Condition = serde_json::from_str(text).expect(text);
    assert_eq!(serde_json::to_string(&condition).expect("JSON"), text);
    assert_eq!(condition.size(), 7);
}

#[test]
fn what_has_been_open_is_no_draft_any_more() {
    use SurveyStatus::{Closed, Draft, Open};
    let allowed = [(Draft, Draft), (Draft, Open), (Open, Open), (Open, Closed), (Closed, Open), (Closed, Closed)];
    for from in SurveyStatus::ALL {
        for to in SurveyStatus::ALL {
            assert_eq!(from.change_to(*to).is_ok(), allowed.contains(&(*from, *to)), "{from} to {to}");
        }
    }
}

#[test]
fn conditions_name_earlier_questions_and_fit_them() {
    use QuestionKind::{Date, MultipleChoice, Number, Scale, SingleChoice, Text, YesNo};
    let on = |kind, condition: &str| {
        problems(&[question("q", kind), question("next", Text).shown_if(condition)]).into_iter().next()
    };
    let wrong = |pointer: &str, code| Some((format!("/1/shown_if{pointer}"), code));
    assert_eq!(on(YesNo, r#"{"question":"q","is":"yes"}"#), None);
    assert_eq!(on(YesNo, r#"{"question":"q","is":"maybe"}"#), wrong("/is", "unknown_option"));
    assert_eq!(on(YesNo, r#"{"question":"q","at_least":1}"#), wrong("/at_least", "test_not_expected"));
    assert_eq!(on(SingleChoice, r#"{"question":"q","is":"d"}"#), wrong("/is", "unknown_option"));
    assert_eq!(on(MultipleChoice, r#"{"question":"q","includes":"a"}"#), None);
    assert_eq!(on(MultipleChoice, r#"{"question":"q","is":"a"}"#), wrong("/is", "test_not_expected"));
    assert_eq!(on(Scale, r#"{"question":"q","at_least":3}"#), None);
    assert_eq!(on(Scale, r#"{"question":"q","at_least":4}"#), wrong("/at_least", "no_such_answer"));
    assert_eq!(on(Scale, r#"{"question":"q","is":"3"}"#), wrong("/is", "no_such_answer"));
    assert_eq!(on(Number, r#"{"question":"q","at_most":"12.5"}"#), None);
    assert_eq!(on(Number, r#"{"question":"q","at_most":12}"#), wrong("/at_most", "no_such_answer"));
    assert_eq!(on(Date, r#"{"question":"q","at_least":"2026-11-31"}"#), wrong("/at_least", "no_such_answer"));
    assert_eq!(on(Text, r#"{"question":"q","is":"x"}"#), wrong("/is", "test_not_expected"));
    assert_eq!(on(Text, r#"{"question":"q","answered":true}"#), None);
    assert_eq!(
        on(Text, r#"{"all":[{"question":"other","answered":true}]}"#),
        wrong("/all/0/question", "unknown_question")
    );
    assert_eq!(on(Text, r#"{"not":{"question":"next","answered":true}}"#), wrong("/not/question", "not_earlier"));
}

#[test]
fn two_questions_do_not_wait_for_each_other() {
    let first = question("first", QuestionKind::YesNo).shown_if(r#"{"question":"second","is":"yes"}"#);
    let second = question("second", QuestionKind::YesNo).shown_if(r#"{"question":"first","is":"yes"}"#);
    assert_eq!(problems(&[first, second]), [("/0/shown_if/question".to_owned(), "not_earlier")]);
}

#[test]
fn a_question_that_nobody_would_be_asked_is_told() {
    use QuestionKind::{Number, Scale, SingleChoice, Text, YesNo};
    let never = |questions: &[Question]| problems(questions);
    let told = [("/1/shown_if".to_owned(), "never_shown")];
    let contradiction = r#"{"all":[{"question":"q","is":"yes"},{"question":"q","is":"no"}]}"#;
    assert_eq!(never(&[question("q", YesNo), question("next", Text).required().shown_if(contradiction)]), told);
    // Neither yes nor no: only where it may stay without an answer.
    let neither = r#"{"not":{"any":[{"question":"q","is":"yes"},{"question":"q","is":"no"}]}}"#;
    assert_eq!(never(&[question("q", YesNo).required(), question("next", Text).shown_if(neither)]), told);
    assert_eq!(never(&[question("q", YesNo), question("next", Text).shown_if(neither)]), []);
    let between = r#"{"all":[{"question":"q","at_least":"1.0001"},{"question":"q","at_most":"1.0000"}]}"#;
    assert_eq!(never(&[question("q", Number), question("next", Text).shown_if(between)]), told);
    let outside = r#"{"all":[{"question":"q","at_least":2},{"not":{"question":"q","at_least":2}}]}"#;
    assert_eq!(never(&[question("q", Scale), question("next", Text).shown_if(outside)]), told);
    // It is asked only after another answer than the one that would show the third.
    let second = question("second", YesNo).shown_if(r#"{"question":"q","is":"a"}"#);
    let third = question("third", Text)
        .required()
        .shown_if(r#"{"all":[{"question":"q","is":"b"},{"question":"second","answered":true}]}"#);
    assert_eq!(never(&[question("q", SingleChoice), second, third]), [("/2/shown_if".to_owned(), "never_shown")]);
}

#[test]
fn conditions_that_are_too_entangled_are_told() {
    let options = (0..60).map(|n| Choice { key: format!("o{n}"), text: "?".to_owned() }).collect();
    let many = Question { options, ..question("q", QuestionKind::MultipleChoice) };
    let tests: Vec<String> = (0..60).map(|n| format!(r#"{{"question":"q","includes":"o{n}"}}"#)).collect();
    let next = question("next", QuestionKind::Text).shown_if(&format!(r#"{{"all":[{}]}}"#, tests.join(",")));
    assert_eq!(problems(&[many, next]), [("/1/shown_if".to_owned(), "too_entangled")]);
}

#[test]
fn answers_are_held_to_their_questions() {
    use QuestionKind::{Date, MultipleChoice, Number, Scale, SingleChoice, Text, YesNo};
    let on = |kind, answer: &str| {
        let found = settled(&[question("q", kind)], &format!(r#"{{"q":{answer}}}"#), false);
        found.err().map(|problems| problems[0].1)
    };
    for (kind, good) in [
        (SingleChoice, r#""a""#),
        (MultipleChoice, r#"["b","a"]"#),
        (Scale, "3"),
        (Number, r#""-12.5""#),
        (Text, r#""Dobrze""#),
        (Date, r#""2026-02-28""#),
        (YesNo, r#""no""#),
    ] {
        assert_eq!(on(kind, good), None, "{kind} {good}");
    }
    for (kind, bad, code) in [
        (SingleChoice, r#""d""#, "unknown_option"),
        (SingleChoice, r#"["a"]"#, "type"),
        (MultipleChoice, r#"["a","a"]"#, "duplicate"),
        (MultipleChoice, "[]", "empty"),
        (MultipleChoice, r#""a""#, "type"),
        (Scale, "4", "out_of_scale"),
        (Scale, "-1", "out_of_scale"),
        (Number, "12", "type"),
        (Number, r#""1e3""#, "not_a_number"),
        (Number, r#""1234567890""#, "not_a_number"),
        (Text, r#""  ""#, "empty"),
        (Date, r#""2026-02-29""#, "not_a_day"),
        (Date, r#""2026-2-8""#, "not_a_day"),
        (YesNo, r#""tak""#, "unknown_option"),
    ] {
        assert_eq!(on(kind, bad), Some(code), "{kind} {bad}");
    }
    assert_eq!(settled(&[], r#"{"q":1}"#, false), Err(vec![("q".to_owned(), "unknown_question")]));
}

#[test]
fn only_what_is_asked_is_required_and_kept() {
    let questions = [
        question("content", QuestionKind::YesNo).required(),
        question("why", QuestionKind::Text).required().shown_if(r#"{"question":"content","is":"no"}"#),
    ];
    assert_eq!(settled(&questions, "{}", false), Ok(Answers::new()));
    assert_eq!(settled(&questions, "{}", true), Err(vec![("content".to_owned(), "required")]));
    assert_eq!(settled(&questions, r#"{"content":"no"}"#, true), Err(vec![("why".to_owned(), "required")]));
    assert!(settled(&questions, r#"{"content":"yes"}"#, true).is_ok());
    let hidden = r#"{"content":"yes","why":"late"}"#;
    assert_eq!(settled(&questions, hidden, true), Err(vec![("why".to_owned(), "not_shown")]));
    // An earlier answer that the change of another one has made void goes.
    let form = Form::new(&questions).expect("questions");
    let kept = form.settle(&answers(hidden), |key| key == "content", true);
    assert_eq!(kept, Ok(answers(r#"{"content":"yes"}"#)));
}

/// What conditions name of numbers and days. Of those that they do not, [`all_answers`] has one beside and between them.
const NUMBERS: [&str; 5] = ["-1", "0.9999", "1", "1.0001", "2"];
const DAYS: [&str; 3] = ["2026-01-01", "2026-01-02", "2026-01-03"];

/// Every answer to a question as far as conditions can tell them apart, and none.
fn all_answers(question: &Question) -> Vec<Option<AnswerValue>> {
    let word = |word: &str| Some(AnswerValue::Word(word.to_owned()));
    let words = |words: &[&str]| Some(AnswerValue::Words(words.iter().map(|word| (*word).to_owned()).collect()));
    let mut all = match question.kind {
        QuestionKind::YesNo => vec![word(YES), word(NO)],
        QuestionKind::SingleChoice => vec![word("a"), word("b"), word("c")],
        QuestionKind::MultipleChoice => vec![words(&["a"]), words(&["b"]), words(&["a", "b"])],
        QuestionKind::Scale => (0..=3).map(|step| Some(AnswerValue::Whole(step))).collect(),
        QuestionKind::Number => NUMBERS.into_iter().chain(["-2", "0", "1.5", "3"]).map(word).collect(),
        QuestionKind::Date => DAYS.into_iter().chain(["2025-12-31", "2026-01-04"]).map(word).collect(),
        QuestionKind::Text => vec![word("text")],
    };
    all.push(None);
    all
}

/// Every complete response.
fn all_responses(questions: &[Question]) -> Vec<Answers> {
    let form = Form::new(questions).expect("questions");
    let mut all = vec![Answers::new()];
    for question in questions {
        let answers = all_answers(question);
        all = all
            .into_iter()
            .flat_map(|response| {
                answers.iter().map(move |answer| {
                    let mut response = response.clone();
                    response.extend(answer.clone().map(|answer| (question.key.clone(), answer)));
                    response
                })
            })
            .collect();
    }
    all.retain(|response| form.settle(response, |_| true, true).is_ok());
    all
}

fn any_test(place: usize, kind: QuestionKind) -> BoxedStrategy<Condition> {
    let key = format!("q{place}");
    let named = |words: &[&str]| words.iter().map(|word| AnswerValue::Word((*word).to_owned())).collect();
    let values: Vec<AnswerValue> = match kind {
        QuestionKind::Number => named(&NUMBERS),
        QuestionKind::Date => named(&DAYS),
        _ => all_answers(&question(&key, kind)).into_iter().flatten().collect(),
    };
    let value = proptest::sample::select(values);
    let holds = match kind {
        QuestionKind::YesNo | QuestionKind::SingleChoice => value.prop_map(Holds::Is).boxed(),
        QuestionKind::MultipleChoice => {
            proptest::sample::select(vec!["a", "b"]).prop_map(|key| Holds::Includes(key.to_owned())).boxed()
        }
        QuestionKind::Text => any::<bool>().prop_map(Holds::Answered).boxed(),
        QuestionKind::Scale | QuestionKind::Number | QuestionKind::Date => {
            (value, 0..3).prop_map(|(value, test)| match test {
                0 => Holds::Is(value),
                1 => Holds::AtLeast(value),
                _ => Holds::AtMost(value),
            })
        }
        .boxed(),
    };
    let holds = prop_oneof![4 => holds, 1 => any::<bool>().prop_map(Holds::Answered)];
    holds.prop_map(move |holds| Condition::Test(Test { question: key.clone(), holds })).boxed()
}

fn any_condition(kinds: Vec<QuestionKind>) -> BoxedStrategy<Condition> {
    let tests = (0..kinds.len()).prop_flat_map(move |place| any_test(place, kinds[place]));
    tests
        .prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 1..4).prop_map(Condition::All),
                proptest::collection::vec(inner.clone(), 1..4).prop_map(Condition::Any),
                inner.prop_map(|inner| Condition::Not(Box::new(inner))),
            ]
        })
        .boxed()
}

fn any_questions() -> impl Strategy<Value = Vec<Question>> {
    let kinds = proptest::collection::vec(proptest::sample::select(QuestionKind::ALL.to_vec()), 2..5);
    kinds.prop_flat_map(|kinds| {
        let questions: Vec<BoxedStrategy<Question>> = (0..kinds.len())
            .map(|place| {
                let kind = kinds[place];
                let condition = match place {
                    0 => Just(None).boxed(),
                    _ => proptest::option::weighted(0.8, any_condition(kinds[..place].to_vec())).boxed(),
                };
                (any::<bool>(), condition)
                    .prop_map(move |(required, shown_if)| Question {
                        required,
                        shown_if,
                        ..question(&format!("q{place}"), kind)
                    })
                    .boxed()
            })
            .collect();
        questions
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Told to be never asked is what no complete response of all that there are shows, and nothing else.
    #[test]
    fn what_is_told_to_be_never_asked_is_asked_by_no_response(questions in any_questions()) {
        let form = Form::new(&questions).expect("questions");
        let responses = all_responses(&questions);
        let told: Vec<String> = form.unreachable().into_iter().map(|problem| problem.pointer).collect();
        for (place, question) in questions.iter().enumerate() {
            let is_shown = |response: &Answers| {
                // Shown is what may be answered: with an answer, or with one more.
                let mut tried = response.clone();
                let answer = all_answers(question).into_iter().flatten().next().expect("an answer");
                tried.entry(question.key.clone()).or_insert(answer);
                let problems = form.settle(&tried, |_| true, false).err().unwrap_or_default();
                !problems.iter().any(|it| it.key == question.key && it.fault == AnswerFault::NotShown)
            };
            let shown = responses.iter().any(is_shown);
            let is_told = told.contains(&format!("/{place}/shown_if"));
            prop_assert_eq!(shown, !is_told, "question {} of {:?}", place, questions);
        }
    }

    /// What is kept is taken again as it is.
    #[test]
    fn what_is_kept_is_valid(questions in any_questions()) {
        let form = Form::new(&questions).expect("questions");
        for response in all_responses(&questions).into_iter().take(50) {
            let kept = form.settle(&response, |_| true, true).expect("complete");
            prop_assert_eq!(form.settle(&kept, |_| true, true), Ok(kept.clone()));
        }
    }
}
