-- What each operator was given, did and still owes, the time that it spent, and the files that show it.
-- $1 the organization   $2, $3 the period's instants   $4 the end of the period, or the moment if that is sooner
-- $5 which operators, or null for all   $6 the organization's currency
with had as (
    -- What was done in the period counts whole; what was still to do at its end, by how far it is now, and as not done
    -- where the period has ended: nobody knows how far it was then. Tasks with subtasks are counted by those.
    select
        caretaker_id,
        case when closed_at < $4 then 100 when $4 < $3 then percent_done else 0 end as percent_done,
        planned_minutes
    from tasks t
    where organization_id = $1 and caretaker_id is not null
        and ((created_at < $4 and (closed_at is null or closed_at >= $4))
            or (closed_at >= $2 and closed_at < $4 and status = 'done'))
        and not exists (select from tasks below where below.organization_id = $1 and below.parent_task_id = t.id)
), part as (
    select caretaker_id as operator_id, 'given' as kind, 1::bigint as tasks, 0::bigint as minutes, 0::bigint as billable_minutes,
        0::numeric as cost
    from tasks where organization_id = $1 and assigned_at >= $2 and assigned_at < $3
    union all
    select caretaker_id, case when closed_at <= deadline_at then 'done_on_time' else 'done_late' end, 1, 0, 0, 0
    from tasks where organization_id = $1 and closed_at >= $2 and closed_at < $3 and status = 'done'
    union all
    select caretaker_id, case when deadline_at < $4 then 'overdue' else 'open' end, 1, 0, 0, 0
    from tasks where organization_id = $1 and closed_at is null and created_at < $4
    union all
    select caretaker_id, case when deadline_at < $4 then 'overdue' else 'open' end, 1, 0, 0, 0
    from tasks where organization_id = $1 and closed_at >= $4 and created_at < $4
    union all
    select operator_id, 'interaction', 1, duration_minutes, case when billable then duration_minutes else 0 end,
        case when currency = $6 then cost end
    from interactions where organization_id = $1 and started_at >= $2 and started_at < $3 and status = 'held'
    union all
    select operator_id, 'work_entry', 1, duration_minutes, case when billable then duration_minutes else 0 end,
        case when currency = $6 then cost end
    from work_entries where organization_id = $1 and started_at >= $2 and started_at < $3
    union all
    -- Matters and caretakers are of the CRM alone.
    select of_caretaker_id, 'file', 1, 0, 0, 0
    from attachments where organization_id = $1 and area = 'crm' and created_at >= $2 and created_at < $3
), sums as (
    select
        operator_id,
        count(*) filter (where kind = 'given') as given,
        count(*) filter (where kind in ('done_on_time', 'done_late')) as done,
        count(*) filter (where kind = 'done_on_time') as done_on_time,
        count(*) filter (where kind in ('open', 'overdue')) as open,
        count(*) filter (where kind = 'overdue') as overdue,
        count(*) filter (where kind = 'interaction') as interactions,
        count(*) filter (where kind = 'work_entry') as work_entries,
        count(*) filter (where kind = 'file') as files,
        coalesce(sum(minutes), 0)::bigint as minutes,
        coalesce(sum(billable_minutes), 0)::bigint as billable_minutes,
        coalesce(sum(cost), 0) as cost
    from part where operator_id is not null group by operator_id
), percent as (
    select
        caretaker_id,
        count(planned_minutes) as planned,
        coalesce(sum(planned_minutes), 0)::bigint as planned_minutes,
        coalesce(sum(planned_minutes * percent_done), 0)::bigint as planned_minutes_by_percent,
        count(*) filter (where planned_minutes is null) as unplanned,
        coalesce(sum(percent_done) filter (where planned_minutes is null), 0)::bigint as unplanned_percents
    from had group by caretaker_id
)
select
    o.id as operator_id,
    o.full_name as operator_name,
    o.supervisor_id,
    coalesce(given, 0) as given,
    coalesce(done, 0) as done,
    coalesce(done_on_time, 0) as done_on_time,
    coalesce(open, 0) as open,
    coalesce(overdue, 0) as overdue,
    coalesce(interactions, 0) as interactions,
    coalesce(work_entries, 0) as work_entries,
    coalesce(files, 0) as files,
    coalesce(minutes, 0) as minutes,
    coalesce(billable_minutes, 0) as billable_minutes,
    coalesce(cost, 0) as cost,
    coalesce(planned, 0) as planned,
    coalesce(planned_minutes, 0) as planned_minutes,
    coalesce(planned_minutes_by_percent, 0) as planned_minutes_by_percent,
    coalesce(unplanned, 0) as unplanned,
    coalesce(unplanned_percents, 0) as unplanned_percents
from operators o
left join sums on sums.operator_id = o.id
left join percent on percent.caretaker_id = o.id
where o.organization_id = $1 and ($5 is null or o.id = any ($5))
    and (sums.operator_id is not null or (o.active and o.role <> 'viewer'))
order by fold_text(o.full_name) collate "C", o.id
