//! Files: what was uploaded, under which name, by whom, and on how many records it is.
//!
//! A file is there for whoever sent it and for those who may read a record that it is on; for everybody else there is
//! none. Each read says who reads, by a [`Reader`].

use crate::changes::{self, Change};
use crate::db::{ActorRef, Db, Scope, Tx, transaction};
use crate::error::{OrNotFound, Result, StoreError};
use crate::file_objects::{self, Discarded, Received};
use crate::page::{Cursor, Page, PageRequest, keyset};
use crate::schema::files;
use chrono::{DateTime, TimeDelta, Utc};
use diesel::BoxableExpression;
use diesel::dsl::sql;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Integer, Nullable};
use opiekun_domain::ids::{ApiKeyId, FileId, FileObjectId, OperatorId, OrganizationId};
use opiekun_domain::text::hex;
use serde::{Serialize, Serializer};

/// A file that was put on nothing within so long after it came was not needed.
pub const UNUSED_MAX: TimeDelta = TimeDelta::days(7);

#[derive(Debug, Clone, Queryable, Selectable, Serialize)]
#[diesel(table_name = files, check_for_backend(diesel::pg::Pg))]
pub struct File {
    pub id: FileId,
    #[serde(skip)]
    pub object_id: FileObjectId,
    pub name: String,
    /// By its content, whatever the sender said.
    pub media_type: String,
    #[serde(serialize_with = "hexadecimal")]
    pub sha256: Vec<u8>,
    pub size_bytes: i64,
    /// The operator who sent it; nobody where a script did.
    pub registered_by_id: Option<OperatorId>,
    pub registered_by_key_id: Option<ApiKeyId>,
    #[diesel(embed)]
    #[serde(skip)]
    pub uses: FileUses,
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl File {
    /// Whose it is to change, with those above them.
    pub fn holders(&self) -> Vec<OperatorId> {
        self.registered_by_id.into_iter().collect()
    }

    /// SHA-256 of its content, in lower-case hexadecimal digits.
    pub fn sha256_hex(&self) -> String {
        hex(&self.sha256)
    }
}

/// On how many records it is, by who may read them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = files, check_for_backend(diesel::pg::Pg))]
pub struct FileUses {
    pub crm_uses: i32,
    pub billing_uses: i32,
    pub knowledge_uses: i32,
    pub draft_uses: i32,
    pub logo_uses: i32,
}

impl FileUses {
    pub const fn any(self) -> bool {
        self.crm_uses > 0
            || self.billing_uses > 0
            || self.knowledge_uses > 0
            || self.draft_uses > 0
            || self.logo_uses > 0
    }
}

/// What a caller may write.
#[derive(Debug, Clone, Insertable, AsChangeset)]
#[diesel(table_name = files, check_for_backend(diesel::pg::Pg))]
pub struct FileFields {
    pub name: String,
}

#[derive(Insertable)]
#[diesel(table_name = files)]
struct NewFile<'a> {
    organization_id: OrganizationId,
    id: FileId,
    object_id: FileObjectId,
    #[diesel(embed)]
    fields: FileFields,
    media_type: &'a str,
    sha256: &'a [u8],
    size_bytes: i64,
    registered_by_id: Option<OperatorId>,
    registered_by_key_id: Option<ApiKeyId>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// Which areas the caller reads: of files on records there, it sees all. What it sent itself it sees anyway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reader {
    /// Records of customers and work.
    pub crm: bool,
    /// Records of invoicing.
    pub billing: bool,
    /// Published articles.
    pub knowledge: bool,
    /// Articles that are not published.
    pub drafts: bool,
}

type Condition = Box<dyn BoxableExpression<files::table, Pg, SqlType = Nullable<Bool>>>;

impl Reader {
    /// Whoever reads everything.
    pub const EVERYTHING: Self = Self { crm: true, billing: true, knowledge: true, drafts: true };

    /// The files that are there for this reader.
    fn may_see(self, actor: ActorRef) -> Condition {
        let (operator_id, key_id) = match actor {
            ActorRef::Operator(id) => (Some(id), None),
            ActorRef::ApiKey(id) => (None, Some(id)),
            ActorRef::System => (None, None),
        };
        let mut seen: Condition = Box::new(files::logo_uses.gt(0).nullable());
        if let Some(id) = operator_id {
            seen = Box::new(seen.or(files::registered_by_id.eq(id)));
        }
        if let Some(id) = key_id {
            seen = Box::new(seen.or(files::registered_by_key_id.eq(id)));
        }
        if self.crm {
            seen = Box::new(seen.or(files::crm_uses.gt(0)));
        }
        if self.billing {
            seen = Box::new(seen.or(files::billing_uses.gt(0)));
        }
        if self.knowledge {
            seen = Box::new(seen.or(files::knowledge_uses.gt(0)));
        }
        if self.drafts {
            seen = Box::new(seen.or(files::draft_uses.gt(0)));
        }
        seen
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FileSort {
    #[default]
    CreatedAt,
}

/// All that is given must hold.
#[derive(Debug, Clone, Default)]
pub struct FileFilter {
    pub sha256: Option<[u8; 32]>,
    pub media_type: Option<String>,
    pub registered_by_id: Option<OperatorId>,
    pub created_from: Option<DateTime<Utc>>,
    pub created_before: Option<DateTime<Utc>>,
}

/// Writes down a file whose content has come in whole, as the object that was announced for it: whoever the scope names
/// has sent it. Where the organization has equal content, the file shares that and the announced object is discarded.
pub fn create(tx: &mut Tx<'_>, object_id: FileObjectId, received: &Received, fields: FileFields) -> Result<File> {
    let object_id = file_objects::settle(tx, object_id, received)?;
    let (registered_by_id, registered_by_key_id) = match tx.scope.actor {
        ActorRef::Operator(id) => (Some(id), None),
        ActorRef::ApiKey(id) => (None, Some(id)),
        ActorRef::System => (None, None),
    };
    let row = NewFile {
        organization_id: tx.organization_id(),
        id: FileId::at(tx.now),
        object_id,
        fields,
        media_type: &received.media_type,
        sha256: &received.sha256,
        size_bytes: received.size_bytes,
        registered_by_id,
        registered_by_key_id,
        created_at: tx.now,
        updated_at: tx.now,
    };
    let file: File =
        diesel::insert_into(files::table).values(row).returning(File::as_returning()).get_result(tx.conn)?;
    changes::record(tx, change("created", None, Some(&file)))?;
    Ok(file)
}

pub fn find(tx: &mut Tx<'_>, reader: Reader, id: FileId) -> Result<File> {
    files::table
        .find((tx.organization_id(), id))
        .filter(reader.may_see(tx.scope.actor))
        .select(File::as_select())
        .first(tx.conn)
        .optional()
        .or_not_found("file")
}

/// Those of `ids` that are there for the reader, in no order.
pub fn find_all(tx: &mut Tx<'_>, reader: Reader, ids: &[FileId]) -> Result<Vec<File>> {
    Ok(files::table
        .filter(files::organization_id.eq(tx.organization_id()))
        .filter(files::id.eq_any(ids))
        .filter(reader.may_see(tx.scope.actor))
        .select(File::as_select())
        .load(tx.conn)?)
}

/// Which of `ids` are there for the reader, in no order.
pub fn visible(tx: &mut Tx<'_>, reader: Reader, ids: &[FileId]) -> Result<Vec<FileId>> {
    Ok(files::table
        .filter(files::organization_id.eq(tx.organization_id()))
        .filter(files::id.eq_any(ids))
        .filter(reader.may_see(tx.scope.actor))
        .select(files::id)
        .load(tx.conn)?)
}

/// Locks the row; [`StoreError::Stale`] when somebody has changed it since `seen`.
pub fn lock(tx: &mut Tx<'_>, reader: Reader, id: FileId, seen: Option<i32>) -> Result<File> {
    let file = files::table
        .find((tx.organization_id(), id))
        .filter(reader.may_see(tx.scope.actor))
        .select(File::as_select())
        .for_update()
        .first(tx.conn)
        .optional()
        .or_not_found("file")?;
    StoreError::unless_current(file.version, seen)?;
    Ok(file)
}

/// Writes to a row that [`lock`] has returned, and counts its version up.
pub fn update(tx: &mut Tx<'_>, file: &File, fields: FileFields) -> Result<File> {
    let after = diesel::update(files::table.find((tx.organization_id(), file.id)))
        .set((fields, files::version.eq(files::version + 1), files::updated_at.eq(tx.now)))
        .returning(File::as_returning())
        .get_result(tx.conn)?;
    changes::record(tx, change("updated", Some(file), Some(&after)))?;
    Ok(after)
}

/// Removes a locked row, which the audit log keeps as it was; [`StoreError::InUse`] while it is on a record. Gives the
/// object that no file has any more: it is to be removed from the store once this is committed.
pub fn delete(tx: &mut Tx<'_>, file: &File) -> Result<Option<Discarded>> {
    if file.uses.any() {
        return Err(StoreError::InUse { constraint: "files_uses".to_owned() });
    }
    diesel::delete(files::table.find((tx.organization_id(), file.id)))
        .execute(tx.conn)
        .map_err(StoreError::of_deletion)?;
    changes::record(tx, change("deleted", Some(file), None))?;
    file_objects::release(tx, file.object_id)
}

/// Removes those of some files that are on nothing any more, which the audit log keeps as they were. What they leave in
/// the store is discarded.
pub(crate) fn delete_unused(tx: &mut Tx<'_>, ids: &[FileId]) -> Result<()> {
    let gone: Vec<File> = diesel::delete(files::table)
        .filter(files::organization_id.eq(tx.organization_id()))
        .filter(files::id.eq_any(ids))
        .filter(files::crm_uses.eq(0).and(files::billing_uses.eq(0)))
        .filter(files::knowledge_uses.eq(0).and(files::draft_uses.eq(0)).and(files::logo_uses.eq(0)))
        .returning(File::as_returning())
        .get_results(tx.conn)?;
    let mut objects: Vec<FileObjectId> = gone.iter().map(|file| file.object_id).collect();
    objects.sort_unstable();
    objects.dedup();
    file_objects::release_all(tx, &objects)?;
    changes::record_all(tx, gone.iter().map(|file| change("deleted", Some(file), None)).collect())
}

pub fn list(tx: &mut Tx<'_>, reader: Reader, filter: &FileFilter, page: &PageRequest<FileSort>) -> Result<Page<File>> {
    let (organization_id, actor) = (tx.organization_id(), tx.scope.actor);
    let filtered = || {
        let mut query =
            files::table.filter(files::organization_id.eq(organization_id)).filter(reader.may_see(actor)).into_boxed();
        if let Some(sha256) = filter.sha256 {
            query = query.filter(files::sha256.eq(sha256.to_vec()));
        }
        if let Some(media_type) = &filter.media_type {
            query = query.filter(files::media_type.eq(media_type));
        }
        if let Some(registered_by_id) = filter.registered_by_id {
            query = query.filter(files::registered_by_id.eq(registered_by_id));
        }
        if let Some(from) = filter.created_from {
            query = query.filter(files::created_at.ge(from));
        }
        if let Some(before) = filter.created_before {
            query = query.filter(files::created_at.lt(before));
        }
        query
    };
    let total = page.total(|cap| filtered().select(sql::<Integer>("1")).limit(cap).load(tx.conn))?;
    let query = match page.sort {
        FileSort::CreatedAt => keyset!(filtered(), page, files::created_at => DateTime<Utc>, files::id),
    };
    let rows = query.select(File::as_select()).load(tx.conn)?;
    Ok(Page::cut(rows, page, total, |file| Cursor::new(file.created_at, file.id)))
}

/// Removes files that were put on nothing, of one organization, at most `batch`; returns how many. What they leave in
/// the store is discarded.
#[expect(clippy::disallowed_methods, reason = "background work is of every organization, on its own behalf")]
pub fn remove_unused(db: &Db, now: DateTime<Utc>, batch: i64) -> Result<usize> {
    let conn = &mut *db.connection()?;
    let is_unused = || {
        files::crm_uses
            .eq(0)
            .and(files::billing_uses.eq(0))
            .and(files::knowledge_uses.eq(0))
            .and(files::draft_uses.eq(0))
            .and(files::logo_uses.eq(0))
            .and(files::created_at.le(now - UNUSED_MAX))
    };
    let oldest: Option<OrganizationId> = files::table
        .filter(is_unused())
        .order(files::created_at)
        .select(files::organization_id)
        .first(conn)
        .optional()?;
    let Some(organization_id) = oldest else { return Ok(0) };
    transaction(conn, Scope::new(organization_id, ActorRef::System, None), now, |tx| {
        let unused: Vec<File> = files::table
            .filter(files::organization_id.eq(organization_id))
            .filter(is_unused())
            .order(files::created_at)
            .limit(batch)
            .select(File::as_select())
            .for_update()
            .skip_locked()
            .load(tx.conn)?;
        let ids: Vec<FileId> = unused.iter().map(|file| file.id).collect();
        let gone = files::table.filter(files::organization_id.eq(organization_id)).filter(files::id.eq_any(&ids));
        diesel::delete(gone).execute(tx.conn)?;
        let mut objects: Vec<FileObjectId> = unused.iter().map(|file| file.object_id).collect();
        objects.sort_unstable();
        objects.dedup();
        file_objects::release_all(tx, &objects)?;
        changes::record_all(tx, unused.iter().map(|file| change("deleted", Some(file), None)).collect())?;
        Ok(unused.len())
    })
}

fn change(action: &'static str, before: Option<&File>, after: Option<&File>) -> Change {
    let (id, version) = after.or(before).map(|told| (told.id.0, told.version)).unwrap_or_default();
    Change::new("file", action, (id, version), before, after)
}

fn hexadecimal<S: Serializer>(bytes: &[u8], serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.serialize_str(&hex(bytes))
}
