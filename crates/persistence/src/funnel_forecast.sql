-- What is open in one pipeline, by the month in which it is expected to close; what has no day comes last.
-- $1 the organization   $2 the pipeline   $3, $4 filters: caretakers, customers   $5 the organization's currency
select
    date_trunc('month', o.expected_close_on::timestamp)::date as month_start_on,
    count(*) as opportunities,
    coalesce(sum(o.value) filter (where o.currency = $5), 0) as value,
    coalesce(sum(round(o.value * s.probability_percent / 100, 2)) filter (where o.currency = $5), 0) as weighted_value,
    count(*) filter (where o.currency <> $5) as other_currencies
from opportunities o
join stages s on s.organization_id = $1 and s.id = o.stage_id
where o.organization_id = $1 and o.pipeline_id = $2 and o.stage_kind = 'open'
    and ($3 is null or o.caretaker_id = any ($3)) and ($4 is null or o.customer_id = any ($4))
group by 1
order by 1 nulls last
