alter table invoice_run_results
    alter constraint invoice_run_results_invoice_id_fkey not deferrable;

alter table invoice_runs add column resume_after uuid;
comment on column invoice_runs.resume_after is 'The last subscription handled: where the run goes on after a crash.';
