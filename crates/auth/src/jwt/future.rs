//! The response future of [`JwtService`](crate::JwtService).

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bartizan_core::{Face, Rejection, ResponseBody, ResponseFuture};
use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::{
    ClaimsShape, KeySource,
    service::{Authorization, Offer, Shared},
};
use crate::pop::DPOP_NONCE;

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
        Answering { #[pin] inner: ResponseFuture<F>, offer: Offer },
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
    pub(crate) fn forward(inner: S::Future, offer: Offer) -> Self {
        Self { state: State::Answering { inner: ResponseFuture::forward(inner), offer } }
    }

    pub(crate) fn refuse(rejection: Rejection, face: Face) -> Self {
        Self { state: State::Answering { inner: ResponseFuture::refuse(rejection, face), offer: None } }
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

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let (inner, offer) = match self.as_mut().project().state.project() {
                StateProj::Answering { inner, offer } => {
                    let mut answer = ready!(inner.poll(cx));
                    if let (Ok(response), Some(nonce)) = (&mut answer, offer.take()) {
                        response.headers_mut().insert(&DPOP_NONCE, nonce);
                    }
                    return Poll::Ready(answer);
                }
                StateProj::Waiting { refresh, held } => {
                    ready!(refresh.poll(cx));
                    let Held { shared, mut service, mut request, presented } =
                        *held.take().expect("it is taken once, when the wait is over");
                    match shared.resume(&mut request, &presented) {
                        Ok(offer) => (ResponseFuture::forward(service.call(request)), offer),
                        Err(refused) => {
                            (ResponseFuture::refuse(shared.refusal(&refused), Face::of(&request)), None)
                        }
                    }
                }
            };
            self.as_mut().project().state.set(State::Answering { inner, offer });
        }
    }
}
