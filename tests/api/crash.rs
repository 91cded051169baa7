//! The server, killed in the middle of an invoice run and started again.

use crate::support::{Client, PASSWORD, Process, connection, eventually, opiekun, scratch_database, text_rows_of};
use diesel::Connection;
use diesel::connection::SimpleConnection;
use serde_json::{Value, json};

const SUBSCRIPTIONS: usize = 2_000;

#[test]
fn a_run_that_was_killed_goes_on_without_a_gap_or_a_double() {
    let database = scratch_database();
    let organization = ["organization", "create", "--legal-name", "Biuro Testowe", "--nip", "5261040828"];
    let address = ["--address", "ul. Próbna 1", "--postal-code", "00-950", "--city", "Warszawa"];
    let owner = ["--owner-email", "anna@test.example", "--owner-name", "Anna Nowak"];
    let mut create = opiekun(&database.url);
    create.args(organization).args(address).args(owner).env("OPIEKUN_OWNER_PASSWORD", PASSWORD);
    assert!(create.output().unwrap().status.success());

    let server = Process::serve(&database.url);
    let owner = sign_in(&server);
    subscribe(&owner, &database.url);
    let count = |of: &str| text_rows_of(&database.url, &format!("select count(*) from {of}"))[0].clone().unwrap();
    let issue = json!({ "mode": "issue", "through_on": "2026-01-31", "issue_on": "2026-01-31" });
    let killed = connection(&database.url).transaction(|conn| {
        // Held, so that the run cannot come to its end before the server comes to its own.
        conn.batch_execute(
            "select from subscriptions where id = (select max(id::text)::uuid from subscriptions) for update",
        )?;
        let run = owner.post("/invoice-runs", &issue).expect(202);
        eventually("the first batch", || (count("invoices") != "0").then_some(()));
        server.kill();
        diesel::QueryResult::Ok(run)
    });
    let killed = killed.unwrap();
    let invoices: usize = count("invoices").parse().unwrap();
    assert!((1..SUBSCRIPTIONS).contains(&invoices), "killed after {invoices} invoices");

    let server = Process::serve(&database.url);
    let owner = sign_in(&server).with("Prefer", "wait=30");
    let run = owner.get(&format!("/invoice-runs/{}", killed.id())).expect(200);
    assert_eq!(run["status"], "succeeded");
    assert_eq!(run["counts"], json!({ "planned": 0, "invoiced": SUBSCRIPTIONS, "skipped": 0, "failed": 0 }));
    let totals = json!([{ "currency": "PLN", "net": "200000.00", "vat": "46000.00", "gross": "246000.00" }]);
    assert_eq!(run["totals"], totals);
    for of in ["invoices", "invoice_lines", "occurrences where state = 'invoiced'", "invoice_run_results"] {
        assert_eq!(count(of), SUBSCRIPTIONS.to_string(), "{of}");
    }
    assert_eq!(count("(select distinct subscription_id, period_start_on from invoices) it"), SUBSCRIPTIONS.to_string());
    let numbers = text_rows_of(&database.url, "select split_part(number, '/', 2)::int from invoices order by 1");
    assert_eq!(numbers, (1..=SUBSCRIPTIONS).map(|number| Some(number.to_string())).collect::<Vec<_>>());
    assert_eq!(owner.post("/invoice-runs", &issue).expect(200)["counts"]["invoiced"], 0);
}

fn sign_in(server: &Process) -> Client {
    let client = Client::at_process(server);
    let grant = json!({ "grant_type": "password", "username": "anna@test.example", "password": PASSWORD });
    let token = client.post("/auth/token", grant).expect(200);
    client.bearer(token["access_token"].as_str().unwrap())
}

/// A customer with one subscription, and then so many like it.
fn subscribe(owner: &Client, database_url: &str) {
    let id = |path: &str, body: Value| owner.post(path, body).expect(201).id().to_owned();
    let address = json!({ "line1": "ul. Chlebowa 4", "city": "Pruszków", "country": "PL" });
    let customer_id = id("/customers", json!({ "kind": "company", "name": "Rogal", "billing_address": address }));
    let pattern = "FV/{number}/{month}/{year}";
    let series_id = id("/number-series", json!({ "name": "Sales", "pattern": pattern, "reset": "monthly" }));
    let line = json!({ "key": "books", "text": "Books", "quantity": "1", "unit": "h", "unit_price": "100.00", "vat": { "code": "23" } });
    let template_id = id("/invoice-templates", json!({ "name": "Books", "series_id": series_id, "lines": [line] }));
    let schedule =
        json!({ "every": { "unit": "month", "count": 1 }, "anchor_on": "2026-01-01", "billing": "in_advance" });
    let body = json!({ "template_id": template_id, "customer_id": customer_id, "schedule": schedule, "starts_on": "2026-01-01" });
    id("/subscriptions", body);
    let others = format!(
        "insert into subscriptions
         select (jsonb_populate_record(s, jsonb_build_object('id', gen_random_uuid()))).*
         from subscriptions s, generate_series(2, {SUBSCRIPTIONS})"
    );
    connection(database_url).batch_execute(&others).unwrap();
}

#[test]
fn connections_that_the_database_closed_are_not_used_again() {
    let database = scratch_database();
    let db = opiekun_persistence::Db::connect(&database.url, 1).unwrap();
    db.ping().unwrap();
    let others = "select count(pg_terminate_backend(pid)) from pg_stat_activity \
                  where datname = current_database() and pid <> pg_backend_pid()";
    assert_eq!(text_rows_of(&database.url, others), [Some("1".to_owned())]);
    assert!(db.ping().is_err(), "the one connection of the pool is gone");
    db.ping().unwrap();
}
