alter table invoices
    add column correction_takes_effect text
        check (correction_takes_effect in ('with_invoice', 'with_correction', 'otherwise')),
    add constraint invoices_takes_effect_check check (correction_takes_effect is null or kind = 'correction');
comment on column invoices.correction_takes_effect is 'From when on the correction counts in the seller''s VAT, where that is told.';

create table invoice_documents (
    organization_id uuid not null,
    invoice_id uuid not null,
    format text not null check (format in ('fa3')),
    content bytea not null check (length(content) > 0),
    sha256 bytea not null generated always as (sha256(content)) stored,
    created_at timestamptz not null,
    primary key (organization_id, invoice_id, format),
    constraint invoice_documents_invoice_id_fkey foreign key (organization_id, invoice_id)
        references invoices (organization_id, id)
);
comment on table invoice_documents is 'The documents of issued invoices, byte by byte as they were first handed out.';

create table invoice_ksef_numbers (
    organization_id uuid not null,
    invoice_id uuid not null,
    ksef_number text not null check (length(ksef_number) between 35 and 36),
    created_at timestamptz not null,
    primary key (organization_id, invoice_id),
    constraint invoice_ksef_numbers_invoice_id_fkey foreign key (organization_id, invoice_id)
        references invoices (organization_id, id),
    constraint invoice_ksef_numbers_ksef_number_key unique (organization_id, ksef_number)
);
comment on table invoice_ksef_numbers is 'The numbers that KSeF gave to issued invoices.';

-- What was handed out, or given by KSeF, is of an issued invoice and stays with it.
create function of_issued_invoices_for_good() returns trigger language plpgsql as $$
begin
    if tg_op <> 'INSERT' then
        raise exception 'it never changes'
            using errcode = 'restrict_violation', constraint = 'of_issued_invoices_for_good', table = tg_table_name;
    end if;
    if not exists (
        select 1 from invoices i
        where (i.organization_id, i.id) = (new.organization_id, new.invoice_id)
        and i.status = 'issued' and i.kind <> 'pro_forma'
    ) then
        raise exception 'only issued invoices and corrections have it'
            using errcode = 'restrict_violation', constraint = 'of_issued_invoices_for_good', table = tg_table_name;
    end if;
    return new;
end
$$;
create trigger invoice_documents_for_good before insert or update or delete on invoice_documents
    for each row execute function of_issued_invoices_for_good();
create trigger invoice_documents_are_not_truncated before truncate on invoice_documents
    for each statement execute function of_issued_invoices_for_good();
create trigger invoice_ksef_numbers_for_good before insert or update or delete on invoice_ksef_numbers
    for each row execute function of_issued_invoices_for_good();
create trigger invoice_ksef_numbers_are_not_truncated before truncate on invoice_ksef_numbers
    for each statement execute function of_issued_invoices_for_good();
