//! Finding published articles, by what [`article_index`](crate::article_index) keeps of them.
//!
//! All articles that have a term of the question are ranked, by the lists of those terms; the best are scored.

use crate::article_categories;
use crate::article_index::ALL;
use crate::articles::{self, Article, ArticleReader};
use crate::db::Tx;
use crate::error::Result;
use crate::schema::{posting_lists, search_word_keys, search_words, synonym_keys, synonyms};
use chrono::NaiveDate;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Binary, Date, Integer, Nullable, Text, Uuid as SqlUuid};
use opiekun_domain::ids::{ArticleCategoryId, ArticleId};
use opiekun_domain::language::Language;
use opiekun_search::excerpt::excerpt;
use opiekun_search::scoring::{Score, weights_in};
use opiekun_search::{ArticleNumber, PostingList, Question, TermList, Weighted, spelling};
use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap, HashSet};
use uuid::Uuid;

/// So many postings are read at most, of four bytes each: those of the most frequent words are left out first.
const POSTINGS_MAX: i64 = 400_000;
/// So many of the articles that may answer are looked through one after the other for those that are wanted.
const RANKED_FIRST: usize = 2_000;
/// So many articles are looked at closely.
const CANDIDATES: usize = 60;

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

/// Finds the articles that may answer a question, the best first; none where it has no word.
pub fn search(tx: &mut Tx<'_>, search: &ArticleSearch) -> Result<Vec<FoundArticle>> {
    let mut question = Question::read(&search.question);
    if question.is_empty() {
        return Ok(Vec::new());
    }
    understand(tx, &mut question)?;
    let marker = question.marker();
    let mut terms = question.terms();
    terms.insert(ALL.to_owned());
    let articles_of = articles_of(tx, &terms)?;
    let weighted = question.weigh(articles_of.get(ALL).copied().unwrap_or_default(), &articles_of);
    let lists = lists(tx, &weighted, &articles_of)?;
    let wanted = wanted(tx, search, &weighted.rank(&lists))?;
    let weights = weights_in(&lists, &wanted.iter().map(|(_, number)| *number).collect::<Vec<_>>());
    let score = |(id, number): &(ArticleId, ArticleNumber)| Some((*id, weighted.score(weights.get(number)?)));
    let mut scored: Vec<(ArticleId, Score)> = wanted.iter().filter_map(score).collect();
    scored.retain(|(_, score)| score.score > 0);
    scored.sort_by_key(|(id, score)| (Reverse(score.score), *id));
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
        let keyed = search_word_keys::table
            .filter(search_word_keys::organization_id.eq(tx.organization_id()))
            .filter(search_word_keys::key.eq_any(keys))
            .select(search_word_keys::word);
        let near: Vec<(String, i32)> = search_words::table
            .filter(search_words::organization_id.eq(tx.organization_id()))
            .filter(search_words::word.eq_any(keyed))
            .select((search_words::word, search_words::uses))
            .load(tx.conn)?;
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
    let stems = question.stems();
    let of_articles = posting_lists::table
        .filter(posting_lists::organization_id.eq(tx.organization_id()))
        .filter(posting_lists::term.eq_any(&stems))
        .select(posting_lists::term);
    let of_synonyms = synonym_keys::table
        .filter(synonym_keys::organization_id.eq(tx.organization_id()))
        .filter(synonym_keys::key.eq_any(&stems))
        .select(synonym_keys::key);
    Ok(of_articles.union(of_synonyms).load(tx.conn)?.into_iter().collect())
}

diesel::define_sql_function! {
    fn octet_length(bytes: Binary) -> Integer;
}

/// In how many articles each of some terms is, if in any.
fn articles_of(tx: &mut Tx<'_>, terms: &BTreeSet<String>) -> Result<HashMap<String, i64>> {
    let bytes: Vec<(String, Option<i64>)> = posting_lists::table
        .filter(posting_lists::organization_id.eq(tx.organization_id()))
        .filter(posting_lists::term.eq_any(terms))
        .group_by(posting_lists::term)
        .select((posting_lists::term, diesel::dsl::sum(octet_length(posting_lists::postings))))
        .load(tx.conn)?;
    Ok(bytes.into_iter().filter_map(|(term, bytes)| Some((term, bytes? / PostingList::BYTES as i64))).collect())
}

/// The lists of the terms that are in fewest articles, as many as may be read.
fn lists(tx: &mut Tx<'_>, weighted: &Weighted, articles_of: &HashMap<String, i64>) -> Result<Vec<TermList>> {
    let articles_of = |term: &str| articles_of.get(term).copied().unwrap_or_default();
    let mut terms: Vec<&str> = weighted.terms().into_iter().collect();
    terms.sort_by_key(|term| articles_of(term));
    let mut read = 0;
    let mut is_read = |term: &&str| {
        read += articles_of(term);
        read <= POSTINGS_MAX
    };
    let rarest = terms.iter().take_while(|term| is_read(term)).count().max(1);
    terms.truncate(rarest);
    let lists: Vec<(String, i32, Vec<u8>)> = posting_lists::table
        .filter(posting_lists::organization_id.eq(tx.organization_id()))
        .filter(posting_lists::term.eq_any(terms))
        .select((posting_lists::term, posting_lists::first_number, posting_lists::postings))
        .load(tx.conn)?;
    let kept = |(term, first, bytes)| TermList { term, postings: PostingList::kept(ArticleNumber(first), bytes) };
    Ok(lists.into_iter().map(kept).collect())
}

/// The first of some articles that are wanted.
fn wanted(
    tx: &mut Tx<'_>,
    search: &ArticleSearch,
    ranked: &[ArticleNumber],
) -> Result<Vec<(ArticleId, ArticleNumber)>> {
    let category_ids = search.category_id.map(|id| article_categories::at_and_below(tx, id)).transpose()?;
    let mut pick = |ranked: &[ArticleNumber], from: &str| -> Result<Vec<(ArticleId, ArticleNumber)>> {
        #[derive(QueryableByName)]
        struct Wanted {
            #[diesel(sql_type = SqlUuid)]
            article_id: Uuid,
            #[diesel(sql_type = Integer)]
            number: i32,
        }
        let wanted: Vec<Wanted> = diesel::sql_query(from)
            .bind::<SqlUuid, _>(tx.organization_id())
            .bind::<Array<Integer>, _>(ranked.iter().map(|number| number.0).collect::<Vec<_>>())
            .bind::<BigInt, _>(i64::try_from(CANDIDATES).unwrap_or(i64::MAX))
            .bind::<Nullable<Array<SqlUuid>>, _>(&category_ids)
            .bind::<Nullable<Text>, _>(search.language)
            .bind::<Nullable<Date>, _>(search.valid_on)
            .load(tx.conn)?;
        Ok(wanted.into_iter().map(|wanted| (ArticleId(wanted.article_id), ArticleNumber(wanted.number))).collect())
    };
    let (first, others) = ranked.split_at(ranked.len().min(RANKED_FIRST));
    // One after the other, until there are enough.
    let mut wanted = pick(
        first,
        "select wanted.article_id, wanted.number
         from unnest($2) as ranked (number) cross join lateral (
             select known.article_id, known.number
             from article_indexes known join articles on articles.organization_id = $1 and articles.id = known.article_id
             where known.organization_id = $1 and known.number = ranked.number
                 and ($4 is null or category_id = any ($4)) and ($5 is null or language = $5)
                 and ($6 is null or valid_until_on is null or valid_until_on >= $6)
             limit 1
         ) wanted
         limit $3",
    )?;
    // So few of the first are wanted that it is sooner told which all of those are.
    if wanted.len() < CANDIDATES && !others.is_empty() {
        wanted.extend(pick(
            others,
            "select known.article_id, known.number
             from articles
             join article_indexes known on known.organization_id = $1 and known.article_id = articles.id
             join unnest($2) with ordinality as ranked (number, place) on ranked.number = known.number
             where articles.organization_id = $1
                 and ($4 is null or category_id = any ($4)) and ($5 is null or language = $5)
                 and ($6 is null or valid_until_on is null or valid_until_on >= $6)
             order by ranked.place limit $3",
        )?);
        wanted.truncate(CANDIDATES);
    }
    Ok(wanted)
}
