//! The whole URL map. What is registered here is what is served, documented and enforced.

use crate::{
    api_keys, audit_log, auth, customers, events, hourly_rates, interactions, me, operators, organization, people,
    time_cost, timeline,
};
use utoipa_actix_web::service_config::ServiceConfig;

/// Everything under `/api/v1`.
pub fn api(config: &mut ServiceConfig) {
    auth::routes(config);
    me::routes(config);
    organization::routes(config);
    operators::routes(config);
    api_keys::routes(config);
    customers::routes(config);
    timeline::routes(config);
    people::routes(config);
    hourly_rates::routes(config);
    interactions::routes(config);
    time_cost::routes(config);
    audit_log::routes(config);
    events::routes(config);
}
