-- Days of invoices: what is due on a day, and what has been billed of what was planned for it.
(select
    'invoice_run' as kind, null::uuid as id, null::text as title, null::text as description,
    null::timestamptz as starts_at, null::timestamptz as ends_at, true as all_day,
    null::uuid as operator_id, null::uuid as registered_by_id, $6 as customer_id, null::uuid as thread_id,
    null::uuid as task_series_id, null::timestamptz as occurrence_at,
    case when sum(due) > 0 then 'planned' else 'done' end as status, null::smallint as percent_done, null::text as priority,
    false as is_due, false as is_started,
    null::integer as version, null::timestamptz as created_at, null::timestamptz as updated_at, null::timestamptz as closed_at,
    null::text as rule, null::text as time_zone, null::timestamptz as ends_before, null::integer as lead_minutes,
    null::timestamptz as newest_at,
    billed_on, sum(due)::bigint as due, sum(issued)::bigint as issued
from (
    select next_issue_on as billed_on, count(*) as due, 0 as issued
    from subscriptions
    where organization_id = $1 and state = 'active' and next_issue_on >= $10 and next_issue_on < $11
        and ($6 is null or customer_id = $6)
    group by next_issue_on
    union all
    select scheduled_on, 0, count(*)
    from occurrences
    where organization_id = $1 and state = 'invoiced' and scheduled_on >= $10 and scheduled_on < $11
        and ($6 is null or subscription_id in (select id from subscriptions where organization_id = $1 and customer_id = $6))
    group by scheduled_on
    union all
    -- Of those that were billed, drafts are still to be issued.
    select o.scheduled_on, count(*), -count(*)
    from invoices i
    join occurrences o on o.organization_id = i.organization_id and o.invoice_id = i.id
    where i.organization_id = $1 and i.status = 'draft' and o.scheduled_on >= $10 and o.scheduled_on < $11
        and ($6 is null or i.customer_id = $6)
    group by o.scheduled_on
) billed
group by billed_on)
