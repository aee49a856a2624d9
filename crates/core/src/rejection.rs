//! A refusal, before it has a face.

use std::{borrow::Cow, fmt, sync::Arc, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use http_body::Body;

use crate::{Face, GrpcCode, Reason, RequestId, ResponseBody, Violation, grpc, problem};

/// A refusal: why, for whom, and what the caller may do about it.
///
/// One value renders as problem+json (RFC 9457) for HTTP and as a Trailers-Only status with details for gRPC.
/// It is one pointer wide and cheap to clone. The layer that refuses renders it in the default form and leaves
/// it in the response's extensions, where [`ProblemLayer`](crate::ProblemLayer), logs and metrics find it.
///
/// ```
/// use std::time::Duration;
/// use bartizan_core::{Reason, Rejection};
/// use http::{Request, StatusCode};
///
/// let request = Request::get("/orders").body(()).unwrap();
/// let refusal = Rejection::new(Reason::RateLimited).with_retry_after(Duration::from_millis(1_200));
/// let response: http::Response<bartizan_core::ResponseBody<String>> = refusal.answer(&request);
/// assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
/// assert_eq!(response.headers()["retry-after"], "2", "rounded up, so that the caller is not too early");
/// assert_eq!(response.extensions().get::<Rejection>().unwrap().reason(), Reason::RateLimited);
/// ```
#[derive(Clone)]
pub struct Rejection(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    reason: Reason,
    detail: Option<Cow<'static, str>>,
    problem_type: Option<&'static str>,
    cause: Option<Cow<'static, str>>,
    layer: Option<&'static str>,
    panicked: bool,
    failed_credential: bool,
    /// Whether it stands for a call that was not made.
    unsent: bool,
    /// Whether it was rendered for a real request.
    addressed: bool,
    retry_after: Option<Duration>,
    request_id: Option<RequestId>,
    headers: HeaderMap,
    violations: Vec<Violation>,
    truncated: bool,
    quotas: Vec<QuotaViolation>,
    extensions: Vec<(ExtensionName, serde_json::Value)>,
}

/// What a caller is told to wait who may come again, where nobody knows better.
const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(1);

/// One exhausted quota: an entry of gRPC's `QuotaFailure`, and of the problem's `violated-policies`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotaViolation {
    /// What the quota is about, without any value of the caller: the policy's name.
    pub subject: Cow<'static, str>,
    /// What was exceeded, for a person.
    pub description: Cow<'static, str>,
}

/// The name of an extension member of a problem (RFC 9457 section 4 asks for a letter, then letters, digits or
/// `_`; three characters or more).
///
/// Make it a constant, so that a bad name is an error of compilation:
///
/// ```
/// use bartizan_core::ExtensionName;
/// const LIMIT: ExtensionName = ExtensionName::new("limit_bytes");
/// ```
///
/// ```compile_fail
/// # use bartizan_core::ExtensionName;
/// const STATUS: ExtensionName = ExtensionName::new("status"); // the standard's own
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ExtensionName(&'static str);

impl ExtensionName {
    /// # Panics
    ///
    /// When the name is not of the form above, or is a member that the renderer itself writes. In a constant
    /// that is an error of compilation.
    pub const fn new(name: &'static str) -> Self {
        assert!(is_extension_name(name.as_bytes()), "not a usable name for a problem's extension member");
        Self(name)
    }

    /// The same check for a name that is only known when the service starts.
    pub(crate) fn checked(name: &'static str) -> Option<Self> {
        is_extension_name(name.as_bytes()).then_some(Self(name))
    }

    /// The name.
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

const fn is_extension_name(name: &[u8]) -> bool {
    const RESERVED: [&[u8]; 9] = [
        b"type",
        b"title",
        b"status",
        b"detail",
        b"instance",
        b"code",
        b"request_id",
        b"errors",
        b"truncated",
    ];
    if name.len() < 3 || !name[0].is_ascii_alphabetic() {
        return false;
    }
    let mut index = 0;
    while index < name.len() {
        if !name[index].is_ascii_alphanumeric() && name[index] != b'_' {
            return false;
        }
        index += 1;
    }
    let mut reserved = 0;
    while reserved < RESERVED.len() {
        if eq(name, RESERVED[reserved]) {
            return false;
        }
        reserved += 1;
    }
    true
}

const fn eq(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut index = 0;
    while index < a.len() {
        if a[index] != b[index] {
            return false;
        }
        index += 1;
    }
    true
}

impl Rejection {
    /// The most entries of `errors`; more set `truncated`.
    pub const MAX_VIOLATIONS: usize = 32;

    /// A refusal with nothing but its reason.
    #[must_use]
    pub fn new(reason: Reason) -> Self {
        Self(Arc::new(Inner {
            reason,
            detail: None,
            problem_type: None,
            cause: None,
            layer: None,
            panicked: false,
            failed_credential: false,
            unsent: false,
            addressed: false,
            retry_after: None,
            request_id: None,
            headers: HeaderMap::new(),
            violations: Vec::new(),
            truncated: false,
            quotas: Vec::new(),
            extensions: Vec::new(),
        }))
    }

    /// A 401 with its first challenge, which must be a legal `WWW-Authenticate` value (RFC 9110 section 11.6.1).
    #[must_use]
    pub fn unauthenticated(challenge: HeaderValue) -> Self {
        Self::new(Reason::Unauthenticated).with_header(header::WWW_AUTHENTICATE, challenge)
    }

    /// What a caught panic becomes: an [`Reason::Internal`] that logs and metrics can tell from others.
    pub(crate) fn panicked(cause: Cow<'static, str>) -> Self {
        let mut rejection = Self::new(Reason::Internal).with_cause(cause);
        rejection.edit().panicked = true;
        rejection
    }

    /// Whether it was rendered for a real request, and not by a handler that knows none.
    pub(crate) fn is_addressed(&self) -> bool {
        self.0.addressed
    }

    /// The same refusal under a status that a layer further out chose.
    pub(crate) fn with_status(mut self, status: StatusCode) -> Self {
        self.edit().reason = Reason::from_status(status);
        self
    }

    fn edit(&mut self) -> &mut Inner {
        Arc::make_mut(&mut self.0)
    }

    /// A sentence that helps the caller. Never put internals, secrets or unbounded text of the caller in it.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.edit().detail = Some(detail.into());
        self
    }

    /// The registered problem type of this refusal, an absolute URI; wins over the service's own types.
    #[must_use]
    pub fn with_type(mut self, uri: &'static str) -> Self {
        self.edit().problem_type = Some(uri);
        self
    }

    /// Why, for logs only: it is never rendered.
    #[must_use]
    pub fn with_cause(mut self, cause: impl Into<Cow<'static, str>>) -> Self {
        self.edit().cause = Some(cause.into());
        self
    }

    /// The layer that refuses, as in its metrics: `rate_limit`.
    #[must_use]
    pub fn with_layer(mut self, layer: &'static str) -> Self {
        self.edit().layer = Some(layer);
        self
    }

    /// The refused request presented a credential, and it is not good: unknown, wrong, expired, revoked. A request
    /// that merely carries none is not marked. Never rendered: it is for limiters further out, which charge more
    /// for an attempt at guessing.
    #[must_use]
    pub fn with_failed_credential(mut self) -> Self {
        self.edit().failed_credential = true;
        self
    }

    /// Says that the outgoing call it stands for was not made: nothing was sent that the upstream could have failed at. A
    /// [`ClientClassifier`](crate::ClientClassifier) counts it neither for nor against it, whatever the reason.
    #[must_use]
    pub fn unsent(mut self) -> Self {
        self.edit().unsent = true;
        self
    }

    /// How long the caller should wait. Rendered as `Retry-After` in whole seconds, rounded up and at least 1,
    /// and as gRPC's `RetryInfo` exactly. Where none is set, a refusal that is a 429 or a 503 tells a second, unless its
    /// response says otherwise already.
    #[must_use]
    pub fn with_retry_after(mut self, delay: Duration) -> Self {
        self.edit().retry_after = Some(delay);
        self
    }

    /// A header of the response, or for gRPC a metadata entry. Appends: several challenges are several lines.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.edit().headers.append(name, value);
        self
    }

    /// One thing wrong with the input. From the 33rd on, `truncated` is set instead.
    #[must_use]
    pub fn with_violation(mut self, violation: Violation) -> Self {
        let inner = self.edit();
        if inner.violations.len() < Self::MAX_VIOLATIONS {
            inner.violations.push(violation);
        } else {
            inner.truncated = true;
        }
        self
    }

    /// One exhausted quota.
    #[must_use]
    pub fn with_quota(mut self, quota: QuotaViolation) -> Self {
        self.edit().quotas.push(quota);
        self
    }

    /// An extension member of the problem, and for gRPC an entry of `ErrorInfo.metadata`.
    #[must_use]
    pub fn with_extension(mut self, name: ExtensionName, value: impl Into<serde_json::Value>) -> Self {
        let extensions = &mut self.edit().extensions;
        extensions.retain(|(known, _)| *known != name);
        extensions.push((name, value.into()));
        self
    }

    /// Why the request was refused.
    pub fn reason(&self) -> Reason {
        self.0.reason
    }

    /// The sentence for the caller. A bug says nothing but the default.
    pub fn detail(&self) -> &str {
        match &self.0.detail {
            Some(detail) if self.0.reason != Reason::Internal => detail,
            _ => self.0.reason.default_detail(),
        }
    }

    /// The registered problem type, if this refusal has one.
    pub fn problem_type(&self) -> Option<&'static str> {
        self.0.problem_type
    }

    /// Why, for logs only.
    pub fn cause(&self) -> Option<&str> {
        self.0.cause.as_deref()
    }

    /// The layer that refused.
    pub fn layer(&self) -> Option<&'static str> {
        self.0.layer
    }

    /// Whether the refusal stands for a panic.
    pub fn is_panic(&self) -> bool {
        self.0.panicked
    }

    /// Whether a credential was presented that is not good; see
    /// [`with_failed_credential`](Self::with_failed_credential). A limiter reads it from the `Rejection` in the
    /// response's extensions.
    pub fn is_failed_credential(&self) -> bool {
        self.0.failed_credential
    }

    /// Whether the call it stands for was not made; see [`unsent`](Self::unsent).
    pub fn is_unsent(&self) -> bool {
        self.0.unsent
    }

    /// How long the caller should wait, if that was set.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// The id of the refused request, known once the refusal was rendered.
    pub fn request_id(&self) -> Option<&RequestId> {
        self.0.request_id.as_ref()
    }

    /// Extra headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.0.headers
    }

    /// What is wrong with the input. A bug has none to tell of.
    pub fn violations(&self) -> &[Violation] {
        if self.0.reason == Reason::Internal { &[] } else { &self.0.violations }
    }

    /// Whether there were more violations than are kept.
    pub fn is_truncated(&self) -> bool {
        self.0.truncated && self.0.reason != Reason::Internal
    }

    /// Exhausted quotas.
    pub fn quotas(&self) -> &[QuotaViolation] {
        &self.0.quotas
    }

    /// Extension members. A bug has none.
    pub fn extensions(&self) -> &[(ExtensionName, serde_json::Value)] {
        if self.0.reason == Reason::Internal { &[] } else { &self.0.extensions }
    }

    /// The response to `request`: the default rendering, with this refusal in its extensions.
    #[must_use]
    pub fn answer<B, R: Body>(self, request: &Request<B>) -> Response<ResponseBody<R>> {
        self.into_response(&Face::of(request))
    }

    /// The response for `face`: the default rendering, with this refusal in its extensions.
    #[must_use]
    pub fn into_response<R: Body>(self, face: &Face) -> Response<ResponseBody<R>> {
        let headers = self.headers().clone();
        self.render(face, &problem::Style::DEFAULT, headers).map(ResponseBody::full)
    }

    /// How long the caller is told to wait: as was set, or a second for what passes by itself (RL-01). `headers` are
    /// the response's so far: where they tell it already, there is nothing to add.
    #[inline]
    pub(crate) fn told_delay(&self, headers: &HeaderMap) -> Option<Duration> {
        self.0.retry_after.or_else(|| self.default_delay(headers))
    }

    #[cold]
    #[inline(never)]
    fn default_delay(&self, headers: &HeaderMap) -> Option<Duration> {
        let is_untold = self.passes_by_itself() && !headers.contains_key(header::RETRY_AFTER);
        is_untold.then_some(DEFAULT_RETRY_AFTER)
    }

    /// Whether the same request may succeed later: 429 and 503.
    fn passes_by_itself(&self) -> bool {
        matches!(self.0.reason.status(), StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE)
    }

    /// The same refusal, with the id of the request it answers if that is a real one.
    pub(crate) fn addressed_to(mut self, face: &Face) -> Self {
        if face.addressed && !(self.0.addressed && self.0.request_id == face.request_id) {
            let inner = self.edit();
            inner.addressed = true;
            inner.request_id.clone_from(&face.request_id);
        }
        self
    }

    /// Renders in `style`. `headers` are the response's so far, this refusal's own among them.
    pub(crate) fn render(
        self,
        face: &Face,
        style: &problem::Style,
        headers: HeaderMap,
    ) -> Response<Option<bytes::Bytes>> {
        let rejection = self.addressed_to(face);
        let mut response = Response::new(());
        *response.headers_mut() = headers;
        let body = if face.protocol.is_grpc() {
            grpc::render(&rejection, face.protocol, style.domain(), &mut response);
            None
        } else {
            problem::render(&rejection, face, style, &mut response)
        };
        response.extensions_mut().insert(rejection);
        response.map(|()| body)
    }

    /// Removes from `headers` what an earlier rendering of this refusal put there. Its own headers stay, as they
    /// are by now: other layers may have added lines to them.
    pub(crate) fn strip_rendering(&self, headers: &mut HeaderMap) {
        for name in problem::RENDERED_HEADERS.into_iter().chain(grpc::RENDERED_HEADERS) {
            headers.remove(name);
        }
        let is_default = |value: &HeaderValue| *value == DEFAULT_RETRY_AFTER.as_secs().to_string();
        if self.0.retry_after.is_some()
            || (self.passes_by_itself() && headers.get(header::RETRY_AFTER).is_some_and(is_default))
        {
            headers.remove(header::RETRY_AFTER);
        }
        if self.0.reason == Reason::RequestTimeout {
            headers.remove(header::CONNECTION);
        }
    }

    /// The gRPC code that a caller who speaks gRPC sees.
    pub fn grpc_code(&self) -> GrpcCode {
        self.0.reason.grpc_code()
    }
}

impl fmt::Debug for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rejection")
            .field("reason", &self.0.reason)
            .field("layer", &self.0.layer)
            .field("detail", &self.detail())
            .field("retry_after", &self.0.retry_after)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "request refused: {}", self.0.reason.code())
    }
}

impl std::error::Error for Rejection {}

impl From<Reason> for Rejection {
    fn from(reason: Reason) -> Self {
        Self::new(reason)
    }
}

/// A handler may return a refusal. The body is left to the layers outside: `NormalizeLayer` or `ProblemLayer`
/// renders it for the protocol of the request; without either it is rendered here, for HTTP.
#[cfg(feature = "axum")]
impl axum::response::IntoResponse for Rejection {
    fn into_response(self) -> axum::response::Response {
        let body = |response: Response<ResponseBody<axum::body::Body>>| response.map(axum::body::Body::new);
        body(Self::into_response(self, &Face::default()))
    }
}
