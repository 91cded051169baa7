-- What files are on, a row a use. Beside the record itself stands what that is about, which follows it by triggers, so that
-- timelines and lists of files are read by one index each and nothing else has to write it.
create table attachments (
    organization_id uuid not null,
    id uuid not null,
    file_id uuid not null,
    interaction_id uuid,
    task_id uuid,
    customer_id uuid,
    thread_id uuid,
    invoice_id uuid,
    area text not null generated always as (case when invoice_id is null then 'crm' else 'billing' end) stored,
    of_customer_id uuid,
    of_thread_id uuid,
    of_caretaker_id uuid,
    description text check (length(description) <= 1000),
    registered_by_id uuid,
    version integer not null default 1,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (organization_id, id),
    constraint attachments_file_id_fkey foreign key (organization_id, file_id) references files (organization_id, id),
    constraint attachments_interaction_id_fkey foreign key (organization_id, interaction_id)
        references interactions (organization_id, id),
    constraint attachments_task_id_fkey foreign key (organization_id, task_id) references tasks (organization_id, id),
    constraint attachments_customer_id_fkey foreign key (organization_id, customer_id)
        references customers (organization_id, id),
    constraint attachments_thread_id_fkey foreign key (organization_id, thread_id) references threads (organization_id, id),
    constraint attachments_invoice_id_fkey foreign key (organization_id, invoice_id)
        references invoices (organization_id, id),
    constraint attachments_of_customer_id_fkey foreign key (organization_id, of_customer_id)
        references customers (organization_id, id),
    constraint attachments_of_thread_id_fkey foreign key (organization_id, of_thread_id)
        references threads (organization_id, id),
    constraint attachments_of_caretaker_id_fkey foreign key (organization_id, of_caretaker_id)
        references operators (organization_id, id),
    constraint attachments_registered_by_id_fkey foreign key (organization_id, registered_by_id)
        references operators (organization_id, id),
    check (num_nonnulls(interaction_id, task_id, customer_id, thread_id, invoice_id) = 1)
);
comment on column attachments.area is 'Whoever reads the records of this area reads the file.';
comment on column attachments.of_customer_id is 'Whom the record is about. It changes with the record, as thread and caretaker do.';
comment on column attachments.of_caretaker_id is 'Who does the task, or cares for the interaction, that the file is on.';
-- A file is on a record once.
create unique index attachments_interaction_id_file_id_key on attachments (organization_id, interaction_id, file_id)
    where interaction_id is not null;
create unique index attachments_task_id_file_id_key on attachments (organization_id, task_id, file_id)
    where task_id is not null;
create unique index attachments_customer_id_file_id_key on attachments (organization_id, customer_id, file_id)
    where customer_id is not null;
create unique index attachments_thread_id_file_id_key on attachments (organization_id, thread_id, file_id)
    where thread_id is not null;
create unique index attachments_invoice_id_file_id_key on attachments (organization_id, invoice_id, file_id)
    where invoice_id is not null;
create index attachments_created_at_idx on attachments (organization_id, area, created_at, id);
create index attachments_file_id_idx on attachments (organization_id, file_id, area, created_at, id);
create index attachments_registered_by_id_idx on attachments (organization_id, registered_by_id, area, created_at, id);
create index attachments_of_customer_id_idx on attachments (organization_id, of_customer_id, area, created_at, id)
    where of_customer_id is not null;
create index attachments_of_thread_id_idx on attachments (organization_id, of_thread_id, area, created_at, id)
    where of_thread_id is not null;
create index attachments_of_caretaker_id_idx on attachments (organization_id, of_caretaker_id, area, created_at, id)
    where of_caretaker_id is not null;
create index attachments_interaction_id_idx on attachments (organization_id, interaction_id, created_at, id)
    where interaction_id is not null;
create index attachments_task_id_idx on attachments (organization_id, task_id, created_at, id) where task_id is not null;
create index attachments_customer_id_idx on attachments (organization_id, customer_id, created_at, id)
    where customer_id is not null;
create index attachments_thread_id_idx on attachments (organization_id, thread_id, created_at, id)
    where thread_id is not null;
create index attachments_invoice_id_idx on attachments (organization_id, invoice_id, created_at, id)
    where invoice_id is not null;

-- What a record is about, when something is attached to it or its files go to another one. The record's row is held, so that
-- whoever changes it meanwhile finds the attachment.
create function place_attachment() returns trigger language plpgsql as $$
begin
    if new.interaction_id is not null then
        select customer_id, thread_id, caretaker_id into new.of_customer_id, new.of_thread_id, new.of_caretaker_id
        from interactions where organization_id = new.organization_id and id = new.interaction_id for share;
    elsif new.task_id is not null then
        select customer_id, thread_id, caretaker_id into new.of_customer_id, new.of_thread_id, new.of_caretaker_id
        from tasks where organization_id = new.organization_id and id = new.task_id for share;
    elsif new.thread_id is not null then
        select customer_id, id, null into new.of_customer_id, new.of_thread_id, new.of_caretaker_id
        from threads where organization_id = new.organization_id and id = new.thread_id for share;
    elsif new.invoice_id is not null then
        select customer_id, null, null into new.of_customer_id, new.of_thread_id, new.of_caretaker_id
        from invoices where organization_id = new.organization_id and id = new.invoice_id for share;
    else
        new.of_customer_id := new.customer_id;
        new.of_thread_id := null;
        new.of_caretaker_id := null;
    end if;
    return new;
end
$$;
create trigger attachments_are_placed before insert on attachments for each row execute function place_attachment();
create trigger attachments_are_placed_anew before update of interaction_id, task_id, customer_id, thread_id, invoice_id on attachments
    for each row
    when ((old.interaction_id, old.task_id, old.customer_id, old.thread_id, old.invoice_id)
        is distinct from (new.interaction_id, new.task_id, new.customer_id, new.thread_id, new.invoice_id))
    execute function place_attachment();

create function take_attachments_along() returns trigger language plpgsql as $$
begin
    if tg_table_name = 'interactions' then
        update attachments
        set of_customer_id = new.customer_id, of_thread_id = new.thread_id, of_caretaker_id = new.caretaker_id
        where organization_id = new.organization_id and interaction_id = new.id;
    elsif tg_table_name = 'tasks' then
        update attachments
        set of_customer_id = new.customer_id, of_thread_id = new.thread_id, of_caretaker_id = new.caretaker_id
        where organization_id = new.organization_id and task_id = new.id;
    elsif tg_table_name = 'threads' then
        update attachments set of_customer_id = new.customer_id
        where organization_id = new.organization_id and thread_id = new.id;
    else
        update attachments set of_customer_id = new.customer_id
        where organization_id = new.organization_id and invoice_id = new.id;
    end if;
    return null;
end
$$;
create trigger interactions_take_attachments_along after update of customer_id, thread_id, caretaker_id on interactions
    for each row
    when ((old.customer_id, old.thread_id, old.caretaker_id) is distinct from (new.customer_id, new.thread_id, new.caretaker_id))
    execute function take_attachments_along();
create trigger tasks_take_attachments_along after update of customer_id, thread_id, caretaker_id on tasks
    for each row
    when ((old.customer_id, old.thread_id, old.caretaker_id) is distinct from (new.customer_id, new.thread_id, new.caretaker_id))
    execute function take_attachments_along();
create trigger threads_take_attachments_along after update of customer_id on threads
    for each row when (old.customer_id is distinct from new.customer_id) execute function take_attachments_along();
create trigger invoices_take_attachments_along after update of customer_id on invoices
    for each row when (old.customer_id is distinct from new.customer_id) execute function take_attachments_along();

-- How much of what each file is on. An attachment stays the use that it is, so that it is counted once.
create function count_file_uses() returns trigger language plpgsql as $$
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
create trigger attachments_are_counted after insert on attachments
    referencing new table as changed for each statement execute function count_file_uses();
create trigger attachments_are_counted_out after delete on attachments
    referencing old table as changed for each statement execute function count_file_uses();
create function refuse_another_use() returns trigger language plpgsql as $$
begin
    raise exception 'an attachment stays of its file and area'
        using errcode = 'restrict_violation', constraint = 'attachments_refuse_another_use', table = tg_table_name;
end
$$;
create trigger attachments_refuse_another_use before update on attachments
    for each row when (old.file_id <> new.file_id or (old.invoice_id is null) <> (new.invoice_id is null))
    execute function refuse_another_use();

alter table organizations
    add column logo_file_id uuid,
    add constraint organizations_logo_file_id_fkey foreign key (id, logo_file_id) references files (organization_id, id);
comment on column organizations.logo_file_id is 'An image that everybody in the organization sees.';
create function keep_logo() returns trigger language plpgsql as $$
begin
    if exists (
        select from files
        where organization_id = new.id and id = new.logo_file_id and media_type not in ('image/png', 'image/jpeg')
    ) then
        raise exception 'a logo is an image'
            using errcode = 'check_violation', constraint = 'organizations_logo_file_id_media_type', table = tg_table_name;
    end if;
    update files
    set logo_uses = case when id = new.logo_file_id then 1 else 0 end
    where organization_id = new.id
        and (id = new.logo_file_id or (tg_op = 'UPDATE' and id = old.logo_file_id));
    return null;
end
$$;
create trigger organizations_bring_logo after insert on organizations
    for each row when (new.logo_file_id is not null) execute function keep_logo();
create trigger organizations_change_logo after update of logo_file_id on organizations
    for each row when (old.logo_file_id is distinct from new.logo_file_id) execute function keep_logo();
