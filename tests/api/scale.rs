//! A firm of many years: every list is read by index, however many rows there are.

use crate::support::operations::{Operation, operations, resolved};
use crate::support::{Client, Plan, Plans, Server, World, scratch_database};
use diesel::connection::SimpleConnection;
use opiekun_persistence::{Db, migrate};
use serde_json::Value;
use std::time::{Duration, Instant};

/// The collections that grow with the years: their lists, and those of what belongs to one of their records.
const GROWING: &[&str] = &["interactions", "tasks", "work-entries", "threads", "opportunities"];
/// Another list of the same rows.
const TIMELINE: &str = "/api/v1/customers/{id}/timeline";

const PAGE: u64 = 50;
/// What a page may read of each kind of row that it is made of: some are dropped by a second filter.
const ROWS_READ_MAX: u64 = 20 * PAGE;
/// A prepared statement is planned for its values five times; from then on the plan may be one for any values.
const TIMES_PLANNED: usize = 5;

#[test]
fn lists_and_timelines_are_read_by_index() {
    let database = scratch_database();
    migrate(&database.url).unwrap();
    let Some(mut plans) = Plans::of(&database) else { return };
    let w = World::within(&Db::connect(&database.url, 1).unwrap(), |_| {});
    let began = Instant::now();
    database.connection().batch_execute(include_str!("scale/firm.sql")).unwrap();
    let loaded = began.elapsed();
    // One connection, so that a statement that was planned is asked again.
    let server = Server::over(&Db::connect(&database.url, 1).unwrap(), |_| {});
    let owner = w.owner.on(&server);

    let (mut faults, mut figures) = (Vec::new(), Vec::new());
    for operation in lists() {
        let path = whole_path(&owner, operation);
        for query in queries(&owner, operation, &path) {
            let mut next = format!("{path}?limit={PAGE}{query}");
            // The second page is another question: it begins in the middle of the order.
            for page in ["first", "second"] {
                let name = format!("{} {query} ({page} page)", operation.id);
                let (answer, read) = plans.during(|| owner.get(&next));
                let body = answer.expect(200);
                assert!(!read.is_empty(), "no plan of {name} was logged");
                assert!(page == "second" || !body.items().is_empty(), "{name} is empty");
                faults
                    .extend(read.iter().filter_map(|plan| fault(plan, &query)).map(|fault| format!("{name}: {fault}")));
                for _ in 1..TIMES_PLANNED {
                    owner.get(&next).expect(200);
                }
                let began = Instant::now();
                let (_, read) = plans.during(|| owner.get(&next).expect(200));
                figures.push((began.elapsed(), name.clone()));
                let again = read.iter().filter_map(|plan| fault(plan, &query));
                faults.extend(again.map(|fault| format!("{name}, asked again: {fault}")));
                match body["next_cursor"].as_str() {
                    Some(cursor) => next = format!("{path}?limit={PAGE}{query}&cursor={cursor}"),
                    None => break,
                }
            }
        }
    }
    print(loaded, figures);
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

/// What is wrong with a plan, if anything is.
fn fault(plan: &Plan, query: &str) -> Option<String> {
    // Any of so many tags: a page of each is sorted.
    let pages = if query.starts_with("&overdue=false") { 2 } else { 1 + query.matches(',').count() as u64 };
    let grows = |table: &&str| {
        GROWING.iter().any(|collection| collection.replace('-', "_") == *table) || table.ends_with("_tags")
    };
    let scanned: Vec<_> = plan.scanned_tables().into_iter().filter(grows).collect();
    let fault = if !scanned.is_empty() {
        format!("reads all of {}", scanned.join(", "))
    } else if plan.rows_sorted() > pages * (PAGE + 1) {
        format!("sorts {} rows", plan.rows_sorted())
    } else if plan.rows_read() > ROWS_READ_MAX {
        format!("reads {} rows", plan.rows_read())
    } else {
        return None;
    };
    Some(format!("{fault}\n    {}", plan.statement))
}

fn lists() -> impl Iterator<Item = &'static Operation> {
    let grows = |operation: &&Operation| {
        let collection = operation.path.split('/').nth(3).unwrap_or_default();
        operation.is_list() && (GROWING.contains(&collection) || operation.path == TIMELINE)
    };
    operations().iter().filter(grows)
}

/// The path, with the oldest record in it: it has as much below it as any.
fn whole_path(client: &Client, operation: &Operation) -> String {
    match operation.path.split_once("/{id}") {
        Some((collection, rest)) => format!("{collection}/{}{rest}", oldest(client, collection)),
        None => operation.path.clone(),
    }
}

fn oldest(client: &Client, collection: &str) -> String {
    client.get(&format!("{collection}?limit=1&sort=created_at")).expect(200).items().remove(0).id().to_owned()
}

/// The list as it is, in each order, and with each filter alone, for something that the records hold.
fn queries(client: &Client, operation: &Operation, path: &str) -> Vec<String> {
    let mut queries = vec![String::new()];
    let sorts = || {
        let sort = operation.query().find(|parameter| parameter["name"] == "sort");
        let words = sort.and_then(|sort| resolved(&sort["schema"])["enum"].as_array());
        words.into_iter().flatten().filter_map(Value::as_str)
    };
    queries.extend(sorts().map(|word| format!("&sort={word}")));
    // From both ends of each order.
    let mut sample = Vec::new();
    for word in sorts() {
        sample.extend(client.get(&format!("{path}?limit=200&sort={word}")).expect(200).items());
    }
    let sample: Vec<Value> = sample.into_iter().map(|record| record.0).collect();
    for parameter in operation.query() {
        let name = parameter["name"].as_str().unwrap();
        if matches!(name, "limit" | "cursor" | "sort" | "count" | "fields" | "expand") {
            continue;
        }
        let values = values(client, name, &sample);
        assert!(!values.is_empty(), "no value of {name} for {}", operation.id);
        queries.extend(values.into_iter().map(|value| format!("&{name}={value}")));
    }
    queries
}

/// Values that a filter finds something by.
fn values(client: &Client, name: &str, sample: &[Value]) -> Vec<String> {
    let of_records = |pointer: &str| {
        let found = sample.iter().filter_map(|record| record.pointer(pointer)).filter(|value| !value.is_null());
        found.map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned)).collect::<Vec<_>>()
    };
    match name {
        // Of many records, of the oldest only, of few; and any of some.
        "tag" => ["urgent", "founding", "dispute", "founding,dispute,urgent"].map(str::to_owned).to_vec(),
        "closed" | "overdue" | "billable" => ["true", "false"].map(str::to_owned).to_vec(),
        "task_id" | "parent_task_id" => vec![oldest(client, "/api/v1/tasks")],
        "parent_interaction_id" => vec![oldest(client, "/api/v1/interactions")],
        "thread_id" | "merged_into_id" => vec![oldest(client, "/api/v1/threads")],
        "status" | "priority" | "channel" | "stage_kind" => {
            let mut values = of_records(&format!("/{name}"));
            values.sort();
            values.dedup();
            values
        }
        _ => match name.split_once('[') {
            // The ends of the period that the records are of would find all or nothing.
            Some((field, _)) => {
                let mut values = of_records(&format!("/{field}"));
                values.sort();
                [values.get(values.len() / 8), values.get(values.len() * 7 / 8)]
                    .into_iter()
                    .flatten()
                    .cloned()
                    .collect()
            }
            None => of_records(&format!("/{name}")).into_iter().take(1).collect(),
        },
    }
}

#[expect(clippy::print_stdout, reason = "figures, shown by --nocapture")]
fn print(loaded: Duration, mut figures: Vec<(Duration, String)>) {
    figures.sort();
    let at = |share: usize| figures[figures.len() * share / 100].0;
    println!("loaded in {loaded:.1?}");
    println!("{} pages: median {:.1?}, nine of ten within {:.1?}", figures.len(), at(50), at(90));
    for (took, name) in figures.iter().rev().take(10) {
        println!("{took:>10.1?}  {name}");
    }
}
