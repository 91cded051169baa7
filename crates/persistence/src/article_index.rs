//! What published articles are found by, written in the transaction of each change; [`article_search`](crate::article_search)
//! looks it up. What of a text that is, `opiekun_search` tells.

use crate::articles::Article;
use crate::bulk::copy_rows;
use crate::db::{Db, Scope, Tx};
use crate::error::Result;
use crate::schema::{article_indexes, articles, organizations, search_words};
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, Binary, Integer, Text, Uuid as SqlUuid};
use opiekun_domain::article::ArticleStatus;
use opiekun_domain::ids::{ArticleId, OrganizationId};
use opiekun_search::document::Indexed;
use opiekun_search::question::telling_words;
use opiekun_search::{ArticleNumber, Document, Posting, PostingList, PostingLists, VERSION, spelling};
use std::collections::{BTreeMap, HashMap, HashSet};

/// The term of which all articles are.
pub(crate) const ALL: &str = "";

/// Holds everybody else off what articles of the organization are found by, until the transaction ends.
pub(crate) fn hold(tx: &mut Tx<'_>) -> Result<()> {
    diesel::sql_query("select pg_advisory_xact_lock(hashtextextended('article_search ' || $1, 0))")
        .bind::<Text, _>(tx.organization_id().to_string())
        .execute(tx.conn)?;
    Ok(())
}

/// Has an article found by the text that it has now, if it is published, and by nothing else.
pub(crate) fn keep(tx: &mut Tx<'_>, article: &Article) -> Result<()> {
    keep_all(tx, std::slice::from_ref(article))
}

/// Has an article found by nothing.
pub(crate) fn forget(tx: &mut Tx<'_>, id: ArticleId) -> Result<()> {
    write(tx, &[id], Vec::new())
}

fn keep_all(tx: &mut Tx<'_>, articles: &[Article]) -> Result<()> {
    let ids: Vec<ArticleId> = articles.iter().map(|article| article.id).collect();
    let published = articles.iter().filter(|article| article.fields.status == ArticleStatus::Published);
    let indexed = published.map(|Article { id, fields, .. }| {
        (*id, Document { title: &fields.title, tags: &fields.tags, body: &fields.body }.index())
    });
    write(tx, &ids, indexed.collect())
}

/// What terms are to weigh in articles, or that they are gone from there.
type Changes = BTreeMap<String, BTreeMap<ArticleNumber, Option<i16>>>;

/// Has these articles found by nothing but what is told of some of them.
fn write(tx: &mut Tx<'_>, ids: &[ArticleId], indexed: Vec<(ArticleId, Indexed)>) -> Result<()> {
    hold(tx)?;
    let organization_id = tx.organization_id();
    let known: Vec<(ArticleId, i32, Vec<String>, Vec<String>)> = diesel::delete(article_indexes::table)
        .filter(article_indexes::organization_id.eq(organization_id))
        .filter(article_indexes::article_id.eq_any(ids))
        .returning((
            article_indexes::article_id,
            article_indexes::number,
            article_indexes::words,
            article_indexes::terms,
        ))
        .load(tx.conn)?;
    // What is not published, as it was not before, is found by nothing as it is.
    if known.is_empty() && indexed.is_empty() {
        return Ok(());
    }
    let last: Option<i32> = article_indexes::table
        .filter(article_indexes::organization_id.eq(organization_id))
        .select(diesel::dsl::max(article_indexes::number))
        .first(tx.conn)?;
    let last = last.max(known.iter().map(|(_, number, ..)| *number).max());
    let mut changes = Changes::new();
    let mut change = |term: String, number: ArticleNumber, weight: Option<i16>| {
        changes.entry(term).or_default().insert(number, weight);
    };
    let mut uses: BTreeMap<String, i32> = BTreeMap::new();
    let mut numbers: HashMap<ArticleId, ArticleNumber> = HashMap::new();
    for (id, number, words, terms) in known {
        let number = ArticleNumber(number);
        numbers.insert(id, number);
        terms.into_iter().chain([ALL.to_owned()]).for_each(|term| change(term, number, None));
        words.into_iter().for_each(|word| *uses.entry(word).or_default() -= 1);
    }
    let mut unused = last.map_or(0, |last| last + 1)..;
    let mut rows = Vec::new();
    for (id, Indexed { postings, words }) in indexed {
        let number = numbers.get(&id).copied().or_else(|| unused.next().map(ArticleNumber));
        let Some(number) = number else { continue };
        let mut terms = Vec::new();
        change(ALL.to_owned(), number, Some(1));
        for Posting { term, weight } in postings {
            change(term.clone(), number, Some(weight));
            terms.push(term);
        }
        words.iter().for_each(|word| *uses.entry(word.clone()).or_default() += 1);
        rows.push((id, number, words, terms));
    }
    write_lists(tx, changes)?;
    count_words(tx, &uses)?;
    copy_rows!(tx.conn, article_indexes, rows, |(id, number, words, terms)| {
        organization_id: OrganizationId = organization_id,
        article_id: ArticleId = id,
        search_version: i32 = VERSION,
        words: Vec<String> = words.into_iter().collect(),
        terms: Vec<String> = terms,
        number: i32 = number.0,
    })?;
    Ok(())
}

fn write_lists(tx: &mut Tx<'_>, changes: Changes) -> Result<()> {
    let before = lists_of(tx, &changes)?;
    let mut after = before.clone();
    for (term, weights) in changes {
        let lists = after.entry(term).or_default();
        for (number, weight) in weights {
            match weight {
                Some(weight) => lists.put(number, weight),
                None => lists.take(number),
            }
        }
    }
    let known: HashSet<(&str, &PostingList)> = lists_in(&before).collect();
    let changed = lists_in(&after).filter(|list| !known.contains(list));
    let (gone, written): (Vec<_>, Vec<_>) = changed.partition(|(_, list)| list.is_empty());
    let keys = |lists: &[(&str, &PostingList)]| -> (Vec<String>, Vec<i32>) {
        lists.iter().map(|(term, list)| ((*term).to_owned(), list.first().0)).unzip()
    };
    let (terms, first) = keys(&written);
    diesel::sql_query(
        "insert into posting_lists (organization_id, term, first_number, postings)
         select $1, term, first_number, postings from unnest($2, $3, $4) as list (term, first_number, postings)
         on conflict (organization_id, term, first_number) do update set postings = excluded.postings",
    )
    .bind::<SqlUuid, _>(tx.organization_id())
    .bind::<Array<Text>, _>(terms)
    .bind::<Array<Integer>, _>(first)
    .bind::<Array<Binary>, _>(written.iter().map(|(_, list)| list.bytes()).collect::<Vec<_>>())
    .execute(tx.conn)?;
    if gone.is_empty() {
        return Ok(());
    }
    let (terms, first) = keys(&gone);
    diesel::sql_query(
        "delete from posting_lists list using unnest($2, $3) as gone (term, first_number)
         where list.organization_id = $1 and list.term = gone.term and list.first_number = gone.first_number",
    )
    .bind::<SqlUuid, _>(tx.organization_id())
    .bind::<Array<Text>, _>(terms)
    .bind::<Array<Integer>, _>(first)
    .execute(tx.conn)?;
    Ok(())
}

fn lists_in(lists: &BTreeMap<String, PostingLists>) -> impl Iterator<Item = (&str, &PostingList)> {
    lists.iter().flat_map(|(term, lists)| lists.iter().map(move |list| (term.as_str(), list)))
}

/// The lists that changes are to be made in, as far as there are any.
fn lists_of(tx: &mut Tx<'_>, changes: &Changes) -> Result<BTreeMap<String, PostingLists>> {
    #[derive(QueryableByName)]
    struct Kept {
        #[diesel(sql_type = Text)]
        term: String,
        #[diesel(sql_type = Integer)]
        first_number: i32,
        #[diesel(sql_type = Binary)]
        postings: Vec<u8>,
    }
    let changed = changes.iter().flat_map(|(term, weights)| weights.keys().map(move |number| (term, number.0)));
    let (terms, numbers): (Vec<&String>, Vec<i32>) = changed.unzip();
    let kept: Vec<Kept> = diesel::sql_query(
        "select list.term, list.first_number, list.postings
         from (
             select distinct changed.term, known.first_number
             from unnest($2, $3) as changed (term, number) cross join lateral (
                 select first_number from posting_lists
                 where organization_id = $1 and term = changed.term and first_number <= changed.number
                 order by first_number desc limit 1
             ) known
         ) known
         join posting_lists list on list.organization_id = $1 and list.term = known.term
             and list.first_number = known.first_number",
    )
    .bind::<SqlUuid, _>(tx.organization_id())
    .bind::<Array<Text>, _>(terms)
    .bind::<Array<Integer>, _>(numbers)
    .load(tx.conn)?;
    let mut lists: BTreeMap<String, PostingLists> = BTreeMap::new();
    for Kept { term, first_number, postings } in kept {
        lists.entry(term).or_default().extend([PostingList::kept(ArticleNumber(first_number), postings)]);
    }
    Ok(lists)
}

/// Has misspelt words compared with those of synonyms.
pub(crate) fn know_words<'a>(tx: &mut Tx<'_>, synonyms: impl Iterator<Item = &'a String>) -> Result<()> {
    count_words(tx, &telling_words(synonyms).into_iter().map(|word| (word, 1)).collect())
}

/// Undoes [`know_words`] of the same synonyms.
pub(crate) fn forget_words<'a>(tx: &mut Tx<'_>, synonyms: impl Iterator<Item = &'a String>) -> Result<()> {
    count_words(tx, &telling_words(synonyms).into_iter().map(|word| (word, -1)).collect())
}

/// Counts words that are used so much more, or less.
fn count_words(tx: &mut Tx<'_>, uses: &BTreeMap<String, i32>) -> Result<()> {
    #[derive(QueryableByName)]
    struct New {
        #[diesel(sql_type = Text)]
        word: String,
    }
    let (less, more): (Vec<_>, Vec<_>) = uses.iter().filter(|(_, uses)| **uses != 0).partition(|(_, uses)| **uses < 0);
    let unzip = |counted: Vec<(&String, &i32)>| -> (Vec<String>, Vec<i32>) {
        counted.into_iter().map(|(word, uses)| (word.clone(), *uses)).unzip()
    };
    let (words, uses) = unzip(more);
    let new: Vec<New> = diesel::sql_query(
        "with counted as (
             insert into search_words as known (organization_id, word, uses)
             select $1, word, uses from unnest($2, $3) as used (word, uses)
             on conflict (organization_id, word) do update set uses = known.uses + excluded.uses
             returning word, uses
         )
         select word from counted join unnest($2, $3) as used (word, uses) using (word, uses)",
    )
    .bind::<SqlUuid, _>(tx.organization_id())
    .bind::<Array<Text>, _>(words)
    .bind::<Array<Integer>, _>(uses)
    .load(tx.conn)?;
    let keyed = new.iter().map(|new| new.word.as_str());
    let keyed = keyed.flat_map(|word| spelling::keys(word).into_iter().map(move |key| (key, word)));
    let (keys, words): (Vec<String>, Vec<&str>) = keyed.unzip();
    diesel::sql_query(
        "insert into search_word_keys (organization_id, key, word)
         select $1, key, word from unnest($2, $3) as keyed (key, word)
         on conflict do nothing",
    )
    .bind::<SqlUuid, _>(tx.organization_id())
    .bind::<Array<Text>, _>(keys)
    .bind::<Array<Text>, _>(words)
    .execute(tx.conn)?;
    let (words, uses) = unzip(less);
    diesel::sql_query(
        "update search_words known set uses = known.uses + used.uses from unnest($2, $3) as used (word, uses)
         where known.organization_id = $1 and known.word = used.word",
    )
    .bind::<SqlUuid, _>(tx.organization_id())
    .bind::<Array<Text>, _>(&words)
    .bind::<Array<Integer>, _>(uses)
    .execute(tx.conn)?;
    diesel::delete(search_words::table)
        .filter(search_words::organization_id.eq(tx.organization_id()))
        .filter(search_words::word.eq_any(words))
        .filter(search_words::uses.le(0))
        .execute(tx.conn)?;
    Ok(())
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
            let mut page = articles::table
                .filter(articles::organization_id.eq(tx.organization_id()))
                .filter(articles::status.eq(ArticleStatus::Published))
                .order(articles::id)
                .limit(ARTICLES_AT_ONCE)
                .select(Article::as_select())
                .into_boxed();
            if let Some(after) = after {
                page = page.filter(articles::id.gt(after));
            }
            let page: Vec<Article> = page.load(tx.conn)?;
            keep_all(tx, &page)?;
            Ok(page)
        })?;
        indexed += page.len();
        match page.last() {
            Some(last) => after = Some(last.id),
            None => break,
        }
    }
    Ok(indexed)
}
