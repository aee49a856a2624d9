//! Every name this crate gives to the outside: metrics, labels and what they mean.

use metrics::{Gauge, Key, KeyName, Level, Metadata, Recorder, SharedString, Unit};

/// How long requests took, until the end of the response body: a histogram in seconds, labelled with
/// `http_request_method`, `http_route` and `http_response_status_code`, and with `error_type` on failures.
pub const HTTP_SERVER_REQUEST_DURATION: &str = "http_server_request_duration_seconds";

/// How long gRPC calls took, until the end of the trailers: a histogram in seconds, labelled with `rpc_method` and
/// `rpc_status_code`, and with `error_type` on failures.
pub const RPC_SERVER_CALL_DURATION: &str = "rpc_server_call_duration_seconds";

/// The requests and calls that are running now: a gauge.
pub const HTTP_SERVER_ACTIVE_REQUESTS: &str = "http_server_active_requests";

/// The refused requests: a counter, labelled with the `layer` that refused and the `code` of the refusal.
pub const REJECTIONS: &str = "bartizan_rejections_total";

/// How long requests to an upstream took, attempt by attempt, until the end of the response body: a histogram in
/// seconds, labelled with the upstream's `name`, `http_request_method` and `http_response_status_code`, and with
/// `error_type` on failures.
pub const HTTP_CLIENT_REQUEST_DURATION: &str = "http_client_request_duration_seconds";

/// How long gRPC calls of an upstream took with all their attempts, until the end of the trailers: a histogram in
/// seconds, labelled with the upstream's `name`, `rpc_method` and `rpc_status_code`, and with `error_type` on failures.
pub const RPC_CLIENT_CALL_DURATION: &str = "rpc_client_call_duration_seconds";

/// The bucket boundaries of the durations, in seconds, as OpenTelemetry's conventions have them. Hand them to
/// the exporter: it, not this layer, decides the buckets.
pub const DURATION_BUCKETS: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// What a label says when the true value is not one of a bounded set.
pub(crate) const OTHER: &str = "_OTHER";

pub(crate) mod label {
    pub(crate) const NAME: &str = "name";
    pub(crate) const METHOD: &str = "http_request_method";
    pub(crate) const ROUTE: &str = "http_route";
    pub(crate) const STATUS: &str = "http_response_status_code";
    pub(crate) const RPC_METHOD: &str = "rpc_method";
    pub(crate) const RPC_STATUS: &str = "rpc_status_code";
    pub(crate) const ERROR: &str = "error_type";
    pub(crate) const LAYER: &str = "layer";
    pub(crate) const CODE: &str = "code";
}

pub(crate) const METADATA: Metadata<'static> =
    Metadata::new(module_path!(), Level::INFO, Some(module_path!()));

/// Tells `recorder` what the metrics mean and in what unit they are.
pub(crate) fn describe(recorder: &dyn Recorder) {
    let text = SharedString::const_str;
    recorder.describe_histogram(
        KeyName::from_const_str(HTTP_SERVER_REQUEST_DURATION),
        Some(Unit::Seconds),
        text("Duration of HTTP server requests, until the end of the response body."),
    );
    recorder.describe_histogram(
        KeyName::from_const_str(RPC_SERVER_CALL_DURATION),
        Some(Unit::Seconds),
        text("Duration of gRPC server calls, until the end of the trailers."),
    );
    recorder.describe_counter(
        KeyName::from_const_str(REJECTIONS),
        Some(Unit::Count),
        text("Requests refused, by the layer that refused and the code of the refusal."),
    );
}

/// The gauge of what is running, described.
pub(crate) fn register_active(recorder: &dyn Recorder) -> Gauge {
    recorder.describe_gauge(
        KeyName::from_const_str(HTTP_SERVER_ACTIVE_REQUESTS),
        Some(Unit::Count),
        SharedString::const_str("HTTP requests and gRPC calls that are running now."),
    );
    recorder.register_gauge(&Key::from_static_name(HTTP_SERVER_ACTIVE_REQUESTS), &METADATA)
}

/// The same for the client's metrics.
pub(crate) fn describe_client(recorder: &dyn Recorder) {
    recorder.describe_histogram(
        KeyName::from_const_str(HTTP_CLIENT_REQUEST_DURATION),
        Some(Unit::Seconds),
        SharedString::const_str("Duration of HTTP requests to an upstream, each attempt by itself."),
    );
    recorder.describe_histogram(
        KeyName::from_const_str(RPC_CLIENT_CALL_DURATION),
        Some(Unit::Seconds),
        SharedString::const_str("Duration of gRPC calls of an upstream, with all their attempts."),
    );
}
