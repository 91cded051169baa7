//! Pipelines: the ordered stages that sales go through.

use crate::changes::{self, Change};
use crate::db::Tx;
use crate::error::{OrNotFound, Result, StoreError};
use crate::page::{Cursor, Page, PageRequest, keyset};
use crate::schema::pipelines;
use crate::stages::{self, StageFields};
use chrono::{DateTime, Utc};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Integer, Text};
use opiekun_domain::ids::{OrganizationId, PipelineId, StageId};
use serde::Serialize;
use serde_json::json;

#[derive(Debug, Clone, Queryable, Selectable, Serialize)]
#[diesel(table_name = pipelines, check_for_backend(diesel::pg::Pg))]
pub struct Pipeline {
    pub id: PipelineId,
    #[diesel(embed)]
    #[serde(flatten)]
    pub fields: PipelineFields,
    pub archived_at: Option<DateTime<Utc>>,
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// What a caller may write.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset, Serialize)]
#[diesel(table_name = pipelines, check_for_backend(diesel::pg::Pg))]
pub struct PipelineFields {
    pub name: String,
}

#[derive(Insertable)]
#[diesel(table_name = pipelines)]
struct NewPipeline {
    organization_id: OrganizationId,
    id: PipelineId,
    #[diesel(embed)]
    fields: PipelineFields,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// All that is given must hold.
#[derive(Debug, Clone, Default)]
pub struct PipelineFilter {
    pub name: Option<String>,
    pub include_archived: bool,
}

/// Keeps pipelines and stages as they are until the transaction ends: for whoever puts an opportunity at a stage.
///
/// Taken before any row is locked, as [`change`] is, so that nobody waits for somebody who waits for them.
pub fn hold(tx: &mut Tx<'_>) -> Result<()> {
    lock_all(tx, "pg_advisory_xact_lock_shared")
}

/// Waits until nobody is about to put an opportunity at a stage, and keeps others from it until the transaction ends.
pub fn change(tx: &mut Tx<'_>) -> Result<()> {
    lock_all(tx, "pg_advisory_xact_lock")
}

fn lock_all(tx: &mut Tx<'_>, function: &str) -> Result<()> {
    let name = format!("pipelines:{}", tx.organization_id());
    let call = sql::<Bool>(&format!("{function}(hashtextextended(")).bind::<Text, _>(name).sql(", 0)) is not null");
    diesel::select(call).get_result::<bool>(tx.conn)?;
    Ok(())
}

/// Makes a pipeline with its stages, in their order.
pub fn create(tx: &mut Tx<'_>, fields: PipelineFields, stages: Vec<StageFields>) -> Result<Pipeline> {
    let row = NewPipeline {
        organization_id: tx.organization_id(),
        id: PipelineId::at(tx.now),
        fields,
        created_at: tx.now,
        updated_at: tx.now,
    };
    let pipeline: Pipeline =
        diesel::insert_into(pipelines::table).values(row).returning(Pipeline::as_returning()).get_result(tx.conn)?;
    record(tx, "created", None, &pipeline)?;
    stages::create_all(tx, pipeline.id, stages)?;
    Ok(pipeline)
}

pub fn find(tx: &mut Tx<'_>, id: PipelineId) -> Result<Pipeline> {
    pipelines::table
        .find((tx.organization_id(), id))
        .select(Pipeline::as_select())
        .first(tx.conn)
        .optional()
        .or_not_found("pipeline")
}

/// Those of `ids` that exist, in no order.
pub fn find_all(tx: &mut Tx<'_>, ids: &[PipelineId]) -> Result<Vec<Pipeline>> {
    Ok(pipelines::table
        .filter(pipelines::organization_id.eq(tx.organization_id()))
        .filter(pipelines::id.eq_any(ids))
        .select(Pipeline::as_select())
        .load(tx.conn)?)
}

/// Locks the row; [`StoreError::Stale`] when somebody has changed it since `seen`.
pub fn lock(tx: &mut Tx<'_>, id: PipelineId, seen: Option<i32>) -> Result<Pipeline> {
    let pipeline = pipelines::table
        .find((tx.organization_id(), id))
        .select(Pipeline::as_select())
        .for_update()
        .first(tx.conn)
        .optional()
        .or_not_found("pipeline")?;
    StoreError::unless_current(pipeline.version, seen)?;
    Ok(pipeline)
}

/// Writes to a row that [`lock`] has returned, and counts its version up.
pub fn update(tx: &mut Tx<'_>, pipeline: &Pipeline, fields: PipelineFields) -> Result<Pipeline> {
    let after = diesel::update(pipelines::table.find((tx.organization_id(), pipeline.id)))
        .set((fields, pipelines::version.eq(pipelines::version + 1), pipelines::updated_at.eq(tx.now)))
        .returning(Pipeline::as_returning())
        .get_result(tx.conn)?;
    record(tx, "updated", Some(pipeline), &after)?;
    Ok(after)
}

/// Puts the stages of a locked row, each of them named once, into this order.
pub fn reorder(tx: &mut Tx<'_>, pipeline: &Pipeline, before: &[StageId], after: &[StageId]) -> Result<Pipeline> {
    stages::put_in_order(tx, pipeline.id, after)?;
    let row: Pipeline = diesel::update(pipelines::table.find((tx.organization_id(), pipeline.id)))
        .set((pipelines::version.eq(pipelines::version + 1), pipelines::updated_at.eq(tx.now)))
        .returning(Pipeline::as_returning())
        .get_result(tx.conn)?;
    let told = |ids: &[StageId]| json!({ "stage_ids": ids });
    let change = Change::new("pipeline", "reordered", (row.id, row.version), Some(&told(before)), Some(&told(after)));
    changes::record(tx, change)?;
    Ok(row)
}

/// Archives a locked row, or takes it back into use with `None`.
pub fn set_archived(tx: &mut Tx<'_>, pipeline: &Pipeline, archived_at: Option<DateTime<Utc>>) -> Result<Pipeline> {
    let after = diesel::update(pipelines::table.find((tx.organization_id(), pipeline.id)))
        .set((
            pipelines::archived_at.eq(archived_at),
            pipelines::version.eq(pipelines::version + 1),
            pipelines::updated_at.eq(tx.now),
        ))
        .returning(Pipeline::as_returning())
        .get_result(tx.conn)?;
    let action = if archived_at.is_some() { "archived" } else { "restored" };
    record(tx, action, Some(pipeline), &after)?;
    Ok(after)
}

pub fn list(tx: &mut Tx<'_>, filter: &PipelineFilter, page: &PageRequest<()>) -> Result<Page<Pipeline>> {
    let organization_id = tx.organization_id();
    let filtered = || {
        let mut query = pipelines::table.filter(pipelines::organization_id.eq(organization_id)).into_boxed();
        if let Some(name) = &filter.name {
            query = query.filter(pipelines::name.eq(name));
        }
        if !filter.include_archived {
            query = query.filter(pipelines::archived_at.is_null());
        }
        query
    };
    let total = page.total(|cap| filtered().select(sql::<Integer>("1")).limit(cap).load(tx.conn))?;
    let rows = keyset!(filtered(), page, pipelines::id).select(Pipeline::as_select()).load(tx.conn)?;
    Ok(Page::cut(rows, page, total, |pipeline| Cursor::new((), pipeline.id)))
}

fn record(tx: &mut Tx<'_>, action: &'static str, before: Option<&Pipeline>, after: &Pipeline) -> Result<()> {
    changes::record(tx, Change::new("pipeline", action, (after.id, after.version), before, Some(after)))
}
