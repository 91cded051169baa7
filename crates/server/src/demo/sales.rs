//! What the office sells: a pipeline, and the year's deals on their way through it.

use super::customers::Known;
use super::dice::Dice;
use super::matter::MAREK;
use super::office::{Office, contact, turn_to};
use crate::failure::Failure;
use chrono::{Days, NaiveDate, TimeDelta};
use opiekun_domain::calendar_day::shift_to_working_day;
use opiekun_domain::currency::Currency;
use opiekun_domain::interaction::{Channel, Direction};
use opiekun_domain::pipeline::StageKind;
use opiekun_domain::schedule::IssueDayShift;
use opiekun_persistence::opportunities::{Opportunity, OpportunityFields};
use opiekun_persistence::pipelines::PipelineFields;
use opiekun_persistence::stages::{Stage, StageFields};
use opiekun_persistence::{Tx, interactions, opportunities, pipelines, stages};

const PIPELINE: &str = "Sprzedaż";

/// A stage on the way, and what happens there.
struct Step {
    name: &'static str,
    probability_percent: i16,
    /// The fewest days that a deal stays, and how many more it may.
    days: (usize, usize),
    /// Of a hundred deals so many are lost from here, and so many more stay for good.
    lost: usize,
    stuck: usize,
    /// What is talked about at its beginning.
    channel: Channel,
    direction: Direction,
    minutes: i32,
    subject: &'static str,
}

/// Deals go through the first stages in days, and then wait for weeks for an answer to the offer.
const STEPS: [Step; 4] = [
    Step {
        name: "Zapytanie",
        probability_percent: 10,
        days: (1, 4),
        lost: 6,
        stuck: 2,
        channel: Channel::Email,
        direction: Direction::Inbound,
        minutes: 10,
        subject: "Zapytanie o ofertę",
    },
    Step {
        name: "Rozmowa",
        probability_percent: 30,
        days: (3, 8),
        lost: 10,
        stuck: 3,
        channel: Channel::Meeting,
        direction: Direction::Outbound,
        minutes: 60,
        subject: "Potrzeby i zakres obsługi",
    },
    Step {
        name: "Oferta",
        probability_percent: 50,
        days: (21, 40),
        lost: 25,
        stuck: 12,
        channel: Channel::Email,
        direction: Direction::Outbound,
        minutes: 25,
        subject: "Wysłana oferta",
    },
    Step {
        name: "Negocjacje",
        probability_percent: 70,
        days: (3, 10),
        lost: 15,
        stuck: 3,
        channel: Channel::Phone,
        direction: Direction::Outbound,
        minutes: 20,
        subject: "Cena i termin rozpoczęcia",
    },
];

/// What is sold, with the least that it is worth and how many hundreds more.
const DEALS: [(&str, usize, usize); 8] = [
    ("Pełna księgowość", 14_000, 120),
    ("Kadry i płace", 5_000, 60),
    ("Przejęcie ksiąg z innego biura", 6_000, 50),
    ("Estoński CIT: doradztwo", 3_500, 30),
    ("Wdrożenie KSeF", 2_500, 25),
    ("Sprawozdanie finansowe", 3_000, 30),
    ("Audyt podatkowy", 8_000, 80),
    ("Dokumentacja cen transferowych", 9_000, 90),
];

const LOST_FOR: [&str; 4] =
    ["Za drogo", "Zostają w obecnym biurze", "Brak odpowiedzi na ofertę", "Zatrudnili własną księgową"];

/// The minute of a day at which deals move on.
const MOVED: i64 = 9 * 60;

/// The stages in use: those on the way, and the two ends.
struct Stages {
    steps: Vec<Stage>,
    won: Stage,
    lost: Stage,
}

pub fn create(tx: &mut Tx<'_>, dice: &mut Dice, office: &Office<'_>, count: usize) -> Result<(), Failure> {
    let stages = pipeline(tx, office)?;
    pipelines::hold(tx)?;
    (0..count).try_for_each(|_| sell(tx, dice, office, &stages))
}

/// The manager sets up the stages before the first deal.
fn pipeline(tx: &mut Tx<'_>, office: &Office<'_>) -> Result<Stages, Failure> {
    turn_to(tx, office.at(office.year.first_on, 0) - TimeDelta::days(7), office.team[MAREK]);
    let open = STEPS.iter().map(|step| (step.name, StageKind::Open, step.probability_percent));
    let ends = [("Wygrana", StageKind::Won, 100), ("Przegrana", StageKind::Lost, 0)];
    let fields = open
        .chain(ends)
        .map(|(name, kind, probability_percent)| StageFields { name: name.to_owned(), kind, probability_percent })
        .collect();
    let pipeline = pipelines::create(tx, PipelineFields { name: PIPELINE.to_owned() }, fields)?;
    let mut steps = stages::of_pipelines(tx, &[pipeline.id])?;
    match (steps.pop(), steps.pop()) {
        (Some(lost), Some(won)) => Ok(Stages { steps, won, lost }),
        _ => Err(Failure::new("the demo's pipeline has no stages")),
    }
}

/// One deal from its first question to its end, or as far as it has come by the day of the story.
fn sell(tx: &mut Tx<'_>, dice: &mut Dice, office: &Office<'_>, stages: &Stages) -> Result<(), Failure> {
    let customer = dice.pick(office.customers);
    let mut on = office.days_ago(i64::try_from(1 + dice.below(355)).unwrap_or_default());
    turn_to(tx, office.at(on, MOVED), customer.caretaker_id);
    let mut deal = opportunities::create(tx, fields(dice, customer, on), &stages.steps[0])?;
    for (place, step) in STEPS.iter().enumerate() {
        talk(tx, office, customer, &deal, step, on)?;
        let (fewest, more) = step.days;
        let stays = Days::new(u64::try_from(fewest + dice.below(more)).unwrap_or_default());
        let chance = dice.below(100);
        on = shift_to_working_day(on + stays, IssueDayShift::After);
        if on >= office.year.today || (step.lost..step.lost + step.stuck).contains(&chance) {
            break;
        }
        turn_to(tx, office.at(on, MOVED), customer.caretaker_id);
        let (stage, note) = match stages.steps.get(place + 1) {
            _ if chance < step.lost => (&stages.lost, Some((*dice.pick(&LOST_FOR)).to_owned())),
            None => (&stages.won, Some("Umowa podpisana".to_owned())),
            Some(next) => (next, None),
        };
        deal = opportunities::update(tx, &deal, deal.fields.clone(), stage, note)?;
        if stage.fields.kind != StageKind::Open {
            break;
        }
    }
    Ok(())
}

fn fields(dice: &mut Dice, customer: &Known, on: NaiveDate) -> OpportunityFields {
    let (title, least, hundreds) = *dice.pick(&DEALS);
    let value = least + 100 * dice.below(hundreds);
    let days = Days::new(u64::try_from(40 + dice.below(50)).unwrap_or_default());
    OpportunityFields {
        customer_id: customer.id,
        title: title.to_owned(),
        description: None,
        value: value.to_string().parse().unwrap_or_default(),
        currency: Currency::PLN,
        caretaker_id: Some(customer.caretaker_id),
        // One in ten is left open.
        expected_close_on: (!dice.percent(10)).then(|| on + days),
        tags: Vec::new(),
    }
}

/// The contact that goes with a step. Selling is not billed.
fn talk(
    tx: &mut Tx<'_>,
    office: &Office<'_>,
    customer: &Known,
    deal: &Opportunity,
    step: &Step,
    on: NaiveDate,
) -> Result<(), Failure> {
    let ended_at = office.at(on, MOVED + 15 + i64::from(step.minutes));
    turn_to(tx, ended_at, customer.caretaker_id);
    let mut fields = contact(customer, customer.caretaker_id, ended_at, step.minutes);
    fields.channel = step.channel;
    fields.direction = step.direction;
    fields.subject = format!("{}: {}", deal.fields.title, step.subject);
    fields.billable = false;
    fields.opportunity_id = Some(deal.id);
    interactions::create(tx, fields)?;
    Ok(())
}
