//! The operations of the contract that the server publishes, as the walks go through them.

use super::client::Client;
use jsonschema::Validator;
use serde_json::{Value, json};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::LazyLock;

/// A body of parts, of which one is a file.
pub const FORM_OF_PARTS: &str = "multipart/form-data";

/// One operation.
pub struct Operation {
    /// `GET`.
    pub method: String,
    /// `/api/v1/customers/{id}`.
    pub path: String,
    /// `get_customer`.
    pub id: String,
    /// `crm:read`; none where signing in is enough, or not needed, or where one of several is enough.
    pub scope: Option<String>,
    /// Those of which one is enough, where it is not a certain one.
    pub scopes: Vec<String>,
    pub secured: bool,
    /// All that the document says of it.
    pub value: Value,
}

/// The document that the server serves.
pub fn document() -> &'static Value {
    static DOCUMENT: LazyLock<Value> = LazyLock::new(|| Client::nobody().get("//openapi.json").expect(200).0);
    &DOCUMENT
}

/// Every operation of it.
pub fn operations() -> &'static [Operation] {
    static OPERATIONS: LazyLock<Vec<Operation>> = LazyLock::new(|| {
        let paths = document()["paths"].as_object().unwrap();
        paths.iter().flat_map(|(path, item)| operations_of(path, item)).collect()
    });
    &OPERATIONS
}

fn operations_of(path: &str, item: &Value) -> Vec<Operation> {
    let methods = item.as_object().unwrap().iter();
    methods
        .map(|(method, value)| Operation {
            method: method.to_uppercase(),
            path: path.to_owned(),
            id: value["operationId"].as_str().unwrap_or_default().to_owned(),
            scope: value["x-required-scope"].as_str().filter(|scope| scope.contains(':')).map(str::to_owned),
            scopes: value["x-required-scope"]
                .as_array()
                .map(|scopes| scopes.iter().map(|scope| scope.as_str().unwrap().to_owned()).collect())
                .unwrap_or_default(),
            secured: value["security"].as_array().is_some_and(|security| !security.is_empty()),
            value: value.clone(),
        })
        .collect()
}

impl Operation {
    pub fn parameters(&self) -> impl Iterator<Item = &Value> {
        self.value["parameters"].as_array().into_iter().flatten()
    }

    /// Those of the query.
    pub fn query(&self) -> impl Iterator<Item = &Value> {
        self.parameters().filter(|parameter| parameter["in"] == "query")
    }

    pub fn has(&self, parameter: &str) -> bool {
        self.parameters().any(|other| other["name"] == parameter)
    }

    /// The media types of its body with what is said of each; the one that is sent as a rule first. Not those of a form
    /// of parts, which is no JSON.
    pub fn bodies(&self) -> Vec<(&str, &Value)> {
        let contents = self.value["requestBody"]["content"].as_object().into_iter().flatten();
        let contents = contents.filter(|(media_type, _)| *media_type != FORM_OF_PARTS);
        contents.map(|(media_type, content)| (media_type.as_str(), content)).collect()
    }

    /// What is said of its body of parts.
    pub fn form(&self) -> Option<&Value> {
        self.value["requestBody"]["content"].get(FORM_OF_PARTS)
    }

    /// The media types of the answers that succeed.
    pub fn produces(&self) -> Vec<&str> {
        let responses = self.value["responses"].as_object().into_iter().flatten();
        let succeeding = responses.filter(|(status, _)| status.starts_with('2'));
        succeeding
            .flat_map(|(_, response)| response["content"].as_object().into_iter().flatten())
            .map(|(media_type, _)| media_type.as_str())
            .collect()
    }

    /// Whether the record itself decides who is answered, beyond any scope.
    pub fn has_object_rights(&self) -> bool {
        self.value["x-object-rights"] == true
    }

    /// Whether it answers with bytes of whatever type.
    pub fn answers_bytes(&self) -> bool {
        self.produces().contains(&"*/*")
    }

    /// Whether it answers with pages that are followed by a cursor.
    pub fn is_list(&self) -> bool {
        self.has("cursor")
    }
}

/// Holds every operation that `concerned` picks to a check, and fails when one fails, after all were tried.
#[track_caller]
#[expect(clippy::print_stdout, reason = "says below each failure which operation it was")]
pub fn each(concerned: impl Fn(&Operation) -> bool, check: impl Fn(&Operation)) {
    let concerned: Vec<_> = operations().iter().filter(|operation| concerned(operation)).collect();
    assert!(!concerned.is_empty(), "the check concerns no operation");
    let is_wrong = |operation: &&&Operation| {
        let passed = catch_unwind(AssertUnwindSafe(|| check(operation)));
        if passed.is_err() {
            println!("^ {} ({} {})\n", operation.id, operation.method, operation.path);
        }
        passed.is_err()
    };
    let wrong: Vec<_> = concerned.iter().filter(is_wrong).map(|operation| operation.id.as_str()).collect();
    assert!(wrong.is_empty(), "{} of {} operations: {}", wrong.len(), concerned.len(), wrong.join(", "));
}

/// The schema itself, where it is a reference to a component.
pub fn resolved(schema: &Value) -> &Value {
    match schema["$ref"].as_str() {
        Some(reference) => resolved(document().pointer(&reference[1..]).unwrap_or_else(|| panic!("{reference}"))),
        None => schema,
    }
}

/// What checks values against a schema of the document.
pub fn validator(schema: &Value) -> Validator {
    let root = json!({ "allOf": [schema], "components": { "schemas": document()["components"]["schemas"] } });
    jsonschema::options()
        .with_draft(jsonschema::Draft::Draft202012)
        .should_validate_formats(true)
        .should_ignore_unknown_formats(true)
        .build(&root)
        .unwrap_or_else(|error| panic!("{schema}: {error}"))
}

/// A pointer to each value within that is neither an object nor a list, with the value.
pub fn leaves(body: &Value) -> Vec<(String, &Value)> {
    fn walk<'v>(value: &'v Value, pointer: String, leaves: &mut Vec<(String, &'v Value)>) {
        match value {
            Value::Object(members) => {
                members.iter().for_each(|(name, value)| walk(value, format!("{pointer}/{name}"), leaves));
            }
            Value::Array(items) => {
                items.iter().enumerate().for_each(|(index, value)| walk(value, format!("{pointer}/{index}"), leaves));
            }
            _ => leaves.push((pointer, value)),
        }
    }
    let mut leaves = Vec::new();
    walk(body, String::new(), &mut leaves);
    leaves
}

/// The body with another value at a pointer.
pub fn replaced(body: &Value, pointer: &str, value: impl Into<Value>) -> Value {
    let mut body = body.clone();
    *body.pointer_mut(pointer).unwrap() = value.into();
    body
}
