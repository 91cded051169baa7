//! Price changes: what a template's lines cost from a day on.

use crate::support::{Answer, Record, World, at_once};
use serde_json::{Value, json};

/// What a change says of each line: its key, the price before and the price.
fn prices(change: &Value) -> Vec<String> {
    let told = |price: &Value| {
        let text = |name: &str| price[name].as_str().unwrap().to_owned();
        format!("{} {} {}", text("key"), text("unit_price_before"), text("unit_price"))
    };
    change["prices"].as_array().unwrap().iter().map(told).collect()
}

fn line(key: &str, unit_price: &str) -> Value {
    json!({ "key": key, "text": "Work", "quantity": "1", "unit": "h", "unit_price": unit_price, "vat": { "code": "23" } })
}

/// A template with lines `a` at 100.00 and `b` at 10.00.
fn template(w: &World) -> Record {
    let series = w.number_series().create();
    w.invoice_template(series.id()).with("lines", json!([line("a", "100.00"), line("b", "10.00")])).create()
}

/// The net of each period's invoice, in their order.
fn nets(w: &World) -> Vec<String> {
    w.invoices().iter().map(|invoice| invoice["net"].as_str().unwrap().to_owned()).collect()
}

fn preview(w: &World, template: &Record, body: Value) -> Answer {
    w.owner.post(&format!("/invoice-templates/{}/price-changes", template.id()), body)
}

#[test]
fn the_price_in_force_at_the_periods_start_counts_also_when_it_is_caught_up_with() {
    let w = World::new();
    let template = template(&w);
    w.subscription(template.id(), w.buyer().create().id()).with("catch_up", "all").create();
    // In force on 1 February; within March, so from April on.
    let first = w.price_change(template.id(), "2026-02-01").with("percent", "-2.5").create();
    assert_eq!(prices(&first), ["a 100.00 97.50", "b 10.00 9.75"]);
    let second = w.price_change(template.id(), "2026-03-15");
    let second = second.with("prices", json!([{ "key": "b", "unit_price": "20.0001" }])).create();
    assert_eq!(prices(&second), ["b 9.75 20.0001"]);

    let previewed = w.run("preview", "2026-04-30");
    let planned: Vec<String> =
        w.results(&previewed).iter().map(|result| result["net"].as_str().unwrap().to_owned()).collect();
    w.run("issue", "2026-04-30");
    // 100 + 10; 97.50 + 9.75 twice; 97.50 + 20.00
    assert_eq!(nets(&w), ["110.00", "107.25", "107.25", "117.50"]);
    let mut shown = planned;
    shown.sort();
    let mut issued = nets(&w);
    issued.sort();
    assert_eq!(shown, issued, "what was shown is what was issued");
}

#[test]
fn a_preview_tells_whom_a_change_meets_and_keeps_nothing() {
    let w = World::new();
    let template = template(&w);
    let subscribe = |overrides: Value| {
        w.subscription(template.id(), w.buyer().create().id()).with("line_overrides", overrides).create()
    };
    let plain = subscribe(json!([]));
    let half = subscribe(json!([{ "key": "b", "unit_price": "1.00" }, { "key": "a", "quantity": "2" }]));
    let own = subscribe(json!([{ "key": "a", "unit_price": "5.00" }, { "key": "b", "unit_price": "1.00" }]));
    let ends = w.subscription(template.id(), w.buyer().create().id()).with("ends_on", "2026-12-01").create();

    let body = json!({ "valid_from_on": "2027-01-01", "percent": "10", "preview": true });
    let shown = preview(&w, &template, body.clone()).expect(200);
    assert_eq!(w.count("price_changes"), 0);
    assert!(shown["id"].is_null() && shown["version"].is_null());
    assert_eq!(prices(&shown), ["a 100.00 110.00", "b 10.00 11.00"]);
    assert_eq!([&shown["reach"]["touched"], &shown["reach"]["overridden"]], [2, 1]);
    let told: Vec<_> = shown["reach"]["subscriptions"].as_array().unwrap().clone();
    let ids: Vec<_> = told.iter().map(|it| it["subscription_id"].as_str().unwrap()).collect();
    assert_eq!(ids, [plain.id(), half.id(), own.id()], "without {}", ends.id());
    assert_eq!(prices(&told[1]), ["a 100.00 110.00", "b 1.00 1.00"]);
    assert_eq!(told[1]["prices"][1]["overridden"], true);
    assert_eq!(prices(&told[2]), ["a 5.00 5.00", "b 1.00 1.00"]);

    // What is kept is what was shown, and it reads so.
    let made = w.price_change(template.id(), "2027-01-01").with("percent", "10").create();
    assert_eq!([&made["prices"], &made["reach"]], [&shown["prices"], &shown["reach"]]);
    assert_eq!(w.owner.get(&format!("/price-changes/{}", made.id())).expect(200), made);
    assert_eq!(w.changes("price_change.created"), 1);
}

#[test]
fn what_the_template_says_later_counts_before_its_changes() {
    let w = World::new();
    let template = template(&w);
    w.subscription(template.id(), w.buyer().create().id()).with("catch_up", "all").create();
    w.price_change(template.id(), "2026-02-01").with("percent", "100").create();
    // Line b goes, and its change with it; line a costs less until its change.
    let path = format!("/invoice-templates/{}", template.id());
    let patch = json!({ "lines": [line("a", "50.00"), line("c", "1.00")] });
    w.owner.at(template.version()).patch(&path, patch).expect(200);
    w.run("issue", "2026-02-28");
    assert_eq!(nets(&w), ["51.00", "201.00"]);
}

#[test]
fn everything_wrong_with_a_change_is_named() {
    let w = World::new();
    let template = template(&w);
    let price = |key: &str| json!({ "key": key, "unit_price": "1.00" });
    for (body, wrong) in [
        (json!({}), "/percent exclusive"),
        (json!({ "percent": "1", "prices": [price("a")] }), "/prices exclusive"),
        (json!({ "percent": "-100" }), "/percent exclusiveMinimum"),
        (json!({ "percent": "1.00001" }), "/percent pattern"),
        (json!({ "percent": 5 }), "/percent oneOf"),
        (json!({ "prices": [price("a"), price("x")] }), "/prices/1/key no_such_line"),
        (json!({ "prices": [price("a"), price("a")] }), "/prices/1/key uniqueItems"),
        (json!({ "prices": [] }), "/prices minItems"),
    ] {
        let mut body = body;
        body["valid_from_on"] = json!("2027-01-01");
        for is_preview in [true, false] {
            body["preview"] = json!(is_preview);
            let answer = preview(&w, &template, body.clone());
            answer.refused(422, "validation_failed");
            assert_eq!(answer.wrong(), [wrong], "{body}");
        }
    }
    let large = json!([line("a", "999999999999")]);
    let path = format!("/invoice-templates/{}", template.id());
    w.owner.at(template.version()).patch(&path, json!({ "lines": large })).expect(200);
    let answer = w.price_change(template.id(), "2027-01-01").with("percent", "1").send();
    answer.refused(422, "validation_failed");
    assert_eq!(answer.wrong(), ["/percent maximum"]);
    assert_eq!(w.count("price_changes"), 0);
}

#[test]
fn a_template_has_one_change_a_day_whoever_makes_it() {
    let w = World::new();
    let template = template(&w);
    let answers = at_once(4, |number| {
        w.price_change(template.id(), "2027-01-01").with("percent", format!("{}", number + 1)).send()
    });
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
    let refused: Vec<_> = answers.iter().filter(|answer| answer.status != 201).collect();
    for answer in refused {
        answer.refused(409, "duplicate");
        assert_eq!(answer.wrong(), ["/valid_from_on duplicate"]);
    }
    assert_eq!(w.count("price_changes"), 1);
}

#[test]
fn a_change_is_taken_back_before_its_day_only() {
    let w = World::new();
    let template = template(&w);
    let coming = w.price_change(template.id(), "2999-01-01").with("percent", "5").create();
    let past = w.price_change(template.id(), "2026-01-01").with("percent", "5").create();
    let answer = w.owner.at(past.version()).delete(&format!("/price-changes/{}", past.id()));
    answer.refused(409, "state_invalid");
    assert_eq!(answer.json()["state"], "in_force");
    w.owner.at(coming.version()).delete(&format!("/price-changes/{}", coming.id())).expect(204);
    let listed = w.owner.get(&format!("/invoice-templates/{}/price-changes", template.id())).expect(200).items();
    let ids: Vec<_> = listed.iter().map(|change| change.id()).collect();
    assert_eq!(ids, [past.id()]);
    assert_eq!(w.changes("price_change.deleted"), 1);
}
