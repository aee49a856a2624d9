//! The service behind a [`JwtLayer`](crate::JwtLayer).

use std::{
    fmt,
    marker::PhantomData,
    mem,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
};

use bartizan_core::{Face, Principal, RequestContext, ResponseBody};
use http::{HeaderValue, Request, Response};
use http_body::Body;
use tower_service::Service;

use super::{
    ClaimsShape, JwtFuture, KeySource,
    bearer::{self, Presented, Scheme},
    cache::{Cache, Limits},
    challenge::Challenge,
    refused::Refused,
    token::ClaimNames,
    verify::{Identity, Issuer, Unverified, Verifier},
};
use crate::{
    Failure, Presence, Required,
    challenge::{Asks, Challenges},
    error::Part,
    pop::{Offer, Possession},
    settings::Settings,
    telemetry::{Decision, scheme},
};

/// Service of [`JwtLayer`](crate::JwtLayer). Clones share the keys and the tokens seen before.
pub struct JwtService<S, K, C = (), P = Required> {
    inner: S,
    shared: Arc<Shared<K, C>>,
    presence: PhantomData<fn() -> P>,
}

impl<S, K, C, P> JwtService<S, K, C, P> {
    pub(crate) fn new(inner: S, shared: Arc<Shared<K, C>>) -> Self {
        Self { inner, shared, presence: PhantomData }
    }
}

impl<S: Clone, K, C, P> Clone for JwtService<S, K, C, P> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone(), Arc::clone(&self.shared))
    }
}

impl<S: fmt::Debug, K, C, P> fmt::Debug for JwtService<S, K, C, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtService").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<S, K, C, P, ReqBody, ResBody> Service<Request<ReqBody>> for JwtService<S, K, C, P>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
    K: KeySource,
    C: ClaimsShape,
    P: Presence,
    ResBody: Body,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = JwtFuture<S, ReqBody, K, C>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        Shared::call(&self.shared, &mut self.inner, request, P::OPTIONAL)
    }
}

/// What all services of a layer share.
pub(crate) struct Shared<K, C> {
    pub(crate) verifier: Verifier<K, C>,
    pub(crate) limits: Option<Limits>,
    pub(crate) settings: Settings,
    pub(crate) challenge: Challenge,
    pub(crate) possession: Possession,
    /// Made when the first token is kept.
    seen: OnceLock<Cache<C>>,
    /// Made when the first request comes: until then what the layer asks with may change.
    asks: OnceLock<Asks>,
}

impl<K, C> Clone for Shared<K, C> {
    /// Without the tokens seen before: what follows may be other settings.
    fn clone(&self) -> Self {
        Self {
            verifier: self.verifier.clone(),
            limits: self.limits,
            settings: self.settings.clone(),
            challenge: self.challenge.clone(),
            possession: self.possession.clone(),
            seen: OnceLock::new(),
            asks: OnceLock::new(),
        }
    }
}

/// The value of `Authorization`, and its scheme.
pub(crate) type Authorization = (HeaderValue, Scheme);

/// A request that is not refused, so far.
pub(crate) enum Begun<R> {
    Passes(Offer),
    /// The keys are being fetched: decide once more after this, over this token.
    Waits(R, Authorization),
}

impl<K> Shared<K, ()> {
    pub(crate) fn new(issuer: Issuer<K>) -> Self {
        let challenge = Challenge::new("api", None, None).expect("the default realm is printable");
        Self {
            verifier: Verifier { issuers: vec![issuer], names: ClaimNames::default(), enrich: None },
            limits: Some(Limits::DEFAULT),
            settings: Settings::of(Part::Jwt, scheme::JWT, challenge.bearer().clone()),
            challenge,
            possession: Possession::default(),
            seen: OnceLock::new(),
            asks: OnceLock::new(),
        }
    }
}

impl<K, C> Shared<K, C> {
    pub(crate) fn set_challenge(&mut self, challenge: Challenge) {
        self.settings.challenge = challenge.bearer().clone();
        self.challenge = challenge;
        self.asks = OnceLock::new();
    }

    /// The other method of an `AuthLayer` asks with these lines.
    pub(crate) fn set_challenges_beside(&mut self, lines: Vec<HeaderValue>) {
        self.settings.challenges_beside = lines;
        self.asks = OnceLock::new();
    }

    /// What the layer asks with.
    #[inline]
    pub(crate) fn asks(&self) -> Asks {
        *self.asks.get_or_init(|| Asks::with(self.challenge.plain().chain(&self.settings.challenges_beside)))
    }

    pub(crate) fn forget(&mut self) {
        self.seen = OnceLock::new();
    }

    /// The same for claims of another shape.
    pub(crate) fn reshaped<D>(&self) -> Shared<K, D> {
        let Verifier { issuers, names, enrich: _ } = self.verifier.clone();
        Shared {
            verifier: Verifier { issuers, names, enrich: None },
            limits: self.limits,
            settings: self.settings.clone(),
            challenge: self.challenge.clone(),
            possession: self.possession.clone(),
            seen: OnceLock::new(),
            asks: OnceLock::new(),
        }
    }
}

impl<K: KeySource, C: ClaimsShape> Shared<K, C> {
    pub(crate) fn call<S, ReqBody, ResBody>(
        shared: &Arc<Self>,
        inner: &mut S,
        mut request: Request<ReqBody>,
        optional: bool,
    ) -> JwtFuture<S, ReqBody, K, C>
    where
        S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
    {
        match shared.begin(&mut request, optional) {
            Ok(Begun::Passes(offer)) => JwtFuture::forward(inner.call(request), offer, shared.asks()),
            Ok(Begun::Waits(refresh, presented)) => {
                // The one that was polled ready goes with the request.
                let clone = inner.clone();
                JwtFuture::wait(refresh, Arc::clone(shared), mem::replace(inner, clone), request, presented)
            }
            Err(refused) => JwtFuture::refuse(shared.refusal(&refused), Face::of(&request)),
        }
    }

    /// Lets the request pass, prepared for the handler, unless the keys must be fetched first.
    fn begin<B>(&self, request: &mut Request<B>, optional: bool) -> Result<Begun<K::Refresh>, Refused> {
        let settings = &self.settings;
        if let Some(name) = &settings.identity_header {
            request.headers_mut().remove(name);
        }
        self.possession.strip(request);
        if settings.is_bypassed(request.uri().path()) {
            self.settings.telemetry.decided(
                RequestContext::get(request.extensions()),
                Decision::Bypassed,
                None,
            );
            self.pass_unknown(request);
            self.hide_unchecked(request);
            return Ok(Begun::Passes(None));
        }
        let keep = settings.keep_credential;
        let in_query = bearer::is_in_query(request.uri());
        let takes_dpop = self.possession.takes_dpop();
        let (value, scheme) = match bearer::take(request.headers_mut(), takes_dpop, in_query, keep) {
            Presented::One(value, scheme) => (value, scheme),
            Presented::Missing if optional => {
                settings.telemetry.decided(
                    RequestContext::get(request.extensions()),
                    Decision::Anonymous,
                    None,
                );
                self.pass_unknown(request);
                self.possession.hide_proof(request, keep);
                return Ok(Begun::Passes(None));
            }
            Presented::Missing => return Err(self.refused(request, Failure::Missing)),
            Presented::Ambiguous => return Err(self.refused(request, Failure::Ambiguous)),
        };
        match self.decide(request, &value, scheme, true) {
            Ok(offer) => Ok(Begun::Passes(offer)),
            Err(Unverified::Wait(refresh)) => Ok(Begun::Waits(refresh, (value, scheme))),
            Err(refused) => Err(Refused::new(&refused, scheme)),
        }
    }

    /// The same once more, after the keys were fetched. Whatever is decided now is final.
    pub(crate) fn resume<B>(
        &self,
        request: &mut Request<B>,
        (value, scheme): &Authorization,
    ) -> Result<Offer, Refused> {
        self.decide(request, value, *scheme, false).map_err(|unverified| Refused::new(&unverified, *scheme))
    }

    /// Sets the principal of the request if the token is good, and tells what was decided.
    fn decide<B>(
        &self,
        request: &mut Request<B>,
        value: &HeaderValue,
        scheme: Scheme,
        may_wait: bool,
    ) -> Result<Offer, Unverified<K::Refresh>> {
        let token = bearer::token(value, scheme);
        let identity = match self.identify(token, may_wait) {
            Ok(identity) => identity,
            Err(unverified) => return Err(self.told(unverified, request)),
        };
        let refused = |failure| {
            let id = identity.principal.credential_id().map(Into::into);
            Unverified::Refused { failure, id, retry_after: None }
        };
        // With each request, also of a token that was seen before.
        let offer =
            match self.possession.check(&identity.confirmation, scheme, token, request, &self.settings) {
                Ok(offer) => offer,
                Err(failure) => return Err(self.told(refused(failure), request)),
            };
        // Borrowed where an outer layer made it: a clone of its `Arc` is two more writes to shared memory.
        let is_let_pass = match RequestContext::get(request.extensions()) {
            Some(context) => self.let_pass(&identity.principal, context),
            None => self.let_pass(&identity.principal, &RequestContext::of(request)),
        };
        if !is_let_pass {
            // Another layer authenticated somebody else: two credentials, two callers.
            return Err(self.told(refused(Failure::Ambiguous), request));
        }
        identity.claims.attach(request.extensions_mut());
        if let Some(name) = &self.settings.identity_header
            && let Ok(subject) = HeaderValue::from_bytes(identity.principal.subject().as_bytes())
        {
            request.headers_mut().insert(name, subject);
        }
        if self.settings.keep_credential {
            bearer::mark_sensitive(request.headers_mut());
        }
        self.possession.hide_proof(request, self.settings.keep_credential);
        Ok(offer)
    }

    /// Sets the principal of a request, and tells of it; false if it has another.
    #[inline]
    fn let_pass(&self, principal: &Principal, context: &RequestContext) -> bool {
        let is_known = context.set_principal(principal.clone()) || context.principal() == Some(principal);
        if is_known {
            self.settings.telemetry.accepted(context, principal);
        }
        is_known
    }

    /// Tells of a token that is not accepted, unless that is still to be seen.
    #[cold]
    fn told<B>(
        &self,
        unverified: Unverified<K::Refresh>,
        request: &mut Request<B>,
    ) -> Unverified<K::Refresh> {
        if let Unverified::Refused { failure, id, .. } = &unverified {
            let context = RequestContext::of(request);
            self.settings.telemetry.decided(Some(&context), Decision::Refused(*failure), id.as_deref());
        }
        unverified
    }

    /// What the token proves: remembered, or verified.
    #[inline]
    fn identify(&self, token: &[u8], may_wait: bool) -> Result<Identity<C>, Unverified<K::Refresh>> {
        let now = self.settings.since_1970();
        let is_current = |source| self.verifier.is_current(source);
        let mut hash = None;
        if let Some(seen) = self.seen.get() {
            let sum = seen.hash(token);
            if let Some(identity) = seen.find(sum, token, now, is_current) {
                return Ok(identity);
            }
            hash = Some(sum);
        }
        let verified = self.verifier.verify(token, now, may_wait).map_err(|unverified| match unverified {
            // What is no token may not even have the form of one. A token always has.
            Unverified::Refused { failure: Failure::Malformed, .. } => {
                bearer::check_form(token).err().unwrap_or(Failure::Malformed).into()
            }
            unverified => unverified,
        })?;
        if let Some(limits) = self.limits {
            let seen = self.seen.get_or_init(|| Cache::new(limits));
            seen.insert(hash.unwrap_or_else(|| seen.hash(token)), token, &verified, now, is_current);
        }
        Ok(verified.identity)
    }

    fn refused<B>(&self, request: &Request<B>, failure: Failure) -> Refused {
        let context = RequestContext::get(request.extensions());
        self.settings.telemetry.decided(context, Decision::Refused(failure), None);
        Refused { failure, scheme: Scheme::Bearer, retry_after: None }
    }

    /// A layer further in may refuse for want of a principal: it needs the challenge.
    fn pass_unknown<B>(&self, request: &mut Request<B>) {
        self.challenge.plain().for_each(|line| Challenges::leave(request.extensions_mut(), line));
    }
}

impl<K, C> Shared<K, C> {
    /// Leaves nothing behind that looks like a token, or marks it.
    pub(crate) fn hide_unchecked<B>(&self, request: &mut Request<B>) {
        if self.settings.keep_credential {
            bearer::mark_sensitive(request.headers_mut());
        } else {
            bearer::remove_unchecked(request.headers_mut(), self.possession.takes_dpop());
        }
        self.possession.hide_proof(request, self.settings.keep_credential);
    }
}
