//! Procedures: the steps by which a firm serves its customers. What runs have followed stays; a change of it is another
//! version.

use crate::changes::{self, Change};
use crate::db::Tx;
use crate::error::{OrNotFound, Result, StoreError};
use crate::json::Json;
use crate::page::{Cursor, Page, PageRequest, keyset};
use crate::schema::{procedure_versions, procedures};
use chrono::{DateTime, Utc};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Integer;
use opiekun_domain::ids::{OrganizationId, ProcedureId};
use opiekun_domain::procedure::Step;
use serde::Serialize;

#[derive(Debug, Clone, Queryable, Selectable, Serialize)]
#[diesel(table_name = procedures, check_for_backend(diesel::pg::Pg))]
pub struct Procedure {
    pub id: ProcedureId,
    #[diesel(embed)]
    #[serde(flatten)]
    pub fields: ProcedureFields,
    /// The version whose steps new runs follow.
    pub published_version: i32,
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// What a caller may write.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset, Serialize)]
#[diesel(table_name = procedures, check_for_backend(diesel::pg::Pg), treat_none_as_null = true)]
pub struct ProcedureFields {
    pub name: String,
    pub description: Option<String>,
    pub steps: Json<Vec<Step>>,
}

#[derive(Insertable)]
#[diesel(table_name = procedures)]
struct NewProcedure {
    organization_id: OrganizationId,
    id: ProcedureId,
    #[diesel(embed)]
    fields: ProcedureFields,
    published_version: i32,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ProcedureSort {
    /// The order of the ids, which count up with time.
    #[default]
    CreatedAt,
    Name,
}

pub fn create(tx: &mut Tx<'_>, fields: ProcedureFields) -> Result<Procedure> {
    let row = NewProcedure {
        organization_id: tx.organization_id(),
        id: ProcedureId::at(tx.now),
        fields,
        published_version: 1,
        created_at: tx.now,
        updated_at: tx.now,
    };
    let procedure: Procedure =
        diesel::insert_into(procedures::table).values(row).returning(Procedure::as_returning()).get_result(tx.conn)?;
    publish(tx, procedure.id, 1, &procedure.fields.steps)?;
    record(tx, "created", None, Some(&procedure))?;
    Ok(procedure)
}

pub fn find(tx: &mut Tx<'_>, id: ProcedureId) -> Result<Procedure> {
    procedures::table
        .find((tx.organization_id(), id))
        .select(Procedure::as_select())
        .first(tx.conn)
        .optional()
        .or_not_found("procedure")
}

/// Those of `ids` that exist, in no order.
pub fn find_all(tx: &mut Tx<'_>, ids: &[ProcedureId]) -> Result<Vec<Procedure>> {
    Ok(procedures::table
        .filter(procedures::organization_id.eq(tx.organization_id()))
        .filter(procedures::id.eq_any(ids))
        .select(Procedure::as_select())
        .load(tx.conn)?)
}

/// Locks the row; [`StoreError::Stale`] when somebody has changed it since `seen`.
pub fn lock(tx: &mut Tx<'_>, id: ProcedureId, seen: Option<i32>) -> Result<Procedure> {
    let procedure = procedures::table
        .find((tx.organization_id(), id))
        .select(Procedure::as_select())
        // The key stays, so that whoever only refers to the procedure need not wait.
        .for_no_key_update()
        .first(tx.conn)
        .optional()
        .or_not_found("procedure")?;
    StoreError::unless_current(procedure.version, seen)?;
    Ok(procedure)
}

/// Writes to a row that [`lock`] has returned, and counts its version up. Other steps are published as this version's.
pub fn update(tx: &mut Tx<'_>, procedure: &Procedure, fields: ProcedureFields) -> Result<Procedure> {
    let version = procedure.version + 1;
    let published_version = if procedure.fields.steps == fields.steps {
        procedure.published_version
    } else {
        publish(tx, procedure.id, version, &fields.steps)?;
        version
    };
    let after = diesel::update(procedures::table.find((tx.organization_id(), procedure.id)))
        .set((
            fields,
            procedures::published_version.eq(published_version),
            procedures::version.eq(version),
            procedures::updated_at.eq(tx.now),
        ))
        .returning(Procedure::as_returning())
        .get_result(tx.conn)?;
    record(tx, "updated", Some(procedure), Some(&after))?;
    Ok(after)
}

/// Removes a locked row that has never run, and all its versions.
pub fn delete(tx: &mut Tx<'_>, procedure: &Procedure) -> Result<()> {
    diesel::delete(procedures::table.find((tx.organization_id(), procedure.id)))
        .execute(tx.conn)
        .map_err(StoreError::of_deletion)?;
    record(tx, "deleted", Some(procedure), None)
}

/// Counts so many more runs of a locked procedure and tells how many there had been.
pub(crate) fn take_turns(tx: &mut Tx<'_>, id: ProcedureId, count: i64) -> Result<i64> {
    let started: i64 = diesel::update(procedures::table.find((tx.organization_id(), id)))
        .set(procedures::runs_started.eq(procedures::runs_started + count))
        .returning(procedures::runs_started)
        .get_result(tx.conn)?;
    Ok(started - count)
}

pub fn list(tx: &mut Tx<'_>, page: &PageRequest<ProcedureSort>) -> Result<Page<Procedure>> {
    let organization_id = tx.organization_id();
    let filtered = || procedures::table.filter(procedures::organization_id.eq(organization_id)).into_boxed();
    let total = page.total(|cap| filtered().select(sql::<Integer>("1")).limit(cap).load(tx.conn))?;
    let query = match page.sort {
        ProcedureSort::CreatedAt => keyset!(filtered(), page, procedures::id),
        ProcedureSort::Name => keyset!(filtered(), page, procedures::name => String, procedures::id),
    };
    let rows = query.select(Procedure::as_select()).load(tx.conn)?;
    Ok(Page::cut(rows, page, total, |procedure| match page.sort {
        ProcedureSort::CreatedAt => Cursor::new((), procedure.id),
        ProcedureSort::Name => Cursor::new(&procedure.fields.name, procedure.id),
    }))
}

fn publish(tx: &mut Tx<'_>, procedure_id: ProcedureId, version: i32, steps: &Json<Vec<Step>>) -> Result<()> {
    diesel::insert_into(procedure_versions::table)
        .values((
            procedure_versions::organization_id.eq(tx.organization_id()),
            procedure_versions::procedure_id.eq(procedure_id),
            procedure_versions::version.eq(version),
            procedure_versions::steps.eq(steps),
            procedure_versions::published_at.eq(tx.now),
        ))
        .execute(tx.conn)?;
    Ok(())
}

fn record(tx: &mut Tx<'_>, action: &'static str, before: Option<&Procedure>, after: Option<&Procedure>) -> Result<()> {
    let Some(told) = after.or(before) else { return Ok(()) };
    changes::record(tx, Change::new("procedure", action, (told.id, told.version), before, after))
}
