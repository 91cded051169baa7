//! Files: uploaded once, put on records, downloaded by those who may read one of them.

mod content;
mod receive;

use crate::actor::Actor;
use crate::body::Patch;
use crate::context::Asked;
use crate::listing::{Filters, Id, Listing, Sorting};
use crate::once::Once;
use crate::precondition::IfMatch;
use crate::problem::{ApiError, Wrong};
use crate::reply::Reply;
use crate::shape::{PageBody, Shape};
use crate::state::State;
use actix_web::{HttpRequest, delete, get, patch, post, web};
use chrono::{DateTime, Utc};
use opiekun_domain::ids::{ApiKeyId, FileId, OperatorId};
use opiekun_domain::permission::Permission;
use opiekun_files::NameFault;
use opiekun_persistence::files::{File, FileFields, FileFilter, FileSort, Reader};
use opiekun_persistence::{Page, Tx, files};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use validator::Validate;

pub(crate) use content::{FileContent, REPR_DIGEST, SANDBOX, digest, disposition, is_known};

/// Whoever may write anything that a file can be put on may send one.
const WRITERS: &[Permission] =
    &[Permission::CrmWrite, Permission::KnowledgeWrite, Permission::BillingWrite, Permission::AdminWrite];

pub fn routes(config: &mut ServiceConfig) {
    config
        .service(list_files)
        .service(create_file)
        .service(get_file)
        .service(update_file)
        .service(delete_file)
        .service(content::get_file_content);
}

/// What a caller may write of a file.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct FileInput {
    /// What people see and downloads are called. A name and no path; its ending says nothing of the content.
    #[schema(min_length = 1, max_length = 255, example = "Umowa 2026.pdf")]
    pub name: String,
}

/// An upload.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "read part by part; this is what the contract says of it")]
pub struct FileUpload {
    /// The content. The `Content-Type` of the part is not looked at.
    #[schema(value_type = String, format = Binary, example = "Notatka ze spotkania.")]
    file: Vec<u8>,
    /// The name, where it is not the one of the part's `filename`. At most 16 KiB.
    metadata: Option<FileInput>,
}

/// An uploaded file, without its bytes: those are under `/files/{id}/content`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = File)]
pub struct FileBody {
    pub id: FileId,
    #[serde(flatten)]
    pub file: FileInput,
    /// By its content, whatever the sender said.
    #[schema(max_length = 120, example = "application/pdf")]
    pub media_type: String,
    #[schema(minimum = 1, example = 48213)]
    pub size_bytes: i64,
    /// SHA-256 of the content, in hexadecimal digits.
    #[schema(pattern = "^[0-9a-f]{64}$", example = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")]
    pub sha256: String,
    /// The operator who sent it; null where a script did.
    pub registered_by_id: Option<OperatorId>,
    /// The API key of the script that sent it.
    pub registered_by_key_id: Option<ApiKeyId>,
    /// Counts up with every change; `ETag` holds it too.
    #[schema(minimum = 1)]
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl From<File> for FileBody {
    fn from(row: File) -> Self {
        let sha256 = row.sha256_hex();
        let File {
            id,
            object_id: _,
            name,
            media_type,
            sha256: _,
            size_bytes,
            registered_by_id,
            registered_by_key_id,
            uses: _,
            version,
            created_at,
            updated_at,
        } = row;
        let file = FileInput { name };
        Self {
            id,
            file,
            media_type,
            size_bytes,
            sha256,
            registered_by_id,
            registered_by_key_id,
            version,
            created_at,
            updated_at,
        }
    }
}

/// The bodies of those that exist, for expansion: whoever reads a record that names a file reads the file.
pub(crate) fn bodies(tx: &mut Tx<'_>, ids: &[FileId]) -> Result<Vec<Value>, ApiError> {
    let bodies = files::find_all(tx, Reader { crm: true, billing: true }, ids)?.into_iter().map(FileBody::from);
    bodies.map(|body| serde_json::to_value(body).map_err(ApiError::internal)).collect()
}

impl FileInput {
    /// Held to what makes a name one; a refusal points into the body, or the part of it, at `pointer`.
    fn fields(&self, pointer: &str) -> Result<FileFields, ApiError> {
        let name = opiekun_files::checked(&self.name).map_err(|fault| no_name(&format!("{pointer}/name"), fault))?;
        Ok(FileFields { name })
    }
}

/// The refusal of a name.
fn no_name(pointer: &str, fault: NameFault) -> ApiError {
    let code = match fault {
        NameFault::Empty => "minLength",
        NameFault::TooLong => "maxLength",
        NameFault::Unseen => "control_character",
        NameFault::Path => "path",
    };
    ApiError::invalid(vec![Wrong::field(pointer, code, crate::values::capitalised(&fault.to_string()))])
}

impl Sorting for FileSort {
    const WORDS: &'static [(&'static str, Self)] = &[("created_at", Self::CreatedAt)];
}

/// Which files.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct FileQuery {
    /// With this very content: 64 hexadecimal digits.
    #[param(pattern = "^[0-9a-f]{64}$")]
    sha256: Option<String>,
    /// Such as `application/pdf`.
    #[param(max_length = 120)]
    media_type: Option<String>,
    /// Who sent them.
    registered_by_id: Option<OperatorId>,
    #[serde(rename = "created_at[gte]")]
    created_from: Option<DateTime<Utc>>,
    #[serde(rename = "created_at[lt]")]
    created_before: Option<DateTime<Utc>>,
}

impl From<FileQuery> for FileFilter {
    fn from(query: FileQuery) -> Self {
        let FileQuery { sha256, media_type, registered_by_id, created_from, created_before } = query;
        // The gate has checked its form.
        Self { sha256: sha256.and_then(|it| bytes_of(&it)), media_type, registered_by_id, created_from, created_before }
    }
}

/// The bytes of 64 hexadecimal digits.
fn bytes_of(digits: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(digits.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(bytes)
}

/// List files.
///
/// The newest first. A file is there for whoever sent it, and for those who may read one of the records that it is on;
/// the list leaves out all others.
#[utoipa::path(tag = "Files", security(("sign_in" = [])), params(FileQuery, Listing<FileSort>),
    responses((status = 200, body = PageBody<FileBody>)))]
#[get("/files")]
async fn list_files(
    state: web::Data<State>,
    actor: Actor,
    filters: Filters<FileQuery>,
    listing: Listing<FileSort>,
    shape: Shape,
) -> Result<Reply, ApiError> {
    state
        .read(actor.own_scope(), move |tx| {
            let Page { items, next, total } = files::list(tx, actor.reader(), &filters.0.into(), &listing.page)?;
            let items = items.into_iter().map(FileBody::from).collect();
            shape.page(tx, Page { items, next, total })
        })
        .await
}

/// Upload a file.
///
/// As `multipart/form-data` with one part `file` and, if you like, a part `metadata` of JSON, in any order. The content is
/// received as it comes, so it may be large (256 MiB, unless the operator of the server has set another limit); 30
/// seconds without a byte end it, and so does less than 4 KiB a second over a minute.
///
/// What it is, is found out by the content: PDF, images (PNG, JPEG, GIF, WebP, TIFF, HEIC), office documents
/// (OOXML without macros, OpenDocument, RTF, the older ones of Office), letters (EML, MSG), text, CSV, Markdown, JSON, XML,
/// calendars and cards, signatures (P7M, P7S, ASiC), zip and 7z, and recordings (MP3, M4A, Ogg, WAV, AMR, MP4, QuickTime).
/// All else is refused with `media_type` at `/file`: programs, scripts, pages, pictures with scripts.
///
/// Equal content is stored once for the organization, and yet each upload is a file of its own. The file is yours alone
/// until it is put on a record; one that is on nothing 7 days after it came is removed. One of the scopes is enough.
#[utoipa::path(tag = "Files",
    security(("sign_in" = ["crm:write"]), ("sign_in" = ["knowledge:write"]), ("sign_in" = ["billing:write"]),
        ("sign_in" = ["admin:write"])),
    request_body(content = FileUpload, content_type = "multipart/form-data"),
    responses((status = 201, body = FileBody)))]
#[post("/files")]
async fn create_file(
    state: web::Data<State>,
    actor: Actor,
    once: Once,
    req: HttpRequest,
    payload: web::Payload,
) -> Result<Reply, ApiError> {
    let scope = actor.scope_of_any(WRITERS)?;
    let asked = Asked::of(&req).ok_or_else(|| ApiError::internal("a request that passed no gate"))?;
    let upload = receive::receive(&state, scope, &asked, req.headers(), payload.into_inner()).await?;
    let once = once.of_content(&[&upload.received.sha256[..], upload.fields.name.as_bytes()].concat());
    let (object_id, received, fields) = (upload.announced.id, upload.received, upload.fields);
    // Whether the content that has come in is the one that is kept.
    let is_ours = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&is_ours);
    let reply = state
        .submit(scope, once, move |tx| {
            let file = files::create(tx, object_id, &received, fields)?;
            told.store(file.object_id == object_id, Ordering::Relaxed);
            let location = format!("/api/v1/files/{}", file.id);
            Ok(Reply::created(&location, file.version, &FileBody::from(file)))
        })
        .await;
    if reply.is_ok() && is_ours.load(Ordering::Relaxed) {
        upload.announced.keep();
    } else {
        upload.announced.discard().await;
    }
    reply
}

/// Show a file.
///
/// Its name, type and size; the bytes are under `/files/{id}/content`.
#[utoipa::path(tag = "Files", security(("sign_in" = [])), extensions(("x-object-rights" = json!(true))),
    responses((status = 200, body = FileBody)))]
#[get("/files/{id}")]
async fn get_file(state: web::Data<State>, actor: Actor, id: Id<FileId>, shape: Shape) -> Result<Reply, ApiError> {
    state
        .read(actor.own_scope(), move |tx| {
            let file = files::find(tx, actor.reader(), id.0)?;
            shape.one(tx, file.version, &FileBody::from(file))
        })
        .await
}

/// Rename a file.
///
/// Whoever sent it may, and those above them; what a script sent, owners and scripts. The content never changes: send
/// another file for that.
#[utoipa::path(tag = "Files", params(IfMatch),
    security(("sign_in" = ["crm:write"]), ("sign_in" = ["knowledge:write"]), ("sign_in" = ["billing:write"]),
        ("sign_in" = ["admin:write"])),
    request_body(content = FileInput, content_type = "application/merge-patch+json"),
    responses((status = 200, body = FileBody)))]
#[patch("/files/{id}")]
async fn update_file(
    state: web::Data<State>,
    actor: Actor,
    id: Id<FileId>,
    seen: IfMatch,
    patch: Patch<FileInput>,
) -> Result<Reply, ApiError> {
    let scope = actor.scope_of_any(WRITERS)?;
    state
        .transaction(scope, move |tx| {
            let file = files::lock(tx, actor.reader(), id.0, seen.0)?;
            actor.authority(tx)?.may_change(&file.holders()).map_err(ApiError::forbidden)?;
            let fields = patch.apply(&FileInput { name: file.name.clone() })?.fields("")?;
            let file = files::update(tx, &file, fields)?;
            Ok(Reply::at_version(file.version, &FileBody::from(file)))
        })
        .await
}

/// Remove a file.
///
/// Whoever may rename it may. While it is on a record there is 409: take it off first. The content goes when no other
/// file of the organization has it.
#[utoipa::path(tag = "Files", params(IfMatch),
    security(("sign_in" = ["crm:write"]), ("sign_in" = ["knowledge:write"]), ("sign_in" = ["billing:write"]),
        ("sign_in" = ["admin:write"])),
    responses((status = 204)))]
#[delete("/files/{id}")]
async fn delete_file(state: web::Data<State>, actor: Actor, id: Id<FileId>, seen: IfMatch) -> Result<Reply, ApiError> {
    let scope = actor.scope_of_any(WRITERS)?;
    let discarded = state
        .transaction(scope, move |tx| {
            let file = files::lock(tx, actor.reader(), id.0, seen.0)?;
            actor.authority(tx)?.may_change(&file.holders()).map_err(ApiError::forbidden)?;
            Ok(files::delete(tx, &file)?)
        })
        .await?;
    if let Some(discarded) = discarded {
        receive::remove(&state, &discarded).await;
    }
    Ok(Reply::empty())
}
