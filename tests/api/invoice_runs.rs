use crate::support::files::Store;
use crate::support::{Record, World, at_once, eventually, execute, now, text_rows};
use opiekun_jobs::Worker;
use serde_json::{Value, json};

/// What a run made of periods, without the ids that differ.
fn amounts(results: &[Record]) -> Vec<[Value; 6]> {
    let of = |it: &Record| {
        ["subscription_id", "period_start_on", "scheduled_on", "net", "vat", "gross"].map(|name| it[name].clone())
    };
    results.iter().map(of).collect()
}

fn numbers(w: &World) -> Vec<i64> {
    let number = |it: &Record| it["number"].as_str().unwrap().split('/').nth(1).unwrap().parse().unwrap();
    let mut numbers: Vec<i64> = w.invoices().iter().map(number).collect();
    numbers.sort_unstable();
    numbers
}

#[test]
fn a_preview_shows_what_an_issue_does_and_does_nothing() {
    let w = World::new();
    let subscriptions = w.subscribers(4);
    let archived = subscriptions[3]["customer_id"].as_str().unwrap();
    w.owner.post(&format!("/customers/{archived}/archival"), Value::Null).expect(200);
    let overrides =
        json!({ "line_overrides": [{ "key": "bookkeeping", "unit_price": "33.33", "discount_percent": "5" }] });
    w.owner.at(1).patch(&format!("/subscriptions/{}", subscriptions[0].id()), overrides).expect(200);
    let before: Vec<_> = subscriptions.iter().map(|it| w.reread("/subscriptions", it)).collect();

    let preview = w.run("preview", "2026-03-31");
    assert_eq!(preview["counts"], json!({ "planned": 9, "invoiced": 0, "skipped": 0, "failed": 1 }));
    assert_eq!((w.count("invoices"), w.count("occurrences"), w.count("number_counters")), (0, 0, 0));
    assert_eq!(subscriptions.iter().map(|it| w.reread("/subscriptions", it)).collect::<Vec<_>>(), before);

    let issue = w.run("issue", "2026-03-31");
    assert_eq!(issue["counts"], json!({ "planned": 0, "invoiced": 9, "skipped": 0, "failed": 1 }));
    assert_eq!(issue["totals"], preview["totals"]);
    assert_eq!(issue["status"], "partially_failed");
    assert_eq!(amounts(&w.results(&issue)), amounts(&w.results(&preview)));
    let invoices = w.invoices();
    for result in w.results(&issue).iter().filter(|it| it["outcome"] == "invoiced") {
        let invoice = invoices.iter().find(|it| it.id() == result["invoice_id"]).unwrap();
        assert_eq!((&invoice["net"], &invoice["gross"]), (&result["net"], &result["gross"]));
    }
}

#[test]
fn what_is_billed_is_not_billed_again() {
    let w = World::new();
    w.subscribers(3);
    let run = w.run("issue", "2026-01-31");
    assert_eq!((&run["status"], &run["counts"]["invoiced"]), (&json!("succeeded"), &json!(3)));
    for mode in ["issue", "preview"] {
        let again = w.run(mode, "2026-01-31");
        assert_eq!(again["status"], "succeeded");
        assert_eq!(again["counts"], json!({ "planned": 0, "invoiced": 0, "skipped": 0, "failed": 0 }));
        assert_eq!(again["progress"], json!({ "done": 0, "failed": 0, "total": 0 }));
        assert_eq!((&again["totals"], w.results(&again).len()), (&json!([]), 0));
    }
    assert_eq!((w.count("invoices"), w.changes("invoice.issued")), (3, 3));
}

#[test]
fn a_run_is_accepted_and_followed_to_its_end() {
    let w = World::new();
    w.subscribers(2);
    let body = json!({ "mode": "issue", "through_on": "2026-01-31", "issue_on": "2026-01-31" });
    let accepted = w.owner.post("/invoice-runs", &body);
    let run = accepted.expect(202);
    let location = accepted.header("location").unwrap().to_owned();
    assert_eq!(
        (location.as_str(), accepted.header("retry-after")),
        (&*format!("/api/v1/invoice-runs/{}", run.id()), Some("1"))
    );
    assert_eq!((&run["kind"], &run["status"], &run["result"]), (&json!("invoice_run"), &json!("queued"), &Value::Null));
    let waited = w.owner.with("Prefer", "respond-async, wait=30").get(&location);
    assert_eq!(waited.header("preference-applied"), Some("wait=30"));
    let finished = waited.expect(200);
    assert_eq!(finished["status"], "succeeded");
    assert_eq!(finished["progress"], json!({ "done": 2, "failed": 0, "total": 2 }));
    assert_eq!(finished["result"], format!("{location}/results"));
    for moment in ["created_at", "started_at", "finished_at"] {
        assert!(finished[moment].is_string(), "{moment}");
    }
    assert_eq!(w.owner.get("/invoice-runs?status=succeeded&mode=issue").expect(200).items(), [finished]);
    assert_eq!(w.changes("invoice_run.succeeded"), 1);
}

#[test]
fn a_script_waits_for_the_end_and_repeats_its_call_safely() {
    let w = World::new();
    w.subscribers(2);
    let script = w.api_key(&["billing:read", "billing:write"]).once("night-2026-01-31").with("Prefer", "wait=30");
    let body = json!({ "mode": "issue", "through_on": "2026-01-31", "issue_on": "2026-01-31" });
    let first = script.post("/invoice-runs", &body);
    let again = script.post("/invoice-runs", &body);
    assert_eq!(first.expect(200), again.expect(200));
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(first.header("location"), again.header("location"));
    assert_eq!((w.count("invoice_runs"), w.count("invoices")), (1, 2));
}

#[test]
fn one_bad_subscription_fails_alone_and_is_tried_again_first() {
    let w = World::new();
    let subscriptions = w.subscribers(3);
    let customer = format!("/customers/{}", subscriptions[1]["customer_id"].as_str().unwrap());
    let homeless = w.owner.at(1).patch(&customer, json!({ "billing_address": null })).expect(200);
    let run = w.run("issue", "2026-01-31");
    assert_eq!(run["status"], "partially_failed");
    assert_eq!(run["counts"], json!({ "planned": 0, "invoiced": 2, "skipped": 0, "failed": 1 }));
    assert_eq!(run["progress"], json!({ "done": 3, "failed": 1, "total": 3 }));
    let failed = w.owner.get(&format!("/invoice-runs/{}/results?outcome=failed", run.id())).expect(200).items();
    assert_eq!(
        (&failed[0]["subscription_id"], &failed[0]["problem"]),
        (&json!(subscriptions[1].id()), &json!("buyer_address_missing"))
    );

    let address = json!({ "billing_address": { "line1": "ul. Nowa 1", "city": "Łódź", "country": "PL" } });
    w.owner.at(homeless.version()).patch(&customer, address).expect(200);
    // The catch-up rule skips what was missed; what failed was not missed.
    let path = format!("/subscriptions/{}", subscriptions[1].id());
    let version = w.owner.get(&path).expect(200).version();
    w.owner.at(version).patch(&path, json!({ "catch_up": "latest" })).expect(200);
    w.run("issue", "2026-04-30");
    let path = format!("/occurrences?subscription_id={}&sort=scheduled_on", subscriptions[1].id());
    let states: Vec<_> =
        w.owner.get(&path).expect(200).items().iter().map(|it| (it["state"].clone(), it["attempts"].clone())).collect();
    let (invoiced, skipped) = (json!("invoiced"), json!("skipped"));
    assert_eq!(
        states,
        [(invoiced.clone(), json!(2)), (skipped.clone(), json!(0)), (skipped, json!(0)), (invoiced, json!(1))]
    );
    assert_eq!(w.reread("/subscriptions", &subscriptions[1])["consecutive_failures"], 0);
}

#[test]
fn what_fails_three_runs_in_a_row_is_parked() {
    let w = World::new();
    let subscription = w.subscribers(1).remove(0);
    let template = format!("/invoice-templates/{}", subscription["template_id"].as_str().unwrap());
    w.owner.post(&format!("{template}/archival"), Value::Null).expect(200);
    for failures in 1..=3 {
        let run = w.run("issue", "2026-01-31");
        assert_eq!(run["counts"]["failed"], 1);
        assert_eq!(w.reread("/subscriptions", &subscription)["consecutive_failures"], failures);
    }
    assert_eq!(w.reread("/subscriptions", &subscription)["state"], "parked");
    assert_eq!(w.run("issue", "2026-01-31")["counts"]["failed"], 0);
    let occurrences = w.owner.get("/occurrences").expect(200).items();
    assert_eq!(occurrences.len(), 1);
    assert_eq!((&occurrences[0]["problem"], &occurrences[0]["attempts"]), (&json!("template_archived"), &json!(3)));
    assert_eq!(w.changes("subscription.parked"), 1);
}

#[test]
fn what_only_the_database_refuses_fails_alone_too() {
    let w = World::new();
    let subscriptions = w.subscribers(3);
    let series = w.number_series().name("B").with("pattern", "B/{number}/{month}/{year}").create();
    let other = w.invoice_template(series.id()).name("Other").create();
    let path = format!("/subscriptions/{}", subscriptions[1].id());
    w.owner.at(1).patch(&path, json!({ "template_id": other.id() })).expect(200);
    // Lines that no version of Opiekun has written.
    execute(&format!("update invoice_templates set lines = '[{{}}]' where id = '{}'", other.id())).unwrap();
    let run = w.run("issue", "2026-01-31");
    assert_eq!(run["counts"], json!({ "planned": 0, "invoiced": 2, "skipped": 0, "failed": 1 }));
    assert_eq!(numbers(&w), [1, 2]);
    let occurrences = w.owner.get("/occurrences?state=failed").expect(200).items();
    assert_eq!(
        (&occurrences[0]["subscription_id"], &occurrences[0]["problem"]),
        (&json!(subscriptions[1].id()), &json!("internal"))
    );
}

#[test]
fn missed_periods_are_billed_as_the_subscription_says() {
    let w = World::new();
    let template = w.template();
    let subscribe =
        |catch_up: &str| w.subscription(template.id(), w.buyer().create().id()).with("catch_up", catch_up).create();
    let (all, latest, skip) = (subscribe("all"), subscribe("latest"), subscribe("skip"));
    let ended = w
        .subscription(template.id(), w.buyer().create().id())
        .with("catch_up", "skip")
        .with("ends_on", "2026-02-15")
        .create();
    let run = w.run("issue", "2026-03-15");
    assert_eq!(run["counts"], json!({ "planned": 0, "invoiced": 5, "skipped": 6, "failed": 0 }));
    let billed = |subscription: &Record| {
        let mut billed: Vec<_> = w
            .invoices()
            .iter()
            .filter(|it| it["subscription_id"] == subscription.id())
            .map(|it| it["period_start_on"].as_str().unwrap().to_owned())
            .collect();
        billed.sort();
        billed
    };
    assert_eq!(billed(&all), ["2026-01-01", "2026-02-01", "2026-03-01"]);
    assert_eq!(billed(&latest), ["2026-03-01"]);
    assert_eq!(billed(&skip), ["2026-03-01"]);
    // Its last period is a full cycle late: the next one, had it not ended, would be due.
    assert_eq!(billed(&ended), Vec::<String>::new());
    assert_eq!(w.reread("/subscriptions", &ended)["state"], "ended");
    // A caught-up invoice is dated the day it is issued.
    assert!(w.invoices().iter().all(|it| it["issued_on"] == "2026-03-15"));
}

#[test]
fn a_run_is_for_chosen_subscriptions_templates_or_customers() {
    let w = World::new();
    let subscriptions = w.subscribers(4);
    let issue = |chosen: Value| {
        let mut body = json!({ "mode": "issue", "through_on": "2026-01-31", "issue_on": "2026-01-31" });
        body.as_object_mut().unwrap().extend(chosen.as_object().unwrap().clone());
        w.run_with(body).expect(200)["counts"]["invoiced"].as_i64().unwrap()
    };
    let [first, second, third, _] = [0, 1, 2, 3].map(|at: usize| subscriptions[at].id());
    assert_eq!(issue(json!({ "subscription_ids": [first, second] })), 2);
    assert_eq!(
        issue(json!({ "customer_ids": [subscriptions[2]["customer_id"]], "subscription_ids": [first, third] })),
        1
    );
    assert_eq!(issue(json!({ "template_ids": [subscriptions[0]["template_id"]] })), 1);
    assert_eq!(numbers(&w), [1, 2, 3, 4]);

    let stranger = World::new().subscribers(1).remove(0);
    let answer = w.run_with(json!({ "mode": "preview", "subscription_ids": [first, stranger.id()] }));
    answer.refused(422, "reference_not_found");
    assert_eq!(answer.wrong(), ["/subscription_ids/1 reference_not_found"]);
}

#[test]
fn no_invoice_is_dated_before_the_last_of_its_series_nor_ahead() {
    let w = World::new();
    w.subscribers(2);
    w.run("issue", "2026-02-28");
    let late = json!({ "mode": "issue", "through_on": "2026-03-31", "issue_on": "2026-02-27" });
    let run = w.run_with(late.clone()).expect(200);
    assert_eq!((&run["status"], &run["problem"]["code"]), (&json!("failed"), &json!("issued_before_last")));
    let mut preview = late;
    preview["mode"] = json!("preview");
    assert_eq!(w.run_with(preview).expect(200)["problem"]["code"], "issued_before_last");
    assert_eq!((w.count("invoices"), w.count("occurrences")), (4, 4));
    // The same day goes, and takes the next numbers.
    let body = json!({ "mode": "issue", "through_on": "2026-03-31", "issue_on": "2026-02-28" });
    assert_eq!(w.run_with(body).expect(200)["status"], "succeeded");
    assert_eq!(numbers(&w), [1, 2, 3, 4, 5, 6]);

    let ahead = w.run_with(json!({ "mode": "issue", "issue_on": "9999-01-01" }));
    ahead.refused(422, "validation_failed");
    assert_eq!(ahead.wrong(), ["/issue_on too_late"]);
}

#[test]
fn today_is_the_organizations_own_day() {
    // Never the same day: they are 25 hours apart.
    let days = ["Pacific/Kiritimati", "Pacific/Pago_Pago"].map(|zone| {
        let run =
            World::with(|fields| fields.time_zone = zone.to_owned()).run_with(json!({ "mode": "preview" })).expect(200);
        assert_eq!(run["through_on"], run["issue_on"]);
        run["issue_on"].as_str().unwrap().to_owned()
    });
    assert!(days[0] > days[1], "{days:?}");
}

#[test]
fn numbers_begin_again_with_the_month_and_follow_the_subscriptions() {
    let w = World::new();
    let subscriptions = w.subscribers(3);
    w.run("issue", "2026-01-31");
    w.run("issue", "2026-02-01");
    let listed: Vec<_> = w.invoices().iter().map(|it| (it["number"].clone(), it["subscription_id"].clone())).collect();
    let expected: Vec<_> = ["01", "02"]
        .iter()
        .flat_map(|month| {
            (1..)
                .zip(&subscriptions)
                .map(move |(number, it)| (json!(format!("FV/{number}/{month}/2026")), json!(it.id())))
        })
        .collect();
    assert_eq!(listed, expected);
}

#[test]
fn ten_runs_at_once_give_each_period_one_invoice() {
    let w = World::new();
    w.subscribers(30);
    // Nodes beside the one that all tests have.
    let nodes: Vec<Worker> = (0..3).map(|_| Worker::start(w.db(), now, Store::folder())).collect();
    let runs = at_once(10, |_| w.run("issue", "2026-02-28"));
    nodes.into_iter().for_each(Worker::stop);
    let invoiced: i64 = runs.iter().map(|run| run["counts"]["invoiced"].as_i64().unwrap()).sum();
    assert_eq!(invoiced, 60);
    assert!(runs.iter().all(|run| run["status"] == "succeeded"), "{runs:?}");
    assert_eq!(numbers(&w), (1..=60).collect::<Vec<_>>());
    assert_eq!((w.count("invoices"), w.count("occurrences"), w.count("invoice_lines")), (60, 60, 60));
}

#[test]
fn a_run_waits_for_a_subscription_that_somebody_is_changing() {
    let w = World::new();
    let subscriptions = w.subscribers(3);
    let held = w.write(|tx| {
        let held = opiekun_persistence::subscriptions::lock(tx, subscriptions[1].id().parse().unwrap(), None)?;
        let run = w
            .owner
            .post("/invoice-runs", json!({ "mode": "issue", "through_on": "2026-01-31", "issue_on": "2026-01-31" }))
            .expect(202);
        eventually("the others to be billed", || (w.count("invoices") == 2).then_some(()));
        assert_eq!(w.reread("/invoice-runs", &run)["status"], "running");
        assert_eq!(held.id.to_string(), subscriptions[1].id());
        Ok(run)
    });
    let run = w.owner.with("Prefer", "wait=30").get(&format!("/invoice-runs/{}", held.id())).expect(200);
    assert_eq!((&run["status"], &run["counts"]["invoiced"]), (&json!("succeeded"), &json!(3)));
}

#[test]
fn a_cancelled_run_stops_and_another_goes_on() {
    let w = World::new();
    let subscriptions = w.subscribers(3);
    let run = w.write(|tx| {
        // What it waits for keeps the run from ending.
        opiekun_persistence::subscriptions::lock(tx, subscriptions[1].id().parse().unwrap(), None)?;
        let run = w
            .owner
            .post("/invoice-runs", json!({ "mode": "issue", "through_on": "2026-02-28", "issue_on": "2026-01-31" }))
            .expect(202);
        eventually("the others to be billed", || (w.count("invoices") == 4).then_some(()));
        let cancellation = format!("/invoice-runs/{}/cancellation", run.id());
        let cancelled = w.owner.post(&cancellation, Value::Null).expect(200);
        assert!(cancelled["cancel_requested_at"].is_string());
        assert_eq!(w.owner.post(&cancellation, Value::Null).expect(200)["version"], cancelled["version"]);
        Ok(run)
    });
    let run = w.owner.with("Prefer", "wait=30").get(&format!("/invoice-runs/{}", run.id())).expect(200);
    // It was waiting within its last batch, which it ends; nothing is half done.
    assert!(["cancelled", "succeeded"].contains(&run["status"].as_str().unwrap()), "{run:?}");
    w.run_with(json!({ "mode": "issue", "through_on": "2026-02-28", "issue_on": "2026-01-31" })).expect(200);
    assert_eq!(numbers(&w), [1, 2, 3, 4, 5, 6]);
}

#[test]
fn a_finished_run_cannot_be_cancelled() {
    let w = World::new();
    let run = w.run("issue", "2026-01-31");
    let problem =
        w.owner.post(&format!("/invoice-runs/{}/cancellation", run.id()), Value::Null).refused(409, "state_invalid");
    assert_eq!(problem["state"], "succeeded");
    assert_eq!(w.reread("/invoice-runs", &run), run);
}

#[test]
fn a_daily_subscription_catches_up_a_part_a_run() {
    let w = World::new();
    let template = w.template();
    let daily = json!({ "every": { "unit": "day", "count": 1 }, "anchor_on": "2026-01-01", "billing": "in_advance" });
    w.subscription(template.id(), w.buyer().create().id()).with("schedule", daily).create();
    let issue =
        || w.run_with(json!({ "mode": "issue", "through_on": "2026-07-19", "issue_on": "2026-01-31" })).expect(200);
    assert_eq!(
        [issue(), issue(), issue()].map(|run| run["counts"]["invoiced"].clone()),
        [json!(120), json!(80), json!(0)]
    );
    assert_eq!(numbers(&w), (1..=200).collect::<Vec<_>>());
}

#[test]
fn every_issue_is_told_once_and_by_whom() {
    let w = World::new();
    w.subscribers(2);
    let script = w.api_key(&["billing:write"]);
    script
        .with("Prefer", "wait=30")
        .post("/invoice-runs", json!({ "mode": "issue", "through_on": "2026-01-31", "issue_on": "2026-01-31" }))
        .expect(200);
    let actors = text_rows(&format!(
        "select actor_kind || ' ' || actor_id from audit_entries where organization_id = '{}' and resource_type = 'invoice'",
        w.organization_id
    ));
    assert_eq!(actors, vec![Some(format!("api_key {}", script.id)); 2]);
}

#[test]
fn an_invoice_that_the_totals_of_a_run_have_no_room_for_fails_alone() {
    let w = World::new();
    let series = w.number_series().create();
    let line = json!({ "key": "tower", "text": "A tower", "quantity": "60", "unit": "pcs",
                       "unit_price": "999999999999.99", "vat": { "code": "0" } });
    let towers = w.invoice_template(series.id()).name("Towers").with("lines", json!([line])).create();
    let books = w.invoice_template(series.id()).create();
    let buyer = w.buyer().create();
    for template in [&towers, &towers, &books] {
        w.subscription(template.id(), buyer.id()).create();
    }
    let preview = w.run("preview", "2026-01-31");
    assert_eq!(preview["counts"], json!({ "planned": 2, "invoiced": 0, "skipped": 0, "failed": 1 }));
    let run = w.run("issue", "2026-01-31");
    assert_eq!((&run["status"], &run["problem"]), (&json!("partially_failed"), &Value::Null));
    assert_eq!(run["counts"], json!({ "planned": 0, "invoiced": 2, "skipped": 0, "failed": 1 }));
    let failed = w.results(&run).into_iter().find(|it| it["outcome"] == "failed").unwrap();
    assert_eq!(failed["problem"], "amount_overflow");
    // The next run's totals have room for it.
    assert_eq!(w.run("issue", "2026-01-31")["counts"]["invoiced"], 1);
    assert_eq!(numbers(&w), [1, 2, 3]);
}

#[test]
fn the_period_that_fails_is_one_that_was_to_be_billed() {
    let w = World::new();
    let series = w.number_series().create();
    let line = json!({ "key": "tower", "text": "A tower", "quantity": "60", "unit": "pcs",
                       "unit_price": "999999999999.99", "vat": { "code": "0" } });
    let towers = w.invoice_template(series.id()).with("lines", json!([line])).create();
    let buyer = w.buyer().create();
    for _ in 0..2 {
        w.subscription(towers.id(), buyer.id()).with("catch_up", "latest").create();
    }
    let run = w.run("issue", "2026-03-31");
    assert_eq!(run["counts"], json!({ "planned": 0, "invoiced": 1, "skipped": 4, "failed": 1 }));
    let failed = w.results(&run).into_iter().find(|it| it["outcome"] == "failed").unwrap();
    assert_eq!(failed["period_start_on"], "2026-03-01");
    let again = w.run("issue", "2026-03-31");
    assert_eq!(again["counts"], json!({ "planned": 0, "invoiced": 1, "skipped": 0, "failed": 0 }));
}
