drop table invoice_time_entries;
drop trigger work_entries_stay_invoiced on work_entries;
drop trigger work_entries_keep_invoiced_time on work_entries;
drop trigger interactions_stay_invoiced on interactions;
drop trigger interactions_keep_invoiced_time on interactions;
drop function keep_invoiced_time();
alter table work_entries drop column invoice_id;
alter table interactions drop column invoice_id;
alter table invoice_templates drop constraint invoice_templates_time_is_net_check;
