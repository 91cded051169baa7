//! Surveys: versions, responses by operators and by customers alone, and results.

use crate::support::{Answer, Client, Record, World, at_once, count, execute, now};
use chrono::{DateTime, Days, TimeDelta, Utc};
use opiekun_domain::ids::SurveyResponseId;
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub fn answer(form: &str, answers: Value, complete: bool) -> Answer {
    let body = json!({ "answers": answers, "complete": complete });
    Client::nobody().post(&format!("{form}/responses"), body)
}

#[track_caller]
fn refused(w: &World, questions: Value) -> Vec<String> {
    let answer = w.survey().with("questions", questions).send();
    answer.refused(422, "validation_failed");
    answer.wrong()
}

#[test]
fn a_survey_that_nobody_could_fill_in_is_refused_with_the_place() {
    let w = World::new();
    let asked = |kind: &str, shown_if: Value| json!({ "key": "next", "kind": kind, "text": "?", "shown_if": shown_if });
    let first = json!({ "key": "first", "kind": "yes_no", "text": "?", "required": true });
    let unknown = asked("text", json!({ "question": "other", "is": "yes" }));
    assert_eq!(refused(&w, json!([first, unknown])), ["/questions/1/shown_if/question unknown_question"]);
    let itself = asked("text", json!({ "all": [{ "question": "next", "answered": true }] }));
    assert_eq!(refused(&w, json!([first, itself])), ["/questions/1/shown_if/all/0/question not_earlier"]);
    let type_mismatch = asked("text", json!({ "question": "first", "at_least": 3 }));
    assert_eq!(refused(&w, json!([first, type_mismatch])), ["/questions/1/shown_if/at_least test_not_expected"]);
    let never =
        json!({ "not": { "any": [{ "question": "first", "is": "yes" }, { "question": "first", "is": "no" }] } });
    assert_eq!(refused(&w, json!([first, asked("text", never)])), ["/questions/1/shown_if never_shown"]);
    assert_eq!(refused(&w, json!([first, first])), ["/questions/1/key duplicate"]);
    assert_eq!(refused(&w, json!([asked("single_choice", Value::Null)])), ["/questions/0/options required"]);
    assert_eq!(refused(&w, json!([])), ["/questions required"]);
    assert_eq!(w.count("surveys"), 0);
}

#[test]
fn a_draft_is_opened_closed_and_opened_again() {
    let w = World::new();
    let survey = w.survey().with("status", "draft").create();
    assert_eq!(survey["published_version"], Value::Null);
    w.survey_response(survey.id()).send().refused(409, "state_invalid");
    let path = format!("/surveys/{}", survey.id());
    let closed = w.owner.at(1).patch(&path, json!({ "status": "closed" }));
    assert_eq!(closed.wrong(), ["/status transition"]);
    let open = w.owner.at(1).patch(&path, json!({ "status": "open" })).expect(200);
    assert_eq!((open.version(), &open["published_version"]), (2, &json!(2)));
    let closed = w.owner.at(2).patch(&path, json!({ "status": "closed" })).expect(200);
    assert_eq!(closed["published_version"], 2);
    w.survey_response(survey.id()).send().refused(409, "state_invalid");
    w.owner.at(3).patch(&path, json!({ "status": "open", "title": "Again" })).expect(200);
    w.survey_response(survey.id()).create();
    assert_eq!(w.count("survey_versions"), 1);
    w.owner.at(4).delete(&path).refused(409, "conflict");
}

#[test]
fn an_operator_saves_so_far_and_completes() {
    let w = World::new();
    let customer = w.customer().create();
    let thread = w.thread("Satisfaction").with("customer_id", customer.id()).create();
    let call = w.interaction(customer.id()).with("thread_id", thread.id()).create();
    let survey = w.survey().create();
    let draft = w.survey_response(survey.id()).with("interaction_id", call.id());
    let response = draft.with("answers", json!({ "recommend": 4 })).create();
    assert_eq!((&response["customer_id"], &response["thread_id"]), (&customer["id"], &thread["id"]));
    assert_eq!((&response["complete"], &response["operator_id"]), (&json!(false), &json!(w.owner.id)));
    let path = format!("/survey-responses/{}", response.id());
    let short = w.owner.at(1).patch(&path, json!({ "answers": { "content": "no" }, "complete": true }));
    assert_eq!(short.wrong(), ["/answers/why required"]);
    let change = json!({ "answers": { "content": "no", "why": "Late invoices" } });
    let more = w.owner.at(1).patch(&path, change).expect(200);
    assert_eq!(more["answers"], json!({ "recommend": 4, "content": "no", "why": "Late invoices" }));
    // Another answer takes the question off, and its answer with it.
    let change = json!({ "answers": { "content": "yes", "recommend": null }, "complete": true });
    let whole = w.owner.at(2).patch(&path, change).expect(200);
    assert_eq!((&whole["answers"], &whole["complete"]), (&json!({ "content": "yes" }), &json!(true)));
    assert!(whole["completed_at"].is_string());
    w.owner.at(3).patch(&path, json!({ "answers": { "recommend": 9 } })).refused(409, "state_invalid");
    assert_eq!(w.changes("survey_response.completed"), 1);
    // The database holds it as well.
    let change = format!("update survey_responses set answers = '{{}}' where id = '{}'", response.id());
    assert!(execute(&change).is_err());

    for timeline in [format!("/customers/{}/timeline", customer.id()), format!("/threads/{}/timeline", thread.id())] {
        let entries = w.owner.get(&timeline).expect(200).items();
        let entry = entries.iter().find(|entry| entry["kind"] == "survey_response").expect("an entry");
        assert_eq!((&entry["survey_response"], &entry["at"]), (&*whole, &whole["completed_at"]));
    }
}

#[test]
fn a_response_follows_its_interaction_from_thread_to_thread() {
    let w = World::new();
    let customer = w.customer().create();
    let [first, second] = ["One", "Two"].map(|subject| w.thread(subject).create());
    let call = w.interaction(customer.id()).with("thread_id", first.id()).create();
    let survey = w.survey().create();
    let response = w.survey_response(survey.id()).with("interaction_id", call.id()).create();
    let path = format!("/survey-responses/{}", response.id());
    let shown = || w.owner.get(&path).expect(200)["thread_id"].clone();
    w.owner
        .post(&format!("/threads/{}/items", second.id()), json!({ "type": "interaction", "id": call.id() }))
        .expect(200);
    assert_eq!(shown(), second["id"]);
    w.owner.post(&format!("/threads/{}/merges", first.id()), json!({ "thread_id": second.id() })).expect(200);
    assert_eq!(shown(), first["id"]);
}

#[test]
fn a_response_is_about_the_customer_of_its_interaction() {
    let w = World::new();
    let [one, other] = [(); 2].map(|()| w.customer().create());
    let call = w.interaction(one.id()).create();
    let survey = w.survey().create();
    let draft = w.survey_response(survey.id()).with("interaction_id", call.id()).with("customer_id", other.id());
    assert_eq!(draft.send().wrong(), ["/interaction_id other_customer"]);
    let person = w.person(one.id()).create();
    assert_eq!(w.survey_response(survey.id()).with("person_id", person.id()).send().wrong(), ["/customer_id required"]);
    let draft = w.survey_response(survey.id()).with("customer_id", other.id()).with("person_id", person.id());
    draft.send().refused(422, "reference_not_found");
}

#[test]
fn old_responses_keep_their_questions_and_new_ones_have_the_new() {
    let w = World::new();
    let survey = w.survey().create();
    let path = format!("/surveys/{}", survey.id());
    let begun = w.survey_response(survey.id()).with("answers", json!({ "recommend": 10 })).create();
    let waiting = w.survey_response(survey.id()).create();
    let questions = json!([
        { "key": "recommend", "kind": "scale", "text": "Would you tell a friend?", "scale": { "from": 1, "to": 5 } },
        { "key": "hours", "kind": "number", "text": "Hours a month?" },
    ]);
    let changed = w.owner.at(1).patch(&path, json!({ "questions": questions })).expect(200);
    assert_eq!((changed.version(), &changed["published_version"]), (2, &json!(2)));

    let go_on = |response: &Record, answers: Value| {
        let path = format!("/survey-responses/{}", response.id());
        w.owner.at(1).patch(&path, json!({ "answers": answers, "complete": true }))
    };
    // Whoever has begun goes on with what was asked then; whoever has not is asked anew.
    let old = go_on(&begun, json!({ "content": "yes" })).expect(200);
    assert_eq!((&old["survey_version"], &old["answers"]), (&json!(1), &json!({ "recommend": 10, "content": "yes" })));
    let refused = go_on(&waiting, json!({ "content": "yes" }));
    assert_eq!(refused.wrong(), ["/answers/content unknown_question"]);
    let new = go_on(&waiting, json!({ "recommend": 5, "hours": "12.50" })).expect(200);
    assert_eq!((&new["survey_version"], &new["answers"]["hours"]), (&json!(2), &json!("12.5")));

    let results = |version: i32| w.owner.get(&format!("{path}/results?version={version}")).expect(200);
    let (old, new) = (results(1), results(2));
    assert_eq!(old["questions"][0]["text"], "How likely are you to recommend us?");
    assert_eq!(new["questions"][0]["text"], "Would you tell a friend?");
    assert_eq!((&old["responses"], &new["responses"]), (&json!(1), &json!(1)));
    assert_eq!((&old["questions"][0]["mean"], &new["questions"][0]["mean"]), (&json!("10.00"), &json!("5.00")));
    // A later version that asks the same is the same one.
    let renamed = w.owner.at(2).patch(&path, json!({ "title": "Another title" })).expect(200);
    assert_eq!(renamed["published_version"], 2);
    assert_eq!(results(3)["survey_version"], 2);
    let versions = &new["versions"];
    assert_eq!((versions[0]["survey_version"].as_i64(), versions[1]["responses"].as_i64()), (Some(2), Some(1)));
    // What was published stays.
    let change = format!("update survey_versions set questions = '[1]' where survey_id = '{}'", survey.id());
    assert!(execute(&change).is_err());
}

#[test]
fn a_customer_answers_alone_at_a_secret_address() {
    let w = World::new();
    let customer = w.customer().with("email", "biuro@klos.example").create();
    let survey = w.survey().with("description", "Three questions").create();
    let link = w.survey_link(survey.id()).with("customer_id", customer.id()).create();
    let form = link.address();
    let waiting = format!("/survey-responses?customer_id={}&complete=false", customer.id());
    assert_eq!(w.owner.get(&waiting).expect(200).items().len(), 1);

    let shown = Client::nobody().get(&form);
    assert_eq!(shown.header("cache-control"), Some("no-store"));
    let shown = shown.expect(200);
    let names: Vec<_> = shown.as_object().unwrap().keys().cloned().collect();
    assert_eq!(names, ["title", "description", "questions", "answers", "single_use", "expires_at", "survey_version"]);
    assert!(!shown.0.to_string().contains("klos.example") && !shown.0.to_string().contains(customer.id()));

    // Whose answers they will be is settled with the address.
    let held = w.owner.get(&waiting).expect(200).items().remove(0);
    let moved = json!({ "customer_id": w.customer().create().id() });
    let moved = w.owner.at(1).patch(&format!("/survey-responses/{}", held.id()), moved);
    assert_eq!(moved.wrong(), ["/customer_id fixed"]);

    // Whoever was shown other questions has not answered these.
    let unseen = json!({ "answers": { "content": "no" }, "survey_version": 7 });
    let unseen = Client::nobody().post(&format!("{form}/responses"), unseen);
    assert_eq!(unseen.refused(409, "state_invalid")["state"], "changed");
    let seen = json!({ "answers": {}, "complete": false, "survey_version": shown["survey_version"] });
    Client::nobody().post(&format!("{form}/responses"), seen).expect(200);
    assert_eq!(answer(&form, json!({ "content": "maybe" }), false).wrong(), ["/answers/content unknown_option"]);
    answer(&form, json!({ "content": "no" }), false).expect(200);
    assert_eq!(Client::nobody().get(&form).expect(200)["answers"], json!({ "content": "no" }));
    assert_eq!(answer(&form, json!({ "content": "no" }), true).wrong(), ["/answers/why required"]);
    let whole = answer(&form, json!({ "content": "yes", "recommend": 8 }), true).expect(200);
    assert_eq!(whole.0, json!({ "complete": true }));
    // Used up, in the words of an address that is none.
    let unknown = Client::nobody().get("/survey-forms/ops_none").refused(404, "not_found");
    for again in [Client::nobody().get(&form), answer(&form, json!({ "content": "yes" }), true)] {
        let again = again.refused(404, "not_found");
        assert_eq!(
            (&again["detail"], &again["instance"]),
            (&unknown["detail"], &json!("/api/v1/survey-forms/{secret}"))
        );
    }
    assert_eq!(w.owner.get(&waiting).expect(200).items(), []);
    let response = w.owner.get(&format!("/surveys/{}/responses", survey.id())).expect(200).items().remove(0);
    assert_eq!((&response["customer_id"], &response["operator_id"]), (&customer["id"], &Value::Null));
    assert_eq!(response["answers"], json!({ "content": "yes", "recommend": 8 }));
    assert!(w.owner.get(&format!("/survey-links/{}", link.id())).expect(200)["used_at"].is_string());
}

#[test]
fn an_address_is_of_no_use_once_it_has_run_out_or_its_survey_is_closed_or_it_is_deleted() {
    let w = World::new();
    let survey = w.survey().create();
    let [expired, deleted, closed] = [(); 3].map(|()| w.survey_link(survey.id()).create());
    let past = json!(now() - TimeDelta::minutes(1));
    assert_eq!(w.survey_link(survey.id()).with("expires_at", past).send().wrong(), ["/expires_at range"]);
    execute(&format!("update survey_links set expires_at = now() where id = '{}'", expired.id())).unwrap();
    assert_eq!(w.count("survey_responses"), 3);
    let waiting = |wanted: bool| w.owner.get(&format!("/survey-responses?waiting={wanted}")).expect(200).items().len();
    assert_eq!((waiting(true), waiting(false)), (2, 1));
    w.owner.at(1).delete(&format!("/survey-links/{}", deleted.id())).expect(204);
    assert_eq!(w.count("survey_responses"), 2, "what nobody has begun goes with its address");
    for gone in [&expired, &deleted] {
        Client::nobody().get(&gone.address()).refused(404, "not_found");
        answer(&gone.address(), json!({ "content": "yes" }), true).refused(404, "not_found");
    }
    Client::nobody().get(&closed.address()).expect(200);
    w.owner.at(1).patch(&format!("/surveys/{}", survey.id()), json!({ "status": "closed" })).expect(200);
    Client::nobody().get(&closed.address()).refused(404, "not_found");
    assert_eq!((waiting(true), waiting(false)), (0, 2));
}

#[test]
fn a_form_that_is_sent_again_by_its_key_is_answered_once() {
    let w = World::new();
    let survey = w.survey().create();
    let send = |form: &str, content: &str| {
        let body = json!({ "answers": { "content": content } });
        Client::nobody().with("Idempotency-Key", "one click").post(&format!("{form}/responses"), body)
    };
    let one = w.survey_link(survey.id()).create().address();
    let many = w.survey_link(survey.id()).with("single_use", false).create().address();
    for address in [&one, &many] {
        assert_eq!(send(address, "yes").expect(200).0, json!({ "complete": true }));
        let again = send(address, "yes");
        assert_eq!(again.header("idempotency-replayed"), Some("true"), "{again:?}");
        assert_eq!(again.expect(200).0, json!({ "complete": true }));
        send(address, "no").refused(422, "idempotency_key_reused");
    }
    assert_eq!(w.count("survey_responses"), 2);
}

#[test]
fn one_for_a_single_use_takes_one_response_however_many_send_at_once() {
    let w = World::new();
    let survey = w.survey().create();
    let one = w.survey_link(survey.id()).create().address();
    let sent = at_once(12, |_| answer(&one, json!({ "content": "yes" }), true).status);
    assert_eq!(sent.iter().filter(|status| **status == 200).count(), 1, "{sent:?}");
    assert!(sent.iter().all(|status| [200, 404].contains(status)), "{sent:?}");
    let many = w.survey_link(survey.id()).with("single_use", false).create().address();
    assert_eq!(answer(&many, json!({ "content": "yes" }), false).wrong(), ["/complete required"]);
    let sent = at_once(6, |_| answer(&many, json!({ "content": "no", "why": "?" }), true).status);
    assert_eq!(sent, [200; 6]);
    assert_eq!(Client::nobody().get(&many).expect(200)["answers"], json!({}), "nobody reads what others answered");
    let results = w.owner.get(&format!("/surveys/{}/results", survey.id())).expect(200);
    assert_eq!(results["responses"], 7);
}

#[test]
fn an_address_has_a_limit_of_its_own() {
    let w = World::new();
    let survey = w.survey().create();
    let busy = w.survey_link(survey.id()).create().address();
    let calm = w.survey_link(survey.id()).create().address();
    let statuses: Vec<u16> = (0..140).map(|_| Client::nobody().get(&busy).status).collect();
    assert_eq!(statuses[0], 200);
    assert_eq!(statuses.last(), Some(&429));
    Client::nobody().get(&calm).expect(200);
}

#[test]
fn surveys_are_arranged_by_managers_and_asked_by_operators() {
    let w = World::new();
    let operator = w.operator("operator", "none", None);
    w.survey().by(&operator).send().refused(403, "forbidden");
    let survey = w.survey().create();
    w.survey_link(survey.id()).by(&operator).create();
    let response = w.survey_response(survey.id()).by(&operator).create();
    let other = w.operator("operator", "none", None);
    let path = format!("/survey-responses/{}", response.id());
    other.at(1).patch(&path, json!({ "answers": { "recommend": 1 } })).refused(403, "forbidden");
    operator.at(1).patch(&path, json!({ "answers": { "recommend": 1 } })).expect(200);
}

#[test]
fn what_a_person_answered_is_handed_over_to_it() {
    let w = World::new();
    let customer = w.customer().create();
    let person = w.person(customer.id()).create();
    let survey = w.survey().create();
    let draft = w.survey_response(survey.id()).with("customer_id", customer.id()).with("person_id", person.id());
    let response = draft.with("answers", json!({ "recommend": 3 })).create();
    let data = w.owner.get(&format!("/people/{}/personal-data", person.id())).expect(200);
    assert_eq!(data["survey_responses"], json!([*response]));
}

/// SplitMix64.
struct Dice(u64);

impl Dice {
    fn below(&mut self, count: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % count
    }
}

/// A response as the test made it.
struct Given {
    version: i32,
    customer: usize,
    operator: usize,
    completed_at: Option<DateTime<Utc>>,
    answers: Value,
}

const KINDS: &[&str] = &["single_choice", "multiple_choice", "scale", "number", "text", "date", "yes_no"];

fn random_answers(dice: &mut Dice) -> Value {
    let mut answers = json!({});
    for kind in KINDS {
        if dice.below(10) == 0 {
            continue;
        }
        answers[*kind] = match *kind {
            "single_choice" => json!(["phone", "mail", "visit"][usize::try_from(dice.below(3)).unwrap()]),
            "multiple_choice" => {
                let bits = 1 + dice.below(7);
                let chosen = ["a", "b", "c"].iter().enumerate().filter(|(place, _)| bits & (1 << place) != 0);
                chosen.map(|(_, key)| *key).collect::<Vec<_>>().into()
            }
            "scale" => json!(dice.below(11)),
            "number" => {
                let units = i64::try_from(dice.below(2_000_000)).unwrap() - 500_000;
                let sign = if units < 0 { "-" } else { "" };
                json!(format!("{sign}{}.{:04}", units.abs() / 10_000, units.abs() % 10_000))
            }
            "text" => json!(format!("Said {}", dice.below(1_000))),
            "date" => json!((day() + Days::new(dice.below(300))).to_string()),
            _ => json!(["yes", "no"][usize::try_from(dice.below(2)).unwrap()]),
        };
    }
    answers
}

fn day() -> chrono::NaiveDate {
    "2026-01-01".parse().unwrap()
}

/// Halves away from zero, of a fraction with a positive denominator, to so many places.
fn rounded(numerator: i128, denominator: i128, places: u32) -> i128 {
    let scaled = numerator.abs() * 10_i128.pow(places);
    (2 * scaled + denominator) / (2 * denominator) * numerator.signum()
}

/// A decimal as units of a place.
#[track_caller]
fn units(figure: &Value, places: usize) -> i128 {
    let text = figure.as_str().unwrap_or_else(|| panic!("no figure: {figure}"));
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    assert!(fraction.len() <= places, "{text}");
    format!("{whole}{fraction:0<places$}").parse().unwrap()
}

/// Holds the results of a question against the list of its answers.
fn compare(kind: &str, results: &Value, given: &[&Value]) {
    let n = i128::try_from(given.len()).unwrap();
    assert_eq!(results["answered"], json!(given.len()), "{kind}");
    let words = |answer: &Value| match answer {
        Value::Array(all) => all.iter().map(|one| one.as_str().unwrap().to_owned()).collect(),
        Value::String(one) => vec![one.clone()],
        other => vec![other.to_string()],
    };
    let mut counts: BTreeMap<String, i128> = BTreeMap::new();
    given.iter().flat_map(|answer| words(answer)).for_each(|word| *counts.entry(word).or_default() += 1);
    for option in results["options"].as_array().unwrap() {
        let expected = counts.get(option["answer"].as_str().unwrap()).copied().unwrap_or_default();
        assert_eq!(option["count"], json!(expected), "{kind} {option}");
        if n > 0 {
            assert_eq!(units(&option["share"], 2), rounded(expected * 100, n, 2), "{kind} {option}");
        }
    }
    let listed = results["options"].as_array().unwrap().len();
    assert_eq!(
        listed,
        match kind {
            "single_choice" | "multiple_choice" => 3,
            "scale" => 11,
            "yes_no" => 2,
            _ => 0,
        }
    );
    if kind == "date" {
        assert_eq!(results["earliest_on"].as_str(), counts.keys().next().map(String::as_str));
        assert_eq!(results["latest_on"].as_str(), counts.keys().next_back().map(String::as_str));
    }
    if !["scale", "number"].contains(&kind) || n == 0 {
        assert_eq!((&results["mean"], &results["median"]), (&Value::Null, &Value::Null), "{kind}");
        return;
    }
    // In units of 0.0001.
    let of = |answer: &&Value| match answer {
        Value::String(text) => units(&json!(text), 4),
        other => i128::from(other.as_i64().unwrap()) * 10_000,
    };
    let mut values: Vec<i128> = given.iter().map(of).collect();
    values.sort_unstable();
    let sum: i128 = values.iter().sum();
    assert_eq!(units(&results["mean"], 4), rounded(sum, n, 0), "{kind}");
    let (lower, upper) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
    assert_eq!(units(&results["median"], 5), (lower + upper) * 5, "{kind}");
    assert_eq!((units(&results["least"], 4), units(&results["greatest"], 4)), (values[0], values[values.len() - 1]));
    // The deviation d is within half a unit of the root of the variance: (2d − 1)²n² ≤ 4(nΣx² − (Σx)²) ≤ (2d + 1)²n².
    let deviation = units(&results["standard_deviation"], 4);
    let spread = 4 * (n * values.iter().map(|value| value * value).sum::<i128>() - sum * sum);
    assert!((2 * deviation - 1).pow(2) * n * n <= spread || deviation == 0, "{kind}: {deviation}");
    assert!(spread <= (2 * deviation + 1).pow(2) * n * n, "{kind}: {deviation}");
    if kind == "scale" {
        let of_steps = |steps: std::ops::RangeInclusive<i128>| {
            i128::try_from(values.iter().filter(|value| steps.contains(&(**value / 10_000))).count()).unwrap()
        };
        let (promoters, detractors) = (of_steps(9..=10), of_steps(0..=6));
        let told = &results["net_promoters"];
        assert_eq!((&told["promoters"], &told["detractors"]), (&json!(promoters), &json!(detractors)));
        assert_eq!(units(&told["score"], 2), rounded((promoters - detractors) * 100, n, 2));
    }
}

#[test]
fn the_results_of_ten_thousand_random_responses_are_those_of_a_count_by_hand() {
    let w = World::new();
    let question = |kind: &&str| {
        let keys: &[&str] = match *kind {
            "single_choice" => &["phone", "mail", "visit"],
            "multiple_choice" => &["a", "b", "c"],
            _ => &[],
        };
        let options: Vec<Value> = keys.iter().map(|key| json!({ "key": key, "text": key })).collect();
        json!({ "key": kind, "kind": kind, "text": format!("Old {kind}?"), "options": options })
    };
    let questions: Vec<Value> = KINDS.iter().map(question).collect();
    let survey = w.survey().with("questions", questions.clone()).create();
    let path = format!("/surveys/{}", survey.id());
    let mut reworded = questions;
    reworded[2]["text"] = json!("New scale?");
    w.owner.at(1).patch(&path, json!({ "questions": reworded })).expect(200);

    let customers = ["vip", "other"].map(|tag| w.customer().with("tags", json!([tag])).create());
    let operators = [(); 2].map(|()| w.operator("operator", "none", None));
    let mut dice = Dice(2026);
    let from: DateTime<Utc> = "2026-01-01T00:00:00Z".parse().unwrap();
    let given: Vec<Given> = (0..10_000)
        .map(|_| Given {
            version: if dice.below(3) == 0 { 1 } else { 2 },
            customer: usize::try_from(dice.below(2)).unwrap(),
            operator: usize::try_from(dice.below(2)).unwrap(),
            completed_at: (dice.below(20) > 0)
                .then(|| from + TimeDelta::minutes(i64::try_from(dice.below(180 * 24 * 60)).unwrap())),
            answers: random_answers(&mut dice),
        })
        .collect();
    for some in given.chunks(1_000) {
        let rows: Vec<String> = some
            .iter()
            .map(|it| {
                let completed_at = it.completed_at.map_or("null".to_owned(), |at| format!("'{}'", at.to_rfc3339()));
                format!(
                    "('{}', '{}', '{}', {}, '{}', '{}', '{}', {completed_at}, now(), now())",
                    w.organization_id,
                    SurveyResponseId::at(now()),
                    survey.id(),
                    it.version,
                    customers[it.customer].id(),
                    operators[it.operator].id,
                    it.answers,
                )
            })
            .collect();
        execute(&format!(
            "insert into survey_responses (organization_id, id, survey_id, survey_version, customer_id, operator_id, answers,
                 completed_at, created_at, updated_at) values {}",
            rows.join(",")
        ))
        .unwrap();
    }
    assert_eq!(w.count("survey_responses"), 10_000);

    let warsaw = |moment: DateTime<Utc>| moment.with_timezone(&chrono_tz::Europe::Warsaw).date_naive();
    let (march, may) = ("2026-03-01".parse().unwrap(), "2026-04-30".parse().unwrap());
    let operator = operators[1].id;
    type Counts<'a> = Box<dyn Fn(&Given) -> bool + 'a>;
    let filters: Vec<(String, Counts)> = vec![
        (String::new(), Box::new(|it| it.version == 2)),
        ("version=1".to_owned(), Box::new(|it| it.version == 1)),
        (
            "from=2026-03-01&to=2026-04-30".to_owned(),
            Box::new(|it| it.version == 2 && it.completed_at.is_some_and(|at| (march..=may).contains(&warsaw(at)))),
        ),
        (format!("operator_id={operator}"), Box::new(|it| it.version == 2 && it.operator == 1)),
        ("customer_tag=vip&version=1".to_owned(), Box::new(|it| it.version == 1 && it.customer == 0)),
        ("customer_tag=nobody".to_owned(), Box::new(|_| false)),
    ];
    for (query, counts) in &filters {
        let results = w.owner.get(&format!("{path}/results?{query}")).expect(200);
        let counted: Vec<&Given> = given.iter().filter(|it| it.completed_at.is_some() && counts(it)).collect();
        assert_eq!(results["responses"], json!(counted.len()), "{query}");
        for (place, kind) in KINDS.iter().enumerate() {
            let answers: Vec<&Value> = counted.iter().filter_map(|it| it.answers.get(*kind)).collect();
            compare(kind, &results["questions"][place], &answers);
        }
        let wording = if query.contains("version=1") { "Old scale?" } else { "New scale?" };
        assert_eq!(results["questions"][2]["text"], wording, "a question stays worded as it was");
    }

    let of_version_2 = || given.iter().filter(|it| it.completed_at.is_some() && it.version == 2);
    let table = w.owner.get(&format!("{path}/cross-table?row=scale&column=multiple_choice")).expect(200);
    let mut expected: BTreeMap<(String, String), i64> = BTreeMap::new();
    for it in of_version_2() {
        if let (Some(step), Some(chosen)) = (it.answers.get("scale"), it.answers["multiple_choice"].as_array()) {
            for key in chosen {
                *expected.entry((step.to_string(), key.as_str().unwrap().to_owned())).or_default() += 1;
            }
        }
    }
    let cells = table["cells"].as_array().unwrap().iter();
    let word = |cell: &Value, name: &str| cell[name].as_str().unwrap().to_owned();
    let told: BTreeMap<_, _> =
        cells.map(|cell| ((word(cell, "row"), word(cell, "column")), cell["count"].as_i64().unwrap())).collect();
    assert_eq!(told, expected);
    assert_eq!(table["rows"]["answers"].as_array().unwrap().len(), 11);
    let csv = w.owner.get(&format!("{path}/cross-table?row=scale&column=multiple_choice&format=csv")).text();
    let mut lines = csv.lines();
    assert_eq!(lines.next(), Some("row,row_text,column,column_text,count"));
    assert_eq!(lines.clone().count(), expected.len());
    let counted: i64 = lines.map(|line| line.rsplit_once(',').unwrap().1.parse::<i64>().unwrap()).sum();
    assert_eq!(counted, expected.values().sum::<i64>());
    let csv = w.owner.get(&format!("{path}/text-answers?format=csv")).text();
    assert_eq!(csv.lines().next(), Some("response_id,customer_id,completed_at,text"));
    assert_eq!(csv.lines().count() - 1, of_version_2().filter(|it| it.answers.get("text").is_some()).count());
    let refused = w.owner.get(&format!("{path}/cross-table?row=text&column=none"));
    assert_eq!(refused.wrong(), ["row kind", "column unknown_question"]);

    let texts: Vec<&str> = of_version_2().filter_map(|it| it.answers["text"].as_str()).collect();
    let mut told = Vec::new();
    let mut next = format!("{path}/text-answers?limit=200");
    loop {
        let page = w.owner.get(&next).expect(200);
        told.extend(page.items().iter().map(|item| item["text"].as_str().unwrap().to_owned()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        next = format!("{path}/text-answers?limit=200&cursor={cursor}");
    }
    told.sort_unstable();
    let mut texts = texts;
    texts.sort_unstable();
    assert_eq!(told, texts);

    let csv = w.owner.with("Accept", "text/csv").get(&format!("{path}/results"));
    assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8"));
    // A row an option of the choices, step of the scale, yes and no; one for each of the others; the header.
    assert_eq!(csv.text().lines().count(), 3 + 3 + 11 + 2 + 3 + 1);
    assert_eq!(count(&format!("survey_responses where survey_id = '{}' and completed_at is null", survey.id())), {
        i64::try_from(given.iter().filter(|it| it.completed_at.is_none()).count()).unwrap()
    });
}

#[test]
fn a_survey_waits_for_open_steps_and_for_no_others() {
    let w = World::new();
    let (customer, survey) = (w.customer().create(), w.survey().with("status", "draft").create());
    let steps =
        json!([{ "key": "ask", "title": "Ask", "survey_id": survey.id() }, { "key": "other", "title": "Other" }]);
    let procedure = w.procedure().with("steps", steps).create();
    let run = w.procedure_run(procedure.id(), customer.id()).create();
    let later = w.procedure_run(procedure.id(), customer.id()).create();
    let waiting = || w.owner.get(&format!("/survey-responses?customer_id={}&waiting=true", customer.id())).expect(200);
    let waiting = || waiting().items();
    assert_eq!(waiting(), []);
    let skip = |run: &Record| {
        w.owner.post(&format!("/procedure-runs/{}/skips", run.id()), json!({ "key": "ask", "reason": "?" })).expect(200)
    };
    let ask = run["steps"][0]["task_id"].as_str().unwrap();
    skip(&later);
    let opened = w.owner.at(1).patch(&format!("/surveys/{}", survey.id()), json!({ "status": "open" })).expect(200);
    let [only] = &waiting()[..] else { panic!("of the open step") };
    assert_eq!((&only["task_id"], &only["survey_version"]), (&json!(ask), &opened["published_version"]));
    // Opened again it is not asked twice, and what was left out is asked once it is open again.
    for status in ["closed", "open"] {
        let version = w.owner.get(&format!("/surveys/{}", survey.id())).expect(200).version();
        w.owner.at(version).patch(&format!("/surveys/{}", survey.id()), json!({ "status": status })).expect(200);
    }
    assert_eq!(waiting().len(), 1);
    skip(&run);
    assert_eq!(waiting(), []);
    let reopen = |id: &str| {
        let task = w.owner.get(&format!("/tasks/{id}")).expect(200);
        w.owner.at(task.version()).patch(&format!("/tasks/{id}"), json!({ "status": "open" })).expect(200);
    };
    reopen(ask);
    assert_eq!(waiting()[0]["task_id"], json!(ask));
    // It is opened again by something new below it, too.
    skip(&run);
    let below = w.task("Below").with("parent", json!({ "type": "task", "id": ask })).create();
    assert_eq!(waiting()[0]["task_id"], json!(ask));
    w.owner.at(1).patch(&format!("/tasks/{}", below.id()), json!({ "status": "cancelled" })).expect(200);
    let link = w.survey_link(survey.id()).with("task_id", ask);
    let address = link.create().address();
    answer(&address, json!({ "recommend": 3 }), false).expect(200);
    assert_eq!(waiting().len(), 1);
    // What was begun is kept when the task is closed, and waits no longer.
    skip(&run);
    assert_eq!((waiting(), w.count("survey_responses")), (Vec::new(), 1));
    let waits_not = w.owner.get("/survey-responses?waiting=false").expect(200).items();
    assert_eq!(waits_not.len(), 1);
    Client::nobody().get(&address).refused(404, "not_found");
    answer(&address, json!({ "content": "yes" }), true).refused(404, "not_found");
    assert_eq!(link.send().refused(409, "state_invalid")["state"], "task_closed");
    reopen(ask);
    assert_eq!(waiting().len(), 1);
    answer(&address, json!({ "content": "yes" }), true).expect(200);
}

#[test]
fn a_response_is_gone_on_with_though_its_task_has_come_to_another_customer() {
    let w = World::new();
    let [one, other] = [(); 2].map(|()| w.customer().create());
    let (task, survey) = (w.task("Ask").with("customer_id", one.id()).create(), w.survey().create());
    let response = w.survey_response(survey.id()).with("task_id", task.id()).create();
    w.owner.at(1).patch(&format!("/tasks/{}", task.id()), json!({ "customer_id": other.id() })).expect(200);
    let path = format!("/survey-responses/{}", response.id());
    let begun = w.owner.at(1).patch(&path, json!({ "answers": { "recommend": 4 } })).expect(200);
    assert_eq!(begun["customer_id"], one["id"]);
    let told = w.owner.at(2).patch(&path, json!({ "task_id": task.id() }));
    assert_eq!(told.wrong(), ["/task_id other_customer"]);
    w.owner.at(2).patch(&path, json!({ "customer_id": other.id(), "answers": { "content": "yes" } })).expect(200);
}
