//! Receiving an upload: a form of parts, of which one is a file of any size, written to the store as it comes.

use super::{FileInput, no_name};
use crate::context::Asked;
use crate::gate::{JSON_DEPTH_MAX, depth, json_fault};
use crate::problem::{ApiError, Code, Wrong};
use crate::state::{State, UploadLimits};
use crate::text;
use actix_multipart::{Field, Multipart, MultipartError};
use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::http::header::{self, HeaderMap};
use actix_web::rt::time::{sleep, timeout};
use actix_web::web;
use futures_util::{Stream, StreamExt, stream};
use opiekun_domain::ids::FileObjectId;
use opiekun_files::{Look, ObjectName, Refused, StoreFault, Writing};
use opiekun_persistence::Scope;
use opiekun_persistence::file_objects::{self, Discarded, Received};
use opiekun_persistence::files::FileFields;
use serde_json::Value;
use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

const METADATA_BYTES_MAX: usize = 16 * 1024;
/// What a form has around the file: its other part, headers, boundaries.
const AROUND_BYTES_MAX: u64 = 128 * 1024;
/// So often an upload says that it lives; the sweeper gives it up after ten minutes of silence.
const TOUCHED_EVERY: Duration = Duration::from_secs(30);
/// How long the rest of a refused body is held: longer than its answer takes.
const HELD: Duration = Duration::from_secs(5);
/// How long an upload waits for its turn, before its first byte is read.
const TURN_WITHIN: Duration = Duration::from_secs(30);

/// A file that has come in, whole, and is not yet anybody's.
pub(super) struct Upload {
    pub announced: Announced,
    pub received: Received,
    pub fields: FileFields,
}

/// Receives the form. Whatever is refused or breaks off leaves nothing.
pub(super) async fn receive(
    state: &web::Data<State>,
    scope: Scope,
    asked: &Asked,
    headers: &HeaderMap,
    payload: Payload,
) -> Result<Upload, ApiError> {
    let limits = state.uploads;
    let told = headers.get(header::CONTENT_LENGTH).and_then(|it| it.to_str().ok()?.parse::<u64>().ok());
    if told.is_some_and(|told| told > limits.file_bytes_max + AROUND_BYTES_MAX) {
        return Err(too_large(limits));
    }
    let _turn = match timeout(TURN_WITHIN, state.uploading.acquire()).await {
        Ok(Ok(turn)) => turn,
        _ => return Err(ApiError::unavailable("too many uploads at once")),
    };
    let fault = Rc::new(Cell::new(None));
    let mut form = Multipart::new(headers, paced(payload, limits, Rc::clone(&fault)).fuse());
    let mut parts = Parts { state, scope, asked, fault, metadata: None, file: None };
    match parts.read(&mut form).await {
        Ok(upload) => Ok(upload),
        Err(error) => {
            if let Some(File { announced, .. }) = parts.file {
                announced.discard().await;
            }
            // The rest of a body that is let go would be read to its end, which it may not have. While it is held, the
            // answer closes the connection.
            actix_web::rt::spawn(async move {
                sleep(HELD).await;
                drop(form);
            });
            Err(error)
        }
    }
}

/// The parts that have come so far.
struct Parts<'r> {
    state: &'r web::Data<State>,
    scope: Scope,
    asked: &'r Asked,
    fault: Rc<Cell<Option<Fault>>>,
    metadata: Option<FileInput>,
    file: Option<File>,
}

/// The part with the file.
struct File {
    announced: Announced,
    look: Look,
    writing: Writing,
    /// What the sender calls it.
    filename: Option<String>,
}

impl Parts<'_> {
    async fn read(&mut self, form: &mut Multipart) -> Result<Upload, ApiError> {
        while let Some(part) = form.next().await {
            let part = part.map_err(|error| self.broken(error))?;
            match part.name() {
                Some("file") if self.file.is_none() => self.read_file(part).await?,
                Some("metadata") if self.metadata.is_none() => self.metadata = Some(self.read_metadata(part).await?),
                // Of a name that the caller made up only so much is told as can be one of ours.
                Some("file" | "metadata") => {
                    let pointer = format!("/{}", part.name().unwrap_or_default());
                    return Err(ApiError::invalid_field(&pointer, "repeated", "May come once"));
                }
                _ => {
                    return Err(ApiError::invalid_field("", "unknown", "Has a part that is neither file nor metadata"));
                }
            }
        }
        self.end().await
    }

    async fn read_file(&mut self, mut part: Field) -> Result<(), ApiError> {
        let said = part.content_disposition();
        let extended =
            said.and_then(|it| it.get_filename_ext()).and_then(|it| String::from_utf8(it.value.clone()).ok());
        let filename = extended.or_else(|| said.and_then(|it| it.get_filename()).map(str::to_owned));
        let announced = Announced::new(self.state, self.scope).await?;
        let name = announced.name();
        let file = self.file.insert(File {
            writing: self.state.files.write(name),
            look: Look::default(),
            announced,
            filename,
        });
        let mut touched = Instant::now();
        while let Some(bytes) = part.next().await {
            let bytes = bytes.map_err(|error| broken(self.fault.take(), self.state.uploads, error))?;
            file.look.take(&bytes);
            if file.look.size_bytes() > self.state.uploads.file_bytes_max {
                return Err(too_large(self.state.uploads));
            }
            let begun = file.writing.write(&bytes).await.map_err(store_failed)?;
            if begun.is_some() || touched.elapsed() >= TOUCHED_EVERY {
                file.announced.touch(begun).await?;
                touched = Instant::now();
            }
        }
        Ok(())
    }

    async fn read_metadata(&self, mut part: Field) -> Result<FileInput, ApiError> {
        let mut bytes = Vec::new();
        while let Some(more) = part.next().await {
            let more = more.map_err(|error| self.broken(error))?;
            if bytes.len() + more.len() > METADATA_BYTES_MAX {
                return Err(ApiError::new(Code::BodyTooLarge).detail("The part metadata may have at most 16 KiB"));
            }
            bytes.extend_from_slice(&more);
        }
        let mut value: Value = serde_json::from_slice(&bytes)
            .map_err(|error| ApiError::new(Code::MalformedRequest).detail(json_fault(&error)))?;
        if depth(&value) > JSON_DEPTH_MAX {
            return Err(ApiError::new(Code::MalformedRequest).detail("The metadata are nested too deep"));
        }
        let mut wrong = Vec::new();
        text::normalise(&mut value, "", &mut wrong);
        wrong.extend(self.asked.operation.violations_of_part("metadata", &value));
        if !wrong.is_empty() {
            return Err(ApiError::invalid(wrong).within("/metadata"));
        }
        serde_json::from_value(value).map_err(|_| ApiError::invalid_field("/metadata", "value", "Is not as published"))
    }

    /// All parts have come: what they make up.
    async fn end(&mut self) -> Result<Upload, ApiError> {
        let Some(file) = self.file.take() else {
            return Err(ApiError::invalid_field("/file", "required", "Is required"));
        };
        let File { mut announced, look, writing, filename } = file;
        let received = self.whole(look, writing, filename, &mut announced).await;
        match received {
            Ok((received, fields)) => Ok(Upload { announced, received, fields }),
            Err(error) => {
                announced.discard().await;
                Err(error)
            }
        }
    }

    async fn whole(
        &self,
        look: Look,
        writing: Writing,
        filename: Option<String>,
        announced: &mut Announced,
    ) -> Result<(Received, FileFields), ApiError> {
        let fields = match (&self.metadata, filename) {
            (Some(metadata), _) => metadata.fields("/metadata")?,
            (None, Some(filename)) => {
                let name = opiekun_files::of_upload(&filename).map_err(|fault| no_name("/file", fault))?;
                FileFields { name }
            }
            (None, None) => {
                return Err(ApiError::invalid_field("/metadata/name", "required", "The file has no name of its own"));
            }
        };
        let content = look.end(&fields.name).map_err(|refused| {
            let code = match refused {
                Refused::Empty => "empty",
                Refused::Type => "media_type",
            };
            ApiError::invalid(vec![Wrong::field("/file", code, crate::values::capitalised(&refused.to_string()))])
        })?;
        let received = Received {
            media_type: content.media_type.to_owned(),
            sha256: content.sha256,
            size_bytes: i64::try_from(content.size_bytes).map_err(ApiError::internal)?,
        };
        announced.touch(None).await?;
        writing.finish().await.map_err(store_failed)?;
        Ok((received, fields))
    }

    fn broken(&self, error: MultipartError) -> ApiError {
        broken(self.fault.take(), self.state.uploads, error)
    }
}

/// An object that was announced. Dropped before it is settled, as when its caller hangs up, it is discarded.
pub(super) struct Announced {
    pub id: FileObjectId,
    state: web::Data<State>,
    scope: Scope,
    is_settled: bool,
}

impl Announced {
    async fn new(state: &web::Data<State>, scope: Scope) -> Result<Self, ApiError> {
        let id = state.transaction(scope, |tx| Ok(file_objects::announce(tx)?)).await?;
        Ok(Self { id, state: state.clone(), scope, is_settled: false })
    }

    fn name(&self) -> ObjectName {
        ObjectName { organization_id: self.scope.organization_id.0, object_id: self.id.0 }
    }

    async fn touch(&self, multipart_id: Option<String>) -> Result<(), ApiError> {
        let id = self.id;
        self.state.transaction(self.scope, move |tx| Ok(file_objects::touch(tx, id, multipart_id.as_deref())?)).await
    }

    /// It is some file's now.
    pub fn keep(mut self) {
        self.is_settled = true;
    }

    /// Removes it, at once if that can be.
    pub async fn discard(mut self) {
        self.is_settled = true;
        discard(&self.state, self.scope, self.id).await;
    }
}

impl Drop for Announced {
    fn drop(&mut self) {
        if !self.is_settled {
            let (state, scope, id) = (self.state.clone(), self.scope, self.id);
            actix_web::rt::spawn(async move { discard(&state, scope, id).await });
        }
    }
}

async fn discard(state: &State, scope: Scope, id: FileObjectId) {
    match state.transaction(scope, move |tx| Ok(file_objects::abandon(tx, id)?)).await {
        Ok(Some(discarded)) => remove(state, &discarded).await,
        Ok(None) => {}
        Err(error) => tracing::warn!(object = %id, cause = error.cause, "an upload is left to the sweeper"),
    }
}

/// Removes from the store what is discarded, and forgets it. What fails is left to the sweeper.
pub(super) async fn remove(state: &State, discarded: &Discarded) {
    let name = ObjectName { organization_id: discarded.organization_id.0, object_id: discarded.id.0 };
    let removed = state.files.remove(name, discarded.multipart_id.as_deref()).await;
    if let Err(error) = removed {
        tracing::warn!(object = %discarded.id, %error, "an object is left to the sweeper");
        return;
    }
    let gone = discarded.clone();
    if let Err(error) = state.lookup(move |db| file_objects::forget(db, &gone)).await {
        tracing::warn!(object = %discarded.id, cause = error.cause, "an object is left to the sweeper");
    }
}

/// Why a body was not read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    TooLarge,
    Silent,
    Slow,
}

/// The body as it comes, ended when it is too large, falls silent, or trickles.
fn paced(
    payload: Payload,
    limits: UploadLimits,
    fault: Rc<Cell<Option<Fault>>>,
) -> impl Stream<Item = Result<web::Bytes, PayloadError>> {
    struct Pace {
        payload: Payload,
        bytes: u64,
        /// Since when bytes are measured: only the time that we wait for the caller counts, not our own.
        waited: Duration,
        bytes_since: u64,
    }
    let pace = Pace { payload, bytes: 0, waited: Duration::ZERO, bytes_since: 0 };
    stream::unfold(pace, move |mut pace| {
        let fault = Rc::clone(&fault);
        async move {
            let ended = |pace, why| {
                fault.set(Some(why));
                Some((Err(PayloadError::Incomplete(None)), pace))
            };
            let asked = Instant::now();
            let bytes = match timeout(limits.silent_max, pace.payload.next()).await {
                Err(_) => return ended(pace, Fault::Silent),
                Ok(None) => return None,
                Ok(Some(Err(error))) => return Some((Err(error), pace)),
                Ok(Some(Ok(bytes))) => bytes,
            };
            let size = bytes.len() as u64;
            pace.bytes += size;
            if pace.bytes > limits.file_bytes_max + AROUND_BYTES_MAX {
                return ended(pace, Fault::TooLarge);
            }
            pace.waited += asked.elapsed();
            pace.bytes_since += size;
            if pace.waited >= limits.measured_over {
                if pace.bytes_since < limits.bytes_min {
                    return ended(pace, Fault::Slow);
                }
                (pace.waited, pace.bytes_since) = (Duration::ZERO, 0);
            }
            Some((Ok(bytes), pace))
        }
    })
}

fn broken(fault: Option<Fault>, limits: UploadLimits, error: MultipartError) -> ApiError {
    let malformed = |detail: &'static str| ApiError::new(Code::MalformedRequest).detail(detail);
    match (fault, error) {
        (Some(Fault::TooLarge), _) => too_large(limits),
        (Some(Fault::Silent), _) => malformed("Nothing came any more, and the upload was given up"),
        (Some(Fault::Slow), _) => malformed("The upload came too slowly and was given up"),
        (None, MultipartError::Payload(PayloadError::Overflow)) => malformed("The headers of a part are too large"),
        (None, MultipartError::Payload(_) | MultipartError::Incomplete) => malformed("The body broke off"),
        (None, _) => malformed("The body is no form of parts (RFC 7578) with the boundary that the header names"),
    }
}

fn too_large(limits: UploadLimits) -> ApiError {
    ApiError::new(Code::BodyTooLarge).detail(format!("A file may have at most {} MiB", limits.file_bytes_max >> 20))
}

pub(super) fn store_failed(error: StoreFault) -> ApiError {
    ApiError::unavailable(error)
}
