//! The office itself: its operators, in their tree, and what their hours cost.

use super::dice::Dice;
use super::words::nip;
use super::{LEGAL_NAME, OWNER_EMAIL, Year, pass_a_minute};
use chrono::{Months, NaiveDate};
use opiekun_domain::address::Address;
use opiekun_domain::currency::Currency;
use opiekun_domain::ids::OperatorId;
use opiekun_domain::invoice_email::EmailSettings;
use opiekun_domain::language::Language;
use opiekun_domain::operator::{BillingRight, Role};
use opiekun_domain::tax_identity::TaxScheme;
use opiekun_persistence::hourly_rates::{HourlyRateFields, RateHolder};
use opiekun_persistence::operators::OperatorFields;
use opiekun_persistence::organizations::{BankAccount, Organization, OrganizationFields};
use opiekun_persistence::{Json, Result, Tx, hourly_rates, operators, organizations};

struct Colleague {
    email: &'static str,
    full_name: &'static str,
    role: Role,
    billing: BillingRight,
    /// Its place in the list, which is before this one's.
    supervisor: Option<usize>,
}

const COLLEAGUES: [Colleague; 6] = [
    Colleague {
        email: OWNER_EMAIL,
        full_name: "Anna Wiśniewska",
        role: Role::Owner,
        billing: BillingRight::Write,
        supervisor: None,
    },
    Colleague {
        email: "marek@kropka.example",
        full_name: "Marek Zieliński",
        role: Role::Manager,
        billing: BillingRight::Write,
        supervisor: Some(0),
    },
    Colleague {
        email: "katarzyna@kropka.example",
        full_name: "Katarzyna Lewandowska",
        role: Role::Operator,
        billing: BillingRight::Read,
        supervisor: Some(1),
    },
    Colleague {
        email: "tomasz@kropka.example",
        full_name: "Tomasz Wójcik",
        role: Role::Operator,
        billing: BillingRight::None,
        supervisor: Some(1),
    },
    Colleague {
        email: "joanna@kropka.example",
        full_name: "Joanna Dąbrowska",
        role: Role::Operator,
        billing: BillingRight::None,
        supervisor: Some(2),
    },
    Colleague {
        email: "piotr@kropka.example",
        full_name: "Piotr Szymański",
        role: Role::Viewer,
        billing: BillingRight::Read,
        supervisor: Some(0),
    },
];

pub fn organization(tx: &mut Tx<'_>, dice: &mut Dice) -> Result<Organization> {
    organizations::create(
        tx,
        OrganizationFields {
            legal_name: LEGAL_NAME.to_owned(),
            tax_scheme: TaxScheme::Nip,
            tax_country: Some("PL".to_owned()),
            tax_number: Some(nip(dice)),
            address: Json(Address {
                line1: "ul. Rynkowa 7/2".to_owned(),
                line2: None,
                postal_code: Some("61-001".to_owned()),
                city: "Poznań".to_owned(),
                country: "PL".to_owned(),
            }),
            bank_accounts: Json(vec![BankAccount {
                iban: "PL61109010140000071219812874".to_owned(),
                currency: Currency::PLN,
                bank_name: Some("Bank Przykładowy".to_owned()),
                swift: Some("BPKOPLPWXXX".to_owned()),
            }]),
            currency: Currency::PLN,
            time_zone: "Europe/Warsaw".to_owned(),
            locale: Language::Polish,
            round_up_minutes: None,
            logo_file_id: None,
            automatic_invoicing_hour: None,
            email: Json(EmailSettings {
                from_address: Some("faktury@kropka.example".to_owned()),
                ..EmailSettings::default()
            }),
            email_invoices: false,
            reminders: None,
        },
    )
}

/// Who works here, the owner first.
pub fn operators(tx: &mut Tx<'_>) -> Result<Vec<OperatorId>> {
    let mut ids: Vec<OperatorId> = Vec::with_capacity(COLLEAGUES.len());
    for colleague in &COLLEAGUES {
        let fields = OperatorFields {
            email: colleague.email.to_owned(),
            full_name: colleague.full_name.to_owned(),
            role: colleague.role,
            billing: colleague.billing,
            supervisor_id: colleague.supervisor.map(|place| ids[place]),
            active: true,
            locale: Language::Polish,
        };
        pass_a_minute(tx);
        ids.push(operators::create(tx, fields, None)?.id);
    }
    Ok(ids)
}

/// Those who talk with customers: all but the owner, who does so rarely, and the one who only reads.
pub fn talkers(team: &[OperatorId]) -> &[OperatorId] {
    &team[1..5]
}

/// Everybody, in the order in which they came.
pub fn team(tx: &mut Tx<'_>) -> Result<Vec<OperatorId>> {
    let page = opiekun_persistence::PageRequest { sort: (), descending: false, limit: 200, after: None, count: false };
    let all = operators::list(tx, &operators::OperatorFilter::default(), &page)?.items;
    Ok(all.into_iter().map(|operator| operator.id).collect())
}

/// Everybody has the same, and from its setting on can sign in.
pub fn set_passwords(tx: &mut Tx<'_>, hash: &str) -> Result<()> {
    let page = opiekun_persistence::PageRequest { sort: (), descending: false, limit: 200, after: None, count: false };
    for operator in operators::list(tx, &operators::OperatorFilter::default(), &page)?.items {
        operators::set_password(tx, &operator, hash.to_owned())?;
    }
    Ok(())
}

/// What an hour costs: of the office, raised in the middle of the year, and of three of its people.
pub fn rates(tx: &mut Tx<'_>, year: Year, team: &[OperatorId]) -> Result<()> {
    let long_ago = year.first_on.checked_sub_months(Months::new(24)).unwrap_or(year.first_on);
    let rates = [
        (RateHolder::Organization, "120.00", long_ago),
        (RateHolder::Organization, "140.00", year.month(6)),
        (RateHolder::Operator(team[0]), "250.00", long_ago),
        (RateHolder::Operator(team[1]), "180.00", long_ago),
        (RateHolder::Operator(team[1]), "200.00", year.month(6)),
        (RateHolder::Operator(team[4]), "95.00", long_ago),
    ];
    rates.into_iter().try_for_each(|(holder, amount, from_on)| rate(tx, holder, amount, from_on))
}

/// One dated rate, written as decimals are.
pub fn rate(tx: &mut Tx<'_>, holder: RateHolder, amount: &str, valid_from_on: NaiveDate) -> Result<()> {
    pass_a_minute(tx);
    let fields = HourlyRateFields { amount: amount.parse().unwrap_or_default(), valid_from_on };
    hourly_rates::create(tx, holder, Currency::PLN, fields).map(|_| ())
}
