//! Reading the audit log. [`changes`](crate::changes) writes it.

use crate::db::Tx;
use crate::error::Result;
use crate::page::{Cursor, Page, PageRequest, keyset};
use crate::schema::audit_entries;
use chrono::{DateTime, Utc};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Integer;
use opiekun_domain::ids::{AuditEntryId, uuid_floor};
use serde_json::Value;
use uuid::Uuid;

#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = audit_entries, check_for_backend(diesel::pg::Pg))]
pub struct AuditEntry {
    pub id: AuditEntryId,
    pub at: DateTime<Utc>,
    pub actor_kind: String,
    pub actor_id: Option<Uuid>,
    pub action: String,
    pub resource_type: String,
    pub resource_id: Uuid,
    pub before: Option<Value>,
    pub after: Option<Value>,
    pub request_id: Option<Uuid>,
}

#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    pub actor_id: Option<Uuid>,
    pub action: Option<String>,
    pub resource_type: Option<String>,
    pub resource_id: Option<Uuid>,
    pub from: Option<DateTime<Utc>>,
    pub before: Option<DateTime<Utc>>,
}

pub fn list(tx: &mut Tx<'_>, filter: &AuditFilter, page: &PageRequest<()>) -> Result<Page<AuditEntry>> {
    let organization_id = tx.organization_id();
    let filtered = || {
        let mut query = audit_entries::table.filter(audit_entries::organization_id.eq(organization_id)).into_boxed();
        if let Some(actor_id) = filter.actor_id {
            query = query.filter(audit_entries::actor_id.eq(actor_id));
        }
        if let Some(action) = &filter.action {
            query = query.filter(audit_entries::action.eq(action));
        }
        if let Some(resource_type) = &filter.resource_type {
            query = query.filter(audit_entries::resource_type.eq(resource_type));
        }
        if let Some(resource_id) = filter.resource_id {
            query = query.filter(audit_entries::resource_id.eq(resource_id));
        }
        if let Some(from) = filter.from {
            query =
                query.filter(audit_entries::id.ge(AuditEntryId(uuid_floor(from)))).filter(audit_entries::at.ge(from));
        }
        if let Some(before) = filter.before {
            query = query.filter(audit_entries::at.lt(before));
        }
        query
    };
    let total = page.total(|cap| filtered().select(sql::<Integer>("1")).limit(cap).load(tx.conn))?;
    let rows = keyset!(filtered(), page, audit_entries::id).select(AuditEntry::as_select()).load(tx.conn)?;
    Ok(Page::cut(rows, page, total, |entry| Cursor::new((), entry.id)))
}
