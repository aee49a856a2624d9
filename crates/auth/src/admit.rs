//! Which requests an [`ApiKeyLayer`](crate::ApiKeyLayer) lets pass.

use std::{
    mem,
    sync::{Arc, OnceLock},
};

use bartizan_core::{Face, Fault, MatchedRoute, Reason, Rejection, RequestContext};
use http::{HeaderValue, Request};
use tower_service::Service;

use crate::{
    ApiKeyFuture, AsyncKeyStore, CachedKeys, Failure, HeldFuture, KeyStore, StoredKey, authorize,
    challenge::{Asks, Challenges},
    credential::{self, Credential, Place},
    held::Deciding,
    key::{self, Presented},
    settings::Settings,
    telemetry::Decision,
    verify::verify,
};

/// A request that is not refused, so far.
enum Begun {
    Passes(Option<Place>),
    /// The credential was there, and the store must be asked.
    Waits(Deciding, Place),
}

/// What all services of a layer share.
pub(crate) struct Shared<K> {
    pub(crate) store: Arc<K>,
    pub(crate) settings: Settings,
    /// Made when the first request comes: until then what the layer asks with may change.
    asks: OnceLock<Asks>,
}

impl<K> Clone for Shared<K> {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.store), self.settings.clone())
    }
}

impl<K> Shared<K> {
    pub(crate) fn new(store: Arc<K>, settings: Settings) -> Self {
        Self { store, settings, asks: OnceLock::new() }
    }

    /// What the layer asks with.
    #[inline]
    pub(crate) fn asks(&self) -> Asks {
        let lines = || [&self.settings.challenge].into_iter().chain(&self.settings.challenges_beside);
        *self.asks.get_or_init(|| Asks::with(lines()))
    }

    /// The other method of an `AuthLayer` asks with these lines.
    pub(crate) fn set_challenges_beside(&mut self, lines: Vec<HeaderValue>) {
        self.settings.challenges_beside = lines;
        self.asks = OnceLock::new();
    }
}

static NO_CLIENT_ADDR: Fault = Fault::new(
    "api_key",
    "a key that is limited to networks was refused, because the client's address is not known",
    "put a layer that knows it, `ClientAddrLayer`, outside `ApiKeyLayer`",
);

impl<K: KeyStore> Shared<K> {
    /// Calls `inner`, which was polled ready, with the request if it may pass.
    pub(crate) fn call<S, B>(
        &self,
        inner: &mut S,
        mut request: Request<B>,
        optional: bool,
    ) -> ApiKeyFuture<S::Future>
    where
        S: Service<Request<B>>,
    {
        let asks = self.asks();
        match self.admit(&mut request, optional) {
            Ok(Some(Place::Query)) => ApiKeyFuture::forward_private(inner.call(request), asks),
            Ok(_) => ApiKeyFuture::forward(inner.call(request), asks),
            Err(failure) => ApiKeyFuture::refuse(self.refusal(failure), Face::of(&request)),
        }
    }

    /// Lets the request pass, prepared for the handler, and says where its credential was.
    fn admit<B>(&self, request: &mut Request<B>, optional: bool) -> Result<Option<Place>, Failure> {
        let Some(credential) = self.take(request) else { return Ok(None) };
        // Borrowed where an outer layer made it: a clone of its `Arc` is two more writes to shared memory.
        let decided = match RequestContext::get(request.extensions()) {
            Some(context) => self.decide(credential, request, context),
            None => {
                let context = RequestContext::of(request);
                self.decide(credential, request, &context)
            }
        };
        let Some((identity, place)) = decided? else {
            return self.pass_without_key(request, optional).map(|()| None);
        };
        self.hide_accepted(request, place);
        self.identify(request, identity);
        Ok(Some(place))
    }

    /// Sets the principal of the context if the credential is a good key for the request.
    fn decide<B>(
        &self,
        credential: Credential,
        request: &Request<B>,
        context: &RequestContext,
    ) -> Result<Option<(Option<HeaderValue>, Place)>, Failure> {
        let Some((value, place)) = self.one(credential, context)? else { return Ok(None) };
        let presented = self.read(&value, place, context)?;
        let found = self.store.lookup(presented.id);
        let identity =
            self.judge(found.as_deref(), &presented, context, || Some(context.route_of(request)))?;
        Ok(Some((identity, place)))
    }
}

impl<A: AsyncKeyStore> Shared<CachedKeys<A>> {
    /// The same, where the store may have to be waited for.
    pub(crate) fn call_cached<S, B>(
        shared: &Arc<Self>,
        inner: &mut S,
        mut request: Request<B>,
        optional: bool,
    ) -> HeldFuture<S, B>
    where
        S: Service<Request<B>> + Clone,
    {
        let asks = shared.asks();
        let decided = match Self::begin(shared, &mut request, optional) {
            Ok(Begun::Waits(deciding, place)) => {
                // The one that was polled ready goes with the request.
                let clone = inner.clone();
                return HeldFuture::hold(
                    mem::replace(inner, clone),
                    request,
                    place == Place::Query,
                    asks,
                    deciding,
                );
            }
            Ok(Begun::Passes(Some(Place::Query))) => ApiKeyFuture::forward_private(inner.call(request), asks),
            Ok(Begun::Passes(_)) => ApiKeyFuture::forward(inner.call(request), asks),
            Err(failure) => ApiKeyFuture::refuse(shared.refusal(failure), Face::of(&request)),
        };
        HeldFuture::decided(decided)
    }

    /// The same as [`admit`](Self::admit), up to where the store must be asked.
    fn begin<B>(shared: &Arc<Self>, request: &mut Request<B>, optional: bool) -> Result<Begun, Failure> {
        let Some(credential) = shared.take(request) else { return Ok(Begun::Passes(None)) };
        let context = RequestContext::of(request);
        let Some((value, place)) = shared.one(credential, &context)? else {
            return shared.pass_without_key(request, optional).map(|()| Begun::Passes(None));
        };
        let presented = shared.read(&value, place, &context)?;
        if let Some(found) = shared.store.remembered(presented.id) {
            let identity =
                shared.judge(found.as_deref(), &presented, &context, || Some(context.route_of(request)))?;
            shared.hide_accepted(request, place);
            shared.identify(request, identity);
            return Ok(Begun::Passes(Some(place)));
        }
        // Noted while the request is at hand: a key may be limited to routes.
        context.route_of(request);
        shared.hide_accepted(request, place);
        let shared = Arc::clone(shared);
        let deciding = async move {
            let decided = shared.wait(&value, place, &context).await;
            let name = shared.settings.identity_header.clone();
            decided.map(|identity| name.zip(identity)).map_err(|failure| shared.refusal(failure))
        };
        Ok(Begun::Waits(Box::pin(deciding), place))
    }

    async fn wait(
        &self,
        value: &HeaderValue,
        place: Place,
        context: &RequestContext,
    ) -> Result<Option<HeaderValue>, Failure> {
        let presented = self.read(value, place, context)?;
        match self.store.fetch(presented.id).await {
            Ok(found) => self.judge(found.as_deref(), &presented, context, || context.route()),
            Err(failure) => self.refuse(failure, context, Some(presented.id)),
        }
    }
}

impl<K> Shared<K> {
    /// Takes the credential of a request; `None` where the path is open.
    #[inline]
    fn take<B>(&self, request: &mut Request<B>) -> Option<Credential> {
        let settings = &self.settings;
        if let Some(name) = &settings.identity_header {
            request.headers_mut().remove(name);
        }
        if settings.is_bypassed(request.uri().path()) {
            let context = RequestContext::get(request.extensions());
            settings.telemetry.decided(context, Decision::Bypassed, None);
            self.pass_unknown(request);
            self.hide_unchecked(request);
            return None;
        }
        let credential = credential::take(request.headers_mut(), settings.keep_credential);
        Some(match &settings.query_parameter {
            Some(parameter) => credential::find_in_query(credential, request.uri(), parameter),
            None => credential,
        })
    }

    /// Lets a request pass that carries no key, where none is required.
    fn pass_without_key<B>(&self, request: &mut Request<B>, optional: bool) -> Result<(), Failure> {
        let failure = (!optional).then_some(Failure::Missing);
        let decision = failure.map_or(Decision::Anonymous, Decision::Refused);
        self.settings.telemetry.decided(RequestContext::get(request.extensions()), decision, None);
        match failure {
            Some(failure) => Err(failure),
            None => {
                self.pass_unknown(request);
                Ok(())
            }
        }
    }

    #[inline]
    fn identify<B>(&self, request: &mut Request<B>, identity: Option<HeaderValue>) {
        if let Some((name, identity)) = self.settings.identity_header.as_ref().zip(identity) {
            request.headers_mut().insert(name, identity);
        }
    }

    fn refuse<T>(&self, failure: Failure, context: &RequestContext, id: Option<&str>) -> Result<T, Failure> {
        self.settings.telemetry.decided(Some(context), Decision::Refused(failure), id);
        Err(failure)
    }

    #[inline]
    fn one(
        &self,
        credential: Credential,
        context: &RequestContext,
    ) -> Result<Option<(HeaderValue, Place)>, Failure> {
        match credential {
            Credential::Missing => Ok(None),
            Credential::Ambiguous => self.refuse(Failure::Ambiguous, context, None),
            Credential::One(value, place) => Ok(Some((value, place))),
        }
    }

    #[inline]
    fn read<'a>(
        &self,
        value: &'a HeaderValue,
        place: Place,
        context: &RequestContext,
    ) -> Result<Presented<'a>, Failure> {
        let text = credential::text(value, place);
        key::parse(text).map_or_else(
            || {
                let joined = credential::is_joined(text);
                self.refuse(if joined { Failure::Ambiguous } else { Failure::Malformed }, context, None)
            },
            Ok,
        )
    }

    /// Sets the principal of the context if the key that was found is the one presented, and is good for the
    /// request. Gives the value of the identity header, if there is to be one.
    #[inline]
    fn judge<'r>(
        &self,
        found: Option<&StoredKey>,
        presented: &Presented<'_>,
        context: &RequestContext,
        route: impl FnOnce() -> Option<&'r MatchedRoute>,
    ) -> Result<Option<HeaderValue>, Failure> {
        let settings = &self.settings;
        let id = Some(presented.id);
        let refuse = |failure| self.refuse(failure, context, id);
        let now = settings.clock.wall();
        let key = match verify(found, presented, now) {
            Ok(key) => key,
            Err(failure) => return refuse(failure),
        };
        if key.has_networks() {
            let addr = context.client_addr();
            if addr.is_none() {
                NO_CLIENT_ADDR.report();
            }
            if !key.allows_addr(addr) {
                return refuse(Failure::WrongNetwork);
            }
        }
        if key.has_routes() && !route().is_some_and(|route| key.allows_route(route)) {
            return refuse(Failure::WrongRoute);
        }
        if !context.set_principal(key.principal().clone()) && context.principal() != Some(key.principal()) {
            // Another layer authenticated somebody else: two credentials, two callers.
            return refuse(Failure::Ambiguous);
        }
        key.note_use(now);
        settings.telemetry.accepted(context, key.principal());
        Ok(settings.identity_header.as_ref().map(|_| key.identity().clone()))
    }

    /// A layer further in may refuse for want of a principal: it needs the challenge.
    pub(crate) fn pass_unknown<B>(&self, request: &mut Request<B>) {
        Challenges::leave(request.extensions_mut(), &self.settings.challenge);
    }

    /// Leaves nothing of an accepted credential behind, or marks it.
    #[inline]
    fn hide_accepted<B>(&self, request: &mut Request<B>, place: Place) {
        if self.settings.keep_credential {
            return credential::mark_sensitive(request.headers_mut());
        }
        if place == (Place::ApiKeyHeader { beside_authorization: true }) {
            credential::remove_authorization(request.headers_mut());
        }
        if let Some(parameter) = &self.settings.query_parameter {
            credential::remove_parameter(request, parameter);
        }
    }

    /// The same of whatever looks like a key.
    pub(crate) fn hide_unchecked<B>(&self, request: &mut Request<B>) {
        if self.settings.keep_credential {
            return credential::mark_sensitive(request.headers_mut());
        }
        credential::remove_unchecked(request.headers_mut());
        if let Some(parameter) = &self.settings.query_parameter {
            credential::remove_parameter(request, parameter);
        }
    }

    /// One answer for every key that is not accepted, so that nobody learns which keys there are. The cause is
    /// for logs alone.
    #[cold]
    fn refusal(&self, failure: Failure) -> Rejection {
        let challenged = |reason| self.settings.challenged(reason, [&self.settings.challenge]);
        let rejection = match failure {
            Failure::Ambiguous => challenged(Reason::MalformedCredentials),
            Failure::WrongRoute => Rejection::new(Reason::PermissionDenied)
                .with_detail("This API key may not be used on this route."),
            Failure::StoreUnavailable => authorize::unavailable(),
            _ => challenged(Reason::Unauthenticated),
        };
        let rejection = rejection.with_layer("api_key").with_cause(failure.as_str());
        if failure.is_failed_credential() { rejection.with_failed_credential() } else { rejection }
    }
}
