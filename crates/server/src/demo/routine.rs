//! What is done day by day: duties that come back every month, errands by the way, and months that are settled.

use super::customers::Known;
use super::dice::Dice;
use super::matter::{MAREK, TOMASZ};
use super::office::{Office, progress, turn_to, work};
use crate::failure::Failure;
use chrono::{Datelike, Days, NaiveDate};
use opiekun_domain::calendar_day::shift_to_working_day;
use opiekun_domain::schedule::IssueDayShift;
use opiekun_domain::task::Progress;
use opiekun_persistence::tasks::{Origin, Task, TaskFields};
use opiekun_persistence::{Tx, month_locks, task_series, tasks, work_entries, work_tree};

/// The minutes of a day at which work is given, and by which it is done.
const GIVEN: i64 = 8 * 60 + 15;
const DONE: i64 = 15 * 60 + 30;

/// What the law wants of a customer month by month.
struct Duty {
    title: &'static str,
    day: u32,
    minutes: i32,
    tag: &'static str,
    /// Every so many customers, from that place on, have it.
    every: usize,
    first: usize,
    /// The place, of every so many, where the last one was forgotten.
    forgotten: Option<(usize, usize)>,
}

const DUTIES: [Duty; 2] = [
    Duty {
        title: "JPK_V7 i przelew VAT",
        day: 25,
        minutes: 75,
        tag: "vat",
        every: 10,
        first: 6,
        forgotten: Some((40, 26)),
    },
    Duty { title: "Deklaracja i składki ZUS", day: 20, minutes: 40, tag: "zus", every: 10, first: 5, forgotten: None },
];

/// What is done by the way, each with the minutes that it takes or so.
const ERRANDS: [(&str, i32); 10] = [
    ("Zaświadczenie o dochodach dla banku", 30),
    ("Zaświadczenie o niezaleganiu w US", 25),
    ("Uzgodnienie sald z kontrahentem", 60),
    ("Korekta deklaracji PIT", 75),
    ("Wyjaśnienie noty odsetkowej", 40),
    ("Aktualizacja danych w CEIDG", 20),
    ("Amortyzacja nowego środka trwałego", 35),
    ("Odpowiedź na wezwanie z urzędu", 90),
    ("Raport kosztów dla właściciela", 50),
    ("Sprawdzenie kontrahenta na białej liście", 10),
];

pub fn create(tx: &mut Tx<'_>, dice: &mut Dice, office: &Office<'_>, errands: usize) -> Result<(), Failure> {
    work_tree::hold(tx)?;
    for duty in &DUTIES {
        for (place, customer) in office.customers.iter().enumerate().skip(duty.first).step_by(duty.every) {
            let is_forgotten = duty.forgotten.is_some_and(|(every, rest)| place % every == rest);
            fulfil(tx, dice, office, duty, customer, is_forgotten)?;
        }
    }
    (0..errands).try_for_each(|_| errand(tx, dice, office))
}

/// A series from the first month on, with each instance done before its day as a rule. The next one comes when one is
/// closed, so what is forgotten holds up the rest.
fn fulfil(
    tx: &mut Tx<'_>,
    dice: &mut Dice,
    office: &Office<'_>,
    duty: &Duty,
    customer: &Known,
    is_forgotten: bool,
) -> Result<(), Failure> {
    let due_on = |month: u32| office.year.month(month).with_day(duty.day).unwrap_or(office.year.today);
    let caretaker_id = customer.caretaker_id;
    let given_on = shift_to_working_day(office.year.first_on, IssueDayShift::After);
    turn_to(tx, office.at(given_on, GIVEN), office.team[MAREK]);
    let task = office.task(customer, caretaker_id, duty.title, due_on(0));
    let fields = TaskFields { estimate_minutes: Some(duty.minutes), tags: vec![duty.tag.to_owned()], ..task };
    let registered_by_id = tx.scope.actor.operator_id();
    let rule = format!("FREQ=MONTHLY;BYMONTHDAY={}", duty.day).parse().map_err(Failure::new)?;
    let instance = Some(task_series::begin(tx, &fields, registered_by_id, rule)?.map_err(Failure::new)?);
    let mut next = Some(tasks::create(tx, fields, Progress::NEW, Origin { registered_by_id, instance })?);
    for month in 0.. {
        let Some(task) = next else { break };
        let is_last = due_on(month + 1) >= office.year.today;
        let days = Days::new(u64::try_from(1 + dice.below(4)).unwrap_or_default());
        let done_on = if dice.percent(6) { due_on(month) + days } else { due_on(month) - days };
        let shift = if done_on > due_on(month) { IssueDayShift::After } else { IssueDayShift::Before };
        let done_on = shift_to_working_day(done_on, shift);
        if done_on >= office.year.today || (is_forgotten && is_last) {
            break;
        }
        spend(tx, dice, office, &task, done_on, duty.minutes)?;
        turn_to(tx, office.at(done_on, DONE), caretaker_id);
        let task = come(tx, &task, 100)?;
        next = task_series::make_next(tx, &task)?;
    }
    Ok(())
}

/// Something asked for once, and done in a day or two; some of it late, and some not at all yet.
fn errand(tx: &mut Tx<'_>, dice: &mut Dice, office: &Office<'_>) -> Result<(), Failure> {
    let (title, minutes) = *dice.pick(&ERRANDS);
    let customer = dice.pick(office.customers);
    let who = customer.caretaker_id;
    let ago = 2 + dice.below(360);
    let given_on = office.days_ago(i64::try_from(ago).unwrap_or_default());
    let after = |day: NaiveDate, days: usize| {
        let days = Days::new(u64::try_from(days).unwrap_or_default());
        shift_to_working_day(day + days, IssueDayShift::After)
    };
    let due_on = after(given_on, 4 + dice.below(10));
    let done_on = if dice.percent(15) { after(due_on, 1 + dice.below(8)) } else { after(given_on, 1 + dice.below(4)) };
    // Tomasz puts off more than others.
    let is_put_off = ago < 60 && (who == office.team[TOMASZ] || dice.percent(15));

    let giver = if dice.percent(40) { office.team[MAREK] } else { who };
    turn_to(tx, office.at(given_on, GIVEN), giver);
    let fields = office.task(customer, who, title, due_on);
    let mut task = office.give(tx, TaskFields { estimate_minutes: Some(minutes), ..fields })?;
    let begun_on = after(given_on, 1);
    if dice.percent(30) && begun_on < done_on && begun_on < office.year.today {
        spend(tx, dice, office, &task, begun_on, minutes / 2)?;
        task = come(tx, &task, 50)?;
    }
    if done_on < office.year.today && !is_put_off {
        spend(tx, dice, office, &task, done_on, minutes)?;
        turn_to(tx, office.at(done_on, DONE), who);
        come(tx, &task, 100)?;
    }
    Ok(())
}

/// The caretaker's time at a task on a day, more or less so many minutes.
fn spend(
    tx: &mut Tx<'_>,
    dice: &mut Dice,
    office: &Office<'_>,
    task: &Task,
    day: NaiveDate,
    minutes: i32,
) -> Result<(), Failure> {
    let Some(who) = task.fields.caretaker_id else { return Ok(()) };
    let began = 9 * 60 + 5 * i64::try_from(dice.below(48)).unwrap_or_default();
    let minutes = minutes + 5 * i32::try_from(dice.below(5)).unwrap_or_default();
    turn_to(tx, office.at(day, began + i64::from(minutes)), who);
    work_entries::create(tx, work(task.id, who, tx.now, minutes))?;
    Ok(())
}

fn come(tx: &mut Tx<'_>, task: &Task, percent_done: i16) -> Result<Task, Failure> {
    let progress = progress(task, percent_done).map_err(Failure::new)?;
    Ok(tasks::update(tx, task, task.fields.clone(), progress, None)?)
}

/// The manager has settled the time of each month by the tenth of the next one, but for the last month.
pub fn settle_months(tx: &mut Tx<'_>, office: &Office<'_>) -> Result<(), Failure> {
    for month in 0..11 {
        let settled_on = office.year.month(month + 1) + Days::new(9);
        turn_to(tx, office.at(settled_on, DONE), office.team[MAREK]);
        month_locks::create(tx, office.year.month(month), office.time_zone)?;
    }
    Ok(())
}
