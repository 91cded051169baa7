//! `/threads`: matters, what goes in and out of them, what they cost and who still owes what.

use crate::support::{Answer, Caller, Record, World, at_once, now};
use crate::tasks::{again, change, path};
use chrono::{SecondsFormat, TimeDelta};
use serde_json::{Value, json};

fn item(kind: &str, record: &Record) -> Value {
    json!({ "type": kind, "id": record.id() })
}

fn link(who: &Caller, thread: &Record, item: Value) -> Answer {
    who.post(&format!("/threads/{}/items", thread.id()), item)
}

fn unlink(who: &Caller, thread: &Record, kind: &str, record: &Record) -> Answer {
    who.delete(&format!("/threads/{}/items?type={kind}&item_id={}", thread.id(), record.id()))
}

fn summary(w: &World, thread: &Record) -> Record {
    w.owner.get(&format!("/threads/{}/summary", thread.id())).expect(200)
}

/// The kinds and titles of a timeline, the latest first.
fn timeline(w: &World, path: &str) -> Vec<String> {
    let page = w.owner.get(&format!("{path}/timeline?limit=200")).expect(200);
    let title = |entry: &Record| {
        let kind = entry["kind"].as_str().unwrap().to_owned();
        let record = &entry[&kind];
        let title = ["subject", "title", "note"].iter().find_map(|field| record[*field].as_str());
        format!("{kind} {}", title.unwrap())
    };
    page.items().iter().map(title).collect()
}

#[test]
fn a_linked_task_brings_its_subtree_and_its_time() {
    let w = World::new();
    let customer = w.customer().create();
    let thread = w.thread("Inspection").create();
    let main = w.task("main").create();
    let sub = w.task("sub").with("parent", item("task", &main)).create();
    let call = w.interaction(customer.id()).with("parent", item("task", &sub)).create();
    let entry = w.work_entry(sub.id()).create();
    let outside = w.task("outside").create();
    let carried = link(&w.owner, &thread, item("task", &main)).expect(200);
    assert_eq!(carried.0, json!({ "tasks": 2, "interactions": 1 }));
    for path in
        [path(&main), path(&sub), format!("/interactions/{}", call.id()), format!("/work-entries/{}", entry.id())]
    {
        assert_eq!(w.owner.get(&path).expect(200)["thread_id"], thread["id"], "{path}");
    }
    assert_eq!(again(&w, &outside)["thread_id"], Value::Null);
    // What comes below it later is of the matter too.
    assert_eq!(w.task("new").with("parent", item("task", &sub)).create()["thread_id"], thread["id"]);
    // Linked again, nothing moves.
    assert_eq!(link(&w.owner, &thread, item("task", &main)).expect(200).0, json!({ "tasks": 0, "interactions": 0 }));

    let carried = unlink(&w.owner, &thread, "task", &sub).expect(200);
    assert_eq!(carried.0, json!({ "tasks": 2, "interactions": 1 }));
    assert_eq!(again(&w, &sub)["thread_id"], Value::Null);
    assert_eq!(w.owner.get(&format!("/work-entries/{}", entry.id())).expect(200)["thread_id"], Value::Null);
    assert_eq!(again(&w, &main)["thread_id"], thread["id"]);
    unlink(&w.owner, &thread, "task", &sub).refused(404, "not_found");
    let nobody = json!({ "type": "task", "id": "0192f0c1-7a10-7cc1-9d5e-0f3b8a61c2aa" });
    assert_eq!(link(&w.owner, &thread, nobody).wrong(), ["/id reference_not_found"]);
}

#[test]
fn a_task_or_interaction_that_is_sent_to_a_thread_takes_what_is_below() {
    let w = World::new();
    let customer = w.customer().create();
    let thread = w.thread("Inspection").create();
    let call = w.interaction(customer.id()).create();
    let follow_up = w.task("follow up").with("parent", item("interaction", &call)).create();
    let sub = w.task("sub").with("parent", item("task", &follow_up)).create();
    w.owner.at(1).patch(&format!("/interactions/{}", call.id()), json!({ "thread_id": thread.id() })).expect(200);
    assert_eq!(again(&w, &sub)["thread_id"], thread["id"]);
    change(&w.owner, &follow_up, json!({ "thread_id": null }));
    assert_eq!(again(&w, &sub)["thread_id"], Value::Null);
    let found = w.owner.get(&format!("/interactions?thread_id={}", thread.id())).expect(200).items();
    assert_eq!(found.len(), 1);
}

#[test]
fn one_timeline_has_all_kinds_in_the_order_of_their_moments() {
    let w = World::new();
    let customer = w.customer().create();
    let thread = w.thread("Inspection").with("customer_id", customer.id()).create();
    let of_it = |draft: crate::support::Draft| draft.with("thread_id", thread.id()).with("customer_id", customer.id());
    let task = of_it(w.task("return")).with("due_at", "2026-11-05T10:00:00Z").create();
    of_it(w.task("letter")).with("start_at", "2026-11-01T10:00:00Z").create();
    let call = |subject: &str, moment: &str| {
        of_it(w.interaction(customer.id())).with("subject", subject).with("started_at", moment).create()
    };
    call("first call", "2026-11-02T10:00:00Z");
    call("second call", "2026-11-06T10:00:00Z");
    w.work_entry(task.id()).with("note", "registers").with("started_at", "2026-11-04T10:00:00Z").create();
    let wanted =
        ["interaction second call", "task return", "work_entry registers", "interaction first call", "task letter"];
    assert_eq!(timeline(&w, &format!("/threads/{}", thread.id())), wanted);
    assert_eq!(timeline(&w, &format!("/customers/{}", customer.id())), wanted);

    let mut paged = Vec::new();
    let mut next = format!("/threads/{}/timeline?limit=2&sort=at", thread.id());
    loop {
        let page = w.owner.get(&next).expect(200);
        paged.extend(page.items().iter().map(|entry| entry["kind"].as_str().unwrap().to_owned()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        next = format!("/threads/{}/timeline?limit=2&sort=at&cursor={cursor}", thread.id());
    }
    assert_eq!(paged, ["task", "interaction", "work_entry", "task", "interaction"]);
}

#[test]
fn the_summary_tells_cost_and_who_still_owes_what() {
    let w = World::new();
    let manager = w.operator("manager", "none", Some(&w.owner));
    let operator = w.operator("operator", "none", Some(&manager));
    let customer = w.customer().create();
    w.hourly_rate("100.00", "2026-01-01").create();
    w.hourly_rate("200.00", "2026-01-01").with("operator_id", manager.id.to_string()).create();
    let thread = w.thread("Inspection").create();
    let at = |hours: i64| (now() + TimeDelta::hours(hours)).to_rfc3339_opts(SecondsFormat::Secs, true);
    let main = w.task("main").by(&manager).with("thread_id", thread.id()).with("due_at", at(48)).create();
    let task = |title: &str, who: &Caller, due: i64, estimate: i64| {
        w.task(title)
            .with("parent", item("task", &main))
            .with("caretaker_id", who.id.to_string())
            .with("due_at", at(due))
            .with("estimate_minutes", estimate)
            .create()
    };
    let (late, done) = (task("late", &operator, -2, 100), task("done", &operator, -1, 300));
    let next = task("next", &manager, 5, 100);
    w.work_entry(done.id()).by(&operator).with("duration_minutes", 45).create();
    w.work_entry(late.id()).by(&manager).with("duration_minutes", 20).with("billable", false).create();
    change(&w.owner, &done, json!({ "status": "done" }));
    w.interaction(customer.id()).by(&manager).with("thread_id", thread.id()).with("duration_minutes", 10).create();
    let planned = w.interaction(customer.id()).with("thread_id", thread.id()).with("status", "planned");
    planned.with("started_at", at(30)).create();

    let summary = summary(&w, &thread);
    let told = |field: &str| summary[field].clone();
    assert_eq!(
        (told("interactions"), told("planned_interactions"), told("work_entries")),
        (json!(1), json!(1), json!(2))
    );
    assert_eq!((told("minutes"), told("billable_minutes")), (json!(75), json!(55)));
    // 45 × 100 ÷ 60 = 75.00, 20 × 200 ÷ 60 = 66.67, 10 × 200 ÷ 60 = 33.33
    assert_eq!((told("cost"), told("currency")), (json!("175.00"), json!("PLN")));
    assert_eq!(
        (told("tasks"), told("open_tasks"), told("overdue_tasks"), told("done_tasks")),
        (json!(4), json!(3), json!(1), json!(1))
    );
    assert_eq!(told("percent_done"), 60); // 300 of 500
    assert_eq!(told("next_due_at"), next["due_at"]);
    let operators: Vec<_> = summary["operators"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| {
            (
                it["operator_id"].clone(),
                it["overdue_tasks"].clone(),
                it["open_tasks"].clone(),
                it["minutes"].clone(),
                it["cost"].clone(),
            )
        })
        .collect();
    assert_eq!(
        operators,
        [
            (json!(operator.id.to_string()), json!(1), json!(1), json!(45), json!("75.00")),
            (json!(manager.id.to_string()), json!(0), json!(2), json!(30), json!("100.00")),
        ]
    );
}

#[test]
fn merging_takes_everything_over_and_closes_the_other() {
    let w = World::new();
    let customer = w.customer().create();
    let (one, other) = (w.thread("one").create(), w.thread("other").create());
    let main = w.task("main").with("thread_id", other.id()).create();
    w.task("sub").with("parent", item("task", &main)).create();
    let entry = w.work_entry(main.id()).create();
    w.interaction(customer.id()).with("thread_id", other.id()).create();
    let merge = |into: &Record, from: &Record| {
        w.owner.post(&format!("/threads/{}/merges", into.id()), json!({ "thread_id": from.id() }))
    };
    assert_eq!(merge(&one, &one).wrong(), ["/thread_id differs"]);
    assert_eq!(merge(&one, &other).expect(200).0, json!({ "tasks": 2, "interactions": 1 }));
    let merged = w.owner.get(&format!("/threads/{}", other.id())).expect(200);
    assert_eq!((&merged["status"], &merged["merged_into_id"]), (&json!("closed"), &one["id"]));
    assert_eq!(summary(&w, &one)["tasks"], 2);
    assert_eq!(summary(&w, &other)["tasks"], 0);
    assert_eq!(w.owner.get(&format!("/work-entries/{}", entry.id())).expect(200)["thread_id"], one["id"]);
    for answer in [
        merge(&one, &other),
        merge(&other, &one),
        link(&w.owner, &other, item("task", &main)),
        w.task("late").with("thread_id", other.id()).send(),
        w.interaction(customer.id()).with("thread_id", other.id()).send(),
        w.owner.at(again(&w, &main).version()).patch(&path(&main), json!({ "thread_id": other.id() })),
        w.owner.at(merged.version()).patch(&format!("/threads/{}", other.id()), json!({ "status": "open" })),
    ] {
        assert_eq!(answer.refused(409, "state_invalid")["state"], "merged");
    }
}

#[test]
fn merges_and_links_at_once_lose_nothing() {
    let w = World::new();
    let threads: Vec<_> = (0..4).map(|index| w.thread(&format!("{index}")).create()).collect();
    let tasks: Vec<_> =
        (0..12).map(|index| w.task(&format!("{index}")).with("thread_id", threads[index % 4].id()).create()).collect();
    let answers = at_once(16, |turn| match turn {
        0..4 => w.owner.post(
            &format!("/threads/{}/merges", threads[(turn + 1) % 4].id()),
            json!({ "thread_id": threads[turn].id() }),
        ),
        _ => link(&w.owner, &threads[turn % 4], item("task", &tasks[turn - 4])),
    });
    assert!(answers.iter().all(|answer| [200, 409].contains(&answer.status)), "{answers:?}");
    // What has gone into another takes no third one: how many come about depends on who is first.
    let (mut merged, mut found) = (0, 0);
    for thread in &threads {
        let now = w.owner.get(&format!("/threads/{}", thread.id())).expect(200);
        let tasks = summary(&w, thread)["tasks"].as_i64().unwrap();
        assert!(now["merged_into_id"].is_null() || tasks == 0, "left behind");
        merged += usize::from(!now["merged_into_id"].is_null());
        found += tasks;
    }
    let told = answers[..4].iter().filter(|answer| answer.status == 200).count();
    assert!((2..4).contains(&merged), "{answers:?}");
    assert_eq!((merged, found), (told, 12));
}

#[test]
fn a_thread_is_its_caretakers_and_those_above() {
    let w = World::new();
    let manager = w.operator("manager", "none", Some(&w.owner));
    let operator = w.operator("operator", "none", Some(&manager));
    let stranger = w.operator("operator", "none", None);
    let thread = w.thread("Inspection").by(&operator).create();
    let path = format!("/threads/{}", thread.id());
    stranger.at(1).patch(&path, json!({ "subject": "x" })).refused(403, "forbidden");
    stranger.at(1).delete(&path).refused(403, "forbidden");
    manager.at(1).patch(&path, json!({ "status": "closed" })).expect(200);
    operator.at(2).patch(&path, json!({ "status": "open" })).expect(200);
    let task = w.task("strange").by(&stranger).create();
    link(&operator, &thread, item("task", &task)).refused(403, "forbidden");
    link(&stranger, &thread, item("task", &task)).expect(200);
    operator.at(3).delete(&path).refused(409, "conflict");
    unlink(&stranger, &thread, "task", &task).expect(200);
    assert_eq!(operator.at(3).delete(&path).status, 204);
}
