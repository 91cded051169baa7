//! The numbers that KSeF gave to issued invoices.

use crate::changes::{self, Change};
use crate::db::Tx;
use crate::error::Result;
use crate::invoices::Invoice;
use crate::schema::invoice_ksef_numbers;
use diesel::prelude::*;
use opiekun_domain::ids::InvoiceId;
use opiekun_domain::ksef_number::KsefNumber;
use serde_json::json;
use std::collections::BTreeMap;

/// The numbers of those invoices that have one.
pub fn of(tx: &mut Tx<'_>, ids: &[InvoiceId]) -> Result<BTreeMap<InvoiceId, String>> {
    let rows: Vec<(InvoiceId, String)> = invoice_ksef_numbers::table
        .filter(invoice_ksef_numbers::organization_id.eq(tx.organization_id()))
        .filter(invoice_ksef_numbers::invoice_id.eq_any(ids))
        .select((invoice_ksef_numbers::invoice_id, invoice_ksef_numbers::ksef_number))
        .load(tx.conn)?;
    Ok(rows.into_iter().collect())
}

/// Notes the number of an issued invoice that has none.
pub fn note(tx: &mut Tx<'_>, invoice: &Invoice, number: &KsefNumber) -> Result<()> {
    let row = (
        invoice_ksef_numbers::organization_id.eq(tx.organization_id()),
        invoice_ksef_numbers::invoice_id.eq(invoice.id),
        invoice_ksef_numbers::ksef_number.eq(number.as_str()),
        invoice_ksef_numbers::created_at.eq(tx.now),
    );
    diesel::insert_into(invoice_ksef_numbers::table).values(row).execute(tx.conn)?;
    let after = json!({ "ksef_number": number.as_str() });
    changes::record(tx, Change::new("invoice", "registered", (invoice.id, invoice.version), None, Some(&after)))
}
