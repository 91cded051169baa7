//! Calendar feeds: secret addresses at which calendar programs read a part of the calendar.

use crate::support::{Answer, Caller, Client, Record, Server, World, at_once, count, now};
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use serde_json::{Value, json};
use std::num::NonZeroU32;
use std::sync::Arc;

fn read(path: &str) -> Answer {
    Client::nobody().get(path)
}

/// The lines of a feed, unfolded.
#[track_caller]
fn lines(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.text().replace("\r\n ", "").split_terminator("\r\n").map(str::to_owned).collect()
}

/// The entries of a feed, each as its lines.
#[track_caller]
fn entries(path: &str) -> Vec<Vec<String>> {
    let lines = lines(&read(path));
    let begins = |line: &String| line == "BEGIN:VEVENT" || line == "BEGIN:VTODO";
    let starts: Vec<_> = lines.iter().enumerate().filter(|(_, line)| begins(line)).map(|(index, _)| index).collect();
    starts
        .iter()
        .map(|start| lines[*start..].iter().take_while(|line| !line.starts_with("END:")).cloned().collect())
        .collect()
}

fn value<'a>(entry: &'a [String], name: &str) -> &'a str {
    let line = entry.iter().find(|line| line.split([':', ';']).next() == Some(name));
    line.and_then(|line| line.split_once(':')).map_or("", |(_, value)| value)
}

fn titles(path: &str) -> Vec<String> {
    entries(path).iter().map(|entry| value(entry, "SUMMARY").to_owned()).collect()
}

/// A whole minute so many hours from now.
fn hours(hours: i64) -> DateTime<Utc> {
    let now = now().trunc_subsecs(0);
    now - TimeDelta::seconds(now.timestamp() % 60) + TimeDelta::hours(hours)
}

fn in_utc(moment: DateTime<Utc>) -> String {
    moment.format("%Y%m%dT%H%M%SZ").to_string()
}

fn due(w: &World, title: &str, at: DateTime<Utc>) -> Record {
    w.task(title).with("due_at", json!(at)).create()
}

#[test]
fn an_address_is_shown_once() {
    let w = World::new();
    let answer = w.calendar_feed().send();
    let made = answer.expect(201);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let url = made["url"].as_str().unwrap();
    let secret = url.split_once("/api/v1/calendar/feeds/").unwrap().1.strip_suffix(".ics").unwrap();
    assert!(url.starts_with(&Server::shared().url), "{url}");
    assert!(secret.starts_with("opf_") && secret.len() >= 4 + 43, "256 bits: {secret}");
    assert_ne!(w.calendar_feed().create().address(), made.address());

    let shown = w.owner.get(&format!("/calendar/feeds/{}", made.id()));
    assert!(shown.expect(200).get("url").is_none());
    assert!(!w.owner.get("/calendar/feeds").text().contains(secret));
    let random = &secret[4..];
    assert!(!w.owner.get("/audit-log?resource_type=calendar_feed").text().contains(random));
    let rows = format!("calendar_feeds where id = '{}'", made.id());
    assert_eq!(count(&rows), 1);
    assert_eq!(count(&format!("{rows} and calendar_feeds::text like '%{random}%'")), 0, "it is in the database");
}

#[test]
fn a_repeat_does_not_show_the_address_again() {
    let w = World::new();
    let client = w.owner.once("feed-1");
    let body = json!({ "name": "Work" });
    let first = client.post("/calendar/feeds", &body).expect(201);
    let second = client.post("/calendar/feeds", &body).expect(201);
    assert!(first["url"].is_string() && second["url"].is_null());
    assert_eq!(first.id(), second.id());
    let random = first.address().replace("/calendar/feeds/opf_", "").replace(".ics", "");
    assert_eq!(count(&format!("idempotency_keys where convert_from(body, 'UTF8') like '%{random}%'")), 0);
}

#[test]
fn a_feed_is_all_kinds_as_events_unless_told() {
    let w = World::new();
    let made = w.calendar_feed().create();
    assert_eq!(made["kinds"], json!(["task", "recurring_task", "interaction", "invoice_run"]));
    assert_eq!(
        (&made["tasks_as"], &made["past_days"], &made["future_days"]),
        (&json!("event"), &json!(92), &json!(366))
    );
    assert_eq!(made["reader_id"], w.owner.id.to_string());
    assert!(made["operator_id"].is_null() && made["last_used_at"].is_null());
    // Kinds are a set.
    let feed = w.calendar_feed().with("kinds", json!(["interaction", "task", "interaction"])).create();
    assert_eq!(feed["kinds"], json!(["task", "interaction"]));
    assert_eq!(w.calendar_feed().with("kinds", json!([])).send().wrong(), ["/kinds minItems"]);
    assert_eq!(w.calendar_feed().with("past_days", 1101).send().wrong(), ["/past_days maximum"]);
    assert_eq!(w.calendar_feed().with("future_days", 0).send().wrong(), ["/future_days minimum"]);
}

#[test]
fn a_program_reads_it_without_signing_in() {
    let w = World::new();
    let customer = w.customer().with("short_name", "Kłos, s.c.").create();
    let at = hours(48);
    let task = w
        .task("VAT; return")
        .with("start_at", json!(at))
        .with("due_at", json!(at + TimeDelta::minutes(90)))
        .with("customer_id", customer.id())
        .with("description", "One\nTwo")
        .with("priority", "urgent")
        .create();
    let path = w.calendar_feed().name("Kropka, praca").create().address();
    let answer = read(&path);
    assert_eq!(answer.header("content-type"), Some("text/calendar; charset=utf-8"));
    assert_eq!(answer.header("content-disposition"), Some("inline; filename=\"opiekun.ics\""));
    assert_eq!(answer.header("cache-control"), Some("private, no-cache"));
    assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
    let whole = lines(&answer);
    for line in
        ["NAME:Kropka\\, praca", "X-WR-CALNAME:Kropka\\, praca", "X-WR-TIMEZONE:Europe/Warsaw", "TZID:Europe/Warsaw"]
    {
        assert!(whole.iter().any(|it| it == line), "{line}: {whole:#?}");
    }
    let [entry] = &entries(&path)[..] else { panic!("{whole:#?}") };
    assert_eq!(value(entry, "UID"), format!("task-{}@opiekun", task.id()));
    assert_eq!(value(entry, "SUMMARY"), "VAT\\; return – Kłos\\, s.c.");
    assert_eq!((value(entry, "DESCRIPTION"), value(entry, "PRIORITY")), ("One\\nTwo", "1"));
    assert_eq!((value(entry, "STATUS"), value(entry, "TRANSP")), ("CONFIRMED", "OPAQUE"));
    assert_eq!((value(entry, "CATEGORIES"), value(entry, "SEQUENCE")), ("Task", "1"));
    let updated_at: DateTime<Utc> = task["updated_at"].as_str().unwrap().parse().unwrap();
    assert_eq!((value(entry, "DTSTAMP"), value(entry, "LAST-MODIFIED")), (&*in_utc(updated_at), &*in_utc(updated_at)));

    for accept in ["*/*", "text/calendar", "text/calendar, text/plain;q=0.9", "text/html, */*;q=0.8", "TEXT/Calendar"] {
        assert_eq!(Client::nobody().with("Accept", accept).get(&path).body, answer.body, "{accept}");
    }
    let head = Client::nobody().head(&path);
    assert_eq!((head.status, head.body.len(), head.header("etag")), (200, 0, answer.header("etag")));
    // Whoever has signed in, or has not, makes no difference.
    assert_eq!(World::new().owner.get(&path).body, answer.body);
    assert_eq!(Client::nobody().bearer("opk_nonsense").get(&path).body, answer.body);
}

#[test]
fn a_program_that_has_it_is_spared_it() {
    let w = World::new();
    let task = due(&w, "VAT return", hours(48));
    let path = w.calendar_feed().create().address();
    let first = read(&path);
    let tag = first.header("etag").unwrap().to_owned();
    assert!(tag.starts_with('"') && tag.len() == 34, "strong, of what it holds: {tag}");
    for known in [tag.clone(), format!("W/{tag}"), format!("\"77777\", {tag}"), "*".to_owned()] {
        let answer = Client::nobody().with("If-None-Match", &known).get(&path);
        assert_eq!((answer.status, answer.body.len(), answer.header("etag")), (304, 0, Some(&*tag)), "{known}");
    }
    assert_eq!(read(&path).header("etag"), Some(&*tag), "the same entries are the same bytes");

    w.owner.at(1).patch(&format!("/tasks/{}", task.id()), json!({ "title": "VAT return of October" })).expect(200);
    let answer = Client::nobody().with("If-None-Match", &tag).get(&path);
    assert_eq!(answer.status, 200);
    assert_ne!(answer.header("etag"), Some(&*tag));
}

#[test]
fn what_is_moved_stays_the_same_entry() {
    let w = World::new();
    let customer = w.customer().create();
    let (before, after) = (hours(48), hours(72));
    let meeting = w
        .interaction(customer.id())
        .with("status", "planned")
        .with("started_at", json!(before))
        .with("subject", "Kick-off")
        .create();
    let path = w.calendar_feed().create().address();
    let seen = entries(&path).remove(0);
    w.owner.at(1).patch(&format!("/interactions/{}", meeting.id()), json!({ "started_at": after })).expect(200);
    let moved = entries(&path).remove(0);
    assert_eq!(value(&moved, "UID"), value(&seen, "UID"));
    assert_eq!(value(&seen, "UID"), format!("interaction-{}@opiekun", meeting.id()));
    assert_ne!(value(&moved, "DTSTART"), value(&seen, "DTSTART"));
    assert_eq!((value(&seen, "SEQUENCE"), value(&moved, "SEQUENCE")), ("1", "2"));
    assert_eq!(value(&moved, "CREATED"), value(&seen, "CREATED"));
    // What is called off is not there any more.
    w.owner.at(2).patch(&format!("/interactions/{}", meeting.id()), json!({ "status": "not_held" })).expect(200);
    assert_eq!(entries(&path).len(), 0);
}

#[test]
fn a_date_of_a_series_that_becomes_a_task_stays_the_same_entry() {
    let w = World::new();
    let first = w.task("Backup").with("due_at", json!(hours(24))).with("recurrence", "FREQ=WEEKLY").create();
    let path = w.calendar_feed().with("future_days", 30).create().address();
    let before = entries(&path);
    let uids = |entries: &[Vec<String>]| -> Vec<String> {
        entries.iter().map(|entry| value(entry, "UID").to_owned()).collect()
    };
    assert!(before.len() >= 4, "{before:#?}");
    let series = first["task_series_id"].as_str().unwrap();
    assert!(uids(&before).iter().all(|uid| uid.starts_with(&format!("series-{series}-"))), "{before:#?}");

    w.owner.at(1).patch(&format!("/tasks/{}", first.id()), json!({ "status": "done" })).expect(200);
    let after = entries(&path);
    assert_eq!(uids(&after), uids(&before));
    let revision = |entry: &[String]| value(entry, "SEQUENCE").parse::<i64>().unwrap();
    for (before, after) in before.iter().zip(&after) {
        assert!(revision(before) <= revision(after), "{before:#?} {after:#?}");
    }
    assert!(revision(&before[1]) < revision(&after[1]), "a task of its own now");
}

#[test]
fn tasks_are_things_to_do_where_that_is_asked_for() {
    let w = World::new();
    let at = hours(48);
    let task = w.task("VAT return").with("start_at", json!(hours(24))).with("due_at", json!(at)).create();
    w.owner.at(1).patch(&format!("/tasks/{}", task.id()), json!({ "percent_done": 40 })).expect(200);
    w.task("Only begun").with("start_at", json!(hours(25))).create();
    w.interaction(w.customer().create().id()).with("started_at", json!(hours(30))).with("status", "planned").create();
    let path = w.calendar_feed().with("tasks_as", "todo").create().address();
    let [todo, begun, meeting] = &entries(&path)[..] else { panic!("{:#?}", entries(&path)) };
    assert_eq!((&*todo[0], &*begun[0], &*meeting[0]), ("BEGIN:VTODO", "BEGIN:VTODO", "BEGIN:VEVENT"));
    assert_eq!((value(todo, "STATUS"), value(todo, "PERCENT-COMPLETE")), ("IN-PROCESS", "40"));
    assert!(todo.iter().any(|line| line.starts_with("DUE;TZID=Europe/Warsaw:")), "{todo:#?}");
    assert_eq!(value(begun, "DUE"), "", "what only starts is never due");
}

#[test]
fn a_feed_shows_what_it_was_made_for() {
    let w = World::new();
    let other = w.operator("operator", "none", Some(&w.owner));
    let customer = w.customer().create();
    due(&w, "of the owner", hours(24));
    w.task("of the other").with("due_at", json!(hours(25))).with("caretaker_id", other.id.to_string()).create();
    w.task("of a customer").with("due_at", json!(hours(26))).with("customer_id", customer.id()).create();
    w.task("by the other").with("due_at", json!(hours(27))).by(&other).create();
    w.interaction(customer.id())
        .with("subject", "A talk")
        .with("started_at", json!(hours(28)))
        .with("status", "planned")
        .create();
    due(&w, "long gone", hours(-24 * 100));
    let of = |change: Value| {
        let mut draft = w.calendar_feed().with("kinds", json!(["task", "interaction"]));
        for (name, value) in change.as_object().unwrap() {
            draft = draft.with(name, value.clone());
        }
        titles(&draft.create().address())
            .iter()
            .map(|it| it.split(" – ").next().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(of(json!({})), ["of the owner", "of the other", "of a customer", "by the other", "A talk"]);
    assert_eq!(of(json!({ "operator_id": other.id.to_string() })), ["of the other", "by the other"]);
    assert_eq!(of(json!({ "registered_by_id": other.id.to_string() })), ["by the other"]);
    assert_eq!(of(json!({ "customer_id": customer.id() })), ["of a customer", "A talk"]);
    assert_eq!(of(json!({ "kinds": ["interaction"] })), ["A talk"]);
    assert_eq!(of(json!({ "past_days": 200 }))[0], "long gone");

    // A change of the feed is seen at its address.
    let feed = w.calendar_feed().with("kinds", json!(["interaction"])).create();
    let shown = format!("/calendar/feeds/{}", feed.id());
    w.owner.at(1).patch(&shown, json!({ "kinds": ["task"], "operator_id": other.id.to_string() })).expect(200);
    assert_eq!(titles(&feed.address()), ["of the other", "by the other"]);
}

#[test]
fn a_feed_is_of_one_organization() {
    let (w, stranger) = (World::new(), World::new());
    due(&w, "ours", hours(24));
    due(&stranger, "theirs", hours(24));
    assert_eq!(titles(&w.calendar_feed().create().address()), ["ours"]);
    for field in ["reader_id", "operator_id", "registered_by_id"] {
        w.calendar_feed().with(field, stranger.owner.id.to_string()).send().refused(422, "reference_not_found");
    }
    w.calendar_feed().with("customer_id", stranger.customer().create().id()).send().refused(422, "reference_not_found");
    assert_eq!(w.count("calendar_feeds"), 1);
}

#[test]
fn an_address_that_is_none_any_more_leads_nowhere() {
    let w = World::new();
    let feed = w.calendar_feed().create();
    let path = feed.address();
    assert_eq!(read(&path).status, 200);
    assert_eq!(w.owner.at(1).delete(&format!("/calendar/feeds/{}", feed.id())).status, 204);
    let gone = read(&path);
    let told = |answer: &Answer| {
        let mut problem = answer.refused(404, "not_found");
        problem.as_object_mut().unwrap().remove("request_id");
        assert_eq!(problem["instance"], "/api/v1/calendar/feeds/{secret}.ics", "the secret is told: {answer:?}");
        problem
    };
    let secret = path.strip_prefix("/calendar/feeds/").unwrap().strip_suffix(".ics").unwrap();
    for other in [
        "x",
        "opf_",
        "%F0%9F%99%82",
        "..%2F",
        feed.id(),
        &secret.to_uppercase(),
        &secret[..secret.len() - 1],
        &format!("{secret}x"),
        &format!("{secret}.ics"),
        &"x".repeat(3_000),
    ] {
        assert_eq!(told(&read(&format!("/calendar/feeds/{other}.ics"))), told(&gone), "{other}");
    }
    assert_eq!(w.count("calendar_feeds"), 0);
    assert_eq!(w.changes("calendar_feed.deleted"), 1);
    w.owner.get(&format!("/calendar/feeds/{}", feed.id())).refused(404, "not_found");
}

#[test]
fn no_problem_repeats_an_address() {
    let w = World::new();
    let path = w.calendar_feed().create().address();
    let secret = path.strip_prefix("/calendar/feeds/").unwrap().strip_suffix(".ics").unwrap();
    for answer in [
        Client::nobody().get(&format!("/calendar/feeds/{secret}")),
        Client::nobody().get(&format!("/calendar/feeds/{secret}.ics/")),
        Client::nobody().get(&format!("{path}?nope=1")),
        Client::nobody().with("Accept", "image/png").get(&path),
        Client::nobody().delete(&path),
        w.owner.get(&format!("/calendar/feeds/{secret}")),
        w.owner.get(&format!("/calendar/feeds/{secret}.ics.ics")),
    ] {
        answer.problem();
        assert!(!answer.text().contains(secret), "{answer:?}");
    }
    let figures = Client::nobody().get("//metrics").text();
    assert!(figures.contains("read_calendar_feed") && !figures.contains("opf_"), "the secret is among the figures");
}

#[test]
fn a_feed_shows_what_its_reader_may_see_at_the_time() {
    let w = World::new();
    let reader = w.operator("operator", "none", None);
    w.subscribers(1);
    due(&w, "VAT return", hours(24));
    // The subscription is to be billed since January.
    let draft = w.calendar_feed().with("reader_id", reader.id.to_string()).with("past_days", 1100);
    let path = draft.create().address();
    assert_eq!(titles(&path), ["VAT return"], "no days of invoices without the right to read them");

    let operator = format!("/operators/{}", reader.id);
    w.owner.at(1).patch(&operator, json!({ "billing": "read" })).expect(200);
    assert!(titles(&path).contains(&"Invoices".to_owned()), "{:?}", titles(&path));
    w.owner.at(2).patch(&operator, json!({ "locale": "pl" })).expect(200);
    assert!(titles(&path).contains(&"Wystawianie faktur".to_owned()), "{:?}", titles(&path));
    w.owner.at(3).patch(&operator, json!({ "billing": "none" })).expect(200);
    assert_eq!(titles(&path), ["VAT return"]);

    w.owner.at(4).patch(&operator, json!({ "active": false })).expect(200);
    read(&path).refused(404, "not_found");
    w.owner.at(5).patch(&operator, json!({ "active": true })).expect(200);
    assert_eq!(titles(&path), ["VAT return"]);
}

#[test]
fn a_feed_is_given_to_oneself_and_to_those_below() {
    let w = World::new();
    let manager = w.operator("manager", "none", None);
    let below = w.operator("operator", "none", Some(&manager));
    let beside = w.operator("operator", "none", None);
    let give = |by: &Caller, to: &Caller| w.calendar_feed().by(by).with("reader_id", to.id.to_string()).send();
    give(&below, &below).expect(201);
    give(&below, &beside).refused(403, "forbidden");
    give(&manager, &below).expect(201);
    give(&manager, &beside).refused(403, "forbidden");
    let of_beside = give(&w.owner, &beside).expect(201);

    let path = format!("/calendar/feeds/{}", of_beside.id());
    below.at(1).patch(&path, json!({ "name": "Mine" })).refused(403, "forbidden");
    below.at(1).delete(&path).refused(403, "forbidden");
    beside.at(1).patch(&path, json!({ "name": "Mine" })).expect(200);
    beside.at(2).patch(&path, json!({ "reader_id": below.id.to_string() })).refused(403, "forbidden");
    assert_eq!(beside.at(2).delete(&path).status, 204);

    // Nobody lets out what they may not read themselves.
    let biller = w.operator("operator", "read", Some(&manager));
    let beyond = give(&manager, &biller);
    beyond.refused(422, "validation_failed");
    assert_eq!(beyond.wrong(), ["/reader_id beyond_giver"]);
    let script = w.api_key(&["crm:write", "crm:read"]);
    assert_eq!(w.calendar_feed().by(&script).send().wrong(), ["/reader_id required"]);
    assert_eq!(give(&script, &w.owner).wrong(), ["/reader_id beyond_giver"]);
    give(&script, &below).expect(201);
    assert_eq!(give(&w.api_key(&["crm:write"]), &below).wrong(), ["/reader_id beyond_giver"]);
    w.operator("viewer", "none", None).post("/calendar/feeds", json!({ "name": "Work" })).refused(403, "scope_missing");

    w.owner.at(1).patch(&format!("/operators/{}", below.id), json!({ "active": false })).expect(200);
    assert_eq!(give(&w.owner, &below).wrong(), ["/reader_id inactive"]);
}

#[test]
fn the_last_use_is_noted() {
    let w = World::new();
    let feed = w.calendar_feed().create();
    let (path, shown) = (feed.address(), format!("/calendar/feeds/{}", feed.id()));
    let shown = || w.owner.get(&shown).expect(200);
    assert!(shown()["last_used_at"].is_null());
    let tag = read(&path).header("etag").unwrap().to_owned();
    let first = shown()["last_used_at"].clone();
    assert!(first.is_string());
    read(&path);
    assert_eq!(shown()["last_used_at"], first, "not written for each request");
    assert_eq!(shown().version(), 1, "and it is no change of the feed");
    let later = Server::start(|settings| settings.clock = Arc::new(|| now() + TimeDelta::minutes(6)));
    assert_eq!(Client::nobody().on(&later).with("If-None-Match", tag).get(&path).status, 304);
    assert_ne!(shown()["last_used_at"], first);
}

#[test]
fn guesses_count_against_the_address_that_they_come_from() {
    let w = World::new();
    let path = w.calendar_feed().create().address();
    let server = Server::start(|settings| settings.requests_a_minute = NonZeroU32::new(20).unwrap());
    let client = Client::nobody().on(&server);
    let answers = at_once(30, |guess| client.get(&format!("/calendar/feeds/opf_{guess}.ics")).status);
    assert!(answers.iter().filter(|status| **status == 404).count() <= 21, "{answers:?}");
    client.get(&path).refused(429, "rate_limited");
}

#[test]
fn a_feed_has_an_end() {
    let w = World::new();
    // Each of them comes every day of six years, at an hour that no day leaves out.
    let noon = hours(-24 * 1100).date_naive().and_hms_opt(12, 0, 0).unwrap().and_utc();
    for number in 0..5 {
        w.task(&format!("Backup {number}")).with("due_at", json!(noon)).with("recurrence", "FREQ=DAILY").create();
    }
    let feed = w.calendar_feed().with("past_days", 1100).with("future_days", 1100).create();
    let path = feed.address();
    assert_eq!(read(&path).refused(409, "state_invalid")["state"], "too_many_entries");
    w.owner.at(1).patch(&format!("/calendar/feeds/{}", feed.id()), json!({ "past_days": 0 })).expect(200);
    assert_eq!(entries(&path).len(), 5 * 1101);
}

#[test]
fn lines_are_folded_and_letters_stay_whole() {
    let w = World::new();
    let title = "Zażółć gęślą jaźń, „łódź”; \\ 🙂 ".repeat(7);
    let description = "Ąż\n".repeat(3_000);
    w.task(title.trim()).with("due_at", json!(hours(24))).with("description", description).create();
    let path = w.calendar_feed().create().address();
    let answer = read(&path);
    let text = String::from_utf8(answer.body.clone()).expect("whole letters");
    for line in text.split_terminator("\r\n") {
        assert!(
            line.len() <= 75 && std::str::from_utf8(line.as_bytes()).is_ok() && !line.contains(['\r', '\n']),
            "{line:?}"
        );
    }
    assert!(text.ends_with("END:VCALENDAR\r\n"));
    let entry = entries(&path).remove(0);
    assert_eq!(value(&entry, "SUMMARY"), title.trim().replace('\\', "\\\\").replace(',', "\\,").replace(';', "\\;"));
    let told = value(&entry, "DESCRIPTION");
    assert!(told.ends_with("Ą…") && told.replace("\\n", "\n").chars().count() == 1_001, "the beginning: {told}");
}
