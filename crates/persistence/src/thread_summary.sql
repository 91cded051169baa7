-- What a thread comes to.   $1 the organization   $2 the thread   $3 the moment   $4 the organization's currency
with entry as (
    select true as is_interaction, started_at, duration_minutes, billable, billed_minutes, cost, currency
    from interactions where organization_id = $1 and thread_id = $2 and status = 'held'
    union all
    select false, started_at, duration_minutes, billable, billed_minutes, cost, currency
    from work_entries where organization_id = $1 and thread_id = $2
), spent as (
    select
        count(*) filter (where is_interaction) as interactions,
        count(*) filter (where not is_interaction) as work_entries,
        coalesce(sum(duration_minutes), 0) as minutes,
        coalesce(sum(duration_minutes) filter (where billable), 0) as billable_minutes,
        coalesce(sum(billed_minutes), 0) as billed_minutes,
        coalesce(sum(duration_minutes) filter (where cost is null or currency <> $4), 0) as unpriced_minutes,
        coalesce(sum(cost) filter (where currency = $4), 0) as cost,
        min(started_at) as first_at,
        max(started_at) as last_at
    from entry
), task as (
    select t.*, not exists (
        select from tasks above
        where above.organization_id = $1 and above.id = t.parent_task_id and above.thread_id = $2
    ) as is_main
    from tasks t where t.organization_id = $1 and t.thread_id = $2
), work as (
    select
        count(*) as tasks,
        count(*) filter (where closed_at is null) as open_tasks,
        count(*) filter (where closed_at is null and deadline_at < $3) as overdue_tasks,
        count(*) filter (where status = 'done') as done_tasks,
        count(*) filter (where status = 'cancelled') as cancelled_tasks,
        min(due_at) filter (where closed_at is null and deadline_at >= $3) as next_due_at,
        count(*) filter (where is_main) as main_total,
        count(*) filter (where is_main and closed_at is null) as main_open,
        count(*) filter (where is_main and status in ('in_progress', 'done')) as main_begun,
        count(planned_minutes) filter (where is_main and status <> 'cancelled') as main_planned,
        coalesce(sum(planned_minutes) filter (where is_main and status <> 'cancelled'), 0)::bigint as main_planned_minutes,
        coalesce(sum(planned_minutes * percent_done) filter (where is_main and status <> 'cancelled'), 0)::bigint
            as main_planned_minutes_by_percent,
        count(*) filter (where is_main and planned_minutes is null and status <> 'cancelled') as main_unplanned,
        coalesce(sum(percent_done) filter (where is_main and planned_minutes is null and status <> 'cancelled'), 0)::bigint
            as main_unplanned_percents
    from task
)
select
    spent.*, work.*,
    (select count(*) from interactions where organization_id = $1 and thread_id = $2 and status = 'planned')
        as planned_interactions
from spent, work
