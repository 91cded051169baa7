//! The annex of an invoice: the time that a line of it bills, and what gives it back.

use crate::actor::Actor;
use crate::listing::{Id, Listing, Sorting};
use crate::problem::{ApiError, Wrong};
use crate::reply::Reply;
use crate::shape::{PageBody, Shape};
use crate::state::State;
use actix_web::{get, web};
use chrono::{DateTime, NaiveDate, Utc};
use opiekun_domain::billable_time::{TimeEntryKind, is_billed};
use opiekun_domain::billing::Refusal;
use opiekun_domain::correction::PlacedLine;
use opiekun_domain::currency::Currency;
use opiekun_domain::decimal::{Amount, HourlyRate};
use opiekun_domain::ids::{InvoiceId, OperatorId};
use opiekun_domain::invoice::PriceMode;
use opiekun_domain::invoice_draft::{DraftLine, InvoiceDraft};
use opiekun_domain::permission::Permission;
use opiekun_persistence::invoice_time_entries::{InvoiceTimeEntry, InvoiceTimeEntrySort};
use opiekun_persistence::invoices::Invoice;
use opiekun_persistence::{Page, Tx, invoice_time_entries, invoices};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// An entry of time as it was when the invoice billed it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InvoiceTimeEntry, example = json!({
    "id": "0192f0c1-7a10-7cc1-9d5e-0f3b8a61c2ab", "kind": "work_entry", "position": 1, "line_key": "hours",
    "started_at": "2026-11-02T09:00:00Z", "started_on": "2026-11-02",
    "operator_id": "0192f0c1-7a10-7cc1-9d5e-0f3b8a61c2ac", "operator_name": "Jan Kowalski",
    "text": "Entered the invoices of October", "duration_minutes": 40, "billed_minutes": 45, "resolved_rate": "150.00",
    "cost": "112.50", "currency": "PLN",
}))]
pub struct InvoiceTimeEntryBody {
    /// Of the interaction or the work entry, which may have changed since, or be gone.
    pub id: Uuid,
    pub kind: TimeEntryKind,
    /// From 1, in the order of time.
    #[schema(minimum = 1, maximum = 10000)]
    pub position: i32,
    /// The key of the invoice's line that bills it.
    #[schema(max_length = 40)]
    pub line_key: String,
    pub started_at: DateTime<Utc>,
    /// The day on the organization's calendar.
    pub started_on: NaiveDate,
    /// Who talked or worked.
    pub operator_id: OperatorId,
    #[schema(max_length = 160)]
    pub operator_name: String,
    /// The subject of an interaction, the note of a work entry.
    #[schema(max_length = 10000)]
    pub text: Option<String>,
    #[schema(minimum = 1)]
    pub duration_minutes: i32,
    /// The minutes as they are billed.
    #[schema(minimum = 1)]
    pub billed_minutes: i32,
    /// The price of an hour.
    pub resolved_rate: HourlyRate,
    /// Billed minutes × rate ÷ 60, rounded half away from zero to 0.01. The line bills the sum.
    pub cost: Amount,
    /// The invoice's.
    pub currency: Currency,
}

impl InvoiceTimeEntryBody {
    fn new(row: InvoiceTimeEntry, currency: Currency) -> Self {
        let InvoiceTimeEntry {
            position,
            line_key,
            kind,
            entry_id,
            started_at,
            started_on,
            operator_id,
            operator_name,
            text,
            duration_minutes,
            billed_minutes,
            resolved_rate,
            cost,
        } = row;
        Self {
            id: entry_id,
            kind,
            position,
            line_key,
            started_at,
            started_on,
            operator_id,
            operator_name,
            text,
            duration_minutes,
            billed_minutes,
            resolved_rate,
            cost,
            currency,
        }
    }
}

impl Sorting for InvoiceTimeEntrySort {
    const WORDS: &'static [(&'static str, Self)] = &[("position", Self::Position)];
    const DESCENDING: bool = false;
}

/// List the time that an invoice bills.
///
/// Its annex: the interactions and work entries behind the line of kind `time`, as they were when they were billed. It
/// stays as it was issued; of an invoice whose time was given back by a correction, or of a draft that was thrown away, it
/// tells what was billed.
#[utoipa::path(tag = "Invoices", security(("sign_in" = ["billing:read"])), params(Listing<InvoiceTimeEntrySort>),
    responses((status = 200, body = PageBody<InvoiceTimeEntryBody>)))]
#[get("/invoices/{id}/time-entries")]
pub async fn list_invoice_time_entries(
    state: web::Data<State>,
    actor: Actor,
    id: Id<InvoiceId>,
    listing: Listing<InvoiceTimeEntrySort>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let scope = actor.scope(Permission::BillingRead)?;
    state
        .snapshot(scope, move |tx| {
            let currency = invoices::find(tx, id.0)?.fields.currency;
            let Page { items, next, total } = invoice_time_entries::list(tx, id.0, &listing.page)?;
            let items = items.into_iter().map(|row| InvoiceTimeEntryBody::new(row, currency)).collect();
            shape.page(tx, Page { items, next, total })
        })
        .await
}

/// A draft that bills time stays in the currency that the time is priced in, at net prices as hourly rates are.
pub(super) fn check_terms(tx: &mut Tx<'_>, draft: &Invoice, after: &InvoiceDraft) -> Result<(), ApiError> {
    let mut wrong = Vec::new();
    if after.currency != draft.fields.currency {
        let detail = "The time on this draft is priced in the currency that it was made in";
        wrong.push(Wrong::field("/currency", Refusal::TimeCurrencyMismatch.code(), detail));
    }
    if after.price_mode == PriceMode::Gross {
        wrong.push(Wrong::field("/price_mode", "time_is_net", "A line that bills time has net prices"));
    }
    if wrong.is_empty() {
        return Ok(());
    }
    match invoice_time_entries::line_key(tx, draft.id)? {
        Some(key) if is_billed(&after.lines, &key) => Err(ApiError::invalid(wrong)),
        _ => Ok(()),
    }
}

/// Gives the time of an invoice back unless it is billed by the lines that the invoice has from now on; tells whether
/// it was given back.
pub(super) fn give_back_unless_billed(
    tx: &mut Tx<'_>,
    invoice_id: InvoiceId,
    lines: &[DraftLine],
) -> Result<bool, ApiError> {
    match invoice_time_entries::line_key(tx, invoice_id)? {
        Some(key) if !is_billed(lines, &key) => {
            invoice_time_entries::give_back(tx, invoice_id)?;
            Ok(true)
        }
        _ => Ok(false),
    }
}

/// Time that a correction gave back may be on another invoice by now: no later one bills it again.
pub(super) fn unless_billed_again(
    tx: &mut Tx<'_>,
    invoice_id: InvoiceId,
    before: &[PlacedLine],
    after: &[PlacedLine],
) -> Result<(), ApiError> {
    let bills = |lines: &[PlacedLine], key: &str| lines.iter().any(|it| is_billed(std::slice::from_ref(&it.line), key));
    match invoice_time_entries::line_key(tx, invoice_id)? {
        Some(key) if !bills(before, &key) && bills(after, &key) => {
            Err(ApiError::state_invalid("time_given_back", "The time of this line was given back; add another line"))
        }
        _ => Ok(()),
    }
}
