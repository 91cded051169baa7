//! What is kept of every change: a record in the audit log and an event, in the change's own transaction.

use crate::db::Tx;
use crate::error::Result;
use crate::json::JsonText;
use crate::schema::{audit_entries, events};
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use opiekun_domain::ids::{AuditEntryId, EventId, OrganizationId};
use serde::Serialize;
use uuid::Uuid;

/// One change of one resource.
///
/// `resource` and `action` are the two halves of the event's type: `customer` + `created`.
#[derive(Debug)]
pub struct Change {
    resource: &'static str,
    action: &'static str,
    id: Uuid,
    version: i32,
    before: Option<JsonText>,
    after: Option<JsonText>,
}

impl Change {
    /// A change whose rows are told as they are, less what they never serialize (hashes of secrets).
    pub fn new<T: Serialize>(
        resource: &'static str,
        action: &'static str,
        (id, version): (impl Into<Uuid>, i32),
        before: Option<&T>,
        after: Option<&T>,
    ) -> Self {
        let told = |row: Option<&T>| row.and_then(|row| JsonText::new(row).ok());
        Self { resource, action, id: id.into(), version, before: told(before), after: told(after) }
    }
}

#[derive(Insertable)]
#[diesel(table_name = audit_entries, treat_none_as_default_value = false)]
struct NewAuditEntry {
    organization_id: OrganizationId,
    id: AuditEntryId,
    at: DateTime<Utc>,
    actor_kind: &'static str,
    actor_id: Option<Uuid>,
    action: &'static str,
    resource_type: &'static str,
    resource_id: Uuid,
    before: Option<JsonText>,
    after: Option<JsonText>,
    request_id: Option<Uuid>,
}

#[derive(Insertable)]
#[diesel(table_name = events, treat_none_as_default_value = false)]
struct NewEvent {
    organization_id: OrganizationId,
    id: EventId,
    type_: String,
    at: DateTime<Utc>,
    resource_type: &'static str,
    resource_id: Uuid,
    resource_version: i32,
}

fn split(tx: &Tx<'_>, change: Change) -> (NewAuditEntry, NewEvent) {
    let event = NewEvent {
        organization_id: tx.scope.organization_id,
        id: EventId::at(tx.now),
        type_: format!("{}.{}", change.resource, change.action),
        at: tx.now,
        resource_type: change.resource,
        resource_id: change.id,
        resource_version: change.version,
    };
    let entry = NewAuditEntry {
        organization_id: tx.scope.organization_id,
        id: AuditEntryId::at(tx.now),
        at: tx.now,
        actor_kind: tx.scope.actor.kind(),
        actor_id: tx.scope.actor.id(),
        action: change.action,
        resource_type: change.resource,
        resource_id: change.id,
        before: change.before,
        after: change.after,
        request_id: tx.scope.request_id,
    };
    (entry, event)
}

/// Something that came about without a change: told as an event, and no record of the audit log.
#[derive(Debug)]
pub(crate) struct Happening {
    pub organization_id: OrganizationId,
    pub type_: String,
    pub resource_type: &'static str,
    pub resource_id: Uuid,
    pub resource_version: i32,
}

/// Tells what came about, whichever organizations it is of.
pub(crate) fn tell(conn: &mut PgConnection, at: DateTime<Utc>, happenings: Vec<Happening>) -> Result<()> {
    let events: Vec<NewEvent> = happenings
        .into_iter()
        .map(|happening| {
            let Happening { organization_id, type_, resource_type, resource_id, resource_version } = happening;
            NewEvent { organization_id, id: EventId::at(at), type_, at, resource_type, resource_id, resource_version }
        })
        .collect();
    diesel::insert_into(events::table).values(events).execute(conn)?;
    Ok(())
}

/// Writes down one change.
pub fn record(tx: &mut Tx<'_>, change: Change) -> Result<()> {
    let (entry, event) = split(tx, change);
    diesel::insert_into(audit_entries::table).values(entry).execute(tx.conn)?;
    diesel::insert_into(events::table).values(event).execute(tx.conn)?;
    Ok(())
}

/// Writes down many changes at once: what a batch of background work does.
pub fn record_all(tx: &mut Tx<'_>, changes: Vec<Change>) -> Result<()> {
    if changes.is_empty() {
        return Ok(());
    }
    let (entries, events): (Vec<_>, Vec<_>) = changes.into_iter().map(|change| split(tx, change)).unzip();
    diesel::copy_from(audit_entries::table).from_insertable(entries).execute(tx.conn)?;
    diesel::copy_from(events::table).from_insertable(events).execute(tx.conn)?;
    Ok(())
}
