//! `opiekun organization create`: a firm and its first owner.

use super::{DONE, Outcome, system_scope, with_database};
use crate::clock;
use crate::console::say;
use crate::settings::Settings;
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
use opiekun_persistence::{Json, StoreError, operators, organizations};

#[derive(Args)]
pub struct CreateArgs {
    /// As it stands on invoices.
    #[arg(long)]
    legal_name: String,
    /// The Polish tax number, 10 digits.
    #[arg(long)]
    nip: String,
    /// Street and number.
    #[arg(long)]
    address: String,
    #[arg(long)]
    postal_code: String,
    #[arg(long)]
    city: String,
    /// The first owner signs in with it.
    #[arg(long)]
    owner_email: String,
    #[arg(long)]
    owner_name: String,
}

pub fn create(settings: &Settings, args: CreateArgs) -> Outcome {
    let nip = nip(&args.nip).map_err(|problem| format!("--nip: {problem}"))?;
    if !args.owner_email.contains('@') {
        return Err("--owner-email: is no e-mail address".into());
    }
    let (password, is_made) = match &settings.owner_password {
        Some(password) if password.chars().count() >= 12 => (password.clone(), false),
        Some(_) => return Err("OPIEKUN_OWNER_PASSWORD needs at least 12 characters".into()),
        None => (random_secret(), true),
    };
    let hash = hash_password(&password).map_err(|error| error.to_string())?;
    let organization = OrganizationFields {
        legal_name: args.legal_name,
        tax_scheme: TaxScheme::Nip,
        tax_country: Some("PL".to_owned()),
        tax_number: Some(nip),
        address: Json(Address {
            line1: args.address,
            line2: None,
            postal_code: Some(args.postal_code),
            city: args.city,
            country: "PL".to_owned(),
        }),
        bank_accounts: Json(Vec::new()),
        currency: Currency::PLN,
        time_zone: "Europe/Warsaw".to_owned(),
        locale: Language::Polish,
        round_up_minutes: None,
        auto_invoicing: false,
    };
    let owner = OperatorFields {
        email: args.owner_email.clone(),
        full_name: args.owner_name,
        role: Role::Owner,
        billing: BillingRight::Write,
        supervisor_id: None,
        active: true,
        locale: Language::Polish,
    };
    with_database(settings, |db| {
        let now = clock::now();
        let id = OrganizationId::at(now);
        db.transaction(system_scope(id), now, |tx| {
            organizations::create(tx, organization)?;
            operators::create(tx, owner, Some(hash))?;
            Ok::<_, StoreError>(())
        })?;
        say(format!("Organization {id}; its owner signs in as {}.", args.owner_email));
        if is_made {
            say(format!("Password, shown this once: {password}"));
        }
        Ok(DONE)
    })
}
