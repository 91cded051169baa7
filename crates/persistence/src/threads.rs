//! Threads: interactions and tasks about one matter.

use crate::attachments;
use crate::changes::{self, Change};
use crate::db::Tx;
use crate::error::{OrNotFound, Result, StoreError};
use crate::page::{Among, Cursor, Page, PageRequest, keyset};
use crate::schema::{interactions, tasks, thread_tags, threads};
use crate::task_series::{self, Reference};
use crate::{interactions as interaction_rows, tasks as task_rows, work_entries, work_tree};
use chrono::{DateTime, Utc};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Integer;
use opiekun_domain::attachment::AttachmentSubject;
use opiekun_domain::ids::{CustomerId, InteractionId, OperatorId, OrganizationId, TaskId, ThreadId};
use opiekun_domain::thread::ThreadStatus;
use opiekun_domain::work_item::WorkItem;
use serde::Serialize;
use std::collections::HashMap;

#[derive(Debug, Clone, Queryable, Selectable, Serialize)]
#[diesel(table_name = threads, check_for_backend(diesel::pg::Pg))]
pub struct Thread {
    pub id: ThreadId,
    /// The operator who opened it; nobody where a script did.
    pub registered_by_id: Option<OperatorId>,
    #[diesel(embed)]
    #[serde(flatten)]
    pub fields: ThreadFields,
    pub closed_at: Option<DateTime<Utc>>,
    /// The thread that everything in it went to.
    pub merged_into_id: Option<ThreadId>,
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// What a caller may write.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset, Serialize)]
#[diesel(table_name = threads, check_for_backend(diesel::pg::Pg), treat_none_as_null = true)]
pub struct ThreadFields {
    pub subject: String,
    pub description: Option<String>,
    pub customer_id: Option<CustomerId>,
    pub caretaker_id: Option<OperatorId>,
    pub status: ThreadStatus,
    pub tags: Vec<String>,
}

impl Thread {
    /// Whose matter it is: who may change it, with those above them.
    pub fn holders(&self) -> Vec<OperatorId> {
        self.registered_by_id.into_iter().chain(self.fields.caretaker_id).collect()
    }
}

#[derive(Insertable)]
#[diesel(table_name = threads)]
struct NewThread {
    organization_id: OrganizationId,
    id: ThreadId,
    registered_by_id: Option<OperatorId>,
    #[diesel(embed)]
    fields: ThreadFields,
    closed_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// All that is given must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ThreadFilter {
    pub customer_id: Option<CustomerId>,
    pub caretaker_id: Option<OperatorId>,
    pub status: Option<ThreadStatus>,
    pub merged_into_id: Option<ThreadId>,
    /// Any of these.
    pub tags: Option<Vec<String>>,
}

/// How much went to another thread, or out of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Carried {
    pub tasks: usize,
    pub interactions: usize,
}

pub fn create(tx: &mut Tx<'_>, fields: ThreadFields) -> Result<Thread> {
    let row = NewThread {
        organization_id: tx.organization_id(),
        id: ThreadId::at(tx.now),
        registered_by_id: tx.scope.actor.operator_id(),
        closed_at: (fields.status == ThreadStatus::Closed).then_some(tx.now),
        fields,
        created_at: tx.now,
        updated_at: tx.now,
    };
    let thread: Thread =
        diesel::insert_into(threads::table).values(row).returning(Thread::as_returning()).get_result(tx.conn)?;
    record(tx, "created", None, Some(&thread))?;
    Ok(thread)
}

/// Opens threads, each with who opens it.
pub(crate) fn create_all(tx: &mut Tx<'_>, rows: Vec<(ThreadId, Option<OperatorId>, ThreadFields)>) -> Result<()> {
    let (organization_id, now) = (tx.organization_id(), tx.now);
    let rows: Vec<NewThread> = rows
        .into_iter()
        .map(|(id, registered_by_id, fields)| NewThread {
            organization_id,
            id,
            registered_by_id,
            closed_at: (fields.status == ThreadStatus::Closed).then_some(now),
            fields,
            created_at: now,
            updated_at: now,
        })
        .collect();
    let threads: Vec<Thread> =
        diesel::insert_into(threads::table).values(rows).returning(Thread::as_returning()).get_results(tx.conn)?;
    let records = threads
        .iter()
        .map(|thread| Change::new("thread", "created", (thread.id, thread.version), None, Some(thread)))
        .collect();
    changes::record_all(tx, records)
}

pub fn find(tx: &mut Tx<'_>, id: ThreadId) -> Result<Thread> {
    threads::table
        .find((tx.organization_id(), id))
        .select(Thread::as_select())
        .first(tx.conn)
        .optional()
        .or_not_found("thread")
}

/// Those of `ids` that exist, in no order.
pub fn find_all(tx: &mut Tx<'_>, ids: &[ThreadId]) -> Result<Vec<Thread>> {
    Ok(threads::table
        .filter(threads::organization_id.eq(tx.organization_id()))
        .filter(threads::id.eq_any(ids))
        .select(Thread::as_select())
        .load(tx.conn)?)
}

/// Locks the row; [`StoreError::Stale`] when somebody has changed it since `seen`.
pub fn lock(tx: &mut Tx<'_>, id: ThreadId, seen: Option<i32>) -> Result<Thread> {
    let thread = threads::table
        .find((tx.organization_id(), id))
        .select(Thread::as_select())
        .for_no_key_update()
        .first(tx.conn)
        .optional()
        .or_not_found("thread")?;
    StoreError::unless_current(thread.version, seen)?;
    Ok(thread)
}

/// Writes to a row that [`lock`] has returned, and counts its version up.
pub fn update(tx: &mut Tx<'_>, thread: &Thread, fields: ThreadFields) -> Result<Thread> {
    let closed_at = (fields.status == ThreadStatus::Closed).then_some(thread.closed_at.unwrap_or(tx.now));
    let after = diesel::update(threads::table.find((tx.organization_id(), thread.id)))
        .set((
            fields,
            threads::closed_at.eq(closed_at),
            threads::version.eq(threads::version + 1),
            threads::updated_at.eq(tx.now),
        ))
        .returning(Thread::as_returning())
        .get_result(tx.conn)?;
    record(tx, "updated", Some(thread), Some(&after))?;
    Ok(after)
}

/// Removes a locked row, which the audit log keeps as it was, with the files on it; [`StoreError::InUse`] while something
/// is in it.
pub fn delete(tx: &mut Tx<'_>, thread: &Thread) -> Result<()> {
    task_series::forget(tx, Reference::Thread(thread.id))?;
    attachments::delete_all(tx, AttachmentSubject::Thread(thread.id))?;
    diesel::delete(threads::table.find((tx.organization_id(), thread.id)))
        .execute(tx.conn)
        .map_err(StoreError::of_deletion)?;
    record(tx, "deleted", Some(thread), None)
}

pub fn list(tx: &mut Tx<'_>, filter: &ThreadFilter, page: &PageRequest<()>) -> Result<Page<Thread>> {
    let organization_id = tx.organization_id();
    let filtered = || {
        let mut query = threads::table.filter(threads::organization_id.eq(organization_id)).into_boxed();
        if let Some(customer_id) = filter.customer_id {
            query = query.filter(threads::customer_id.eq(customer_id));
        }
        if let Some(caretaker_id) = filter.caretaker_id {
            query = query.filter(threads::caretaker_id.eq(caretaker_id));
        }
        if let Some(status) = filter.status {
            query = query.filter(threads::status.eq(status));
        }
        if let Some(merged_into_id) = filter.merged_into_id {
            query = query.filter(threads::merged_into_id.eq(merged_into_id));
        }
        query
    };
    // What has a tag is read in the order of the rows of tags.
    let tags = || filter.tags.iter().flatten();
    // A filter that asks for no more than they know needs no look at the records.
    let known = ThreadFilter { tags: filter.tags.clone(), ..ThreadFilter::default() };
    let tagged = |tag| {
        let mut query = thread_tags::table
            .filter(thread_tags::organization_id.eq(organization_id))
            .filter(thread_tags::tag.eq(tag))
            .select(thread_tags::thread_id)
            .into_boxed();
        if *filter != known {
            query = query.filter(thread_tags::thread_id.eq_any(filtered().select(threads::id)));
        }
        query
    };
    let found = |among| {
        if filter.tags.is_some() {
            return threads::table.filter(threads::organization_id.eq(organization_id)).filter(among).into_boxed();
        }
        filtered()
    };
    let total = page.total(|cap| {
        let mut among = Among::new(threads::id);
        tags().for_each(|tag| among.push(tagged(tag).limit(cap)));
        found(among).select(sql::<Integer>("1")).limit(cap).load(tx.conn)
    })?;
    let mut among = Among::new(threads::id);
    tags().for_each(|tag| among.push(keyset!(tagged(tag), page, thread_tags::thread_id)));
    let rows = keyset!(found(among), page, threads::id).select(Thread::as_select()).load(tx.conn)?;
    Ok(Page::cut(rows, page, total, |thread| Cursor::new((), thread.id)))
}

/// The thread that another one went to, if it did. It stays as it is until the transaction ends.
pub fn merged_into(tx: &mut Tx<'_>, id: ThreadId) -> Result<Option<ThreadId>> {
    let found: Option<Option<ThreadId>> = threads::table
        .find((tx.organization_id(), id))
        .select(threads::merged_into_id)
        .for_share()
        .first(tx.conn)
        .optional()?;
    Ok(found.flatten())
}

/// Takes an item with everything below it to a thread, or out of any. The trees are the caller's to change. A step of a
/// procedure run goes with its whole run only.
pub fn carry(tx: &mut Tx<'_>, item: WorkItem, thread_id: Option<ThreadId>) -> Result<Carried> {
    let mut items = work_tree::below(tx, item)?;
    items.push(item);
    let carried = carry_all(tx, &items, thread_id)?;
    // Refused here, where the caller knows what was asked for, and not when the transaction ends.
    diesel::sql_query("set constraints tasks_keep_thread_of_run immediate").execute(tx.conn)?;
    Ok(carried)
}

/// Takes everything that is in a locked thread, and the files on it, to another locked one, and closes the first for good.
pub fn merge(tx: &mut Tx<'_>, from: &Thread, into: &Thread) -> Result<Carried> {
    /// So many are read at a time: a thread can be as large as it likes.
    const ITEMS_AT_ONCE: i64 = 500;
    let organization_id = tx.organization_id();
    let mut carried = Carried::default();
    loop {
        let tasks: Vec<TaskId> = tasks::table
            .filter(tasks::organization_id.eq(organization_id))
            .filter(tasks::thread_id.eq(from.id))
            .order((tasks::deadline_at, tasks::id))
            .limit(ITEMS_AT_ONCE)
            .select(tasks::id)
            .load(tx.conn)?;
        let interactions: Vec<InteractionId> = interactions::table
            .filter(interactions::organization_id.eq(organization_id))
            .filter(interactions::thread_id.eq(from.id))
            .order((interactions::started_at, interactions::id))
            .limit(ITEMS_AT_ONCE)
            .select(interactions::id)
            .load(tx.conn)?;
        if tasks.is_empty() && interactions.is_empty() {
            break;
        }
        let items: Vec<WorkItem> =
            tasks.into_iter().map(WorkItem::Task).chain(interactions.into_iter().map(WorkItem::Interaction)).collect();
        let batch = carry_all(tx, &items, Some(into.id))?;
        carried.tasks += batch.tasks;
        carried.interactions += batch.interactions;
    }
    task_series::carry(tx, from.id, into.id)?;
    attachments::carry(tx, from.id, into.id)?;
    let after: Thread = diesel::update(threads::table.find((organization_id, from.id)))
        .set((
            threads::status.eq(ThreadStatus::Closed),
            threads::closed_at.eq(from.closed_at.unwrap_or(tx.now)),
            threads::merged_into_id.eq(into.id),
            threads::version.eq(threads::version + 1),
            threads::updated_at.eq(tx.now),
        ))
        .returning(Thread::as_returning())
        .get_result(tx.conn)?;
    record(tx, "merged", Some(from), Some(&after))?;
    Ok(carried)
}

/// Two statements a kind, however many items. What is there already stays as it is.
fn carry_all(tx: &mut Tx<'_>, items: &[WorkItem], thread_id: Option<ThreadId>) -> Result<Carried> {
    let organization_id = tx.organization_id();
    let task_ids: Vec<TaskId> = items.iter().filter_map(|item| item.task_id()).collect();
    let interaction_ids: Vec<InteractionId> = items.iter().filter_map(|item| item.interaction_id()).collect();
    let mut records = Vec::new();

    let before: HashMap<_, _> = task_rows::find_all(tx, &task_ids)?.into_iter().map(|row| (row.id, row)).collect();
    let moved: Vec<task_rows::Task> = diesel::update(tasks::table)
        .filter(tasks::organization_id.eq(organization_id))
        .filter(tasks::id.eq_any(&task_ids))
        .filter(tasks::thread_id.is_distinct_from(thread_id))
        .set((tasks::thread_id.eq(thread_id), tasks::version.eq(tasks::version + 1), tasks::updated_at.eq(tx.now)))
        .returning(task_rows::Task::as_returning())
        .get_results(tx.conn)?;
    let moved_ids: Vec<TaskId> = moved.iter().map(|task| task.id).collect();
    let tasks = moved.len();
    for after in &moved {
        records.push(task_rows::change("updated", before.get(&after.id), Some(after), after));
    }

    let before: HashMap<_, _> =
        interaction_rows::find_all(tx, &interaction_ids)?.into_iter().map(|row| (row.id, row)).collect();
    let moved: Vec<interaction_rows::Interaction> = diesel::update(interactions::table)
        .filter(interactions::organization_id.eq(organization_id))
        .filter(interactions::id.eq_any(&interaction_ids))
        .filter(interactions::thread_id.is_distinct_from(thread_id))
        .set((
            interactions::thread_id.eq(thread_id),
            interactions::version.eq(interactions::version + 1),
            interactions::updated_at.eq(tx.now),
        ))
        .returning(interaction_rows::Interaction::as_returning())
        .get_results(tx.conn)?;
    let interactions = moved.len();
    for after in &moved {
        records.push(interaction_rows::change("updated", before.get(&after.id), Some(after), after));
    }
    changes::record_all(tx, records)?;
    work_entries::follow_task(tx, &moved_ids)?;
    Ok(Carried { tasks, interactions })
}

fn record(tx: &mut Tx<'_>, action: &'static str, before: Option<&Thread>, after: Option<&Thread>) -> Result<()> {
    let Some(told) = after.or(before) else { return Ok(()) };
    changes::record(tx, Change::new("thread", action, (told.id, told.version), before, after))
}
