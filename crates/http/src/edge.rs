//! The outermost layer: names each request, counts and logs it, renders refusals, sets the headers of every answer.

use crate::context::{Asked, RequestContext};
use crate::problem::{ApiError, Code};
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage};
use opiekun_domain::language::Language;
use std::time::Instant;
use uuid::Uuid;

pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

const VARY: HeaderValue = HeaderValue::from_static("Accept, Accept-Language, Authorization, Origin, Accept-Encoding");
const PRIVATE: HeaderValue = HeaderValue::from_static("private, no-cache");
const NO_CONTENT_POLICY: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
/// Smaller answers cost more to compress than they save.
const COMPRESSED_BYTES_MIN: u64 = 1024;

/// The middleware around everything.
pub async fn edge(
    mut req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let started = Instant::now();
    let context = RequestContext { request_id: Uuid::now_v7(), language: language(req.headers()) };
    req.extensions_mut().insert(context);
    let method = req.method().clone();
    if method == Method::HEAD {
        // Answered as GET; the server leaves out the body of what was asked with HEAD.
        req.head_mut().method = Method::GET;
    }
    let path = told(req.path()).to_owned();
    let response = match next.call(req).await {
        Ok(response) => response.map_into_boxed_body(),
        // The request went with what was cut off: all that is left is to tell of it.
        Err(error) => return Err(cut_off(&error, &path, context)),
    };
    let mut response = render_problem(response, context);
    name_and_guard(response.headers_mut(), context);
    log(&response, &method, context, started);
    Ok(response)
}

/// Marks small answers so that the compression inside of this layer leaves them alone.
pub async fn spare_small_answers(
    req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let mut response = next.call(req).await?;
    if let BodySize::Sized(size) = response.response().body().size()
        && size < COMPRESSED_BYTES_MIN
    {
        response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("identity"));
    }
    Ok(response)
}

/// A refusal of ours, and one of the framework, gets its problem document here, where the request is known.
fn render_problem(response: ServiceResponse<BoxBody>, context: RequestContext) -> ServiceResponse<BoxBody> {
    let status = response.status();
    let ours = response.response().extensions().get::<ApiError>().cloned();
    let is_document = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/problem+json"));
    let error = match ours {
        Some(error) => error,
        None if (status.is_client_error() || status.is_server_error()) && !is_document => {
            ApiError::new(Code::of_status(status))
        }
        None => return response,
    };
    if let Some(cause) = &error.cause {
        tracing::error!(request_id = %context.request_id, code = error.code.as_str(), cause, "refused for a cause of ours");
    }
    let (req, before) = response.into_parts();
    let reply = error.render(context.language, told(req.path()), context.request_id);
    let mut after = reply.into_response();
    for (name, value) in before.headers() {
        if *name != header::CONTENT_TYPE && *name != header::CONTENT_ENCODING && !after.headers().contains_key(name) {
            after.headers_mut().append(name.clone(), value.clone());
        }
    }
    ServiceResponse::new(req, after)
}

/// The path as problems repeat it. That of a calendar feed or a survey's form is a secret, which goes to no screen and no
/// report of errors.
fn told(path: &str) -> &str {
    const FEEDS: &str = "/api/v1/calendar/feeds/";
    const FORMS: &str = "/api/v1/survey-forms/";
    match path.strip_prefix(FEEDS) {
        Some(rest) if Uuid::try_parse(rest).is_err() => "/api/v1/calendar/feeds/{secret}.ics",
        _ if path.starts_with(FORMS) => "/api/v1/survey-forms/{secret}",
        _ => path,
    }
}

/// The problem document of a refusal that came without its request.
fn cut_off(error: &Error, path: &str, context: RequestContext) -> Error {
    let problem = error.as_error::<ApiError>().cloned();
    let problem = problem.unwrap_or_else(|| ApiError::new(Code::of_status(error.as_response_error().status_code())));
    tracing::error!(request_id = %context.request_id, code = problem.code.as_str(), cause = problem.cause, "cut off");
    let reply = problem.render(context.language, path, context.request_id);
    let mut response = reply.into_response();
    name_and_guard(response.headers_mut(), context);
    InternalError::from_response(error.to_string(), response).into()
}

/// The headers of every answer.
fn name_and_guard(headers: &mut HeaderMap, context: RequestContext) {
    if headers.get(header::CONTENT_ENCODING).is_some_and(|value| value == "identity") {
        headers.remove(header::CONTENT_ENCODING);
    }
    if let Ok(id) = HeaderValue::from_str(&context.request_id.to_string()) {
        headers.insert(REQUEST_ID, id);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    headers.insert(header::VARY, VARY);
    for (name, value) in [(header::CONTENT_SECURITY_POLICY, NO_CONTENT_POLICY), (header::CACHE_CONTROL, PRIVATE)] {
        if !headers.contains_key(&name) {
            headers.insert(name, value);
        }
    }
}

fn log(response: &ServiceResponse<BoxBody>, method: &Method, context: RequestContext, started: Instant) {
    let req = response.request();
    let asked = Asked::of(req);
    let operation = asked.as_ref().map_or("none", |asked| asked.operation.id.as_str());
    let caller = asked.as_ref().and_then(|asked| asked.caller_id());
    let status = response.status();
    let elapsed = started.elapsed();
    let labels = [
        ("operation", operation.to_owned()),
        ("method", counted(method).to_owned()),
        ("status", status.as_str().to_owned()),
    ];
    metrics::counter!("http_requests_total", &labels).increment(1);
    metrics::histogram!("http_request_duration_seconds", "operation" => operation.to_owned()).record(elapsed);
    let client_request_id = plain(req.headers(), &REQUEST_ID, 64);
    let trace = plain(req.headers(), &HeaderName::from_static("traceparent"), 55);
    tracing::info!(
        request_id = %context.request_id,
        client_request_id,
        traceparent = trace,
        method = %method,
        operation,
        status = status.as_u16(),
        caller = caller.map(tracing::field::display),
        elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
        "answered"
    );
    if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS) {
        tracing::warn!(
            target: "security",
            request_id = %context.request_id,
            operation,
            status = status.as_u16(),
            caller = caller.map(tracing::field::display),
            "denied"
        );
    }
}

/// A method as figures count it: words that callers make up would each open a series of their own.
fn counted(method: &Method) -> &str {
    match *method {
        Method::GET | Method::HEAD | Method::POST | Method::PUT | Method::PATCH | Method::DELETE | Method::OPTIONS => {
            method.as_str()
        }
        _ => "other",
    }
}

/// A header that a caller made up, so far as it is short and plain.
fn plain<'a>(headers: &'a HeaderMap, name: &HeaderName, bytes_max: usize) -> Option<&'a str> {
    let value = headers.get(name)?.to_str().ok()?;
    let is_plain = value.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    (is_plain && value.len() <= bytes_max).then_some(value)
}

/// The language that the caller likes best of ours, by its primary word (RFC 4647, 3.4); English where it names none.
fn language(headers: &HeaderMap) -> Language {
    let mut best = (0.0, Language::English);
    let lines = headers.get_all(header::ACCEPT_LANGUAGE).filter_map(|value| value.to_str().ok());
    for range in lines.flat_map(|line| line.split(',')) {
        let (range, weight) = range.split_once(';').unwrap_or((range, "q=1"));
        let weight = weight.trim().to_ascii_lowercase().strip_prefix("q=").and_then(|weight| weight.parse().ok());
        let word = range.trim().split('-').next().unwrap_or_default().to_ascii_lowercase();
        if let (Some(weight), Ok(language)) = (weight, word.parse::<Language>())
            && weight > best.0
        {
            best = (weight, language);
        }
    }
    best.1
}
