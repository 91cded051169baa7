//! Synonyms: words and phrases of one meaning, which an organization edits.

use crate::article_search;
use crate::changes::{self, Change};
use crate::db::Tx;
use crate::error::{OrNotFound, Result, StoreError};
use crate::page::{Cursor, Page, PageRequest, keyset};
use crate::schema::synonyms;
use chrono::{DateTime, Utc};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{Integer, Jsonb, Uuid};
use opiekun_domain::ids::{OrganizationId, SynonymGroupId};
use opiekun_search::synonyms::{DEFAULTS, Group};
use serde::Serialize;
use serde_json::{Value, json};

pub use opiekun_search::synonyms::{TermFault, faults};

/// A group of synonyms.
#[derive(Debug, Clone, Queryable, Selectable, Serialize)]
#[diesel(table_name = synonyms, check_for_backend(diesel::pg::Pg))]
pub struct SynonymGroup {
    pub id: SynonymGroupId,
    pub terms: Vec<String>,
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

// COPY has no word for a default.
#[derive(Insertable)]
#[diesel(table_name = synonyms, treat_none_as_default_value = false)]
struct NewSynonymGroup {
    organization_id: OrganizationId,
    id: SynonymGroupId,
    terms: Vec<String>,
    keys: Vec<String>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

fn row(tx: &Tx<'_>, Group { terms, keys }: Group) -> NewSynonymGroup {
    NewSynonymGroup {
        organization_id: tx.organization_id(),
        id: SynonymGroupId::at(tx.now),
        terms,
        keys,
        created_at: tx.now,
        updated_at: tx.now,
    }
}

/// Gives a new organization the groups that everybody begins with.
pub(crate) fn begin(tx: &mut Tx<'_>) -> Result<()> {
    let rows: Vec<NewSynonymGroup> = DEFAULTS.iter().map(|group| row(tx, group.clone())).collect();
    diesel::copy_from(synonyms::table).from_insertable(rows).execute(tx.conn)?;
    article_search::know_words(tx, DEFAULTS.iter().flat_map(|group| &group.terms))
}

/// Makes the keys of all groups anew.
pub(crate) fn rekey(tx: &mut Tx<'_>) -> Result<()> {
    let organization_id = tx.organization_id();
    let groups: Vec<(SynonymGroupId, Vec<String>)> = synonyms::table
        .filter(synonyms::organization_id.eq(organization_id))
        .order(synonyms::id)
        .select((synonyms::id, synonyms::terms))
        .load(tx.conn)?;
    let keyed = groups.into_iter().map(|(id, terms)| json!({ "id": id, "keys": Group::new(terms).keys }));
    diesel::sql_query(
        "update synonyms set keys = keyed.keys from jsonb_to_recordset($2) as keyed (id uuid, keys text[])
         where organization_id = $1 and synonyms.id = keyed.id",
    )
    .bind::<Uuid, _>(organization_id)
    .bind::<Jsonb, _>(keyed.collect::<Value>())
    .execute(tx.conn)?;
    Ok(())
}

pub fn create(tx: &mut Tx<'_>, terms: Vec<String>) -> Result<SynonymGroup> {
    article_search::hold(tx)?;
    article_search::know_words(tx, terms.iter())?;
    let group: SynonymGroup = diesel::insert_into(synonyms::table)
        .values(row(tx, Group::new(terms)))
        .returning(SynonymGroup::as_returning())
        .get_result(tx.conn)?;
    record(tx, "created", None, Some(&group))?;
    Ok(group)
}

pub fn find(tx: &mut Tx<'_>, id: SynonymGroupId) -> Result<SynonymGroup> {
    synonyms::table
        .find((tx.organization_id(), id))
        .select(SynonymGroup::as_select())
        .first(tx.conn)
        .optional()
        .or_not_found("synonym group")
}

/// Locks the row; [`StoreError::Stale`] when somebody has changed it since `seen`.
pub fn lock(tx: &mut Tx<'_>, id: SynonymGroupId, seen: Option<i32>) -> Result<SynonymGroup> {
    let group = synonyms::table
        .find((tx.organization_id(), id))
        .select(SynonymGroup::as_select())
        .for_update()
        .first(tx.conn)
        .optional()
        .or_not_found("synonym group")?;
    StoreError::unless_current(group.version, seen)?;
    Ok(group)
}

/// Writes to a row that [`lock`] has returned, and counts its version up.
pub fn update(tx: &mut Tx<'_>, group: &SynonymGroup, terms: Vec<String>) -> Result<SynonymGroup> {
    article_search::hold(tx)?;
    article_search::know_words(tx, terms.iter())?;
    article_search::forget_words(tx, group.terms.iter())?;
    let Group { terms, keys } = Group::new(terms);
    let after = diesel::update(synonyms::table.find((tx.organization_id(), group.id)))
        .set((
            synonyms::terms.eq(terms),
            synonyms::keys.eq(keys),
            synonyms::version.eq(synonyms::version + 1),
            synonyms::updated_at.eq(tx.now),
        ))
        .returning(SynonymGroup::as_returning())
        .get_result(tx.conn)?;
    record(tx, "updated", Some(group), Some(&after))?;
    Ok(after)
}

/// Removes a locked row.
pub fn delete(tx: &mut Tx<'_>, group: &SynonymGroup) -> Result<()> {
    article_search::hold(tx)?;
    article_search::forget_words(tx, group.terms.iter())?;
    diesel::delete(synonyms::table.find((tx.organization_id(), group.id))).execute(tx.conn)?;
    record(tx, "deleted", Some(group), None)
}

pub fn list(tx: &mut Tx<'_>, term: Option<&str>, page: &PageRequest<()>) -> Result<Page<SynonymGroup>> {
    let organization_id = tx.organization_id();
    let filtered = || {
        let mut query = synonyms::table.filter(synonyms::organization_id.eq(organization_id)).into_boxed();
        if let Some(term) = term {
            query = query.filter(synonyms::terms.contains(vec![term]));
        }
        query
    };
    let total = page.total(|cap| filtered().select(sql::<Integer>("1")).limit(cap).load(tx.conn))?;
    let rows = keyset!(filtered(), page, synonyms::id).select(SynonymGroup::as_select()).load(tx.conn)?;
    Ok(Page::cut(rows, page, total, |group: &SynonymGroup| Cursor::new((), group.id)))
}

fn record(
    tx: &mut Tx<'_>,
    action: &'static str,
    before: Option<&SynonymGroup>,
    after: Option<&SynonymGroup>,
) -> Result<()> {
    let Some(told) = after.or(before) else { return Ok(()) };
    changes::record(tx, Change::new("synonym_group", action, (told.id, told.version), before, after))
}
