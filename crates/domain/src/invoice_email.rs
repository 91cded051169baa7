//! Invoices by e-mail: why one is sent, how it fares, when it is tried again, and in which words it comes.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::language::Language;

vocabulary! {
    /// Why an e-mail is sent.
    EmailReason {
        /// Somebody asked for it.
        Requested = "requested",
        /// A subscription's invoice was issued.
        Issued = "issued",
        /// The invoice is not paid.
        Reminder = "reminder",
    }
}

vocabulary! {
    /// How an e-mail fares.
    EmailStatus {
        /// It waits for its turn, or to be tried again.
        Queued = "queued",
        /// The mail server took it.
        Sent = "sent",
        /// The mail server refused its recipient, or the message itself, for good.
        Bounced = "bounced",
        /// It could not be sent.
        Failed = "failed",
        /// It was not needed any more.
        Cancelled = "cancelled",
    }
}

vocabulary! {
    /// What kept an e-mail from being sent.
    EmailProblem {
        /// The customer has no e-mail address.
        NoRecipient = "no_recipient",
        /// Neither the organization nor the server has an address to send from.
        NoSender = "no_sender",
        /// An address is not one that mail can be sent to or from.
        AddressInvalid = "address_invalid",
        /// The mail server refused a recipient.
        RecipientRefused = "recipient_refused",
        /// The mail server refused the sender.
        SenderRefused = "sender_refused",
        /// The mail server refused the message.
        MessageRefused = "message_refused",
        /// The mail server said to try again later.
        Deferred = "deferred",
        /// The mail server does not answer, or does not let this server in.
        ServerUnavailable = "server_unavailable",
        /// A document to be attached could not be made.
        NoDocument = "no_document",
        /// It is larger than mail servers take.
        TooLarge = "too_large",
        /// It could not be sent for days.
        Expired = "expired",
        /// The invoice was paid before it was reminded of.
        Paid = "paid",
        /// The customer is not reminded any more.
        NotWanted = "not_wanted",
    }
}

vocabulary! {
    /// Whether the invoices of a subscription are sent to the customer by themselves.
    SubscriptionEmails {
        /// As the organization has it.
        AsOrganization = "as_organization",
        Always = "always",
        Never = "never",
    }
}

vocabulary! {
    /// Which e-mails a text is for.
    EmailTextKind { Issued = "issued", Reminder = "reminder" }
}

impl SubscriptionEmails {
    /// Whether they are, where the organization has it so.
    pub const fn are_sent(self, by_organization: bool) -> bool {
        match self {
            Self::AsOrganization => by_organization,
            Self::Always => true,
            Self::Never => false,
        }
    }
}

impl EmailStatus {
    /// Whether it can be queued again.
    pub const fn may_be_retried(self) -> bool {
        matches!(self, Self::Bounced | Self::Failed | Self::Cancelled)
    }
}

impl EmailReason {
    /// The text that it comes with.
    pub const fn text_kind(self) -> EmailTextKind {
        match self {
            Self::Requested | Self::Issued => EmailTextKind::Issued,
            Self::Reminder => EmailTextKind::Reminder,
        }
    }
}

/// How an organization sends e-mail.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EmailSettings {
    /// What the sender is called; the organization's name unless told.
    pub from_name: Option<String>,
    /// The server's own address unless told.
    pub from_address: Option<String>,
    pub reply_to: Option<String>,
    /// Those that are not the built-in ones.
    pub texts: Vec<EmailWords>,
}

/// Subject and body of e-mails of a kind in a language, with placeholders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmailWords {
    pub kind: EmailTextKind,
    pub language: Language,
    pub subject: String,
    pub body: String,
}

impl EmailSettings {
    /// Subject and body, as the organization has them or as they are built in.
    pub fn words(&self, kind: EmailTextKind, language: Language) -> (&str, &str) {
        let own = self.texts.iter().find(|text| text.kind == kind && text.language == language);
        own.map_or_else(|| built_in(kind, language), |text| (&text.subject, &text.body))
    }
}

/// The words of an organization that has none of its own.
pub const fn built_in(kind: EmailTextKind, language: Language) -> (&'static str, &'static str) {
    match (kind, language) {
        (EmailTextKind::Issued, Language::Polish) => (
            "{{invoice.title}} {{invoice.number}} – {{organization.name}}",
            "Dzień dobry,\n\n\
             przesyłamy w załączeniu dokument: {{invoice.title}} {{invoice.number}} z dnia {{invoice.issued_on}} \
             na kwotę {{invoice.gross}}.\n\n\
             {{invoice.payment_details}}\n\n\
             Z poważaniem\n{{organization.name}}\n",
        ),
        (EmailTextKind::Issued, Language::English) => (
            "{{invoice.title}} {{invoice.number}} – {{organization.name}}",
            "Dear Sir or Madam,\n\n\
             please find attached: {{invoice.title}} {{invoice.number}} of {{invoice.issued_on}} \
             for {{invoice.gross}}.\n\n\
             {{invoice.payment_details}}\n\n\
             Kind regards\n{{organization.name}}\n",
        ),
        (EmailTextKind::Reminder, Language::Polish) => (
            "Przypomnienie o płatności: {{invoice.number}}",
            "Dzień dobry,\n\n\
             przypominamy o płatności za fakturę {{invoice.number}} z dnia {{invoice.issued_on}}.\n\n\
             {{invoice.payment_details}}\n\n\
             Kopia faktury jest w załączeniu. Jeśli zapłata jest już w drodze, prosimy nie zwracać uwagi na tę \
             wiadomość.\n\n\
             Z poważaniem\n{{organization.name}}\n",
        ),
        (EmailTextKind::Reminder, Language::English) => (
            "Payment reminder: {{invoice.number}}",
            "Dear Sir or Madam,\n\n\
             this is a reminder of invoice {{invoice.number}} of {{invoice.issued_on}}.\n\n\
             {{invoice.payment_details}}\n\n\
             A copy is attached. If the payment is on its way already, please disregard this message.\n\n\
             Kind regards\n{{organization.name}}\n",
        ),
    }
}

/// For how long an e-mail is tried (RFC 5321, 4.5.4.1: at least 4 to 5 days).
pub const TRIED_FOR: TimeDelta = TimeDelta::days(5);

/// When an e-mail is tried again that has been `attempts` times, the first in a minute and, later on, every hour: with up to
/// a quarter more, as `random` tells, so that not all come at once. `None` once it has been tried for long enough.
pub fn next_attempt(queued_at: DateTime<Utc>, now: DateTime<Utc>, attempts: i32, random: u32) -> Option<DateTime<Utc>> {
    const FIRST_SECONDS: i64 = 60;
    const MOST_SECONDS: i64 = 3_600;
    let doublings = u32::try_from(attempts.saturating_sub(1)).unwrap_or_default().min(6);
    let seconds = FIRST_SECONDS.saturating_mul(1_i64 << doublings).min(MOST_SECONDS);
    let more = i64::from(random % 1_000) * seconds / 4_000;
    let next = now.checked_add_signed(TimeDelta::seconds(seconds + more))?;
    (next < queued_at.checked_add_signed(TRIED_FOR)?).then_some(next)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::email_text::EmailText;

    #[test]
    fn the_built_in_texts_are_ones_that_could_be_saved() {
        for kind in EmailTextKind::ALL {
            for language in Language::ALL {
                let (subject, body) = built_in(*kind, *language);
                EmailText::new(subject).expect(subject);
                EmailText::new(body).expect(body);
            }
        }
    }

    #[test]
    fn a_text_of_ones_own_takes_the_place_of_that_in_its_language() {
        let own = EmailWords {
            kind: EmailTextKind::Issued,
            language: Language::Polish,
            subject: "Rachunek".to_owned(),
            body: "Oto on.".to_owned(),
        };
        let settings = EmailSettings { texts: vec![own], ..EmailSettings::default() };
        assert_eq!(settings.words(EmailTextKind::Issued, Language::Polish), ("Rachunek", "Oto on."));
        for (kind, language) in
            [(EmailTextKind::Issued, Language::English), (EmailTextKind::Reminder, Language::Polish)]
        {
            assert_eq!(settings.words(kind, language), built_in(kind, language));
        }
    }

    #[test]
    fn it_is_tried_soon_then_seldom_and_for_days() {
        let queued_at: DateTime<Utc> = "2026-11-23T09:00:00Z".parse().expect("a moment");
        let minutes = |attempts| {
            let next = next_attempt(queued_at, queued_at, attempts, 0).expect("another attempt");
            (next - queued_at).num_minutes()
        };
        assert_eq!([0, 1, 2, 3, 4, 5, 6, 7, 1_000].map(minutes), [1, 1, 2, 4, 8, 16, 32, 60, 60]);
        let late = queued_at + TRIED_FOR - TimeDelta::minutes(61);
        assert!(next_attempt(queued_at, late, 90, 0).is_some());
        assert_eq!(next_attempt(queued_at, late, 90, 999), None);
    }

    proptest! {
        #[test]
        fn the_next_attempt_is_ahead_and_within_a_quarter_more(attempts in any::<i32>(), random in any::<u32>()) {
            let now: DateTime<Utc> = "2026-11-23T09:00:00Z".parse().expect("a moment");
            let least = next_attempt(now, now, attempts, 0).expect("another attempt") - now;
            let next = next_attempt(now, now, attempts, random).expect("another attempt") - now;
            prop_assert!(next >= least && next * 4 <= least * 5);
        }
    }
}
