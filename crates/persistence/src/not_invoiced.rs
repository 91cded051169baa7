//! Who got no invoice: periods that were to be invoiced on some days, and have no issued invoice.
//!
//! Those that a run has taken up, or somebody has decided about, have an occurrence. Of the others there is no row: they
//! follow from the subscriptions that have something to bill, which are read page by page.

use crate::db::Tx;
use crate::error::Result;
use crate::schema::{customers, subscriptions};
use crate::subscriptions::Subscription;
use chrono::NaiveDate;
use diesel::dsl::sql;
use diesel::pg::PgRowByRowLoadingMode;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Date, Nullable, Text, Uuid};
use opiekun_domain::ids::{CustomerId, InvoiceId, OccurrenceId, SubscriptionId};
use opiekun_domain::occurrence::NotInvoicedReason;
use opiekun_domain::subscription::{CatchUp, SubscriptionState};
use std::ops::ControlFlow;

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub struct NotInvoicedQuery {
    /// The first and the last day on which periods were to be invoiced.
    pub from_on: NaiveDate,
    pub through_on: NaiveDate,
    /// The last of them that has come: what nothing was decided about is not told before its day.
    pub due_through_on: NaiveDate,
    /// Through which the next run plans.
    pub today: NaiveDate,
    pub customer_id: Option<CustomerId>,
    pub reason: Option<NotInvoicedReason>,
}

/// A period without an issued invoice.
#[derive(Debug, Clone, QueryableByName)]
pub struct NotInvoiced {
    #[diesel(sql_type = Uuid)]
    pub subscription_id: SubscriptionId,
    #[diesel(sql_type = Uuid)]
    pub customer_id: CustomerId,
    #[diesel(sql_type = Text)]
    pub customer_name: String,
    #[diesel(sql_type = Date)]
    pub period_start_on: NaiveDate,
    /// Exclusive.
    #[diesel(sql_type = Date)]
    pub period_end_on: NaiveDate,
    #[diesel(sql_type = Date)]
    pub scheduled_on: NaiveDate,
    #[diesel(sql_type = Text)]
    pub reason: NotInvoicedReason,
    /// Only of what was taken up or planned.
    #[diesel(sql_type = Nullable<Uuid>)]
    pub occurrence_id: Option<OccurrenceId>,
    /// Why it failed.
    #[diesel(sql_type = Nullable<Text>)]
    pub problem: Option<String>,
    /// Why somebody skipped it.
    #[diesel(sql_type = Nullable<Text>)]
    pub skip_reason: Option<String>,
    #[diesel(sql_type = Nullable<Uuid>)]
    pub draft_id: Option<InvoiceId>,
}

/// Subscriptions that have something to bill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// For the next run.
    Active,
    /// Paused or parked.
    Halted,
}

/// Where a page of [`waiting`] ended.
pub type WaitingCursor = (NaiveDate, SubscriptionId);

/// Hands over the periods that have an occurrence, by the day on which they were to be invoiced, as they come from the
/// database, so that memory does not grow with them.
pub fn taken_up(
    tx: &mut Tx<'_>,
    query: &NotInvoicedQuery,
    mut each: impl FnMut(NotInvoiced) -> ControlFlow<()>,
) -> Result<()> {
    let rows = diesel::sql_query(include_str!("not_invoiced.sql"))
        .bind::<Uuid, _>(tx.organization_id())
        .bind::<Date, _>(query.from_on)
        .bind::<Date, _>(query.through_on)
        .bind::<Date, _>(query.due_through_on)
        .bind::<Nullable<Uuid>, _>(query.customer_id)
        .bind::<Nullable<Text>, _>(query.reason)
        .load_iter::<NotInvoiced, PgRowByRowLoadingMode>(tx.conn)?;
    for row in rows {
        if each(row?).is_break() {
            break;
        }
    }
    Ok(())
}

/// The next subscriptions behind `after` whose next period is due, by the day of that and with their customers' names;
/// at most `limit`.
pub fn waiting(
    tx: &mut Tx<'_>,
    query: &NotInvoicedQuery,
    group: Waiting,
    after: Option<WaitingCursor>,
    limit: i64,
) -> Result<Vec<(Subscription, String)>> {
    // Spelt as the partial indexes `subscriptions_due_idx` and `subscriptions_halted_idx` are.
    let in_state = match group {
        Waiting::Active => sql::<Bool>("subscriptions.state = 'active'"),
        Waiting::Halted => sql::<Bool>("subscriptions.state in ('paused', 'parked')"),
    };
    let mut due = subscriptions::table
        .inner_join(
            customers::table.on(customers::organization_id
                .eq(subscriptions::organization_id)
                .and(customers::id.eq(subscriptions::customer_id))),
        )
        .filter(subscriptions::organization_id.eq(tx.organization_id()))
        .filter(in_state)
        .filter(subscriptions::next_issue_on.le(query.due_through_on))
        .order((subscriptions::next_issue_on, subscriptions::id))
        .limit(limit)
        .select((Subscription::as_select(), customers::name))
        .into_boxed();
    if let Some(customer_id) = query.customer_id {
        due = due.filter(subscriptions::customer_id.eq(customer_id));
    }
    match query.reason {
        Some(NotInvoicedReason::Paused) => due = due.filter(subscriptions::state.eq(SubscriptionState::Paused)),
        // Under this rule nothing is skipped.
        Some(NotInvoicedReason::Skipped) => due = due.filter(subscriptions::catch_up.ne(CatchUp::All)),
        Some(NotInvoicedReason::Parked) => due = due.filter(subscriptions::state.eq(SubscriptionState::Parked)),
        _ => {}
    }
    if let Some((next_issue_on, id)) = after {
        let behind = subscriptions::next_issue_on.gt(next_issue_on).or(subscriptions::id.gt(id));
        due = due.filter(subscriptions::next_issue_on.ge(next_issue_on).and(behind));
    }
    Ok(due.load(tx.conn)?)
}
