-- What records are found by, whatever kind they are of: their words, kept by triggers of the records themselves, so that
-- nothing that writes a record can forget it. Any PostgreSQL will do: no dictionary, no extension.

-- The words of a text, in their order, in lower case and without diacritics. What stands between them is white space and
-- punctuation.
create function words_of(value text) returns text[] language sql immutable strict parallel safe as $$
    select array_remove(string_to_array(regexp_replace(
        case when folded ~ '[\u00c0-\u017f]'
            then translate(folded, 'àáâãäåçèéêëìíîïñòôõöøùúûüýÿßšžčřďťňěůőűăđĺľŕţş', 'aaaaaaceeeeiiiinooooouuuuyysszcrdtneuouadllrts')
            else folded
        end, '[\x01-\x2f\x3a-\x40\x5b-\x60\x7b-\xbf\u2000-\u206f\u3000-\u303f]+', ' ', 'g'), ' '), '')
    from (select fold_text(value) as folded) folding
$$;

-- What a telephone number or tax number is found by: all of its digits, and the last nine, which are those of a Polish
-- telephone without what is dialled from abroad.
create function numbers_of(variadic numbers text[]) returns text[] language sql immutable parallel safe as $$
    select coalesce(array_agg(distinct '#' || number), '{}')
    from unnest(numbers) given, regexp_replace(given, '[^0-9]', '', 'g') digits, unnest(array[digits, right(digits, 9)]) number
    where length(digits) >= 5
$$;

-- Each record that has words, with all of them: those of its title have weight A.
create table searched_records (
    organization_id uuid not null references organizations (id),
    kind smallint not null,
    record_id uuid not null,
    title_words smallint not null,
    words tsvector not null,
    primary key (organization_id, kind, record_id)
);
comment on column searched_records.kind is
    '1 customer, 2 person, 3 thread, 4 task, 5 interaction, 6 file, 7 article, 8 opportunity; 9 archived customer, 10 article that is not published.';

-- The same from the other side: which records a word is in, the newest last. A title's words are also under "~" and their
-- first two and first three letters, and numbers are under "#".
create table search_entries (
    organization_id uuid not null,
    word text collate "C" not null,
    kind smallint not null,
    place smallint not null,
    record_id uuid not null,
    primary key (organization_id, word, kind, place, record_id)
);
comment on column search_entries.place is '0 in the title, 1 elsewhere.';
comment on table search_entries is 'Written by keep_searched alone, and so often that references would cost more than the rows.';

-- What a record is found by. Words that hold sentences together are in every text; they are left out of all but titles.
create function searched_words(title text, notes text, numbers text[]) returns tsvector
language sql immutable parallel safe as $$
    with titled as materialized (select left(word, 40) as word from unnest(words_of(title) || numbers) word)
    select string_agg(word || place, ' ')::tsvector
    from (
        select word, ':1A' as place from titled
        union all
        select word, ':2' from (
            select left(word, 40) as word
            from unnest(words_of(notes)) with ordinality written (word, at)
            where (length(word) > 1 or word between '0' and '9') and word <> all ('{
                ale,and,aby,bez,bo,by,byc,byl,byla,bylo,byly,co,czy,dla,do,for,gdy,go,ich,im,is,it,ja,jak,jego,jej,jest,juz,
                ktora,ktore,ktory,ma,mam,mi,mnie,na,nad,nam,nas,nie,no,od,of,on,ona,one,oni,oraz,pan,pana,pani,po,pod,przed,
                przez,przy,sa,sie,ta,tak,te,tego,tej,ten,tez,the,to,tu,tych,tylko,tym,we,wg,za,ze,zeby}'::text[])
            group by 1
            order by min(at)
            limit 1000
        ) noted where word not in (select word from titled)
    ) words
$$;

-- Under what such words are entered, and where they stand.
create function search_entries_of(words tsvector) returns table (word text, place smallint)
language sql immutable strict parallel safe as $$
    select lexeme, case when 'A' = any (weights) then 0 else 1 end::smallint from unnest(words)
    union
    select '~' || left(lexeme, letters), 0::smallint from unnest(words), generate_series(2, 3) letters
    where 'A' = any (weights) and length(lexeme) >= letters and left(lexeme, 1) <> '#'
$$;

create function forget_searched(organization uuid, kinds smallint[], record uuid) returns void language plpgsql as $$
declare
    known searched_records;
begin
    for known in
        delete from searched_records
        where organization_id = organization and kind = any (kinds) and record_id = record
        returning *
    loop
        delete from search_entries entry using search_entries_of(known.words) known_entry
        where entry.organization_id = organization and entry.word = known_entry.word and entry.kind = known.kind
            and entry.place = known_entry.place and entry.record_id = record;
    end loop;
end
$$;

create function write_searched(
    organization uuid, of_kind smallint, record uuid, title text, notes text, numbers text[] default '{}'
) returns void language plpgsql as $$
declare
    new_words tsvector := searched_words(title, notes, numbers);
begin
    if new_words is null then
        return;
    end if;
    insert into searched_records (organization_id, kind, record_id, title_words, words)
    values (organization, of_kind, record, cardinality(words_of(title)), new_words);
    insert into search_entries (organization_id, word, kind, place, record_id)
    select organization, word, of_kind, place, record from search_entries_of(new_words);
end
$$;

-- What each kind of record is found by.
create function write_searched(of customers) returns void language sql as $$
    select write_searched(of.organization_id, case when of.archived_at is null then 1 else 9 end::smallint, of.id,
        concat_ws(' ', of.name, of.short_name),
        concat_ws(' ', of.email, of.billing_address ->> 'city', of.notes, array_to_string(of.tags, ' '), of.external_id),
        numbers_of(of.tax_number, of.phone))
$$;
create function write_searched(of people) returns void language sql as $$
    select write_searched(of.organization_id, 2::smallint, of.id, of.full_name, concat_ws(' ', of.position, of.email), numbers_of(of.phone))
    where of.erased_at is null
$$;
create function write_searched(of threads) returns void language sql as $$
    select write_searched(of.organization_id, 3::smallint, of.id, of.subject,
        concat_ws(' ', of.description, array_to_string(of.tags, ' ')))
$$;
create function write_searched(of tasks) returns void language sql as $$
    select write_searched(of.organization_id, 4::smallint, of.id, of.title,
        concat_ws(' ', of.description, array_to_string(of.tags, ' ')))
$$;
create function write_searched(of interactions) returns void language sql as $$
    select write_searched(of.organization_id, 5::smallint, of.id, of.subject,
        concat_ws(' ', of.description, of.outcome, array_to_string(of.tags, ' ')))
$$;
create function write_searched(of files) returns void language sql as $$
    select write_searched(of.organization_id, 6::smallint, of.id, of.name, null)
$$;
create function write_searched(of articles) returns void language sql as $$
    select write_searched(of.organization_id, case of.status when 'published' then 7 else 10 end::smallint, of.id, of.title,
        concat_ws(' ', of.body, array_to_string(of.tags, ' ')))
$$;
create function write_searched(of opportunities) returns void language sql as $$
    select write_searched(of.organization_id, 8::smallint, of.id, of.title,
        concat_ws(' ', of.description, array_to_string(of.tags, ' ')))
$$;

-- The argument of each trigger is which kinds its records are of.
create function keep_searched() returns trigger language plpgsql as $$
begin
    if tg_op <> 'INSERT' then
        perform forget_searched(old.organization_id, tg_argv[0]::smallint[], old.id);
    end if;
    if tg_op <> 'DELETE' then
        perform write_searched(new);
    end if;
    return null;
end
$$;

create trigger customers_bring_words after insert on customers for each row execute function keep_searched('{1,9}');
create trigger customers_change_words after update on customers for each row
    when ((old.name, old.short_name, old.email, old.billing_address, old.notes, old.tags, old.external_id, old.tax_number, old.phone, old.archived_at)
        is distinct from (new.name, new.short_name, new.email, new.billing_address, new.notes, new.tags, new.external_id, new.tax_number, new.phone, new.archived_at))
    execute function keep_searched('{1,9}');
create trigger customers_take_words after delete on customers for each row execute function keep_searched('{1,9}');

create trigger people_bring_words after insert on people for each row execute function keep_searched('{2}');
create trigger people_change_words after update on people for each row
    when ((old.full_name, old.position, old.email, old.phone, old.erased_at)
        is distinct from (new.full_name, new.position, new.email, new.phone, new.erased_at))
    execute function keep_searched('{2}');
create trigger people_take_words after delete on people for each row execute function keep_searched('{2}');

create trigger threads_bring_words after insert on threads for each row execute function keep_searched('{3}');
create trigger threads_change_words after update on threads for each row
    when ((old.subject, old.description, old.tags)
        is distinct from (new.subject, new.description, new.tags))
    execute function keep_searched('{3}');
create trigger threads_take_words after delete on threads for each row execute function keep_searched('{3}');

create trigger tasks_bring_words after insert on tasks for each row execute function keep_searched('{4}');
create trigger tasks_change_words after update on tasks for each row
    when ((old.title, old.description, old.tags)
        is distinct from (new.title, new.description, new.tags))
    execute function keep_searched('{4}');
create trigger tasks_take_words after delete on tasks for each row execute function keep_searched('{4}');

create trigger interactions_bring_words after insert on interactions for each row execute function keep_searched('{5}');
create trigger interactions_change_words after update on interactions for each row
    when ((old.subject, old.description, old.outcome, old.tags)
        is distinct from (new.subject, new.description, new.outcome, new.tags))
    execute function keep_searched('{5}');
create trigger interactions_take_words after delete on interactions for each row execute function keep_searched('{5}');

create trigger files_bring_words after insert on files for each row execute function keep_searched('{6}');
create trigger files_change_words after update on files for each row
    when (old.name is distinct from new.name)
    execute function keep_searched('{6}');
create trigger files_take_words after delete on files for each row execute function keep_searched('{6}');

create trigger articles_bring_words after insert on articles for each row execute function keep_searched('{7,10}');
create trigger articles_change_words after update on articles for each row
    when ((old.title, old.body, old.tags, old.status)
        is distinct from (new.title, new.body, new.tags, new.status))
    execute function keep_searched('{7,10}');
create trigger articles_take_words after delete on articles for each row execute function keep_searched('{7,10}');

create trigger opportunities_bring_words after insert on opportunities for each row execute function keep_searched('{8}');
create trigger opportunities_change_words after update on opportunities for each row
    when ((old.title, old.description, old.tags)
        is distinct from (new.title, new.description, new.tags))
    execute function keep_searched('{8}');
create trigger opportunities_take_words after delete on opportunities for each row execute function keep_searched('{8}');

-- Invoices are found by their numbers, of which the beginning is a range of this key then.
alter table invoices alter column number type text collate "C";
