//! Work entries: the time that somebody spent on a task, and what that time costs.

use crate::actor::Actor;
use crate::body::{Patch, Valid};
use crate::customers::check_assignment;
use crate::listing::{Filters, Id, Listing, Sorting};
use crate::once::Once;
use crate::precondition::IfMatch;
use crate::problem::ApiError;
use crate::reply::Reply;
use crate::shape::{PageBody, Shape};
use crate::state::State;
use actix_web::{delete, get, patch, post, web};
use chrono::{DateTime, Utc};
use opiekun_domain::cost::RateSource;
use opiekun_domain::currency::Currency;
use opiekun_domain::decimal::{Amount, HourlyRate};
use opiekun_domain::ids::{CustomerId, InvoiceId, OperatorId, OpportunityId, StageId, TaskId, ThreadId, WorkEntryId};
use opiekun_domain::permission::Permission;
use opiekun_persistence::work_entries::{
    WorkEntry, WorkEntryFields, WorkEntryFilter, WorkEntryPricing, WorkEntrySort, WorkEntryTies,
};
use opiekun_persistence::{Page, tasks, work_entries};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use validator::Validate;

pub fn routes(config: &mut ServiceConfig) {
    config
        .service(list_work_entries)
        .service(list_task_work_entries)
        .service(create_work_entry)
        .service(get_work_entry)
        .service(update_work_entry)
        .service(delete_work_entry);
}

/// What a caller may write of a work entry.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct WorkEntryInput {
    /// What was worked on. The entry can move to another task.
    pub task_id: TaskId,
    /// Who worked; the caller unless told, or somebody below the caller. A script has to tell.
    #[serde(default)]
    pub operator_id: Option<OperatorId>,
    pub started_at: DateTime<Utc>,
    /// Whole minutes, at most a week.
    #[schema(minimum = 1, maximum = 10080, example = 45)]
    pub duration_minutes: i32,
    #[schema(max_length = 10000, example = "Entered the invoices of October")]
    #[serde(default)]
    pub note: Option<String>,
    /// Whether the time is to be billed. It costs as much either way.
    #[schema(default = true)]
    #[serde(default = "yes")]
    pub billable: bool,
    /// A rate of its own, in the organization's currency, before those of the customer, the operator and the
    /// organization.
    #[serde(default)]
    pub hourly_rate: Option<HourlyRate>,
}

const fn yes() -> bool {
    true
}

/// Time that somebody spent on a task.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WorkEntry)]
pub struct WorkEntryBody {
    pub id: WorkEntryId,
    #[serde(flatten)]
    pub entry: WorkEntryInput,
    /// The task's customer. It changes with the task, as thread and opportunity do.
    pub customer_id: Option<CustomerId>,
    /// The task's thread.
    pub thread_id: Option<ThreadId>,
    /// The task's opportunity.
    pub opportunity_id: Option<OpportunityId>,
    /// Where the opportunity stood when the work began; later moves leave it as it is.
    pub stage_id: Option<StageId>,
    /// The operator who wrote it down; null where a script did.
    pub registered_by_id: Option<OperatorId>,
    /// The minutes as they are billed: rounded up by the customer's rule, else the organization's.
    #[schema(minimum = 0, example = 45)]
    pub billed_minutes: i32,
    /// The rate that holds for it; null where none was in force on its day. It stays when rates change later.
    #[schema(example = "150.00")]
    pub resolved_rate: Option<HourlyRate>,
    /// Where that rate comes from.
    pub rate_source: Option<RateSource>,
    /// Billed minutes × rate ÷ 60, rounded half away from zero to 0.01.
    #[schema(example = "112.50")]
    pub cost: Option<Amount>,
    /// The currency of its rates and cost: the organization's.
    pub currency: Currency,
    /// The invoice, issued or still a draft, that bills it.
    pub invoice_id: Option<InvoiceId>,
    /// Counts up with every change; `ETag` holds it too.
    #[schema(minimum = 1)]
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl From<WorkEntry> for WorkEntryBody {
    fn from(row: WorkEntry) -> Self {
        let WorkEntry { id, registered_by_id, fields, ties, pricing, invoice_id, version, created_at, updated_at } =
            row;
        let WorkEntryTies { customer_id, thread_id, opportunity_id, stage_id } = ties;
        let WorkEntryPricing { billed_minutes, resolved_rate, rate_source, cost, currency } = pricing;
        Self {
            id,
            entry: fields.into(),
            customer_id,
            thread_id,
            opportunity_id,
            stage_id,
            registered_by_id,
            billed_minutes,
            resolved_rate,
            rate_source,
            cost,
            currency,
            invoice_id,
            version,
            created_at,
            updated_at,
        }
    }
}

impl From<WorkEntryFields> for WorkEntryInput {
    fn from(fields: WorkEntryFields) -> Self {
        let WorkEntryFields { task_id, operator_id, started_at, duration_minutes, note, billable, hourly_rate } =
            fields;
        Self { task_id, operator_id: Some(operator_id), started_at, duration_minutes, note, billable, hourly_rate }
    }
}

impl WorkEntryInput {
    fn fields(self, actor: &Actor) -> Result<WorkEntryFields, ApiError> {
        let operator_id = self
            .operator_id
            .or(actor.operator_id())
            .ok_or_else(|| ApiError::invalid_field("/operator_id", "required", "A script tells who worked"))?;
        Ok(WorkEntryFields {
            task_id: self.task_id,
            operator_id,
            started_at: self.started_at,
            duration_minutes: self.duration_minutes,
            note: self.note,
            billable: self.billable,
            hourly_rate: self.hourly_rate,
        })
    }
}

impl Sorting for WorkEntrySort {
    const WORDS: &'static [(&'static str, Self)] = &[("started_at", Self::StartedAt), ("created_at", Self::CreatedAt)];
}

/// Which entries.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct WorkEntryQuery {
    task_id: Option<TaskId>,
    customer_id: Option<CustomerId>,
    thread_id: Option<ThreadId>,
    opportunity_id: Option<OpportunityId>,
    /// Who worked.
    operator_id: Option<OperatorId>,
    billable: Option<bool>,
    /// Those that an invoice bills, or those that none does.
    invoiced: Option<bool>,
    #[serde(rename = "started_at[gte]")]
    started_from: Option<DateTime<Utc>>,
    #[serde(rename = "started_at[lt]")]
    started_before: Option<DateTime<Utc>>,
}

impl From<WorkEntryQuery> for WorkEntryFilter {
    fn from(query: WorkEntryQuery) -> Self {
        let WorkEntryQuery {
            task_id,
            customer_id,
            thread_id,
            opportunity_id,
            operator_id,
            billable,
            invoiced,
            started_from,
            started_before,
        } = query;
        Self {
            task_id,
            customer_id,
            thread_id,
            opportunity_id,
            operator_id,
            billable,
            invoiced,
            started_from,
            started_before,
        }
    }
}

/// List work entries.
///
/// The latest to begin first.
#[utoipa::path(tag = "Work entries", security(("sign_in" = ["crm:read"])),
    params(WorkEntryQuery, Listing<WorkEntrySort>), responses((status = 200, body = PageBody<WorkEntryBody>)))]
#[get("/work-entries")]
async fn list_work_entries(
    state: web::Data<State>,
    actor: Actor,
    filters: Filters<WorkEntryQuery>,
    listing: Listing<WorkEntrySort>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmRead)?;
    state
        .read(scope, move |tx| {
            let Page { items, next, total } = work_entries::list(tx, &filters.0.into(), &listing.page)?;
            let items = items.into_iter().map(WorkEntryBody::from).collect();
            shape.page(tx, Page { items, next, total })
        })
        .await
}

/// List the work entries of a task.
///
/// Those of the task itself, not of what hangs below it, the latest to begin first.
#[utoipa::path(tag = "Work entries", security(("sign_in" = ["crm:read"])), params(Listing<WorkEntrySort>),
    responses((status = 200, body = PageBody<WorkEntryBody>)))]
#[get("/tasks/{id}/work-entries")]
async fn list_task_work_entries(
    state: web::Data<State>,
    actor: Actor,
    id: Id<TaskId>,
    listing: Listing<WorkEntrySort>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmRead)?;
    state
        .read(scope, move |tx| {
            tasks::find(tx, id.0)?;
            let filter = WorkEntryFilter { task_id: Some(id.0), ..WorkEntryFilter::default() };
            let Page { items, next, total } = work_entries::list(tx, &filter, &listing.page)?;
            let items = items.into_iter().map(WorkEntryBody::from).collect();
            shape.page(tx, Page { items, next, total })
        })
        .await
}

/// Write down time spent on a task.
///
/// It is of the task's customer, thread and opportunity, and priced at once: its minutes are rounded up by the
/// customer's rule, and its own rate counts, else the one in force on its day of the customer, the operator or the
/// organization, the first that there is. In a locked month there is 409.
#[utoipa::path(tag = "Work entries", security(("sign_in" = ["crm:write"])), request_body = WorkEntryInput,
    responses((status = 201, body = WorkEntryBody)))]
#[post("/work-entries")]
async fn create_work_entry(
    state: web::Data<State>,
    actor: Actor,
    once: Once,
    input: Valid<WorkEntryInput>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmWrite)?;
    let fields = input.0.fields(&actor)?;
    state
        .submit(scope, once, move |tx| {
            check_assignment(&actor.authority(tx)?, None, Some(fields.operator_id))?;
            let entry = work_entries::create(tx, fields)?;
            let location = format!("/api/v1/work-entries/{}", entry.id);
            Ok(Reply::created(&location, entry.version, &WorkEntryBody::from(entry)))
        })
        .await
}

/// Show a work entry.
///
/// With the rate and cost that it was priced at.
#[utoipa::path(tag = "Work entries", security(("sign_in" = ["crm:read"])),
    responses((status = 200, body = WorkEntryBody)))]
#[get("/work-entries/{id}")]
async fn get_work_entry(
    state: web::Data<State>,
    actor: Actor,
    id: Id<WorkEntryId>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmRead)?;
    state
        .read(scope, move |tx| {
            let entry = work_entries::find(tx, id.0)?;
            shape.one(tx, entry.version, &WorkEntryBody::from(entry))
        })
        .await
}

/// Change a work entry.
///
/// Who worked may, who registered it, and those above them. It keeps its rate unless something changes that its price
/// depends on (customer, operator, start, duration, own rate), or it had no rate: then it is priced anew, by the rates
/// of its day. In a locked month, and where it is invoiced, only the note changes; for the rest there is 409.
#[utoipa::path(tag = "Work entries", security(("sign_in" = ["crm:write"])), params(IfMatch),
    request_body(content = WorkEntryInput, content_type = "application/merge-patch+json"),
    responses((status = 200, body = WorkEntryBody)))]
#[patch("/work-entries/{id}")]
async fn update_work_entry(
    state: web::Data<State>,
    actor: Actor,
    id: Id<WorkEntryId>,
    seen: IfMatch,
    patch: Patch<WorkEntryInput>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmWrite)?;
    let moves_to = patch.field("task_id").and_then(Value::as_str).and_then(|id| id.parse().ok());
    state
        .transaction(scope, move |tx| {
            let entry = work_entries::lock(tx, id.0, seen.0, moves_to)?;
            let authority = actor.authority(tx)?;
            authority.may_change(&entry.holders()).map_err(ApiError::forbidden)?;
            let fields = patch.apply(&entry.fields.clone().into())?.fields(&actor)?;
            check_assignment(&authority, Some(entry.fields.operator_id), Some(fields.operator_id))?;
            let entry = work_entries::update(tx, &entry, fields)?;
            Ok(Reply::at_version(entry.version, &WorkEntryBody::from(entry)))
        })
        .await
}

/// Remove a work entry.
///
/// For what was written down by mistake. The audit log keeps it. In a locked month there is 409, and where it is
/// invoiced.
#[utoipa::path(tag = "Work entries", security(("sign_in" = ["crm:write"])), params(IfMatch),
    responses((status = 204)))]
#[delete("/work-entries/{id}")]
async fn delete_work_entry(
    state: web::Data<State>,
    actor: Actor,
    id: Id<WorkEntryId>,
    seen: IfMatch,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmWrite)?;
    state
        .transaction(scope, move |tx| {
            let entry = work_entries::lock(tx, id.0, seen.0, None)?;
            actor.authority(tx)?.may_change(&entry.holders()).map_err(ApiError::forbidden)?;
            work_entries::delete(tx, &entry)?;
            Ok(Reply::empty())
        })
        .await
}
