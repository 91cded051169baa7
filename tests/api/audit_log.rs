//! The audit log: who changed what, when, from what to what.

use crate::support::{PASSWORD, Record, World, count, execute};
use serde_json::{Value, json};

fn entries(w: &World, query: &str) -> Vec<Record> {
    w.owner.get(&format!("/audit-log?{query}")).expect(200).items()
}

#[test]
fn a_change_is_told_with_what_was_and_what_is() {
    let w = World::new();
    let customer = w.customer().name("Przed").create();
    let path = format!("/customers/{}", customer.id());
    let answer = w.owner.at(1).patch(&path, json!({ "name": "Po" }));
    let [updated, created] = &entries(&w, &format!("resource_id={}", customer.id()))[..] else { panic!("not two") };

    assert_eq!((&created["action"], &updated["action"]), (&json!("created"), &json!("updated")));
    assert_eq!(updated["resource"], json!({ "type": "customer", "id": customer.id() }));
    assert_eq!(updated["actor"], json!({ "kind": "operator", "id": w.owner.id }));
    assert_eq!(updated["request_id"].as_str(), answer.header("x-request-id"));
    assert!(created["before"].is_null());
    assert_eq!(updated["before"], created["after"]);
    assert_eq!((&updated["before"]["name"], &updated["after"]["name"]), (&json!("Przed"), &json!("Po")));
    assert_eq!((&updated["before"]["version"], &updated["after"]["version"]), (&json!(1), &json!(2)));
}

#[test]
fn it_names_keys_and_the_system_as_well() {
    let w = World::new();
    let key = w.api_key(&["crm:write"]);
    let customer = key.post("/customers", json!({ "kind": "person", "name": "Jan" })).expect(201);
    let by_key = entries(&w, &format!("resource_id={}", customer.id()));
    assert_eq!(by_key[0]["actor"], json!({ "kind": "api_key", "id": key.id }));
    let by_system = entries(&w, "resource_type=organization");
    assert_eq!(by_system[0]["actor"], json!({ "kind": "system", "id": null }));
    assert!(by_system[0]["request_id"].is_null());
}

#[test]
fn what_is_refused_is_no_change() {
    let w = World::new();
    let customer = w.customer().create();
    let before = w.count("audit_entries");
    let path = format!("/customers/{}", customer.id());
    w.owner.at(7).patch(&path, json!({ "name": "Po" })).refused(412, "precondition_failed");
    w.owner.at(1).patch(&path, json!({ "name": "" })).refused(422, "validation_failed");
    w.owner.at(1).patch(&path, json!({ "caretaker_id": customer.id() })).refused(422, "reference_not_found");
    w.operator("viewer", "none", None).at(1).patch(&path, json!({ "name": "Po" })).refused(403, "scope_missing");
    let of_the_viewer = 2;
    assert_eq!(w.count("audit_entries"), before + of_the_viewer);
    assert_eq!(w.count("events"), w.count("audit_entries"), "an event each");
}

#[test]
fn filters_pick_entries() {
    let w = World::new();
    let operator = w.operator("operator", "none", None);
    let mine = w.customer().by(&operator).create();
    let other = w.customer().create();
    let ids = |query: &str| -> Vec<Value> {
        entries(&w, query).iter().map(|entry| entry["resource"]["id"].clone()).collect()
    };
    assert_eq!(ids(&format!("actor_id={}&action=created", operator.id)), [json!(mine.id())]);
    assert_eq!(ids("resource_type=customer"), [json!(other.id()), json!(mine.id())], "newest first");
    let moment = entries(&w, &format!("resource_id={}", other.id()))[0]["at"].as_str().unwrap().to_owned();
    assert_eq!(ids(&format!("resource_type=customer&at[gte]={moment}")), [json!(other.id())]);
    assert_eq!(ids(&format!("resource_type=customer&at[lt]={moment}")), [json!(mine.id())]);
}

#[test]
fn no_secret_is_written_down() {
    let w = World::new();
    let key = w.owner.post("/api-keys", json!({ "name": "k", "scopes": ["crm:read"] })).expect(201);
    let operator = w.operator("operator", "none", None);
    let body = json!({ "current_password": PASSWORD, "new_password": "canary-password-4711" });
    assert_eq!(operator.put("/me/password", body).status, 204);
    let random = key["secret"].as_str().unwrap().splitn(3, '_').last().unwrap();
    for secret in [random, "canary-password", PASSWORD, "argon2", "password_hash", "secret_hash", "token_hash"] {
        let rows = format!(
            "audit_entries where organization_id = '{}' and audit_entries::text like '%{secret}%'",
            w.organization_id
        );
        assert_eq!(count(&rows), 0, "{secret}");
    }
}

#[test]
fn nobody_rewrites_it() {
    let w = World::new();
    let of_this_world = format!("where organization_id = '{}'", w.organization_id);
    let before = w.count("audit_entries");
    for sql in [
        format!("update audit_entries set action = 'nothing' {of_this_world}"),
        format!("delete from audit_entries {of_this_world}"),
        "truncate audit_entries".to_owned(),
    ] {
        let refused = execute(&sql).unwrap_err().to_string();
        assert!(refused.contains("append-only"), "{sql}: {refused}");
    }
    assert_eq!(w.count("audit_entries"), before);
}
