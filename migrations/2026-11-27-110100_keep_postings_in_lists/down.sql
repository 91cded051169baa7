create table article_postings (
    organization_id uuid not null,
    term text collate "C" not null,
    article_id uuid not null,
    weight smallint not null check (weight between 1 and 1000),
    primary key (organization_id, term, article_id) include (weight)
);
comment on table article_postings is 'So many of each article that references would cost more than the rows; article_indexes has the one.';
create table article_terms (
    organization_id uuid not null references organizations (id),
    term text collate "C" not null,
    articles integer not null check (articles >= 0),
    primary key (organization_id, term)
);

insert into article_postings (organization_id, term, article_id, weight)
select list.organization_id, list.term, known.article_id,
    get_byte(list.postings, at + 2) * 256 + get_byte(list.postings, at + 3)
from posting_lists list
cross join generate_series(0, octet_length(list.postings) - 4, 4) at
join article_indexes known on known.organization_id = list.organization_id
    and known.number = list.first_number + get_byte(list.postings, at) * 256 + get_byte(list.postings, at + 1)
where list.term <> '';
insert into article_terms (organization_id, term, articles)
select organization_id, term, sum(octet_length(postings) / 4) from posting_lists group by organization_id, term;

alter table article_indexes add column weights smallint[] not null default '{}';
update article_indexes known set terms = posting.terms, weights = posting.weights
from (
    select organization_id, article_id, array_agg(term order by term) as terms, array_agg(weight order by term) as weights
    from article_postings group by organization_id, article_id
) posting
where known.organization_id = posting.organization_id and known.article_id = posting.article_id;
alter table article_indexes alter column weights drop default, drop column number;
drop table posting_lists;
