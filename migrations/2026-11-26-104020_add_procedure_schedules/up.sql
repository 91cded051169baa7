create table procedure_schedules (
    organization_id uuid not null references organizations (id),
    id uuid not null,
    procedure_id uuid not null,
    every_unit text not null check (every_unit in ('day', 'week', 'month', 'quarter', 'year')),
    every_count integer not null check (every_count between 1 and 1000),
    first_on date not null,
    day text check (day ~ '^([1-9]|[12][0-9]|3[01]|last_day)$'),
    timing text not null check (timing in ('in_advance', 'in_arrears')),
    start_offset_days integer not null check (start_offset_days between -366 and 366),
    start_day_shift text not null check (start_day_shift in ('none', 'before', 'after')),
    ends_on date,
    catch_up text not null check (catch_up in ('all', 'latest', 'skip')),
    is_listed boolean not null,
    customer_tag text check (length(customer_tag) between 1 and 60),
    caretaker_id uuid,
    active boolean not null,
    next_index integer not null default 0 check (next_index >= 0),
    next_start_on date,
    reached uuid,
    version integer not null default 1,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (organization_id, id),
    constraint procedure_schedules_procedure_id_fkey foreign key (organization_id, procedure_id)
        references procedures (organization_id, id),
    constraint procedure_schedules_caretaker_id_fkey foreign key (organization_id, caretaker_id)
        references operators (organization_id, id),
    constraint procedure_schedules_filter_check check (not is_listed or (customer_tag is null and caretaker_id is null))
);
comment on column procedure_schedules.is_listed is 'Whether it is for the customers that it lists, or else for those that have the tag and the caretaker, where they are told.';
comment on column procedure_schedules.next_start_on is 'The day on which the next period is started; null where none is left.';
comment on column procedure_schedules.reached is 'The last customer for whom the next period was started, while it is being started.';
create index procedure_schedules_procedure_id_idx on procedure_schedules (organization_id, procedure_id, id);
create index procedure_schedules_due_idx on procedure_schedules (next_start_on) where active and next_start_on is not null;

create table procedure_schedule_customers (
    organization_id uuid not null,
    schedule_id uuid not null,
    customer_id uuid not null,
    is_listed boolean not null,
    extra_steps jsonb not null check (jsonb_typeof(extra_steps) = 'array'),
    primary key (organization_id, schedule_id, customer_id),
    constraint procedure_schedule_customers_schedule_id_fkey foreign key (organization_id, schedule_id)
        references procedure_schedules (organization_id, id) on delete cascade,
    constraint procedure_schedule_customers_customer_id_fkey foreign key (organization_id, customer_id)
        references customers (organization_id, id)
);
comment on table procedure_schedule_customers is 'Whom a schedule lists, and what it has for single customers beside the procedure''s steps.';
create index procedure_schedule_customers_customer_id_idx on procedure_schedule_customers (organization_id, customer_id);
