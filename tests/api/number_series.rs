use crate::support::World;
use serde_json::json;

#[test]
fn numbers_go_on_from_another_system() {
    let w = World::new();
    let series = w.number_series().with("reset", "never").with("next_number", 417).create();
    let template = w.invoice_template(series.id()).create();
    w.subscription(template.id(), w.buyer().create().id()).create();
    w.run("issue", "2026-01-31");
    assert_eq!(w.invoices()[0]["number"], "FV/417/01/2026");
    let series = w.reread("/number-series", &series);
    assert_eq!((&series["next_number"], &series["last_issued_on"]), (&json!(418), &json!("2026-01-31")));
}

#[test]
fn what_numbers_follow_from_stays_once_an_invoice_has_one() {
    let w = World::new();
    let series = w.number_series().with("reset", "yearly").create();
    let template = w.invoice_template(series.id()).create();
    w.subscription(template.id(), w.buyer().create().id()).create();
    let path = format!("/number-series/{}", series.id());
    let series = w.owner.at(series.version()).patch(&path, json!({ "next_number": 7, "reset": "never" })).expect(200);
    assert_eq!(series["next_number"], 7);

    w.run("issue", "2026-01-31");
    let issued = w.owner.get(&path).expect(200);
    for change in [json!({ "next_number": 100 }), json!({ "pattern": "F/{number}" }), json!({ "reset": "yearly" })] {
        let problem = w.owner.at(issued.version()).patch(&path, &change).refused(409, "state_invalid");
        assert_eq!(problem["state"], "issued", "{change}");
    }
    assert_eq!(w.owner.get(&path).expect(200), issued);
    let renamed = w.owner.at(issued.version()).patch(&path, json!({ "name": "Services" })).expect(200);
    assert_eq!((&renamed["name"], &renamed["next_number"]), (&json!("Services"), &json!(8)));
}

#[test]
fn a_pattern_holds_what_its_numbers_begin_again_with() {
    let w = World::new();
    for (pattern, reset) in [
        ("FV/{year}", "yearly"),
        ("FV/{number}/{number}", "never"),
        ("FV/{number}/{year}", "monthly"),
        ("FV/{number}/{month}", "yearly"),
        ("FV/{number}/{week}", "never"),
        ("FV {number}", "never"),
    ] {
        let answer = w.number_series().with("pattern", pattern).with("reset", reset).send();
        answer.refused(422, "validation_failed");
        assert_eq!(answer.wrong(), ["/pattern pattern"], "{pattern}");
    }
    assert_eq!(w.count("number_series"), 0);
}

#[test]
fn two_series_differ_in_name_and_pattern() {
    let w = World::new();
    w.number_series().create();
    let same_name = w.number_series().with("pattern", "B/{number}/{month}/{year}").send();
    same_name.refused(409, "duplicate");
    assert_eq!(same_name.wrong(), ["/name duplicate"]);
    let same_pattern = w.number_series().name("Other").send();
    same_pattern.refused(409, "duplicate");
    assert_eq!(same_pattern.wrong(), ["/pattern duplicate"]);
}
