//! What the QR codes of an invoice say: one that fills in the transfer for whoever pays it, and one by which the tax
//! office's system shows whether it knows the invoice.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::NaiveDate;
use opiekun_domain::currency::Currency;
use opiekun_domain::decimal::Amount;
use opiekun_domain::iban;
use qrcode::{Color, EcLevel};
use std::fmt::Write;

/// A transfer that a banking app is to fill in.
#[derive(Debug, Clone, Copy)]
pub struct Transfer<'a> {
    /// Who is paid.
    pub name: &'a str,
    /// The NIP of who is paid.
    pub nip: Option<&'a str>,
    /// Without spaces.
    pub iban: &'a str,
    pub amount: Amount,
    pub currency: Currency,
    pub title: &'a str,
}

/// A QR code: what it says, and how much of it may be lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QrCode {
    pub text: String,
    pub correction: Correction,
}

impl QrCode {
    /// The code as an image, with the margin that readers need; `None` of a text that is too long for any code.
    pub fn svg(&self) -> Option<String> {
        const MARGIN: usize = 4;
        let level = match self.correction {
            Correction::Low => EcLevel::L,
            Correction::Medium => EcLevel::M,
        };
        let code = qrcode::QrCode::with_error_correction_level(&self.text, level).ok()?;
        let width = code.width();
        let mut path = String::new();
        for (row, colors) in code.to_colors().chunks(width).enumerate() {
            let mut column = 0;
            // One rectangle for all dark modules beside each other.
            for run in colors.chunk_by(|one, other| one == other) {
                if run.first() == Some(&Color::Dark) {
                    let length = run.len();
                    write!(path, "M{} {}h{length}v1h-{length}z", column + MARGIN, row + MARGIN).ok()?;
                }
                column += run.len();
            }
        }
        let size = width + 2 * MARGIN;
        Some(format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {size} {size}\" shape-rendering=\"crispEdges\">\
             <path d=\"M0 0h{size}v{size}h-{size}z\" fill=\"#fff\"/><path d=\"{path}\"/></svg>"
        ))
    }
}

/// How much of a code a reader can do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Correction {
    /// 7 percent.
    Low,
    /// 15 percent.
    Medium,
}

/// The code that fills in a transfer; `None` of one that no code can tell: to an account abroad in another currency than
/// euro, or of a sum that has no room in it. No code tells a split payment.
///
/// In złoty to a Polish account it is that of the Polish banks (Związek Banków Polskich, "Rekomendacja dotycząca kodu
/// dwuwymiarowego (2D)", 2013), which has room for 9 999.99 zł; in euro that of the European Payments Council
/// (EPC069-12, version 002).
pub fn payment(transfer: &Transfer<'_>) -> Option<QrCode> {
    if transfer.amount <= Amount::ZERO {
        return None;
    }
    match transfer.currency.code() {
        "PLN" => polish_transfer(transfer),
        "EUR" => sepa_transfer(transfer),
        _ => None,
    }
}

fn polish_transfer(transfer: &Transfer<'_>) -> Option<QrCode> {
    const NAME_MAX: usize = 20;
    const TITLE_MAX: usize = 32;
    const AMOUNT_DIGITS: usize = 6;
    let account = iban::polish_number(transfer.iban)?;
    let amount = transfer.amount.to_string().replace('.', "");
    let amount = format!("{:0>AMOUNT_DIGITS$}", amount.trim_start_matches('0'));
    if amount.len() > AMOUNT_DIGITS {
        return None;
    }
    let nip = transfer.nip.filter(|nip| nip.len() == 10).unwrap_or_default();
    let name = field(&without_polish_letters(transfer.name), NAME_MAX);
    let title = field(&without_polish_letters(transfer.title), TITLE_MAX);
    let text = format!("{nip}|PL|{account}|{amount}|{name}|{title}|||");
    Some(QrCode { text, correction: Correction::Low })
}

fn sepa_transfer(transfer: &Transfer<'_>) -> Option<QrCode> {
    const NAME_MAX: usize = 70;
    const TITLE_MAX: usize = 140;
    const BYTES_MAX: usize = 331;
    // It has room for 999 999 999.99 euro.
    if transfer.amount.to_string().len() > 12 {
        return None;
    }
    let (name, title) = (field(transfer.name, NAME_MAX), field(transfer.title, TITLE_MAX));
    let Transfer { iban, amount, .. } = transfer;
    // In UTF-8; without the bank's code, a purpose and a reference of the creditor's.
    let text = format!("BCD\n002\n1\nSCT\n\n{name}\n{iban}\nEUR{amount}\n\n\n{title}");
    (text.len() <= BYTES_MAX).then_some(QrCode { text, correction: Correction::Medium })
}

/// On one line, without what parts the fields, and no longer than so many characters.
fn field(text: &str, length_max: usize) -> String {
    let shown = text.split(|letter: char| letter == '|' || letter.is_control() || letter.is_whitespace());
    let words: Vec<&str> = shown.filter(|word| !word.is_empty()).collect();
    let cut: String = words.join(" ").chars().take(length_max).collect();
    cut.trim_end().to_owned()
}

/// Readers guess at the encoding of a code, and some of them wrong.
fn without_polish_letters(text: &str) -> String {
    let plain = |letter| match letter {
        'ą' => 'a',
        'ć' => 'c',
        'ę' => 'e',
        'ł' => 'l',
        'ń' => 'n',
        'ó' => 'o',
        'ś' => 's',
        'ź' | 'ż' => 'z',
        'Ą' => 'A',
        'Ć' => 'C',
        'Ę' => 'E',
        'Ł' => 'L',
        'Ń' => 'N',
        'Ó' => 'O',
        'Ś' => 'S',
        'Ź' | 'Ż' => 'Z',
        other => other,
    };
    text.chars().map(plain).collect()
}

/// Where KSeF shows invoices to whoever has their code.
pub const KSEF_HOST: &str = "qr.ksef.mf.gov.pl";

/// Where KSeF shows an invoice, to be printed on one that leaves it (KOD I): by the seller's NIP, the day of the issue
/// and the SHA-256 of the bytes that it is kept in there.
pub fn verification(host: &str, seller_nip: &str, issued_on: NaiveDate, sha256: &[u8]) -> QrCode {
    let hash = URL_SAFE_NO_PAD.encode(sha256);
    let text = format!("https://{host}/invoice/{seller_nip}/{}/{hash}", issued_on.format("%d-%m-%Y"));
    QrCode { text, correction: Correction::Medium }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn transfer(amount: &str, currency: &str) -> Transfer<'static> {
        Transfer {
            name: "Księgowość Żółta Łąka sp. z o.o.",
            nip: Some("5252248481"),
            iban: "PL61109010140000071219812874",
            amount: amount.parse().expect("an amount"),
            currency: currency.parse().expect("a currency"),
            title: "FV 2026/11/0147",
        }
    }

    fn text(transfer: &Transfer<'_>) -> Option<String> {
        payment(transfer).map(|code| code.text)
    }

    #[test]
    fn złoty_are_paid_by_the_code_of_the_polish_banks() {
        assert_eq!(
            text(&transfer("5825.11", "PLN")).as_deref(),
            Some("5252248481|PL|61109010140000071219812874|582511|Ksiegowosc Zolta Lak|FV 2026/11/0147|||")
        );
        let small = text(&transfer("0.07", "PLN"));
        assert!(small.is_some_and(|text| text.contains("|000007|")));
        assert!(text(&transfer("9999.99", "PLN")).is_some_and(|text| text.contains("|999999|")));
    }

    #[test]
    fn euro_are_paid_by_the_code_of_the_european_payments_council() {
        let german = Transfer { iban: "DE89370400440532013000", ..transfer("1234.50", "EUR") };
        assert_eq!(
            text(&german).as_deref(),
            Some(
                "BCD\n002\n1\nSCT\n\nKsięgowość Żółta Łąka sp. z o.o.\nDE89370400440532013000\nEUR1234.50\n\n\n\
                 FV 2026/11/0147"
            )
        );
    }

    #[test]
    fn what_a_code_cannot_tell_has_none() {
        for (amount, currency) in [("0", "PLN"), ("-1", "PLN"), ("10000", "PLN"), ("0", "EUR"), ("1", "GBP")] {
            assert_eq!(text(&transfer(amount, currency)), None, "{amount} {currency}");
        }
        assert_eq!(text(&transfer("1000000000", "EUR")), None);
        assert_eq!(text(&Transfer { iban: "DE89370400440532013000", ..transfer("1", "PLN") }), None);
    }

    #[test]
    fn the_address_of_an_invoice_is_what_the_ministry_shows() {
        // Of the Ministry's description of the codes.
        let hash = [
            0x52, 0xd4, 0x29, 0xf4, 0x6a, 0x5c, 0xe7, 0x5c, 0xbe, 0xbb, 0x7c, 0x40, 0xa5, 0x98, 0xc8, 0x8e, 0x09, 0x29,
            0x67, 0x4d, 0x63, 0xb3, 0xe2, 0x7c, 0x29, 0xf9, 0x52, 0x3d, 0x6f, 0x16, 0xcc, 0x81,
        ];
        let issued_on = NaiveDate::from_ymd_opt(2026, 2, 1).expect("a day");
        let code = verification("qr-test.ksef.mf.gov.pl", "1111111111", issued_on, &hash);
        assert_eq!(
            code.text,
            "https://qr-test.ksef.mf.gov.pl/invoice/1111111111/01-02-2026/UtQp9Gpc51y-u3xApZjIjgkpZ01js-J8KflSPW8WzIE"
        );
    }

    proptest! {
        #[test]
        fn any_names_leave_the_fields_apart(name in any::<String>(), title in any::<String>(), grosze in 1_i64..999_999) {
            let amount = format!("{}.{:02}", grosze / 100, grosze % 100);
            let code = text(&Transfer { name: &name, title: &title, ..transfer(&amount, "PLN") }).expect("a code");
            let fields: Vec<&str> = code.split('|').collect();
            prop_assert_eq!(fields.len(), 9);
            prop_assert_eq!(fields[3].parse::<i64>(), Ok(grosze));
            prop_assert!(fields[4].chars().count() <= 20 && fields[5].chars().count() <= 32);
            prop_assert!(code.chars().count() <= 160 && !code.contains('\n'));

            let sepa = text(&Transfer { name: &name, title: &title, ..transfer(&amount, "EUR") });
            prop_assert!(sepa.is_none_or(|code| code.split('\n').count() == 11));
        }
    }
}
