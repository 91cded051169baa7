//! Work entries: the time that somebody spent on a task, and what that time costs.

use crate::changes::{self, Change};
use crate::db::Tx;
use crate::error::{OrNotFound, Result, StoreError};
use crate::month_locks;
use crate::page::{Cursor, Page, PageRequest, keyset};
use crate::pricing::{self, Price, Priced};
use crate::schema::{tasks, work_entries};
use crate::stage_changes;
use chrono::{DateTime, Utc};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{Array, Integer, Nullable, Numeric, Text, Timestamptz, Uuid};
use opiekun_domain::cost::RateSource;
use opiekun_domain::currency::Currency;
use opiekun_domain::decimal::{Amount, HourlyRate};
use opiekun_domain::ids::{
    CustomerId, InvoiceId, OperatorId, OpportunityId, OrganizationId, StageId, TaskId, ThreadId, WorkEntryId,
};
use serde::Serialize;

#[derive(Debug, Clone, Queryable, Selectable, Serialize)]
#[diesel(table_name = work_entries, check_for_backend(diesel::pg::Pg))]
pub struct WorkEntry {
    pub id: WorkEntryId,
    /// The operator who wrote it down; nobody where a script did.
    pub registered_by_id: Option<OperatorId>,
    #[diesel(embed)]
    #[serde(flatten)]
    pub fields: WorkEntryFields,
    #[diesel(embed)]
    #[serde(flatten)]
    pub ties: WorkEntryTies,
    #[diesel(embed)]
    #[serde(flatten)]
    pub pricing: WorkEntryPricing,
    /// The invoice that bills its time.
    pub invoice_id: Option<InvoiceId>,
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl WorkEntry {
    /// Whose work it is: who may change it, with those above them.
    pub fn holders(&self) -> Vec<OperatorId> {
        self.registered_by_id.into_iter().chain([self.fields.operator_id]).collect()
    }
}

/// What a caller may write.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset, Serialize)]
#[diesel(table_name = work_entries, check_for_backend(diesel::pg::Pg), treat_none_as_null = true)]
pub struct WorkEntryFields {
    pub task_id: TaskId,
    /// Who worked.
    pub operator_id: OperatorId,
    pub started_at: DateTime<Utc>,
    pub duration_minutes: i32,
    pub note: Option<String>,
    pub billable: bool,
    /// A rate of its own, before those of the customer, the operator and the organization.
    pub hourly_rate: Option<HourlyRate>,
}

/// Whom and what the time was for: the task's, and changing with it.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset, Serialize)]
#[diesel(table_name = work_entries, check_for_backend(diesel::pg::Pg), treat_none_as_null = true)]
pub struct WorkEntryTies {
    pub customer_id: Option<CustomerId>,
    pub thread_id: Option<ThreadId>,
    pub opportunity_id: Option<OpportunityId>,
    /// Where the opportunity stood when the work began.
    pub stage_id: Option<StageId>,
}

/// What the entry's time costs, as it stood when the entry was written: rates that change later leave it as it is.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset, Serialize)]
#[diesel(table_name = work_entries, check_for_backend(diesel::pg::Pg), treat_none_as_null = true)]
pub struct WorkEntryPricing {
    /// The minutes, rounded up by the customer's rule, else the organization's.
    pub billed_minutes: i32,
    pub resolved_rate: Option<HourlyRate>,
    pub rate_source: Option<RateSource>,
    /// Billed minutes × rate ÷ 60; nothing while there is no rate.
    pub cost: Option<Amount>,
    /// The organization's when the entry was priced.
    pub currency: Currency,
}

impl From<Price> for WorkEntryPricing {
    fn from(price: Price) -> Self {
        let Price { billed_minutes, resolved_rate, rate_source, cost, currency } = price;
        Self { billed_minutes, resolved_rate, rate_source, cost, currency }
    }
}

#[derive(Insertable)]
#[diesel(table_name = work_entries)]
struct NewWorkEntry {
    organization_id: OrganizationId,
    id: WorkEntryId,
    registered_by_id: Option<OperatorId>,
    #[diesel(embed)]
    fields: WorkEntryFields,
    #[diesel(embed)]
    ties: WorkEntryTies,
    #[diesel(embed)]
    pricing: WorkEntryPricing,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WorkEntrySort {
    #[default]
    StartedAt,
    /// The order of the ids, which count up with time.
    CreatedAt,
}

/// All that is given must hold.
#[derive(Debug, Clone, Default)]
pub struct WorkEntryFilter {
    pub task_id: Option<TaskId>,
    pub customer_id: Option<CustomerId>,
    pub thread_id: Option<ThreadId>,
    pub opportunity_id: Option<OpportunityId>,
    pub operator_id: Option<OperatorId>,
    pub billable: Option<bool>,
    pub invoiced: Option<bool>,
    pub started_from: Option<DateTime<Utc>>,
    pub started_before: Option<DateTime<Utc>>,
}

/// Writes down work: whoever the scope names has registered it.
pub fn create(tx: &mut Tx<'_>, fields: WorkEntryFields) -> Result<WorkEntry> {
    month_locks::hold(tx)?;
    let ties = ties_of_task(tx, &fields)?;
    let row = NewWorkEntry {
        organization_id: tx.organization_id(),
        id: WorkEntryId::at(tx.now),
        registered_by_id: tx.scope.actor.operator_id(),
        pricing: pricing::price(tx, &priced(&fields, &ties))?.into(),
        fields,
        ties,
        created_at: tx.now,
        updated_at: tx.now,
    };
    let entry: WorkEntry = diesel::insert_into(work_entries::table)
        .values(row)
        .returning(WorkEntry::as_returning())
        .get_result(tx.conn)?;
    changes::record(tx, change("created", None, Some(&entry)))?;
    Ok(entry)
}

pub fn find(tx: &mut Tx<'_>, id: WorkEntryId) -> Result<WorkEntry> {
    work_entries::table
        .find((tx.organization_id(), id))
        .select(WorkEntry::as_select())
        .first(tx.conn)
        .optional()
        .or_not_found("work_entry")
}

/// Those of `ids` that exist, in no order.
pub fn find_all(tx: &mut Tx<'_>, ids: &[WorkEntryId]) -> Result<Vec<WorkEntry>> {
    Ok(work_entries::table
        .filter(work_entries::organization_id.eq(tx.organization_id()))
        .filter(work_entries::id.eq_any(ids))
        .select(WorkEntry::as_select())
        .load(tx.conn)?)
}

/// Locks the row, and before it the task that it is to move to; [`StoreError::Stale`] when somebody has changed it
/// since `seen`.
///
/// In that order, since whoever changes a task holds its row before those of its entries.
pub fn lock(tx: &mut Tx<'_>, id: WorkEntryId, seen: Option<i32>, moves_to: Option<TaskId>) -> Result<WorkEntry> {
    month_locks::hold(tx)?;
    if let Some(task_id) = moves_to {
        let task = tasks::table.find((tx.organization_id(), task_id)).select(tasks::id);
        task.for_share().first::<TaskId>(tx.conn).optional()?;
    }
    let entry = work_entries::table
        .find((tx.organization_id(), id))
        .select(WorkEntry::as_select())
        .for_update()
        .first(tx.conn)
        .optional()
        .or_not_found("work_entry")?;
    StoreError::unless_current(entry.version, seen)?;
    Ok(entry)
}

/// Writes to a row that [`lock`] has returned, and counts its version up. It is priced anew when something changes
/// that its price depends on, or when it had none.
pub fn update(tx: &mut Tx<'_>, entry: &WorkEntry, fields: WorkEntryFields) -> Result<WorkEntry> {
    let ties = if fields.task_id != entry.fields.task_id {
        ties_of_task(tx, &fields)?
    } else if fields.started_at != entry.fields.started_at {
        let WorkEntryTies { customer_id, thread_id, opportunity_id, .. } = entry.ties;
        let stage_id = stage(tx, opportunity_id, fields.started_at)?;
        WorkEntryTies { customer_id, thread_id, opportunity_id, stage_id }
    } else {
        entry.ties.clone()
    };
    let (before, after) = (priced(&entry.fields, &entry.ties), priced(&fields, &ties));
    let is_kept = before == after
        && (entry.pricing.resolved_rate.is_some() || month_locks::is_locked(tx, entry.fields.started_at)?);
    let pricing = if is_kept { entry.pricing.clone() } else { pricing::price(tx, &after)?.into() };
    let after = diesel::update(work_entries::table.find((tx.organization_id(), entry.id)))
        .set((
            fields,
            ties,
            pricing,
            work_entries::version.eq(work_entries::version + 1),
            work_entries::updated_at.eq(tx.now),
        ))
        .returning(WorkEntry::as_returning())
        .get_result(tx.conn)?;
    changes::record(tx, change("updated", Some(entry), Some(&after)))?;
    Ok(after)
}

/// Removes a locked row, which the audit log keeps as it was.
pub fn delete(tx: &mut Tx<'_>, entry: &WorkEntry) -> Result<()> {
    diesel::delete(work_entries::table.find((tx.organization_id(), entry.id))).execute(tx.conn)?;
    changes::record(tx, change("deleted", Some(entry), None))
}

pub fn list(tx: &mut Tx<'_>, filter: &WorkEntryFilter, page: &PageRequest<WorkEntrySort>) -> Result<Page<WorkEntry>> {
    let organization_id = tx.organization_id();
    let filtered = || {
        let mut query = work_entries::table.filter(work_entries::organization_id.eq(organization_id)).into_boxed();
        if let Some(task_id) = filter.task_id {
            query = query.filter(work_entries::task_id.eq(task_id));
        }
        if let Some(customer_id) = filter.customer_id {
            query = query.filter(work_entries::customer_id.eq(customer_id));
        }
        if let Some(thread_id) = filter.thread_id {
            query = query.filter(work_entries::thread_id.eq(thread_id));
        }
        if let Some(opportunity_id) = filter.opportunity_id {
            query = query.filter(work_entries::opportunity_id.eq(opportunity_id));
        }
        if let Some(operator_id) = filter.operator_id {
            query = query.filter(work_entries::operator_id.eq(operator_id));
        }
        if let Some(billable) = filter.billable {
            query = query.filter(work_entries::billable.eq(billable));
        }
        match filter.invoiced {
            Some(true) => query = query.filter(work_entries::invoice_id.is_not_null()),
            Some(false) => query = query.filter(work_entries::invoice_id.is_null()),
            None => {}
        }
        if let Some(from) = filter.started_from {
            query = query.filter(work_entries::started_at.ge(from));
        }
        if let Some(before) = filter.started_before {
            query = query.filter(work_entries::started_at.lt(before));
        }
        query
    };
    let total = page.total(|cap| filtered().select(sql::<Integer>("1")).limit(cap).load(tx.conn))?;
    let query = match page.sort {
        WorkEntrySort::StartedAt => {
            keyset!(filtered(), page, work_entries::started_at => DateTime<Utc>, work_entries::id)
        }
        WorkEntrySort::CreatedAt => keyset!(filtered(), page, work_entries::id),
    };
    let rows = query.select(WorkEntry::as_select()).load(tx.conn)?;
    Ok(Page::cut(rows, page, total, |entry| match page.sort {
        WorkEntrySort::StartedAt => Cursor::new(entry.fields.started_at, entry.id),
        WorkEntrySort::CreatedAt => Cursor::new((), entry.id),
    }))
}

/// An entry, and what its task says now of customer, thread and opportunity.
type Behind = (WorkEntry, Option<CustomerId>, Option<ThreadId>, Option<OpportunityId>);

/// Lets the entries of changed tasks follow them: to their customer, thread and opportunity. Whose customer is another
/// one is priced anew.
///
/// The caller has written the tasks, whose rows it thereby holds, and holds the months since before that.
pub fn follow_task(tx: &mut Tx<'_>, task_ids: &[TaskId]) -> Result<()> {
    /// So many rows are in memory at once.
    const ENTRIES_A_TIME: i64 = 1_000;
    loop {
        let organization_id = tx.organization_id();
        let is_its_task = tasks::organization_id.eq(organization_id).and(tasks::id.eq(work_entries::task_id));
        let behind: Vec<Behind> = work_entries::table
            .inner_join(tasks::table.on(is_its_task))
            .filter(work_entries::organization_id.eq(organization_id))
            .filter(work_entries::task_id.eq_any(task_ids))
            .filter(
                work_entries::customer_id
                    .is_distinct_from(tasks::customer_id)
                    .or(work_entries::thread_id.is_distinct_from(tasks::thread_id))
                    .or(work_entries::opportunity_id.is_distinct_from(tasks::opportunity_id)),
            )
            .order(work_entries::id)
            .limit(ENTRIES_A_TIME)
            .select((WorkEntry::as_select(), tasks::customer_id, tasks::thread_id, tasks::opportunity_id))
            .for_update()
            .load(tx.conn)?;
        if behind.is_empty() {
            return Ok(());
        }
        follow(tx, behind)?;
    }
}

/// Writes the entries with what their tasks say now.
fn follow(tx: &mut Tx<'_>, behind: Vec<Behind>) -> Result<()> {
    let (mut before, mut after) = (Vec::with_capacity(behind.len()), Vec::with_capacity(behind.len()));
    for (entry, customer_id, thread_id, opportunity_id) in behind {
        let stage_id = entry.ties.stage_id;
        let ties = WorkEntryTies { customer_id, thread_id, opportunity_id, stage_id };
        after.push(WorkEntry { ties, version: entry.version + 1, updated_at: tx.now, ..entry.clone() });
        before.push(entry);
    }
    place_in_stages(tx, &before, &mut after)?;
    price_for_customers(tx, &before, &mut after)?;
    write_all(tx, &after)?;
    let told = before.iter().zip(&after).map(|(before, after)| change("updated", Some(before), Some(after)));
    changes::record_all(tx, told.collect())
}

/// Finds out where the opportunities stood that some entries are about only now.
fn place_in_stages(tx: &mut Tx<'_>, before: &[WorkEntry], after: &mut [WorkEntry]) -> Result<()> {
    let mut moved: Vec<&mut WorkEntry> = before
        .iter()
        .zip(after)
        .filter(|(before, after)| before.ties.opportunity_id != after.ties.opportunity_id)
        .map(|(_, after)| after)
        .collect();
    let moment = |entry: &WorkEntry| Some((entry.ties.opportunity_id?, entry.fields.started_at));
    let moments: Vec<_> = moved.iter().filter_map(|entry| moment(entry)).collect();
    let mut stages = stage_changes::stages_at(tx, &moments)?.into_iter();
    for entry in &mut moved {
        entry.ties.stage_id = entry.ties.opportunity_id.and_then(|_| stages.next().flatten());
    }
    Ok(())
}

/// Prices the entries anew that have another customer.
fn price_for_customers(tx: &mut Tx<'_>, before: &[WorkEntry], after: &mut [WorkEntry]) -> Result<()> {
    let changed: Vec<&mut WorkEntry> = before
        .iter()
        .zip(after)
        .filter(|(before, after)| before.ties.customer_id != after.ties.customer_id)
        .map(|(_, after)| after)
        .collect();
    let questions: Vec<Priced> = changed.iter().map(|entry| priced(&entry.fields, &entry.ties)).collect();
    for (entry, price) in changed.into_iter().zip(pricing::price_all(tx, &questions)?) {
        entry.pricing = price.into();
    }
    Ok(())
}

/// Writes what follows a task, of all entries in one statement.
fn write_all(tx: &mut Tx<'_>, entries: &[WorkEntry]) -> Result<()> {
    fn column<T>(entries: &[WorkEntry], of: impl Fn(&WorkEntry) -> T) -> Vec<T> {
        entries.iter().map(of).collect()
    }
    diesel::sql_query(include_str!("work_entries_follow.sql"))
        .bind::<Uuid, _>(tx.organization_id())
        .bind::<Timestamptz, _>(tx.now)
        .bind::<Array<Uuid>, _>(column(entries, |entry| entry.id))
        .bind::<Array<Nullable<Uuid>>, _>(column(entries, |entry| entry.ties.customer_id))
        .bind::<Array<Nullable<Uuid>>, _>(column(entries, |entry| entry.ties.thread_id))
        .bind::<Array<Nullable<Uuid>>, _>(column(entries, |entry| entry.ties.opportunity_id))
        .bind::<Array<Nullable<Uuid>>, _>(column(entries, |entry| entry.ties.stage_id))
        .bind::<Array<Integer>, _>(column(entries, |entry| entry.pricing.billed_minutes))
        .bind::<Array<Nullable<Numeric>>, _>(column(entries, |entry| entry.pricing.resolved_rate))
        .bind::<Array<Nullable<Text>>, _>(column(entries, |entry| entry.pricing.rate_source))
        .bind::<Array<Nullable<Numeric>>, _>(column(entries, |entry| entry.pricing.cost))
        .bind::<Array<Text>, _>(column(entries, |entry| entry.pricing.currency))
        .execute(tx.conn)?;
    Ok(())
}

/// What the task of an entry ties it to. The task's row is held, so that a change of it finds the entry.
fn ties_of_task(tx: &mut Tx<'_>, fields: &WorkEntryFields) -> Result<WorkEntryTies> {
    let (customer_id, thread_id, opportunity_id) = tasks::table
        .find((tx.organization_id(), fields.task_id))
        .select((tasks::customer_id, tasks::thread_id, tasks::opportunity_id))
        .for_share()
        .first(tx.conn)
        .optional()?
        .ok_or_else(|| StoreError::no_reference("work_entries", "task_id"))?;
    let stage_id = stage(tx, opportunity_id, fields.started_at)?;
    Ok(WorkEntryTies { customer_id, thread_id, opportunity_id, stage_id })
}

fn stage(tx: &mut Tx<'_>, opportunity: Option<OpportunityId>, at: DateTime<Utc>) -> Result<Option<StageId>> {
    match opportunity {
        Some(opportunity_id) => stage_changes::stage_at(tx, opportunity_id, at),
        None => Ok(None),
    }
}

fn priced(fields: &WorkEntryFields, ties: &WorkEntryTies) -> Priced {
    Priced {
        customer_id: ties.customer_id,
        operator_id: fields.operator_id,
        started_at: fields.started_at,
        duration_minutes: fields.duration_minutes,
        hourly_rate: fields.hourly_rate,
    }
}

fn change(action: &'static str, before: Option<&WorkEntry>, after: Option<&WorkEntry>) -> Change {
    let (id, version) = after.or(before).map(|told| (told.id.0, told.version)).unwrap_or_default();
    Change::new("work_entry", action, (id, version), before, after)
}
