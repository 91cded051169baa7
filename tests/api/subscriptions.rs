use crate::support::{Record, World};
use serde_json::{Value, json};

fn schedule(unit: &str, anchor_on: &str, billing: &str) -> Value {
    json!({ "every": { "unit": unit, "count": 1 }, "anchor_on": anchor_on, "billing": billing })
}

fn next(subscription: &Record) -> [&Value; 3] {
    ["next_period_start_on", "next_period_end_on", "next_issue_on"].map(|name| &subscription[name])
}

#[test]
fn the_next_period_is_counted_from_the_anchor() {
    let w = World::new();
    let (template, customer) = (w.template(), w.buyer().create());
    let subscribe = |schedule: Value, starts_on: &str| {
        let draft = w.subscription(template.id(), customer.id()).with("schedule", schedule);
        draft.with("starts_on", starts_on).create()
    };
    // Monthly from 31 January: 31 January, 28 February, 31 March.
    let monthly = subscribe(schedule("month", "2026-01-31", "in_advance"), "2026-02-01");
    assert_eq!(next(&monthly), ["2026-02-28", "2026-03-31", "2026-02-28"]);
    // The month's last day, whatever it is.
    let mut last_day = schedule("month", "2026-02-28", "in_advance");
    last_day["day"] = json!("last_day");
    assert_eq!(next(&subscribe(last_day, "2026-03-01")), ["2026-03-31", "2026-04-30", "2026-03-31"]);
    // Yearly from 29 February.
    let yearly = subscribe(schedule("year", "2024-02-29", "in_advance"), "2026-01-01");
    assert_eq!(next(&yearly), ["2026-02-28", "2027-02-28", "2026-02-28"]);
    // Quarterly in arrears: due on 1 July 2026; a day before it is Tuesday, 30 June.
    let mut quarterly = schedule("quarter", "2026-01-01", "in_arrears");
    quarterly["issue_offset_days"] = json!(-1);
    assert_eq!(next(&subscribe(quarterly, "2026-04-01")), ["2026-04-01", "2026-07-01", "2026-06-30"]);
    // 1 August 2026 is a Saturday: the issue moves to Monday, the period stays.
    let mut shifted = schedule("month", "2026-08-01", "in_advance");
    shifted["issue_day_shift"] = json!("after");
    assert_eq!(next(&subscribe(shifted, "2026-08-01")), ["2026-08-01", "2026-09-01", "2026-08-03"]);
}

#[test]
fn a_subscription_issues_nothing_by_itself() {
    let w = World::new();
    let subscription = &w.subscribers(1)[0];
    assert_eq!((&subscription["state"], &subscription["next_issue_on"]), (&json!("active"), &json!("2026-01-01")));
    assert_eq!((w.count("invoices"), w.count("occurrences")), (0, 0));
}

#[test]
fn a_schedule_that_makes_no_sense_is_refused() {
    let w = World::new();
    let (template, customer) = (w.template(), w.buyer().create());
    let mut weekly = schedule("week", "2026-01-01", "in_advance");
    weekly["day"] = json!(5);
    let mut late = schedule("month", "2026-01-01", "in_advance");
    late["day"] = json!(32);
    let mut long = schedule("month", "2026-01-01", "in_advance");
    long["every"]["count"] = json!(1001);
    for (schedule, wrong) in [(weekly, "/schedule/day"), (late, "/schedule/day"), (long, "/schedule/every/count")] {
        let answer = w.subscription(template.id(), customer.id()).with("schedule", schedule).send();
        answer.refused(422, "validation_failed");
        assert!(answer.wrong()[0].starts_with(wrong), "{:?}", answer.wrong());
    }
    let mut daily = schedule("day", "2026-01-01", "in_advance");
    daily["day"] = json!("last_day");
    let draft = w.subscription(template.id(), customer.id()).with("ends_on", "2026-01-01").with("schedule", daily);
    let answer = draft.send();
    answer.refused(422, "validation_failed");
    assert_eq!(answer.wrong(), ["/ends_on too_early", "/schedule/day schedule"]);
    assert_eq!(w.count("subscriptions"), 0);
}

#[test]
fn template_and_customer_go_together_and_are_in_use() {
    let (w, other) = (World::new(), World::new());
    let (template, customer) = (w.template(), w.buyer().create());
    let overrides = json!([{ "key": "cleaning", "unit_price": "1.00" }]);
    let unknown_line = w.subscription(template.id(), customer.id()).with("line_overrides", overrides).send();
    assert_eq!(unknown_line.wrong(), ["/line_overrides/0/key line_missing"]);
    let foreign = w.buyer().with("currency", "EUR").create();
    let mismatch = w.subscription(template.id(), foreign.id()).send();
    assert_eq!(mismatch.wrong(), ["/customer_id currency_mismatch"]);
    w.owner.post(&format!("/customers/{}/archival", customer.id()), Value::Null).expect(200);
    let archived = w.subscription(template.id(), customer.id()).send();
    assert_eq!(archived.wrong(), ["/customer_id archived"]);
    let strangers = w.subscription(template.id(), other.buyer().create().id()).send();
    strangers.refused(422, "reference_not_found");
    assert_eq!(strangers.wrong(), ["/customer_id reference_not_found"]);
    assert_eq!(w.count("subscriptions"), 0);
}

#[test]
fn what_periods_follow_from_stays_once_one_is_billed() {
    let w = World::new();
    let subscription = w.subscribers(1).remove(0);
    let path = format!("/subscriptions/{}", subscription.id());
    let moved = json!({ "schedule": { "anchor_on": "2026-01-15" }, "starts_on": "2026-01-10" });
    let subscription = w.owner.at(subscription.version()).patch(&path, moved).expect(200);
    assert_eq!(next(&subscription), ["2026-01-15", "2026-02-15", "2026-01-15"]);

    w.run("issue", "2026-01-31");
    let billed = w.owner.get(&path).expect(200);
    assert_eq!(next(&billed), ["2026-02-15", "2026-03-15", "2026-02-15"]);
    let another = w.buyer().create();
    for change in [
        json!({ "schedule": { "every": { "count": 2 } } }),
        json!({ "starts_on": "2026-03-01" }),
        json!({ "customer_id": another.id() }),
    ] {
        let problem = w.owner.at(billed.version()).patch(&path, &change).refused(409, "state_invalid");
        assert_eq!(problem["state"], "billed", "{change}");
    }
    assert_eq!(w.owner.get(&path).expect(200), billed);
    let overrides = json!({ "line_overrides": [{ "key": "bookkeeping", "unit_price": "80.00" }] });
    w.owner.at(billed.version()).patch(&path, overrides).expect(200);
    w.run("issue", "2026-02-28");
    assert_eq!(w.invoices()[1]["net"], "80.00");
}

#[test]
fn an_end_leaves_no_period_and_can_be_put_off() {
    let w = World::new();
    let subscription = w.subscribers(1).remove(0);
    let path = format!("/subscriptions/{}", subscription.id());
    w.run("issue", "2026-01-31");
    let version = w.owner.get(&path).expect(200).version();
    let ended = w.owner.at(version).patch(&path, json!({ "ends_on": "2026-02-01" })).expect(200);
    assert_eq!((&ended["state"], &ended["next_issue_on"]), (&json!("ended"), &Value::Null));
    assert_eq!(w.run("issue", "2026-06-30")["counts"]["invoiced"], 0);
    let active = w.owner.at(ended.version()).patch(&path, json!({ "ends_on": "2026-03-01" })).expect(200);
    assert_eq!((&active["state"], &active["next_issue_on"]), (&json!("active"), &json!("2026-02-01")));
    // February, which starts before the end, is billed; March is not there.
    assert_eq!(w.run("issue", "2026-06-30")["counts"]["invoiced"], 1);
    assert_eq!(w.owner.get(&path).expect(200)["state"], "ended");
    assert_eq!(w.changes("subscription.ended"), 1);
}

#[test]
fn a_list_is_of_a_customer_a_template_or_a_state() {
    let w = World::new();
    let subscriptions = w.subscribers(3);
    let ended = w
        .owner
        .at(1)
        .patch(
            &format!("/subscriptions/{}", subscriptions[0].id()),
            json!({ "ends_on": "2026-01-02", "starts_on": "2026-01-01" }),
        )
        .expect(200);
    assert_eq!(ended["state"], "active");
    let listed = |query: &str| w.owner.get(&format!("/subscriptions?{query}")).expect(200).items().len();
    let customer_id = subscriptions[1]["customer_id"].as_str().unwrap();
    assert_eq!(listed(&format!("customer_id={customer_id}")), 1);
    assert_eq!(listed(&format!("template_id={}", subscriptions[0]["template_id"].as_str().unwrap())), 3);
    assert_eq!(listed("state=ended"), 0);
    w.run("issue", "2026-01-31");
    assert_eq!(listed("state=ended"), 1);
    assert_eq!(listed("next_issue_on[gte]=2026-02-01&next_issue_on[lte]=2026-02-28"), 2);
}
