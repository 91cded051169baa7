alter table procedure_steps
    add column article_id uuid,
    add constraint procedure_steps_article_id_fkey foreign key (organization_id, article_id)
        references articles (organization_id, id);
create index procedure_steps_article_id_idx on procedure_steps (organization_id, article_id) where article_id is not null;

-- Steps of procedures and of schedules are documents, which no foreign key reaches: what they name is there, and stays.
create function check_named_by_steps() returns trigger language plpgsql as $$
declare
    steps jsonb := to_jsonb(new) -> tg_argv[0];
begin
    perform from surveys
    where organization_id = new.organization_id
        and id in (select (step ->> 'survey_id')::uuid from jsonb_array_elements(steps) step)
    for key share;
    perform from articles
    where organization_id = new.organization_id
        and id in (select (step ->> 'article_id')::uuid from jsonb_array_elements(steps) step)
    for key share;
    if exists (
        select from jsonb_array_elements(steps) step
        where step ->> 'survey_id' is not null and not exists (
            select from surveys where organization_id = new.organization_id and id = (step ->> 'survey_id')::uuid
        ) or step ->> 'article_id' is not null and not exists (
            select from articles where organization_id = new.organization_id and id = (step ->> 'article_id')::uuid
        )
    ) then
        raise exception 'a step names what is not there'
            using errcode = 'foreign_key_violation', constraint = format('%s_%s_fkey', tg_table_name, tg_argv[0]),
                table = tg_table_name;
    end if;
    return null;
end
$$;
create trigger procedures_check_named_by_steps after insert or update of steps on procedures
    for each row execute function check_named_by_steps('steps');
create trigger procedure_schedule_customers_check_named_by_steps
    after insert or update of extra_steps on procedure_schedule_customers
    for each row when (new.extra_steps <> '[]') execute function check_named_by_steps('extra_steps');

create function keep_named_by_steps() returns trigger language plpgsql as $$
declare
    named jsonb := jsonb_build_array(jsonb_build_object(tg_argv[0], old.id));
begin
    if exists (select from procedures where organization_id = old.organization_id and steps @> named) or exists (
        select from procedure_schedule_customers where organization_id = old.organization_id and extra_steps @> named
    ) then
        raise exception 'a step of a procedure names it'
            using errcode = 'foreign_key_violation', constraint = 'procedures_steps_fkey', table = 'procedures';
    end if;
    return old;
end
$$;
create trigger surveys_keep_named_by_steps before delete on surveys
    for each row execute function keep_named_by_steps('survey_id');
create trigger articles_keep_named_by_steps before delete on articles
    for each row execute function keep_named_by_steps('article_id');
