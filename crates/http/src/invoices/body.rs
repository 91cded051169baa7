//! Invoices as the API shows them.

use crate::invoice_templates::LineVatBody;
use crate::tables::Tabular;
use crate::values::{AddressBody, TaxIdBody};
use chrono::{DateTime, NaiveDate, Utc};
use opiekun_documents::table::{Cell, Column};
use opiekun_domain::billing::Party;
use opiekun_domain::correction::TakesEffect;
use opiekun_domain::currency::Currency;
use opiekun_domain::decimal::{Amount, ExchangeRate, Overflow, Percent, Quantity, UnitPrice};
use opiekun_domain::ids::{
    CustomerId, InvoiceId, InvoiceRunId, InvoiceTemplateId, NumberSeriesId, OccurrenceId, SubscriptionId,
};
use opiekun_domain::invoice::{
    InvoiceKind, InvoiceStatus, PaymentMethod, PaymentStatus, PriceMode, TableRate, VatSum, VatTotal,
};
use opiekun_domain::language::Language;
use opiekun_domain::vat::VatCode;
use opiekun_persistence::invoices::{
    CorrectedState, CorrectionFields, CorrectionSums, Invoice, InvoiceFields, InvoiceLine,
};
use opiekun_persistence::payments::Balance;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// An invoice, a correction or a pro forma. Once it is issued it never changes.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Invoice, example = json!({
    "id": "0192f0c6-3333-7000-8000-000000000003", "kind": "invoice", "status": "issued",
    "series_id": "0192f0c1-7a10-7cc1-9d5e-0f3b8a61c2aa", "number": "FV/1/11/2026",
    "customer_id": "0192f0c1-7a10-7cc1-9d5e-0f3b8a61c2ab", "template_id": "0192f0c1-7a10-7cc1-9d5e-0f3b8a61c2ac",
    "subscription_id": "0192f0c1-7a10-7cc1-9d5e-0f3b8a61c2ad", "occurrence_id": "0192f0c1-7a10-7cc1-9d5e-0f3b8a61c2ae",
    "run_id": "0192f0c4-1111-7000-8000-000000000001",
    "seller": {
        "name": "Biuro Rachunkowe Kropka sp. z o.o.",
        "tax_id": { "scheme": "nip", "country": "PL", "number": "5261040828" },
        "address": { "line1": "ul. Polna 12", "line2": "lok. 3", "postal_code": "00-950", "city": "Warszawa", "country": "PL" },
    },
    "buyer": {
        "name": "Piekarnia Złoty Kłos sp. z o.o.",
        "tax_id": { "scheme": "nip", "country": "PL", "number": "1234563218" },
        "address": { "line1": "ul. Chlebowa 4", "line2": null, "postal_code": "05-800", "city": "Pruszków", "country": "PL" },
    },
    "issued_on": "2026-11-23", "sold_on": "2026-11-30", "period_start_on": "2026-11-01", "period_end_on": "2026-12-01",
    "due_on": "2026-12-07", "currency": "PLN", "price_mode": "net", "payment_method": "transfer",
    "bank_account": "PL61109010140000071219812874", "notes": null, "language": "pl",
    "lines": [{
        "position": 1, "key": "bookkeeping", "text": "Księgowość, listopad 2026", "quantity": "1", "unit": "mies.",
        "unit_price": "450.00", "discount_percent": null, "vat": { "code": "23", "exemption_basis": null },
        "pkwiu": "69.20.23.0", "gtu": null, "annex_15": false, "net": "450.00",
    }],
    "vat_totals": [{ "code": "23", "net": "450.00", "vat": "103.50", "gross": "553.50", "vat_pln": null }],
    "net": "450.00", "vat": "103.50", "gross": "553.50", "payment_days": 14, "exchange_rate": null, "vat_pln": null,
    "split_payment": false, "pro_forma_id": null, "corrects_id": null, "correction_reason": null,
    "correction_takes_effect": null, "ksef_number": "5261040828-20261123-0100001AF629-BF", "before": null,
    "corrections": [{
        "id": "0192f0c6-3333-7000-8000-000000000004", "status": "issued", "number": "FK/1/11/2026",
        "issued_on": "2026-11-25", "net": "-50.00", "vat": "-11.50", "gross": "-61.50",
    }],
    "corrected": {
        "net": "400.00", "vat": "92.00", "gross": "492.00",
        "vat_totals": [{ "code": "23", "net": "400.00", "vat": "92.00", "gross": "492.00", "vat_pln": null }],
    },
    "payment_status": "partly_paid", "paid": "200.00", "owed": "292.00",
    "version": 1, "created_at": "2026-11-23T09:15:00Z", "updated_at": "2026-11-23T09:15:00Z",
}))]
pub struct InvoiceBody {
    pub id: InvoiceId,
    pub kind: InvoiceKind,
    pub status: InvoiceStatus,
    pub series_id: Option<NumberSeriesId>,
    /// A draft has none.
    #[schema(max_length = 60)]
    pub number: Option<String>,
    pub customer_id: CustomerId,
    pub template_id: Option<InvoiceTemplateId>,
    pub subscription_id: Option<SubscriptionId>,
    /// The period that it is for.
    pub occurrence_id: Option<OccurrenceId>,
    /// The run that issued or drafted it.
    pub run_id: Option<InvoiceRunId>,
    /// The organization as it was at the issue; of a draft, as it was when the draft was last changed.
    pub seller: PartyBody,
    /// The customer as it was at the issue; of a draft, as it was when the draft was last changed.
    pub buyer: PartyBody,
    pub issued_on: Option<NaiveDate>,
    /// When the service was done: of a period its last day. A draft without one takes the day of its issue.
    pub sold_on: Option<NaiveDate>,
    pub period_start_on: Option<NaiveDate>,
    /// The first day after the period.
    pub period_end_on: Option<NaiveDate>,
    /// The day of payment. A draft with `payment_days` gets it at the issue.
    pub due_on: Option<NaiveDate>,
    /// Of every amount in it.
    pub currency: Currency,
    pub price_mode: PriceMode,
    pub payment_method: PaymentMethod,
    /// The IBAN to pay to.
    #[schema(max_length = 34)]
    pub bank_account: Option<String>,
    #[schema(max_length = 4000)]
    pub notes: Option<String>,
    pub language: Language,
    #[schema(max_items = 100)]
    pub lines: Vec<InvoiceLineBody>,
    /// The sums of each VAT code.
    #[schema(max_items = 20)]
    pub vat_totals: Vec<VatTotalBody>,
    pub net: Amount,
    pub vat: Amount,
    pub gross: Amount,
    /// Days from the issue to the day of payment, where that was not given itself.
    #[schema(minimum = 0, maximum = 365)]
    pub payment_days: Option<i16>,
    /// The rate that tells the VAT in złoty, where the invoice is in another currency.
    pub exchange_rate: Option<TableRateBody>,
    /// The VAT in złoty: the sum of that of each code. Null in złoty itself, and where there is no rate.
    pub vat_pln: Option<Amount>,
    /// Whether it has to be paid by split payment (mechanizm podzielonej płatności), which the law asks for above
    /// 15 000 zł, between taxpayers, where a line is of Annex 15.
    pub split_payment: bool,
    /// The pro forma that it was made from.
    pub pro_forma_id: Option<InvoiceId>,
    /// The invoice that it corrects. Of a correction `lines` are those after it, and its sums the difference.
    pub corrects_id: Option<InvoiceId>,
    /// Why it was corrected.
    #[schema(max_length = 500)]
    pub correction_reason: Option<String>,
    /// From when on a correction counts in the seller's VAT, where that is told.
    pub correction_takes_effect: Option<TakesEffect>,
    /// The number that KSeF gave to it, as `PUT /invoices/{id}/ksef-number` noted it.
    #[schema(min_length = 35, max_length = 36)]
    pub ksef_number: Option<String>,
    /// What the corrected invoice said before this correction, with all earlier ones.
    pub before: Option<CorrectedStateBody>,
    /// Its corrections in their order: those that were issued, and the one that is in draft.
    #[schema(max_items = 1000)]
    pub corrections: Vec<CorrectionBody>,
    /// What an issued invoice comes to with all issued corrections; null of what can't be corrected.
    pub corrected: Option<CorrectedSumsBody>,
    /// How an issued invoice stands today, with its corrections; null of what nothing is owed for.
    pub payment_status: Option<PaymentStatus>,
    /// What of an issued invoice has been paid.
    pub paid: Option<Amount>,
    /// What of it is to be paid still; less than 0 where it was corrected after it had been paid.
    pub owed: Option<Amount>,
    /// `ETag` holds it too.
    #[schema(minimum = 1)]
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl Tabular for InvoiceBody {
    const NAME: &'static str = "invoices";
    const COLUMNS: &'static [Column] = &[
        Column::id("id"),
        Column::word("kind"),
        Column::word("status"),
        Column::word("number"),
        Column::day("issued_on"),
        Column::day("sold_on"),
        Column::day("due_on"),
        Column::day("period_start_on"),
        Column::day("period_end_on"),
        Column::id("customer_id"),
        Column::text("buyer_name"),
        Column::word("buyer_tax_scheme"),
        Column::word("buyer_tax_country"),
        Column::word("buyer_tax_number"),
        Column::word("currency"),
        Column::decimal("net"),
        Column::decimal("vat"),
        Column::decimal("gross"),
        Column::decimal("vat_pln"),
        Column::decimal("corrected_net"),
        Column::decimal("corrected_vat"),
        Column::decimal("corrected_gross"),
        Column::word("payment_status"),
        Column::decimal("paid"),
        Column::decimal("owed"),
        Column::word("payment_method"),
        Column::text("bank_account"),
        Column::word("split_payment"),
        Column::id("ksef_number"),
        Column::id("corrects_id"),
        Column::text("correction_reason"),
        Column::id("pro_forma_id"),
        Column::id("template_id"),
        Column::id("subscription_id"),
        Column::id("run_id"),
        Column::text("notes"),
        Column::moment("created_at"),
        Column::moment("updated_at"),
    ];

    fn cells(self) -> Vec<Cell> {
        let (corrected_net, corrected_vat, corrected_gross) = match self.corrected {
            Some(sums) => (sums.net.into(), sums.vat.into(), sums.gross.into()),
            None => (Cell::Empty, Cell::Empty, Cell::Empty),
        };
        let mut cells = vec![
            Cell::text(self.id),
            Cell::text(self.kind),
            Cell::text(self.status),
            self.number.into(),
            self.issued_on.into(),
            self.sold_on.into(),
            self.due_on.into(),
            self.period_start_on.into(),
            self.period_end_on.into(),
            Cell::text(self.customer_id),
            self.buyer.name.into(),
        ];
        cells.extend(self.buyer.tax_id.cells());
        cells.extend([
            Cell::text(self.currency),
            self.net.into(),
            self.vat.into(),
            self.gross.into(),
            self.vat_pln.into(),
            corrected_net,
            corrected_vat,
            corrected_gross,
            self.payment_status.map(Cell::text).into(),
            self.paid.into(),
            self.owed.into(),
            Cell::text(self.payment_method),
            self.bank_account.into(),
            self.split_payment.into(),
            self.ksef_number.into(),
            self.corrects_id.map(Cell::text).into(),
            self.correction_reason.into(),
            self.pro_forma_id.map(Cell::text).into(),
            self.template_id.map(Cell::text).into(),
            self.subscription_id.map(Cell::text).into(),
            self.run_id.map(Cell::text).into(),
            self.notes.into(),
            self.created_at.into(),
            self.updated_at.into(),
        ]);
        cells
    }
}

/// A seller or buyer as an invoice names it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Party)]
pub struct PartyBody {
    #[schema(max_length = 240, example = "Piekarnia Złoty Kłos sp. z o.o.")]
    pub name: String,
    pub tax_id: TaxIdBody,
    pub address: Option<AddressBody>,
}

/// A line of an invoice.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InvoiceLine, example = json!({
    "position": 1, "key": "bookkeeping", "text": "Bookkeeping, November 2026", "quantity": "1", "unit": "month",
    "unit_price": "450.00", "discount_percent": null, "vat": { "code": "23", "exemption_basis": null },
    "pkwiu": "69.20.23.0", "gtu": null, "annex_15": false, "net": "450.00",
}))]
pub struct InvoiceLineBody {
    /// From 1.
    #[schema(minimum = 1, maximum = 1000)]
    pub position: i16,
    /// Of the template's line; of an extra line `extra_` and its id without hyphens.
    #[schema(max_length = 40)]
    pub key: Option<String>,
    #[schema(max_length = 512)]
    pub text: String,
    pub quantity: Quantity,
    #[schema(max_length = 20)]
    pub unit: String,
    /// Net or gross, as `price_mode` says.
    pub unit_price: UnitPrice,
    pub discount_percent: Option<Percent>,
    pub vat: LineVatBody,
    #[schema(max_length = 20)]
    pub pkwiu: Option<String>,
    #[schema(max_length = 6)]
    pub gtu: Option<String>,
    /// Of the goods and services of Annex 15 to ustawa o VAT.
    pub annex_15: bool,
    /// Quantity × unit price, less the discount. With gross prices only for show: VAT is computed from the sums.
    pub net: Amount,
}

/// The sums of all lines with one VAT code: net + VAT = gross.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = VatTotal, example = json!({
    "code": "23", "net": "450.00", "vat": "103.50", "gross": "553.50", "vat_pln": null,
}))]
pub struct VatTotalBody {
    pub code: VatCode,
    pub net: Amount,
    pub vat: Amount,
    pub gross: Amount,
    /// VAT × exchange rate, rounded half away from zero to 0.01, where the invoice is in another currency and has a rate.
    pub vat_pln: Option<Amount>,
}

/// What an invoice said before a correction.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CorrectedState)]
pub struct CorrectedStateBody {
    pub buyer: PartyBody,
    #[schema(max_items = 100)]
    pub lines: Vec<InvoiceLineBody>,
}

/// A correction of an invoice, in short: `GET /invoices/{id}` tells all of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Correction, example = json!({
    "id": "0192f0c6-3333-7000-8000-000000000004", "status": "issued", "number": "FK/1/11/2026",
    "issued_on": "2026-11-25", "net": "-50.00", "vat": "-11.50", "gross": "-61.50",
}))]
pub struct CorrectionBody {
    pub id: InvoiceId,
    pub status: InvoiceStatus,
    #[schema(max_length = 60)]
    pub number: Option<String>,
    pub issued_on: Option<NaiveDate>,
    /// What it adds to the invoice's net.
    pub net: Amount,
    /// What it adds to the invoice's VAT.
    pub vat: Amount,
    /// What it adds to the invoice's gross.
    pub gross: Amount,
}

/// The sums of an invoice with all its issued corrections.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CorrectedSums, example = json!({
    "net": "400.00", "vat": "92.00", "gross": "492.00",
    "vat_totals": [{ "code": "23", "net": "400.00", "vat": "92.00", "gross": "492.00", "vat_pln": null }],
}))]
pub struct CorrectedSumsBody {
    pub net: Amount,
    pub vat: Amount,
    pub gross: Amount,
    #[schema(max_items = 20)]
    pub vat_totals: Vec<VatTotalBody>,
}

impl CorrectedSumsBody {
    /// Of an invoice and those of its corrections that were issued.
    fn new(fields: &InvoiceFields, corrections: &[CorrectionSums]) -> Result<Self, Overflow> {
        let mut sums = Self { net: fields.net, vat: fields.vat, gross: fields.gross, vat_totals: Vec::new() };
        let mut by_code: BTreeMap<VatCode, VatTotalBody> = BTreeMap::new();
        let mut all: Vec<&VatSum> = fields.vat_totals.0.iter().collect();
        for correction in corrections.iter().filter(|it| it.status == InvoiceStatus::Issued) {
            sums.net = sums.net.checked_add(correction.net)?;
            sums.vat = sums.vat.checked_add(correction.vat)?;
            sums.gross = sums.gross.checked_add(correction.gross)?;
            all.extend(&correction.vat_totals.0);
        }
        for VatSum { total, vat_pln } in all {
            let sum = by_code.entry(total.code).or_insert(VatTotalBody {
                code: total.code,
                net: Amount::ZERO,
                vat: Amount::ZERO,
                gross: Amount::ZERO,
                vat_pln: vat_pln.map(|_| Amount::ZERO),
            });
            sum.net = sum.net.checked_add(total.net)?;
            sum.vat = sum.vat.checked_add(total.vat)?;
            sum.gross = sum.gross.checked_add(total.gross)?;
            sum.vat_pln = match (sum.vat_pln, vat_pln) {
                (Some(sum), Some(vat)) => Some(sum.checked_add(*vat)?),
                (sum, vat) => sum.or(*vat),
            };
        }
        sums.vat_totals = by_code.into_values().collect();
        Ok(sums)
    }
}

impl From<CorrectedState> for CorrectedStateBody {
    fn from(state: CorrectedState) -> Self {
        let CorrectedState { buyer, lines } = state;
        Self { buyer: buyer.into(), lines: lines.into_iter().map(InvoiceLineBody::from).collect() }
    }
}

impl From<CorrectionSums> for CorrectionBody {
    fn from(sums: CorrectionSums) -> Self {
        let CorrectionSums { id, corrects_id: _, status, number, issued_on, vat_totals: _, net, vat, gross } = sums;
        Self { id, status, number, issued_on, net, vat, gross }
    }
}

/// How many złoty one unit of a currency is worth, by whose table.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = TableRate)]
#[serde(deny_unknown_fields)]
pub struct TableRateBody {
    pub rate: ExchangeRate,
    /// The day of the table, before that of the issue: as a rule the last working day before the sale, or before the
    /// issue where that comes first (ustawa o VAT, art. 31a).
    pub quoted_on: NaiveDate,
    /// Whose table it is.
    #[schema(min_length = 1, max_length = 120)]
    pub source: String,
}

impl From<TableRate> for TableRateBody {
    fn from(table: TableRate) -> Self {
        let TableRate { rate, on, source } = table;
        Self { rate, quoted_on: on, source }
    }
}

impl From<TableRateBody> for TableRate {
    fn from(body: TableRateBody) -> Self {
        let TableRateBody { rate, quoted_on, source } = body;
        Self { rate, on: quoted_on, source }
    }
}

impl InvoiceBody {
    pub(super) fn new(
        row: Invoice,
        lines: Vec<InvoiceLine>,
        occurrence_id: Option<OccurrenceId>,
        corrections: Vec<CorrectionSums>,
        balance: Option<Balance>,
        ksef_number: Option<String>,
        today: NaiveDate,
    ) -> Result<Self, Overflow> {
        let Invoice { id, fields, correction, version, created_at, updated_at } = row;
        let CorrectionFields { corrects_id, correction_reason, correction_takes_effect, before } = correction;
        let is_correctable = fields.kind == InvoiceKind::Invoice && fields.status == InvoiceStatus::Issued;
        let corrected = is_correctable.then(|| CorrectedSumsBody::new(&fields, &corrections)).transpose()?;
        let exchange_rate = fields.table_rate().map(TableRateBody::from);
        let InvoiceFields {
            kind,
            status,
            series_id,
            number,
            customer_id,
            template_id,
            subscription_id,
            run_id,
            seller,
            buyer,
            issued_on,
            sold_on,
            period_start_on,
            period_end_on,
            due_on,
            currency,
            price_mode,
            payment_method,
            bank_account,
            notes,
            language,
            vat_totals,
            net,
            vat,
            gross,
            payment_days,
            exchange_rate: _,
            exchange_rate_on: _,
            exchange_rate_source: _,
            vat_pln,
            split_payment,
            pro_forma_id,
        } = fields;
        Ok(Self {
            id,
            kind,
            status,
            series_id,
            number,
            customer_id,
            template_id,
            subscription_id,
            occurrence_id,
            run_id,
            seller: seller.0.into(),
            buyer: buyer.0.into(),
            issued_on,
            sold_on,
            period_start_on,
            period_end_on,
            due_on,
            currency,
            price_mode,
            payment_method,
            bank_account,
            notes,
            language,
            lines: lines.into_iter().map(InvoiceLineBody::from).collect(),
            vat_totals: vat_totals.0.into_iter().map(VatTotalBody::from).collect(),
            net,
            vat,
            gross,
            payment_days,
            exchange_rate,
            vat_pln,
            split_payment,
            pro_forma_id,
            corrects_id,
            correction_reason,
            correction_takes_effect,
            ksef_number,
            before: before.map(|before| before.0.into()),
            corrections: corrections.into_iter().map(CorrectionBody::from).collect(),
            corrected,
            payment_status: balance.map(|it| PaymentStatus::of(it.gross, it.paid, it.due_on, today)),
            paid: balance.map(|it| it.paid),
            owed: balance.map(|it| it.gross.checked_sub(it.paid)).transpose()?,
            version,
            created_at,
            updated_at,
        })
    }
}

impl From<Party> for PartyBody {
    fn from(party: Party) -> Self {
        let Party { name, tax_scheme, tax_country, tax_number, address } = party;
        Self {
            name,
            tax_id: TaxIdBody::of(tax_scheme, tax_country, tax_number),
            address: address.map(AddressBody::from),
        }
    }
}

impl From<InvoiceLine> for InvoiceLineBody {
    fn from(line: InvoiceLine) -> Self {
        let InvoiceLine {
            position,
            key,
            text,
            quantity,
            unit,
            unit_price,
            discount_percent,
            vat_code,
            exemption_basis,
            pkwiu,
            gtu,
            annex_15,
            net,
        } = line;
        let vat = LineVatBody { code: vat_code, exemption_basis };
        Self { position, key, text, quantity, unit, unit_price, discount_percent, vat, pkwiu, gtu, annex_15, net }
    }
}

impl From<VatSum> for VatTotalBody {
    fn from(sum: VatSum) -> Self {
        let VatSum { total: VatTotal { code, net, vat, gross }, vat_pln } = sum;
        Self { code, net, vat, gross, vat_pln }
    }
}
