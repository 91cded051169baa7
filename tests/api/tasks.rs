//! `/tasks`: work that is given, moves on and is closed.

use crate::support::{Caller, Record, World, at_once, eventually, now};
use chrono::{SecondsFormat, TimeDelta};
use serde_json::{Value, json};

pub fn path(task: &Record) -> String {
    format!("/tasks/{}", task.id())
}

/// The task as it is now.
pub fn again(w: &World, task: &Record) -> Record {
    w.owner.get(&path(task)).expect(200)
}

/// Changes a task at the version that it has.
#[track_caller]
pub fn change(who: &Caller, task: &Record, patch: Value) -> Record {
    let version = who.get(&path(task)).expect(200).version();
    who.at(version).patch(&path(task), patch).expect(200)
}

fn progress(task: &Record) -> (&str, i64) {
    (task["status"].as_str().unwrap(), task["percent_done"].as_i64().unwrap())
}

#[test]
fn a_task_is_written_down_with_few_words() {
    let w = World::new();
    let operator = w.operator("operator", "none", None);
    let answer = operator.post("/tasks", json!({ "title": "Call back" }));
    let task = answer.expect(201);
    let me = json!(operator.id.to_string());
    assert_eq!((&task["caretaker_id"], &task["registered_by_id"]), (&me, &me));
    assert_eq!(progress(&task), ("open", 0));
    assert_eq!(
        (&task["priority"], &task["overdue"], &task["worked_minutes"]),
        (&json!("normal"), &json!(false), &json!(0))
    );
    assert_eq!(task["subtasks"], json!({ "total": 0, "open": 0 }));
    assert_eq!(operator.get(answer.header("location").unwrap()).expect(200), task);
    assert_eq!(w.changes("task.created"), 1);
}

#[test]
fn status_and_percent_draw_each_other_along() {
    let w = World::new();
    let task = w.task("Return").with("percent_done", 30).create();
    assert_eq!(progress(&task), ("in_progress", 30));
    for (patch, status, percent) in [
        (json!({ "percent_done": 100 }), "done", 100),
        (json!({ "status": "in_progress" }), "in_progress", 0),
        (json!({ "status": "in_progress", "percent_done": 70 }), "in_progress", 70),
        (json!({ "status": "cancelled" }), "cancelled", 70),
        (json!({ "status": "in_progress" }), "in_progress", 70),
        (json!({ "status": "open" }), "open", 0),
        (json!({ "status": "done" }), "done", 100),
        (json!({ "percent_done": 90 }), "in_progress", 90),
    ] {
        let changed = change(&w.owner, &task, patch.clone());
        assert_eq!(progress(&changed), (status, percent), "{patch}");
        assert_eq!(changed["closed_at"].is_null(), !["done", "cancelled"].contains(&status));
    }
    let at = again(&w, &task).version();
    let answer = w.owner.at(at).patch(&path(&task), json!({ "status": "done", "percent_done": 50 }));
    answer.refused(422, "validation_failed");
    assert_eq!(answer.wrong(), ["/percent_done progress"]);
    assert_eq!(again(&w, &task).version(), at, "nothing changed");
}

#[test]
fn a_manager_gives_work_to_everybody_below_and_an_operator_to_itself() {
    let w = World::new();
    let manager = w.operator("manager", "none", Some(&w.owner));
    let below = w.operator("operator", "none", Some(&manager));
    let deep = w.operator("operator", "none", Some(&below));
    let other_manager = w.operator("manager", "none", Some(&w.owner));
    let colleague = w.operator("operator", "none", Some(&other_manager));

    let given = w.task("Book").by(&manager).with("caretaker_id", deep.id.to_string()).create();
    w.task("Book").by(&below).with("caretaker_id", deep.id.to_string()).send().refused(403, "forbidden");
    w.task("Book").by(&manager).with("caretaker_id", colleague.id.to_string()).send().refused(403, "forbidden");

    let patch = |who: &Caller, patch: Value| who.at(again(&w, &given).version()).patch(&path(&given), patch);
    patch(&other_manager, json!({ "priority": "high" })).refused(403, "forbidden");
    patch(&colleague, json!({ "priority": "high" })).refused(403, "forbidden");
    patch(&below, json!({ "priority": "high" })).refused(403, "forbidden");
    patch(&deep, json!({ "priority": "high" })).expect(200);
    patch(&deep, json!({ "caretaker_id": below.id.to_string() })).refused(403, "forbidden");
    patch(&manager, json!({ "caretaker_id": below.id.to_string() })).expect(200);
    patch(&deep, json!({ "priority": "low" })).refused(403, "forbidden");
    patch(&below, json!({ "priority": "low" })).expect(200);
    patch(&w.owner, json!({ "caretaker_id": colleague.id.to_string() })).expect(200);
    // The manager registered it, and may still change it.
    patch(&manager, json!({ "title": "Book it" })).expect(200);
    let viewer = w.operator("viewer", "none", None);
    assert_eq!(viewer.get(&path(&given)).expect(200)["title"], "Book it");
}

#[test]
fn the_history_tells_who_changed_what() {
    let w = World::new();
    let manager = w.operator("manager", "none", Some(&w.owner));
    let below = w.operator("operator", "none", Some(&manager));
    let task = w.task("Return").by(&manager).with("due_at", "2026-12-01T10:00:00Z").create();
    change(&manager, &task, json!({ "caretaker_id": below.id.to_string() }));
    change(&below, &task, json!({ "due_at": "2026-12-03T10:00:00Z", "percent_done": 40 }));
    let history = below.get(&format!("{}/history", path(&task))).expect(200).items();
    let told = |entry: &Record, field: &str| {
        let changes = entry["changes"].as_array().unwrap();
        let change = changes.iter().find(|change| change["field"] == field).cloned().unwrap_or(Value::Null);
        (change["before"].clone(), change["after"].clone())
    };
    assert_eq!(history.len(), 3);
    assert_eq!(history[0]["actor"], json!({ "kind": "operator", "id": below.id.to_string() }));
    assert_eq!(told(&history[0], "status"), (json!("open"), json!("in_progress")));
    assert_eq!(told(&history[0], "percent_done"), (json!("0"), json!("40")));
    assert_eq!(told(&history[0], "due_at"), (json!("2026-12-01T10:00:00Z"), json!("2026-12-03T10:00:00Z")));
    assert_eq!(history[0]["changes"].as_array().unwrap().len(), 3);
    let (manager_id, below_id) = (json!(manager.id.to_string()), json!(below.id.to_string()));
    assert_eq!(told(&history[1], "caretaker_id"), (manager_id.clone(), below_id));
    assert_eq!(
        (&history[2]["action"], told(&history[2], "caretaker_id")),
        (&json!("created"), (Value::Null, manager_id))
    );
}

#[test]
fn what_is_past_its_date_is_overdue_until_it_is_closed() {
    let w = World::new();
    let at = |hours: i64| (now() + TimeDelta::hours(hours)).to_rfc3339_opts(SecondsFormat::Secs, true);
    let late = w.task("late").with("due_at", at(-1)).create();
    let soon = w.task("soon").with("due_at", at(1)).create();
    let today = w.task("today").with("due_at", at(0)).with("all_day", true).create();
    let earlier = w.task("earlier").with("due_at", at(-72)).with("all_day", true).create();
    let dateless = w.task("dateless").create();
    for (task, overdue) in [(&late, true), (&soon, false), (&today, false), (&earlier, true), (&dateless, false)] {
        assert_eq!(task["overdue"], overdue, "{}", task["title"]);
    }
    let titles = |query: &str| {
        let page = w.owner.get(&format!("/tasks?{query}")).expect(200);
        page.items().iter().map(|task| task["title"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(titles("overdue=true"), ["earlier", "late"]);
    change(&w.owner, &late, json!({ "status": "done" }));
    assert_eq!(titles("overdue=true"), ["earlier"]);
    assert_eq!(titles("closed=true"), ["late"]);
    assert_eq!(titles("sort=-due_at&closed=false")[0], "dateless");
    assert_eq!(titles("overdue=false&closed=false").len(), 3);
}

#[test]
fn a_task_of_whole_days_begins_at_midnight_of_the_organization() {
    let w = World::new();
    let task = w
        .task("VAT")
        .with("all_day", true)
        .with("start_at", "2026-10-24T09:00:00Z")
        .with("due_at", "2026-10-25T22:59:59Z")
        .create();
    // 25 October 2026 has 25 hours in Warsaw: it begins at 22:00 UTC of the 24th and ends at 23:00 UTC.
    assert_eq!((&task["start_at"], &task["due_at"]), (&json!("2026-10-23T22:00:00Z"), &json!("2026-10-24T22:00:00Z")));
}

#[test]
fn what_cannot_be_is_refused_field_by_field() {
    let w = World::new();
    let customer = w.customer().create();
    let nobody = "0192f0c1-7a10-7cc1-9d5e-0f3b8a61c2aa";
    let wrong = |field: &str, value: Value| {
        let answer = w.task("x").with(field, value).send();
        (answer.status, answer.wrong())
    };
    let missing = |field: &str| (422, vec![format!("{field} reference_not_found")]);
    assert_eq!(wrong("customer_id", json!(nobody)), missing("/customer_id"));
    assert_eq!(wrong("thread_id", json!(nobody)), missing("/thread_id"));
    assert_eq!(wrong("caretaker_id", json!(nobody)), missing("/caretaker_id"));
    assert_eq!(wrong("parent", json!({ "type": "task", "id": nobody })), missing("/parent/id"));
    assert_eq!(wrong("parent", json!({ "type": "interaction", "id": nobody })), missing("/parent/id"));
    let broken = |fields: Value| {
        let mut draft = w.task("x").with("customer_id", customer.id());
        for (name, value) in fields.as_object().unwrap() {
            draft = draft.with(name, value.clone());
        }
        let answer = draft.send();
        answer.refused(422, "validation_failed");
        answer.wrong()
    };
    assert_eq!(
        broken(json!({ "start_at": "2026-01-02T00:00:00Z", "due_at": "2026-01-01T00:00:00Z" })),
        ["/due_at order"]
    );
    assert_eq!(broken(json!({ "reminders": [{ "minutes_before": 10 }] })), ["/reminders due_at"]);
    assert_eq!(broken(json!({ "recurrence": "FREQ=DAILY" })), ["/recurrence due_at"]);
    assert_eq!(broken(json!({ "estimate_minutes": 0 })), ["/estimate_minutes minimum"]);
    assert_eq!(broken(json!({ "percent_done": 101 })), ["/percent_done maximum"]);
    assert_eq!(w.count("tasks"), 0);
}

#[test]
fn a_reminder_is_told_once_when_its_moment_has_come() {
    let w = World::new();
    let at = |seconds: i64| (now() + TimeDelta::seconds(seconds)).to_rfc3339_opts(SecondsFormat::Secs, true);
    let reminders = json!([{ "minutes_before": 60 }, { "minutes_before": 0 }]);
    let task = w.task("soon").with("due_at", at(8)).with("reminders", reminders.clone()).create();
    let closed = w.task("closed").with("due_at", at(8)).with("reminders", reminders.clone()).create();
    change(&w.owner, &closed, json!({ "status": "done" }));
    w.task("later").with("due_at", at(86_400)).with("reminders", reminders).create();
    // The one an hour before lay in the past already; the later task has both still to come.
    assert_eq!(w.count("task_reminders"), 3);
    let told = || w.owner.get("/events?type=task.reminded&limit=200").expect(200).items();
    eventually("the reminder", || (!told().is_empty()).then_some(()));
    eventually("its row to be gone", || (w.count("task_reminders") == 2).then_some(()));
    let events = told();
    assert_eq!((events.len(), &events[0]["resource"]["id"]), (1, &task["id"]));
    assert_eq!(w.changes("task.reminded"), 0, "nothing changed");
}

#[test]
fn a_repeated_registration_happens_once() {
    let w = World::new();
    let script = w.owner.once("task-1");
    let answers = at_once(10, |_| script.post("/tasks", json!({ "title": "Once" })));
    assert!(answers.iter().all(|answer| [201, 409].contains(&answer.status)), "{answers:?}");
    assert_eq!(w.count("tasks"), 1);
}

#[test]
fn a_task_that_is_referred_to_stays() {
    let w = World::new();
    let main = w.task("main").create();
    let below = w.task("below").with("parent", json!({ "type": "task", "id": main.id() })).create();
    w.owner.at(main.version()).delete(&path(&main)).refused(409, "conflict");
    assert_eq!(w.owner.at(below.version()).delete(&path(&below)).status, 204);
    let version = again(&w, &main).version();
    assert_eq!(w.owner.at(version).delete(&path(&main)).status, 204);
    w.owner.get(&path(&main)).refused(404, "not_found");
}

#[test]
fn a_task_for_a_sale_is_for_the_customer_of_the_sale() {
    let w = World::new();
    let (customer, other) = (w.customer().create(), w.customer().create());
    let sale = w.opportunity(customer.id()).create();
    let task = w.task("offer").with("opportunity_id", sale.id()).create();
    assert_eq!(task["customer_id"], customer["id"]);
    let answer = w.owner.at(task.version()).patch(&path(&task), json!({ "customer_id": null }));
    assert_eq!(answer.wrong(), ["/customer_id opportunity"]);
    change(&w.owner, &task, json!({ "customer_id": null, "opportunity_id": null }));
    let wrong = w.task("x").with("opportunity_id", sale.id()).with("customer_id", other.id()).send();
    assert_eq!(wrong.wrong(), ["/opportunity_id reference_not_found"]);
    let nowhere = w.task("x").with("opportunity_id", "0192f0c1-7a10-7cc1-9d5e-0f3b8a61c2aa").send();
    assert_eq!(nowhere.wrong(), ["/opportunity_id reference_not_found"]);
}

#[test]
fn a_day_before_the_first_year_is_refused() {
    let w = World::new();
    let answer = w.task("x").with("due_at", "0000-01-01T00:00:00Z").with("all_day", true).send();
    answer.refused(422, "validation_failed");
    assert_eq!(answer.wrong(), ["/due_at minimum"]);
}

#[test]
fn nothing_is_given_to_whoever_has_left() {
    let w = World::new();
    let operator = w.operator("operator", "none", None);
    let task = w.task("old").with("caretaker_id", operator.id.to_string()).create();
    w.owner.at(1).patch(&format!("/operators/{}", operator.id), json!({ "active": false })).expect(200);
    let answer = w.task("new").with("caretaker_id", operator.id.to_string()).send();
    answer.refused(422, "validation_failed");
    assert_eq!(answer.wrong(), ["/caretaker_id inactive"]);
    // What it had stays as it is until somebody takes it over.
    change(&w.owner, &task, json!({ "title": "still there" }));
    change(&w.owner, &task, json!({ "caretaker_id": w.owner.id.to_string() }));
}
