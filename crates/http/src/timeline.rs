//! Timelines: everything that happened with a customer or in a thread, whatever kind of record it is.

use crate::actor::Actor;
use crate::attachments::AttachmentBody;
use crate::interactions::InteractionBody;
use crate::listing::{Id, Listing, Sorting};
use crate::problem::ApiError;
use crate::reply::Reply;
use crate::shape::{PageBody, Shape};
use crate::state::State;
use crate::surveys::SurveyResponseBody;
use crate::tasks::{self, TaskBody};
use crate::work_entries::WorkEntryBody;
use actix_web::{get, web};
use chrono::{DateTime, Utc};
use opiekun_domain::ids::{CustomerId, ThreadId};
use opiekun_domain::permission::Permission;
use opiekun_persistence::files::Reader;
use opiekun_persistence::timeline::{Subject, TimelineEntry, TimelineSort};
use opiekun_persistence::{Page, Tx, customers, threads, timeline};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

pub fn routes(config: &mut ServiceConfig) {
    config.service(list_customer_timeline).service(list_thread_timeline);
}

/// Something that happened, or is planned to, told apart by `kind`. New kinds may come.
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
    /// Work to do.
    Task {
        /// When it is due, else when it begins, else when it was written down.
        at: DateTime<Utc>,
        task: TaskBody,
    },
    /// Time that was spent on a task.
    WorkEntry {
        /// When it began.
        at: DateTime<Utc>,
        work_entry: WorkEntryBody,
    },
    /// A file that was put on a record.
    Attachment {
        /// When it was put there.
        at: DateTime<Utc>,
        attachment: AttachmentBody,
    },
    /// What the customer answered to a survey, in whole or so far.
    SurveyResponse {
        /// When it was completed, else begun.
        at: DateTime<Utc>,
        survey_response: SurveyResponseBody,
    },
}

/// The bodies of a page's entries: the statements of the tasks' bodies beside, however many there are.
fn bodies(tx: &mut Tx<'_>, entries: Vec<TimelineEntry>) -> Result<Vec<TimelineEntryBody>, ApiError> {
    let of_tasks = entries.iter().filter_map(|entry| match entry {
        TimelineEntry::Task(row) => Some(row.clone()),
        TimelineEntry::Interaction(_)
        | TimelineEntry::WorkEntry(_)
        | TimelineEntry::Attachment(_)
        | TimelineEntry::SurveyResponse(_) => None,
    });
    let mut task_bodies = tasks::bodies(tx, of_tasks.collect())?.into_iter();
    let body = |entry| match entry {
        TimelineEntry::Interaction(row) => {
            Some(TimelineEntryBody::Interaction { at: row.fields.started_at, interaction: row.into() })
        }
        TimelineEntry::Task(row) => Some(TimelineEntryBody::Task { at: row.dated_at, task: task_bodies.next()? }),
        TimelineEntry::WorkEntry(row) => {
            Some(TimelineEntryBody::WorkEntry { at: row.fields.started_at, work_entry: row.into() })
        }
        TimelineEntry::Attachment(row) => {
            Some(TimelineEntryBody::Attachment { at: row.0.created_at, attachment: row.into() })
        }
        TimelineEntry::SurveyResponse(row) => {
            Some(TimelineEntryBody::SurveyResponse { at: row.dated_at, survey_response: row.into() })
        }
    };
    Ok(entries.into_iter().filter_map(body).collect())
}

impl Sorting for TimelineSort {
    const WORDS: &'static [(&'static str, Self)] = &[("at", Self::At)];
}

/// Show a customer's timeline.
///
/// Everything that happened with the customer or is planned to, the latest first: contacts, tasks, the time spent on them,
/// files, and responses to surveys; files those on invoices only for whoever has `billing:read`. Each entry has a `kind` and, under the kind's name,
/// the record itself.
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
    let reader = actor.reader();
    state
        .snapshot(scope, move |tx| {
            customers::find(tx, id.0)?;
            list(tx, reader, Subject::Customer(id.0), &listing, &shape)
        })
        .await
}

/// Show a thread's timeline.
///
/// Everything in the matter, the latest first: contacts, tasks, the time spent on them, files, and responses to surveys.
/// Each entry has a `kind` and, under the kind's name, the record itself.
#[utoipa::path(tag = "Threads", security(("sign_in" = ["crm:read"])), params(Listing<TimelineSort>),
    responses((status = 200, body = PageBody<TimelineEntryBody>)))]
#[get("/threads/{id}/timeline")]
async fn list_thread_timeline(
    state: web::Data<State>,
    actor: Actor,
    id: Id<ThreadId>,
    listing: Listing<TimelineSort>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmRead)?;
    let reader = actor.reader();
    state
        .snapshot(scope, move |tx| {
            threads::find(tx, id.0)?;
            list(tx, reader, Subject::Thread(id.0), &listing, &shape)
        })
        .await
}

fn list(
    tx: &mut Tx<'_>,
    reader: Reader,
    subject: Subject,
    listing: &Listing<TimelineSort>,
    shape: &Shape,
) -> Result<Reply, ApiError> {
    let Page { items, next, total } = timeline::list(tx, reader, subject, &listing.page)?;
    let items = bodies(tx, items)?;
    shape.page(tx, Page { items, next, total })
}
