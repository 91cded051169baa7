//! Invoice runs: executions of "issue everything due through this date", their progress and what came of each period.
//!
//! Whoever works on a run holds its [`RunLease`]: a lock of a database session. When a worker dies, its session dies,
//! and the run is free for another at once. The work goes through [`RunSession`]s: that of the lease, and others beside
//! it.

use crate::bulk::copy_rows;
use crate::changes::{self, Change};
use crate::db::{ActorRef, Db, Pooled, Scope, Tx, transaction};
use crate::error::{OrNotFound, Result, StoreError};
use crate::json::Json;
use crate::page::{COUNT_MAX, Cursor, Page, PageRequest, keyset};
use crate::schema::{invoice_run_results, invoice_runs, invoices, occurrences};
use crate::session_lock::{try_lock, unlock};
use crate::subscriptions::DueFilter;
use chrono::{DateTime, NaiveDate, Utc};
use diesel::dsl::{exists, sql};
use diesel::expression::SqlLiteral;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Integer};
use opiekun_domain::billing::CurrencyTotal;
use opiekun_domain::currency::Currency;
use opiekun_domain::decimal::{Amount, Overflow};
use opiekun_domain::ids::{
    ApiKeyId, CustomerId, InvoiceId, InvoiceRunId, InvoiceTemplateId, OperatorId, OrganizationId, SubscriptionId,
};
use opiekun_domain::invoice_run::{RunMode, RunStatus};
use opiekun_domain::occurrence::OccurrenceState;
use serde::Serialize;
use uuid::Uuid;

#[derive(Debug, Clone, Queryable, Selectable, Serialize)]
#[diesel(table_name = invoice_runs, check_for_backend(diesel::pg::Pg))]
pub struct InvoiceRun {
    pub id: InvoiceRunId,
    #[diesel(embed)]
    #[serde(flatten)]
    pub fields: InvoiceRunFields,
    #[diesel(embed)]
    #[serde(flatten)]
    pub progress: RunProgress,
    pub requested_by_kind: String,
    pub requested_by_id: Option<Uuid>,
    pub cancel_requested_at: Option<DateTime<Utc>>,
    /// The day that it is the automatic run of; `None` of one that somebody asked for.
    pub automatic_on: Option<NaiveDate>,
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// What is asked of a run.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, Serialize)]
#[diesel(table_name = invoice_runs, check_for_backend(diesel::pg::Pg))]
pub struct InvoiceRunFields {
    pub mode: RunMode,
    pub through_on: NaiveDate,
    /// The date on the invoices, fixed when the run is asked for, so that midnight changes nothing.
    pub issue_on: NaiveDate,
    pub subscription_ids: Option<Vec<SubscriptionId>>,
    pub template_ids: Option<Vec<InvoiceTemplateId>>,
    pub customer_ids: Option<Vec<CustomerId>>,
}

/// How far a run has come.
#[derive(Debug, Clone, Queryable, Selectable, AsChangeset, Serialize)]
#[diesel(table_name = invoice_runs, check_for_backend(diesel::pg::Pg), treat_none_as_null = true)]
pub struct RunProgress {
    pub status: RunStatus,
    /// Subscriptions taken up, of `total`.
    pub done: i32,
    pub total: i32,
    /// Periods that a preview would bill.
    pub planned: i32,
    pub invoiced: i32,
    pub skipped: i32,
    pub failed: i32,
    /// Of what was invoiced, or would be.
    pub totals: Json<Vec<CurrencyTotal>>,
    /// Why the run as a whole failed.
    pub problem: Option<String>,
    pub started_at: Option<DateTime<Utc>>,
    pub finished_at: Option<DateTime<Utc>>,
}

/// What a batch adds to the progress of its run.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Subscriptions taken up.
    pub done: i32,
    pub planned: i32,
    pub invoiced: i32,
    pub skipped: i32,
    pub failed: i32,
    pub totals: Vec<CurrencyTotal>,
}

impl RunProgress {
    /// As it is with what a batch has done; [`Overflow`] where the totals have no room for that.
    pub fn with(&self, tally: Tally) -> Result<Self, Overflow> {
        let Tally { done, planned, invoiced, skipped, failed, totals } = tally;
        let mut sums = self.totals.0.clone();
        totals.into_iter().try_for_each(|total| total.add_to(&mut sums))?;
        Ok(Self {
            done: self.done.saturating_add(done),
            planned: self.planned.saturating_add(planned),
            invoiced: self.invoiced.saturating_add(invoiced),
            skipped: self.skipped.saturating_add(skipped),
            failed: self.failed.saturating_add(failed),
            totals: Json(sums),
            ..self.clone()
        })
    }
}

impl InvoiceRun {
    /// The subscriptions that the run is about and has not taken up yet.
    pub fn due_filter(&self) -> DueFilter {
        DueFilter {
            through_on: self.fields.through_on,
            subscription_ids: self.fields.subscription_ids.clone(),
            template_ids: self.fields.template_ids.clone(),
            customer_ids: self.fields.customer_ids.clone(),
            run_id: self.id,
            mode: self.fields.mode,
        }
    }
}

#[derive(Insertable)]
#[diesel(table_name = invoice_runs)]
struct NewInvoiceRun {
    organization_id: OrganizationId,
    id: InvoiceRunId,
    #[diesel(embed)]
    fields: InvoiceRunFields,
    status: RunStatus,
    requested_by_kind: &'static str,
    requested_by_id: Option<Uuid>,
    automatic_on: Option<NaiveDate>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl NewInvoiceRun {
    /// On behalf of the scope's actor.
    fn new(tx: &Tx<'_>, fields: InvoiceRunFields, automatic_on: Option<NaiveDate>) -> Self {
        Self {
            organization_id: tx.scope.organization_id,
            id: InvoiceRunId::at(tx.now),
            fields,
            status: RunStatus::Queued,
            requested_by_kind: tx.scope.actor.kind(),
            requested_by_id: tx.scope.actor.id(),
            automatic_on,
            created_at: tx.now,
            updated_at: tx.now,
        }
    }
}

/// What came of one period in a run. Of one that a run has issued the invoice of, the invoice itself tells it; of any
/// other there is a row.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = invoice_run_results, check_for_backend(diesel::pg::Pg))]
pub struct RunResult {
    pub id: Uuid,
    pub run_id: InvoiceRunId,
    pub subscription_id: SubscriptionId,
    pub customer_id: CustomerId,
    pub period_start_on: NaiveDate,
    /// Exclusive.
    pub period_end_on: NaiveDate,
    pub scheduled_on: NaiveDate,
    pub outcome: OccurrenceState,
    pub problem: Option<String>,
    pub invoice_id: Option<InvoiceId>,
    /// With the sums, of what was invoiced or would be.
    pub currency: Option<Currency>,
    pub net: Option<Amount>,
    pub vat: Option<Amount>,
    pub gross: Option<Amount>,
}

/// What came of a period that a run has issued the invoice of.
#[derive(Queryable, Selectable)]
#[diesel(table_name = invoices, check_for_backend(diesel::pg::Pg))]
struct IssuedResult {
    id: InvoiceId,
    customer_id: CustomerId,
    #[diesel(embed)]
    occurrence: IssuedPeriod,
    currency: Currency,
    net: Amount,
    vat: Amount,
    gross: Amount,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = occurrences, check_for_backend(diesel::pg::Pg))]
struct IssuedPeriod {
    subscription_id: SubscriptionId,
    period_start_on: NaiveDate,
    period_end_on: NaiveDate,
    scheduled_on: NaiveDate,
}

impl IssuedResult {
    fn result(self, run_id: InvoiceRunId) -> RunResult {
        let IssuedPeriod { subscription_id, period_start_on, period_end_on, scheduled_on } = self.occurrence;
        RunResult {
            id: self.id.0,
            run_id,
            subscription_id,
            customer_id: self.customer_id,
            period_start_on,
            period_end_on,
            scheduled_on,
            outcome: OccurrenceState::Invoiced,
            problem: None,
            invoice_id: Some(self.id),
            currency: Some(self.currency),
            net: Some(self.net),
            vat: Some(self.vat),
            gross: Some(self.gross),
        }
    }
}

#[derive(Debug, Clone, Default)]
pub struct InvoiceRunFilter {
    pub status: Option<RunStatus>,
    pub mode: Option<RunMode>,
    pub through_from: Option<NaiveDate>,
    pub through_through: Option<NaiveDate>,
    pub automatic: Option<bool>,
}

/// The one order of results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RunResultSort {
    /// As they were worked off.
    #[default]
    Id,
}

#[derive(Debug, Clone, Default)]
pub struct RunResultFilter {
    pub outcome: Option<OccurrenceState>,
    pub subscription_id: Option<SubscriptionId>,
}

/// Queues a run on behalf of the scope's actor.
pub fn create(tx: &mut Tx<'_>, fields: InvoiceRunFields) -> Result<InvoiceRun> {
    let run: InvoiceRun = diesel::insert_into(invoice_runs::table)
        .values(NewInvoiceRun::new(tx, fields, None))
        .returning(InvoiceRun::as_returning())
        .get_result(tx.conn)?;
    record(tx, "created", None, &run)?;
    Ok(run)
}

/// Queues the automatic run of a day, on behalf of Opiekun itself; `None` where there is one, whoever was first.
pub fn create_automatic(tx: &mut Tx<'_>, day: NaiveDate) -> Result<Option<InvoiceRun>> {
    let fields = InvoiceRunFields {
        mode: RunMode::Issue,
        through_on: day,
        issue_on: day,
        subscription_ids: None,
        template_ids: None,
        customer_ids: None,
    };
    let run: Option<InvoiceRun> = diesel::insert_into(invoice_runs::table)
        .values(NewInvoiceRun::new(tx, fields, Some(day)))
        .on_conflict((invoice_runs::organization_id, invoice_runs::automatic_on))
        .filter_target(invoice_runs::automatic_on.is_not_null())
        .do_nothing()
        .returning(InvoiceRun::as_returning())
        .get_result(tx.conn)
        .optional()?;
    if let Some(run) = &run {
        record(tx, "created", None, run)?;
    }
    Ok(run)
}

pub fn find(tx: &mut Tx<'_>, id: InvoiceRunId) -> Result<InvoiceRun> {
    invoice_runs::table
        .find((tx.organization_id(), id))
        .select(InvoiceRun::as_select())
        .first(tx.conn)
        .optional()
        .or_not_found("invoice_run")
}

/// Locks the row.
pub fn lock(tx: &mut Tx<'_>, id: InvoiceRunId) -> Result<InvoiceRun> {
    invoice_runs::table
        .find((tx.organization_id(), id))
        .select(InvoiceRun::as_select())
        .for_no_key_update()
        .first(tx.conn)
        .optional()
        .or_not_found("invoice_run")
}

/// Asks a locked, unfinished run to stop: one that nobody has begun is cancelled at once, any other after the batch
/// it is at.
pub fn cancel(tx: &mut Tx<'_>, run: &InvoiceRun) -> Result<InvoiceRun> {
    let queued = run.progress.status == RunStatus::Queued;
    let status = if queued { RunStatus::Cancelled } else { run.progress.status };
    let finished_at = if queued { Some(tx.now) } else { run.progress.finished_at };
    let after = diesel::update(invoice_runs::table.find((tx.organization_id(), run.id)))
        .set((
            invoice_runs::cancel_requested_at.eq(run.cancel_requested_at.unwrap_or(tx.now)),
            invoice_runs::status.eq(status),
            invoice_runs::finished_at.eq(finished_at),
            invoice_runs::version.eq(invoice_runs::version + 1),
            invoice_runs::updated_at.eq(tx.now),
        ))
        .returning(InvoiceRun::as_returning())
        .get_result(tx.conn)?;
    let action = if queued { RunStatus::Cancelled.as_str() } else { "cancellation_requested" };
    record(tx, action, Some(run), &after)?;
    Ok(after)
}

/// Writes how far a run has come, on behalf of whoever holds its lease. A change of its status is told in the audit
/// log and the events.
pub fn set_progress(tx: &mut Tx<'_>, run: &InvoiceRun, progress: RunProgress) -> Result<InvoiceRun> {
    let after: InvoiceRun = diesel::update(invoice_runs::table.find((tx.organization_id(), run.id)))
        .set((progress, invoice_runs::version.eq(invoice_runs::version + 1), invoice_runs::updated_at.eq(tx.now)))
        .returning(InvoiceRun::as_returning())
        .get_result(tx.conn)?;
    if after.progress.status != run.progress.status {
        record(tx, after.progress.status.as_str(), Some(run), &after)?;
    }
    Ok(after)
}

/// Writes down what came of periods, but for those whose invoice is issued.
pub fn add_results(tx: &mut Tx<'_>, results: Vec<RunResult>) -> Result<()> {
    let organization_id = tx.organization_id();
    copy_rows!(tx.conn, invoice_run_results, results, |row| {
        organization_id: OrganizationId = organization_id,
        id: Uuid = row.id,
        run_id: InvoiceRunId = row.run_id,
        subscription_id: SubscriptionId = row.subscription_id,
        customer_id: CustomerId = row.customer_id,
        period_start_on: NaiveDate = row.period_start_on,
        period_end_on: NaiveDate = row.period_end_on,
        scheduled_on: NaiveDate = row.scheduled_on,
        outcome: OccurrenceState = row.outcome,
        problem: Option<String> = row.problem,
        invoice_id: Option<InvoiceId> = row.invoice_id,
        currency: Option<Currency> = row.currency,
        net: Option<Amount> = row.net,
        vat: Option<Amount> = row.vat,
        gross: Option<Amount> = row.gross,
    })?;
    Ok(())
}

pub fn list(tx: &mut Tx<'_>, filter: &InvoiceRunFilter, page: &PageRequest<()>) -> Result<Page<InvoiceRun>> {
    let organization_id = tx.organization_id();
    let filtered = || {
        let mut query = invoice_runs::table.filter(invoice_runs::organization_id.eq(organization_id)).into_boxed();
        if let Some(status) = filter.status {
            query = query.filter(invoice_runs::status.eq(status));
        }
        if let Some(mode) = filter.mode {
            query = query.filter(invoice_runs::mode.eq(mode));
        }
        if let Some(from) = filter.through_from {
            query = query.filter(invoice_runs::through_on.ge(from));
        }
        if let Some(through) = filter.through_through {
            query = query.filter(invoice_runs::through_on.le(through));
        }
        match filter.automatic {
            None => {}
            Some(true) => query = query.filter(invoice_runs::automatic_on.is_not_null()),
            Some(false) => query = query.filter(invoice_runs::automatic_on.is_null()),
        }
        query
    };
    let total = page.total(|cap| filtered().select(sql::<Integer>("1")).limit(cap).load(tx.conn))?;
    let rows = keyset!(filtered(), page, invoice_runs::id).select(InvoiceRun::as_select()).load(tx.conn)?;
    Ok(Page::cut(rows, page, total, |run| Cursor::new((), run.id)))
}

/// What came of each period of a run, in the order of working.
pub fn list_results(
    tx: &mut Tx<'_>,
    run: &InvoiceRun,
    filter: &RunResultFilter,
    page: &PageRequest<RunResultSort>,
) -> Result<Page<RunResult>> {
    let mut list = noted_results(tx, run, filter, page)?;
    if run.fields.mode == RunMode::Issue && filter.outcome.is_none_or(|outcome| outcome == OccurrenceState::Invoiced) {
        let issued = issued_results(tx, run, filter, page)?;
        list.total = list.total.zip(issued.total).map(|(noted, issued)| (noted + issued).min(COUNT_MAX));
        list.rows.extend(issued.rows);
        list.rows.sort_by_key(|result| result.id);
        if page.descending {
            list.rows.reverse();
        }
    }
    Ok(Page::cut(list.rows, page, list.total, |result| Cursor::new((), result.id)))
}

/// The first results of a page from one source, and how many that source has of all.
struct Found {
    rows: Vec<RunResult>,
    total: Option<i64>,
}

/// The results that rows of their own tell.
fn noted_results(
    tx: &mut Tx<'_>,
    run: &InvoiceRun,
    filter: &RunResultFilter,
    page: &PageRequest<RunResultSort>,
) -> Result<Found> {
    let organization_id = tx.organization_id();
    let filtered = || {
        let mut query = invoice_run_results::table
            .filter(invoice_run_results::organization_id.eq(organization_id))
            .filter(invoice_run_results::run_id.eq(run.id))
            .into_boxed();
        if let Some(outcome) = filter.outcome {
            query = query.filter(invoice_run_results::outcome.eq(outcome));
        }
        if let Some(subscription_id) = filter.subscription_id {
            query = query.filter(invoice_run_results::subscription_id.eq(subscription_id));
        }
        query
    };
    let total = page.total(|cap| filtered().select(sql::<Integer>("1")).limit(cap).load(tx.conn))?;
    let rows = keyset!(filtered(), page, invoice_run_results::id).select(RunResult::as_select()).load(tx.conn)?;
    Ok(Found { rows, total })
}

/// The results that the invoices tell which a run has issued.
fn issued_results(
    tx: &mut Tx<'_>,
    run: &InvoiceRun,
    filter: &RunResultFilter,
    page: &PageRequest<RunResultSort>,
) -> Result<Found> {
    let organization_id = tx.organization_id();
    let filtered = || {
        let of_invoice = occurrences::organization_id
            .eq(invoices::organization_id)
            .and(occurrences::invoice_id.eq(invoices::id.nullable()));
        let mut query = invoices::table
            .inner_join(occurrences::table.on(of_invoice))
            .filter(invoices::organization_id.eq(organization_id))
            .filter(invoices::run_id.eq(run.id))
            .into_boxed();
        if let Some(subscription_id) = filter.subscription_id {
            query = query.filter(invoices::subscription_id.eq(subscription_id));
        }
        query
    };
    let total = page.total(|cap| filtered().select(sql::<Integer>("1")).limit(cap).load(tx.conn))?;
    let rows = keyset!(filtered(), page, invoices::id).select(IssuedResult::as_select()).load(tx.conn)?;
    Ok(Found { rows: rows.into_iter().map(|issued| issued.result(run.id)).collect(), total })
}

/// The sole right to work on a run, for as long as the value, or its session, lives.
pub struct RunLease {
    session: RunSession,
    run_id: InvoiceRunId,
}

/// A connection to work on a run through, on behalf of whoever asked for it.
pub struct RunSession {
    conn: Pooled,
    scope: Scope,
}

impl RunSession {
    /// One transaction.
    pub fn transaction<T, E: From<StoreError>>(
        &mut self,
        now: DateTime<Utc>,
        work: impl FnOnce(&mut Tx<'_>) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        transaction(&mut self.conn, self.scope, now, work)
    }
}

impl RunLease {
    /// Takes up the oldest unfinished run of any organization that nobody works on.
    pub fn any(db: &Db) -> Result<Option<Self>> {
        /// More runs than any number of nodes works on at a time.
        const CANDIDATES: i64 = 100;
        let mut conn = db.connection()?;
        let waiting: Vec<Candidate> = unfinished()
            .order((invoice_runs::created_at, invoice_runs::id))
            .limit(CANDIDATES)
            .select(Candidate::as_select())
            .load(&mut *conn)?;
        for candidate in waiting {
            if try_lock(&mut conn, &lock_name(candidate.id))? {
                return Self::unless_finished(conn, &candidate);
            }
        }
        Ok(None)
    }

    /// Takes up one run; `None` when it is finished or somebody works on it.
    pub fn of(db: &Db, organization_id: OrganizationId, run_id: InvoiceRunId) -> Result<Option<Self>> {
        let mut conn = db.connection()?;
        let candidate: Option<Candidate> = unfinished()
            .filter(invoice_runs::organization_id.eq(organization_id))
            .filter(invoice_runs::id.eq(run_id))
            .select(Candidate::as_select())
            .first(&mut *conn)
            .optional()?;
        match candidate {
            Some(candidate) if try_lock(&mut conn, &lock_name(run_id))? => Self::unless_finished(conn, &candidate),
            _ => Ok(None),
        }
    }

    pub const fn run_id(&self) -> InvoiceRunId {
        self.run_id
    }

    /// The session that holds the lease.
    pub const fn session(&mut self) -> &mut RunSession {
        &mut self.session
    }

    /// Another session to work on the run beside that of the lease.
    pub fn beside(&self, db: &Db) -> Result<RunSession> {
        Ok(RunSession { conn: db.connection()?, scope: self.session.scope })
    }

    /// The run may have ended between being read and being locked.
    fn unless_finished(conn: Pooled, candidate: &Candidate) -> Result<Option<Self>> {
        #[expect(
            clippy::disallowed_methods,
            reason = "whoever asked for the run had the permission when it was queued"
        )]
        let scope = Scope::new(candidate.organization_id, candidate.requested_by(), None);
        let mut lease = Self { session: RunSession { conn, scope }, run_id: candidate.id };
        let is_open = unfinished()
            .filter(invoice_runs::organization_id.eq(candidate.organization_id))
            .filter(invoice_runs::id.eq(candidate.id));
        let is_open: bool = diesel::select(exists(is_open)).get_result(&mut *lease.session.conn)?;
        Ok(is_open.then_some(lease))
    }
}

impl Drop for RunLease {
    fn drop(&mut self) {
        // The session goes back to the pool and lives on. Should it be broken, its lock is gone with it.
        let _ = unlock(&mut self.session.conn, &lock_name(self.run_id));
    }
}

#[derive(Clone, Queryable, Selectable)]
#[diesel(table_name = invoice_runs, check_for_backend(diesel::pg::Pg))]
struct Candidate {
    organization_id: OrganizationId,
    id: InvoiceRunId,
    requested_by_kind: String,
    requested_by_id: Option<Uuid>,
}

impl Candidate {
    fn requested_by(&self) -> ActorRef {
        match (self.requested_by_kind.as_str(), self.requested_by_id) {
            ("operator", Some(id)) => ActorRef::Operator(OperatorId(id)),
            ("api_key", Some(id)) => ActorRef::ApiKey(ApiKeyId(id)),
            _ => ActorRef::System,
        }
    }
}

/// Spelt as the partial index `invoice_runs_unfinished_idx` is.
fn unfinished() -> diesel::dsl::Filter<invoice_runs::table, SqlLiteral<Bool>> {
    invoice_runs::table.filter(sql::<Bool>("invoice_runs.status in ('queued', 'running')"))
}

fn lock_name(run_id: InvoiceRunId) -> String {
    format!("invoice_run:{run_id}")
}

fn record(tx: &mut Tx<'_>, action: &'static str, before: Option<&InvoiceRun>, after: &InvoiceRun) -> Result<()> {
    changes::record(tx, Change::new("invoice_run", action, (after.id, after.version), before, Some(after)))
}
