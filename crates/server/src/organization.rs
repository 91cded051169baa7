//! `opiekun organization create`: a firm and its first owner, who makes everybody else.

use crate::clock;
use crate::failure::Failure;
use crate::settings::Settings;
use crate::system_scope::system_scope;
use crate::terminal::say;
use clap::Args;
use opiekun_domain::address::Address;
use opiekun_domain::currency::Currency;
use opiekun_domain::ids::OrganizationId;
use opiekun_domain::language::Language;
use opiekun_domain::operator::{BillingRight, Role};
use opiekun_domain::tax_identity::{TaxScheme, nip};
use opiekun_http::{hash_password, random_secret};
use opiekun_persistence::operators::OperatorFields;
use opiekun_persistence::organizations::OrganizationFields;
use opiekun_persistence::{Db, Json, StoreError, operators, organizations};
use std::process::ExitCode;

const PASSWORD_CHARACTERS_MIN: usize = 12;

#[derive(Debug, Args)]
pub struct CreateArguments {
    /// The name on its invoices
    #[arg(long)]
    legal_name: String,
    /// The Polish tax number
    #[arg(long)]
    nip: String,
    /// Street and number, on its invoices
    #[arg(long)]
    address: String,
    #[arg(long)]
    postal_code: String,
    #[arg(long)]
    city: String,
    /// What the owner signs in with
    #[arg(long)]
    owner_email: String,
    #[arg(long)]
    owner_name: String,
}

pub fn create(settings: &Settings, db: &Db, arguments: &CreateArguments) -> Result<ExitCode, Failure> {
    let nip = nip(&arguments.nip).map_err(|problem| Failure::new(format_args!("--nip: {problem}")))?;
    check_length("--legal-name", &arguments.legal_name, 240)?;
    check_length("--address", &arguments.address, 240)?;
    check_length("--postal-code", &arguments.postal_code, 20)?;
    check_length("--city", &arguments.city, 120)?;
    check_length("--owner-name", &arguments.owner_name, 160)?;
    check_length("--owner-email", &arguments.owner_email, 254)?;
    if !arguments.owner_email.split_once('@').is_some_and(|(name, host)| !name.is_empty() && host.contains('.')) {
        return Err(Failure::new("--owner-email: an address such as jan@firma.pl is expected"));
    }
    let (password, is_made) = match &settings.owner_password {
        Some(password) if password.chars().count() < PASSWORD_CHARACTERS_MIN => {
            return Err(Failure::new(format_args!(
                "OPIEKUN_OWNER_PASSWORD: at least {PASSWORD_CHARACTERS_MIN} characters are expected"
            )));
        }
        Some(password) => (password.clone(), false),
        None => (random_secret(), true),
    };
    let hash = hash_password(&password).map_err(Failure::new)?;

    let now = clock::now();
    let id = OrganizationId::at(now);
    let created = db.transaction(system_scope(id), now, |tx| {
        organizations::create(tx, organization(arguments, nip))?;
        operators::create(tx, owner(arguments), Some(hash)).map(|_| ())
    });
    created.map_err(|error| match &error {
        StoreError::Refused { constraint, .. } if constraint == "operators_email_key" => {
            Failure::new(format_args!("--owner-email: {} signs somebody in already", arguments.owner_email))
        }
        _ => Failure::from(error),
    })?;
    say(format_args!("Organization {id}: {}", arguments.legal_name));
    say(format_args!("Its owner signs in as {}", arguments.owner_email));
    if is_made {
        say(format_args!("with this password, which is not shown again: {password}"));
    }
    Ok(ExitCode::SUCCESS)
}

fn check_length(name: &str, text: &str, characters_max: usize) -> Result<(), Failure> {
    let count = text.trim().chars().count();
    if (1..=characters_max).contains(&count) && !text.contains(char::is_control) {
        return Ok(());
    }
    Err(Failure::new(format_args!("{name}: one line of 1 to {characters_max} characters is expected")))
}

/// A Polish firm; the API changes what is otherwise.
fn organization(arguments: &CreateArguments, nip: String) -> OrganizationFields {
    OrganizationFields {
        legal_name: arguments.legal_name.trim().to_owned(),
        tax_scheme: TaxScheme::Nip,
        tax_country: Some("PL".to_owned()),
        tax_number: Some(nip),
        address: Json(Address {
            line1: arguments.address.trim().to_owned(),
            line2: None,
            postal_code: Some(arguments.postal_code.trim().to_owned()),
            city: arguments.city.trim().to_owned(),
            country: "PL".to_owned(),
        }),
        bank_accounts: Json(Vec::new()),
        currency: Currency::PLN,
        time_zone: "Europe/Warsaw".to_owned(),
        locale: Language::Polish,
        round_up_minutes: None,
        logo_file_id: None,
        automatic_invoicing_hour: None,
        email: Json::default(),
        email_invoices: false,
        reminders: None,
    }
}

fn owner(arguments: &CreateArguments) -> OperatorFields {
    OperatorFields {
        email: arguments.owner_email.trim().to_owned(),
        full_name: arguments.owner_name.trim().to_owned(),
        role: Role::Owner,
        billing: BillingRight::Write,
        supervisor_id: None,
        active: true,
        locale: Language::Polish,
    }
}
