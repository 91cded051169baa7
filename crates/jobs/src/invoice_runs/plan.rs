//! What a run is to do for each subscription of a batch, decided before anything is written.

use chrono::NaiveDate;
use opiekun_domain::billing::{Buyer, Invoice, Occasion, Seller, Terms, compose};
use opiekun_domain::currency::Currency;
use opiekun_domain::exchange_rate::{ExchangeRates, table_day};
use opiekun_domain::ids::{CustomerId, InvoiceTemplateId, NumberSeriesId, SubscriptionId};
use opiekun_domain::plan::{Known, PERIODS_MAX, Planned, due, next_planned};
use opiekun_domain::price_change::PriceChange;
use opiekun_domain::schedule::Schedule;
use opiekun_persistence::invoice_templates::{self, InvoiceTemplate};
use opiekun_persistence::subscriptions::{Position, Subscription};
use opiekun_persistence::{
    Result, StoreError, Tx, customers, exchange_rates, occurrences, organizations, price_changes,
};
use std::collections::{BTreeMap, BTreeSet};

/// What the invoices of a batch are composed from.
pub struct Book {
    seller: Seller,
    templates: BTreeMap<InvoiceTemplateId, InvoiceTemplate>,
    price_changes: BTreeMap<InvoiceTemplateId, Vec<PriceChange>>,
    exchange_rates: ExchangeRates,
    buyers: BTreeMap<CustomerId, Buyer>,
    /// What has become already of periods that the subscriptions have before them.
    ahead: BTreeMap<(SubscriptionId, u32), Known>,
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
    pub outcome: Outcome,
}

pub enum Outcome {
    Bill(Box<Bill>),
    Skip,
    /// A stable code that says why it can't be billed.
    Fail(&'static str),
}

/// An invoice that waits for its number.
pub struct Bill {
    pub series_id: NumberSeriesId,
    pub template_id: InvoiceTemplateId,
    pub invoice: Invoice,
}

impl Book {
    pub fn load(tx: &mut Tx<'_>, subscriptions: &[Subscription], issue_on: NaiveDate) -> Result<Self> {
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
        let ahead = occurrences::ahead(tx, &ids)?;
        Ok(Self {
            seller: organizations::find(tx)?.seller(),
            exchange_rates: rates_for(tx, subscriptions, &templates, issue_on)?,
            templates,
            price_changes,
            buyers: customers.into_iter().map(|it| (it.id, it.buyer())).collect(),
            ahead: ahead.into_iter().map(|(id, period, state)| ((id, period), occurrences::known(state))).collect(),
        })
    }

    /// Plans and composes everything of a subscription that is due through a day, dated `issue_on`.
    pub fn plan<'a>(
        &self,
        subscription: &'a Subscription,
        through_on: NaiveDate,
        issue_on: NaiveDate,
    ) -> Result<Plan<'a>> {
        let fields = &subscription.fields;
        let template = self.templates.get(&fields.template_id).ok_or(StoreError::NotFound("invoice_template"))?;
        let buyer = self.buyers.get(&fields.customer_id).ok_or(StoreError::NotFound("customer"))?;
        let (planned, mut position) = self.planned(subscription, &fields.schedule.schedule()?, through_on);
        let mut items = Vec::with_capacity(planned.len());
        for (planned, is_billed) in planned {
            let outcome = if is_billed {
                let occasion = Occasion {
                    period: planned.period,
                    part: planned.part,
                    overrides: &fields.line_overrides.0,
                    extra_lines: &[],
                };
                match compose(&self.seller, buyer, self.terms(template), occasion, issue_on) {
                    Ok(invoice) => Outcome::Bill(Box::new(Bill {
                        series_id: template.fields.series_id,
                        template_id: template.id,
                        invoice,
                    })),
                    Err(refusal) => Outcome::Fail(refusal.code()),
                }
            } else {
                Outcome::Skip
            };
            let failed = matches!(outcome, Outcome::Fail(_));
            items.push(Item { planned, outcome });
            if failed {
                position = Position::new(planned.period.index, Some(planned));
                break;
            }
        }
        Ok(Plan { subscription, items, position })
    }

    /// What a template says.
    fn terms<'a>(&'a self, template: &'a InvoiceTemplate) -> Terms<'a> {
        let fields = &template.fields;
        Terms {
            currency: fields.currency,
            price_mode: fields.price_mode,
            lines: &fields.lines.0,
            price_changes: self.price_changes.get(&template.id).map_or(&[], Vec::as_slice),
            exchange_rates: &self.exchange_rates,
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
        let skip = skipped.iter().map(|(planned, _)| Item { planned: *planned, outcome: Outcome::Skip });
        let fail = rest.first().map(|(planned, _)| Item { planned: *planned, outcome: Outcome::Fail(problem) });
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
        let items = next.map(|planned| Item { planned, outcome: Outcome::Fail(problem) });
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
