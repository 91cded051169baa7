//! Working on the document's schemas: following references, flattening, deriving patches.

use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

const SCHEMAS: &str = "#/components/schemas/";

/// The component that a reference names.
pub(super) fn component_name(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str()?.strip_prefix(SCHEMAS)
}

pub(super) fn reference(name: &str) -> Value {
    json!({ "$ref": format!("{SCHEMAS}{name}") })
}

/// The schema itself, where it is a reference to a component.
pub(super) fn resolved(schema: &Value, components: &Value) -> Value {
    match component_name(schema) {
        Some(name) => resolved(&components["schemas"][name], components),
        None => schema.clone(),
    }
}

/// The schema that holds unless the value is null.
pub(super) fn without_null(schema: &Value) -> Value {
    for union in ["oneOf", "anyOf"] {
        if let Some(branches) = schema[union].as_array() {
            let mut real = branches.iter().filter(|branch| branch["type"] != "null");
            if let (Some(only), None) = (real.next(), real.next()) {
                return only.clone();
            }
        }
    }
    let mut schema = schema.clone();
    if let Some(types) = schema["type"].as_array() {
        let real: Vec<_> = types.iter().filter(|word| *word != "null").cloned().collect();
        if let [only] = real.as_slice() {
            schema["type"] = only.clone();
        }
    }
    schema
}

fn is_nullable(schema: &Value) -> bool {
    schema["type"].as_array().is_some_and(|types| types.iter().any(|word| word == "null"))
        || ["oneOf", "anyOf"].iter().any(|union| {
            schema[*union].as_array().is_some_and(|branches| branches.iter().any(|branch| branch["type"] == "null"))
        })
}

fn nullable(schema: Value) -> Value {
    if is_nullable(&schema) {
        return schema;
    }
    match schema["type"].as_str() {
        Some(word) if schema.get("enum").is_none() => {
            let types = json!([word, "null"]);
            let mut schema = schema;
            schema["type"] = types;
            schema
        }
        _ => json!({ "oneOf": [{ "type": "null" }, schema] }),
    }
}

/// The properties of one record of an answer: of a page's items where the answer is a page, of the entries of a calendar.
pub(super) fn record_properties(schema: &Value, components: &Value) -> Vec<String> {
    let schema = resolved(schema, components);
    let records = ["items", "entries"].map(|name| &schema["properties"][name]);
    let record = match records.into_iter().find(|records| records["type"] == "array") {
        Some(records) => resolved(&records["items"], components),
        None => schema.clone(),
    };
    record["properties"].as_object().map(|properties| properties.keys().cloned().collect()).unwrap_or_default()
}

/// Puts an object composed with `allOf` (a body and what it embeds) into one flat schema.
pub(super) fn flatten(schema: &Value, components: &Value) -> Option<Value> {
    let parts = schema["allOf"].as_array()?;
    let mut properties = Map::new();
    let mut required = BTreeSet::new();
    for part in parts {
        let part = resolved(part, components);
        let part = flatten(&part, components).unwrap_or(part);
        for (name, property) in part["properties"].as_object()? {
            properties.insert(name.clone(), property.clone());
        }
        required.extend(part["required"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned));
    }
    let mut flat = json!({ "type": "object", "properties": properties, "required": required });
    if let Some(description) = schema.get("description") {
        flat["description"] = description.clone();
    }
    Some(flat)
}

/// Makes the variants of a tagged union schemas of their own, named by their titles and closed, told apart by the tag.
pub(super) fn hoist_variants(name: &str, schemas: &mut Map<String, Value>) {
    let Some(variants) = schemas.get(name).and_then(|schema| schema["oneOf"].as_array()).cloned() else { return };
    let mut references = Vec::new();
    let mut mapping = Map::new();
    let mut tag = None;
    for mut variant in variants {
        let Some(title) = variant["title"].as_str().map(str::to_owned) else { return };
        let named = variant["properties"].as_object().into_iter().flatten().find_map(|(property, schema)| {
            let words = schema["enum"].as_array()?;
            Some((property.clone(), words.first()?.as_str()?.to_owned())).filter(|_| words.len() == 1)
        });
        let Some((property, word)) = named else { return };
        variant["additionalProperties"] = json!(false);
        keep_on_one_line(&mut variant);
        schemas.insert(title.clone(), variant);
        references.push(reference(&title));
        mapping.insert(word, json!(format!("{SCHEMAS}{title}")));
        tag = Some(property);
    }
    if let (Some(tag), Some(union)) = (tag, schemas.get_mut(name)) {
        union["oneOf"] = Value::Array(references);
        union["discriminator"] = json!({ "propertyName": tag, "mapping": mapping });
    }
}

/// Longer texts may have several lines.
const LINE_LENGTH_MAX: u64 = 255;

/// Keeps line breaks and tabs out of texts that are short enough to be one line.
pub(super) fn keep_on_one_line(schema: &mut Value) {
    let is_text =
        schema["type"] == "string" || schema["type"].as_array().is_some_and(|all| all.contains(&json!("string")));
    let is_line = schema["maxLength"].as_u64().is_some_and(|length| length <= LINE_LENGTH_MAX);
    let is_free = ["pattern", "format", "enum"].iter().all(|keyword| schema.get(*keyword).is_none());
    if is_text && is_line && is_free {
        schema["pattern"] = json!(r"^[^\n\r\t]*$");
    }
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties.values_mut().for_each(keep_on_one_line);
    }
    if let Some(branches) = schema.get_mut("oneOf").and_then(Value::as_array_mut) {
        branches.iter_mut().for_each(keep_on_one_line);
    }
    if let Some(items) = schema.get_mut("items") {
        keep_on_one_line(items);
    }
}

/// Makes every property of an object required: an answer holds each, null where there is no value.
///
/// Except those that say they are not always there, by `x-optional` or `required = false` with `nullable = false`.
pub(super) fn require_all(schema: &mut Value) {
    let names: Option<Vec<Value>> = schema["properties"].as_object().map(|properties| {
        properties
            .iter()
            .filter(|(_, property)| property.get("x-optional").is_none())
            .map(|(name, _)| json!(name))
            .collect()
    });
    if let Some(names) = names {
        schema["required"] = Value::Array(names);
    }
}

/// The patch of an object (RFC 7396): every property may be absent, and null where it may be cleared.
///
/// Nested objects are merged in their turn, so that they get a patch of their own, added to `schemas`.
pub(super) fn add_patch(input: &str, schemas: &mut Map<String, Value>) -> String {
    let stem = input.strip_suffix("Input").unwrap_or(input);
    let name = format!("{stem}Patch");
    if schemas.contains_key(&name) {
        return name;
    }
    // Entered before its properties, which may lead back here.
    schemas.insert(name.clone(), Value::Null);
    let source = schemas.get(input).cloned().unwrap_or_default();
    let required: BTreeSet<String> = source["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|name| name.as_str().map(str::to_owned))
        .collect();
    let mut properties = Map::new();
    for (property, schema) in source["properties"].as_object().into_iter().flatten() {
        let mut merged = without_null(schema);
        if let Some(members) = merged.as_object_mut() {
            members.remove("default");
        }
        if let Some(nested) = component_name(&merged).map(str::to_owned)
            && schemas.get(&nested).is_some_and(|nested| nested["properties"].is_object())
        {
            merged = reference(&add_patch(&nested, schemas));
        }
        // There is nothing between true and false that null could mean.
        let stays = required.contains(property) || merged["type"] == "boolean";
        properties.insert(property.clone(), if stays { merged } else { nullable(merged) });
    }
    let patch = json!({
        "type": "object",
        "description": format!(
            "A JSON merge patch (RFC 7396) of `{input}`: an absent field stays as it is, null empties it."
        ),
        "properties": properties,
        "additionalProperties": false,
        "minProperties": 1,
    });
    schemas.insert(name.clone(), patch);
    name
}

/// The components that can be reached from a value of the document.
pub(super) fn reachable(value: &Value, schemas: &Map<String, Value>, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            if let Some(name) = component_name(value)
                && found.insert(name.to_owned())
                && let Some(schema) = schemas.get(name)
            {
                reachable(schema, schemas, found);
            }
            for member in members.values() {
                reachable(member, schemas, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| reachable(item, schemas, found)),
        _ => {}
    }
}
