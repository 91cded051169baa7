//! Refusals: one table of codes, one shape for every error (RFC 9457), in English or Polish.
//!
//! The table makes the answers, the problem responses of the OpenAPI document and the pages at `/problems/{code}`.

use crate::reply::Reply;
use crate::values::capitalised;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpResponse, ResponseError};
use opiekun_domain::language::Language;
use opiekun_domain::permission::Permission;
use opiekun_persistence::{StoreError, Violation};
use opiekun_rendering::DocumentError;
use serde::Serialize;
use serde_json::Value;
use std::borrow::Cow;
use std::fmt;
use utoipa::ToSchema;
use uuid::Uuid;

macro_rules! codes {
    ($($variant:ident = $word:literal, $status:literal, $en:literal, $pl:literal, $meaning:literal, $cure:literal;)+) => {
        /// The stable name of a kind of refusal.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code { $($variant),+ }

        impl Code {
            /// Every code, in the order of its status.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            pub const fn status(self) -> u16 {
                match self { $(Self::$variant => $status),+ }
            }

            /// The title, which is the same for every refusal with this code.
            pub const fn title(self, language: Language) -> &'static str {
                match (self, language) {
                    $((Self::$variant, Language::English) => $en, (Self::$variant, Language::Polish) => $pl,)+
                }
            }

            /// What it means that this code was answered.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning),+ }
            }

            /// What the caller does about it.
            pub const fn cure(self) -> &'static str {
                match self { $(Self::$variant => $cure),+ }
            }
        }
    };
}

codes! {
    MalformedRequest = "malformed_request", 400, "The request cannot be read", "Nie można odczytać żądania",
        "The body is not JSON, is nested too deeply or breaks off, or a header is malformed.",
        "Send UTF-8 JSON, at most 32 levels deep, and headers as the operation documents them.";
    ParameterInvalid = "parameter_invalid", 400, "A parameter is not valid", "Niepoprawny parametr",
        "A path, query or header parameter is unknown, repeated or outside its published bounds.",
        "`errors` names each parameter and what it must be. Unknown query names are refused, so that a typing error does not silently widen a list.";
    CursorInvalid = "cursor_invalid", 400, "The cursor is not valid", "Niepoprawny kursor",
        "The cursor was made for another list, filter or order, or was changed.",
        "Start again without `cursor`, and keep filters and order the same while following pages.";
    IdempotencyKeyMissing = "idempotency_key_missing", 400, "An Idempotency-Key is required", "Wymagany nagłówek Idempotency-Key",
        "Repeating this operation by accident would double money.",
        "Send an `Idempotency-Key` of your own making, and the same one when you repeat the call.";
    Unauthenticated = "unauthenticated", 401, "Sign in first", "Wymagane zalogowanie",
        "No token or key came with the request, or it is not valid (any more).",
        "Get a token from `POST /api/v1/auth/token`, or send an API key.";
    TokenExpired = "token_expired", 401, "The token has expired", "Token wygasł",
        "Access tokens live 15 minutes.",
        "Use the refresh token at `POST /api/v1/auth/token`.";
    ScopeMissing = "scope_missing", 403, "The caller lacks a scope", "Brak uprawnienia",
        "The operator's role, or the key's scopes, do not include what the operation requires.",
        "`scope` names what is missing. An owner can grant it.";
    Forbidden = "forbidden", 403, "Not yours to change", "Brak prawa do tej zmiany",
        "The scope is there, but this record is held by somebody whose work the caller may not change.",
        "Ask its caretaker, or somebody above the caretaker in the supervisor tree.";
    NotFound = "not_found", 404, "Not found", "Nie znaleziono",
        "There is no such path, or no such record in the caller's organization. Another organization's record is no different.",
        "Check the id and the path.";
    MethodNotAllowed = "method_not_allowed", 405, "Method not allowed", "Niedozwolona metoda",
        "The path exists, but not with this method.",
        "`Allow` lists the methods.";
    NotAcceptable = "not_acceptable", 406, "No such representation", "Brak takiej reprezentacji",
        "`Accept` asks for a media type that the operation cannot produce.",
        "Ask for one of the media types that the operation documents.";
    Conflict = "conflict", 409, "The change conflicts", "Konflikt zmian",
        "The change contradicts what the system holds now.",
        "Read the record again and decide anew.";
    Duplicate = "duplicate", 409, "Already taken", "Wartość już zajęta",
        "Another record has the same value in a field that is unique.",
        "`errors` names the field.";
    StateInvalid = "state_invalid", 409, "Not in this state", "Niedozwolone w tym stanie",
        "The record's state does not allow this.",
        "`state` tells the state. Read the record again.";
    IdempotencyInProgress = "idempotency_in_progress", 409, "The first call is still running", "Pierwsze wywołanie jeszcze trwa",
        "Another request with the same Idempotency-Key has not ended.",
        "Wait as `Retry-After` says and repeat the same request.";
    Gone = "gone", 410, "Gone for good", "Usunięte na stałe",
        "It existed and was removed on purpose.",
        "Stop asking for it.";
    PreconditionFailed = "precondition_failed", 412, "Changed meanwhile", "Zasób zmieniono w międzyczasie",
        "The record is not at the version of `If-Match` any more (or, with `If-None-Match: *`, exists).",
        "Read it again; `current_etag` is its version now.";
    BodyTooLarge = "body_too_large", 413, "The body is too large", "Treść jest za duża",
        "JSON bodies are limited to 1 MiB, and files to what the operator of the server has set.",
        "Send less, in several requests.";
    UnsupportedMediaType = "unsupported_media_type", 415, "Body type not supported", "Nieobsługiwany typ treści",
        "The operation does not read bodies of this `Content-Type`.",
        "Send one of the documented types. PATCH takes `application/merge-patch+json`.";
    RangeInvalid = "range_invalid", 416, "Range outside the content", "Zakres poza treścią",
        "The requested byte range does not exist.",
        "Ask for a range within the size that `Content-Range` tells.";
    ValidationFailed = "validation_failed", 422, "The request is not valid", "Żądanie jest niepoprawne",
        "The body was read, and one or more of its fields break the published schema or a rule.",
        "`errors` lists every violation with a JSON Pointer into the body.";
    ReferenceNotFound = "reference_not_found", 422, "A reference leads nowhere", "Odwołanie do nieistniejącego rekordu",
        "The body names a record that does not exist in the caller's organization.",
        "`errors` names the field. Use the id of an existing record.";
    IdempotencyKeyReused = "idempotency_key_reused", 422, "The Idempotency-Key was used for something else", "Klucz Idempotency-Key użyty do innego żądania",
        "The same key came with another body within 24 hours.",
        "Make a new key for a new request.";
    PreconditionRequired = "precondition_required", 428, "If-Match is required", "Wymagany nagłówek If-Match",
        "Changes of existing records must say which version they change, so that nobody's work is overwritten unseen.",
        "Read the record and send its `ETag` as `If-Match`.";
    RateLimited = "rate_limited", 429, "Too many requests", "Za dużo żądań",
        "The caller's quota for this minute is used up.",
        "Wait as `Retry-After` says. `RateLimit` shows what is left on every answer.";
    Internal = "internal", 500, "Something went wrong on our side", "Błąd po naszej stronie",
        "A fault of the server. Nothing was changed.",
        "Repeat later; if it stays, tell the operator of the server the `request_id`.";
    Unavailable = "unavailable", 503, "Temporarily unavailable", "Chwilowo niedostępne",
        "The database or the file store does not answer, a statement took too long, or the server is stopping. Nothing was changed.",
        "Repeat the same request after `Retry-After` seconds.";
}

impl Code {
    pub fn http_status(self) -> StatusCode {
        StatusCode::from_u16(self.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The code of an error that the framework answered without one.
    pub fn of_status(status: StatusCode) -> Self {
        let code = Self::ALL.iter().find(|code| code.status() == status.as_u16());
        match code {
            Some(code) => *code,
            None if status.is_client_error() => Self::MalformedRequest,
            None => Self::Internal,
        }
    }
}

/// Where in the request something is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// A JSON Pointer (RFC 6901) into the body.
    Pointer(String),
    /// A path or query parameter.
    Parameter(String),
    /// A header.
    Header(String),
}

/// One thing that is wrong with the request.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Wrong {
    #[serde(flatten)]
    pub place: Place,
    /// The keyword of the schema, or the rule, that is broken.
    pub code: Cow<'static, str>,
    pub detail: Cow<'static, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub params: Option<Value>,
}

impl Wrong {
    pub fn field(
        pointer: impl Into<String>,
        code: impl Into<Cow<'static, str>>,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { place: Place::Pointer(pointer.into()), code: code.into(), detail: detail.into(), params: None }
    }

    pub fn parameter(
        name: impl Into<String>,
        code: impl Into<Cow<'static, str>>,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { place: Place::Parameter(name.into()), code: code.into(), detail: detail.into(), params: None }
    }

    pub fn header(
        name: impl Into<String>,
        code: impl Into<Cow<'static, str>>,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { place: Place::Header(name.into()), code: code.into(), detail: detail.into(), params: None }
    }
}

/// A refusal on its way to the caller.
#[derive(Debug, Clone)]
pub struct ApiError {
    pub code: Code,
    /// For people, in English; a sentence that names no value, SQL or path.
    pub detail: Option<Cow<'static, str>>,
    pub errors: Vec<Wrong>,
    /// Members beyond the common ones: `scope`, `state`, `current_etag`.
    pub extra: Vec<(&'static str, Value)>,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// What only the log is told.
    pub cause: Option<String>,
}

/// So many violations are told; whoever sends more has to send again. Published as `maxItems`.
const ERRORS_MAX: usize = 1000;

impl ApiError {
    pub const fn new(code: Code) -> Self {
        Self { code, detail: None, errors: Vec::new(), extra: Vec::new(), headers: Vec::new(), cause: None }
    }

    pub fn detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    pub fn extra(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.extra.push((name, value.into()));
        self
    }

    pub fn header(mut self, name: HeaderName, value: impl Into<HeaderValue>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The refusal of a part of the body, told as one of the whole.
    pub fn within(mut self, pointer: &str) -> Self {
        for wrong in &mut self.errors {
            if let Place::Pointer(place) = &mut wrong.place {
                place.insert_str(0, pointer);
            }
        }
        self
    }

    pub fn not_found(what: &'static str) -> Self {
        Self::new(Code::NotFound).detail(format!("No such {what}"))
    }

    /// Fields of the body that break the schema or a rule.
    pub fn invalid(errors: Vec<Wrong>) -> Self {
        let detail = match errors.len() {
            1 => "1 field needs attention".to_owned(),
            n => format!("{n} fields need attention"),
        };
        Self { errors, ..Self::new(Code::ValidationFailed).detail(detail) }
    }

    /// One field of the body that breaks a rule.
    pub fn invalid_field(pointer: &str, code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::invalid(vec![Wrong::field(pointer, code, detail)])
    }

    /// A field of the body that names a record which is not there.
    pub fn reference_not_found(pointer: impl Into<String>) -> Self {
        let wrong = Wrong::field(pointer, "reference_not_found", "No such record");
        Self { errors: vec![wrong], ..Self::new(Code::ReferenceNotFound) }
    }

    pub fn invalid_parameters(errors: Vec<Wrong>) -> Self {
        Self { errors, ..Self::new(Code::ParameterInvalid) }
    }

    pub fn unauthenticated() -> Self {
        Self::new(Code::Unauthenticated)
            .header(header::WWW_AUTHENTICATE, HeaderValue::from_static(r#"Bearer realm="opiekun""#))
    }

    pub fn scope_missing(permission: Permission) -> Self {
        Self::new(Code::ScopeMissing)
            .detail(format!("The scope {permission} is required"))
            .extra("scope", permission.as_str())
    }

    /// None of the scopes is there of which one is enough.
    pub fn scopes_missing(permissions: &[Permission]) -> Self {
        let words: Vec<&str> = permissions.iter().map(|permission| permission.as_str()).collect();
        Self::new(Code::ScopeMissing)
            .detail(format!("One of the scopes {} is required", words.join(", ")))
            .extra("scope", words.join(" "))
    }

    pub fn forbidden(detail: impl fmt::Display) -> Self {
        Self::new(Code::Forbidden).detail(detail.to_string())
    }

    /// The record's state does not allow this.
    pub fn state_invalid(state: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::StateInvalid).detail(detail).extra("state", state)
    }

    pub fn internal(cause: impl fmt::Display) -> Self {
        Self { cause: Some(cause.to_string()), ..Self::new(Code::Internal) }
    }

    pub fn unavailable(cause: impl fmt::Display) -> Self {
        Self { cause: Some(cause.to_string()), ..Self::new(Code::Unavailable) }
            .header(header::RETRY_AFTER, HeaderValue::from_static("1"))
    }

    /// The problem document, told in the caller's language.
    pub fn render(&self, language: Language, instance: &str, request_id: Uuid) -> Reply {
        let mut body = serde_json::Map::new();
        body.insert("type".into(), format!("/problems/{}", self.code.as_str()).into());
        body.insert("title".into(), self.code.title(language).into());
        body.insert("status".into(), self.code.status().into());
        body.insert("code".into(), self.code.as_str().into());
        // Details are written in English; in another language the title, which is translated, says what is known.
        let detail = match language {
            Language::English => self.detail.as_deref().unwrap_or(self.code.meaning()),
            Language::Polish => self.code.title(Language::Polish),
        };
        body.insert("detail".into(), detail.into());
        body.insert("instance".into(), instance.into());
        body.insert("request_id".into(), request_id.to_string().into());
        if !self.errors.is_empty() {
            let told = &self.errors[..self.errors.len().min(ERRORS_MAX)];
            body.insert("errors".into(), serde_json::to_value(told).unwrap_or_default());
        }
        for (name, value) in &self.extra {
            body.insert((*name).into(), value.clone());
        }
        let mut reply = Reply::json(self.code.http_status(), &Value::Object(body))
            .header(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"))
            .header(header::CONTENT_LANGUAGE, HeaderValue::from_static(language.as_str()))
            .header(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        for (name, value) in &self.headers {
            reply = reply.header(name.clone(), value.clone());
        }
        reply
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code.as_str())
    }
}

/// The edge renders what stands in the response's extensions, since only there the request is known.
impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.code.http_status()
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::new(self.status_code());
        response.extensions_mut().insert(self.clone());
        response
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound(what) => Self::not_found(what),
            StoreError::Stale { current } => {
                Self::new(Code::PreconditionFailed).extra("current_etag", format!("\"{current}\""))
            }
            StoreError::InUse { .. } => Self::new(Code::Conflict).detail("Other records still refer to it"),
            StoreError::Cursor => Self::new(Code::CursorInvalid),
            StoreError::Unavailable(cause) => Self::unavailable(cause),
            StoreError::Refused { violation, constraint, field } => refused(violation, &constraint, field),
            StoreError::Database(error) => Self::internal(error),
        }
    }
}

impl From<DocumentError> for ApiError {
    fn from(error: DocumentError) -> Self {
        match error {
            DocumentError::Store(error) => error.into(),
            DocumentError::NotOfState { state, detail } => Self::state_invalid(state, capitalised(&detail)),
            DocumentError::Internal(cause) => Self::internal(cause),
        }
    }
}

/// A constraint's name tells the field: `customers_external_id_key` is `/external_id` of a customer.
fn refused(violation: Violation, constraint: &str, field: Option<String>) -> ApiError {
    let (code, word, detail) = match violation {
        Violation::Unique => (Code::Duplicate, "duplicate", "Another record has this value"),
        Violation::Reference => (Code::ReferenceNotFound, "reference_not_found", "No such record"),
        Violation::Check => return refused_by_check(constraint),
        Violation::Restrict if constraint == "month_locks_refusal" => {
            return ApiError::state_invalid("locked", "The month of this time is locked");
        }
        Violation::Restrict if constraint == "invoiced_time_refusal" => {
            return ApiError::state_invalid("invoiced", "This time is invoiced; what was billed of it stays");
        }
        Violation::Restrict if constraint == "procedure_steps_refuse_waiting" => {
            return ApiError::state_invalid("waiting", "The step waits for others of its procedure");
        }
        Violation::Restrict if constraint == "procedure_steps_refuse_move" => {
            return ApiError::state_invalid(
                "procedure",
                "The task of a procedure run stays where it is, and its customer's",
            );
        }
        Violation::Restrict if constraint == "procedure_steps_refuse_series" => {
            return ApiError::state_invalid(
                "procedure",
                "The task of a procedure run does not come again: a schedule of the procedure does",
            );
        }
        Violation::Restrict if constraint == "threads_keep_customer_of_run" => {
            return ApiError::state_invalid("procedure", "The thread of a procedure run stays its customer's");
        }
        Violation::Restrict if constraint == "procedure_runs_stay_cancelled" => {
            return ApiError::state_invalid("cancelled", "The procedure run is cancelled and stays so");
        }
        Violation::Restrict if constraint == "procedure_steps_refuse_without_reason" => {
            return skip_instead();
        }
        Violation::Restrict if constraint == "procedure_steps_refuse_without_files" => {
            return ApiError::state_invalid("files_missing", "The step is done once its files are on the task");
        }
        Violation::Restrict if constraint == "procedure_steps_refuse_without_survey" => {
            return ApiError::state_invalid("survey_missing", "The step is done once its survey is filled in");
        }
        Violation::Restrict if constraint == "procedure_steps_keep_what_they_were_done_with" => {
            return ApiError::state_invalid("step_done", "A step was done with it; it goes once that is open again");
        }
        Violation::Restrict => {
            return ApiError { cause: Some(constraint.to_owned()), ..ApiError::new(Code::StateInvalid) };
        }
    };
    let Some(field) = field else {
        return ApiError::internal(format!("{violation:?} of {constraint}"));
    };
    let pointer = match field.as_str() {
        // A column for each kind of parent, one field for both.
        "parent_task_id" | "parent_interaction_id" => "/parent/id".to_owned(),
        // A file is on a record once, whatever kind of record that is.
        field if constraint.starts_with("attachments_") && field.ends_with("_file_id") => "/file_id".to_owned(),
        field => format!("/{field}"),
    };
    ApiError { errors: vec![Wrong::field(pointer, word, detail)], ..ApiError::new(code) }
}

/// The task of a step is not cancelled by itself.
pub(crate) fn skip_instead() -> ApiError {
    ApiError::state_invalid("step", "A step is left out by POST /procedure-runs/{id}/skips, with the reason")
}

fn refused_by_check(constraint: &str) -> ApiError {
    match constraint {
        "operators_supervisor_id_cycle" | "operators_supervisor_id_self" => {
            ApiError::invalid_field("/supervisor_id", "cycle", "An operator cannot stand above itself")
        }
        "tasks_parent_cycle"
        | "tasks_own_parent_check"
        | "interactions_parent_cycle"
        | "interactions_own_parent_check" => ApiError::invalid_field("/parent", "cycle", "Nothing hangs below itself"),
        "article_categories_keep_tree" => ApiError::invalid_field(
            "/parent_id",
            "tree",
            "A category is not below itself, and at most eight are within each other",
        ),
        // Every other check repeats a rule that the body was held to before: to meet it is our mistake.
        _ => ApiError::internal(format!("check {constraint} met")),
    }
}

/// The shape of every error: a problem document (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// A page that explains the code.
    #[serde(rename = "type")]
    #[schema(example = "/problems/validation_failed", max_length = 80)]
    kind: String,
    /// The same for every problem with this code, in the caller's language.
    #[schema(example = "The request is not valid", max_length = 120)]
    title: String,
    /// The HTTP status.
    #[schema(example = 422, minimum = 400, maximum = 599)]
    status: u16,
    /// The stable name that programs act on.
    #[schema(example = "validation_failed", max_length = 40)]
    code: String,
    /// What is wrong this time, for people.
    #[schema(example = "1 field needs attention", max_length = 1000)]
    detail: String,
    /// The path of the request.
    #[schema(example = "/api/v1/customers", max_length = 2000)]
    instance: String,
    /// What to tell the operator of the server: its log knows more under this id.
    request_id: Uuid,
    /// Everything that is wrong with the request.
    #[schema(required = false, max_items = 1000)]
    errors: Vec<ViolationBody>,
    /// The missing scope, with `scope_missing`; where one of several is enough, those, with spaces between.
    #[schema(required = false, nullable = false, example = "crm:write", max_length = 120)]
    scope: Option<String>,
    /// The state that does not allow it, with `state_invalid`.
    #[schema(required = false, nullable = false, example = "issued", max_length = 40)]
    state: Option<String>,
    /// The version of the record now, with `precondition_failed`.
    #[schema(required = false, nullable = false, example = "\"7\"", max_length = 20)]
    current_etag: Option<String>,
}

/// One thing that is wrong with the request; exactly one of `pointer`, `parameter` and `header` is there.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Violation)]
struct ViolationBody {
    /// A JSON Pointer (RFC 6901) into the body.
    #[schema(required = false, nullable = false, example = "/email", max_length = 2000)]
    pointer: Option<String>,
    /// A path or query parameter.
    #[schema(required = false, nullable = false, max_length = 200)]
    parameter: Option<String>,
    /// A header.
    #[schema(required = false, nullable = false, max_length = 200)]
    header: Option<String>,
    /// The rule that is broken.
    #[schema(example = "format", max_length = 60)]
    code: String,
    /// What it must be.
    #[schema(example = "Must be an e-mail address", max_length = 1000)]
    detail: String,
    /// The rule's own values, such as `maximum`.
    #[schema(required = false, nullable = false, value_type = Object)]
    params: Option<Value>,
}
