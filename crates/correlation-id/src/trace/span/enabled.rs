//! The span and the names of its fields, which are OpenTelemetry's semantic conventions.

use std::{borrow::Cow, fmt, net::IpAddr, sync::Arc};

use bartizan_core::{
    Classify, Ending, GrpcCode, MatchedRoute, MethodName, Outcome, RequestContext, ServerClassifier,
    TraceContext, Verdict, excerpt, peer_addr,
};
use http::{HeaderMap, Method, Request, Version, header, uri::Authority};
use percent_encoding::{CONTROLS, utf8_percent_encode};
use tracing::{
    Level, Span,
    field::{Empty, display},
    level_filters::LevelFilter,
};

use crate::TraceContextLayer;

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
    ) -> Option<RequestSpan> {
        let level = self.level?;
        if level > LevelFilter::current() {
            return None;
        }
        let span = open(level, context, request);
        if span.is_disabled() {
            return None;
        }
        if let (Some(setup), Some(trace)) = (&self.setup, context.trace()) {
            setup(&span, trace);
        }
        Some(RequestSpan(span))
    }
}

impl fmt::Debug for SpanSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SpanSetting").field(&self.level).finish()
    }
}

/// The span of one request.
#[derive(Clone)]
pub(in crate::trace) struct RequestSpan(Span);

impl RequestSpan {
    pub(in crate::trace) fn enter<T>(&self, run: impl FnOnce() -> T) -> T {
        self.0.in_scope(run)
    }

    /// Writes how it ended; without an outcome, in a panic.
    pub(super) fn end(&self, context: &RequestContext, outcome: Option<&Outcome>) {
        let Self(span) = self;
        if context.protocol().is_grpc() {
            self.name_call(context, outcome);
        }
        if let Some(addr) = context.client_addr() {
            span.record("client.address", display(addr.ip()));
        }
        if let Some(code) = outcome.and_then(|outcome| outcome.grpc) {
            span.record("rpc.status_code", code.as_str());
        } else if let Some(status) = outcome.and_then(|outcome| outcome.status) {
            span.record("http.response.status_code", status.as_u16());
        }
        if outcome.is_none_or(|outcome| ServerClassifier.classify(outcome) == Verdict::Failure) {
            span.record("otel.status_code", "ERROR");
            span.record("error.type", error_type(outcome));
        }
    }

    /// A gRPC path is whatever the caller wrote. It becomes a name when the answer proves that there is such a method.
    fn name_call(&self, context: &RequestContext, outcome: Option<&Outcome>) {
        let Self(span) = self;
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
    let path = (!is_grpc).then(|| url_path(request.uri().path()));
    let server = server(request);
    let agent = request.headers().get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());

    macro_rules! open {
        ($level:expr) => {
            tracing::span!(
                target: "bartizan::trace",
                $level,
                "request",
                otel.name = name.as_deref(),
                otel.kind = "server",
                otel.status_code = Empty,
                http.request.method = (!is_grpc).then_some(method),
                http.request.method_original = original.as_deref(),
                url.path = path.as_deref(),
                url.scheme = (!is_grpc).then(|| request.uri().scheme_str().unwrap_or("http")),
                http.route = route,
                http.response.status_code = Empty,
                rpc.system.name = is_grpc.then_some("grpc"),
                rpc.method = Empty,
                rpc.method_original = Empty,
                rpc.status_code = Empty,
                "error.type" = Empty,
                server.address = server.as_ref().map(|server| cut(server.host(), MAX_HOST)),
                server.port = server.as_ref().and_then(Authority::port_u16),
                client.address = Empty,
                network.peer.address = peer_addr(request.extensions()).as_ref().map(display::<&IpAddr>),
                network.protocol.version = version(request.version()),
                user_agent.original = agent.map(|agent| cut(agent, 256)),
                trace_id = trace_id.as_ref().map(|id| hex(id)),
                span_id = span_id.as_ref().map(|id| hex(id)),
                request_id = context.request_id().map(|id| id.as_str()),
                correlation_id = context.correlation_id().map(|id| id.as_str()),
            )
        };
    }
    match level {
        Level::ERROR => open!(Level::ERROR),
        Level::WARN => open!(Level::WARN),
        Level::INFO => open!(Level::INFO),
        Level::DEBUG => open!(Level::DEBUG),
        Level::TRACE => open!(Level::TRACE),
    }
}

/// `{method} {http.route}`, never with the path; `HTTP` stands for a method that is none.
fn span_name(method: Option<&'static str>, route: Option<&str>) -> Cow<'static, str> {
    let method = method.unwrap_or("HTTP");
    match route {
        Some(route) => format!("{method} {route}").into(),
        None => method.into(),
    }
}

/// A standard method; for any other `_OTHER` and what the caller wrote.
fn method(method: &Method) -> (&'static str, Option<Cow<'_, str>>) {
    let known = MethodName::of(method);
    let original = (known == MethodName::OTHER).then(|| excerpt(method.as_str()));
    (known.as_str(), original)
}

/// What is no printable ASCII is percent-encoded: `http` lets any UTF-8 through, and so line ends of its own.
fn url_path(path: &str) -> Cow<'_, str> {
    utf8_percent_encode(cut(path, 1024), CONTROLS).into()
}

/// No name is longer (RFC 1035 section 2.3.4).
const MAX_HOST: usize = 255;

/// Whom the caller meant: as it says itself.
fn server<B>(request: &Request<B>) -> Option<Authority> {
    let from_host = |headers: &HeaderMap| Authority::try_from(headers.get(header::HOST)?.as_bytes()).ok();
    request.uri().authority().cloned().or_else(|| from_host(request.headers()))
}

fn version(version: Version) -> Option<&'static str> {
    match version {
        Version::HTTP_09 => Some("0.9"),
        Version::HTTP_10 => Some("1.0"),
        Version::HTTP_11 => Some("1.1"),
        Version::HTTP_2 => Some("2"),
        Version::HTTP_3 => Some("3"),
        _ => None,
    }
}

fn hex(digits: &[u8]) -> &str {
    str::from_utf8(digits).unwrap_or_default()
}

/// The first bytes of a text, as far as they are characters.
fn cut(text: &str, max: usize) -> &str {
    if text.len() <= max {
        return text;
    }
    let end = (0..=max).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
    &text[..end]
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!((cut("abc", 3), cut("abc", 2)), ("abc", "ab"));
        assert_eq!(cut("aé", 2), "a");
    }
}
