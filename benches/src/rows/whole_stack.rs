//! Services protected end to end: every layer of the orders example, and the eight that most services have.

use std::io;

use axum::{Router, extract::ConnectInfo, routing::get};
use bartizan::{
    NormalizeLayer, ProblemLayer, Stack,
    access_log::AccessLogLayer,
    auth::{ApiKeyLayer, KeySet, RequireLayer},
    client_addr::ClientAddrLayer,
    correlation_id::CorrelationIdLayer,
    metrics::{HTTP_SERVER_REQUEST_DURATION, MetricsLayer},
    rate_limit::{PerClientAddr, PerPrincipal, RateLimitLayer},
};
use http::{HeaderValue, Request, StatusCode, header};
use tower_layer::Layer as _;

use super::{
    access_log::flush,
    api_key::{hundred_keys, with_credential},
    jwt,
    metrics::install_recorder,
    rate_limit::ENOUGH,
    request,
};
use crate::{Arm, Bare, Body, Budget, Prepared, Scenario};

const HS256: &str = "whole stack of eight layers on an axum router, HS256";
const RS256: &str = "whole stack of eight layers on an axum router, RS256";

pub(super) fn rows() -> Vec<Scenario> {
    let stack = Budget::new(12_000, 15);
    vec![
        Scenario::ours("whole stack of ten layers, API key", None, ours),
        Scenario::ours(HS256, Some(stack), |arm| {
            let secret = jwt::Secret::new();
            eight(arm, secret.keys(), secret.authorization())
        }),
        Scenario::ours(RS256, Some(stack), |arm| {
            let issuer = jwt::Issuer::new();
            eight(arm, issuer.keys(), issuer.authorization())
        }),
    ]
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

/// Routed by axum, whose request and response bodies and services are boxed: that is so in both arms.
fn eight(arm: Arm, keys: KeySet, authorization: HeaderValue) -> Prepared {
    let request = move || {
        let mut request: Request<Body> = request::plain();
        request.headers_mut().insert(header::AUTHORIZATION, authorization.clone());
        request.extensions_mut().insert(ConnectInfo(request::PEER));
        request
    };
    let log = AccessLogLayer::json(io::sink());
    let flush = flush(&log);
    Prepared::new(router(arm, keys, log), request, StatusCode::OK).settled_by(flush)
}

/// A router of one route, in eight layers if this arm says so. As where axum serves it, it has its state before the
/// first request.
pub(crate) fn router(arm: Arm, keys: KeySet, log: AccessLogLayer) -> Router {
    let answer = async || ([(header::CONTENT_TYPE, "application/json")], "{\"id\":1}");
    let router = Router::new().route("/v1/orders/{id}", get(answer));
    if arm == Arm::Bare {
        return router.with_state(());
    }
    install_recorder(HTTP_SERVER_REQUEST_DURATION);
    let stack = Stack::server()
        .push(ProblemLayer::new())
        .push(CorrelationIdLayer::new())
        .push(MetricsLayer::new())
        .push(log)
        .push(NormalizeLayer::new())
        .push(ClientAddrLayer::peer())
        .push(jwt::layer(keys))
        .push(RateLimitLayer::new(ENOUGH.rate()).by(PerPrincipal).with_insecure_seed(1));
    router.layer(stack.build()).with_state(())
}
