drop trigger invoices_correct_invoices on invoices;
drop function invoices_correct_invoices;
drop index invoices_draft_correction_key;
drop index invoices_corrects_id_idx;
alter table invoices
    drop constraint invoices_correction_check,
    drop constraint invoices_corrects_id_fkey,
    drop column before,
    drop column correction_reason,
    drop column corrects_id;
