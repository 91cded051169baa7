alter table procedure_steps add column closed_at timestamptz;
comment on column procedure_steps.closed_at is 'When its task was closed, if it is: who is late is found among those that are not.';
update procedure_steps set closed_at = tasks.closed_at from tasks
where tasks.organization_id = procedure_steps.organization_id and tasks.id = procedure_steps.task_id
    and tasks.closed_at is not null;
create index procedure_steps_open_idx on procedure_steps (organization_id, sort_due_on, id)
    where opened_at is not null and closed_at is null;

create function follow_procedure_step() returns trigger language plpgsql as $$
begin
    update procedure_steps step set
        closed_at = new.closed_at,
        -- A step that waits has the day of its rule, as long as its task has none.
        due_on = case
            when new.due_at is not distinct from old.due_at or new.due_at is null and step.opened_at is null then step.due_on
            else (new.due_at at time zone organizations.time_zone)::date
        end
    from organizations
    where organizations.id = new.organization_id and step.organization_id = new.organization_id and step.task_id = new.id;
    return null;
end
$$;
create trigger tasks_follow_procedure_step after update of closed_at, due_at on tasks
    for each row when ((new.closed_at, new.due_at) is distinct from (old.closed_at, old.due_at))
    execute function follow_procedure_step();

-- The tasks of a run are one tree, of one customer and in a thread.
create function keep_procedure_run() returns trigger language plpgsql as $$
begin
    if exists (
        select from procedure_steps where organization_id = new.organization_id and task_id = new.id
    ) or exists (
        select from procedure_runs where organization_id = new.organization_id and task_id = new.id
    ) then
        raise exception 'the task is one of a procedure run'
            using errcode = 'restrict_violation', constraint = 'procedure_steps_refuse_move', table = tg_table_name;
    end if;
    return null;
end
$$;
create trigger tasks_keep_procedure_run after update of parent_task_id, parent_interaction_id, customer_id, thread_id on tasks
    for each row when (
        (new.parent_task_id, new.parent_interaction_id, new.customer_id)
            is distinct from (old.parent_task_id, old.parent_interaction_id, old.customer_id)
        or new.thread_id is null and old.thread_id is not null
    ) execute function keep_procedure_run();

alter table procedure_schedules add column retry_at timestamptz;
comment on column procedure_schedules.retry_at is 'Of one that could not be started, when that is tried again.';
