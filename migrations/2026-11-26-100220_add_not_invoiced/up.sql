-- Whom no run bills, by the day on which the next period was to be billed.
create index subscriptions_halted_idx on subscriptions (organization_id, next_issue_on, id)
    where state in ('paused', 'parked');
