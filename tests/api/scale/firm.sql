-- A firm of many years: 1 000 000 interactions, 300 000 tasks, 300 000 work entries, 200 000 answers to surveys, 15 000 runs of
-- procedures and 150 000 files, in trees, series, threads and sales.
-- Written past triggers and references, which the rows keep to: it is the plans that are looked at here.
-- Needs: one organization with its owner, and nothing else in the database.
set session_replication_role = replica;
set auto_explain.log_min_duration = -1;
set maintenance_work_mem = '256MB';
set work_mem = '64MB';

-- An index is made in a fraction of the time once its rows are there.
create temp table index_to_come as
select indexname, indexdef from pg_indexes
where schemaname = 'public' and tablename in (
    'interactions', 'tasks', 'task_series', 'work_entries', 'interaction_tags', 'task_tags', 'files', 'file_objects', 'attachments', 'survey_responses', 'procedure_runs', 'procedure_steps')
    and indexname not in (select conname from pg_constraint where contype in ('p', 'u'));
do $$
declare name text;
begin
    for name in select indexname from index_to_come loop execute format('drop index %I', name); end loop;
end
$$;

create temp table firm as
select organization_id, id as owner_id, date_trunc('hour', now()) - interval '2100 days' as since from operators;
-- When the n-th of so many is written down: evenly over the years until now.
create function pg_temp.moment(n integer, many integer) returns timestamptz language sql stable as $$
    select date_trunc('hour', now()) - interval '2100 days' + n * (interval '2100 days' / many)
$$;
-- Ids count up with time, as those that the server makes.
create function pg_temp.id_at(at timestamptz, n integer) returns uuid language sql stable as $$
    select (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || '70008000' || lpad(to_hex(n), 12, '0'))::uuid
$$;
-- Tags of many, of some, of few, and of the first years alone.
create function pg_temp.tags(n integer, many integer) returns text[] language sql immutable as $$
    select array_remove(array[
        case when n % 6 = 0 then 'urgent' end, case when n % 50 = 0 then 'vat' end, case when n % 3001 = 0 then 'dispute' end,
        case when n < many / 4 and n % 10 = 0 then 'founding' end
    ], null)
$$;

insert into operators (organization_id, id, email, full_name, role, billing, active, locale, created_at, updated_at)
select organization_id, pg_temp.id_at(since, i), 'o' || i || '@scale.example', 'Operator ' || i, 'operator', 'none', true, 'pl', since, since
from firm, generate_series(1, 40) i;
create temp table operator as select row_number() over (order by id) - 1 as n, id from operators where email like '%@scale.example';

insert into customers (organization_id, id, kind, name, tax_scheme, currency, language, created_at, updated_at)
select organization_id, pg_temp.id_at(since, i), 'company', 'Klient ' || i, 'none', 'PLN', 'pl', since, since
from firm, generate_series(0, 1999) i;
create temp table customer as select row_number() over (order by id) - 1 as n, id from customers;

insert into people (organization_id, id, customer_id, full_name, created_at, updated_at)
select organization_id, id, id, 'Osoba', since, since from firm, customer;

insert into pipelines (organization_id, id, name, created_at, updated_at)
select organization_id, pg_temp.id_at(since, 1), 'Sale', since, since from firm;
insert into stages (organization_id, id, pipeline_id, name, position, kind, probability_percent, created_at, updated_at)
select organization_id, pg_temp.id_at(since, i), p.id, 'Stage ' || i, i, case i when 4 then 'won' when 5 then 'lost' else 'open' end,
    case i when 4 then 100 when 5 then 0 else 20 * i end, since, since
from firm join pipelines p using (organization_id), generate_series(0, 5) i;
create temp table stage as select position as n, id, pipeline_id, kind from stages;

insert into opportunities (organization_id, id, customer_id, title, value, currency, pipeline_id, stage_id, stage_kind,
    stage_entered_at, caretaker_id, expected_close_on, closed_at, tags, created_at, updated_at)
select organization_id, pg_temp.id_at(at, i), c.id, 'Sale ' || i, 1000 + i, 'PLN', s.pipeline_id, s.id, s.kind, at, o.id,
    case when i % 4 > 0 then at::date + 30 + i % 60 end, case when s.kind <> 'open' then at end, pg_temp.tags(i, 20000), at, at
from firm, (select i, pg_temp.moment(i, 20000) as at from generate_series(0, 19999) i offset 0) written
join customer c on c.n = i % 2000 join operator o on o.n = i % 40 join stage s on s.n = case when i < 18000 then 4 + i % 2 else i % 6 end;
create temp table opportunity as select row_number() over (order by id) - 1 as n, id, customer_id, stage_id from opportunities;
-- The first has wandered about, the others went through all stages that they have passed.
insert into stage_changes (organization_id, id, opportunity_id, from_stage_id, from_entered_at, to_stage_id, changed_at)
select organization_id, pg_temp.id_at(p.created_at + interval '1 hour' * i, i), p.id, f.id,
    case when i > 0 then p.created_at + interval '1 hour' * (i - 1) end, t.id, p.created_at + interval '1 hour' * i
from opportunities p
cross join lateral generate_series(0, case when p.created_at = (select since from firm) then 199 else 3 end) i
join stage t on t.n = i % 4 left join stage f on i > 0 and f.n = (i - 1) % 4;

-- The second was closed when everything in it went to the first, and so were some more.
insert into threads (organization_id, id, subject, customer_id, caretaker_id, status, closed_at, merged_into_id, tags, created_at, updated_at)
select organization_id, pg_temp.id_at(at, i), 'Matter ' || i, c.id, o.id, case when i < 15000 and i <> 0 then 'closed' else 'open' end,
    case when i < 15000 and i <> 0 then at end, case when i between 1 and 120 then pg_temp.id_at(since, 0) end,
    pg_temp.tags(i, 20000), at, at
from firm, (select i, pg_temp.moment(i, 20000) as at from generate_series(0, 19999) i offset 0) written
join customer c on c.n = i % 2000 join operator o on o.n = i % 40;
create temp table thread as select row_number() over (order by id) - 1 as n, id from threads where merged_into_id is null;

insert into task_series (organization_id, id, rule, time_zone, first_at, all_day, title, priority, created_at, updated_at)
select organization_id, pg_temp.id_at(since, i), 'FREQ=DAILY', 'Europe/Warsaw', since, false, 'Daily ' || i, 'normal', since, since
from firm, generate_series(0, 9) i;
create temp table series as select row_number() over (order by id) - 1 as n, id from task_series;
-- Some more that go on, and many that were cut.
insert into task_series (organization_id, id, rule, time_zone, first_at, ends_before, all_day, lead_minutes, title, caretaker_id,
    customer_id, registered_by_id, priority, created_at, updated_at)
select organization_id, pg_temp.id_at(since, 100 + i), 'FREQ=WEEKLY', 'Europe/Warsaw', since + interval '1 hour' * (i % 168),
    case when i >= 200 then since + interval '1 day' * (7 + i % 2000) end, false, 60, 'Weekly ' || i, o.id, c.id, o.id, 'normal', since, since
from firm, generate_series(0, 4999) i join operator o on o.n = i % 40 join customer c on c.n = i % 2000;
analyze firm, operator, customer, stage, opportunity, thread, series;

-- Each tenth is a main task, those after it are below it, and many more below the first. One thread holds a great deal, most
-- hold little. Some that lie behind are still open. Most take some weeks, some an hour, and a few more than a year.
insert into tasks (organization_id, id, title, customer_id, caretaker_id, registered_by_id, priority, status, percent_done, start_at, due_at,
    ends_at, all_day, deadline_at, estimate_minutes, planned_minutes, thread_id, parent_task_id, parent_interaction_id, opportunity_id,
    task_series_id, occurrence_at, tags, assigned_at, closed_at, created_at, updated_at)
select organization_id, pg_temp.id_at(at, i), 'Task ' || i, c.id, o.id, o.id,
    (array['low', 'normal', 'high', 'urgent'])[1 + i % 4],
    case when not is_open then 'done' when i % 3 = 0 then 'in_progress' else 'open' end,
    case when not is_open then 100 when i % 3 = 0 then 40 else 0 end,
    at, due_at, coalesce(due_at, at), false, coalesce(due_at, '9999-01-01 00:00:00+00'), 60, 60, t.id,
    case when i in (1, 2, 3) or i between 1000 and 1200 then pg_temp.id_at(since, 0) when i % 10 <> 0 then pg_temp.id_at(pg_temp.moment(i / 10 * 10, 300000), i / 10 * 10) end,
    case when i % 10 = 0 and i > 1200 then pg_temp.id_at(pg_temp.moment(case when i < 2500 then 0 else i / 3 * 10 end, 1000000), case when i < 2500 then 0 else i / 3 * 10 end) end,
    p.id, s.id, case when s.id is not null then at end, pg_temp.tags(i, 300000), at, case when not is_open then at + interval '5 days' end, at, at
from firm, (select i, pg_temp.moment(i, 300000) as at from generate_series(0, 299999) i offset 0) written
cross join lateral (select
    case
        when i % 9 = 0 then null
        when i % 1000 = 1 then at + interval '400 days'
        when i % 10 = 2 then at + interval '1 hour'
        else at + interval '20 days'
    end as due_at, i > 290000 or i % 40 = 3 as is_open) state
join customer c on c.n = i / 10 % 2000 join operator o on o.n = i % 40
left join thread t on t.n = case when i % 100 < 10 then 0 when i % 3 = 0 then i / 10 % 19000 end
left join opportunity p on i % 20 = 0 and p.n = i / 10 % 2000
left join series s on i % 150 = 7 and s.n = i / 150 % 10;
create temp table task as
select row_number() over (order by id) - 1 as n, id, customer_id, thread_id, opportunity_id from tasks;
analyze task;

-- Half of those below something are below the first. What could be billed is invoiced, but for the last years.
insert into interactions (organization_id, id, customer_id, person_id, operator_id, registered_by_id, caretaker_id, channel, direction, status,
    started_at, duration_minutes, subject, billable, billed_minutes, resolved_rate, rate_source, cost, currency, opportunity_id, stage_id,
    thread_id, parent_task_id, parent_interaction_id, tags, invoice_id, created_at, updated_at)
select organization_id, pg_temp.id_at(at, i), c.id, case when i % 4 = 0 then c.id end, o.id, o.id, o.id,
    (array['phone', 'email', 'meeting', 'video', 'chat', 'letter', 'other'])[1 + i % 7], 'inbound',
    case when i % 40 = 0 then 'not_held' when i > 990000 then 'planned' else 'held' end, at + interval '20 days', i % 90, 'Contact ' || i,
    i % 2 = 0, i % 90, 120, 'organization', round(i % 90 * 120.00 / 60, 2), 'PLN', p.id, p.stage_id, t.id,
    case when i % 10 = 0 then k.id end, case when i > 0 and i % 1000 = 1 then pg_temp.id_at(since, 0) end,
    pg_temp.tags(i, 1000000),
    case when i < 950000 and i % 2 = 0 and i % 40 > 0 and i % 90 > 0 then pg_temp.id_at(since, c.n::integer) end, at, at
from firm, (select i, pg_temp.moment(i, 1000000) as at from generate_series(0, 999999) i offset 0) written
join customer c on c.n = i % 2000 join operator o on o.n = i % 40
left join thread t on t.n = case when i % 200 = 0 then 0 when i % 3 = 0 then i % 19000 end
left join opportunity p on i % 50 = 0 and p.n = i % 2000
left join task k on i % 10 = 0 and k.n = case when i % 2000 = 0 then 0 else i / 4 % 300000 end;

-- A great deal of the work is on the first task.
insert into work_entries (organization_id, id, task_id, customer_id, thread_id, opportunity_id, stage_id, operator_id, registered_by_id,
    started_at, duration_minutes, billable, billed_minutes, resolved_rate, rate_source, cost, currency, invoice_id, created_at, updated_at)
select organization_id, pg_temp.id_at(at, i), k.id, k.customer_id, k.thread_id, p.id, p.stage_id, o.id, o.id, at, 1 + i % 120, i % 500 > 0,
    1 + i % 120, 120, 'organization', round((1 + i % 120) * 120.00 / 60, 2), 'PLN',
    case when i < 285000 and i % 500 > 0 then pg_temp.id_at(since, (k.n % 2000)::integer) end, at, at
from firm, (select i, pg_temp.moment(i, 300000) as at from generate_series(0, 299999) i offset 0) written
join operator o on o.n = i % 40 join task k on k.n = case when i % 1000 = 0 then 0 else i end
left join opportunity p on p.id = k.opportunity_id;

insert into invoices (organization_id, id, kind, status, customer_id, seller, buyer, currency, price_mode, payment_method, language,
    vat_totals, net, vat, gross, created_at, updated_at)
select organization_id, pg_temp.id_at(since, c.n::integer), 'invoice', 'draft', c.id, '{}', '{}', 'PLN', 'net', 'transfer', 'pl', '[]', 0, 0, 0,
    since, since
from firm, customer c;

-- A fifth of the files is on the first record of its kind, and another fifth of their uses is one file's.
insert into file_objects (organization_id, id, state, sha256, size_bytes, touched_at, created_at)
select organization_id, pg_temp.id_at(at, i), 'kept', sha256(i::text::bytea), 1000 + i, at, at
from firm, generate_series(0, 149999) i cross join lateral pg_temp.moment(i, 150000) at;
insert into files (organization_id, id, object_id, name, media_type, sha256, size_bytes, registered_by_id, crm_uses, billing_uses, created_at, updated_at)
select f.organization_id, f.id, f.id, 'file-' || f.size_bytes || '.pdf', 'application/pdf', f.sha256, f.size_bytes, o.id, 1, 0, f.created_at, f.created_at
from file_objects f join operator o on o.n = f.size_bytes % 40;
analyze invoices, file_objects, files, interactions;
insert into attachments (organization_id, id, file_id, interaction_id, task_id, customer_id, thread_id, invoice_id, of_customer_id,
    of_thread_id, of_caretaker_id, registered_by_id, created_at, updated_at)
select firm.organization_id, pg_temp.id_at(at, i),
    pg_temp.id_at(case when i / 10 % 5 = 2 and i % 10 < 8 then since else at end, case when i / 10 % 5 = 2 and i % 10 < 8 then 0 else i end),
    a.id, k.id, case when i % 10 = 8 then c.id end, t.id, v.id,
    coalesce(a.customer_id, k.customer_id, c.id), coalesce(a.thread_id, k.thread_id, t.id), coalesce(a.caretaker_id, k.caretaker_id),
    o.id, at, at
from firm cross join (
    select i, pg_temp.moment(i, 150000) as at, case when i / 10 % 5 = 0 then 0 else i end as place from generate_series(0, 149999) i offset 0
) written
join operator o on o.n = i % 40
left join tasks k on i % 10 < 4 and k.organization_id = firm.organization_id and k.id = pg_temp.id_at(pg_temp.moment(place * 2, 300000), place * 2)
left join interactions a on i % 10 between 4 and 6 and a.organization_id = firm.organization_id and a.id = pg_temp.id_at(pg_temp.moment(place * 6, 1000000), place * 6)
left join thread t on i % 10 = 7 and t.n = place / 10
left join customer c on i % 10 in (8, 9) and c.n = place / 10 % 2000
left join invoices v on i % 10 = 9 and v.customer_id = c.id;

insert into articles (organization_id, id, title, body, language, status, published_at, created_at, updated_at)
select organization_id, pg_temp.id_at(since, 1), 'Article', 'Text', 'pl', 'published', since, since, since from firm;
insert into attachments (organization_id, id, file_id, article_id, created_at, updated_at)
select f.organization_id, pg_temp.id_at(now()::timestamp, f.size_bytes::integer), f.id, a.id, now(), now()
from files f join articles a using (organization_id) where f.size_bytes < 1003;

-- The first tasks have most of what is asked for a task. Some are answered at an address that has run out, or not.
insert into surveys (organization_id, id, title, status, questions, published_version, version, created_at, updated_at)
select organization_id, pg_temp.id_at(since, i), 'Survey ' || i, case i when 3 then 'closed' else 'open' end, '[]', 1, 1, since, since
from firm, generate_series(1, 3) i;
insert into survey_versions (organization_id, survey_id, version, questions, published_at)
select organization_id, id, 1, '[{}]', created_at from surveys;
insert into survey_links (organization_id, id, survey_id, single_use, expires_at, secret_hash, created_at, updated_at)
select organization_id, id, id, false, now() + case when title = 'Survey 1' then interval '1 day' else interval '-1 day' end,
    sha256(title::bytea), created_at, created_at
from surveys;
insert into survey_responses (organization_id, id, survey_id, survey_version, customer_id, person_id, operator_id, registered_by_id,
    interaction_id, task_id, thread_id, link_id, answers, completed_at, created_at, updated_at)
select firm.organization_id, pg_temp.id_at(at, i), s.id, 1, c.id, c.id, o.id, o.id, a.id, k.id, t.id,
    case when i % 50 = 0 then s.id end, '{}', case when i % 10 > 0 then at end, at, at
from firm cross join (select i, pg_temp.moment(i, 200000) as at from generate_series(0, 199999) i offset 0) written
join customer c on c.n = i % 2000 join operator o on o.n = i % 40
join (select row_number() over (order by id) - 1 as n, id from surveys) s on s.n = i % 3
left join interactions a on i % 10 = 1 and a.organization_id = firm.organization_id
    and a.id = pg_temp.id_at(pg_temp.moment(i % 20000, 1000000), i % 20000)
left join task k on i % 10 = 2 and k.n = case when i % 100 = 2 then 0 else i end
left join thread t on t.n = case when i % 100 = 2 then 0 when i % 10 = 2 then i % 19000 end;

-- Every other main task is one of a run, with those below it.
insert into procedures (organization_id, id, name, steps, published_version, created_at, updated_at)
select organization_id, pg_temp.id_at(since, i), 'Procedure ' || i, '[{}]', 1, since, since from firm, generate_series(0, 19) i;
insert into procedure_versions (organization_id, procedure_id, version, steps, published_at)
select organization_id, id, 1, steps, created_at from procedures;
insert into procedure_runs (organization_id, id, procedure_id, procedure_version, customer_id, period_start_on, period_end_on, started_on,
    task_id, registered_by_id, created_at, updated_at, state)
select k.organization_id, k.id, p.id, 1, k.customer_id, day, day + 1, k.created_at::date, k.id, k.registered_by_id, k.created_at,
    k.created_at, case when k.closed_at is null then 'open' else 'done' end
from firm join tasks k using (organization_id) join task on task.id = k.id and task.n % 20 = 0
cross join lateral (select since::date + (task.n / 20000 * 100)::integer as day) period
join (select row_number() over (order by id) - 1 as n, id from procedures) p on p.n = task.n / 10 % 20;
insert into procedure_steps (organization_id, id, run_id, position, key, waits_for, task_id, caretaker_id, due_on, files_required,
    is_extra, opened_at, created_at, updated_at, closed_at, procedure_id, customer_id, period_start_on, assignee, is_done)
select k.organization_id, k.id, r.id, task.n % 10, 'step' || task.n % 10, '{}', k.id, k.caretaker_id, k.due_at::date, 0, false,
    case when task.n % 10 < 6 or k.closed_at is not null then k.created_at end, k.created_at, k.created_at, k.closed_at, r.procedure_id,
    r.customer_id, r.period_start_on, '{"kind": "caretaker"}', k.status = 'done'
from tasks k join task on task.id = k.id and task.n % 10 between 1 and 6
join task main on main.n = task.n / 10 * 10 join procedure_runs r on r.organization_id = k.organization_id and r.id = main.id;

insert into audit_entries (organization_id, id, at, actor_kind, action, resource_type, resource_id)
select organization_id, pg_temp.id_at(at, i), at, 'system', 'updated', 'task', pg_temp.id_at(since, 0)
from firm, generate_series(0, 999) i
cross join lateral pg_temp.moment(i, 1000) at;

insert into customer_tags select organization_id, tag, id, sort_name from customers, unnest(tags) tag;
insert into opportunity_tags select organization_id, tag, id, sort_close_on from opportunities, unnest(tags) tag;
insert into thread_tags select organization_id, tag, id from threads, unnest(tags) tag;
insert into task_tags select organization_id, tag, id, deadline_at from tasks, unnest(tags) tag;
insert into interaction_tags select organization_id, tag, id, started_at from interactions, unnest(tags) tag;

-- What the search box looks in, of two kinds of record.
insert into searched_records (organization_id, kind, record_id, title_words, words)
select organization_id, 1, id, 2, searched_words(name, null, '{}') from customers
union all
select organization_id, 3, id, 2, searched_words(subject, null, '{}') from threads;
insert into search_entries (organization_id, word, kind, place, record_id)
select organization_id, word, kind, place, record_id from searched_records, search_entries_of(words);

do $$
declare definition text;
begin
    for definition in select indexdef from index_to_come loop execute definition; end loop;
end
$$;
analyze;
