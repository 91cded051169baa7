//! Invoices and their lines. An issued one never changes, which the database itself enforces.

use crate::changes::{self, Change};
use crate::db::Tx;
use crate::error::{OrNotFound, Result};
use crate::json::Json;
use crate::page::{Cursor, Page, PageRequest, keyset};
use crate::schema::{invoice_lines, invoices, occurrences};
use chrono::{DateTime, NaiveDate, Utc};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Integer;
use opiekun_domain::billing::{Invoice as ComposedInvoice, InvoiceLine as ComposedLine, Party};
use opiekun_domain::currency::Currency;
use opiekun_domain::decimal::{Amount, Percent, Quantity, UnitPrice};
use opiekun_domain::ids::{
    CustomerId, InvoiceId, InvoiceRunId, InvoiceTemplateId, NumberSeriesId, OccurrenceId, OrganizationId,
    SubscriptionId,
};
use opiekun_domain::invoice::{InvoiceKind, InvoiceStatus, PaymentMethod, PriceMode, VatTotal};
use opiekun_domain::language::Language;
use opiekun_domain::vat::VatCode;
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Debug, Clone, Queryable, Selectable, Serialize)]
#[diesel(table_name = invoices, check_for_backend(diesel::pg::Pg))]
pub struct Invoice {
    pub id: InvoiceId,
    #[diesel(embed)]
    #[serde(flatten)]
    pub fields: InvoiceFields,
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Queryable, Selectable, Insertable, Serialize)]
#[diesel(table_name = invoices, check_for_backend(diesel::pg::Pg))]
pub struct InvoiceFields {
    pub kind: InvoiceKind,
    pub status: InvoiceStatus,
    pub series_id: Option<NumberSeriesId>,
    /// A draft has none.
    pub number: Option<String>,
    pub customer_id: CustomerId,
    pub template_id: Option<InvoiceTemplateId>,
    pub subscription_id: Option<SubscriptionId>,
    pub run_id: Option<InvoiceRunId>,
    pub seller: Json<Party>,
    pub buyer: Json<Party>,
    pub issued_on: Option<NaiveDate>,
    pub sold_on: Option<NaiveDate>,
    pub period_start_on: Option<NaiveDate>,
    /// Exclusive.
    pub period_end_on: Option<NaiveDate>,
    pub due_on: Option<NaiveDate>,
    pub currency: Currency,
    pub price_mode: PriceMode,
    pub payment_method: PaymentMethod,
    pub bank_account: Option<String>,
    pub notes: Option<String>,
    pub language: Language,
    pub vat_totals: Json<Vec<VatTotal>>,
    pub net: Amount,
    pub vat: Amount,
    pub gross: Amount,
}

/// A line as it was issued.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, Serialize)]
#[diesel(table_name = invoice_lines, check_for_backend(diesel::pg::Pg))]
pub struct InvoiceLine {
    /// From 1.
    pub position: i16,
    pub key: Option<String>,
    pub text: String,
    pub quantity: Quantity,
    pub unit: String,
    pub unit_price: UnitPrice,
    pub discount_percent: Option<Percent>,
    pub vat_code: VatCode,
    pub exemption_basis: Option<String>,
    pub pkwiu: Option<String>,
    pub gtu: Option<String>,
    pub net: Amount,
}

/// An invoice to be issued, and what it is issued for.
#[derive(Debug, Clone)]
pub struct NewInvoice {
    pub id: InvoiceId,
    pub series_id: NumberSeriesId,
    pub number: String,
    pub customer_id: CustomerId,
    pub template_id: InvoiceTemplateId,
    pub subscription_id: SubscriptionId,
    pub run_id: InvoiceRunId,
    pub composed: ComposedInvoice,
}

#[derive(Insertable)]
#[diesel(table_name = invoices)]
struct NewRow {
    organization_id: OrganizationId,
    id: InvoiceId,
    #[diesel(embed)]
    fields: InvoiceFields,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

#[derive(Insertable)]
#[diesel(table_name = invoice_lines)]
struct NewLineRow {
    organization_id: OrganizationId,
    invoice_id: InvoiceId,
    #[diesel(embed)]
    line: InvoiceLine,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum InvoiceSort {
    /// The order of the ids, which count up with time and, within a series, with the numbers.
    #[default]
    CreatedAt,
    IssuedOn,
}

#[derive(Debug, Clone, Default)]
pub struct InvoiceFilter {
    pub kind: Option<InvoiceKind>,
    pub status: Option<InvoiceStatus>,
    pub number: Option<String>,
    pub customer_id: Option<CustomerId>,
    pub template_id: Option<InvoiceTemplateId>,
    pub subscription_id: Option<SubscriptionId>,
    pub run_id: Option<InvoiceRunId>,
    pub issued_from: Option<NaiveDate>,
    pub issued_through: Option<NaiveDate>,
}

/// Issues invoices, all in two kinds of statement, with one record and event each.
pub fn issue_all(tx: &mut Tx<'_>, new: Vec<NewInvoice>) -> Result<()> {
    /// PostgreSQL takes 65 535 parameters a statement; an invoice has 29, a line 14.
    const INVOICES_A_STATEMENT: usize = 2_000;
    const LINES_A_STATEMENT: usize = 4_000;
    let (organization_id, now) = (tx.organization_id(), tx.now);
    let mut lines = Vec::new();
    let mut rows = Vec::with_capacity(new.len());
    let mut issued = Vec::with_capacity(new.len());
    for mut invoice in new {
        let invoice_id = invoice.id;
        let composed = std::mem::take(&mut invoice.composed.lines);
        lines.extend((1..).zip(composed).map(|(position, line)| NewLineRow {
            organization_id,
            invoice_id,
            line: InvoiceLine::at(position, line),
        }));
        let fields = InvoiceFields::from(invoice);
        let row = Invoice { id: invoice_id, fields, version: 1, created_at: now, updated_at: now };
        issued.push(Change::new("invoice", InvoiceStatus::Issued.as_str(), (row.id, row.version), None, Some(&row)));
        rows.push(NewRow { organization_id, id: row.id, fields: row.fields, created_at: now, updated_at: now });
    }
    while !rows.is_empty() {
        let rest = rows.split_off(rows.len().min(INVOICES_A_STATEMENT));
        diesel::insert_into(invoices::table).values(rows).execute(tx.conn)?;
        rows = rest;
    }
    while !lines.is_empty() {
        let rest = lines.split_off(lines.len().min(LINES_A_STATEMENT));
        diesel::insert_into(invoice_lines::table).values(lines).execute(tx.conn)?;
        lines = rest;
    }
    changes::record_all(tx, issued)
}

pub fn find(tx: &mut Tx<'_>, id: InvoiceId) -> Result<Invoice> {
    invoices::table
        .find((tx.organization_id(), id))
        .select(Invoice::as_select())
        .first(tx.conn)
        .optional()
        .or_not_found("invoice")
}

/// The lines of invoices, each in its order.
pub fn lines_of(tx: &mut Tx<'_>, ids: &[InvoiceId]) -> Result<BTreeMap<InvoiceId, Vec<InvoiceLine>>> {
    let rows: Vec<(InvoiceId, InvoiceLine)> = invoice_lines::table
        .filter(invoice_lines::organization_id.eq(tx.organization_id()))
        .filter(invoice_lines::invoice_id.eq_any(ids))
        .order((invoice_lines::invoice_id, invoice_lines::position))
        .select((invoice_lines::invoice_id, InvoiceLine::as_select()))
        .load(tx.conn)?;
    let mut lines: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (id, line) in rows {
        lines.entry(id).or_default().push(line);
    }
    Ok(lines)
}

/// The occurrences that invoices were issued for.
pub fn occurrences_of(tx: &mut Tx<'_>, ids: &[InvoiceId]) -> Result<BTreeMap<InvoiceId, OccurrenceId>> {
    let rows: Vec<(InvoiceId, OccurrenceId)> = occurrences::table
        .filter(occurrences::organization_id.eq(tx.organization_id()))
        .filter(occurrences::invoice_id.eq_any(ids))
        .select((occurrences::invoice_id.assume_not_null(), occurrences::id))
        .load(tx.conn)?;
    Ok(rows.into_iter().collect())
}

pub fn list(tx: &mut Tx<'_>, filter: &InvoiceFilter, page: &PageRequest<InvoiceSort>) -> Result<Page<Invoice>> {
    let organization_id = tx.organization_id();
    let filtered = || {
        let mut query = invoices::table.filter(invoices::organization_id.eq(organization_id)).into_boxed();
        if let Some(kind) = filter.kind {
            query = query.filter(invoices::kind.eq(kind));
        }
        if let Some(status) = filter.status {
            query = query.filter(invoices::status.eq(status));
        }
        if let Some(number) = &filter.number {
            query = query.filter(invoices::number.eq(number));
        }
        if let Some(customer_id) = filter.customer_id {
            query = query.filter(invoices::customer_id.eq(customer_id));
        }
        if let Some(template_id) = filter.template_id {
            query = query.filter(invoices::template_id.eq(template_id));
        }
        if let Some(subscription_id) = filter.subscription_id {
            query = query.filter(invoices::subscription_id.eq(subscription_id));
        }
        if let Some(run_id) = filter.run_id {
            query = query.filter(invoices::run_id.eq(run_id));
        }
        if let Some(from) = filter.issued_from {
            query = query.filter(invoices::issued_on.ge(from));
        }
        if let Some(through) = filter.issued_through {
            query = query.filter(invoices::issued_on.le(through));
        }
        query
    };
    let total = page.total(|cap| filtered().select(sql::<Integer>("1")).limit(cap).load(tx.conn))?;
    let query = match page.sort {
        InvoiceSort::CreatedAt => keyset!(filtered(), page, invoices::id),
        // A draft has no date: sorted by date, the list is of issued invoices.
        InvoiceSort::IssuedOn => keyset!(
            filtered().filter(invoices::issued_on.is_not_null()),
            page,
            invoices::issued_on.assume_not_null() => NaiveDate,
            invoices::id
        ),
    };
    let rows = query.select(Invoice::as_select()).load(tx.conn)?;
    Ok(Page::cut(rows, page, total, |invoice| match page.sort {
        InvoiceSort::CreatedAt => Cursor::new((), invoice.id),
        InvoiceSort::IssuedOn => Cursor::new(invoice.fields.issued_on, invoice.id),
    }))
}

impl From<NewInvoice> for InvoiceFields {
    fn from(new: NewInvoice) -> Self {
        let NewInvoice { id: _, series_id, number, customer_id, template_id, subscription_id, run_id, composed } = new;
        Self {
            kind: InvoiceKind::Invoice,
            status: InvoiceStatus::Issued,
            series_id: Some(series_id),
            number: Some(number),
            customer_id,
            template_id: Some(template_id),
            subscription_id: Some(subscription_id),
            run_id: Some(run_id),
            seller: Json(composed.seller),
            buyer: Json(composed.buyer),
            issued_on: Some(composed.issued_on),
            sold_on: Some(composed.sold_on),
            period_start_on: Some(composed.period.start_on),
            period_end_on: Some(composed.period.end_on),
            due_on: Some(composed.due_on),
            currency: composed.currency,
            price_mode: composed.price_mode,
            payment_method: composed.payment_method,
            bank_account: composed.bank_account,
            notes: composed.notes,
            language: composed.language,
            vat_totals: Json(composed.totals.by_code),
            net: composed.totals.net,
            vat: composed.totals.vat,
            gross: composed.totals.gross,
        }
    }
}

impl InvoiceLine {
    fn at(position: i16, line: ComposedLine) -> Self {
        let ComposedLine { key, text, quantity, unit, unit_price, discount_percent, vat, pkwiu, gtu, net } = line;
        Self {
            position,
            key: Some(key),
            text,
            quantity,
            unit,
            unit_price,
            discount_percent,
            vat_code: vat.code,
            exemption_basis: vat.exemption_basis,
            pkwiu,
            gtu,
            net,
        }
    }
}
