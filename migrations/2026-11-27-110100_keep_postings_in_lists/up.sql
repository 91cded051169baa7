-- Postings in lists instead of rows: of a term in 1024 articles beside each other, whose numbers are counted within their
-- organization. All lists of a question's terms can be read then, and take a twentieth of the room.
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
    segment integer not null check (segment >= 0),
    postings bytea not null check (octet_length(postings) between 4 and 4096 and octet_length(postings) % 4 = 0),
    primary key (organization_id, term, segment)
);
-- They fit into a page, and are read more often than written.
alter table posting_lists alter column postings set storage plain;
comment on column posting_lists.term is 'Of the empty one are all articles.';
comment on column posting_lists.segment is 'The numbers of its articles, by 1024.';
comment on column posting_lists.postings is
    'Of each article that has the term, in their order, the place in the segment and the weight in thousandths, two bytes each, the higher ones first.';

insert into posting_lists (organization_id, term, segment, postings)
select organization_id, term, number / 1024,
    string_agg(int2send((number % 1024)::smallint) || int2send(weight), ''::bytea order by number)
from (
    select posting.organization_id, term, number, weight from article_postings posting join article_indexes using (organization_id, article_id)
    union all
    select organization_id, '', number, 1::smallint from article_indexes
) posting
group by organization_id, term, number / 1024;

drop table article_postings;
drop table article_terms;
alter table article_indexes drop column weights;
