-- A run goes on with what is due and not among its results yet: with two batches at a time there is no one place to go
-- on from.
alter table invoice_runs drop column resume_after;

-- Results are written while the batch waits for its numbers, and its invoices after them.
alter table invoice_run_results
    alter constraint invoice_run_results_invoice_id_fkey deferrable initially deferred;
