//! Repeats: a POST with a key of the caller's own happens once, however often it comes.

use super::hold;
use crate::support::fixtures::{Prepared, prepared};
use crate::support::operations::{Operation, each, leaves, replaced, resolved, validator};
use crate::support::{Answer, World, at_once, count};
use serde_json::{Value, json};
use uuid::Uuid;

/// How many of these requests left something behind: each change is recorded with the request that made it.
fn effects(w: &World, answers: &[Answer]) -> i64 {
    let ids: Vec<_> = answers.iter().map(|answer| answer.header("x-request-id").unwrap()).collect();
    count(&format!(
        "(select distinct request_id from audit_entries where organization_id = '{}' and request_id = any ('{{{}}}')) requests",
        w.organization_id,
        ids.join(",")
    ))
}

/// A secret, and an address that holds one.
const SHOWN_ONCE: &[&str] = &["secret", "url"];

/// What is answered again: all but what is shown once.
fn kept(answer: &Answer) -> Value {
    let mut body = answer.json();
    for name in SHOWN_ONCE {
        if let Some(secret) = body.get_mut(*name) {
            *secret = Value::Null;
        }
    }
    body
}

fn with_key(request: &Prepared, key: &str) -> Prepared {
    Prepared { client: request.client.once(key), ..request.clone() }
}

/// The request with another body that the contract takes as well.
fn varied(operation: &Operation, request: &Prepared) -> Option<Prepared> {
    let (_, content) = *operation.bodies().first()?;
    let validator = validator(&content["schema"]);
    let others = leaves(&request.body).into_iter().flat_map(|(pointer, value)| {
        let other: Vec<Value> = match value {
            Value::String(text) => {
                vec![json!(format!("{text} bis")), json!(text.replace('1', "2")), json!(text.replace("-30", "-29"))]
            }
            Value::Number(number) => vec![json!(number.as_i64().unwrap_or_default() + 1)],
            Value::Bool(it) => vec![json!(!it)],
            _ => Vec::new(),
        };
        other.into_iter().map(move |other| (pointer.clone(), other))
    });
    let bodies = others.map(|(pointer, other)| replaced(&request.body, &pointer, other));
    let other = bodies.into_iter().find(|body| *body != request.body && validator.is_valid(body));
    Some(request.with_body(other.unwrap_or_else(|| panic!("no other body is known: {}", request.body))))
}

#[test]
fn every_post_of_somebody_takes_a_key() {
    let lacking: Vec<_> = crate::support::operations::operations()
        .iter()
        .filter(|operation| operation.method == "POST" && operation.secured && !operation.has("Idempotency-Key"))
        .map(|operation| operation.id.as_str())
        .collect();
    assert!(lacking.is_empty(), "{lacking:?}");
}

#[test]
fn a_repeat_is_answered_as_the_first_and_changes_nothing() {
    each(
        |operation| operation.has("Idempotency-Key"),
        |operation| {
            let w = World::new();
            let request = with_key(&prepared(&w, operation), "night run 1 ~!");
            let (first, second) = (request.send(), request.send());
            hold(&second);
            assert!(first.status < 300 && first.header("idempotency-replayed").is_none(), "{first:?}");
            assert_eq!(second.header("idempotency-replayed"), Some("true"), "{second:?}");
            assert_eq!((second.status, kept(&second)), (first.status, kept(&first)));
            for name in ["location", "etag", "content-type", "retry-after", "cache-control"] {
                assert_eq!(second.header(name), first.header(name), "{name}");
            }
            assert_eq!(effects(&w, &[second]), 0);
        },
    );
}

#[test]
fn a_refusal_is_repeated_too() {
    let w = World::new();
    each(
        |operation| operation.has("Idempotency-Key") && operation.path.contains("{id}"),
        |operation| {
            let mut request = with_key(&prepared(&w, operation), "refused");
            request.path = crate::support::fixtures::path(operation, Some(&Uuid::now_v7().to_string()));
            let (first, second) = (request.send(), request.send());
            first.refused(404, "not_found");
            assert_eq!((second.status, second.header("idempotency-replayed")), (404, Some("true")), "{second:?}");
        },
    );
}

#[test]
fn a_key_is_good_for_one_body() {
    each(
        |operation| operation.has("Idempotency-Key") && !operation.bodies().is_empty(),
        |operation| {
            let w = World::new();
            let request = with_key(&prepared(&w, operation), "one body");
            assert!(request.send().status < 300);
            let answer = varied(operation, &request).unwrap().send();
            hold(&answer);
            answer.refused(422, "idempotency_key_reused");
            assert_eq!(effects(&w, &[answer]), 0);
        },
    );
}

#[test]
fn a_key_is_one_callers_own() {
    each(
        |operation| operation.has("Idempotency-Key") && operation.path.ends_with(|last: char| last != '}'),
        |operation| {
            let (w, other) = (World::new(), World::new());
            assert!(with_key(&prepared(&w, operation), "same name").send().status < 300);
            let theirs = with_key(&prepared(&other, operation), "same name").send();
            assert!(theirs.status < 300 && theirs.header("idempotency-replayed").is_none(), "{theirs:?}");
        },
    );
}

#[test]
fn twenty_at_once_have_one_effect() {
    each(
        |operation| operation.has("Idempotency-Key"),
        |operation| {
            let w = World::new();
            let request = with_key(&prepared(&w, operation), &Uuid::now_v7().to_string());
            let answers = at_once(20, |_| request.send());
            let (done, waiting): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status < 300);
            for answer in &waiting {
                answer.refused(409, "idempotency_in_progress");
                assert!(answer.header("retry-after").is_some(), "{answer:?}");
            }
            let (again, first): (Vec<_>, Vec<_>) =
                done.into_iter().partition(|answer| answer.header("idempotency-replayed").is_some());
            let [first] = &first[..] else { panic!("{} of 20 were the first: {first:#?}", first.len()) };
            for answer in &again {
                assert_eq!((answer.status, kept(answer)), (first.status, kept(first)));
            }
            assert_eq!(effects(&w, &again) + effects(&w, &waiting), 0);
            assert_eq!(kept(&request.send()), kept(first), "and the key still stands");
        },
    );
}

#[test]
fn a_key_that_is_none_is_refused() {
    let w = World::new();
    each(
        |operation| operation.has("Idempotency-Key"),
        |operation| {
            for key in ["a".repeat(65), "zażółć".to_owned(), "tab\there".to_owned()] {
                let answer = with_key(&prepared(&w, operation), &key).send();
                hold(&answer);
                answer.refused(400, "parameter_invalid");
                assert_eq!(answer.wrong(), ["Idempotency-Key pattern"], "{answer:?}");
            }
        },
    );
}

#[test]
fn a_create_says_where_the_record_is() {
    each(
        |operation| operation.value["responses"]["201"].is_object(),
        |operation| {
            let w = World::new();
            let answer = prepared(&w, operation).send();
            let record = answer.expect(201);
            let found = w.owner.get(answer.header("location").unwrap_or_else(|| panic!("no Location: {answer:?}")));
            assert_eq!(found.expect(200).id(), record.id());
            assert_eq!(answer.header("etag"), found.header("etag"), "{answer:?}");
            // What is shown once is all that may differ: a secret, or what was made together with the record.
            let (mut made, read) = (record.0, found.json());
            let schema = resolved(&operation.value["responses"]["201"]["content"]["application/json"]["schema"]);
            let always = schema["required"].as_array().unwrap();
            made.as_object_mut()
                .unwrap()
                .retain(|name, _| !SHOWN_ONCE.contains(&name.as_str()) && always.contains(&json!(name)));
            assert_eq!(made, read);
        },
    );
}
