//! Foreign layers that change the error type, fitted in.

use std::{
    convert::Infallible,
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bartizan_core::{Client, Face, Rejection, RequestContext, ResponseBody, Server};
use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

/// Where a stack stands: around a service, or around a client.
pub trait Side {
    /// Whether its requests are outgoing calls.
    const IS_OUTGOING: bool;
}

impl Side for Server {
    const IS_OUTGOING: bool = false;
}

impl Side for Client {
    const IS_OUTGOING: bool = true;
}

/// A foreign layer whose errors become refusals; made by [`Stack::push_fallible`](crate::Stack::push_fallible).
#[derive(Clone)]
#[must_use]
pub struct FallibleLayer<L, R> {
    layer: L,
    refusal: R,
    is_outgoing: bool,
}

impl<L, R> FallibleLayer<L, R> {
    pub(crate) fn new<S: Side>(layer: L, refusal: R) -> Self {
        Self { layer, refusal, is_outgoing: S::IS_OUTGOING }
    }
}

impl<L: fmt::Debug, R> fmt::Debug for FallibleLayer<L, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FallibleLayer").field("layer", &self.layer).finish_non_exhaustive()
    }
}

impl<S, L: Layer<S>, R: Clone> Layer<S> for FallibleLayer<L, R> {
    type Service = Fallible<L::Service, R>;

    fn layer(&self, inner: S) -> Self::Service {
        Fallible {
            inner: self.layer.layer(inner),
            refusal: self.refusal.clone(),
            is_outgoing: self.is_outgoing,
            failed: None,
        }
    }
}

/// The service of a [`FallibleLayer`].
pub struct Fallible<S, R> {
    inner: S,
    refusal: R,
    is_outgoing: bool,
    /// What the inner service said instead of being ready; answered by the next call.
    failed: Option<Rejection>,
}

impl<S: Clone, R: Clone> Clone for Fallible<S, R> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            refusal: self.refusal.clone(),
            is_outgoing: self.is_outgoing,
            // Readiness is of one instance, and so is the failure to get ready.
            failed: None,
        }
    }
}

impl<S: fmt::Debug, R> fmt::Debug for Fallible<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fallible")
            .field("inner", &self.inner)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

impl<S, R, ReqBody, ResBody> Service<Request<ReqBody>> for Fallible<S, R>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    ResBody: Body,
    R: Fn(S::Error) -> Rejection + Clone,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = Infallible;
    type Future = FallibleFuture<S::Future, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        if self.failed.is_none()
            && let Err(error) = ready!(self.inner.poll_ready(cx))
        {
            self.failed = Some((self.refusal)(error));
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let caller = if self.is_outgoing {
            Caller::OfCall { face: Face::of_call(&request) }
        } else {
            Caller::OfRequest { context: RequestContext::of(&mut request) }
        };
        let state = match self.failed.take() {
            Some(rejection) => State::Refuse { rejection: Some(rejection) },
            None => State::Call { inner: self.inner.call(request), refusal: self.refusal.clone() },
        };
        FallibleFuture { caller, state }
    }
}

/// Who is answered.
enum Caller {
    /// Asked when it is refused: layers further in may have given the request its id.
    OfRequest { context: RequestContext },
    /// The context it may carry is of the request it is made for, whose protocol is another matter.
    OfCall { face: Face },
}

pin_project! {
    /// Response future of [`Fallible`].
    #[must_use = "futures do nothing unless polled"]
    pub struct FallibleFuture<F, R> {
        caller: Caller,
        #[pin]
        state: State<F, R>,
    }
}

impl<F, R> fmt::Debug for FallibleFuture<F, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FallibleFuture").finish_non_exhaustive()
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F, R> {
        Call { #[pin] inner: F, refusal: R },
        Refuse { rejection: Option<Rejection> },
    }
}

impl<F, R, B, E> Future for FallibleFuture<F, R>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
    R: Fn(E) -> Rejection,
{
    type Output = Result<Response<ResponseBody<B>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let rejection = match this.state.project() {
            StateProj::Call { inner, refusal } => match ready!(inner.poll(cx)) {
                Ok(response) => return Poll::Ready(Ok(response.map(ResponseBody::forward))),
                Err(error) => refusal(error),
            },
            StateProj::Refuse { rejection } => {
                rejection.take().unwrap_or_else(|| bartizan_core::Reason::Internal.into())
            }
        };
        Poll::Ready(Ok(match this.caller {
            Caller::OfRequest { context } => rejection.into_response(&context.face()),
            Caller::OfCall { face } => rejection.into_response(face),
        }))
    }
}
