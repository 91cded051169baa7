alter table organizations
    add column automatic_invoicing_hour smallint check (automatic_invoicing_hour between 0 and 23),
    add column automatic_invoicing_set_at timestamptz,
    add constraint organizations_automatic_invoicing_whole_check
        check ((automatic_invoicing_hour is null) = (automatic_invoicing_set_at is null));
comment on column organizations.automatic_invoicing_hour is 'The hour of its own time zone at which what is due is issued by itself, every day; null where it is not.';
comment on column organizations.automatic_invoicing_set_at is 'When that hour was set: the first run is of the first day whose hour comes after it.';
-- Of few organizations among many, looked for all the time.
create index organizations_automatic_invoicing_idx on organizations (id) where automatic_invoicing_hour is not null;

alter table invoice_runs
    add column automatic_on date,
    add constraint invoice_runs_automatic_check check (
        automatic_on is null
        or (mode = 'issue' and through_on = automatic_on and issue_on = automatic_on
            and num_nonnulls(subscription_ids, template_ids, customer_ids) = 0 and requested_by_kind = 'system')
    );
comment on column invoice_runs.automatic_on is 'The day that it is the automatic run of; null of one that somebody asked for.';
-- One a day, however many nodes ask for it at once.
create unique index invoice_runs_automatic_on_key on invoice_runs (organization_id, automatic_on)
    where automatic_on is not null;
create index invoice_runs_automatic_idx on invoice_runs (organization_id, id) where automatic_on is not null;
