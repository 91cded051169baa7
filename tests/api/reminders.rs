//! Reminders of invoices that are not paid.
//!
//! Whoever looks for what is due looks at every organization, so each test has a database of its own.

use crate::support::{Record, Scratch, Server, World, at_once, connection, scratch_database};
use chrono::{DateTime, Utc};
use diesel::connection::SimpleConnection;
use opiekun_jobs::reminders;
use opiekun_persistence::{Db, migrate};
use serde_json::{Value, json};

/// A database without background work, and a server over it.
struct Place {
    server: Server,
    db: Db,
    database: Scratch,
}

impl Place {
    fn new() -> Self {
        let database = scratch_database();
        migrate(&database.url).unwrap();
        let db = Db::connect(&database.url, 16).unwrap();
        let server = Server::over(&db, |_| {});
        Self { server, db, database }
    }

    /// An organization that reminds, as it was set at the beginning of 2026.
    fn reminding(&self, steps: Value) -> World {
        let w = World::within(&self.db, |_| {}).on(&self.server);
        let reminders = json!({ "hour": 9, "steps": steps });
        w.owner.at(1).patch("/organization", json!({ "reminders": reminders })).expect(200);
        let set = "update organizations set reminders_set_at = '2026-01-01T00:00:00Z'";
        connection(&self.database.url).batch_execute(set).unwrap();
        w
    }

    fn tasks(&self) -> i64 {
        self.database.text_rows("select count(*) from tasks")[0].as_deref().unwrap().parse().unwrap()
    }

    /// Looks at 9:00 of days, one after the other; how many reminders were queued on each.
    fn queue<const N: usize>(&self, days: [&str; N]) -> [usize; N] {
        days.map(|day| {
            // 9:00 in Warsaw in winter.
            let moment: DateTime<Utc> = format!("{day}T08:00:00Z").parse().unwrap();
            reminders::queue(&self.db, moment).unwrap()
        })
    }
}

/// An invoice of 123.00 that is to be paid by the 15th of January, to a customer of its own.
fn invoice(w: &World, change: Value) -> Record {
    let mut customer = w.buyer().with("email", "ksiegowosc@klos.example");
    for (field, value) in change.as_object().into_iter().flatten() {
        customer = customer.with(field, value.clone());
    }
    let customer = customer.create();
    let pattern = format!("FV{}/{{number}}/{{month}}/{{year}}", &customer.id()[24..]);
    let series = w.number_series().name(customer.id()).with("pattern", pattern).create();
    let draft = w.invoice_draft(customer.id(), series.id()).with("due_on", "2026-01-15").create();
    w.issue(&draft, "2026-01-05")
}

fn emails(w: &World) -> Vec<Record> {
    let mut emails = w.owner.get("/invoice-emails?limit=200").expect(200).items();
    emails.reverse();
    emails
}

fn steps_of(w: &World, invoice: &Record) -> Vec<i64> {
    let of_invoice = emails(w).into_iter().filter(|email| email["invoice_id"] == invoice.id());
    of_invoice.map(|email| email["days_after_due"].as_i64().unwrap()).collect()
}

#[test]
fn unpaid_invoices_are_reminded_of_once_a_step() {
    let place = Place::new();
    let w = place.reminding(json!([{ "days_after_due": -3 }, { "days_after_due": 3 }, { "days_after_due": 10 }]));
    let unpaid = invoice(&w, json!({}));
    let paid = invoice(&w, json!({}));
    let partly = invoice(&w, json!({}));
    let pay = |invoice: &Record, amount: &str| {
        let payment = w.payment(invoice["customer_id"].as_str().unwrap(), amount).with("paid_on", "2026-01-10");
        payment.with("invoice_id", invoice.id()).create()
    };
    pay(&paid, "123.00");
    pay(&partly, "23.00");
    let days = ["2026-01-11", "2026-01-12", "2026-01-13", "2026-01-18", "2026-01-19", "2026-01-25", "2026-03-01"];
    assert_eq!(place.queue(days), [0, 2, 0, 2, 0, 2, 0]);
    assert_eq!((steps_of(&w, &unpaid), steps_of(&w, &partly)), (vec![-3, 3, 10], vec![-3, 3, 10]));
    assert_eq!(steps_of(&w, &paid), Vec::<i64>::new());
    for email in emails(&w) {
        assert_eq!((&email["reason"], &email["status"]), (&json!("reminder"), &json!("queued")));
        assert_eq!((&email["attach_pdf"], &email["attach_xml"]), (&json!(true), &json!(false)));
        assert_eq!(email["to"], json!(["ksiegowosc@klos.example"]));
    }
    assert_eq!((w.changes("invoice_email.queued"), place.tasks()), (6, 0));
}

#[test]
fn a_node_that_was_down_makes_up_for_the_last_step_alone_and_on_the_same_day() {
    let place = Place::new();
    let w = place.reminding(json!([{ "days_after_due": 3 }, { "days_after_due": 4 }, { "days_after_due": 5 }]));
    let first = invoice(&w, json!({}));
    assert_eq!(place.queue(["2026-01-20"]), [1]);
    assert_eq!(steps_of(&w, &first), [5]);
    // Before its hour nothing is looked at, nor twice a day.
    let later = invoice(&w, json!({}));
    let at = |moment: &str| reminders::queue(&place.db, moment.parse().unwrap()).unwrap();
    assert_eq!([at("2026-01-21T07:59:59Z"), at("2026-01-20T20:00:00Z"), at("2026-01-21T08:00:00Z")], [0, 0, 1]);
    assert_eq!(steps_of(&w, &later), [5]);
}

#[test]
fn what_lies_before_the_schedule_is_not_reminded_of() {
    let place = Place::new();
    let w = place.reminding(json!([{ "days_after_due": 3 }]));
    let old = invoice(&w, json!({}));
    // Set anew long after: whoever was late then is not reminded all at once.
    let reminders = json!({ "hour": 9, "steps": [{ "days_after_due": 5 }, { "days_after_due": 30 }] });
    w.owner.at(2).patch("/organization", json!({ "reminders": reminders })).expect(200);
    let set = "update organizations set reminders_set_at = '2026-02-01T00:00:00Z'";
    connection(&place.database.url).batch_execute(set).unwrap();
    assert_eq!(place.queue(["2026-02-02", "2026-02-14"]), [0, 1]);
    assert_eq!(steps_of(&w, &old), [30]);
    w.owner.at(3).patch("/organization", json!({ "reminders": null })).expect(200);
    assert_eq!(place.queue(["2026-03-15"]), [0]);
}

#[test]
fn a_step_gives_the_caretaker_a_task_once() {
    let place = Place::new();
    let w = place.reminding(json!([{ "days_after_due": 3, "open_task": true }, { "days_after_due": 10 }]));
    let caretaker = w.operator("operator", "none", None);
    let late = invoice(&w, json!({ "caretaker_id": caretaker.id.to_string() }));
    // Without an address the caretaker can still call.
    let poor = invoice(&w, json!({ "email": null }));
    let left = invoice(&w, json!({ "send_reminders": false }));
    let gone = w.operator("operator", "none", None).id.to_string();
    let orphan = invoice(&w, json!({ "caretaker_id": gone }));
    w.owner.at(1).patch(&format!("/operators/{gone}"), json!({ "active": false })).expect(200);
    let moment: DateTime<Utc> = "2026-01-18T08:00:00Z".parse().unwrap();
    let queued = at_once(4, |_| reminders::queue(&place.db, moment).unwrap());
    assert_eq!(queued.iter().sum::<usize>(), 3, "{queued:?}");
    assert_eq!((steps_of(&w, &late), steps_of(&w, &poor), steps_of(&w, &left)), (vec![3], vec![3], vec![]));
    let of_poor = emails(&w).into_iter().find(|email| email["invoice_id"] == poor.id()).unwrap();
    assert_eq!((&of_poor["status"], &of_poor["problem"]), (&json!("failed"), &json!("no_recipient")));

    let tasks = w.owner.get("/tasks?limit=200").expect(200).items();
    assert_eq!(tasks.len(), 3);
    // Whoever has left does nothing any more.
    let of_gone = tasks.iter().find(|task| task["customer_id"] == orphan["customer_id"]).unwrap();
    assert_eq!(of_gone["caretaker_id"], Value::Null);
    let task = tasks.iter().find(|task| task["customer_id"] == late["customer_id"]).unwrap();
    assert_eq!(task["caretaker_id"], caretaker.id.to_string());
    let title = format!("Niezapłacona faktura {}: Piekarnia Złoty Kłos sp. z o.o.", late["number"].as_str().unwrap());
    assert_eq!((&task["title"], &task["status"], &task["all_day"]), (&json!(title), &json!("open"), &json!(true)));
    assert_eq!((&task["due_at"], &task["registered_by_id"]), (&json!("2026-01-17T23:00:00Z"), &Value::Null));
    assert!(task["description"].as_str().unwrap().contains("123.00 PLN"), "{task:?}");
    assert_eq!(w.changes("task.created"), 3);
    assert_eq!(place.queue(["2026-01-25"]), [3]);
    assert_eq!(place.tasks(), 3);
}

#[test]
fn a_schedule_is_checked() {
    let place = Place::new();
    let w = World::within(&place.db, |_| {}).on(&place.server);
    let text = |subject: &str| json!({ "language": "pl", "subject": subject, "body": "x" });
    for (steps, wrong) in [
        (json!([]), "/reminders/steps minItems"),
        (json!([{ "days_after_due": 366 }]), "/reminders/steps/0/days_after_due maximum"),
        (json!([{ "days_after_due": 3 }, { "days_after_due": 3 }]), "/reminders/steps uniqueItems"),
        (
            json!([{ "days_after_due": 3, "texts": [text("{{invoice.late}}")] }]),
            "/reminders/steps/0/texts/0/subject placeholder",
        ),
        (json!([{ "days_after_due": 3, "texts": [text("a"), text("b")] }]), "/reminders/steps/0/texts uniqueItems"),
    ] {
        let refused = w.owner.at(1).patch("/organization", json!({ "reminders": { "hour": 9, "steps": steps } }));
        refused.refused(422, "validation_failed");
        assert_eq!(refused.wrong(), [wrong]);
    }
    let steps = json!([{ "days_after_due": 3, "open_task": true, "texts": [text("{{invoice.days_overdue}}")] }]);
    let reminders = json!({ "hour": 9, "steps": steps });
    let set = w.owner.at(1).patch("/organization", json!({ "reminders": reminders })).expect(200);
    assert_eq!(set["reminders"], reminders);
}
