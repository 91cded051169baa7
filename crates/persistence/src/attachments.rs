//! Attachments: files on records. Whoever reads a record reads the files on it, and nobody else does.
//!
//! What counts the uses of a file, and what a record is about, is kept by triggers of the table.

use crate::changes::{self, Change};
use crate::db::Tx;
use crate::error::{OrNotFound, Result, StoreError};
use crate::files::{self, Reader};
use crate::page::{Among, Cursor, Page, PageRequest, keyset};
use crate::schema::{articles, attachments, customers, files as file_rows, interactions, invoices, tasks, threads};
use chrono::{DateTime, Utc};
use diesel::deserialize::Queryable;
use diesel::dsl::sql;
use diesel::expression::Selectable;
use diesel::pg::Pg;
use diesel::prelude::{
    BoolExpressionMethods, ExpressionMethods, Insertable, JoinOnDsl, OptionalExtension, QueryDsl, RunQueryDsl,
    SelectableHelper,
};
use diesel::sql_types::Integer;
use opiekun_domain::attachment::{AttachmentSubject, FileArea};
use opiekun_domain::ids::{
    ArticleId, AttachmentId, CustomerId, FileId, InteractionId, InvoiceId, OperatorId, OrganizationId, TaskId, ThreadId,
};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use std::collections::BTreeSet;

#[derive(Debug, Clone, diesel::Queryable, diesel::Selectable, Serialize)]
#[diesel(table_name = attachments, check_for_backend(diesel::pg::Pg))]
pub struct Attachment {
    pub id: AttachmentId,
    pub file_id: FileId,
    #[diesel(embed)]
    #[serde(flatten)]
    pub subject: Subject,
    /// Whom the record is about, the matter that it is in, and who does it: they change with the record, and are no
    /// change of the attachment.
    #[serde(skip)]
    pub of_customer_id: Option<CustomerId>,
    #[serde(skip)]
    pub of_thread_id: Option<ThreadId>,
    #[serde(skip)]
    pub of_caretaker_id: Option<OperatorId>,
    pub description: Option<String>,
    /// The operator who put the file there; nobody where a script did.
    pub registered_by_id: Option<OperatorId>,
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// The record that a file is on: one of some columns of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject(pub AttachmentSubject);

type SubjectColumns =
    (Option<InteractionId>, Option<TaskId>, Option<CustomerId>, Option<ThreadId>, Option<InvoiceId>, Option<ArticleId>);

impl<ST> Queryable<ST, Pg> for Subject
where
    SubjectColumns: diesel::deserialize::FromStaticSqlRow<ST, Pg>,
{
    type Row = SubjectColumns;

    fn build(
        (interaction, task, customer, thread, invoice, article): SubjectColumns,
    ) -> diesel::deserialize::Result<Self> {
        let subject = interaction
            .map(AttachmentSubject::Interaction)
            .or(task.map(AttachmentSubject::Task))
            .or(customer.map(AttachmentSubject::Customer))
            .or(thread.map(AttachmentSubject::Thread))
            .or(invoice.map(AttachmentSubject::Invoice))
            .or(article.map(AttachmentSubject::Article));
        subject.map(Self).ok_or_else(|| "an attachment to nothing".into())
    }
}

impl Selectable<Pg> for Subject {
    type SelectExpression = (
        attachments::interaction_id,
        attachments::task_id,
        attachments::customer_id,
        attachments::thread_id,
        attachments::invoice_id,
        attachments::article_id,
    );

    fn construct_selection() -> Self::SelectExpression {
        (
            attachments::interaction_id,
            attachments::task_id,
            attachments::customer_id,
            attachments::thread_id,
            attachments::invoice_id,
            attachments::article_id,
        )
    }
}

/// As a change record tells it.
impl Serialize for Subject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut members = serializer.serialize_map(Some(2))?;
        members.serialize_entry("subject_type", self.0.kind().as_str())?;
        members.serialize_entry("subject_id", &self.0.id())?;
        members.end()
    }
}

/// What a reader of an attachment is told of its file.
#[derive(Debug, Clone, diesel::Queryable, diesel::Selectable)]
#[diesel(table_name = file_rows, check_for_backend(diesel::pg::Pg))]
pub struct AttachedFile {
    pub name: String,
    pub media_type: String,
    /// SHA-256.
    pub sha256: Vec<u8>,
    pub size_bytes: i64,
}

/// An attachment with its file.
pub type Attached = (Attachment, AttachedFile);

#[derive(Insertable)]
#[diesel(table_name = attachments)]
struct NewAttachment {
    organization_id: OrganizationId,
    id: AttachmentId,
    file_id: FileId,
    interaction_id: Option<InteractionId>,
    task_id: Option<TaskId>,
    customer_id: Option<CustomerId>,
    thread_id: Option<ThreadId>,
    invoice_id: Option<InvoiceId>,
    article_id: Option<ArticleId>,
    description: Option<String>,
    registered_by_id: Option<OperatorId>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AttachmentSort {
    #[default]
    CreatedAt,
}

/// All that is given must hold.
#[derive(Debug, Clone, Default)]
pub struct AttachmentFilter {
    /// The records that files are on. Two are no file's.
    pub subjects: Vec<AttachmentSubject>,
    pub file_id: Option<FileId>,
    /// Whom the record is about.
    pub customer_id: Option<CustomerId>,
    /// The matter that the record is in.
    pub thread_id: Option<ThreadId>,
    /// Who does the task, or cares for the interaction, that a file is on.
    pub caretaker_id: Option<OperatorId>,
    pub registered_by_id: Option<OperatorId>,
    pub created_from: Option<DateTime<Utc>>,
    pub created_before: Option<DateTime<Utc>>,
}

impl AttachmentFilter {
    /// Whether any file of an area can pass: matters and caretakers are the CRM's alone, and articles are about nobody.
    fn takes(&self, area: FileArea) -> bool {
        let is_of_crm = self.thread_id.is_some() || self.caretaker_id.is_some();
        let is_of_customer = self.customer_id.is_some();
        self.subjects.iter().all(|subject| subject.kind().is_of(area))
            && match area {
                FileArea::Crm => true,
                FileArea::Billing => !is_of_crm,
                FileArea::Knowledge | FileArea::Drafts => !is_of_crm && !is_of_customer,
            }
    }
}

/// Keeps a record as it is until the transaction ends; tells whether there is one. Whoever puts a file on it does this
/// before the file is held, in the order of those who remove a record with its files.
pub fn hold_subject(tx: &mut Tx<'_>, subject: AttachmentSubject) -> Result<bool> {
    macro_rules! hold {
        ($table:ident, $id:expr) => {
            $table::table.find((tx.organization_id(), $id)).select($table::version).for_share().first::<i32>(tx.conn)
        };
    }
    let found = match subject {
        AttachmentSubject::Interaction(id) => hold!(interactions, id),
        AttachmentSubject::Task(id) => hold!(tasks, id),
        AttachmentSubject::Customer(id) => hold!(customers, id),
        AttachmentSubject::Thread(id) => hold!(threads, id),
        AttachmentSubject::Invoice(id) => hold!(invoices, id),
        AttachmentSubject::Article(id) => hold!(articles, id),
    };
    Ok(found.optional()?.is_some())
}

/// Puts a file on a record, both of which the caller holds and has found readable: whoever the scope names did it.
pub fn create(
    tx: &mut Tx<'_>,
    file_id: FileId,
    subject: AttachmentSubject,
    description: Option<String>,
) -> Result<Attached> {
    let columns = Columns::of(subject);
    let row = NewAttachment {
        organization_id: tx.organization_id(),
        id: AttachmentId::at(tx.now),
        file_id,
        interaction_id: columns.interaction_id,
        task_id: columns.task_id,
        customer_id: columns.customer_id,
        thread_id: columns.thread_id,
        invoice_id: columns.invoice_id,
        article_id: columns.article_id,
        description,
        registered_by_id: tx.scope.actor.operator_id(),
        created_at: tx.now,
        updated_at: tx.now,
    };
    let attachment: Attachment = diesel::insert_into(attachments::table)
        .values(row)
        .returning(Attachment::as_returning())
        .get_result(tx.conn)?;
    changes::record(tx, change("created", None, Some(&attachment)))?;
    with_file(tx, attachment)
}

/// A subject as the columns that it is one of.
#[derive(Default)]
struct Columns {
    interaction_id: Option<InteractionId>,
    task_id: Option<TaskId>,
    customer_id: Option<CustomerId>,
    thread_id: Option<ThreadId>,
    invoice_id: Option<InvoiceId>,
    article_id: Option<ArticleId>,
}

impl Columns {
    fn of(subject: AttachmentSubject) -> Self {
        let mut columns = Self::default();
        match subject {
            AttachmentSubject::Interaction(id) => columns.interaction_id = Some(id),
            AttachmentSubject::Task(id) => columns.task_id = Some(id),
            AttachmentSubject::Customer(id) => columns.customer_id = Some(id),
            AttachmentSubject::Thread(id) => columns.thread_id = Some(id),
            AttachmentSubject::Invoice(id) => columns.invoice_id = Some(id),
            AttachmentSubject::Article(id) => columns.article_id = Some(id),
        }
        columns
    }
}

fn with_file(tx: &mut Tx<'_>, attachment: Attachment) -> Result<Attached> {
    let file = file_rows::table
        .find((tx.organization_id(), attachment.file_id))
        .select(AttachedFile::as_select())
        .first(tx.conn)
        .optional()
        .or_not_found("file")?;
    Ok((attachment, file))
}

/// The areas whose records somebody reads.
pub(crate) fn areas(reader: Reader) -> impl Iterator<Item = FileArea> {
    let Reader { crm, billing, knowledge, drafts } = reader;
    let is_read = move |area: &FileArea| match area {
        FileArea::Crm => crm,
        FileArea::Billing => billing,
        FileArea::Knowledge => knowledge,
        FileArea::Drafts => drafts,
    };
    FileArea::ALL.iter().copied().filter(is_read)
}

/// The attachments of an organization, each with its file.
macro_rules! with_files {
    ($organization_id:expr) => {
        attachments::table
            .inner_join(file_rows::table.on(
                file_rows::organization_id.eq(attachments::organization_id).and(file_rows::id.eq(attachments::file_id)),
            ))
            .filter(attachments::organization_id.eq($organization_id))
    };
}

/// One on a record of an area that the reader reads; any other there is not.
pub fn find(tx: &mut Tx<'_>, reader: Reader, id: AttachmentId) -> Result<Attached> {
    with_files!(tx.organization_id())
        .filter(attachments::id.eq(id))
        .filter(attachments::area.eq_any(areas(reader)))
        .select((Attachment::as_select(), AttachedFile::as_select()))
        .first(tx.conn)
        .optional()
        .or_not_found("attachment")
}

/// Those of `ids` that there are for the reader, in no order.
pub fn find_all(tx: &mut Tx<'_>, reader: Reader, ids: &[AttachmentId]) -> Result<Vec<Attached>> {
    Ok(with_files!(tx.organization_id())
        .filter(attachments::id.eq_any(ids))
        .filter(attachments::area.eq_any(areas(reader)))
        .select((Attachment::as_select(), AttachedFile::as_select()))
        .load(tx.conn)?)
}

/// Locks the row; [`StoreError::Stale`] when somebody has changed it since `seen`.
pub fn lock(tx: &mut Tx<'_>, reader: Reader, id: AttachmentId, seen: Option<i32>) -> Result<Attachment> {
    let attachment: Attachment = attachments::table
        .find((tx.organization_id(), id))
        .filter(attachments::area.eq_any(areas(reader)))
        .select(Attachment::as_select())
        .for_update()
        .first(tx.conn)
        .optional()
        .or_not_found("attachment")?;
    StoreError::unless_current(attachment.version, seen)?;
    Ok(attachment)
}

/// Writes to a row that [`lock`] has returned, and counts its version up.
pub fn update(tx: &mut Tx<'_>, attachment: &Attachment, description: Option<String>) -> Result<Attached> {
    let after: Attachment = diesel::update(attachments::table.find((tx.organization_id(), attachment.id)))
        .set((
            attachments::description.eq(description),
            attachments::version.eq(attachments::version + 1),
            attachments::updated_at.eq(tx.now),
        ))
        .returning(Attachment::as_returning())
        .get_result(tx.conn)?;
    changes::record(tx, change("updated", Some(attachment), Some(&after)))?;
    with_file(tx, after)
}

/// Takes a file off a record, by a locked row. A file that is on nothing any more goes as well.
pub fn delete(tx: &mut Tx<'_>, attachment: &Attachment) -> Result<()> {
    diesel::delete(attachments::table.find((tx.organization_id(), attachment.id))).execute(tx.conn)?;
    changes::record(tx, change("deleted", Some(attachment), None))?;
    files::delete_unused(tx, &[attachment.file_id])
}

/// Takes all files off a record that is about to go, whose row the caller holds. Those that are on nothing else go too.
pub(crate) fn delete_all(tx: &mut Tx<'_>, subject: AttachmentSubject) -> Result<()> {
    /// So many rows are in memory at once.
    const ROWS_AT_ONCE: i64 = 500;
    loop {
        let ids: Vec<AttachmentId> = on_subject(tx, subject)
            .order((attachments::created_at, attachments::id))
            .limit(ROWS_AT_ONCE)
            .select(attachments::id)
            .load(tx.conn)?;
        if ids.is_empty() {
            return Ok(());
        }
        delete_some(tx, &ids)?;
    }
}

/// Takes the files of a locked thread to another one. What is on that already is not put there twice.
pub(crate) fn carry(tx: &mut Tx<'_>, from: ThreadId, into: ThreadId) -> Result<()> {
    let organization_id = tx.organization_id();
    let there = diesel::alias!(attachments as there);
    let twice: Vec<AttachmentId> = attachments::table
        .filter(attachments::organization_id.eq(organization_id))
        .filter(attachments::thread_id.eq(from))
        .filter(
            attachments::file_id.eq_any(
                there
                    .filter(there.field(attachments::organization_id).eq(organization_id))
                    .filter(there.field(attachments::thread_id).eq(into))
                    .select(there.field(attachments::file_id)),
            ),
        )
        .select(attachments::id)
        .load(tx.conn)?;
    delete_some(tx, &twice)?;
    let before: Vec<Attachment> = on_subject(tx, AttachmentSubject::Thread(from))
        .order(attachments::id)
        .select(Attachment::as_select())
        .load(tx.conn)?;
    if before.is_empty() {
        return Ok(());
    }
    diesel::update(attachments::table)
        .filter(attachments::organization_id.eq(organization_id))
        .filter(attachments::thread_id.eq(from))
        .set((
            attachments::thread_id.eq(into),
            attachments::version.eq(attachments::version + 1),
            attachments::updated_at.eq(tx.now),
        ))
        .execute(tx.conn)?;
    let (subject, now) = (Subject(AttachmentSubject::Thread(into)), tx.now);
    let records = before.iter().map(|before| {
        let after = Attachment { subject, version: before.version + 1, updated_at: now, ..before.clone() };
        change("updated", Some(before), Some(&after))
    });
    changes::record_all(tx, records.collect())
}

fn on_subject<'a>(tx: &Tx<'_>, subject: AttachmentSubject) -> attachments::BoxedQuery<'a, Pg> {
    let query = attachments::table.filter(attachments::organization_id.eq(tx.organization_id())).into_boxed();
    match subject {
        AttachmentSubject::Interaction(id) => query.filter(attachments::interaction_id.eq(id)),
        AttachmentSubject::Task(id) => query.filter(attachments::task_id.eq(id)),
        AttachmentSubject::Customer(id) => query.filter(attachments::customer_id.eq(id)),
        AttachmentSubject::Thread(id) => query.filter(attachments::thread_id.eq(id)),
        AttachmentSubject::Invoice(id) => query.filter(attachments::invoice_id.eq(id)),
        AttachmentSubject::Article(id) => query.filter(attachments::article_id.eq(id)),
    }
}

/// Takes some files off their records. First the attachments are held, then the files, each in the order of their ids, so
/// that nobody who takes others of them off waits for somebody who waits for them.
fn delete_some(tx: &mut Tx<'_>, ids: &[AttachmentId]) -> Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    let organization_id = tx.organization_id();
    let file_ids: BTreeSet<FileId> = attachments::table
        .filter(attachments::organization_id.eq(organization_id))
        .filter(attachments::id.eq_any(ids))
        .order(attachments::id)
        .select(attachments::file_id)
        .for_update()
        .load(tx.conn)?
        .into_iter()
        .collect();
    let file_ids: Vec<FileId> = file_ids.into_iter().collect();
    file_rows::table
        .filter(file_rows::organization_id.eq(organization_id))
        .filter(file_rows::id.eq_any(&file_ids))
        .order(file_rows::id)
        .select(file_rows::id)
        .for_update()
        .load::<FileId>(tx.conn)?;
    let gone: Vec<Attachment> = diesel::delete(attachments::table)
        .filter(attachments::organization_id.eq(organization_id))
        .filter(attachments::id.eq_any(ids))
        .returning(Attachment::as_returning())
        .get_results(tx.conn)?;
    changes::record_all(tx, gone.iter().map(|row| change("deleted", Some(row), None)).collect())?;
    files::delete_unused(tx, &file_ids)
}

/// The attachments to records of the areas that the reader reads.
pub fn list(
    tx: &mut Tx<'_>,
    reader: Reader,
    filter: &AttachmentFilter,
    page: &PageRequest<AttachmentSort>,
) -> Result<Page<Attached>> {
    let AttachmentSort::CreatedAt = page.sort;
    let organization_id = tx.organization_id();
    let areas: Vec<FileArea> = areas(reader).filter(|area| filter.takes(*area)).collect();
    // Each area is a range of an index: read together, a page of one could begin behind all of the other.
    let of_area = |area: FileArea| {
        let mut query = attachments::table
            .filter(attachments::organization_id.eq(organization_id))
            .filter(attachments::area.eq(area))
            .select(attachments::id)
            .into_boxed();
        for subject in &filter.subjects {
            query = match *subject {
                AttachmentSubject::Interaction(id) => query.filter(attachments::interaction_id.eq(id)),
                AttachmentSubject::Task(id) => query.filter(attachments::task_id.eq(id)),
                AttachmentSubject::Customer(id) => query.filter(attachments::customer_id.eq(id)),
                AttachmentSubject::Thread(id) => query.filter(attachments::thread_id.eq(id)),
                AttachmentSubject::Invoice(id) => query.filter(attachments::invoice_id.eq(id)),
                AttachmentSubject::Article(id) => query.filter(attachments::article_id.eq(id)),
            };
        }
        if let Some(file_id) = filter.file_id {
            query = query.filter(attachments::file_id.eq(file_id));
        }
        if let Some(customer_id) = filter.customer_id {
            query = query.filter(attachments::of_customer_id.eq(customer_id));
        }
        if let Some(thread_id) = filter.thread_id {
            query = query.filter(attachments::of_thread_id.eq(thread_id));
        }
        if let Some(caretaker_id) = filter.caretaker_id {
            query = query.filter(attachments::of_caretaker_id.eq(caretaker_id));
        }
        if let Some(registered_by_id) = filter.registered_by_id {
            query = query.filter(attachments::registered_by_id.eq(registered_by_id));
        }
        if let Some(from) = filter.created_from {
            query = query.filter(attachments::created_at.ge(from));
        }
        if let Some(before) = filter.created_before {
            query = query.filter(attachments::created_at.lt(before));
        }
        query
    };
    let total = page.total(|cap| {
        let mut among = Among::new(attachments::id);
        areas.iter().for_each(|area| among.push(of_area(*area).limit(cap)));
        let found = attachments::table.filter(attachments::organization_id.eq(organization_id)).filter(among);
        found.select(sql::<Integer>("1")).limit(cap).load(tx.conn)
    })?;
    let mut among = Among::new(attachments::id);
    for area in &areas {
        among.push(keyset!(of_area(*area), page, attachments::created_at => DateTime<Utc>, attachments::id));
    }
    let found = with_files!(organization_id).filter(among).into_boxed();
    let rows = keyset!(found, page, attachments::created_at => DateTime<Utc>, attachments::id)
        .select((Attachment::as_select(), AttachedFile::as_select()))
        .load(tx.conn)?;
    Ok(Page::cut(rows, page, total, |(attachment, _): &Attached| Cursor::new(attachment.created_at, attachment.id)))
}

fn change(action: &'static str, before: Option<&Attachment>, after: Option<&Attachment>) -> Change {
    let (id, version) = after.or(before).map(|told| (told.id.0, told.version)).unwrap_or_default();
    Change::new("attachment", action, (id, version), before, after)
}
