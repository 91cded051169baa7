alter table interactions
    add column opportunity_id uuid,
    add column stage_id uuid,
    add column thread_id uuid,
    add column parent_task_id uuid,
    add column parent_interaction_id uuid,
    -- The opportunity is one of that customer's.
    add constraint interactions_opportunity_id_fkey foreign key (organization_id, customer_id, opportunity_id)
        references opportunities (organization_id, customer_id, id),
    add constraint interactions_stage_id_fkey foreign key (organization_id, stage_id)
        references stages (organization_id, id),
    add constraint interactions_thread_id_fkey foreign key (organization_id, thread_id)
        references threads (organization_id, id),
    add constraint interactions_parent_task_id_fkey foreign key (organization_id, parent_task_id)
        references tasks (organization_id, id),
    add constraint interactions_parent_interaction_id_fkey foreign key (organization_id, parent_interaction_id)
        references interactions (organization_id, id),
    add constraint interactions_parent_check check (parent_task_id is null or parent_interaction_id is null),
    add constraint interactions_own_parent_check check (parent_interaction_id <> id),
    add constraint interactions_stage_check check ((stage_id is null) = (opportunity_id is null));
comment on column interactions.stage_id is 'Where the opportunity stood when it began; later moves leave it as it is.';
-- Nearly all that has been is held, and nearly all that is to come is planned: an index of all states would look no better
-- than that of all interactions, where a page of the ones may begin behind all of the others.
drop index interactions_status_idx;
create index interactions_planned_idx on interactions (organization_id, started_at, id) where status = 'planned';
create index interactions_held_idx on interactions (organization_id, started_at, id) where status = 'held';
create index interactions_not_held_idx on interactions (organization_id, started_at, id) where status = 'not_held';
create index interactions_opportunity_id_idx on interactions (organization_id, opportunity_id, started_at, id) where opportunity_id is not null;
create index interactions_stage_id_idx on interactions (organization_id, stage_id, started_at, id) where stage_id is not null;
create index interactions_thread_id_idx on interactions (organization_id, thread_id, started_at, id) where thread_id is not null;
create index interactions_parent_task_id_idx on interactions (organization_id, parent_task_id, started_at, id) where parent_task_id is not null;
create index interactions_parent_interaction_id_idx
    on interactions (organization_id, parent_interaction_id, started_at, id) where parent_interaction_id is not null;

-- Tasks and interactions hang below each other as trees, also when two moves meet: moves of one organization wait for
-- each other. Whoever relies on the shape of a tree meanwhile holds the same lock, shared, and takes it before any row.
create function keep_work_a_tree() returns trigger language plpgsql as $$
begin
    perform pg_advisory_xact_lock(hashtextextended('work-tree:' || new.organization_id, 0));
    if exists (
        with recursive above (task_id, interaction_id) as (
            select new.parent_task_id, new.parent_interaction_id
            union
            select coalesce(t.parent_task_id, i.parent_task_id), coalesce(t.parent_interaction_id, i.parent_interaction_id)
            from above
            left join tasks t on t.organization_id = new.organization_id and t.id = above.task_id
            left join interactions i on i.organization_id = new.organization_id and i.id = above.interaction_id
            where above.task_id is not null or above.interaction_id is not null
        )
        select from above where new.id in (task_id, interaction_id)
    ) then
        raise exception 'nothing hangs below itself'
            using errcode = 'check_violation', constraint = tg_table_name || '_parent_cycle', table = tg_table_name;
    end if;
    return new;
end
$$;
create trigger tasks_keep_work_a_tree before update of parent_task_id, parent_interaction_id on tasks
    for each row
    when ((old.parent_task_id, old.parent_interaction_id) is distinct from (new.parent_task_id, new.parent_interaction_id))
    execute function keep_work_a_tree();
create trigger interactions_keep_work_a_tree before update of parent_task_id, parent_interaction_id on interactions
    for each row
    when ((old.parent_task_id, old.parent_interaction_id) is distinct from (new.parent_task_id, new.parent_interaction_id))
    execute function keep_work_a_tree();
