//! Price changes: what a template's lines cost from a day on.
//!
//! A line costs what the template says until the first change that names it, and from then on what the latest change
//! says whose day has come. Which day counts is for the caller to say: of an invoice it is the first of its period.

use crate::billing::{LineBasis, TemplateLine};
use crate::decimal::{Overflow, PercentChange, UnitPrice};
use chrono::NaiveDate;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// New prices of some lines of a template, from a day on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceChange {
    pub valid_from_on: NaiveDate,
    pub prices: Vec<ChangedPrice>,
}

/// The new price of a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedPrice {
    /// The key of the template's line.
    pub key: String,
    /// What held the day before, when the change was made.
    pub unit_price_before: UnitPrice,
    pub unit_price: UnitPrice,
}

/// How prices are to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Repricing {
    /// Every line with a price of its own, by the same share.
    Percent(PercentChange),
    /// The lines with these keys, to these prices.
    Prices(Vec<(String, UnitPrice)>),
}

/// Why prices can't change so. An index is of the price in [`Repricing::Prices`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RepricingProblem {
    #[error("the template has no line with this key")]
    NoSuchLine(usize),
    #[error("a line is named once")]
    NamedTwice(usize),
    #[error("a line that bills time has no price of its own")]
    TimeLine(usize),
    #[error("no line of the template has a price of its own")]
    NoPrices,
    #[error("a price falls by less than 100 percent")]
    TooLow,
    #[error("a price becomes too large")]
    TooLarge,
}

impl From<Overflow> for RepricingProblem {
    fn from(_: Overflow) -> Self {
        Self::TooLarge
    }
}

/// The price of a line that is in force on a day, by changes in any order: `unit_price` where none has come.
///
/// A change of a line that the template has no more is passed over: only the lines that there are get asked for.
pub fn unit_price_on(key: &str, unit_price: UnitPrice, changes: &[PriceChange], day: NaiveDate) -> UnitPrice {
    let named = |change: &PriceChange| change.prices.iter().find(|price| price.key == key).map(|it| it.unit_price);
    let in_force = changes.iter().filter(|change| change.valid_from_on <= day);
    let latest = in_force.filter_map(|change| Some((change.valid_from_on, named(change)?))).max_by_key(|(day, _)| *day);
    latest.map_or(unit_price, |(_, unit_price)| unit_price)
}

/// A price × (100 + percent) ÷ 100, rounded once, half away from zero to the 4 places of a unit price (the commercial
/// rule; what is to be paid is rounded to 0.01 only on the invoice, ustawa o VAT, art. 106e ust. 7).
pub fn changed_by(unit_price: UnitPrice, percent: PercentChange) -> Result<UnitPrice, Overflow> {
    let hundredths = Decimal::ONE_HUNDRED.checked_add(percent.value()).ok_or(Overflow)?;
    let exact = unit_price.value().checked_mul(hundredths).and_then(|it| it.checked_mul(Decimal::new(1, 2)));
    exact.and_then(UnitPrice::rounded).ok_or(Overflow)
}

/// The prices of the lines that a change is about, in the order of the template's lines: those before it, from the
/// changes that there are already, and those from its day on.
pub fn reprice(
    lines: &[TemplateLine],
    changes: &[PriceChange],
    valid_from_on: NaiveDate,
    repricing: &Repricing,
) -> Result<Vec<ChangedPrice>, RepricingProblem> {
    let earlier: Vec<PriceChange> =
        changes.iter().filter(|change| change.valid_from_on < valid_from_on).cloned().collect();
    // Those without a price of their own have none before.
    let before = |line: &TemplateLine| match line.basis {
        LineBasis::Fixed { unit_price, .. } => Some(unit_price_on(&line.key, unit_price, &earlier, valid_from_on)),
        LineBasis::Time => None,
    };
    let changed = |line: &TemplateLine, unit_price_before, unit_price| ChangedPrice {
        key: line.key.clone(),
        unit_price_before,
        unit_price,
    };
    match repricing {
        Repricing::Percent(percent) => {
            if percent.value() <= -Decimal::ONE_HUNDRED {
                return Err(RepricingProblem::TooLow);
            }
            let priced = lines.iter().filter_map(|line| Some((line, before(line)?)));
            let prices = priced.map(|(line, before)| Ok(changed(line, before, changed_by(before, *percent)?)));
            let prices: Vec<ChangedPrice> = prices.collect::<Result<_, Overflow>>()?;
            if prices.is_empty() { Err(RepricingProblem::NoPrices) } else { Ok(prices) }
        }
        Repricing::Prices(prices) => {
            for (index, (key, _)) in prices.iter().enumerate() {
                match lines.iter().find(|line| line.key == *key) {
                    None => return Err(RepricingProblem::NoSuchLine(index)),
                    Some(_) if prices.iter().take(index).any(|(other, _)| other == key) => {
                        return Err(RepricingProblem::NamedTwice(index));
                    }
                    Some(line) if line.basis == LineBasis::Time => return Err(RepricingProblem::TimeLine(index)),
                    Some(_) => {}
                }
            }
            let of = |line: &TemplateLine| prices.iter().find(|(key, _)| *key == line.key);
            let named = lines.iter().filter_map(|line| Some((line, before(line)?, of(line)?)));
            Ok(named.map(|(line, before, (_, unit_price))| changed(line, before, *unit_price)).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::billing::LineVat;
    use crate::decimal::Quantity;
    use crate::vat::VatCode;
    use chrono::Days;
    use proptest::prelude::*;

    fn price(text: &str) -> UnitPrice {
        text.parse().expect(text)
    }

    fn day(number: u64) -> NaiveDate {
        NaiveDate::default() + Days::new(number)
    }

    fn line(key: &str, unit_price: UnitPrice) -> TemplateLine {
        TemplateLine {
            key: key.to_owned(),
            basis: LineBasis::Fixed { quantity: Quantity::ONE, unit_price },
            text: "Work".to_owned(),
            unit: "h".to_owned(),
            discount_percent: None,
            vat: LineVat { code: VatCode::Percent23, exemption_basis: None },
            pkwiu: None,
            gtu: None,
            annex_15: false,
        }
    }

    fn change(from: u64, key: &str, unit_price: UnitPrice) -> PriceChange {
        let changed = ChangedPrice { key: key.to_owned(), unit_price_before: price("0"), unit_price };
        PriceChange { valid_from_on: day(from), prices: vec![changed] }
    }

    #[test]
    fn a_percentage_is_exact_and_rounded_once() {
        let by = |unit_price: &str, percent: &str| {
            changed_by(price(unit_price), percent.parse().expect(percent)).expect("in bounds").to_string()
        };
        assert_eq!(by("450.00", "3.6"), "466.20"); // 450.00 × 1.036
        assert_eq!(by("49.99", "-10"), "44.991");
        assert_eq!(by("0.0001", "50"), "0.0002"); // 0.00015, away from zero
        assert_eq!(by("-0.0001", "50"), "-0.0002");
        assert_eq!(by("333.3333", "0.0001"), "333.3336"); // 333.3333 × 1.000001 = 333.3336333…
        assert_eq!(changed_by(price("999999999999"), "100".parse().expect("percent")), Err(Overflow));
    }

    #[test]
    fn a_change_begins_from_the_price_of_the_day_before() {
        let lines = [line("a", price("100")), line("b", price("10"))];
        let changes = [change(10, "a", price("200")), change(30, "a", price("400"))];
        let percent = Repricing::Percent("10".parse().expect("percent"));
        let prices = reprice(&lines, &changes, day(20), &percent).expect("prices");
        let told: Vec<_> =
            prices.iter().map(|it| format!("{} {} {}", it.key, it.unit_price_before, it.unit_price)).collect();
        assert_eq!(told, ["a 200.00 220.00", "b 10.00 11.00"]);
        // Of the same day there is one at most, which the new one is not based on.
        assert_eq!(reprice(&lines, &changes, day(10), &percent).expect("prices")[0].unit_price, price("110"));
    }

    #[test]
    fn what_cannot_change_says_why() {
        let lines = [line("a", price("100"))];
        let with = |lines: &[TemplateLine], repricing| reprice(lines, &[], day(1), &repricing).unwrap_err();
        let prices =
            |keys: &[&str]| Repricing::Prices(keys.iter().map(|key| ((*key).to_owned(), price("1"))).collect());
        let percent = |text: &str| Repricing::Percent(text.parse().expect(text));
        assert_eq!(with(&lines, prices(&["a", "b"])), RepricingProblem::NoSuchLine(1));
        assert_eq!(with(&lines, prices(&["a", "a"])), RepricingProblem::NamedTwice(1));
        let hours = TemplateLine { basis: LineBasis::Time, ..line("hours", price("0")) };
        let both = [lines[0].clone(), hours.clone()];
        assert_eq!(with(&both, prices(&["a", "hours"])), RepricingProblem::TimeLine(1));
        assert_eq!(with(&[hours], percent("5")), RepricingProblem::NoPrices);
        let of_both = reprice(&both, &[], day(1), &percent("5")).expect("prices");
        assert_eq!(of_both.iter().map(|it| it.key.as_str()).collect::<Vec<_>>(), ["a"]);
        assert_eq!(with(&lines, percent("-100")), RepricingProblem::TooLow);
        assert_eq!(with(&[line("a", price("999999999999"))], percent("1")), RepricingProblem::TooLarge);
        assert_eq!(reprice(&lines, &[], day(1), &percent("-99.9999")).expect("prices").len(), 1);
    }

    proptest! {
        /// Against a slow, obvious reference: the days are walked through and each change is made on its day.
        #[test]
        fn the_latest_change_that_has_come_holds(
            own in 0_i64..1_000_000,
            changes in proptest::collection::btree_map(0_u64..60, (any::<bool>(), 0_i64..1_000_000), 0..8),
            asked in 0_u64..60,
        ) {
            let price = |number| UnitPrice::new(Decimal::new(number, 4)).expect("a price");
            let all: Vec<PriceChange> = changes
                .iter()
                .rev()
                .map(|(from, (is_ours, number))| change(*from, if *is_ours { "a" } else { "b" }, price(*number)))
                .collect();
            let mut expected = price(own);
            for today in 0..=asked {
                if let Some((true, number)) = changes.get(&today) {
                    expected = price(*number);
                }
            }
            prop_assert_eq!(unit_price_on("a", price(own), &all, day(asked)), expected);
        }

        #[test]
        fn no_change_is_a_change_by_nothing_and_more_is_never_less(
            number in 0_i64..1_000_000_000_000,
            percent in -999_999_i64..10_000_000,
        ) {
            let unit_price = UnitPrice::new(Decimal::new(number, 4)).expect("a price");
            let by = |percent| changed_by(unit_price, PercentChange::new(Decimal::new(percent, 4)).expect("percent"));
            prop_assert_eq!(by(0), Ok(unit_price));
            prop_assert!(by(percent).expect("in bounds") <= by(percent + 1).expect("in bounds"));
        }
    }
}
