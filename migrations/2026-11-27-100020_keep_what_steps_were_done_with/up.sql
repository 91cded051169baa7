-- What a step was done with is held until it is: who takes it away meanwhile, comes first or finds the step done.
create or replace function guard_procedure_step() returns trigger language plpgsql as $$
declare
    step procedure_steps;
    files integer := 0;
begin
    select * into step from procedure_steps where organization_id = new.organization_id and task_id = new.id;
    if not found then
        return new;
    end if;
    -- What it waits for was closed once, and may have been opened again.
    if step.opened_at is null or exists (
        select from procedure_steps earlier
        where earlier.organization_id = step.organization_id and earlier.run_id = step.run_id
            and earlier.key = any(step.waits_for) and earlier.closed_at is null
    ) then
        raise exception 'the step waits for others'
            using errcode = 'restrict_violation', constraint = 'procedure_steps_refuse_waiting', table = tg_table_name;
    end if;
    if step.files_required > 0 then
        perform from attachments where organization_id = new.organization_id and task_id = new.id for key share;
        get diagnostics files = row_count;
        if files < step.files_required then
            raise exception 'the step lacks files'
                using errcode = 'restrict_violation', constraint = 'procedure_steps_refuse_without_files', table = tg_table_name;
        end if;
    end if;
    if step.survey_id is not null then
        perform from survey_responses
        where organization_id = new.organization_id and task_id = new.id and survey_id = step.survey_id
            and completed_at is not null
        for key share;
        if not found then
            raise exception 'the step lacks a response to its survey'
                using errcode = 'restrict_violation', constraint = 'procedure_steps_refuse_without_survey', table = tg_table_name;
        end if;
    end if;
    return new;
end
$$;

create function keep_what_step_was_done_with() returns trigger language plpgsql as $$
declare
    needs_it boolean;
begin
    select case tg_table_name
        when 'attachments' then step.files_required >= (
            select count(*) from attachments where organization_id = old.organization_id and task_id = old.task_id
        )
        else step.survey_id = (to_jsonb(old) ->> 'survey_id')::uuid and not exists (
            select from survey_responses
            where organization_id = old.organization_id and task_id = old.task_id and survey_id = step.survey_id
                and completed_at is not null and id <> old.id
        )
    end into needs_it
    from procedure_steps step join tasks task on task.organization_id = step.organization_id and task.id = step.task_id
    where step.organization_id = old.organization_id and step.task_id = old.task_id and task.status = 'done';
    if needs_it then
        raise exception 'the step was done with it'
            using errcode = 'restrict_violation', constraint = 'procedure_steps_keep_what_they_were_done_with',
                table = tg_table_name;
    end if;
    return case tg_op when 'DELETE' then old else new end;
end
$$;
create trigger attachments_keep_of_done_step before delete on attachments
    for each row when (old.task_id is not null) execute function keep_what_step_was_done_with();
create trigger attachments_keep_with_done_step before update of task_id on attachments
    for each row when (old.task_id is not null and old.task_id is distinct from new.task_id)
    execute function keep_what_step_was_done_with();
create trigger survey_responses_keep_of_done_step before delete on survey_responses
    for each row when (old.task_id is not null and old.completed_at is not null)
    execute function keep_what_step_was_done_with();
create trigger survey_responses_keep_with_done_step before update of task_id on survey_responses
    for each row
    when (old.task_id is not null and old.completed_at is not null and old.task_id is distinct from new.task_id)
    execute function keep_what_step_was_done_with();
