-- A cancelled run stays so: its main task is not opened again, by itself or by what is below it, and gets nothing new.
create function keep_cancelled_run() returns trigger language plpgsql as $$
begin
    if exists (
        select from procedure_runs
        where organization_id = new.organization_id and state = 'cancelled'
            and task_id = case tg_argv[0] when 'main' then new.id else new.parent_task_id end
    ) then
        raise exception 'the procedure run is cancelled'
            using errcode = 'restrict_violation', constraint = 'procedure_runs_stay_cancelled', table = tg_table_name;
    end if;
    return new;
end
$$;
create trigger tasks_keep_cancelled_run before update of status on tasks
    for each row when (old.status = 'cancelled' and new.status <> 'cancelled') execute function keep_cancelled_run('main');
create trigger tasks_add_nothing_to_cancelled_run before insert on tasks
    for each row when (new.parent_task_id is not null) execute function keep_cancelled_run('below');
create trigger tasks_move_nothing_to_cancelled_run before update of parent_task_id on tasks
    for each row when (new.parent_task_id is not null and new.parent_task_id is distinct from old.parent_task_id)
    execute function keep_cancelled_run('below');

-- A step is left out for a reason, or with the whole run. Looked at in the end: a run's steps are cancelled before it is.
create function keep_reason_of_skipped_step() returns trigger language plpgsql as $$
begin
    if exists (
        select from procedure_steps step
        join procedure_runs run on run.organization_id = step.organization_id and run.id = step.run_id
        join tasks task on task.organization_id = step.organization_id and task.id = step.task_id
        where step.organization_id = new.organization_id and step.task_id = new.id
            and task.status = 'cancelled' and step.skip_reason is null and run.state <> 'cancelled'
    ) then
        raise exception 'the step is skipped without a reason'
            using errcode = 'restrict_violation', constraint = 'procedure_steps_refuse_without_reason',
                table = tg_table_name;
    end if;
    return null;
end
$$;
create constraint trigger tasks_keep_reason_of_skipped_step after update of status on tasks
    deferrable initially deferred
    for each row when (new.status = 'cancelled' and old.status <> 'cancelled')
    execute function keep_reason_of_skipped_step();

-- All tasks of a run are in one thread. Looked at once all of them have gone to another.
create function keep_thread_of_run() returns trigger language plpgsql as $$
begin
    if exists (
        select from procedure_steps step
        join procedure_runs run on run.organization_id = step.organization_id and run.id = step.run_id
        join tasks main on main.organization_id = run.organization_id and main.id = run.task_id
        join tasks task on task.organization_id = step.organization_id and task.id = step.task_id
        where step.organization_id = new.organization_id and step.task_id = new.id
            and task.thread_id is distinct from main.thread_id
    ) or exists (
        select from procedure_runs run
        join procedure_steps step on step.organization_id = run.organization_id and step.run_id = run.id
        join tasks main on main.organization_id = run.organization_id and main.id = run.task_id
        join tasks task on task.organization_id = step.organization_id and task.id = step.task_id
        where run.organization_id = new.organization_id and run.task_id = new.id
            and task.thread_id is distinct from main.thread_id
    ) then
        raise exception 'the tasks of a procedure run are in one thread'
            using errcode = 'restrict_violation', constraint = 'procedure_steps_refuse_move', table = tg_table_name;
    end if;
    return null;
end
$$;
create constraint trigger tasks_keep_thread_of_run after update of thread_id on tasks
    deferrable initially deferred
    for each row when (new.thread_id is distinct from old.thread_id) execute function keep_thread_of_run();

create function keep_customer_of_run() returns trigger language plpgsql as $$
begin
    if exists (
        select from tasks
        join procedure_runs run on run.organization_id = tasks.organization_id and run.task_id = tasks.id
        where tasks.organization_id = new.organization_id and tasks.thread_id = new.id
            and run.customer_id is distinct from new.customer_id
    ) then
        raise exception 'the thread of a procedure run is its customer''s'
            using errcode = 'restrict_violation', constraint = 'threads_keep_customer_of_run', table = tg_table_name;
    end if;
    return null;
end
$$;
create trigger threads_keep_customer_of_run after update of customer_id on threads
    for each row when (new.customer_id is distinct from old.customer_id) execute function keep_customer_of_run();

-- What comes again is the run, by a schedule, and not a task of it.
create function refuse_series_of_run() returns trigger language plpgsql as $$
begin
    if exists (
        select from procedure_steps where organization_id = new.organization_id and task_id = new.id
    ) or exists (
        select from procedure_runs where organization_id = new.organization_id and task_id = new.id
    ) then
        raise exception 'a task of a procedure run does not come again'
            using errcode = 'restrict_violation', constraint = 'procedure_steps_refuse_series', table = tg_table_name;
    end if;
    return null;
end
$$;
create trigger tasks_refuse_series_of_run after update of task_series_id on tasks
    for each row when (new.task_series_id is not null and old.task_series_id is null)
    execute function refuse_series_of_run();
