//! A firm with many subscriptions, in a database of its own that processes of the server work on.

use super::client::Client;
use super::database::{connection, text_rows_of};
use super::process::{Process, opiekun};
use super::world::PASSWORD;
use diesel::connection::SimpleConnection;
use serde_json::{Value, json};

/// Makes the firm with one customer and one monthly subscription from January 2026 on: of a template with three lines,
/// 450.00 net, which come to 529.50 gross. Then as many like it, each with a customer of its own.
pub fn found(database_url: &str, subscriptions: usize) {
    let organization = ["organization", "create", "--legal-name", "Biuro Testowe", "--nip", "5261040828"];
    let address = ["--address", "ul. Próbna 1", "--postal-code", "00-950", "--city", "Warszawa"];
    let owner = ["--owner-email", "anna@test.example", "--owner-name", "Anna Nowak"];
    let mut create = opiekun(database_url);
    create.args(organization).args(address).args(owner).env("OPIEKUN_OWNER_PASSWORD", PASSWORD);
    let created = create.output().unwrap();
    assert!(created.status.success(), "{}", String::from_utf8_lossy(&created.stderr));
    let server = Process::serve(database_url);
    subscribe(&owner_at(&server));
    drop(server);
    let others = format!(
        "create temporary table others as
             select gen_random_uuid() as customer_id, gen_random_uuid() as id from generate_series(2, {subscriptions});
         insert into customers ({customer})
             select {like_customer} from customers like_it, others;
         insert into subscriptions
             select (jsonb_populate_record(like_it, to_jsonb(others))).* from subscriptions like_it, others;
         analyze;",
        customer = columns(database_url, "customers"),
        like_customer = columns(database_url, "customers").replace(" id,", " customer_id,"),
    );
    connection(database_url).batch_execute(&others).unwrap();
}

/// The firm's owner, signed in at a process.
pub fn owner_at(server: &Process) -> Client {
    let client = Client::at_process(server);
    let grant = json!({ "grant_type": "password", "username": "anna@test.example", "password": PASSWORD });
    let token = client.post("/auth/token", grant).expect(200);
    client.bearer(token["access_token"].as_str().unwrap())
}

/// A run of everything that is due in January, dated its last day.
pub fn january() -> Value {
    json!({ "mode": "issue", "through_on": "2026-01-31", "issue_on": "2026-01-31" })
}

fn subscribe(owner: &Client) {
    let id = |path: &str, body: Value| owner.post(path, body).expect(201).id().to_owned();
    let address = json!({ "line1": "ul. Chlebowa 4", "city": "Pruszków", "country": "PL" });
    let customer_id = id("/customers", json!({ "kind": "company", "name": "Rogal", "billing_address": address }));
    let pattern = "FV/{number}/{month}/{year}";
    let series_id = id("/number-series", json!({ "name": "Sales", "pattern": pattern, "reset": "monthly" }));
    let line = |key: &str, text: &str, unit_price: &str, code: &str| {
        json!({ "key": key, "text": format!("{text} {{{{period.month_name}}}} {{{{period.year}}}}"), "quantity": "1",
                "unit": "mies.", "unit_price": unit_price, "vat": { "code": code } })
    };
    let lines = [
        line("books", "Księgi", "300.00", "23"),
        line("payroll", "Kadry i płace", "100.00", "8"),
        line("paper", "Archiwum", "50.00", "5"),
    ];
    let template_id = id("/invoice-templates", json!({ "name": "Books", "series_id": series_id, "lines": lines }));
    let schedule =
        json!({ "every": { "unit": "month", "count": 1 }, "anchor_on": "2026-01-01", "billing": "in_advance" });
    let body = json!({ "template_id": template_id, "customer_id": customer_id, "schedule": schedule,
                       "starts_on": "2026-01-01" });
    id("/subscriptions", body);
}

/// The columns of a table that are written, in quotes.
pub fn columns(database_url: &str, table: &str) -> String {
    let names = text_rows_of(
        database_url,
        &format!(
            "select string_agg(format('%I', column_name), ', ' order by ordinal_position)
         from information_schema.columns
         where table_schema = 'public' and table_name = '{table}' and is_generated = 'NEVER'",
        ),
    );
    names[0].clone().unwrap()
}
