//! Interactions: single contacts with customers, each with the time it took and what that time costs.

use crate::actor::Actor;
use crate::body::{Patch, Valid};
use crate::customers::check_caretaker;
use crate::listing::{AnyOf, Filters, Id, Listing, Sorting};
use crate::once::Once;
use crate::precondition::IfMatch;
use crate::problem::ApiError;
use crate::reply::Reply;
use crate::shape::{PageBody, Shape};
use crate::state::State;
use crate::tasks::{self, FollowUpTask, TaskBody};
use crate::threads::check_takes;
use crate::values::{WorkItemBody, tags_schema};
use actix_web::{delete, get, patch, post, web};
use chrono::{DateTime, Utc};
use opiekun_domain::cost::RateSource;
use opiekun_domain::currency::Currency;
use opiekun_domain::decimal::{Amount, HourlyRate};
use opiekun_domain::ids::{
    CustomerId, InteractionId, InvoiceId, OperatorId, OpportunityId, PersonId, StageId, TaskId, ThreadId,
};
use opiekun_domain::interaction::{Channel, Direction, InteractionStatus};
use opiekun_domain::permission::Permission;
use opiekun_domain::work_item::WorkItem;
use opiekun_persistence::interactions::{Interaction, InteractionFields, InteractionFilter, InteractionSort, Pricing};
use opiekun_persistence::{Page, interactions, threads, work_tree};
use serde::{Deserialize, Serialize};
use utoipa::openapi::extensions::ExtensionsBuilder;
use utoipa::openapi::schema::{AllOfBuilder, ObjectBuilder, OneOfBuilder, SchemaType, Type};
use utoipa::openapi::{Ref, RefOr, Schema};
use utoipa::{IntoParams, PartialSchema, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use validator::Validate;

pub fn routes(config: &mut ServiceConfig) {
    config
        .service(list_interactions)
        .service(create_interaction)
        .service(get_interaction)
        .service(update_interaction)
        .service(delete_interaction);
}

/// What a caller may write of an interaction.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct InteractionInput {
    pub customer_id: CustomerId,
    /// Who was talked to: a person of that customer.
    #[serde(default)]
    pub person_id: Option<PersonId>,
    /// Who talked; the caller unless told. A script has to tell.
    #[serde(default)]
    pub operator_id: Option<OperatorId>,
    /// The operator responsible; the caller unless told, and the one who talked where a script writes it down.
    #[serde(default)]
    pub caretaker_id: Option<OperatorId>,
    pub channel: Channel,
    pub direction: Direction,
    /// Only what has been held counts in reports.
    #[schema(default = "held")]
    #[serde(default = "held")]
    pub status: InteractionStatus,
    pub started_at: DateTime<Utc>,
    /// Whole minutes, at most a week.
    #[schema(minimum = 0, maximum = 10080, example = 25, default = 0)]
    #[serde(default)]
    pub duration_minutes: i32,
    #[schema(min_length = 1, max_length = 240, example = "Questions about the VAT return of October")]
    pub subject: String,
    #[schema(max_length = 10000)]
    #[serde(default)]
    pub description: Option<String>,
    /// What came of it.
    #[schema(max_length = 10000, example = "Return to be corrected by Friday")]
    #[serde(default)]
    pub outcome: Option<String>,
    /// Whether the time is to be billed. It costs as much either way.
    #[schema(default = true)]
    #[serde(default = "yes")]
    pub billable: bool,
    /// A rate of its own, in the organization's currency, before those of the customer, the operator and the
    /// organization.
    #[serde(default)]
    pub hourly_rate: Option<HourlyRate>,
    /// The sale that it was about: an opportunity of that customer.
    #[serde(default)]
    pub opportunity_id: Option<OpportunityId>,
    /// The matter that it was about; that of `parent` unless told when it is registered.
    #[serde(default)]
    pub thread_id: Option<ThreadId>,
    /// What it hangs below.
    #[serde(default)]
    pub parent: Option<WorkItemBody>,
    #[schema(schema_with = tags_schema)]
    #[serde(default)]
    pub tags: Vec<String>,
}

/// A new interaction, and the task that comes of it.
#[derive(Debug, Deserialize, Validate)]
pub struct InteractionRegistration {
    #[serde(flatten)]
    #[validate(nested)]
    interaction: InteractionInput,
    #[serde(default)]
    #[validate(nested)]
    follow_up_task: Option<FollowUpTask>,
}

/// One closed object with the fields of both.
impl PartialSchema for InteractionRegistration {
    fn schema() -> RefOr<Schema> {
        let RefOr::T(Schema::Object(mut object)) = InteractionInput::schema() else {
            return InteractionInput::schema();
        };
        let follow_up_task = OneOfBuilder::new()
            .item(ObjectBuilder::new().schema_type(SchemaType::Type(Type::Null)))
            .item(Ref::from_schema_name(FollowUpTask::name()));
        object.description =
            Some("What a caller may write of a new interaction, and of the task that comes of it.".into());
        object.properties.insert("follow_up_task".into(), follow_up_task.into());
        RefOr::T(Schema::Object(object))
    }
}

impl ToSchema for InteractionRegistration {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        InteractionInput::schemas(schemas);
        schemas.push((FollowUpTask::name().into_owned(), FollowUpTask::schema()));
        FollowUpTask::schemas(schemas);
    }
}

/// A registered interaction, and the task that was written down with it.
#[derive(Debug, Serialize, ToSchema)]
pub struct RegisteredInteraction {
    #[serde(flatten)]
    interaction: InteractionBody,
    /// Only where one was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = optional_task)]
    follow_up_task: Option<TaskBody>,
}

/// A reference alone would not keep the word that the field is not always there.
fn optional_task() -> Schema {
    let optional = ExtensionsBuilder::new().add("x-optional", true).build();
    let task = Ref::from_schema_name(TaskBody::name());
    Schema::AllOf(AllOfBuilder::new().item(task).extensions(Some(optional)).build())
}

const fn held() -> InteractionStatus {
    InteractionStatus::Held
}

const fn yes() -> bool {
    true
}

/// A contact with a customer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Interaction)]
pub struct InteractionBody {
    pub id: InteractionId,
    #[serde(flatten)]
    pub interaction: InteractionInput,
    /// Where the opportunity stood when it began; later moves leave it as it is.
    pub stage_id: Option<StageId>,
    /// The operator who wrote it down; null where a script did.
    pub registered_by_id: Option<OperatorId>,
    /// The minutes as they are billed: rounded up by the customer's rule, else the organization's.
    #[schema(minimum = 0, example = 30)]
    pub billed_minutes: i32,
    /// The rate that holds for it; null where none was in force on its day. It stays when rates change later.
    #[schema(example = "150.00")]
    pub resolved_rate: Option<HourlyRate>,
    /// Where that rate comes from.
    pub rate_source: Option<RateSource>,
    /// Billed minutes × rate ÷ 60, rounded half away from zero to 0.01.
    #[schema(example = "75.00")]
    pub cost: Option<Amount>,
    /// The currency of its rates and cost: the organization's.
    pub currency: Currency,
    /// The invoice, issued or still a draft, that bills its time.
    pub invoice_id: Option<InvoiceId>,
    /// Counts up with every change; `ETag` holds it too.
    #[schema(minimum = 1)]
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl From<Interaction> for InteractionBody {
    fn from(row: Interaction) -> Self {
        let Interaction {
            id,
            registered_by_id,
            fields,
            stage_id,
            pricing,
            invoice_id,
            version,
            created_at,
            updated_at,
        } = row;
        let Pricing { billed_minutes, resolved_rate, rate_source, cost, currency } = pricing;
        Self {
            id,
            interaction: fields.into(),
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

impl From<InteractionFields> for InteractionInput {
    fn from(fields: InteractionFields) -> Self {
        let parent = fields.parent().map(WorkItemBody::from);
        let InteractionFields {
            customer_id,
            person_id,
            operator_id,
            caretaker_id,
            channel,
            direction,
            status,
            started_at,
            duration_minutes,
            subject,
            description,
            outcome,
            billable,
            hourly_rate,
            opportunity_id,
            thread_id,
            parent_task_id: _,
            parent_interaction_id: _,
            tags,
        } = fields;
        Self {
            customer_id,
            person_id,
            operator_id: Some(operator_id),
            caretaker_id,
            channel,
            direction,
            status,
            started_at,
            duration_minutes,
            subject,
            description,
            outcome,
            billable,
            hourly_rate,
            opportunity_id,
            thread_id,
            parent,
            tags,
        }
    }
}

impl InteractionInput {
    fn fields(self, actor: &Actor) -> Result<InteractionFields, ApiError> {
        let operator_id = self
            .operator_id
            .or(actor.operator_id())
            .ok_or_else(|| ApiError::invalid_field("/operator_id", "required", "A script tells who talked"))?;
        let parent = self.parent.map(WorkItem::from);
        Ok(InteractionFields {
            customer_id: self.customer_id,
            person_id: self.person_id,
            operator_id,
            caretaker_id: self.caretaker_id,
            channel: self.channel,
            direction: self.direction,
            status: self.status,
            started_at: self.started_at,
            duration_minutes: self.duration_minutes,
            subject: self.subject,
            description: self.description,
            outcome: self.outcome,
            billable: self.billable,
            hourly_rate: self.hourly_rate,
            opportunity_id: self.opportunity_id,
            thread_id: self.thread_id,
            parent_task_id: parent.and_then(WorkItem::task_id),
            parent_interaction_id: parent.and_then(WorkItem::interaction_id),
            tags: self.tags,
        })
    }
}

impl Sorting for InteractionSort {
    const WORDS: &'static [(&'static str, Self)] = &[("started_at", Self::StartedAt), ("created_at", Self::CreatedAt)];
}

/// Which interactions.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct InteractionQuery {
    customer_id: Option<CustomerId>,
    person_id: Option<PersonId>,
    /// Who talked.
    operator_id: Option<OperatorId>,
    caretaker_id: Option<OperatorId>,
    channel: Option<Channel>,
    status: Option<InteractionStatus>,
    opportunity_id: Option<OpportunityId>,
    /// Where the opportunity stood at that time.
    stage_id: Option<StageId>,
    thread_id: Option<ThreadId>,
    /// Right below this task.
    parent_task_id: Option<TaskId>,
    /// Right below this interaction.
    parent_interaction_id: Option<InteractionId>,
    /// Those whose time an invoice bills, or those whose time none does.
    invoiced: Option<bool>,
    #[serde(rename = "started_at[gte]")]
    started_from: Option<DateTime<Utc>>,
    #[serde(rename = "started_at[lt]")]
    started_before: Option<DateTime<Utc>>,
    /// Any of these tags.
    #[param(value_type = Option<Vec<String>>, max_items = 20)]
    tag: Option<AnyOf<String>>,
}

impl From<InteractionQuery> for InteractionFilter {
    fn from(query: InteractionQuery) -> Self {
        Self {
            customer_id: query.customer_id,
            person_id: query.person_id,
            operator_id: query.operator_id,
            caretaker_id: query.caretaker_id,
            channel: query.channel,
            status: query.status,
            opportunity_id: query.opportunity_id,
            stage_id: query.stage_id,
            thread_id: query.thread_id,
            parent_task_id: query.parent_task_id,
            parent_interaction_id: query.parent_interaction_id,
            invoiced: query.invoiced,
            started_from: query.started_from,
            started_before: query.started_before,
            tags: query.tag.map(|tags| tags.0),
        }
    }
}

/// List interactions.
///
/// The latest to begin first, so that what is planned comes before what has been.
#[utoipa::path(tag = "Interactions", security(("sign_in" = ["crm:read"])),
    params(InteractionQuery, Listing<InteractionSort>), responses((status = 200, body = PageBody<InteractionBody>)))]
#[get("/interactions")]
async fn list_interactions(
    state: web::Data<State>,
    actor: Actor,
    filters: Filters<InteractionQuery>,
    listing: Listing<InteractionSort>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmRead)?;
    state
        .read(scope, move |tx| {
            let Page { items, next, total } = interactions::list(tx, &filters.0.into(), &listing.page)?;
            let items = items.into_iter().map(InteractionBody::from).collect();
            shape.page(tx, Page { items, next, total })
        })
        .await
}

/// Register an interaction.
///
/// It is priced at once: its minutes are rounded up by the customer's rule, and its own rate counts, else the one in
/// force on its day of the customer, the operator or the organization, the first that there is. One below a `parent` is
/// in the parent's thread unless it names its own. In a locked month there is 409.
///
/// With `follow_up_task` the task that comes of it is written down too, below the interaction, with its customer, thread
/// and opportunity. Both are made, or neither.
#[utoipa::path(tag = "Interactions", security(("sign_in" = ["crm:write"])), request_body = InteractionRegistration,
    responses((status = 201, body = RegisteredInteraction)))]
#[post("/interactions")]
async fn create_interaction(
    state: web::Data<State>,
    actor: Actor,
    once: Once,
    input: Valid<InteractionRegistration>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmWrite)?;
    let InteractionRegistration { interaction, follow_up_task } = input.0;
    let mut fields = interaction.fields(&actor)?;
    state
        .submit(scope, once, move |tx| {
            if follow_up_task.is_some() {
                work_tree::hold(tx)?;
            }
            check_takes(tx, fields.thread_id)?;
            match fields.caretaker_id {
                Some(_) => check_caretaker(&actor.authority(tx)?, tx, None, fields.caretaker_id)?,
                None => fields.caretaker_id = actor.operator_id().or(Some(fields.operator_id)),
            }
            let interaction = interactions::create(tx, fields)?;
            let follow_up_task = match follow_up_task {
                Some(task) => {
                    let task = task.below(&interaction);
                    Some(tasks::create(tx, &actor, task).map_err(|error| error.within("/follow_up_task"))?)
                }
                None => None,
            };
            let location = format!("/api/v1/interactions/{}", interaction.id);
            let body = RegisteredInteraction { interaction: interaction.into(), follow_up_task };
            Ok(Reply::created(&location, body.interaction.version, &body))
        })
        .await
}

/// Show an interaction.
///
/// With the rate and cost that it was priced at.
#[utoipa::path(tag = "Interactions", security(("sign_in" = ["crm:read"])),
    responses((status = 200, body = InteractionBody)))]
#[get("/interactions/{id}")]
async fn get_interaction(
    state: web::Data<State>,
    actor: Actor,
    id: Id<InteractionId>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmRead)?;
    state
        .read(scope, move |tx| {
            let interaction = interactions::find(tx, id.0)?;
            shape.one(tx, interaction.version, &InteractionBody::from(interaction))
        })
        .await
}

/// Change an interaction.
///
/// Who registered it may, its caretaker, and those above them. It keeps its rate unless something changes that its price
/// depends on (customer, operator, start, duration, own rate), it is held only now, or it had no rate: then it is priced
/// anew, by the rates of its day. Below another `parent` it stays in its thread; to another thread it takes what hangs
/// below it. In a locked month what reports sum over
/// stays, or there is 409; texts, people, threads and tags can change. So it is where its time is invoiced: customer,
/// operator, start, minutes, rate, `status` and `billable` stay.
#[utoipa::path(tag = "Interactions", security(("sign_in" = ["crm:write"])), params(IfMatch),
    request_body(content = InteractionInput, content_type = "application/merge-patch+json"),
    responses((status = 200, body = InteractionBody)))]
#[patch("/interactions/{id}")]
async fn update_interaction(
    state: web::Data<State>,
    actor: Actor,
    id: Id<InteractionId>,
    seen: IfMatch,
    patch: Patch<InteractionInput>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmWrite)?;
    state
        .transaction(scope, move |tx| {
            let is_moved = patch.field("parent").is_some() || patch.field("thread_id").is_some();
            if is_moved {
                work_tree::change(tx)?;
            }
            let interaction = interactions::lock(tx, id.0, seen.0)?;
            let authority = actor.authority(tx)?;
            authority.may_change(&interaction.holders()).map_err(ApiError::forbidden)?;
            let fields = patch.apply(&interaction.fields.clone().into())?.fields(&actor)?;
            check_caretaker(&authority, tx, interaction.fields.caretaker_id, fields.caretaker_id)?;
            let thread_id = fields.thread_id;
            let changes_thread = thread_id != interaction.fields.thread_id;
            if changes_thread {
                check_takes(tx, thread_id)?;
            }
            let interaction = interactions::update(tx, &interaction, fields)?;
            if changes_thread {
                threads::carry(tx, WorkItem::Interaction(interaction.id), thread_id)?;
            }
            Ok(Reply::at_version(interaction.version, &InteractionBody::from(interaction)))
        })
        .await
}

/// Remove an interaction.
///
/// For what was registered by mistake; what did not take place has the status `not_held`. The files on it are taken off, and
/// go where they are on nothing else. The audit log keeps it. While something hangs below it there is 409, as in a locked
/// month, and where its time is invoiced.
#[utoipa::path(tag = "Interactions", security(("sign_in" = ["crm:write"])), params(IfMatch),
    responses((status = 204)))]
#[delete("/interactions/{id}")]
async fn delete_interaction(
    state: web::Data<State>,
    actor: Actor,
    id: Id<InteractionId>,
    seen: IfMatch,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmWrite)?;
    state
        .transaction(scope, move |tx| {
            let interaction = interactions::lock(tx, id.0, seen.0)?;
            actor.authority(tx)?.may_change(&interaction.holders()).map_err(ApiError::forbidden)?;
            interactions::delete(tx, &interaction)?;
            Ok(Reply::empty())
        })
        .await
}
