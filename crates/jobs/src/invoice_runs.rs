//! Invoice runs: everything due through a date, planned, composed and issued (or drafted, or only shown), batch by
//! batch.
//!
//! A batch is one transaction: its subscriptions are locked, their periods claimed, their numbers taken, their
//! invoices written and the run's progress with them. Whatever stops a run between two batches leaves both the
//! invoices and the numbers whole, and the next who takes it up goes on behind the last batch.

mod batch;
mod plan;

use crate::worker::{Clock, Stop};
use batch::BatchError;
use opiekun_domain::ids::{InvoiceRunId, SubscriptionId};
use opiekun_domain::invoice_run::{RunMode, RunProblem, RunStatus};
use opiekun_persistence::invoice_runs::{self, InvoiceRun, RunLease, RunProgress};
use opiekun_persistence::subscriptions::{self, DueLock};
use opiekun_persistence::{Db, Result, Scope, StoreError, Tx};
use std::time::Duration;

/// Works on one run that nobody else works on; `false` when there is none.
pub(crate) fn work(db: &Db, clock: Clock, stop: &Stop) -> Result<bool> {
    match RunLease::any(db)? {
        Some(mut lease) => work_on(&mut lease, clock, stop).map(|()| true),
        None => Ok(false),
    }
}

/// Works on one run, or waits while others do, until it is finished.
pub fn run_to_end(db: &Db, clock: Clock, scope: Scope, run_id: InvoiceRunId) -> Result<InvoiceRun> {
    const EVERY: Duration = Duration::from_millis(100);
    let never = Stop::default();
    loop {
        if let Some(mut lease) = RunLease::of(db, scope.organization_id, run_id)? {
            work_on(&mut lease, clock, &never)?;
        }
        let run = db.read(scope, clock(), |tx| invoice_runs::find(tx, run_id))?;
        if run.progress.status.is_finished() {
            return Ok(run);
        }
        std::thread::sleep(EVERY);
    }
}

/// Works on a run until it is finished or the node is to stop.
fn work_on(lease: &mut RunLease, clock: Clock, stop: &Stop) -> Result<()> {
    match work_through(lease, clock, stop) {
        Ok(()) => Ok(()),
        Err(BatchError::Store(error @ StoreError::Unavailable(_))) => Err(error),
        Err(BatchError::Run(problem)) => fail(lease, clock, problem),
        Err(BatchError::Store(error)) => {
            tracing::error!(run = %lease.run_id(), %error, "an invoice run failed");
            fail(lease, clock, RunProblem::Internal)
        }
    }
}

fn work_through(lease: &mut RunLease, clock: Clock, stop: &Stop) -> Result<(), BatchError> {
    let run_id = lease.run_id();
    let run = lease.transaction(clock(), |tx| start(tx, run_id))?;
    // What another transaction holds at first, another run's batch most likely, is waited for in a second round.
    let rounds: &[DueLock] = match run.fields.mode {
        RunMode::Preview => &[DueLock::None],
        RunMode::Draft | RunMode::Issue => &[DueLock::SkipLocked, DueLock::Wait],
    };
    let mut after = run.progress.resume_after;
    for lock in rounds {
        loop {
            if stop.is_set() {
                return Ok(());
            }
            match lease.transaction(clock(), |tx| step(tx, run_id, after, *lock))? {
                Step::Behind(subscription_id) => after = Some(subscription_id),
                Step::NothingLeft => break,
                Step::Cancelled => return Ok(()),
            }
        }
        after = None;
    }
    Ok(lease.transaction(clock(), |tx| finish(tx, run_id))?)
}

/// One batch, unless the run was cancelled meanwhile.
fn step(
    tx: &mut Tx<'_>,
    run_id: InvoiceRunId,
    after: Option<SubscriptionId>,
    lock: DueLock,
) -> Result<Step, BatchError> {
    // Not locked: nobody else works on it, and who cancels it need not wait for the batch.
    let run = invoice_runs::find(tx, run_id)?;
    if run.cancel_requested_at.is_some() {
        end(tx, &run, RunStatus::Cancelled, None)?;
        return Ok(Step::Cancelled);
    }
    Ok(match batch::work(tx, &run, after, lock)? {
        Some(subscription_id) => Step::Behind(subscription_id),
        None => Step::NothingLeft,
    })
}

/// Where a batch leaves the run.
enum Step {
    Behind(SubscriptionId),
    NothingLeft,
    Cancelled,
}

/// Notes that the run is being worked on, and of how much it is about.
fn start(tx: &mut Tx<'_>, run_id: InvoiceRunId) -> Result<InvoiceRun> {
    let run = invoice_runs::lock(tx, run_id)?;
    if run.progress.status != RunStatus::Queued {
        return Ok(run);
    }
    let total = i32::try_from(subscriptions::count_due(tx, &run.due_filter())?).unwrap_or(i32::MAX);
    let progress = RunProgress { status: RunStatus::Running, total, started_at: Some(tx.now), ..run.progress.clone() };
    invoice_runs::set_progress(tx, &run, progress)
}

fn finish(tx: &mut Tx<'_>, run_id: InvoiceRunId) -> Result<()> {
    let run = invoice_runs::lock(tx, run_id)?;
    let status = if run.progress.failed == 0 { RunStatus::Succeeded } else { RunStatus::PartiallyFailed };
    end(tx, &run, status, None)
}

fn fail(lease: &mut RunLease, clock: Clock, problem: RunProblem) -> Result<()> {
    let run_id = lease.run_id();
    lease.transaction(clock(), |tx| {
        let run = invoice_runs::lock(tx, run_id)?;
        end(tx, &run, RunStatus::Failed, Some(problem))
    })
}

fn end(tx: &mut Tx<'_>, run: &InvoiceRun, status: RunStatus, problem: Option<RunProblem>) -> Result<()> {
    // Other runs may have taken up some of what was due when this one began.
    let is_through = matches!(status, RunStatus::Succeeded | RunStatus::PartiallyFailed);
    let progress = RunProgress {
        status,
        total: if is_through { run.progress.done } else { run.progress.total },
        problem: problem.map(|problem| problem.code().to_owned()),
        finished_at: Some(tx.now),
        ..run.progress.clone()
    };
    invoice_runs::set_progress(tx, run, progress)?;
    Ok(())
}
