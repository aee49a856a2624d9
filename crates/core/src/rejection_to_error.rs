//! Refusals as errors, for callers who want them so.

use std::{
    error::Error,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::{Rejection, replace::finish};

type BoxError = Box<dyn Error + Send + Sync>;

/// Turns a response that is a refusal into `Err`, with the [`Rejection`] as the error.
///
/// The layers of this family answer a refusal, on the client too, exactly as a proxy would. A caller who would
/// rather match on an error puts this layer outside of them.
#[derive(Clone, Copy, Debug, Default)]
#[must_use]
pub struct RejectionToErrorLayer(());

impl RejectionToErrorLayer {
    /// The layer. It has no settings.
    pub fn new() -> Self {
        Self(())
    }
}

impl<S> Layer<S> for RejectionToErrorLayer {
    type Service = RejectionToError<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RejectionToError { inner }
    }
}

/// The service of [`RejectionToErrorLayer`].
#[derive(Clone, Debug)]
pub struct RejectionToError<S> {
    inner: S,
}

impl<S, Req, B> Service<Req> for RejectionToError<S>
where
    S: Service<Req, Response = Response<B>>,
    S::Error: Into<BoxError>,
    B: Body,
{
    type Response = Response<B>;
    type Error = BoxError;
    type Future = RejectionToErrorFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Req) -> Self::Future {
        RejectionToErrorFuture { inner: self.inner.call(request) }
    }
}

pin_project! {
    /// Response future of [`RejectionToError`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct RejectionToErrorFuture<F> {
        #[pin]
        inner: F,
    }
}

impl<F, B, E> Future for RejectionToErrorFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    E: Into<BoxError>,
    B: Body,
{
    type Output = Result<Response<B>, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let response = ready!(self.project().inner.poll(cx)).map_err(Into::into)?;
        let Some(rejection) = response.extensions().get::<Rejection>().cloned() else {
            return Poll::Ready(Ok(response));
        };
        finish(response.into_body());
        Poll::Ready(Err(Box::new(rejection)))
    }
}
