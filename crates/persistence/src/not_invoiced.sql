-- Periods that have no issued invoice, of those that a run has taken up or somebody has decided about.
with taken_up as (
    select id, subscription_id, period_start_on, period_end_on, scheduled_on, state, problem, skip_reason, null::uuid as draft_id
    from occurrences
    where organization_id = $1 and state in ('failed', 'skipped') and scheduled_on between $2 and $3
    union all
    select id, subscription_id, period_start_on, period_end_on, scheduled_on, state, null, null, null
    from occurrences
    where organization_id = $1 and state = 'planned' and scheduled_on between $2 and $4
    union all
    select o.id, o.subscription_id, o.period_start_on, o.period_end_on, o.scheduled_on, 'draft', null, null, i.id
    from invoices i
    join occurrences o on o.organization_id = i.organization_id and o.invoice_id = i.id
    where i.organization_id = $1 and i.status = 'draft' and o.scheduled_on between $2 and $3
), told as (
    select t.*, s.customer_id,
        case when t.state <> 'planned' then t.state when s.state = 'active' then 'due' else s.state end as reason
    from taken_up t
    join subscriptions s on s.organization_id = $1 and s.id = t.subscription_id
    -- What lies behind the end that a subscription was given since is not to be billed any more.
    where t.state in ('skipped', 'draft') or s.ends_on is null or t.period_start_on < s.ends_on
)
select t.subscription_id, t.customer_id, c.name as customer_name, t.period_start_on, t.period_end_on, t.scheduled_on,
    t.reason, t.id as occurrence_id, t.problem, t.skip_reason, t.draft_id
from told t
join customers c on c.organization_id = $1 and c.id = t.customer_id
where t.reason <> 'ended' and ($5 is null or t.customer_id = $5) and ($6 is null or t.reason = $6)
order by t.scheduled_on, t.id
