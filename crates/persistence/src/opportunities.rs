//! Opportunities: sales that may come about, each at a stage of a pipeline, and every change of stage with its time.

use crate::changes::{self, Change};
use crate::db::Tx;
use crate::error::{OrNotFound, Result, StoreError, Violation};
use crate::page::{Among, Cursor, Page, PageRequest, keyset};
use crate::schema::{opportunities, opportunity_tags, stage_changes};
use crate::stages::Stage;
use crate::task_series::{self, Reference};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Integer;
use opiekun_domain::currency::Currency;
use opiekun_domain::decimal::OpportunityValue;
use opiekun_domain::ids::{CustomerId, OperatorId, OpportunityId, OrganizationId, PipelineId, StageChangeId, StageId};
use opiekun_domain::pipeline::StageKind;
use serde::Serialize;

#[derive(Debug, Clone, Queryable, Selectable, Serialize)]
#[diesel(table_name = opportunities, check_for_backend(diesel::pg::Pg))]
pub struct Opportunity {
    pub id: OpportunityId,
    /// The operator who wrote it down; nobody where a script did.
    pub registered_by_id: Option<OperatorId>,
    #[diesel(embed)]
    #[serde(flatten)]
    pub fields: OpportunityFields,
    #[diesel(embed)]
    #[serde(flatten)]
    pub standing: Standing,
    /// Only serves the order of lists.
    #[serde(skip)]
    pub sort_close_on: NaiveDate,
    /// Since when it is won or lost.
    pub closed_at: Option<DateTime<Utc>>,
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl Opportunity {
    /// Whose work it is: who may change it, with those above them.
    pub fn holders(&self) -> Vec<OperatorId> {
        self.registered_by_id.into_iter().chain(self.fields.caretaker_id).collect()
    }
}

/// What a caller may write.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset, Serialize)]
#[diesel(table_name = opportunities, check_for_backend(diesel::pg::Pg), treat_none_as_null = true)]
pub struct OpportunityFields {
    pub customer_id: CustomerId,
    pub title: String,
    pub description: Option<String>,
    pub value: OpportunityValue,
    pub currency: Currency,
    pub caretaker_id: Option<OperatorId>,
    pub expected_close_on: Option<NaiveDate>,
    pub tags: Vec<String>,
}

/// At which stage it stands, and since when.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset, Serialize)]
#[diesel(table_name = opportunities, check_for_backend(diesel::pg::Pg))]
pub struct Standing {
    pub pipeline_id: PipelineId,
    pub stage_id: StageId,
    pub stage_kind: StageKind,
    pub stage_entered_at: DateTime<Utc>,
}

impl Standing {
    fn at(stage: &Stage, stage_entered_at: DateTime<Utc>) -> Self {
        Self { pipeline_id: stage.pipeline_id, stage_id: stage.id, stage_kind: stage.fields.kind, stage_entered_at }
    }
}

#[derive(Insertable)]
#[diesel(table_name = opportunities)]
struct NewOpportunity {
    organization_id: OrganizationId,
    id: OpportunityId,
    registered_by_id: Option<OperatorId>,
    #[diesel(embed)]
    fields: OpportunityFields,
    #[diesel(embed)]
    standing: Standing,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// A move of an opportunity to a stage; its beginning, where it comes from none.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = stage_changes, check_for_backend(diesel::pg::Pg))]
pub struct StageChange {
    pub id: StageChangeId,
    pub opportunity_id: OpportunityId,
    pub from_stage_id: Option<StageId>,
    /// Since when it had stood there.
    pub from_entered_at: Option<DateTime<Utc>>,
    pub to_stage_id: StageId,
    pub changed_at: DateTime<Utc>,
    /// Who moved it; nobody where a script did.
    pub operator_id: Option<OperatorId>,
    pub note: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OpportunitySort {
    /// The order of the ids, which count up with time.
    #[default]
    CreatedAt,
    /// Those without a day are the last.
    ExpectedCloseOn,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StageChangeSort {
    #[default]
    ChangedAt,
}

/// All that is given must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OpportunityFilter {
    pub customer_id: Option<CustomerId>,
    pub pipeline_id: Option<PipelineId>,
    pub stage_id: Option<StageId>,
    pub stage_kind: Option<StageKind>,
    pub caretaker_id: Option<OperatorId>,
    pub expected_from: Option<NaiveDate>,
    pub expected_before: Option<NaiveDate>,
    /// Any of these.
    pub tags: Option<Vec<String>>,
}

/// Registers an opportunity at a stage: whoever the scope names has written it down, and has taken
/// [`pipelines::hold`](crate::pipelines::hold).
pub fn create(tx: &mut Tx<'_>, fields: OpportunityFields, stage: &Stage) -> Result<Opportunity> {
    let row = NewOpportunity {
        organization_id: tx.organization_id(),
        id: OpportunityId::at(tx.now),
        registered_by_id: tx.scope.actor.operator_id(),
        fields,
        standing: Standing::at(stage, tx.now),
        created_at: tx.now,
        updated_at: tx.now,
    };
    let opportunity: Opportunity = diesel::insert_into(opportunities::table)
        .values(row)
        .returning(Opportunity::as_returning())
        .get_result(tx.conn)?;
    keep_change(tx, opportunity.id, None, &opportunity.standing, None)?;
    record(tx, "created", None, Some(&opportunity))?;
    Ok(opportunity)
}

pub fn find(tx: &mut Tx<'_>, id: OpportunityId) -> Result<Opportunity> {
    opportunities::table
        .find((tx.organization_id(), id))
        .select(Opportunity::as_select())
        .first(tx.conn)
        .optional()
        .or_not_found("opportunity")
}

/// Those of `ids` that exist, in no order.
pub fn find_all(tx: &mut Tx<'_>, ids: &[OpportunityId]) -> Result<Vec<Opportunity>> {
    Ok(opportunities::table
        .filter(opportunities::organization_id.eq(tx.organization_id()))
        .filter(opportunities::id.eq_any(ids))
        .select(Opportunity::as_select())
        .load(tx.conn)?)
}

/// Locks the row; [`StoreError::Stale`] when somebody has changed it since `seen`.
pub fn lock(tx: &mut Tx<'_>, id: OpportunityId, seen: Option<i32>) -> Result<Opportunity> {
    let opportunity = opportunities::table
        .find((tx.organization_id(), id))
        .select(Opportunity::as_select())
        .for_update()
        .first(tx.conn)
        .optional()
        .or_not_found("opportunity")?;
    StoreError::unless_current(opportunity.version, seen)?;
    Ok(opportunity)
}

/// Writes to a row that [`lock`] has returned, and counts its version up. Where it does not stand at the stage yet it
/// moves there, which is kept with its time. The caller has taken [`pipelines::hold`](crate::pipelines::hold) before
/// the lock.
pub fn update(
    tx: &mut Tx<'_>,
    opportunity: &Opportunity,
    fields: OpportunityFields,
    stage: &Stage,
    note: Option<String>,
) -> Result<Opportunity> {
    let before = &opportunity.standing;
    let moves = stage.id != before.stage_id;
    let standing = if moves {
        // The moment of a transaction that had to wait may lie before that of the move it waited for.
        Standing::at(stage, tx.now.max(before.stage_entered_at + TimeDelta::microseconds(1)))
    } else {
        before.clone()
    };
    let after: Opportunity = diesel::update(opportunities::table.find((tx.organization_id(), opportunity.id)))
        .set((
            fields,
            standing,
            opportunities::version.eq(opportunities::version + 1),
            opportunities::updated_at.eq(tx.now),
        ))
        .returning(Opportunity::as_returning())
        .get_result(tx.conn)
        .map_err(of_update)?;
    if moves {
        keep_change(tx, opportunity.id, Some(before), &after.standing, note)?;
    }
    record(tx, if moves { "moved" } else { "updated" }, Some(opportunity), Some(&after))?;
    Ok(after)
}

/// Removes a locked row that nothing refers to, and with it where it stood; the audit log keeps both.
pub fn delete(tx: &mut Tx<'_>, opportunity: &Opportunity) -> Result<()> {
    task_series::forget(tx, Reference::Opportunity(opportunity.id))?;
    diesel::delete(opportunities::table.find((tx.organization_id(), opportunity.id)))
        .execute(tx.conn)
        .map_err(StoreError::of_deletion)?;
    record(tx, "deleted", Some(opportunity), None)
}

pub fn list(
    tx: &mut Tx<'_>,
    filter: &OpportunityFilter,
    page: &PageRequest<OpportunitySort>,
) -> Result<Page<Opportunity>> {
    let organization_id = tx.organization_id();
    let filtered = || {
        let mut query = opportunities::table.filter(opportunities::organization_id.eq(organization_id)).into_boxed();
        if let Some(customer_id) = filter.customer_id {
            query = query.filter(opportunities::customer_id.eq(customer_id));
        }
        if let Some(pipeline_id) = filter.pipeline_id {
            query = query.filter(opportunities::pipeline_id.eq(pipeline_id));
        }
        if let Some(stage_id) = filter.stage_id {
            query = query.filter(opportunities::stage_id.eq(stage_id));
        }
        if let Some(stage_kind) = filter.stage_kind {
            query = query.filter(opportunities::stage_kind.eq(stage_kind));
        }
        if let Some(caretaker_id) = filter.caretaker_id {
            query = query.filter(opportunities::caretaker_id.eq(caretaker_id));
        }
        query
    };
    // The day that the indexes know is the sort day, the last of which stands for none.
    let expected_before = filter.expected_before.or(filter.expected_from.and(NaiveDate::from_ymd_opt(9999, 12, 31)));
    // What has a tag is read in the order of the rows of tags, which know the day too.
    let tags = || filter.tags.iter().flatten();
    // A filter that asks for no more than they know needs no look at the records.
    let known = OpportunityFilter {
        expected_from: filter.expected_from,
        expected_before: filter.expected_before,
        tags: filter.tags.clone(),
        ..OpportunityFilter::default()
    };
    let tagged = |tag| {
        let mut query = opportunity_tags::table
            .filter(opportunity_tags::organization_id.eq(organization_id))
            .filter(opportunity_tags::tag.eq(tag))
            .select(opportunity_tags::opportunity_id)
            .into_boxed();
        if *filter != known {
            query = query.filter(opportunity_tags::opportunity_id.eq_any(filtered().select(opportunities::id)));
        }
        if let Some(from) = filter.expected_from {
            query = query.filter(opportunity_tags::sort_close_on.ge(from));
        }
        if let Some(before) = expected_before {
            query = query.filter(opportunity_tags::sort_close_on.lt(before));
        }
        query
    };
    let found = |among| {
        if filter.tags.is_some() {
            return opportunities::table
                .filter(opportunities::organization_id.eq(organization_id))
                .filter(among)
                .into_boxed();
        }
        let mut query = filtered();
        if let Some(from) = filter.expected_from {
            query = query.filter(opportunities::sort_close_on.ge(from));
        }
        if let Some(before) = expected_before {
            query = query.filter(opportunities::sort_close_on.lt(before));
        }
        query
    };
    let total = page.total(|cap| {
        let mut among = Among::new(opportunities::id);
        tags().for_each(|tag| among.push(tagged(tag).limit(cap)));
        found(among).select(sql::<Integer>("1")).limit(cap).load(tx.conn)
    })?;
    let mut among = Among::new(opportunities::id);
    let query = match page.sort {
        OpportunitySort::ExpectedCloseOn => {
            for tag in tags() {
                let (day, id) = (opportunity_tags::sort_close_on, opportunity_tags::opportunity_id);
                among.push(keyset!(tagged(tag), page, day => NaiveDate, id));
            }
            keyset!(found(among), page, opportunities::sort_close_on => NaiveDate, opportunities::id)
        }
        OpportunitySort::CreatedAt => {
            for tag in tags() {
                among.push(keyset!(tagged(tag), page, opportunity_tags::opportunity_id));
            }
            keyset!(found(among), page, opportunities::id)
        }
    };
    let rows = query.select(Opportunity::as_select()).load(tx.conn)?;
    Ok(Page::cut(rows, page, total, |opportunity| match page.sort {
        OpportunitySort::CreatedAt => Cursor::new((), opportunity.id),
        OpportunitySort::ExpectedCloseOn => Cursor::new(opportunity.sort_close_on, opportunity.id),
    }))
}

/// Where an opportunity has stood.
pub fn stage_changes(
    tx: &mut Tx<'_>,
    id: OpportunityId,
    page: &PageRequest<StageChangeSort>,
) -> Result<Page<StageChange>> {
    let organization_id = tx.organization_id();
    let filtered = || {
        stage_changes::table
            .filter(stage_changes::organization_id.eq(organization_id))
            .filter(stage_changes::opportunity_id.eq(id))
            .into_boxed()
    };
    let total = page.total(|cap| filtered().select(sql::<Integer>("1")).limit(cap).load(tx.conn))?;
    let StageChangeSort::ChangedAt = page.sort;
    let rows = keyset!(filtered(), page, stage_changes::changed_at => DateTime<Utc>, stage_changes::id)
        .select(StageChange::as_select())
        .load(tx.conn)?;
    Ok(Page::cut(rows, page, total, |change| Cursor::new(change.changed_at, change.id)))
}

/// Keeps a move, which took place when the opportunity came to stand where it now does.
fn keep_change(
    tx: &mut Tx<'_>,
    opportunity_id: OpportunityId,
    from: Option<&Standing>,
    to: &Standing,
    note: Option<String>,
) -> Result<()> {
    let change = StageChange {
        id: StageChangeId::at(to.stage_entered_at),
        opportunity_id,
        from_stage_id: from.map(|from| from.stage_id),
        from_entered_at: from.map(|from| from.stage_entered_at),
        to_stage_id: to.stage_id,
        changed_at: to.stage_entered_at,
        operator_id: tx.scope.actor.operator_id(),
        note,
    };
    diesel::insert_into(stage_changes::table)
        .values((stage_changes::organization_id.eq(tx.organization_id()), change))
        .execute(tx.conn)?;
    Ok(())
}

/// What a refused update comes to: of the references that break, those of other tables lead to the row by the customer
/// that it has.
fn of_update(error: diesel::result::Error) -> StoreError {
    match StoreError::from(error) {
        StoreError::Refused { violation: Violation::Reference, constraint, .. }
            if !constraint.starts_with("opportunities_") =>
        {
            StoreError::InUse { constraint }
        }
        other => other,
    }
}

fn record(
    tx: &mut Tx<'_>,
    action: &'static str,
    before: Option<&Opportunity>,
    after: Option<&Opportunity>,
) -> Result<()> {
    let Some(told) = after.or(before) else { return Ok(()) };
    changes::record(tx, Change::new("opportunity", action, (told.id, told.version), before, after))
}
