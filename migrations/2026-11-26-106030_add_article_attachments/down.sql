delete from attachments where article_id is not null;
drop trigger attachments_refuse_another_use on attachments;
create trigger attachments_refuse_another_use before update on attachments
    for each row when (old.file_id <> new.file_id or (old.invoice_id is null) <> (new.invoice_id is null))
    execute function refuse_another_use();
drop trigger attachments_are_published on attachments;
drop function count_published_use;
create or replace function count_file_uses() returns trigger language plpgsql as $$
declare
    change integer := case tg_op when 'INSERT' then 1 else -1 end;
begin
    update files f
    set crm_uses = f.crm_uses + change * uses.crm, billing_uses = f.billing_uses + change * uses.billing
    from (
        select organization_id, file_id, count(*) filter (where area = 'crm')::integer as crm,
            count(*) filter (where area = 'billing')::integer as billing
        from changed group by organization_id, file_id
    ) uses
    where f.organization_id = uses.organization_id and f.id = uses.file_id;
    return null;
end
$$;
drop trigger articles_take_attachments_along on articles;
drop function take_article_attachments_along;
drop trigger attachments_are_placed_on_articles on attachments;
drop function place_article_attachment;
drop index attachments_article_id_idx;
drop index attachments_article_id_file_id_key;
alter table attachments drop constraint attachments_check, drop constraint attachments_article_id_fkey;
alter table attachments drop column area;
alter table attachments drop column article_id, drop column of_draft;
alter table attachments
    add column area text not null generated always as (case when invoice_id is null then 'crm' else 'billing' end) stored,
    add constraint attachments_check check (num_nonnulls(interaction_id, task_id, customer_id, thread_id, invoice_id) = 1);
comment on column attachments.area is 'Whoever reads the records of this area reads the file.';
create index attachments_created_at_idx on attachments (organization_id, area, created_at, id);
create index attachments_file_id_idx on attachments (organization_id, file_id, area, created_at, id);
create index attachments_registered_by_id_idx on attachments (organization_id, registered_by_id, area, created_at, id);
create index attachments_of_customer_id_idx on attachments (organization_id, of_customer_id, area, created_at, id)
    where of_customer_id is not null;
create index attachments_of_thread_id_idx on attachments (organization_id, of_thread_id, area, created_at, id)
    where of_thread_id is not null;
create index attachments_of_caretaker_id_idx on attachments (organization_id, of_caretaker_id, area, created_at, id)
    where of_caretaker_id is not null;
drop index files_unused_idx;
alter table files drop column draft_uses, drop column knowledge_uses;
create index files_unused_idx on files (created_at) where crm_uses = 0 and billing_uses = 0 and logo_uses = 0;
