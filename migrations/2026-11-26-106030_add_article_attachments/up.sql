-- Files on articles. Whoever reads an article reads its files: those of one that is not published, only who writes articles.
alter table files
    add column knowledge_uses integer not null default 0 check (knowledge_uses >= 0),
    add column draft_uses integer not null default 0 check (draft_uses >= 0);
comment on column files.knowledge_uses is 'On how many published articles it is.';
comment on column files.draft_uses is 'On how many articles it is that are not published.';
drop index files_unused_idx;
create index files_unused_idx on files (created_at)
    where crm_uses = 0 and billing_uses = 0 and knowledge_uses = 0 and draft_uses = 0 and logo_uses = 0;

alter table attachments
    drop constraint attachments_check,
    drop column area,
    add column article_id uuid,
    add column of_draft boolean not null default false;
alter table attachments
    add column area text not null generated always as (case
        when invoice_id is not null then 'billing'
        when article_id is null then 'crm'
        when of_draft then 'drafts'
        else 'knowledge'
    end) stored,
    add constraint attachments_article_id_fkey foreign key (organization_id, article_id)
        references articles (organization_id, id),
    add constraint attachments_check check (num_nonnulls(interaction_id, task_id, customer_id, thread_id, invoice_id, article_id) = 1);
comment on column attachments.area is 'Whoever reads the records of this area reads the file.';
comment on column attachments.of_draft is 'Whether it is on an article that is not published.';
create unique index attachments_article_id_file_id_key on attachments (organization_id, article_id, file_id)
    where article_id is not null;
create index attachments_article_id_idx on attachments (organization_id, article_id, created_at, id)
    where article_id is not null;
-- They went with the column.
create index attachments_created_at_idx on attachments (organization_id, area, created_at, id);
create index attachments_file_id_idx on attachments (organization_id, file_id, area, created_at, id);
create index attachments_registered_by_id_idx on attachments (organization_id, registered_by_id, area, created_at, id);
create index attachments_of_customer_id_idx on attachments (organization_id, of_customer_id, area, created_at, id)
    where of_customer_id is not null;
create index attachments_of_thread_id_idx on attachments (organization_id, of_thread_id, area, created_at, id)
    where of_thread_id is not null;
create index attachments_of_caretaker_id_idx on attachments (organization_id, of_caretaker_id, area, created_at, id)
    where of_caretaker_id is not null;

create function place_article_attachment() returns trigger language plpgsql as $$
begin
    select status <> 'published' into new.of_draft
    from articles where organization_id = new.organization_id and id = new.article_id for share;
    return new;
end
$$;
create trigger attachments_are_placed_on_articles before insert on attachments
    for each row when (new.article_id is not null) execute function place_article_attachment();
create function take_article_attachments_along() returns trigger language plpgsql as $$
begin
    update attachments set of_draft = new.status <> 'published'
    where organization_id = new.organization_id and article_id = new.id;
    return null;
end
$$;
create trigger articles_take_attachments_along after update of status on articles
    for each row when ((old.status = 'published') <> (new.status = 'published'))
    execute function take_article_attachments_along();

-- How much of what each file is on.
create or replace function count_file_uses() returns trigger language plpgsql as $$
declare
    change integer := case tg_op when 'INSERT' then 1 else -1 end;
begin
    update files f
    set crm_uses = f.crm_uses + change * uses.crm, billing_uses = f.billing_uses + change * uses.billing,
        knowledge_uses = f.knowledge_uses + change * uses.knowledge, draft_uses = f.draft_uses + change * uses.drafts
    from (
        select organization_id, file_id, count(*) filter (where area = 'crm')::integer as crm,
            count(*) filter (where area = 'billing')::integer as billing,
            count(*) filter (where area = 'knowledge')::integer as knowledge,
            count(*) filter (where area = 'drafts')::integer as drafts
        from changed group by organization_id, file_id
    ) uses
    where f.organization_id = uses.organization_id and f.id = uses.file_id;
    return null;
end
$$;
create function count_published_use() returns trigger language plpgsql as $$
declare
    change integer := case when new.of_draft then -1 else 1 end;
begin
    update files set knowledge_uses = knowledge_uses + change, draft_uses = draft_uses - change
    where organization_id = new.organization_id and id = new.file_id;
    return null;
end
$$;
create trigger attachments_are_published after update on attachments
    for each row when (old.of_draft <> new.of_draft) execute function count_published_use();

drop trigger attachments_refuse_another_use on attachments;
create trigger attachments_refuse_another_use before update on attachments
    for each row
    when (old.file_id <> new.file_id or (old.invoice_id is null) <> (new.invoice_id is null)
        or old.article_id is distinct from new.article_id)
    execute function refuse_another_use();
