//! What operators see: metrics, and how the service and those it calls are.

use axum::{Json, Router, http::StatusCode, routing::get};
use bartizan::circuit_breaker::BreakerReport;
use metrics_exporter_prometheus::PrometheusHandle;
use orders::{Supplier, Tokens};
use serde::Serialize;

/// `/metrics`, `/health/live` and `/health/ready`.
pub(crate) fn routes(recorder: PrometheusHandle, tokens: Tokens, supplier: Supplier) -> Router {
    let shown = supplier.clone();
    let metrics = move || {
        // Says the states of the breakers again, for a recorder that came after the last change.
        let _ = shown.breakers();
        recorder.run_upkeep();
        std::future::ready(recorder.render())
    };
    let ready = async move || {
        let health = Health::of(tokens.ready().await, &supplier.breakers());
        (if health.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, Json(health))
    };
    Router::new()
        .route("/metrics", get(metrics))
        .route("/health/live", get(async || "ok\n"))
        .route("/health/ready", get(ready))
}

/// Whether the service can do its work. An open breaker does not count: the service is well, and what it calls is not.
#[derive(Debug, Serialize)]
struct Health {
    ready: bool,
    /// The keys of tokens.
    tokens: &'static str,
    breakers: Vec<Breaker>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Breaker {
    name: String,
    /// The host.
    key: String,
    state: &'static str,
    /// Until it is tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    remaining_seconds: Option<f64>,
    calls: u64,
    failures: u64,
}

impl Health {
    fn of(tokens: bool, breakers: &[BreakerReport]) -> Self {
        let breakers = breakers.iter().map(|breaker| Breaker {
            name: breaker.name.to_string(),
            key: breaker.key.to_string(),
            state: breaker.snapshot.state.as_str(),
            remaining_seconds: breaker.snapshot.remaining.map(|remaining| remaining.as_secs_f64()),
            calls: breaker.snapshot.calls,
            failures: breaker.snapshot.failures,
        });
        let tokens_are = if tokens { "ready" } else { "no keys for tokens yet" };
        Self { ready: tokens, tokens: tokens_are, breakers: breakers.collect() }
    }
}
