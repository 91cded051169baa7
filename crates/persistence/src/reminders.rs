//! Reminders of invoices that are not paid: who is to be reminded, and on which days that was done.

use crate::changes;
use crate::db::{Db, Tx};
use crate::error::Result;
use crate::invoice_emails::{InvoiceEmail, told};
use crate::json::Json;
use crate::organizations::time_zone;
use crate::schema::reminder_days;
use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Date, Jsonb, Nullable, Numeric, SmallInt, Text, Timestamptz, Uuid as SqlUuid};
use opiekun_domain::currency::Currency;
use opiekun_domain::decimal::Amount;
use opiekun_domain::ids::{CustomerId, InvoiceEmailId, InvoiceId, OperatorId, OrganizationId};
use opiekun_domain::reminder::{ReminderSchedule, Unpaid};
use std::collections::BTreeSet;
use uuid::Uuid;

/// An organization that reminds.
#[derive(Debug, Clone)]
pub struct Reminding {
    pub id: OrganizationId,
    pub time_zone: Tz,
    pub schedule: ReminderSchedule,
    pub set_at: DateTime<Utc>,
    /// The last day on which it was done.
    pub last_on: Option<NaiveDate>,
}

/// An invoice that may have to be reminded of.
#[derive(Debug, Clone, QueryableByName)]
pub struct Candidate {
    #[diesel(sql_type = SqlUuid)]
    pub invoice_id: InvoiceId,
    #[diesel(sql_type = SqlUuid)]
    pub customer_id: CustomerId,
    #[diesel(sql_type = Nullable<Text>)]
    pub number: Option<String>,
    #[diesel(sql_type = Text)]
    pub customer_name: String,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    pub caretaker_id: Option<OperatorId>,
    #[diesel(sql_type = Text)]
    pub currency: Currency,
    #[diesel(sql_type = Numeric)]
    pub owed: Amount,
    #[diesel(sql_type = Date)]
    issued_on: NaiveDate,
    #[diesel(sql_type = Date)]
    due_on: NaiveDate,
    #[diesel(sql_type = Nullable<SmallInt>)]
    reminded_at: Option<i16>,
}

impl Candidate {
    pub const fn unpaid(&self) -> Unpaid {
        Unpaid { issued_on: self.issued_on, due_on: self.due_on, reminded_at: self.reminded_at }
    }
}

/// Every organization of this database that reminds, with what tells whether it is time, in one query.
pub fn reminding(db: &Db) -> Result<Vec<Reminding>> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = SqlUuid)]
        id: OrganizationId,
        #[diesel(sql_type = Text)]
        time_zone: String,
        #[diesel(sql_type = Jsonb)]
        reminders: Json<ReminderSchedule>,
        #[diesel(sql_type = Timestamptz)]
        set_at: DateTime<Utc>,
        #[diesel(sql_type = Nullable<Date>)]
        last_on: Option<NaiveDate>,
    }
    let mut conn = db.connection()?;
    let rows: Vec<Row> = diesel::sql_query(
        "select o.id, o.time_zone, o.reminders, o.reminders_set_at as set_at, (
             select max(d.reminded_on) from reminder_days d where d.organization_id = o.id
         ) as last_on
         from organizations o where o.reminders is not null order by o.id",
    )
    .load(&mut *conn)?;
    let of = |row: Row| Reminding {
        id: row.id,
        time_zone: time_zone(&row.time_zone),
        schedule: row.reminders.0,
        set_at: row.set_at,
        last_on: row.last_on,
    };
    Ok(rows.into_iter().map(of).collect())
}

/// Invoices that are not paid in full, were to be paid between two days, and whose customers are reminded, in the order of
/// their ids.
pub fn candidates(
    tx: &mut Tx<'_>,
    (due_from, due_through): (NaiveDate, NaiveDate),
    after: Option<InvoiceId>,
    batch: i64,
) -> Result<Vec<Candidate>> {
    Ok(diesel::sql_query(
        "select b.invoice_id, b.customer_id, i.number, c.name as customer_name, (
                 select o.id from operators o where o.organization_id = c.organization_id and o.id = c.caretaker_id and o.active
             ) as caretaker_id, b.currency,
             b.gross - b.paid as owed, b.issued_on, b.due_on, (
                 select max(e.days_after_due) from invoice_emails e
                 where e.organization_id = b.organization_id and e.invoice_id = b.invoice_id and e.reason = 'reminder'
             ) as reminded_at
         from invoice_balances b
         join customers c on c.organization_id = b.organization_id and c.id = b.customer_id
         join invoices i on i.organization_id = b.organization_id and i.id = b.invoice_id
         where b.organization_id = $1 and b.paid < b.gross and b.due_on between $2 and $3 and b.invoice_id > $4
         and c.send_reminders
         order by b.invoice_id limit $5",
    )
    .bind::<SqlUuid, _>(tx.organization_id())
    .bind::<Date, _>(due_from)
    .bind::<Date, _>(due_through)
    .bind::<SqlUuid, _>(after.map_or(Uuid::nil(), |id| id.0))
    .bind::<BigInt, _>(batch)
    .load(tx.conn)?)
}

/// Queues reminders, each at a step, in one statement however many, and gives the invoices of those that were not there
/// already. Where a customer has no address, that is told by an e-mail that has failed.
pub fn queue(tx: &mut Tx<'_>, reminders: &[(InvoiceId, i16)]) -> Result<BTreeSet<InvoiceId>> {
    if reminders.is_empty() {
        return Ok(BTreeSet::new());
    }
    let ids: Vec<InvoiceEmailId> = reminders.iter().map(|_| InvoiceEmailId::at(tx.now)).collect();
    let queued: Vec<InvoiceEmail> = diesel::sql_query(
        "insert into invoice_emails (organization_id, id, invoice_id, customer_id, reason, days_after_due, status, problem,
             recipients, cc, attach_pdf, attach_xml, requested_by_kind, queued_at, next_attempt_at, created_at, updated_at)
         select i.organization_id, n.id, i.id, i.customer_id, 'reminder', n.days,
             case when c.email is null then 'failed' else 'queued' end,
             case when c.email is null then 'no_recipient' end,
             array_remove(array[c.email], null), '{}', true, false, $5, $6,
             case when c.email is not null then $6 end, $6, $6
         from unnest($2, $3, $4) n (invoice_id, id, days)
         join invoices i on i.organization_id = $1 and i.id = n.invoice_id
         join customers c on c.organization_id = $1 and c.id = i.customer_id
         on conflict (organization_id, invoice_id, days_after_due) where reason = 'reminder' do nothing
         returning *",
    )
    .bind::<SqlUuid, _>(tx.organization_id())
    .bind::<Array<SqlUuid>, _>(reminders.iter().map(|(id, _)| *id).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(&ids)
    .bind::<Array<SmallInt>, _>(reminders.iter().map(|(_, days)| *days).collect::<Vec<_>>())
    .bind::<Text, _>(tx.scope.actor.kind())
    .bind::<Timestamptz, _>(tx.now)
    .load(tx.conn)?;
    let records = queued.iter().map(|email| told(email.status.as_str(), None, email)).collect();
    changes::record_all(tx, records)?;
    Ok(queued.into_iter().map(|email| email.invoice_id).collect())
}

/// Notes that all was done that was to be done on a day.
pub fn finish(tx: &mut Tx<'_>, day: NaiveDate) -> Result<()> {
    let row = (
        reminder_days::organization_id.eq(tx.organization_id()),
        reminder_days::reminded_on.eq(day),
        reminder_days::created_at.eq(tx.now),
    );
    diesel::insert_into(reminder_days::table).values(row).on_conflict_do_nothing().execute(tx.conn)?;
    Ok(())
}
