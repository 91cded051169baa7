//! The first answer to a POST, kept in the transaction of its effect, so that a repeat has none.

use crate::db::{Db, Tx};
use crate::error::Result;
use crate::json::Json;
use crate::schema::idempotency_keys;
use chrono::{DateTime, TimeDelta, Utc};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Text};
use opiekun_domain::ids::OrganizationId;
use std::collections::BTreeMap;
use uuid::Uuid;

/// How long a key is remembered.
pub const KEPT: TimeDelta = TimeDelta::hours(24);

/// Who repeats what: a key belongs to its caller and route.
#[derive(Debug, Clone)]
pub struct Key {
    pub caller_id: Uuid,
    /// Method and path template, `POST /api/v1/customers`.
    pub route: String,
    pub key: String,
}

/// An answer as it went out.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = idempotency_keys, check_for_backend(diesel::pg::Pg))]
pub struct Answer {
    /// SHA-256 of the request's body.
    pub fingerprint: Vec<u8>,
    pub status: i16,
    pub headers: Json<BTreeMap<String, String>>,
    pub body: Vec<u8>,
}

/// What a key means at this moment.
#[derive(Debug)]
pub enum Claim {
    /// Never seen: the work is to be done, and its answer kept by [`keep`].
    Fresh,
    /// Another request with this key has not ended.
    InProgress,
    /// Done before.
    Answered(Answer),
}

#[derive(Insertable)]
#[diesel(table_name = idempotency_keys)]
struct NewIdempotencyKey<'a> {
    organization_id: OrganizationId,
    caller_id: Uuid,
    route: &'a str,
    key: &'a str,
    fingerprint: Vec<u8>,
    status: i16,
    headers: Json<BTreeMap<String, String>>,
    body: Vec<u8>,
    created_at: DateTime<Utc>,
}

/// Claims a key until the transaction ends.
pub fn claim(tx: &mut Tx<'_>, key: &Key) -> Result<Claim> {
    let name = format!("idempotency:{}:{}:{}:{}", tx.scope.organization_id, key.caller_id, key.route, key.key);
    let ours =
        diesel::select(sql::<Bool>("pg_try_advisory_xact_lock(hashtextextended(").bind::<Text, _>(name).sql(", 0))"))
            .get_result::<bool>(tx.conn)?;
    if !ours {
        return Ok(Claim::InProgress);
    }
    let answer = idempotency_keys::table
        .find((tx.scope.organization_id, key.caller_id, &key.route, &key.key))
        .filter(idempotency_keys::created_at.gt(tx.now - KEPT))
        .select(Answer::as_select())
        .first(tx.conn)
        .optional()?;
    Ok(answer.map_or(Claim::Fresh, Claim::Answered))
}

/// Keeps the answer of a claimed key, in place of one that is older than [`KEPT`].
pub fn keep(tx: &mut Tx<'_>, key: &Key, answer: Answer) -> Result<()> {
    let row = NewIdempotencyKey {
        organization_id: tx.scope.organization_id,
        caller_id: key.caller_id,
        route: &key.route,
        key: &key.key,
        fingerprint: answer.fingerprint,
        status: answer.status,
        headers: answer.headers,
        body: answer.body,
        created_at: tx.now,
    };
    diesel::delete(idempotency_keys::table.find((row.organization_id, row.caller_id, row.route, row.key)))
        .execute(tx.conn)?;
    diesel::insert_into(idempotency_keys::table).values(row).execute(tx.conn)?;
    Ok(())
}

/// Forgets the keys of all organizations that are older than [`KEPT`].
pub fn sweep(db: &Db, now: DateTime<Utc>) -> Result<usize> {
    let mut conn = db.connection()?;
    Ok(diesel::delete(idempotency_keys::table.filter(idempotency_keys::created_at.lt(now - KEPT)))
        .execute(&mut *conn)?)
}
