create table pipelines (
    organization_id uuid not null references organizations (id),
    id uuid not null,
    name text not null check (length(name) between 1 and 120),
    archived_at timestamptz,
    version integer not null default 1,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (organization_id, id),
    constraint pipelines_name_key unique (organization_id, name)
);

create table stages (
    organization_id uuid not null,
    id uuid not null,
    pipeline_id uuid not null,
    name text not null check (length(name) between 1 and 120),
    position smallint not null check (position >= 0),
    kind text not null check (kind in ('open', 'won', 'lost')),
    probability_percent smallint not null check (probability_percent between 0 and 100),
    version integer not null default 1,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (organization_id, id),
    constraint stages_pipeline_id_fkey foreign key (organization_id, pipeline_id)
        references pipelines (organization_id, id) on delete cascade,
    constraint stages_name_key unique (organization_id, pipeline_id, name),
    -- Checked at the end of a statement, so that one statement can put all stages in another order.
    constraint stages_position_key unique (organization_id, pipeline_id, position) deferrable,
    constraint stages_kind_key unique (organization_id, pipeline_id, id, kind),
    constraint stages_outcome_check check (
        (kind <> 'won' or probability_percent = 100) and (kind <> 'lost' or probability_percent = 0)
    )
);

create table opportunities (
    organization_id uuid not null,
    id uuid not null,
    customer_id uuid not null,
    title text not null check (length(title) between 1 and 240),
    description text,
    value numeric(14, 2) not null check (value >= 0),
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    pipeline_id uuid not null,
    stage_id uuid not null,
    stage_kind text not null,
    stage_entered_at timestamptz not null,
    caretaker_id uuid,
    registered_by_id uuid,
    expected_close_on date,
    sort_close_on date not null generated always as (coalesce(expected_close_on, '9999-12-31')) stored,
    closed_at timestamptz,
    tags text[] not null default '{}',
    version integer not null default 1,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (organization_id, id),
    constraint opportunities_customer_id_fkey foreign key (organization_id, customer_id)
        references customers (organization_id, id),
    -- A stage that becomes one of another kind takes its opportunities along.
    constraint opportunities_stage_id_fkey foreign key (organization_id, pipeline_id, stage_id, stage_kind)
        references stages (organization_id, pipeline_id, id, kind) on update cascade,
    constraint opportunities_caretaker_id_fkey foreign key (organization_id, caretaker_id)
        references operators (organization_id, id),
    constraint opportunities_registered_by_id_fkey foreign key (organization_id, registered_by_id)
        references operators (organization_id, id),
    constraint opportunities_customer_id_id_key unique (organization_id, customer_id, id),
    constraint opportunities_closed_at_check check ((stage_kind = 'open') = (closed_at is null))
);
comment on column opportunities.sort_close_on is 'Its place in the order of expected_close_on: far away without a day.';
create index opportunities_stage_id_idx on opportunities (organization_id, stage_id, id);
create index opportunities_pipeline_id_idx on opportunities (organization_id, pipeline_id, id);
create index opportunities_stage_kind_idx on opportunities (organization_id, stage_kind, id);
create index opportunities_caretaker_id_idx on opportunities (organization_id, caretaker_id, id);
create index opportunities_sort_close_on_idx on opportunities (organization_id, sort_close_on, id);

-- Whether it moves or its stage becomes one of another kind: it is closed since it stands where sales end. From one end
-- to another of the same kind it was closed before.
create function close_opportunity() returns trigger language plpgsql as $$
begin
    new.closed_at := case
        when new.stage_kind = 'open' then null
        when new.stage_kind = old.stage_kind then old.closed_at
        else new.stage_entered_at
    end;
    return new;
end
$$;
create trigger opportunities_close before insert or update of stage_kind on opportunities
    for each row execute function close_opportunity();

create table stage_changes (
    organization_id uuid not null,
    id uuid not null,
    opportunity_id uuid not null,
    from_stage_id uuid,
    from_entered_at timestamptz,
    to_stage_id uuid not null,
    changed_at timestamptz not null,
    operator_id uuid,
    note text,
    primary key (organization_id, id),
    constraint stage_changes_opportunity_id_fkey foreign key (organization_id, opportunity_id)
        references opportunities (organization_id, id) on delete cascade,
    constraint stage_changes_from_stage_id_fkey foreign key (organization_id, from_stage_id)
        references stages (organization_id, id),
    constraint stage_changes_to_stage_id_fkey foreign key (organization_id, to_stage_id)
        references stages (organization_id, id),
    constraint stage_changes_operator_id_fkey foreign key (organization_id, operator_id)
        references operators (organization_id, id),
    check ((from_stage_id is null) = (from_entered_at is null))
);
comment on table stage_changes is
    'Where an opportunity stood since when: the first row is its beginning, each later one a move. Nobody edits them.';
create index stage_changes_opportunity_id_idx on stage_changes (organization_id, opportunity_id, changed_at, id);
create index stage_changes_to_stage_id_idx on stage_changes (organization_id, to_stage_id, changed_at);
create index stage_changes_from_stage_id_idx on stage_changes (organization_id, from_stage_id, changed_at);
