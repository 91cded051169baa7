//! A year of calls, mails and meetings with customers, and those that are planned.

use super::Year;
use super::customers::Known;
use super::dice::Dice;
use super::firm::talkers;
use super::words::{OUTCOMES, subjects};
use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use chrono_tz::Tz;
use opiekun_domain::calendar_day::{day_bounds, shift_to_working_day};
use opiekun_domain::ids::OperatorId;
use opiekun_domain::interaction::{Channel, Direction, InteractionStatus};
use opiekun_domain::schedule::IssueDayShift;
use opiekun_persistence::interactions::InteractionFields;
use opiekun_persistence::{ActorRef, Result, Tx, interactions};

/// How far ahead contacts are planned.
const PLANNED_DAYS: usize = 10;
/// One contact in so many is still to come.
const PLANNED_ONE_IN: usize = 75;

/// Writes each at its end, as whoever talked would, and the planned ones at last.
pub fn create(
    tx: &mut Tx<'_>,
    dice: &mut Dice,
    count: usize,
    year: Year,
    time_zone: Tz,
    team: &[OperatorId],
    customers: &[Known],
) -> Result<()> {
    let (end, by_whom) = (tx.now, tx.scope.actor);
    let planned = count / PLANNED_ONE_IN;
    let days = usize::try_from((year.today - year.first_on).num_days()).unwrap_or_default();
    let mut contacts: Vec<InteractionFields> = (0..count - planned)
        .map(|_| {
            let day = year.first_on + Days::new(u64::try_from(dice.below(days)).unwrap_or_default());
            // A day off falls to the working day before it, or at the very start of the year to the one after.
            let before = shift_to_working_day(day, IssueDayShift::Before);
            let day = if before < year.first_on { shift_to_working_day(day, IssueDayShift::After) } else { before };
            contact(dice, day, time_zone, team, customers)
        })
        .collect();
    contacts.sort_by_key(|contact| contact.started_at);
    for mut fields in contacts {
        if dice.percent(3) {
            fields.status = InteractionStatus::NotHeld;
            fields.duration_minutes = 0;
            fields.billable = false;
            fields.outcome = None;
        }
        let ended_at = fields.started_at + TimeDelta::minutes(i64::from(fields.duration_minutes));
        tx.now = ended_at.min(end);
        tx.scope.actor = ActorRef::Operator(fields.operator_id);
        interactions::create(tx, fields)?;
    }
    tx.now = end;
    for _ in 0..planned {
        let ahead = 1 + dice.below(PLANNED_DAYS);
        let day = year.today + Days::new(u64::try_from(ahead).unwrap_or_default());
        let day = shift_to_working_day(day, IssueDayShift::After);
        let fields = InteractionFields {
            status: InteractionStatus::Planned,
            direction: Direction::Outbound,
            outcome: None,
            ..contact(dice, day, time_zone, team, customers)
        };
        tx.scope.actor = ActorRef::Operator(fields.operator_id);
        interactions::create(tx, fields)?;
    }
    tx.scope.actor = by_whom;
    Ok(())
}

fn contact(
    dice: &mut Dice,
    day: NaiveDate,
    time_zone: Tz,
    team: &[OperatorId],
    customers: &[Known],
) -> InteractionFields {
    // The lesser of two throws: a few customers take much of the time, as in life.
    let customer = &customers[dice.below(customers.len()).min(dice.below(customers.len()))];
    let operator_id = match dice.below(10) {
        0 => team[0],
        1 | 2 => *dice.pick(talkers(team)),
        _ => customer.caretaker_id,
    };
    let channel = channel(dice);
    let (shortest, steps) = minutes(channel);
    let duration_minutes = shortest + 5 * i32::try_from(dice.below(steps)).unwrap_or_default();
    let is_billable = match channel {
        Channel::Meeting | Channel::Video => dice.percent(85),
        Channel::Phone => dice.percent(60),
        _ => dice.percent(35),
    };
    InteractionFields {
        customer_id: customer.id,
        person_id: (!customer.people.is_empty() && dice.percent(80)).then(|| *dice.pick(&customer.people)),
        operator_id,
        caretaker_id: Some(customer.caretaker_id),
        channel,
        direction: if dice.percent(60) { Direction::Inbound } else { Direction::Outbound },
        status: InteractionStatus::Held,
        started_at: in_office_hours(dice, day, time_zone),
        duration_minutes,
        subject: (*dice.pick(subjects(channel))).to_owned(),
        description: None,
        outcome: dice.percent(30).then(|| (*dice.pick(&OUTCOMES)).to_owned()),
        billable: is_billable,
        hourly_rate: (is_billable && dice.percent(2)).then(|| "300.00".parse().unwrap_or_default()),
        opportunity_id: None,
        thread_id: None,
        parent_task_id: None,
        parent_interaction_id: None,
        tags: Vec::new(),
    }
}

/// Between eight and four, at full five minutes. The clock is changed at night, so the day's start tells.
fn in_office_hours(dice: &mut Dice, day: NaiveDate, time_zone: Tz) -> DateTime<Utc> {
    let minutes = 8 * 60 + 5 * i64::try_from(dice.below(96)).unwrap_or_default();
    day_bounds(day, time_zone).0 + TimeDelta::minutes(minutes)
}

fn channel(dice: &mut Dice) -> Channel {
    match dice.below(100) {
        0..42 => Channel::Phone,
        42..74 => Channel::Email,
        74..84 => Channel::Meeting,
        84..91 => Channel::Video,
        91..96 => Channel::Chat,
        96..99 => Channel::Letter,
        _ => Channel::Other,
    }
}

/// The shortest of such a contact, and how many steps of five minutes it may take.
const fn minutes(channel: Channel) -> (i32, usize) {
    match channel {
        Channel::Phone | Channel::Email => (5, 6),
        Channel::Meeting => (30, 19),
        Channel::Video => (20, 9),
        Channel::Chat => (5, 3),
        Channel::Letter | Channel::Other => (10, 5),
    }
}
