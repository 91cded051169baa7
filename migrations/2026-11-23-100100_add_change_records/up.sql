create table audit_entries (
    organization_id uuid not null references organizations (id),
    id uuid not null,
    at timestamptz not null,
    actor_kind text not null check (actor_kind in ('operator', 'api_key', 'system')),
    actor_id uuid,
    action text not null,
    resource_type text not null,
    resource_id uuid not null,
    before jsonb,
    after jsonb,
    request_id uuid,
    primary key (organization_id, id)
);
comment on table audit_entries is 'Who changed what, when, from what to what. Append-only.';
create index audit_entries_resource_idx on audit_entries (organization_id, resource_type, resource_id, id);
create index audit_entries_actor_idx on audit_entries (organization_id, actor_id, id);

create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '% is append-only', tg_table_name using errcode = 'restrict_violation', table = tg_table_name;
end
$$;
create trigger audit_entries_are_append_only before update or delete on audit_entries
    for each row execute function refuse_change();
create trigger audit_entries_are_not_truncated before truncate on audit_entries
    for each statement execute function refuse_change();

create table events (
    organization_id uuid not null references organizations (id),
    id uuid not null,
    ordinal bigint generated always as identity,
    sequence bigint,
    type text not null,
    at timestamptz not null,
    resource_type text not null,
    resource_id uuid not null,
    resource_version integer not null,
    primary key (organization_id, id)
);
comment on column events.ordinal is 'The order of writing. Transactions commit in another order, so readers never see it.';
comment on column events.sequence is
    'The order of publication, given after the commit by one publisher at a time: what a reader has passed never gains a row behind it.';
create unique index events_sequence_key on events (organization_id, sequence) where sequence is not null;
create index events_unpublished_idx on events (ordinal) where sequence is null;
create sequence event_sequence owned by events.sequence;

create table idempotency_keys (
    organization_id uuid not null references organizations (id),
    caller_id uuid not null,
    route text not null,
    key text not null check (length(key) between 1 and 64),
    fingerprint bytea not null,
    status smallint not null check (status between 200 and 499),
    headers jsonb not null,
    body bytea not null,
    created_at timestamptz not null,
    primary key (organization_id, caller_id, route, key)
);
comment on table idempotency_keys is 'The first answer to a POST, kept 24 hours in the transaction of its effect.';
create index idempotency_keys_created_at_idx on idempotency_keys (created_at);
