-- The time-cost report, one text for every question; the planner folds away what is not asked.
-- $1 the organization   $2, $3 the period's instants   $4, $5 its first and last day
-- $6 ... $10 whether customer, operator, channel, week, month are keys
-- $11, $12 the weeks' first instants and days   $13, $14 the months'
-- $15 ... $18 filters: customers, operators, channels, billable
-- $19 the assumed rate   $20 the assumed rounding   $21 whether invoices count   $22 the organization's currency
-- The order follows in the caller, and with it the keys that stand before others.
select
    sums.*,
    customers.name as customer_name,
    operators.full_name as operator_name
from (
    select
        customer_id, operator_id, channel, week_start_on, month_start_on,
        count(duration_minutes) as interactions,
        0::bigint as work_entries,
        coalesce(sum(duration_minutes), 0) as minutes,
        coalesce(sum(duration_minutes) filter (where billable), 0) as billable_minutes,
        coalesce(sum(billed_minutes), 0) as billed_minutes,
        coalesce(sum(duration_minutes) filter (where cost is null), 0) as unpriced_minutes,
        coalesce(sum(cost), 0) as cost,
        case when $21 then coalesce(sum(invoiced), 0) end as invoiced,
        coalesce(sum(uncounted_invoices), 0) as uncounted_invoices
    from (
        select
            case when $6 then i.customer_id end as customer_id,
            case when $7 then i.operator_id end as operator_id,
            case when $8 then i.channel end as channel,
            case when $9 then ($12)[width_bucket(i.started_at, $11)] end as week_start_on,
            case when $10 then ($14)[width_bucket(i.started_at, $13)] end as month_start_on,
            i.duration_minutes,
            i.billable,
            billed.minutes as billed_minutes,
            case
                when $19 is null and i.currency <> $22 then null
                when $19 is null and $20 is null then i.cost
                -- Half away from zero, once an entry, as the domain does it.
                else round(billed.minutes * coalesce($19, i.resolved_rate) / 60, 2)
            end as cost,
            null::numeric as invoiced,
            null::integer as uncounted_invoices
        from interactions i
        cross join lateral (
            select case when $20 is null then i.billed_minutes else (i.duration_minutes + $20 - 1) / $20 * $20 end as minutes
        ) billed
        where i.organization_id = $1 and i.started_at >= $2 and i.started_at < $3 and i.status = 'held'
            and ($15 is null or i.customer_id = any ($15))
            and ($16 is null or i.operator_id = any ($16))
            and ($17 is null or i.channel = any ($17))
            and ($18 is null or i.billable = $18)
        union all
        select
            case when $6 then v.customer_id end,
            null,
            null,
            case when $9 then date_trunc('week', v.issued_on::timestamp)::date end,
            case when $10 then date_trunc('month', v.issued_on::timestamp)::date end,
            null,
            null,
            null,
            null,
            case when v.currency = $22 then v.net end,
            case when v.currency <> $22 then 1 end
        from invoices v
        where $21 and v.organization_id = $1 and v.issued_on >= $4 and v.issued_on <= $5
            and v.status = 'issued' and v.kind in ('invoice', 'correction')
            and ($15 is null or v.customer_id = any ($15))
    ) entry
    group by customer_id, operator_id, channel, week_start_on, month_start_on
) sums
left join customers on customers.organization_id = $1 and customers.id = sums.customer_id
left join operators on operators.organization_id = $1 and operators.id = sums.operator_id
order by
