//! The layer, whatever its spans are made of.

use std::{fmt, marker::PhantomData, sync::Arc};

use bartizan_core::{ClientLayer, phase::client};
use tower_layer::Layer;

use super::{ClientSpan, Settings};

/// Opens a `tracing` span around each outgoing request, and gives [`PropagateLayer`](crate::PropagateLayer) its id to send: each
/// attempt of an HTTP request where the layer stands by default, and each logical gRPC call where
/// [`of_calls`](Self::of_calls) puts it.
///
/// A retried HTTP request is several requests to its upstream, and each of them a span; a gRPC call is one span, whatever it
/// took (OpenTelemetry's semantic conventions for HTTP and RPC). So the layer stands twice in a client's stack that retries
/// both: once inside of the retries, where gRPC calls pass without a span, and once outside, where HTTP requests do.
///
#[cfg_attr(
    feature = "tracing",
    doc = r#"
```
use bartizan_correlation_id::{ClientSpanLayer, PropagateLayer};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use tower::{Layer, ServiceExt, service_fn};
use tracing::Level;

# #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
# let _guard = tracing::subscriber::set_default(tracing_subscriber::registry());
let supplier = service_fn(async |request: Request<Empty<Bytes>>| {
    let sent = request.headers()["traceparent"].to_str().unwrap().to_owned();
    Ok::<_, std::convert::Infallible>(Response::builder().header("sent", sent).body(Empty::<Bytes>::new()).unwrap())
});

// Outside of the layer that sends the id. What the hook returns is sent instead of the place that the layer made.
let spans = ClientSpanLayer::new(Level::INFO).with_setup(|span, place| {
    assert!(span.has_field("url.full") && place.is_sampled());
    // With bartizan-opentelemetry: `trace_context(span.context().span().span_context())`
    None
});
let client = spans.layer(PropagateLayer::new().layer(supplier));

let request = Request::get("https://stock.internal/items?sig=secret").body(Empty::new())?;
let response = client.oneshot(request).await?;
assert_eq!(response.headers()["sent"].len(), 55);
response.into_body().collect().await?; // The span ends with the body.
# Ok(()) }
```
"#
)]
/// # Fields
///
/// The span is named `call`, its target is `bartizan::trace`, and its fields are named by OpenTelemetry's semantic
/// conventions. Those that tracing-opentelemetry reads are there.
///
/// - always: `otel.name`, `otel.kind` (`client`), `server.address`, `server.port` as far as they are known, `trace_id`,
///   `span_id` as they are sent where the caller set no `traceparent` by hand, `request_id`, `correlation_id`; with the head of the response `network.protocol.version`.
/// - HTTP: `otel.name` is the method. `http.request.method`, `url.full`, `http.request.resend_count` from the second attempt
///   on (by `RetryLayer`, or a [`ResendCount`](bartizan_core::ResendCount) in the request's extensions); at the end
///   `http.response.status_code`.
/// - gRPC: `otel.name` is the method. `rpc.system.name`, `rpc.method`; at the end `rpc.status_code`.
/// - at the end of a failure: `otel.status_code` and `error.type`. To a client these are HTTP 4xx and 5xx and every gRPC
///   status but `OK`; what a layer further in refused, by the code of the refusal; a broken body, an error of the client and
///   a panic. What the caller gave up is none.
///
/// `url.full` holds no secret that can be known as one: user information is `REDACTED:REDACTED`, and the values of
/// `X-Amz-Signature`, `X-Amz-Credential`, `X-Amz-Security-Token`, `AWSAccessKeyId`, `Signature`, `sig` and
/// `X-Goog-Signature` are `REDACTED`; so are those of parameters whose [name tells a secret](bartizan_core::is_secret_name),
/// and of those that you name. After that it is cut to 2048 bytes, and what is no printable ASCII is percent-encoded. The
/// [query may be left out](Self::with_query).
///
/// # In a stack
///
/// Phase `client::AttemptSpan`, outside of [`PropagateLayer`](crate::PropagateLayer); by `of_calls`, phase `client::RpcSpan`,
/// inside of [`LogicalCallLayer`](crate::LogicalCallLayer). It needs nothing, provides nothing, refuses nothing, and the
/// response passes unchanged. A request for which nobody listens passes without a span, and has the id that `PropagateLayer`
/// makes. With a `LogicalCallLayer` outside, that decides which traces are sampled that begin with a call.
///
/// Clones share their settings.
#[must_use]
pub struct ClientSpanLayer<P = client::AttemptSpan> {
    pub(super) settings: Arc<Settings>,
    pub(super) place: PhantomData<fn() -> P>,
}

impl ClientSpanLayer {
    /// The same layer for the outside of the retries, where it follows gRPC calls.
    pub fn of_calls(&self) -> ClientSpanLayer<client::RpcSpan> {
        ClientSpanLayer { settings: Arc::clone(&self.settings), place: PhantomData }
    }
}

impl<P> Clone for ClientSpanLayer<P> {
    fn clone(&self) -> Self {
        Self { settings: Arc::clone(&self.settings), place: PhantomData }
    }
}

impl<P> fmt::Debug for ClientSpanLayer<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientSpanLayer").field("settings", &self.settings).finish()
    }
}

impl<P: client::Measured> ClientLayer for ClientSpanLayer<P> {
    type Phase = P;
    type Needs = ();
    type Provides = ();

    fn name(&self) -> &'static str {
        "span"
    }
}

impl<S, P> Layer<S> for ClientSpanLayer<P> {
    type Service = ClientSpan<S, P>;

    fn layer(&self, inner: S) -> Self::Service {
        ClientSpan::new(inner, Arc::clone(&self.settings))
    }
}
