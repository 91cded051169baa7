create table work_entries (
    organization_id uuid not null,
    id uuid not null,
    task_id uuid not null,
    customer_id uuid,
    thread_id uuid,
    opportunity_id uuid,
    stage_id uuid,
    operator_id uuid not null,
    registered_by_id uuid,
    started_at timestamptz not null,
    duration_minutes integer not null check (duration_minutes between 1 and 10080),
    note text,
    billable boolean not null,
    hourly_rate numeric(10, 2) check (hourly_rate >= 0),
    billed_minutes integer not null check (billed_minutes >= duration_minutes),
    resolved_rate numeric(10, 2) check (resolved_rate >= 0),
    rate_source text check (rate_source in ('entry', 'customer', 'operator', 'organization')),
    cost numeric(14, 2),
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    version integer not null default 1,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (organization_id, id),
    constraint work_entries_task_id_fkey foreign key (organization_id, task_id)
        references tasks (organization_id, id),
    constraint work_entries_customer_id_fkey foreign key (organization_id, customer_id)
        references customers (organization_id, id),
    constraint work_entries_thread_id_fkey foreign key (organization_id, thread_id)
        references threads (organization_id, id),
    constraint work_entries_opportunity_id_fkey foreign key (organization_id, customer_id, opportunity_id)
        references opportunities (organization_id, customer_id, id),
    constraint work_entries_stage_id_fkey foreign key (organization_id, stage_id)
        references stages (organization_id, id),
    constraint work_entries_operator_id_fkey foreign key (organization_id, operator_id)
        references operators (organization_id, id),
    constraint work_entries_registered_by_id_fkey foreign key (organization_id, registered_by_id)
        references operators (organization_id, id),
    constraint work_entries_rate_check check (
        (resolved_rate is null) = (rate_source is null) and (resolved_rate is null) = (cost is null)
    ),
    -- Half away from zero, once an entry: every total is a sum of these.
    constraint work_entries_cost_check check (cost = round(billed_minutes * resolved_rate / 60, 2)),
    constraint work_entries_stage_check check ((stage_id is null) = (opportunity_id is null))
);
comment on column work_entries.customer_id is 'The task''s, as thread and opportunity are: they change with the task.';
create index work_entries_started_at_idx on work_entries (organization_id, started_at, id);
create index work_entries_task_id_idx on work_entries (organization_id, task_id, started_at, id);
create index work_entries_task_id_id_idx on work_entries (organization_id, task_id, id);
create index work_entries_customer_id_idx on work_entries (organization_id, customer_id, started_at, id) where customer_id is not null;
create index work_entries_thread_id_idx on work_entries (organization_id, thread_id, started_at, id) where thread_id is not null;
create index work_entries_operator_id_idx on work_entries (organization_id, operator_id, started_at, id);
create index work_entries_opportunity_id_idx on work_entries (organization_id, opportunity_id, started_at, id) where opportunity_id is not null;
create index work_entries_stage_id_idx on work_entries (organization_id, stage_id, started_at, id) where stage_id is not null;
create index work_entries_billable_idx on work_entries (organization_id, billable, started_at, id);

-- The work that an operator is at: one timer each, by its key.
create table timers (
    organization_id uuid not null,
    operator_id uuid not null,
    task_id uuid not null,
    started_at timestamptz not null,
    note text,
    billable boolean not null,
    primary key (organization_id, operator_id),
    constraint timers_operator_id_fkey foreign key (organization_id, operator_id)
        references operators (organization_id, id),
    constraint timers_task_id_fkey foreign key (organization_id, task_id)
        references tasks (organization_id, id)
);
create index timers_task_id_idx on timers (organization_id, task_id);

create table month_locks (
    organization_id uuid not null references organizations (id),
    id uuid not null,
    month_start_on date not null check (extract(day from month_start_on) = 1),
    from_at timestamptz not null,
    before_at timestamptz not null check (before_at > from_at),
    locked_by_id uuid,
    version integer not null default 1,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (organization_id, id),
    constraint month_locks_locked_by_id_fkey foreign key (organization_id, locked_by_id)
        references operators (organization_id, id),
    constraint month_locks_month_start_on_key unique (organization_id, month_start_on)
);
comment on table month_locks is
    'Months whose time is settled: what reports sum over there can neither come, change nor go.';
comment on column month_locks.from_at is 'The month''s first instant in the organization''s time zone when it was locked.';

-- Whoever writes time holds this lock shared, whoever locks a month holds it alone: neither can miss the other.
create function hold_months() returns trigger language plpgsql as $$
begin
    perform pg_advisory_xact_lock(hashtextextended('months:' || new.organization_id, 0));
    return new;
end
$$;
create trigger month_locks_wait_for_writers before insert on month_locks
    for each row execute function hold_months();

create function refuse_locked_month() returns trigger language plpgsql as $$
declare
    organization uuid := coalesce(new.organization_id, old.organization_id);
begin
    perform pg_advisory_xact_lock_shared(hashtextextended('months:' || organization, 0));
    if exists (
        select from month_locks m
        where m.organization_id = organization
            and ((old.started_at >= m.from_at and old.started_at < m.before_at)
                or (new.started_at >= m.from_at and new.started_at < m.before_at))
    ) then
        raise exception 'the month of this entry is locked'
            using errcode = 'restrict_violation', constraint = 'month_locks_refusal', table = tg_table_name;
    end if;
    return coalesce(new, old);
end
$$;
create trigger interactions_keep_locked_months before insert or delete on interactions
    for each row execute function refuse_locked_month();
-- Texts, people, tags and threads are not summed.
create trigger interactions_stay_in_locked_months before update of
    customer_id, operator_id, channel, status, started_at, duration_minutes, billable, hourly_rate,
    billed_minutes, resolved_rate, cost, currency, opportunity_id, stage_id, parent_task_id on interactions
    for each row
    when ((old.customer_id, old.operator_id, old.channel, old.status, old.started_at, old.duration_minutes, old.billable,
           old.hourly_rate, old.billed_minutes, old.resolved_rate, old.cost, old.currency, old.opportunity_id,
           old.stage_id, old.parent_task_id)
        is distinct from
          (new.customer_id, new.operator_id, new.channel, new.status, new.started_at, new.duration_minutes, new.billable,
           new.hourly_rate, new.billed_minutes, new.resolved_rate, new.cost, new.currency, new.opportunity_id,
           new.stage_id, new.parent_task_id))
    execute function refuse_locked_month();
create trigger work_entries_keep_locked_months before insert or delete on work_entries
    for each row execute function refuse_locked_month();
create trigger work_entries_stay_in_locked_months before update of
    task_id, customer_id, operator_id, started_at, duration_minutes, billable, hourly_rate,
    billed_minutes, resolved_rate, cost, currency, opportunity_id, stage_id on work_entries
    for each row
    when ((old.task_id, old.customer_id, old.operator_id, old.started_at, old.duration_minutes, old.billable,
           old.hourly_rate, old.billed_minutes, old.resolved_rate, old.cost, old.currency, old.opportunity_id, old.stage_id)
        is distinct from
          (new.task_id, new.customer_id, new.operator_id, new.started_at, new.duration_minutes, new.billable,
           new.hourly_rate, new.billed_minutes, new.resolved_rate, new.cost, new.currency, new.opportunity_id, new.stage_id))
    execute function refuse_locked_month();
