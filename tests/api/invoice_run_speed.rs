//! How fast an invoice run is, beside what PostgreSQL itself does with the same rows on the same machine.
//!
//! A measurement and no test: `.ci/invoice-runs` asks for it, with a binary that is built for speed.

use crate::support::firm::{columns, found, january, owner_at};
use crate::support::{Process, Scratch, eventually_within, scratch_database};
use diesel::connection::SimpleConnection;
use std::time::{Duration, Instant};
use uuid::Uuid;

#[test]
#[ignore = "a measurement"]
fn an_invoice_run_beside_postgresql_itself() {
    let invoices = std::env::var("OPIEKUN_TEST_SUBSCRIPTIONS").map_or(10_000, |number| number.parse().unwrap());
    let database = scratch_database();
    found(&database.url, invoices);
    let (copy, whole_copy, statement) = (database.copy(), database.copy(), database.copy());

    let server = Process::serve(&database.url);
    let owner = owner_at(&server).with("Prefer", "wait=30");
    server.forget_peak();
    let asked = owner.without("Prefer").post("/invoice-runs", january()).expect(202);
    let run = eventually_within(Duration::from_secs(600), "the end of the run", || {
        let run = owner.get(&format!("/invoice-runs/{}", asked.id())).expect(200);
        run["finished_at"].is_string().then_some(run)
    });
    assert_eq!(run["counts"]["invoiced"], invoices);
    let moment = |name: &str| run[name].as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap();
    let of_run = (moment("finished_at") - moment("started_at")).to_std().unwrap();
    let memory = server.memory("VmHWM");
    drop(server);

    let of_copy = copied(&database, &copy, &INVOICES);
    let of_whole_copy = copied(&database, &whole_copy, &EVERYTHING);
    let of_statement = stated(&statement);
    let totals = |database: &Scratch| {
        database.text_rows("select (count(*), sum(net), sum(vat), sum(gross)) from invoices")[0].clone().unwrap()
    };
    assert_eq!(totals(&copy), totals(&database));
    assert_eq!(totals(&whole_copy), totals(&database));
    assert_eq!(totals(&statement), totals(&database));

    let rate = |time: Duration| f64::from(u32::try_from(invoices).unwrap()) / time.as_secs_f64();
    println!("{invoices} invoices of 3 lines");
    println!("  a run                    {:>7.0}/s  {of_run:.2?}", rate(of_run));
    println!("  COPY of the same rows    {:>7.0}/s  {of_copy:.2?}", rate(of_copy));
    println!("  COPY of all it writes    {:>7.0}/s  {of_whole_copy:.2?}", rate(of_whole_copy));
    println!("  one set-based statement  {:>7.0}/s  {of_statement:.2?}", rate(of_statement));
    println!("  run to COPY              {:>10.2}", of_copy.as_secs_f64() / of_run.as_secs_f64());
    println!("  run to statement         {:>10.2}", of_statement.as_secs_f64() / of_run.as_secs_f64());
    println!("  memory of the server     {:>7} MB at most", memory >> 20);
}

/// A table that a run writes rows to, and which of them.
type Written = (&'static str, &'static str);

/// What an invoice is.
const INVOICES: [Written; 2] = [("invoices", "true"), ("invoice_lines", "true")];

/// All that a run writes, but for where the subscriptions stand.
const EVERYTHING: [Written; 5] = [
    ("invoices", "true"),
    ("invoice_lines", "true"),
    ("occurrences", "true"),
    ("audit_entries", "resource_type = 'invoice'"),
    ("events", "resource_type = 'invoice'"),
];

/// How long PostgreSQL takes for rows of a run by COPY, in one transaction, into tables with the same keys, indexes,
/// checks and triggers.
fn copied(from: &Scratch, to: &Scratch, written: &[Written]) -> Duration {
    let folder = from.text_rows("select current_setting('data_directory')")[0].clone().unwrap();
    let statement = |(table, condition): &Written| {
        let file = format!("{folder}/{}.copy", Uuid::now_v7());
        let columns = columns(&from.url, table);
        let rows = format!("select {columns} from {table} where {condition}");
        from.connection().batch_execute(&format!("copy ({rows}) to '{file}' (format binary)")).unwrap();
        format!("copy {table} ({columns}) from '{file}' (format binary)")
    };
    let mut conn = to.connection();
    conn.batch_execute(&statement(&("invoice_runs", "true"))).unwrap();
    let statements: Vec<_> = written.iter().map(statement).collect();
    let began = Instant::now();
    conn.batch_execute(&format!("begin; {}; commit", statements.join("; "))).unwrap();
    began.elapsed()
}

/// How long the same invoices and lines take by one statement that computes them from the subscriptions.
fn stated(database: &Scratch) -> Duration {
    let mut conn = database.connection();
    let began = Instant::now();
    conn.batch_execute(include_str!("invoice_run_speed/statement.sql")).unwrap();
    began.elapsed()
}
