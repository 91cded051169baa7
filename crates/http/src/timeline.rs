//! A customer's timeline: everything that happened with it, whatever kind of record it is.

use crate::actor::Actor;
use crate::interactions::InteractionBody;
use crate::listing::{Id, Listing, Sorting};
use crate::problem::ApiError;
use crate::reply::Reply;
use crate::shape::{PageBody, Shape};
use crate::state::State;
use actix_web::{get, web};
use chrono::{DateTime, Utc};
use opiekun_domain::ids::CustomerId;
use opiekun_domain::permission::Permission;
use opiekun_persistence::timeline::{TimelineEntry, TimelineSort};
use opiekun_persistence::{Page, customers, timeline};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

pub fn routes(config: &mut ServiceConfig) {
    config.service(list_customer_timeline);
}

/// Something that happened with a customer, told apart by `kind`. New kinds may come.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TimelineEntry)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum TimelineEntryBody {
    /// A contact.
    Interaction {
        /// When it began.
        at: DateTime<Utc>,
        interaction: InteractionBody,
    },
}

impl From<TimelineEntry> for TimelineEntryBody {
    fn from(entry: TimelineEntry) -> Self {
        match entry {
            TimelineEntry::Interaction(row) => Self::Interaction { at: row.fields.started_at, interaction: row.into() },
        }
    }
}

impl Sorting for TimelineSort {
    const WORDS: &'static [(&'static str, Self)] = &[("at", Self::At)];
}

/// Show a customer's timeline.
///
/// Everything that happened with the customer or is planned to, the latest first. Each entry has a `kind` and, under the
/// kind's name, the record itself.
#[utoipa::path(tag = "Customers", security(("sign_in" = ["crm:read"])), params(Listing<TimelineSort>),
    responses((status = 200, body = PageBody<TimelineEntryBody>)))]
#[get("/customers/{id}/timeline")]
async fn list_customer_timeline(
    state: web::Data<State>,
    actor: Actor,
    id: Id<CustomerId>,
    listing: Listing<TimelineSort>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmRead)?;
    state
        .read(scope, move |tx| {
            customers::find(tx, id.0)?;
            let Page { items, next, total } = timeline::of_customer(tx, id.0, &listing.page)?;
            let items = items.into_iter().map(TimelineEntryBody::from).collect();
            shape.page(tx, Page { items, next, total })
        })
        .await
}
