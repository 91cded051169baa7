//! Threads: interactions and tasks about one matter, what they cost, and who still owes what.

use crate::actor::Actor;
use crate::body::{Patch, Valid};
use crate::customers::check_caretaker;
use crate::listing::{AnyOf, Filters, Id, Listing};
use crate::once::Once;
use crate::precondition::IfMatch;
use crate::problem::ApiError;
use crate::reply::Reply;
use crate::shape::{PageBody, Shape};
use crate::state::State;
use crate::values::{WorkItemBody, tags_schema};
use actix_web::{delete, get, patch, post, web};
use chrono::{DateTime, Utc};
use opiekun_domain::currency::Currency;
use opiekun_domain::decimal::AmountSum;
use opiekun_domain::ids::{CustomerId, OperatorId, ThreadId};
use opiekun_domain::permission::Permission;
use opiekun_domain::thread::ThreadStatus;
use opiekun_domain::work_item::{WorkItem, WorkItemType};
use opiekun_persistence::thread_summary::{ThreadOperator, ThreadSums};
use opiekun_persistence::threads::{Carried, Thread, ThreadFields, ThreadFilter};
use opiekun_persistence::{
    Page, StoreError, Tx, interactions, month_locks, organizations, tasks, thread_summary, threads, work_tree,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;
use validator::Validate;

pub fn routes(config: &mut ServiceConfig) {
    config
        .service(list_threads)
        .service(create_thread)
        .service(get_thread)
        .service(update_thread)
        .service(delete_thread)
        .service(get_thread_summary)
        .service(add_thread_item)
        .service(remove_thread_item)
        .service(merge_threads);
}

/// What a caller may write of a thread.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct ThreadInput {
    #[schema(min_length = 1, max_length = 240, example = "Tax inspection")]
    pub subject: String,
    #[schema(max_length = 10000)]
    #[serde(default)]
    pub description: Option<String>,
    #[serde(default)]
    pub customer_id: Option<CustomerId>,
    /// The operator responsible; the caller unless told.
    #[serde(default)]
    pub caretaker_id: Option<OperatorId>,
    /// Whether the matter goes on. Closing it leaves its tasks as they are.
    #[schema(default = "open")]
    #[serde(default = "open")]
    pub status: ThreadStatus,
    #[schema(schema_with = tags_schema)]
    #[serde(default)]
    pub tags: Vec<String>,
}

const fn open() -> ThreadStatus {
    ThreadStatus::Open
}

/// A matter: interactions and tasks that belong together.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Thread)]
pub struct ThreadBody {
    pub id: ThreadId,
    #[serde(flatten)]
    pub thread: ThreadInput,
    /// The operator who opened it; null where a script did.
    pub registered_by_id: Option<OperatorId>,
    pub closed_at: Option<DateTime<Utc>>,
    /// The thread that everything in it went to: it takes nothing more.
    pub merged_into_id: Option<ThreadId>,
    /// Counts up with every change; `ETag` holds it too.
    #[schema(minimum = 1)]
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl From<Thread> for ThreadBody {
    fn from(row: Thread) -> Self {
        let Thread { id, registered_by_id, fields, closed_at, merged_into_id, version, created_at, updated_at } = row;
        Self { id, thread: fields.into(), registered_by_id, closed_at, merged_into_id, version, created_at, updated_at }
    }
}

impl From<ThreadFields> for ThreadInput {
    fn from(fields: ThreadFields) -> Self {
        let ThreadFields { subject, description, customer_id, caretaker_id, status, tags } = fields;
        Self { subject, description, customer_id, caretaker_id, status, tags }
    }
}

impl From<ThreadInput> for ThreadFields {
    fn from(input: ThreadInput) -> Self {
        let ThreadInput { subject, description, customer_id, caretaker_id, status, tags } = input;
        Self { subject, description, customer_id, caretaker_id, status, tags }
    }
}

/// The bodies of those that exist, for expansion.
pub(crate) fn bodies(tx: &mut Tx<'_>, ids: &[ThreadId]) -> Result<Vec<Value>, ApiError> {
    let bodies = threads::find_all(tx, ids)?.into_iter().map(ThreadBody::from);
    bodies.map(|body| serde_json::to_value(body).map_err(ApiError::internal)).collect()
}

/// What was merged into another thread takes nothing more.
pub(crate) fn check_takes(tx: &mut Tx<'_>, id: Option<ThreadId>) -> Result<(), ApiError> {
    match id {
        Some(id) if threads::merged_into(tx, id)?.is_some() => {
            Err(ApiError::state_invalid("merged", "The thread was merged into another one"))
        }
        _ => Ok(()),
    }
}

/// Which threads.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ThreadQuery {
    customer_id: Option<CustomerId>,
    caretaker_id: Option<OperatorId>,
    status: Option<ThreadStatus>,
    /// Those that were merged into one.
    merged_into_id: Option<ThreadId>,
    /// Any of these tags.
    #[param(value_type = Option<Vec<String>>, max_items = 20)]
    tag: Option<AnyOf<String>>,
}

impl From<ThreadQuery> for ThreadFilter {
    fn from(query: ThreadQuery) -> Self {
        Self {
            customer_id: query.customer_id,
            caretaker_id: query.caretaker_id,
            status: query.status,
            merged_into_id: query.merged_into_id,
            tags: query.tag.map(|tags| tags.0),
        }
    }
}

/// List threads.
///
/// The newest first.
#[utoipa::path(tag = "Threads", security(("sign_in" = ["crm:read"])), params(ThreadQuery, Listing<()>),
    responses((status = 200, body = PageBody<ThreadBody>)))]
#[get("/threads")]
async fn list_threads(
    state: web::Data<State>,
    actor: Actor,
    filters: Filters<ThreadQuery>,
    listing: Listing<()>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmRead)?;
    state
        .read(scope, move |tx| {
            let Page { items, next, total } = threads::list(tx, &filters.0.into(), &listing.page)?;
            let items = items.into_iter().map(ThreadBody::from).collect();
            shape.page(tx, Page { items, next, total })
        })
        .await
}

/// Open a thread.
///
/// Empty at first: interactions and tasks name it as their `thread_id`, or are added to its items.
#[utoipa::path(tag = "Threads", security(("sign_in" = ["crm:write"])), request_body = ThreadInput,
    responses((status = 201, body = ThreadBody)))]
#[post("/threads")]
async fn create_thread(
    state: web::Data<State>,
    actor: Actor,
    once: Once,
    input: Valid<ThreadInput>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmWrite)?;
    let mut fields = ThreadFields::from(input.0);
    state
        .submit(scope, once, move |tx| {
            fields.caretaker_id = fields.caretaker_id.or(actor.operator_id());
            check_caretaker(&actor.authority(tx)?, tx, None, fields.caretaker_id)?;
            let thread = threads::create(tx, fields)?;
            let location = format!("/api/v1/threads/{}", thread.id);
            Ok(Reply::created(&location, thread.version, &ThreadBody::from(thread)))
        })
        .await
}

/// Show a thread.
///
/// Without what is in it: see its timeline and summary.
#[utoipa::path(tag = "Threads", security(("sign_in" = ["crm:read"])), responses((status = 200, body = ThreadBody)))]
#[get("/threads/{id}")]
async fn get_thread(state: web::Data<State>, actor: Actor, id: Id<ThreadId>, shape: Shape) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmRead)?;
    state
        .read(scope, move |tx| {
            let thread = threads::find(tx, id.0)?;
            shape.one(tx, thread.version, &ThreadBody::from(thread))
        })
        .await
}

/// Change a thread.
///
/// Who opened it may, its caretaker, and those above them. One that was merged into another stays as it is.
#[utoipa::path(tag = "Threads", security(("sign_in" = ["crm:write"])), params(IfMatch),
    request_body(content = ThreadInput, content_type = "application/merge-patch+json"),
    responses((status = 200, body = ThreadBody)))]
#[patch("/threads/{id}")]
async fn update_thread(
    state: web::Data<State>,
    actor: Actor,
    id: Id<ThreadId>,
    seen: IfMatch,
    patch: Patch<ThreadInput>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmWrite)?;
    state
        .transaction(scope, move |tx| {
            let thread = lock(tx, &actor, id.0, seen.0)?;
            let fields = ThreadFields::from(patch.apply(&thread.fields.clone().into())?);
            check_caretaker(&actor.authority(tx)?, tx, thread.fields.caretaker_id, fields.caretaker_id)?;
            let thread = threads::update(tx, &thread, fields)?;
            Ok(Reply::at_version(thread.version, &ThreadBody::from(thread)))
        })
        .await
}

/// A thread that is the caller's to change.
fn lock(tx: &mut Tx<'_>, actor: &Actor, id: ThreadId, seen: Option<i32>) -> Result<Thread, ApiError> {
    let thread = threads::lock(tx, id, seen)?;
    actor.authority(tx)?.may_change(&thread.holders()).map_err(ApiError::forbidden)?;
    if thread.merged_into_id.is_some() {
        return Err(ApiError::state_invalid("merged", "The thread was merged into another one"));
    }
    Ok(thread)
}

/// Remove a thread.
///
/// For what was opened by mistake: refused while anything is in it. The files on it are taken off, and go where they are on
/// nothing else. The audit log keeps it.
#[utoipa::path(tag = "Threads", security(("sign_in" = ["crm:write"])), params(IfMatch), responses((status = 204)))]
#[delete("/threads/{id}")]
async fn delete_thread(
    state: web::Data<State>,
    actor: Actor,
    id: Id<ThreadId>,
    seen: IfMatch,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmWrite)?;
    state
        .transaction(scope, move |tx| {
            let thread = lock(tx, &actor, id.0, seen.0)?;
            threads::delete(tx, &thread)?;
            Ok(Reply::empty())
        })
        .await
}

/// What a matter comes to.
#[derive(Debug, Serialize, ToSchema)]
pub struct ThreadSummary {
    thread_id: ThreadId,
    /// Those that were held.
    #[schema(minimum = 0, example = 9)]
    interactions: i64,
    /// Those that are still to come.
    #[schema(minimum = 0, example = 1)]
    planned_interactions: i64,
    #[schema(minimum = 0, example = 12)]
    work_entries: i64,
    /// Of interactions that were held and of work entries together, as all sums of time here.
    #[schema(minimum = 0, example = 1525)]
    minutes: i64,
    #[schema(minimum = 0, example = 1400)]
    billable_minutes: i64,
    #[schema(minimum = 0, example = 1550)]
    billed_minutes: i64,
    /// Minutes of entries without a cost in the organization's currency: they are missing from `cost`.
    #[schema(minimum = 0, example = 0)]
    unpriced_minutes: i64,
    /// The sum of the entries' costs, each of them rounded.
    #[schema(example = "3875.00")]
    cost: AmountSum,
    /// The currency of all costs: the organization's.
    currency: Currency,
    #[schema(minimum = 0, example = 9)]
    tasks: i64,
    /// Those where something is left to do.
    #[schema(minimum = 0, example = 5)]
    open_tasks: i64,
    #[schema(minimum = 0, example = 2)]
    overdue_tasks: i64,
    #[schema(minimum = 0, example = 4)]
    done_tasks: i64,
    #[schema(minimum = 0, example = 0)]
    cancelled_tasks: i64,
    /// How far the matter has come: the mean of its tasks that hang directly below no other task of it, weighted by planned
    /// minutes and rounded down.
    #[schema(minimum = 0, maximum = 100, example = 61)]
    percent_done: i16,
    /// When the next open task is due that is not overdue yet.
    next_due_at: Option<DateTime<Utc>>,
    /// When the first of its interactions and work entries began, and the last.
    first_at: Option<DateTime<Utc>>,
    last_at: Option<DateTime<Utc>>,
    /// Who has spent time on it or still owes work; whoever is late comes first.
    #[schema(max_items = 10000)]
    operators: Vec<ThreadOperatorBody>,
}

/// What one operator has spent on a matter, and still owes.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ThreadOperator)]
pub struct ThreadOperatorBody {
    /// Null for tasks that are nobody's.
    operator_id: Option<OperatorId>,
    #[schema(max_length = 160, example = "Jan Kowalski")]
    operator_name: Option<String>,
    /// Of which it is caretaker.
    #[schema(minimum = 0, example = 2)]
    open_tasks: i64,
    #[schema(minimum = 0, example = 1)]
    overdue_tasks: i64,
    #[schema(minimum = 0, example = 335)]
    minutes: i64,
    #[schema(example = "837.50")]
    cost: AmountSum,
}

impl From<ThreadOperator> for ThreadOperatorBody {
    fn from(row: ThreadOperator) -> Self {
        let ThreadOperator { operator_id, operator_name, open_tasks, overdue_tasks, minutes, cost } = row;
        Self { operator_id, operator_name, open_tasks, overdue_tasks, minutes, cost }
    }
}

/// Show what a thread comes to.
///
/// Time and cost of the whole matter, how far it has come, and who still owes what.
#[utoipa::path(tag = "Threads", security(("sign_in" = ["crm:read"])),
    responses((status = 200, body = ThreadSummary)))]
#[get("/threads/{id}/summary")]
async fn get_thread_summary(state: web::Data<State>, actor: Actor, id: Id<ThreadId>) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmRead)?;
    state
        .snapshot(scope, move |tx| {
            threads::find(tx, id.0)?;
            let currency = organizations::find(tx)?.fields.currency;
            let sums = thread_summary::sums(tx, id.0, currency)?;
            let operators = thread_summary::operators(tx, id.0, currency)?;
            let percent_done = sums.percent_done();
            let ThreadSums {
                interactions,
                planned_interactions,
                work_entries,
                minutes,
                billable_minutes,
                billed_minutes,
                unpriced_minutes,
                cost,
                tasks,
                open_tasks,
                overdue_tasks,
                done_tasks,
                cancelled_tasks,
                next_due_at,
                first_at,
                last_at,
                ..
            } = sums;
            Ok(Reply::ok(&ThreadSummary {
                thread_id: id.0,
                interactions,
                planned_interactions,
                work_entries,
                minutes,
                billable_minutes,
                billed_minutes,
                unpriced_minutes,
                cost,
                currency,
                tasks,
                open_tasks,
                overdue_tasks,
                done_tasks,
                cancelled_tasks,
                percent_done,
                next_due_at,
                first_at,
                last_at,
                operators: operators.into_iter().map(ThreadOperatorBody::from).collect(),
            }))
        })
        .await
}

/// How much went along.
#[derive(Debug, Serialize, ToSchema)]
pub struct CarriedItems {
    #[schema(minimum = 0, example = 4)]
    tasks: usize,
    #[schema(minimum = 0, example = 1)]
    interactions: usize,
}

impl From<Carried> for CarriedItems {
    fn from(carried: Carried) -> Self {
        let Carried { tasks, interactions } = carried;
        Self { tasks, interactions }
    }
}

/// Link a task or an interaction into a thread.
///
/// With everything that hangs below it, and the time spent on it. From another thread it goes out. The item has to be
/// the caller's to change; what is in the thread already stays.
#[utoipa::path(tag = "Threads", security(("sign_in" = ["crm:write"])), request_body = WorkItemBody,
    responses((status = 200, body = CarriedItems)))]
#[post("/threads/{id}/items")]
async fn add_thread_item(
    state: web::Data<State>,
    actor: Actor,
    id: Id<ThreadId>,
    once: Once,
    item: Valid<WorkItemBody>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmWrite)?;
    state
        .submit(scope, once, move |tx| {
            work_tree::change(tx)?;
            month_locks::hold(tx)?;
            threads::find(tx, id.0)?;
            check_takes(tx, Some(id.0))?;
            let item = WorkItem::from(item.0);
            let Some(Found { holders, .. }) = found(tx, item)? else {
                return Err(StoreError::no_reference("work_items", "id").into());
            };
            actor.authority(tx)?.may_change(&holders).map_err(ApiError::forbidden)?;
            Ok(Reply::ok(&CarriedItems::from(threads::carry(tx, item, Some(id.0))?)))
        })
        .await
}

/// What linking asks of an item.
struct Found {
    /// Whose work it is.
    holders: Vec<OperatorId>,
    thread_id: Option<ThreadId>,
}

/// The item, locked; `None` where there is none.
fn found(tx: &mut Tx<'_>, item: WorkItem) -> Result<Option<Found>, ApiError> {
    let found = match item {
        WorkItem::Task(id) => {
            tasks::lock(tx, id, None).map(|task| Found { holders: task.holders(), thread_id: task.fields.thread_id })
        }
        WorkItem::Interaction(id) => interactions::lock(tx, id, None)
            .map(|interaction| Found { holders: interaction.holders(), thread_id: interaction.fields.thread_id }),
    };
    match found {
        Ok(found) => Ok(Some(found)),
        Err(StoreError::NotFound(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Which item.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ItemQuery {
    #[serde(rename = "type")]
    kind: WorkItemType,
    item_id: Uuid,
}

/// Take a task or an interaction out of a thread.
///
/// With everything that hangs below it. It then belongs to no thread.
#[utoipa::path(tag = "Threads", security(("sign_in" = ["crm:write"])), params(ItemQuery),
    responses((status = 200, body = CarriedItems)))]
#[delete("/threads/{id}/items")]
async fn remove_thread_item(
    state: web::Data<State>,
    actor: Actor,
    id: Id<ThreadId>,
    query: Filters<ItemQuery>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmWrite)?;
    let item = WorkItem::new(query.0.kind, query.0.item_id);
    state
        .transaction(scope, move |tx| {
            work_tree::change(tx)?;
            month_locks::hold(tx)?;
            threads::find(tx, id.0)?;
            let in_thread = found(tx, item)?.filter(|found| found.thread_id == Some(id.0));
            let Found { holders, .. } = in_thread.ok_or_else(|| ApiError::not_found("item in this thread"))?;
            actor.authority(tx)?.may_change(&holders).map_err(ApiError::forbidden)?;
            Ok(Reply::ok(&CarriedItems::from(threads::carry(tx, item, None)?)))
        })
        .await
}

/// Which thread is merged into this one.
#[derive(Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct ThreadMerge {
    /// Everything in it goes over; it is closed for good and tells where that went.
    pub thread_id: ThreadId,
}

/// Merge another thread into this one.
///
/// Its interactions and tasks come over, with the time spent on them, and so do the files on it. This thread keeps its
/// subject and status. Both have to be the caller's to change.
#[utoipa::path(tag = "Threads", security(("sign_in" = ["crm:write"])), request_body = ThreadMerge,
    responses((status = 200, body = CarriedItems)))]
#[post("/threads/{id}/merges")]
async fn merge_threads(
    state: web::Data<State>,
    actor: Actor,
    id: Id<ThreadId>,
    once: Once,
    merge: Valid<ThreadMerge>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmWrite)?;
    let from = merge.0.thread_id;
    if from == id.0 {
        return Err(ApiError::invalid_field("/thread_id", "differs", "Another thread is expected"));
    }
    state
        .submit(scope, once, move |tx| {
            work_tree::change(tx)?;
            month_locks::hold(tx)?;
            // One merge at a time: all of them change the trees' threads under one lock.
            let into = lock(tx, &actor, id.0, None)?;
            let from = match lock(tx, &actor, from, None) {
                Err(error) if error.code == crate::problem::Code::NotFound => {
                    return Err(StoreError::no_reference("threads", "thread_id").into());
                }
                other => other?,
            };
            Ok(Reply::ok(&CarriedItems::from(threads::merge(tx, &from, &into)?)))
        })
        .await
}
