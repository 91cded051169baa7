-- The stages of one pipeline, in their order, with who came, who went and who stands there.
-- $1 the organization   $2 the pipeline   $3, $4 the period's instants   $5, $6 filters: caretakers, customers
-- $7 the organization's currency
select
    s.id as stage_id,
    s.name,
    s.kind,
    s.probability_percent,
    entered.moves as entered,
    entered.opened,
    departed.moves as departed,
    departed.advanced,
    departed.lower_middle,
    departed.upper_middle,
    standing.*
from stages s
cross join lateral (
    select
        count(*) as moves,
        count(*) filter (where c.from_stage_id is null) as opened
    from stage_changes c
    where c.organization_id = $1 and c.to_stage_id = s.id and c.changed_at >= $3 and c.changed_at < $4
        and (($5 is null and $6 is null) or exists (
            select from opportunities o
            where o.organization_id = $1 and o.id = c.opportunity_id
                and ($5 is null or o.caretaker_id = any ($5)) and ($6 is null or o.customer_id = any ($6))
        ))
) entered
cross join lateral (
    select
        count(*) as moves,
        count(*) filter (where t.kind = 'won' or (t.kind = 'open' and t.pipeline_id = $2 and t.position > s.position))
            as advanced,
        -- The two in the middle, which are one where their number is odd: whole microseconds, so no float is shown.
        percentile_disc(0.5) within group (order by stay.microseconds) as lower_middle,
        percentile_disc(0.5) within group (order by stay.microseconds desc) as upper_middle
    from stage_changes c
    join stages t on t.organization_id = $1 and t.id = c.to_stage_id
    cross join lateral (
        select (extract(epoch from c.changed_at - c.from_entered_at) * 1000000)::bigint as microseconds
    ) stay
    where c.organization_id = $1 and c.from_stage_id = s.id and c.changed_at >= $3 and c.changed_at < $4
        and (($5 is null and $6 is null) or exists (
            select from opportunities o
            where o.organization_id = $1 and o.id = c.opportunity_id
                and ($5 is null or o.caretaker_id = any ($5)) and ($6 is null or o.customer_id = any ($6))
        ))
) departed
cross join lateral (
    select
        count(*) as opportunities,
        coalesce(sum(o.value) filter (where o.currency = $7), 0) as value,
        -- Half away from zero, once an opportunity, as the domain does it.
        coalesce(sum(round(o.value * s.probability_percent / 100, 2)) filter (where o.currency = $7), 0) as weighted_value,
        count(*) filter (where o.currency <> $7) as other_currencies,
        count(*) filter (where o.closed_at >= $3 and o.closed_at < $4) as closed,
        coalesce(sum(o.value) filter (where o.closed_at >= $3 and o.closed_at < $4 and o.currency = $7), 0) as closed_value,
        count(*) filter (where o.closed_at >= $3 and o.closed_at < $4 and o.currency <> $7) as closed_other_currencies
    from opportunities o
    where o.organization_id = $1 and o.stage_id = s.id
        and ($5 is null or o.caretaker_id = any ($5)) and ($6 is null or o.customer_id = any ($6))
) standing
where s.organization_id = $1 and s.pipeline_id = $2
order by s.position
