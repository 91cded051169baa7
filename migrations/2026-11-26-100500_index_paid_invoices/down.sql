drop index invoice_balances_paid_idx;
