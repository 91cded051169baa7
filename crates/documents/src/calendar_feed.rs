//! The calendar as calendar programs take it: a published iCalendar feed (RFC 5545, RFC 7986).

use crate::icalendar::{Lines, TimeZoneDefinition, utc};
use chrono::{DateTime, Days, Utc};
use chrono_tz::Tz;
use opiekun_domain::calendar::{CalendarEntry, CalendarKind, CalendarStatus, DaySpan, Span};
use opiekun_domain::calendar_feed::TasksAs;
use opiekun_domain::ids::{CustomerId, OrganizationId};
use opiekun_domain::language::Language;
use opiekun_domain::task::TaskPriority;
use std::collections::HashMap;

/// What stands after the `@` of each UID. It is no host: addresses change, and what was subscribed to stays the same.
const UID_SUFFIX: &str = "@opiekun";
/// How often programs are asked to look again.
const REFRESH: &str = "PT15M";
/// Where an instance of a series that has become a task begins to count its revisions. The dates before it count those of
/// the series, which are fewer, so that the count never falls.
const TASK_REVISIONS: i32 = 1_000_000;

/// What all entries of a feed have in common.
#[derive(Debug)]
pub struct CalendarFeed<'a> {
    pub organization_id: OrganizationId,
    /// How programs name the calendar.
    pub name: &'a str,
    pub zone: Tz,
    /// What the feed shows.
    pub window: Span,
    pub language: Language,
    pub tasks_as: TasksAs,
    /// The moment of what has none of its own: days of invoices.
    pub created_at: DateTime<Utc>,
    /// By the ids that entries have.
    pub customer_names: &'a HashMap<CustomerId, String>,
}

impl CalendarFeed<'_> {
    /// The whole file. The same entries always give the same bytes.
    pub fn write(&self, entries: &[CalendarEntry]) -> Vec<u8> {
        let mut lines = Lines::default();
        let clocks = TimeZoneDefinition::covering(self.zone, self.window.start, self.window.end);
        lines.begin("VCALENDAR");
        lines.value("VERSION", "2.0");
        lines.value("PRODID", "-//Opiekun//Calendar feed//EN");
        lines.value("CALSCALE", "GREGORIAN");
        // The second name and the third interval are what programs understood before RFC 7986.
        lines.text("NAME", self.name);
        lines.text("X-WR-CALNAME", self.name);
        lines.text("X-WR-TIMEZONE", self.zone.name());
        lines.value("REFRESH-INTERVAL;VALUE=DURATION", REFRESH);
        lines.value("X-PUBLISHED-TTL", REFRESH);
        clocks.write(&mut lines);
        for entry in entries {
            let is_task = matches!(entry.kind, CalendarKind::Task | CalendarKind::RecurringTask);
            if is_task && self.tasks_as == TasksAs::Todo {
                self.write_todo(&mut lines, &clocks, entry);
            } else {
                self.write_event(&mut lines, &clocks, entry);
            }
        }
        lines.end("VCALENDAR");
        lines.into_bytes()
    }

    fn write_event(&self, lines: &mut Lines, clocks: &TimeZoneDefinition, entry: &CalendarEntry) {
        lines.begin("VEVENT");
        self.write_identity(lines, entry);
        let (start, end) = (entry.span.start, entry.span.end);
        match entry.days {
            Some(DaySpan { start_on, end_on }) => {
                lines.day("DTSTART", start_on);
                lines.day("DTEND", end_on);
            }
            None if whole_seconds(start) < whole_seconds(end) => {
                clocks.write_moments(lines, &[("DTSTART", start), ("DTEND", end)]);
            }
            // It ends as it starts, which DTEND must not say (RFC 5545, 3.8.2.2), and which not every program takes from
            // there being none.
            None => {
                clocks.write_moments(lines, &[("DTSTART", start)]);
                lines.value("DURATION", "PT0S");
            }
        }
        self.write_text(lines, entry);
        lines.value(
            "STATUS",
            match entry.status {
                CalendarStatus::Cancelled | CalendarStatus::NotHeld => "CANCELLED",
                CalendarStatus::Open
                | CalendarStatus::InProgress
                | CalendarStatus::Done
                | CalendarStatus::Planned
                | CalendarStatus::Held => "CONFIRMED",
            },
        );
        lines.value("TRANSP", if entry.is_busy() { "OPAQUE" } else { "TRANSPARENT" });
        write_priority(lines, entry);
        lines.end("VEVENT");
    }

    fn write_todo(&self, lines: &mut Lines, clocks: &TimeZoneDefinition, entry: &CalendarEntry) {
        lines.begin("VTODO");
        self.write_identity(lines, entry);
        let (start, end) = (entry.span.start, entry.span.end);
        match entry.days {
            Some(DaySpan { start_on, .. }) if !entry.is_due => lines.day("DTSTART", start_on),
            Some(DaySpan { start_on, end_on }) => {
                let due_on = end_on - Days::new(1);
                // What is due must be due later than it starts (RFC 5545, 3.8.2.3).
                if start_on < due_on {
                    lines.day("DTSTART", start_on);
                }
                lines.day("DUE", due_on);
            }
            None if !entry.is_due => clocks.write_moments(lines, &[("DTSTART", start)]),
            None if whole_seconds(start) < whole_seconds(end) => {
                clocks.write_moments(lines, &[("DTSTART", start), ("DUE", end)]);
            }
            None => clocks.write_moments(lines, &[("DUE", end)]),
        }
        self.write_text(lines, entry);
        lines.value(
            "STATUS",
            match entry.status {
                CalendarStatus::Open | CalendarStatus::Planned => "NEEDS-ACTION",
                CalendarStatus::InProgress => "IN-PROCESS",
                CalendarStatus::Done | CalendarStatus::Held => "COMPLETED",
                CalendarStatus::Cancelled | CalendarStatus::NotHeld => "CANCELLED",
            },
        );
        if let Some(percent) = entry.percent_done {
            lines.value("PERCENT-COMPLETE", &percent.to_string());
        }
        if let Some(closed_at) = entry.closed_at.filter(|_| entry.status == CalendarStatus::Done) {
            lines.moment("COMPLETED", closed_at);
        }
        write_priority(lines, entry);
        lines.end("VTODO");
    }

    /// Which entry it is, in which revision.
    fn write_identity(&self, lines: &mut Lines, entry: &CalendarEntry) {
        lines.value("UID", &format!("{}{UID_SUFFIX}", self.identity(entry)));
        lines.moment("DTSTAMP", entry.updated_at.unwrap_or(self.created_at));
        lines.value("SEQUENCE", &revision(entry).to_string());
        if let Some(created_at) = entry.created_at {
            lines.moment("CREATED", created_at);
        }
        if let Some(updated_at) = entry.updated_at {
            lines.moment("LAST-MODIFIED", updated_at);
        }
    }

    /// What it is known by for ever. A date of a series and the task that it becomes are one.
    fn identity(&self, entry: &CalendarEntry) -> String {
        match (entry.task_series_id, entry.occurrence_at, entry.id) {
            (Some(series), Some(occurrence_at), _) => format!("series-{series}-{}", utc(occurrence_at)),
            (_, _, Some(id)) => format!("{}-{id}", entry.kind),
            (_, _, None) => {
                let day = entry.days.map_or(entry.span.start.date_naive(), |days| days.start_on);
                format!("{}-{}-{}", entry.kind, self.organization_id, day.format("%Y%m%d"))
            }
        }
    }

    fn write_text(&self, lines: &mut Lines, entry: &CalendarEntry) {
        let title = entry.title_in(self.language);
        match entry.customer_id.and_then(|id| self.customer_names.get(&id)) {
            Some(customer) => lines.text("SUMMARY", &format!("{title} – {customer}")),
            None => lines.text("SUMMARY", title),
        }
        if let Some(description) = &entry.description {
            lines.text("DESCRIPTION", description);
        }
        let category = match (entry.kind, self.language) {
            (CalendarKind::Task | CalendarKind::RecurringTask, Language::Polish) => "Zadanie",
            (CalendarKind::Task | CalendarKind::RecurringTask, Language::English) => "Task",
            (CalendarKind::Interaction, Language::Polish) => "Kontakt",
            (CalendarKind::Interaction, Language::English) => "Interaction",
            (CalendarKind::InvoiceRun, Language::Polish) => "Faktury",
            (CalendarKind::InvoiceRun, Language::English) => "Invoices",
        };
        lines.text("CATEGORIES", category);
    }
}

/// Which revision of an entry it is: it rises with every change of what the entry is read from.
fn revision(entry: &CalendarEntry) -> i32 {
    let version = entry.version.unwrap_or_default();
    match entry.kind {
        CalendarKind::Task if entry.occurrence_at.is_some() => TASK_REVISIONS.saturating_add(version),
        CalendarKind::RecurringTask => version.min(TASK_REVISIONS),
        CalendarKind::Task | CalendarKind::Interaction => version,
        CalendarKind::InvoiceRun => i32::from(entry.status == CalendarStatus::Done),
    }
}

/// From 1, which presses most, to 9 (RFC 5545, 3.8.1.9).
fn write_priority(lines: &mut Lines, entry: &CalendarEntry) {
    if let Some(priority) = entry.priority {
        lines.value(
            "PRIORITY",
            match priority {
                TaskPriority::Urgent => "1",
                TaskPriority::High => "3",
                TaskPriority::Normal => "5",
                TaskPriority::Low => "9",
            },
        );
    }
}

/// A moment as readers see it: iCalendar knows no parts of seconds.
fn whole_seconds(moment: DateTime<Utc>) -> i64 {
    moment.timestamp()
}

#[cfg(test)]
mod tests {
    use super::*;
    use opiekun_domain::ids::TaskSeriesId;

    fn instant(text: &str) -> DateTime<Utc> {
        text.parse().expect(text)
    }

    /// A task that stands for an hour on 25 November.
    fn task() -> CalendarEntry {
        let span = Span { start: instant("2026-11-25T08:00:00Z"), end: instant("2026-11-25T09:00:00Z") };
        CalendarEntry {
            kind: CalendarKind::Task,
            id: Some("0192f0c1-7a10-7cc1-9d5e-0f3b8a61c2aa".parse().expect("an id")),
            title: Some("VAT return".to_owned()),
            description: None,
            span,
            days: None,
            operator_id: None,
            registered_by_id: None,
            customer_id: None,
            thread_id: None,
            task_series_id: None,
            occurrence_at: None,
            status: CalendarStatus::Open,
            overdue: false,
            percent_done: Some(40),
            priority: Some(TaskPriority::High),
            has_start_and_due: true,
            is_due: true,
            invoices: None,
            version: Some(3),
            created_at: Some(instant("2026-11-01T10:00:00.123456Z")),
            updated_at: Some(instant("2026-11-02T11:30:00.654321Z")),
            closed_at: None,
        }
    }

    fn days(start_on: &str, end_on: &str) -> Option<DaySpan> {
        Some(DaySpan { start_on: start_on.parse().expect(start_on), end_on: end_on.parse().expect(end_on) })
    }

    fn file(tasks_as: TasksAs, entries: &[CalendarEntry]) -> String {
        let customer_names = HashMap::from([(customer(), "Nowak, Syn i S-ka".to_owned())]);
        let feed = CalendarFeed {
            organization_id: OrganizationId("0192f0c1-0000-7000-8000-000000000001".parse().expect("an id")),
            name: "Kropka; Anna",
            zone: Tz::Europe__Warsaw,
            window: Span { start: instant("2026-06-01T00:00:00Z"), end: instant("2026-12-01T00:00:00Z") },
            language: Language::Polish,
            tasks_as,
            created_at: instant("2026-10-01T00:00:00Z"),
            customer_names: &customer_names,
        };
        String::from_utf8(feed.write(entries)).expect("text")
    }

    fn customer() -> CustomerId {
        CustomerId("0192f0c1-0000-7000-8000-000000000002".parse().expect("an id"))
    }

    /// The lines of the one entry of a file.
    fn component(tasks_as: TasksAs, entry: CalendarEntry) -> Vec<String> {
        let file = file(tasks_as, &[entry]);
        let (_, rest) = file.split_once("END:VTIMEZONE\r\n").expect("a time zone");
        let rest = rest.strip_suffix("END:VCALENDAR\r\n").expect("an end");
        rest.replace("\r\n ", "").split_terminator("\r\n").map(str::to_owned).collect()
    }

    fn event(entry: CalendarEntry) -> Vec<String> {
        component(TasksAs::Event, entry)
    }

    fn value<'a>(lines: &'a [String], name: &str) -> Option<&'a str> {
        lines.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
    }

    #[test]
    fn a_feed_says_what_it_is() {
        let file = file(TasksAs::Event, &[]);
        let head = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Opiekun//Calendar feed//EN\r\nCALSCALE:GREGORIAN\r\n\
                    NAME:Kropka\\; Anna\r\nX-WR-CALNAME:Kropka\\; Anna\r\nX-WR-TIMEZONE:Europe/Warsaw\r\n\
                    REFRESH-INTERVAL;VALUE=DURATION:PT15M\r\nX-PUBLISHED-TTL:PT15M\r\n\
                    BEGIN:VTIMEZONE\r\nTZID:Europe/Warsaw\r\n\
                    BEGIN:STANDARD\r\nDTSTART:20260101T010000\r\nTZOFFSETFROM:+0100\r\nTZOFFSETTO:+0100\r\nTZNAME:CET\r\nEND:STANDARD\r\n\
                    BEGIN:DAYLIGHT\r\nDTSTART:20260329T020000\r\nTZOFFSETFROM:+0100\r\nTZOFFSETTO:+0200\r\nTZNAME:CEST\r\nEND:DAYLIGHT\r\n\
                    BEGIN:STANDARD\r\nDTSTART:20261025T030000\r\nTZOFFSETFROM:+0200\r\nTZOFFSETTO:+0100\r\nTZNAME:CET\r\nEND:STANDARD\r\n\
                    END:VTIMEZONE\r\nEND:VCALENDAR\r\n";
        assert_eq!(file, head);
    }

    #[test]
    fn a_task_is_an_event_of_its_time() {
        let entry =
            CalendarEntry { customer_id: Some(customer()), description: Some("Jeden\nDwa".to_owned()), ..task() };
        assert_eq!(
            event(entry),
            [
                "BEGIN:VEVENT",
                "UID:task-0192f0c1-7a10-7cc1-9d5e-0f3b8a61c2aa@opiekun",
                "DTSTAMP:20261102T113000Z",
                "SEQUENCE:3",
                "CREATED:20261101T100000Z",
                "LAST-MODIFIED:20261102T113000Z",
                "DTSTART;TZID=Europe/Warsaw:20261125T090000",
                "DTEND;TZID=Europe/Warsaw:20261125T100000",
                "SUMMARY:VAT return – Nowak\\, Syn i S-ka",
                "DESCRIPTION:Jeden\\nDwa",
                "CATEGORIES:Zadanie",
                "STATUS:CONFIRMED",
                "TRANSP:OPAQUE",
                "PRIORITY:3",
                "END:VEVENT",
            ]
        );
    }

    #[test]
    fn whole_days_end_before_the_day_after() {
        let lines = event(CalendarEntry { days: days("2026-11-25", "2026-11-28"), ..task() });
        assert_eq!(value(&lines, "DTSTART;VALUE=DATE"), Some("20261125"));
        assert_eq!(value(&lines, "DTEND;VALUE=DATE"), Some("20261128"));
        assert_eq!(value(&lines, "TRANSP"), Some("TRANSPARENT"));
    }

    #[test]
    fn a_deadline_alone_ends_when_it_starts() {
        let moment = instant("2026-11-25T08:00:00Z");
        let mut entry = CalendarEntry { span: Span { start: moment, end: moment }, has_start_and_due: false, ..task() };
        let lines = event(entry.clone());
        assert_eq!(value(&lines, "DTSTART;TZID=Europe/Warsaw"), Some("20261125T090000"));
        assert_eq!(value(&lines, "DURATION"), Some("PT0S"));
        assert!(!lines.iter().any(|line| line.starts_with("DTEND")), "{lines:?}");
        assert_eq!(value(&lines, "TRANSP"), Some("TRANSPARENT"));
        // Half a second is nothing that a reader sees.
        entry.span.end = instant("2026-11-25T08:00:00.5Z");
        assert_eq!(event(entry), lines);
    }

    #[test]
    fn a_task_is_a_thing_to_do_where_that_is_asked_for() {
        let lines = component(TasksAs::Todo, task());
        assert_eq!(value(&lines, "DTSTART;TZID=Europe/Warsaw"), Some("20261125T090000"));
        assert_eq!(value(&lines, "DUE;TZID=Europe/Warsaw"), Some("20261125T100000"));
        assert_eq!(value(&lines, "STATUS"), Some("NEEDS-ACTION"));
        assert_eq!(value(&lines, "PERCENT-COMPLETE"), Some("40"));
        assert_eq!((lines[0].as_str(), value(&lines, "TRANSP")), ("BEGIN:VTODO", None));

        let done = CalendarEntry {
            status: CalendarStatus::Done,
            closed_at: Some(instant("2026-11-25T08:30:00Z")),
            days: days("2026-11-25", "2026-11-26"),
            ..task()
        };
        let lines = component(TasksAs::Todo, done.clone());
        assert_eq!(value(&lines, "DUE;VALUE=DATE"), Some("20261125"));
        assert_eq!(value(&lines, "COMPLETED"), Some("20261125T083000Z"));
        assert!(!lines.iter().any(|line| line.starts_with("DTSTART")), "what is due is due later than it starts");
        let lines = component(TasksAs::Todo, CalendarEntry { days: days("2026-11-25", "2026-11-28"), ..done });
        assert_eq!(value(&lines, "DTSTART;VALUE=DATE"), Some("20261125"));
        assert_eq!(value(&lines, "DUE;VALUE=DATE"), Some("20261127"));

        let moment = instant("2026-11-25T08:00:00Z");
        let span = Span { start: moment, end: moment };
        let lines = component(TasksAs::Todo, CalendarEntry { span, is_due: false, has_start_and_due: false, ..task() });
        assert_eq!(value(&lines, "DTSTART;TZID=Europe/Warsaw"), Some("20261125T090000"));
        assert!(!lines.iter().any(|line| line.starts_with("DUE")), "it is never due: {lines:?}");
        let interaction = CalendarEntry { kind: CalendarKind::Interaction, status: CalendarStatus::Planned, ..task() };
        assert_eq!(component(TasksAs::Todo, interaction)[0], "BEGIN:VEVENT");
    }

    #[test]
    fn a_date_of_a_series_stays_the_same_when_it_becomes_a_task() {
        let series = TaskSeriesId("0192f0c1-0000-7000-8000-000000000003".parse().expect("an id"));
        let date = CalendarEntry {
            kind: CalendarKind::RecurringTask,
            id: Some(series.0),
            task_series_id: Some(series),
            occurrence_at: Some(instant("2026-11-25T09:00:00Z")),
            version: Some(7),
            ..task()
        };
        let made = CalendarEntry { kind: CalendarKind::Task, id: task().id, version: Some(1), ..date.clone() };
        let (before, after) = (event(date), event(made));
        let uid = "series-0192f0c1-0000-7000-8000-000000000003-20261125T090000Z@opiekun";
        assert_eq!(value(&before, "UID"), Some(uid));
        assert_eq!(value(&after, "UID"), Some(uid));
        assert_eq!(value(&before, "SEQUENCE"), Some("7"));
        assert_eq!(value(&after, "SEQUENCE"), Some("1000001"));
    }

    #[test]
    fn a_day_of_invoices_is_one_a_day() {
        let day = CalendarEntry {
            kind: CalendarKind::InvoiceRun,
            id: None,
            title: None,
            days: days("2026-12-01", "2026-12-02"),
            status: CalendarStatus::Planned,
            percent_done: None,
            priority: None,
            version: None,
            created_at: None,
            updated_at: None,
            ..task()
        };
        let lines = event(day.clone());
        assert_eq!(value(&lines, "UID"), Some("invoice_run-0192f0c1-0000-7000-8000-000000000001-20261201@opiekun"));
        assert_eq!(value(&lines, "DTSTAMP"), Some("20261001T000000Z"));
        assert_eq!(value(&lines, "SUMMARY"), Some("Wystawianie faktur"));
        assert_eq!(value(&lines, "SEQUENCE"), Some("0"));
        let done = event(CalendarEntry { status: CalendarStatus::Done, ..day });
        assert_eq!(value(&done, "SEQUENCE"), Some("1"));
    }

    #[test]
    fn what_was_called_off_is_told_as_such() {
        for (status, as_event, as_todo) in [
            (CalendarStatus::Open, "CONFIRMED", "NEEDS-ACTION"),
            (CalendarStatus::InProgress, "CONFIRMED", "IN-PROCESS"),
            (CalendarStatus::Done, "CONFIRMED", "COMPLETED"),
            (CalendarStatus::Cancelled, "CANCELLED", "CANCELLED"),
        ] {
            let entry = CalendarEntry { status, ..task() };
            assert_eq!(value(&event(entry.clone()), "STATUS"), Some(as_event));
            assert_eq!(value(&component(TasksAs::Todo, entry), "STATUS"), Some(as_todo));
        }
        let entry = CalendarEntry { kind: CalendarKind::Interaction, status: CalendarStatus::NotHeld, ..task() };
        assert_eq!(value(&event(entry), "STATUS"), Some("CANCELLED"));
    }
}
