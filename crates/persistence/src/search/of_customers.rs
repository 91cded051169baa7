//! Records of customers who are called by some of the words that are sought, where the records have the others: what
//! somebody looks for who types "Kwiatkowski leasing". A customer is called as its people are, too.

use super::lookup::{Entry, IN_TITLE, Lookup, share};
use super::{Grade, KINDS, Key, NAMED, Search, key};
use crate::db::Tx;
use crate::error::Result;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Integer, SmallInt, Text, Uuid as SqlUuid};
use opiekun_domain::search::SearchType;
use std::collections::{BTreeSet, HashMap};
use uuid::Uuid;

/// The kinds that are of customers, and these themselves.
const OF_CUSTOMERS: [SearchType; 6] = [
    SearchType::Customer,
    SearchType::Person,
    SearchType::Thread,
    SearchType::Task,
    SearchType::Interaction,
    SearchType::Opportunity,
];
/// So many of the newest customers and people that are called by a word are compared.
const COMPARED: usize = 2_000;
/// So many customers who are called by the same of the words are looked at, the newest, ...
const CALLED_ALIKE_MAX: i64 = 200;
/// ... and so many altogether.
const CUSTOMERS_MAX: usize = 400;
/// So many of their newest records of a kind are looked at, ...
const RECORDS: usize = 1_000;
/// ... so many at least of each customer, ...
const RECORDS_MIN: usize = 10;
/// ... and so many altogether.
const RECORDS_MAX: i64 = 1_000;
/// So many are found at most, the newest.
const FOUND_MAX: i64 = 200;

/// The records that have what is sought together with the names of their customer, or of its people.
pub(super) fn find(tx: &mut Tx<'_>, search: &Search, lookup: &Lookup<'_>) -> Result<Vec<(Key, Grade)>> {
    let kinds = search.kinds();
    let of_customers =
        KINDS.iter().filter(|(kind, _, _)| OF_CUSTOMERS.contains(kind)).flat_map(|(_, _, numbers)| *numbers);
    let kinds: Vec<i16> = of_customers.copied().filter(|number| kinds.contains(number)).collect();
    if kinds.is_empty() || lookup.sought.len() < 2 {
        return Ok(Vec::new());
    }
    // Who is called by a name may be called a company with it.
    let kinds_of_companies = lookup.sought.kinds_of_companies();
    let found = lookup.found(lookup.entries.iter().filter(|entry| kinds.contains(&entry.kind)));
    let asked = called(tx, lookup)?.into_iter().filter_map(|Called { customer_id, words, by_one }| {
        let mut words: BTreeSet<usize> = words.into_iter().filter_map(|word| usize::try_from(word).ok()).collect();
        words.extend(&kinds_of_companies);
        let condition = lookup.sought.condition_beside(&words, &found)?;
        Some(Asked { customer_id, condition, with_names: !by_one })
    });
    let asked: Vec<Asked> = asked.take(CUSTOMERS_MAX).collect();
    if asked.is_empty() {
        return Ok(Vec::new());
    }
    having(tx, &kinds, &asked)
}

/// A customer with the places of the words that call it or its people.
#[derive(QueryableByName)]
struct Called {
    #[diesel(sql_type = SqlUuid)]
    customer_id: Uuid,
    #[diesel(sql_type = Array<Integer>)]
    words: Vec<i32>,
    /// Whether all the words call one of them, who is found as such.
    #[diesel(sql_type = Bool)]
    by_one: bool,
}

/// What the records of a customer are asked for.
struct Asked {
    customer_id: Uuid,
    /// As PostgreSQL's `tsquery` puts it.
    condition: String,
    /// Whether the customer itself and its people are looked at, too.
    with_names: bool,
}

/// Whom some of the words call, the more of them the sooner.
fn called(tx: &mut Tx<'_>, lookup: &Lookup<'_>) -> Result<Vec<Called>> {
    let is_name = |entry: &&Entry| NAMED.contains(&entry.kind) && entry.place == IN_TITLE;
    let names: Vec<&Entry> = lookup.entries.iter().filter(is_name).collect();
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let mut of_word: HashMap<i32, usize> = HashMap::new();
    for name in &names {
        *of_word.entry(name.sought).or_default() += 1;
    }
    let records = |name: &&Entry| share(COMPARED, of_word.get(&name.sought).copied().unwrap_or(1));
    Ok(diesel::sql_query(
        "with newest as (
             select asked.sought, newest.record_id, case when asked.kind <> 2 then newest.record_id else (
                 select customer_id from people where organization_id = $1 and id = newest.record_id
             ) end as customer_id
             from unnest($2, $3, $4, $5) as asked (sought, word, kind, records)
             cross join lateral (
                 select record_id from search_entries
                 where organization_id = $1 and word = asked.word and kind = asked.kind and place = $6
                 order by record_id desc limit asked.records
             ) newest
         ), named as (
             select customer_id, record_id, array_agg(distinct sought) as words from newest group by customer_id, record_id
         ), called as (
             select customer_id, array_agg(distinct word) as words, bool_or(cardinality(named.words) = $7) as by_one
             from named cross join unnest(named.words) as word
             group by customer_id
         ), alike as (
             select customer_id, words, by_one, row_number() over (partition by words order by customer_id desc) as number
             from called
         )
         select customer_id, words, by_one from alike where number <= $8
         order by cardinality(words) desc, words, customer_id desc",
    )
    .bind::<SqlUuid, _>(tx.organization_id())
    .bind::<Array<Integer>, _>(names.iter().map(|name| name.sought).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(names.iter().map(|name| name.word.as_str()).collect::<Vec<_>>())
    .bind::<Array<SmallInt>, _>(names.iter().map(|name| name.kind).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(names.iter().map(records).collect::<Vec<_>>())
    .bind::<SmallInt, _>(IN_TITLE)
    .bind::<BigInt, _>(i64::try_from(lookup.sought.len()).unwrap_or(i64::MAX))
    .bind::<BigInt, _>(CALLED_ALIKE_MAX)
    .load(tx.conn)?)
}

/// The newest records of some customers that are what is asked for.
fn having(tx: &mut Tx<'_>, kinds: &[i16], asked: &[Asked]) -> Result<Vec<(Key, Grade)>> {
    #[derive(QueryableByName)]
    struct Having {
        #[diesel(sql_type = SmallInt)]
        kind: i16,
        #[diesel(sql_type = SqlUuid)]
        record_id: Uuid,
    }
    let of_each = (RECORDS / asked.len()).max(RECORDS_MIN);
    let having: Vec<Having> = diesel::sql_query(
        "with asked as materialized (
             select customer_id, condition::tsquery, with_names
             from unnest($2, $3, $4) as asked (customer_id, condition, with_names)
         ), newest as materialized (
             select asked.condition, newest.kind::smallint, newest.record_id
             from asked cross join lateral (
                 (select kind, customer_id as record_id
                 from unnest($5) kind where kind in (1, 9) and asked.with_names)
                 union all
                 (select 2, id from people
                 where organization_id = $1 and customer_id = asked.customer_id and 2 = any ($5) and asked.with_names
                 order by id desc limit $6)
                 union all
                 (select 3, id from threads
                 where organization_id = $1 and customer_id = asked.customer_id and 3 = any ($5)
                 order by id desc limit $6)
                 union all
                 (select 4, id from tasks
                 where organization_id = $1 and customer_id = asked.customer_id and 4 = any ($5)
                 order by dated_at desc, id desc limit $6)
                 union all
                 (select 5, id from interactions
                 where organization_id = $1 and customer_id = asked.customer_id and 5 = any ($5)
                 order by started_at desc, id desc limit $6)
                 union all
                 (select 8, id from opportunities
                 where organization_id = $1 and customer_id = asked.customer_id and 8 = any ($5)
                 order by id desc limit $6)
             ) newest
             limit $7
         )
         select newest.kind, newest.record_id
         from newest cross join lateral (
             select from searched_records
             where organization_id = $1 and kind = newest.kind and record_id = newest.record_id
                 and words @@ newest.condition
             limit 1
         ) record
         order by newest.record_id desc limit $8",
    )
    .bind::<SqlUuid, _>(tx.organization_id())
    .bind::<Array<SqlUuid>, _>(asked.iter().map(|asked| asked.customer_id).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(asked.iter().map(|asked| asked.condition.as_str()).collect::<Vec<_>>())
    .bind::<Array<Bool>, _>(asked.iter().map(|asked| asked.with_names).collect::<Vec<_>>())
    .bind::<Array<SmallInt>, _>(kinds)
    .bind::<BigInt, _>(i64::try_from(of_each).unwrap_or(i64::MAX))
    .bind::<BigInt, _>(RECORDS_MAX)
    .bind::<BigInt, _>(FOUND_MAX)
    .load(tx.conn)?;
    let keys = having.into_iter().filter_map(|Having { kind, record_id }| key(kind, record_id));
    Ok(keys.map(|key| (key, Grade::OfCustomer)).collect())
}
