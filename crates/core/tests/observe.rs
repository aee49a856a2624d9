//! A request is over when its response body is: on a real hyper server, and under every way to poll.

mod support;

use std::{
    convert::Infallible,
    pin::{Pin, pin},
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};

use bartizan_core::{
    BodyEnd, BodyReport, Ending, GrpcCode, NormalizeLayer, ObservedBody, Observer, Outcome, ProblemLayer,
    Protocol, Reason, Rejection, RejectionToErrorLayer, ResponseBody, ServerClassifier, Verdict, observe,
};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header, response::Parts};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, service::service_fn};
use proptest::prelude::*;
use support::{Connection, Step, Steps, Wire, request};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tower::{Layer, ServiceExt};

/// Reports every end it is told of.
struct Report(UnboundedSender<Outcome>);

impl Observer for Report {
    fn on_end(self, outcome: Outcome) {
        // The test may be over.
        let _ = self.0.send(outcome);
    }
}

const GRPC: (&str, &str) = ("content-type", "application/grpc");

/// A message of two bytes, and trailers with a status, as gRPC-Web frames them.
const WEB_MESSAGE: &[u8] = b"\0\0\0\0\x02hi";
const WEB_TRAILERS: &[u8] = b"\x80\0\0\0\x0egrpc-status:5\n";

async fn respond(request: Request<Incoming>) -> Result<Response<Steps>, Infallible> {
    let response = Response::builder();
    let hello = || Steps::data(["hel", "lo"]);
    let response = match request.uri().path() {
        "/exact" => response.body(hello().known()),
        "/length" => response.header(header::CONTENT_LENGTH, 5).body(hello()),
        "/chunked" => response.body(hello()),
        "/empty" => response.body(Steps::default().known()),
        "/empty-untold" => response.body(Steps::default()),
        "/trailers" => response.body(hello().trailers("checksum", "1")),
        // The worst a handler can do: a body that would never end, where there is none.
        "/204" => response.status(204).body(Steps::new([Step::Hang])),
        "/304" => response.status(304).body(Steps::new([Step::Hang])),
        "/101" => response
            .status(101)
            .header(header::CONNECTION, "upgrade")
            .header(header::UPGRADE, "echo")
            .body(Steps::new([Step::Hang])),
        // What axum answers to HEAD.
        "/sized-nothing" => response.header(header::CONTENT_LENGTH, 5).body(Steps::default().known()),
        "/204-empty" => response.status(204).body(Steps::default().known()),
        "/304-empty" => response.status(304).header(header::CONTENT_LENGTH, 5).body(Steps::default().known()),
        "/fail" => response.body(hello().then(Step::Fail)),
        "/panic" => response.body(hello().then(Step::Panic)),
        "/panic-future" => panic!("the handler panics, as the test wants"),
        "/hang" => response.body(hello().then(Step::Hang)),
        "/hang-future" => std::future::pending().await,
        "/grpc" => response.header(GRPC.0, GRPC.1).body(hello().trailers("grpc-status", "5")),
        "/grpc-exact" => {
            let mut body = hello().trailers("grpc-status", "0");
            body.exact = Some(5);
            response.header(GRPC.0, GRPC.1).body(body)
        }
        "/grpc-trailers-only" => {
            response.header(GRPC.0, GRPC.1).header("grpc-status", "7").body(Steps::default().known())
        }
        "/grpc-no-status" => response.header(GRPC.0, GRPC.1).body(hello()),
        "/grpc-no-status-known" => response.header(GRPC.0, GRPC.1).body(hello().known()),
        "/grpc-nothing" => response.header(GRPC.0, GRPC.1).body(Steps::default().known()),
        "/web" => response
            .header(header::CONTENT_TYPE, "application/grpc-web+proto")
            .body(Steps::new([WEB_MESSAGE, WEB_TRAILERS].map(|bytes| Step::Data(Bytes::from_static(bytes))))),
        "/web-no-status" => response
            .header(header::CONTENT_TYPE, "application/grpc-web+proto")
            .body(Steps::new([Step::Data(Bytes::from_static(WEB_MESSAGE))])),
        "/grpc-hang" => {
            let mut body = hello().then(Step::Hang);
            body.exact = Some(5);
            response.header(GRPC.0, GRPC.1).body(body)
        }
        other => panic!("no such path: {other}"),
    };
    Ok(response.unwrap())
}

async fn open(wire: Wire) -> (Connection, UnboundedReceiver<Outcome>) {
    let (sender, reports) = unbounded_channel();
    let service = service_fn(move |request: Request<Incoming>| {
        let head = request.method() == Method::HEAD;
        // Some paths answer in gRPC: as if every request had asked in it.
        observe(respond(request), Protocol::Grpc, head, Report(sender.clone()))
    });
    (Connection::open(wire, service).await, reports)
}

/// The one report there is, once everything that could send another is gone.
async fn only(mut reports: UnboundedReceiver<Outcome>) -> Outcome {
    let outcome = reports.recv().await.expect("a report");
    assert!(reports.recv().await.is_none(), "exactly one report");
    outcome
}

#[tokio::test]
async fn lay_02_every_response_sent_whole_is_complete_once_on_a_connection_kept_alive() {
    let everywhere = [
        ("GET", "/exact", 200, 5),
        ("GET", "/length", 200, 5),
        ("GET", "/chunked", 200, 5),
        ("GET", "/empty", 200, 0),
        ("GET", "/empty-untold", 200, 0),
        ("HEAD", "/sized-nothing", 200, 0),
        ("GET", "/204-empty", 204, 0),
        ("GET", "/304-empty", 304, 0),
        ("GET", "/trailers", 200, 5),
    ];
    // hyper's HTTP/2 server would send these bodies, and the client refuse them.
    let http1 = [
        ("HEAD", "/exact", 200, 0),
        ("HEAD", "/length", 200, 0),
        ("HEAD", "/chunked", 200, 0),
        ("HEAD", "/hang", 200, 0),
        ("GET", "/204", 204, 0),
        ("GET", "/304", 304, 0),
    ];
    for wire in [Wire::Http1, Wire::Http2] {
        let (mut connection, mut reports) = open(wire).await;
        for (method, path, status, bytes) in
            everywhere.into_iter().chain(http1.into_iter().filter(|_| wire == Wire::Http1))
        {
            let (parts, body) = connection.fetch(request(method, path)).await;
            assert_eq!(parts.status, status, "{wire:?} {method} {path}");
            assert_eq!(body.len() as u64, bytes, "{wire:?} {method} {path}");
            let outcome = reports.recv().await.unwrap();
            assert_eq!(
                (outcome.ending, outcome.status, outcome.grpc, outcome.bytes),
                (Ending::Completed, Some(parts.status), None, bytes),
                "{wire:?} {method} {path}"
            );
        }
        connection.close().await;
        assert!(reports.recv().await.is_none(), "exactly one report for each");
    }
}

#[tokio::test]
async fn lay_02_an_upgrade_is_complete_when_its_head_is_sent() {
    let (mut connection, reports) = open(Wire::Http1).await;
    let mut upgrade = request("GET", "/101");
    upgrade.headers_mut().insert(header::CONNECTION, "upgrade".parse().unwrap());
    upgrade.headers_mut().insert(header::UPGRADE, "echo".parse().unwrap());
    let response = connection.send(upgrade).await.unwrap();
    assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
    connection.close().await;
    let outcome = only(reports).await;
    assert_eq!((outcome.ending, outcome.bytes), (Ending::Completed, 0));
}

#[tokio::test]
async fn lay_01_a_client_that_leaves_is_an_abort_before_the_head_and_in_the_body() {
    for wire in [Wire::Http1, Wire::Http2] {
        for path in ["/hang", "/grpc-hang"] {
            let (mut connection, reports) = open(wire).await;
            let mut response = connection.send(request("GET", path)).await.unwrap();
            assert!(response.body_mut().frame().await.unwrap().unwrap().is_data());
            drop(response);
            connection.close().await;
            let outcome = only(reports).await;
            assert_eq!(outcome.ending, Ending::ClientAborted, "{wire:?} {path}");
            assert_eq!((outcome.status, outcome.grpc), (Some(StatusCode::OK), None), "{wire:?} {path}");
            assert_eq!(outcome.bytes, 5, "{wire:?} {path}");
        }

        let (mut connection, reports) = open(wire).await;
        let mut sent = Box::pin(connection.send(request("GET", "/hang-future")));
        // Enough turns for the request to reach the handler: its report can come from there alone.
        tokio::select! {
            biased;
            _ = &mut sent => panic!("nothing answers"),
            () = async { for _ in 0..1000 { tokio::task::yield_now().await } } => {}
        }
        drop(sent);
        connection.close().await;
        let outcome = only(reports).await;
        assert_eq!((outcome.ending, outcome.status), (Ending::ClientAborted, None), "{wire:?}");
    }
}

#[tokio::test]
async fn lay_02_a_body_that_fails_or_panics_and_a_future_that_panics_are_told_apart() {
    for wire in [Wire::Http1, Wire::Http2] {
        for (path, ending, status) in [
            ("/fail", Ending::BodyError, Some(StatusCode::OK)),
            ("/panic", Ending::Panic, Some(StatusCode::OK)),
            ("/panic-future", Ending::Panic, None),
        ] {
            let (mut connection, reports) = open(wire).await;
            if let Ok(response) = connection.send(request("GET", path)).await {
                response.collect().await.expect_err("cut short");
            }
            connection.close().await;
            let outcome = only(reports).await;
            assert_eq!((outcome.ending, outcome.status), (ending, status), "{wire:?} {path}");
        }
    }
}

#[tokio::test]
async fn grpc_13_the_outcome_is_the_status_in_the_trailers_and_unknown_without_one() {
    let (mut connection, mut reports) = open(Wire::Http2).await;
    for (path, code, bytes) in [
        ("/grpc", GrpcCode::NotFound, 5),
        ("/grpc-exact", GrpcCode::Ok, 5),
        ("/grpc-trailers-only", GrpcCode::PermissionDenied, 0),
        ("/grpc-no-status", GrpcCode::Unknown, 5),
        ("/grpc-no-status-known", GrpcCode::Unknown, 5),
        ("/grpc-nothing", GrpcCode::Unknown, 0),
        ("/web", GrpcCode::NotFound, 26),
        ("/web-no-status", GrpcCode::Unknown, 7),
    ] {
        connection.fetch(request("POST", path)).await;
        let outcome = reports.recv().await.unwrap();
        assert_eq!(
            (outcome.ending, outcome.grpc, outcome.bytes),
            (Ending::Completed, Some(code), bytes),
            "{path}"
        );
    }
    connection.close().await;
    assert!(reports.recv().await.is_none());
}

#[tokio::test]
async fn an_error_of_the_service_is_reported_once() {
    let (sender, reports) = unbounded_channel();
    let failing = async { Err::<Response<Steps>, _>("away") };
    assert_eq!(observe(failing, Protocol::Http, false, Report(sender)).await.unwrap_err(), "away");
    let outcome = only(reports).await;
    assert_eq!((outcome.ending, outcome.status), (Ending::ServiceError, None));
}

#[tokio::test]
async fn an_observer_that_panics_at_the_head_still_learns_of_the_end() {
    struct Clumsy(Report);
    impl Observer for Clumsy {
        fn wants_head(&self) -> bool {
            true
        }
        fn on_head(&mut self, _: &mut Parts) {
            panic!("the observer panics, as the test wants");
        }
        fn on_end(self, outcome: Outcome) {
            self.0.on_end(outcome);
        }
    }
    let (sender, reports) = unbounded_channel();
    let answering = async { Ok::<_, Infallible>(Response::new(Steps::default())) };
    let observed = observe(answering, Protocol::Http, false, Clumsy(Report(sender)));
    assert!(tokio::spawn(async { observed.await.is_ok() }).await.is_err(), "panicked");
    assert_eq!(only(reports).await.ending, Ending::Panic);
}

/// Layers that put another body in the place of a refusal's must not make its observers think the client left.
#[tokio::test]
async fn a_refusal_rendered_again_or_turned_into_an_error_is_complete_for_those_inside() {
    let observed = |answer: fn(&Request<String>) -> Response<ResponseBody<Full<Bytes>>>| {
        let (sender, reports) = unbounded_channel();
        let service = tower::service_fn(move |request: Request<String>| {
            observe(
                async move { Ok::<_, Infallible>(answer(&request)) },
                Protocol::Http,
                false,
                Report(sender.clone()),
            )
        });
        (service, reports)
    };
    let refuse: fn(&Request<String>) -> _ = |request| Rejection::new(Reason::RateLimited).answer(request);
    let fail: fn(&Request<String>) -> _ = |_| {
        let body = ResponseBody::forward(Full::from("it broke"));
        Response::builder().status(500).header("content-type", "text/plain").body(body).unwrap()
    };

    let (service, reports) = observed(refuse);
    let layer = ProblemLayer::new().with_type_base("https://errors.example/").unwrap();
    layer.layer(service).oneshot(request("GET", "/")).await.unwrap();
    let outcome = only(reports).await;
    assert_eq!((outcome.ending, outcome.rejection_code()), (Ending::Completed, Some("rate_limited")));

    let (service, reports) = observed(fail);
    NormalizeLayer::new().layer(service).oneshot(request("GET", "/")).await.unwrap();
    let outcome = only(reports).await;
    assert_eq!(
        (outcome.ending, outcome.status),
        (Ending::Completed, Some(StatusCode::INTERNAL_SERVER_ERROR))
    );

    let (service, reports) = observed(refuse);
    RejectionToErrorLayer::new().layer(service).oneshot(request("GET", "/")).await.unwrap_err();
    assert_eq!(only(reports).await.ending, Ending::Completed);
}

#[tokio::test]
async fn obs_03_a_client_too_slow_is_no_failure_of_the_server_and_a_deadline_is() {
    for (reason, verdict) in
        [(Reason::RequestTimeout, Verdict::Success), (Reason::DeadlineExceeded, Verdict::Failure)]
    {
        let (sender, reports) = unbounded_channel();
        let response: Response<ResponseBody<Steps>> = Rejection::new(reason).answer(&request("POST", "/"));
        let answering = async { Ok::<_, Infallible>(response) };
        observe(answering, Protocol::Http, false, Report(sender)).await.unwrap().collect().await.unwrap();
        let outcome = only(reports).await;
        assert_eq!(outcome.ending, Ending::Timeout);
        assert_eq!(bartizan_core::Classify::classify(&ServerClassifier, &outcome), verdict, "{reason:?}");
    }
}

#[tokio::test]
async fn lay_02_a_body_that_the_layer_wraps_is_seen_to_its_end_and_its_own_answer_is_not() {
    let (sender, reports) = unbounded_channel();
    let answering = async { Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"abc")))) };
    let mut future = pin!(observe(answering, None, false, Report(sender)));
    let polled = std::future::poll_fn(|cx| future.as_mut().poll_with(cx, ResponseBody::forward)).await;
    let Ok(response) = polled;
    let body = response.into_body();
    assert_eq!((body.size_hint().exact(), body.is_end_stream()), (Some(3), false));
    assert_eq!(body.collect().await.unwrap().to_bytes(), "abc");
    let outcome = only(reports).await;
    assert_eq!((outcome.ending, outcome.bytes), (Ending::Completed, 3));

    let own: ObservedBody<_, fn(BodyReport)> =
        ObservedBody::unobserved(Full::new(Bytes::from_static(b"own")));
    assert_eq!(own.collect().await.unwrap().to_bytes(), "own");
    assert!(ObservedBody::<Full<Bytes>, fn(BodyReport)>::default().is_end_stream());
}

/// How a response may announce the size of its body.
#[derive(Clone, Copy, Debug)]
enum Announce {
    Nothing,
    Hint,
    HintAndEnd,
    ContentLength,
}

fn polled(
    chunks: &[Vec<u8>],
    announce: Announce,
    grpc: bool,
    trailers: bool,
    polls: usize,
) -> (Vec<BodyReport>, u64, bool) {
    let mut body = Steps::new(chunks.iter().map(|chunk| Step::Data(chunk.clone().into())));
    let total: usize = chunks.iter().map(Vec::len).sum();
    let mut response = Response::builder();
    match announce {
        Announce::Nothing => {}
        Announce::Hint => body.exact = Some(total as u64),
        Announce::HintAndEnd => body = body.known(),
        Announce::ContentLength => response = response.header(header::CONTENT_LENGTH, total),
    }
    if trailers {
        body = body.trailers("grpc-status", "0");
    }
    if grpc {
        response = response.header(GRPC.0, GRPC.1);
    }
    let reports = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&reports);
    let observer = move |report| seen.lock().unwrap().push(report);
    let mut body = ObservedBody::wrap(response.body(body).unwrap(), false, observer).into_body();

    let (mut bytes, mut ended) = (0, false);
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..polls {
        match Pin::new(&mut body).poll_frame(&mut cx) {
            Poll::Ready(Some(Ok(frame))) => {
                bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
                ended |= frame.is_trailers();
            }
            Poll::Ready(None) => ended = true,
            other => panic!("{other:?}"),
        }
    }
    ended |= body.is_end_stream();
    drop(body);
    let reports = std::mem::take(&mut *reports.lock().unwrap());
    (reports, bytes, ended)
}

proptest! {
    #[test]
    fn lay_02_one_report_with_the_bytes_that_passed_at_any_drop_point(
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..8),
        announce in prop::sample::select(vec![
            Announce::Nothing, Announce::Hint, Announce::HintAndEnd, Announce::ContentLength,
        ]),
        grpc: bool,
        trailers: bool,
        polls in 0_usize..12,
    ) {
        let total = chunks.iter().map(|chunk| chunk.len() as u64).sum::<u64>();
        let (reports, bytes, ended) = polled(&chunks, announce, grpc, trailers, polls);
        prop_assert_eq!(reports.len(), 1);
        prop_assert_eq!(reports[0].bytes, bytes);
        // All the bytes that were announced complete a plain response, and never a gRPC one.
        let all_bytes = bytes == total && !matches!(announce, Announce::Nothing) && !grpc;
        let expected = if ended || all_bytes { BodyEnd::Complete } else { BodyEnd::Dropped };
        prop_assert_eq!(reports[0].end, expected);
    }
}
