//! The annex of an invoice: the time that a line of it bills. Its entries are marked by the invoice for as long as it
//! bills them, so that time is billed once.

use crate::changes::{self, Change};
use crate::db::Tx;
use crate::error::{Result, StoreError, Violation};
use crate::page::{Cursor, Page, PageRequest, keyset};
use crate::schema::invoice_time_entries;
use chrono::{DateTime, NaiveDate, Utc};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Date, Integer, Nullable, Numeric, Text, Timestamptz, Uuid as SqlUuid};
use opiekun_domain::billable_time::{BillableTime, ENTRIES_MAX, TimeEntryKind};
use opiekun_domain::currency::Currency;
use opiekun_domain::decimal::{Amount, HourlyRate};
use opiekun_domain::ids::{CustomerId, InvoiceId, InvoiceRunId, OperatorId};
use serde_json::json;
use uuid::Uuid;

/// An entry as it was when it was billed. The entry itself may have changed since, or be gone.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = invoice_time_entries, check_for_backend(diesel::pg::Pg))]
pub struct InvoiceTimeEntry {
    /// From 1, in the order of time.
    pub position: i32,
    /// Of the line that bills it.
    pub line_key: String,
    pub kind: TimeEntryKind,
    /// Of the interaction or the work entry.
    pub entry_id: Uuid,
    pub started_at: DateTime<Utc>,
    /// The day on the organization's calendar.
    pub started_on: NaiveDate,
    pub operator_id: OperatorId,
    pub operator_name: String,
    /// The subject of an interaction, the note of a work entry.
    pub text: Option<String>,
    pub duration_minutes: i32,
    pub billed_minutes: i32,
    pub resolved_rate: HourlyRate,
    pub cost: Amount,
}

/// The one order of an annex.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum InvoiceTimeEntrySort {
    #[default]
    Position,
}

/// A time of a customer, the end exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeSpan {
    pub customer_id: CustomerId,
    pub from_at: DateTime<Utc>,
    pub before_at: DateTime<Utc>,
}

impl TimeSpan {
    /// Whether an invoice of this time bills an entry of the customer: it began in it, or before and was given back since.
    pub fn bills(&self, entry: &UnbilledEntry) -> bool {
        entry.started_at < self.before_at && (entry.started_at >= self.from_at || entry.is_given_back)
    }
}

/// Billable time that no invoice bills.
#[derive(Debug, Clone, Copy, PartialEq, Eq, QueryableByName)]
pub struct UnbilledEntry {
    #[diesel(sql_type = SqlUuid)]
    pub customer_id: CustomerId,
    #[diesel(sql_type = Text)]
    pub kind: TimeEntryKind,
    #[diesel(sql_type = SqlUuid)]
    pub id: Uuid,
    #[diesel(sql_type = Timestamptz)]
    pub started_at: DateTime<Utc>,
    #[diesel(sql_type = Nullable<Numeric>)]
    pub cost: Option<Amount>,
    #[diesel(sql_type = Text)]
    pub currency: Currency,
    /// Whether an invoice billed it once.
    #[diesel(sql_type = Bool)]
    pub is_given_back: bool,
}

impl UnbilledEntry {
    /// What of it counts for the invoice.
    pub const fn billable(&self) -> BillableTime {
        BillableTime { cost: self.cost, currency: self.currency }
    }
}

/// What becomes of the entries that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeLock {
    /// They are only read.
    None,
    /// They are locked, so that nobody bills or changes them meanwhile.
    Wait,
}

/// An entry to be billed by an invoice that is written in the same transaction.
#[derive(Debug, Clone)]
pub struct NewTimeEntry {
    pub invoice_id: InvoiceId,
    pub position: i32,
    pub line_key: String,
    pub kind: TimeEntryKind,
    pub id: Uuid,
    pub started_on: NaiveDate,
}

/// An entry whose mark has changed.
#[derive(QueryableByName)]
struct Marked {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = Integer)]
    version: i32,
    #[diesel(sql_type = SqlUuid)]
    invoice_id: InvoiceId,
}

/// Days of a customer, the end exclusive.
#[derive(QueryableByName)]
struct PlannedDays {
    #[diesel(sql_type = SqlUuid)]
    customer_id: CustomerId,
    #[diesel(sql_type = Date)]
    period_start_on: NaiveDate,
    #[diesel(sql_type = Date)]
    period_end_on: NaiveDate,
}

/// The billable time of customers that no invoice bills, in the order of time: what began in each span and what was given
/// back of the time before it, each as much as an invoice may bill and one entry more. All of it in one statement.
pub fn unbilled(tx: &mut Tx<'_>, mut spans: Vec<TimeSpan>, lock: TimeLock) -> Result<Vec<UnbilledEntry>> {
    if spans.is_empty() {
        return Ok(Vec::new());
    }
    spans.sort_unstable();
    spans.dedup();
    // Locked in the order of ids, as others lock them who take several.
    let lock = match lock {
        TimeLock::None => "",
        TimeLock::Wait => "for no key update",
    };
    let of = |kind: TimeEntryKind, days: &str| {
        let table = table(kind);
        let is_held = match kind {
            TimeEntryKind::Interaction => "and t.status = 'held'",
            TimeEntryKind::WorkEntry => "",
        };
        format!(
            "select s.customer_id, '{kind}' as kind, e.id, e.started_at, e.cost, e.currency, e.is_given_back
             from unnest($2, $3, $4) as s (customer_id, from_at, before_at)
             cross join lateral (
                 select id, started_at, cost, currency, is_given_back from {table} t
                 where t.organization_id = $1 and t.customer_id = s.customer_id and {days}
                     and t.invoice_id is null and t.billable {is_held} and t.billed_minutes > 0
                 order by t.id limit $5 {lock}
             ) e"
        )
    };
    let (given_back, of_span) =
        ("t.is_given_back and t.started_at < s.from_at", "t.started_at >= s.from_at and t.started_at < s.before_at");
    let statement = [
        of(TimeEntryKind::Interaction, given_back),
        of(TimeEntryKind::WorkEntry, given_back),
        of(TimeEntryKind::Interaction, of_span),
        of(TimeEntryKind::WorkEntry, of_span),
    ]
    .join(" union all ");
    let mut entries: Vec<UnbilledEntry> = diesel::sql_query(statement)
        .bind::<SqlUuid, _>(tx.organization_id())
        .bind::<Array<SqlUuid>, _>(spans.iter().map(|span| span.customer_id).collect::<Vec<_>>())
        .bind::<Array<Timestamptz>, _>(spans.iter().map(|span| span.from_at).collect::<Vec<_>>())
        .bind::<Array<Timestamptz>, _>(spans.iter().map(|span| span.before_at).collect::<Vec<_>>())
        .bind::<BigInt, _>(i64::try_from(ENTRIES_MAX + 1).unwrap_or(i64::MAX))
        .load(tx.conn)?;
    entries.sort_unstable_by_key(|entry| (entry.customer_id, entry.started_at, entry.kind, entry.id));
    // Spans may overlap.
    entries.dedup();
    Ok(entries)
}

/// The days of customers whose time a preview has planned to bill already, the ends exclusive.
pub fn planned_days(
    tx: &mut Tx<'_>,
    run_id: InvoiceRunId,
    customer_ids: &[CustomerId],
) -> Result<Vec<(CustomerId, NaiveDate, NaiveDate)>> {
    let sql = "select s.customer_id, r.period_start_on, r.period_end_on
        from subscriptions s
        join invoice_templates t on t.organization_id = s.organization_id and t.id = s.template_id
            and t.lines @> '[{\"kind\": \"time\"}]'
        join invoice_run_results r on r.organization_id = s.organization_id and r.run_id = $2 and r.subscription_id = s.id
        where s.organization_id = $1 and s.customer_id = any ($3) and r.outcome = 'planned'";
    let days: Vec<PlannedDays> = diesel::sql_query(sql)
        .bind::<SqlUuid, _>(tx.organization_id())
        .bind::<SqlUuid, _>(run_id)
        .bind::<Array<SqlUuid>, _>(customer_ids)
        .load(tx.conn)?;
    Ok(days.into_iter().map(|it| (it.customer_id, it.period_start_on, it.period_end_on)).collect())
}

/// Marks entries by the invoices that bill them, and lists them in their annexes as they are: one statement for
/// interactions and one for work entries, however many. Each has to be free, as [`unbilled`] has locked it.
pub fn bill(tx: &mut Tx<'_>, entries: Vec<NewTimeEntry>) -> Result<()> {
    let (interactions, work): (Vec<_>, Vec<_>) =
        entries.into_iter().partition(|entry| entry.kind == TimeEntryKind::Interaction);
    bill_kind(tx, TimeEntryKind::Interaction, &interactions)?;
    bill_kind(tx, TimeEntryKind::WorkEntry, &work)
}

fn bill_kind(tx: &mut Tx<'_>, kind: TimeEntryKind, entries: &[NewTimeEntry]) -> Result<()> {
    fn column<T>(entries: &[NewTimeEntry], of: impl Fn(&NewTimeEntry) -> T) -> Vec<T> {
        entries.iter().map(of).collect()
    }
    if entries.is_empty() {
        return Ok(());
    }
    let (table, text) = (table(kind), text(kind));
    let statement = format!(
        "with marked as (
             update {table} e set invoice_id = b.invoice_id, is_given_back = false, version = e.version + 1,
                 updated_at = $2
             from unnest($3, $4, $5, $6, $7) as b (id, invoice_id, position, line_key, started_on)
             where e.organization_id = $1 and e.id = b.id
             returning e.id, e.version, e.invoice_id, b.position, b.line_key, e.started_at, b.started_on, e.operator_id,
                 e.{text} as text, e.duration_minutes, e.billed_minutes, e.resolved_rate, e.cost
         ), listed as (
             insert into invoice_time_entries (organization_id, invoice_id, position, line_key, kind, entry_id, started_at,
                 started_on, operator_id, operator_name, text, duration_minutes, billed_minutes, resolved_rate, cost)
             select $1, m.invoice_id, m.position, m.line_key, $8, m.id, m.started_at,
                 m.started_on, m.operator_id, o.full_name, m.text, m.duration_minutes, m.billed_minutes, m.resolved_rate, m.cost
             from marked m join operators o on o.organization_id = $1 and o.id = m.operator_id
         )
         select id, version, invoice_id from marked"
    );
    let marked: Vec<Marked> = diesel::sql_query(statement)
        .bind::<SqlUuid, _>(tx.organization_id())
        .bind::<Timestamptz, _>(tx.now)
        .bind::<Array<SqlUuid>, _>(column(entries, |entry| entry.id))
        .bind::<Array<SqlUuid>, _>(column(entries, |entry| entry.invoice_id))
        .bind::<Array<Integer>, _>(column(entries, |entry| entry.position))
        .bind::<Array<Text>, _>(column(entries, |entry| entry.line_key.clone()))
        .bind::<Array<Date>, _>(column(entries, |entry| entry.started_on))
        .bind::<Text, _>(kind)
        .load(tx.conn)?;
    if marked.len() != entries.len() {
        let constraint = "invoiced_time_refusal".to_owned();
        return Err(StoreError::Refused { violation: Violation::Restrict, constraint, field: None });
    }
    let told = marked.iter().map(|entry| change(kind, "invoiced", entry, (None, Some(entry.invoice_id))));
    changes::record_all(tx, told.collect())
}

/// The key of the line that bills time, of an invoice that has one.
pub fn line_key(tx: &mut Tx<'_>, invoice_id: InvoiceId) -> Result<Option<String>> {
    Ok(invoice_time_entries::table
        .filter(invoice_time_entries::organization_id.eq(tx.organization_id()))
        .filter(invoice_time_entries::invoice_id.eq(invoice_id))
        .order(invoice_time_entries::position)
        .select(invoice_time_entries::line_key)
        .first(tx.conn)
        .optional()?)
}

/// Gives the entries of an invoice back that no longer bills them: they can be changed, and the next invoice that bills
/// time of the customer bills them anew, whatever their day. Its annex stays.
pub fn give_back(tx: &mut Tx<'_>, invoice_id: InvoiceId) -> Result<()> {
    for kind in TimeEntryKind::ALL {
        let table = table(*kind);
        let statement = format!(
            "update {table} e set invoice_id = null, is_given_back = true, version = e.version + 1, updated_at = $3
             from (
                 select e.id from invoice_time_entries a
                 join {table} e on e.organization_id = a.organization_id and e.id = a.entry_id and e.invoice_id = a.invoice_id
                 where a.organization_id = $1 and a.invoice_id = $2 and a.kind = $4
                 order by e.id for no key update of e
             ) given
             where e.organization_id = $1 and e.id = given.id
             returning e.id, e.version, $2 as invoice_id"
        );
        let marked: Vec<Marked> = diesel::sql_query(statement)
            .bind::<SqlUuid, _>(tx.organization_id())
            .bind::<SqlUuid, _>(invoice_id)
            .bind::<Timestamptz, _>(tx.now)
            .bind::<Text, _>(*kind)
            .load(tx.conn)?;
        let told = marked.iter().map(|entry| change(*kind, "given_back", entry, (Some(invoice_id), None)));
        changes::record_all(tx, told.collect())?;
    }
    Ok(())
}

/// Takes the annex off a locked draft.
pub fn remove(tx: &mut Tx<'_>, draft_id: InvoiceId) -> Result<()> {
    let of_draft = invoice_time_entries::table
        .filter(invoice_time_entries::organization_id.eq(tx.organization_id()))
        .filter(invoice_time_entries::invoice_id.eq(draft_id));
    diesel::delete(of_draft).execute(tx.conn)?;
    Ok(())
}

pub fn list(
    tx: &mut Tx<'_>,
    invoice_id: InvoiceId,
    page: &PageRequest<InvoiceTimeEntrySort>,
) -> Result<Page<InvoiceTimeEntry>> {
    let organization_id = tx.organization_id();
    let filtered = || {
        invoice_time_entries::table
            .filter(invoice_time_entries::organization_id.eq(organization_id))
            .filter(invoice_time_entries::invoice_id.eq(invoice_id))
            .into_boxed()
    };
    let total = page.total(|cap| filtered().select(sql::<Integer>("1")).limit(cap).load(tx.conn))?;
    let InvoiceTimeEntrySort::Position = page.sort;
    let query = keyset!(filtered(), page, invoice_time_entries::position => i32, invoice_time_entries::entry_id);
    let rows = query.select(InvoiceTimeEntry::as_select()).load(tx.conn)?;
    Ok(Page::cut(rows, page, total, |entry| Cursor::new(entry.position, entry.entry_id)))
}

/// The whole annex of an invoice, in its order.
pub fn all(tx: &mut Tx<'_>, invoice_id: InvoiceId) -> Result<Vec<InvoiceTimeEntry>> {
    Ok(invoice_time_entries::table
        .filter(invoice_time_entries::organization_id.eq(tx.organization_id()))
        .filter(invoice_time_entries::invoice_id.eq(invoice_id))
        .order(invoice_time_entries::position)
        .select(InvoiceTimeEntry::as_select())
        .load(tx.conn)?)
}

const fn table(kind: TimeEntryKind) -> &'static str {
    match kind {
        TimeEntryKind::Interaction => "interactions",
        TimeEntryKind::WorkEntry => "work_entries",
    }
}

/// The column that tells what the time was spent on.
const fn text(kind: TimeEntryKind) -> &'static str {
    match kind {
        TimeEntryKind::Interaction => "subject",
        TimeEntryKind::WorkEntry => "note",
    }
}

/// Only what has changed is told: an invoice may bill thousands of entries.
fn change(
    kind: TimeEntryKind,
    action: &'static str,
    entry: &Marked,
    (before, after): (Option<InvoiceId>, Option<InvoiceId>),
) -> Change {
    let before = json!({ "invoice_id": before, "version": entry.version - 1 });
    let after = json!({ "invoice_id": after, "version": entry.version });
    Change::new(kind.as_str(), action, (entry.id, entry.version), Some(&before), Some(&after))
}
