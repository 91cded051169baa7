drop table reminder_days;
alter table customers drop column send_reminders;
drop index organizations_reminders_idx;
alter table organizations
    drop constraint organizations_reminders_whole_check,
    drop column reminders_set_at,
    drop column reminders;
