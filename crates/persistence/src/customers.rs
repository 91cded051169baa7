//! Customers: the companies and people that a firm deals with, the buyers on its invoices.

use crate::changes::{self, Change};
use crate::db::Tx;
use crate::error::{OrNotFound, Result, StoreError};
use crate::json::Json;
use crate::page::{Among, Cursor, Page, PageRequest, keyset, prefix_range};
use crate::schema::{customer_tags, customers};
use chrono::{DateTime, Utc};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Integer, Text};
use opiekun_domain::address::Address;
use opiekun_domain::billing::{Buyer, Party};
use opiekun_domain::currency::Currency;
use opiekun_domain::customer::CustomerKind;
use opiekun_domain::ids::{CustomerId, OperatorId, OrganizationId, uuid_floor};
use opiekun_domain::language::Language;
use opiekun_domain::tax_identity::TaxScheme;
use serde::Serialize;
use std::collections::HashMap;

#[derive(Debug, Clone, Queryable, Selectable, Serialize)]
#[diesel(table_name = customers, check_for_backend(diesel::pg::Pg))]
pub struct Customer {
    pub id: CustomerId,
    #[diesel(embed)]
    #[serde(flatten)]
    pub fields: CustomerFields,
    pub sort_name: String,
    pub archived_at: Option<DateTime<Utc>>,
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl Customer {
    /// As an invoice names it.
    pub fn buyer(self) -> Buyer {
        let fields = self.fields;
        Buyer {
            party: Party {
                name: fields.name,
                tax_scheme: fields.tax_scheme,
                tax_country: fields.tax_country,
                tax_number: fields.tax_number,
                address: fields.billing_address.map(|address| address.0),
            },
            currency: fields.currency,
            payment_days: fields.payment_days,
            is_archived: self.archived_at.is_some(),
        }
    }
}

/// What a caller may write.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset, Serialize)]
#[diesel(table_name = customers, check_for_backend(diesel::pg::Pg), treat_none_as_null = true)]
pub struct CustomerFields {
    pub kind: CustomerKind,
    pub name: String,
    pub short_name: Option<String>,
    pub tax_scheme: TaxScheme,
    pub tax_country: Option<String>,
    pub tax_number: Option<String>,
    pub billing_address: Option<Json<Address>>,
    pub correspondence_address: Option<Json<Address>>,
    pub email: Option<String>,
    pub phone: Option<String>,
    pub caretaker_id: Option<OperatorId>,
    pub tags: Vec<String>,
    pub payment_days: Option<i16>,
    pub round_up_minutes: Option<i32>,
    pub currency: Currency,
    pub language: Language,
    pub external_id: Option<String>,
    pub notes: Option<String>,
    /// Whether it is reminded of what it has not paid.
    pub send_reminders: bool,
}

#[derive(Insertable)]
#[diesel(table_name = customers)]
struct NewCustomer {
    organization_id: OrganizationId,
    id: CustomerId,
    #[diesel(embed)]
    fields: CustomerFields,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CustomerSort {
    /// The order of the ids, which count up with time.
    #[default]
    CreatedAt,
    /// The short name, else the name, without case and Polish letters.
    Name,
}

/// All that is given must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CustomerFilter {
    pub kind: Option<CustomerKind>,
    pub caretaker_id: Option<OperatorId>,
    pub tax_number: Option<String>,
    pub external_id: Option<String>,
    /// Any of these.
    pub tags: Option<Vec<String>>,
    pub name_prefix: Option<String>,
    pub created_from: Option<DateTime<Utc>>,
    pub created_before: Option<DateTime<Utc>>,
    pub include_archived: bool,
}

pub fn create(tx: &mut Tx<'_>, fields: CustomerFields) -> Result<Customer> {
    let row = NewCustomer {
        organization_id: tx.organization_id(),
        id: CustomerId::at(tx.now),
        fields,
        created_at: tx.now,
        updated_at: tx.now,
    };
    let customer: Customer =
        diesel::insert_into(customers::table).values(row).returning(Customer::as_returning()).get_result(tx.conn)?;
    record(tx, "created", None, &customer)?;
    Ok(customer)
}

pub fn find(tx: &mut Tx<'_>, id: CustomerId) -> Result<Customer> {
    customers::table
        .find((tx.organization_id(), id))
        .select(Customer::as_select())
        .first(tx.conn)
        .optional()
        .or_not_found("customer")
}

/// How those of `ids` that exist are called for short.
pub fn short_names(tx: &mut Tx<'_>, ids: &[CustomerId]) -> Result<HashMap<CustomerId, String>> {
    let names: Vec<(CustomerId, String, Option<String>)> = customers::table
        .filter(customers::organization_id.eq(tx.organization_id()))
        .filter(customers::id.eq_any(ids))
        .select((customers::id, customers::name, customers::short_name))
        .load(tx.conn)?;
    Ok(names.into_iter().map(|(id, name, short_name)| (id, short_name.unwrap_or(name))).collect())
}

/// Those of `ids` that exist, in no order.
pub fn find_all(tx: &mut Tx<'_>, ids: &[CustomerId]) -> Result<Vec<Customer>> {
    Ok(customers::table
        .filter(customers::organization_id.eq(tx.organization_id()))
        .filter(customers::id.eq_any(ids))
        .select(Customer::as_select())
        .load(tx.conn)?)
}

/// The customer that another system knows by this key, locked.
pub fn lock_by_external_id(tx: &mut Tx<'_>, external_id: &str) -> Result<Option<Customer>> {
    // There may be no row to lock yet: of two who bring the same key, the second waits and then replaces.
    let name = format!("customer:{}:{external_id}", tx.organization_id());
    diesel::select(
        sql::<Bool>("pg_advisory_xact_lock(hashtextextended(").bind::<Text, _>(name).sql(", 0)) is not null"),
    )
    .get_result::<bool>(tx.conn)?;
    Ok(customers::table
        .filter(customers::organization_id.eq(tx.organization_id()))
        .filter(customers::external_id.eq(external_id))
        .select(Customer::as_select())
        .for_update()
        .first(tx.conn)
        .optional()?)
}

/// Locks the row; [`StoreError::Stale`] when somebody has changed it since `seen`.
pub fn lock(tx: &mut Tx<'_>, id: CustomerId, seen: Option<i32>) -> Result<Customer> {
    let customer = customers::table
        .find((tx.organization_id(), id))
        .select(Customer::as_select())
        .for_update()
        .first(tx.conn)
        .optional()
        .or_not_found("customer")?;
    StoreError::unless_current(customer.version, seen)?;
    Ok(customer)
}

/// Writes to a row that [`lock`] has returned, and counts its version up.
pub fn update(tx: &mut Tx<'_>, customer: &Customer, fields: CustomerFields) -> Result<Customer> {
    let after = diesel::update(customers::table.find((tx.organization_id(), customer.id)))
        .set((fields, customers::version.eq(customers::version + 1), customers::updated_at.eq(tx.now)))
        .returning(Customer::as_returning())
        .get_result(tx.conn)?;
    record(tx, "updated", Some(customer), &after)?;
    Ok(after)
}

/// Archives a locked row, or takes it back into use with `None`.
pub fn set_archived(tx: &mut Tx<'_>, customer: &Customer, archived_at: Option<DateTime<Utc>>) -> Result<Customer> {
    let after = diesel::update(customers::table.find((tx.organization_id(), customer.id)))
        .set((
            customers::archived_at.eq(archived_at),
            customers::version.eq(customers::version + 1),
            customers::updated_at.eq(tx.now),
        ))
        .returning(Customer::as_returning())
        .get_result(tx.conn)?;
    let action = if archived_at.is_some() { "archived" } else { "restored" };
    record(tx, action, Some(customer), &after)?;
    Ok(after)
}

pub fn list(tx: &mut Tx<'_>, filter: &CustomerFilter, page: &PageRequest<CustomerSort>) -> Result<Page<Customer>> {
    let organization_id = tx.organization_id();
    let filtered = || {
        let mut query = customers::table.filter(customers::organization_id.eq(organization_id)).into_boxed();
        if let Some(kind) = filter.kind {
            query = query.filter(customers::kind.eq(kind));
        }
        if let Some(caretaker_id) = filter.caretaker_id {
            query = query.filter(customers::caretaker_id.eq(caretaker_id));
        }
        if let Some(tax_number) = &filter.tax_number {
            query = query.filter(customers::tax_number.eq(tax_number));
        }
        if let Some(external_id) = &filter.external_id {
            query = query.filter(customers::external_id.eq(external_id));
        }
        if let Some(prefix) = &filter.name_prefix {
            let (from, before) = prefix_range(prefix);
            query = query.filter(customers::sort_name.ge(from)).filter(customers::sort_name.lt(before));
        }
        if let Some(from) = filter.created_from {
            query = query.filter(customers::id.ge(CustomerId(uuid_floor(from)))).filter(customers::created_at.ge(from));
        }
        if let Some(before) = filter.created_before {
            query = query.filter(customers::created_at.lt(before));
        }
        if !filter.include_archived {
            query = query.filter(customers::archived_at.is_null());
        }
        query
    };
    // What has a tag is read in the order of the rows of tags.
    let tags = || filter.tags.iter().flatten();
    // A filter that asks for no more than they know needs no look at the records.
    let known = CustomerFilter { tags: filter.tags.clone(), include_archived: true, ..CustomerFilter::default() };
    let tagged = |tag| {
        let mut query = customer_tags::table
            .filter(customer_tags::organization_id.eq(organization_id))
            .filter(customer_tags::tag.eq(tag))
            .select(customer_tags::customer_id)
            .into_boxed();
        if *filter != known {
            query = query.filter(customer_tags::customer_id.eq_any(filtered().select(customers::id)));
        }
        query
    };
    let found = |among| {
        if filter.tags.is_some() {
            return customers::table.filter(customers::organization_id.eq(organization_id)).filter(among).into_boxed();
        }
        filtered()
    };
    let total = page.total(|cap| {
        let mut among = Among::new(customers::id);
        tags().for_each(|tag| among.push(tagged(tag).limit(cap)));
        found(among).select(sql::<Integer>("1")).limit(cap).load(tx.conn)
    })?;
    let mut among = Among::new(customers::id);
    let query = match page.sort {
        CustomerSort::Name => {
            for tag in tags() {
                among.push(keyset!(tagged(tag), page, customer_tags::sort_name => String, customer_tags::customer_id));
            }
            keyset!(found(among), page, customers::sort_name => String, customers::id)
        }
        CustomerSort::CreatedAt => {
            for tag in tags() {
                among.push(keyset!(tagged(tag), page, customer_tags::customer_id));
            }
            keyset!(found(among), page, customers::id)
        }
    };
    let rows = query.select(Customer::as_select()).load(tx.conn)?;
    Ok(Page::cut(rows, page, total, |customer| match page.sort {
        CustomerSort::CreatedAt => Cursor::new((), customer.id),
        CustomerSort::Name => Cursor::new(&customer.sort_name, customer.id),
    }))
}

fn record(tx: &mut Tx<'_>, action: &'static str, before: Option<&Customer>, after: &Customer) -> Result<()> {
    changes::record(tx, Change::new("customer", action, (after.id, after.version), before, Some(after)))
}
