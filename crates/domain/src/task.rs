//! Tasks: how far one has come, by itself and by its subtasks.

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;

use crate::calendar_day::{day_bounds, day_of};

vocabulary! {
    /// How much a task presses.
    TaskPriority { Low = "low", Normal = "normal", High = "high", Urgent = "urgent" }
}

vocabulary! {
    /// How far a task has come; the last two close it.
    TaskStatus { Open = "open", InProgress = "in_progress", Done = "done", Cancelled = "cancelled" }
}

impl TaskStatus {
    /// Whether nothing is left to do.
    pub const fn is_closed(self) -> bool {
        matches!(self, Self::Done | Self::Cancelled)
    }
}

/// How far a task has come. Status and percent agree: what is open is at 0, what is done at 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    status: TaskStatus,
    /// 0 to 100.
    percent_done: i16,
}

/// A status and a percent that no task can have together, or not now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProgressError {
    #[error("does not agree with the status: open is 0, in progress less than 100, done 100")]
    Disagrees,
    #[error("a cancelled task is taken up again by its status")]
    Cancelled,
    #[error("the percent of a task with subtasks is theirs")]
    OfSubtasks,
    #[error("a task is open while none of its subtasks has begun")]
    SubtasksBegun,
}

impl ProgressError {
    /// Which of the two fields is to be put right.
    pub const fn field(self) -> &'static str {
        match self {
            Self::Disagrees | Self::Cancelled | Self::OfSubtasks => "percent_done",
            Self::SubtasksBegun => "status",
        }
    }
}

impl Progress {
    /// Of a task that nobody has begun.
    pub const NEW: Self = Self { status: TaskStatus::Open, percent_done: 0 };

    /// What stands in a record, whose constraints hold the two in agreement.
    pub const fn recorded(status: TaskStatus, percent_done: i16) -> Self {
        Self { status, percent_done }
    }

    pub const fn status(self) -> TaskStatus {
        self.status
    }

    pub const fn percent_done(self) -> i16 {
        self.percent_done
    }

    /// What it becomes when somebody asks for a status, a percent or both; one of them draws the other along.
    ///
    /// A percent begins an open task and reaches done at 100. One that was at 100 and is taken up again stands at
    /// 0 unless told otherwise; a cancelled one keeps how far it had come. With subtasks the percent is theirs.
    pub fn change(
        self,
        status: Option<TaskStatus>,
        percent_done: Option<i16>,
        subtasks: &Subtasks,
    ) -> Result<Self, ProgressError> {
        if subtasks.total > 0 {
            return self.change_of_main(status, percent_done, subtasks);
        }
        let (status, percent_done) = match (status, percent_done) {
            (None, None) => return Ok(self),
            (Some(TaskStatus::Open), None) => (TaskStatus::Open, 0),
            (Some(TaskStatus::InProgress), None) if self.percent_done == 100 => (TaskStatus::InProgress, 0),
            (Some(TaskStatus::Done), None) => (TaskStatus::Done, 100),
            (Some(status), None) => (status, self.percent_done),
            (None, Some(_)) if self.status == TaskStatus::Cancelled => return Err(ProgressError::Cancelled),
            (None, Some(100)) => (TaskStatus::Done, 100),
            (None, Some(0)) if self.status == TaskStatus::Open => (TaskStatus::Open, 0),
            (None, Some(percent_done)) => (TaskStatus::InProgress, percent_done),
            (Some(status), Some(percent_done)) => (status, percent_done),
        };
        let progress = Self { status, percent_done };
        progress.agrees().then_some(progress).ok_or(ProgressError::Disagrees)
    }

    /// Whoever closes a main task has seen to its open subtasks: [`Subtasks::open`] tells whether there are any.
    fn change_of_main(
        self,
        status: Option<TaskStatus>,
        percent_done: Option<i16>,
        subtasks: &Subtasks,
    ) -> Result<Self, ProgressError> {
        if percent_done.is_some() {
            return Err(ProgressError::OfSubtasks);
        }
        if status.is_none() {
            return Ok(self);
        }
        let status = status.unwrap_or(self.status);
        if status == TaskStatus::Open && subtasks.begun > 0 {
            return Err(ProgressError::SubtasksBegun);
        }
        let percent_done = if status == TaskStatus::Done { 100 } else { subtasks.percent_done() };
        Ok(Self { status, percent_done })
    }

    /// What the progress of a main task becomes as its subtasks move: its percent is theirs, it is in progress once one
    /// of them has begun, and again when one is open below it that was closed.
    pub fn follow(self, subtasks: &Subtasks) -> Self {
        if subtasks.total == 0 {
            return self;
        }
        if self.status.is_closed() && subtasks.open == 0 {
            return self;
        }
        let is_open = self.status == TaskStatus::Open && subtasks.begun == 0;
        let status = if is_open { TaskStatus::Open } else { TaskStatus::InProgress };
        Self { status, percent_done: subtasks.percent_done() }
    }

    fn agrees(self) -> bool {
        match self.status {
            TaskStatus::Open => self.percent_done == 0,
            TaskStatus::InProgress => (0..100).contains(&self.percent_done),
            TaskStatus::Done => self.percent_done == 100,
            TaskStatus::Cancelled => (0..=100).contains(&self.percent_done),
        }
    }
}

/// What the direct subtasks of a main task come to. All but `total` leave out those that are cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Subtasks {
    pub total: i64,
    /// Those where something is left to do.
    pub open: i64,
    /// Those that are not open any more.
    pub begun: i64,
    /// Those with planned minutes: how many, their minutes, and their minutes each times its percent.
    pub planned: i64,
    pub planned_minutes: i64,
    pub planned_minutes_by_percent: i64,
    /// Those without: how many, and the sum of their percents.
    pub unplanned: i64,
    pub unplanned_percents: i64,
}

impl Subtasks {
    /// One subtask more. The sums stay far within their type: a percent is at most 100, and minutes a billion.
    pub fn add(&mut self, progress: Progress, planned_minutes: Option<i64>) {
        self.total += 1;
        if progress.status == TaskStatus::Cancelled {
            return;
        }
        self.open += i64::from(!progress.status.is_closed());
        self.begun += i64::from(progress.status != TaskStatus::Open);
        let percent_done = i64::from(progress.percent_done);
        match planned_minutes {
            Some(minutes) => {
                self.planned += 1;
                self.planned_minutes = self.planned_minutes.saturating_add(minutes);
                self.planned_minutes_by_percent =
                    self.planned_minutes_by_percent.saturating_add(minutes.saturating_mul(percent_done));
            }
            None => {
                self.unplanned += 1;
                self.unplanned_percents += percent_done;
            }
        }
    }

    /// The mean of their percents, weighted by planned minutes and rounded down, so that 100 means all. One without
    /// planned minutes weighs as those that have some weigh on average.
    pub fn percent_done(&self) -> i16 {
        let [planned, minutes, by_percent, unplanned, percents] = [
            self.planned,
            self.planned_minutes,
            self.planned_minutes_by_percent,
            self.unplanned,
            self.unplanned_percents,
        ]
        .map(i128::from);
        // With weights in units of 1 ÷ planned minutes, the average is whole.
        let (sum, weight) = if minutes > 0 {
            (by_percent * planned + minutes * percents, minutes * (planned + unplanned))
        } else {
            (percents, unplanned)
        };
        let percent_done = if weight > 0 { sum.div_euclid(weight).clamp(0, 100) } else { 0 };
        i16::try_from(percent_done).unwrap_or_default()
    }

    /// What they plan together: the planned minutes of a main task that has no estimate of its own.
    pub fn minutes(&self) -> Option<i64> {
        (self.planned_minutes > 0).then_some(self.planned_minutes)
    }
}

/// A moment that never comes: a task without a due date is never overdue.
pub const NEVER: DateTime<Utc> = match DateTime::from_timestamp(253_370_764_800, 0) {
    // The first moment of the year 9999.
    Some(moment) => moment,
    None => DateTime::<Utc>::MAX_UTC,
};

/// When a task is due and when it begins, as dates of its kind: whole days begin at midnight in the time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskDates {
    pub start_at: Option<DateTime<Utc>>,
    pub due_at: Option<DateTime<Utc>>,
    pub all_day: bool,
}

impl TaskDates {
    /// For a task of whole days, the midnights at which those days begin.
    pub fn new(start_at: Option<DateTime<Utc>>, due_at: Option<DateTime<Utc>>, all_day: bool, zone: Tz) -> Self {
        let of_kind = |moment: DateTime<Utc>| if all_day { day_bounds(day_of(moment, zone), zone).0 } else { moment };
        Self { start_at: start_at.map(of_kind), due_at: due_at.map(of_kind), all_day }
    }

    /// The moment after which the task is overdue: when it is due, or when that day ends.
    pub fn deadline_at(&self, zone: Tz) -> DateTime<Utc> {
        match self.due_at {
            Some(due_at) if self.all_day => day_bounds(day_of(due_at, zone), zone).1,
            Some(due_at) => due_at,
            None => NEVER,
        }
    }

    /// When it begins to stand in the calendar; `None` without dates.
    pub fn starts_at(&self) -> Option<DateTime<Utc>> {
        self.start_at.or(self.due_at)
    }

    /// Until when it stands in the calendar: its deadline, else its start or the end of that day.
    pub fn ends_at(&self, zone: Tz) -> Option<DateTime<Utc>> {
        match (self.due_at, self.start_at) {
            (Some(_), _) => Some(self.deadline_at(zone)),
            (None, Some(start_at)) if self.all_day => Some(day_bounds(day_of(start_at, zone), zone).1),
            (None, start_at) => start_at,
        }
    }

    /// Those of an instance of a series: it is due at a moment, and starts so long before it, full days if it is one of
    /// whole days.
    pub fn of_instance(due_at: DateTime<Utc>, lead: Option<TimeDelta>, all_day: bool, zone: Tz) -> Self {
        let start_at = lead.map(|lead| match all_day {
            true => day_bounds(day_of(due_at, zone) - lead, zone).0,
            false => due_at - lead,
        });
        Self { start_at, due_at: Some(due_at), all_day }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALONE: Subtasks = Subtasks {
        total: 0,
        open: 0,
        begun: 0,
        planned: 0,
        planned_minutes: 0,
        planned_minutes_by_percent: 0,
        unplanned: 0,
        unplanned_percents: 0,
    };

    fn subtasks(all: &[(Progress, Option<i64>)]) -> Subtasks {
        let mut subtasks = Subtasks::default();
        all.iter().for_each(|(progress, planned)| subtasks.add(*progress, *planned));
        subtasks
    }

    fn at(status: TaskStatus, percent_done: i16) -> Progress {
        Progress::recorded(status, percent_done)
    }

    #[test]
    fn a_status_draws_the_percent_along_and_a_percent_the_status() {
        use TaskStatus::{Cancelled, Done, InProgress, Open};
        for (before, status, percent, after) in [
            (at(Open, 0), None, Some(30), Ok(at(InProgress, 30))),
            (at(InProgress, 30), None, Some(100), Ok(at(Done, 100))),
            (at(InProgress, 30), None, Some(0), Ok(at(InProgress, 0))),
            (at(Done, 100), None, Some(90), Ok(at(InProgress, 90))),
            (at(InProgress, 30), Some(Open), None, Ok(at(Open, 0))),
            (at(InProgress, 30), Some(Done), None, Ok(at(Done, 100))),
            (at(Done, 100), Some(InProgress), None, Ok(at(InProgress, 0))),
            (at(InProgress, 30), Some(Cancelled), None, Ok(at(Cancelled, 30))),
            (at(Cancelled, 30), Some(InProgress), None, Ok(at(InProgress, 30))),
            (at(Cancelled, 100), Some(InProgress), None, Ok(at(InProgress, 0))),
            (at(Cancelled, 30), None, Some(40), Err(ProgressError::Cancelled)),
            (at(Open, 0), Some(Done), Some(50), Err(ProgressError::Disagrees)),
            (at(Open, 0), Some(InProgress), Some(100), Err(ProgressError::Disagrees)),
            (at(Done, 100), Some(InProgress), Some(80), Ok(at(InProgress, 80))),
            (at(Open, 0), Some(Open), Some(1), Err(ProgressError::Disagrees)),
        ] {
            assert_eq!(before.change(status, percent, &ALONE), after, "{before:?} {status:?} {percent:?}");
        }
    }

    #[test]
    fn the_percent_of_a_main_task_is_that_of_its_subtasks() {
        let half = subtasks(&[(at(TaskStatus::Done, 100), Some(60)), (Progress::NEW, Some(60))]);
        assert_eq!(Progress::NEW.follow(&half), at(TaskStatus::InProgress, 50));
        assert_eq!(at(TaskStatus::Done, 100).follow(&half), at(TaskStatus::InProgress, 50), "reopened");
        assert_eq!(Progress::NEW.change(None, Some(70), &half), Err(ProgressError::OfSubtasks));
        assert_eq!(Progress::NEW.change(Some(TaskStatus::Open), None, &half), Err(ProgressError::SubtasksBegun));
        let weighted = subtasks(&[
            (at(TaskStatus::InProgress, 50), Some(300)), // 150 of 300
            (at(TaskStatus::Done, 100), Some(60)),       // 60 of 60
            (Progress::NEW, None),                       // 0 of (300 + 60) ÷ 2 = 180
            (at(TaskStatus::Cancelled, 80), Some(9_999)),
        ]);
        assert_eq!(weighted.percent_done(), 38); // 210 ÷ 540 = 38.88…, down
        assert_eq!(weighted.minutes(), Some(360));
        let none_planned = subtasks(&[(at(TaskStatus::Done, 100), None), (at(TaskStatus::InProgress, 99), None)]);
        assert_eq!((none_planned.percent_done(), none_planned.minutes()), (99, None)); // 199 ÷ 2, down
    }

    #[test]
    fn a_closed_main_task_stays_closed_while_nothing_below_is_open() {
        let all_cancelled = subtasks(&[(at(TaskStatus::Cancelled, 10), Some(60))]);
        assert_eq!(at(TaskStatus::Done, 100).follow(&all_cancelled), at(TaskStatus::Done, 100));
        assert_eq!(at(TaskStatus::Cancelled, 40).follow(&all_cancelled).status(), TaskStatus::Cancelled);
        let all_done = subtasks(&[(at(TaskStatus::Done, 100), Some(60))]);
        assert_eq!(Progress::NEW.follow(&all_done), at(TaskStatus::InProgress, 100), "closing it is for people");
    }

    #[test]
    fn whole_days_are_overdue_when_they_have_ended() {
        let moment = |text: &str| text.parse::<DateTime<Utc>>().expect(text);
        let zone = Tz::Europe__Warsaw;
        let day = TaskDates::new(None, Some(moment("2026-11-20T09:30:00Z")), true, zone);
        assert_eq!(day.due_at, Some(moment("2026-11-19T23:00:00Z")));
        assert_eq!(day.deadline_at(zone), moment("2026-11-20T23:00:00Z"));
        let hour = TaskDates::new(None, Some(moment("2026-11-20T09:30:00Z")), false, zone);
        assert_eq!(hour.deadline_at(zone), moment("2026-11-20T09:30:00Z"));
        assert_eq!(TaskDates::new(None, None, false, zone).deadline_at(zone), moment("9999-01-01T00:00:00Z"));
    }

    fn progress() -> impl Strategy<Value = Progress> {
        prop_oneof![
            Just(Progress::NEW),
            (0_i16..100).prop_map(|percent| at(TaskStatus::InProgress, percent)),
            Just(at(TaskStatus::Done, 100)),
            (0_i16..=100).prop_map(|percent| at(TaskStatus::Cancelled, percent)),
        ]
    }

    fn planned() -> impl Strategy<Value = Option<i64>> {
        proptest::option::of(1_i64..100_000)
    }

    /// A tree of tasks: a leaf, or a main task with those below it.
    #[derive(Debug, Clone)]
    enum Tree {
        Leaf(Progress, Option<i64>),
        Main(Option<i64>, Vec<Tree>),
    }

    fn tree() -> impl Strategy<Value = Tree> {
        let leaf = (progress(), planned()).prop_map(|(progress, planned)| Tree::Leaf(progress, planned));
        leaf.prop_recursive(5, 60, 6, |inner| {
            (planned(), proptest::collection::vec(inner, 1..6)).prop_map(|(own, below)| Tree::Main(own, below))
        })
    }

    impl Tree {
        /// As it is rolled up: from the leaves, main task by main task.
        fn rolled(&self) -> (Progress, Option<i64>) {
            match self {
                Self::Leaf(progress, planned) => (*progress, *planned),
                Self::Main(own, below) => {
                    let subtasks = subtasks(&below.iter().map(Self::rolled).collect::<Vec<_>>());
                    (Progress::NEW.follow(&subtasks), own.or(subtasks.minutes()))
                }
            }
        }

        /// The same by fractions, one main task at a time, from what each subtask is rolled up to.
        fn percent_by_fractions(&self) -> i16 {
            let Self::Main(_, below) = self else { return 0 };
            let counted: Vec<_> = below
                .iter()
                .map(Self::rolled)
                .filter(|(progress, _)| progress.status() != TaskStatus::Cancelled)
                .collect();
            let known: Vec<i64> = counted.iter().filter_map(|(_, planned)| *planned).collect();
            let average = match i64::try_from(known.len()).expect("few") {
                0 => rust_decimal::Decimal::ONE,
                many => rust_decimal::Decimal::from(known.iter().sum::<i64>()) / rust_decimal::Decimal::from(many),
            };
            let weight = |planned: Option<i64>| planned.map_or(average, rust_decimal::Decimal::from);
            let whole: rust_decimal::Decimal = counted.iter().map(|(_, planned)| weight(*planned)).sum();
            if whole.is_zero() {
                return 0;
            }
            let done: rust_decimal::Decimal = counted
                .iter()
                .map(|(progress, planned)| weight(*planned) * rust_decimal::Decimal::from(progress.percent_done()))
                .sum();
            // Thirds have no end: what is short of a whole percent by less than that is one.
            let percent = (done / whole).round_dp(12).floor();
            percent.try_into().expect("0 to 100")
        }
    }

    proptest! {
        #[test]
        fn rolling_up_is_the_weighted_mean_rounded_down(tree in tree()) {
            let (progress, _) = tree.rolled();
            if let Tree::Main(..) = tree {
                prop_assert_eq!(progress.percent_done(), tree.percent_by_fractions());
            }
        }

        #[test]
        fn the_order_of_subtasks_does_not_matter(mut all in proptest::collection::vec((progress(), planned()), 0..20)) {
            let forth = subtasks(&all);
            all.reverse();
            prop_assert_eq!(forth, subtasks(&all));
        }

        #[test]
        fn a_main_task_is_at_100_only_when_all_are(all in proptest::collection::vec((progress(), planned()), 1..20)) {
            let subtasks = subtasks(&all);
            let counted = || all.iter().filter(|(progress, _)| progress.status() != TaskStatus::Cancelled);
            let are_all = counted().all(|(progress, _)| progress.percent_done() == 100) && counted().next().is_some();
            prop_assert_eq!(subtasks.percent_done() == 100, are_all);
            let most = counted().map(|(progress, _)| progress.percent_done()).max().unwrap_or_default();
            prop_assert!(subtasks.percent_done() <= most);
        }

        #[test]
        fn whatever_is_asked_status_and_percent_agree(
            before in progress(),
            status in proptest::option::of(proptest::sample::select(TaskStatus::ALL)),
            percent in proptest::option::of(0_i16..=100),
            all in proptest::collection::vec((progress(), planned()), 0..5),
        ) {
            let subtasks = subtasks(&all);
            if let Ok(after) = before.change(status, percent, &subtasks) {
                let is_whole = after.percent_done() == 100;
                prop_assert!(after.status() != TaskStatus::Done || is_whole);
                prop_assert!(after.status() != TaskStatus::Open || after.percent_done() == 0);
                prop_assert!(status.is_none_or(|status| status == after.status()));
                prop_assert!(percent.is_none_or(|percent| percent == after.percent_done()));
            }
            let followed = before.follow(&subtasks);
            prop_assert!(!(followed.status().is_closed() && subtasks.open > 0));
            prop_assert_eq!(followed.follow(&subtasks), followed);
        }

        #[test]
        fn a_task_of_whole_days_lasts_to_the_end_of_its_day(seconds in 0_i64..4_000_000_000) {
            let zone = Tz::Europe__Warsaw;
            let due_at = DateTime::from_timestamp(seconds, 0);
            let dates = TaskDates::new(None, due_at, true, zone);
            prop_assert_eq!(TaskDates::new(None, dates.due_at, true, zone), dates);
            prop_assert!(due_at.is_some_and(|due_at| due_at < dates.deadline_at(zone)));
        }
    }
}
