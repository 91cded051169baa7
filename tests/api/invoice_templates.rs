use crate::support::World;
use serde_json::{Value, json};

fn line(key: &str) -> Value {
    json!({ "key": key, "text": "Work", "quantity": "1", "unit": "h", "unit_price": "10.00", "vat": { "code": "23" } })
}

#[test]
fn what_is_left_out_is_as_in_poland() {
    let w = World::new();
    let template = w.template();
    let shown =
        ["currency", "price_mode", "payment_days", "payment_method", "language"].map(|name| template[name].clone());
    assert_eq!(shown, [json!("PLN"), json!("net"), json!(14), json!("transfer"), json!("pl")]);
    assert_eq!(template["lines"][0]["kind"], "fixed");
}

#[test]
fn everything_wrong_with_the_lines_is_told_at_once() {
    let w = World::new();
    let series = w.number_series().create();
    let mut unknown = line("a");
    unknown["text"] = json!("For {{period.moon}}");
    let mut exempt = line("b");
    exempt["vat"] = json!({ "code": "zw" });
    let mut based = line("b");
    based["vat"] = json!({ "code": "23", "exemption_basis": "art. 43" });
    let lines = json!([unknown, exempt, based]);
    let answer = w.invoice_template(series.id()).with("lines", lines).with("notes", "{{").send();
    answer.refused(422, "validation_failed");
    let mut wrong = answer.wrong();
    wrong.sort();
    assert_eq!(
        wrong,
        [
            "/lines uniqueItems",
            "/lines/0/text placeholder",
            "/lines/1/vat exemption_basis",
            "/lines/2/vat exemption_basis",
            "/notes placeholder",
        ]
    );
    assert_eq!(w.count("invoice_templates"), 0);
}

#[test]
fn amounts_are_text_with_as_many_places_as_are_kept() {
    let w = World::new();
    let series = w.number_series().create();
    for (field, value) in [
        ("unit_price", json!(10)),
        ("unit_price", json!("10.00001")),
        ("quantity", json!("1e3")),
        ("discount_percent", json!("100.01")),
        ("kind", json!("hourly")),
    ] {
        let mut line = line("a");
        line[field] = value.clone();
        let answer = w.invoice_template(series.id()).with("lines", json!([line])).send();
        answer.refused(422, "validation_failed");
        assert!(answer.wrong()[0].starts_with(&format!("/lines/0/{field}")), "{field} {value}: {:?}", answer.wrong());
    }
}

#[test]
fn a_template_takes_numbers_of_its_own_organization() {
    let (w, other) = (World::new(), World::new());
    let series = other.number_series().create();
    let answer = w.invoice_template(series.id()).send();
    answer.refused(422, "reference_not_found");
    assert_eq!(answer.wrong(), ["/series_id reference_not_found"]);
}

#[test]
fn an_archived_template_leaves_the_list_until_it_is_restored() {
    let w = World::new();
    let template = w.template();
    let archival = format!("/invoice-templates/{}/archival", template.id());
    let archived = w.owner.post(&archival, Value::Null).expect(200);
    assert!(archived["archived_at"].is_string());
    assert_eq!(w.owner.post(&archival, Value::Null).expect(200), archived);
    assert!(w.owner.get("/invoice-templates").expect(200).items().is_empty());
    assert_eq!(w.owner.get("/invoice-templates?include_archived=true").expect(200).items().len(), 1);
    let restored = w.owner.delete(&archival).expect(200);
    assert!(restored["archived_at"].is_null());
    assert_eq!(w.owner.get("/invoice-templates").expect(200).items(), [restored]);
    assert_eq!(w.changes("invoice_template.archived"), 1);
}

#[test]
fn the_series_is_expanded_beside_its_id() {
    let w = World::new();
    let template = w.template();
    let shown = w.owner.get(&format!("/invoice-templates/{}?expand=series", template.id())).expect(200);
    assert_eq!(shown["series"]["id"], template["series_id"]);
    assert_eq!(shown["series"]["next_number"], 1);
}
