//! Which records have all that is sought: the entries of each word first, then the newest records that the rarest word is
//! in, and of those the ones that have all words.

use super::{Grade, Key, Search, key, records};
use crate::db::Tx;
use crate::error::Result;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Integer, SmallInt, Text, Uuid as SqlUuid};
use opiekun_domain::search::SearchType;
use opiekun_search::Sought;
use opiekun_search::sought::Found;
use std::collections::{BTreeSet, HashMap};
use uuid::Uuid;

/// So many entries are looked at of what begins like a word that is still being typed.
const ENTRIES_MAX: i32 = 400;
/// A word that is in so many records of a kind at most is rare: all of them are looked at.
const RARE_MAX: usize = 400;
/// Where no word is rare, so many of the newest records of all words are compared.
const COMPARED: usize = 12_000;
/// So many records of a kind are looked at closely.
const CANDIDATES: i64 = 400;
/// So many records of a kind are judged at least, however few are asked for: who is first is first of any number.
const OF_KIND_MIN: usize = 50;
/// Of each entry at least so many records are looked at.
const OF_ENTRY_MIN: usize = 10;

/// What is sought, with the entries that there are of it.
pub(super) struct Lookup<'a> {
    pub sought: &'a Sought,
    pub entries: Vec<Entry>,
}

/// A word that records of a kind have, in their titles or elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, QueryableByName)]
pub(super) struct Entry {
    /// The place of the word among those that are sought.
    #[diesel(sql_type = Integer)]
    pub sought: i32,
    #[diesel(sql_type = SmallInt)]
    pub kind: i16,
    #[diesel(sql_type = Text)]
    pub word: String,
    /// [`IN_TITLE`], or elsewhere.
    #[diesel(sql_type = SmallInt)]
    pub place: i16,
}

/// Where the words of a title are entered.
pub(super) const IN_TITLE: i16 = 0;

impl<'a> Lookup<'a> {
    pub fn of(tx: &mut Tx<'_>, sought: &'a Sought) -> Result<Self> {
        let mut entries = entries(tx, sought)?;
        entries.sort();
        entries.dedup();
        Ok(Self { sought, entries })
    }

    /// The entries of some kinds, as what was found of the words.
    pub fn found<'e>(&self, entries: impl IntoIterator<Item = &'e Entry>) -> Found {
        let words = entries.into_iter().filter_map(|it| Some((usize::try_from(it.sought).ok()?, it.word.clone())));
        Found::of(self.sought, words)
    }

    /// The records that have everything that is sought, the best of each kind of those that there are for the caller.
    pub fn find(&self, tx: &mut Tx<'_>, search: &Search) -> Result<Vec<(Key, Grade)>> {
        // A kind of which no record has one of the words has none with all of them.
        let has_all = |kind: &i16| {
            let has = self.entries.iter().filter(|entry| entry.kind == *kind).map(|entry| entry.sought);
            has.collect::<BTreeSet<_>>().len() == self.sought.len()
        };
        let whole: BTreeSet<i16> = search.kinds().into_iter().filter(has_all).collect();
        let entries: Vec<&Entry> = self.entries.iter().filter(|entry| whole.contains(&entry.kind)).collect();
        if entries.is_empty() {
            return Ok(Vec::new());
        }
        let found = self.found(entries.iter().copied());
        let plan = plan(tx, self.sought, &entries)?;
        let candidates = candidates(tx, search, self.sought, &found, &plan)?;
        let visible = records::visible(tx, search, candidates.iter().map(|(key, _)| *key))?;
        let mut of_kind: HashMap<SearchType, usize> = HashMap::new();
        let is_among_best = |(key, _): &(Key, Grade)| {
            let number = of_kind.entry(key.0).or_default();
            *number += 1;
            *number <= search.limit.max(OF_KIND_MIN)
        };
        let seen = candidates.into_iter().filter(|(key, _)| visible.contains(key));
        Ok(seen.filter(is_among_best).collect())
    }
}

/// Of the newest records of an entry so many are looked at that a word's entries have about as many altogether.
pub(super) fn share(all: usize, entries: usize) -> i32 {
    i32::try_from((all / entries.max(1)).max(OF_ENTRY_MIN)).unwrap_or(i32::MAX)
}

/// The entries that there are of what is sought. Those of a word, and ranges of them, are skipped through: of every word, kind
/// and place one row is read, however many records it has.
fn entries(tx: &mut Tx<'_>, sought: &Sought) -> Result<Vec<Entry>> {
    let (ranges, forms) = (sought.ranges(), sought.entries());
    let place = |word: usize| i32::try_from(word).unwrap_or(i32::MAX);
    Ok(diesel::sql_query(
        "with asked as materialized (
             select * from unnest($2, $3, $4) as asked (word, first, before)
             union all
             select asked.word, asked.form, asked.form || U&'\\0001'
             from unnest($5, $6) as asked (word, form)
             cross join lateral (
                 select from search_entries where organization_id = $1 and word = asked.form limit 1
             ) there
         )
         select asked.word as sought, entry.word, entry.kind, entry.place
         from asked cross join lateral (
             with recursive entry as (
                 (select word, kind, place from search_entries
                 where organization_id = $1 and word >= asked.first and word < asked.before
                 order by word, kind, place limit 1)
                 union all
                 select further.word, further.kind, further.place
                 from entry cross join lateral (
                     select word, kind, place from search_entries
                     where organization_id = $1 and (word, kind, place) > (entry.word, entry.kind, entry.place)
                         and word < asked.before
                     order by word, kind, place limit 1
                 ) further
             )
             select word, kind, place from entry limit $7
         ) entry",
    )
    .bind::<SqlUuid, _>(tx.organization_id())
    .bind::<Array<Integer>, _>(ranges.iter().map(|range| place(range.word)).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(ranges.iter().map(|range| range.from.as_str()).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(ranges.iter().map(|range| range.before.as_str()).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(forms.iter().map(|(word, _)| place(*word)).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(forms.iter().map(|(_, form)| *form).collect::<Vec<_>>())
    .bind::<Integer, _>(ENTRIES_MAX)
    .load(tx.conn)?)
}

/// Where candidates come from: the newest records of an entry.
struct Source<'a> {
    entry: &'a Entry,
    records: i32,
    /// In how many of the words' sources a record has to be.
    words: i32,
}

/// Of each kind all records that its rarest word is in; where none is rare, the newest ones that all words are in.
fn plan<'a>(tx: &mut Tx<'_>, sought: &Sought, entries: &[&'a Entry]) -> Result<Vec<Source<'a>>> {
    let mut of_word: HashMap<(i16, i32), usize> = HashMap::new();
    for entry in entries {
        *of_word.entry((entry.kind, entry.sought)).or_default() += 1;
    }
    let kinds = entries.iter().map(|entry| entry.kind).collect::<BTreeSet<_>>().len().max(1);
    let share = |entry: &Entry, all: usize| share(all, of_word.get(&(entry.kind, entry.sought)).copied().unwrap_or(1));
    let rarest = if sought.len() > 1 { rarest(tx, entries, |entry| share(entry, RARE_MAX))? } else { HashMap::new() };
    let source = |entry: &&'a Entry| match rarest.get(&entry.kind) {
        Some(word) if *word == entry.sought => Some(Source { entry, records: share(entry, RARE_MAX), words: 1 }),
        Some(_) => None,
        None => {
            let words = i32::try_from(sought.len()).unwrap_or(i32::MAX);
            let all = if words == 1 { RARE_MAX } else { COMPARED / sought.len() / kinds };
            Some(Source { entry, records: share(entry, all), words })
        }
    };
    Ok(entries.iter().filter_map(source).collect())
}

/// Of each kind the word that is in fewest records, if one is rare.
fn rarest(tx: &mut Tx<'_>, entries: &[&Entry], limit: impl Fn(&Entry) -> i32) -> Result<HashMap<i16, i32>> {
    #[derive(QueryableByName)]
    struct Counted {
        #[diesel(sql_type = SmallInt)]
        kind: i16,
        #[diesel(sql_type = Integer)]
        sought: i32,
    }
    let counted: Vec<Counted> = diesel::sql_query(
        "select distinct on (asked.kind) asked.kind, asked.sought
         from unnest($2, $3, $4, $5, $6) as asked (sought, word, kind, place, records)
         cross join lateral (
             select count(*) as records from (
                 select from search_entries entry
                 where entry.organization_id = $1 and entry.word = asked.word and entry.kind = asked.kind
                     and entry.place = asked.place
                 limit asked.records
             ) record
         ) counted
         group by asked.kind, asked.sought
         having bool_and(counted.records < asked.records)
         order by asked.kind, sum(counted.records), asked.sought",
    )
    .bind::<SqlUuid, _>(tx.organization_id())
    .bind::<Array<Integer>, _>(entries.iter().map(|entry| entry.sought).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(entries.iter().map(|entry| entry.word.as_str()).collect::<Vec<_>>())
    .bind::<Array<SmallInt>, _>(entries.iter().map(|entry| entry.kind).collect::<Vec<_>>())
    .bind::<Array<SmallInt>, _>(entries.iter().map(|entry| entry.place).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(entries.iter().map(|entry| limit(entry)).collect::<Vec<_>>())
    .load(tx.conn)?;
    Ok(counted.into_iter().map(|counted| (counted.kind, counted.sought)).collect())
}

/// Those of the newest records of some entries that have everything that is sought, of each kind the best first.
fn candidates(
    tx: &mut Tx<'_>,
    search: &Search,
    sought: &Sought,
    found: &Found,
    sources: &[Source<'_>],
) -> Result<Vec<(Key, Grade)>> {
    #[derive(QueryableByName)]
    struct Candidate {
        #[diesel(sql_type = SmallInt)]
        kind: i16,
        #[diesel(sql_type = SqlUuid)]
        record_id: Uuid,
        #[diesel(sql_type = Integer)]
        grade: i32,
    }
    let candidates: Vec<Candidate> = diesel::sql_query(
        "with candidate as materialized (
             select kind, record_id from (
                 select newest.kind, newest.record_id,
                     row_number() over (partition by newest.kind order by newest.record_id desc) as number
                 from unnest($2, $3, $4, $5, $6, $7) as asked (sought, word, kind, place, records, words)
                 cross join lateral (
                     select entry.kind, entry.record_id from search_entries entry
                     where entry.organization_id = $1 and entry.word = asked.word and entry.kind = asked.kind
                         and entry.place = asked.place
                     order by entry.record_id desc limit asked.records
                 ) newest
                 group by newest.kind, newest.record_id
                 having count(distinct asked.sought) >= min(asked.words)
             ) newest where number <= $8
         ), graded as (
             select candidate.kind, candidate.record_id, record.title_words, case
                 when record.words @@ $9::tsquery then 4
                 when record.words @@ $10::tsquery then 3
                 when record.words @@ $11::tsquery then 2
                 else 1
             end as grade
             from candidate cross join lateral (
                 select title_words, words from searched_records
                 where organization_id = $1 and kind = candidate.kind and record_id = candidate.record_id
                 limit 1
             ) record
             where record.words @@ $12::tsquery
         ), ordered as (
             -- Of what is called by names, the one with nothing else in it is meant.
             select kind, record_id, grade, row_number() over (
                 partition by kind
                 order by grade desc, case when kind in (1, 2, 9) then title_words end, record_id desc
             ) as number
             from graded
         )
         -- Which files and articles there are for the caller is told behind.
         select kind, record_id, grade from ordered where number <= case when kind in (6, 7, 10) then $8 else $13 end
         order by kind, number",
    )
    .bind::<SqlUuid, _>(tx.organization_id())
    .bind::<Array<Integer>, _>(sources.iter().map(|source| source.entry.sought).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(sources.iter().map(|source| source.entry.word.as_str()).collect::<Vec<_>>())
    .bind::<Array<SmallInt>, _>(sources.iter().map(|source| source.entry.kind).collect::<Vec<_>>())
    .bind::<Array<SmallInt>, _>(sources.iter().map(|source| source.entry.place).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(sources.iter().map(|source| source.records).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(sources.iter().map(|source| source.words).collect::<Vec<_>>())
    .bind::<BigInt, _>(CANDIDATES)
    .bind::<Text, _>(sought.condition(found, true, true))
    .bind::<Text, _>(sought.condition(found, false, true))
    .bind::<Text, _>(sought.condition(found, true, false))
    .bind::<Text, _>(sought.condition(found, false, false))
    .bind::<BigInt, _>(i64::try_from(search.limit.max(OF_KIND_MIN)).unwrap_or(i64::MAX))
    .load(tx.conn)?;
    let typed = candidates.into_iter().filter_map(|Candidate { kind, record_id, grade }| {
        let grade = match grade {
            4 => Grade::ExactInTitle,
            3 => Grade::InTitle,
            2 => Grade::ExactAnywhere,
            _ => Grade::Anywhere,
        };
        Some((key(kind, record_id)?, grade))
    });
    Ok(typed.collect())
}
