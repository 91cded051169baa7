//! `If-Match`: which version a change is meant for.

use crate::problem::{ApiError, Code, Wrong};
use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{FromRequest, HttpRequest};
use std::future::{Ready, ready};
use utoipa::IntoParams;
use utoipa::openapi::Required;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};

/// The version that the caller saw; `None` for `*`, which takes any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IfMatch(pub Option<i32>);

impl FromRequest for IfMatch {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let value = req.headers().get(header::IF_MATCH).and_then(|value| value.to_str().ok());
        ready(match value {
            None => Err(ApiError::new(Code::PreconditionRequired)),
            Some("*") => {
                tracing::info!(path = req.path(), "a change of whatever version there is");
                Ok(Self(None))
            }
            Some(tag) => version_of(tag).map(|version| Self(Some(version))).ok_or_else(|| {
                let wrong = Wrong::header("If-Match", "pattern", "One strong entity tag, such as \"7\", or *");
                ApiError::invalid_parameters(vec![wrong])
            }),
        })
    }
}

/// The version that a strong entity tag names.
fn version_of(tag: &str) -> Option<i32> {
    tag.trim().strip_prefix('"')?.strip_suffix('"')?.parse().ok().filter(|version| *version >= 0)
}

/// Whether an `If-None-Match` holds the version, so that the caller has it already.
pub(crate) fn is_known(tags: &HeaderValue, version: i32) -> bool {
    any_tag(tags, |tag| version_of(tag) == Some(version))
}

/// Whether an `If-None-Match` holds a tag as it stands in `ETag`.
pub(crate) fn is_known_tag(tags: &HeaderValue, known: &HeaderValue) -> bool {
    any_tag(tags, |tag| tag.as_bytes() == known.as_bytes())
}

/// Compares weakly, as RFC 9110 (13.1.2) has it.
fn any_tag(tags: &HeaderValue, is_it: impl Fn(&str) -> bool) -> bool {
    tags.to_str().is_ok_and(|tags| tags == "*" || tags.split(',').any(|tag| is_it(tag.trim().trim_start_matches("W/"))))
}

impl IntoParams for IfMatch {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![
            ParameterBuilder::new()
                .name("If-Match")
                .parameter_in(ParameterIn::Header)
                .required(Required::True)
                .description(Some("The `ETag` of the version that you change, or `*` for whatever version there is."))
                .schema(Some(
                    ObjectBuilder::new()
                        .schema_type(SchemaType::Type(Type::String))
                        .max_length(Some(40))
                        .pattern(Some(r#"^(\*|"[0-9]{1,9}")$"#)),
                ))
                .example(Some(serde_json::json!("\"1\"")))
                .build(),
        ]
    }
}
