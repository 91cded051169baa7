//! Stage changes: where an opportunity stood since when.

use crate::db::Tx;
use crate::error::Result;
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, Nullable, Timestamptz, Uuid};
use opiekun_domain::ids::{OpportunityId, StageId};

/// Where an opportunity stood at a moment: where its last change by then led to, or at its beginning before that.
/// `None` for an opportunity that there is none of.
pub fn stage_at(tx: &mut Tx<'_>, opportunity_id: OpportunityId, at: DateTime<Utc>) -> Result<Option<StageId>> {
    Ok(stages_at(tx, &[(opportunity_id, at)])?.pop().flatten())
}

#[derive(QueryableByName)]
struct Stood {
    #[diesel(sql_type = Nullable<Uuid>)]
    stage_id: Option<StageId>,
}

/// [`stage_at`] for many moments, in their order and in one statement.
pub fn stages_at(tx: &mut Tx<'_>, moments: &[(OpportunityId, DateTime<Utc>)]) -> Result<Vec<Option<StageId>>> {
    if moments.is_empty() {
        return Ok(Vec::new());
    }
    let (opportunities, instants): (Vec<_>, Vec<_>) = moments.iter().copied().unzip();
    let rows: Vec<Stood> = diesel::sql_query(include_str!("stages_at.sql"))
        .bind::<Uuid, _>(tx.organization_id())
        .bind::<Array<Uuid>, _>(opportunities)
        .bind::<Array<Timestamptz>, _>(instants)
        .load(tx.conn)?;
    Ok(rows.into_iter().map(|row| row.stage_id).collect())
}
