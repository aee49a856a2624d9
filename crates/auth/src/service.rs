//! The service behind an [`ApiKeyLayer`](crate::ApiKeyLayer).

use std::{
    fmt,
    marker::PhantomData,
    sync::Arc,
    task::{Context, Poll},
};

use bartizan_core::{Face, Fault, Reason, Rejection, RequestContext, ResponseBody};
use http::{HeaderValue, Request, Response, header};
use http_body::Body;
use tower_service::Service;

use crate::{
    ApiKeyFuture, Failure, KeyStore, Presence,
    challenge::Challenges,
    credential::{self, Credential, Place},
    key,
    layer::Required,
    settings::Settings,
    telemetry::Decision,
    verify::verify,
};

/// Service of [`ApiKeyLayer`](crate::ApiKeyLayer). Clones share the store.
pub struct ApiKeyService<S, K, P = Required> {
    inner: S,
    shared: Arc<Shared<K>>,
    presence: PhantomData<fn() -> P>,
}

impl<S, K, P> ApiKeyService<S, K, P> {
    pub(crate) fn new(inner: S, shared: Arc<Shared<K>>) -> Self {
        Self { inner, shared, presence: PhantomData }
    }
}

impl<S: Clone, K, P> Clone for ApiKeyService<S, K, P> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone(), Arc::clone(&self.shared))
    }
}

impl<S: fmt::Debug, K, P> fmt::Debug for ApiKeyService<S, K, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKeyService").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<S, K, P, ReqBody, ResBody> Service<Request<ReqBody>> for ApiKeyService<S, K, P>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    K: KeyStore,
    P: Presence,
    ResBody: Body,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = ApiKeyFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        match self.shared.admit(&mut request, P::OPTIONAL) {
            Ok(Some(Place::Query)) => ApiKeyFuture::forward_private(self.inner.call(request)),
            Ok(_) => ApiKeyFuture::forward(self.inner.call(request)),
            Err(failure) => ApiKeyFuture::refuse(self.shared.refusal(failure), Face::of(&request)),
        }
    }
}

/// What all services of a layer share.
pub(crate) struct Shared<K> {
    pub(crate) store: Arc<K>,
    pub(crate) settings: Settings,
}

impl<K> Clone for Shared<K> {
    fn clone(&self) -> Self {
        Self { store: Arc::clone(&self.store), settings: self.settings.clone() }
    }
}

static NO_CLIENT_ADDR: Fault = Fault::new(
    "api_key",
    "a key that is limited to networks was refused, because the client's address is not known",
    "put a layer that knows it, `ClientAddrLayer`, outside `ApiKeyLayer`",
);

impl<K: KeyStore> Shared<K> {
    /// Lets the request pass, prepared for the handler, and says where its credential was.
    fn admit<B>(&self, request: &mut Request<B>, optional: bool) -> Result<Option<Place>, Failure> {
        let settings = &self.settings;
        if let Some(name) = &settings.identity_header {
            request.headers_mut().remove(name);
        }
        if settings.is_bypassed(request.uri().path()) {
            let context = RequestContext::get(request.extensions());
            settings.telemetry.decided(context, Decision::Bypassed, None);
            self.pass_unknown(request);
            self.hide_unchecked(request);
            return Ok(None);
        }
        let mut credential = credential::take(request.headers_mut(), settings.keep_credential);
        if let Some(parameter) = &settings.query_parameter {
            credential = credential::find_in_query(credential, request.uri(), parameter);
        }
        // Borrowed where an outer layer made it: a clone of its `Arc` is two more writes to shared memory.
        let decided = match RequestContext::get(request.extensions()) {
            Some(context) => self.decide(credential, request, context),
            None => {
                let context = RequestContext::of(request);
                self.decide(credential, request, &context)
            }
        };
        let Some((identity, place)) = decided? else {
            let failure = (!optional).then_some(Failure::Missing);
            let decision = failure.map_or(Decision::Anonymous, Decision::Refused);
            settings.telemetry.decided(RequestContext::get(request.extensions()), decision, None);
            if let Some(failure) = failure {
                return Err(failure);
            }
            self.pass_unknown(request);
            return Ok(None);
        };
        self.hide_accepted(request, place);
        if let Some((name, identity)) = settings.identity_header.as_ref().zip(identity) {
            request.headers_mut().insert(name, identity);
        }
        Ok(Some(place))
    }

    /// Sets the principal of the context if the credential is a good key for the request.
    fn decide<B>(
        &self,
        credential: Credential,
        request: &Request<B>,
        context: &RequestContext,
    ) -> Result<Option<(Option<HeaderValue>, Place)>, Failure> {
        let settings = &self.settings;
        let refuse = |failure, id| {
            settings.telemetry.decided(Some(context), Decision::Refused(failure), id);
            Err(failure)
        };
        let (value, place) = match credential {
            Credential::Missing => return Ok(None),
            Credential::Ambiguous => return refuse(Failure::Ambiguous, None),
            Credential::One(value, place) => (value, place),
        };
        let text = credential::text(&value, place);
        let Some(presented) = key::parse(text) else {
            let joined = credential::is_joined(text);
            return refuse(if joined { Failure::Ambiguous } else { Failure::Malformed }, None);
        };
        let id = Some(presented.id);
        let now = settings.clock.wall();
        let key = match verify(&*self.store, &presented, now) {
            Ok(key) => key,
            Err(failure) => return refuse(failure, id),
        };
        if key.has_networks() {
            let addr = context.client_addr();
            if addr.is_none() {
                NO_CLIENT_ADDR.report();
            }
            if !key.allows_addr(addr) {
                return refuse(Failure::WrongNetwork, id);
            }
        }
        if key.has_routes() && !key.allows_route(context.route_of(request)) {
            return refuse(Failure::WrongRoute, id);
        }
        if !context.set_principal(key.principal().clone()) && context.principal() != Some(key.principal()) {
            // Another layer authenticated somebody else: two credentials, two callers.
            return refuse(Failure::Ambiguous, id);
        }
        key.note_use(now);
        settings.telemetry.decided(Some(context), Decision::Accepted, id);
        let identity = settings.identity_header.as_ref().map(|_| key.identity().clone());
        Ok(Some((identity, place)))
    }

    /// A layer further in may refuse for want of a principal: it needs the challenge.
    fn pass_unknown<B>(&self, request: &mut Request<B>) {
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
    fn hide_unchecked<B>(&self, request: &mut Request<B>) {
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
        let challenge = self.settings.challenge.clone();
        let rejection = match failure {
            Failure::Ambiguous => {
                Rejection::new(Reason::MalformedCredentials).with_header(header::WWW_AUTHENTICATE, challenge)
            }
            Failure::WrongRoute => Rejection::new(Reason::PermissionDenied)
                .with_detail("This API key may not be used on this route."),
            _ => Rejection::unauthenticated(challenge),
        };
        rejection.with_layer("api_key").with_cause(failure.as_str())
    }
}
