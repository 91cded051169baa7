//! Schedules: a procedure for many customers, once a customer and period, whoever starts it and whatever happens.

use crate::procedures::months_ago;
use crate::support::firm::{columns, found, owner_at};
use crate::support::{
    Process, Record, Scratch, World, connection, eventually, eventually_within, now, scratch_database,
};
use chrono::{Months, NaiveDate, TimeDelta};
use diesel::connection::SimpleConnection;
use opiekun_domain::ids::ProcedureScheduleId;
use opiekun_persistence::procedure_schedules;
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

fn runs(w: &World, procedure: &Record) -> Vec<Record> {
    w.owner.get(&format!("/procedure-runs?procedure_id={}&limit=200", procedure.id())).expect(200).items()
}

/// The runs that are there once a schedule has come to its next period.
fn started(w: &World, schedule: &Record, next_start_on: &str) -> Vec<Record> {
    let path = format!("/procedure-schedules/{}", schedule.id());
    eventually("the period is started", || {
        let schedule = w.owner.get(&path).expect(200);
        (schedule["next_start_on"] == next_start_on).then_some(())
    });
    let procedure = w.owner.get(&format!("/procedures/{}", schedule["procedure_id"].as_str().unwrap())).expect(200);
    runs(w, &procedure)
}

#[test]
fn the_monthly_close_runs_for_thirty_eight_customers_one_with_an_extra_step() {
    let w = World::new();
    let procedure = w.procedure().create();
    let customers: Vec<Record> = (0..38).map(|_| w.customer().create()).collect();
    let other = w.customer().create();
    let archived = w.customer().create();
    w.owner.post(&format!("/customers/{}/archival", archived.id()), Value::Null).expect(200);
    let ids: Vec<&str> = customers.iter().chain([&archived]).map(|customer| customer.id()).collect();
    let extra = json!([{ "customer_id": customers[7].id(), "steps": [
        { "key": "intrastat", "title": "Send INTRASTAT", "waits_for": ["book"] }] }]);
    let (last, this, next) = (months_ago(1), months_ago(0), months_ago(0) + Months::new(1));
    let draft = w
        .procedure_schedule(procedure.id())
        .with("first_on", last.to_string())
        .with("customer_ids", json!(ids))
        .with("extra_steps", extra);
    let idle = draft.clone().with("active", false).create();
    let preview = w.owner.get(&format!("/procedure-schedules/{}/preview", idle.id())).expect(200);
    assert_eq!(preview["customers_total"], 38);
    let first = &preview["periods"][0];
    assert_eq!(first["period"], json!({ "start_on": last.to_string(), "end_on": this.to_string() }));
    let with_extra = preview["customers"].as_array().unwrap().iter().filter(|it| it["extra_steps"] == 1).count();
    assert_eq!((with_extra, w.count("procedure_runs")), (1, 0));

    let schedule = draft.create();
    let runs = started(&w, &schedule, &next.to_string());
    assert_eq!(runs.len(), 38);
    assert!(runs.iter().all(|run| run["period"] == first["period"] && run["registered_by_id"].is_null()));
    assert!(!runs.iter().any(|run| run["customer_id"] == other["id"] || run["customer_id"] == archived["id"]));
    let longer: Vec<_> = runs.iter().filter(|run| run["steps_total"] == 4).collect();
    let [longer] = longer[..] else { panic!("one has an extra step: {longer:?}") };
    assert_eq!(longer["customer_id"], customers[7]["id"]);
    // A second schedule of the same procedure starts nobody again.
    w.owner.at(1).patch(&format!("/procedure-schedules/{}", idle.id()), json!({ "active": true })).expect(200);
    assert_eq!(started(&w, &idle, &next.to_string()).len(), 38);
}

#[test]
fn a_filter_tells_the_customers_and_what_was_missed_goes_by_the_rule() {
    let w = World::new();
    let tagged = w.customer().with("tags", json!(["monthly"])).create();
    w.customer().create();
    let next = (months_ago(0) + Months::new(1)).to_string();
    let scheduled = |catch_up: &str| {
        let procedure = w.procedure().name(catch_up).create();
        let draft = w.procedure_schedule(procedure.id()).with("first_on", months_ago(3).to_string());
        let schedule = draft.with("customer_filter", json!({ "tag": "monthly" })).with("catch_up", catch_up).create();
        let runs = started(&w, &schedule, &next);
        assert!(runs.iter().all(|run| run["customer_id"] == tagged["id"]), "{catch_up}");
        let mut starts: Vec<_> =
            runs.iter().map(|run| run["period"]["start_on"].as_str().unwrap().to_owned()).collect();
        starts.sort_unstable();
        starts
    };
    let months: Vec<String> = [3, 2, 1].map(|months| months_ago(months).to_string()).to_vec();
    assert_eq!(scheduled("all"), months);
    assert_eq!(scheduled("latest"), months[2..]);
    assert_eq!(scheduled("skip"), months[2..]);
}

#[test]
fn a_schedule_that_contradicts_itself_is_refused() {
    let w = World::new();
    let procedure = w.procedure().create();
    let customer = w.customer().create();
    let draft = || w.procedure_schedule(procedure.id());
    let both = draft().with("customer_ids", json!([customer.id()])).with("customer_filter", json!({ "tag": "a" }));
    assert_eq!(both.send().wrong(), ["/customer_filter not_expected"]);
    let day = draft().with("every", json!({ "unit": "week", "count": 1 })).with("day", 5);
    assert_eq!(day.send().wrong(), ["/day schedule"]);
    let stranger = World::new().customer().create();
    let theirs = draft().with("customer_ids", json!([stranger.id()])).send();
    theirs.refused(422, "reference_not_found");
    assert_eq!(theirs.wrong(), ["/customer_ids reference_not_found"]);
    let steps = json!([{ "customer_id": customer.id(), "steps": [{ "key": "collect", "title": "Again" }] }]);
    assert_eq!(draft().with("extra_steps", steps).send().wrong(), ["/extra_steps/0/steps/0/key duplicate"]);
    let schedule = draft().with("first_on", months_ago(1).to_string()).create();
    started(&w, &schedule, &(months_ago(0) + Months::new(1)).to_string());
    let path = format!("/procedure-schedules/{}", schedule.id());
    w.owner.at(1).patch(&path, json!({ "first_on": "2090-01-01" })).refused(409, "state_invalid");
    w.owner.at(1).delete(&path).expect(204);
    assert_eq!(runs(&w, &procedure).len(), 1, "what it has started goes on");
}

#[test]
fn extra_steps_fit_the_procedure_however_it_is_changed() {
    let w = World::new();
    let (procedure, customer) = (w.procedure().create(), w.customer().create());
    let extra = json!([{ "customer_id": customer.id(), "steps": [
        { "key": "intrastat", "title": "Send INTRASTAT", "waits_for": ["book"] }] }]);
    let schedule = w.procedure_schedule(procedure.id()).with("active", false).with("extra_steps", extra).create();
    let path = format!("/procedures/{}", procedure.id());
    for steps in [
        json!([{ "key": "book", "title": "Book" }, { "key": "intrastat", "title": "Taken" }]),
        json!([{ "key": "collect", "title": "Nothing to wait for" }]),
    ] {
        let refused = w.owner.at(1).patch(&path, json!({ "steps": steps }));
        assert_eq!(refused.wrong(), ["/steps schedule"], "{steps}");
        let problem = refused.refused(422, "validation_failed");
        assert!(problem["errors"][0]["detail"].as_str().unwrap().contains(schedule.id()));
    }
    assert_eq!(w.owner.get(&path).expect(200), procedure);
    w.owner.at(1).patch(&path, json!({ "steps": [{ "key": "book", "title": "Book" }] })).expect(200);
    w.owner.at(1).delete(&format!("/procedure-schedules/{}", schedule.id())).expect(204);
    w.owner.at(2).patch(&path, json!({ "steps": [{ "key": "collect", "title": "Alone" }] })).expect(200);
}

#[test]
fn however_much_was_missed_is_left_out_at_once() {
    let w = World::new();
    let procedure = w.procedure().create();
    let every_day = json!({ "unit": "day", "count": 1 });
    let draft = w.procedure_schedule(procedure.id()).with("every", every_day).with("first_on", "1900-01-01");
    let schedule = draft.with("active", false).create();
    let path = format!("/procedure-schedules/{}", schedule.id());
    let preview = w.owner.get(&format!("{path}/preview")).expect(200);
    let first: NaiveDate = preview["periods"][0]["start_on"].as_str().unwrap().parse().unwrap();
    assert!(now().date_naive() - first <= TimeDelta::days(2), "{first}");
    w.owner.at(1).patch(&path, json!({ "active": true })).expect(200);
    let id = ProcedureScheduleId(schedule.id().parse().unwrap());
    w.write(|tx| procedure_schedules::start_some(tx, id, 10).map(drop));
    let next = w.owner.get(&path).expect(200)["next_start_on"].as_str().unwrap().parse::<NaiveDate>().unwrap();
    assert!(next >= now().date_naive(), "{next}");
}

/// How many customers are scheduled, and how often a node is killed. `OPIEKUN_TEST_SCHEDULED=5000` is the full scale.
fn size() -> (usize, usize) {
    let number = |name, usual| std::env::var(name).map_or(usual, |value| value.parse().unwrap());
    (number("OPIEKUN_TEST_SCHEDULED", 1_000), number("OPIEKUN_TEST_KILLS", 3))
}

fn count(database: &Scratch, of: &str) -> usize {
    database.text_rows(&format!("select count(*) from {of}"))[0].as_ref().unwrap().parse().unwrap()
}

/// A firm with so many customers, whose close of the last month is to be started for all of them, one with a step more.
fn schedule_close(database: &Scratch, customers: usize) {
    found(&database.url, 1);
    let columns = columns(&database.url, "customers");
    let others = format!(
        "insert into customers ({columns}) select {} from customers, generate_series(2, {customers})",
        columns.replace(" id,", " gen_random_uuid(),"),
    );
    connection(&database.url).batch_execute(&others).unwrap();
    let server = Process::serve(&database.url);
    let owner = owner_at(&server);
    let steps = json!([
        { "key": "collect", "title": "Collect the documents" },
        { "key": "book", "title": "Book the documents", "waits_for": ["collect"] },
        { "key": "vat", "title": "Send the VAT return", "waits_for": ["book"] },
    ]);
    let procedure = owner.post("/procedures", json!({ "name": "Monthly close", "steps": steps })).expect(201);
    let customer = owner.get("/customers?limit=1").expect(200).items().remove(0);
    let extra =
        json!([{ "customer_id": customer.id(), "steps": [{ "key": "more", "title": "More", "waits_for": ["vat"] }] }]);
    let schedule = json!({
        "procedure_id": procedure.id(), "every": { "unit": "month", "count": 1 }, "first_on": months_ago(1).to_string(),
        "extra_steps": extra, "active": false,
    });
    owner.post("/procedure-schedules", schedule).expect(201);
    server.kill();
    connection(&database.url).batch_execute("update procedure_schedules set active = true").unwrap();
}

#[test]
fn four_nodes_at_once_that_are_killed_at_random_start_each_customer_once_and_whole() {
    const NODES: usize = 4;
    let (customers, kills) = size();
    let database = scratch_database();
    let this = months_ago(0);
    schedule_close(&database, customers);
    let mut servers: Vec<Process> = (0..NODES).map(|_| Process::serve(&database.url)).collect();
    let mut killed_at = Vec::new();
    for kill in 0..kills {
        let [at, which, ..] = Uuid::new_v4().into_bytes().map(usize::from);
        let share = customers / (kills + 1);
        let behind = kill * share + share * at / 256;
        let there = || count(&database, "procedure_runs");
        eventually_within(Duration::from_secs(600), "the next kill", || (there() >= behind).then_some(()));
        std::thread::sleep(Duration::from_micros(u64::try_from(at * which).unwrap()));
        servers.remove(which % servers.len()).kill();
        killed_at.push(there());
        servers.push(Process::serve(&database.url));
    }
    println!("killed behind {killed_at:?} runs of {customers}");
    eventually_within(Duration::from_secs(600), "the end of the period", || {
        let open = format!("procedure_schedules where next_start_on > '{}' and reached is null", this);
        (count(&database, &open) == 1).then_some(())
    });
    let facts = [
        ("procedure_runs", customers),
        ("(select distinct customer_id, period_start_on from procedure_runs) periods", customers),
        ("threads", customers),
        // A main task and three steps; one customer has one more.
        ("tasks", 4 * customers + 1),
        ("procedure_steps", 3 * customers + 1),
        ("(select run_id from procedure_steps group by run_id having count(*) = 3) steps", customers - 1),
        ("procedure_steps where opened_at is not null", customers),
        ("tasks where parent_task_id is null", customers),
        ("events where type = 'procedure_run.started'", customers),
        ("events where type = 'procedure_step.opened'", customers),
        ("audit_entries where resource_type = 'procedure_run'", customers),
    ];
    for (of, expected) in facts {
        assert_eq!(count(&database, of), expected, "{of}");
    }
    // Whose turn it is has moved on by one a run.
    assert_eq!(count(&database, &format!("procedures where runs_started = {customers}")), 1);
}
