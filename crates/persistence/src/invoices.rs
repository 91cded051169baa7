//! Invoices and their lines. An issued one never changes, which the database itself enforces.

use crate::bulk::copy_rows;
use crate::changes::{self, Change};
use crate::db::Tx;
use crate::error::{OrNotFound, Result, StoreError};
use crate::json::Json;
use crate::page::{Cursor, Page, PageRequest, keyset};
use crate::schema::{invoice_balances, invoice_lines, invoices, occurrences};
use chrono::{DateTime, NaiveDate, Utc};
use diesel::dsl::{exists, max, sql};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Integer};
use opiekun_domain::billing::{Invoice as ComposedInvoice, InvoiceLine as ComposedLine, LineVat, Party};
use opiekun_domain::correction::TakesEffect;
use opiekun_domain::currency::Currency;
use opiekun_domain::decimal::{Amount, ExchangeRate, Percent, Quantity, UnitPrice};
use opiekun_domain::ids::{
    CustomerId, InvoiceId, InvoiceRunId, InvoiceTemplateId, NumberSeriesId, OccurrenceId, OrganizationId,
    SubscriptionId,
};
use opiekun_domain::invoice::{InvoiceKind, InvoiceStatus, PaymentMethod, PaymentStatus, PriceMode, TableRate, VatSum};
use opiekun_domain::invoice_draft::{DraftLine, InvoiceDraft, PaymentTerm, Priced};
use opiekun_domain::language::Language;
use opiekun_domain::vat::VatCode;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Debug, Clone, Queryable, Selectable, Serialize)]
#[diesel(table_name = invoices, check_for_backend(diesel::pg::Pg))]
pub struct Invoice {
    pub id: InvoiceId,
    #[diesel(embed)]
    #[serde(flatten)]
    pub fields: InvoiceFields,
    #[diesel(embed)]
    #[serde(flatten)]
    pub correction: CorrectionFields,
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset, Serialize)]
#[diesel(table_name = invoices, check_for_backend(diesel::pg::Pg), treat_none_as_null = true)]
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
    pub vat_totals: Json<Vec<VatSum>>,
    pub net: Amount,
    pub vat: Amount,
    pub gross: Amount,
    /// From the issue to the day of payment, where that was not given itself.
    pub payment_days: Option<i16>,
    /// With the day of its table and whose table it is, or without any of them.
    pub exchange_rate: Option<ExchangeRate>,
    pub exchange_rate_on: Option<NaiveDate>,
    pub exchange_rate_source: Option<String>,
    /// The VAT in złoty of an invoice in another currency.
    pub vat_pln: Option<Amount>,
    pub split_payment: bool,
    /// The pro forma that it was made from.
    pub pro_forma_id: Option<InvoiceId>,
}

/// What a correction says beside an invoice; nothing of one that is none.
#[derive(Debug, Clone, Default, Queryable, Selectable, Insertable, Serialize)]
#[diesel(table_name = invoices, check_for_backend(diesel::pg::Pg))]
pub struct CorrectionFields {
    /// The invoice that it corrects.
    pub corrects_id: Option<InvoiceId>,
    pub correction_reason: Option<String>,
    /// From when on it counts in the seller's VAT, where that is told.
    pub correction_takes_effect: Option<TakesEffect>,
    /// What that said before. The lines of the correction are those after it, its sums the difference.
    pub before: Option<Json<CorrectedState>>,
}

/// What an invoice says, with all corrections that were issued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CorrectedState {
    pub buyer: Party,
    pub lines: Vec<InvoiceLine>,
}

/// An invoice with all its issued corrections, as the next one begins from it.
#[derive(Debug, Clone)]
pub struct Corrected {
    pub state: CorrectedState,
    /// The greatest position that a line of it has ever had.
    pub last_position: i16,
    /// Of the invoice; of one that had none, what the last correction took.
    pub exchange_rate: Option<TableRate>,
}

/// A line of an invoice.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, Serialize, Deserialize)]
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
    pub annex_15: bool,
    pub net: Amount,
}

/// An invoice of a period, and what it is for.
#[derive(Debug, Clone)]
pub struct NewInvoice {
    pub id: InvoiceId,
    pub series_id: NumberSeriesId,
    /// Without one it is a draft.
    pub number: Option<String>,
    pub customer_id: CustomerId,
    pub template_id: InvoiceTemplateId,
    pub subscription_id: SubscriptionId,
    pub run_id: InvoiceRunId,
    pub composed: ComposedInvoice,
}

/// A draft to be written, with what its lines come to.
#[derive(Debug, Clone)]
pub struct NewDraft {
    pub series_id: NumberSeriesId,
    pub customer_id: CustomerId,
    /// As they are now; the issue takes them anew.
    pub seller: Party,
    pub buyer: Party,
    pub draft: InvoiceDraft,
    pub priced: Priced,
    /// The pro forma that it is made from.
    pub pro_forma_id: Option<InvoiceId>,
}

/// A correction to be drafted.
#[derive(Debug, Clone)]
pub struct NewCorrection {
    pub draft: NewDraft,
    /// For each line of the draft.
    pub positions: Vec<i16>,
    pub corrects_id: InvoiceId,
    pub reason: String,
    pub takes_effect: Option<TakesEffect>,
    pub before: CorrectedState,
}

/// One correction of an invoice, in short.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = invoices, check_for_backend(diesel::pg::Pg))]
pub struct CorrectionSums {
    pub id: InvoiceId,
    #[diesel(select_expression = invoices::corrects_id.assume_not_null())]
    pub corrects_id: InvoiceId,
    pub status: InvoiceStatus,
    pub number: Option<String>,
    pub issued_on: Option<NaiveDate>,
    pub vat_totals: Json<Vec<VatSum>>,
    pub net: Amount,
    pub vat: Amount,
    pub gross: Amount,
}

/// An invoice and its lines, as the audit log tells them of drafts: there the lines may change.
#[derive(Serialize)]
struct Told<'a> {
    #[serde(flatten)]
    invoice: &'a Invoice,
    lines: &'a [InvoiceLine],
}

#[derive(Insertable)]
#[diesel(table_name = invoices)]
struct NewRow {
    organization_id: OrganizationId,
    id: InvoiceId,
    #[diesel(embed)]
    fields: InvoiceFields,
    #[diesel(embed)]
    correction: CorrectionFields,
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
    /// The order of the ids, which count up with time and, within a run, with the numbers.
    #[default]
    CreatedAt,
    IssuedOn,
}

#[derive(Debug, Clone, Default)]
pub struct InvoiceFilter {
    pub kind: Option<InvoiceKind>,
    pub status: Option<InvoiceStatus>,
    /// How they stand on a day.
    pub payment_status: Option<(PaymentStatus, NaiveDate)>,
    pub number: Option<String>,
    pub customer_id: Option<CustomerId>,
    pub template_id: Option<InvoiceTemplateId>,
    pub subscription_id: Option<SubscriptionId>,
    pub run_id: Option<InvoiceRunId>,
    pub pro_forma_id: Option<InvoiceId>,
    pub corrects_id: Option<InvoiceId>,
    pub issued_from: Option<NaiveDate>,
    pub issued_through: Option<NaiveDate>,
}

/// Issues invoices, or drafts those without a number, all in one statement a table, with one record and event each.
pub fn create_all(tx: &mut Tx<'_>, new: Vec<NewInvoice>) -> Result<()> {
    let now = tx.now;
    let mut lines = Vec::new();
    let mut rows = Vec::with_capacity(new.len());
    let mut told = Vec::with_capacity(new.len());
    for mut invoice in new {
        let id = invoice.id;
        let composed = std::mem::take(&mut invoice.composed.lines);
        let of_invoice: Vec<_> = (1..).zip(composed).map(|(position, line)| InvoiceLine::at(position, line)).collect();
        let (fields, correction) = (InvoiceFields::from(invoice), CorrectionFields::default());
        let row = Invoice { id, fields, correction, version: 1, created_at: now, updated_at: now };
        told.push(match row.fields.status {
            InvoiceStatus::Draft => change("created", None, (&row, &of_invoice)),
            _ => Change::new("invoice", InvoiceStatus::Issued.as_str(), (row.id, row.version), None, Some(&row)),
        });
        lines.extend(of_invoice.into_iter().map(|line| (id, line)));
        rows.push((id, row.fields));
    }
    copy(tx, rows)?;
    copy_lines(tx, lines)?;
    changes::record_all(tx, told)
}

/// Writes new invoices that correct none, by one COPY.
fn copy(tx: &mut Tx<'_>, invoices: Vec<(InvoiceId, InvoiceFields)>) -> Result<()> {
    let (organization_id, now) = (tx.organization_id(), tx.now);
    copy_rows!(tx.conn, invoices, invoices, |(id, fields)| {
        organization_id: OrganizationId = organization_id,
        id: InvoiceId = id,
        kind: InvoiceKind = fields.kind,
        status: InvoiceStatus = fields.status,
        series_id: Option<NumberSeriesId> = fields.series_id,
        number: Option<String> = fields.number,
        customer_id: CustomerId = fields.customer_id,
        template_id: Option<InvoiceTemplateId> = fields.template_id,
        subscription_id: Option<SubscriptionId> = fields.subscription_id,
        run_id: Option<InvoiceRunId> = fields.run_id,
        seller: Json<Party> = fields.seller,
        buyer: Json<Party> = fields.buyer,
        issued_on: Option<NaiveDate> = fields.issued_on,
        sold_on: Option<NaiveDate> = fields.sold_on,
        period_start_on: Option<NaiveDate> = fields.period_start_on,
        period_end_on: Option<NaiveDate> = fields.period_end_on,
        due_on: Option<NaiveDate> = fields.due_on,
        currency: Currency = fields.currency,
        price_mode: PriceMode = fields.price_mode,
        payment_method: PaymentMethod = fields.payment_method,
        bank_account: Option<String> = fields.bank_account,
        notes: Option<String> = fields.notes,
        language: Language = fields.language,
        vat_totals: Json<Vec<VatSum>> = fields.vat_totals,
        net: Amount = fields.net,
        vat: Amount = fields.vat,
        gross: Amount = fields.gross,
        payment_days: Option<i16> = fields.payment_days,
        exchange_rate: Option<ExchangeRate> = fields.exchange_rate,
        exchange_rate_on: Option<NaiveDate> = fields.exchange_rate_on,
        exchange_rate_source: Option<String> = fields.exchange_rate_source,
        vat_pln: Option<Amount> = fields.vat_pln,
        split_payment: bool = fields.split_payment,
        pro_forma_id: Option<InvoiceId> = fields.pro_forma_id,
        created_at: DateTime<Utc> = now,
        updated_at: DateTime<Utc> = now,
    })?;
    Ok(())
}

/// Writes lines of invoices, by one COPY.
fn copy_lines(tx: &mut Tx<'_>, lines: Vec<(InvoiceId, InvoiceLine)>) -> Result<()> {
    let organization_id = tx.organization_id();
    copy_rows!(tx.conn, invoice_lines, lines, |(invoice_id, line)| {
        organization_id: OrganizationId = organization_id,
        invoice_id: InvoiceId = invoice_id,
        position: i16 = line.position,
        key: Option<String> = line.key,
        text: String = line.text,
        quantity: Quantity = line.quantity,
        unit: String = line.unit,
        unit_price: UnitPrice = line.unit_price,
        discount_percent: Option<Percent> = line.discount_percent,
        vat_code: VatCode = line.vat_code,
        exemption_basis: Option<String> = line.exemption_basis,
        pkwiu: Option<String> = line.pkwiu,
        gtu: Option<String> = line.gtu,
        annex_15: bool = line.annex_15,
        net: Amount = line.net,
    })?;
    Ok(())
}

pub fn create_draft(tx: &mut Tx<'_>, new: NewDraft) -> Result<Invoice> {
    let (fields, lines) = new.split();
    create(tx, fields, CorrectionFields::default(), lines)
}

/// Drafts a correction of an invoice that [`lock`] has returned.
pub fn create_correction(tx: &mut Tx<'_>, new: NewCorrection) -> Result<Invoice> {
    let NewCorrection { draft, positions, corrects_id, reason, takes_effect, before } = new;
    let (fields, mut lines) = draft.split();
    for (line, position) in lines.iter_mut().zip(positions) {
        line.position = position;
    }
    let correction = CorrectionFields {
        corrects_id: Some(corrects_id),
        correction_reason: Some(reason),
        correction_takes_effect: takes_effect,
        before: Some(Json(before)),
    };
    create(tx, fields, correction, lines)
}

fn create(
    tx: &mut Tx<'_>,
    fields: InvoiceFields,
    correction: CorrectionFields,
    lines: Vec<InvoiceLine>,
) -> Result<Invoice> {
    let (organization_id, now) = (tx.organization_id(), tx.now);
    let row = NewRow { organization_id, id: InvoiceId::at(now), fields, correction, created_at: now, updated_at: now };
    let invoice: Invoice =
        diesel::insert_into(invoices::table).values(row).returning(Invoice::as_returning()).get_result(tx.conn)?;
    let lines = add_lines(tx, invoice.id, lines)?;
    record(tx, "created", None, (&invoice, &lines))?;
    Ok(invoice)
}

/// The corrections of invoices, in their order, but for drafts that were thrown away.
pub fn corrections_of(tx: &mut Tx<'_>, ids: &[InvoiceId]) -> Result<BTreeMap<InvoiceId, Vec<CorrectionSums>>> {
    let rows: Vec<CorrectionSums> = invoices::table
        .filter(invoices::organization_id.eq(tx.organization_id()))
        .filter(invoices::corrects_id.eq_any(ids))
        .filter(invoices::status.ne(InvoiceStatus::Void))
        .order(invoices::id)
        .select(CorrectionSums::as_select())
        .load(tx.conn)?;
    let mut corrections: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for row in rows {
        corrections.entry(row.corrects_id).or_default().push(row);
    }
    Ok(corrections)
}

/// What an invoice says with all its issued corrections, and what of them another one follows.
pub fn corrected(tx: &mut Tx<'_>, invoice: &Invoice) -> Result<Corrected> {
    let issued: Vec<(InvoiceId, InvoiceFields)> = invoices::table
        .filter(invoices::organization_id.eq(tx.organization_id()))
        .filter(invoices::corrects_id.eq(invoice.id))
        .filter(invoices::status.eq(InvoiceStatus::Issued))
        .order(invoices::id)
        .select((invoices::id, InvoiceFields::as_select()))
        .load(tx.conn)?;
    let all: Vec<InvoiceId> = issued.iter().map(|(id, _)| *id).chain([invoice.id]).collect();
    let (last_id, last) = issued.last().map_or((invoice.id, &invoice.fields), |(id, fields)| (*id, fields));
    let lines = lines_of(tx, &[last_id])?.remove(&last_id).unwrap_or_default();
    let last_position: Option<i16> = invoice_lines::table
        .filter(invoice_lines::organization_id.eq(tx.organization_id()))
        .filter(invoice_lines::invoice_id.eq_any(all))
        .select(max(invoice_lines::position))
        .first(tx.conn)?;
    Ok(Corrected {
        state: CorrectedState { buyer: last.buyer.0.clone(), lines },
        last_position: last_position.unwrap_or_default(),
        exchange_rate: last.table_rate(),
    })
}

/// Locks the row; [`StoreError::Stale`] when somebody has changed it since `seen`.
pub fn lock(tx: &mut Tx<'_>, id: InvoiceId, seen: Option<i32>) -> Result<Invoice> {
    let invoice = invoices::table
        .find((tx.organization_id(), id))
        .select(Invoice::as_select())
        .for_update()
        .first(tx.conn)
        .optional()
        .or_not_found("invoice")?;
    StoreError::unless_current(invoice.version, seen)?;
    Ok(invoice)
}

/// Writes to a draft that [`lock`] has returned, replaces its lines (`before`), and counts its version up. What it is
/// issued for stays.
pub fn update_draft(tx: &mut Tx<'_>, draft: &Invoice, before: &[InvoiceLine], new: NewDraft) -> Result<Invoice> {
    let of = &draft.fields;
    let (fields, lines) = new.split();
    let fields = InvoiceFields {
        template_id: of.template_id,
        subscription_id: of.subscription_id,
        run_id: of.run_id,
        period_start_on: of.period_start_on,
        period_end_on: of.period_end_on,
        ..fields
    };
    let after = set(tx, draft.id, fields)?;
    let of_draft = invoice_lines::table
        .filter(invoice_lines::organization_id.eq(tx.organization_id()))
        .filter(invoice_lines::invoice_id.eq(draft.id));
    diesel::delete(of_draft).execute(tx.conn)?;
    let lines = add_lines(tx, draft.id, lines)?;
    record(tx, "updated", Some((draft, before)), (&after, &lines))?;
    Ok(after)
}

/// Issues a draft that [`lock`] has returned, under a number that was taken in this transaction. Its lines, which
/// `composed` was made from, stay as they are.
pub fn issue(tx: &mut Tx<'_>, draft: &Invoice, number: String, composed: ComposedInvoice) -> Result<Invoice> {
    let of = draft.fields.clone();
    let fields = InvoiceFields {
        number: Some(number),
        status: InvoiceStatus::Issued,
        kind: of.kind,
        series_id: of.series_id,
        template_id: of.template_id,
        subscription_id: of.subscription_id,
        run_id: of.run_id,
        period_start_on: of.period_start_on,
        period_end_on: of.period_end_on,
        pro_forma_id: of.pro_forma_id,
        ..InvoiceFields::from((of.customer_id, composed))
    };
    let after = set(tx, draft.id, fields)?;
    changes::record(tx, Change::new("invoice", "issued", (after.id, after.version), Some(draft), Some(&after)))?;
    Ok(after)
}

/// Throws a draft away that [`lock`] has returned. It stays to be seen, and never changes again.
pub fn void(tx: &mut Tx<'_>, draft: &Invoice) -> Result<()> {
    let fields = InvoiceFields { status: InvoiceStatus::Void, ..draft.fields.clone() };
    let after = set(tx, draft.id, fields)?;
    changes::record(tx, Change::new("invoice", "voided", (after.id, after.version), Some(draft), Some(&after)))
}

/// Whether a pro forma has an invoice, draft or issued.
pub fn has_final_invoice(tx: &mut Tx<'_>, pro_forma_id: InvoiceId) -> Result<bool> {
    let made = invoices::table
        .filter(invoices::organization_id.eq(tx.organization_id()))
        .filter(invoices::pro_forma_id.eq(pro_forma_id))
        .filter(invoices::status.ne(InvoiceStatus::Void));
    Ok(diesel::select(exists(made)).get_result(tx.conn)?)
}

fn set(tx: &mut Tx<'_>, id: InvoiceId, fields: InvoiceFields) -> Result<Invoice> {
    Ok(diesel::update(invoices::table.find((tx.organization_id(), id)))
        .set((fields, invoices::version.eq(invoices::version + 1), invoices::updated_at.eq(tx.now)))
        .returning(Invoice::as_returning())
        .get_result(tx.conn)?)
}

fn add_lines(tx: &mut Tx<'_>, invoice_id: InvoiceId, lines: Vec<InvoiceLine>) -> Result<Vec<InvoiceLine>> {
    let organization_id = tx.organization_id();
    let rows = lines.iter().cloned().map(|line| NewLineRow { organization_id, invoice_id, line });
    diesel::insert_into(invoice_lines::table).values(rows.collect::<Vec<_>>()).execute(tx.conn)?;
    Ok(lines)
}

fn record(
    tx: &mut Tx<'_>,
    action: &'static str,
    before: Option<(&Invoice, &[InvoiceLine])>,
    (invoice, lines): (&Invoice, &[InvoiceLine]),
) -> Result<()> {
    changes::record(tx, change(action, before, (invoice, lines)))
}

fn change(
    action: &'static str,
    before: Option<(&Invoice, &[InvoiceLine])>,
    (invoice, lines): (&Invoice, &[InvoiceLine]),
) -> Change {
    let before = before.map(|(invoice, lines)| Told { invoice, lines });
    let after = Told { invoice, lines };
    Change::new("invoice", action, (invoice.id, invoice.version), before.as_ref(), Some(&after))
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
        if let Some((status, today)) = filter.payment_status {
            query = query.filter(invoices::id.eq_any(standing(organization_id, status, today)));
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
        if let Some(pro_forma_id) = filter.pro_forma_id {
            query = query.filter(invoices::pro_forma_id.eq(pro_forma_id));
        }
        if let Some(corrects_id) = filter.corrects_id {
            query = query.filter(invoices::corrects_id.eq(corrects_id));
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

/// The issued invoices that stand so on a day, as [`PaymentStatus::of`] has it.
fn standing(
    organization_id: OrganizationId,
    status: PaymentStatus,
    today: NaiveDate,
) -> invoice_balances::BoxedQuery<'static, Pg, diesel::sql_types::Uuid> {
    let balances = invoice_balances::table
        .filter(invoice_balances::organization_id.eq(organization_id))
        .select(invoice_balances::invoice_id)
        .into_boxed();
    // Spelt as the partial indexes `invoice_balances_open_idx` and `invoice_balances_paid_idx` are.
    let open = || sql::<Bool>("invoice_balances.paid < invoice_balances.gross");
    match status {
        PaymentStatus::Paid => balances.filter(sql::<Bool>("invoice_balances.paid >= invoice_balances.gross")),
        PaymentStatus::Overdue => balances.filter(open()).filter(invoice_balances::due_on.lt(today)),
        PaymentStatus::PartlyPaid => balances
            .filter(open())
            .filter(invoice_balances::due_on.ge(today))
            .filter(invoice_balances::paid.gt(Amount::ZERO)),
        PaymentStatus::Unpaid => balances
            .filter(open())
            .filter(invoice_balances::due_on.ge(today))
            .filter(invoice_balances::paid.eq(Amount::ZERO)),
    }
}

impl Invoice {
    /// What a draft says, with its lines.
    pub fn draft(&self, lines: Vec<InvoiceLine>) -> InvoiceDraft {
        let fields = &self.fields;
        let lines = lines.into_iter().map(DraftLine::from).collect();
        InvoiceDraft {
            kind: fields.kind,
            sold_on: fields.sold_on,
            payment_term: match (fields.due_on, fields.payment_days) {
                (Some(due_on), _) => PaymentTerm::On(due_on),
                (None, days) => PaymentTerm::Days(days.unwrap_or_default()),
            },
            currency: fields.currency,
            exchange_rate: fields.table_rate(),
            price_mode: fields.price_mode,
            payment_method: fields.payment_method,
            bank_account: fields.bank_account.clone(),
            notes: fields.notes.clone(),
            language: fields.language,
            lines,
        }
    }
}

impl InvoiceFields {
    /// The rate that tells its VAT in złoty.
    pub fn table_rate(&self) -> Option<TableRate> {
        let (rate, on) = self.exchange_rate.zip(self.exchange_rate_on)?;
        Some(TableRate { rate, on, source: self.exchange_rate_source.clone()? })
    }
}

impl NewDraft {
    fn split(self) -> (InvoiceFields, Vec<InvoiceLine>) {
        let Self { series_id, customer_id, seller, buyer, draft, priced, pro_forma_id } = self;
        let (payment_days, due_on) = match draft.payment_term {
            PaymentTerm::Days(days) => (Some(days), None),
            PaymentTerm::On(day) => (None, Some(day)),
        };
        let (exchange_rate, exchange_rate_on, exchange_rate_source) = columns_of(draft.exchange_rate);
        let fields = InvoiceFields {
            kind: draft.kind,
            status: InvoiceStatus::Draft,
            series_id: Some(series_id),
            number: None,
            customer_id,
            template_id: None,
            subscription_id: None,
            run_id: None,
            seller: Json(seller),
            buyer: Json(buyer),
            issued_on: None,
            sold_on: draft.sold_on,
            period_start_on: None,
            period_end_on: None,
            due_on,
            currency: draft.currency,
            price_mode: draft.price_mode,
            payment_method: draft.payment_method,
            bank_account: draft.bank_account,
            notes: draft.notes,
            language: draft.language,
            vat_totals: Json(VatSum::all(&priced.totals, priced.vat_pln.as_ref())),
            net: priced.totals.net,
            vat: priced.totals.vat,
            gross: priced.totals.gross,
            payment_days,
            exchange_rate,
            exchange_rate_on,
            exchange_rate_source,
            vat_pln: priced.vat_pln.map(|vat| vat.sum),
            split_payment: priced.split_payment,
            pro_forma_id,
        };
        let lines = (1..).zip(priced.lines).map(|(position, line)| InvoiceLine::at(position, line)).collect();
        (fields, lines)
    }
}

fn columns_of(rate: Option<TableRate>) -> (Option<ExchangeRate>, Option<NaiveDate>, Option<String>) {
    match rate {
        Some(TableRate { rate, on, source }) => (Some(rate), Some(on), Some(source)),
        None => (None, None, None),
    }
}

impl From<NewInvoice> for InvoiceFields {
    fn from(new: NewInvoice) -> Self {
        let NewInvoice { id: _, series_id, number, customer_id, template_id, subscription_id, run_id, mut composed } =
            new;
        let is_first_account = composed.is_first_account;
        if number.is_none() {
            // Of the table of a day that the day of the issue tells.
            (composed.exchange_rate, composed.vat_pln) = (None, None);
        }
        let issued = Self {
            series_id: Some(series_id),
            number,
            template_id: Some(template_id),
            subscription_id: Some(subscription_id),
            run_id: Some(run_id),
            ..Self::from((customer_id, composed))
        };
        if issued.number.is_some() {
            return issued;
        }
        // What follows from the day of the issue, or is taken as it is on that day, is left to the issue.
        Self {
            status: InvoiceStatus::Draft,
            issued_on: None,
            due_on: issued.due_on.filter(|_| issued.payment_days.is_none()),
            bank_account: issued.bank_account.filter(|_| !is_first_account),
            ..issued
        }
    }
}

impl From<(CustomerId, ComposedInvoice)> for InvoiceFields {
    /// An invoice that was issued to a customer, but for its number and origin.
    fn from((customer_id, composed): (CustomerId, ComposedInvoice)) -> Self {
        let payment_days = match composed.payment_term {
            PaymentTerm::Days(days) => Some(days),
            PaymentTerm::On(_) => None,
        };
        let (exchange_rate, exchange_rate_on, exchange_rate_source) = columns_of(composed.exchange_rate);
        Self {
            kind: InvoiceKind::Invoice,
            status: InvoiceStatus::Issued,
            series_id: None,
            number: None,
            customer_id,
            template_id: None,
            subscription_id: None,
            run_id: None,
            seller: Json(composed.seller),
            buyer: Json(composed.buyer),
            issued_on: Some(composed.issued_on),
            sold_on: Some(composed.sold_on),
            period_start_on: composed.period.map(|period| period.start_on),
            period_end_on: composed.period.map(|period| period.end_on),
            due_on: Some(composed.due_on),
            currency: composed.currency,
            price_mode: composed.price_mode,
            payment_method: composed.payment_method,
            bank_account: composed.bank_account,
            notes: composed.notes,
            language: composed.language,
            vat_totals: Json(VatSum::all(&composed.totals, composed.vat_pln.as_ref())),
            net: composed.totals.net,
            vat: composed.totals.vat,
            gross: composed.totals.gross,
            payment_days,
            exchange_rate,
            exchange_rate_on,
            exchange_rate_source,
            vat_pln: composed.vat_pln.map(|vat| vat.sum),
            split_payment: composed.split_payment,
            pro_forma_id: None,
        }
    }
}

impl InvoiceLine {
    fn at(position: i16, line: ComposedLine) -> Self {
        let ComposedLine { key, text, quantity, unit, unit_price, discount_percent, vat, pkwiu, gtu, annex_15, net } =
            line;
        Self {
            position,
            key,
            text,
            quantity,
            unit,
            unit_price,
            discount_percent,
            vat_code: vat.code,
            exemption_basis: vat.exemption_basis,
            pkwiu,
            gtu,
            annex_15,
            net,
        }
    }
}

impl From<InvoiceLine> for ComposedLine {
    fn from(line: InvoiceLine) -> Self {
        Self {
            key: line.key,
            text: line.text,
            quantity: line.quantity,
            unit: line.unit,
            unit_price: line.unit_price,
            discount_percent: line.discount_percent,
            vat: LineVat { code: line.vat_code, exemption_basis: line.exemption_basis },
            pkwiu: line.pkwiu,
            gtu: line.gtu,
            annex_15: line.annex_15,
            net: line.net,
        }
    }
}

impl From<InvoiceLine> for DraftLine {
    fn from(line: InvoiceLine) -> Self {
        let ComposedLine { key, text, quantity, unit, unit_price, discount_percent, vat, pkwiu, gtu, annex_15, net: _ } =
            line.into();
        Self { key, text, quantity, unit, unit_price, discount_percent, vat, pkwiu, gtu, annex_15 }
    }
}
