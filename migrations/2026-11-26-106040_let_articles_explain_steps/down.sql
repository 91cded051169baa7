drop trigger articles_keep_named_by_steps on articles;
drop trigger surveys_keep_named_by_steps on surveys;
drop function keep_named_by_steps();
drop trigger procedure_schedule_customers_check_named_by_steps on procedure_schedule_customers;
drop trigger procedures_check_named_by_steps on procedures;
drop function check_named_by_steps();
alter table procedure_steps drop column article_id;
