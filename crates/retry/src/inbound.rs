//! Requests that arrive and are retries already.

use std::{
    fmt,
    task::{Context, Poll},
};

use bartizan_core::{RequestContext, ServerLayer, phase};
use http::{HeaderName, Request};
use tower_layer::Layer;
use tower_service::Service;

use crate::{ConfigError, layer::checked_attempt_header};

/// Notes of HTTP requests that arrive with this header that they are retries of those who sent them, so that calls made
/// for them are not retried too: what [`RetryLayer::with_attempt_header`](crate::RetryLayer::with_attempt_header) sends.
///
/// gRPC has a header of its own for that, which needs no layer. The calls made for a request know it by the scope
/// (feature `scope`).
///
/// ```
/// use bartizan_core::RequestContext;
/// use bartizan_retry::InboundRetryLayer;
/// use http::{HeaderName, Request, Response};
/// use tower::{Layer, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let service = InboundRetryLayer::new(HeaderName::from_static("x-attempt"))?.layer(service_fn(
///     async |mut request: Request<()>| {
///         Ok::<_, std::convert::Infallible>(Response::new(RequestContext::of(&mut request).is_retry()))
///     },
/// ));
/// let first = Request::get("/").body(())?;
/// assert!(!service.clone().oneshot(first).await?.into_body());
/// let second = Request::get("/").header("x-attempt", "1").body(())?;
/// assert!(service.oneshot(second).await?.into_body());
/// # Ok(()) }
/// ```
///
/// Phase `deadline` of a server's stack. It needs nothing, provides nothing and refuses nothing. A caller who sends the
/// header although it made no attempt before gets no retries, and nothing else.
#[derive(Clone, Debug)]
#[must_use]
pub struct InboundRetryLayer {
    header: HeaderName,
}

impl InboundRetryLayer {
    /// The layer for this header.
    ///
    /// # Errors
    ///
    /// When its name does not begin with `x-`: any other may mean something else.
    pub fn new(header: HeaderName) -> Result<Self, ConfigError> {
        Ok(Self { header: checked_attempt_header(header)? })
    }
}

impl ServerLayer for InboundRetryLayer {
    type Phase = phase::Deadline;
    type Needs = ();
    type Provides = ();

    fn name(&self) -> &'static str {
        "inbound_retry"
    }
}

impl<S> Layer<S> for InboundRetryLayer {
    type Service = InboundRetry<S>;

    fn layer(&self, inner: S) -> Self::Service {
        InboundRetry { inner, header: self.header.clone() }
    }
}

/// The service of [`InboundRetryLayer`].
///
/// Response and future are those of the inner service.
#[derive(Clone)]
pub struct InboundRetry<S> {
    inner: S,
    header: HeaderName,
}

impl<S: fmt::Debug> fmt::Debug for InboundRetry<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InboundRetry").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<S, B> Service<Request<B>> for InboundRetry<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        if request.headers().contains_key(&self.header) {
            RequestContext::of(&mut request).set_retry();
        }
        self.inner.call(request)
    }
}
