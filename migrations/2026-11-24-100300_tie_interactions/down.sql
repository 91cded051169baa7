drop trigger tasks_keep_work_a_tree on tasks;
drop trigger interactions_keep_work_a_tree on interactions;
drop function keep_work_a_tree();
alter table interactions
    drop column opportunity_id,
    drop column stage_id,
    drop column thread_id,
    drop column parent_task_id,
    drop column parent_interaction_id;
drop index interactions_planned_idx;
drop index interactions_held_idx;
drop index interactions_not_held_idx;
create index interactions_status_idx on interactions (organization_id, status, started_at, id);
