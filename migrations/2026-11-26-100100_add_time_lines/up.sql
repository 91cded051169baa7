-- Hourly rates are net: with gross prices time can't be billed.
alter table invoice_templates add constraint invoice_templates_time_is_net_check
    check (price_mode = 'net' or not lines @> '[{"kind": "time"}]');

alter table interactions
    add column invoice_id uuid,
    add constraint interactions_invoice_id_fkey foreign key (organization_id, invoice_id)
        references invoices (organization_id, id),
    add constraint interactions_invoiced_check
        check (invoice_id is null or (billable and status = 'held' and cost is not null));
comment on column interactions.invoice_id is 'The invoice that bills its time. One that no longer does gives it back.';
create index interactions_invoiced_idx on interactions (organization_id, started_at, id) where invoice_id is not null;
create index interactions_not_invoiced_idx on interactions (organization_id, started_at, id) where invoice_id is null;
create index interactions_unbilled_idx on interactions (organization_id, customer_id, started_at)
    where invoice_id is null and billable and status = 'held' and billed_minutes > 0;

alter table work_entries
    add column invoice_id uuid,
    add constraint work_entries_invoice_id_fkey foreign key (organization_id, invoice_id)
        references invoices (organization_id, id),
    add constraint work_entries_invoiced_check
        check (invoice_id is null or (billable and customer_id is not null and cost is not null));
comment on column work_entries.invoice_id is 'The invoice that bills its time. One that no longer does gives it back.';
create index work_entries_invoiced_idx on work_entries (organization_id, started_at, id) where invoice_id is not null;
create index work_entries_not_invoiced_idx on work_entries (organization_id, started_at, id) where invoice_id is null;
create index work_entries_unbilled_idx on work_entries (organization_id, customer_id, started_at)
    where invoice_id is null and billable and billed_minutes > 0;

-- What was billed stays as it was billed, until it is given back. Texts, people, tags and threads are no part of it.
create function keep_invoiced_time() returns trigger language plpgsql as $$
begin
    raise exception 'the time of this entry is invoiced'
        using errcode = 'restrict_violation', constraint = 'invoiced_time_refusal', table = tg_table_name;
end
$$;
create trigger interactions_keep_invoiced_time before delete on interactions
    for each row when (old.invoice_id is not null) execute function keep_invoiced_time();
create trigger interactions_stay_invoiced before update of
    invoice_id, customer_id, operator_id, status, started_at, duration_minutes, billable, hourly_rate,
    billed_minutes, resolved_rate, cost, currency on interactions
    for each row
    when (old.invoice_id <> new.invoice_id or (old.invoice_id is not null and
          (old.customer_id, old.operator_id, old.status, old.started_at, old.duration_minutes, old.billable,
           old.hourly_rate, old.billed_minutes, old.resolved_rate, old.cost, old.currency)
        is distinct from
          (new.customer_id, new.operator_id, new.status, new.started_at, new.duration_minutes, new.billable,
           new.hourly_rate, new.billed_minutes, new.resolved_rate, new.cost, new.currency)))
    execute function keep_invoiced_time();
create trigger work_entries_keep_invoiced_time before delete on work_entries
    for each row when (old.invoice_id is not null) execute function keep_invoiced_time();
create trigger work_entries_stay_invoiced before update of
    invoice_id, task_id, customer_id, operator_id, started_at, duration_minutes, billable, hourly_rate,
    billed_minutes, resolved_rate, cost, currency on work_entries
    for each row
    when (old.invoice_id <> new.invoice_id or (old.invoice_id is not null and
          (old.task_id, old.customer_id, old.operator_id, old.started_at, old.duration_minutes, old.billable,
           old.hourly_rate, old.billed_minutes, old.resolved_rate, old.cost, old.currency)
        is distinct from
          (new.task_id, new.customer_id, new.operator_id, new.started_at, new.duration_minutes, new.billable,
           new.hourly_rate, new.billed_minutes, new.resolved_rate, new.cost, new.currency)))
    execute function keep_invoiced_time();

create table invoice_time_entries (
    organization_id uuid not null,
    invoice_id uuid not null,
    position integer not null check (position >= 1),
    line_key text not null,
    kind text not null check (kind in ('interaction', 'work_entry')),
    entry_id uuid not null,
    started_at timestamptz not null,
    started_on date not null,
    operator_id uuid not null,
    operator_name text not null,
    text text,
    duration_minutes integer not null check (duration_minutes > 0),
    billed_minutes integer not null check (billed_minutes >= duration_minutes),
    resolved_rate numeric(10, 2) not null check (resolved_rate >= 0),
    cost numeric(14, 2) not null,
    primary key (organization_id, invoice_id, position),
    constraint invoice_time_entries_invoice_id_fkey foreign key (organization_id, invoice_id)
        references invoices (organization_id, id),
    constraint invoice_time_entries_operator_id_fkey foreign key (organization_id, operator_id)
        references operators (organization_id, id),
    constraint invoice_time_entries_cost_check check (cost = round(billed_minutes * resolved_rate / 60, 2))
);
comment on table invoice_time_entries is
    'The annex of an invoice: the time that a line of it bills, as it was when it was billed. The entries may be gone.';
comment on column invoice_time_entries.line_key is 'Of the line: its position may change while the invoice is a draft.';
comment on column invoice_time_entries.started_on is 'The day on the organization''s calendar.';

-- The annex comes with the invoice and stays as its lines do.
create trigger invoice_time_entries_issued_are_final before update or delete on invoice_time_entries
    for each row execute function invoice_lines_issued_are_final();
create trigger invoice_time_entries_are_not_truncated before truncate on invoice_time_entries
    for each statement execute function invoice_lines_issued_are_final();
create trigger invoice_time_entries_come_with_the_issue after insert on invoice_time_entries
    referencing new table as added for each statement execute function invoice_lines_come_with_the_issue();
