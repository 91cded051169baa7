alter table synonyms add column keys text[];
update synonyms set keys = array(
    select key from synonym_keys known where known.organization_id = synonyms.organization_id and known.synonym_id = synonyms.id
);
alter table synonyms alter column keys set not null;
comment on column synonyms.keys is 'What a question has of a group, where its words are in it.';
drop table synonym_keys;
