alter table organizations drop column search_version;
drop table missed_searches;
drop table synonyms;
drop table search_word_keys;
drop table search_words;
drop table article_indexes;
drop table article_terms;
drop table article_postings;
