//! Lanes: batches of a run that are worked on side by side. Each foresees its numbers and writes its invoices with
//! them; the numbers themselves are taken in turn, right before the commit. Where somebody else has taken one
//! meanwhile, what was written by foreseen numbers is undone, and done again in turn.

use chrono::{DateTime, TimeDelta, Utc};
use opiekun_domain::ids::{NumberSeriesId, SubscriptionId, uuid_at};
use opiekun_persistence::invoice_runs::InvoiceRun;
use opiekun_persistence::subscriptions::{self, DueLock, Stretch, Subscription};
use opiekun_persistence::{Result, Tx};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use uuid::Uuid;

/// One way through everything that a run has due, shared by its lanes.
pub struct Round {
    lock: DueLock,
    state: Mutex<State>,
    passed: Condvar,
}

struct State {
    /// The last subscription that a lane has taken up.
    after: Option<SubscriptionId>,
    /// Whether a lane has come to something that ends the round for all.
    is_over: bool,
    /// The number of the next ticket, and its moment at the earliest.
    next_ticket: u64,
    next_moment: DateTime<Utc>,
    /// Whose turn it is, and who has passed before that.
    turn: u64,
    passed: BTreeSet<u64>,
    /// The tickets that go by foreseen numbers and have not passed, and the numbers behind theirs.
    ahead: BTreeSet<u64>,
    foreseen: BTreeMap<NumberSeriesId, i64>,
    /// Whether one has given up what it foresaw: those behind it have foreseen in vain.
    is_broken: bool,
    /// How often that has come about.
    breaks: u32,
}

impl State {
    /// Whether every ticket before this one has passed or goes by foreseen numbers.
    fn is_foreseeable(&self, number: u64) -> bool {
        (self.turn..number).all(|before| self.passed.contains(&before) || self.ahead.contains(&before))
    }
}

/// A batch's place in the order of a round, until it is dropped.
pub struct Ticket<'r> {
    round: &'r Round,
    number: u64,
    /// The moment of the ids that the batch makes. It counts up with the tickets, so that whatever is listed by ids is
    /// listed in the order of numbers.
    moment: DateTime<Utc>,
}

impl Round {
    pub fn new(lock: DueLock) -> Self {
        let state = State {
            after: None,
            is_over: false,
            next_ticket: 0,
            next_moment: DateTime::<Utc>::MIN_UTC,
            turn: 0,
            passed: BTreeSet::new(),
            ahead: BTreeSet::new(),
            foreseen: BTreeMap::new(),
            is_broken: false,
            breaks: 0,
        };
        Self { lock, state: Mutex::new(state), passed: Condvar::new() }
    }

    /// Takes up the next subscriptions of `rest`, what a lane has left of an earlier batch, or of those that no lane has
    /// taken up. None are left where there are none.
    pub fn take(
        &self,
        tx: &mut Tx<'_>,
        run: &InvoiceRun,
        rest: Option<Stretch>,
        limit: i64,
    ) -> Result<(Vec<Subscription>, Ticket<'_>)> {
        let mut state = self.state();
        let stretch = rest.unwrap_or(Stretch { after: state.after, through: None });
        let due = subscriptions::due(tx, &run.due_filter(), stretch, limit, self.lock)?;
        if rest.is_none() {
            state.after = due.last().map(|last| last.id).or(state.after);
        }
        let (number, moment) = (state.next_ticket, state.next_moment.max(tx.now));
        state.next_ticket = number + 1;
        state.next_moment = moment + TimeDelta::milliseconds(1);
        Ok((due, Ticket { round: self, number, moment }))
    }

    /// Ends the round for all lanes: each ends the batch that it is at.
    pub fn end(&self) {
        self.state().is_over = true;
    }

    pub fn is_over(&self) -> bool {
        self.state().is_over
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticket<'_> {
    /// Waits until every ticket before this one is dropped.
    pub fn wait(&self) {
        drop(self.wait_while(|state| state.turn < self.number));
    }

    /// Foresees the first numbers of a batch that takes `counts` of them: those behind the numbers of the batches before
    /// it, or what `next` reads of the series that none of them takes from. `None` where that has gone wrong too often.
    pub fn foresee(
        &self,
        counts: &BTreeMap<NumberSeriesId, i64>,
        next: impl FnOnce() -> Result<BTreeMap<NumberSeriesId, i64>>,
    ) -> Result<Option<BTreeMap<NumberSeriesId, i64>>> {
        /// Who meets others in his series again and again is faster in turn.
        const BREAKS_MAX: u32 = 3;
        let mut state = self.wait_while(|state| !state.is_foreseeable(self.number));
        if state.breaks >= BREAKS_MAX {
            return Ok(None);
        }
        if state.ahead.is_empty() {
            state.foreseen.clear();
            state.is_broken = false;
        }
        let next = next()?;
        let mut first = BTreeMap::new();
        for (series, count) in counts {
            let number = state.foreseen.get(series).or(next.get(series)).copied().unwrap_or(1);
            state.foreseen.insert(*series, number + count);
            first.insert(*series, number);
        }
        state.ahead.insert(self.number);
        self.round.passed.notify_all();
        Ok(Some(first))
    }

    /// Waits for its turn, and tells whether it came: not where a batch before has given up what it foresaw.
    pub fn keeps(&self) -> bool {
        let state = self.wait_while(|state| state.turn < self.number && !state.is_broken);
        state.turn >= self.number
    }

    /// Gives up what it foresaw, and waits for its turn and until nobody else goes by foreseen numbers.
    ///
    /// Whatever was written by them is undone before: others wait for it.
    pub fn fall_back(&self) {
        let mut state = self.round.state();
        if state.ahead.remove(&self.number) {
            state.is_broken = true;
            state.breaks += 1;
        }
        self.round.passed.notify_all();
        drop(state);
        drop(self.wait_while(|state| state.turn < self.number || !state.ahead.is_empty()));
    }

    fn wait_while(&self, condition: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        let waited = self.round.passed.wait_while(self.round.state(), |state| condition(state));
        waited.unwrap_or_else(PoisonError::into_inner)
    }

    /// New ids that sort as they come, behind those of the tickets before.
    pub fn ids(&self, count: usize) -> impl Iterator<Item = Uuid> + use<> {
        let mut ids: Vec<Uuid> = (0..count).map(|_| uuid_at(self.moment)).collect();
        ids.sort_unstable();
        ids.into_iter()
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let mut state = self.round.state();
        state.ahead.remove(&self.number);
        state.passed.insert(self.number);
        while let Some(number) = state.passed.first().copied().filter(|number| *number == state.turn) {
            state.passed.remove(&number);
            state.turn += 1;
        }
        self.round.passed.notify_all();
    }
}
