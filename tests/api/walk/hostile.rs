//! What nobody sends in good faith: refused or taken as the text that it is, and never a fault of ours.

use super::hold;
use crate::support::fixtures::prepared;
use crate::support::operations::{each, leaves, replaced, validator};
use crate::support::{Answer, World};
use serde_json::{Value, json};

/// Texts as they stand in JSON, quotes and all.
const TEXTS: &[&str] = &[
    r#""\u0000""#,
    r#""a\u0000b""#,
    r#""\ud800""#,
    r#""\udfff\ud800""#,
    r#""\u202Egnp.exe""#,
    r#""\u0007\u001b[31m""#,
    r#""\uFFFF\uFEFF""#,
    r#""'; drop table customers; --""#,
    r#""%s%n%x{{7*7}}${7*7}""#,
    r#""../../../../etc/passwd""#,
    r#""=cmd|'/C calc'!A0""#,
    r#""\u0300\u0300\u0300\u0300""#,
    r#""1e999999999""#,
    r#""-0""#,
    r#""99999999999999999999999999999999999999999999999999""#,
    r#""0000-00-00""#,
    r#""+262143-12-31""#,
    r#""9999-12-31T23:59:60Z""#,
    r#""""#,
    r#"" ""#,
];

/// Values of any kind, as they stand in JSON.
const VALUES: &[&str] = &[
    "null",
    "true",
    "{}",
    "[]",
    "[[]]",
    "-1",
    "0",
    "1.5",
    "1e308",
    "-1e-308",
    "9007199254740993",
    "9223372036854775808",
    "-9223372036854775809",
    "123456789012345678901234567890123456789012345678901234567890",
];

const PAGING: &[&str] = &["limit", "cursor", "sort", "count", "fields", "expand"];

const MARK: &str = "\u{1}mark";
const MARK_IN_JSON: &str = r#""\u0001mark""#;

#[track_caller]
fn no_fault_of_ours(answer: &Answer) {
    assert!(answer.status < 500, "{answer:?}");
    hold(answer);
}

#[test]
fn no_value_of_a_field_is_a_fault_of_ours() {
    each(
        |operation| !operation.bodies().is_empty(),
        |operation| {
            let w = World::new();
            let mut request = prepared(&w, operation);
            if operation.has("If-Match") {
                request.client = request.client.with("If-Match", "*");
            }
            let taken = validator(&operation.bodies()[0].1["schema"]);
            let media_type = request.media_type.clone();
            let send = |body: &str| {
                let (method, path) = (&request.method, &request.path);
                no_fault_of_ours(&request.client.send(method, path, media_type.as_deref(), body.as_bytes()));
            };
            let long = json!("ż".repeat(20_000)).to_string();
            let many = Value::from(vec![json!({}); 5_000]).to_string();
            let values = || TEXTS.iter().chain(VALUES).copied().chain([long.as_str(), many.as_str()]);
            // In place of a mark, since what is sent may be no JSON that a library would write.
            let mut all = request.body.clone();
            for (pointer, _) in leaves(&request.body) {
                *all.pointer_mut(&pointer).unwrap() = json!(MARK);
                let marked = replaced(&request.body, &pointer, MARK).to_string();
                for body in values().map(|value| marked.replace(MARK_IN_JSON, value)) {
                    // What the published schema refuses goes no further, and is sent below.
                    if serde_json::from_str(&body).is_ok_and(|body: Value| taken.is_valid(&body)) {
                        send(&body);
                    }
                }
            }
            let all = all.to_string();
            values().for_each(|value| send(&all.replace(MARK_IN_JSON, value)));
        },
    );
}

#[test]
fn no_value_of_a_parameter_is_a_fault_of_ours() {
    let w = World::new();
    each(
        |operation| operation.query().next().is_some(),
        |operation| {
            let request = prepared(&w, operation);
            let required: Vec<_> =
                request.path.split_once('?').into_iter().flat_map(|(_, query)| query.split('&')).collect();
            for parameter in operation.query() {
                let name = parameter["name"].as_str().unwrap();
                // What is the same everywhere is read in one place.
                if PAGING.contains(&name) && operation.id != "list_customers" {
                    continue;
                }
                let rest =
                    || required.iter().filter(|pair| pair.split('=').next() != Some(name)).map(|&pair| pair.to_owned());
                let long = "9".repeat(4_000);
                for value in [
                    "",
                    "%00",
                    "a%00b",
                    "%ED%A0%80",
                    "%FF",
                    "%E2%80%AE",
                    "'",
                    "%25",
                    "_",
                    "%5C",
                    "null",
                    "-1",
                    "1.5",
                    "1e99",
                    "9223372036854775807",
                    "9223372036854775808",
                    "99999999999999999999999999999999",
                    "0000-00-00",
                    "+262143-12-31",
                    "-262144-01-01",
                    "9999-12-31",
                    "0001-01-01",
                    "9999-12-31T23:59:60Z",
                    "-9999-01-01T00:00:00Z",
                    "00000000-0000-0000-0000-000000000000",
                    "ffffffff-ffff-ffff-ffff-ffffffffffff",
                    ",",
                    ",,,",
                    "a,b,c,d",
                    "true,false",
                    "..",
                    "%2e%2e%2f",
                    "-",
                    "+",
                    "%7B%7D",
                    "%5B%5D",
                    &long,
                ] {
                    let query: Vec<_> = rest().chain([format!("{name}={value}")]).collect();
                    no_fault_of_ours(&request.with_query(&query.join("&")).send());
                }
                let bare: Vec<_> = rest().chain([name.to_owned()]).collect();
                no_fault_of_ours(&request.with_query(&bare.join("&")).send());
            }
        },
    );
}

#[test]
fn no_id_in_a_path_is_a_fault_of_ours() {
    let w = World::new();
    each(
        |operation| operation.path.contains('{'),
        |operation| {
            let mut request = prepared(&w, operation);
            for id in [
                "%00",
                "%ED%A0%80",
                "%FF",
                "%2e%2e",
                "%2F",
                "%252F",
                "'",
                "%E2%80%AE",
                &"x".repeat(3_000),
                "null",
                "%20",
                ";",
                "{id}",
            ] {
                let id = id.replace('{', "%7B").replace('}', "%7D");
                let (before, after) = operation.path.split_once('{').unwrap();
                request.path = format!("{before}{id}{}", after.split_once('}').unwrap().1);
                let answer = request.send();
                assert!(answer.status < 500, "{answer:?}");
            }
        },
    );
}

#[test]
fn a_body_that_is_too_large_is_refused() {
    each(
        |operation| !operation.bodies().is_empty(),
        |operation| {
            let w = World::new();
            let request = prepared(&w, operation);
            let send = |bytes: usize| {
                let mut body = request.body.to_string().into_bytes();
                body.resize(bytes, b' ');
                request.send_bytes(&body)
            };
            let answer = send(1024 * 1024 + 1);
            hold(&answer);
            answer.refused(413, "body_too_large");
            let answer = send(1024 * 1024);
            assert!(answer.status < 300, "{answer:?}");
        },
    );
}

#[test]
fn a_body_that_is_too_deep_is_refused() {
    let w = World::new();
    each(
        |operation| !operation.bodies().is_empty(),
        |operation| {
            let request = prepared(&w, operation);
            for depth in [33, 127, 128, 5_000, 100_000] {
                for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
                    let body = format!("{}1{}", open.repeat(depth), close.repeat(depth));
                    let answer = request.send_bytes(body.as_bytes());
                    hold(&answer);
                    answer.refused(400, "malformed_request");
                }
            }
            let shallow = format!("{}1{}", "[".repeat(32), "]".repeat(32));
            let answer = request.send_bytes(shallow.as_bytes());
            answer.refused(422, "validation_failed");
        },
    );
}

#[test]
fn a_field_that_comes_twice_is_not_a_fault_of_ours() {
    each(
        |operation| !operation.bodies().is_empty(),
        |operation| {
            let w = World::new();
            let request = prepared(&w, operation);
            let text = request.body.to_string();
            let first = text.trim_start_matches('{').split(',').next().unwrap().trim_end_matches('}');
            let body = text.replacen('{', &format!("{{{first},"), 1);
            let answer = request.send_bytes(body.as_bytes());
            assert!(answer.status < 500, "{answer:?}");
        },
    );
}

#[test]
fn a_rejected_value_is_not_repeated() {
    let w = World::new();
    each(
        |operation| operation.secured && !operation.bodies().is_empty(),
        |operation| {
            let request = prepared(&w, operation);
            for (pointer, _) in leaves(&request.body) {
                let answer = request.with_body(replaced(&request.body, &pointer, json!({ "x": "canary-4711" }))).send();
                assert!(answer.status >= 400, "{answer:?}");
                assert!(!answer.text().contains("canary-4711"), "{answer:?}");
            }
        },
    );
}

#[test]
fn a_refusal_has_an_end_however_much_is_wrong() {
    let w = World::new();
    each(
        |operation| !operation.bodies().is_empty(),
        |operation| {
            let request = prepared(&w, operation);
            let mut body = request.body.clone();
            for number in 0..3_000 {
                body[format!("no_such_field_{number}")] = json!(number);
            }
            let answer = request.with_body(body).send();
            hold(&answer);
            assert_eq!(answer.refused(422, "validation_failed")["errors"].as_array().unwrap().len(), 1_000);
        },
    );
}
