//! The audit log: who changed what, when, from what to what.

use crate::actor::Actor;
use crate::listing::{Filters, Listing};
use crate::problem::ApiError;
use crate::reply::Reply;
use crate::shape::{PageBody, Shape};
use crate::state::State;
use actix_web::{get, web};
use chrono::{DateTime, Utc};
use opiekun_domain::ids::AuditEntryId;
use opiekun_domain::permission::Permission;
use opiekun_persistence::audit_log::{AuditEntry, AuditFilter};
use opiekun_persistence::{Page, audit_log};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;

pub fn routes(config: &mut ServiceConfig) {
    config.service(list_audit_log);
}

/// One change.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditEntry)]
pub struct AuditEntryBody {
    pub id: AuditEntryId,
    pub at: DateTime<Utc>,
    pub actor: AuditActor,
    /// What was done.
    #[schema(max_length = 60, example = "updated")]
    pub action: String,
    pub resource: ResourceRef,
    /// The record before; null where it was made.
    #[schema(value_type = Option<Object>)]
    pub before: Option<Value>,
    /// The record after.
    #[schema(value_type = Option<Object>)]
    pub after: Option<Value>,
    /// The request that it happened in, as the server's log names it.
    pub request_id: Option<Uuid>,
}

/// Who acted: an `operator`, an `api_key`, or the `system` itself.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditActor {
    #[schema(max_length = 20, example = "operator")]
    pub kind: String,
    pub id: Option<Uuid>,
}

/// Which record, of which kind.
#[derive(Debug, Serialize, ToSchema)]
pub struct ResourceRef {
    /// `customer`, `invoice`…
    #[serde(rename = "type")]
    #[schema(max_length = 60, example = "customer")]
    pub kind: String,
    pub id: Uuid,
}

impl From<AuditEntry> for AuditEntryBody {
    fn from(row: AuditEntry) -> Self {
        let AuditEntry { id, at, actor_kind, actor_id, action, resource_type, resource_id, before, after, request_id } =
            row;
        Self {
            id,
            at,
            actor: AuditActor { kind: actor_kind, id: actor_id },
            action,
            resource: ResourceRef { kind: resource_type, id: resource_id },
            before,
            after,
            request_id,
        }
    }
}

/// Which changes.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    /// An operator or an API key.
    actor_id: Option<Uuid>,
    #[param(min_length = 1, max_length = 60)]
    action: Option<String>,
    #[param(min_length = 1, max_length = 60)]
    resource_type: Option<String>,
    resource_id: Option<Uuid>,
    #[serde(rename = "at[gte]")]
    from: Option<DateTime<Utc>>,
    #[serde(rename = "at[lt]")]
    before: Option<DateTime<Utc>>,
}

/// List changes.
///
/// Every change of every record, newest first. The log only grows.
#[utoipa::path(tag = "Audit log", security(("sign_in" = ["admin:read"])), params(AuditQuery, Listing<()>),
    responses((status = 200, body = PageBody<AuditEntryBody>)))]
#[get("/audit-log")]
async fn list_audit_log(
    state: web::Data<State>,
    actor: Actor,
    filters: Filters<AuditQuery>,
    listing: Listing<()>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::AdminRead)?;
    let AuditQuery { actor_id, action, resource_type, resource_id, from, before } = filters.0;
    let filter = AuditFilter { actor_id, action, resource_type, resource_id, from, before };
    state
        .read(scope, move |tx| {
            let Page { items, next, total } = audit_log::list(tx, &filter, &listing.page)?;
            let items = items.into_iter().map(AuditEntryBody::from).collect();
            shape.page(tx, Page { items, next, total })
        })
        .await
}
