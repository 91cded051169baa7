//! `/calendar`: what stands between two instants, and who is free when.

use crate::support::{Caller, Record, World};
use crate::tasks::{again, change, path};
use chrono::{DateTime, NaiveDate, SecondsFormat, TimeDelta, Utc};
use chrono_tz::Tz;
use opiekun_domain::calendar_day::{day_bounds, day_of};
use opiekun_domain::recurrence::Recurrence;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const ZONE: Tz = Tz::Europe__Warsaw;

#[track_caller]
fn calendar(who: &Caller, query: &str) -> Record {
    who.get(&format!("/calendar?{query}")).expect(200)
}

/// Some properties of each entry.
#[track_caller]
fn shown(calendar: &Record, properties: &[&str]) -> Value {
    let entry = |entry: &Record| properties.iter().map(|property| entry[*property].clone()).collect::<Value>();
    calendar.entries().iter().map(entry).collect()
}

#[track_caller]
fn titles(calendar: &Record) -> Vec<String> {
    calendar.entries().iter().map(|entry| entry["title"].as_str().unwrap().to_owned()).collect()
}

fn text(moment: DateTime<Utc>) -> String {
    moment.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn moment(value: &Value) -> Option<DateTime<Utc>> {
    value.as_str().map(|text| text.parse().unwrap())
}

fn planned(w: &World, customer: &Record, start: &str, minutes: i64) -> crate::support::Draft {
    let draft = w.interaction(customer.id()).with("status", "planned").with("channel", "meeting");
    draft.with("started_at", start).with("duration_minutes", minutes)
}

#[test]
fn a_window_shows_all_that_overlaps_it_and_no_more() {
    let w = World::new();
    let customer = w.customer().create();
    let task = |title: &str, start: Option<&str>, due: Option<&str>| {
        w.task(title).with("start_at", start).with("due_at", due).create()
    };
    task("ends at its start", Some("2026-05-01T08:00:00Z"), Some("2026-05-04T08:00:00Z"));
    task("reaches into it", Some("2026-05-01T08:00:00Z"), Some("2026-05-04T08:00:01Z"));
    task("covers it", Some("2020-01-01T00:00:00Z"), Some("2030-01-01T00:00:00Z"));
    task("covers it for a month", Some("2026-04-15T00:00:00Z"), Some("2026-05-15T00:00:00Z"));
    task("due at its start", None, Some("2026-05-04T08:00:00Z"));
    task("starts within it", Some("2026-05-04T12:00:00Z"), None);
    task("begins at its end", Some("2026-05-05T08:00:00Z"), Some("2026-05-06T08:00:00Z"));
    task("due at its end", None, Some("2026-05-05T08:00:00Z"));
    task("without a date", None, None);
    let talk = |subject: &str, start: &str, minutes: i64| {
        planned(&w, &customer, start, minutes).with("subject", subject).create();
    };
    talk("a week until its start", "2026-04-27T08:00:00Z", 10_080);
    talk("a week into it", "2026-04-27T08:01:00Z", 10_080);
    talk("of no length at its start", "2026-05-04T08:00:00Z", 0);
    talk("begins before its end", "2026-05-05T07:59:00Z", 60);
    talk("of no length at its end", "2026-05-05T08:00:00Z", 0);

    let found = calendar(&w.owner, "from=2026-05-04T08:00:00Z&to=2026-05-05T08:00:00Z");
    assert_eq!(
        titles(&found),
        [
            "covers it",
            "covers it for a month",
            "a week into it",
            "reaches into it",
            "due at its start",
            "of no length at its start",
            "starts within it",
            "begins before its end",
        ]
    );
    let due = found.entries().remove(4);
    assert_eq!((&due["start"], &due["end"]), (&json!("2026-05-04T08:00:00Z"), &json!("2026-05-04T08:00:00Z")));
    assert_eq!((&due["overdue"], &due["operator_id"]), (&json!(true), &json!(w.owner.id.to_string())));
    assert_eq!((&found["time_zone"], &found["from"]), (&json!("Europe/Warsaw"), &json!("2026-05-04T08:00:00Z")));
}

#[test]
fn whole_days_last_as_long_as_their_clocks_say() {
    let w = World::new();
    let day = |title: &str, start: Option<&str>, due: Option<&str>| {
        w.task(title).with("all_day", true).with("start_at", start).with("due_at", due).create()
    };
    day("23 hours", None, Some("2026-03-29T10:00:00Z"));
    day("25 hours", None, Some("2026-10-25T10:00:00Z"));
    day("a weekend", Some("2026-10-24T10:00:00Z"), Some("2026-10-25T10:00:00Z"));
    day("from a day on", Some("2026-03-29T10:00:00Z"), None);
    let properties = ["title", "start", "end", "start_on", "end_on"];
    // Right until its last second, and from its first.
    let march = calendar(&w.owner, "from=2026-03-29T21:59:59Z&to=2026-03-29T22:00:00Z");
    assert_eq!(
        shown(&march, &properties),
        json!([
            ["23 hours", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z", "2026-03-29", "2026-03-30"],
            ["from a day on", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z", "2026-03-29", "2026-03-30"],
        ])
    );
    assert_eq!(titles(&calendar(&w.owner, "from=2026-03-29T22:00:00Z&to=2026-03-30T22:00:00Z")), [""; 0]);
    let october = calendar(&w.owner, "from=2026-10-25T22:59:59Z&to=2026-10-25T23:00:00Z");
    assert_eq!(
        shown(&october, &properties),
        json!([
            ["a weekend", "2026-10-23T22:00:00Z", "2026-10-25T23:00:00Z", "2026-10-24", "2026-10-26"],
            ["25 hours", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z", "2026-10-25", "2026-10-26"],
        ])
    );
    assert_eq!(titles(&calendar(&w.owner, "from=2026-10-25T23:00:00Z&to=2026-10-26T23:00:00Z")), [""; 0]);
}

#[test]
fn dates_of_series_are_right_when_the_clocks_change() {
    let w = World::new();
    // At half past two in the night: a time that 29 March does not have, and 25 October has twice.
    let daily = |title: &str, first: &str| {
        let task = w.task(title).with("due_at", first).with("recurrence", "FREQ=DAILY").create();
        change(&w.owner, &task, json!({ "status": "done" }));
    };
    daily("spring", "2026-03-26T01:30:00Z");
    let due = ["kind", "start", "occurrence_at"];
    let spring = calendar(&w.owner, "from=2026-03-27T00:00:00Z&to=2026-03-31T00:00:00Z");
    assert_eq!(
        shown(&spring, &due),
        json!([
            ["task", "2026-03-27T01:30:00Z", "2026-03-27T01:30:00Z"],
            ["recurring_task", "2026-03-28T01:30:00Z", "2026-03-28T01:30:00Z"],
            ["recurring_task", "2026-03-30T00:30:00Z", "2026-03-30T00:30:00Z"],
        ])
    );
    let autumn = calendar(&w.owner, "from=2026-10-24T00:00:00Z&to=2026-10-27T00:00:00Z");
    assert_eq!(
        shown(&autumn, &["start", "end"]),
        json!([
            ["2026-10-24T00:30:00Z", "2026-10-24T00:30:00Z"],
            ["2026-10-25T00:30:00Z", "2026-10-25T00:30:00Z"],
            ["2026-10-26T01:30:00Z", "2026-10-26T01:30:00Z"],
        ])
    );
    // Whole days with a day before them.
    let w = World::new();
    let task = w.task("weekly").with("all_day", true).with("due_at", "2026-03-22T09:00:00Z");
    let task = task.with("start_at", "2026-03-21T09:00:00Z").with("recurrence", "FREQ=WEEKLY").create();
    let weeks = calendar(&w.owner, "from=2026-03-22T12:00:00Z&to=2026-04-04T00:00:00Z");
    assert_eq!(
        shown(&weeks, &["kind", "id", "start", "end", "start_on", "end_on"]),
        json!([
            ["task", task.id(), "2026-03-20T23:00:00Z", "2026-03-22T23:00:00Z", "2026-03-21", "2026-03-23"],
            [
                "recurring_task",
                task["task_series_id"],
                "2026-03-27T23:00:00Z",
                "2026-03-29T22:00:00Z",
                "2026-03-28",
                "2026-03-30"
            ],
            [
                "recurring_task",
                task["task_series_id"],
                "2026-04-03T22:00:00Z",
                "2026-04-05T22:00:00Z",
                "2026-04-04",
                "2026-04-06"
            ],
        ])
    );
}

#[test]
fn a_date_of_a_series_stands_there_once() {
    let w = World::new();
    let operator = w.operator("operator", "none", None);
    let draft = w.task("VAT return").with("due_at", "2026-01-25T08:00:00Z").with("start_at", "2026-01-20T08:00:00Z");
    let draft = draft.with("recurrence", "FREQ=MONTHLY;BYMONTHDAY=25").with("caretaker_id", operator.id.to_string());
    let task = draft.create();
    let year = "from=2026-01-01T00:00:00Z&to=2026-07-01T00:00:00Z";
    let entries = |query: &str| shown(&calendar(&w.owner, query), &["kind", "status", "end"]);
    let all = |first: &str, second: Value| {
        json!([
            ["task", first, "2026-01-25T08:00:00Z"],
            second,
            ["recurring_task", "open", "2026-03-25T08:00:00Z"],
            ["recurring_task", "open", "2026-04-25T07:00:00Z"],
            ["recurring_task", "open", "2026-05-25T07:00:00Z"],
            ["recurring_task", "open", "2026-06-25T07:00:00Z"],
        ])
    };
    assert_eq!(entries(year), all("open", json!(["recurring_task", "open", "2026-02-25T08:00:00Z"])));
    change(&w.owner, &task, json!({ "status": "done" }));
    // The next one is a task now, and stays so where it is moved out of the way.
    assert_eq!(entries(year), all("done", json!(["task", "open", "2026-02-25T08:00:00Z"])));
    let second = calendar(&w.owner, year).entries().remove(1);
    change(&w.owner, &second, json!({ "due_at": "2026-02-26T08:00:00Z" }));
    assert_eq!(entries(year), all("done", json!(["task", "open", "2026-02-26T08:00:00Z"])));
    // Its start, five days before, is in a window that its due date is not in.
    let march = shown(&calendar(&w.owner, "from=2026-03-19T00:00:00Z&to=2026-03-21T00:00:00Z"), &["kind", "start"]);
    assert_eq!(march, json!([["recurring_task", "2026-03-20T08:00:00Z"]]));
    for filter in [format!("operator_id={}", operator.id), format!("registered_by_id={}", w.owner.id)] {
        assert_eq!(entries(&format!("{year}&{filter}")).as_array().unwrap().len(), 6, "{filter}");
    }
    assert_eq!(entries(&format!("{year}&operator_id={}", w.owner.id)), json!([]));
    assert_eq!(entries(&format!("{year}&kinds=interaction,invoice_run")), json!([]));
    assert_eq!(entries(&format!("{year}&kinds=recurring_task")).as_array().unwrap().len(), 4);
    // Nobody is given anything who has left.
    let version = w.owner.get(&format!("/operators/{}", operator.id)).expect(200).version();
    w.owner.at(version).patch(&format!("/operators/{}", operator.id), json!({ "active": false })).expect(200);
    assert_eq!(entries(&format!("{year}&operator_id={}", operator.id)).as_array().unwrap().len(), 2);
    let nobodys = shown(&calendar(&w.owner, &format!("{year}&kinds=recurring_task")), &["operator_id"]);
    assert_eq!(nobodys, json!([[null], [null], [null], [null]]));
    // A series that has ended has no dates to come.
    let version = again(&w, &second).version();
    let following = format!("{}?apply_to=this_and_following", path(&second));
    w.owner.at(version).patch(&following, json!({ "recurrence": null })).expect(200);
    assert_eq!(entries(year).as_array().unwrap().len(), 2);
}

#[test]
fn a_series_that_is_split_goes_on_from_there() {
    let w = World::new();
    let task = w.task("daily").with("due_at", "2026-01-05T08:00:00Z").with("recurrence", "FREQ=DAILY;COUNT=6").create();
    change(&w.owner, &task, json!({ "status": "done" }));
    let month = "from=2026-01-01T00:00:00Z&to=2026-02-01T00:00:00Z";
    let second = calendar(&w.owner, month).entries().remove(1);
    let following = format!("{}?apply_to=this_and_following", path(&second));
    w.owner.at(second.version()).patch(&following, json!({ "title": "still daily" })).expect(200);
    let found = calendar(&w.owner, month);
    assert_eq!(titles(&found)[..2], ["daily", "still daily"]);
    let days =
        found.entries().iter().map(|entry| entry["start"].as_str().unwrap()[8..10].to_owned()).collect::<Vec<_>>();
    assert_eq!(days, ["05", "06", "07", "08", "09", "10"]);
}

#[test]
fn what_was_cancelled_or_not_held_is_shown_when_asked_for() {
    let w = World::new();
    let customer = w.customer().create();
    let task = w.task("off").with("due_at", "2026-05-04T08:00:00Z").with("status", "cancelled").create();
    planned(&w, &customer, "2026-05-04T09:00:00Z", 30).with("status", "not_held").create();
    let day = "from=2026-05-04T00:00:00Z&to=2026-05-05T00:00:00Z";
    assert_eq!(titles(&calendar(&w.owner, day)), [""; 0]);
    let all = calendar(&w.owner, &format!("{day}&include_cancelled=true"));
    assert_eq!(shown(&all, &["status"]), json!([["cancelled"], ["not_held"]]));
    assert_eq!(all.entries()[0].id(), task.id());
}

#[test]
fn days_of_invoices_are_for_those_who_read_billing() {
    let w = World::new();
    let subscriptions = w.subscribers(3);
    let issue_on = subscriptions[0]["next_issue_on"].as_str().unwrap().to_owned();
    let day: NaiveDate = issue_on.parse().unwrap();
    let (start, end) = day_bounds(day, ZONE);
    let window = format!("from={}&to={}", text(start + TimeDelta::hours(7)), text(start + TimeDelta::hours(8)));
    let entries = |who: &Caller, query: &str| {
        shown(&calendar(who, query), &["kind", "id", "title", "status", "start", "end", "start_on", "invoices"])
    };
    let expected = |status: &str, due: i64, issued: i64| {
        let invoices = json!({ "due": due, "issued": issued });
        json!([["invoice_run", null, "Invoices", status, text(start), text(end), issue_on, invoices]])
    };
    assert_eq!(entries(&w.owner, &window), expected("planned", 3, 0));
    let before = format!("from={}&to={}", text(start - TimeDelta::hours(1)), text(start));
    assert_eq!(entries(&w.owner, &before), json!([]));
    assert_eq!(entries(&w.owner, &format!("from={}&to={}", text(end), text(end + TimeDelta::hours(1)))), json!([]));
    // Of one customer; of nobody in particular; not for those who do not see invoices.
    let customer = format!("{window}&customer_id={}", subscriptions[0]["customer_id"].as_str().unwrap());
    assert_eq!(entries(&w.owner, &customer), expected("planned", 1, 0));
    assert_eq!(entries(&w.owner, &format!("{window}&operator_id={}", w.owner.id)), json!([]));
    assert_eq!(entries(&w.owner, &format!("{window}&registered_by_id={}", w.owner.id)), json!([]));
    assert_eq!(entries(&w.operator("manager", "none", None), &window), json!([]));
    assert_eq!(entries(&w.operator("viewer", "read", None), &window), expected("planned", 3, 0));
    assert_eq!(entries(&w.api_key(&["crm:read"]), &window), json!([]));

    let one = json!([subscriptions[0].id()]);
    let run = json!({ "mode": "issue", "through_on": issue_on, "issue_on": issue_on, "subscription_ids": one });
    w.run_with(run).expect(200);
    assert_eq!(entries(&w.owner, &window), expected("planned", 2, 1));
    assert_eq!(entries(&w.owner, &customer), expected("done", 0, 1));
    w.run("issue", &issue_on);
    assert_eq!(entries(&w.owner, &window), expected("done", 0, 3));
    let polish = w.owner.with("Accept-Language", "pl").get(&format!("/calendar?{window}"));
    assert_eq!(polish.header("content-language"), Some("pl"));
    assert_eq!(titles(&polish.expect(200)), ["Wystawianie faktur"]);
}

#[test]
fn meetings_of_one_operator_at_the_same_time_are_conflicts() {
    let w = World::new();
    let customer = w.customer().create();
    let other = w.operator("operator", "none", None);
    let meet = |start: &str, minutes| planned(&w, &customer, &format!("2027-05-04T{start}:00Z"), minutes);
    let first = meet("08:00", 60).create();
    let second = meet("08:30", 60).create();
    meet("09:30", 30).create(); // begins as the second ends
    meet("08:00", 60).with("operator_id", other.id.to_string()).create();
    meet("08:15", 60).with("status", "not_held").create();
    w.task("busy").with("start_at", "2027-05-04T08:00:00Z").with("due_at", "2027-05-04T09:00:00Z").create();
    let day = "from=2027-05-04T00:00:00Z&to=2027-05-05T00:00:00Z";
    let reference = |record: &Record| json!({ "kind": "interaction", "id": record.id() });
    assert_eq!(
        calendar(&w.owner, &format!("{day}&include_cancelled=true"))["conflicts"],
        json!([{
            "operator_id": w.owner.id.to_string(), "start": "2027-05-04T08:00:00Z", "end": "2027-05-04T09:30:00Z",
            "items": [reference(&first), reference(&second)],
        }])
    );
    // Moved by a PATCH, it is out of the way, and in that of the third.
    let moved =
        w.owner.at(1).patch(&format!("/interactions/{}", second.id()), json!({ "started_at": "2027-05-04T09:45:00Z" }));
    moved.expect(200);
    let after = calendar(&w.owner, day);
    assert_eq!(after["conflicts"][0]["start"], "2027-05-04T09:30:00Z");
    let shown = after.entries().into_iter().find(|entry| entry["id"] == second.id()).unwrap();
    assert_eq!((&shown["start"], &shown["end"]), (&json!("2027-05-04T09:45:00Z"), &json!("2027-05-04T10:45:00Z")));
    assert_eq!(shown["version"], 2);
}

#[test]
fn a_manager_moves_and_gives_out_the_work_of_its_team() {
    let w = World::new();
    let manager = w.operator("manager", "none", Some(&w.owner));
    let (jan, anna) = (w.operator("operator", "none", Some(&manager)), w.operator("operator", "none", Some(&manager)));
    let stranger = w.operator("manager", "none", None);
    let task =
        w.task("return").by(&jan).with("start_at", "2027-02-01T08:00:00Z").with("due_at", "2027-02-02T15:00:00Z");
    let task = task.create();
    let team = |month: &str| {
        let query = format!("from=2027-{month}-01T00:00:00Z&to=2027-{month}-28T00:00:00Z&team={}", manager.id);
        shown(&calendar(&manager, &query), &["id", "operator_id", "start", "version"])
    };
    assert_eq!(team("02"), json!([[task.id(), jan.id.to_string(), "2027-02-01T08:00:00Z", 1]]));
    let patch = json!({ "start_at": "2027-03-01T08:00:00Z", "due_at": "2027-03-29T15:00:00Z", "caretaker_id": anna.id.to_string() });
    stranger.at(1).patch(&path(&task), patch.clone()).refused(403, "forbidden");
    manager.at(1).patch(&path(&task), patch).expect(200);
    assert_eq!(team("02"), json!([]));
    assert_eq!(team("03"), json!([[task.id(), anna.id.to_string(), "2027-03-01T08:00:00Z", 2]]));
    let march = "from=2027-03-20T00:00:00Z&to=2027-03-21T00:00:00Z";
    let of = |who: &Caller| calendar(&w.owner, &format!("{march}&operator_id={}", who.id)).entries().len();
    assert_eq!((of(&jan), of(&anna)), (0, 1));
    let both = format!("{march}&team={}&operator_id={},{}", manager.id, anna.id, w.owner.id);
    assert_eq!(calendar(&w.owner, &both).entries().len(), 1);
    assert_eq!(calendar(&w.owner, &format!("{march}&team={}", stranger.id)).entries().len(), 0);
    // Whole days, then no day at all.
    change(&manager, &task, json!({ "all_day": true }));
    let days = calendar(&manager, march).entries().remove(0);
    assert_eq!((&days["start_on"], &days["end_on"]), (&json!("2027-03-01"), &json!("2027-03-30")));
    change(&manager, &task, json!({ "all_day": false, "start_at": null, "due_at": null }));
    assert_eq!(calendar(&manager, march).entries().len(), 0);
}

#[test]
fn holidays_have_names_and_are_not_worked() {
    let w = World::new();
    let query = "from=2026-12-23T23:00:00Z&to=2026-12-29T23:00:00Z";
    let found = calendar(&w.owner, query);
    let day = |falls_on: &str, name: &str| json!({ "falls_on": falls_on, "name": name });
    assert_eq!(
        found["holidays"],
        json!([
            day("2026-12-24", "Christmas Eve"),
            day("2026-12-25", "Christmas Day"),
            day("2026-12-26", "Second Day of Christmas"),
        ])
    );
    assert_eq!(found["working_days"], json!(["2026-12-28", "2026-12-29"]));
    let spring =
        w.owner.with("Accept-Language", "pl").get("/calendar?from=2026-04-03T10:00:00Z&to=2026-06-05T10:00:00Z");
    let names: Vec<_> =
        spring.expect(200)["holidays"].as_array().unwrap().iter().map(|it| it["name"].clone()).collect();
    assert_eq!(
        names,
        [
            "Pierwszy dzień Wielkiej Nocy",
            "Drugi dzień Wielkiej Nocy",
            "Święto Państwowe",
            "Święto Narodowe Trzeciego Maja",
            "Pierwszy dzień Zielonych Świątek",
            "Dzień Bożego Ciała",
        ]
    );
    // One more day of Christmas Eve's kind was none before 2025.
    let before = calendar(&w.owner, "from=2024-12-23T23:00:00Z&to=2024-12-24T23:00:00Z");
    assert_eq!((&before["holidays"], &before["working_days"]), (&json!([]), &json!(["2024-12-24"])));
}

#[test]
fn free_is_what_busy_time_leaves_of_working_hours() {
    let w = World::new();
    let customer = w.customer().create();
    let (jan, anna) = (w.operator("operator", "none", None), w.operator("operator", "none", None));
    let meet = |who: &Caller, start: &str, minutes| {
        planned(&w, &customer, start, minutes).with("operator_id", who.id.to_string())
    };
    // Friday, 27 March to Monday, 30 March 2026: the clocks go forward between.
    meet(&jan, "2026-03-27T08:00:00Z", 60).create();
    meet(&jan, "2026-03-27T08:30:00Z", 90).with("status", "held").create();
    meet(&jan, "2026-03-27T14:00:00Z", 60 * 24 * 4).with("status", "not_held").create();
    meet(&jan, "2026-03-27T12:00:00Z", 0).create();
    meet(&jan, "2026-03-28T10:00:00Z", 60).create(); // a Saturday
    meet(&anna, "2026-03-30T05:30:00Z", 60).create(); // from half past seven in Warsaw
    let task = |who: &Caller, start: Option<&str>, due: &str| {
        w.task("work").with("caretaker_id", who.id.to_string()).with("start_at", start).with("due_at", due)
    };
    task(&anna, Some("2026-03-27T13:00:00Z"), "2026-03-27T14:00:00Z").create();
    task(&anna, Some("2026-03-27T09:00:00Z"), "2026-03-27T10:00:00Z").with("status", "done").create();
    task(&anna, None, "2026-03-27T10:30:00Z").create();
    task(&anna, Some("2026-03-20T09:00:00Z"), "2026-03-31T10:00:00Z").create(); // beside other things
    task(&anna, Some("2026-03-27T09:00:00Z"), "2026-03-27T10:00:00Z").with("all_day", true).create();
    // Two hours each Monday, at eleven in Warsaw.
    let weekly = task(&anna, Some("2026-03-16T10:00:00Z"), "2026-03-16T12:00:00Z").with("recurrence", "FREQ=WEEKLY");
    weekly.create();
    let slot = |start: &str, end: &str| json!({ "start": format!("2026-03-{start}:00Z"), "end": format!("2026-03-{end}:00Z") });
    let query =
        format!("from=2026-03-27T00:00:00Z&to=2026-03-31T00:00:00Z&operator_id={},{},{}", jan.id, anna.id, jan.id);
    let found = w.owner.get(&format!("/calendar/free-busy?{query}")).expect(200);
    assert_eq!((&found["working_from"], &found["working_to"]), (&json!("08:00"), &json!("16:00")));
    assert_eq!(
        found["operators"],
        json!([
            {
                "operator_id": jan.id.to_string(),
                "busy": [slot("27T08:00", "27T10:00"), slot("28T10:00", "28T11:00")],
                "free": [slot("27T07:00", "27T08:00"), slot("27T10:00", "27T15:00"), slot("30T06:00", "30T14:00")],
            },
            {
                "operator_id": anna.id.to_string(),
                "busy": [slot("27T13:00", "27T14:00"), slot("30T05:30", "30T06:30"), slot("30T09:00", "30T11:00")],
                "free": [
                    slot("27T07:00", "27T13:00"), slot("27T14:00", "27T15:00"),
                    slot("30T06:30", "30T09:00"), slot("30T11:00", "30T14:00"),
                ],
            },
        ])
    );
    assert_eq!(
        found["free"],
        json!([
            slot("27T07:00", "27T08:00"),
            slot("27T10:00", "27T13:00"),
            slot("27T14:00", "27T15:00"),
            slot("30T06:30", "30T09:00"),
            slot("30T11:00", "30T14:00"),
        ])
    );
    // Other hours, in a window that cuts a meeting.
    let query = format!(
        "from=2026-03-27T09:00:00Z&to=2026-03-27T12:00:00Z&operator_id={}&working_from=10:30&working_to=12:00",
        jan.id
    );
    let found = w.owner.get(&format!("/calendar/free-busy?{query}")).expect(200);
    assert_eq!(found["operators"][0]["busy"], json!([slot("27T09:00", "27T10:00")]));
    assert_eq!(found["free"], json!([slot("27T10:00", "27T11:00")]));
}

#[test]
fn entries_are_shown_in_part_and_with_what_they_refer_to() {
    let w = World::new();
    let customer = w.customer().name("Apteka Pod Lwem").create();
    let talk = planned(&w, &customer, "2027-05-04T08:00:00Z", 30).create();
    let day = "from=2027-05-04T00:00:00Z&to=2027-05-05T00:00:00Z";
    let cut = calendar(&w.owner, &format!("{day}&fields=start&expand=customer,operator"));
    let entry = cut.entries().remove(0);
    assert_eq!(entry["customer"]["name"], "Apteka Pod Lwem");
    assert_eq!(entry["operator"]["id"], w.owner.id.to_string());
    let properties: BTreeSet<_> = entry.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(properties, BTreeSet::from(["customer", "id", "operator", "start"]));
    assert_eq!((entry.id(), &cut["working_days"]), (talk.id(), &json!(["2027-05-04", "2027-05-05"])));
}

#[test]
fn what_makes_no_sense_is_refused() {
    let w = World::new();
    let refused = |query: &str, wrong: &[&str]| {
        let answer = w.owner.get(&format!("/calendar{query}"));
        answer.refused(400, "parameter_invalid");
        assert_eq!(answer.wrong(), wrong, "{query}");
    };
    refused("?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", &["to order"]);
    refused("?from=2026-01-01T00:00:00Z&to=2026-01-01T00:00:00Z", &["to order"]);
    refused("?from=2026-01-01T00:00:00Z&to=2027-01-02T00:00:01Z", &["to maximum"]);
    calendar(&w.owner, "from=2026-01-01T00:00:00Z&to=2027-01-02T00:00:00Z");
    let me = w.owner.id;
    refused(&format!("/free-busy?from=2026-01-01T00:00:00Z&to=2026-03-04T00:00:01Z&operator_id={me}"), &["to maximum"]);
    let week = format!("/free-busy?from=2026-01-01T00:00:00Z&to=2026-01-08T00:00:00Z&operator_id={me}");
    refused(&format!("{week}&working_from=16:00"), &["working_to order"]);
    refused(&format!("{week}&working_from=24:00"), &["working_from pattern"]);
    // Nobody is told that a stranger is free.
    let stranger = World::new().owner.id;
    refused(&format!("{week},{stranger}"), &["operator_id unknown"]);
    for year in ["0000", "9999"] {
        calendar(&w.owner, &format!("from={year}-01-01T00:00:00Z&to={year}-12-31T23:59:59Z"));
    }
}

#[test]
fn what_is_too_much_is_refused_and_not_cut() {
    let w = World::new();
    // Each of its dates is worked at for 80 years before it, so that a window holds nearly 30 000 of them.
    let task = w.task("daily").with("start_at", "1946-01-01T08:00:00Z").with("due_at", "2026-01-01T08:00:00Z");
    task.with("recurrence", "FREQ=DAILY").create();
    let answer = w.owner.get("/calendar?from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z");
    answer.refused(400, "parameter_invalid");
    assert_eq!(answer.wrong(), ["to too_many"]);
    let found = calendar(&w.owner, "from=1946-01-01T00:00:00Z&to=1946-01-02T00:00:00Z");
    assert_eq!(found.entries().len(), 1);
}

/// Numbers that look like chance and are the same each time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        // An LCG (Knuth, MMIX); its upper bits are the good ones.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[usize::try_from(self.below(all.len() as u64)).unwrap()]
    }

    /// Around both changes of the clocks.
    fn moment(&mut self) -> DateTime<Utc> {
        let from = *self.one_of(&["2026-03-15T00:00:00Z", "2026-10-10T00:00:00Z"]);
        let minutes = i64::try_from(self.below(30 * 24 * 4)).unwrap() * 15;
        from.parse::<DateTime<Utc>>().unwrap() + TimeDelta::minutes(minutes)
    }

    fn length(&mut self) -> TimeDelta {
        let minutes = *self.one_of(&[0, 15, 60, 480, 1_440, 1_500, 1_515, 5_000, 12_000, 12_015, 90_000, 800_000]);
        TimeDelta::minutes(minutes)
    }
}

/// An entry as whoever reads the lists would draw it: kind, id, start, end, and which one of its series.
type Drawn = (DateTime<Utc>, String, String, DateTime<Utc>, Option<DateTime<Utc>>);

#[test]
fn the_calendar_is_what_the_lists_say() {
    let w = World::new();
    let mut chance = Chance(20_261_125);
    let mut people = vec![w.operator("operator", "none", None), w.operator("operator", "none", None)];
    people.push(w.owner.clone());
    let customers = [w.customer().create(), w.customer().create()];
    for index in 0..120 {
        let (by, caretaker) = (people[index % 3].clone(), chance.one_of(&people).id);
        let mut draft = w.task(&format!("task {index}")).with("caretaker_id", caretaker.to_string());
        draft = draft.by(if by.id == caretaker { &by } else { &w.owner });
        if chance.below(2) == 0 {
            draft = draft.with("customer_id", chance.one_of(&customers).id());
        }
        let (start, length) = (chance.moment(), chance.length());
        let shape = chance.below(4);
        draft = draft.with("all_day", chance.below(3) == 0);
        if shape != 0 {
            draft = draft.with("start_at", text(start));
        }
        if shape != 1 {
            draft = draft.with("due_at", text(start + length));
        }
        if shape != 1 && chance.below(3) == 0 {
            let rule =
                *chance.one_of(&["FREQ=DAILY", "FREQ=DAILY;INTERVAL=3;COUNT=9", "FREQ=WEEKLY", "FREQ=MONTHLY;COUNT=5"]);
            draft = draft.with("recurrence", rule);
        }
        if chance.below(8) == 0 {
            draft = draft.with("status", "cancelled");
        }
        let mut made = draft.send();
        if made.status == 422 {
            // On a moment that clocks show twice no series begins.
            made = draft.with("recurrence", Value::Null).send();
        }
        let mut task = made.expect(201);
        for _ in 0..chance.below(4) {
            if task["recurrence"].is_null() {
                break;
            }
            change(&w.owner, &task, json!({ "status": "done" }));
            let series = format!("/tasks?task_series_id={}&closed=false", task["task_series_id"].as_str().unwrap());
            let Some(next) = w.owner.get(&series).expect(200).items().pop() else { break };
            task = next;
        }
    }
    for index in 0..120 {
        let talker = chance.one_of(&people).id;
        let minutes = *chance.one_of(&[0, 15, 60, 600, 10_080]);
        let draft = planned(&w, chance.one_of(&customers), &text(chance.moment()), minutes);
        let draft = draft.with("status", *chance.one_of(&["planned", "held", "held", "not_held"]));
        draft.with("subject", format!("talk {index}")).with("operator_id", talker.to_string()).create();
    }
    let (tasks, interactions) = (whole_list(&w, "/tasks"), whole_list(&w, "/interactions"));
    let series = dates_to_come(&tasks);
    let mut compared = 0;
    for round in 0..60 {
        let from = chance.moment();
        let hours = *chance.one_of(&[1, 24, 24 * 7, 24 * 31, 24 * 365]);
        let to = from + TimeDelta::hours(hours);
        let mut query = format!("from={}&to={}", text(from), text(to));
        let mut filters: BTreeMap<&str, String> = BTreeMap::new();
        if round % 3 == 1 {
            filters.insert("operator_id", chance.one_of(&people).id.to_string());
        }
        if round % 4 == 1 {
            filters.insert("customer_id", chance.one_of(&customers).id().to_owned());
        }
        if round % 5 == 1 {
            filters.insert("registered_by_id", chance.one_of(&people).id.to_string());
        }
        let cancelled = round % 2 == 1;
        filters.iter().for_each(|(name, value)| query.push_str(&format!("&{name}={value}")));
        query.push_str(&format!("&include_cancelled={cancelled}"));
        let found = calendar(&w.owner, &query);
        let entry = |entry: &Record| -> Drawn {
            let at = |name: &str| moment(&entry[name]).unwrap();
            let (kind, id) = (entry["kind"].as_str().unwrap(), entry["id"].as_str().unwrap());
            (at("start"), kind.to_owned(), id.to_owned(), at("end"), moment(&entry["occurrence_at"]))
        };
        let drawn: Vec<Drawn> = found.entries().iter().map(entry).collect();
        let is_asked = |record: &Value, operator: &str| {
            filters.iter().all(|(name, value)| {
                let property = if *name == "operator_id" { operator } else { name };
                record[property] == value.as_str()
            })
        };
        let overlaps = |start: DateTime<Utc>, end: DateTime<Utc>| start < to && (end > from || start >= from);
        let mut wanted: Vec<Drawn> = Vec::new();
        for task in tasks.iter().filter(|task| is_asked(task, "caretaker_id")) {
            let Some((start, end)) =
                span_of(moment(&task["start_at"]), moment(&task["due_at"]), task["all_day"] == true)
            else {
                continue;
            };
            if overlaps(start, end) && (cancelled || task["status"] != "cancelled") {
                wanted.push((start, "task".into(), task.id().into(), end, moment(&task["occurrence_at"])));
            }
        }
        for talk in interactions.iter().filter(|talk| is_asked(talk, "operator_id")) {
            let start = moment(&talk["started_at"]).unwrap();
            let end = start + TimeDelta::minutes(talk["duration_minutes"].as_i64().unwrap());
            if overlaps(start, end) && (cancelled || talk["status"] != "not_held") {
                wanted.push((start, "interaction".into(), talk.id().into(), end, None));
            }
        }
        for (id, _, dates) in series.iter().filter(|(_, first, _)| is_asked(first, "caretaker_id")) {
            for (start, end, at) in dates.iter().filter(|(start, end, _)| overlaps(*start, *end)) {
                wanted.push((*start, "recurring_task".into(), id.clone(), *end, Some(*at)));
            }
        }
        let order = ["task", "recurring_task", "interaction"];
        wanted.sort_by_key(|(start, kind, id, _, which)| {
            (*start, order.iter().position(|word| word == kind), id.clone(), *which)
        });
        assert_eq!(drawn, wanted, "{query}");
        compared += wanted.len();
    }
    assert!(compared > 1_000, "{compared}");
}

/// From start to due; of whole days until the last of them ends.
fn span_of(
    start: Option<DateTime<Utc>>,
    due: Option<DateTime<Utc>>,
    all_day: bool,
) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    let last = due.or(start)?;
    let end = if all_day { day_bounds(day_of(last, ZONE), ZONE).1 } else { last };
    Some((start.or(due)?, end))
}

/// A date of a series: its start, its end, and when it is due by the rule.
type Date = (DateTime<Utc>, DateTime<Utc>, DateTime<Utc>);

/// What each series that goes on has for years after its newest instance.
fn dates_to_come(tasks: &[Record]) -> Vec<(String, &Record, Vec<Date>)> {
    let mut by_series: BTreeMap<String, Vec<&Record>> = BTreeMap::new();
    for task in tasks.iter().filter(|task| !task["recurrence"].is_null()) {
        by_series.entry(task["task_series_id"].as_str().unwrap().to_owned()).or_default().push(task);
    }
    let mut all = Vec::new();
    for (id, mut instances) in by_series {
        instances.sort_by_key(|task| moment(&task["occurrence_at"]));
        let (first, newest) = (instances[0], instances[instances.len() - 1]);
        let (first_at, first_start) = (moment(&first["occurrence_at"]).unwrap(), moment(&first["start_at"]));
        let all_day = first["all_day"] == true;
        let recurrence =
            Recurrence::new(first["recurrence"].as_str().unwrap().parse().unwrap(), ZONE, first_at).unwrap();
        let mut dates = Vec::new();
        let mut at = moment(&newest["occurrence_at"]).unwrap();
        while let Some(next) = recurrence.next_after(at).filter(|next| *next < first_at + TimeDelta::days(1_200)) {
            at = next;
            let start = first_start.map(|first_start| match all_day {
                true => {
                    let lead = day_of(first_at, ZONE).signed_duration_since(day_of(first_start, ZONE));
                    day_bounds(day_of(at, ZONE) - lead, ZONE).0
                }
                false => at - first_at.signed_duration_since(first_start),
            });
            let (start, end) = span_of(start, Some(at), all_day).unwrap();
            dates.push((start, end, at));
        }
        all.push((id, first, dates));
    }
    all
}

fn whole_list(w: &World, path: &str) -> Vec<Record> {
    let (mut all, mut seen) = (Vec::new(), BTreeSet::new());
    let mut cursor = String::new();
    loop {
        let page = w.owner.get(&format!("{path}?limit=200{cursor}")).expect(200);
        for record in page.items() {
            assert!(seen.insert(record.id().to_owned()));
            all.push(record);
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
}
