-- What published articles are found by. How a text becomes terms is written in Rust, so that any PostgreSQL will do: no
-- dictionary, no extension.

-- How much a term says about an article, in thousandths. Only published articles have any.
create table article_postings (
    organization_id uuid not null,
    term text collate "C" not null,
    article_id uuid not null,
    weight smallint not null check (weight between 1 and 1000),
    primary key (organization_id, term, article_id) include (weight)
);
comment on table article_postings is 'So many of each article that references would cost more than the rows; article_indexes has the one.';

-- In how many articles a term is.
create table article_terms (
    organization_id uuid not null references organizations (id),
    term text collate "C" not null,
    articles integer not null check (articles >= 0),
    primary key (organization_id, term)
);

-- The postings of an article beside each other, of which way of making terms they are, and what words it has.
create table article_indexes (
    organization_id uuid not null,
    article_id uuid not null,
    search_version integer not null,
    words text[] not null,
    terms text[] not null,
    weights smallint[] not null,
    primary key (organization_id, article_id),
    constraint article_indexes_article_id_fkey foreign key (organization_id, article_id)
        references articles (organization_id, id) on delete cascade
);

-- The words of articles and synonyms, which misspelt ones are compared with.
create table search_words (
    organization_id uuid not null references organizations (id),
    word text collate "C" not null,
    uses integer not null check (uses >= 0),
    primary key (organization_id, word)
);
-- What a word has in common with its misspellings.
create table search_word_keys (
    organization_id uuid not null,
    key text collate "C" not null,
    word text collate "C" not null,
    primary key (organization_id, key, word),
    constraint search_word_keys_word_fkey foreign key (organization_id, word)
        references search_words (organization_id, word) on delete cascade
);
create index search_word_keys_word_idx on search_word_keys (organization_id, word);

-- Words and phrases of one meaning.
create table synonyms (
    organization_id uuid not null references organizations (id),
    id uuid not null,
    terms text[] not null check (cardinality(terms) between 2 and 40),
    keys text[] not null,
    version integer not null default 1,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (organization_id, id)
);
comment on column synonyms.keys is 'What a question has of a group, where its words are in it.';

-- What was asked and had no answer: the words, without those that may name somebody, and how often on a day; not by whom.
create table missed_searches (
    organization_id uuid not null references organizations (id),
    searched_on date not null,
    question text not null check (length(question) between 1 and 200),
    searches integer not null check (searches >= 1),
    last_at timestamptz not null,
    primary key (organization_id, searched_on, question)
);

alter table organizations add column search_version integer not null default 0 check (search_version >= 0);
comment on column organizations.search_version is 'The way of making terms by which all that it has is found; what is of an older one is made anew.';
