//! Checking what came against the published schemas, and saying all that is wrong in one go.

use super::{Operation, ParameterPlace};
use crate::problem::{Place, Wrong};
use actix_web::http::header::HeaderMap;
use chrono::{DateTime, Datelike, TimeDelta, Timelike};
use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{PatternOptions, ValidationError, Validator};
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use unicode_normalization::UnicodeNormalization;

/// A validator of one schema that may refer to the document's components.
pub(super) fn compile(schema: &Value, components: &Value) -> Result<Validator, String> {
    // Not all components: a validator keeps those that it is given, and there are hundreds of validators.
    let mut named = Map::new();
    name_components(schema, components, &mut named);
    let root = if named.is_empty() {
        schema.clone()
    } else {
        json!({ "allOf": [schema], "components": { "schemas": named } })
    };
    jsonschema::options()
        .with_draft(jsonschema::Draft::Draft202012)
        .should_validate_formats(true)
        .should_ignore_unknown_formats(true)
        .with_format("date-time", is_moment)
        .with_format("email", is_address)
        // The engine without backtracking: its time is linear in the text, whoever sends it.
        .with_pattern_options(PatternOptions::regex())
        .build(&root)
        .map_err(|error| error.to_string())
}

/// Whether a text is a moment (RFC 3339) that is one in UTC too: `9999-12-31T23:59:59-01:00` has no year to be told in.
fn is_moment(text: &str) -> bool {
    let is_written_out = text.as_bytes().get(10).is_some_and(|between| matches!(between, b'T' | b't'));
    is_written_out
        && DateTime::parse_from_rfc3339(text).is_ok_and(|moment| {
            // A leap second at the end of a year belongs, as it is kept, to the next one.
            let moment = moment.to_utc();
            let moment = if moment.nanosecond() >= 1_000_000_000 { moment + TimeDelta::seconds(1) } else { moment };
            (0..=9999).contains(&moment.year())
        })
}

/// Whether a text is an address that mail can be sent to: without a name before it, without quotes, at a domain by name.
fn is_address(text: &str) -> bool {
    const LOCAL_LENGTH_MAX: usize = 64;
    const LABEL_LENGTH_MAX: usize = 63;
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let is_atom = |atom: &str| {
        !atom.is_empty() && atom.chars().all(|it| it.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(it))
    };
    let is_label = |label: &str| {
        (1..=LABEL_LENGTH_MAX).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|it| it.is_ascii_alphanumeric() || it == '-')
    };
    local.len() <= LOCAL_LENGTH_MAX && local.split('.').all(is_atom) && domain.split('.').all(is_label)
}

/// Gathers the components that a schema refers to, and those that they refer to.
fn name_components(schema: &Value, components: &Value, named: &mut Map<String, Value>) {
    match schema {
        Value::Object(members) => {
            let name =
                members.get("$ref").and_then(Value::as_str).and_then(|it| it.strip_prefix("#/components/schemas/"));
            if let Some(name) = name.filter(|name| !named.contains_key(*name)) {
                let component = &components["schemas"][name];
                named.insert(name.to_owned(), component.clone());
                name_components(component, components, named);
            }
            members.values().for_each(|value| name_components(value, components, named));
        }
        Value::Array(items) => items.iter().for_each(|item| name_components(item, components, named)),
        _ => {}
    }
}

/// Everything that is wrong with a body, by JSON Pointer.
pub(super) fn violations(validator: &Validator, body: &Value) -> Vec<Wrong> {
    let mut wrong = Vec::new();
    for error in validator.iter_errors(body) {
        explain(&error, &mut wrong);
    }
    wrong
}

/// Headers whose absence or form has a code of its own, given by those who read them.
const READ_ELSEWHERE: [&str; 2] = ["If-Match", "Idempotency-Key"];

/// Everything that is wrong with the parameters of a request: unknown and repeated names too.
///
/// Gives back the query's pairs.
pub fn parameters_of(
    operation: &Operation,
    path_values: &[(String, String)],
    query: &str,
    headers: &HeaderMap,
) -> Result<Vec<(String, String)>, Vec<Wrong>> {
    let mut wrong = Vec::new();
    for (name, parameter) in &operation.parameters {
        if parameter.place == ParameterPlace::Header
            && !READ_ELSEWHERE.contains(&name.as_str())
            && let Some(value) = headers.get(name.as_str())
        {
            check(operation, ParameterPlace::Header, name, &String::from_utf8_lossy(value.as_bytes()), &mut wrong);
        }
    }
    for (name, value) in path_values {
        check(operation, ParameterPlace::Path, name, value, &mut wrong);
    }
    let pairs: Vec<(String, String)> = serde_urlencoded::from_str(query).unwrap_or_default();
    // As the texts that they are compared with.
    let composed = |(name, value): (String, String)| (name, value.nfc().collect());
    let pairs: Vec<(String, String)> = pairs.into_iter().map(composed).collect();
    for (index, (name, value)) in pairs.iter().enumerate() {
        if pairs.iter().take(index).any(|(earlier, _)| earlier == name) {
            wrong.push(Wrong::parameter(name, "repeated", "May be given once"));
        } else {
            check(operation, ParameterPlace::Query, name, value, &mut wrong);
        }
    }
    for (name, parameter) in &operation.parameters {
        let given = || pairs.iter().any(|(given, _)| given == name);
        if parameter.place == ParameterPlace::Query && parameter.required && !given() {
            wrong.push(Wrong::parameter(name, "required", "Is required"));
        }
    }
    if wrong.is_empty() { Ok(pairs) } else { Err(wrong) }
}

fn check(operation: &Operation, place: ParameterPlace, name: &str, value: &str, wrong: &mut Vec<Wrong>) {
    let Some(parameter) = operation.parameters.get(name).filter(|parameter| parameter.place == place) else {
        // What the caller made up is not repeated whole: a name is told so far as it can be one of ours.
        let name: String = name.chars().filter(|c| c.is_ascii_graphic()).take(60).collect();
        wrong.push(Wrong::parameter(name, "unknown", "No such parameter; see the operation's documentation"));
        return;
    };
    if value.chars().any(char::is_control) {
        wrong.push(Wrong::parameter(name, "control_character", "Holds a control character"));
        return;
    }
    if value.contains(char::REPLACEMENT_CHARACTER) {
        // What stands for bytes that are no text: different ones would all read the same.
        wrong.push(Wrong::parameter(name, "encoding", "Is not UTF-8"));
        return;
    }
    let value = typed(&parameter.schema, value);
    if let Some(error) = parameter.validator.iter_errors(&value).next() {
        let mut found = Vec::new();
        explain(&error, &mut found);
        if let Some(first) = found.into_iter().next() {
            let place = match place {
                ParameterPlace::Header => Place::Header(name.to_owned()),
                ParameterPlace::Path | ParameterPlace::Query => Place::Parameter(name.to_owned()),
            };
            wrong.push(Wrong { place, ..first });
        }
    }
}

/// A parameter's text as the JSON value that its schema speaks of.
fn typed(schema: &Value, text: &str) -> Value {
    match schema["type"].as_str() {
        Some("integer") => text.parse::<i64>().map_or_else(|_| text.into(), Value::from),
        Some("boolean") => text.parse::<bool>().map_or_else(|_| text.into(), Value::from),
        Some("array") => text.split(',').map(|item| typed(&schema["items"], item)).collect(),
        _ => text.into(),
    }
}

/// Turns one error of the schema into what the caller is told, which never holds the rejected value.
fn explain(error: &ValidationError<'_>, wrong: &mut Vec<Wrong>) {
    let pointer = error.instance_path().as_str().to_owned();
    let tell = |code: &'static str, detail: Cow<'static, str>, params: Option<Value>| Wrong {
        params,
        ..Wrong::field(pointer.clone(), code, detail)
    };
    use ValidationErrorKind as Kind;
    let told = match error.kind() {
        Kind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            Wrong::field(format!("{pointer}/{}", escaped(name)), "required", "Is required")
        }
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            for name in unexpected {
                wrong.push(Wrong::field(format!("{pointer}/{}", escaped(name)), "unknown", "No such field"));
            }
            return;
        }
        Kind::MaxLength { limit } => {
            tell("maxLength", format!("At most {limit} characters").into(), Some(json!({ "maxLength": limit })))
        }
        Kind::MinLength { limit } => {
            tell("minLength", format!("At least {limit} characters").into(), Some(json!({ "minLength": limit })))
        }
        Kind::MaxItems { limit } => {
            tell("maxItems", format!("At most {limit} items").into(), Some(json!({ "maxItems": limit })))
        }
        Kind::MinItems { limit } => {
            tell("minItems", format!("At least {limit} items").into(), Some(json!({ "minItems": limit })))
        }
        Kind::MinProperties { .. } => tell("minProperties", "Must hold at least one field".into(), None),
        Kind::Maximum { limit } => {
            tell("maximum", format!("At most {limit}").into(), Some(json!({ "maximum": limit })))
        }
        Kind::Minimum { limit } => {
            tell("minimum", format!("At least {limit}").into(), Some(json!({ "minimum": limit })))
        }
        Kind::Pattern { pattern } => {
            tell("pattern", "Does not have the required form".into(), Some(json!({ "pattern": pattern })))
        }
        Kind::Format { format } => {
            tell("format", format!("Must be of the format {format}").into(), Some(json!({ "format": format })))
        }
        Kind::Enum { options } => {
            tell("enum", "Must be one of the published values".into(), Some(json!({ "enum": options })))
        }
        Kind::UniqueItems => tell("uniqueItems", "Items must differ".into(), None),
        Kind::Type { kind } => {
            let types = match kind {
                TypeKind::Single(one) => vec![one.to_string()],
                TypeKind::Multiple(many) => many.iter().map(|one| one.to_string()).collect(),
            };
            let detail = format!("Must be of type {}", types.join(" or "));
            tell("type", detail.into(), Some(json!({ "type": types })))
        }
        // Of a nullable object, or a union told apart by its tag, the branch that was meant is explained.
        Kind::AnyOf { context } | Kind::OneOfNotValid { context } => {
            if let Some(branch) = meant(context) {
                for error in branch {
                    explain(error, wrong);
                }
                return;
            }
            tell("oneOf", "Fits none of the published variants".into(), None)
        }
        other => Wrong::field(pointer.clone(), other.keyword().to_owned(), "Does not fit the published schema"),
    };
    wrong.push(told);
}

/// The branch with errors deepest inside: one that fails at the value's own type or tag was not meant.
fn meant<'a>(context: &'a [Vec<ValidationError<'static>>]) -> Option<&'a Vec<ValidationError<'static>>> {
    context
        .iter()
        .filter(|branch| {
            !branch.is_empty()
                && !branch.iter().any(|error| {
                    matches!(error.kind(), ValidationErrorKind::Type { .. } if error.instance_path() == branch[0].instance_path())
                        || is_tag(error.kind())
                })
        })
        .min_by_key(|branch| branch.len())
}

/// Whether it is the tag of another variant that was refused: a tag has one value in each.
fn is_tag(kind: &ValidationErrorKind) -> bool {
    match kind {
        ValidationErrorKind::Constant { .. } => true,
        ValidationErrorKind::Enum { options } => options.as_array().is_some_and(|options| options.len() == 1),
        _ => false,
    }
}

/// A name as a token of a JSON Pointer (RFC 6901), cut short if a caller made up a long one.
fn escaped(name: &str) -> String {
    name.chars().take(120).collect::<String>().replace('~', "~0").replace('/', "~1")
}
