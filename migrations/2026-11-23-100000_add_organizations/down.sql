drop table api_keys;
drop table refresh_tokens;
drop table sign_ins;
drop table operators;
drop function operators_supervisor_is_a_tree;
drop table organizations;
