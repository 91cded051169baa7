drop table stage_changes;
drop table opportunities;
drop function close_opportunity;
drop table stages;
drop table pipelines;
