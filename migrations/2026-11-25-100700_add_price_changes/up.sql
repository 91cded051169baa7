create table price_changes (
    organization_id uuid not null,
    id uuid not null,
    template_id uuid not null,
    valid_from_on date not null check (valid_from_on between '0001-01-01' and '9999-12-31'),
    percent numeric(8, 4) check (percent > -100),
    prices jsonb not null check (jsonb_typeof(prices) = 'array' and jsonb_array_length(prices) between 1 and 100),
    version integer not null default 1,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (organization_id, id),
    constraint price_changes_template_id_fkey foreign key (organization_id, template_id)
        references invoice_templates (organization_id, id),
    -- One a day, so that it is never in doubt which of two holds.
    constraint price_changes_valid_from_on_key unique (organization_id, template_id, valid_from_on)
);
comment on column price_changes.percent is 'As it was asked for; what counts are the prices that came of it.';
comment on column price_changes.prices is 'Key, price before and price of each line, as they were when the change was made.';
create index price_changes_template_id_idx on price_changes (organization_id, template_id, id);
