-- A firm with 1 000 000 interactions in sentences of Polish, and 20 000 customers with a person each.
-- Written past triggers and references, and what they are found by with it, in the same way as the triggers do.
-- Needs: one organization with its owner, and the table `sentences`.
set session_replication_role = replica;
set auto_explain.log_min_duration = -1;
set maintenance_work_mem = '256MB';
set work_mem = '64MB';

create temp table firm as
select organization_id, id as owner_id, (select count(*)::integer from sentences) as sentences from operators;
create function pg_temp.id_at(n integer) returns uuid language sql stable as $$
    select (lpad(to_hex((extract(epoch from now()) * 1000)::bigint - (1000000 - n) * 180000::bigint), 12, '0') || '70008000' || lpad(to_hex(n), 12, '0'))::uuid
$$;

insert into customers (organization_id, id, kind, name, tax_scheme, phone, currency, language, created_at, updated_at)
select organization_id, pg_temp.id_at(i), 'company', (array['Klient', 'Piekarnia', 'Sklep', 'Ośrodek'])[1 + i % 4] || ' ' || i, 'none',
    '+4860' || lpad(i::text, 7, '0'), 'PLN', 'pl', now(), now()
from firm, generate_series(0, 19999) i;
insert into people (organization_id, id, customer_id, full_name, created_at, updated_at)
select organization_id, pg_temp.id_at(i), pg_temp.id_at(i), 'Osoba ' || i, now(), now() from firm, generate_series(0, 19999) i;

do $$
declare name text;
begin
    for name in select indexname from pg_indexes where tablename = 'interactions'
        and indexname not in ('interactions_pkey', 'interactions_customer_id_idx') loop
        execute format('drop index %I', name);
    end loop;
end
$$;
-- A subject of a few words, a text of one to three sentences, and now and then a word that is nowhere else.
insert into interactions (organization_id, id, customer_id, operator_id, channel, direction, status, started_at, duration_minutes, subject,
    description, billable, billed_minutes, currency, created_at, updated_at)
select organization_id, pg_temp.id_at(i), pg_temp.id_at(i % 20000), owner_id, 'phone', 'inbound', 'held', now(), 10,
    array_to_string((string_to_array(one.text, ' '))[1 : 3], ' '),
    concat_ws(' ', two.text, case when i % 2 = 0 then three.text end,
        case when i % 50 = 0 then translate(i::text, '0123456789', 'zaqwsxedcr') end),
    false, 10, 'PLN', now(), now()
from firm, generate_series(0, 999999) i
join sentences one on one.n = 1 + (i::bigint * 7919 % (select sentences from firm))
join sentences two on two.n = 1 + (i::bigint * 104729 / 7 % (select sentences from firm))
join sentences three on three.n = 1 + (i::bigint * 15485863 / 11 % (select sentences from firm));

alter table search_entries drop constraint search_entries_pkey;
insert into searched_records (organization_id, kind, record_id, title_words, words)
select organization_id, 1, id, cardinality(words_of(name)), searched_words(name, null, numbers_of(phone)) from customers
union all
select organization_id, 2, id, 2, searched_words(full_name, null, '{}') from people
union all
select organization_id, 5, id, 3, searched_words(subject, description, '{}') from interactions;
insert into search_entries (organization_id, word, kind, place, record_id)
select organization_id, word, kind, place, record_id from searched_records, search_entries_of(words);
alter table search_entries add constraint search_entries_pkey primary key (organization_id, word, kind, place, record_id);
