//! A layer that is there or not, decided when the service starts.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use http::Response;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

/// A layer or nothing: what `Stack::push` makes of an `Option`.
///
/// Unlike tower's `option_layer`, both arms keep the error type of the inner service.
#[derive(Clone, Debug)]
#[must_use]
pub struct OptionalLayer<L>(Option<L>);

impl<L> OptionalLayer<L> {
    /// `None` passes every request through.
    pub fn new(layer: Option<L>) -> Self {
        Self(layer)
    }
}

impl<L: Layer<S>, S> Layer<S> for OptionalLayer<L> {
    type Service = Optional<L::Service, S>;

    fn layer(&self, inner: S) -> Self::Service {
        match &self.0 {
            Some(layer) => Optional::On(layer.layer(inner)),
            None => Optional::Off(inner),
        }
    }
}

/// The service of an [`OptionalLayer`].
#[derive(Clone, Debug)]
pub enum Optional<A, B> {
    /// The layer is there.
    On(A),
    /// The inner service alone.
    Off(B),
}

impl<A, B, Req, BodyA, BodyB> Service<Req> for Optional<A, B>
where
    A: Service<Req, Response = Response<BodyA>>,
    B: Service<Req, Response = Response<BodyB>, Error = A::Error>,
{
    type Response = Response<OptionalBody<BodyA, BodyB>>;
    type Error = A::Error;
    type Future = OptionalFuture<A::Future, B::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        match self {
            Self::On(service) => service.poll_ready(cx),
            Self::Off(service) => service.poll_ready(cx),
        }
    }

    fn call(&mut self, request: Req) -> Self::Future {
        match self {
            Self::On(service) => OptionalFuture::On { future: service.call(request) },
            Self::Off(service) => OptionalFuture::Off { future: service.call(request) },
        }
    }
}

pin_project! {
    /// Response future of [`Optional`].
    #[project = FutureProj]
    #[derive(Debug)]
    #[expect(missing_docs, reason = "as in `Optional`")]
    pub enum OptionalFuture<A, B> {
        On { #[pin] future: A },
        Off { #[pin] future: B },
    }
}

impl<A, B, BodyA, BodyB, E> Future for OptionalFuture<A, B>
where
    A: Future<Output = Result<Response<BodyA>, E>>,
    B: Future<Output = Result<Response<BodyB>, E>>,
{
    type Output = Result<Response<OptionalBody<BodyA, BodyB>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            FutureProj::On { future } => {
                future.poll(cx).map_ok(|res| res.map(|body| OptionalBody::On { body }))
            }
            FutureProj::Off { future } => {
                future.poll(cx).map_ok(|res| res.map(|body| OptionalBody::Off { body }))
            }
        }
    }
}

pin_project! {
    /// Response body of [`Optional`].
    #[project = BodyProj]
    #[derive(Debug)]
    #[expect(missing_docs, reason = "as in `Optional`")]
    pub enum OptionalBody<A, B> {
        On { #[pin] body: A },
        Off { #[pin] body: B },
    }
}

/// An empty body, without the layer.
impl<A, B: Default> Default for OptionalBody<A, B> {
    fn default() -> Self {
        Self::Off { body: B::default() }
    }
}

impl<A, B> Body for OptionalBody<A, B>
where
    A: Body,
    B: Body<Data = A::Data, Error = A::Error>,
{
    type Data = A::Data;
    type Error = A::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        match self.project() {
            BodyProj::On { body } => body.poll_frame(cx),
            BodyProj::Off { body } => body.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::On { body } => body.is_end_stream(),
            Self::Off { body } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::On { body } => body.size_hint(),
            Self::Off { body } => body.size_hint(),
        }
    }
}
