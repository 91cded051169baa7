-- A series numbers documents of one kind: corrections and pro forma have sequences of their own.
alter table number_series
    add column kind text not null default 'invoice' check (kind in ('invoice', 'correction', 'pro_forma')),
    add constraint number_series_kind_key unique (organization_id, id, kind);

create function number_series_go_on_in_time() returns trigger language plpgsql as $$
begin
    if new.last_issued_on < old.last_issued_on then
        raise exception 'a series goes on in time'
            using errcode = 'restrict_violation', constraint = 'number_series_go_on_in_time', table = 'number_series';
    end if;
    return new;
end
$$;
create trigger number_series_go_on_in_time before update of last_issued_on on number_series
    for each row execute function number_series_go_on_in_time();

alter table invoices
    drop constraint invoices_series_id_fkey,
    add constraint invoices_series_id_fkey foreign key (organization_id, series_id, kind)
        references number_series (organization_id, id, kind),
    add column payment_days smallint check (payment_days between 0 and 365),
    add column exchange_rate numeric(12, 6) check (exchange_rate > 0),
    add column exchange_rate_on date,
    add column exchange_rate_source text check (length(exchange_rate_source) between 1 and 120),
    add column vat_pln numeric(16, 2),
    add column split_payment boolean not null default false,
    add column pro_forma_id uuid,
    add constraint invoices_exchange_rate_whole_check
        check (num_nulls(exchange_rate, exchange_rate_on, exchange_rate_source) in (0, 3)),
    add constraint invoices_exchange_rate_on_check check (exchange_rate_on < issued_on),
    -- Ustawa o VAT, art. 106e ust. 11: VAT is told in złoty. Not valid for what was issued before there were rates.
    add constraint invoices_vat_pln_check
        check (status <> 'issued' or kind = 'pro_forma' or currency = 'PLN' or vat = 0 or vat_pln is not null) not valid,
    add constraint invoices_payment_term_check check (status <> 'draft' or payment_days is null or due_on is null),
    add constraint invoices_pro_forma_id_fkey foreign key (organization_id, pro_forma_id)
        references invoices (organization_id, id),
    add constraint invoices_pro_forma_id_check check (pro_forma_id is null or kind = 'invoice');
comment on column invoices.payment_days is 'From the issue to the day of payment, where that was not given itself.';
comment on column invoices.exchange_rate is 'How many złoty one unit of its currency is worth, by the table of that day.';
comment on column invoices.pro_forma_id is 'The pro forma that it was made from.';
create unique index invoices_pro_forma_id_key on invoices (organization_id, pro_forma_id)
    where status <> 'void' and pro_forma_id is not null;
create index invoices_status_idx on invoices (organization_id, status, id) where status <> 'issued';

alter table invoice_lines add column annex_15 boolean not null default false;
comment on column invoice_lines.annex_15 is 'Of the goods and services of Annex 15 to ustawa o VAT.';

-- A template bills with invoices, so its series has to be one of them.
alter table invoice_templates
    add column series_kind text not null generated always as ('invoice') stored,
    drop constraint invoice_templates_series_id_fkey,
    add constraint invoice_templates_series_id_fkey foreign key (organization_id, series_id, series_kind)
        references number_series (organization_id, id, kind);
