use crate::support::{Record, World, execute, now};
use chrono::Datelike;
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

#[test]
fn the_first_and_the_last_period_are_billed_by_their_days() {
    let w = World::new();
    let subscription = w
        .subscription(w.template().id(), w.buyer().create().id())
        .with("starts_on", "2026-01-11")
        .with("ends_on", "2026-04-13")
        .with("prorate", true)
        .create();
    assert_eq!(next(&subscription), ["2026-01-11", "2026-02-01", "2026-01-11"]);
    let preview = w.run("preview", "2026-04-30");
    w.run("issue", "2026-04-30");
    let invoices = w.invoices();
    let shown: Vec<_> = invoices
        .iter()
        .map(|it| {
            let line = &it["lines"][0];
            let of = |value: &Value| value.as_str().unwrap().to_owned();
            [
                &it["period_start_on"],
                &it["period_end_on"],
                &it["sold_on"],
                &line["text"],
                &line["unit_price"],
                &it["net"],
            ]
            .map(of)
            .join(", ")
        })
        .collect();
    // 100.00 × 21 ÷ 31 = 67.7419…, 100.00 × 12 ÷ 30 = 40.00
    assert_eq!(
        shown,
        [
            "2026-01-11, 2026-02-01, 2026-01-31, Bookkeeping 01/2026 (21/31 dni), 67.7419, 67.74",
            "2026-02-01, 2026-03-01, 2026-02-28, Bookkeeping 02/2026, 100.00, 100.00",
            "2026-03-01, 2026-04-01, 2026-03-31, Bookkeeping 03/2026, 100.00, 100.00",
            "2026-04-01, 2026-04-13, 2026-04-12, Bookkeeping 04/2026 (12/30 dni), 40.00, 40.00",
        ]
    );
    let previewed: Vec<_> = w.results(&preview).iter().map(|it| it["net"].clone()).collect();
    assert_eq!(previewed, ["67.74", "100.00", "100.00", "40.00"]);
    let occurrences = w.owner.get("/occurrences?sort=scheduled_on").expect(200).items();
    assert_eq!(
        [&occurrences[0]["period_start_on"], &occurrences[3]["period_end_on"]],
        [&json!("2026-01-11"), &json!("2026-04-13")]
    );
}

#[test]
fn a_prorated_start_is_found_though_it_was_whole_before() {
    let w = World::new();
    let draft = w.subscription(w.template().id(), w.buyer().create().id()).with("starts_on", "2026-01-11");
    let whole = draft.create();
    assert_eq!((&whole["prorate"], next(&whole)[0]), (&json!(false), &json!("2026-02-01")));
    let path = format!("/subscriptions/{}", whole.id());
    let prorated = w.owner.at(1).patch(&path, json!({ "prorate": true })).expect(200);
    assert_eq!(next(&prorated)[0], "2026-01-11");
    // Once billed, the end alone follows it.
    w.run("issue", "2026-02-28");
    let billed = w.owner.get(&path).expect(200);
    let whole = w.owner.at(billed.version()).patch(&path, json!({ "prorate": false })).expect(200);
    assert_eq!(next(&whole)[0], "2026-03-01");
}

#[test]
fn a_failed_part_follows_the_end_that_it_is_given() {
    let w = World::new();
    let customer = w.customer().create();
    let subscription =
        w.subscription(w.template().id(), customer.id()).with("ends_on", "2026-01-16").with("prorate", true).create();
    w.run("issue", "2026-01-31");
    let path = format!("/subscriptions/{}", subscription.id());
    let version = w.owner.get(&path).expect(200).version();
    w.owner.at(version).patch(&path, json!({ "ends_on": "2026-01-11" })).expect(200);
    let address = json!({ "billing_address": { "line1": "ul. Nowa 1", "city": "Łódź", "country": "PL" } });
    w.owner.at(1).patch(&format!("/customers/{}", customer.id()), address).expect(200);
    w.run("issue", "2026-01-31");
    let (occurrence, invoice) = (w.owner.get("/occurrences").expect(200).items().remove(0), w.invoices().remove(0));
    for end in [&occurrence["period_end_on"], &invoice["period_end_on"]] {
        assert_eq!(end, "2026-01-11");
    }
}

/// As if the pause had begun on another day than today.
fn paused_since(w: &World, subscription: &Record, paused_on: &str) {
    w.owner.post(&format!("/subscriptions/{}/pause", subscription.id()), Value::Null).expect(200);
    let id = subscription.id();
    execute(&format!("update subscriptions set paused_on = '{paused_on}' where id = '{id}'")).unwrap();
}

fn states(w: &World, subscription: &Record) -> Vec<String> {
    let path = format!("/occurrences?subscription_id={}&sort=scheduled_on&limit=200", subscription.id());
    let of = |it: &Record| format!("{} {}", it["period_start_on"].as_str().unwrap(), it["state"].as_str().unwrap());
    w.owner.get(&path).expect(200).items().iter().map(of).collect()
}

/// The first of the month that is so many months before this one.
fn months_ago(months: u32) -> String {
    let today = now().with_timezone(&chrono_tz::Europe::Warsaw).date_naive();
    today.with_day(1).unwrap().checked_sub_months(chrono::Months::new(months)).unwrap().to_string()
}

#[test]
fn a_paused_subscription_is_not_billed_and_goes_on_when_it_is_resumed() {
    let w = World::new();
    let subscription = w.subscribers(1).remove(0);
    let pause = format!("/subscriptions/{}/pause", subscription.id());
    let paused = w.owner.post(&pause, Value::Null).expect(200);
    let today = now().with_timezone(&chrono_tz::Europe::Warsaw).date_naive().to_string();
    assert_eq!((&paused["state"], &paused["paused_on"]), (&json!("paused"), &json!(today)));
    assert_eq!(w.owner.post(&pause, Value::Null).expect(200), paused);
    assert_eq!(w.run("issue", "2026-01-31")["progress"]["total"], 0);

    // What was due before the pause is due again.
    let resumed = w.owner.delete(&pause).expect(200);
    assert_eq!((&resumed["state"], &resumed["paused_on"]), (&json!("active"), &Value::Null));
    assert_eq!(next(&resumed), next(&subscription));
    assert_eq!(w.owner.delete(&pause).expect(200), resumed);
    assert_eq!((w.count("occurrences"), w.count("invoices")), (0, 0));
    assert_eq!(w.run("issue", "2026-01-31")["counts"]["invoiced"], 1);
    assert_eq!((w.changes("subscription.paused"), w.changes("subscription.resumed")), (1, 1));
}

#[test]
fn what_fell_due_in_a_pause_is_skipped_unless_told() {
    let w = World::new();
    let template = w.template();
    let mut schedule = schedule("month", &months_ago(5), "in_advance");
    let subscribe = |schedule: &Value| {
        let draft = w.subscription(template.id(), w.buyer().create().id()).with("schedule", schedule.clone());
        draft.with("starts_on", months_ago(5)).with("catch_up", "skip").create()
    };
    let resumed = |query: &str, schedule: &Value| {
        let subscription = subscribe(schedule);
        // The first was due before it.
        paused_since(&w, &subscription, &months_ago(4));
        let resumed = w.owner.delete(&format!("/subscriptions/{}/pause{query}", subscription.id())).expect(200);
        assert_eq!(resumed["next_period_start_on"], months_ago(5));
        subscription
    };
    // Twenty days after the first: the newest month is not due yet, or has been for days.
    schedule["issue_offset_days"] = json!(-1);
    let month = |months: u32, state: &str| format!("{} {state}", months_ago(months));
    let skipped = resumed("", &schedule);
    assert_eq!(
        states(&w, &skipped),
        [month(3, "skipped"), month(2, "skipped"), month(1, "skipped"), month(0, "skipped")]
    );
    let latest = resumed("?catch_up=latest", &schedule);
    assert_eq!(states(&w, &latest)[2..], [month(1, "skipped"), month(0, "planned")]);
    let all = resumed("?catch_up=all", &schedule);
    assert_eq!(states(&w, &all).iter().filter(|it| it.ends_with("planned")).count(), 4);
    assert_eq!(w.count("invoices"), 0);

    // What is planned is billed whatever the subscription says of what was missed.
    let today = now().with_timezone(&chrono_tz::Europe::Warsaw).date_naive().to_string();
    w.run("issue", &today);
    let invoiced = |subscription: &Record| -> Vec<String> {
        let states = states(&w, subscription);
        states.iter().filter_map(|it| it.strip_suffix(" invoiced").map(str::to_owned)).collect()
    };
    assert_eq!(invoiced(&latest), [months_ago(0)]);
    assert_eq!(invoiced(&all), [months_ago(3), months_ago(2), months_ago(1), months_ago(0)]);
    assert!(!invoiced(&skipped).contains(&months_ago(1)));
}

#[test]
fn a_daily_subscription_is_resumed_after_years() {
    let w = World::new();
    let subscription = w
        .subscription(w.template().id(), w.buyer().create().id())
        .with("schedule", schedule("day", "2006-01-01", "in_advance"))
        .with("starts_on", "2006-01-01")
        .create();
    paused_since(&w, &subscription, "2006-01-01");
    let resumed = w.owner.delete(&format!("/subscriptions/{}/pause", subscription.id())).expect(200);
    let today = now().with_timezone(&chrono_tz::Europe::Warsaw).date_naive();
    let days = today.signed_duration_since("2006-01-01".parse().unwrap()).num_days();
    assert_eq!((&resumed["next_issue_on"], w.count("occurrences")), (&json!(today.to_string()), days));
    assert_eq!(w.run("issue", &today.to_string())["counts"]["invoiced"], 1);
}

#[test]
fn a_pause_forgives_no_failures_and_outlasts_an_end() {
    let w = World::new();
    let subscription = w.subscription(w.template().id(), w.customer().create().id()).create();
    let path = format!("/subscriptions/{}", subscription.id());
    let pause = format!("{path}/pause");
    for _ in 0..3 {
        w.run("issue", "2026-01-31");
    }
    assert_eq!(w.owner.post(&pause, Value::Null).expect(200)["state"], "paused");
    let resumed = w.owner.delete(&pause).expect(200);
    assert_eq!((&resumed["state"], &resumed["consecutive_failures"]), (&json!("parked"), &json!(3)));

    let paused = w.owner.post(&pause, Value::Null).expect(200);
    let failed = w.owner.get("/occurrences").expect(200).items().remove(0);
    w.owner.post(&format!("/occurrences/{}/retries", failed.id()), Value::Null).expect(200);
    let paused = w.owner.at(paused.version() + 1).patch(&path, json!({ "ends_on": "2026-01-02" })).expect(200);
    assert_eq!(paused["state"], "paused");
    w.owner.post(&format!("/occurrences/{}/skip", failed.id()), json!({})).expect(200);
    let ended = w.owner.get(&path).expect(200);
    assert_eq!(ended["state"], "ended");
    assert_eq!(w.owner.post(&pause, Value::Null).expect(409)["state"], "ended");
    let put_off = w.owner.at(ended.version()).patch(&path, json!({ "ends_on": null })).expect(200);
    assert_eq!((&put_off["state"], &put_off["paused_on"]), (&json!("paused"), &paused["paused_on"]));
    assert_eq!(w.owner.delete(&pause).expect(200)["state"], "active");
}
