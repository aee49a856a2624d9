//! LAY-04: frames, trailers and size hints of both bodies pass unchanged, and none is kept back.

use std::task::Poll;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, header};
use http_body::{Body, Frame, SizeHint};
use tower_service::Service;

use crate::{
    BodySender, Probe, Script, TestBody, TestError,
    drive::{answer, frame, reached, ready, settle, summary},
    echo::{echo, ok_trailers},
    prepare::Kind,
    rule::{ensure, fail},
    suite::Suite,
};

pub(crate) async fn bodies(suite: &Suite) {
    for kind in [Kind::Get, Kind::Post, Kind::Grpc, Kind::GrpcWeb] {
        response_frames_pass(suite, kind).await;
        response_failure_passes(suite, kind).await;
        response_size_hints_pass(suite, kind).await;
    }
    if suite.request_bodies {
        for kind in [Kind::Post, Kind::Grpc, Kind::GrpcWeb] {
            request_frames_pass(suite, kind).await;
            request_size_hints_pass(suite, kind).await;
        }
        both_directions_flow_at_once(suite).await;
    }
}

/// The body that the layer makes of `inner`'s.
async fn through(suite: &Suite, kind: Kind, inner: TestBody) -> TestBody {
    let script = Script::ready();
    let mut service = (suite.make)().service(script.service());
    let probe = Probe::new();
    ready(&probe, &mut service).await;
    let mut future = service.call(suite.request(kind, TestBody::empty()));
    let call = reached(&probe, &script, &mut future).await;
    let mut response = Response::new(inner);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type(kind)));
    call.reply.send(Ok(response));
    answer(&probe, &mut future).await.into_body()
}

fn media_type(kind: Kind) -> &'static str {
    match kind {
        Kind::Get | Kind::Head | Kind::Post => "text/event-stream",
        Kind::Grpc => "application/grpc",
        Kind::GrpcWeb => "application/grpc-web+proto",
    }
}

async fn response_frames_pass(suite: &Suite, kind: Kind) {
    let (sender, inner) = TestBody::channel();
    let mut body = through(suite, kind, inner).await;
    frames_pass(&format!("{kind:?} response"), &sender, &mut body).await;
}

/// Whatever `sender` sends comes out of `body`, frame by frame and at once.
async fn frames_pass(which: &str, sender: &BodySender, body: &mut TestBody) {
    let probe = Probe::new();
    ensure!(!body.is_end_stream(), Bodies, "{which}: a body that has not begun says that it has ended");
    ensure!(
        frame(&probe, body).await.is_pending(),
        Bodies,
        "{which}: the body has a frame before the other side sent one"
    );
    sender.data("one");
    Probe::run_others().await;
    ensure!(probe.wakes() > 0, Bodies, "{which}: nothing is woken when a frame arrives");
    expect_data(which, frame(&probe, body).await, "one");

    sender.data("two");
    sender.data("three");
    expect_data(which, frame(&probe, body).await, "two");
    ensure!(
        sender.taken() == 2,
        Bodies,
        "{which}: the body reads ahead: {} frames taken for 2 handed on",
        sender.taken()
    );
    expect_data(which, frame(&probe, body).await, "three");
    ensure!(frame(&probe, body).await.is_pending(), Bodies, "{which}: the body has a fourth frame, of three");

    let mut trailers = ok_trailers();
    trailers.insert("x-bartizan-testkit", HeaderValue::from_static("foreign"));
    sender.trailers(trailers.clone());
    sender.finish();
    expect_trailers(which, frame(&probe, body).await, &trailers);
    let end = frame(&probe, body).await;
    ensure!(matches!(end, Poll::Ready(None)), Bodies, "{which}: after the trailers the body is {end:?}");
}

type Polled = Poll<Option<Result<Frame<Bytes>, TestError>>>;

fn expect_data(which: &str, polled: Polled, expected: &str) {
    match polled {
        Poll::Ready(Some(Ok(frame))) if frame.data_ref().is_some_and(|data| data == expected) => {}
        Poll::Pending => fail!(Bodies, "{which}: the frame {expected:?} was sent, and is kept back"),
        Poll::Ready(other) => {
            fail!(Bodies, "{which}: the frame {expected:?} was sent, and {other:?} came out")
        }
    }
}

fn expect_trailers(which: &str, polled: Polled, expected: &HeaderMap) {
    match polled {
        Poll::Ready(Some(Ok(frame))) if frame.trailers_ref() == Some(expected) => {}
        Poll::Pending => fail!(Trailers, "{which}: the trailers were sent, and are kept back"),
        Poll::Ready(None) => fail!(Trailers, "{which}: the trailers are lost"),
        Poll::Ready(other) => fail!(Trailers, "{which}: {expected:?} was sent, and {other:?} came out"),
    }
}

async fn response_failure_passes(suite: &Suite, kind: Kind) {
    let (sender, inner) = TestBody::channel();
    let mut body = through(suite, kind, inner).await;
    let probe = Probe::new();
    let error = TestError::new("the body fails");
    sender.data("one");
    sender.fail(error.clone());
    expect_data(&format!("{kind:?} response"), frame(&probe, &mut body).await, "one");
    let polled = frame(&probe, &mut body).await;
    ensure!(
        matches!(&polled, Poll::Ready(Some(Err(seen))) if *seen == error),
        Bodies,
        "{kind:?} response: the inner body fails, and the layer's is {polled:?}"
    );
}

async fn response_size_hints_pass(suite: &Suite, kind: Kind) {
    for hint in hints() {
        let (sender, inner) = TestBody::channel_with_hint(hint);
        let mut body = through(suite, kind, inner).await;
        hint_passes(&format!("{kind:?} response"), &hint, &sender, &mut body).await;
    }
    let body = through(suite, kind, TestBody::empty()).await;
    ensure!(
        body.is_end_stream() && body.size_hint().exact() == Some(0),
        Bodies,
        "{kind:?} response: an empty body is not known to be empty any more"
    );
}

fn hints() -> [SizeHint; 3] {
    let mut bounds = SizeHint::new();
    bounds.set_upper(9);
    bounds.set_lower(4);
    [SizeHint::new(), SizeHint::with_exact(6), bounds]
}

async fn hint_passes(which: &str, hint: &SizeHint, sender: &BodySender, body: &mut TestBody) {
    let bounds = |hint: &SizeHint| (hint.lower(), hint.upper());
    ensure!(
        bounds(&body.size_hint()) == bounds(hint),
        Bodies,
        "{which}: the body announces {:?}, and the layer {:?}",
        hint,
        body.size_hint()
    );
    sender.data("123");
    expect_data(which, frame(&Probe::new(), body).await, "123");
    let left = (hint.lower().saturating_sub(3), hint.upper().map(|upper| upper - 3));
    ensure!(
        bounds(&body.size_hint()) == left,
        Bodies,
        "{which}: after 3 bytes the body announces {left:?}, and the layer {:?}",
        body.size_hint()
    );
}

/// What feeds a request body that announces `hint`, and the body that the inner service gets of it.
async fn request_through(suite: &Suite, kind: Kind, hint: SizeHint) -> (BodySender, TestBody) {
    let script = Script::ready();
    let mut service = (suite.make)().service(script.service());
    let probe = Probe::new();
    ready(&probe, &mut service).await;
    let (sender, body) = TestBody::channel_with_hint(hint);
    let mut future = service.call(suite.request(kind, body));
    let polled = settle(&probe, &mut future).await;
    ensure!(
        sender.polls() == 0,
        Bodies,
        "{kind:?} request: the layer polls the body before the inner service does"
    );
    match script.next_call() {
        Some(call) => (sender, call.request.into_body()),
        None => fail!(
            Setup,
            "a {kind:?} request that `accept` prepared does not reach the inner service: {:?}",
            polled.map_ok(|response| summary(&response))
        ),
    }
}

async fn request_frames_pass(suite: &Suite, kind: Kind) {
    let (sender, mut body) = request_through(suite, kind, SizeHint::new()).await;
    frames_pass(&format!("{kind:?} request"), &sender, &mut body).await;
}

async fn request_size_hints_pass(suite: &Suite, kind: Kind) {
    for hint in hints() {
        let (sender, mut body) = request_through(suite, kind, hint).await;
        hint_passes(&format!("{kind:?} request"), &hint, &sender, &mut body).await;
    }
}

/// A bidirectional call: each message is answered before the next is sent.
async fn both_directions_flow_at_once(suite: &Suite) {
    let which = "bidirectional gRPC stream";
    let script = Script::answering(async |request| Ok(echo(request.into_body()).map(TestBody::new)));
    let mut service = (suite.make)().service(script.service());
    let probe = Probe::new();
    ready(&probe, &mut service).await;
    let (sender, body) = TestBody::channel();
    let mut future = service.call(suite.request(Kind::Grpc, body));
    let mut body = answer(&probe, &mut future).await.into_body();
    for message in ["one", "two", "three"] {
        ensure!(
            frame(&probe, &mut body).await.is_pending(),
            Bodies,
            "{which}: the answer to a message comes before the message"
        );
        sender.data(message);
        expect_data(which, frame(&probe, &mut body).await, message);
    }
    sender.finish();
    expect_trailers(which, frame(&probe, &mut body).await, &ok_trailers());
}
