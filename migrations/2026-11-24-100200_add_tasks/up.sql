-- A task that comes again and again: the rule, and what each of its instances begins as.
create table task_series (
    organization_id uuid not null references organizations (id),
    id uuid not null,
    rule text not null check (length(rule) between 1 and 500),
    time_zone text not null,
    first_at timestamptz not null,
    ends_before timestamptz,
    all_day boolean not null,
    lead_minutes integer check (lead_minutes >= 0),
    title text not null check (length(title) between 1 and 240),
    description text,
    customer_id uuid,
    caretaker_id uuid,
    registered_by_id uuid,
    priority text not null check (priority in ('low', 'normal', 'high', 'urgent')),
    estimate_minutes integer check (estimate_minutes between 1 and 1000000),
    thread_id uuid,
    parent_task_id uuid,
    parent_interaction_id uuid,
    opportunity_id uuid,
    tags text[] not null default '{}',
    reminder_minutes integer[] not null default '{}',
    version integer not null default 1,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (organization_id, id),
    constraint task_series_customer_id_fkey foreign key (organization_id, customer_id)
        references customers (organization_id, id),
    constraint task_series_caretaker_id_fkey foreign key (organization_id, caretaker_id)
        references operators (organization_id, id),
    constraint task_series_registered_by_id_fkey foreign key (organization_id, registered_by_id)
        references operators (organization_id, id),
    constraint task_series_thread_id_fkey foreign key (organization_id, thread_id)
        references threads (organization_id, id),
    constraint task_series_opportunity_id_fkey foreign key (organization_id, customer_id, opportunity_id)
        references opportunities (organization_id, customer_id, id),
    check (opportunity_id is null or customer_id is not null),
    check (parent_task_id is null or parent_interaction_id is null)
);
comment on column task_series.first_at is 'When the first instance is due: DTSTART of RFC 5545. Every date is counted from it.';
comment on column task_series.ends_before is 'Where the series was cut: another took over from this moment on.';
comment on column task_series.lead_minutes is 'How long before it is due an instance starts.';

create table tasks (
    organization_id uuid not null references organizations (id),
    id uuid not null,
    title text not null check (length(title) between 1 and 240),
    description text,
    customer_id uuid,
    caretaker_id uuid,
    registered_by_id uuid,
    priority text not null check (priority in ('low', 'normal', 'high', 'urgent')),
    status text not null check (status in ('open', 'in_progress', 'done', 'cancelled')),
    percent_done smallint not null check (percent_done between 0 and 100),
    start_at timestamptz,
    due_at timestamptz,
    all_day boolean not null,
    deadline_at timestamptz not null,
    dated_at timestamptz not null generated always as (coalesce(due_at, start_at, created_at)) stored,
    estimate_minutes integer check (estimate_minutes between 1 and 1000000),
    planned_minutes bigint check (planned_minutes >= 1),
    thread_id uuid,
    parent_task_id uuid,
    parent_interaction_id uuid,
    opportunity_id uuid,
    task_series_id uuid,
    occurrence_at timestamptz,
    tags text[] not null default '{}',
    reminder_minutes integer[] not null default '{}',
    assigned_at timestamptz,
    closed_at timestamptz,
    version integer not null default 1,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (organization_id, id),
    constraint tasks_customer_id_fkey foreign key (organization_id, customer_id)
        references customers (organization_id, id),
    constraint tasks_caretaker_id_fkey foreign key (organization_id, caretaker_id)
        references operators (organization_id, id),
    constraint tasks_registered_by_id_fkey foreign key (organization_id, registered_by_id)
        references operators (organization_id, id),
    constraint tasks_thread_id_fkey foreign key (organization_id, thread_id)
        references threads (organization_id, id),
    constraint tasks_parent_task_id_fkey foreign key (organization_id, parent_task_id)
        references tasks (organization_id, id),
    constraint tasks_parent_interaction_id_fkey foreign key (organization_id, parent_interaction_id)
        references interactions (organization_id, id),
    -- The opportunity is one of the task's customer.
    constraint tasks_opportunity_id_fkey foreign key (organization_id, customer_id, opportunity_id)
        references opportunities (organization_id, customer_id, id),
    constraint tasks_task_series_id_fkey foreign key (organization_id, task_series_id)
        references task_series (organization_id, id),
    -- An instance of a series is made once, whoever finishes the one before.
    constraint tasks_occurrence_at_key unique (organization_id, task_series_id, occurrence_at),
    constraint tasks_start_at_check check (start_at <= due_at),
    constraint tasks_parent_check check (parent_task_id is null or parent_interaction_id is null),
    constraint tasks_own_parent_check check (parent_task_id <> id),
    constraint tasks_closed_at_check check ((status in ('done', 'cancelled')) = (closed_at is not null)),
    constraint tasks_progress_check check (
        (status <> 'done' or percent_done = 100) and (status <> 'open' or percent_done = 0)
    ),
    check ((caretaker_id is null) = (assigned_at is null)),
    check ((task_series_id is null) = (occurrence_at is null)),
    check (planned_minutes = estimate_minutes),
    check (opportunity_id is null or customer_id is not null)
);
comment on column tasks.deadline_at is
    'When it becomes overdue: due_at, the end of that day for an all-day task, and far away without a date.';
comment on column tasks.dated_at is 'Where it stands on a timeline.';
comment on column tasks.percent_done is 'Of a task with subtasks: theirs, weighted by estimate.';
comment on column tasks.planned_minutes is
    'Its estimate, else that of its subtasks together: by it the percent of a main task weighs them.';
comment on column tasks.assigned_at is 'When its caretaker was given it.';
create index tasks_deadline_at_idx on tasks (organization_id, deadline_at, id);
create index tasks_open_idx on tasks (organization_id, deadline_at, id) where closed_at is null;
create index tasks_closed_idx on tasks (organization_id, deadline_at, id) where closed_at is not null;
create index tasks_customer_id_idx on tasks (organization_id, customer_id, deadline_at, id) where customer_id is not null;
create index tasks_caretaker_id_idx on tasks (organization_id, caretaker_id, deadline_at, id);
create index tasks_caretaker_id_open_idx on tasks (organization_id, caretaker_id, deadline_at, id) where closed_at is null;
create index tasks_registered_by_id_idx on tasks (organization_id, registered_by_id, deadline_at, id);
create index tasks_status_idx on tasks (organization_id, status, deadline_at, id);
create index tasks_priority_idx on tasks (organization_id, priority, deadline_at, id);
create index tasks_thread_id_idx on tasks (organization_id, thread_id, deadline_at, id) where thread_id is not null;
create index tasks_opportunity_id_idx on tasks (organization_id, opportunity_id, deadline_at, id) where opportunity_id is not null;
create index tasks_parent_task_id_idx on tasks (organization_id, parent_task_id, deadline_at, id) where parent_task_id is not null;
create index tasks_parent_interaction_id_idx on tasks (organization_id, parent_interaction_id, deadline_at, id) where parent_interaction_id is not null;
create index tasks_task_series_id_idx on tasks (organization_id, task_series_id, deadline_at, id) where task_series_id is not null;
-- Timelines.
create index tasks_customer_id_dated_at_idx on tasks (organization_id, customer_id, dated_at, id) where customer_id is not null;
create index tasks_thread_id_dated_at_idx on tasks (organization_id, thread_id, dated_at, id) where thread_id is not null;
-- What a team was given and what it did in a period.
create index tasks_assigned_at_idx on tasks (organization_id, assigned_at);
create index tasks_closed_at_idx on tasks (organization_id, closed_at);

alter table task_series
    add constraint task_series_parent_task_id_fkey foreign key (organization_id, parent_task_id)
        references tasks (organization_id, id),
    add constraint task_series_parent_interaction_id_fkey foreign key (organization_id, parent_interaction_id)
        references interactions (organization_id, id);
create index task_series_thread_id_idx on task_series (organization_id, thread_id);

-- Reminders that are still to be told: a row goes when its event is written.
create table task_reminders (
    organization_id uuid not null,
    task_id uuid not null,
    minutes_before integer not null check (minutes_before between 0 and 525600),
    remind_at timestamptz not null,
    primary key (organization_id, task_id, minutes_before),
    constraint task_reminders_task_id_fkey foreign key (organization_id, task_id)
        references tasks (organization_id, id) on delete cascade
);
create index task_reminders_remind_at_idx on task_reminders (remind_at);
