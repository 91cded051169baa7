//! What is known of a request once it has passed the gate.

use crate::actor::Actor;
use crate::contract::Operation;
use crate::problem::{ApiError, Wrong};
use actix_web::{HttpMessage, HttpRequest};
use opiekun_domain::language::Language;
use serde_json::Value;
use std::rc::Rc;
use std::sync::Arc;
use uuid::Uuid;

/// The request's name and the language of its answer, known from the first moment.
#[derive(Debug, Clone, Copy)]
pub struct RequestContext {
    pub request_id: Uuid,
    pub language: Language,
}

/// A request held against the contract: the operation it is for, who asks, and what was sent.
pub struct Asked {
    pub request_id: Uuid,
    pub language: Language,
    /// The path as it was asked for, without query.
    pub instance: String,
    pub operation: Arc<Operation>,
    pub path_values: Vec<(String, String)>,
    pub query: Vec<(String, String)>,
    pub actor: Option<Actor>,
    pub body: Option<Value>,
    /// SHA-256 of the body's bytes.
    pub fingerprint: [u8; 32],
    pub idempotency_key: Option<String>,
}

impl Asked {
    /// What the gate left with the request; `None` only outside of it.
    pub fn of(req: &HttpRequest) -> Option<Rc<Self>> {
        req.extensions().get::<Rc<Self>>().cloned()
    }

    pub fn caller_id(&self) -> Option<Uuid> {
        self.actor.as_ref().map(Actor::id)
    }

    /// A parameter of the query.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// Refuses parameters that mean nothing in the form in which the answer is wanted.
    pub fn refuse(&self, names: &[&str], detail: &'static str) -> Result<(), ApiError> {
        let given = names.iter().filter(|name| self.parameter(name).is_some());
        let wrong: Vec<Wrong> = given.map(|name| Wrong::parameter(*name, "format", detail)).collect();
        if wrong.is_empty() { Ok(()) } else { Err(ApiError::invalid_parameters(wrong)) }
    }

    /// The items of a comma-separated parameter of the query.
    pub fn items(&self, name: &str) -> Vec<String> {
        self.parameter(name).map(|value| value.split(',').map(str::to_owned).collect()).unwrap_or_default()
    }
}
