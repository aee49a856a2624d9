//! A layer that can be made to break each rule of the contract.

use std::{
    collections::VecDeque,
    error::Error,
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
};

use bartizan_core::{Face, Reason, Rejection, ResponseBody};
use bartizan_testkit::{TestBody, TestError};
use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture};
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use tower_layer::Layer;
use tower_service::Service;

type BoxError = Box<dyn Error + Send + Sync>;
type AnyBody = UnsyncBoxBody<Bytes, BoxError>;

/// What is wrong with the layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sickness {
    None,
    // readiness
    CallsAFreshClone,
    SaysReadyAtOnce,
    ForgetsTheWaker,
    WakesItselfInReadiness,
    WakesItselfInTheFuture,
    HidesAFailedReadiness,
    // errors
    AnswersErrors,
    RenamesErrors,
    // bodies
    BuffersResponses,
    BuffersRequests,
    ReadsAhead,
    DropsTrailers,
    HidesTheSize,
    LosesUpgrades,
    // extensions
    DropsRequestExtensions,
    DropsResponseExtensions,
    DropsResponseHeaders,
    ChangesTheStatus,
    // release
    CountsDownWithTheResponse,
    ForgetsTheFuture,
    LeaksTheBody,
    LeaksWhileItWaits,
    HoldsNothing,
    // state
    StatePerLayerCall,
    StatePerClone,
    // refusals
    PollsTheBodyFirst,
    PollsExpectedBodies,
    CallsTheInnerServiceToo,
    RefusesWithPlainText,
    RefusesWithAnotherReason,
    RefusesGrpcWithHttp,
    RefusesGrpcWithABody,
    RefusesGrpcWithAnOpenBody,
    RefusesWithoutNoStore,
    RefusesWithAnotherStatus,
    RefusesHeadWithABody,
    SaysThatHeadIsEmpty,
    ForgetsToSayWhen,
    KeepsTheRefusalOut,
    PadsTheDetails,
    TellsAnotherCodeInTheDetails,
    SendsManyHeaders,
    ForgetsTheGrpcWebType,
}

/// Refuses requests with the header `refuse`, and all after the first `limit`.
#[derive(Clone, Debug)]
pub(crate) struct SickLayer {
    sickness: Sickness,
    reason: Reason,
    limit: usize,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    seen: AtomicUsize,
    held: AtomicUsize,
}

impl SickLayer {
    pub(crate) fn new(sickness: Sickness) -> Self {
        Self { sickness, reason: Reason::PermissionDenied, limit: usize::MAX, state: Arc::default() }
    }

    pub(crate) fn with_limit(self, limit: usize) -> Self {
        Self { limit, ..self }
    }

    pub(crate) fn with_reason(self, reason: Reason) -> Self {
        Self { reason, ..self }
    }

    pub(crate) fn held(&self) -> usize {
        if self.sickness == Sickness::HoldsNothing { 0 } else { self.state.held.load(Ordering::SeqCst) }
    }
}

impl<S> Layer<S> for SickLayer {
    type Service = Sick<S>;

    fn layer(&self, inner: S) -> Sick<S> {
        let mut layer = self.clone();
        if self.sickness == Sickness::StatePerLayerCall {
            layer.state = Arc::default();
        }
        Sick { inner, layer }
    }
}

#[derive(Debug)]
pub(crate) struct Sick<S> {
    inner: S,
    layer: SickLayer,
}

impl<S: Clone> Clone for Sick<S> {
    fn clone(&self) -> Self {
        let mut layer = self.layer.clone();
        if layer.sickness == Sickness::StatePerClone {
            layer.state = Arc::default();
        }
        Self { inner: self.inner.clone(), layer }
    }
}

/// One request that the layer counts.
struct Permit(Arc<State>);

impl Permit {
    fn new(state: &Arc<State>) -> Self {
        state.held.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(state))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.held.fetch_sub(1, Ordering::SeqCst);
    }
}

impl<S, B, R> Service<Request<B>> for Sick<S>
where
    S: Service<Request<AnyBody>, Response = Response<R>, Error = TestError>,
    S: Clone + Send + 'static,
    S::Future: Send + 'static,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    R: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Response<AnyBody>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Self::Response, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        let sickness = self.layer.sickness;
        let polled = if sickness == Sickness::ForgetsTheWaker {
            self.inner.poll_ready(&mut Context::from_waker(Waker::noop()))
        } else {
            self.inner.poll_ready(cx)
        };
        match (sickness, &polled) {
            (Sickness::SaysReadyAtOnce, _) => Poll::Ready(Ok(())),
            (Sickness::HidesAFailedReadiness, Poll::Ready(Err(_))) => Poll::Ready(Ok(())),
            (Sickness::WakesItselfInReadiness, Poll::Pending) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            _ => polled,
        }
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let sickness = self.layer.sickness;
        let limited = self.layer.state.seen.fetch_add(1, Ordering::SeqCst) >= self.layer.limit;
        if limited || request.headers().contains_key("refuse") {
            if sickness == Sickness::CallsTheInnerServiceToo {
                drop(self.inner.call(Request::new(any(Full::default()))));
            }
            let reason = if limited { Reason::RateLimited } else { self.layer.reason };
            return Box::pin(async move { Ok(refuse(sickness, reason, request).await) });
        }
        let permit = Permit::new(&self.layer.state);
        let mut request = request.map(any);
        match sickness {
            Sickness::DropsRequestExtensions => request.extensions_mut().clear(),
            Sickness::LosesUpgrades => drop(request.extensions_mut().remove::<hyper::upgrade::OnUpgrade>()),
            Sickness::BuffersRequests => {
                let clone = self.inner.clone();
                let mut inner = std::mem::replace(&mut self.inner, clone);
                let buffered = async move {
                    let (parts, body) = request.into_parts();
                    let body = body.collect().await.expect("a sound body").to_bytes();
                    Request::from_parts(parts, any(Full::new(body)))
                };
                let called = buffered.map(move |request| inner.call(request)).flatten();
                return Box::pin(forward(sickness, permit, Box::pin(called)));
            }
            Sickness::LeaksWhileItWaits => {
                let clone = self.inner.clone();
                let mut inner = std::mem::replace(&mut self.inner, clone);
                let state = Arc::clone(&self.layer.state);
                let waited = async move {
                    state.held.fetch_add(1, Ordering::SeqCst);
                    tokio::task::yield_now().await;
                    state.held.fetch_sub(1, Ordering::SeqCst);
                    request
                };
                let called = waited.map(move |request| inner.call(request)).flatten();
                return Box::pin(forward(sickness, permit, Box::pin(called)));
            }
            Sickness::CallsAFreshClone => {
                return Box::pin(forward(sickness, permit, Box::pin(self.inner.clone().call(request))));
            }
            _ => {}
        }
        Box::pin(forward(sickness, permit, Box::pin(self.inner.call(request))))
    }
}

fn any<B>(body: B) -> AnyBody
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    body.map_err(Into::into).boxed_unsync()
}

async fn forward<F, R>(
    sickness: Sickness,
    permit: Permit,
    mut called: Pin<Box<F>>,
) -> Result<Response<AnyBody>, TestError>
where
    F: Future<Output = Result<Response<R>, TestError>> + Send + 'static,
    R: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    if sickness == Sickness::ForgetsTheFuture {
        // A task that lives on when the client has left.
        let task = tokio::spawn(async move { (called.await, permit) });
        let (answer, permit) = task.await.expect("the task goes on");
        return answer.map(|response| response.map(|body| any(Counted { body: any(body), _permit: permit })));
    }
    let answer = poll_fn(|cx| {
        if sickness == Sickness::WakesItselfInTheFuture {
            cx.waker().wake_by_ref();
        }
        called.as_mut().poll(cx)
    });
    let answer = match (sickness, answer.await) {
        (Sickness::AnswersErrors, Err(_)) => Ok(Response::new(any(Full::default()))),
        (Sickness::RenamesErrors, Err(_)) => Err(TestError::new("renamed")),
        (_, answer) => answer.map(|response| response.map(any)),
    };
    let mut response = answer?;
    match sickness {
        Sickness::DropsResponseExtensions => response.extensions_mut().clear(),
        Sickness::DropsResponseHeaders => response.headers_mut().clear(),
        Sickness::ChangesTheStatus => *response.status_mut() = StatusCode::OK,
        Sickness::CountsDownWithTheResponse => drop(permit),
        Sickness::BuffersResponses => {
            let (parts, body) = response.into_parts();
            let bytes = body.collect().await.expect("a sound body").to_bytes();
            return Ok(Response::from_parts(parts, any(Full::new(bytes))));
        }
        Sickness::ReadsAhead | Sickness::DropsTrailers | Sickness::HidesTheSize => {
            return Ok(
                response.map(|body| any(Meddler { sickness, body, ahead: VecDeque::new(), _permit: permit }))
            );
        }
        Sickness::LeaksTheBody => std::mem::forget(permit),
        _ => return Ok(response.map(|body| any(Counted { body: any(body), _permit: permit }))),
    }
    Ok(response)
}

/// A body that holds a permit until it is dropped.
struct Counted {
    body: AnyBody,
    _permit: Permit,
}

impl Body for Counted {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A body that does not leave the frames alone.
struct Meddler {
    sickness: Sickness,
    body: AnyBody,
    ahead: VecDeque<Frame<Bytes>>,
    _permit: Permit,
}

impl Body for Meddler {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        loop {
            match Pin::new(&mut this.body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) if this.sickness == Sickness::DropsTrailers => {
                    if frame.is_data() {
                        return Poll::Ready(Some(Ok(frame)));
                    }
                }
                Poll::Ready(Some(Ok(frame))) if this.sickness == Sickness::ReadsAhead => {
                    this.ahead.push_back(frame);
                }
                polled => {
                    return match this.ahead.pop_front() {
                        Some(frame) => Poll::Ready(Some(Ok(frame))),
                        None => polled,
                    };
                }
            }
        }
    }
}

async fn refuse<B>(sickness: Sickness, reason: Reason, request: Request<B>) -> Response<AnyBody>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let face = Face::of(&request);
    let grpc = face.protocol().is_grpc();
    let head = request.method() == Method::HEAD;
    let expects = request.headers().contains_key(header::EXPECT);
    if sickness == Sickness::PollsTheBodyFirst || (sickness == Sickness::PollsExpectedBodies && expects) {
        let mut body = Box::pin(request.into_body());
        let _ = poll_fn(|cx| body.as_mut().poll_frame(cx)).await;
    }
    let reason = match sickness {
        Sickness::RefusesWithAnotherReason => Reason::Overloaded,
        _ => reason,
    };
    let rejection = Rejection::new(reason);
    let response = if sickness == Sickness::RefusesGrpcWithHttp && grpc {
        rejection.into_response(&Face::default())
    } else {
        rejection.into_response(&face)
    };
    let mut response: Response<AnyBody> = response.map(|body: ResponseBody<AnyBody>| any(body));
    let headers = response.headers_mut();
    match sickness {
        Sickness::RefusesWithPlainText if !grpc => {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        }
        Sickness::ForgetsToSayWhen => drop(headers.remove(header::RETRY_AFTER)),
        Sickness::RefusesWithoutNoStore => drop(headers.remove(header::CACHE_CONTROL)),
        Sickness::RefusesWithAnotherStatus if !grpc => *response.status_mut() = StatusCode::BAD_REQUEST,
        Sickness::SaysThatHeadIsEmpty if head => {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        Sickness::RefusesHeadWithABody if head => return response.map(|_| any(Full::from("a body"))),
        Sickness::RefusesGrpcWithABody if grpc => return response.map(|_| any(Full::from("a body"))),
        Sickness::RefusesGrpcWithAnOpenBody if grpc => {
            // Empty, which shows only when it is polled.
            let (sender, body) = TestBody::channel();
            sender.trailers(http::HeaderMap::new());
            sender.finish();
            return response.map(|_| any(body));
        }
        Sickness::KeepsTheRefusalOut => drop(response.extensions_mut().remove::<Rejection>()),
        Sickness::PadsTheDetails if grpc => {
            headers.insert("grpc-status-details-bin", HeaderValue::from_static("CAc="));
        }
        Sickness::TellsAnotherCodeInTheDetails if grpc => {
            // A status with code 5.
            headers.insert("grpc-status-details-bin", HeaderValue::from_static("CAU"));
        }
        Sickness::SendsManyHeaders if grpc => {
            let value = HeaderValue::try_from("x".repeat(8_000)).expect("letters");
            headers.insert("x-many", value);
        }
        Sickness::ForgetsTheGrpcWebType if grpc => {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        }
        _ => {}
    }
    response
}
