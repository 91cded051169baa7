//! Servers, killed in the middle of invoice runs and started again.

use crate::support::firm::{found, january, owner_at};
use crate::support::{Process, Scratch, eventually_within, scratch_database, text_rows_of};
use serde_json::json;
use std::time::Duration;
use uuid::Uuid;

/// How many subscriptions are due, and how often a server is killed. `.ci/invoice-runs` asks for more.
fn size() -> (usize, usize) {
    let number = |name, usual| std::env::var(name).map_or(usual, |value| value.parse().unwrap());
    (number("OPIEKUN_TEST_SUBSCRIPTIONS", 3_000), number("OPIEKUN_TEST_KILLS", 3))
}

#[test]
fn a_run_that_is_killed_again_and_again_ends_without_a_gap_or_a_double() {
    let (subscriptions, kills) = size();
    let database = scratch_database();
    found(&database.url, subscriptions);
    let server = Process::serve(&database.url);
    let run = owner_at(&server).post("/invoice-runs", january()).expect(202);
    let mut servers = vec![server];
    let killed_at = kill_at_random(&database, &mut servers, kills, subscriptions);
    let owner = owner_at(&servers[0]).with("Prefer", "wait=30");
    let run = eventually_within(Duration::from_secs(600), "the end of the run", || {
        let run = owner.get(&format!("/invoice-runs/{}", run.id())).expect(200);
        (run["finished_at"].is_string()).then_some(run)
    });
    println!("killed behind {killed_at:?} invoices of {subscriptions}");
    assert_eq!(run["status"], "succeeded");
    assert_eq!(run["counts"], json!({ "planned": 0, "invoiced": subscriptions, "skipped": 0, "failed": 0 }));
    let gross = 52_950 * subscriptions;
    assert_eq!(run["totals"][0]["gross"], format!("{}.{:02}", gross / 100, gross % 100));
    assert_whole(&database, subscriptions);
    // Listed by their ids, those of one run are in the order of their numbers.
    let apart =
        "(select split_part(number, '/', 2)::int - row_number() over (order by id) as places from invoices) apart";
    assert_eq!(count(&database, &format!("{apart} where places <> 0")), 0);
    assert_eq!(owner.post("/invoice-runs", january()).expect(200)["counts"]["invoiced"], 0);
}

#[test]
fn four_nodes_at_once_that_are_killed_at_random_give_each_period_one_invoice() {
    const NODES: usize = 4;
    let (subscriptions, kills) = size();
    let database = scratch_database();
    found(&database.url, subscriptions);
    let mut servers: Vec<Process> = (0..NODES).map(|_| Process::serve(&database.url)).collect();
    let runs: Vec<_> =
        servers.iter().map(|server| owner_at(server).post("/invoice-runs", january()).expect(202)).collect();
    let killed_at = kill_at_random(&database, &mut servers, kills, subscriptions);
    println!("killed behind {killed_at:?} invoices of {subscriptions}");
    let owner = owner_at(&servers[0]).with("Prefer", "wait=30");
    let mut invoiced = 0;
    for run in runs {
        let run = eventually_within(Duration::from_secs(600), "the end of a run", || {
            let run = owner.get(&format!("/invoice-runs/{}", run.id())).expect(200);
            run["finished_at"].is_string().then_some(run)
        });
        assert_eq!((&run["status"], &run["counts"]["failed"]), (&json!("succeeded"), &json!(0)));
        invoiced += run["counts"]["invoiced"].as_u64().unwrap();
    }
    assert_eq!(usize::try_from(invoiced).unwrap(), subscriptions);
    assert_whole(&database, subscriptions);
}

/// Kills one of the servers so often, each time after another share of the invoices, and starts another in its place.
/// Gives how many invoices there were each time.
fn kill_at_random(database: &Scratch, servers: &mut Vec<Process>, kills: usize, subscriptions: usize) -> Vec<usize> {
    let invoices = || count(database, "invoices");
    let mut killed_at = Vec::with_capacity(kills);
    for kill in 0..kills {
        let [at, which, ..] = Uuid::new_v4().into_bytes().map(usize::from);
        // A random place of the share that this kill has of all invoices, so that none comes when all is done.
        let share = subscriptions / (kills + 1);
        let behind = kill * share + share * at / 256;
        eventually_within(Duration::from_secs(600), "the next kill", || (invoices() >= behind).then_some(()));
        // Somewhere within a batch.
        std::thread::sleep(Duration::from_micros(u64::try_from(at * which).unwrap_or_default()));
        servers.remove(which % servers.len()).kill();
        killed_at.push(invoices());
        servers.push(Process::serve(&database.url));
    }
    killed_at
}

/// Every subscription has its one invoice, whole and right, and no number is missing.
fn assert_whole(database: &Scratch, subscriptions: usize) {
    let facts = [
        ("invoices", subscriptions),
        ("(select distinct subscription_id, period_start_on from invoices) periods", subscriptions),
        ("(select distinct split_part(number, '/', 2)::int from invoices) numbers", subscriptions),
        (&format!("invoices where split_part(number, '/', 2)::int between 1 and {subscriptions}"), subscriptions),
        ("invoices where (net, vat, gross) = (450.00, 79.50, 529.50)", subscriptions),
        (
            "(select from invoice_lines group by invoice_id having sum(net) = 450.00 and count(*) = 3) lines",
            subscriptions,
        ),
        ("invoice_lines", 3 * subscriptions),
        ("invoice_balances where paid = 0 and gross = 529.50", subscriptions),
        ("occurrences where state = 'invoiced' and attempts = 1", subscriptions),
        ("invoices where run_id is not null", subscriptions),
        ("invoice_run_results", 0),
        ("audit_entries where resource_type = 'invoice' and action = 'issued'", subscriptions),
        ("events where type = 'invoice.issued'", subscriptions),
        ("subscriptions where next_issue_on = '2026-02-01'", subscriptions),
    ];
    for (of, expected) in facts {
        assert_eq!(count(database, of), expected, "{of}");
    }
}

fn count(database: &Scratch, of: &str) -> usize {
    database.text_rows(&format!("select count(*) from {of}"))[0].as_ref().unwrap().parse().unwrap()
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
