//! Calendar days: what a day is in a time zone, and which days are worked in Poland.

use chrono::{
    DateTime, Datelike, Days, Months, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeDelta, TimeZone, Utc, Weekday,
};
use chrono_tz::Tz;

use crate::language::Language;
use crate::schedule::IssueDayShift;

/// The instants at which `day` and the day after it begin in the time zone: the half-open span of the day.
///
/// A day has 23 or 25 hours when the clocks change, begins at one o'clock where its midnight is skipped, and is empty
/// where the whole day is (Samoa had no 30 December 2011). Where midnight comes twice, the first one counts. Spans of
/// consecutive days touch, so every instant is in exactly one.
pub fn day_bounds(day: NaiveDate, tz: Tz) -> (DateTime<Utc>, DateTime<Utc>) {
    let start = start_of_day(day, tz);
    (start, day.succ_opt().map_or(start, |next| start_of_day(next, tz)))
}

/// The instants at which the month that begins on `first_on` and the one after it begin in the time zone.
pub fn month_bounds(first_on: NaiveDate, tz: Tz) -> (DateTime<Utc>, DateTime<Utc>) {
    let start = start_of_day(first_on, tz);
    (start, first_on.checked_add_months(Months::new(1)).map_or(start, |next| start_of_day(next, tz)))
}

/// The calendar day that it is at an instant in the time zone.
pub fn day_of(instant: DateTime<Utc>, tz: Tz) -> NaiveDate {
    local(instant.naive_utc(), tz).date()
}

/// Whether work is done on a day in Poland: neither a Saturday, a Sunday nor a public holiday.
pub fn is_working_day(day: NaiveDate) -> bool {
    !matches!(day.weekday(), Weekday::Sat | Weekday::Sun) && !is_public_holiday(day)
}

/// Whether a day is free from work by law in Poland. Sundays are free too, but only those that are holidays themselves
/// answer yes.
pub fn is_public_holiday(day: NaiveDate) -> bool {
    public_holiday(day).is_some()
}

/// A day that is free from work by law in Poland, by its names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicHoliday {
    polish: &'static str,
    english: &'static str,
}

impl PublicHoliday {
    pub const fn name(self, language: Language) -> &'static str {
        match language {
            Language::Polish => self.polish,
            Language::English => self.english,
        }
    }
}

/// The public holiday that a day is in Poland (ustawa z 18 stycznia 1951 r. o dniach wolnych od pracy, Dz.U. 1951 nr 4 poz. 28,
/// art. 1; of 12 November 2018, ustawa z 7 listopada 2018 r., Dz.U. 2018 poz. 2117).
///
/// Holds for the years since 1990, when 3 May became one; Epiphany came back in 2011, and Christmas Eve is one since
/// 2025. The names are those of the law.
pub fn public_holiday(day: NaiveDate) -> Option<PublicHoliday> {
    let (polish, english) = match (day.month(), day.day()) {
        (1, 1) => ("Nowy Rok", "New Year's Day"),
        (1, 6) if day.year() >= 2011 => ("Święto Trzech Króli", "Epiphany"),
        (5, 1) => ("Święto Państwowe", "Labour Day"),
        (5, 3) => ("Święto Narodowe Trzeciego Maja", "Constitution Day"),
        (8, 15) => ("Wniebowzięcie Najświętszej Maryi Panny", "Assumption of Mary"),
        (11, 1) => ("Wszystkich Świętych", "All Saints' Day"),
        (11, 11) => ("Narodowe Święto Niepodległości", "Independence Day"),
        (11, 12) if day.year() == 2018 => {
            ("Święto Narodowe z okazji Setnej Rocznicy Odzyskania Niepodległości", "Centenary of Independence")
        }
        (12, 24) if day.year() >= 2025 => ("Wigilia Bożego Narodzenia", "Christmas Eve"),
        (12, 25) => ("Pierwszy dzień Bożego Narodzenia", "Christmas Day"),
        (12, 26) => ("Drugi dzień Bożego Narodzenia", "Second Day of Christmas"),
        _ => match day.signed_duration_since(easter_sunday(day.year())?).num_days() {
            0 => ("Pierwszy dzień Wielkiej Nocy", "Easter Sunday"),
            1 => ("Drugi dzień Wielkiej Nocy", "Easter Monday"),
            49 => ("Pierwszy dzień Zielonych Świątek", "Pentecost"),
            60 => ("Dzień Bożego Ciała", "Corpus Christi"),
            _ => return None,
        },
    };
    Some(PublicHoliday { polish, english })
}

/// The day itself where it is worked, else the nearest working day on the side asked for.
pub fn shift_to_working_day(day: NaiveDate, shift: IssueDayShift) -> NaiveDate {
    let step = match shift {
        IssueDayShift::None => return day,
        IssueDayShift::Before => NaiveDate::pred_opt,
        IssueDayShift::After => NaiveDate::succ_opt,
    };
    // Falls back on the day itself only where chrono's calendar ends.
    std::iter::successors(Some(day), step).find(|day| is_working_day(*day)).unwrap_or(day)
}

fn start_of_day(day: NaiveDate, tz: Tz) -> DateTime<Utc> {
    let midnight = day.and_time(NaiveTime::MIN);
    let found = tz.from_local_datetime(&midnight).earliest();
    found.map_or_else(|| end_of_gap(midnight, tz), |start| start.with_timezone(&Utc))
}

/// The first instant whose local time is not before `skipped`, a local time that the clocks jump over.
///
/// No zone is a day or more away from UTC, and no clock jumps by more than a day, so the instant lies within two days.
pub(crate) fn end_of_gap(skipped: NaiveDateTime, tz: Tz) -> DateTime<Utc> {
    let mut before = skipped.checked_sub_days(Days::new(2)).unwrap_or(NaiveDateTime::MIN);
    let mut not_before = skipped.checked_add_days(Days::new(2)).unwrap_or(NaiveDateTime::MAX);
    while not_before.signed_duration_since(before) > TimeDelta::seconds(1) {
        let seconds = not_before.signed_duration_since(before).num_seconds() / 2;
        let middle = before.checked_add_signed(TimeDelta::seconds(seconds)).unwrap_or(not_before);
        if local(middle, tz) < skipped { before = middle } else { not_before = middle }
    }
    not_before.and_utc()
}

/// The local time at a moment of UTC; UTC itself where chrono's calendar ends.
pub(crate) fn local(utc: NaiveDateTime, tz: Tz) -> NaiveDateTime {
    utc.checked_add_offset(tz.offset_from_utc_datetime(&utc).fix()).unwrap_or(utc)
}

/// Easter Sunday of the Gregorian calendar, by the anonymous algorithm (Meeus, Jones and Butcher).
fn easter_sunday(year: i32) -> Option<NaiveDate> {
    let golden = year.rem_euclid(19);
    let (century, of_century) = (year.div_euclid(100), year.rem_euclid(100));
    let moon_correction = (century - (century + 8).div_euclid(25) + 1).div_euclid(3);
    let epact = (19 * golden + century - century.div_euclid(4) - moon_correction + 15).rem_euclid(30);
    let weekday = (32 + 2 * century.rem_euclid(4) + 2 * (of_century / 4) - epact - of_century % 4).rem_euclid(7);
    let late = (golden + 11 * epact + 22 * weekday) / 451;
    let days = epact + weekday - 7 * late + 114;
    let (month, day) = (days / 31, days % 31 + 1);
    NaiveDate::from_ymd_opt(year, u32::try_from(month).ok()?, u32::try_from(day).ok()?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().expect(text)
    }

    fn instant(text: &str) -> DateTime<Utc> {
        text.parse().expect(text)
    }

    fn bounds(text: &str, tz: Tz) -> (String, String) {
        let (start, end) = day_bounds(day(text), tz);
        (start.format("%FT%TZ").to_string(), end.format("%FT%TZ").to_string())
    }

    fn span(start: &str, end: &str) -> (String, String) {
        (start.to_owned(), end.to_owned())
    }

    #[test]
    fn a_day_is_shorter_or_longer_when_the_clocks_change() {
        let warsaw = Tz::Europe__Warsaw;
        assert_eq!(bounds("2026-11-23", warsaw), span("2026-11-22T23:00:00Z", "2026-11-23T23:00:00Z"));
        assert_eq!(bounds("2026-03-29", warsaw), span("2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z")); // 23 hours
        assert_eq!(bounds("2026-10-25", warsaw), span("2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z")); // 25 hours
    }

    #[test]
    fn a_month_lasts_from_its_first_midnight_to_that_of_the_next() {
        let bounds = |first: &str| {
            let (start, end) = month_bounds(day(first), Tz::Europe__Warsaw);
            (start.format("%FT%TZ").to_string(), end.format("%FT%TZ").to_string())
        };
        assert_eq!(bounds("2026-10-01"), span("2026-09-30T22:00:00Z", "2026-10-31T23:00:00Z"));
        assert_eq!(bounds("2026-12-01"), span("2026-11-30T23:00:00Z", "2026-12-31T23:00:00Z"));
    }

    #[test]
    fn a_day_without_midnight_begins_when_the_gap_ends() {
        // São Paulo put its clocks from 00:00 to 01:00 on 4 November 2018.
        let sao_paulo = Tz::America__Sao_Paulo;
        assert_eq!(bounds("2018-11-04", sao_paulo), span("2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z"));
        // Samoa went over the date line: after 29 December 2011 came the 31st.
        let apia = Tz::Pacific__Apia;
        assert_eq!(bounds("2011-12-30", apia), span("2011-12-30T10:00:00Z", "2011-12-30T10:00:00Z"));
        assert_eq!(bounds("2011-12-31", apia), span("2011-12-30T10:00:00Z", "2011-12-31T10:00:00Z"));
    }

    #[test]
    fn where_midnight_comes_twice_the_first_counts() {
        // Havana puts its clocks from 01:00 back to 00:00; St. John's did so from 00:01 to 23:01 of the day before.
        assert_eq!(bounds("2026-11-01", Tz::America__Havana), span("2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z"));
        assert_eq!(bounds("2006-10-29", Tz::America__St_Johns).0, "2006-10-29T02:30:00Z");
    }

    #[test]
    fn an_instant_is_on_the_day_of_its_zone() {
        let late = instant("2026-11-22T23:30:00Z");
        assert_eq!(day_of(late, Tz::Europe__Warsaw), day("2026-11-23"));
        assert_eq!(day_of(late, Tz::UTC), day("2026-11-22"));
        assert_eq!(day_of(late, Tz::America__New_York), day("2026-11-22"));
    }

    #[test]
    fn easter_falls_where_the_church_has_it() {
        for (year, sunday) in [
            (1990, "1990-04-15"),
            (2000, "2000-04-23"),
            (2008, "2008-03-23"),
            (2011, "2011-04-24"),
            (2024, "2024-03-31"),
            (2025, "2025-04-20"),
            (2026, "2026-04-05"),
            (2027, "2027-03-28"),
            (2038, "2038-04-25"),
        ] {
            assert_eq!(easter_sunday(year), Some(day(sunday)));
        }
    }

    #[test]
    fn public_holidays_of_2026() {
        let holidays: Vec<_> = day("2026-01-01")
            .iter_days()
            .take(365)
            .filter(|day| is_public_holiday(*day))
            .map(|day| day.to_string())
            .collect();
        assert_eq!(
            holidays,
            [
                "2026-01-01",
                "2026-01-06",
                "2026-04-05",
                "2026-04-06",
                "2026-05-01",
                "2026-05-03",
                "2026-05-24",
                "2026-06-04",
                "2026-08-15",
                "2026-11-01",
                "2026-11-11",
                "2026-12-24",
                "2026-12-25",
                "2026-12-26",
            ]
        );
    }

    #[test]
    fn holidays_count_since_the_law_says_so() {
        assert!(!is_public_holiday(day("2024-12-24")) && is_public_holiday(day("2025-12-24")));
        assert!(!is_public_holiday(day("2010-01-06")) && is_public_holiday(day("2011-01-06")));
        assert!(is_public_holiday(day("2018-11-12")) && !is_public_holiday(day("2019-11-12")));
    }

    #[test]
    fn an_issue_day_moves_over_the_whole_holiday() {
        // Christmas Eve 2026 is a Thursday; with the weekend, work is done on the 23rd and again on the 28th.
        for free in ["2026-12-24", "2026-12-25", "2026-12-26", "2026-12-27"] {
            assert_eq!(shift_to_working_day(day(free), IssueDayShift::Before), day("2026-12-23"));
            assert_eq!(shift_to_working_day(day(free), IssueDayShift::After), day("2026-12-28"));
            assert_eq!(shift_to_working_day(day(free), IssueDayShift::None), day(free));
        }
        assert_eq!(shift_to_working_day(day("2026-12-28"), IssueDayShift::Before), day("2026-12-28"));
    }

    fn zones() -> impl Strategy<Value = Tz> {
        proptest::sample::select(vec![
            Tz::UTC,
            Tz::Europe__Warsaw,
            Tz::America__Sao_Paulo,
            Tz::America__Havana,
            Tz::America__St_Johns,
            Tz::Asia__Kathmandu,
            Tz::Asia__Beirut,
            Tz::Australia__Lord_Howe,
            Tz::Pacific__Kiritimati,
            Tz::Africa__Cairo,
        ])
    }

    proptest! {
        #[test]
        fn a_day_holds_the_instants_that_are_on_it(tz in zones(), since_1975 in 0_u64..30_000) {
            let day = day("1975-01-01").checked_add_days(Days::new(since_1975)).expect("a day");
            let (start, end) = day_bounds(day, tz);
            prop_assert!(start < end);
            prop_assert_eq!(day_of(start, tz), day);
            prop_assert!(day_of(start - TimeDelta::seconds(1), tz) < day);
            let next = day.succ_opt().expect("a day");
            prop_assert_eq!(end, day_bounds(next, tz).0);
            let hours = end.signed_duration_since(start).num_minutes();
            prop_assert!((22 * 60..=26 * 60).contains(&hours));
        }

        #[test]
        fn no_day_panics(days in any::<i32>(), tz in zones()) {
            for day in [NaiveDate::MIN, NaiveDate::MAX].into_iter().chain(NaiveDate::from_num_days_from_ce_opt(days)) {
                let (start, end) = day_bounds(day, tz);
                prop_assert!(start <= end);
                is_working_day(day);
                shift_to_working_day(day, IssueDayShift::Before);
                shift_to_working_day(day, IssueDayShift::After);
            }
            day_of(DateTime::<Utc>::MIN_UTC, tz);
            day_of(DateTime::<Utc>::MAX_UTC, tz);
        }

        #[test]
        fn shifting_keeps_the_order_of_days(since_1990 in 0_u64..30_000) {
            let day = day("1990-01-01").checked_add_days(Days::new(since_1990)).expect("a day");
            let next = day.succ_opt().expect("a day");
            for shift in IssueDayShift::ALL {
                prop_assert!(shift_to_working_day(day, *shift) <= shift_to_working_day(next, *shift));
            }
            prop_assert!(is_working_day(shift_to_working_day(day, IssueDayShift::After)));
            prop_assert!(is_working_day(shift_to_working_day(day, IssueDayShift::Before)));
        }
    }
}
