-- Series that go on, or did so in the period, each with its newest instance: what comes after that is no task yet. One of whole
-- days lasts beyond the moment of its date, and nobody is given anything who has left.
(select
    'recurring_task' as kind, s.id, s.title, case when $8 then left(s.description, 1000) || case when length(s.description) > 1000 then '…' else '' end end as description,
    s.first_at as starts_at, s.first_at as ends_at, s.all_day,
    case when o.active then s.caretaker_id end as operator_id, s.registered_by_id, s.customer_id, s.thread_id,
    s.id as task_series_id, null::timestamptz as occurrence_at,
    'open' as status, 0::smallint as percent_done, s.priority, true as is_due, s.lead_minutes is not null as is_started,
    s.version, s.created_at, s.updated_at, null::timestamptz as closed_at,
    s.rule, s.time_zone, s.ends_before, s.lead_minutes, newest.occurrence_at as newest_at,
    null::date as billed_on, null::bigint as due, null::bigint as issued
from task_series s
left join operators o on o.organization_id = $1 and o.id = s.caretaker_id
cross join lateral (
    select max(t.occurrence_at) as occurrence_at from tasks t where t.organization_id = $1 and t.task_series_id = s.id
) newest
where s.organization_id = $1 and coalesce(s.ends_before, 'infinity') > $2 - interval '2 days'
    and ($4 is null or (s.caretaker_id = any ($4) and o.active))
    and ($5 is null or s.registered_by_id = $5)
    and ($6 is null or s.customer_id = $6)
limit $9)
