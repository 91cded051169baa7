//! Extra lines: what a subscription has once, on its next invoice.

use crate::support::{Record, World, at_once, execute};
use serde_json::{Value, json};

/// The lines of an invoice: text and net of each.
fn lines(invoice: &Record) -> Vec<String> {
    let told = |line: &Value| format!("{} {}", line["text"].as_str().unwrap(), line["net"].as_str().unwrap());
    invoice["lines"].as_array().unwrap().iter().map(told).collect()
}

fn open(w: &World, subscription: &Record) -> Vec<Record> {
    let path = format!("/subscriptions/{}/extra-lines?invoiced=false&sort=created_at", subscription.id());
    w.owner.get(&path).expect(200).items()
}

#[test]
fn extra_lines_are_on_the_next_invoice_and_on_no_other() {
    let w = World::new();
    let subscriptions = w.subscribers(2);
    let subscription = &subscriptions[0];
    let report = w
        .extra_line(subscription.id())
        .with("text", "Report, {{period.month}}/{{period.year}} for {{customer.name}}")
        .with("pkwiu", "69.20.23.0")
        .create();
    let discount = w.extra_line(subscription.id()).with("text", "Discount").with("unit_price", "-10.00").create();
    assert_eq!((&report["subscription_id"], &report["invoice_id"]), (&json!(subscription.id()), &Value::Null));
    assert_eq!(w.reread("/extra-lines", &report), report);

    let preview = w.run("preview", "2026-02-28");
    assert_eq!(open(&w, subscription), [report.clone(), discount.clone()]);
    let run = w.run("issue", "2026-02-28");
    // 4 × 100.00 + 50.00 − 10.00
    assert_eq!((&run["totals"], run["totals"][0]["net"].as_str()), (&preview["totals"], Some("440.00")));
    let (own, others): (Vec<_>, Vec<_>) =
        w.invoices().into_iter().partition(|it| it["subscription_id"] == subscription.id());
    assert_eq!(
        own.iter().map(lines).collect::<Vec<_>>(),
        [
            vec![
                "Bookkeeping 01/2026 100.00".to_owned(),
                "Report, 01/2026 for Piekarnia Złoty Kłos sp. z o.o. 50.00".to_owned(),
                "Discount -10.00".to_owned(),
            ],
            vec!["Bookkeeping 02/2026 100.00".to_owned()],
        ]
    );
    let key = format!("extra_{}", report.id().replace('-', ""));
    assert_eq!((&own[0]["lines"][1]["key"], &own[0]["lines"][1]["pkwiu"]), (&json!(key), &json!("69.20.23.0")));
    assert!(others.iter().all(|it| lines(it).len() == 1));
    let path = format!("/subscriptions/{}/extra-lines?invoiced=true", subscription.id());
    let billed = w.owner.get(&path).expect(200).items();
    assert_eq!(billed.iter().map(Record::id).collect::<Vec<_>>(), [discount.id(), report.id()]);
    assert!(billed.iter().all(|it| it["invoice_id"] == own[0].id() && it.version() == 2));
    // As it was written: the placeholders were filled in on the invoice.
    assert_eq!(billed[1]["text"], report["text"]);
    assert_eq!((w.changes("extra_line.created"), w.changes("extra_line.invoiced")), (2, 2));

    w.extra_line(subscription.id()).with("text", "Later").create();
    w.run("issue", "2026-03-31");
    let later = w.invoices().into_iter().find(|it| it["period_start_on"] == "2026-03-01" && lines(it).len() == 2);
    assert_eq!(lines(&later.unwrap())[1], "Later 50.00");
    assert_eq!(open(&w, subscription), []);
}

#[test]
fn they_wait_where_the_period_fails_or_is_skipped() {
    let w = World::new();
    let template = w.template();
    let customer = w.customer().create();
    let subscription = w.subscription(template.id(), customer.id()).with("catch_up", "latest").create();
    let line = w.extra_line(subscription.id()).create();
    // January is skipped, and February fails for want of an address.
    let run = w.run("issue", "2026-02-28");
    assert_eq!(run["counts"], json!({ "planned": 0, "invoiced": 0, "skipped": 1, "failed": 1 }));
    assert_eq!(open(&w, &subscription), std::slice::from_ref(&line));
    let address = json!({ "billing_address": { "line1": "ul. Nowa 1", "city": "Łódź", "country": "PL" } });
    w.owner.at(1).patch(&format!("/customers/{}", customer.id()), address).expect(200);
    w.run("issue", "2026-02-28");
    let invoices = w.invoices();
    assert_eq!(invoices.len(), 1);
    assert_eq!(lines(&invoices[0]), ["Bookkeeping 02/2026 100.00", "Implementation 50.00"]);
    assert_eq!(w.reread("/extra-lines", &line)["invoice_id"], invoices[0].id());
}

#[test]
fn they_are_billed_whole_beside_a_part_of_a_period() {
    let w = World::new();
    let subscription = w
        .subscription(w.template().id(), w.buyer().create().id())
        .with("starts_on", "2026-01-11")
        .with("prorate", true)
        .create();
    w.extra_line(subscription.id()).with("quantity", "2").with("discount_percent", "10").create();
    w.run("issue", "2026-01-31");
    // 100.00 × 21 ÷ 31 = 67.7419…; 2 × 50.00 − 10 %
    assert_eq!(lines(&w.invoices()[0]), ["Bookkeeping 01/2026 (21/31 dni) 67.74", "Implementation 90.00"]);
}

#[test]
fn what_would_bring_an_invoice_below_nothing_fails_and_waits() {
    let w = World::new();
    let subscription = &w.subscribers(1)[0];
    let line = w.extra_line(subscription.id()).with("unit_price", "-100.01").create();
    assert_eq!(w.results(&w.run("issue", "2026-01-31"))[0]["problem"], "total_negative");
    assert_eq!(open(&w, subscription), std::slice::from_ref(&line));
    w.owner.at(1).delete(&format!("/extra-lines/{}", line.id())).expect(204);
    // Nor any VAT rate of it: the template's line is at another.
    let line = w.extra_line(subscription.id()).with("unit_price", "-0.01").with("vat", json!({ "code": "8" })).create();
    assert_eq!(w.results(&w.run("issue", "2026-01-31"))[0]["problem"], "vat_total_negative");
    assert_eq!(open(&w, subscription), std::slice::from_ref(&line));
    w.owner.at(1).delete(&format!("/extra-lines/{}", line.id())).expect(204);
    assert_eq!(w.run("issue", "2026-01-31")["counts"]["invoiced"], 1);
}

#[test]
fn a_line_is_taken_back_until_it_is_billed() {
    let w = World::new();
    let subscription = &w.subscribers(1)[0];
    let [first, second] = [(), ()].map(|()| w.extra_line(subscription.id()).create());
    let path = |line: &Record| format!("/extra-lines/{}", line.id());
    w.owner.at(1).delete(&path(&first)).expect(204);
    w.owner.get(&path(&first)).refused(404, "not_found");
    w.run("issue", "2026-01-31");
    assert_eq!(w.owner.at(2).delete(&path(&second)).refused(409, "state_invalid")["state"], "invoiced");
    // The database holds it as well.
    let of_line = format!("where organization_id = '{}' and id = '{}'", w.organization_id, second.id());
    for statement in ["delete from extra_lines", "update extra_lines set invoice_id = null"] {
        let refusal = execute(&format!("{statement} {of_line}")).unwrap_err().to_string();
        assert!(refusal.contains("an extra line that was billed stays"), "{refusal}");
    }
    let other = w.subscription(subscription["template_id"].as_str().unwrap(), w.buyer().create().id()).create();
    let of_other = w.extra_line(other.id()).create();
    let strange = format!(
        "update extra_lines set invoice_id = '{}' where organization_id = '{}' and id = '{}'",
        w.invoices()[0].id(),
        w.organization_id,
        of_other.id()
    );
    let refusal = execute(&strange).unwrap_err().to_string();
    assert!(refusal.contains("on an invoice of its subscription"), "{refusal}");
    assert_eq!(w.changes("extra_line.deleted"), 1);
}

#[test]
fn as_many_lines_wait_as_an_invoice_has() {
    let w = World::new();
    let subscription = &w.subscribers(1)[0];
    let line = w.extra_line(subscription.id()).with("unit_price", "1.00");
    for _ in 0..98 {
        line.create();
    }
    let answers = at_once(4, |_| line.send());
    let (made, full): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 201);
    assert_eq!((made.len(), full.len()), (2, 2));
    for answer in full {
        assert_eq!(answer.refused(409, "state_invalid")["state"], "full");
    }
    // With the template's own line they are one too many.
    let run = w.run("preview", "2026-01-31");
    assert_eq!(w.results(&run)[0]["problem"], "too_many_lines");
    w.owner.at(1).delete(&format!("/extra-lines/{}", made[0].expect(201).id())).expect(204);
    w.run("issue", "2026-01-31");
    let invoice = &w.invoices()[0];
    assert_eq!((invoice["lines"].as_array().unwrap().len(), &invoice["net"]), (100, &json!("199.00")));
    // Those that were billed take no room.
    line.create();
}

#[test]
fn a_line_is_held_to_the_rules_of_a_template() {
    let w = World::new();
    let subscription = &w.subscribers(1)[0];
    let line = w.extra_line(subscription.id());
    for (draft, wrong) in [
        (line.clone().with("text", "{{period.moon}}"), "/text placeholder"),
        (line.clone().with("vat", json!({ "code": "zw" })), "/vat exemption_basis"),
        (line.clone().with("gtu", "GTU_14"), "/gtu pattern"),
        (line.clone().with("quantity", "0.0000"), "/quantity not_zero"),
    ] {
        let answer = draft.send();
        answer.refused(422, "validation_failed");
        assert_eq!(answer.wrong(), [wrong]);
    }
    let basis = json!({ "code": "zw", "exemption_basis": "art. 43 ust. 1 pkt 29 ustawy o VAT" });
    line.clone().with("vat", basis.clone()).create();
    // What is given for nothing is on the invoice all the same.
    line.with("unit_price", "0").create();
    w.run("issue", "2026-01-31");
    assert_eq!((&w.invoices()[0]["lines"][1]["vat"], &w.invoices()[0]["lines"][2]["net"]), (&basis, &json!("0.00")));
    assert_eq!(w.count("extra_lines"), 2);
}

#[test]
fn a_subscription_that_has_ended_takes_none() {
    let w = World::new();
    let draft = w.subscription(w.template().id(), w.buyer().create().id()).with("ends_on", "2026-01-15");
    let subscription = draft.create();
    w.run("issue", "2026-01-31");
    let problem = w.extra_line(subscription.id()).send().refused(409, "state_invalid");
    assert_eq!(problem["state"], "ended");
    assert_eq!(w.count("extra_lines"), 0);
}
