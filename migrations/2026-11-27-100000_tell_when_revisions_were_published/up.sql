-- A revision is published once, if at all: nothing else of it ever changes.
drop trigger article_revisions_refuse_change on article_revisions;
alter table article_revisions add column published_at timestamptz;
comment on column article_revisions.published_at is 'When the article was published with it for the first time.';
update article_revisions revision set published_at = revision.created_at where revision.status = 'published';
-- Published later than it was written.
update article_revisions revision set published_at = greatest(revision.created_at, article.published_at)
from articles article
where article.organization_id = revision.organization_id and article.id = revision.article_id
    and article.revision = revision.number and article.status = 'published' and revision.published_at is null;
alter table article_revisions drop column status;
create trigger article_revisions_refuse_change before update on article_revisions
    for each row
    when (old.published_at is not null or to_jsonb(old) - 'published_at' <> to_jsonb(new) - 'published_at')
    execute function refuse_revision_change();

-- What is moved takes along all that is below it. Whoever moves one holds off everybody else who does.
create or replace function keep_category_tree() returns trigger language plpgsql as $$
declare
    above uuid := new.parent_id;
    depth integer := 1;
    height integer := 0;
begin
    perform pg_advisory_xact_lock(hashtextextended('article_categories ' || new.organization_id, 0));
    with recursive below as (
        select id, 1 as level from article_categories where organization_id = new.organization_id and parent_id = new.id
        union all
        select c.id, b.level + 1
        from article_categories c join below b on c.parent_id = b.id
        where c.organization_id = new.organization_id and b.level < 8
    )
    select coalesce(max(level), 0) into height from below;
    while above is not null loop
        depth := depth + 1;
        if above = new.id or depth + height > 8 then
            raise exception 'a category is not below itself, and at most eight deep'
                using errcode = 'check_violation', constraint = 'article_categories_keep_tree', table = tg_table_name;
        end if;
        select parent_id into above from article_categories where organization_id = new.organization_id and id = above;
    end loop;
    return new;
end
$$;
