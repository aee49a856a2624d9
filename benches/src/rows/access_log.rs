//! One line of JSON for each request.

use std::{io, time::Duration};

use bartizan::access_log::AccessLogLayer;
use http::StatusCode;
use tower_http::trace::{DefaultMakeSpan, DefaultOnRequest, DefaultOnResponse, TraceLayer};
use tower_layer::Layer as _;
use tracing::Level;

use super::request;
use crate::{Arm, Bare, Body, Budget, Prepared, Scenario};

const LINE: &str = "access log, one JSON line";

pub(super) fn rows() -> Vec<Scenario> {
    vec![
        Scenario::ours(LINE, Some(Budget::new(3000, 1)), ours),
        Scenario::peer(LINE, "tower-http `TraceLayer`, tracing-subscriber json", trace_layer),
    ]
}

fn ours(arm: Arm) -> Prepared {
    let layer = AccessLogLayer::json(io::sink());
    let flush = flush(&layer);
    arm.prepare(request::with_context, StatusCode::OK, |bare: Bare<Body>| layer.layer(bare)).settled_by(flush)
}

/// Waits until all lines are written, so that a run does not find the lines of the warm-up.
pub(super) fn flush(layer: &AccessLogLayer) -> impl Fn() + 'static {
    let handle = layer.handle();
    move || handle.flush(Duration::from_secs(10)).expect("a sink takes everything at once")
}

/// A span with the request's method, URI and version, and one event in it when the response is there.
fn trace_layer(arm: Arm) -> Prepared {
    arm.prepare(request::with_context, StatusCode::OK, |bare: Bare<Body>| {
        let lines =
            tracing_subscriber::fmt().json().with_writer(io::sink).with_max_level(Level::INFO).finish();
        tracing::subscriber::set_global_default(lines).expect("each scenario is a process of its own");
        TraceLayer::new_for_http()
            .make_span_with(DefaultMakeSpan::new().level(Level::INFO))
            .on_request(DefaultOnRequest::new().level(Level::DEBUG))
            .on_response(DefaultOnResponse::new().level(Level::INFO))
            .layer(bare)
    })
}
