//! What was asked and had no answer, by day: what nobody has written an article about yet.

use crate::article_search;
use crate::db::Tx;
use crate::error::Result;
use crate::search;
use chrono::{DateTime, NaiveDate, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Date, SmallInt, Text, Timestamptz, Uuid};
use opiekun_search::Question;
use opiekun_search::anonymous::{anonymous, unknown};
use opiekun_search::inflection::forms;
use std::collections::{BTreeSet, HashSet};

/// A question, and how often it was asked in vain.
#[derive(Debug, Clone, QueryableByName)]
pub struct MissedSearch {
    #[diesel(sql_type = Text)]
    pub question: String,
    #[diesel(sql_type = BigInt)]
    pub searches: i64,
    #[diesel(sql_type = Timestamptz)]
    pub last_at: DateTime<Utc>,
}

/// Counts a question that had no answer, by what may be kept of it: not who asked, nor what may name somebody.
/// A question of which nothing is left then is none.
pub fn count(tx: &mut Tx<'_>, question: &str, day: NaiveDate) -> Result<()> {
    let known = article_search::known_stems(tx, &Question::read(question))?;
    let named = names_among(tx, unknown(question, |stem| known.contains(stem)))?;
    let question = anonymous(question, |stem| known.contains(stem), |word| named.contains(word));
    if !question.contains(char::is_alphanumeric) {
        return Ok(());
    }
    diesel::sql_query(
        "insert into missed_searches as missed (organization_id, searched_on, question, searches, last_at)
         values ($1, $2, $3, 1, $4)
         on conflict (organization_id, searched_on, question)
         do update set searches = missed.searches + 1, last_at = excluded.last_at",
    )
    .bind::<Uuid, _>(tx.organization_id())
    .bind::<Date, _>(day)
    .bind::<Text, _>(question)
    .bind::<Timestamptz, _>(tx.now)
    .execute(tx.conn)?;
    Ok(())
}

/// Those of some words that are of a name of a customer or a person, in any form.
fn names_among(tx: &mut Tx<'_>, words: BTreeSet<String>) -> Result<HashSet<String>> {
    #[derive(QueryableByName)]
    struct Named {
        #[diesel(sql_type = Text)]
        word: String,
    }
    let all_forms = |word: &String| forms(word).into_iter().map(|form| (word.clone(), form)).collect::<Vec<_>>();
    let (words, forms): (Vec<String>, Vec<String>) = words.iter().flat_map(all_forms).unzip();
    let named: Vec<Named> = diesel::sql_query(
        "select distinct asked.word from unnest($2, $3) as asked (word, form)
         cross join unnest($4) as kind
         cross join lateral (
             select from search_entries entry
             where entry.organization_id = $1 and entry.word = asked.form and entry.kind = kind and entry.place = 0
             limit 1
         ) named",
    )
    .bind::<Uuid, _>(tx.organization_id())
    .bind::<Array<Text>, _>(words)
    .bind::<Array<Text>, _>(forms)
    .bind::<Array<SmallInt>, _>(search::NAMED)
    .load(tx.conn)?;
    Ok(named.into_iter().map(|named| named.word).collect())
}

/// The questions of some days, the most asked ones first; both days count.
pub fn list(tx: &mut Tx<'_>, from: NaiveDate, to: NaiveDate, limit: i64) -> Result<Vec<MissedSearch>> {
    Ok(diesel::sql_query(
        "select question, sum(searches) as searches, max(last_at) as last_at
         from missed_searches
         where organization_id = $1 and searched_on between $2 and $3
         group by question
         order by searches desc, last_at desc, question
         limit $4",
    )
    .bind::<Uuid, _>(tx.organization_id())
    .bind::<Date, _>(from)
    .bind::<Date, _>(to)
    .bind::<BigInt, _>(limit)
    .load(tx.conn)?)
}
