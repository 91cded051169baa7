//! Operators: who works here, and who stands above whom.

use crate::support::{Caller, PASSWORD, World, at_once};
use serde_json::{Value, json};
use uuid::Uuid;

fn path(operator: &Caller) -> String {
    format!("/operators/{}", operator.id)
}

fn under(supervisor: &Caller) -> Value {
    json!({ "supervisor_id": supervisor.id })
}

#[test]
fn a_new_operator_signs_in_with_the_password_that_it_was_given() {
    let w = World::new();
    let email = format!("Jan.{}@test.example", Uuid::now_v7().simple());
    let body = json!({ "email": email, "full_name": "Jan Kowalski", "role": "operator", "password": PASSWORD });
    let made = w.owner.post("/operators", body).expect(201);
    assert_eq!((&made["billing"], &made["active"], &made["locale"]), (&json!("none"), &json!(true), &json!("pl")));
    assert!(made.get("password").is_none() && made.get("password_hash").is_none());
    let grant = json!({ "grant_type": "password", "username": email, "password": PASSWORD });
    let token = crate::support::Client::nobody().post("/auth/token", grant).expect(200);
    let me = crate::support::Client::nobody().bearer(token["access_token"].as_str().unwrap()).get("/me").expect(200);
    assert_eq!(me["operator"], made.0);
    assert_eq!(me["permissions"], json!(["crm:read", "crm:write", "knowledge:read", "knowledge:write"]));
}

#[test]
fn roles_and_the_billing_right_give_scopes() {
    let w = World::new();
    for (role, billing, expected) in [
        ("viewer", "none", vec!["crm:read", "knowledge:read"]),
        ("viewer", "read", vec!["crm:read", "knowledge:read", "billing:read"]),
        (
            "operator",
            "write",
            vec!["crm:read", "crm:write", "knowledge:read", "knowledge:write", "billing:read", "billing:write"],
        ),
        ("manager", "none", vec!["crm:read", "crm:write", "knowledge:read", "knowledge:write", "reports:read"]),
    ] {
        let me = w.operator(role, billing, None).get("/me").expect(200);
        assert_eq!(me["permissions"], json!(expected), "{role} {billing}");
    }
    assert_eq!(w.owner.get("/me").expect(200)["permissions"].as_array().unwrap().len(), 11);
}

#[test]
fn an_address_signs_in_to_one_organization() {
    let (w, other) = (World::new(), World::new());
    let body = json!({ "email": other.owner.email.to_uppercase(), "full_name": "Twice", "role": "viewer" });
    let refused = w.owner.post("/operators", body);
    refused.refused(409, "duplicate");
    assert_eq!(refused.wrong(), ["/email duplicate"]);
    assert_eq!(w.count("operators"), 1);
}

#[test]
fn nobody_stands_above_itself() {
    let w = World::new();
    let top = w.operator("manager", "none", None);
    let middle = w.operator("manager", "none", Some(&top));
    let bottom = w.operator("operator", "none", Some(&middle));
    for (operator, supervisor) in [(&top, &top), (&top, &middle), (&top, &bottom), (&middle, &bottom)] {
        let refused = w.owner.at(1).patch(&path(operator), under(supervisor));
        refused.refused(422, "validation_failed");
        assert_eq!(refused.wrong(), ["/supervisor_id cycle"]);
    }
    assert_eq!(w.owner.get(&path(&top)).expect(200)["supervisor_id"], Value::Null);
    assert_eq!(w.changes("operator.updated"), 0);
    w.owner.at(1).patch(&path(&bottom), under(&top)).expect(200);
    w.owner.at(1).patch(&path(&middle), under(&bottom)).expect(200);
}

#[test]
fn two_who_are_put_above_each_other_at_once_do_not_make_a_circle() {
    for _ in 0..5 {
        let w = World::new();
        let ring: Vec<_> = (0..4).map(|_| w.operator("manager", "none", None)).collect();
        let answers = at_once(4, |turn| w.owner.at(1).patch(&path(&ring[turn]), under(&ring[(turn + 1) % 4])));
        let refused: Vec<_> = answers.iter().filter(|answer| answer.status != 200).collect();
        assert_eq!(refused.len(), 1, "one of the four closes the circle: {answers:#?}");
        assert_eq!(refused[0].wrong(), ["/supervisor_id cycle"]);
    }
}

#[test]
fn a_supervisor_is_somebody_of_the_organization() {
    let (w, other) = (World::new(), World::new());
    let operator = w.operator("operator", "none", None);
    for id in [other.owner.id, Uuid::now_v7()] {
        let refused = w.owner.at(1).patch(&path(&operator), json!({ "supervisor_id": id }));
        refused.refused(422, "reference_not_found");
        assert_eq!(refused.wrong(), ["/supervisor_id reference_not_found"]);
    }
}

#[test]
fn the_last_owner_stays_one() {
    let w = World::new();
    for patch in [json!({ "role": "manager" }), json!({ "active": false })] {
        let refused = w.owner.at(1).patch(&path(&w.owner), patch);
        assert_eq!(refused.refused(409, "state_invalid")["state"], "last_owner");
    }
    w.owner.get("/me").expect(200);
    let second = w.operator("owner", "none", None);
    w.owner.at(1).patch(&path(&w.owner), json!({ "role": "manager" })).expect(200);
    second.at(1).patch(&path(&second), json!({ "active": false })).refused(409, "state_invalid");
}

#[test]
fn of_two_owners_who_demote_each_other_at_once_one_stays() {
    for _ in 0..5 {
        let w = World::new();
        let owners = [w.owner.clone(), w.operator("owner", "none", None)];
        let answers =
            at_once(2, |turn| owners[turn].at(1).patch(&path(&owners[1 - turn]), json!({ "role": "viewer" })));
        assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1, "{answers:#?}");
        let left = crate::support::count(&format!(
            "operators where organization_id = '{}' and role = 'owner' and active",
            w.organization_id
        ));
        assert_eq!(left, 1);
    }
}

#[test]
fn everybody_sees_who_works_here_and_owners_decide() {
    let w = World::new();
    let viewer = w.operator("viewer", "none", None);
    assert_eq!(viewer.get("/operators").expect(200).items().len(), 2);
    viewer.get(&path(&w.owner)).expect(200);
    for role in ["viewer", "operator", "manager"] {
        let caller = w.operator(role, "write", None);
        let body = json!({ "email": "x@test.example", "full_name": "X", "role": "owner" });
        caller.post("/operators", body).refused(403, "scope_missing");
        caller.at(1).patch(&path(&caller), json!({ "role": "owner" })).refused(403, "scope_missing");
    }
}

#[test]
fn filters_pick_operators() {
    let w = World::new();
    let manager = w.operator("manager", "none", None);
    let below = w.operator("operator", "none", Some(&manager));
    let gone = w.operator("operator", "none", None);
    w.owner.at(1).patch(&path(&gone), json!({ "active": false })).expect(200);
    let ids = |query: &str| -> Vec<String> {
        let items = w.owner.get(&format!("/operators?{query}")).expect(200).items();
        items.iter().map(|operator| operator.id().to_owned()).collect()
    };
    assert_eq!(ids("role=operator"), [gone.id.to_string(), below.id.to_string()], "newest first");
    assert_eq!(ids("role=operator&active=true"), [below.id.to_string()]);
    assert_eq!(ids(&format!("supervisor_id={}", manager.id)), [below.id.to_string()]);
    assert_eq!(ids("active=false"), [gone.id.to_string()]);
    let expanded = w.owner.get(&format!("{}?expand=supervisor", path(&below))).expect(200);
    assert_eq!(expanded["supervisor"]["id"], manager.id.to_string());
}

#[test]
fn a_key_that_manages_operators_makes_nobody_greater_than_itself() {
    let w = World::new();
    let key = w.api_key(&["admin:write", "crm:read", "crm:write", "knowledge:read", "knowledge:write"]);
    let body = |role: &str, billing: &str| {
        let email = format!("made.{}@test.example", Uuid::now_v7().simple());
        json!({ "email": email, "full_name": "Jan Kowalski", "role": role, "billing": billing, "password": PASSWORD })
    };
    for (role, billing) in [("owner", "none"), ("manager", "none"), ("operator", "read")] {
        let refused = key.post("/operators", body(role, billing));
        refused.refused(422, "validation_failed");
        assert_eq!(refused.wrong(), ["/role beyond_giver"]);
    }
    let made = key.post("/operators", body("operator", "none")).expect(201);
    let path = format!("/operators/{}", made.id());
    key.at(1).patch(&path, json!({ "role": "owner" })).refused(422, "validation_failed");
    key.at(1).patch(&path, json!({ "full_name": "Jan Nowak" })).expect(200);
}
