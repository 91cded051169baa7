//! An e-mail as it goes over the wire: its headers, its text and the documents with it.

use chrono::{DateTime, Utc};
use lettre::address::{Address, Envelope};
use lettre::message::header::{ContentTransferEncoding, ContentType, Header, HeaderName, HeaderValue};
use lettre::message::{Attachment, Body, Mailbox, MultiPart, SinglePart};
use opiekun_domain::email_text::one_line;
use std::error::Error;

/// Larger than that hardly any mail server takes.
const BYTES_MAX: usize = 25 << 20;

/// What is to be sent.
pub struct Letter<'a> {
    pub message_id: String,
    pub from_name: &'a str,
    pub from_address: &'a str,
    pub reply_to: Option<&'a str>,
    pub to: &'a [String],
    pub cc: &'a [String],
    pub subject: &'a str,
    pub body: &'a str,
    pub documents: Vec<Document>,
    /// Whether nobody asked for it, so that nobody's holiday answers it.
    pub is_automatic: bool,
    pub date: DateTime<Utc>,
}

/// A document that comes with it.
pub struct Document {
    pub name: String,
    pub media_type: &'static str,
    pub content: Vec<u8>,
}

/// Why it can't be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unfit {
    Address(String),
    TooLarge,
    Message(String),
}

/// What nobody answers who is not a person (RFC 3834).
#[derive(Debug, Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

impl Letter<'_> {
    /// The e-mail, byte by byte, and whom it goes to.
    pub fn seal(self) -> Result<(Envelope, Vec<u8>), Unfit> {
        let address = |text: &str| text.parse::<Address>().map_err(|_| Unfit::Address(text.to_owned()));
        let from = address(self.from_address)?;
        let to = self.to.iter().map(|text| address(text)).collect::<Result<Vec<_>, _>>()?;
        let cc = self.cc.iter().map(|text| address(text)).collect::<Result<Vec<_>, _>>()?;
        let mut builder = lettre::Message::builder()
            .from(Mailbox::new(Some(one_line(self.from_name)), from.clone()))
            .subject(one_line(self.subject))
            .message_id(Some(self.message_id))
            .date(self.date.into());
        if let Some(reply_to) = self.reply_to {
            builder = builder.reply_to(Mailbox::new(None, address(reply_to)?));
        }
        for to in &to {
            builder = builder.to(Mailbox::new(None, to.clone()));
        }
        for cc in &cc {
            builder = builder.cc(Mailbox::new(None, cc.clone()));
        }
        if self.is_automatic {
            builder = builder.header(AutoSubmitted);
        }
        // Whoever is named twice gets it once.
        let mut recipients: Vec<Address> = Vec::new();
        for address in to.into_iter().chain(cc) {
            if !recipients.contains(&address) {
                recipients.push(address);
            }
        }
        let envelope = Envelope::new(Some(from), recipients).map_err(|error| Unfit::Message(error.to_string()))?;
        let mut parts = MultiPart::mixed().singlepart(SinglePart::plain(self.body.to_owned()));
        for document in self.documents {
            let Document { name, media_type, content } = document;
            let media_type = ContentType::parse(media_type).map_err(|error| Unfit::Message(error.to_string()))?;
            let content = Body::new_with_encoding(content, ContentTransferEncoding::Base64);
            let content = content.map_err(|_| Unfit::Message("a document that has no encoding".to_owned()))?;
            parts = parts.singlepart(Attachment::new(name).body(content, media_type));
        }
        let message = builder.multipart(parts).map_err(|error| Unfit::Message(error.to_string()))?.formatted();
        if message.len() > BYTES_MAX { Err(Unfit::TooLarge) } else { Ok((envelope, message)) }
    }
}
