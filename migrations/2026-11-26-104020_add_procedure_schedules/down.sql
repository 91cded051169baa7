drop table procedure_schedule_customers;
drop table procedure_schedules;
