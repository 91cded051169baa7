alter table subscriptions
    add column paused_on date,
    add constraint subscriptions_paused_check check (
        case state when 'paused' then paused_on is not null when 'ended' then true else paused_on is null end
    );
comment on column subscriptions.paused_on is 'The first day of its pause. One that has no period left is ended, paused or not.';

alter table occurrences
    add column skip_reason text,
    add constraint occurrences_skip_reason_check check (
        skip_reason is null or (state = 'skipped' and length(skip_reason) between 1 and 500)
    );
comment on column occurrences.skip_reason is 'Why somebody skipped it.';
