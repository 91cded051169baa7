//! The number that KSeF gave to an invoice.

use super::body::InvoiceBody;
use super::one;
use crate::actor::Actor;
use crate::body::Valid;
use crate::listing::Id;
use crate::problem::ApiError;
use crate::reply::Reply;
use crate::state::State;
use crate::values::capitalised;
use actix_web::{put, web};
use opiekun_domain::ids::InvoiceId;
use opiekun_domain::invoice::{InvoiceKind, InvoiceStatus};
use opiekun_domain::ksef_number::KsefNumber;
use opiekun_domain::permission::Permission;
use opiekun_persistence::{invoice_ksef_numbers, invoices};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use validator::Validate;

/// The number that KSeF gave.
#[derive(Debug, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct KsefNumberInput {
    /// As KSeF tells it: the seller's NIP, a date, 12 hexadecimal digits and two that check them.
    #[schema(min_length = 35, max_length = 36, example = "5261040828-20261123-0100001AF629-BF")]
    pub ksef_number: String,
}

/// Note the number that KSeF gave.
///
/// For those who send the document to KSeF themselves: to be noted before a correction's document is asked for, which names
/// the number of the invoice that it corrects, and says of one without that it was issued outside of KSeF. It is noted
/// once; the same number may be noted again, another is refused: 409.
#[utoipa::path(tag = "Invoices", security(("sign_in" = ["billing:write"])), request_body = KsefNumberInput,
    responses((status = 200, body = InvoiceBody)))]
#[put("/invoices/{id}/ksef-number")]
pub async fn put_invoice_ksef_number(
    state: web::Data<State>,
    actor: Actor,
    id: Id<InvoiceId>,
    input: Valid<KsefNumberInput>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::BillingWrite)?;
    let wrong = |detail: String| ApiError::invalid_field("/ksef_number", "ksef_number", detail);
    state
        .transaction(scope, move |tx| {
            // Locked, so that of two who note it at once the second finds the first one's.
            let invoice = invoices::lock(tx, id.0, None)?;
            match (invoice.fields.status, invoice.fields.kind) {
                (InvoiceStatus::Issued, InvoiceKind::Invoice | InvoiceKind::Correction) => {}
                (InvoiceStatus::Issued, kind) => {
                    return Err(ApiError::state_invalid(kind.as_str(), "A pro forma is not sent to KSeF"));
                }
                (status, _) => return Err(ApiError::state_invalid(status.as_str(), "Only what is issued is in KSeF")),
            }
            let number =
                KsefNumber::new(&input.0.ksef_number).map_err(|problem| wrong(capitalised(&problem.to_string())))?;
            if invoice.fields.seller.0.tax_number.as_deref() != Some(number.seller_nip()) {
                return Err(wrong("It is the number of another seller's invoice".to_owned()));
            }
            match invoice_ksef_numbers::of(tx, &[invoice.id])?.remove(&invoice.id) {
                Some(noted) if noted == number.as_str() => {}
                Some(_) => return Err(ApiError::state_invalid("registered", "It has another number of KSeF")),
                None => invoice_ksef_numbers::note(tx, &invoice, &number)?,
            }
            let body = one(tx, invoice)?;
            Ok(Reply::at_version(body.version, &body))
        })
        .await
}
