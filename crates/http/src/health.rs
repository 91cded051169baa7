//! Whether this node lives, whether it can serve, and its figures for Prometheus.

use crate::problem::ApiError;
use crate::state::{State, blocking};
use actix_web::http::header;
use actix_web::{HttpResponse, Responder, get, web};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use serde_json::json;
use std::sync::LazyLock;
use std::time::Duration;

/// The process's one recorder of figures.
static FIGURES: LazyLock<Option<PrometheusHandle>> =
    LazyLock::new(|| PrometheusBuilder::new().set_buckets(&BUCKETS_SECONDS).ok()?.install_recorder().ok());

const BUCKETS_SECONDS: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5, 10.0];

/// Longer than the pool waits for a connection, shorter than a probe does.
const ANSWERED_WITHIN: Duration = Duration::from_secs(8);

/// Starts counting, before the first request.
pub fn start_figures() {
    LazyLock::force(&FIGURES);
}

pub fn routes(config: &mut web::ServiceConfig) {
    config.service(live).service(ready).service(figures);
}

#[get("/health/live")]
async fn live() -> impl Responder {
    HttpResponse::Ok().json(json!({ "status": "ok" }))
}

/// Ready while the database answers.
#[get("/health/ready")]
async fn ready(state: web::Data<State>) -> impl Responder {
    let db = state.db.clone();
    let answer = actix_web::rt::time::timeout(ANSWERED_WITHIN, blocking(move || db.ping())).await;
    match answer.unwrap_or_else(|_| Err(ApiError::unavailable("the database does not answer"))) {
        Ok(()) => HttpResponse::Ok().json(json!({ "status": "ok" })),
        Err(error) => {
            tracing::warn!(cause = error.cause, "not ready");
            HttpResponse::ServiceUnavailable().insert_header((header::RETRY_AFTER, "1")).finish()
        }
    }
}

#[get("/metrics")]
async fn figures() -> impl Responder {
    let text = FIGURES.as_ref().map(PrometheusHandle::render).unwrap_or_default();
    HttpResponse::Ok().content_type("text/plain; version=0.0.4").body(text)
}
