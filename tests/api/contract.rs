//! The published contract.

use crate::support::Client;
use crate::support::operations::{Operation, document, each, operations, resolved, validator};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// `openapi/openapi.json`, checked in so that a change of the contract is seen in the diff.
fn checked_in() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../openapi/openapi.json")
}

#[test]
fn what_is_served_is_what_is_checked_in() {
    let served = Client::nobody().get("//openapi.json");
    served.expect(200);
    assert_eq!(served.text(), opiekun_http::contract().unwrap().document);
    if std::env::var_os("OPIEKUN_WRITE_CONTRACT").is_some() {
        std::fs::write(checked_in(), &served.body).unwrap();
    }
    assert!(
        served.body == std::fs::read(checked_in()).unwrap_or_default(),
        "openapi/openapi.json is not what is served. If the change is meant, write it anew: \
         OPIEKUN_WRITE_CONTRACT=1 cargo test -p opiekun-tests --test api -- contract"
    );
}

#[test]
fn it_is_a_document_of_openapi_3_1() {
    let document = document();
    assert_eq!(document["openapi"], "3.1.0");
    for member in ["title", "version", "description"] {
        assert!(document["info"][member].as_str().is_some_and(|text| !text.is_empty()), "info lacks {member}");
    }
    let mut wrong = Vec::new();
    look(document, String::new(), &mut |value, place| {
        if let Some(reference) = value["$ref"].as_str()
            && reference.strip_prefix('#').and_then(|pointer| document.pointer(pointer)).is_none()
        {
            wrong.push(format!("{place}: {reference} leads nowhere"));
        }
        if value.get("nullable").is_some() && !place.ends_with("/properties") {
            wrong.push(format!("{place}: `nullable` is of OpenAPI 3.0"));
        }
    });
    for (path, item) in document["paths"].as_object().unwrap() {
        let named: BTreeSet<_> = path.split('{').skip(1).filter_map(|rest| rest.split('}').next()).collect();
        for (method, operation) in item.as_object().unwrap() {
            let parameters: Vec<_> = operation["parameters"].as_array().into_iter().flatten().collect();
            let of_path: BTreeSet<_> = parameters
                .iter()
                .filter(|parameter| parameter["in"] == "path" && parameter["required"] == true)
                .map(|parameter| parameter["name"].as_str().unwrap())
                .collect();
            if of_path != named {
                wrong.push(format!("{method} {path}: its path parameters are {of_path:?}"));
            }
            let keys: BTreeSet<_> =
                parameters.iter().map(|parameter| (parameter["in"].as_str(), parameter["name"].as_str())).collect();
            if keys.len() != parameters.len() {
                wrong.push(format!("{method} {path}: a parameter twice"));
            }
            for (status, response) in operation["responses"].as_object().unwrap() {
                if response["description"].as_str().is_none_or(str::is_empty) {
                    wrong.push(format!("{method} {path}: {status} lacks a description"));
                }
                for link in response["links"].as_object().into_iter().flatten().map(|(_, link)| link) {
                    if !operations().iter().any(|operation| link["operationId"] == operation.id.as_str()) {
                        wrong.push(format!("{method} {path}: a link to {}", link["operationId"]));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_schema_is_one_of_its_dialect() {
    let mut wrong = Vec::new();
    for (name, schema) in document()["components"]["schemas"].as_object().unwrap() {
        if let Err(error) = jsonschema::meta::validate(schema) {
            wrong.push(format!("{name}: {error}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Everything within, with its place.
fn look(value: &Value, place: String, visit: &mut impl FnMut(&Value, &str)) {
    visit(value, &place);
    match value {
        Value::Object(members) => members.iter().for_each(|(name, member)| {
            // What an example holds is not of the document.
            if !matches!(name.as_str(), "example" | "examples") {
                look(member, format!("{place}/{name}"), visit);
            }
        }),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| look(item, format!("{place}/{index}"), visit));
        }
        _ => {}
    }
}

#[test]
fn every_operation_says_what_it_is() {
    let tags: BTreeSet<_> =
        document()["tags"].as_array().unwrap().iter().map(|tag| tag["name"].as_str().unwrap()).collect();
    each(
        |_| true,
        |operation| {
            let text = |member: &str| operation.value[member].as_str().unwrap_or_default().to_owned();
            let id = &operation.id;
            let is_word = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
            assert!(id.contains('_') && id.split('_').all(is_word), "the operationId {id:?} is not verb_noun");
            assert_eq!(operations().iter().filter(|other| other.id == *id).count(), 1, "{id} is not unique");
            let summary = text("summary");
            assert!((1..=60).contains(&summary.chars().count()) && !summary.ends_with('.'), "summary: {summary:?}");
            let description = text("description");
            assert!(description.len() > 10 && !description.starts_with(&summary), "description: {description:?}");
            let own: Vec<_> =
                operation.value["tags"].as_array().into_iter().flatten().map(|tag| tag.as_str().unwrap()).collect();
            assert!(own.len() == 1 && tags.contains(own[0]), "tags: {own:?}");
        },
    );
}

#[test]
fn every_tag_is_described_and_used() {
    for tag in document()["tags"].as_array().unwrap() {
        assert!(tag["description"].as_str().is_some_and(|text| !text.is_empty()), "{tag}");
        let is_used = operations().iter().any(|operation| operation.value["tags"][0] == tag["name"]);
        assert!(is_used, "{tag} is used by no operation");
    }
}

#[test]
fn every_operation_says_who_may() {
    let scopes =
        document()["components"]["securitySchemes"]["sign_in"]["flows"]["password"]["scopes"].as_object().unwrap();
    each(
        |_| true,
        |operation| {
            let required = operation.value["x-required-scope"].as_str().unwrap_or("several");
            let security = operation.value["security"].as_array().expect("no security");
            match required {
                "several" => {
                    let mut ways: Vec<_> =
                        operation.scopes.iter().map(|it| serde_json::json!({ "sign_in": [it] })).collect();
                    ways.push(serde_json::json!({ "api_key": [] }));
                    assert_eq!(*security, ways);
                    assert!(operation.scopes.iter().all(|it| scopes.contains_key(it) && it.ends_with(":write")));
                    assert_ne!(operation.method, "GET");
                }
                "none" => {
                    assert!(security.is_empty());
                    // Who signs in is nobody yet, and the address of a feed or form is the credential.
                    let is_meant = operation.path.starts_with("/api/v1/auth/")
                        || operation.path.starts_with("/api/v1/survey-forms/")
                        || operation.id == "read_calendar_feed";
                    assert!(is_meant, "open to nobody in particular");
                }
                "any" => assert_eq!(security[0]["sign_in"].as_array().unwrap().len(), 0),
                required => {
                    // All of them are needed; to what belongs to the first it reads or writes.
                    let words: Vec<&str> = required.split(' ').collect();
                    assert!(words.iter().all(|word| scopes.contains_key(*word)), "{required}");
                    assert_eq!(security[0]["sign_in"], serde_json::json!(words));
                    let is_read = words[0].ends_with(":read");
                    assert_eq!(operation.method == "GET", is_read, "{required} for {}", operation.method);
                }
            }
        },
    );
}

#[test]
fn every_operation_tells_its_refusals() {
    each(
        |_| true,
        |operation| {
            let responses = &operation.value["responses"];
            let mut expected = vec!["406", "429", "500", "503"];
            if operation.secured {
                expected.push("401");
            }
            if operation.scope.is_some() || !operation.scopes.is_empty() {
                expected.push("403");
            }
            if operation.path.contains('{') {
                expected.push("404");
            }
            if !operation.bodies().is_empty() || operation.form().is_some() {
                expected.extend(["400", "413", "415", "422"]);
            }
            if operation.has("If-Match") {
                expected.extend(["412", "428"]);
            }
            for status in expected {
                let schema = &responses[status]["content"]["application/problem+json"]["schema"];
                assert_eq!(schema["$ref"], "#/components/schemas/Problem", "{status}");
            }
            assert!(responses.as_object().unwrap().keys().any(|status| status.starts_with('2')));
        },
    );
}

/// What is put, patched or deleted without saying which version is meant, and why.
const WITHOUT_VERSION: &[(&str, &str)] = &[
    ("change_password", "says the password that it replaces"),
    ("put_invoice_ksef_number", "given once, and a repeat of the same number changes nothing"),
    ("put_customer_by_external_id", "an upsert: the other system's word counts"),
    ("start_timer", "one's own, and a repeat of the same word changes nothing"),
    ("stop_timer", "one's own, and there is one at most"),
];

#[test]
fn every_change_of_a_record_is_for_a_version() {
    each(
        |operation| ["PUT", "PATCH", "DELETE"].contains(&operation.method.as_str()),
        |operation| {
            let is_state = operation.method == "DELETE"
                && operations().iter().any(|other| other.path == operation.path && other.method == "POST");
            let is_excepted = WITHOUT_VERSION.iter().any(|(id, _)| *id == operation.id);
            assert_eq!(operation.has("If-Match"), !is_state && !is_excepted, "If-Match");
        },
    );
    for (id, _) in WITHOUT_VERSION {
        assert!(operations().iter().any(|operation| operation.id == *id), "{id} is no operation any more");
    }
}

#[test]
fn every_record_has_a_tag_to_be_read_by() {
    each(
        |operation| operation.method == "GET" && operation.path.ends_with("/{id}"),
        |operation| {
            // A record with a value that changes without it is always sent whole.
            let is_derived = operation.value["x-derived"] == true;
            assert_eq!(operation.has("If-None-Match"), !is_derived, "If-None-Match");
            assert!(operation.has("fields"), "fields");
        },
    );
}

#[test]
fn every_list_is_a_page() {
    each(
        |operation| operation.is_list(),
        |operation| {
            for name in ["limit", "cursor", "sort", "count", "fields"] {
                assert!(operation.has(name), "{name}");
            }
            let limit = operation.query().find(|parameter| parameter["name"] == "limit").unwrap();
            assert_eq!((&limit["schema"]["minimum"], &limit["schema"]["maximum"]), (&1.into(), &200.into()));
            let page = resolved(&operation.value["responses"]["200"]["content"]["application/json"]["schema"]);
            assert_eq!(page["required"], serde_json::json!(["items", "next_cursor"]));
            assert_eq!(page["properties"]["items"]["maxItems"], 200);
        },
    );
}

#[test]
fn paths_and_fields_are_spelt_as_agreed() {
    let is_kebab = |step: &str| step.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    let is_snake =
        |name: &str| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    let mut wrong = Vec::new();
    for operation in operations() {
        let steps = operation.path.strip_prefix("/api/v1/").unwrap().split('/');
        let is_spelt =
            |step: &str| is_kebab(step) || is_snake(step.strip_suffix(".ics").unwrap_or(step).trim_matches(['{', '}']));
        if !steps.clone().all(is_spelt) || steps.count() > 3 {
            wrong.push(operation.path.clone());
        }
        for parameter in operation.query() {
            let name = parameter["name"].as_str().unwrap();
            if !is_snake(name.split('[').next().unwrap()) {
                wrong.push(format!("{}: {name}", operation.id));
            }
        }
    }
    for (name, schema) in document()["components"]["schemas"].as_object().unwrap() {
        for (property, schema) in schema["properties"].as_object().into_iter().flatten() {
            if !is_snake(property) {
                wrong.push(format!("{name}.{property}"));
            }
            let format = resolved(schema)["format"].as_str();
            // What stands in the calendar is told by the words that calendars use.
            if format == Some("date-time") && matches!(property.as_str(), "start" | "end" | "from" | "to") {
                continue;
            }
            if (format == Some("date-time")) != property.ends_with("_at") && property != "at" && format.is_some() {
                wrong.push(format!("{name}.{property}: a moment ends in _at"));
            }
            if format == Some("date") && !property.ends_with("_on") && !matches!(property.as_str(), "from" | "to") {
                wrong.push(format!("{name}.{property}: a day ends in _on"));
            }
            if schema["type"] == "number" {
                wrong.push(format!("{name}.{property}: no JSON numbers but integers"));
            }
            if schema["type"] == serde_json::json!(["boolean", "null"]) {
                wrong.push(format!("{name}.{property}: no boolean may be null"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn examples_fit_their_schemas() {
    each(
        |_| true,
        |operation| {
            for (media_type, content) in operation.bodies() {
                fits(media_type, content);
            }
            for (status, response) in operation.value["responses"].as_object().unwrap() {
                for (media_type, content) in response["content"].as_object().into_iter().flatten() {
                    if status.starts_with('2') && media_type == "application/json" {
                        fits(&format!("{status} {media_type}"), content);
                    }
                }
            }
        },
    );
}

#[track_caller]
fn fits(place: &str, content: &Value) {
    let example = content.get("example").unwrap_or_else(|| panic!("{place}: no example"));
    let wrong: Vec<_> = validator(&content["schema"])
        .iter_errors(example)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(wrong.is_empty(), "{place}: {wrong:#?}\n{example}");
}

#[test]
fn what_is_sent_has_bounds() {
    each(
        |_| true,
        |operation| {
            let mut unbounded = Vec::new();
            for parameter in operation.parameters() {
                bounds(&parameter["schema"], parameter["name"].as_str().unwrap(), &mut unbounded, 0);
            }
            for (_, content) in operation.bodies() {
                bounds(&content["schema"], "", &mut unbounded, 0);
            }
            assert!(unbounded.is_empty(), "{unbounded:#?}");
        },
    );
}

#[test]
fn what_is_answered_has_bounds() {
    each(
        |_| true,
        |operation: &Operation| {
            let mut unbounded = Vec::new();
            for (status, response) in operation.value["responses"].as_object().unwrap() {
                if status.starts_with('2') && response["content"]["application/json"].is_object() {
                    bounds(&response["content"]["application/json"]["schema"], "", &mut unbounded, 0);
                }
            }
            // Numbers that we make need no bound that a client could rely on; texts and lists do.
            unbounded.retain(|place| !place.ends_with("an integer without bounds"));
            assert!(unbounded.is_empty(), "{unbounded:#?}");
        },
    );
}

/// Texts, lists and integers that may be of any size.
fn bounds(schema: &Value, place: &str, unbounded: &mut Vec<String>, depth: usize) {
    if depth > 10 {
        return;
    }
    let schema = resolved(schema);
    let is = |word: &str| {
        schema["type"] == word || schema["type"].as_array().is_some_and(|all| all.iter().any(|one| one == word))
    };
    let has = |names: &[&str]| names.iter().any(|name| schema.get(name).is_some());
    if is("string")
        && !has(&["maxLength", "enum", "const"])
        && !["uuid", "date", "date-time"].iter().any(|format| schema["format"] == *format)
        && !schema["pattern"].as_str().is_some_and(is_bounded)
    {
        unbounded.push(format!("{place}: a text without bounds: {schema}"));
    }
    if is("array") && !has(&["maxItems"]) {
        unbounded.push(format!("{place}: a list without bounds"));
    }
    if is("integer") && !(has(&["minimum"]) && has(&["maximum"])) && !has(&["enum"]) {
        unbounded.push(format!("{place}: an integer without bounds"));
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        bounds(property, &format!("{place}/{name}"), unbounded, depth + 1);
    }
    if schema["items"].is_object() {
        bounds(&schema["items"], &format!("{place}/*"), unbounded, depth + 1);
    }
    for union in ["oneOf", "anyOf", "allOf"] {
        for branch in schema[union].as_array().into_iter().flatten() {
            bounds(branch, place, unbounded, depth + 1);
        }
    }
}

/// Whether a pattern ends somewhere: anchored at both ends, nothing in it for ever.
fn is_bounded(pattern: &str) -> bool {
    let operators = pattern.replace(r"\*", "").replace(r"\+", "");
    operators.starts_with('^')
        && operators.ends_with('$')
        && !operators.contains(['*', '+'])
        && !operators.contains(",}")
}
