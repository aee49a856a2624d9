//! The service behind its layers.

use axum::{Router, extract::DefaultBodyLimit, routing::post};
use bartizan::{
    NormalizeLayer, ProblemLayer, Stack,
    access_log::AccessLogLayer,
    correlation_id::{CorrelationIdLayer, TraceContextLayer},
};

use crate::calls::{self, Caller};

/// The most bytes of a request.
const MAX_BODY: usize = 64 * 1024;

/// The whole service: `POST /test`.
pub fn app(log: AccessLogLayer) -> Router {
    let stack = Stack::server()
        .push(ProblemLayer::new())
        .push(CorrelationIdLayer::new())
        .push(TraceContextLayer::new())
        .push(log)
        .push(NormalizeLayer::new());
    Router::new()
        .route("/test", post(calls::make))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(stack.build())
        .with_state(Caller::new())
}
