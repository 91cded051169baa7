-- Billable time that no invoice bills.   $1 the organization   $2 the first instant that does not count any more
-- $3 the customers, or null for all
with time as (
    select customer_id, currency, started_at, duration_minutes, billed_minutes, cost
    from interactions
    where organization_id = $1 and invoice_id is null and billable and status = 'held' and billed_minutes > 0
        and started_at < $2 and ($3 is null or customer_id = any ($3))
    union all
    -- Work on a task of no customer is for nobody to pay.
    select customer_id, currency, started_at, duration_minutes, billed_minutes, cost
    from work_entries
    where organization_id = $1 and invoice_id is null and billable and billed_minutes > 0 and customer_id is not null
        and started_at < $2 and ($3 is null or customer_id = any ($3))
), sums as (
    select customer_id, currency, count(*) as entries, sum(duration_minutes) as minutes,
        sum(billed_minutes) as billed_minutes,
        coalesce(sum(duration_minutes) filter (where cost is null), 0) as unpriced_minutes,
        coalesce(sum(cost), 0) as cost, min(started_at) as oldest_at
    from time
    group by customer_id, currency
)
select sums.*, customers.name as customer_name
from sums
join customers on customers.organization_id = $1 and customers.id = sums.customer_id
order by customers.sort_name, sums.customer_id, sums.currency
