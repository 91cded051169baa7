//! What follows by rule from what the handlers say, written into the document once for all of them.

use super::examples::{self, Direction};
use super::{ContractError, METHODS, object, schemas};
use crate::expand;
use crate::problem::Code;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

const MERGE_PATCH: &str = "application/merge-patch+json";
/// Of the texts that a parameter takes several of, with commas between.
const LIST_ITEM_LENGTH_MAX: u64 = 120;

pub(super) fn finish(mut document: Value) -> Result<Value, ContractError> {
    document["jsonSchemaDialect"] = json!("https://spec.openapis.org/oas/3.1/dialect/base");
    name_pages(&mut document);
    complete_schemas(&mut document)?;
    let templates: Vec<String> = object(&document, "paths").map(|(path, _)| path.clone()).collect();
    for path in &templates {
        for (word, _) in &METHODS {
            if document["paths"][path].get(*word).is_some() {
                let mut operation = document["paths"][path][*word].take();
                complete(&mut operation, word, path, &document)
                    .map_err(|mistake| ContractError::new(format!("{word} {path}"), mistake))?;
                document["paths"][path][*word] = operation;
            }
        }
    }
    link_creates(&mut document, &templates);
    drop_unused_schemas(&mut document);
    add_components(&mut document);
    Ok(document)
}

/// `PageBody_Customer` is told to integrators as `CustomerPage`, a list of references to `Customer`.
fn name_pages(document: &mut Value) {
    let names: Vec<String> = object(&document["components"], "schemas").map(|(name, _)| name.clone()).collect();
    let renamed: BTreeMap<String, String> = names
        .into_iter()
        .filter_map(|name| {
            let item = name.strip_prefix("PageBody_")?;
            Some((name.clone(), format!("{item}Page")))
        })
        .collect();
    for name in renamed.keys() {
        let items = document.pointer_mut(&format!("/components/schemas/{name}/properties/items/items"));
        if let (Some(items), Some(item)) = (items, name.strip_prefix("PageBody_")) {
            *items = schemas::reference(item);
        }
    }
    rename_references(document, &renamed);
    if let Some(all) = document["components"]["schemas"].as_object_mut() {
        *all = std::mem::take(all)
            .into_iter()
            .map(|(name, schema)| (renamed.get(&name).cloned().unwrap_or(name), schema))
            .collect();
    }
}

fn rename_references(value: &mut Value, renamed: &BTreeMap<String, String>) {
    match value {
        Value::Object(members) => {
            for (member, value) in members {
                if member == "$ref"
                    && let Some(to) =
                        value.as_str().and_then(|r| r.rsplit('/').next()).and_then(|name| renamed.get(name))
                {
                    *value = json!(format!("#/components/schemas/{to}"));
                } else {
                    rename_references(value, renamed);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rename_references(item, renamed)),
        _ => {}
    }
}

/// Flat answers with every field required; a patch for each input that is patched.
fn complete_schemas(document: &mut Value) -> Result<(), ContractError> {
    let mut patched = BTreeSet::new();
    let mut sent = BTreeSet::new();
    let mut answered = BTreeSet::new();
    let mut all = match document["components"]["schemas"].take() {
        Value::Object(all) => all,
        _ => return Err(ContractError::new("components", "no schemas")),
    };
    for (_, item) in object(document, "paths") {
        for (word, _) in &METHODS {
            let Some(operation) = item.get(*word) else { continue };
            for (media_type, content) in object(&operation["requestBody"], "content") {
                schemas::reachable(&content["schema"], &all, &mut sent);
                if media_type == MERGE_PATCH
                    && let Some(name) = schemas::component_name(&content["schema"])
                {
                    patched.insert(name.to_owned());
                }
            }
            schemas::reachable(&operation["responses"], &all, &mut answered);
        }
    }
    for name in &sent {
        schemas::hoist_variants(name, &mut all);
    }
    for name in &sent {
        if let Some(schema) = all.get_mut(name) {
            schemas::keep_on_one_line(schema);
        }
    }
    for name in &patched {
        schemas::add_patch(name, &mut all);
    }
    let components = json!({ "schemas": all });
    for name in answered.difference(&sent) {
        if let Some(flat) = schemas::flatten(&components["schemas"][name], &components) {
            all.insert(name.clone(), flat);
        }
    }
    for name in answered.difference(&sent) {
        if let Some(schema) = all.get_mut(name) {
            schemas::require_all(schema);
        }
    }
    document["components"]["schemas"] = Value::Object(all);
    Ok(())
}

fn complete(operation: &mut Value, word: &str, path: &str, document: &Value) -> Result<(), String> {
    let components = &document["components"];
    let scope = require_scope(operation)?;
    let summary = operation["summary"].as_str().unwrap_or_default();
    let summary = summary.strip_suffix('.').unwrap_or(summary).to_owned();
    if summary.is_empty() || summary.len() > 60 {
        return Err(format!("a summary of 1 to 60 characters is needed, not {summary:?}"));
    }
    operation["summary"] = json!(summary);
    let parameters = parameters(operation, word, path, components);
    let has = |name: &str| parameters.iter().any(|parameter| parameter["name"] == name);
    let (conditional, guarded) = (word == "get" && has("If-None-Match"), has("If-Match"));
    let creates_only = word == "put" && has("If-None-Match");
    let (has_parameters, has_range) = (!parameters.is_empty(), has("Range"));
    operation["parameters"] = Value::Array(parameters);
    let takes_body = complete_request(operation, components);
    complete_answers(operation, word, conditional, components);

    let mut codes: Vec<Code> = Vec::new();
    if takes_body || has_parameters {
        codes.push(Code::MalformedRequest);
    }
    if has_parameters {
        codes.push(Code::ParameterInvalid);
    }
    let secured = operation["security"].as_array().is_some_and(|security| !security.is_empty());
    if secured {
        codes.extend([Code::Unauthenticated, Code::TokenExpired]);
    } else {
        codes.push(Code::Unauthenticated);
    }
    if scope.is_some() {
        codes.push(Code::ScopeMissing);
    }
    if secured && word != "get" {
        codes.push(Code::Forbidden);
    }
    if path.contains('{') || word == "delete" {
        codes.push(Code::NotFound);
    }
    codes.push(Code::NotAcceptable);
    if word == "post" {
        codes.extend([Code::IdempotencyInProgress, Code::IdempotencyKeyReused]);
    }
    if word != "get" {
        codes.extend([Code::Conflict, Code::Duplicate, Code::StateInvalid]);
    } else if operation["x-state-bound"] == true {
        // What can be read only of a record in some state: the handler says so.
        codes.push(Code::StateInvalid);
    }
    if guarded {
        codes.extend([Code::PreconditionFailed, Code::PreconditionRequired]);
    } else if creates_only {
        codes.push(Code::PreconditionFailed);
    }
    if takes_body {
        codes.extend([Code::BodyTooLarge, Code::UnsupportedMediaType, Code::ValidationFailed, Code::ReferenceNotFound]);
    }
    if operation["parameters"].as_array().is_some_and(|all| all.iter().any(|p| p["name"] == "cursor")) {
        codes.push(Code::CursorInvalid);
    }
    if has_range {
        codes.push(Code::RangeInvalid);
    }
    codes.extend([Code::RateLimited, Code::Internal, Code::Unavailable]);
    add_problems(operation, &codes);
    Ok(())
}

/// The scope that the handler's `security` names, told where machines look for it; keys are another way in.
fn require_scope(operation: &mut Value) -> Result<Option<String>, String> {
    let Some(alternatives) = operation.get("security").and_then(Value::as_array).cloned() else {
        return Err("no `security`: an operation says which scope it needs, or () for none".to_owned());
    };
    // utoipa writes `security(())` as one empty requirement: nobody need sign in.
    let ways: Vec<Value> = alternatives.iter().map(|it| &it["sign_in"]).filter(|it| it.is_array()).cloned().collect();
    let Some(scopes) = ways.first() else {
        operation["security"] = json!([]);
        operation["x-required-scope"] = json!("none");
        return Ok(None);
    };
    // What one way names is needed all together.
    let words: Vec<&str> = scopes.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let scope = (!words.is_empty()).then(|| words.join(" "));
    operation["x-required-scope"] = match ways.len() {
        1 => json!(scope.as_deref().unwrap_or("any")),
        // Any one of them is enough.
        _ => ways.iter().map(|scopes| scopes[0].clone()).collect(),
    };
    let ways = ways.iter().map(|scopes| json!({ "sign_in": scopes })).chain([json!({ "api_key": [] })]);
    operation["security"] = ways.collect();
    Ok(scope)
}

/// The handler's own parameters, and those that its path, method and answer call for.
fn parameters(operation: &mut Value, word: &str, path: &str, components: &Value) -> Vec<Value> {
    let mut parameters = match operation.get_mut("parameters").map(Value::take) {
        Some(Value::Array(given)) => given,
        _ => Vec::new(),
    };
    for parameter in &mut parameters {
        // An absent parameter is absent; there is no way to write null in a query.
        parameter["schema"] = schemas::without_null(&parameter["schema"]);
        if parameter["schema"]["type"] == "array" {
            parameter["style"] = json!("form");
            parameter["explode"] = json!(false);
            let items = &mut parameter["schema"]["items"];
            if items["type"] == "string"
                && ["enum", "format", "maxLength", "pattern"].iter().all(|it| items.get(it).is_none())
            {
                items["maxLength"] = json!(LIST_ITEM_LENGTH_MAX);
            }
        }
    }
    for name in path.split('{').skip(1).filter_map(|rest| rest.split('}').next()) {
        if !parameters.iter().any(|parameter| parameter["name"] == name && parameter["in"] == "path") {
            parameters.insert(
                0,
                json!({
                    "name": name, "in": "path", "required": true,
                    "description": "The record's id.",
                    "schema": { "type": "string", "format": "uuid" },
                    "example": "0192f0c1-7a10-7cc1-9d5e-0f3b8a61c2aa",
                }),
            );
        }
    }
    let answer = &operation["responses"]["200"]["content"]["application/json"]["schema"];
    let fields = schemas::record_properties(answer, components);
    let has = |field: &str| fields.iter().any(|name| name == field);
    let is_page = parameters.iter().any(|parameter| parameter["name"] == "cursor");
    let is_record = has("id") && has("version") && !is_page;
    // The calendar is no page, and its records have versions that it has not.
    let is_single = is_record && schemas::resolved(answer, components)["properties"]["id"].is_object();
    if word == "get" && (is_page || is_record) {
        let expandable = expand::paths(&fields);
        parameters.push(json!({
            "name": "fields", "in": "query", "required": false,
            "description": "Only these fields of each record; `id` always comes too.",
            "schema": { "type": "array", "items": { "type": "string", "enum": fields }, "minItems": 1, "maxItems": 50 },
            "style": "form", "explode": false,
        }));
        if !expandable.is_empty() {
            parameters.push(json!({
                "name": "expand", "in": "query", "required": false,
                "description": "Puts the whole record beside its id: `customer` beside `customer_id`. A dot leads one level further.",
                "schema": {
                    "type": "array", "items": { "type": "string", "enum": expandable }, "minItems": 1, "maxItems": 10,
                },
                "style": "form", "explode": false,
            }));
        }
    }
    // A record with a value that changes without it (today's rate, this month's next number) is always sent whole: its
    // version does not tell. The handler says so with `x-derived`.
    if word == "get" && is_single && operation["x-derived"] != true {
        parameters.push(json!({
            "name": "If-None-Match", "in": "header", "required": false,
            "description": "The `ETag` that you have: 304 if it is still the record's.",
            "schema": { "type": "string", "minLength": 1, "maxLength": 400 },
        }));
    }
    let secured = operation["security"].as_array().is_some_and(|security| !security.is_empty());
    // Without signing in, a handler knows whose the key is by the address, and says so.
    if word == "post" && (secured || operation["x-idempotent"] == true) {
        let required = operation["x-idempotency-required"] == true;
        parameters.push(json!({
            "name": "Idempotency-Key", "in": "header", "required": required,
            "description": "Your own name for this request, remembered for 24 hours: repeated with the same body, the first answer comes again (with `Idempotency-Replayed: true`) and nothing happens twice.",
            "schema": { "type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[ -~]+$" },
        }));
    }
    parameters
}

/// Points a merge patch at its schema and gives every body an example. Tells whether there is a body.
fn complete_request(operation: &mut Value, components: &Value) -> bool {
    let Some(contents) = operation["requestBody"]["content"].as_object_mut() else {
        if let Some(members) = operation.as_object_mut() {
            members.remove("requestBody");
        }
        return false;
    };
    for (media_type, content) in contents {
        if media_type == MERGE_PATCH
            && let Some(name) = schemas::component_name(&content["schema"])
        {
            let patch = format!("{}Patch", name.strip_suffix("Input").unwrap_or(name));
            content["schema"] = schemas::reference(&patch);
        }
        if content.get("example").is_none() {
            content["example"] = examples::of(&content["schema"], components, Direction::Request);
        }
    }
    true
}

/// Examples and headers of the answers that succeed.
fn complete_answers(operation: &mut Value, word: &str, conditional: bool, components: &Value) {
    let Some(responses) = operation["responses"].as_object_mut() else { return };
    for (status, response) in responses.iter_mut() {
        if response["description"].as_str().is_none_or(str::is_empty) {
            response["description"] = json!(match status.as_str() {
                "200" => "It is as asked.",
                "201" => "Made; `Location` is where it is.",
                "202" => "Taken on; `Location` is where to follow it.",
                "204" => "Done; there is nothing to tell.",
                _ => "See the status.",
            });
        }
        if let Some(contents) = response.get_mut("content").and_then(Value::as_object_mut) {
            for (media_type, content) in contents {
                if media_type == "application/json" && content.get("example").is_none() {
                    content["example"] = examples::of(&content["schema"], components, Direction::Response);
                }
            }
        }
        let mut headers = json!({
            "X-Request-Id": { "$ref": "#/components/headers/RequestId" },
            "RateLimit": { "$ref": "#/components/headers/RateLimit" },
            "RateLimit-Policy": { "$ref": "#/components/headers/RateLimitPolicy" },
        });
        let body = schemas::resolved(&response["content"]["application/json"]["schema"], components);
        let is_read = word == "get" && body["properties"]["version"].is_object();
        if is_read || status == "201" || (word == "patch" && status == "200") {
            headers["ETag"] = json!({ "$ref": "#/components/headers/ETag" });
        }
        if status == "201" || status == "202" {
            headers["Location"] = json!({ "$ref": "#/components/headers/Location" });
        }
        if word == "post" {
            headers["Idempotency-Replayed"] = json!({ "$ref": "#/components/headers/IdempotencyReplayed" });
        }
        // Those that the handler tells of itself come first.
        for (name, header) in object(response, "headers") {
            headers[name] = header.clone();
        }
        response["headers"] = headers;
    }
    if conditional {
        responses
            .insert("304".to_owned(), json!({ "description": "Not changed since the version of `If-None-Match`." }));
    }
}

/// A problem response for each status, which names its codes.
fn add_problems(operation: &mut Value, codes: &[Code]) {
    let mut by_status: BTreeMap<u16, Vec<&str>> = BTreeMap::new();
    for code in codes {
        by_status.entry(code.status()).or_default().push(code.as_str());
    }
    let Some(responses) = operation["responses"].as_object_mut() else { return };
    for (status, codes) in by_status {
        let words: Vec<String> = codes.iter().map(|code| format!("`{code}`")).collect();
        responses.entry(status.to_string()).or_insert(json!({
            "description": words.join(", "),
            "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
        }));
    }
}

/// From the answer of a create to what can be done with the new record.
fn link_creates(document: &mut Value, templates: &[String]) {
    for path in templates {
        let single = &document["paths"][format!("{path}/{{id}}")];
        let links: Map<String, Value> = METHODS
            .iter()
            .filter_map(|(word, _)| single[*word]["operationId"].as_str())
            .map(|id| (id.to_owned(), json!({ "operationId": id, "parameters": { "id": "$response.body#/id" } })))
            .collect();
        if links.is_empty() {
            continue;
        }
        for status in ["201", "202"] {
            let pointer = format!("/paths/{}/post/responses/{status}", path.replace('/', "~1"));
            if let Some(created) = document.pointer_mut(&pointer).and_then(Value::as_object_mut) {
                created.insert("links".to_owned(), Value::Object(links.clone()));
            }
        }
    }
}

/// What was only there to be flattened into an answer is no part of the contract.
fn drop_unused_schemas(document: &mut Value) {
    let paths = document["paths"].take();
    if let Some(all) = document["components"]["schemas"].as_object_mut() {
        let mut used = BTreeSet::new();
        schemas::reachable(&paths, all, &mut used);
        all.retain(|name, _| used.contains(name));
    }
    document["paths"] = paths;
}

fn add_components(document: &mut Value) {
    let text = |description: &str, pattern: &str| json!({ "description": description, "schema": { "type": "string", "maxLength": 400, "pattern": pattern } });
    document["components"]["headers"] = json!({
        "ETag": text("The version of the record, for `If-Match` and `If-None-Match`.", "^\"[0-9]+\"$"),
        "Location": text("Where the record is.", "^/"),
        "RequestId": text("The request's id in the server's log.", "^[0-9a-f-]{36}$"),
        "RateLimit": text("What is left of the quota, and in how many seconds it is whole again.", "^\"default\";r="),
        "RateLimitPolicy": text("The quota and its window in seconds.", "^\"default\";q="),
        "IdempotencyReplayed": text("`true` when this is the first answer again.", "^true$"),
    });
    let scopes: Map<String, Value> = opiekun_domain::permission::Permission::ALL
        .iter()
        .map(|permission| {
            let (area, action) = permission.as_str().split_once(':').unwrap_or_default();
            (
                permission.to_string(),
                json!(format!("{} of the area {area}", if action == "read" { "Reading" } else { "Changing" })),
            )
        })
        .collect();
    document["components"]["securitySchemes"] = json!({
        "sign_in": {
            "type": "oauth2",
            "description": "An operator's e-mail and password. Opiekun needs no client id: leave it empty.",
            "flows": { "password": { "tokenUrl": "/api/v1/auth/token", "refreshUrl": "/api/v1/auth/token", "scopes": scopes } },
        },
        "api_key": {
            "type": "apiKey", "in": "header", "name": "X-API-Key",
            "description": "A key from `POST /api/v1/api-keys`; `Authorization: Bearer` takes it too.",
        },
    });
}
