//! `/exchange-rates`: what VAT on invoices in other currencies is told in złoty by.

use crate::support::files::Store;
use crate::support::{Record, Server, World, eventually, line, now, scratch_database};
use opiekun_jobs::Worker;
use opiekun_persistence::{Db, migrate};
use serde_json::{Value, json};
use std::sync::Arc;

/// A template in euros, with one line of 100.00 net at 23 %.
fn in_euros(w: &World) -> Record {
    let series = w.number_series().name("Euro").with("pattern", "EU/{number}/{month}/{year}").create();
    w.invoice_template(series.id()).name("In euros").with("currency", "EUR").create()
}

fn euro_buyer(w: &World) -> Record {
    w.buyer().with("currency", "EUR").create()
}

/// The day of the table that an invoice took, and its VAT in złoty.
fn told(invoice: &Record) -> [&Value; 2] {
    [&invoice["exchange_rate"]["quoted_on"], &invoice["vat_pln"]]
}

/// What became of the periods, without the ids that differ.
fn outcomes(w: &World, run: &Record) -> Vec<[Value; 6]> {
    let of = |it: &Record| {
        ["subscription_id", "period_start_on", "problem", "currency", "net", "vat"].map(|name| it[name].clone())
    };
    w.results(run).iter().map(of).collect()
}

#[test]
fn a_currency_has_one_rate_a_day() {
    let w = World::new();
    let friday = w.exchange_rate("EUR", "2026-01-02", "4.2517").create();
    assert_eq!([&friday["rate"], &friday["source"]], ["4.2517", "NBP 226/A/NBP/2026"]);
    let monday = w.exchange_rate("EUR", "2026-01-05", "4.26").create();
    assert_eq!(monday["rate"], "4.2600");
    let dollar = w.exchange_rate("USD", "2026-01-02", "3.600001").create();
    let again = w.exchange_rate("EUR", "2026-01-02", "4.3").send();
    again.refused(409, "duplicate");
    assert_eq!(again.wrong(), ["/quoted_on duplicate"]);
    let path = format!("/exchange-rates/{}", monday.id());
    let moved = w.owner.at(1).patch(&path, json!({ "quoted_on": "2026-01-02" }));
    moved.refused(409, "duplicate");
    assert_eq!(moved.wrong(), ["/quoted_on duplicate"]);
    assert_eq!(w.owner.get(&path).expect(200), monday);
    World::new().exchange_rate("EUR", "2026-01-02", "4.2517").create();

    let list = |query: &str| {
        let page = w.owner.get(&format!("/exchange-rates?{query}")).expect(200);
        page.items().iter().map(|rate| rate.id().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(list(""), [monday.id(), dollar.id(), friday.id()], "the latest day first");
    assert_eq!(list("currency=EUR&sort=quoted_on"), [friday.id(), monday.id()]);
    assert_eq!(list("quoted_on[gte]=2026-01-03"), [monday.id()]);
    assert_eq!(list("quoted_on[lte]=2026-01-04&currency=USD"), [dollar.id()]);
}

#[test]
fn a_rate_is_changed_and_removed() {
    let w = World::new();
    let rate = w.exchange_rate("EUR", "2026-01-02", "4.2517").create();
    let path = format!("/exchange-rates/{}", rate.id());
    let changed = w.owner.at(1).patch(&path, json!({ "rate": "4.25", "currency": "CHF" })).expect(200);
    assert_eq!([&changed["rate"], &changed["currency"], &changed["quoted_on"]], ["4.2500", "CHF", "2026-01-02"]);
    w.owner.delete(&path).refused(428, "precondition_required");
    w.owner.at(1).delete(&path).refused(412, "precondition_failed");
    w.owner.at(2).delete(&path).expect(204);
    w.owner.get(&path).refused(404, "not_found");
    assert_eq!(
        ["created", "updated", "deleted"].map(|action| w.changes(&format!("exchange_rate.{action}"))),
        [1, 1, 1]
    );
}

#[test]
fn what_is_no_rate_is_refused() {
    let w = World::new();
    let of = |currency: &str, rate: &str| w.exchange_rate(currency, "2026-01-02", rate);
    for (draft, wrong) in [
        (of("PLN", "1"), "/currency currency"),
        (of("XYZ", "4.25"), "/currency value"),
        (of("EUR", "0.000000"), "/rate minimum"),
        (of("EUR", "4.2517001"), "/rate pattern"),
        (of("EUR", "-4.25"), "/rate pattern"),
        (of("EUR", "4.25").with("source", ""), "/source minLength"),
        (of("EUR", "4.25").with("source", "x".repeat(121)), "/source maxLength"),
    ] {
        let answer = draft.send();
        answer.refused(422, "validation_failed");
        assert_eq!(answer.wrong(), [wrong]);
    }
    let ahead = (now().date_naive() + chrono::Days::new(2)).to_string();
    for (quoted_on, source, wrong) in [
        (&*ahead, "ECB", "/quoted_on maximum"),
        ("2026-01-04", "NBP 1/A/NBP/2026", "/quoted_on working_day"),
        ("2026-01-06", "nbp", "/quoted_on working_day"),
    ] {
        let answer = w.exchange_rate("EUR", quoted_on, "4.25").with("source", source).send();
        answer.refused(422, "validation_failed");
        assert_eq!(answer.wrong(), [wrong], "{quoted_on} {source}");
    }
    // Other banks have other days.
    w.exchange_rate("EUR", "2026-01-06", "4.25").with("source", "ECB").create();
    let rate = of("EUR", "4.25").create();
    let moved = w.owner.at(1).patch(&format!("/exchange-rates/{}", rate.id()), json!({ "quoted_on": "2026-01-04" }));
    assert_eq!(moved.wrong(), ["/quoted_on working_day"]);
    let home = w.owner.at(1).patch(&format!("/exchange-rates/{}", rate.id()), json!({ "currency": "PLN" }));
    assert_eq!(home.wrong(), ["/currency currency"]);
    assert_eq!(w.count("exchange_rates"), 2);
}

#[test]
fn a_run_tells_vat_by_the_table_before_the_sale_or_the_issue() {
    let w = World::new();
    let template = in_euros(&w);
    w.subscription(template.id(), euro_buyer(&w).id()).with("catch_up", "all").create();
    for (day, rate) in [
        ("2026-01-05", "4.1000"),
        ("2026-01-07", "9.0000"),
        ("2026-01-29", "9.0000"),
        ("2026-01-30", "4.2517"),
        ("2026-02-27", "9.0000"),
        ("2026-03-09", "4.3000"),
        ("2026-03-10", "9.0000"),
    ] {
        w.exchange_rate("EUR", day, rate).create();
    }
    // January is billed on Wednesday the 7th; the day before is Epiphany, so Monday's table counts.
    w.run("issue", "2026-01-07");
    // February and March are billed on 10 March: the one was sold on Saturday, 28 February, the other is sold later.
    w.exchange_rate("USD", "2026-02-27", "3.6000").create();
    w.run("issue", "2026-03-10");
    let invoices = w.invoices();
    // 23.00 × 4.1 = 94.30; 23.00 × 9 = 207.00; 23.00 × 4.3 = 98.90
    let expected = [["2026-01-05", "94.30"], ["2026-02-27", "207.00"], ["2026-03-09", "98.90"]];
    assert_eq!(invoices.iter().map(told).collect::<Vec<_>>(), expected);
    assert_eq!([&invoices[0]["sold_on"], &invoices[0]["issued_on"]], ["2026-01-31", "2026-01-07"]);
    let rate = json!({ "rate": "4.1000", "quoted_on": "2026-01-05", "source": "NBP 226/A/NBP/2026" });
    assert_eq!(invoices[0]["exchange_rate"], rate);

    // In arrears, over a weekend: January ended on a Saturday.
    let arrears =
        json!({ "every": { "unit": "month", "count": 1 }, "anchor_on": "2026-01-01", "billing": "in_arrears" });
    let late = w.subscription(template.id(), euro_buyer(&w).id()).with("schedule", arrears).create();
    let run = json!({ "mode": "issue", "through_on": "2026-02-10", "issue_on": "2026-03-10", "subscription_ids": [late.id()] });
    w.run_with(run).expect(200);
    // 23.00 × 4.2517 = 97.7891
    assert_eq!(told(w.invoices().last().unwrap()), ["2026-01-30", "97.79"]);

    // What is issued keeps the rate that it was issued with.
    let of_january = w.owner.get("/exchange-rates?quoted_on[lte]=2026-01-05").expect(200).items().remove(0);
    w.owner.at(1).delete(&format!("/exchange-rates/{}", of_january.id())).expect(204);
    assert_eq!(told(&w.invoices()[0]), expected[0]);
}

#[test]
fn without_the_rate_a_subscription_fails_alone_until_it_is_there() {
    let w = World::new();
    let foreign = w.subscription(in_euros(&w).id(), euro_buyer(&w).id()).create();
    let untaxed = json!([{ "key": "books", "text": "Books", "quantity": "1", "unit": "h", "unit_price": "100.00",
                           "vat": { "code": "np_ii" } }]);
    let series = w.number_series().name("EU").with("pattern", "UE/{number}/{month}/{year}").create();
    let template = w.invoice_template(series.id()).name("EU").with("currency", "EUR").with("lines", untaxed).create();
    w.subscription(template.id(), euro_buyer(&w).id()).create();
    w.subscribers(1);
    // Another day's table will not do, however near.
    for day in ["2026-01-02", "2026-01-06", "2026-01-07"] {
        w.exchange_rate("EUR", day, "4.0000").with("source", "ECB").create();
    }
    w.exchange_rate("USD", "2026-01-05", "3.6000").create();
    let preview = w.run("preview", "2026-01-07");
    let run = w.run("issue", "2026-01-07");
    assert_eq!(run["counts"], json!({ "planned": 0, "invoiced": 2, "skipped": 0, "failed": 1 }));
    assert_eq!(outcomes(&w, &preview), outcomes(&w, &run));
    let occurrence = w.owner.get("/occurrences?state=failed").expect(200).items().remove(0);
    assert_eq!([&occurrence["subscription_id"], &occurrence["problem"]], [foreign.id(), "exchange_rate_missing"]);
    // Without Polish VAT there is nothing to tell in złoty, and no rate is needed.
    assert!(w.invoices().iter().all(|it| it["exchange_rate"].is_null() && it["vat_pln"].is_null()));

    w.exchange_rate("EUR", "2026-01-05", "4.1000").create();
    w.owner.post(&format!("/occurrences/{}/retries", occurrence.id()), Value::Null).expect(200);
    let preview = w.run("preview", "2026-01-07");
    assert_eq!(preview["counts"]["planned"], 1);
    let retried = w.run("issue", "2026-01-07");
    assert_eq!((&retried["status"], &retried["counts"]["invoiced"]), (&json!("succeeded"), &json!(1)));
    assert_eq!(outcomes(&w, &preview), outcomes(&w, &retried));
    assert_eq!(retried["totals"], preview["totals"]);
    assert_eq!(told(w.invoices().last().unwrap()), ["2026-01-05", "94.30"]);
    assert_eq!(w.reread("/occurrences", &occurrence)["state"], "invoiced");
}

#[test]
fn a_run_drafts_without_the_rate_and_the_draft_takes_it_when_it_is_issued() {
    let w = World::new();
    w.subscription(in_euros(&w).id(), euro_buyer(&w).id()).create();
    assert_eq!(w.run("preview", "2026-01-07")["counts"]["failed"], 1);
    let run = w.run("draft", "2026-01-07");
    assert_eq!(run["counts"], json!({ "planned": 0, "invoiced": 1, "skipped": 0, "failed": 0 }));
    let draft = w.invoices().remove(0);
    assert_eq!((&draft["gross"], told(&draft)), (&json!("123.00"), [&Value::Null, &Value::Null]));
    let problem = w.issue_answer(&draft, json!({ "issued_on": "2026-01-07" })).refused(409, "state_invalid");
    assert_eq!(problem["state"], "exchange_rate_missing");
    w.exchange_rate("EUR", "2026-01-05", "4.1000").create();
    // 23.00 × 4.1
    assert_eq!(told(&w.issue(&draft, "2026-01-07")), ["2026-01-05", "94.30"]);
}

#[test]
fn a_batch_asks_for_its_rates_once_and_only_where_it_bills_abroad() {
    let database = scratch_database();
    migrate(&database.url).unwrap();
    let asked = || {
        // Sessions have told what they did when they have ended.
        let sessions = "select count(*) from pg_stat_activity where datname = current_database()
                        and backend_type = 'client backend' and pid <> pg_backend_pid()";
        eventually("the end of all sessions", || {
            (database.text_rows(sessions) == [Some("0".to_owned())]).then_some(())
        });
        let scans = "select seq_scan + coalesce(idx_scan, 0) from pg_stat_user_tables where relname = 'exchange_rates'";
        database.text_rows(scans)[0].as_ref().unwrap().parse::<u32>().unwrap()
    };
    let before = asked();
    let db = Db::connect(&database.url, 8).unwrap();
    let worker = Worker::start(&db, now, Store::folder());
    let wake = Arc::new(worker.waker());
    let server = Server::over(&db, |settings| settings.wake = wake);
    let w = World::within(&db, |_| {}).on(&server);
    w.subscribers(3);
    let run = w.run("issue", "2026-01-05");
    assert_eq!((&run["status"], &run["counts"]["invoiced"]), (&json!("succeeded"), &json!(3)));
    let template = in_euros(&w);
    for _ in 0..3 {
        w.subscription(template.id(), euro_buyer(&w).id()).create();
    }
    for day in ["2026-01-29", "2026-01-30"] {
        w.exchange_rate("EUR", day, "4.2000").create();
    }
    // January is caught up with: it ended on a Saturday, and the issue is on the Monday after it.
    let run = w.run("issue", "2026-02-02");
    assert_eq!((&run["status"], &run["counts"]["invoiced"]), (&json!("succeeded"), &json!(9)));
    worker.stop();
    drop((w, server, db));
    assert_eq!(asked() - before, 1);
}

#[test]
fn a_draft_without_a_rate_takes_that_of_the_table_when_it_is_issued() {
    let w = World::new();
    let series = w.series("invoice");
    let draft = |sold_on: &str| {
        w.invoice_draft(w.buyer().create().id(), series.id()).with("currency", "EUR").with("sold_on", sold_on)
    };
    let early = draft("2026-01-12").create();
    let issue = json!({ "issued_on": "2026-01-14" });
    let missing = w.issue_answer(&early, issue.clone()).refused(409, "state_invalid");
    assert_eq!(missing["state"], "exchange_rate_missing");
    w.exchange_rate("EUR", "2026-01-13", "9.0000").create();
    w.issue_answer(&early, issue).refused(409, "state_invalid");
    // Sold on a Monday; sold later than it is issued, the day before the issue counts.
    w.exchange_rate("EUR", "2026-01-09", "4.2517").create();
    let issued = w.issue(&early, "2026-01-14");
    assert_eq!(told(&issued), ["2026-01-09", "97.79"]);
    assert_eq!(issued["vat_totals"][0]["vat_pln"], "97.79");
    assert_eq!(told(&w.issue(&draft("2026-01-31").create(), "2026-01-14")), ["2026-01-13", "207.00"]);

    let own = json!({ "rate": "4.0000", "quoted_on": "2026-01-08", "source": "ECB" });
    let given = draft("2026-01-12").with("exchange_rate", own.clone()).create();
    let issued = w.issue(&given, "2026-01-14");
    assert_eq!((&issued["exchange_rate"], &issued["vat_pln"]), (&own, &json!("92.00")));

    let offer = w
        .invoice_draft(w.buyer().create().id(), w.series("pro_forma").id())
        .with("kind", "pro_forma")
        .with("currency", "EUR")
        .with("sold_on", "2026-01-12")
        .create();
    assert_eq!(told(&w.issue(&offer, "2026-01-14")), [&Value::Null, &Value::Null]);
}

#[test]
fn a_correction_that_charges_vat_takes_the_rate_that_its_invoice_would_have_had() {
    let w = World::new();
    let mut untaxed = line("1", "100.00");
    untaxed["vat"] = json!({ "code": "np_ii" });
    let draft = w
        .invoice_draft(w.buyer().create().id(), w.series("invoice").id())
        .with("currency", "EUR")
        .with("sold_on", "2026-01-12")
        .with("lines", json!([untaxed]))
        .create();
    let invoice = w.issue(&draft, "2026-01-14");
    assert_eq!(told(&invoice), [&Value::Null, &Value::Null]);
    let series = w.series("correction");
    let correct = |quantity: &str| {
        let body = json!({ "series_id": series.id(), "reason": "Polish VAT", "changed_lines": [
            { "position": 1, "quantity": quantity, "vat": { "code": "23" } },
        ] });
        w.owner.once(uuid::Uuid::now_v7()).post(&format!("/invoices/{}/corrections", invoice.id()), body).expect(201)
    };
    let without = correct("1");
    let missing = w.issue_answer(&without, json!({ "issued_on": "2026-02-10" })).refused(409, "state_invalid");
    assert_eq!(missing["state"], "exchange_rate_missing");
    w.owner.at(without.version()).delete(&format!("/invoices/{}", without.id())).expect(204);

    let rate = w.exchange_rate("EUR", "2026-01-09", "4.2517").create();
    w.exchange_rate("EUR", "2026-02-09", "9.0000").create();
    let first = correct("1");
    // 23.00 × 4.2517 = 97.7891
    assert_eq!(told(&first), ["2026-01-09", "97.79"]);
    assert_eq!(told(&w.issue(&first, "2026-02-10")), ["2026-01-09", "97.79"]);
    // The next one goes on at the same rate, whatever has become of the table.
    w.owner.at(1).patch(&format!("/exchange-rates/{}", rate.id()), json!({ "rate": "5.0000" })).expect(200);
    // 46.00 × 4.2517 = 195.5782, less 97.79
    assert_eq!(told(&correct("2")), ["2026-01-09", "97.79"]);
}
