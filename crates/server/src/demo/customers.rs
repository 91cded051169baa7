//! The office's customers and the people there.

use super::dice::Dice;
use super::firm::{rate, talkers};
use super::words::{BYNAMES, CITIES, FORMS, MEN, POSITIONS, STREETS, SURNAMES, TRADES, WOMEN, nip, plain};
use super::{Year, pass_a_minute};
use opiekun_domain::address::Address;
use opiekun_domain::currency::Currency;
use opiekun_domain::customer::CustomerKind;
use opiekun_domain::ids::{CustomerId, OperatorId, PersonId};
use opiekun_domain::language::Language;
use opiekun_domain::tax_identity::TaxScheme;
use opiekun_persistence::customers::CustomerFields;
use opiekun_persistence::hourly_rates::RateHolder;
use opiekun_persistence::people::{Consent, PersonFields};
use opiekun_persistence::{Json, Result, Tx, customers, people};

/// A customer, as far as the rest of the story needs it.
pub struct Known {
    pub id: CustomerId,
    pub caretaker_id: OperatorId,
    pub people: Vec<PersonId>,
}

pub fn create(tx: &mut Tx<'_>, dice: &mut Dice, count: usize, year: Year, team: &[OperatorId]) -> Result<Vec<Known>> {
    let mut known = Vec::with_capacity(count);
    for place in 0..count {
        pass_a_minute(tx);
        let caretaker_id = talkers(team)[place % talkers(team).len()];
        let fields = fields(dice, place, caretaker_id);
        let domain = format!("{}.example", plain(fields.short_name.as_deref().unwrap_or("poczta")));
        let is_company = fields.kind == CustomerKind::Company;
        let id = customers::create(tx, fields)?.id;
        if place % 7 == 3 {
            rate(tx, RateHolder::Customer(id), "150.00", year.first_on)?;
            rate(tx, RateHolder::Customer(id), "165.00", year.month(8))?;
        }
        let mut people = Vec::new();
        if is_company {
            for _ in 0..=dice.below(2) {
                people.push(person(tx, dice, id, &domain)?);
            }
        }
        known.push(Known { id, caretaker_id, people });
    }
    Ok(known)
}

/// Every tenth is a private person.
fn fields(dice: &mut Dice, place: usize, caretaker_id: OperatorId) -> CustomerFields {
    let kind = if place % 10 == 9 { CustomerKind::Person } else { CustomerKind::Company };
    let (name, short_name) = match kind {
        CustomerKind::Person => (full_name(dice), None),
        CustomerKind::Company => {
            let (trade, byname) = (TRADES[place % TRADES.len()], BYNAMES[place % BYNAMES.len()]);
            // The two lists have no common divisor, so a pair comes again only after all others.
            let name = if place % 4 == 1 {
                format!("{trade} \"{byname}\" {}", full_name(dice))
            } else {
                format!("{trade} \"{byname}\" {}", dice.pick(&FORMS))
            };
            (name, Some(format!("{trade} {byname}")))
        }
    };
    let tax_number = (kind == CustomerKind::Company).then(|| nip(dice));
    CustomerFields {
        kind,
        email: Some(match &short_name {
            Some(short_name) => format!("biuro@{}.example", plain(short_name)),
            None => format!("{}@poczta.example", plain(&name)),
        }),
        phone: Some(phone(dice)),
        name,
        short_name,
        tax_scheme: if tax_number.is_some() { TaxScheme::Nip } else { TaxScheme::None },
        tax_country: tax_number.is_some().then(|| "PL".to_owned()),
        tax_number,
        billing_address: Some(Json(address(dice))),
        correspondence_address: (place % 6 == 2).then(|| Json(address(dice))),
        caretaker_id: Some(caretaker_id),
        tags: tags(kind, place).iter().map(|tag| (*tag).to_owned()).collect(),
        payment_days: (place % 5 == 4).then_some(21),
        round_up_minutes: (place % 8 == 5).then_some(15),
        currency: Currency::PLN,
        language: Language::Polish,
        external_id: Some(format!("KH-{:04}", place + 1)),
        notes: (place % 9 == 4).then(|| "Dokumenty przynosi osobiście do 5. dnia miesiąca.".to_owned()),
        send_reminders: true,
    }
}

fn tags(kind: CustomerKind, place: usize) -> &'static [&'static str] {
    match (kind, place % 3) {
        (CustomerKind::Person, _) => &["pit"],
        (CustomerKind::Company, 0) => &["vat", "pełna księgowość"],
        (CustomerKind::Company, 1) => &["vat", "kpir"],
        (CustomerKind::Company, _) => &["ryczałt"],
    }
}

fn person(tx: &mut Tx<'_>, dice: &mut Dice, customer_id: CustomerId, domain: &str) -> Result<PersonId> {
    pass_a_minute(tx);
    let full_name = full_name(dice);
    let local = full_name.split(' ').map(plain).collect::<Vec<_>>().join(".");
    let consents = if dice.percent(40) {
        vec![Consent {
            purpose: "newsletter podatkowy".to_owned(),
            given_at: tx.now,
            method: "formularz papierowy".to_owned(),
            withdrawn_at: None,
        }]
    } else {
        Vec::new()
    };
    let fields = PersonFields {
        full_name,
        position: Some((*dice.pick(&POSITIONS)).to_owned()),
        email: Some(format!("{local}@{domain}")),
        phone: Some(phone(dice)),
        consents: Json(consents),
    };
    Ok(people::create(tx, customer_id, fields)?.id)
}

fn full_name(dice: &mut Dice) -> String {
    let first = if dice.percent(50) { dice.pick(&WOMEN) } else { dice.pick(&MEN) };
    format!("{first} {}", dice.pick(&SURNAMES))
}

fn address(dice: &mut Dice) -> Address {
    let (city, code) = dice.pick(&CITIES);
    Address {
        line1: format!("ul. {} {}", dice.pick(&STREETS), 1 + dice.below(120)),
        line2: None,
        postal_code: Some(format!("{code}-{:03}", dice.below(1_000))),
        city: (*city).to_owned(),
        country: "PL".to_owned(),
    }
}

fn phone(dice: &mut Dice) -> String {
    format!("+4861{:03}{:02}{:02}", dice.below(1_000), dice.below(100), dice.below(100))
}
