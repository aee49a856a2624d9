//! The service of the crate's layers.

use std::{
    error::Error,
    fmt, mem,
    sync::Arc,
    task::{Context, Poll},
};

use bartizan_core::ResponseBody;
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use crate::{
    RequestBody, ResponseFuture,
    check::{Check, Shared},
    read::Begun,
};

/// The service of [`JsonLayer`](crate::JsonLayer) and its kin. Clones share the settings.
pub struct Validate<S, C> {
    inner: S,
    shared: Arc<Shared<C>>,
}

impl<S, C> Validate<S, C> {
    pub(crate) fn new(inner: S, shared: Arc<Shared<C>>) -> Self {
        Self { inner, shared }
    }
}

impl<S, C, ReqBody, ResBody> Service<Request<ReqBody>> for Validate<S, C>
where
    S: Service<Request<RequestBody<ReqBody>>, Response = Response<ResBody>> + Clone,
    C: Check,
    ReqBody: Body<Data: From<Bytes>, Error: Into<Box<dyn Error + Send + Sync>>> + Unpin,
    ResBody: Body,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, C, ReqBody>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        match self.shared.begin(request) {
            Begun::Over(Ok(request)) => ResponseFuture::forward(self.inner.call(request)),
            Begun::Over(Err((rejection, face))) => ResponseFuture::refuse(rejection, face),
            Begun::Reading(reading) => {
                // The instance that was polled ready waits for the body; its clone takes its place.
                let clone = self.inner.clone();
                let ready = mem::replace(&mut self.inner, clone);
                ResponseFuture::read(reading, ready, Arc::clone(&self.shared))
            }
        }
    }
}

impl<S: Clone, C> Clone for Validate<S, C> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), shared: Arc::clone(&self.shared) }
    }
}

impl<S: fmt::Debug, C> fmt::Debug for Validate<S, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Validate")
            .field("inner", &self.inner)
            .field("settings", &self.shared.settings)
            .finish_non_exhaustive()
    }
}
