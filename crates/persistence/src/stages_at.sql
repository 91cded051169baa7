-- Where opportunities stood.   $1 the organization   $2 the opportunities and $3 the moments, side by side
select coalesce(
    (
        select c.to_stage_id from stage_changes c
        where c.organization_id = $1 and c.opportunity_id = asked.opportunity_id and c.changed_at <= asked.at
        order by c.changed_at desc, c.id desc limit 1
    ),
    (
        select c.to_stage_id from stage_changes c
        where c.organization_id = $1 and c.opportunity_id = asked.opportunity_id
        order by c.changed_at, c.id limit 1
    )
) as stage_id
from unnest($2, $3) with ordinality as asked (opportunity_id, at, place)
order by asked.place
