//! A service protected end to end: every layer of the orders example.

use std::io;

use axum::extract::ConnectInfo;
use bartizan::{
    NormalizeLayer, ProblemLayer, Stack,
    access_log::AccessLogLayer,
    auth::{ApiKeyLayer, RequireLayer},
    client_addr::ClientAddrLayer,
    correlation_id::CorrelationIdLayer,
    metrics::{HTTP_SERVER_REQUEST_DURATION, MetricsLayer},
    rate_limit::{PerClientAddr, PerPrincipal, RateLimitLayer},
};
use http::StatusCode;
use tower_layer::Layer as _;

use super::{
    access_log::flush,
    api_key::{hundred_keys, with_credential},
    metrics::install_recorder,
    rate_limit::ENOUGH,
    request,
};
use crate::{Arm, Bare, Body, Prepared, Scenario};

pub(super) fn rows() -> Vec<Scenario> {
    vec![Scenario::ours("whole stack of ten layers, API key", None, ours)]
}

fn ours(arm: Arm) -> Prepared {
    let log = AccessLogLayer::json(io::sink());
    let flush = flush(&log);
    let (keys, credential) = hundred_keys();
    let request = move || {
        let mut request = with_credential(request::plain(), &credential);
        request.extensions_mut().insert(ConnectInfo(request::PEER));
        request
    };
    arm.prepare(request, StatusCode::OK, |bare: Bare<Body>| {
        install_recorder(HTTP_SERVER_REQUEST_DURATION);
        Stack::server()
            .push(ProblemLayer::new())
            .push(CorrelationIdLayer::new())
            .push(MetricsLayer::new())
            .push(log)
            .push(NormalizeLayer::new())
            .push(ClientAddrLayer::peer())
            .push(RateLimitLayer::new(ENOUGH.rate()).by(PerClientAddr).with_insecure_seed(1))
            .push(ApiKeyLayer::new(keys))
            .push(RateLimitLayer::new(ENOUGH.rate()).by(PerPrincipal).with_insecure_seed(2))
            .push(RequireLayer::scope("orders:read"))
            .build()
            .layer(bare)
    })
    .settled_by(flush)
}
