//! What a run is to do for each subscription of a batch, decided before anything is written.

use super::lanes::Ticket;
use chrono::NaiveDate;
use chrono_tz::Tz;
use opiekun_domain::billable_time::BillableTime;
use opiekun_domain::billing::{Buyer, Invoice, LineBasis, Occasion, Refusal, Seller, Terms, compose};
use opiekun_domain::calendar_day::{day_bounds, day_of};
use opiekun_domain::currency::Currency;
use opiekun_domain::exchange_rate::{ExchangeRates, table_day};
use opiekun_domain::ids::{CustomerId, InvoiceId, InvoiceTemplateId, NumberSeriesId, SubscriptionId};
use opiekun_domain::invoice_draft::DraftLine;
use opiekun_domain::invoice_run::RunMode;
use opiekun_domain::plan::{Known, PERIODS_MAX, Planned, due, next_planned};
use opiekun_domain::price_change::PriceChange;
use opiekun_domain::schedule::{Period, Schedule};
use opiekun_persistence::extra_lines::{self, ExtraLine};
use opiekun_persistence::invoice_runs::InvoiceRun;
use opiekun_persistence::invoice_templates::{self, InvoiceTemplate};
use opiekun_persistence::invoice_time_entries::{self, NewTimeEntry, TimeLock, TimeSpan, UnbilledEntry};
use opiekun_persistence::subscriptions::{Position, Subscription};
use opiekun_persistence::{
    Result, StoreError, Tx, customers, exchange_rates, occurrences, organizations, price_changes,
};
use std::collections::{BTreeMap, BTreeSet};

/// What the invoices of a batch are composed from.
pub struct Book {
    seller: Seller,
    /// Whether invoices are sent by themselves, unless their subscription says otherwise.
    emails_invoices: bool,
    templates: BTreeMap<InvoiceTemplateId, InvoiceTemplate>,
    price_changes: BTreeMap<InvoiceTemplateId, Vec<PriceChange>>,
    /// None of a run that drafts: a draft takes its rate when it is issued.
    exchange_rates: Option<ExchangeRates>,
    buyers: BTreeMap<CustomerId, Buyer>,
    /// What waits for the next invoices.
    extra_lines: BTreeMap<SubscriptionId, Vec<ExtraLine>>,
    /// What has become already of periods that the subscriptions have before them.
    ahead: BTreeMap<(SubscriptionId, u32), Known>,
    /// The organization's, whose calendar tells which time is of a period.
    zone: Tz,
    /// What of the customers' time can still be billed, in the order of time. Whatever an invoice of the batch bills goes.
    time: BTreeMap<CustomerId, Vec<UnbilledEntry>>,
}

/// Everything that is to be done for a subscription.
pub struct Plan<'a> {
    pub subscription: &'a Subscription,
    /// In the order of periods; behind one that fails there is none.
    pub items: Vec<Item>,
    /// Where the subscription stands afterwards: before the period that failed, or behind all that are due.
    pub position: Position,
}

/// A period, and what is to become of it.
pub struct Item {
    pub planned: Planned,
    /// Whether the period has no occurrence yet.
    pub is_new: bool,
    pub outcome: Outcome,
}

pub enum Outcome {
    Bill(Box<Bill>),
    Skip,
    NothingToBill,
    /// A stable code that says why it can't be billed.
    Fail(&'static str),
}

/// An invoice that waits for its number.
pub struct Bill {
    pub series_id: NumberSeriesId,
    pub template_id: InvoiceTemplateId,
    pub invoice: Invoice,
    /// Those that are on it.
    pub extra_lines: Vec<ExtraLine>,
    pub time: Option<BilledTime>,
    /// Whether it is sent to the customer by itself.
    pub is_emailed: bool,
}

/// The time that a line of an invoice bills.
pub struct BilledTime {
    line_key: String,
    zone: Tz,
    /// In the order of time.
    entries: Vec<UnbilledEntry>,
}

impl BilledTime {
    /// The annex of the invoice.
    pub fn annex(&self, invoice_id: InvoiceId) -> impl Iterator<Item = NewTimeEntry> {
        (1..).zip(&self.entries).map(move |(position, entry)| NewTimeEntry {
            invoice_id,
            position,
            line_key: self.line_key.clone(),
            kind: entry.kind,
            id: entry.id,
            started_on: day_of(entry.started_at, self.zone),
        })
    }
}

impl Book {
    pub fn load(
        tx: &mut Tx<'_>,
        run: &InvoiceRun,
        ticket: &Ticket<'_>,
        subscriptions: &[Subscription],
    ) -> Result<Self> {
        let ids: Vec<_> = subscriptions.iter().map(|it| it.id).collect();
        let mut template_ids: Vec<_> = subscriptions.iter().map(|it| it.fields.template_id).collect();
        let mut customer_ids: Vec<_> = subscriptions.iter().map(|it| it.fields.customer_id).collect();
        template_ids.sort_unstable();
        template_ids.dedup();
        customer_ids.sort_unstable();
        customer_ids.dedup();
        let templates = invoice_templates::find_all(tx, &template_ids)?;
        let templates: BTreeMap<_, _> = templates.into_iter().map(|it| (it.id, it)).collect();
        let price_changes = price_changes::of_templates(tx, &template_ids)?;
        let customers = customers::find_all(tx, &customer_ids)?;
        let extra_lines = extra_lines::open_of(tx, &ids)?;
        let ahead = occurrences::ahead(tx, &ids)?;
        let organization = organizations::find(tx)?;
        let mut book = Self {
            zone: organization.time_zone(),
            emails_invoices: organization.fields.email_invoices,
            seller: organization.seller(),
            exchange_rates: match run.fields.mode {
                RunMode::Draft => None,
                RunMode::Preview | RunMode::Issue => {
                    Some(rates_for(tx, subscriptions, &templates, run.fields.issue_on)?)
                }
            },
            templates,
            price_changes,
            buyers: customers.into_iter().map(|it| (it.id, it.buyer())).collect(),
            extra_lines,
            ahead: ahead.into_iter().map(|(id, period, state)| ((id, period), occurrences::known(state))).collect(),
            time: BTreeMap::new(),
        };
        book.load_time(tx, run, ticket, subscriptions)?;
        Ok(book)
    }

    /// Loads the time that may be billed, where any template of the batch has a line for it.
    fn load_time(
        &mut self,
        tx: &mut Tx<'_>,
        run: &InvoiceRun,
        ticket: &Ticket<'_>,
        subscriptions: &[Subscription],
    ) -> Result<()> {
        let mut spans = Vec::new();
        for subscription in subscriptions {
            let fields = &subscription.fields;
            let template = self.templates.get(&fields.template_id);
            if template.and_then(time_line).is_none() {
                continue;
            }
            let (planned, _) = self.planned(subscription, &fields.schedule.schedule()?, run.fields.through_on);
            let billed = planned.iter().filter(|(_, is_billed)| *is_billed);
            spans.extend(
                billed
                    .map(|(planned, _)| self.span(fields.customer_id, planned.period.start_on, planned.period.end_on)),
            );
        }
        if spans.is_empty() {
            return Ok(());
        }
        let lock = match run.fields.mode {
            RunMode::Preview => TimeLock::None,
            RunMode::Draft | RunMode::Issue => TimeLock::Wait,
        };
        // A customer may have subscriptions in two batches: neither waits for its turn with time that the other waits for.
        ticket.wait();
        for entry in invoice_time_entries::unbilled(tx, spans, lock)? {
            self.time.entry(entry.customer_id).or_default().push(entry);
        }
        if run.fields.mode == RunMode::Preview {
            // Nothing is marked by a preview, so what its earlier batches have planned to bill is told by their results.
            let customer_ids: Vec<CustomerId> = self.time.keys().copied().collect();
            for (customer_id, start_on, end_on) in invoice_time_entries::planned_days(tx, run.id, &customer_ids)? {
                self.take(&self.span(customer_id, start_on, end_on));
            }
        }
        Ok(())
    }

    /// The time of some days of a customer, the end exclusive.
    fn span(&self, customer_id: CustomerId, start_on: NaiveDate, end_on: NaiveDate) -> TimeSpan {
        let [from_at, before_at] = [start_on, end_on].map(|day| day_bounds(day, self.zone).0);
        TimeSpan { customer_id, from_at, before_at }
    }

    /// What an invoice of a span bills, in the order of time.
    fn entries_of<'a>(&'a self, span: &'a TimeSpan) -> impl Iterator<Item = &'a UnbilledEntry> {
        let entries = self.time.get(&span.customer_id).into_iter().flatten();
        entries.filter(|entry| span.bills(entry))
    }

    /// Takes what an invoice of a span bills, so that no other of the batch does.
    fn take(&mut self, span: &TimeSpan) -> Vec<UnbilledEntry> {
        let entries = self.time.entry(span.customer_id).or_default();
        entries.extract_if(.., |entry| span.bills(entry)).collect()
    }

    /// Takes what an invoice bills of a customer's time, so that no other of the batch does.
    fn take_time(&mut self, subscription: &Subscription, period: Period, invoice: &Invoice) -> Option<BilledTime> {
        let line_key = time_line(self.templates.get(&subscription.fields.template_id)?)?.to_owned();
        if invoice.lines.iter().all(|line| line.key.as_ref() != Some(&line_key)) {
            return None;
        }
        let entries = self.take(&self.span(subscription.fields.customer_id, period.start_on, period.end_on));
        Some(BilledTime { line_key, zone: self.zone, entries })
    }

    /// Plans and composes everything of a subscription that is due through a day, dated `issue_on`.
    pub fn plan<'a>(
        &mut self,
        subscription: &'a Subscription,
        through_on: NaiveDate,
        issue_on: NaiveDate,
    ) -> Result<Plan<'a>> {
        let fields = &subscription.fields;
        let schedule = fields.schedule.schedule()?;
        let (planned, mut position) = self.planned(subscription, &schedule, through_on);
        // They come once, so the first period that is billed has them all.
        let mut extra_lines = self.extra_lines.get(&subscription.id).cloned().unwrap_or_default();
        let mut items = Vec::with_capacity(planned.len());
        for (planned, is_billed) in planned {
            let outcome = if is_billed {
                let template =
                    self.templates.get(&fields.template_id).ok_or(StoreError::NotFound("invoice_template"))?;
                let buyer = self.buyers.get(&fields.customer_id).ok_or(StoreError::NotFound("customer"))?;
                let (series_id, template_id) = (template.fields.series_id, template.id);
                let time = self.billable_time(template, fields.customer_id, planned.period);
                let lines: Vec<DraftLine> = extra_lines.iter().map(ExtraLine::draft_line).collect();
                let occasion = Occasion {
                    period: planned.period,
                    part: planned.part,
                    billing: schedule.rule().billing,
                    overrides: &fields.line_overrides.0,
                    time: &time,
                    extra_lines: &lines,
                };
                match compose(&self.seller, buyer, self.terms(template), occasion, issue_on) {
                    Ok(invoice) => {
                        let extra_lines = std::mem::take(&mut extra_lines);
                        let time = self.take_time(subscription, planned.period, &invoice);
                        let is_emailed = subscription.fields.email_invoices.are_sent(self.emails_invoices);
                        Outcome::Bill(Box::new(Bill { series_id, template_id, invoice, extra_lines, time, is_emailed }))
                    }
                    Err(Refusal::NothingToBill) => Outcome::NothingToBill,
                    Err(refusal) => Outcome::Fail(refusal.code()),
                }
            } else {
                Outcome::Skip
            };
            let failed = matches!(outcome, Outcome::Fail(_));
            items.push(Item { planned, is_new: self.is_new(subscription.id, planned), outcome });
            if failed {
                position = Position::new(planned.period.index, Some(planned));
                break;
            }
        }
        Ok(Plan { subscription, items, position })
    }

    fn is_new(&self, id: SubscriptionId, planned: Planned) -> bool {
        !self.ahead.contains_key(&(id, planned.period.index))
    }

    /// What a template's time line of a period can bill of a customer's time; nothing where there is no such line.
    fn billable_time(&self, template: &InvoiceTemplate, customer_id: CustomerId, period: Period) -> Vec<BillableTime> {
        if time_line(template).is_none() {
            return Vec::new();
        }
        let span = self.span(customer_id, period.start_on, period.end_on);
        self.entries_of(&span).map(UnbilledEntry::billable).collect()
    }

    /// What a template says.
    fn terms<'a>(&'a self, template: &'a InvoiceTemplate) -> Terms<'a> {
        let fields = &template.fields;
        Terms {
            currency: fields.currency,
            price_mode: fields.price_mode,
            lines: &fields.lines.0,
            price_changes: self.price_changes.get(&template.id).map_or(&[], Vec::as_slice),
            exchange_rates: self.exchange_rates.as_ref(),
            payment_days: fields.payment_days,
            payment_method: fields.payment_method,
            bank_account: fields.bank_account.as_deref(),
            notes: fields.notes.as_deref(),
            language: fields.language,
            is_archived: template.archived_at.is_some(),
        }
    }

    /// Plans a subscription that failed for a reason which only the database, or the run, knew: the first of its due
    /// periods that is to be billed fails, and what is to be skipped before it is skipped.
    pub fn refuse<'a>(
        &self,
        subscription: &'a Subscription,
        through_on: NaiveDate,
        problem: &'static str,
    ) -> Result<Plan<'a>> {
        let (planned, _) = self.planned(subscription, &subscription.fields.schedule.schedule()?, through_on);
        let Some(first_billed) = planned.iter().position(|(_, is_billed)| *is_billed) else {
            return Plan::refused(subscription, problem);
        };
        let (skipped, rest) = planned.split_at(first_billed);
        let item = |planned: Planned, outcome| Item { planned, is_new: self.is_new(subscription.id, planned), outcome };
        let skip = skipped.iter().map(|(planned, _)| item(*planned, Outcome::Skip));
        let fail = rest.first().map(|(planned, _)| item(*planned, Outcome::Fail(problem)));
        let next = rest.first().map(|(planned, _)| *planned);
        let position = Position::new(subscription.progress().next_index, next);
        Ok(Plan { subscription, items: skip.chain(fail).collect(), position })
    }

    /// The due periods in their order, each with whether it is to be billed, and where they lead.
    ///
    /// A period that failed before is tried again, and one that was asked for is billed, whatever the catch-up rule:
    /// neither was missed. One that something became of meanwhile is passed over.
    fn planned(
        &self,
        subscription: &Subscription,
        schedule: &Schedule,
        through_on: NaiveDate,
    ) -> (Vec<(Planned, bool)>, Position) {
        let known = |index| self.ahead.get(&(subscription.id, index)).copied();
        let due = due(schedule, subscription.progress(), through_on, subscription.fields.catch_up, PERIODS_MAX, known);
        let bill = due.bill.into_iter().map(|planned| (planned, true));
        let skip = due.skip.into_iter().map(|planned| (planned, false));
        let mut periods: Vec<_> = bill.chain(skip).collect();
        periods.sort_by_key(|(planned, _)| planned.period.index);
        (periods, Position::new(due.next_index, due.next))
    }
}

/// The key of a template's line that bills time.
fn time_line(template: &InvoiceTemplate) -> Option<&str> {
    let lines = &template.fields.lines.0;
    lines.iter().find(|line| line.basis == LineBasis::Time).map(|line| line.key.as_str())
}

/// The rates that invoices of these subscriptions can need, dated `issue_on`: of the tables from that of the earliest
/// period which is not billed yet to that of the issue. Where all are in złoty nothing is asked.
fn rates_for(
    tx: &mut Tx<'_>,
    subscriptions: &[Subscription],
    templates: &BTreeMap<InvoiceTemplateId, InvoiceTemplate>,
    issue_on: NaiveDate,
) -> Result<ExchangeRates> {
    let mut currencies = BTreeSet::new();
    let mut sold_from = issue_on;
    for subscription in subscriptions {
        let template = templates.get(&subscription.fields.template_id);
        let Some(template) = template.filter(|it| it.fields.currency != Currency::PLN) else { continue };
        if let Some(next) = next_planned(&subscription.fields.schedule.schedule()?, subscription.progress()) {
            currencies.insert(template.fields.currency);
            sold_from = sold_from.min(next.period.last_on());
        }
    }
    if currencies.is_empty() {
        return Ok(ExchangeRates::default());
    }
    exchange_rates::quoted(tx, currencies, table_day(sold_from, issue_on)..=table_day(issue_on, issue_on))
}

impl<'a> Plan<'a> {
    /// What remains to be done where not even a plan can be made: the next period failed, and nothing else happens.
    pub fn refused(subscription: &'a Subscription, problem: &'static str) -> Result<Self> {
        let schedule = subscription.fields.schedule.schedule()?;
        let next = next_planned(&schedule, subscription.progress());
        let items = next.map(|planned| Item { planned, is_new: false, outcome: Outcome::Fail(problem) });
        let position = Position::new(subscription.progress().next_index, next);
        Ok(Self { subscription, items: items.into_iter().collect(), position })
    }

    pub fn invoices(&self) -> usize {
        self.items.iter().filter(|item| matches!(item.outcome, Outcome::Bill(_))).count()
    }

    pub fn has_failed(&self) -> bool {
        matches!(self.items.last(), Some(Item { outcome: Outcome::Fail(_), .. }))
    }
}
