//! What operators see: metrics, and that the service is alive.

use axum::{Router, routing::get};
use metrics_exporter_prometheus::PrometheusHandle;

/// `/metrics` and `/health/live`. Whether the service is ready says gRPC's own health check.
pub(crate) fn routes(recorder: PrometheusHandle) -> Router {
    let metrics = move || {
        recorder.run_upkeep();
        std::future::ready(recorder.render())
    };
    Router::new().route("/metrics", get(metrics)).route("/health/live", get(async || "ok\n"))
}
