alter table survey_links
    add column task_id uuid,
    add constraint survey_links_task_id_fkey foreign key (organization_id, task_id) references tasks (organization_id, id);
comment on column survey_links.task_id is 'What the answers are given for, such as the step of a procedure run that asks for them.';
create index survey_links_task_id_idx on survey_links (organization_id, task_id) where task_id is not null;

-- Of whichever customer.
create index survey_responses_all_waiting_idx on survey_responses (organization_id, dated_at, id) where completed_at is null;
