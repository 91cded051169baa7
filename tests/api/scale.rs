//! A firm of many years: every list is read by index, however many rows there are.

use crate::support::operations::{Operation, operations, resolved};
use crate::support::{Client, Plan, Plans, Record, Scratch, Server, World, now, scratch_database};
use chrono::{Days, SecondsFormat, TimeDelta};
use diesel::connection::SimpleConnection;
use opiekun_persistence::{Db, migrate};
use serde_json::Value;
use std::time::{Duration, Instant};

/// The collections that grow with the years: their lists, and those of what belongs to one of their records.
const GROWING: &[&str] = &[
    "interactions",
    "tasks",
    "work-entries",
    "threads",
    "opportunities",
    "attachments",
    "survey-responses",
    "procedure-runs",
    "procedure-steps",
];
/// Another list of the same rows.
const TIMELINE: &str = "/api/v1/customers/{id}/timeline";
/// The tables that these are read from, none of which may be read as a whole.
const TABLES: &[&str] = &[
    "interactions",
    "interaction_tags",
    "tasks",
    "task_tags",
    "work_entries",
    "threads",
    "thread_tags",
    "opportunities",
    "opportunity_tags",
    "stage_changes",
    "attachments",
    "files",
    "survey_responses",
    "procedure_runs",
    "procedure_steps",
    "audit_entries",
];

const PAGE: u64 = 50;
/// What a page may read of each kind of row that it is made of: some are dropped by a second filter.
const ROWS_READ_MAX: u64 = 20 * PAGE;
/// From the sixth time on a prepared statement may have one plan for any values.
const TIMES_PLANNED: u32 = 6;

#[test]
fn lists_and_timelines_are_read_by_index() {
    let database = scratch_database();
    migrate(&database.url).unwrap();
    let Some(plans) = Plans::of(&database) else { return };
    let w = World::within(&Db::connect(&database.url, 1).unwrap(), |_| {});
    let began = Instant::now();
    database.connection().batch_execute(include_str!("scale/firm.sql")).unwrap();
    let loaded = began.elapsed();
    // One connection, so that a statement that was planned is asked again.
    let server = Server::over(&Db::connect(&database.url, 1).unwrap(), |_| {});
    let mut firm = Firm { owner: w.owner.on(&server), plans, faults: Vec::new(), figures: Vec::new() };
    lists().for_each(|operation| firm.read_list(operation));
    let lists = std::mem::take(&mut firm.figures);
    firm.read_reports();
    firm.read_searches();
    firm.read_calendar();
    firm.count_statements(&database);
    print(loaded, lists, firm.figures);
    assert!(firm.faults.is_empty(), "{} faults:\n{}", firm.faults.len(), firm.faults.join("\n"));
}

struct Firm {
    owner: Client,
    plans: Plans,
    faults: Vec<String>,
    figures: Vec<(Duration, String)>,
}

impl Firm {
    /// Two pages of the list as it is, in each order and with each filter.
    fn read_list(&mut self, operation: &Operation) {
        let path = whole_path(&self.owner, operation);
        for query in queries(&self.owner, operation, &path) {
            let mut next = format!("{path}?limit={PAGE}{query}");
            // The second page is another question: it begins in the middle of the order.
            for (page, times) in [("first", TIMES_PLANNED), ("second", 2)] {
                let name = format!("{} {query} ({page} page)", operation.id);
                let body = self.read(&next, &name, times, |plan| fault(plan, operation, &query));
                assert!(page == "second" || !body.items().is_empty(), "{name} is empty");
                match body["next_cursor"].as_str() {
                    Some(cursor) => next = format!("{path}?limit={PAGE}{query}&cursor={cursor}"),
                    None => break,
                }
            }
        }
    }

    /// Sums over what a thread or a month holds, which is a range of an index too.
    fn read_reports(&mut self) {
        let thread = oldest(&self.owner, "/api/v1/threads");
        let pipeline = oldest(&self.owner, "/api/v1/pipelines");
        let to = now().date_naive();
        let period = format!("from={}&to={to}", to - Days::new(30));
        for path in [
            format!("/api/v1/threads/{thread}/summary"),
            format!("/api/v1/reports/progress?{period}"),
            format!("/api/v1/reports/funnel?{period}&pipeline_id={pipeline}"),
            format!("/api/v1/reports/time-cost?{period}&group_by=customer,operator"),
            format!("/api/v1/reports/unbilled-time?customer_id={}", oldest(&self.owner, "/api/v1/customers")),
            format!("/api/v1/reports/unbilled-time?to_on={to}"),
        ] {
            // What their names are of may be read as a whole.
            let entries = ["interactions", "tasks", "work_entries", "attachments"];
            self.read(&path, &path, 2, |plan| scan(plan, &entries));
        }
    }

    /// Words that everything has, that little has, and that nothing has together.
    fn read_searches(&mut self) {
        // Of customers there are few here, whose names may be read as a whole.
        let tables = ["search_entries", "searched_records", "threads", "invoices"];
        for text in ["matter", "ma", "matter 1", "matter 1234", "klient 77", "matter klient"] {
            let path = format!("/api/v1/search?q={}", text.replace(' ', "%20"));
            let mut read_most = 0;
            self.read(&path, &format!("a search for {text}"), TIMES_PLANNED, |plan| {
                read_most = read_most.max(plan.rows_read());
                scan(plan, &tables)
            });
            if read_most > 20 * ROWS_READ_MAX {
                self.faults.push(format!("a search for {text} reads {read_most} rows"));
            }
        }
    }

    /// A month of 30 operators, and what a narrower question needs to read: little more than it answers.
    fn read_calendar(&mut self) {
        let month = month();
        let operators = operators(&self.owner);
        let customer = oldest(&self.owner, "/api/v1/customers");
        let moment = (now() - Days::new(9)).to_rfc3339_opts(SecondsFormat::Secs, true);
        let hour = format!(
            "from={moment}&to={}",
            (now() - Days::new(9) + TimeDelta::hours(1)).to_rfc3339_opts(SecondsFormat::Secs, true)
        );
        for (name, query, entries) in [
            ("a month of 30 operators", format!("{month}&operator_id={}", operators.join(",")), 10_000),
            ("a month of one operator", format!("{month}&operator_id={}", operators[7]), 300),
            ("a month with a customer", format!("{month}&customer_id={customer}"), 5),
            ("an hour", hour, 100),
        ] {
            let path = format!("/api/v1/calendar?{query}");
            let tables = ["interactions", "tasks", "task_series"];
            let mut read_most = 0;
            let body = self.read(&path, name, 2, |plan| {
                read_most = read_most.max(plan.rows_read());
                scan(plan, &tables)
            });
            let found = body["entries"].as_array().unwrap().len();
            assert!(found >= entries, "{name} has {found} entries");
            // Of tasks that last for weeks, those that ended before the window are read too; of a customer, all.
            if read_most > 2 * found as u64 + 20 * ROWS_READ_MAX {
                self.faults.push(format!("{name} reads {read_most} rows for {found} entries"));
            }
            if let Some((_, name)) = self.figures.last_mut() {
                name.push_str(&format!(": {found} entries of {read_most} rows"));
            }
        }
    }

    /// With whatever finds out who asks.
    fn count_statements(&mut self, database: &Scratch) {
        database.set("log_statement", "all");
        let server = Server::over(&Db::connect(&database.url, 1).unwrap(), |_| {});
        let owner = self.owner.on(&server);
        let month = format!("/api/v1/calendar?{}&operator_id={}", month(), operators(&owner).join(","));
        owner.get(&month).expect(200);
        let (_, statements) = self.plans.statements_of(|| owner.get(&month).expect(200));
        assert!((1..=6).contains(&statements.len()), "{} statements: {statements:#?}", statements.len());
        self.figures.push((Duration::ZERO, format!("statements of a month: {}", statements.len())));
    }

    /// Reads, so many times, and keeps what is wrong with any of the plans, and how long the last answer took.
    fn read(&mut self, path: &str, name: &str, times: u32, mut fault: impl FnMut(&Plan) -> Option<String>) -> Record {
        let mut read = || {
            let began = Instant::now();
            let (answer, read) = self.plans.during(|| self.owner.get(path));
            let took = began.elapsed();
            assert!(!read.is_empty(), "no plan of {name} was logged");
            let found =
                read.iter().filter_map(|plan| Some(format!("{name}: {}\n    {}", fault(plan)?, plan.statement)));
            self.faults.extend(found);
            (took, answer.expect(200))
        };
        for _ in 1..times {
            read();
        }
        let (took, body) = read();
        self.figures.push((took, name.to_owned()));
        body
    }
}

/// What is wrong with a plan, if anything is.
fn fault(plan: &Plan, operation: &Operation, query: &str) -> Option<String> {
    let pages = match query {
        // Closed, or due later.
        "&overdue=false" => 2,
        // On records of any area; few are on articles.
        _ if operation.id == "list_attachments" => 3,
        // With the steps of each, in their order.
        _ if operation.id == "list_procedure_runs" => 6,
        // Any of so many tags.
        _ => 1 + query.matches(',').count() as u64,
    };
    // A tree of any depth is no range of any index: it is walked as a whole, and then sorted.
    let sorts_a_tree = operation.id == "list_subtasks";
    if let Some(scan) = scan(plan, TABLES) {
        Some(scan)
    } else if plan.rows_sorted() > pages * (PAGE + 1) && !sorts_a_tree {
        Some(format!("sorts {} rows", plan.rows_sorted()))
    } else if plan.rows_read() > ROWS_READ_MAX {
        Some(format!("reads {} rows", plan.rows_read()))
    } else {
        None
    }
}

/// Which of some tables a plan reads from end to end.
fn scan(plan: &Plan, tables: &[&str]) -> Option<String> {
    let scanned: Vec<_> = plan.scanned_tables().into_iter().filter(|table| tables.contains(table)).collect();
    (!scanned.is_empty()).then(|| format!("reads all of {}", scanned.join(", ")))
}

/// Days before now and after it, as the calendar is asked for them.
fn month() -> String {
    let [from, to] =
        [now() - Days::new(25), now() + Days::new(5)].map(|at| at.to_rfc3339_opts(SecondsFormat::Secs, true));
    format!("from={from}&to={to}")
}

/// Thirty of them.
fn operators(client: &Client) -> Vec<String> {
    let all = client.get("/api/v1/operators?limit=30&sort=created_at").expect(200).items();
    all.iter().map(|operator| operator.id().to_owned()).collect()
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
        if matches!(name, "limit" | "cursor" | "sort" | "count" | "fields" | "expand" | "format" | "bom") {
            continue;
        }
        // The days of one order are no range of an index in another.
        let order = if name.starts_with("expected_close_on[") { "&sort=expected_close_on" } else { "" };
        if let Some((field, bound)) = name.split_once('[') {
            let is_of_days = parameter["schema"]["format"] == "date";
            let [years_ago, months_ago, month_ago] = [1000, 60, 30].map(|days| moment(days, is_of_days));
            queries.push(format!("&{name}={years_ago}{order}"));
            queries.push(format!("&{name}={month_ago}{order}"));
            if bound == "lt]" {
                queries.push(format!("&{field}[gte]={months_ago}&{field}[lt]={month_ago}{order}"));
            }
            continue;
        }
        let values = values(client, name, &sample);
        assert!(!values.is_empty(), "no value of {name} for {}", operation.id);
        queries.extend(values.into_iter().map(|value| format!("&{name}={value}")));
    }
    queries
}

fn moment(days_ago: u64, is_of_days: bool) -> String {
    let moment = now() - Days::new(days_ago);
    if is_of_days { moment.date_naive().to_string() } else { moment.to_rfc3339_opts(SecondsFormat::Secs, true) }
}

/// Values that a filter finds something by.
fn values(client: &Client, name: &str, sample: &[Value]) -> Vec<String> {
    let of_records = |pointer: &str| {
        let found = sample.iter().filter_map(|record| record.pointer(pointer)).filter(|value| !value.is_null());
        found.map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned)).collect::<Vec<_>>()
    };
    if let Some(kind) = name.strip_prefix("subject_").and_then(|name| name.strip_suffix("_id")) {
        // The first of each kind has as many files as any.
        let is_on = |record: &&Value| record["subject"]["type"] == kind;
        return sample
            .iter()
            .filter(is_on)
            .take(1)
            .map(|record| record["subject"]["id"].as_str().unwrap().to_owned())
            .collect();
    }
    match name {
        // Of many records, of the oldest only, of few; and any of some.
        "tag" => ["urgent", "founding", "dispute", "founding,dispute,urgent"].map(str::to_owned).to_vec(),
        "closed" | "overdue" | "billable" | "invoiced" | "complete" | "waiting" | "late" => {
            ["true", "false"].map(str::to_owned).to_vec()
        }
        "task_id" | "parent_task_id" => vec![oldest(client, "/api/v1/tasks")],
        "parent_interaction_id" => vec![oldest(client, "/api/v1/interactions")],
        "thread_id" | "merged_into_id" => vec![oldest(client, "/api/v1/threads")],
        "period_start_on" => of_records("/period/start_on").into_iter().take(1).collect(),
        "file_id" => vec![oldest(client, "/api/v1/files")],
        "status" | "priority" | "channel" | "stage_kind" => {
            let mut values = of_records(&format!("/{name}"));
            values.sort();
            values.dedup();
            values
        }
        _ => of_records(&format!("/{name}")).into_iter().take(1).collect(),
    }
}

#[expect(clippy::print_stdout, reason = "figures, shown by --nocapture")]
fn print(loaded: Duration, mut lists: Vec<(Duration, String)>, reports: Vec<(Duration, String)>) {
    lists.sort();
    let at = |share: usize| lists[lists.len() * share / 100].0;
    println!("loaded in {loaded:.1?}");
    println!("{} pages: median {:.1?}, nine of ten within {:.1?}", lists.len(), at(50), at(90));
    for (took, name) in lists.iter().rev().take(10).chain(&reports) {
        println!("{took:>10.1?}  {name}");
    }
}
