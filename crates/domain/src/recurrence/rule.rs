//! The text of a rule: reading it, writing it, and what is wrong with it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc, Weekday};

vocabulary! {
    /// How long the periods are in which a rule picks days.
    Frequency { Daily = "DAILY", Weekly = "WEEKLY", Monthly = "MONTHLY", Yearly = "YEARLY" }
}

vocabulary! {
    /// The parts of a rule (RFC 5545, section 3.3.10).
    RulePart {
        Freq = "FREQ",
        Count = "COUNT",
        Until = "UNTIL",
        Interval = "INTERVAL",
        BySecond = "BYSECOND",
        ByMinute = "BYMINUTE",
        ByHour = "BYHOUR",
        ByMonth = "BYMONTH",
        ByWeekNo = "BYWEEKNO",
        ByYearDay = "BYYEARDAY",
        ByMonthDay = "BYMONTHDAY",
        ByDay = "BYDAY",
        BySetPos = "BYSETPOS",
        Wkst = "WKST",
    }
}

/// A rule of RFC 5545, section 3.3.10, such as `FREQ=MONTHLY;BYMONTHDAY=20`.
///
/// It is read in any case, with or without `RRULE:` before it, and has one spelling: parts and numbers in order, and
/// without `INTERVAL=1` and `WKST=MO`, which go without saying.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Rule {
    pub(super) frequency: Frequency,
    pub(super) end: End,
    pub(super) interval: u32,
    pub(super) months: Vec<i64>,
    pub(super) week_numbers: Vec<i64>,
    pub(super) year_days: Vec<i64>,
    pub(super) month_days: Vec<i64>,
    pub(super) weekdays: Vec<RuleWeekday>,
    pub(super) positions: Vec<i64>,
    pub(super) week_start: Weekday,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum End {
    Never,
    AfterCount(usize),
    /// When that day ends in the zone.
    OnDay(NaiveDate),
    /// That instant can be the last date.
    At(DateTime<Utc>),
}

/// Every such weekday, or only the so-manieth one of its month or year, from the end where negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct RuleWeekday {
    pub(super) weekday: Weekday,
    pub(super) ordinal: Option<i64>,
}

/// What is wrong with a rule, or with its first due date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    #[error("a rule has at most {} characters", Rule::TEXT_MAX)]
    TooLong,
    #[error("a rule is made of parts like NAME=value with semicolons between them")]
    NotParts,
    #[error("the rule has a part that RFC 5545 does not know")]
    UnknownPart,
    #[error("{0} is there twice")]
    RepeatedPart(RulePart),
    #[error("{0} is not supported: every date has the first one's time of day")]
    TimeOfDay(RulePart),
    #[error("FREQ has to be DAILY, WEEKLY, MONTHLY or YEARLY")]
    Frequency,
    #[error("{part} takes whole numbers from 1 to {max}")]
    Number { part: RulePart, max: i64 },
    #[error("{part} takes whole numbers from 1 to {max}, or from -1 to -{max} to count from the end")]
    SignedNumber { part: RulePart, max: i64 },
    #[error("BYDAY takes MO, TU, WE, TH, FR, SA and SU, with a number up to 53 before it as in 1MO or -1FR")]
    ByDay,
    #[error("WKST has to be MO, TU, WE, TH, FR, SA or SU")]
    WeekStart,
    #[error("UNTIL has to be a day like 20261231 or a time in UTC like 20261231T225959Z")]
    Until,
    #[error("a rule has COUNT or UNTIL, not both")]
    CountAndUntil,
    #[error("{part} does not go with FREQ={frequency}")]
    NotWithFrequency { part: RulePart, frequency: Frequency },
    #[error("a weekday with a number goes with FREQ=MONTHLY, and with FREQ=YEARLY without BYWEEKNO")]
    NumberedWeekday,
    #[error("BYSETPOS needs another BY part to choose from")]
    PositionsAlone,
    #[error("the first due date is not one of the rule's")]
    FirstNotInRule,
    #[error("the rule ends before the first due date")]
    EndsBeforeFirst,
    #[error("clocks show the time of the first due date twice on that day: the earlier of the two is expected")]
    SecondOfTwo,
    #[error("a first due date in the years 1 to 9999 is expected")]
    OutOfCalendar,
}

impl Rule {
    /// The longest text that is read as a rule.
    pub const TEXT_MAX: usize = 500;

    /// The largest COUNT and the largest INTERVAL.
    pub const NUMBER_MAX: u16 = 9999;

    /// Refuses what RFC 5545, section 3.3.10, says does not go together.
    fn checked(self) -> Result<Self, RuleError> {
        let frequency = self.frequency;
        let (daily, weekly, yearly) = (Frequency::Daily, Frequency::Weekly, Frequency::Yearly);
        let not_with = |part| Err(RuleError::NotWithFrequency { part, frequency });
        if !self.week_numbers.is_empty() && frequency != yearly {
            return not_with(RulePart::ByWeekNo);
        }
        if !self.year_days.is_empty() && frequency != yearly {
            return not_with(RulePart::ByYearDay);
        }
        if !self.month_days.is_empty() && frequency == weekly {
            return not_with(RulePart::ByMonthDay);
        }
        let weekdays_are_plain = [daily, weekly].contains(&frequency) || !self.week_numbers.is_empty();
        if weekdays_are_plain && self.weekdays.iter().any(|picked| picked.ordinal.is_some()) {
            return Err(RuleError::NumberedWeekday);
        }
        let numbers = [&self.months, &self.week_numbers, &self.year_days, &self.month_days];
        if !self.positions.is_empty() && self.weekdays.is_empty() && numbers.iter().all(|list| list.is_empty()) {
            return Err(RuleError::PositionsAlone);
        }
        Ok(self)
    }
}

impl FromStr for Rule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.chars().count() > Self::TEXT_MAX {
            return Err(RuleError::TooLong);
        }
        let text = text.to_ascii_uppercase();
        let mut values = BTreeMap::new();
        for part in text.strip_prefix("RRULE:").unwrap_or(&text).split(';') {
            let (name, value) = part.split_once('=').ok_or(RuleError::NotParts)?;
            let part = name.parse::<RulePart>().map_err(|_| RuleError::UnknownPart)?;
            if matches!(part, RulePart::BySecond | RulePart::ByMinute | RulePart::ByHour) {
                return Err(RuleError::TimeOfDay(part));
            }
            if values.insert(part, value).is_some() {
                return Err(RuleError::RepeatedPart(part));
            }
        }
        let value = |part| values.get(&part).copied();
        let number = |part| value(part).map(|text| read_number(part, text)).transpose();
        let signed = |part, max| value(part).map_or(Ok(Vec::new()), |text| read_signed_numbers(part, text, max));
        let rule = Self {
            frequency: value(RulePart::Freq).and_then(|word| word.parse().ok()).ok_or(RuleError::Frequency)?,
            end: match (number(RulePart::Count)?, value(RulePart::Until)) {
                (None, None) => End::Never,
                (Some(count), None) => End::AfterCount(usize::from(count)),
                (None, Some(text)) => read_until(text).ok_or(RuleError::Until)?,
                (Some(_), Some(_)) => return Err(RuleError::CountAndUntil),
            },
            interval: u32::from(number(RulePart::Interval)?.unwrap_or(1)),
            months: value(RulePart::ByMonth).map_or(Ok(Vec::new()), read_months)?,
            week_numbers: signed(RulePart::ByWeekNo, 53)?,
            year_days: signed(RulePart::ByYearDay, 366)?,
            month_days: signed(RulePart::ByMonthDay, 31)?,
            weekdays: value(RulePart::ByDay).map_or(Some(Vec::new()), read_weekdays).ok_or(RuleError::ByDay)?,
            positions: signed(RulePart::BySetPos, 366)?,
            week_start: value(RulePart::Wkst).map_or(Some(Weekday::Mon), read_weekday).ok_or(RuleError::WeekStart)?,
        };
        rule.checked()
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FREQ={}", self.frequency)?;
        match self.end {
            End::Never => {}
            End::AfterCount(count) => write!(f, ";COUNT={count}")?,
            End::OnDay(last_on) => write!(f, ";UNTIL={}", last_on.format(DAY))?,
            End::At(last_at) => write!(f, ";UNTIL={}", last_at.format(TIME))?,
        }
        if self.interval != 1 {
            write!(f, ";INTERVAL={}", self.interval)?;
        }
        write_list(f, RulePart::ByMonth, &self.months)?;
        write_list(f, RulePart::ByWeekNo, &self.week_numbers)?;
        write_list(f, RulePart::ByYearDay, &self.year_days)?;
        write_list(f, RulePart::ByMonthDay, &self.month_days)?;
        write_list(f, RulePart::ByDay, &self.weekdays)?;
        write_list(f, RulePart::BySetPos, &self.positions)?;
        if self.week_start != Weekday::Mon {
            write_list(f, RulePart::Wkst, &[RuleWeekday { weekday: self.week_start, ordinal: None }])?;
        }
        Ok(())
    }
}

impl fmt::Display for RuleWeekday {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(ordinal) = self.ordinal {
            ordinal.fmt(f)?;
        }
        f.write_str(match self.weekday {
            Weekday::Mon => "MO",
            Weekday::Tue => "TU",
            Weekday::Wed => "WE",
            Weekday::Thu => "TH",
            Weekday::Fri => "FR",
            Weekday::Sat => "SA",
            Weekday::Sun => "SU",
        })
    }
}

const DAY: &str = "%Y%m%d";
const TIME: &str = "%Y%m%dT%H%M%SZ";

fn read_number(part: RulePart, text: &str) -> Result<u16, RuleError> {
    let number = text.parse().ok().filter(|number| (1..=Rule::NUMBER_MAX).contains(number));
    number.ok_or(RuleError::Number { part, max: i64::from(Rule::NUMBER_MAX) })
}

fn read_signed_numbers(part: RulePart, text: &str, max: i64) -> Result<Vec<i64>, RuleError> {
    let numbers = read_list(text, |number| (number != 0 && (-max..=max).contains(&number)).then_some(number));
    numbers.ok_or(RuleError::SignedNumber { part, max })
}

fn read_months(text: &str) -> Result<Vec<i64>, RuleError> {
    let months = read_list(text, |month| (1..=12).contains(&month).then_some(month));
    months.ok_or(RuleError::Number { part: RulePart::ByMonth, max: 12 })
}

fn read_list(text: &str, read: impl Fn(i64) -> Option<i64>) -> Option<Vec<i64>> {
    let mut numbers: Vec<_> =
        text.split(',').map(|number| number.parse().ok().and_then(&read)).collect::<Option<_>>()?;
    numbers.sort_unstable();
    numbers.dedup();
    Some(numbers)
}

fn read_weekdays(text: &str) -> Option<Vec<RuleWeekday>> {
    let read = |text: &str| {
        let (ordinal, weekday) = text.split_at_checked(text.len().checked_sub(2)?)?;
        let weekday = read_weekday(weekday)?;
        if ordinal.is_empty() {
            return Some(RuleWeekday { weekday, ordinal: None });
        }
        let ordinal = ordinal.parse().ok().filter(|ordinal| *ordinal != 0 && (-53..=53).contains(ordinal))?;
        Some(RuleWeekday { weekday, ordinal: Some(ordinal) })
    };
    let mut weekdays = text.split(',').map(read).collect::<Option<Vec<_>>>()?;
    weekdays.sort_unstable_by_key(|picked| (picked.ordinal, picked.weekday.num_days_from_monday()));
    weekdays.dedup();
    Some(weekdays)
}

fn read_weekday(word: &str) -> Option<Weekday> {
    match word {
        "MO" => Some(Weekday::Mon),
        "TU" => Some(Weekday::Tue),
        "WE" => Some(Weekday::Wed),
        "TH" => Some(Weekday::Thu),
        "FR" => Some(Weekday::Fri),
        "SA" => Some(Weekday::Sat),
        "SU" => Some(Weekday::Sun),
        _ => None,
    }
}

/// Reads only what it would write: chrono by itself takes spaces, signs and leap seconds.
fn read_until(text: &str) -> Option<End> {
    let end = if text.contains('T') {
        End::At(NaiveDateTime::parse_from_str(text, TIME).ok()?.and_utc())
    } else {
        End::OnDay(NaiveDate::parse_from_str(text, DAY).ok()?)
    };
    let written = match end {
        End::At(last_at) => last_at.format(TIME).to_string(),
        End::OnDay(last_on) => last_on.format(DAY).to_string(),
        End::Never | End::AfterCount(_) => return None,
    };
    (written == text && !text.starts_with(['+', '-'])).then_some(end)
}

fn write_list(f: &mut fmt::Formatter<'_>, part: RulePart, items: &[impl fmt::Display]) -> fmt::Result {
    for (item, mark) in items.iter().zip(std::iter::once('=').chain(std::iter::repeat(','))) {
        match mark {
            '=' => write!(f, ";{part}={item}")?,
            _ => write!(f, ",{item}")?,
        }
    }
    Ok(())
}
