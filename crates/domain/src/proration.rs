//! Proration: what a subscription is billed for a period in which it does not run from the first day to the last.

use chrono::NaiveDate;

use crate::decimal::{Overflow, UnitPrice};
use rust_decimal::Decimal;

/// The days of a period in which a subscription runs: at least one, and fewer than all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartPeriod {
    used_days: u32,
    period_days: u32,
}

impl PartPeriod {
    /// What `used` is of the days from `start_on` until before `end_on`; `None` where it is all of them, or none.
    pub fn of((start_on, end_on): (NaiveDate, NaiveDate), used: (NaiveDate, NaiveDate)) -> Option<Self> {
        let days = |(from, to): (NaiveDate, NaiveDate)| u32::try_from(to.signed_duration_since(from).num_days()).ok();
        let (used_days, period_days) = (days(used)?, days((start_on, end_on))?);
        (0 < used_days && used_days < period_days).then_some(Self { used_days, period_days })
    }

    pub const fn used_days(self) -> u32 {
        self.used_days
    }

    pub const fn period_days(self) -> u32 {
        self.period_days
    }

    /// The price of a unit for the days used: price × days used ÷ days in the period, rounded half away from zero to
    /// the four places of a price. The line's value follows from this price as from any other (ustawa o VAT, art. 106e
    /// ust. 1 pkt 9 and 11), so that the invoice can be reckoned from what it shows.
    pub fn price(self, whole: UnitPrice) -> Result<UnitPrice, Overflow> {
        let exact = whole.value().checked_mul(Decimal::from(self.used_days)).ok_or(Overflow)?;
        UnitPrice::rounded(exact / Decimal::from(self.period_days)).ok_or(Overflow)
    }
}

#[cfg(test)]
mod tests {
    use chrono::Days;
    use proptest::prelude::*;

    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().expect(text)
    }

    fn price(text: &str) -> UnitPrice {
        text.parse().expect(text)
    }

    #[test]
    fn half_of_november_costs_half() {
        let november = (day("2026-11-01"), day("2026-12-01"));
        let part = PartPeriod::of(november, (day("2026-11-16"), day("2026-12-01"))).expect("a part");
        assert_eq!((part.used_days(), part.period_days()), (15, 30));
        assert_eq!(part.price(price("450.00")), Ok(price("225.00")));
        // 0.99 × 15 ÷ 30 = 0.495: a thousand of them are 495.00, and not 500.00.
        assert_eq!(part.price(price("0.99")), Ok(price("0.495")));
        // 100 × 1 ÷ 30 = 3.3333…
        let one = PartPeriod::of(november, (day("2026-11-30"), day("2026-12-01"))).expect("a part");
        assert_eq!(one.price(price("100.00")), Ok(price("3.3333")));
        assert_eq!(one.price(price("-0.0015")), Ok(price("-0.0001")));
    }

    #[test]
    fn all_of_a_period_and_none_of_it_are_no_part() {
        let november = (day("2026-11-01"), day("2026-12-01"));
        assert_eq!(PartPeriod::of(november, november), None);
        assert_eq!(PartPeriod::of(november, (day("2026-11-05"), day("2026-11-05"))), None);
    }

    proptest! {
        #[test]
        fn a_part_is_never_off_by_more_than_its_one_rounding(
            (period_days, used_days) in (2_u64..800).prop_flat_map(|days| (Just(days), 1..days)),
            whole in -100_000_000_i64..100_000_000,
        ) {
            let start_on = day("2026-01-31");
            let after = |days| start_on.checked_add_days(Days::new(days)).expect("a day");
            let part = PartPeriod::of((start_on, after(period_days)), (start_on, after(used_days))).expect("a part");
            let whole = UnitPrice::new(Decimal::new(whole, 4)).expect("a price");
            let exact = whole.value() * Decimal::from(used_days) / Decimal::from(period_days);
            let price = part.price(whole).expect("no overflow").value();
            prop_assert!((price - exact).abs() <= Decimal::new(5, 5));
            prop_assert!(price.abs() <= whole.value().abs());
        }
    }
}
