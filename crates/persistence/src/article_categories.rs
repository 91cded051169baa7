//! Article categories: a tree of places for articles.

use crate::changes::{self, Change};
use crate::db::Tx;
use crate::error::{OrNotFound, Result, StoreError};
use crate::page::{Cursor, Page, PageRequest, keyset};
use crate::schema::article_categories;
use chrono::{DateTime, Utc};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{Integer, Uuid as SqlUuid};
use opiekun_domain::ids::{ArticleCategoryId, OrganizationId};
use serde::Serialize;

#[derive(Debug, Clone, Queryable, Selectable, Serialize)]
#[diesel(table_name = article_categories, check_for_backend(diesel::pg::Pg))]
pub struct ArticleCategory {
    pub id: ArticleCategoryId,
    #[diesel(embed)]
    #[serde(flatten)]
    pub fields: ArticleCategoryFields,
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// What a caller may write.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset, Serialize)]
#[diesel(table_name = article_categories, check_for_backend(diesel::pg::Pg), treat_none_as_null = true)]
pub struct ArticleCategoryFields {
    pub name: String,
    /// The category that it is in; `None` at the top.
    pub parent_id: Option<ArticleCategoryId>,
    /// Its place among those of its parent.
    pub position: i32,
}

#[derive(Insertable)]
#[diesel(table_name = article_categories)]
struct NewArticleCategory {
    organization_id: OrganizationId,
    id: ArticleCategoryId,
    #[diesel(embed)]
    fields: ArticleCategoryFields,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ArticleCategorySort {
    #[default]
    Position,
}

/// All that is given must hold.
#[derive(Debug, Clone, Copy, Default)]
pub struct ArticleCategoryFilter {
    pub parent_id: Option<ArticleCategoryId>,
    /// Whether they are at the top.
    pub is_at_top: Option<bool>,
}

pub fn create(tx: &mut Tx<'_>, fields: ArticleCategoryFields) -> Result<ArticleCategory> {
    let row = NewArticleCategory {
        organization_id: tx.organization_id(),
        id: ArticleCategoryId::at(tx.now),
        fields,
        created_at: tx.now,
        updated_at: tx.now,
    };
    let category: ArticleCategory = diesel::insert_into(article_categories::table)
        .values(row)
        .returning(ArticleCategory::as_returning())
        .get_result(tx.conn)?;
    record(tx, "created", None, Some(&category))?;
    Ok(category)
}

pub fn find(tx: &mut Tx<'_>, id: ArticleCategoryId) -> Result<ArticleCategory> {
    article_categories::table
        .find((tx.organization_id(), id))
        .select(ArticleCategory::as_select())
        .first(tx.conn)
        .optional()
        .or_not_found("article category")
}

/// Those of `ids` that exist, in no order.
pub fn find_all(tx: &mut Tx<'_>, ids: &[ArticleCategoryId]) -> Result<Vec<ArticleCategory>> {
    Ok(article_categories::table
        .filter(article_categories::organization_id.eq(tx.organization_id()))
        .filter(article_categories::id.eq_any(ids))
        .select(ArticleCategory::as_select())
        .load(tx.conn)?)
}

/// A category and all that are below it.
pub(crate) fn at_and_below(tx: &mut Tx<'_>, id: ArticleCategoryId) -> Result<Vec<ArticleCategoryId>> {
    #[derive(QueryableByName)]
    struct Below {
        #[diesel(sql_type = SqlUuid)]
        id: ArticleCategoryId,
    }
    let below: Vec<Below> = diesel::sql_query(
        "with recursive below as (
             select id from article_categories where organization_id = $1 and id = $2
             union
             select child.id from article_categories child join below on child.organization_id = $1 and child.parent_id = below.id
         )
         select id from below",
    )
    .bind::<SqlUuid, _>(tx.organization_id())
    .bind::<SqlUuid, _>(id)
    .load(tx.conn)?;
    Ok(below.into_iter().map(|below| below.id).collect())
}

/// Locks the row; [`StoreError::Stale`] when somebody has changed it since `seen`.
pub fn lock(tx: &mut Tx<'_>, id: ArticleCategoryId, seen: Option<i32>) -> Result<ArticleCategory> {
    let category = article_categories::table
        .find((tx.organization_id(), id))
        .select(ArticleCategory::as_select())
        .for_no_key_update()
        .first(tx.conn)
        .optional()
        .or_not_found("article category")?;
    StoreError::unless_current(category.version, seen)?;
    Ok(category)
}

/// Writes to a row that [`lock`] has returned, and counts its version up.
pub fn update(tx: &mut Tx<'_>, category: &ArticleCategory, fields: ArticleCategoryFields) -> Result<ArticleCategory> {
    let after = diesel::update(article_categories::table.find((tx.organization_id(), category.id)))
        .set((
            fields,
            article_categories::version.eq(article_categories::version + 1),
            article_categories::updated_at.eq(tx.now),
        ))
        .returning(ArticleCategory::as_returning())
        .get_result(tx.conn)?;
    record(tx, "updated", Some(category), Some(&after))?;
    Ok(after)
}

/// Removes a locked row; [`StoreError::InUse`] while an article or another category is in it.
pub fn delete(tx: &mut Tx<'_>, category: &ArticleCategory) -> Result<()> {
    diesel::delete(article_categories::table.find((tx.organization_id(), category.id)))
        .execute(tx.conn)
        .map_err(StoreError::of_deletion)?;
    record(tx, "deleted", Some(category), None)
}

pub fn list(
    tx: &mut Tx<'_>,
    filter: ArticleCategoryFilter,
    page: &PageRequest<ArticleCategorySort>,
) -> Result<Page<ArticleCategory>> {
    let ArticleCategorySort::Position = page.sort;
    let organization_id = tx.organization_id();
    let filtered = || {
        let mut query =
            article_categories::table.filter(article_categories::organization_id.eq(organization_id)).into_boxed();
        if let Some(parent_id) = filter.parent_id {
            query = query.filter(article_categories::parent_id.eq(parent_id));
        }
        match filter.is_at_top {
            Some(true) => query = query.filter(article_categories::parent_id.is_null()),
            Some(false) => query = query.filter(article_categories::parent_id.is_not_null()),
            None => {}
        }
        query
    };
    let total = page.total(|cap| filtered().select(sql::<Integer>("1")).limit(cap).load(tx.conn))?;
    let rows = keyset!(filtered(), page, article_categories::position => i32, article_categories::id)
        .select(ArticleCategory::as_select())
        .load(tx.conn)?;
    Ok(Page::cut(rows, page, total, |category: &ArticleCategory| Cursor::new(category.fields.position, category.id)))
}

fn record(
    tx: &mut Tx<'_>,
    action: &'static str,
    before: Option<&ArticleCategory>,
    after: Option<&ArticleCategory>,
) -> Result<()> {
    let Some(told) = after.or(before) else { return Ok(()) };
    changes::record(tx, Change::new("article_category", action, (told.id, told.version), before, after))
}
