//! Filters that several ranges of records answer together: any of some tags, what is not overdue. Their pages are those
//! of the whole list, less what is left out.

use crate::support::{Draft, Record, World, text_rows};
use chrono::{Days, NaiveDate};
use serde_json::{Value, json};

/// The tags of the records that are made, in the order in which they are.
const TAGS: &[&[&str]] = &[&["a"], &["b", "a"], &["b"], &[], &["c", "a", "b"], &["b", "c"], &["a"], &[], &["a", "c"]];

/// The lists of records with tags: what such a record is, and another place for it in the order that is not of creation.
fn kinds(w: &World) -> [(&'static str, &'static str, Draft, fn(u64) -> Value); 5] {
    let customer = w.customer().create();
    [
        ("/customers", "name", w.customer(), |place| json!(format!("Firma {place}"))),
        ("/opportunities", "expected_close_on", w.opportunity(customer.id()), |place| json!(day(place))),
        ("/threads", "", w.thread("A matter"), |_| Value::Null),
        ("/tasks", "due_at", w.task("Something"), |place| json!(format!("{}T10:00:00Z", day(place)))),
        ("/interactions", "started_at", w.interaction(customer.id()), |place| {
            json!(format!("{}T10:00:00Z", day(place)))
        }),
    ]
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

fn check_tags(w: &World, path: &str, field: &str, narrower: &str) {
    let sorts = ["created_at", "-created_at"].map(str::to_owned).into_iter();
    let sorts = sorts.chain([field, "-"].into_iter().filter(|_| !field.is_empty()).map(|sign| match sign {
        "-" => format!("-{field}"),
        field => field.to_owned(),
    }));
    for sort in sorts {
        for asked in [&["a"][..], &["a", "b"], &["c", "b", "a", "c"], &["none"], &["none", "c"]] {
            let passes = |record: &Record| {
                let tags = record["tags"].as_array().unwrap();
                tags.iter().any(|tag| asked.contains(&tag.as_str().unwrap()))
            };
            let filter = format!("tag={}", asked.join(","));
            let found = check(w, path, &format!("sort={sort}"), &filter, passes);
            assert_eq!(found == 0, asked == ["none"], "{filter}");
            check(w, path, &format!("sort={sort}&{narrower}"), &filter, passes);
        }
    }
}

#[test]
fn any_of_some_tags_is_found_in_each_order_and_beside_other_filters() {
    let w = World::new();
    let operator = w.operator("operator", "none", None);
    for (path, field, draft, at) in kinds(&w) {
        let mut made = Vec::new();
        for (place, tags) in (0..).zip(TAGS) {
            let caretaker = if place % 3 == 0 { operator.id } else { w.owner.id };
            let draft = draft.clone().with("tags", json!(tags)).with("caretaker_id", caretaker.to_string());
            // Neither in the order of creation nor against it, and two at one place.
            let draft = if field.is_empty() { draft } else { draft.with(field, at(place * 5 % 8)) };
            made.push(draft.create());
        }
        let narrower = format!("caretaker_id={}", operator.id);
        check_tags(&w, path, field, &narrower);

        let patch = |record: &Record, body: Value| {
            w.owner.at(record.version()).patch(&format!("{path}/{}", record.id()), body).expect(200)
        };
        patch(&made[0], json!({ "tags": [] }));
        patch(&made[3], json!({ "tags": ["c", "d"] }));
        patch(&made[1], json!({ "tags": ["a", "c"] }));
        if !field.is_empty() {
            patch(&made[4], json!({ field: at(40) }));
            patch(&made[5], json!({ field: at(41), "tags": ["b"] }));
        }
        if path != "/customers" {
            w.owner.at(made[8].version()).delete(&format!("{path}/{}", made[8].id())).expect(204);
        }
        check_tags(&w, path, field, &narrower);
    }
    let periods = [
        ("/opportunities", "expected_close_on", day(2).to_string(), day(6).to_string()),
        ("/tasks", "due_at", format!("{}T10:00:00Z", day(2)), format!("{}T10:00:00Z", day(6))),
        ("/interactions", "started_at", format!("{}T10:00:00Z", day(2)), format!("{}T10:00:00Z", day(6))),
    ];
    for (path, field, from, before) in periods {
        let tagged = |record: &Record| record["tags"].as_array().unwrap().iter().any(|tag| tag == "a" || tag == "b");
        let within = |bounds: &str, passes: &dyn Fn(&str) -> bool| {
            let passes = |record: &Record| tagged(record) && record[field].as_str().is_some_and(passes);
            let found = check(&w, path, &format!("sort={field}"), &format!("tag=a,b&{bounds}"), passes);
            assert!(found > 0, "{path} {bounds}");
        };
        within(&format!("{field}[gte]={from}"), &|at| at >= &from[..]);
        within(&format!("{field}[lt]={before}"), &|at| at < &before[..]);
        within(&format!("{field}[gte]={from}&{field}[lt]={before}"), &|at| at >= &from[..] && at < &before[..]);
    }
    for (table, owner) in [
        ("customers", "customer"),
        ("opportunities", "opportunity"),
        ("threads", "thread"),
        ("tasks", "task"),
        ("interactions", "interaction"),
    ] {
        let of = |sql: String| text_rows(&format!("{sql} where organization_id = '{}' order by 1", w.organization_id));
        let rows = of(format!("select {owner}_id || ' ' || tag from {owner}_tags"));
        assert_eq!(rows, of(format!("select id || ' ' || tag from {table}, unnest(tags) tag")), "{table}");
    }
}

#[test]
fn what_is_not_overdue_is_closed_or_due_later() {
    let w = World::new();
    for place in 0..12_u64 {
        let draft = w.task(&format!("Task {place}"));
        let draft =
            if place % 4 == 0 { draft } else { draft.with("due_at", format!("{}T10:00:00Z", day(place * 5 % 8))) };
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
