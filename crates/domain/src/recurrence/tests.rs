use std::fmt;

use chrono::{NaiveTime, TimeDelta};
use proptest::prelude::*;

use super::*;

/// A rule and its dates by python-dateutil, see `tests/recurrence/generate.py`.
#[derive(serde::Deserialize)]
struct Case {
    rule: String,
    first: NaiveDateTime,
    zone: String,
    ended: bool,
    dates: Vec<DateTime<Utc>>,
}

#[test]
fn dates_are_those_of_an_independent_calendar() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("../../tests/recurrence/cases.json")).expect("cases");
    assert!(cases.len() >= 200 && cases.iter().filter(|case| case.zone == "Europe/Warsaw").count() >= 60);
    for Case { rule, first, zone, ended, dates } in cases {
        let what = format!("{rule} from {first} in {zone}");
        let zone: Tz = zone.parse().expect(&what);
        let first_at = zone.from_local_datetime(&first).earliest().expect(&what).to_utc();
        let recurrence = Recurrence::new(rule.parse().expect(&what), zone, first_at).expect(&what);
        let limit = if ended { usize::MAX } else { dates.len() };
        assert_eq!(recurrence.between(DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC, limit), dates, "{what}");
        for pair in dates.windows(2) {
            assert_eq!(recurrence.next_after(pair[0]), Some(pair[1]), "{what}");
        }
        assert_eq!(dates.last().and_then(|last| recurrence.next_after(*last)).is_none(), ended, "{what}");
    }
}

fn rule(text: &str) -> Rule {
    text.parse().expect(text)
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().expect(text)
}

fn in_warsaw(text: &str, first_at: &str) -> Recurrence {
    Recurrence::new(rule(text), Tz::Europe__Warsaw, at(first_at)).expect(text)
}

fn first_dates(recurrence: &Recurrence, limit: usize) -> Vec<String> {
    let dates = recurrence.between(recurrence.first_at, DateTime::<Utc>::MAX_UTC, limit);
    dates.into_iter().map(|date| date.format("%FT%RZ").to_string()).collect()
}

#[test]
fn nine_o_clock_stays_nine_o_clock() {
    let daily = in_warsaw("FREQ=DAILY", "2026-10-24T07:00:00Z");
    assert_eq!(first_dates(&daily, 3), ["2026-10-24T07:00Z", "2026-10-25T08:00Z", "2026-10-26T08:00Z"]);
}

#[test]
fn a_time_that_does_not_exist_is_not_counted() {
    // On 29 March 2026 clocks in Warsaw go from 02:00 to 03:00.
    let thrice = in_warsaw("FREQ=DAILY;COUNT=3", "2026-03-28T01:30:00Z");
    assert_eq!(first_dates(&thrice, 9), ["2026-03-28T01:30Z", "2026-03-30T00:30Z", "2026-03-31T00:30Z"]);
}

#[test]
fn of_a_time_that_comes_twice_the_first_counts() {
    // On 25 October 2026 clocks in Warsaw go from 03:00 to 02:00.
    let daily = in_warsaw("FREQ=DAILY", "2026-10-24T00:30:00Z");
    assert_eq!(first_dates(&daily, 3), ["2026-10-24T00:30Z", "2026-10-25T00:30Z", "2026-10-26T01:30Z"]);
    let second = Recurrence::new(rule("FREQ=DAILY"), Tz::Europe__Warsaw, at("2026-10-25T01:30:00Z"));
    assert_eq!(second, Err(RuleError::SecondOfTwo));
}

#[test]
fn vat_is_settled_on_the_25th_and_a_month_ends_where_it_ends() {
    let vat = in_warsaw("FREQ=MONTHLY;BYMONTHDAY=25", "2026-01-25T11:00:00Z");
    assert_eq!(first_dates(&vat, 3), ["2026-01-25T11:00Z", "2026-02-25T11:00Z", "2026-03-25T11:00Z"]);
    let last = in_warsaw("FREQ=MONTHLY;BYMONTHDAY=-1", "2026-01-31T11:00:00Z");
    assert_eq!(first_dates(&last, 3), ["2026-01-31T11:00Z", "2026-02-28T11:00Z", "2026-03-31T10:00Z"]);
    let thirty_first = in_warsaw("FREQ=MONTHLY", "2026-01-31T11:00:00Z");
    assert_eq!(first_dates(&thirty_first, 3), ["2026-01-31T11:00Z", "2026-03-31T10:00Z", "2026-05-31T10:00Z"]);
}

#[test]
fn a_year_has_the_days_of_weeks_that_begin_or_end_in_another() {
    // Friday 1 January 2027 is in week 53 of 2026, the last one; Monday 30 December 2024 in week 1 of 2025.
    let last_week = in_warsaw("FREQ=YEARLY;BYWEEKNO=-1;BYDAY=FR", "2027-01-01T11:00:00Z");
    assert_eq!(first_dates(&last_week, 3), ["2027-01-01T11:00Z", "2027-12-31T11:00Z", "2028-12-29T11:00Z"]);
    let sunday = in_warsaw("FREQ=YEARLY;BYWEEKNO=52;BYDAY=SU", "2039-01-02T11:00:00Z"); // of 2038, which has 52
    assert_eq!(first_dates(&sunday, 3), ["2039-01-02T11:00Z", "2040-01-01T11:00Z", "2040-12-30T11:00Z"]);
    let first_week = in_warsaw("FREQ=YEARLY;BYWEEKNO=1", "2024-12-30T11:00:00Z");
    assert_eq!(first_dates(&first_week, 3), ["2024-12-30T11:00Z", "2025-12-29T11:00Z", "2027-01-04T11:00Z"]);
}

#[test]
fn until_a_day_is_through_its_end_in_the_zone() {
    let late = in_warsaw("FREQ=DAILY;UNTIL=20261231", "2026-12-30T22:30:00Z"); // 23:30
    assert_eq!(first_dates(&late, 9), ["2026-12-30T22:30Z", "2026-12-31T22:30Z"]);
    let to_the_second = in_warsaw("FREQ=DAILY;UNTIL=20261231T223000Z", "2026-12-30T22:30:00Z");
    assert_eq!(first_dates(&to_the_second, 9).len(), 2);
    let a_second_less = in_warsaw("FREQ=DAILY;UNTIL=20261231T222959Z", "2026-12-30T22:30:00Z");
    assert_eq!(first_dates(&a_second_less, 9).len(), 1);
}

#[test]
fn a_rule_without_another_date_ends() {
    let [in_2000, in_2072] = ["2000-02-29T11:00:00Z", "2072-02-29T11:00:00Z"];
    assert_eq!(in_warsaw("FREQ=YEARLY;INTERVAL=400", in_2000).next_after(at(in_2000)), None);
    let every_9999_days = in_warsaw("FREQ=DAILY;INTERVAL=9999;BYMONTH=2;BYMONTHDAY=29", in_2072);
    assert_eq!(every_9999_days.next_after(at(in_2072)), None);
    let mondays = in_warsaw("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=29;BYDAY=MO", in_2072);
    assert_eq!(first_dates(&mondays, 2), ["2072-02-29T11:00Z", "2112-02-29T11:00Z"]);
    let never_again = in_warsaw("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=29;BYDAY=MO;UNTIL=21120228", in_2072);
    assert_eq!(never_again.next_after(at(in_2072)), None);
    let year_9999 = in_warsaw("FREQ=DAILY", "9999-12-30T11:00:00Z");
    assert_eq!(first_dates(&year_9999, 9).len(), 2);
}

#[test]
fn the_first_date_is_one_of_the_rules() {
    let refused = |text: &str, first_at| Recurrence::new(rule(text), Tz::Europe__Warsaw, first_at).err();
    let monday = at("2026-11-23T11:00:00Z");
    for text in ["FREQ=WEEKLY;BYDAY=TU", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "FREQ=MONTHLY;BYDAY=MO;BYSETPOS=1"] {
        assert_eq!(refused(text, monday), Some(RuleError::FirstNotInRule), "{text}");
    }
    assert_eq!(refused("FREQ=DAILY;UNTIL=20261122", monday), Some(RuleError::EndsBeforeFirst));
    assert_eq!(refused("FREQ=DAILY", DateTime::<Utc>::MAX_UTC), Some(RuleError::OutOfCalendar));
    assert_eq!(refused("FREQ=DAILY", DateTime::<Utc>::MIN_UTC), Some(RuleError::OutOfCalendar));
}

#[test]
fn a_rule_has_one_spelling() {
    for (text, spelling) in [
        ("rrule:freq=monthly;bymonthday=20", "FREQ=MONTHLY;BYMONTHDAY=20"),
        ("INTERVAL=1;WKST=MO;FREQ=DAILY", "FREQ=DAILY"),
        ("BYDAY=-1FR,+1MO,TU,MO,TU;FREQ=MONTHLY;COUNT=007", "FREQ=MONTHLY;COUNT=7;BYDAY=MO,TU,-1FR,1MO"),
        ("FREQ=YEARLY;UNTIL=20270101t000000z;BYMONTH=12,1", "FREQ=YEARLY;UNTIL=20270101T000000Z;BYMONTH=1,12"),
        ("WKST=SU;FREQ=WEEKLY;INTERVAL=2;UNTIL=20270101", "FREQ=WEEKLY;UNTIL=20270101;INTERVAL=2;WKST=SU"),
    ] {
        assert_eq!(rule(text).to_string(), spelling);
    }
}

#[test]
fn what_is_no_rule_is_refused() {
    use RuleError as E;
    let number = |part| E::Number { part, max: 9999 };
    let not_with = |part, frequency| E::NotWithFrequency { part, frequency };
    let too_long = format!("FREQ=DAILY;BYMONTHDAY={}1", "1,".repeat(240));
    for (text, error) in [
        (too_long.as_str(), E::TooLong),
        ("", E::NotParts),
        ("FREQ=DAILY;", E::NotParts),
        ("DTSTART:20260101T000000Z\nRRULE:FREQ=DAILY", E::UnknownPart),
        ("FREQ=DAILY;BYEASTER=1", E::UnknownPart),
        ("FREQ=DAILY;FREQ=DAILY", E::RepeatedPart(RulePart::Freq)),
        ("FREQ=DAILY;BYHOUR=9", E::TimeOfDay(RulePart::ByHour)),
        ("FREQ=HOURLY", E::Frequency),
        ("COUNT=1", E::Frequency),
        ("FREQ=DAILY;COUNT=0", number(RulePart::Count)),
        ("FREQ=DAILY;INTERVAL=10000", number(RulePart::Interval)),
        ("FREQ=DAILY;BYMONTH=-1", E::Number { part: RulePart::ByMonth, max: 12 }),
        ("FREQ=DAILY;BYMONTHDAY=0", E::SignedNumber { part: RulePart::ByMonthDay, max: 31 }),
        ("FREQ=MONTHLY;BYDAY=0MO", E::ByDay),
        ("FREQ=MONTHLY;BYDAY=ŁÓ", E::ByDay),
        ("FREQ=MONTHLY;WKST=1MO", E::WeekStart),
        ("FREQ=DAILY;UNTIL=20260230", E::Until),
        ("FREQ=DAILY;UNTIL=20261231T120000", E::Until),
        ("FREQ=DAILY;UNTIL= 2026 1231", E::Until),
        ("FREQ=DAILY;COUNT=1;UNTIL=20261231", E::CountAndUntil),
        ("FREQ=MONTHLY;BYWEEKNO=1", not_with(RulePart::ByWeekNo, Frequency::Monthly)),
        ("FREQ=DAILY;BYYEARDAY=1", not_with(RulePart::ByYearDay, Frequency::Daily)),
        ("FREQ=WEEKLY;BYMONTHDAY=1", not_with(RulePart::ByMonthDay, Frequency::Weekly)),
        ("FREQ=WEEKLY;BYDAY=1MO", E::NumberedWeekday),
        ("FREQ=YEARLY;BYWEEKNO=1;BYDAY=1MO", E::NumberedWeekday),
        ("FREQ=MONTHLY;BYSETPOS=1", E::PositionsAlone),
    ] {
        assert_eq!(text.parse::<Rule>(), Err(error), "{text:?}");
    }
}

fn zones() -> impl Strategy<Value = Tz> {
    proptest::sample::select(vec![
        Tz::UTC,
        Tz::Europe__Warsaw,
        Tz::Europe__Warsaw,
        Tz::America__Sao_Paulo,
        Tz::America__Havana,
        Tz::Asia__Kathmandu,
        Tz::Australia__Lord_Howe,
        Tz::Pacific__Apia,
    ])
}

fn list<T: fmt::Display>(part: &str, items: &[T]) -> String {
    let items: Vec<_> = items.iter().map(ToString::to_string).collect();
    if items.is_empty() { String::new() } else { format!(";{part}={}", items.join(",")) }
}

const DAYS: [&str; 12] = ["MO", "TU", "WE", "TH", "FR", "SA", "SU", "1MO", "-1FR", "2SU", "-2WE", "5TH"];

/// Texts of rules, most of which make sense.
fn texts() -> impl Strategy<Value = String> {
    let some = |numbers: std::ops::RangeInclusive<i64>| {
        let numbers = numbers.prop_filter("zero", |number| *number != 0);
        prop_oneof![2 => Just(Vec::new()), 1 => proptest::collection::vec(numbers, 1..6)]
    };
    let ends = prop_oneof![
        2 => Just(String::new()),
        1 => (1..40).prop_map(|count| format!(";COUNT={count}")),
        1 => (2025..2040, 1..=12, 1..=28).prop_map(|(y, m, d)| format!(";UNTIL={y}{m:02}{d:02}")),
        1 => (2025..2040, 1..=12, 0..24).prop_map(|(y, m, h)| format!(";UNTIL={y}{m:02}15T{h:02}3000Z")),
    ];
    let weekdays = prop_oneof![Just(Vec::new()), proptest::sample::subsequence(DAYS.to_vec(), 1..5)];
    let frequencies = proptest::sample::select(Frequency::ALL);
    let weeks = prop_oneof![4 => Just(Vec::new()), 1 => proptest::collection::vec(1..53_i64, 1..3)];
    let year_days = prop_oneof![4 => Just(Vec::new()), 1 => proptest::collection::vec(-366..0_i64, 1..9)];
    let (intervals, week_starts) = (1..5, proptest::sample::select(&DAYS[..7]));
    (
        (frequencies, ends, intervals, some(1..=12), some(-31..=31)),
        (weekdays, some(-3..=3), weeks, year_days, week_starts),
    )
        .prop_map(
            |((frequency, end, interval, months, month_days), (weekdays, positions, weeks, year_days, start))| {
                let lists = [
                    list("BYMONTH", &months),
                    list("BYWEEKNO", &weeks),
                    list("BYYEARDAY", &year_days),
                    list("BYMONTHDAY", &month_days),
                    list("BYDAY", &weekdays),
                    list("BYSETPOS", &positions),
                ];
                format!("FREQ={frequency}{end};INTERVAL={interval}{};WKST={start}", lists.concat())
            },
        )
}

/// Rules with the first date that they have from some day on.
fn recurrences() -> impl Strategy<Value = Recurrence> {
    let rules = texts().prop_filter_map("no rule", |text| text.parse::<Rule>().ok());
    let minutes = prop_oneof![Just(150_u32), Just(0), 0..24 * 60_u32];
    (rules, zones(), 0..1500_u64, minutes).prop_filter_map("no date", |(rule, zone, days, minutes)| {
        let time = NaiveTime::from_num_seconds_from_midnight_opt(minutes * 60, 0)?;
        let start = NaiveDate::from_ymd_opt(2024, 1, 1)?.checked_add_days(Days::new(days))?;
        start.iter_days().take(1000).find_map(|day| {
            let first_at = zone.from_local_datetime(&day.and_time(time)).earliest()?.to_utc();
            Recurrence::new(rule.clone(), zone, first_at).ok()
        })
    })
}

/// The dates of its first hundred years.
fn dates(recurrence: &Recurrence, limit: usize) -> Vec<DateTime<Utc>> {
    recurrence.between(DateTime::<Utc>::MIN_UTC, recurrence.first_at + TimeDelta::days(36_525), limit)
}

/// The next date, if it comes in the years in which dates are surely looked for.
fn soon(recurrence: &Recurrence, instant: DateTime<Utc>) -> Option<DateTime<Utc>> {
    recurrence.next_after(instant).filter(|next| next.year() < 2200)
}

proptest! {
    #[test]
    fn dates_increase_from_the_first_and_keep_its_time_of_day(recurrence in recurrences()) {
        let dates = dates(&recurrence, 60);
        prop_assert_eq!(dates[0], recurrence.first_at);
        prop_assert!(dates.is_sorted_by(|date, next| date < next));
        for date in dates {
            prop_assert_eq!(date.with_timezone(&recurrence.zone).time(), recurrence.first.time());
        }
    }

    #[test]
    fn the_next_date_is_the_next_between(recurrence in recurrences(), hours in -1000..400_000_i64, skip in 0..60_usize) {
        let nearby = recurrence.first_at + TimeDelta::hours(hours);
        let mut dates = dates(&recurrence, 60);
        for instant in [nearby, dates[skip % dates.len()]] {
            let next = recurrence.next_after(instant);
            let a_bit_later = instant + TimeDelta::nanoseconds(1);
            prop_assert_eq!(next, recurrence.between(a_bit_later, DateTime::<Utc>::MAX_UTC, 1).pop());
            // Those that were not skipped to are the same.
            if dates.last().is_some_and(|last| *last > instant) {
                prop_assert_eq!(next, dates.iter().copied().find(|date| *date > instant));
            }
        }
        let last = dates.pop().expect("a first date");
        prop_assert_eq!(recurrence.between(recurrence.first_at, last, usize::MAX), dates);
    }

    #[test]
    fn a_split_series_goes_on_as_before(recurrence in recurrences(), split in 0..60_usize) {
        let dates = dates(&recurrence, 90);
        let split = split % dates.len();
        let end = dates[dates.len() - 1] + TimeDelta::seconds(1);
        let rule = recurrence.rule_from(dates[split]).expect("a tail");
        let tail = Recurrence::new(rule, recurrence.zone, dates[split]).expect("a recurrence");
        prop_assert_eq!(tail.between(DateTime::<Utc>::MIN_UTC, end, usize::MAX), &dates[split..]);
        // Both go on after that, or neither.
        prop_assert_eq!(soon(&tail, end), soon(&recurrence, end));
        prop_assert_eq!(recurrence.rule_from(end).is_none(), recurrence.next_after(end).is_none());
    }

    #[test]
    fn a_rule_is_read_as_it_is_written(text in texts()) {
        if let Ok(rule) = text.parse::<Rule>() {
            let written = rule.to_string();
            prop_assert_eq!(written.parse(), Ok(rule));
            prop_assert_eq!(written.parse::<Rule>().map(|rule| rule.to_string()), Ok(written));
        }
    }

    #[test]
    fn no_text_panics(text in any::<String>(), parts in proptest::collection::vec((parts(), values()), 0..6)) {
        let parts: Vec<_> = parts.into_iter().map(|(part, value)| format!("{part}={value}")).collect();
        for text in [text, parts.join(";")] {
            if let Err(error) = text.parse::<Rule>() {
                // Short words are in any sentence.
                prop_assert!(text.len() < 12 || !error.to_string().contains(&text));
            }
        }
    }

    #[test]
    fn no_instant_panics(recurrence in recurrences(), seconds in any::<i64>(), tz in zones()) {
        let any = DateTime::from_timestamp(seconds % 8_000_000_000_000, 0).unwrap_or(DateTime::<Utc>::MAX_UTC);
        for instant in [any, DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC] {
            recurrence.next_after(instant);
            recurrence.between(instant, DateTime::<Utc>::MAX_UTC, 3);
            recurrence.rule_from(instant);
            let _ = Recurrence::new(recurrence.rule.clone(), tz, instant);
        }
    }

    #[test]
    fn days_weeks_and_months_are_counted_one_by_one(
        zone in zones(),
        start in 0..1500_i64,
        interval in 1..6_i64,
        month_day in 1..29_i64,
        mask in 1..128_u32,
    ) {
        let day_zero = NaiveDate::from_ymd_opt(2024, 1, 1).expect("a Monday");
        let noon = |day: NaiveDate| zone.from_local_datetime(&day.and_hms_opt(12, 0, 0)?).earliest();
        let is_due = |frequency, since: i64, first: NaiveDate, day: NaiveDate| match frequency {
            Frequency::Daily => (since - start) % interval == 0,
            Frequency::Weekly => {
                mask & (1 << day.weekday().num_days_from_monday()) != 0 && (since / 7 - start / 7) % interval == 0
            }
            Frequency::Monthly | Frequency::Yearly => {
                let months = i64::from(day.year() - first.year()) * 12 + i64::from(day.month0()) - i64::from(first.month0());
                i64::from(day.day()) == month_day && months % interval == 0
            }
        };
        let weekdays: Vec<_> = (0..7).filter(|bit| mask & (1 << bit) != 0).map(|bit| DAYS[bit]).collect();
        for (frequency, by) in [
            (Frequency::Daily, String::new()),
            (Frequency::Weekly, list("BYDAY", &weekdays)),
            (Frequency::Monthly, list("BYMONTHDAY", &[month_day])),
        ] {
            let first = day_zero + TimeDelta::days(start);
            let expected: Vec<_> = (start..start + 1200)
                .filter(|since| is_due(frequency, *since, first, day_zero + TimeDelta::days(*since)))
                .filter_map(|since| noon(day_zero + TimeDelta::days(since)))
                .map(|date| date.to_utc())
                .collect();
            // The first day of the rule may come in a later period than it is counted from; then there is no anchor.
            let rule = format!("FREQ={frequency};INTERVAL={interval}{by}").parse::<Rule>().expect("a rule");
            let Ok(recurrence) = Recurrence::new(rule, zone, expected[0]) else { unreachable!("due first") };
            prop_assert_eq!(dates(&recurrence, expected.len()), expected);
        }
    }
}

fn parts() -> impl Strategy<Value = String> {
    let known = proptest::sample::select(RulePart::ALL).prop_map(|part| part.to_string());
    prop_oneof![9 => known, 1 => any::<String>()]
}

fn values() -> impl Strategy<Value = String> {
    prop_oneof!["[-+]?[0-9]{0,20}", "[-+0-9A-Z, ]{0,20}", "[0-9]{8}T[0-9]{6}Z", Just("YEARLY".to_owned())]
}
