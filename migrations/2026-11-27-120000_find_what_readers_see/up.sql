-- What was indexed before is indexed anew by the program, since its way of searching has another number.

-- What a tax number is found by: its digits from the first one on.
create function tax_numbers_of(number text) returns text[] language sql immutable parallel safe as $$
    select coalesce(array_agg('#' || digits), '{}')
    from regexp_replace(number, '[^0-9]', '', 'g') digits
    where length(digits) >= 5
$$;

-- Whoever types what a customer is called by in another program means that customer.
create or replace function write_searched(of customers) returns void language sql as $$
    select write_searched(of.organization_id, case when of.archived_at is null then 1 else 9 end::smallint, of.id,
        concat_ws(' ', of.name, of.short_name),
        concat_ws(' ', of.email, of.billing_address ->> 'city', of.notes, array_to_string(of.tags, ' ')),
        tax_numbers_of(of.tax_number) || numbers_of(of.phone) || words_of(of.external_id))
$$;

-- Where a link of an article leads is none of its words, nor are comments, scripts, styles, tags and what these hold.
create or replace function write_searched(of articles) returns void language sql as $$
    select write_searched(of.organization_id, case of.status when 'published' then 7 else 10 end::smallint, of.id, of.title,
        concat_ws(' ', regexp_replace(regexp_replace(regexp_replace(regexp_replace(of.body,
            '<!--.*?-->', ' ', 'g'),
            '<(script|style)\M.*?</\1>', ' ', 'gi'),
            '</?[a-z][a-z0-9-]*(\s[^<>]*)?/?>', ' ', 'gi'),
            '\]\([^()\s]*', '] ', 'g'), array_to_string(of.tags, ' ')))
$$;
