//! The words of e-mails about invoices, with placeholders for the invoice, its customer and the firm.

use chrono::{Datelike, Months, NaiveDate};

use crate::currency::Currency;
use crate::decimal::Amount;
use crate::invoice::{InvoiceKind, PaymentMethod};
use crate::language::Language;
use crate::schedule::Period;
use crate::text_template::{self, Part as TemplatePart, TextTemplateProblem, TextValues};

/// A text of an e-mail, every placeholder of which is known: those of the texts of invoices, and
///
/// | placeholder | |
/// | --- | --- |
/// | `{{invoice.title}}`, `{{invoice.number}}` | Faktura, FV/1/11/2026 |
/// | `{{invoice.issued_on}}`, `{{invoice.sold_on}}`, `{{invoice.due_on}}` | 2026-11-23 |
/// | `{{invoice.net}}`, `{{invoice.vat}}`, `{{invoice.gross}}`, `{{invoice.owed}}` | 1 234,50 PLN |
/// | `{{invoice.currency}}`, `{{invoice.bank_account}}`, `{{invoice.days_overdue}}` | PLN, PL61 1090…, 3 |
/// | `{{invoice.payment_details}}` | what to pay, by when and to which account, a line each |
/// | `{{organization.name}}` | |
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EmailText {
    parts: Vec<Part>,
}

/// What an e-mail tells of an invoice.
#[derive(Debug, Clone, Copy)]
pub struct EmailValues<'a> {
    pub kind: InvoiceKind,
    pub number: &'a str,
    pub issued_on: NaiveDate,
    pub sold_on: NaiveDate,
    pub due_on: Option<NaiveDate>,
    /// The first day of the period that it is for, and the first one after it.
    pub period: Option<(NaiveDate, NaiveDate)>,
    pub currency: Currency,
    pub net: Amount,
    pub vat: Amount,
    pub gross: Amount,
    /// What is left to pay.
    pub owed: Amount,
    pub payment_method: PaymentMethod,
    /// IBAN.
    pub bank_account: Option<&'a str>,
    pub customer_name: &'a str,
    pub organization_name: &'a str,
    /// On the organization's calendar.
    pub today: NaiveDate,
    pub language: Language,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    OfTemplate(TemplatePart),
    Word(Word),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    Title,
    Number,
    IssuedOn,
    SoldOn,
    DueOn,
    Net,
    Vat,
    Gross,
    Owed,
    Currency,
    BankAccount,
    DaysOverdue,
    PaymentDetails,
    OrganizationName,
}

impl EmailText {
    /// Reads a text; an unknown placeholder is refused by its name.
    pub fn new(text: &str) -> Result<Self, TextTemplateProblem> {
        let parts = text_template::read(text, |text| Part::OfTemplate(TemplatePart::Literal(text)), placeholder)?;
        Ok(Self { parts })
    }

    /// The text for one invoice. What a value holds is not read for placeholders again.
    pub fn render(&self, values: &EmailValues<'_>) -> String {
        let period = values.period();
        let of_template =
            TextValues { period: &period, customer_name: values.customer_name, language: values.language };
        let mut rendered = String::new();
        for part in &self.parts {
            match part {
                Part::OfTemplate(part) => part.render(of_template, &mut rendered),
                Part::Word(word) => rendered.push_str(&values.word(*word)),
            }
        }
        rendered
    }

    /// The text as one line, as a header of an e-mail has to be: whatever would break it is a space.
    pub fn render_line(&self, values: &EmailValues<'_>) -> String {
        one_line(&self.render(values))
    }
}

/// A text without breaks and other control characters, so that nothing of it is taken for a header of its own.
pub fn one_line(text: &str) -> String {
    let breaks = |letter: char| letter.is_control() || matches!(letter, '\u{2028}' | '\u{2029}');
    text.split(breaks).map(str::trim).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

fn placeholder(name: &str) -> Result<Part, TextTemplateProblem> {
    let word = match name {
        "invoice.title" => Word::Title,
        "invoice.number" => Word::Number,
        "invoice.issued_on" => Word::IssuedOn,
        "invoice.sold_on" => Word::SoldOn,
        "invoice.due_on" => Word::DueOn,
        "invoice.net" => Word::Net,
        "invoice.vat" => Word::Vat,
        "invoice.gross" => Word::Gross,
        "invoice.owed" => Word::Owed,
        "invoice.currency" => Word::Currency,
        "invoice.bank_account" => Word::BankAccount,
        "invoice.days_overdue" => Word::DaysOverdue,
        "invoice.payment_details" => Word::PaymentDetails,
        "organization.name" => Word::OrganizationName,
        _ => return text_template::placeholder(name).map(Part::OfTemplate),
    };
    Ok(Part::Word(word))
}

impl EmailValues<'_> {
    /// Its period; of an invoice that is for none, the month of its sale.
    fn period(&self) -> Period {
        let month = self.sold_on.with_day(1).unwrap_or(self.sold_on);
        let next = month.checked_add_months(Months::new(1)).unwrap_or(month);
        let (start_on, end_on) = self.period.unwrap_or((month, next));
        Period { index: 0, start_on, end_on }
    }

    fn word(&self, word: Word) -> String {
        let day = |day: Option<NaiveDate>| day.map(|day| day.to_string()).unwrap_or_default();
        match word {
            Word::Title => self.title().to_owned(),
            Word::Number => self.number.to_owned(),
            Word::IssuedOn => self.issued_on.to_string(),
            Word::SoldOn => self.sold_on.to_string(),
            Word::DueOn => day(self.due_on),
            Word::Net => self.amount(self.net),
            Word::Vat => self.amount(self.vat),
            Word::Gross => self.amount(self.gross),
            Word::Owed => self.amount(self.owed),
            Word::Currency => self.currency.to_string(),
            Word::BankAccount => self.bank_account.map(in_fours).unwrap_or_default(),
            Word::DaysOverdue => {
                let days = self.due_on.map_or(0, |due_on| self.today.signed_duration_since(due_on).num_days());
                days.max(0).to_string()
            }
            Word::PaymentDetails => self.payment_details(),
            Word::OrganizationName => self.organization_name.to_owned(),
        }
    }

    const fn title(&self) -> &'static str {
        match (self.kind, self.language) {
            (InvoiceKind::Invoice, Language::Polish) => "Faktura",
            (InvoiceKind::Invoice, Language::English) => "Invoice",
            (InvoiceKind::Correction, Language::Polish) => "Faktura korygująca",
            (InvoiceKind::Correction, Language::English) => "Correcting invoice",
            (InvoiceKind::ProForma, Language::Polish) => "Faktura pro forma",
            (InvoiceKind::ProForma, Language::English) => "Pro forma invoice",
        }
    }

    /// "1 234,50 PLN", or in English "1,234.50 PLN".
    fn amount(&self, amount: Amount) -> String {
        let plain = amount.to_string();
        let (sign, digits) = plain.strip_prefix('-').map_or(("", plain.as_str()), |digits| ("-", digits));
        let (whole, places) = digits.split_once('.').unwrap_or((digits, "00"));
        let (thousands, point) = match self.language {
            Language::Polish => ('\u{a0}', ','),
            Language::English => (',', '.'),
        };
        let mut grouped = String::new();
        for (index, digit) in whole.chars().enumerate() {
            if index > 0 && (whole.len() - index).is_multiple_of(3) {
                grouped.push(thousands);
            }
            grouped.push(digit);
        }
        format!("{sign}{grouped}{point}{places}\u{a0}{}", self.currency)
    }

    /// What to pay, by when and to which account, as far as there is anything to pay.
    fn payment_details(&self) -> String {
        let is_polish = self.language == Language::Polish;
        if self.owed <= Amount::ZERO {
            return if is_polish { "Nie ma nic do zapłaty." } else { "There is nothing to pay." }.to_owned();
        }
        let mut lines = Vec::new();
        let mut tell = |polish: &str, english: &str, value: &str| {
            lines.push(format!("{}: {value}", if is_polish { polish } else { english }));
        };
        tell("Do zapłaty", "To pay", &self.amount(self.owed));
        if let Some(due_on) = self.due_on {
            tell("Termin płatności", "Due on", &due_on.to_string());
        }
        if let (PaymentMethod::Transfer, Some(account)) = (self.payment_method, self.bank_account) {
            tell("Numer rachunku", "Account", &in_fours(account));
            tell("Tytuł przelewu", "Payment reference", self.number);
        }
        lines.join("\n")
    }
}

/// An account in groups of four, as it is read out.
fn in_fours(iban: &str) -> String {
    let letters: Vec<char> = iban.chars().collect();
    letters.chunks(4).map(|four| four.iter().collect::<String>()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().expect(text)
    }

    fn values(language: Language) -> EmailValues<'static> {
        EmailValues {
            kind: InvoiceKind::Invoice,
            number: "FV/7/11/2026",
            issued_on: day("2026-11-23"),
            sold_on: day("2026-11-20"),
            due_on: Some(day("2026-12-07")),
            period: None,
            currency: Currency::PLN,
            net: "1234567.00".parse().expect("net"),
            vat: "283950.41".parse().expect("vat"),
            gross: "1518517.41".parse().expect("gross"),
            owed: "500.00".parse().expect("owed"),
            payment_method: PaymentMethod::Transfer,
            bank_account: Some("PL61109010140000071219812874"),
            customer_name: "Piekarnia",
            organization_name: "Biuro",
            today: day("2026-12-10"),
            language,
        }
    }

    fn rendered(text: &str, language: Language) -> String {
        EmailText::new(text).expect(text).render(&values(language))
    }

    #[test]
    fn tells_of_an_invoice_in_its_language() {
        let text = "{{invoice.title}} {{ invoice.number }}: {{invoice.gross}}, {{invoice.net}}, {{invoice.days_overdue}}; \
                    {{customer.name}} {{organization.name}} {{invoice.due_on}} {{invoice.currency}}";
        assert_eq!(
            rendered(text, Language::Polish).replace('\u{a0}', " "),
            "Faktura FV/7/11/2026: 1 518 517,41 PLN, 1 234 567,00 PLN, 3; Piekarnia Biuro 2026-12-07 PLN"
        );
        assert_eq!(
            rendered(text, Language::English).replace('\u{a0}', " "),
            "Invoice FV/7/11/2026: 1,518,517.41 PLN, 1,234,567.00 PLN, 3; Piekarnia Biuro 2026-12-07 PLN"
        );
    }

    #[test]
    fn an_invoice_without_a_period_is_of_the_month_of_its_sale() {
        let text = "{{period.month_name}} {{period.month_name+1}} {{period.year}}, {{period.last_on}}";
        assert_eq!(rendered(text, Language::Polish), "listopad grudzień 2026, 2026-11-30");
    }

    #[test]
    fn how_to_pay_is_told_as_far_as_there_is_something_to_pay() {
        let details = |change: fn(&mut EmailValues<'static>)| {
            let mut values = values(Language::English);
            change(&mut values);
            values.payment_details().replace('\u{a0}', " ")
        };
        assert_eq!(
            details(|_| {}),
            "To pay: 500.00 PLN\nDue on: 2026-12-07\nAccount: PL61 1090 1014 0000 0712 1981 2874\n\
             Payment reference: FV/7/11/2026"
        );
        assert_eq!(details(|it| it.bank_account = None), "To pay: 500.00 PLN\nDue on: 2026-12-07");
        assert_eq!(details(|it| it.payment_method = PaymentMethod::Cash), "To pay: 500.00 PLN\nDue on: 2026-12-07");
        assert_eq!(details(|it| it.owed = Amount::ZERO), "There is nothing to pay.");
    }

    #[test]
    fn what_is_unknown_is_refused_by_its_name() {
        for name in ["invoice.nubmer", "organization.nip", "period.moon", ""] {
            let problem = EmailText::new(&format!("a {{{{{name}}}}}")).expect_err(name);
            assert_eq!(problem, TextTemplateProblem::UnknownPlaceholder { name: name.to_owned() });
        }
        assert_eq!(EmailText::new("{{invoice.number"), Err(TextTemplateProblem::Unclosed));
    }

    #[test]
    fn a_header_is_one_line_whatever_a_value_holds() {
        let mut values = values(Language::Polish);
        values.customer_name = "Zły\r\nBcc: wszyscy@example.com\u{2028}i dalej";
        let line = EmailText::new("Dla {{customer.name}}\n").expect("a text").render_line(&values);
        assert_eq!(line, "Dla Zły Bcc: wszyscy@example.com i dalej");
    }

    proptest! {
        #[test]
        fn no_text_panics(text in any::<String>(), braced in "([{}]{2}|invoice|[.]|owed|net|[+-]|[0-9]){0,12}") {
            for text in [text, braced] {
                if let Ok(read) = EmailText::new(&text) {
                    let line = read.render_line(&values(Language::Polish));
                    prop_assert!(!line.contains(['\r', '\n']));
                }
            }
        }
    }
}
