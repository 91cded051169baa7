-- What has been published stays as it is: a change of it makes another version. For whatever is published by versions.
create function refuse_change_of_version() returns trigger language plpgsql as $$
begin
    raise exception 'a published version stays as it is'
        using errcode = 'restrict_violation', constraint = tg_table_name || '_refuse_change', table = tg_table_name;
end
$$;

create table surveys (
    organization_id uuid not null references organizations (id),
    id uuid not null,
    title text not null check (length(title) between 1 and 240),
    description text check (length(description) <= 4000),
    status text not null check (status in ('draft', 'open', 'closed')),
    questions jsonb not null check (jsonb_typeof(questions) = 'array'),
    published_version integer,
    version integer not null default 1,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (organization_id, id),
    constraint surveys_published_check check ((status = 'draft') = (published_version is null))
);
comment on column surveys.published_version is 'The version whose questions are asked: the one at which they were published, which later changes of the rest leave as it is.';
create index surveys_title_idx on surveys (organization_id, title, id);
create index surveys_status_idx on surveys (organization_id, status, id);

create table survey_versions (
    organization_id uuid not null,
    survey_id uuid not null,
    version integer not null,
    questions jsonb not null check (jsonb_typeof(questions) = 'array' and jsonb_array_length(questions) > 0),
    published_at timestamptz not null,
    primary key (organization_id, survey_id, version),
    constraint survey_versions_survey_id_fkey foreign key (organization_id, survey_id)
        references surveys (organization_id, id) on delete cascade
);
create trigger survey_versions_refuse_change before update on survey_versions
    for each row execute function refuse_change_of_version();
alter table surveys
    add constraint surveys_published_version_fkey foreign key (organization_id, id, published_version)
        references survey_versions (organization_id, survey_id, version);

create table survey_links (
    organization_id uuid not null,
    id uuid not null,
    survey_id uuid not null,
    customer_id uuid,
    person_id uuid,
    single_use boolean not null,
    expires_at timestamptz not null,
    secret_hash bytea not null check (length(secret_hash) = 32),
    used_at timestamptz,
    registered_by_id uuid,
    version integer not null default 1,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (organization_id, id),
    constraint survey_links_survey_id_fkey foreign key (organization_id, survey_id)
        references surveys (organization_id, id),
    constraint survey_links_customer_id_fkey foreign key (organization_id, customer_id)
        references customers (organization_id, id),
    constraint survey_links_person_id_fkey foreign key (organization_id, customer_id, person_id)
        references people (organization_id, customer_id, id),
    constraint survey_links_registered_by_id_fkey foreign key (organization_id, registered_by_id)
        references operators (organization_id, id),
    -- Whose person it is, is known.
    constraint survey_links_person_check check (person_id is null or customer_id is not null)
);
comment on table survey_links is 'Secret addresses at which a survey is answered without signing in. A row that is gone is an address that is none.';
comment on column survey_links.secret_hash is 'SHA-256 of the secret in the address, which nobody can read again.';
comment on column survey_links.used_at is 'When it was last answered at in whole; one for a single use is of none from then on.';
create unique index survey_links_secret_hash_key on survey_links (secret_hash);
create index survey_links_survey_id_idx on survey_links (organization_id, survey_id, id);
create index survey_links_customer_id_idx on survey_links (organization_id, customer_id, id) where customer_id is not null;

create table survey_responses (
    organization_id uuid not null,
    id uuid not null,
    survey_id uuid not null,
    survey_version integer not null,
    customer_id uuid,
    person_id uuid,
    operator_id uuid,
    registered_by_id uuid,
    interaction_id uuid,
    task_id uuid,
    thread_id uuid,
    link_id uuid,
    answers jsonb not null check (jsonb_typeof(answers) = 'object'),
    completed_at timestamptz,
    dated_at timestamptz not null generated always as (coalesce(completed_at, created_at)) stored,
    version integer not null default 1,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (organization_id, id),
    constraint survey_responses_survey_id_fkey foreign key (organization_id, survey_id, survey_version)
        references survey_versions (organization_id, survey_id, version),
    constraint survey_responses_customer_id_fkey foreign key (organization_id, customer_id)
        references customers (organization_id, id),
    constraint survey_responses_person_id_fkey foreign key (organization_id, customer_id, person_id)
        references people (organization_id, customer_id, id),
    constraint survey_responses_operator_id_fkey foreign key (organization_id, operator_id)
        references operators (organization_id, id),
    constraint survey_responses_registered_by_id_fkey foreign key (organization_id, registered_by_id)
        references operators (organization_id, id),
    constraint survey_responses_interaction_id_fkey foreign key (organization_id, interaction_id)
        references interactions (organization_id, id),
    constraint survey_responses_task_id_fkey foreign key (organization_id, task_id) references tasks (organization_id, id),
    constraint survey_responses_thread_id_fkey foreign key (organization_id, thread_id)
        references threads (organization_id, id),
    constraint survey_responses_link_id_fkey foreign key (organization_id, link_id)
        references survey_links (organization_id, id),
    constraint survey_responses_person_check check (person_id is null or customer_id is not null)
);
comment on table survey_responses is 'Answers to surveys. One that is not complete waits to be answered further.';
comment on column survey_responses.operator_id is 'Who asks; nobody where the customer answers alone.';
comment on column survey_responses.thread_id is 'That of its interaction, else of its task. It changes with theirs.';
create index survey_responses_dated_at_idx on survey_responses (organization_id, dated_at, id);
create index survey_responses_survey_id_idx on survey_responses (organization_id, survey_id, dated_at, id);
create index survey_responses_survey_version_idx on survey_responses (organization_id, survey_id, survey_version, dated_at, id);
create index survey_responses_customer_id_idx on survey_responses (organization_id, customer_id, dated_at, id)
    where customer_id is not null;
create index survey_responses_waiting_idx on survey_responses (organization_id, customer_id, dated_at, id)
    where completed_at is null;
create index survey_responses_person_id_idx on survey_responses (organization_id, person_id, dated_at, id)
    where person_id is not null;
create index survey_responses_operator_id_idx on survey_responses (organization_id, operator_id, dated_at, id)
    where operator_id is not null;
create index survey_responses_interaction_id_idx on survey_responses (organization_id, interaction_id, dated_at, id)
    where interaction_id is not null;
create index survey_responses_task_id_idx on survey_responses (organization_id, task_id, dated_at, id)
    where task_id is not null;
create index survey_responses_thread_id_idx on survey_responses (organization_id, thread_id, dated_at, id)
    where thread_id is not null;
create index survey_responses_link_id_idx on survey_responses (organization_id, link_id) where link_id is not null;

-- A complete response is what the customer said.
create function refuse_change_of_response() returns trigger language plpgsql as $$
begin
    raise exception 'a complete response stays as it is'
        using errcode = 'restrict_violation', constraint = 'survey_responses_refuse_change', table = tg_table_name;
end
$$;
create trigger survey_responses_refuse_change before update on survey_responses
    for each row
    when (old.completed_at is not null
        and (old.answers, old.completed_at, old.survey_version) is distinct from (new.answers, new.completed_at, new.survey_version))
    execute function refuse_change_of_response();

-- Its thread, when it is written down or comes to another record, whose row is held meanwhile.
create function place_survey_response() returns trigger language plpgsql as $$
begin
    new.thread_id := null;
    if new.interaction_id is not null then
        select thread_id into new.thread_id from interactions
        where organization_id = new.organization_id and id = new.interaction_id for share;
    end if;
    if new.thread_id is null and new.task_id is not null then
        select thread_id into new.thread_id from tasks
        where organization_id = new.organization_id and id = new.task_id for share;
    end if;
    return new;
end
$$;
create trigger survey_responses_are_placed before insert or update of interaction_id, task_id on survey_responses
    for each row when (new.interaction_id is not null or new.task_id is not null)
    execute function place_survey_response();

create function take_survey_responses_along() returns trigger language plpgsql as $$
begin
    -- Touching the reference places the row anew.
    if tg_table_name = 'interactions' then
        update survey_responses set interaction_id = interaction_id
        where organization_id = new.organization_id and interaction_id = new.id;
    else
        update survey_responses set task_id = task_id
        where organization_id = new.organization_id and task_id = new.id;
    end if;
    return null;
end
$$;
create trigger interactions_take_survey_responses_along after update of thread_id on interactions
    for each row when (old.thread_id is distinct from new.thread_id) execute function take_survey_responses_along();
create trigger tasks_take_survey_responses_along after update of thread_id on tasks
    for each row when (old.thread_id is distinct from new.thread_id) execute function take_survey_responses_along();
