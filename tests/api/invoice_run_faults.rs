//! What may go wrong while a run is at work, and what must come of it: each period is billed once, numbers have no gap,
//! and whoever is not concerned is billed.

use crate::support::files::Store;
use crate::support::firm::{found, january, owner_at};
use crate::support::{Process, Record, Server, World, eventually_within, execute, now, scratch_database, text_rows_of};
use chrono::{DateTime, TimeDelta, Utc};
use diesel::connection::SimpleConnection;
use opiekun_jobs::Worker;
use opiekun_jobs::invoice_runs::run_to_end;
use opiekun_local_postgres::{LocalPostgres, Options};
use opiekun_persistence::{Db, invoice_runs, migrate, number_series};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

const A_MINUTE: Duration = Duration::from_secs(60);

fn numbers(w: &World) -> Vec<String> {
    w.invoices().iter().map(|it| it["number"].as_str().unwrap().to_owned()).collect()
}

fn finished(w: &World, run: &Record) -> Record {
    eventually_within(A_MINUTE, "the end of the run", || {
        let run = w.reread("/invoice-runs", run);
        run["finished_at"].is_string().then_some(run)
    })
}

#[test]
fn numbers_that_others_take_in_mid_run() {
    const SUBSCRIPTIONS: usize = 4_000;
    let database = scratch_database();
    found(&database.url, SUBSCRIPTIONS);
    let server = Process::serve(&database.url);
    let owner = owner_at(&server);
    let first = |path: &str| owner.get(&format!("{path}?limit=1")).expect(200).items()[0].id().to_owned();
    let line =
        json!({ "text": "Repair", "quantity": "1", "unit": "szt.", "unit_price": "10.00", "vat": { "code": "23" } });
    let body = json!({ "series_id": first("/number-series"), "customer_id": first("/customers"), "lines": [line] });
    let run = owner.post("/invoice-runs", january()).expect(202);
    let is_finished = || owner.get(&format!("/invoice-runs/{}", run.id())).expect(200)["finished_at"].is_string();
    let mut numbers_of_others = Vec::new();
    while !is_finished() {
        let draft = owner.once(numbers_of_others.len()).post("/invoices", body.clone()).expect(201);
        let issuance = format!("/invoices/{}/issuance", draft.id());
        let issued = owner.post(&issuance, json!({ "issued_on": "2026-01-31" })).expect(200);
        let number = issued["number"].as_str().unwrap().split('/').nth(1).unwrap().parse::<usize>().unwrap();
        numbers_of_others.push(number);
    }
    let in_between = numbers_of_others.iter().filter(|number| (2..SUBSCRIPTIONS).contains(*number)).count();
    assert!(in_between > 0, "nobody took a number of the run's in {numbers_of_others:?}");
    let numbers = "select string_agg(distinct number_of_all::text, ',') from (
                       select split_part(number, '/', 2)::int - row_number() over (order by split_part(number, '/', 2)::int)
                           as number_of_all
                       from invoices) places";
    assert_eq!(text_rows_of(&database.url, numbers), [Some("0".to_owned())], "numbers have no gap and no double");
    let count = SUBSCRIPTIONS + numbers_of_others.len();
    assert_eq!(text_rows_of(&database.url, "select count(*)::text from invoices"), [Some(count.to_string())]);
}

#[test]
fn a_bad_template_in_the_middle_of_a_batch() {
    let w = World::new();
    let subscriptions = w.subscribers(5);
    let series = w.number_series().name("B").with("pattern", "B/{number}/{month}/{year}").create();
    let bad = w.invoice_template(series.id()).name("Bad").create();
    let path = format!("/subscriptions/{}", subscriptions[2].id());
    w.owner.at(1).patch(&path, json!({ "template_id": bad.id() })).expect(200);
    // A word that a version of Opiekun may have known once.
    let unknown = "update invoice_templates set lines = jsonb_set(lines, '{0,text}', '\"{{period.moon}}\"')";
    execute(&format!("{unknown} where id = '{}'", bad.id())).unwrap();
    let run = w.run("issue", "2026-01-31");
    assert_eq!(run["counts"], json!({ "planned": 0, "invoiced": 4, "skipped": 0, "failed": 1 }));
    assert_eq!(w.results(&run)[2]["problem"], "text_invalid");
    assert_eq!(numbers(&w), ["FV/1/01/2026", "FV/2/01/2026", "FV/3/01/2026", "FV/4/01/2026"]);
    // Once it is put right, the period is billed, and nothing else again.
    let lines = json!({ "lines": [{ "key": "a", "text": "Books", "quantity": "1", "unit": "h", "unit_price": "1.00",
                                    "vat": { "code": "23" } }] });
    let version = w.reread("/invoice-templates", &bad).version();
    w.owner.at(version).patch(&format!("/invoice-templates/{}", bad.id()), lines).expect(200);
    assert_eq!(w.run("issue", "2026-01-31")["counts"]["invoiced"], 1);
}

#[test]
fn a_customer_that_is_archived() {
    let w = World::new();
    let subscriptions = w.subscribers(3);
    let archival = format!("/customers/{}/archival", subscriptions[1]["customer_id"].as_str().unwrap());
    w.owner.post(&archival, Value::Null).expect(200);
    let run = w.run("issue", "2026-01-31");
    assert_eq!(run["counts"], json!({ "planned": 0, "invoiced": 2, "skipped": 0, "failed": 1 }));
    assert_eq!(w.results(&run)[1]["problem"], "customer_archived");
    w.owner.delete(&archival).expect(200);
    assert_eq!(w.run("issue", "2026-01-31")["counts"]["invoiced"], 1);
    assert_eq!(numbers(&w), ["FV/1/01/2026", "FV/2/01/2026", "FV/3/01/2026"]);
}

#[test]
fn a_series_that_another_transaction_holds_longer_than_locks_are_waited_for() {
    let w = World::new();
    let subscriptions = w.subscribers(2);
    let template = w.owner.get(&format!("/invoice-templates/{}", subscriptions[0]["template_id"].as_str().unwrap()));
    let series_id = template.expect(200)["series_id"].as_str().unwrap().parse().unwrap();
    let run = w.write(|tx| {
        number_series::lock(tx, series_id, None)?;
        let run = w.owner.post("/invoice-runs", january()).expect(202);
        // The session's lock_timeout is ten seconds.
        std::thread::sleep(Duration::from_secs(12));
        assert_eq!(w.reread("/invoice-runs", &run)["status"], "running");
        assert_eq!((w.count("invoices"), w.count("occurrences")), (0, 0));
        Ok(run)
    });
    let run = finished(&w, &run);
    assert_eq!((&run["status"], &run["counts"]["invoiced"]), (&json!("succeeded"), &json!(2)));
    assert_eq!(numbers(&w), ["FV/1/01/2026", "FV/2/01/2026"]);
}

#[test]
fn a_statement_that_takes_longer_than_it_may() {
    let database = scratch_database();
    migrate(&database.url).unwrap();
    let db = Db::connect(&database.url, 12).unwrap();
    let (w, server) = (World::within(&db, |_| {}), Server::over(&db, |_| {}));
    let w = w.on(&server);
    w.subscribers(2);
    // The first time alone: a sequence counts on whatever is undone.
    let slow = "create sequence times;
         create function be_slow() returns trigger language plpgsql as $$
         begin
             if nextval('times') = 1 then
                 perform pg_sleep(60);
             end if;
             return null;
         end
         $$;
         create trigger be_slow before insert on invoices for each statement execute function be_slow()";
    database.connection().batch_execute(slow).unwrap();
    let worker = Worker::start(&db, now, Store::folder());
    let run = w.owner.post("/invoice-runs", january()).expect(202);
    // The session's statement_timeout is half a minute.
    let run = finished(&w, &run);
    worker.stop();
    assert_eq!((&run["status"], &run["counts"]["invoiced"]), (&json!("succeeded"), &json!(2)));
    assert_eq!(database.text_rows("select nextval('times')"), [Some("3".to_owned())]);
    assert_eq!(numbers(&w), ["FV/1/01/2026", "FV/2/01/2026"]);
}

#[test]
fn a_database_that_is_restarted_in_the_middle_of_a_run() {
    const SUBSCRIPTIONS: usize = 4_000;
    let folder = std::env::temp_dir().join(format!("opiekun-restart-{}", uuid::Uuid::now_v7().simple()));
    let start = || LocalPostgres::start(Options::new(&folder)).unwrap();
    let postgres = start();
    let url = postgres.url();
    found(&url, SUBSCRIPTIONS);
    let server = Process::serve(&url);
    let owner = owner_at(&server);
    let run = owner.post("/invoice-runs", january()).expect(202);
    let invoices = || text_rows_of(&url, "select count(*) from invoices")[0].clone().unwrap().parse::<usize>().unwrap();
    eventually_within(A_MINUTE, "the first batch", || (invoices() > 0).then_some(()));
    postgres.stop();
    let postgres = start();
    let before = invoices();
    let run = eventually_within(A_MINUTE, "the end of the run", || {
        let answer = owner.get(&format!("/invoice-runs/{}", run.id()));
        (answer.status == 200).then(|| answer.expect(200)).filter(|run| run["finished_at"].is_string())
    });
    assert!((1..SUBSCRIPTIONS).contains(&before), "restarted behind {before} invoices");
    assert_eq!((&run["status"], &run["counts"]["invoiced"]), (&json!("succeeded"), &json!(SUBSCRIPTIONS)));
    let distinct =
        "select (count(*), count(distinct subscription_id), max(split_part(number, '/', 2)::int)) from invoices";
    let expected = format!("({SUBSCRIPTIONS},{SUBSCRIPTIONS},{SUBSCRIPTIONS})");
    assert_eq!(text_rows_of(&url, distinct), [Some(expected)]);
    drop((server, postgres));
    std::fs::remove_dir_all(&folder).unwrap();
}

/// Ten minutes to midnight in Warsaw, and ten minutes later each time that somebody looks.
fn clock_before_midnight() -> DateTime<Utc> {
    static LOOKS: AtomicI64 = AtomicI64::new(0);
    moment("2026-03-10T22:50:00Z") + TimeDelta::minutes(10 * LOOKS.fetch_add(1, Ordering::SeqCst))
}

#[test]
fn a_clock_that_goes_past_midnight() {
    let database = scratch_database();
    migrate(&database.url).unwrap();
    let db = Db::connect(&database.url, 8).unwrap();
    let (w, server) = (World::within(&db, |_| {}), Server::over(&db, |_| {}));
    let w = w.on(&server);
    w.subscribers(2);
    let clocked = Server::over(&db, |settings| settings.clock = Arc::new(|| moment("2026-03-10T22:49:00Z")));
    let asked = w.owner.on(&clocked).post("/invoice-runs", json!({ "mode": "issue" })).expect(202);
    assert_eq!((&asked["through_on"], &asked["issue_on"]), (&json!("2026-03-10"), &json!("2026-03-10")));
    let scope = w.write(|tx| Ok(tx.scope));
    let run = run_to_end(&db, clock_before_midnight, scope, asked.id().parse().unwrap()).unwrap();
    assert!(run.progress.finished_at.unwrap() > moment("2026-03-10T23:00:00Z"));
    // January, February and March, all dated the day on which the run was asked for.
    let dates: Vec<_> = w.invoices().iter().map(|it| it["issued_on"].clone()).collect();
    assert_eq!(dates, vec![json!("2026-03-10"); 6]);
    let last = w.write(|tx| Ok(invoice_runs::find(tx, run.id)?.fields.issue_on));
    assert_eq!(last.to_string(), "2026-03-10");
}

static DST: AtomicI64 = AtomicI64::new(0);

fn clock_of_dst() -> DateTime<Utc> {
    DateTime::from_timestamp(DST.load(Ordering::SeqCst), 0).unwrap()
}

#[test]
fn days_on_which_the_clocks_change() {
    let database = scratch_database();
    migrate(&database.url).unwrap();
    let db = Db::connect(&database.url, 12).unwrap();
    let (w, server) = (World::within(&db, |_| {}), Server::over(&db, |_| {}));
    let w = w.on(&server);
    let template = w.template();
    let daily = json!({ "every": { "unit": "day", "count": 1 }, "anchor_on": "2026-01-01", "billing": "in_advance" });
    let customer = w.buyer().create();
    let subscribe = |starts_on: &str, ends_on: &str| {
        let draft = w.subscription(template.id(), customer.id()).with("schedule", daily.clone());
        draft.with("starts_on", starts_on).with("ends_on", ends_on).create()
    };
    subscribe("2026-03-28", "2026-03-31");
    subscribe("2026-10-24", "2026-10-27");
    let worker = Worker::start(&db, clock_of_dst, Store::folder());
    let wake = Arc::new(worker.waker());
    let clocked = Server::over(&db, |settings| {
        settings.clock = Arc::new(clock_of_dst);
        settings.wake = wake;
    });
    let owner = w.owner.on(&clocked).with("Prefer", "wait=30");
    let mut billed = Vec::new();
    for (at, day) in [
        ("2026-03-28T22:59:00Z", "2026-03-28"),
        ("2026-03-28T23:01:00Z", "2026-03-29"),
        // From two o'clock it is three.
        ("2026-03-29T01:30:00Z", "2026-03-29"),
        ("2026-03-29T21:59:00Z", "2026-03-29"),
        ("2026-03-29T22:01:00Z", "2026-03-30"),
        ("2026-10-24T21:59:00Z", "2026-10-24"),
        ("2026-10-24T22:01:00Z", "2026-10-25"),
        // Half past two comes twice.
        ("2026-10-25T00:30:00Z", "2026-10-25"),
        ("2026-10-25T01:30:00Z", "2026-10-25"),
        ("2026-10-25T22:59:00Z", "2026-10-25"),
        ("2026-10-25T23:01:00Z", "2026-10-26"),
    ] {
        DST.store(moment(at).timestamp(), Ordering::SeqCst);
        let run = owner.post("/invoice-runs", json!({ "mode": "issue" })).expect(200);
        assert_eq!((&run["status"], &run["issue_on"]), (&json!("succeeded"), &json!(day)), "{at}");
        let is_first = billed.last() != Some(&day);
        assert_eq!(run["counts"]["invoiced"], i32::from(is_first), "{at}");
        billed.push(day);
    }
    worker.stop();
    let periods: Vec<_> =
        w.invoices().iter().map(|it| (it["issued_on"].clone(), it["period_start_on"].clone())).collect();
    billed.dedup();
    assert_eq!(periods, billed.iter().map(|day| (json!(day), json!(day))).collect::<Vec<_>>());
}

#[test]
fn a_run_for_a_day_that_is_past() {
    let w = World::new();
    w.subscribers(2);
    let run = w.run_with(json!({ "mode": "issue", "through_on": "2026-02-28" })).expect(200);
    assert_eq!(run["counts"]["invoiced"], 4);
    // What was due by then and no more, dated today.
    let today = run["issue_on"].clone();
    assert!(w.invoices().iter().all(|it| it["issued_on"] == today && it["period_start_on"].as_str() < Some("2026-03")));
    // Dated by then it would go before the last one of its series.
    let past = json!({ "mode": "issue", "through_on": "2026-03-31", "issue_on": "2026-03-31" });
    let run = w.run_with(past).expect(200);
    assert_eq!((&run["status"], &run["problem"]["code"]), (&json!("failed"), &json!("issued_before_last")));
    assert_eq!((w.count("invoices"), w.count("occurrences")), (4, 4));
    assert_eq!(w.run_with(json!({ "mode": "issue", "through_on": "2026-01-31" })).expect(200)["counts"]["invoiced"], 0);
}

#[test]
fn the_end_of_a_year_with_numbers_that_begin_again_each_month() {
    let w = World::new();
    let template = w.template();
    let daily = json!({ "every": { "unit": "day", "count": 1 }, "anchor_on": "2025-12-30", "billing": "in_advance" });
    for _ in 0..2 {
        let draft = w.subscription(template.id(), w.buyer().create().id()).with("schedule", daily.clone());
        draft.with("starts_on", "2025-12-30").with("ends_on", "2026-01-05").create();
    }
    for day in ["2025-12-30", "2025-12-31", "2026-01-01"] {
        assert_eq!(w.run("issue", day)["counts"]["invoiced"], 2, "{day}");
    }
    // What is caught up with is dated, and so numbered, by the day of the issue.
    let late = json!({ "mode": "issue", "through_on": "2026-01-03", "issue_on": "2026-01-31" });
    assert_eq!(w.run_with(late).expect(200)["counts"]["invoiced"], 4);
    let december = (1..=4).map(|number| format!("FV/{number}/12/2025"));
    let january = (1..=6).map(|number| format!("FV/{number}/01/2026"));
    assert_eq!(numbers(&w), december.chain(january).collect::<Vec<_>>());
}

fn moment(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}
