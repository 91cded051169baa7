-- Interactions: none lasts longer than a week.
(select
    'interaction' as kind, id, subject as title, case when $8 then left(description, 1000) || case when length(description) > 1000 then '…' else '' end end as description,
    started_at as starts_at, started_at + duration_minutes * interval '1 minute' as ends_at, false as all_day,
    operator_id, registered_by_id, customer_id, thread_id, null::uuid as task_series_id, null::timestamptz as occurrence_at,
    status, null::smallint as percent_done, null::text as priority, false as is_due, true as is_started,
    version, created_at, updated_at, null::timestamptz as closed_at,
    null::text as rule, null::text as time_zone, null::timestamptz as ends_before, null::integer as lead_minutes,
    null::timestamptz as newest_at,
    null::date as billed_on, null::bigint as due, null::bigint as issued
from interactions
where organization_id = $1 and started_at >= $2 - interval '10080 minutes' and started_at < $3
    and (started_at >= $2 or started_at + duration_minutes * interval '1 minute' > $2)
    and ($4 is null or operator_id = any ($4))
    and ($5 is null or registered_by_id = $5)
    and ($6 is null or customer_id = $6)
    and ($7 or status <> 'not_held')
limit $9)
