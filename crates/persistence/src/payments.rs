//! Payments, and the invoices that they pay for. What of an invoice is paid is counted by the database, under the lock
//! of the invoice's balance, so that no two pay for the same.

use crate::changes::{self, Change};
use crate::db::Tx;
use crate::error::{OrNotFound, Result, StoreError};
use crate::page::{Cursor, Page, PageRequest, keyset};
use crate::schema::{invoice_balances, payment_allocations, payments};
use chrono::{DateTime, NaiveDate, Utc};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Integer};
use opiekun_domain::currency::Currency;
use opiekun_domain::decimal::Amount;
use opiekun_domain::ids::{CustomerId, InvoiceId, OrganizationId, PaymentId};
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Debug, Clone, Queryable, Selectable, Serialize)]
#[diesel(table_name = payments, check_for_backend(diesel::pg::Pg))]
pub struct Payment {
    pub id: PaymentId,
    #[diesel(embed)]
    #[serde(flatten)]
    pub fields: PaymentFields,
    /// The sum of its allocations; what is left of the amount is the customer's credit.
    pub allocated: Amount,
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// What is written of a payment. Only the day and the reference may change.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, Serialize)]
#[diesel(table_name = payments, check_for_backend(diesel::pg::Pg))]
pub struct PaymentFields {
    pub customer_id: CustomerId,
    pub amount: Amount,
    pub currency: Currency,
    pub paid_on: NaiveDate,
    pub reference: Option<String>,
}

/// How much of a payment is for an invoice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Queryable, Selectable, Insertable, Serialize)]
#[diesel(table_name = payment_allocations, check_for_backend(diesel::pg::Pg))]
pub struct Allocation {
    pub invoice_id: InvoiceId,
    pub amount: Amount,
}

/// What of an issued invoice is owed and paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = invoice_balances, check_for_backend(diesel::pg::Pg))]
pub struct Balance {
    pub invoice_id: InvoiceId,
    pub customer_id: CustomerId,
    pub currency: Currency,
    pub due_on: NaiveDate,
    /// With all corrections that were issued.
    pub gross: Amount,
    pub paid: Amount,
}

#[derive(Insertable)]
#[diesel(table_name = payments)]
struct NewPayment {
    organization_id: OrganizationId,
    id: PaymentId,
    #[diesel(embed)]
    fields: PaymentFields,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

#[derive(Insertable)]
#[diesel(table_name = payment_allocations)]
struct NewAllocation {
    organization_id: OrganizationId,
    payment_id: PaymentId,
    #[diesel(embed)]
    allocation: Allocation,
}

/// A payment as the audit log tells it.
#[derive(Serialize)]
struct Told<'a> {
    #[serde(flatten)]
    payment: &'a Payment,
    allocations: &'a [Allocation],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PaymentSort {
    /// The order of the ids, which count up with time.
    #[default]
    CreatedAt,
    PaidOn,
}

/// All that is given must hold.
#[derive(Debug, Clone, Default)]
pub struct PaymentFilter {
    pub customer_id: Option<CustomerId>,
    /// Those that pay for it, in part or whole.
    pub invoice_id: Option<InvoiceId>,
    pub currency: Option<Currency>,
    /// Those of which something is left, or those of which nothing is.
    pub has_credit: Option<bool>,
    pub paid_from: Option<NaiveDate>,
    pub paid_through: Option<NaiveDate>,
}

pub fn create(tx: &mut Tx<'_>, fields: PaymentFields, allocations: &[Allocation]) -> Result<Payment> {
    let (organization_id, now) = (tx.organization_id(), tx.now);
    let id = PaymentId::at(now);
    let row = NewPayment { organization_id, id, fields, created_at: now, updated_at: now };
    diesel::insert_into(payments::table).values(row).execute(tx.conn)?;
    allocate(tx, id, allocations)?;
    let payment = find(tx, id)?;
    record(tx, "created", None, Some((&payment, allocations)))?;
    Ok(payment)
}

pub fn find(tx: &mut Tx<'_>, id: PaymentId) -> Result<Payment> {
    payments::table
        .find((tx.organization_id(), id))
        .select(Payment::as_select())
        .first(tx.conn)
        .optional()
        .or_not_found("payment")
}

/// Locks the row; [`StoreError::Stale`] when somebody has changed it since `seen`.
pub fn lock(tx: &mut Tx<'_>, id: PaymentId, seen: Option<i32>) -> Result<Payment> {
    let payment = payments::table
        .find((tx.organization_id(), id))
        .select(Payment::as_select())
        .for_update()
        .first(tx.conn)
        .optional()
        .or_not_found("payment")?;
    StoreError::unless_current(payment.version, seen)?;
    Ok(payment)
}

/// Writes to a row that [`lock`] has returned, counts its version up, and puts `allocations` in the place of those that
/// it has (`before`), in the order of their invoices.
pub fn update(
    tx: &mut Tx<'_>,
    payment: &Payment,
    paid_on: NaiveDate,
    reference: Option<String>,
    allocations: &[Allocation],
    before: &[Allocation],
) -> Result<Payment> {
    diesel::update(payments::table.find((tx.organization_id(), payment.id)))
        .set((
            payments::paid_on.eq(paid_on),
            payments::reference.eq(reference),
            payments::version.eq(payments::version + 1),
            payments::updated_at.eq(tx.now),
        ))
        .execute(tx.conn)?;
    // What stays is not touched: it may be more than a correction has left to be owed.
    let gone: Vec<InvoiceId> =
        before.iter().filter(|it| !allocations.contains(it)).map(|allocation| allocation.invoice_id).collect();
    let new: Vec<Allocation> = allocations.iter().filter(|it| !before.contains(it)).copied().collect();
    clear(tx, payment.id, &gone)?;
    allocate(tx, payment.id, &new)?;
    let after = find(tx, payment.id)?;
    record(tx, "updated", Some((payment, before)), Some((&after, allocations)))?;
    Ok(after)
}

/// Takes a payment back that [`lock`] has returned: what it paid for (`before`) is owed again.
pub fn delete(tx: &mut Tx<'_>, payment: &Payment, before: &[Allocation]) -> Result<()> {
    let all: Vec<InvoiceId> = before.iter().map(|allocation| allocation.invoice_id).collect();
    clear(tx, payment.id, &all)?;
    diesel::delete(payments::table.find((tx.organization_id(), payment.id))).execute(tx.conn)?;
    record(tx, "deleted", Some((payment, before)), None)
}

/// What payments are for, in the order of the invoices' ids.
pub fn allocations_of(tx: &mut Tx<'_>, ids: &[PaymentId]) -> Result<BTreeMap<PaymentId, Vec<Allocation>>> {
    let rows: Vec<(PaymentId, Allocation)> = payment_allocations::table
        .filter(payment_allocations::organization_id.eq(tx.organization_id()))
        .filter(payment_allocations::payment_id.eq_any(ids))
        .order((payment_allocations::payment_id, payment_allocations::invoice_id))
        .select((payment_allocations::payment_id, Allocation::as_select()))
        .load(tx.conn)?;
    let mut allocations: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (id, allocation) in rows {
        allocations.entry(id).or_default().push(allocation);
    }
    Ok(allocations)
}

/// What is owed and paid of those of these that are issued invoices.
pub fn balances_of(tx: &mut Tx<'_>, ids: &[InvoiceId]) -> Result<BTreeMap<InvoiceId, Balance>> {
    let rows: Vec<Balance> = invoice_balances::table
        .filter(invoice_balances::organization_id.eq(tx.organization_id()))
        .filter(invoice_balances::invoice_id.eq_any(ids))
        .select(Balance::as_select())
        .load(tx.conn)?;
    Ok(rows.into_iter().map(|balance| (balance.invoice_id, balance)).collect())
}

/// The same, locked in the order of their ids, so that two who pay wait and never block each other for good.
pub fn lock_balances(tx: &mut Tx<'_>, ids: &[InvoiceId]) -> Result<BTreeMap<InvoiceId, Balance>> {
    let rows: Vec<Balance> = invoice_balances::table
        .filter(invoice_balances::organization_id.eq(tx.organization_id()))
        .filter(invoice_balances::invoice_id.eq_any(ids))
        .order(invoice_balances::invoice_id)
        .select(Balance::as_select())
        .for_no_key_update()
        .load(tx.conn)?;
    Ok(rows.into_iter().map(|balance| (balance.invoice_id, balance)).collect())
}

pub fn list(tx: &mut Tx<'_>, filter: &PaymentFilter, page: &PageRequest<PaymentSort>) -> Result<Page<Payment>> {
    let organization_id = tx.organization_id();
    let filtered = || {
        let mut query = payments::table.filter(payments::organization_id.eq(organization_id)).into_boxed();
        if let Some(customer_id) = filter.customer_id {
            query = query.filter(payments::customer_id.eq(customer_id));
        }
        if let Some(invoice_id) = filter.invoice_id {
            let paying = payment_allocations::table
                .filter(payment_allocations::organization_id.eq(organization_id))
                .filter(payment_allocations::invoice_id.eq(invoice_id))
                .select(payment_allocations::payment_id);
            query = query.filter(payments::id.eq_any(paying));
        }
        if let Some(currency) = filter.currency {
            query = query.filter(payments::currency.eq(currency));
        }
        if let Some(has_credit) = filter.has_credit {
            // Spelt as the partial index `payments_credit_idx` is.
            let credit = if has_credit {
                "payments.allocated < payments.amount"
            } else {
                "payments.allocated >= payments.amount"
            };
            query = query.filter(sql::<Bool>(credit));
        }
        if let Some(from) = filter.paid_from {
            query = query.filter(payments::paid_on.ge(from));
        }
        if let Some(through) = filter.paid_through {
            query = query.filter(payments::paid_on.le(through));
        }
        query
    };
    let total = page.total(|cap| filtered().select(sql::<Integer>("1")).limit(cap).load(tx.conn))?;
    let query = match page.sort {
        PaymentSort::CreatedAt => keyset!(filtered(), page, payments::id),
        PaymentSort::PaidOn => keyset!(filtered(), page, payments::paid_on => NaiveDate, payments::id),
    };
    let rows = query.select(Payment::as_select()).load(tx.conn)?;
    Ok(Page::cut(rows, page, total, |payment| match page.sort {
        PaymentSort::CreatedAt => Cursor::new((), payment.id),
        PaymentSort::PaidOn => Cursor::new(payment.fields.paid_on, payment.id),
    }))
}

fn allocate(tx: &mut Tx<'_>, payment_id: PaymentId, allocations: &[Allocation]) -> Result<()> {
    let organization_id = tx.organization_id();
    let rows: Vec<NewAllocation> = allocations
        .iter()
        .map(|allocation| NewAllocation { organization_id, payment_id, allocation: *allocation })
        .collect();
    diesel::insert_into(payment_allocations::table).values(rows).execute(tx.conn)?;
    Ok(())
}

fn clear(tx: &mut Tx<'_>, payment_id: PaymentId, invoice_ids: &[InvoiceId]) -> Result<()> {
    let gone = payment_allocations::table
        .filter(payment_allocations::organization_id.eq(tx.organization_id()))
        .filter(payment_allocations::payment_id.eq(payment_id))
        .filter(payment_allocations::invoice_id.eq_any(invoice_ids));
    diesel::delete(gone).execute(tx.conn)?;
    Ok(())
}

fn record(
    tx: &mut Tx<'_>,
    action: &'static str,
    before: Option<(&Payment, &[Allocation])>,
    after: Option<(&Payment, &[Allocation])>,
) -> Result<()> {
    let Some((payment, _)) = after.or(before) else { return Ok(()) };
    let change =
        Change::new("payment", action, (payment.id, payment.version), told(before).as_ref(), told(after).as_ref());
    changes::record(tx, change)
}

fn told<'a>(of: Option<(&'a Payment, &'a [Allocation])>) -> Option<Told<'a>> {
    of.map(|(payment, allocations)| Told { payment, allocations })
}
