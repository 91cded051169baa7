create or replace function keep_category_tree() returns trigger language plpgsql as $$
declare
    above uuid := new.parent_id;
    depth integer := 1;
begin
    perform pg_advisory_xact_lock(hashtextextended('article_categories ' || new.organization_id, 0));
    while above is not null loop
        depth := depth + 1;
        if above = new.id or depth > 8 then
            raise exception 'a category is not below itself, and at most eight deep'
                using errcode = 'check_violation', constraint = 'article_categories_keep_tree', table = tg_table_name;
        end if;
        select parent_id into above from article_categories where organization_id = new.organization_id and id = above;
    end loop;
    return new;
end
$$;

drop trigger article_revisions_refuse_change on article_revisions;
alter table article_revisions add column status text;
update article_revisions set status = case when published_at is null then 'draft' else 'published' end;
alter table article_revisions alter column status set not null, drop column published_at;
create trigger article_revisions_refuse_change before update on article_revisions
    for each row execute function refuse_revision_change();
