//! The mail server that e-mails are handed to: where it is, and a connection to it.

use lettre::address::{Address, Envelope};
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{SmtpConnection, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt, Rset};
use lettre::transport::smtp::extension::{ClientId, Extension, MailBodyParameter, MailParameter};
use lettre::transport::smtp::{Error, SUBMISSION_PORT, SUBMISSIONS_PORT};
use percent_encoding::percent_decode_str;
use std::fmt;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};
use url::{Host, Url};

/// How long the server may take for an answer.
const TIMEOUT: Duration = Duration::from_secs(60);

/// How long it may take for its word on a whole message, which it may look through first (RFC 5321, 4.5.3.2.6): whoever
/// hangs up before sends it twice.
const TIMEOUT_OF_MESSAGE: Duration = Duration::from_secs(600);

/// The most that an e-mail takes once its last step is begun.
pub const LAST_STEP_MAX: Duration = TIMEOUT.saturating_add(TIMEOUT_OF_MESSAGE);

/// For how long a connection that is not used is taken for one that still stands.
const FRESH: Duration = Duration::from_secs(5);

/// A mail server, as an address such as `smtps://user:password@smtp.example.pl` tells it. Neither shows the password.
pub struct SmtpServer {
    host: String,
    port: u16,
    tls: Tls,
    credentials: Option<Credentials>,
    sender: Option<String>,
}

/// How a connection is encrypted.
enum Tls {
    None,
    /// By STARTTLS, before anything else is said.
    Started(TlsParameters),
    /// From its first byte on.
    Implicit(TlsParameters),
}

/// What is wrong with the address of a mail server. It repeats nothing of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SmtpUrlFault {
    #[error("is no address such as smtps://user:password@smtp.example.pl")]
    Malformed,
    #[error("begins with neither smtp:// nor smtps://")]
    Scheme,
    #[error("has a part that it may not have: behind the host there is at most ?tls=required, ?tls=none and from=")]
    Part,
    #[error("would send its password in the clear: leave out tls=none")]
    PasswordInClear,
    #[error("has no e-mail address in from=")]
    From,
    #[error("can't be reached encrypted: the certificates of this machine are not readable")]
    Certificates,
}

/// Why the server can't be used: what it said, or what became of the connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ServerFault(pub String);

/// Why an e-mail was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The server does not answer, or lets nobody in: it would take no other e-mail either.
    Server(String),
    /// Not now.
    Later(String),
    Sender(String),
    Recipient(String),
    Message(String),
}

impl fmt::Debug for SmtpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SmtpServer({self})")
    }
}

impl fmt::Display for SmtpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = match self.tls {
            Tls::None => "in the clear",
            Tls::Started(_) => "with STARTTLS",
            Tls::Implicit(_) => "with TLS",
        };
        write!(f, "{}:{} {how}", self.host, self.port)
    }
}

impl SmtpServer {
    /// Reads its address. `smtps://` is encrypted from the first byte on (port 465), `smtp://` by STARTTLS (port 587), without
    /// which nothing is sent; but in the clear to this very machine, and where the address ends in `?tls=none`. `?from=` names
    /// whom e-mails come from of organizations that have no address of their own.
    pub fn parse(address: &str) -> Result<Self, SmtpUrlFault> {
        let url = Url::parse(address).map_err(|_| SmtpUrlFault::Malformed)?;
        let is_implicit = match url.scheme() {
            "smtps" => true,
            "smtp" => false,
            _ => return Err(SmtpUrlFault::Scheme),
        };
        let host = url.host().ok_or(SmtpUrlFault::Malformed)?;
        if !matches!(url.path(), "" | "/") || url.fragment().is_some() {
            return Err(SmtpUrlFault::Part);
        }
        let (mut tls, mut sender) = (None, None);
        for (name, value) in url.query_pairs() {
            match (&*name, &*value) {
                ("tls", "required") => tls = Some(true),
                ("tls", "none") if !is_implicit => tls = Some(false),
                ("from", address) => {
                    address.parse::<Address>().map_err(|_| SmtpUrlFault::From)?;
                    sender = Some(address.to_owned());
                }
                _ => return Err(SmtpUrlFault::Part),
            }
        }
        let is_here = is_loopback(&host);
        let encrypted = is_implicit || tls.unwrap_or(!is_here);
        let decoded = |text: &str| percent_decode_str(text).decode_utf8().map(|text| text.into_owned());
        let credentials = match (url.username(), url.password()) {
            ("", None) => None,
            (user, password) => {
                let user = decoded(user).map_err(|_| SmtpUrlFault::Malformed)?;
                let password = decoded(password.unwrap_or_default()).map_err(|_| SmtpUrlFault::Malformed)?;
                if sender.is_none() && user.parse::<Address>().is_ok() {
                    sender = Some(user.clone());
                }
                Some(Credentials::new(user, password))
            }
        };
        if credentials.is_some() && !encrypted && !is_here {
            return Err(SmtpUrlFault::PasswordInClear);
        }
        let name = match host {
            Host::Domain(name) => name.to_owned(),
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        };
        let parameters = || TlsParameters::new(name.clone()).map_err(|_| SmtpUrlFault::Certificates);
        let tls = match (is_implicit, encrypted) {
            (true, _) => Tls::Implicit(parameters()?),
            (false, true) => Tls::Started(parameters()?),
            (false, false) => Tls::None,
        };
        let default = if is_implicit { SUBMISSIONS_PORT } else { SUBMISSION_PORT };
        Ok(Self { port: url.port().unwrap_or(default), host: name, tls, credentials, sender })
    }

    /// Whom e-mails come from of organizations that have no address of their own.
    pub fn sender(&self) -> Option<&str> {
        self.sender.as_deref()
    }

    /// Connects and signs in, and leaves again.
    pub fn check(&self) -> Result<(), ServerFault> {
        self.connect().map(Connection::leave)
    }

    /// Connects and signs in.
    pub(super) fn connect(&self) -> Result<Connection, ServerFault> {
        let fault = |error: Error| ServerFault(told(&error));
        let implicit = match &self.tls {
            Tls::Implicit(parameters) => Some(parameters),
            Tls::None | Tls::Started(_) => None,
        };
        let (name, place) = (ClientId::default(), (self.host.as_str(), self.port));
        let mut smtp = SmtpConnection::connect(place, Some(TIMEOUT), &name, implicit, None).map_err(fault)?;
        if let Tls::Started(parameters) = &self.tls {
            smtp.starttls(parameters, &name).map_err(fault)?;
        }
        if let Some(credentials) = &self.credentials {
            smtp.auth(&[Mechanism::Plain, Mechanism::Login], credentials).map_err(fault)?;
        }
        Ok(Connection { smtp, used_at: Instant::now() })
    }
}

fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        // Of this scheme an address of version 4 is read as a name.
        Host::Domain(name) => {
            *name == "localhost" || name.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
        }
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

/// A connection to the mail server, over which one e-mail goes after the other.
pub struct Connection {
    smtp: SmtpConnection,
    used_at: Instant,
}

impl Connection {
    /// Whether it can be used still.
    pub fn stands(&mut self) -> bool {
        !self.smtp.has_broken() && (self.used_at.elapsed() < FRESH || self.smtp.test_connected())
    }

    /// Hands an e-mail over, but begins no step of that after `until`. It was taken, by all recipients, where nothing is
    /// refused.
    pub fn send(&mut self, envelope: &Envelope, message: &[u8], until: Instant) -> Result<(), Refusal> {
        let handed = self.hand_over(envelope, message, until);
        self.used_at = Instant::now();
        match handed {
            Ok(()) => Ok(()),
            Err(refusal) => {
                // What was said of this e-mail is forgotten before the next one.
                if matches!(refusal, Refusal::Server(_)) || self.smtp.command(Rset).is_err() {
                    self.smtp.abort();
                }
                Err(refusal)
            }
        }
    }

    fn hand_over(&mut self, envelope: &Envelope, message: &[u8], until: Instant) -> Result<(), Refusal> {
        let server = self.smtp.server_info();
        let mut options = Vec::new();
        let addresses = envelope.from().into_iter().chain(envelope.to());
        if !addresses.map(AsRef::<str>::as_ref).all(str::is_ascii) {
            if !server.supports_feature(Extension::SmtpUtfEight) {
                let why = "the mail server takes no addresses with letters beyond ASCII";
                return Err(Refusal::Recipient(why.to_owned()));
            }
            options.push(MailParameter::SmtpUtfEight);
        }
        if !message.is_ascii() && server.supports_feature(Extension::EightBitMime) {
            options.push(MailParameter::Body(MailBodyParameter::EightBitMime));
        }
        self.step(Mail::new(envelope.from().cloned(), options), Refusal::Sender, until)?;
        for recipient in envelope.to() {
            self.step(Rcpt::new(recipient.clone(), Vec::new()), Refusal::Recipient, until)?;
        }
        self.step(Data, Refusal::Message, until)?;
        self.smtp.set_timeout(Some(TIMEOUT_OF_MESSAGE)).map_err(|error| Refusal::Server(error.to_string()))?;
        let taken = self.smtp.message(message).map(drop).map_err(|error| refusal(&error, Refusal::Message));
        // What was taken stays taken, whatever becomes of the connection.
        _ = self.smtp.set_timeout(Some(TIMEOUT));
        taken
    }

    fn step(
        &mut self,
        command: impl fmt::Display,
        refused: fn(String) -> Refusal,
        until: Instant,
    ) -> Result<(), Refusal> {
        if Instant::now() > until {
            return Err(Refusal::Later("the mail server is too slow".to_owned()));
        }
        self.smtp.command(command).map(drop).map_err(|error| refusal(&error, refused))
    }

    /// Says good-bye.
    pub fn leave(mut self) {
        if self.smtp.quit().is_err() {
            self.smtp.abort();
        }
    }
}

/// What an answer comes to that is refused for good as `refused` tells.
fn refusal(error: &Error, refused: fn(String) -> Refusal) -> Refusal {
    // It closes, or lets nobody in (RFC 4954): whoever runs it has to put that right, for all e-mails.
    const OF_SERVER: [u16; 4] = [421, 530, 535, 538];
    match error.status() {
        Some(code) if OF_SERVER.contains(&u16::from(code)) => Refusal::Server(told(error)),
        Some(_) if error.is_permanent() => refused(told(error)),
        Some(_) => Refusal::Later(told(error)),
        None => Refusal::Server(told(error)),
    }
}

/// What the server said, or what became of the connection.
fn told(error: &Error) -> String {
    const LENGTH_MAX: usize = 500;
    let mut words = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if !words.contains(&cause.to_string()) {
            words = format!("{words}: {cause}");
        }
        source = cause.source();
    }
    // A server may say anything, and a database keeps no NUL.
    let parts = words.split(|letter: char| letter.is_whitespace() || letter.is_control());
    parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ").chars().take(LENGTH_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(address: &str) -> SmtpServer {
        SmtpServer::parse(address).expect(address)
    }

    #[test]
    fn an_address_tells_where_and_how() {
        for (address, told) in [
            ("smtps://smtp.example.pl", "smtp.example.pl:465 with TLS"),
            ("smtps://user:password@smtp.example.pl:4650/", "smtp.example.pl:4650 with TLS"),
            ("smtp://smtp.example.pl", "smtp.example.pl:587 with STARTTLS"),
            ("smtp://user:password@smtp.example.pl?tls=required", "smtp.example.pl:587 with STARTTLS"),
            ("smtp://relay:25?tls=none", "relay:25 in the clear"),
            ("smtp://127.0.0.1:1025", "127.0.0.1:1025 in the clear"),
            ("smtp://user:password@localhost:1025", "localhost:1025 in the clear"),
            ("smtp://[::1]:1025?tls=required", "::1:1025 with STARTTLS"),
        ] {
            assert_eq!(server(address).to_string(), told);
        }
    }

    #[test]
    fn whom_it_comes_from_is_told_by_the_address_or_the_user() {
        let sender = |address: &str| server(address).sender().map(str::to_owned);
        assert_eq!(sender("smtps://user:password@smtp.example.pl"), None);
        let user = "smtps://faktury%40example.pl:p%40ss@smtp.example.pl";
        assert_eq!(sender(user).as_deref(), Some("faktury@example.pl"));
        assert_eq!(sender(&format!("{user}?from=biuro@example.pl")).as_deref(), Some("biuro@example.pl"));
    }

    #[test]
    fn what_cannot_be_read_is_refused_and_not_repeated() {
        for (address, fault) in [
            ("tajne", SmtpUrlFault::Malformed),
            ("smtp://", SmtpUrlFault::Malformed),
            ("http://user:tajne@smtp.example.pl", SmtpUrlFault::Scheme),
            ("smtps://user:tajne@smtp.example.pl/inbox", SmtpUrlFault::Part),
            ("smtps://user:tajne@smtp.example.pl?tls=none", SmtpUrlFault::Part),
            ("smtp://smtp.example.pl?tls=maybe", SmtpUrlFault::Part),
            ("smtp://user:tajne@smtp.example.pl?tls=none", SmtpUrlFault::PasswordInClear),
            ("smtps://smtp.example.pl?from=tajne", SmtpUrlFault::From),
        ] {
            let refused = SmtpServer::parse(address).expect_err(address);
            assert_eq!(refused, fault, "{address}");
            assert!(!refused.to_string().contains("tajne"), "{refused}");
        }
        let shown = format!("{:?}", server("smtps://user:tajne@smtp.example.pl"));
        assert!(!shown.contains("tajne"), "{shown}");
    }
}
