//! Subscriptions: invoice templates put on customers, each with a schedule, and how far each has been billed.

use crate::changes::{self, Change};
use crate::db::Tx;
use crate::error::{OrNotFound, Result, StoreError};
use crate::json::Json;
use crate::page::{Cursor, Page, PageRequest, keyset};
use crate::schema::{customers, invoice_run_results, occurrences, subscriptions};
use chrono::{DateTime, NaiveDate, Utc};
use diesel::BoxableExpression;
use diesel::dsl::{exists, not, sql};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Date, Integer, Nullable, SmallInt, Text, Timestamptz, Uuid as SqlUuid};
use opiekun_domain::billing::LineOverride;
use opiekun_domain::currency::Currency;
use opiekun_domain::ids::{CustomerId, InvoiceRunId, InvoiceTemplateId, OrganizationId, SubscriptionId};
use opiekun_domain::invoice_email::SubscriptionEmails;
use opiekun_domain::invoice_run::RunMode;
use opiekun_domain::plan::{Planned, Progress};
use opiekun_domain::schedule::{BillingTiming, Every, IssueDayShift, Schedule, ScheduleDay, ScheduleRule, Unit};
use opiekun_domain::subscription::{CatchUp, SubscriptionState};
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Debug, Clone, Queryable, Selectable, Serialize)]
#[diesel(table_name = subscriptions, check_for_backend(diesel::pg::Pg))]
pub struct Subscription {
    pub id: SubscriptionId,
    #[diesel(embed)]
    #[serde(flatten)]
    pub fields: SubscriptionFields,
    pub state: SubscriptionState,
    /// The first period, counted from the anchor, that is neither invoiced nor skipped.
    pub next_period: i32,
    /// When that period is to be billed; `None` when none is left.
    pub next_issue_on: Option<NaiveDate>,
    pub consecutive_failures: i16,
    /// The first day of its pause.
    pub paused_on: Option<NaiveDate>,
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// What a caller may write.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset, Serialize)]
#[diesel(table_name = subscriptions, check_for_backend(diesel::pg::Pg), treat_none_as_null = true)]
pub struct SubscriptionFields {
    pub template_id: InvoiceTemplateId,
    pub customer_id: CustomerId,
    #[diesel(embed)]
    #[serde(flatten)]
    pub schedule: ScheduleColumns,
    pub starts_on: NaiveDate,
    pub ends_on: Option<NaiveDate>,
    pub line_overrides: Json<Vec<LineOverride>>,
    pub catch_up: CatchUp,
    /// Whether the periods that it begins and ends in are billed for the days in which it runs.
    pub prorate: bool,
    /// Whether its invoices are sent to the customer by themselves.
    pub email_invoices: SubscriptionEmails,
}

/// A [`Schedule`] as columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset, Serialize)]
#[diesel(table_name = subscriptions, check_for_backend(diesel::pg::Pg), treat_none_as_null = true)]
pub struct ScheduleColumns {
    every_unit: Unit,
    every_count: i32,
    anchor_on: NaiveDate,
    on_day: Option<i16>,
    on_last_day: bool,
    pub billing: BillingTiming,
    issue_offset_days: i32,
    issue_day_shift: IssueDayShift,
}

#[derive(Insertable)]
#[diesel(table_name = subscriptions)]
struct NewSubscription {
    organization_id: OrganizationId,
    id: SubscriptionId,
    #[diesel(embed)]
    fields: SubscriptionFields,
    state: SubscriptionState,
    next_period: i32,
    next_issue_on: Option<NaiveDate>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Default)]
pub struct SubscriptionFilter {
    pub template_id: Option<InvoiceTemplateId>,
    pub customer_id: Option<CustomerId>,
    pub state: Option<SubscriptionState>,
    pub next_issue_from: Option<NaiveDate>,
    pub next_issue_through: Option<NaiveDate>,
}

/// Which subscriptions a run is about: active ones with something to bill through a day. All that is given must hold.
#[derive(Debug, Clone)]
pub struct DueFilter {
    pub through_on: NaiveDate,
    pub subscription_ids: Option<Vec<SubscriptionId>>,
    pub template_ids: Option<Vec<InvoiceTemplateId>>,
    pub customer_ids: Option<Vec<CustomerId>>,
    /// Without those that this run has taken up: it takes each up once.
    pub run_id: InvoiceRunId,
    pub mode: RunMode,
}

/// What becomes of the rows that are due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DueLock {
    /// They are only read.
    None,
    /// They are locked; those that another transaction holds are passed over.
    SkipLocked,
    /// They are locked in the order of their ids, waiting for other transactions.
    Wait,
}

/// How far a subscription has been billed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    next_period: i32,
    next_issue_on: Option<NaiveDate>,
}

impl Position {
    /// Before the `next` period to bill; where none is left, behind the last, at `next_index`.
    pub fn new(next_index: u32, next: Option<Planned>) -> Self {
        let next_period = next.map_or(next_index, |next| next.period.index);
        // No calendar holds more periods than fit.
        let next_period = i32::try_from(next_period).unwrap_or(i32::MAX);
        Self { next_period, next_issue_on: next.map(|next| next.issue_on) }
    }

    pub const fn has_next(self) -> bool {
        self.next_issue_on.is_some()
    }
}

/// How far a locked subscription has come in a run.
#[derive(Debug, Clone, Copy)]
pub struct Advance<'a> {
    pub before: &'a Subscription,
    pub state: SubscriptionState,
    pub position: Position,
    pub consecutive_failures: i16,
}

impl From<&Schedule> for ScheduleColumns {
    fn from(schedule: &Schedule) -> Self {
        let ScheduleRule { every, anchor_on, day, billing, issue_offset_days, issue_day_shift } = *schedule.rule();
        let (on_day, on_last_day) = match day {
            None => (None, false),
            Some(ScheduleDay::OnDay(day)) => (Some(i16::try_from(day).unwrap_or(i16::MAX)), false),
            Some(ScheduleDay::LastDay) => (None, true),
        };
        Self {
            every_unit: every.unit,
            every_count: i32::try_from(every.count).unwrap_or(i32::MAX),
            anchor_on,
            on_day,
            on_last_day,
            billing,
            issue_offset_days,
            issue_day_shift,
        }
    }
}

impl ScheduleColumns {
    /// The schedule that the columns spell; the checks of the table leave no columns that spell none.
    pub fn schedule(&self) -> Result<Schedule> {
        let day = match (self.on_last_day, self.on_day) {
            (true, _) => Some(ScheduleDay::LastDay),
            (false, Some(day)) => Some(ScheduleDay::OnDay(u32::try_from(day).unwrap_or_default())),
            (false, None) => None,
        };
        let rule = ScheduleRule {
            every: Every { unit: self.every_unit, count: u32::try_from(self.every_count).unwrap_or_default() },
            anchor_on: self.anchor_on,
            day,
            billing: self.billing,
            issue_offset_days: self.issue_offset_days,
            issue_day_shift: self.issue_day_shift,
        };
        Schedule::new(rule).map_err(|problem| diesel::result::Error::DeserializationError(problem.into()).into())
    }
}

impl Subscription {
    /// How far it has been billed.
    pub const fn position(&self) -> Position {
        Position { next_period: self.next_period, next_issue_on: self.next_issue_on }
    }

    /// The state that follows from a position, with so many failures.
    pub const fn state_at(&self, position: Position, consecutive_failures: i16) -> SubscriptionState {
        SubscriptionState::of(position.has_next(), self.paused_on.is_some(), consecutive_failures)
    }

    /// Where it stands in its schedule.
    pub fn progress(&self) -> Progress {
        Progress {
            starts_on: self.fields.starts_on,
            ends_on: self.fields.ends_on,
            prorates: self.fields.prorate,
            next_index: u32::try_from(self.next_period).unwrap_or_default(),
        }
    }
}

pub fn create(tx: &mut Tx<'_>, fields: SubscriptionFields, position: Position) -> Result<Subscription> {
    let row = NewSubscription {
        organization_id: tx.organization_id(),
        id: SubscriptionId::at(tx.now),
        fields,
        state: SubscriptionState::of(position.has_next(), false, 0),
        next_period: position.next_period,
        next_issue_on: position.next_issue_on,
        created_at: tx.now,
        updated_at: tx.now,
    };
    let subscription: Subscription = diesel::insert_into(subscriptions::table)
        .values(row)
        .returning(Subscription::as_returning())
        .get_result(tx.conn)?;
    record(tx, "created", None, &subscription)?;
    Ok(subscription)
}

pub fn find(tx: &mut Tx<'_>, id: SubscriptionId) -> Result<Subscription> {
    subscriptions::table
        .find((tx.organization_id(), id))
        .select(Subscription::as_select())
        .first(tx.conn)
        .optional()
        .or_not_found("subscription")
}

/// Those of `ids` that exist, in no order.
pub fn find_all(tx: &mut Tx<'_>, ids: &[SubscriptionId]) -> Result<Vec<Subscription>> {
    Ok(subscriptions::table
        .filter(subscriptions::organization_id.eq(tx.organization_id()))
        .filter(subscriptions::id.eq_any(ids))
        .select(Subscription::as_select())
        .load(tx.conn)?)
}

/// Locks the row; [`StoreError::Stale`] when somebody has changed it since `seen`.
pub fn lock(tx: &mut Tx<'_>, id: SubscriptionId, seen: Option<i32>) -> Result<Subscription> {
    let subscription = subscriptions::table
        .find((tx.organization_id(), id))
        .select(Subscription::as_select())
        .for_no_key_update()
        .first(tx.conn)
        .optional()
        .or_not_found("subscription")?;
    StoreError::unless_current(subscription.version, seen)?;
    Ok(subscription)
}

/// Writes to a row that [`lock`] has returned, and counts its version up.
pub fn update(
    tx: &mut Tx<'_>,
    subscription: &Subscription,
    fields: SubscriptionFields,
    position: Position,
) -> Result<Subscription> {
    let after = diesel::update(subscriptions::table.find((tx.organization_id(), subscription.id)))
        .set((
            fields,
            subscriptions::state.eq(subscription.state_at(position, subscription.consecutive_failures)),
            subscriptions::next_period.eq(position.next_period),
            subscriptions::next_issue_on.eq(position.next_issue_on),
            subscriptions::version.eq(subscriptions::version + 1),
            subscriptions::updated_at.eq(tx.now),
        ))
        .returning(Subscription::as_returning())
        .get_result(tx.conn)?;
    record(tx, "updated", Some(subscription), &after)?;
    Ok(after)
}

/// Forgets the failures of a locked subscription: one that was parked for them is taken up again by the next run.
pub fn forgive(tx: &mut Tx<'_>, subscription: &Subscription) -> Result<Subscription> {
    let standing =
        Standing { paused_on: subscription.paused_on, position: subscription.position(), consecutive_failures: 0 };
    stand(tx, "retried", subscription, standing)
}

/// Pauses a locked subscription from a day on: until it is resumed, no run takes it up.
pub fn pause(tx: &mut Tx<'_>, subscription: &Subscription, paused_on: NaiveDate) -> Result<Subscription> {
    let standing = Standing { paused_on: Some(paused_on), ..Standing::of(subscription) };
    stand(tx, "paused", subscription, standing)
}

/// Ends the pause of a locked subscription, which goes on at a position.
pub fn resume(tx: &mut Tx<'_>, subscription: &Subscription, position: Position) -> Result<Subscription> {
    let standing = Standing { paused_on: None, position, ..Standing::of(subscription) };
    stand(tx, "resumed", subscription, standing)
}

/// Puts a locked subscription before another period, whose skipping, or bringing back, is told by the occurrence.
/// Nothing is written where nothing changes.
pub fn put(
    tx: &mut Tx<'_>,
    subscription: &Subscription,
    position: Position,
    consecutive_failures: i16,
) -> Result<Subscription> {
    let standing = Standing { paused_on: subscription.paused_on, position, consecutive_failures };
    if standing == Standing::of(subscription) {
        return Ok(subscription.clone());
    }
    stand(tx, "updated", subscription, standing)
}

/// What the state of a subscription follows from.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Standing {
    paused_on: Option<NaiveDate>,
    position: Position,
    consecutive_failures: i16,
}

impl Standing {
    const fn of(subscription: &Subscription) -> Self {
        let Subscription { paused_on, consecutive_failures, .. } = *subscription;
        Self { paused_on, position: subscription.position(), consecutive_failures }
    }
}

fn stand(
    tx: &mut Tx<'_>,
    action: &'static str,
    subscription: &Subscription,
    standing: Standing,
) -> Result<Subscription> {
    let Standing { paused_on, position, consecutive_failures } = standing;
    let after = diesel::update(subscriptions::table.find((tx.organization_id(), subscription.id)))
        .set((
            subscriptions::state.eq(SubscriptionState::of(
                position.has_next(),
                paused_on.is_some(),
                consecutive_failures,
            )),
            subscriptions::paused_on.eq(paused_on),
            subscriptions::next_period.eq(position.next_period),
            subscriptions::next_issue_on.eq(position.next_issue_on),
            subscriptions::consecutive_failures.eq(consecutive_failures),
            subscriptions::version.eq(subscriptions::version + 1),
            subscriptions::updated_at.eq(tx.now),
        ))
        .returning(Subscription::as_returning())
        .get_result(tx.conn)?;
    record(tx, action, Some(subscription), &after)?;
    Ok(after)
}

/// How many subscriptions of a locked template, but for those that have ended, bill in advance.
pub fn count_in_advance(tx: &mut Tx<'_>, template_id: InvoiceTemplateId) -> Result<i64> {
    let of_template = subscriptions::table
        .filter(subscriptions::organization_id.eq(tx.organization_id()))
        .filter(subscriptions::template_id.eq(template_id))
        .filter(subscriptions::state.ne(SubscriptionState::Ended))
        .filter(subscriptions::billing.eq(BillingTiming::InAdvance));
    Ok(of_template.count().get_result(tx.conn)?)
}

/// How many subscriptions of a locked template, but for those that have ended, are of customers who are billed in
/// another currency than this one.
pub fn count_in_other_currencies(tx: &mut Tx<'_>, template_id: InvoiceTemplateId, currency: Currency) -> Result<i64> {
    let of_template = subscriptions::table
        .inner_join(
            customers::table.on(customers::organization_id
                .eq(subscriptions::organization_id)
                .and(customers::id.eq(subscriptions::customer_id))),
        )
        .filter(subscriptions::organization_id.eq(tx.organization_id()))
        .filter(subscriptions::template_id.eq(template_id))
        .filter(subscriptions::state.ne(SubscriptionState::Ended))
        .filter(customers::currency.ne(currency));
    Ok(of_template.count().get_result(tx.conn)?)
}

/// How many subscriptions of a locked template, but for those that have ended, override each of these lines; none for a
/// line that nobody overrides.
pub fn count_overriding(
    tx: &mut Tx<'_>,
    template_id: InvoiceTemplateId,
    keys: Vec<&str>,
) -> Result<BTreeMap<String, i64>> {
    #[derive(QueryableByName)]
    struct Overridden {
        #[diesel(sql_type = Text)]
        key: String,
        #[diesel(sql_type = BigInt)]
        subscriptions: i64,
    }
    let sql = "select o.key, count(*) as subscriptions
        from subscriptions s cross join lateral jsonb_to_recordset(s.line_overrides) as o (key text)
        where s.organization_id = $1 and s.template_id = $2 and s.state <> 'ended' and o.key = any ($3)
        group by o.key";
    let overridden: Vec<Overridden> = diesel::sql_query(sql)
        .bind::<SqlUuid, _>(tx.organization_id())
        .bind::<SqlUuid, _>(template_id)
        .bind::<Array<Text>, _>(keys)
        .load(tx.conn)?;
    Ok(overridden.into_iter().map(|it| (it.key, it.subscriptions)).collect())
}

/// Whether any period of a locked subscription has been taken up: planned, invoiced, skipped or failed.
pub fn has_occurrences(tx: &mut Tx<'_>, id: SubscriptionId) -> Result<bool> {
    Ok(diesel::select(exists(
        occurrences::table
            .filter(occurrences::organization_id.eq(tx.organization_id()))
            .filter(occurrences::subscription_id.eq(id)),
    ))
    .get_result(tx.conn)?)
}

pub fn list(tx: &mut Tx<'_>, filter: &SubscriptionFilter, page: &PageRequest<()>) -> Result<Page<Subscription>> {
    let organization_id = tx.organization_id();
    let filtered = || {
        let mut query = subscriptions::table.filter(subscriptions::organization_id.eq(organization_id)).into_boxed();
        if let Some(template_id) = filter.template_id {
            query = query.filter(subscriptions::template_id.eq(template_id));
        }
        if let Some(customer_id) = filter.customer_id {
            query = query.filter(subscriptions::customer_id.eq(customer_id));
        }
        if let Some(state) = filter.state {
            query = query.filter(subscriptions::state.eq(state));
        }
        if let Some(from) = filter.next_issue_from {
            query = query.filter(subscriptions::next_issue_on.ge(from));
        }
        if let Some(through) = filter.next_issue_through {
            query = query.filter(subscriptions::next_issue_on.le(through));
        }
        query
    };
    let total = page.total(|cap| filtered().select(sql::<Integer>("1")).limit(cap).load(tx.conn))?;
    let rows = keyset!(filtered(), page, subscriptions::id).select(Subscription::as_select()).load(tx.conn)?;
    Ok(Page::cut(rows, page, total, |subscription| Cursor::new((), subscription.id)))
}

/// A stretch of subscriptions in the order of their ids.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stretch {
    /// Those behind this one.
    pub after: Option<SubscriptionId>,
    /// And not behind this one.
    pub through: Option<SubscriptionId>,
}

/// The first `limit` due subscriptions of a stretch, in the order of their ids.
pub fn due(
    tx: &mut Tx<'_>,
    filter: &DueFilter,
    stretch: Stretch,
    limit: i64,
    lock: DueLock,
) -> Result<Vec<Subscription>> {
    let is_due = is_due(tx.organization_id(), filter, stretch);
    let query =
        subscriptions::table.filter(is_due).order(subscriptions::id).limit(limit).select(Subscription::as_select());
    Ok(match lock {
        DueLock::None => query.load(tx.conn)?,
        DueLock::SkipLocked => query.for_no_key_update().skip_locked().load(tx.conn)?,
        DueLock::Wait => query.for_no_key_update().load(tx.conn)?,
    })
}

/// How many subscriptions are due.
pub fn count_due(tx: &mut Tx<'_>, filter: &DueFilter) -> Result<i64> {
    let is_due = is_due(tx.organization_id(), filter, Stretch::default());
    Ok(subscriptions::table.filter(is_due).count().get_result(tx.conn)?)
}

type Predicate<'a> = Box<dyn BoxableExpression<subscriptions::table, Pg, SqlType = Bool> + 'a>;

fn is_due<'a>(organization_id: OrganizationId, filter: &'a DueFilter, stretch: Stretch) -> Predicate<'a> {
    let mut is_due: Predicate<'a> = Box::new(
        subscriptions::organization_id
            .eq(organization_id)
            .and(subscriptions::state.eq(SubscriptionState::Active))
            .and(subscriptions::next_issue_on.le(filter.through_on).assume_not_null())
            .and(not(is_taken_up(organization_id, filter, stretch))),
    );
    if let Some(after) = stretch.after {
        is_due = Box::new(is_due.and(subscriptions::id.gt(after)));
    }
    if let Some(through) = stretch.through {
        is_due = Box::new(is_due.and(subscriptions::id.le(through)));
    }
    if let Some(ids) = &filter.subscription_ids {
        is_due = Box::new(is_due.and(subscriptions::id.eq_any(ids)));
    }
    if let Some(ids) = &filter.template_ids {
        is_due = Box::new(is_due.and(subscriptions::template_id.eq_any(ids)));
    }
    if let Some(ids) = &filter.customer_ids {
        is_due = Box::new(is_due.and(subscriptions::customer_id.eq_any(ids)));
    }
    is_due
}

/// Whether a run has taken a subscription up: a preview, which leaves none of them another, has a result of it.
fn is_taken_up<'a>(organization_id: OrganizationId, filter: &'a DueFilter, stretch: Stretch) -> Predicate<'a> {
    if filter.mode != RunMode::Preview {
        return Box::new(subscriptions::last_run_id.is_not_distinct_from(filter.run_id));
    }
    // Not `exists`: nothing is known about a new run's results but that there are few, so PostgreSQL would look
    // through all of them for each subscription. A list apart is hashed, and that of a stretch is short.
    let mut results = invoice_run_results::table
        .filter(invoice_run_results::organization_id.eq(organization_id))
        .filter(invoice_run_results::run_id.eq(filter.run_id))
        .select(invoice_run_results::subscription_id)
        .into_boxed();
    if let Some(after) = stretch.after {
        results = results.filter(invoice_run_results::subscription_id.gt(after));
    }
    Box::new(subscriptions::id.eq_any(results))
}

/// Moves locked subscriptions on in one statement, on behalf of a run. Those whose state changes are told in the audit log and the
/// events; the mere counting on is told by the occurrences.
pub fn advance(tx: &mut Tx<'_>, run_id: InvoiceRunId, steps: &[Advance<'_>]) -> Result<()> {
    diesel::sql_query(
        "update subscriptions s
         set state = n.state, next_period = n.next_period, next_issue_on = n.next_issue_on,
             consecutive_failures = n.consecutive_failures, last_run_id = $8, version = s.version + 1,
             updated_at = $7
         from unnest($2, $3, $4, $5, $6) n (id, state, next_period, next_issue_on, consecutive_failures)
         where s.organization_id = $1 and s.id = n.id",
    )
    .bind::<SqlUuid, _>(tx.organization_id())
    .bind::<Array<SqlUuid>, _>(steps.iter().map(|step| step.before.id).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(steps.iter().map(|step| step.state).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(steps.iter().map(|step| step.position.next_period).collect::<Vec<_>>())
    .bind::<Array<Nullable<Date>>, _>(steps.iter().map(|step| step.position.next_issue_on).collect::<Vec<_>>())
    .bind::<Array<SmallInt>, _>(steps.iter().map(|step| step.consecutive_failures).collect::<Vec<_>>())
    .bind::<Timestamptz, _>(tx.now)
    .bind::<SqlUuid, _>(run_id)
    .execute(tx.conn)?;
    let changed = steps.iter().filter(|step| step.state != step.before.state).map(|step| {
        let after = Subscription {
            state: step.state,
            next_period: step.position.next_period,
            next_issue_on: step.position.next_issue_on,
            consecutive_failures: step.consecutive_failures,
            version: step.before.version + 1,
            updated_at: tx.now,
            ..step.before.clone()
        };
        Change::new("subscription", after.state.as_str(), (after.id, after.version), Some(step.before), Some(&after))
    });
    let changed = changed.collect();
    changes::record_all(tx, changed)
}

fn record(tx: &mut Tx<'_>, action: &'static str, before: Option<&Subscription>, after: &Subscription) -> Result<()> {
    changes::record(tx, Change::new("subscription", action, (after.id, after.version), before, Some(after)))
}
