//! The gate: every request under `/api/v1` is held against the contract before its handler sees it.
//!
//! Which operation it is for, who asks and how often, what it accepts, its parameters, and its body with all that is
//! wrong with it: read from the published document, so that what is published is what is enforced.

use crate::actor::{Actor, authenticate};
use crate::context::{Asked, RequestContext};
use crate::contract::{FORM_OF_PARTS, Found, Operation, parameters_of};
use crate::limits::{Caller, Left};
use crate::once::{IDEMPOTENCY_KEY, key_of};
use crate::problem::{ApiError, Code};
use crate::state::State;
use crate::text;
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpRequest, HttpResponse, ResponseError, web};
use futures_util::StreamExt;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// JSON bodies; uploads have limits of their own.
const BODY_BYTES_MAX: usize = 1024 * 1024;
pub(crate) const JSON_DEPTH_MAX: usize = 32;
/// Of answers whose type only the record tells.
const ANY_TYPE: &str = "*/*";
const HEADER_BYTES_MAX: usize = 16 * 1024;
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// A little more than the longest `Prefer: wait` and the longest statement.
const HANDLER_TIMEOUT: Duration = Duration::from_secs(40);

/// The middleware around `/api/v1`.
pub async fn gate(
    mut req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let Some(state) = req.app_data::<web::Data<State>>().cloned() else {
        return Ok(refuse(req, &ApiError::internal("no state")));
    };
    let (operation, path_values) = match state.contract.find(req.method(), req.path()) {
        Found::Operation { operation, path_values } => (operation, path_values),
        Found::Nothing => {
            return Ok(counted(req, &state, |req| refuse(req, &ApiError::new(Code::NotFound))));
        }
        Found::OtherMethods(allowed) => return Ok(counted(req, &state, |req| other_method(req, &allowed))),
    };
    let mut left = None;
    match admit(&mut req, &state, &operation, path_values, &mut left).await {
        Ok(asked) => {
            req.extensions_mut().insert(Rc::new(asked));
        }
        Err(error) => return Ok(with_quota(refuse(req, &error), left)),
    }
    let response = if operation.parts.is_some() {
        // It takes as long as the upload does, which has limits of its own.
        next.call(req).await?.map_into_boxed_body()
    } else {
        match actix_web::rt::time::timeout(HANDLER_TIMEOUT, next.call(req)).await {
            Ok(response) => response?.map_into_boxed_body(),
            Err(_) => return Err(ApiError::unavailable("the handler took too long").into()),
        }
    };
    Ok(with_quota(response, left))
}

/// All that is known before the handler, in the order in which a caller should learn of its mistakes.
async fn admit(
    req: &mut ServiceRequest,
    state: &State,
    operation: &Arc<Operation>,
    path_values: Vec<(String, String)>,
    left: &mut Option<Left>,
) -> Result<Asked, ApiError> {
    let RequestContext { request_id, language } =
        req.extensions().get::<RequestContext>().copied().ok_or_else(|| ApiError::internal("no request context"))?;
    let address = req.peer_addr().map(|address| address.ip());
    let actor = who(req.headers(), state, operation, address, request_id, left).await?;
    let header_bytes: usize = req.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if header_bytes > HEADER_BYTES_MAX {
        return Err(ApiError::new(Code::MalformedRequest).detail("The headers exceed 16 KiB"));
    }
    acceptable(req.headers(), operation)?;
    let query = parameters_of(operation, &path_values, req.query_string(), req.headers())
        .map_err(ApiError::invalid_parameters)?;
    let required = operation.requires_header("Idempotency-Key");
    let idempotency_key = match required {
        Some(required) => key_of(req.headers().get(IDEMPOTENCY_KEY), required)?,
        None => None,
    };
    if let Some(required) = operation.requires_header("If-Match")
        && required
        && !req.headers().contains_key(header::IF_MATCH)
    {
        return Err(ApiError::new(Code::PreconditionRequired));
    }
    let (body, fingerprint) = read_body(req, operation).await?;
    Ok(Asked {
        request_id,
        language,
        instance: req.path().to_owned(),
        operation: Arc::clone(operation),
        path_values,
        query,
        actor,
        body,
        fingerprint,
        idempotency_key,
    })
}

/// Who asks, counted against their quota. Failed attempts count against the address they come from.
async fn who(
    headers: &HeaderMap,
    state: &State,
    operation: &Operation,
    address: Option<IpAddr>,
    request_id: uuid::Uuid,
    left: &mut Option<Left>,
) -> Result<Option<Actor>, ApiError> {
    let nobody = address.map(Caller::Address);
    if !operation.secured {
        *left = nobody.map(|caller| state.limits.count(&caller)).transpose()?;
        return Ok(None);
    }
    // A database that hangs must not keep callers waiting for good.
    let authenticated = actix_web::rt::time::timeout(HANDLER_TIMEOUT, authenticate(state, headers, request_id)).await;
    match authenticated.unwrap_or_else(|_| Err(ApiError::unavailable("signing in took too long"))) {
        Ok(actor) => {
            *left = Some(state.limits.count(&Caller::Known(actor.id()))?);
            Ok(Some(actor))
        }
        Err(error) => {
            *left = nobody.map(|caller| state.limits.count(&caller)).transpose()?;
            Err(error)
        }
    }
}

/// Whether one of the media types that the operation produces is asked for. Problems are sent whatever is asked for.
fn acceptable(headers: &HeaderMap, operation: &Operation) -> Result<(), ApiError> {
    // Several lines of one header are one list (RFC 9110, 5.3).
    let accept: Vec<&str> = headers.get_all(header::ACCEPT).filter_map(|value| value.to_str().ok()).collect();
    let accept = accept.join(",");
    if accept.is_empty()
        || operation.produces.is_empty()
        || operation.produces.iter().any(|produced| produced == ANY_TYPE || accepts(&accept, produced))
    {
        Ok(())
    } else {
        Err(ApiError::new(Code::NotAcceptable))
    }
}

/// Whether an `Accept` header takes a media type (RFC 9110, 12.5.1): a range with a weight above zero.
pub(crate) fn accepts(accept: &str, media_type: &str) -> bool {
    let kind = media_type.split('/').next().unwrap_or_default();
    accept.split(',').any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let refused = parts.any(|part| matches!(part, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"));
        !refused && (name.is_empty() || name == "*/*" || name == media_type || name == format!("{kind}/*"))
    })
}

/// Of the media types that an operation produces, in the order in which it prefers them, the one that `Accept` wants most:
/// by its weight, and of those that weigh the same, one that is named before one that a wildcard takes.
pub(crate) fn most_wanted<'t>(headers: &HeaderMap, produced: &[&'t str]) -> Option<&'t str> {
    let accept: Vec<&str> = headers.get_all(header::ACCEPT).filter_map(|value| value.to_str().ok()).collect();
    let accept = accept.join(",").to_ascii_lowercase();
    let ranges: Vec<(&str, u32)> = accept
        .split(',')
        .map(|range| {
            let mut parts = range.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default();
            (name, parts.find_map(|part| part.strip_prefix("q=")).map_or(1000, thousandths))
        })
        .collect();
    // The most special range that takes a type tells its weight (RFC 9110, 12.5.1).
    let wanted = |media_type: &str| {
        let kind = format!("{}/*", media_type.split('/').next().unwrap_or_default());
        [media_type, &kind, "*/*"].into_iter().zip([2, 1, 0]).find_map(|(name, special)| {
            ranges.iter().find(|(range, _)| *range == name).map(|(_, weight)| (*weight, special))
        })
    };
    let mut best: Option<(&str, (u32, u8))> = None;
    for media_type in produced {
        if let Some(wanted) = wanted(media_type)
            && wanted.0 > 0
            && best.is_none_or(|(_, best)| wanted > best)
        {
            best = Some((media_type, wanted));
        }
    }
    best.map(|(media_type, _)| media_type)
}

/// A weight, which is at most 1 with three places (RFC 9110, 12.4.2); what is none weighs nothing.
fn thousandths(weight: &str) -> u32 {
    let (whole, places) = weight.split_once('.').unwrap_or((weight, ""));
    format!("{whole}{places:0<3.3}").parse().map_or(0, |weight: u32| weight.min(1000))
}

async fn read_body(req: &mut ServiceRequest, operation: &Operation) -> Result<(Option<Value>, [u8; 32]), ApiError> {
    if operation.bodies.is_empty() && operation.parts.is_none() {
        return Ok((None, Sha256::digest([]).into()));
    }
    let media_type = req.content_type().trim().to_ascii_lowercase();
    let has_body = req.headers().get(header::CONTENT_LENGTH).is_some_and(|length| length != "0")
        || req.headers().contains_key(header::TRANSFER_ENCODING);
    if !has_body && !operation.body_required {
        return Ok((None, Sha256::digest([]).into()));
    }
    let is_encoded = req.headers().get(header::CONTENT_ENCODING).is_some_and(|coding| coding != "identity");
    let is_form_of_parts = operation.parts.is_some() && media_type == FORM_OF_PARTS;
    if is_encoded || !(is_form_of_parts || operation.bodies.contains_key(&media_type)) {
        return Err(unsupported(req.method(), operation));
    }
    if is_form_of_parts {
        // The handler reads it, and tells what the request was.
        return Ok((None, Sha256::digest([]).into()));
    }
    let bytes = match actix_web::rt::time::timeout(BODY_TIMEOUT, collect(req.take_payload())).await {
        Ok(bytes) => bytes?,
        Err(_) => return Err(ApiError::new(Code::MalformedRequest).detail("The body took longer than 30 seconds")),
    };
    let mut body: Value = if media_type == "application/x-www-form-urlencoded" {
        form(&bytes)?
    } else {
        serde_json::from_slice(&bytes)
            .map_err(|error| ApiError::new(Code::MalformedRequest).detail(json_fault(&error)))?
    };
    if depth(&body) > JSON_DEPTH_MAX {
        return Err(ApiError::new(Code::MalformedRequest).detail("The body is nested more than 32 levels deep"));
    }
    let mut wrong = Vec::new();
    text::normalise(&mut body, "", &mut wrong);
    wrong.extend(operation.violations(&media_type, &body));
    if !wrong.is_empty() {
        return Err(ApiError::invalid(wrong));
    }
    Ok((Some(body), Sha256::digest(&bytes).into()))
}

async fn collect(mut payload: Payload) -> Result<Vec<u8>, ApiError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| ApiError::new(Code::MalformedRequest).detail("The body broke off"))?;
        if bytes.len() + chunk.len() > BODY_BYTES_MAX {
            return Err(ApiError::new(Code::BodyTooLarge));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// A form as the object that its JSON twin would be.
fn form(bytes: &[u8]) -> Result<Value, ApiError> {
    let pairs: Vec<(String, String)> =
        serde_urlencoded::from_bytes(bytes).map_err(|_| ApiError::new(Code::MalformedRequest))?;
    // What OAuth clients send and this server does not need.
    let ours = pairs
        .into_iter()
        .filter(|(name, value)| !matches!(name.as_str(), "scope" | "client_id" | "client_secret") && !value.is_empty());
    Ok(Value::Object(ours.map(|(name, value)| (name, Value::String(value))).collect()))
}

pub(crate) fn json_fault(error: &serde_json::Error) -> String {
    format!("The body is not JSON: line {}, column {}", error.line(), error.column())
}

pub(crate) fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

fn unsupported(method: &Method, operation: &Operation) -> ApiError {
    let form = operation.parts.as_ref().map(|_| FORM_OF_PARTS);
    let types: Vec<&str> = operation.bodies.keys().map(String::as_str).chain(form).collect();
    let error = ApiError::new(Code::UnsupportedMediaType).detail(format!("Send {}", types.join(" or ")));
    let name = if *method == Method::PATCH { HeaderName::from_static("accept-patch") } else { header::ACCEPT };
    match HeaderValue::from_str(&types.join(", ")) {
        Ok(value) => error.header(name, value),
        Err(_) => error,
    }
}

/// The answer where there is no operation, so that nobody is asked who they are: it counts against the address.
fn counted(
    req: ServiceRequest,
    state: &State,
    answer: impl FnOnce(ServiceRequest) -> ServiceResponse<BoxBody>,
) -> ServiceResponse<BoxBody> {
    match req.peer_addr().map(|address| state.limits.count(&Caller::Address(address.ip()))).transpose() {
        Ok(left) => with_quota(answer(req), left),
        Err(error) => refuse(req, &error),
    }
}

/// OPTIONS tells the methods; any other method that the path lacks is refused with them.
fn other_method(req: ServiceRequest, allowed: &[&str]) -> ServiceResponse<BoxBody> {
    let Ok(allow) = HeaderValue::from_str(&allowed.join(", ")) else {
        return refuse(req, &ApiError::new(Code::MethodNotAllowed));
    };
    if req.method() == Method::OPTIONS {
        return req.into_response(HttpResponse::NoContent().insert_header((header::ALLOW, allow)).finish());
    }
    refuse(req, &ApiError::new(Code::MethodNotAllowed).header(header::ALLOW, allow))
}

/// What lies outside of the contract answers GET alone; any other path there is none.
pub async fn outside(req: HttpRequest) -> Result<HttpResponse, ApiError> {
    const ALLOW: HeaderValue = HeaderValue::from_static("GET, HEAD, OPTIONS");
    let is_known = matches!(req.path(), "/openapi.json" | "/metrics" | "/problems" | "/docs")
        || ["/health/", "/problems/", "/docs/"].iter().any(|room| req.path().starts_with(room));
    match *req.method() {
        Method::GET | Method::HEAD => Err(ApiError::new(Code::NotFound)),
        _ if !is_known => Err(ApiError::new(Code::NotFound)),
        Method::OPTIONS => Ok(HttpResponse::NoContent().insert_header((header::ALLOW, ALLOW)).finish()),
        _ => Err(ApiError::new(Code::MethodNotAllowed).header(header::ALLOW, ALLOW)),
    }
}

fn refuse(req: ServiceRequest, error: &ApiError) -> ServiceResponse<BoxBody> {
    req.into_response(error.error_response())
}

fn with_quota(mut response: ServiceResponse<BoxBody>, left: Option<Left>) -> ServiceResponse<BoxBody> {
    if let Some(left) = left {
        for (name, value) in left.headers() {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
