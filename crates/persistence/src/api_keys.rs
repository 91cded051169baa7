//! API keys: how scripts sign in. The secret is shown once and kept as a hash.

use crate::changes::{self, Change};
use crate::db::Tx;
use crate::error::{OrNotFound, Result, StoreError};
use crate::page::{Cursor, Page, PageRequest, keyset};
use crate::schema::api_keys;
use chrono::{DateTime, Utc};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Integer;
use opiekun_domain::ids::{ApiKeyId, OrganizationId};
use serde::Serialize;

#[derive(Debug, Clone, Queryable, Selectable, Serialize)]
#[diesel(table_name = api_keys, check_for_backend(diesel::pg::Pg))]
pub struct ApiKey {
    pub id: ApiKeyId,
    #[diesel(embed)]
    #[serde(flatten)]
    pub fields: ApiKeyFields,
    #[serde(skip)]
    pub last_used_at: Option<DateTime<Utc>>,
    pub revoked_at: Option<DateTime<Utc>>,
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// What an administrator may write.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset, Serialize)]
#[diesel(table_name = api_keys, check_for_backend(diesel::pg::Pg), treat_none_as_null = true)]
pub struct ApiKeyFields {
    pub name: String,
    /// Words of [`Permission`](opiekun_domain::permission::Permission).
    pub scopes: Vec<String>,
    pub expires_at: Option<DateTime<Utc>>,
}

#[derive(Insertable)]
#[diesel(table_name = api_keys)]
struct NewApiKey {
    organization_id: OrganizationId,
    id: ApiKeyId,
    #[diesel(embed)]
    fields: ApiKeyFields,
    secret_hash: Vec<u8>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

pub fn create(tx: &mut Tx<'_>, id: ApiKeyId, fields: ApiKeyFields, secret_hash: Vec<u8>) -> Result<ApiKey> {
    let row = NewApiKey {
        organization_id: tx.organization_id(),
        id,
        fields,
        secret_hash,
        created_at: tx.now,
        updated_at: tx.now,
    };
    let key: ApiKey =
        diesel::insert_into(api_keys::table).values(row).returning(ApiKey::as_returning()).get_result(tx.conn)?;
    record(tx, "created", None, &key)?;
    Ok(key)
}

pub fn find(tx: &mut Tx<'_>, id: ApiKeyId) -> Result<ApiKey> {
    api_keys::table
        .find((tx.organization_id(), id))
        .select(ApiKey::as_select())
        .first(tx.conn)
        .optional()
        .or_not_found("api_key")
}

/// Locks the row; [`StoreError::Stale`] when somebody has changed it since `seen`.
pub fn lock(tx: &mut Tx<'_>, id: ApiKeyId, seen: Option<i32>) -> Result<ApiKey> {
    let key = api_keys::table
        .find((tx.organization_id(), id))
        .select(ApiKey::as_select())
        .for_update()
        .first(tx.conn)
        .optional()
        .or_not_found("api_key")?;
    StoreError::unless_current(key.version, seen)?;
    Ok(key)
}

/// Writes to a row that [`lock`] has returned, and counts its version up.
pub fn update(tx: &mut Tx<'_>, key: &ApiKey, fields: ApiKeyFields) -> Result<ApiKey> {
    let after = diesel::update(api_keys::table.find((tx.organization_id(), key.id)))
        .set((fields, api_keys::version.eq(api_keys::version + 1), api_keys::updated_at.eq(tx.now)))
        .returning(ApiKey::as_returning())
        .get_result(tx.conn)?;
    record(tx, "updated", Some(key), &after)?;
    Ok(after)
}

/// Revokes a locked key for good.
pub fn revoke(tx: &mut Tx<'_>, key: &ApiKey) -> Result<ApiKey> {
    let after = diesel::update(api_keys::table.find((tx.organization_id(), key.id)))
        .set((
            api_keys::revoked_at.eq(tx.now),
            api_keys::version.eq(api_keys::version + 1),
            api_keys::updated_at.eq(tx.now),
        ))
        .returning(ApiKey::as_returning())
        .get_result(tx.conn)?;
    record(tx, "revoked", Some(key), &after)?;
    Ok(after)
}

/// Keys that work, or, with `include_revoked`, all there ever were.
pub fn list(tx: &mut Tx<'_>, include_revoked: bool, page: &PageRequest<()>) -> Result<Page<ApiKey>> {
    let organization_id = tx.organization_id();
    let filtered = || {
        let query = api_keys::table.filter(api_keys::organization_id.eq(organization_id)).into_boxed();
        if include_revoked { query } else { query.filter(api_keys::revoked_at.is_null()) }
    };
    let total = page.total(|cap| filtered().select(sql::<Integer>("1")).limit(cap).load(tx.conn))?;
    let rows = keyset!(filtered(), page, api_keys::id).select(ApiKey::as_select()).load(tx.conn)?;
    Ok(Page::cut(rows, page, total, |key| Cursor::new((), key.id)))
}

fn record(tx: &mut Tx<'_>, action: &'static str, before: Option<&ApiKey>, after: &ApiKey) -> Result<()> {
    changes::record(tx, Change::new("api_key", action, (after.id, after.version), before, Some(after)))
}
