create index invoice_balances_paid_idx on invoice_balances (organization_id, invoice_id) where paid >= gross;
