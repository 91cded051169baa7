//! Recurrences: on which dates a task comes due again, by a rule of RFC 5545.
//!
//! A rule picks days out of periods (days, weeks, months or years) that are counted from the first due date, never
//! from the one before. Every date has the first one's time of day, as the clocks of the zone show it.

mod rule;
#[cfg(test)]
mod tests;

use std::ops::Range;

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveDateTime, TimeZone, Utc, Weekday};
use chrono_tz::Tz;

use crate::calendar_day::{day_of, local};
use rule::{End, RuleWeekday};
pub use rule::{Frequency, Rule, RuleError, RulePart};

/// A rule and the first date from which it is followed: an RRULE with its DTSTART (RFC 5545, section 3.8.5.3).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Recurrence {
    rule: Rule,
    /// The rule with what it leaves to the first date.
    filled: Rule,
    zone: Tz,
    first_at: DateTime<Utc>,
    first: NaiveDateTime,
}

impl Recurrence {
    /// Through how many years from the first one dates are looked for, so that the search for another one ends where
    /// there is none. Neighbouring dates can be 40 years apart: 29 February 2072 and 2112 are Mondays, none between.
    /// The zones' tables know changes of clocks through 2099; after that, winter time is taken to stay.
    pub const YEARS_MAX: u32 = 200;

    /// The first date has to be one of the rule's: what it means where it is not, RFC 5545 leaves open.
    pub fn new(rule: Rule, zone: Tz, first_at: DateTime<Utc>) -> Result<Self, RuleError> {
        let first = local(first_at.naive_utc(), zone);
        if !(1..=9999).contains(&first.year()) {
            return Err(RuleError::OutOfCalendar);
        }
        let filled = fill(rule.clone(), first.date());
        let recurrence = Self { rule, filled, zone, first_at, first };
        if recurrence.date_on(first.date()) != Some(first_at) {
            return Err(RuleError::SecondOfTwo);
        }
        if recurrence.is_over(first_at) {
            return Err(RuleError::EndsBeforeFirst);
        }
        let is_date = recurrence.period(0).is_some_and(|days| recurrence.dates_in(days).contains(&first_at));
        if is_date { Ok(recurrence) } else { Err(RuleError::FirstNotInRule) }
    }

    pub const fn rule(&self) -> &Rule {
        &self.rule
    }

    pub const fn zone(&self) -> Tz {
        self.zone
    }

    /// The first date strictly after an instant; `None` when the rule has ended.
    pub fn next_after(&self, instant: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.dates_near(instant).find(|date| *date > instant)
    }

    /// The dates in a half-open span, in order, at most `limit` of them.
    pub fn between(&self, from: DateTime<Utc>, before: DateTime<Utc>, limit: usize) -> Vec<DateTime<Utc>> {
        let dates = self.dates_near(from).skip_while(|date| *date < from);
        dates.take_while(|date| *date < before).take(limit).collect()
    }

    /// The rule for the tail of a split series, followed from its first date at `at` or after it: a COUNT is lessened
    /// by the dates that came before, everything else stays. `None` when there is no such date.
    pub fn rule_from(&self, at: DateTime<Utc>) -> Option<Rule> {
        self.dates_near(at).find(|date| *date >= at)?;
        let end = match self.rule.end {
            End::AfterCount(count) => {
                let before = self.dates_near(at).take_while(|date| *date < at).count();
                End::AfterCount(count.checked_sub(before)?)
            }
            end => end,
        };
        Some(Rule { end, ..self.rule.clone() })
    }

    /// The dates from some time before an instant on; all of them where they have to be counted.
    fn dates_near(&self, instant: DateTime<Utc>) -> impl Iterator<Item = DateTime<Utc>> {
        let (from, count) = match self.rule.end {
            End::AfterCount(count) => (0, count),
            End::Never | End::OnDay(_) | End::At(_) => (self.index_before(instant), usize::MAX),
        };
        let periods = (from..u32::MAX).map_while(|index| self.period(index));
        let dates = periods.flat_map(|days| self.dates_in(days)).skip_while(|date| *date < self.first_at);
        dates.take_while(|date| !self.is_over(*date)).take(count)
    }

    /// The days of the period with an index, the first date being in the one with 0.
    fn period(&self, index: u32) -> Option<Range<NaiveDate>> {
        let units = index.checked_mul(self.rule.interval)?;
        let days = self.unit_start(units)?..self.unit_start(units.checked_add(1)?)?;
        let last_year = self.first.year().checked_add_unsigned(Self::YEARS_MAX)?.min(9999);
        (days.start.year() <= last_year).then_some(days)
    }

    /// The first day of the day, week, month or year that lies so many of them after the first date's.
    fn unit_start(&self, units: u32) -> Option<NaiveDate> {
        let first_on = self.first.date();
        match self.rule.frequency {
            Frequency::Daily => first_on.checked_add_days(Days::new(u64::from(units))),
            Frequency::Weekly => {
                start_of_week(first_on, self.rule.week_start)?.checked_add_days(Days::new(u64::from(units) * 7))
            }
            Frequency::Monthly => first_on.with_day(1)?.checked_add_months(Months::new(units)),
            Frequency::Yearly => first_on.with_ordinal(1)?.checked_add_months(Months::new(units.checked_mul(12)?)),
        }
    }

    /// An index not far from an instant: no period before that one has a date after the instant.
    fn index_before(&self, instant: DateTime<Utc>) -> u32 {
        let Some(start) = self.unit_start(0) else { return 0 };
        // No zone is two days away from another, nor from itself when its clocks are put.
        let day = day_of(instant, self.zone);
        let day = day.checked_sub_days(Days::new(2)).unwrap_or(day);
        let years = i64::from(day.year()) - i64::from(start.year());
        let units = match self.rule.frequency {
            Frequency::Daily => day.signed_duration_since(start).num_days(),
            Frequency::Weekly => day.signed_duration_since(start).num_weeks(),
            Frequency::Monthly => years * 12 + i64::from(day.month()) - i64::from(start.month()),
            Frequency::Yearly => years,
        };
        u32::try_from(units).unwrap_or_default().checked_div(self.rule.interval).unwrap_or_default()
    }

    /// The dates of a period. BYSETPOS chooses among those that there are, also before the first one.
    fn dates_in(&self, days: Range<NaiveDate>) -> Vec<DateTime<Utc>> {
        let picked = days.start.iter_days().take_while(|day| *day < days.end).filter(|day| picks(&self.filled, *day));
        let dates: Vec<_> = picked.filter_map(|day| self.date_on(day)).collect();
        if self.rule.positions.is_empty() {
            return dates;
        }
        let count = u32::try_from(dates.len()).unwrap_or_default();
        let is_chosen = |index| Place::new(index, count, 1).is_among(&self.rule.positions);
        (0..count).zip(dates).filter(|(index, _)| is_chosen(*index)).map(|(_, date)| date).collect()
    }

    /// The instant of the time of day on a day. A time that clocks jump over is ignored and not counted (RFC 5545,
    /// section 3.3.10); of one that they show twice, the first counts (section 3.3.5).
    fn date_on(&self, day: NaiveDate) -> Option<DateTime<Utc>> {
        let found = self.zone.from_local_datetime(&day.and_time(self.first.time())).earliest();
        found.map(|date| date.with_timezone(&Utc))
    }

    fn is_over(&self, date: DateTime<Utc>) -> bool {
        match self.rule.end {
            End::Never | End::AfterCount(_) => false,
            End::OnDay(last_on) => day_of(date, self.zone) > last_on,
            End::At(last_at) => date > last_at,
        }
    }
}

/// The rule with the weekday, the day of the month and the month of the first date, where it names none (RFC 5545,
/// section 3.3.10: "derived from DTSTART").
fn fill(rule: Rule, first_on: NaiveDate) -> Rule {
    let names_days = !(rule.year_days.is_empty() && rule.month_days.is_empty() && rule.weekdays.is_empty());
    if names_days || rule.frequency == Frequency::Daily {
        return rule;
    }
    if rule.frequency == Frequency::Weekly || !rule.week_numbers.is_empty() {
        return Rule { weekdays: vec![RuleWeekday { weekday: first_on.weekday(), ordinal: None }], ..rule };
    }
    let every_month = rule.frequency == Frequency::Monthly || !rule.months.is_empty();
    let months = if every_month { rule.months } else { vec![i64::from(first_on.month())] };
    Rule { months, month_days: vec![i64::from(first_on.day())], ..rule }
}

/// Whether a day is one of those among which BYSETPOS chooses.
fn picks(rule: &Rule, day: NaiveDate) -> bool {
    let (month_days, year_days) = (u32::from(day.num_days_in_month()), days_in_year(day));
    let counts_in_month = rule.frequency == Frequency::Monthly || !rule.months.is_empty();
    let is_picked = |picked: &RuleWeekday| {
        let nth = match counts_in_month {
            true => Place::new(day.day0(), month_days, 7),
            false => Place::new(day.ordinal0(), year_days, 7),
        };
        picked.weekday == day.weekday() && picked.ordinal.is_none_or(|ordinal| nth.is_among(&[ordinal]))
    };
    let any = |numbers: &[i64], place: Place| numbers.is_empty() || place.is_among(numbers);
    (rule.months.is_empty() || rule.months.contains(&i64::from(day.month())))
        && any(&rule.month_days, Place::new(day.day0(), month_days, 1))
        && any(&rule.year_days, Place::new(day.ordinal0(), year_days, 1))
        && (rule.weekdays.is_empty() || rule.weekdays.iter().any(is_picked))
        && (rule.week_numbers.is_empty()
            || week_of_year(day, rule.week_start).is_some_and(|week| week.is_among(&rule.week_numbers)))
}

/// The week's place in the year that has four of its days or more, of which the fourth is always one.
fn week_of_year(day: NaiveDate, week_start: Weekday) -> Option<Place> {
    let fourth = start_of_week(day, week_start)?.checked_add_days(Days::new(3))?;
    Some(Place::new(fourth.ordinal0(), days_in_year(fourth), 7))
}

fn start_of_week(day: NaiveDate, week_start: Weekday) -> Option<NaiveDate> {
    day.checked_sub_days(Days::new(u64::from(day.weekday().days_since(week_start))))
}

fn days_in_year(day: NaiveDate) -> u32 {
    if day.leap_year() { 366 } else { 365 }
}

/// A place in a row, counted from 1 at its start and from -1 at its end, as RFC 5545 counts everything.
#[derive(Clone, Copy)]
struct Place {
    from_start: i64,
    from_end: i64,
}

impl Place {
    /// That of an index in a row of so many, counted in steps of some: a month's ninth day has its second Monday.
    fn new(index: u32, length: u32, step: i64) -> Self {
        let (before, after) = (i64::from(index), i64::from(length) - 1 - i64::from(index));
        Self { from_start: before / step + 1, from_end: -(after / step) - 1 }
    }

    fn is_among(self, numbers: &[i64]) -> bool {
        numbers.contains(&self.from_start) || numbers.contains(&self.from_end)
    }
}
