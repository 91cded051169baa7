//! The whole URL map. What is registered here is what is served, documented and enforced.

use crate::{
    api_keys, article_categories, articles, attachments, audit_log, auth, calendar, calendar_feeds, customers, events,
    exchange_rates, extra_lines, files, funnel, hourly_rates, interactions, invoice_emails, invoice_layouts,
    invoice_runs, invoice_templates, invoices, me, month_locks, not_invoiced, number_series, occurrences, operators,
    opportunities, organization, payments, people, pipelines, price_changes, procedures, progress, search,
    searches_without_result, stages, statements, subscriptions, surveys, synonyms, tasks, threads, time_cost, timeline,
    timer, unbilled_time, work_entries,
};
use utoipa_actix_web::service_config::ServiceConfig;

/// Everything under `/api/v1`.
pub fn api(config: &mut ServiceConfig) {
    auth::routes(config);
    me::routes(config);
    timer::routes(config);
    organization::routes(config);
    operators::routes(config);
    api_keys::routes(config);
    customers::routes(config);
    timeline::routes(config);
    people::routes(config);
    hourly_rates::routes(config);
    pipelines::routes(config);
    stages::routes(config);
    opportunities::routes(config);
    interactions::routes(config);
    tasks::routes(config);
    threads::routes(config);
    attachments::routes(config);
    work_entries::routes(config);
    files::routes(config);
    surveys::routes(config);
    procedures::routes(config);
    calendar::routes(config);
    calendar_feeds::routes(config);
    month_locks::routes(config);
    time_cost::routes(config);
    unbilled_time::routes(config);
    progress::routes(config);
    funnel::routes(config);
    article_categories::routes(config);
    articles::routes(config);
    synonyms::routes(config);
    search::routes(config);
    searches_without_result::routes(config);
    exchange_rates::routes(config);
    number_series::routes(config);
    invoice_layouts::routes(config);
    invoice_templates::routes(config);
    price_changes::routes(config);
    subscriptions::routes(config);
    extra_lines::routes(config);
    occurrences::routes(config);
    invoice_runs::routes(config);
    invoices::routes(config);
    invoice_emails::routes(config);
    payments::routes(config);
    statements::routes(config);
    not_invoiced::routes(config);
    audit_log::routes(config);
    events::routes(config);
}
