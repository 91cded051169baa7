//! What the answers to a survey come to: shares, mean, median, deviation, net promoter score. Exact to the last place that
//! is told, whatever the order of the responses.

use rust_decimal::Decimal;

use crate::decimal::{Share, SurveyFigure, SurveyNumber};

/// Sums over the numbers that answer a question, handed in from the least to the greatest. It holds a few numbers,
/// however many there are.
#[derive(Debug, Clone)]
pub struct NumberTally {
    total: u64,
    seen: u64,
    /// In units of the last place of a [`SurveyNumber`], as all below. `None` once they are too large to be kept exactly.
    sums: Option<Sums>,
    least: Option<i64>,
    greatest: Option<i64>,
    /// The two in the middle, or the one twice.
    middle: (Option<i64>, Option<i64>),
}

#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    sum: i128,
    squares: u128,
}

impl Sums {
    fn with(self, value: i64, count: u64) -> Option<Self> {
        let count = u128::from(count);
        let square = u128::from(value.unsigned_abs()).checked_mul(value.unsigned_abs().into())?;
        Some(Self {
            sum: self.sum.checked_add(i128::from(value).checked_mul(i128::try_from(count).ok()?)?)?,
            squares: self.squares.checked_add(square.checked_mul(count)?)?,
        })
    }
}

impl NumberTally {
    /// Of `total` answers that are to come.
    pub const fn new(total: u64) -> Self {
        Self {
            total,
            seen: 0,
            sums: Some(Sums { sum: 0, squares: 0 }),
            least: None,
            greatest: None,
            middle: (None, None),
        }
    }

    /// So many answers with this number. Not less than any before.
    pub fn add(&mut self, number: SurveyNumber, count: u64) {
        let value = number.units();
        let seen = self.seen.saturating_add(count);
        let holds = |place: u64| (self.seen..seen).contains(&place);
        if holds(self.total.saturating_sub(1) / 2) {
            self.middle.0 = Some(value);
        }
        if holds(self.total / 2) {
            self.middle.1 = Some(value);
        }
        self.least = self.least.or(Some(value));
        self.greatest = Some(value);
        self.sums = self.sums.and_then(|sums| sums.with(value, count));
        self.seen = seen;
    }

    pub fn least(&self) -> Option<SurveyFigure> {
        figure(self.least?.into(), SurveyNumber::PLACES)
    }

    pub fn greatest(&self) -> Option<SurveyFigure> {
        figure(self.greatest?.into(), SurveyNumber::PLACES)
    }

    /// The arithmetic mean, rounded half away from zero to 4 places.
    pub fn mean(&self) -> Option<SurveyFigure> {
        let n = i128::from(self.seen);
        let sum = self.sums?.sum;
        if n == 0 {
            return None;
        }
        let rounded = (sum.abs().checked_mul(2)?.checked_add(n)?) / (n * 2);
        figure(rounded * sum.signum(), SurveyNumber::PLACES)
    }

    /// The one in the middle, or the mean of the two there, exactly.
    pub fn median(&self) -> Option<SurveyFigure> {
        let (lower, upper) = (i128::from(self.middle.0?), i128::from(self.middle.1?));
        // Half of a sum has one place more.
        figure((lower + upper) * 5, SurveyNumber::PLACES + 1)
    }

    /// The standard deviation of these answers, which are all that there are (divided by n, not by n − 1), rounded half up
    /// to 4 places.
    pub fn standard_deviation(&self) -> Option<SurveyFigure> {
        let Sums { sum, squares } = self.sums?;
        let n = u128::from(self.seen);
        if n == 0 {
            return None;
        }
        // n² times the variance: nΣx² − (Σx)².
        let spread = n.checked_mul(squares)?.checked_sub(sum.unsigned_abs().checked_mul(sum.unsigned_abs())?)?;
        let whole = spread.isqrt() / n;
        // Above it by a half or more: √spread ÷ n ≥ whole + ½, squared and times 4n².
        let rest = spread - n * n * whole * whole;
        let is_upper = rest.checked_sub(n * n * whole).is_some_and(|rest| rest.saturating_mul(4) >= n * n);
        figure(i128::try_from(whole + u128::from(is_upper)).ok()?, SurveyNumber::PLACES)
    }
}

/// How many would recommend, and how many would not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Promoters {
    /// 9 and 10.
    pub promoters: u64,
    /// 7 and 8.
    pub passives: u64,
    /// 0 to 6.
    pub detractors: u64,
}

impl Promoters {
    /// So many answers with this step of a scale from 0 to 10.
    pub const fn add(&mut self, step: i16, count: u64) {
        let place = match step {
            9.. => &mut self.promoters,
            7 | 8 => &mut self.passives,
            _ => &mut self.detractors,
        };
        *place = place.saturating_add(count);
    }

    /// The net promoter score: the promoters of a hundred less the detractors of a hundred, from -100 to 100, rounded half
    /// away from zero to 2 places.
    pub fn score(&self) -> Option<SurveyFigure> {
        let total = self.promoters.checked_add(self.passives)?.checked_add(self.detractors)?;
        let difference = Decimal::from(self.promoters) - Decimal::from(self.detractors);
        let score = (difference * Decimal::ONE_HUNDRED).checked_div(Decimal::from(total))?;
        SurveyFigure::new(crate::decimal::round_half_away(score, 2))
    }
}

/// How many of a hundred; none of nothing. Rounded half away from zero to 2 places.
pub fn share(count: u64, total: u64) -> Option<Share> {
    let share = (Decimal::from(count) * Decimal::ONE_HUNDRED).checked_div(Decimal::from(total))?;
    Share::rounded(share)
}

fn figure(units: i128, places: u32) -> Option<SurveyFigure> {
    SurveyFigure::new(Decimal::try_from_i128_with_scale(units, places).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn tally(numbers: &[&str]) -> NumberTally {
        let mut numbers: Vec<SurveyNumber> = numbers.iter().map(|text| text.parse().expect(text)).collect();
        numbers.sort();
        let mut tally = NumberTally::new(u64::try_from(numbers.len()).expect("few"));
        numbers.into_iter().for_each(|number| tally.add(number, 1));
        tally
    }

    fn text(figure: Option<SurveyFigure>) -> String {
        figure.map(|figure| figure.to_string()).unwrap_or_default()
    }

    #[test]
    fn the_figures_of_a_few_answers_are_those_of_a_textbook() {
        // Mean 40 ÷ 8 = 5, deviations 9 1 1 1 0 0 4 16, of which the mean is 4.
        let tally = tally(&["2", "4", "4", "4", "5", "5", "7", "9"]);
        assert_eq!(text(tally.mean()), "5.00");
        assert_eq!(text(tally.median()), "4.50");
        assert_eq!(text(tally.standard_deviation()), "2.00");
        assert_eq!((text(tally.least()), text(tally.greatest())), ("2.00".into(), "9.00".into()));
    }

    #[test]
    fn halves_are_rounded_away_from_zero() {
        assert_eq!(text(tally(&["0.0001", "0.0002"]).mean()), "0.0002");
        assert_eq!(text(tally(&["-0.0001", "-0.0002"]).mean()), "-0.0002");
        assert_eq!(text(tally(&["0.0001", "0.0002"]).median()), "0.00015");
        // The deviation is 0.00005.
        assert_eq!(text(tally(&["0.0001", "0.0002"]).standard_deviation()), "0.0001");
    }

    #[test]
    fn nothing_has_no_figures() {
        let tally = tally(&[]);
        assert_eq!((tally.mean(), tally.median(), tally.standard_deviation(), tally.least()), (None, None, None, None));
        assert_eq!((Promoters::default().score(), share(0, 0)), (None, None));
    }

    #[test]
    fn the_largest_answers_are_summed_exactly() {
        let mut tally = NumberTally::new(1_000_000);
        tally.add("-999999999.9999".parse().expect("a number"), 500_000);
        tally.add("999999999.9999".parse().expect("a number"), 500_000);
        assert_eq!(text(tally.mean()), "0.00");
        assert_eq!(text(tally.standard_deviation()), "999999999.9999");
    }

    #[test]
    fn a_net_promoter_score_is_the_difference_of_shares() {
        let mut promoters = Promoters::default();
        [(10, 3), (9, 2), (8, 1), (7, 1), (6, 1), (0, 1)]
            .into_iter()
            .for_each(|(step, count)| promoters.add(step, count));
        assert_eq!(promoters, Promoters { promoters: 5, passives: 2, detractors: 2 });
        // (5 − 2) × 100 ÷ 9.
        assert_eq!(text(promoters.score()), "33.33");
        assert_eq!(share(1, 3).expect("a share").to_string(), "33.33");
        assert_eq!(share(1, 8).expect("a share").to_string(), "12.50");
    }

    proptest! {
        /// The same, by decimals from the list of all answers.
        #[test]
        fn the_figures_are_those_of_the_list(units in proptest::collection::vec(-20_000_i64..100_000, 1..60)) {
            let mut units = units;
            units.sort_unstable();
            let number = |units: i64| SurveyNumber::new(Decimal::new(units, 4)).expect("a number");
            let n = units.len();
            let mut counts: BTreeMap<i64, u64> = BTreeMap::new();
            units.iter().for_each(|value| *counts.entry(*value).or_default() += 1);
            let mut tally = NumberTally::new(u64::try_from(n).expect("few"));
            counts.iter().for_each(|(value, count)| tally.add(number(*value), *count));

            let values: Vec<Decimal> = units.iter().map(|value| Decimal::new(*value, 4)).collect();
            let count = Decimal::from(n);
            let mean = values.iter().sum::<Decimal>() / count;
            prop_assert_eq!(tally.mean().expect("a mean").value(), crate::decimal::round_half_away(mean, 4).normalize());
            let median = (values[(n - 1) / 2] + values[n / 2]) / Decimal::TWO;
            prop_assert_eq!(tally.median().expect("a median").value(), median.normalize());
            let variance = values.iter().map(|value| (*value - mean) * (*value - mean)).sum::<Decimal>() / count;
            // The deviation is the number of 4 places whose square is nearest, within what decimals can tell.
            let deviation = tally.standard_deviation().expect("a deviation").value();
            let half = Decimal::new(5, 5);
            let slack = Decimal::new(1, 15);
            let above = (deviation + half) * (deviation + half);
            prop_assert!(variance <= above + slack, "{variance} {deviation}");
            let below = (deviation - half).max(Decimal::ZERO);
            prop_assert!(variance + slack >= below * below, "{variance} {deviation}");
        }
    }
}
