//! Organizations: the firms that keep their data here, and the sellers on their invoices.

use crate::changes::{self, Change};
use crate::db::{Db, Tx};
use crate::error::{OrNotFound, Result, StoreError};
use crate::files;
use crate::json::Json;
use crate::schema::organizations;
use crate::synonyms;
use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use diesel::prelude::*;
use diesel::sql_types::{Date, Nullable, SmallInt, Text, Timestamptz, Uuid as SqlUuid};
use opiekun_domain::address::Address;
use opiekun_domain::automatic_run::DailyRun;
use opiekun_domain::billing::{Party, Seller};
use opiekun_domain::calendar_day::day_of;
use opiekun_domain::currency::Currency;
use opiekun_domain::ids::{FileId, OrganizationId};
use opiekun_domain::invoice_email::EmailSettings;
use opiekun_domain::language::Language;
use opiekun_domain::reminder::ReminderSchedule;
use opiekun_domain::tax_identity::TaxScheme;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Queryable, Selectable, Serialize)]
#[diesel(table_name = organizations, check_for_backend(diesel::pg::Pg))]
pub struct Organization {
    pub id: OrganizationId,
    #[diesel(embed)]
    #[serde(flatten)]
    pub fields: OrganizationFields,
    /// When the hour of its automatic runs was set, if it has one.
    pub automatic_invoicing_set_at: Option<DateTime<Utc>>,
    /// When its reminders were set, if it has any.
    pub reminders_set_at: Option<DateTime<Utc>>,
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// What its owner may write.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset, Serialize)]
#[diesel(table_name = organizations, check_for_backend(diesel::pg::Pg), treat_none_as_null = true)]
pub struct OrganizationFields {
    pub legal_name: String,
    pub tax_scheme: TaxScheme,
    pub tax_country: Option<String>,
    pub tax_number: Option<String>,
    pub address: Json<Address>,
    pub bank_accounts: Json<Vec<BankAccount>>,
    pub currency: Currency,
    /// IANA name; its calendar days are the organization's.
    pub time_zone: String,
    pub locale: Language,
    /// Started units of so many minutes are billed whole, unless a customer has a rule of its own.
    pub round_up_minutes: Option<i32>,
    /// An image that everybody in the organization sees.
    pub logo_file_id: Option<FileId>,
    /// The hour, from 0 to 23, at which what is due is issued by itself, every day; `None` where it is not.
    pub automatic_invoicing_hour: Option<i16>,
    /// From whom its e-mails come, and in which words.
    pub email: Json<EmailSettings>,
    /// Whether invoices of subscriptions are sent to the customer by themselves, unless a subscription says otherwise.
    pub email_invoices: bool,
    /// How unpaid invoices are reminded of; `None` where they are not.
    pub reminders: Option<Json<ReminderSchedule>>,
}

/// An organization that has what is due issued by itself.
#[derive(Debug, Clone)]
pub struct InvoicedDaily {
    pub id: OrganizationId,
    pub time_zone: Tz,
    pub daily: DailyRun,
    /// The day of its last automatic run.
    pub last_on: Option<NaiveDate>,
}

impl Organization {
    /// The zone whose calendar days are the organization's.
    pub fn time_zone(&self) -> Tz {
        time_zone(&self.fields.time_zone)
    }

    /// As an invoice names it.
    pub fn seller(self) -> Seller {
        let fields = self.fields;
        Seller {
            party: Party {
                name: fields.legal_name,
                tax_scheme: fields.tax_scheme,
                tax_country: fields.tax_country,
                tax_number: fields.tax_number,
                address: Some(fields.address.0),
            },
            accounts: fields.bank_accounts.0.into_iter().map(|account| (account.currency, account.iban)).collect(),
        }
    }
}

/// An account that customers pay to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BankAccount {
    /// IBAN, without spaces.
    pub iban: String,
    pub currency: Currency,
    pub bank_name: Option<String>,
    /// The bank's code (BIC).
    #[serde(default)]
    pub swift: Option<String>,
}

#[derive(Insertable)]
#[diesel(table_name = organizations)]
struct NewOrganization {
    id: OrganizationId,
    #[diesel(embed)]
    fields: OrganizationFields,
    automatic_invoicing_set_at: Option<DateTime<Utc>>,
    search_version: i32,
    reminders_set_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// Makes the organization that the transaction's scope names.
pub fn create(tx: &mut Tx<'_>, fields: OrganizationFields) -> Result<Organization> {
    let row = NewOrganization {
        id: tx.organization_id(),
        automatic_invoicing_set_at: fields.automatic_invoicing_hour.map(|_| tx.now),
        search_version: opiekun_search::VERSION,
        reminders_set_at: fields.reminders.as_ref().map(|_| tx.now),
        fields,
        created_at: tx.now,
        updated_at: tx.now,
    };
    let organization: Organization = diesel::insert_into(organizations::table)
        .values(row)
        .returning(Organization::as_returning())
        .get_result(tx.conn)?;
    synonyms::begin(tx)?;
    record(tx, "created", None, &organization)?;
    Ok(organization)
}

/// What day it is on the organization's calendar.
pub fn today(tx: &mut Tx<'_>) -> Result<NaiveDate> {
    Ok(day_of(tx.now, find(tx)?.time_zone()))
}

/// The scope's own organization.
pub fn find(tx: &mut Tx<'_>) -> Result<Organization> {
    organizations::table
        .find(tx.organization_id())
        .select(Organization::as_select())
        .first(tx.conn)
        .optional()
        .or_not_found("organization")
}

/// Locks the row; [`StoreError::Stale`] when somebody has changed it since `seen`.
pub fn lock(tx: &mut Tx<'_>, seen: Option<i32>) -> Result<Organization> {
    let organization = organizations::table
        .find(tx.organization_id())
        .select(Organization::as_select())
        // The key stays, so that whoever only refers to the organization need not wait.
        .for_no_key_update()
        .first(tx.conn)
        .optional()
        .or_not_found("organization")?;
    StoreError::unless_current(organization.version, seen)?;
    Ok(organization)
}

/// Writes to a row that [`lock`] has returned, and counts its version up. A logo that it had, and that is on nothing else,
/// goes.
pub fn update(tx: &mut Tx<'_>, organization: &Organization, fields: OrganizationFields) -> Result<Organization> {
    let is_same_hour = fields.automatic_invoicing_hour == organization.fields.automatic_invoicing_hour;
    let set_at = if is_same_hour {
        organization.automatic_invoicing_set_at
    } else {
        fields.automatic_invoicing_hour.map(|_| tx.now)
    };
    let is_same_schedule = fields.reminders == organization.fields.reminders;
    let reminders_set_at =
        if is_same_schedule { organization.reminders_set_at } else { fields.reminders.as_ref().map(|_| tx.now) };
    let after = diesel::update(organizations::table.find(tx.organization_id()))
        .set((
            fields,
            organizations::reminders_set_at.eq(reminders_set_at),
            organizations::automatic_invoicing_set_at.eq(set_at),
            organizations::version.eq(organizations::version + 1),
            organizations::updated_at.eq(tx.now),
        ))
        .returning(Organization::as_returning())
        .get_result(tx.conn)?;
    record(tx, "updated", Some(organization), &after)?;
    if let Some(id) = organization.fields.logo_file_id.filter(|id| after.fields.logo_file_id != Some(*id)) {
        files::delete_unused(tx, &[id])?;
    }
    Ok(after)
}

/// Every organization of this database, for what is done for all of them.
pub fn all_ids(db: &Db) -> Result<Vec<OrganizationId>> {
    let mut conn = db.connection()?;
    Ok(organizations::table.order(organizations::id).select(organizations::id).load(&mut *conn)?)
}

/// Every organization of this database that has what is due issued by itself, with what tells whether it is time, in one
/// query.
pub fn invoiced_daily(db: &Db) -> Result<Vec<InvoicedDaily>> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = SqlUuid)]
        id: OrganizationId,
        #[diesel(sql_type = Text)]
        time_zone: String,
        #[diesel(sql_type = SmallInt)]
        hour: i16,
        #[diesel(sql_type = Timestamptz)]
        set_at: DateTime<Utc>,
        #[diesel(sql_type = Nullable<Date>)]
        last_on: Option<NaiveDate>,
    }
    let mut conn = db.connection()?;
    let rows: Vec<Row> = diesel::sql_query(
        "select o.id, o.time_zone, o.automatic_invoicing_hour as hour, o.automatic_invoicing_set_at as set_at, (
             select max(r.automatic_on) from invoice_runs r
             where r.organization_id = o.id and r.automatic_on is not null
         ) as last_on
         from organizations o where o.automatic_invoicing_hour is not null order by o.id",
    )
    .load(&mut *conn)?;
    let of = |row: Row| InvoicedDaily {
        id: row.id,
        time_zone: time_zone(&row.time_zone),
        daily: DailyRun { hour: row.hour, set_at: row.set_at },
        last_on: row.last_on,
    };
    Ok(rows.into_iter().map(of).collect())
}

/// Whether this database holds any organization at all.
pub fn any(db: &Db) -> Result<bool> {
    let mut conn = db.connection()?;
    Ok(diesel::select(diesel::dsl::exists(organizations::table.select(organizations::id))).get_result(&mut *conn)?)
}

/// Reads a name that was checked when it was written. Were it gone from the data of time zones since, UTC stands in.
pub(crate) fn time_zone(name: &str) -> Tz {
    name.parse().unwrap_or(Tz::UTC)
}

fn record(tx: &mut Tx<'_>, action: &'static str, before: Option<&Organization>, after: &Organization) -> Result<()> {
    changes::record(tx, Change::new("organization", action, (after.id, after.version), before, Some(after)))
}
