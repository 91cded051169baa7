//! The numbers that KSeF, Poland's register of e-invoices, gives to the invoices that it takes.

/// A number as KSeF gives it: `5265877635-20250826-0100001AF629-AF`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KsefNumber(String);

/// What is wrong with a number of KSeF.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KsefNumberProblem {
    #[error("NIP, date, 12 hexadecimal digits in upper case and two more are expected, with dashes between")]
    Form,
    #[error("the last two digits do not match")]
    CheckDigits,
}

impl KsefNumber {
    /// Takes a number that is well formed and whose check digits match; whether KSeF ever gave it, only KSeF can tell. One
    /// of before 2026 has a dash more, and its check digits are not looked at.
    pub fn new(text: &str) -> Result<Self, KsefNumberProblem> {
        let parts: Vec<&str> = text.split('-').collect();
        let (nip, date, digits, check) = match parts[..] {
            [nip, date, digits, check] if digits.len() == 12 => (nip, date, digits.to_owned(), check),
            [nip, date, first, second, check] if (first.len(), second.len()) == (6, 6) => {
                (nip, date, [first, second].concat(), check)
            }
            _ => return Err(KsefNumberProblem::Form),
        };
        let is_hexadecimal = |part: &str| part.bytes().all(|it| it.is_ascii_digit() || (b'A'..=b'F').contains(&it));
        let is_number = |part: &str, length| part.len() == length && part.bytes().all(|it| it.is_ascii_digit());
        let is_formed = is_number(nip, 10)
            && is_number(date, 8)
            && chrono::NaiveDate::parse_from_str(date, "%Y%m%d").is_ok()
            && date >= "20200101"
            && check.len() == 2
            && is_hexadecimal(&digits)
            && is_hexadecimal(check);
        if !is_formed {
            return Err(KsefNumberProblem::Form);
        }
        if parts.len() == 4 && text.get(..32).map(crc8) != u8::from_str_radix(check, 16).ok() {
            return Err(KsefNumberProblem::CheckDigits);
        }
        Ok(Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Of whose invoice it is.
    pub fn seller_nip(&self) -> &str {
        self.0.split('-').next().unwrap_or_default()
    }
}

/// CRC-8 with the polynomial 0x07, from 0.
fn crc8(text: &str) -> u8 {
    text.bytes().fold(0, |crc, byte| {
        (0..8).fold(crc ^ byte, |crc: u8, _| if crc & 0x80 == 0 { crc << 1 } else { (crc << 1) ^ 0x07 })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_number_is_checked_by_its_last_digits() {
        for good in ["5265877635-20250826-0100001AF629-AF", "5210000003-20261130-010ABCDEF123-A6"] {
            let number = KsefNumber::new(good).expect(good);
            assert_eq!((number.as_str(), number.seller_nip()), (good, &good[..10]));
        }
        let off = KsefNumber::new("5265877635-20250826-0100001AF629-AE");
        assert_eq!(off, Err(KsefNumberProblem::CheckDigits));
        assert!(KsefNumber::new("5265877635-20250826-010000-1AF629-AF").is_ok());
        for formless in [
            "",
            "5265877635-20250826-0100001AF629",
            "5265877635-20250826-0100001af629-AF",
            "5265877635-20250231-0100001AF629-AF",
            "5265877635-19990101-0100001AF629-AF",
            "526587763-20250826-0100001AF629-AF",
            "5265877635-20250826-0100001AF629-ąF",
        ] {
            assert_eq!(KsefNumber::new(formless), Err(KsefNumberProblem::Form), "{formless}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in any::<String>()) {
            let _ = KsefNumber::new(&text);
        }
    }
}
