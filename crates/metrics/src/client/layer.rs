use std::{borrow::Cow, fmt, marker::PhantomData, sync::Arc};

use bartizan_core::{ClientLayer, Clock, PerRecorder, phase};
use metrics::Recorder;
use tower_layer::Layer;

use super::{ClientMetrics, ConfigError, config::checked_name, series::Handles};

/// Measures outgoing requests: each attempt of an HTTP request where it stands by default, and each logical gRPC call
/// where [`of_calls`](Self::of_calls) puts it.
///
/// A retried HTTP request is several requests to its upstream and is measured as such; a gRPC call is one, whatever
/// it took, as OpenTelemetry has it. So the layer stands twice in a client's stack that retries both: once inside of
/// the retries, where gRPC calls pass unmeasured, and once outside, where HTTP requests do.
///
/// ```
/// use std::convert::Infallible;
///
/// use bartizan_metrics::{ClientMetricsLayer, HTTP_CLIENT_REQUEST_DURATION};
/// use http::{Request, Response};
/// use http_body_util::{BodyExt, Empty};
/// use metrics_exporter_prometheus::PrometheusBuilder;
/// use tower::{Layer, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let recorder = PrometheusBuilder::new().build_recorder();
/// let scrape = recorder.handle();
/// let metrics = ClientMetricsLayer::new("supplier")?.with_recorder(recorder);
///
/// let client = metrics.layer(service_fn(async |request: Request<()>| {
///     let status = if request.uri().path() == "/known" { 200 } else { 404 };
///     Response::builder().status(status).body(Empty::<bytes::Bytes>::new()).map_err(|_| "no such status")
/// }));
/// for path in ["/known", "/unknown"] {
///     let response = client.clone().oneshot(Request::get(path).body(())?).await?;
///     response.into_body().collect().await?; // until its body has ended
/// }
///
/// let text = scrape.render();
/// let count = format!("{HTTP_CLIENT_REQUEST_DURATION}_count{{name=\"supplier\",http_request_method=\"GET\"");
/// assert!(text.contains(&format!("{count},http_response_status_code=\"200\"}} 1")));
/// assert!(text.contains(&format!("{count},http_response_status_code=\"404\",error_type=\"404\"}} 1")));
/// # Ok(()) }
/// ```
///
/// # Clone
///
/// Clones, and the services that [`layer`](Layer::layer) makes, share their handles. A `with_…` method gives a layer
/// with handles of its own.
#[must_use]
pub struct ClientMetricsLayer<P = phase::client::Attempt> {
    shared: Arc<Shared>,
    place: PhantomData<fn() -> P>,
}

/// What all services of a layer share.
pub(super) struct Shared {
    pub(super) name: Cow<'static, str>,
    pub(super) clock: Clock,
    pub(super) handles: PerRecorder<Handles>,
}

impl ClientMetricsLayer {
    /// Measures the attempts of HTTP requests to the upstream of this name, which is the label `name`. The clock is
    /// the system's, the recorder the one in force.
    ///
    /// # Errors
    ///
    /// When the name is not 1 to 64 ASCII letters, digits, `-`, `_` or `.`.
    pub fn new(name: impl Into<Cow<'static, str>>) -> Result<Self, ConfigError> {
        let name = checked_name(name.into())?;
        Ok(Self::sharing(Shared { name, clock: Clock::default(), handles: PerRecorder::default() }))
    }

    /// The same layer for the outside of the retries, where it measures gRPC calls. It shares the handles.
    pub fn of_calls(&self) -> ClientMetricsLayer<phase::client::RpcSpan> {
        ClientMetricsLayer { shared: Arc::clone(&self.shared), place: PhantomData }
    }
}

impl<P> ClientMetricsLayer<P> {
    /// Sends the metrics of this layer to `recorder` alone, whichever is in force. Default: the one in force.
    pub fn with_recorder(self, recorder: impl Recorder + Send + Sync + 'static) -> Self {
        Self::sharing(Shared { handles: PerRecorder::pinned(recorder), ..self.shared.fork() })
    }

    /// Reads time from `clock`. Default: the system's.
    pub fn with_clock(self, clock: Clock) -> Self {
        Self::sharing(Shared { clock, ..self.shared.fork() })
    }

    fn sharing(shared: Shared) -> Self {
        Self { shared: Arc::new(shared), place: PhantomData }
    }
}

impl Shared {
    /// The same settings, and handles of its own.
    fn fork(&self) -> Self {
        Self { name: self.name.clone(), clock: self.clock.clone(), handles: self.handles.fork() }
    }
}

impl<P> Clone for ClientMetricsLayer<P> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), place: PhantomData }
    }
}

impl<P> fmt::Debug for ClientMetricsLayer<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientMetricsLayer")
            .field("name", &self.shared.name)
            .field("clock", &self.shared.clock)
            .field("handles", &self.shared.handles)
            .finish_non_exhaustive()
    }
}

impl<S, P> Layer<S> for ClientMetricsLayer<P> {
    type Service = ClientMetrics<S, P>;

    fn layer(&self, inner: S) -> Self::Service {
        ClientMetrics::new(inner, Arc::clone(&self.shared))
    }
}

impl<P: phase::client::Measured> ClientLayer for ClientMetricsLayer<P> {
    type Phase = P;
    type Needs = ();
    type Provides = ();

    fn name(&self) -> &'static str {
        "metrics"
    }
}
