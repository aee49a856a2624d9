//! The service of [`HedgeLayer`](crate::HedgeLayer).

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::{HedgeFuture, layer::Shared, race::Race};
use crate::{Policy, ReplayBody, RetryBody, replay::BoxError};

/// The service of [`HedgeLayer`](crate::HedgeLayer).
///
/// Each call has a clone of the inner service for its further copies. Clones share budget and percentile.
pub struct Hedge<S, P> {
    inner: S,
    shared: Arc<Shared<P>>,
}

impl<S, P> Hedge<S, P> {
    pub(super) fn new(inner: S, shared: Arc<Shared<P>>) -> Self {
        Self { inner, shared }
    }
}

impl<S, P, B, R> Service<Request<B>> for Hedge<S, P>
where
    S: Service<Request<ReplayBody<B>>, Response = Response<R>> + Clone,
    S::Error: std::error::Error + 'static,
    P: Policy,
    B: Body<Error: Into<BoxError>>,
    R: Body<Data: From<Bytes>>,
{
    type Response = Response<RetryBody<R>>;
    type Error = S::Error;
    type Future = HedgeFuture<S, S::Future, B, R, S::Error, P>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let (head, limits) = self.shared.settings.bounds.begin(&mut request);
        let (parts, body) = request.into_parts();
        let (body, replay) = ReplayBody::concurrent(body, self.shared.settings.replay_cap);
        let request = Request::from_parts(parts, body);
        let race = Race::new(Arc::clone(&self.shared), head, replay, limits);
        // The instance that was polled ready is the one that is called; further copies wait for their own.
        let further = self.inner.clone();
        HedgeFuture::new(self.inner.call(request), further, race)
    }
}

impl<S: Clone, P> Clone for Hedge<S, P> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), shared: Arc::clone(&self.shared) }
    }
}

impl<S: fmt::Debug, P> fmt::Debug for Hedge<S, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hedge").field("inner", &self.inner).finish_non_exhaustive()
    }
}
