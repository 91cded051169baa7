drop index task_series_caretaker_id_idx, task_series_ends_before_idx;
drop index tasks_caretaker_id_calendar_idx, tasks_calendar_idx;
alter table tasks drop constraint tasks_ends_at_check;
alter table tasks drop column length_class;
alter table tasks drop column ends_at, drop column starts_at;
