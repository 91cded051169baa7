-- Entries that follow their tasks.   $1 the organization   $2 the moment   $3 ... $12 their columns, side by side
update work_entries e
set customer_id = followed.customer_id,
    thread_id = followed.thread_id,
    opportunity_id = followed.opportunity_id,
    stage_id = followed.stage_id,
    billed_minutes = followed.billed_minutes,
    resolved_rate = followed.resolved_rate,
    rate_source = followed.rate_source,
    cost = followed.cost,
    currency = followed.currency,
    version = e.version + 1,
    updated_at = $2
from unnest($3, $4, $5, $6, $7, $8, $9, $10, $11, $12) as followed (
    id, customer_id, thread_id, opportunity_id, stage_id, billed_minutes, resolved_rate, rate_source, cost, currency
)
where e.organization_id = $1 and e.id = followed.id
