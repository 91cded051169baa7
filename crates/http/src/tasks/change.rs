//! Changing a task: how far it has come, where it hangs, and what becomes of its series.

use super::body::{TaskBody, TaskInput, body, no_progress, not_a_rule};
use super::check_parent;
use crate::actor::Actor;
use crate::body::Patch;
use crate::customers::check_caretaker;
use crate::listing::{Filters, Id};
use crate::precondition::IfMatch;
use crate::problem::{ApiError, skip_instead};
use crate::reply::Reply;
use crate::state::State;
use crate::threads::check_takes;
use actix_web::{delete, patch, web};
use chrono::TimeDelta;
use opiekun_domain::authority::Authority;
use opiekun_domain::ids::TaskId;
use opiekun_domain::permission::Permission;
use opiekun_domain::recurrence::Rule;
use opiekun_domain::task::{Progress, TaskStatus};
use opiekun_domain::work_item::WorkItem;
use opiekun_persistence::tasks::{Instance, Task, TaskFields};
use opiekun_persistence::{
    Tx, month_locks, procedure_runs, task_progress, task_series, tasks, threads, work_entries, work_tree,
};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

/// How far a change of a task reaches.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TaskChangeQuery {
    /// `true` closes every open subtask, to any depth, together with a task that is done or cancelled. All of them have to be the
    /// caller's to change. Of those that come again, nothing comes again then.
    close_subtasks: Option<bool>,
    /// Of a task that comes again: `this` instance alone, unless told, or `this_and_following`, which ends the series
    /// here and begins another with the changed task as its first instance. The series has to be the caller's to change.
    /// With another due date than the rule's, it takes another rule too; with `recurrence: null` the task is the last.
    #[param(inline)]
    apply_to: Option<ApplyTo>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ApplyTo {
    This,
    ThisAndFollowing,
}

/// Change a task.
///
/// Who registered it may, its caretaker, and those above them; a new caretaker is the caller or somebody below. Main
/// tasks above follow. A moved task takes everything below it along, and so does one that goes to another thread.
/// Closing an instance of a series makes the next one: cancelling it skips it. While time of it is invoiced its customer
/// stays, or there is 409. A step of a procedure run is not cancelled but skipped, at the run, and does not come again (409).
#[utoipa::path(tag = "Tasks", security(("sign_in" = ["crm:write"])), params(TaskChangeQuery, IfMatch),
    request_body(content = TaskInput, content_type = "application/merge-patch+json"),
    responses((status = 200, body = TaskBody)))]
#[patch("/tasks/{id}")]
pub(super) async fn update_task(
    state: web::Data<State>,
    actor: Actor,
    id: Id<TaskId>,
    seen: IfMatch,
    query: Filters<TaskChangeQuery>,
    patch: Patch<TaskInput>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmWrite)?;
    let TaskChangeQuery { close_subtasks, apply_to } = query.0;
    let close_subtasks = close_subtasks.unwrap_or_default();
    state
        .transaction(scope, move |tx| {
            let names = |fields: &[&str]| fields.iter().any(|field| patch.field(field).is_some());
            if close_subtasks || names(&["parent", "thread_id"]) {
                work_tree::change(tx)?;
            } else if names(&["status", "percent_done", "estimate_minutes"]) {
                // Main tasks follow. What they do not follow waits for nobody.
                work_tree::hold(tx)?;
            }
            if names(&["customer_id", "thread_id", "opportunity_id"]) {
                // Time that was spent on it follows, and is perhaps priced anew.
                month_locks::hold(tx)?;
            }
            if names(&["status", "percent_done"]) {
                procedure_runs::hold_of_task(tx, id.0)?;
            }
            let task = tasks::lock(tx, id.0, seen.0)?;
            let authority = actor.authority(tx)?;
            authority.may_change(&task.holders()).map_err(ApiError::forbidden)?;
            let rule = match task.task_series_id {
                Some(series) => task_series::rules_of(tx, &[series])?.remove(&series),
                None => None,
            };
            let current = TaskInput::new(task.fields.clone(), task.progress(), rule);
            let input = patch.apply(&current)?;
            check_caretaker(&authority, tx, current.caretaker_id, input.caretaker_id)?;
            if input.opportunity_id.is_some() && input.customer_id.is_none() {
                let detail = "The customer of the opportunity is expected";
                return Err(ApiError::invalid_field("/customer_id", "opportunity", detail));
            }
            if input.parent != current.parent {
                check_parent(tx, &authority, &input)?;
            }
            let progress = progress_of(tx, &task, &input, &authority, close_subtasks)?;
            let is_cancelled = progress.status() == TaskStatus::Cancelled && task.status != TaskStatus::Cancelled;
            if is_cancelled && procedure_runs::is_step(tx, task.id)? {
                return Err(skip_instead());
            }
            let change = SeriesChange::of(&current, &input, apply_to.unwrap_or(ApplyTo::This))?;
            if input.thread_id != current.thread_id {
                check_takes(tx, input.thread_id)?;
            }
            let mut fields = input.fields();
            let instance = change.prepare(tx, &task, &mut fields, &authority)?;
            let series_before = task.task_series_id.filter(|_| instance.is_some());
            let task = tasks::update(tx, &task, fields, progress, instance)?;
            if let Some(id) = series_before {
                task_series::delete_if_empty(tx, id)?;
            }
            if task.fields.thread_id != current.thread_id {
                threads::carry(tx, WorkItem::Task(task.id), task.fields.thread_id)?;
            }
            let is = &task.fields;
            if (is.customer_id, is.thread_id, is.opportunity_id)
                != (current.customer_id, current.thread_id, current.opportunity_id)
            {
                work_entries::follow_task(tx, &[task.id])?;
            }
            if task.closed_at == Some(tx.now) {
                task_series::make_next(tx, &task)?;
            }
            let body = body(tx, task)?;
            Ok(Reply::at_version(body.version, &body))
        })
        .await
}

/// How far the task has come after the change, with its subtasks closed where that was asked for.
fn progress_of(
    tx: &mut Tx<'_>,
    task: &Task,
    input: &TaskInput,
    authority: &Authority,
    close_subtasks: bool,
) -> Result<Progress, ApiError> {
    let before = task.progress();
    let subtasks = task_progress::subtasks(tx, task.id)?;
    let status = input.status.filter(|status| *status != before.status());
    let percent_done = input.percent_done.filter(|percent| *percent != before.percent_done());
    // What lost its last subtask at 100 can still be done by its percent.
    let is_left_whole = subtasks.total == 0 && before.percent_done() == 100 && !before.status().is_closed();
    let percent_done = percent_done.or(input.percent_done.filter(|_| is_left_whole && status.is_none()));
    let progress = before.change(status, percent_done, &subtasks).map_err(no_progress)?;
    if progress.status().is_closed() && !before.status().is_closed() && subtasks.open > 0 {
        if !close_subtasks {
            return Err(ApiError::state_invalid("open_subtasks", "Subtasks are open: close them, or all at once"));
        }
        let open = task_progress::lock_open_below(tx, task.id)?;
        open.iter().try_for_each(|task| authority.may_change(&task.holders())).map_err(ApiError::forbidden)?;
        task_progress::close_all(tx, &open, progress.status())?;
    }
    Ok(progress)
}

/// What a change of a task does to its series.
enum SeriesChange {
    Nothing,
    /// The task comes again from now on.
    Begin(Rule),
    /// It is the last of its series.
    End,
    /// Another series goes on from it. Without a rule it is that of the old one.
    Split(Option<Rule>),
}

impl SeriesChange {
    /// A task whose series has ended shows no rule, and is like one that never had any.
    fn of(before: &TaskInput, after: &TaskInput, apply_to: ApplyTo) -> Result<Self, ApiError> {
        let (was, is) = (before.rule()?, after.rule()?);
        match (was, is, apply_to) {
            (None, None, _) => Ok(Self::Nothing),
            (None, Some(rule), _) => Ok(Self::Begin(rule)),
            (Some(was), Some(is), ApplyTo::This) if was == is => Ok(Self::Nothing),
            (Some(_), _, ApplyTo::This) => Err(ApiError::invalid_field(
                "/recurrence",
                "apply_to",
                "A rule is that of the series: apply_to=this_and_following changes it from here on",
            )),
            (Some(_), None, ApplyTo::ThisAndFollowing) => Ok(Self::End),
            (Some(was), Some(is), ApplyTo::ThisAndFollowing) => Ok(Self::Split((was != is).then_some(is))),
        }
    }

    /// Sees to the series before the task gets these fields. Tells which instance it is from then on, if another one.
    fn prepare(
        self,
        tx: &mut Tx<'_>,
        task: &Task,
        fields: &mut TaskFields,
        authority: &Authority,
    ) -> Result<Option<Instance>, ApiError> {
        let rule = match self {
            Self::Nothing => return Ok(None),
            Self::Begin(rule) => rule,
            Self::End => {
                cut(tx, task, TimeDelta::microseconds(1), authority)?;
                return Ok(None);
            }
            Self::Split(rule) => {
                let tail = cut(tx, task, TimeDelta::zero(), authority)?;
                rule.or(tail).ok_or_else(|| ApiError::internal("a series without a rule"))?
            }
        };
        tasks::fit_dates(tx, fields)?;
        let instance = task_series::begin(tx, fields, task.registered_by_id, rule)?;
        Ok(Some(instance.map_err(|error| not_a_rule(&error))?))
    }
}

/// Ends the series of a task so long after its date, and tells the rule from that date on. All of it has to be the
/// caller's to change, not this instance alone.
fn cut(tx: &mut Tx<'_>, task: &Task, after: TimeDelta, authority: &Authority) -> Result<Option<Rule>, ApiError> {
    let (Some(id), Some(occurrence_at)) = (task.task_series_id, task.occurrence_at) else {
        return Err(ApiError::internal("a task without a series"));
    };
    let series = task_series::lock(tx, id)?;
    authority.may_change(&series.holders()).map_err(ApiError::forbidden)?;
    if task_series::newest(tx, id)?.is_some_and(|newest| newest > occurrence_at) {
        return Err(ApiError::state_invalid(
            "not_newest",
            "A later instance is there: the series goes on from that one",
        ));
    }
    task_series::end(tx, &series, occurrence_at + after)?;
    Ok(series.recurrence().and_then(|recurrence| recurrence.rule_from(occurrence_at)))
}

/// Remove a task.
///
/// For what was written down by mistake; what is not to be done after all is cancelled. Refused while something hangs
/// below it or time was spent on it. An instance of a series goes only where it is the only one, and the series with it.
/// The files on it are taken off, and go where they are on nothing else. The audit log keeps it.
#[utoipa::path(tag = "Tasks", security(("sign_in" = ["crm:write"])), params(IfMatch), responses((status = 204)))]
#[delete("/tasks/{id}")]
pub(super) async fn delete_task(
    state: web::Data<State>,
    actor: Actor,
    id: Id<TaskId>,
    seen: IfMatch,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::CrmWrite)?;
    state
        .transaction(scope, move |tx| {
            work_tree::hold(tx)?;
            let task = tasks::lock(tx, id.0, seen.0)?;
            actor.authority(tx)?.may_change(&task.holders()).map_err(ApiError::forbidden)?;
            let series = task.task_series_id.map(|series| task_series::lock(tx, series)).transpose()?;
            if let Some(series) = &series
                && task_series::instances(tx, series.id)? > 1
            {
                return Err(ApiError::state_invalid("instance", "One of a series is skipped by cancelling it"));
            }
            tasks::delete(tx, &task)?;
            if let Some(series) = &series {
                task_series::delete(tx, series)?;
            }
            Ok(Reply::empty())
        })
        .await
}
