alter table organizations
    add column email jsonb not null default '{}' check (jsonb_typeof(email) = 'object'),
    add column email_invoices boolean not null default false;
comment on column organizations.email is 'From whom its e-mails come, and in which words.';
comment on column organizations.email_invoices is 'Whether invoices of subscriptions are sent to the customer by themselves, unless a subscription says otherwise.';

alter table subscriptions
    add column email_invoices text not null default 'as_organization'
        check (email_invoices in ('as_organization', 'always', 'never'));

create table invoice_emails (
    organization_id uuid not null,
    id uuid not null,
    invoice_id uuid not null,
    customer_id uuid not null,
    reason text not null check (reason in ('requested', 'issued', 'reminder')),
    days_after_due smallint,
    status text not null check (status in ('queued', 'sent', 'bounced', 'failed', 'cancelled')),
    problem text,
    problem_detail text check (length(problem_detail) between 1 and 1000),
    recipients text[] not null check (cardinality(recipients) <= 20),
    cc text[] not null check (cardinality(cc) <= 20),
    subject text check (length(subject) between 1 and 1000),
    body text check (length(body) <= 100000),
    from_address text,
    attach_pdf boolean not null,
    attach_xml boolean not null,
    requested_by_kind text not null check (requested_by_kind in ('operator', 'api_key', 'system')),
    requested_by_id uuid,
    attempts integer not null default 0 check (attempts >= 0),
    queued_at timestamptz not null,
    next_attempt_at timestamptz,
    sent_at timestamptz,
    version integer not null default 1,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (organization_id, id),
    constraint invoice_emails_invoice_id_fkey foreign key (organization_id, invoice_id)
        references invoices (organization_id, id),
    constraint invoice_emails_customer_id_fkey foreign key (organization_id, customer_id)
        references customers (organization_id, id),
    constraint invoice_emails_reminder_check check ((reason = 'reminder') = (days_after_due is not null)),
    constraint invoice_emails_queued_check check ((status = 'queued') = (next_attempt_at is not null)),
    constraint invoice_emails_sent_check check ((status = 'sent') = (sent_at is not null)),
    constraint invoice_emails_problem_check check (
        (status = 'queued' or (status = 'sent') = (problem is null)) and (problem is not null or problem_detail is null)
    ),
    constraint invoice_emails_addressed_check check (cardinality(recipients) > 0 or status = 'failed')
);
comment on table invoice_emails is 'Invoices on their way to somebody by e-mail.';
comment on column invoice_emails.subject is 'Null until it is first tried, where it comes in the organization''s words.';
comment on column invoice_emails.from_address is 'The sender of the last attempt. The identifier of the message is made of it and the id.';
comment on column invoice_emails.queued_at is 'From when on it is tried.';
comment on column invoice_emails.next_attempt_at is 'While a node is at it, when others may take it that it has left.';
-- By themselves an invoice is sent once, and reminded of once a step.
create unique index invoice_emails_issued_key on invoice_emails (organization_id, invoice_id) where reason = 'issued';
create unique index invoice_emails_reminder_key on invoice_emails (organization_id, invoice_id, days_after_due)
    where reason = 'reminder';
create index invoice_emails_invoice_id_idx on invoice_emails (organization_id, invoice_id, id);
create index invoice_emails_customer_id_idx on invoice_emails (organization_id, customer_id, id);
create index invoice_emails_status_idx on invoice_emails (organization_id, status, id);
-- Of all organizations: what somebody waits for goes before what comes by itself.
create index invoice_emails_due_idx on invoice_emails (next_attempt_at) where status = 'queued';
create index invoice_emails_requested_due_idx on invoice_emails (next_attempt_at)
    where status = 'queued' and reason = 'requested';

create function invoice_emails_of_issued() returns trigger language plpgsql as $$
begin
    if exists (
        select 1 from added a
        join invoices i on i.organization_id = a.organization_id and i.id = a.invoice_id
        where i.status <> 'issued' or i.customer_id <> a.customer_id
    ) then
        raise exception 'only what is issued is sent, and of its own customer'
            using errcode = 'restrict_violation', constraint = 'invoice_emails_of_issued', table = 'invoice_emails';
    end if;
    return null;
end
$$;
create trigger invoice_emails_of_issued after insert on invoice_emails
    referencing new table as added for each statement execute function invoice_emails_of_issued();
