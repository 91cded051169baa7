//! Survey links: secret addresses at which a survey is answered. The secret is shown once and kept as a hash.

use crate::changes::{self, Change};
use crate::db::Tx;
use crate::error::{OrNotFound, Result, StoreError};
use crate::page::{Cursor, Page, PageRequest, keyset};
use crate::schema::{survey_links, survey_responses};
use chrono::{DateTime, Utc};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Integer;
use opiekun_domain::ids::{CustomerId, OperatorId, OrganizationId, PersonId, SurveyId, SurveyLinkId, TaskId};
use serde::Serialize;

#[derive(Debug, Clone, Queryable, Selectable, Serialize)]
#[diesel(table_name = survey_links, check_for_backend(diesel::pg::Pg))]
pub struct SurveyLink {
    pub id: SurveyLinkId,
    pub survey_id: SurveyId,
    #[diesel(embed)]
    #[serde(flatten)]
    pub fields: SurveyLinkFields,
    /// When it was last answered at in whole.
    pub used_at: Option<DateTime<Utc>>,
    /// The operator who made it; nobody where a script did.
    pub registered_by_id: Option<OperatorId>,
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl SurveyLink {
    /// Whether anything can be answered at it.
    pub fn is_of_use(&self, now: DateTime<Utc>) -> bool {
        now < self.fields.expires_at && !(self.fields.single_use && self.used_at.is_some())
    }
}

/// What a caller may write.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, Serialize)]
#[diesel(table_name = survey_links, check_for_backend(diesel::pg::Pg))]
pub struct SurveyLinkFields {
    /// Whose answers they are; anybody's where there is none.
    pub customer_id: Option<CustomerId>,
    pub person_id: Option<PersonId>,
    /// What they are answered for.
    pub task_id: Option<TaskId>,
    pub single_use: bool,
    pub expires_at: DateTime<Utc>,
}

#[derive(Insertable)]
#[diesel(table_name = survey_links)]
struct NewSurveyLink {
    organization_id: OrganizationId,
    id: SurveyLinkId,
    survey_id: SurveyId,
    #[diesel(embed)]
    fields: SurveyLinkFields,
    secret_hash: Vec<u8>,
    registered_by_id: Option<OperatorId>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Default)]
pub struct SurveyLinkFilter {
    pub survey_id: Option<SurveyId>,
    pub customer_id: Option<CustomerId>,
}

pub fn create(
    tx: &mut Tx<'_>,
    survey_id: SurveyId,
    fields: SurveyLinkFields,
    secret_hash: Vec<u8>,
) -> Result<SurveyLink> {
    let row = NewSurveyLink {
        organization_id: tx.organization_id(),
        id: SurveyLinkId::at(tx.now),
        survey_id,
        fields,
        secret_hash,
        registered_by_id: tx.scope.actor.operator_id(),
        created_at: tx.now,
        updated_at: tx.now,
    };
    let link: SurveyLink = diesel::insert_into(survey_links::table)
        .values(row)
        .returning(SurveyLink::as_returning())
        .get_result(tx.conn)?;
    record(tx, "created", None, Some(&link))?;
    Ok(link)
}

pub fn find(tx: &mut Tx<'_>, id: SurveyLinkId) -> Result<SurveyLink> {
    survey_links::table
        .find((tx.organization_id(), id))
        .select(SurveyLink::as_select())
        .first(tx.conn)
        .optional()
        .or_not_found("survey link")
}

/// Locks the row; [`StoreError::Stale`] when somebody has changed it since `seen`.
pub fn lock(tx: &mut Tx<'_>, id: SurveyLinkId, seen: Option<i32>) -> Result<SurveyLink> {
    let link = survey_links::table
        .find((tx.organization_id(), id))
        .select(SurveyLink::as_select())
        .for_update()
        .first(tx.conn)
        .optional()
        .or_not_found("survey link")?;
    StoreError::unless_current(link.version, seen)?;
    Ok(link)
}

/// Notes that a locked link was answered at in whole.
pub fn mark_used(tx: &mut Tx<'_>, link: &SurveyLink) -> Result<()> {
    diesel::update(survey_links::table.find((tx.organization_id(), link.id)))
        .set((
            survey_links::used_at.eq(tx.now),
            survey_links::version.eq(survey_links::version + 1),
            survey_links::updated_at.eq(tx.now),
        ))
        .execute(tx.conn)?;
    Ok(())
}

/// Removes a locked row, and with it its address for good. What was answered at it stays; a response that nobody has
/// begun goes with it, unless a task waits for it.
pub fn delete(tx: &mut Tx<'_>, link: &SurveyLink) -> Result<()> {
    let organization_id = tx.organization_id();
    let of_link = || {
        survey_responses::table
            .filter(survey_responses::organization_id.eq(organization_id))
            .filter(survey_responses::link_id.eq(link.id))
    };
    let empty = of_link()
        .filter(survey_responses::completed_at.is_null())
        .filter(survey_responses::task_id.is_null())
        .filter(survey_responses::answers.eq(serde_json::json!({})));
    diesel::delete(empty).execute(tx.conn)?;
    diesel::update(of_link()).set(survey_responses::link_id.eq(None::<SurveyLinkId>)).execute(tx.conn)?;
    diesel::delete(survey_links::table.find((organization_id, link.id))).execute(tx.conn)?;
    record(tx, "deleted", Some(link), None)
}

pub fn list(tx: &mut Tx<'_>, filter: &SurveyLinkFilter, page: &PageRequest<()>) -> Result<Page<SurveyLink>> {
    let organization_id = tx.organization_id();
    let filtered = || {
        let mut query = survey_links::table.filter(survey_links::organization_id.eq(organization_id)).into_boxed();
        if let Some(survey_id) = filter.survey_id {
            query = query.filter(survey_links::survey_id.eq(survey_id));
        }
        if let Some(customer_id) = filter.customer_id {
            query = query.filter(survey_links::customer_id.eq(customer_id));
        }
        query
    };
    let total = page.total(|cap| filtered().select(sql::<Integer>("1")).limit(cap).load(tx.conn))?;
    let rows = keyset!(filtered(), page, survey_links::id).select(SurveyLink::as_select()).load(tx.conn)?;
    Ok(Page::cut(rows, page, total, |link| Cursor::new((), link.id)))
}

fn record(
    tx: &mut Tx<'_>,
    action: &'static str,
    before: Option<&SurveyLink>,
    after: Option<&SurveyLink>,
) -> Result<()> {
    let Some(told) = after.or(before) else { return Ok(()) };
    changes::record(tx, Change::new("survey_link", action, (told.id, told.version), before, after))
}
