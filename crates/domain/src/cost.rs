//! Cost: what the time that somebody spent is worth.

use std::num::NonZeroU32;

use chrono::NaiveDate;
use rust_decimal::Decimal;

use crate::decimal::{Amount, HourlyRate};

vocabulary! {
    /// Where the rate of an entry comes from, the nearest source first.
    RateSource { Entry = "entry", Customer = "customer", Operator = "operator", Organization = "organization" }
}

vocabulary! {
    /// Whose price of an hour it is.
    RateHolderKind { Customer = "customer", Operator = "operator", Organization = "organization" }
}

/// Whole minutes of work, at most ten years of them, so that their cost always fits an [`Amount`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Minutes(u32);

/// A number of minutes that nobody works.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("0 to {} minutes are expected", Minutes::MAX.0)]
pub struct NotMinutes;

impl Minutes {
    /// Ten years.
    pub const MAX: Self = Self(10 * 366 * 24 * 60);

    pub const fn get(self) -> u32 {
        self.0
    }
}

impl TryFrom<u32> for Minutes {
    type Error = NotMinutes;

    fn try_from(minutes: u32) -> Result<Self, Self::Error> {
        (minutes <= Self::MAX.0).then_some(Self(minutes)).ok_or(NotMinutes)
    }
}

impl TryFrom<i32> for Minutes {
    type Error = NotMinutes;

    fn try_from(minutes: i32) -> Result<Self, Self::Error> {
        u32::try_from(minutes).map_err(|_| NotMinutes)?.try_into()
    }
}

impl From<Minutes> for i32 {
    fn from(minutes: Minutes) -> Self {
        Self::try_from(minutes.0).unwrap_or(Self::MAX)
    }
}

/// The minutes that are billed for those worked: every started multiple of `round_up_to`, or the minutes themselves.
/// No time worked stays no time billed.
pub fn billed_minutes(worked: Minutes, round_up_to: Option<NonZeroU32>) -> Minutes {
    let step = round_up_to.map_or(1, NonZeroU32::get);
    worked.0.checked_next_multiple_of(step).map_or(Minutes::MAX, |billed| Minutes(billed).min(Minutes::MAX))
}

/// The cost of an entry: billed minutes × rate ÷ 60, rounded half away from zero to 0.01. A total is the sum of such
/// rounded costs.
pub fn cost(billed: Minutes, rate: HourlyRate) -> Amount {
    let exact = Decimal::from(billed.0) * rate.value() / Decimal::from(60);
    // Ten years at the highest rate of 8 digits come to 13 of the 14 digits before the point.
    Amount::rounded(exact).unwrap_or_default()
}

/// The price of an hour from a day on, until a later one takes its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DatedRate {
    pub valid_from_on: NaiveDate,
    pub rate: HourlyRate,
}

/// The rate of an entry, and where it was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResolvedRate {
    pub rate: HourlyRate,
    pub source: RateSource,
}

/// The rate of an entry: its own, else the customer's, else the operator's, else the organization's, of the last
/// three the one in force on the day of the entry. `None` where nobody has set any.
pub fn resolve_rate(
    own: Option<HourlyRate>,
    customer: &[DatedRate],
    operator: &[DatedRate],
    organization: &[DatedRate],
    day: NaiveDate,
) -> Option<ResolvedRate> {
    let own = own.map(|rate| ResolvedRate { rate, source: RateSource::Entry });
    let in_force = |rates: &[DatedRate], source| {
        let latest = rates.iter().filter(|dated| dated.valid_from_on <= day).max_by_key(|dated| dated.valid_from_on);
        latest.map(|dated| ResolvedRate { rate: dated.rate, source })
    };
    own.or_else(|| in_force(customer, RateSource::Customer))
        .or_else(|| in_force(operator, RateSource::Operator))
        .or_else(|| in_force(organization, RateSource::Organization))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn minutes(minutes: u32) -> Minutes {
        Minutes::try_from(minutes).expect("minutes")
    }

    fn rate(text: &str) -> HourlyRate {
        text.parse().expect(text)
    }

    fn amount(text: &str) -> Amount {
        text.parse().expect(text)
    }

    fn dated(valid_from_on: &str, amount: &str) -> DatedRate {
        DatedRate { valid_from_on: valid_from_on.parse().expect(valid_from_on), rate: rate(amount) }
    }

    #[test]
    fn started_multiples_are_billed() {
        let quarter = NonZeroU32::new(15);
        for (worked, billed) in [(0, 0), (1, 15), (15, 15), (16, 30), (61, 75)] {
            assert_eq!(billed_minutes(minutes(worked), quarter), minutes(billed));
            assert_eq!(billed_minutes(minutes(worked), None), minutes(worked));
        }
        assert_eq!(billed_minutes(minutes(1), NonZeroU32::new(u32::MAX)), Minutes::MAX);
        assert_eq!(billed_minutes(Minutes::MAX, NonZeroU32::new(7)), Minutes::MAX);
    }

    #[test]
    fn costs_from_real_entries() {
        assert_eq!(cost(minutes(45), rate("150.00")), amount("112.50")); // 45 × 150.00 ÷ 60 = 112.50
        assert_eq!(cost(minutes(20), rate("100.00")), amount("33.33")); // 2000.00 ÷ 60 = 33.333…
        assert_eq!(cost(minutes(7), rate("129.90")), amount("15.16")); // 909.30 ÷ 60 = 15.155, away from zero
        assert_eq!(cost(minutes(0), rate("129.90")), Amount::ZERO);
        assert_eq!(cost(Minutes::MAX, rate("99999999.99")), amount("8783999999121.60")); // 87 840 h × the highest rate
    }

    #[test]
    fn the_nearest_rate_in_force_counts() {
        let day = "2026-11-23".parse().expect("a day");
        let customer = [dated("2026-12-01", "200.00")];
        let operator = [dated("2026-11-23", "120.00"), dated("2025-01-01", "100.00"), dated("2026-11-24", "130.00")];
        let organization = [dated("2020-01-01", "90.00")];
        let resolved = |rate_text: &str, source| Some(ResolvedRate { rate: rate(rate_text), source });

        assert_eq!(
            resolve_rate(Some(rate("50.00")), &customer, &operator, &organization, day),
            resolved("50.00", RateSource::Entry)
        );
        let (none, in_2026) = ([], [dated("2026-01-01", "180.00"), dated("2026-12-01", "200.00")]);
        assert_eq!(
            resolve_rate(None, &in_2026, &operator, &organization, day),
            resolved("180.00", RateSource::Customer)
        );
        assert_eq!(
            resolve_rate(None, &customer, &operator, &organization, day),
            resolved("120.00", RateSource::Operator)
        );
        assert_eq!(
            resolve_rate(None, &customer, &none, &organization, day),
            resolved("90.00", RateSource::Organization)
        );
        assert_eq!(resolve_rate(None, &customer, &none, &none, day), None);
    }

    proptest! {
        #[test]
        fn splitting_work_moves_the_cost_by_less_than_a_cent_a_part(
            parts in proptest::collection::vec(0_u32..600, 1..20),
            rate in 0_i64..10_000_000,
        ) {
            let rate = HourlyRate::new(Decimal::new(rate, 2)).expect("a rate");
            let whole = cost(minutes(parts.iter().sum()), rate).value();
            let split: Decimal = parts.iter().map(|part| cost(minutes(*part), rate).value()).sum();
            prop_assert!((whole - split).abs() < Decimal::new(1, 2) * Decimal::from(parts.len()));
        }

        #[test]
        fn billed_minutes_are_the_least_multiple_that_covers_the_work(worked in 0_u32..100_000, step in 1_u32..1441) {
            let billed = billed_minutes(minutes(worked), NonZeroU32::new(step)).get();
            prop_assert!(billed.is_multiple_of(step) && billed >= worked && billed < worked + step);
        }

        #[test]
        fn a_longer_entry_never_costs_less(worked in 0..Minutes::MAX.get(), rate in 0_i64..=9_999_999_999) {
            let rate = HourlyRate::new(Decimal::new(rate, 2)).expect("a rate");
            prop_assert!(cost(minutes(worked), rate) <= cost(minutes(worked + 1), rate));
        }
    }
}
