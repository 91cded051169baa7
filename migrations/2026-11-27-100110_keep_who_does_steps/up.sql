-- Who does a step is settled when it is opened, by the rule of its procedure.
alter table procedure_steps add column assignee jsonb;
comment on column procedure_steps.assignee is 'The rule by which it is settled who does it, when it is opened.';
update procedure_steps step set assignee = coalesce(
    (
        select told -> 'assignee'
        from procedure_runs run
        join procedure_versions version on version.organization_id = run.organization_id
            and version.procedure_id = run.procedure_id and version.version = run.procedure_version
        cross join jsonb_array_elements(version.steps) told
        where run.organization_id = step.organization_id and run.id = step.run_id
            and told ->> 'key' = step.key and not step.is_extra
    ),
    -- Of a run alone: whoever was found for it when it was added.
    case when step.caretaker_id is null then jsonb_build_object('kind', 'caretaker')
        else jsonb_build_object('kind', 'named', 'operator_id', step.caretaker_id)
    end
);
alter table procedure_steps
    alter column assignee set not null,
    add constraint procedure_steps_assignee_check check (jsonb_typeof(assignee) = 'object');
