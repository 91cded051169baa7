alter table occurrences drop constraint occurrences_skip_reason_check, drop column skip_reason;
alter table subscriptions drop constraint subscriptions_paused_check, drop column paused_on;
