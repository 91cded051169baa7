alter table invoices
    add column corrects_id uuid,
    add column correction_reason text check (length(correction_reason) between 1 and 500),
    add column before jsonb check (jsonb_typeof(before) = 'object'),
    add constraint invoices_corrects_id_fkey foreign key (organization_id, corrects_id)
        references invoices (organization_id, id),
    add constraint invoices_correction_check check (
        num_nulls(corrects_id, correction_reason, before) = case kind when 'correction' then 0 else 3 end
    );
comment on column invoices.before is
    'Buyer and lines of the corrected invoice as they were before the correction. Lines are those after it, sums the difference.';
create index invoices_corrects_id_idx on invoices (organization_id, corrects_id, id) where corrects_id is not null;
-- What a draft begins from is what the last correction left: there is one draft at a time.
create unique index invoices_draft_correction_key on invoices (organization_id, corrects_id) where status = 'draft';

create function invoices_correct_invoices() returns trigger language plpgsql as $$
begin
    -- Waits for whoever else makes a correction of the same invoice.
    perform 1 from invoices i
        where i.organization_id = new.organization_id and i.id = new.corrects_id
        and i.kind = 'invoice' and i.status = 'issued'
        and (i.customer_id, i.currency, i.price_mode) = (new.customer_id, new.currency, new.price_mode)
        for no key update of i;
    if not found then
        raise exception 'only an issued invoice is corrected, for its customer, in its currency and price mode'
            using errcode = 'restrict_violation', constraint = 'invoices_correct_invoices', table = 'invoices';
    end if;
    return new;
end
$$;
create trigger invoices_correct_invoices before insert or update on invoices
    for each row when (new.corrects_id is not null) execute function invoices_correct_invoices();
