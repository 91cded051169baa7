//! `/reports/time-cost`, held against sums that the tests make themselves.

use crate::support::{Caller, Record, Sale, Server, World, execute};
use chrono::{DateTime, Datelike, Days, NaiveDate, TimeDelta, Utc};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;

const KEYS: [&str; 9] = ["customer", "operator", "thread", "task", "opportunity", "stage", "channel", "week", "month"];
const COLUMNS: [&str; 9] = [
    "customer_id",
    "operator_id",
    "thread_id",
    "task_id",
    "opportunity_id",
    "stage_id",
    "channel",
    "week_start_on",
    "month_start_on",
];
const CUSTOMER: usize = 0;
const OPERATOR: usize = 1;
const THREAD: usize = 2;
const TASK: usize = 3;
const OPPORTUNITY: usize = 4;
const STAGE: usize = 5;
const CHANNEL: usize = 6;
const WEEK: usize = 7;
const MONTH: usize = 8;

/// What the rows are told apart by; none where an entry has no such value.
type Key = Vec<Option<String>>;

/// An interaction or a work entry as the API shows it, with what the report makes of it worked out here.
struct Entry {
    is_work: bool,
    keys: [Option<String>; 9],
    day: NaiveDate,
    held: bool,
    billable: bool,
    minutes: i64,
    billed_minutes: i64,
    /// In hundredths.
    rate: Option<i64>,
}

#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Sums {
    interactions: i64,
    work_entries: i64,
    minutes: i64,
    billable_minutes: i64,
    billed_minutes: i64,
    unpriced_minutes: i64,
    /// In hundredths.
    cost: i64,
}

/// What is assumed instead of what the entries keep.
#[derive(Default, Clone, Copy)]
struct Assumed {
    rate: Option<i64>,
    round_up_minutes: Option<i64>,
}

/// The day in Warsaw, by the rule of the Union for 2026: summer time from 29 March to 25 October, 1:00 UTC.
fn warsaw_day(moment: DateTime<Utc>) -> NaiveDate {
    let summer: [DateTime<Utc>; 2] = ["2026-03-29T01:00:00Z", "2026-10-25T01:00:00Z"].map(|at| at.parse().unwrap());
    let hours = if summer[0] <= moment && moment < summer[1] { 2 } else { 1 };
    (moment + TimeDelta::hours(hours)).date_naive()
}

fn hundredths(amount: &Value) -> i64 {
    let text = amount.as_str().unwrap();
    let (whole, part) = text.split_once('.').unwrap();
    assert_eq!(part.len(), 2, "{text}");
    format!("{whole}{part}").parse().unwrap()
}

/// Minutes × rate ÷ 60, half away from zero.
fn cost(minutes: i64, rate: i64) -> i64 {
    (minutes * rate * 2 + 60) / 120
}

impl Entry {
    fn of(record: &Record) -> Self {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let day = warsaw_day(record["started_at"].as_str().unwrap().parse().unwrap());
        let monday = day - Days::new(day.weekday().num_days_from_monday().into());
        let first = day.with_day(1).unwrap();
        let is_work = record.get("channel").is_none();
        // A contact is of the task that it hangs below.
        let parent = &record["parent"];
        let task =
            if is_work { text(&record["task_id"]) } else { text(&parent["id"]).filter(|_| parent["type"] == "task") };
        Self {
            is_work,
            keys: [
                text(&record["customer_id"]),
                text(&record["operator_id"]),
                text(&record["thread_id"]),
                task,
                text(&record["opportunity_id"]),
                text(&record["stage_id"]),
                text(&record["channel"]),
                Some(monday.to_string()),
                Some(first.to_string()),
            ],
            day,
            held: is_work || record["status"] == "held",
            billable: record["billable"] == true,
            minutes: record["duration_minutes"].as_i64().unwrap(),
            billed_minutes: record["billed_minutes"].as_i64().unwrap(),
            rate: (!record["resolved_rate"].is_null()).then(|| hundredths(&record["resolved_rate"])),
        }
    }

    fn is(&self, key: usize, value: &str) -> bool {
        self.keys[key].as_deref() == Some(value)
    }

    fn add_to(&self, sums: &mut Sums, assumed: Assumed) {
        let billed = match assumed.round_up_minutes {
            Some(step) => (self.minutes + step - 1) / step * step,
            None => self.billed_minutes,
        };
        sums.interactions += i64::from(!self.is_work);
        sums.work_entries += i64::from(self.is_work);
        sums.minutes += self.minutes;
        sums.billable_minutes += if self.billable { self.minutes } else { 0 };
        sums.billed_minutes += billed;
        match assumed.rate.or(self.rate) {
            Some(rate) => sums.cost += cost(billed, rate),
            None => sums.unpriced_minutes += self.minutes,
        }
    }
}

impl Sums {
    fn told(row: &Value) -> Self {
        let number = |name: &str| row[name].as_i64().unwrap();
        Self {
            interactions: number("interactions"),
            work_entries: number("work_entries"),
            minutes: number("minutes"),
            billable_minutes: number("billable_minutes"),
            billed_minutes: number("billed_minutes"),
            unpriced_minutes: number("unpriced_minutes"),
            cost: hundredths(&row["cost"]),
        }
    }

    fn add(&mut self, other: &Self) {
        self.interactions += other.interactions;
        self.work_entries += other.work_entries;
        self.minutes += other.minutes;
        self.billable_minutes += other.billable_minutes;
        self.billed_minutes += other.billed_minutes;
        self.unpriced_minutes += other.unpriced_minutes;
        self.cost += other.cost;
    }
}

/// An organization with all sorts of contacts and work in 2026, some at the edges of days, months and summer time.
struct Office {
    w: World,
    manager: Caller,
    customers: Vec<Record>,
    operators: Vec<Caller>,
    threads: Vec<Record>,
    tasks: Vec<Record>,
    sales: Vec<Sale>,
    entries: Vec<Entry>,
}

fn office() -> Office {
    let w = World::with(|organization| organization.round_up_minutes = Some(6));
    let customers = vec![
        w.customer().name("Żuraw").create(),
        w.customer().name("Łabędź").with("round_up_minutes", 15).create(),
        w.customer().name("Bocian").create(),
    ];
    let manager = w.operator("manager", "none", None);
    let operators = vec![w.owner.clone(), w.operator("operator", "none", None), manager.clone()];
    w.hourly_rate("99.99", "2026-02-15").create();
    w.hourly_rate("133.33", "2026-01-01").with("operator_id", operators[1].id.to_string()).create();
    w.hourly_rate("170.00", "2026-03-01").with("customer_id", customers[1].id()).create();
    w.hourly_rate("181.50", "2026-09-01").with("customer_id", customers[1].id()).create();

    let threads = vec![w.thread("Żyto").create(), w.thread("Łan").create()];
    let moves = ["2026-02-01T00:00:00Z", "2026-05-05T12:00:00Z", "2026-09-09T09:09:00Z"];
    let sales: Vec<Sale> =
        (0..3).map(|n| w.sale(customers[n].id(), ["Ćma", "Bąk", "Ważka"][n], &moves[..n + 1])).collect();
    let (first, second) = (customers[0].id(), customers[1].id());
    let tasks = vec![
        w.task("Źródło")
            .with("customer_id", first)
            .with("thread_id", threads[0].id())
            .with("opportunity_id", sales[0].id.as_str())
            .create(),
        w.task("Łąka").with("customer_id", second).with("opportunity_id", sales[1].id.as_str()).create(),
        w.task("Bagno").with("customer_id", second).with("thread_id", threads[1].id()).create(),
        w.task("Wrzos").with("thread_id", threads[0].id()).create(),
        w.task("Ask").create(),
    ];

    let edges = [
        "2025-12-31T22:59:59Z",
        "2025-12-31T23:00:00Z",
        "2026-01-31T22:59:59Z",
        "2026-01-31T23:00:00Z",
        "2026-03-29T00:59:59Z",
        "2026-03-29T01:00:00Z",
        "2026-03-31T21:59:59Z",
        "2026-03-31T22:00:00Z",
        "2026-06-28T21:59:59Z",
        "2026-06-28T22:00:00Z",
        "2026-10-25T00:30:00Z",
        "2026-10-25T01:30:00Z",
        "2026-10-31T22:59:59Z",
        "2026-10-31T23:00:00Z",
        "2026-12-31T22:59:59Z",
        "2026-12-31T23:00:00Z",
    ];
    let spread = (0..60_u64).map(|n| {
        let minutes = i64::try_from(n * 8_641 % 524_160).unwrap();
        "2026-01-01T00:17:00Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::minutes(minutes)
    });
    let moments = edges.iter().map(|edge| edge.parse().unwrap()).chain(spread);
    for (n, moment) in moments.enumerate() {
        let status = if n % 11 == 10 { ["planned", "not_held"][n % 2] } else { "held" };
        let mut draft = w
            .interaction(customers[n % 3].id())
            .with("operator_id", operators[n / 3 % 3].id.to_string())
            .with("channel", ["phone", "email", "meeting"][n / 2 % 3])
            .with("status", status)
            .with("started_at", moment.to_rfc3339())
            .with("duration_minutes", u32::try_from(n * 37 % 131).unwrap())
            .with("billable", n % 4 != 0);
        if n % 7 == 0 {
            draft = draft.with("hourly_rate", "210.10");
        }
        if n % 2 == 0 {
            draft = draft.with("opportunity_id", sales[n % 3].id.as_str());
        }
        if n % 5 < 2 {
            draft = draft.with("thread_id", threads[n % 5].id());
        }
        if n % 4 == 1 {
            draft = draft.with("parent", json!({ "type": "task", "id": tasks[n % 5].id() }));
        }
        draft.create();
        let mut draft = w
            .work_entry(tasks[n * 7 % 5].id())
            .with("operator_id", operators[n % 3].id.to_string())
            .with("started_at", moment.to_rfc3339())
            .with("duration_minutes", u32::try_from(1 + n * 29 % 177).unwrap())
            .with("billable", n % 3 != 0);
        if n % 6 == 0 {
            draft = draft.with("hourly_rate", "0.01");
        }
        draft.create();
    }
    let mut entries = Vec::new();
    for path in ["/interactions", "/work-entries"] {
        let page = w.owner.get(&format!("{path}?limit=200")).expect(200);
        assert_eq!(page["next_cursor"], Value::Null);
        entries.extend(page.items().iter().map(Entry::of));
    }
    Office { w, manager, customers, operators, threads, tasks, sales, entries }
}

impl Office {
    fn report(&self, query: &str) -> Record {
        self.manager.get(&format!("/reports/time-cost?from=2026-01-01&to=2026-12-31&{query}")).expect(200)
    }

    /// What the report must tell of the entries of 2026 that `counts` lets through.
    fn sums(&self, keys: &[usize], assumed: Assumed, counts: impl Fn(&Entry) -> bool) -> BTreeMap<Key, Sums> {
        let mut rows: BTreeMap<Key, Sums> = BTreeMap::new();
        for entry in self.entries.iter().filter(|entry| entry.held && entry.day.year() == 2026 && counts(entry)) {
            let key = keys.iter().map(|key| entry.keys[*key].clone()).collect();
            entry.add_to(rows.entry(key).or_default(), assumed);
        }
        rows
    }
}

/// The rows of a report by the columns of their keys; the other columns are null.
fn rows(report: &Record, keys: &[usize]) -> BTreeMap<Key, Sums> {
    let mut rows = BTreeMap::new();
    for row in report["rows"].as_array().unwrap() {
        for (index, column) in COLUMNS.iter().enumerate() {
            assert!(row["keys"][column].is_null() || keys.contains(&index), "{column} in {row}");
        }
        let key = keys.iter().map(|key| row["keys"][COLUMNS[*key]].as_str().map(str::to_owned)).collect();
        assert!(rows.insert(key, Sums::told(row)).is_none(), "twice: {row}");
    }
    rows
}

/// Everything that the report says of itself agrees with itself, and with the entries.
#[track_caller]
fn assert_sums(report: &Record, keys: &[usize], wanted: &BTreeMap<Key, Sums>) {
    assert_eq!(&rows(report, keys), wanted);
    let mut totals = Sums::default();
    wanted.values().for_each(|sums| totals.add(sums));
    assert_eq!(Sums::told(&report["totals"]), totals);
}

#[test]
fn sums_equal_the_entries_for_every_grouping() {
    let office = office();
    // Each key, all pairs, all threes, and all at once.
    for chosen in (1..512_usize).filter(|chosen| chosen.count_ones() <= 3 || chosen.count_ones() == 9) {
        let keys: Vec<usize> = (0..9).filter(|key| chosen & (1 << key) != 0).collect();
        let words: Vec<&str> = keys.iter().map(|key| KEYS[*key]).collect();
        let report = office.report(&format!("group_by={}", words.join(",")));
        assert_eq!(report["group_by"], json!(words));
        assert_sums(&report, &keys, &office.sums(&keys, Assumed::default(), |_| true));
        let knows = keys.iter().all(|key| [CUSTOMER, WEEK, MONTH].contains(key));
        let invoiced = if knows { json!("0.00") } else { Value::Null };
        assert_eq!(report["totals"]["invoiced"], invoiced, "{words:?}");
    }
}

#[test]
fn a_rate_and_a_rounding_can_be_assumed() {
    let office = office();
    for (query, assumed) in [
        ("hourly_rate=150.00", Assumed { rate: Some(15_000), round_up_minutes: None }),
        ("hourly_rate=0.01&round_up_minutes=7", Assumed { rate: Some(1), round_up_minutes: Some(7) }),
        ("round_up_minutes=15", Assumed { rate: None, round_up_minutes: Some(15) }),
        ("round_up_minutes=1", Assumed { rate: None, round_up_minutes: Some(1) }),
    ] {
        let report = office.report(&format!("group_by=month,customer&{query}"));
        assert_sums(&report, &[MONTH, CUSTOMER], &office.sums(&[MONTH, CUSTOMER], assumed, |_| true));
    }
    let report = office.report("hourly_rate=150.00&round_up_minutes=15");
    assert_eq!((&report["hourly_rate"], &report["round_up_minutes"]), (&json!("150.00"), &json!(15)));
    assert_eq!(report["totals"]["unpriced_minutes"], 0);
    // Nothing was changed by the asking.
    assert_sums(&office.report(""), &[CUSTOMER], &office.sums(&[CUSTOMER], Assumed::default(), |_| true));
}

#[test]
fn filters_hold_together() {
    let office = office();
    let (customer, operator) = (office.customers[1].id(), office.operators[1].id.to_string());
    let none = Assumed::default();
    let check = |query: &str, counts: &dyn Fn(&Entry) -> bool| {
        let wanted = office.sums(&[WEEK], none, counts);
        assert!(!wanted.is_empty(), "{query} leaves nothing");
        assert_sums(&office.report(&format!("group_by=week&{query}")), &[WEEK], &wanted);
    };
    check(&format!("customer_id={customer}"), &|entry| entry.is(CUSTOMER, customer));
    check(&format!("operator_id={operator}"), &|entry| entry.is(OPERATOR, &operator));
    check("channel=phone,email", &|entry| entry.is(CHANNEL, "phone") || entry.is(CHANNEL, "email"));
    check("billable=true", &|entry| entry.billable);
    check(&format!("billable=false&channel=phone&customer_id={customer},{}", office.customers[0].id()), &|entry| {
        !entry.billable && entry.is(CHANNEL, "phone") && !entry.is(CUSTOMER, office.customers[2].id())
    });
    let [threads, tasks] = [&office.threads, &office.tasks].map(|all| [all[0].id(), all[1].id()]);
    check(&format!("thread_id={}", threads[0]), &|entry| entry.is(THREAD, threads[0]));
    check(&format!("thread_id={}", threads.join(",")), &|entry| entry.keys[THREAD].is_some());
    check(&format!("task_id={}", tasks.join(",")), &|entry| tasks.iter().any(|task| entry.is(TASK, task)));
    let sale = &office.sales[1];
    check(&format!("opportunity_id={}", sale.id), &|entry| entry.is(OPPORTUNITY, &sale.id));
    check(&format!("stage_id={}", sale.stages[1]), &|entry| entry.is(STAGE, &sale.stages[1]));
    check(&format!("task_id={}&thread_id={}&billable=true", tasks[0], threads[0]), &|entry| {
        entry.is(TASK, tasks[0]) && entry.is(THREAD, threads[0]) && entry.billable
    });
}

#[test]
fn a_period_is_whole_days_in_the_organizations_time_zone() {
    let office = office();
    for (from, to) in [
        ("2026-03-29", "2026-03-29"),
        ("2026-03-31", "2026-04-01"),
        ("2026-10-25", "2026-10-31"),
        ("2025-12-31", "2027-01-01"),
    ] {
        let report = office.manager.get(&format!("/reports/time-cost?from={from}&to={to}&group_by=month")).expect(200);
        assert_eq!((&report["from_on"], &report["to_on"]), (&json!(from), &json!(to)));
        let (from, to): (NaiveDate, NaiveDate) = (from.parse().unwrap(), to.parse().unwrap());
        let mut wanted: BTreeMap<Key, Sums> = BTreeMap::new();
        for entry in office.entries.iter().filter(|entry| entry.held && (from..=to).contains(&entry.day)) {
            entry.add_to(wanted.entry(vec![entry.keys[MONTH].clone()]).or_default(), Assumed::default());
        }
        assert_sums(&report, &[MONTH], &wanted);
    }
}

#[test]
fn rows_follow_the_keys_in_the_order_asked_for() {
    let office = office();
    let told = |query: &str, first: &str, second: &str| -> Vec<(String, String)> {
        let report = office.report(query);
        // Null where the work was for nobody in particular.
        let text = |row: &Value, name: &str| row["keys"][name].as_str().unwrap_or_default().to_owned();
        report["rows"].as_array().unwrap().iter().map(|row| (text(row, first), text(row, second))).collect()
    };
    let by_month = told("group_by=month,customer", "month_start_on", "customer_name");
    assert!(by_month.is_sorted_by_key(|(month, _)| month.clone()));
    let january: Vec<&str> =
        by_month.iter().filter(|(month, _)| month == "2026-01-01").map(|(_, name)| name.as_str()).collect();
    assert_eq!(january, ["Bocian", "Łabędź", "Żuraw", ""], "as people sort names, and what has none last");
    let by_customer = told("group_by=customer,month", "customer_name", "month_start_on");
    assert_eq!(by_customer[0].0, "Bocian");
    assert_eq!(by_customer.last().unwrap().0, "");
    assert_eq!(by_customer.len(), by_month.len());
    let names = |key: &str, name: &str| -> Vec<String> {
        told(&format!("group_by={key}"), name, name).into_iter().map(|(name, _)| name).collect()
    };
    assert_eq!(names("thread", "thread_subject"), ["Łan", "Żyto", ""]);
    assert_eq!(names("task", "task_title"), ["Ask", "Bagno", "Łąka", "Wrzos", "Źródło", ""]);
    assert_eq!(names("opportunity", "opportunity_title"), ["Bąk", "Ćma", "Ważka", ""]);
    let stages = ["New", "New", "Qualified", "New", "Qualified", "Proposal", ""];
    assert_eq!(names("stage", "stage_name"), stages, "as they follow each other");
}

/// Issues an invoice behind the API's back: the report asks nothing but its status, kind, customer, day and net.
fn issue(w: &World, customer: &Record, kind: &str, issued_on: &str, currency: &str, net: &str) {
    let organization = w.organization_id;
    let customer = customer.id();
    let series = format!("md5('{organization}{kind}')::uuid");
    let correction = match kind {
        "correction" => format!(
            "(select id from invoices where customer_id = '{customer}' and kind = 'invoice' and currency = '{currency}' limit 1),
             'Mistake', '{{}}'"
        ),
        _ => "null, null, null".to_owned(),
    };
    execute(&format!(
        "insert into number_series (organization_id, id, name, kind, pattern, reset, created_at, updated_at)
             values ('{organization}', {series}, '{kind}', '{kind}', '{kind}/{{number}}', 'never', now(), now()) on conflict do nothing;
         insert into invoices (organization_id, id, kind, status, series_id, number, customer_id, seller, buyer, issued_on,
                 sold_on, due_on, currency, price_mode, payment_method, language, vat_totals, net, vat, gross, created_at, updated_at,
                 corrects_id, correction_reason, before)
             values ('{organization}', gen_random_uuid(), '{kind}', 'issued', {series}, gen_random_uuid()::text, '{customer}',
                 '{{}}', '{{}}', '{issued_on}', '{issued_on}', '{issued_on}', '{currency}', 'net', 'transfer', 'pl', '[]',
                 {net}, 0, {net}, now(), now(), {correction})"
    ))
    .unwrap();
}

#[test]
fn what_was_invoiced_stands_beside_and_makes_the_margin() {
    let w = World::new();
    let (busy, quiet) = (w.customer().name("Busy").create(), w.customer().name("Quiet").create());
    w.hourly_rate("100.00", "2026-01-01").create();
    w.interaction(busy.id()).with("started_at", "2026-02-10T10:00:00Z").with("duration_minutes", 90).create();
    issue(&w, &busy, "invoice", "2026-02-28", "PLN", "400.00");
    issue(&w, &busy, "correction", "2026-03-01", "PLN", "-50.00");
    issue(&w, &busy, "pro_forma", "2026-02-15", "PLN", "9000.00");
    issue(&w, &busy, "invoice", "2026-02-20", "EUR", "100.00");
    issue(&w, &busy, "invoice", "2025-12-31", "PLN", "7000.00");
    issue(&w, &quiet, "invoice", "2026-12-31", "PLN", "10.01");
    // Another organization's invoices are its own.
    let stranger = World::new();
    issue(&stranger, &stranger.customer().create(), "invoice", "2026-02-28", "PLN", "1.00");

    let report =
        |query: &str| w.owner.get(&format!("/reports/time-cost?from=2026-01-01&to=2026-12-31&{query}")).expect(200);
    let told = |report: &Record| -> Vec<Value> {
        let columns = ["cost", "invoiced", "margin", "uncounted_invoices"];
        let of = |row: &Value| Value::from(columns.map(|column| row[column].clone()).to_vec());
        report["rows"].as_array().unwrap().iter().chain([&report["totals"]]).map(of).collect()
    };
    assert_eq!(
        told(&report("group_by=customer")),
        [
            json!(["150.00", "350.00", "200.00", 1]),
            json!(["0.00", "10.01", "10.01", 0]),
            json!(["150.00", "360.01", "210.01", 1]),
        ]
    );
    assert_eq!(
        told(&report("group_by=month")),
        [
            json!(["150.00", "400.00", "250.00", 1]),
            json!(["0.00", "-50.00", "-50.00", 0]),
            json!(["0.00", "10.01", "10.01", 0]),
            json!(["150.00", "360.01", "210.01", 1]),
        ]
    );
    // 28 February and 1 March 2026 are days of one week, from Monday the 23rd.
    let weeks = report("group_by=customer,week");
    let of_busy: Vec<_> =
        weeks["rows"].as_array().unwrap().iter().map(|row| (&row["keys"]["week_start_on"], &row["invoiced"])).collect();
    assert_eq!(
        of_busy[..3],
        [
            (&json!("2026-02-09"), &json!("0.00")),
            (&json!("2026-02-16"), &json!("0.00")),
            (&json!("2026-02-23"), &json!("350.00")),
        ]
    );
    assert_eq!(
        told(&report(&format!("customer_id={}", quiet.id()))),
        [json!(["0.00", "10.01", "10.01", 0]), json!(["0.00", "10.01", "10.01", 0]),]
    );
    // An invoice knows no operator, no channel, and not which time is billable.
    for query in ["group_by=customer,operator", "group_by=channel", "group_by=month&billable=true", "channel=phone"] {
        assert_eq!(
            told(&report(query)),
            [json!(["150.00", null, null, 0]), json!(["150.00", null, null, 0])],
            "{query}"
        );
    }
    let assumed = report("group_by=customer&hourly_rate=300.00");
    assert_eq!(told(&assumed)[0], json!(["450.00", "350.00", "-100.00", 1]));
}

/// CSV without quoted line ends, as these tests' names have none.
fn csv_rows(text: &str) -> Vec<BTreeMap<String, String>> {
    let mut lines = text.strip_suffix("\r\n").unwrap().split("\r\n").map(|line| {
        let mut cells = vec![String::new()];
        let mut quoted = false;
        for letter in line.chars() {
            match letter {
                '"' => quoted = !quoted,
                ',' if !quoted => cells.push(String::new()),
                other => cells.last_mut().unwrap().push(other),
            }
        }
        cells
    });
    let header = lines.next().unwrap();
    lines.map(|cells| header.iter().cloned().zip(cells).collect()).collect()
}

#[test]
fn csv_says_what_json_says() {
    let office = office();
    issue(&office.w, &office.customers[0], "invoice", "2026-05-05", "PLN", "12.50");
    for keys in ["customer,month", "operator,channel", "week", "thread,task", "stage,opportunity,task,channel"] {
        let query = format!("/reports/time-cost?from=2026-01-01&to=2026-12-31&group_by={keys}");
        let report = office.manager.get(&query).expect(200);
        let answer = office.manager.with("Accept", "text/csv").get(&query);
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/csv; charset=utf-8")));
        assert!(answer.header("content-disposition").unwrap().contains("time-cost.csv"));
        assert_eq!(office.manager.get(&format!("{query}&format=csv")).body, answer.body);
        let told = csv_rows(&answer.text());
        assert_eq!(told.len(), report["rows"].as_array().unwrap().len());
        for (cells, row) in told.iter().zip(report["rows"].as_array().unwrap()) {
            let as_text = |value: &Value| match value {
                Value::Null => String::new(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            let mut wanted: BTreeMap<String, String> = BTreeMap::from([("currency".into(), "PLN".into())]);
            for (name, value) in row.as_object().unwrap().iter().filter(|(name, _)| *name != "keys") {
                wanted.insert(name.clone(), as_text(value));
            }
            // A column or two of each key; others only where the rows are not grouped by it.
            let is_of_a_key = |name: &str| keys.split(',').any(|key| name.split('_').next() == Some(key));
            for (name, value) in row["keys"].as_object().unwrap() {
                if is_of_a_key(name) {
                    wanted.insert(name.clone(), as_text(value));
                }
            }
            assert_eq!(cells, &wanted);
        }
    }
}

#[test]
fn csv_is_chosen_by_name_and_safe_in_a_spreadsheet() {
    let w = World::new();
    for (name, minutes) in [("=HYPERLINK(\"http://evil.example\")", 10), ("+1, -1 & @x", 20)] {
        w.interaction(w.customer().name(name).create().id()).with("duration_minutes", minutes).create();
    }
    let invoiced = w.customer().name("Only invoiced").create();
    issue(&w, &invoiced, "invoice", "2025-12-31", "PLN", "100.00");
    issue(&w, &invoiced, "correction", "2026-11-20", "PLN", "-12.50");
    let get = |accept: &str, query: &str| {
        w.owner.with("Accept", accept).get(&format!("/reports/time-cost?from=2026-01-01&to=2026-12-31{query}"))
    };
    let text = get("text/csv", "&bom=true").text();
    assert!(text.starts_with("\u{feff}customer_id,customer_name,interactions,"), "{text}");
    let rows = csv_rows(text.trim_start_matches('\u{feff}'));
    let names: Vec<&str> = rows.iter().map(|row| row["customer_name"].as_str()).collect();
    assert!(names.contains(&"'+1, -1 & @x") && names.contains(&"'=HYPERLINK(http://evil.example)"), "{names:?}");
    let invoiced = rows.iter().find(|row| row["customer_name"] == "Only invoiced").unwrap();
    assert_eq!(
        (invoiced["invoiced"].as_str(), invoiced["margin"].as_str()),
        ("-12.50", "-12.50"),
        "numbers stay numbers"
    );

    for (accept, query, content_type) in [
        ("*/*", "", "application/json"),
        ("text/csv, application/json", "", "application/json"),
        ("text/csv, application/json;q=0.5", "", "text/csv; charset=utf-8"),
        ("text/csv;q=0.9, */*;q=0.1", "", "text/csv; charset=utf-8"),
        ("*/*", "&format=csv", "text/csv; charset=utf-8"),
        ("text/csv", "&format=json", "application/json"),
    ] {
        assert_eq!(get(accept, query).header("content-type"), Some(content_type), "{accept} {query}");
    }
    get("application/pdf", "").refused(406, "not_acceptable");
}

#[test]
fn a_question_that_makes_no_sense_is_refused() {
    let w = World::new();
    let refused = |query: &str| {
        let answer = w.owner.get(&format!("/reports/time-cost?{query}"));
        answer.refused(400, "parameter_invalid");
        answer.wrong()
    };
    assert_eq!(refused("from=2026-02-01&to=2026-01-31"), ["to order"]);
    assert_eq!(refused("from=2010-01-01&to=2026-01-31"), ["to maximum"]);
    assert_eq!(refused("from=2026-02-30"), ["from format"]);
    assert_eq!(refused("group_by=customer,weather"), ["group_by enum"]);
    assert_eq!(refused("hourly_rate=-1.00"), ["hourly_rate pattern"]);
    assert_eq!(refused("round_up_minutes=0"), ["round_up_minutes minimum"]);
    assert_eq!(refused("by=customer"), ["by unknown"]);
    // A refusal that only the report itself finds is the same document where CSV is asked for.
    w.owner
        .with("Accept", "text/csv")
        .get("/reports/time-cost?from=2026-02-01&to=2026-01-31")
        .refused(400, "parameter_invalid");
    w.operator("operator", "none", None).get("/reports/time-cost").refused(403, "scope_missing");
    let report = w.api_key(&["reports:read"]).get("/reports/time-cost").expect(200);
    assert_eq!((&report["rows"], &report["totals"]["interactions"]), (&json!([]), &json!(0)));
    assert_eq!(report["group_by"], json!(["customer"]));
    assert!(report["from_on"].as_str().unwrap().ends_with("-01-01"), "the year so far: {report:?}");
}

#[test]
fn a_long_report_is_streamed_whole() {
    let w = World::new();
    let template = w.customer().create();
    w.hourly_rate("60.00", "2020-01-01").create();
    w.interaction(template.id()).with("started_at", "2026-01-01T12:00:00Z").with("duration_minutes", 1).create();
    // A contact a day for 50 customers: 18 250 rows, some megabytes.
    execute(&format!(
        "insert into customers (organization_id, id, kind, name, tax_scheme, currency, language, created_at, updated_at)
             select organization_id, gen_random_uuid(), kind, name || n, tax_scheme, currency, language, created_at, updated_at
             from customers, generate_series(1, 49) n where organization_id = '{organization}';
         insert into interactions (organization_id, id, customer_id, operator_id, channel, direction, status, started_at,
                 duration_minutes, subject, billable, billed_minutes, resolved_rate, rate_source, cost, currency, created_at, updated_at)
             select i.organization_id, gen_random_uuid(), c.id, i.operator_id, i.channel, i.direction, i.status,
                 i.started_at + n * interval '1 week', i.duration_minutes, i.subject, i.billable, i.billed_minutes, i.resolved_rate,
                 i.rate_source, i.cost, i.currency, i.created_at, i.updated_at
             from interactions i join customers c using (organization_id), generate_series(1, 364) n
             where i.organization_id = '{organization}'",
        organization = w.organization_id
    ))
    .unwrap();
    let path = "/reports/time-cost?from=2026-01-01&to=2034-12-31&group_by=customer,week";
    let answer = w.owner.get(path);
    assert_eq!(answer.header("content-length"), None, "sent as it is read");
    let report = answer.expect(200);
    let rows = report["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 50 * 364 + 1);
    assert_eq!(report["totals"]["cost"], format!("{}.00", rows.len()), "a minute at 60.00 an hour each");
    let csv = w.owner.get(&format!("{path}&format=csv")).text();
    assert_eq!(csv.lines().count(), rows.len() + 1);
    assert!(answer.body.len() > 4_000_000, "{}", answer.body.len());

    // Callers who hang up in the middle keep no connection to the database.
    let url = Server::shared().url.trim_start_matches("http://").to_owned();
    let token = w.owner.sent("Authorization").unwrap();
    for _ in 0..20 {
        let mut socket = TcpStream::connect(&url).unwrap();
        write!(socket, "GET /api/v1{path} HTTP/1.1\r\nHost: {url}\r\nAuthorization: {token}\r\n\r\n").unwrap();
        let mut start = [0; 1000];
        socket.read_exact(&mut start).unwrap();
        assert!(start.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&start));
    }
    assert_eq!(w.owner.get(&format!("{path}&format=csv")).text(), csv);
}

#[test]
fn sums_may_have_more_digits_than_an_amount() {
    let w = World::new();
    w.subscribers(1);
    w.run("issue", "2026-01-31");
    let issued = w.invoices().remove(0);
    for month in ["2025-11-01", "2025-12-01"] {
        execute(&format!(
            "insert into invoices
             select (jsonb_populate_record(i, '{{ \"id\": \"{}\", \"number\": \"LARGE {month}\", \"period_start_on\": \"{month}\",
                                                  \"net\": 90000000000000, \"vat\": 0, \"gross\": 90000000000000 }}')).*
             from invoices i where organization_id = '{}' and id = '{}'",
            uuid::Uuid::now_v7(),
            w.organization_id,
            issued.id()
        ))
        .unwrap();
    }
    let day = issued["issued_on"].as_str().unwrap();
    let report = w.owner.get(&format!("/reports/time-cost?from={day}&to={day}&group_by=customer")).expect(200);
    let invoiced = report["totals"]["invoiced"].as_str().unwrap();
    assert!(invoiced.starts_with("1800000000") && invoiced.len() == "180000000000000.00".len(), "{invoiced}");
    assert_eq!(report["totals"]["margin"], report["totals"]["invoiced"]);
}
