-- What was corrected since a day gone by, for what was owed then.
create index invoices_corrected_on_idx on invoices (organization_id, issued_on) include (corrects_id, gross)
    where kind = 'correction' and status = 'issued';
