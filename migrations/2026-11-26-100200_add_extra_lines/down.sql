drop table extra_lines;
drop function extra_lines_are_billed_once();
