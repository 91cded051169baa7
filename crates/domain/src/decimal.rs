//! Exact decimals: each kind with its own places and bounds, text in JSON, `numeric` in SQL, never a float.

use rust_decimal::{Decimal, RoundingStrategy};

/// Half away from zero, the commercial rule (and what PostgreSQL's `round(numeric, int)` does): the one
/// rounding of money in Opiekun.
pub fn round_half_away(value: Decimal, places: u32) -> Decimal {
    value.round_dp_with_strategy(places, RoundingStrategy::MidpointAwayFromZero)
}

/// A text that is not a decimal of the kind asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a decimal that matches {pattern}")]
pub struct NotADecimal {
    /// How a decimal of that kind is written.
    pub pattern: &'static str,
}

/// A sum, product or share that no longer fits its kind of decimal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the result is too large to be kept exactly")]
pub struct Overflow;

/// Declares a kind of decimal. `digits` may stand before the point and `places` after it; at least `shown` places
/// are written, so that money always reads `1234.50`. `pattern` says the same to readers of the contract.
macro_rules! decimal {
    ($(#[$meta:meta])* $name:ident {
        digits: $digits:literal, places: $places:literal, shown: $shown:literal, negative: $negative:literal,
        $(max: $max:literal,)? pattern: $pattern:literal, example: $example:literal
    }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
        #[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
        #[cfg_attr(feature = "schema", schema(value_type = String, pattern = $pattern, example = $example))]
        #[cfg_attr(feature = "sql", derive(diesel::expression::AsExpression, diesel::deserialize::FromSqlRow))]
        #[cfg_attr(feature = "sql", diesel(sql_type = diesel::sql_types::Numeric))]
        pub struct $name(Decimal);

        impl $name {
            /// How many places after the point it keeps.
            pub const PLACES: u32 = $places;

            /// How it is written: a regular expression of ECMA 262, as in the published contract.
            pub const PATTERN: &'static str = $pattern;

            /// Takes a value that fits the kind exactly; `None` where it has more places, digits or a sign too many.
            pub fn new(value: Decimal) -> Option<Self> {
                let value = value.normalize();
                let fits = value.scale() <= $places
                    && value.trunc().abs() < Decimal::from(10_u64.pow($digits))
                    && ($negative || !value.is_sign_negative())
                    $(&& value <= Decimal::from($max))?;
                fits.then_some(Self(value))
            }

            /// Rounds half away from zero to the places of the kind; `None` where the value is out of its bounds.
            pub fn rounded(value: Decimal) -> Option<Self> {
                Self::new(round_half_away(value, $places))
            }

            /// The exact value.
            pub const fn value(self) -> Decimal {
                self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let mut value = self.0;
                value.rescale(value.scale().max($shown));
                value.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = NotADecimal;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let value = if is_written(text, $digits, $places, $negative) { text.parse().ok() } else { None };
                value.and_then(Self::new).ok_or(NotADecimal { pattern: $pattern })
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        #[cfg(feature = "sql")]
        impl diesel::serialize::ToSql<diesel::sql_types::Numeric, diesel::pg::Pg> for $name {
            fn to_sql<'b>(
                &'b self,
                out: &mut diesel::serialize::Output<'b, '_, diesel::pg::Pg>,
            ) -> diesel::serialize::Result {
                diesel::serialize::ToSql::<diesel::sql_types::Numeric, diesel::pg::Pg>::to_sql(&self.0, out)
            }
        }

        #[cfg(feature = "sql")]
        impl diesel::deserialize::FromSql<diesel::sql_types::Numeric, diesel::pg::Pg> for $name {
            fn from_sql(bytes: diesel::pg::PgValue<'_>) -> diesel::deserialize::Result<Self> {
                let value = <Decimal as diesel::deserialize::FromSql<diesel::sql_types::Numeric, _>>::from_sql(bytes)?;
                Self::new(value).ok_or_else(|| NotADecimal { pattern: $pattern }.into())
            }
        }
    };
}

decimal! {
    /// An amount of money; its currency stands beside it.
    Amount {
        digits: 14, places: 2, shown: 2, negative: true,
        pattern: r"^-?[0-9]{1,14}(\.[0-9]{1,2})?$", example: "1234.50"
    }
}

decimal! {
    /// A sum of many amounts of money, with room for more digits than one of them; its currency stands beside it.
    AmountSum {
        digits: 18, places: 2, shown: 2, negative: true,
        pattern: r"^-?[0-9]{1,18}(\.[0-9]{1,2})?$", example: "1234.50"
    }
}
decimal! {
    /// The price of one unit, finer than money (FA(3) allows 8 places; we keep 4).
    UnitPrice {
        digits: 12, places: 4, shown: 2, negative: true,
        pattern: r"^-?[0-9]{1,12}(\.[0-9]{1,4})?$", example: "49.90"
    }
}
decimal! {
    /// How many units are billed (FA(3) allows 6 places; we keep 4).
    Quantity {
        digits: 10, places: 4, shown: 0, negative: true,
        pattern: r"^-?[0-9]{1,10}(\.[0-9]{1,4})?$", example: "1"
    }
}
decimal! {
    /// The price of one hour of work.
    HourlyRate {
        digits: 8, places: 2, shown: 2, negative: false,
        pattern: r"^[0-9]{1,8}(\.[0-9]{1,2})?$", example: "150.00"
    }
}
decimal! {
    /// A share of a hundred, from 0 to 100.
    Percent {
        digits: 3, places: 2, shown: 0, negative: false, max: 100,
        pattern: r"^(100(\.0{1,2})?|[0-9]{1,2}(\.[0-9]{1,2})?)$", example: "10"
    }
}
decimal! {
    /// By how many of a hundred a price rises, or falls where it is negative.
    PercentChange {
        digits: 4, places: 4, shown: 0, negative: true,
        pattern: r"^-?[0-9]{1,4}(\.[0-9]{1,4})?$", example: "3.6"
    }
}
decimal! {
    /// How many units of the home currency one unit of a foreign one is worth (FA(3) allows 6 places).
    ExchangeRate {
        digits: 6, places: 6, shown: 4, negative: false,
        pattern: r"^[0-9]{1,6}(\.[0-9]{1,6})?$", example: "4.2517"
    }
}
decimal! {
    /// What a sale would bring; its currency stands beside it.
    OpportunityValue {
        digits: 12, places: 2, shown: 2, negative: false,
        pattern: r"^[0-9]{1,12}(\.[0-9]{1,2})?$", example: "12000.00"
    }
}
decimal! {
    /// How many of a hundred, as reports tell it.
    Share {
        digits: 3, places: 2, shown: 2, negative: false, max: 100,
        pattern: r"^(100(\.0{1,2})?|[0-9]{1,2}(\.[0-9]{1,2})?)$", example: "37.50"
    }
}
decimal! {
    /// For how many days of 24 hours a sale stood at a stage.
    StageDays {
        digits: 7, places: 2, shown: 2, negative: false,
        pattern: r"^[0-9]{1,7}(\.[0-9]{1,2})?$", example: "4.25"
    }
}

decimal! {
    /// What a survey's question of kind `number` is answered with.
    SurveyNumber {
        digits: 9, places: 4, shown: 0, negative: true,
        pattern: r"^-?[0-9]{1,9}(\.[0-9]{1,4})?$", example: "12.5"
    }
}
decimal! {
    /// What answers come to: a mean, a median, a deviation, a score.
    SurveyFigure {
        digits: 10, places: 5, shown: 2, negative: true,
        pattern: r"^-?[0-9]{1,10}(\.[0-9]{1,5})?$", example: "8.40"
    }
}

impl SurveyNumber {
    /// The least and the greatest, in units of the last place.
    pub const BOUNDS: (i64, i64) = (-9_999_999_999_999, 9_999_999_999_999);

    /// In units of the last place.
    pub fn units(self) -> i64 {
        let mut value = self.0;
        value.rescale(Self::PLACES);
        // 13 digits always fit.
        i64::try_from(value.mantissa()).unwrap_or_default()
    }
}

/// What amounts and their sums do alike.
macro_rules! adds_up {
    ($($name:ident)+) => {$(
        impl $name {
            /// Nothing, as much of it in every currency.
            pub const ZERO: Self = Self(Decimal::ZERO);

            pub fn checked_add(self, other: Self) -> Result<Self, Overflow> {
                self.0.checked_add(other.0).and_then(Self::new).ok_or(Overflow)
            }

            pub fn checked_sub(self, other: Self) -> Result<Self, Overflow> {
                self.0.checked_sub(other.0).and_then(Self::new).ok_or(Overflow)
            }
        }
    )+};
}

adds_up! { Amount AmountSum }

impl Quantity {
    /// A single unit.
    pub const ONE: Self = Self(Decimal::ONE);
}

impl From<Amount> for AmountSum {
    fn from(amount: Amount) -> Self {
        Self(amount.0)
    }
}

/// Whether `text` is plain digits with a point and a sign where they belong: no exponent, no plus, no spaces.
fn is_written(text: &str, digits: usize, places: usize, negative: bool) -> bool {
    let unsigned = if negative { text.strip_prefix('-').unwrap_or(text) } else { text };
    let (whole, fraction) = match unsigned.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (unsigned, None),
    };
    let is_digits =
        |part: &str, most: usize| (1..=most).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    is_digits(whole, digits) && fraction.is_none_or(|fraction| is_digits(fraction, places))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse<T: std::str::FromStr<Err = NotADecimal>>(text: &str) -> T {
        text.parse().expect(text)
    }

    #[test]
    fn money_always_shows_two_places_and_a_quantity_only_what_it_has() {
        for (written, shown) in [("1234.5", "1234.50"), ("0", "0.00"), ("-7.00", "-7.00"), ("-0", "0.00")] {
            assert_eq!(parse::<Amount>(written).to_string(), shown);
        }
        for (written, shown) in [("49.9", "49.90"), ("0.1234", "0.1234"), ("0.1230", "0.123")] {
            assert_eq!(parse::<UnitPrice>(written).to_string(), shown);
        }
        for (written, shown) in [("1", "1"), ("2.5000", "2.5")] {
            assert_eq!(parse::<Quantity>(written).to_string(), shown);
        }
    }

    #[test]
    fn refuses_what_the_pattern_refuses() {
        let long = "1".repeat(40);
        for text in ["", "-", ".", "1.", ".5", "+1", "1e3", " 1", "1 ", "1,5", "--1", "1.2.3", "0.001", "١", &long] {
            assert!(text.parse::<Amount>().is_err(), "{text:?}");
        }
        assert!("123456789012345".parse::<Amount>().is_err());
        assert!("-1".parse::<HourlyRate>().is_err());
        for text in ["100.01", "101", "-1", "999"] {
            assert!(text.parse::<Percent>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn rounds_half_away_from_zero() {
        for (value, rounded) in [("0.005", "0.01"), ("-0.005", "-0.01"), ("0.00499", "0.00"), ("2.675", "2.68")] {
            let value = Decimal::from_str_exact(value).expect("a decimal");
            assert_eq!(Amount::rounded(value), Some(parse(rounded)));
        }
    }

    #[test]
    fn an_amount_too_large_is_an_error() {
        let most: Amount = parse("99999999999999.99");
        assert_eq!(most.checked_add(parse("0.01")), Err(Overflow));
        assert_eq!(most.checked_sub(most), Ok(Amount::ZERO));
        assert_eq!(Amount::ZERO.checked_sub(most).and_then(|least| least.checked_sub(parse("0.01"))), Err(Overflow));
    }

    #[test]
    fn json_is_text_and_never_a_number() {
        assert_eq!(serde_json::to_string(&parse::<Amount>("5")).ok().as_deref(), Some("\"5.00\""));
        assert!(serde_json::from_str::<Amount>("5").is_err());
        assert_eq!(serde_json::from_str::<Amount>("\"5.1\"").ok(), Some(parse("5.10")));
    }

    proptest! {
        #[test]
        fn reads_what_it_writes(
            cents in -9_999_999_999_999_999_i64..=9_999_999_999_999_999,
            hundredths in 0_i64..=10_000,
        ) {
            let amount = Amount::new(Decimal::new(cents, 2)).expect("in bounds");
            prop_assert_eq!(amount.to_string().parse(), Ok(amount));
            let percent = Percent::new(Decimal::new(hundredths, 2)).expect("in bounds");
            prop_assert_eq!(percent.to_string().parse(), Ok(percent));
        }

        #[test]
        fn no_text_panics(text in any::<String>()) {
            let _ = (text.parse::<Amount>(), text.parse::<Percent>());
        }

        #[test]
        fn equal_values_are_equal_however_many_zeros_they_end_in(whole in any::<i32>()) {
            let plain = Amount::new(Decimal::from(whole));
            prop_assert_eq!(plain, Amount::new(Decimal::new(i64::from(whole) * 100, 2)));
        }
    }
}
