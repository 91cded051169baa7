//! `/people`: contact persons, their consents, and what the law gives them a right to.

use crate::support::World;
use serde_json::{Value, json};

#[test]
fn a_person_belongs_to_a_customer_for_good() {
    let w = World::new();
    let (customer, other) = (w.customer().create(), w.customer().create());
    let person = w.person(customer.id()).with("position", "Księgowa").create();
    assert_eq!(
        (&person["customer_id"], &person["registered_by_id"]),
        (&customer["id"], &json!(w.owner.id.to_string()))
    );
    let path = format!("/people/{}", person.id());
    assert_eq!(w.owner.get(&path).expect(200), person);
    let moved = w.owner.at(1).patch(&path, json!({ "customer_id": other.id() }));
    assert_eq!(moved.wrong(), ["/customer_id fixed"]);
    let changed = w.owner.at(1).patch(&path, json!({ "position": null, "email": "anna@klos.example" })).expect(200);
    assert_eq!((&changed["position"], &changed["email"]), (&Value::Null, &json!("anna@klos.example")));

    let nowhere = w.person("0192f0c1-7a10-7cc1-9d5e-0f3b8a61c2aa").send();
    nowhere.refused(422, "reference_not_found");
    assert_eq!(nowhere.wrong(), ["/customer_id reference_not_found"]);
    // Another organization's customer is no different.
    assert_eq!(World::new().person(customer.id()).send().wrong(), ["/customer_id reference_not_found"]);
}

#[test]
fn people_are_found_by_name_address_and_number() {
    let w = World::new();
    let (customer, other) = (w.customer().create(), w.customer().create());
    w.person(customer.id()).with("full_name", "Łucja Żak").with("email", "Lucja.Zak@klos.example").create();
    w.person(customer.id()).with("full_name", "Lucyna Bąk").with("phone", "+48601234567").create();
    w.person(other.id()).with("full_name", "Adam Ćma").create();
    let list = |query: &str| {
        let page = w.owner.get(&format!("/people?{query}")).expect(200);
        page.items().iter().map(|person| person["full_name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(list("sort=full_name"), ["Adam Ćma", "Łucja Żak", "Lucyna Bąk"]);
    assert_eq!(list("full_name[prefix]=luc&sort=-full_name"), ["Lucyna Bąk", "Łucja Żak"]);
    assert_eq!(list("email=lucja.zak@KLOS.example"), ["Łucja Żak"]);
    assert_eq!(list("phone=%2B48601234567"), ["Lucyna Bąk"]);
    assert_eq!(list(&format!("customer_id={}", other.id())), ["Adam Ćma"]);
}

#[test]
fn a_consent_is_withdrawn_after_it_was_given() {
    let w = World::new();
    let customer = w.customer().create();
    let consent = json!({ "purpose": "Newsletter", "given_at": "2026-01-01T10:00:00Z", "method": "Form" });
    let person = w.person(customer.id()).with("consents", json!([consent])).create();
    assert_eq!(person["consents"][0]["withdrawn_at"], Value::Null);
    let path = format!("/people/{}", person.id());
    let mut withdrawn = consent.clone();
    withdrawn["withdrawn_at"] = json!("2025-12-31T10:00:00Z");
    let early = w.owner.at(1).patch(&path, json!({ "consents": [withdrawn] }));
    assert_eq!(early.wrong(), ["/consents/0 order"]);
    withdrawn["withdrawn_at"] = json!("2026-02-01T10:00:00Z");
    let person = w.owner.at(1).patch(&path, json!({ "consents": [withdrawn] })).expect(200);
    assert_eq!(person["consents"], json!([withdrawn]));
}

#[test]
fn an_export_holds_all_that_is_kept() {
    let w = World::new();
    let customer = w.customer().create();
    let person = w.person(customer.id()).with("email", "anna@klos.example").create();
    for moment in ["2026-01-01T10:00:00Z", "2026-02-01T10:00:00Z"] {
        w.interaction(customer.id()).with("person_id", person.id()).with("started_at", moment).create();
    }
    w.interaction(customer.id()).create();
    let answer = w.owner.get(&format!("/people/{}/personal-data", person.id()));
    let data = answer.expect(200);
    assert_eq!(data["person"], person.0);
    let moments: Vec<_> = data["interactions"].as_array().unwrap().iter().map(|it| it["started_at"].clone()).collect();
    assert_eq!(moments, ["2026-02-01T10:00:00Z", "2026-01-01T10:00:00Z"]);
    assert_eq!(answer.header("etag"), Some("\"1\""));
}

#[test]
fn erasing_leaves_nothing_but_the_id() {
    let w = World::new();
    let customer = w.customer().create();
    let consent = json!({ "purpose": "Newsletter", "given_at": "2026-01-01T10:00:00Z", "method": "Form" });
    let person = w
        .person(customer.id())
        .with("full_name", "Eryka Znikająca")
        .with("email", "eryka@klos.example")
        .with("phone", "+48601234567")
        .with("consents", json!([consent]))
        .create();
    let interaction = w.interaction(customer.id()).with("person_id", person.id()).create();
    let path = format!("/people/{}", person.id());
    let data = format!("{path}/personal-data");
    w.owner.delete(&data).refused(428, "precondition_required");
    assert_eq!(w.owner.at(1).delete(&data).status, 204);

    let erased = w.owner.get(&path).expect(200);
    assert_eq!((&erased["full_name"], &erased["email"], &erased["phone"]), (&json!("—"), &Value::Null, &Value::Null));
    assert_eq!(erased["consents"], json!([]));
    assert!(erased["erased_at"].is_string());
    assert_eq!(w.owner.get("/people").expect(200).items().len(), 0);
    assert_eq!(w.owner.get("/people?include_erased=true").expect(200).items().len(), 1);
    let interaction = w.owner.get(&format!("/interactions/{}", interaction.id())).expect(200);
    assert_eq!(interaction["person_id"], person["id"], "still one and the same person");

    let log = w.owner.get("/audit-log?resource_type=person&action=erased").expect(200);
    assert_eq!((log.items().len(), log.to_string().contains("Znikająca")), (1, false));
    w.owner.at(2).patch(&path, json!({ "full_name": "Back" })).refused(409, "state_invalid");
    assert_eq!(w.owner.at(2).delete(&data).status, 204, "done twice it stays as it is");
    assert_eq!(w.owner.get(&path).expect(200), erased);
}

#[test]
fn who_added_a_person_may_change_it_and_the_customers_caretaker() {
    let w = World::new();
    let manager = w.operator("manager", "none", Some(&w.owner));
    let caretaker = w.operator("operator", "none", Some(&manager));
    let registrar = w.operator("operator", "none", None);
    let stranger = w.operator("operator", "none", None);
    let customer = w.customer().by(&caretaker).create();
    let person = w.person(customer.id()).by(&registrar).create();
    let path = format!("/people/{}", person.id());
    for (version, who) in (1..).zip([&registrar, &caretaker, &manager, &w.owner]) {
        who.at(version).patch(&path, json!({ "position": version.to_string() })).expect(200);
    }
    stranger.at(5).patch(&path, json!({ "position": "mine" })).refused(403, "forbidden");
    stranger.at(5).delete(&format!("{path}/personal-data")).refused(403, "forbidden");
    assert_eq!(stranger.get(&path).expect(200)["position"], "4");
}
