//! Corrections: drafts that say what an issued invoice is to say instead.

use super::draft::{
    InvoiceLineInput, PAYMENT_DAYS_DEFAULT, check_keys, check_series, created, either_term, refused, take_table_rate,
};
use super::{one, time_entries};
use crate::actor::Actor;
use crate::body::Valid;
use crate::invoice_templates::{LineVatBody, basis_where_exempt};
use crate::listing::Id;
use crate::once::Once;
use crate::problem::ApiError;
use crate::reply::Reply;
use crate::state::State;
use crate::values::{AddressBody, TaxIdBody, capitalised};
use actix_web::{post, web};
use chrono::NaiveDate;
use opiekun_domain::billing::{LineVat, Party};
use opiekun_domain::correction::{LineChange, LineChanges, LineChangesProblem, PlacedLine, TakesEffect};
use opiekun_domain::decimal::{Percent, Quantity, UnitPrice};
use opiekun_domain::ids::{InvoiceId, NumberSeriesId};
use opiekun_domain::invoice::{InvoiceKind, InvoiceStatus};
use opiekun_domain::invoice_draft::{DraftLine, InvoiceDraft, PaymentTerm};
use opiekun_domain::permission::Permission;
use opiekun_persistence::invoices::{Corrected, Invoice, InvoiceLine, NewCorrection, NewDraft};
use opiekun_persistence::{Tx, invoices, organizations};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use validator::{Validate, ValidationError};

/// How many corrections an invoice may have.
const CORRECTIONS_MAX: usize = 1000;

/// What an invoice is to say instead, and why. What is left out stays as it is after all earlier corrections.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[validate(schema(function = one_payment_term, skip_on_field_errors = false))]
pub struct CorrectionInput {
    /// The number series that it takes its number from at the issue: one of kind `correction`.
    pub series_id: NumberSeriesId,
    /// At most 256 characters of it can be issued: the structured e-invoice has no room for more.
    #[schema(min_length = 1, max_length = 500, example = "Goods returned")]
    pub reason: String,
    /// From when on it counts in the seller's VAT, where that is to be told.
    #[serde(default)]
    pub takes_effect: Option<TakesEffect>,
    /// Brings the quantity of every line to 0, before what `changed_lines` say.
    #[schema(example = true)]
    #[serde(default)]
    pub to_zero: bool,
    #[schema(max_items = 100)]
    #[serde(default)]
    #[validate(nested)]
    pub changed_lines: Vec<LineChangeInput>,
    /// The positions of lines that are taken away.
    #[schema(max_items = 100)]
    #[serde(default)]
    pub removed_positions: Vec<LinePosition>,
    #[schema(max_items = 100)]
    #[serde(default)]
    #[validate(nested)]
    pub added_lines: Vec<InvoiceLineInput>,
    /// The buyer's data as they should have been. A mistake in them is corrected without any line; but a wrong NIP is not:
    /// such an invoice is brought to zero, and another one issued.
    #[serde(default)]
    pub buyer: Option<BuyerInput>,
    /// Days from the issue to the day of payment of what is to be paid more; 14 unless told.
    #[schema(minimum = 0, maximum = 365)]
    #[serde(default)]
    pub payment_days: Option<i16>,
    /// The day of payment, in place of `payment_days`.
    #[serde(default)]
    pub due_on: Option<NaiveDate>,
    /// Stands below the lines.
    #[schema(max_length = 2000)]
    #[serde(default)]
    pub notes: Option<String>,
}

/// What becomes of a line; what is left out stays.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct LineChangeInput {
    /// Of the line, as the invoice shows it.
    pub position: LinePosition,
    #[schema(min_length = 1, max_length = 512)]
    #[serde(default)]
    pub text: Option<String>,
    #[serde(default)]
    pub quantity: Option<Quantity>,
    #[schema(min_length = 1, max_length = 20)]
    #[serde(default)]
    pub unit: Option<String>,
    #[serde(default)]
    pub unit_price: Option<UnitPrice>,
    /// `0` for none any more.
    #[serde(default)]
    pub discount_percent: Option<Percent>,
    #[serde(default)]
    #[validate(custom(function = basis_where_exempt))]
    pub vat: Option<LineVatBody>,
}

/// The place of a line on its invoice, from 1.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[schema(minimum = 1, maximum = 32000, example = 1)]
pub struct LinePosition(i16);

/// The buyer as the invoice is to name it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = BuyerInput)]
#[serde(deny_unknown_fields)]
pub struct BuyerInput {
    #[schema(min_length = 1, max_length = 240, example = "Piekarnia Złoty Kłos sp. z o.o.")]
    pub name: String,
    pub tax_id: TaxIdBody,
    pub address: AddressBody,
}

fn one_payment_term(input: &CorrectionInput) -> Result<(), ValidationError> {
    either_term(input.payment_days, input.due_on)
}

impl BuyerInput {
    fn party(self) -> Result<Party, ApiError> {
        let identity = self.tax_id.check("/buyer/tax_id")?;
        Ok(Party {
            name: self.name,
            tax_scheme: identity.scheme(),
            tax_country: identity.country().map(str::to_owned),
            tax_number: identity.number().map(str::to_owned),
            address: Some(self.address.into()),
        })
    }
}

impl From<LineChangeInput> for LineChange {
    fn from(input: LineChangeInput) -> Self {
        let LineChangeInput { position, text, quantity, unit, unit_price, discount_percent, vat } = input;
        let vat = vat.map(LineVat::from);
        Self { position: position.0, text, quantity, unit, unit_price, discount_percent, vat }
    }
}

fn misplaced(problem: LineChangesProblem) -> ApiError {
    let (pointer, code) = match problem {
        LineChangesProblem::ChangedLineMissing(index) => (format!("/changed_lines/{index}/position"), "no_such_line"),
        LineChangesProblem::ChangedTwice(index) => (format!("/changed_lines/{index}/position"), "uniqueItems"),
        LineChangesProblem::RemovedLineMissing(index) => (format!("/removed_positions/{index}"), "no_such_line"),
        LineChangesProblem::TooManyLines => ("/added_lines".to_owned(), "maxItems"),
    };
    ApiError::invalid_field(&pointer, code, capitalised(&problem.to_string()))
}

/// The correction of an issued invoice as it would be issued.
fn new_correction(tx: &mut Tx<'_>, invoice: &Invoice, input: CorrectionInput) -> Result<NewCorrection, ApiError> {
    let CorrectionInput {
        series_id,
        reason,
        takes_effect,
        to_zero,
        changed_lines,
        removed_positions,
        added_lines,
        buyer,
        payment_days,
        due_on,
        notes,
    } = input;
    check_keys("/added_lines", &added_lines, &[])?;
    let Corrected { state: before, last_position, exchange_rate } = invoices::corrected(tx, invoice)?;
    let buyer = buyer.map(BuyerInput::party).transpose()?.unwrap_or_else(|| before.buyer.clone());
    let changes = LineChanges {
        to_zero,
        changed: changed_lines.into_iter().map(LineChange::from).collect(),
        removed: removed_positions.into_iter().map(|position| position.0).collect(),
        added: added_lines.into_iter().map(DraftLine::from).collect(),
    };
    let placed = |line: &InvoiceLine| PlacedLine { position: line.position, line: line.clone().into() };
    let lines_before: Vec<PlacedLine> = before.lines.iter().map(placed).collect();
    let after = changes.apply(&lines_before, last_position).map_err(misplaced)?;
    if after == lines_before && buyer == before.buyer {
        return Err(ApiError::invalid_field("", "unchanged", "The invoice says that already"));
    }
    time_entries::unless_billed_again(tx, invoice.id, &lines_before, &after)?;
    let seller = organizations::find(tx)?.seller().party;
    let mut of_invoice = InvoiceDraft { exchange_rate, ..invoice.draft(Vec::new()) };
    if let Some(issued_on) = invoice.fields.issued_on {
        // One that charged no VAT may have none: the rate that it would have had tells what the correction charges.
        take_table_rate(tx, &mut of_invoice, issued_on)?;
    }
    let draft_with = |lines: &[PlacedLine]| InvoiceDraft {
        kind: InvoiceKind::Correction,
        payment_term: due_on.map_or(PaymentTerm::Days(payment_days.unwrap_or(PAYMENT_DAYS_DEFAULT)), PaymentTerm::On),
        notes: notes.clone(),
        lines: lines.iter().map(|placed| placed.line.clone()).collect(),
        ..of_invoice.clone()
    };
    let priced_before = draft_with(&lines_before).price(&seller, &before.buyer).map_err(refused)?;
    let draft = draft_with(&after);
    let priced = draft.price(&seller, &buyer).map_err(refused)?;
    let priced = priced.correcting(&priced_before).map_err(|overflow| refused(overflow.into()))?;
    Ok(NewCorrection {
        positions: after.iter().map(|placed| placed.position).collect(),
        draft: NewDraft {
            series_id,
            customer_id: invoice.fields.customer_id,
            seller,
            buyer,
            draft,
            priced,
            pro_forma_id: None,
        },
        corrects_id: invoice.id,
        reason,
        takes_effect,
        before,
    })
}

/// Draft a correction of an invoice.
///
/// It carries the lines and the buyer before and after, and the difference of the sums; VAT in złoty at the rate of the
/// invoice, or, where that has none, at the one of `/exchange-rates` that the law asked for when it was issued. It is issued by `POST /invoices/{id}/issuance`, under a number of its own series, and may be followed by
/// others: each begins from what the last one left. One is in draft at a time. A correction is not corrected itself, but
/// the invoice once more. An invoice never comes to less than nothing.
///
/// One that takes away the line that bills time, or its quantity, gives the time back once it is issued: it can be billed
/// anew. The line can't be billed again then: 409 `state_invalid` with state `time_given_back`.
#[utoipa::path(tag = "Invoices", security(("sign_in" = ["billing:write"])),
    extensions(("x-idempotency-required" = json!(true))), request_body = CorrectionInput,
    responses((status = 201, body = super::body::InvoiceBody)))]
#[post("/invoices/{id}/corrections")]
pub async fn create_correction(
    state: web::Data<State>,
    actor: Actor,
    id: Id<InvoiceId>,
    once: Once,
    input: Valid<CorrectionInput>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::BillingWrite)?;
    state
        .submit(scope, once, move |tx| {
            // Locked, so that of two who correct it at once the second finds the first one's draft.
            let invoice = invoices::lock(tx, id.0, None)?;
            let fields = &invoice.fields;
            if fields.kind != InvoiceKind::Invoice || fields.status != InvoiceStatus::Issued {
                let state =
                    if fields.kind == InvoiceKind::Invoice { fields.status.as_str() } else { fields.kind.as_str() };
                return Err(ApiError::state_invalid(state, "Only an issued invoice is corrected"));
            }
            let corrections = invoices::corrections_of(tx, &[invoice.id])?.remove(&invoice.id).unwrap_or_default();
            if corrections.iter().any(|it| it.status == InvoiceStatus::Draft) {
                let detail = "A correction is in draft: issue it first, or throw it away";
                return Err(ApiError::state_invalid("correction_in_draft", detail));
            }
            if corrections.len() >= CORRECTIONS_MAX {
                return Err(ApiError::state_invalid("corrected", "It has been corrected too often"));
            }
            check_series(tx, input.0.series_id, InvoiceKind::Correction)?;
            let new = new_correction(tx, &invoice, input.0)?;
            let draft = invoices::create_correction(tx, new)?;
            Ok(created(&one(tx, draft)?))
        })
        .await
}
