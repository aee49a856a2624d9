//! LAY-01, LAY-02: a request ends when its body does; however and whenever that is, nothing of it is kept.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    task::Poll,
};

use http::{HeaderValue, Response, header};
use tower_service::Service;

use crate::{
    BodySender, Probe, Reply, Script, TestBody, TestError, TestService,
    drive::{answer, frame, reached, ready, settle},
    echo::ok_trailers,
    prepare::Kind,
    rule::ensure,
    suite::{Subject, Suite},
};

/// The await points of a request, and the ways in which one ends early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    BeforeReady,
    Ready,
    Called,
    Waiting,
    RequestFrame,
    InnerFails,
    InnerPanics,
    Answered,
    BodyWaiting,
    FirstFrame,
    BodyFails,
    BodyPanics,
    SecondFrame,
    Trailers,
    Complete,
}

impl End {
    const ALL: [Self; 15] = [
        Self::BeforeReady,
        Self::Ready,
        Self::Called,
        Self::Waiting,
        Self::RequestFrame,
        Self::InnerFails,
        Self::InnerPanics,
        Self::Answered,
        Self::BodyWaiting,
        Self::FirstFrame,
        Self::BodyFails,
        Self::BodyPanics,
        Self::SecondFrame,
        Self::Trailers,
        Self::Complete,
    ];

    fn describe(self) -> &'static str {
        match self {
            Self::BeforeReady => "the service is dropped while the inner service is not ready",
            Self::Ready => "the service is dropped after it was ready, without a call",
            Self::Called => "the response future is dropped before its first poll",
            Self::Waiting => "the response future is dropped while the inner service works",
            Self::RequestFrame => "the response future is dropped in the middle of the request body",
            Self::InnerFails => "the inner service fails",
            Self::InnerPanics => "the inner service panics",
            Self::Answered => "the response is dropped before its body is polled",
            Self::BodyWaiting => "the response body is dropped before its first frame",
            Self::FirstFrame => "the response body is dropped after its first frame",
            Self::BodyFails => "the response body fails",
            Self::BodyPanics => "the response body panics",
            Self::SecondFrame => "the response body is dropped before its trailers",
            Self::Trailers => "the response body is dropped after its trailers",
            Self::Complete => "the response body has ended",
        }
    }
}

pub(crate) async fn release(suite: &Suite) {
    for kind in [Kind::Get, Kind::Grpc] {
        for end in End::ALL {
            for service_lives_on in [false, true] {
                released(suite, kind, end, service_lives_on).await;
            }
        }
        released_between_polls(suite, kind).await;
    }
}

async fn released(suite: &Suite, kind: Kind, end: End, service_lives_on: bool) {
    let subject = (suite.make)();
    let (traces, service) = play(suite, &subject, kind, end, service_lives_on).await;
    Probe::run_others().await;
    nothing_kept(&format!("{kind:?}: {}", end.describe()), &subject, &traces);
    ensure!(
        end < End::Waiting || subject.held().is_none() || traces.held > 0,
        Release,
        "{kind:?}: the layer held nothing while the inner service worked: `held` shows nothing"
    );
    drop(service);
}

fn nothing_kept(when: &str, subject: &Subject, traces: &Traces) {
    for (what, kept) in traces.kept() {
        ensure!(!kept, Release, "{when}, and {what} is still kept");
    }
    let held = subject.held().unwrap_or(0);
    ensure!(held == 0, Release, "{when}, and the layer still holds {held}");
}

/// The await points of the layer itself, before it calls the inner service: the future is dropped after each.
async fn released_between_polls(suite: &Suite, kind: Kind) {
    /// More await points than a layer has on the way in.
    const MANY: usize = 32;
    for polls in 1..MANY {
        let subject = (suite.make)();
        let mut traces = Traces::default();
        let script = Script::ready();
        let mut service = subject.service(script.service());
        let probe = Probe::new();
        ready(&probe, &mut service).await;
        let mut request = suite.request(kind, TestBody::empty());
        request.extensions_mut().insert(Arc::clone(&traces.request_extension));
        let mut future = service.call(request);
        for poll in 1..=polls {
            let _ = probe.poll(|cx| future.as_mut().poll(cx));
            if poll < polls {
                Probe::run_others().await;
            }
        }
        drop(future);
        let call = script.next_call();
        let reached = call.is_some();
        traces.reply = call.map(|call| call.reply);
        Probe::run_others().await;
        let when = format!("{kind:?}: the response future is dropped after poll {polls}");
        nothing_kept(&when, &subject, &traces);
        if reached {
            return;
        }
    }
}

/// What tells, after a request has ended, which of its parts are still there.
#[derive(Default)]
struct Traces {
    request_body: Option<BodySender>,
    request_extension: Arc<()>,
    reply: Option<Reply>,
    response_body: Option<BodySender>,
    response_extension: Arc<()>,
    /// The most that the layer held.
    held: usize,
}

impl Traces {
    fn kept(&self) -> [(&'static str, bool); 5] {
        let body = |sender: &Option<BodySender>| sender.as_ref().is_some_and(|sender| !sender.is_dropped());
        [
            ("the request body", body(&self.request_body)),
            ("an extension of the request", Arc::strong_count(&self.request_extension) > 1),
            ("the inner service's future", self.reply.as_ref().is_some_and(|reply| !reply.is_dropped())),
            ("the response body", body(&self.response_body)),
            ("an extension of the response", Arc::strong_count(&self.response_extension) > 1),
        ]
    }
}

/// Plays a request up to its end and drops all that is left of it. Servers drop the service after the call, or
/// use it again; in that case it is returned.
async fn play(
    suite: &Suite,
    subject: &Subject,
    kind: Kind,
    end: End,
    service_lives_on: bool,
) -> (Traces, Option<TestService>) {
    let mut traces = Traces::default();
    let script = if end == End::BeforeReady { Script::unready() } else { Script::ready() };
    let mut service = subject.service(script.service());
    let probe = Probe::new();
    if end == End::BeforeReady {
        // That this is pending is for another test to see.
        let _ = probe.settle(|cx| service.poll_ready(cx)).await;
        return (traces, None);
    }
    ready(&probe, &mut service).await;
    if end == End::Ready {
        return (traces, None);
    }

    let (sender, body) = TestBody::channel();
    let request_body = traces.request_body.insert(sender);
    if !suite.request_bodies {
        // The layer may wait for the whole of it.
        request_body.data("one");
        request_body.finish();
    }
    let mut request = suite.request(kind, body);
    request.extensions_mut().insert(Arc::clone(&traces.request_extension));
    let mut future = service.call(request);
    let service = service_lives_on.then_some(service);
    if end == End::Called {
        drop(future);
        traces.reply = script.next_call().map(|call| call.reply);
        return (traces, service);
    }

    let call = reached(&probe, &script, &mut future).await;
    let reply = &*traces.reply.insert(call.reply);
    let mut request = call.request;
    traces.held = subject.held().unwrap_or(0);
    match end {
        End::RequestFrame => {
            request_body.data("one");
            let _ = frame(&probe, request.body_mut()).await;
            return (traces, service);
        }
        End::InnerFails => {
            let fails = || Err(TestError::new("the inner service fails"));
            reply.send(fails());
            drop(request);
            let _ = settle(&probe, &mut future).await;
            // A layer may try again.
            while let Some(again) = script.next_call() {
                again.reply.send(fails());
                drop(again);
                let _ = settle(&probe, &mut future).await;
            }
            return (traces, service);
        }
        End::InnerPanics => {
            reply.panic();
            drop(request);
            let _ = catching(&mut |cx| future.as_mut().poll(cx));
            return (traces, service);
        }
        End::Waiting => return (traces, service),
        _ => drop(request),
    }

    let (sender, body) = TestBody::channel();
    let response_body = &*traces.response_body.insert(sender);
    let mut response = Response::new(body);
    response.extensions_mut().insert(Arc::clone(&traces.response_extension));
    if kind == Kind::Grpc {
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    }
    reply.send(Ok(response));
    let mut body = answer(&probe, &mut future).await.into_body();
    ensure!(
        subject.held() != Some(0),
        Settled,
        "{kind:?}: the response body is still on its way, and the layer holds nothing any more"
    );
    // As hyper does: the future goes when it is done, long before the body.
    drop(future);
    if end == End::Answered {
        return (traces, service);
    }
    let _ = frame(&probe, &mut body).await;
    if end == End::BodyWaiting {
        return (traces, service);
    }
    response_body.data("one");
    let _ = frame(&probe, &mut body).await;
    match end {
        End::FirstFrame => return (traces, service),
        End::BodyFails => response_body.fail(TestError::new("the body fails")),
        End::BodyPanics => response_body.panic(),
        _ => response_body.data("two"),
    }
    let _ = catching(&mut |cx| http_body::Body::poll_frame(std::pin::Pin::new(&mut body), cx));
    if end <= End::SecondFrame {
        return (traces, service);
    }
    response_body.trailers(ok_trailers());
    response_body.finish();
    let _ = frame(&probe, &mut body).await;
    if end == End::Complete {
        let _ = frame(&probe, &mut body).await;
    }
    (traces, service)
}

/// Polls once, whether or not that panics.
fn catching<T>(poll: &mut dyn FnMut(&mut std::task::Context<'_>) -> Poll<T>) -> Option<Poll<T>> {
    catch_unwind(AssertUnwindSafe(|| Probe::new().poll(poll))).ok()
}
