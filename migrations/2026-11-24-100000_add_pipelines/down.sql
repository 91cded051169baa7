drop table stage_changes;
drop table opportunities;
drop table stages;
drop table pipelines;
