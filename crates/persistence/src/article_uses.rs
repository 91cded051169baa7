//! Uses of articles: which interactions an article answered.

use crate::changes::{self, Change};
use crate::db::Tx;
use crate::error::{OrNotFound, Result};
use crate::page::{Cursor, Page, PageRequest, keyset};
use crate::schema::article_uses;
use chrono::{DateTime, Utc};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Integer;
use opiekun_domain::ids::{ArticleId, ArticleUseId, InteractionId, OperatorId, OrganizationId};
use serde::Serialize;

#[derive(Debug, Clone, Queryable, Selectable, Serialize)]
#[diesel(table_name = article_uses, check_for_backend(diesel::pg::Pg))]
pub struct ArticleUse {
    pub id: ArticleUseId,
    pub article_id: ArticleId,
    pub interaction_id: InteractionId,
    /// The operator who noted it; nobody where a script did.
    pub registered_by_id: Option<OperatorId>,
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

#[derive(Insertable)]
#[diesel(table_name = article_uses)]
struct NewArticleUse {
    organization_id: OrganizationId,
    id: ArticleUseId,
    article_id: ArticleId,
    interaction_id: InteractionId,
    registered_by_id: Option<OperatorId>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// Notes that an article answered an interaction, once each.
pub fn create(tx: &mut Tx<'_>, article_id: ArticleId, interaction_id: InteractionId) -> Result<ArticleUse> {
    let row = NewArticleUse {
        organization_id: tx.organization_id(),
        id: ArticleUseId::at(tx.now),
        article_id,
        interaction_id,
        registered_by_id: tx.scope.actor.operator_id(),
        created_at: tx.now,
        updated_at: tx.now,
    };
    let noted: ArticleUse = diesel::insert_into(article_uses::table)
        .values(row)
        .returning(ArticleUse::as_returning())
        .get_result(tx.conn)?;
    changes::record(tx, Change::new("article_use", "created", (noted.id, noted.version), None, Some(&noted)))?;
    Ok(noted)
}

/// Takes back that an article answered an interaction.
pub fn delete(tx: &mut Tx<'_>, article_id: ArticleId, interaction_id: InteractionId) -> Result<()> {
    let gone: ArticleUse = diesel::delete(article_uses::table)
        .filter(article_uses::organization_id.eq(tx.organization_id()))
        .filter(article_uses::article_id.eq(article_id))
        .filter(article_uses::interaction_id.eq(interaction_id))
        .returning(ArticleUse::as_returning())
        .get_result(tx.conn)
        .optional()
        .or_not_found("article use")?;
    changes::record(tx, Change::new("article_use", "deleted", (gone.id, gone.version), Some(&gone), None))
}

/// What an article answered.
pub fn list(
    tx: &mut Tx<'_>,
    article_id: ArticleId,
    interaction_id: Option<InteractionId>,
    page: &PageRequest<()>,
) -> Result<Page<ArticleUse>> {
    let organization_id = tx.organization_id();
    let filtered = || {
        let mut query = article_uses::table
            .filter(article_uses::organization_id.eq(organization_id))
            .filter(article_uses::article_id.eq(article_id))
            .into_boxed();
        if let Some(interaction_id) = interaction_id {
            query = query.filter(article_uses::interaction_id.eq(interaction_id));
        }
        query
    };
    let total = page.total(|cap| filtered().select(sql::<Integer>("1")).limit(cap).load(tx.conn))?;
    let rows = keyset!(filtered(), page, article_uses::id).select(ArticleUse::as_select()).load(tx.conn)?;
    Ok(Page::cut(rows, page, total, |noted: &ArticleUse| Cursor::new((), noted.id)))
}
