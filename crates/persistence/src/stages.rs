//! Stages: the steps of a pipeline, in an order.

use crate::changes::{self, Change};
use crate::db::Tx;
use crate::error::{OrNotFound, Result, StoreError};
use crate::page::{Cursor, Page, PageRequest, keyset};
use crate::schema::stages;
use chrono::{DateTime, Utc};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{Array, Integer, SmallInt, Uuid};
use opiekun_domain::ids::{OrganizationId, PipelineId, StageId};
use opiekun_domain::pipeline::StageKind;
use serde::Serialize;
use std::collections::HashMap;

#[derive(Debug, Clone, Queryable, Selectable, Serialize)]
#[diesel(table_name = stages, check_for_backend(diesel::pg::Pg))]
pub struct Stage {
    pub id: StageId,
    pub pipeline_id: PipelineId,
    /// From 1, without gaps.
    pub position: i16,
    #[diesel(embed)]
    #[serde(flatten)]
    pub fields: StageFields,
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// What a caller may write.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset, Serialize)]
#[diesel(table_name = stages, check_for_backend(diesel::pg::Pg))]
pub struct StageFields {
    pub name: String,
    pub kind: StageKind,
    pub probability_percent: i16,
}

#[derive(Insertable)]
#[diesel(table_name = stages)]
struct NewStage {
    organization_id: OrganizationId,
    id: StageId,
    pipeline_id: PipelineId,
    position: i16,
    #[diesel(embed)]
    fields: StageFields,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StageSort {
    #[default]
    Position,
}

/// Adds stages behind those that the pipeline has, in their order. Whoever adds to one that has some has taken
/// [`pipelines::change`](crate::pipelines::change).
pub fn create_all(tx: &mut Tx<'_>, pipeline_id: PipelineId, all: Vec<StageFields>) -> Result<Vec<Stage>> {
    let organization_id = tx.organization_id();
    let last: Option<i16> = stages::table
        .filter(stages::organization_id.eq(organization_id))
        .filter(stages::pipeline_id.eq(pipeline_id))
        .select(diesel::dsl::max(stages::position))
        .get_result(tx.conn)?;
    let rows: Vec<NewStage> = (last.unwrap_or_default() + 1..)
        .zip(all)
        .map(|(position, fields)| NewStage {
            organization_id,
            id: StageId::at(tx.now),
            pipeline_id,
            position,
            fields,
            created_at: tx.now,
            updated_at: tx.now,
        })
        .collect();
    let created: Vec<Stage> =
        diesel::insert_into(stages::table).values(rows).returning(Stage::as_returning()).get_results(tx.conn)?;
    let told = created.iter().map(|stage| change("created", None, Some(stage), stage)).collect();
    changes::record_all(tx, told)?;
    Ok(created)
}

pub fn find(tx: &mut Tx<'_>, id: StageId) -> Result<Stage> {
    stages::table
        .find((tx.organization_id(), id))
        .select(Stage::as_select())
        .first(tx.conn)
        .optional()
        .or_not_found("stage")
}

/// Those of `ids` that exist, in no order.
pub fn find_all(tx: &mut Tx<'_>, ids: &[StageId]) -> Result<Vec<Stage>> {
    Ok(stages::table
        .filter(stages::organization_id.eq(tx.organization_id()))
        .filter(stages::id.eq_any(ids))
        .select(Stage::as_select())
        .load(tx.conn)?)
}

/// The stages of pipelines, those of each in their order.
pub fn of_pipelines(tx: &mut Tx<'_>, ids: &[PipelineId]) -> Result<Vec<Stage>> {
    Ok(stages::table
        .filter(stages::organization_id.eq(tx.organization_id()))
        .filter(stages::pipeline_id.eq_any(ids))
        .order((stages::pipeline_id, stages::position))
        .select(Stage::as_select())
        .load(tx.conn)?)
}

/// The chances that sales have at these stages.
pub fn probabilities(tx: &mut Tx<'_>, ids: &[StageId]) -> Result<HashMap<StageId, i16>> {
    let rows: Vec<(StageId, i16)> = stages::table
        .filter(stages::organization_id.eq(tx.organization_id()))
        .filter(stages::id.eq_any(ids))
        .select((stages::id, stages::probability_percent))
        .load(tx.conn)?;
    Ok(rows.into_iter().collect())
}

/// Locks the row; [`StoreError::Stale`] when somebody has changed it since `seen`.
pub fn lock(tx: &mut Tx<'_>, id: StageId, seen: Option<i32>) -> Result<Stage> {
    let stage = stages::table
        .find((tx.organization_id(), id))
        .select(Stage::as_select())
        .for_update()
        .first(tx.conn)
        .optional()
        .or_not_found("stage")?;
    StoreError::unless_current(stage.version, seen)?;
    Ok(stage)
}

/// Writes to a row that [`lock`] has returned, and counts its version up. Where its kind changes, the opportunities
/// that stand there are closed or open with it, without a change of their own.
pub fn update(tx: &mut Tx<'_>, stage: &Stage, fields: StageFields) -> Result<Stage> {
    let after = diesel::update(stages::table.find((tx.organization_id(), stage.id)))
        .set((fields, stages::version.eq(stages::version + 1), stages::updated_at.eq(tx.now)))
        .returning(Stage::as_returning())
        .get_result(tx.conn)?;
    changes::record(tx, change("updated", Some(stage), Some(&after), &after))?;
    Ok(after)
}

/// Removes a locked row where nothing stands or has stood, and closes the gap that it leaves.
pub fn delete(tx: &mut Tx<'_>, stage: &Stage) -> Result<()> {
    diesel::delete(stages::table.find((tx.organization_id(), stage.id)))
        .execute(tx.conn)
        .map_err(StoreError::of_deletion)?;
    changes::record(tx, change("deleted", Some(stage), None, stage))?;
    let rest: Vec<StageId> = of_pipelines(tx, &[stage.pipeline_id])?.iter().map(|stage| stage.id).collect();
    put_in_order(tx, stage.pipeline_id, &rest)
}

/// Numbers the stages of a pipeline in the order of `ids`, which are all of them.
pub(crate) fn put_in_order(tx: &mut Tx<'_>, pipeline_id: PipelineId, ids: &[StageId]) -> Result<()> {
    let before = of_pipelines(tx, &[pipeline_id])?;
    let place = || sql::<SmallInt>("array_position(").bind::<Array<Uuid>, _>(ids).sql(", stages.id)::smallint");
    let moved: Vec<Stage> = diesel::update(stages::table)
        .filter(stages::organization_id.eq(tx.organization_id()))
        .filter(stages::pipeline_id.eq(pipeline_id))
        .filter(stages::position.ne(place()))
        .set((stages::position.eq(place()), stages::version.eq(stages::version + 1), stages::updated_at.eq(tx.now)))
        .returning(Stage::as_returning())
        .get_results(tx.conn)?;
    let told = moved
        .iter()
        .map(|after| change("updated", before.iter().find(|stage| stage.id == after.id), Some(after), after))
        .collect();
    changes::record_all(tx, told)
}

/// The stages of one pipeline.
pub fn list(tx: &mut Tx<'_>, pipeline_id: PipelineId, page: &PageRequest<StageSort>) -> Result<Page<Stage>> {
    let organization_id = tx.organization_id();
    let filtered = || {
        stages::table
            .filter(stages::organization_id.eq(organization_id))
            .filter(stages::pipeline_id.eq(pipeline_id))
            .into_boxed()
    };
    let total = page.total(|cap| filtered().select(sql::<Integer>("1")).limit(cap).load(tx.conn))?;
    let StageSort::Position = page.sort;
    let rows =
        keyset!(filtered(), page, stages::position => i16, stages::id).select(Stage::as_select()).load(tx.conn)?;
    Ok(Page::cut(rows, page, total, |stage| Cursor::new(stage.position, stage.id)))
}

fn change(action: &'static str, before: Option<&Stage>, after: Option<&Stage>, told: &Stage) -> Change {
    Change::new("stage", action, (told.id, told.version), before, after)
}
