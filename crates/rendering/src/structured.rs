//! The structured e-invoice FA(3) of what is issued: made when it is first asked for, and kept byte by byte.

use crate::DocumentError;
use chrono::NaiveDate;
use opiekun_documents::fa3::{self, Fa3Error};
use opiekun_domain::billing::InvoiceLine;
use opiekun_domain::e_invoice::{Account, BilledEntry, Corrected, DocumentFormat, EInvoice, EInvoiceLine};
use opiekun_domain::ids::InvoiceId;
use opiekun_domain::invoice::{InvoiceKind, InvoiceStatus};
use opiekun_persistence::invoice_documents::InvoiceDocument;
use opiekun_persistence::invoice_time_entries::InvoiceTimeEntry;
use opiekun_persistence::invoices::{Invoice, InvoiceFields, InvoiceLine as LineRow};
use opiekun_persistence::{Tx, invoice_documents, invoice_ksef_numbers, invoice_time_entries, invoices, organizations};

/// What the document of an invoice is called as a file: its number, without what has a meaning in the name of one.
pub fn file_name(number: &str, extension: &str) -> String {
    let name: String = number.chars().map(|it| if matches!(it, '/' | '\\' | ':') { '-' } else { it }).collect();
    format!("{name}.{extension}")
}

/// The number of an issued invoice, and its FA(3).
pub fn structured(tx: &mut Tx<'_>, id: InvoiceId) -> Result<(String, InvoiceDocument), DocumentError> {
    let invoice = invoices::find(tx, id)?;
    let number = match (invoice.fields.status, invoice.fields.kind, &invoice.fields.number) {
        (InvoiceStatus::Issued, InvoiceKind::Invoice | InvoiceKind::Correction, Some(number)) => number.clone(),
        (InvoiceStatus::Issued, kind, _) => {
            return Err(DocumentError::not_of_state(kind.as_str(), "Of a pro forma there is no such document"));
        }
        (status, ..) => return Err(DocumentError::not_of_state(status.as_str(), "Only what is issued has a document")),
    };
    Ok((number, kept(tx, &invoice)?))
}

/// The FA(3) of an invoice, if there is any of it.
pub(crate) fn structured_of(tx: &mut Tx<'_>, invoice: &Invoice) -> Result<Option<InvoiceDocument>, DocumentError> {
    if invoice.fields.status != InvoiceStatus::Issued || invoice.fields.kind == InvoiceKind::ProForma {
        return Ok(None);
    }
    match kept(tx, invoice) {
        Err(DocumentError::NotOfState { .. }) => Ok(None),
        other => other.map(Some),
    }
}

/// The FA(3) of an issued invoice, which is made and kept unless it has been.
fn kept(tx: &mut Tx<'_>, invoice: &Invoice) -> Result<InvoiceDocument, DocumentError> {
    if let Some(kept) = invoice_documents::find(tx, invoice.id, DocumentFormat::Fa3)? {
        return Ok(kept);
    }
    let content = made(tx, invoice)?;
    invoice_documents::keep(tx, invoice.id, DocumentFormat::Fa3, &content)?;
    // Somebody else's, if they were sooner.
    let kept = invoice_documents::find(tx, invoice.id, DocumentFormat::Fa3)?;
    kept.ok_or_else(|| DocumentError::internal("a document that was not kept"))
}

/// A line at its place, as the domain knows it.
type Placed = (i16, InvoiceLine);

fn placed(lines: Vec<LineRow>) -> Vec<Placed> {
    lines.into_iter().map(|line| (line.position, line.into())).collect()
}

fn borrowed(lines: &[Placed]) -> Vec<EInvoiceLine<'_>> {
    lines.iter().map(|(position, line)| EInvoiceLine { position: *position, line }).collect()
}

/// An entry of time as documents tell it.
pub(crate) fn billed(entry: &InvoiceTimeEntry) -> BilledEntry<'_> {
    BilledEntry {
        started_on: entry.started_on,
        operator_name: &entry.operator_name,
        text: entry.text.as_deref(),
        billed_minutes: entry.billed_minutes,
        rate: entry.resolved_rate,
        cost: entry.cost,
    }
}

/// The first day and the last of the period that an invoice is for.
fn period(fields: &InvoiceFields) -> Option<(NaiveDate, NaiveDate)> {
    fields.period_start_on.zip(fields.period_end_on.and_then(|end| end.pred_opt()))
}

/// The FA(3) of an invoice or correction.
fn made(tx: &mut Tx<'_>, invoice: &Invoice) -> Result<Vec<u8>, DocumentError> {
    let fields = &invoice.fields;
    let missing = |what: &'static str| move || DocumentError::internal(format!("an issued invoice without {what}"));
    let issued_on = fields.issued_on.ok_or_else(missing("its day"))?;
    if !fa3::has_come(issued_on, tx.now) {
        return Err(DocumentError::not_of_state("issued_ahead", "KSeF takes it on its day, and not before"));
    }
    let lines = placed(invoices::lines_of(tx, &[invoice.id])?.remove(&invoice.id).unwrap_or_default());
    let entries = invoice_time_entries::all(tx, invoice.id)?;
    let accounts = organizations::find(tx)?.fields.bank_accounts.0;
    let corrected = match invoice.correction.corrects_id {
        Some(id) => Some((invoices::find(tx, id)?, invoice_ksef_numbers::of(tx, &[id])?.remove(&id))),
        None => None,
    };
    let before = invoice.correction.before.as_ref().map(|before| placed(before.0.lines.clone()));
    let correction = match (&corrected, &before, &invoice.correction.before) {
        (Some((of, ksef_number)), Some(lines), Some(before)) => Some(Corrected {
            number: of.fields.number.as_deref().ok_or_else(missing("its number"))?,
            issued_on: of.fields.issued_on.ok_or_else(missing("its day"))?,
            ksef_number: ksef_number.as_deref(),
            reason: invoice.correction.correction_reason.as_deref().unwrap_or_default(),
            takes_effect: invoice.correction.correction_takes_effect,
            buyer: &before.0.buyer,
            lines: borrowed(lines),
        }),
        _ => None,
    };
    let position_of = |key: &str| {
        lines.iter().find(|(_, line)| line.key.as_deref() == Some(key)).map_or(1, |(position, _)| *position)
    };
    let time = entries.iter().map(|entry| (position_of(&entry.line_key), billed(entry)));
    let account = fields.bank_account.as_deref().map(|iban| {
        let known = accounts.iter().find(|account| account.iban == iban);
        Account {
            iban,
            swift: known.and_then(|account| account.swift.as_deref()),
            bank_name: known.and_then(|account| account.bank_name.as_deref()),
        }
    });
    let told = EInvoice {
        seller: &fields.seller.0,
        buyer: &fields.buyer.0,
        issued_on,
        sold_on: fields.sold_on.unwrap_or(issued_on),
        period: period(corrected.as_ref().map_or(fields, |(of, _)| &of.fields)),
        due_on: fields.due_on.ok_or_else(missing("a day of payment"))?,
        currency: fields.currency,
        exchange_rate: fields.exchange_rate,
        price_mode: fields.price_mode,
        payment_method: fields.payment_method,
        bank_account: account,
        notes: fields.notes.as_deref(),
        lines: borrowed(&lines),
        vat_sums: fields.vat_totals.0.clone(),
        gross: fields.gross,
        split_payment: fields.split_payment,
        correction,
        time: time.collect(),
    };
    let number = fields.number.as_deref().ok_or_else(missing("its number"))?;
    // An issued invoice never changes: when it did last, it was issued.
    fa3::document(&told, number, invoice.updated_at).map_err(|error| match error {
        Fa3Error::Inexpressible(problem) => {
            let detail = format!("{problem} ({})", problem.pointer());
            DocumentError::not_of_state(problem.code(), detail)
        }
        other => DocumentError::internal(other),
    })
}
