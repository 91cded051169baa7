alter table procedure_steps add column is_done boolean not null default false;
comment on column procedure_steps.is_done is 'Whether its task is done; one that is closed otherwise is skipped.';
update procedure_steps step set is_done = true from tasks task
where task.organization_id = step.organization_id and task.id = step.task_id and task.status = 'done';
alter table procedure_steps add column state text not null generated always as (
    case
        when is_done then 'done'
        when closed_at is not null then 'skipped'
        when opened_at is not null then 'open'
        else 'waiting'
    end
) stored;
create index procedure_steps_state_idx on procedure_steps (organization_id, state, sort_due_on, id);

create or replace function take_procedure_along() returns trigger language plpgsql as $$
begin
    -- Whoever leaves the state as it is need not have the run.
    if new.status is distinct from old.status or new.closed_at is distinct from old.closed_at then
        update procedure_runs set state = case when new.closed_at is null then 'open' else new.status end
        where organization_id = new.organization_id and task_id = new.id
            and state <> case when new.closed_at is null then 'open' else new.status end;
    end if;
    update procedure_steps step set
        closed_at = new.closed_at,
        is_done = new.status = 'done',
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
