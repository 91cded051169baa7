//! The timer: what the caller is at, until its time becomes a work entry.

use crate::actor::Actor;
use crate::body::Valid;
use crate::listing::Filters;
use crate::problem::{ApiError, Code};
use crate::reply::Reply;
use crate::state::State;
use crate::work_entries::WorkEntryBody;
use actix_web::{delete, get, put, web};
use chrono::{DateTime, Utc};
use opiekun_domain::ids::{OperatorId, TaskId};
use opiekun_domain::permission::Permission;
use opiekun_persistence::timers;
use opiekun_persistence::timers::{Timer, TimerFields};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use validator::Validate;

pub fn routes(config: &mut ServiceConfig) {
    config.service(get_timer).service(start_timer).service(stop_timer);
}

/// What the caller is at.
#[derive(Debug, Serialize, ToSchema)]
pub struct TimerState {
    /// Null while nothing runs.
    timer: Option<TimerBody>,
}

/// What the caller is at now, and what it was at.
#[derive(Debug, Serialize, ToSchema)]
pub struct TimerStart {
    timer: TimerBody,
    /// The time of the task that ran until now; null where none did, or the same one.
    stopped_entry: Option<WorkEntryBody>,
}

/// A timer that runs.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Timer)]
pub struct TimerBody {
    task_id: TaskId,
    started_at: DateTime<Utc>,
    #[schema(max_length = 10000, example = "Invoices of October")]
    note: Option<String>,
    /// Whether the time is to be billed.
    billable: bool,
}

impl From<Timer> for TimerBody {
    fn from(row: Timer) -> Self {
        let Timer { operator_id: _, fields, started_at } = row;
        let TimerFields { task_id, note, billable } = fields;
        Self { task_id, started_at, note, billable }
    }
}

/// What to start the timer on.
#[derive(Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct TimerInput {
    task_id: TaskId,
    /// Goes into the work entry.
    #[schema(max_length = 10000, example = "Invoices of October")]
    #[serde(default)]
    note: Option<String>,
    /// Whether the time is to be billed.
    #[schema(default = true)]
    #[serde(default = "yes")]
    billable: bool,
}

const fn yes() -> bool {
    true
}

/// How to stop the timer.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TimerStop {
    /// `true` keeps nothing of the time.
    discard: Option<bool>,
}

/// Show the timer.
///
/// The caller's own, of which there is one at most. An API key has none.
#[utoipa::path(tag = "Me", security(("sign_in" = ["crm:read"])), responses((status = 200, body = TimerState)))]
#[get("/me/timer")]
async fn get_timer(state: web::Data<State>, actor: Actor) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmRead)?;
    let Some(operator_id) = actor.operator_id() else { return Ok(Reply::ok(&TimerState { timer: None })) };
    state
        .read(scope, move |tx| {
            let timer = timers::find(tx, operator_id)?.map(TimerBody::from);
            Ok(Reply::ok(&TimerState { timer }))
        })
        .await
}

/// Start the timer on a task.
///
/// One that runs on another task is stopped first, and its time becomes a work entry. One that runs on the same task
/// runs on since it was started, with the note and `billable` of this request: so the same request can be repeated.
/// While the month in which the stopped work began is locked there is 409, and all stays as it was. An API key gets 409
/// as well: it writes down work entries.
#[utoipa::path(tag = "Me", security(("sign_in" = ["crm:write"])), request_body = TimerInput,
    responses((status = 200, body = TimerStart)))]
#[put("/me/timer")]
async fn start_timer(state: web::Data<State>, actor: Actor, input: Valid<TimerInput>) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmWrite)?;
    let operator_id = operator(&actor)?;
    let TimerInput { task_id, note, billable } = input.0;
    let fields = TimerFields { task_id, note, billable };
    state
        .transaction(scope, move |tx| {
            let (timer, stopped) = match timers::lock(tx, operator_id)? {
                Some(running) if running.fields.task_id == fields.task_id => {
                    (timers::update(tx, &running, fields)?, None)
                }
                Some(running) => {
                    let entry = timers::stop(tx, &running)?;
                    (timers::start(tx, operator_id, fields)?, Some(entry))
                }
                None => (timers::start(tx, operator_id, fields)?, None),
            };
            let stopped_entry = stopped.map(WorkEntryBody::from);
            Ok(Reply::ok(&TimerStart { timer: timer.into(), stopped_entry }))
        })
        .await
}

/// Stop the timer.
///
/// Its time becomes a work entry, which is answered: a started minute counts whole, at least one, and at most a week.
/// Where nothing runs there is 404. While the month in which the work began is locked there is 409, and the timer runs
/// on: with `discard=true` it is stopped without an entry.
#[utoipa::path(tag = "Me", security(("sign_in" = ["crm:write"])), params(TimerStop),
    responses((status = 200, body = WorkEntryBody), (status = 204)))]
#[delete("/me/timer")]
async fn stop_timer(state: web::Data<State>, actor: Actor, how: Filters<TimerStop>) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmWrite)?;
    let operator_id = operator(&actor)?;
    state
        .transaction(scope, move |tx| {
            let running = timers::lock(tx, operator_id)?.ok_or_else(|| ApiError::not_found("timer"))?;
            if how.0.discard.unwrap_or_default() {
                timers::discard(tx, &running)?;
                return Ok(Reply::empty());
            }
            let entry = timers::stop(tx, &running)?;
            Ok(Reply::at_version(entry.version, &WorkEntryBody::from(entry)))
        })
        .await
}

/// Whose timer it is.
fn operator(actor: &Actor) -> Result<OperatorId, ApiError> {
    let without = || ApiError::new(Code::Conflict).detail("An API key has no timer; it writes down work entries");
    actor.operator_id().ok_or_else(without)
}
