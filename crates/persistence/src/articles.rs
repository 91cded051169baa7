//! Articles: answers to questions that keep coming back, and every text that they had.
//!
//! What a published article is found by is written in the same transaction as its text, by [`article_index`].

use crate::article_index;
use crate::attachments;
use crate::changes::{self, Change};
use crate::db::Tx;
use crate::error::{OrNotFound, Result, StoreError};
use crate::page::{Among, Cursor, Page, PageRequest, keyset};
use crate::schema::{article_links, article_revisions, article_tags, articles};
use chrono::{DateTime, NaiveDate, Utc};
use diesel::dsl::{exists, sql};
use diesel::prelude::*;
use diesel::sql_types::Integer;
use opiekun_domain::article::ArticleStatus;
use opiekun_domain::attachment::AttachmentSubject;
use opiekun_domain::ids::{ArticleCategoryId, ArticleId, ArticleRevisionId, OperatorId, OrganizationId};
use opiekun_domain::language::Language;
use serde::Serialize;
use std::collections::HashMap;

#[derive(Debug, Clone, Queryable, Selectable, Serialize)]
#[diesel(table_name = articles, check_for_backend(diesel::pg::Pg))]
pub struct Article {
    pub id: ArticleId,
    #[diesel(embed)]
    #[serde(flatten)]
    pub fields: ArticleFields,
    /// When it was published for the first time.
    pub published_at: Option<DateTime<Utc>>,
    /// The operator who began it; nobody where a script did.
    pub registered_by_id: Option<OperatorId>,
    /// The number of the text that it has now.
    pub revision: i32,
    /// Counted by the rows themselves: no change of the article.
    #[serde(skip)]
    pub helpful_votes: i32,
    #[serde(skip)]
    pub unhelpful_votes: i32,
    #[serde(skip)]
    pub uses: i32,
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// What a caller may write of the row itself.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset, Serialize)]
#[diesel(table_name = articles, check_for_backend(diesel::pg::Pg), treat_none_as_null = true)]
pub struct ArticleFields {
    pub title: String,
    /// Markdown.
    pub body: String,
    pub language: Language,
    pub status: ArticleStatus,
    pub category_id: Option<ArticleCategoryId>,
    pub tags: Vec<String>,
    /// The last day on which it holds.
    pub valid_until_on: Option<NaiveDate>,
}

impl ArticleFields {
    /// Whether both have one text, so that no revision stands between them.
    fn reads_as(&self, other: &Self) -> bool {
        (&self.title, &self.body, self.language, &self.tags) == (&other.title, &other.body, other.language, &other.tags)
    }
}

#[derive(Insertable)]
#[diesel(table_name = articles)]
struct NewArticle {
    organization_id: OrganizationId,
    id: ArticleId,
    #[diesel(embed)]
    fields: ArticleFields,
    published_at: Option<DateTime<Utc>>,
    registered_by_id: Option<OperatorId>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

#[derive(Insertable)]
#[diesel(table_name = article_links)]
struct NewLink {
    organization_id: OrganizationId,
    article_id: ArticleId,
    related_article_id: ArticleId,
    position: i16,
}

/// A text that an article had.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = article_revisions, check_for_backend(diesel::pg::Pg))]
pub struct ArticleRevision {
    pub id: ArticleRevisionId,
    pub article_id: ArticleId,
    pub number: i32,
    pub title: String,
    pub body: String,
    pub language: Language,
    pub tags: Vec<String>,
    /// When the article was published with it for the first time.
    pub published_at: Option<DateTime<Utc>>,
    /// The revision whose text it has again.
    pub restored_from: Option<i32>,
    /// The operator who wrote it; nobody where a script did.
    pub registered_by_id: Option<OperatorId>,
    pub created_at: DateTime<Utc>,
}

#[derive(Insertable)]
#[diesel(table_name = article_revisions)]
struct NewRevision<'a> {
    organization_id: OrganizationId,
    id: ArticleRevisionId,
    article_id: ArticleId,
    number: i32,
    title: &'a str,
    body: &'a str,
    language: Language,
    tags: &'a [String],
    published_at: Option<DateTime<Utc>>,
    restored_from: Option<i32>,
    registered_by_id: Option<OperatorId>,
    created_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ArticleSort {
    #[default]
    CreatedAt,
    Title,
}

/// All that is given must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ArticleFilter {
    pub status: Option<ArticleStatus>,
    pub language: Option<Language>,
    pub category_id: Option<ArticleCategoryId>,
    /// Those that lead on to it.
    pub related_article_id: Option<ArticleId>,
    /// Those that hold no longer than to the day before.
    pub valid_before_on: Option<NaiveDate>,
    /// Any of these.
    pub tags: Option<Vec<String>>,
}

/// Which articles somebody reads: drafts and archived ones are for those who write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArticleReader {
    Everything,
    Published,
}

impl ArticleReader {
    const fn statuses(self) -> &'static [ArticleStatus] {
        match self {
            Self::Everything => ArticleStatus::ALL,
            Self::Published => &[ArticleStatus::Published],
        }
    }
}

pub fn create(tx: &mut Tx<'_>, fields: ArticleFields, related: &[ArticleId]) -> Result<Article> {
    let row = NewArticle {
        organization_id: tx.organization_id(),
        id: ArticleId::at(tx.now),
        published_at: (fields.status == ArticleStatus::Published).then_some(tx.now),
        registered_by_id: tx.scope.actor.operator_id(),
        fields,
        created_at: tx.now,
        updated_at: tx.now,
    };
    let article: Article =
        diesel::insert_into(articles::table).values(row).returning(Article::as_returning()).get_result(tx.conn)?;
    keep_revision(tx, &article, None)?;
    link(tx, article.id, related)?;
    article_index::keep(tx, &article)?;
    record(tx, "created", None, Some(&article))?;
    Ok(article)
}

fn keep_revision(tx: &mut Tx<'_>, article: &Article, restored_from: Option<i32>) -> Result<()> {
    let row = NewRevision {
        organization_id: tx.organization_id(),
        id: ArticleRevisionId::at(tx.now),
        article_id: article.id,
        number: article.revision,
        title: &article.fields.title,
        body: &article.fields.body,
        language: article.fields.language,
        tags: &article.fields.tags,
        published_at: (article.fields.status == ArticleStatus::Published).then_some(tx.now),
        restored_from,
        registered_by_id: tx.scope.actor.operator_id(),
        created_at: tx.now,
    };
    diesel::insert_into(article_revisions::table).values(row).execute(tx.conn)?;
    Ok(())
}

/// Notes that an article was published with the text that it has.
fn publish_revision(tx: &mut Tx<'_>, article: &Article) -> Result<()> {
    diesel::update(article_revisions::table.find((tx.organization_id(), article.id, article.revision)))
        .filter(article_revisions::published_at.is_null())
        .set(article_revisions::published_at.eq(tx.now))
        .execute(tx.conn)?;
    Ok(())
}

fn link(tx: &mut Tx<'_>, id: ArticleId, related: &[ArticleId]) -> Result<()> {
    let organization_id = tx.organization_id();
    let rows: Vec<NewLink> = related
        .iter()
        .zip(0_i16..)
        .map(|(related_article_id, position)| NewLink {
            organization_id,
            article_id: id,
            related_article_id: *related_article_id,
            position,
        })
        .collect();
    diesel::insert_into(article_links::table).values(rows).execute(tx.conn)?;
    Ok(())
}

/// What each of some articles leads on to, in its order: those that there are for the reader.
pub fn related(
    tx: &mut Tx<'_>,
    reader: ArticleReader,
    ids: &[ArticleId],
) -> Result<HashMap<ArticleId, Vec<ArticleId>>> {
    let organization_id = tx.organization_id();
    let readable = articles::table
        .filter(articles::organization_id.eq(organization_id))
        .filter(articles::id.eq(article_links::related_article_id))
        .filter(articles::status.eq_any(reader.statuses()));
    let rows: Vec<(ArticleId, ArticleId)> = article_links::table
        .filter(article_links::organization_id.eq(organization_id))
        .filter(article_links::article_id.eq_any(ids))
        .filter(exists(readable))
        .order((article_links::article_id, article_links::position))
        .select((article_links::article_id, article_links::related_article_id))
        .load(tx.conn)?;
    let mut related: HashMap<ArticleId, Vec<ArticleId>> = HashMap::new();
    for (article_id, related_article_id) in rows {
        related.entry(article_id).or_default().push(related_article_id);
    }
    Ok(related)
}

pub fn find(tx: &mut Tx<'_>, reader: ArticleReader, id: ArticleId) -> Result<Article> {
    articles::table
        .find((tx.organization_id(), id))
        .filter(articles::status.eq_any(reader.statuses()))
        .select(Article::as_select())
        .first(tx.conn)
        .optional()
        .or_not_found("article")
}

/// Those of `ids` that there are for the reader, in no order.
pub fn find_all(tx: &mut Tx<'_>, reader: ArticleReader, ids: &[ArticleId]) -> Result<Vec<Article>> {
    Ok(articles::table
        .filter(articles::organization_id.eq(tx.organization_id()))
        .filter(articles::id.eq_any(ids))
        .filter(articles::status.eq_any(reader.statuses()))
        .select(Article::as_select())
        .load(tx.conn)?)
}

/// Which of `ids` there are for the reader, in no order; those alone that are not withdrawn and hold on a day, if one is given.
pub fn visible(
    tx: &mut Tx<'_>,
    reader: ArticleReader,
    ids: &[ArticleId],
    held_on: Option<NaiveDate>,
) -> Result<Vec<ArticleId>> {
    let mut visible = articles::table
        .filter(articles::organization_id.eq(tx.organization_id()))
        .filter(articles::id.eq_any(ids))
        .filter(articles::status.eq_any(reader.statuses()))
        .select(articles::id)
        .into_boxed();
    if let Some(day) = held_on {
        visible = visible
            .filter(articles::status.ne(ArticleStatus::Archived))
            .filter(articles::valid_until_on.is_null().or(articles::valid_until_on.ge(day)));
    }
    Ok(visible.load(tx.conn)?)
}

/// Locks the row; [`StoreError::Stale`] when somebody has changed it since `seen`.
pub fn lock(tx: &mut Tx<'_>, id: ArticleId, seen: Option<i32>) -> Result<Article> {
    let article = articles::table
        .find((tx.organization_id(), id))
        .select(Article::as_select())
        .for_no_key_update()
        .first(tx.conn)
        .optional()
        .or_not_found("article")?;
    StoreError::unless_current(article.version, seen)?;
    Ok(article)
}

/// Writes to a row that [`lock`] has returned, and counts its version up. Another text is another revision.
pub fn update(tx: &mut Tx<'_>, article: &Article, fields: ArticleFields, related: &[ArticleId]) -> Result<Article> {
    diesel::delete(article_links::table)
        .filter(article_links::organization_id.eq(tx.organization_id()))
        .filter(article_links::article_id.eq(article.id))
        .execute(tx.conn)?;
    link(tx, article.id, related)?;
    write(tx, article, fields, None)
}

/// Gives a locked article the text of one of its revisions again, as a new one.
pub fn restore(tx: &mut Tx<'_>, article: &Article, revision: ArticleRevision) -> Result<Article> {
    let ArticleRevision { number, title, body, language, tags, .. } = revision;
    let fields = ArticleFields { title, body, language, tags, ..article.fields.clone() };
    write(tx, article, fields, Some(number))
}

fn write(tx: &mut Tx<'_>, article: &Article, fields: ArticleFields, restored_from: Option<i32>) -> Result<Article> {
    let is_new_text = !fields.reads_as(&article.fields);
    let published_at = match (fields.status, article.published_at) {
        (ArticleStatus::Published, None) => Some(tx.now),
        (_, published_at) => published_at,
    };
    let after: Article = diesel::update(articles::table.find((tx.organization_id(), article.id)))
        .set((
            fields,
            articles::published_at.eq(published_at),
            articles::revision.eq(article.revision + i32::from(is_new_text)),
            articles::version.eq(articles::version + 1),
            articles::updated_at.eq(tx.now),
        ))
        .returning(Article::as_returning())
        .get_result(tx.conn)?;
    if is_new_text {
        keep_revision(tx, &after, restored_from)?;
    } else if after.fields.status == ArticleStatus::Published && article.fields.status != ArticleStatus::Published {
        publish_revision(tx, &after)?;
    }
    if is_new_text || after.fields.status != article.fields.status {
        article_index::keep(tx, &after)?;
    }
    record(tx, "updated", Some(article), Some(&after))?;
    Ok(after)
}

/// Removes a locked row with its revisions, votes, uses and files.
pub fn delete(tx: &mut Tx<'_>, article: &Article) -> Result<()> {
    attachments::delete_all(tx, AttachmentSubject::Article(article.id))?;
    article_index::forget(tx, article.id)?;
    diesel::delete(articles::table.find((tx.organization_id(), article.id)))
        .execute(tx.conn)
        .map_err(StoreError::of_deletion)?;
    record(tx, "deleted", Some(article), None)
}

pub fn list(
    tx: &mut Tx<'_>,
    reader: ArticleReader,
    filter: &ArticleFilter,
    page: &PageRequest<ArticleSort>,
) -> Result<Page<Article>> {
    let organization_id = tx.organization_id();
    // Nothing is told of what leads on to an article that the reader doesn't know of.
    let leads_to: Option<Vec<ArticleId>> = match filter.related_article_id {
        Some(id) => Some(find_all(tx, reader, &[id])?.into_iter().map(|article| article.id).collect()),
        None => None,
    };
    let filtered = || {
        let mut query = articles::table.filter(articles::organization_id.eq(organization_id)).into_boxed();
        if reader == ArticleReader::Published {
            query = query.filter(articles::status.eq(ArticleStatus::Published));
        }
        if let Some(status) = filter.status {
            query = query.filter(articles::status.eq(status));
        }
        if let Some(language) = filter.language {
            query = query.filter(articles::language.eq(language));
        }
        if let Some(category_id) = filter.category_id {
            query = query.filter(articles::category_id.eq(category_id));
        }
        if let Some(leads_to) = &leads_to {
            let leading = article_links::table
                .filter(article_links::organization_id.eq(organization_id))
                .filter(article_links::related_article_id.eq_any(leads_to.clone()))
                .select(article_links::article_id);
            query = query.filter(articles::id.eq_any(leading));
        }
        if let Some(day) = filter.valid_before_on {
            query = query.filter(articles::valid_until_on.lt(day));
        }
        query
    };
    // What has a tag is read in the order of the rows of tags.
    let tags = || filter.tags.iter().flatten();
    let tagged = |tag| {
        article_tags::table
            .filter(article_tags::organization_id.eq(organization_id))
            .filter(article_tags::tag.eq(tag))
            .filter(article_tags::article_id.eq_any(filtered().select(articles::id)))
            .select(article_tags::article_id)
            .into_boxed()
    };
    let found = |among| {
        if filter.tags.is_some() {
            return articles::table.filter(articles::organization_id.eq(organization_id)).filter(among).into_boxed();
        }
        filtered()
    };
    let total = page.total(|cap| {
        let mut among = Among::new(articles::id);
        tags().for_each(|tag| among.push(tagged(tag).limit(cap)));
        found(among).select(sql::<Integer>("1")).limit(cap).load(tx.conn)
    })?;
    let mut among = Among::new(articles::id);
    let rows = match page.sort {
        ArticleSort::CreatedAt => {
            for tag in tags() {
                among.push(keyset!(tagged(tag), page, article_tags::article_id));
            }
            keyset!(found(among), page, articles::id)
                .select((Article::as_select(), articles::sort_title))
                .load(tx.conn)?
        }
        ArticleSort::Title => {
            for tag in tags() {
                among.push(keyset!(tagged(tag), page, article_tags::sort_title => String, article_tags::article_id));
            }
            keyset!(found(among), page, articles::sort_title => String, articles::id)
                .select((Article::as_select(), articles::sort_title))
                .load(tx.conn)?
        }
    };
    let page: Page<(Article, String)> = Page::cut(rows, page, total, |(article, sort_title)| match page.sort {
        ArticleSort::CreatedAt => Cursor::new((), article.id),
        ArticleSort::Title => Cursor::new(sort_title, article.id),
    });
    let Page { items, next, total } = page;
    Ok(Page { items: items.into_iter().map(|(article, _)| article).collect(), next, total })
}

/// The texts of an article that there are for the reader: all, or those with which it was published.
pub fn revisions(
    tx: &mut Tx<'_>,
    reader: ArticleReader,
    id: ArticleId,
    page: &PageRequest<ArticleRevisionSort>,
) -> Result<Page<ArticleRevision>> {
    let ArticleRevisionSort::Number = page.sort;
    let organization_id = tx.organization_id();
    let filtered = || {
        let query = article_revisions::table
            .filter(article_revisions::organization_id.eq(organization_id))
            .filter(article_revisions::article_id.eq(id))
            .into_boxed();
        match reader {
            ArticleReader::Everything => query,
            ArticleReader::Published => query.filter(article_revisions::published_at.is_not_null()),
        }
    };
    let total = page.total(|cap| filtered().select(sql::<Integer>("1")).limit(cap).load(tx.conn))?;
    let rows = keyset!(filtered(), page, article_revisions::number => i32, article_revisions::article_id)
        .select(ArticleRevision::as_select())
        .load(tx.conn)?;
    Ok(Page::cut(rows, page, total, |row: &ArticleRevision| Cursor::new(row.number, row.article_id)))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ArticleRevisionSort {
    #[default]
    Number,
}

/// One text of an article; `None` where it never had so many.
pub fn revision(tx: &mut Tx<'_>, id: ArticleId, number: i32) -> Result<Option<ArticleRevision>> {
    Ok(article_revisions::table
        .find((tx.organization_id(), id, number))
        .select(ArticleRevision::as_select())
        .first(tx.conn)
        .optional()?)
}

fn record(tx: &mut Tx<'_>, action: &'static str, before: Option<&Article>, after: Option<&Article>) -> Result<()> {
    let Some(told) = after.or(before) else { return Ok(()) };
    changes::record(tx, Change::new("article", action, (told.id, told.version), before, after))
}
