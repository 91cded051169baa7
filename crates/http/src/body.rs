//! Bodies: what the gate has checked against the schema, read into the type and held to its further rules.

use crate::context::Asked;
use crate::problem::{ApiError, Wrong};
use crate::values::capitalised;
use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::future::{Ready, ready};
use validator::{Validate, ValidationError, ValidationErrors, ValidationErrorsKind};

/// A whole body.
#[derive(Debug)]
pub struct Valid<T>(pub T);

/// A merge patch (RFC 7396) of a `T`.
#[derive(Debug)]
pub struct Patch<T> {
    patch: Value,
    of: std::marker::PhantomData<fn() -> T>,
}

impl<T: Serialize + DeserializeOwned + Validate> Patch<T> {
    /// What the patch says of a field; `None` where it leaves it as it is. For what has to be known before there is a
    /// `current`: which locks come first.
    pub fn field(&self, name: &str) -> Option<&Value> {
        self.patch.get(name)
    }

    /// What `current` becomes: held to every rule that a whole body is held to.
    pub fn apply(&self, current: &T) -> Result<T, ApiError> {
        let mut merged = serde_json::to_value(current).map_err(ApiError::internal)?;
        json_patch::merge(&mut merged, &self.patch);
        read(merged)
    }
}

impl<T: DeserializeOwned + Validate + 'static> FromRequest for Valid<T> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(body_of(req).and_then(read).map(Self))
    }
}

impl<T: 'static> FromRequest for Patch<T> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(body_of(req).map(|patch| Self { patch, of: std::marker::PhantomData }))
    }
}

fn body_of(req: &HttpRequest) -> Result<Value, ApiError> {
    let asked = Asked::of(req).ok_or_else(|| ApiError::internal("a request that passed no gate"))?;
    Ok(asked.body.clone().unwrap_or_else(|| Value::Object(serde_json::Map::new())))
}

fn read<T: DeserializeOwned + Validate>(body: Value) -> Result<T, ApiError> {
    let value: T = serde_path_to_error::deserialize(body).map_err(|error| {
        // What the schema can't say: a word that is no currency, fields that contradict each other.
        let pointer = pointer_of(error.path());
        ApiError::invalid_field(&pointer, "value", sentence(&error.inner().to_string()))
    })?;
    value.validate().map_err(|errors| {
        let mut wrong = Vec::new();
        explain(&errors, "", &mut wrong);
        ApiError::invalid(wrong)
    })?;
    Ok(value)
}

fn pointer_of(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    path.iter()
        .filter_map(|segment| match segment {
            Segment::Seq { index } => Some(format!("/{index}")),
            Segment::Map { key } => Some(format!("/{key}")),
            Segment::Enum { .. } | Segment::Unknown => None,
        })
        .collect()
}

/// serde's message without the rejected value, which it puts in backticks or quotes.
fn sentence(message: &str) -> String {
    if message.contains('`') || message.contains('"') {
        return "Does not fit the published schema".to_owned();
    }
    capitalised(message)
}

/// A field that a rule over the whole struct finds wrong.
pub fn wrong_field(field: &'static str, code: &'static str, message: &'static str) -> ValidationError {
    let mut error = ValidationError::new(code).with_message(message.into());
    error.add_param("field".into(), &field);
    error
}

fn explain(errors: &ValidationErrors, pointer: &str, wrong: &mut Vec<Wrong>) {
    for (field, kind) in errors.errors() {
        // `__all__` is validator's name for a rule over the whole struct.
        let here = if *field == "__all__" { pointer.to_owned() } else { format!("{pointer}/{field}") };
        match kind {
            ValidationErrorsKind::Struct(inner) => explain(inner, &here, wrong),
            ValidationErrorsKind::List(items) => {
                for (index, inner) in items {
                    explain(inner, &format!("{here}/{index}"), wrong);
                }
            }
            ValidationErrorsKind::Field(failed) => {
                for error in failed {
                    let detail = error.message.clone().unwrap_or_else(|| "Is not valid".into());
                    // A rule over the whole struct may name the field that it is about.
                    let pointer = match error.params.get("field").and_then(Value::as_str) {
                        Some(field) => format!("{here}/{field}"),
                        None => here.clone(),
                    };
                    wrong.push(Wrong::field(pointer, error.code.clone(), detail));
                }
            }
        }
    }
}
