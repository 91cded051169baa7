//! Answers to reads: one record or a page of them, with the fields and expansions that were asked for.

use crate::actor::Actor;
use crate::context::Asked;
use crate::expand;
use crate::listing::Cursors;
use crate::precondition::is_known;
use crate::problem::ApiError;
use crate::reply::Reply;
use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{FromRequest, HttpRequest};
use opiekun_domain::permission::PermissionSet;
use opiekun_persistence::{Page, Tx};
use serde::Serialize;
use serde_json::{Value, json};
use std::future::{Ready, ready};
use utoipa::ToSchema;

/// How the caller wants records to look.
pub struct Shape {
    fields: Vec<String>,
    expand: Vec<String>,
    permissions: PermissionSet,
    cursors: Cursors,
    /// `If-None-Match`, where the operation takes it: what the caller has already.
    known: Option<HeaderValue>,
}

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct PageBody<T> {
    #[schema(max_items = 200)]
    items: Vec<T>,
    /// What to send as `cursor` for the next page; null on the last one.
    #[schema(max_length = 2000, required)]
    next_cursor: Option<String>,
    /// How many records there are on all pages, up to 10 000; only with `count=exact`.
    #[schema(required = false, nullable = false, extensions(("x-optional" = json!(true))))]
    total_count: Option<i64>,
}

impl Shape {
    /// One record at its version: 304 where the caller has it.
    pub fn one(&self, tx: &mut Tx<'_>, version: i32, body: &impl Serialize) -> Result<Reply, ApiError> {
        // The version is the record's own: it does not tell of changes to what is expanded within.
        if self.expand.is_empty() && self.known.as_ref().is_some_and(|tags| is_known(tags, version)) {
            return Ok(Reply::not_modified(version));
        }
        let mut records = [serde_json::to_value(body).map_err(ApiError::internal)?];
        self.shape(tx, &mut records)?;
        let [record] = records;
        Ok(Reply::at_version(version, &record))
    }

    /// A page of records.
    pub fn page<T: Serialize>(&self, tx: &mut Tx<'_>, page: Page<T>) -> Result<Reply, ApiError> {
        let mut records = page
            .items
            .iter()
            .map(serde_json::to_value)
            .collect::<Result<Vec<Value>, _>>()
            .map_err(ApiError::internal)?;
        self.shape(tx, &mut records)?;
        let next_cursor = page.next.map(|cursor| self.cursors.write(&cursor));
        let link = next_cursor.as_deref().map(|cursor| self.cursors.link(cursor));
        let mut body = json!({ "items": records, "next_cursor": next_cursor });
        if let Some(total) = page.total {
            body["total_count"] = json!(total);
        }
        let mut reply = Reply::ok(&body);
        if let Some(link) = link.and_then(|link| HeaderValue::from_str(&link).ok()) {
            reply = reply.header(header::LINK, link);
        }
        Ok(reply)
    }

    /// An answer with records for its `entries`, which is no page.
    pub fn entries(&self, tx: &mut Tx<'_>, body: &impl Serialize) -> Result<Reply, ApiError> {
        if self.fields.is_empty() && self.expand.is_empty() {
            return Ok(Reply::ok(body));
        }
        let mut body = serde_json::to_value(body).map_err(ApiError::internal)?;
        if let Some(records) = body["entries"].as_array_mut() {
            self.shape(tx, records)?;
        }
        Ok(Reply::ok(&body))
    }

    fn shape(&self, tx: &mut Tx<'_>, records: &mut [Value]) -> Result<(), ApiError> {
        expand::attach(tx, records, &self.expand, self.permissions)?;
        if self.fields.is_empty() {
            return Ok(());
        }
        let expanded: Vec<&str> = self.expand.iter().filter_map(|path| path.split('.').next()).collect();
        for record in records.iter_mut().filter_map(Value::as_object_mut) {
            record.retain(|name, _| {
                name == "id" || self.fields.iter().any(|field| field == name) || expanded.contains(&name.as_str())
            });
        }
        Ok(())
    }
}

impl FromRequest for Shape {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        ready(shape_of(req, payload))
    }
}

fn shape_of(req: &HttpRequest, payload: &mut Payload) -> Result<Shape, ApiError> {
    let actor = Actor::from_request(req, payload).into_inner()?;
    let asked = Asked::of(req).ok_or_else(|| ApiError::internal("a request that passed no gate"))?;
    Ok(Shape {
        fields: asked.items("fields"),
        expand: asked.items("expand"),
        permissions: actor.permissions,
        cursors: Cursors::of(req)?,
        known: asked
            .operation
            .requires_header("If-None-Match")
            .and_then(|_| req.headers().get(header::IF_NONE_MATCH).cloned()),
    })
}
