//! One request through the layer, step by step.

use std::task::Poll;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::Response;
use http_body::{Body, Frame};
use tower_service::Service;

use crate::{
    Call, Probe, Script, TestBody, TestError, TestService,
    rule::{ensure, fail},
};

/// The response future of a [`TestService`].
pub(crate) type TestFuture = BoxFuture<'static, Result<Response<TestBody>, TestError>>;

/// Polls `service` until it is ready.
pub(crate) async fn ready(probe: &Probe, service: &mut TestService) {
    match probe.settle(|cx| service.poll_ready(cx)).await {
        Ok(Poll::Ready(Ok(()))) => {}
        Ok(polled) => fail!(Readiness, "`poll_ready` is {polled:?} while the inner service is ready"),
        Err(_) => fail!(Readiness, "`poll_ready` wakes itself in a loop while the inner service is ready"),
    }
}

/// Polls `future` until the inner service has the request.
pub(crate) async fn reached(probe: &Probe, script: &Script, future: &mut TestFuture) -> Call {
    let polled = settle(probe, future).await;
    match (script.next_call(), polled) {
        (Some(call), Poll::Pending) => call,
        (_, Poll::Ready(Ok(response))) => fail!(
            Setup,
            "a request that `accept` prepared was answered by the layer itself, with {}",
            summary(&response)
        ),
        (_, Poll::Ready(Err(error))) => {
            fail!(Setup, "a request that `accept` prepared failed: {error}")
        }
        (None, Poll::Pending) => fail!(
            Setup,
            "a request that `accept` prepared does not reach the inner service, and is not answered either"
        ),
    }
}

/// Polls `future` until the answer of the inner service has come through.
pub(crate) async fn answer(probe: &Probe, future: &mut TestFuture) -> Response<TestBody> {
    match settle(probe, future).await {
        Poll::Ready(Ok(response)) => response,
        Poll::Ready(Err(error)) => fail!(Errors, "the inner service answered, and the layer fails: {error}"),
        Poll::Pending => fail!(
            Bodies,
            "the inner service has answered, and the layer keeps the response back: it waits for the body"
        ),
    }
}

/// Polls `future` as far as it goes.
pub(crate) async fn settle(
    probe: &Probe,
    future: &mut TestFuture,
) -> Poll<Result<Response<TestBody>, TestError>> {
    let Ok(polled) = probe.settle(|cx| future.as_mut().poll(cx)).await else {
        fail!(Readiness, "the response future wakes itself in a loop while it has nothing to do")
    };
    polled
}

/// Polls `body` as far as it goes.
pub(crate) async fn frame<B>(probe: &Probe, body: &mut B) -> Poll<Option<Result<Frame<Bytes>, TestError>>>
where
    B: Body<Data = Bytes, Error = TestError> + Unpin,
{
    let Ok(polled) = probe.settle(|cx| std::pin::Pin::new(&mut *body).poll_frame(cx)).await else {
        fail!(Bodies, "a body wakes itself in a loop while there is no frame")
    };
    polled
}

/// Sends `request` through `service` around a script that answers by itself.
pub(crate) async fn exchange(
    probe: &Probe,
    service: &mut TestService,
    request: http::Request<TestBody>,
) -> Response<TestBody> {
    ready(probe, service).await;
    let mut future = service.call(request);
    match settle(probe, &mut future).await {
        Poll::Ready(Ok(response)) => response,
        polled => fail!(Errors, "a request to a service that answers at once is {:?}", polled.map_ok(|_| ())),
    }
}

/// The whole of a body that has all its frames.
pub(crate) async fn collect(probe: &Probe, mut body: TestBody) -> Bytes {
    let mut data = Vec::new();
    loop {
        match frame(probe, &mut body).await {
            Poll::Ready(Some(Ok(frame))) => {
                data.extend_from_slice(frame.data_ref().map_or(&[], |data| &data[..]));
            }
            Poll::Ready(None) => return Bytes::from(data),
            polled => fail!(Bodies, "a body in memory is {:?}", polled.map(|_| "an error")),
        }
    }
}

/// What a failure says of a response.
pub(crate) fn summary<B>(response: &Response<B>) -> String {
    let refusal = response.extensions().get::<bartizan_core::Rejection>();
    let code = refusal.map_or("no refusal", |rejection| rejection.reason().code());
    format!("status {} ({code})", response.status())
}

/// Fails unless nothing but instances that were polled ready were called.
pub(crate) fn only_ready_instances(script: &Script) {
    ensure!(
        script.unready_calls() == 0,
        Readiness,
        "an instance of the inner service is called that was not polled ready: a fresh clone instead of the one \
         that was, or one instance twice"
    );
}
