//! The records that were found, as hits tell of them.

use super::{Grade, Grades, Hit, Key, Search};
use crate::db::Tx;
use crate::error::Result;
use crate::{articles, customers, files, interactions, opportunities, organizations, people, tasks, threads};
use chrono::{DateTime, Utc};
use opiekun_domain::article::ArticleStatus;
use opiekun_domain::ids::{ArticleId, CustomerId, FileId, InteractionId, OpportunityId, PersonId, TaskId, ThreadId};
use opiekun_domain::search::SearchType;
use opiekun_search::excerpt::excerpt_of_text;
use opiekun_search::{Sought, markdown, words};
use std::collections::HashSet;
use uuid::Uuid;

/// A record as a hit tells of it.
pub(super) struct Record {
    pub kind: SearchType,
    pub id: Uuid,
    pub title: String,
    pub subtitle: Option<String>,
    /// What else it is found by, as plain text.
    pub text: Option<String>,
    pub customer_id: Option<CustomerId>,
    pub at: DateTime<Utc>,
}

impl Record {
    pub fn judge(self, grade: Grade, sought: &Sought, now: DateTime<Utc>) -> Hit {
        let Self { kind, id, title, subtitle, text, customer_id, at } = self;
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
        let besides = by_kind + recent + sought.covers(&title) * 219 / 1000;
        let score = match grade {
            Grade::ExactInTitle => 600 + besides,
            Grade::InTitle => 480 + besides,
            Grade::ExactAnywhere => 340 + besides,
            Grade::Anywhere => 260 + besides,
            // Below all that have everything themselves.
            Grade::OfCustomer => besides * 260 / 400,
        };
        let has = |text: &String| words::words(text).iter().any(|word| sought.finds(word).is_some());
        let excerpt = text.filter(has).map(|text| excerpt_of_text(&text, |word| sought.finds(word)));
        Hit { kind, id, title, subtitle, excerpt, customer_id, customer_name: None, at, score: score.clamp(1, 1000) }
    }
}

/// Those of some records that there are for the caller: files that may be read, articles that hold.
pub(super) fn visible(tx: &mut Tx<'_>, search: &Search, keys: impl Iterator<Item = Key>) -> Result<HashSet<Key>> {
    let mut visible: HashSet<Key> = keys.collect();
    let of = |kind: SearchType| visible.iter().filter(move |key| key.0 == kind).map(|key| key.1);
    let file_ids: Vec<FileId> = of(SearchType::File).map(FileId).collect();
    let article_ids: Vec<ArticleId> = of(SearchType::Article).map(ArticleId).collect();
    visible.retain(|(kind, _)| !matches!(kind, SearchType::File | SearchType::Article));
    if !file_ids.is_empty() {
        visible.extend(files::visible(tx, search.files, &file_ids)?.into_iter().map(|id| (SearchType::File, id.0)));
    }
    if !article_ids.is_empty() {
        let held_on = if search.include_archived { None } else { Some(organizations::today(tx)?) };
        let article_ids = articles::visible(tx, search.articles, &article_ids, held_on)?;
        visible.extend(article_ids.into_iter().map(|id| (SearchType::Article, id.0)));
    }
    Ok(visible)
}

/// The records themselves.
pub(super) fn read(tx: &mut Tx<'_>, search: &Search, grades: &Grades) -> Result<Vec<(Grade, Record)>> {
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
            articles::find_all(tx, search.articles, &ids)?.into_iter().map(of_row).collect()
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
