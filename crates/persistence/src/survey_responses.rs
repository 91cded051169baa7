//! Survey responses: what one customer answers to a survey, in whole or so far.

use crate::changes::{self, Change};
use crate::db::Tx;
use crate::error::{OrNotFound, Result, StoreError};
use crate::json::Json;
use crate::page::{Cursor, Page, PageRequest, keyset};
use crate::schema::{survey_links, survey_responses, surveys, tasks};
use chrono::{DateTime, Utc};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Integer;
use opiekun_domain::ids::{
    CustomerId, InteractionId, OperatorId, OrganizationId, PersonId, SurveyId, SurveyLinkId, SurveyResponseId, TaskId,
    ThreadId,
};
use opiekun_domain::survey::{Answers, SurveyStatus};
use serde::Serialize;
use std::collections::HashSet;

#[derive(Debug, Clone, Queryable, Selectable, Serialize)]
#[diesel(table_name = survey_responses, check_for_backend(diesel::pg::Pg))]
pub struct SurveyResponse {
    pub id: SurveyResponseId,
    pub survey_id: SurveyId,
    /// The version of the survey whose questions it answers.
    pub survey_version: i32,
    #[diesel(embed)]
    #[serde(flatten)]
    pub fields: SurveyResponseFields,
    /// That of its interaction, else of its task.
    pub thread_id: Option<ThreadId>,
    /// The address at which it is answered.
    pub link_id: Option<SurveyLinkId>,
    /// The operator who wrote it down, or made its link; nobody where a script did.
    pub registered_by_id: Option<OperatorId>,
    pub completed_at: Option<DateTime<Utc>>,
    /// When it was completed, else when it was begun.
    #[serde(skip)]
    pub dated_at: DateTime<Utc>,
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl SurveyResponse {
    /// Whose work it is: who may change it, with those above them.
    pub fn holders(&self) -> Vec<OperatorId> {
        self.registered_by_id.into_iter().chain(self.fields.operator_id).collect()
    }
}

/// What a caller may write.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset, Serialize)]
#[diesel(table_name = survey_responses, check_for_backend(diesel::pg::Pg), treat_none_as_null = true)]
pub struct SurveyResponseFields {
    pub customer_id: Option<CustomerId>,
    pub person_id: Option<PersonId>,
    /// Who asks; nobody where the customer answers alone.
    pub operator_id: Option<OperatorId>,
    pub interaction_id: Option<InteractionId>,
    pub task_id: Option<TaskId>,
    pub answers: Json<Answers>,
}

/// Which questions are answered, and where.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    pub survey_id: SurveyId,
    pub survey_version: i32,
    pub link_id: Option<SurveyLinkId>,
    /// Who writes it down, or made the link.
    pub registered_by_id: Option<OperatorId>,
}

#[derive(Insertable)]
#[diesel(table_name = survey_responses)]
struct NewSurveyResponse {
    organization_id: OrganizationId,
    id: SurveyResponseId,
    survey_id: SurveyId,
    survey_version: i32,
    #[diesel(embed)]
    fields: SurveyResponseFields,
    link_id: Option<SurveyLinkId>,
    registered_by_id: Option<OperatorId>,
    completed_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SurveyResponseSort {
    /// When it was completed, else when it was begun.
    #[default]
    DatedAt,
}

/// All that is given must hold.
#[derive(Debug, Clone, Default)]
pub struct SurveyResponseFilter {
    pub survey_id: Option<SurveyId>,
    pub survey_version: Option<i32>,
    pub customer_id: Option<CustomerId>,
    pub person_id: Option<PersonId>,
    pub operator_id: Option<OperatorId>,
    pub interaction_id: Option<InteractionId>,
    pub task_id: Option<TaskId>,
    pub thread_id: Option<ThreadId>,
    pub complete: Option<bool>,
    /// Whether it is not complete and can be answered: its survey is open, its address, if it has one, not run out, and its
    /// task, if it has one, not closed.
    pub waiting: Option<bool>,
    pub dated_from: Option<DateTime<Utc>>,
    pub dated_before: Option<DateTime<Utc>>,
}

/// Writes a response down, `complete` or to be answered further.
pub fn create(tx: &mut Tx<'_>, asked: Asked, fields: SurveyResponseFields, complete: bool) -> Result<SurveyResponse> {
    let Asked { survey_id, survey_version, link_id, registered_by_id } = asked;
    let row = NewSurveyResponse {
        organization_id: tx.organization_id(),
        id: SurveyResponseId::at(tx.now),
        survey_id,
        survey_version,
        fields,
        link_id,
        registered_by_id,
        completed_at: complete.then_some(tx.now),
        created_at: tx.now,
        updated_at: tx.now,
    };
    let response: SurveyResponse = diesel::insert_into(survey_responses::table)
        .values(row)
        .returning(SurveyResponse::as_returning())
        .get_result(tx.conn)?;
    record(tx, if complete { "completed" } else { "created" }, None, Some(&response))?;
    Ok(response)
}

/// Has a survey wait for a customer at a link for a single use: in the response that waits for the link's task already, if
/// there is one that nobody has begun, else in a new one.
pub fn await_at_link(tx: &mut Tx<'_>, asked: Asked, fields: SurveyResponseFields) -> Result<()> {
    let waiting: Option<SurveyResponse> = survey_responses::table
        .filter(survey_responses::organization_id.eq(tx.organization_id()))
        .filter(survey_responses::task_id.eq(fields.task_id))
        .filter(survey_responses::survey_id.eq(asked.survey_id))
        .filter(survey_responses::completed_at.is_null())
        .filter(survey_responses::link_id.is_null())
        .filter(survey_responses::answers.eq(Json(Answers::new())))
        .order((survey_responses::dated_at, survey_responses::id))
        .select(SurveyResponse::as_select())
        .for_update()
        .first(tx.conn)
        .optional()?;
    let Some(waiting) = waiting else {
        create(tx, asked, fields, false)?;
        return Ok(());
    };
    let after = diesel::update(survey_responses::table.find((tx.organization_id(), waiting.id)))
        .set((
            fields,
            survey_responses::survey_version.eq(asked.survey_version),
            survey_responses::link_id.eq(asked.link_id),
            survey_responses::registered_by_id.eq(asked.registered_by_id),
            survey_responses::version.eq(survey_responses::version + 1),
            survey_responses::updated_at.eq(tx.now),
        ))
        .returning(SurveyResponse::as_returning())
        .get_result(tx.conn)?;
    record(tx, "updated", Some(&waiting), Some(&after))
}

/// Puts surveys before customers, each as a response without answers.
pub(crate) fn create_all(tx: &mut Tx<'_>, rows: Vec<(Asked, SurveyResponseFields)>) -> Result<()> {
    /// Parameters of one statement are limited.
    const ROWS_AT_ONCE: usize = 1_000;
    let (organization_id, now) = (tx.organization_id(), tx.now);
    let mut rows: Vec<NewSurveyResponse> = rows
        .into_iter()
        .map(|(asked, fields)| NewSurveyResponse {
            organization_id,
            id: SurveyResponseId::at(now),
            survey_id: asked.survey_id,
            survey_version: asked.survey_version,
            fields,
            link_id: asked.link_id,
            registered_by_id: asked.registered_by_id,
            completed_at: None,
            created_at: now,
            updated_at: now,
        })
        .collect();
    while !rows.is_empty() {
        let rest = rows.split_off(rows.len().min(ROWS_AT_ONCE));
        let responses: Vec<SurveyResponse> = diesel::insert_into(survey_responses::table)
            .values(rows)
            .returning(SurveyResponse::as_returning())
            .get_results(tx.conn)?;
        let records = responses
            .iter()
            .map(|row| Change::new("survey_response", "created", (row.id, row.version), None, Some(row)))
            .collect();
        changes::record_all(tx, records)?;
        rows = rest;
    }
    Ok(())
}

/// Which surveys there are responses to for some tasks, of whatever kind.
pub(crate) fn of_tasks(tx: &mut Tx<'_>, task_ids: &[TaskId]) -> Result<HashSet<(TaskId, SurveyId)>> {
    let rows: Vec<(Option<TaskId>, SurveyId)> = survey_responses::table
        .filter(survey_responses::organization_id.eq(tx.organization_id()))
        .filter(survey_responses::task_id.eq_any(task_ids))
        .select((survey_responses::task_id, survey_responses::survey_id))
        .load(tx.conn)?;
    Ok(rows.into_iter().filter_map(|(task_id, survey_id)| Some((task_id?, survey_id))).collect())
}

pub fn find(tx: &mut Tx<'_>, id: SurveyResponseId) -> Result<SurveyResponse> {
    survey_responses::table
        .find((tx.organization_id(), id))
        .select(SurveyResponse::as_select())
        .first(tx.conn)
        .optional()
        .or_not_found("survey response")
}

/// Those of `ids` that exist, in no order.
pub fn find_all(tx: &mut Tx<'_>, ids: &[SurveyResponseId]) -> Result<Vec<SurveyResponse>> {
    Ok(survey_responses::table
        .filter(survey_responses::organization_id.eq(tx.organization_id()))
        .filter(survey_responses::id.eq_any(ids))
        .select(SurveyResponse::as_select())
        .load(tx.conn)?)
}

/// Locks the row; [`StoreError::Stale`] when somebody has changed it since `seen`.
pub fn lock(tx: &mut Tx<'_>, id: SurveyResponseId, seen: Option<i32>) -> Result<SurveyResponse> {
    let response = survey_responses::table
        .find((tx.organization_id(), id))
        .select(SurveyResponse::as_select())
        .for_update()
        .first(tx.conn)
        .optional()
        .or_not_found("survey response")?;
    StoreError::unless_current(response.version, seen)?;
    Ok(response)
}

/// The response of a link for a single use, locked, or none where it is gone.
pub fn lock_of_link(tx: &mut Tx<'_>, link_id: SurveyLinkId) -> Result<Option<SurveyResponse>> {
    Ok(survey_responses::table
        .filter(survey_responses::organization_id.eq(tx.organization_id()))
        .filter(survey_responses::link_id.eq(link_id))
        .select(SurveyResponse::as_select())
        .for_update()
        .first(tx.conn)
        .optional()?)
}

/// Writes to a row that [`lock`] has returned, and counts its version up.
pub fn update(
    tx: &mut Tx<'_>,
    response: &SurveyResponse,
    survey_version: i32,
    fields: SurveyResponseFields,
    complete: bool,
) -> Result<SurveyResponse> {
    let after = diesel::update(survey_responses::table.find((tx.organization_id(), response.id)))
        .set((
            fields,
            survey_responses::survey_version.eq(survey_version),
            survey_responses::completed_at.eq(complete.then_some(tx.now)),
            survey_responses::version.eq(survey_responses::version + 1),
            survey_responses::updated_at.eq(tx.now),
        ))
        .returning(SurveyResponse::as_returning())
        .get_result(tx.conn)?;
    record(tx, if complete { "completed" } else { "updated" }, Some(response), Some(&after))?;
    Ok(after)
}

/// Removes what waits for an answer for some tasks, where nobody has begun one.
pub(crate) fn delete_unanswered(tx: &mut Tx<'_>, task_ids: &[TaskId]) -> Result<()> {
    if task_ids.is_empty() {
        return Ok(());
    }
    let gone: Vec<SurveyResponse> = diesel::delete(survey_responses::table)
        .filter(survey_responses::organization_id.eq(tx.organization_id()))
        .filter(survey_responses::task_id.eq_any(task_ids))
        .filter(survey_responses::completed_at.is_null())
        .filter(survey_responses::answers.eq(Json(Answers::new())))
        .returning(SurveyResponse::as_returning())
        .get_results(tx.conn)?;
    let records =
        gone.iter().map(|row| Change::new("survey_response", "deleted", (row.id, row.version), Some(row), None));
    let records = records.collect();
    changes::record_all(tx, records)
}

/// Removes a locked row; the audit log keeps it.
pub fn delete(tx: &mut Tx<'_>, response: &SurveyResponse) -> Result<()> {
    diesel::delete(survey_responses::table.find((tx.organization_id(), response.id)))
        .execute(tx.conn)
        .map_err(StoreError::of_deletion)?;
    record(tx, "deleted", Some(response), None)
}

/// The responses of a person, newest first, at most so many.
pub fn of_person(tx: &mut Tx<'_>, person_id: PersonId, most: u16) -> Result<Vec<SurveyResponse>> {
    Ok(survey_responses::table
        .filter(survey_responses::organization_id.eq(tx.organization_id()))
        .filter(survey_responses::person_id.eq(person_id))
        .order((survey_responses::dated_at.desc(), survey_responses::id.desc()))
        .limit(most.into())
        .select(SurveyResponse::as_select())
        .load(tx.conn)?)
}

pub fn list(
    tx: &mut Tx<'_>,
    filter: &SurveyResponseFilter,
    page: &PageRequest<SurveyResponseSort>,
) -> Result<Page<SurveyResponse>> {
    let (organization_id, now) = (tx.organization_id(), tx.now);
    let filtered = || {
        let mut query =
            survey_responses::table.filter(survey_responses::organization_id.eq(organization_id)).into_boxed();
        if let Some(survey_id) = filter.survey_id {
            query = query.filter(survey_responses::survey_id.eq(survey_id));
        }
        if let Some(survey_version) = filter.survey_version {
            query = query.filter(survey_responses::survey_version.eq(survey_version));
        }
        if let Some(customer_id) = filter.customer_id {
            query = query.filter(survey_responses::customer_id.eq(customer_id));
        }
        if let Some(person_id) = filter.person_id {
            query = query.filter(survey_responses::person_id.eq(person_id));
        }
        if let Some(operator_id) = filter.operator_id {
            query = query.filter(survey_responses::operator_id.eq(operator_id));
        }
        if let Some(interaction_id) = filter.interaction_id {
            query = query.filter(survey_responses::interaction_id.eq(interaction_id));
        }
        if let Some(task_id) = filter.task_id {
            query = query.filter(survey_responses::task_id.eq(task_id));
        }
        if let Some(thread_id) = filter.thread_id {
            query = query.filter(survey_responses::thread_id.eq(thread_id));
        }
        query = match filter.complete {
            Some(true) => query.filter(survey_responses::completed_at.is_not_null()),
            Some(false) => query.filter(survey_responses::completed_at.is_null()),
            None => query,
        };
        // Looked up for each row in the order of the list: joined as a whole, all that waits would be sorted.
        let answerable = survey_responses::completed_at
            .is_null()
            .and(diesel::dsl::exists(
                surveys::table
                    .filter(surveys::organization_id.eq(survey_responses::organization_id))
                    .filter(surveys::id.eq(survey_responses::survey_id))
                    .filter(surveys::status.eq(SurveyStatus::Open))
                    .offset(0),
            ))
            .and(diesel::dsl::not(diesel::dsl::exists(
                survey_links::table
                    .filter(survey_links::organization_id.eq(survey_responses::organization_id))
                    .filter(survey_links::id.nullable().eq(survey_responses::link_id))
                    .filter(survey_links::expires_at.le(now))
                    .offset(0),
            )))
            .and(diesel::dsl::not(diesel::dsl::exists(
                tasks::table
                    .filter(tasks::organization_id.eq(survey_responses::organization_id))
                    .filter(tasks::id.nullable().eq(survey_responses::task_id))
                    .filter(tasks::closed_at.is_not_null())
                    .offset(0),
            )));
        query = match filter.waiting {
            Some(true) => query.filter(answerable),
            Some(false) => query.filter(diesel::dsl::not(answerable)),
            None => query,
        };
        if let Some(from) = filter.dated_from {
            query = query.filter(survey_responses::dated_at.ge(from));
        }
        if let Some(before) = filter.dated_before {
            query = query.filter(survey_responses::dated_at.lt(before));
        }
        query
    };
    let total = page.total(|cap| filtered().select(sql::<Integer>("1")).limit(cap).load(tx.conn))?;
    let SurveyResponseSort::DatedAt = page.sort;
    let rows = keyset!(filtered(), page, survey_responses::dated_at => DateTime<Utc>, survey_responses::id)
        .select(SurveyResponse::as_select())
        .load(tx.conn)?;
    Ok(Page::cut(rows, page, total, |response| Cursor::new(response.dated_at, response.id)))
}

fn record(
    tx: &mut Tx<'_>,
    action: &'static str,
    before: Option<&SurveyResponse>,
    after: Option<&SurveyResponse>,
) -> Result<()> {
    let Some(told) = after.or(before) else { return Ok(()) };
    changes::record(tx, Change::new("survey_response", action, (told.id, told.version), before, after))
}
