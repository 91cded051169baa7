create table procedures (
    organization_id uuid not null references organizations (id),
    id uuid not null,
    name text not null check (length(name) between 1 and 120),
    description text check (length(description) <= 4000),
    steps jsonb not null check (jsonb_typeof(steps) = 'array' and jsonb_array_length(steps) > 0),
    published_version integer not null,
    runs_started bigint not null default 0,
    version integer not null default 1,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (organization_id, id)
);
comment on column procedures.published_version is 'The version whose steps are done: the one at which they were written, which later changes of the rest leave as it is.';
comment on column procedures.runs_started is 'How many runs there have been: whose turn it is, where a team takes turns.';
create unique index procedures_name_key on procedures (organization_id, name);

create table procedure_versions (
    organization_id uuid not null,
    procedure_id uuid not null,
    version integer not null,
    steps jsonb not null check (jsonb_typeof(steps) = 'array' and jsonb_array_length(steps) > 0),
    published_at timestamptz not null,
    primary key (organization_id, procedure_id, version),
    constraint procedure_versions_procedure_id_fkey foreign key (organization_id, procedure_id)
        references procedures (organization_id, id) on delete cascade
);
create trigger procedure_versions_refuse_change before update on procedure_versions
    for each row execute function refuse_change_of_version();
alter table procedures
    add constraint procedures_published_version_fkey foreign key (organization_id, id, published_version)
        references procedure_versions (organization_id, procedure_id, version) deferrable initially deferred;

create table procedure_runs (
    organization_id uuid not null,
    id uuid not null,
    procedure_id uuid not null,
    procedure_version integer not null,
    customer_id uuid not null,
    period_start_on date,
    period_end_on date,
    started_on date not null,
    task_id uuid not null,
    registered_by_id uuid,
    version integer not null default 1,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (organization_id, id),
    constraint procedure_runs_procedure_id_fkey foreign key (organization_id, procedure_id, procedure_version)
        references procedure_versions (organization_id, procedure_id, version),
    constraint procedure_runs_customer_id_fkey foreign key (organization_id, customer_id)
        references customers (organization_id, id),
    constraint procedure_runs_task_id_fkey foreign key (organization_id, task_id) references tasks (organization_id, id),
    constraint procedure_runs_registered_by_id_fkey foreign key (organization_id, registered_by_id)
        references operators (organization_id, id),
    constraint procedure_runs_task_id_key unique (organization_id, task_id),
    -- Once a customer and period, whoever starts it.
    constraint procedure_runs_period_key unique (organization_id, procedure_id, customer_id, period_start_on),
    constraint procedure_runs_period_check check (
        (period_start_on is null) = (period_end_on is null) and period_start_on < period_end_on
    )
);
comment on table procedure_runs is 'Executions of procedures for customers. How far one has come is told by its main task, and so is its thread.';
comment on column procedure_runs.period_end_on is 'The first day that is no longer in the period.';
create index procedure_runs_customer_id_idx on procedure_runs (organization_id, customer_id, id);
create index procedure_runs_procedure_id_idx on procedure_runs (organization_id, procedure_id, id);
create index procedure_runs_period_start_on_idx on procedure_runs (organization_id, period_start_on, id);

create table procedure_steps (
    organization_id uuid not null,
    id uuid not null,
    run_id uuid not null,
    position smallint not null,
    key text not null check (key ~ '^[a-z][a-z0-9_]{0,39}$'),
    waits_for text[] not null,
    task_id uuid not null,
    caretaker_id uuid,
    due_on date,
    sort_due_on date not null generated always as (coalesce(due_on, '9999-12-31'::date)) stored,
    files_required smallint not null check (files_required between 0 and 50),
    survey_id uuid,
    is_extra boolean not null,
    opened_at timestamptz,
    skip_reason text check (length(skip_reason) between 1 and 1000),
    version integer not null default 1,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (organization_id, id),
    constraint procedure_steps_run_id_fkey foreign key (organization_id, run_id)
        references procedure_runs (organization_id, id),
    constraint procedure_steps_task_id_fkey foreign key (organization_id, task_id) references tasks (organization_id, id),
    constraint procedure_steps_caretaker_id_fkey foreign key (organization_id, caretaker_id)
        references operators (organization_id, id),
    constraint procedure_steps_survey_id_fkey foreign key (organization_id, survey_id)
        references surveys (organization_id, id),
    constraint procedure_steps_task_id_key unique (organization_id, task_id),
    constraint procedure_steps_key_key unique (organization_id, run_id, key)
);
comment on table procedure_steps is 'Steps of runs, each with its task. A waiting step''s task has neither caretaker nor date: it gets them when the step is opened, so that nobody is late with what cannot be begun.';
comment on column procedure_steps.opened_at is 'Since when nothing that it waits for is left.';
create index procedure_steps_sort_due_on_idx on procedure_steps (organization_id, sort_due_on, id);
create index procedure_steps_run_id_idx on procedure_steps (organization_id, run_id, sort_due_on, id);
create index procedure_steps_caretaker_id_idx on procedure_steps (organization_id, caretaker_id, sort_due_on, id)
    where caretaker_id is not null;
create index procedure_steps_survey_id_idx on procedure_steps (organization_id, survey_id) where survey_id is not null;

-- A step is done once it can be, with its files and its survey, whichever way its task is.
create function guard_procedure_step() returns trigger language plpgsql as $$
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
create trigger tasks_guard_procedure_step before update of status on tasks
    for each row when (new.status = 'done' and old.status <> 'done') execute function guard_procedure_step();
