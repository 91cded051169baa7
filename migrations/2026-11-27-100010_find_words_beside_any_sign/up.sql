-- What was indexed before is indexed anew by the program, since its way of searching has another number.

-- The words of a text, in their order, in lower case and without diacritics. What stands between them is white space,
-- punctuation and symbols, as opiekun_search has it; single letters with dots are one word: P.P.H.U.
create or replace function words_of(value text) returns text[] language sql immutable strict parallel safe as $$
    select array_remove(string_to_array(regexp_replace(
        case when folded like '%.%' then regexp_replace(folded, '((?<![[:alnum:]])[a-z])\.(?=[a-z](?![[:alnum:]]))', '\1', 'g') else folded end,
        '[\x01-\x2f\x3a-\x40\x5b-\x60\x7b-\xbf\xd7\xf7\u1680\u2000-\u209f\u20a0-\u214f\u2190-\u2bff\u2e00-\u2e7f\u3000-\u303f\ue000-\uf8ff\ufe00-\ufe6f\ufeff-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65\ufff0-\uffff\U0001f000-\U0001faff]+',
        ' ', 'g'), ' '), '')
    from (
        select case when lower ~ '[\u00c0-\u017f\u0300-\u036f]'
            then translate(regexp_replace(lower, '[\u0300-\u036f]', '', 'g'), 'àáâãäåçèéêëìíîïñòôõöøùúûüýÿßšžčřďťňěůőűăđĺľŕţş', 'aaaaaaceeeeiiiinooooouuuuyysszcrdtneuouadllrts')
            else lower
        end as folded
        from (select fold_text(value) as lower) lowered
    ) folding
$$;

-- What a telephone number or tax number is found by: all of its digits, those behind what is dialled from abroad, the last
-- nine, which are those of a Polish telephone, and the last seven, which are those without the area.
create or replace function numbers_of(variadic numbers text[]) returns text[] language sql immutable parallel safe as $$
    select coalesce(array_agg(distinct '#' || number), '{}')
    from unnest(numbers) given, regexp_replace(given, '[^0-9]', '', 'g') digits,
        unnest(array[digits, case when given ~ '^\s*\+' then substr(digits, 3) end, right(digits, 9), right(digits, 7)]) number
    where length(digits) >= 5 and number is not null
$$;

-- Where a link of an article leads is none of its words.
create or replace function write_searched(of articles) returns void language sql as $$
    select write_searched(of.organization_id, case of.status when 'published' then 7 else 10 end::smallint, of.id, of.title,
        concat_ws(' ', regexp_replace(of.body, '\]\([^()\s]*', '] ', 'g'), array_to_string(of.tags, ' ')))
$$;
