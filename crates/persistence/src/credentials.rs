//! What comes before anybody is known: passwords, refresh tokens and keys, looked up across organizations.
//!
//! These are the only queries without a [`Scope`](crate::Scope): their answer is what a scope is made of.

use crate::calendar_feeds::CalendarFeed;
use crate::changes::{self, Change};
use crate::db::{Db, Tx};
use crate::error::{OrNotFound, Result};
use crate::operators::Operator;
use crate::organizations::time_zone;
use crate::schema::{api_keys, calendar_feeds, operators, organizations, refresh_tokens, sign_ins};
use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use diesel::prelude::*;
use opiekun_domain::ids::{ApiKeyId, OperatorId, OrganizationId, SignInId, uuid_at};
use serde_json::json;
use uuid::Uuid;

/// How stale `last_used_at` of a key may be, so that using it does not write each time.
const LAST_USED_EVERY: TimeDelta = TimeDelta::minutes(1);

/// The operator whom an e-mail address signs in, whatever the case of its letters.
pub fn find_operator_by_email(db: &Db, email: &str) -> Result<Option<(OrganizationId, Operator)>> {
    let mut conn = db.connection()?;
    Ok(operators::table
        .filter(lower(operators::email).eq(email.to_lowercase()))
        .select((operators::organization_id, Operator::as_select()))
        .first(&mut *conn)
        .optional()?)
}

diesel::define_sql_function! {
    fn lower(value: diesel::sql_types::Text) -> diesel::sql_types::Text;
}

/// The operator of a sign-in that is neither revoked nor the operator's who was made inactive.
pub fn find_signed_in(
    db: &Db,
    organization_id: OrganizationId,
    operator_id: OperatorId,
    sign_in_id: SignInId,
) -> Result<Option<Operator>> {
    let mut conn = db.connection()?;
    Ok(operators::table
        .inner_join(
            sign_ins::table.on(sign_ins::organization_id
                .eq(operators::organization_id)
                .and(sign_ins::operator_id.eq(operators::id))),
        )
        .filter(sign_ins::organization_id.eq(organization_id))
        .filter(sign_ins::id.eq(sign_in_id))
        .filter(sign_ins::revoked_at.is_null())
        .filter(operators::id.eq(operator_id))
        .filter(operators::active)
        .select(Operator::as_select())
        .first(&mut *conn)
        .optional()?)
}

#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = api_keys, check_for_backend(diesel::pg::Pg))]
pub struct KeyCredential {
    pub organization_id: OrganizationId,
    pub id: ApiKeyId,
    pub scopes: Vec<String>,
    pub secret_hash: Vec<u8>,
    pub expires_at: Option<DateTime<Utc>>,
    pub last_used_at: Option<DateTime<Utc>>,
}

/// A key that has not been revoked.
pub fn find_api_key(db: &Db, id: ApiKeyId) -> Result<Option<KeyCredential>> {
    let mut conn = db.connection()?;
    Ok(api_keys::table
        .filter(api_keys::id.eq(id))
        .filter(api_keys::revoked_at.is_null())
        .select(KeyCredential::as_select())
        .first(&mut *conn)
        .optional()?)
}

/// Notes that a key was used, at most once a minute.
pub fn touch_api_key(db: &Db, key: &KeyCredential, now: DateTime<Utc>) -> Result<()> {
    if key.last_used_at.is_some_and(|at| now - at < LAST_USED_EVERY) {
        return Ok(());
    }
    let mut conn = db.connection()?;
    diesel::update(api_keys::table.find((key.organization_id, key.id)))
        .set(api_keys::last_used_at.eq(now))
        .execute(&mut *conn)?;
    Ok(())
}

/// How stale `last_used_at` of a calendar feed may be: programs read it day and night.
const FEED_LAST_USED_EVERY: TimeDelta = TimeDelta::minutes(5);

/// A calendar feed with whom it is read for.
#[derive(Debug, Clone)]
pub struct FeedCredential {
    pub organization_id: OrganizationId,
    pub feed: CalendarFeed,
    /// The operator whose rights it shows, who is active.
    pub reader: Operator,
    /// The organization's.
    pub zone: Tz,
}

/// The feed of an address, by the hash of its secret, while its reader is active.
pub fn find_calendar_feed(db: &Db, secret_hash: &[u8]) -> Result<Option<FeedCredential>> {
    let mut conn = db.connection()?;
    let found: Option<(CalendarFeed, Operator, OrganizationId, String)> = calendar_feeds::table
        .inner_join(
            operators::table.on(operators::organization_id
                .eq(calendar_feeds::organization_id)
                .and(operators::id.eq(calendar_feeds::reader_id))),
        )
        .inner_join(organizations::table.on(organizations::id.eq(calendar_feeds::organization_id)))
        .filter(calendar_feeds::secret_hash.eq(secret_hash))
        .filter(operators::active)
        .select((CalendarFeed::as_select(), Operator::as_select(), organizations::id, organizations::time_zone))
        .first(&mut *conn)
        .optional()?;
    Ok(found.map(|(feed, reader, organization_id, zone)| FeedCredential {
        organization_id,
        feed,
        reader,
        zone: time_zone(&zone),
    }))
}

/// Notes that a feed was read, at most once in five minutes.
pub fn touch_calendar_feed(db: &Db, found: &FeedCredential, now: DateTime<Utc>) -> Result<()> {
    if found.feed.last_used_at.is_some_and(|at| now - at < FEED_LAST_USED_EVERY) {
        return Ok(());
    }
    let mut conn = db.connection()?;
    diesel::update(calendar_feeds::table.find((found.organization_id, found.feed.id)))
        .set(calendar_feeds::last_used_at.eq(now))
        .execute(&mut *conn)?;
    Ok(())
}

/// A refresh token as it is found again by its hash.
#[derive(Debug, Clone, Queryable)]
pub struct RefreshToken {
    pub organization_id: OrganizationId,
    pub id: Uuid,
    pub sign_in_id: SignInId,
    pub operator_id: OperatorId,
    pub expires_at: DateTime<Utc>,
    pub spent_at: Option<DateTime<Utc>>,
    pub revoked_at: Option<DateTime<Utc>>,
}

pub fn find_refresh_token(db: &Db, token_hash: &[u8]) -> Result<Option<RefreshToken>> {
    let mut conn = db.connection()?;
    Ok(refresh_tokens::table
        .inner_join(
            sign_ins::table.on(sign_ins::organization_id
                .eq(refresh_tokens::organization_id)
                .and(sign_ins::id.eq(refresh_tokens::sign_in_id))),
        )
        .filter(refresh_tokens::token_hash.eq(token_hash))
        .select((
            refresh_tokens::organization_id,
            refresh_tokens::id,
            refresh_tokens::sign_in_id,
            sign_ins::operator_id,
            refresh_tokens::expires_at,
            refresh_tokens::spent_at,
            sign_ins::revoked_at,
        ))
        .first(&mut *conn)
        .optional()?)
}

/// Starts a sign-in of an operator.
pub fn start_sign_in(tx: &mut Tx<'_>, operator_id: OperatorId) -> Result<SignInId> {
    let id = SignInId::at(tx.now);
    diesel::insert_into(sign_ins::table)
        .values((
            sign_ins::organization_id.eq(tx.organization_id()),
            sign_ins::id.eq(id),
            sign_ins::operator_id.eq(operator_id),
            sign_ins::created_at.eq(tx.now),
        ))
        .execute(tx.conn)?;
    record(tx, "signed_in", id, operator_id)?;
    Ok(id)
}

/// Keeps the hash of a refresh token just given out.
pub fn add_refresh_token(
    tx: &mut Tx<'_>,
    sign_in_id: SignInId,
    token_hash: Vec<u8>,
    expires_at: DateTime<Utc>,
) -> Result<()> {
    diesel::insert_into(refresh_tokens::table)
        .values((
            refresh_tokens::organization_id.eq(tx.organization_id()),
            refresh_tokens::id.eq(uuid_at(tx.now)),
            refresh_tokens::sign_in_id.eq(sign_in_id),
            refresh_tokens::token_hash.eq(token_hash),
            refresh_tokens::created_at.eq(tx.now),
            refresh_tokens::expires_at.eq(expires_at),
        ))
        .execute(tx.conn)?;
    Ok(())
}

/// Spends a refresh token; `false` when another request has, which only a stolen token explains.
pub fn spend_refresh_token(tx: &mut Tx<'_>, id: Uuid) -> Result<bool> {
    let spent = diesel::update(
        refresh_tokens::table.find((tx.organization_id(), id)).filter(refresh_tokens::spent_at.is_null()),
    )
    .set(refresh_tokens::spent_at.eq(tx.now))
    .execute(tx.conn)?;
    Ok(spent == 1)
}

/// Ends a sign-in: none of its tokens works any more.
pub fn end_sign_in(tx: &mut Tx<'_>, id: SignInId) -> Result<()> {
    let operator_id = diesel::update(sign_ins::table.find((tx.organization_id(), id)))
        .filter(sign_ins::revoked_at.is_null())
        .set(sign_ins::revoked_at.eq(tx.now))
        .returning(sign_ins::operator_id)
        .get_result::<OperatorId>(tx.conn)
        .optional()?;
    match operator_id {
        Some(operator_id) => record(tx, "ended", id, operator_id),
        None => Ok(()),
    }
}

/// Ends every sign-in of an operator.
pub fn end_sign_ins_of(tx: &mut Tx<'_>, operator_id: OperatorId) -> Result<()> {
    let ended: Vec<SignInId> = diesel::update(sign_ins::table)
        .filter(sign_ins::organization_id.eq(tx.organization_id()))
        .filter(sign_ins::operator_id.eq(operator_id))
        .filter(sign_ins::revoked_at.is_null())
        .set(sign_ins::revoked_at.eq(tx.now))
        .returning(sign_ins::id)
        .get_results(tx.conn)?;
    for id in ended {
        record(tx, "ended", id, operator_id)?;
    }
    Ok(())
}

/// Forgets, in all organizations, refresh tokens that ran out before `now`.
pub fn sweep(db: &Db, now: DateTime<Utc>) -> Result<usize> {
    let mut conn = db.connection()?;
    Ok(diesel::delete(refresh_tokens::table.filter(refresh_tokens::expires_at.lt(now))).execute(&mut *conn)?)
}

/// The active operator whom a refresh token belongs to.
pub fn find_active_operator(tx: &mut Tx<'_>, id: OperatorId) -> Result<Operator> {
    operators::table
        .find((tx.organization_id(), id))
        .filter(operators::active)
        .select(Operator::as_select())
        .first(tx.conn)
        .optional()
        .or_not_found("operator")
}

fn record(tx: &mut Tx<'_>, action: &'static str, id: SignInId, operator_id: OperatorId) -> Result<()> {
    let after = json!({ "id": id, "operator_id": operator_id });
    changes::record(tx, Change::new("sign_in", action, (id, 1), None, Some(&after)))
}
