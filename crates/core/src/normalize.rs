//! Panics and foreign errors, turned into refusals where the observers can still see them.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use http::{Request, Response, header};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::{
    Protocol, Reason, Rejection, RequestContext, ResponseBody, ServerLayer,
    catch::{catch, catch_or},
    phase,
    problem::{self, Style},
    replace::{Carried, carried, replace},
};

/// Turns panics, and plain-text or empty errors of foreign layers and handlers, into refusals.
///
/// Belongs directly inside the observers (correlation, trace, metrics, access log), so that they see the status
/// the client sees. What it does:
///
/// 1. A panic of the inner service becomes a 500 problem, or `INTERNAL`. The panic's text goes to the log alone.
/// 2. An HTTP error (400 or more) with an empty or plain-text body becomes a problem of the same status: a
///    router's 404 and 405, a body limit's 413, an extractor's 422. Its headers stay, its text does not: it may
///    tell internals.
/// 3. A gRPC call that was answered by an HTTP error becomes a Trailers-Only status.
/// 4. A [`Rejection`] that a handler returned gets the request id and the face of the request's protocol; one whose
///    status a layer in between changed is told again under that status.
///
/// It never touches a problem, an API's own JSON error, or an error whose body is a stream.
///
/// A panic inside a response *body*, after the head was sent, cannot become a refusal; observers record it.
/// With `panic = "abort"` there is nothing to catch.
#[derive(Clone, Copy, Debug, Default)]
#[must_use]
pub struct NormalizeLayer(());

impl NormalizeLayer {
    /// The layer. It has no settings.
    pub fn new() -> Self {
        Self(())
    }
}

impl ServerLayer for NormalizeLayer {
    type Phase = phase::Normalize;
    type Needs = ();
    type Provides = ();

    fn name(&self) -> &'static str {
        "normalize"
    }
}

impl<S> Layer<S> for NormalizeLayer {
    type Service = Normalize<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Normalize { inner }
    }
}

/// The service of [`NormalizeLayer`].
#[derive(Clone, Debug)]
pub struct Normalize<S> {
    inner: S,
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for Normalize<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    ResBody: Body,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = NormalizeFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let context = RequestContext::of(&mut request);
        let state = catch_or(
            || State::Running { future: self.inner.call(request) },
            |rejection| State::Panicked { rejection: Some(rejection) },
        );
        NormalizeFuture { context, state }
    }
}

pin_project! {
    /// Response future of [`Normalize`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct NormalizeFuture<F> {
        context: RequestContext,
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[project = StateProj]
    #[derive(Debug)]
    enum State<F> {
        Running { #[pin] future: F },
        Panicked { rejection: Option<Rejection> },
    }
}

impl<F, B, E> Future for NormalizeFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
{
    type Output = Result<Response<ResponseBody<B>>, E>;

    // A response is large: as part of the caller this leaves it where it is wanted.
    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let context = &*this.context;
        let rejection = match this.state.as_mut().project() {
            StateProj::Running { future } => match catch(|| poll_normalized(future, cx, context)) {
                Ok(polled) => return polled,
                Err(rejection) => {
                    this.state.set(State::Panicked { rejection: None });
                    rejection
                }
            },
            StateProj::Panicked { rejection } => {
                rejection.take().unwrap_or_else(|| Rejection::new(Reason::Internal))
            }
        };
        Poll::Ready(Ok(answer_panic(rejection, context)))
    }
}

#[cold]
fn answer_panic<B: Body>(rejection: Rejection, context: &RequestContext) -> Response<ResponseBody<B>> {
    context.event().record("panic", rejection.cause().unwrap_or_default().to_owned());
    rejection.into_response(&context.face())
}

#[inline(always)]
fn poll_normalized<F, B, E>(
    future: Pin<&mut F>,
    cx: &mut Context<'_>,
    context: &RequestContext,
) -> Poll<Result<Response<ResponseBody<B>>, E>>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
{
    let (head, body) = ready!(future.poll(cx))?.into_parts();
    if head.status.as_u16() >= 400 || head.extensions.get::<Rejection>().is_some() {
        return Poll::Ready(Ok(normalize(Response::from_parts(head, body), context)));
    }
    Poll::Ready(Ok(Response::from_parts(head, ResponseBody::forward(body))))
}

/// Apart, so that what most responses need is small enough to be part of the caller.
#[inline(never)]
fn normalize<B: Body>(response: Response<B>, context: &RequestContext) -> Response<ResponseBody<B>> {
    if let Some(Carried { rejection, is_stale }) = carried(&response, context) {
        return if is_stale {
            answer(response, rejection, context)
        } else {
            response.map(ResponseBody::forward)
        };
    }
    let status = response.status();
    if !(status.is_client_error() || status.is_server_error()) || !is_foreign(&response, context) {
        return response.map(ResponseBody::forward);
    }
    let mut rejection = Rejection::new(Reason::from_status(status));
    if let Some(delay) = retry_after(&response) {
        rejection = rejection.with_retry_after(delay);
    }
    answer(response, rejection, context)
}

fn answer<B: Body>(
    response: Response<B>,
    rejection: Rejection,
    context: &RequestContext,
) -> Response<ResponseBody<B>> {
    let render = |rejection: Rejection, headers| rejection.render(&context.face(), &Style::DEFAULT, headers);
    replace(response, rejection, render)
}

/// Whether the error was made by someone who knows neither problems nor gRPC.
fn is_foreign<B: Body>(response: &Response<B>, context: &RequestContext) -> bool {
    let headers = response.headers();
    if context.protocol().is_grpc() {
        return Protocol::from_headers(headers) == Protocol::Http;
    }
    if problem::is_problem(headers) {
        return false;
    }
    let known_size = response.body().size_hint().exact().is_some() || response.body().is_end_stream();
    match headers.get(header::CONTENT_TYPE) {
        None => response.body().is_end_stream() || response.body().size_hint().exact() == Some(0),
        Some(value) => {
            let essence =
                value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
            essence.eq_ignore_ascii_case(b"text/plain") && known_size
        }
    }
}

/// The delay in seconds. A date is left in its header, as it stands.
fn retry_after<B>(response: &Response<B>) -> Option<Duration> {
    let value = response.headers().get(header::RETRY_AFTER)?.to_str().ok()?;
    value.trim().parse().ok().map(Duration::from_secs)
}
