//! API keys: how scripts sign in.

use crate::support::{Client, Server, World, count, now};
use chrono::TimeDelta;
use serde_json::{Value, json};
use std::sync::Arc;

fn key(scopes: &[&str]) -> Value {
    json!({ "name": "night run", "scopes": scopes })
}

#[test]
fn a_secret_is_shown_once() {
    let w = World::new();
    let answer = w.owner.post("/api-keys", key(&["crm:read"]));
    let made = answer.expect(201);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let parts: Vec<_> = made["secret"].as_str().unwrap().splitn(3, '_').collect();
    assert_eq!(parts[..2], ["opk", &made.id().replace('-', "")]);
    let random = parts[2];
    assert!(random.len() >= 43, "256 bits: {random}");

    let read = w.owner.get(&format!("/api-keys/{}", made.id())).expect(200);
    assert!(read.get("secret").is_none());
    assert!(!w.owner.get("/api-keys").text().contains(random));
    assert!(!w.owner.get("/audit-log?resource_type=api_key").text().contains(random));
    let rows = format!("api_keys where id = '{}'", made.id());
    assert_eq!(count(&rows), 1);
    assert_eq!(count(&format!("{rows} and api_keys::text like '%{random}%'")), 0, "the secret is in the database");
    assert_eq!(count(&format!("idempotency_keys where convert_from(body, 'UTF8') like '%{random}%'")), 0);
}

#[test]
fn a_repeat_does_not_show_the_secret_again() {
    let w = World::new();
    let client = w.owner.once("key-1");
    let first = client.post("/api-keys", key(&["crm:read"])).expect(201);
    let second = client.post("/api-keys", key(&["crm:read"])).expect(201);
    assert!(first["secret"].is_string() && second["secret"].is_null());
    assert_eq!(first.id(), second.id());
}

#[test]
fn a_key_signs_in_by_either_header() {
    let w = World::new();
    let secret = w.owner.post("/api-keys", key(&["crm:read"])).expect(201)["secret"].as_str().unwrap().to_owned();
    for client in [Client::nobody().bearer(&secret), Client::nobody().with("X-API-Key", &secret)] {
        let me = client.get("/me").expect(200);
        assert!(me["operator"].is_null());
        assert_eq!(me["permissions"], json!(["crm:read"]));
        assert_eq!(me["organization"]["id"], w.organization_id.to_string());
    }
    let without = &secret[.."opk_".len() + 32];
    for forged in [format!("{without}_guess"), format!("{secret}x"), secret.to_uppercase(), without.to_owned()] {
        Client::nobody().bearer(&forged).get("/me").refused(401, "unauthenticated");
        Client::nobody().with("X-API-Key", &forged).get("/me").refused(401, "unauthenticated");
    }
}

#[test]
fn a_key_may_what_its_scopes_say() {
    let w = World::new();
    let customer = json!({ "kind": "company", "name": "Nowa" });
    let reader = w.api_key(&["crm:read"]);
    reader.get("/customers").expect(200);
    assert_eq!(reader.post("/customers", &customer).refused(403, "scope_missing")["scope"], "crm:write");
    // To write is not to read.
    let writer = w.api_key(&["crm:write"]);
    writer.post("/customers", &customer).expect(201);
    assert_eq!(writer.get("/customers").refused(403, "scope_missing")["scope"], "crm:read");

    w.owner.at(1).patch(&format!("/api-keys/{}", reader.id), json!({ "scopes": ["billing:read"] })).expect(200);
    reader.get("/customers").refused(403, "scope_missing");
    reader.get("/invoices").expect(200);
}

#[test]
fn nobody_gives_what_they_lack() {
    let w = World::new();
    let admin = w.api_key(&["admin:read", "admin:write", "crm:read"]);
    let made = admin.post("/api-keys", key(&["crm:read", "admin:read"])).expect(201);
    let refused = admin.post("/api-keys", key(&["crm:read", "billing:write"]));
    refused.refused(422, "validation_failed");
    assert_eq!(refused.wrong(), ["/scopes beyond_giver"]);
    let more = admin.at(1).patch(&format!("/api-keys/{}", made.id()), json!({ "scopes": ["billing:write"] }));
    assert_eq!(more.wrong(), ["/scopes beyond_giver"]);
    for role in ["manager", "operator", "viewer"] {
        w.operator(role, "write", None).post("/api-keys", key(&["crm:read"])).refused(403, "scope_missing");
    }
    assert_eq!(w.count("api_keys"), 2);
}

#[test]
fn scopes_are_a_set() {
    let w = World::new();
    let made = w.owner.post("/api-keys", key(&["crm:write", "crm:read", "crm:write"])).expect(201);
    assert_eq!(made["scopes"], json!(["crm:read", "crm:write"]));
    assert_eq!(w.owner.post("/api-keys", key(&[])).wrong(), ["/scopes minItems"]);
    assert_eq!(w.owner.post("/api-keys", key(&["crm:delete"])).wrong(), ["/scopes/0 enum"]);
}

#[test]
fn a_key_stops_by_itself() {
    let w = World::new();
    let expires_at = now() + TimeDelta::days(1);
    let body = json!({ "name": "for a day", "scopes": ["crm:read"], "expires_at": expires_at });
    let made = w.owner.post("/api-keys", body).expect(201);
    let client = Client::nobody().bearer(made["secret"].as_str().unwrap());
    client.get("/customers").expect(200);
    let later = Server::start(move |settings| settings.clock = Arc::new(move || expires_at));
    client.on(&later).get("/customers").refused(401, "unauthenticated");
}

#[test]
fn a_revoked_key_stops_at_once_and_for_good() {
    let w = World::new();
    let key = w.api_key(&["crm:read"]);
    let path = format!("/api-keys/{}", key.id);
    assert_eq!(w.owner.at(1).delete(&path).status, 204);
    key.get("/customers").refused(401, "unauthenticated");
    let revoked = w.owner.get(&path).expect(200);
    assert!(revoked["revoked_at"].is_string());

    assert_eq!(w.owner.at(2).patch(&path, json!({ "name": "back" })).refused(409, "state_invalid")["state"], "revoked");
    assert_eq!(w.owner.at(2).delete(&path).status, 204, "it stays so");
    assert_eq!(w.owner.get(&path).expect(200), revoked);
    assert_eq!(w.changes("api_key.revoked"), 1);
    assert_eq!(w.owner.get("/api-keys").expect(200).items().len(), 0);
    assert_eq!(w.owner.get("/api-keys?include_revoked=true").expect(200).items().len(), 1);
}

#[test]
fn the_last_use_is_noted() {
    let w = World::new();
    let key = w.api_key(&["crm:read"]);
    let shown = || w.owner.get(&format!("/api-keys/{}", key.id)).expect(200);
    assert!(shown()["last_used_at"].is_null());
    key.get("/customers").expect(200);
    let first = shown()["last_used_at"].clone();
    assert!(first.is_string());
    key.get("/customers").expect(200);
    assert_eq!(shown()["last_used_at"], first, "not written for each request");
    assert_eq!(shown().version(), 1, "and it is no change of the key");
    let later = Server::start(|settings| settings.clock = Arc::new(|| now() + TimeDelta::minutes(2)));
    key.on(&later).get("/customers").expect(200);
    assert_ne!(shown()["last_used_at"], first);
}
