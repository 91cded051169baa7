//! The documents of issued invoices, byte by byte as they were first handed out.

use crate::db::Tx;
use crate::error::Result;
use crate::schema::invoice_documents;
use diesel::prelude::*;
use opiekun_domain::e_invoice::DocumentFormat;
use opiekun_domain::ids::InvoiceId;

/// A document that was handed out.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = invoice_documents, check_for_backend(diesel::pg::Pg))]
pub struct InvoiceDocument {
    pub content: Vec<u8>,
    /// Of the content.
    pub sha256: Vec<u8>,
}

/// The document of an invoice, if it has been made.
pub fn find(tx: &mut Tx<'_>, id: InvoiceId, format: DocumentFormat) -> Result<Option<InvoiceDocument>> {
    Ok(invoice_documents::table
        .find((tx.organization_id(), id, format))
        .select(InvoiceDocument::as_select())
        .first(tx.conn)
        .optional()?)
}

/// Keeps the document of an issued invoice unless there is one, whoever makes it at the same time.
pub fn keep(tx: &mut Tx<'_>, id: InvoiceId, format: DocumentFormat, content: &[u8]) -> Result<()> {
    let row = (
        invoice_documents::organization_id.eq(tx.organization_id()),
        invoice_documents::invoice_id.eq(id),
        invoice_documents::format.eq(format),
        invoice_documents::content.eq(content),
        invoice_documents::created_at.eq(tx.now),
    );
    diesel::insert_into(invoice_documents::table).values(row).on_conflict_do_nothing().execute(tx.conn)?;
    Ok(())
}
