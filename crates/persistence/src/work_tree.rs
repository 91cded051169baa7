//! The trees of work: tasks and interactions that hang below each other.
//!
//! Their shape changes under one lock of the organization, held alone; whoever relies on the shape meanwhile (to carry
//! a percent upwards, to close a main task, to answer a survey for a task) holds it shared. Either is taken before any row
//! is locked, so that nobody waits for somebody who waits for them; rows are then locked from a task upwards.

use crate::db::Tx;
use crate::error::Result;
use crate::schema::{interactions, tasks};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Nullable, Text, Uuid};
use opiekun_domain::ids::{InteractionId, TaskId, ThreadId};
use opiekun_domain::work_item::WorkItem;

/// Keeps the trees in their shape until the transaction ends.
pub fn hold(tx: &mut Tx<'_>) -> Result<()> {
    lock(tx, "pg_advisory_xact_lock_shared")
}

/// Waits until nobody relies on the shape of the trees, and keeps others from it until the transaction ends.
pub fn change(tx: &mut Tx<'_>) -> Result<()> {
    lock(tx, "pg_advisory_xact_lock")
}

fn lock(tx: &mut Tx<'_>, function: &str) -> Result<()> {
    // The trigger that refuses cycles takes the same lock.
    let name = format!("work-tree:{}", tx.organization_id());
    let call = sql::<Bool>(&format!("{function}(hashtextextended(")).bind::<Text, _>(name).sql(", 0)) is not null");
    diesel::select(call).get_result::<bool>(tx.conn)?;
    Ok(())
}

/// The thread that an item is in: what is new below it starts there. Nothing for an item that there is none of.
pub fn thread_of(tx: &mut Tx<'_>, item: WorkItem) -> Result<Option<ThreadId>> {
    let organization_id = tx.organization_id();
    let found: Option<Option<ThreadId>> = match item {
        WorkItem::Task(id) => {
            tasks::table.find((organization_id, id)).select(tasks::thread_id).first(tx.conn).optional()?
        }
        WorkItem::Interaction(id) => {
            interactions::table.find((organization_id, id)).select(interactions::thread_id).first(tx.conn).optional()?
        }
    };
    Ok(found.flatten())
}

#[derive(QueryableByName)]
struct Below {
    #[diesel(sql_type = Nullable<Uuid>)]
    task_id: Option<TaskId>,
    #[diesel(sql_type = Nullable<Uuid>)]
    interaction_id: Option<InteractionId>,
}

/// Everything below an item, to any depth, itself not among it, in no order.
pub fn below(tx: &mut Tx<'_>, item: WorkItem) -> Result<Vec<WorkItem>> {
    let rows: Vec<Below> = diesel::sql_query(include_str!("work_tree_below.sql"))
        .bind::<Uuid, _>(tx.organization_id())
        .bind::<Nullable<Uuid>, _>(item.task_id())
        .bind::<Nullable<Uuid>, _>(item.interaction_id())
        .load(tx.conn)?;
    Ok(rows.into_iter().filter_map(|row| WorkItem::of_columns(row.task_id, row.interaction_id)).collect())
}
