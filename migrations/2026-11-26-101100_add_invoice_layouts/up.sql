create table invoice_layouts (
    organization_id uuid not null references organizations (id),
    id uuid not null,
    name text not null check (length(name) between 1 and 120),
    source text check (length(source) between 1 and 200000),
    color text not null check (color ~ '^#[0-9a-f]{6}$'),
    footer text check (length(footer) between 1 and 400),
    labels text not null check (labels in ('one_language', 'both_languages')),
    is_default boolean not null,
    version integer not null default 1,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (organization_id, id),
    constraint invoice_layouts_name_key unique (organization_id, name)
);
comment on table invoice_layouts is 'How invoices look as PDF.';
comment on column invoice_layouts.source is 'A layout of the organization''s own, in Typst; null for the one that is built in.';
create unique index invoice_layouts_is_default_key on invoice_layouts (organization_id) where is_default;

alter table invoice_templates
    add column layout_id uuid,
    add constraint invoice_templates_layout_id_fkey foreign key (organization_id, layout_id)
        references invoice_layouts (organization_id, id);
create index invoice_templates_layout_idx on invoice_templates (organization_id, layout_id) where layout_id is not null;
