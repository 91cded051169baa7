drop table hourly_rates;
drop table people;
drop table customers;
drop function fold_text;
