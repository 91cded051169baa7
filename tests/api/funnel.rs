//! `/reports/funnel`, held against figures that the tests work out from the stage changes that the API shows.

use crate::support::{Client, Record, Server, World, now};
use chrono::{DateTime, Datelike, NaiveDate, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Arc, Mutex};

/// Numbers that look like chance and are the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }

    fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

/// The first instant of a day of 2026 in Warsaw, by the rule of the Union: summer time from 29 March to 25 October.
fn midnight(day: NaiveDate) -> DateTime<Utc> {
    let is_summer = ("2026-03-30".parse().unwrap()..="2026-10-25".parse().unwrap()).contains(&day);
    day.and_hms_opt(0, 0, 0).unwrap().and_utc() - TimeDelta::hours(if is_summer { 2 } else { 1 })
}

fn hundredths(amount: &Value) -> i64 {
    let (whole, part) = amount.as_str().unwrap().split_once('.').unwrap();
    format!("{whole}{part}").parse().unwrap()
}

/// Hundredths as a decimal text.
fn told(hundredths: i128) -> String {
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

/// A quotient in hundredths, half away from zero.
fn quotient(dividend: i128, divisor: i128) -> Value {
    if divisor == 0 { Value::Null } else { json!(told((dividend * 200 + divisor) / (2 * divisor))) }
}

fn instant(value: &Value) -> DateTime<Utc> {
    value.as_str().unwrap().parse().unwrap()
}

/// A firm whose sales go here and there through the spring of 2026, some at the edges of days and months.
struct Sales {
    client: Client,
    pipelines: Vec<Record>,
    customers: Vec<String>,
    caretakers: Vec<String>,
    /// By id.
    stages: BTreeMap<String, Record>,
    /// Each with its stage changes.
    opportunities: Vec<(Record, Vec<Record>)>,
    /// As long as it answers.
    _server: Server,
}

fn sales(moves: usize) -> Sales {
    let w = World::new();
    let clock = Arc::new(Mutex::new("2026-01-05T08:00:00Z".parse::<DateTime<Utc>>().unwrap()));
    let server = Server::start(|settings| {
        let clock = Arc::clone(&clock);
        settings.clock = Arc::new(move || *clock.lock().unwrap());
    });
    // A key stays good, whatever the server's clock says.
    let client = w.api_key(&["crm:read", "crm:write", "reports:read"]).on(&server);
    let customers: Vec<String> = (0..3).map(|_| w.customer().create().id().to_owned()).collect();
    let caretakers: Vec<String> =
        (0..2).map(|_| w.operator("operator", "none", Some(&w.owner)).id.to_string()).collect();
    let pipelines = vec![
        w.pipeline()
            .name("Sales")
            .with(
                "stages",
                json!([
                    { "name": "New", "kind": "open", "probability_percent": 7 },
                    { "name": "Lost", "kind": "lost" },
                    { "name": "Talks", "kind": "open", "probability_percent": 33 },
                    { "name": "Won", "kind": "won" },
                    { "name": "Offer", "kind": "open", "probability_percent": 61 },
                    { "name": "Delivered", "kind": "won" },
                ]),
            )
            .create(),
        w.pipeline().name("Renewals").create(),
    ];
    let stage_ids = |pipeline: &Record| -> Vec<String> {
        let stages = pipeline["stages"].as_array().unwrap();
        stages.iter().map(|stage| stage["id"].as_str().unwrap().to_owned()).collect()
    };
    let ids: Vec<Vec<String>> = pipelines.iter().map(stage_ids).collect();

    let mut dice = Dice(4711);
    let edges = ["2026-02-01", "2026-03-01", "2026-03-29", "2026-04-01", "2026-04-16", "2026-05-01"];
    let mut edges = edges
        .iter()
        .map(|day| midnight(day.parse().unwrap()))
        .flat_map(|edge| [edge - TimeDelta::microseconds(1), edge])
        .peekable();
    let mut standing: Vec<(String, String)> = Vec::new();
    let mut done = 0;
    while done < moves {
        {
            let mut clock = clock.lock().unwrap();
            let next = *clock + TimeDelta::microseconds(i64::try_from(dice.below(70_000_000)).unwrap() * 1_001);
            *clock = edges.next_if(|edge| *edge <= next).unwrap_or(next);
        }
        // Two of three in the first pipeline.
        let pipeline = *dice.one_of(&[0, 0, 1]);
        let stage = dice.one_of(&ids[pipeline]).clone();
        if standing.len() < 10 || dice.below(5) == 0 {
            let body = json!({
                "customer_id": dice.one_of(&customers), "title": "A sale", "stage_id": stage,
                "value": told(i128::try_from(dice.below(5_000_000)).unwrap()),
                "currency": dice.one_of(&["PLN", "PLN", "PLN", "EUR"]),
                "caretaker_id": dice.one_of(&caretakers),
                "expected_close_on": dice.one_of(&[
                    json!("2026-04-30"), json!("2026-05-01"), json!("2026-05-31"), json!("2025-12-31"), Value::Null,
                ]),
            });
            standing.push((client.post("/opportunities", body).expect(201).id().to_owned(), stage));
        } else {
            let place = dice.below(standing.len());
            let (id, at) = &mut standing[place];
            if *at == stage {
                continue;
            }
            client.post(&format!("/opportunities/{id}/stage-changes"), json!({ "stage_id": stage })).expect(200);
            *at = stage;
            done += 1;
        }
    }
    // The order that counts is that of now.
    let order: Vec<&String> = [0, 2, 4, 3, 5, 1].iter().map(|place| &ids[0][*place]).collect();
    let path = format!("/pipelines/{}/stage-order", pipelines[0].id());
    client.with("If-Match", "*").put(&path, json!({ "stage_ids": order })).expect(200);

    let stages = pipelines
        .iter()
        .flat_map(|pipeline| client.get(&format!("/pipelines/{}/stages", pipeline.id())).expect(200).items());
    let stages = stages.map(|stage| (stage.id().to_owned(), stage)).collect();
    let opportunities = standing.iter().map(|(id, _)| {
        let changes = client.get(&format!("/opportunities/{id}/stage-changes?limit=200")).expect(200);
        assert_eq!(changes["next_cursor"], Value::Null);
        (client.get(&format!("/opportunities/{id}")).expect(200), changes.items())
    });
    let opportunities = opportunities.collect();
    Sales { client, pipelines, customers, caretakers, stages, opportunities, _server: server }
}

impl Sales {
    /// What the report must tell of those opportunities that `counts` lets through.
    fn wanted(&self, pipeline: &Record, [from, to]: [&str; 2], counts: impl Fn(&Value) -> bool) -> Value {
        let day = |text: &str| text.parse::<NaiveDate>().unwrap();
        let period = midnight(day(from))..midnight(day(to).succ_opt().unwrap());
        let counted: Vec<_> = self.opportunities.iter().filter(|(opportunity, _)| counts(opportunity)).collect();
        let mut stages: Vec<&Record> =
            self.stages.values().filter(|stage| stage["pipeline_id"] == pipeline.id()).collect();
        stages.sort_by_key(|stage| stage["position"].as_i64());
        let rows: Vec<Value> = stages.iter().map(|stage| self.row(stage, &counted, &period)).collect();

        let changes = || counted.iter().flat_map(|(_, changes)| changes);
        let is_here = |id: &Value| self.stages[id.as_str().unwrap()]["pipeline_id"] == pipeline.id();
        let opened = changes()
            .filter(|change| change["from_stage_id"].is_null() && is_here(&change["to_stage_id"]))
            .filter(|change| period.contains(&instant(&change["changed_at"])))
            .count();
        let closed = |kind: &str| -> Vec<&Record> {
            let all = counted.iter().filter(|(opportunity, changes)| {
                is_here(&opportunity["stage_id"])
                    && opportunity["stage_kind"] == kind
                    && period.contains(&self.closed_at(changes, kind))
            });
            all.map(|(opportunity, _)| opportunity).collect()
        };
        let (won, lost) = (closed("won"), closed("lost"));
        let in_zloty: Vec<_> = won.iter().filter(|it| it["currency"] == "PLN").collect();
        let won_value: i64 = in_zloty.iter().map(|it| hundredths(&it["value"])).sum();
        let open: Vec<&Record> = counted
            .iter()
            .map(|(opportunity, _)| opportunity)
            .filter(|it| it["stage_kind"] == "open" && it["pipeline_id"] == pipeline.id())
            .collect();
        let month = |opportunity: &Value| {
            let day: NaiveDate = opportunity["expected_close_on"].as_str()?.parse().unwrap();
            Some(day.with_day(1).unwrap())
        };
        let months: BTreeSet<_> = open.iter().map(|it| (month(it).is_none(), month(it))).collect();
        let forecast = months.iter().map(|(_, wanted)| {
            let those: Vec<&Record> = open.iter().copied().filter(|it| month(it) == *wanted).collect();
            let mut row = self.worth(&those);
            row["month_start_on"] = wanted.map_or(Value::Null, |day| json!(day.to_string()));
            row
        });
        let forecast: Vec<Value> = forecast.collect();
        let wide = |count: usize| i128::try_from(count).unwrap();
        json!({
            "pipeline_id": pipeline.id(), "pipeline_name": pipeline["name"], "from_on": from, "to_on": to, "currency": "PLN",
            "stages": rows,
            "totals": {
                "opened": opened, "won": won.len(), "lost": lost.len(),
                "win_rate_percent": quotient(wide(won.len()) * 100, wide(won.len() + lost.len())),
                "won_value": told(won_value.into()), "won_other_currencies": won.len() - in_zloty.len(),
                "open": self.worth(&open),
            },
            "forecast": forecast,
        })
    }

    fn row(&self, stage: &Record, counted: &[&(Record, Vec<Record>)], period: &Range<DateTime<Utc>>) -> Value {
        let within: Vec<&Record> = counted
            .iter()
            .flat_map(|(_, changes)| changes)
            .filter(|change| period.contains(&instant(&change["changed_at"])))
            .collect();
        let entered = within.iter().filter(|change| change["to_stage_id"] == stage.id()).count();
        let left: Vec<_> = within.iter().filter(|change| change["from_stage_id"] == stage.id()).collect();
        let advanced = left.iter().filter(|change| {
            let to = &self.stages[change["to_stage_id"].as_str().unwrap()];
            let is_further = to["pipeline_id"] == stage["pipeline_id"]
                && to["position"].as_i64() > stage["position"].as_i64()
                && to["kind"] == "open";
            to["kind"] == "won" || is_further
        });
        let advanced = advanced.count();
        let mut stays: Vec<i64> = left
            .iter()
            .map(|change| instant(&change["changed_at"]) - instant(&change["from_entered_at"]))
            .map(|stay| stay.num_microseconds().unwrap())
            .collect();
        stays.sort_unstable();
        let median = match stays.len() {
            0 => Value::Null,
            n => quotient(i128::from(stays[(n - 1) / 2]) + i128::from(stays[n / 2]), 2 * 86_400_000_000),
        };
        let here: Vec<&Record> =
            counted.iter().map(|(opportunity, _)| opportunity).filter(|it| it["stage_id"] == stage.id()).collect();
        json!({
            "stage_id": stage.id(), "name": stage["name"], "kind": stage["kind"],
            "probability_percent": stage["probability_percent"],
            "entered": entered, "left": left.len(), "advanced": advanced,
            "conversion_percent":
                quotient(i128::try_from(advanced).unwrap() * 100, i128::try_from(left.len()).unwrap()),
            "median_days": median,
            "standing": self.worth(&here),
        })
    }

    fn worth(&self, opportunities: &[&Record]) -> Value {
        let in_zloty: Vec<_> = opportunities.iter().filter(|it| it["currency"] == "PLN").collect();
        let (mut value, mut weighted) = (0, 0);
        for opportunity in &in_zloty {
            let cents = hundredths(&opportunity["value"]);
            let stage = &self.stages[opportunity["stage_id"].as_str().unwrap()];
            let here = (cents * stage["probability_percent"].as_i64().unwrap() * 2 + 100) / 200;
            assert_eq!(hundredths(&opportunity["weighted_value"]), here, "{opportunity:?}");
            value += cents;
            weighted += here;
        }
        json!({
            "opportunities": opportunities.len(), "other_currencies": opportunities.len() - in_zloty.len(),
            "value": told(value.into()), "weighted_value": told(weighted.into()),
        })
    }

    /// When it came to the end where it stands: the first of the latest moves, which lead from one stage of the kind to
    /// another.
    fn closed_at(&self, changes: &[Record], kind: &str) -> DateTime<Utc> {
        let is_of_kind = |id: &Value| self.stages[id.as_str().unwrap()]["kind"] == kind;
        let latest = changes.iter().take_while(|change| is_of_kind(&change["to_stage_id"]));
        instant(&latest.last().unwrap()["changed_at"])
    }

    fn report(&self, pipeline: &Record, query: &str) -> Record {
        self.client.get(&format!("/reports/funnel?pipeline_id={}&{query}", pipeline.id())).expect(200)
    }
}

#[test]
fn every_figure_follows_from_the_stage_changes() {
    let sales = sales(300);
    for (opportunity, changes) in &sales.opportunities {
        let kind = opportunity["stage_kind"].as_str().unwrap();
        let closed_at = if kind == "open" {
            Value::Null
        } else {
            json!(sales.closed_at(changes, kind).to_rfc3339_opts(SecondsFormat::AutoSi, true))
        };
        assert_eq!(opportunity["closed_at"], closed_at, "{opportunity:?}");
    }
    let (customer, caretaker) = (&sales.customers[0], &sales.caretakers[1]);
    let mut moves = 0;
    for pipeline in &sales.pipelines {
        for period in [
            ["2026-01-01", "2026-12-31"],
            ["2026-01-05", "2026-01-31"],
            ["2026-02-01", "2026-02-28"],
            ["2026-03-01", "2026-03-28"],
            ["2026-03-29", "2026-03-31"],
            ["2026-04-01", "2026-04-15"],
            ["2026-04-16", "2026-04-30"],
            ["2026-05-01", "2026-05-01"],
            ["2026-12-01", "2026-12-31"],
        ] {
            let [from, to] = period;
            let report = sales.report(pipeline, &format!("from={from}&to={to}"));
            assert_eq!(report.0, sales.wanted(pipeline, period, |_| true), "{period:?}");
            let entered = report["stages"].as_array().unwrap().iter().map(|stage| stage["entered"].as_u64().unwrap());
            if from == "2026-01-01" {
                moves += entered.sum::<u64>();
            }
        }
        let period = ["2026-02-01", "2026-04-30"];
        let query = |filter: String| sales.report(pipeline, &format!("from=2026-02-01&to=2026-04-30&{filter}")).0;
        assert_eq!(
            query(format!("customer_id={customer}")),
            sales.wanted(pipeline, period, |it| it["customer_id"] == **customer)
        );
        assert_eq!(
            query(format!("caretaker_id={caretaker}")),
            sales.wanted(pipeline, period, |it| it["caretaker_id"] == **caretaker)
        );
        assert_eq!(
            query(format!("caretaker_id={caretaker}&customer_id={customer},{}", sales.customers[1])),
            sales.wanted(pipeline, period, |it| {
                it["caretaker_id"] == **caretaker && it["customer_id"] != *sales.customers[2]
            })
        );
    }
    let begun = u64::try_from(sales.opportunities.len()).unwrap();
    assert_eq!(moves, 300 + begun, "each move and each beginning is counted once");
}

#[test]
fn csv_says_what_json_says() {
    let w = World::new();
    let pipeline = w.pipeline().name("=1+1").create();
    w.opportunity(w.customer().create().id()).create();
    let path = format!("/reports/funnel?pipeline_id={}", pipeline.id());
    let answer = w.owner.with("Accept", "text/csv").get(&path);
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/csv; charset=utf-8")));
    assert!(answer.header("content-disposition").unwrap().contains("funnel.csv"));
    assert_eq!(w.owner.get(&format!("{path}&format=csv")).body, answer.body);
    let text = answer.text();
    let mut lines = text.strip_suffix("\r\n").unwrap().split("\r\n");
    assert_eq!(
        lines.next().unwrap(),
        "stage_id,name,kind,probability_percent,entered,left,advanced,conversion_percent,median_days,opportunities,value,\
         weighted_value,other_currencies,currency"
    );
    let first = pipeline["stages"][0]["id"].as_str().unwrap();
    assert_eq!(lines.next().unwrap(), format!("{first},New,open,10,1,0,0,,,1,12000.00,1200.00,0,PLN"));
    assert_eq!(lines.count(), 4);
    assert!(w.owner.get(&format!("{path}&format=csv&bom=true")).text().starts_with("\u{feff}stage_id,"));
}

#[test]
fn a_question_that_makes_no_sense_is_refused() {
    let (w, stranger) = (World::new(), World::new());
    let pipeline = w.pipeline().create();
    let refused = |query: &str| {
        let answer = w.owner.get(&format!("/reports/funnel?{query}"));
        answer.refused(400, "parameter_invalid");
        answer.wrong()
    };
    let theirs = stranger.pipeline().create();
    assert_eq!(refused("from=2026-01-01"), ["pipeline_id required"]);
    assert_eq!(refused(&format!("pipeline_id={}", theirs.id())), ["pipeline_id reference_not_found"]);
    let here = format!("pipeline_id={}", pipeline.id());
    assert_eq!(refused(&format!("{here}&from=2026-02-01&to=2026-01-31")), ["to order"]);
    assert_eq!(refused(&format!("{here}&from=2010-01-01&to=2026-01-31")), ["to maximum"]);
    assert_eq!(refused(&format!("{here}&caretaker_id=me")), ["caretaker_id format"]);
    let path = format!("/reports/funnel?{here}");
    w.operator("operator", "none", None).get(&path).refused(403, "scope_missing");
    w.api_key(&["crm:read"]).get(&path).refused(403, "scope_missing");
    let empty = w.api_key(&["reports:read"]).get(&path).expect(200);
    assert_eq!((&empty["totals"]["opened"], &empty["totals"]["win_rate_percent"]), (&json!(0), &Value::Null));
    assert_eq!((&empty["forecast"], empty["stages"].as_array().unwrap().len()), (&json!([]), 5));
    assert_eq!(empty["from_on"], format!("{}-01-01", now().date_naive().year()), "the year so far");
    // One that is out of use is told of as well.
    w.owner.post(&format!("/pipelines/{}/archival", pipeline.id()), Value::Null).expect(200);
    w.owner.get(&path).expect(200);
}
