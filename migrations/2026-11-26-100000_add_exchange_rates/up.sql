create table exchange_rates (
    organization_id uuid not null references organizations (id),
    id uuid not null,
    currency text not null check (currency ~ '^[A-Z]{3}$' and currency <> 'PLN'),
    quoted_on date not null check (quoted_on between '0001-01-01' and '9999-12-31'),
    rate numeric(12, 6) not null check (rate > 0),
    source text not null check (length(source) between 1 and 120),
    version integer not null default 1,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (organization_id, id),
    -- One a day, so that it is never in doubt which of two counts.
    constraint exchange_rates_quoted_on_key unique (organization_id, currency, quoted_on)
);
comment on column exchange_rates.quoted_on is 'The day of the table.';
comment on column exchange_rates.rate is 'How many złoty one unit of the currency is worth.';
create index exchange_rates_page_idx on exchange_rates (organization_id, quoted_on, id);
