//! Timelines: everything that happened with a customer or in a thread, of whatever kind.

use crate::attachments::{self, Attached};
use crate::db::Tx;
use crate::error::Result;
use crate::files::Reader;
use crate::interactions::{self, Interaction};
use crate::page::{Cursor, Page, PageRequest};
use crate::survey_responses::{self, SurveyResponse};
use crate::tasks::{self, Task};
use crate::work_entries::{self, WorkEntry};
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Integer, Text, Timestamptz};
use opiekun_domain::attachment::FileArea;
use opiekun_domain::ids::{AttachmentId, CustomerId, InteractionId, SurveyResponseId, TaskId, ThreadId, WorkEntryId};
use std::collections::HashMap;
use uuid::Uuid;

/// Whose timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    Customer(CustomerId),
    Thread(ThreadId),
}

impl Subject {
    const fn column(self) -> &'static str {
        match self {
            Self::Customer(_) => "customer_id",
            Self::Thread(_) => "thread_id",
        }
    }

    const fn id(self) -> Uuid {
        match self {
            Self::Customer(id) => id.0,
            Self::Thread(id) => id.0,
        }
    }
}

/// Something that happened, or is planned to.
#[derive(Debug, Clone)]
pub enum TimelineEntry {
    Interaction(Interaction),
    Task(Task),
    WorkEntry(WorkEntry),
    Attachment(Attached),
    SurveyResponse(SurveyResponse),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TimelineSort {
    /// The moment that an entry is about.
    #[default]
    At,
}

#[derive(QueryableByName)]
struct Place {
    #[diesel(sql_type = Timestamptz)]
    at: DateTime<Utc>,
    #[diesel(sql_type = diesel::sql_types::Uuid)]
    id: Uuid,
    #[diesel(sql_type = Text)]
    kind: String,
}

#[derive(QueryableByName)]
struct Counted {
    #[diesel(sql_type = Integer)]
    one: i32,
}

/// A page of a timeline: one statement merges a page of each kind in the order of its index, and one a kind reads the
/// rows.
///
/// What was spent on a task, when a task is due, and files that the reader may see, are entries beside the contacts.
pub fn list(
    tx: &mut Tx<'_>,
    reader: Reader,
    subject: Subject,
    page: &PageRequest<TimelineSort>,
) -> Result<Page<TimelineEntry>> {
    let TimelineSort::At = page.sort;
    let after = match &page.after {
        Some(cursor) => Some((cursor.key::<DateTime<Utc>>()?, cursor.id)),
        None => None,
    };
    let total = page.total(|cap| {
        let counted: Vec<Counted> = diesel::sql_query(format!(
            "select 1 as one from ({}) entry limit $3",
            kinds(reader, subject, None).join(" union all ")
        ))
        .bind::<diesel::sql_types::Uuid, _>(tx.organization_id())
        .bind::<diesel::sql_types::Uuid, _>(subject.id())
        .bind::<BigInt, _>(cap)
        .load(tx.conn)?;
        Ok(counted.into_iter().map(|row| row.one).collect())
    })?;
    let (order, past) = if page.descending { ("desc", "<") } else { ("asc", ">") };
    let in_order = |kind: String| format!("({kind} order by at {order}, id {order} limit $3)");
    let kinds = kinds(reader, subject, after.is_some().then_some(past)).into_iter().map(in_order);
    let query = diesel::sql_query(in_order(kinds.collect::<Vec<_>>().join(" union all ")))
        .bind::<diesel::sql_types::Uuid, _>(tx.organization_id())
        .bind::<diesel::sql_types::Uuid, _>(subject.id())
        .bind::<BigInt, _>(page.fetch());
    let places: Vec<Place> = match after {
        Some((at, id)) => query.bind::<Timestamptz, _>(at).bind::<diesel::sql_types::Uuid, _>(id).load(tx.conn)?,
        None => query.load(tx.conn)?,
    };
    let places = Page::cut(places, page, total, |place| Cursor::new(place.at, place.id));
    let items = rows(tx, reader, &places.items)?;
    Ok(Page { items, next: places.next, total: places.total })
}

/// The moments and ids of each kind: all of them, or those past the place `($4, $5)`. The bound on the moment alone is the
/// one that an index serves as a range, as each area of files is one of its own.
fn kinds(reader: Reader, subject: Subject, past: Option<&str>) -> Vec<String> {
    let column = subject.column();
    let of = |kind: &str, table: &str, at: &str, is_its: &str| {
        let bound = past.map(|past| format!("and {at} {past}= $4 and ({at} {past} $4 or id {past} $5)"));
        let bound = bound.unwrap_or_default();
        format!(
            "select {at} as at, id, '{kind}' as kind from {table} where organization_id = $1 and {is_its} = $2 {bound}"
        )
    };
    let mut kinds = vec![
        of("interaction", "interactions", "started_at", column),
        of("task", "tasks", "dated_at", column),
        of("work_entry", "work_entries", "started_at", column),
        of("survey_response", "survey_responses", "dated_at", column),
    ];
    // No invoice is in a thread, and no article is about a customer.
    let of_subject = |area: &FileArea| match area {
        FileArea::Crm => true,
        FileArea::Billing => matches!(subject, Subject::Customer(_)),
        FileArea::Knowledge | FileArea::Drafts => false,
    };
    for area in attachments::areas(reader).filter(of_subject) {
        let is_its = format!("area = '{area}' and of_{column}");
        kinds.push(of("attachment", "attachments", "created_at", &is_its));
    }
    kinds
}

/// The rows of places, in their order.
fn rows(tx: &mut Tx<'_>, reader: Reader, places: &[Place]) -> Result<Vec<TimelineEntry>> {
    let of_kind =
        |kind: &str| places.iter().filter(|place| place.kind == kind).map(|place| place.id).collect::<Vec<_>>();
    let interaction_ids: Vec<_> = of_kind("interaction").into_iter().map(InteractionId).collect();
    let task_ids: Vec<_> = of_kind("task").into_iter().map(TaskId).collect();
    let work_entry_ids: Vec<_> = of_kind("work_entry").into_iter().map(WorkEntryId).collect();
    let attachment_ids: Vec<_> = of_kind("attachment").into_iter().map(AttachmentId).collect();
    let survey_response_ids: Vec<_> = of_kind("survey_response").into_iter().map(SurveyResponseId).collect();
    let mut rows: HashMap<Uuid, TimelineEntry> = HashMap::with_capacity(places.len());
    if !interaction_ids.is_empty() {
        let found = interactions::find_all(tx, &interaction_ids)?;
        rows.extend(found.into_iter().map(|row| (row.id.0, TimelineEntry::Interaction(row))));
    }
    if !task_ids.is_empty() {
        let found = tasks::find_all(tx, &task_ids)?;
        rows.extend(found.into_iter().map(|row| (row.id.0, TimelineEntry::Task(row))));
    }
    if !work_entry_ids.is_empty() {
        let found = work_entries::find_all(tx, &work_entry_ids)?;
        rows.extend(found.into_iter().map(|row| (row.id.0, TimelineEntry::WorkEntry(row))));
    }
    if !attachment_ids.is_empty() {
        let found = attachments::find_all(tx, reader, &attachment_ids)?;
        rows.extend(found.into_iter().map(|row| (row.0.id.0, TimelineEntry::Attachment(row))));
    }
    if !survey_response_ids.is_empty() {
        let found = survey_responses::find_all(tx, &survey_response_ids)?;
        rows.extend(found.into_iter().map(|row| (row.id.0, TimelineEntry::SurveyResponse(row))));
    }
    Ok(places.iter().filter_map(|place| rows.remove(&place.id)).collect())
}
