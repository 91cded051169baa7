-- What a run that issues has invoiced is told by its invoices, which never change: no row beside each of them.
delete from invoice_run_results r
using invoice_runs n
where n.organization_id = r.organization_id and n.id = r.run_id and n.mode = 'issue' and r.outcome = 'invoiced';

-- Which run took it up last, so that a run takes each up once, also when it resumes. It is only compared: no key.
alter table subscriptions add column last_run_id uuid;
update subscriptions s
set last_run_id = r.run_id
from invoice_run_results r
join invoice_runs n
    on n.organization_id = r.organization_id and n.id = r.run_id and n.status in ('queued', 'running')
    and n.mode <> 'preview'
where r.organization_id = s.organization_id and r.subscription_id = s.id;

-- Nothing but a run's list reads them.
alter table invoice_run_results drop constraint invoice_run_results_pkey;
drop index invoice_run_results_run_id_idx;
alter table invoice_run_results add primary key (organization_id, run_id, id);
