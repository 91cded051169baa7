//! `/month-locks`: months whose time is settled.

use crate::support::{Answer, Caller, Record, World, eventually, now};
use chrono::{Datelike, Months};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

#[test]
fn managers_and_owners_lock_and_unlock_months() {
    let w = World::new();
    let manager = w.operator("manager", "none", Some(&w.owner));
    let operator = w.operator("operator", "none", Some(&manager));
    w.month_lock("2026-10-01").by(&operator).send().refused(403, "forbidden");
    assert_eq!(w.count("month_locks"), 0);
    let lock = w.month_lock("2026-10-01").by(&manager).create();
    assert_eq!(
        (&lock["month_start_on"], &lock["locked_by_id"]),
        (&json!("2026-10-01"), &json!(manager.id.to_string()))
    );
    // October in Warsaw: from summer time to winter time.
    assert_eq!(
        (&lock["from_at"], &lock["before_at"]),
        (&json!("2026-09-30T22:00:00Z"), &json!("2026-10-31T23:00:00Z"))
    );
    let again = w.month_lock("2026-10-01").send();
    again.refused(409, "duplicate");
    assert_eq!(again.wrong(), ["/month_start_on duplicate"]);
    let by_key = w.month_lock("2026-09-01").by(&w.api_key(&["crm:write"])).create();
    assert_eq!(by_key["locked_by_id"], Value::Null);

    let list = |query: &str| {
        let page = operator.get(&format!("/month-locks?{query}")).expect(200);
        page.items().iter().map(|lock| lock["month_start_on"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(list(""), ["2026-10-01", "2026-09-01"]);
    assert_eq!(list("month_start_on[gte]=2026-10-01&month_start_on[lt]=2026-11-01"), ["2026-10-01"]);
    let path = format!("/month-locks/{}", lock.id());
    assert_eq!(operator.get(&format!("{path}?expand=locked_by")).expect(200)["locked_by"]["id"], lock["locked_by_id"]);
    operator.at(1).delete(&path).refused(403, "forbidden");
    assert_eq!(w.owner.at(1).delete(&path).status, 204);
    assert_eq!(list(""), ["2026-09-01"]);
    assert_eq!((w.changes("month_lock.created"), w.changes("month_lock.deleted")), (2, 1));
    w.month_lock("2026-10-01").create();
}

#[test]
fn only_what_has_begun_can_be_locked() {
    let w = World::with(|organization| organization.time_zone = "UTC".into());
    let this_month = now().date_naive().with_day(1).unwrap();
    let wrong = |month: String| {
        let answer = w.month_lock(&month).send();
        answer.refused(422, "validation_failed");
        answer.wrong()
    };
    assert_eq!(wrong("2026-10-02".into()), ["/month_start_on first_of_month"]);
    assert_eq!(wrong((this_month + Months::new(1)).to_string()), ["/month_start_on not_begun"]);
    assert_eq!(wrong("2026-10".into()), ["/month_start_on format"]);
    assert_eq!(w.count("month_locks"), 0);
    w.month_lock(&this_month.to_string()).create();
}

#[test]
fn bounds_are_those_of_the_organizations_time_zone() {
    let w = World::with(|organization| organization.time_zone = "America/New_York".into());
    let customer = w.customer().create();
    let lock = w.month_lock("2026-10-01").create();
    assert_eq!(
        (&lock["from_at"], &lock["before_at"]),
        (&json!("2026-10-01T04:00:00Z"), &json!("2026-11-01T04:00:00Z"))
    );
    let at = |moment: &str| w.interaction(customer.id()).with("started_at", moment).send();
    for moment in ["2026-10-01T04:00:00Z", "2026-11-01T03:59:59.999999Z"] {
        at(moment).refused(409, "state_invalid");
    }
    for moment in ["2026-10-01T03:59:59.999999Z", "2026-11-01T04:00:00Z"] {
        at(moment).expect(201);
    }
}

/// The changes of a record that reports would notice.
fn refusals(record: &Record) -> Vec<Value> {
    let mut patches = vec![
        json!({ "duration_minutes": 31 }),
        json!({ "started_at": "2026-10-11T10:00:00Z" }),
        json!({ "started_at": "2026-11-11T10:00:00Z" }),
        json!({ "billable": false }),
        json!({ "hourly_rate": "1.00" }),
    ];
    if record.get("channel").is_some() {
        patches.extend([json!({ "channel": "email" }), json!({ "status": "not_held" })]);
    }
    patches
}

#[test]
fn what_reports_sum_over_stays_and_the_rest_can_change() {
    let w = World::new();
    let (customer, other) = (w.customer().create(), w.customer().create());
    let operator = w.operator("operator", "none", Some(&w.owner));
    let (task, thread) = (w.task("Payroll").with("customer_id", customer.id()).create(), w.thread("Payroll").create());
    let contact = || w.interaction(customer.id()).with("started_at", "2026-10-10T10:00:00Z");
    let work = || w.work_entry(task.id()).with("started_at", "2026-10-10T10:00:00Z");
    let records = [("/interactions", contact().create()), ("/work-entries", work().create())];
    let outside =
        [("/interactions", w.interaction(customer.id()).create()), ("/work-entries", w.work_entry(task.id()).create())];
    let report =
        || w.owner.get("/reports/time-cost?from=2026-10-01&to=2026-10-31&group_by=customer,operator").expect(200);
    let lock = w.month_lock("2026-10-01").create();
    // What has no rate would be priced by its next change, and must not be any more.
    w.hourly_rate("100.00", "2026-01-01").create();
    let settled = report();

    let locked = |answer: Answer| {
        assert_eq!(answer.refused(409, "state_invalid")["state"], "locked", "{answer:?}");
    };
    locked(contact().send());
    locked(work().send());
    for (collection, record) in &records {
        let path = format!("{collection}/{}", record.id());
        for patch in refusals(record) {
            locked(w.owner.at(1).patch(&path, patch));
        }
        locked(w.owner.at(1).patch(&path, json!({ "operator_id": operator.id.to_string() })));
        locked(w.owner.at(1).delete(&path));
        assert_eq!(&w.owner.get(&path).expect(200), record);
    }
    let [(_, contact), (_, entry)] = &records;
    let contact_path = format!("/interactions/{}", contact.id());
    locked(w.owner.at(1).patch(&contact_path, json!({ "customer_id": other.id() })));
    locked(w.owner.at(1).patch(&contact_path, json!({ "parent": { "type": "task", "id": task.id() } })));
    let entry_path = format!("/work-entries/{}", entry.id());
    locked(w.owner.at(1).patch(&entry_path, json!({ "task_id": w.task("Other").create().id() })));
    // Nothing moves into the month either.
    for (collection, record) in &outside {
        let path = format!("{collection}/{}", record.id());
        locked(w.owner.at(1).patch(&path, json!({ "started_at": "2026-10-11T10:00:00Z" })));
        w.owner.at(1).patch(&path, json!({ "duration_minutes": 31 })).expect(200);
    }

    let person = w.person(customer.id()).create();
    let texts = json!({
        "subject": "Another", "description": "x", "outcome": "y", "tags": ["settled"], "person_id": person.id(),
        "caretaker_id": operator.id.to_string(), "thread_id": thread.id(), "direction": "outbound",
    });
    let changed = w.owner.at(1).patch(&contact_path, texts).expect(200);
    assert_eq!((&changed["subject"], &changed["thread_id"]), (&json!("Another"), &json!(thread.id())));
    let noted = w.owner.at(1).patch(&entry_path, json!({ "note": "Checked" })).expect(200);
    assert_eq!((&noted["note"], &noted["cost"]), (&json!("Checked"), &Value::Null));
    assert_eq!(report(), settled);

    assert_eq!(w.owner.at(1).delete(&format!("/month-locks/{}", lock.id())).status, 204);
    let priced = w.owner.at(2).patch(&entry_path, json!({ "note": "Open again" })).expect(200);
    assert_eq!(priced["cost"], "50.00");
    for (collection, record) in &records {
        let path = format!("{collection}/{}", record.id());
        assert_eq!(w.owner.with("If-Match", "*").delete(&path).status, 204);
    }
}

/// Writes and changes in October until it is refused; tells how many changes were taken.
fn write_until_locked(
    w: &World,
    who: &Caller,
    customer: &Record,
    task: &Record,
    is_locked: &AtomicBool,
    turn: usize,
) -> u32 {
    let at = "2026-10-10T10:00:00Z";
    let mut taken = 0;
    loop {
        // Whoever begins after the locker has its answer must be refused.
        let began_late = is_locked.load(Ordering::SeqCst);
        let answer = match (turn + taken as usize) % 2 {
            0 => w.interaction(customer.id()).with("started_at", at).by(who).send(),
            _ => w.work_entry(task.id()).with("started_at", at).by(who).send(),
        };
        if answer.status == 409 {
            answer.refused(409, "state_invalid");
            return taken;
        }
        let record = answer.expect(201);
        assert!(!began_late, "taken though the month was locked");
        taken += 1;
        let began_late = is_locked.load(Ordering::SeqCst);
        let collection = if record.get("channel").is_some() { "interactions" } else { "work-entries" };
        let path = format!("/{collection}/{}", record.id());
        let answer = if taken % 3 == 0 {
            who.at(1).delete(&path)
        } else {
            who.at(1).patch(&path, json!({ "duration_minutes": 45 }))
        };
        if answer.status == 409 {
            answer.refused(409, "state_invalid");
            return taken;
        }
        assert!(answer.status < 300 && !began_late, "{answer:?}");
    }
}

#[test]
fn once_a_month_is_locked_nobody_who_writes_at_the_same_time_changes_it() {
    let w = World::new();
    let customer = w.customer().create();
    let task = w.task("Payroll").with("customer_id", customer.id()).create();
    w.hourly_rate("100.00", "2026-01-01").create();
    let (is_locked, written) = (AtomicBool::new(false), AtomicU32::new(0));
    let report = || w.owner.get("/reports/time-cost?from=2026-10-01&to=2026-10-31&group_by=customer").expect(200);
    let settled = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..8)
            .map(|turn| {
                let (w, customer, task, is_locked, written) = (&w, &customer, &task, &is_locked, &written);
                scope.spawn(move || {
                    written
                        .fetch_add(write_until_locked(w, &w.owner, customer, task, is_locked, turn), Ordering::SeqCst)
                })
            })
            .collect();
        eventually("some writes", || (w.count("interactions") >= 10).then_some(()));
        w.month_lock("2026-10-01").create();
        is_locked.store(true, Ordering::SeqCst);
        let settled = report();
        writers.into_iter().for_each(|writer| {
            writer.join().unwrap();
        });
        settled
    });
    assert!(written.load(Ordering::SeqCst) >= 10);
    assert_eq!(report(), settled);
}
