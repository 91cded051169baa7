//! Examples of whole bodies, put together from the examples of their fields, so that each is written once.

use super::schemas::{component_name, without_null};
use serde_json::{Map, Value, json};

/// Whether a body is one that is sent or one that is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// Only what is required or has an example of its own.
    Request,
    /// Every field.
    Response,
}

/// References may lead in circles.
const DEPTH_MAX: usize = 16;

/// An example of a schema.
pub(super) fn of(schema: &Value, components: &Value, direction: Direction) -> Value {
    example(schema, components, direction, 0).unwrap_or(Value::Null)
}

/// `None` where a request does better without the field.
fn example(schema: &Value, components: &Value, direction: Direction, depth: usize) -> Option<Value> {
    if depth > DEPTH_MAX {
        return None;
    }
    if let Some(given) = schema.get("example").or_else(|| schema["examples"].get(0)) {
        return Some(given.clone());
    }
    if let Some(name) = component_name(schema) {
        return example(&components["schemas"][name], components, direction, depth + 1);
    }
    if let Some(word) = schema["enum"].get(0) {
        return Some(word.clone());
    }
    for union in ["oneOf", "anyOf"] {
        if let Some(branches) = schema[union].as_array() {
            let real = without_null(schema);
            let branch = if &real == schema { branches.first()? } else { &real };
            return example(branch, components, direction, depth + 1);
        }
    }
    let real = without_null(schema);
    match real["type"].as_str()? {
        "object" => Some(object(&real, components, direction, depth)),
        "array" => {
            let item = example(&real["items"], components, direction, depth + 1);
            Some(Value::Array(item.into_iter().collect()))
        }
        "string" => match real["format"].as_str() {
            Some("uuid") => Some(json!("0192f0c1-7a10-7cc1-9d5e-0f3b8a61c2aa")),
            Some("date-time") => Some(json!("2026-11-23T09:15:00Z")),
            Some("date") => Some(json!("2026-11-23")),
            _ if real["pattern"].is_string() => None,
            _ => real["minLength"].as_u64().is_none_or(|least| least <= 4).then(|| json!("text")),
        },
        "integer" => Some(real.get("minimum").cloned().unwrap_or(json!(1))),
        "boolean" => Some(json!(true)),
        _ => None,
    }
}

fn object(schema: &Value, components: &Value, direction: Direction, depth: usize) -> Value {
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    // Of a patch nothing is required. It shows what a whole body must hold: within, all of that; at the top, what has
    // an example.
    let is_patch = schema.get("minProperties").is_some();
    let mut members = Map::new();
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let is_kept = is_patch && without_null(property) == *property;
        let is_exemplary = || {
            let component = component_name(property).map(|name| &components["schemas"][name]);
            // The body itself is one reference deep.
            depth > 1 || component.is_some_and(|it| it.get("example").is_some() && it["format"] != "uuid")
        };
        let wanted = match direction {
            Direction::Response => property.get("x-optional").is_none(),
            Direction::Request => {
                required.contains(&name.as_str()) || has_example(property, components, 0) || (is_kept && is_exemplary())
            }
        };
        if !wanted {
            continue;
        }
        // A field that can be without a value shows one only where somebody wrote what it looks like.
        let unset = direction == Direction::Response
            && &without_null(property) != property
            && !has_example(property, components, 0);
        match example(property, components, direction, depth + 1).filter(|_| !unset) {
            Some(value) => {
                members.insert(name.clone(), value);
            }
            None if direction == Direction::Response => {
                members.insert(name.clone(), Value::Null);
            }
            None => {}
        }
    }
    Value::Object(members)
}

/// Whether somebody wrote an example for this field, or for a field within it.
fn has_example(schema: &Value, components: &Value, depth: usize) -> bool {
    if depth > DEPTH_MAX {
        return false;
    }
    if schema.get("example").is_some() || schema.get("examples").is_some() {
        return true;
    }
    let real = without_null(schema);
    if let Some(name) = component_name(&real) {
        let component = &components["schemas"][name];
        // An optional decimal or word is left out unless the field itself shows one.
        return component["properties"].is_object() && has_example(component, components, depth + 1);
    }
    let properties = real["properties"].as_object().into_iter().flatten().map(|(_, property)| property);
    properties.into_iter().any(|property| has_example(property, components, depth + 1))
        || (real["items"].is_object() && has_example(&real["items"], components, depth + 1))
}
