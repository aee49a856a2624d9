//! The service of [`RetryLayer`](crate::RetryLayer).

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use bartizan_core::Face;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use crate::{Policy, ReplayBody, RetryBody, RetryFuture, layer::Shared, replay::BoxError};

/// The service of [`RetryLayer`](crate::RetryLayer).
///
/// Each call has a clone of the inner service for its further attempts. Clones share the budget.
pub struct Retry<S, P> {
    inner: S,
    shared: Arc<Shared<P>>,
}

impl<S, P> Retry<S, P> {
    pub(crate) fn new(inner: S, shared: Arc<Shared<P>>) -> Self {
        Self { inner, shared }
    }
}

impl<S, P, B, R> Service<Request<B>> for Retry<S, P>
where
    S: Service<Request<ReplayBody<B>>, Response = Response<R>> + Clone,
    S::Error: std::error::Error + 'static,
    P: Policy,
    B: Body<Error: Into<BoxError>>,
    R: Body<Data: From<bytes::Bytes>>,
{
    type Response = Response<RetryBody<R>>;
    type Error = S::Error;
    type Future = RetryFuture<S, S::Future, B, R, P>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    #[inline]
    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let (head, limits) = self.shared.begin(&mut request);
        if limits.leave_no_time(&self.shared.settings.bounds) {
            return RetryFuture::refuse(self.shared.refuse(limits.context(&head)), Face::of_call(&request));
        }
        let (parts, body) = request.into_parts();
        let (body, replay) = ReplayBody::new(body, self.shared.settings.replay_cap);
        let request = Request::from_parts(parts, body);
        self.shared.telemetry.called();
        // The instance that was polled ready is the one that is called; further attempts wait for their own.
        let further = self.inner.clone();
        let first = self.inner.call(request);
        RetryFuture::new(first, further, Arc::clone(&self.shared), head, replay, limits)
    }
}

impl<S: Clone, P> Clone for Retry<S, P> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), shared: Arc::clone(&self.shared) }
    }
}

impl<S: fmt::Debug, P> fmt::Debug for Retry<S, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retry").field("inner", &self.inner).finish_non_exhaustive()
    }
}
