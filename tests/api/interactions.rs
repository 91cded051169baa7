//! `/interactions`: contacts, and what their time costs.

use crate::support::{Draft, Record, World, at_once, execute};
use serde_json::{Value, json};

fn price(interaction: &Record) -> (&Value, &Value, &Value, &Value) {
    let it = &interaction.0;
    (&it["billed_minutes"], &it["resolved_rate"], &it["rate_source"], &it["cost"])
}

fn priced(minutes: i64, rate: &str, source: &str, cost: &str) -> [Value; 4] {
    [json!(minutes), json!(rate), json!(source), json!(cost)]
}

#[track_caller]
fn assert_price(interaction: &Record, wanted: &[Value; 4]) {
    let [minutes, rate, source, cost] = wanted;
    assert_eq!(price(interaction), (minutes, rate, source, cost));
}

#[test]
fn a_call_is_registered_with_few_words() {
    let w = World::new();
    let customer = w.customer().create();
    let operator = w.operator("operator", "none", None);
    let answer = operator.post(
        "/interactions",
        json!({
            "customer_id": customer.id(), "channel": "phone", "direction": "inbound",
            "started_at": "2026-11-02T09:00:00Z", "duration_minutes": 25, "subject": "VAT return",
        }),
    );
    let call = answer.expect(201);
    let me = json!(operator.id.to_string());
    assert_eq!((&call["operator_id"], &call["caretaker_id"], &call["registered_by_id"]), (&me, &me, &me));
    assert_eq!((&call["status"], &call["billable"], &call["currency"]), (&json!("held"), &json!(true), &json!("PLN")));
    assert_eq!(price(&call), (&json!(25), &Value::Null, &Value::Null, &Value::Null), "nobody has set a rate");
    assert_eq!(operator.get(answer.header("location").unwrap()).expect(200), call);
    assert_eq!(w.changes("interaction.created"), 1);
}

#[test]
fn the_nearest_rate_in_force_on_its_day_prices_it() {
    let w = World::new();
    let (customer, other) = (w.customer().create(), w.customer().create());
    let operator = w.operator("operator", "none", None);
    let by_operator = |customer: &Record| w.interaction(customer.id()).by(&operator).with("duration_minutes", 20);
    w.hourly_rate("100.00", "2026-01-01").create();
    // 20 × 100.00 ÷ 60 = 33.333…
    assert_price(&by_operator(&other).create(), &priced(20, "100.00", "organization", "33.33"));
    w.hourly_rate("110.00", "2026-01-01").with("operator_id", operator.id.to_string()).create();
    // 20 × 110.00 ÷ 60 = 36.666…
    assert_price(&by_operator(&other).create(), &priced(20, "110.00", "operator", "36.67"));
    w.hourly_rate("120.00", "2026-01-01").with("customer_id", customer.id()).create();
    w.hourly_rate("999.00", "2026-11-03").with("customer_id", customer.id()).create();
    assert_price(&by_operator(&customer).create(), &priced(20, "120.00", "customer", "40.00"));
    assert_price(&by_operator(&other).create(), &priced(20, "110.00", "operator", "36.67"));
    let own = by_operator(&customer).with("hourly_rate", "0.30").with("duration_minutes", 1);
    // 1 × 0.30 ÷ 60 = 0.005, away from zero.
    assert_price(&own.create(), &priced(1, "0.30", "entry", "0.01"));
    let early = by_operator(&customer).with("started_at", "2025-12-30T12:00:00Z").create();
    assert_eq!(early["cost"], Value::Null, "before anybody had a rate");
}

#[test]
fn its_day_is_one_of_the_organizations_time_zone() {
    let w = World::new();
    let customer = w.customer().create();
    w.hourly_rate("60.00", "2026-01-01").create();
    w.hourly_rate("120.00", "2026-07-01").create();
    let at = |moment: &str| w.interaction(customer.id()).with("started_at", moment).create()["resolved_rate"].clone();
    // Midnight of 1 July in Warsaw is 22:00 UTC of the day before.
    assert_eq!(at("2026-06-30T21:59:59Z"), "60.00");
    assert_eq!(at("2026-06-30T22:00:00Z"), "120.00");
}

#[test]
fn minutes_are_rounded_up_by_the_customers_rule_or_the_organizations() {
    let w = World::with(|organization| organization.round_up_minutes = Some(10));
    let (plain, quarters) = (w.customer().create(), w.customer().with("round_up_minutes", 15).create());
    let billed = |customer: &Record, minutes: i64| {
        w.interaction(customer.id()).with("duration_minutes", minutes).create()["billed_minutes"].as_i64().unwrap()
    };
    for (minutes, tens, fifteens) in [(0, 0, 0), (1, 10, 15), (10, 10, 15), (15, 20, 15), (31, 40, 45)] {
        assert_eq!((billed(&plain, minutes), billed(&quarters, minutes)), (tens, fifteens));
    }
}

#[test]
fn an_entry_keeps_its_rate_until_its_price_depends_on_something_else() {
    let w = World::new();
    let customer = w.customer().create();
    let old = w.hourly_rate("100.00", "2026-01-01").create();
    let interaction = w.interaction(customer.id()).with("duration_minutes", 60).create();
    let path = format!("/interactions/{}", interaction.id());
    let rate = format!("/hourly-rates/{}", old.id());
    w.owner.at(1).patch(&rate, json!({ "amount": "200.00" })).expect(200);
    w.owner.at(1).patch(&format!("/customers/{}", customer.id()), json!({ "round_up_minutes": 45 })).expect(200);

    let kept =
        w.owner.at(1).patch(&path, json!({ "subject": "Another", "billable": false, "tags": ["x"] })).expect(200);
    assert_price(&kept, &priced(60, "100.00", "organization", "100.00"));
    let anew = w.owner.at(2).patch(&path, json!({ "duration_minutes": 61 })).expect(200);
    assert_price(&anew, &priced(90, "200.00", "organization", "300.00"));
    assert_eq!(w.owner.at(2).delete(&rate).status, 204);
    let kept = w.owner.at(3).patch(&path, json!({ "outcome": "Done" })).expect(200);
    assert_price(&kept, &priced(90, "200.00", "organization", "300.00"));
    let own = w.owner.at(4).patch(&path, json!({ "hourly_rate": "10.00" })).expect(200);
    assert_price(&own, &priced(90, "10.00", "entry", "15.00"));
    let none = w.owner.at(5).patch(&path, json!({ "hourly_rate": null })).expect(200);
    assert_eq!(price(&none), (&json!(90), &Value::Null, &Value::Null, &Value::Null));
    // Once there is a rate again, any change prices what had none.
    w.hourly_rate("80.00", "2026-01-01").create();
    let found = w.owner.at(6).patch(&path, json!({ "subject": "Third" })).expect(200);
    assert_price(&found, &priced(90, "80.00", "organization", "120.00"));
}

#[test]
fn what_was_planned_is_priced_when_it_has_been_held() {
    let w = World::new();
    let customer = w.customer().create();
    let rate = w.hourly_rate("100.00", "2026-01-01").create();
    let planned = w.interaction(customer.id()).with("status", "planned").create();
    assert_eq!(planned["resolved_rate"], "100.00");
    w.owner.at(1).patch(&format!("/hourly-rates/{}", rate.id()), json!({ "amount": "130.00" })).expect(200);
    let path = format!("/interactions/{}", planned.id());
    let moved = w.owner.at(1).patch(&path, json!({ "subject": "Still to come" })).expect(200);
    assert_eq!(moved["resolved_rate"], "100.00");
    let held = w.owner.at(2).patch(&path, json!({ "status": "held" })).expect(200);
    assert_eq!(held["resolved_rate"], "130.00");
}

#[test]
fn references_lead_somewhere() {
    let w = World::new();
    let (customer, other) = (w.customer().create(), w.customer().create());
    let nobody = "0192f0c1-7a10-7cc1-9d5e-0f3b8a61c2aa";
    let person = w.person(other.id()).create();
    let wrong = |draft: Draft| {
        let answer = draft.send();
        answer.refused(422, "reference_not_found");
        answer.wrong()
    };
    assert_eq!(wrong(w.interaction(nobody)), ["/customer_id reference_not_found"]);
    assert_eq!(wrong(w.interaction(customer.id()).with("operator_id", nobody)), ["/operator_id reference_not_found"]);
    assert_eq!(wrong(w.interaction(customer.id()).with("caretaker_id", nobody)), ["/caretaker_id reference_not_found"]);
    // A person of another customer is not one of this customer's.
    assert_eq!(wrong(w.interaction(customer.id()).with("person_id", person.id())), ["/person_id reference_not_found"]);
    assert_eq!(w.count("interactions"), 0);
    let script = w.api_key(&["crm:write"]);
    assert_eq!(w.interaction(customer.id()).by(&script).send().wrong(), ["/operator_id required"]);
    let told = w.interaction(customer.id()).by(&script).with("operator_id", w.owner.id.to_string()).create();
    assert_eq!((&told["registered_by_id"], &told["caretaker_id"]), (&Value::Null, &json!(w.owner.id.to_string())));
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let w = World::new();
    let customer = w.customer().create();
    let answer = w
        .interaction(customer.id())
        .with("duration_minutes", 10_081)
        .with("channel", "pigeon")
        .with("subject", "")
        .with("hourly_rate", "1.234")
        .with("started_at", "yesterday")
        .with("tags", json!(["a,b"]))
        .send();
    answer.refused(422, "validation_failed");
    let mut wrong = answer.wrong();
    wrong.sort();
    let wanted = [
        "/channel enum",
        "/duration_minutes maximum",
        "/hourly_rate pattern",
        "/started_at format",
        "/subject minLength",
        "/tags/0 pattern",
    ];
    assert_eq!(wrong, wanted);
}

#[test]
fn who_registered_it_may_change_it_and_its_caretaker_and_those_above() {
    let w = World::new();
    let manager = w.operator("manager", "none", Some(&w.owner));
    let below = w.operator("operator", "none", Some(&manager));
    let caretaker = w.operator("operator", "none", Some(&manager));
    let other_manager = w.operator("manager", "none", Some(&w.owner));
    let colleague = w.operator("operator", "none", Some(&other_manager));
    let customer = w.customer().create();
    let interaction = w.interaction(customer.id()).by(&below).create();
    let path = format!("/interactions/{}", interaction.id());

    below.at(1).patch(&path, json!({ "caretaker_id": caretaker.id.to_string() })).refused(403, "forbidden");
    manager.at(1).patch(&path, json!({ "caretaker_id": colleague.id.to_string() })).refused(403, "forbidden");
    manager.at(1).patch(&path, json!({ "caretaker_id": caretaker.id.to_string() })).expect(200);
    for (version, who) in (2..).zip([&below, &caretaker, &manager, &w.owner]) {
        who.at(version).patch(&path, json!({ "outcome": version.to_string() })).expect(200);
    }
    for who in [&other_manager, &colleague] {
        who.at(6).patch(&path, json!({ "outcome": "mine" })).refused(403, "forbidden");
        who.at(6).delete(&path).refused(403, "forbidden");
    }
    // Who talked is not by that who may rewrite what was said.
    let told = w.interaction(customer.id()).by(&below).with("operator_id", colleague.id.to_string()).create();
    colleague.at(1).patch(&format!("/interactions/{}", told.id()), json!({ "outcome": "x" })).refused(403, "forbidden");
    let assigned = w.interaction(customer.id()).by(&below).with("caretaker_id", colleague.id.to_string());
    assigned.send().refused(403, "forbidden");

    assert_eq!(caretaker.at(6).delete(&path).status, 204);
    w.owner.get(&path).refused(404, "not_found");
    let log = w.owner.get("/audit-log?resource_type=interaction&action=deleted").expect(200).items();
    assert_eq!((&log[0]["before"]["outcome"], &log[0]["after"]), (&json!("5"), &Value::Null));
}

#[test]
fn lists_filter_and_sort_by_what_people_look_for() {
    let w = World::new();
    let (customer, other) = (w.customer().create(), w.customer().create());
    let person = w.person(customer.id()).create();
    let operator = w.operator("operator", "none", None);
    let make =
        |subject: &str, moment: &str| w.interaction(customer.id()).with("subject", subject).with("started_at", moment);
    make("second", "2026-02-01T10:00:00Z").with("channel", "letter").with("tags", json!(["vat", "zus"])).create();
    make("third", "2026-03-01T10:00:00Z").by(&operator).with("person_id", person.id()).create();
    make("first", "2026-01-01T10:00:00Z").with("status", "not_held").with("tags", json!(["cit"])).create();
    make("other", "2026-01-15T10:00:00Z").with("customer_id", other.id()).create();
    let list = |query: &str| {
        let page = w.owner.get(&format!("/interactions?{query}")).expect(200);
        page.items().iter().map(|it| it["subject"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(list(""), ["third", "second", "other", "first"]);
    assert_eq!(list("sort=started_at&limit=2"), ["first", "other"]);
    assert_eq!(list("sort=created_at"), ["second", "third", "first", "other"]);
    assert_eq!(list(&format!("customer_id={}", other.id())), ["other"]);
    assert_eq!(list(&format!("person_id={}", person.id())), ["third"]);
    assert_eq!(list(&format!("operator_id={}", operator.id)), ["third"]);
    assert_eq!(list(&format!("caretaker_id={}&status=held", w.owner.id)), ["second", "other"]);
    assert_eq!(list("channel=letter"), ["second"]);
    assert_eq!(list("tag=cit,zus"), ["second", "first"]);
    assert_eq!(list("started_at[gte]=2026-01-15T10:00:00Z&started_at[lt]=2026-03-01T10:00:00Z"), ["second", "other"]);
    w.owner.get("/interactions?chanel=letter").refused(400, "parameter_invalid");

    let first = w.owner.get("/interactions?limit=3").expect(200);
    let next = format!("/interactions?limit=3&cursor={}", first["next_cursor"].as_str().unwrap());
    assert_eq!(w.owner.get(&next).expect(200).items()[0]["subject"], "first");
    let path = format!("/interactions?person_id={}&expand=person,customer", person.id());
    let expanded = w.owner.get(&path).expect(200).items();
    assert_eq!((&expanded[0]["person"]["id"], &expanded[0]["customer"]["id"]), (&person["id"], &customer["id"]));
}

#[test]
fn a_repeated_registration_happens_once() {
    let w = World::new();
    let customer = w.customer().create();
    let draft = w.interaction(customer.id());
    let script = w.owner.once("call-4711");
    let first = script.post("/interactions", draft.body());
    let again = script.post("/interactions", draft.body());
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(again.expect(201), first.expect(201));
    let other = draft.with("subject", "Another");
    script.post("/interactions", other.body()).refused(422, "idempotency_key_reused");
    assert_eq!(w.count("interactions"), 1);
}

#[test]
fn a_moment_outside_of_the_years_that_can_be_told_is_refused() {
    let w = World::new();
    let customer = w.customer().create();
    for moment in
        ["9999-12-31T23:59:60Z", "9999-12-31T23:59:59-01:00", "0000-01-01T00:00:00+01:00", "2026-11-01 10:00:00Z"]
    {
        let answer = w.interaction(customer.id()).with("started_at", moment).send();
        answer.refused(422, "validation_failed");
        assert_eq!(answer.wrong(), ["/started_at format"], "{moment}");
    }
    let last = w.interaction(customer.id()).with("started_at", "9999-12-31T23:59:59Z").create();
    assert_eq!(last["started_at"], "9999-12-31T23:59:59Z");
}

#[test]
fn what_is_expanded_is_never_not_modified() {
    let w = World::new();
    let customer = w.customer().create();
    let interaction = w.interaction(customer.id()).create();
    let path = format!("/interactions/{}?expand=customer", interaction.id());
    w.owner.at(1).patch(&format!("/customers/{}", customer.id()), json!({ "name": "Po zmianie" })).expect(200);
    let again = w.owner.with("If-None-Match", "\"1\"").get(&path).expect(200);
    assert_eq!(again["customer"]["name"], "Po zmianie");
}

#[test]
fn it_keeps_where_the_opportunity_stood_when_it_began() {
    let w = World::new();
    let (customer, other) = (w.customer().create(), w.customer().create());
    let sale =
        w.sale(customer.id(), "Payroll", &["2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z"]);
    let at = |moment: &str| {
        let draft = w.interaction(customer.id()).with("opportunity_id", sale.id.as_str());
        draft.with("started_at", moment).create()["stage_id"].clone()
    };
    assert_eq!(at("2026-01-01T00:00:00Z"), sale.stages[0], "where it began");
    assert_eq!(at("2026-02-28T23:59:59.999999Z"), sale.stages[0]);
    assert_eq!(at("2026-03-01T00:00:00Z"), sale.stages[1]);
    assert_eq!(at("2026-11-01T00:00:00Z"), sale.stages[2]);

    let call = w.interaction(customer.id()).with("started_at", "2026-03-15T00:00:00Z").create();
    assert_eq!((&call["opportunity_id"], &call["stage_id"]), (&Value::Null, &Value::Null));
    let path = format!("/interactions/{}", call.id());
    let sold = w.owner.at(1).patch(&path, json!({ "opportunity_id": sale.id })).expect(200);
    assert_eq!(sold["stage_id"], sale.stages[1]);
    // What becomes of the opportunity later leaves it as it is, until it is about something else or another time.
    execute(&format!("update stage_changes set changed_at = '2026-03-10' where to_stage_id = '{}'", sale.stages[2]))
        .unwrap();
    let kept = w.owner.at(2).patch(&path, json!({ "subject": "Offer", "duration_minutes": 5 })).expect(200);
    assert_eq!(kept["stage_id"], sale.stages[1]);
    let moved = w.owner.at(3).patch(&path, json!({ "started_at": "2026-03-16T00:00:00Z" })).expect(200);
    assert_eq!(moved["stage_id"], sale.stages[2]);
    let list = |query: &str| w.owner.get(&format!("/interactions?{query}")).expect(200).items().len();
    assert_eq!((list(&format!("opportunity_id={}", sale.id)), list(&format!("stage_id={}", sale.stages[2]))), (5, 2));

    for (patch, wrong) in [
        (json!({ "stage_id": sale.stages[0] }), "/stage_id unknown"),
        (json!({ "opportunity_id": "0192f0c1-7a10-7cc1-9d5e-0f3b8a61c2aa" }), "/opportunity_id reference_not_found"),
        // It is one of the interaction's customer.
        (json!({ "customer_id": other.id() }), "/opportunity_id reference_not_found"),
    ] {
        assert_eq!(w.owner.at(4).patch(&path, patch).wrong(), [wrong]);
    }
    let theirs = w.interaction(other.id()).with("opportunity_id", sale.id.as_str()).send();
    assert_eq!(theirs.wrong(), ["/opportunity_id reference_not_found"]);
    let none = w.owner.at(4).patch(&path, json!({ "opportunity_id": null })).expect(200);
    assert_eq!(none["stage_id"], Value::Null);
}

#[test]
fn below_something_it_starts_in_its_thread() {
    let w = World::new();
    let customer = w.customer().create();
    let (thread, own) = (w.thread("Payroll").create(), w.thread("Own").create());
    let task = w.task("Payroll").with("thread_id", thread.id()).create();
    let of_task = json!({ "type": "task", "id": task.id() });
    let first = w.interaction(customer.id()).with("parent", of_task.clone()).create();
    assert_eq!((&first["parent"], &first["thread_id"]), (&of_task, &json!(thread.id())));
    let of_first = json!({ "type": "interaction", "id": first.id() });
    let second = w.interaction(customer.id()).with("parent", of_first.clone()).create();
    assert_eq!((&second["parent"], &second["thread_id"]), (&of_first, &json!(thread.id())));
    let elsewhere = w.interaction(customer.id()).with("parent", of_first.clone()).with("thread_id", own.id()).create();
    assert_eq!(elsewhere["thread_id"], own.id());

    let list = |query: &str| {
        let page = w.owner.get(&format!("/interactions?sort=created_at&{query}")).expect(200);
        page.items().iter().map(|it| it.id().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(list(&format!("thread_id={}", thread.id())), [first.id(), second.id()]);
    assert_eq!(list(&format!("parent_task_id={}", task.id())), [first.id()]);
    assert_eq!(list(&format!("parent_interaction_id={}", first.id())), [second.id(), elsewhere.id()]);

    // It moves below something else, or out, and stays in its thread unless it is told another one.
    let path = format!("/interactions/{}", second.id());
    let moved = w.owner.at(1).patch(&path, json!({ "parent": of_task })).expect(200);
    assert_eq!((&moved["parent"], &moved["thread_id"]), (&of_task, &json!(thread.id())));
    let out = w.owner.at(2).patch(&path, json!({ "parent": null, "thread_id": own.id() })).expect(200);
    assert_eq!((&out["parent"], &out["thread_id"]), (&Value::Null, &json!(own.id())));
    assert_eq!(w.owner.get(&format!("/interactions/{}", first.id())).expect(200), first);
}

#[test]
fn its_parent_is_one_that_there_is_and_not_below_it() {
    let w = World::new();
    let customer = w.customer().create();
    let nobody = "0192f0c1-7a10-7cc1-9d5e-0f3b8a61c2aa";
    for kind in ["task", "interaction"] {
        let answer = w.interaction(customer.id()).with("parent", json!({ "type": kind, "id": nobody })).send();
        answer.refused(422, "reference_not_found");
        assert_eq!(answer.wrong(), ["/parent/id reference_not_found"]);
    }
    let answer = w.interaction(customer.id()).with("parent", json!({ "type": "customer", "id": customer.id() })).send();
    assert_eq!(answer.wrong(), ["/parent/type enum"]);
    assert_eq!(w.count("interactions"), 0);

    let top = w.interaction(customer.id()).create();
    let below = |parent: &Record| {
        w.interaction(customer.id()).with("parent", json!({ "type": "interaction", "id": parent.id() })).create()
    };
    let middle = below(&top);
    let bottom = below(&middle);
    let path = format!("/interactions/{}", top.id());
    for under in [&top, &middle, &bottom] {
        let answer = w.owner.at(1).patch(&path, json!({ "parent": { "type": "interaction", "id": under.id() } }));
        answer.refused(422, "validation_failed");
        assert_eq!(answer.wrong(), ["/parent cycle"]);
    }
    // Of a parent only the kind that it is, or only its id, makes none.
    let half = w.owner.at(1).patch(&path, json!({ "parent": { "type": "task" } }));
    assert_eq!(half.refused(422, "validation_failed")["status"], 422);
    assert_eq!(w.owner.get(&path).expect(200), top);

    // What something hangs below stays.
    w.owner.at(1).delete(&path).refused(409, "conflict");
    assert_eq!(w.owner.get(&path).expect(200), top);
    for record in [&bottom, &middle, &top] {
        assert_eq!(w.owner.at(1).delete(&format!("/interactions/{}", record.id())).status, 204);
    }
}

#[test]
fn of_two_moves_that_meet_one_is_refused() {
    let w = World::new();
    let customer = w.customer().create();
    for _ in 0..5 {
        let both = [w.interaction(customer.id()).create(), w.interaction(customer.id()).create()];
        let mut answers = at_once(2, |n| {
            let parent = json!({ "parent": { "type": "interaction", "id": both[1 - n].id() } });
            w.owner.at(1).patch(&format!("/interactions/{}", both[n].id()), parent)
        });
        answers.sort_by_key(|answer| answer.status);
        answers[0].expect(200);
        assert_eq!(answers[1].wrong(), ["/parent cycle"]);
    }
}

#[test]
fn a_follow_up_is_made_with_its_interaction_or_neither_is() {
    let w = World::new();
    let manager = w.operator("manager", "none", Some(&w.owner));
    let below = w.operator("operator", "none", Some(&manager));
    let customer = w.customer().create();
    let thread = w.thread("Inspection").create();
    let call = |follow_up: Value| {
        w.interaction(customer.id()).by(&manager).with("thread_id", thread.id()).with("follow_up_task", follow_up)
    };
    let made = call(json!({
        "title": "Send the return", "due_at": "2026-11-05T10:00:00Z", "caretaker_id": below.id.to_string(),
        "reminders": [{ "minutes_before": 60 }],
    }));
    let made = made.create();
    let task = &made["follow_up_task"];
    assert_eq!(task["parent"], json!({ "type": "interaction", "id": made.id() }));
    assert_eq!((&task["customer_id"], &task["thread_id"]), (&customer["id"], &thread["id"]));
    let (by, to) = (json!(manager.id.to_string()), json!(below.id.to_string()));
    assert_eq!((&task["registered_by_id"], &task["caretaker_id"]), (&by, &to));
    assert_eq!(
        w.owner.get(&format!("/tasks/{}", task["id"].as_str().unwrap())).expect(200)["title"],
        "Send the return"
    );
    assert_eq!(w.owner.get(&format!("/interactions/{}", made.id())).expect(200)["follow_up_task"], Value::Null);

    let stranger = w.operator("operator", "none", None);
    for (follow_up, status, wrong) in [
        (json!({ "title": "" }), 422, vec!["/follow_up_task/title minLength"]),
        (json!({ "title": "x", "parent": null }), 422, vec!["/follow_up_task/parent unknown"]),
        (
            json!({ "title": "x", "start_at": "2026-11-06T10:00:00Z", "due_at": "2026-11-05T10:00:00Z" }),
            422,
            vec!["/follow_up_task/due_at order"],
        ),
        (json!({ "title": "x", "caretaker_id": stranger.id.to_string() }), 403, vec![]),
    ] {
        let answer = call(follow_up).send();
        assert_eq!((answer.status, answer.wrong()), (status, wrong.iter().map(|it| (*it).to_owned()).collect()));
    }
    let nobody = json!({ "title": "x", "caretaker_id": "0192f0c1-7a10-7cc1-9d5e-0f3b8a61c2aa" });
    let answer = call(nobody.clone()).by(&w.owner).send();
    assert_eq!(answer.wrong(), ["/follow_up_task/caretaker_id reference_not_found"]);
    assert_eq!((w.count("interactions"), w.count("tasks")), (1, 1), "both or neither");
    assert_eq!(call(Value::Null).create()["follow_up_task"], Value::Null);

    // A script's follow-up is for whoever takes care of the interaction.
    let script = w.api_key(&["crm:write"]);
    let told = w.interaction(customer.id()).by(&script).with("operator_id", below.id.to_string());
    let told = told.with("follow_up_task", json!({ "title": "Call back" })).create();
    assert_eq!(told["follow_up_task"]["caretaker_id"], to);
}

#[test]
fn a_follow_up_repeated_with_its_key_is_made_once() {
    let w = World::new();
    let customer = w.customer().create();
    let draft = w.interaction(customer.id()).with("follow_up_task", json!({ "title": "Call back" }));
    let script = w.owner.once("call-and-task");
    let first = script.post("/interactions", draft.body()).expect(201);
    assert_eq!(script.post("/interactions", draft.body()).expect(201), first);
    assert_eq!((w.count("interactions"), w.count("tasks")), (1, 1));
}
