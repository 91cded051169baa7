create table interactions (
    organization_id uuid not null,
    id uuid not null,
    customer_id uuid not null,
    person_id uuid,
    operator_id uuid not null,
    registered_by_id uuid,
    caretaker_id uuid,
    channel text not null check (channel in ('phone', 'email', 'meeting', 'video', 'chat', 'letter', 'other')),
    direction text not null check (direction in ('inbound', 'outbound')),
    status text not null check (status in ('planned', 'held', 'not_held')),
    started_at timestamptz not null,
    duration_minutes integer not null check (duration_minutes between 0 and 10080),
    subject text not null check (length(subject) between 1 and 240),
    description text,
    outcome text,
    billable boolean not null,
    hourly_rate numeric(10, 2) check (hourly_rate >= 0),
    billed_minutes integer not null check (billed_minutes >= duration_minutes),
    resolved_rate numeric(10, 2) check (resolved_rate >= 0),
    rate_source text check (rate_source in ('entry', 'customer', 'operator', 'organization')),
    cost numeric(14, 2),
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    tags text[] not null default '{}',
    version integer not null default 1,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (organization_id, id),
    constraint interactions_customer_id_fkey foreign key (organization_id, customer_id)
        references customers (organization_id, id),
    -- The person talked to is one of that customer's.
    constraint interactions_person_id_fkey foreign key (organization_id, customer_id, person_id)
        references people (organization_id, customer_id, id),
    constraint interactions_operator_id_fkey foreign key (organization_id, operator_id)
        references operators (organization_id, id),
    constraint interactions_registered_by_id_fkey foreign key (organization_id, registered_by_id)
        references operators (organization_id, id),
    constraint interactions_caretaker_id_fkey foreign key (organization_id, caretaker_id)
        references operators (organization_id, id),
    constraint interactions_rate_check check (
        (resolved_rate is null) = (rate_source is null) and (resolved_rate is null) = (cost is null)
    ),
    -- Half away from zero, once an entry: every total is a sum of these.
    constraint interactions_cost_check check (cost = round(billed_minutes * resolved_rate / 60, 2))
);
create index interactions_started_at_idx on interactions (organization_id, started_at, id);
create index interactions_customer_id_idx on interactions (organization_id, customer_id, started_at, id);
create index interactions_operator_id_idx on interactions (organization_id, operator_id, started_at, id);
create index interactions_caretaker_id_idx on interactions (organization_id, caretaker_id, started_at, id);
create index interactions_person_id_idx on interactions (organization_id, person_id, started_at, id);
create index interactions_channel_idx on interactions (organization_id, channel, started_at, id);
create index interactions_status_idx on interactions (organization_id, status, started_at, id);
create index interactions_tags_idx on interactions using gin (tags);
comment on column interactions.resolved_rate is
    'The rate that held when the entry was written. Rates that change later leave it as it is.';
