//! The published contract: the OpenAPI document, and what is enforced by reading it.
//!
//! Handlers annotate what only they know. What follows by rule (problem responses, entity tags, patches, examples,
//! links) is added by [`finish`], once, so that no handler can forget it. The finished document is served and also
//! obeyed: [`Contract`] answers which operation a request is for and what its parameters and body must be.

mod examples;
mod finish;
mod schemas;
mod validate;

use crate::problem::Wrong;
use actix_web::http::Method;
use jsonschema::Validator;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

pub use validate::parameters_of;

/// The document and its operations, ready for look-up.
pub struct Contract {
    /// The bytes that `/openapi.json` serves and `openapi/openapi.json` holds.
    pub document: String,
    paths: matchit::Router<Arc<PathEntry>>,
}

/// One path template and its operations by method.
struct PathEntry {
    methods: BTreeMap<&'static str, Arc<Operation>>,
}

/// One operation as the document publishes it.
pub struct Operation {
    pub id: String,
    /// `POST /api/v1/customers`: what an idempotency key belongs to.
    pub route: String,
    /// Whether a caller must have signed in.
    pub secured: bool,
    /// By name: path, query and header parameters with the validators of their schemas.
    pub(crate) parameters: BTreeMap<String, Parameter>,
    /// By media type, for JSON and forms; empty where no body is taken.
    pub(crate) bodies: BTreeMap<String, Validator>,
    /// Where a form of parts is taken (`multipart/form-data`), which the handler reads itself: by name, the parts that
    /// are JSON.
    pub(crate) parts: Option<BTreeMap<String, Validator>>,
    pub body_required: bool,
    /// The media types of its successful answers.
    pub produces: Vec<String>,
}

/// One parameter.
pub(crate) struct Parameter {
    pub place: ParameterPlace,
    pub required: bool,
    pub schema: Value,
    pub validator: Validator,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ParameterPlace {
    Path,
    Query,
    Header,
}

/// What a path and method lead to.
pub enum Found {
    /// No such path.
    Nothing,
    /// The path exists, with these methods, `HEAD` and `OPTIONS` among them.
    OtherMethods(Vec<&'static str>),
    Operation {
        operation: Arc<Operation>,
        path_values: Vec<(String, String)>,
    },
}

/// The document could not be made into a contract: a mistake in an annotation, found at start.
#[derive(Debug, thiserror::Error)]
#[error("the contract of {place}: {mistake}")]
pub struct ContractError {
    pub place: String,
    pub mistake: String,
}

impl ContractError {
    pub(crate) fn new(place: impl Into<String>, mistake: impl ToString) -> Self {
        Self { place: place.into(), mistake: mistake.to_string() }
    }
}

/// A body of parts (RFC 7578), of which one may be of any size.
pub(crate) const FORM_OF_PARTS: &str = "multipart/form-data";

const METHODS: [(&str, Method); 5] = [
    ("get", Method::GET),
    ("post", Method::POST),
    ("put", Method::PUT),
    ("patch", Method::PATCH),
    ("delete", Method::DELETE),
];

impl Contract {
    /// Completes what the handlers registered and makes it enforceable.
    pub fn new(registered: &utoipa::openapi::OpenApi) -> Result<Self, ContractError> {
        let document = serde_json::to_value(registered).map_err(|error| ContractError::new("the document", error))?;
        let document = finish::finish(document)?;
        let mut text =
            serde_json::to_string_pretty(&document).map_err(|error| ContractError::new("the document", error))?;
        text.push('\n');
        let components = document.get("components").cloned().unwrap_or_default();
        let mut paths = matchit::Router::new();
        for (path, item) in object(&document, "paths") {
            let mut methods = BTreeMap::new();
            for (word, method) in &METHODS {
                if let Some(operation) = item.get(*word) {
                    let operation = Operation::read(method, path, operation, &components)?;
                    methods.insert(method_name(method), Arc::new(operation));
                }
            }
            paths
                .insert(path.as_str(), Arc::new(PathEntry { methods }))
                .map_err(|error| ContractError::new(path, error))?;
        }
        Ok(Self { document: text, paths })
    }

    /// Which operation a request is for. The edge has made a GET of a HEAD.
    pub fn find(&self, method: &Method, path: &str) -> Found {
        let Ok(matched) = self.paths.at(path) else {
            return Found::Nothing;
        };
        match matched.value.methods.get(method.as_str()) {
            Some(operation) => Found::Operation {
                operation: Arc::clone(operation),
                path_values: matched
                    .params
                    .iter()
                    .map(|(name, value)| (name.to_owned(), percent_decoded(value)))
                    .collect(),
            },
            None => Found::OtherMethods(matched.value.allowed()),
        }
    }
}

impl PathEntry {
    fn allowed(&self) -> Vec<&'static str> {
        let mut allowed: Vec<_> = self.methods.keys().copied().collect();
        if self.methods.contains_key("GET") {
            allowed.push("HEAD");
        }
        allowed.push("OPTIONS");
        allowed
    }
}

impl Operation {
    fn read(method: &Method, path: &str, value: &Value, components: &Value) -> Result<Self, ContractError> {
        let route = format!("{method} {path}");
        let id = value.get("operationId").and_then(Value::as_str).unwrap_or_default().to_owned();
        let mut parameters = BTreeMap::new();
        for parameter in value.get("parameters").and_then(Value::as_array).into_iter().flatten() {
            let name = parameter["name"].as_str().unwrap_or_default().to_owned();
            let place = match parameter["in"].as_str() {
                Some("path") => ParameterPlace::Path,
                Some("query") => ParameterPlace::Query,
                _ => ParameterPlace::Header,
            };
            let schema = schemas::resolved(&parameter["schema"], components);
            let validator = validate::compile(&schema, components)
                .map_err(|mistake| ContractError::new(format!("{route} {name}"), mistake))?;
            let required = parameter["required"] == true;
            parameters.insert(name, Parameter { place, required, schema, validator });
        }
        let mut bodies = BTreeMap::new();
        let mut parts = None;
        for (media_type, content) in object(&value["requestBody"], "content") {
            if media_type == FORM_OF_PARTS {
                parts = Some(json_parts(&content["schema"], components).map_err(|it| ContractError::new(&route, it))?);
            } else if let Some(schema) = content.get("schema") {
                let validator =
                    validate::compile(schema, components).map_err(|mistake| ContractError::new(&route, mistake))?;
                bodies.insert(media_type.clone(), validator);
            }
        }
        let mut produces = Vec::new();
        for (status, response) in object(value, "responses") {
            if !status.starts_with('2') {
                continue;
            }
            for (media_type, _) in object(response, "content") {
                if !produces.contains(media_type) {
                    produces.push(media_type.clone());
                }
            }
        }
        Ok(Self {
            id,
            route,
            secured: value["security"].as_array().is_some_and(|security| !security.is_empty()),
            parameters,
            bodies,
            parts,
            body_required: value["requestBody"]["required"] == true,
            produces,
        })
    }

    /// Whether a header is one of its parameters, and if so whether it must come.
    pub fn requires_header(&self, name: &str) -> Option<bool> {
        self.parameters
            .get(name)
            .filter(|parameter| parameter.place == ParameterPlace::Header)
            .map(|parameter| parameter.required)
    }

    /// Everything wrong with a body of a media type that the operation takes.
    pub fn violations(&self, media_type: &str, body: &Value) -> Vec<Wrong> {
        self.bodies.get(media_type).map(|validator| validate::violations(validator, body)).unwrap_or_default()
    }

    /// Everything wrong with a part of its form that is JSON.
    pub fn violations_of_part(&self, name: &str, part: &Value) -> Vec<Wrong> {
        let validator = self.parts.as_ref().and_then(|parts| parts.get(name));
        validator.map(|validator| validate::violations(validator, part)).unwrap_or_default()
    }
}

/// The parts of a form that are objects.
fn json_parts(schema: &Value, components: &Value) -> Result<BTreeMap<String, Validator>, String> {
    let mut parts = BTreeMap::new();
    for (name, part) in object(&schemas::resolved(schema, components), "properties") {
        let part = schemas::without_null(part);
        if schemas::resolved(&part, components)["type"] == "object" {
            parts.insert(name.clone(), validate::compile(&part, components)?);
        }
    }
    Ok(parts)
}

fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        _ => "DELETE",
    }
}

fn percent_decoded(value: &str) -> String {
    percent_encoding::percent_decode_str(value).decode_utf8_lossy().into_owned()
}

/// The members of an object's member that is an object; none where it is missing.
fn object<'a>(value: &'a Value, member: &str) -> impl Iterator<Item = (&'a String, &'a Value)> + use<'a> {
    value.get(member).and_then(Value::as_object).into_iter().flat_map(Map::iter)
}
