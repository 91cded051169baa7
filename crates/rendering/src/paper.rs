//! Invoices on paper: what one says, how it is to look, and the PDF that is set of both.

use crate::DocumentError;
use crate::structured::{billed, structured_of};
use opiekun_documents::invoice_page::{self, Attached, Look};
use opiekun_documents::qr::{self, KSEF_HOST, QrCode, Transfer};
use opiekun_domain::billing::InvoiceLine;
use opiekun_domain::ids::{InvoiceId, InvoiceLayoutId};
use opiekun_domain::invoice::{InvoiceStatus, PaymentMethod};
use opiekun_domain::invoice_layout::{COLOR_DEFAULT, LayoutLabels};
use opiekun_domain::tax_identity::TaxScheme;
use opiekun_files::ObjectName;
use opiekun_persistence::files::{File, Reader};
use opiekun_persistence::invoices::{Invoice, InvoiceLine as LineRow};
use opiekun_persistence::{
    Tx, files, invoice_ksef_numbers, invoice_layouts, invoice_time_entries, invoices, organizations,
};
use opiekun_typesetting::{FileName, Job};

/// What stands below the code of an invoice that KSeF has given no number yet.
const WITHOUT_NUMBER: &str = "OFFLINE";

/// A document that is ready to be set, but for its logo.
#[derive(Debug)]
pub struct Paper {
    /// What it is called.
    pub name: String,
    pub job: Job,
    logo: Option<Logo>,
}

#[derive(Debug)]
struct Logo {
    path: FileName,
    object: ObjectName,
    size_bytes: u64,
}

impl Paper {
    /// The object of the file store that is its logo, and how many bytes that has; to be read and added.
    pub fn logo(&self) -> Option<(ObjectName, u64)> {
        self.logo.as_ref().map(|logo| (logo.object, logo.size_bytes))
    }

    pub fn add_logo(&mut self, content: Vec<u8>) {
        if let Some(logo) = self.logo.take() {
            self.job.files.push((logo.path, content));
        }
    }
}

/// Reads all that a document says: in a layout, or in that of its template, or in the organization's default.
pub fn paper(
    tx: &mut Tx<'_>,
    reader: Reader,
    id: InvoiceId,
    layout_id: Option<InvoiceLayoutId>,
) -> Result<Paper, DocumentError> {
    let invoice = invoices::find(tx, id)?;
    let fields = &invoice.fields;
    if fields.status == InvoiceStatus::Void {
        return Err(DocumentError::not_of_state(fields.status.as_str(), "It was thrown away"));
    }
    let layout = match layout_id {
        Some(id) => Some(invoice_layouts::find(tx, id)?.fields),
        None => invoice_layouts::of_template(tx, fields.template_id)?.map(|layout| layout.fields),
    };
    let organization = organizations::find(tx)?.fields;
    let logo = match organization.logo_file_id {
        // Everybody in the organization may see it.
        Some(id) => files::find_all(tx, reader, &[id])?.pop().and_then(logo_of),
        None => None,
    };
    let lines = composed(invoices::lines_of(tx, &[id])?.remove(&id).unwrap_or_default());
    let before = invoice.correction.before.as_ref().map(|before| (&before.0.buyer, composed(before.0.lines.clone())));
    let corrected = invoice.correction.corrects_id.map(|id| invoices::find(tx, id)).transpose()?;
    let entries = invoice_time_entries::all(tx, id)?;
    let e_invoice = structured_of(tx, &invoice)?;
    let verification = match &e_invoice {
        Some(document) => verification(tx, &invoice, &document.sha256)?,
        None => None,
    };

    let time: Vec<_> = entries.iter().map(billed).collect();
    let correction = match (&corrected, &before) {
        (Some(of), Some((buyer, lines))) => Some(invoice_page::Correction {
            number: of.fields.number.as_deref().unwrap_or_default(),
            issued_on: of.fields.issued_on,
            reason: invoice.correction.correction_reason.as_deref().unwrap_or_default(),
            buyer,
            lines,
        }),
        _ => None,
    };
    let account =
        organization.bank_accounts.0.iter().find(|account| Some(&account.iban) == fields.bank_account.as_ref());
    let period = corrected.as_ref().map_or(fields, |of| &of.fields);
    let table = fields.table_rate();
    let page = invoice_page::Invoice {
        kind: fields.kind,
        is_draft: fields.status == InvoiceStatus::Draft,
        number: fields.number.as_deref(),
        language: fields.language,
        issued_on: fields.issued_on,
        dated_on: fields.issued_on.unwrap_or(invoice.updated_at.date_naive()),
        sold_on: fields.sold_on,
        period: period.period_start_on.zip(period.period_end_on.and_then(|end| end.pred_opt())),
        due_on: fields.due_on,
        seller: &fields.seller.0,
        buyer: &fields.buyer.0,
        currency: fields.currency,
        price_mode: fields.price_mode,
        lines: &lines,
        vat_totals: &fields.vat_totals.0,
        net: fields.net,
        vat: fields.vat,
        gross: fields.gross,
        vat_pln: fields.vat_pln,
        exchange_rate: table.as_ref(),
        split_payment: fields.split_payment,
        payment_method: fields.payment_method,
        bank_account: fields.bank_account.as_deref(),
        bank_name: account.and_then(|account| account.bank_name.as_deref()),
        notes: fields.notes.as_deref(),
        correction,
        time: &time,
    };
    let look = Look {
        color: layout.as_ref().map_or(COLOR_DEFAULT, |layout| &layout.color),
        footer: layout.as_ref().and_then(|layout| layout.footer.as_deref()),
        logo: logo.as_ref().map(|(path, _)| path.path()),
        is_bilingual: layout.as_ref().is_some_and(|layout| layout.labels == LayoutLabels::BothLanguages),
    };
    let payment = payment_code(&invoice);
    let attached = Attached {
        payment_code: payment.as_ref().map(|_| FileName::PaymentCode.path()),
        verification: verification.as_ref().map(|(_, label)| (FileName::VerificationCode.path(), label.as_str())),
        e_invoice: e_invoice.as_ref().map(|_| FileName::EInvoice.path()),
    };
    let data = page.data(look, attached).map_err(DocumentError::internal)?;

    let codes = [(FileName::PaymentCode, payment), (FileName::VerificationCode, verification.map(|(code, _)| code))];
    let mut files = Vec::new();
    for (path, code) in codes {
        if let Some(code) = code {
            let svg = code.svg().ok_or_else(|| DocumentError::internal("a text that no QR code holds"))?;
            files.push((path, svg.into_bytes()));
        }
    }
    files.extend(e_invoice.map(|document| (FileName::EInvoice, document.content)));
    let name = fields.number.clone().unwrap_or_else(|| format!("{}-{id}", fields.status.as_str()));
    let job = Job { layout: layout.and_then(|layout| layout.source), ident: id.to_string(), data, files };
    let logo = match logo {
        Some((path, file)) => Some(Logo {
            path,
            object: ObjectName { organization_id: tx.scope.organization_id.0, object_id: file.object_id.0 },
            size_bytes: u64::try_from(file.size_bytes).map_err(DocumentError::internal)?,
        }),
        None => None,
    };
    Ok(Paper { name, job, logo })
}

fn composed(lines: Vec<LineRow>) -> Vec<InvoiceLine> {
    lines.into_iter().map(InvoiceLine::from).collect()
}

fn logo_of(file: File) -> Option<(FileName, File)> {
    FileName::of_logo(&file.media_type).map(|path| (path, file))
}

/// The code that fills in the transfer; none where there is no number yet to pay under, and where the buyer has to pay by
/// split payment, which no code tells.
fn payment_code(invoice: &Invoice) -> Option<QrCode> {
    let fields = &invoice.fields;
    let seller = &fields.seller.0;
    if fields.split_payment || fields.payment_method != PaymentMethod::Transfer {
        return None;
    }
    qr::payment(&Transfer {
        name: &seller.name,
        nip: seller.tax_number.as_deref().filter(|_| seller.tax_scheme == TaxScheme::Nip),
        iban: fields.bank_account.as_deref()?,
        amount: fields.gross,
        currency: fields.currency,
        title: fields.number.as_deref()?,
    })
}

/// The code by which KSeF shows an invoice, and what stands below it.
fn verification(tx: &mut Tx<'_>, invoice: &Invoice, sha256: &[u8]) -> Result<Option<(QrCode, String)>, DocumentError> {
    let number = invoice_ksef_numbers::of(tx, &[invoice.id])?.remove(&invoice.id);
    let (nip, issued_on) = (invoice.fields.seller.0.tax_number.as_deref(), invoice.fields.issued_on);
    let label = number.unwrap_or_else(|| WITHOUT_NUMBER.to_owned());
    Ok(nip.zip(issued_on).map(|(nip, issued_on)| (qr::verification(KSEF_HOST, nip, issued_on, sha256), label)))
}
