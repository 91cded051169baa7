-- The knowledge base: answers to questions that keep coming back.
create table article_categories (
    organization_id uuid not null references organizations (id),
    id uuid not null,
    name text not null check (length(name) between 1 and 120),
    parent_id uuid,
    position integer not null default 0,
    version integer not null default 1,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (organization_id, id),
    constraint article_categories_parent_id_fkey foreign key (organization_id, parent_id)
        references article_categories (organization_id, id),
    check (parent_id <> id)
);
create index article_categories_parent_id_idx on article_categories (organization_id, parent_id, position, id);
create index article_categories_position_idx on article_categories (organization_id, position, id);
-- Two of one parent never share a name; those without a parent are of one, too.
create unique index article_categories_name_key on article_categories
    (organization_id, coalesce(parent_id, '00000000-0000-0000-0000-000000000000'), lower(name));

-- No category is below itself, and the tree has an end. Whoever moves one holds off everybody else who does.
create function keep_category_tree() returns trigger language plpgsql as $$
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
create trigger article_categories_keep_tree_of_new before insert on article_categories
    for each row when (new.parent_id is not null) execute function keep_category_tree();
create trigger article_categories_keep_tree before update of parent_id on article_categories
    for each row when (new.parent_id is not null and old.parent_id is distinct from new.parent_id)
    execute function keep_category_tree();

create table articles (
    organization_id uuid not null references organizations (id),
    id uuid not null,
    title text not null check (length(title) between 1 and 240),
    sort_title text collate "C" not null generated always as (fold_text(title)) stored,
    body text not null check (length(body) <= 100000),
    language text not null check (language in ('pl', 'en')),
    status text not null check (status in ('draft', 'published', 'archived')),
    category_id uuid,
    tags text[] not null default '{}',
    valid_until_on date,
    published_at timestamptz,
    registered_by_id uuid,
    revision integer not null default 1 check (revision >= 1),
    helpful_votes integer not null default 0 check (helpful_votes >= 0),
    unhelpful_votes integer not null default 0 check (unhelpful_votes >= 0),
    uses integer not null default 0 check (uses >= 0),
    version integer not null default 1,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (organization_id, id),
    constraint articles_category_id_fkey foreign key (organization_id, category_id)
        references article_categories (organization_id, id),
    constraint articles_registered_by_id_fkey foreign key (organization_id, registered_by_id)
        references operators (organization_id, id),
    check (status <> 'published' or published_at is not null)
);
comment on column articles.revision is 'Which of its texts it has: the number of the newest row of article_revisions.';
create index articles_status_idx on articles (organization_id, status, id);
create index articles_category_id_idx on articles (organization_id, category_id, id) where category_id is not null;
create index articles_category_id_status_idx on articles (organization_id, category_id, status, id)
    where category_id is not null;
create index articles_language_idx on articles (organization_id, language, id);
create index articles_sort_title_idx on articles (organization_id, sort_title, id);
create index articles_valid_until_on_idx on articles (organization_id, valid_until_on, id) where valid_until_on is not null;

create table article_tags (
    organization_id uuid not null,
    tag text not null,
    article_id uuid not null,
    sort_title text collate "C" not null,
    primary key (organization_id, tag, article_id),
    constraint article_tags_article_id_fkey foreign key (organization_id, article_id)
        references articles (organization_id, id) on delete cascade
);
create index article_tags_article_id_idx on article_tags (organization_id, article_id);
create index article_tags_sort_title_idx on article_tags (organization_id, tag, sort_title, article_id);
create function keep_article_tags() returns trigger language plpgsql as $$
begin
    if tg_op = 'UPDATE' then
        delete from article_tags where organization_id = old.organization_id and article_id = old.id;
    end if;
    insert into article_tags (organization_id, tag, article_id, sort_title)
    select distinct new.organization_id, tag, new.id, new.sort_title from unnest(new.tags) tag;
    return null;
end
$$;
create trigger articles_bring_tags after insert on articles
    for each row when (new.tags <> '{}') execute function keep_article_tags();
create trigger articles_change_tags after update on articles
    for each row when (old.tags || new.tags <> '{}' and (old.tags, old.sort_title) is distinct from (new.tags, new.sort_title))
    execute function keep_article_tags();

-- Which articles an article leads on to, in its order.
create table article_links (
    organization_id uuid not null,
    article_id uuid not null,
    related_article_id uuid not null,
    position smallint not null,
    primary key (organization_id, article_id, related_article_id),
    constraint article_links_article_id_fkey foreign key (organization_id, article_id)
        references articles (organization_id, id) on delete cascade,
    constraint article_links_related_article_id_fkey foreign key (organization_id, related_article_id)
        references articles (organization_id, id) on delete cascade,
    check (article_id <> related_article_id)
);
create index article_links_related_article_id_idx on article_links (organization_id, related_article_id, article_id);

-- Every text that an article had. None ever changes.
create table article_revisions (
    organization_id uuid not null,
    id uuid not null,
    article_id uuid not null,
    number integer not null check (number >= 1),
    title text not null,
    body text not null,
    language text not null,
    tags text[] not null,
    status text not null,
    restored_from integer,
    registered_by_id uuid,
    created_at timestamptz not null,
    primary key (organization_id, article_id, number),
    constraint article_revisions_article_id_fkey foreign key (organization_id, article_id)
        references articles (organization_id, id) on delete cascade,
    constraint article_revisions_registered_by_id_fkey foreign key (organization_id, registered_by_id)
        references operators (organization_id, id)
);
create function refuse_revision_change() returns trigger language plpgsql as $$
begin
    raise exception 'a text that was never changes'
        using errcode = 'restrict_violation', constraint = 'article_revisions_refuse_change', table = tg_table_name;
end
$$;
create trigger article_revisions_refuse_change before update on article_revisions
    for each row execute function refuse_revision_change();

-- Whether an article helped: one vote an operator; scripts vote as often as they are told.
create table article_votes (
    organization_id uuid not null,
    id uuid not null,
    article_id uuid not null,
    operator_id uuid,
    helpful boolean not null,
    comment text check (length(comment) between 1 and 1000),
    version integer not null default 1,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (organization_id, id),
    constraint article_votes_article_id_fkey foreign key (organization_id, article_id)
        references articles (organization_id, id) on delete cascade,
    constraint article_votes_operator_id_fkey foreign key (organization_id, operator_id)
        references operators (organization_id, id)
);
create index article_votes_article_id_idx on article_votes (organization_id, article_id, id);
create index article_votes_helpful_idx on article_votes (organization_id, article_id, helpful, id);
create unique index article_votes_operator_id_key on article_votes (organization_id, article_id, operator_id)
    where operator_id is not null;

-- Which interactions an article answered.
create table article_uses (
    organization_id uuid not null,
    id uuid not null,
    article_id uuid not null,
    interaction_id uuid not null,
    registered_by_id uuid,
    version integer not null default 1,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (organization_id, id),
    constraint article_uses_interaction_id_key unique (organization_id, article_id, interaction_id),
    constraint article_uses_article_id_fkey foreign key (organization_id, article_id)
        references articles (organization_id, id) on delete cascade,
    constraint article_uses_interaction_id_fkey foreign key (organization_id, interaction_id)
        references interactions (organization_id, id) on delete cascade,
    constraint article_uses_registered_by_id_fkey foreign key (organization_id, registered_by_id)
        references operators (organization_id, id)
);
create index article_uses_article_id_idx on article_uses (organization_id, article_id, id);
create index article_uses_interaction_id_idx on article_uses (organization_id, interaction_id, id);

-- The counts beside the article follow the rows, so that nothing else writes them.
create function count_article_votes() returns trigger language plpgsql as $$
begin
    if tg_op <> 'INSERT' then
        update articles
        set helpful_votes = helpful_votes - old.helpful::integer, unhelpful_votes = unhelpful_votes - (not old.helpful)::integer
        where organization_id = old.organization_id and id = old.article_id;
    end if;
    if tg_op <> 'DELETE' then
        update articles
        set helpful_votes = helpful_votes + new.helpful::integer, unhelpful_votes = unhelpful_votes + (not new.helpful)::integer
        where organization_id = new.organization_id and id = new.article_id;
    end if;
    return null;
end
$$;
create trigger article_votes_are_counted after insert or update or delete on article_votes
    for each row execute function count_article_votes();
create function count_article_uses() returns trigger language plpgsql as $$
begin
    if tg_op = 'INSERT' then
        update articles set uses = uses + 1 where organization_id = new.organization_id and id = new.article_id;
    else
        update articles set uses = uses - 1 where organization_id = old.organization_id and id = old.article_id;
    end if;
    return null;
end
$$;
create trigger article_uses_are_counted after insert or delete on article_uses
    for each row execute function count_article_uses();
