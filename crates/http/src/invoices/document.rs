//! The documents of issued invoices: made when they are first asked for, and kept byte by byte.

use crate::actor::Actor;
use crate::files::{FileContent, REPR_DIGEST, SANDBOX, digest, disposition, is_known};
use crate::gate::accepts;
use crate::listing::{Filters, Id};
use crate::problem::ApiError;
use crate::reply::Reply;
use crate::state::State;
use crate::typesetter::told;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, get, web};
use opiekun_domain::ids::{InvoiceId, InvoiceLayoutId};
use opiekun_domain::permission::Permission;
use opiekun_domain::text::hex;
use opiekun_files::StoreFault;
use opiekun_persistence::Scope;
use opiekun_persistence::files::Reader;
use opiekun_rendering::{Paper, file_name, paper, structured};
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
            let (name, content) = pdf(&state, scope, actor.reader(), id.0, query.0.layout_id).await?;
            let sha256 = Sha256::digest(&content).to_vec();
            (name, content, sha256)
        }
        Document::Fa3 => {
            let (number, kept) = state.transaction(scope, move |tx| Ok(structured(tx, id.0)?)).await?;
            (number, kept.content, kept.sha256)
        }
    };
    let tag = format!("\"{}\"", hex(&sha256));
    let reply = match req.headers().get(header::IF_NONE_MATCH) {
        Some(tags) if is_known(tags, &tag) => Reply { status: StatusCode::NOT_MODIFIED, ..Reply::empty() },
        _ => Reply { status: StatusCode::OK, body: content, ..Reply::empty() }
            .header(header::CONTENT_TYPE, document.media_type())
            .header(header::CONTENT_DISPOSITION, disposition(&file_name(&name, document.extension())))
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

/// The PDF of an invoice and what it is called: in a layout, or in that of its template, or in the organization's default.
async fn pdf(
    state: &State,
    scope: Scope,
    reader: Reader,
    id: InvoiceId,
    layout_id: Option<InvoiceLayoutId>,
) -> Result<(String, Vec<u8>), ApiError> {
    let mut paper: Paper = state.transaction(scope, move |tx| Ok(paper(tx, reader, id, layout_id)?)).await?;
    if let Some((object, size)) = paper.logo() {
        let content = state.files.read(object, 0..size).await.map_err(|fault| match fault {
            StoreFault::Missing => ApiError::internal(format!("object {} of a logo", object.object_id)),
            StoreFault::Failed(_) => ApiError::unavailable(fault),
        })?;
        paper.add_logo(content.to_vec());
    }
    let is_own = paper.job.layout.is_some();
    match state.typesetter.set(paper.job).await? {
        Ok(pdf) => Ok((paper.name, pdf)),
        Err(error) if is_own => Err(ApiError::state_invalid("layout", format!("The layout fails. {}", told(&error)))),
        Err(error) => Err(ApiError::internal(told(&error))),
    }
}
