-- Everything below one item.   $1 the organization   $2 the task, or   $3 the interaction
with recursive below (task_id, interaction_id) as (
    select $2, $3
    union
    select child.task_id, child.interaction_id
    from below
    cross join lateral (
        select t.id as task_id, null::uuid as interaction_id from tasks t
        where t.organization_id = $1 and t.parent_task_id = below.task_id
        union all
        select t.id, null from tasks t
        where t.organization_id = $1 and t.parent_interaction_id = below.interaction_id
        union all
        select null, i.id from interactions i
        where i.organization_id = $1 and i.parent_task_id = below.task_id
        union all
        select null, i.id from interactions i
        where i.organization_id = $1 and i.parent_interaction_id = below.interaction_id
    ) child
)
select task_id, interaction_id from below
where task_id is distinct from $2 or interaction_id is distinct from $3
