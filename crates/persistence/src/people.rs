//! People: the contact persons at customers, and what they have consented to.

use crate::changes::{self, Change};
use crate::db::Tx;
use crate::error::{OrNotFound, Result, StoreError};
use crate::json::Json;
use crate::page::{Cursor, Page, PageRequest, keyset, prefix_range};
use crate::schema::people;
use chrono::{DateTime, Utc};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{Integer, Nullable, Text};
use opiekun_domain::ids::{CustomerId, OperatorId, OrganizationId, PersonId};
use serde::{Deserialize, Serialize};

/// What stands in place of the name of a person who was erased.
pub const ERASED_NAME: &str = "—";

#[diesel::declare_sql_function]
extern "SQL" {
    /// The index of e-mails is of this form, for an address has no case that anybody minds.
    fn lower(text: Nullable<Text>) -> Nullable<Text>;
}

#[derive(Debug, Clone, Queryable, Selectable, Serialize)]
#[diesel(table_name = people, check_for_backend(diesel::pg::Pg))]
pub struct Person {
    pub id: PersonId,
    pub customer_id: CustomerId,
    /// The operator who wrote it down; nobody where a script did.
    pub registered_by_id: Option<OperatorId>,
    #[diesel(embed)]
    #[serde(flatten)]
    pub fields: PersonFields,
    pub sort_name: String,
    pub erased_at: Option<DateTime<Utc>>,
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// What a caller may write. The customer is chosen once: somebody who changes employers is another contact person.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset, Serialize)]
#[diesel(table_name = people, check_for_backend(diesel::pg::Pg), treat_none_as_null = true)]
pub struct PersonFields {
    pub full_name: String,
    pub position: Option<String>,
    pub email: Option<String>,
    pub phone: Option<String>,
    pub consents: Json<Vec<Consent>>,
}

/// That a person agreed to have its data used for a purpose, and how that can be shown (GDPR, article 7).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consent {
    pub purpose: String,
    pub given_at: DateTime<Utc>,
    /// How it was given: a form, a call, a signature.
    pub method: String,
    pub withdrawn_at: Option<DateTime<Utc>>,
}

#[derive(Insertable)]
#[diesel(table_name = people)]
struct NewPerson {
    organization_id: OrganizationId,
    id: PersonId,
    customer_id: CustomerId,
    registered_by_id: Option<OperatorId>,
    #[diesel(embed)]
    fields: PersonFields,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PersonSort {
    /// The order of the ids, which count up with time.
    #[default]
    CreatedAt,
    /// The full name, without case and Polish letters.
    FullName,
}

/// All that is given must hold.
#[derive(Debug, Clone, Default)]
pub struct PersonFilter {
    pub customer_id: Option<CustomerId>,
    /// In any case of letters.
    pub email: Option<String>,
    pub phone: Option<String>,
    pub full_name_prefix: Option<String>,
    pub include_erased: bool,
}

/// Adds a person: whoever the scope names has written it down.
pub fn create(tx: &mut Tx<'_>, customer_id: CustomerId, fields: PersonFields) -> Result<Person> {
    let row = NewPerson {
        organization_id: tx.organization_id(),
        id: PersonId::at(tx.now),
        customer_id,
        registered_by_id: tx.scope.actor.operator_id(),
        fields,
        created_at: tx.now,
        updated_at: tx.now,
    };
    let person: Person =
        diesel::insert_into(people::table).values(row).returning(Person::as_returning()).get_result(tx.conn)?;
    record(tx, "created", None, &person)?;
    Ok(person)
}

pub fn find(tx: &mut Tx<'_>, id: PersonId) -> Result<Person> {
    people::table
        .find((tx.organization_id(), id))
        .select(Person::as_select())
        .first(tx.conn)
        .optional()
        .or_not_found("person")
}

/// Those of `ids` that exist, in no order.
pub fn find_all(tx: &mut Tx<'_>, ids: &[PersonId]) -> Result<Vec<Person>> {
    Ok(people::table
        .filter(people::organization_id.eq(tx.organization_id()))
        .filter(people::id.eq_any(ids))
        .select(Person::as_select())
        .load(tx.conn)?)
}

/// Locks the row; [`StoreError::Stale`] when somebody has changed it since `seen`.
pub fn lock(tx: &mut Tx<'_>, id: PersonId, seen: Option<i32>) -> Result<Person> {
    let person = people::table
        .find((tx.organization_id(), id))
        .select(Person::as_select())
        .for_update()
        .first(tx.conn)
        .optional()
        .or_not_found("person")?;
    StoreError::unless_current(person.version, seen)?;
    Ok(person)
}

/// Writes to a row that [`lock`] has returned, and counts its version up.
pub fn update(tx: &mut Tx<'_>, person: &Person, fields: PersonFields) -> Result<Person> {
    let after = diesel::update(people::table.find((tx.organization_id(), person.id)))
        .set((fields, people::version.eq(people::version + 1), people::updated_at.eq(tx.now)))
        .returning(Person::as_returning())
        .get_result(tx.conn)?;
    record(tx, "updated", Some(person), &after)?;
    Ok(after)
}

/// Erases the personal data of a locked row (GDPR, article 17). The row and its id stay, so that the customer's
/// interactions still say that they were with one and the same person.
///
/// The record of this change tells nothing of what was erased. Records of earlier changes do: the audit log is
/// append-only, and what it holds goes with the log's own retention. Free text of interactions stays as written.
pub fn erase(tx: &mut Tx<'_>, person: &Person) -> Result<Person> {
    let nothing = PersonFields {
        full_name: ERASED_NAME.to_owned(),
        position: None,
        email: None,
        phone: None,
        consents: Json(Vec::new()),
    };
    let after = diesel::update(people::table.find((tx.organization_id(), person.id)))
        .set((
            nothing,
            people::erased_at.eq(tx.now),
            people::version.eq(people::version + 1),
            people::updated_at.eq(tx.now),
        ))
        .returning(Person::as_returning())
        .get_result(tx.conn)?;
    record(tx, "erased", None, &after)?;
    Ok(after)
}

pub fn list(tx: &mut Tx<'_>, filter: &PersonFilter, page: &PageRequest<PersonSort>) -> Result<Page<Person>> {
    let organization_id = tx.organization_id();
    let filtered = || {
        let mut query = people::table.filter(people::organization_id.eq(organization_id)).into_boxed();
        if let Some(customer_id) = filter.customer_id {
            query = query.filter(people::customer_id.eq(customer_id));
        }
        if let Some(email) = &filter.email {
            query = query.filter(lower(people::email).eq(email.to_lowercase()));
        }
        if let Some(phone) = &filter.phone {
            query = query.filter(people::phone.eq(phone));
        }
        if let Some(prefix) = &filter.full_name_prefix {
            let (from, before) = prefix_range(prefix);
            query = query.filter(people::sort_name.ge(from)).filter(people::sort_name.lt(before));
        }
        if !filter.include_erased {
            query = query.filter(people::erased_at.is_null());
        }
        query
    };
    let total = page.total(|cap| filtered().select(sql::<Integer>("1")).limit(cap).load(tx.conn))?;
    let query = match page.sort {
        PersonSort::CreatedAt => keyset!(filtered(), page, people::id),
        PersonSort::FullName => keyset!(filtered(), page, people::sort_name => String, people::id),
    };
    let rows = query.select(Person::as_select()).load(tx.conn)?;
    Ok(Page::cut(rows, page, total, |person| match page.sort {
        PersonSort::CreatedAt => Cursor::new((), person.id),
        PersonSort::FullName => Cursor::new(&person.sort_name, person.id),
    }))
}

fn record(tx: &mut Tx<'_>, action: &'static str, before: Option<&Person>, after: &Person) -> Result<()> {
    changes::record(tx, Change::new("person", action, (after.id, after.version), before, Some(after)))
}
