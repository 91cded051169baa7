drop trigger survey_responses_keep_with_done_step on survey_responses;
drop trigger survey_responses_keep_of_done_step on survey_responses;
drop trigger attachments_keep_with_done_step on attachments;
drop trigger attachments_keep_of_done_step on attachments;
drop function keep_what_step_was_done_with();
create or replace function guard_procedure_step() returns trigger language plpgsql as $$
declare
    step procedure_steps;
begin
    select * into step from procedure_steps where organization_id = new.organization_id and task_id = new.id;
    if not found then
        return new;
    end if;
    if step.opened_at is null then
        raise exception 'the step waits for others'
            using errcode = 'restrict_violation', constraint = 'procedure_steps_refuse_waiting', table = tg_table_name;
    end if;
    if step.files_required > 0 and step.files_required > (
        select count(*) from attachments where organization_id = new.organization_id and task_id = new.id
    ) then
        raise exception 'the step lacks files'
            using errcode = 'restrict_violation', constraint = 'procedure_steps_refuse_without_files', table = tg_table_name;
    end if;
    if step.survey_id is not null and not exists (
        select from survey_responses
        where organization_id = new.organization_id and task_id = new.id and survey_id = step.survey_id
            and completed_at is not null
    ) then
        raise exception 'the step lacks a response to its survey'
            using errcode = 'restrict_violation', constraint = 'procedure_steps_refuse_without_survey', table = tg_table_name;
    end if;
    return new;
end
$$;
