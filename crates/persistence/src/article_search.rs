//! What published articles are found by, and finding them.
//!
//! The terms of an article are made by `opiekun_search` and written in the transaction of its change. A question is looked
//! up by its rarest terms first, until so many rows were read; what comes out best is scored by all of them.

use crate::articles::{self, Article, ArticleReader};
use crate::db::{Db, Scope, Tx};
use crate::error::Result;
use crate::schema::{
    article_indexes, article_postings, article_terms, articles as article_rows, organizations, search_words,
    synonym_keys, synonyms,
};
use chrono::{DateTime, NaiveDate, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Date, Integer, Nullable, SmallInt, Text, Uuid as SqlUuid};
use opiekun_domain::article::ArticleStatus;
use opiekun_domain::ids::{ArticleCategoryId, ArticleId};
use opiekun_domain::language::Language;
use opiekun_search::document::Indexed;
use opiekun_search::excerpt::excerpt;
use opiekun_search::question::{Lookup, Score, telling_words};
use opiekun_search::{Document, Question, VERSION, Weighted, spelling};
use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap, HashSet};
use uuid::Uuid;

/// So many postings are read to find out which articles may answer.
const POSTINGS_MAX: i64 = 4_000;
/// So many articles are looked at closely.
const CANDIDATES: i64 = 40;
/// Under this term it is counted how many articles there are.
const ALL: &str = "";

/// What is asked.
#[derive(Debug, Clone)]
pub struct ArticleSearch {
    pub question: String,
    pub language: Option<Language>,
    /// In this category, or below it.
    pub category_id: Option<ArticleCategoryId>,
    /// Without articles that held no longer than to the day before.
    pub valid_on: Option<NaiveDate>,
    pub limit: usize,
}

/// An article that may answer.
#[derive(Debug, Clone)]
pub struct FoundArticle {
    pub article: Article,
    /// From 1 to 1000.
    pub score: i32,
    /// Whether that is enough for an answer.
    pub answers: bool,
    /// A piece of HTML.
    pub excerpt: String,
}

/// Holds everybody else off what articles of the organization are found by, until the transaction ends.
pub(crate) fn hold(tx: &mut Tx<'_>) -> Result<()> {
    diesel::sql_query("select pg_advisory_xact_lock(hashtextextended('article_search ' || $1, 0))")
        .bind::<Text, _>(tx.organization_id().to_string())
        .execute(tx.conn)?;
    Ok(())
}

/// Has an article found by the text that it has now, if it is published, and by nothing else.
pub(crate) fn keep(tx: &mut Tx<'_>, article: &Article) -> Result<()> {
    forget(tx, article.id)?;
    let fields = &article.fields;
    if fields.status != ArticleStatus::Published {
        return Ok(());
    }
    let Indexed { postings, words } = Document { title: &fields.title, tags: &fields.tags, body: &fields.body }.index();
    let terms: Vec<&str> = postings.iter().map(|posting| posting.term.as_str()).collect();
    let weights: Vec<i16> = postings.iter().map(|posting| posting.weight).collect();
    diesel::sql_query(
        "insert into article_postings (organization_id, term, article_id, weight)
         select $1, term, $2, weight from unnest($3, $4) as posting (term, weight)",
    )
    .bind::<SqlUuid, _>(tx.organization_id())
    .bind::<SqlUuid, _>(article.id)
    .bind::<Array<Text>, _>(&terms)
    .bind::<Array<SmallInt>, _>(&weights)
    .execute(tx.conn)?;
    diesel::sql_query(
        "insert into article_terms as known (organization_id, term, articles)
         select $1, term, 1 from unnest($2) as term
         on conflict (organization_id, term) do update set articles = known.articles + 1",
    )
    .bind::<SqlUuid, _>(tx.organization_id())
    .bind::<Array<Text>, _>(terms.iter().chain([&ALL]).collect::<Vec<_>>())
    .execute(tx.conn)?;
    know(tx, &words)?;
    diesel::insert_into(article_indexes::table)
        .values((
            article_indexes::organization_id.eq(tx.organization_id()),
            article_indexes::article_id.eq(article.id),
            article_indexes::search_version.eq(VERSION),
            article_indexes::words.eq(words.into_iter().collect::<Vec<_>>()),
            article_indexes::terms.eq(&terms),
            article_indexes::weights.eq(&weights),
        ))
        .execute(tx.conn)?;
    Ok(())
}

/// Has an article found by nothing.
pub(crate) fn forget(tx: &mut Tx<'_>, id: ArticleId) -> Result<()> {
    hold(tx)?;
    let known: Option<(Vec<String>, Vec<String>)> =
        diesel::delete(article_indexes::table.find((tx.organization_id(), id)))
            .returning((article_indexes::words, article_indexes::terms))
            .get_result(tx.conn)
            .optional()?;
    let Some((words, mut terms)) = known else { return Ok(()) };
    diesel::delete(article_postings::table)
        .filter(article_postings::organization_id.eq(tx.organization_id()))
        .filter(article_postings::term.eq_any(&terms))
        .filter(article_postings::article_id.eq(id))
        .execute(tx.conn)?;
    terms.push(ALL.to_owned());
    diesel::sql_query(
        "update article_terms known set articles = known.articles - 1
         where organization_id = $1 and term = any ($2)",
    )
    .bind::<SqlUuid, _>(tx.organization_id())
    .bind::<Array<Text>, _>(terms)
    .execute(tx.conn)?;
    unknow(tx, &words.into_iter().collect())
}

/// Has misspelt words compared with those of synonyms.
pub(crate) fn know_words<'a>(tx: &mut Tx<'_>, synonyms: impl Iterator<Item = &'a String>) -> Result<()> {
    know(tx, &telling_words(synonyms))
}

/// Undoes [`know_words`] of the same synonyms.
pub(crate) fn forget_words<'a>(tx: &mut Tx<'_>, synonyms: impl Iterator<Item = &'a String>) -> Result<()> {
    unknow(tx, &telling_words(synonyms))
}

fn know(tx: &mut Tx<'_>, words: &BTreeSet<String>) -> Result<()> {
    let organization_id = tx.organization_id();
    let words: Vec<&String> = words.iter().collect();
    let counted: Vec<Counted> = diesel::sql_query(
        "insert into search_words as known (organization_id, word, uses)
         select $1, word, 1 from unnest($2) as word
         on conflict (organization_id, word) do update set uses = known.uses + 1
         returning word as name, uses as number",
    )
    .bind::<SqlUuid, _>(organization_id)
    .bind::<Array<Text>, _>(words)
    .load(tx.conn)?;
    let new = counted.iter().filter(|counted| counted.number == 1).map(|counted| counted.name.as_str());
    let keyed = new.flat_map(|word| spelling::keys(word).into_iter().map(move |key| (key, word)));
    let (keys, words): (Vec<String>, Vec<&str>) = keyed.unzip();
    diesel::sql_query(
        "insert into search_word_keys (organization_id, key, word)
         select $1, key, word from unnest($2, $3) as keyed (key, word)
         on conflict do nothing",
    )
    .bind::<SqlUuid, _>(organization_id)
    .bind::<Array<Text>, _>(keys)
    .bind::<Array<Text>, _>(words)
    .execute(tx.conn)?;
    Ok(())
}

fn unknow(tx: &mut Tx<'_>, words: &BTreeSet<String>) -> Result<()> {
    let words: Vec<&String> = words.iter().collect();
    diesel::update(search_words::table)
        .filter(search_words::organization_id.eq(tx.organization_id()))
        .filter(search_words::word.eq_any(&words))
        .set(search_words::uses.eq(search_words::uses - 1))
        .execute(tx.conn)?;
    diesel::delete(search_words::table)
        .filter(search_words::organization_id.eq(tx.organization_id()))
        .filter(search_words::word.eq_any(&words))
        .filter(search_words::uses.le(0))
        .execute(tx.conn)?;
    Ok(())
}

#[derive(QueryableByName)]
struct Counted {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Integer)]
    number: i32,
}

/// Finds the articles that may answer a question, the best first; none where it has no word.
pub fn search(tx: &mut Tx<'_>, search: &ArticleSearch) -> Result<Vec<FoundArticle>> {
    let mut question = Question::read(&search.question);
    if question.is_empty() {
        return Ok(Vec::new());
    }
    understand(tx, &mut question)?;
    let marker = question.marker();
    let articles_of = articles_of(tx, question.terms().into_iter().chain([ALL.to_owned()]).collect())?;
    let weighted = question.weigh(articles_of.get(ALL).copied().unwrap_or_default(), &articles_of);
    let mut scored = score(tx, search, &weighted, &articles_of)?;
    scored.truncate(search.limit);
    let ids: Vec<ArticleId> = scored.iter().map(|(id, _)| *id).collect();
    let rows = articles::find_all(tx, ArticleReader::Published, &ids)?;
    let mut rows: HashMap<ArticleId, Article> = rows.into_iter().map(|article| (article.id, article)).collect();
    let found = scored.into_iter().filter_map(|(id, score)| {
        let article = rows.remove(&id)?;
        let excerpt = excerpt(&article.fields.body, &marker);
        Some(FoundArticle { article, score: score.score, answers: score.answers(), excerpt })
    });
    Ok(found.collect())
}

/// Corrects what is misspelt, and adds synonyms.
fn understand(tx: &mut Tx<'_>, question: &mut Question) -> Result<()> {
    let known = known_stems(tx, question)?;
    let misspelt = question.unknown(|stem| known.contains(stem));
    if !misspelt.is_empty() {
        let keys: BTreeSet<String> = misspelt.iter().flat_map(|word| spelling::keys(word)).collect();
        let near: Vec<Counted> = diesel::sql_query(
            "select word as name, uses as number from search_words
             where organization_id = $1 and word in (
                 select word from search_word_keys where organization_id = $1 and key = any ($2)
             )",
        )
        .bind::<SqlUuid, _>(tx.organization_id())
        .bind::<Array<Text>, _>(keys.into_iter().collect::<Vec<_>>())
        .load(tx.conn)?;
        let near: Vec<(String, i32)> = near.into_iter().map(|counted| (counted.name, counted.number)).collect();
        for word in &misspelt {
            question.correct(word, &near);
        }
    }
    let keyed = synonym_keys::table
        .filter(synonym_keys::organization_id.eq(tx.organization_id()))
        .filter(synonym_keys::key.eq_any(question.keys()))
        .select(synonym_keys::synonym_id);
    let groups: Vec<Vec<String>> = synonyms::table
        .filter(synonyms::organization_id.eq(tx.organization_id()))
        .filter(synonyms::id.eq_any(keyed))
        .order(synonyms::id)
        .select(synonyms::terms)
        .load(tx.conn)?;
    question.expand(&groups);
    Ok(())
}

/// Those stems of a question that are in an article, or a synonym.
pub(crate) fn known_stems(tx: &mut Tx<'_>, question: &Question) -> Result<HashSet<String>> {
    #[derive(QueryableByName)]
    struct Known {
        #[diesel(sql_type = Text)]
        stem: String,
    }
    let known: Vec<Known> = diesel::sql_query(
        "select term as stem from article_terms where organization_id = $1 and term = any ($2) and articles > 0
         union all
         select key from synonym_keys where organization_id = $1 and key = any ($2)",
    )
    .bind::<SqlUuid, _>(tx.organization_id())
    .bind::<Array<Text>, _>(question.stems().into_iter().collect::<Vec<_>>())
    .load(tx.conn)?;
    Ok(known.into_iter().map(|known| known.stem).collect())
}

/// In how many articles each of some terms is, if in any.
fn articles_of(tx: &mut Tx<'_>, terms: Vec<String>) -> Result<HashMap<String, i64>> {
    let counted: Vec<(String, i32)> = article_terms::table
        .filter(article_terms::organization_id.eq(tx.organization_id()))
        .filter(article_terms::term.eq_any(terms))
        .filter(article_terms::articles.gt(0))
        .select((article_terms::term, article_terms::articles))
        .load(tx.conn)?;
    Ok(counted.into_iter().map(|(term, articles)| (term, i64::from(articles))).collect())
}

#[derive(QueryableByName)]
struct Hit {
    #[diesel(sql_type = SqlUuid)]
    article_id: Uuid,
    #[diesel(sql_type = Text)]
    term: String,
    #[diesel(sql_type = SmallInt)]
    weight: i16,
}

/// The articles with their scores, the best first.
fn score(
    tx: &mut Tx<'_>,
    search: &ArticleSearch,
    weighted: &Weighted,
    articles_of: &HashMap<String, i64>,
) -> Result<Vec<(ArticleId, Score)>> {
    let mut lookups = weighted.lookups();
    let articles_of = |lookup: &Lookup| articles_of.get(&lookup.term).copied().unwrap_or_default();
    lookups.sort_by(|one, other| (articles_of(one), &one.term).cmp(&(articles_of(other), &other.term)));
    let mut read = 0;
    let is_frequent = |lookup: &Lookup| {
        read += articles_of(lookup);
        read > POSTINGS_MAX
    };
    let rare = lookups.iter().position(is_frequent).unwrap_or(lookups.len()).max(1).min(lookups.len());
    let hits = hits(tx, search, &lookups, rare)?;
    let mut weights: HashMap<Uuid, HashMap<&str, i16>> = HashMap::new();
    for hit in &hits {
        weights.entry(hit.article_id).or_default().insert(&hit.term, hit.weight);
    }
    let mut scored: Vec<(ArticleId, Score)> =
        weights.iter().map(|(id, weights)| (ArticleId(*id), weighted.score(weights))).collect();
    scored.retain(|(_, score)| score.score > 0);
    scored.sort_by_key(|(id, score)| (Reverse(score.score), *id));
    Ok(scored)
}

/// The postings, under some terms, of those articles that have most of the first ones, which are the rare ones.
fn hits(tx: &mut Tx<'_>, search: &ArticleSearch, lookups: &[Lookup], rare: usize) -> Result<Vec<Hit>> {
    let terms: Vec<&str> = lookups.iter().map(|lookup| lookup.term.as_str()).collect();
    let weights: Vec<i32> = lookups.iter().map(|lookup| lookup.weight).collect();
    let is_narrowed = search.language.is_some() || search.category_id.is_some() || search.valid_on.is_some();
    // Only of the best it is asked whether they are wanted, one after the other.
    let wanted = if is_narrowed {
        "cross join lateral (
             select from articles
             where organization_id = $1 and id = article_id and ($6 is null or category_id in (select id from below))
                 and ($7 is null or language = $7) and ($8 is null or valid_until_on is null or valid_until_on >= $8)
             limit 1
         ) wanted"
    } else {
        ""
    };
    Ok(diesel::sql_query(format!(
        "with recursive below as (
             select id from article_categories where organization_id = $1 and id = $6
             union all
             select child.id from article_categories child join below on child.organization_id = $1 and child.parent_id = below.id
         ), ranked as materialized (
             select article_id
             from unnest($2[:$4], $3[:$4]) as asked (term, weight) join article_postings posting
                 on posting.organization_id = $1 and posting.term = asked.term
             group by article_id
             order by sum(posting.weight * asked.weight) desc, article_id
         ), best as materialized (
             select article_id from ranked {wanted} limit $5
         )
         select article_id, posting.term, posting.weight
         from article_indexes, unnest(terms, weights) as posting (term, weight)
         where organization_id = $1 and article_id in (select article_id from best) and posting.term = any ($2)"
    ))
    .bind::<SqlUuid, _>(tx.organization_id())
    .bind::<Array<Text>, _>(terms)
    .bind::<Array<Integer>, _>(weights)
    .bind::<Integer, _>(i32::try_from(rare).unwrap_or(i32::MAX))
    .bind::<BigInt, _>(CANDIDATES)
    .bind::<Nullable<SqlUuid>, _>(search.category_id)
    .bind::<Nullable<Text>, _>(search.language)
    .bind::<Nullable<Date>, _>(search.valid_on)
    .load(tx.conn)?)
}

/// Indexes the articles of the scope's organization anew, some a transaction, so that they are searched and changed
/// meanwhile; tells how many there were.
pub(crate) fn reindex(db: &Db, scope: Scope, clock: &impl Fn() -> DateTime<Utc>) -> Result<usize> {
    const ARTICLES_AT_ONCE: i64 = 50;
    let mut after = None;
    let mut indexed = 0;
    db.transaction(scope, clock(), |tx| -> Result<()> {
        hold(tx)?;
        let version: i32 = organizations::table
            .find(tx.organization_id())
            .select(organizations::search_version)
            .for_no_key_update()
            .first(tx.conn)?;
        if version == 0 { crate::synonyms::begin(tx) } else { crate::synonyms::rekey(tx) }?;
        diesel::update(organizations::table.find(tx.organization_id()))
            .set(organizations::search_version.eq(version.max(1)))
            .execute(tx.conn)?;
        Ok(())
    })?;
    loop {
        let page: Vec<Article> = db.transaction(scope, clock(), |tx| -> Result<Vec<Article>> {
            hold(tx)?;
            let mut page = article_rows::table
                .filter(article_rows::organization_id.eq(tx.organization_id()))
                .filter(article_rows::status.eq(ArticleStatus::Published))
                .order(article_rows::id)
                .limit(ARTICLES_AT_ONCE)
                .select(Article::as_select())
                .into_boxed();
            if let Some(after) = after {
                page = page.filter(article_rows::id.gt(after));
            }
            let page: Vec<Article> = page.load(tx.conn)?;
            page.iter().try_for_each(|article| keep(tx, article))?;
            Ok(page)
        })?;
        indexed += page.len();
        match page.last() {
            Some(last) => after = Some(last.id),
            None => break,
        }
    }
    db.transaction(scope, clock(), |tx| -> Result<()> {
        hold(tx)?;
        diesel::delete(article_terms::table)
            .filter(article_terms::organization_id.eq(tx.organization_id()))
            .filter(article_terms::articles.eq(0))
            .execute(tx.conn)?;
        Ok(())
    })?;
    Ok(indexed)
}
