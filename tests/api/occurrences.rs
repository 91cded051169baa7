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
