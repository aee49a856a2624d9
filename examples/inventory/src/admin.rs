//! What operators see: metrics, and how the service is.

use axum::{Router, http::StatusCode, routing::get};
use inventory::Shelf;
use metrics_exporter_prometheus::PrometheusHandle;

/// `/metrics`, `/health/live` and `/health/ready`.
pub(crate) fn routes(recorder: PrometheusHandle, shelf: Shelf) -> Router {
    let metrics = move || {
        recorder.run_upkeep();
        std::future::ready(recorder.render())
    };
    // From the signal to stop on, while calls in flight finish, none should come in addition.
    let ready = async move || {
        if shelf.is_closed() {
            (StatusCode::SERVICE_UNAVAILABLE, "stopping\n")
        } else {
            (StatusCode::OK, "ok\n")
        }
    };
    Router::new()
        .route("/metrics", get(metrics))
        .route("/health/live", get(async || "ok\n"))
        .route("/health/ready", get(ready))
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, http::Request};
    use metrics_exporter_prometheus::PrometheusBuilder;
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn a_service_that_stops_is_alive_and_not_ready() {
        let shelf = Shelf::default();
        let routes = routes(PrometheusBuilder::new().build_recorder().handle(), shelf.clone());
        let status = async |path: &str| {
            let request = Request::get(path).body(Body::empty()).unwrap();
            routes.clone().oneshot(request).await.unwrap().status().as_u16()
        };
        assert_eq!((status("/health/live").await, status("/health/ready").await), (200, 200));
        shelf.close();
        assert_eq!((status("/health/live").await, status("/health/ready").await), (200, 503));
    }
}
