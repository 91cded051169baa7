use crate::support::{Record, World};
use serde_json::{Value, json};
use uuid::Uuid;

/// A customer who was invoiced 123.00 on 20 January and 246.00 on 10 February, of which 123.00 were corrected on
/// 1 March, and who paid 100.00 on 10 February and 50.00 on 5 March.
fn customer_with_account(w: &World) -> (Record, [String; 5]) {
    let (customer, series) = (w.buyer().create(), w.series("invoice"));
    let draft = || w.invoice_draft(customer.id(), series.id());
    let first = w.issue(&draft().create(), "2026-01-20");
    let two = json!([crate::support::line("2", "100.00")]);
    let second = w.issue(&draft().with("lines", two).create(), "2026-02-10");
    let correction = json!({
        "series_id": w.series("correction").id(), "reason": "Mistake",
        "changed_lines": [{ "position": 1, "quantity": "1" }],
    });
    let path = format!("/invoices/{}/corrections", second.id());
    let correction = w.issue(&w.owner.once(Uuid::now_v7()).post(&path, correction).expect(201), "2026-03-01");
    let pay =
        |amount: &str, on: &str| w.payment(customer.id(), amount).with("paid_on", on).with("reference", on).create();
    let (early, late) = (pay("100.00", "2026-02-10"), pay("50.00", "2026-03-05"));
    // What is no part of the account: a draft, a pro forma, another currency, another customer.
    draft().create();
    let pro_forma = w.invoice_draft(customer.id(), w.series("pro_forma").id()).with("kind", "pro_forma").create();
    w.issue(&pro_forma, "2026-02-01");
    w.payment(customer.id(), "7.00").with("currency", "EUR").create();
    w.issue(&w.invoice_draft(w.buyer().create().id(), series.id()).create(), "2026-02-11");
    (customer, [first, second, early, correction, late].map(|record| record.id().to_owned()))
}

fn told(statement: &Record) -> Vec<[&str; 4]> {
    let entries = statement["entries"].as_array().unwrap().iter();
    entries.map(|it| ["entered_on", "kind", "amount", "balance"].map(|name| it[name].as_str().unwrap())).collect()
}

fn sums(statement: &Record) -> [&Value; 4] {
    ["opening_balance", "invoiced", "paid", "closing_balance"].map(|name| &statement[name])
}

#[test]
fn an_account_runs_from_its_opening_to_its_closing_balance() {
    let w = World::new();
    let (customer, ids) = customer_with_account(&w);
    let of = |query: &str| w.owner.get(&format!("/customers/{}/statement?{query}", customer.id())).expect(200);
    let whole = of("from_on=2026-01-01&to_on=2026-12-31");
    assert_eq!(
        told(&whole),
        [
            ["2026-01-20", "invoice", "123.00", "123.00"],
            ["2026-02-10", "invoice", "246.00", "369.00"],
            ["2026-02-10", "payment", "-100.00", "269.00"],
            ["2026-03-01", "correction", "-123.00", "146.00"],
            ["2026-03-05", "payment", "-50.00", "96.00"],
        ]
    );
    let entries = whole["entries"].as_array().unwrap();
    assert_eq!(entries.iter().map(|it| it["id"].as_str().unwrap()).collect::<Vec<_>>(), ids);
    assert_eq!((&entries[0]["text"], &entries[4]["text"]), (&json!("i1/01/2026"), &json!("2026-03-05")));
    assert_eq!(sums(&whole), ["0.00", "246.00", "150.00", "96.00"]);
    assert_eq!((&whole["customer_id"], &whole["currency"]), (&json!(customer.id()), &json!("PLN")));

    // Any two parts that meet are the whole.
    let (before, after) = (of("from_on=2026-01-01&to_on=2026-02-10"), of("from_on=2026-02-11&to_on=2026-12-31"));
    assert_eq!(sums(&before), ["0.00", "369.00", "100.00", "269.00"]);
    assert_eq!(sums(&after), ["269.00", "-123.00", "50.00", "96.00"]);
    assert_eq!(told(&before).into_iter().chain(told(&after)).collect::<Vec<_>>(), told(&whole));
    let nothing = of("from_on=2026-04-01&to_on=2026-04-30");
    assert_eq!(
        (sums(&nothing), told(&nothing).len()),
        ([&json!("96.00"), &json!("0.00"), &json!("0.00"), &json!("96.00")], 0)
    );
    assert_eq!(sums(&of("currency=EUR&from_on=2026-01-01&to_on=2026-12-31")), ["0.00", "0.00", "7.00", "-7.00"]);
}

#[test]
fn csv_tells_the_same_account() {
    let w = World::new();
    let (customer, ids) = customer_with_account(&w);
    let path = format!("/customers/{}/statement?from_on=2026-02-10&to_on=2026-03-01", customer.id());
    let answer = w.owner.with("Accept", "text/csv").get(&path);
    assert_eq!(answer.header("content-type"), Some("text/csv; charset=utf-8"));
    let expected = [
        "entered_on,kind,id,text,amount,balance,currency".to_owned(),
        "2026-02-10,opening_balance,,,,123.00,PLN".to_owned(),
        format!("2026-02-10,invoice,{},i1/02/2026,246.00,369.00,PLN", ids[1]),
        format!("2026-02-10,payment,{},2026-02-10,-100.00,269.00,PLN", ids[2]),
        format!("2026-03-01,correction,{},c1/03/2026,-123.00,146.00,PLN", ids[3]),
        "2026-03-01,closing_balance,,,,146.00,PLN".to_owned(),
        String::new(),
    ];
    assert_eq!(answer.text(), expected.join("\r\n"));
    assert_eq!(w.owner.get(&format!("{path}&format=csv")).text(), answer.text());
}

#[test]
fn an_account_is_asked_for_a_period_that_is_one() {
    let w = World::new();
    let customer = w.customer().create();
    let path = format!("/customers/{}/statement", customer.id());
    let wrong = |query: &str| w.owner.get(&format!("{path}?{query}")).wrong();
    assert_eq!(wrong("from_on=2026-02-01&to_on=2026-01-31"), ["to_on order"]);
    assert_eq!(wrong("from_on=2010-01-01&to_on=2026-01-31"), ["to_on maximum"]);
    let stranger = World::new();
    stranger.owner.get(&path).refused(404, "not_found");
    w.operator("operator", "none", None).get(&path).refused(403, "scope_missing");
}
