use crate::support::{World, count, execute};
use serde_json::{Value, json};

#[test]
fn an_invoice_says_what_its_template_customer_and_period_say() {
    let w = World::with(|fields| {
        let account = json!([{ "iban": "PL61109010140000071219812874", "currency": "PLN", "bank_name": null }]);
        fields.bank_accounts = serde_json::from_value(account).unwrap();
    });
    let series = w.number_series().create();
    let lines = json!([
        { "key": "books", "text": "Books for {{period.month_name}} {{period.year}}", "quantity": "2", "unit": "h",
          "unit_price": "49.995", "discount_percent": "10", "vat": { "code": "23" } },
        { "key": "rent", "text": "Rent, paid until {{period.month_name_genitive+1}} {{period.year+1}}", "quantity": "1",
          "unit": "m", "unit_price": "100.00", "vat": { "code": "zw", "exemption_basis": "art. 43 ust. 1 pkt 36" } },
        { "key": "bread", "text": "Bread", "quantity": "3", "unit": "pc", "unit_price": "3.33", "vat": { "code": "5" } },
    ]);
    let template = w.invoice_template(series.id()).with("lines", lines).with("notes", "For {{customer.name}}").create();
    let customer = w.buyer().name("Rogal").with("payment_days", 7).create();
    let subscription = w.subscription(template.id(), customer.id()).with("starts_on", "2026-12-01").create();
    let through = |mode| json!({ "mode": mode, "through_on": "2026-12-31", "issue_on": "2026-01-05" });
    let run = w.run_with(through("preview")).expect(200);
    // 2 × 49.995 − 10 % = 89.991, so 89.99; 3 × 3.33 = 9.99; 89.99 × 23 % = 20.6977, so 20.70; 9.99 × 5 % = 0.4995, so 0.50.
    assert_eq!(run["totals"], json!([{ "currency": "PLN", "net": "199.98", "vat": "21.20", "gross": "221.18" }]));

    let run = w.run_with(through("issue")).expect(200);
    let invoice = &w.invoices()[0];
    assert_eq!(w.reread("/invoices", invoice), *invoice);
    for (name, value) in [
        ("kind", json!("invoice")),
        ("status", json!("issued")),
        ("number", json!("FV/1/01/2026")),
        ("customer_id", json!(customer.id())),
        ("template_id", json!(template.id())),
        ("subscription_id", json!(subscription.id())),
        ("run_id", json!(run.id())),
        ("issued_on", json!("2026-01-05")),
        ("sold_on", json!("2026-12-31")),
        ("period_start_on", json!("2026-12-01")),
        ("period_end_on", json!("2027-01-01")),
        ("due_on", json!("2026-01-12")),
        ("bank_account", json!("PL61109010140000071219812874")),
        ("notes", json!("For Rogal")),
        ("net", json!("199.98")),
        ("vat", json!("21.20")),
        ("gross", json!("221.18")),
    ] {
        assert_eq!(invoice[name], value, "{name}");
    }
    assert_eq!(invoice["seller"]["tax_id"], json!({ "scheme": "nip", "country": "PL", "number": "5261040828" }));
    assert_eq!(invoice["buyer"]["name"], "Rogal");
    assert_eq!(invoice["buyer"]["address"]["city"], "Pruszków");
    let texts: Vec<_> = (0..3).map(|line| invoice["lines"][line]["text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["Books for grudzień 2026", "Rent, paid until stycznia 2027", "Bread"]);
    assert_eq!(invoice["lines"][0]["net"], "89.99");
    assert_eq!(
        invoice["vat_totals"],
        json!([
            { "code": "23", "net": "89.99", "vat": "20.70", "gross": "110.69", "vat_pln": null },
            { "code": "5", "net": "9.99", "vat": "0.50", "gross": "10.49", "vat_pln": null },
            { "code": "zw", "net": "100.00", "vat": "0.00", "gross": "100.00", "vat_pln": null },
        ])
    );
    let occurrence = w.owner.get(&format!("/occurrences/{}", invoice["occurrence_id"].as_str().unwrap())).expect(200);
    assert_eq!(occurrence["invoice_id"], invoice["id"]);
}

#[test]
fn every_vat_code_has_sums_of_its_own() {
    let w = World::new();
    let series = w.number_series().create();
    let codes = ["oo", "np_ii", "np_i", "zw", "0_ex", "0_wdt", "0", "5", "8", "23"];
    let lines: Vec<Value> = codes
        .iter()
        .map(|code| {
            let basis = (*code == "zw").then_some("art. 43 ust. 1 pkt 36");
            json!({ "key": format!("of_{code}"), "text": "Work", "quantity": "1", "unit": "h", "unit_price": "100.00",
                    "vat": { "code": code, "exemption_basis": basis } })
        })
        .collect();
    let template = w.invoice_template(series.id()).with("lines", lines).create();
    w.subscription(template.id(), w.buyer().create().id()).create();
    w.run("issue", "2026-01-31");
    let invoice = &w.invoices()[0];
    let sums = invoice["vat_totals"].as_array().unwrap().iter();
    let sums: Vec<_> = sums.map(|sum| (sum["code"].as_str().unwrap(), sum["vat"].as_str().unwrap())).collect();
    assert_eq!(
        sums,
        [
            ("23", "23.00"),
            ("8", "8.00"),
            ("5", "5.00"),
            ("0", "0.00"),
            ("0_wdt", "0.00"),
            ("0_ex", "0.00"),
            ("zw", "0.00"),
            ("np_i", "0.00"),
            ("np_ii", "0.00"),
            ("oo", "0.00"),
        ]
    );
    assert_eq!((&invoice["net"], &invoice["gross"]), (&json!("1000.00"), &json!("1036.00")));
}

#[test]
fn with_gross_prices_vat_is_computed_from_the_gross() {
    let w = World::new();
    let series = w.number_series().create();
    let template = w.invoice_template(series.id()).with("price_mode", "gross").create();
    w.subscription(template.id(), w.buyer().create().id()).create();
    w.run("issue", "2026-01-31");
    let invoice = &w.invoices()[0];
    // 100.00 × 23 ÷ 123 = 18.699…, so 18.70
    assert_eq!([&invoice["net"], &invoice["vat"], &invoice["gross"]], ["81.30", "18.70", "100.00"]);
}

#[test]
fn an_issued_invoice_keeps_what_it_was_issued_with() {
    let w = World::new();
    let subscription = &w.subscribers(1)[0];
    w.run("issue", "2026-01-31");
    let issued = w.invoices();
    let customer = format!("/customers/{}", subscription["customer_id"].as_str().unwrap());
    w.owner.at(1).patch(&customer, json!({ "name": "Renamed", "billing_address": { "city": "Kraków" } })).expect(200);
    let version = w.organization().version();
    w.owner.at(version).patch("/organization", json!({ "legal_name": "Renamed" })).expect(200);
    let template = format!("/invoice-templates/{}", subscription["template_id"].as_str().unwrap());
    w.owner.at(1).patch(&template, json!({ "notes": "New" })).expect(200);
    assert_eq!(w.invoices(), issued);
}

#[test]
fn the_database_refuses_to_change_an_issued_invoice() {
    let w = World::new();
    w.subscribers(1);
    w.run("issue", "2026-01-31");
    let issued = w.invoices();
    let (id, organization_id) = (issued[0].id(), w.organization_id);
    let of_invoice = format!("where organization_id = '{organization_id}' and id = '{id}'");
    let of_lines = format!("where organization_id = '{organization_id}' and invoice_id = '{id}'");
    for statement in [
        format!("update invoices set notes = 'x' {of_invoice}"),
        format!("update invoices set status = 'draft', number = null, issued_on = null, issued_in = null {of_invoice}"),
        format!("update invoices set status = 'void' {of_invoice}"),
        format!("delete from invoices {of_invoice}"),
        format!("update invoice_lines set net = 0 {of_lines}"),
        format!("delete from invoice_lines {of_lines}"),
        format!(
            "insert into invoice_lines (organization_id, invoice_id, position, text, quantity, unit, unit_price, vat_code, net)
             values ('{organization_id}', '{id}', 2, 'More', 1, 'h', 1, '23', 1)"
        ),
        "truncate invoice_lines".to_owned(),
        "truncate invoices cascade".to_owned(),
    ] {
        let refusal = execute(&statement).expect_err(&statement).to_string();
        assert!(refusal.contains("issued invoice"), "{statement}: {refusal}");
    }
    assert_eq!(w.invoices(), issued);
}

#[test]
fn whoever_issues_an_invoice_does_not_choose_who_may_write_its_lines() {
    let w = World::new();
    w.subscribers(1);
    w.run("issue", "2026-01-31");
    let (issued, forged) = (w.invoices().remove(0), uuid::Uuid::now_v7());
    execute(&format!(
        "insert into invoices
         select (jsonb_populate_record(i, '{{ \"id\": \"{forged}\", \"number\": \"FORGED\", \"issued_in\": 9999999999,
                                              \"period_start_on\": \"2025-12-01\" }}')).*
         from invoices i where organization_id = '{}' and id = '{}'",
        w.organization_id,
        issued.id()
    ))
    .unwrap();
    assert_eq!(count(&format!("invoices where id = '{forged}' and issued_in <> 9999999999")), 1);
}

#[test]
fn a_period_has_one_invoice_whatever_writes_it() {
    let w = World::new();
    w.subscribers(1);
    w.run("issue", "2026-01-31");
    let second = execute(&format!(
        "insert into invoices
         select (jsonb_populate_record(i, '{{ \"id\": \"{}\", \"number\": \"SECOND\" }}')).*
         from invoices i where organization_id = '{}' and id = '{}'",
        uuid::Uuid::now_v7(),
        w.organization_id,
        w.invoices()[0].id()
    ));
    assert!(second.expect_err("a second one").to_string().contains("invoices_subscription_period_key"));
}

#[test]
fn a_draft_takes_no_lines_of_an_issued_invoice_nor_gives_it_its_own() {
    let w = World::new();
    w.subscribers(1);
    w.run("issue", "2026-01-31");
    let (issued, organization_id) = (w.invoices().remove(0), w.organization_id);
    let draft = uuid::Uuid::now_v7();
    execute(&format!(
        "insert into invoices (organization_id, id, kind, status, customer_id, seller, buyer, currency, price_mode,
             payment_method, language, vat_totals, net, vat, gross, created_at, updated_at)
         values ('{organization_id}', '{draft}', 'invoice', 'draft', '{}', '{{}}', '{{}}', 'PLN', 'net', 'transfer', 'pl',
             '[]', 0, 0, 0, now(), now());
         insert into invoice_lines (organization_id, invoice_id, position, text, quantity, unit, unit_price, vat_code, net)
             values ('{organization_id}', '{draft}', 7, 'Draft', 1, 'h', 1, '23', 1)",
        issued["customer_id"].as_str().unwrap()
    ))
    .unwrap();
    let move_line = |from: &str, to: &str| {
        execute(&format!(
            "update invoice_lines set invoice_id = '{to}', position = position + 10
             where organization_id = '{organization_id}' and invoice_id = '{from}'"
        ))
    };
    move_line(&draft.to_string(), issued.id()).expect_err("a line moved into an issued invoice");
    move_line(issued.id(), &draft.to_string()).expect_err("a line moved out of an issued invoice");
    // A draft is still everybody's to change, and to throw away.
    execute(&format!("update invoice_lines set net = 2 where invoice_id = '{draft}'")).unwrap();
    execute(&format!("update invoices set status = 'void' where id = '{draft}'")).unwrap();
    execute(&format!("delete from invoices where id = '{draft}'")).expect_err("a void invoice deleted");
}

#[test]
fn invoices_are_found_by_number_customer_run_and_date() {
    let w = World::new();
    let subscriptions = w.subscribers(3);
    let january = w.run("issue", "2026-01-31");
    w.run("issue", "2026-02-28");
    let listed = |query: &str| {
        let items = w.owner.get(&format!("/invoices?sort=created_at&{query}")).expect(200).items();
        items.iter().map(|it| it["number"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let customer_id = subscriptions[1]["customer_id"].as_str().unwrap();
    assert_eq!(listed("number=FV/2/02/2026"), ["FV/2/02/2026"]);
    assert_eq!(listed(&format!("customer_id={customer_id}")), ["FV/2/01/2026", "FV/2/02/2026"]);
    assert_eq!(listed(&format!("run_id={}", january.id())), ["FV/1/01/2026", "FV/2/01/2026", "FV/3/01/2026"]);
    assert_eq!(listed("issued_on[gte]=2026-02-01&issued_on[lte]=2026-02-28&limit=2"), ["FV/1/02/2026", "FV/2/02/2026"]);
    assert_eq!(listed("status=draft"), Vec::<String>::new());

    let mut numbers = Vec::new();
    let mut path = "/invoices?sort=issued_on&limit=2".to_owned();
    loop {
        let page = w.owner.get(&path).expect(200);
        numbers.extend(page.items().iter().map(|it| it["number"].as_str().unwrap().to_owned()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/invoices?sort=issued_on&limit=2&cursor={cursor}");
    }
    assert_eq!(
        numbers,
        ["FV/1/01/2026", "FV/2/01/2026", "FV/3/01/2026", "FV/1/02/2026", "FV/2/02/2026", "FV/3/02/2026"]
    );
}

#[test]
fn who_only_reads_invoices_issues_none() {
    let w = World::new();
    w.subscribers(1);
    let reader = w.operator("operator", "read", None);
    assert!(reader.get("/invoices").expect(200).items().is_empty());
    let problem = reader.post("/invoice-runs", json!({ "mode": "issue" })).refused(403, "scope_missing");
    assert_eq!(problem["scope"], "billing:write");
    w.operator("manager", "none", None).get("/invoices").refused(403, "scope_missing");
    assert_eq!((w.count("invoice_runs"), Value::from(w.count("invoices"))), (0, json!(0)));
}
