//! The change feed, for systems that keep themselves up to date.

use crate::actor::Actor;
use crate::audit_log::ResourceRef;
use crate::contract::{Contract, Found};
use crate::listing::{AnyOf, Filters};
use crate::problem::ApiError;
use crate::reply::Reply;
use crate::state::State;
use actix_web::http::Method;
use actix_web::{get, web};
use chrono::{DateTime, Utc};
use opiekun_domain::ids::EventId;
use opiekun_domain::permission::Permission;
use opiekun_persistence::events::{self, Event};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;

pub fn routes(config: &mut ServiceConfig) {
    config.service(list_events);
}

/// One change, told to other systems.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Event)]
pub struct EventBody {
    /// Its place in the order: what a reader has passed never gains an event behind it.
    #[schema(minimum = 1, example = 4711)]
    pub sequence: i64,
    pub id: EventId,
    /// The kind of record and what was done. New types may come.
    #[serde(rename = "type")]
    #[schema(max_length = 80, example = "customer.updated")]
    pub kind: String,
    pub at: DateTime<Utc>,
    pub resource: ResourceRef,
    pub data: EventData,
}

/// What to read to know the record as it is now.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventData {
    pub id: Uuid,
    /// The record's version after the change.
    #[schema(minimum = 1)]
    pub version: i32,
    /// Where the record is; null for what has no address.
    #[schema(max_length = 200, example = "/api/v1/customers/0192f0c1-7a10-7cc1-9d5e-0f3b8a61c2aa")]
    pub url: Option<String>,
}

/// A stretch of the feed.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventPage {
    #[schema(max_items = 200)]
    items: Vec<EventBody>,
    /// What to send as `after` next time.
    #[schema(minimum = 0, example = 4711)]
    next_after: i64,
}

impl EventBody {
    fn new(contract: &Contract, row: Event) -> Self {
        let Event { sequence, id, type_, at, resource_type, resource_id, resource_version } = row;
        let url = url_of(contract, &resource_type, resource_id);
        Self {
            sequence,
            id,
            kind: type_,
            at,
            data: EventData { id: resource_id, version: resource_version, url },
            resource: ResourceRef { kind: resource_type, id: resource_id },
        }
    }
}

/// The path of a record of a kind, if the contract has one: its collection is the kind's plural.
fn url_of(contract: &Contract, kind: &str, id: Uuid) -> Option<String> {
    let words = kind.replace('_', "-");
    let collection = match kind {
        "person" => "people".to_owned(),
        "work_entry" => "work-entries".to_owned(),
        _ if words.ends_with('s') => words,
        _ => format!("{words}s"),
    };
    let url = format!("/api/v1/{collection}/{id}");
    matches!(contract.find(&Method::GET, &url), Found::Operation { .. }).then_some(url)
}

/// From where, and which.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct EventQuery {
    /// `next_after` of the last answer; 0, the start of the feed, unless told.
    #[param(minimum = 0, maximum = 9_007_199_254_740_991_i64)]
    after: Option<i64>,
    /// At most so many; 50 unless told.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<i64>,
    /// Any of these types.
    #[serde(rename = "type")]
    #[param(value_type = Option<Vec<String>>, max_items = 20)]
    types: Option<AnyOf<String>>,
}

/// Follow the changes.
///
/// Events in order, oldest first. Remember `next_after` and send it as `after`: no event is missed, and none comes twice.
/// An event can be read a moment after its change is.
#[utoipa::path(tag = "Events", security(("sign_in" = ["integrations:read"])), params(EventQuery),
    responses((status = 200, body = EventPage)))]
#[get("/events")]
async fn list_events(state: web::Data<State>, actor: Actor, filters: Filters<EventQuery>) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::IntegrationsRead)?;
    let EventQuery { after, limit, types } = filters.0;
    let after = after.unwrap_or_default();
    let contract = Arc::clone(&state.contract);
    state
        .read(scope, move |tx| {
            let rows = events::list(tx, after, types.as_ref().map(|types| types.0.as_slice()), limit.unwrap_or(50))?;
            let next_after = rows.last().map_or(after, |event| event.sequence);
            let items = rows.into_iter().map(|row| EventBody::new(&contract, row)).collect();
            Ok(Reply::ok(&EventPage { items, next_after }))
        })
        .await
}
