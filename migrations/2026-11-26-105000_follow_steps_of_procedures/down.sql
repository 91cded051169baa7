alter table procedure_schedules drop column retry_at;
drop trigger tasks_keep_procedure_run on tasks;
drop function keep_procedure_run();
drop trigger tasks_follow_procedure_step on tasks;
drop function follow_procedure_step();
alter table procedure_steps drop column closed_at;
