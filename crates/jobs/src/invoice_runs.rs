//! Invoice runs: everything due through a date, planned, composed and issued (or drafted, or only shown), batch by
//! batch.
//!
//! A batch is one transaction: its subscriptions are locked, their periods claimed, their numbers taken, their
//! invoices written and the run's progress with them. Whatever stops a run leaves both the invoices and the numbers
//! whole, and the next who takes it up goes on with what has no result in it. Two batches are worked on side by side,
//! in [`lanes`].

mod batch;
mod lanes;
mod numbers;
mod plan;

use crate::worker::{Clock, Stop};
use batch::BatchError;
use lanes::{Round, Ticket};
use opiekun_domain::ids::InvoiceRunId;
use opiekun_domain::invoice_run::{RunMode, RunProblem, RunStatus};
use opiekun_persistence::invoice_runs::{self, InvoiceRun, RunLease, RunProgress, RunSession};
use opiekun_persistence::subscriptions::{self, DueLock, Stretch};
use opiekun_persistence::{Db, Result, Scope, StoreError, Tx};
use std::time::Duration;

/// How many subscriptions are taken up in one transaction: enough that its cost is spread thin, few enough that
/// a cancellation, a stop and everybody who waits for a number are soon heard.
const SUBSCRIPTIONS_A_BATCH: i64 = 1_000;

/// Works on one run that nobody else works on; `false` when there is none.
pub(crate) fn work(db: &Db, clock: Clock, stop: &Stop) -> Result<bool> {
    match RunLease::any(db)? {
        Some(mut lease) => work_on(db, &mut lease, clock, stop).map(|()| true),
        None => Ok(false),
    }
}

/// Works on one run, or waits while others do, until it is finished.
pub fn run_to_end(db: &Db, clock: Clock, scope: Scope, run_id: InvoiceRunId) -> Result<InvoiceRun> {
    const EVERY: Duration = Duration::from_millis(100);
    let never = Stop::default();
    loop {
        if let Some(mut lease) = RunLease::of(db, scope.organization_id, run_id)? {
            work_on(db, &mut lease, clock, &never)?;
        }
        let run = db.read(scope, clock(), |tx| invoice_runs::find(tx, run_id))?;
        if run.progress.status.is_finished() {
            return Ok(run);
        }
        std::thread::sleep(EVERY);
    }
}

/// Works on a run until it is finished or the node is to stop.
fn work_on(db: &Db, lease: &mut RunLease, clock: Clock, stop: &Stop) -> Result<()> {
    match work_through(db, lease, clock, stop) {
        Ok(()) => Ok(()),
        Err(BatchError::Store(error @ StoreError::Unavailable(_))) => Err(error),
        Err(BatchError::Run(problem)) => fail(lease, clock, problem),
        Err(error) => {
            tracing::error!(run = %lease.run_id(), %error, "an invoice run failed");
            fail(lease, clock, RunProblem::Internal)
        }
    }
}

fn work_through(db: &Db, lease: &mut RunLease, clock: Clock, stop: &Stop) -> Result<(), BatchError> {
    let run_id = lease.run_id();
    let run = lease.session().transaction(clock(), |tx| start(tx, run_id))?;
    // What another transaction holds at first, another run's batch most likely, is waited for in a second round.
    let rounds: &[DueLock] = match run.fields.mode {
        RunMode::Preview => &[DueLock::None],
        RunMode::Draft | RunMode::Issue => &[DueLock::SkipLocked, DueLock::Wait],
    };
    for lock in rounds {
        // Beside a lane that waits for others a second one would but wait too. A small run needs none.
        let has_two = *lock == DueLock::SkipLocked && i64::from(run.progress.total) > SUBSCRIPTIONS_A_BATCH;
        let beside = if has_two { Some(lease.beside(db)?) } else { None };
        let round = Round::new(*lock);
        let (first, second) = std::thread::scope(|scope| {
            let second = beside.map(|mut session| {
                let round = &round;
                scope.spawn(move || lane(&mut session, run_id, round, clock, stop))
            });
            let first = lane(lease.session(), run_id, &round, clock, stop);
            let second = second.map_or(Ok(LaneEnd::NothingLeft), |second| {
                second.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            });
            (first, second)
        });
        match first?.max(second?) {
            LaneEnd::NothingLeft => {}
            LaneEnd::Stopped => return Ok(()),
            LaneEnd::Cancelled => {
                return Ok(lease.session().transaction(clock(), |tx| finish(tx, run_id, RunStatus::Cancelled))?);
            }
        }
    }
    Ok(lease.session().transaction(clock(), |tx| finish(tx, run_id, RunStatus::Succeeded))?)
}

/// Why a lane came to its end; what ends the run is greater.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum LaneEnd {
    NothingLeft,
    Stopped,
    Cancelled,
}

/// One batch after the other, until nothing is left of the round.
fn lane(
    session: &mut RunSession,
    run_id: InvoiceRunId,
    round: &Round,
    clock: Clock,
    stop: &Stop,
) -> Result<LaneEnd, BatchError> {
    let mut rest = None;
    while !round.is_over() {
        if stop.is_set() {
            return Ok(LaneEnd::Stopped);
        }
        // Dropped behind the commit: until then nobody takes the next numbers.
        let mut ticket = None;
        let step = session.transaction(clock(), |tx| step(tx, run_id, round, rest, &mut ticket));
        match step {
            Ok(Step::Behind(left)) => rest = left,
            Ok(Step::NothingLeft) => return Ok(LaneEnd::NothingLeft),
            Ok(Step::Cancelled) => {
                round.end();
                return Ok(LaneEnd::Cancelled);
            }
            Err(error) => {
                round.end();
                return Err(error);
            }
        }
    }
    Ok(LaneEnd::NothingLeft)
}

/// One batch, unless the run was cancelled meanwhile.
fn step<'r>(
    tx: &mut Tx<'_>,
    run_id: InvoiceRunId,
    round: &'r Round,
    rest: Option<Stretch>,
    ticket: &mut Option<Ticket<'r>>,
) -> Result<Step, BatchError> {
    // Not locked: who cancels it need not wait for the batch.
    let run = invoice_runs::find(tx, run_id)?;
    if run.cancel_requested_at.is_some() {
        return Ok(Step::Cancelled);
    }
    let (due, taken) = round.take(tx, &run, rest, SUBSCRIPTIONS_A_BATCH)?;
    let ticket = ticket.insert(taken);
    let Some(last) = due.last() else {
        return Ok(if rest.is_some() { Step::Behind(None) } else { Step::NothingLeft });
    };
    let done = batch::work(tx, &run, &due, ticket)?;
    let left = due.get(done..).is_some_and(|left| !left.is_empty());
    let after = due[..done].last().map(|it| it.id);
    Ok(Step::Behind(left.then_some(Stretch { after, through: Some(last.id) })))
}

/// Where a batch leaves its lane.
enum Step {
    /// Behind what it took up, but for the rest of that.
    Behind(Option<Stretch>),
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

fn finish(tx: &mut Tx<'_>, run_id: InvoiceRunId, status: RunStatus) -> Result<()> {
    let run = invoice_runs::lock(tx, run_id)?;
    let has_failed = status == RunStatus::Succeeded && run.progress.failed > 0;
    end(tx, &run, if has_failed { RunStatus::PartiallyFailed } else { status }, None)
}

fn fail(lease: &mut RunLease, clock: Clock, problem: RunProblem) -> Result<()> {
    let run_id = lease.run_id();
    lease.session().transaction(clock(), |tx| {
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
