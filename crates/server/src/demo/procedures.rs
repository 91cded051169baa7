//! How customers are served: the close of each month, by itself, and what is done when a customer comes.

use super::dice::Dice;
use super::matter::{KATARZYNA, MAREK, TOMASZ};
use super::office::{Office, progress, turn_to, work};
use crate::failure::Failure;
use chrono::{Days, NaiveDate};
use opiekun_domain::calendar_day::shift_to_working_day;
use opiekun_domain::ids::{ArticleId, ProcedureId, SurveyId};
use opiekun_domain::procedure::{Assignee, DueRule, Step};
use opiekun_domain::schedule::{BillingTiming, IssueDayShift, ScheduleDay, Unit};
use opiekun_domain::subscription::CatchUp;
use opiekun_domain::task::TaskPriority;
use opiekun_persistence::procedure_runs::{self, Occasion, ProcedureRunFilter};
use opiekun_persistence::procedure_schedules::{self, ProcedureScheduleFields, ScheduledCustomer};
use opiekun_persistence::procedures::{self, ProcedureFields};
use opiekun_persistence::{ActorRef, Json, PageRequest, Tx, tasks, work_entries};

/// The minutes of a day at which procedures are arranged, at which they start and at which steps are done.
const ARRANGED: i64 = 8 * 60 + 30;
const STARTS: i64 = 7 * 60;
const DONE: i64 = 14 * 60;

/// How many customers have their months closed. The one in that place has a step more.
const CLOSED: usize = 38;
const WITH_MORE: usize = 4;

fn step(key: &str, title: &str, waits_for: &[&str], due: Option<DueRule>) -> Step {
    Step {
        key: key.to_owned(),
        title: title.to_owned(),
        instructions: None,
        assignee: Assignee::Caretaker,
        due,
        priority: TaskPriority::Normal,
        waits_for: waits_for.iter().map(|key| (*key).to_owned()).collect(),
        files_required: 0,
        survey_id: None,
        article_id: None,
    }
}

/// A day of the month after the one that is closed; a day off falls to the working day before it.
const fn of_next_month(day: u32) -> Option<DueRule> {
    Some(DueRule::DayOfMonth { day: ScheduleDay::OnDay(day), month_offset: 1, shift: IssueDayShift::Before })
}

const fn after_start(working_days: u16) -> Option<DueRule> {
    Some(DueRule::AfterStart { working_days })
}

fn monthly_close(on_documents: ArticleId) -> Vec<Step> {
    let last = DueRule::DayOfMonth { day: ScheduleDay::LastDay, month_offset: 1, shift: IssueDayShift::Before };
    vec![
        Step {
            instructions: Some("Faktury, wyciągi, listy obecności. Po trzecim dniu dzwonimy.".to_owned()),
            article_id: Some(on_documents),
            ..step("collect", "Zebrać dokumenty", &[], after_start(4))
        },
        step("book", "Zaksięgować dokumenty", &["collect"], of_next_month(15)),
        Step { priority: TaskPriority::High, ..step("zus", "Deklaracja ZUS", &["book"], of_next_month(20)) },
        Step { priority: TaskPriority::High, ..step("pit", "Zaliczka na PIT", &["book"], of_next_month(20)) },
        Step { priority: TaskPriority::High, ..step("vat", "Wysłać JPK_V7", &["book"], of_next_month(25)) },
        step("invoice", "Wysłać fakturę za miesiąc", &["zus", "pit", "vat"], Some(last)),
    ]
}

fn onboarding(survey_id: SurveyId, office: &Office<'_>) -> Vec<Step> {
    let team = [KATARZYNA, TOMASZ].map(|place| office.team[place]).to_vec();
    vec![
        Step { files_required: 1, ..step("contract", "Podpisać umowę", &[], after_start(3)) },
        step("authority", "Pełnomocnictwa UPL-1 i PPS-1", &["contract"], after_start(5)),
        Step {
            assignee: Assignee::RoundRobin { operator_ids: team },
            ..step("ledgers", "Założyć księgi i plan kont", &["contract"], after_start(8))
        },
        Step { assignee: Assignee::Starter, ..step("meet", "Spotkanie powitalne", &[], after_start(5)) },
        Step {
            survey_id: Some(survey_id),
            ..step("ask", "Zapytać po pierwszym miesiącu", &["authority", "ledgers", "meet"], after_start(25))
        },
    ]
}

pub fn create(
    tx: &mut Tx<'_>,
    dice: &mut Dice,
    office: &Office<'_>,
    (survey_id, on_documents): (SurveyId, ArticleId),
) -> Result<(), Failure> {
    let manager = office.team[MAREK];
    // Arranged in the last month, so that this month's first is the first start.
    turn_to(tx, office.at(shift_to_working_day(office.year.month(11), IssueDayShift::After), ARRANGED), manager);
    let close = procedures::create(
        tx,
        ProcedureFields {
            name: "Zamknięcie miesiąca".to_owned(),
            description: Some("Od dokumentów do faktury, co miesiąc u każdego klienta.".to_owned()),
            steps: Json(monthly_close(on_documents)),
        },
    )?;
    let onboarding = procedures::create(
        tx,
        ProcedureFields {
            name: "Nowy klient".to_owned(),
            description: Some("Od umowy do pierwszej rozmowy o współpracy.".to_owned()),
            steps: Json(onboarding(survey_id, office)),
        },
    )?;
    let scheduled = office.customers.iter().take(CLOSED).enumerate().map(|(place, customer)| ScheduledCustomer {
        customer_id: customer.id,
        is_listed: true,
        extra_steps: Json(match place {
            WITH_MORE => vec![step("intrastat", "Wysłać INTRASTAT", &["book"], of_next_month(10))],
            _ => Vec::new(),
        }),
    });
    let schedule = procedure_schedules::create(
        tx,
        ProcedureScheduleFields {
            procedure_id: close.id,
            every_unit: Unit::Month,
            every_count: 1,
            first_on: office.year.month(11),
            day: None,
            timing: BillingTiming::InArrears,
            start_offset_days: 0,
            start_day_shift: IssueDayShift::None,
            ends_on: None,
            catch_up: CatchUp::Latest,
            is_listed: true,
            customer_tag: None,
            caretaker_id: None,
            active: true,
        },
        scheduled.collect(),
    )?;
    if let Some(customer) = office.customers.last() {
        let begun_on = office.days_ago(9);
        turn_to(tx, office.at(begun_on, ARRANGED), manager);
        let onboarding = procedures::lock(tx, onboarding.id, None)?;
        let start = procedure_runs::start_for(tx, customer.id, None)?;
        let occasion = Occasion { started_on: begun_on, starter_id: Some(manager) };
        procedure_runs::start_all(tx, &onboarding, occasion, start.into_iter().collect())?;
    }
    // By itself, on the first of the month.
    turn_to(tx, office.at(office.year.month(12), STARTS).min(office.at(office.year.today, 0)), manager);
    tx.scope.actor = ActorRef::System;
    while procedure_schedules::start_some(tx, schedule.id, 200)? {}
    work_on(tx, dice, office, close.id)
}

/// The caretakers have done what was due so far, most of them: some wait for documents, and some are late.
fn work_on(tx: &mut Tx<'_>, dice: &mut Dice, office: &Office<'_>, close: ProcedureId) -> Result<(), Failure> {
    let all = PageRequest { sort: (), descending: false, limit: 200, after: None, count: false };
    let of_close = ProcedureRunFilter { procedure_id: Some(close), ..ProcedureRunFilter::default() };
    let keys = ["collect", "book", "zus", "pit", "vat", "invoice"];
    for run in procedure_runs::list(tx, &of_close, &all)?.items {
        let put_off = if dice.percent(20) { dice.below(keys.len()) } else { keys.len() };
        for key in keys.iter().take(put_off) {
            let steps = procedure_runs::steps_of(tx, &[run.id])?;
            let Some((step, task)) = steps.into_iter().find(|(step, _)| step.key == *key) else { break };
            let Some(done_on) = step.due_on.map(|due_on| earlier(dice, due_on, office)) else { break };
            if done_on >= office.year.today || step.opened_at.is_none() {
                break;
            }
            let Some(who) = task.fields.caretaker_id else { break };
            let began = DONE + i64::try_from(dice.below(120)).unwrap_or_default();
            let minutes = 15 + 5 * i32::try_from(dice.below(8)).unwrap_or_default();
            turn_to(tx, office.at(done_on, began + i64::from(minutes)), who);
            work_entries::create(tx, work(task.id, who, tx.now, minutes))?;
            let progress = progress(&task, 100).map_err(Failure::new)?;
            tasks::update(tx, &task, task.fields.clone(), progress, None)?;
        }
    }
    Ok(())
}

/// A working day or two before a step is due, but not before the month began.
fn earlier(dice: &mut Dice, due_on: NaiveDate, office: &Office<'_>) -> NaiveDate {
    let days = Days::new(u64::try_from(dice.below(3)).unwrap_or_default());
    shift_to_working_day((due_on - days).max(office.year.month(12)), IssueDayShift::After)
}
