//! Synonyms: words and phrases of one meaning, which an organization edits.

use crate::article_index;
use crate::bulk::copy_rows;
use crate::changes::{self, Change};
use crate::db::Tx;
use crate::error::{OrNotFound, Result, StoreError};
use crate::page::{Cursor, Page, PageRequest, keyset};
use crate::schema::{synonym_keys, synonyms};
use chrono::{DateTime, Utc};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Integer;
use opiekun_domain::ids::{OrganizationId, SynonymGroupId};
use opiekun_search::synonyms::{DEFAULTS, Group};
use serde::Serialize;

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

/// Gives a new organization the groups that everybody begins with.
pub(crate) fn begin(tx: &mut Tx<'_>) -> Result<()> {
    let (organization_id, now) = (tx.organization_id(), tx.now);
    let groups: Vec<(SynonymGroupId, &Group)> = DEFAULTS.iter().map(|group| (SynonymGroupId::at(now), group)).collect();
    copy_rows!(tx.conn, synonyms, &groups, |(id, group)| {
        organization_id: OrganizationId = organization_id,
        id: SynonymGroupId = *id,
        terms: Vec<String> = group.terms.clone(),
        created_at: DateTime<Utc> = now,
        updated_at: DateTime<Utc> = now,
    })?;
    enter_keys(tx, groups.into_iter().map(|(id, group)| (id, &group.keys)))?;
    article_index::know_words(tx, DEFAULTS.iter().flat_map(|group| &group.terms))
}

/// Makes the keys of all groups anew.
pub(crate) fn rekey(tx: &mut Tx<'_>) -> Result<()> {
    let organization_id = tx.organization_id();
    let groups: Vec<(SynonymGroupId, Vec<String>)> = synonyms::table
        .filter(synonyms::organization_id.eq(organization_id))
        .order(synonyms::id)
        .select((synonyms::id, synonyms::terms))
        .load(tx.conn)?;
    let groups: Vec<(SynonymGroupId, Group)> = groups.into_iter().map(|(id, terms)| (id, Group::new(terms))).collect();
    diesel::delete(synonym_keys::table).filter(synonym_keys::organization_id.eq(organization_id)).execute(tx.conn)?;
    enter_keys(tx, groups.iter().map(|(id, group)| (*id, &group.keys)))
}

/// Has groups looked up by their keys.
fn enter_keys<'a>(tx: &mut Tx<'_>, groups: impl IntoIterator<Item = (SynonymGroupId, &'a Vec<String>)>) -> Result<()> {
    let organization_id = tx.organization_id();
    let keyed = groups.into_iter().flat_map(|(id, keys)| keys.iter().map(move |key| (id, key)));
    copy_rows!(tx.conn, synonym_keys, keyed, |(id, key)| {
        organization_id: OrganizationId = organization_id,
        key: String = key.clone(),
        synonym_id: SynonymGroupId = id,
    })?;
    Ok(())
}

pub fn create(tx: &mut Tx<'_>, terms: Vec<String>) -> Result<SynonymGroup> {
    article_index::hold(tx)?;
    article_index::know_words(tx, terms.iter())?;
    let Group { terms, keys } = Group::new(terms);
    let group: SynonymGroup = diesel::insert_into(synonyms::table)
        .values((
            synonyms::organization_id.eq(tx.organization_id()),
            synonyms::id.eq(SynonymGroupId::at(tx.now)),
            synonyms::terms.eq(terms),
            synonyms::created_at.eq(tx.now),
            synonyms::updated_at.eq(tx.now),
        ))
        .returning(SynonymGroup::as_returning())
        .get_result(tx.conn)?;
    enter_keys(tx, [(group.id, &keys)])?;
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
    article_index::hold(tx)?;
    article_index::know_words(tx, terms.iter())?;
    article_index::forget_words(tx, group.terms.iter())?;
    let Group { terms, keys } = Group::new(terms);
    let after = diesel::update(synonyms::table.find((tx.organization_id(), group.id)))
        .set((synonyms::terms.eq(terms), synonyms::version.eq(synonyms::version + 1), synonyms::updated_at.eq(tx.now)))
        .returning(SynonymGroup::as_returning())
        .get_result(tx.conn)?;
    diesel::delete(synonym_keys::table)
        .filter(synonym_keys::organization_id.eq(tx.organization_id()))
        .filter(synonym_keys::synonym_id.eq(group.id))
        .execute(tx.conn)?;
    enter_keys(tx, [(group.id, &keys)])?;
    record(tx, "updated", Some(group), Some(&after))?;
    Ok(after)
}

/// Removes a locked row.
pub fn delete(tx: &mut Tx<'_>, group: &SynonymGroup) -> Result<()> {
    article_index::hold(tx)?;
    article_index::forget_words(tx, group.terms.iter())?;
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
