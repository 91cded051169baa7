drop table invoice_ksef_numbers;
drop table invoice_documents;
drop function of_issued_invoices_for_good;
alter table invoices
    drop constraint invoices_takes_effect_check,
    drop column correction_takes_effect;
