//! The response future of [`JwtService`](crate::JwtService).

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bartizan_core::{Face, Rejection, ResponseBody, ResponseFuture};
use http::{Request, Response, response::Parts};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::{
    ClaimsShape, KeySource,
    service::{Authorization, Shared},
};
use crate::{
    challenge::Asks,
    pop::{DPOP_NONCE, Offer},
};

pin_project! {
    /// Response future of [`JwtService`](crate::JwtService). While unknown keys are fetched it holds the request and
    /// the readied inner service.
    #[must_use = "futures do nothing unless polled"]
    pub struct JwtFuture<S, B, K, C = ()>
    where
        S: Service<Request<B>>,
        K: KeySource,
    {
        #[pin]
        state: State<S, B, K, C, S::Future, K::Refresh>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, B, K, C, F, R> {
        // Waiting => Answering
        Waiting { #[pin] refresh: R, held: Option<Box<Held<S, B, K, C>>> },
        Answering { #[pin] inner: ResponseFuture<F>, offer: Offer, asks: Asks },
    }
}

/// Boxed: few requests ever wait, and all would carry the room for it.
struct Held<S, B, K, C> {
    shared: Arc<Shared<K, C>>,
    service: S,
    request: Request<B>,
    presented: Authorization,
}

impl<S, B, K, C> JwtFuture<S, B, K, C>
where
    S: Service<Request<B>>,
    K: KeySource,
{
    #[inline(always)]
    pub(crate) fn forward(inner: S::Future, offer: Offer, asks: Asks) -> Self {
        Self { state: State::Answering { inner: ResponseFuture::forward(inner), offer, asks } }
    }

    pub(crate) fn refuse(rejection: Rejection, face: Face) -> Self {
        let inner = ResponseFuture::refuse(rejection, face);
        Self { state: State::Answering { inner, offer: None, asks: Asks::NOTHING } }
    }

    pub(crate) fn wait(
        refresh: K::Refresh,
        shared: Arc<Shared<K, C>>,
        service: S,
        request: Request<B>,
        presented: Authorization,
    ) -> Self {
        let held = Some(Box::new(Held { shared, service, request, presented }));
        Self { state: State::Waiting { refresh, held } }
    }
}

impl<S, B, K, C> fmt::Debug for JwtFuture<S, B, K, C>
where
    S: Service<Request<B>>,
    K: KeySource,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_waiting = matches!(self.state, State::Waiting { .. });
        f.debug_struct("JwtFuture").field("is_waiting", &is_waiting).finish_non_exhaustive()
    }
}

impl<S, ReqBody, ResBody, K, C> Future for JwtFuture<S, ReqBody, K, C>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    ResBody: Body,
    K: KeySource,
    C: ClaimsShape,
{
    type Output = Result<Response<ResponseBody<ResBody>>, S::Error>;

    // A response is large: as part of the caller this leaves it where it is wanted.
    #[inline(always)]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            if let StateProj::Answering { inner, offer, asks } = self.as_mut().project().state.project() {
                let (mut head, body) = ready!(inner.poll(cx))?.into_parts();
                if offer.is_some() {
                    head = offering(head, offer.take());
                }
                if Asks::concern(head.status) {
                    head = asks.complete(head);
                }
                return Poll::Ready(Ok(Response::from_parts(head, body)));
            }
            ready!(self.as_mut().poll_refresh(cx));
        }
    }
}

impl<S, ReqBody, ResBody, K, C> JwtFuture<S, ReqBody, K, C>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    K: KeySource,
    C: ClaimsShape,
{
    /// Waits for the keys, and calls or refuses then. Apart, so that it is not in the way of those who need not wait.
    #[inline(never)]
    fn poll_refresh(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let StateProj::Waiting { refresh, held } = self.as_mut().project().state.project() else {
            return Poll::Ready(());
        };
        ready!(refresh.poll(cx));
        let Held { shared, mut service, mut request, presented } =
            *held.take().expect("it is taken once, when the wait is over");
        let asks = shared.asks();
        let (inner, offer) = match shared.resume(&mut request, &presented) {
            Ok(offer) => (ResponseFuture::forward(service.call(request)), offer),
            Err(refused) => (ResponseFuture::refuse(shared.refusal(&refused), Face::of(&request)), None),
        };
        self.project().state.set(State::Answering { inner, offer, asks });
        Poll::Ready(())
    }
}

/// The head of a response that carries the nonce for the next proof.
#[cold]
fn offering(mut head: Parts, offer: Offer) -> Parts {
    if let Some(nonce) = offer {
        head.headers.insert(&DPOP_NONCE, *nonce);
    }
    head
}
