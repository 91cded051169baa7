//! `opiekun invoices run`, as cron calls it: what it prints, and what it exits with.

use crate::support::{Record, Scratch, Server, World, connection, eventually, opiekun, scratch_database};
use diesel::Connection;
use diesel::connection::SimpleConnection;
use opiekun_persistence::{Db, migrate};
use serde_json::json;
use std::process::Stdio;

/// A database of its own, since the command runs for every organization.
struct Place {
    database: Scratch,
    w: World,
    // Stopped when dropped.
    _server: Server,
}

impl Place {
    fn new() -> Self {
        let database = scratch_database();
        migrate(&database.url).unwrap();
        let db = Db::connect(&database.url, 8).unwrap();
        let server = Server::over(&db, |_| {});
        let w = World::within(&db, |_| {}).on(&server);
        Self { database, w, _server: server }
    }

    /// The exit code and what was printed, of a run through a day, dated that day.
    fn run(&self, day: &str, more: &[&str]) -> (Option<i32>, String) {
        self.run_dated(day, day, more)
    }

    fn run_dated(&self, through: &str, issue_on: &str, more: &[&str]) -> (Option<i32>, String) {
        let mut command = opiekun(&self.database.url);
        command.args(["invoices", "run", "--through", through, "--issue-on", issue_on]).args(more);
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    }

    fn count(&self, of: &str) -> Option<String> {
        self.database.text_rows(&format!("select count(*) from {of}")).remove(0)
    }
}

/// One monthly subscription in euros, of 200.00 net at 23 %.
fn subscribe_in_euros(w: &World) -> Record {
    let series = w.number_series().name("Euro").with("pattern", "EU/{number}/{month}/{year}").create();
    let line = json!({ "key": "books", "text": "Books", "quantity": "2", "unit": "h", "unit_price": "100.00",
                       "vat": { "code": "23" } });
    let template = w.invoice_template(series.id()).name("Euro").with("currency", "EUR").with("lines", json!([line]));
    w.subscription(template.create().id(), w.buyer().with("currency", "EUR").create().id()).create()
}

#[test]
fn a_preview_prints_the_totals_of_each_currency_and_issues_nothing() {
    let place = Place::new();
    place.w.subscribers(2);
    subscribe_in_euros(&place.w);
    place.w.exchange_rate("EUR", "2026-01-30", "4.2517").create();
    let (code, printed) = place.run("2026-01-31", &["--preview"]);
    assert_eq!(code, Some(0), "{printed}");
    let totals = "  net 200.00, VAT 46.00, gross 246.00 EUR\n  net 200.00, VAT 46.00, gross 246.00 PLN\n";
    let told = format!("{}: succeeded: 3 would be issued, 0 skipped, 0 failed\n{totals}", place.w.organization_id);
    assert!(printed.ends_with(&told), "{printed}");
    assert_eq!(place.count("invoices"), Some("0".to_owned()));

    let (code, printed) = place.run("2026-01-31", &[]);
    let told = told.replace("would be issued", "issued");
    assert_eq!((code, printed.ends_with(&told)), (Some(0), true), "{printed}");
    assert_eq!(place.count("invoices"), Some("3".to_owned()));
}

#[test]
fn what_fails_and_what_cannot_run_have_codes_of_their_own() {
    let place = Place::new();
    assert_eq!(place.run("2026-01-31", &[]).0, Some(0), "nothing is due");
    place.w.subscribers(1);
    // Nobody has told what a euro is worth.
    subscribe_in_euros(&place.w);
    let (code, printed) = place.run("2026-01-31", &[]);
    assert_eq!(code, Some(1), "{printed}");
    assert!(printed.contains("partially_failed: 1 issued, 0 skipped, 1 failed"), "{printed}");
    assert!(printed.contains("/results?outcome=failed"), "{printed}");

    let before = place.count("invoice_runs");
    let (code, printed) = place.run("9999-01-01", &[]);
    assert_eq!(code, Some(2), "{printed}");
    assert_eq!(place.count("invoice_runs"), before);
    // As a whole: dated before the last of its series.
    let (code, printed) = place.run_dated("2026-02-01", "2026-01-30", &[]);
    assert_eq!(code, Some(2), "{printed}");
    assert!(printed.contains("the issue date lies before the last invoice of a series"), "{printed}");
}

#[test]
fn a_database_without_an_organization_is_no_success() {
    let database = scratch_database();
    migrate(&database.url).unwrap();
    let output = opiekun(&database.url).args(["invoices", "run", "--through", "2026-01-31"]).output().unwrap();
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), &*output.stdout), (Some(2), &b""[..]), "{complaint}");
    assert!(complaint.contains("there is no organization"), "{complaint}");
}

#[test]
fn a_cancelled_run_is_told_apart() {
    let place = Place::new();
    let subscription = place.w.subscribers(1).remove(0);
    let url = &place.database.url;
    let mut command = opiekun(url);
    command.args(["invoices", "run", "--through", "2026-01-31", "--issue-on", "2026-01-31"]).stdout(Stdio::piped());
    let child = connection(url).transaction(|conn| {
        // Held, so that the run cannot end before it is cancelled.
        conn.batch_execute(&format!("select from subscriptions where id = '{}' for update", subscription.id()))?;
        let child = command.spawn().unwrap();
        eventually("the run", || {
            (place.count("invoice_runs where status = 'running'") == Some("1".into())).then_some(())
        });
        let run = place.w.owner.get("/invoice-runs").expect(200).items().remove(0);
        let cancellation = format!("/invoice-runs/{}/cancellation", run.id());
        place.w.owner.post(&cancellation, serde_json::Value::Null).expect(200);
        diesel::QueryResult::Ok(child)
    });
    let output = child.unwrap().wait_with_output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(3), "{printed}");
    assert!(printed.contains(": cancelled: ") && printed.contains("another run goes on with the rest"), "{printed}");
    // It does.
    place.run("2026-01-31", &[]);
    assert_eq!(place.count("invoices"), Some("1".to_owned()));
}

#[test]
fn its_help_lists_the_codes() {
    let output = opiekun("postgres://nowhere.example/none").args(["invoices", "run", "--help"]).output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    for code in ["\n  0  ", "\n  1  ", "\n  2  ", "\n  3  It was cancelled."] {
        assert!(help.contains(code), "{code:?}: {help}");
    }
}
