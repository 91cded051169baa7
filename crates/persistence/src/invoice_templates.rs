//! Invoice templates: what is billed, on which terms, in which words.

use crate::changes::{self, Change};
use crate::db::Tx;
use crate::error::{OrNotFound, Result, StoreError};
use crate::json::Json;
use crate::page::{Cursor, Page, PageRequest, keyset};
use crate::schema::invoice_templates;
use chrono::{DateTime, Utc};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Integer;
use opiekun_domain::billing::TemplateLine;
use opiekun_domain::currency::Currency;
use opiekun_domain::ids::{InvoiceLayoutId, InvoiceTemplateId, NumberSeriesId, OrganizationId};
use opiekun_domain::invoice::{PaymentMethod, PriceMode};
use opiekun_domain::language::Language;
use serde::Serialize;

#[derive(Debug, Clone, Queryable, Selectable, Serialize)]
#[diesel(table_name = invoice_templates, check_for_backend(diesel::pg::Pg))]
pub struct InvoiceTemplate {
    pub id: InvoiceTemplateId,
    #[diesel(embed)]
    #[serde(flatten)]
    pub fields: InvoiceTemplateFields,
    pub archived_at: Option<DateTime<Utc>>,
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// What a caller may write.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset, Serialize)]
#[diesel(table_name = invoice_templates, check_for_backend(diesel::pg::Pg), treat_none_as_null = true)]
pub struct InvoiceTemplateFields {
    pub name: String,
    pub series_id: NumberSeriesId,
    pub currency: Currency,
    pub price_mode: PriceMode,
    pub lines: Json<Vec<TemplateLine>>,
    pub payment_days: i16,
    pub payment_method: PaymentMethod,
    pub bank_account: Option<String>,
    pub notes: Option<String>,
    pub language: Language,
    /// Of its invoices as PDF; without one they look as the organization has them by default.
    pub layout_id: Option<InvoiceLayoutId>,
}

#[derive(Insertable)]
#[diesel(table_name = invoice_templates)]
struct NewInvoiceTemplate {
    organization_id: OrganizationId,
    id: InvoiceTemplateId,
    #[diesel(embed)]
    fields: InvoiceTemplateFields,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum InvoiceTemplateSort {
    /// The order of the ids, which count up with time.
    #[default]
    CreatedAt,
    Name,
}

#[derive(Debug, Clone, Default)]
pub struct InvoiceTemplateFilter {
    pub name: Option<String>,
    pub series_id: Option<NumberSeriesId>,
    pub currency: Option<Currency>,
    pub include_archived: bool,
}

pub fn create(tx: &mut Tx<'_>, fields: InvoiceTemplateFields) -> Result<InvoiceTemplate> {
    let row = NewInvoiceTemplate {
        organization_id: tx.organization_id(),
        id: InvoiceTemplateId::at(tx.now),
        fields,
        created_at: tx.now,
        updated_at: tx.now,
    };
    let template: InvoiceTemplate = diesel::insert_into(invoice_templates::table)
        .values(row)
        .returning(InvoiceTemplate::as_returning())
        .get_result(tx.conn)?;
    record(tx, "created", None, &template)?;
    Ok(template)
}

pub fn find(tx: &mut Tx<'_>, id: InvoiceTemplateId) -> Result<InvoiceTemplate> {
    invoice_templates::table
        .find((tx.organization_id(), id))
        .select(InvoiceTemplate::as_select())
        .first(tx.conn)
        .optional()
        .or_not_found("invoice_template")
}

/// As it stays until the end of the transaction, for a subscription that is written to fit it.
pub fn find_kept(tx: &mut Tx<'_>, id: InvoiceTemplateId) -> Result<InvoiceTemplate> {
    invoice_templates::table
        .find((tx.organization_id(), id))
        .select(InvoiceTemplate::as_select())
        .for_share()
        .first(tx.conn)
        .optional()
        .or_not_found("invoice_template")
}

/// Those of `ids` that exist, in no order.
pub fn find_all(tx: &mut Tx<'_>, ids: &[InvoiceTemplateId]) -> Result<Vec<InvoiceTemplate>> {
    Ok(invoice_templates::table
        .filter(invoice_templates::organization_id.eq(tx.organization_id()))
        .filter(invoice_templates::id.eq_any(ids))
        .select(InvoiceTemplate::as_select())
        .load(tx.conn)?)
}

/// Locks the row; [`StoreError::Stale`] when somebody has changed it since `seen`.
pub fn lock(tx: &mut Tx<'_>, id: InvoiceTemplateId, seen: Option<i32>) -> Result<InvoiceTemplate> {
    let template = invoice_templates::table
        .find((tx.organization_id(), id))
        .select(InvoiceTemplate::as_select())
        .for_no_key_update()
        .first(tx.conn)
        .optional()
        .or_not_found("invoice_template")?;
    StoreError::unless_current(template.version, seen)?;
    Ok(template)
}

/// Writes to a row that [`lock`] has returned, and counts its version up.
pub fn update(tx: &mut Tx<'_>, template: &InvoiceTemplate, fields: InvoiceTemplateFields) -> Result<InvoiceTemplate> {
    let after = diesel::update(invoice_templates::table.find((tx.organization_id(), template.id)))
        .set((
            fields,
            invoice_templates::version.eq(invoice_templates::version + 1),
            invoice_templates::updated_at.eq(tx.now),
        ))
        .returning(InvoiceTemplate::as_returning())
        .get_result(tx.conn)?;
    record(tx, "updated", Some(template), &after)?;
    Ok(after)
}

/// Archives a locked row, or takes it back into use with `None`.
pub fn set_archived(
    tx: &mut Tx<'_>,
    template: &InvoiceTemplate,
    archived_at: Option<DateTime<Utc>>,
) -> Result<InvoiceTemplate> {
    let after = diesel::update(invoice_templates::table.find((tx.organization_id(), template.id)))
        .set((
            invoice_templates::archived_at.eq(archived_at),
            invoice_templates::version.eq(invoice_templates::version + 1),
            invoice_templates::updated_at.eq(tx.now),
        ))
        .returning(InvoiceTemplate::as_returning())
        .get_result(tx.conn)?;
    let action = if archived_at.is_some() { "archived" } else { "restored" };
    record(tx, action, Some(template), &after)?;
    Ok(after)
}

pub fn list(
    tx: &mut Tx<'_>,
    filter: &InvoiceTemplateFilter,
    page: &PageRequest<InvoiceTemplateSort>,
) -> Result<Page<InvoiceTemplate>> {
    let organization_id = tx.organization_id();
    let filtered = || {
        let mut query =
            invoice_templates::table.filter(invoice_templates::organization_id.eq(organization_id)).into_boxed();
        if let Some(name) = &filter.name {
            query = query.filter(invoice_templates::name.eq(name));
        }
        if let Some(series_id) = filter.series_id {
            query = query.filter(invoice_templates::series_id.eq(series_id));
        }
        if let Some(currency) = filter.currency {
            query = query.filter(invoice_templates::currency.eq(currency));
        }
        if !filter.include_archived {
            query = query.filter(invoice_templates::archived_at.is_null());
        }
        query
    };
    let total = page.total(|cap| filtered().select(sql::<Integer>("1")).limit(cap).load(tx.conn))?;
    let query = match page.sort {
        InvoiceTemplateSort::CreatedAt => keyset!(filtered(), page, invoice_templates::id),
        InvoiceTemplateSort::Name => {
            keyset!(filtered(), page, invoice_templates::name => String, invoice_templates::id)
        }
    };
    let rows = query.select(InvoiceTemplate::as_select()).load(tx.conn)?;
    Ok(Page::cut(rows, page, total, |template| match page.sort {
        InvoiceTemplateSort::CreatedAt => Cursor::new((), template.id),
        InvoiceTemplateSort::Name => Cursor::new(&template.fields.name, template.id),
    }))
}

fn record(
    tx: &mut Tx<'_>,
    action: &'static str,
    before: Option<&InvoiceTemplate>,
    after: &InvoiceTemplate,
) -> Result<()> {
    changes::record(tx, Change::new("invoice_template", action, (after.id, after.version), before, Some(after)))
}
