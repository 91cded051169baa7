//! `/customers` and what hangs below it.

use crate::support::{Record, World, at_once};
use serde_json::{Value, json};

fn names(page: &Record) -> Vec<String> {
    page.items().iter().map(|customer| customer["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_new_customer_has_defaults_a_place_and_a_version() {
    let w = World::new();
    let answer = w.owner.post("/customers", json!({ "kind": "person", "name": "  Jan Żak " }));
    let customer = answer.expect(201);
    assert_eq!(customer["name"], "Jan Żak");
    assert_eq!(customer["tax_id"], json!({ "scheme": "none", "country": null, "number": null }));
    assert_eq!(
        (&customer["currency"], &customer["language"], &customer["tags"]),
        (&json!("PLN"), &json!("pl"), &json!([]))
    );
    assert_eq!(customer["caretaker_id"], w.owner.id.to_string());
    assert_eq!((&customer["hourly_rate"], &customer["archived_at"]), (&Value::Null, &Value::Null));
    assert_eq!(answer.header("etag"), Some("\"1\""));
    let location = answer.header("location").unwrap();
    assert_eq!(location, format!("/api/v1/customers/{}", customer.id()));
    assert_eq!(w.owner.get(location).expect(200), customer);
    // Always sent whole: the rate in force, which it shows, changes with the day.
    assert_eq!(w.owner.with("If-None-Match", "\"1\"").get(location).status, 200);
    assert_eq!(w.changes("customer.created"), 1);
}

#[test]
fn a_nip_is_normalised_and_its_check_digit_checked() {
    let w = World::new();
    let with_nip = |number: &str| w.customer().with("tax_id", json!({ "scheme": "nip", "number": number }));
    let customer = with_nip("526-104-08-28").create();
    assert_eq!(customer["tax_id"], json!({ "scheme": "nip", "country": "PL", "number": "5261040828" }));
    let refusal = with_nip("5261040829").send();
    refusal.refused(422, "validation_failed");
    assert_eq!(refusal.wrong(), ["/tax_id/number tax_id"]);
    assert_eq!(w.count("customers"), 1);
    assert_eq!(
        names(&w.owner.get("/customers?tax_number=5261040828").expect(200)),
        ["Piekarnia Złoty Kłos sp. z o.o."]
    );
}

#[test]
fn lists_filter_sort_and_page() {
    let w = World::new();
    for (name, kind, tags) in [
        ("Łąka", "company", json!(["vat", "zus"])),
        ("laguna", "company", json!(["zus"])),
        ("Żabka", "person", json!([])),
        ("Amber", "company", json!(["vat"])),
        ("Lacha", "person", json!(["other"])),
    ] {
        w.customer().name(name).with("kind", kind).with("tags", tags).create();
    }
    let list = |query: &str| names(&w.owner.get(&format!("/customers?{query}")).expect(200));
    assert_eq!(list(""), ["Lacha", "Amber", "Żabka", "laguna", "Łąka"]);
    assert_eq!(list("sort=name"), ["Amber", "Lacha", "laguna", "Łąka", "Żabka"]);
    assert_eq!(list("sort=-name&limit=2"), ["Żabka", "Łąka"]);
    assert_eq!(list("name[prefix]=L%C4%85&sort=name"), ["Lacha", "laguna", "Łąka"]);
    assert_eq!(list("kind=person&sort=name"), ["Lacha", "Żabka"]);
    assert_eq!(list("tag=vat,other&sort=name"), ["Amber", "Lacha", "Łąka"]);
    assert_eq!(list("created_at[lt]=2020-01-01T00:00:00Z"), [""; 0]);

    let mut path = "/customers?sort=name&limit=2&count=exact".to_owned();
    let mut seen = Vec::new();
    loop {
        let answer = w.owner.get(&path);
        let page = answer.expect(200);
        assert_eq!(page["total_count"], 5);
        seen.extend(names(&page));
        let Some(link) = answer.header("link") else {
            assert_eq!(page["next_cursor"], Value::Null);
            break;
        };
        assert!(link.ends_with(">; rel=\"next\""), "{link}");
        path = link[1..link.find('>').unwrap()].to_owned();
    }
    assert_eq!(seen, ["Amber", "Lacha", "laguna", "Łąka", "Żabka"]);
}

#[test]
fn the_rate_in_force_today_is_shown() {
    let w = World::new();
    let customer = w.customer().create();
    let other = w.customer().create();
    for (amount, day) in [("120.00", "2024-01-01"), ("150.00", "2025-01-01"), ("999.00", "2999-01-01")] {
        w.hourly_rate(amount, day).with("customer_id", customer.id()).create();
    }
    w.hourly_rate("80.00", "2020-01-01").create();
    assert_eq!(w.owner.get(&format!("/customers/{}", customer.id())).expect(200)["hourly_rate"], "150.00");
    // The organization's rate is not the customer's own.
    assert_eq!(w.owner.get(&format!("/customers/{}", other.id())).expect(200)["hourly_rate"], Value::Null);
    let listed = w.owner.get("/customers?sort=created_at").expect(200).items();
    assert_eq!((&listed[0]["hourly_rate"], &listed[1]["hourly_rate"]), (&json!("150.00"), &Value::Null));
}

#[test]
fn a_synchronisation_upserts_by_its_own_key() {
    let w = World::new();
    let path = "/customers/by-external-id/ERP-1";
    let made = w.owner.put(path, json!({ "kind": "company", "name": "First", "notes": "kept?" })).expect(201);
    assert_eq!(made["external_id"], "ERP-1");
    let replaced = w.owner.put(path, json!({ "kind": "company", "name": "Second" })).expect(200);
    assert_eq!((replaced.id(), replaced.version()), (made.id(), 2));
    assert_eq!((&replaced["name"], &replaced["notes"]), (&json!("Second"), &Value::Null));
    assert_eq!(replaced["caretaker_id"], made["caretaker_id"]);

    let only_new = w.owner.with("If-None-Match", "*");
    only_new.put(path, json!({ "kind": "company", "name": "Third" })).refused(412, "precondition_failed");
    let other_key = w.owner.put(path, json!({ "kind": "company", "name": "Third", "external_id": "ERP-2" }));
    assert_eq!(other_key.wrong(), ["/external_id differs"]);
    assert_eq!(names(&w.owner.get("/customers?external_id=ERP-1").expect(200)), ["Second"]);
}

#[test]
fn an_external_id_belongs_to_one_customer() {
    let w = World::new();
    w.customer().with("external_id", "ERP-1").create();
    let taken = w.customer().with("external_id", "ERP-1").send();
    taken.refused(409, "duplicate");
    assert_eq!(taken.wrong(), ["/external_id duplicate"]);
    // Another organization's keys are its own.
    World::new().customer().with("external_id", "ERP-1").create();
}

#[test]
fn a_merge_patch_keeps_empties_and_replaces() {
    let w = World::new();
    let customer =
        w.customer().with("notes", "old").with("tags", json!(["a", "b"])).with("email", "a@klos.example").create();
    let path = format!("/customers/{}", customer.id());
    w.owner.patch(&path, json!({ "notes": null })).refused(428, "precondition_required");
    let changed = w.owner.at(1).patch(&path, json!({ "notes": null, "tags": ["c"] })).expect(200);
    assert_eq!(
        (&changed["notes"], &changed["tags"], &changed["email"]),
        (&Value::Null, &json!(["c"]), &json!("a@klos.example"))
    );
    assert_eq!(changed.version(), 2);
    let stale = w.owner.at(1).patch(&path, json!({ "notes": "late" })).refused(412, "precondition_failed");
    assert_eq!(stale["current_etag"], "\"2\"");
    let wrong = w.owner.at(2).patch(&path, json!({ "name": null, "phone": "12", "colour": "red" }));
    wrong.refused(422, "validation_failed");
    let mut places = wrong.wrong();
    places.sort();
    assert_eq!(places.len(), 3, "{places:?}");
    assert_eq!(w.owner.get(&path).expect(200), changed);
    let log = w.owner.get("/audit-log?resource_type=customer&action=updated").expect(200).items();
    assert_eq!((&log[0]["before"]["notes"], &log[0]["after"]["notes"]), (&json!("old"), &Value::Null));
}

#[test]
fn one_out_of_use_is_hidden_from_lists_only() {
    let w = World::new();
    let customer = w.customer().create();
    let path = format!("/customers/{}", customer.id());
    let archival = format!("{path}/archival");
    let archived = w.owner.post(&archival, Value::Null).expect(200);
    assert!(archived["archived_at"].is_string());
    assert_eq!(w.owner.post(&archival, Value::Null).expect(200), archived, "done twice it stays as it is");
    assert_eq!(names(&w.owner.get("/customers").expect(200)).len(), 0);
    assert_eq!(names(&w.owner.get("/customers?include_archived=true").expect(200)).len(), 1);
    assert_eq!(w.owner.get(&path).expect(200), archived);
    assert_eq!(w.owner.delete(&archival).expect(200)["archived_at"], Value::Null);
    assert_eq!(names(&w.owner.get("/customers").expect(200)).len(), 1);
    assert_eq!((w.changes("customer.archived"), w.changes("customer.restored")), (1, 1));
}

#[test]
fn its_caretaker_and_those_above_may_change_it() {
    let w = World::new();
    let manager = w.operator("manager", "none", Some(&w.owner));
    let below = w.operator("operator", "none", Some(&manager));
    let other_manager = w.operator("manager", "none", Some(&w.owner));
    let colleague = w.operator("operator", "none", Some(&other_manager));
    let viewer = w.operator("viewer", "none", None);

    let customer = w.customer().by(&below).create();
    assert_eq!(customer["caretaker_id"], below.id.to_string());
    let path = format!("/customers/{}", customer.id());
    for (version, who) in (1..).zip([&below, &manager, &w.owner]) {
        assert_eq!(
            who.at(version).patch(&path, json!({ "notes": version.to_string() })).expect(200).version(),
            version + 1
        );
    }
    for who in [&colleague, &other_manager] {
        who.at(4).patch(&path, json!({ "notes": "mine" })).refused(403, "forbidden");
        who.post(&format!("{path}/archival"), Value::Null).refused(403, "forbidden");
    }
    viewer.at(4).patch(&path, json!({ "notes": "mine" })).refused(403, "scope_missing");
    assert_eq!(viewer.get(&path).expect(200).version(), 4, "everybody reads");

    // Work goes to oneself or down the tree.
    let to = |who: &crate::support::Caller| json!({ "caretaker_id": who.id.to_string() });
    below.at(4).patch(&path, to(&colleague)).refused(403, "forbidden");
    manager.at(4).patch(&path, to(&colleague)).refused(403, "forbidden");
    assert_eq!(manager.at(4).patch(&path, to(&manager)).expect(200)["caretaker_id"], manager.id.to_string());
    below.at(5).patch(&path, json!({ "notes": "no longer mine" })).refused(403, "forbidden");
    w.customer().by(&below).with("caretaker_id", colleague.id.to_string()).send().refused(403, "forbidden");
}

#[test]
fn expansion_and_fields_shape_the_record() {
    let w = World::new();
    let customer = w.customer().create();
    let path = format!("/customers/{}?expand=caretaker&fields=name", customer.id());
    let shaped = w.owner.get(&path).expect(200);
    assert_eq!(shaped["caretaker"]["email"], w.owner.email);
    let mut members: Vec<&str> = shaped.as_object().unwrap().keys().map(String::as_str).collect();
    members.sort_unstable();
    assert_eq!(members, ["caretaker", "id", "name"]);
}

#[test]
fn the_timeline_shows_what_happened_latest_first() {
    let w = World::new();
    let (customer, other) = (w.customer().create(), w.customer().create());
    let at = |moment: &str| w.interaction(customer.id()).with("started_at", moment).with("subject", moment).create();
    for moment in ["2026-03-02T08:00:00Z", "2026-05-01T08:00:00Z", "2026-01-02T08:00:00Z"] {
        at(moment);
    }
    w.interaction(other.id()).create();
    let path = format!("/customers/{}/timeline", customer.id());
    let first = w.owner.get(&format!("{path}?limit=2")).expect(200);
    let rest = format!("{path}?limit=2&cursor={}", first["next_cursor"].as_str().unwrap());
    let entries: Vec<_> = [first.items(), w.owner.get(&rest).expect(200).items()].concat();
    let told: Vec<_> = entries.iter().map(|entry| (entry["kind"].clone(), entry["at"].clone())).collect();
    let moments = ["2026-05-01T08:00:00Z", "2026-03-02T08:00:00Z", "2026-01-02T08:00:00Z"];
    assert_eq!(told, moments.map(|moment| (json!("interaction"), json!(moment))));
    assert_eq!(entries[0]["interaction"]["subject"], moments[0]);
    let oldest = w.owner.get(&format!("{path}?sort=at")).expect(200).items();
    assert_eq!(oldest[0]["at"], moments[2]);
    World::new().owner.get(&path).refused(404, "not_found");
}

#[test]
fn one_key_on_two_customers_archives_neither_in_place_of_the_other() {
    let w = World::new();
    let (first, second) = (w.customer().create(), w.customer().create());
    let caller = w.owner.once("archive the two");
    caller.send("POST", &format!("/customers/{}/archival", first.id()), None, b"").expect(200);
    let other = caller.send("POST", &format!("/customers/{}/archival", second.id()), None, b"");
    other.refused(422, "idempotency_key_reused");
    assert_eq!(w.owner.get(&format!("/customers/{}", second.id())).expect(200)["archived_at"], Value::Null);
}

#[test]
fn upserts_of_one_new_key_at_once_make_one_customer() {
    let w = World::new();
    let answers = at_once(12, |turn| {
        let body = json!({ "kind": "company", "name": format!("Turn {turn}") });
        w.owner.put("/customers/by-external-id/ERP-1", body).status
    });
    assert_eq!(answers.iter().filter(|status| **status == 201).count(), 1, "{answers:?}");
    assert_eq!(answers.iter().filter(|status| **status == 200).count(), 11, "{answers:?}");
    assert_eq!(w.count("customers"), 1);
}

#[test]
fn an_external_id_in_the_path_is_taken_as_one_in_a_body() {
    let w = World::new();
    let put = |key: &str| {
        w.owner.put(&format!("/customers/by-external-id/{key}"), json!({ "kind": "company", "name": "Ext" }))
    };
    assert_eq!(put("%20Za%CC%A8b%20").expect(201)["external_id"], "Ząb");
    put("Z%C4%85b").expect(200);
    for key in ["%FF", "%FE%20x", "%20"] {
        put(key).refused(400, "parameter_invalid");
    }
    w.owner.get("/customers?tag=%FF").refused(400, "parameter_invalid");
}

#[test]
fn a_whole_number_may_be_written_with_a_fraction_of_nothing() {
    let w = World::new();
    for (written, read) in [("7.0", 7), ("0.0", 0), ("-0", 0), ("1.4e1", 14)] {
        let body = format!("{{\"kind\":\"company\",\"name\":\"A\",\"payment_days\":{written}}}");
        let answer = w.owner.send("POST", "/customers", Some("application/json"), body.as_bytes());
        assert_eq!(answer.expect(201)["payment_days"], read, "{written}");
    }
    let body = br#"{"kind":"company","name":"A","payment_days":7.5}"#;
    w.owner.send("POST", "/customers", Some("application/json"), body).refused(422, "validation_failed");
}
