//! Numbering: how the invoices of a series are numbered. No number is left out, none is given twice.

use std::fmt;

use chrono::{Datelike, NaiveDate};

vocabulary! {
    /// When the numbers of a series begin again at 1.
    Reset { Monthly = "monthly", Yearly = "yearly", Never = "never" }
}

impl Reset {
    /// Names the counter that an invoice of a day takes its number from: `2026-11`, `2026` or `all`.
    pub fn counter_key(self, issued_on: NaiveDate) -> String {
        match self {
            Self::Monthly => issued_on.format("%Y-%m").to_string(),
            Self::Yearly => issued_on.format("%Y").to_string(),
            Self::Never => "all".to_owned(),
        }
    }
}

/// How a number is written: `FV/{number}/{month}/{year}`.
///
/// It holds `{number}` once, which `{number:4}` fills up to four digits with zeros, and may hold `{month}` (two
/// digits), `{year}` (four) and `{year2}` (its last two). Between them stand letters without diacritics, digits and
/// `/ - _ .`. Whatever the numbers begin anew with has to be in it, or two invoices would have one number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberPattern {
    text: String,
    parts: Vec<Part>,
}

/// What is wrong with a pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NumberPatternProblem {
    #[error("at most {} characters are expected", NumberPattern::LENGTH_MAX)]
    TooLong,
    #[error("a brace is opened and not closed, or closed and not opened")]
    UnmatchedBrace,
    #[error(
        "there is no placeholder {{{name}}}; there are {{number}}, {{number:1}} to {{number:9}}, {{month}}, {{year}}, {{year2}}"
    )]
    UnknownPlaceholder { name: String },
    #[error("only letters without diacritics, digits and / - _ . may stand between placeholders")]
    Character,
    #[error("{{number}} is expected exactly once")]
    NumberNotOnce,
    #[error("numbers that begin again every month need {{month}}")]
    MonthMissing,
    #[error("numbers that begin again every month or year need {{year}} or {{year2}}")]
    YearMissing,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    /// With the least count of digits.
    Number(usize),
    Month,
    Year,
    YearOfCentury,
}

impl NumberPattern {
    /// How many characters a pattern may have.
    pub const LENGTH_MAX: usize = 40;

    /// Reads the pattern of a series whose numbers begin again as `reset` says.
    pub fn new(text: &str, reset: Reset) -> Result<Self, NumberPatternProblem> {
        if text.chars().count() > Self::LENGTH_MAX {
            return Err(NumberPatternProblem::TooLong);
        }
        let parts = parts(text)?;
        if parts.iter().filter(|part| matches!(part, Part::Number(_))).count() != 1 {
            return Err(NumberPatternProblem::NumberNotOnce);
        }
        if reset == Reset::Monthly && !parts.contains(&Part::Month) {
            return Err(NumberPatternProblem::MonthMissing);
        }
        if reset != Reset::Never && !parts.contains(&Part::Year) && !parts.contains(&Part::YearOfCentury) {
            return Err(NumberPatternProblem::YearMissing);
        }
        Ok(Self { text: text.to_owned(), parts })
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The number of an invoice: its place in the counter, and the day that it is issued on.
    pub fn render(&self, number: u32, issued_on: NaiveDate) -> String {
        let mut rendered = String::with_capacity(Self::LENGTH_MAX);
        for part in &self.parts {
            match part {
                Part::Literal(text) => rendered.push_str(text),
                Part::Number(width) => rendered.push_str(&format!("{number:0width$}")),
                Part::Month => rendered.push_str(&format!("{:02}", issued_on.month())),
                Part::Year => rendered.push_str(&format!("{:04}", issued_on.year())),
                Part::YearOfCentury => rendered.push_str(&format!("{:02}", issued_on.year().rem_euclid(100))),
            }
        }
        rendered
    }
}

impl fmt::Display for NumberPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn parts(text: &str) -> Result<Vec<Part>, NumberPatternProblem> {
    let mut parts = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        if let Some(opened) = rest.strip_prefix('{') {
            let (name, after) = opened.split_once('}').ok_or(NumberPatternProblem::UnmatchedBrace)?;
            parts.push(placeholder(name)?);
            rest = after;
        } else {
            let (literal, after) = rest.split_at(rest.find('{').unwrap_or(rest.len()));
            parts.push(Part::Literal(checked_literal(literal)?));
            rest = after;
        }
    }
    Ok(parts)
}

fn placeholder(name: &str) -> Result<Part, NumberPatternProblem> {
    match (name, name.strip_prefix("number:").map(str::as_bytes)) {
        ("number", _) => Ok(Part::Number(1)),
        ("month", _) => Ok(Part::Month),
        ("year", _) => Ok(Part::Year),
        ("year2", _) => Ok(Part::YearOfCentury),
        (_, Some([width @ b'1'..=b'9'])) => Ok(Part::Number(usize::from(width - b'0'))),
        _ => Err(NumberPatternProblem::UnknownPlaceholder { name: name.to_owned() }),
    }
}

fn checked_literal(text: &str) -> Result<String, NumberPatternProblem> {
    if text.contains('}') {
        return Err(NumberPatternProblem::UnmatchedBrace);
    }
    let is_allowed = |it: char| it.is_ascii_alphanumeric() || matches!(it, '/' | '-' | '_' | '.');
    text.chars().all(is_allowed).then(|| text.to_owned()).ok_or(NumberPatternProblem::Character)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().expect(text)
    }

    fn problem(text: &str, reset: Reset) -> Option<NumberPatternProblem> {
        NumberPattern::new(text, reset).err()
    }

    #[test]
    fn writes_numbers_as_firms_do() {
        for (pattern, reset, number, written) in [
            ("FV/{number}/{month}/{year}", Reset::Monthly, 7, "FV/7/03/2026"),
            ("{number:4}/{year2}", Reset::Yearly, 12, "0012/26"),
            ("{number:4}/{year2}", Reset::Yearly, 12_345, "12345/26"),
            ("KOR-{year}-{number:9}", Reset::Yearly, u32::MAX, "KOR-2026-4294967295"),
            ("{number}", Reset::Never, 1, "1"),
        ] {
            let pattern = NumberPattern::new(pattern, reset).expect(pattern);
            assert_eq!(pattern.render(number, day("2026-03-09")), written);
        }
    }

    #[test]
    fn refuses_patterns_that_do_not_number() {
        use NumberPatternProblem::*;
        let unknown = |name: &str| Some(UnknownPlaceholder { name: name.to_owned() });
        assert_eq!(problem("FV/{month}/{year}", Reset::Yearly), Some(NumberNotOnce));
        assert_eq!(problem("", Reset::Never), Some(NumberNotOnce));
        assert_eq!(problem("{number}/{number:3}", Reset::Never), Some(NumberNotOnce));
        assert_eq!(problem("{number}/{year}", Reset::Monthly), Some(MonthMissing));
        assert_eq!(problem("{number}/{month}", Reset::Monthly), Some(YearMissing));
        assert_eq!(problem("{number}/{month}", Reset::Yearly), Some(YearMissing));
        assert_eq!(problem("{numer}", Reset::Never), unknown("numer"));
        assert_eq!(problem("{number:0}", Reset::Never), unknown("number:0"));
        assert_eq!(problem("{number:10}", Reset::Never), unknown("number:10"));
        assert_eq!(problem("{number", Reset::Never), Some(UnmatchedBrace));
        assert_eq!(problem("number}", Reset::Never), Some(UnmatchedBrace));
        assert_eq!(problem("Fś/{number}", Reset::Never), Some(Character));
        assert_eq!(problem("F {number}", Reset::Never), Some(Character));
        assert_eq!(problem(&format!("{{number}}{}", "-".repeat(33)), Reset::Never), Some(TooLong));
        assert_eq!(problem(&format!("{{number}}{}", "-".repeat(32)), Reset::Never), None);
    }

    #[test]
    fn a_counter_is_named_after_what_it_begins_again_with() {
        assert_eq!(Reset::Monthly.counter_key(day("2026-11-23")), "2026-11");
        assert_eq!(Reset::Yearly.counter_key(day("2026-11-23")), "2026");
        assert_eq!(Reset::Never.counter_key(day("2026-11-23")), "all");
    }

    fn patterns() -> impl Strategy<Value = (&'static str, Reset)> {
        proptest::sample::select(vec![
            ("FV/{number}/{month}/{year}", Reset::Monthly),
            ("{number}{month}{year2}", Reset::Monthly),
            ("{year}{month}{number:3}", Reset::Monthly),
            ("1{number:2}1{year}", Reset::Yearly),
            ("{number}", Reset::Never),
        ])
    }

    proptest! {
        #[test]
        fn no_two_invoices_of_a_century_have_one_number(
            (text, reset) in patterns(),
            numbers in (1_u32..2000, 1_u32..2000),
            days in (0_u64..36_500, 0_u64..36_500),
        ) {
            let pattern = NumberPattern::new(text, reset).expect(text);
            let day = |after| day("2001-01-01").checked_add_days(chrono::Days::new(after)).expect("a day");
            let (first, second) = (day(days.0), day(days.1));
            let apart = (numbers.0, reset.counter_key(first)) != (numbers.1, reset.counter_key(second));
            prop_assert_eq!(apart, pattern.render(numbers.0, first) != pattern.render(numbers.1, second));
        }

        #[test]
        fn no_text_panics(text in any::<String>(), braced in "[{}a-z0-9:/]{0,40}", days in any::<i32>()) {
            for text in [text, braced] {
                if let (Ok(pattern), Some(day)) =
                    (NumberPattern::new(&text, Reset::Never), NaiveDate::from_num_days_from_ce_opt(days))
                {
                    pattern.render(1, day);
                    prop_assert_eq!(pattern.as_str(), text);
                }
            }
        }
    }
}
