use crate::support::{Record, World};
use serde_json::{Value, json};
use uuid::Uuid;

const AGES: [&str; 6] = ["not_yet_due", "days_1_to_30", "days_31_to_60", "days_61_to_90", "days_over_90", "total"];

fn ages(row: &Value) -> [&str; 6] {
    AGES.map(|name| row[name].as_str().unwrap())
}

fn on(w: &World, day: &str) -> Record {
    w.owner.get(&format!("/reports/receivables?on={day}")).expect(200)
}

/// Issued on a day, to be paid by another, 123.00.
fn invoice(w: &World, customer: &Record, series: &Record, issued_on: &str, due_on: &str) -> Record {
    w.issue(&w.invoice_draft(customer.id(), series.id()).with("due_on", due_on).create(), issued_on)
}

#[test]
fn what_is_owed_stands_by_its_age() {
    let w = World::new();
    let series = w.series("invoice");
    let (rogal, chalka) = (w.buyer().name("Rogal").create(), w.buyer().name("Chałka").create());
    // On 31 May 2026: due that day, 1, 30, 31, 60, 61, 90 and 91 days ago.
    for due_on in
        ["2026-05-31", "2026-05-30", "2026-05-01", "2026-04-30", "2026-04-01", "2026-03-31", "2026-03-02", "2026-03-01"]
    {
        invoice(&w, &rogal, &series, "2026-01-20", due_on);
    }
    let paid = invoice(&w, &chalka, &series, "2026-01-20", "2026-02-01");
    w.payment(chalka.id(), "23.00").with("invoice_id", paid.id()).create();
    let report = on(&w, "2026-05-31");
    let rows = report["rows"].as_array().unwrap();
    let names: Vec<_> = rows.iter().map(|row| row["customer_name"].as_str().unwrap()).collect();
    assert_eq!(names, ["Chałka", "Rogal"]);
    assert_eq!(ages(&rows[0]), ["0.00", "0.00", "0.00", "0.00", "100.00", "100.00"]);
    assert_eq!(ages(&rows[1]), ["123.00", "246.00", "246.00", "246.00", "123.00", "984.00"]);
    let totals = report["totals"].as_array().unwrap();
    assert_eq!((totals.len(), &totals[0]["currency"]), (1, &json!("PLN")));
    assert_eq!(ages(&totals[0]), ["123.00", "246.00", "246.00", "246.00", "223.00", "1084.00"]);

    let csv = w.owner.get("/reports/receivables?on=2026-05-31&format=csv").text();
    let expected = [
        format!("as_of_on,customer_id,customer_name,currency,{}", AGES.join(",")),
        format!("2026-05-31,{},Chałka,PLN,0.00,0.00,0.00,0.00,100.00,100.00", chalka.id()),
        format!("2026-05-31,{},Rogal,PLN,123.00,246.00,246.00,246.00,123.00,984.00", rogal.id()),
        String::new(),
    ];
    assert_eq!(csv, expected.join("\r\n"));
}

#[test]
fn a_day_gone_by_is_told_as_it_was() {
    let w = World::new();
    let (customer, series) = (w.buyer().create(), w.series("invoice"));
    let first = invoice(&w, &customer, &series, "2026-01-20", "2026-02-03");
    let second = invoice(&w, &customer, &series, "2026-02-10", "2026-02-24");
    let body = json!({ "series_id": w.series("correction").id(), "reason": "Mistake", "to_zero": true });
    let path = format!("/invoices/{}/corrections", second.id());
    w.issue(&w.owner.once(Uuid::now_v7()).post(&path, body).expect(201), "2026-03-01");
    for (amount, day) in [("100.00", "2026-02-15"), ("23.00", "2026-03-10")] {
        w.payment(customer.id(), amount).with("paid_on", day).with("invoice_id", first.id()).create();
    }
    // Credit is not taken off what is owed.
    w.payment(customer.id(), "500.00").with("paid_on", "2026-01-01").create();
    let total = |day: &str| match &on(&w, day)["totals"][0]["total"] {
        Value::String(total) => total.clone(),
        _ => "none".to_owned(),
    };
    assert_eq!(total("2026-01-19"), "none");
    assert_eq!(total("2026-01-20"), "123.00");
    assert_eq!(total("2026-02-14"), "246.00");
    assert_eq!(total("2026-02-15"), "146.00");
    assert_eq!(total("2026-02-28"), "146.00");
    assert_eq!(total("2026-03-01"), "23.00");
    assert_eq!(total("2026-03-09"), "23.00");
    assert_eq!(total("2026-03-10"), "none");
}

#[test]
fn receivables_are_for_those_who_read_reports() {
    let w = World::new();
    assert_eq!(on(&w, "2026-05-31")["rows"], json!([]));
    w.api_key(&["billing:read"]).get("/reports/receivables").refused(403, "scope_missing");
    w.api_key(&["reports:read"]).get("/reports/receivables").expect(200);
}
