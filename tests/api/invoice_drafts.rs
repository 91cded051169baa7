use crate::support::{Record, World, at_once, execute, line, now};
use serde_json::{Value, json};

fn sums(invoice: &Record) -> [&Value; 3] {
    [&invoice["net"], &invoice["vat"], &invoice["gross"]]
}

#[test]
fn a_draft_has_sums_and_no_number_until_it_is_issued() {
    let w = World::with(|fields| {
        let account = json!([{ "iban": "PL61109010140000071219812874", "currency": "PLN", "bank_name": null }]);
        fields.bank_accounts = serde_json::from_value(account).unwrap();
    });
    let (customer, series) = (w.buyer().name("Rogal").with("payment_days", 7).create(), w.series("invoice"));
    let draft = w
        .invoice_draft(customer.id(), series.id())
        .with("lines", json!([line("2", "49.995"), line("1", "10.00")]))
        .with("notes", "Thank you")
        .create();
    // 2 × 49.995 = 99.99; (99.99 + 10.00) × 23 % = 25.2977, so 25.30
    assert_eq!(sums(&draft), ["109.99", "25.30", "135.29"]);
    for (name, value) in [
        ("status", json!("draft")),
        ("number", Value::Null),
        ("issued_on", Value::Null),
        ("due_on", Value::Null),
        ("payment_days", json!(7)),
        ("currency", json!("PLN")),
        ("language", json!("pl")),
    ] {
        assert_eq!(draft[name], value, "{name}");
    }
    let path = format!("/invoices/{}", draft.id());
    let change = json!({ "lines": [line("1", "200.00")], "due_on": "2026-03-01", "sold_on": "2026-01-15" });
    let changed = w.owner.at(1).patch(&path, &change).expect(200);
    assert_eq!(sums(&changed), ["200.00", "46.00", "246.00"]);
    assert_eq!((&changed["due_on"], &changed["payment_days"]), (&json!("2026-03-01"), &Value::Null));
    let back = w.owner.at(2).patch(&path, json!({ "payment_days": 10 })).expect(200);
    assert_eq!((&back["due_on"], &back["payment_days"]), (&Value::Null, &json!(10)));

    // Whoever the buyer is now is the buyer on the invoice.
    w.owner.at(1).patch(&format!("/customers/{}", customer.id()), json!({ "name": "Kajzerka" })).expect(200);
    let issued = w.issue(&back, "2026-01-20");
    for (name, value) in [
        ("status", json!("issued")),
        ("number", json!("i1/01/2026")),
        ("issued_on", json!("2026-01-20")),
        ("sold_on", json!("2026-01-15")),
        ("due_on", json!("2026-01-30")),
        ("bank_account", json!("PL61109010140000071219812874")),
        ("notes", json!("Thank you")),
        ("template_id", Value::Null),
        ("lines", back["lines"].clone()),
        ("vat_totals", back["vat_totals"].clone()),
        ("gross", back["gross"].clone()),
    ] {
        assert_eq!(issued[name], value, "{name}");
    }
    assert_eq!((&issued["buyer"]["name"], issued.version()), (&json!("Kajzerka"), 4));
    assert_eq!(w.owner.get(&path).expect(200), issued);
    assert_eq!((w.changes("invoice.created"), w.changes("invoice.updated"), w.changes("invoice.issued")), (1, 2, 1));
}

#[test]
fn what_is_issued_is_neither_changed_nor_thrown_away() {
    let w = World::new();
    let draft = w.invoice_draft(w.buyer().create().id(), w.series("invoice").id()).create();
    let issued = w.issue(&draft, "2026-01-20");
    let path = format!("/invoices/{}", draft.id());
    for answer in [
        w.owner.at(2).patch(&path, json!({ "notes": "x" })),
        w.owner.at(2).delete(&path),
        w.issue_answer(&draft, json!({ "issued_on": "2026-01-20" })),
    ] {
        assert_eq!(answer.refused(409, "state_invalid")["state"], "issued");
    }
    assert_eq!(w.owner.get(&path).expect(200), issued);
}

#[test]
fn a_draft_is_thrown_away_without_leaving_a_gap() {
    let w = World::new();
    let (customer, series) = (w.buyer().create(), w.series("invoice"));
    let draft = || w.invoice_draft(customer.id(), series.id()).create();
    let (first, second, third) = (draft(), draft(), draft());
    w.issue(&first, "2026-01-20");
    let path = format!("/invoices/{}", second.id());
    w.owner.at(1).delete(&path).expect(204);
    let void = w.owner.get(&path).expect(200);
    assert_eq!((&void["status"], &void["number"]), (&json!("void"), &Value::Null));
    for answer in [w.issue_answer(&second, json!({})), w.owner.at(2).delete(&path)] {
        assert_eq!(answer.refused(409, "state_invalid")["state"], "void");
    }
    assert_eq!(w.issue(&third, "2026-01-20")["number"], "i2/01/2026");
    assert_eq!(w.owner.get("/invoices?status=void").expect(200).items(), [void]);
}

#[test]
fn an_issue_is_dated_between_the_last_of_its_series_and_today() {
    let w = World::new();
    let (customer, series) = (w.buyer().create(), w.series("invoice"));
    let draft = || w.invoice_draft(customer.id(), series.id()).create();
    w.issue(&draft(), "2026-01-20");
    let late = draft();
    let before = w.issue_answer(&late, json!({ "issued_on": "2026-01-19" }));
    before.refused(422, "validation_failed");
    assert_eq!(before.wrong(), ["/issued_on minimum"]);
    let tomorrow = now().date_naive() + chrono::Days::new(2);
    let ahead = w.issue_answer(&late, json!({ "issued_on": tomorrow.to_string() }));
    ahead.refused(422, "validation_failed");
    assert_eq!(ahead.wrong(), ["/issued_on maximum"]);
    assert_eq!(w.reread("/invoices", &late), late);
    let issued = w.issue_answer(&late, json!({})).expect(200);
    assert!(issued["issued_on"].as_str().unwrap() >= "2026-01-20");
    // The database holds the order as well.
    let back = format!(
        "update number_series set last_issued_on = '2025-01-01' where organization_id = '{}' and id = '{}'",
        w.organization_id,
        series.id()
    );
    assert!(execute(&back).unwrap_err().to_string().contains("goes on in time"));
}

#[test]
fn what_an_invoice_lacks_is_named() {
    let w = World::new();
    let series = w.series("invoice");
    let state = |draft: &Record| w.issue_answer(draft, json!({})).refused(409, "state_invalid")["state"].clone();
    let homeless = w.invoice_draft(w.customer().create().id(), series.id()).create();
    assert_eq!(state(&homeless), "buyer_address_missing");
    let euro = w.invoice_draft(w.buyer().create().id(), series.id()).with("currency", "EUR").create();
    assert_eq!(state(&euro), "exchange_rate_missing");
    let gone = w.buyer().create();
    let draft = w.invoice_draft(gone.id(), series.id()).create();
    w.owner.post(&format!("/customers/{}/archival", gone.id()), Value::Null).expect(200);
    assert_eq!(state(&draft), "customer_archived");
    assert_eq!(w.reread("/number-series", &series)["next_number"], 1);
}

#[test]
fn a_draft_that_comes_to_less_than_nothing_is_refused() {
    let w = World::new();
    let draft = w.invoice_draft(w.buyer().create().id(), w.series("invoice").id());
    let negative = draft.clone().with("lines", json!([line("-1", "0.01")])).send();
    negative.refused(422, "validation_failed");
    assert_eq!(negative.wrong(), ["/lines total_negative"]);
    let mut other_rate = line("1", "-0.01");
    other_rate["vat"] = json!({ "code": "8" });
    let at_a_rate = draft.clone().with("lines", json!([line("1", "5.00"), other_rate])).send();
    at_a_rate.refused(422, "validation_failed");
    assert_eq!(at_a_rate.wrong(), ["/lines vat_total_negative"]);
    let huge = draft.clone().with("lines", json!([line("9999999999", "999999999999")])).send();
    huge.refused(422, "validation_failed");
    assert_eq!(huge.wrong(), ["/lines amount_overflow"]);
    let both = draft.clone().with("payment_days", 3).with("due_on", "2026-02-01").send();
    both.refused(422, "validation_failed");
    assert_eq!(both.wrong(), ["/due_on exclusive"]);
    let correction = draft.with("kind", "correction").send();
    correction.refused(422, "validation_failed");
    assert_eq!(correction.wrong(), ["/kind kind"]);
    assert_eq!(w.count("invoices"), 0);
}

#[test]
fn a_draft_that_is_less_than_nothing_at_a_rate_is_not_issued() {
    let w = World::new();
    let draft = w.invoice_draft(w.buyer().create().id(), w.series("invoice").id());
    let draft = draft.with("lines", json!([line("1", "5.00"), line("1", "-1.00")])).create();
    // As drafts were once written.
    let of_draft = format!("where invoice_id = '{}' and position = 2", draft.id());
    execute(&format!("update invoice_lines set vat_code = '8' {of_draft}")).unwrap();
    let problem = w.issue_answer(&draft, json!({ "issued_on": "2026-01-31" })).refused(409, "state_invalid");
    assert_eq!(problem["state"], "vat_total_negative");
    assert_eq!(w.count("number_counters"), 0);
}

#[test]
fn vat_in_a_foreign_currency_is_told_in_zloty() {
    let w = World::new();
    let draft = w.invoice_draft(w.buyer().create().id(), w.series("invoice").id());
    let mut cheap = line("1", "33.33");
    cheap["vat"] = json!({ "code": "8" });
    let rate = json!({ "rate": "4.2517", "quoted_on": "2026-01-19", "source": "NBP 011/A/NBP/2026" });
    let draft = draft
        .with("currency", "EUR")
        .with("exchange_rate", rate.clone())
        .with("lines", json!([line("1", "100.01"), cheap]))
        .create();
    let issued = w.issue(&draft, "2026-01-20");
    // 100.01 × 23 % = 23.00; 33.33 × 8 % = 2.67; 23.00 × 4.2517 = 97.7891; 2.67 × 4.2517 = 11.352…
    assert_eq!(
        issued["vat_totals"],
        json!([
            { "code": "23", "net": "100.01", "vat": "23.00", "gross": "123.01", "vat_pln": "97.79" },
            { "code": "8", "net": "33.33", "vat": "2.67", "gross": "36.00", "vat_pln": "11.35" },
        ])
    );
    assert_eq!((&issued["vat_pln"], &issued["exchange_rate"]), (&json!("109.14"), &rate));
    let late = w.invoice_draft(draft["customer_id"].as_str().unwrap(), draft["series_id"].as_str().unwrap());
    let late = late.with("currency", "EUR").with("exchange_rate", rate.clone()).create();
    // A rate is of a day before the issue.
    let path = format!("/invoices/{}", late.id());
    let late = w.owner.at(1).patch(&path, json!({ "exchange_rate": { "quoted_on": "2026-01-20" } })).expect(200);
    let problem = w.issue_answer(&late, json!({ "issued_on": "2026-01-20" })).refused(409, "state_invalid");
    assert_eq!(problem["state"], "exchange_rate_too_late");
    let of_zloty = w.owner.at(2).patch(&path, json!({ "currency": "PLN" }));
    of_zloty.refused(422, "validation_failed");
    assert_eq!(of_zloty.wrong(), ["/exchange_rate not_expected"]);
    // The database holds it as well.
    let forced = format!(
        "update invoices set status = 'issued', number = 'FORCED', issued_on = '2026-02-01', vat_pln = null
         where organization_id = '{}' and id = '{}'",
        w.organization_id,
        late.id()
    );
    assert!(execute(&forced).unwrap_err().to_string().contains("invoices_vat_pln_check"));
}

#[test]
fn split_payment_is_marked_above_the_limit_between_taxpayers() {
    let w = World::new();
    let series = w.series("invoice");
    let firm = w.buyer().with("tax_id", json!({ "scheme": "nip", "country": "PL", "number": "1234563218" })).create();
    let mut steel = line("1", "12195.13");
    steel["annex_15"] = json!(true);
    // 12195.13 + 23 % = 15 000.01
    let of = |customer: &Record, line: &Value| {
        w.issue(&w.invoice_draft(customer.id(), series.id()).with("lines", json!([line])).create(), "2026-01-20")
    };
    let marked = of(&firm, &steel);
    assert_eq!((&marked["gross"], &marked["split_payment"]), (&json!("15000.01"), &json!(true)));
    assert_eq!(marked["lines"][0]["annex_15"], true);
    assert_eq!(of(&w.buyer().create(), &steel)["split_payment"], false);
    assert_eq!(of(&firm, &line("1", "99999.00"))["split_payment"], false);
    steel["unit_price"] = json!("12195.12");
    assert_eq!(of(&firm, &steel)["split_payment"], false);
}

#[test]
fn a_series_numbers_one_kind_of_document() {
    let w = World::new();
    let (invoices, pro_formas) = (w.series("invoice"), w.series("pro_forma"));
    let customer = w.buyer().create();
    let wrong = w.invoice_draft(customer.id(), pro_formas.id()).send();
    wrong.refused(422, "validation_failed");
    assert_eq!(wrong.wrong(), ["/series_id kind"]);
    assert_eq!(
        w.invoice_template(pro_formas.id()).send().refused(422, "reference_not_found")["code"],
        "reference_not_found"
    );
    let path = format!("/number-series/{}", invoices.id());
    w.owner.at(1).patch(&path, json!({ "kind": "pro_forma" })).refused(422, "validation_failed");
    assert_eq!(w.owner.get("/number-series?kind=pro_forma").expect(200).items(), [pro_formas]);
}

#[test]
fn a_pro_forma_becomes_one_invoice() {
    let w = World::new();
    let (invoices, pro_formas) = (w.series("invoice"), w.series("pro_forma"));
    let draft = w
        .invoice_draft(w.buyer().create().id(), pro_formas.id())
        .with("kind", "pro_forma")
        .with("notes", "Offer")
        .create();
    let path = format!("/invoices/{}/final-invoice", draft.id());
    let make = || w.owner.once(uuid::Uuid::now_v7()).post(&path, json!({ "series_id": invoices.id() }));
    assert_eq!(make().refused(409, "state_invalid")["state"], "draft");
    let pro_forma = w.issue(&draft, "2026-01-20");
    assert_eq!(pro_forma["number"], "p1/01/2026");

    let answers = at_once(8, |_| make());
    let made: Vec<_> = answers.iter().filter(|answer| answer.status == 201).collect();
    let [made] = made[..] else { panic!("{answers:#?}") };
    for answer in answers.iter().filter(|answer| answer.status != 201) {
        assert_eq!(answer.refused(409, "state_invalid")["state"], "invoiced");
    }
    let made = made.expect(201);
    for (name, value) in [
        ("kind", json!("invoice")),
        ("status", json!("draft")),
        ("pro_forma_id", json!(draft.id())),
        ("notes", json!("Offer")),
        ("lines", pro_forma["lines"].clone()),
        ("gross", json!("123.00")),
    ] {
        assert_eq!(made[name], value, "{name}");
    }
    let other = w.buyer().create();
    let moved = w.owner.at(1).patch(&format!("/invoices/{}", made.id()), json!({ "customer_id": other.id() }));
    moved.refused(422, "validation_failed");
    assert_eq!(moved.wrong(), ["/customer_id fixed"]);
    // Thrown away it makes room for another.
    w.owner.at(1).delete(&format!("/invoices/{}", made.id())).expect(204);
    let second = make().expect(201);
    assert_eq!(w.issue(&second, "2026-01-21")["number"], "i1/01/2026");
    assert_eq!(make().refused(409, "state_invalid")["state"], "invoiced");
    let found = w.owner.get(&format!("/invoices?pro_forma_id={}&status=issued", draft.id())).expect(200).items();
    assert_eq!(found.iter().map(Record::id).collect::<Vec<_>>(), [second.id()]);
}

#[test]
fn of_two_who_issue_a_draft_one_does() {
    let w = World::new();
    let draft = w.invoice_draft(w.buyer().create().id(), w.series("invoice").id()).create();
    let answers = at_once(8, |_| w.issue_answer(&draft, json!({ "issued_on": "2026-01-20" })));
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1, "{answers:#?}");
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        assert_eq!(answer.refused(409, "state_invalid")["state"], "issued");
    }
    assert_eq!(w.changes("invoice.issued"), 1);
}

#[test]
fn an_issue_and_a_change_at_once_leave_one_whole_invoice() {
    let w = World::new();
    let (customer, series) = (w.buyer().create(), w.series("invoice"));
    for _ in 0..10 {
        let draft = w.invoice_draft(customer.id(), series.id()).create();
        let path = format!("/invoices/{}", draft.id());
        let answers = at_once(2, |turn| match turn {
            0 => w.issue_answer(&draft, json!({ "issued_on": "2026-01-20" })),
            _ => w.owner.at(1).patch(&path, json!({ "lines": [line("1", "200.00"), line("1", "300.00")] })),
        });
        answers[0].expect(200);
        let issued = w.owner.get(&path).expect(200);
        let expected = if answers[1].status == 200 { (2, "615.00") } else { (1, "123.00") };
        assert!([200, 409, 412].contains(&answers[1].status), "{answers:#?}");
        assert_eq!((issued["lines"].as_array().unwrap().len(), issued["gross"].as_str().unwrap()), expected);
    }
}

#[test]
fn one_off_invoices_and_a_run_share_a_series_without_gap_or_double() {
    let w = World::new();
    let series = w.number_series().create();
    let template = w.invoice_template(series.id()).create();
    let customer = w.buyer().create();
    for _ in 0..20 {
        w.subscription(template.id(), customer.id()).create();
    }
    let drafts: Vec<_> = (0..30).map(|_| w.invoice_draft(customer.id(), series.id()).create()).collect();
    let answers = at_once(31, |turn| match turn {
        0 => w.run_with(json!({ "mode": "issue", "through_on": "2026-01-31", "issue_on": "2026-01-31" })),
        // Who finds no connection free is told to come again.
        _ => std::iter::repeat_with(|| w.issue_answer(&drafts[turn - 1], json!({ "issued_on": "2026-01-31" })))
            .find(|answer| answer.status != 503)
            .unwrap(),
    });
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:#?}");
    assert_eq!(answers[0].json()["status"], "succeeded");
    let mut numbers: Vec<u32> = w
        .invoices()
        .iter()
        .map(|invoice| invoice["number"].as_str().unwrap().split('/').nth(1).unwrap().parse().unwrap())
        .collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=50).collect::<Vec<_>>());
}
