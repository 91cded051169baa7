drop table idempotency_keys;
drop table events;
drop table audit_entries;
drop function refuse_change;
