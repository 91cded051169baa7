//! What a matter is made of, and what of it follows from the rest: when work was given and when it was done with.

use opiekun_domain::interaction::{Channel, Direction};
use opiekun_domain::task::TaskPriority;

/// Who does something: a place in the team.
pub type Who = usize;

pub const MAREK: Who = 1;
pub const KATARZYNA: Who = 2;
pub const TOMASZ: Who = 3;
pub const JOANNA: Who = 4;

/// One matter of one customer. Its days are counted back from the day of the story.
pub struct Matter {
    pub subject: &'static str,
    /// Of all its tasks.
    pub priority: TaskPriority,
    pub tags: &'static [&'static str],
    /// The customer's place.
    pub customer: usize,
    pub caretaker: Who,
    pub opened: i64,
    pub closed: Option<i64>,
    /// In the order of a tree written down: each below the last one that is a level higher.
    pub tasks: &'static [Step],
    pub contacts: &'static [Contact],
}

/// One task of a matter.
pub struct Step {
    pub level: usize,
    pub title: &'static str,
    pub caretaker: Who,
    pub due: i64,
    pub estimate_minutes: Option<i32>,
    pub state: State,
    pub work: &'static [Work],
}

/// How far a task has come by the day of the story.
pub enum State {
    Open,
    Started {
        percent: i16,
    },
    Done {
        ago: i64,
    },
    /// A main task is as far as those below it.
    Main,
}

/// Time spent on a task.
pub struct Work {
    pub ago: i64,
    pub who: Who,
    pub minutes: i32,
    pub note: &'static str,
}

/// A contact about a matter.
pub struct Contact {
    pub ago: i64,
    pub who: Who,
    pub channel: Channel,
    pub direction: Direction,
    pub minutes: i32,
    pub subject: &'static str,
}

pub const fn step(
    level: usize,
    title: &'static str,
    caretaker: Who,
    due: i64,
    estimate_minutes: i32,
    state: State,
    work: &'static [Work],
) -> Step {
    Step { level, title, caretaker, due, estimate_minutes: Some(estimate_minutes), state, work }
}

pub const fn main_step(level: usize, title: &'static str, caretaker: Who, due: i64) -> Step {
    Step { level, title, caretaker, due, estimate_minutes: None, state: State::Main, work: &[] }
}

pub const fn work(ago: i64, who: Who, minutes: i32, note: &'static str) -> Work {
    Work { ago, who, minutes, note }
}

pub const fn contact(
    ago: i64,
    who: Who,
    channel: Channel,
    direction: Direction,
    minutes: i32,
    subject: &'static str,
) -> Contact {
    Contact { ago, who, channel, direction, minutes, subject }
}

/// So many days before a task is due or begun, whichever comes first, it is given.
const LEAD_DAYS: i64 = 5;
/// The latest that something is given, so that the story's own day is left alone.
const LATEST: i64 = 3;

impl Matter {
    /// The step that one hangs below.
    pub fn above(&self, place: usize) -> Option<usize> {
        let level = self.tasks[place].level.checked_sub(1)?;
        self.tasks[..place].iter().rposition(|step| step.level == level)
    }

    /// The steps below one, to any depth.
    fn below(&self, place: usize) -> impl Iterator<Item = usize> {
        let level = self.tasks[place].level;
        let end = self.tasks[place + 1..].iter().position(|step| step.level <= level);
        place + 1..end.map_or(self.tasks.len(), |length| place + 1 + length)
    }

    /// When a task was given: a main task with the first of those below it, the whole matter's when it was opened.
    pub fn given(&self, place: usize) -> i64 {
        let step = &self.tasks[place];
        if step.level == 0 {
            return self.opened;
        }
        let begun = step.work.first().map_or(step.due, |work| work.ago.max(step.due));
        let own = (begun + LEAD_DAYS).clamp(LATEST, self.opened);
        self.below(place).map(|below| self.given(below)).fold(own, i64::max)
    }

    /// When a task was done: a main task with the last of those below it, the whole matter's when it was closed.
    pub fn done(&self, place: usize) -> Option<i64> {
        let step = &self.tasks[place];
        match step.state {
            State::Open | State::Started { .. } => None,
            State::Done { ago } => Some(ago),
            State::Main if step.level == 0 => self.closed,
            State::Main => {
                self.below(place).map(|below| self.done(below)).try_fold(i64::MAX, |last, done| Some(last.min(done?)))
            }
        }
    }
}
