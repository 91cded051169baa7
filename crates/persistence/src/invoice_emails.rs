//! Invoices by e-mail: what is to be sent, how it fares, and the claims of those who send it.

use crate::changes::{self, Change};
use crate::db::{Db, Tx};
use crate::error::{OrNotFound, Result};
use crate::page::{Cursor, Page, PageRequest, keyset};
use crate::schema::{customers, invoice_emails};
use chrono::{DateTime, Utc};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use opiekun_domain::ids::{CustomerId, InvoiceEmailId, InvoiceId, OrganizationId};
use opiekun_domain::invoice_email::{EmailProblem, EmailReason, EmailStatus};
use serde::Serialize;
use uuid::Uuid;

#[derive(Debug, Clone, Queryable, QueryableByName, Selectable, Serialize)]
#[diesel(table_name = invoice_emails, check_for_backend(diesel::pg::Pg))]
pub struct InvoiceEmail {
    pub id: InvoiceEmailId,
    pub invoice_id: InvoiceId,
    pub customer_id: CustomerId,
    pub reason: EmailReason,
    /// The step of the reminder: so many days after the day of payment, before it where less than 0.
    pub days_after_due: Option<i16>,
    pub status: EmailStatus,
    pub problem: Option<EmailProblem>,
    pub problem_detail: Option<String>,
    pub recipients: Vec<String>,
    pub cc: Vec<String>,
    /// `None` until it is first tried, where it comes in the organization's words.
    pub subject: Option<String>,
    pub body: Option<String>,
    /// The sender of the last attempt.
    pub from_address: Option<String>,
    pub attach_pdf: bool,
    pub attach_xml: bool,
    pub requested_by_kind: String,
    pub requested_by_id: Option<Uuid>,
    pub attempts: i32,
    pub queued_at: DateTime<Utc>,
    /// While a node is at it, when others may take it that it has left.
    pub next_attempt_at: Option<DateTime<Utc>>,
    pub sent_at: Option<DateTime<Utc>>,
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl InvoiceEmail {
    /// The identifier of the message, the same at each attempt, so that whoever gets it twice can tell.
    pub fn message_id(&self) -> Option<String> {
        self.from_address.as_ref().map(|from_address| message_id(self.id, from_address))
    }
}

/// What makes a message known as itself.
pub fn message_id(id: InvoiceEmailId, from_address: &str) -> String {
    let domain = from_address.rsplit_once('@').map_or("localhost", |(_, domain)| domain);
    format!("<{id}@{domain}>")
}

/// An e-mail that somebody asks for.
#[derive(Debug, Clone)]
pub struct NewEmail {
    pub invoice_id: InvoiceId,
    pub customer_id: CustomerId,
    pub recipients: Vec<String>,
    pub cc: Vec<String>,
    pub subject: String,
    pub body: String,
    pub attach_pdf: bool,
    pub attach_xml: bool,
}

#[derive(Insertable)]
#[diesel(table_name = invoice_emails)]
struct NewRow {
    organization_id: OrganizationId,
    id: InvoiceEmailId,
    invoice_id: InvoiceId,
    customer_id: CustomerId,
    reason: EmailReason,
    status: EmailStatus,
    recipients: Vec<String>,
    cc: Vec<String>,
    subject: String,
    body: String,
    attach_pdf: bool,
    attach_xml: bool,
    requested_by_kind: &'static str,
    requested_by_id: Option<Uuid>,
    queued_at: DateTime<Utc>,
    next_attempt_at: DateTime<Utc>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// All that is given must hold.
#[derive(Debug, Clone, Default)]
pub struct InvoiceEmailFilter {
    pub invoice_id: Option<InvoiceId>,
    pub customer_id: Option<CustomerId>,
    pub status: Option<EmailStatus>,
}

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    pub status: EmailStatus,
    pub problem: Option<(EmailProblem, String)>,
    /// Of one that is to be tried again.
    pub next_attempt_at: Option<DateTime<Utc>>,
    pub recipients: Vec<String>,
    pub subject: Option<String>,
    pub body: Option<String>,
    pub from_address: Option<String>,
}

/// An e-mail that a node has taken up, whichever organization it is of.
#[derive(Debug, Clone, QueryableByName)]
pub struct Claimed {
    #[diesel(sql_type = SqlUuid)]
    pub organization_id: OrganizationId,
    #[diesel(embed)]
    pub email: InvoiceEmail,
}

/// Queues an e-mail that somebody asks for.
pub fn create(tx: &mut Tx<'_>, new: NewEmail) -> Result<InvoiceEmail> {
    let NewEmail { invoice_id, customer_id, recipients, cc, subject, body, attach_pdf, attach_xml } = new;
    let row = NewRow {
        organization_id: tx.organization_id(),
        id: InvoiceEmailId::at(tx.now),
        invoice_id,
        customer_id,
        reason: EmailReason::Requested,
        status: EmailStatus::Queued,
        recipients,
        cc,
        subject,
        body,
        attach_pdf,
        attach_xml,
        requested_by_kind: tx.scope.actor.kind(),
        requested_by_id: tx.scope.actor.id(),
        queued_at: tx.now,
        next_attempt_at: tx.now,
        created_at: tx.now,
        updated_at: tx.now,
    };
    let email: InvoiceEmail = diesel::insert_into(invoice_emails::table)
        .values(row)
        .returning(InvoiceEmail::as_returning())
        .get_result(tx.conn)?;
    changes::record(tx, told("queued", None, &email))?;
    Ok(email)
}

/// Queues issued invoices to their customers by themselves, each once, in one statement however many. Where a customer has
/// no address, that is told by an e-mail that has failed.
pub fn queue_issued(tx: &mut Tx<'_>, invoice_ids: &[InvoiceId]) -> Result<()> {
    if invoice_ids.is_empty() {
        return Ok(());
    }
    let ids: Vec<InvoiceEmailId> = invoice_ids.iter().map(|_| InvoiceEmailId::at(tx.now)).collect();
    let queued: Vec<InvoiceEmail> = diesel::sql_query(
        "insert into invoice_emails (organization_id, id, invoice_id, customer_id, reason, status, problem, recipients, cc,
             attach_pdf, attach_xml, requested_by_kind, requested_by_id, queued_at, next_attempt_at, created_at, updated_at)
         select i.organization_id, n.id, i.id, i.customer_id, 'issued',
             case when c.email is null then 'failed' else 'queued' end,
             case when c.email is null then 'no_recipient' end,
             array_remove(array[c.email], null), '{}', true, true, $4, $5, $6,
             case when c.email is not null then $6 end, $6, $6
         from unnest($2, $3) n (invoice_id, id)
         join invoices i on i.organization_id = $1 and i.id = n.invoice_id
         join customers c on c.organization_id = $1 and c.id = i.customer_id
         on conflict (organization_id, invoice_id) where reason = 'issued' do nothing
         returning *",
    )
    .bind::<SqlUuid, _>(tx.organization_id())
    .bind::<Array<SqlUuid>, _>(invoice_ids)
    .bind::<Array<SqlUuid>, _>(&ids)
    .bind::<Text, _>(tx.scope.actor.kind())
    .bind::<Nullable<SqlUuid>, _>(tx.scope.actor.id())
    .bind::<Timestamptz, _>(tx.now)
    .load(tx.conn)?;
    let records = queued.iter().map(|email| told(action_of(email.status), None, email)).collect();
    changes::record_all(tx, records)
}

pub fn find(tx: &mut Tx<'_>, id: InvoiceEmailId) -> Result<InvoiceEmail> {
    invoice_emails::table
        .find((tx.organization_id(), id))
        .select(InvoiceEmail::as_select())
        .first(tx.conn)
        .optional()
        .or_not_found("invoice_email")
}

pub fn lock(tx: &mut Tx<'_>, id: InvoiceEmailId) -> Result<InvoiceEmail> {
    invoice_emails::table
        .find((tx.organization_id(), id))
        .select(InvoiceEmail::as_select())
        .for_update()
        .first(tx.conn)
        .optional()
        .or_not_found("invoice_email")
}

pub fn list(tx: &mut Tx<'_>, filter: &InvoiceEmailFilter, page: &PageRequest<()>) -> Result<Page<InvoiceEmail>> {
    let organization_id = tx.organization_id();
    let filtered = || {
        let mut query = invoice_emails::table.filter(invoice_emails::organization_id.eq(organization_id)).into_boxed();
        if let Some(id) = filter.invoice_id {
            query = query.filter(invoice_emails::invoice_id.eq(id));
        }
        if let Some(id) = filter.customer_id {
            query = query.filter(invoice_emails::customer_id.eq(id));
        }
        if let Some(status) = filter.status {
            query = query.filter(invoice_emails::status.eq(status));
        }
        query
    };
    let total = page.total(|cap| filtered().select(sql::<Integer>("1")).limit(cap).load(tx.conn))?;
    let rows = keyset!(filtered(), page, invoice_emails::id).select(InvoiceEmail::as_select()).load(tx.conn)?;
    Ok(Page::cut(rows, page, total, |email| Cursor::new((), email.id)))
}

/// Queues a locked e-mail again that was not sent. One that came by itself goes to the address that its customer has now.
pub fn requeue(tx: &mut Tx<'_>, email: &InvoiceEmail) -> Result<InvoiceEmail> {
    let recipients = match email.reason {
        EmailReason::Requested => email.recipients.clone(),
        EmailReason::Issued | EmailReason::Reminder => {
            let address: Option<String> = customers::table
                .find((tx.organization_id(), email.customer_id))
                .select(customers::email)
                .first(tx.conn)?;
            address.into_iter().collect()
        }
    };
    let waits = !recipients.is_empty();
    let after: InvoiceEmail = diesel::update(invoice_emails::table.find((tx.organization_id(), email.id)))
        .set((
            invoice_emails::status.eq(if waits { EmailStatus::Queued } else { EmailStatus::Failed }),
            invoice_emails::problem.eq((!waits).then_some(EmailProblem::NoRecipient)),
            invoice_emails::problem_detail.eq(None::<String>),
            invoice_emails::recipients.eq(recipients),
            invoice_emails::from_address.eq(None::<String>),
            invoice_emails::attempts.eq(0),
            invoice_emails::queued_at.eq(tx.now),
            invoice_emails::next_attempt_at.eq(waits.then_some(tx.now)),
            invoice_emails::version.eq(invoice_emails::version + 1),
            invoice_emails::updated_at.eq(tx.now),
        ))
        .returning(InvoiceEmail::as_returning())
        .get_result(tx.conn)?;
    changes::record(tx, told(action_of(after.status), Some(email), &after))?;
    Ok(after)
}

/// Takes up e-mails of all organizations whose turn has come, at most `batch`, what somebody waits for first. Until `until`
/// nobody else takes them; what has not been told of by then is taken again.
pub fn claim(db: &Db, now: DateTime<Utc>, until: DateTime<Utc>, batch: i64) -> Result<Vec<Claimed>> {
    let mut conn = db.connection()?;
    let mut claim = |of_reason: &str| -> Result<Vec<Claimed>> {
        let sql = format!(
            "with due as (
                 select organization_id, id from invoice_emails
                 where status = 'queued' {of_reason} and next_attempt_at <= $1
                 order by next_attempt_at limit $3 for update skip locked
             )
             update invoice_emails e set next_attempt_at = $2
             from due where e.organization_id = due.organization_id and e.id = due.id
             returning e.*"
        );
        let claimed = diesel::sql_query(sql)
            .bind::<Timestamptz, _>(now)
            .bind::<Timestamptz, _>(until)
            .bind::<BigInt, _>(batch)
            .load(&mut *conn)?;
        Ok(claimed)
    };
    let requested = claim("and reason = 'requested'")?;
    if requested.is_empty() { claim("") } else { Ok(requested) }
}

/// Gives back claimed e-mails that were not tried, with what kept them from it.
pub fn give_back(
    db: &Db,
    claimed: &[Claimed],
    now: DateTime<Utc>,
    at: DateTime<Utc>,
    problem: Option<(EmailProblem, &str)>,
) -> Result<()> {
    let Some(until) = claimed.first().and_then(|claimed| claimed.email.next_attempt_at) else { return Ok(()) };
    let (problem, detail) = problem.unzip();
    diesel::sql_query(
        "update invoice_emails e set next_attempt_at = $3, problem = coalesce($5, e.problem),
             problem_detail = case when $5 is null then e.problem_detail else nullif($6, '') end,
             version = e.version + ($5 is not null)::int, updated_at = case when $5 is null then e.updated_at else $7 end
         from unnest($1, $2) n (organization_id, id)
         where e.organization_id = n.organization_id and e.id = n.id and e.next_attempt_at = $4",
    )
    .bind::<Array<SqlUuid>, _>(claimed.iter().map(|claimed| claimed.organization_id).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(claimed.iter().map(|claimed| claimed.email.id).collect::<Vec<_>>())
    .bind::<Timestamptz, _>(at)
    .bind::<Timestamptz, _>(until)
    .bind::<Nullable<Text>, _>(problem)
    .bind::<Nullable<Text>, _>(detail)
    .bind::<Timestamptz, _>(now)
    .execute(&mut *db.connection()?)?;
    Ok(())
}

/// Notes what came of an attempt at a claimed e-mail. What was sent is noted also where another node has taken it up
/// meanwhile; anything else only by who holds it. `false` where nothing was to be noted.
pub fn settle(tx: &mut Tx<'_>, before: &InvoiceEmail, attempt: Attempt) -> Result<bool> {
    let Attempt { status, problem, next_attempt_at, recipients, subject, body, from_address } = attempt;
    let (problem, problem_detail) = problem.unzip();
    let is_sent = status == EmailStatus::Sent;
    let mut held = diesel::update(invoice_emails::table.find((tx.organization_id(), before.id)))
        .filter(invoice_emails::status.eq(EmailStatus::Queued))
        .set((
            invoice_emails::status.eq(status),
            invoice_emails::problem.eq(problem),
            invoice_emails::problem_detail.eq(problem_detail.filter(|detail| !detail.is_empty())),
            invoice_emails::recipients.eq(recipients),
            invoice_emails::subject.eq(subject),
            invoice_emails::body.eq(body),
            invoice_emails::from_address.eq(from_address),
            invoice_emails::attempts.eq(invoice_emails::attempts + 1),
            invoice_emails::next_attempt_at.eq(next_attempt_at),
            invoice_emails::sent_at.eq(is_sent.then_some(tx.now)),
            invoice_emails::version.eq(invoice_emails::version + 1),
            invoice_emails::updated_at.eq(tx.now),
        ))
        .into_boxed();
    if !is_sent {
        held = held.filter(invoice_emails::next_attempt_at.eq(before.next_attempt_at));
    }
    let after = held.returning(InvoiceEmail::as_returning()).get_result(tx.conn).optional()?;
    let Some(after) = after else { return Ok(false) };
    // That it waits on is no news.
    if after.status != EmailStatus::Queued {
        changes::record(tx, told(action_of(after.status), Some(before), &after))?;
    }
    Ok(true)
}

/// The event that tells of a status: `invoice_email.sent`.
const fn action_of(status: EmailStatus) -> &'static str {
    status.as_str()
}

pub(crate) fn told(action: &'static str, before: Option<&InvoiceEmail>, after: &InvoiceEmail) -> Change {
    Change::new("invoice_email", action, (after.id.0, after.version), before, Some(after))
}
