//! The automatic run: what is due is issued by itself, once a day, at an hour of the organization's own time zone.

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

use crate::calendar_day::{day_bounds, day_of, end_of_gap};

/// When an organization has its runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DailyRun {
    /// From 0 to 23.
    pub hour: i16,
    /// When the hour was set: the first run is of the first day whose hour comes after it.
    pub set_at: DateTime<Utc>,
}

impl DailyRun {
    /// The day of which a run is due at a moment: today in the time zone, once its hour has come, where no run is of today
    /// already. What was missed of earlier days is no run of its own: the one of today issues whatever is due.
    pub fn due(self, now: DateTime<Utc>, time_zone: Tz, last_on: Option<NaiveDate>) -> Option<NaiveDate> {
        let today = day_of(now, time_zone);
        let begins_at = self.begins_at(today, time_zone);
        let has_come = self.set_at < begins_at && begins_at <= now;
        (has_come && last_on.is_none_or(|last_on| last_on < today)).then_some(today)
    }

    /// The moment at which the run of a day is due: the first one at which the clocks show its hour. Where they jump over
    /// it that is the end of the gap, but never later than an hour before the day ends: so that each day has its run, also
    /// where clocks jump from 23:00 to the next day.
    fn begins_at(self, day: NaiveDate, time_zone: Tz) -> DateTime<Utc> {
        let hour = u32::try_from(self.hour).unwrap_or_default();
        let wanted = day.and_time(NaiveTime::from_hms_opt(hour, 0, 0).unwrap_or(NaiveTime::MIN));
        let shown = time_zone.from_local_datetime(&wanted).earliest();
        let begins_at = shown.map_or_else(|| end_of_gap(wanted, time_zone), |shown| shown.with_timezone(&Utc));
        let (day_begins_at, day_ends_at) = day_bounds(day, time_zone);
        let latest = day_ends_at.checked_sub_signed(TimeDelta::hours(1)).unwrap_or(day_ends_at);
        begins_at.min(latest).max(day_begins_at)
    }
}

#[cfg(test)]
mod tests {
    use chrono::Days;
    use proptest::prelude::*;

    use super::*;

    const WARSAW: Tz = Tz::Europe__Warsaw;

    fn day(text: &str) -> NaiveDate {
        text.parse().expect(text)
    }

    fn moment(text: &str) -> DateTime<Utc> {
        text.parse().expect(text)
    }

    const fn at(hour: i16) -> DailyRun {
        DailyRun { hour, set_at: DateTime::<Utc>::MIN_UTC }
    }

    fn begins(hour: i16, on: &str, time_zone: Tz) -> String {
        at(hour).begins_at(day(on), time_zone).format("%FT%TZ").to_string()
    }

    #[test]
    fn a_run_is_due_once_its_hour_has_come_and_for_the_rest_of_the_day() {
        let due = |now: &str, last_on: Option<&str>| at(6).due(moment(now), WARSAW, last_on.map(day));
        assert_eq!(due("2026-11-23T04:59:59.999999Z", None), None);
        assert_eq!(due("2026-11-23T05:00:00Z", None), Some(day("2026-11-23")));
        assert_eq!(due("2026-11-23T05:00:00Z", Some("2026-11-22")), Some(day("2026-11-23")));
        assert_eq!(due("2026-11-23T05:00:30Z", Some("2026-11-23")), None);
        // A node that was down is late, and not a day late.
        assert_eq!(due("2026-11-23T22:59:59Z", Some("2026-11-20")), Some(day("2026-11-23")));
        assert_eq!(due("2026-11-23T23:00:00Z", Some("2026-11-20")), None);
    }

    #[test]
    fn midnight_is_the_first_moment_of_the_organizations_day() {
        let due = |now: &str| at(0).due(moment(now), WARSAW, Some(day("2026-11-22")));
        assert_eq!(due("2026-11-22T22:59:59Z"), None);
        assert_eq!(due("2026-11-22T23:00:00Z"), Some(day("2026-11-23")));
        assert_eq!(at(23).due(moment("2026-11-23T22:00:00Z"), WARSAW, None), Some(day("2026-11-23")));
    }

    #[test]
    fn an_hour_that_is_skipped_is_made_up_for_at_once() {
        // On 29 March 2026 clocks in Warsaw go from 2:00 to 3:00, which is 1:00 UTC.
        assert_eq!(begins(1, "2026-03-29", WARSAW), "2026-03-29T00:00:00Z");
        assert_eq!(begins(2, "2026-03-29", WARSAW), "2026-03-29T01:00:00Z");
        assert_eq!(begins(3, "2026-03-29", WARSAW), "2026-03-29T01:00:00Z");
        assert_eq!(begins(2, "2026-03-30", WARSAW), "2026-03-30T00:00:00Z");
        // In São Paulo the skipped hour was the first of the day, in Nuuk it is the last.
        assert_eq!(begins(0, "2018-11-04", Tz::America__Sao_Paulo), "2018-11-04T03:00:00Z");
        assert_eq!(begins(23, "2026-03-28", Tz::America__Nuuk), "2026-03-29T00:00:00Z");
        assert_eq!(day_of(moment("2026-03-29T00:00:00Z"), Tz::America__Nuuk), day("2026-03-28"));
    }

    #[test]
    fn an_hour_that_comes_twice_has_one_run() {
        // On 25 October 2026 clocks in Warsaw go from 3:00 back to 2:00, which is 1:00 UTC.
        assert_eq!(begins(2, "2026-10-25", WARSAW), "2026-10-25T00:00:00Z");
        assert_eq!(begins(3, "2026-10-25", WARSAW), "2026-10-25T02:00:00Z");
        let again = moment("2026-10-25T01:00:00Z");
        assert_eq!(at(2).due(again, WARSAW, Some(day("2026-10-25"))), None);
        assert_eq!(at(2).due(again, WARSAW, Some(day("2026-10-24"))), Some(day("2026-10-25")));
    }

    #[test]
    fn an_hour_that_had_passed_when_it_was_set_counts_from_the_next_day() {
        let set = |at: &str| DailyRun { hour: 6, set_at: moment(at) };
        let due = |run: DailyRun, now: &str| run.due(moment(now), WARSAW, None);
        for late in ["2026-11-23T05:00:00Z", "2026-11-23T05:00:00.000001Z", "2026-11-23T22:00:00Z"] {
            assert_eq!(due(set(late), "2026-11-23T22:30:00Z"), None, "{late}");
            assert_eq!(due(set(late), "2026-11-24T05:00:00Z"), Some(day("2026-11-24")), "{late}");
        }
        let early = set("2026-11-23T04:59:59Z");
        assert_eq!(due(early, "2026-11-23T04:59:59Z"), None);
        assert_eq!(due(early, "2026-11-23T05:00:00Z"), Some(day("2026-11-23")));
    }

    fn zones() -> impl Strategy<Value = Tz> {
        proptest::sample::select(vec![
            Tz::UTC,
            Tz::Europe__Warsaw,
            Tz::America__Sao_Paulo,
            Tz::America__Havana,
            Tz::America__St_Johns,
            Tz::America__Nuuk,
            Tz::Asia__Kathmandu,
            Tz::Asia__Beirut,
            Tz::Australia__Lord_Howe,
            Tz::Pacific__Kiritimati,
            Tz::Africa__Cairo,
        ])
    }

    proptest! {
        #[test]
        fn each_day_has_a_run_that_begins_on_it(tz in zones(), since_1975 in 0_u64..30_000, hour in 0_i16..24) {
            let day = day("1975-01-01").checked_add_days(Days::new(since_1975)).expect("a day");
            let begins_at = at(hour).begins_at(day, tz);
            let (start, end) = day_bounds(day, tz);
            prop_assert!(start <= begins_at && begins_at < end);
            prop_assert!(hour == 0 || at(hour - 1).begins_at(day, tz) <= begins_at);
        }

        #[test]
        fn looking_often_finds_each_day_once(tz in zones(), since_1975 in 0_u64..30_000, hour in 0_i16..24) {
            let first = day("1975-01-01").checked_add_days(Days::new(since_1975)).expect("a day");
            let mut now = day_bounds(first, tz).0;
            let mut found: Vec<NaiveDate> = Vec::new();
            while found.len() < 3 {
                found.extend(at(hour).due(now, tz, found.last().copied()));
                now += TimeDelta::minutes(10);
                prop_assert!(day_of(now, tz).signed_duration_since(first).num_days() < 5);
            }
            prop_assert!(found.is_sorted_by(|a, b| a < b));
            prop_assert_eq!(found[0], first);
        }

        #[test]
        fn no_day_panics(days in any::<i32>(), tz in zones(), hour in any::<i16>()) {
            for day in [NaiveDate::MIN, NaiveDate::MAX].into_iter().chain(NaiveDate::from_num_days_from_ce_opt(days)) {
                at(hour).begins_at(day, tz);
            }
            for now in [DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC] {
                at(hour).due(now, tz, None);
            }
        }
    }
}
