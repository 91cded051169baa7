create or replace function take_procedure_along() returns trigger language plpgsql as $$
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
drop index procedure_steps_state_idx;
alter table procedure_steps drop column state, drop column is_done;
