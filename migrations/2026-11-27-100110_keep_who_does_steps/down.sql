alter table procedure_steps drop column assignee;
