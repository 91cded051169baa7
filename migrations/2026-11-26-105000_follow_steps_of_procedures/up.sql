-- What runs and steps are listed by stands in their rows, as their tasks have it.
alter table procedure_runs add column state text not null default 'open' check (state in ('open', 'done', 'cancelled'));
comment on column procedure_runs.state is 'As its main task''s.';
update procedure_runs run set state = task.status from tasks task
where task.organization_id = run.organization_id and task.id = run.task_id and task.closed_at is not null;
create index procedure_runs_state_idx on procedure_runs (organization_id, state, id);

alter table procedure_steps
    add column closed_at timestamptz,
    add column procedure_id uuid,
    add column customer_id uuid,
    add column period_start_on date,
    add constraint procedure_steps_procedure_id_fkey foreign key (organization_id, procedure_id)
        references procedures (organization_id, id),
    add constraint procedure_steps_customer_id_fkey foreign key (organization_id, customer_id)
        references customers (organization_id, id);
comment on column procedure_steps.closed_at is 'When its task was closed, if it is: who is late is found among those that are not.';
comment on column procedure_steps.caretaker_id is 'As its task''s; of a step that waits, who is to do it.';
comment on column procedure_steps.due_on is 'As its task''s; of a step that waits, the day of its rule.';
comment on column procedure_steps.customer_id is 'Its run''s, as are its procedure and its period.';

create function place_procedure_step() returns trigger language plpgsql as $$
begin
    select procedure_id, customer_id, period_start_on into new.procedure_id, new.customer_id, new.period_start_on
    from procedure_runs where organization_id = new.organization_id and id = new.run_id;
    return new;
end
$$;
create trigger procedure_steps_are_placed before insert or update of run_id on procedure_steps
    for each row execute function place_procedure_step();

update procedure_steps step set
    run_id = step.run_id,
    closed_at = task.closed_at,
    caretaker_id = case when step.opened_at is null then coalesce(task.caretaker_id, step.caretaker_id) else task.caretaker_id end,
    due_on = case when task.due_at is null and step.opened_at is null then step.due_on
        else (task.due_at at time zone organizations.time_zone)::date end
from tasks task join organizations on organizations.id = task.organization_id
where task.organization_id = step.organization_id and task.id = step.task_id;

alter table procedure_steps alter column procedure_id set not null, alter column customer_id set not null;
create index procedure_steps_open_idx on procedure_steps (organization_id, sort_due_on, id)
    where opened_at is not null and closed_at is null;
create index procedure_steps_procedure_id_idx on procedure_steps (organization_id, procedure_id, sort_due_on, id);
create index procedure_steps_customer_id_idx on procedure_steps (organization_id, customer_id, sort_due_on, id);
create index procedure_steps_period_start_on_idx on procedure_steps (organization_id, period_start_on, sort_due_on, id);

create function take_procedure_along() returns trigger language plpgsql as $$
begin
    update procedure_runs set state = case when new.closed_at is null then 'open' else new.status end
    where organization_id = new.organization_id and task_id = new.id;
    update procedure_steps step set
        closed_at = new.closed_at,
        caretaker_id = case
            when step.opened_at is null then coalesce(new.caretaker_id, step.caretaker_id) else new.caretaker_id
        end,
        due_on = case
            when new.due_at is not distinct from old.due_at or new.due_at is null and step.opened_at is null then step.due_on
            else (new.due_at at time zone organizations.time_zone)::date
        end
    from organizations
    where organizations.id = new.organization_id and step.organization_id = new.organization_id and step.task_id = new.id;
    return null;
end
$$;
create trigger tasks_take_procedure_along after update of status, closed_at, caretaker_id, due_at on tasks
    for each row
    when ((new.status, new.closed_at, new.caretaker_id, new.due_at)
        is distinct from (old.status, old.closed_at, old.caretaker_id, old.due_at))
    execute function take_procedure_along();

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
