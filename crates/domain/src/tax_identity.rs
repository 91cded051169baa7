//! Tax identities: the number by which a state knows a customer or a firm.

vocabulary! {
    /// Whose numbering a tax identity belongs to.
    TaxScheme {
        /// The Polish tax number (numer identyfikacji podatkowej).
        Nip = "nip",
        /// A VAT number of a member state of the European Union.
        EuVat = "eu_vat",
        /// A number of any other state.
        Other = "other",
        /// It has none: a consumer.
        None = "none",
    }
}

/// A tax identity that is well formed; whether the number was ever given to anybody, only its state can tell.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TaxIdentity {
    scheme: TaxScheme,
    country: Option<String>,
    number: Option<String>,
}

/// What is wrong with a tax identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TaxIdentityProblem {
    #[error("a country is needed")]
    CountryMissing,
    #[error("two upper-case letters are expected (ISO 3166-1)")]
    CountryForm,
    #[error("not the prefix of a member state of the European Union (or XI)")]
    CountryNotInUnion,
    #[error("a NIP is Polish")]
    CountryNotPoland,
    #[error("without a scheme there is no country")]
    CountryNotExpected,
    #[error("a number is needed")]
    NumberMissing,
    #[error("10 digits are expected")]
    NipForm,
    #[error("the check digit does not match")]
    NipCheckDigit,
    #[error("2 to 12 letters and digits are expected after the prefix")]
    EuVatForm,
    #[error("at most {} characters on one line are expected", TaxIdentity::NUMBER_LENGTH_MAX)]
    NumberForm,
    #[error("without a scheme there is no number")]
    NumberNotExpected,
}

impl TaxIdentityProblem {
    /// The field of the tax identity that it is about.
    pub const fn field(self) -> &'static str {
        match self {
            Self::CountryMissing
            | Self::CountryForm
            | Self::CountryNotInUnion
            | Self::CountryNotPoland
            | Self::CountryNotExpected => "country",
            Self::NumberMissing
            | Self::NipForm
            | Self::NipCheckDigit
            | Self::EuVatForm
            | Self::NumberForm
            | Self::NumberNotExpected => "number",
        }
    }
}

impl TaxIdentity {
    /// The identity of somebody who has none.
    pub const NONE: Self = Self { scheme: TaxScheme::None, country: None, number: None };

    /// How many characters a number of another state may have.
    pub const NUMBER_LENGTH_MAX: usize = 50;

    /// Takes an identity as people write it, `PL 526-104-08-28` say, and keeps it as the tax office does.
    ///
    /// - `nip`: 10 digits, the last of which checks the others; the country is `PL`, said or not.
    /// - `eu_vat`: the country is the prefix of the number, and may stand there only. It is that of ISO 3166-1 but
    ///   for Greece (`EL`) and Northern Ireland (`XI`). A Polish one is a NIP after its prefix.
    /// - `other`: the country and any number of up to 50 characters.
    /// - `none`: neither.
    ///
    /// Answers every problem that it finds.
    pub fn new(
        scheme: TaxScheme,
        country: Option<&str>,
        number: Option<&str>,
    ) -> Result<Self, Vec<TaxIdentityProblem>> {
        let country = country.map(str::trim).filter(|country| !country.is_empty());
        let number = number.map(str::trim).filter(|number| !number.is_empty());
        let (country, number) = match scheme {
            TaxScheme::Nip => nip_identity(country, number),
            TaxScheme::EuVat => eu_vat_identity(country, number),
            TaxScheme::Other => other_identity(country, number),
            TaxScheme::None => (
                country.map_or(Ok(None), |_| Err(TaxIdentityProblem::CountryNotExpected)),
                number.map_or(Ok(None), |_| Err(TaxIdentityProblem::NumberNotExpected)),
            ),
        };
        match (country, number) {
            (Ok(country), Ok(number)) => Ok(Self { scheme, country, number }),
            (country, number) => Err(country.err().into_iter().chain(number.err()).collect()),
        }
    }

    pub const fn scheme(&self) -> TaxScheme {
        self.scheme
    }

    /// The country of the scheme; for `eu_vat` the prefix, which for Greece is `EL`.
    pub fn country(&self) -> Option<&str> {
        self.country.as_deref()
    }

    /// The number without its country prefix and, but for `other`, without separators.
    pub fn number(&self) -> Option<&str> {
        self.number.as_deref()
    }
}

/// A NIP as ten digits, from a text with dashes, spaces and perhaps a prefix `PL`.
pub fn nip(text: &str) -> Result<String, TaxIdentityProblem> {
    let compact = compact(text);
    let digits = compact.strip_prefix(POLAND).unwrap_or(&compact);
    if digits.len() != 10 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(TaxIdentityProblem::NipForm);
    }
    nip_checks(digits).then(|| digits.to_owned()).ok_or(TaxIdentityProblem::NipCheckDigit)
}

type Field = Result<Option<String>, TaxIdentityProblem>;

const POLAND: &str = "PL";

/// The prefixes of FA(3)'s `TKodyKrajowUE`: the member states, with `EL` for Greece, and Northern Ireland.
const UNION_PREFIXES: [&str; 28] = [
    "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "EL", "ES", "FI", "FR", "HR", "HU", "IE", "IT", "LT", "LU", "LV",
    "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK", "XI",
];

fn nip_identity(country: Option<&str>, number: Option<&str>) -> (Field, Field) {
    let country = match country {
        None | Some(POLAND) => Ok(Some(POLAND.to_owned())),
        Some(_) => Err(TaxIdentityProblem::CountryNotPoland),
    };
    (country, number.ok_or(TaxIdentityProblem::NumberMissing).and_then(nip).map(Some))
}

fn eu_vat_identity(country: Option<&str>, number: Option<&str>) -> (Field, Field) {
    let number = number.map(compact);
    let said = country.or_else(|| number.as_deref().and_then(|number| number.get(..2)));
    let prefix = said.map(|country| if country == "GR" { "EL" } else { country });
    let country = match prefix {
        None => Err(TaxIdentityProblem::CountryMissing),
        Some(prefix) if UNION_PREFIXES.contains(&prefix) => Ok(prefix),
        Some(_) => Err(TaxIdentityProblem::CountryNotInUnion),
    };
    let number = match (&number, country) {
        (None, _) => Err(TaxIdentityProblem::NumberMissing),
        (Some(number), Ok(POLAND)) => nip(number),
        (Some(number), Ok(kept)) => eu_vat_body(number, said.unwrap_or(kept), kept),
        // Which prefix to take off is not known.
        (Some(_), Err(_)) => Ok(String::new()),
    };
    (country.map(|country| Some(country.to_owned())), number.map(Some))
}

/// The number after its prefix, which is taken off where it stands, written as said or as kept.
///
/// A French number begins with a key of two characters, which may be `FR` again: there only the length tells.
fn eu_vat_body(number: &str, said: &str, kept: &str) -> Result<String, TaxIdentityProblem> {
    const FRENCH_LENGTH: usize = 11;
    let may_be_key = |text: &str| kept == "FR" && text.len() == FRENCH_LENGTH;
    let unprefixed = number.strip_prefix(kept).or_else(|| number.strip_prefix(said));
    let body = unprefixed.filter(|_| !may_be_key(number)).unwrap_or(number);
    // Old Irish numbers have `+` or `*` in them, and FA(3) takes both.
    let is_expected = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'+' || byte == b'*';
    let fits = (2..=12).contains(&body.len())
        && body.bytes().all(is_expected)
        && (!body.starts_with(kept) || may_be_key(body));
    fits.then(|| body.to_owned()).ok_or(TaxIdentityProblem::EuVatForm)
}

fn other_identity(country: Option<&str>, number: Option<&str>) -> (Field, Field) {
    let country = match country {
        None => Err(TaxIdentityProblem::CountryMissing),
        Some(country) if country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_uppercase()) => {
            Ok(Some(country.to_owned()))
        }
        Some(_) => Err(TaxIdentityProblem::CountryForm),
    };
    let number = match number {
        None => Err(TaxIdentityProblem::NumberMissing),
        Some(number)
            if number.chars().count() > TaxIdentity::NUMBER_LENGTH_MAX || number.contains(char::is_control) =>
        {
            Err(TaxIdentityProblem::NumberForm)
        }
        Some(number) => Ok(Some(number.to_owned())),
    };
    (country, number)
}

/// In upper case and without the separators that people write for the eye.
fn compact(text: &str) -> String {
    text.chars()
        .filter(|it| !it.is_whitespace() && !matches!(it, '-' | '.'))
        .map(|it| it.to_ascii_uppercase())
        .collect()
}

/// The first nine digits weighted 6, 5, 7, 2, 3, 4, 5, 6, 7 and summed, modulo 11, give the tenth. No digit is 10,
/// so a number whose remainder is 10 is never given out.
fn nip_checks(digits: &str) -> bool {
    const WEIGHTS: [u32; 9] = [6, 5, 7, 2, 3, 4, 5, 6, 7];
    let digits = || digits.chars().filter_map(|digit| digit.to_digit(10));
    let sum: u32 = digits().zip(WEIGHTS).map(|(digit, weight)| digit * weight).sum();
    digits().next_back() == Some(sum % 11)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use TaxIdentityProblem::*;

    fn identity(
        scheme: TaxScheme,
        country: Option<&str>,
        number: Option<&str>,
    ) -> Result<(Option<String>, Option<String>), Vec<TaxIdentityProblem>> {
        TaxIdentity::new(scheme, country, number).map(|identity| {
            assert_eq!(identity.scheme(), scheme);
            (identity.country().map(str::to_owned), identity.number().map(str::to_owned))
        })
    }

    fn both(country: &str, number: &str) -> Result<(Option<String>, Option<String>), Vec<TaxIdentityProblem>> {
        Ok((Some(country.to_owned()), Some(number.to_owned())))
    }

    #[test]
    fn a_nip_is_kept_as_ten_digits() {
        // 5·6+2·5+6·7+1·2+0·3+4·4+0·5+8·6+2·7 = 162 = 14·11 + 8
        for written in ["5261040828", "526-104-08-28", "PL5261040828", "pl 526 104 08 28"] {
            assert_eq!(identity(TaxScheme::Nip, None, Some(written)), both("PL", "5261040828"), "{written}");
        }
        assert_eq!(identity(TaxScheme::Nip, Some("PL"), Some("5261040828")), both("PL", "5261040828"));
    }

    #[test]
    fn a_nip_with_a_wrong_form_or_check_digit_is_refused() {
        for written in ["526104082", "52610408280", "526104082A", "PLPL5261040828", "٥261040828"] {
            assert_eq!(nip(written), Err(NipForm), "{written}");
        }
        assert_eq!(nip("5261040827"), Err(NipCheckDigit));
        // 0·6+0·5+0·7+0·2+0·3+1·4+0·5+1·6+0·7 = 10, which no digit equals
        assert_eq!(nip("0000010100"), Err(NipCheckDigit));
        assert_eq!(identity(TaxScheme::Nip, Some("DE"), None), Err(vec![CountryNotPoland, NumberMissing]));
    }

    #[test]
    fn the_prefix_of_an_eu_number_stands_in_either_place() {
        for (country, number) in [(None, "DE 123 456 789"), (Some("DE"), "123456789"), (Some("DE"), "de123456789")] {
            assert_eq!(identity(TaxScheme::EuVat, country, Some(number)), both("DE", "123456789"));
        }
        assert_eq!(identity(TaxScheme::EuVat, Some("GR"), Some("123456789")), both("EL", "123456789"));
        assert_eq!(identity(TaxScheme::EuVat, Some("GR"), Some("EL123456789")), both("EL", "123456789"));
        assert_eq!(identity(TaxScheme::EuVat, Some("GR"), Some("GR123456789")), both("EL", "123456789"));
        assert_eq!(identity(TaxScheme::EuVat, None, Some("XI110305878")), both("XI", "110305878"));
        assert_eq!(identity(TaxScheme::EuVat, None, Some("PL526-104-08-28")), both("PL", "5261040828"));
        for (country, number) in [(None, "FRFR123456789"), (Some("FR"), "FR123456789")] {
            assert_eq!(identity(TaxScheme::EuVat, country, Some(number)), both("FR", "FR123456789"), "the key is FR");
        }
    }

    #[test]
    fn an_eu_number_of_no_member_state_or_form_is_refused() {
        assert_eq!(identity(TaxScheme::EuVat, Some("GB"), Some("GB123456789")), Err(vec![CountryNotInUnion]));
        assert_eq!(identity(TaxScheme::EuVat, Some("DE"), Some("1")), Err(vec![EuVatForm]));
        assert_eq!(identity(TaxScheme::EuVat, Some("DE"), Some("1234567890123")), Err(vec![EuVatForm]));
        assert_eq!(identity(TaxScheme::EuVat, Some("DE"), Some("12345/789")), Err(vec![EuVatForm]));
        assert_eq!(identity(TaxScheme::EuVat, Some("PL"), Some("5261040827")), Err(vec![NipCheckDigit]));
        assert_eq!(identity(TaxScheme::EuVat, None, None), Err(vec![CountryMissing, NumberMissing]));
    }

    #[test]
    fn another_state_has_any_number_and_nobody_has_none() {
        assert_eq!(identity(TaxScheme::Other, Some("CH"), Some(" CHE-109.322.551 ")), both("CH", "CHE-109.322.551"));
        let long = "1".repeat(51);
        assert_eq!(identity(TaxScheme::Other, Some("Swiss"), Some(&long)), Err(vec![CountryForm, NumberForm]));
        assert_eq!(TaxIdentity::new(TaxScheme::None, None, Some("  ")), Ok(TaxIdentity::NONE));
        assert_eq!(identity(TaxScheme::None, Some("PL"), Some("1")), Err(vec![CountryNotExpected, NumberNotExpected]));
        assert_eq!(CountryNotExpected.field(), "country");
        assert_eq!(NumberNotExpected.field(), "number");
    }

    proptest! {
        #[test]
        fn one_changed_digit_breaks_a_nip(body in 100_000_000_u32..1_000_000_000, place in 0_usize..10, by in 1_u32..10) {
            let valid = (0..10).map(|last| format!("{body}{last}")).find(|number| nip(number).is_ok());
            if let Some(number) = valid {
                let changed: String = number.chars().enumerate().map(|(index, digit)| {
                    let digit = digit.to_digit(10).expect("a digit");
                    char::from_digit(if index == place { (digit + by) % 10 } else { digit }, 10).expect("a digit")
                }).collect();
                prop_assert!(nip(&changed).is_err());
            }
        }

        #[test]
        fn what_is_kept_is_taken_again(scheme in 0_usize..4, country in "|FR|DE|GR|EL|PL|[A-Z]{2}", number in "(FR|DE|GR|EL|PL){0,2}[A-Za-z0-9 .-]{0,12}") {
            let scheme = TaxScheme::ALL[scheme];
            if let Ok(identity) = TaxIdentity::new(scheme, Some(&country), Some(&number)) {
                prop_assert_eq!(TaxIdentity::new(scheme, identity.country(), identity.number()), Ok(identity.clone()));
            }
        }

        #[test]
        fn no_text_panics(scheme in 0_usize..4, country in any::<Option<String>>(), number in any::<Option<String>>()) {
            let _ = TaxIdentity::new(TaxScheme::ALL[scheme], country.as_deref(), number.as_deref());
        }
    }
}
