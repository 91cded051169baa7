drop trigger interactions_keep_locked_months on interactions;
drop trigger interactions_stay_in_locked_months on interactions;
drop table month_locks;
drop table timers;
drop table work_entries;
drop function refuse_locked_month();
drop function hold_months();
