drop table task_reminders;
alter table task_series drop constraint task_series_parent_task_id_fkey;
drop table tasks;
drop table task_series;
