-- The time-cost report, one text for every question; the planner folds away what is not asked.
-- $1 the organization   $2, $3 the period's instants   $4, $5 its first and last day
-- $6 ... $14 whether customer, operator, thread, task, opportunity, stage, channel, week, month are keys
-- $15, $16 the weeks' first instants and days   $17, $18 the months'
-- $19 ... $26 filters: customers, operators, threads, tasks, opportunities, stages, channels, billable
-- $27 the assumed rate   $28 the assumed rounding   $29 whether invoices count   $30 the organization's currency
-- The order follows in the caller, and with it the keys that stand before others.
select
    sums.*,
    customers.name as customer_name,
    operators.full_name as operator_name,
    threads.subject as thread_subject,
    tasks.title as task_title,
    opportunities.title as opportunity_title,
    stages.name as stage_name
from (
    select
        customer_id, operator_id, thread_id, task_id, opportunity_id, stage_id, channel, week_start_on, month_start_on,
        count(*) filter (where kind = 'interaction') as interactions,
        count(*) filter (where kind = 'work_entry') as work_entries,
        coalesce(sum(duration_minutes), 0) as minutes,
        coalesce(sum(duration_minutes) filter (where billable), 0) as billable_minutes,
        coalesce(sum(billed_minutes), 0) as billed_minutes,
        coalesce(sum(duration_minutes) filter (where cost is null), 0) as unpriced_minutes,
        coalesce(sum(cost), 0) as cost,
        case when $29 then coalesce(sum(invoiced), 0) end as invoiced,
        coalesce(sum(uncounted_invoices), 0) as uncounted_invoices
    from (
        select
            case when $6 then work.customer_id end as customer_id,
            case when $7 then work.operator_id end as operator_id,
            case when $8 then work.thread_id end as thread_id,
            case when $9 then work.task_id end as task_id,
            case when $10 then work.opportunity_id end as opportunity_id,
            case when $11 then work.stage_id end as stage_id,
            case when $12 then work.channel end as channel,
            case when $13 then ($16)[width_bucket(work.started_at, $15)] end as week_start_on,
            case when $14 then ($18)[width_bucket(work.started_at, $17)] end as month_start_on,
            work.kind,
            work.duration_minutes,
            work.billable,
            billed.minutes as billed_minutes,
            case
                when $27 is null and work.currency <> $30 then null
                when $27 is null and $28 is null then work.cost
                -- Half away from zero, once an entry, as the domain does it.
                else round(billed.minutes * coalesce($27, work.resolved_rate) / 60, 2)
            end as cost,
            null::numeric as invoiced,
            null::integer as uncounted_invoices
        from (
            -- What was held and what was worked on are one stream. A contact is of the task that it hangs below.
            select
                'interaction' as kind, i.customer_id, i.operator_id, i.thread_id, i.parent_task_id as task_id,
                i.opportunity_id, i.stage_id, i.channel, i.started_at, i.duration_minutes, i.billable,
                i.billed_minutes, i.resolved_rate, i.cost, i.currency
            from interactions i
            where i.organization_id = $1 and i.started_at >= $2 and i.started_at < $3 and i.status = 'held'
            union all
            select
                'work_entry', e.customer_id, e.operator_id, e.thread_id, e.task_id,
                e.opportunity_id, e.stage_id, null, e.started_at, e.duration_minutes, e.billable,
                e.billed_minutes, e.resolved_rate, e.cost, e.currency
            from work_entries e
            where e.organization_id = $1 and e.started_at >= $2 and e.started_at < $3
        ) work
        cross join lateral (
            select case when $28 is null then work.billed_minutes else (work.duration_minutes + $28 - 1) / $28 * $28 end as minutes
        ) billed
        where ($19 is null or work.customer_id = any ($19))
            and ($20 is null or work.operator_id = any ($20))
            and ($21 is null or work.thread_id = any ($21))
            and ($22 is null or work.task_id = any ($22))
            and ($23 is null or work.opportunity_id = any ($23))
            and ($24 is null or work.stage_id = any ($24))
            and ($25 is null or work.channel = any ($25))
            and ($26 is null or work.billable = $26)
        union all
        select
            case when $6 then v.customer_id end,
            null,
            null,
            null,
            null,
            null,
            null,
            case when $13 then date_trunc('week', v.issued_on::timestamp)::date end,
            case when $14 then date_trunc('month', v.issued_on::timestamp)::date end,
            'invoice',
            null,
            null,
            null,
            null,
            case when v.currency = $30 then v.net end,
            case when v.currency <> $30 then 1 end
        from invoices v
        where $29 and v.organization_id = $1 and v.issued_on >= $4 and v.issued_on <= $5
            and v.status = 'issued' and v.kind in ('invoice', 'correction')
            and ($19 is null or v.customer_id = any ($19))
    ) entry
    group by customer_id, operator_id, thread_id, task_id, opportunity_id, stage_id, channel, week_start_on, month_start_on
) sums
left join customers on $6 and customers.organization_id = $1 and customers.id = sums.customer_id
left join operators on $7 and operators.organization_id = $1 and operators.id = sums.operator_id
left join threads on $8 and threads.organization_id = $1 and threads.id = sums.thread_id
left join tasks on $9 and tasks.organization_id = $1 and tasks.id = sums.task_id
left join opportunities on $10 and opportunities.organization_id = $1 and opportunities.id = sums.opportunity_id
left join stages on $11 and stages.organization_id = $1 and stages.id = sums.stage_id
order by
