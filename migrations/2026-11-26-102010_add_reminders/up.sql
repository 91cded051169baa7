alter table organizations
    add column reminders jsonb check (jsonb_typeof(reminders) = 'object'),
    add column reminders_set_at timestamptz,
    add constraint organizations_reminders_whole_check check ((reminders is null) = (reminders_set_at is null));
comment on column organizations.reminders is 'At which hour, and how many days after the day of payment, unpaid invoices are reminded of; null where they are not.';
comment on column organizations.reminders_set_at is 'When that was set: what was to be reminded of before is not.';
-- Of few organizations among many, looked for all the time.
create index organizations_reminders_idx on organizations (id) where reminders is not null;

alter table customers add column send_reminders boolean not null default true;

create table reminder_days (
    organization_id uuid not null references organizations (id),
    reminded_on date not null,
    created_at timestamptz not null,
    primary key (organization_id, reminded_on)
);
comment on table reminder_days is 'The days on which all that was to be reminded of was.';
