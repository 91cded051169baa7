//! Invoices by e-mail: taken up from their queue, put together, and handed to a mail server.
//!
//! Any number of nodes and threads works side by side: each takes up a few at a time, which nobody else takes until its time
//! is over. What the mail server took is noted at once. Should a node die in between, or the connection break before the
//! server's last word, nobody can know whether the message went out (RFC 1047): it is sent again, with the same Message-ID,
//! by which mailboxes tell that it is the same.

mod message;
mod smtp;

use crate::worker::{Clock, Stop};
use chrono::{DateTime, TimeDelta, Utc};
use lettre::address::Envelope;
use message::{Document, Letter, Unfit};
use opiekun_domain::decimal::Amount;
use opiekun_domain::ids::uuid_at;
use opiekun_domain::invoice_email::{EmailProblem, EmailReason, EmailStatus, TRIED_FOR, next_attempt};
use opiekun_files::FileStore;
use opiekun_persistence::files::Reader;
use opiekun_persistence::invoice_emails::{self, Attempt, Claimed, InvoiceEmail, message_id};
use opiekun_persistence::organizations::Organization;
use opiekun_persistence::{ActorRef, Db, Result, Scope, StoreError, Tx};
use opiekun_rendering::{Correspondence, DocumentError, Paper, file_name, paper, structured};
use opiekun_typesetting::{NotSet, Workers};
use smtp::{Connection, LAST_STEP_MAX, Refusal};
pub use smtp::{ServerFault, SmtpServer, SmtpUrlFault};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How many are taken up at a time.
const AT_ONCE: i64 = 10;
/// For how long nobody else takes them.
const HELD_FOR: TimeDelta = TimeDelta::minutes(30);
/// An attempt is begun only where so much is left of it.
const LEFT_AT_LEAST: TimeDelta = TimeDelta::minutes(20);
/// No step of it is begun where less is left than the last may take.
const LEFT_AT_LAST: Duration = LAST_STEP_MAX.saturating_add(Duration::from_secs(60));

/// For how long it is tried to note what was sent.
const NOTED_WITHIN_SECONDS: u32 = 300;

/// What e-mails are sent with.
pub struct Mailer {
    server: SmtpServer,
    workers: Arc<Workers>,
    store: FileStore,
    pace: Mutex<Pace>,
}

/// After a fault of the mail server a node lets it be for a while, longer each time.
#[derive(Debug, Default)]
struct Pace {
    pause: Duration,
    until: Option<Instant>,
}

const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(30);

impl Mailer {
    pub fn new(server: SmtpServer, workers: Arc<Workers>, store: FileStore) -> Self {
        Self { server, workers, store, pace: Mutex::default() }
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_pausing(&self) -> bool {
        self.pace().until.is_some_and(|until| Instant::now() < until)
    }

    /// How long the server is let be now.
    fn pause(&self) -> Duration {
        let mut pace = self.pace();
        // Threads that meet the same fault make one pause of it.
        if pace.until.is_none_or(|until| until <= Instant::now()) {
            pace.pause = (pace.pause * 2).clamp(PAUSE_MIN, PAUSE_MAX);
            pace.until = Some(Instant::now() + pace.pause);
        }
        pace.pause
    }

    fn go_on(&self) {
        *self.pace() = Pace::default();
    }
}

/// The connection of one thread, kept as long as there is something to send.
#[derive(Default)]
pub(crate) struct Line(Option<Connection>);

impl Line {
    /// Over a connection that stands.
    fn connected(&mut self, server: &SmtpServer) -> Result<&mut Connection, ServerFault> {
        let standing = self.0.take().and_then(|mut connection| connection.stands().then_some(connection));
        let connection = standing.map_or_else(|| server.connect(), Ok)?;
        Ok(self.0.insert(connection))
    }

    fn hang_up(&mut self) {
        if let Some(connection) = self.0.take() {
            connection.leave();
        }
    }
}

/// Sends what one node takes up at a time; `true` when more may wait.
pub(crate) fn work(db: &Db, clock: Clock, stop: &Stop, mailer: &Mailer, line: &Mutex<Line>) -> Result<bool> {
    let mut line = line.lock().unwrap_or_else(PoisonError::into_inner);
    if mailer.is_pausing() {
        line.hang_up();
        return Ok(false);
    }
    let now = clock();
    let until = now + HELD_FOR;
    let steps_until = Instant::now() + HELD_FOR.to_std().unwrap_or_default().saturating_sub(LEFT_AT_LAST);
    let claimed = invoice_emails::claim(db, now, until, AT_ONCE)?;
    if claimed.is_empty() {
        line.hang_up();
        return Ok(false);
    }
    for (place, one) in claimed.iter().enumerate() {
        let left = &claimed[place..];
        if stop.is_set() || clock() + LEFT_AT_LEAST > until {
            invoice_emails::give_back(db, left, now, now, None)?;
            return Ok(false);
        }
        match deliver(db, clock, mailer, &mut line, one, steps_until) {
            Ok(Delivery::Settled) => {}
            Ok(Delivery::ServerFault { detail, is_settled }) => {
                let pause = mailer.pause();
                tracing::warn!(server = %mailer.server, detail, ?pause, "the mail server takes no e-mail");
                let left = if is_settled { &left[1..] } else { left };
                let now = clock();
                let later = now + TimeDelta::from_std(pause).unwrap_or_default();
                invoice_emails::give_back(db, left, now, later, Some((EmailProblem::ServerUnavailable, &detail)))?;
                line.0 = None;
                return Ok(false);
            }
            Err(error) => {
                // This one stays held: it may be out.
                invoice_emails::give_back(db, &left[1..], now, now, None)?;
                return Err(error);
            }
        }
    }
    Ok(true)
}

/// What came of an e-mail.
enum Delivery {
    /// It is noted.
    Settled,
    /// Nothing can be sent now.
    ServerFault { detail: String, is_settled: bool },
}

/// An e-mail, put together but for its PDF.
struct Prepared {
    organization: Organization,
    recipients: Vec<String>,
    from_address: String,
    subject: String,
    body: String,
    paper: Option<Paper>,
    /// The number of the invoice, and its FA(3).
    e_invoice: Option<(String, Vec<u8>)>,
}

/// Why an e-mail is not sent, for good or for now.
struct Setback {
    status: EmailStatus,
    problem: EmailProblem,
    detail: String,
}

impl Setback {
    fn failed(problem: EmailProblem, detail: impl Into<String>) -> Self {
        Self { status: EmailStatus::Failed, problem, detail: detail.into() }
    }

    fn later(problem: EmailProblem, detail: impl Into<String>) -> Self {
        Self { status: EmailStatus::Queued, problem, detail: detail.into() }
    }
}

fn deliver(
    db: &Db,
    clock: Clock,
    mailer: &Mailer,
    line: &mut Line,
    claimed: &Claimed,
    steps_until: Instant,
) -> Result<Delivery> {
    let email = &claimed.email;
    #[expect(clippy::disallowed_methods, reason = "who asked for it was allowed to, or the organization has it so")]
    let scope = Scope::new(claimed.organization_id, ActorRef::System, None);
    let settle = |prepared: Option<&Prepared>, setback: Option<Setback>| {
        let now = clock();
        let attempt = attempt_of(email, prepared, setback, now);
        let status = attempt.status;
        let is_noted = db.transaction(scope, now, |tx| invoice_emails::settle(tx, email, attempt))?;
        if !is_noted {
            tracing::warn!(email = %email.id, %status, "another node has taken it up meanwhile");
        }
        Ok::<_, StoreError>(Delivery::Settled)
    };
    if email.queued_at + TRIED_FOR <= clock() {
        let last = email.problem_detail.clone().unwrap_or_default();
        return settle(None, Some(Setback::failed(EmailProblem::Expired, last)));
    }
    // Before anything is set that could not be sent.
    let connection = match line.connected(&mailer.server) {
        Ok(connection) => connection,
        Err(fault) => return Ok(Delivery::ServerFault { detail: fault.0, is_settled: false }),
    };
    let mut prepared = match db.transaction(scope, clock(), |tx| prepare(tx, email, &mailer.server)) {
        Ok(prepared) => prepared,
        Err(NotPrepared::Setback(setback)) => return settle(None, Some(setback)),
        Err(NotPrepared::Store(error @ StoreError::Unavailable(_))) => return Err(error),
        Err(NotPrepared::Store(error)) => {
            tracing::error!(email = %email.id, %error, "an e-mail could not be put together");
            return settle(None, Some(Setback::later(EmailProblem::NoDocument, "internal")));
        }
    };
    let sealed = documents(mailer, &mut prepared).and_then(|documents| seal(email, &prepared, documents, clock()));
    let (envelope, message) = match sealed {
        Ok(sealed) => sealed,
        Err(setback) => return settle(Some(&prepared), Some(setback)),
    };
    match connection.send(&envelope, &message, steps_until) {
        Ok(()) => {
            mailer.go_on();
            // It is out: while that cannot be noted this thread does nothing else, so that it is not sent again.
            let mut tries = 0;
            loop {
                match settle(Some(&prepared), None) {
                    Err(error) if tries < NOTED_WITHIN_SECONDS => {
                        tracing::warn!(email = %email.id, %error, "it is out, and cannot be noted yet");
                        tries += 1;
                    }
                    noted => return noted,
                }
                std::thread::sleep(Duration::from_secs(1));
            }
        }
        Err(Refusal::Server(detail)) => {
            // It may be this very e-mail that breaks the connection, and the next one goes before it then.
            settle(Some(&prepared), Some(Setback::later(EmailProblem::ServerUnavailable, detail.clone())))?;
            Ok(Delivery::ServerFault { detail, is_settled: true })
        }
        Err(Refusal::Later(detail)) => settle(Some(&prepared), Some(Setback::later(EmailProblem::Deferred, detail))),
        Err(Refusal::Sender(detail)) => {
            settle(Some(&prepared), Some(Setback::failed(EmailProblem::SenderRefused, detail)))
        }
        Err(Refusal::Recipient(detail)) => {
            settle(Some(&prepared), Some(bounced(EmailProblem::RecipientRefused, detail)))
        }
        Err(Refusal::Message(detail)) => settle(Some(&prepared), Some(bounced(EmailProblem::MessageRefused, detail))),
    }
}

fn bounced(problem: EmailProblem, detail: String) -> Setback {
    Setback { status: EmailStatus::Bounced, problem, detail }
}

/// What is noted of an attempt.
fn attempt_of(
    email: &InvoiceEmail,
    prepared: Option<&Prepared>,
    setback: Option<Setback>,
    now: DateTime<Utc>,
) -> Attempt {
    let random = u32::try_from(uuid_at(now).as_u128() & 0xffff).unwrap_or_default();
    let (mut status, mut problem) = match setback {
        None => (EmailStatus::Sent, None),
        Some(Setback { status, problem, detail }) => (status, Some((problem, detail))),
    };
    let mut next_attempt_at = None;
    if status == EmailStatus::Queued {
        next_attempt_at = next_attempt(email.queued_at, now, email.attempts.saturating_add(1), random);
        if next_attempt_at.is_none() {
            status = EmailStatus::Failed;
            problem = problem.map(|(_, detail)| (EmailProblem::Expired, detail));
        }
    }
    let kept = |new: Option<&String>, before: &Option<String>| new.or(before.as_ref()).cloned();
    let recipients = prepared.map_or(&email.recipients, |it| &it.recipients).clone();
    Attempt {
        status,
        problem,
        next_attempt_at,
        recipients,
        subject: kept(prepared.map(|it| &it.subject), &email.subject),
        body: kept(prepared.map(|it| &it.body), &email.body),
        from_address: kept(prepared.map(|it| &it.from_address), &email.from_address),
    }
}

/// Why an e-mail is not put together.
enum NotPrepared {
    Setback(Setback),
    Store(StoreError),
}

impl From<StoreError> for NotPrepared {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<DocumentError> for NotPrepared {
    fn from(error: DocumentError) -> Self {
        match error {
            DocumentError::Store(error) => Self::Store(error),
            DocumentError::NotOfState { detail, .. } => {
                Self::Setback(Setback::failed(EmailProblem::NoDocument, detail))
            }
            DocumentError::Internal(cause) => {
                tracing::error!(cause, "a document could not be made");
                Self::Setback(Setback::later(EmailProblem::NoDocument, "internal"))
            }
        }
    }
}

/// Reads all that an e-mail says.
fn prepare(tx: &mut Tx<'_>, email: &InvoiceEmail, server: &SmtpServer) -> Result<Prepared, NotPrepared> {
    let correspondence = Correspondence::load(tx, email.invoice_id)?;
    let settings = &correspondence.organization.fields.email.0;
    let sender = email.from_address.as_deref().or(settings.from_address.as_deref()).or(server.sender());
    let Some(sender) = sender.map(str::to_owned) else {
        return Err(NotPrepared::Setback(Setback::failed(EmailProblem::NoSender, "")));
    };
    let fields = &correspondence.customer.fields;
    if email.reason == EmailReason::Reminder {
        let is_wanted = fields.send_reminders && correspondence.organization.fields.reminders.is_some();
        let is_paid = correspondence.owed <= Amount::ZERO;
        let needless = if is_paid { Some(EmailProblem::Paid) } else { (!is_wanted).then_some(EmailProblem::NotWanted) };
        if let Some(problem) = needless {
            let cancelled = Setback { status: EmailStatus::Cancelled, problem, detail: String::new() };
            return Err(NotPrepared::Setback(cancelled));
        }
    }
    // What comes by itself goes to the address of today.
    let recipients = match (email.reason, &fields.email) {
        (EmailReason::Requested, _) => email.recipients.clone(),
        (_, Some(address)) => vec![address.clone()],
        (_, None) => return Err(NotPrepared::Setback(Setback::failed(EmailProblem::NoRecipient, ""))),
    };
    let (subject, body) = match (&email.subject, &email.body) {
        (Some(subject), Some(body)) => (subject.clone(), body.clone()),
        _ => correspondence.words(email.reason, email.days_after_due, tx.now),
    };
    let invoice_id = email.invoice_id;
    // Its logo is one that everybody sees.
    let reader = Reader::EVERYTHING;
    let paper = if email.attach_pdf { Some(paper(tx, reader, invoice_id, None)?) } else { None };
    let e_invoice = match email.attach_xml.then(|| structured(tx, invoice_id)) {
        Some(Ok((number, document))) => Some((number, document.content)),
        // A pro forma has none.
        None | Some(Err(DocumentError::NotOfState { .. })) => None,
        Some(Err(error)) => return Err(error.into()),
    };
    let organization = correspondence.organization;
    Ok(Prepared { organization, recipients, from_address: sender, subject, body, paper, e_invoice })
}

/// The documents that come with it.
fn documents(mailer: &Mailer, prepared: &mut Prepared) -> Result<Vec<Document>, Setback> {
    let later = |detail: String| Setback::later(EmailProblem::NoDocument, detail);
    let mut documents = Vec::new();
    if let Some(mut paper) = prepared.paper.take() {
        if let Some((object, size)) = paper.logo() {
            let content = mailer.store.read_now(object, 0..size).map_err(|fault| later(fault.to_string()))?;
            paper.add_logo(content.to_vec());
        }
        let content = mailer.workers.set(&paper.job).map_err(|not_set| match not_set {
            NotSet::Worker(error) => later(error.to_string()),
            refused => Setback::failed(EmailProblem::NoDocument, refused.to_string()),
        })?;
        documents.push(Document { name: file_name(&paper.name, "pdf"), media_type: "application/pdf", content });
    }
    if let Some((number, content)) = prepared.e_invoice.take() {
        documents.push(Document { name: file_name(&number, "xml"), media_type: "application/xml", content });
    }
    Ok(documents)
}

fn seal(
    email: &InvoiceEmail,
    prepared: &Prepared,
    documents: Vec<Document>,
    date: DateTime<Utc>,
) -> Result<(Envelope, Vec<u8>), Setback> {
    let fields = &prepared.organization.fields;
    let letter = Letter {
        message_id: message_id(email.id, &prepared.from_address),
        from_name: fields.email.0.from_name.as_deref().unwrap_or(&fields.legal_name),
        from_address: &prepared.from_address,
        reply_to: fields.email.0.reply_to.as_deref(),
        to: &prepared.recipients,
        cc: &email.cc,
        subject: &prepared.subject,
        body: &prepared.body,
        documents,
        is_automatic: email.reason != EmailReason::Requested,
        date,
    };
    letter.seal().map_err(|unfit| match unfit {
        Unfit::Address(address) => Setback::failed(EmailProblem::AddressInvalid, address),
        Unfit::TooLarge => Setback::failed(EmailProblem::TooLarge, ""),
        Unfit::Message(detail) => Setback::failed(EmailProblem::MessageRefused, detail),
    })
}
