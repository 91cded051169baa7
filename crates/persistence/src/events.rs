//! The change feed: every change as an event, in an order that a reader can follow without missing one.
//!
//! [`changes`](crate::changes) writes events in the change's transaction. Transactions commit in another order
//! than they write, so [`publish`] numbers events after their commit, one publisher at a time: whatever has a
//! sequence never gains a predecessor.

use crate::db::{Db, Tx};
use crate::error::Result;
use crate::schema::events;
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool};
use opiekun_domain::ids::EventId;
use uuid::Uuid;

#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = events, check_for_backend(diesel::pg::Pg))]
pub struct Event {
    #[diesel(select_expression = events::sequence.assume_not_null())]
    #[diesel(select_expression_type = diesel::dsl::AssumeNotNull<events::sequence>)]
    pub sequence: i64,
    pub id: EventId,
    pub type_: String,
    pub at: DateTime<Utc>,
    pub resource_type: String,
    pub resource_id: Uuid,
    pub resource_version: i32,
}

/// Published events behind `after`, oldest first.
pub fn list(tx: &mut Tx<'_>, after: i64, types: Option<&[String]>, limit: i64) -> Result<Vec<Event>> {
    let mut query = events::table
        .filter(events::organization_id.eq(tx.organization_id()))
        .filter(events::sequence.gt(after))
        .order(events::sequence)
        .limit(limit)
        .select(Event::as_select())
        .into_boxed();
    if let Some(types) = types {
        query = query.filter(events::type_.eq_any(types));
    }
    Ok(query.load(tx.conn)?)
}

/// Numbers committed events of all organizations, at most `batch`; returns how many. Nothing is done, and 0
/// returned, while another publisher is at it.
pub fn publish(db: &Db, batch: i64) -> Result<usize> {
    let mut conn = db.connection()?;
    let published = conn.transaction(|conn| {
        let ours = diesel::select(diesel::dsl::sql::<Bool>(
            "pg_try_advisory_xact_lock(hashtextextended('events.publish', 0))",
        ))
        .get_result::<bool>(conn)?;
        if !ours {
            return Ok(0);
        }
        diesel::sql_query(
            "with batch as materialized (
                 select organization_id, id, nextval('event_sequence') as sequence
                 from (select organization_id, id from events where sequence is null order by ordinal limit $1) waiting
             )
             update events e set sequence = batch.sequence
             from batch where e.organization_id = batch.organization_id and e.id = batch.id",
        )
        .bind::<BigInt, _>(batch)
        .execute(conn)
    });
    published.map_err(|error: diesel::result::Error| error.into())
}
