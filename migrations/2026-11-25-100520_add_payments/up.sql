-- What of an issued invoice has been paid. It stands beside the invoice, whose own row never changes.
create table invoice_balances (
    organization_id uuid not null,
    invoice_id uuid not null,
    customer_id uuid not null,
    currency text not null,
    issued_on date not null,
    due_on date not null,
    gross numeric(16, 2) not null,
    paid numeric(16, 2) not null default 0 check (paid >= 0),
    primary key (organization_id, invoice_id),
    constraint invoice_balances_invoice_id_fkey foreign key (organization_id, invoice_id)
        references invoices (organization_id, id),
    constraint invoice_balances_customer_id_fkey foreign key (organization_id, customer_id)
        references customers (organization_id, id)
);
comment on column invoice_balances.gross is 'With all corrections that were issued.';
comment on column invoice_balances.paid is 'The sum of its allocations. A correction may bring the gross below it; no allocation may.';
create index invoice_balances_open_idx on invoice_balances (organization_id, invoice_id)
    include (due_on, paid, gross) where paid < gross;
create index invoice_balances_open_customer_idx on invoice_balances (organization_id, customer_id, currency, due_on, invoice_id)
    include (paid, gross) where paid < gross;

create table payments (
    organization_id uuid not null,
    id uuid not null,
    customer_id uuid not null,
    amount numeric(16, 2) not null check (amount > 0),
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    paid_on date not null,
    reference text check (length(reference) between 1 and 240),
    allocated numeric(16, 2) not null default 0,
    version integer not null default 1,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (organization_id, id),
    constraint payments_customer_id_fkey foreign key (organization_id, customer_id)
        references customers (organization_id, id),
    constraint payments_allocated_check check (allocated between 0 and amount)
);
comment on column payments.allocated is 'The sum of its allocations. What is left is the customer''s credit.';
create index payments_paid_on_idx on payments (organization_id, paid_on, id);
create index payments_customer_id_idx on payments (organization_id, customer_id, paid_on, id);
create index payments_credit_idx on payments (organization_id, id) where allocated < amount;

create table payment_allocations (
    organization_id uuid not null,
    payment_id uuid not null,
    invoice_id uuid not null,
    amount numeric(16, 2) not null check (amount > 0),
    primary key (organization_id, payment_id, invoice_id),
    constraint payment_allocations_payment_id_fkey foreign key (organization_id, payment_id)
        references payments (organization_id, id),
    constraint payment_allocations_invoice_id_fkey foreign key (organization_id, invoice_id)
        references invoice_balances (organization_id, invoice_id)
);
create index payment_allocations_invoice_id_idx on payment_allocations (organization_id, invoice_id, payment_id);

-- Counts what is allocated on both sides, whoever writes it, each under the lock of its row.
create function payment_allocations_count() returns trigger language plpgsql as $$
declare
    payment payments;
    balance invoice_balances;
begin
    if tg_op = 'UPDATE' and (old.organization_id, old.payment_id, old.invoice_id)
        <> (new.organization_id, new.payment_id, new.invoice_id) then
        raise exception 'an allocation stays where it is'
            using errcode = 'restrict_violation', constraint = 'payment_allocations_stay', table = 'payment_allocations';
    end if;
    if tg_op <> 'INSERT' then
        update payments set allocated = allocated - old.amount
            where organization_id = old.organization_id and id = old.payment_id;
        update invoice_balances set paid = paid - old.amount
            where organization_id = old.organization_id and invoice_id = old.invoice_id;
    end if;
    if tg_op <> 'DELETE' then
        update payments set allocated = allocated + new.amount
            where organization_id = new.organization_id and id = new.payment_id
            returning * into payment;
        update invoice_balances set paid = paid + new.amount
            where organization_id = new.organization_id and invoice_id = new.invoice_id
            returning * into balance;
        if (payment.customer_id, payment.currency) is distinct from (balance.customer_id, balance.currency) then
            raise exception 'a payment pays for invoices of its customer in its currency'
                using errcode = 'restrict_violation', constraint = 'payment_allocations_match', table = 'payment_allocations';
        end if;
        if balance.paid > balance.gross then
            raise exception 'an invoice is not paid beyond what is owed for it'
                using errcode = 'restrict_violation', constraint = 'payment_allocations_owed', table = 'payment_allocations';
        end if;
    end if;
    return null;
end
$$;
create trigger payment_allocations_count after insert or update or delete on payment_allocations
    for each row execute function payment_allocations_count();

-- Whose money it is, and how much, stays: another payment is another row.
create function payments_stay() returns trigger language plpgsql as $$
begin
    if (old.customer_id, old.currency, old.amount) <> (new.customer_id, new.currency, new.amount) then
        raise exception 'customer, currency and amount of a payment stay'
            using errcode = 'restrict_violation', constraint = 'payments_stay', table = 'payments';
    end if;
    return new;
end
$$;
create trigger payments_stay before update on payments for each row execute function payments_stay();

create function invoices_open_balances() returns trigger language plpgsql as $$
begin
    insert into invoice_balances (organization_id, invoice_id, customer_id, currency, issued_on, due_on, gross)
        select a.organization_id, a.id, a.customer_id, a.currency, a.issued_on, coalesce(a.due_on, a.issued_on), a.gross
        from added a where a.kind = 'invoice' and a.status = 'issued';
    update invoice_balances b set gross = b.gross + a.gross
        from (
            select organization_id, corrects_id, sum(gross) as gross from added
            where kind = 'correction' and status = 'issued' group by organization_id, corrects_id
        ) a
        where b.organization_id = a.organization_id and b.invoice_id = a.corrects_id;
    return null;
end
$$;
create trigger invoices_open_balances after insert on invoices
    referencing new table as added for each statement execute function invoices_open_balances();

-- Only a draft changes: what is issued after an update was one before.
create trigger invoices_open_balances_of_drafts after update on invoices
    referencing new table as added for each statement execute function invoices_open_balances();

insert into invoice_balances (organization_id, invoice_id, customer_id, currency, issued_on, due_on, gross)
    select i.organization_id, i.id, i.customer_id, i.currency, i.issued_on, coalesce(i.due_on, i.issued_on),
        i.gross + coalesce((
            select sum(c.gross) from invoices c
            where c.organization_id = i.organization_id and c.corrects_id = i.id and c.status = 'issued'
        ), 0)
    from invoices i where i.kind = 'invoice' and i.status = 'issued';
