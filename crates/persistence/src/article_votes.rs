//! Votes: whether an article helped. What they sum up to is kept beside the article by triggers.

use crate::changes::{self, Change};
use crate::db::Tx;
use crate::error::Result;
use crate::page::{Cursor, Page, PageRequest, keyset};
use crate::schema::article_votes;
use chrono::{DateTime, Utc};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Integer;
use opiekun_domain::ids::{ArticleId, ArticleVoteId, OperatorId, OrganizationId};
use serde::Serialize;

#[derive(Debug, Clone, Queryable, Selectable, Serialize)]
#[diesel(table_name = article_votes, check_for_backend(diesel::pg::Pg))]
pub struct ArticleVote {
    pub id: ArticleVoteId,
    pub article_id: ArticleId,
    /// Who votes; nobody where a script does.
    pub operator_id: Option<OperatorId>,
    pub helpful: bool,
    pub comment: Option<String>,
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

#[derive(Insertable)]
#[diesel(table_name = article_votes)]
struct NewArticleVote {
    organization_id: OrganizationId,
    id: ArticleVoteId,
    article_id: ArticleId,
    operator_id: Option<OperatorId>,
    helpful: bool,
    comment: Option<String>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// Votes for an article. An operator who has voted before has changed its mind; a script votes anew each time.
pub fn cast(tx: &mut Tx<'_>, article_id: ArticleId, helpful: bool, comment: Option<String>) -> Result<ArticleVote> {
    let organization_id = tx.organization_id();
    let operator_id = tx.scope.actor.operator_id();
    let before: Option<ArticleVote> = match operator_id {
        Some(operator_id) => article_votes::table
            .filter(article_votes::organization_id.eq(organization_id))
            .filter(article_votes::article_id.eq(article_id))
            .filter(article_votes::operator_id.eq(operator_id))
            .select(ArticleVote::as_select())
            .for_update()
            .first(tx.conn)
            .optional()?,
        None => None,
    };
    let Some(before) = before else {
        let row = NewArticleVote {
            organization_id,
            id: ArticleVoteId::at(tx.now),
            article_id,
            operator_id,
            helpful,
            comment,
            created_at: tx.now,
            updated_at: tx.now,
        };
        let vote: ArticleVote = diesel::insert_into(article_votes::table)
            .values(row)
            .returning(ArticleVote::as_returning())
            .get_result(tx.conn)?;
        changes::record(tx, Change::new("article_vote", "created", (vote.id, vote.version), None, Some(&vote)))?;
        return Ok(vote);
    };
    let after: ArticleVote = diesel::update(article_votes::table.find((organization_id, before.id)))
        .set((
            article_votes::helpful.eq(helpful),
            article_votes::comment.eq(comment),
            article_votes::version.eq(article_votes::version + 1),
            article_votes::updated_at.eq(tx.now),
        ))
        .returning(ArticleVote::as_returning())
        .get_result(tx.conn)?;
    changes::record(
        tx,
        Change::new("article_vote", "updated", (after.id, after.version), Some(&before), Some(&after)),
    )?;
    Ok(after)
}

/// The votes for an article.
pub fn list(
    tx: &mut Tx<'_>,
    article_id: ArticleId,
    helpful: Option<bool>,
    page: &PageRequest<()>,
) -> Result<Page<ArticleVote>> {
    let organization_id = tx.organization_id();
    let filtered = || {
        let mut query = article_votes::table
            .filter(article_votes::organization_id.eq(organization_id))
            .filter(article_votes::article_id.eq(article_id))
            .into_boxed();
        if let Some(helpful) = helpful {
            query = query.filter(article_votes::helpful.eq(helpful));
        }
        query
    };
    let total = page.total(|cap| filtered().select(sql::<Integer>("1")).limit(cap).load(tx.conn))?;
    let rows = keyset!(filtered(), page, article_votes::id).select(ArticleVote::as_select()).load(tx.conn)?;
    Ok(Page::cut(rows, page, total, |vote: &ArticleVote| Cursor::new((), vote.id)))
}
