drop table invoice_emails;
drop function invoice_emails_of_issued();
alter table subscriptions drop column email_invoices;
alter table organizations
    drop column email_invoices,
    drop column email;
