//! Files: what lies in the file store, as callers know it.

use crate::db::Tx;
use crate::error::{OrNotFound, Result};
use crate::schema::{file_objects, files};
use diesel::dsl::{exists, not};
use diesel::prelude::*;
use opiekun_domain::ids::{FileId, OperatorId};
use uuid::Uuid;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reader {
    pub crm: bool,
    pub billing: bool,
}

#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = files, check_for_backend(diesel::pg::Pg))]
pub struct File {
    pub id: FileId,
    pub media_type: String,
    registered_by_id: Option<OperatorId>,
    crm_uses: i32,
    billing_uses: i32,
    logo_uses: i32,
}

pub fn lock(tx: &mut Tx<'_>, reader: Reader, id: FileId, _: Option<i32>) -> Result<File> {
    let me = tx.scope.actor.operator_id();
    files::table
        .find((tx.organization_id(), id))
        .select(File::as_select())
        .for_update()
        .first::<File>(tx.conn)
        .optional()
        .map(|file| {
            file.filter(|file| {
                (reader.crm && file.crm_uses > 0)
                    || (reader.billing && file.billing_uses > 0)
                    || file.logo_uses > 0
                    || (me.is_some() && me == file.registered_by_id)
            })
        })
        .or_not_found("file")
}

/// Removes those of `ids` that are on nothing any more.
pub(crate) fn delete_unused(tx: &mut Tx<'_>, ids: &[FileId]) -> Result<()> {
    let organization_id = tx.organization_id();
    let objects: Vec<Uuid> = diesel::delete(files::table)
        .filter(files::organization_id.eq(organization_id))
        .filter(files::id.eq_any(ids))
        .filter(files::crm_uses.eq(0).and(files::billing_uses.eq(0)).and(files::logo_uses.eq(0)))
        .returning(files::object_id)
        .get_results(tx.conn)?;
    diesel::update(file_objects::table)
        .filter(file_objects::organization_id.eq(organization_id))
        .filter(file_objects::id.eq_any(objects))
        .filter(not(exists(
            files::table
                .filter(files::organization_id.eq(organization_id))
                .filter(files::object_id.eq(file_objects::id)),
        )))
        .set((file_objects::state.eq("discarded"), file_objects::touched_at.eq(tx.now)))
        .execute(tx.conn)?;
    Ok(())
}
