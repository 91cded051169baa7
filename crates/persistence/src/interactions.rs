//! Interactions: single contacts with customers, each with the time it took and what that time costs.

use crate::attachments;
use crate::changes::{self, Change};
use crate::db::Tx;
use crate::error::{OrNotFound, Result, StoreError};
use crate::month_locks;
use crate::page::{Among, Cursor, Page, PageRequest, keyset};
use crate::pricing::{self, Price, Priced};
use crate::schema::{interaction_tags, interactions};
use crate::stage_changes;
use crate::task_series::{self, Reference};
use crate::work_tree;
use chrono::{DateTime, Utc};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Integer;
use opiekun_domain::attachment::AttachmentSubject;
use opiekun_domain::cost::RateSource;
use opiekun_domain::currency::Currency;
use opiekun_domain::decimal::{Amount, HourlyRate};
use opiekun_domain::ids::{
    CustomerId, InteractionId, InvoiceId, OperatorId, OpportunityId, OrganizationId, PersonId, StageId, TaskId,
    ThreadId,
};
use opiekun_domain::interaction::{Channel, Direction, InteractionStatus};
use opiekun_domain::work_item::WorkItem;
use serde::Serialize;

#[derive(Debug, Clone, Queryable, Selectable, Serialize)]
#[diesel(table_name = interactions, check_for_backend(diesel::pg::Pg))]
pub struct Interaction {
    pub id: InteractionId,
    /// The operator who wrote it down; nobody where a script did.
    pub registered_by_id: Option<OperatorId>,
    #[diesel(embed)]
    #[serde(flatten)]
    pub fields: InteractionFields,
    /// Where the opportunity stood when it began; later moves leave it as it is.
    pub stage_id: Option<StageId>,
    #[diesel(embed)]
    #[serde(flatten)]
    pub pricing: Pricing,
    /// The invoice that bills its time.
    pub invoice_id: Option<InvoiceId>,
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl Interaction {
    /// Whose work it is: who may change it, with those above them.
    pub fn holders(&self) -> Vec<OperatorId> {
        self.registered_by_id.into_iter().chain(self.fields.caretaker_id).collect()
    }
}

/// What a caller may write.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset, Serialize)]
#[diesel(table_name = interactions, check_for_backend(diesel::pg::Pg), treat_none_as_null = true)]
pub struct InteractionFields {
    pub customer_id: CustomerId,
    /// Who was talked to.
    pub person_id: Option<PersonId>,
    /// Who talked.
    pub operator_id: OperatorId,
    pub caretaker_id: Option<OperatorId>,
    pub channel: Channel,
    pub direction: Direction,
    pub status: InteractionStatus,
    pub started_at: DateTime<Utc>,
    pub duration_minutes: i32,
    pub subject: String,
    pub description: Option<String>,
    pub outcome: Option<String>,
    pub billable: bool,
    /// A rate of its own, before those of the customer, the operator and the organization.
    pub hourly_rate: Option<HourlyRate>,
    pub opportunity_id: Option<OpportunityId>,
    pub thread_id: Option<ThreadId>,
    /// What it hangs below: a task, or an interaction.
    pub parent_task_id: Option<TaskId>,
    pub parent_interaction_id: Option<InteractionId>,
    pub tags: Vec<String>,
}

impl InteractionFields {
    pub fn parent(&self) -> Option<WorkItem> {
        WorkItem::of_columns(self.parent_task_id, self.parent_interaction_id)
    }
}

/// What the entry's time costs, as it stood when the entry was written: rates that change later leave it as it is.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset, Serialize)]
#[diesel(table_name = interactions, check_for_backend(diesel::pg::Pg), treat_none_as_null = true)]
pub struct Pricing {
    /// The minutes, rounded up by the customer's rule, else the organization's.
    pub billed_minutes: i32,
    pub resolved_rate: Option<HourlyRate>,
    pub rate_source: Option<RateSource>,
    /// Billed minutes × rate ÷ 60; nothing while there is no rate.
    pub cost: Option<Amount>,
    /// The organization's when the entry was priced.
    pub currency: Currency,
}

impl From<Price> for Pricing {
    fn from(price: Price) -> Self {
        let Price { billed_minutes, resolved_rate, rate_source, cost, currency } = price;
        Self { billed_minutes, resolved_rate, rate_source, cost, currency }
    }
}

#[derive(Insertable)]
#[diesel(table_name = interactions)]
struct NewInteraction {
    organization_id: OrganizationId,
    id: InteractionId,
    registered_by_id: Option<OperatorId>,
    #[diesel(embed)]
    fields: InteractionFields,
    stage_id: Option<StageId>,
    #[diesel(embed)]
    pricing: Pricing,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum InteractionSort {
    #[default]
    StartedAt,
    /// The order of the ids, which count up with time.
    CreatedAt,
}

/// All that is given must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InteractionFilter {
    pub customer_id: Option<CustomerId>,
    pub person_id: Option<PersonId>,
    pub operator_id: Option<OperatorId>,
    pub caretaker_id: Option<OperatorId>,
    pub channel: Option<Channel>,
    pub status: Option<InteractionStatus>,
    pub opportunity_id: Option<OpportunityId>,
    pub stage_id: Option<StageId>,
    pub thread_id: Option<ThreadId>,
    pub parent_task_id: Option<TaskId>,
    pub parent_interaction_id: Option<InteractionId>,
    pub invoiced: Option<bool>,
    pub started_from: Option<DateTime<Utc>>,
    pub started_before: Option<DateTime<Utc>>,
    /// Any of these.
    pub tags: Option<Vec<String>>,
}

/// Registers an interaction: whoever the scope names has written it down. Below something it starts in its thread.
pub fn create(tx: &mut Tx<'_>, mut fields: InteractionFields) -> Result<Interaction> {
    if let Some(parent) = fields.parent().filter(|_| fields.thread_id.is_none()) {
        // Whoever moves the parent to another thread moves all that hangs below it: this one before, or after.
        work_tree::hold(tx)?;
        fields.thread_id = work_tree::thread_of(tx, parent)?;
    }
    let row = NewInteraction {
        organization_id: tx.organization_id(),
        id: InteractionId::at(tx.now),
        registered_by_id: tx.scope.actor.operator_id(),
        stage_id: stage(tx, &fields)?,
        pricing: pricing::price(tx, &priced(&fields))?.into(),
        fields,
        created_at: tx.now,
        updated_at: tx.now,
    };
    let interaction: Interaction = diesel::insert_into(interactions::table)
        .values(row)
        .returning(Interaction::as_returning())
        .get_result(tx.conn)?;
    record(tx, "created", None, Some(&interaction))?;
    Ok(interaction)
}

pub fn find(tx: &mut Tx<'_>, id: InteractionId) -> Result<Interaction> {
    interactions::table
        .find((tx.organization_id(), id))
        .select(Interaction::as_select())
        .first(tx.conn)
        .optional()
        .or_not_found("interaction")
}

/// Those of `ids` that exist, in no order.
pub fn find_all(tx: &mut Tx<'_>, ids: &[InteractionId]) -> Result<Vec<Interaction>> {
    Ok(interactions::table
        .filter(interactions::organization_id.eq(tx.organization_id()))
        .filter(interactions::id.eq_any(ids))
        .select(Interaction::as_select())
        .load(tx.conn)?)
}

/// Locks the row; [`StoreError::Stale`] when somebody has changed it since `seen`. Whoever is to change its parent calls
/// [`work_tree::change`] before.
pub fn lock(tx: &mut Tx<'_>, id: InteractionId, seen: Option<i32>) -> Result<Interaction> {
    month_locks::hold(tx)?;
    let interaction = interactions::table
        .find((tx.organization_id(), id))
        .select(Interaction::as_select())
        .for_update()
        .first(tx.conn)
        .optional()
        .or_not_found("interaction")?;
    StoreError::unless_current(interaction.version, seen)?;
    Ok(interaction)
}

/// Writes to a row that [`lock`] has returned, and counts its version up. It is priced anew when something changes
/// that its price depends on, or when it had none.
pub fn update(tx: &mut Tx<'_>, interaction: &Interaction, fields: InteractionFields) -> Result<Interaction> {
    let before = &interaction.fields;
    let stage_id = if before.opportunity_id == fields.opportunity_id && before.started_at == fields.started_at {
        interaction.stage_id
    } else {
        stage(tx, &fields)?
    };
    let pricing = if keeps_its_price(tx, interaction, &fields)? {
        interaction.pricing.clone()
    } else {
        pricing::price(tx, &priced(&fields))?.into()
    };
    let after = diesel::update(interactions::table.find((tx.organization_id(), interaction.id)))
        .set((
            fields,
            interactions::stage_id.eq(stage_id),
            pricing,
            interactions::version.eq(interactions::version + 1),
            interactions::updated_at.eq(tx.now),
        ))
        .returning(Interaction::as_returning())
        .get_result(tx.conn)?;
    record(tx, "updated", Some(interaction), Some(&after))?;
    Ok(after)
}

/// Removes a locked row, which the audit log keeps as it was, with the files on it; [`StoreError::InUse`] while something
/// hangs below it.
pub fn delete(tx: &mut Tx<'_>, interaction: &Interaction) -> Result<()> {
    task_series::forget(tx, Reference::Interaction(interaction.id))?;
    attachments::delete_all(tx, AttachmentSubject::Interaction(interaction.id))?;
    diesel::delete(interactions::table.find((tx.organization_id(), interaction.id)))
        .execute(tx.conn)
        .map_err(StoreError::of_deletion)?;
    record(tx, "deleted", Some(interaction), None)
}

/// The newest interactions with one person, as many as asked for.
pub fn of_person(tx: &mut Tx<'_>, id: PersonId, at_most: u16) -> Result<Vec<Interaction>> {
    Ok(interactions::table
        .filter(interactions::organization_id.eq(tx.organization_id()))
        .filter(interactions::person_id.eq(id))
        .order((interactions::started_at.desc(), interactions::id.desc()))
        .limit(at_most.into())
        .select(Interaction::as_select())
        .load(tx.conn)?)
}

pub fn list(
    tx: &mut Tx<'_>,
    filter: &InteractionFilter,
    page: &PageRequest<InteractionSort>,
) -> Result<Page<Interaction>> {
    let organization_id = tx.organization_id();
    let filtered = || {
        let mut query = interactions::table.filter(interactions::organization_id.eq(organization_id)).into_boxed();
        if let Some(customer_id) = filter.customer_id {
            query = query.filter(interactions::customer_id.eq(customer_id));
        }
        if let Some(person_id) = filter.person_id {
            query = query.filter(interactions::person_id.eq(person_id));
        }
        if let Some(operator_id) = filter.operator_id {
            query = query.filter(interactions::operator_id.eq(operator_id));
        }
        if let Some(caretaker_id) = filter.caretaker_id {
            query = query.filter(interactions::caretaker_id.eq(caretaker_id));
        }
        if let Some(channel) = filter.channel {
            query = query.filter(interactions::channel.eq(channel));
        }
        if let Some(status) = filter.status {
            query = query.filter(interactions::status.eq(status));
        }
        if let Some(opportunity_id) = filter.opportunity_id {
            query = query.filter(interactions::opportunity_id.eq(opportunity_id));
        }
        if let Some(stage_id) = filter.stage_id {
            query = query.filter(interactions::stage_id.eq(stage_id));
        }
        if let Some(thread_id) = filter.thread_id {
            query = query.filter(interactions::thread_id.eq(thread_id));
        }
        if let Some(task_id) = filter.parent_task_id {
            query = query.filter(interactions::parent_task_id.eq(task_id));
        }
        if let Some(interaction_id) = filter.parent_interaction_id {
            query = query.filter(interactions::parent_interaction_id.eq(interaction_id));
        }
        match filter.invoiced {
            Some(true) => query = query.filter(interactions::invoice_id.is_not_null()),
            Some(false) => query = query.filter(interactions::invoice_id.is_null()),
            None => {}
        }
        query
    };
    // What has a tag is read in the order of the rows of tags, which know the moment too.
    let tags = || filter.tags.iter().flatten();
    // A filter that asks for no more than they know needs no look at the records.
    let known = InteractionFilter {
        started_from: filter.started_from,
        started_before: filter.started_before,
        tags: filter.tags.clone(),
        ..InteractionFilter::default()
    };
    let tagged = |tag| {
        let mut query = interaction_tags::table
            .filter(interaction_tags::organization_id.eq(organization_id))
            .filter(interaction_tags::tag.eq(tag))
            .select(interaction_tags::interaction_id)
            .into_boxed();
        if *filter != known {
            query = query.filter(interaction_tags::interaction_id.eq_any(filtered().select(interactions::id)));
        }
        if let Some(from) = filter.started_from {
            query = query.filter(interaction_tags::started_at.ge(from));
        }
        if let Some(before) = filter.started_before {
            query = query.filter(interaction_tags::started_at.lt(before));
        }
        query
    };
    let found = |among| {
        if filter.tags.is_some() {
            return interactions::table
                .filter(interactions::organization_id.eq(organization_id))
                .filter(among)
                .into_boxed();
        }
        let mut query = filtered();
        if let Some(from) = filter.started_from {
            query = query.filter(interactions::started_at.ge(from));
        }
        if let Some(before) = filter.started_before {
            query = query.filter(interactions::started_at.lt(before));
        }
        query
    };
    let total = page.total(|cap| {
        let mut among = Among::new(interactions::id);
        tags().for_each(|tag| among.push(tagged(tag).limit(cap)));
        found(among).select(sql::<Integer>("1")).limit(cap).load(tx.conn)
    })?;
    let mut among = Among::new(interactions::id);
    let query = match page.sort {
        InteractionSort::StartedAt => {
            for tag in tags() {
                let (at, id) = (interaction_tags::started_at, interaction_tags::interaction_id);
                among.push(keyset!(tagged(tag), page, at => DateTime<Utc>, id));
            }
            keyset!(found(among), page, interactions::started_at => DateTime<Utc>, interactions::id)
        }
        InteractionSort::CreatedAt => {
            for tag in tags() {
                among.push(keyset!(tagged(tag), page, interaction_tags::interaction_id));
            }
            keyset!(found(among), page, interactions::id)
        }
    };
    let rows = query.select(Interaction::as_select()).load(tx.conn)?;
    Ok(Page::cut(rows, page, total, |interaction| match page.sort {
        InteractionSort::StartedAt => Cursor::new(interaction.fields.started_at, interaction.id),
        InteractionSort::CreatedAt => Cursor::new((), interaction.id),
    }))
}

/// Whether the price that was resolved still answers for the entry. A planned one is priced when it has been held, and
/// one without a rate at any change, unless its month is settled.
fn keeps_its_price(tx: &mut Tx<'_>, interaction: &Interaction, fields: &InteractionFields) -> Result<bool> {
    let before = &interaction.fields;
    let is_held_only_now = before.status != fields.status && fields.status == InteractionStatus::Held;
    if is_held_only_now || priced(before) != priced(fields) {
        return Ok(false);
    }
    Ok(interaction.pricing.resolved_rate.is_some() || month_locks::is_locked(tx, before.started_at)?)
}

fn priced(fields: &InteractionFields) -> Priced {
    Priced {
        customer_id: Some(fields.customer_id),
        operator_id: fields.operator_id,
        started_at: fields.started_at,
        duration_minutes: fields.duration_minutes,
        hourly_rate: fields.hourly_rate,
    }
}

/// Where the opportunity stood when the interaction began.
fn stage(tx: &mut Tx<'_>, fields: &InteractionFields) -> Result<Option<StageId>> {
    let Some(opportunity_id) = fields.opportunity_id else { return Ok(None) };
    match stage_changes::stage_at(tx, opportunity_id, fields.started_at)? {
        Some(stage_id) => Ok(Some(stage_id)),
        None => Err(StoreError::no_reference("interactions", "opportunity_id")),
    }
}

fn record(
    tx: &mut Tx<'_>,
    action: &'static str,
    before: Option<&Interaction>,
    after: Option<&Interaction>,
) -> Result<()> {
    let Some(told) = after.or(before) else { return Ok(()) };
    changes::record(tx, change(action, before, after, told))
}

pub(crate) fn change(
    action: &'static str,
    before: Option<&Interaction>,
    after: Option<&Interaction>,
    told: &Interaction,
) -> Change {
    Change::new("interaction", action, (told.id, told.version), before, after)
}
