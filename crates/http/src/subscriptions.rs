//! Subscriptions: invoice templates put on customers, each with a schedule.

use crate::actor::Actor;
use crate::body::{Patch, Valid};
use crate::listing::{Filters, Id, Listing};
use crate::once::Once;
use crate::precondition::IfMatch;
use crate::problem::{ApiError, Code, Wrong};
use crate::reply::Reply;
use crate::shape::{PageBody, Shape};
use crate::state::State;
use crate::values::capitalised;
use actix_web::{delete, get, patch, post, web};
use chrono::{DateTime, NaiveDate, Utc};
use opiekun_domain::billing::{LineBasis, LineOverride};
use opiekun_domain::decimal::{Percent, Quantity, UnitPrice};
use opiekun_domain::ids::{CustomerId, InvoiceTemplateId, OccurrenceId, SubscriptionId};
use opiekun_domain::invoice_email::SubscriptionEmails;
use opiekun_domain::permission::Permission;
use opiekun_domain::plan::{Known, Planned, Progress, fell_due, next_open, next_planned};
use opiekun_domain::schedule::{BillingTiming, Every, IssueDayShift, Schedule, ScheduleDay, ScheduleRule, Unit};
use opiekun_domain::subscription::{AlreadyBilled, CatchUp, SubscriptionState};
use opiekun_persistence::occurrences::{Outcome, Settled};
use opiekun_persistence::subscriptions::{Position, Subscription, SubscriptionFields, SubscriptionFilter};
use opiekun_persistence::{
    Json, Page, StoreError, Tx, customers, invoice_templates, occurrences, organizations, subscriptions,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use validator::{Validate, ValidationError};

pub fn routes(config: &mut ServiceConfig) {
    config
        .service(list_subscriptions)
        .service(create_subscription)
        .service(get_subscription)
        .service(update_subscription)
        .service(pause_subscription)
        .service(resume_subscription);
}

/// What a caller may write of a subscription.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct SubscriptionInput {
    pub template_id: InvoiceTemplateId,
    /// Who is billed. Stays once the first period has been taken up.
    pub customer_id: CustomerId,
    /// Which periods there are. Stays once the first of them has been taken up.
    pub schedule: ScheduleBody,
    /// Periods that start before this day are not billed, or with `prorate` for the days from it on. Stays once the first period has been taken up.
    #[schema(example = "2026-11-01")]
    pub starts_on: NaiveDate,
    /// Exclusive: periods that start on this day or later are not billed; one that started before is billed whole, or
    /// with `prorate` for the days before it.
    #[serde(default)]
    pub ends_on: Option<NaiveDate>,
    /// What this customer has instead of the template's lines.
    #[schema(max_items = 100, example = json!([]))]
    #[serde(default)]
    #[validate(custom(function = different_keys))]
    pub line_overrides: Vec<LineOverrideBody>,
    /// What becomes of periods that were missed; all are billed unless told.
    #[schema(default = "all")]
    #[serde(default = "all")]
    pub catch_up: CatchUp,
    /// Whether the period that `starts_on` lies in, and the one that `ends_on` lies in, are billed for the days in which
    /// the subscription runs: unit price × days used ÷ days in the period, rounded half up to four places, and said in
    /// the text of each line ("(12/30 dni)"). The invoice is then of those days. A period that was billed in part is
    /// not billed for more when the end is put off.
    #[schema(default = false)]
    #[serde(default)]
    pub prorate: bool,
    /// Whether its invoices are sent to the customer's e-mail address by themselves when they are issued: as the
    /// organization has it (`email_invoices`) unless told.
    #[schema(default = "as_organization")]
    #[serde(default = "as_organization")]
    pub email_invoices: SubscriptionEmails,
}

const fn as_organization() -> SubscriptionEmails {
    SubscriptionEmails::AsOrganization
}

const fn all() -> CatchUp {
    CatchUp::All
}

/// Which periods there are, and on which day each is invoiced.
///
/// Every period is counted from the anchor: monthly from 31 January they begin on 31 January, 28 February, 31 March.
/// They cover time without gap or overlap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Schedule)]
#[serde(deny_unknown_fields)]
pub struct ScheduleBody {
    pub every: EveryBody,
    /// The day that all periods are counted from.
    #[schema(example = "2026-01-01")]
    pub anchor_on: NaiveDate,
    /// The day of the month on which periods begin: 1 to 31 (the last day where the month is shorter), or `last_day`.
    /// The anchor's own day unless told. Only for months, quarters and years.
    #[serde(default)]
    pub day: Option<ScheduleDayBody>,
    /// With a template that has a line of kind `time` it is `in_arrears`.
    pub billing: BillingTiming,
    /// Days from the period's first day (in advance), or from the first day after it (in arrears), to the issue day.
    #[schema(minimum = -366, maximum = 366, default = 0, example = 0)]
    #[serde(default)]
    pub issue_offset_days: i32,
    /// Where an issue day goes that is not worked in Poland. This moves neither the period nor the next one.
    #[schema(default = "none")]
    #[serde(default = "no_shift")]
    pub issue_day_shift: IssueDayShift,
}

const fn no_shift() -> IssueDayShift {
    IssueDayShift::None
}

/// How long a period is: so many units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Every, example = json!({ "unit": "month", "count": 1 }))]
#[serde(deny_unknown_fields)]
pub struct EveryBody {
    pub unit: Unit,
    #[schema(minimum = 1, maximum = 1000)]
    pub count: u32,
}

/// A day of the month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ScheduleDay)]
#[serde(untagged)]
pub enum ScheduleDayBody {
    OnDay(DayOfMonth),
    Named(NamedDay),
}

/// The day, or the month's last one where the month is shorter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(minimum = 1, maximum = 31)]
pub struct DayOfMonth(u32);

/// A day of the month that has no number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NamedDay {
    LastDay,
}

/// What a subscription has instead of one of its template's lines. What is left out is as in the template.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = LineOverride, example = json!({ "key": "bookkeeping", "unit_price": "399.00" }))]
#[serde(deny_unknown_fields)]
pub struct LineOverrideBody {
    /// The key of the template's line; not of one that bills time.
    #[schema(pattern = r"^[a-z][a-z0-9_]{0,39}$")]
    pub key: String,
    #[serde(default)]
    pub quantity: Option<Quantity>,
    #[serde(default)]
    pub unit_price: Option<UnitPrice>,
    #[serde(default)]
    pub discount_percent: Option<Percent>,
}

/// A template put on a customer with a schedule.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Subscription)]
pub struct SubscriptionBody {
    pub id: SubscriptionId,
    #[serde(flatten)]
    pub subscription: SubscriptionInput,
    /// Only an `active` one is billed. `paused`: until it is resumed. `parked`: it failed three runs in a row. `ended`:
    /// no period is left.
    pub state: SubscriptionState,
    /// The first day of the next period to bill; null when none is left.
    pub next_period_start_on: Option<NaiveDate>,
    /// The first day after it.
    pub next_period_end_on: Option<NaiveDate>,
    /// When it is to be billed: a run through this day, or a later one, takes it up.
    pub next_issue_on: Option<NaiveDate>,
    /// How many runs in a row it has failed.
    #[schema(minimum = 0)]
    pub consecutive_failures: i16,
    /// The first day of its pause.
    pub paused_on: Option<NaiveDate>,
    /// Counts up with every change; `ETag` holds it too.
    #[schema(minimum = 1)]
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl SubscriptionBody {
    fn new(row: Subscription) -> Result<Self, ApiError> {
        let next = match row.next_issue_on {
            Some(_) => next_planned(&row.fields.schedule.schedule()?, row.progress()),
            None => None,
        };
        let Subscription {
            id,
            fields,
            state,
            // Told as the period's own days.
            next_period: _,
            next_issue_on,
            consecutive_failures,
            paused_on,
            version,
            created_at,
            updated_at,
        } = row;
        Ok(Self {
            id,
            subscription: SubscriptionInput::new(fields)?,
            state,
            next_period_start_on: next.map(|next| next.period.start_on),
            next_period_end_on: next.map(|next| next.period.end_on),
            next_issue_on,
            consecutive_failures,
            paused_on,
            version,
            created_at,
            updated_at,
        })
    }
}

impl SubscriptionInput {
    fn new(fields: SubscriptionFields) -> Result<Self, ApiError> {
        let SubscriptionFields {
            template_id,
            customer_id,
            schedule,
            starts_on,
            ends_on,
            line_overrides,
            catch_up,
            prorate,
            email_invoices,
        } = fields;
        Ok(Self {
            template_id,
            customer_id,
            schedule: ScheduleBody::from(&schedule.schedule()?),
            starts_on,
            ends_on,
            line_overrides: line_overrides.0.into_iter().map(LineOverrideBody::from).collect(),
            catch_up,
            prorate,
            email_invoices,
        })
    }

    /// The fields, and the schedule that they spell.
    fn fields(self) -> Result<(SubscriptionFields, Schedule), ApiError> {
        let mut wrong = Vec::new();
        if self.ends_on.is_some_and(|ends_on| ends_on <= self.starts_on) {
            wrong.push(Wrong::field("/ends_on", "too_early", "Must be after starts_on"));
        }
        let schedule = Schedule::new(self.schedule.into()).map_err(|problem| {
            let pointer = format!("/schedule{}", problem.pointer());
            wrong.push(Wrong::field(pointer, "schedule", capitalised(&problem.to_string())));
        });
        let (Ok(schedule), true) = (schedule, wrong.is_empty()) else {
            return Err(ApiError::invalid(wrong));
        };
        let fields = SubscriptionFields {
            template_id: self.template_id,
            customer_id: self.customer_id,
            schedule: (&schedule).into(),
            starts_on: self.starts_on,
            ends_on: self.ends_on,
            line_overrides: Json(self.line_overrides.into_iter().map(LineOverride::from).collect()),
            catch_up: self.catch_up,
            prorate: self.prorate,
            email_invoices: self.email_invoices,
        };
        Ok((fields, schedule))
    }
}

impl From<&Schedule> for ScheduleBody {
    fn from(schedule: &Schedule) -> Self {
        let ScheduleRule { every, anchor_on, day, billing, issue_offset_days, issue_day_shift } =
            schedule.rule().clone();
        Self {
            every: every.into(),
            anchor_on,
            day: day.map(ScheduleDayBody::from),
            billing,
            issue_offset_days,
            issue_day_shift,
        }
    }
}

impl From<Every> for EveryBody {
    fn from(every: Every) -> Self {
        let Every { unit, count } = every;
        Self { unit, count }
    }
}

impl From<ScheduleDay> for ScheduleDayBody {
    fn from(day: ScheduleDay) -> Self {
        match day {
            ScheduleDay::OnDay(day) => Self::OnDay(DayOfMonth(day)),
            ScheduleDay::LastDay => Self::Named(NamedDay::LastDay),
        }
    }
}

impl From<ScheduleDayBody> for ScheduleDay {
    fn from(body: ScheduleDayBody) -> Self {
        match body {
            ScheduleDayBody::OnDay(DayOfMonth(day)) => Self::OnDay(day),
            ScheduleDayBody::Named(NamedDay::LastDay) => Self::LastDay,
        }
    }
}

impl From<ScheduleBody> for ScheduleRule {
    fn from(body: ScheduleBody) -> Self {
        let ScheduleBody { every, anchor_on, day, billing, issue_offset_days, issue_day_shift } = body;
        Self {
            every: Every { unit: every.unit, count: every.count },
            anchor_on,
            day: day.map(ScheduleDay::from),
            billing,
            issue_offset_days,
            issue_day_shift,
        }
    }
}

impl From<LineOverride> for LineOverrideBody {
    fn from(line: LineOverride) -> Self {
        let LineOverride { key, quantity, unit_price, discount_percent } = line;
        Self { key, quantity, unit_price, discount_percent }
    }
}

impl From<LineOverrideBody> for LineOverride {
    fn from(body: LineOverrideBody) -> Self {
        let LineOverrideBody { key, quantity, unit_price, discount_percent } = body;
        Self { key, quantity, unit_price, discount_percent }
    }
}

/// Which subscriptions.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SubscriptionQuery {
    template_id: Option<InvoiceTemplateId>,
    customer_id: Option<CustomerId>,
    state: Option<SubscriptionState>,
    #[serde(rename = "next_issue_on[gte]")]
    next_issue_from: Option<NaiveDate>,
    #[serde(rename = "next_issue_on[lte]")]
    next_issue_through: Option<NaiveDate>,
}

impl From<SubscriptionQuery> for SubscriptionFilter {
    fn from(query: SubscriptionQuery) -> Self {
        let SubscriptionQuery { template_id, customer_id, state, next_issue_from, next_issue_through } = query;
        Self { template_id, customer_id, state, next_issue_from, next_issue_through }
    }
}

/// The bodies of those of `ids` that exist.
pub(crate) fn bodies(tx: &mut Tx<'_>, ids: &[SubscriptionId]) -> Result<Vec<Value>, ApiError> {
    let rows = subscriptions::find_all(tx, ids)?;
    rows.into_iter().map(|row| serde_json::to_value(SubscriptionBody::new(row)?).map_err(ApiError::internal)).collect()
}

/// List subscriptions.
///
/// Who is billed for what, and when next: `next_issue_on[lte]` finds what is due. Newest first.
#[utoipa::path(tag = "Subscriptions", security(("sign_in" = ["billing:read"])),
    params(SubscriptionQuery, Listing<()>), responses((status = 200, body = PageBody<SubscriptionBody>)))]
#[get("/subscriptions")]
async fn list_subscriptions(
    state: web::Data<State>,
    actor: Actor,
    filters: Filters<SubscriptionQuery>,
    listing: Listing<()>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::BillingRead)?;
    state
        .read(scope, move |tx| {
            let Page { items, next, total } = subscriptions::list(tx, &filters.0.into(), &listing.page)?;
            let items = items.into_iter().map(SubscriptionBody::new).collect::<Result<_, _>>()?;
            shape.page(tx, Page { items, next, total })
        })
        .await
}

/// Add a subscription.
///
/// Nothing is issued by this: an invoice run takes up what is due. Periods that lie in the past are due at once, and
/// `catch_up` tells what becomes of them.
#[utoipa::path(tag = "Subscriptions", security(("sign_in" = ["billing:write"])), request_body = SubscriptionInput,
    responses((status = 201, body = SubscriptionBody)))]
#[post("/subscriptions")]
async fn create_subscription(
    state: web::Data<State>,
    actor: Actor,
    once: Once,
    input: Valid<SubscriptionInput>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::BillingWrite)?;
    let (fields, schedule) = input.0.fields()?;
    state
        .submit(scope, once, move |tx| {
            check_references(tx, None, &fields)?;
            let position = position(&schedule, &fields, 0, &BTreeMap::new());
            let body = SubscriptionBody::new(subscriptions::create(tx, fields, position)?)?;
            Ok(Reply::created(&format!("/api/v1/subscriptions/{}", body.id), body.version, &body))
        })
        .await
}

/// Show a subscription.
///
/// With the next period to bill.
#[utoipa::path(tag = "Subscriptions", security(("sign_in" = ["billing:read"])),
    responses((status = 200, body = SubscriptionBody)))]
#[get("/subscriptions/{id}")]
async fn get_subscription(
    state: web::Data<State>,
    actor: Actor,
    id: Id<SubscriptionId>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::BillingRead)?;
    state
        .read(scope, move |tx| {
            let body = SubscriptionBody::new(subscriptions::find(tx, id.0)?)?;
            shape.one(tx, body.version, &body)
        })
        .await
}

/// Change a subscription.
///
/// Once a period was planned, invoiced, skipped or failed, its customer, schedule and start stay as they are (`state_invalid`):
/// end it and add another. What is issued stays as it is whatever changes.
#[utoipa::path(tag = "Subscriptions", security(("sign_in" = ["billing:write"])), params(IfMatch),
    request_body(content = SubscriptionInput, content_type = "application/merge-patch+json"),
    responses((status = 200, body = SubscriptionBody)))]
#[patch("/subscriptions/{id}")]
async fn update_subscription(
    state: web::Data<State>,
    actor: Actor,
    id: Id<SubscriptionId>,
    seen: IfMatch,
    patch: Patch<SubscriptionInput>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::BillingWrite)?;
    state
        .transaction(scope, move |tx| {
            let subscription = subscriptions::lock(tx, id.0, seen.0)?;
            let before = &subscription.fields;
            let (fields, schedule) = patch.apply(&SubscriptionInput::new(before.clone())?)?.fields()?;
            let periods_change = (fields.schedule, fields.starts_on) != (before.schedule, before.starts_on);
            let is_taken_up = subscriptions::has_occurrences(tx, subscription.id)?;
            if (periods_change || fields.customer_id != before.customer_id) && is_taken_up {
                return Err(ApiError::state_invalid("billed", capitalised(&AlreadyBilled.to_string())));
            }
            check_references(tx, Some(before), &fields)?;
            // Where nothing is billed yet, another start may have a period before the one that was to come.
            let next_index = if is_taken_up { subscription.progress().next_index } else { 0 };
            let known = occurrences::known_ahead(tx, subscription.id)?;
            let position = position(&schedule, &fields, next_index, &known);
            let body = SubscriptionBody::new(subscriptions::update(tx, &subscription, fields, position)?)?;
            Ok(Reply::at_version(body.version, &body))
        })
        .await
}

/// Pause a subscription.
///
/// From today on, in the organization's time zone, no run takes it up until it is resumed. Paused twice it stays as it
/// is. One that has ended answers `state_invalid`.
#[utoipa::path(tag = "Subscriptions", security(("sign_in" = ["billing:write"])),
    responses((status = 200, body = SubscriptionBody)))]
#[post("/subscriptions/{id}/pause")]
async fn pause_subscription(
    state: web::Data<State>,
    actor: Actor,
    id: Id<SubscriptionId>,
    once: Once,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::BillingWrite)?;
    state
        .submit(scope, once, move |tx| {
            let mut subscription = subscriptions::lock(tx, id.0, None)?;
            match subscription.state {
                SubscriptionState::Paused => {}
                SubscriptionState::Ended => {
                    let state = SubscriptionState::Ended.as_str();
                    return Err(ApiError::state_invalid(state, "The subscription has no period left"));
                }
                SubscriptionState::Active | SubscriptionState::Parked => {
                    let today = organizations::today(tx)?;
                    subscription = subscriptions::pause(tx, &subscription, today)?;
                }
            }
            let body = SubscriptionBody::new(subscription)?;
            Ok(Reply::at_version(body.version, &body))
        })
        .await
}

/// How a subscription goes on.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ResumptionQuery {
    /// What becomes of the periods that were to be invoiced during the pause: `skip` unless told. `all` of them, or only
    /// the `latest`, are planned, and the next run bills them.
    catch_up: Option<CatchUp>,
}

/// Resume a subscription.
///
/// Ends its pause; nothing is issued by this. What was to be invoiced from the first day of the pause until before
/// today is skipped unless told otherwise by `catch_up`: each period becomes an occurrence, `skipped` or `planned`. What
/// was due before the pause is still due. One that was parked for its failures before the pause is parked again. One
/// that is not paused stays as it is.
#[utoipa::path(tag = "Subscriptions", security(("sign_in" = ["billing:write"])), params(ResumptionQuery),
    responses((status = 200, body = SubscriptionBody)))]
#[delete("/subscriptions/{id}/pause")]
async fn resume_subscription(
    state: web::Data<State>,
    actor: Actor,
    id: Id<SubscriptionId>,
    query: Filters<ResumptionQuery>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::BillingWrite)?;
    let catch_up = query.0.catch_up.unwrap_or(CatchUp::Skip);
    state
        .transaction(scope, move |tx| {
            let mut subscription = subscriptions::lock(tx, id.0, None)?;
            if let Some(paused_on) = subscription.paused_on {
                let today = organizations::today(tx)?;
                let (schedule, progress) = (subscription.fields.schedule.schedule()?, subscription.progress());
                let missed = settled(tx, subscription.id, fell_due(&schedule, progress, paused_on, today), catch_up);
                occurrences::settle(tx, &missed)?;
                let known = occurrences::known_ahead(tx, subscription.id)?;
                let position = position(&schedule, &subscription.fields, progress.next_index, &known);
                subscription = subscriptions::resume(tx, &subscription, position)?;
            }
            let body = SubscriptionBody::new(subscription)?;
            Ok(Reply::at_version(body.version, &body))
        })
        .await
}

/// What becomes of periods that fell due during a pause.
fn settled(tx: &Tx<'_>, subscription_id: SubscriptionId, missed: Vec<Planned>, catch_up: CatchUp) -> Vec<Settled> {
    let newest = missed.last().map(|planned| planned.period.index);
    let settled = |Planned { period, part: _, issue_on }| Settled {
        id: OccurrenceId::at(tx.now),
        subscription_id,
        period,
        scheduled_on: issue_on,
        outcome: match catch_up {
            CatchUp::All => Outcome::Planned,
            CatchUp::Latest if newest == Some(period.index) => Outcome::Planned,
            CatchUp::Latest | CatchUp::Skip => Outcome::Skipped,
        },
    };
    missed.into_iter().map(settled).collect()
}

/// Before the first period that is the subscription's and was not settled.
fn position(
    schedule: &Schedule,
    fields: &SubscriptionFields,
    next_index: u32,
    known: &BTreeMap<u32, Known>,
) -> Position {
    let SubscriptionFields { starts_on, ends_on, prorate, .. } = *fields;
    let progress = Progress { starts_on, ends_on, prorates: prorate, next_index };
    let (next_index, next) = next_open(schedule, progress, |index| known.get(&index).copied());
    Position::new(next_index, next)
}

/// Template and customer exist, are in use, and go together; overrides name lines of the template, and time is billed in
/// arrears.
///
/// What stays as it was is not held against the caller: a subscription of an archived customer can still be ended.
fn check_references(
    tx: &mut Tx<'_>,
    before: Option<&SubscriptionFields>,
    fields: &SubscriptionFields,
) -> Result<(), ApiError> {
    let template =
        invoice_templates::find_kept(tx, fields.template_id).map_err(|error| referred("/template_id", error))?;
    let customer = customers::find(tx, fields.customer_id).map_err(|error| referred("/customer_id", error))?;
    let other_template = before.is_none_or(|before| before.template_id != fields.template_id);
    let other_customer = before.is_none_or(|before| before.customer_id != fields.customer_id);
    let other_lines = before.is_none_or(|before| before.line_overrides != fields.line_overrides);
    let mut wrong = Vec::new();
    if other_template && template.archived_at.is_some() {
        wrong.push(Wrong::field("/template_id", "archived", "The template is out of use"));
    }
    if other_customer && customer.archived_at.is_some() {
        wrong.push(Wrong::field("/customer_id", "archived", "The customer is out of use"));
    }
    if (other_template || other_customer) && customer.fields.currency != template.fields.currency {
        let detail = "The customer is billed in another currency than the template's";
        wrong.push(Wrong::field("/customer_id", "currency_mismatch", detail));
    }
    let lines = &template.fields.lines.0;
    let overridden = fields.line_overrides.0.iter().enumerate().filter(|_| other_template || other_lines);
    for (index, line) in overridden {
        let (code, detail) = match lines.iter().find(|it| it.key == line.key).map(|it| it.basis) {
            None => ("line_missing", "The template has no line with this key"),
            Some(LineBasis::Time) => ("time_line_overridden", "A line that bills time is as the entries say"),
            Some(LineBasis::Fixed { .. }) => continue,
        };
        wrong.push(Wrong::field(format!("/line_overrides/{index}/key"), code, detail));
    }
    let other_schedule = before.is_none_or(|before| before.schedule != fields.schedule);
    let bills_time = lines.iter().any(|it| it.basis == LineBasis::Time);
    if (other_template || other_schedule) && bills_time && fields.schedule.billing == BillingTiming::InAdvance {
        let detail = "The template bills time, which is known when the period is over";
        wrong.push(Wrong::field("/schedule/billing", "time_in_advance", detail));
    }
    if wrong.is_empty() { Ok(()) } else { Err(ApiError::invalid(wrong)) }
}

/// What the body refers to is missing, which is not the same as the path leading nowhere.
pub(crate) fn referred(pointer: &'static str, error: StoreError) -> ApiError {
    match error {
        StoreError::NotFound(_) => ApiError {
            errors: vec![Wrong::field(pointer, "reference_not_found", "No such record")],
            ..ApiError::new(Code::ReferenceNotFound)
        },
        error => error.into(),
    }
}

fn different_keys(lines: &[LineOverrideBody]) -> Result<(), ValidationError> {
    let repeated = lines.iter().enumerate().any(|(index, line)| lines.iter().take(index).any(|it| it.key == line.key));
    if repeated {
        return Err(ValidationError::new("uniqueItems").with_message("A line is overridden once".into()));
    }
    Ok(())
}
