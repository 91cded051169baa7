//! Extra lines: what a subscription has once, on its next invoice.

use crate::changes::{self, Change};
use crate::db::Tx;
use crate::error::{OrNotFound, Result, StoreError};
use crate::page::{Cursor, Page, PageRequest, keyset};
use crate::schema::extra_lines;
use chrono::{DateTime, Utc};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{Array, Integer, Timestamptz, Uuid as SqlUuid};
use opiekun_domain::billing::LineVat;
use opiekun_domain::decimal::{Percent, Quantity, UnitPrice};
use opiekun_domain::ids::{ExtraLineId, InvoiceId, OrganizationId, SubscriptionId};
use opiekun_domain::invoice_draft::DraftLine;
use opiekun_domain::vat::VatCode;
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Debug, Clone, Queryable, Selectable, Serialize)]
#[diesel(table_name = extra_lines, check_for_backend(diesel::pg::Pg))]
pub struct ExtraLine {
    pub id: ExtraLineId,
    pub subscription_id: SubscriptionId,
    #[diesel(embed)]
    #[serde(flatten)]
    pub fields: ExtraLineFields,
    /// The invoice that it was billed on, draft or issued.
    pub invoice_id: Option<InvoiceId>,
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// What a caller may write.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, Serialize)]
#[diesel(table_name = extra_lines, check_for_backend(diesel::pg::Pg))]
pub struct ExtraLineFields {
    /// With placeholders.
    pub text: String,
    pub quantity: Quantity,
    pub unit: String,
    /// Net or gross, as the template says.
    pub unit_price: UnitPrice,
    pub discount_percent: Option<Percent>,
    pub vat_code: VatCode,
    pub exemption_basis: Option<String>,
    pub pkwiu: Option<String>,
    pub gtu: Option<String>,
    pub annex_15: bool,
}

#[derive(Insertable)]
#[diesel(table_name = extra_lines)]
struct NewExtraLine {
    organization_id: OrganizationId,
    id: ExtraLineId,
    subscription_id: SubscriptionId,
    #[diesel(embed)]
    fields: ExtraLineFields,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Default)]
pub struct ExtraLineFilter {
    pub invoiced: Option<bool>,
}

impl ExtraLine {
    /// By which a draft knows that it bills this line: no template's line has it.
    pub fn key(&self) -> String {
        format!("extra_{}", self.id.0.simple())
    }

    /// The line as a draft has it, but for the placeholders.
    pub fn draft_line(&self) -> DraftLine {
        let ExtraLineFields {
            text,
            quantity,
            unit,
            unit_price,
            discount_percent,
            vat_code,
            exemption_basis,
            pkwiu,
            gtu,
            annex_15,
        } = self.fields.clone();
        let vat = LineVat { code: vat_code, exemption_basis };
        let key = Some(self.key());
        DraftLine { key, text, quantity, unit, unit_price, discount_percent, vat, pkwiu, gtu, annex_15 }
    }
}

/// For a subscription that the caller has locked, so that no run is at its next invoice.
pub fn create(tx: &mut Tx<'_>, subscription_id: SubscriptionId, fields: ExtraLineFields) -> Result<ExtraLine> {
    let row = NewExtraLine {
        organization_id: tx.organization_id(),
        id: ExtraLineId::at(tx.now),
        subscription_id,
        fields,
        created_at: tx.now,
        updated_at: tx.now,
    };
    let line: ExtraLine =
        diesel::insert_into(extra_lines::table).values(row).returning(ExtraLine::as_returning()).get_result(tx.conn)?;
    changes::record(tx, told("created", None, Some(&line)))?;
    Ok(line)
}

pub fn find(tx: &mut Tx<'_>, id: ExtraLineId) -> Result<ExtraLine> {
    extra_lines::table
        .find((tx.organization_id(), id))
        .select(ExtraLine::as_select())
        .first(tx.conn)
        .optional()
        .or_not_found("extra_line")
}

/// Locks the row; [`StoreError::Stale`] when somebody has changed it since `seen`.
pub fn lock(tx: &mut Tx<'_>, id: ExtraLineId, seen: Option<i32>) -> Result<ExtraLine> {
    let line = extra_lines::table
        .find((tx.organization_id(), id))
        .select(ExtraLine::as_select())
        .for_update()
        .first(tx.conn)
        .optional()
        .or_not_found("extra_line")?;
    StoreError::unless_current(line.version, seen)?;
    Ok(line)
}

/// Removes a locked row that was not billed, which the audit log keeps as it was.
pub fn delete(tx: &mut Tx<'_>, line: &ExtraLine) -> Result<()> {
    diesel::delete(extra_lines::table.find((tx.organization_id(), line.id))).execute(tx.conn)?;
    changes::record(tx, told("deleted", Some(line), None))
}

pub fn list(
    tx: &mut Tx<'_>,
    subscription_id: SubscriptionId,
    filter: &ExtraLineFilter,
    page: &PageRequest<()>,
) -> Result<Page<ExtraLine>> {
    let organization_id = tx.organization_id();
    let filtered = || {
        let query = extra_lines::table
            .filter(extra_lines::organization_id.eq(organization_id))
            .filter(extra_lines::subscription_id.eq(subscription_id))
            .into_boxed();
        match filter.invoiced {
            Some(true) => query.filter(extra_lines::invoice_id.is_not_null()),
            Some(false) => query.filter(extra_lines::invoice_id.is_null()),
            None => query,
        }
    };
    let total = page.total(|cap| filtered().select(sql::<Integer>("1")).limit(cap).load(tx.conn))?;
    let rows = keyset!(filtered(), page, extra_lines::id).select(ExtraLine::as_select()).load(tx.conn)?;
    Ok(Page::cut(rows, page, total, |line| Cursor::new((), line.id)))
}

/// How many lines of a subscription wait for its next invoice.
pub fn count_open(tx: &mut Tx<'_>, subscription_id: SubscriptionId) -> Result<i64> {
    let open = extra_lines::table
        .filter(extra_lines::organization_id.eq(tx.organization_id()))
        .filter(extra_lines::subscription_id.eq(subscription_id))
        .filter(extra_lines::invoice_id.is_null());
    Ok(open.count().get_result(tx.conn)?)
}

/// The lines that wait for the next invoices of these subscriptions, in the order in which they were made.
pub fn open_of(tx: &mut Tx<'_>, ids: &[SubscriptionId]) -> Result<BTreeMap<SubscriptionId, Vec<ExtraLine>>> {
    let rows: Vec<ExtraLine> = extra_lines::table
        .filter(extra_lines::organization_id.eq(tx.organization_id()))
        .filter(extra_lines::subscription_id.eq_any(ids))
        .filter(extra_lines::invoice_id.is_null())
        .order((extra_lines::subscription_id, extra_lines::id))
        .select(ExtraLine::as_select())
        .load(tx.conn)?;
    let mut open: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for line in rows {
        open.entry(line.subscription_id).or_default().push(line);
    }
    Ok(open)
}

/// Notes that open lines of locked subscriptions were billed, each on its invoice, in one statement.
pub fn bill(tx: &mut Tx<'_>, billed: Vec<(ExtraLine, InvoiceId)>) -> Result<()> {
    if billed.is_empty() {
        return Ok(());
    }
    diesel::sql_query(
        "update extra_lines e set invoice_id = n.invoice_id, version = e.version + 1, updated_at = $4
         from unnest($2, $3) n (id, invoice_id)
         where e.organization_id = $1 and e.id = n.id",
    )
    .bind::<SqlUuid, _>(tx.organization_id())
    .bind::<Array<SqlUuid>, _>(billed.iter().map(|(line, _)| line.id).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(billed.iter().map(|(_, invoice_id)| *invoice_id).collect::<Vec<_>>())
    .bind::<Timestamptz, _>(tx.now)
    .execute(tx.conn)?;
    let records = billed.into_iter().map(|(before, invoice_id)| {
        let (invoice_id, version, updated_at) = (Some(invoice_id), before.version + 1, tx.now);
        let after = ExtraLine { invoice_id, version, updated_at, ..before.clone() };
        told("invoiced", Some(&before), Some(&after))
    });
    let records = records.collect();
    changes::record_all(tx, records)
}

/// The lines that were billed on an invoice, in the order in which they were made.
pub fn billed_on(tx: &mut Tx<'_>, invoice_id: InvoiceId) -> Result<Vec<ExtraLine>> {
    Ok(extra_lines::table
        .filter(extra_lines::organization_id.eq(tx.organization_id()))
        .filter(extra_lines::invoice_id.eq(invoice_id))
        .order(extra_lines::id)
        .select(ExtraLine::as_select())
        .load(tx.conn)?)
}

/// Lets go of lines of a locked draft that bills them no more, whose subscription is locked: they wait for its next
/// invoice.
pub fn reopen(tx: &mut Tx<'_>, lines: Vec<ExtraLine>) -> Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    let now = tx.now;
    let ids: Vec<ExtraLineId> = lines.iter().map(|line| line.id).collect();
    let billed = extra_lines::table
        .filter(extra_lines::organization_id.eq(tx.organization_id()))
        .filter(extra_lines::id.eq_any(ids));
    diesel::update(billed)
        .set((
            extra_lines::invoice_id.eq(None::<InvoiceId>),
            extra_lines::version.eq(extra_lines::version + 1),
            extra_lines::updated_at.eq(now),
        ))
        .execute(tx.conn)?;
    let records = lines.into_iter().map(|before| {
        let after = ExtraLine { invoice_id: None, version: before.version + 1, updated_at: now, ..before.clone() };
        told("reopened", Some(&before), Some(&after))
    });
    changes::record_all(tx, records.collect())
}

fn told(action: &'static str, before: Option<&ExtraLine>, after: Option<&ExtraLine>) -> Change {
    let (id, version) = after.or(before).map(|told| (told.id.0, told.version)).unwrap_or_default();
    Change::new("extra_line", action, (id, version), before, after)
}
