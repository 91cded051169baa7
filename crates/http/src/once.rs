//! `Idempotency-Key`: a POST that is repeated has one effect and one answer.

use crate::context::Asked;
use crate::problem::{ApiError, Code, Wrong};
use crate::reply::Reply;
use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{FromRequest, HttpRequest};
use opiekun_domain::language::Language;
use opiekun_persistence::{Json, idempotency};
use sha2::{Digest, Sha256};
use std::future::{Ready, ready};
use uuid::Uuid;

pub const IDEMPOTENCY_KEY: &str = "idempotency-key";
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// One POST and its key, if it came with one.
#[derive(Debug, Clone)]
pub struct Once {
    pub(crate) key: Option<idempotency::Key>,
    fingerprint: Vec<u8>,
    language: Language,
    instance: String,
    request_id: Uuid,
}

impl Once {
    /// The request as one of a caller that did not sign in.
    pub(crate) fn by(mut self, caller_id: Uuid) -> Self {
        self.key = self.key.map(|key| idempotency::Key { caller_id, ..key });
        self
    }

    /// The request told by what it came to rather than by the bytes of its body: of a form of parts, whose boundary
    /// differs each time.
    pub(crate) fn of_content(mut self, content: &impl AsRef<[u8]>) -> Self {
        self.fingerprint = Sha256::new().chain_update(content).chain_update(&self.instance).finalize().to_vec();
        self
    }

    pub(crate) fn in_progress() -> ApiError {
        ApiError::new(Code::IdempotencyInProgress).header(header::RETRY_AFTER, HeaderValue::from_static("1"))
    }

    /// The first answer again, if this is the first request again.
    pub(crate) fn replay(&self, answer: idempotency::Answer) -> Result<Reply, ApiError> {
        if answer.fingerprint != self.fingerprint {
            return Err(ApiError::new(Code::IdempotencyKeyReused));
        }
        let status = u16::try_from(answer.status).ok().and_then(|status| StatusCode::from_u16(status).ok());
        let mut reply = Reply { status: status.unwrap_or(StatusCode::OK), body: answer.body, ..Reply::empty() };
        for (name, value) in &answer.headers.0 {
            if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
                reply = reply.header(name, value);
            }
        }
        Ok(reply.header(REPLAYED, HeaderValue::from_static("true")))
    }

    pub(crate) fn render(&self, error: &ApiError) -> Reply {
        error.render(self.language, &self.instance, self.request_id)
    }

    /// What is kept of an answer.
    pub(crate) fn answer(&self, reply: &Reply) -> idempotency::Answer {
        idempotency::Answer {
            fingerprint: self.fingerprint.clone(),
            status: i16::try_from(reply.status.as_u16()).unwrap_or(200),
            headers: Json(reply.header_map()),
            body: reply.kept.as_ref().unwrap_or(&reply.body).clone(),
        }
    }
}

impl FromRequest for Once {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let Some(asked) = Asked::of(req) else {
            return ready(Err(ApiError::internal("a request that passed no gate")));
        };
        let key = asked.idempotency_key.clone().map(|key| idempotency::Key {
            caller_id: asked.caller_id().unwrap_or_default(),
            route: asked.operation.route.clone(),
            key,
        });
        ready(Ok(Self {
            key,
            fingerprint: fingerprint(&asked),
            language: asked.language,
            instance: asked.instance.clone(),
            request_id: asked.request_id,
        }))
    }
}

/// SHA-256 of what is asked: one key on two records of a route is two requests, though neither has a body.
fn fingerprint(asked: &Asked) -> Vec<u8> {
    Sha256::new().chain_update(asked.fingerprint).chain_update(&asked.instance).finalize().to_vec()
}

/// The key of a request, as the published parameter wants it.
pub(crate) fn key_of(value: Option<&HeaderValue>, required: bool) -> Result<Option<String>, ApiError> {
    let Some(value) = value else {
        return if required { Err(ApiError::new(Code::IdempotencyKeyMissing)) } else { Ok(None) };
    };
    let key = value.to_str().unwrap_or_default();
    if key.is_empty() || key.len() > 64 || !key.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        let wrong = Wrong::header("Idempotency-Key", "pattern", "1 to 64 printable ASCII characters");
        return Err(ApiError::invalid_parameters(vec![wrong]));
    }
    Ok(Some(key.to_owned()))
}
