//! An answer in full: status, headers and body, so that it can be sent, kept and sent again.

use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, Responder};
use serde::Serialize;
use std::collections::BTreeMap;

/// What a handler answers.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub body: Vec<u8>,
    /// What an idempotency key keeps in place of a body that holds a secret, which is shown once.
    pub kept: Option<Vec<u8>>,
}

impl Reply {
    /// An answer without content: 204.
    pub fn empty() -> Self {
        Self { status: StatusCode::NO_CONTENT, headers: Vec::new(), body: Vec::new(), kept: None }
    }

    pub fn json(status: StatusCode, body: &impl Serialize) -> Self {
        // Bodies are maps with text keys, which always serialize.
        let body = serde_json::to_vec(body).unwrap_or_default();
        Self { status, headers: Vec::new(), body, kept: None }
            .header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))
    }

    /// 200 with a body that has no version of its own: a report, a state, the result of an action.
    pub fn ok(body: &impl Serialize) -> Self {
        Self::json(StatusCode::OK, body)
    }

    /// 200 with a single resource at a version.
    pub fn at_version(version: i32, body: &impl Serialize) -> Self {
        Self::ok(body).header(header::ETAG, etag(version))
    }

    /// 201 with the whole new resource.
    pub fn created(location: &str, version: i32, body: &impl Serialize) -> Self {
        Self::json(StatusCode::CREATED, body).location(location).header(header::ETAG, etag(version))
    }

    /// 202: the work goes on, and this is where to look for its end.
    pub fn accepted(location: &str, body: &impl Serialize) -> Self {
        Self::json(StatusCode::ACCEPTED, body)
            .location(location)
            .header(header::RETRY_AFTER, HeaderValue::from_static("1"))
    }

    /// Sets a header, in place of one of that name.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.retain(|(other, _)| *other != name);
        self.headers.push((name, value));
        self
    }

    /// Keeps `body` for a repeat of the request, in place of the real one.
    pub fn kept_as(mut self, body: &impl Serialize) -> Self {
        self.kept = Some(serde_json::to_vec(body).unwrap_or_default());
        self
    }

    /// 304: the caller has this version.
    pub fn not_modified(version: i32) -> Self {
        Self { status: StatusCode::NOT_MODIFIED, ..Self::empty() }.header(header::ETAG, etag(version))
    }

    /// Answers that hold secrets are neither cached nor compressed.
    pub fn secret(self) -> Self {
        self.header(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))
            .header(header::CONTENT_ENCODING, HeaderValue::from_static("identity"))
    }

    /// The answer as it is sent.
    pub fn into_response(self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        for header in self.headers {
            response.insert_header(header);
        }
        response.body(self.body)
    }

    fn location(self, location: &str) -> Self {
        match HeaderValue::from_str(location) {
            Ok(location) => self.header(header::LOCATION, location),
            Err(_) => self,
        }
    }

    /// The headers as they are kept beside an idempotency key.
    pub(crate) fn header_map(&self) -> BTreeMap<String, String> {
        self.headers
            .iter()
            .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())))
            .collect()
    }
}

/// A strong entity tag: the version of the row.
pub fn etag(version: i32) -> HeaderValue {
    // Digits within quotes are always a valid header value.
    HeaderValue::from_str(&format!("\"{version}\"")).unwrap_or(HeaderValue::from_static("\"0\""))
}

impl Responder for Reply {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        self.into_response()
    }
}
