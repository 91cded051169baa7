//! Layouts: how the invoices of an organization look as PDF.

use crate::changes::{self, Change};
use crate::db::Tx;
use crate::error::{OrNotFound, Result, StoreError};
use crate::page::{Cursor, Page, PageRequest, keyset};
use crate::schema::{invoice_layouts, invoice_templates};
use chrono::{DateTime, Utc};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Integer;
use opiekun_domain::ids::{InvoiceLayoutId, InvoiceTemplateId, OrganizationId};
use opiekun_domain::invoice_layout::LayoutLabels;
use serde::Serialize;

#[derive(Debug, Clone, Queryable, Selectable, Serialize)]
#[diesel(table_name = invoice_layouts, check_for_backend(diesel::pg::Pg))]
pub struct InvoiceLayout {
    pub id: InvoiceLayoutId,
    #[diesel(embed)]
    #[serde(flatten)]
    pub fields: InvoiceLayoutFields,
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// What a caller may write.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset, Serialize)]
#[diesel(table_name = invoice_layouts, check_for_backend(diesel::pg::Pg), treat_none_as_null = true)]
pub struct InvoiceLayoutFields {
    pub name: String,
    /// The organization's own layout, in Typst; `None` is the one that is built in.
    pub source: Option<String>,
    /// As `#0f5c4d`.
    pub color: String,
    pub footer: Option<String>,
    pub labels: LayoutLabels,
    /// Whether invoices without a layout of their own look so; one is at most.
    pub is_default: bool,
}

#[derive(Insertable)]
#[diesel(table_name = invoice_layouts)]
struct NewInvoiceLayout {
    organization_id: OrganizationId,
    id: InvoiceLayoutId,
    #[diesel(embed)]
    fields: InvoiceLayoutFields,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Default)]
pub struct InvoiceLayoutFilter {
    pub name: Option<String>,
}

pub fn create(tx: &mut Tx<'_>, fields: InvoiceLayoutFields) -> Result<InvoiceLayout> {
    let row = NewInvoiceLayout {
        organization_id: tx.organization_id(),
        id: InvoiceLayoutId::at(tx.now),
        fields,
        created_at: tx.now,
        updated_at: tx.now,
    };
    let layout: InvoiceLayout = diesel::insert_into(invoice_layouts::table)
        .values(row)
        .returning(InvoiceLayout::as_returning())
        .get_result(tx.conn)?;
    record(tx, "created", None, Some(&layout))?;
    Ok(layout)
}

pub fn find(tx: &mut Tx<'_>, id: InvoiceLayoutId) -> Result<InvoiceLayout> {
    invoice_layouts::table
        .find((tx.organization_id(), id))
        .select(InvoiceLayout::as_select())
        .first(tx.conn)
        .optional()
        .or_not_found("invoice_layout")
}

/// Those of `ids` that exist, in no order.
pub fn find_all(tx: &mut Tx<'_>, ids: &[InvoiceLayoutId]) -> Result<Vec<InvoiceLayout>> {
    Ok(invoice_layouts::table
        .filter(invoice_layouts::organization_id.eq(tx.organization_id()))
        .filter(invoice_layouts::id.eq_any(ids))
        .select(InvoiceLayout::as_select())
        .load(tx.conn)?)
}

/// The layout of the invoices of a template, or of those that have none: that of the template, or the organization's
/// default; `None` where neither has chosen any.
pub fn of_template(tx: &mut Tx<'_>, template_id: Option<InvoiceTemplateId>) -> Result<Option<InvoiceLayout>> {
    let organization_id = tx.organization_id();
    let of_organization = || invoice_layouts::table.filter(invoice_layouts::organization_id.eq(organization_id));
    if let Some(template_id) = template_id {
        let chosen = invoice_templates::table
            .find((organization_id, template_id))
            .select(invoice_templates::layout_id.assume_not_null());
        let layout = of_organization()
            .filter(invoice_layouts::id.eq_any(chosen))
            .select(InvoiceLayout::as_select())
            .first(tx.conn)
            .optional()?;
        if layout.is_some() {
            return Ok(layout);
        }
    }
    let default = of_organization().filter(invoice_layouts::is_default).select(InvoiceLayout::as_select());
    Ok(default.first(tx.conn).optional()?)
}

/// Locks the row; [`StoreError::Stale`] when somebody has changed it since `seen`.
pub fn lock(tx: &mut Tx<'_>, id: InvoiceLayoutId, seen: Option<i32>) -> Result<InvoiceLayout> {
    let layout = invoice_layouts::table
        .find((tx.organization_id(), id))
        .select(InvoiceLayout::as_select())
        .for_update()
        .first(tx.conn)
        .optional()
        .or_not_found("invoice_layout")?;
    StoreError::unless_current(layout.version, seen)?;
    Ok(layout)
}

/// Writes to a row that [`lock`] has returned, and counts its version up.
pub fn update(tx: &mut Tx<'_>, layout: &InvoiceLayout, fields: InvoiceLayoutFields) -> Result<InvoiceLayout> {
    let after = diesel::update(invoice_layouts::table.find((tx.organization_id(), layout.id)))
        .set((
            fields,
            invoice_layouts::version.eq(invoice_layouts::version + 1),
            invoice_layouts::updated_at.eq(tx.now),
        ))
        .returning(InvoiceLayout::as_returning())
        .get_result(tx.conn)?;
    record(tx, "updated", Some(layout), Some(&after))?;
    Ok(after)
}

/// Removes a locked row, which the audit log keeps as it was; [`StoreError::InUse`] while a template has it.
pub fn delete(tx: &mut Tx<'_>, layout: &InvoiceLayout) -> Result<()> {
    diesel::delete(invoice_layouts::table.find((tx.organization_id(), layout.id)))
        .execute(tx.conn)
        .map_err(StoreError::of_deletion)?;
    record(tx, "deleted", Some(layout), None)
}

pub fn list(tx: &mut Tx<'_>, filter: &InvoiceLayoutFilter, page: &PageRequest<()>) -> Result<Page<InvoiceLayout>> {
    let organization_id = tx.organization_id();
    let filtered = || {
        let mut query =
            invoice_layouts::table.filter(invoice_layouts::organization_id.eq(organization_id)).into_boxed();
        if let Some(name) = &filter.name {
            query = query.filter(invoice_layouts::name.eq(name));
        }
        query
    };
    let total = page.total(|cap| filtered().select(sql::<Integer>("1")).limit(cap).load(tx.conn))?;
    let rows = keyset!(filtered(), page, invoice_layouts::id).select(InvoiceLayout::as_select()).load(tx.conn)?;
    Ok(Page::cut(rows, page, total, |layout| Cursor::new((), layout.id)))
}

fn record(
    tx: &mut Tx<'_>,
    action: &'static str,
    before: Option<&InvoiceLayout>,
    after: Option<&InvoiceLayout>,
) -> Result<()> {
    let Some(layout) = after.or(before) else { return Ok(()) };
    changes::record(tx, Change::new("invoice_layout", action, (layout.id, layout.version), before, after))
}
