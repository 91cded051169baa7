drop trigger invoices_open_balances_of_drafts on invoices;
drop trigger invoices_open_balances on invoices;
drop function invoices_open_balances;
drop table payment_allocations;
drop function payment_allocations_count;
drop table payments;
drop function payments_stay;
drop table invoice_balances;
