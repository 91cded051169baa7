//! The currency of an amount: a code of ISO 4217, which stands beside every amount of money.

/// A currency of ISO 4217 with two places after the point, written as its code: `PLN`.
///
/// The structured e-invoice FA(3) keeps two places in every amount, so a currency with another minor unit
/// (`JPY`, `KWD`) is refused until an invoice in it can be told to the tax office.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "schema", schema(value_type = String, pattern = r"^[A-Z]{3}$", example = "PLN"))]
#[cfg_attr(feature = "sql", derive(diesel::expression::AsExpression, diesel::deserialize::FromSqlRow))]
#[cfg_attr(feature = "sql", diesel(sql_type = diesel::sql_types::Text))]
pub struct Currency(iso_currency::Currency);

/// A text that is no code of a currency which Opiekun can invoice in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotACurrency {
    #[error("not a currency code of ISO 4217")]
    Unknown,
    #[error("a currency whose minor unit is not a hundredth")]
    NotInHundredths,
}

impl Currency {
    /// The Polish złoty, in which VAT is owed.
    pub const PLN: Self = Self(iso_currency::Currency::PLN);

    /// The code of ISO 4217, three upper-case letters.
    pub fn code(self) -> &'static str {
        self.0.code()
    }
}

impl PartialOrd for Currency {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// By code, so that totals per currency always stand in the same order.
impl Ord for Currency {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.code().cmp(other.code())
    }
}

impl std::fmt::Display for Currency {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.code())
    }
}

impl std::str::FromStr for Currency {
    type Err = NotACurrency;

    fn from_str(code: &str) -> Result<Self, Self::Err> {
        let currency = iso_currency::Currency::from_code(code).ok_or(NotACurrency::Unknown)?;
        match currency.exponent() {
            Some(2) => Ok(Self(currency)),
            _ => Err(NotACurrency::NotInHundredths),
        }
    }
}

impl serde::Serialize for Currency {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> serde::Deserialize<'de> for Currency {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <String as serde::Deserialize>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(feature = "sql")]
impl diesel::serialize::ToSql<diesel::sql_types::Text, diesel::pg::Pg> for Currency {
    fn to_sql<'b>(&'b self, out: &mut diesel::serialize::Output<'b, '_, diesel::pg::Pg>) -> diesel::serialize::Result {
        diesel::serialize::ToSql::<diesel::sql_types::Text, diesel::pg::Pg>::to_sql(self.code(), out)
    }
}

#[cfg(feature = "sql")]
impl diesel::deserialize::FromSql<diesel::sql_types::Text, diesel::pg::Pg> for Currency {
    fn from_sql(bytes: diesel::pg::PgValue<'_>) -> diesel::deserialize::Result<Self> {
        Ok(std::str::from_utf8(bytes.as_bytes())?.parse()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_written_as_its_code() {
        assert_eq!("PLN".parse(), Ok(Currency::PLN));
        assert_eq!(Currency::PLN.to_string(), "PLN");
        assert_eq!(serde_json::to_string(&Currency::PLN).ok().as_deref(), Some("\"PLN\""));
        assert_eq!(serde_json::from_str::<Currency>("\"EUR\"").map(Currency::code).ok(), Some("EUR"));
    }

    #[test]
    fn refuses_unknown_codes_and_other_minor_units() {
        for code in ["", "pln", "PL", "PLNN", "ZZZ"] {
            assert_eq!(code.parse::<Currency>(), Err(NotACurrency::Unknown), "{code:?}");
        }
        for code in ["JPY", "KWD", "XAU"] {
            assert_eq!(code.parse::<Currency>(), Err(NotACurrency::NotInHundredths), "{code}");
        }
    }
}
