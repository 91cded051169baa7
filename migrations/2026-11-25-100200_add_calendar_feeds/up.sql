create table calendar_feeds (
    organization_id uuid not null references organizations (id),
    id uuid not null,
    name text not null check (length(name) between 1 and 120),
    reader_id uuid not null,
    operator_id uuid,
    registered_by_id uuid,
    customer_id uuid,
    kinds text[] not null check (
        cardinality(kinds) > 0 and kinds <@ array['task', 'recurring_task', 'interaction', 'invoice_run']
    ),
    tasks_as text not null check (tasks_as in ('event', 'todo')),
    past_days integer not null check (past_days between 0 and 1100),
    future_days integer not null check (future_days between 1 and 1100),
    secret_hash bytea not null check (length(secret_hash) = 32),
    last_used_at timestamptz,
    version integer not null default 1,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (organization_id, id),
    constraint calendar_feeds_reader_id_fkey foreign key (organization_id, reader_id)
        references operators (organization_id, id),
    constraint calendar_feeds_operator_id_fkey foreign key (organization_id, operator_id)
        references operators (organization_id, id),
    constraint calendar_feeds_registered_by_id_fkey foreign key (organization_id, registered_by_id)
        references operators (organization_id, id),
    constraint calendar_feeds_customer_id_fkey foreign key (organization_id, customer_id)
        references customers (organization_id, id)
);
comment on table calendar_feeds is 'Parts of the calendar that calendar programs read at a secret address. A row that is gone is an address that is none.';
comment on column calendar_feeds.reader_id is 'Whose rights it shows: what this operator may see at the moment of reading, and nothing once it is inactive.';
comment on column calendar_feeds.operator_id is 'Whose entries are shown; everybody''s where it is null. registered_by_id and customer_id narrow them further.';
comment on column calendar_feeds.secret_hash is 'SHA-256 of the secret in the address, which nobody can read again.';
create unique index calendar_feeds_secret_hash_key on calendar_feeds (secret_hash);
create index calendar_feeds_reader_id_idx on calendar_feeds (organization_id, reader_id, id);
