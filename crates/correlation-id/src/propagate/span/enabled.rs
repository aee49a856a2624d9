//! The settings, the span and the names of its fields, which are OpenTelemetry's semantic conventions.

use std::{fmt, marker::PhantomData, sync::Arc};

use bartizan_core::{Ending, GrpcCode, MatchedRoute, Outcome, Rejection, ResendCount, TraceContext, excerpt};
use http::{Request, StatusCode, Uri, response::Parts, uri::Authority};
use tracing::{Level, Span, field::Empty};

use super::{ClientSpanLayer, url};
use crate::{
    ConfigError,
    propagate::{authorities::default_port, call::Call},
    span::{
        OpenSpan, is_wanted, span_at,
        texts::{address, hex, method, printable, server, version},
    },
    trace::Sampling,
};

impl ClientSpanLayer {
    /// A layer that opens spans of this level.
    #[cfg_attr(docsrs, doc(cfg(feature = "tracing")))]
    pub fn new(level: Level) -> Self {
        let (sampling, redacted) = (Sampling::default(), Box::default());
        let settings = Settings { level, setup: None, sampling, query: true, redacted };
        Self { settings: Arc::new(settings), place: PhantomData }
    }

    fn edit(&mut self) -> &mut Settings {
        Arc::make_mut(&mut self.settings)
    }

    /// Runs `setup` with each span and the place in the trace that would be sent with the request, before the span is entered
    /// for the first time. What it returns is sent instead. Default: nothing.
    ///
    /// With tracing-opentelemetry the spans that are exported have ids of OpenTelemetry's own. The service that is called
    /// must be told that one, or it hangs its spans under one that nobody knows: the page of `bartizan-opentelemetry` shows
    /// how.
    #[cfg_attr(docsrs, doc(cfg(feature = "tracing")))]
    pub fn with_setup(
        mut self,
        setup: impl Fn(&Span, &TraceContext) -> Option<TraceContext> + Send + Sync + 'static,
    ) -> Self {
        self.edit().setup = Some(Arc::new(setup));
        self
    }

    /// Whether the query is told in `url.full`. Default: it is, without its secrets, as OpenTelemetry has it.
    #[cfg_attr(docsrs, doc(cfg(feature = "tracing")))]
    pub fn with_query(mut self, told: bool) -> Self {
        self.edit().query = told;
        self
    }

    /// Redacts the values of the parameters with these names in `url.full` too, in this case. Default: none but
    /// [those named above](Self#fields).
    #[cfg_attr(docsrs, doc(cfg(feature = "tracing")))]
    pub fn with_redacted_parameters<I>(mut self, names: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<Box<str>>,
    {
        self.edit().redacted = names.into_iter().map(Into::into).collect();
        self
    }

    /// The share of the traces that begin with a call of ours which is sampled, from 0.0 to 1.0. Default: 1.0, all of
    /// them, as for [`TraceContextLayer`](crate::TraceContextLayer::with_sampled_share).
    ///
    /// # Errors
    ///
    /// When the share is not between 0 and 1.
    #[cfg_attr(docsrs, doc(cfg(feature = "tracing")))]
    pub fn with_sampled_share(mut self, share: f64) -> Result<Self, ConfigError> {
        let settings = self.edit();
        settings.sampling = settings.sampling.with_share(share).ok_or(ConfigError::SampledShare)?;
        Ok(self)
    }
}

type Setup = dyn Fn(&Span, &TraceContext) -> Option<TraceContext> + Send + Sync;

#[derive(Clone)]
pub(super) struct Settings {
    level: Level,
    setup: Option<Arc<Setup>>,
    sampling: Sampling,
    /// Whether it is told.
    query: bool,
    /// Names of parameters.
    redacted: Box<[Box<str>]>,
}

impl Settings {
    /// Opens a span, and leaves its place in the trace where the layer that sends it looks. `None` when nobody listens.
    pub(super) fn open<B>(&self, is_grpc: bool, request: &mut Request<B>) -> Option<OpenSpan> {
        if !is_wanted(self.level) {
            return None;
        }
        let mut call = Call::within(request.extensions());
        let span = OpenSpan::new(self.describe(is_grpc, request, &call))?;
        let own = call.child(self.sampling);
        let place = match self.setup.as_ref().and_then(|setup| setup(&span, &own)) {
            // The flag tells of the trace's id, and stays as it came (TRC-03).
            Some(place) if place.trace_id() == own.trace_id() => {
                place.with_random(own.flags() & TraceContext::RANDOM != 0)
            }
            Some(place) => place,
            None => own,
        };
        span.record("trace_id", hex(&place.trace_id().to_hex()));
        span.record("span_id", hex(&place.span_id().to_hex()));
        call.place(place);
        request.extensions_mut().insert(call);
        Some(span)
    }

    /// The span with all that is known before the request is sent.
    fn describe<B>(&self, is_grpc: bool, request: &Request<B>, call: &Call) -> Span {
        let (method, original) = method(request.method());
        let rpc_method = is_grpc.then(|| MatchedRoute::of_call(request));
        let rpc_original = rpc_method.as_ref().filter(|method| method.is_other()).map(|_| {
            let path = excerpt(request.uri().path());
            printable(&path, MAX_URL).into_owned()
        });
        let name = match (&rpc_method, &original) {
            (Some(rpc_method), _) if !rpc_method.is_other() => rpc_method.as_str(),
            (Some(_), _) => "grpc",
            (None, Some(_)) => "HTTP",
            (None, None) => method,
        };
        let url = (!is_grpc).then(|| url::full(request.uri(), self.query, &self.redacted));
        let url = url.as_deref().filter(|url| !url.is_empty()).map(|url| printable(url, MAX_URL));
        let server = server(request);
        let resend = request.extensions().get::<ResendCount>().filter(|_| !is_grpc);

        span_at!(
            self.level,
            "call",
            otel.name = name,
            otel.kind = "client",
            otel.status_code = Empty,
            http.request.method = (!is_grpc).then_some(method),
            http.request.method_original = original.as_deref().filter(|_| !is_grpc),
            http.request.resend_count = resend.map(|resend| resend.get()),
            http.response.status_code = Empty,
            url.full = url.as_deref(),
            rpc.system.name = is_grpc.then_some("grpc"),
            rpc.method = rpc_method.as_ref().map(MatchedRoute::as_str),
            rpc.method_original = rpc_original.as_deref(),
            rpc.status_code = Empty,
            "error.type" = Empty,
            server.address = server.as_ref().map(address),
            server.port = server.as_ref().and_then(|server| port(server, request.uri())),
            network.protocol.version = Empty,
            trace_id = Empty,
            span_id = Empty,
            request_id = call.request_id().map(|id| id.as_str()),
            correlation_id = call.correlation_id().map(|id| id.as_str()),
        )
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("level", &self.level)
            .field("query", &self.query)
            .field("redacted_parameters", &self.redacted)
            .finish_non_exhaustive()
    }
}

/// A longer URL is cut, after its secrets were taken out.
const MAX_URL: usize = 2048;

/// That which is meant when the authority names none too: it is required of a client's span.
fn port(server: &Authority, uri: &Uri) -> Option<u16> {
    server.port_u16().or_else(|| uri.scheme().and_then(default_port))
}

/// Writes what the head of the response tells. What a layer further in answered came over no network.
pub(super) fn head(span: &OpenSpan, head: &Parts) {
    if head.extensions.get::<Rejection>().is_none()
        && let Some(version) = version(head.version)
    {
        span.record("network.protocol.version", version);
    }
}

/// Writes how it ended; without an outcome, in a panic.
pub(super) fn end(span: &OpenSpan, is_grpc: bool, outcome: Option<&Outcome>) {
    if let Some(code) = outcome.and_then(Outcome::grpc_of_call) {
        span.record("rpc.status_code", code.as_str());
    }
    let status = outcome.filter(|_| !is_grpc).and_then(of_upstream);
    if let Some(status) = status {
        span.record("http.response.status_code", status.as_u16());
    }
    if let Some(error) = error_type(outcome, status) {
        span.record("otel.status_code", "ERROR");
        span.record("error.type", error);
    }
}

/// The status of a refusal is ours, and not the upstream's.
fn of_upstream(outcome: &Outcome) -> Option<&StatusCode> {
    outcome.status.as_ref().filter(|_| outcome.rejection.is_none())
}

/// Why it is an error of the call, if it is one. What the caller gave up is none.
fn error_type<'o>(outcome: Option<&'o Outcome>, status: Option<&'o StatusCode>) -> Option<&'o str> {
    let Some(outcome) = outcome else { return Some(Ending::Panic.as_str()) };
    if let Some(code) = outcome.rejection_code() {
        return Some(code);
    }
    if !matches!(outcome.ending, Ending::Completed | Ending::ClientAborted) {
        return Some(outcome.ending.as_str());
    }
    match (outcome.grpc_of_call(), status) {
        (Some(code), _) => (code != GrpcCode::Ok).then(|| code.as_str()),
        (None, Some(status)) => {
            (status.is_client_error() || status.is_server_error()).then(|| status.as_str())
        }
        (None, None) => None,
    }
}
