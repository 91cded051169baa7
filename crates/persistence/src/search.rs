//! One search over records of all kinds, by their words.
//!
//! What they are found by is kept by triggers of their tables (`keep_searched`), in the transaction of each change. Here it
//! is looked up: the records that have all words, and those of customers who are called by some of the words and that have
//! the others. Invoices are found by their numbers, in the index that keeps those apart.

mod by_number;
mod lookup;
mod of_customers;
mod records;
mod renewal;

pub use self::renewal::{Reindexed, outdated, reindex, renew};

use self::lookup::Lookup;
use self::records::Record;
use crate::articles::ArticleReader;
use crate::customers;
use crate::db::Tx;
use crate::error::Result;
use crate::files::Reader;
use chrono::{DateTime, Utc};
use opiekun_domain::ids::CustomerId;
use opiekun_domain::search::SearchType;
use opiekun_search::Sought;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

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

/// Finds the records that have every word of a text, but for those that their customer is called by; the best first.
pub fn search(tx: &mut Tx<'_>, search: &Search) -> Result<Vec<Hit>> {
    let mut grades = Grades::new();
    let sought = Sought::words(&search.text);
    let as_numbers = Sought::numbers(&search.text);
    if let Some(sought) = &sought {
        grade(&mut grades, find(tx, search, sought)?);
    }
    let mut begun: BTreeSet<Key> = BTreeSet::new();
    if let Some(typed) = Sought::typed(&search.text) {
        let found = find(tx, search, &typed)?;
        begun.extend(found.iter().map(|(key, _)| *key));
        grade(&mut grades, found);
    }
    if let Some(numbers) = &as_numbers {
        grade(&mut grades, Lookup::of(tx, numbers)?.find(tx, search)?);
    }
    // Whoever has the number, whatever is said of it.
    if let (true, Some(numbers)) = (grades.is_empty(), as_numbers.and_then(Sought::only_numbers)) {
        grade(&mut grades, Lookup::of(tx, &numbers)?.find(tx, search)?);
    }
    // A word that was only begun is looked past, until there is more of it.
    if let (true, Some(begun)) = (grades.is_empty(), sought.clone().and_then(Sought::without_typed)) {
        grade(&mut grades, find(tx, search, &begun)?);
    }
    let Some(sought) = sought else { return Ok(Vec::new()) };
    let mut records = records::read(tx, search, &grades)?;
    if search.types.contains(&SearchType::Invoice) {
        records.extend(by_number::invoices(tx, search)?);
    }
    let judge = |(grade, record): (Grade, Record)| {
        let mut hit = record.judge(grade, &sought, tx.now);
        // Of a word that is being typed the others have nothing.
        if !begun.is_empty() && !begun.contains(&(hit.kind, hit.id)) {
            hit.score = (hit.score * 7 / 10).max(1);
        }
        hit
    };
    let mut hits: Vec<Hit> = records.into_iter().map(judge).collect();
    hits.sort_by_key(|hit| Reverse((hit.score, hit.at, hit.id)));
    hits.truncate(search.limit);
    let customer_ids: Vec<CustomerId> = hits.iter().filter_map(|hit| hit.customer_id).collect();
    let names = customers::short_names(tx, &customer_ids)?;
    for hit in &mut hits {
        hit.customer_name = hit.customer_id.and_then(|id| names.get(&id).cloned());
    }
    Ok(hits)
}

type Key = (SearchType, Uuid);

/// A record by the number of its kind.
fn key(number: i16, record_id: Uuid) -> Option<Key> {
    let (kind, _, _) = KINDS.iter().find(|(_, _, numbers)| numbers.contains(&number))?;
    Some((*kind, record_id))
}

type Grades = BTreeMap<Key, Grade>;

/// The records that have all words themselves, or with what their customer is called.
fn find(tx: &mut Tx<'_>, search: &Search, sought: &Sought) -> Result<Vec<(Key, Grade)>> {
    let lookup = Lookup::of(tx, sought)?;
    let mut found = lookup.find(tx, search)?;
    found.extend(of_customers::find(tx, search, &lookup)?);
    Ok(found)
}

/// The best of what each record was found as.
fn grade(grades: &mut Grades, found: Vec<(Key, Grade)>) {
    for (key, grade) in found {
        grades.entry(key).and_modify(|known| *known = grade.max(*known)).or_insert(grade);
    }
}

/// How well a record has what is looked for: together with what its customer is called, or all of it itself, as it is typed or in
/// other forms and longer words, in its title or anywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Grade {
    OfCustomer,
    Anywhere,
    ExactAnywhere,
    InTitle,
    ExactInTitle,
}
