create table extra_lines (
    organization_id uuid not null,
    id uuid not null,
    subscription_id uuid not null,
    text text not null check (length(text) between 1 and 512),
    quantity numeric(14, 4) not null,
    unit text not null check (length(unit) between 1 and 20),
    unit_price numeric(16, 4) not null,
    discount_percent numeric(5, 2),
    vat_code text not null check (vat_code in ('23', '8', '5', '0', '0_wdt', '0_ex', 'zw', 'np_i', 'np_ii', 'oo')),
    exemption_basis text,
    pkwiu text,
    gtu text,
    annex_15 boolean not null default false,
    invoice_id uuid,
    version integer not null default 1,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (organization_id, id),
    constraint extra_lines_subscription_id_fkey foreign key (organization_id, subscription_id)
        references subscriptions (organization_id, id),
    constraint extra_lines_invoice_id_fkey foreign key (organization_id, invoice_id)
        references invoices (organization_id, id),
    constraint extra_lines_exemption_check check ((vat_code = 'zw') = (exemption_basis is not null))
);
comment on column extra_lines.text is 'With placeholders, which are filled in when it is billed.';
comment on column extra_lines.invoice_id is 'The invoice that it was billed on; until then it waits for the next one.';
create index extra_lines_subscription_id_idx on extra_lines (organization_id, subscription_id, id);
create index extra_lines_open_idx on extra_lines (organization_id, subscription_id, id) where invoice_id is null;
create index extra_lines_invoice_id_idx on extra_lines (organization_id, invoice_id) where invoice_id is not null;

-- It is billed once, on an invoice of its subscription. A draft that is thrown away lets go of it, an issued invoice never.
create function extra_lines_are_billed_once() returns trigger language plpgsql as $$
begin
    if tg_op <> 'INSERT' and old.invoice_id is not null and (tg_op = 'DELETE' or exists (
        select 1 from invoices i
        where i.organization_id = old.organization_id and i.id = old.invoice_id and i.status = 'issued'
    )) then
        raise exception 'an extra line that was billed stays'
            using errcode = 'restrict_violation', constraint = 'extra_lines_billed_stay', table = 'extra_lines';
    end if;
    if tg_op = 'DELETE' then
        return old;
    end if;
    if new.invoice_id is not null and not exists (
        select 1 from invoices i
        where i.organization_id = new.organization_id and i.id = new.invoice_id
        and i.subscription_id = new.subscription_id and i.status <> 'void'
    ) then
        raise exception 'an extra line is billed on an invoice of its subscription'
            using errcode = 'restrict_violation', constraint = 'extra_lines_of_subscription', table = 'extra_lines';
    end if;
    return new;
end
$$;
create trigger extra_lines_are_billed_once before insert or update or delete on extra_lines
    for each row execute function extra_lines_are_billed_once();
