//! What is written about an invoice to whom it is for.

use chrono::{DateTime, Utc};
use opiekun_domain::calendar_day::day_of;
use opiekun_domain::decimal::Amount;
use opiekun_domain::email_text::{EmailText, EmailValues};
use opiekun_domain::ids::InvoiceId;
use opiekun_domain::invoice_email::EmailReason;
use opiekun_persistence::customers::Customer;
use opiekun_persistence::invoices::Invoice;
use opiekun_persistence::organizations::Organization;
use opiekun_persistence::{Result, Tx, customers, invoices, organizations, payments};

/// All that an e-mail about an invoice is written from.
#[derive(Debug)]
pub struct Correspondence {
    pub organization: Organization,
    pub customer: Customer,
    pub invoice: Invoice,
    /// What is left to pay.
    pub owed: Amount,
}

impl Correspondence {
    pub fn load(tx: &mut Tx<'_>, id: InvoiceId) -> Result<Self> {
        let invoice = invoices::find(tx, id)?;
        let customer = customers::find(tx, invoice.fields.customer_id)?;
        let organization = organizations::find(tx)?;
        let owed = match payments::balances_of(tx, &[id])?.remove(&id) {
            Some(balance) => balance.gross.checked_sub(balance.paid).unwrap_or(Amount::ZERO),
            // A pro forma and a correction have none of their own.
            None => invoice.fields.gross,
        };
        Ok(Self { organization, customer, invoice, owed })
    }

    /// Subject and body in the organization's words: of a reminder, in those of its step where that has any.
    pub fn words(&self, reason: EmailReason, days_after_due: Option<i16>, now: DateTime<Utc>) -> (String, String) {
        let (fields, language) = (&self.organization.fields, self.invoice.fields.language);
        let of_step = days_after_due.zip(fields.reminders.as_ref()).and_then(|(days, it)| it.0.words(days, language));
        let (subject, body) = match of_step {
            Some(words) => (words.subject.as_str(), words.body.as_str()),
            None => fields.email.0.words(reason.text_kind(), language),
        };
        // They were read when they were saved.
        let text = |text: &str| EmailText::new(text).unwrap_or_default();
        (self.subject(&text(subject), now), self.body(&text(body), now))
    }

    /// One line, never empty: the number of the invoice where all that it says stands for nothing.
    pub fn subject(&self, text: &EmailText, now: DateTime<Utc>) -> String {
        let values = self.values(now);
        let line = text.render_line(&values);
        let line = if line.is_empty() { values.number } else { &line };
        line.chars().take(Self::SUBJECT_LENGTH_MAX).collect()
    }

    pub fn body(&self, text: &EmailText, now: DateTime<Utc>) -> String {
        text.render(&self.values(now)).chars().take(Self::BODY_LENGTH_MAX).collect()
    }

    const SUBJECT_LENGTH_MAX: usize = 1_000;
    const BODY_LENGTH_MAX: usize = 100_000;

    fn values(&self, now: DateTime<Utc>) -> EmailValues<'_> {
        let fields = &self.invoice.fields;
        let today = day_of(now, self.organization.time_zone());
        let issued_on = fields.issued_on.unwrap_or(today);
        EmailValues {
            kind: fields.kind,
            number: fields.number.as_deref().unwrap_or_default(),
            issued_on,
            sold_on: fields.sold_on.unwrap_or(issued_on),
            due_on: fields.due_on,
            period: fields.period_start_on.zip(fields.period_end_on),
            currency: fields.currency,
            net: fields.net,
            vat: fields.vat,
            gross: fields.gross,
            owed: self.owed,
            payment_method: fields.payment_method,
            bank_account: fields.bank_account.as_deref(),
            customer_name: &self.customer.fields.name,
            organization_name: &self.organization.fields.legal_name,
            today,
            language: fields.language,
        }
    }
}
