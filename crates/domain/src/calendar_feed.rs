//! Calendar feeds: a part of the calendar that calendar programs subscribe to.

use chrono::{DateTime, Days, Utc};
use chrono_tz::Tz;

use crate::calendar::Span;
use crate::calendar_day::{day_bounds, day_of};

vocabulary! {
    /// What calendar programs are given for a task: `event` puts it into the calendar, `todo` into the list of things to
    /// do, which not every program has.
    TasksAs { Event = "event", Todo = "todo" }
}

/// How many whole days a feed shows before and after the day that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeedDays {
    pub past: u16,
    pub future: u16,
}

impl FeedDays {
    /// What a feed shows at a moment: it moves on once a day, at midnight in the time zone.
    pub fn window(self, now: DateTime<Utc>, zone: Tz) -> Span {
        let today = day_of(now, zone);
        let first_on = today.checked_sub_days(Days::new(self.past.into())).unwrap_or(today);
        let last_on = today.checked_add_days(Days::new(self.future.into())).unwrap_or(today);
        Span { start: day_bounds(first_on, zone).0, end: day_bounds(last_on, zone).1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(now: &str, past: u16, future: u16) -> (String, String) {
        let now: DateTime<Utc> = now.parse().expect(now);
        let Span { start, end } = FeedDays { past, future }.window(now, Tz::Europe__Warsaw);
        (start.format("%FT%RZ").to_string(), end.format("%FT%RZ").to_string())
    }

    #[test]
    fn a_feed_shows_whole_days_of_the_time_zone() {
        let pair = |start: &str, end: &str| (start.to_owned(), end.to_owned());
        // Half past one on 26 November in Warsaw; the clocks were put back in between.
        assert_eq!(window("2026-11-26T00:30:00Z", 92, 0), pair("2026-08-25T22:00Z", "2026-11-26T23:00Z"));
        assert_eq!(window("2026-11-25T23:00:00Z", 0, 1), pair("2026-11-25T23:00Z", "2026-11-27T23:00Z"));
        assert_eq!(window("2026-11-25T22:59:59Z", 0, 1), pair("2026-11-24T23:00Z", "2026-11-26T23:00Z"));
        // The day itself has 25 hours.
        assert_eq!(window("2026-10-25T12:00:00Z", 0, 0), pair("2026-10-24T22:00Z", "2026-10-25T23:00Z"));
    }
}
