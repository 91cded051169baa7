//! Lines that bill time, the annexes of their invoices, and the report of what is unbilled.

use crate::support::{Answer, Record, World, at_once, execute, line, text_rows, time_line};
use opiekun_domain::billable_time::TimeEntryKind;
use opiekun_domain::ids::InvoiceId;
use opiekun_persistence::invoice_time_entries::{self, NewTimeEntry};
use serde_json::{Value, json};
use uuid::Uuid;

/// A world where an hour costs 120.00, with a customer who pays for hours every month in arrears, and a task of theirs.
struct Hours {
    w: World,
    customer: Record,
    subscription: Record,
    task: Record,
}

fn hours() -> Hours {
    hours_in(World::new())
}

fn hours_in(w: World) -> Hours {
    w.hourly_rate("120.00", "2025-01-01").create();
    let customer = w.buyer().name("Rogal").create();
    let subscription = w.arrears(w.time_template().id(), customer.id()).create();
    let task = w.task("Payroll").with("customer_id", customer.id()).create();
    Hours { w, customer, subscription, task }
}

impl Hours {
    fn talk(&self, at: &str, minutes: u32) -> Record {
        self.w.interaction(self.customer.id()).with("started_at", at).with("duration_minutes", minutes).create()
    }

    fn work(&self, at: &str, minutes: u32) -> Record {
        let entry = self.w.work_entry(self.task.id()).with("started_at", at).with("duration_minutes", minutes);
        entry.with("note", "Salaries").create()
    }

    /// The invoice of January, which bills a talk of 45 minutes and a work entry of 20: 90.00 + 40.00.
    fn january(&self) -> (Record, [(String, Record); 2]) {
        let talk = self.talk("2026-01-10T10:00:00Z", 45);
        let work = self.work("2026-01-20T10:00:00Z", 20);
        self.w.run("issue", "2026-02-01");
        let entries = [("/interactions", talk), ("/work-entries", work)];
        let paths = entries.map(|(collection, it)| (format!("{collection}/{}", it.id()), it));
        let invoice = self.w.invoices().pop().unwrap();
        assert_eq!(invoice["net"], "130.00");
        (invoice, paths)
    }

    fn correct(&self, invoice: &Record, change: Value) -> Answer {
        let series = self.w.owner.get("/number-series?name=correction").expect(200).items().pop();
        let series = series.unwrap_or_else(|| self.w.series("correction"));
        let mut body = json!({ "series_id": series.id(), "reason": "Mistake" });
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        self.w.owner.once(Uuid::now_v7()).post(&format!("/invoices/{}/corrections", invoice.id()), body)
    }

    /// How many entries there are to be billed, and their cost.
    fn unbilled(&self) -> (i64, String) {
        let report = self.w.owner.get("/reports/unbilled-time").expect(200);
        let row = &report["rows"][0];
        (row["entries"].as_i64().unwrap_or_default(), row["cost"].as_str().unwrap_or("0.00").to_owned())
    }
}

fn annex(w: &World, invoice: &Record) -> Vec<Record> {
    w.owner.get(&format!("/invoices/{}/time-entries?limit=200", invoice.id())).expect(200).items()
}

fn counts(run: &Record) -> [i64; 4] {
    ["planned", "invoiced", "skipped", "failed"].map(|name| run["counts"][name].as_i64().unwrap())
}

fn problems(w: &World, run: &Record) -> Vec<String> {
    let results = w.results(run).into_iter();
    results.filter_map(|it| it["problem"].as_str().map(str::to_owned)).collect()
}

fn wrong(answer: &Answer) -> Vec<String> {
    answer.refused(422, "validation_failed");
    answer.wrong()
}

#[test]
fn a_run_bills_the_customers_time_of_the_period_and_lists_it() {
    let it = hours();
    let w = &it.w;
    let talk = it.talk("2026-01-31T22:59:00Z", 45);
    let work = it.work("2026-01-01T08:00:00Z", 20);
    // What is not billed: of another period, not held, not billable, of no length, of another customer, or of none.
    let later = it.talk("2026-02-10T10:00:00Z", 60);
    it.work("2025-12-31T10:00:00Z", 60);
    let january = |customer: &Record| w.interaction(customer.id()).with("started_at", "2026-01-15T10:00:00Z");
    january(&it.customer).with("status", "planned").create();
    january(&it.customer).with("billable", false).create();
    january(&it.customer).with("duration_minutes", 0).create();
    january(&w.customer().create()).create();
    w.work_entry(w.task("Own").create().id()).with("started_at", "2026-01-15T10:00:00Z").create();

    let preview = w.run("preview", "2026-02-01");
    assert_eq!((counts(&preview), &preview["totals"][0]["net"]), ([1, 0, 0, 0], &json!("130.00")));
    assert_eq!((w.count("invoice_time_entries"), w.reread("/interactions", &talk)), (0, talk.clone()));
    let run = w.run("issue", "2026-02-01");
    assert_eq!((counts(&run), &run["totals"]), ([0, 1, 0, 0], &preview["totals"]));

    let invoice = &w.invoices()[0];
    // 45 × 120.00 ÷ 60 = 90.00 and 20 × 120.00 ÷ 60 = 40.00
    let billed = &invoice["lines"][0];
    for (name, value) in [
        ("key", "hours"),
        ("text", "Hours of 01/2026"),
        ("quantity", "1"),
        ("unit", "month"),
        ("unit_price", "130.00"),
        ("net", "130.00"),
    ] {
        assert_eq!(billed[name], value, "{name}");
    }
    let annex = annex(w, invoice);
    let told: Vec<_> = annex.iter().map(|entry| (entry.id(), entry["kind"].as_str().unwrap())).collect();
    assert_eq!(told, [(work.id(), "work_entry"), (talk.id(), "interaction")]);
    for (name, value) in [
        ("position", json!(1)),
        ("line_key", json!("hours")),
        ("started_at", json!("2026-01-01T08:00:00Z")),
        ("started_on", json!("2026-01-01")),
        ("operator_id", json!(w.owner.id.to_string())),
        ("operator_name", json!("Test owner")),
        ("text", json!("Salaries")),
        ("duration_minutes", json!(20)),
        ("billed_minutes", json!(20)),
        ("resolved_rate", json!("120.00")),
        ("cost", json!("40.00")),
        ("currency", json!("PLN")),
    ] {
        assert_eq!(annex[0][name], value, "{name}");
    }
    assert_eq!((&annex[1]["text"], &annex[1]["started_on"]), (&json!("A question"), &json!("2026-01-31")));
    for (collection, entry) in [("/interactions", &talk), ("/work-entries", &work)] {
        let marked = w.reread(collection, entry);
        assert_eq!((&marked["invoice_id"], marked.version()), (&json!(invoice.id()), 2));
    }
    assert_eq!((w.changes("interaction.invoiced"), w.changes("work_entry.invoiced")), (1, 1));

    // Once more, and then on to the next period.
    assert_eq!(counts(&w.run("issue", "2026-02-01")), [0; 4]);
    assert_eq!(counts(&w.run("issue", "2026-03-01")), [0, 1, 0, 0]);
    let february = &w.invoices()[1];
    assert_eq!(
        (&february["net"], w.reread("/interactions", &later)["invoice_id"].as_str()),
        (&json!("120.00"), Some(february.id()))
    );
}

#[test]
fn caught_up_periods_bill_each_their_own_time() {
    let it = hours();
    for (at, minutes) in [("2026-01-31T12:00:00Z", 10), ("2026-02-01T12:00:00Z", 20), ("2026-03-31T12:00:00Z", 30)] {
        it.work(at, minutes);
    }
    it.w.run("issue", "2026-04-01");
    let nets: Vec<_> = it.w.invoices().iter().map(|invoice| invoice["net"].clone()).collect();
    assert_eq!(nets, ["20.00", "40.00", "60.00"]);
}

#[test]
fn a_period_is_of_the_organizations_calendar() {
    let it = hours_in(World::with(|fields| fields.time_zone = "America/New_York".into()));
    // January is from 5:00 on the 1st until 5:00 on 1 February.
    for at in ["2026-01-01T04:59:59Z", "2026-01-01T05:00:00Z", "2026-02-01T04:59:59Z", "2026-02-01T05:00:00Z"] {
        it.talk(at, 30);
    }
    it.w.run("issue", "2026-02-01");
    let days: Vec<_> = annex(&it.w, &it.w.invoices()[0]).iter().map(|entry| entry["started_on"].clone()).collect();
    assert_eq!(days, ["2026-01-01", "2026-01-31"]);
    it.w.run("issue", "2026-03-01");
    assert_eq!(annex(&it.w, &it.w.invoices()[1])[0]["started_on"], "2026-02-01");
}

#[test]
fn without_time_its_line_is_left_out_and_a_period_without_lines_is_skipped() {
    let it = hours();
    let w = &it.w;
    let books = json!([{ "key": "books", "text": "Books", "quantity": "1", "unit": "month", "unit_price": "100.00",
                         "vat": { "code": "23" } }, time_line()]);
    let both = w.invoice_template(w.series("invoice").id()).name("Both").with("lines", books).create();
    w.arrears(both.id(), w.buyer().create().id()).create();
    let preview = w.run("preview", "2026-02-01");
    let run = w.run("issue", "2026-02-01");
    assert_eq!((counts(&preview), counts(&run)), ([1, 0, 1, 0], [0, 1, 1, 0]));
    assert_eq!(run["status"], "succeeded");
    assert_eq!(
        (problems(w, &preview), problems(w, &run)),
        (vec!["nothing_to_bill".to_owned()], vec!["nothing_to_bill".to_owned()])
    );
    let invoice = &w.invoices()[0];
    assert_eq!((&invoice["lines"][0]["key"], invoice["lines"].as_array().unwrap().len()), (&json!("books"), 1));
    assert_eq!(annex(w, invoice), []);
    let path = format!("/occurrences?subscription_id={}", it.subscription.id());
    let skipped = w.owner.get(&path).expect(200).items().remove(0);
    assert_eq!((&skipped["state"], &skipped["skip_reason"]), (&json!("skipped"), &json!("nothing_to_bill")));
    // No number was taken.
    let series = w.owner.get("/number-series?name=Sales").expect(200).items().remove(0);
    assert_eq!(series["next_number"], 1);

    // Written down late, and billed after all.
    it.work("2026-01-20T10:00:00Z", 30);
    w.owner.delete(&format!("/occurrences/{}/skip", skipped.id())).expect(200);
    assert_eq!(counts(&w.run("issue", "2026-02-01")), [0, 1, 0, 0]);
    assert_eq!(w.reread("/occurrences", &skipped)["skip_reason"], Value::Null);
}

#[test]
fn time_that_costs_nothing_makes_no_invoice_by_itself() {
    let it = hours();
    let free = |at: &str| {
        let entry = it.w.work_entry(it.task.id()).with("started_at", at).with("hourly_rate", "0.00");
        entry.with("duration_minutes", 30).create()
    };
    free("2026-01-20T10:00:00Z");
    let run = it.w.run("issue", "2026-02-01");
    assert_eq!((counts(&run), problems(&it.w, &run)), ([0, 0, 1, 0], vec!["nothing_to_bill".to_owned()]));
    assert_eq!(it.unbilled(), (1, "0.00".to_owned()));
    // Beside time that costs something it is listed.
    free("2026-02-20T10:00:00Z");
    it.work("2026-02-21T10:00:00Z", 30);
    it.w.run("issue", "2026-03-01");
    let invoice = it.w.invoices().pop().unwrap();
    assert_eq!((&invoice["net"], annex(&it.w, &invoice).len()), (&json!("60.00"), 2));
}

#[test]
fn time_that_cannot_be_priced_fails_alone() {
    let w = World::new();
    let template = w.time_template();
    let customers = [w.buyer().create(), w.buyer().create()];
    let rate = w.hourly_rate("60.00", "2026-01-01").with("customer_id", customers[0].id()).create();
    assert_eq!(rate["amount"], "60.00");
    let entries = customers.each_ref().map(|customer| {
        w.arrears(template.id(), customer.id()).create();
        w.interaction(customer.id()).with("started_at", "2026-01-15T10:00:00Z").create()
    });
    let preview = w.run("preview", "2026-02-01");
    let run = w.run("issue", "2026-02-01");
    assert_eq!((counts(&preview), counts(&run)), ([1, 0, 0, 1], [0, 1, 0, 1]));
    assert_eq!(
        (problems(&w, &preview), problems(&w, &run)),
        (vec!["time_unpriced".to_owned()], vec!["time_unpriced".to_owned()])
    );
    assert_eq!(w.reread("/interactions", &entries[1])["invoice_id"], Value::Null);
    // Once there is a rate, a change of the entry prices it.
    w.hourly_rate("80.00", "2026-01-01").create();
    w.owner.at(1).patch(&format!("/interactions/{}", entries[1].id()), json!({ "outcome": "Settled" })).expect(200);
    assert_eq!(counts(&w.run("issue", "2026-02-01")), [0, 1, 0, 0]);
    assert_eq!(w.invoices()[1]["net"], "40.00");
}

#[test]
fn time_in_another_currency_is_not_billed() {
    let it = hours();
    it.work("2026-01-20T10:00:00Z", 30);
    let (w, path) = (&it.w, format!("/invoice-templates/{}", it.subscription["template_id"].as_str().unwrap()));
    w.owner.at(1).patch(&format!("/customers/{}", it.customer.id()), json!({ "currency": "EUR" })).expect(200);
    w.owner.at(1).patch(&path, json!({ "currency": "EUR" })).expect(200);
    let run = w.run("issue", "2026-02-01");
    assert_eq!(problems(w, &run), ["time_currency_mismatch"]);
}

#[test]
fn of_two_subscriptions_that_bill_the_same_time_the_first_does_also_where_one_fails() {
    let it = hours();
    let w = &it.w;
    it.work("2026-01-20T10:00:00Z", 30);
    let template_id = it.subscription["template_id"].as_str().unwrap();
    w.arrears(template_id, it.customer.id()).create();
    let preview = w.run("preview", "2026-02-01");
    assert_eq!((counts(&preview), &preview["totals"][0]["net"]), ([1, 0, 1, 0], &json!("60.00")));
    // Each alone, as a batch is taken up that the database refuses.
    let broken = w.invoice_template(w.series("invoice").id()).name("Broken").create();
    w.subscription(broken.id(), w.buyer().create().id()).create();
    execute(&format!("update invoice_templates set lines = '[{{}}]' where id = '{}'", broken.id())).unwrap();
    let preview = w.run("preview", "2026-02-01");
    assert_eq!((counts(&preview), &preview["totals"][0]["net"]), ([1, 0, 1, 1], &json!("60.00")));
    let run = w.run("issue", "2026-02-01");
    assert_eq!((counts(&run), &run["totals"]), ([0, 1, 1, 1], &preview["totals"]));
    assert_eq!(w.invoices()[0]["subscription_id"], it.subscription.id());
}

#[test]
fn runs_at_once_bill_each_entry_once() {
    let it = hours();
    let w = &it.w;
    let template_id = it.subscription["template_id"].as_str().unwrap();
    let mut subscriptions: Vec<_> = (0..5).map(|_| w.arrears(template_id, it.customer.id()).create()).collect();
    subscriptions.push(it.subscription.clone());
    let entries: Vec<_> = (1..=20).map(|day| it.work(&format!("2026-01-{day:02}T10:00:00Z"), 30)).collect();
    let runs = at_once(subscriptions.len(), |turn| {
        let chosen = [subscriptions[turn].id()];
        let run = json!({ "mode": "issue", "through_on": "2026-02-01", "issue_on": "2026-02-01", "subscription_ids": chosen });
        w.run_with(run).expect(200)
    });
    let sum = |at: usize| runs.iter().map(|run| counts(run)[at]).sum::<i64>();
    assert_eq!((sum(1), sum(2), sum(3)), (1, 5, 0), "{runs:#?}");
    let invoice = &w.invoices()[0];
    assert_eq!((&invoice["net"], annex(w, invoice).len()), (&json!("1200.00"), entries.len()));
    assert_eq!(w.count("invoice_time_entries"), 20);
}

#[test]
fn what_is_invoiced_stays() {
    let it = hours();
    let w = &it.w;
    let (_, entries) = it.january();
    let operator = w.operator("operator", "none", Some(&w.owner));
    let invoiced = |answer: Answer| assert_eq!(answer.refused(409, "state_invalid")["state"], "invoiced", "{answer:?}");
    for (path, entry) in &entries {
        let before = w.owner.get(path).expect(200);
        let mut patches = vec![
            json!({ "duration_minutes": 46 }),
            json!({ "started_at": "2026-01-11T10:00:00Z" }),
            json!({ "billable": false }),
            json!({ "hourly_rate": "1.00" }),
            json!({ "operator_id": operator.id.to_string() }),
        ];
        if entry.get("channel").is_some() {
            patches.extend([json!({ "status": "not_held" }), json!({ "customer_id": w.customer().create().id() })]);
        } else {
            patches.push(json!({ "task_id": w.task("Other").with("customer_id", it.customer.id()).create().id() }));
        }
        for patch in patches {
            invoiced(w.owner.at(2).patch(path, patch));
        }
        invoiced(w.owner.at(2).delete(path));
        assert_eq!(w.owner.get(path).expect(200), before);
        let text = if entry.get("channel").is_some() { "subject" } else { "note" };
        let told = w.owner.at(2).patch(path, json!({ text: "In other words" })).expect(200);
        assert_eq!((&told[text], &told["invoice_id"]), (&json!("In other words"), &before["invoice_id"]));
    }
    // Work is of its task's customer.
    let task = format!("/tasks/{}", it.task.id());
    invoiced(w.owner.with("If-Match", "*").patch(&task, json!({ "customer_id": w.customer().create().id() })));
    let thread = w.thread("Payroll").create();
    w.owner.with("If-Match", "*").patch(&task, json!({ "thread_id": thread.id() })).expect(200);
    assert_eq!(w.owner.get(&entries[1].0).expect(200)["thread_id"], thread.id());
    // The annex says what was billed.
    let texts: Vec<_> = annex(w, &w.invoices()[0]).iter().map(|entry| entry["text"].clone()).collect();
    assert_eq!(texts, ["A question", "Salaries"]);
}

#[test]
fn lists_tell_what_is_invoiced() {
    let it = hours();
    let (_, entries) = it.january();
    let later = [it.talk("2026-02-10T10:00:00Z", 30), it.work("2026-02-10T10:00:00Z", 30)];
    for (collection, (_, entry), later) in
        [("/interactions", &entries[0], &later[0]), ("/work-entries", &entries[1], &later[1])]
    {
        let ids = |invoiced: bool| {
            let page = it.w.owner.get(&format!("{collection}?invoiced={invoiced}")).expect(200);
            page.items().iter().map(|it| it.id().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!((ids(true), ids(false)), (vec![entry.id().to_owned()], vec![later.id().to_owned()]));
    }
}

#[test]
fn a_correction_that_leaves_the_time_out_gives_it_back() {
    for change in [json!({ "removed_positions": [1], "added_lines": [line("1", "1.00")] }), json!({ "to_zero": true })]
    {
        let it = hours();
        let w = &it.w;
        let (invoice, entries) = it.january();
        let listed = annex(w, &invoice);
        // Less of it is still billed.
        let less = json!({ "changed_lines": [{ "position": 1, "quantity": "0.5" }] });
        w.issue(&it.correct(&invoice, less).expect(201), "2026-02-02");
        assert_eq!(it.unbilled(), (0, "0.00".to_owned()));
        let draft = it.correct(&invoice, change).expect(201);
        assert_eq!(it.unbilled(), (0, "0.00".to_owned()), "a draft changes nothing yet");
        w.issue(&draft, "2026-02-03");
        assert_eq!(it.unbilled(), (2, "130.00".to_owned()));
        for (path, _) in &entries {
            let given = w.owner.get(path).expect(200);
            assert_eq!((&given["invoice_id"], given.version()), (&Value::Null, 3));
        }
        assert_eq!((w.changes("interaction.given_back"), w.changes("work_entry.given_back")), (1, 1));
        assert_eq!(annex(w, &invoice), listed);
        // It is billed anew by whoever bills these days, and can change before.
        w.owner.at(3).patch(&entries[0].0, json!({ "duration_minutes": 60 })).expect(200);
        w.owner.at(3).delete(&entries[1].0).expect(204);
        w.arrears(it.subscription["template_id"].as_str().unwrap(), it.customer.id()).create();
        w.run("issue", "2026-02-03");
        let anew = w.invoices().pop().unwrap();
        assert_eq!((&anew["net"], annex(w, &anew)[0].id()), (&json!("120.00"), entries[0].1.id()));
        assert_eq!(annex(w, &invoice), listed);
    }
}

#[test]
fn time_that_was_given_back_is_on_the_next_invoice_of_the_customer() {
    let it = hours();
    let w = &it.w;
    let (invoice, entries) = it.january();
    w.issue(&it.correct(&invoice, json!({ "to_zero": true })).expect(201), "2026-02-03");
    // Written down too late for January, and never billed; February's own; and what is not to be billed after all.
    it.work("2026-01-21T10:00:00Z", 60);
    let own = it.work("2026-02-10T10:00:00Z", 30);
    w.owner.at(3).patch(&entries[0].0, json!({ "billable": false })).expect(200);
    assert_eq!(it.unbilled(), (3, "220.00".to_owned()));
    let preview = w.run("preview", "2026-03-01");
    w.run("draft", "2026-03-01");
    // 40.00 + 60.00
    let february = w.invoices().pop().unwrap();
    assert_eq!((&preview["totals"][0]["net"], &february["net"]), (&json!("100.00"), &json!("100.00")));
    let billed = |invoice: &Record| annex(w, invoice).iter().map(|it| it.id().to_owned()).collect::<Vec<_>>();
    assert_eq!(billed(&february), [entries[1].1.id(), own.id()]);
    assert_eq!(it.unbilled(), (1, "120.00".to_owned()));
    // Taken off a draft, it waits for the month after.
    let path = format!("/invoices/{}", february.id());
    w.owner.at(1).patch(&path, json!({ "lines": [line("1", "5.00")] })).expect(200);
    assert_eq!(it.unbilled(), (3, "220.00".to_owned()));
    assert_eq!(counts(&w.run("issue", "2026-04-01")), [0, 1, 0, 0]);
    assert_eq!(billed(&w.invoices().pop().unwrap()), [entries[1].1.id(), own.id()]);
    assert_eq!(it.unbilled(), (1, "120.00".to_owned()));
}

#[test]
fn of_caught_up_periods_the_first_bills_what_was_given_back() {
    let it = hours();
    let (invoice, entries) = it.january();
    it.w.issue(&it.correct(&invoice, json!({ "to_zero": true })).expect(201), "2026-02-03");
    it.work("2026-03-10T10:00:00Z", 30);
    let preview = it.w.run("preview", "2026-04-01");
    let run = it.w.run("issue", "2026-04-01");
    assert_eq!((&run["totals"], counts(&run)), (&preview["totals"], [0, 2, 0, 0]));
    let [.., february, march] = &it.w.invoices()[..] else { panic!("two invoices") };
    assert_eq!([&february["net"], &march["net"]], ["130.00", "60.00"]);
    assert_eq!(
        annex(&it.w, february).iter().map(Record::id).collect::<Vec<_>>(),
        entries.each_ref().map(|it| it.1.id())
    );
}

#[test]
fn time_that_was_given_back_is_not_billed_again_by_its_old_line() {
    let it = hours();
    let (invoice, _) = it.january();
    it.w.issue(&it.correct(&invoice, json!({ "to_zero": true })).expect(201), "2026-02-02");
    let again = it.correct(&invoice, json!({ "changed_lines": [{ "position": 1, "quantity": "1" }] }));
    assert_eq!(again.refused(409, "state_invalid")["state"], "time_given_back");
    it.correct(&invoice, json!({ "changed_lines": [{ "position": 1, "text": "Cancelled" }] })).expect(201);
}

/// A draft of a customer with a time line that bills some entries, as a run that drafts would make it.
fn drafted(it: &Hours, entries: &[&Record]) -> Record {
    let lines = json!([line("1", "130.00"), line("1", "5.00")]);
    let series = it.w.series("invoice");
    let draft = it.w.invoice_draft(it.customer.id(), series.id()).with("lines", lines).create();
    execute(&format!("update invoice_lines set key = 'hours' where invoice_id = '{}' and position = 1", draft.id()))
        .unwrap();
    let invoice_id: InvoiceId = draft.id().parse().unwrap();
    let new = (1..).zip(entries).map(|(position, entry)| NewTimeEntry {
        invoice_id,
        position,
        line_key: "hours".to_owned(),
        kind: if entry.get("channel").is_some() { TimeEntryKind::Interaction } else { TimeEntryKind::WorkEntry },
        id: entry.id().parse().unwrap(),
        started_on: "2026-01-20".parse().unwrap(),
    });
    it.w.write(|tx| invoice_time_entries::bill(tx, new.collect()));
    draft
}

#[test]
fn a_draft_that_is_thrown_away_gives_its_time_back() {
    let it = hours();
    let entries = [it.talk("2026-01-10T10:00:00Z", 45), it.work("2026-01-20T10:00:00Z", 20)];
    let draft = drafted(&it, &[&entries[0], &entries[1]]);
    assert_eq!(it.unbilled().0, 0);
    assert_eq!(counts(&it.w.run("preview", "2026-02-01")), [0, 0, 1, 0]);
    it.w.owner.at(1).delete(&format!("/invoices/{}", draft.id())).expect(204);
    assert_eq!(it.unbilled(), (2, "130.00".to_owned()));
    assert_eq!(annex(&it.w, &draft).len(), 2);
    assert_eq!(counts(&it.w.run("issue", "2026-02-01")), [0, 1, 0, 0]);
}

#[test]
fn a_draft_bills_time_for_as_long_as_it_has_the_line() {
    let it = hours();
    let entry = it.work("2026-01-20T10:00:00Z", 20);
    let draft = drafted(&it, &[&entry]);
    let path = format!("/invoices/{}", draft.id());
    let change = |version: i64, body: Value| it.w.owner.at(version).patch(&path, body);
    let noted = change(1, json!({ "notes": "Thank you" })).expect(200);
    assert_eq!(noted["lines"][0]["key"], "hours");
    // In another place, at another price.
    let mut kept = line("1", "120.00");
    kept["key"] = json!("hours");
    let moved = change(2, json!({ "lines": [line("1", "5.00"), kept] })).expect(200);
    assert_eq!((&moved["lines"][1]["key"], it.unbilled().0), (&json!("hours"), 0));
    for (at, key, code) in [(0, "hours", "/lines/1/key uniqueItems"), (0, "books", "/lines/0/key no_such_line")] {
        let mut lines = json!([line("1", "5.00"), kept]);
        lines[at]["key"] = json!(key);
        assert_eq!(wrong(&change(3, json!({ "lines": lines }))), [code]);
    }
    let without = change(3, json!({ "lines": [line("1", "5.00")] })).expect(200);
    assert_eq!((it.unbilled(), annex(&it.w, &draft).len()), ((1, "40.00".to_owned()), 0));
    assert_eq!(wrong(&change(4, json!({ "lines": [kept] }))), ["/lines/0/key no_such_line"]);
    it.w.issue(&without, "2026-02-01");
    let keyed = it.w.invoice_draft(it.customer.id(), draft["series_id"].as_str().unwrap()).with("lines", json!([kept]));
    assert_eq!(wrong(&keyed.send()), ["/lines/0/key no_such_line"]);
}

#[test]
fn a_draft_that_bills_time_keeps_its_currency_and_net_prices() {
    let it = hours();
    it.work("2026-01-20T10:00:00Z", 20);
    it.w.run("draft", "2026-02-01");
    let draft = it.w.invoices().pop().unwrap();
    let change = |body: Value| it.w.owner.at(1).patch(&format!("/invoices/{}", draft.id()), body);
    assert_eq!(wrong(&change(json!({ "currency": "EUR" }))), ["/currency time_currency_mismatch"]);
    let both = change(json!({ "currency": "EUR", "price_mode": "gross" }));
    assert_eq!(wrong(&both), ["/currency time_currency_mismatch", "/price_mode time_is_net"]);
    assert_eq!(it.w.reread("/invoices", &draft), draft);
    // Once it bills no time, neither matters.
    let other = json!({ "currency": "EUR", "price_mode": "gross", "lines": [line("1", "5.00")] });
    assert_eq!(change(other).expect(200)["gross"], "5.00");
    assert_eq!(it.unbilled(), (1, "40.00".to_owned()));
}

#[test]
fn a_template_bills_time_by_one_line_at_net_prices() {
    let w = World::new();
    let series = w.number_series().create();
    let wrong_with = |field: &str, value: Value| wrong(&w.invoice_template(series.id()).with(field, value).send());
    let with = |name: &str, value: Value| {
        let mut line = time_line();
        line[name] = value;
        line
    };
    assert_eq!(wrong_with("lines", json!([with("quantity", json!("1"))])), ["/lines/0/quantity not_expected"]);
    assert_eq!(wrong_with("lines", json!([with("unit_price", json!("1.00"))])), ["/lines/0/unit_price not_expected"]);
    assert_eq!(
        wrong_with("lines", json!([with("kind", json!("fixed"))])),
        ["/lines/0/quantity required", "/lines/0/unit_price required"]
    );
    assert_eq!(
        wrong_with("lines", json!([time_line(), with("key", json!("more"))])),
        ["/lines/1/kind time_line_repeated"]
    );
    let gross = w.invoice_template(series.id()).with("price_mode", "gross").with("lines", json!([time_line()]));
    assert_eq!(wrong(&gross.send()), ["/price_mode time_is_net"]);
    assert_eq!(w.count("invoice_templates"), 0);

    let template = w.invoice_template(series.id()).with("lines", json!([time_line()])).create();
    let shown = ["kind", "quantity", "unit_price"].map(|name| template["lines"][0][name].clone());
    assert_eq!(shown, [json!("time"), Value::Null, Value::Null]);
    let path = format!("/invoice-templates/{}", template.id());
    assert_eq!(wrong(&w.owner.at(1).patch(&path, json!({ "price_mode": "gross" }))), ["/price_mode time_is_net"]);
    let forced = execute(&format!("update invoice_templates set price_mode = 'gross' where id = '{}'", template.id()));
    assert!(forced.unwrap_err().to_string().contains("invoice_templates_time_is_net_check"));
    // Hourly rates have days of their own from which they hold.
    let percent = w.price_change(template.id(), "2027-01-01").with("percent", "5").send();
    assert_eq!(wrong(&percent), ["/percent no_prices"]);
    let prices = json!([{ "key": "hours", "unit_price": "1.00" }]);
    let prices = w.price_change(template.id(), "2027-01-01").with("prices", prices).send();
    assert_eq!(wrong(&prices), ["/prices/0/key time_line"]);
}

#[test]
fn a_subscription_bills_time_in_arrears_and_as_it_is() {
    let it = hours();
    let w = &it.w;
    let template_id = it.subscription["template_id"].as_str().unwrap();
    let overrides = json!([{ "key": "hours", "discount_percent": "5" }]);
    let answer = w.subscription(template_id, it.customer.id()).with("line_overrides", overrides.clone()).send();
    assert_eq!(wrong(&answer), ["/line_overrides/0/key time_line_overridden", "/schedule/billing time_in_advance"]);
    let path = format!("/subscriptions/{}", it.subscription.id());
    let patch = |body: Value| wrong(&w.owner.at(1).patch(&path, body));
    assert_eq!(patch(json!({ "schedule": { "billing": "in_advance" } })), ["/schedule/billing time_in_advance"]);
    assert_eq!(patch(json!({ "line_overrides": overrides })), ["/line_overrides/0/key time_line_overridden"]);
}

#[test]
fn a_template_goes_on_to_fit_its_subscriptions() {
    let w = World::new();
    let template = w.invoice_template(w.series("invoice").id()).name("Books").create();
    let path = format!("/invoice-templates/{}", template.id());
    let customer = w.buyer().create();
    let own = json!([{ "key": "bookkeeping", "unit_price": "1.00" }]);
    let early = [(), ()].map(|()| w.subscription(template.id(), customer.id()).create());
    let overriding = w.arrears(template.id(), customer.id()).with("line_overrides", own).create();
    let change = |body: Value| w.owner.with("If-Match", "*").patch(&path, body);
    let told = |answer: &Answer| {
        let problem = answer.refused(422, "validation_failed");
        let of = |it: &Value| format!("{} {} {}", it["pointer"], it["code"], it["params"]["subscriptions"]);
        problem["errors"].as_array().unwrap().iter().map(of).collect::<Vec<_>>()
    };
    let of_time = |key: &str| {
        let mut line = time_line();
        line["key"] = json!(key);
        line
    };
    let answer = change(json!({ "lines": [of_time("bookkeeping")], "currency": "EUR" }));
    assert_eq!(
        told(&answer),
        [
            r#""/currency" "currency_mismatch" 3"#,
            r#""/lines/0/kind" "time_in_advance" 2"#,
            r#""/lines/0/kind" "time_line_overridden" 1"#,
        ]
    );
    let gone = change(json!({ "lines": [of_time("hours")] }));
    assert_eq!(told(&gone), [r#""/lines/0/kind" "time_in_advance" 2"#, r#""/lines" "line_missing" 1"#]);
    assert_eq!(w.reread("/invoice-templates", &template), template);
    assert_eq!(w.run("preview", "2026-02-01")["counts"]["failed"], 0);

    // Those that have ended are held against nothing.
    for subscription in early.iter().chain([&overriding]) {
        let ends = json!({ "ends_on": "2026-01-02" });
        w.owner.at(1).patch(&format!("/subscriptions/{}", subscription.id()), ends).expect(200);
    }
    w.run("issue", "2026-02-01");
    w.arrears(template.id(), customer.id()).create();
    change(json!({ "lines": [of_time("bookkeeping")] })).expect(200);
}

#[test]
fn a_template_that_changes_beside_its_subscriptions_fits_those_that_are_made() {
    let w = World::new();
    let (customer, series) = (w.buyer().create(), w.series("invoice"));
    for turn in 0..8 {
        let template = w.invoice_template(series.id()).name(&format!("Books {turn}")).create();
        let path = format!("/invoice-templates/{}", template.id());
        let answers = at_once(4, |turn| match turn {
            0 => w.owner.at(1).patch(&path, json!({ "lines": [time_line()] })),
            _ => w.subscription(template.id(), customer.id()).send(),
        });
        let subscribed = answers[1..].iter().filter(|answer| answer.status == 201).count();
        let changed = answers[0].status == 200;
        assert!(changed != (subscribed > 0), "{subscribed} subscribed in advance, changed: {changed}");
        assert!(changed || answers[0].status == 422);
    }
}

#[test]
fn the_database_keeps_an_annex_as_it_was_issued_and_an_entry_with_one_invoice() {
    let it = hours();
    let w = &it.w;
    let (invoice, entries) = it.january();
    let listed = annex(w, &invoice);
    let of_invoice = format!("where organization_id = '{}' and invoice_id = '{}'", w.organization_id, invoice.id());
    for statement in [
        format!("update invoice_time_entries set text = 'x' {of_invoice}"),
        format!("delete from invoice_time_entries {of_invoice}"),
        format!(
            "insert into invoice_time_entries select (jsonb_populate_record(e, '{{\"position\": 3}}')).*
             from invoice_time_entries e {of_invoice} and position = 1"
        ),
        "truncate invoice_time_entries".to_owned(),
    ] {
        let refusal = execute(&statement).expect_err(&statement).to_string();
        assert!(refusal.contains("issued invoice"), "{statement}: {refusal}");
    }
    assert_eq!(annex(w, &invoice), listed);
    let draft = w.invoice_draft(it.customer.id(), w.series("invoice").id()).create();
    for (table, (_, entry)) in [("interactions", &entries[0]), ("work_entries", &entries[1])] {
        for change in [format!("invoice_id = '{}'", draft.id()), "billed_minutes = 600, cost = 1200".to_owned()] {
            let refusal = execute(&format!("update {table} set {change} where id = '{}'", entry.id())).unwrap_err();
            assert!(refusal.to_string().contains("is invoiced"), "{refusal}");
        }
        let refusal = execute(&format!("delete from {table} where id = '{}'", entry.id())).unwrap_err();
        assert!(refusal.to_string().contains("is invoiced"), "{refusal}");
    }
    let free = it.w.interaction(it.customer.id()).with("billable", false).create();
    let mark = execute(&format!("update interactions set invoice_id = '{}' where id = '{}'", draft.id(), free.id()));
    assert!(mark.unwrap_err().to_string().contains("interactions_invoiced_check"));
}

#[test]
fn a_batch_without_time_lines_reads_no_time() {
    let it = hours();
    let entry = it.work("2026-01-20T10:00:00Z", 20);
    let locks = format!("select xmax from work_entries where id = '{}'", entry.id());
    let before = text_rows(&locks);
    let books = it.w.invoice_template(it.w.series("invoice").id()).create();
    let subscription = it.w.arrears(books.id(), it.customer.id()).create();
    let run = json!({ "mode": "issue", "through_on": "2026-02-01", "issue_on": "2026-02-01",
                      "subscription_ids": [subscription.id()] });
    assert_eq!(it.w.run_with(run).expect(200)["counts"]["invoiced"], 1);
    assert_eq!(text_rows(&locks), before, "locked for nothing");
}

#[test]
fn unbilled_time_is_told_by_customer_and_adds_up() {
    let it = hours();
    let w = &it.w;
    let chalka = w.buyer().name("Chałka").with("round_up_minutes", 15).create();
    it.talk("2026-01-10T10:00:00Z", 45);
    it.work("2026-01-05T23:30:00Z", 20);
    w.interaction(chalka.id()).with("started_at", "2026-02-10T10:00:00Z").with("duration_minutes", 20).create();
    // Before any rate was in force.
    w.interaction(chalka.id()).with("started_at", "2024-03-31T22:30:00Z").with("duration_minutes", 10).create();
    w.interaction(chalka.id()).with("billable", false).create();
    w.interaction(chalka.id()).with("status", "planned").create();
    w.interaction(chalka.id()).with("duration_minutes", 0).create();
    w.work_entry(w.task("Own").create().id()).create();
    let sums = |row: &Value| {
        let number = |name: &str| row[name].as_i64().unwrap();
        let numbers = ["entries", "minutes", "billed_minutes", "unpriced_minutes"].map(number);
        (numbers, row["cost"].as_str().unwrap().to_owned(), row["oldest_on"].as_str().unwrap().to_owned())
    };
    let told = |numbers: [i64; 4], cost: &str, day: &str| (numbers, cost.to_owned(), day.to_owned());
    let report = w.owner.get("/reports/unbilled-time?to_on=2026-02-10").expect(200);
    assert_eq!(report["to_on"], "2026-02-10");
    let rows = report["rows"].as_array().unwrap();
    let names: Vec<_> = rows.iter().map(|row| row["customer_name"].as_str().unwrap()).collect();
    assert_eq!(names, ["Chałka", "Rogal"]);
    // 30 × 120.00 ÷ 60 = 60.00; 90.00 + 40.00. Days are those of Warsaw.
    assert_eq!(sums(&rows[0]), told([2, 30, 45, 10], "60.00", "2024-04-01"));
    assert_eq!(sums(&rows[1]), told([2, 65, 65, 0], "130.00", "2026-01-06"));
    assert_eq!(report["totals"].as_array().unwrap().len(), 1);
    assert_eq!(report["totals"][0]["currency"], "PLN");
    assert_eq!(sums(&report["totals"][0]), told([4, 95, 110, 10], "190.00", "2024-04-01"));

    let entries = |query: &str| {
        let report = w.owner.get(&format!("/reports/unbilled-time?{query}")).expect(200);
        report["totals"][0]["entries"].as_i64().unwrap_or_default()
    };
    assert_eq!([entries("to_on=2026-02-09"), entries("to_on=2026-01-05"), entries("to_on=2024-03-31")], [3, 1, 0]);
    assert_eq!([entries(&format!("customer_id={}", it.customer.id())), entries("")], [2, 4]);
    let csv = w.owner.with("Accept", "text/csv").get("/reports/unbilled-time?to_on=2026-02-10");
    assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8"));
    let expected = [
        "to_on,customer_id,customer_name,currency,entries,minutes,billed_minutes,unpriced_minutes,cost,oldest_on"
            .to_owned(),
        format!("2026-02-10,{},Chałka,PLN,2,30,45,10,60.00,2024-04-01", chalka.id()),
        format!("2026-02-10,{},Rogal,PLN,2,65,65,0,130.00,2026-01-06", it.customer.id()),
        String::new(),
    ];
    assert_eq!(csv.text(), expected.join("\r\n"));
    assert_eq!(w.owner.get("/reports/unbilled-time?to_on=2026-02-10&format=csv").text(), csv.text());

    // What is invoiced is billed.
    w.run("issue", "2026-02-01");
    assert_eq!(entries(&format!("customer_id={}", it.customer.id())), 0);
    w.api_key(&["billing:read"]).get("/reports/unbilled-time").refused(403, "scope_missing");
    w.api_key(&["reports:read"]).get("/reports/unbilled-time").expect(200);
    w.operator("operator", "none", None)
        .get(&format!("/invoices/{}/time-entries", w.invoices()[0].id()))
        .refused(403, "scope_missing");
}
