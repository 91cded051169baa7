//! Invoices, by the beginnings of their numbers.

use super::records::Record;
use super::{Grade, Search};
use crate::db::Tx;
use crate::error::Result;
use crate::schema::number_series;
use chrono::{NaiveDate, NaiveTime};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Date, Text, Uuid as SqlUuid};
use opiekun_domain::ids::CustomerId;
use opiekun_domain::search::SearchType;
use std::collections::BTreeSet;
use uuid::Uuid;

/// The invoices whose numbers begin with what is typed, with or without the letters that their series begins with.
pub(super) fn invoices(tx: &mut Tx<'_>, search: &Search) -> Result<Vec<(Grade, Record)>> {
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
