-- What lies in the file store, a row an object: written before the first byte is stored and removed after the last one is
-- gone, so that nothing lies there unknown. Equal content of one organization is kept once.
create table file_objects (
    organization_id uuid not null references organizations (id),
    id uuid not null,
    state text not null check (state in ('receiving', 'kept', 'discarded')),
    multipart_id text,
    sha256 bytea check (length(sha256) = 32),
    size_bytes bigint check (size_bytes >= 0),
    touched_at timestamptz not null,
    created_at timestamptz not null,
    primary key (organization_id, id),
    constraint file_objects_state_key unique (organization_id, id, state),
    constraint file_objects_content_check check (
        (state = 'receiving' or (sha256 is null) = (size_bytes is null)) and (state <> 'kept' or sha256 is not null)
    )
);
comment on column file_objects.multipart_id is 'Under which the store knows an upload in parts that has not ended.';
comment on column file_objects.touched_at is 'When its upload last gave a sign of life, or when it was discarded.';
create unique index file_objects_sha256_key on file_objects (organization_id, sha256) where state = 'kept';
create index file_objects_to_remove_idx on file_objects (touched_at) where state <> 'kept';

create table files (
    organization_id uuid not null references organizations (id),
    id uuid not null,
    object_id uuid not null,
    object_state text not null default 'kept' check (object_state = 'kept'),
    name text not null check (length(name) between 1 and 255),
    media_type text not null check (media_type ~ '^[a-z]+/[a-z0-9.+-]+$'),
    sha256 bytea not null check (length(sha256) = 32),
    size_bytes bigint not null check (size_bytes >= 0),
    registered_by_id uuid,
    registered_by_key_id uuid,
    crm_uses integer not null default 0 check (crm_uses >= 0),
    billing_uses integer not null default 0 check (billing_uses >= 0),
    logo_uses integer not null default 0 check (logo_uses >= 0),
    version integer not null default 1,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (organization_id, id),
    -- An object that has a file is not discarded.
    constraint files_object_id_fkey foreign key (organization_id, object_id, object_state)
        references file_objects (organization_id, id, state),
    constraint files_registered_by_id_fkey foreign key (organization_id, registered_by_id)
        references operators (organization_id, id),
    constraint files_registered_by_key_id_fkey foreign key (organization_id, registered_by_key_id)
        references api_keys (organization_id, id)
);
comment on column files.registered_by_key_id is 'The script that sent it, where no operator did.';
comment on column files.crm_uses is 'On how many records of customers and work it is: whoever reads those reads it.';
comment on column files.billing_uses is 'On how many records of invoicing it is.';
comment on column files.logo_uses is 'Whether it is the logo of the organization, which everybody in it sees.';
create index files_created_at_idx on files (organization_id, created_at, id);
create index files_registered_by_id_idx on files (organization_id, registered_by_id, created_at, id);
create index files_object_id_idx on files (organization_id, object_id);
create index files_sha256_idx on files (organization_id, sha256, created_at, id);
create index files_unused_idx on files (created_at) where crm_uses = 0 and billing_uses = 0 and logo_uses = 0;
