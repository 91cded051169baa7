//! Bank accounts as an IBAN writes them (ISO 13616).

/// Whether the check digits match: the number with its head moved to the end leaves 1 when divided by 97. Without spaces.
pub fn checks(iban: &str) -> bool {
    let Some((head, tail)) = iban.split_at_checked(4) else { return false };
    let remainder = tail.chars().chain(head.chars()).try_fold(0, |remainder, letter| {
        let digit = letter.to_digit(36)?;
        Some(if digit < 10 { (remainder * 10 + digit) % 97 } else { (remainder * 100 + digit) % 97 })
    });
    remainder == Some(1)
}

/// The number that a Polish account is known by at home: 26 digits. `None` of any other account.
pub fn polish_number(iban: &str) -> Option<&str> {
    let number = iban.strip_prefix("PL")?;
    (number.len() == 26 && number.bytes().all(|byte| byte.is_ascii_digit())).then_some(number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn check_digits_match_or_do_not() {
        for iban in ["PL61109010140000071219812874", "PL10105000997603123456789123", "DE89370400440532013000"] {
            assert!(checks(iban), "{iban}");
        }
        for iban in ["PL61109010140000071219812875", "", "PL", "PL61", "PL61 1090 1014", "zażółć"] {
            assert!(!checks(iban), "{iban}");
        }
    }

    #[test]
    fn a_polish_account_has_a_number_of_its_own() {
        assert_eq!(polish_number("PL61109010140000071219812874"), Some("61109010140000071219812874"));
        assert_eq!(polish_number("PL6110901014000007121981287"), None);
        assert_eq!(polish_number("DE89370400440532013000"), None);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in any::<String>()) {
            let _ = (checks(&text), polish_number(&text));
        }
    }
}
