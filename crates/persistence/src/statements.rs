//! What customers owe: the account of one, and all of them by age.

use crate::db::Tx;
use crate::error::Result;
use chrono::NaiveDate;
use diesel::pg::PgRowByRowLoadingMode;
use diesel::prelude::*;
use diesel::sql_types::{Date, Nullable, Numeric, Text, Uuid};
use opiekun_domain::currency::Currency;
use opiekun_domain::decimal::{AmountSum, Overflow};
use opiekun_domain::ids::CustomerId;
use opiekun_domain::statement::EntryKind;
use std::ops::ControlFlow;

/// Whose account, in which currency, over which days.
#[derive(Debug, Clone, Copy)]
pub struct StatementQuery {
    pub customer_id: CustomerId,
    pub currency: Currency,
    pub from_on: NaiveDate,
    /// It still counts.
    pub through_on: NaiveDate,
}

/// One thing that changed what a customer owes.
#[derive(Debug, Clone, QueryableByName)]
pub struct StatementEntry {
    #[diesel(sql_type = Date)]
    pub entered_on: NaiveDate,
    #[diesel(sql_type = Text)]
    pub kind: EntryKind,
    /// Of the invoice, the correction or the payment.
    #[diesel(sql_type = Uuid)]
    pub id: uuid::Uuid,
    /// The number of an invoice or correction, the reference of a payment.
    #[diesel(sql_type = Nullable<Text>)]
    pub text: Option<String>,
    /// What is owed more by it, or, below 0, less.
    #[diesel(sql_type = Numeric)]
    pub amount: AmountSum,
}

/// What a customer owes in a currency, by how late it is.
#[derive(Debug, Clone, QueryableByName)]
pub struct Receivable {
    #[diesel(sql_type = Uuid)]
    pub customer_id: CustomerId,
    #[diesel(sql_type = Text)]
    pub customer_name: String,
    #[diesel(sql_type = Text)]
    pub currency: Currency,
    #[diesel(embed)]
    pub ages: ReceivableAges,
}

/// What is owed, by how many days after its day of payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, QueryableByName)]
pub struct ReceivableAges {
    #[diesel(sql_type = Numeric)]
    pub not_yet_due: AmountSum,
    #[diesel(sql_type = Numeric)]
    pub days_1_to_30: AmountSum,
    #[diesel(sql_type = Numeric)]
    pub days_31_to_60: AmountSum,
    #[diesel(sql_type = Numeric)]
    pub days_61_to_90: AmountSum,
    #[diesel(sql_type = Numeric)]
    pub days_over_90: AmountSum,
    #[diesel(sql_type = Numeric)]
    pub total: AmountSum,
}

impl ReceivableAges {
    pub fn add(&mut self, other: &Self) -> Result<(), Overflow> {
        self.not_yet_due = self.not_yet_due.checked_add(other.not_yet_due)?;
        self.days_1_to_30 = self.days_1_to_30.checked_add(other.days_1_to_30)?;
        self.days_31_to_60 = self.days_31_to_60.checked_add(other.days_31_to_60)?;
        self.days_61_to_90 = self.days_61_to_90.checked_add(other.days_61_to_90)?;
        self.days_over_90 = self.days_over_90.checked_add(other.days_over_90)?;
        self.total = self.total.checked_add(other.total)?;
        Ok(())
    }
}

#[derive(QueryableByName)]
struct Sum {
    #[diesel(sql_type = Numeric)]
    sum: AmountSum,
}

/// What a customer owed when the first day began: everything invoiced and corrected before it, less what was paid.
pub fn opening_balance(tx: &mut Tx<'_>, query: &StatementQuery) -> Result<AmountSum> {
    let sql = "select coalesce((
            select sum(gross) from invoices
            where organization_id = $1 and customer_id = $2 and issued_on < $3 and currency = $4
                and status = 'issued' and kind in ('invoice', 'correction')
        ), 0) - coalesce((
            select sum(amount) from payments
            where organization_id = $1 and customer_id = $2 and paid_on < $3 and currency = $4
        ), 0) as sum";
    let sum: Sum = diesel::sql_query(sql)
        .bind::<Uuid, _>(tx.organization_id())
        .bind::<Uuid, _>(query.customer_id)
        .bind::<Date, _>(query.from_on)
        .bind::<Text, _>(query.currency)
        .get_result(tx.conn)?;
    Ok(sum.sum)
}

/// Hands over what changed a customer's account, in the order of days, as it comes from the database, so that memory
/// does not grow with it.
pub fn entries(
    tx: &mut Tx<'_>,
    query: &StatementQuery,
    mut each: impl FnMut(StatementEntry) -> ControlFlow<()>,
) -> Result<()> {
    // Of one day, invoices come before what pays for them.
    let sql = "select * from (
            select issued_on as entered_on, kind, id, number as text, gross as amount from invoices
            where organization_id = $1 and customer_id = $2 and issued_on between $3 and $4 and currency = $5
                and status = 'issued' and kind in ('invoice', 'correction')
            union all
            select paid_on, 'payment', id, reference, -amount from payments
            where organization_id = $1 and customer_id = $2 and paid_on between $3 and $4 and currency = $5
        ) entries order by entered_on, (kind = 'payment'), id";
    let rows = diesel::sql_query(sql)
        .bind::<Uuid, _>(tx.organization_id())
        .bind::<Uuid, _>(query.customer_id)
        .bind::<Date, _>(query.from_on)
        .bind::<Date, _>(query.through_on)
        .bind::<Text, _>(query.currency)
        .load_iter::<StatementEntry, PgRowByRowLoadingMode>(tx.conn)?;
    for row in rows {
        if each(row?).is_break() {
            break;
        }
    }
    Ok(())
}

/// Hands over what was owed when a day ended, by customer and currency, as it comes from the database.
///
/// What is open now is found by an index of its own. For a day gone by, what was paid or corrected since is taken back:
/// a payment counts from its day, a correction from that of its issue.
pub fn receivables(tx: &mut Tx<'_>, on: NaiveDate, mut each: impl FnMut(Receivable) -> ControlFlow<()>) -> Result<()> {
    let rows = diesel::sql_query(include_str!("receivables.sql"))
        .bind::<Uuid, _>(tx.organization_id())
        .bind::<Date, _>(on)
        .load_iter::<Receivable, PgRowByRowLoadingMode>(tx.conn)?;
    for row in rows {
        if each(row?).is_break() {
            break;
        }
    }
    Ok(())
}
