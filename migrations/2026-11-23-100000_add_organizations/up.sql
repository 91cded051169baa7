create table organizations (
    id uuid primary key,
    legal_name text not null check (length(legal_name) between 1 and 240),
    tax_scheme text not null check (tax_scheme in ('nip', 'eu_vat', 'other', 'none')),
    tax_country text,
    tax_number text,
    address jsonb not null check (jsonb_typeof(address) = 'object'),
    bank_accounts jsonb not null default '[]' check (jsonb_typeof(bank_accounts) = 'array'),
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    time_zone text not null,
    locale text not null check (locale in ('pl', 'en')),
    round_up_minutes integer check (round_up_minutes between 1 and 480),
    version integer not null default 1,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    check ((tax_scheme = 'none') = (tax_number is null))
);
comment on table organizations is 'A firm that keeps its data here, and the seller on its invoices.';

create table operators (
    organization_id uuid not null references organizations (id),
    id uuid not null,
    email text not null check (length(email) between 3 and 254),
    full_name text not null check (length(full_name) between 1 and 160),
    role text not null check (role in ('owner', 'manager', 'operator', 'viewer')),
    billing text not null check (billing in ('none', 'read', 'write')),
    supervisor_id uuid,
    active boolean not null default true,
    locale text not null check (locale in ('pl', 'en')),
    password_hash text,
    version integer not null default 1,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (organization_id, id),
    constraint operators_supervisor_id_fkey foreign key (organization_id, supervisor_id)
        references operators (organization_id, id),
    constraint operators_supervisor_id_self check (supervisor_id <> id)
);
comment on column operators.password_hash is 'argon2id, PHC string; null until a password is set.';
-- One e-mail signs in to one organization, so that the password grant needs no organization.
create unique index operators_email_key on operators (lower(email));
create index operators_supervisor_id_idx on operators (organization_id, supervisor_id);

-- A supervisor tree has no cycle, also when two moves meet: moves of one organization wait for each other.
create function operators_supervisor_is_a_tree() returns trigger language plpgsql as $$
begin
    if new.supervisor_id is null then
        return new;
    end if;
    perform pg_advisory_xact_lock(hashtextextended('operators.supervisor_id:' || new.organization_id, 0));
    if exists (
        with recursive above as (
            select o.id, o.supervisor_id from operators o
            where o.organization_id = new.organization_id and o.id = new.supervisor_id
            union
            select o.id, o.supervisor_id from operators o
            join above on o.organization_id = new.organization_id and o.id = above.supervisor_id
        )
        select 1 from above where id = new.id
    ) then
        raise exception 'an operator cannot stand above itself'
            using errcode = 'check_violation', constraint = 'operators_supervisor_id_cycle', table = 'operators';
    end if;
    return new;
end
$$;
create trigger operators_supervisor_is_a_tree before insert or update of supervisor_id on operators
    for each row execute function operators_supervisor_is_a_tree();

create table sign_ins (
    organization_id uuid not null,
    id uuid not null,
    operator_id uuid not null,
    created_at timestamptz not null,
    revoked_at timestamptz,
    primary key (organization_id, id),
    foreign key (organization_id, operator_id) references operators (organization_id, id)
);
comment on table sign_ins is 'One sign-in with a password: the family of refresh tokens that descend from it.';
create index sign_ins_operator_id_idx on sign_ins (organization_id, operator_id);

create table refresh_tokens (
    organization_id uuid not null,
    id uuid not null,
    sign_in_id uuid not null,
    token_hash bytea not null,
    created_at timestamptz not null,
    expires_at timestamptz not null,
    spent_at timestamptz,
    primary key (organization_id, id),
    foreign key (organization_id, sign_in_id) references sign_ins (organization_id, id) on delete cascade
);
create unique index refresh_tokens_token_hash_key on refresh_tokens (token_hash);
create index refresh_tokens_sign_in_id_idx on refresh_tokens (organization_id, sign_in_id);

create table api_keys (
    organization_id uuid not null references organizations (id),
    id uuid not null,
    name text not null check (length(name) between 1 and 120),
    scopes text[] not null check (cardinality(scopes) > 0),
    secret_hash bytea not null,
    expires_at timestamptz,
    last_used_at timestamptz,
    revoked_at timestamptz,
    version integer not null default 1,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (organization_id, id)
);
create unique index api_keys_id_key on api_keys (id);
