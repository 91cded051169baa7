-- What the direct subtasks of each task come to.   $1 the organization   $2 the main tasks
-- All but the total leave out what is cancelled, as the domain's Subtasks does.
select
    parent_task_id,
    count(*) as total,
    count(*) filter (where closed_at is null) as open,
    count(*) filter (where status in ('in_progress', 'done')) as begun,
    count(planned_minutes) filter (where status <> 'cancelled') as planned,
    coalesce(sum(planned_minutes) filter (where status <> 'cancelled'), 0)::bigint as planned_minutes,
    coalesce(sum(planned_minutes * percent_done) filter (where status <> 'cancelled'), 0)::bigint as planned_minutes_by_percent,
    count(*) filter (where planned_minutes is null and status <> 'cancelled') as unplanned,
    coalesce(sum(percent_done) filter (where planned_minutes is null and status <> 'cancelled'), 0)::bigint as unplanned_percents
from tasks
where organization_id = $1 and parent_task_id = any ($2)
group by parent_task_id
