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
