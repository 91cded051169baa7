//! Tasks that come again: the next instance, skipping, changing one, and splitting.

use crate::support::{Record, World, at_once};
use crate::tasks::{again, change, path};
use serde_json::{Value, json};

/// Monthly on the 25th, due at nine in Warsaw.
fn monthly(w: &World) -> Record {
    w.task("VAT return")
        .with("due_at", "2026-01-25T08:00:00Z")
        .with("start_at", "2026-01-20T08:00:00Z")
        .with("recurrence", "FREQ=MONTHLY;BYMONTHDAY=25")
        .create()
}

/// The instances of the task's series, as their due dates and states.
fn instances(w: &World, task: &Record) -> Vec<(String, String)> {
    let path = format!("/tasks?task_series_id={}&limit=200", task["task_series_id"].as_str().unwrap());
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    w.owner.get(&path).expect(200).items().iter().map(|it| (text(&it["due_at"]), text(&it["status"]))).collect()
}

fn pairs(all: &[(&str, &str)]) -> Vec<(String, String)> {
    all.iter().map(|(due_at, status)| ((*due_at).to_owned(), (*status).to_owned())).collect()
}

fn newest(w: &World, task: &Record) -> Record {
    let path = format!("/tasks?task_series_id={}&sort=-due_at&limit=1", task["task_series_id"].as_str().unwrap());
    w.owner.get(&path).expect(200).items().remove(0)
}

#[test]
fn a_finished_instance_makes_the_next_at_the_same_hour_of_the_day() {
    let w = World::new();
    let customer = w.customer().create();
    let task = monthly(&w);
    change(&w.owner, &task, json!({ "title": "VAT of December", "customer_id": customer.id() }));
    change(&w.owner, &task, json!({ "status": "done" }));
    let second = newest(&w, &task);
    // What was changed in the first is not in the second.
    assert_eq!((&second["title"], &second["customer_id"]), (&json!("VAT return"), &Value::Null));
    assert_eq!(
        (&second["start_at"], &second["occurrence_at"]),
        (&json!("2026-02-20T08:00:00Z"), &json!("2026-02-25T08:00:00Z"))
    );
    assert_eq!((&second["status"], &second["recurrence"]), (&json!("open"), &json!("FREQ=MONTHLY;BYMONTHDAY=25")));
    change(&w.owner, &second, json!({ "status": "done" }));
    change(&w.owner, &newest(&w, &task), json!({ "status": "done" }));
    // In April it is summer time in Warsaw.
    assert_eq!(
        instances(&w, &task),
        pairs(&[
            ("2026-01-25T08:00:00Z", "done"),
            ("2026-02-25T08:00:00Z", "done"),
            ("2026-03-25T08:00:00Z", "done"),
            ("2026-04-25T07:00:00Z", "open"),
        ])
    );
}

#[test]
fn cancelling_an_instance_skips_it_and_opening_it_again_makes_no_double() {
    let w = World::new();
    let task = monthly(&w);
    change(&w.owner, &task, json!({ "status": "cancelled" }));
    let wanted = [("2026-01-25T08:00:00Z", "cancelled"), ("2026-02-25T08:00:00Z", "open")];
    assert_eq!(instances(&w, &task), pairs(&wanted));
    change(&w.owner, &task, json!({ "status": "open" }));
    change(&w.owner, &task, json!({ "status": "done" }));
    assert_eq!(instances(&w, &task).len(), 2);
    let second = newest(&w, &task);
    w.owner.at(second.version()).delete(&path(&second)).refused(409, "state_invalid");
}

#[test]
fn a_moved_instance_leaves_the_dates_of_the_others() {
    let w = World::new();
    let task = monthly(&w);
    let moved = change(&w.owner, &task, json!({ "due_at": "2026-01-28T12:00:00Z" }));
    assert_eq!(moved["occurrence_at"], "2026-01-25T08:00:00Z");
    change(&w.owner, &task, json!({ "status": "done" }));
    assert_eq!(newest(&w, &task)["due_at"], "2026-02-25T08:00:00Z");
}

#[test]
fn this_and_following_splits_the_series() {
    let w = World::new();
    let task = monthly(&w);
    change(&w.owner, &task, json!({ "status": "done" }));
    let second = newest(&w, &task);
    let patch = |query: &str, patch: Value| {
        w.owner.at(again(&w, &second).version()).patch(&format!("{}{query}", path(&second)), patch)
    };
    assert_eq!(patch("", json!({ "recurrence": "FREQ=WEEKLY" })).wrong(), ["/recurrence apply_to"]);
    // The 26th is no date of the rule.
    let answer = patch("?apply_to=this_and_following", json!({ "due_at": "2026-02-26T08:00:00Z" }));
    assert_eq!(answer.wrong(), ["/recurrence rule"]);
    let split = patch(
        "?apply_to=this_and_following",
        json!({ "title": "Weekly return", "due_at": "2026-02-26T08:00:00Z", "recurrence": "FREQ=WEEKLY" }),
    );
    let split = split.expect(200);
    assert_ne!(split["task_series_id"], task["task_series_id"]);
    assert_eq!(instances(&w, &task), pairs(&[("2026-01-25T08:00:00Z", "done")]));
    change(&w.owner, &split, json!({ "status": "done" }));
    let third = newest(&w, &split);
    assert_eq!((&third["title"], &third["due_at"]), (&json!("Weekly return"), &json!("2026-03-05T08:00:00Z")));
    // The old series has ended: its instance that is closed again makes nothing.
    change(&w.owner, &task, json!({ "status": "open" }));
    change(&w.owner, &task, json!({ "status": "done" }));
    assert_eq!(instances(&w, &task).len(), 1);
    let later = w.owner.at(again(&w, &split).version());
    later
        .patch(&format!("{}?apply_to=this_and_following", path(&split)), json!({ "title": "x" }))
        .refused(409, "state_invalid");
}

#[test]
fn a_series_ends_by_its_count_and_by_hand() {
    let w = World::new();
    let twice =
        w.task("twice").with("due_at", "2026-01-25T08:00:00Z").with("recurrence", "FREQ=DAILY;COUNT=2").create();
    change(&w.owner, &twice, json!({ "status": "done" }));
    change(&w.owner, &newest(&w, &twice), json!({ "status": "done" }));
    assert_eq!(instances(&w, &twice).len(), 2);

    let task = monthly(&w);
    let answer = w
        .owner
        .at(task.version())
        .patch(&format!("{}?apply_to=this_and_following", path(&task)), json!({ "recurrence": null }));
    answer.expect(200);
    change(&w.owner, &task, json!({ "status": "done" }));
    assert_eq!(instances(&w, &task).len(), 1);
}

#[test]
fn a_count_goes_on_over_a_split() {
    let w = World::new();
    let task =
        w.task("thrice").with("due_at", "2026-01-01T08:00:00Z").with("recurrence", "FREQ=DAILY;COUNT=3").create();
    change(&w.owner, &task, json!({ "status": "done" }));
    let second = newest(&w, &task);
    let path = format!("{}?apply_to=this_and_following", path(&second));
    let split = w.owner.at(second.version()).patch(&path, json!({ "priority": "high" })).expect(200);
    assert_eq!(split["recurrence"], "FREQ=DAILY;COUNT=2");
    change(&w.owner, &split, json!({ "status": "done" }));
    change(&w.owner, &newest(&w, &split), json!({ "status": "done" }));
    assert_eq!(instances(&w, &split).len(), 2);
}

#[test]
fn finished_many_times_at_once_it_makes_one_next() {
    let w = World::new();
    let task = monthly(&w);
    let any = w.owner.with("If-Match", "*");
    let answers =
        at_once(12, |turn| any.patch(&path(&task), json!({ "status": if turn % 3 == 0 { "open" } else { "done" } })));
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    change(&w.owner, &task, json!({ "status": "done" }));
    assert_eq!(instances(&w, &task).len(), 2);
}

#[test]
fn rules_that_cannot_be_followed_are_refused() {
    let w = World::new();
    for rule in [
        "FREQ=HOURLY",
        "FREQ=MONTHLY;BYMONTHDAY=24",
        "nonsense",
        "FREQ=DAILY;COUNT=2;UNTIL=20270101",
        "RRULE:FREQ=DAILY;FREQ=DAILY",
    ] {
        let answer = w.task("x").with("due_at", "2026-01-25T08:00:00Z").with("recurrence", rule).send();
        answer.refused(422, "validation_failed");
        assert_eq!(answer.wrong(), ["/recurrence rule"], "{rule}");
    }
    assert_eq!((w.count("tasks"), w.count("task_series")), (0, 0));
}

#[test]
fn the_only_instance_goes_with_its_series() {
    let w = World::new();
    let task = monthly(&w);
    assert_eq!(w.owner.at(task.version()).delete(&path(&task)).status, 204);
    assert_eq!((w.count("tasks"), w.count("task_series")), (0, 0));
}

#[test]
fn an_ended_series_shows_no_rule_and_does_not_come_back() {
    let w = World::new();
    let task = monthly(&w);
    let following = format!("{}?apply_to=this_and_following", path(&task));
    let last =
        w.owner.at(task.version()).patch(&following, json!({ "due_at": null, "start_at": null, "recurrence": null }));
    let last = last.expect(200);
    assert_eq!((&last["recurrence"], &last["due_at"]), (&Value::Null, &Value::Null));
    let renamed = w.owner.at(last.version()).patch(&following, json!({ "title": "The last one" })).expect(200);
    assert_eq!(renamed["recurrence"], Value::Null);
    change(&w.owner, &task, json!({ "status": "done" }));
    assert_eq!(w.count("tasks"), 1);
    // It can come again from another first date on.
    change(&w.owner, &task, json!({ "status": "open" }));
    let again = change(&w.owner, &task, json!({ "due_at": "2026-03-25T08:00:00Z", "recurrence": "FREQ=YEARLY" }));
    assert_eq!(again["recurrence"], "FREQ=YEARLY");
    change(&w.owner, &task, json!({ "status": "done" }));
    assert_eq!(w.count("tasks"), 2);
}

#[test]
fn the_same_rule_in_other_words_is_no_change() {
    let w = World::new();
    let task = w.task("daily").with("due_at", "2026-01-25T08:00:00Z").with("recurrence", "FREQ=DAILY").create();
    change(&w.owner, &task, json!({ "recurrence": "INTERVAL=1;FREQ=DAILY" }));
    assert_eq!(w.count("task_series"), 1);
}

#[test]
fn whoever_has_one_instance_does_not_have_the_series() {
    let w = World::new();
    let manager = w.operator("manager", "none", Some(&w.owner));
    let first = w.operator("operator", "none", Some(&manager));
    let other = w.operator("operator", "none", Some(&manager));
    let task = w
        .task("daily")
        .by(&manager)
        .with("caretaker_id", first.id.to_string())
        .with("due_at", "2026-01-25T08:00:00Z")
        .with("recurrence", "FREQ=DAILY")
        .create();
    change(&manager, &task, json!({ "caretaker_id": other.id.to_string() }));
    let following = format!("{}?apply_to=this_and_following", path(&task));
    let any = |who: &crate::support::Caller| who.with("If-Match", "*");
    any(&other).patch(&following, json!({ "title": "mine" })).refused(403, "forbidden");
    any(&other).patch(&following, json!({ "recurrence": null })).refused(403, "forbidden");
    change(&other, &task, json!({ "title": "this one alone" }));
    any(&manager).patch(&following, json!({ "title": "all of them" })).expect(200);
}

#[test]
fn a_series_does_not_hold_what_its_instances_have_left() {
    let w = World::new();
    let (thread, other) = (w.thread("one").create(), w.thread("other").create());
    let main = w.task("main").create();
    let draft = w.task("daily").with("due_at", "2026-01-25T08:00:00Z").with("recurrence", "FREQ=DAILY");
    let below = draft.with("thread_id", thread.id()).with("parent", json!({ "type": "task", "id": main.id() }));
    let task = below.create();
    // Split at its first instance, the old series has none left.
    let following = format!("{}?apply_to=this_and_following", path(&task));
    w.owner.at(task.version()).patch(&following, json!({ "title": "split" })).expect(200);
    assert_eq!(w.count("task_series"), 1);
    change(&w.owner, &task, json!({ "thread_id": other.id(), "parent": null }));
    assert_eq!(w.owner.with("If-Match", "*").delete(&format!("/threads/{}", thread.id())).status, 204);
    assert_eq!(w.owner.with("If-Match", "*").delete(&path(&main)).status, 204);
    change(&w.owner, &task, json!({ "status": "done" }));
    let second = newest(&w, &again(&w, &task));
    assert_eq!((&second["thread_id"], &second["parent"]), (&Value::Null, &Value::Null));
}

#[test]
fn what_comes_again_is_nobodys_once_its_caretaker_has_left() {
    let w = World::new();
    let operator = w.operator("operator", "none", None);
    let task = w.task("daily").with("caretaker_id", operator.id.to_string());
    let task = task.with("due_at", "2026-01-25T08:00:00Z").with("recurrence", "FREQ=DAILY").create();
    w.owner.at(1).patch(&format!("/operators/{}", operator.id), json!({ "active": false })).expect(200);
    change(&w.owner, &task, json!({ "status": "done" }));
    assert_eq!(newest(&w, &task)["caretaker_id"], Value::Null);
}

#[test]
fn whole_days_stay_what_they_are_when_the_time_zone_changes() {
    let w = World::new();
    let task = w.task("daily").with("all_day", true).with("due_at", "2026-12-01T09:00:00Z");
    let task = task.with("recurrence", "FREQ=DAILY").create();
    assert_eq!(task["due_at"], "2026-11-30T23:00:00Z");
    let version = w.organization().version();
    w.owner.at(version).patch("/organization", json!({ "time_zone": "America/New_York" })).expect(200);
    assert_eq!(change(&w.owner, &task, json!({ "title": "still" }))["due_at"], "2026-11-30T23:00:00Z");
    change(&w.owner, &task, json!({ "status": "done" }));
    assert_eq!(newest(&w, &task)["due_at"], "2026-12-01T23:00:00Z");
}
