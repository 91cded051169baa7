//! Text templates: the texts of an invoice, with placeholders for its period and customer.

use std::fmt;

use chrono::{Datelike, Months, NaiveDate};

use crate::language::Language;
use crate::schedule::Period;

/// A text with placeholders, every one of which is known.
///
/// | placeholder | in November 2026 |
/// | --- | --- |
/// | `{{period.month_name}}` | listopad, November |
/// | `{{period.month_name_genitive}}` | listopada (15 listopada), November |
/// | `{{period.month}}` | 11 |
/// | `{{period.year}}` | 2026 |
/// | `{{period.start_on}}`, `{{period.last_on}}` | 2026-11-01, 2026-11-30 |
/// | `{{customer.name}}` | |
///
/// The month is the one that the period starts in. Month and year take an offset in months, which carries the year:
/// in December 2026 `{{period.month_name+1}} {{period.year+1}}` is "styczeń 2027", and in November it is
/// "grudzień 2026".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextTemplate {
    text: String,
    parts: Vec<Part>,
}

/// What a template is rendered with.
#[derive(Debug, Clone, Copy)]
pub struct TextValues<'a> {
    pub period: &'a Period,
    pub customer_name: &'a str,
    pub language: Language,
}

/// What is wrong with a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextTemplateProblem {
    #[error("a placeholder is opened and not closed")]
    Unclosed,
    #[error("there is no placeholder {{{{{name}}}}}")]
    UnknownPlaceholder { name: String },
    #[error("{{{{{name}}}}} takes no offset")]
    OffsetNotExpected { name: String },
    #[error("the offset of {{{{{name}}}}} is more than {} months", TextTemplate::OFFSET_MONTHS_MAX)]
    OffsetTooLarge { name: String },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    Literal(String),
    /// A word about the month that lies so many months from the period's.
    OfMonth(MonthWord, i32),
    StartOn,
    LastOn,
    CustomerName,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MonthWord {
    Name,
    NameGenitive,
    Number,
    Year,
}

impl TextTemplate {
    /// How far from the period an offset may lead.
    pub const OFFSET_MONTHS_MAX: i32 = 120;

    /// Reads a template; an unknown placeholder is refused by its name.
    pub fn new(text: &str) -> Result<Self, TextTemplateProblem> {
        Ok(Self { text: text.to_owned(), parts: read(text, Part::Literal, placeholder)? })
    }

    /// The template as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The text for one invoice. What a value holds is not read for placeholders again.
    pub fn render(&self, values: TextValues<'_>) -> String {
        let mut rendered = String::with_capacity(self.text.len());
        for part in &self.parts {
            part.render(values, &mut rendered);
        }
        rendered
    }
}

impl fmt::Display for TextTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Part {
    pub(crate) fn render(&self, values: TextValues<'_>, rendered: &mut String) {
        match self {
            Self::Literal(text) => rendered.push_str(text),
            Self::OfMonth(word, offset) => {
                let day = months_away(values.period.start_on, *offset);
                rendered.push_str(&word.render(day, values.language));
            }
            Self::StartOn => rendered.push_str(&values.period.start_on.to_string()),
            Self::LastOn => rendered.push_str(&values.period.last_on().to_string()),
            Self::CustomerName => rendered.push_str(values.customer_name),
        }
    }
}

/// The parts of a text with placeholders in double braces.
pub(crate) fn read<P>(
    text: &str,
    literal: impl Fn(String) -> P,
    placeholder: impl Fn(&str) -> Result<P, TextTemplateProblem>,
) -> Result<Vec<P>, TextTemplateProblem> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, opened)) = rest.split_once("{{") {
        let (name, after) = opened.split_once("}}").ok_or(TextTemplateProblem::Unclosed)?;
        parts.extend([literal(before.to_owned()), placeholder(name.trim())?]);
        rest = after;
    }
    parts.push(literal(rest.to_owned()));
    Ok(parts)
}

impl MonthWord {
    fn render(self, day: NaiveDate, language: Language) -> String {
        let names = match (self, language) {
            (Self::Number, _) => return format!("{:02}", day.month()),
            (Self::Year, _) => return day.year().to_string(),
            (_, Language::English) => ENGLISH_MONTHS,
            (Self::Name, Language::Polish) => POLISH_MONTHS,
            (Self::NameGenitive, Language::Polish) => POLISH_MONTHS_GENITIVE,
        };
        usize::try_from(day.month0()).map_or_else(|_| String::new(), |month| names[month].to_owned())
    }
}

pub(crate) fn placeholder(text: &str) -> Result<Part, TextTemplateProblem> {
    let (name, offset) = text.split_at(text.find(['+', '-']).unwrap_or(text.len()));
    let of_month = |word| Ok(Part::OfMonth(word, offset_months(text, offset)?));
    let fixed = |part| match offset {
        "" => Ok(part),
        _ => Err(TextTemplateProblem::OffsetNotExpected { name: name.to_owned() }),
    };
    match name {
        "period.month_name" => of_month(MonthWord::Name),
        "period.month_name_genitive" => of_month(MonthWord::NameGenitive),
        "period.month" => of_month(MonthWord::Number),
        "period.year" => of_month(MonthWord::Year),
        "period.start_on" => fixed(Part::StartOn),
        "period.last_on" => fixed(Part::LastOn),
        "customer.name" => fixed(Part::CustomerName),
        _ => Err(TextTemplateProblem::UnknownPlaceholder { name: text.to_owned() }),
    }
}

/// A sign and digits, or nothing for none.
fn offset_months(placeholder: &str, offset: &str) -> Result<i32, TextTemplateProblem> {
    let digits = offset.get(1..).unwrap_or_default();
    if offset.is_empty() {
        Ok(0)
    } else if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        Err(TextTemplateProblem::UnknownPlaceholder { name: placeholder.to_owned() })
    } else {
        let within = offset.parse().ok().filter(|months: &i32| months.abs() <= TextTemplate::OFFSET_MONTHS_MAX);
        within.ok_or_else(|| TextTemplateProblem::OffsetTooLarge { name: placeholder.to_owned() })
    }
}

fn months_away(day: NaiveDate, months: i32) -> NaiveDate {
    let distance = Months::new(months.unsigned_abs());
    let away = if months < 0 { day.checked_sub_months(distance) } else { day.checked_add_months(distance) };
    away.unwrap_or(day)
}

const POLISH_MONTHS: [&str; 12] = [
    "styczeń",
    "luty",
    "marzec",
    "kwiecień",
    "maj",
    "czerwiec",
    "lipiec",
    "sierpień",
    "wrzesień",
    "październik",
    "listopad",
    "grudzień",
];

const POLISH_MONTHS_GENITIVE: [&str; 12] = [
    "stycznia",
    "lutego",
    "marca",
    "kwietnia",
    "maja",
    "czerwca",
    "lipca",
    "sierpnia",
    "września",
    "października",
    "listopada",
    "grudnia",
];

const ENGLISH_MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn period(start_on: &str, end_on: &str) -> Period {
        Period { index: 0, start_on: start_on.parse().expect(start_on), end_on: end_on.parse().expect(end_on) }
    }

    fn render(text: &str, period: &Period, language: Language) -> String {
        let template = TextTemplate::new(text).expect(text);
        template.render(TextValues { period, customer_name: "Kwiaty {{period.year}} Nowak", language })
    }

    #[test]
    fn resolves_every_placeholder_in_both_languages() {
        let november = period("2026-11-01", "2026-12-01");
        let text = "{{customer.name}}: {{period.month_name}} {{ period.year }} ({{period.month}}), \
            od 1 {{period.month_name_genitive}}; {{period.start_on}}–{{period.last_on}}";
        assert_eq!(
            render(text, &november, Language::Polish),
            "Kwiaty {{period.year}} Nowak: listopad 2026 (11), od 1 listopada; 2026-11-01–2026-11-30"
        );
        assert_eq!(
            render(text, &november, Language::English),
            "Kwiaty {{period.year}} Nowak: November 2026 (11), od 1 November; 2026-11-01–2026-11-30"
        );
        assert_eq!(render("no placeholder } here", &november, Language::English), "no placeholder } here");
    }

    #[test]
    fn an_offset_carries_the_year() {
        let (december, january) = (period("2026-12-01", "2027-01-01"), period("2026-01-31", "2026-02-28"));
        let next = "{{period.month_name+1}} {{period.month+1}}/{{period.year+1}}";
        assert_eq!(render(next, &december, Language::Polish), "styczeń 01/2027");
        assert_eq!(render(next, &january, Language::Polish), "luty 02/2026");
        let before = "{{period.month_name_genitive-1}} {{period.year-1}}";
        assert_eq!(render(before, &january, Language::Polish), "grudnia 2025");
        assert_eq!(render("{{period.year-12}}", &january, Language::Polish), "2025");
    }

    #[test]
    fn refuses_what_it_does_not_know_by_name() {
        use TextTemplateProblem::*;
        let problem = |text: &str| TextTemplate::new(text).err();
        let named = |name: &str| name.to_owned();
        for name in ["period.mont", "", "period.month_name+", "period.month_name+x", "period.year++1", "customer"] {
            let text = format!("a {{{{{name}}}}} b");
            assert_eq!(problem(&text), Some(UnknownPlaceholder { name: named(name) }), "{text}");
        }
        assert_eq!(problem("{{customer.name+1}}"), Some(OffsetNotExpected { name: named("customer.name") }));
        assert_eq!(problem("{{period.start_on-1}}"), Some(OffsetNotExpected { name: named("period.start_on") }));
        for offset in ["+121", "-121", "+99999999999"] {
            let name = format!("period.year{offset}");
            assert_eq!(problem(&format!("{{{{{name}}}}}")), Some(OffsetTooLarge { name }));
        }
        assert_eq!(problem("{{period.year"), Some(Unclosed));
        let unknown = UnknownPlaceholder { name: named("period.mont") };
        assert_eq!(unknown.to_string(), "there is no placeholder {{period.mont}}");
    }

    proptest! {
        #[test]
        fn no_text_panics(text in any::<String>(), braced in "([{}]{2}|period|[.]|year|month|[+-]|[0-9]){0,12}") {
            let period = period("9999-12-01", "9999-12-31");
            for text in [text, braced] {
                if let Ok(template) = TextTemplate::new(&text) {
                    template.render(TextValues { period: &period, customer_name: "", language: Language::Polish });
                    prop_assert_eq!(template.as_str(), text);
                }
            }
        }
    }
}
