//! Occurrences: one period of one subscription each. They stand between the subscription and its invoice: the
//! idempotency record of billing, the trail of its errors, and the answer to "who got no invoice this month?".

use crate::changes::{self, Change};
use crate::db::Tx;
use crate::error::{OrNotFound, Result};
use crate::page::{Cursor, Page, PageRequest, keyset};
use crate::schema::{occurrences, subscriptions};
use chrono::{DateTime, NaiveDate, Utc};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Integer;
use diesel::upsert::excluded;
use opiekun_domain::billing::Refusal;
use opiekun_domain::ids::{InvoiceId, OccurrenceId, OrganizationId, SubscriptionId};
use opiekun_domain::occurrence::OccurrenceState;
use opiekun_domain::plan::{Known, Planned};
use opiekun_domain::schedule::Period;
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Debug, Clone, Queryable, Selectable, Serialize)]
#[diesel(table_name = occurrences, check_for_backend(diesel::pg::Pg))]
pub struct Occurrence {
    pub id: OccurrenceId,
    pub subscription_id: SubscriptionId,
    pub period_index: i32,
    pub period_start_on: NaiveDate,
    /// Exclusive.
    pub period_end_on: NaiveDate,
    pub scheduled_on: NaiveDate,
    pub state: OccurrenceState,
    pub problem: Option<String>,
    pub invoice_id: Option<InvoiceId>,
    pub attempts: i16,
    /// Why somebody skipped it; `nothing_to_bill` where a run did for that reason.
    pub skip_reason: Option<String>,
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// What became of a period in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settled {
    pub id: OccurrenceId,
    pub subscription_id: SubscriptionId,
    pub period: Period,
    pub scheduled_on: NaiveDate,
    pub outcome: Outcome,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing yet: it is to be billed once it is due.
    Planned,
    Invoiced(InvoiceId),
    Skipped,
    /// Skipped, since there was nothing to bill.
    NothingToBill,
    /// A stable code that says why.
    Failed(&'static str),
}

#[derive(Insertable)]
#[diesel(table_name = occurrences, treat_none_as_default_value = false)]
struct NewOccurrence {
    organization_id: OrganizationId,
    id: OccurrenceId,
    subscription_id: SubscriptionId,
    period_index: i32,
    period_start_on: NaiveDate,
    period_end_on: NaiveDate,
    scheduled_on: NaiveDate,
    state: OccurrenceState,
    problem: Option<&'static str>,
    invoice_id: Option<InvoiceId>,
    attempts: i16,
    skip_reason: Option<&'static str>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OccurrenceSort {
    /// The order of the ids, which count up with time.
    #[default]
    CreatedAt,
    ScheduledOn,
}

#[derive(Debug, Clone, Default)]
pub struct OccurrenceFilter {
    pub subscription_id: Option<SubscriptionId>,
    pub state: Option<OccurrenceState>,
    pub scheduled_from: Option<NaiveDate>,
    pub scheduled_through: Option<NaiveDate>,
}

pub fn find(tx: &mut Tx<'_>, id: OccurrenceId) -> Result<Occurrence> {
    occurrences::table
        .find((tx.organization_id(), id))
        .select(Occurrence::as_select())
        .first(tx.conn)
        .optional()
        .or_not_found("occurrence")
}

pub fn list(
    tx: &mut Tx<'_>,
    filter: &OccurrenceFilter,
    page: &PageRequest<OccurrenceSort>,
) -> Result<Page<Occurrence>> {
    let organization_id = tx.organization_id();
    let filtered = || {
        let mut query = occurrences::table.filter(occurrences::organization_id.eq(organization_id)).into_boxed();
        if let Some(subscription_id) = filter.subscription_id {
            query = query.filter(occurrences::subscription_id.eq(subscription_id));
        }
        if let Some(state) = filter.state {
            query = query.filter(occurrences::state.eq(state));
        }
        if let Some(from) = filter.scheduled_from {
            query = query.filter(occurrences::scheduled_on.ge(from));
        }
        if let Some(through) = filter.scheduled_through {
            query = query.filter(occurrences::scheduled_on.le(through));
        }
        query
    };
    let total = page.total(|cap| filtered().select(sql::<Integer>("1")).limit(cap).load(tx.conn))?;
    let query = match page.sort {
        OccurrenceSort::CreatedAt => keyset!(filtered(), page, occurrences::id),
        OccurrenceSort::ScheduledOn => {
            keyset!(filtered(), page, occurrences::scheduled_on => NaiveDate, occurrences::id)
        }
    };
    let rows = query.select(Occurrence::as_select()).load(tx.conn)?;
    Ok(Page::cut(rows, page, total, |occurrence| match page.sort {
        OccurrenceSort::CreatedAt => Cursor::new((), occurrence.id),
        OccurrenceSort::ScheduledOn => Cursor::new(occurrence.scheduled_on, occurrence.id),
    }))
}

/// The occurrence of one period of a subscription.
pub fn find_period(tx: &mut Tx<'_>, id: SubscriptionId, period_index: u32) -> Result<Option<Occurrence>> {
    let Ok(period_index) = i32::try_from(period_index) else {
        return Ok(None);
    };
    Ok(occurrences::table
        .filter(occurrences::organization_id.eq(tx.organization_id()))
        .filter(occurrences::subscription_id.eq(id))
        .filter(occurrences::period_index.eq(period_index))
        .select(Occurrence::as_select())
        .first(tx.conn)
        .optional()?)
}

/// The occurrence that an invoice was made for.
pub fn find_invoiced(tx: &mut Tx<'_>, invoice_id: InvoiceId) -> Result<Option<Occurrence>> {
    Ok(occurrences::table
        .filter(occurrences::organization_id.eq(tx.organization_id()))
        .filter(occurrences::invoice_id.eq(invoice_id))
        .select(Occurrence::as_select())
        .first(tx.conn)
        .optional()?)
}

/// Plans a period of a locked subscription that has no occurrence.
pub fn plan(tx: &mut Tx<'_>, subscription_id: SubscriptionId, planned: &Planned) -> Result<Occurrence> {
    let Planned { period, part: _, issue_on } = *planned;
    let id = OccurrenceId::at(tx.now);
    let row =
        new_occurrence(tx, &Settled { id, subscription_id, period, scheduled_on: issue_on, outcome: Outcome::Planned });
    let occurrence: Occurrence = diesel::insert_into(occurrences::table)
        .values(row)
        .returning(Occurrence::as_returning())
        .get_result(tx.conn)?;
    record(tx, "created", None, &occurrence)?;
    Ok(occurrence)
}

/// Skips a period of a locked subscription that is not invoiced.
pub fn skip(tx: &mut Tx<'_>, occurrence: &Occurrence, reason: Option<String>) -> Result<Occurrence> {
    set(tx, OccurrenceState::Skipped.as_str(), occurrence, OccurrenceState::Skipped, reason)
}

/// Plans a period of a locked subscription again, which was skipped or whose invoice was thrown away.
pub fn plan_again(tx: &mut Tx<'_>, occurrence: &Occurrence) -> Result<Occurrence> {
    set(tx, OccurrenceState::Planned.as_str(), occurrence, OccurrenceState::Planned, None)
}

fn set(
    tx: &mut Tx<'_>,
    action: &'static str,
    occurrence: &Occurrence,
    state: OccurrenceState,
    skip_reason: Option<String>,
) -> Result<Occurrence> {
    let after = diesel::update(occurrences::table.find((tx.organization_id(), occurrence.id)))
        .set((
            occurrences::state.eq(state),
            occurrences::problem.eq(None::<String>),
            occurrences::invoice_id.eq(None::<InvoiceId>),
            occurrences::skip_reason.eq(skip_reason),
            occurrences::version.eq(occurrences::version + 1),
            occurrences::updated_at.eq(tx.now),
        ))
        .returning(Occurrence::as_returning())
        .get_result(tx.conn)?;
    record(tx, action, Some(occurrence), &after)?;
    Ok(after)
}

fn record(tx: &mut Tx<'_>, action: &'static str, before: Option<&Occurrence>, after: &Occurrence) -> Result<()> {
    changes::record(tx, Change::new("occurrence", action, (after.id, after.version), before, Some(after)))
}

/// What already stands of the periods that these subscriptions have before them: failed and planned ones, which are
/// billed whatever the catch-up rule, and settled ones, which are passed over.
pub fn ahead(tx: &mut Tx<'_>, ids: &[SubscriptionId]) -> Result<Vec<(SubscriptionId, u32, OccurrenceState)>> {
    let rows: Vec<(SubscriptionId, i32, OccurrenceState)> = occurrences::table
        .inner_join(
            subscriptions::table.on(subscriptions::organization_id
                .eq(occurrences::organization_id)
                .and(subscriptions::id.eq(occurrences::subscription_id))),
        )
        .filter(occurrences::organization_id.eq(tx.organization_id()))
        .filter(occurrences::subscription_id.eq_any(ids))
        .filter(occurrences::period_index.ge(subscriptions::next_period))
        .order((occurrences::subscription_id, occurrences::period_index))
        .select((occurrences::subscription_id, occurrences::period_index, occurrences::state))
        .load(tx.conn)?;
    Ok(rows.into_iter().map(|(id, period, state)| (id, index(period), state)).collect())
}

/// What [`ahead`] tells of one subscription, for the planner.
pub fn known_ahead(tx: &mut Tx<'_>, id: SubscriptionId) -> Result<BTreeMap<u32, Known>> {
    Ok(ahead(tx, &[id])?.into_iter().map(|(_, period, state)| (period, known(state))).collect())
}

/// What a period's state says to the planner.
pub const fn known(state: OccurrenceState) -> Known {
    match state {
        OccurrenceState::Invoiced | OccurrenceState::Skipped => Known::Settled,
        OccurrenceState::Planned | OccurrenceState::Failed => Known::Wanted,
    }
}

/// Claims periods of locked subscriptions that have no occurrence.
pub fn settle_new(tx: &mut Tx<'_>, periods: &[Settled]) -> Result<()> {
    let rows: Vec<NewOccurrence> = periods.iter().map(|period| new_occurrence(tx, period)).collect();
    diesel::copy_from(occurrences::table).from_insertable(rows).execute(tx.conn)?;
    Ok(())
}

/// Claims periods of locked subscriptions, and tells which were free to claim: a period that is invoiced or skipped
/// stays as it is, one that failed before or was planned is overwritten and keeps its id.
pub fn settle(tx: &mut Tx<'_>, periods: &[Settled]) -> Result<Vec<(SubscriptionId, u32)>> {
    /// PostgreSQL takes 65 535 parameters a statement; a row has 14.
    const ROWS_A_STATEMENT: usize = 4_000;
    let mut claimed = Vec::with_capacity(periods.len());
    for periods in periods.chunks(ROWS_A_STATEMENT) {
        let rows: Vec<NewOccurrence> = periods.iter().map(|period| new_occurrence(tx, period)).collect();
        let upsert = diesel::insert_into(occurrences::table)
            .values(rows)
            .on_conflict((occurrences::organization_id, occurrences::subscription_id, occurrences::period_index))
            .do_update()
            .set((
                // The days of a part period follow the start and end of the subscription.
                occurrences::period_start_on.eq(excluded(occurrences::period_start_on)),
                occurrences::period_end_on.eq(excluded(occurrences::period_end_on)),
                occurrences::scheduled_on.eq(excluded(occurrences::scheduled_on)),
                occurrences::state.eq(excluded(occurrences::state)),
                occurrences::problem.eq(excluded(occurrences::problem)),
                occurrences::invoice_id.eq(excluded(occurrences::invoice_id)),
                occurrences::attempts.eq(occurrences::attempts + excluded(occurrences::attempts)),
                occurrences::skip_reason.eq(excluded(occurrences::skip_reason)),
                occurrences::version.eq(occurrences::version + 1),
                occurrences::updated_at.eq(excluded(occurrences::updated_at)),
            ));
        let is_open = occurrences::state.eq_any([OccurrenceState::Failed, OccurrenceState::Planned]);
        let free: Vec<(SubscriptionId, i32)> = diesel::query_dsl::methods::FilterDsl::filter(upsert, is_open)
            .returning((occurrences::subscription_id, occurrences::period_index))
            .get_results(tx.conn)?;
        claimed.extend(free.into_iter().map(|(id, period)| (id, index(period))));
    }
    Ok(claimed)
}

fn new_occurrence(tx: &Tx<'_>, period: &Settled) -> NewOccurrence {
    let (state, problem, invoice_id, attempts, skip_reason) = match period.outcome {
        Outcome::Planned => (OccurrenceState::Planned, None, None, 0, None),
        Outcome::Invoiced(id) => (OccurrenceState::Invoiced, None, Some(id), 1, None),
        Outcome::Skipped => (OccurrenceState::Skipped, None, None, 0, None),
        Outcome::NothingToBill => (OccurrenceState::Skipped, None, None, 1, Some(Refusal::NothingToBill.code())),
        Outcome::Failed(problem) => (OccurrenceState::Failed, Some(problem), None, 1, None),
    };
    NewOccurrence {
        organization_id: tx.scope.organization_id,
        id: period.id,
        subscription_id: period.subscription_id,
        // No calendar holds more periods than fit.
        period_index: i32::try_from(period.period.index).unwrap_or(i32::MAX),
        period_start_on: period.period.start_on,
        period_end_on: period.period.end_on,
        scheduled_on: period.scheduled_on,
        state,
        problem,
        invoice_id,
        attempts,
        skip_reason,
        created_at: tx.now,
        updated_at: tx.now,
    }
}

/// A period's index; the table's checks leave none below 0.
fn index(column: i32) -> u32 {
    u32::try_from(column).unwrap_or_default()
}
