//! The history of a task: who changed what of it, when, from what to what.

use crate::actor::Actor;
use crate::audit_log::AuditActor;
use crate::listing::{Id, Listing};
use crate::problem::ApiError;
use crate::reply::Reply;
use crate::shape::{PageBody, Shape};
use crate::state::State;
use actix_web::{get, web};
use chrono::{DateTime, Utc};
use opiekun_domain::ids::{AuditEntryId, TaskId};
use opiekun_domain::permission::Permission;
use opiekun_persistence::audit_log::{AuditEntry, AuditFilter};
use opiekun_persistence::{Page, audit_log, tasks};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// What was changed of a task at once.
#[derive(Debug, Serialize, ToSchema)]
pub struct TaskChange {
    pub id: AuditEntryId,
    pub at: DateTime<Utc>,
    pub actor: AuditActor,
    /// `created` or `updated`. A task that a subtask drew along, or a thread, was updated too.
    #[schema(max_length = 60, example = "updated")]
    pub action: String,
    /// Each field that has another value than before; of a new task those that have any.
    #[schema(max_items = 40)]
    pub changes: Vec<FieldChange>,
}

/// One field, before and after, as text; null is no value.
#[derive(Debug, Serialize, ToSchema)]
pub struct FieldChange {
    #[schema(max_length = 60, example = "status")]
    field: String,
    #[schema(max_length = 20000, example = "open")]
    before: Option<String>,
    #[schema(max_length = 20000, example = "in_progress")]
    after: Option<String>,
}

/// What a record has beside the fields that people write and follow.
const LEFT_OUT: &[&str] =
    &["id", "version", "created_at", "updated_at", "deadline_at", "dated_at", "assigned_at", "registered_by_id"];

impl From<AuditEntry> for TaskChange {
    fn from(row: AuditEntry) -> Self {
        let AuditEntry { id, at, actor_kind, actor_id, action, before, after, .. } = row;
        let none = serde_json::Map::new();
        let members = |record: &Option<Value>| record.as_ref().and_then(Value::as_object).cloned();
        let before = members(&before).unwrap_or_else(|| none.clone());
        let after = members(&after).unwrap_or(none);
        let names = after.keys().chain(before.keys().filter(|name| !after.contains_key(*name)));
        let changes = names
            .filter(|name| !LEFT_OUT.contains(&name.as_str()))
            .map(|name| (name, text(before.get(name)), text(after.get(name))))
            .filter(|(_, before, after)| before != after)
            .map(|(name, before, after)| FieldChange { field: name.clone(), before, after })
            .collect();
        Self { id, at, actor: AuditActor { kind: actor_kind, id: actor_id }, action, changes }
    }
}

/// A value as people read it; an empty list is none.
fn text(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        Value::Array(items) if items.is_empty() => None,
        Value::Array(items) => Some(items.iter().filter_map(|item| text(Some(item))).collect::<Vec<_>>().join(", ")),
        other => Some(other.to_string()),
    }
}

/// List the changes of a task.
///
/// Every change of its caretaker, status, dates and other fields since it was written down, the newest first, with who
/// made it.
#[utoipa::path(tag = "Tasks", security(("sign_in" = ["crm:read"])), params(Listing<()>),
    responses((status = 200, body = PageBody<TaskChange>)))]
#[get("/tasks/{id}/history")]
pub(super) async fn list_task_history(
    state: web::Data<State>,
    actor: Actor,
    id: Id<TaskId>,
    listing: Listing<()>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmRead)?;
    state
        .snapshot(scope, move |tx| {
            tasks::find(tx, id.0)?;
            let filter = AuditFilter {
                resource_type: Some("task".to_owned()),
                resource_id: Some(id.0.into()),
                ..AuditFilter::default()
            };
            let Page { items, next, total } = audit_log::list(tx, &filter, &listing.page)?;
            let items = items.into_iter().map(TaskChange::from).collect();
            shape.page(tx, Page { items, next, total })
        })
        .await
}
