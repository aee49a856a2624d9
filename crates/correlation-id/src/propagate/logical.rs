//! One call, however often it is attempted.

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use bartizan_core::{ClientLayer, Clock, Protocol, phase};
use http::Request;
use tower_layer::Layer;
use tower_service::Service;

use super::call::{Call, Mint};
use crate::{ConfigError, MakeId, source::span_id};

/// Tells the attempts of one call that they are one: stands outside of retries, where
/// [`PropagateLayer`](crate::PropagateLayer) stands inside.
///
/// A call that belongs to no request then has the same ids and the same trace in all its attempts, and a gRPC call
/// the same parent id too: a gRPC call is one span, an HTTP request one for each attempt. The request being served
/// is noted as well, so that attempts made by another task (behind tower's `Buffer`, say) find it.
///
/// It is all in the request's extensions, which a retry must clone with the request. Without retries the layer is not
/// needed.
///
/// ```
/// use bartizan_correlation_id::{LogicalCallLayer, PropagateLayer};
/// use http::{HeaderMap, Request, Response};
/// use tower::{Layer, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let attempt = PropagateLayer::new().layer(service_fn(async |request: Request<()>| {
///     Ok::<_, std::convert::Infallible>(Response::new(request.into_parts().0.headers))
/// }));
/// let twice = service_fn(move |request: Request<()>| {
///     let attempt = attempt.clone();
///     async move {
///         let first = attempt.clone().oneshot(request.clone()).await?.into_body();
///         let second = attempt.oneshot(request).await?.into_body();
///         Ok::<_, std::convert::Infallible>([first, second])
///     }
/// });
///
/// let [first, second] = LogicalCallLayer::new().layer(twice).oneshot(Request::new(())).await?;
/// assert_eq!(first["x-request-id"], second["x-request-id"]);
/// assert_ne!(first["traceparent"], second["traceparent"], "HTTP: each attempt is a span");
/// # Ok(()) }
/// ```
///
/// Phase `client::RpcSpan`, the outermost. It needs nothing, provides nothing, refuses nothing, and the response
/// passes untouched. Clones share their settings.
#[derive(Clone, Default)]
#[must_use]
pub struct LogicalCallLayer {
    mint: Arc<Mint>,
}

impl LogicalCallLayer {
    /// The layer with its defaults.
    pub fn new() -> Self {
        Self::default()
    }

    pub(super) fn minting(mint: Mint) -> Self {
        Self { mint: Arc::new(mint) }
    }

    /// Makes the ids of calls that belong to no request this way. Default: [`UuidV7`](crate::UuidV7).
    pub fn with_generator(mut self, generator: impl MakeId) -> Self {
        Arc::make_mut(&mut self.mint).generator = Arc::new(generator);
        self
    }

    /// The share of the traces that begin with a call of ours which is sampled, from 0.0 to 1.0. Default: 1.0, all of
    /// them, as for [`TraceContextLayer`](crate::TraceContextLayer::with_sampled_share).
    ///
    /// # Errors
    ///
    /// When the share is not between 0 and 1.
    pub fn with_sampled_share(mut self, share: f64) -> Result<Self, ConfigError> {
        Arc::make_mut(&mut self.mint).set_sampled_share(share)?;
        Ok(self)
    }

    /// Reads the time for such ids from this clock. Default: the system's.
    pub fn with_clock(mut self, clock: Clock) -> Self {
        Arc::make_mut(&mut self.mint).clock = clock;
        self
    }
}

impl fmt::Debug for LogicalCallLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogicalCallLayer").finish_non_exhaustive()
    }
}

impl ClientLayer for LogicalCallLayer {
    type Phase = phase::client::RpcSpan;
    type Needs = ();
    type Provides = ();

    fn name(&self) -> &'static str {
        "logical_call"
    }
}

impl<S> Layer<S> for LogicalCallLayer {
    type Service = LogicalCall<S>;

    fn layer(&self, inner: S) -> Self::Service {
        LogicalCall { inner, mint: Arc::clone(&self.mint) }
    }
}

/// The service of [`LogicalCallLayer`].
///
/// Response and future are those of the inner service.
#[derive(Clone)]
pub struct LogicalCall<S> {
    inner: S,
    mint: Arc<Mint>,
}

impl<S: fmt::Debug> fmt::Debug for LogicalCall<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogicalCall").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<S, B> Service<Request<B>> for LogicalCall<S>
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
        // One further out knows the whole call.
        if !request.extensions().get().is_some_and(Call::is_settled) {
            let mut call = Call::within(request.extensions());
            let span = Protocol::of(&request).is_grpc().then(span_id);
            call.settle(&self.mint, span);
            request.extensions_mut().insert(call);
        }
        self.inner.call(request)
    }
}
