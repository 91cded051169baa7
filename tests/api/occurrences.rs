use crate::support::World;
use serde_json::{Value, json};

#[test]
fn there_is_one_for_each_period_that_was_taken_up() {
    let w = World::new();
    let subscription = &w.subscribers(1)[0];
    w.run("issue", "2026-03-31");
    let occurrences = w.owner.get("/occurrences?sort=scheduled_on").expect(200).items();
    let starts: Vec<_> = occurrences.iter().map(|it| it["period_start_on"].as_str().unwrap()).collect();
    assert_eq!(starts, ["2026-01-01", "2026-02-01", "2026-03-01"]);
    let first = &occurrences[0];
    for (name, value) in [
        ("subscription_id", json!(subscription.id())),
        ("period_index", json!(0)),
        ("period_end_on", json!("2026-02-01")),
        ("scheduled_on", json!("2026-01-01")),
        ("state", json!("invoiced")),
        ("problem", Value::Null),
        ("invoice_id", json!(w.invoices()[0].id())),
        ("attempts", json!(1)),
    ] {
        assert_eq!(first[name], value, "{name}");
    }
    assert_eq!(w.reread("/occurrences", first), *first);
}

#[test]
fn who_got_no_invoice_this_month() {
    let w = World::new();
    let subscriptions = w.subscribers(3);
    let archived = subscriptions[1]["customer_id"].as_str().unwrap();
    w.owner.post(&format!("/customers/{archived}/archival"), Value::Null).expect(200);
    w.run("issue", "2026-01-31");
    let failed =
        w.owner.get("/occurrences?state=failed&scheduled_on[gte]=2026-01-01&scheduled_on[lte]=2026-01-31").expect(200);
    let failed = failed.items();
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0]["subscription_id"], subscriptions[1].id());
    assert_eq!((&failed[0]["problem"], &failed[0]["invoice_id"]), (&json!("customer_archived"), &Value::Null));
    let path = format!("/occurrences?subscription_id={}&expand=subscription.customer", subscriptions[1].id());
    let expanded = w.owner.get(&path).expect(200).items();
    assert_eq!(expanded[0]["subscription"]["customer"]["id"], archived);
}

#[test]
fn a_parked_subscription_goes_on_when_its_failed_period_is_to_be_tried_again() {
    let w = World::new();
    let subscription = &w.subscribers(1)[0];
    let customer = subscription["customer_id"].as_str().unwrap();
    w.owner.post(&format!("/customers/{customer}/archival"), Value::Null).expect(200);
    for _ in 0..3 {
        w.run("issue", "2026-01-31");
    }
    assert_eq!(w.reread("/subscriptions", subscription)["state"], "parked");
    let failed = w.owner.get("/occurrences?state=failed").expect(200).items().remove(0);
    let retries = format!("/occurrences/{}/retries", failed.id());
    w.owner.delete(&format!("/customers/{customer}/archival")).expect(200);
    w.owner.post(&retries, Value::Null).expect(200);
    assert_eq!(w.reread("/subscriptions", subscription)["state"], "active");
    w.run("issue", "2026-01-31");
    assert_eq!(w.reread("/occurrences", &failed)["state"], "invoiced");
    assert_eq!(w.owner.post(&retries, Value::Null).expect(409)["state"], "invoiced");
}

#[test]
fn a_coming_period_is_planned_and_skipped() {
    let w = World::new();
    let subscription = &w.subscribers(1)[0];
    let plan = |day: &str| w.occurrence(subscription.id(), day).send();
    assert_eq!(plan("2026-02-02").wrong(), ["/period_start_on period_missing"]);
    let february = plan("2026-02-01").expect(201);
    assert_eq!((&february["state"], &february["scheduled_on"]), (&json!("planned"), &json!("2026-02-01")));
    let again = plan("2026-02-01");
    again.refused(409, "duplicate");
    assert_eq!(again.wrong(), ["/period_start_on duplicate"]);
    let skip = format!("/occurrences/{}/skip", february.id());
    let skipped = w.owner.post(&skip, json!({ "reason": "Urlop" })).expect(200);
    assert_eq!((&skipped["state"], &skipped["skip_reason"]), (&json!("skipped"), &json!("Urlop")));
    assert_eq!(w.owner.post(&skip, json!({})).expect(200), skipped);
    assert_eq!(w.run("preview", "2026-03-31")["counts"]["planned"], 2);
    w.run("issue", "2026-03-31");
    let billed: Vec<_> = w.invoices().iter().map(|it| it["period_start_on"].clone()).collect();
    assert_eq!(billed, ["2026-01-01", "2026-03-01"]);
    assert_eq!((w.changes("occurrence.created"), w.changes("occurrence.skipped")), (1, 1));

    // After all, though later periods are billed and the rule is to skip what was missed.
    let path = format!("/subscriptions/{}", subscription.id());
    let version = w.owner.get(&path).expect(200).version();
    w.owner.at(version).patch(&path, json!({ "catch_up": "skip" })).expect(200);
    let planned = w.owner.delete(&skip).expect(200);
    assert_eq!((&planned["state"], &planned["skip_reason"]), (&json!("planned"), &Value::Null));
    assert_eq!(w.owner.delete(&skip).expect(200), planned);
    assert_eq!(w.owner.get(&path).expect(200)["next_issue_on"], "2026-02-01");
    w.run("issue", "2026-04-01");
    let billed: Vec<_> = w.invoices().iter().map(|it| it["period_start_on"].clone()).collect();
    assert_eq!(billed, ["2026-01-01", "2026-03-01", "2026-02-01", "2026-04-01"]);
    assert_eq!(w.owner.get(&path).expect(200)["next_issue_on"], "2026-05-01");
    for refused in [w.owner.delete(&skip), w.owner.post(&skip, json!({}))] {
        assert_eq!(refused.refused(409, "state_invalid")["state"], "invoiced");
    }
}

#[test]
fn a_failed_period_that_is_skipped_parks_nobody() {
    let w = World::new();
    let subscription = w.subscription(w.template().id(), w.customer().create().id()).create();
    for _ in 0..3 {
        w.run("issue", "2026-01-31");
    }
    let failed = w.owner.get("/occurrences").expect(200).items().remove(0);
    let skipped = w.owner.post(&format!("/occurrences/{}/skip", failed.id()), json!({})).expect(200);
    assert_eq!((&skipped["problem"], &skipped["attempts"]), (&Value::Null, &json!(3)));
    let subscription = w.reread("/subscriptions", &subscription);
    assert_eq!(
        (&subscription["state"], &subscription["next_period_start_on"], &subscription["consecutive_failures"]),
        (&json!("active"), &json!("2026-02-01"), &json!(0))
    );
}

#[test]
fn what_is_skipped_long_ago_is_billed_without_going_through_all_since() {
    let w = World::new();
    let schedule =
        json!({ "every": { "unit": "day", "count": 1 }, "anchor_on": "2026-01-01", "billing": "in_advance" });
    let subscription = w
        .subscription(w.template().id(), w.buyer().create().id())
        .with("schedule", schedule)
        .with("catch_up", "skip")
        .create();
    // A run takes up 120 periods.
    for _ in 0..2 {
        w.run("issue", "2026-07-01");
    }
    let first = w.owner.get("/occurrences?sort=scheduled_on&limit=1").expect(200).items().remove(0);
    w.owner.delete(&format!("/occurrences/{}/skip", first.id())).expect(200);
    assert_eq!(w.run("issue", "2026-07-02")["counts"]["invoiced"], 2);
    assert_eq!(w.reread("/subscriptions", &subscription)["next_issue_on"], "2026-07-03");
}
