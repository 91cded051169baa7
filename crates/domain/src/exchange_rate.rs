//! Exchange rates: by which table the VAT of an invoice in another currency is told in złoty.

use std::collections::BTreeMap;

use chrono::NaiveDate;

use crate::calendar_day::shift_to_working_day;
use crate::currency::Currency;
use crate::invoice::TableRate;
use crate::schedule::IssueDayShift;

/// The day of the table that counts for what is sold on a day and invoiced on another: the last working day before the
/// earlier of the two (ustawa o VAT, art. 31a ust. 1, and ust. 2 where the invoice comes first).
pub fn table_day(sold_on: NaiveDate, issued_on: NaiveDate) -> NaiveDate {
    let counts_on = sold_on.min(issued_on);
    // There is no day before only where chrono's calendar begins.
    shift_to_working_day(counts_on.pred_opt().unwrap_or(counts_on), IssueDayShift::Before)
}

/// Rates that an organization keeps: one a currency and day of table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExchangeRates(BTreeMap<(Currency, NaiveDate), TableRate>);

impl ExchangeRates {
    /// The rate of exactly this day's table.
    pub fn on(&self, currency: Currency, day: NaiveDate) -> Option<&TableRate> {
        self.0.get(&(currency, day))
    }
}

impl FromIterator<(Currency, TableRate)> for ExchangeRates {
    fn from_iter<I: IntoIterator<Item = (Currency, TableRate)>>(rates: I) -> Self {
        Self(rates.into_iter().map(|(currency, table)| ((currency, table.on), table)).collect())
    }
}

#[cfg(test)]
mod tests {
    use chrono::Days;
    use proptest::prelude::*;

    use super::*;
    use crate::calendar_day::is_working_day;

    fn day(text: &str) -> NaiveDate {
        text.parse().expect(text)
    }

    #[test]
    fn the_last_working_day_before_the_earlier_day_counts() {
        for (sold_on, issued_on, table) in [
            // Tuesday, and Monday before it.
            ("2026-11-24", "2026-11-24", "2026-11-23"),
            // Billed in arrears, the sale comes first; in advance, the issue.
            ("2026-10-30", "2026-11-05", "2026-10-29"),
            ("2026-11-30", "2026-11-05", "2026-11-04"),
            // Over a weekend, from each of its days and the Monday behind it.
            ("2026-11-21", "2026-12-01", "2026-11-20"),
            ("2026-11-22", "2026-12-01", "2026-11-20"),
            ("2026-11-23", "2026-12-01", "2026-11-20"),
            // Independence Day is a Wednesday.
            ("2026-11-12", "2026-11-12", "2026-11-10"),
            // All Saints' is a Sunday; the Monday after it is worked.
            ("2026-11-02", "2026-11-02", "2026-10-30"),
            // Christmas Eve is free, and with the weekend so are the three days after it.
            ("2026-12-28", "2026-12-31", "2026-12-23"),
            // New Year's Day is a Friday.
            ("2027-01-31", "2027-01-04", "2026-12-31"),
        ] {
            assert_eq!(table_day(day(sold_on), day(issued_on)), day(table), "{sold_on} {issued_on}");
        }
    }

    #[test]
    fn a_rate_is_of_its_currency_and_exactly_its_day() {
        let (euro, dollar): (Currency, Currency) = ("EUR".parse().expect("EUR"), "USD".parse().expect("USD"));
        let table =
            |rate: &str, on: &str| TableRate { rate: rate.parse().expect(rate), on: day(on), source: "NBP".to_owned() };
        let (friday, monday) = (table("4.25", "2026-11-20"), table("4.26", "2026-11-23"));
        let rates: ExchangeRates = [(euro, friday.clone()), (euro, monday)].into_iter().collect();
        assert_eq!(rates.on(euro, day("2026-11-20")), Some(&friday));
        assert_eq!(rates.on(euro, day("2026-11-21")), None);
        assert_eq!(rates.on(dollar, day("2026-11-20")), None);
    }

    proptest! {
        #[test]
        fn it_is_a_working_day_with_none_between_it_and_the_day_that_counts(
            sold in 0_u64..30_000, issued in 0_u64..30_000,
        ) {
            let since_1990 = |days| day("1990-01-02").checked_add_days(Days::new(days)).expect("a day");
            let (sold_on, issued_on) = (since_1990(sold), since_1990(issued));
            let table = table_day(sold_on, issued_on);
            prop_assert!(is_working_day(table));
            prop_assert!(table < sold_on && table < issued_on);
            let between = table.iter_days().skip(1).take_while(|day| *day < sold_on.min(issued_on));
            prop_assert!(between.into_iter().all(|day| !is_working_day(day)));
            prop_assert_eq!(table, table_day(issued_on, sold_on));
        }

        #[test]
        fn later_days_never_have_an_earlier_table(sold in 0_u64..30_000, issued in 0_u64..30_000, later in 0_u64..40) {
            let since_1990 = |days| day("1990-01-02").checked_add_days(Days::new(days)).expect("a day");
            let table = table_day(since_1990(sold), since_1990(issued));
            prop_assert!(table <= table_day(since_1990(sold + later), since_1990(issued)));
            prop_assert!(table <= table_day(since_1990(sold), since_1990(issued + later)));
        }

        #[test]
        fn no_day_panics(sold in any::<i32>(), issued in any::<i32>()) {
            let of = |days| NaiveDate::from_num_days_from_ce_opt(days);
            for sold_on in [NaiveDate::MIN, NaiveDate::MAX].into_iter().chain(of(sold)) {
                for issued_on in [NaiveDate::MIN, NaiveDate::MAX].into_iter().chain(of(issued)) {
                    prop_assert!(table_day(sold_on, issued_on) <= sold_on.min(issued_on));
                }
            }
        }
    }
}
