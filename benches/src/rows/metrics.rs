//! A counter and a histogram for each request.

use axum_prometheus::{AXUM_HTTP_REQUESTS_DURATION_SECONDS, BaseMetricLayer};
use bartizan::metrics::{DURATION_BUCKETS, HTTP_SERVER_REQUEST_DURATION, MetricsLayer};
use http::StatusCode;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
use tower_layer::Layer as _;

use super::request;
use crate::{Arm, Bare, Body, Budget, Prepared, Scenario};

const REQUEST_METRICS: &str = "request metrics, counter and histogram";

pub(super) fn rows() -> Vec<Scenario> {
    vec![
        Scenario::ours(REQUEST_METRICS, Some(Budget::new(700, 0).not_met_yet(850, 0)), ours),
        Scenario::peer(REQUEST_METRICS, "axum-prometheus", axum_prometheus),
    ]
}

fn ours(arm: Arm) -> Prepared {
    arm.prepare(request::with_context, StatusCode::OK, |bare: Bare<Body>| {
        install_recorder(HTTP_SERVER_REQUEST_DURATION);
        MetricsLayer::new().layer(bare)
    })
}

fn axum_prometheus(arm: Arm) -> Prepared {
    arm.prepare(request::with_context, StatusCode::OK, |bare: Bare<Body>| {
        install_recorder(AXUM_HTTP_REQUESTS_DURATION_SECONDS);
        BaseMetricLayer::new().layer(bare)
    })
}

/// A Prometheus recorder for the whole process, with this metric as a histogram. No one asks it what it collected.
pub(super) fn install_recorder(histogram: &str) {
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Full(histogram.to_owned()), &DURATION_BUCKETS)
        .expect("there are buckets");
    builder.install_recorder().expect("each scenario is a process of its own");
}
