-- Tasks: of each length, a range of the index of those that begin neither too long before the period nor after it. A deadline
-- is never before the end, which lets the indexes of customers and of who wrote it down be read from the period on.
(select
    'task' as kind, id, title, case when $8 then left(description, 1000) || case when length(description) > 1000 then '…' else '' end end as description,
    starts_at, ends_at, all_day,
    caretaker_id as operator_id, registered_by_id, customer_id, thread_id, task_series_id, occurrence_at,
    status, percent_done, priority, due_at is not null as is_due, start_at is not null as is_started,
    version, created_at, updated_at, closed_at,
    null::text as rule, null::text as time_zone, null::timestamptz as ends_before, null::integer as lead_minutes,
    null::timestamptz as newest_at,
    null::date as billed_on, null::bigint as due, null::bigint as issued
from (
    select * from tasks
    where organization_id = $1 and length_class = 0 and starts_at >= $2 - interval '25 hours' and starts_at < $3
    union all
    select * from tasks
    where organization_id = $1 and length_class = 1 and starts_at >= $2 - interval '200 hours' and starts_at < $3
    union all
    select * from tasks
    where organization_id = $1 and length_class = 2 and starts_at >= $2 - interval '1600 hours' and starts_at < $3
    union all
    select * from tasks
    where organization_id = $1 and length_class = 3 and starts_at >= $2 - interval '12800 hours' and starts_at < $3
    union all
    select * from tasks
    where organization_id = $1 and length_class = 4 and starts_at < $3
) dated
where (ends_at > $2 or starts_at >= $2) and deadline_at >= $2
    and ($4 is null or caretaker_id = any ($4))
    and ($5 is null or registered_by_id = $5)
    and ($6 is null or customer_id = $6)
    and ($7 or status <> 'cancelled')
limit $9)
