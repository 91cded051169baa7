//! One batch of a run: from due subscriptions to written invoices, in one transaction.

use super::lanes::Ticket;
use super::numbers::{Numbers, check_date};
use super::plan::{Bill, Book, Item, Outcome, Plan};
use opiekun_domain::billing::{CurrencyTotal, Invoice, Refusal};
use opiekun_domain::ids::{InvoiceId, NumberSeriesId, OccurrenceId};
use opiekun_domain::invoice_run::{RunMode, RunProblem};
use opiekun_domain::occurrence::OccurrenceState;
use opiekun_domain::plan::Planned;
use opiekun_persistence::extra_lines;
use opiekun_persistence::invoice_runs::{self, InvoiceRun, InvoiceRunFields, RunResult, Tally};
use opiekun_persistence::invoices::{self, NewInvoice};
use opiekun_persistence::number_series;
use opiekun_persistence::occurrences::{self, Settled};
use opiekun_persistence::subscriptions::{self, Advance, Subscription};
use opiekun_persistence::{StoreError, Tx, Violation, invoice_emails, invoice_time_entries};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// How many invoices are written in one transaction, but for those of its last subscription. Some subscriptions
/// have many periods to catch up with.
const INVOICES_MAX: usize = 2_000;

/// Why a batch came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Run(#[from] RunProblem),
    /// Somebody else has taken the numbers that it foresaw, or is at it.
    #[error("overtaken by another who takes numbers")]
    Overtaken,
}

pub(super) type Result<T, E = BatchError> = std::result::Result<T, E>;

/// Takes up due subscriptions in their order and tells how many of them: fewer where they have many periods.
pub fn work(tx: &mut Tx<'_>, run: &InvoiceRun, due: &[Subscription], ticket: &Ticket<'_>) -> Result<usize> {
    let batch = Batch { run, ticket, claim: Claim::AtOnce, numbering: Numbering::Foreseen };
    match tx.attempt(|tx| batch.take_up(tx, due)) {
        Err(error) if problem_of(&error).is_some() => ticket.fall_back(),
        taken => return taken,
    }
    let batch = Batch { numbering: Numbering::InTurn, ..batch };
    match tx.attempt(|tx| batch.take_up(tx, due)) {
        Err(error) if problem_of(&error).is_some() => {
            Batch { claim: Claim::OneByOne, ..batch }.one_by_one(tx, due)?;
            Ok(due.len())
        }
        taken => taken,
    }
}

/// What one transaction works for.
struct Batch<'a> {
    run: &'a InvoiceRun,
    ticket: &'a Ticket<'a>,
    claim: Claim,
    numbering: Numbering,
}

/// How periods are claimed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Claim {
    /// Those without an occurrence in one stream, which fails as a whole should one have come about after all.
    AtOnce,
    OneByOne,
}

/// When numbers are taken.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Numbering {
    /// Last of all: the invoices are written with those that the batch foresees.
    Foreseen,
    /// Before the invoices are written, once every batch before has taken its own.
    InTurn,
}

/// What a subscription fails of where it, and neither the run nor the database, is what is wrong.
fn problem_of(error: &BatchError) -> Option<&'static str> {
    match error {
        BatchError::Store(StoreError::Unavailable(_)) => None,
        BatchError::Store(StoreError::Refused { violation: Violation::Unique, constraint, .. })
            if constraint == "invoices_number_key" =>
        {
            Some("number_taken")
        }
        BatchError::Store(_) => Some(RunProblem::Internal.code()),
        BatchError::Overtaken => Some(RunProblem::Internal.code()),
        // The one that the run's totals have no room left for. It finds more in the next run.
        BatchError::Run(RunProblem::AmountOverflow) => Some(RunProblem::AmountOverflow.code()),
        BatchError::Run(_) => None,
    }
}

/// A due period of a subscription, and what is to become of it.
struct Row<'a> {
    subscription: &'a Subscription,
    item: Item,
}

impl Row<'_> {
    fn bill(&self) -> Option<&Bill> {
        match &self.item.outcome {
            Outcome::Bill(bill) => Some(bill),
            Outcome::Skip | Outcome::NothingToBill | Outcome::Fail(_) => None,
        }
    }
}

impl Batch<'_> {
    /// Plans subscriptions in their order, until there are enough invoices, does or shows what is planned, and tells how
    /// many it took up.
    fn take_up(&self, tx: &mut Tx<'_>, subscriptions: &[Subscription]) -> Result<usize> {
        let InvoiceRunFields { through_on, issue_on, .. } = self.run.fields;
        let mut book = Book::load(tx, self.run, self.ticket, subscriptions)?;
        let mut plans = Vec::with_capacity(subscriptions.len());
        let mut invoices = 0;
        for subscription in subscriptions {
            let plan = book.plan(subscription, through_on, issue_on)?;
            invoices += plan.invoices();
            plans.push(plan);
            if invoices >= INVOICES_MAX {
                break;
            }
        }
        let taken = plans.len();
        self.carry_out(tx, plans)?;
        Ok(taken)
    }

    /// The same for each subscription alone, so that the one which the database refuses fails alone.
    fn one_by_one(&self, tx: &mut Tx<'_>, due: &[Subscription]) -> Result<()> {
        for subscription in due {
            let alone = std::slice::from_ref(subscription);
            let taken = tx.attempt(|tx| self.take_up(tx, alone));
            if let Err((problem, error)) = taken.map_err(|error| (problem_of(&error), error)) {
                let Some(problem) = problem else { return Err(error) };
                tracing::error!(run = %self.run.id, subscription = %subscription.id, %error, "a subscription failed");
                let plan = match tx.attempt(|tx| Book::load(tx, self.run, self.ticket, alone)) {
                    Ok(book) => book.refuse(subscription, self.run.fields.through_on, problem)?,
                    Err(_) => Plan::refused(subscription, problem)?,
                };
                tx.attempt(|tx| self.carry_out(tx, vec![plan]))?;
            }
        }
        Ok(())
    }

    /// Does, or in a preview only notes, what is planned, and adds it to the progress of the run.
    fn carry_out(&self, tx: &mut Tx<'_>, plans: Vec<Plan<'_>>) -> Result<()> {
        let mut tally = Tally { done: counted(plans.len()), ..Tally::default() };
        let steps: Vec<Advance<'_>> = plans.iter().map(advance).collect();
        let rows: Vec<Row<'_>> = plans
            .into_iter()
            .flat_map(|Plan { subscription, items, .. }| items.into_iter().map(move |item| Row { subscription, item }))
            .collect();
        match self.run.fields.mode {
            RunMode::Preview => self.preview(tx, &mut tally, rows)?,
            RunMode::Draft | RunMode::Issue => {
                subscriptions::advance(tx, self.run.id, &steps)?;
                self.issue(tx, &mut tally, rows)?;
            }
        }
        let run = invoice_runs::lock(tx, self.run.id)?;
        let progress = run.progress.with(tally).map_err(|_| RunProblem::AmountOverflow)?;
        invoice_runs::set_progress(tx, &run, progress)?;
        Ok(())
    }

    /// Claims the periods, and writes the invoices of those to bill, with numbers unless they are only drafted.
    fn issue(&self, tx: &mut Tx<'_>, tally: &mut Tally, rows: Vec<Row<'_>>) -> Result<()> {
        let claimed = self.claim(tx, rows)?;
        let (mut results, mut bills) = (Vec::new(), Vec::with_capacity(claimed.len()));
        for (row, invoice_id) in claimed {
            let mut result = result(self.run, invoice_id.0, &row);
            match row.item.outcome {
                Outcome::Bill(bill) => {
                    tally.invoiced = tally.invoiced.saturating_add(1);
                    add_sums(&mut result, tally, &bill.invoice)?;
                    result.outcome = OccurrenceState::Invoiced;
                    result.invoice_id = Some(invoice_id);
                    bills.push((invoice_id, row.subscription, bill));
                    // What is issued tells it itself. A draft may change.
                    if self.run.fields.mode == RunMode::Issue {
                        continue;
                    }
                }
                Outcome::Skip | Outcome::NothingToBill => tally.skipped = tally.skipped.saturating_add(1),
                Outcome::Fail(_) => tally.failed = tally.failed.saturating_add(1),
            }
            results.push(result);
        }
        invoice_runs::add_results(tx, results)?;
        let mut numbers = match self.run.fields.mode {
            RunMode::Issue => Some(self.numbers(tx, &counts(bills.iter().map(|(_, _, bill)| &**bill)))?),
            RunMode::Preview | RunMode::Draft => None,
        };
        let (mut billed_lines, mut annexes, mut emailed) = (Vec::new(), Vec::new(), Vec::new());
        let numbered = bills.into_iter().map(|(id, subscription, bill)| {
            let Bill { series_id, template_id, invoice, extra_lines, time, is_emailed } = *bill;
            // A draft is sent once somebody has issued it.
            emailed.extend((is_emailed && numbers.is_some()).then_some(id));
            billed_lines.extend(extra_lines.into_iter().map(|line| (line, id)));
            annexes.extend(time.iter().flat_map(|time| time.annex(id)));
            Ok(NewInvoice {
                id,
                series_id,
                number: numbers.as_mut().map(|numbers| numbers.next(series_id)).transpose()?,
                customer_id: subscription.fields.customer_id,
                template_id,
                subscription_id: subscription.id,
                run_id: self.run.id,
                composed: invoice,
            })
        });
        let mut invoices = numbered.collect::<Result<Vec<_>>>()?;
        // In the order of series whoever writes them, so that two who foresee the same numbers never wait for each other.
        invoices.sort_by_key(|invoice| invoice.series_id);
        invoices::create_all(tx, invoices)?;
        invoice_emails::queue_issued(tx, &emailed)?;
        extra_lines::bill(tx, billed_lines)?;
        invoice_time_entries::bill(tx, annexes)?;
        numbers.map_or(Ok(()), |numbers| numbers.confirm(tx, self.ticket))
    }

    /// The numbers for invoices, foreseen where they can be.
    fn numbers(&self, tx: &mut Tx<'_>, counts: &BTreeMap<NumberSeriesId, i64>) -> Result<Numbers> {
        let issue_on = self.run.fields.issue_on;
        if self.numbering == Numbering::Foreseen
            && let Some(foreseen) = Numbers::foresee(tx, self.ticket, issue_on, counts)?
        {
            return Ok(foreseen);
        }
        self.ticket.wait();
        Numbers::take(tx, issue_on, counts)
    }

    /// Claims periods, and gives those that were free, each with the id of the invoice that it may get. Somebody else's
    /// period is not ours to bill, however it came about.
    fn claim<'a>(&self, tx: &mut Tx<'_>, rows: Vec<Row<'a>>) -> Result<Vec<(Row<'a>, InvoiceId)>> {
        let is_at_once = |row: &Row<'_>| self.claim == Claim::AtOnce && row.item.is_new;
        let ids = self.ticket.ids(rows.len()).zip(self.ticket.ids(rows.len()));
        let (mut new, mut known) = (Vec::with_capacity(rows.len()), Vec::new());
        let mut claimed = Vec::with_capacity(rows.len());
        for (row, (id, invoice_id)) in rows.into_iter().zip(ids) {
            let invoice_id = InvoiceId(invoice_id);
            let settled = Settled {
                id: OccurrenceId(id),
                subscription_id: row.subscription.id,
                period: row.item.planned.period,
                scheduled_on: row.item.planned.issue_on,
                outcome: match &row.item.outcome {
                    Outcome::Bill(_) => occurrences::Outcome::Invoiced(invoice_id),
                    Outcome::Skip => occurrences::Outcome::Skipped,
                    Outcome::NothingToBill => occurrences::Outcome::NothingToBill,
                    Outcome::Fail(problem) => occurrences::Outcome::Failed(problem),
                },
            };
            if is_at_once(&row) { &mut new } else { &mut known }.push(settled);
            claimed.push((row, invoice_id));
        }
        occurrences::settle_new(tx, &new)?;
        if !known.is_empty() {
            let free: BTreeSet<_> = occurrences::settle(tx, &known)?.into_iter().collect();
            claimed.retain(|(row, _)| {
                is_at_once(row) || free.contains(&(row.subscription.id, row.item.planned.period.index))
            });
        }
        Ok(claimed)
    }

    /// Notes what an issue would do, and does nothing of it.
    fn preview(&self, tx: &mut Tx<'_>, tally: &mut Tally, rows: Vec<Row<'_>>) -> Result<()> {
        let ids: Vec<NumberSeriesId> = counts(rows.iter().filter_map(Row::bill)).into_keys().collect();
        for series in number_series::find_all(tx, &ids)? {
            check_date(&series, self.run.fields.issue_on)?;
        }
        let ids = self.ticket.ids(rows.len());
        let mut results = Vec::with_capacity(rows.len());
        for (row, id) in rows.into_iter().zip(ids) {
            let mut result = result(self.run, id, &row);
            match row.item.outcome {
                Outcome::Bill(bill) => {
                    tally.planned = tally.planned.saturating_add(1);
                    add_sums(&mut result, tally, &bill.invoice)?;
                }
                Outcome::Skip | Outcome::NothingToBill => tally.skipped = tally.skipped.saturating_add(1),
                Outcome::Fail(_) => tally.failed = tally.failed.saturating_add(1),
            }
            results.push(result);
        }
        invoice_runs::add_results(tx, results)?;
        Ok(())
    }
}

/// Where a subscription stands after what is planned for it.
fn advance<'a>(plan: &Plan<'a>) -> Advance<'a> {
    let before = plan.subscription;
    let consecutive_failures = if plan.has_failed() { before.consecutive_failures.saturating_add(1) } else { 0 };
    let state = before.state_at(plan.position, consecutive_failures);
    Advance { before, state, position: plan.position, consecutive_failures }
}

/// What came of a period, but for its invoice.
fn result(run: &InvoiceRun, id: Uuid, row: &Row<'_>) -> RunResult {
    let Planned { period, part: _, issue_on } = row.item.planned;
    let (outcome, problem) = match row.item.outcome {
        Outcome::Bill(_) => (OccurrenceState::Planned, None),
        Outcome::Skip => (OccurrenceState::Skipped, None),
        Outcome::NothingToBill => (OccurrenceState::Skipped, Some(Refusal::NothingToBill.code().to_owned())),
        Outcome::Fail(problem) => (OccurrenceState::Failed, Some(problem.to_owned())),
    };
    RunResult {
        id,
        run_id: run.id,
        subscription_id: row.subscription.id,
        customer_id: row.subscription.fields.customer_id,
        period_start_on: period.start_on,
        period_end_on: period.end_on,
        scheduled_on: issue_on,
        outcome,
        problem,
        invoice_id: None,
        currency: None,
        net: None,
        vat: None,
        gross: None,
    }
}

/// Puts an invoice's sums into its result and adds them to the tally's totals.
fn add_sums(result: &mut RunResult, tally: &mut Tally, invoice: &Invoice) -> Result<(), RunProblem> {
    result.currency = Some(invoice.currency);
    result.net = Some(invoice.totals.net);
    result.vat = Some(invoice.totals.vat);
    result.gross = Some(invoice.totals.gross);
    let total = CurrencyTotal::of(invoice.currency, &invoice.totals);
    total.add_to(&mut tally.totals).map_err(|_| RunProblem::AmountOverflow)
}

/// How many numbers are needed of each series.
fn counts<'a>(bills: impl Iterator<Item = &'a Bill>) -> BTreeMap<NumberSeriesId, i64> {
    let mut counts = BTreeMap::new();
    for bill in bills {
        *counts.entry(bill.series_id).or_default() += 1;
    }
    counts
}

fn counted(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
