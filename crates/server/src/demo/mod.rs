//! The demo: an accounting office and its past year, the same each time for the same seed and day.
//!
//! It is written through the same functions as everything else, each row at the moment when it would have been
//! written, so that audit log and events tell the same story. The past invoices come from invoice runs. What is due
//! in the current month is left for whoever tries the demo.

mod billing;
mod contacts;
mod customers;
mod dice;
mod files;
mod firm;
mod knowledge;
mod matter;
mod matters;
mod moment;
mod office;
mod procedures;
mod questions;
mod routine;
mod sales;
mod words;
mod work;

use crate::clock;
use crate::failure::Failure;
use crate::settings::Settings;
use crate::system_scope::system_scope;
use crate::terminal::say;
use chrono::{DateTime, Datelike, Months, NaiveDate, TimeDelta, Utc};
use clap::{Args, ValueEnum};
use dice::Dice;
use office::Office;
use opiekun_domain::calendar_day::{day_bounds, day_of};
use opiekun_domain::ids::OrganizationId;
use opiekun_files::FileStore;
use opiekun_http::hash_password;
use opiekun_persistence::{Db, StoreError, Tx, credentials, organizations};
use std::process::ExitCode;

pub const LEGAL_NAME: &str = "Biuro Rachunkowe Kropka";
pub const OWNER_EMAIL: &str = "anna@kropka.example";
/// Of every operator of the demo.
pub const PASSWORD: &str = "kropka-demo-2026";

const SEED: u64 = 2026;

#[derive(Debug, Args)]
pub struct DemoArguments {
    /// How much; `serve` makes the small one on an empty database
    #[arg(long, value_enum, default_value = "small")]
    scale: Scale,
    /// Another number gives other data
    #[arg(long, default_value_t = SEED)]
    seed: u64,
    /// The day that the data lead up to; today unless told
    #[arg(long, value_name = "YYYY-MM-DD")]
    today: Option<NaiveDate>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Scale {
    /// 40 customers, 38 subscriptions, 1700 interactions, 200 tasks or so, 45 opportunities
    Small,
    /// 400 customers, 380 subscriptions, 31 500 interactions, 1700 tasks or so, 450 opportunities
    Large,
}

/// What is to be made.
#[derive(Debug, Clone, Copy)]
pub struct Demo {
    scale: Scale,
    seed: u64,
    /// The last day of the story, at noon in Poland or so.
    now: DateTime<Utc>,
}

/// How much of the demo a database holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Absent,
    /// Its filling was cut off. Nobody can sign in to it yet.
    Unfinished,
    Whole,
}

/// The days of the story.
#[derive(Debug, Clone, Copy)]
struct Year {
    /// The first of a month, a year before the current one.
    first_on: NaiveDate,
    today: NaiveDate,
}

impl Demo {
    /// The one that `serve` makes.
    pub const fn small(now: DateTime<Utc>) -> Self {
        Self { scale: Scale::Small, seed: SEED, now }
    }

    const fn customers(self) -> usize {
        match self.scale {
            Scale::Small => 40,
            Scale::Large => 400,
        }
    }

    const fn interactions(self) -> usize {
        match self.scale {
            Scale::Small => 1_500,
            Scale::Large => 30_000,
        }
    }

    const fn errands(self) -> usize {
        match self.scale {
            Scale::Small => 60,
            Scale::Large => 600,
        }
    }

    const fn opportunities(self) -> usize {
        match self.scale {
            Scale::Small => 45,
            Scale::Large => 450,
        }
    }
}

impl Year {
    fn before(today: NaiveDate) -> Option<Self> {
        Some(Self { first_on: today.with_day(1)?.checked_sub_months(Months::new(12))?, today })
    }

    /// The first day of the month that lies so many months after the first one.
    fn month(self, index: u32) -> NaiveDate {
        self.first_on.checked_add_months(Months::new(index)).unwrap_or(self.today)
    }
}

/// `opiekun demo`.
pub fn command(settings: &Settings, db: &Db, arguments: &DemoArguments) -> Result<ExitCode, Failure> {
    if settings.is_production {
        return Err(Failure::new("everybody knows the demo's password: there is none where OPIEKUN_ENV=production"));
    }
    if state(db)? == State::Whole {
        return Err(Failure::new(format_args!("the demo is there already: {OWNER_EMAIL} signs in to it")));
    }
    let now = clock::now();
    let noon = |day: NaiveDate| day.and_hms_opt(11, 0, 0).map(|moment| moment.and_utc());
    let end = arguments.today.and_then(noon).unwrap_or(now);
    if arguments.today.is_some_and(|today| today > now.date_naive()) {
        return Err(Failure::new("--today: the story ends today or before"));
    }
    // Not after the machine's own moment: what is done next would otherwise come before the past.
    fill(db, &settings.open_files()?, Demo { scale: arguments.scale, seed: arguments.seed, now: end.min(now) })?;
    say(format_args!("Made \"{LEGAL_NAME}\"; sign in as {OWNER_EMAIL} with {PASSWORD}"));
    Ok(ExitCode::SUCCESS)
}

/// How much of the demo is there.
pub fn state(db: &Db) -> Result<State, StoreError> {
    Ok(match credentials::find_operator_by_email(db, OWNER_EMAIL)? {
        None => State::Absent,
        Some((_, owner)) if owner.password_hash.is_none() => State::Unfinished,
        Some(_) => State::Whole,
    })
}

/// Makes the demo, or what is missing of it. Whatever cuts it off, the next call ends it.
pub fn fill(db: &Db, store: &FileStore, demo: Demo) -> Result<(), Failure> {
    let organization_id = match credentials::find_operator_by_email(db, OWNER_EMAIL)? {
        Some((id, _)) => id,
        None => write(db, demo)?,
    };
    let scope = system_scope(organization_id);
    let time_zone = db.read(scope, demo.now, |tx| Ok::<_, StoreError>(organizations::find(tx)?.time_zone()))?;
    let year = Year::before(day_of(demo.now, time_zone)).ok_or_else(|| Failure::new("--today: too early a day"))?;
    billing::issue_past_months(db, scope, year, time_zone)?;
    files::create(db, store, scope, demo.now, year)?;
    // The passwords come last: they are the sign that everything is there.
    let hash = hash_password(PASSWORD).map_err(Failure::new)?;
    db.transaction(scope, demo.now, |tx| firm::set_passwords(tx, &hash))?;
    Ok(())
}

/// Lets a minute pass: rows have the order of their moments, and those of one moment would have none.
fn pass_a_minute(tx: &mut Tx<'_>) {
    tx.now += TimeDelta::minutes(1);
}

/// Everything but the invoices, files and passwords, in one transaction.
fn write(db: &Db, demo: Demo) -> Result<OrganizationId, Failure> {
    let organization_id = OrganizationId::at(demo.now);
    db.transaction(system_scope(organization_id), demo.now, |tx| {
        let mut dice = Dice::new(demo.seed);
        let organization = firm::organization(tx, &mut dice)?;
        let time_zone = organization.time_zone();
        let today = day_of(demo.now, time_zone);
        let year = Year::before(today)
            .filter(|year| year.first_on.year() > 2000)
            .ok_or_else(|| Failure::new("--today: a day of this century is expected"))?;
        // Everybody was there before the year began.
        tx.now = day_bounds(year.first_on, time_zone).0 - TimeDelta::days(30);
        let team = firm::operators(tx)?;
        firm::rates(tx, year, &team)?;
        let on_documents = knowledge::create(tx)?;
        let customers = customers::create(tx, &mut dice, demo.customers(), year, &team)?;
        tx.now = demo.now;
        contacts::create(tx, &mut dice, demo.interactions(), year, time_zone, &team, &customers)?;
        billing::create(tx, &mut dice, year, time_zone, &customers)?;
        let office = Office { year, time_zone, team: &team, customers: &customers };
        work::create(tx, &office)?;
        routine::create(tx, &mut dice, &office, demo.errands())?;
        sales::create(tx, &mut dice, &office, demo.opportunities())?;
        let survey_id = questions::create(tx, &mut dice, &office)?;
        procedures::create(tx, &mut dice, &office, (survey_id, on_documents))?;
        // What is settled takes no more time, so this comes last.
        routine::settle_months(tx, &office)?;
        Ok(organization_id)
    })
}
