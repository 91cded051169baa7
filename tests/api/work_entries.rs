//! `/work-entries`: time spent on tasks, and what it costs.

use crate::support::{Caller, Draft, Record, World, at_once, count, execute};
use serde_json::{Value, json};

#[track_caller]
fn assert_price(entry: &Record, minutes: i64, rate: &str, source: &str, cost: &str) {
    let told = [&entry["billed_minutes"], &entry["resolved_rate"], &entry["rate_source"], &entry["cost"]];
    assert_eq!(told, [&json!(minutes), &json!(rate), &json!(source), &json!(cost)]);
}

#[test]
fn time_is_written_down_with_few_words() {
    let w = World::new();
    let customer = w.customer().create();
    let (thread, sale) = (w.thread("Payroll").create(), w.sale(customer.id(), "Payroll", &["2026-01-01T00:00:00Z"]));
    let task = w.task("Payroll of October").with("customer_id", customer.id()).with("thread_id", thread.id());
    let task = task.with("opportunity_id", sale.id.as_str()).create();
    let operator = w.operator("operator", "none", None);
    let body = json!({ "task_id": task.id(), "started_at": "2026-11-02T09:00:00Z", "duration_minutes": 45 });
    let answer = operator.post("/work-entries", body);
    let entry = answer.expect(201);
    let me = json!(operator.id.to_string());
    assert_eq!((&entry["operator_id"], &entry["registered_by_id"]), (&me, &me));
    assert_eq!((&entry["billable"], &entry["note"], &entry["currency"]), (&json!(true), &Value::Null, &json!("PLN")));
    assert_eq!((&entry["customer_id"], &entry["thread_id"]), (&json!(customer.id()), &json!(thread.id())));
    assert_eq!((&entry["opportunity_id"], &entry["stage_id"]), (&json!(sale.id), &json!(sale.stages[0])));
    assert_eq!((&entry["billed_minutes"], &entry["cost"]), (&json!(45), &Value::Null), "nobody has set a rate");
    assert_eq!(operator.get(answer.header("location").unwrap()).expect(200), entry);
    assert_eq!(w.changes("work_entry.created"), 1);
}

#[test]
fn it_is_priced_as_contacts_are_with_a_customer_and_without() {
    let w = World::with(|organization| organization.round_up_minutes = Some(10));
    let customer = w.customer().with("round_up_minutes", 15).create();
    let (of_customer, of_nobody) = (w.task("A").with("customer_id", customer.id()).create(), w.task("B").create());
    let operator = w.operator("operator", "none", None);
    let write = |task: &Record| w.work_entry(task.id()).by(&operator).with("duration_minutes", 31);
    w.hourly_rate("100.00", "2026-01-01").create();
    // 40 × 100.00 ÷ 60 = 66.666…
    assert_price(&write(&of_nobody).create(), 40, "100.00", "organization", "66.67");
    w.hourly_rate("110.00", "2026-01-01").with("operator_id", operator.id.to_string()).create();
    assert_price(&write(&of_nobody).create(), 40, "110.00", "operator", "73.33");
    w.hourly_rate("120.00", "2026-01-01").with("customer_id", customer.id()).create();
    w.hourly_rate("999.00", "2026-11-03").with("customer_id", customer.id()).create();
    assert_price(&write(&of_customer).create(), 45, "120.00", "customer", "90.00");
    assert_price(&write(&of_nobody).create(), 40, "110.00", "operator", "73.33");
    assert_price(&write(&of_customer).with("hourly_rate", "0.30").create(), 45, "0.30", "entry", "0.23");
    let early = write(&of_customer).with("started_at", "2025-12-30T12:00:00Z").create();
    assert_eq!(early["cost"], Value::Null, "before anybody had a rate");
}

#[test]
fn it_keeps_its_rate_until_its_price_depends_on_something_else() {
    let w = World::new();
    let task = w.task("Payroll").create();
    let rate = w.hourly_rate("100.00", "2026-01-01").create();
    let entry = w.work_entry(task.id()).with("duration_minutes", 60).create();
    let path = format!("/work-entries/{}", entry.id());
    w.owner.at(1).patch(&format!("/hourly-rates/{}", rate.id()), json!({ "amount": "200.00" })).expect(200);
    let kept = w.owner.at(1).patch(&path, json!({ "note": "Entered", "billable": false })).expect(200);
    assert_price(&kept, 60, "100.00", "organization", "100.00");
    let anew = w.owner.at(2).patch(&path, json!({ "duration_minutes": 90 })).expect(200);
    assert_price(&anew, 90, "200.00", "organization", "300.00");
    assert_eq!(w.owner.at(2).delete(&format!("/hourly-rates/{}", rate.id())).status, 204);
    let none = w.owner.at(3).patch(&path, json!({ "duration_minutes": 91 })).expect(200);
    assert_eq!((&none["resolved_rate"], &none["cost"]), (&Value::Null, &Value::Null));
    // Once there is a rate again, any change prices what had none.
    w.hourly_rate("60.00", "2026-01-01").create();
    let found = w.owner.at(4).patch(&path, json!({ "note": "Checked" })).expect(200);
    assert_price(&found, 91, "60.00", "organization", "91.00");
}

#[test]
fn one_writes_down_ones_own_time_and_that_of_those_below() {
    let w = World::new();
    let manager = w.operator("manager", "none", Some(&w.owner));
    let below = w.operator("operator", "none", Some(&manager));
    let colleague = w.operator("operator", "none", Some(&w.owner));
    let task = w.task("Payroll").create();
    let of = |who: &Caller| w.work_entry(task.id()).with("operator_id", who.id.to_string());

    below.post("/work-entries", of(&manager).body()).refused(403, "forbidden");
    below.post("/work-entries", of(&colleague).body()).refused(403, "forbidden");
    manager.post("/work-entries", of(&colleague).body()).refused(403, "forbidden");
    assert_eq!(w.count("work_entries"), 0);
    let script = w.api_key(&["crm:write"]);
    assert_eq!(w.work_entry(task.id()).by(&script).send().wrong(), ["/operator_id required"]);
    let told = of(&below).by(&script).create();
    assert_eq!((&told["registered_by_id"], &told["operator_id"]), (&Value::Null, &json!(below.id.to_string())));

    let entry = of(&below).by(&manager).create();
    let path = format!("/work-entries/{}", entry.id());
    for (version, who) in (1..).zip([&below, &manager, &w.owner]) {
        who.at(version).patch(&path, json!({ "note": version.to_string() })).expect(200);
    }
    colleague.at(4).patch(&path, json!({ "note": "mine" })).refused(403, "forbidden");
    colleague.at(4).delete(&path).refused(403, "forbidden");
    below.at(4).patch(&path, json!({ "operator_id": colleague.id.to_string() })).refused(403, "forbidden");
    assert_eq!(w.owner.get(&path).expect(200)["note"], "3");
    let given = w.owner.at(4).patch(&path, json!({ "operator_id": colleague.id.to_string() })).expect(200);
    assert_eq!(given["operator_id"], colleague.id.to_string());
    assert_eq!(colleague.at(5).delete(&path).status, 204);
    w.owner.get(&path).refused(404, "not_found");
    let log = w.owner.get("/audit-log?resource_type=work_entry&action=deleted").expect(200).items();
    assert_eq!((&log[0]["before"]["note"], &log[0]["after"]), (&json!("3"), &Value::Null));
}

#[test]
fn it_is_of_the_task_that_it_moves_to() {
    let w = World::new();
    let (first, second) = (w.customer().create(), w.customer().with("round_up_minutes", 60).create());
    w.hourly_rate("100.00", "2026-01-01").create();
    w.hourly_rate("50.00", "2026-01-01").with("customer_id", second.id()).create();
    let sale = w.sale(second.id(), "Payroll", &["2026-01-01T00:00:00Z", "2026-11-01T00:00:00Z"]);
    let from = w.task("From").with("customer_id", first.id()).with("thread_id", w.thread("Old").create().id()).create();
    let to = w.task("To").with("customer_id", second.id()).with("opportunity_id", sale.id.as_str()).create();
    let entry = w.work_entry(from.id()).create();
    assert_price(&entry, 30, "100.00", "organization", "50.00");
    let path = format!("/work-entries/{}", entry.id());
    let moved = w.owner.at(1).patch(&path, json!({ "task_id": to.id() })).expect(200);
    assert_price(&moved, 60, "50.00", "customer", "50.00");
    assert_eq!((&moved["customer_id"], &moved["thread_id"]), (&json!(second.id()), &Value::Null));
    assert_eq!((&moved["opportunity_id"], &moved["stage_id"]), (&json!(sale.id), &json!(sale.stages[1])));
    // Where it stood is worked out anew when the work began at another time, and only then.
    let earlier = w.owner.at(2).patch(&path, json!({ "started_at": "2026-10-31T23:59:59Z" })).expect(200);
    assert_eq!(earlier["stage_id"], sale.stages[0]);
    let before = w.owner.at(3).patch(&path, json!({ "started_at": "2025-10-31T23:59:59Z" })).expect(200);
    assert_eq!(before["stage_id"], sale.stages[0], "before its beginning it stood where it began");
    execute(&format!("update stage_changes set changed_at = '2020-01-01' where to_stage_id = '{}'; ", sale.stages[1]))
        .unwrap();
    let kept = w.owner.at(4).patch(&path, json!({ "note": "x", "duration_minutes": 20 })).expect(200);
    assert_eq!(kept["stage_id"], sale.stages[0], "kept from then");
}

#[test]
fn what_is_wrong_is_told() {
    let w = World::new();
    let task = w.task("Payroll").create();
    let nobody = "0192f0c1-7a10-7cc1-9d5e-0f3b8a61c2aa";
    let stranger = World::new();
    let wrong = |draft: Draft| {
        let answer = draft.send();
        assert_eq!(answer.status, 422, "{answer:?}");
        answer.wrong()
    };
    assert_eq!(wrong(w.work_entry(nobody)), ["/task_id reference_not_found"]);
    assert_eq!(wrong(w.work_entry(stranger.task("Theirs").create().id())), ["/task_id reference_not_found"]);
    assert_eq!(wrong(w.work_entry(task.id()).with("operator_id", nobody)), ["/operator_id reference_not_found"]);
    assert_eq!(wrong(w.work_entry(task.id()).with("duration_minutes", 0)), ["/duration_minutes minimum"]);
    assert_eq!(wrong(w.work_entry(task.id()).with("duration_minutes", 10_081)), ["/duration_minutes maximum"]);
    assert_eq!(wrong(w.work_entry(task.id()).with("customer_id", nobody)), ["/customer_id unknown"]);
    assert_eq!(w.count("work_entries"), 0);
    let entry = w.work_entry(task.id()).with("duration_minutes", 10_080).create();
    let path = format!("/work-entries/{}", entry.id());
    let answer = w.owner.at(1).patch(&path, json!({ "task_id": nobody }));
    assert_eq!(answer.wrong(), ["/task_id reference_not_found"]);
    assert_eq!(w.owner.get(&path).expect(200), entry);
}

#[test]
fn lists_filter_and_sort_by_what_people_look_for() {
    let w = World::new();
    let customer = w.customer().create();
    let (thread, sale) = (w.thread("Payroll").create(), w.sale(customer.id(), "Payroll", &["2026-01-01T00:00:00Z"]));
    let tied = w.task("Tied").with("customer_id", customer.id()).with("thread_id", thread.id());
    let (tied, free) = (tied.with("opportunity_id", sale.id.as_str()).create(), w.task("Free").create());
    let operator = w.operator("operator", "none", None);
    let make = |task: &Record, note: &str, at: &str| w.work_entry(task.id()).with("note", note).with("started_at", at);
    make(&tied, "second", "2026-02-01T10:00:00Z").create();
    make(&free, "third", "2026-03-01T10:00:00Z").by(&operator).create();
    make(&tied, "first", "2026-01-01T10:00:00Z").with("billable", false).create();
    let list = |path: &str| {
        let page = w.owner.get(path).expect(200);
        page.items().iter().map(|it| it["note"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let of = |query: &str| list(&format!("/work-entries?{query}"));
    assert_eq!(of(""), ["third", "second", "first"]);
    assert_eq!(of("sort=started_at"), ["first", "second", "third"]);
    assert_eq!(of("sort=created_at"), ["second", "third", "first"]);
    let names = ["task_id", "customer_id", "thread_id", "opportunity_id"];
    for (name, id) in names.iter().zip([tied.id(), customer.id(), thread.id(), &sale.id]) {
        assert_eq!(of(&format!("{name}={id}")), ["second", "first"], "{name}");
    }
    assert_eq!(of(&format!("operator_id={}", operator.id)), ["third"]);
    assert_eq!(of("billable=false"), ["first"]);
    assert_eq!(of("started_at[gte]=2026-01-15T10:00:00Z&started_at[lt]=2026-03-01T10:00:00Z"), ["second"]);
    assert_eq!(list(&format!("/tasks/{}/work-entries", tied.id())), ["second", "first"]);
    assert_eq!(list(&format!("/tasks/{}/work-entries?sort=started_at&limit=1", tied.id())), ["first"]);
    w.owner.get("/tasks/0192f0c1-7a10-7cc1-9d5e-0f3b8a61c2aa/work-entries").refused(404, "not_found");
    let expanded = w.owner.get(&format!("/work-entries?task_id={}&expand=customer,operator", tied.id())).expect(200);
    assert_eq!(expanded.items()[0]["customer"]["id"], customer["id"]);
}

/// An entry a minute, so many, past the API.
fn write_many(w: &World, entry: &Record, many: u32) {
    execute(&format!(
        "insert into work_entries
         select (jsonb_populate_record(e, jsonb_build_object('id', gen_random_uuid(), 'started_at', e.started_at + n * interval '1 minute'))).*
         from work_entries e, generate_series(1, {many}) n
         where e.organization_id = '{}' and e.id = '{}'",
        w.organization_id,
        entry.id()
    ))
    .unwrap();
}

#[test]
fn entries_follow_their_task() {
    let w = World::new();
    let (old, new) = (w.customer().create(), w.customer().with("round_up_minutes", 60).create());
    w.hourly_rate("100.00", "2026-01-01").create();
    w.hourly_rate("130.00", "2026-11-02").with("customer_id", new.id()).create();
    w.hourly_rate("150.00", "2026-11-03").with("customer_id", new.id()).create();
    let thread = w.thread("Payroll").create();
    let sale = w.sale(new.id(), "Payroll", &["2026-01-01T00:00:00Z", "2026-11-02T12:00:00Z"]);
    let task = w.task("Payroll").with("customer_id", old.id()).create();
    let entry = w.work_entry(task.id()).create();
    let own = w.work_entry(task.id()).with("hourly_rate", "10.00").create();
    let other = w.work_entry(w.task("Other").with("customer_id", old.id()).create().id()).create();
    // More than one batch, over two days.
    write_many(&w, &entry, 2_500);
    let show = |entry: &Record| w.owner.get(&format!("/work-entries/{}", entry.id())).expect(200);
    let path = format!("/tasks/{}", task.id());
    let change = |patch: Value| w.owner.with("If-Match", "*").patch(&path, patch).expect(200);

    // Another thread changes no price, whatever has become of the rates.
    let rate = w.owner.get("/hourly-rates?holder=organization").expect(200).items().remove(0);
    w.owner.at(1).patch(&format!("/hourly-rates/{}", rate.id()), json!({ "amount": "70.00" })).expect(200);
    change(json!({ "thread_id": thread.id() }));
    let followed = show(&entry);
    assert_eq!((&followed["thread_id"], followed.version()), (&json!(thread.id()), 2));
    assert_price(&followed, 30, "100.00", "organization", "50.00");
    assert_eq!(count(&format!("work_entries where thread_id = '{}' and version = 2", thread.id())), 2_502);

    change(json!({ "customer_id": new.id(), "opportunity_id": sale.id }));
    let followed = show(&entry);
    assert_eq!((&followed["customer_id"], &followed["opportunity_id"]), (&json!(new.id()), &json!(sale.id)));
    assert_eq!((&followed["stage_id"], followed.version()), (&json!(sale.stages[0]), 3));
    assert_price(&followed, 60, "130.00", "customer", "130.00");
    assert_price(&show(&own), 60, "10.00", "entry", "10.00");
    let of = |condition: &str| count(&format!("work_entries where task_id = '{}' and {condition}", task.id()));
    assert_eq!(of("version = 3"), 2_502);
    // They begin from 9:00 on, one a minute: 180 before noon and as many till midnight in Warsaw as there are.
    assert_eq!(of(&format!("stage_id = '{}'", sale.stages[0])), 2 + 179);
    let second_day = "started_at >= '2026-11-02 23:00Z'";
    assert_eq!(of(&format!("{second_day} and cost = 150.00")), of(second_day));
    assert_eq!(of(&format!("not ({second_day}) and cost = 130.00")), of(&format!("not ({second_day})")) - 1);
    assert_eq!(show(&other), other, "entries of other tasks stay as they are");
    // Each change is told, and one that changes nothing is none.
    let told =
        |kind: &str| count(&format!("events where organization_id = '{}' and type = '{kind}'", w.organization_id));
    assert_eq!(told("work_entry.updated"), 2 * 2_502);
    change(json!({ "title": "Payroll of October" }));
    assert_eq!(told("work_entry.updated"), 2 * 2_502);
    let log =
        w.owner.get(&format!("/audit-log?resource_type=work_entry&resource_id={}", entry.id())).expect(200).items();
    assert_eq!(
        (&log[0]["before"]["customer_id"], &log[0]["after"]["customer_id"]),
        (&json!(old.id()), &json!(new.id()))
    );

    // And back to nobody's.
    change(json!({ "customer_id": null, "opportunity_id": null, "thread_id": null }));
    let followed = show(&entry);
    for tie in ["customer_id", "thread_id", "opportunity_id", "stage_id"] {
        assert_eq!(followed[tie], Value::Null, "{tie}");
    }
    assert_price(&followed, 30, "70.00", "organization", "35.00");
}

#[test]
fn entries_of_a_locked_month_keep_their_task_from_changing_hands() {
    let w = World::new();
    let (old, new) = (w.customer().create(), w.customer().create());
    let task = w.task("Payroll").with("customer_id", old.id()).create();
    let settled = w.work_entry(task.id()).with("started_at", "2026-10-10T10:00:00Z").create();
    let open = w.work_entry(task.id()).create();
    w.month_lock("2026-10-01").create();
    let path = format!("/tasks/{}", task.id());
    let task = w.owner.get(&path).expect(200);
    let refused =
        w.owner.at(task.version()).patch(&path, json!({ "customer_id": new.id() })).refused(409, "state_invalid");
    assert_eq!(refused["state"], "locked");
    assert_eq!(w.owner.get(&path).expect(200), task);
    for entry in [&settled, &open] {
        assert_eq!(&w.owner.get(&format!("/work-entries/{}", entry.id())).expect(200), entry);
    }
}

#[test]
fn entries_that_are_written_while_their_task_changes_hands_follow_it_too() {
    let w = World::new();
    let customers = [w.customer().create(), w.customer().create()];
    let tasks = [0, 1].map(|n| w.task("Payroll").with("customer_id", customers[n].id()).create());
    let of = |n: usize| tasks[n % 2].id();
    let any = w.owner.with("If-Match", "*");
    at_once(12, |turn| {
        for round in 0..6 {
            let answer = match turn {
                // Writers, who also move what they have written to the other task.
                0..8 => {
                    let entry = w.work_entry(of(turn)).create();
                    let moved = json!({ "task_id": of(turn + round) });
                    any.patch(&format!("/work-entries/{}", entry.id()), moved)
                }
                8..11 => {
                    let customer = json!({ "customer_id": customers[round % 2].id() });
                    any.patch(&format!("/tasks/{}", of(turn)), customer)
                }
                // And somebody who locks months, for which all the others have to wait.
                _ => w.month_lock(&format!("2020-{:02}-01", round + 1)).send(),
            };
            assert!(answer.status < 300, "{answer:?}");
        }
    });
    assert_eq!(w.count("work_entries"), 8 * 6);
    for task in &tasks {
        let customer = w.owner.get(&format!("/tasks/{}", task.id())).expect(200)["customer_id"].clone();
        for entry in w.owner.get(&format!("/tasks/{}/work-entries?limit=200", task.id())).expect(200).items() {
            assert_eq!(entry["customer_id"], customer, "{entry:?}");
        }
    }
}
