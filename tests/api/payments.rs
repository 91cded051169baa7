use crate::support::{Record, World, at_once, execute, now};
use serde_json::{Value, json};
use uuid::Uuid;

/// A customer with so many invoices of 123.00, due 14 days after 20 January 2026.
fn indebted(w: &World, count: usize) -> (Record, Vec<Record>) {
    let (customer, series) = (w.buyer().create(), w.series("invoice"));
    let invoice = |_| w.issue(&w.invoice_draft(customer.id(), series.id()).create(), "2026-01-20");
    let invoices = (0..count).map(invoice).collect();
    (customer, invoices)
}

fn shares(of: &[(&Record, &str)]) -> Value {
    of.iter().map(|(invoice, amount)| json!({ "invoice_id": invoice.id(), "amount": amount })).collect()
}

fn standing(w: &World, invoice: &Record) -> [String; 3] {
    let invoice = w.reread("/invoices", invoice);
    ["payment_status", "paid", "owed"].map(|name| invoice[name].as_str().unwrap().to_owned())
}

#[test]
fn a_payment_is_spread_over_invoices_and_its_rest_is_credit() {
    let w = World::new();
    let (customer, invoices) = indebted(&w, 3);
    assert_eq!(standing(&w, &invoices[0]), ["overdue", "0.00", "123.00"]);
    let payment = w
        .payment(customer.id(), "200.00")
        .with("allocations", shares(&[(&invoices[0], "123.00"), (&invoices[1], "50.00")]))
        .with("reference", "i1, i2")
        .create();
    assert_eq!((&payment["currency"], &payment["unallocated"]), (&json!("PLN"), &json!("27.00")));
    assert_eq!(w.reread("/payments", &payment), payment);
    assert_eq!(standing(&w, &invoices[0]), ["paid", "123.00", "0.00"]);
    assert_eq!(standing(&w, &invoices[1]), ["overdue", "50.00", "73.00"]);
    // The invoice itself has not changed.
    assert_eq!(w.reread("/invoices", &invoices[0]).version(), invoices[0].version());

    // The credit comes to the third invoice later.
    let path = format!("/payments/{}", payment.id());
    let all = shares(&[(&invoices[0], "123.00"), (&invoices[1], "50.00"), (&invoices[2], "27.00")]);
    let changed = w.owner.at(1).patch(&path, json!({ "allocations": all })).expect(200);
    assert_eq!((&changed["unallocated"], changed.version()), (&json!("0.00"), 2));
    assert_eq!(standing(&w, &invoices[2]), ["overdue", "27.00", "96.00"]);
    let of_invoice = w.owner.get(&format!("/invoices/{}/payments", invoices[2].id())).expect(200).items();
    assert_eq!(of_invoice, [changed]);

    // Taken back, everything is owed again.
    w.owner.at(2).delete(&path).expect(204);
    for invoice in &invoices {
        assert_eq!(standing(&w, invoice), ["overdue", "0.00", "123.00"]);
    }
    w.owner.get(&path).refused(404, "not_found");
    assert_eq!((w.changes("payment.created"), w.changes("payment.updated"), w.changes("payment.deleted")), (1, 1, 1));
}

#[test]
fn a_payment_for_one_invoice_pays_what_is_owed_for_it() {
    let w = World::new();
    let (customer, invoices) = indebted(&w, 1);
    let part = w.payment(customer.id(), "100.00").with("invoice_id", invoices[0].id()).create();
    assert_eq!(part["allocations"], shares(&[(&invoices[0], "100.00")]));
    let over = w.payment(customer.id(), "100.00").with("invoice_id", invoices[0].id()).create();
    assert_eq!(over["allocations"], shares(&[(&invoices[0], "23.00")]));
    assert_eq!(over["unallocated"], "77.00");
    let late = w.payment(customer.id(), "1.00").with("invoice_id", invoices[0].id()).create();
    assert_eq!((&late["allocations"], &late["unallocated"]), (&json!([]), &json!("1.00")));
    let credit = w.owner.get("/payments?has_credit=true&sort=created_at").expect(200).items();
    assert_eq!(credit, [over, late]);
    assert_eq!(w.owner.get("/payments?has_credit=false").expect(200).items(), [part]);
}

#[test]
fn invoices_are_found_by_how_they_stand_today() {
    let w = World::new();
    let (customer, invoices) = indebted(&w, 3);
    let next_year = (now() + chrono::Days::new(365)).date_naive().to_string();
    let series = invoices[0]["series_id"].as_str().unwrap();
    let due = |_| w.issue(&w.invoice_draft(customer.id(), series).with("due_on", &*next_year).create(), "2026-01-21");
    let later: Vec<Record> = (0..2).map(due).collect();
    let pay =
        |invoice: &Record, amount: &str| w.payment(customer.id(), amount).with("invoice_id", invoice.id()).create();
    pay(&invoices[0], "123.00");
    pay(&invoices[1], "1.00");
    pay(&later[0], "1.00");
    w.invoice_draft(customer.id(), series).create();
    let found = |status: &str| {
        let path = format!("/invoices?payment_status={status}&sort=created_at");
        let items = w.owner.get(&path).expect(200).items();
        items.iter().map(|it| it["number"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(found("paid"), ["i1/01/2026"]);
    assert_eq!(found("overdue"), ["i2/01/2026", "i3/01/2026"]);
    assert_eq!(found("partly_paid"), ["i4/01/2026"]);
    assert_eq!(found("unpaid"), ["i5/01/2026"]);
}

#[test]
fn what_does_not_fit_is_refused_and_changes_nothing() {
    let w = World::new();
    let (customer, invoices) = indebted(&w, 2);
    let stranger = w.buyer().create();
    let rate = json!({ "rate": "4.0000", "quoted_on": "2026-01-19", "source": "NBP" });
    let euro = w
        .invoice_draft(customer.id(), invoices[0]["series_id"].as_str().unwrap())
        .with("currency", "EUR")
        .with("exchange_rate", rate)
        .create();
    let draft = w.invoice_draft(customer.id(), invoices[0]["series_id"].as_str().unwrap()).create();
    let euro = w.issue(&euro, "2026-01-20");
    let wrong = |allocations: Value, amount: &str, customer: &Record| {
        w.payment(customer.id(), amount).with("allocations", allocations).send().wrong()
    };
    let first = &invoices[0];
    assert_eq!(wrong(shares(&[(first, "123.01")]), "200.00", &customer), ["/allocations/0/amount maximum"]);
    assert_eq!(
        wrong(shares(&[(first, "100.00"), (&invoices[1], "100.01")]), "200.00", &customer),
        ["/allocations maximum"]
    );
    assert_eq!(wrong(shares(&[(first, "1.00")]), "200.00", &stranger), ["/allocations/0/invoice_id customer"]);
    assert_eq!(wrong(shares(&[(&euro, "1.00")]), "200.00", &customer), ["/allocations/0/invoice_id currency"]);
    assert_eq!(
        wrong(shares(&[(&draft, "1.00")]), "200.00", &customer),
        ["/allocations/0/invoice_id reference_not_found"]
    );
    assert_eq!(wrong(shares(&[(first, "1.00"), (first, "1.00")]), "200.00", &customer), ["/allocations uniqueItems"]);
    assert_eq!(wrong(shares(&[(first, "0.00")]), "200.00", &customer), ["/allocations/0/amount minimum"]);
    assert_eq!(wrong(json!([]), "0.00", &customer), ["/amount minimum"]);
    let ahead = (now() + chrono::Days::new(2)).date_naive().to_string();
    let ahead = w.payment(customer.id(), "1.00").with("paid_on", ahead).send();
    assert_eq!(ahead.wrong(), ["/paid_on maximum"]);
    let of_stranger = w.payment(stranger.id(), "1.00").with("invoice_id", first.id()).send();
    assert_eq!(of_stranger.wrong(), ["/invoice_id customer"]);
    assert_eq!((w.count("payments"), w.count("payment_allocations")), (0, 0));
    assert_eq!(standing(&w, first), ["overdue", "0.00", "123.00"]);
}

#[test]
fn a_correction_changes_what_is_owed() {
    let w = World::new();
    let (customer, invoices) = indebted(&w, 1);
    let series = w.series("correction");
    let correct = |change: Value, on: &str| {
        let mut body = json!({ "series_id": series.id(), "reason": "Mistake" });
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let path = format!("/invoices/{}/corrections", invoices[0].id());
        w.issue(&w.owner.once(Uuid::now_v7()).post(&path, body).expect(201), on)
    };
    let payment = w.payment(customer.id(), "123.00").with("invoice_id", invoices[0].id()).create();
    correct(json!({ "changed_lines": [{ "position": 1, "quantity": "2" }] }), "2026-02-01");
    assert_eq!(standing(&w, &invoices[0]), ["overdue", "123.00", "123.00"]);
    let correction = correct(json!({ "changed_lines": [{ "position": 1, "unit_price": "40.00" }] }), "2026-02-02");
    // 2 × 40.00 + 23 % = 98.40; 24.60 were paid too much, and stay the customer's.
    assert_eq!(standing(&w, &invoices[0]), ["paid", "123.00", "-24.60"]);
    assert!(correction["payment_status"].is_null());
    let path = format!("/payments/{}", payment.id());
    // What was paid before may stay, or be freed, and not grow.
    let kept = w.owner.at(1).patch(&path, json!({ "reference": "kept" })).expect(200);
    assert_eq!(kept["allocations"], payment["allocations"]);
    // Beside it, credit finds other invoices.
    let other =
        w.issue(&w.invoice_draft(customer.id(), invoices[0]["series_id"].as_str().unwrap()).create(), "2026-02-03");
    let both = shares(&[(&invoices[0], "123.00"), (&other, "0.01")]);
    let beyond = w.owner.at(2).patch(&path, json!({ "allocations": both }));
    beyond.refused(422, "validation_failed");
    assert_eq!(beyond.wrong(), ["/allocations maximum"]);
    let less = |amount: &str| json!({ "allocations": shares(&[(&invoices[0], amount)]) });
    w.owner.at(2).patch(&path, less("98.41")).refused(422, "validation_failed");
    let freed = w.owner.at(2).patch(&path, less("98.40")).expect(200);
    assert_eq!(freed["unallocated"], "24.60");
    assert_eq!(standing(&w, &invoices[0]), ["paid", "98.40", "0.00"]);
}

#[test]
fn invoices_of_runs_are_paid_like_others() {
    let w = World::new();
    w.subscribers(3);
    w.run("issue", "2026-01-31");
    let invoices = w.invoices();
    assert_eq!(w.count("invoice_balances"), 3);
    let customer_id = invoices[1]["customer_id"].as_str().unwrap();
    w.payment(customer_id, "123.00").with("invoice_id", invoices[1].id()).create();
    assert_eq!(standing(&w, &invoices[1]), ["paid", "123.00", "0.00"]);
    assert_eq!(standing(&w, &invoices[2]), ["overdue", "0.00", "123.00"]);
}

#[test]
fn a_pro_forma_is_not_owed_for() {
    let w = World::new();
    let (customer, series) = (w.buyer().create(), w.series("pro_forma"));
    let pro_forma = w.invoice_draft(customer.id(), series.id()).with("kind", "pro_forma").create();
    let pro_forma = w.issue(&pro_forma, "2026-01-20");
    assert!(pro_forma["payment_status"].is_null() && pro_forma["owed"].is_null());
    let payment = w.payment(customer.id(), "1.00").with("invoice_id", pro_forma.id()).send();
    payment.refused(422, "reference_not_found");
    assert_eq!(payment.wrong(), ["/invoice_id reference_not_found"]);
}

#[test]
fn of_twenty_payments_at_once_no_invoice_gets_too_much() {
    let w = World::new();
    let (customer, invoices) = indebted(&w, 2);
    // Each is for both invoices; of each 123.00 there is room for six of 20.00.
    let answers = at_once(20, |turn| {
        let mut both = vec![(&invoices[0], "20.00"), (&invoices[1], "20.00")];
        if turn % 2 == 0 {
            both.reverse();
        }
        let payment = w.payment(customer.id(), "40.00").with("allocations", shares(&both));
        std::iter::repeat_with(|| payment.send()).find(|answer| answer.status != 503).unwrap()
    });
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 6, "{answers:#?}");
    for answer in answers.iter().filter(|answer| answer.status != 201) {
        answer.refused(422, "validation_failed");
    }
    for invoice in &invoices {
        assert_eq!(standing(&w, invoice), ["overdue", "120.00", "3.00"]);
    }
    // By one invoice alone, the last ones find nothing owed any more and are credit.
    let answers = at_once(10, |_| {
        let payment = w.payment(customer.id(), "1.00").with("invoice_id", invoices[0].id());
        std::iter::repeat_with(|| payment.send()).find(|answer| answer.status != 503).unwrap()
    });
    assert!(answers.iter().all(|answer| answer.status == 201), "{answers:#?}");
    assert_eq!(standing(&w, &invoices[0]), ["paid", "123.00", "0.00"]);
    let credit = w.owner.get("/payments?has_credit=true").expect(200).items();
    assert_eq!(credit.len(), 7);
}

#[test]
fn the_database_holds_what_is_paid_against_what_is_owed() {
    let w = World::new();
    let (customer, invoices) = indebted(&w, 2);
    let other = w.buyer().create();
    let payment = w.payment(customer.id(), "200.00").with("invoice_id", invoices[0].id()).create();
    let foreign = w.payment(other.id(), "200.00").create();
    let organization_id = w.organization_id;
    let allocate = |payment: &Record, invoice: &Record, amount: &str| {
        execute(&format!(
            "insert into payment_allocations (organization_id, payment_id, invoice_id, amount)
             values ('{organization_id}', '{}', '{}', {amount})",
            payment.id(),
            invoice.id()
        ))
    };
    let of =
        |payment: &Record| format!("where organization_id = '{organization_id}' and payment_id = '{}'", payment.id());
    for (statement, constraint) in [
        (allocate(&payment, &invoices[1], "77.01"), "payments_allocated_check"),
        (allocate(&foreign, &invoices[1], "1.00"), "of its customer"),
        (allocate(&foreign, &invoices[0], "0.00"), "payment_allocations_amount_check"),
        (execute(&format!("update payment_allocations set amount = 123.01 {}", of(&payment))), "beyond what is owed"),
        (execute(&format!("update payments set amount = 1000 where id = '{}'", payment.id())), "of a payment stay"),
        (
            execute(&format!("update payment_allocations set invoice_id = '{}' {}", invoices[1].id(), of(&payment))),
            "stays where it is",
        ),
    ] {
        let refusal = statement.expect_err(constraint).to_string();
        assert!(refusal.contains(constraint), "{constraint}: {refusal}");
    }
    allocate(&payment, &invoices[1], "77.00").unwrap();
    assert_eq!(standing(&w, &invoices[1]), ["overdue", "77.00", "46.00"]);
    execute(&format!("delete from payment_allocations {}", of(&payment))).unwrap();
    assert_eq!(standing(&w, &invoices[0]), ["overdue", "0.00", "123.00"]);
    assert_eq!(w.reread("/payments", &payment)["unallocated"], "200.00");
}
