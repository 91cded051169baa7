//! The demo's year through its reports, each held against sums over what the lists show.

use crate::support::{Client, Process, Record, now, opiekun, scratch_database};
use chrono::{DateTime, Datelike, Days, NaiveDate, TimeDelta, Utc};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The keys of the time-cost report, and the columns that tell them.
const KEYS: [(&str, &str); 9] = [
    ("customer", "customer_id"),
    ("operator", "operator_id"),
    ("thread", "thread_id"),
    ("task", "task_id"),
    ("opportunity", "opportunity_id"),
    ("stage", "stage_id"),
    ("channel", "channel"),
    ("week", "week_start_on"),
    ("month", "month_start_on"),
];

/// Everything that the lists show, of the year that the reports are asked for.
struct Year {
    owner: Client,
    from: NaiveDate,
    to: NaiveDate,
    entries: Vec<Entry>,
    tasks: Vec<Value>,
    invoices: Vec<Value>,
    attachments: Vec<Value>,
}

/// A contact that was held, or work.
struct Entry {
    record: Value,
    is_work: bool,
    day: NaiveDate,
    keys: BTreeMap<&'static str, Value>,
}

#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Sums {
    interactions: i64,
    work_entries: i64,
    minutes: i64,
    billable_minutes: i64,
    billed_minutes: i64,
    /// In hundredths, as all amounts here.
    cost: i64,
}

#[test]
fn the_reports_on_the_demo_are_sums_over_what_its_lists_show() {
    let database = scratch_database();
    let filled = opiekun(&database.url).args(["demo", "--seed", "7"]).output().unwrap();
    assert!(filled.status.success(), "{filled:?}");
    let server = Process::serve(&database.url);
    let year = Year::read(&server);
    year.check_time_cost();
    year.check_progress();
    year.check_threads();
    year.check_funnel();
    // As the contract has them: E.164.
    for kind in ["customers", "people"] {
        let phones: Vec<Value> = all(&year.owner, &format!("/{kind}?")).iter().map(|it| it["phone"].clone()).collect();
        let is_one =
            |phone: &str| phone.strip_prefix('+').is_some_and(|rest| rest.bytes().all(|it| it.is_ascii_digit()));
        assert!(phones.iter().filter_map(Value::as_str).count() > 10, "{kind}");
        assert!(phones.iter().filter_map(Value::as_str).all(is_one), "{phones:?}");
    }
}

impl Year {
    fn read(server: &Process) -> Self {
        let nobody = Client::at_process(server);
        let grant =
            json!({ "grant_type": "password", "username": "anna@kropka.example", "password": "kropka-demo-2026" });
        let token = nobody.post("/auth/token", grant).expect(200);
        let owner = nobody.bearer(token["access_token"].as_str().unwrap());
        let to = warsaw_day(now());
        let from = to.with_day(1).unwrap().with_year(to.year() - 1).unwrap();
        let held = all(&owner, "/interactions?status=held");
        let worked = all(&owner, "/work-entries?");
        assert!(held.len() > 1_500 && worked.len() > 100, "{} {}", held.len(), worked.len());
        let entries =
            held.into_iter().map(|it| Entry::of(it, false)).chain(worked.into_iter().map(|it| Entry::of(it, true)));
        let entries: Vec<Entry> = entries.collect();
        assert!(entries.iter().all(|entry| (from..=to).contains(&entry.day)), "a year and no more");
        Self {
            from,
            to,
            entries,
            tasks: all(&owner, "/tasks?"),
            invoices: all(&owner, "/invoices?status=issued"),
            attachments: all(&owner, "/attachments?"),
            owner,
        }
    }

    fn report(&self, name: &str, query: &str) -> Record {
        self.owner.get(&format!("/reports/{name}?from={}&to={}&{query}", self.from, self.to)).expect(200)
    }

    fn check_time_cost(&self) {
        let single = (0..KEYS.len()).map(|key| vec![key]);
        let several =
            [vec![0, 8], vec![8, 0], vec![1, 6], vec![2, 3], vec![0, 7], vec![4, 5, 1], (0..KEYS.len()).collect()];
        for chosen in single.chain(several) {
            let words: Vec<&str> = chosen.iter().map(|key| KEYS[*key].0).collect();
            let columns: Vec<&str> = chosen.iter().map(|key| KEYS[*key].1).collect();
            let report = self.report("time-cost", &format!("group_by={}", words.join(",")));
            let told = |row: &Value| columns.iter().map(|column| row["keys"][column].to_string()).collect::<Vec<_>>();

            let mut wanted: BTreeMap<Vec<String>, Sums> = BTreeMap::new();
            for entry in &self.entries {
                let key = columns.iter().map(|column| entry.keys[column].to_string()).collect();
                wanted.entry(key).or_default().add(entry);
            }
            let mut invoiced: BTreeMap<Vec<String>, i64> = BTreeMap::new();
            let knows_invoices = words.iter().all(|word| ["customer", "week", "month"].contains(word));
            for invoice in self.invoices.iter().filter(|_| knows_invoices) {
                let day = date(&invoice["issued_on"]);
                assert!((self.from..=self.to).contains(&day), "{invoice}");
                let keys = dated(day).into_iter().chain([("customer_id", invoice["customer_id"].clone())]);
                let keys: BTreeMap<&str, Value> = keys.collect();
                let key: Vec<String> = columns.iter().map(|column| keys[column].to_string()).collect();
                wanted.entry(key.clone()).or_default();
                *invoiced.entry(key).or_default() += hundredths(&invoice["net"]);
            }

            let rows = report["rows"].as_array().unwrap();
            let found: BTreeMap<_, _> = rows.iter().map(|row| (told(row), Sums::told(row))).collect();
            assert_eq!(found.len(), rows.len(), "{words:?}: a row twice");
            assert_eq!(found, wanted, "{words:?}");
            for row in rows {
                let invoiced = invoiced.get(&told(row)).copied().unwrap_or_default();
                check_margin(row, invoiced, knows_invoices);
            }
            let mut totals = Sums::default();
            self.entries.iter().for_each(|entry| totals.add(entry));
            assert_eq!(Sums::told(&report["totals"]), totals, "{words:?}");
            check_margin(&report["totals"], invoiced.values().sum(), knows_invoices);
        }
    }

    fn check_progress(&self) {
        let report = self.report("progress", "");
        let rows = report["rows"].as_array().unwrap();
        let operators: BTreeSet<String> = rows.iter().map(|row| row["operator_id"].to_string()).collect();
        assert!(self.entries.iter().all(|entry| operators.contains(&entry.keys["operator_id"].to_string())));
        let mut totals: BTreeMap<&str, i64> = BTreeMap::new();
        for row in rows {
            let mut sums = Sums::default();
            let its = self.entries.iter().filter(|entry| entry.keys["operator_id"] == row["operator_id"]);
            its.for_each(|entry| sums.add(entry));
            let tasks: Vec<&Value> = self.tasks.iter().filter(|it| it["caretaker_id"] == row["operator_id"]).collect();
            let count = |is: &dyn Fn(&Value) -> bool| i64::try_from(tasks.iter().filter(|it| is(it)).count()).unwrap();
            let is_its = |it: &&Value| it["caretaker_id"] == row["operator_id"] && self.has(&it["created_at"]);
            let files = i64::try_from(self.attachments.iter().filter(is_its).count()).unwrap();
            let is_done = |it: &Value| it["status"] == "done" && self.has(&it["closed_at"]);
            for (name, wanted) in [
                ("given", count(&|it| self.has(&it["assigned_at"]))),
                ("done", count(&is_done)),
                ("done_on_time", count(&|it| is_done(it) && moment(&it["closed_at"]) <= deadline(it))),
                ("open", count(&|it| it["closed_at"].is_null())),
                ("overdue", count(&is_overdue)),
                ("interactions", sums.interactions),
                ("work_entries", sums.work_entries),
                ("files", files),
                ("minutes", sums.minutes),
                ("billable_minutes", sums.billable_minutes),
            ] {
                assert_eq!(row[name], wanted, "{name} of {row}");
                *totals.entry(name).or_default() += wanted;
            }
            assert_eq!(hundredths(&row["cost"]), sums.cost, "{row}");
            *totals.entry("cost").or_default() += sums.cost;
        }
        for (name, wanted) in &totals {
            let told = &report["totals"][*name];
            assert_eq!(told.as_i64().unwrap_or_else(|| hundredths(told)), *wanted, "{name}");
        }
        assert!(
            totals["overdue"] > 3 && totals["done"] > 100 && totals["files"] > 1,
            "something worth reading: {totals:?}"
        );
    }

    fn check_threads(&self) {
        let threads = all(&self.owner, "/threads?");
        assert!(threads.iter().any(|thread| thread["subject"] == "Kontrola US"));
        for thread in &threads {
            let path = format!("/threads/{}/summary", thread["id"].as_str().unwrap());
            let summary = self.owner.get(&path).expect(200);
            let mut sums = Sums::default();
            let its: Vec<&Entry> = self.entries.iter().filter(|it| it.keys["thread_id"] == thread["id"]).collect();
            its.iter().for_each(|entry| sums.add(entry));
            assert_eq!(Sums::told(&summary), sums, "{}", thread["subject"]);
            // Of a procedure's run that nobody has worked at yet there is nothing.
            assert_eq!(sums.cost > 0, !its.is_empty(), "{}", thread["subject"]);
            let tasks: Vec<&Value> = self.tasks.iter().filter(|it| it["thread_id"] == thread["id"]).collect();
            let count = |is: &dyn Fn(&Value) -> bool| tasks.iter().filter(|it| is(it)).count();
            let is_open = |it: &Value| it["closed_at"].is_null();
            assert_eq!(summary["tasks"], tasks.len());
            assert_eq!(summary["open_tasks"], count(&is_open));
            assert_eq!(summary["overdue_tasks"], count(&is_overdue));
            assert_eq!(summary["done_tasks"], count(&|it| it["status"] == "done"));
            if thread["subject"] == "Kontrola US" {
                assert!(count(&is_overdue) > 0, "who still owes what: {}", summary.0);
            }

            for row in summary["operators"].as_array().unwrap() {
                let is_its = |it: &Value| it["caretaker_id"] == row["operator_id"];
                let mut sums = Sums::default();
                its.iter().filter(|it| it.keys["operator_id"] == row["operator_id"]).for_each(|entry| sums.add(entry));
                assert_eq!((&row["minutes"], hundredths(&row["cost"])), (&json!(sums.minutes), sums.cost), "{row}");
                assert_eq!(row["open_tasks"], count(&|it| is_its(it) && is_open(it)), "{row}");
                assert_eq!(row["overdue_tasks"], count(&|it| is_its(it) && is_overdue(it)), "{row}");
            }
            let told: i64 = summary["operators"].as_array().unwrap().iter().map(|row| hundredths(&row["cost"])).sum();
            assert_eq!(told, sums.cost, "nobody is left out of {}", thread["subject"]);
        }
    }

    fn check_funnel(&self) {
        let pipeline = all(&self.owner, "/pipelines?").pop().unwrap();
        let report = self.report("funnel", &format!("pipeline_id={}", pipeline["id"].as_str().unwrap()));
        let sales = all(&self.owner, "/opportunities?");
        let moves: Vec<Value> = sales
            .iter()
            .flat_map(|sale| {
                all(&self.owner, &format!("/opportunities/{}/stage-changes?", sale["id"].as_str().unwrap()))
            })
            .filter(|change| self.has(&change["changed_at"]))
            .collect();
        let stages = pipeline["stages"].as_array().unwrap();
        let place = |id: &Value| stages.iter().position(|stage| stage["id"] == *id);
        for (told, stage) in report["stages"].as_array().unwrap().iter().zip(stages) {
            assert_eq!((&told["stage_id"], &told["name"]), (&stage["id"], &stage["name"]));
            assert_eq!(told["entered"], moves.iter().filter(|it| it["to_stage_id"] == stage["id"]).count(), "{told}");
            let left: Vec<&Value> = moves.iter().filter(|it| it["from_stage_id"] == stage["id"]).collect();
            let goes_on = |it: &&&Value| {
                let to = place(&it["to_stage_id"]).unwrap();
                stages[to]["kind"] == "won" || (stages[to]["kind"] == "open" && Some(to) > place(&stage["id"]))
            };
            let advanced = left.iter().filter(goes_on).count();
            assert_eq!((&told["left"], &told["advanced"]), (&json!(left.len()), &json!(advanced)), "{told}");
            let mut stays: Vec<TimeDelta> =
                left.iter().map(|it| moment(&it["changed_at"]) - moment(&it["from_entered_at"])).collect();
            stays.sort();
            match stays.as_slice() {
                [] => assert!(told["median_days"].is_null() && told["conversion_percent"].is_null(), "{told}"),
                stays => {
                    let middle = stays[(stays.len() - 1) / 2] + stays[stays.len() / 2];
                    let median = rounded(middle.num_microseconds().unwrap(), 2 * 864_000_000);
                    assert_eq!(hundredths(&told["median_days"]), median, "{told}");
                    let conversion = rounded(10_000 * advanced as i64, left.len() as i64);
                    assert_eq!(hundredths(&told["conversion_percent"]), conversion, "{told}");
                }
            }
            check_worth(&told["standing"], stages, sales.iter().filter(|sale| sale["stage_id"] == stage["id"]));
        }
        let median = |told: &Value| told["median_days"].as_str().map(|_| hundredths(&told["median_days"]));
        let longest = report["stages"].as_array().unwrap().iter().max_by_key(|told| median(told)).unwrap();
        assert_eq!(longest["name"], "Oferta", "where deals stall");

        let ended = |kind: &str| {
            let ended = sales.iter().filter(move |it| it["stage_kind"] == kind);
            ended.filter(|it| self.has(&it["closed_at"])).collect::<Vec<_>>()
        };
        let (totals, won, lost) = (&report["totals"], ended("won"), ended("lost"));
        assert!(!won.is_empty() && !lost.is_empty());
        assert_eq!(totals["opened"], sales.len());
        assert_eq!((&totals["won"], &totals["lost"]), (&json!(won.len()), &json!(lost.len())));
        assert_eq!(hundredths(&totals["won_value"]), won.iter().map(|it| hundredths(&it["value"])).sum::<i64>());
        let rate = rounded(10_000 * won.len() as i64, (won.len() + lost.len()) as i64);
        assert_eq!(hundredths(&totals["win_rate_percent"]), rate);
        let open = || sales.iter().filter(|it| it["stage_kind"] == "open");
        check_worth(&totals["open"], stages, open());
        assert!(open().count() > 0);
        let month = |it: &Value| it["expected_close_on"].as_str().map(|day| format!("{}-01", &day[..7]));
        let months: BTreeSet<Option<String>> = open().map(month).collect();
        let forecast = report["forecast"].as_array().unwrap();
        assert_eq!(forecast.len(), months.len());
        for told in forecast {
            let its = told["month_start_on"].as_str().map(str::to_owned);
            assert!(months.contains(&its));
            check_worth(told, stages, open().filter(|it| month(it) == its));
        }
    }

    /// Whether a moment, if it is one, lies in the year.
    fn has(&self, at: &Value) -> bool {
        !at.is_null() && (self.from..=self.to).contains(&warsaw_day(moment(at)))
    }
}

/// Every record of a list, page by page.
fn all(client: &Client, path: &str) -> Vec<Value> {
    let (mut records, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = client.get(&format!("{path}&limit=200{cursor}").replace("?&", "?")).expect(200);
        records.extend(page.items().into_iter().map(Value::from));
        let Some(next) = page["next_cursor"].as_str() else { return records };
        cursor = format!("&cursor={next}");
    }
}

impl Entry {
    fn of(record: Value, is_work: bool) -> Self {
        let day = warsaw_day(moment(&record["started_at"]));
        let mut keys: BTreeMap<&'static str, Value> = dated(day).into();
        for (_, column) in &KEYS[..7] {
            keys.insert(column, record[column].clone());
        }
        if !is_work {
            let parent = &record["parent"];
            let task = if parent["type"] == "task" { parent["id"].clone() } else { Value::Null };
            keys.insert("task_id", task);
        }
        let entry = Self { record, is_work, day, keys };
        assert_eq!(entry.cost(), hundredths(&entry.record["cost"]), "{}", entry.record);
        entry
    }

    /// Billed minutes × rate ÷ 60, half away from zero.
    fn cost(&self) -> i64 {
        rounded(self.number("billed_minutes") * hundredths(&self.record["resolved_rate"]), 60)
    }

    fn number(&self, name: &str) -> i64 {
        self.record[name].as_i64().unwrap()
    }
}

impl Sums {
    fn add(&mut self, entry: &Entry) {
        let minutes = entry.number("duration_minutes");
        self.interactions += i64::from(!entry.is_work);
        self.work_entries += i64::from(entry.is_work);
        self.minutes += minutes;
        self.billable_minutes += if entry.record["billable"] == true { minutes } else { 0 };
        self.billed_minutes += entry.number("billed_minutes");
        self.cost += entry.cost();
    }

    fn told(row: &Value) -> Self {
        let number = |name: &str| row[name].as_i64().unwrap();
        assert_eq!(number("unpriced_minutes"), 0, "{row}");
        Self {
            interactions: number("interactions"),
            work_entries: number("work_entries"),
            minutes: number("minutes"),
            billable_minutes: number("billable_minutes"),
            billed_minutes: number("billed_minutes"),
            cost: hundredths(&row["cost"]),
        }
    }
}

fn check_margin(row: &Value, invoiced: i64, knows_invoices: bool) {
    if !knows_invoices {
        assert!(row["invoiced"].is_null() && row["margin"].is_null(), "{row}");
        return;
    }
    assert_eq!(hundredths(&row["invoiced"]), invoiced, "{row}");
    assert_eq!(hundredths(&row["margin"]), invoiced - hundredths(&row["cost"]), "{row}");
}

/// What some sales are worth together: all are in the organization's currency.
fn check_worth<'a>(told: &Value, stages: &[Value], sales: impl Iterator<Item = &'a Value>) {
    let (mut count, mut value, mut weighted) = (0, 0, 0);
    for sale in sales {
        let stage = stages.iter().find(|stage| stage["id"] == sale["stage_id"]).unwrap();
        count += 1;
        value += hundredths(&sale["value"]);
        weighted += rounded(hundredths(&sale["value"]) * stage["probability_percent"].as_i64().unwrap(), 100);
    }
    assert_eq!((&told["opportunities"], &told["other_currencies"]), (&json!(count), &json!(0)), "{told}");
    assert_eq!((hundredths(&told["value"]), hundredths(&told["weighted_value"])), (value, weighted), "{told}");
}

fn is_overdue(task: &Value) -> bool {
    let is_overdue = task["closed_at"].is_null() && deadline(task) < now();
    assert_eq!(task["overdue"], is_overdue, "{task}");
    is_overdue
}

/// All tasks of the demo are of whole days: they are late when their day has ended. A step that waits for others has no day
/// yet, and is never late.
fn deadline(task: &Value) -> DateTime<Utc> {
    if task["due_at"].is_null() {
        return DateTime::<Utc>::MAX_UTC;
    }
    assert_eq!(task["all_day"], true);
    let next_day = warsaw_day(moment(&task["due_at"])) + Days::new(1);
    let winter = next_day.and_hms_opt(0, 0, 0).unwrap().and_utc() - TimeDelta::hours(1);
    if warsaw_day(winter - TimeDelta::seconds(1)) < next_day { winter } else { winter - TimeDelta::hours(1) }
}

fn dated(day: NaiveDate) -> [(&'static str, Value); 2] {
    let monday = day - Days::new(day.weekday().num_days_from_monday().into());
    [("week_start_on", json!(monday)), ("month_start_on", json!(day.with_day(1).unwrap()))]
}

/// The day in Warsaw, by the rule of the Union: summer time from the last Sunday of March to that of October, 1:00 UTC.
fn warsaw_day(moment: DateTime<Utc>) -> NaiveDate {
    let change = |month: u32| {
        let last = NaiveDate::from_ymd_opt(moment.year(), month, 31).unwrap();
        let sunday = last - Days::new(last.weekday().num_days_from_sunday().into());
        sunday.and_hms_opt(1, 0, 0).unwrap().and_utc()
    };
    let is_summer = (change(3)..change(10)).contains(&moment);
    (moment + TimeDelta::hours(if is_summer { 2 } else { 1 })).date_naive()
}

fn moment(value: &Value) -> DateTime<Utc> {
    value.as_str().unwrap().parse().unwrap()
}

fn date(value: &Value) -> NaiveDate {
    value.as_str().unwrap().parse().unwrap()
}

fn hundredths(amount: &Value) -> i64 {
    let text = amount.as_str().unwrap();
    let (whole, part) = text.split_once('.').unwrap_or((text, "00"));
    assert_eq!(part.len(), 2, "{text}");
    format!("{whole}{part}").parse().unwrap()
}

/// A quotient of what is not negative, half away from zero.
fn rounded(part: i64, whole: i64) -> i64 {
    (2 * part + whole) / (2 * whole)
}
