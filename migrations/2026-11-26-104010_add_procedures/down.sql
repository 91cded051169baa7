drop trigger tasks_guard_procedure_step on tasks;
drop function guard_procedure_step;
drop table procedure_steps;
drop table procedure_runs;
alter table procedures drop constraint procedures_published_version_fkey;
drop table procedure_versions;
drop table procedures;
