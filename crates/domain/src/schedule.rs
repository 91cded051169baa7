//! Schedules: which spans of time a subscription bills, and on which day each is invoiced.
//!
//! A schedule is a function from an index to a period. Every period is counted from the anchor and never from the
//! one before it: stepping would turn the 31st into the 28th for ever.

use std::fmt;
use std::str::FromStr;

use chrono::{Datelike, Days, Months, NaiveDate, TimeDelta};

use crate::calendar_day::shift_to_working_day;
use crate::vocabulary::UnknownWord;

vocabulary! {
    /// What a schedule counts in. A quarter is three months from the anchor, wherever in the year that is.
    Unit { Day = "day", Week = "week", Month = "month", Quarter = "quarter", Year = "year" }
}

vocabulary! {
    /// Whether a period is invoiced when it begins or when it is over.
    BillingTiming { InAdvance = "in_advance", InArrears = "in_arrears" }
}

vocabulary! {
    /// Where an issue day goes that is not worked in Poland.
    IssueDayShift {
        /// Stays.
        None = "none",
        /// To the last working day before it.
        Before = "before",
        /// To the first working day after it.
        After = "after",
    }
}

/// How long a period is: so many units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Every {
    pub unit: Unit,
    /// From 1 to [`Schedule::COUNT_MAX`].
    pub count: u32,
}

/// The day of the month on which periods begin, written `1` to `31` or `last_day`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ScheduleDay {
    /// From 1 to 31; the month's last day where the month is shorter.
    OnDay(u32),
    /// The last day of every month, which the 30th or the 28th is not.
    LastDay,
}

/// What a schedule is made of; a [`Schedule`] once it makes sense.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ScheduleRule {
    pub every: Every,
    pub anchor_on: NaiveDate,
    /// Only for months, quarters and years; without it, periods begin on the anchor's day of the month.
    pub day: Option<ScheduleDay>,
    pub billing: BillingTiming,
    /// Days from the period's start (in advance) or end (in arrears) to the issue day; negative for before.
    pub issue_offset_days: i32,
    pub issue_day_shift: IssueDayShift,
}

/// What is wrong with a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleProblem {
    #[error("a count from 1 to {} is expected", Schedule::COUNT_MAX)]
    Count,
    #[error("a year from 1 to 9999 is expected")]
    Anchor,
    #[error("a day from 1 to 31 or last_day is expected")]
    Day,
    #[error("days and weeks know no day of the month")]
    DayWithoutMonths,
    #[error("at most {} days either way are expected", Schedule::OFFSET_DAYS_MAX)]
    IssueOffset,
}

impl ScheduleProblem {
    /// The JSON Pointer, from the schedule, of the field that it is about.
    pub const fn pointer(self) -> &'static str {
        match self {
            Self::Count => "/every/count",
            Self::Anchor => "/anchor_on",
            Self::Day | Self::DayWithoutMonths => "/day",
            Self::IssueOffset => "/issue_offset_days",
        }
    }
}

/// The calendar ends with the year 9999, as `YYYY-MM-DD` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the period would end after the year 9999")]
pub struct OutOfCalendar;

/// A rule that gives a period for every index.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Schedule(ScheduleRule);

/// A span of calendar days that is billed at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Period {
    /// Its place in the schedule, from 0.
    pub index: u32,
    pub start_on: NaiveDate,
    /// The first day that is no longer in it, and the start of the next period.
    pub end_on: NaiveDate,
}

impl Schedule {
    /// How many units a period may be long.
    pub const COUNT_MAX: u32 = 1000;

    /// How far the issue day may be from the period, a leap year.
    pub const OFFSET_DAYS_MAX: i32 = 366;

    pub fn new(rule: ScheduleRule) -> Result<Self, ScheduleProblem> {
        if !(1..=Self::COUNT_MAX).contains(&rule.every.count) {
            return Err(ScheduleProblem::Count);
        }
        if !(1..=9999).contains(&rule.anchor_on.year()) {
            return Err(ScheduleProblem::Anchor);
        }
        if matches!(rule.day, Some(ScheduleDay::OnDay(day)) if !(1..=31).contains(&day)) {
            return Err(ScheduleProblem::Day);
        }
        if rule.day.is_some() && matches!(rule.every.unit, Unit::Day | Unit::Week) {
            return Err(ScheduleProblem::DayWithoutMonths);
        }
        if !(-Self::OFFSET_DAYS_MAX..=Self::OFFSET_DAYS_MAX).contains(&rule.issue_offset_days) {
            return Err(ScheduleProblem::IssueOffset);
        }
        Ok(Self(rule))
    }

    pub const fn rule(&self) -> &ScheduleRule {
        &self.0
    }

    /// The period of an index, counted from the anchor.
    ///
    /// Period 0 starts on the anchor, or, where the rule names a day of the month that the anchor is not on, on the
    /// first such day after it: the days between belong to no period.
    pub fn period(&self, index: u32) -> Result<Period, OutOfCalendar> {
        let next = index.checked_add(1).ok_or(OutOfCalendar)?;
        Ok(Period { index, start_on: self.start_on(index)?, end_on: self.start_on(next)? })
    }

    /// The periods from an index on, until the calendar ends.
    pub fn periods(&self, from_index: u32) -> impl Iterator<Item = Period> {
        (from_index..).map_while(|index| self.period(index).ok())
    }

    /// The index of the first period that starts on a day or after it.
    pub fn first_index_from(&self, day: NaiveDate) -> Result<u32, OutOfCalendar> {
        let starts_from = |index| self.start_on(index).is_ok_and(|start_on| start_on < day);
        let (mut low, mut high) = (0, u32::MAX);
        while low < high {
            let middle = low + (high - low) / 2;
            if starts_from(middle) { low = middle + 1 } else { high = middle }
        }
        self.period(low).map(|period| period.index)
    }

    /// The day on which a period is to be invoiced.
    ///
    /// The offset counts from the first day of the period when it is billed in advance, and from the first day after
    /// it when it is billed in arrears, so that in arrears an offset of -1 is its last day. The move to a working day
    /// comes last, and moves neither the period nor the next one. A later period is never to be invoiced earlier.
    pub fn issue_on(&self, period: &Period) -> NaiveDate {
        let from = match self.0.billing {
            BillingTiming::InAdvance => period.start_on,
            BillingTiming::InArrears => period.end_on,
        };
        let offset = TimeDelta::days(i64::from(self.0.issue_offset_days));
        let issue_on = shift_to_working_day(from.checked_add_signed(offset).unwrap_or(from), self.0.issue_day_shift);
        // At the ends of the calendar the issue day stays in it.
        let in_calendar = |year, month, day| NaiveDate::from_ymd_opt(year, month, day).unwrap_or(from);
        issue_on.clamp(in_calendar(1, 1, 1), in_calendar(9999, 12, 31))
    }

    fn start_on(&self, index: u32) -> Result<NaiveDate, OutOfCalendar> {
        let Every { unit, count } = self.0.every;
        let (units, anchor_on) = (index.checked_mul(count).ok_or(OutOfCalendar)?, self.0.anchor_on);
        let start_on = match unit {
            Unit::Day => anchor_on.checked_add_days(Days::new(u64::from(units))),
            Unit::Week => anchor_on.checked_add_days(Days::new(u64::from(units) * 7)),
            Unit::Month => self.month_start_on(units),
            Unit::Quarter => units.checked_mul(3).and_then(|months| self.month_start_on(months)),
            Unit::Year => units.checked_mul(12).and_then(|months| self.month_start_on(months)),
        };
        start_on.filter(|day| day.year() <= 9999).ok_or(OutOfCalendar)
    }

    /// The start of the period that lies so many months after the first one.
    fn month_start_on(&self, months: u32) -> Option<NaiveDate> {
        let anchor_on = self.0.anchor_on;
        let Some(day) = self.0.day else {
            return anchor_on.checked_add_months(Months::new(months));
        };
        let in_anchor_month = day.in_month_of(anchor_on)?;
        let wait = if in_anchor_month < anchor_on { 1 } else { 0 };
        day.in_month_of(anchor_on.with_day(1)?.checked_add_months(Months::new(months.checked_add(wait)?))?)
    }
}

impl Period {
    /// The last day that is in it.
    pub fn last_on(&self) -> NaiveDate {
        self.end_on.pred_opt().unwrap_or(self.start_on)
    }

    /// How many days it has.
    pub fn days(&self) -> i64 {
        self.end_on.signed_duration_since(self.start_on).num_days()
    }
}

impl ScheduleDay {
    /// That day in the month which another is in, or the month's last one.
    pub(crate) fn in_month_of(self, other: NaiveDate) -> Option<NaiveDate> {
        let last = u32::from(other.num_days_in_month());
        other.with_day(match self {
            Self::OnDay(day) => day.min(last),
            Self::LastDay => last,
        })
    }
}

impl fmt::Display for ScheduleDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OnDay(day) => day.fmt(f),
            Self::LastDay => f.write_str("last_day"),
        }
    }
}

impl FromStr for ScheduleDay {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        if word == "last_day" {
            return Ok(Self::LastDay);
        }
        let day = word.parse().ok().filter(|day| (1..=31).contains(day));
        day.map(Self::OnDay).ok_or(UnknownWord { vocabulary: "ScheduleDay" })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().expect(text)
    }

    fn every(count: u32, unit: Unit, anchor_on: &str) -> ScheduleRule {
        ScheduleRule {
            every: Every { unit, count },
            anchor_on: day(anchor_on),
            day: None,
            billing: BillingTiming::InAdvance,
            issue_offset_days: 0,
            issue_day_shift: IssueDayShift::None,
        }
    }

    fn on_day(rule: ScheduleRule, day: ScheduleDay) -> ScheduleRule {
        ScheduleRule { day: Some(day), ..rule }
    }

    fn starts(rule: ScheduleRule, count: usize) -> Vec<String> {
        let schedule = Schedule::new(rule).expect("a schedule");
        schedule.periods(0).take(count).map(|period| period.start_on.to_string()).collect()
    }

    #[test]
    fn monthly_from_the_31st_of_january() {
        let monthly = every(1, Unit::Month, "2026-01-31");
        let expected = [
            "2026-01-31",
            "2026-02-28",
            "2026-03-31",
            "2026-04-30",
            "2026-05-31",
            "2026-06-30",
            "2026-07-31",
            "2026-08-31",
            "2026-09-30",
            "2026-10-31",
            "2026-11-30",
            "2026-12-31",
            "2027-01-31",
            "2027-02-28",
        ];
        assert_eq!(starts(monthly.clone(), 14), expected);
        assert_eq!(starts(on_day(monthly.clone(), ScheduleDay::OnDay(31)), 14), expected);
        assert_eq!(starts(on_day(monthly, ScheduleDay::LastDay), 14), expected);
    }

    #[test]
    fn the_last_day_is_not_the_30th() {
        let monthly = every(1, Unit::Month, "2027-11-30");
        let kept = ["2027-11-30", "2027-12-30", "2028-01-30", "2028-02-29", "2028-03-30"];
        assert_eq!(starts(monthly.clone(), 5), kept);
        assert_eq!(starts(on_day(monthly.clone(), ScheduleDay::OnDay(30)), 5), kept);
        let last = ["2027-11-30", "2027-12-31", "2028-01-31", "2028-02-29", "2028-03-31"];
        assert_eq!(starts(on_day(monthly, ScheduleDay::LastDay), 5), last);
    }

    #[test]
    fn yearly_from_the_29th_of_february() {
        assert_eq!(
            starts(every(1, Unit::Year, "2024-02-29"), 6),
            ["2024-02-29", "2025-02-28", "2026-02-28", "2027-02-28", "2028-02-29", "2029-02-28"]
        );
        // A century is no leap year unless 400 divides it.
        assert_eq!(starts(every(76, Unit::Year, "2024-02-29"), 3), ["2024-02-29", "2100-02-28", "2176-02-29"]);
    }

    #[test]
    fn quarterly_in_arrears_with_a_weekend_shift() {
        let rule = ScheduleRule {
            billing: BillingTiming::InArrears,
            issue_day_shift: IssueDayShift::After,
            ..every(1, Unit::Quarter, "2026-01-01")
        };
        let planned = |rule: ScheduleRule| -> Vec<[String; 3]> {
            let schedule = Schedule::new(rule).expect("a schedule");
            let row = |period: Period| {
                [period.start_on, period.end_on, schedule.issue_on(&period)].map(|day| day.to_string())
            };
            schedule.periods(0).take(5).map(row).collect()
        };
        assert_eq!(
            planned(rule.clone()),
            [
                ["2026-01-01", "2026-04-01", "2026-04-01"], // Wednesday
                ["2026-04-01", "2026-07-01", "2026-07-01"], // Wednesday
                ["2026-07-01", "2026-10-01", "2026-10-01"], // Thursday
                ["2026-10-01", "2027-01-01", "2027-01-04"], // New Year, then a weekend: Monday
                ["2027-01-01", "2027-04-01", "2027-04-01"], // Thursday
            ]
        );
        let last_day_of_quarter =
            ScheduleRule { issue_offset_days: -1, issue_day_shift: IssueDayShift::Before, ..rule.clone() };
        assert_eq!(
            planned(last_day_of_quarter).map_issue(),
            ["2026-03-31", "2026-06-30", "2026-09-30", "2026-12-31", "2027-03-31"]
        );
        let fourth = ScheduleRule { issue_offset_days: 3, ..rule };
        // Saturday 4 April before Easter → Tuesday the 7th; Saturday 4 July → Monday the 6th; Sunday 4 October → Monday
        // the 5th; Monday 4 January 2027 stays; Sunday 4 April 2027 → Monday the 5th.
        assert_eq!(planned(fourth).map_issue(), ["2026-04-07", "2026-07-06", "2026-10-05", "2027-01-04", "2027-04-05"]);
    }

    trait IssueDays {
        fn map_issue(self) -> Vec<String>;
    }

    impl IssueDays for Vec<[String; 3]> {
        fn map_issue(self) -> Vec<String> {
            self.into_iter().map(|[_, _, issue_on]| issue_on).collect()
        }
    }

    #[test]
    fn a_day_that_the_anchor_is_not_on_comes_after_it() {
        let fifteenth = |anchor_on| on_day(every(1, Unit::Month, anchor_on), ScheduleDay::OnDay(15));
        assert_eq!(starts(fifteenth("2026-01-10"), 2), ["2026-01-15", "2026-02-15"]);
        assert_eq!(starts(fifteenth("2026-01-15"), 2), ["2026-01-15", "2026-02-15"]);
        assert_eq!(starts(fifteenth("2026-01-16"), 2), ["2026-02-15", "2026-03-15"]);
        assert_eq!(starts(fifteenth("2026-12-31"), 2), ["2027-01-15", "2027-02-15"]);
        let yearly = on_day(every(1, Unit::Year, "2026-03-20"), ScheduleDay::OnDay(15));
        assert_eq!(starts(yearly, 2), ["2026-04-15", "2027-04-15"]);
    }

    #[test]
    fn an_issue_day_does_not_leave_the_calendar() {
        let planned = |rule: ScheduleRule| {
            let schedule = Schedule::new(rule).expect("a schedule");
            schedule.issue_on(&schedule.period(0).expect("a period")).to_string()
        };
        let late = every(1, Unit::Month, "9999-11-01");
        assert_eq!(planned(ScheduleRule { issue_offset_days: 366, ..late.clone() }), "9999-12-31");
        // 1 November is a holiday, 31 December 9999 a Friday.
        assert_eq!(planned(ScheduleRule { issue_day_shift: IssueDayShift::After, ..late }), "9999-11-02");
        let early = every(1, Unit::Month, "0001-01-01");
        assert_eq!(planned(ScheduleRule { issue_offset_days: -366, ..early }), "0001-01-01");
    }

    #[test]
    fn days_and_weeks_are_counted_through() {
        assert_eq!(starts(every(2, Unit::Week, "2026-12-21"), 3), ["2026-12-21", "2027-01-04", "2027-01-18"]);
        assert_eq!(starts(every(10, Unit::Day, "2028-02-20"), 3), ["2028-02-20", "2028-03-01", "2028-03-11"]);
    }

    #[test]
    fn a_period_is_half_open() {
        let schedule = Schedule::new(every(1, Unit::Month, "2028-02-01")).expect("a schedule");
        let february = schedule.period(0).expect("a period");
        assert_eq!((february.last_on(), february.days()), (day("2028-02-29"), 29));
    }

    #[test]
    fn the_first_period_from_a_day_on() {
        let schedule = Schedule::new(every(1, Unit::Month, "2026-01-31")).expect("a schedule");
        for (from, index) in
            [("2020-01-01", 0), ("2026-01-31", 0), ("2026-02-01", 1), ("2026-02-28", 1), ("2026-03-01", 2)]
        {
            assert_eq!(schedule.first_index_from(day(from)), Ok(index), "{from}");
        }
        assert_eq!(schedule.first_index_from(NaiveDate::MAX), Err(OutOfCalendar));
    }

    #[test]
    fn a_rule_that_makes_no_sense_is_refused() {
        let monthly = every(1, Unit::Month, "2026-01-31");
        let problem = |rule: ScheduleRule| Schedule::new(rule).err();
        for count in [0, 1001, u32::MAX] {
            assert_eq!(problem(every(count, Unit::Month, "2026-01-31")), Some(ScheduleProblem::Count));
        }
        for day in [0, 32] {
            assert_eq!(problem(on_day(monthly.clone(), ScheduleDay::OnDay(day))), Some(ScheduleProblem::Day));
        }
        for unit in [Unit::Day, Unit::Week] {
            let rule = on_day(every(1, unit, "2026-01-31"), ScheduleDay::LastDay);
            assert_eq!(problem(rule), Some(ScheduleProblem::DayWithoutMonths));
        }
        for issue_offset_days in [-367, 367, i32::MIN] {
            let rule = ScheduleRule { issue_offset_days, ..monthly.clone() };
            assert_eq!(problem(rule), Some(ScheduleProblem::IssueOffset));
        }
        let rule = ScheduleRule { anchor_on: NaiveDate::MAX, ..monthly };
        assert_eq!(problem(rule), Some(ScheduleProblem::Anchor));
    }

    #[test]
    fn a_schedule_ends_with_the_calendar() {
        let schedule = Schedule::new(every(1, Unit::Month, "9999-10-01")).expect("a schedule");
        assert_eq!(schedule.periods(0).count(), 2);
        assert_eq!(schedule.period(2), Err(OutOfCalendar));
        assert_eq!(schedule.period(u32::MAX), Err(OutOfCalendar));
    }

    #[test]
    fn a_schedule_day_is_read_as_it_is_written() {
        for word in ["1", "31", "last_day"] {
            assert_eq!(word.parse::<ScheduleDay>().map(|day| day.to_string()).as_deref(), Ok(word));
        }
        for word in ["", "0", "32", "-1", "last", "1.5"] {
            assert!(word.parse::<ScheduleDay>().is_err(), "{word:?}");
        }
    }

    /// Any rule that a firm could set up, with an anchor from 1990 to 2057.
    pub(crate) fn rules() -> impl Strategy<Value = ScheduleRule> {
        let days = prop_oneof![
            Just(None),
            Just(Some(ScheduleDay::LastDay)),
            (1_u32..=31).prop_map(|day| Some(ScheduleDay::OnDay(day))),
        ];
        let counts = prop_oneof![4 => 1_u32..=3, 1 => 1_u32..=Schedule::COUNT_MAX];
        let offsets = prop_oneof![Just(0), -40_i32..=40, -Schedule::OFFSET_DAYS_MAX..=Schedule::OFFSET_DAYS_MAX];
        let (units, billings) = (proptest::sample::select(Unit::ALL), proptest::sample::select(BillingTiming::ALL));
        let shifts = proptest::sample::select(IssueDayShift::ALL);
        (units, counts, 0_u64..24_837, days, billings, offsets, shifts).prop_map(
            |(unit, count, since_1990, schedule_day, billing, issue_offset_days, issue_day_shift)| ScheduleRule {
                every: Every { unit, count },
                anchor_on: day("1990-01-01").checked_add_days(Days::new(since_1990)).expect("a day"),
                day: schedule_day.filter(|_| !matches!(unit, Unit::Day | Unit::Week)),
                billing,
                issue_offset_days,
                issue_day_shift,
            },
        )
    }

    /// Every period of the 30 years after the anchor.
    fn periods_of_thirty_years(rule: &ScheduleRule) -> Vec<Period> {
        let schedule = Schedule::new(rule.clone()).expect("a schedule");
        let end = rule.anchor_on.checked_add_months(Months::new(30 * 12)).expect("a day");
        schedule.periods(0).take_while(|period| period.start_on < end).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        #[test]
        fn periods_cover_time_without_gap_or_overlap(rule in rules()) {
            let periods = periods_of_thirty_years(&rule);
            prop_assert!(!periods.is_empty());
            for pair in periods.windows(2) {
                prop_assert_eq!(pair[0].end_on, pair[1].start_on);
                prop_assert_eq!(pair[0].index + 1, pair[1].index);
            }
            for period in periods {
                prop_assert!(rule.anchor_on <= period.start_on && period.start_on < period.end_on);
                prop_assert!(period.last_on() < period.end_on && period.start_on <= period.last_on());
            }
        }

        #[test]
        fn the_day_of_the_month_is_kept_where_the_month_has_it(rule in rules()) {
            let is_by_months = !matches!(rule.every.unit, Unit::Day | Unit::Week);
            for period in periods_of_thirty_years(&rule).into_iter().filter(|_| is_by_months) {
                let last = u32::from(period.start_on.num_days_in_month());
                let expected = match rule.day {
                    None => rule.anchor_on.day().min(last),
                    Some(ScheduleDay::OnDay(day)) => day.min(last),
                    Some(ScheduleDay::LastDay) => last,
                };
                prop_assert_eq!(period.start_on.day(), expected);
            }
        }

        #[test]
        fn as_many_months_pass_as_the_rule_says(rule in rules()) {
            let Every { unit, count } = rule.every;
            let months = |day: NaiveDate| day.year() * 12 + i32::try_from(day.month0()).expect("a month");
            for period in periods_of_thirty_years(&rule) {
                let passed = months(period.end_on) - months(period.start_on);
                let count = i32::try_from(count).expect("a count");
                match unit {
                    Unit::Day => prop_assert_eq!(period.days(), i64::from(count)),
                    Unit::Week => prop_assert_eq!(period.days(), 7 * i64::from(count)),
                    Unit::Month => prop_assert_eq!(passed, count),
                    Unit::Quarter => prop_assert_eq!(passed, 3 * count),
                    Unit::Year => prop_assert_eq!(passed, 12 * count),
                }
            }
        }

        #[test]
        fn a_later_period_is_never_to_be_invoiced_earlier(rule in rules()) {
            let schedule = Schedule::new(rule.clone()).expect("a schedule");
            let issue_days: Vec<_> =
                periods_of_thirty_years(&rule).iter().map(|period| schedule.issue_on(period)).collect();
            prop_assert!(issue_days.is_sorted());
        }

        #[test]
        fn the_first_period_from_a_day_is_the_first(rule in rules(), index in 0_u32..400, back in 0_u64..400) {
            let schedule = Schedule::new(rule).expect("a schedule");
            if let Ok(period) = schedule.period(index) {
                prop_assert_eq!(schedule.first_index_from(period.start_on), Ok(index));
                let from = period.start_on.checked_sub_days(Days::new(back)).expect("a day");
                let first = schedule.first_index_from(from).expect("an index");
                prop_assert!(first <= index);
                prop_assert!(schedule.period(first).expect("a period").start_on >= from);
                prop_assert!(first == 0 || schedule.period(first - 1).expect("a period").start_on < from);
            }
        }

        #[test]
        fn nothing_panics(
            unit in proptest::sample::select(Unit::ALL),
            (count, on_day, anchor, index) in any::<(u32, Option<u32>, i32, u32)>(),
            issue_offset_days in prop_oneof![any::<i32>(), -366..=366],
            (small_count, near) in (1_u32..=1000, any::<bool>()),
            shift in proptest::sample::select(IssueDayShift::ALL),
        ) {
            let anchor = if near { anchor.rem_euclid(3_652_059) } else { anchor };
            let Some(anchor_on) = NaiveDate::from_num_days_from_ce_opt(anchor) else { return Ok(()) };
            let rule = ScheduleRule {
                every: Every { unit, count: if near { small_count } else { count } },
                anchor_on,
                day: on_day.map(|day| ScheduleDay::OnDay(if near { day % 31 + 1 } else { day })),
                billing: BillingTiming::InArrears,
                issue_offset_days,
                issue_day_shift: shift,
            };
            if let Ok(schedule) = Schedule::new(rule) {
                for index in [index, index % 1000, 0] {
                    if let Ok(period) = schedule.period(index) {
                        schedule.issue_on(&period);
                    }
                }
                let _ = schedule.first_index_from(anchor_on);
                let _ = (schedule.first_index_from(NaiveDate::MIN), schedule.first_index_from(NaiveDate::MAX));
            }
        }
    }
}
