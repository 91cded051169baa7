alter table invoice_runs
    drop constraint invoice_runs_mode_check,
    add constraint invoice_runs_mode_check check (mode in ('preview', 'issue'));
