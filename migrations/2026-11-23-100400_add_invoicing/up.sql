create table number_series (
    organization_id uuid not null references organizations (id),
    id uuid not null,
    name text not null check (length(name) between 1 and 120),
    pattern text not null check (length(pattern) between 1 and 40),
    reset text not null check (reset in ('monthly', 'yearly', 'never')),
    last_issued_on date,
    version integer not null default 1,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (organization_id, id),
    constraint number_series_name_key unique (organization_id, name),
    constraint number_series_pattern_key unique (organization_id, pattern)
);
comment on column number_series.last_issued_on is 'The date of its last invoice: none is dated before it.';

create table number_counters (
    organization_id uuid not null,
    series_id uuid not null,
    key text not null,
    next_number bigint not null check (next_number between 1 and 1000000000),
    issued bigint not null default 0 check (issued >= 0),
    primary key (organization_id, series_id, key),
    foreign key (organization_id, series_id) references number_series (organization_id, id)
);
comment on table number_counters is
    'The next number of a series within one month, year or for ever. Counted up in the transaction that issues, so there is no gap.';
comment on column number_counters.issued is 'How many invoices took their number here: only before the first may it be set.';

create table invoice_templates (
    organization_id uuid not null references organizations (id),
    id uuid not null,
    name text not null check (length(name) between 1 and 120),
    series_id uuid not null,
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    price_mode text not null check (price_mode in ('net', 'gross')),
    lines jsonb not null check (jsonb_typeof(lines) = 'array' and jsonb_array_length(lines) between 1 and 100),
    payment_days smallint not null check (payment_days between 0 and 365),
    payment_method text not null check (payment_method in ('transfer', 'cash', 'card', 'other')),
    bank_account text,
    notes text,
    language text not null check (language in ('pl', 'en')),
    archived_at timestamptz,
    version integer not null default 1,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (organization_id, id),
    constraint invoice_templates_name_key unique (organization_id, name),
    constraint invoice_templates_series_id_fkey foreign key (organization_id, series_id)
        references number_series (organization_id, id)
);
create index invoice_templates_series_id_idx on invoice_templates (organization_id, series_id);

create table subscriptions (
    organization_id uuid not null,
    id uuid not null,
    template_id uuid not null,
    customer_id uuid not null,
    every_unit text not null check (every_unit in ('day', 'week', 'month', 'quarter', 'year')),
    every_count integer not null check (every_count between 1 and 1000),
    anchor_on date not null check (anchor_on between '0001-01-01' and '9999-12-31'),
    on_day smallint check (on_day between 1 and 31),
    on_last_day boolean not null default false check (not (on_last_day and on_day is not null)),
    billing text not null check (billing in ('in_advance', 'in_arrears')),
    issue_offset_days integer not null check (issue_offset_days between -366 and 366),
    issue_day_shift text not null check (issue_day_shift in ('none', 'before', 'after')),
    starts_on date not null,
    ends_on date,
    line_overrides jsonb not null default '[]' check (jsonb_typeof(line_overrides) = 'array'),
    catch_up text not null check (catch_up in ('all', 'latest', 'skip')),
    state text not null check (state in ('active', 'paused', 'parked', 'ended')),
    next_period integer not null check (next_period >= 0),
    next_issue_on date,
    consecutive_failures smallint not null default 0 check (consecutive_failures >= 0),
    version integer not null default 1,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (organization_id, id),
    constraint subscriptions_template_id_fkey foreign key (organization_id, template_id)
        references invoice_templates (organization_id, id),
    constraint subscriptions_customer_id_fkey foreign key (organization_id, customer_id)
        references customers (organization_id, id),
    constraint subscriptions_ends_on_check check (ends_on > starts_on),
    constraint subscriptions_day_check check (
        every_unit in ('month', 'quarter', 'year') or (on_day is null and not on_last_day)
    )
);
comment on column subscriptions.next_period is 'The first period, counted from the anchor, that is neither invoiced nor skipped.';
comment on column subscriptions.next_issue_on is 'When that period is to be billed; null when none is left.';
create index subscriptions_due_idx on subscriptions (organization_id, next_issue_on, id) where state = 'active';
create index subscriptions_customer_id_idx on subscriptions (organization_id, customer_id, id);
create index subscriptions_template_id_idx on subscriptions (organization_id, template_id, id);

create table invoice_runs (
    organization_id uuid not null references organizations (id),
    id uuid not null,
    mode text not null check (mode in ('preview', 'issue')),
    through_on date not null,
    issue_on date not null,
    subscription_ids uuid[],
    template_ids uuid[],
    customer_ids uuid[],
    status text not null
        check (status in ('queued', 'running', 'succeeded', 'partially_failed', 'failed', 'cancelled')),
    requested_by_kind text not null check (requested_by_kind in ('operator', 'api_key', 'system')),
    requested_by_id uuid,
    cancel_requested_at timestamptz,
    done integer not null default 0,
    total integer not null default 0,
    planned integer not null default 0,
    invoiced integer not null default 0,
    skipped integer not null default 0,
    failed integer not null default 0,
    totals jsonb not null default '[]' check (jsonb_typeof(totals) = 'array'),
    resume_after uuid,
    problem text,
    started_at timestamptz,
    finished_at timestamptz,
    version integer not null default 1,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (organization_id, id)
);
comment on column invoice_runs.issue_on is 'The date on the invoices, fixed when the run is asked for, so that midnight changes nothing.';
comment on column invoice_runs.resume_after is 'The last subscription handled: where the run goes on after a crash.';
create index invoice_runs_unfinished_idx on invoice_runs (created_at) where status in ('queued', 'running');

create table invoices (
    organization_id uuid not null,
    id uuid not null,
    kind text not null check (kind in ('invoice', 'correction', 'pro_forma')),
    status text not null check (status in ('draft', 'issued', 'void')),
    series_id uuid,
    number text,
    customer_id uuid not null,
    template_id uuid,
    subscription_id uuid,
    run_id uuid,
    seller jsonb not null check (jsonb_typeof(seller) = 'object'),
    buyer jsonb not null check (jsonb_typeof(buyer) = 'object'),
    issued_on date,
    sold_on date,
    period_start_on date,
    period_end_on date,
    due_on date,
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    price_mode text not null check (price_mode in ('net', 'gross')),
    payment_method text not null check (payment_method in ('transfer', 'cash', 'card', 'other')),
    bank_account text,
    notes text,
    language text not null check (language in ('pl', 'en')),
    vat_totals jsonb not null check (jsonb_typeof(vat_totals) = 'array'),
    net numeric(16, 2) not null,
    vat numeric(16, 2) not null,
    gross numeric(16, 2) not null,
    issued_in bigint,
    version integer not null default 1,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (organization_id, id),
    constraint invoices_number_key unique (organization_id, number),
    constraint invoices_series_id_fkey foreign key (organization_id, series_id)
        references number_series (organization_id, id),
    constraint invoices_customer_id_fkey foreign key (organization_id, customer_id)
        references customers (organization_id, id),
    constraint invoices_template_id_fkey foreign key (organization_id, template_id)
        references invoice_templates (organization_id, id),
    constraint invoices_subscription_id_fkey foreign key (organization_id, subscription_id)
        references subscriptions (organization_id, id),
    constraint invoices_run_id_fkey foreign key (organization_id, run_id) references invoice_runs (organization_id, id),
    constraint invoices_sum_check check (net + vat = gross),
    constraint invoices_period_check check (period_end_on > period_start_on),
    constraint invoices_issued_check check (
        (status = 'issued') = (number is not null)
        and (number is null) = (issued_on is null)
        and (number is null) = (issued_in is null)
        and (number is null or series_id is not null)
    )
);
comment on column invoices.issued_in is 'The transaction that issued it: the only one that may write its lines.';
create index invoices_issued_on_idx on invoices (organization_id, issued_on, id);
create index invoices_customer_id_idx on invoices (organization_id, customer_id, issued_on, id);
-- Behind the occurrence, the last line of defence: a period of a subscription has one invoice, but for drafts thrown away.
create unique index invoices_subscription_period_key on invoices (organization_id, subscription_id, period_start_on)
    where kind = 'invoice' and status <> 'void';
create index invoices_subscription_id_idx on invoices (organization_id, subscription_id, period_start_on);
create index invoices_run_id_idx on invoices (organization_id, run_id, id);

create table invoice_lines (
    organization_id uuid not null,
    invoice_id uuid not null,
    position smallint not null check (position >= 1),
    key text,
    text text not null check (length(text) between 1 and 512),
    quantity numeric(14, 4) not null,
    unit text not null,
    unit_price numeric(16, 4) not null,
    discount_percent numeric(5, 2),
    vat_code text not null check (vat_code in ('23', '8', '5', '0', 'zw')),
    exemption_basis text,
    pkwiu text,
    gtu text,
    net numeric(16, 2) not null,
    primary key (organization_id, invoice_id, position),
    constraint invoice_lines_invoice_id_fkey foreign key (organization_id, invoice_id)
        references invoices (organization_id, id),
    constraint invoice_lines_exemption_check check ((vat_code = 'zw') = (exemption_basis is not null))
);

-- An issued invoice never changes; it is corrected by another. Drafts may.
create function invoices_issued_are_final() returns trigger language plpgsql as $$
begin
    if tg_op = 'TRUNCATE' or old.status <> 'draft' then
        raise exception 'an issued invoice never changes'
            using errcode = 'restrict_violation', constraint = 'invoices_issued_are_final', table = 'invoices';
    end if;
    if tg_op = 'DELETE' then
        return old;
    end if;
    return new;
end
$$;
create trigger invoices_issued_are_final before update or delete on invoices
    for each row execute function invoices_issued_are_final();
create trigger invoices_are_not_truncated before truncate on invoices
    for each statement execute function invoices_issued_are_final();

create function invoices_note_issue() returns trigger language plpgsql as $$
begin
    -- Whatever the writer says: lines would be accepted from the transaction that it names.
    if new.status = 'issued' then
        new.issued_in := txid_current();
    end if;
    return new;
end
$$;
create trigger invoices_note_issue before insert or update on invoices
    for each row execute function invoices_note_issue();

create function invoice_lines_issued_are_final() returns trigger language plpgsql as $$
begin
    if tg_op = 'TRUNCATE' then
        raise exception 'lines of issued invoices never change'
            using errcode = 'restrict_violation', constraint = 'invoices_issued_are_final', table = 'invoice_lines';
    end if;
    if exists (
        select 1 from invoices i
        where i.status <> 'draft'
        and ((i.organization_id, i.id) = (old.organization_id, old.invoice_id)
            or (tg_op = 'UPDATE' and (i.organization_id, i.id) = (new.organization_id, new.invoice_id)))
    ) then
        raise exception 'lines of an issued invoice never change'
            using errcode = 'restrict_violation', constraint = 'invoices_issued_are_final', table = 'invoice_lines';
    end if;
    if tg_op = 'DELETE' then
        return old;
    end if;
    return new;
end
$$;
create trigger invoice_lines_issued_are_final before update or delete on invoice_lines
    for each row execute function invoice_lines_issued_are_final();
create trigger invoice_lines_are_not_truncated before truncate on invoice_lines
    for each statement execute function invoice_lines_issued_are_final();

create function invoice_lines_come_with_the_issue() returns trigger language plpgsql as $$
begin
    -- A draft that is being issued this moment waits for its new lines, or they for it.
    perform 1 from added a
        join invoices i on i.organization_id = a.organization_id and i.id = a.invoice_id
        where i.status = 'draft'
        for share of i;
    if exists (
        select 1 from added a
        join invoices i on i.organization_id = a.organization_id and i.id = a.invoice_id
        where i.status <> 'draft' and i.issued_in is distinct from txid_current()
    ) then
        raise exception 'an issued invoice gains no lines'
            using errcode = 'restrict_violation', constraint = 'invoices_issued_are_final', table = 'invoice_lines';
    end if;
    return null;
end
$$;
create trigger invoice_lines_come_with_the_issue after insert on invoice_lines
    referencing new table as added for each statement execute function invoice_lines_come_with_the_issue();

create table occurrences (
    organization_id uuid not null,
    id uuid not null,
    subscription_id uuid not null,
    period_index integer not null check (period_index >= 0),
    period_start_on date not null,
    period_end_on date not null,
    scheduled_on date not null,
    state text not null check (state in ('planned', 'invoiced', 'skipped', 'failed')),
    problem text,
    invoice_id uuid,
    attempts smallint not null default 0 check (attempts >= 0),
    version integer not null default 1,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (organization_id, id),
    -- The idempotency record of invoicing: a period of a subscription is billed at most once, whoever calls.
    constraint occurrences_period_key unique (organization_id, subscription_id, period_index),
    constraint occurrences_subscription_id_fkey foreign key (organization_id, subscription_id)
        references subscriptions (organization_id, id),
    -- The period is claimed before the invoice is written, in one transaction.
    constraint occurrences_invoice_id_fkey foreign key (organization_id, invoice_id)
        references invoices (organization_id, id) deferrable initially deferred,
    constraint occurrences_invoice_id_key unique (organization_id, invoice_id),
    constraint occurrences_period_check check (period_end_on > period_start_on),
    constraint occurrences_invoiced_check check ((state = 'invoiced') = (invoice_id is not null)),
    constraint occurrences_problem_check check (state <> 'failed' or problem is not null)
);
create index occurrences_scheduled_on_idx on occurrences (organization_id, scheduled_on, id);
create index occurrences_state_idx on occurrences (organization_id, state, scheduled_on, id);
create index occurrences_failed_idx on occurrences (organization_id, subscription_id) where state = 'failed';

create table invoice_run_results (
    organization_id uuid not null,
    id uuid not null,
    run_id uuid not null,
    subscription_id uuid not null,
    customer_id uuid not null,
    period_start_on date not null,
    period_end_on date not null,
    scheduled_on date not null,
    outcome text not null check (outcome in ('planned', 'invoiced', 'skipped', 'failed')),
    problem text,
    invoice_id uuid,
    currency text,
    net numeric(16, 2),
    vat numeric(16, 2),
    gross numeric(16, 2),
    primary key (organization_id, id),
    constraint invoice_run_results_amounts_check check (num_nulls(currency, net, vat, gross) in (0, 4)),
    -- A run takes each subscription up once, also when it resumes.
    constraint invoice_run_results_period_key unique (organization_id, run_id, subscription_id, period_start_on),
    constraint invoice_run_results_run_id_fkey foreign key (organization_id, run_id)
        references invoice_runs (organization_id, id),
    constraint invoice_run_results_subscription_id_fkey foreign key (organization_id, subscription_id)
        references subscriptions (organization_id, id),
    constraint invoice_run_results_customer_id_fkey foreign key (organization_id, customer_id)
        references customers (organization_id, id),
    constraint invoice_run_results_invoice_id_fkey foreign key (organization_id, invoice_id)
        references invoices (organization_id, id)
);
create index invoice_run_results_run_id_idx on invoice_run_results (organization_id, run_id, id);
