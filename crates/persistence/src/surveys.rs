//! Surveys: questions to be asked of customers. What was once published stays; a change of it is another version.

use crate::changes::{self, Change};
use crate::db::Tx;
use crate::error::{OrNotFound, Result, StoreError};
use crate::json::Json;
use crate::page::{Cursor, Page, PageRequest, keyset};
use crate::schema::{survey_versions, surveys};
use chrono::{DateTime, Utc};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Integer;
use opiekun_domain::ids::{OrganizationId, SurveyId};
use opiekun_domain::survey::{Question, SurveyStatus};
use serde::Serialize;

#[derive(Debug, Clone, Queryable, Selectable, Serialize)]
#[diesel(table_name = surveys, check_for_backend(diesel::pg::Pg))]
pub struct Survey {
    pub id: SurveyId,
    #[diesel(embed)]
    #[serde(flatten)]
    pub fields: SurveyFields,
    /// The version whose questions are asked; none of a draft.
    pub published_version: Option<i32>,
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// What a caller may write.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset, Serialize)]
#[diesel(table_name = surveys, check_for_backend(diesel::pg::Pg), treat_none_as_null = true)]
pub struct SurveyFields {
    pub title: String,
    pub description: Option<String>,
    pub status: SurveyStatus,
    pub questions: Json<Vec<Question>>,
}

#[derive(Insertable)]
#[diesel(table_name = surveys)]
struct NewSurvey {
    organization_id: OrganizationId,
    id: SurveyId,
    #[diesel(embed)]
    fields: SurveyFields,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// What a survey asks, or has asked.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = survey_versions, check_for_backend(diesel::pg::Pg))]
pub struct SurveyVersion {
    pub survey_id: SurveyId,
    pub version: i32,
    pub questions: Json<Vec<Question>>,
    pub published_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SurveySort {
    /// The order of the ids, which count up with time.
    #[default]
    CreatedAt,
    Title,
}

/// All that is given must hold.
#[derive(Debug, Clone, Default)]
pub struct SurveyFilter {
    pub status: Option<SurveyStatus>,
}

/// Adds a draft, or one that is open at once.
pub fn create(tx: &mut Tx<'_>, fields: SurveyFields) -> Result<Survey> {
    let wanted = fields.status;
    let row = NewSurvey {
        organization_id: tx.organization_id(),
        id: SurveyId::at(tx.now),
        // Its questions are published once it is there.
        fields: SurveyFields { status: SurveyStatus::Draft, ..fields },
        created_at: tx.now,
        updated_at: tx.now,
    };
    let mut survey: Survey =
        diesel::insert_into(surveys::table).values(row).returning(Survey::as_returning()).get_result(tx.conn)?;
    if wanted != SurveyStatus::Draft {
        publish(tx, survey.id, 1, &survey.fields.questions)?;
        survey = diesel::update(surveys::table.find((tx.organization_id(), survey.id)))
            .set((surveys::status.eq(wanted), surveys::published_version.eq(1)))
            .returning(Survey::as_returning())
            .get_result(tx.conn)?;
    }
    record(tx, "created", None, Some(&survey))?;
    Ok(survey)
}

pub fn find(tx: &mut Tx<'_>, id: SurveyId) -> Result<Survey> {
    surveys::table
        .find((tx.organization_id(), id))
        .select(Survey::as_select())
        .first(tx.conn)
        .optional()
        .or_not_found("survey")
}

/// Those of `ids` that exist, in no order.
pub fn find_all(tx: &mut Tx<'_>, ids: &[SurveyId]) -> Result<Vec<Survey>> {
    Ok(surveys::table
        .filter(surveys::organization_id.eq(tx.organization_id()))
        .filter(surveys::id.eq_any(ids))
        .select(Survey::as_select())
        .load(tx.conn)?)
}

/// Locks the row; [`StoreError::Stale`] when somebody has changed it since `seen`.
pub fn lock(tx: &mut Tx<'_>, id: SurveyId, seen: Option<i32>) -> Result<Survey> {
    let survey = surveys::table
        .find((tx.organization_id(), id))
        .select(Survey::as_select())
        .for_update()
        .first(tx.conn)
        .optional()
        .or_not_found("survey")?;
    StoreError::unless_current(survey.version, seen)?;
    Ok(survey)
}

/// The same, for whoever is to answer it: it stays as it is until the transaction ends.
pub fn hold(tx: &mut Tx<'_>, id: SurveyId) -> Result<Survey> {
    surveys::table
        .find((tx.organization_id(), id))
        .select(Survey::as_select())
        .for_share()
        .first(tx.conn)
        .optional()
        .or_not_found("survey")
}

/// Writes to a row that [`lock`] has returned, and counts its version up. Once it is no draft any more, other questions
/// than those that are asked are published as this version's.
pub fn update(tx: &mut Tx<'_>, survey: &Survey, fields: SurveyFields) -> Result<Survey> {
    let version = survey.version + 1;
    let is_published = survey.published_version.is_some() && survey.fields.questions == fields.questions;
    let published_version = match fields.status {
        SurveyStatus::Draft => None,
        SurveyStatus::Open | SurveyStatus::Closed if is_published => survey.published_version,
        SurveyStatus::Open | SurveyStatus::Closed => {
            publish(tx, survey.id, version, &fields.questions)?;
            Some(version)
        }
    };
    let after = diesel::update(surveys::table.find((tx.organization_id(), survey.id)))
        .set((
            fields,
            surveys::published_version.eq(published_version),
            surveys::version.eq(version),
            surveys::updated_at.eq(tx.now),
        ))
        .returning(Survey::as_returning())
        .get_result(tx.conn)?;
    record(tx, "updated", Some(survey), Some(&after))?;
    Ok(after)
}

/// Removes a locked row that nobody has been asked, and all its versions.
pub fn delete(tx: &mut Tx<'_>, survey: &Survey) -> Result<()> {
    diesel::delete(surveys::table.find((tx.organization_id(), survey.id)))
        .execute(tx.conn)
        .map_err(StoreError::of_deletion)?;
    record(tx, "deleted", Some(survey), None)
}

pub fn list(tx: &mut Tx<'_>, filter: &SurveyFilter, page: &PageRequest<SurveySort>) -> Result<Page<Survey>> {
    let organization_id = tx.organization_id();
    let filtered = || {
        let query = surveys::table.filter(surveys::organization_id.eq(organization_id)).into_boxed();
        match filter.status {
            Some(status) => query.filter(surveys::status.eq(status)),
            None => query,
        }
    };
    let total = page.total(|cap| filtered().select(sql::<Integer>("1")).limit(cap).load(tx.conn))?;
    let query = match page.sort {
        SurveySort::CreatedAt => keyset!(filtered(), page, surveys::id),
        SurveySort::Title => keyset!(filtered(), page, surveys::title => String, surveys::id),
    };
    let rows = query.select(Survey::as_select()).load(tx.conn)?;
    Ok(Page::cut(rows, page, total, |survey| match page.sort {
        SurveySort::CreatedAt => Cursor::new((), survey.id),
        SurveySort::Title => Cursor::new(&survey.fields.title, survey.id),
    }))
}

/// What was asked at a version of the survey: the questions that were the last to be published then.
pub fn version_at(tx: &mut Tx<'_>, id: SurveyId, version: i32) -> Result<SurveyVersion> {
    survey_versions::table
        .filter(survey_versions::organization_id.eq(tx.organization_id()))
        .filter(survey_versions::survey_id.eq(id))
        .filter(survey_versions::version.le(version))
        .order(survey_versions::version.desc())
        .select(SurveyVersion::as_select())
        .first(tx.conn)
        .optional()
        .or_not_found("survey version")
}

/// What was published of a survey, newest first, at most so many.
pub fn versions(tx: &mut Tx<'_>, id: SurveyId, most: i64) -> Result<Vec<SurveyVersion>> {
    Ok(survey_versions::table
        .filter(survey_versions::organization_id.eq(tx.organization_id()))
        .filter(survey_versions::survey_id.eq(id))
        .order(survey_versions::version.desc())
        .limit(most)
        .select(SurveyVersion::as_select())
        .load(tx.conn)?)
}

fn publish(tx: &mut Tx<'_>, survey_id: SurveyId, version: i32, questions: &Json<Vec<Question>>) -> Result<()> {
    let row = SurveyVersion { survey_id, version, questions: questions.clone(), published_at: tx.now };
    diesel::insert_into(survey_versions::table)
        .values((survey_versions::organization_id.eq(tx.organization_id()), row))
        .execute(tx.conn)?;
    Ok(())
}

fn record(tx: &mut Tx<'_>, action: &'static str, before: Option<&Survey>, after: Option<&Survey>) -> Result<()> {
    let Some(told) = after.or(before) else { return Ok(()) };
    changes::record(tx, Change::new("survey", action, (told.id, told.version), before, after))
}
