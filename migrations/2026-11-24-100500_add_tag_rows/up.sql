-- The tags of records, a row each, with what their lists are sorted by: GIN finds what has a tag, and in no order. The rows
-- follow the records by triggers, so that nothing else writes them.

create table customer_tags (
    organization_id uuid not null,
    tag text not null,
    customer_id uuid not null,
    sort_name text collate "C" not null,
    primary key (organization_id, tag, customer_id),
    constraint customer_tags_customer_id_fkey foreign key (organization_id, customer_id)
        references customers (organization_id, id) on delete cascade
);
create index customer_tags_sort_name_idx on customer_tags (organization_id, tag, sort_name, customer_id);
create index customer_tags_customer_id_idx on customer_tags (organization_id, customer_id);
drop index customers_tags_idx;
create function keep_customer_tags() returns trigger language plpgsql as $$
begin
    if tg_op = 'UPDATE' then
        delete from customer_tags where organization_id = old.organization_id and customer_id = old.id;
    end if;
    insert into customer_tags (organization_id, tag, customer_id, sort_name)
    select distinct new.organization_id, tag, new.id, new.sort_name from unnest(new.tags) tag;
    return null;
end
$$;
create trigger customers_bring_tags after insert on customers
    for each row when (new.tags <> '{}') execute function keep_customer_tags();
create trigger customers_change_tags after update on customers
    for each row when (old.tags || new.tags <> '{}' and (old.tags, old.sort_name) is distinct from (new.tags, new.sort_name))
    execute function keep_customer_tags();
insert into customer_tags (organization_id, tag, customer_id, sort_name)
select distinct organization_id, tag, id, sort_name from customers, unnest(tags) tag;

create table opportunity_tags (
    organization_id uuid not null,
    tag text not null,
    opportunity_id uuid not null,
    sort_close_on date not null,
    primary key (organization_id, tag, opportunity_id),
    constraint opportunity_tags_opportunity_id_fkey foreign key (organization_id, opportunity_id)
        references opportunities (organization_id, id) on delete cascade
);
create index opportunity_tags_sort_close_on_idx on opportunity_tags (organization_id, tag, sort_close_on, opportunity_id);
create index opportunity_tags_opportunity_id_idx on opportunity_tags (organization_id, opportunity_id);
create function keep_opportunity_tags() returns trigger language plpgsql as $$
begin
    if tg_op = 'UPDATE' then
        delete from opportunity_tags where organization_id = old.organization_id and opportunity_id = old.id;
    end if;
    insert into opportunity_tags (organization_id, tag, opportunity_id, sort_close_on)
    select distinct new.organization_id, tag, new.id, new.sort_close_on from unnest(new.tags) tag;
    return null;
end
$$;
create trigger opportunities_bring_tags after insert on opportunities
    for each row when (new.tags <> '{}') execute function keep_opportunity_tags();
create trigger opportunities_change_tags after update on opportunities
    for each row when (old.tags || new.tags <> '{}' and (old.tags, old.sort_close_on) is distinct from (new.tags, new.sort_close_on))
    execute function keep_opportunity_tags();
insert into opportunity_tags (organization_id, tag, opportunity_id, sort_close_on)
select distinct organization_id, tag, id, sort_close_on from opportunities, unnest(tags) tag;

create table thread_tags (
    organization_id uuid not null,
    tag text not null,
    thread_id uuid not null,
    primary key (organization_id, tag, thread_id),
    constraint thread_tags_thread_id_fkey foreign key (organization_id, thread_id)
        references threads (organization_id, id) on delete cascade
);
create index thread_tags_thread_id_idx on thread_tags (organization_id, thread_id);
create function keep_thread_tags() returns trigger language plpgsql as $$
begin
    if tg_op = 'UPDATE' then
        delete from thread_tags where organization_id = old.organization_id and thread_id = old.id;
    end if;
    insert into thread_tags (organization_id, tag, thread_id)
    select distinct new.organization_id, tag, new.id from unnest(new.tags) tag;
    return null;
end
$$;
create trigger threads_bring_tags after insert on threads
    for each row when (new.tags <> '{}') execute function keep_thread_tags();
create trigger threads_change_tags after update on threads
    for each row when (old.tags is distinct from new.tags)
    execute function keep_thread_tags();
insert into thread_tags (organization_id, tag, thread_id)
select distinct organization_id, tag, id from threads, unnest(tags) tag;

create table task_tags (
    organization_id uuid not null,
    tag text not null,
    task_id uuid not null,
    deadline_at timestamptz not null,
    primary key (organization_id, tag, task_id),
    constraint task_tags_task_id_fkey foreign key (organization_id, task_id)
        references tasks (organization_id, id) on delete cascade
);
create index task_tags_deadline_at_idx on task_tags (organization_id, tag, deadline_at, task_id);
create index task_tags_task_id_idx on task_tags (organization_id, task_id);
create function keep_task_tags() returns trigger language plpgsql as $$
begin
    if tg_op = 'UPDATE' then
        delete from task_tags where organization_id = old.organization_id and task_id = old.id;
    end if;
    insert into task_tags (organization_id, tag, task_id, deadline_at)
    select distinct new.organization_id, tag, new.id, new.deadline_at from unnest(new.tags) tag;
    return null;
end
$$;
create trigger tasks_bring_tags after insert on tasks
    for each row when (new.tags <> '{}') execute function keep_task_tags();
create trigger tasks_change_tags after update on tasks
    for each row when (old.tags || new.tags <> '{}' and (old.tags, old.deadline_at) is distinct from (new.tags, new.deadline_at))
    execute function keep_task_tags();
insert into task_tags (organization_id, tag, task_id, deadline_at)
select distinct organization_id, tag, id, deadline_at from tasks, unnest(tags) tag;

create table interaction_tags (
    organization_id uuid not null,
    tag text not null,
    interaction_id uuid not null,
    started_at timestamptz not null,
    primary key (organization_id, tag, interaction_id),
    constraint interaction_tags_interaction_id_fkey foreign key (organization_id, interaction_id)
        references interactions (organization_id, id) on delete cascade
);
create index interaction_tags_started_at_idx on interaction_tags (organization_id, tag, started_at, interaction_id);
create index interaction_tags_interaction_id_idx on interaction_tags (organization_id, interaction_id);
drop index interactions_tags_idx;
create function keep_interaction_tags() returns trigger language plpgsql as $$
begin
    if tg_op = 'UPDATE' then
        delete from interaction_tags where organization_id = old.organization_id and interaction_id = old.id;
    end if;
    insert into interaction_tags (organization_id, tag, interaction_id, started_at)
    select distinct new.organization_id, tag, new.id, new.started_at from unnest(new.tags) tag;
    return null;
end
$$;
create trigger interactions_bring_tags after insert on interactions
    for each row when (new.tags <> '{}') execute function keep_interaction_tags();
create trigger interactions_change_tags after update on interactions
    for each row when (old.tags || new.tags <> '{}' and (old.tags, old.started_at) is distinct from (new.tags, new.started_at))
    execute function keep_interaction_tags();
insert into interaction_tags (organization_id, tag, interaction_id, started_at)
select distinct organization_id, tag, id, started_at from interactions, unnest(tags) tag;
