//! `/me/timer`: what an operator is at, and the work entry that it becomes.

use crate::support::{Caller, World, at_once, execute, text_rows};
use chrono::{DateTime, Datelike, Utc};
use serde_json::{Value, json};

/// Puts the start of an operator's timer back.
fn started_earlier(operator: &Caller, by: &str) {
    execute(&format!(
        "update timers set started_at = started_at - interval '{by}' where operator_id = '{}'",
        operator.id
    ))
    .unwrap();
}

#[test]
fn what_is_timed_becomes_a_work_entry() {
    let w = World::new();
    let customer = w.customer().create();
    w.hourly_rate("100.00", "2026-01-01").create();
    let task = w.task("Payroll").with("customer_id", customer.id()).create();
    let operator = w.operator("operator", "none", None);
    assert_eq!(operator.get("/me/timer").expect(200).0, json!({ "timer": null }));
    operator.delete("/me/timer").refused(404, "not_found");

    let started = operator.put("/me/timer", json!({ "task_id": task.id(), "note": "October" })).expect(200);
    assert_eq!(started["stopped_entry"], Value::Null);
    let timer = &started["timer"];
    assert_eq!(
        (&timer["task_id"], &timer["note"], &timer["billable"]),
        (&json!(task.id()), &json!("October"), &json!(true))
    );
    assert_eq!(operator.get("/me/timer").expect(200)["timer"], *timer);
    assert_eq!(w.owner.get("/me/timer").expect(200)["timer"], Value::Null, "it is one's own");

    started_earlier(&operator, "90 minutes 1 second");
    let begun = operator.get("/me/timer").expect(200)["timer"]["started_at"].clone();
    let answer = operator.delete("/me/timer");
    let entry = answer.expect(200);
    // A started minute counts whole.
    assert_eq!((&entry["started_at"], &entry["duration_minutes"]), (&begun, &json!(91)));
    assert_eq!(
        (&entry["note"], &entry["billable"], &entry["cost"]),
        (&json!("October"), &json!(true), &json!("151.67"))
    );
    let me = json!(operator.id.to_string());
    assert_eq!((&entry["operator_id"], &entry["registered_by_id"]), (&me, &me));
    assert_eq!(entry["customer_id"], customer.id());
    assert_eq!(answer.header("etag"), Some("\"1\""));
    assert_eq!(operator.get(&format!("/work-entries/{}", entry.id())).expect(200), entry);
    assert_eq!(operator.get("/me/timer").expect(200)["timer"], Value::Null);
    operator.delete("/me/timer").refused(404, "not_found");
    assert_eq!((w.changes("timer.started"), w.changes("timer.stopped"), w.changes("work_entry.created")), (1, 1, 1));
}

#[test]
fn one_that_runs_on_the_same_task_runs_on() {
    let w = World::new();
    let task = w.task("Payroll").create();
    let put = |body: Value| w.owner.put("/me/timer", body).expect(200);
    let first = put(json!({ "task_id": task.id() }));
    let again = put(json!({ "task_id": task.id() }));
    assert_eq!(again, first);
    let noted = put(json!({ "task_id": task.id(), "note": "October", "billable": false }));
    assert_eq!(noted["timer"]["started_at"], first["timer"]["started_at"]);
    assert_eq!((&noted["timer"]["note"], &noted["timer"]["billable"]), (&json!("October"), &json!(false)));
    assert_eq!((noted["stopped_entry"].is_null(), w.count("work_entries")), (true, 0));
    assert_eq!((w.changes("timer.started"), w.changes("timer.updated")), (1, 1));
}

#[test]
fn one_that_runs_on_another_task_is_stopped_first() {
    let w = World::new();
    let (first, second) = (w.task("First").create(), w.task("Second").create());
    w.owner.put("/me/timer", json!({ "task_id": first.id(), "note": "a", "billable": false })).expect(200);
    started_earlier(&w.owner, "8 days");
    let switched = w.owner.put("/me/timer", json!({ "task_id": second.id() })).expect(200);
    assert_eq!((&switched["timer"]["task_id"], &switched["timer"]["note"]), (&json!(second.id()), &Value::Null));
    let stopped = &switched["stopped_entry"];
    assert_eq!(
        (&stopped["task_id"], &stopped["note"], &stopped["billable"]),
        (&json!(first.id()), &json!("a"), &json!(false))
    );
    assert_eq!(stopped["duration_minutes"], 10_080, "a week at most");
    let entries = w.owner.get("/work-entries").expect(200).items();
    assert_eq!(entries.iter().map(|entry| &entry.0).collect::<Vec<_>>(), [stopped]);

    // What is refused leaves the one that runs, and stops nothing.
    let nowhere = json!({ "task_id": "0192f0c1-7a10-7cc1-9d5e-0f3b8a61c2aa" });
    let answer = w.owner.put("/me/timer", nowhere);
    answer.refused(422, "reference_not_found");
    assert_eq!(answer.wrong(), ["/task_id reference_not_found"]);
    assert_eq!(w.owner.get("/me/timer").expect(200)["timer"], switched["timer"]);
    assert_eq!(w.count("work_entries"), 1);
}

#[test]
fn a_script_has_none() {
    let w = World::new();
    let key = w.api_key(&["crm:read", "crm:write"]);
    let task = w.task("Payroll").create();
    assert_eq!(key.get("/me/timer").expect(200).0, json!({ "timer": null }));
    let refused = key.put("/me/timer", json!({ "task_id": task.id() })).refused(409, "conflict");
    assert!(refused["detail"].as_str().unwrap().contains("API key"), "{refused}");
    key.delete("/me/timer").refused(409, "conflict");
    assert_eq!(w.count("timers"), 0);
}

#[test]
fn many_starts_on_one_task_at_once_leave_one_timer() {
    let w = World::new();
    let task = w.task("Payroll").create();
    let answers = at_once(20, |_| w.owner.put("/me/timer", json!({ "task_id": task.id() })).expect(200));
    assert_eq!((w.count("timers"), w.count("work_entries")), (1, 0));
    assert_eq!(w.changes("timer.started"), 1);
    let timer = w.owner.get("/me/timer").expect(200);
    for answer in answers {
        assert_eq!((&answer["timer"], &answer["stopped_entry"]), (&timer["timer"], &Value::Null));
    }
}

#[test]
fn many_starts_on_many_tasks_at_once_leave_one_timer_and_an_entry_of_each_other() {
    let w = World::new();
    let tasks: Vec<_> = (0..20).map(|n| w.task(&format!("Task {n}")).create()).collect();
    let answers = at_once(20, |n| w.owner.put("/me/timer", json!({ "task_id": tasks[n].id() })).expect(200));
    assert_eq!((w.count("timers"), w.count("work_entries")), (1, 19));
    // Each task was started once, and stopped once unless it runs.
    let running = w.owner.get("/me/timer").expect(200)["timer"]["task_id"].as_str().unwrap().to_owned();
    let mut told: Vec<_> =
        answers.iter().filter_map(|answer| Some(answer["stopped_entry"]["task_id"].as_str()?.to_owned())).collect();
    told.push(running.clone());
    let entries = w.owner.get("/work-entries?limit=200").expect(200).items();
    let mut kept: Vec<_> = entries.iter().map(|entry| entry["task_id"].as_str().unwrap().to_owned()).collect();
    kept.push(running);
    let mut wanted: Vec<_> = tasks.iter().map(|task| task.id().to_owned()).collect();
    for ids in [&mut told, &mut kept, &mut wanted] {
        ids.sort();
    }
    assert_eq!((&told, &kept), (&wanted, &wanted));
}

#[test]
fn starts_and_stops_at_once_lose_nothing() {
    let w = World::new();
    let tasks: Vec<_> = (0..4).map(|n| w.task(&format!("Task {n}")).create()).collect();
    let answers = at_once(20, |n| match n % 3 {
        0 => w.owner.delete("/me/timer"),
        _ => w.owner.put("/me/timer", json!({ "task_id": tasks[n % 4].id() })),
    });
    assert!(answers.iter().all(|answer| [200, 404].contains(&answer.status)), "{answers:#?}");
    let mut told: Vec<String> = answers
        .iter()
        .filter(|answer| answer.status == 200)
        .map(|answer| answer.json())
        .filter_map(|body| Some(body["stopped_entry"]["id"].as_str().or(body["id"].as_str())?.to_owned()))
        .collect();
    told.sort();
    let ids = format!("select id from work_entries where organization_id = '{}' order by id", w.organization_id);
    let kept: Vec<String> = text_rows(&ids).into_iter().flatten().collect();
    assert_eq!(told, kept, "every stop is one entry");
    let (started, stopped) = (w.changes("timer.started"), w.changes("timer.stopped"));
    assert_eq!((started - stopped, stopped), (usize::try_from(w.count("timers")).unwrap(), kept.len()));
}

#[test]
fn it_does_not_stop_into_a_locked_month() {
    let w = World::with(|organization| organization.time_zone = "UTC".into());
    let (first, second) = (w.task("First").create(), w.task("Second").create());
    let started = w.owner.put("/me/timer", json!({ "task_id": first.id() })).expect(200);
    let at: DateTime<Utc> = started["timer"]["started_at"].as_str().unwrap().parse().unwrap();
    let month = at.date_naive().with_day(1).unwrap();
    let lock = w.month_lock(&month.to_string()).create();
    let refused = w.owner.delete("/me/timer").refused(409, "state_invalid");
    assert_eq!(refused["state"], "locked");
    w.owner.put("/me/timer", json!({ "task_id": second.id() })).refused(409, "state_invalid");
    assert_eq!(w.owner.get("/me/timer").expect(200)["timer"], started["timer"]);
    assert_eq!((w.count("work_entries"), w.changes("timer.stopped")), (0, 0));
    assert_eq!(w.owner.at(1).delete(&format!("/month-locks/{}", lock.id())).status, 204);
    assert_eq!(w.owner.delete("/me/timer").expect(200)["task_id"], first.id());
}

#[test]
fn what_cannot_be_kept_can_be_discarded() {
    let w = World::with(|organization| organization.time_zone = "UTC".into());
    let task = w.task("Call").create();
    let started = w.owner.put("/me/timer", json!({ "task_id": task.id() })).expect(200);
    let at: DateTime<Utc> = started["timer"]["started_at"].as_str().unwrap().parse().unwrap();
    w.month_lock(&at.date_naive().with_day(1).unwrap().to_string()).create();
    w.owner.delete("/me/timer").refused(409, "state_invalid");
    assert_eq!(w.owner.delete("/me/timer?discard=true").status, 204);
    assert_eq!((w.count("timers"), w.count("work_entries"), w.changes("timer.discarded")), (0, 0, 1));
}

#[test]
fn whoever_leaves_leaves_no_timer_running() {
    let w = World::new();
    let operator = w.operator("operator", "none", None);
    let task = w.task("Call").create();
    operator.put("/me/timer", json!({ "task_id": task.id() })).expect(200);
    w.owner.at(1).patch(&format!("/operators/{}", operator.id), json!({ "active": false })).expect(200);
    assert_eq!((w.count("timers"), w.count("work_entries")), (0, 1));
    let entry = w.owner.get(&format!("/work-entries?operator_id={}", operator.id)).expect(200).items().remove(0);
    assert_eq!((&entry["task_id"], &entry["duration_minutes"]), (&task["id"], &json!(1)));
}
