//! Operators: the users of an organization, in the tree of who supervises whom.

use crate::changes::{self, Change};
use crate::db::Tx;
use crate::error::{OrNotFound, Result, StoreError};
use crate::page::{Cursor, Page, PageRequest, keyset};
use crate::schema::operators;
use chrono::{DateTime, Utc};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Integer;
use opiekun_domain::ids::{OperatorId, OrganizationId};
use opiekun_domain::language::Language;
use opiekun_domain::operator::{BillingRight, Role};
use serde::Serialize;
use std::collections::{BTreeSet, HashSet};

#[derive(Debug, Clone, Queryable, Selectable, Serialize)]
#[diesel(table_name = operators, check_for_backend(diesel::pg::Pg))]
pub struct Operator {
    pub id: OperatorId,
    #[diesel(embed)]
    #[serde(flatten)]
    pub fields: OperatorFields,
    /// argon2id in PHC form.
    #[serde(skip)]
    pub password_hash: Option<String>,
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// What an administrator may write.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset, Serialize)]
#[diesel(table_name = operators, check_for_backend(diesel::pg::Pg), treat_none_as_null = true)]
pub struct OperatorFields {
    pub email: String,
    pub full_name: String,
    pub role: Role,
    pub billing: BillingRight,
    pub supervisor_id: Option<OperatorId>,
    pub active: bool,
    pub locale: Language,
}

#[derive(Insertable)]
#[diesel(table_name = operators)]
struct NewOperator {
    organization_id: OrganizationId,
    id: OperatorId,
    #[diesel(embed)]
    fields: OperatorFields,
    password_hash: Option<String>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Default)]
pub struct OperatorFilter {
    pub role: Option<Role>,
    pub supervisor_id: Option<OperatorId>,
    pub active: Option<bool>,
}

pub fn create(tx: &mut Tx<'_>, fields: OperatorFields, password_hash: Option<String>) -> Result<Operator> {
    let row = NewOperator {
        organization_id: tx.organization_id(),
        id: OperatorId::at(tx.now),
        fields,
        password_hash,
        created_at: tx.now,
        updated_at: tx.now,
    };
    let operator: Operator =
        diesel::insert_into(operators::table).values(row).returning(Operator::as_returning()).get_result(tx.conn)?;
    record(tx, "created", None, &operator)?;
    Ok(operator)
}

pub fn find(tx: &mut Tx<'_>, id: OperatorId) -> Result<Operator> {
    operators::table
        .find((tx.organization_id(), id))
        .select(Operator::as_select())
        .first(tx.conn)
        .optional()
        .or_not_found("operator")
}

/// Those of `ids` that exist, in no order.
pub fn find_all(tx: &mut Tx<'_>, ids: &[OperatorId]) -> Result<Vec<Operator>> {
    Ok(operators::table
        .filter(operators::organization_id.eq(tx.organization_id()))
        .filter(operators::id.eq_any(ids))
        .select(Operator::as_select())
        .load(tx.conn)?)
}

/// Everyone below an operator in the tree, to any depth, itself not among them.
pub fn below(tx: &mut Tx<'_>, id: OperatorId) -> Result<BTreeSet<OperatorId>> {
    let pairs: Vec<(OperatorId, Option<OperatorId>)> = operators::table
        .filter(operators::organization_id.eq(tx.organization_id()))
        .filter(operators::supervisor_id.is_not_null())
        .select((operators::id, operators::supervisor_id))
        .load(tx.conn)?;
    let mut below = BTreeSet::new();
    let mut above = vec![id];
    while let Some(supervisor) = above.pop() {
        for (operator, _) in pairs.iter().filter(|(_, over)| *over == Some(supervisor)) {
            if below.insert(*operator) {
                above.push(*operator);
            }
        }
    }
    Ok(below)
}

/// Locks the row; [`StoreError::Stale`] when somebody has changed it since `seen`.
pub fn lock(tx: &mut Tx<'_>, id: OperatorId, seen: Option<i32>) -> Result<Operator> {
    let operator = operators::table
        .find((tx.organization_id(), id))
        .select(Operator::as_select())
        .for_update()
        .first(tx.conn)
        .optional()
        .or_not_found("operator")?;
    StoreError::unless_current(operator.version, seen)?;
    Ok(operator)
}

/// Writes to a row that [`lock`] has returned, and counts its version up.
pub fn update(tx: &mut Tx<'_>, operator: &Operator, fields: OperatorFields) -> Result<Operator> {
    let after = diesel::update(operators::table.find((tx.organization_id(), operator.id)))
        .set((fields, operators::version.eq(operators::version + 1), operators::updated_at.eq(tx.now)))
        .returning(Operator::as_returning())
        .get_result(tx.conn)?;
    record(tx, "updated", Some(operator), &after)?;
    Ok(after)
}

/// Gives a locked operator another password.
pub fn set_password(tx: &mut Tx<'_>, operator: &Operator, password_hash: String) -> Result<Operator> {
    let after = diesel::update(operators::table.find((tx.organization_id(), operator.id)))
        .set((
            operators::password_hash.eq(password_hash),
            operators::version.eq(operators::version + 1),
            operators::updated_at.eq(tx.now),
        ))
        .returning(Operator::as_returning())
        .get_result(tx.conn)?;
    record(tx, "password_changed", Some(operator), &after)?;
    Ok(after)
}

/// Those of some operators who are at work here.
pub(crate) fn working(tx: &mut Tx<'_>, ids: impl Iterator<Item = OperatorId>) -> Result<HashSet<OperatorId>> {
    let ids: HashSet<OperatorId> = ids.collect();
    if ids.is_empty() {
        return Ok(ids);
    }
    let working: Vec<OperatorId> = operators::table
        .filter(operators::organization_id.eq(tx.organization_id()))
        .filter(operators::id.eq_any(ids))
        .filter(operators::active)
        .select(operators::id)
        .load(tx.conn)?;
    Ok(working.into_iter().collect())
}

/// Locks the active owners and tells how many there are: an organization keeps at least one.
pub fn lock_active_owners(tx: &mut Tx<'_>) -> Result<Vec<OperatorId>> {
    Ok(operators::table
        .filter(operators::organization_id.eq(tx.organization_id()))
        .filter(operators::role.eq(Role::Owner))
        .filter(operators::active)
        .order(operators::id)
        .select(operators::id)
        .for_update()
        .load(tx.conn)?)
}

pub fn list(tx: &mut Tx<'_>, filter: &OperatorFilter, page: &PageRequest<()>) -> Result<Page<Operator>> {
    let organization_id = tx.organization_id();
    let filtered = || {
        let mut query = operators::table.filter(operators::organization_id.eq(organization_id)).into_boxed();
        if let Some(role) = filter.role {
            query = query.filter(operators::role.eq(role));
        }
        if let Some(supervisor_id) = filter.supervisor_id {
            query = query.filter(operators::supervisor_id.eq(supervisor_id));
        }
        if let Some(active) = filter.active {
            query = query.filter(operators::active.eq(active));
        }
        query
    };
    let total = page.total(|cap| filtered().select(sql::<Integer>("1")).limit(cap).load(tx.conn))?;
    let rows = keyset!(filtered(), page, operators::id).select(Operator::as_select()).load(tx.conn)?;
    Ok(Page::cut(rows, page, total, |operator| Cursor::new((), operator.id)))
}

fn record(tx: &mut Tx<'_>, action: &'static str, before: Option<&Operator>, after: &Operator) -> Result<()> {
    changes::record(tx, Change::new("operator", action, (after.id, after.version), before, Some(after)))
}
