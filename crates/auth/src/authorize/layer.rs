//! The layer that says who may.

use std::{fmt, marker::PhantomData, sync::Arc};

use bartizan_core::{ServerLayer, phase};
use tower_layer::Layer;

use super::{
    AccessPolicy, Authorize, RuleTable,
    decide::{Rules, Shared},
};
use crate::{
    Optional, Presence, Require, Required,
    telemetry::{Telemetry, scheme},
};

/// Lets only callers pass that may: by one requirement for all requests ([`require`](Self::require)), or by a
/// [`table`](Self::table) of routes. Belongs to phase `Authorization`.
///
/// - No principal: 401, with the challenges of the authentication layers that let the request pass.
/// - A principal that lacks what is required: 403, which names the missing scope or role, and challenges with
///   `insufficient_scope` where a scope would help.
/// - What is [hidden](Require::hidden): 404, as for what does not exist.
/// - A [policy](Self::with_policy) that fails or takes too long: 503.
///
/// With a table, also:
///
/// - What no rule covers: 403; 404 if the table hides anything. A route is reported on first sight, and when it was
///   [listed](RuleTable::covering), as soon as the table is built.
/// - Rules are found by the template that the router matched, where there is one: with axum, the layer belongs under
///   `Router::layer`, and the feature `axum` must be on. Elsewhere they are found by the path, decoded once; one
///   that can be read in more than one way (`//`, `/../`, `%2e%2e`, `%2f`, `;x`, a trailing `/`, or a stricter
///   rule's path in other letters) is refused.
/// - Where the router's template is coarser than the table's (`/{*path}` for a proxy, and a rule of
///   `/admin/{*rest}`; `/v1/orders/{id}`, and a rule of `/v1/orders/export`), the path is looked up as well, and the rule
///   decides whose template is closest to it. A path that can be read in more than one way is then refused, too.
///   Templates of which no rule of the table is a closer case cost nothing for it. Where a nested router of another kind
///   than axum's may have taken a prefix from the path, or the feature `axum` is off, both rules must let the request
///   pass; put the table around the outermost router there.
/// - A gRPC call is held to the rules of gRPC methods alone, and the path of such a method to its rule whatever the
///   content type.
/// - `X-HTTP-Method-Override` and its like are removed: the rule is that of the method that was sent.
///
/// ```
/// use bartizan_auth::{AuthorizeLayer, Require};
///
/// let layer = AuthorizeLayer::table()
///     .public("GET", "/health")
///     .route("GET", "/v1/orders/{id}", Require::scope("orders:read"))
///     .route("*", "/v1/orders/{id}", Require::scope("orders:write"))
///     .grpc("/shop.Orders/Create", Require::scope("orders:write"))
///     .covering([("GET", "/v1/orders/{id}"), ("GET", "/v1/stats")])
///     .build()?;
/// assert_eq!(layer.uncovered(), ["GET /v1/stats"]);
/// # Ok::<_, bartizan_auth::ConfigError>(())
/// ```
///
/// Clones, and the services made of them, share the rules.
#[must_use = "a layer does nothing until it is applied"]
pub struct AuthorizeLayer<P = NoPolicy, N = Required> {
    shared: Arc<Shared>,
    policy: P,
    presence: PhantomData<fn() -> N>,
}

/// The name of an [`AuthorizeLayer`] with one requirement, for single routes.
///
/// ```
/// use axum::{Router, routing::post};
/// use bartizan_auth::RequireLayer;
///
/// let orders: Router =
///     Router::new().route("/v1/orders", post(|| async {})).route_layer(RequireLayer::scope("orders:write"));
/// ```
pub type RequireLayer = AuthorizeLayer;

/// Nothing else is asked: the layer decides by its rules alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoPolicy;

impl AuthorizeLayer {
    /// Rules by route.
    pub fn table() -> RuleTable {
        RuleTable::default()
    }

    /// The same for every request.
    pub fn require(require: Require) -> Self {
        Self::of(Rules::One(require), Vec::new())
    }

    /// Requires a caller, whoever it is. For routes inside an [optional](crate::ApiKeyLayer::optional) layer.
    pub fn authenticated() -> Self {
        Self::require(Require::authenticated())
    }

    /// Requires this scope.
    ///
    /// # Panics
    ///
    /// When the text can be no scope: see [`Require::try_scope`].
    #[track_caller]
    pub fn scope(scope: &str) -> Self {
        Self::require(Require::scope(scope))
    }

    /// Requires all of these scopes.
    ///
    /// # Panics
    ///
    /// When there is none, or one can be no scope: see [`Require::try_all_scopes`].
    #[track_caller]
    pub fn all_scopes<'a>(scopes: impl IntoIterator<Item = &'a str>) -> Self {
        Self::require(Require::all_scopes(scopes))
    }

    /// Requires one or more of these scopes.
    ///
    /// # Panics
    ///
    /// When there is none, or one can be no scope: see [`Require::try_any_scope`].
    #[track_caller]
    pub fn any_scope<'a>(scopes: impl IntoIterator<Item = &'a str>) -> Self {
        Self::require(Require::any_scope(scopes))
    }

    /// Requires this role.
    ///
    /// # Panics
    ///
    /// When the text can be no role: see [`Require::try_role`].
    #[track_caller]
    pub fn role(role: &str) -> Self {
        Self::require(Require::role(role))
    }

    pub(super) fn of(rules: Rules, uncovered: Vec<String>) -> Self {
        let scheme = match rules {
            Rules::One(_) => scheme::REQUIRE,
            Rules::Table(_) => scheme::AUTHORIZE,
        };
        let shared = Shared::new(rules, uncovered, Telemetry::new(scheme));
        Self { shared: Arc::new(shared), policy: NoPolicy, presence: PhantomData }
    }
}

impl<N> AuthorizeLayer<NoPolicy, N> {
    /// Asks `policy` about every request that the rules let pass, but for public routes. What it says is final.
    pub fn with_policy(self, policy: AccessPolicy) -> AuthorizeLayer<AccessPolicy, N> {
        AuthorizeLayer { shared: self.shared, policy, presence: PhantomData }
    }
}

impl<P, N> AuthorizeLayer<P, N> {
    /// For a place inside an [optional](crate::ApiKeyLayer::optional) authentication layer: in a checked stack the
    /// layer then needs no `Principal`. Requests without one still pass on public routes alone.
    pub fn optional(self) -> AuthorizeLayer<P, Optional> {
        AuthorizeLayer { shared: self.shared, policy: self.policy, presence: PhantomData }
    }

    /// Decides, counts and tells, and lets every request pass: to try rules out on real traffic. Dangerous to
    /// forget. Default: no.
    pub fn with_dry_run(mut self) -> Self {
        self.edit().dry_run = true;
        self
    }

    /// Counts in this recorder instead of the one in force.
    #[cfg(feature = "metrics")]
    pub fn with_recorder(mut self, recorder: impl metrics::Recorder + Send + Sync + 'static) -> Self {
        self.edit().telemetry.pin(recorder);
        self
    }

    /// The routes given to [`RuleTable::covering`] that no rule covers, as `GET /v1/stats` and `/pkg.Svc/Method`. A
    /// test that expects none keeps a service complete.
    pub fn uncovered(&self) -> &[String] {
        &self.shared.uncovered
    }

    /// A clone made before keeps its own settings.
    fn edit(&mut self) -> &mut Shared {
        Arc::make_mut(&mut self.shared)
    }
}

impl<P: Clone, N> Clone for AuthorizeLayer<P, N> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), policy: self.policy.clone(), presence: PhantomData }
    }
}

impl<P: fmt::Debug, N> fmt::Debug for AuthorizeLayer<P, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizeLayer")
            .field("rules", &self.shared.rules)
            .field("dry_run", &self.shared.dry_run)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

impl<S, P: Clone, N> Layer<S> for AuthorizeLayer<P, N> {
    type Service = Authorize<S, P>;

    fn layer(&self, inner: S) -> Authorize<S, P> {
        Authorize::new(inner, Arc::clone(&self.shared), self.policy.clone())
    }
}

impl<P, N: Presence> ServerLayer for AuthorizeLayer<P, N> {
    type Phase = phase::Authorization;
    type Needs = N::Provides;
    type Provides = ();

    fn name(&self) -> &'static str {
        self.shared.name()
    }
}
