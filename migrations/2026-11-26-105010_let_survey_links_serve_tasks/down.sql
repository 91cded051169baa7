drop index survey_responses_all_waiting_idx;
alter table survey_links drop column task_id;
