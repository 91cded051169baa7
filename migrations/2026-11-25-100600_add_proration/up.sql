alter table subscriptions add column prorate boolean not null default false;
comment on column subscriptions.prorate is 'Whether the periods that it begins and ends in are billed for the days in which it runs.';
