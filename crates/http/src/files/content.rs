//! Downloads: the bytes of a file, whole or a range of them (RFC 9110, 14), never as something that a browser would run.

use crate::actor::Actor;
use crate::listing::Id;
use crate::problem::{ApiError, Code};
use crate::state::{State, UploadLimits};
use actix_web::body::SizedStream;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::web::{self, Bytes};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, get};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use futures_util::{Stream, stream};
use opiekun_domain::ids::FileId;
use opiekun_files::{FileStore, ObjectName, StoreFault, ascii_fallback};
use opiekun_persistence::files::{self, File};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::io;
use std::ops::Range;
use std::time::Instant;
use utoipa::{IntoParams, ToSchema};

/// A digest of the whole content, whatever part of it is sent (RFC 9530).
pub(crate) const REPR_DIGEST: HeaderName = HeaderName::from_static("repr-digest");

/// Whatever opens it in a browser runs nothing, loads nothing, and is of no origin.
pub(crate) const SANDBOX: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'; sandbox");

/// All but the characters of a value that stand for themselves (RFC 8187, `attr-char`).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

/// The bytes of a file.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "sent as they are; this is what the contract says of them")]
pub struct FileContent(Vec<u8>);

/// What part is wanted, and of what the caller has already.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "read from the headers; this is what the contract says of them")]
pub struct ContentHeaders {
    /// One range of bytes: `bytes=0-1023`, `bytes=1024-`, or `bytes=-1024` for the last ones. Of several ranges, or in
    /// another form, the whole is sent.
    #[param(rename = "Range", max_length = 400)]
    range: Option<String>,
    /// The `ETag` that the range is meant for: of another content the whole is sent.
    #[param(rename = "If-Range", max_length = 400)]
    if_range: Option<String>,
    /// The `ETag` that you have: 304 if it is still the content's.
    #[param(rename = "If-None-Match", min_length = 1, max_length = 400)]
    if_none_match: Option<String>,
}

/// Download a file.
///
/// The stored bytes, as an attachment of the type that was found by their content, and never to be run: with
/// `nosniff` and a sandbox. `ETag` and `Repr-Digest` are of the content, which never changes. The answer is never
/// compressed, so that a range of it can follow.
#[utoipa::path(tag = "Files", security(("sign_in" = [])), params(ContentHeaders),
    extensions(("x-object-rights" = json!(true))),
    responses((status = 200, description = "The whole content.", content_type = "*/*", body = FileContent),
        (status = 206, description = "The range that was asked for; `Content-Range` tells which.", content_type = "*/*",
            body = FileContent)))]
#[get("/files/{id}/content")]
pub(super) async fn get_file_content(
    state: web::Data<State>,
    actor: Actor,
    id: Id<FileId>,
    req: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let scope = actor.own_scope();
    let file = state.read(scope, move |tx| Ok(files::find(tx, actor.reader(), id.0)?)).await?;
    let size = u64::try_from(file.size_bytes).map_err(ApiError::internal)?;
    let tag = format!("\"{}\"", file.sha256_hex());
    let headers = req.headers();
    if headers.get(header::IF_NONE_MATCH).is_some_and(|tags| is_known(tags, &tag)) {
        return Ok(described(HttpResponse::NotModified(), &file, &tag).finish());
    }
    let (status, range) = match wanted(headers, &tag, size) {
        Wanted::Whole => (StatusCode::OK, 0..size),
        Wanted::Range(range) => (StatusCode::PARTIAL_CONTENT, range),
        Wanted::Nothing => {
            return Err(
                ApiError::new(Code::RangeInvalid).header(header::CONTENT_RANGE, value(format!("bytes */{size}")))
            );
        }
    };
    let object = ObjectName { organization_id: scope.organization_id.0, object_id: file.object_id.0 };
    // Read before anything is sent: what is not there is told, and never an empty answer.
    let first = state.files.read(object, range.clone()).await.map_err(|error| match error {
        StoreFault::Missing => ApiError::internal(format!("object {} of file {}: {error}", file.object_id, file.id)),
        StoreFault::Failed(_) => ApiError::unavailable(error),
    })?;
    let mut response = described(HttpResponse::build(status), &file, &tag);
    if status == StatusCode::PARTIAL_CONTENT {
        let told = format!("bytes {}-{}/{size}", range.start, range.end - 1);
        response.insert_header((header::CONTENT_RANGE, value(told)));
    }
    let length = range.end - range.start;
    let body = pieces(state.files.clone(), object, range, first, state.uploads);
    Ok(response.body(SizedStream::new(length, body)))
}

/// An answer with all that is told of the content.
fn described(mut response: HttpResponseBuilder, file: &File, tag: &str) -> HttpResponseBuilder {
    response
        .insert_header((header::CONTENT_TYPE, value(file.media_type.clone())))
        .insert_header((header::CONTENT_DISPOSITION, disposition(&file.name)))
        .insert_header((header::CONTENT_SECURITY_POLICY, SANDBOX))
        .insert_header((header::ETAG, value(tag.to_owned())))
        .insert_header((REPR_DIGEST, digest(&file.sha256)))
        .insert_header((header::ACCEPT_RANGES, HeaderValue::from_static("bytes")))
        .insert_header((header::LAST_MODIFIED, header::HttpDate::from(std::time::SystemTime::from(file.created_at))))
        // Left alone by the compression around.
        .insert_header((header::CONTENT_ENCODING, HeaderValue::from_static("identity")));
    response
}

/// To be kept under a name, and not to be shown.
pub(crate) fn disposition(name: &str) -> HeaderValue {
    let (ascii, encoded) = (ascii_fallback(name), utf8_percent_encode(name, ENCODED));
    value(format!("attachment; filename=\"{ascii}\"; filename*=UTF-8''{encoded}"))
}

/// A SHA-256 as `Repr-Digest` tells it.
pub(crate) fn digest(sha256: &[u8]) -> HeaderValue {
    value(format!("sha-256=:{}:", BASE64_STANDARD.encode(sha256)))
}

/// Everything that goes in is ASCII without controls.
fn value(text: String) -> HeaderValue {
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
}

/// The content from the first piece on, each read when the one before is taken.
fn pieces(
    files: FileStore,
    object: ObjectName,
    range: Range<u64>,
    first: Bytes,
    limits: UploadLimits,
) -> impl Stream<Item = io::Result<Bytes>> {
    struct Reading {
        next: Option<Bytes>,
        at: u64,
        since: Instant,
        bytes_since: u64,
    }
    let reading = Reading { next: Some(first), at: range.start, since: Instant::now(), bytes_since: 0 };
    stream::unfold(reading, move |mut reading| {
        let files = files.clone();
        let end = range.end;
        async move {
            let broken = |error: String| {
                tracing::error!(object = %object.object_id, error, "a download broke off");
                io::Error::other(error)
            };
            let elapsed = reading.since.elapsed();
            if elapsed >= limits.measured_over {
                // Of so long a time as has gone, as much has to be taken as of the time over which it is measured.
                let least =
                    u128::from(limits.bytes_min) * elapsed.as_millis() / limits.measured_over.as_millis().max(1);
                if u128::from(reading.bytes_since) < least {
                    reading.at = end;
                    return Some((Err(broken("its reader takes too little".to_owned())), reading));
                }
                (reading.since, reading.bytes_since) = (Instant::now(), 0);
            }
            let piece = match reading.next.take() {
                Some(piece) => Ok(piece),
                None if reading.at >= end => return None,
                None => files.read(object, reading.at..end).await,
            };
            match piece {
                Ok(piece) => {
                    reading.at += piece.len() as u64;
                    reading.bytes_since += piece.len() as u64;
                    Some((Ok(piece), reading))
                }
                Err(error) => {
                    reading.at = end;
                    Some((Err(broken(error.to_string())), reading))
                }
            }
        }
    })
}

/// Whether an `If-None-Match` holds the tag: weakly, as it is for reads (RFC 9110, 13.1.2).
pub(crate) fn is_known(tags: &HeaderValue, tag: &str) -> bool {
    tags.to_str()
        .is_ok_and(|tags| tags == "*" || tags.split(',').any(|known| known.trim().trim_start_matches("W/") == tag))
}

/// What is to be sent.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    Whole,
    Range(Range<u64>),
    /// The range is beyond the content.
    Nothing,
}

/// The one range that is asked for. What is not understood is as good as not said (RFC 9110, 14.2).
fn wanted(headers: &HeaderMap, tag: &str, size: u64) -> Wanted {
    let Some(asked) = headers.get(header::RANGE).and_then(|range| range.to_str().ok()) else { return Wanted::Whole };
    // Only the very same content can be gone on with (RFC 9110, 13.1.5).
    if headers.get(header::IF_RANGE).is_some_and(|known| known.as_bytes() != tag.as_bytes()) {
        return Wanted::Whole;
    }
    let range = asked.split_once('=').filter(|(unit, _)| unit.trim().eq_ignore_ascii_case("bytes"));
    let Some((first, last)) = range.and_then(|(_, range)| range.trim().split_once('-')) else { return Wanted::Whole };
    let number = |text: &str| -> Option<u64> {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // What is too large to be told is past every end.
        is_number.then(|| text.parse().unwrap_or(u64::MAX))
    };
    match (first, number(first), last, number(last)) {
        ("", _, _, Some(0)) => Wanted::Nothing,
        ("", _, _, Some(length)) => Wanted::Range(size.saturating_sub(length)..size),
        (_, Some(first), "", _) if first < size => Wanted::Range(first..size),
        (_, Some(first), _, Some(last)) if first <= last && first < size => {
            Wanted::Range(first..last.saturating_add(1).min(size))
        }
        (_, Some(_), "", _) => Wanted::Nothing,
        (_, Some(first), _, Some(last)) if first <= last => Wanted::Nothing,
        _ => Wanted::Whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_one_of_the_content() {
        let asked = |range: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::RANGE, HeaderValue::from_static(range));
            wanted(&headers, "\"x\"", 10)
        };
        for (range, part) in [
            ("bytes=0-0", 0..1),
            ("bytes=0-", 0..10),
            ("bytes=3-5", 3..6),
            ("Bytes=3-5", 3..6),
            ("bytes=9-99999999999999999999999999", 9..10),
            ("bytes=-3", 7..10),
            ("bytes=-30", 0..10),
        ] {
            assert_eq!(asked(range), Wanted::Range(part), "{range}");
        }
        for range in ["bytes=10-", "bytes=10-20", "bytes=-0", "bytes=99999999999999999999999-"] {
            assert_eq!(asked(range), Wanted::Nothing, "{range}");
        }
        for range in
            ["bytes=5-3", "bytes=a-b", "bytes=-", "bytes=1", "items=0-1", "bytes=0-1,3-4", "bytes 0-1", "bytes=+1-2"]
        {
            assert_eq!(asked(range), Wanted::Whole, "{range}");
        }
    }
}
