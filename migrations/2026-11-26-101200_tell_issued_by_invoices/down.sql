alter table invoice_run_results drop constraint invoice_run_results_pkey;
alter table invoice_run_results add primary key (organization_id, id);
create index invoice_run_results_run_id_idx on invoice_run_results (organization_id, run_id, id);

alter table subscriptions drop column last_run_id;

insert into invoice_run_results (
    organization_id, id, run_id, subscription_id, customer_id, period_start_on, period_end_on, scheduled_on, outcome,
    invoice_id, currency, net, vat, gross
)
select
    i.organization_id, i.id, i.run_id, i.subscription_id, i.customer_id, i.period_start_on, i.period_end_on,
    o.scheduled_on, 'invoiced', i.id, i.currency, i.net, i.vat, i.gross
from invoices i
join invoice_runs n on n.organization_id = i.organization_id and n.id = i.run_id and n.mode = 'issue'
join occurrences o on o.organization_id = i.organization_id and o.invoice_id = i.id;
