//! `/reports/progress`: what was given, done and is still owed, by operator and team.

use crate::support::{Caller, Record, World, now};
use crate::tasks::change;
use chrono::{SecondsFormat, TimeDelta};
use serde_json::{Value, json};

fn row(report: &Record, who: &Caller) -> Value {
    let rows = report["rows"].as_array().unwrap();
    rows.iter().find(|row| row["operator_id"] == who.id.to_string()).cloned().unwrap_or(Value::Null)
}

#[track_caller]
fn assert_row(row: &Value, wanted: Value) {
    for (field, value) in wanted.as_object().unwrap() {
        assert_eq!(&row[field], value, "{field} of {row}");
    }
}

#[test]
fn each_operator_of_a_team_is_told_what_it_did_and_owes() {
    let w = World::new();
    let manager = w.operator("manager", "none", Some(&w.owner));
    let operator = w.operator("operator", "none", Some(&manager));
    let other = w.operator("operator", "none", None);
    let customer = w.customer().create();
    w.hourly_rate("60.00", "2026-01-01").create();
    let at = |hours: i64| (now() + TimeDelta::hours(hours)).to_rfc3339_opts(SecondsFormat::Secs, true);
    let give = |title: &str, due: i64| {
        let given = w.task(title).by(&manager).with("caretaker_id", operator.id.to_string());
        given.with("due_at", at(due)).with("estimate_minutes", 60).create()
    };
    let (on_time, late, overdue) = (give("on time", 5), give("late", -3), give("overdue", -2));
    give("open", 48);
    w.task("sub")
        .with("caretaker_id", operator.id.to_string())
        .with("parent", json!({ "type": "task", "id": overdue.id() }))
        .create();
    for task in [&on_time, &late] {
        change(&operator, task, json!({ "status": "done" }));
    }
    w.work_entry(on_time.id()).by(&operator).with("started_at", at(-1)).with("duration_minutes", 30).create();
    w.interaction(customer.id()).by(&operator).with("started_at", at(-1)).with("duration_minutes", 15).create();

    let report = manager.get(&format!("/reports/progress?team={}", manager.id)).expect(200);
    assert_eq!(row(&report, &other), Value::Null);
    assert_row(
        &row(&report, &operator),
        json!({
            "given": 5, "done": 2, "done_on_time": 1, "open": 3, "overdue": 1, "interactions": 1, "work_entries": 1,
            "minutes": 45, "billable_minutes": 45, "cost": "45.00",
            // Done, done, and two that are not begun: the main task counts by the one below it.
            "percent_done": 50,
        }),
    );
    assert_row(&row(&report, &manager), json!({ "given": 0, "open": 0, "minutes": 0 }));
    assert_row(&report["totals"], json!({ "given": 5, "done": 2, "overdue": 1, "minutes": 45, "cost": "45.00" }));
    let one = manager.get(&format!("/reports/progress?operator_id={}", other.id)).expect(200);
    assert_eq!(one["rows"].as_array().unwrap().len(), 1);

    // Before all of this nothing was given and nothing was there.
    let before = manager.get("/reports/progress?from=2020-01-01&to=2020-12-31").expect(200);
    assert_row(&before["totals"], json!({ "given": 0, "done": 0, "open": 0, "overdue": 0, "minutes": 0 }));
    operator.get("/reports/progress").refused(403, "scope_missing");
    manager.get("/reports/progress?from=2026-02-01&to=2026-01-01").refused(400, "parameter_invalid");
}
