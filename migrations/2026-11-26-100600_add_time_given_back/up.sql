-- What was given back before this was noted stays as it is: no upgrade bills anybody.
alter table interactions
    add column is_given_back boolean not null default false,
    add constraint interactions_given_back_check check (invoice_id is null or not is_given_back);
comment on column interactions.is_given_back is
    'Whether an invoice billed its time and gave it back: the next time line of the customer bills it, whatever its day.';
create index interactions_given_back_idx on interactions (organization_id, customer_id, started_at)
    where is_given_back;

alter table work_entries
    add column is_given_back boolean not null default false,
    add constraint work_entries_given_back_check check (invoice_id is null or not is_given_back);
comment on column work_entries.is_given_back is
    'Whether an invoice billed its time and gave it back: the next time line of the customer bills it, whatever its day.';
create index work_entries_given_back_idx on work_entries (organization_id, customer_id, started_at)
    where is_given_back;
