//! `/opportunities`: sales that may come about, and their way from stage to stage.

use crate::support::{Answer, Caller, Record, World, at_once, execute};
use serde_json::{Value, json};

fn titles(page: &Record) -> Vec<String> {
    page.items().iter().map(|record| record["title"].as_str().unwrap().to_owned()).collect()
}

/// The id of the stage of that name.
fn stage(pipeline: &Record, name: &str) -> String {
    let stages = pipeline["stages"].as_array().unwrap();
    stages.iter().find(|stage| stage["name"] == name).unwrap()["id"].as_str().unwrap().to_owned()
}

fn move_to(who: &Caller, opportunity: &Record, stage_id: &str) -> Answer {
    who.post(&format!("/opportunities/{}/stage-changes", opportunity.id()), json!({ "stage_id": stage_id }))
}

/// Its moves, the oldest first.
fn changes(w: &World, opportunity: &Record) -> Vec<Record> {
    let path = format!("/opportunities/{}/stage-changes?limit=200&sort=changed_at", opportunity.id());
    w.owner.get(&path).expect(200).items()
}

/// Each move begins where and when the one before it ended, and the last one ended where it stands.
#[track_caller]
fn assert_chain(opportunity: &Record, changes: &[Record]) {
    assert_eq!((&changes[0]["from_stage_id"], &changes[0]["from_entered_at"]), (&Value::Null, &Value::Null));
    for pair in changes.windows(2) {
        assert_eq!(pair[1]["from_stage_id"], pair[0]["to_stage_id"], "{pair:?}");
        assert_eq!(pair[1]["from_entered_at"], pair[0]["changed_at"], "{pair:?}");
        assert_ne!(pair[1]["from_stage_id"], pair[1]["to_stage_id"], "{pair:?}");
        assert!(pair[0]["changed_at"].as_str() < pair[1]["changed_at"].as_str(), "{pair:?}");
    }
    let last = changes.last().unwrap();
    assert_eq!(
        (&last["to_stage_id"], &last["changed_at"]),
        (&opportunity["stage_id"], &opportunity["stage_entered_at"])
    );
}

#[test]
fn a_new_opportunity_stands_at_the_first_open_stage() {
    let w = World::new();
    let customer = w.customer().create();
    let pipeline = w.pipeline().create();
    let operator = w.operator("operator", "none", None);
    let body = json!({ "customer_id": customer.id(), "title": "Bookkeeping", "pipeline_id": pipeline.id() });
    let answer = operator.post("/opportunities", &body);
    let made = answer.expect(201);
    let me = json!(operator.id.to_string());
    assert_eq!((&made["caretaker_id"], &made["registered_by_id"]), (&me, &me));
    assert_eq!(
        (&made["value"], &made["weighted_value"], &made["currency"]),
        (&json!("0.00"), &json!("0.00"), &json!("PLN"))
    );
    assert_eq!((&made["stage_id"], &made["pipeline_id"]), (&json!(stage(&pipeline, "New")), &json!(pipeline.id())));
    assert_eq!((&made["stage_kind"], &made["closed_at"]), (&json!("open"), &Value::Null));
    assert_eq!(made["stage_entered_at"], made["created_at"]);
    assert_eq!(operator.get(answer.header("location").unwrap()).expect(200), made);
    assert_chain(&made, &changes(&w, &made));
    assert_eq!(changes(&w, &made)[0]["operator_id"], me);
    assert_eq!(w.changes("opportunity.created"), 1);

    // A script is nobody's operator.
    let script = w.api_key(&["crm:write"]);
    let scripted = script.post("/opportunities", &body).expect(201);
    assert_eq!((&scripted["caretaker_id"], &scripted["registered_by_id"]), (&Value::Null, &Value::Null));
    let in_euro = World::with(|organization| organization.currency = "EUR".parse().unwrap());
    assert_eq!(in_euro.opportunity(in_euro.customer().create().id()).create()["currency"], "EUR");
}

#[test]
fn a_stage_or_a_pipeline_has_to_be_told_and_they_must_agree() {
    let w = World::new();
    let customer = w.customer().create();
    let (first, second) = (w.pipeline().name("First").create(), w.pipeline().name("Second").create());
    let ends = json!([{ "name": "Won", "kind": "won" }, { "name": "Lost", "kind": "lost" }]);
    let closed = w.pipeline().name("Ends").with("stages", ends).create();
    let stranger = World::new();
    let theirs = stranger.pipeline().create();
    let send = |pipeline_id: Value, stage_id: Value| {
        w.opportunity(customer.id()).with("pipeline_id", pipeline_id).with("stage_id", stage_id).send()
    };
    let refused = |pipeline_id: Value, stage_id: Value, code: &str| {
        let answer = send(pipeline_id, stage_id);
        answer.refused(422, code);
        answer.wrong()
    };
    let invalid = "validation_failed";
    assert_eq!(refused(Value::Null, Value::Null, invalid), ["/stage_id required"]);
    assert_eq!(refused(json!(first.id()), json!(stage(&second, "New")), invalid), ["/pipeline_id differs"]);
    assert_eq!(refused(json!(closed.id()), Value::Null, invalid), ["/pipeline_id no_open_stage"]);
    let nowhere = "reference_not_found";
    assert_eq!(refused(Value::Null, json!(stage(&theirs, "New")), nowhere), ["/stage_id reference_not_found"]);
    assert_eq!(refused(json!(theirs.id()), Value::Null, nowhere), ["/pipeline_id reference_not_found"]);
    assert_eq!((w.count("opportunities"), w.count("stage_changes")), (0, 0));

    let made = send(json!(second.id()), json!(stage(&second, "Won"))).expect(201);
    assert_eq!((&made["stage_kind"], &made["closed_at"]), (&json!("won"), &made["created_at"]));
    w.owner.post(&format!("/pipelines/{}/archival", first.id()), Value::Null).expect(200);
    assert_eq!(send(json!(first.id()), Value::Null).refused(409, "state_invalid")["state"], "archived");
    for value in ["-1.00", "1000000000000.00", "0.001"] {
        let answer = w.opportunity(customer.id()).with("value", value).send();
        assert_eq!(answer.wrong(), ["/value pattern"], "{value}");
    }
}

#[test]
fn each_move_is_kept_with_its_time_and_who_made_it() {
    let w = World::new();
    let pipeline = w.pipeline().create();
    let other = w.pipeline().name("Renewals").create();
    let opportunity = w.opportunity(w.customer().create().id()).with("pipeline_id", pipeline.id()).create();
    let path = format!("/opportunities/{}", opportunity.id());
    let note = json!({ "stage_id": stage(&pipeline, "Proposal"), "note": " They asked for a contract " });
    let answer = w.owner.post(&format!("{path}/stage-changes"), note);
    let moved = answer.expect(200);
    assert_eq!((moved.version(), answer.header("etag")), (2, Some("\"2\"")));
    assert_eq!(
        (&moved["stage_id"], &moved["weighted_value"]),
        (&json!(stage(&pipeline, "Proposal")), &json!("7200.00"))
    );
    assert_eq!(w.owner.get(&path).expect(200), moved);

    let again = move_to(&w.owner, &opportunity, &stage(&pipeline, "Proposal"));
    assert_eq!(again.refused(409, "state_invalid")["state"], "open");
    let won = move_to(&w.owner, &opportunity, &stage(&pipeline, "Won")).expect(200);
    assert_eq!((&won["stage_kind"], &won["closed_at"]), (&json!("won"), &won["stage_entered_at"]));
    let lost = move_to(&w.owner, &opportunity, &stage(&pipeline, "Lost")).expect(200);
    assert_eq!((&lost["stage_kind"], &lost["closed_at"]), (&json!("lost"), &lost["stage_entered_at"]));
    let reopened = move_to(&w.owner, &opportunity, &stage(&other, "Qualified")).expect(200);
    assert_eq!((&reopened["stage_kind"], &reopened["closed_at"]), (&json!("open"), &Value::Null));
    assert_eq!(reopened["pipeline_id"], other.id());

    let all = changes(&w, &opportunity);
    assert_eq!(all.len(), 5);
    assert_chain(&reopened, &all);
    assert_eq!((&all[1]["note"], &all[2]["note"]), (&json!("They asked for a contract"), &Value::Null));
    assert!(all.iter().all(|change| change["operator_id"] == w.owner.id.to_string()));
    let newest = w.owner.get(&format!("{path}/stage-changes?limit=1&expand=from_stage,to_stage.pipeline")).expect(200);
    let newest = newest.items().remove(0);
    assert_eq!(newest["from_stage"]["name"], "Lost");
    assert_eq!(newest["to_stage"]["pipeline"]["name"], "Renewals");
    assert_eq!((w.changes("opportunity.moved"), w.changes("opportunity.updated")), (4, 0));
}

#[test]
fn nothing_comes_into_a_pipeline_that_is_out_of_use_but_what_is_there_goes_on() {
    let w = World::new();
    let (old, new) = (w.pipeline().name("Old").create(), w.pipeline().name("New").create());
    let customer = w.customer().create();
    let within = w.opportunity(customer.id()).with("pipeline_id", old.id()).create();
    let outside = w.opportunity(customer.id()).with("pipeline_id", new.id()).create();
    w.owner.post(&format!("/pipelines/{}/archival", old.id()), Value::Null).expect(200);
    move_to(&w.owner, &outside, &stage(&old, "Won")).refused(409, "state_invalid");
    let path = format!("/opportunities/{}", outside.id());
    let by_patch = w.owner.at(1).patch(&path, json!({ "pipeline_id": old.id() }));
    assert_eq!(by_patch.refused(409, "state_invalid")["state"], "archived");
    assert_eq!(w.owner.get(&path).expect(200), outside);
    move_to(&w.owner, &within, &stage(&old, "Won")).expect(200);
    let path = format!("/opportunities/{}", within.id());
    w.owner.at(2).patch(&path, json!({ "title": "Still changed" })).expect(200);
    move_to(&w.owner, &within, &stage(&new, "New")).expect(200);
    move_to(&w.owner, &within, &stage(&old, "Won")).refused(409, "state_invalid");
}

#[test]
fn a_patch_of_the_stage_moves_as_a_move_does() {
    let w = World::new();
    let pipeline = w.pipeline().create();
    let other = w.pipeline().name("Renewals").create();
    let opportunity = w.opportunity(w.customer().create().id()).with("pipeline_id", pipeline.id()).create();
    let path = format!("/opportunities/{}", opportunity.id());
    let patch = |version: i64, body: Value| w.owner.at(version).patch(&path, body);
    let same = patch(1, json!({ "stage_id": stage(&pipeline, "New"), "value": "1.50" })).expect(200);
    assert_eq!((same.version(), &same["weighted_value"]), (2, &json!("0.15")));
    assert_eq!(same["stage_entered_at"], opportunity["stage_entered_at"]);
    assert_eq!((changes(&w, &opportunity).len(), w.changes("opportunity.updated")), (1, 1));

    let won = patch(2, json!({ "stage_id": stage(&pipeline, "Won"), "title": "Signed" })).expect(200);
    assert_eq!((won.version(), &won["title"], &won["closed_at"]), (3, &json!("Signed"), &won["stage_entered_at"]));
    assert_chain(&won, &changes(&w, &won));
    // Another pipeline alone is enough; a stage of another one brings its pipeline along.
    let first = patch(3, json!({ "pipeline_id": other.id() })).expect(200);
    assert_eq!((&first["stage_id"], &first["closed_at"]), (&json!(stage(&other, "New")), &Value::Null));
    let back = patch(4, json!({ "stage_id": stage(&pipeline, "Lost") })).expect(200);
    assert_eq!((&back["pipeline_id"], &back["stage_kind"]), (&json!(pipeline.id()), &json!("lost")));
    let torn = patch(5, json!({ "stage_id": stage(&pipeline, "Won"), "pipeline_id": other.id() }));
    assert_eq!(torn.wrong(), ["/pipeline_id differs"]);
    assert_chain(&back, &changes(&w, &back));
    assert_eq!(changes(&w, &back).len(), 4);
    assert_eq!(w.changes("opportunity.moved"), 3);
}

#[test]
fn moves_at_once_leave_an_unbroken_chain() {
    let w = World::new();
    let pipeline = w.pipeline().create();
    let opportunity = w.opportunity(w.customer().create().id()).create();
    let stages: Vec<String> =
        pipeline["stages"].as_array().unwrap().iter().map(|stage| stage["id"].as_str().unwrap().to_owned()).collect();
    let statuses = at_once(24, |turn| match turn {
        // The pipeline is changed meanwhile.
        0 => {
            w.owner
                .with("If-Match", "*")
                .patch(&format!("/stages/{}", stages[1]), json!({ "kind": "won", "probability_percent": 100 }))
                .status
        }
        1 => {
            w.owner
                .post(&format!("/pipelines/{}/stages", pipeline.id()), json!({ "name": "More", "kind": "lost" }))
                .status
        }
        turn => move_to(&w.owner, &opportunity, &stages[turn % stages.len()]).status,
    });
    assert!(statuses.iter().all(|status| [200, 201, 409].contains(status)), "{statuses:?}");
    let made = statuses[2..].iter().filter(|status| **status == 200).count();
    assert!(made >= stages.len() - 1, "{statuses:?}");
    let all = changes(&w, &opportunity);
    assert_eq!(all.len(), made + 1);
    let now = w.owner.get(&format!("/opportunities/{}", opportunity.id())).expect(200);
    assert_chain(&now, &all);
    assert_eq!(usize::try_from(now.version()).unwrap(), made + 1);
    let kind = w.owner.get(&format!("/stages/{}", now["stage_id"].as_str().unwrap())).expect(200)["kind"].clone();
    assert_eq!((&now["stage_kind"], now["closed_at"].is_null()), (&kind, kind == "open"));
}

#[test]
fn lists_filter_and_sort() {
    let w = World::new();
    let (bakery, shop) = (w.customer().create(), w.customer().name("Shop").create());
    let (first, second) = (w.pipeline().name("First").create(), w.pipeline().name("Second").create());
    let operator = w.operator("operator", "none", Some(&w.owner));
    let add = |title: &str, customer: &Record, pipeline: &Record, stage_name: &str, day: Value, tags: Value| {
        w.opportunity(customer.id())
            .with("title", title)
            .with("pipeline_id", Value::Null)
            .with("stage_id", stage(pipeline, stage_name))
            .with("expected_close_on", day)
            .with("tags", tags)
            .create()
    };
    add("a", &bakery, &first, "New", json!("2026-12-01"), json!(["vat"]));
    add("b", &bakery, &first, "Won", Value::Null, json!([]));
    add("c", &shop, &second, "New", json!("2026-11-30"), json!(["zus"]));
    let theirs = add("d", &shop, &second, "Lost", json!("2027-01-15"), json!(["vat", "zus"]));
    let path = format!("/opportunities/{}", theirs.id());
    w.owner.at(1).patch(&path, json!({ "caretaker_id": operator.id.to_string() })).expect(200);

    let list = |query: &str| titles(&w.owner.get(&format!("/opportunities?{query}")).expect(200)).join("");
    assert_eq!(list(""), "dcba");
    assert_eq!(list(&format!("customer_id={}", bakery.id())), "ba");
    assert_eq!(list(&format!("pipeline_id={}", second.id())), "dc");
    assert_eq!(list(&format!("stage_id={}", stage(&first, "New"))), "a");
    assert_eq!(
        (list("stage_kind=open"), list("stage_kind=won"), list("stage_kind=lost")),
        ("ca".into(), "b".into(), "d".into())
    );
    assert_eq!(list(&format!("caretaker_id={}", operator.id)), "d");
    assert_eq!(list("tag=vat"), "da");
    assert_eq!(list("sort=expected_close_on"), "cadb", "without a day the last");
    assert_eq!(list("sort=-expected_close_on"), "bdac");
    assert_eq!(list("expected_close_on[gte]=2026-12-01&sort=expected_close_on"), "ad");
    assert_eq!(list("expected_close_on[lt]=2027-01-15&sort=expected_close_on"), "ca");
    assert_eq!(list("expected_close_on[gte]=2026-11-30&expected_close_on[lt]=2026-12-01"), "c");
    assert_eq!(list("expected_close_on[lt]=9999-12-31&count=exact").len(), 3);
    let expanded = w.owner.get("/opportunities?limit=1&expand=customer,stage,pipeline,caretaker").expect(200);
    let expanded = expanded.items().remove(0);
    assert_eq!((&expanded["stage"]["name"], &expanded["pipeline"]["name"]), (&json!("Lost"), &json!("Second")));
    assert_eq!(
        (&expanded["customer"]["name"], &expanded["caretaker"]["email"]),
        (&json!("Shop"), &json!(operator.email))
    );
}

#[test]
fn those_who_hold_it_and_those_above_change_it() {
    let w = World::new();
    let manager = w.operator("manager", "none", Some(&w.owner));
    let below = w.operator("operator", "none", Some(&manager));
    let colleague = w.operator("operator", "none", Some(&w.owner));
    let pipeline = w.pipeline().create();
    let opportunity = w.opportunity(w.customer().create().id()).by(&below).create();
    let path = format!("/opportunities/{}", opportunity.id());
    colleague.at(1).patch(&path, json!({ "title": "Mine" })).refused(403, "forbidden");
    colleague.at(1).delete(&path).refused(403, "forbidden");
    move_to(&colleague, &opportunity, &stage(&pipeline, "Won")).refused(403, "forbidden");
    assert_eq!(colleague.get(&path).expect(200), opportunity, "everybody reads");
    assert_eq!(changes(&w, &opportunity).len(), 1);
    move_to(&below, &opportunity, &stage(&pipeline, "Qualified")).expect(200);
    move_to(&manager, &opportunity, &stage(&pipeline, "Proposal")).expect(200);
    let to = |who: &Caller| json!({ "caretaker_id": who.id.to_string() });
    manager.at(3).patch(&path, to(&colleague)).refused(403, "forbidden");
    manager.at(3).patch(&path, to(&manager)).expect(200);
    w.opportunity(w.customer().create().id())
        .by(&below)
        .with("caretaker_id", colleague.id.to_string())
        .send()
        .refused(403, "forbidden");
}

#[test]
fn what_others_refer_to_stays_and_stays_with_its_customer() {
    let w = World::new();
    let (customer, other) = (w.customer().create(), w.customer().create());
    w.pipeline().create();
    let mistake = w.opportunity(customer.id()).create();
    let path = format!("/opportunities/{}", mistake.id());
    let nobody = w.owner.at(1).patch(&path, json!({ "customer_id": uuid::Uuid::now_v7().to_string() }));
    nobody.refused(422, "reference_not_found");
    assert_eq!(nobody.wrong(), ["/customer_id reference_not_found"]);
    let moved = w.owner.at(1).patch(&path, json!({ "customer_id": other.id() })).expect(200);
    assert_eq!(moved["customer_id"], other.id());
    w.owner.at(1).delete(&path).refused(412, "precondition_failed");
    assert_eq!(w.owner.at(2).delete(&path).status, 204);
    w.owner.get(&path).refused(404, "not_found");
    assert_eq!((w.count("stage_changes"), w.changes("opportunity.deleted")), (0, 1));

    let opportunity = w.opportunity(customer.id()).create();
    let path = format!("/opportunities/{}", opportunity.id());
    let interaction = w.interaction(customer.id()).create();
    execute(&format!(
        "update interactions set opportunity_id = '{}', stage_id = '{}' where organization_id = '{}' and id = '{}'",
        opportunity.id(),
        opportunity["stage_id"].as_str().unwrap(),
        w.organization_id,
        interaction.id()
    ))
    .unwrap();
    w.owner.at(1).delete(&path).refused(409, "conflict");
    w.owner.at(1).patch(&path, json!({ "customer_id": other.id() })).refused(409, "conflict");
    assert_eq!(w.owner.get(&path).expect(200), opportunity);
    assert_eq!(changes(&w, &opportunity).len(), 1);
}

#[test]
fn an_opportunity_always_stands_at_a_stage() {
    let w = World::new();
    let sale = w.opportunity(w.customer().create().id()).create();
    let answer =
        w.owner.at(sale.version()).patch(&format!("/opportunities/{}", sale.id()), json!({ "stage_id": null }));
    answer.refused(422, "validation_failed");
    assert_eq!(answer.wrong(), ["/stage_id required"]);
}
