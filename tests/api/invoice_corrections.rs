use crate::support::{Answer, Record, World, at_once, execute, line};
use serde_json::{Value, json};
use uuid::Uuid;

/// A world with an issued invoice of two lines, 2 × 100.00 and 1 × 50.00 at 23 %, and a series for corrections.
struct Invoiced {
    w: World,
    invoice: Record,
    series: Record,
}

fn invoiced() -> Invoiced {
    let w = World::new();
    let draft = w
        .invoice_draft(w.buyer().name("Rogal").create().id(), w.series("invoice").id())
        .with("lines", json!([line("2", "100.00"), line("1", "50.00")]))
        .create();
    let invoice = w.issue(&draft, "2026-01-20");
    let series = w.series("correction");
    Invoiced { w, invoice, series }
}

impl Invoiced {
    fn correct(&self, change: Value) -> Answer {
        let mut body = json!({ "series_id": self.series.id(), "reason": "Mistake" });
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        self.w.owner.once(Uuid::now_v7()).post(&format!("/invoices/{}/corrections", self.invoice.id()), body)
    }

    fn corrected(&self) -> Record {
        self.w.reread("/invoices", &self.invoice)
    }
}

fn sums(of: &Value) -> [&str; 3] {
    ["net", "vat", "gross"].map(|name| of[name].as_str().unwrap())
}

fn lines(of: &Value) -> Vec<(i64, &str, &str)> {
    let lines = of["lines"].as_array().unwrap().iter();
    lines
        .map(|line| {
            let text = |name: &str| line[name].as_str().unwrap();
            (line["position"].as_i64().unwrap(), text("quantity"), text("unit_price"))
        })
        .collect()
}

#[test]
fn a_correction_carries_before_and_after_and_the_difference() {
    let it = invoiced();
    let change = json!({
        "changed_lines": [{ "position": 1, "quantity": "1" }],
        "removed_positions": [2],
        "added_lines": [line("3", "10.00")],
    });
    let draft = it.correct(change).expect(201);
    for (name, value) in [
        ("kind", json!("correction")),
        ("status", json!("draft")),
        ("corrects_id", json!(it.invoice.id())),
        ("correction_reason", json!("Mistake")),
        ("customer_id", it.invoice["customer_id"].clone()),
        ("buyer", it.invoice["buyer"].clone()),
    ] {
        assert_eq!(draft[name], value, "{name}");
    }
    assert_eq!(draft["before"]["lines"], it.invoice["lines"]);
    assert_eq!(lines(&draft), [(1, "1", "100.00"), (3, "3", "10.00")]);
    // Before 250.00 + 57.50, after 130.00 + 29.90.
    assert_eq!(sums(&draft), ["-120.00", "-27.60", "-147.60"]);
    // A draft changes nothing yet.
    let with_draft = it.corrected();
    assert_eq!(sums(&with_draft["corrected"]), ["250.00", "57.50", "307.50"]);
    assert_eq!(with_draft["corrections"][0]["status"], "draft");

    let issued = it.w.issue(&draft, "2026-02-01");
    assert_eq!((&issued["number"], &issued["status"]), (&json!("c1/02/2026"), &json!("issued")));
    assert_eq!((sums(&issued), lines(&issued)), (sums(&draft), lines(&draft)));
    assert_eq!(issued["before"], draft["before"]);
    let corrected = it.corrected();
    assert_eq!(sums(&corrected["corrected"]), ["130.00", "29.90", "159.90"]);
    assert_eq!(corrected["corrections"][0]["number"], "c1/02/2026");
    // The invoice itself stays as it was issued.
    for name in ["lines", "net", "gross", "version", "number"] {
        assert_eq!(corrected[name], it.invoice[name], "{name}");
    }
}

#[test]
fn each_correction_begins_from_what_the_last_one_left() {
    let it = invoiced();
    let first = it.correct(json!({ "changed_lines": [{ "position": 1, "unit_price": "80.00" }] })).expect(201);
    it.w.issue(&first, "2026-02-01");
    let second = it.correct(json!({ "added_lines": [line("1", "5.00")], "removed_positions": [2] })).expect(201);
    assert_eq!(second["before"]["lines"], first["lines"]);
    assert_eq!(lines(&second), [(1, "2", "80.00"), (3, "1", "5.00")]);
    it.w.issue(&second, "2026-02-02");
    let last = it.correct(json!({ "to_zero": true })).expect(201);
    assert_eq!(lines(&last), [(1, "0", "80.00"), (3, "0", "5.00")]);
    // 2 × 80.00 + 5.00 = 165.00; 165.00 × 23 % = 37.95
    assert_eq!(sums(&last), ["-165.00", "-37.95", "-202.95"]);
    it.w.issue(&last, "2026-02-03");
    let corrected = it.corrected();
    assert_eq!(sums(&corrected["corrected"]), ["0.00", "0.00", "0.00"]);
    assert_eq!(corrected["corrections"].as_array().unwrap().len(), 3);
    let found = it.w.owner.get(&format!("/invoices?corrects_id={}&sort=created_at", it.invoice.id())).expect(200);
    assert_eq!(found.items().iter().map(Record::id).collect::<Vec<_>>(), [first.id(), second.id(), last.id()]);
    let problem = it.correct(json!({ "to_zero": true }));
    problem.refused(422, "validation_failed");
    assert_eq!(problem.wrong(), [" unchanged"]);
}

#[test]
fn the_buyers_data_are_corrected_without_a_line() {
    let it = invoiced();
    let buyer = json!({
        "name": "Rogal i Synowie", "tax_id": { "scheme": "nip", "number": "123-456-32-18", "country": "PL" },
        "address": { "line1": "ul. Nowa 1", "city": "Kraków", "country": "PL" },
    });
    let draft = it.correct(json!({ "buyer": buyer })).expect(201);
    assert_eq!(draft["buyer"]["tax_id"]["number"], "1234563218");
    assert_eq!(draft["before"]["buyer"], it.invoice["buyer"]);
    assert_eq!(sums(&draft), ["0.00", "0.00", "0.00"]);
    // Whatever the customer has become meanwhile.
    let customer = format!("/customers/{}", it.invoice["customer_id"].as_str().unwrap());
    it.w.owner.at(1).patch(&customer, json!({ "name": "Somebody else" })).expect(200);
    it.w.owner.post(&format!("{customer}/archival"), Value::Null).expect(200);
    let issued = it.w.issue(&draft, "2026-02-01");
    assert_eq!(issued["buyer"], draft["buyer"]);
    // The next one begins from there.
    let next = it.correct(json!({ "to_zero": true })).expect(201);
    assert_eq!((&next["buyer"], &next["before"]["buyer"]), (&issued["buyer"], &issued["buyer"]));
    let wrong = json!({ "buyer": { "name": "x", "tax_id": { "scheme": "nip", "number": "1234567890", "country": "PL" },
                                   "address": { "line1": "x", "city": "x", "country": "PL" } } });
    it.w.owner.at(1).delete(&format!("/invoices/{}", next.id())).expect(204);
    let wrong = it.correct(wrong);
    wrong.refused(422, "validation_failed");
    assert_eq!(wrong.wrong(), ["/buyer/tax_id/number tax_id"]);
}

#[test]
fn vat_in_zloty_is_told_at_the_rate_of_the_invoice() {
    let w = World::new();
    let rate = json!({ "rate": "4.2517", "quoted_on": "2026-01-19", "source": "NBP 011/A/NBP/2026" });
    let draft = w
        .invoice_draft(w.buyer().create().id(), w.series("invoice").id())
        .with("currency", "EUR")
        .with("exchange_rate", rate.clone())
        .with("lines", json!([line("3", "33.33")]))
        .create();
    let invoice = w.issue(&draft, "2026-01-20");
    let it = Invoiced { series: w.series("correction"), w, invoice };
    let correction = it.correct(json!({ "changed_lines": [{ "position": 1, "quantity": "2" }] })).expect(201);
    // VAT 23.00 → 15.33; in złoty 97.7891 → 97.79 and 65.178… → 65.18, a difference of -32.61; -7.67 × 4.2517 = -32.6105…
    assert_eq!((&correction["vat"], &correction["vat_pln"]), (&json!("-7.67"), &json!("-32.61")));
    assert_eq!(correction["exchange_rate"], rate);
    it.w.issue(&correction, "2026-02-01");
    let zero = it.correct(json!({ "to_zero": true })).expect(201);
    it.w.issue(&zero, "2026-02-01");
    assert_eq!(
        it.corrected()["corrected"]["vat_totals"],
        json!([{ "code": "23", "net": "0.00", "vat": "0.00", "gross": "0.00", "vat_pln": "0.00" }])
    );
}

#[test]
fn what_makes_no_sense_is_refused_and_changes_nothing() {
    let it = invoiced();
    for (change, wrong) in [
        (json!({}), " unchanged"),
        (json!({ "changed_lines": [{ "position": 1, "quantity": "2" }] }), " unchanged"),
        (json!({ "changed_lines": [{ "position": 3, "quantity": "2" }] }), "/changed_lines/0/position no_such_line"),
        (json!({ "removed_positions": [1, 1] }), "/removed_positions/1 no_such_line"),
        (json!({ "changed_lines": [{ "position": 1, "quantity": "-3" }] }), "/lines total_negative"),
        (
            json!({ "changed_lines": [{ "position": 1, "vat": { "code": "zw" } }] }),
            "/changed_lines/0/vat exemption_basis",
        ),
        (json!({ "to_zero": true, "payment_days": 1, "due_on": "2026-03-01" }), "/due_on exclusive"),
        (json!({ "to_zero": true, "series_id": it.invoice["series_id"] }), "/series_id kind"),
    ] {
        let answer = it.correct(change.clone());
        answer.refused(422, "validation_failed");
        assert_eq!(answer.wrong(), [wrong], "{change}");
    }
    assert_eq!(it.corrected(), it.invoice);
    assert_eq!(it.w.count("invoices"), 1);
}

#[test]
fn a_correction_is_not_corrected_and_a_draft_neither() {
    let it = invoiced();
    let correction = it.correct(json!({ "to_zero": true })).expect(201);
    let correct = |invoice: &Record| {
        let body = json!({ "series_id": it.series.id(), "reason": "x", "to_zero": true });
        let path = format!("/invoices/{}/corrections", invoice.id());
        it.w.owner.once(Uuid::now_v7()).post(&path, body).refused(409, "state_invalid")["state"].clone()
    };
    assert_eq!(correct(&correction), "correction");
    assert_eq!(correct(&it.invoice), "correction_in_draft");
    let path = format!("/invoices/{}", correction.id());
    let problem = it.w.owner.at(1).patch(&path, json!({ "notes": "x" })).refused(409, "state_invalid");
    assert_eq!(problem["state"], "correction");
    it.w.owner.at(1).delete(&path).expect(204);
    assert_eq!(it.corrected(), it.invoice);
    let draft =
        it.w.invoice_draft(it.invoice["customer_id"].as_str().unwrap(), it.invoice["series_id"].as_str().unwrap())
            .create();
    assert_eq!(correct(&draft), "draft");
}

#[test]
fn of_many_corrections_at_once_one_is_drafted() {
    let it = invoiced();
    let answers =
        at_once(8, |turn| it.correct(json!({ "changed_lines": [{ "position": 1, "quantity": turn.to_string() }] })));
    let made: Vec<_> = answers.iter().filter(|answer| answer.status == 201).collect();
    // Quantity 2 is what it has, and no change.
    assert_eq!(made.len(), 1, "{answers:#?}");
    assert_eq!((it.w.count("invoices"), it.w.changes("invoice.created")), (2, 2));
}

#[test]
fn the_database_refuses_corrections_of_what_is_no_issued_invoice() {
    let it = invoiced();
    let correction = it.w.issue(&it.correct(json!({ "to_zero": true })).expect(201), "2026-02-01");
    let organization_id = it.w.organization_id;
    let copy = |change: Value| {
        execute(&format!(
            "insert into invoices select (jsonb_populate_record(i, '{change}')).*
             from invoices i where organization_id = '{organization_id}' and id = '{}'",
            correction.id()
        ))
        .map_err(|error| error.to_string())
    };
    let new = |more: Value| {
        let mut change = json!({ "id": Uuid::now_v7(), "number": Uuid::now_v7() });
        change.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        change
    };
    assert!(copy(new(json!({ "corrects_id": correction.id() }))).unwrap_err().contains("only an issued invoice"));
    assert!(copy(new(json!({ "currency": "EUR" }))).unwrap_err().contains("only an issued invoice"));
    assert!(copy(new(json!({ "corrects_id": null }))).unwrap_err().contains("invoices_correction_check"));
    let draft = json!({ "status": "draft", "number": null, "issued_on": null, "issued_in": null, "due_on": null });
    let drafted = |draft: &Value| copy(new(draft.clone()));
    drafted(&draft).unwrap();
    assert!(drafted(&draft).unwrap_err().contains("invoices_draft_correction_key"));
    let change = format!("update invoices set before = '{{}}' where id = '{}'", correction.id());
    assert!(execute(&change).unwrap_err().to_string().contains("never changes"));
}
