//! What a time zone's clocks show over some years: the VTIMEZONE of RFC 5545, 3.6.5.

use super::{Lines, local};
use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeDelta, TimeZone, Utc};
use chrono_tz::{OffsetComponents, OffsetName, Tz};

/// No clock is changed twice within so much time.
const STEP: TimeDelta = TimeDelta::hours(24);

/// A time zone as it is told to readers, from the beginning of one year to the end of another. What lies outside of that
/// is told in UTC.
#[derive(Debug)]
pub(crate) struct TimeZoneDefinition {
    zone: Tz,
    from: DateTime<Utc>,
    before: DateTime<Utc>,
    observances: Vec<Observance>,
}

/// What the clocks show from some moment on.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Observance {
    /// On the clocks as they were until then.
    onset: NaiveDateTime,
    seconds_before: i32,
    seconds_after: i32,
    /// CET, CEST; some zones have none.
    name: Option<String>,
    is_daylight: bool,
}

/// How a zone's clocks stand at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Standing {
    seconds: i32,
    /// What summer adds; less than nothing where winter is the exception (Ireland, Morocco).
    daylight: TimeDelta,
    name: Option<String>,
}

impl TimeZoneDefinition {
    /// The zone in all years that have a moment between two instants, so that it changes but once a year as they move on.
    pub(crate) fn covering(zone: Tz, from: DateTime<Utc>, before: DateTime<Utc>) -> Self {
        let start_of =
            |year: i32| NaiveDate::from_ymd_opt(year, 1, 1).map(|day| day.and_time(NaiveTime::MIN).and_utc());
        let from = start_of(from.year()).unwrap_or(from);
        let before = before.year().checked_add(1).and_then(start_of).unwrap_or(before);
        Self { zone, from, before, observances: observances(zone, from, before) }
    }

    pub(crate) fn write(&self, lines: &mut Lines) {
        lines.begin("VTIMEZONE");
        lines.value("TZID", self.zone.name());
        for observance in &self.observances {
            let kind = if observance.is_daylight { "DAYLIGHT" } else { "STANDARD" };
            lines.begin(kind);
            lines.value("DTSTART", &local(observance.onset));
            lines.value("TZOFFSETFROM", &offset(observance.seconds_before));
            lines.value("TZOFFSETTO", &offset(observance.seconds_after));
            if let Some(name) = &observance.name {
                lines.text("TZNAME", name);
            }
            lines.end(kind);
        }
        lines.end("VTIMEZONE");
    }

    /// Writes two moments, or one, under their names: as the zone's clocks show them, or all in UTC where a reader could
    /// take one for another. That is in the hour that clocks show twice: RFC 5545 (3.3.5) means the first pass, and not
    /// every reader does.
    pub(crate) fn write_moments(&self, lines: &mut Lines, moments: &[(&str, DateTime<Utc>)]) {
        let times: Option<Vec<NaiveDateTime>> = moments.iter().map(|(_, moment)| self.clocks(*moment)).collect();
        match times {
            Some(times) => {
                for ((name, _), time) in moments.iter().zip(times) {
                    lines.value(&format!("{name};TZID={}", self.zone.name()), &local(time));
                }
            }
            None => moments.iter().for_each(|(name, moment)| lines.moment(name, *moment)),
        }
    }

    /// What the clocks show at a moment, where that tells the moment without a doubt.
    fn clocks(&self, moment: DateTime<Utc>) -> Option<NaiveDateTime> {
        let is_utc = self.observances.iter().all(|it| it.seconds_after == 0 && it.name.as_deref() == Some("UTC"));
        if is_utc || moment < self.from || moment >= self.before {
            return None;
        }
        let time = moment.with_timezone(&self.zone).naive_local();
        self.zone.from_local_datetime(&time).single().map(|_| time)
    }
}

/// How the clocks stand when the time begins, and every change until it ends.
fn observances(zone: Tz, from: DateTime<Utc>, before: DateTime<Utc>) -> Vec<Observance> {
    let mut standing = Standing::of(zone, from);
    let mut changes = vec![(from, standing.clone(), standing.clone())];
    let mut seen = from;
    while seen < before {
        let next = before.min(seen + STEP);
        if Standing::of(zone, next) == standing {
            seen = next;
            continue;
        }
        seen = change_within(zone, &standing, seen, next);
        let after = Standing::of(zone, seen);
        changes.push((seen, standing, after.clone()));
        standing = after;
    }
    let has_winter_time = changes.iter().any(|(_, _, after)| after.daylight < TimeDelta::zero());
    changes
        .into_iter()
        .filter(|(moment, _, _)| *moment < before)
        .map(|(moment, before, after)| Observance {
            onset: moment.naive_utc() + TimeDelta::seconds(before.seconds.into()),
            seconds_before: before.seconds,
            seconds_after: after.seconds,
            is_daylight: if has_winter_time {
                after.daylight == TimeDelta::zero()
            } else {
                after.daylight > TimeDelta::zero()
            },
            name: after.name,
        })
        .collect()
}

/// The first second at which the clocks don't stand any more as they did at `seen`; at `next` they don't.
fn change_within(zone: Tz, standing: &Standing, mut seen: DateTime<Utc>, mut next: DateTime<Utc>) -> DateTime<Utc> {
    while next - seen > TimeDelta::seconds(1) {
        let middle = seen + TimeDelta::seconds((next - seen).num_seconds() / 2);
        if Standing::of(zone, middle) == *standing { seen = middle } else { next = middle }
    }
    next
}

impl Standing {
    fn of(zone: Tz, moment: DateTime<Utc>) -> Self {
        let offset = zone.offset_from_utc_datetime(&moment.naive_utc());
        Self {
            seconds: offset.fix().local_minus_utc(),
            daylight: offset.dst_offset(),
            name: offset.abbreviation().map(str::to_owned),
        }
    }
}

/// `+0200`; with seconds only where there are any.
fn offset(seconds: i32) -> String {
    let sign = if seconds < 0 { '-' } else { '+' };
    let (minutes, rest) = (seconds.abs() / 60, seconds.abs() % 60);
    let text = format!("{sign}{:02}{:02}", minutes / 60, minutes % 60);
    if rest == 0 { text } else { format!("{text}{rest:02}") }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn instant(text: &str) -> DateTime<Utc> {
        text.parse().expect(text)
    }

    /// Each observance on one line.
    fn told(zone: Tz, from: &str, before: &str) -> Vec<String> {
        TimeZoneDefinition::covering(zone, instant(from), instant(before))
            .observances
            .iter()
            .map(|it| {
                let kind = if it.is_daylight { "daylight" } else { "standard" };
                let (before, after) = (offset(it.seconds_before), offset(it.seconds_after));
                format!("{} {before} {after} {} {kind}", local(it.onset), it.name.as_deref().unwrap_or("-"))
            })
            .collect()
    }

    #[test]
    fn warsaw_has_two_changes_a_year() {
        assert_eq!(
            told(Tz::Europe__Warsaw, "2026-03-01T00:00:00Z", "2026-12-31T23:00:00Z"),
            [
                "20260101T010000 +0100 +0100 CET standard",
                "20260329T020000 +0100 +0200 CEST daylight",
                "20261025T030000 +0200 +0100 CET standard",
            ]
        );
        // Ten years of it: two a year, and how they begin.
        assert_eq!(told(Tz::Europe__Warsaw, "2020-01-01T00:00:00Z", "2029-06-01T00:00:00Z").len(), 21);
    }

    #[test]
    fn a_zone_without_changes_is_told_once() {
        assert_eq!(
            told(Tz::Asia__Tokyo, "2024-05-01T00:00:00Z", "2028-05-01T00:00:00Z"),
            ["20240101T090000 +0900 +0900 JST standard"]
        );
        assert_eq!(
            told(Tz::UTC, "2026-05-01T00:00:00Z", "2026-06-01T00:00:00Z"),
            ["20260101T000000 +0000 +0000 UTC standard"]
        );
        // Half an hour, and west of Greenwich.
        assert_eq!(
            told(Tz::Pacific__Marquesas, "2026-05-01T00:00:00Z", "2026-06-01T00:00:00Z"),
            ["20251231T143000 -0930 -0930 - standard"]
        );
    }

    #[test]
    fn a_change_of_the_rules_is_a_change_like_any_other() {
        // Turkey stayed on its summer time in September 2016, from then on called its standard time.
        assert_eq!(
            told(Tz::Europe__Istanbul, "2015-06-01T00:00:00Z", "2017-06-01T00:00:00Z"),
            [
                "20150101T020000 +0200 +0200 EET standard",
                "20150329T030000 +0200 +0300 EEST daylight",
                "20151108T040000 +0300 +0200 EET standard",
                "20160327T030000 +0200 +0300 EEST daylight",
                "20160907T000000 +0300 +0300 - standard",
            ]
        );
    }

    #[test]
    fn winter_time_that_is_the_exception_is_no_summer_time() {
        // Morocco puts its clocks back for Ramadan.
        assert_eq!(
            told(Tz::Africa__Casablanca, "2026-01-01T00:00:00Z", "2026-12-01T00:00:00Z"),
            [
                "20260101T010000 +0100 +0100 - daylight",
                "20260215T030000 +0100 +0000 - standard",
                "20260322T020000 +0000 +0100 - daylight",
            ]
        );
        assert_eq!(
            told(Tz::Europe__Dublin, "2026-01-01T00:00:00Z", "2026-12-01T00:00:00Z"),
            [
                "20260101T000000 +0000 +0000 GMT standard",
                "20260329T010000 +0000 +0100 IST daylight",
                "20261025T020000 +0100 +0000 GMT standard",
            ]
        );
    }

    #[test]
    fn offsets_have_seconds_only_where_they_need_them() {
        assert_eq!(offset(0), "+0000");
        assert_eq!(offset(-34_200), "-0930");
        assert_eq!(offset(5_040), "+0124");
        assert_eq!(offset(-17_762), "-045602");
    }

    fn moments(zone: Tz, moments: &[&str]) -> String {
        let definition =
            TimeZoneDefinition::covering(zone, instant("2026-01-01T00:00:00Z"), instant("2026-12-01T00:00:00Z"));
        let mut lines = Lines::default();
        let named: Vec<_> = ["DTSTART", "DTEND"].into_iter().zip(moments.iter().map(|text| instant(text))).collect();
        definition.write_moments(&mut lines, &named);
        String::from_utf8(lines.into_bytes()).expect("text")
    }

    #[test]
    fn what_clocks_show_twice_is_told_in_utc() {
        let warsaw = |texts: &[&str]| moments(Tz::Europe__Warsaw, texts);
        assert_eq!(warsaw(&["2026-10-24T23:30:00Z"]), "DTSTART;TZID=Europe/Warsaw:20261025T013000\r\n");
        // 02:30 in both passes.
        assert_eq!(warsaw(&["2026-10-25T00:30:00Z"]), "DTSTART:20261025T003000Z\r\n");
        assert_eq!(warsaw(&["2026-10-25T01:30:00Z"]), "DTSTART:20261025T013000Z\r\n");
        assert_eq!(warsaw(&["2026-10-25T02:00:00Z"]), "DTSTART;TZID=Europe/Warsaw:20261025T030000\r\n");
        // One end of the two is enough.
        assert_eq!(
            warsaw(&["2026-10-24T23:30:00Z", "2026-10-25T00:30:00Z"]),
            "DTSTART:20261024T233000Z\r\nDTEND:20261025T003000Z\r\n"
        );
        // Before and after the hour that is skipped.
        assert_eq!(
            warsaw(&["2026-03-29T00:59:59Z", "2026-03-29T01:00:00Z"]),
            "DTSTART;TZID=Europe/Warsaw:20260329T015959\r\nDTEND;TZID=Europe/Warsaw:20260329T030000\r\n"
        );
    }

    #[test]
    fn what_no_definition_covers_is_told_in_utc() {
        assert_eq!(moments(Tz::Europe__Warsaw, &["2025-12-31T23:59:59Z"]), "DTSTART:20251231T235959Z\r\n");
        assert_eq!(moments(Tz::Europe__Warsaw, &["2027-01-01T00:00:00Z"]), "DTSTART:20270101T000000Z\r\n");
        assert_eq!(moments(Tz::UTC, &["2026-05-01T12:00:00Z"]), "DTSTART:20260501T120000Z\r\n");
        assert_eq!(
            moments(Tz::Europe__London, &["2026-01-02T12:00:00Z"]),
            "DTSTART;TZID=Europe/London:20260102T120000\r\n"
        );
    }

    proptest! {
        /// A reader that knows nothing but the definition finds the moment again.
        #[test]
        fn the_definition_tells_the_moment(index in 0..chrono_tz::TZ_VARIANTS.len(), year in 1972_i32..2100, seconds in 0_i64..31_536_000) {
            let zone = chrono_tz::TZ_VARIANTS[index];
            let start = NaiveDate::from_ymd_opt(year, 1, 1).expect("a day").and_time(NaiveTime::MIN).and_utc();
            let moment = start + TimeDelta::seconds(seconds);
            let definition = TimeZoneDefinition::covering(zone, start, moment);
            if let Some(time) = definition.clocks(moment) {
                let last = definition.observances.iter().rev().find(|it| {
                    it.onset - TimeDelta::seconds(it.seconds_before.into()) <= moment.naive_utc()
                });
                let seconds_after = last.expect("an observance").seconds_after;
                prop_assert_eq!(time - TimeDelta::seconds(seconds_after.into()), moment.naive_utc());
            }
        }
    }
}
