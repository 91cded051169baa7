//! The threads of a node that do its background work.

use crate::invoice_emails::{self, Mailer};
use crate::{automatic_runs, files, invoice_runs, procedure_schedules, reminders, search};
use chrono::{DateTime, Utc};
use opiekun_files::FileStore;
use opiekun_persistence::{Db, Result, credentials, events, idempotency, task_reminders};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Tells what time it is, in whole microseconds.
pub type Clock = fn() -> DateTime<Utc>;

/// How many invoice runs one node works on at a time: a long one does not hold up a short one.
const RUNS_AT_ONCE: usize = 2;
/// How soon a run that was asked for is taken up.
const RUNS_EVERY: Duration = Duration::from_millis(250);
/// How soon an event reaches its readers.
const EVENTS_EVERY: Duration = Duration::from_millis(200);
/// How many events are published at a time.
const EVENTS_AT_ONCE: i64 = 1_000;
/// How soon a reminder is told when its moment has come.
const REMINDERS_EVERY: Duration = Duration::from_secs(2);
/// How many reminders are told at a time.
const REMINDERS_AT_ONCE: i64 = 200;
/// How soon invoices are reminded of when the hour for that has come.
const INVOICE_REMINDERS_EVERY: Duration = Duration::from_secs(30);
/// How soon an automatic run is queued when its hour has come.
const AUTOMATIC_RUNS_EVERY: Duration = Duration::from_secs(30);
/// How soon a procedure is started when its day has come.
const SCHEDULES_EVERY: Duration = Duration::from_secs(20);
/// How soon what broken uploads leave is looked for.
const FILES_EVERY: Duration = Duration::from_secs(60);
/// How soon what an earlier version has indexed is looked for.
const SEARCH_EVERY: Duration = Duration::from_secs(60);
const SWEEP_EVERY: Duration = Duration::from_secs(3_600);
/// How many e-mails one node puts together and sends at a time, each over a connection of its own.
const EMAILS_AT_ONCE: usize = 4;
/// How soon an e-mail is taken up that came by itself; one that was asked for at once, where the node is woken.
const EMAILS_EVERY: Duration = Duration::from_secs(2);
/// After a fault the same work is tried again, but not at once.
const AFTER_A_FAULT: Duration = Duration::from_secs(1);

/// The background work of one node, from [`start`](Self::start) to [`stop`](Self::stop).
pub struct Worker {
    stop: Arc<Stop>,
    threads: Vec<JoinHandle<()>>,
}

impl Worker {
    /// Starts the threads. They take at most ten connections of the pool at a time, and one more for automatic runs.
    pub fn start(db: &Db, clock: Clock, store: &FileStore) -> Self {
        let mut worker = Self { stop: Arc::default(), threads: Vec::new() };
        for _ in 0..RUNS_AT_ONCE {
            worker.repeat("invoice runs", RUNS_EVERY, db, move |db, stop| invoice_runs::work(db, clock, stop));
        }
        worker.repeat("events", EVENTS_EVERY, db, |db, _| publish_events(db));
        worker.repeat("reminders", REMINDERS_EVERY, db, move |db, _| tell_reminders(db, clock()));
        worker.repeat("procedure schedules", SCHEDULES_EVERY, db, move |db, stop| {
            procedure_schedules::work(db, clock, stop)
        });
        let store = store.clone();
        worker.repeat("files", FILES_EVERY, db, move |db, _| files::sweep(db, &store, clock()));
        worker.repeat("search", SEARCH_EVERY, db, move |db, _| search::renew(db, clock));
        worker.repeat("reminders of invoices", INVOICE_REMINDERS_EVERY, db, move |db, _| {
            reminders::queue(db, clock()).map(|_| false)
        });
        worker.repeat("sweep", SWEEP_EVERY, db, move |db, _| sweep(db, clock()));
        worker
    }

    /// Also queues the daily runs of organizations that ask for them, which a node does only where it is told to.
    pub fn invoice_automatically(&mut self, db: &Db, clock: Clock) {
        self.repeat("automatic runs", AUTOMATIC_RUNS_EVERY, db, move |db, _| {
            automatic_runs::queue(db, clock()).map(|_| false)
        });
    }

    /// Also sends e-mails, which a node does that knows a mail server. It takes up to four connections of the pool more.
    pub fn send_emails(&mut self, db: &Db, clock: Clock, mailer: Mailer) {
        let mailer = Arc::new(mailer);
        for _ in 0..EMAILS_AT_ONCE {
            let (mailer, line) = (Arc::clone(&mailer), Mutex::default());
            self.repeat("e-mails", EMAILS_EVERY, db, move |db, stop| {
                invoice_emails::work(db, clock, stop, &mailer, &line)
            });
        }
    }

    /// What tells the threads of this node that there is new work, so that they look at once. Other nodes look by
    /// themselves soon enough.
    pub fn waker(&self) -> impl Fn() + Send + Sync + 'static {
        let stop = Arc::clone(&self.stop);
        move || stop.wake()
    }

    /// Lets every thread end what it is at (of an invoice run, the batch) and waits for them. What is left goes on
    /// at the next start, or on another node.
    pub fn stop(self) {
        self.stop.set();
        for thread in self.threads {
            let _ = thread.join();
        }
    }

    /// Does `work` over and over, with a pause whenever it says, by `false`, that nothing was left to do.
    fn repeat(
        &mut self,
        name: &'static str,
        every: Duration,
        db: &Db,
        work: impl Fn(&Db, &Stop) -> Result<bool> + Send + 'static,
    ) {
        let (db, stop) = (db.clone(), Arc::clone(&self.stop));
        let turn = move || {
            while !stop.is_set() {
                let wakes = stop.wakes();
                // A fault of the work, even a panic, ends the turn and not the thread.
                let pause = match catch_unwind(AssertUnwindSafe(|| work(&db, &stop))) {
                    Ok(Ok(true)) => continue,
                    Ok(Ok(false)) => every,
                    Ok(Err(error)) => {
                        tracing::warn!(work = name, %error, "background work will be tried again");
                        AFTER_A_FAULT
                    }
                    Err(_) => {
                        tracing::error!(work = name, "background work panicked and will be tried again");
                        AFTER_A_FAULT
                    }
                };
                stop.wait(pause, wakes);
            }
        };
        match std::thread::Builder::new().name(name.to_owned()).spawn(turn) {
            Ok(thread) => self.threads.push(thread),
            Err(error) => tracing::error!(work = name, %error, "no thread for background work"),
        }
    }
}

/// Says to the threads that they shall end, or look for work.
#[derive(Debug, Default)]
pub(crate) struct Stop {
    told: Mutex<Told>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Told {
    stop: bool,
    /// How often they were woken.
    wakes: u64,
}

impl Stop {
    pub fn is_set(&self) -> bool {
        self.told().stop
    }

    fn set(&self) {
        self.told().stop = true;
        self.changed.notify_all();
    }

    fn wake(&self) {
        self.told().wakes += 1;
        self.changed.notify_all();
    }

    fn wakes(&self) -> u64 {
        self.told().wakes
    }

    /// Waits, but not past the moment when it is set, or when a thread is woken that was so `wakes` times before.
    fn wait(&self, pause: Duration, wakes: u64) {
        let is_idle = |told: &mut Told| !told.stop && told.wakes == wakes;
        let _ = self.changed.wait_timeout_while(self.told(), pause, is_idle);
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Publishes a batch of events; `true` when more may wait.
fn publish_events(db: &Db) -> Result<bool> {
    let published = events::publish(db, EVENTS_AT_ONCE)?;
    Ok(i64::try_from(published).is_ok_and(|published| published == EVENTS_AT_ONCE))
}

/// Tells a batch of reminders; `true` when more may wait.
fn tell_reminders(db: &Db, now: DateTime<Utc>) -> Result<bool> {
    let told = task_reminders::tell_due(db, now, REMINDERS_AT_ONCE)?;
    Ok(i64::try_from(told).is_ok_and(|told| told == REMINDERS_AT_ONCE))
}

/// Forgets idempotency keys and refresh tokens that have run out.
fn sweep(db: &Db, now: DateTime<Utc>) -> Result<bool> {
    idempotency::sweep(db, now)?;
    credentials::sweep(db, now)?;
    Ok(false)
}
