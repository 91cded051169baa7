//! One search over records of all kinds, by their words.
//!
//! What they are found by is kept by triggers of their tables (`keep_searched`), in the transaction of each change. Here it
//! is looked up: the entries of each word first, then the newest records that the rarest word is in, and of those the
//! ones that have all words. Invoices are found by their numbers, in the index that keeps those apart.

use crate::articles::ArticleReader;
use crate::db::{Db, Scope, Tx};
use crate::error::Result;
use crate::files::Reader;
use crate::organizations;
use crate::schema::{number_series, organizations as organization_rows};
use crate::session_lock::alone;
use crate::{article_index, articles, customers, files, interactions, opportunities, people, tasks, threads};
use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Date, Integer, SmallInt, Text, Uuid as SqlUuid};
use opiekun_domain::article::ArticleStatus;
use opiekun_domain::ids::{
    ArticleId, CustomerId, FileId, InteractionId, OpportunityId, OrganizationId, PersonId, TaskId, ThreadId,
};
use opiekun_domain::search::SearchType;
use opiekun_search::excerpt::excerpt_of_text;
use opiekun_search::sought::Found;
use opiekun_search::{Sought, VERSION, markdown, words};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use uuid::Uuid;

/// So many entries are looked at of what begins like a word that is still being typed.
const ENTRIES_MAX: i32 = 400;
/// A word that is in so many records of a kind at most is rare: all of them are looked at.
const RARE_MAX: usize = 400;
/// Where no word is rare, so many of the newest records of all words are compared.
const COMPARED: usize = 12_000;
/// So many records of a kind are looked at closely.
const CANDIDATES: i64 = 400;
/// Of each entry at least so many records are looked at.
const OF_ENTRY_MIN: usize = 10;

/// What is looked for, and by whom.
#[derive(Debug, Clone)]
pub struct Search {
    pub text: String,
    /// Only these, all of which the caller may read.
    pub types: BTreeSet<SearchType>,
    pub files: Reader,
    pub articles: ArticleReader,
    pub include_archived: bool,
    pub limit: usize,
}

/// A record that was found.
#[derive(Debug, Clone)]
pub struct Hit {
    pub kind: SearchType,
    pub id: Uuid,
    pub title: String,
    /// What tells it from others that are called alike.
    pub subtitle: Option<String>,
    /// A piece of HTML: the part of its text that has what is looked for.
    pub excerpt: Option<String>,
    pub customer_id: Option<CustomerId>,
    /// How that is called for short.
    pub customer_name: Option<String>,
    /// When it is, or came about.
    pub at: DateTime<Utc>,
    /// From 1 to 1000.
    pub score: i32,
}

/// How kinds of records are numbered where they are found, with the table that they are in.
const KINDS: [(SearchType, &str, &[i16]); 8] = [
    (SearchType::Customer, "customers", &[1, ARCHIVED_CUSTOMER]),
    (SearchType::Person, "people", &[2]),
    (SearchType::Thread, "threads", &[3]),
    (SearchType::Task, "tasks", &[4]),
    (SearchType::Interaction, "interactions", &[5]),
    (SearchType::File, "files", &[6]),
    (SearchType::Article, "articles", &[7, UNPUBLISHED_ARTICLE]),
    (SearchType::Opportunity, "opportunities", &[8]),
];
const ARCHIVED_CUSTOMER: i16 = 9;
const UNPUBLISHED_ARTICLE: i16 = 10;

/// The kinds that are called by the names of somebody.
pub(crate) const NAMED: &[i16] = &[1, 2, ARCHIVED_CUSTOMER];

impl Search {
    /// The numbers of the kinds that are looked for.
    fn kinds(&self) -> BTreeSet<i16> {
        let all = KINDS.iter().filter(|(kind, _, _)| self.types.contains(kind)).flat_map(|(_, _, numbers)| *numbers);
        let wanted = all.copied().filter(|number| match *number {
            ARCHIVED_CUSTOMER => self.include_archived,
            UNPUBLISHED_ARTICLE => self.articles == ArticleReader::Everything,
            _ => true,
        });
        wanted.collect()
    }
}

/// Finds the records that have every word of a text, the best first.
pub fn search(tx: &mut Tx<'_>, search: &Search) -> Result<Vec<Hit>> {
    let mut grades: BTreeMap<(SearchType, Uuid), Grade> = BTreeMap::new();
    let sought = Sought::words(&search.text);
    let as_numbers = Sought::numbers(&search.text);
    for sought in sought.iter().chain(&as_numbers) {
        for (key, grade) in find(tx, search, sought)? {
            grades.entry(key).and_modify(|known| *known = grade.max(*known)).or_insert(grade);
        }
    }
    // Whoever has the number, whatever is said of it.
    if let (true, Some(numbers)) = (grades.is_empty(), as_numbers.and_then(Sought::only_numbers)) {
        grades.extend(find(tx, search, &numbers)?);
    }
    // A word that was only begun is looked past, until there is more of it.
    if let (true, Some(begun)) = (grades.is_empty(), sought.clone().and_then(Sought::without_typed)) {
        grades.extend(find(tx, search, &begun)?);
    }
    let Some(sought) = sought else { return Ok(Vec::new()) };
    let mut records = read(tx, search, &grades)?;
    if search.types.contains(&SearchType::Invoice) {
        records.extend(invoices(tx, search)?);
    }
    let mut hits: Vec<Hit> = records.into_iter().map(|(grade, record)| record.judge(grade, &sought, tx.now)).collect();
    hits.sort_by_key(|hit| Reverse((hit.score, hit.at, hit.id)));
    hits.truncate(search.limit);
    let customer_ids: Vec<CustomerId> = hits.iter().filter_map(|hit| hit.customer_id).collect();
    let names = customers::short_names(tx, &customer_ids)?;
    for hit in &mut hits {
        hit.customer_name = hit.customer_id.and_then(|id| names.get(&id).cloned());
    }
    Ok(hits)
}

/// How well a record has what is looked for: all of it as it is typed or in other forms and longer words, in its title or
/// anywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Grade {
    Anywhere,
    ExactAnywhere,
    InTitle,
    ExactInTitle,
}

impl Grade {
    const fn of(number: i32) -> Self {
        match number {
            4 => Self::ExactInTitle,
            3 => Self::InTitle,
            2 => Self::ExactAnywhere,
            _ => Self::Anywhere,
        }
    }
}

#[derive(QueryableByName)]
struct Entry {
    #[diesel(sql_type = Integer)]
    sought: i32,
    #[diesel(sql_type = Text)]
    word: String,
    #[diesel(sql_type = SmallInt)]
    kind: i16,
    #[diesel(sql_type = SmallInt)]
    place: i16,
}

/// The records that have everything that is sought, at most so many of each kind as the search may show.
fn find(tx: &mut Tx<'_>, search: &Search, sought: &Sought) -> Result<Vec<((SearchType, Uuid), Grade)>> {
    let kinds = search.kinds();
    let mut entries = entries(tx, sought)?;
    entries.retain(|entry| kinds.contains(&entry.kind));
    entries.sort_by(|one, other| {
        (one.sought, one.kind, &one.word, one.place).cmp(&(other.sought, other.kind, &other.word, other.place))
    });
    entries.dedup_by(|one, other| {
        (one.sought, one.kind, &one.word, one.place) == (other.sought, other.kind, &other.word, other.place)
    });
    // A kind of which no record has one of the words has none with all of them.
    let has_all = |kind: i16| {
        let has = entries.iter().filter(|entry| entry.kind == kind).map(|entry| entry.sought);
        has.collect::<BTreeSet<_>>().len() == sought.len()
    };
    let whole: BTreeSet<i16> = kinds.into_iter().filter(|kind| has_all(*kind)).collect();
    entries.retain(|entry| whole.contains(&entry.kind));
    if entries.is_empty() {
        return Ok(Vec::new());
    }
    let words = entries.iter().filter_map(|entry| Some((usize::try_from(entry.sought).ok()?, entry.word.clone())));
    let found = Found::of(sought, words);
    let plan = plan(tx, sought, &entries)?;
    candidates(tx, search, sought, &found, &plan)
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
fn plan<'a>(tx: &mut Tx<'_>, sought: &Sought, entries: &'a [Entry]) -> Result<Vec<Source<'a>>> {
    let mut of_word: HashMap<(i16, i32), usize> = HashMap::new();
    for entry in entries {
        *of_word.entry((entry.kind, entry.sought)).or_default() += 1;
    }
    let kinds = entries.iter().map(|entry| entry.kind).collect::<BTreeSet<_>>().len().max(1);
    let share = |entry: &Entry, all: usize| {
        let entries = of_word.get(&(entry.kind, entry.sought)).copied().unwrap_or(1);
        i32::try_from((all / entries).max(OF_ENTRY_MIN)).unwrap_or(i32::MAX)
    };
    let rarest = if sought.len() > 1 { rarest(tx, entries, |entry| share(entry, RARE_MAX))? } else { HashMap::new() };
    let source = |entry: &'a Entry| match rarest.get(&entry.kind) {
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
fn rarest(tx: &mut Tx<'_>, entries: &[Entry], limit: impl Fn(&Entry) -> i32) -> Result<HashMap<i16, i32>> {
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
    .bind::<Array<Integer>, _>(entries.iter().map(limit).collect::<Vec<_>>())
    .load(tx.conn)?;
    Ok(counted.into_iter().map(|counted| (counted.kind, counted.sought)).collect())
}

/// Those of the newest records of some entries that have everything that is sought, the best ones of each kind.
fn candidates(
    tx: &mut Tx<'_>,
    search: &Search,
    sought: &Sought,
    found: &Found,
    sources: &[Source<'_>],
) -> Result<Vec<((SearchType, Uuid), Grade)>> {
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
         select kind, record_id, grade from ordered where number <= $13",
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
    .bind::<BigInt, _>(i64::try_from(search.limit).unwrap_or(i64::MAX))
    .load(tx.conn)?;
    let typed = candidates.into_iter().filter_map(|Candidate { kind, record_id, grade }| {
        let (kind, _, _) = KINDS.iter().find(|(_, _, numbers)| numbers.contains(&kind))?;
        Some(((*kind, record_id), Grade::of(grade)))
    });
    Ok(typed.collect())
}

/// A record as a hit tells of it.
struct Record {
    kind: SearchType,
    id: Uuid,
    title: String,
    subtitle: Option<String>,
    /// What else it is found by, as plain text.
    text: Option<String>,
    customer_id: Option<CustomerId>,
    at: DateTime<Utc>,
}

impl Record {
    fn judge(self, grade: Grade, sought: &Sought, now: DateTime<Utc>) -> Hit {
        let Self { kind, id, title, subtitle, text, customer_id, at } = self;
        let found = match grade {
            Grade::ExactInTitle => 600,
            Grade::InTitle => 480,
            Grade::ExactAnywhere => 340,
            Grade::Anywhere => 260,
        };
        // Of equals, first who, then what, and then what was said and sent.
        let by_kind = match kind {
            SearchType::Customer => 80,
            SearchType::Person => 70,
            SearchType::Invoice => 60,
            SearchType::Thread | SearchType::Opportunity => 40,
            SearchType::Article => 30,
            SearchType::Task => 20,
            SearchType::Interaction => 10,
            SearchType::File => 0,
        };
        let days = (now - at).num_days().abs();
        let recent = i32::try_from(9_000 / (days + 90)).unwrap_or_default();
        let score = found + by_kind + recent + sought.covers(&title) * 219 / 1000;
        let has = |text: &String| words::words(text).iter().any(|word| sought.finds(word).is_some());
        let excerpt = text.filter(has).map(|text| excerpt_of_text(&text, |word| sought.finds(word)));
        Hit { kind, id, title, subtitle, excerpt, customer_id, customer_name: None, at, score: score.clamp(1, 1000) }
    }
}

/// The records themselves, without those that are not there for the caller.
fn read(
    tx: &mut Tx<'_>,
    search: &Search,
    grades: &BTreeMap<(SearchType, Uuid), Grade>,
) -> Result<Vec<(Grade, Record)>> {
    let mut records = Vec::new();
    for kind in SearchType::ALL.iter().copied() {
        let ids: Vec<Uuid> = grades.keys().filter(|(of, _)| *of == kind).map(|(_, id)| *id).collect();
        if !ids.is_empty() {
            records.extend(read_kind(tx, search, kind, &ids)?);
        }
    }
    let graded = records.into_iter().filter_map(|record| Some((*grades.get(&(record.kind, record.id))?, record)));
    Ok(graded.collect())
}

fn read_kind(tx: &mut Tx<'_>, search: &Search, kind: SearchType, ids: &[Uuid]) -> Result<Vec<Record>> {
    let joined = |texts: [Option<String>; 2]| {
        let texts: Vec<String> = texts.into_iter().flatten().collect();
        (!texts.is_empty()).then(|| texts.join("\n"))
    };
    let ids = ids.iter().copied();
    Ok(match kind {
        SearchType::Customer => {
            let of_row = |row: customers::Customer| {
                let city = row.fields.billing_address.map(|address| address.0.city);
                let subtitle: Vec<String> = [row.fields.tax_number, city].into_iter().flatten().collect();
                Record {
                    kind,
                    id: row.id.0,
                    title: row.fields.name,
                    subtitle: (!subtitle.is_empty()).then(|| subtitle.join(", ")),
                    text: row.fields.notes,
                    customer_id: Some(row.id),
                    at: row.created_at,
                }
            };
            customers::find_all(tx, &ids.map(CustomerId).collect::<Vec<_>>())?.into_iter().map(of_row).collect()
        }
        SearchType::Person => {
            let of_row = |row: people::Person| Record {
                kind,
                id: row.id.0,
                title: row.fields.full_name,
                subtitle: row.fields.position,
                text: None,
                customer_id: Some(row.customer_id),
                at: row.created_at,
            };
            people::find_all(tx, &ids.map(PersonId).collect::<Vec<_>>())?.into_iter().map(of_row).collect()
        }
        SearchType::Thread => {
            let of_row = |row: threads::Thread| Record {
                kind,
                id: row.id.0,
                title: row.fields.subject,
                subtitle: None,
                text: row.fields.description,
                customer_id: row.fields.customer_id,
                at: row.created_at,
            };
            threads::find_all(tx, &ids.map(ThreadId).collect::<Vec<_>>())?.into_iter().map(of_row).collect()
        }
        SearchType::Task => {
            let of_row = |row: tasks::Task| Record {
                kind,
                id: row.id.0,
                title: row.fields.title,
                subtitle: None,
                text: row.fields.description,
                customer_id: row.fields.customer_id,
                at: row.dated_at,
            };
            tasks::find_all(tx, &ids.map(TaskId).collect::<Vec<_>>())?.into_iter().map(of_row).collect()
        }
        SearchType::Interaction => {
            let of_row = |row: interactions::Interaction| Record {
                kind,
                id: row.id.0,
                title: row.fields.subject,
                subtitle: None,
                text: joined([row.fields.description, row.fields.outcome]),
                customer_id: Some(row.fields.customer_id),
                at: row.fields.started_at,
            };
            interactions::find_all(tx, &ids.map(InteractionId).collect::<Vec<_>>())?.into_iter().map(of_row).collect()
        }
        SearchType::Opportunity => {
            let of_row = |row: opportunities::Opportunity| Record {
                kind,
                id: row.id.0,
                title: row.fields.title,
                subtitle: None,
                text: row.fields.description,
                customer_id: Some(row.fields.customer_id),
                at: row.created_at,
            };
            opportunities::find_all(tx, &ids.map(OpportunityId).collect::<Vec<_>>())?.into_iter().map(of_row).collect()
        }
        SearchType::Article => {
            let of_row = |row: articles::Article| Record {
                kind,
                id: row.id.0,
                title: row.fields.title,
                subtitle: (row.fields.status != ArticleStatus::Published).then(|| row.fields.status.to_string()),
                text: Some(markdown::text(&row.fields.body)),
                customer_id: None,
                at: row.updated_at,
            };
            let ids: Vec<ArticleId> = ids.map(ArticleId).collect();
            let today = organizations::today(tx)?;
            let holds = |row: &articles::Article| {
                search.include_archived || row.fields.valid_until_on.is_none_or(|until_on| until_on >= today)
            };
            articles::find_all(tx, search.articles, &ids)?.into_iter().filter(holds).map(of_row).collect()
        }
        SearchType::File => {
            let of_row = |row: files::File| Record {
                kind,
                id: row.id.0,
                title: row.name,
                subtitle: Some(row.media_type),
                text: None,
                customer_id: None,
                at: row.created_at,
            };
            let ids: Vec<FileId> = ids.map(FileId).collect();
            files::find_all(tx, search.files, &ids)?.into_iter().map(of_row).collect()
        }
        SearchType::Invoice => Vec::new(),
    })
}

/// The invoices whose numbers begin with what is typed, with or without the letters that their series begins with.
fn invoices(tx: &mut Tx<'_>, search: &Search) -> Result<Vec<(Grade, Record)>> {
    #[derive(QueryableByName)]
    struct Numbered {
        #[diesel(sql_type = SqlUuid)]
        id: Uuid,
        #[diesel(sql_type = Text)]
        number: String,
        #[diesel(sql_type = SqlUuid)]
        customer_id: Uuid,
        #[diesel(sql_type = Date)]
        issued_on: NaiveDate,
    }
    let patterns: Vec<String> = number_series::table
        .filter(number_series::organization_id.eq(tx.organization_id()))
        .select(number_series::pattern)
        .load(tx.conn)?;
    let beginnings = number_beginnings(&search.text, &patterns);
    let numbered: Vec<Numbered> = diesel::sql_query(
        "select distinct invoice.id, invoice.number, invoice.customer_id, invoice.issued_on
         from unnest($2) as typed (number)
         cross join lateral (
             select id, number, customer_id, issued_on from invoices
             where organization_id = $1 and number >= typed.number and number < typed.number || U&'\\+10FFFF'
             order by number limit $3
         ) invoice",
    )
    .bind::<SqlUuid, _>(tx.organization_id())
    .bind::<Array<Text>, _>(beginnings.iter().collect::<Vec<_>>())
    .bind::<BigInt, _>(i64::try_from(search.limit).unwrap_or(i64::MAX))
    .load(tx.conn)?;
    let of_row = |row: Numbered| {
        let is_whole = beginnings.contains(&row.number);
        let record = Record {
            kind: SearchType::Invoice,
            id: row.id,
            title: row.number,
            subtitle: None,
            text: None,
            customer_id: Some(CustomerId(row.customer_id)),
            at: row.issued_on.and_time(NaiveTime::MIN).and_utc(),
        };
        (if is_whole { Grade::ExactInTitle } else { Grade::InTitle }, record)
    };
    Ok(numbered.into_iter().map(of_row).collect())
}

/// How numbers may begin that somebody types: in small letters, with spaces, as a part of a sentence, or without what all
/// numbers of their series begin with.
fn number_beginnings(text: &str, patterns: &[String]) -> BTreeSet<String> {
    let is_number =
        |text: &&str| text.contains(|c: char| c.is_ascii_digit()) && !text.bytes().all(|c| c.is_ascii_digit());
    let whole = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut typed: BTreeSet<String> = text.split_whitespace().filter(is_number).map(str::to_owned).collect();
    typed.insert(whole.replace(' ', ""));
    typed.insert(with_slashes(&whole));
    typed.insert(whole);
    typed.retain(|number| number.len() > 1);
    let mut beginnings: BTreeSet<String> =
        typed.iter().flat_map(|number| [number.clone(), number.to_uppercase()]).collect();
    let letters = patterns.iter().filter_map(|pattern| pattern.split('{').next()).filter(|letters| !letters.is_empty());
    for letters in letters.collect::<BTreeSet<_>>() {
        let digits = typed.iter().filter(|number| number.starts_with(|c: char| c.is_ascii_digit()));
        beginnings.extend(digits.map(|number| format!("{letters}{number}")));
    }
    beginnings
}

/// A number whose parts stand apart in another way, such as that of a file's name: `FV-12-11-2026`, `FV12`.
fn with_slashes(text: &str) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut last = None;
    for letter in text.chars() {
        let kind = letter.is_alphanumeric().then(|| letter.is_ascii_digit());
        match parts.last_mut() {
            Some(part) if kind.is_some() && kind == last => part.push(letter),
            _ if kind.is_some() => parts.push(letter.to_string()),
            _ => {}
        }
        last = kind;
    }
    parts.join("/")
}

/// The organizations that have something indexed in an older way than this program's, in the order of their ids.
pub fn outdated(db: &Db) -> Result<Vec<OrganizationId>> {
    Ok(organization_rows::table
        .filter(organization_rows::search_version.ne(VERSION))
        .order(organization_rows::id)
        .select(organization_rows::id)
        .load(&mut *db.connection()?)?)
}

/// Indexes anew what of the scope's organization is indexed in an older way, unless another node is about it.
pub fn renew(db: &Db, scope: Scope, clock: impl Fn() -> DateTime<Utc>) -> Result<()> {
    alone(db, format!("search:{}", scope.organization_id), |conn| {
        // The other node may have come to its end meanwhile.
        let version: i32 = organization_rows::table
            .find(scope.organization_id)
            .select(organization_rows::search_version)
            .first(conn)?;
        if version != VERSION {
            reindex(db, scope, clock)?;
        }
        Ok(())
    })
}

/// What was indexed anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reindexed {
    /// Published ones, which questions find.
    pub articles: usize,
    /// Whatever has words.
    pub records: usize,
}

/// Indexes everything of the scope's organization anew, some records a transaction, so that it is searched and changed
/// meanwhile.
pub fn reindex(db: &Db, scope: Scope, clock: impl Fn() -> DateTime<Utc>) -> Result<Reindexed> {
    let articles = article_index::reindex(db, scope, &clock)?;
    let mut records = 0;
    for (_, table, numbers) in KINDS {
        records += reindex_table(db, scope, &clock, table, numbers)?;
    }
    db.transaction(scope, clock(), |tx| -> Result<()> {
        diesel::update(organization_rows::table.find(tx.organization_id()))
            .set(organization_rows::search_version.eq(VERSION))
            .execute(tx.conn)?;
        Ok(())
    })?;
    Ok(Reindexed { articles, records })
}

fn reindex_table(
    db: &Db,
    scope: Scope,
    clock: &impl Fn() -> DateTime<Utc>,
    table: &str,
    numbers: &[i16],
) -> Result<usize> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = SqlUuid)]
        id: Uuid,
    }
    const RECORDS_AT_ONCE: i64 = 200;
    let mut after = Uuid::nil();
    let mut indexed = 0;
    loop {
        let page = db.transaction(scope, clock(), |tx| -> Result<Vec<Uuid>> {
            // Whoever changes one of them waits, and then writes its words anew.
            let page: Vec<Row> = diesel::sql_query(format!(
                "select id from {table} where organization_id = $1 and id > $2 order by id limit $3 for no key update"
            ))
            .bind::<SqlUuid, _>(tx.organization_id())
            .bind::<SqlUuid, _>(after)
            .bind::<BigInt, _>(RECORDS_AT_ONCE)
            .load(tx.conn)?;
            let ids: Vec<Uuid> = page.into_iter().map(|row| row.id).collect();
            diesel::sql_query("select forget_searched($1, $2, id) from unnest($3) as id")
                .bind::<SqlUuid, _>(tx.organization_id())
                .bind::<Array<SmallInt>, _>(numbers)
                .bind::<Array<SqlUuid>, _>(&ids)
                .execute(tx.conn)?;
            diesel::sql_query(format!(
                "select write_searched(record) from {table} record where organization_id = $1 and id = any ($2)"
            ))
            .bind::<SqlUuid, _>(tx.organization_id())
            .bind::<Array<SqlUuid>, _>(&ids)
            .execute(tx.conn)?;
            Ok(ids)
        })?;
        indexed += page.len();
        match page.last() {
            Some(last) => after = *last,
            None => return Ok(indexed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_begins_as_somebody_types_it() {
        let patterns = ["FV/{number}/{month}/{year}".to_owned(), "{number}/KOR/{year}".to_owned()];
        let begins = |text: &str, number: &str| number_beginnings(text, &patterns).contains(number);
        assert!(begins("fv/12/11", "FV/12/11"));
        assert!(begins(" FV 12", "FV12") && begins("FV / 12", "FV/12"));
        assert!(begins("12/11/2026", "FV/12/11/2026") && begins("12/11/2026", "12/11/2026"));
        assert!(begins("faktura 12/11/2026", "FV/12/11/2026"));
        assert!(begins("12", "FV/12"));
        assert!(["FV 12 11 2026", "fv-12-11-2026", "FV12/11/2026"].iter().all(|text| begins(text, "FV/12/11/2026")));
        assert!(begins("fv 12", "FV/12") && begins("FV12", "FV/12"));
        assert!(!begins("Kowalski 12", "FV/12"));
        assert_eq!(number_beginnings("f", &patterns), BTreeSet::new());
    }
}
