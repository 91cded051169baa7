//! The calendar: what stands in it, when an operator is busy or free, and which meetings meet.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use uuid::Uuid;

use crate::calendar_day::{day_bounds, day_of, end_of_gap, is_working_day};
use crate::ids::{CustomerId, OperatorId, TaskSeriesId, ThreadId};
use crate::language::Language;
use crate::task::TaskPriority;

vocabulary! {
    /// What an entry of the calendar is.
    CalendarKind {
        /// A task with a date, also one that a series has made.
        Task = "task",
        /// A date of a series of tasks for which there is no task yet.
        RecurringTask = "recurring_task",
        /// An interaction, planned or held.
        Interaction = "interaction",
        /// A day on which subscriptions are billed.
        InvoiceRun = "invoice_run",
    }
}

vocabulary! {
    /// How far an entry has come: the words of tasks and of interactions. An `invoice_run` is `planned` while a
    /// subscription is still due on that day, and `done` after that.
    CalendarStatus {
        Open = "open",
        InProgress = "in_progress",
        Done = "done",
        Cancelled = "cancelled",
        Planned = "planned",
        Held = "held",
        NotHeld = "not_held",
    }
}

/// A half-open span of time. One without length is a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    pub start: DateTime<Utc>,
    /// Not before the start.
    pub end: DateTime<Utc>,
}

impl Span {
    /// Whether it has a moment in common with a span that has a length: a moment at that one's start counts, at its end
    /// it does not.
    pub fn is_within(&self, window: Self) -> bool {
        self.start < window.end && (self.end > window.start || self.start >= window.start)
    }

    /// What both have in common, where that has a length.
    pub fn intersection(&self, other: Self) -> Option<Self> {
        let (start, end) = (self.start.max(other.start), self.end.min(other.end));
        (start < end).then_some(Self { start, end })
    }

    pub fn length(&self) -> TimeDelta {
        self.end.signed_duration_since(self.start)
    }
}

/// Whole days, the last of which is the one before `end_on`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DaySpan {
    pub start_on: NaiveDate,
    pub end_on: NaiveDate,
}

/// How many subscriptions are due on a day, and how many periods planned for it are billed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct InvoiceDay {
    pub due: i64,
    pub issued: i64,
}

/// What stands in the calendar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CalendarEntry {
    pub kind: CalendarKind,
    /// The task's or interaction's; of a recurring task the series', so that the entry is named by it together with
    /// `occurrence_at`. A day of invoices has none: there is one a day.
    pub id: Option<Uuid>,
    /// A day of invoices has none: [`Self::title_in`] says what it is.
    pub title: Option<String>,
    /// Its beginning, and only where it was asked for.
    pub description: Option<String>,
    /// A deadline alone, and an interaction of no length, end when they start. Those of whole days last from midnight to
    /// midnight.
    pub span: Span,
    /// The days of an entry of whole days.
    pub days: Option<DaySpan>,
    /// Whose it is: a task's caretaker, and who talks in an interaction.
    pub operator_id: Option<OperatorId>,
    pub registered_by_id: Option<OperatorId>,
    pub customer_id: Option<CustomerId>,
    pub thread_id: Option<ThreadId>,
    /// The series of tasks that it is one of, and which one.
    pub task_series_id: Option<TaskSeriesId>,
    pub occurrence_at: Option<DateTime<Utc>>,
    pub status: CalendarStatus,
    /// Whether its task is past its due date and still to do.
    pub overdue: bool,
    /// Of tasks.
    pub percent_done: Option<i16>,
    /// Of tasks.
    pub priority: Option<TaskPriority>,
    /// Whether a task has both a start and a due date, so that it is known when somebody works at it.
    pub has_start_and_due: bool,
    /// Whether a task is due when it ends. One that only starts never is.
    pub is_due: bool,
    pub invoices: Option<InvoiceDay>,
    /// That of the task, the interaction, or the series; like the moments below, a day of invoices has none.
    pub version: Option<i32>,
    pub created_at: Option<DateTime<Utc>>,
    pub updated_at: Option<DateTime<Utc>>,
    pub closed_at: Option<DateTime<Utc>>,
}

impl CalendarEntry {
    /// The longest task that makes its caretaker busy: what lasts longer is done beside other things.
    pub const BUSY_TASK_MAX: TimeDelta = TimeDelta::hours(24);

    /// Its title, in a language where it has none of its own.
    pub fn title_in(&self, language: Language) -> &str {
        match (&self.title, language) {
            (Some(title), _) => title,
            (None, Language::Polish) => "Wystawianie faktur",
            (None, Language::English) => "Invoices",
        }
    }

    /// The total order of the calendar: by start, kind, id and which one of its series.
    pub fn key(&self) -> (DateTime<Utc>, CalendarKind, Option<Uuid>, Option<DateTime<Utc>>) {
        (self.span.start, self.kind, self.id, self.occurrence_at)
    }

    /// Whether its operator has time for nothing else meanwhile: a planned or held interaction that lasts, or a task to do
    /// at a time of day that has both a start and a due date, a day of 24 hours apart at most.
    pub fn is_busy(&self) -> bool {
        let is_work = match self.kind {
            CalendarKind::Interaction => matches!(self.status, CalendarStatus::Planned | CalendarStatus::Held),
            CalendarKind::Task | CalendarKind::RecurringTask => {
                self.days.is_none()
                    && self.has_start_and_due
                    && matches!(self.status, CalendarStatus::Open | CalendarStatus::InProgress)
                    && self.span.length() <= Self::BUSY_TASK_MAX
            }
            CalendarKind::InvoiceRun => false,
        };
        is_work && self.span.length() > TimeDelta::zero()
    }
}

/// The same time in as few spans as it takes, in order: those that overlap or touch become one. Moments are dropped.
pub fn merged(mut spans: Vec<Span>) -> Vec<Span> {
    spans.retain(|span| span.start < span.end);
    spans.sort_unstable();
    let mut merged: Vec<Span> = Vec::new();
    for span in spans {
        match merged.last_mut() {
            Some(last) if span.start <= last.end => last.end = last.end.max(span.end),
            _ => merged.push(span),
        }
    }
    merged
}

/// What is left of some time when the busy time is taken out. Both as [`merged`] gives them.
pub fn free(time: &[Span], busy: &[Span]) -> Vec<Span> {
    let mut free = Vec::new();
    let mut busy = busy.iter().peekable();
    for span in time {
        let mut start = span.start;
        while let Some(next) = busy.peek().filter(|next| next.start < span.end) {
            if start < next.start {
                free.push(Span { start, end: next.start });
            }
            start = start.max(next.end);
            if next.end > span.end {
                // It reaches into the time after this.
                break;
            }
            busy.next();
        }
        if start < span.end {
            free.push(Span { start, end: span.end });
        }
    }
    free
}

/// The working hours of the working days of Poland that meet a window, cut at its ends. `to` is after `from`, on the clocks
/// of the time zone; where they show a time twice, the hours are the longer ones.
pub fn working_hours(window: Span, from: NaiveTime, to: NaiveTime, zone: Tz) -> Vec<Span> {
    let at = |day: NaiveDate, time: NaiveTime, is_end: bool| {
        let local = day.and_time(time);
        let found = zone.from_local_datetime(&local);
        let found = if is_end { found.latest() } else { found.earliest() };
        found.map_or_else(|| end_of_gap(local, zone), |moment| moment.with_timezone(&Utc))
    };
    let hours = days_of(window, zone).filter(|day| is_working_day(*day)).filter_map(|day| {
        let hours = Span { start: at(day, from, false), end: at(day, to, true) };
        hours.intersection(window)
    });
    merged(hours.collect())
}

/// The calendar days that a window with a length has a moment of, in the time zone.
pub fn days_of(window: Span, zone: Tz) -> impl Iterator<Item = NaiveDate> {
    let first_on = day_of(window.start, zone);
    first_on.iter_days().take_while(move |day| day_bounds(*day, zone).0 < window.end)
}

/// Meetings of one operator that overlap: each of them at least one of the others. Together they last without a gap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict<K> {
    pub operator_id: OperatorId,
    pub span: Span,
    /// Two or more, by start.
    pub keys: Vec<K>,
}

/// The conflicts among meetings, by operator and start. Those that only touch are none, and what has no length meets
/// nothing.
pub fn conflicts<K: Ord + Copy>(meetings: impl IntoIterator<Item = (OperatorId, Span, K)>) -> Vec<Conflict<K>> {
    let mut by_operator: BTreeMap<OperatorId, Vec<(Span, K)>> = BTreeMap::new();
    for (operator_id, span, key) in meetings {
        if span.start < span.end {
            by_operator.entry(operator_id).or_default().push((span, key));
        }
    }
    let mut conflicts: Vec<Conflict<K>> = Vec::new();
    for (operator_id, mut meetings) in by_operator {
        meetings.sort_unstable();
        let mut group: Option<Conflict<K>> = None;
        for (span, key) in meetings {
            match &mut group {
                Some(group) if span.start < group.span.end => {
                    group.span.end = group.span.end.max(span.end);
                    group.keys.push(key);
                }
                _ => conflicts.extend(group.replace(Conflict { operator_id, span, keys: vec![key] })),
            }
        }
        conflicts.extend(group);
    }
    conflicts.retain(|conflict| conflict.keys.len() > 1);
    conflicts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(minutes: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_790_000_000 + minutes * 60, 0).expect("a moment")
    }

    fn span((start, length): (i64, i64)) -> Span {
        Span { start: at(start), end: at(start + length) }
    }

    fn spans() -> impl Strategy<Value = Vec<Span>> {
        proptest::collection::vec((0_i64..300, 0_i64..40).prop_map(span), 0..20)
    }

    fn covers(spans: &[Span], minute: i64) -> bool {
        spans.iter().any(|span| span.start <= at(minute) && at(minute) < span.end)
    }

    fn instant(text: &str) -> DateTime<Utc> {
        text.parse().expect(text)
    }

    fn hours(from: &str, to: &str, start: &str, end: &str, zone: Tz) -> Vec<(String, String)> {
        let window = Span { start: instant(from), end: instant(to) };
        let time = |text: &str| NaiveTime::parse_from_str(text, "%H:%M").expect(text);
        let text = |moment: DateTime<Utc>| moment.format("%FT%RZ").to_string();
        let hours = working_hours(window, time(start), time(end), zone);
        hours.into_iter().map(|span| (text(span.start), text(span.end))).collect()
    }

    #[test]
    fn working_hours_are_those_of_the_clocks_on_working_days() {
        let pair = |start: &str, end: &str| (start.to_owned(), end.to_owned());
        // The clocks go forward on Sunday, 29 March 2026; the Saturday before it is not worked either.
        assert_eq!(
            hours("2026-03-27T00:00:00Z", "2026-03-31T00:00:00Z", "08:00", "16:00", Tz::Europe__Warsaw),
            [pair("2026-03-27T07:00Z", "2026-03-27T15:00Z"), pair("2026-03-30T06:00Z", "2026-03-30T14:00Z")]
        );
        // Back on Sunday, 25 October; 2 November is a Monday after All Saints'. The window cuts both ends.
        assert_eq!(
            hours("2026-10-23T10:00:00Z", "2026-10-26T09:30:00Z", "08:00", "16:00", Tz::Europe__Warsaw),
            [pair("2026-10-23T10:00Z", "2026-10-23T14:00Z"), pair("2026-10-26T07:00Z", "2026-10-26T09:30Z")]
        );
        // 11 November is a Wednesday, and free.
        assert_eq!(hours("2026-11-11T00:00:00Z", "2026-11-11T22:00:00Z", "00:00", "23:59", Tz::Europe__Warsaw), []);
        // Cairo puts its clocks from 00:00 to 01:00 on Friday, 24 April 2026: the night shift starts when there is a time.
        assert_eq!(
            hours("2026-04-23T22:00:00Z", "2026-04-24T06:00:00Z", "00:30", "02:00", Tz::Africa__Cairo),
            [pair("2026-04-23T22:00Z", "2026-04-23T23:00Z")]
        );
    }

    #[test]
    fn touching_meetings_are_no_conflict() {
        let (jan, anna) = (OperatorId(Uuid::from_u128(1)), OperatorId(Uuid::from_u128(2)));
        let meetings = [
            (jan, span((0, 30)), 1),
            (jan, span((30, 30)), 2), // begins as the first ends
            (jan, span((100, 60)), 3),
            (jan, span((120, 10)), 4), // within the third
            (jan, span((150, 60)), 5), // meets the third
            (anna, span((110, 10)), 6),
            (jan, span((125, 0)), 7), // a moment
        ];
        let found = conflicts(meetings);
        assert_eq!(found, [Conflict { operator_id: jan, span: span((100, 110)), keys: vec![3, 4, 5] }]);
    }

    proptest! {
        #[test]
        fn merged_spans_are_the_same_time_apart_from_each_other(all in spans()) {
            let merged = merged(all.clone());
            prop_assert!(merged.windows(2).all(|pair| pair[0].end < pair[1].start));
            prop_assert!(merged.iter().all(|span| span.start < span.end));
            for minute in -1..350 {
                prop_assert_eq!(covers(&merged, minute), covers(&all, minute));
            }
        }

        #[test]
        fn what_is_free_is_the_time_that_is_not_busy(time in spans(), busy in spans()) {
            let (time, busy) = (merged(time), merged(busy));
            let free = free(&time, &busy);
            prop_assert!(free.iter().all(|span| span.start < span.end));
            prop_assert!(free.windows(2).all(|pair| pair[0].end <= pair[1].start));
            for minute in -1..350 {
                prop_assert_eq!(covers(&free, minute), covers(&time, minute) && !covers(&busy, minute));
            }
        }

        #[test]
        fn a_meeting_is_in_conflict_where_it_overlaps_another(all in spans(), two in any::<bool>()) {
            let operator = |index: usize| OperatorId(Uuid::from_u128(if two && index.is_multiple_of(2) { 2 } else { 1 }));
            let meetings = || all.iter().enumerate().map(|(index, span)| (operator(index), *span, index));
            let found = conflicts(meetings());
            for (who, span, key) in meetings() {
                let overlaps = meetings().any(|(other_who, other, other_key)| {
                    who == other_who && key != other_key && span.intersection(other).is_some()
                });
                let groups: Vec<_> = found.iter().filter(|group| group.keys.contains(&key)).collect();
                prop_assert_eq!(groups.len(), usize::from(overlaps));
                for group in groups {
                    prop_assert_eq!(group.operator_id, who);
                    prop_assert!(group.span.start <= span.start && span.end <= group.span.end);
                }
            }
            prop_assert!(found.is_sorted_by_key(|group| (group.operator_id, group.span)));
        }

        #[test]
        fn the_days_of_a_window_hold_it(start in 0_i64..500_000, length in 1_i64..10_000) {
            let (window, zone) = (span((start, length)), Tz::Europe__Warsaw);
            let days: Vec<_> = days_of(window, zone).collect();
            let (first, last) = (days[0], days[days.len() - 1]);
            prop_assert!(day_bounds(first, zone).0 <= window.start && window.start < day_bounds(first, zone).1);
            prop_assert!(day_bounds(last, zone).0 < window.end && window.end <= day_bounds(last, zone).1);
            prop_assert!(days.windows(2).all(|pair| pair[0].succ_opt() == Some(pair[1])));
        }
    }
}
