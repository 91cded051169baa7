//! Interactions: single contacts with customers, each with the time it took and what that time costs.

use crate::changes::{self, Change};
use crate::db::Tx;
use crate::error::{OrNotFound, Result, StoreError, Violation};
use crate::hourly_rates;
use crate::organizations::time_zone;
use crate::page::{Cursor, Page, PageRequest, keyset};
use crate::schema::{customers, interactions, organizations};
use chrono::{DateTime, Utc};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Integer;
use opiekun_domain::calendar_day::day_of;
use opiekun_domain::cost::{Minutes, RateSource, billed_minutes, cost, resolve_rate};
use opiekun_domain::currency::Currency;
use opiekun_domain::decimal::{Amount, HourlyRate};
use opiekun_domain::ids::{CustomerId, InteractionId, OperatorId, OrganizationId, PersonId};
use opiekun_domain::interaction::{Channel, Direction, InteractionStatus};
use serde::Serialize;
use std::num::NonZeroU32;

#[derive(Debug, Clone, Queryable, Selectable, Serialize)]
#[diesel(table_name = interactions, check_for_backend(diesel::pg::Pg))]
pub struct Interaction {
    pub id: InteractionId,
    /// The operator who wrote it down; nobody where a script did.
    pub registered_by_id: Option<OperatorId>,
    #[diesel(embed)]
    #[serde(flatten)]
    pub fields: InteractionFields,
    #[diesel(embed)]
    #[serde(flatten)]
    pub pricing: Pricing,
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
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
    pub tags: Vec<String>,
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

#[derive(Insertable)]
#[diesel(table_name = interactions)]
struct NewInteraction {
    organization_id: OrganizationId,
    id: InteractionId,
    registered_by_id: Option<OperatorId>,
    #[diesel(embed)]
    fields: InteractionFields,
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
#[derive(Debug, Clone, Default)]
pub struct InteractionFilter {
    pub customer_id: Option<CustomerId>,
    pub person_id: Option<PersonId>,
    pub operator_id: Option<OperatorId>,
    pub caretaker_id: Option<OperatorId>,
    pub channel: Option<Channel>,
    pub status: Option<InteractionStatus>,
    pub started_from: Option<DateTime<Utc>>,
    pub started_before: Option<DateTime<Utc>>,
    /// Any of these.
    pub tags: Option<Vec<String>>,
}

/// Registers an interaction: whoever the scope names has written it down.
pub fn create(tx: &mut Tx<'_>, fields: InteractionFields) -> Result<Interaction> {
    let row = NewInteraction {
        organization_id: tx.organization_id(),
        id: InteractionId::at(tx.now),
        registered_by_id: tx.scope.actor.operator_id(),
        pricing: price(tx, &fields)?,
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

/// Locks the row; [`StoreError::Stale`] when somebody has changed it since `seen`.
pub fn lock(tx: &mut Tx<'_>, id: InteractionId, seen: Option<i32>) -> Result<Interaction> {
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
    let pricing = if keeps_its_price(interaction, &fields) { interaction.pricing.clone() } else { price(tx, &fields)? };
    let after = diesel::update(interactions::table.find((tx.organization_id(), interaction.id)))
        .set((
            fields,
            pricing,
            interactions::version.eq(interactions::version + 1),
            interactions::updated_at.eq(tx.now),
        ))
        .returning(Interaction::as_returning())
        .get_result(tx.conn)?;
    record(tx, "updated", Some(interaction), Some(&after))?;
    Ok(after)
}

/// Removes a locked row, which the audit log keeps as it was.
pub fn delete(tx: &mut Tx<'_>, interaction: &Interaction) -> Result<()> {
    diesel::delete(interactions::table.find((tx.organization_id(), interaction.id))).execute(tx.conn)?;
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
        if let Some(from) = filter.started_from {
            query = query.filter(interactions::started_at.ge(from));
        }
        if let Some(before) = filter.started_before {
            query = query.filter(interactions::started_at.lt(before));
        }
        if let Some(tags) = &filter.tags {
            query = query.filter(interactions::tags.overlaps_with(tags));
        }
        query
    };
    let total = page.total(|cap| filtered().select(sql::<Integer>("1")).limit(cap).load(tx.conn))?;
    let query = match page.sort {
        InteractionSort::StartedAt => {
            keyset!(filtered(), page, interactions::started_at => DateTime<Utc>, interactions::id)
        }
        InteractionSort::CreatedAt => keyset!(filtered(), page, interactions::id),
    };
    let rows = query.select(Interaction::as_select()).load(tx.conn)?;
    Ok(Page::cut(rows, page, total, |interaction| match page.sort {
        InteractionSort::StartedAt => Cursor::new(interaction.fields.started_at, interaction.id),
        InteractionSort::CreatedAt => Cursor::new((), interaction.id),
    }))
}

/// Whether the price that was resolved still answers for the entry. A planned one is priced when it has been held.
fn keeps_its_price(interaction: &Interaction, fields: &InteractionFields) -> bool {
    let before = &interaction.fields;
    let is_held_only_now = before.status != fields.status && fields.status == InteractionStatus::Held;
    interaction.pricing.resolved_rate.is_some()
        && !is_held_only_now
        && before.customer_id == fields.customer_id
        && before.operator_id == fields.operator_id
        && before.started_at == fields.started_at
        && before.duration_minutes == fields.duration_minutes
        && before.hourly_rate == fields.hourly_rate
}

/// Prices an entry by the customer's rule of rounding and the rate in force on its day.
fn price(tx: &mut Tx<'_>, fields: &InteractionFields) -> Result<Pricing> {
    let (zone, currency, of_customer, of_organization): (String, Currency, Option<i32>, Option<i32>) = customers::table
        .inner_join(organizations::table)
        .filter(customers::organization_id.eq(tx.organization_id()))
        .filter(customers::id.eq(fields.customer_id))
        .select((
            organizations::time_zone,
            organizations::currency,
            customers::round_up_minutes,
            organizations::round_up_minutes,
        ))
        .first(tx.conn)
        .optional()?
        .ok_or_else(|| StoreError::Refused {
            violation: Violation::Reference,
            constraint: "interactions_customer_id_fkey".to_owned(),
            field: Some("customer_id".to_owned()),
        })?;
    let day = day_of(fields.started_at, time_zone(&zone));
    let rates = hourly_rates::in_force(tx, fields.customer_id, fields.operator_id, day)?;
    let rate = resolve_rate(fields.hourly_rate, &rates.customer, &rates.operator, &rates.organization, day);
    let round_up_to = of_customer.or(of_organization).and_then(|minutes| u32::try_from(minutes).ok());
    // The table's check holds the minutes within a week.
    let worked = Minutes::try_from(fields.duration_minutes).unwrap_or_default();
    let billed = billed_minutes(worked, round_up_to.and_then(NonZeroU32::new));
    Ok(Pricing {
        billed_minutes: billed.into(),
        resolved_rate: rate.map(|resolved| resolved.rate),
        rate_source: rate.map(|resolved| resolved.source),
        cost: rate.map(|resolved| cost(billed, resolved.rate)),
        currency,
    })
}

fn record(
    tx: &mut Tx<'_>,
    action: &'static str,
    before: Option<&Interaction>,
    after: Option<&Interaction>,
) -> Result<()> {
    let Some(told) = after.or(before) else { return Ok(()) };
    changes::record(tx, Change::new("interaction", action, (told.id, told.version), before, after))
}
