alter table subscriptions drop column prorate;
