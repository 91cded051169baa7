//! Procedure runs: executions of procedures for customers, each a thread with a main task and a subtask a step.
//!
//! A step's task is an ordinary task. One that waits has neither caretaker nor date: it gets them when the step is opened,
//! which happens when the last task that it waits for is closed, whoever closes it.

use crate::changes::{self, Change};
use crate::db::Tx;
use crate::error::{OrNotFound, Result, StoreError};
use crate::json::Json;
use crate::operators;
use crate::organizations;
use crate::page::{Cursor, Page, PageRequest, keyset};
use crate::procedures::{self, Procedure};
use crate::schema::{customers, procedure_runs, procedure_steps, surveys, tasks};
use crate::survey_responses::{self, Asked, SurveyResponseFields};
use crate::task_progress;
use crate::tasks::{NewTaskFields, Task, TaskFields};
use crate::threads::{self, ThreadFields};
use chrono::{DateTime, Days, NaiveDate, Utc};
use chrono_tz::Tz;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Integer;
use opiekun_domain::calendar_day::day_bounds;
use opiekun_domain::ids::{
    ArticleId, CustomerId, OperatorId, OrganizationId, ProcedureId, ProcedureRunId, ProcedureStepId, SurveyId, TaskId,
    ThreadId,
};
use opiekun_domain::procedure::{Assignee, Hands, RunState, Step, StepState, is_ready};
use opiekun_domain::survey::{Answers, SurveyStatus};
use opiekun_domain::task::{Progress, TaskPriority, TaskStatus};
use opiekun_domain::thread::ThreadStatus;
use serde::Serialize;
use std::collections::{BTreeSet, HashMap, HashSet};
use uuid::Uuid;

#[derive(Debug, Clone, Queryable, Selectable, Serialize)]
#[diesel(table_name = procedure_runs, check_for_backend(diesel::pg::Pg))]
pub struct ProcedureRun {
    pub id: ProcedureRunId,
    pub procedure_id: ProcedureId,
    /// The version of the procedure whose steps it follows.
    pub procedure_version: i32,
    pub customer_id: CustomerId,
    pub period_start_on: Option<NaiveDate>,
    /// Exclusive.
    pub period_end_on: Option<NaiveDate>,
    pub started_on: NaiveDate,
    /// The main task.
    pub task_id: TaskId,
    /// Who started it; nobody where its schedule did, or a script.
    pub registered_by_id: Option<OperatorId>,
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// A step of a run.
#[derive(Debug, Clone, Queryable, Selectable, Serialize)]
#[diesel(table_name = procedure_steps, check_for_backend(diesel::pg::Pg))]
pub struct ProcedureStep {
    pub id: ProcedureStepId,
    pub run_id: ProcedureRunId,
    pub position: i16,
    pub key: String,
    pub waits_for: Vec<String>,
    pub task_id: TaskId,
    /// As its task's; of a step that waits, who is to do it.
    pub caretaker_id: Option<OperatorId>,
    /// As its task's; of a step that waits, the day of its rule.
    pub due_on: Option<NaiveDate>,
    /// Only serves the order of lists.
    #[serde(skip)]
    pub sort_due_on: NaiveDate,
    pub files_required: i16,
    pub survey_id: Option<SurveyId>,
    pub article_id: Option<ArticleId>,
    /// Of this run alone.
    pub is_extra: bool,
    pub opened_at: Option<DateTime<Utc>>,
    /// As its task's.
    pub closed_at: Option<DateTime<Utc>>,
    pub skip_reason: Option<String>,
    /// The rule by which it is settled who does it, when it is opened.
    pub assignee: Json<Assignee>,
    /// As its task's; of a step that can not be done yet, that it waits.
    pub state: StepState,
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

#[derive(Insertable)]
#[diesel(table_name = procedure_runs)]
struct NewProcedureRun {
    organization_id: OrganizationId,
    id: ProcedureRunId,
    procedure_id: ProcedureId,
    procedure_version: i32,
    customer_id: CustomerId,
    period_start_on: Option<NaiveDate>,
    period_end_on: Option<NaiveDate>,
    started_on: NaiveDate,
    task_id: TaskId,
    registered_by_id: Option<OperatorId>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

#[derive(Insertable)]
#[diesel(table_name = procedure_steps)]
struct NewProcedureStep {
    organization_id: OrganizationId,
    id: ProcedureStepId,
    run_id: ProcedureRunId,
    position: i16,
    key: String,
    waits_for: Vec<String>,
    task_id: TaskId,
    caretaker_id: Option<OperatorId>,
    due_on: Option<NaiveDate>,
    files_required: i16,
    survey_id: Option<SurveyId>,
    article_id: Option<ArticleId>,
    is_extra: bool,
    opened_at: Option<DateTime<Utc>>,
    assignee: Json<Assignee>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// For whom a procedure is started, and for which days.
#[derive(Debug, Clone)]
pub struct Start {
    pub customer_id: CustomerId,
    /// The customer's.
    pub caretaker_id: Option<OperatorId>,
    /// The first day of the period, and the first day after it.
    pub period: Option<(NaiveDate, NaiveDate)>,
    /// Beside the procedure's, in this run alone.
    pub extra_steps: Vec<Step>,
}

/// On which day runs start, and who starts them.
#[derive(Debug, Clone, Copy)]
pub struct Occasion {
    pub started_on: NaiveDate,
    pub starter_id: Option<OperatorId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ProcedureStepSort {
    /// Those without a date are the last.
    #[default]
    DueOn,
}

/// All that is given must hold.
#[derive(Debug, Clone, Default)]
pub struct ProcedureRunFilter {
    pub procedure_id: Option<ProcedureId>,
    pub customer_id: Option<CustomerId>,
    pub period_start_on: Option<NaiveDate>,
    pub state: Option<RunState>,
}

/// All that is given must hold.
#[derive(Debug, Clone, Default)]
pub struct ProcedureStepFilter {
    pub run_id: Option<ProcedureRunId>,
    pub procedure_id: Option<ProcedureId>,
    pub customer_id: Option<CustomerId>,
    pub caretaker_id: Option<OperatorId>,
    pub period_start_on: Option<NaiveDate>,
    pub state: Option<StepState>,
    /// Whether it can be done and should have been by now.
    pub late: Option<bool>,
}

/// Starts a locked procedure for customers, each whole: its thread, its main task and a subtask a step. A number of
/// statements that does not grow with them.
pub fn start_all(
    tx: &mut Tx<'_>,
    procedure: &Procedure,
    occasion: Occasion,
    starts: Vec<Start>,
) -> Result<Vec<ProcedureRun>> {
    let (organization_id, now) = (tx.organization_id(), tx.now);
    let zone = organizations::find(tx)?.time_zone();
    let count = i64::try_from(starts.len()).unwrap_or(i64::MAX);
    let first_turn = procedures::take_turns(tx, procedure.id, count)?;
    let all_steps = procedure.fields.steps.0.iter().chain(starts.iter().flat_map(|start| &start.extra_steps));
    let named = all_steps.flat_map(|step| step.assignee.named()).copied();
    let hands = starts.iter().filter_map(|start| start.caretaker_id).chain(occasion.starter_id);
    let works = operators::working(tx, named.chain(hands))?;
    let (mut new_threads, mut new_tasks) = (Vec::new(), Vec::new());
    let (mut runs, mut steps) = (Vec::new(), Vec::new());
    for (start, turn) in starts.into_iter().zip(first_turn..) {
        let Start { customer_id, caretaker_id, period, extra_steps } = start;
        let hands = Hands { caretaker_id, starter_id: occasion.starter_id, turn };
        let (thread_id, task_id, run_id) = (ThreadId::at(now), TaskId::at(now), ProcedureRunId::at(now));
        let title = titled(&procedure.fields.name, period);
        let responsible = caretaker_id.or(occasion.starter_id);
        let matter = Matter { customer_id, thread_id, parent_task_id: task_id, zone };
        let extra_steps = fitted(extra_steps, &procedure.fields.steps.0);
        let of_procedure = procedure.fields.steps.0.iter().map(|step| (step, false));
        let all = of_procedure.chain(extra_steps.iter().map(|step| (step, true)));
        let mut last_due_on = None;
        for ((step, is_extra), position) in all.zip(1..) {
            let planned = Planned::new(step, occasion.started_on, period, hands, &works);
            last_due_on = last_due_on.max(planned.due_on);
            let is_open = step.waits_for.is_empty();
            let (row, task) = planned.rows(tx, run_id, (position, is_extra, is_open), step, matter);
            steps.push(row);
            new_tasks.push((occasion.starter_id, task));
        }
        new_threads.push((
            thread_id,
            occasion.starter_id,
            ThreadFields {
                subject: title.clone(),
                description: None,
                customer_id: Some(customer_id),
                caretaker_id: responsible,
                status: ThreadStatus::Open,
                tags: Vec::new(),
            },
        ));
        let main = TaskFields {
            description: procedure.fields.description.clone(),
            parent_task_id: None,
            ..task_fields(title, TaskPriority::Normal, responsible, last_due_on, matter)
        };
        new_tasks.push((occasion.starter_id, NewTaskFields { id: task_id, fields: main }));
        runs.push(NewProcedureRun {
            organization_id,
            id: run_id,
            procedure_id: procedure.id,
            procedure_version: procedure.published_version,
            customer_id,
            period_start_on: period.map(|(start_on, _)| start_on),
            period_end_on: period.map(|(_, end_on)| end_on),
            started_on: occasion.started_on,
            task_id,
            registered_by_id: occasion.starter_id,
            created_at: now,
            updated_at: now,
        });
    }
    threads::create_all(tx, new_threads)?;
    // Main tasks before what hangs below them.
    new_tasks.sort_by_key(|(_, task)| task.fields.parent_task_id.is_some());
    crate::tasks::create_all(tx, new_tasks, zone)?;
    let runs: Vec<ProcedureRun> = diesel::insert_into(procedure_runs::table)
        .values(runs)
        .returning(ProcedureRun::as_returning())
        .get_results(tx.conn)?;
    let mut records: Vec<Change> = runs.iter().map(|run| run_change("started", None, run)).collect();
    let steps = insert_steps(tx, steps)?;
    records.extend(steps.iter().filter(|step| step.opened_at.is_some()).map(|step| step_change("opened", step)));
    changes::record_all(tx, records)?;
    let customers: HashMap<ProcedureRunId, CustomerId> = runs.iter().map(|run| (run.id, run.customer_id)).collect();
    let opened = steps.iter().filter(|step| step.opened_at.is_some());
    ask_surveys(tx, opened.filter_map(|step| Some((step, *customers.get(&step.run_id)?))))?;
    Ok(runs)
}

/// Extra steps as they fit a procedure that may have changed since they were told: one of the procedure's own with the same
/// key takes the place of an extra one, and nobody waits for what is not there any more.
fn fitted(extra_steps: Vec<Step>, of_procedure: &[Step]) -> Vec<Step> {
    let own: BTreeSet<&str> = of_procedure.iter().map(|step| step.key.as_str()).collect();
    let mut fitted: Vec<Step> = extra_steps.into_iter().filter(|step| !own.contains(step.key.as_str())).collect();
    let keys: BTreeSet<String> =
        own.iter().map(|key| (*key).to_owned()).chain(fitted.iter().map(|step| step.key.clone())).collect();
    fitted.iter_mut().for_each(|step| step.waits_for.retain(|key| keys.contains(key)));
    fitted
}

/// Parameters of one statement are limited.
const ROWS_AT_ONCE: usize = 1_000;

fn insert_steps(tx: &mut Tx<'_>, mut rows: Vec<NewProcedureStep>) -> Result<Vec<ProcedureStep>> {
    let mut steps = Vec::with_capacity(rows.len());
    while !rows.is_empty() {
        let rest = rows.split_off(rows.len().min(ROWS_AT_ONCE));
        let inserted: Vec<ProcedureStep> = diesel::insert_into(procedure_steps::table)
            .values(rows)
            .returning(ProcedureStep::as_returning())
            .get_results(tx.conn)?;
        steps.extend(inserted);
        rows = rest;
    }
    Ok(steps)
}

/// What the tasks of a run have in common.
#[derive(Clone, Copy)]
struct Matter {
    customer_id: CustomerId,
    thread_id: ThreadId,
    parent_task_id: TaskId,
    zone: Tz,
}

/// Who is to do a step, and by when.
struct Planned {
    caretaker_id: Option<OperatorId>,
    due_on: Option<NaiveDate>,
}

impl Planned {
    /// Only those who are at work here do anything.
    fn new(
        step: &Step,
        started_on: NaiveDate,
        period: Option<(NaiveDate, NaiveDate)>,
        hands: Hands,
        works: &HashSet<OperatorId>,
    ) -> Self {
        let period_start_on = period.map(|(start_on, _)| start_on);
        Self {
            caretaker_id: step.assignee.operator(hands, |id| works.contains(&id)),
            due_on: step.due.map(|rule| rule.due_on(started_on, period_start_on)),
        }
    }

    fn rows(
        &self,
        tx: &Tx<'_>,
        run_id: ProcedureRunId,
        (position, is_extra, is_open): (i16, bool, bool),
        step: &Step,
        matter: Matter,
    ) -> (NewProcedureStep, NewTaskFields) {
        let id = TaskId::at(tx.now);
        let row = NewProcedureStep {
            organization_id: tx.scope.organization_id,
            id: ProcedureStepId::at(tx.now),
            run_id,
            position,
            key: step.key.clone(),
            waits_for: step.waits_for.clone(),
            task_id: id,
            caretaker_id: self.caretaker_id,
            due_on: self.due_on,
            files_required: step.files_required,
            survey_id: step.survey_id,
            article_id: step.article_id,
            is_extra,
            opened_at: is_open.then_some(tx.now),
            assignee: Json(step.assignee.clone()),
            created_at: tx.now,
            updated_at: tx.now,
        };
        let (caretaker_id, due_on) = if is_open { (self.caretaker_id, self.due_on) } else { (None, None) };
        let fields = TaskFields {
            description: step.instructions.clone(),
            ..task_fields(step.title.clone(), step.priority, caretaker_id, due_on, matter)
        };
        (row, NewTaskFields { id, fields })
    }
}

fn task_fields(
    title: String,
    priority: TaskPriority,
    caretaker_id: Option<OperatorId>,
    due_on: Option<NaiveDate>,
    matter: Matter,
) -> TaskFields {
    TaskFields {
        title,
        description: None,
        customer_id: Some(matter.customer_id),
        caretaker_id,
        priority,
        start_at: None,
        due_at: due_on.map(|day| day_bounds(day, matter.zone).0),
        all_day: due_on.is_some(),
        estimate_minutes: None,
        thread_id: Some(matter.thread_id),
        parent_task_id: Some(matter.parent_task_id),
        parent_interaction_id: None,
        opportunity_id: None,
        tags: Vec::new(),
        reminder_minutes: Vec::new(),
    }
}

/// The procedure and its period: `Monthly close 10/2026` of a whole month, else with the first and the last day.
fn titled(name: &str, period: Option<(NaiveDate, NaiveDate)>) -> String {
    use chrono::{Datelike, Months};
    match period {
        None => name.to_owned(),
        Some((start_on, end_on))
            if start_on.day() == 1 && start_on.checked_add_months(Months::new(1)) == Some(end_on) =>
        {
            format!("{name} {}", start_on.format("%m/%Y"))
        }
        Some((start_on, end_on)) => format!("{name} {start_on} – {}", end_on.pred_opt().unwrap_or(end_on)),
    }
}

pub fn find(tx: &mut Tx<'_>, id: ProcedureRunId) -> Result<ProcedureRun> {
    procedure_runs::table
        .find((tx.organization_id(), id))
        .select(ProcedureRun::as_select())
        .first(tx.conn)
        .optional()
        .or_not_found("procedure run")
}

/// Locks the row, and with it the order in which its steps are opened.
pub fn lock(tx: &mut Tx<'_>, id: ProcedureRunId) -> Result<ProcedureRun> {
    procedure_runs::table
        .find((tx.organization_id(), id))
        .select(ProcedureRun::as_select())
        .for_no_key_update()
        .first(tx.conn)
        .optional()
        .or_not_found("procedure run")
}

/// The steps of runs, with their tasks, in the order of the runs and of their steps.
pub fn steps_of(tx: &mut Tx<'_>, ids: &[ProcedureRunId]) -> Result<Vec<(ProcedureStep, Task)>> {
    Ok(procedure_steps::table
        .inner_join(tasks::table.on(
            tasks::organization_id.eq(procedure_steps::organization_id).and(tasks::id.eq(procedure_steps::task_id)),
        ))
        .filter(procedure_steps::organization_id.eq(tx.organization_id()))
        .filter(procedure_steps::run_id.eq_any(ids))
        .order((procedure_steps::run_id, procedure_steps::position))
        .select((ProcedureStep::as_select(), Task::as_select()))
        .load(tx.conn)?)
}

/// Adds a step to a locked run that goes on: its procedure stays as it is.
pub fn add_step(
    tx: &mut Tx<'_>,
    run: &ProcedureRun,
    main: &Task,
    step: &Step,
    hands: Hands,
    is_open: bool,
) -> Result<()> {
    let zone = organizations::find(tx)?.time_zone();
    let last: Option<i16> = procedure_steps::table
        .filter(procedure_steps::organization_id.eq(tx.organization_id()))
        .filter(procedure_steps::run_id.eq(run.id))
        .select(diesel::dsl::max(procedure_steps::position))
        .first(tx.conn)?;
    let thread_id = main.fields.thread_id.ok_or(StoreError::no_reference("procedure_runs", "thread_id"))?;
    let matter = Matter { customer_id: run.customer_id, thread_id, parent_task_id: main.id, zone };
    let period = run.period_start_on.zip(run.period_end_on);
    let started_on = opiekun_domain::calendar_day::day_of(tx.now, zone);
    let named = step.assignee.named().iter().copied();
    let works = operators::working(tx, named.chain(hands.caretaker_id).chain(hands.starter_id))?;
    let planned = Planned::new(step, started_on, period, hands, &works);
    let (row, task) = planned.rows(tx, run.id, (last.unwrap_or_default() + 1, true, is_open), step, matter);
    crate::tasks::create_all(tx, vec![(tx.scope.actor.operator_id(), task)], zone)?;
    let steps = insert_steps(tx, vec![row])?;
    if is_open {
        changes::record_all(tx, steps.iter().map(|step| step_change("opened", step)).collect())?;
        ask_surveys(tx, steps.iter().map(|step| (step, run.customer_id)))?;
    }
    // What has more to be done is as far as that.
    task_progress::roll_up(tx, Some(main.id))?;
    changed(tx, run, "step_added")
}

/// Leaves out a step of a locked run that nobody has closed. What waits for it does not any more.
pub fn skip(tx: &mut Tx<'_>, run: &ProcedureRun, step: &ProcedureStep, reason: String) -> Result<()> {
    let below = task_progress::lock_open_below(tx, step.task_id)?;
    // Before its step, which follows it whoever changes it.
    let task = crate::tasks::lock(tx, step.task_id, None)?;
    diesel::update(procedure_steps::table.find((tx.organization_id(), step.id)))
        .set((
            procedure_steps::skip_reason.eq(reason),
            procedure_steps::version.eq(procedure_steps::version + 1),
            procedure_steps::updated_at.eq(tx.now),
        ))
        .execute(tx.conn)?;
    task_progress::close_all(tx, &below, TaskStatus::Cancelled)?;
    let progress = Progress::recorded(TaskStatus::Cancelled, task.percent_done);
    crate::tasks::update(tx, &task, task.fields.clone(), progress, None)?;
    changed(tx, run, "step_skipped")
}

fn changed(tx: &mut Tx<'_>, run: &ProcedureRun, action: &'static str) -> Result<()> {
    let after: ProcedureRun = diesel::update(procedure_runs::table.find((tx.organization_id(), run.id)))
        .set((procedure_runs::version.eq(procedure_runs::version + 1), procedure_runs::updated_at.eq(tx.now)))
        .returning(ProcedureRun::as_returning())
        .get_result(tx.conn)?;
    changes::record(tx, run_change(action, Some(run), &after))
}

/// What follows from a task that was just opened again: its step is not skipped any more, and can be done if what it waits
/// for is. Its survey waits again for the customer who has not answered it.
pub(crate) fn reopen(tx: &mut Tx<'_>, task_id: TaskId) -> Result<()> {
    diesel::update(procedure_steps::table)
        .filter(procedure_steps::organization_id.eq(tx.organization_id()))
        .filter(procedure_steps::task_id.eq(task_id))
        .filter(procedure_steps::skip_reason.is_not_null())
        .set((
            procedure_steps::skip_reason.eq(None::<String>),
            procedure_steps::version.eq(procedure_steps::version + 1),
            procedure_steps::updated_at.eq(tx.now),
        ))
        .execute(tx.conn)?;
    let opened: Vec<(ProcedureStep, CustomerId)> = procedure_steps::table
        .filter(procedure_steps::organization_id.eq(tx.organization_id()))
        .filter(procedure_steps::task_id.eq(task_id))
        .filter(procedure_steps::opened_at.is_not_null())
        .select((ProcedureStep::as_select(), procedure_steps::customer_id))
        .load(tx.conn)?;
    ask_surveys(tx, opened.iter().map(|(step, customer_id)| (step, *customer_id)))?;
    follow(tx, &[task_id], Finish::Nothing)
}

/// Whether a task is a step of a run.
pub fn is_step(tx: &mut Tx<'_>, task_id: TaskId) -> Result<bool> {
    let of_task = procedure_steps::table
        .filter(procedure_steps::organization_id.eq(tx.organization_id()))
        .filter(procedure_steps::task_id.eq(task_id));
    Ok(diesel::select(diesel::dsl::exists(of_task)).get_result(tx.conn)?)
}

/// Locks the run of which a task is a step, or the main task, if there is one: before the task itself, as whoever closes
/// what it waits for has them.
pub fn hold_of_task(tx: &mut Tx<'_>, task_id: TaskId) -> Result<()> {
    let organization_id = tx.organization_id();
    let of_step = procedure_steps::table
        .filter(procedure_steps::organization_id.eq(organization_id))
        .filter(procedure_steps::task_id.eq(task_id))
        .select(procedure_steps::run_id);
    let of_main = procedure_runs::table
        .filter(procedure_runs::organization_id.eq(organization_id))
        .filter(procedure_runs::task_id.eq(task_id))
        .select(procedure_runs::id);
    let ids: Vec<ProcedureRunId> = of_step.union_all(of_main).load(tx.conn)?;
    for id in ids {
        lock(tx, id)?;
    }
    Ok(())
}

/// What follows from tasks that were just closed, steps and others below a run's main task: steps that waited for nothing
/// else are opened, and surveys that nobody has begun to answer for them wait no longer. `Finish` closes the main task when
/// nothing below it is left.
pub(crate) fn follow(tx: &mut Tx<'_>, closed: &[TaskId], finish: Finish) -> Result<()> {
    let organization_id = tx.organization_id();
    let run_ids: Vec<ProcedureRunId> = procedure_runs::table
        .inner_join(
            tasks::table.on(tasks::organization_id
                .eq(procedure_runs::organization_id)
                .and(tasks::parent_task_id.eq(procedure_runs::task_id.nullable()))),
        )
        .filter(tasks::organization_id.eq(organization_id))
        .filter(tasks::id.eq_any(closed))
        .select(procedure_runs::id)
        .distinct()
        .load(tx.conn)?;
    if run_ids.is_empty() {
        return Ok(());
    }
    // Of two who close steps of a run at once the second sees what the first has closed.
    let runs: Vec<ProcedureRun> = procedure_runs::table
        .filter(procedure_runs::organization_id.eq(organization_id))
        .filter(procedure_runs::id.eq_any(&run_ids))
        .order(procedure_runs::id)
        .select(ProcedureRun::as_select())
        .for_no_key_update()
        .load(tx.conn)?;
    let steps = steps_of(tx, &run_ids)?;
    let asked = steps.iter().filter(|(step, task)| step.survey_id.is_some() && task.closed_at.is_some());
    let asked: Vec<TaskId> = asked.map(|(_, task)| task.id).filter(|id| closed.contains(id)).collect();
    survey_responses::delete_unanswered(tx, &asked)?;
    let zone = organizations::find(tx)?.time_zone();
    let caretakers: HashMap<CustomerId, Option<OperatorId>> = customers::table
        .filter(customers::organization_id.eq(organization_id))
        .filter(customers::id.eq_any(runs.iter().map(|run| run.customer_id)))
        .select((customers::id, customers::caretaker_id))
        .load::<(CustomerId, Option<OperatorId>)>(tx.conn)?
        .into_iter()
        .collect();
    let unopened = || steps.iter().filter(|(step, _)| step.opened_at.is_none()).map(|(step, _)| step);
    let hands = unopened().flat_map(|step| step.assignee.0.named().iter().copied().chain(step.caretaker_id));
    let works = operators::working(tx, hands.chain(caretakers.values().copied().flatten()))?;
    for run in &runs {
        let of_run: Vec<_> = steps.iter().filter(|(step, _)| step.run_id == run.id).collect();
        let is_closed = |key: &str| of_run.iter().any(|(step, task)| step.key == key && task.closed_at.is_some());
        let ready: Vec<&ProcedureStep> = of_run
            .iter()
            .filter(|(step, task)| step.opened_at.is_none() && task.closed_at.is_none())
            .filter(|(step, _)| is_ready(&step.waits_for, is_closed))
            .map(|(step, _)| step)
            .collect();
        let task_ids: Vec<TaskId> = ready.iter().map(|step| step.task_id).collect();
        let tasks: HashMap<TaskId, Task> =
            crate::tasks::lock_all(tx, &task_ids)?.into_iter().map(|task| (task.id, task)).collect();
        let caretaker_id = caretakers.get(&run.customer_id).copied().flatten();
        for step in ready {
            let task = tasks.get(&step.task_id).ok_or(StoreError::NotFound("task"))?;
            let planned =
                step.assignee.0.operator_at_opening(step.caretaker_id, caretaker_id, |id| works.contains(&id));
            open(tx, run, (step, planned), task, zone)?;
        }
        if finish == Finish::Main && of_run.iter().all(|(_, task)| task.closed_at.is_some()) {
            let main = crate::tasks::lock(tx, run.task_id, None)?;
            if main.closed_at.is_none() && task_progress::subtasks(tx, main.id)?.open == 0 {
                let done = Progress::recorded(TaskStatus::Done, 100);
                crate::tasks::update(tx, &main, main.fields.clone(), done, None)?;
                changes::record(tx, run_change("finished", Some(run), run))?;
            }
        }
    }
    Ok(())
}

/// Whether the main task is closed with the last of its subtasks, or by whoever closes the steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finish {
    Main,
    Nothing,
}

/// Opens a step of a locked run: its locked task gets who is to do it and by when, where nobody has said so already.
fn open(
    tx: &mut Tx<'_>,
    run: &ProcedureRun,
    (step, caretaker_id): (&ProcedureStep, Option<OperatorId>),
    task: &Task,
    zone: Tz,
) -> Result<()> {
    let mut fields = task.fields.clone();
    fields.caretaker_id = fields.caretaker_id.or(caretaker_id);
    let opened: ProcedureStep = diesel::update(procedure_steps::table.find((tx.organization_id(), step.id)))
        .set((
            procedure_steps::opened_at.eq(tx.now),
            procedure_steps::caretaker_id.eq(fields.caretaker_id),
            procedure_steps::version.eq(procedure_steps::version + 1),
            procedure_steps::updated_at.eq(tx.now),
        ))
        .returning(ProcedureStep::as_returning())
        .get_result(tx.conn)?;
    if let (None, Some(due_on)) = (fields.due_at, step.due_on) {
        // A task that starts later than the step is due is due when it starts.
        let due_at = day_bounds(due_on, zone).0;
        fields.due_at = Some(fields.start_at.map_or(due_at, |start_at| start_at.max(due_at)));
        fields.all_day = fields.start_at.is_none() || fields.all_day;
    }
    crate::tasks::update(tx, task, fields, task.progress(), None)?;
    changes::record(tx, step_change("opened", &opened))?;
    ask_surveys(tx, std::iter::once((&opened, run.customer_id)))
}

/// Puts a survey that was just opened before the customers of whose runs open steps ask for it. The trees are kept in their
/// shape, so that nobody opens or closes a step meanwhile.
pub fn ask_for_open_steps(tx: &mut Tx<'_>, survey_id: SurveyId) -> Result<()> {
    let open: Vec<(ProcedureStep, CustomerId)> = procedure_steps::table
        .filter(procedure_steps::organization_id.eq(tx.organization_id()))
        .filter(procedure_steps::survey_id.eq(survey_id))
        .filter(procedure_steps::opened_at.is_not_null())
        .filter(procedure_steps::closed_at.is_null())
        .order(procedure_steps::id)
        .select((ProcedureStep::as_select(), procedure_steps::customer_id))
        .load(tx.conn)?;
    ask_surveys(tx, open.iter().map(|(step, customer_id)| (step, *customer_id)))
}

/// Puts the surveys of opened steps before the customers, those that can be answered, where none is there already: begun,
/// answered, or still waiting.
fn ask_surveys<'a>(tx: &mut Tx<'_>, opened: impl Iterator<Item = (&'a ProcedureStep, CustomerId)>) -> Result<()> {
    let mut asked: Vec<(&ProcedureStep, CustomerId, SurveyId)> =
        opened.filter_map(|(step, customer_id)| Some((step, customer_id, step.survey_id?))).collect();
    if asked.is_empty() {
        return Ok(());
    }
    let tasks: Vec<TaskId> = asked.iter().map(|(step, ..)| step.task_id).collect();
    let there = survey_responses::of_tasks(tx, &tasks)?;
    asked.retain(|(step, _, survey_id)| !there.contains(&(step.task_id, *survey_id)));
    let ids: BTreeSet<SurveyId> = asked.iter().map(|(.., survey_id)| *survey_id).collect();
    let published: HashMap<SurveyId, Option<i32>> = surveys::table
        .filter(surveys::organization_id.eq(tx.organization_id()))
        .filter(surveys::id.eq_any(ids))
        .select((surveys::id, surveys::status, surveys::published_version))
        // Whoever opens it meanwhile comes first, or sees these steps.
        .order(surveys::id)
        .for_share()
        .load::<(SurveyId, SurveyStatus, Option<i32>)>(tx.conn)?
        .into_iter()
        .filter(|(_, status, _)| *status == SurveyStatus::Open)
        .map(|(id, _, published_version)| (id, published_version))
        .collect();
    let rows = asked.into_iter().filter_map(|(step, customer_id, survey_id)| {
        let survey_version = published.get(&survey_id).copied().flatten()?;
        let asked = Asked { survey_id, survey_version, link_id: None, registered_by_id: None };
        let fields = SurveyResponseFields {
            customer_id: Some(customer_id),
            person_id: None,
            operator_id: step.caretaker_id,
            interaction_id: None,
            task_id: Some(step.task_id),
            answers: Json(Answers::new()),
        };
        Some((asked, fields))
    });
    survey_responses::create_all(tx, rows.collect())
}

pub fn list(tx: &mut Tx<'_>, filter: &ProcedureRunFilter, page: &PageRequest<()>) -> Result<Page<ProcedureRun>> {
    let organization_id = tx.organization_id();
    let filtered = || {
        let mut query = procedure_runs::table.filter(procedure_runs::organization_id.eq(organization_id)).into_boxed();
        if let Some(procedure_id) = filter.procedure_id {
            query = query.filter(procedure_runs::procedure_id.eq(procedure_id));
        }
        if let Some(customer_id) = filter.customer_id {
            query = query.filter(procedure_runs::customer_id.eq(customer_id));
        }
        if let Some(period_start_on) = filter.period_start_on {
            query = query.filter(procedure_runs::period_start_on.eq(period_start_on));
        }
        if let Some(state) = filter.state {
            query = query.filter(procedure_runs::state.eq(state));
        }
        query
    };
    let total = page.total(|cap| filtered().select(sql::<Integer>("1")).limit(cap).load(tx.conn))?;
    let rows = keyset!(filtered(), page, procedure_runs::id).select(ProcedureRun::as_select()).load(tx.conn)?;
    Ok(Page::cut(rows, page, total, |run| Cursor::new((), run.id)))
}

/// Steps, each beside its run and its task.
#[diesel::dsl::auto_type]
fn steps_in_place() -> _ {
    procedure_steps::table
        .inner_join(
            procedure_runs::table.on(procedure_runs::organization_id
                .eq(procedure_steps::organization_id)
                .and(procedure_runs::id.eq(procedure_steps::run_id))),
        )
        .inner_join(tasks::table.on(
            tasks::organization_id.eq(procedure_steps::organization_id).and(tasks::id.eq(procedure_steps::task_id)),
        ))
}

/// A step with its run and its task.
pub fn find_step(tx: &mut Tx<'_>, id: ProcedureStepId) -> Result<(ProcedureStep, ProcedureRun, Task)> {
    steps_in_place()
        .filter(procedure_steps::organization_id.eq(tx.organization_id()))
        .filter(procedure_steps::id.eq(id))
        .select((ProcedureStep::as_select(), ProcedureRun::as_select(), Task::as_select()))
        .first(tx.conn)
        .optional()
        .or_not_found("procedure step")
}

/// A page of steps with their runs and tasks.
pub fn list_steps(
    tx: &mut Tx<'_>,
    filter: &ProcedureStepFilter,
    page: &PageRequest<ProcedureStepSort>,
) -> Result<Page<(ProcedureStep, ProcedureRun, Task)>> {
    let (organization_id, now) = (tx.organization_id(), tx.now);
    let filtered = || {
        let mut query = steps_in_place().filter(procedure_steps::organization_id.eq(organization_id)).into_boxed();
        if let Some(run_id) = filter.run_id {
            query = query.filter(procedure_steps::run_id.eq(run_id));
        }
        if let Some(caretaker_id) = filter.caretaker_id {
            query = query.filter(procedure_steps::caretaker_id.eq(caretaker_id));
        }
        if let Some(procedure_id) = filter.procedure_id {
            query = query.filter(procedure_steps::procedure_id.eq(procedure_id));
        }
        if let Some(customer_id) = filter.customer_id {
            query = query.filter(procedure_steps::customer_id.eq(customer_id));
        }
        if let Some(period_start_on) = filter.period_start_on {
            query = query.filter(procedure_steps::period_start_on.eq(period_start_on));
        }
        if let Some(state) = filter.state {
            query = query.filter(procedure_steps::state.eq(state));
        }
        match filter.late {
            Some(true) => query
                .filter(procedure_steps::opened_at.is_not_null())
                .filter(procedure_steps::closed_at.is_null())
                // What ends the range of the index; somewhere it is tomorrow already.
                .filter(procedure_steps::sort_due_on.le(now.date_naive() + Days::new(1)))
                .filter(tasks::deadline_at.lt(now)),
            Some(false) => query.filter(
                procedure_steps::opened_at
                    .is_null()
                    .or(procedure_steps::closed_at.is_not_null())
                    .or(tasks::deadline_at.ge(now)),
            ),
            None => query,
        }
    };
    let total = page.total(|cap| filtered().select(sql::<Integer>("1")).limit(cap).load(tx.conn))?;
    let ProcedureStepSort::DueOn = page.sort;
    let rows: Vec<(ProcedureStep, ProcedureRun, Task)> =
        keyset!(filtered(), page, procedure_steps::sort_due_on => NaiveDate, procedure_steps::id)
            .select((ProcedureStep::as_select(), ProcedureRun::as_select(), Task::as_select()))
            .load(tx.conn)?;
    Ok(Page::cut(rows, page, total, |(step, ..)| Cursor::new(step.sort_due_on, step.id)))
}

/// A customer as a procedure is started for: who cares for it. None where it is archived or not there.
pub fn start_for(
    tx: &mut Tx<'_>,
    customer_id: CustomerId,
    period: Option<(NaiveDate, NaiveDate)>,
) -> Result<Option<Start>> {
    let found: Option<Option<OperatorId>> = customers::table
        .find((tx.organization_id(), customer_id))
        .filter(customers::archived_at.is_null())
        .select(customers::caretaker_id)
        .first(tx.conn)
        .optional()?;
    Ok(found.map(|caretaker_id| Start { customer_id, caretaker_id, period, extra_steps: Vec::new() }))
}

fn run_change(action: &'static str, before: Option<&ProcedureRun>, after: &ProcedureRun) -> Change {
    Change::new("procedure_run", action, (after.id, after.version), before, Some(after))
}

fn step_change(action: &'static str, step: &ProcedureStep) -> Change {
    Change::new("procedure_step", action, (Uuid::from(step.id), step.version), None, Some(step))
}
