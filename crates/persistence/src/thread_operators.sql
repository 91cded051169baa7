-- Who has worked on a thread, or still has to.
-- $1 the organization   $2 the thread   $3 the moment   $4 the organization's currency
select share.*, operators.full_name as operator_name
from (
    select
        operator_id,
        count(*) filter (where is_open) as open_tasks,
        count(*) filter (where is_overdue) as overdue_tasks,
        coalesce(sum(minutes), 0) as minutes,
        coalesce(sum(cost), 0) as cost
    from (
        select caretaker_id as operator_id, true as is_open, deadline_at < $3 as is_overdue, 0 as minutes, 0::numeric as cost
        from tasks where organization_id = $1 and thread_id = $2 and closed_at is null
        union all
        select operator_id, false, false, duration_minutes, case when currency = $4 then cost end
        from interactions where organization_id = $1 and thread_id = $2 and status = 'held'
        union all
        select operator_id, false, false, duration_minutes, case when currency = $4 then cost end
        from work_entries where organization_id = $1 and thread_id = $2
    ) part
    group by operator_id
) share
left join operators on operators.organization_id = $1 and operators.id = share.operator_id
order by overdue_tasks desc, open_tasks desc, cost desc, operator_id
