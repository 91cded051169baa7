//! Attachments: files on records. Whoever may read a record may read the files on it, and nobody else.

use crate::actor::Actor;
use crate::body::{Patch, Valid};
use crate::listing::{Filters, Id, Listing, Sorting};
use crate::once::Once;
use crate::precondition::IfMatch;
use crate::problem::ApiError;
use crate::reply::Reply;
use crate::shape::{PageBody, Shape};
use crate::state::State;
use crate::threads::check_takes;
use actix_web::{delete, get, patch, post, web};
use chrono::{DateTime, Utc};
use opiekun_domain::attachment::{AttachmentSubject, AttachmentSubjectType, FileArea};
use opiekun_domain::ids::{AttachmentId, CustomerId, FileId, InteractionId, InvoiceId, OperatorId, TaskId, ThreadId};
use opiekun_domain::permission::Permission;
use opiekun_domain::text::hex;
use opiekun_persistence::attachments::{Attached, AttachedFile, Attachment, AttachmentFilter, AttachmentSort};
use opiekun_persistence::files::Reader;
use opiekun_persistence::{Page, StoreError, Tx, attachments, customers, files, interactions, tasks, threads};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;
use validator::Validate;

/// Which of them is wanted is for the record to say that a file is on.
const WRITERS: &[Permission] = &[FileArea::Crm.write_permission(), FileArea::Billing.write_permission()];

pub fn routes(config: &mut ServiceConfig) {
    config
        .service(list_attachments)
        .service(create_attachment)
        .service(get_attachment)
        .service(update_attachment)
        .service(delete_attachment);
}

/// What a caller may write of an attachment.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct AttachmentInput {
    /// A file that the caller may read. It stays so: another file is another attachment.
    pub file_id: FileId,
    /// The record that the file is put on. It stays so, too.
    #[validate(nested)]
    pub subject: AttachmentSubjectBody,
    /// What the file is there for.
    #[schema(max_length = 1000, example = "Signed by both parties")]
    #[serde(default)]
    pub description: Option<String>,
}

/// A record that files are put on. New types may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema, Validate)]
#[schema(as = AttachmentSubject)]
#[serde(deny_unknown_fields)]
pub struct AttachmentSubjectBody {
    #[serde(rename = "type")]
    pub kind: AttachmentSubjectType,
    pub id: Uuid,
}

impl From<AttachmentSubject> for AttachmentSubjectBody {
    fn from(subject: AttachmentSubject) -> Self {
        Self { kind: subject.kind(), id: subject.id() }
    }
}

impl From<AttachmentSubjectBody> for AttachmentSubject {
    fn from(body: AttachmentSubjectBody) -> Self {
        let AttachmentSubjectBody { kind, id } = body;
        Self::new(kind, id)
    }
}

/// A file on a record.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Attachment)]
pub struct AttachmentBody {
    pub id: AttachmentId,
    #[serde(flatten)]
    pub attachment: AttachmentInput,
    /// The file's name.
    #[schema(max_length = 255, example = "umowa-2026.pdf")]
    pub name: String,
    /// What the file is, by its content.
    #[schema(max_length = 120, example = "application/pdf")]
    pub media_type: String,
    #[schema(minimum = 0, example = 48213)]
    pub size_bytes: i64,
    /// SHA-256 of the file's content, in lower-case hexadecimal digits.
    #[schema(
        min_length = 64,
        max_length = 64,
        pattern = "^[0-9a-f]{64}$",
        example = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
    )]
    pub sha256: String,
    /// Whom the record is about. It changes with the record, as thread and caretaker do.
    pub customer_id: Option<CustomerId>,
    /// The matter that the record is in, or is.
    pub thread_id: Option<ThreadId>,
    /// Of a file on a task or an interaction: its caretaker.
    pub caretaker_id: Option<OperatorId>,
    /// The operator who put the file there; null where a script did.
    pub registered_by_id: Option<OperatorId>,
    /// Counts up with every change; `ETag` holds it too.
    #[schema(minimum = 1)]
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl From<Attached> for AttachmentBody {
    fn from((row, file): Attached) -> Self {
        let AttachedFile { name, media_type, sha256, size_bytes } = file;
        let attachment = AttachmentInput::of(&row);
        let Attachment {
            id,
            file_id: _,
            subject: _,
            of_customer_id,
            of_thread_id,
            of_caretaker_id,
            description: _,
            registered_by_id,
            version,
            created_at,
            updated_at,
        } = row;
        Self {
            id,
            attachment,
            name,
            media_type,
            size_bytes,
            sha256: hex(&sha256),
            customer_id: of_customer_id,
            thread_id: of_thread_id,
            caretaker_id: of_caretaker_id,
            registered_by_id,
            version,
            created_at,
            updated_at,
        }
    }
}

impl AttachmentInput {
    fn of(row: &Attachment) -> Self {
        Self { file_id: row.file_id, subject: row.subject.0.into(), description: row.description.clone() }
    }
}

impl Sorting for AttachmentSort {
    const WORDS: &'static [(&'static str, Self)] = &[("created_at", Self::CreatedAt)];
}

/// Which attachments.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AttachmentQuery {
    /// On this interaction itself, as with the other subjects.
    subject_interaction_id: Option<InteractionId>,
    subject_task_id: Option<TaskId>,
    subject_customer_id: Option<CustomerId>,
    subject_thread_id: Option<ThreadId>,
    subject_invoice_id: Option<InvoiceId>,
    file_id: Option<FileId>,
    /// On whatever record is about this customer, itself among them.
    customer_id: Option<CustomerId>,
    /// On whatever is in this thread, itself among them.
    thread_id: Option<ThreadId>,
    /// On tasks and interactions of which this operator is caretaker now.
    caretaker_id: Option<OperatorId>,
    /// Who put them there.
    registered_by_id: Option<OperatorId>,
    #[serde(rename = "created_at[gte]")]
    created_from: Option<DateTime<Utc>>,
    #[serde(rename = "created_at[lt]")]
    created_before: Option<DateTime<Utc>>,
}

impl From<AttachmentQuery> for AttachmentFilter {
    fn from(query: AttachmentQuery) -> Self {
        let subjects = [
            query.subject_interaction_id.map(AttachmentSubject::Interaction),
            query.subject_task_id.map(AttachmentSubject::Task),
            query.subject_customer_id.map(AttachmentSubject::Customer),
            query.subject_thread_id.map(AttachmentSubject::Thread),
            query.subject_invoice_id.map(AttachmentSubject::Invoice),
        ];
        Self {
            subjects: subjects.into_iter().flatten().collect(),
            file_id: query.file_id,
            customer_id: query.customer_id,
            thread_id: query.thread_id,
            caretaker_id: query.caretaker_id,
            registered_by_id: query.registered_by_id,
            created_from: query.created_from,
            created_before: query.created_before,
        }
    }
}

/// List attachments.
///
/// The newest first: those on records that the caller may read, which for interactions, tasks, customers and threads asks
/// for `crm:read`, and for invoices for `billing:read`. The rest there is not. With `caretaker_id` and a period they are
/// the `files` that the progress report counts.
#[utoipa::path(tag = "Attachments", security(("sign_in" = [])), params(AttachmentQuery, Listing<AttachmentSort>),
    responses((status = 200, body = PageBody<AttachmentBody>)))]
#[get("/attachments")]
async fn list_attachments(
    state: web::Data<State>,
    actor: Actor,
    filters: Filters<AttachmentQuery>,
    listing: Listing<AttachmentSort>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let reader = actor.reader();
    state
        .read(actor.own_scope(), move |tx| {
            let Page { items, next, total } = attachments::list(tx, reader, &filters.0.into(), &listing.page)?;
            let items = items.into_iter().map(AttachmentBody::from).collect();
            shape.page(tx, Page { items, next, total })
        })
        .await
}

/// Put a file on a record.
///
/// From then on whoever may read the record may read the file, and it is on the timelines of its customer and thread. An
/// invoice asks for `billing:write`, other records for `crm:write`. The caller must be able to read both: a file or record
/// that it may not see is none. A file is on a record once: again there is 409. A thread that was merged takes none.
#[utoipa::path(tag = "Attachments", security(("sign_in" = ["crm:write"]), ("sign_in" = ["billing:write"])), request_body = AttachmentInput,
    responses((status = 201, body = AttachmentBody)))]
#[post("/attachments")]
async fn create_attachment(
    state: web::Data<State>,
    actor: Actor,
    once: Once,
    input: Valid<AttachmentInput>,
) -> Result<Reply, ApiError> {
    let AttachmentInput { file_id, subject, description } = input.0;
    let subject = AttachmentSubject::from(subject);
    let area = subject.kind().area();
    let scope = actor.scope_of_any(WRITERS)?;
    let may_read_subject = actor.permissions.contains(area.read_permission());
    if may_read_subject && !actor.permissions.contains(area.write_permission()) {
        return Err(ApiError::scope_missing(area.write_permission()));
    }
    let reader = actor.reader();
    state
        .submit(scope, once, move |tx| {
            if !attachments::hold_subject(tx, subject)? || !may_read_subject {
                return Err(ApiError::reference_not_found("/subject/id"));
            }
            if let AttachmentSubject::Thread(id) = subject {
                check_takes(tx, Some(id))?;
            }
            match files::lock(tx, reader, file_id, None) {
                Err(StoreError::NotFound(_)) => return Err(ApiError::reference_not_found("/file_id")),
                other => other?,
            };
            let attached = attachments::create(tx, file_id, subject, description)?;
            let location = format!("/api/v1/attachments/{}", attached.0.id);
            Ok(Reply::created(&location, attached.0.version, &AttachmentBody::from(attached)))
        })
        .await
}

/// Show an attachment.
///
/// On an interaction, a task, a customer or a thread it is there for those with `crm:read`, on an invoice for those with
/// `billing:read`. It is always sent whole: what its record is about and its file's name change without it.
#[utoipa::path(tag = "Attachments", security(("sign_in" = [])), extensions(("x-derived" = json!(true))),
    responses((status = 200, body = AttachmentBody)))]
#[get("/attachments/{id}")]
async fn get_attachment(
    state: web::Data<State>,
    actor: Actor,
    id: Id<AttachmentId>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let reader = actor.reader();
    state
        .read(actor.own_scope(), move |tx| {
            let attached = attachments::find(tx, reader, id.0)?;
            shape.one(tx, attached.0.version, &AttachmentBody::from(attached))
        })
        .await
}

/// Change an attachment.
///
/// Its description. With `crm:write` who put the file there may, who registered the record, its caretaker, and those above
/// them; on an invoice everybody with `billing:write`.
#[utoipa::path(tag = "Attachments", security(("sign_in" = ["crm:write"]), ("sign_in" = ["billing:write"])), params(IfMatch),
    request_body(content = AttachmentInput, content_type = "application/merge-patch+json"),
    responses((status = 200, body = AttachmentBody)))]
#[patch("/attachments/{id}")]
async fn update_attachment(
    state: web::Data<State>,
    actor: Actor,
    id: Id<AttachmentId>,
    seen: IfMatch,
    patch: Patch<AttachmentInput>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope_of_any(WRITERS)?;
    state
        .transaction(scope, move |tx| {
            let attachment = lock(tx, &actor, id.0, seen)?;
            let before = AttachmentInput::of(&attachment);
            let AttachmentInput { file_id, subject, description } = patch.apply(&before)?;
            if file_id != before.file_id {
                return Err(ApiError::invalid_field("/file_id", "fixed", "Another file is another attachment"));
            }
            if subject != before.subject {
                return Err(ApiError::invalid_field("/subject", "fixed", "On another record it is another attachment"));
            }
            let attached = attachments::update(tx, &attachment, description)?;
            Ok(Reply::at_version(attached.0.version, &AttachmentBody::from(attached)))
        })
        .await
}

/// The attachments that a change may be of: whoever may change something is shown it as it then is.
fn keeper(actor: &Actor) -> Reader {
    let Reader { crm, billing } = actor.reader();
    let writes = |area: FileArea| actor.permissions.contains(area.write_permission());
    Reader { crm: crm || writes(FileArea::Crm), billing: billing || writes(FileArea::Billing) }
}

/// An attachment that is the caller's to change.
fn lock(tx: &mut Tx<'_>, actor: &Actor, id: AttachmentId, seen: IfMatch) -> Result<Attachment, ApiError> {
    let attachment = attachments::lock(tx, keeper(actor), id, seen.0)?;
    let subject = attachment.subject.0;
    let area = subject.kind().area();
    if !actor.permissions.contains(area.write_permission()) {
        return Err(ApiError::scope_missing(area.write_permission()));
    }
    if area == FileArea::Crm {
        let mut holders = holders(tx, subject)?;
        holders.extend(attachment.registered_by_id);
        actor.authority(tx)?.may_change(&holders).map_err(ApiError::forbidden)?;
    }
    Ok(attachment)
}

/// Whose work a record is: who may change what is on it, with those above them. An invoice is nobody's own.
fn holders(tx: &mut Tx<'_>, subject: AttachmentSubject) -> Result<Vec<OperatorId>, ApiError> {
    Ok(match subject {
        AttachmentSubject::Interaction(id) => interactions::find(tx, id)?.holders(),
        AttachmentSubject::Task(id) => tasks::find(tx, id)?.holders(),
        AttachmentSubject::Customer(id) => customers::find(tx, id)?.fields.caretaker_id.into_iter().collect(),
        AttachmentSubject::Thread(id) => threads::find(tx, id)?.holders(),
        AttachmentSubject::Invoice(_) => Vec::new(),
    })
}

/// Take a file off a record.
///
/// Who may change the attachment may. Where it was the last use of the file, the file itself goes with it, and what it
/// holds is removed from the store unless another file holds the same: upload it again to use it again. The same happens
/// when a task, an interaction or a thread is removed that files are on.
#[utoipa::path(tag = "Attachments", security(("sign_in" = ["crm:write"]), ("sign_in" = ["billing:write"])), params(IfMatch),
    responses((status = 204)))]
#[delete("/attachments/{id}")]
async fn delete_attachment(
    state: web::Data<State>,
    actor: Actor,
    id: Id<AttachmentId>,
    seen: IfMatch,
) -> Result<Reply, ApiError> {
    let scope = actor.scope_of_any(WRITERS)?;
    state
        .transaction(scope, move |tx| {
            let attachment = lock(tx, &actor, id.0, seen)?;
            attachments::delete(tx, &attachment)?;
            Ok(Reply::empty())
        })
        .await
}
