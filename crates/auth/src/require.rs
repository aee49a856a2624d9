//! The layer that asks for a right.

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use bartizan_core::{Face, RequestContext, ResponseBody, ResponseFuture, ServerLayer, fact, phase};
use http::{Request, Response};
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;

use crate::{
    ConfigError,
    rule::Rule,
    telemetry::{Decision, Telemetry, scheme},
};

/// Lets only callers pass that have a right: a scope or a role. Belongs on routes, and to phase `Authorization`.
///
/// Without a principal the answer is 401 with the challenge of the authentication layer that let the request
/// pass; with one that lacks the right it is 403, and names what is missing.
///
/// ```
/// use axum::{Router, routing::post};
/// use bartizan_auth::RequireLayer;
///
/// let orders: Router =
///     Router::new().route("/v1/orders", post(|| async {})).route_layer(RequireLayer::scope("orders:write"));
/// ```
#[derive(Clone)]
#[must_use = "a layer does nothing until it is applied"]
pub struct RequireLayer(Arc<Requirement>);

#[derive(Clone)]
struct Requirement {
    rule: Rule,
    telemetry: Telemetry,
}

impl RequireLayer {
    /// Requires a caller, whoever it is. For routes inside an [optional](crate::ApiKeyLayer::optional) layer.
    pub fn authenticated() -> Self {
        Self::new(Rule::Authenticated)
    }

    /// Requires this scope.
    ///
    /// # Panics
    ///
    /// When the text can be no scope: see [`try_scope`](Self::try_scope).
    #[track_caller]
    pub fn scope(scope: &str) -> Self {
        expect(Self::try_scope(scope))
    }

    /// Requires all of these scopes.
    ///
    /// # Panics
    ///
    /// When there is none, or one can be no scope: see [`try_all_scopes`](Self::try_all_scopes).
    #[track_caller]
    pub fn all_scopes<'a>(scopes: impl IntoIterator<Item = &'a str>) -> Self {
        expect(Self::try_all_scopes(scopes))
    }

    /// Requires one or more of these scopes.
    ///
    /// # Panics
    ///
    /// When there is none, or one can be no scope: see [`try_any_scope`](Self::try_any_scope).
    #[track_caller]
    pub fn any_scope<'a>(scopes: impl IntoIterator<Item = &'a str>) -> Self {
        expect(Self::try_any_scope(scopes))
    }

    /// Requires this role.
    ///
    /// # Panics
    ///
    /// When the text can be no role: see [`try_role`](Self::try_role).
    #[track_caller]
    pub fn role(role: &str) -> Self {
        expect(Self::try_role(role))
    }

    /// [`scope`](Self::scope), for a scope that comes from configuration.
    ///
    /// # Errors
    ///
    /// When the text is not 1 to 128 characters of those that RFC 6749 section 3.3 allows in a scope: printable
    /// ASCII without space, `"` and `\`.
    pub fn try_scope(scope: &str) -> Result<Self, ConfigError> {
        Self::try_all_scopes([scope])
    }

    /// [`all_scopes`](Self::all_scopes), for scopes that come from configuration.
    ///
    /// # Errors
    ///
    /// When there is none, or one is not as [`try_scope`](Self::try_scope) says.
    pub fn try_all_scopes<'a>(scopes: impl IntoIterator<Item = &'a str>) -> Result<Self, ConfigError> {
        Rule::all_scopes(scopes).map(Self::new)
    }

    /// [`any_scope`](Self::any_scope), for scopes that come from configuration.
    ///
    /// # Errors
    ///
    /// When there is none, or one is not as [`try_scope`](Self::try_scope) says.
    pub fn try_any_scope<'a>(scopes: impl IntoIterator<Item = &'a str>) -> Result<Self, ConfigError> {
        Rule::any_scope(scopes).map(Self::new)
    }

    /// [`role`](Self::role), for a role that comes from configuration.
    ///
    /// # Errors
    ///
    /// When the text has not 1 to 128 bytes, or holds a control character.
    pub fn try_role(role: &str) -> Result<Self, ConfigError> {
        Rule::role(role).map(Self::new)
    }

    /// Counts in this recorder instead of the one in force.
    #[cfg(feature = "metrics")]
    pub fn with_recorder(mut self, recorder: impl metrics::Recorder + Send + Sync + 'static) -> Self {
        Arc::make_mut(&mut self.0).telemetry.pin(recorder);
        self
    }

    fn new(rule: Rule) -> Self {
        Self(Arc::new(Requirement { rule, telemetry: Telemetry::new(scheme::REQUIRE) }))
    }
}

#[track_caller]
fn expect(layer: Result<RequireLayer, ConfigError>) -> RequireLayer {
    match layer {
        Ok(layer) => layer,
        Err(error) => panic!("{error}"),
    }
}

impl fmt::Debug for RequireLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RequireLayer").field(&self.0.rule).finish()
    }
}

impl<S> Layer<S> for RequireLayer {
    type Service = Require<S>;

    fn layer(&self, inner: S) -> Require<S> {
        Require { inner, requirement: Arc::clone(&self.0) }
    }
}

impl ServerLayer for RequireLayer {
    type Phase = phase::Authorization;
    type Needs = fact::Principal;
    type Provides = ();

    fn name(&self) -> &'static str {
        "require"
    }
}

/// Service of [`RequireLayer`].
#[derive(Clone)]
pub struct Require<S> {
    inner: S,
    requirement: Arc<Requirement>,
}

impl<S: fmt::Debug> fmt::Debug for Require<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Require").field("rule", &self.requirement.rule).field("inner", &self.inner).finish()
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for Require<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    ResBody: Body,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let Requirement { rule, telemetry } = &*self.requirement;
        let context = RequestContext::get(request.extensions());
        match rule.check(context.and_then(RequestContext::principal)) {
            Ok(()) => {
                telemetry.decided(context, Decision::Accepted, None);
                ResponseFuture::forward(self.inner.call(request))
            }
            Err(failure) => {
                telemetry.decided(context, Decision::Refused(failure), None);
                ResponseFuture::refuse(rule.refusal(failure, request.extensions()), Face::of(&request))
            }
        }
    }
}
