//! Filters that several ranges of records answer together: any of some tags, what is not overdue. Their pages are those
//! of the whole list, less what is left out.

use crate::support::{Draft, Record, World, text_rows};
use chrono::{Days, NaiveDate};
use serde_json::{Value, json};

/// The tags of the records that are made, in the order in which they are.
const TAGS: &[&[&str]] = &[&["a"], &["b", "a"], &["b"], &[], &["c", "a", "b"], &["b", "c"], &["a"], &[], &["a", "c"]];

/// What a list can be sorted by beside creation, and a value that stands at such a place.
type Sort = (&'static str, fn(u64) -> Value);

/// Records with tags.
struct Kind {
    path: &'static str,
    sort: Option<Sort>,
    draft: Draft,
}

fn kinds(w: &World) -> [Kind; 5] {
    let customer = w.customer().create();
    let kind = |path, sort: Option<Sort>, draft| Kind { path, sort, draft };
    [
        kind("/customers", Some(("name", |place| json!(format!("Firma {place}")))), w.customer()),
        kind("/opportunities", Some(("expected_close_on", |place| json!(day(place)))), w.opportunity(customer.id())),
        kind("/threads", None, w.thread("A matter")),
        kind("/tasks", Some(("due_at", |place| json!(at(place)))), w.task("Something")),
        kind("/interactions", Some(("started_at", |place| json!(at(place)))), w.interaction(customer.id())),
    ]
}

fn at(place: u64) -> String {
    format!("{}T10:00:00Z", day(place))
}

fn day(place: u64) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 3, 1).unwrap() + Days::new(place)
}

/// All records of a list, two by two.
fn followed(w: &World, path: &str, query: &str) -> Vec<Record> {
    let mut records = Vec::new();
    let mut next = format!("{path}?limit=2&{query}");
    loop {
        let page = w.owner.get(&next).expect(200);
        records.extend(page.items());
        match page["next_cursor"].as_str() {
            Some(cursor) => next = format!("{path}?limit=2&{query}&cursor={cursor}"),
            None => return records,
        }
    }
}

/// The pages of a query with `filter` are those without, less what does not pass.
fn check(w: &World, path: &str, query: &str, filter: &str, passes: impl Fn(&Record) -> bool) -> usize {
    let mut expected = followed(w, path, query);
    expected.retain(passes);
    let found = followed(w, path, &format!("{query}&{filter}"));
    assert_eq!(found, expected, "{path}?{query}&{filter}");
    let counted = w.owner.get(&format!("{path}?{query}&{filter}&count=exact")).expect(200);
    assert_eq!(counted["total_count"], expected.len(), "{path}?{query}&{filter}");
    found.len()
}

fn check_tags(w: &World, kind: &Kind, narrower: &str) {
    let fields = ["created_at"].into_iter().chain(kind.sort.map(|(field, _)| field));
    for sort in fields.flat_map(|field| [field.to_owned(), format!("-{field}")]) {
        for asked in [&["a"][..], &["a", "b"], &["c", "b", "a", "c"], &["none"], &["none", "c"]] {
            let passes = |record: &Record| {
                let tags = record["tags"].as_array().unwrap();
                tags.iter().any(|tag| asked.contains(&tag.as_str().unwrap()))
            };
            let filter = format!("tag={}", asked.join(","));
            let found = check(w, kind.path, &format!("sort={sort}"), &filter, passes);
            assert_eq!(found == 0, asked == ["none"], "{filter}");
            check(w, kind.path, &format!("sort={sort}&{narrower}"), &filter, passes);
        }
    }
}

#[test]
fn any_of_some_tags_is_found_in_each_order_and_beside_other_filters() {
    let w = World::new();
    let operator = w.operator("operator", "none", None);
    let narrower = format!("caretaker_id={}", operator.id);
    for kind in kinds(&w) {
        let mut made = Vec::new();
        for (place, tags) in (0..).zip(TAGS) {
            let caretaker = if place % 3 == 0 { operator.id } else { w.owner.id };
            let mut draft = kind.draft.clone().with("tags", json!(tags)).with("caretaker_id", caretaker.to_string());
            if let Some((field, value)) = kind.sort {
                // Neither in the order of creation nor against it, and two at one place.
                draft = draft.with(field, value(place * 5 % 8));
            }
            made.push(draft.create());
        }
        check_tags(&w, &kind, &narrower);

        let path = |record: &Record| format!("{}/{}", kind.path, record.id());
        let patch = |record: &Record, body: Value| {
            w.owner.at(record.version()).patch(&path(record), body).expect(200);
        };
        patch(&made[0], json!({ "tags": [] }));
        patch(&made[3], json!({ "tags": ["c", "d"] }));
        patch(&made[1], json!({ "tags": ["a", "c"] }));
        if let Some((field, value)) = kind.sort {
            patch(&made[4], json!({ field: value(40) }));
            patch(&made[5], json!({ field: value(41), "tags": ["b"] }));
        }
        if kind.path != "/customers" {
            w.owner.at(made[8].version()).delete(&path(&made[8])).expect(204);
        }
        check_tags(&w, &kind, &narrower);
    }
    for (table, record) in [
        ("customers", "customer"),
        ("opportunities", "opportunity"),
        ("threads", "thread"),
        ("tasks", "task"),
        ("interactions", "interaction"),
    ] {
        let of = |sql: String| text_rows(&format!("{sql} where organization_id = '{}' order by 1", w.organization_id));
        let rows = of(format!("select {record}_id || ' ' || tag from {record}_tags"));
        assert_eq!(rows, of(format!("select id || ' ' || tag from {table}, unnest(tags) tag")), "{table}");
    }
}

#[test]
fn tags_and_periods_go_together() {
    let w = World::new();
    for Kind { path, sort, draft } in kinds(&w) {
        let Some((field, value)) = sort.filter(|(field, _)| *field != "name") else { continue };
        for (place, tags) in (0..).zip(TAGS) {
            draft.clone().with("tags", json!(tags)).with(field, value(place * 5 % 8)).create();
        }
        draft.clone().with("tags", json!(["a"])).create();
        let (from, before) = (value(2), value(6));
        let (from, before) = (from.as_str().unwrap(), before.as_str().unwrap());
        let within = |bounds: String, passes: &dyn Fn(&str) -> bool| {
            let passes = |record: &Record| {
                let has_tag = record["tags"].as_array().unwrap().iter().any(|tag| tag == "a" || tag == "b");
                has_tag && record[field].as_str().is_some_and(passes)
            };
            assert!(check(&w, path, &format!("sort={field}"), &format!("tag=a,b&{bounds}"), passes) > 0);
        };
        within(format!("{field}[gte]={from}"), &|at| at >= from);
        within(format!("{field}[lt]={before}"), &|at| at < before);
        within(format!("{field}[gte]={from}&{field}[lt]={before}"), &|at| at >= from && at < before);
    }
}

#[test]
fn what_is_not_overdue_is_closed_or_due_later() {
    let w = World::new();
    for place in 0..12_u64 {
        let draft = w.task(&format!("Task {place}"));
        let draft = if place % 4 == 0 { draft } else { draft.with("due_at", at(place * 5 % 8)) };
        let draft = if place % 5 == 0 { draft.with("due_at", "2100-01-01T00:00:00Z") } else { draft };
        draft.with("status", if place % 3 == 0 { "done" } else { "open" }).create();
    }
    for sort in ["due_at", "-due_at", "created_at", "-created_at"] {
        for (filter, overdue) in [("overdue=false", false), ("overdue=true", true)] {
            let query = format!("sort={sort}");
            assert!(check(&w, "/tasks", &query, filter, |task| task["overdue"] == overdue) > 2);
            let query = format!("sort={sort}&due_at[gte]=2026-03-03T00:00:00Z");
            check(&w, "/tasks", &query, filter, |task| task["overdue"] == overdue);
            let query = format!("sort={sort}&closed=false");
            check(&w, "/tasks", &query, filter, |task| task["overdue"] == overdue);
        }
    }
}

#[test]
fn a_period_of_whole_days_is_by_the_day() {
    let w = World::new();
    w.task("dateless").create();
    w.task("starts").with("start_at", "2026-03-04T10:00:00Z").create();
    for place in 0..6 {
        w.task(&format!("day {place}"))
            .with("due_at", format!("{}T12:00:00Z", day(place)))
            .with("all_day", true)
            .create();
        w.task(&format!("hour {place}")).with("due_at", format!("{}T23:00:00Z", day(place))).create();
    }
    let at = |task: &Record| task["due_at"].as_str().map(str::to_owned);
    for sort in ["due_at", "-due_at"] {
        for moment in ["2026-03-03T23:00:00Z", "2026-03-03T22:59:59Z", "2026-03-04T00:00:00Z", "2026-03-04T12:00:00Z"] {
            let query = format!("sort={sort}");
            check(&w, "/tasks", &query, &format!("due_at[gte]={moment}"), |task| {
                at(task).is_some_and(|at| &at[..] >= moment)
            });
            check(&w, "/tasks", &query, &format!("due_at[lt]={moment}"), |task| {
                at(task).is_some_and(|at| &at[..] < moment)
            });
        }
    }
}
