//! The span and the names of its fields, which are OpenTelemetry's semantic conventions.

use std::{borrow::Cow, fmt, net::IpAddr, sync::Arc};

use bartizan_core::{
    Classify, Ending, GrpcCode, MatchedRoute, Outcome, RequestContext, ServerClassifier, TraceContext,
    Verdict, excerpt, peer_addr, peer_port,
};
use http::{
    Request, header,
    uri::{Authority, Scheme},
};
use tracing::{
    Level, Span,
    field::{Empty, display},
};

use crate::{
    TraceContextLayer,
    span::{
        OpenSpan, is_wanted, span_at,
        texts::{address, cut, hex, method, printable, server, version},
    },
};

impl TraceContextLayer {
    /// Opens a `tracing` span of this level around each request, to the end of the response body. Default: none.
    ///
    /// See the [crate documentation](crate#spans).
    #[cfg_attr(docsrs, doc(cfg(feature = "tracing")))]
    pub fn with_span(mut self, level: Level) -> Self {
        self.edit().span.level = Some(level);
        self
    }

    /// Runs `setup` with each span of [`with_span`](Self::with_span) and the request's place in the trace, before the span is
    /// entered for the first time. Default: nothing.
    ///
    /// That is where `tracing-opentelemetry` wants to be told the parent: from the first time on it is too late. Without it
    /// the span that it exports begins a trace of its own, which has another id than logs and outgoing calls have.
    ///
    /// ```
    /// use bartizan_correlation_id::TraceContextLayer;
    /// use tracing::Level;
    ///
    /// let layer = TraceContextLayer::new().with_span(Level::INFO).with_span_setup(|span, trace| {
    ///     // With bartizan-opentelemetry: `let _ = span.set_parent(remote_parent(trace));`
    ///     span.record("sampled", trace.flags() & 1);
    /// });
    /// ```
    #[cfg_attr(docsrs, doc(cfg(feature = "tracing")))]
    pub fn with_span_setup(mut self, setup: impl Fn(&Span, &TraceContext) + Send + Sync + 'static) -> Self {
        self.edit().span.setup = Some(Arc::new(setup));
        self
    }
}

type Setup = dyn Fn(&Span, &TraceContext) + Send + Sync;

#[derive(Clone, Default)]
pub(in crate::trace) struct SpanSetting {
    level: Option<Level>,
    setup: Option<Arc<Setup>>,
}

impl SpanSetting {
    /// `None` too when nobody listens.
    pub(in crate::trace) fn open<B>(
        &self,
        context: &RequestContext,
        request: &Request<B>,
    ) -> Option<OpenSpan> {
        let level = self.level.filter(|level| is_wanted(*level))?;
        let span = OpenSpan::new(open(level, context, request))?;
        if let (Some(setup), Some(trace)) = (&self.setup, context.trace()) {
            setup(&span, trace);
        }
        Some(span)
    }
}

impl fmt::Debug for SpanSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SpanSetting").field(&self.level).finish()
    }
}

/// Writes how a request ended; without an outcome, in a panic.
pub(super) fn end(
    span: &OpenSpan,
    context: &RequestContext,
    own: Option<&Scheme>,
    outcome: Option<&Outcome>,
) {
    if context.protocol().is_grpc() {
        name_call(span, context, outcome);
    } else {
        // A proxy's word is heard further in than the span begins.
        let told = context.forwarded_scheme();
        span.record("url.scheme", told.as_ref().or(own).map_or("http", Scheme::as_str));
    }
    if let Some(addr) = context.client_addr() {
        span.record("client.address", display(addr.ip()));
    }
    if let Some(code) = outcome.and_then(|outcome| outcome.grpc) {
        span.record("rpc.status_code", code.as_str());
    } else if !context.protocol().is_grpc()
        && let Some(status) = outcome.and_then(|outcome| outcome.status)
    {
        span.record("http.response.status_code", status.as_u16());
    }
    if outcome.is_none_or(|outcome| ServerClassifier.classify(outcome) == Verdict::Failure) {
        span.record("otel.status_code", "ERROR");
        span.record("error.type", error_type(outcome));
    }
}

/// A gRPC path is whatever the caller wrote. It becomes a name when the answer proves that there is such a method.
fn name_call(span: &Span, context: &RequestContext, outcome: Option<&Outcome>) {
    match context.route().filter(|route| !route.is_other()) {
        Some(route) if !route.is_claimed() || is_proof(outcome) => {
            span.record("otel.name", route.as_str());
            span.record("rpc.method", route.as_str());
        }
        claimed => {
            span.record("otel.name", "grpc");
            span.record("rpc.method", MatchedRoute::OTHER);
            if let Some(claimed) = claimed {
                span.record("rpc.method_original", &*excerpt(claimed.as_str()));
            }
        }
    }
}

/// Whether it was the method that answered, or panicked: not a layer before it, not a caller that left, and not what
/// stands where there is no method.
fn is_proof(outcome: Option<&Outcome>) -> bool {
    match outcome {
        Some(outcome) if outcome.ending == Ending::Panic => true,
        Some(outcome) => {
            outcome.rejection.is_none() && outcome.grpc.is_some_and(|code| code != GrpcCode::Unimplemented)
        }
        None => true,
    }
}

fn error_type(outcome: Option<&Outcome>) -> &str {
    let Some(outcome) = outcome else { return Ending::Panic.as_str() };
    match (outcome.ending, outcome.grpc, &outcome.status) {
        (Ending::BodyError | Ending::ServiceError | Ending::Panic, ..) => outcome.ending.as_str(),
        (_, Some(code), _) => code.as_str(),
        (_, None, Some(status)) => status.as_str(),
        (_, None, None) => outcome.ending.as_str(),
    }
}

/// Opens the span with all that is known before the request is served.
fn open<B>(level: Level, context: &RequestContext, request: &Request<B>) -> Span {
    let is_grpc = context.protocol().is_grpc();
    let trace = context.trace();
    let trace_id = trace.map(|trace| trace.trace_id().to_hex());
    let span_id = trace.map(|trace| trace.span_id().to_hex());
    let route = context.route_of(request);
    let route = (!route.is_other() && !is_grpc).then(|| route.as_str());
    let (method, original) = method(request.method());
    let name = (!is_grpc).then(|| span_name(original.is_none().then_some(method), route));
    let path = (!is_grpc).then(|| printable(request.uri().path(), MAX_PATH));
    let server = server(request);
    let agent = request.headers().get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());

    span_at!(
        level,
        "request",
        otel.name = name.as_deref(),
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = (!is_grpc).then_some(method),
        http.request.method_original = original.as_deref(),
        url.path = path.as_deref(),
        url.scheme = Empty,
        http.route = route,
        http.response.status_code = Empty,
        rpc.system.name = is_grpc.then_some("grpc"),
        rpc.method = Empty,
        rpc.method_original = Empty,
        rpc.status_code = Empty,
        "error.type" = Empty,
        server.address = server.as_ref().map(address),
        server.port = server.as_ref().and_then(Authority::port_u16),
        client.address = Empty,
        network.peer.address = peer_addr(request.extensions()).as_ref().map(display::<&IpAddr>),
        network.peer.port = peer_port(request.extensions()),
        network.protocol.version = version(request.version()),
        user_agent.original = agent.map(|agent| cut(agent, 256)),
        trace_id = trace_id.as_ref().map(|id| hex(id)),
        span_id = span_id.as_ref().map(|id| hex(id)),
        request_id = context.request_id().map(|id| id.as_str()),
        correlation_id = context.correlation_id().map(|id| id.as_str()),
    )
}

/// `{method} {http.route}`, never with the path; `HTTP` stands for a method that is none.
fn span_name(method: Option<&'static str>, route: Option<&str>) -> Cow<'static, str> {
    let method = method.unwrap_or("HTTP");
    match route {
        Some(route) => format!("{method} {route}").into(),
        None => method.into(),
    }
}

/// A longer path is cut.
const MAX_PATH: usize = 1024;

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;

    #[test]
    fn obs_01_a_span_is_named_by_method_and_route() {
        let name = |verb: &str, route| {
            let verb = Method::from_bytes(verb.as_bytes()).unwrap();
            let (known, original) = method(&verb);
            span_name(original.is_none().then_some(known), route).into_owned()
        };
        assert_eq!(name("GET", Some("/orders/{id}")), "GET /orders/{id}");
        assert_eq!(name("GET", None), "GET");
        assert_eq!(name("BREW", None), "HTTP");
        assert_eq!(name("get", Some("/")), "HTTP /", "methods have a case");
    }
}
