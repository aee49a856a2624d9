//! The service behind an [`AuthLayer`](crate::AuthLayer).

use std::{
    fmt,
    marker::PhantomData,
    sync::Arc,
    task::{Context, Poll},
};

use bartizan_core::{Face, Fault, Reason, Rejection, RequestContext, ResponseBody};
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::AuthFuture;
use crate::{
    ApiKeyFuture, AsyncKeyStore, CachedKeys, ClaimsShape, Failure, HeldFuture, JwtFuture, KeySource,
    KeyStore, Presence, Required, admit,
    challenge::Challenges,
    credential::{self, AUTHORIZATION},
    error::Part,
    jwt::{self, Complaint, Scheme, bearer},
    settings::Settings,
    telemetry::{Decision, scheme},
};

/// Service of [`AuthLayer`](crate::AuthLayer). Clones share the keys.
pub struct AuthService<S, K, T, C = (), P = Required> {
    inner: S,
    both: Arc<Both<K, T, C>>,
    presence: PhantomData<fn() -> P>,
}

impl<S, K, T, C, P> AuthService<S, K, T, C, P> {
    pub(super) fn new(inner: S, both: Arc<Both<K, T, C>>) -> Self {
        Self { inner, both, presence: PhantomData }
    }
}

impl<S: Clone, K, T, C, P> Clone for AuthService<S, K, T, C, P> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone(), Arc::clone(&self.both))
    }
}

impl<S: fmt::Debug, K, T, C, P> fmt::Debug for AuthService<S, K, T, C, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthService").field("inner", &self.inner).finish_non_exhaustive()
    }
}

/// What all services of a layer share: what the two methods share, and the layer's own settings.
pub(crate) struct Both<K, T, C> {
    pub(super) keys: Arc<admit::Shared<K>>,
    pub(super) tokens: Arc<jwt::Shared<T, C>>,
    /// Paths, and what neither method counts.
    pub(super) settings: Settings,
}

impl<K, T, C> Clone for Both<K, T, C> {
    fn clone(&self) -> Self {
        Self {
            keys: Arc::clone(&self.keys),
            tokens: Arc::clone(&self.tokens),
            settings: self.settings.clone(),
        }
    }
}

static ONE_HEADER: Fault = Fault::new(
    "auth",
    "the owners of keys and the subjects of tokens are told in one identity header, where equal names are one caller",
    "give `ApiKeyLayer` and `JwtLayer` different identity headers, or read the principal",
);

/// Which method decides over a request.
enum Method {
    Keys,
    Tokens,
}

impl<K, T, C> Both<K, T, C> {
    /// Each method learns what the other asks with.
    pub(super) fn new(mut keys: Arc<admit::Shared<K>>, mut tokens: Arc<jwt::Shared<T, C>>) -> Self {
        let settings = Settings {
            bypass: [&keys.settings.bypass[..], &tokens.settings.bypass].concat(),
            ..Settings::of(Part::Auth, scheme::AUTH, tokens.settings.challenge.clone())
        };
        if keys.settings.identity_header.is_some()
            && keys.settings.identity_header == tokens.settings.identity_header
        {
            ONE_HEADER.report();
        }
        let key_challenge = keys.settings.challenge.clone();
        Arc::make_mut(&mut keys).set_challenges_beside(tokens.challenge.plain().cloned().collect());
        Arc::make_mut(&mut tokens).set_challenges_beside(vec![key_challenge]);
        Self { keys, tokens, settings }
    }

    /// The method to ask; none if the request passes unasked.
    fn choose<B>(&self, request: &mut Request<B>, optional: bool) -> Result<Option<Method>, Failure> {
        for name in
            [&self.keys.settings.identity_header, &self.tokens.settings.identity_header].into_iter().flatten()
        {
            request.headers_mut().remove(name);
        }
        self.tokens.possession.strip(request);
        if self.settings.is_bypassed(request.uri().path()) {
            self.decided(request, Decision::Bypassed);
            self.pass(request);
            return Ok(None);
        }
        let parameter = self.keys.settings.query_parameter.as_deref();
        let key = credential::is_presented(request.headers(), request.uri(), parameter);
        let token = bearer::is_presented(request.headers(), self.tokens.possession.takes_dpop());
        // Two lines of it, whatever their schemes (AUT-02).
        let several_lines = || request.headers().get_all(&AUTHORIZATION).iter().nth(1).is_some();
        match (key, token) {
            (true, true) => self.refuse(request, Failure::Ambiguous),
            (true, false) => Ok(Some(Method::Keys)),
            (false, true) => Ok(Some(Method::Tokens)),
            (false, false) if several_lines() => self.refuse(request, Failure::Ambiguous),
            (false, false) if optional => {
                self.decided(request, Decision::Anonymous);
                self.leave_challenges(request);
                Ok(None)
            }
            (false, false) => self.refuse(request, Failure::Missing),
        }
    }

    fn refuse<B, X>(&self, request: &Request<B>, failure: Failure) -> Result<X, Failure> {
        self.decided(request, Decision::Refused(failure));
        Err(failure)
    }

    fn decided<B>(&self, request: &Request<B>, decision: Decision) {
        self.settings.telemetry.decided(RequestContext::get(request.extensions()), decision, None);
    }

    /// Nobody looks at the credentials of an open path, and they do not pass.
    fn pass<B>(&self, request: &mut Request<B>) {
        self.leave_challenges(request);
        self.keys.hide_unchecked(request);
        self.tokens.hide_unchecked(request);
    }

    /// A layer further in may refuse for want of a principal: it needs the challenges.
    fn leave_challenges<B>(&self, request: &mut Request<B>) {
        for challenge in self.tokens.challenge.plain().chain([&self.keys.settings.challenge]) {
            Challenges::leave(request.extensions_mut(), challenge);
        }
    }

    #[cold]
    fn refusal(&self, failure: Failure) -> Rejection {
        let tokens = &self.tokens;
        let (reason, complaint) = match failure {
            Failure::Missing => (Reason::Unauthenticated, Complaint::Nothing),
            _ => (Reason::MalformedCredentials, Complaint::InvalidRequest),
        };
        // That of the keys stands beside it.
        let challenges = tokens.challenge.lines(Scheme::Bearer, complaint);
        tokens.settings.challenged(reason, challenges).with_layer("auth").with_cause(failure.as_str())
    }
}

impl<S, K, T, C, P, ReqBody, ResBody> Service<Request<ReqBody>> for AuthService<S, K, T, C, P>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
    K: KeyStore,
    T: KeySource,
    C: ClaimsShape,
    P: Presence,
    ResBody: Body,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = AuthFuture<ApiKeyFuture<S::Future>, JwtFuture<S, ReqBody, T, C>, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        match self.both.choose(&mut request, P::OPTIONAL) {
            Ok(Some(Method::Keys)) => {
                AuthFuture::key(self.both.keys.call(&mut self.inner, request, P::OPTIONAL))
            }
            Ok(Some(Method::Tokens)) => {
                AuthFuture::token(jwt::Shared::call(&self.both.tokens, &mut self.inner, request, P::OPTIONAL))
            }
            Ok(None) => AuthFuture::neither(self.inner.call(request), self.both.tokens.asks()),
            Err(failure) => AuthFuture::refuse(self.both.refusal(failure), Face::of(&request)),
        }
    }
}

/// With a store of keys that must be waited for.
impl<S, A, T, C, P, ReqBody, ResBody> Service<Request<ReqBody>> for AuthService<S, CachedKeys<A>, T, C, P>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
    A: AsyncKeyStore,
    T: KeySource,
    C: ClaimsShape,
    P: Presence,
    ResBody: Body,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = AuthFuture<HeldFuture<S, ReqBody>, JwtFuture<S, ReqBody, T, C>, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        match self.both.choose(&mut request, P::OPTIONAL) {
            Ok(Some(Method::Keys)) => AuthFuture::key(admit::Shared::call_cached(
                &self.both.keys,
                &mut self.inner,
                request,
                P::OPTIONAL,
            )),
            Ok(Some(Method::Tokens)) => {
                AuthFuture::token(jwt::Shared::call(&self.both.tokens, &mut self.inner, request, P::OPTIONAL))
            }
            Ok(None) => AuthFuture::neither(self.inner.call(request), self.both.tokens.asks()),
            Err(failure) => AuthFuture::refuse(self.both.refusal(failure), Face::of(&request)),
        }
    }
}
