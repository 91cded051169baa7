//! The calendar: tasks, dates of series for which there is no task yet, interactions and days of invoices in a period.
//!
//! All of it is read in one statement, which sees one state of the database: an instance that is made meanwhile stands
//! there once, as a date of its series or as a task.

use crate::db::Tx;
use crate::error::Result;
use crate::organizations::time_zone;
use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use chrono_tz::Tz;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Date, Integer, Nullable, SmallInt, Text, Timestamptz};
use opiekun_domain::calendar::{CalendarEntry, CalendarKind, CalendarStatus, DaySpan, InvoiceDay, Span, days_of};
use opiekun_domain::calendar_day::{day_bounds, day_of};
use opiekun_domain::ids::{CustomerId, OperatorId, TaskSeriesId, ThreadId};
use opiekun_domain::permission::{Permission, PermissionSet};
use opiekun_domain::recurrence::{Recurrence, Rule};
use opiekun_domain::task::{TaskDates, TaskPriority};
use uuid::Uuid;

/// What is asked. All that is given must hold.
#[derive(Debug, Clone)]
pub struct CalendarFilter {
    /// The period; it has a length.
    pub window: Span,
    pub kinds: Vec<CalendarKind>,
    /// Any of these; days of invoices are nobody's.
    pub operator_ids: Option<Vec<OperatorId>>,
    /// Who wrote it down; days of invoices nobody has.
    pub registered_by_id: Option<OperatorId>,
    pub customer_id: Option<CustomerId>,
    /// Also cancelled tasks, and interactions that were not held.
    pub with_cancelled: bool,
    /// With what was written about each: 1 000 letters of it, so that many entries stay few bytes.
    pub with_description: bool,
}

impl CalendarFilter {
    /// All there is in a period.
    pub fn of(window: Span) -> Self {
        Self {
            window,
            kinds: CalendarKind::ALL.to_vec(),
            operator_ids: None,
            registered_by_id: None,
            customer_id: None,
            with_cancelled: false,
            with_description: false,
        }
    }
}

/// The entries of a period, in their order.
#[derive(Debug)]
pub enum Entries {
    All(Vec<CalendarEntry>),
    /// More than were allowed for.
    TooMany,
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    kind: CalendarKind,
    #[diesel(sql_type = Nullable<diesel::sql_types::Uuid>)]
    id: Option<Uuid>,
    #[diesel(sql_type = Nullable<Text>)]
    title: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    description: Option<String>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    starts_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    ends_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Bool)]
    all_day: bool,
    #[diesel(sql_type = Nullable<diesel::sql_types::Uuid>)]
    operator_id: Option<OperatorId>,
    #[diesel(sql_type = Nullable<diesel::sql_types::Uuid>)]
    registered_by_id: Option<OperatorId>,
    #[diesel(sql_type = Nullable<diesel::sql_types::Uuid>)]
    customer_id: Option<CustomerId>,
    #[diesel(sql_type = Nullable<diesel::sql_types::Uuid>)]
    thread_id: Option<ThreadId>,
    #[diesel(sql_type = Nullable<diesel::sql_types::Uuid>)]
    task_series_id: Option<TaskSeriesId>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    occurrence_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Text)]
    status: CalendarStatus,
    #[diesel(sql_type = Nullable<SmallInt>)]
    percent_done: Option<i16>,
    #[diesel(sql_type = Nullable<Text>)]
    priority: Option<TaskPriority>,
    #[diesel(sql_type = Bool)]
    is_due: bool,
    #[diesel(sql_type = Bool)]
    is_started: bool,
    #[diesel(sql_type = Nullable<Integer>)]
    version: Option<i32>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    created_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    updated_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    closed_at: Option<DateTime<Utc>>,
    // Of series, whose `starts_at` is their first date.
    #[diesel(sql_type = Nullable<Text>)]
    rule: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    time_zone: Option<String>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    ends_before: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<Integer>)]
    lead_minutes: Option<i32>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    newest_at: Option<DateTime<Utc>>,
    // Of days of invoices.
    #[diesel(sql_type = Nullable<Date>)]
    billed_on: Option<NaiveDate>,
    #[diesel(sql_type = Nullable<BigInt>)]
    due: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    issued: Option<i64>,
}

/// What stands in the calendar, by its order, unless it is more than `at_most`: no more than that is ever held. One
/// statement, if any.
///
/// Days are those of `zone`, the organization's. Days of invoices are for those who may read billing: they are left out for
/// others, and where one asks for operators, since they are nobody's. Of a subscription the next period is known, and those
/// after it are not there yet.
pub fn entries(
    tx: &mut Tx<'_>,
    filter: &CalendarFilter,
    permissions: PermissionSet,
    zone: Tz,
    at_most: usize,
) -> Result<Entries> {
    let sees_invoices = permissions.contains(Permission::BillingRead)
        && filter.operator_ids.is_none()
        && filter.registered_by_id.is_none();
    let kinds = CalendarKind::ALL.iter().filter(|kind| filter.kinds.contains(kind)).filter_map(|kind| match kind {
        CalendarKind::Task => Some(include_str!("calendar/tasks.sql")),
        CalendarKind::RecurringTask => Some(include_str!("calendar/task_series.sql")),
        CalendarKind::Interaction => Some(include_str!("calendar/interactions.sql")),
        CalendarKind::InvoiceRun => sees_invoices.then_some(include_str!("calendar/invoice_runs.sql")),
    });
    let kinds: Vec<&str> = kinds.collect();
    let Some(first_on) = days_of(filter.window, zone).next().filter(|_| !kinds.is_empty()) else {
        return Ok(Entries::All(Vec::new()));
    };
    // The day that holds the last moment of the period.
    let last_on = day_of(filter.window.end - TimeDelta::microseconds(1), zone);
    let rows: Vec<Row> = diesel::sql_query(kinds.join("union all\n"))
        .bind::<diesel::sql_types::Uuid, _>(tx.organization_id())
        .bind::<Timestamptz, _>(filter.window.start)
        .bind::<Timestamptz, _>(filter.window.end)
        .bind::<Nullable<Array<diesel::sql_types::Uuid>>, _>(filter.operator_ids.as_ref())
        .bind::<Nullable<diesel::sql_types::Uuid>, _>(filter.registered_by_id)
        .bind::<Nullable<diesel::sql_types::Uuid>, _>(filter.customer_id)
        .bind::<Bool, _>(filter.with_cancelled)
        .bind::<Bool, _>(filter.with_description)
        .bind::<BigInt, _>(i64::try_from(at_most.saturating_add(1)).unwrap_or(i64::MAX))
        .bind::<Date, _>(first_on)
        .bind::<Date, _>(last_on + Days::new(1))
        .load(tx.conn)?;
    let mut entries = Vec::with_capacity(rows.len().min(at_most));
    let mut series = 0;
    for row in rows {
        match row.kind {
            CalendarKind::RecurringTask => {
                series += 1;
                row.dates(filter.window, tx.now, zone, at_most.saturating_add(1), &mut entries);
            }
            CalendarKind::Task | CalendarKind::Interaction => entries.extend(row.entry(tx.now, zone)),
            CalendarKind::InvoiceRun => entries.extend(row.invoices(zone)),
        }
        if entries.len() > at_most || series > at_most {
            return Ok(Entries::TooMany);
        }
    }
    entries.sort_unstable_by_key(CalendarEntry::key);
    Ok(Entries::All(entries))
}

impl Row {
    /// A task or an interaction.
    fn entry(self, now: DateTime<Utc>, zone: Tz) -> Option<CalendarEntry> {
        let span = Span { start: self.starts_at?, end: self.ends_at? };
        let days = self.all_day.then(|| whole_days(span, zone));
        let (is_due, is_started) = (self.is_due, self.is_started);
        let overdue = is_due && self.closed_at.is_none() && span.end < now;
        Some(self.with(span, days, overdue, is_due && is_started))
    }

    /// The dates of a series that meet the period and come after its newest instance, up to a number of all entries.
    fn dates(&self, window: Span, now: DateTime<Utc>, zone: Tz, at_most: usize, entries: &mut Vec<CalendarEntry>) {
        let Some(recurrence) = self.recurrence() else { return };
        let lead = self.lead_minutes.map(|minutes| TimeDelta::minutes(minutes.into()));
        // An instance of whole days lasts until its day ends, and starts up to a day before its lead.
        let slack = if self.all_day { TimeDelta::days(2) } else { TimeDelta::zero() };
        let from = window.start.checked_sub_signed(slack).unwrap_or(window.start);
        let from = from.max(self.newest_at.map_or(from, |newest| newest + TimeDelta::microseconds(1)));
        let before =
            window.end.checked_add_signed(lead.unwrap_or_default() + slack).unwrap_or(DateTime::<Utc>::MAX_UTC);
        let before = self.ends_before.map_or(before, |ends_before| before.min(ends_before));
        // The few that end before the period are not among those that are asked for.
        let limit = at_most.saturating_sub(entries.len()).saturating_add(8);
        for due_at in recurrence.between(from, before, limit) {
            let dates = TaskDates::of_instance(due_at, lead, self.all_day, recurrence.zone());
            let (Some(start), Some(end)) = (dates.starts_at(), dates.ends_at(zone)) else { continue };
            let span = Span { start, end };
            if !span.is_within(window) {
                continue;
            }
            let days = self.all_day.then(|| whole_days(span, zone));
            let entry = Self {
                title: self.title.clone(),
                description: self.description.clone(),
                occurrence_at: Some(due_at),
                rule: None,
                time_zone: None,
                ..*self
            };
            entries.push(entry.with(span, days, end < now, lead.is_some()));
        }
    }

    fn recurrence(&self) -> Option<Recurrence> {
        let rule: Rule = self.rule.as_ref()?.parse().ok()?;
        Recurrence::new(rule, time_zone(self.time_zone.as_ref()?), self.starts_at?).ok()
    }

    /// A day of invoices.
    fn invoices(self, zone: Tz) -> Option<CalendarEntry> {
        let start_on = self.billed_on?;
        let (start, end) = day_bounds(start_on, zone);
        let days = DaySpan { start_on, end_on: start_on + Days::new(1) };
        Some(self.with(Span { start, end }, Some(days), false, false))
    }

    fn with(self, span: Span, days: Option<DaySpan>, overdue: bool, has_start_and_due: bool) -> CalendarEntry {
        CalendarEntry {
            kind: self.kind,
            id: self.id,
            title: self.title,
            description: self.description,
            span,
            days,
            operator_id: self.operator_id,
            registered_by_id: self.registered_by_id,
            customer_id: self.customer_id,
            thread_id: self.thread_id,
            task_series_id: self.task_series_id,
            occurrence_at: self.occurrence_at,
            status: self.status,
            overdue,
            percent_done: self.percent_done,
            priority: self.priority,
            has_start_and_due,
            is_due: self.is_due,
            invoices: self.due.zip(self.issued).map(|(due, issued)| InvoiceDay { due, issued }),
            version: self.version,
            created_at: self.created_at,
            updated_at: self.updated_at,
            closed_at: self.closed_at,
        }
    }
}

/// The days of something of whole days. Where the organization has moved to another time zone since, its midnights are not
/// those of the zone, and it is still so many days.
fn whole_days(span: Span, zone: Tz) -> DaySpan {
    let start_on = day_of(span.start, zone);
    // A day has 23 to 25 hours, and many days together are off by no more than one of them.
    let days = u64::try_from((span.length().num_hours() + 12) / 24).unwrap_or_default();
    DaySpan { start_on, end_on: start_on + Days::new(days.max(1)) }
}
