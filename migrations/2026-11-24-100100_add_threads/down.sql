drop table threads;
