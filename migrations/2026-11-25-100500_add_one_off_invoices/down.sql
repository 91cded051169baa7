alter table invoice_templates
    drop constraint invoice_templates_series_id_fkey,
    drop column series_kind,
    add constraint invoice_templates_series_id_fkey foreign key (organization_id, series_id)
        references number_series (organization_id, id);

alter table invoice_lines drop column annex_15;

drop index invoices_status_idx;
drop index invoices_pro_forma_id_key;
alter table invoices
    drop constraint invoices_series_id_fkey,
    add constraint invoices_series_id_fkey foreign key (organization_id, series_id)
        references number_series (organization_id, id),
    drop constraint invoices_pro_forma_id_check,
    drop constraint invoices_pro_forma_id_fkey,
    drop constraint invoices_payment_term_check,
    drop constraint invoices_vat_pln_check,
    drop constraint invoices_exchange_rate_on_check,
    drop constraint invoices_exchange_rate_whole_check,
    drop column pro_forma_id,
    drop column split_payment,
    drop column vat_pln,
    drop column exchange_rate_source,
    drop column exchange_rate_on,
    drop column exchange_rate,
    drop column payment_days;

drop trigger number_series_go_on_in_time on number_series;
drop function number_series_go_on_in_time;
alter table number_series drop constraint number_series_kind_key, drop column kind;
