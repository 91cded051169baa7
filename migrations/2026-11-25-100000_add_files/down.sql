drop table files;
drop table file_objects;
