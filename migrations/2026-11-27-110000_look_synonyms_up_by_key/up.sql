-- What each group of synonyms is looked up by, a row a key: an overlap of arrays is found by reading all groups.
create table synonym_keys (
    organization_id uuid not null,
    key text collate "C" not null,
    synonym_id uuid not null,
    primary key (organization_id, key, synonym_id),
    constraint synonym_keys_synonym_id_fkey foreign key (organization_id, synonym_id)
        references synonyms (organization_id, id) on delete cascade
);
comment on column synonym_keys.key is 'What a question has of the group, where its words are in it.';
insert into synonym_keys (organization_id, key, synonym_id)
select distinct organization_id, key, id from synonyms, unnest(keys) key;
create index synonym_keys_synonym_id_idx on synonym_keys (organization_id, synonym_id);
alter table synonyms drop column keys;
