//! The wire: what is not a request of the contract is refused, each mistake with its own code.

use super::hold;
use crate::support::fixtures::{path, prepared};
use crate::support::operations::{document, each, resolved, validator};
use crate::support::{Client, World};
use serde_json::{Value, json};
use std::collections::BTreeSet;

#[test]
fn a_path_with_a_bad_id_is_refused() {
    let w = World::new();
    each(
        |operation| operation.path.contains("{id}"),
        |operation| {
            for id in ["not-an-id", "1", "0192f0c1-7a10-7cc1-9d5e-0f3b8a61c2aaa", "null"] {
                let answer = prepared(&w, operation).with_path(&path(operation, Some(id))).send();
                hold(&answer);
                answer.refused(400, "parameter_invalid");
                assert_eq!(answer.wrong(), ["id format"], "{answer:?}");
            }
        },
    );
}

#[test]
fn a_body_that_is_not_json_is_refused() {
    let w = World::new();
    each(
        |operation| !operation.bodies().is_empty(),
        |operation| {
            let request = prepared(&w, operation);
            for body in ["{", "{\"a\": 1,}", "", "\u{feff}{}", "{} {}", "NaN"] {
                let answer = request.send_bytes(body.as_bytes());
                hold(&answer);
                answer.refused(400, "malformed_request");
            }
        },
    );
}

#[test]
fn a_body_of_another_shape_is_refused() {
    let w = World::new();
    each(
        |operation| !operation.bodies().is_empty(),
        |operation| {
            let request = prepared(&w, operation);
            for body in [json!([]), json!("text"), json!(1), json!(true), json!([{}])] {
                request.with_body(body).send().refused(422, "validation_failed");
            }
            let null = request.send_bytes(b"null");
            null.refused(422, "validation_failed");
        },
    );
}

#[test]
fn a_body_of_another_media_type_is_refused() {
    each(
        |operation| !operation.bodies().is_empty(),
        |operation| {
            let w = World::new();
            let request = prepared(&w, operation);
            let body = request.body.to_string();
            let taken: Vec<_> = operation.bodies().iter().map(|(media_type, _)| *media_type).collect();
            let others =
                ["text/plain", "application/xml", "multipart/form-data; boundary=x", "application/json-patch+json"];
            for media_type in others.into_iter().map(Some).chain([None]) {
                let answer = match media_type {
                    Some(_) => request.client.send(&request.method, &request.path, media_type, body.as_bytes()),
                    // An empty name is none.
                    None => request.client.send(&request.method, &request.path, Some(""), body.as_bytes()),
                };
                hold(&answer);
                answer.refused(415, "unsupported_media_type");
                let header = if request.method == "PATCH" { "accept-patch" } else { "accept" };
                let told: BTreeSet<_> =
                    answer.header(header).unwrap_or_default().split(", ").map(str::to_owned).collect();
                assert_eq!(told, taken.iter().map(|taken| (*taken).to_owned()).collect(), "{answer:?}");
            }
            if request.method != "PATCH" {
                // A parameter of the media type changes nothing.
                let answer = request.client.send(
                    &request.method,
                    &request.path,
                    Some("application/json; charset=utf-8"),
                    body.as_bytes(),
                );
                assert!(answer.status < 300, "{answer:?}");
            }
        },
    );
}

#[test]
fn a_field_that_the_contract_lacks_is_refused() {
    let w = World::new();
    each(
        |operation| !operation.bodies().is_empty(),
        |operation| {
            let request = prepared(&w, operation);
            let known = validator(operation.bodies()[0].1.get("schema").unwrap());
            // What answers show and no caller sets, too.
            for name in [
                "no_such_field",
                "id",
                "organization_id",
                "version",
                "created_at",
                "updated_at",
                "password_hash",
                "archived_at",
            ] {
                let mut body = request.body.clone();
                if body.get(name).is_some() {
                    continue;
                }
                body[name] = json!("0192f0c1-7a10-7cc1-9d5e-0f3b8a61c2aa");
                assert!(!known.is_valid(&body), "the schema takes {name}");
                let answer = request.with_body(body).send();
                hold(&answer);
                answer.refused(422, "validation_failed");
                assert_eq!(answer.wrong(), [format!("/{name} unknown")], "{answer:?}");
            }
        },
    );
}

#[test]
fn all_violations_of_a_body_are_told_at_once() {
    let w = World::new();
    each(
        |operation| !operation.bodies().is_empty(),
        |operation| {
            let request = prepared(&w, operation);
            let mut body = request.body.clone();
            body["no_such_field"] = json!(1);
            body["another_one"] = json!(1);
            let mut wrong = request.with_body(body).send().wrong();
            wrong.sort();
            assert_eq!(wrong, ["/another_one unknown", "/no_such_field unknown"]);
        },
    );
}

#[test]
fn what_is_required_must_be_there() {
    let w = World::new();
    each(
        |operation| {
            operation.bodies().first().is_some_and(|(_, content)| resolved(&content["schema"])["required"].is_array())
        },
        |operation| {
            let required = &resolved(&operation.bodies()[0].1["schema"])["required"];
            let mut expected: Vec<_> = required
                .as_array()
                .unwrap()
                .iter()
                .map(|name| format!("/{} required", name.as_str().unwrap()))
                .collect();
            expected.sort();
            let answer = prepared(&w, operation).with_body(json!({})).send();
            answer.refused(422, "validation_failed");
            let mut wrong = answer.wrong();
            wrong.sort();
            assert_eq!(wrong, expected, "{answer:?}");
        },
    );
}

#[test]
fn an_empty_patch_is_refused() {
    let w = World::new();
    each(
        |operation| operation.method == "PATCH",
        |operation| {
            prepared(&w, operation).with_body(json!({})).send().refused(422, "validation_failed");
        },
    );
}

#[test]
fn a_query_name_that_the_contract_lacks_is_refused() {
    let w = World::new();
    each(
        |_| true,
        |operation| {
            let request = prepared(&w, operation);
            let query = request.path.split_once('?').map(|(_, query)| format!("{query}&")).unwrap_or_default();
            let answer = request.with_query(&format!("{query}no_such_name=1")).send();
            hold(&answer);
            answer.refused(400, "parameter_invalid");
            assert_eq!(answer.wrong(), ["no_such_name unknown"], "{answer:?}");
        },
    );
}

#[test]
fn a_representation_that_there_is_none_of_is_refused() {
    let w = World::new();
    each(
        |operation| !operation.produces().is_empty() && !operation.answers_bytes(),
        |operation| {
            let mut request = prepared(&w, operation);
            let client = request.client.clone();
            // A page of HTML is one that there is of some records.
            let is_none =
                |accept: &&str| !operation.produces().iter().any(|produced| accept.contains(&format!("{produced},")));
            for accept in ["image/png", "application/json;q=0", "text/html, image/*"].into_iter().filter(is_none) {
                request.client = client.with("Accept", accept);
                let answer = request.send();
                hold(&answer);
                answer.refused(406, "not_acceptable");
            }
        },
    );
}

/// The methods of each path, as `Allow` has them.
fn paths() -> Vec<(String, BTreeSet<String>)> {
    let paths = document()["paths"].as_object().unwrap();
    let allowed = |item: &Value| {
        let mut methods: BTreeSet<_> = item.as_object().unwrap().keys().map(|method| method.to_uppercase()).collect();
        if methods.contains("GET") {
            methods.insert("HEAD".to_owned());
        }
        methods.insert("OPTIONS".to_owned());
        methods
    };
    paths.iter().map(|(path, item)| (path.replace(['{', '}'], ""), allowed(item))).collect()
}

fn allow(answer: &crate::support::Answer) -> BTreeSet<String> {
    answer.header("allow").unwrap_or_default().split(", ").map(str::to_owned).collect()
}

#[test]
fn a_method_that_the_path_lacks_is_refused_with_those_that_it_has() {
    let w = World::new();
    for (path, allowed) in paths() {
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"] {
            if allowed.contains(method) {
                continue;
            }
            let answer = w.owner.send(method, &path, None, b"");
            if method == "HEAD" {
                assert_eq!((answer.status, answer.body.len()), (405, 0), "{answer:?}");
            } else {
                hold(&answer);
                answer.refused(405, "method_not_allowed");
            }
            assert_eq!(allow(&answer), allowed, "{answer:?}");
        }
    }
}

#[test]
fn options_tells_the_methods() {
    for (path, allowed) in paths() {
        let answer = Client::nobody().options(&path);
        assert_eq!(answer.status, 204, "{answer:?}");
        hold(&answer);
        assert!(answer.body.is_empty(), "{answer:?}");
        assert_eq!(allow(&answer), allowed, "{answer:?}");
    }
}

#[test]
fn head_is_get_without_the_body() {
    let w = World::new();
    each(
        |operation| operation.method == "GET",
        |operation| {
            let request = prepared(&w, operation);
            let get = request.send();
            let head = request.client.head(&request.path);
            assert_eq!((head.status, head.body.len()), (get.status, 0), "{head:?}");
            let headers = |answer: &crate::support::Answer| {
                // The last one is a set, in whatever order.
                let of_the_request =
                    ["date", "x-request-id", "ratelimit", "connection", "access-control-expose-headers"];
                let mut headers: Vec<_> = answer
                    .headers
                    .iter()
                    .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
                    .filter(|(name, _)| !of_the_request.contains(&name.as_str()))
                    .collect();
                headers.sort();
                headers
            };
            assert_eq!(headers(&head), headers(&get));
        },
    );
}

#[test]
fn a_path_that_there_is_none_of_is_not_found() {
    let w = World::new();
    for path in [
        "/nothing",
        "/customers/",
        "//customers",
        "/customers/x/y/z",
        "//api/v2/customers",
        "//",
        "//API/v1/customers",
        "/Customers",
        "/../v1/customers/",
    ] {
        for client in [&*w.owner, &Client::nobody()] {
            let answer = client.get(path);
            answer.refused(404, "not_found");
        }
    }
}

#[test]
fn a_refusal_speaks_the_language_of_the_reader_and_keeps_its_code() {
    let w = World::new();
    each(
        |operation| operation.secured,
        |operation| {
            let request = prepared(&w, operation);
            let english = request.by(&Client::nobody()).send();
            let polish = request.by(&Client::nobody().with("Accept-Language", "pl-PL, pl;q=0.9, en;q=0.5")).send();
            hold(&polish);
            assert_eq!(english.header("content-language"), Some("en"), "{english:?}");
            assert_eq!(polish.header("content-language"), Some("pl"), "{polish:?}");
            let (english, polish) = (english.json(), polish.json());
            assert_eq!(english["code"], polish["code"]);
            assert_ne!(english["title"], polish["title"]);
            assert_ne!(english["detail"], polish["detail"]);
        },
    );
}

#[test]
fn a_request_keeps_its_own_id_and_the_callers_is_not_repeated() {
    let w = World::new();
    let answer = w.owner.with("X-Request-Id", "mine-1").get("/me");
    assert_ne!(answer.header("x-request-id"), Some("mine-1"));
    let again = w.owner.get("/me");
    assert_ne!(answer.header("x-request-id"), again.header("x-request-id"));
}

#[test]
fn a_header_that_is_too_long_is_refused() {
    let w = World::new();
    let answer = w.owner.with("X-Long", "a".repeat(17 * 1024)).get("/me");
    answer.refused(400, "malformed_request");
}

#[test]
fn what_lies_beside_the_contract_tells_its_methods_too() {
    let client = Client::nobody();
    for path in [
        "//health/live",
        "//health/ready",
        "//metrics",
        "//openapi.json",
        "//problems",
        "//problems/not_found",
        "//docs/",
    ] {
        let refused = client.send("POST", path, None, b"");
        refused.refused(405, "method_not_allowed");
        assert_eq!(refused.header("allow"), Some("GET, HEAD, OPTIONS"), "{path}");
        let options = client.options(path);
        assert_eq!((options.status, options.header("allow")), (204, Some("GET, HEAD, OPTIONS")), "{path}");
    }
    client.get("//health/nope").refused(404, "not_found");
}

#[test]
fn headers_in_several_lines_weights_and_regions_are_understood() {
    let w = World::new();
    for (languages, expected) in
        [("pl-PL", "pl"), ("PL", "pl"), ("pl;q=0, en", "en"), ("pl;q=0", "en"), ("de, en;q=0.1, pl;q=0.2", "pl")]
    {
        let answer = w.owner.with("Accept-Language", languages).get("/customers?nope=1");
        assert_eq!(answer.header("content-language"), Some(expected), "{languages}");
    }
    let gzipped =
        w.owner.with("Content-Encoding", "gzip").post("/customers", json!({ "kind": "company", "name": "A" }));
    gzipped.refused(415, "unsupported_media_type");
}

#[test]
fn a_made_up_method_opens_no_series_of_figures() {
    Client::nobody().send("BREW", "/customers", None, b"").refused(405, "method_not_allowed");
    let figures = Client::nobody().get("//metrics").text();
    assert!(figures.contains("method=\"other\"") && !figures.contains("BREW"), "{figures}");
}
