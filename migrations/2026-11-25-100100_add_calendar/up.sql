-- What a task takes up of the calendar, so that those of a period are found by index. A range of an index knows only when
-- a task begins; of those that began before the period, the class of its length says how far back one has to look.
alter table tasks
    add column starts_at timestamptz generated always as (coalesce(start_at, due_at)) stored,
    add column ends_at timestamptz;
update tasks t
set ends_at = case
    when due_at is not null then deadline_at
    when all_day then ((start_at at time zone o.time_zone)::date + 1)::timestamp at time zone o.time_zone
    else start_at
end
from organizations o
where o.id = t.organization_id and num_nonnulls(t.start_at, t.due_at) > 0;
alter table tasks
    add column length_class smallint generated always as (
        case
            when ends_at - coalesce(start_at, due_at) <= interval '25 hours' then 0
            when ends_at - coalesce(start_at, due_at) <= interval '200 hours' then 1
            when ends_at - coalesce(start_at, due_at) <= interval '1600 hours' then 2
            when ends_at - coalesce(start_at, due_at) <= interval '12800 hours' then 3
            when ends_at is not null then 4
        end
    ) stored,
    add constraint tasks_ends_at_check check (
        (ends_at is null) = (num_nonnulls(start_at, due_at) = 0) and ends_at >= coalesce(start_at, due_at)
    );
comment on column tasks.starts_at is 'When it begins to stand in the calendar: without a start, when it is due.';
comment on column tasks.ends_at is
    'Until when it stands in the calendar: when it is due, the end of that day for an all-day task; when it starts where it is never due.';
comment on column tasks.length_class is 'How long it stands there: up to a day (of 25 hours), 8, 66 or 533 days, or longer.';
create index tasks_calendar_idx on tasks (organization_id, length_class, starts_at) where length_class is not null;
create index tasks_caretaker_id_calendar_idx on tasks (organization_id, caretaker_id, length_class, starts_at)
    where length_class is not null;

-- The series that go on, or did so at a moment.
create index task_series_ends_before_idx on task_series (organization_id, coalesce(ends_before, 'infinity'));
create index task_series_caretaker_id_idx on task_series (organization_id, caretaker_id, coalesce(ends_before, 'infinity'));
