//! Pipelines: the stages that a sale goes through, and what its chances are worth.

use rust_decimal::Decimal;

use crate::decimal::{Amount, OpportunityValue, Share, StageDays};

vocabulary! {
    /// What it means for a sale to stand at a stage: it goes on, or it has ended well or badly.
    StageKind { Open = "open", Won = "won", Lost = "lost" }
}

/// So many stages a pipeline has at most.
pub const STAGES_MAX: usize = 30;

/// A stage that a pipeline starts with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DefaultStage {
    pub name: &'static str,
    pub kind: StageKind,
    pub probability_percent: i16,
}

/// The stages of a pipeline that was made without naming any, in their order.
pub const DEFAULT_STAGES: [DefaultStage; 5] = [
    DefaultStage { name: "New", kind: StageKind::Open, probability_percent: 10 },
    DefaultStage { name: "Qualified", kind: StageKind::Open, probability_percent: 30 },
    DefaultStage { name: "Proposal", kind: StageKind::Open, probability_percent: 60 },
    DefaultStage { name: "Won", kind: StageKind::Won, probability_percent: 100 },
    DefaultStage { name: "Lost", kind: StageKind::Lost, probability_percent: 0 },
];

/// A chance that contradicts how the sale has ended, or none for one that goes on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WrongProbability {
    #[error("an open stage needs a probability")]
    Missing,
    #[error("what is won has a probability of 100")]
    Won,
    #[error("what is lost has a probability of 0")]
    Lost,
}

/// The chance of a sale at a stage of this kind: what is given for an open one; that of an end follows from it and
/// may be left out.
pub fn probability(kind: StageKind, given: Option<i16>) -> Result<i16, WrongProbability> {
    match (kind, given) {
        (StageKind::Open, given) => given.ok_or(WrongProbability::Missing),
        (StageKind::Won, None | Some(100)) => Ok(100),
        (StageKind::Won, Some(_)) => Err(WrongProbability::Won),
        (StageKind::Lost, None | Some(0)) => Ok(0),
        (StageKind::Lost, Some(_)) => Err(WrongProbability::Lost),
    }
}

/// What a sale is worth by its chance: value × probability ÷ 100, rounded half away from zero to 0.01. A total is the
/// sum of such rounded values.
pub fn weighted_value(value: OpportunityValue, probability_percent: i16) -> Amount {
    let exact = value.value() * Decimal::from(probability_percent) / Decimal::ONE_HUNDRED;
    // A chance of at most a hundred never makes it more than the value, which has 12 of the 14 digits.
    Amount::rounded(exact).unwrap_or_default()
}

/// How many of a hundred: part × 100 ÷ whole, rounded half away from zero to 0.01. Of nothing there is no share.
pub fn share(part: i64, whole: i64) -> Option<Share> {
    let exact = Decimal::from(part).checked_mul(Decimal::ONE_HUNDRED)?.checked_div(Decimal::from(whole))?;
    Share::rounded(exact)
}

/// The median of whole microseconds in days of 24 hours, rounded half away from zero to 0.01: the middle one, which is
/// then both `lower` and `upper`, or halfway between the two in the middle.
pub fn median_days(lower: i64, upper: i64) -> Option<StageDays> {
    const TWO_DAYS: i64 = 2 * 24 * 60 * 60 * 1_000_000;
    let sum = Decimal::from(lower).checked_add(Decimal::from(upper))?;
    StageDays::rounded(sum.checked_div(Decimal::from(TWO_DAYS))?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value(text: &str) -> OpportunityValue {
        text.parse().expect(text)
    }

    #[test]
    fn the_chance_of_an_end_follows_from_it() {
        assert_eq!(probability(StageKind::Open, Some(40)), Ok(40));
        assert_eq!(probability(StageKind::Open, None), Err(WrongProbability::Missing));
        for given in [None, Some(100)] {
            assert_eq!(probability(StageKind::Won, given), Ok(100));
        }
        for given in [None, Some(0)] {
            assert_eq!(probability(StageKind::Lost, given), Ok(0));
        }
        assert_eq!(probability(StageKind::Won, Some(99)), Err(WrongProbability::Won));
        assert_eq!(probability(StageKind::Lost, Some(1)), Err(WrongProbability::Lost));
    }

    #[test]
    fn the_first_stages_keep_the_rules_and_lead_somewhere() {
        for stage in DEFAULT_STAGES {
            assert_eq!(probability(stage.kind, Some(stage.probability_percent)), Ok(stage.probability_percent));
        }
        for kind in StageKind::ALL {
            assert!(DEFAULT_STAGES.iter().any(|stage| stage.kind == *kind), "{kind}");
        }
    }

    #[test]
    fn weighted_values_from_real_sales() {
        assert_eq!(weighted_value(value("12000.00"), 60).to_string(), "7200.00");
        assert_eq!(weighted_value(value("999.99"), 33).to_string(), "330.00"); // 329.9967
        assert_eq!(weighted_value(value("0.50"), 1).to_string(), "0.01"); // 0.005, away from zero
        assert_eq!(weighted_value(value("0.49"), 1).to_string(), "0.00");
        assert_eq!(weighted_value(value("999999999999.99"), 100).to_string(), "999999999999.99");
    }

    #[test]
    fn shares_have_two_places_and_nothing_has_none() {
        let told = |part, whole| share(part, whole).map(|share| share.to_string());
        assert_eq!(told(1, 3).as_deref(), Some("33.33"));
        assert_eq!(told(2, 3).as_deref(), Some("66.67"));
        assert_eq!(told(1, 800).as_deref(), Some("0.13")); // 0.125, away from zero
        assert_eq!(told(7, 7).as_deref(), Some("100.00"));
        assert_eq!(told(0, 7).as_deref(), Some("0.00"));
        assert_eq!(told(0, 0), None);
    }

    #[test]
    fn a_median_is_told_in_days() {
        const HOUR: i64 = 3_600_000_000;
        let told = |lower, upper| median_days(lower, upper).map(|days| days.to_string());
        assert_eq!(told(36 * HOUR, 36 * HOUR).as_deref(), Some("1.50"));
        assert_eq!(told(24 * HOUR, 72 * HOUR).as_deref(), Some("2.00"));
        assert_eq!(told(0, 0).as_deref(), Some("0.00"));
        // 0.005 days are 432 seconds: half a hundredth is rounded up, a microsecond less is not.
        assert_eq!(told(432_000_000, 432_000_000).as_deref(), Some("0.01"));
        assert_eq!(told(432_000_000, 431_999_999).as_deref(), Some("0.00"));
    }

    proptest! {
        #[test]
        fn a_weighted_value_lies_between_nothing_and_the_value(
            cents in 0_i64..=99_999_999_999_999,
            percent in 0_i16..=100,
        ) {
            let value = OpportunityValue::new(Decimal::new(cents, 2)).expect("a value");
            let weighted = weighted_value(value, percent).value();
            prop_assert!(weighted >= Decimal::ZERO && weighted <= value.value());
            let off = (weighted * Decimal::ONE_HUNDRED - value.value() * Decimal::from(percent)).abs();
            prop_assert!(off * Decimal::TWO <= Decimal::ONE);
            prop_assert_eq!(weighted_value(value, 100).value(), value.value());
            prop_assert_eq!(weighted_value(value, 0), Amount::ZERO);
        }

        #[test]
        fn a_better_chance_is_never_worth_less(cents in 0_i64..=99_999_999_999_999, percent in 0_i16..100) {
            let value = OpportunityValue::new(Decimal::new(cents, 2)).expect("a value");
            prop_assert!(weighted_value(value, percent) <= weighted_value(value, percent + 1));
        }

        #[test]
        fn a_share_and_the_rest_make_a_hundred(part in 0_i64..1_000_000, rest in 0_i64..1_000_000) {
            prop_assume!(part + rest > 0);
            let whole = part + rest;
            let sum = share(part, whole).expect("a share").value() + share(rest, whole).expect("a share").value();
            prop_assert!((sum - Decimal::ONE_HUNDRED).abs() <= Decimal::new(1, 2));
        }

        #[test]
        fn no_median_panics(lower in any::<i64>(), upper in any::<i64>()) {
            let _ = median_days(lower, upper);
        }
    }
}
