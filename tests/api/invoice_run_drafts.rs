//! Runs that make drafts: each is changed, issued or thrown away by itself.

use crate::support::{Record, World, at_once, line, text_rows};
use serde_json::{Value, json};
use uuid::Uuid;

fn void(w: &World, draft: &Record) {
    let path = format!("/invoices/{}", draft.id());
    let version = w.owner.get(&path).expect(200).version();
    w.owner.at(version).delete(&path).expect(204);
}

/// The states of all occurrences, by their days.
fn states(w: &World) -> Vec<String> {
    let occurrences = w.owner.get("/occurrences?sort=scheduled_on").expect(200).items();
    occurrences.iter().map(|it| it["state"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_run_drafts_what_it_would_issue() {
    let w = World::new();
    let subscriptions = w.subscribers(2);
    let preview = w.run("preview", "2026-02-28");
    let run = w.run("draft", "2026-02-28");
    assert_eq!((&run["mode"], &run["status"]), (&json!("draft"), &json!("succeeded")));
    assert_eq!(run["counts"], json!({ "planned": 0, "invoiced": 4, "skipped": 0, "failed": 0 }));
    assert_eq!(run["totals"], preview["totals"]);

    let drafts = w.invoices();
    assert_eq!(drafts.len(), 4);
    for draft in &drafts {
        for (name, value) in [
            ("kind", json!("invoice")),
            ("status", json!("draft")),
            ("number", Value::Null),
            ("issued_on", Value::Null),
            ("due_on", Value::Null),
            ("payment_days", json!(14)),
            ("template_id", subscriptions[0]["template_id"].clone()),
            ("run_id", json!(run.id())),
            ("gross", json!("123.00")),
            ("payment_status", Value::Null),
        ] {
            assert_eq!(draft[name], value, "{name}");
        }
        let occurrence = w.owner.get(&format!("/occurrences/{}", draft["occurrence_id"].as_str().unwrap()));
        let occurrence = occurrence.expect(200);
        assert_eq!((&occurrence["state"], &occurrence["invoice_id"]), (&json!("invoiced"), &draft["id"]));
        assert_eq!(occurrence["period_start_on"], draft["period_start_on"]);
    }
    assert_eq!(drafts[1]["lines"][0]["text"], "Bookkeeping 02/2026");
    let results = w.results(&run);
    assert_eq!(
        results.iter().map(|it| &it["invoice_id"]).collect::<Vec<_>>(),
        drafts.iter().map(|it| &it["id"]).collect::<Vec<_>>()
    );
    assert!(results.iter().all(|it| it["outcome"] == "invoiced" && it["gross"] == "123.00"));
    // No number was taken, and nothing is left for other runs.
    assert_eq!(w.count("number_counters"), 0);
    assert_eq!(w.run("issue", "2026-02-28")["counts"]["invoiced"], 0);
    assert_eq!((w.changes("invoice.created"), w.changes("invoice.issued")), (4, 0));
    let told = text_rows(&format!(
        "select jsonb_array_length(after -> 'lines') from audit_entries
         where organization_id = '{}' and resource_type = 'invoice'",
        w.organization_id
    ));
    assert_eq!(told, vec![Some("1".to_owned()); 4]);
    assert_eq!(w.owner.get(&format!("/invoices?run_id={}&status=draft", run.id())).expect(200).items().len(), 4);
}

#[test]
fn a_draft_of_a_run_is_changed_and_issued() {
    let w = World::new();
    let subscription = &w.subscribers(1)[0];
    w.run("draft", "2026-02-28");
    let [first, second] = &w.invoices()[..] else { panic!("two drafts") };
    let path = format!("/invoices/{}", first.id());
    let noted = w.owner.at(1).patch(&path, json!({ "notes": "Thank you" })).expect(200);
    assert_eq!((&noted["lines"], &noted["due_on"]), (&first["lines"], &Value::Null));
    let moved = w.owner.at(2).patch(&path, json!({ "customer_id": w.buyer().create().id() }));
    moved.refused(422, "validation_failed");
    assert_eq!(moved.wrong(), ["/customer_id fixed"]);

    // What seller and buyer are by then is on the invoice, and by which account they are paid.
    let account = json!([{ "iban": "PL61109010140000071219812874", "currency": "PLN", "bank_name": null }]);
    w.owner.at(1).patch("/organization", json!({ "bank_accounts": account })).expect(200);
    let customer = format!("/customers/{}", subscription["customer_id"].as_str().unwrap());
    w.owner.at(1).patch(&customer, json!({ "name": "Kajzerka" })).expect(200);
    // In any order: the second before the first.
    let changed = w.owner.at(1).patch(&format!("/invoices/{}", second.id()), json!({ "lines": [line("3", "10.00")] }));
    let other = w.issue(&changed.expect(200), "2026-03-02");
    assert_eq!((&other["number"], &other["net"]), (&json!("FV/1/03/2026"), &json!("30.00")));
    let issued = w.issue(&noted, "2026-03-05");
    for (name, value) in [
        ("status", json!("issued")),
        ("number", json!("FV/2/03/2026")),
        ("issued_on", json!("2026-03-05")),
        ("due_on", json!("2026-03-19")),
        ("payment_days", json!(14)),
        ("sold_on", json!("2026-01-31")),
        ("period_start_on", json!("2026-01-01")),
        ("period_end_on", json!("2026-02-01")),
        ("bank_account", json!("PL61109010140000071219812874")),
        ("notes", json!("Thank you")),
        ("lines", first["lines"].clone()),
        ("subscription_id", first["subscription_id"].clone()),
        ("run_id", first["run_id"].clone()),
        ("occurrence_id", first["occurrence_id"].clone()),
    ] {
        assert_eq!(issued[name], value, "{name}");
    }
    assert_eq!(issued["buyer"]["name"], "Kajzerka");
    assert_eq!(issued["payment_status"], "overdue");
    assert_eq!(states(&w), ["invoiced", "invoiced"]);
}

#[test]
fn an_invoice_of_a_run_and_one_of_its_draft_say_the_same() {
    let w = World::new();
    let subscriptions = w.subscribers(2);
    let only = |mode: &str, subscription: &Record| {
        let body = json!({ "mode": mode, "through_on": "2026-01-31", "issue_on": "2026-01-31",
                           "subscription_ids": [subscription.id()] });
        let run = w.run_with(body).expect(200);
        w.owner.get(&format!("/invoices?run_id={}", run.id())).expect(200).items().remove(0)
    };
    let mut issued = only("issue", &subscriptions[0]);
    let mut drafted = w.issue(&only("draft", &subscriptions[1]), "2026-01-31");
    assert_eq!([&issued["number"], &drafted["number"]], ["FV/1/01/2026", "FV/2/01/2026"]);
    for name in [
        "id",
        "number",
        "customer_id",
        "subscription_id",
        "occurrence_id",
        "run_id",
        "version",
        "created_at",
        "updated_at",
    ] {
        issued.0[name] = Value::Null;
        drafted.0[name] = Value::Null;
    }
    assert_eq!(issued, drafted);
}

#[test]
fn what_is_thrown_away_is_billed_anew_with_its_extra_lines() {
    let w = World::new();
    let subscription = &w.subscribers(1)[0];
    let extra = w.extra_line(subscription.id()).create();
    let preview = w.run("preview", "2026-02-28");
    let run = w.run("draft", "2026-02-28");
    // 2 × 100.00 + 50.00
    assert_eq!((&run["totals"], run["totals"][0]["net"].as_str()), (&preview["totals"], Some("250.00")));
    let [january, february] = &w.invoices()[..] else { panic!("two drafts") };
    assert_eq!([&january["net"], &february["net"]], ["150.00", "100.00"]);
    assert_eq!(w.reread("/extra-lines", &extra)["invoice_id"], january.id());
    let taken = w.owner.at(2).delete(&format!("/extra-lines/{}", extra.id()));
    assert_eq!(taken.refused(409, "state_invalid")["state"], "invoiced");
    let skip = format!("/occurrences/{}/skip", january["occurrence_id"].as_str().unwrap());
    assert_eq!(w.owner.post(&skip, json!({})).refused(409, "state_invalid")["state"], "invoiced");

    // One without extra lines lets go of none.
    void(&w, february);
    assert_eq!(w.reread("/extra-lines", &extra)["invoice_id"], january.id());
    void(&w, january);
    assert_eq!(states(&w), ["planned", "planned"]);
    let reopened = w.reread("/extra-lines", &extra);
    assert_eq!((&reopened["invoice_id"], reopened.version()), (&Value::Null, 3));
    let occurrence = w.owner.get(&format!("/occurrences/{}", january["occurrence_id"].as_str().unwrap())).expect(200);
    assert_eq!((&occurrence["invoice_id"], &occurrence["attempts"]), (&Value::Null, &json!(1)));
    assert_eq!(w.reread("/subscriptions", subscription)["next_issue_on"], "2026-01-01");
    assert_eq!((w.changes("extra_line.invoiced"), w.changes("extra_line.reopened")), (1, 1));

    assert_eq!(w.run("issue", "2026-03-31")["counts"]["invoiced"], 3);
    let issued = w.owner.get("/invoices?status=issued&sort=created_at").expect(200).items();
    let told: Vec<_> = issued.iter().map(|it| [&it["period_start_on"], &it["net"]]).collect();
    assert_eq!(told, [["2026-01-01", "150.00"], ["2026-02-01", "100.00"], ["2026-03-01", "100.00"]]);
    assert_eq!(issued[0]["occurrence_id"], january["occurrence_id"]);
    assert_eq!(w.reread("/extra-lines", &extra)["invoice_id"], issued[0].id());
    assert_eq!(w.owner.get("/invoices?status=void").expect(200).items().len(), 2);
}

#[test]
fn an_extra_line_that_is_taken_off_its_draft_is_on_the_next_invoice() {
    let w = World::new();
    let subscription = &w.subscribers(1)[0];
    let [kept, taken] =
        ["7.00", "50.00"].map(|price| w.extra_line(subscription.id()).with("unit_price", price).create());
    w.run("draft", "2026-01-31");
    let draft = w.invoices().remove(0);
    let path = format!("/invoices/{}", draft.id());
    let mut lines: Vec<Value> = draft["lines"].as_array().unwrap().clone();
    for line in &mut lines {
        for name in ["position", "net"] {
            line.as_object_mut().unwrap().remove(name);
        }
    }
    // Changed and moved it is still the same line.
    lines[2]["unit_price"] = json!("40.00");
    lines.swap(1, 2);
    w.owner.at(1).patch(&path, json!({ "lines": lines, "notes": "Thank you" })).expect(200);
    let billed = |line: &Record| w.reread("/extra-lines", line)["invoice_id"].clone();
    assert_eq!([billed(&kept), billed(&taken)], [json!(draft.id()), json!(draft.id())]);
    let off = lines.remove(1);
    w.owner.at(2).patch(&path, json!({ "lines": lines })).expect(200);
    assert_eq!([billed(&kept), billed(&taken)], [json!(draft.id()), Value::Null]);
    assert_eq!(w.changes("extra_line.reopened"), 1);
    // It does not come back to this draft, nor is it let go of twice.
    let back = w.owner.at(3).patch(&path, json!({ "lines": [&lines[0], &off] }));
    back.refused(422, "validation_failed");
    assert_eq!(back.wrong(), ["/lines/1/key no_such_line"]);
    w.run("issue", "2026-02-28");
    let next = w.owner.get("/invoices?status=issued").expect(200).items().remove(0);
    assert_eq!((&next["net"], billed(&taken)), (&json!("150.00"), json!(next.id())));
    void(&w, &draft);
    assert_eq!([billed(&kept), billed(&taken)], [Value::Null, json!(next.id())]);
}

#[test]
fn a_correction_lets_go_of_no_line() {
    let w = World::new();
    let subscription = &w.subscribers(1)[0];
    let extra = w.extra_line(subscription.id()).create();
    w.run("issue", "2026-01-31");
    let invoice = &w.invoices()[0];
    let body = json!({ "series_id": w.series("correction").id(), "reason": "Mistake", "to_zero": true });
    let path = format!("/invoices/{}/corrections", invoice.id());
    let correct = || w.owner.once(Uuid::now_v7()).post(&path, &body).expect(201);
    void(&w, &correct());
    w.issue(&correct(), "2026-02-01");
    assert_eq!(w.reread("/extra-lines", &extra)["invoice_id"], invoice.id());
    assert_eq!(states(&w), ["invoiced"]);
}

#[test]
fn drafts_mind_no_date_of_their_series() {
    let w = World::new();
    w.subscribers(1);
    w.run("issue", "2026-02-28");
    let back = json!({ "mode": "draft", "through_on": "2026-03-31", "issue_on": "2026-01-31" });
    let run = w.run_with(back).expect(200);
    assert_eq!((&run["status"], &run["counts"]["invoiced"]), (&json!("succeeded"), &json!(1)));
    let draft = w.invoices().pop().unwrap();
    let early = w.issue_answer(&draft, json!({ "issued_on": "2026-02-27" }));
    early.refused(422, "validation_failed");
    assert_eq!(early.wrong(), ["/issued_on minimum"]);
    assert_eq!(w.issue(&draft, "2026-02-28")["number"], "FV/3/02/2026");
}

#[test]
fn what_cannot_be_issued_is_not_drafted() {
    let w = World::new();
    let subscription = w.subscription(w.template().id(), w.customer().create().id()).create();
    let run = w.run("draft", "2026-01-31");
    assert_eq!((&run["status"], &run["counts"]["failed"]), (&json!("partially_failed"), &json!(1)));
    assert_eq!(w.results(&run)[0]["problem"], "buyer_address_missing");
    assert_eq!(w.reread("/subscriptions", &subscription)["consecutive_failures"], 1);
    assert_eq!((w.count("invoices"), states(&w)), (0, vec!["failed".to_owned()]));
}

#[test]
fn runs_that_draft_and_runs_that_issue_bill_each_period_once() {
    let w = World::new();
    w.subscribers(20);
    let runs = at_once(6, |turn| w.run(if turn % 2 == 0 { "draft" } else { "issue" }, "2026-02-28"));
    assert!(runs.iter().all(|run| run["status"] == "succeeded"), "{runs:?}");
    let invoiced: i64 = runs.iter().map(|run| run["counts"]["invoiced"].as_i64().unwrap()).sum();
    assert_eq!((invoiced, w.count("invoices"), w.count("occurrences")), (40, 40, 40));
}

#[test]
fn a_draft_that_is_thrown_away_beside_a_run_is_billed_once() {
    let w = World::new();
    w.subscribers(1);
    w.run("draft", "2026-01-31");
    let draft = w.invoices().remove(0);
    at_once(3, |turn| match turn {
        0 => void(&w, &draft),
        _ => drop(w.run("issue", "2026-02-28")),
    });
    w.run("issue", "2026-02-28");
    let issued = w.owner.get("/invoices?status=issued").expect(200).items();
    assert_eq!((issued.len(), w.count("invoices"), states(&w).len()), (2, 3, 2));
}

#[test]
fn the_calendar_tells_drafts_as_due() {
    let w = World::new();
    w.subscribers(2);
    w.run("draft", "2026-01-31");
    let told = || {
        let path = "/calendar?from=2026-01-01T08:00:00Z&to=2026-01-01T09:00:00Z&kinds=invoice_run";
        let entry = w.owner.get(path).expect(200).entries().remove(0);
        (entry["status"].as_str().unwrap().to_owned(), entry["invoices"].clone())
    };
    assert_eq!(told(), ("planned".to_owned(), json!({ "due": 2, "issued": 0 })));
    for draft in w.invoices() {
        w.issue(&draft, "2026-01-31");
    }
    assert_eq!(told(), ("done".to_owned(), json!({ "due": 0, "issued": 2 })));
}
