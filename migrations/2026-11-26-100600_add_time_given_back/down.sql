alter table work_entries drop column is_given_back;
alter table interactions drop column is_given_back;
