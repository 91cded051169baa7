-- Lower case without Polish letters: what names are sorted and prefix-searched by. Such columns compare by code point
-- (collate "C"), whatever the database's locale, so that a prefix is a range.
create function fold_text(value text) returns text language sql immutable strict parallel safe as $$
    select lower(translate(value, 'ĄĆĘŁŃÓŚŹŻąćęłńóśźż', 'ACELNOSZZacelnoszz'))
$$;

create table customers (
    organization_id uuid not null references organizations (id),
    id uuid not null,
    kind text not null check (kind in ('company', 'person')),
    name text not null check (length(name) between 1 and 240),
    short_name text check (length(short_name) between 1 and 80),
    sort_name text collate "C" not null generated always as (fold_text(coalesce(short_name, name))) stored,
    tax_scheme text not null check (tax_scheme in ('nip', 'eu_vat', 'other', 'none')),
    tax_country text,
    tax_number text,
    billing_address jsonb check (jsonb_typeof(billing_address) = 'object'),
    correspondence_address jsonb check (jsonb_typeof(correspondence_address) = 'object'),
    email text,
    phone text,
    caretaker_id uuid,
    tags text[] not null default '{}',
    payment_days smallint check (payment_days between 0 and 365),
    round_up_minutes integer check (round_up_minutes between 1 and 480),
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    language text not null check (language in ('pl', 'en')),
    external_id text check (length(external_id) between 1 and 120),
    notes text,
    archived_at timestamptz,
    version integer not null default 1,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (organization_id, id),
    constraint customers_external_id_key unique (organization_id, external_id),
    constraint customers_caretaker_id_fkey foreign key (organization_id, caretaker_id)
        references operators (organization_id, id),
    check ((tax_scheme = 'none') = (tax_number is null))
);
create index customers_sort_name_idx on customers (organization_id, sort_name, id);
create index customers_caretaker_id_idx on customers (organization_id, caretaker_id, id);
create index customers_tax_number_idx on customers (organization_id, tax_number, id);
create index customers_tags_idx on customers using gin (tags);

create table people (
    organization_id uuid not null,
    id uuid not null,
    customer_id uuid not null,
    registered_by_id uuid,
    full_name text not null check (length(full_name) between 1 and 160),
    sort_name text collate "C" not null generated always as (fold_text(full_name)) stored,
    position text,
    email text,
    phone text,
    consents jsonb not null default '[]' check (jsonb_typeof(consents) = 'array'),
    erased_at timestamptz,
    version integer not null default 1,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (organization_id, id),
    constraint people_customer_id_fkey foreign key (organization_id, customer_id)
        references customers (organization_id, id),
    constraint people_registered_by_id_fkey foreign key (organization_id, registered_by_id)
        references operators (organization_id, id),
    constraint people_customer_id_id_key unique (organization_id, customer_id, id)
);
comment on column people.erased_at is 'When its personal data was erased at its wish; the row stays for what refers to it.';
create index people_sort_name_idx on people (organization_id, sort_name, id);
-- Who is writing, who is calling.
create index people_email_idx on people (organization_id, lower(email), id);
create index people_phone_idx on people (organization_id, phone, id);

create table hourly_rates (
    organization_id uuid not null references organizations (id),
    id uuid not null,
    operator_id uuid,
    customer_id uuid,
    holder_id uuid not null generated always as (coalesce(customer_id, operator_id, organization_id)) stored,
    amount numeric(10, 2) not null check (amount >= 0),
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    valid_from_on date not null,
    version integer not null default 1,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (organization_id, id),
    constraint hourly_rates_operator_id_fkey foreign key (organization_id, operator_id)
        references operators (organization_id, id),
    constraint hourly_rates_customer_id_fkey foreign key (organization_id, customer_id)
        references customers (organization_id, id),
    constraint hourly_rates_one_holder check (operator_id is null or customer_id is null),
    constraint hourly_rates_valid_from_on_key unique (organization_id, holder_id, valid_from_on)
);
comment on column hourly_rates.holder_id is 'Whose price of an hour it is: without a customer and an operator, the organization''s.';
create index hourly_rates_page_idx on hourly_rates (organization_id, valid_from_on, id);
