//! Procedure schedules: procedures that are started for many customers, period by period, by themselves.
//!
//! A period is started in batches, each a transaction that starts whole runs and notes how far it has come. Whoever works
//! on a schedule holds its row; another node leaves it alone meanwhile and goes on where the last batch ended.

use crate::changes::{self, Change};
use crate::db::{ActorRef, Db, Scope, Tx};
use crate::error::{OrNotFound, Result, StoreError};
use crate::json::Json;
use crate::organizations;
use crate::page::{Cursor, Page, PageRequest, keyset};
use crate::procedure_runs::{self, Occasion, Start};
use crate::procedures;
use crate::schema::{customers, procedure_runs as runs, procedure_schedule_customers, procedure_schedules};
use chrono::{DateTime, Days, NaiveDate, Utc};
use diesel::dsl::{exists, not, sql};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Integer};
use opiekun_domain::ids::{CustomerId, OperatorId, OrganizationId, ProcedureId, ProcedureScheduleId};
use opiekun_domain::plan::{self, PERIODS_MAX, Plan, Planned, Progress};
use opiekun_domain::procedure::Step;
use opiekun_domain::schedule::{
    BillingTiming, Every, IssueDayShift, Schedule, ScheduleDay, ScheduleProblem, ScheduleRule, Unit,
};
use opiekun_domain::subscription::CatchUp;
use serde::Serialize;
use std::collections::HashMap;
use uuid::Uuid;

#[derive(Debug, Clone, Queryable, Selectable, Serialize)]
#[diesel(table_name = procedure_schedules, check_for_backend(diesel::pg::Pg))]
pub struct ProcedureSchedule {
    pub id: ProcedureScheduleId,
    #[diesel(embed)]
    #[serde(flatten)]
    pub fields: ProcedureScheduleFields,
    pub next_index: i32,
    /// The day on which the next period is started; none where none is left.
    pub next_start_on: Option<NaiveDate>,
    /// The last customer for whom the next period was started, while it is being started.
    pub reached: Option<Uuid>,
    /// Of one that could not be started, when that is tried again.
    #[serde(skip)]
    pub retry_at: Option<DateTime<Utc>>,
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// What a caller may write, beside the customers.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset, Serialize)]
#[diesel(table_name = procedure_schedules, check_for_backend(diesel::pg::Pg), treat_none_as_null = true)]
pub struct ProcedureScheduleFields {
    pub procedure_id: ProcedureId,
    pub every_unit: Unit,
    pub every_count: i32,
    pub first_on: NaiveDate,
    pub day: Option<String>,
    pub timing: BillingTiming,
    pub start_offset_days: i32,
    pub start_day_shift: IssueDayShift,
    pub ends_on: Option<NaiveDate>,
    pub catch_up: CatchUp,
    pub is_listed: bool,
    pub customer_tag: Option<String>,
    pub caretaker_id: Option<OperatorId>,
    pub active: bool,
}

impl ProcedureScheduleFields {
    /// Which periods there are, and on which day each is started.
    pub fn schedule(&self) -> Result<Schedule, ScheduleProblem> {
        let day = self.day.as_deref().map(str::parse::<ScheduleDay>).transpose().map_err(|_| ScheduleProblem::Day)?;
        Schedule::new(ScheduleRule {
            every: Every { unit: self.every_unit, count: u32::try_from(self.every_count).unwrap_or_default() },
            anchor_on: self.first_on,
            day,
            billing: self.timing,
            issue_offset_days: self.start_offset_days,
            issue_day_shift: self.start_day_shift,
        })
    }

    fn progress(&self, next_index: u32) -> Progress {
        Progress { starts_on: self.first_on, ends_on: self.ends_on, prorates: false, next_index }
    }
}

impl ProcedureSchedule {
    fn progress(&self) -> Progress {
        self.fields.progress(u32::try_from(self.next_index).unwrap_or_default())
    }

    /// What is started next and when; nothing where no period is left.
    pub fn next(&self) -> Result<Option<Planned>, ScheduleProblem> {
        Ok(plan::next_planned(&self.fields.schedule()?, self.progress()))
    }
}

/// A customer that a schedule lists, or has something for beside the procedure's steps.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, Serialize)]
#[diesel(table_name = procedure_schedule_customers, check_for_backend(diesel::pg::Pg))]
pub struct ScheduledCustomer {
    pub customer_id: CustomerId,
    pub is_listed: bool,
    pub extra_steps: Json<Vec<Step>>,
}

#[derive(Insertable)]
#[diesel(table_name = procedure_schedules)]
struct NewProcedureSchedule {
    organization_id: OrganizationId,
    id: ProcedureScheduleId,
    #[diesel(embed)]
    fields: ProcedureScheduleFields,
    next_start_on: Option<NaiveDate>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

pub fn create(
    tx: &mut Tx<'_>,
    fields: ProcedureScheduleFields,
    scheduled: Vec<ScheduledCustomer>,
) -> Result<ProcedureSchedule> {
    let next_start_on = next_start_on(&fields, 0)?;
    let row = NewProcedureSchedule {
        organization_id: tx.organization_id(),
        id: ProcedureScheduleId::at(tx.now),
        fields,
        next_start_on,
        created_at: tx.now,
        updated_at: tx.now,
    };
    let schedule: ProcedureSchedule = diesel::insert_into(procedure_schedules::table)
        .values(row)
        .returning(ProcedureSchedule::as_returning())
        .get_result(tx.conn)?;
    put_customers(tx, schedule.id, scheduled)?;
    record(tx, "created", None, Some(&schedule))?;
    Ok(schedule)
}

pub fn find(tx: &mut Tx<'_>, id: ProcedureScheduleId) -> Result<ProcedureSchedule> {
    procedure_schedules::table
        .find((tx.organization_id(), id))
        .select(ProcedureSchedule::as_select())
        .first(tx.conn)
        .optional()
        .or_not_found("procedure schedule")
}

/// Locks the row; [`StoreError::Stale`] when somebody has changed it since `seen`.
pub fn lock(tx: &mut Tx<'_>, id: ProcedureScheduleId, seen: Option<i32>) -> Result<ProcedureSchedule> {
    let schedule = procedure_schedules::table
        .find((tx.organization_id(), id))
        .select(ProcedureSchedule::as_select())
        .for_no_key_update()
        .first(tx.conn)
        .optional()
        .or_not_found("procedure schedule")?;
    StoreError::unless_current(schedule.version, seen)?;
    Ok(schedule)
}

/// Writes to a row that [`lock`] has returned, and counts its version up.
pub fn update(
    tx: &mut Tx<'_>,
    schedule: &ProcedureSchedule,
    fields: ProcedureScheduleFields,
    scheduled: Vec<ScheduledCustomer>,
) -> Result<ProcedureSchedule> {
    let next_start_on = next_start_on(&fields, u32::try_from(schedule.next_index).unwrap_or_default())?;
    let after = diesel::update(procedure_schedules::table.find((tx.organization_id(), schedule.id)))
        .set((
            fields,
            procedure_schedules::next_start_on.eq(next_start_on),
            procedure_schedules::retry_at.eq(None::<DateTime<Utc>>),
            procedure_schedules::version.eq(procedure_schedules::version + 1),
            procedure_schedules::updated_at.eq(tx.now),
        ))
        .returning(ProcedureSchedule::as_returning())
        .get_result(tx.conn)?;
    put_customers(tx, schedule.id, scheduled)?;
    record(tx, "updated", Some(schedule), Some(&after))?;
    Ok(after)
}

/// Removes a locked row. What it has started goes on.
pub fn delete(tx: &mut Tx<'_>, schedule: &ProcedureSchedule) -> Result<()> {
    diesel::delete(procedure_schedules::table.find((tx.organization_id(), schedule.id))).execute(tx.conn)?;
    record(tx, "deleted", Some(schedule), None)
}

pub fn list(
    tx: &mut Tx<'_>,
    procedure_id: Option<ProcedureId>,
    page: &PageRequest<()>,
) -> Result<Page<ProcedureSchedule>> {
    let organization_id = tx.organization_id();
    let filtered = || {
        let query =
            procedure_schedules::table.filter(procedure_schedules::organization_id.eq(organization_id)).into_boxed();
        match procedure_id {
            Some(procedure_id) => query.filter(procedure_schedules::procedure_id.eq(procedure_id)),
            None => query,
        }
    };
    let total = page.total(|cap| filtered().select(sql::<Integer>("1")).limit(cap).load(tx.conn))?;
    let rows =
        keyset!(filtered(), page, procedure_schedules::id).select(ProcedureSchedule::as_select()).load(tx.conn)?;
    Ok(Page::cut(rows, page, total, |schedule| Cursor::new((), schedule.id)))
}

/// The customers that schedules list or have something for, with their schedules, in the order of both.
pub fn customers_of(
    tx: &mut Tx<'_>,
    ids: &[ProcedureScheduleId],
) -> Result<Vec<(ProcedureScheduleId, ScheduledCustomer)>> {
    Ok(procedure_schedule_customers::table
        .filter(procedure_schedule_customers::organization_id.eq(tx.organization_id()))
        .filter(procedure_schedule_customers::schedule_id.eq_any(ids))
        .order((procedure_schedule_customers::schedule_id, procedure_schedule_customers::customer_id))
        .select((procedure_schedule_customers::schedule_id, ScheduledCustomer::as_select()))
        .load(tx.conn)?)
}

/// What a schedule has for one customer beside the procedure's steps.
pub type ExtraSteps = (ProcedureScheduleId, CustomerId, Json<Vec<Step>>);

/// What schedules of a procedure have for single customers beside its steps.
pub fn extra_steps_of(tx: &mut Tx<'_>, procedure_id: ProcedureId) -> Result<Vec<ExtraSteps>> {
    Ok(procedure_schedule_customers::table
        .inner_join(
            procedure_schedules::table.on(procedure_schedules::organization_id
                .eq(procedure_schedule_customers::organization_id)
                .and(procedure_schedules::id.eq(procedure_schedule_customers::schedule_id))),
        )
        .filter(procedure_schedules::organization_id.eq(tx.organization_id()))
        .filter(procedure_schedules::procedure_id.eq(procedure_id))
        .filter(procedure_schedule_customers::extra_steps.ne(Json(Vec::<Step>::new())))
        .order((procedure_schedule_customers::schedule_id, procedure_schedule_customers::customer_id))
        .select((
            procedure_schedule_customers::schedule_id,
            procedure_schedule_customers::customer_id,
            procedure_schedule_customers::extra_steps,
        ))
        .load(tx.conn)?)
}

fn put_customers(tx: &mut Tx<'_>, id: ProcedureScheduleId, scheduled: Vec<ScheduledCustomer>) -> Result<()> {
    /// Parameters of one statement are limited.
    const ROWS_AT_ONCE: usize = 5_000;
    let organization_id = tx.organization_id();
    diesel::delete(procedure_schedule_customers::table)
        .filter(procedure_schedule_customers::organization_id.eq(organization_id))
        .filter(procedure_schedule_customers::schedule_id.eq(id))
        .execute(tx.conn)?;
    for some in scheduled.chunks(ROWS_AT_ONCE) {
        let rows: Vec<_> = some
            .iter()
            .cloned()
            .map(|row| {
                (
                    procedure_schedule_customers::organization_id.eq(organization_id),
                    procedure_schedule_customers::schedule_id.eq(id),
                    row,
                )
            })
            .collect();
        diesel::insert_into(procedure_schedule_customers::table).values(rows).execute(tx.conn)?;
    }
    Ok(())
}

type CustomerPredicate<'a> = Box<dyn BoxableExpression<customers::table, Pg, SqlType = Bool> + 'a>;

/// The customers whom a period of a schedule is to be started for: those that it is for, without those that have it.
fn to_start<'a>(
    organization_id: OrganizationId,
    schedule: &'a ProcedureSchedule,
    period_start_on: NaiveDate,
) -> CustomerPredicate<'a> {
    let fields = &schedule.fields;
    let has_it = runs::table
        .filter(runs::organization_id.eq(organization_id))
        .filter(runs::procedure_id.eq(fields.procedure_id))
        .filter(runs::period_start_on.eq(period_start_on))
        .filter(runs::customer_id.eq(customers::id));
    let mut predicate: CustomerPredicate<'a> = Box::new(
        customers::organization_id.eq(organization_id).and(customers::archived_at.is_null()).and(not(exists(has_it))),
    );
    if fields.is_listed {
        let listed = procedure_schedule_customers::table
            .filter(procedure_schedule_customers::organization_id.eq(organization_id))
            .filter(procedure_schedule_customers::schedule_id.eq(schedule.id))
            .filter(procedure_schedule_customers::is_listed)
            .select(procedure_schedule_customers::customer_id);
        predicate = Box::new(predicate.and(customers::id.eq_any(listed)));
    }
    if let Some(tag) = &fields.customer_tag {
        predicate = Box::new(predicate.and(customers::tags.contains(vec![tag.clone()])));
    }
    if let Some(caretaker_id) = fields.caretaker_id {
        predicate = Box::new(predicate.and(customers::caretaker_id.eq(caretaker_id).assume_not_null()));
    }
    predicate
}

/// A customer, and who cares for it.
pub type CaredFor = (CustomerId, Option<OperatorId>);

/// How many customers a period would be started for now, and the first of them by their ids.
pub fn preview(
    tx: &mut Tx<'_>,
    schedule: &ProcedureSchedule,
    period_start_on: NaiveDate,
    most: i64,
) -> Result<(i64, Vec<CaredFor>)> {
    let organization_id = tx.organization_id();
    let count =
        customers::table.filter(to_start(organization_id, schedule, period_start_on)).count().get_result(tx.conn)?;
    let first = customers::table
        .filter(to_start(organization_id, schedule, period_start_on))
        .order(customers::id)
        .limit(most)
        .select((customers::id, customers::caretaker_id))
        .load(tx.conn)?;
    Ok((count, first))
}

/// Schedules that may have a period to be started at a moment, of all organizations, the longest due first.
pub fn waiting(db: &Db, now: DateTime<Utc>, most: i64) -> Result<Vec<(OrganizationId, ProcedureScheduleId)>> {
    let mut conn = db.connection()?;
    // Somewhere it is tomorrow already.
    let latest = now.date_naive() + Days::new(1);
    Ok(procedure_schedules::table
        .filter(procedure_schedules::active)
        .filter(procedure_schedules::next_start_on.le(latest))
        .filter(procedure_schedules::retry_at.is_null().or(procedure_schedules::retry_at.le(now)))
        .order(procedure_schedules::next_start_on)
        .limit(most)
        .select((procedure_schedules::organization_id, procedure_schedules::id))
        .load(&mut *conn)?)
}

/// Has a schedule that starts nothing, by a fault of its own, tried again at a later moment.
pub fn put_off(
    db: &Db,
    (organization_id, id): (OrganizationId, ProcedureScheduleId),
    retry_at: DateTime<Utc>,
) -> Result<()> {
    diesel::update(procedure_schedules::table.find((organization_id, id)))
        .set(procedure_schedules::retry_at.eq(retry_at))
        .execute(&mut *db.connection()?)?;
    Ok(())
}

/// Starts a batch of at most so many runs of a schedule; `true` when there may be more to be started. Nothing where another
/// node works on it.
#[expect(clippy::disallowed_methods, reason = "the schedule's author has asked for it")]
pub fn start_batch(
    db: &Db,
    now: DateTime<Utc>,
    (organization_id, id): (OrganizationId, ProcedureScheduleId),
    most: i64,
) -> Result<bool> {
    let scope = Scope::new(organization_id, ActorRef::System, None);
    db.transaction(scope, now, |tx| start_some(tx, id, most))
}

/// Starts a batch of at most so many runs of a schedule, within a transaction that Opiekun itself acts in.
pub fn start_some(tx: &mut Tx<'_>, id: ProcedureScheduleId, most: i64) -> Result<bool> {
    let schedule = procedure_schedules::table
        .find((tx.organization_id(), id))
        .filter(procedure_schedules::active)
        .select(ProcedureSchedule::as_select())
        .for_no_key_update()
        .skip_locked()
        .first(tx.conn)
        .optional()?;
    let Some(schedule) = &schedule else { return Ok(false) };
    let today = organizations::today(tx)?;
    let Some(planned) = to_be_started(tx, schedule, today)? else { return Ok(false) };
    let organization_id = tx.organization_id();
    let procedure = procedures::lock(tx, schedule.fields.procedure_id, None)?;
    let (start_on, end_on) = (planned.period.start_on, planned.period.end_on);
    let some: Vec<CaredFor> = customers::table
        .filter(to_start(organization_id, schedule, start_on))
        .filter(customers::id.gt(schedule.reached.unwrap_or_default()))
        .order(customers::id)
        .limit(most)
        .select((customers::id, customers::caretaker_id))
        .load(tx.conn)?;
    let ids: Vec<CustomerId> = some.iter().map(|(id, _)| *id).collect();
    let mut extra_steps: HashMap<CustomerId, Json<Vec<Step>>> = procedure_schedule_customers::table
        .filter(procedure_schedule_customers::organization_id.eq(organization_id))
        .filter(procedure_schedule_customers::schedule_id.eq(schedule.id))
        .filter(procedure_schedule_customers::customer_id.eq_any(&ids))
        .select((procedure_schedule_customers::customer_id, procedure_schedule_customers::extra_steps))
        .load::<(CustomerId, Json<Vec<Step>>)>(tx.conn)?
        .into_iter()
        .collect();
    let is_last = i64::try_from(some.len()).is_ok_and(|count| count < most);
    let reached = ids.last().map(|id| id.0).or(schedule.reached);
    let starts = some.into_iter().map(|(customer_id, caretaker_id)| Start {
        customer_id,
        caretaker_id,
        period: Some((start_on, end_on)),
        extra_steps: extra_steps.remove(&customer_id).map(|steps| steps.0).unwrap_or_default(),
    });
    let starts: Vec<Start> = starts.collect();
    if !starts.is_empty() {
        let occasion = Occasion { started_on: today, starter_id: None };
        procedure_runs::start_all(tx, &procedure, occasion, starts)?;
    }
    let (next_index, reached) = match is_last {
        true => (planned.period.index.saturating_add(1), None),
        false => (planned.period.index, reached),
    };
    go_on(tx, schedule, next_index, reached)?;
    Ok(true)
}

/// The periods that are started next, at most so many: the one that was begun, those that are due and that the rule for
/// missed ones leaves, and those to come. What is due long ago is started on the day that it is now.
pub fn to_come(tx: &mut Tx<'_>, schedule: &ProcedureSchedule, most: usize) -> Result<Vec<Planned>> {
    let rule = schedule.fields.schedule().map_err(not_a_schedule)?;
    let today = organizations::today(tx)?;
    let mut progress = schedule.progress();
    let mut upcoming = Vec::new();
    if schedule.reached.is_some() {
        upcoming.extend(plan::next_planned(&rule, progress));
        progress.next_index = progress.next_index.saturating_add(1);
    }
    let (due, next_index) = due(&rule, progress, today, schedule.fields.catch_up, most);
    upcoming.extend(due);
    progress.next_index = next_index;
    while let Some(planned) = plan::next_planned(&rule, progress).filter(|_| upcoming.len() < most) {
        progress.next_index = planned.period.index.saturating_add(1);
        upcoming.push(planned);
    }
    upcoming.truncate(most);
    for planned in &mut upcoming {
        planned.issue_on = planned.issue_on.max(today);
    }
    Ok(upcoming)
}

/// The period to be started on a day: the one that was begun, or the next one that the rule for missed ones does not skip.
fn to_be_started(tx: &mut Tx<'_>, schedule: &ProcedureSchedule, today: NaiveDate) -> Result<Option<Planned>> {
    let rule = schedule.fields.schedule().map_err(not_a_schedule)?;
    if schedule.reached.is_some() {
        return Ok(plan::next_planned(&rule, schedule.progress()));
    }
    let progress = schedule.progress();
    let (due, next_index) = due(&rule, progress, today, schedule.fields.catch_up, 1);
    match due.first() {
        Some(planned) => Ok(Some(*planned)),
        // Nothing is due, or all of it was missed and is left out.
        None => {
            if next_index > progress.next_index {
                go_on(tx, schedule, next_index, None)?;
            }
            Ok(None)
        }
    }
}

/// The periods to be started on a day, at least so many where there are, and the first one that nothing is decided about,
/// however many before it are left out.
fn due(
    rule: &Schedule,
    mut progress: Progress,
    today: NaiveDate,
    catch_up: CatchUp,
    least: usize,
) -> (Vec<Planned>, u32) {
    let mut due = Vec::new();
    loop {
        let Plan { bill, skip, next_index, .. } = plan::due(rule, progress, today, catch_up, PERIODS_MAX, |_| None);
        let is_last = bill.len() + skip.len() < PERIODS_MAX;
        due.extend(bill);
        progress.next_index = next_index;
        if is_last || due.len() >= least {
            return (due, next_index);
        }
    }
}

/// Notes how far a locked schedule has come. That is no change of it.
fn go_on(tx: &mut Tx<'_>, schedule: &ProcedureSchedule, next_index: u32, reached: Option<Uuid>) -> Result<()> {
    let next_start_on = next_start_on(&schedule.fields, next_index)?;
    diesel::update(procedure_schedules::table.find((tx.organization_id(), schedule.id)))
        .set((
            procedure_schedules::next_index.eq(i32::try_from(next_index).unwrap_or(i32::MAX)),
            procedure_schedules::next_start_on.eq(next_start_on),
            procedure_schedules::reached.eq(reached),
            procedure_schedules::retry_at.eq(None::<DateTime<Utc>>),
        ))
        .execute(tx.conn)?;
    Ok(())
}

fn next_start_on(fields: &ProcedureScheduleFields, next_index: u32) -> Result<Option<NaiveDate>> {
    let schedule = fields.schedule().map_err(not_a_schedule)?;
    Ok(plan::next_planned(&schedule, fields.progress(next_index)).map(|planned| planned.issue_on))
}

fn not_a_schedule(problem: ScheduleProblem) -> StoreError {
    StoreError::Database(diesel::result::Error::DeserializationError(Box::new(problem)))
}

fn record(
    tx: &mut Tx<'_>,
    action: &'static str,
    before: Option<&ProcedureSchedule>,
    after: Option<&ProcedureSchedule>,
) -> Result<()> {
    let Some(told) = after.or(before) else { return Ok(()) };
    changes::record(tx, Change::new("procedure_schedule", action, (told.id, told.version), before, after))
}
