//! The response future of a service whose limits are in Redis.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bartizan_core::{Face, Reason, Rejection, stripe::Share};
use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::{
    remote::{Asking, Question, Remote},
    service::proceed,
};
use crate::{LimitedBody, RateLimitFuture, RequestHead, policy::Shared};

pin_project! {
    /// Response future of [`RedisRateLimit`](crate::RedisRateLimit).
    #[must_use = "futures do nothing unless polled"]
    pub struct RedisRateLimitFuture<S, B, F> {
        #[pin]
        state: State<S, B, F>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, B, F> {
        // `None` once the answer was there.
        Asking { asking: Asking, waiting: Option<Waiting<S, B>> },
        Calling { #[pin] inner: RateLimitFuture<F> },
    }
}

/// What waits for the answer.
pub(super) struct Waiting<S, B> {
    pub(super) inner: S,
    pub(super) request: Request<B>,
    pub(super) questions: Vec<Question>,
    pub(super) shared: Share<Shared>,
    pub(super) remote: Arc<Remote>,
}

impl<S, B, F> RedisRateLimitFuture<S, B, F> {
    /// Waits for the answer, then for the inner service.
    pub(super) fn asking(asking: Asking, waiting: Waiting<S, B>) -> Self {
        Self { state: State::Asking { asking, waiting: Some(waiting) } }
    }

    /// It is decided already.
    pub(super) fn calling(inner: RateLimitFuture<F>) -> Self {
        Self { state: State::Calling { inner } }
    }
}

impl<S, ReqBody, ResBody> Future for RedisRateLimitFuture<S, ReqBody, S::Future>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    ResBody: Body,
{
    type Output = Result<Response<LimitedBody<ResBody>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            match state.as_mut().project() {
                StateProj::Calling { inner } => return inner.poll(cx),
                StateProj::Asking { asking, waiting } => {
                    let verdict = ready!(asking.as_mut().poll(cx));
                    let inner = match waiting.take() {
                        Some(Waiting { mut inner, request, questions, shared, remote }) => {
                            let head = RequestHead::of(&request);
                            let admitted = remote.finish(&shared, &questions, &verdict, &head);
                            proceed(&mut inner, request, admitted, shared)
                        }
                        // Never: the state changes with it.
                        None => RateLimitFuture::refuse(Rejection::new(Reason::Internal), Face::default()),
                    };
                    state.set(State::Calling { inner });
                }
            }
        }
    }
}

impl<S, B, F> fmt::Debug for RedisRateLimitFuture<S, B, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisRateLimitFuture").finish_non_exhaustive()
    }
}
