//! What lies in the file store, a row an object: written before the first byte, removed after the last one is gone.
//!
//! `receiving` becomes `kept` in the transaction that writes the file's row, or `discarded`; a kept one is discarded in
//! the transaction that removes its last file. What is discarded is removed from the store and then forgotten here,
//! by whoever discarded it or, when that failed, by the sweeper.

use crate::db::{Db, Tx};
use crate::error::{Result, StoreError, Violation};
use crate::schema::{file_objects, files};
use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text, Timestamptz, Uuid};
use opiekun_domain::ids::{FileObjectId, OrganizationId};

/// An upload that has given no sign of life for so long has ended with its node.
pub const SILENT_MAX: TimeDelta = TimeDelta::minutes(10);
/// Whoever discards an object removes it at once; the sweeper leaves that much time before it tries, and between tries.
const REMOVED_WITHIN: TimeDelta = TimeDelta::minutes(1);

const RECEIVING: &str = "receiving";
const KEPT: &str = "kept";
const DISCARDED: &str = "discarded";

/// What came in, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    pub media_type: String,
    pub sha256: [u8; 32],
    pub size_bytes: i64,
}

/// An object that is to be removed from the store.
#[derive(Debug, Clone, PartialEq, Eq, QueryableByName)]
pub struct Discarded {
    #[diesel(sql_type = Uuid)]
    pub organization_id: OrganizationId,
    #[diesel(sql_type = Uuid)]
    pub id: FileObjectId,
    /// Of an upload in parts that has not ended.
    #[diesel(sql_type = Nullable<Text>)]
    pub multipart_id: Option<String>,
}

/// Announces an object, before its first byte is stored.
pub fn announce(tx: &mut Tx<'_>) -> Result<FileObjectId> {
    let id = FileObjectId::at(tx.now);
    diesel::insert_into(file_objects::table)
        .values((
            file_objects::organization_id.eq(tx.organization_id()),
            file_objects::id.eq(id),
            file_objects::state.eq(RECEIVING),
            file_objects::touched_at.eq(tx.now),
            file_objects::created_at.eq(tx.now),
        ))
        .execute(tx.conn)?;
    Ok(id)
}

/// A sign of life of an upload, with the id of its parts once there is one. [`StoreError::Unavailable`] when it was
/// given up meanwhile.
pub fn touch(tx: &mut Tx<'_>, id: FileObjectId, multipart_id: Option<&str>) -> Result<()> {
    let ours = file_objects::table.find((tx.organization_id(), id)).filter(file_objects::state.eq(RECEIVING));
    let touched = match multipart_id {
        Some(multipart_id) => diesel::update(ours)
            .set((file_objects::touched_at.eq(tx.now), file_objects::multipart_id.eq(multipart_id)))
            .execute(tx.conn)?,
        None => diesel::update(ours).set(file_objects::touched_at.eq(tx.now)).execute(tx.conn)?,
    };
    if touched == 1 { Ok(()) } else { Err(given_up()) }
}

/// Settles what a whole upload becomes: the organization's one object with this content, or nothing where there is one
/// already. Gives the object that has the content, locked.
pub(crate) fn settle(tx: &mut Tx<'_>, id: FileObjectId, received: &Received) -> Result<FileObjectId> {
    /// Equal content that comes and goes at the same moment makes us look again.
    const TRIES: usize = 8;
    let organization_id = tx.organization_id();
    let ours = file_objects::table.find((organization_id, id));
    let state: Option<String> = ours.select(file_objects::state).for_update().first(tx.conn).optional()?;
    if state.as_deref() != Some(RECEIVING) {
        return Err(given_up());
    }
    for _ in 0..TRIES {
        let equal: Option<FileObjectId> = file_objects::table
            .filter(file_objects::organization_id.eq(organization_id))
            .filter(file_objects::state.eq(KEPT))
            .filter(file_objects::sha256.eq(&received.sha256[..]))
            .select(file_objects::id)
            .for_update()
            .first(tx.conn)
            .optional()?;
        if let Some(equal) = equal {
            diesel::update(ours)
                .set((file_objects::state.eq(DISCARDED), file_objects::touched_at.eq(tx.now)))
                .execute(tx.conn)?;
            return Ok(equal);
        }
        let kept = tx.attempt(|tx| {
            diesel::update(file_objects::table.find((organization_id, id)))
                .set((
                    file_objects::state.eq(KEPT),
                    file_objects::multipart_id.eq(None::<String>),
                    file_objects::sha256.eq(&received.sha256[..]),
                    file_objects::size_bytes.eq(received.size_bytes),
                    file_objects::touched_at.eq(tx.now),
                ))
                .execute(tx.conn)?;
            Ok(())
        });
        match kept {
            Ok(()) => return Ok(id),
            // Somebody was first by a moment: theirs is found now.
            Err(StoreError::Refused { violation: Violation::Unique, .. }) => {}
            Err(other) => return Err(other),
        }
    }
    Err(StoreError::Unavailable("equal content came and went too often".to_owned()))
}

/// Discards an upload, unless its file was written. Gives what is to be removed from the store.
pub fn abandon(tx: &mut Tx<'_>, id: FileObjectId) -> Result<Option<Discarded>> {
    diesel::update(file_objects::table.find((tx.organization_id(), id)).filter(file_objects::state.eq(RECEIVING)))
        .set((file_objects::state.eq(DISCARDED), file_objects::touched_at.eq(tx.now)))
        .execute(tx.conn)?;
    discarded(tx, id)
}

/// Discards an object that no file has any more. Gives it if it is to be removed from the store.
pub(crate) fn release(tx: &mut Tx<'_>, id: FileObjectId) -> Result<Option<Discarded>> {
    release_all(tx, &[id])?;
    discarded(tx, id)
}

/// Discards those of the objects that no file has any more.
///
/// Their rows are locked first, and only then are other files looked for: an equal upload that comes at this moment has
/// either written its file before, or finds no object to share.
pub(crate) fn release_all(tx: &mut Tx<'_>, ids: &[FileObjectId]) -> Result<()> {
    let organization_id = tx.organization_id();
    let named = || {
        file_objects::table
            .filter(file_objects::organization_id.eq(organization_id))
            .filter(file_objects::id.eq_any(ids))
    };
    named().order(file_objects::id).select(file_objects::id).for_update().execute(tx.conn)?;
    let has_file =
        files::table.filter(files::organization_id.eq(organization_id)).filter(files::object_id.eq(file_objects::id));
    diesel::update(named().filter(diesel::dsl::not(diesel::dsl::exists(has_file))))
        .set((file_objects::state.eq(DISCARDED), file_objects::touched_at.eq(tx.now)))
        .execute(tx.conn)?;
    Ok(())
}

fn discarded(tx: &mut Tx<'_>, id: FileObjectId) -> Result<Option<Discarded>> {
    let found: Option<Option<String>> = file_objects::table
        .find((tx.organization_id(), id))
        .filter(file_objects::state.eq(DISCARDED))
        .select(file_objects::multipart_id)
        .first(tx.conn)
        .optional()?;
    Ok(found.map(|multipart_id| Discarded { organization_id: tx.organization_id(), id, multipart_id }))
}

/// Forgets an object that was removed from the store.
pub fn forget(db: &Db, removed: &Discarded) -> Result<()> {
    let row = file_objects::table.find((removed.organization_id, removed.id));
    diesel::delete(row.filter(file_objects::state.eq(DISCARDED))).execute(&mut *db.connection()?)?;
    Ok(())
}

/// Takes at most `batch` objects of all organizations that are to be removed: those discarded, and uploads that have
/// fallen silent, which are discarded hereby. What is taken comes again after a minute, unless it is forgotten.
pub fn take_discarded(db: &Db, now: DateTime<Utc>, batch: i64) -> Result<Vec<Discarded>> {
    Ok(diesel::sql_query(
        "update file_objects o set state = 'discarded', touched_at = $1
         from (
             select organization_id, id from file_objects
             where state <> 'kept' and touched_at <= case state when 'receiving' then $2 else $3 end
             order by touched_at limit $4 for update skip locked
         ) due
         where o.organization_id = due.organization_id and o.id = due.id
         returning o.organization_id, o.id, o.multipart_id",
    )
    .bind::<Timestamptz, _>(now)
    .bind::<Timestamptz, _>(now - SILENT_MAX)
    .bind::<Timestamptz, _>(now - REMOVED_WITHIN)
    .bind::<BigInt, _>(batch)
    .load(&mut *db.connection()?)?)
}

fn given_up() -> StoreError {
    StoreError::Unavailable("the upload was given up meanwhile".to_owned())
}
