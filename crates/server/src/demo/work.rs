//! How the matters are told: each step at its moment, by whoever took it.

use super::matter::{Contact, Matter, State};
use super::matters::MATTERS;
use super::office::{Office, contact, progress, turn_to, work};
use crate::failure::Failure;
use chrono::{DateTime, TimeDelta, Utc};
use opiekun_domain::ids::{OperatorId, TaskId, ThreadId};
use opiekun_domain::thread::ThreadStatus;
use opiekun_persistence::tasks::TaskFields;
use opiekun_persistence::threads::ThreadFields;
use opiekun_persistence::{Tx, interactions, tasks, threads, work_entries, work_tree};

/// The minutes of a day at which a matter is opened, talked about, given out, worked on from, and done with.
const OPENED: i64 = 8 * 60 + 30;
const TALKED: i64 = 9 * 60;
const GIVEN: i64 = 11 * 60 + 30;
const WORKED: i64 = 12 * 60;
const DONE: i64 = 17 * 60;
/// So many minutes later the main tasks above, and then the thread.
const MAIN_DONE: i64 = 20;
const CLOSED: i64 = DONE + 30;

/// Something that somebody does at a moment.
struct Deed {
    at: DateTime<Utc>,
    who: OperatorId,
    act: Act,
}

/// Steps by their places.
enum Act {
    Talk(&'static Contact),
    Give(usize),
    Work { step: usize, minutes: i32, note: &'static str },
    Come { step: usize, percent_done: i16 },
}

/// Writes every matter as a thread with its tasks, the work at them and the contacts about them.
pub fn create(tx: &mut Tx<'_>, office: &Office<'_>) -> Result<(), Failure> {
    work_tree::hold(tx)?;
    MATTERS.iter().try_for_each(|matter| tell(tx, office, matter))
}

fn tell(tx: &mut Tx<'_>, office: &Office<'_>, matter: &'static Matter) -> Result<(), Failure> {
    let caretaker_id = office.team[matter.caretaker];
    turn_to(tx, office.at(office.days_ago(matter.opened), OPENED), caretaker_id);
    let fields = ThreadFields {
        subject: matter.subject.to_owned(),
        description: None,
        customer_id: Some(office.customers[matter.customer].id),
        caretaker_id: Some(caretaker_id),
        status: ThreadStatus::Open,
        tags: matter.tags.iter().map(|tag| (*tag).to_owned()).collect(),
    };
    let thread = threads::create(tx, fields)?;
    let mut ids: Vec<Option<TaskId>> = vec![None; matter.tasks.len()];
    for Deed { at, who, act } in deeds(office, matter) {
        turn_to(tx, at, who);
        match act {
            Act::Talk(said) => talk(tx, office, matter, said, (thread.id, ids[0]))?,
            Act::Give(step) => {
                let parent_task_id = matter.above(step).and_then(|above| ids[above]);
                let fields =
                    TaskFields { thread_id: Some(thread.id), parent_task_id, ..fields_of(office, matter, step) };
                ids[step] = Some(office.give(tx, fields)?.id);
            }
            Act::Work { step, minutes, note } => {
                let Some(task_id) = ids[step] else { continue };
                let mut fields = work(task_id, who, at, minutes);
                fields.note = Some(note.to_owned());
                work_entries::create(tx, fields)?;
            }
            Act::Come { step, percent_done } => {
                let Some(task_id) = ids[step] else { continue };
                // It may have followed its subtasks since it was written.
                let task = tasks::lock(tx, task_id, None)?;
                let progress = progress(&task, percent_done).map_err(Failure::new)?;
                tasks::update(tx, &task, task.fields.clone(), progress, None)?;
            }
        }
    }
    if let Some(closed) = matter.closed {
        turn_to(tx, office.at(office.days_ago(closed), CLOSED), caretaker_id);
        threads::update(tx, &thread, ThreadFields { status: ThreadStatus::Closed, ..thread.fields.clone() })?;
    }
    Ok(())
}

/// A contact about a matter, below its main task once there is one.
fn talk(
    tx: &mut Tx<'_>,
    office: &Office<'_>,
    matter: &Matter,
    said: &Contact,
    (thread_id, main_task_id): (ThreadId, Option<TaskId>),
) -> Result<(), Failure> {
    let mut fields = contact(&office.customers[matter.customer], office.team[said.who], tx.now, said.minutes);
    fields.channel = said.channel;
    fields.direction = said.direction;
    fields.subject = said.subject.to_owned();
    fields.thread_id = Some(thread_id);
    fields.parent_task_id = main_task_id;
    fields.tags = matter.tags.iter().map(|tag| (*tag).to_owned()).collect();
    interactions::create(tx, fields)?;
    Ok(())
}

fn fields_of(office: &Office<'_>, matter: &Matter, step: usize) -> TaskFields {
    let (customer, step) = (&office.customers[matter.customer], &matter.tasks[step]);
    let mut fields = office.task(customer, office.team[step.caretaker], step.title, office.days_ago(step.due));
    fields.priority = matter.priority;
    fields.estimate_minutes = step.estimate_minutes;
    fields
}

/// All that is done about a matter between its opening and its end, in the order of time.
fn deeds(office: &Office<'_>, matter: &'static Matter) -> Vec<Deed> {
    let mut deeds: Vec<Deed> = matter
        .contacts
        .iter()
        .map(|said| {
            let began_at = office.at(office.days_ago(said.ago), TALKED);
            let at = began_at + TimeDelta::minutes(said.minutes.into());
            Deed { at, who: office.team[said.who], act: Act::Talk(said) }
        })
        .collect();
    for place in 0..matter.tasks.len() {
        let who = office.giver(office.team[matter.caretaker], office.team[matter.tasks[place].caretaker]);
        // Minute by minute, a main task before those below it.
        let minutes = GIVEN + i64::try_from(place).unwrap_or_default();
        let at = office.at(office.days_ago(matter.given(place)), minutes);
        deeds.push(Deed { at, who, act: Act::Give(place) });
        deeds.extend(done_at(office, matter, place));
    }
    deeds.sort_by_key(|deed| deed.at);
    deeds
}

/// The work at one step, and how far it came by it.
fn done_at(office: &Office<'_>, matter: &Matter, place: usize) -> Vec<Deed> {
    let step = &matter.tasks[place];
    let who = office.team[step.caretaker];
    let goal = match step.state {
        State::Started { percent } => percent,
        State::Done { .. } => 90,
        State::Open | State::Main => 0,
    };
    let whole: i32 = step.work.iter().map(|work| work.minutes).sum();
    let (mut deeds, mut spent, mut free_at) = (Vec::new(), 0, DateTime::UNIX_EPOCH);
    for work in step.work {
        let began_at = office.at(office.days_ago(work.ago), WORKED).max(free_at);
        let ended_at = began_at + TimeDelta::minutes(work.minutes.into());
        let who = office.team[work.who];
        deeds.push(Deed { at: ended_at, who, act: Act::Work { step: place, minutes: work.minutes, note: work.note } });
        spent += work.minutes;
        // In full tens, as people say it.
        let share = i16::try_from(i32::from(goal) * spent / whole / 10 * 10).unwrap_or_default();
        if share > 0 {
            deeds.push(Deed { at: ended_at, who, act: Act::Come { step: place, percent_done: share } });
        }
        free_at = ended_at;
    }
    if let Some(ago) = matter.done(place) {
        // A main task is closed after those below it, the deepest first.
        let after = match step.state {
            State::Main => MAIN_DONE - i64::try_from(step.level).unwrap_or_default(),
            State::Open | State::Started { .. } | State::Done { .. } => 0,
        };
        let at = office.at(office.days_ago(ago), DONE + after).max(free_at);
        deeds.push(Deed { at, who, act: Act::Come { step: place, percent_done: 100 } });
    }
    deeds
}

#[cfg(test)]
mod tests {
    use super::super::Year;
    use super::super::customers::Known;
    use super::*;
    use chrono::Days;
    use chrono_tz::Tz;
    use opiekun_domain::calendar_day::day_of;
    use opiekun_domain::ids::CustomerId;

    #[test]
    fn whatever_the_day_a_story_runs_in_order_and_ends_before_it() {
        let first = "2026-02-20".parse::<chrono::NaiveDate>().expect("a day");
        for today in (0..60).map(|days| first + Days::new(days)) {
            let team: Vec<OperatorId> = (0..6).map(|_| OperatorId::at(DateTime::UNIX_EPOCH)).collect();
            let known =
                || Known { id: CustomerId::at(DateTime::UNIX_EPOCH), caretaker_id: team[1], people: Vec::new() };
            let customers: Vec<Known> = (0..40).map(|_| known()).collect();
            let year = Year::before(today).expect("a day of this century");
            let office = Office { year, time_zone: Tz::Europe__Warsaw, team: &team, customers: &customers };
            for matter in MATTERS {
                let (mut given, mut done) = (vec![false; matter.tasks.len()], vec![false; matter.tasks.len()]);
                let opened_at = office.at(office.days_ago(matter.opened), OPENED);
                let all = deeds(&office, matter);
                assert!(all.iter().all(|deed| deed.at > opened_at && day_of(deed.at, office.time_zone) < today));
                for deed in all {
                    match deed.act {
                        Act::Talk(_) => {}
                        Act::Give(step) => {
                            assert!(matter.above(step).is_none_or(|above| given[above]));
                            given[step] = true;
                        }
                        Act::Work { step, .. } | Act::Come { step, percent_done: 0..100 } => {
                            assert!(given[step] && !done[step], "{today}: {}", matter.tasks[step].title);
                        }
                        Act::Come { step, .. } => {
                            assert!(given[step] && !done[step], "{today}: {}", matter.tasks[step].title);
                            let mut below = (0..matter.tasks.len()).filter(|place| matter.above(*place) == Some(step));
                            assert!(below.all(|place| done[place]), "{today}: {}", matter.tasks[step].title);
                            done[step] = true;
                        }
                    }
                }
                assert!(given.iter().all(|given| *given));
                assert_eq!(done[0], matter.closed.is_some());
            }
        }
    }
}
