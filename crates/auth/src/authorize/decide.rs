//! The decision over a request: the rules first, then the policy's answer.

use std::{fmt, sync::Arc};

use bartizan_core::{Protocol, Rejection, RequestContext};
use http::{Extensions, HeaderMap, HeaderName, Request};

use super::{
    Access, AccessPolicy, PolicyDecision, PolicyQuery, Require,
    coverage::Met,
    lookup::{Rule, Table},
    matched::Matched,
    refusal::Denied,
};
use crate::{
    Failure,
    telemetry::{Decision, Telemetry, scheme},
};

/// What all services of a layer share.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) rules: Rules,
    /// Listed, and without a rule.
    pub(super) uncovered: Arc<[String]>,
    pub(super) dry_run: bool,
    pub(super) telemetry: Telemetry,
    met: Arc<Met>,
    /// Whether the requirement must see the route: to look one up costs.
    looks_at_request: bool,
}

/// What is required, and where.
#[derive(Clone)]
pub(super) enum Rules {
    One(Require),
    Table(Arc<Table>),
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(require) => require.fmt(f),
            Self::Table(table) => table.fmt(f),
        }
    }
}

/// What the rules say of a request that may pass.
enum Grant<'a> {
    /// It is for everybody.
    Public,
    /// It has what is required, on this route if the route was asked for.
    Right(Option<Matched<'a>>),
}

impl Shared {
    pub(super) fn new(rules: Rules, uncovered: Vec<String>, telemetry: Telemetry) -> Self {
        let looks_at_request = match &rules {
            Rules::One(require) => require.looks_at_request(),
            Rules::Table(_) => true,
        };
        let uncovered = uncovered.into();
        Self { rules, uncovered, dry_run: false, telemetry, met: Arc::default(), looks_at_request }
    }

    pub(super) fn name(&self) -> &'static str {
        match self.rules {
            Rules::One(_) => scheme::REQUIRE,
            Rules::Table(_) => scheme::AUTHORIZE,
        }
    }

    /// Lets the request pass by the rules alone.
    pub(super) fn admit<B>(&self, request: &mut Request<B>) -> Result<(), Rejection> {
        self.prepare(request.headers_mut());
        let context = RequestContext::get(request.extensions());
        match self.decide(request, context, self.looks_at_request) {
            Ok(Grant::Public) => self.telemetry.decided(context, Decision::Bypassed, None),
            Ok(Grant::Right(_)) => self.telemetry.decided(context, Decision::Accepted, None),
            Err(denied) => return self.refuse(&denied, request, context),
        }
        Ok(())
    }

    /// The same, with a question to the policy if one is left.
    pub(super) fn admit_by<B>(
        &self,
        policy: &AccessPolicy,
        request: &mut Request<B>,
    ) -> Result<Option<PolicyQuery>, Rejection> {
        self.prepare(request.headers_mut());
        let request = &*request;
        let context = RequestContext::get(request.extensions());
        let route = match self.decide(request, context, true) {
            Ok(Grant::Right(route)) => route,
            Ok(Grant::Public) => {
                self.telemetry.decided(context, Decision::Bypassed, None);
                return Ok(None);
            }
            Err(denied) => return self.refuse(&denied, request, context).map(|()| None),
        };
        let query = Access::new(request, context, route.as_ref())
            .ok_or(Failure::NoPrincipal)
            .and_then(|access| policy.query(request, &access));
        match query {
            Ok(query) => match policy.remembered(&query) {
                Some(decision) => self.conclude(Ok(decision), context).map(|()| None),
                None => Ok(Some(query)),
            },
            Err(failure) => self.conclude(Err(failure), context).map(|()| None),
        }
    }

    /// What the policy's decision comes to.
    pub(super) fn conclude(
        &self,
        decision: Result<PolicyDecision, Failure>,
        context: Option<&RequestContext>,
    ) -> Result<(), Rejection> {
        let (failure, is_hidden) = match decision {
            Ok(PolicyDecision::Allow) => {
                self.telemetry.decided(context, Decision::Accepted, None);
                return Ok(());
            }
            Ok(PolicyDecision::Deny) => (Failure::PolicyDenied, false),
            Ok(PolicyDecision::Hide) => (Failure::PolicyDenied, true),
            Err(failure) => (failure, false),
        };
        let denied = Denied { failure, require: None, route: None, is_hidden };
        self.deny(&denied, context, || denied.refusal(None, &Extensions::new(), self.name()))
    }

    /// A request says its method once: what would override it further in could slip past the rule.
    fn prepare(&self, headers: &mut HeaderMap) {
        static OVERRIDES: [HeaderName; 3] = [
            HeaderName::from_static("x-http-method-override"),
            HeaderName::from_static("x-http-method"),
            HeaderName::from_static("x-method-override"),
        ];
        if matches!(self.rules, Rules::Table(_)) {
            for name in &OVERRIDES {
                headers.remove(name);
            }
        }
    }

    #[inline]
    fn decide<'a, B>(
        &'a self,
        request: &'a Request<B>,
        context: Option<&'a RequestContext>,
        needs_route: bool,
    ) -> Result<Grant<'a>, Denied<'a>> {
        match &self.rules {
            Rules::One(require) => {
                let route = needs_route.then(|| Matched::by_router(request, context));
                check(require, request, context, route)
            }
            Rules::Table(table) => self.decide_by(table, request, context),
        }
    }

    fn decide_by<'a, B>(
        &'a self,
        table: &'a Table,
        request: &'a Request<B>,
        context: Option<&'a RequestContext>,
    ) -> Result<Grant<'a>, Denied<'a>> {
        let denied = |failure| Denied { failure, require: None, route: None, is_hidden: table.hides() };
        let path = request.uri().path();
        let route = Matched::by_router(request, context);
        let protocol = context.map_or_else(|| Protocol::of(request), RequestContext::protocol);
        // A method's path is held to the method's rule whatever the content type says; open it is to gRPC alone.
        let of_method =
            table.grpc(path).filter(|rule| protocol.is_grpc() || matches!(rule, Rule::Require(_)));
        if protocol.is_grpc() || of_method.is_some() {
            return self.apply(of_method, route, request, context, table);
        }
        let method = request.method();
        if route.route().is_other() {
            return match table.by_path(path) {
                Err(_) => Err(denied(Failure::AmbiguousPath)),
                Ok(None) => self.apply(None, route, request, context, table),
                Ok(Some(found)) => {
                    let route = Matched::by_table(found.route(), Some(path));
                    self.apply(found.rule(method), route, request, context, table)
                }
            };
        }
        let template = route.route().as_str();
        let found = table.by_template(template);
        let Some(found) = found.filter(|found| found.is_outranked()) else {
            let rule = found.and_then(|found| found.rule(method));
            return self.apply(rule, route, request, context, table);
        };
        let whole = route.whole_path(request.uri(), request.extensions());
        let looked_up = whole.or_else(|| route.ambiguous_path(request.extensions())).unwrap_or(path);
        match table.closer(found, template, looked_up) {
            Err(_) => Err(denied(Failure::AmbiguousPath)),
            Ok(None) => self.apply(found.rule(method), route, request, context, table),
            Ok(Some(closer)) => {
                let by_table = Matched::by_table(closer.route(), whole);
                let by_closer = || self.apply(closer.rule(method), by_table, request, context, table);
                if whole.is_some() {
                    return by_closer();
                }
                // A nested router may have taken a prefix away, and what is left only looks like the closer one's.
                let granted = self.apply(found.rule(method), route, request, context, table)?;
                Ok(match by_closer()? {
                    Grant::Public => granted,
                    right @ Grant::Right(_) => right,
                })
            }
        }
    }

    /// What a rule says of the request, or that there is none.
    #[inline]
    fn apply<'a, B>(
        &'a self,
        rule: Option<&'a Rule>,
        route: Matched<'a>,
        request: &'a Request<B>,
        context: Option<&'a RequestContext>,
        table: &'a Table,
    ) -> Result<Grant<'a>, Denied<'a>> {
        match rule {
            Some(Rule::Public) => Ok(Grant::Public),
            Some(Rule::Require(require)) => check(require, request, context, Some(route)),
            None => {
                self.met.note(request.method(), route.route());
                let failure = Failure::Uncovered;
                Err(Denied { failure, require: None, route: None, is_hidden: table.hides() })
            }
        }
    }

    #[cold]
    fn refuse<B>(
        &self,
        denied: &Denied<'_>,
        request: &Request<B>,
        context: Option<&RequestContext>,
    ) -> Result<(), Rejection> {
        self.deny(denied, context, || {
            let access = Access::new(request, context, denied.route.as_ref());
            denied.refusal(access.as_ref(), request.extensions(), self.name())
        })
    }

    /// Counts, and refuses unless all this is but a rehearsal.
    #[cold]
    fn deny(
        &self,
        denied: &Denied<'_>,
        context: Option<&RequestContext>,
        refusal: impl FnOnce() -> Rejection,
    ) -> Result<(), Rejection> {
        if self.dry_run {
            self.telemetry.decided(context, Decision::WouldRefuse(denied.failure), None);
            return Ok(());
        }
        self.telemetry.decided(context, Decision::Refused(denied.failure), None);
        Err(refusal())
    }
}

#[inline]
fn check<'a, B>(
    require: &'a Require,
    request: &'a Request<B>,
    context: Option<&'a RequestContext>,
    route: Option<Matched<'a>>,
) -> Result<Grant<'a>, Denied<'a>> {
    let checked = Access::new(request, context, route.as_ref())
        .ok_or(Failure::NoPrincipal)
        .and_then(|access| require.check(&access));
    match checked {
        Ok(()) => Ok(Grant::Right(route)),
        Err(failure) => {
            Err(Denied { failure, require: Some(require), route, is_hidden: require.is_hidden() })
        }
    }
}
