create table threads (
    organization_id uuid not null references organizations (id),
    id uuid not null,
    subject text not null check (length(subject) between 1 and 240),
    description text,
    customer_id uuid,
    caretaker_id uuid,
    registered_by_id uuid,
    status text not null check (status in ('open', 'closed')),
    closed_at timestamptz,
    merged_into_id uuid,
    tags text[] not null default '{}',
    version integer not null default 1,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (organization_id, id),
    constraint threads_customer_id_fkey foreign key (organization_id, customer_id)
        references customers (organization_id, id),
    constraint threads_caretaker_id_fkey foreign key (organization_id, caretaker_id)
        references operators (organization_id, id),
    constraint threads_registered_by_id_fkey foreign key (organization_id, registered_by_id)
        references operators (organization_id, id),
    constraint threads_merged_into_id_fkey foreign key (organization_id, merged_into_id)
        references threads (organization_id, id),
    check ((status = 'closed') = (closed_at is not null)),
    check (merged_into_id is null or status = 'closed'),
    check (merged_into_id <> id)
);
comment on column threads.merged_into_id is 'The thread that its interactions and tasks went to; it stays for what refers to it.';
create index threads_customer_id_idx on threads (organization_id, customer_id, id) where customer_id is not null;
create index threads_caretaker_id_idx on threads (organization_id, caretaker_id, id);
create index threads_status_idx on threads (organization_id, status, id);
create index threads_merged_into_id_idx on threads (organization_id, merged_into_id, id) where merged_into_id is not null;
