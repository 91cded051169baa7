//! Work entries: the time that somebody spent on a task.

use crate::cost::Minutes;
use chrono::{DateTime, TimeDelta, Utc};

/// The longest time that one entry tells of: a week.
pub const DURATION_MINUTES_MAX: u32 = 7 * 24 * 60;

/// The minutes of work that a timer measured: a started minute counts whole. At least one, so that what was begun is
/// seen, and at most a week, for the timer that somebody forgot.
pub fn timed_minutes(started_at: DateTime<Utc>, stopped_at: DateTime<Utc>) -> Minutes {
    let elapsed = stopped_at.signed_duration_since(started_at);
    let whole = elapsed.num_minutes();
    let started = if elapsed > TimeDelta::minutes(whole) { whole.saturating_add(1) } else { whole };
    let minutes = u32::try_from(started.max(1)).unwrap_or(u32::MAX).min(DURATION_MINUTES_MAX);
    Minutes::try_from(minutes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn timed(from: &str, to: &str) -> u32 {
        timed_minutes(from.parse().expect(from), to.parse().expect(to)).get()
    }

    #[test]
    fn a_started_minute_counts_whole() {
        assert_eq!(timed("2026-11-23T09:15:00Z", "2026-11-23T09:40:00Z"), 25);
        assert_eq!(timed("2026-11-23T09:15:00Z", "2026-11-23T09:40:00.000001Z"), 26);
        assert_eq!(timed("2026-11-23T09:15:30Z", "2026-11-23T09:16:29Z"), 1);
        assert_eq!(timed("2026-11-23T09:15:30Z", "2026-11-23T09:16:31Z"), 2);
    }

    #[test]
    fn at_least_one_and_at_most_a_week() {
        assert_eq!(timed("2026-11-23T09:15:00Z", "2026-11-23T09:15:00Z"), 1);
        // A clock that was put back in between.
        assert_eq!(timed("2026-11-23T09:15:00Z", "2026-11-22T09:15:00Z"), 1);
        assert_eq!(timed("2026-11-23T09:15:00Z", "2026-11-30T09:15:00Z"), 10_080);
        assert_eq!(timed("2026-11-23T09:15:00Z", "2027-11-23T09:15:00Z"), 10_080);
    }

    proptest! {
        #[test]
        fn what_is_timed_covers_the_time_and_less_than_a_minute_more(microseconds in 1_i64..604_800_000_000) {
            let elapsed = TimeDelta::microseconds(microseconds);
            let minutes = timed_minutes(DateTime::UNIX_EPOCH, DateTime::UNIX_EPOCH + elapsed);
            let timed = TimeDelta::minutes(minutes.get().into());
            prop_assert!(timed >= elapsed && timed - elapsed < TimeDelta::minutes(1));
        }

        #[test]
        fn no_moments_panic(from in any::<i64>(), to in any::<i64>()) {
            let moment = |seconds| DateTime::from_timestamp(seconds, 0).unwrap_or(DateTime::<Utc>::MAX_UTC);
            let minutes = timed_minutes(moment(from), moment(to)).get();
            prop_assert!((1..=DURATION_MINUTES_MAX).contains(&minutes));
            prop_assert_eq!(timed_minutes(DateTime::<Utc>::MIN_UTC, moment(to)).get().min(1), 1);
        }
    }
}
