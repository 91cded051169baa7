//! The documents of issued invoices: made when they are first asked for, and kept byte by byte.

use super::paper;
use crate::actor::Actor;
use crate::files::{FileContent, REPR_DIGEST, SANDBOX, digest, disposition, is_known};
use crate::gate::accepts;
use crate::listing::{Filters, Id};
use crate::problem::{ApiError, Code};
use crate::reply::Reply;
use crate::state::State;
use crate::values::capitalised;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, get, web};
use chrono::NaiveDate;
use opiekun_documents::fa3::{self, Fa3Error};
use opiekun_domain::billing::InvoiceLine;
use opiekun_domain::e_invoice::{Account, BilledEntry, Corrected, DocumentFormat, EInvoice, EInvoiceLine};
use opiekun_domain::ids::{InvoiceId, InvoiceLayoutId};
use opiekun_domain::invoice::{InvoiceKind, InvoiceStatus};
use opiekun_domain::permission::Permission;
use opiekun_domain::text::hex;
use opiekun_persistence::invoice_documents::InvoiceDocument;
use opiekun_persistence::invoice_time_entries::InvoiceTimeEntry;
use opiekun_persistence::invoices::{Invoice, InvoiceFields, InvoiceLine as LineRow};
use opiekun_persistence::{Tx, invoice_documents, invoice_ksef_numbers, invoice_time_entries, invoices, organizations};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use utoipa::IntoParams;

/// In which form a document is asked for.
#[derive(Debug, Clone, Copy)]
enum Document {
    /// The invoice as it is printed.
    Pdf,
    /// The structured e-invoice FA(3).
    Fa3,
}

impl Document {
    /// The one that `Accept` asks for; of both, the one for people.
    fn of(req: &HttpRequest) -> Self {
        let accept = req.headers().get_all(header::ACCEPT).filter_map(|value| value.to_str().ok());
        let accept = accept.collect::<Vec<_>>().join(",");
        if accept.is_empty() || accepts(&accept, "application/pdf") { Self::Pdf } else { Self::Fa3 }
    }

    const fn media_type(self) -> HeaderValue {
        match self {
            Self::Pdf => HeaderValue::from_static("application/pdf"),
            Self::Fa3 => HeaderValue::from_static("application/xml; charset=utf-8"),
        }
    }

    const fn extension(self) -> &'static str {
        match self {
            Self::Pdf => "pdf",
            Self::Fa3 => "xml",
        }
    }
}

/// How the document is to look.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DocumentQuery {
    /// Of a PDF: in this layout, rather than in that of its template or the organization's default.
    layout_id: Option<InvoiceLayoutId>,
}

/// Download the document of an invoice.
///
/// As `application/pdf`, unless `Accept` asks for the other: the invoice as it is printed (PDF/A-3), in the layout of its
/// template or the organization's default (`/invoice-layouts`), with QR codes to pay by and to see it in KSeF, and with the
/// structured e-invoice in it, where there is one. The same invoice in the same layout has the same bytes. A draft says that
/// it is one. 409 `state_invalid` with state `layout` where a layout of your own fails on it.
///
/// As `application/xml`: the structured e-invoice FA(3), version 1-0E, of an issued invoice or correction, which passes its
/// official schema. It is made when it is first asked for, and kept: the same bytes come ever after, whatever has changed
/// since; `ETag` and `Repr-Digest` tell their SHA-256. The time that a line bills is listed among its further descriptions
/// (`DodatkowyOpis`), or summed where the list would be larger than KSeF takes. A correction names the number that KSeF
/// gave to its invoice, where it is noted (`PUT /invoices/{id}/ksef-number`). 409 names why there is none: it is a `draft`,
/// `void` or `pro_forma`, its day has not come in Poland yet (`issued_ahead`), or it was issued before what FA(3) cannot
/// tell was refused at the issue.
#[utoipa::path(tag = "Invoices", security(("sign_in" = ["billing:read"])),
    params(DocumentQuery, ("If-None-Match" = Option<String>, Header, description = "The `ETag` that you have: 304 if it is still the document's.",
        min_length = 1, max_length = 400)),
    responses((status = 200, description = "The document.",
        content((FileContent = "application/pdf"), (FileContent = "application/xml")),
        headers(("ETag" = String, description = "The SHA-256 of the document, in hexadecimal digits.")))))]
#[get("/invoices/{id}/document")]
pub async fn get_invoice_document(
    state: web::Data<State>,
    actor: Actor,
    id: Id<InvoiceId>,
    query: Filters<DocumentQuery>,
    req: HttpRequest,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::BillingRead)?;
    let document = Document::of(&req);
    let (name, content, sha256) = match document {
        Document::Pdf => {
            let (name, content) = paper::pdf(&state, scope, actor.reader(), id.0, query.0.layout_id).await?;
            let sha256 = Sha256::digest(&content).to_vec();
            (name, content, sha256)
        }
        Document::Fa3 => {
            let (number, kept) = state.transaction(scope, move |tx| structured_at(tx, id.0)).await?;
            (number, kept.content, kept.sha256)
        }
    };
    let tag = format!("\"{}\"", hex(&sha256));
    let reply = match req.headers().get(header::IF_NONE_MATCH) {
        Some(tags) if is_known(tags, &tag) => Reply { status: StatusCode::NOT_MODIFIED, ..Reply::empty() },
        _ => Reply { status: StatusCode::OK, body: content, ..Reply::empty() }
            .header(header::CONTENT_TYPE, document.media_type())
            .header(header::CONTENT_DISPOSITION, disposition(&file_name(&name, document)))
            .header(header::CONTENT_SECURITY_POLICY, SANDBOX)
            .header(REPR_DIGEST, digest(&sha256)),
    };
    let reply = match document {
        // It is compressed within.
        Document::Pdf => reply.header(header::CONTENT_ENCODING, HeaderValue::from_static("identity")),
        Document::Fa3 => reply,
    };
    Ok(reply.header(header::ETAG, HeaderValue::from_str(&tag).map_err(ApiError::internal)?))
}

/// The number of an invoice, without what has a meaning in the name of a file.
fn file_name(number: &str, document: Document) -> String {
    let name: String = number.chars().map(|it| if matches!(it, '/' | '\\' | ':') { '-' } else { it }).collect();
    format!("{name}.{}", document.extension())
}

/// The number of an issued invoice, and its FA(3).
fn structured_at(tx: &mut Tx<'_>, id: InvoiceId) -> Result<(String, InvoiceDocument), ApiError> {
    let invoice = invoices::find(tx, id)?;
    let number = match (invoice.fields.status, invoice.fields.kind, &invoice.fields.number) {
        (InvoiceStatus::Issued, InvoiceKind::Invoice | InvoiceKind::Correction, Some(number)) => number.clone(),
        (InvoiceStatus::Issued, kind, _) => {
            return Err(ApiError::state_invalid(kind.as_str(), "Of a pro forma there is no such document"));
        }
        (status, ..) => return Err(ApiError::state_invalid(status.as_str(), "Only what is issued has a document")),
    };
    Ok((number, kept(tx, &invoice)?))
}

/// The FA(3) of an invoice, if there is any of it.
pub(super) fn structured_of(tx: &mut Tx<'_>, invoice: &Invoice) -> Result<Option<InvoiceDocument>, ApiError> {
    if invoice.fields.status != InvoiceStatus::Issued || invoice.fields.kind == InvoiceKind::ProForma {
        return Ok(None);
    }
    match kept(tx, invoice) {
        Err(ApiError { code: Code::StateInvalid, .. }) => Ok(None),
        other => other.map(Some),
    }
}

/// The FA(3) of an issued invoice, which is made and kept unless it has been.
fn kept(tx: &mut Tx<'_>, invoice: &Invoice) -> Result<InvoiceDocument, ApiError> {
    if let Some(kept) = invoice_documents::find(tx, invoice.id, DocumentFormat::Fa3)? {
        return Ok(kept);
    }
    let content = structured(tx, invoice)?;
    invoice_documents::keep(tx, invoice.id, DocumentFormat::Fa3, &content)?;
    // Somebody else's, if they were sooner.
    let kept = invoice_documents::find(tx, invoice.id, DocumentFormat::Fa3)?;
    kept.ok_or_else(|| ApiError::internal("a document that was not kept"))
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
pub(super) fn billed(entry: &InvoiceTimeEntry) -> BilledEntry<'_> {
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
fn structured(tx: &mut Tx<'_>, invoice: &Invoice) -> Result<Vec<u8>, ApiError> {
    let fields = &invoice.fields;
    let missing = |what: &'static str| move || ApiError::internal(format!("an issued invoice without {what}"));
    let issued_on = fields.issued_on.ok_or_else(missing("its day"))?;
    if !fa3::has_come(issued_on, tx.now) {
        return Err(ApiError::state_invalid("issued_ahead", "KSeF takes it on its day, and not before"));
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
            let detail = format!("{} ({})", capitalised(&problem.to_string()), problem.pointer());
            ApiError::state_invalid(problem.code(), detail)
        }
        other => ApiError::internal(other),
    })
}
