create or replace function write_searched(of customers) returns void language sql as $$
    select write_searched(of.organization_id, case when of.archived_at is null then 1 else 9 end::smallint, of.id,
        concat_ws(' ', of.name, of.short_name),
        concat_ws(' ', of.email, of.billing_address ->> 'city', of.notes, array_to_string(of.tags, ' '), of.external_id),
        numbers_of(of.tax_number, of.phone))
$$;
create or replace function write_searched(of articles) returns void language sql as $$
    select write_searched(of.organization_id, case of.status when 'published' then 7 else 10 end::smallint, of.id, of.title,
        concat_ws(' ', regexp_replace(of.body, '\]\([^()\s]*', '] ', 'g'), array_to_string(of.tags, ' ')))
$$;
drop function read_markdown (text);
drop function tax_words_of (text, text);
