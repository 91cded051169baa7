alter table procedure_schedules drop column retry_at;
drop trigger tasks_keep_procedure_run on tasks;
drop function keep_procedure_run();
drop trigger tasks_take_procedure_along on tasks;
drop function take_procedure_along();
drop trigger procedure_steps_are_placed on procedure_steps;
drop function place_procedure_step();
drop index procedure_steps_open_idx;
alter table procedure_steps
    drop column period_start_on,
    drop column customer_id,
    drop column procedure_id,
    drop column closed_at;
comment on column procedure_steps.caretaker_id is null;
comment on column procedure_steps.due_on is null;
alter table procedure_runs drop column state;
