//! Automatic runs: what is due is issued by itself, once a day.
//!
//! Whoever looks for what is due looks at every organization, so each test has a database of its own.

use crate::support::files::Store;
use crate::support::{Process, Record, Scratch, Server, World, at_once, connection, eventually, now, scratch_database};
use chrono::{DateTime, Utc};
use diesel::connection::SimpleConnection;
use opiekun_jobs::{Worker, automatic_runs};
use opiekun_persistence::{Db, migrate};
use serde_json::{Value, json};

/// A database without background work, and a server over it.
struct Place {
    database: Scratch,
    db: Db,
    server: Server,
}

impl Place {
    fn new() -> Self {
        let database = scratch_database();
        migrate(&database.url).unwrap();
        let db = Db::connect(&database.url, 16).unwrap();
        let server = Server::over(&db, |_| {});
        Self { database, db, server }
    }

    /// An organization in a time zone, with nothing to bill.
    fn organization(&self, time_zone: &str) -> World {
        World::within(&self.db, |fields| fields.time_zone = time_zone.to_owned()).on(&self.server)
    }

    /// One that asked for automatic runs at the beginning of 2026.
    fn invoiced_daily(&self, time_zone: &str, hour: i16) -> World {
        let w = self.organization(time_zone);
        let change = json!({ "automatic_invoicing": { "hour": hour } });
        w.owner.at(1).patch("/organization", change).expect(200);
        self.set_at("2026-01-01T00:00:00Z");
        w
    }

    /// Has every hour set at another moment than it was.
    fn set_at(&self, moment: &str) {
        let sql = "update organizations set automatic_invoicing_set_at =";
        let of = "where automatic_invoicing_hour is not null";
        connection(&self.database.url).batch_execute(&format!("{sql} '{moment}' {of}")).unwrap();
    }

    /// Looks for what is due at moments, one after the other; how many runs were queued at each.
    fn queue<const N: usize>(&self, moments: [&str; N]) -> [usize; N] {
        moments.map(|moment| automatic_runs::queue(&self.db, moment.parse().unwrap()).unwrap())
    }
}

/// The days of the automatic runs, the oldest first.
fn days(w: &World) -> Vec<String> {
    let runs = w.owner.get("/invoice-runs?automatic=true&limit=200").expect(200).items();
    runs.iter().rev().map(|run| run["issue_on"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn it_is_off_until_an_owner_asks_for_it() {
    let place = Place::new();
    let w = place.organization("Europe/Warsaw");
    assert_eq!(w.organization()["automatic_invoicing"], Value::Null);
    assert_eq!(place.queue(["2027-01-01T12:00:00Z"]), [0]);
    for (change, wrong) in [
        (json!({ "hour": 24 }), "/automatic_invoicing/hour maximum"),
        (json!({ "hour": -1 }), "/automatic_invoicing/hour minimum"),
        (json!({ "hour": 6, "minute": 30 }), "/automatic_invoicing/minute unknown"),
    ] {
        let refused = w.owner.at(1).patch("/organization", json!({ "automatic_invoicing": change }));
        refused.refused(422, "validation_failed");
        assert_eq!(refused.wrong(), [wrong]);
    }
    let asked = w.owner.at(1).patch("/organization", json!({ "automatic_invoicing": { "hour": 6 } })).expect(200);
    assert_eq!(asked["automatic_invoicing"], json!({ "hour": 6 }));
    assert_eq!(place.queue(["2027-01-01T12:00:00Z"]), [1]);
    let off = w.owner.at(2).patch("/organization", json!({ "automatic_invoicing": null })).expect(200);
    assert_eq!(off["automatic_invoicing"], Value::Null);
    assert_eq!(place.queue(["2027-01-02T12:00:00Z"]), [0]);
}

#[test]
fn of_many_who_look_at_once_one_queues_the_run_of_the_day() {
    let place = Place::new();
    let w = place.invoiced_daily("Europe/Warsaw", 6);
    let moment: DateTime<Utc> = "2026-02-02T05:00:00Z".parse().unwrap();
    let queued = at_once(8, |_| automatic_runs::queue(&place.db, moment).unwrap());
    assert_eq!(queued.iter().sum::<usize>(), 1, "{queued:?}");
    let run = w.owner.get("/invoice-runs").expect(200).items().remove(0);
    for (name, value) in [
        ("automatic", json!(true)),
        ("mode", json!("issue")),
        ("through_on", json!("2026-02-02")),
        ("issue_on", json!("2026-02-02")),
        ("subscription_ids", Value::Null),
        ("status", json!("queued")),
    ] {
        assert_eq!(run[name], value, "{name}");
    }
    let told = w.owner.get("/audit-log?resource_type=invoice_run").expect(200).items();
    assert_eq!((told.len(), &told[0]["actor"]["kind"]), (1, &json!("system")), "{told:?}");

    // Somebody's own run is none of these, and takes the place of none.
    let own = json!({ "mode": "issue", "through_on": "2026-02-03", "issue_on": "2026-02-03" });
    let own = w.owner.post("/invoice-runs", own).expect(202);
    assert_eq!(own["automatic"], false);
    assert_eq!(place.queue(["2026-02-03T05:00:00Z", "2026-02-03T05:00:30Z"]), [1, 0]);
    assert_eq!(days(&w), ["2026-02-02", "2026-02-03"]);
    let by_hand = w.owner.get("/invoice-runs?automatic=false").expect(200).items();
    assert_eq!(by_hand.iter().map(Record::id).collect::<Vec<_>>(), [own.id()]);

    // The database holds it as well.
    let double = format!("update invoice_runs set automatic_on = '2026-02-03' where id = '{}'", own.id());
    let refused = connection(&place.database.url).batch_execute(&double).unwrap_err();
    assert!(refused.to_string().contains("invoice_runs_automatic_check"), "{refused}");
}

#[test]
fn a_day_has_one_run_whatever_the_clocks_do() {
    let place = Place::new();
    let w = place.invoiced_daily("Europe/Warsaw", 2);
    // On 29 March clocks go from 2:00 to 3:00, at 1:00 UTC; on 25 October from 3:00 back to 2:00.
    let spring = ["2026-03-28T22:59:59Z", "2026-03-28T23:00:00Z", "2026-03-29T00:59:59Z", "2026-03-29T01:00:00Z"];
    assert_eq!(place.queue(spring), [1, 0, 0, 1]);
    let autumn = ["2026-10-24T23:59:59Z", "2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z", "2026-10-25T22:59:59Z"];
    assert_eq!(place.queue(autumn), [0, 1, 0, 0]);
    assert_eq!(days(&w), ["2026-03-28", "2026-03-29", "2026-10-25"]);
}

#[test]
fn a_day_is_the_organizations_own_and_begins_at_its_midnight() {
    let place = Place::new();
    // 25 hours apart: never on the same day.
    let (east, west) = (place.invoiced_daily("Pacific/Kiritimati", 0), place.invoiced_daily("Pacific/Pago_Pago", 0));
    // Midnight in the east is 10:00 UTC, in the west 11:00 UTC. Nobody had looked on the day before.
    let moments = ["2026-02-02T09:59:59Z", "2026-02-02T10:00:00Z", "2026-02-02T10:59:59Z", "2026-02-02T11:00:00Z"];
    assert_eq!(place.queue(moments), [2, 1, 0, 1]);
    assert_eq!(days(&east), ["2026-02-02", "2026-02-03"]);
    assert_eq!(days(&west), ["2026-02-01", "2026-02-02"]);
}

#[test]
fn what_was_missed_is_begun_on_the_same_day_and_no_other() {
    let place = Place::new();
    let w = place.invoiced_daily("Europe/Warsaw", 6);
    // Down from the 1st, and up again late on the 4th, or before the hour of the 7th.
    assert_eq!(place.queue(["2026-02-01T05:00:00Z", "2026-02-04T22:59:00Z"]), [1, 1]);
    assert_eq!(place.queue(["2026-02-07T04:59:00Z", "2026-02-07T05:00:00Z"]), [0, 1]);
    assert_eq!(days(&w), ["2026-02-01", "2026-02-04", "2026-02-07"]);
}

#[test]
fn an_hour_that_has_passed_counts_from_the_next_day_on() {
    let place = Place::new();
    let w = place.organization("UTC");
    let set = |version: i64, change: Value| {
        w.owner.at(version).patch("/organization", change).expect(200);
        place.database.text_rows("select automatic_invoicing_set_at at time zone 'UTC' from organizations")[0].clone()
    };
    // Every day's midnight has passed when it is set.
    let first = set(1, json!({ "automatic_invoicing": { "hour": 0 } })).unwrap();
    let set_at = chrono::NaiveDateTime::parse_from_str(&first, "%F %T%.f").unwrap().and_utc();
    let tomorrow = (set_at.date_naive() + chrono::Days::new(1)).and_time(chrono::NaiveTime::MIN).and_utc();
    let before = tomorrow - chrono::TimeDelta::microseconds(1);
    let queued = [set_at, before, tomorrow].map(|moment| automatic_runs::queue(&place.db, moment).unwrap());
    assert_eq!(queued, [0, 0, 1]);
    // Another hour is set anew; whatever else is changed sets none.
    assert_eq!(set(2, json!({ "legal_name": "Inna Nazwa", "automatic_invoicing": { "hour": 0 } })).unwrap(), first);
    assert!(set(3, json!({ "automatic_invoicing": { "hour": 1 } })).unwrap() > first);
    assert_eq!(set(4, json!({ "automatic_invoicing": null })), None);
}

#[test]
fn two_nodes_issue_what_is_due_once() {
    let place = Place::new();
    let w = place.invoiced_daily("Europe/Warsaw", 0);
    w.subscribers(3);
    let nodes = [(); 2].map(|()| {
        let mut node = Worker::start(&place.db, now, Store::folder());
        node.invoice_automatically(&place.db, now);
        node
    });
    let run = eventually("the automatic run", || {
        let runs = w.owner.get("/invoice-runs?automatic=true").expect(200).items();
        runs.into_iter().find(|run| run["status"] == "succeeded")
    });
    nodes.into_iter().for_each(Worker::stop);
    assert_eq!(run["through_on"], run["issue_on"]);
    let invoices = w.invoices();
    assert_eq!(json!(invoices.len()), run["counts"]["invoiced"]);
    assert!(invoices.len() >= 3 && invoices.iter().all(|it| it["issued_on"] == run["issue_on"]));
    // At midnight there may be a second one, and never two of a day.
    let days = days(&w);
    assert!(days.is_sorted_by(|a, b| a < b), "{days:?}");
}

#[test]
fn a_server_begins_them_only_where_it_is_told_to() {
    let place = Place::new();
    let w = place.invoiced_daily("Europe/Warsaw", 0);
    let queued = || place.database.text_rows("select count(*) from invoice_runs where automatic_on is not null");
    let server = Process::serve(&place.database.url);
    // A whole run of its workers: they had the time to look.
    let asked = w.owner.post("/invoice-runs", json!({ "mode": "preview" })).expect(202);
    eventually("the run that somebody asked for", || {
        (w.reread("/invoice-runs", &asked)["status"] == "succeeded").then_some(())
    });
    assert_eq!(queued(), [Some("0".to_owned())]);
    server.kill();
    let _server = Process::serve_with(&place.database.url, &[("OPIEKUN_AUTO_INVOICING", "on")]);
    eventually("the automatic run", || (queued() != [Some("0".to_owned())]).then_some(()));
}
