create or replace function write_searched(of articles) returns void language sql as $$
    select write_searched(of.organization_id, case of.status when 'published' then 7 else 10 end::smallint, of.id, of.title,
        concat_ws(' ', of.body, array_to_string(of.tags, ' ')))
$$;
create or replace function numbers_of(variadic numbers text[]) returns text[] language sql immutable parallel safe as $$
    select coalesce(array_agg(distinct '#' || number), '{}')
    from unnest(numbers) given, regexp_replace(given, '[^0-9]', '', 'g') digits, unnest(array[digits, right(digits, 9)]) number
    where length(digits) >= 5
$$;
create or replace function words_of(value text) returns text[] language sql immutable strict parallel safe as $$
    select array_remove(string_to_array(regexp_replace(
        case when folded ~ '[\u00c0-\u017f]'
            then translate(folded, 'àáâãäåçèéêëìíîïñòôõöøùúûüýÿßšžčřďťňěůőűăđĺľŕţş', 'aaaaaaceeeeiiiinooooouuuuyysszcrdtneuouadllrts')
            else folded
        end, '[\x01-\x2f\x3a-\x40\x5b-\x60\x7b-\xbf\u2000-\u206f\u3000-\u303f]+', ' ', 'g'), ' '), '')
    from (select fold_text(value) as folded) folding
$$;
