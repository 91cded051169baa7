//! The report of who got no invoice.

use crate::support::{Record, World, execute, now};
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn report(w: &World, query: &str) -> Record {
    w.owner.get(&format!("/reports/not-invoiced?{query}")).expect(200)
}

/// Each row in short: the customer, the day and the reason.
fn told(report: &Record) -> Vec<String> {
    let text = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
    let rows = report["rows"].as_array().unwrap();
    rows.iter().map(|row| ["customer_name", "scheduled_on", "reason"].map(|name| text(row, name)).join(" ")).collect()
}

/// A monthly subscription of a customer of its own, without the address that an invoice needs.
fn homeless(w: &World, template: &Record, name: &str, ends_on: &str) -> Record {
    w.subscription(template.id(), w.customer().name(name).create().id()).with("ends_on", ends_on).create()
}

fn subscribed(w: &World, template: &Record, name: &str, ends_on: &str) -> Record {
    w.subscription(template.id(), w.buyer().name(name).create().id()).with("ends_on", ends_on).create()
}

#[test]
fn each_period_without_an_invoice_is_told_with_its_reason() {
    let w = World::new();
    let template = w.template();
    let through_january = |mode: &str, ids: Value| {
        let body =
            json!({ "mode": mode, "through_on": "2026-01-31", "issue_on": "2026-01-31", "subscription_ids": ids });
        w.run_with(body).expect(200)
    };
    let parked = homeless(&w, &template, "Parked", "2026-03-01");
    for _ in 0..2 {
        through_january("issue", json!([parked.id()]));
    }
    let failed = homeless(&w, &template, "Failed", "2026-02-01");
    let skipped = subscribed(&w, &template, "Skipped", "2026-02-01");
    let occurrence = w.occurrence(skipped.id(), "2026-01-01").create();
    w.owner.post(&format!("/occurrences/{}/skip", occurrence.id()), json!({ "reason": "Urlop" })).expect(200);
    let draft = subscribed(&w, &template, "Draft", "2026-02-01");
    through_january("draft", json!([draft.id()]));
    let paused = subscribed(&w, &template, "Paused", "2026-02-01");
    w.owner.post(&format!("/subscriptions/{}/pause", paused.id()), Value::Null).expect(200);
    let billed = subscribed(&w, &template, "Billed", "2026-02-01");
    let run = through_january("issue", Value::Null);
    assert_eq!(run["counts"], json!({ "planned": 0, "invoiced": 1, "skipped": 0, "failed": 2 }));
    assert_eq!(w.reread("/subscriptions", &billed)["state"], "ended");
    let due = subscribed(&w, &template, "Due", "2026-02-01");
    let planned = subscribed(&w, &template, "Planned", "2026-03-01");
    w.occurrence(planned.id(), "2026-02-01").create();

    let report = report(&w, "from=2026-01-01&to=2026-02-28");
    assert_eq!((&report["from_on"], &report["to_on"]), (&json!("2026-01-01"), &json!("2026-02-28")));
    let rows = told(&report);
    let mut taken_up = rows[..5].to_vec();
    taken_up.sort();
    assert_eq!(
        taken_up,
        [
            "Draft 2026-01-01 draft",
            "Failed 2026-01-01 failed",
            "Parked 2026-01-01 failed",
            "Planned 2026-02-01 due",
            "Skipped 2026-01-01 skipped",
        ]
    );
    assert_eq!(rows[4], "Planned 2026-02-01 due", "by their days");
    let mut active = rows[5..7].to_vec();
    active.sort();
    assert_eq!(active, ["Due 2026-01-01 due", "Planned 2026-01-01 due"]);
    assert_eq!(rows[7..], ["Parked 2026-02-01 parked", "Paused 2026-01-01 paused"]);
    assert_eq!(report["totals"], json!({ "failed": 2, "skipped": 1, "draft": 1, "due": 3, "paused": 1, "parked": 1 }));

    let row = |name: &str| {
        let rows = report["rows"].as_array().unwrap();
        rows.iter().find(|row| row["customer_name"] == name).unwrap().clone()
    };
    let of_draft = w.owner.get("/invoices?status=draft").expect(200).items().remove(0);
    assert_eq!(row("Draft")["invoice_id"], of_draft.id());
    assert_eq!(row("Skipped")["skip_reason"], "Urlop");
    assert_eq!(
        row("Failed"),
        json!({
            "subscription_id": failed.id(), "customer_id": failed["customer_id"], "customer_name": "Failed",
            "period_start_on": "2026-01-01", "period_end_on": "2026-02-01", "scheduled_on": "2026-01-01",
            "reason": "failed", "problem": "buyer_address_missing", "skip_reason": null, "invoice_id": null,
            "occurrence_id": w.owner.get(&format!("/occurrences?subscription_id={}", failed.id())).expect(200).items()[0].id(),
        })
    );
    assert_eq!(
        row("Due"),
        json!({
            "subscription_id": due.id(), "customer_id": due["customer_id"], "customer_name": "Due",
            "period_start_on": "2026-01-01", "period_end_on": "2026-02-01", "scheduled_on": "2026-01-01",
            "reason": "due", "occurrence_id": null, "problem": null, "skip_reason": null, "invoice_id": null,
        })
    );

    // Each reason alone gives its rows, in the same order.
    for reason in ["failed", "skipped", "draft", "due", "paused", "parked"] {
        let only = self::report(&w, &format!("from=2026-01-01&to=2026-02-28&reason={reason}"));
        let expected: Vec<_> = rows.iter().filter(|row| row.ends_with(&format!(" {reason}"))).cloned().collect();
        assert_eq!(told(&only), expected);
        assert_eq!(only["totals"][reason], expected.len());
    }
    let customer = parked["customer_id"].as_str().unwrap();
    let of_one = self::report(&w, &format!("from=2026-01-01&to=2026-02-28&customer_id={customer}"));
    assert_eq!(told(&of_one), ["Parked 2026-01-01 failed", "Parked 2026-02-01 parked"]);
    let february = self::report(&w, "from=2026-02-01&to=2026-02-01");
    assert_eq!(told(&february), ["Planned 2026-02-01 due", "Parked 2026-02-01 parked"]);

    let csv = w.owner.get("/reports/not-invoiced?from=2026-01-01&to=2026-02-28&reason=failed&format=csv").text();
    let lines: Vec<_> = csv.lines().collect();
    assert_eq!(
        lines[0],
        "subscription_id,customer_id,customer_name,period_start_on,period_end_on,scheduled_on,reason,occurrence_id,\
         problem,skip_reason,invoice_id"
    );
    let of_failed = row("Failed");
    let line = format!(
        "{},{},Failed,2026-01-01,2026-02-01,2026-01-01,failed,{},buyer_address_missing,,",
        failed.id(),
        failed["customer_id"].as_str().unwrap(),
        of_failed["occurrence_id"].as_str().unwrap()
    );
    assert!(lines.len() == 3 && lines.contains(&line.as_str()), "{csv}");
    let by_header = w.owner.with("Accept", "text/csv").get("/reports/not-invoiced?from=2026-01-01&to=2026-02-28");
    assert_eq!(by_header.text().lines().count(), 1 + rows.len());
    assert_eq!(by_header.header("content-disposition"), Some("attachment; filename=\"not-invoiced.csv\""));
}

#[test]
fn what_the_next_run_would_skip_is_not_told_as_due() {
    let w = World::new();
    let template = w.template();
    // Three periods long past: under each rule all of them are billed, the newest, or none.
    for catch_up in ["all", "latest", "skip"] {
        let customer = w.buyer().name(catch_up).create();
        w.subscription(template.id(), customer.id()).with("ends_on", "2026-03-15").with("catch_up", catch_up).create();
    }
    let query = "from=2026-01-01&to=2026-02-28";
    let rows = |query: &str| {
        let mut rows = told(&report(&w, query));
        rows.sort();
        rows
    };
    let (due, skipped) = (rows(&format!("{query}&reason=due")), rows(&format!("{query}&reason=skipped")));
    assert_eq!(due, ["all 2026-01-01 due", "all 2026-02-01 due"]);
    assert_eq!(
        skipped,
        [
            "latest 2026-01-01 skipped",
            "latest 2026-02-01 skipped",
            "skip 2026-01-01 skipped",
            "skip 2026-02-01 skipped",
        ]
    );
    assert_eq!(report(&w, query)["totals"]["skipped"], 4);
    // March is the newest, whichever days are asked for, and a run does as it was told.
    let march = rows("from=2026-03-01&to=2026-03-31");
    assert_eq!(march, ["all 2026-03-01 due", "latest 2026-03-01 due", "skip 2026-03-01 skipped"]);
    let today = now().date_naive();
    w.run("draft", &today.to_string());
    let drafted = march.iter().map(|row| row.replace(" due", " draft")).collect::<Vec<_>>();
    assert_eq!(rows("from=2026-03-01&to=2026-03-31"), drafted);
    assert_eq!(rows(&format!("{query}&reason=skipped")), skipped);
}

#[test]
fn what_is_billed_after_all_is_told_no_more() {
    let w = World::new();
    let template = w.template();
    let subscription = subscribed(&w, &template, "Rogal", "2026-03-01");
    let rows = || told(&report(&w, "from=2026-01-01&to=2026-12-31"));
    assert_eq!(rows(), ["Rogal 2026-01-01 due", "Rogal 2026-02-01 due"]);
    w.run("draft", "2026-01-31");
    assert_eq!(rows(), ["Rogal 2026-01-01 draft", "Rogal 2026-02-01 due"]);
    // Thrown away, its period is due again.
    let draft = w.invoices().remove(0);
    w.owner.at(1).delete(&format!("/invoices/{}", draft.id())).expect(204);
    assert_eq!(rows(), ["Rogal 2026-01-01 due", "Rogal 2026-02-01 due"]);
    w.run("issue", "2026-01-31");
    assert_eq!(rows(), ["Rogal 2026-02-01 due"]);
    // Behind the end nothing is to be billed, planned or not.
    w.occurrence(subscription.id(), "2026-02-01").create();
    assert_eq!(rows(), ["Rogal 2026-02-01 due"]);
    let path = format!("/subscriptions/{}", subscription.id());
    let version = w.owner.get(&path).expect(200).version();
    w.owner.at(version).patch(&path, json!({ "ends_on": "2026-02-01" })).expect(200);
    assert_eq!(rows(), [""; 0]);
}

#[test]
fn only_what_was_decided_is_told_before_its_day() {
    let w = World::new();
    let template = w.template();
    let subscription = w.subscription(template.id(), w.buyer().name("Rogal").create().id()).create();
    let today = now().date_naive();
    let ahead = format!("{}-06-01", today.format("%Y").to_string().parse::<i32>().unwrap() + 2);
    let planned = w.occurrence(subscription.id(), &ahead).create();
    let query = format!("from=2026-01-01&to={ahead}");
    let before = told(&report(&w, &query));
    assert_eq!(before[0], "Rogal 2026-01-01 due");
    // The organization's day may be a day ahead of the clock's.
    let tomorrow = format!("Rogal {} due", today.succ_opt().unwrap());
    assert!(before.len() >= 11 && before.iter().all(|row| *row <= tomorrow), "{before:?}");
    w.owner.post(&format!("/occurrences/{}/skip", planned.id()), json!({})).expect(200);
    let after = told(&report(&w, &query));
    assert_eq!(after[0], format!("Rogal {ahead} skipped"));
    assert_eq!(after[1..], before);
}

#[test]
fn however_many_are_due_each_is_told_once() {
    let w = World::new();
    let subscription = subscribed(&w, &w.template(), "Rogal", "2026-02-01");
    let columns = "organization_id, template_id, customer_id, every_unit, every_count, anchor_on, on_day, on_last_day,
        billing, issue_offset_days, issue_day_shift, starts_on, ends_on, line_overrides, catch_up, state, next_period,
        next_issue_on, created_at, updated_at";
    execute(&format!(
        "insert into subscriptions (id, {columns}) select gen_random_uuid(), {columns}
         from subscriptions, generate_series(1, 1203) where organization_id = '{}' and id = '{}'",
        w.organization_id,
        subscription.id()
    ))
    .unwrap();
    let report = report(&w, "from=2026-01-01&to=2026-01-31");
    let rows = report["rows"].as_array().unwrap();
    let ids: BTreeSet<_> = rows.iter().map(|row| row["subscription_id"].as_str().unwrap()).collect();
    assert_eq!((rows.len(), ids.len(), &report["totals"]["due"]), (1204, 1204, &json!(1204)));
}

#[test]
fn a_month_is_asked_for_unless_told() {
    let w = World::new();
    let told = |query: &str| {
        let report = report(&w, query);
        (report["from_on"].as_str().unwrap().to_owned(), report["to_on"].as_str().unwrap().to_owned())
    };
    assert_eq!(told("to=2026-02-15"), ("2026-02-01".to_owned(), "2026-02-15".to_owned()));
    let (from_on, to_on) = told("");
    assert!(from_on.ends_with("-01") && from_on[..7] == to_on[..7], "{from_on} {to_on}");
    for (query, wrong) in
        [("from=2026-02-02&to=2026-02-01", "to order"), ("from=2016-01-01&to=2026-12-31", "to maximum")]
    {
        let answer = w.owner.get(&format!("/reports/not-invoiced?{query}"));
        answer.refused(400, "parameter_invalid");
        assert_eq!(answer.wrong(), [wrong]);
    }
    w.api_key(&["billing:read"]).get("/reports/not-invoiced").refused(403, "scope_missing");
    w.api_key(&["reports:read"]).get("/reports/not-invoiced").expect(200);
}
