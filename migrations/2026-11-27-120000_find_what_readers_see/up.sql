-- What was indexed before is indexed anew by the program, since its way of searching has another number.

-- What a tax number is found by: its digits from the first one on, with and without noughts before them, and as it is written,
-- with and without its country, where it has letters.
create function tax_words_of(country text, number text) returns text[] language sql immutable parallel safe as $$
    select coalesce(array_agg(word), '{}')
    from (
        select '#' || digits as word
        from regexp_replace(number, '[^0-9]', '', 'g') written, unnest(array[written, ltrim(written, '0')]) digits
        where length(digits) >= 5
        union
        select word from unnest(words_of(number) || words_of(country || number)) word where number ~ '[A-Za-z]'
    ) words
$$;

-- Whoever types what a customer is called by in another program means that customer.
create or replace function write_searched(of customers) returns void language sql as $$
    select write_searched(of.organization_id, case when of.archived_at is null then 1 else 9 end::smallint, of.id,
        concat_ws(' ', of.name, of.short_name),
        concat_ws(' ', of.email, of.billing_address ->> 'city', of.notes, array_to_string(of.tags, ' ')),
        tax_words_of(of.tax_country, of.tax_number) || numbers_of(of.phone) || words_of(of.external_id))
$$;

-- An article's Markdown without what its readers do not see: comments, scripts, styles, tags and what these hold, unless they
-- stand in code or behind a backslash, and where links lead.
create function read_markdown(body text) returns text language sql immutable strict parallel safe as $$
    select regexp_replace(regexp_replace(regexp_replace(regexp_replace(body,
        '(`+[^`]+`+)|(?<!\\)<!--([^-]|-[^-]|--+[^->])*--+>', '\1 ', 'g'),
        '(`+[^`]+`+)|(?<!\\)<(script|style)(\s[^<>]*)?>([^<]|<[^/]|</[^s])*</(script|style)\s*>', '\1 ', 'gi'),
        '(`+[^`]+`+)|(?<!\\)</?[a-z][a-z0-9-]*(\s+[a-z_:][a-z0-9_.:-]*(\s*=\s*("[^"]*"|''[^'']*''|[^\s"''=<>`]+))?)*\s*/?>', '\1 ', 'gi'),
        '\]\([^()\s]*', '] ', 'g')
$$;
create or replace function write_searched(of articles) returns void language sql as $$
    select write_searched(of.organization_id, case of.status when 'published' then 7 else 10 end::smallint, of.id, of.title,
        concat_ws(' ', read_markdown(of.body), array_to_string(of.tags, ' ')))
$$;
