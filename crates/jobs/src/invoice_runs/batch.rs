//! One batch of a run: from due subscriptions to written invoices, in one transaction.

use super::plan::{Bill, Book, Item, Outcome, Plan};
use chrono::NaiveDate;
use opiekun_domain::billing::{Invoice, add_to_totals};
use opiekun_domain::ids::{InvoiceId, NumberSeriesId, OccurrenceId, SubscriptionId, uuid_at};
use opiekun_domain::invoice_run::{RunMode, RunProblem};
use opiekun_domain::numbering::NumberPattern;
use opiekun_domain::occurrence::OccurrenceState;
use opiekun_domain::plan::Planned;
use opiekun_persistence::invoice_runs::{self, InvoiceRun, RunProgress, RunResult};
use opiekun_persistence::invoices::{self, NewInvoice};
use opiekun_persistence::number_series::{self, NumberSeries};
use opiekun_persistence::occurrences::{self, Settled};
use opiekun_persistence::subscriptions::{self, Advance, DueLock, Subscription};
use opiekun_persistence::{StoreError, Tx, Violation};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// How many subscriptions are taken up in one transaction: enough that its cost is spread thin, few enough that
/// a cancellation, a stop and everybody who waits for a number are soon heard.
const SUBSCRIPTIONS_MAX: i64 = 1_000;

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
}

type Result<T, E = BatchError> = std::result::Result<T, E>;

/// Takes up the next subscriptions behind `after` and tells the last of them; `None` when there are none.
pub fn work(
    tx: &mut Tx<'_>,
    run: &InvoiceRun,
    after: Option<SubscriptionId>,
    lock: DueLock,
) -> Result<Option<SubscriptionId>> {
    let due = subscriptions::due(tx, &run.due_filter(), after, SUBSCRIPTIONS_MAX, lock)?;
    if due.is_empty() {
        return Ok(None);
    }
    let progress = match tx.attempt(|tx| take_up(tx, run, run.progress.clone(), &due)) {
        Err(error) if problem_of(&error).is_some() => one_by_one(tx, run, &due)?,
        progress => progress?,
    };
    let last = progress.resume_after;
    invoice_runs::set_progress(tx, run, progress)?;
    Ok(last)
}

/// Plans subscriptions in their order, until there are enough invoices, and does or shows what is planned.
fn take_up(
    tx: &mut Tx<'_>,
    run: &InvoiceRun,
    progress: RunProgress,
    subscriptions: &[Subscription],
) -> Result<RunProgress> {
    let book = Book::load(tx, subscriptions, run.fields.issue_on)?;
    let mut plans = Vec::with_capacity(subscriptions.len());
    let mut invoices = 0;
    for subscription in subscriptions {
        let plan = book.plan(subscription, run.fields.through_on, run.fields.issue_on)?;
        invoices += plan.invoices();
        plans.push(plan);
        if invoices >= INVOICES_MAX {
            break;
        }
    }
    carry_out(tx, run, progress, plans)
}

/// The same for each subscription alone, so that the one which the database refuses fails alone.
fn one_by_one(tx: &mut Tx<'_>, run: &InvoiceRun, due: &[Subscription]) -> Result<RunProgress> {
    let mut progress = run.progress.clone();
    for subscription in due {
        let alone = tx.attempt(|tx| take_up(tx, run, progress.clone(), std::slice::from_ref(subscription)));
        progress = match alone.map_err(|error| (problem_of(&error), error)) {
            Err((Some(problem), error)) => {
                tracing::error!(run = %run.id, subscription = %subscription.id, %error, "a subscription failed");
                let plan =
                    match tx.attempt(|tx| Book::load(tx, std::slice::from_ref(subscription), run.fields.issue_on)) {
                        Ok(book) => book.refuse(subscription, run.fields.through_on, problem)?,
                        Err(_) => Plan::refused(subscription, problem)?,
                    };
                tx.attempt(|tx| carry_out(tx, run, progress.clone(), vec![plan]))?
            }
            Err((None, error)) => return Err(error),
            Ok(progress) => progress,
        };
    }
    Ok(progress)
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

/// Does, or in a preview only notes, what is planned.
fn carry_out(
    tx: &mut Tx<'_>,
    run: &InvoiceRun,
    mut progress: RunProgress,
    plans: Vec<Plan<'_>>,
) -> Result<RunProgress> {
    progress.done = progress.done.saturating_add(counted(plans.len()));
    progress.resume_after = plans.last().map(|plan| plan.subscription.id).or(progress.resume_after);
    let steps: Vec<Advance<'_>> = plans.iter().map(advance).collect();
    let rows: Vec<Row<'_>> = plans
        .into_iter()
        .flat_map(|Plan { subscription, items, .. }| items.into_iter().map(move |item| Row { subscription, item }))
        .collect();
    match run.fields.mode {
        RunMode::Preview => preview(tx, run, &mut progress, rows)?,
        RunMode::Issue => {
            issue(tx, run, &mut progress, rows)?;
            subscriptions::advance(tx, &steps)?;
        }
    }
    Ok(progress)
}

/// Where a subscription stands after what is planned for it.
fn advance<'a>(plan: &Plan<'a>) -> Advance<'a> {
    let before = plan.subscription;
    let consecutive_failures = if plan.has_failed() { before.consecutive_failures.saturating_add(1) } else { 0 };
    let state = before.state_at(plan.position, consecutive_failures);
    Advance { before, state, position: plan.position, consecutive_failures }
}

/// Claims the periods, takes numbers for those to bill, and writes their invoices.
fn issue(tx: &mut Tx<'_>, run: &InvoiceRun, progress: &mut RunProgress, rows: Vec<Row<'_>>) -> Result<()> {
    let invoice_ids: Vec<InvoiceId> = ascending_ids(tx, rows.len()).map(InvoiceId).collect();
    let occurrence_ids = ascending_ids(tx, rows.len()).map(OccurrenceId);
    let settled: Vec<Settled> = rows
        .iter()
        .zip(occurrence_ids)
        .zip(&invoice_ids)
        .map(|((row, id), invoice_id)| Settled {
            id,
            subscription_id: row.subscription.id,
            period: row.item.planned.period,
            scheduled_on: row.item.planned.issue_on,
            outcome: match &row.item.outcome {
                Outcome::Bill(_) => occurrences::Outcome::Invoiced(*invoice_id),
                Outcome::Skip => occurrences::Outcome::Skipped,
                Outcome::Fail(problem) => occurrences::Outcome::Failed(problem),
            },
        })
        .collect();
    // Somebody else's period is not ours to bill, however it came about.
    let claimed: BTreeSet<_> = occurrences::settle(tx, &settled)?.into_iter().collect();
    let rows: Vec<_> = rows
        .into_iter()
        .zip(invoice_ids)
        .filter(|(row, _)| claimed.contains(&(row.subscription.id, row.item.planned.period.index)))
        .collect();

    let mut numbers = Numbers::take(tx, run.fields.issue_on, &counts(rows.iter().map(|(row, _)| row)))?;
    let mut results = Vec::with_capacity(rows.len());
    let mut invoices = Vec::with_capacity(rows.len());
    for ((row, invoice_id), id) in rows.into_iter().zip(ascending_ids(tx, settled.len())) {
        let mut result = result(run, id, &row);
        match row.item.outcome {
            Outcome::Bill(bill) => {
                let Bill { series_id, template_id, invoice } = *bill;
                progress.invoiced = progress.invoiced.saturating_add(1);
                add_sums(&mut result, progress, &invoice)?;
                result.outcome = OccurrenceState::Invoiced;
                result.invoice_id = Some(invoice_id);
                invoices.push(NewInvoice {
                    id: invoice_id,
                    series_id,
                    number: numbers.next(series_id)?,
                    customer_id: row.subscription.fields.customer_id,
                    template_id,
                    subscription_id: row.subscription.id,
                    run_id: run.id,
                    composed: invoice,
                });
            }
            Outcome::Skip => progress.skipped = progress.skipped.saturating_add(1),
            Outcome::Fail(_) => progress.failed = progress.failed.saturating_add(1),
        }
        results.push(result);
    }
    invoices::issue_all(tx, invoices)?;
    invoice_runs::add_results(tx, results)?;
    Ok(())
}

/// Notes what an issue would do, and does nothing of it.
fn preview(tx: &mut Tx<'_>, run: &InvoiceRun, progress: &mut RunProgress, rows: Vec<Row<'_>>) -> Result<()> {
    let ids: Vec<NumberSeriesId> = counts(rows.iter()).into_keys().collect();
    for series in number_series::find_all(tx, &ids)? {
        check_date(&series, run.fields.issue_on)?;
    }
    let ids = ascending_ids(tx, rows.len());
    let mut results = Vec::with_capacity(rows.len());
    for (row, id) in rows.into_iter().zip(ids) {
        let mut result = result(run, id, &row);
        match row.item.outcome {
            Outcome::Bill(bill) => {
                progress.planned = progress.planned.saturating_add(1);
                add_sums(&mut result, progress, &bill.invoice)?;
            }
            Outcome::Skip => progress.skipped = progress.skipped.saturating_add(1),
            Outcome::Fail(_) => progress.failed = progress.failed.saturating_add(1),
        }
        results.push(result);
    }
    invoice_runs::add_results(tx, results)?;
    Ok(())
}

/// What came of a period, but for its invoice.
fn result(run: &InvoiceRun, id: Uuid, row: &Row<'_>) -> RunResult {
    let Planned { period, part: _, issue_on } = row.item.planned;
    let (outcome, problem) = match row.item.outcome {
        Outcome::Bill(_) => (OccurrenceState::Planned, None),
        Outcome::Skip => (OccurrenceState::Skipped, None),
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

/// Puts an invoice's sums into its result and adds them to the run's totals.
fn add_sums(result: &mut RunResult, progress: &mut RunProgress, invoice: &Invoice) -> Result<(), RunProblem> {
    result.currency = Some(invoice.currency);
    result.net = Some(invoice.totals.net);
    result.vat = Some(invoice.totals.vat);
    result.gross = Some(invoice.totals.gross);
    add_to_totals(&mut progress.totals.0, invoice.currency, &invoice.totals).map_err(|_| RunProblem::AmountOverflow)
}

/// How many numbers are needed of each series.
fn counts<'a>(rows: impl Iterator<Item = &'a Row<'a>>) -> BTreeMap<NumberSeriesId, i64> {
    let mut counts = BTreeMap::new();
    for row in rows {
        if let Outcome::Bill(bill) = &row.item.outcome {
            *counts.entry(bill.series_id).or_default() += 1;
        }
    }
    counts
}

/// Numbers taken for this batch and not given to an invoice yet.
struct Numbers {
    issue_on: NaiveDate,
    series: BTreeMap<NumberSeriesId, (NumberPattern, u32)>,
}

impl Numbers {
    fn take(tx: &mut Tx<'_>, issue_on: NaiveDate, counts: &BTreeMap<NumberSeriesId, i64>) -> Result<Self> {
        let ids: Vec<NumberSeriesId> = counts.keys().copied().collect();
        let mut taken = BTreeMap::new();
        for series in number_series::lock_all(tx, &ids)? {
            check_date(&series, issue_on)?;
            let fields = &series.fields;
            let pattern = NumberPattern::new(&fields.pattern, fields.reset).map_err(|problem| {
                tracing::error!(series = %series.id, %problem, "a series has a pattern that is none");
                RunProblem::Internal
            })?;
            let count = counts.get(&series.id).copied().unwrap_or_default();
            let first = number_series::take(tx, &series, &fields.reset.counter_key(issue_on), count, issue_on)?;
            taken.insert(series.id, (pattern, u32::try_from(first).map_err(|_| RunProblem::Internal)?));
        }
        Ok(Self { issue_on, series: taken })
    }

    fn next(&mut self, series_id: NumberSeriesId) -> Result<String, RunProblem> {
        let (pattern, next) = self.series.get_mut(&series_id).ok_or(RunProblem::Internal)?;
        let number = *next;
        *next += 1;
        Ok(pattern.render(number, self.issue_on))
    }
}

/// The invoices of a series go on in time.
fn check_date(series: &NumberSeries, issue_on: NaiveDate) -> Result<(), RunProblem> {
    match series.last_issued_on {
        Some(last) if last > issue_on => Err(RunProblem::IssuedBeforeLast),
        _ => Ok(()),
    }
}

/// New ids that sort as they come, so that whatever is listed by them is listed in the order of working.
fn ascending_ids(tx: &Tx<'_>, count: usize) -> impl Iterator<Item = Uuid> + use<> {
    let mut ids: Vec<Uuid> = (0..count).map(|_| uuid_at(tx.now)).collect();
    ids.sort_unstable();
    ids.into_iter()
}

fn counted(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
