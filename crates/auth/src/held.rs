//! The response future of a service that may have to wait before it decides.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bartizan_core::{Face, Rejection, ResponseBody};
use http::{HeaderName, HeaderValue, Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::{ApiKeyFuture, challenge::Asks};

/// What is decided: the request passes, perhaps with one more header, or it is refused.
pub(crate) type Verdict = Result<Option<(HeaderName, HeaderValue)>, Rejection>;

/// Boxed, because code of the user's runs in it.
pub(crate) type Deciding = Pin<Box<dyn Future<Output = Verdict> + Send>>;

pin_project! {
    /// Response future of a service that asks a policy or a store that must be waited for. It holds the request and
    /// the readied inner service meanwhile; dropping it drops the question.
    #[must_use = "futures do nothing unless polled"]
    pub struct HeldFuture<S, B>
    where
        S: Service<Request<B>>,
    {
        #[pin]
        state: State<S, B, S::Future>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, B, F> {
        Deciding { deciding: Deciding, held: Option<Held<S, B>> },
        Answering { #[pin] inner: ApiKeyFuture<F> },
    }
}

struct Held<S, B> {
    service: S,
    request: Request<B>,
    face: Face,
    is_private: bool,
    asks: Asks,
}

impl<S, B> HeldFuture<S, B>
where
    S: Service<Request<B>>,
{
    /// Calls `service`, which was polled ready, with `request` if it is decided that it may pass.
    pub(crate) fn hold(
        service: S,
        request: Request<B>,
        is_private: bool,
        asks: Asks,
        deciding: Deciding,
    ) -> Self {
        let face = Face::of(&request);
        let held = Some(Held { service, request, face, is_private, asks });
        Self { state: State::Deciding { deciding, held } }
    }

    /// There was nothing to wait for.
    pub(crate) fn decided(inner: ApiKeyFuture<S::Future>) -> Self {
        Self { state: State::Answering { inner } }
    }
}

impl<S, B> fmt::Debug for HeldFuture<S, B>
where
    S: Service<Request<B>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeldFuture")
            .field("is_deciding", &matches!(self.state, State::Deciding { .. }))
            .finish_non_exhaustive()
    }
}

impl<S, ReqBody, ResBody> Future for HeldFuture<S, ReqBody>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    ResBody: Body,
{
    type Output = Result<Response<ResponseBody<ResBody>>, S::Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let next = match self.as_mut().project().state.project() {
                StateProj::Answering { inner } => return inner.poll(cx),
                StateProj::Deciding { deciding, held } => {
                    let verdict = ready!(deciding.as_mut().poll(cx));
                    let Held { mut service, mut request, face, is_private, asks } =
                        held.take().expect("it is taken once, when the decision is made");
                    match verdict {
                        Err(rejection) => ApiKeyFuture::refuse(rejection, face),
                        Ok(header) => {
                            if let Some((name, value)) = header {
                                request.headers_mut().insert(name, value);
                            }
                            let inner = service.call(request);
                            if is_private {
                                ApiKeyFuture::forward_private(inner, asks)
                            } else {
                                ApiKeyFuture::forward(inner, asks)
                            }
                        }
                    }
                }
            };
            self.as_mut().project().state.set(State::Answering { inner: next });
        }
    }
}
