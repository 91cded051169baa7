//! 200 random subscriptions over five years, beside a slow reference that knows nothing of schedules as functions of an
//! index, of planning and of positions: it counts days one by one, and keeps what became of every period and when.

use crate::support::{Client, Record, Server, World, scratch_database};
use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveTime, Utc};
use opiekun_domain::calendar_day::is_working_day;
use opiekun_domain::invoice_run::{RunMode, RunStatus};
use opiekun_jobs::invoice_runs::run_to_end;
use opiekun_persistence::invoice_runs::{self, InvoiceRunFields};
use opiekun_persistence::{Db, migrate};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

const SUBSCRIPTIONS: usize = 200;
const FIRST: &str = "2021-01-01";
const BEHIND: &str = "2026-01-01";

/// The moment, in seconds, that the server and the runs of this test have.
static NOW: AtomicI64 = AtomicI64::new(0);

fn clock() -> DateTime<Utc> {
    DateTime::from_timestamp(NOW.load(Ordering::SeqCst), 0).unwrap()
}

#[test]
fn every_day_is_as_a_slow_reference_has_it() {
    let database = scratch_database();
    migrate(&database.url).unwrap();
    let db = Db::connect(&database.url, 8).unwrap();
    let w = World::within(&db, |_| {});
    let server = Server::over(&db, |settings| settings.clock = Arc::new(clock));
    let owner = w.owner.on(&server);
    set_clock(day(FIRST));
    let mut random = Random(2026);
    let mut references = subscribe(&owner, &mut random);

    let mut runs = 0;
    for today in day(FIRST).iter_days().take_while(|today| *today < day(BEHIND)) {
        set_clock(today);
        for reference in &mut references {
            reference.pause_or_resume(&owner, today);
        }
        // Two days of three nobody runs anything, and all of each August.
        if random.below(3) > 0 || today.month() == 8 {
            continue;
        }
        runs += 1;
        run(&w, today);
        references.iter_mut().for_each(|reference| reference.run(today));
    }

    let fates = "select (o.subscription_id, o.period_start_on, o.period_end_on, o.scheduled_on, o.state,
                         coalesce(i.issued_on, (o.updated_at at time zone 'UTC')::date))
                 from occurrences o left join invoices i on i.id = o.invoice_id order by o.subscription_id, o.period_start_on";
    let expected: Vec<String> = references.iter().flat_map(Reference::fates).collect();
    let found: Vec<String> = database.text_rows(fates).into_iter().flatten().collect();
    let differing: Vec<_> = found.iter().zip(&expected).filter(|(found, expected)| found != expected).collect();
    assert_eq!(differing.first(), None, "{} of {}", differing.len(), expected.len());
    assert_eq!(found.len(), expected.len());
    let states = "select (id, state, next_issue_on) from subscriptions order by id";
    let found: Vec<String> = database.text_rows(states).into_iter().flatten().collect();
    assert_eq!(found, references.iter().map(Reference::state).collect::<Vec<_>>());
    let invoiced = expected.iter().filter(|fate| fate.contains("invoiced")).count();
    println!("{runs} runs, {invoiced} invoices, {} periods skipped", expected.len() - invoiced);
}

fn run(w: &World, today: NaiveDate) {
    let fields = InvoiceRunFields {
        mode: RunMode::Issue,
        through_on: today,
        issue_on: today,
        subscription_ids: None,
        template_ids: None,
        customer_ids: None,
    };
    let (run, scope) = w.write(|tx| Ok((invoice_runs::create(tx, fields)?, tx.scope)));
    let run = run_to_end(w.db(), clock, scope, run.id).unwrap();
    assert_eq!(run.progress.status, RunStatus::Succeeded);
}

/// Noon, so that it is the same day in Warsaw.
fn set_clock(today: NaiveDate) {
    let noon = today.and_time(NaiveTime::from_hms_opt(12, 0, 0).unwrap());
    NOW.store(noon.and_utc().timestamp(), Ordering::SeqCst);
}

fn subscribe(owner: &Client, random: &mut Random) -> Vec<Reference> {
    let id = |path: &str, body: Value| owner.post(path, body).expect(201).id().to_owned();
    let address = json!({ "line1": "ul. Chlebowa 4", "city": "Pruszków", "country": "PL" });
    let customer_id = id("/customers", json!({ "kind": "company", "name": "Rogal", "billing_address": address }));
    let pattern = "FV/{number}/{month}/{year}";
    let series_id = id("/number-series", json!({ "name": "Sales", "pattern": pattern, "reset": "monthly" }));
    let line = json!({ "key": "books", "text": "Books", "quantity": "1", "unit": "h", "unit_price": "100.00",
                       "vat": { "code": "23" } });
    let template_id = id("/invoice-templates", json!({ "name": "Books", "series_id": series_id, "lines": [line] }));
    let mut references: Vec<Reference> = (0..SUBSCRIPTIONS)
        .map(|_| {
            let drawn = Drawn::new(random);
            let created = owner.post("/subscriptions", drawn.body(&template_id, &customer_id)).expect(201);
            Reference::new(created, drawn)
        })
        .collect();
    references.sort_by(|a, b| a.id.cmp(&b.id));
    references
}

/// What is asked of a subscription.
struct Drawn {
    unit: &'static str,
    count: u64,
    anchor_on: NaiveDate,
    /// 1 to 31, or 32 for `last_day`.
    day: Option<u32>,
    in_advance: bool,
    offset_days: i64,
    shift: &'static str,
    starts_on: NaiveDate,
    ends_on: Option<NaiveDate>,
    prorates: bool,
    catch_up: &'static str,
    /// Its pause, from a day until before another.
    pause: Option<(NaiveDate, NaiveDate)>,
}

impl Drawn {
    fn new(random: &mut Random) -> Self {
        let first = day(FIRST);
        let unit = *random.of(&["day", "week", "month", "month", "month", "quarter", "year"]);
        let has_months = !matches!(unit, "day" | "week");
        let starts_on = first - Days::new(60) + Days::new(random.below(1_000));
        let pause_from = first + Days::new(random.below(1_500));
        Self {
            unit,
            count: if unit == "day" { 5 + random.below(40) } else { 1 + random.below(3) },
            anchor_on: starts_on - Days::new(200) + Days::new(random.below(400)),
            day: (has_months && random.below(2) == 0).then(|| u32::try_from(1 + random.below(32)).unwrap()),
            in_advance: random.below(2) == 0,
            offset_days: i64::try_from(random.below(31)).unwrap() - 15,
            shift: *random.of(&["none", "before", "after"]),
            starts_on,
            ends_on: (random.below(2) == 0).then(|| starts_on + Days::new(1 + random.below(1_200))),
            prorates: random.below(2) == 0,
            catch_up: *random.of(&["all", "latest", "skip"]),
            pause: (random.below(3) == 0).then(|| (pause_from, pause_from + Days::new(1 + random.below(300)))),
        }
    }

    fn body(&self, template_id: &str, customer_id: &str) -> Value {
        let mut schedule = json!({
            "every": { "unit": self.unit, "count": self.count }, "anchor_on": self.anchor_on,
            "billing": if self.in_advance { "in_advance" } else { "in_arrears" },
            "issue_offset_days": self.offset_days, "issue_day_shift": self.shift,
        });
        match self.day {
            Some(32) => schedule["day"] = json!("last_day"),
            Some(day) => schedule["day"] = json!(day),
            None => {}
        }
        json!({ "template_id": template_id, "customer_id": customer_id, "schedule": schedule,
                "starts_on": self.starts_on, "ends_on": self.ends_on, "prorate": self.prorates,
                "catch_up": self.catch_up })
    }

    /// The first days of the schedule's periods, until long after the five years.
    fn starts(&self) -> Vec<NaiveDate> {
        let until = day("2034-01-01");
        let mut starts = vec![];
        let (mut year, mut month) = (self.anchor_on.year(), self.anchor_on.month());
        let in_month = |year, month| match self.day {
            None => nearest(year, month, self.anchor_on.day()),
            Some(day) => nearest(year, month, day.min(31)),
        };
        let months = match self.unit {
            "month" => self.count,
            "quarter" => 3 * self.count,
            "year" => 12 * self.count,
            _ => 0,
        };
        let mut start = self.anchor_on;
        if months > 0 && in_month(year, month) < self.anchor_on {
            (year, month) = next_month(year, month);
        }
        while start < until {
            if months == 0 {
                starts.push(start);
                let days = if self.unit == "week" { 7 * self.count } else { self.count };
                for _ in 0..days {
                    start = start.succ_opt().unwrap();
                }
            } else {
                start = in_month(year, month);
                starts.push(start);
                for _ in 0..months {
                    (year, month) = next_month(year, month);
                }
            }
        }
        starts
    }

    fn scheduled_on(&self, start_on: NaiveDate, end_on: NaiveDate) -> NaiveDate {
        let mut on = if self.in_advance { start_on } else { end_on };
        for _ in 0..self.offset_days {
            on = on.succ_opt().unwrap();
        }
        for _ in self.offset_days..0 {
            on = on.pred_opt().unwrap();
        }
        while self.shift != "none" && !is_working_day(on) {
            on = if self.shift == "before" { on.pred_opt() } else { on.succ_opt() }.unwrap();
        }
        on
    }
}

/// What ought to become of a subscription.
struct Reference {
    id: String,
    drawn: Drawn,
    periods: Vec<Period>,
    is_paused: bool,
}

struct Period {
    start_on: NaiveDate,
    end_on: NaiveDate,
    scheduled_on: NaiveDate,
    /// When the period after it is to be invoiced, be that one of the subscription or not.
    next_scheduled_on: NaiveDate,
    /// What became of it, and on which day.
    fate: Option<(&'static str, NaiveDate)>,
}

impl Reference {
    fn new(created: Record, drawn: Drawn) -> Self {
        let starts = drawn.starts();
        let is_within = |start: NaiveDate| drawn.ends_on.is_none_or(|ends_on| start < ends_on);
        // As it is billed: whole, or the days in which the subscription runs.
        let billed: Vec<(NaiveDate, NaiveDate)> = starts
            .windows(2)
            .map(|ends| match drawn.prorates && is_within(ends[0]) {
                true => (ends[0].max(drawn.starts_on), drawn.ends_on.map_or(ends[1], |ends_on| ends[1].min(ends_on))),
                false => (ends[0], ends[1]),
            })
            .collect();
        let mut periods = Vec::new();
        for ((ends, next), (start_on, end_on)) in starts.windows(2).zip(&billed[1..]).zip(&billed) {
            let has_begun = ends[0] >= drawn.starts_on || (drawn.prorates && ends[1] > drawn.starts_on);
            if has_begun && is_within(ends[0]) {
                periods.push(Period {
                    start_on: *start_on,
                    end_on: *end_on,
                    scheduled_on: drawn.scheduled_on(*start_on, *end_on),
                    next_scheduled_on: drawn.scheduled_on(next.0, next.1),
                    fate: None,
                });
            }
        }
        Self { id: created.id().to_owned(), drawn, periods, is_paused: false }
    }

    /// Does what is to be done on a day, by the API too. What fell due within the pause is skipped when it ends.
    fn pause_or_resume(&mut self, owner: &Client, today: NaiveDate) {
        let Some((from, until)) = self.drawn.pause else { return };
        let path = format!("/subscriptions/{}/pause", self.id);
        let has_ended = self.periods.iter().all(|period| period.fate.is_some());
        if today == from && !has_ended {
            owner.post(&path, Value::Null).expect(200);
            self.is_paused = true;
        }
        if today == until && self.is_paused {
            owner.delete(&path).expect(200);
            self.is_paused = false;
            let fell_due = |period: &&mut Period| period.scheduled_on >= from && period.scheduled_on < until;
            for period in self.periods.iter_mut().filter(|period| period.fate.is_none()).filter(fell_due) {
                period.fate = Some(("skipped", today));
            }
        }
    }

    fn run(&mut self, today: NaiveDate) {
        if self.is_paused {
            return;
        }
        let last_due = self.periods.iter().rposition(|period| period.scheduled_on <= today);
        for (at, period) in self.periods.iter_mut().enumerate() {
            if period.fate.is_some() || period.scheduled_on > today {
                continue;
            }
            let is_billed = match self.drawn.catch_up {
                "all" => true,
                "latest" => Some(at) == last_due,
                _ => period.next_scheduled_on > today,
            };
            period.fate = Some((if is_billed { "invoiced" } else { "skipped" }, today));
        }
    }

    fn fates(&self) -> Vec<String> {
        let decided = self.periods.iter().filter_map(|period| Some((period, period.fate?)));
        let row = |(period, (state, on)): (&Period, (&str, NaiveDate))| {
            format!("({},{},{},{},{state},{on})", self.id, period.start_on, period.end_on, period.scheduled_on)
        };
        decided.map(row).collect()
    }

    fn state(&self) -> String {
        let next = self.periods.iter().find(|period| period.fate.is_none());
        let state = match (next, self.is_paused) {
            (None, _) => "ended",
            (Some(_), true) => "paused",
            (Some(_), false) => "active",
        };
        let next_issue_on = next.map(|period| period.scheduled_on.to_string()).unwrap_or_default();
        format!("({},{state},{next_issue_on})", self.id)
    }
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn next_month(year: i32, month: u32) -> (i32, u32) {
    if month == 12 { (year + 1, 1) } else { (year, month + 1) }
}

/// That day of the month, or the last one that it has.
fn nearest(year: i32, month: u32, day: u32) -> NaiveDate {
    (1..=day).rev().find_map(|day| NaiveDate::from_ymd_opt(year, month, day)).unwrap()
}

/// The same numbers each time: a linear congruential generator with the constants of Knuth's MMIX.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        let at = self.below(u64::try_from(all.len()).unwrap());
        &all[usize::try_from(at).unwrap()]
    }
}
