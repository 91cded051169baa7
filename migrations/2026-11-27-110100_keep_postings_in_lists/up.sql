-- Postings in lists instead of rows: of a term, in articles whose numbers are counted within their organization. All lists of a
-- question's terms can be read then, and take a thirtieth of the room.
alter table article_indexes add column number integer;
update article_indexes known set number = numbered.number
from (
    select organization_id, article_id, row_number() over (partition by organization_id order by article_id) - 1 as number
    from article_indexes
) numbered
where known.organization_id = numbered.organization_id and known.article_id = numbered.article_id;
alter table article_indexes
    alter column number set not null,
    add constraint article_indexes_number_check check (number >= 0),
    add constraint article_indexes_number_key unique (organization_id, number);

create table posting_lists (
    organization_id uuid not null references organizations (id),
    term text collate "C" not null,
    first_number integer not null check (first_number >= 0),
    postings bytea not null check (octet_length(postings) between 4 and 1024 and octet_length(postings) % 4 = 0),
    primary key (organization_id, term, first_number)
);
comment on column posting_lists.term is 'Of the empty one are all articles.';
comment on column posting_lists.first_number is 'No article of the list has a lower number, and none of another list of the term is between them.';
comment on column posting_lists.postings is
    'Of each article that has the term, in their order: what its number is more than the first, and the weight in thousandths, two bytes each, the higher ones first.';

-- No more than 32767 numbers a list, so that what one is more than the first is a smallint.
insert into posting_lists (organization_id, term, first_number, postings)
select organization_id, term, min(number),
    string_agg(int2send((number - first_number)::smallint) || int2send(weight), ''::bytea order by number)
from (
    select organization_id, term, number, weight, list,
        min(number) over (partition by organization_id, term, number / 32767, list) as first_number
    from (
        select organization_id, term, number, weight,
            (row_number() over (partition by organization_id, term, number / 32767 order by number) - 1) / 256 as list
        from (
            select posting.organization_id, term, number, weight from article_postings posting join article_indexes using (organization_id, article_id)
            union all
            select organization_id, '', number, 1::smallint from article_indexes
        ) posting
    ) numbered
) counted
group by organization_id, term, first_number;

drop table article_postings;
drop table article_terms;
alter table article_indexes drop column weights;
