//! The office as its stories know it: the team, the customers, the year, and what somebody does at a moment of it.

use super::Year;
use super::customers::Known;
use super::matter::MAREK;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use chrono_tz::Tz;
use opiekun_domain::calendar_day::{day_bounds, shift_to_working_day};
use opiekun_domain::ids::{OperatorId, TaskId};
use opiekun_domain::interaction::{Channel, Direction, InteractionStatus};
use opiekun_domain::schedule::IssueDayShift;
use opiekun_domain::task::{Progress, ProgressError, Subtasks, TaskPriority, TaskStatus};
use opiekun_persistence::interactions::InteractionFields;
use opiekun_persistence::tasks::{Origin, Task, TaskFields};
use opiekun_persistence::work_entries::WorkEntryFields;
use opiekun_persistence::{ActorRef, Result, Tx, tasks};

pub struct Office<'a> {
    pub year: Year,
    pub time_zone: Tz,
    pub team: &'a [OperatorId],
    pub customers: &'a [Known],
}

impl Office<'_> {
    /// So many minutes after the midnight at which a day begins. The clock is changed on Sundays, when nobody works.
    pub fn at(&self, day: NaiveDate, minutes: i64) -> DateTime<Utc> {
        day_bounds(day, self.time_zone).0 + TimeDelta::minutes(minutes)
    }

    /// The day so many days before the story's; a day off falls to the working day before it, or after it when it is
    /// still to come.
    pub fn days_ago(&self, days: i64) -> NaiveDate {
        let shift = if days > 0 { IssueDayShift::Before } else { IssueDayShift::After };
        shift_to_working_day(self.year.today - TimeDelta::days(days), shift)
    }

    /// Who gives such work: the operator itself, or the manager above it.
    pub fn giver(&self, who: OperatorId, to: OperatorId) -> OperatorId {
        if who == to { who } else { self.team[MAREK] }
    }

    /// A task of one's own or from the manager, at the hour that the story has come to.
    pub fn give(&self, tx: &mut Tx<'_>, fields: TaskFields) -> Result<Task> {
        let origin = Origin { registered_by_id: tx.scope.actor.operator_id(), instance: None };
        tasks::create(tx, fields, Progress::NEW, origin)
    }

    /// A task of a whole day.
    pub fn task(&self, customer: &Known, caretaker_id: OperatorId, title: &str, due_on: NaiveDate) -> TaskFields {
        TaskFields {
            title: title.to_owned(),
            description: None,
            customer_id: Some(customer.id),
            caretaker_id: Some(caretaker_id),
            priority: TaskPriority::Normal,
            start_at: None,
            due_at: Some(self.at(due_on, 0)),
            all_day: true,
            estimate_minutes: None,
            thread_id: None,
            parent_task_id: None,
            parent_interaction_id: None,
            opportunity_id: None,
            tags: Vec::new(),
            reminder_minutes: Vec::new(),
        }
    }
}

/// Goes on to a moment at which somebody does something.
pub fn turn_to(tx: &mut Tx<'_>, moment: DateTime<Utc>, who: OperatorId) {
    tx.now = moment;
    tx.scope.actor = ActorRef::Operator(who);
}

/// How far a task has come that has nothing open below it: at 100 it is done.
pub fn progress(task: &Task, percent_done: i16) -> std::result::Result<Progress, ProgressError> {
    match percent_done {
        100 => task.progress().change(Some(TaskStatus::Done), None, &Subtasks::default()),
        _ => task.progress().change(None, Some(percent_done), &Subtasks::default()),
    }
}

/// Time spent on a task, written down when it ended.
pub fn work(task_id: TaskId, operator_id: OperatorId, ended_at: DateTime<Utc>, minutes: i32) -> WorkEntryFields {
    WorkEntryFields {
        task_id,
        operator_id,
        started_at: ended_at - TimeDelta::minutes(minutes.into()),
        duration_minutes: minutes,
        note: None,
        billable: true,
        hourly_rate: None,
    }
}

/// A contact that was held, written down when it ended.
pub fn contact(customer: &Known, operator_id: OperatorId, ended_at: DateTime<Utc>, minutes: i32) -> InteractionFields {
    InteractionFields {
        customer_id: customer.id,
        person_id: customer.people.first().copied(),
        operator_id,
        caretaker_id: Some(customer.caretaker_id),
        channel: Channel::Phone,
        direction: Direction::Outbound,
        status: InteractionStatus::Held,
        started_at: ended_at - TimeDelta::minutes(minutes.into()),
        duration_minutes: minutes,
        subject: String::new(),
        description: None,
        outcome: None,
        billable: true,
        hourly_rate: None,
        opportunity_id: None,
        thread_id: None,
        parent_task_id: None,
        parent_interaction_id: None,
        tags: Vec::new(),
    }
}
