//! What only real servers and clients show, over HTTP/1.1 and HTTP/2.

use std::{future::Future, time::Duration};

use bartizan_core::Reason;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body::Body;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{faces::face, sharing::warm_up};
use crate::{
    Probe, Script, TestBody, TestError,
    client::{Client, Http, RawClient, read},
    echo::{echo, ok_trailers},
    handle::ok,
    prepare::Kind,
    rule::{Rule, broken, ensure, fail},
    server::serve,
    suite::{Refusal, Suite},
};

pub(crate) async fn wire(suite: &Suite) {
    for http in [Http::One, Http::Two] {
        within(Rule::Bodies, "server-sent events", server_sent_events(suite, http)).await;
    }
    within(Rule::Bodies, "101 Switching Protocols", an_upgrade(suite)).await;
    if suite.request_bodies {
        within(Rule::Bodies, "a bidirectional gRPC stream", a_bidirectional_stream(suite)).await;
    }
    for refusal in &suite.refusals {
        for http in [Http::One, Http::Two] {
            for kind in Kind::ALL {
                if (kind, http) != (Kind::Grpc, Http::One) {
                    within(Rule::Early, "a refusal", a_refusal(refusal, kind, http)).await;
                }
            }
        }
        within(Rule::Head, "a refused HEAD", a_refused_head(refusal)).await;
        within(Rule::Early, "a withheld request body", a_withheld_body(refusal)).await;
    }
}

/// Fails with `rule` when `test` hangs. Only a layer that is broken ever waits.
pub(crate) async fn within<T>(rule: Rule, what: &str, test: impl Future<Output = T>) -> T {
    match tokio::time::timeout(Duration::from_secs(20), test).await {
        Ok(done) => done,
        Err(_) => broken(rule, format_args!("{what}: the exchange hangs")),
    }
}

/// Each event arrives before the next is sent.
async fn server_sent_events(suite: &Suite, http: Http) {
    let which = format!("server-sent events over {http:?}");
    let (senders, mut responses) = tokio::sync::mpsc::unbounded_channel();
    let script = Script::answering(move |_| {
        let (sender, body) = TestBody::channel();
        let sent = senders.send(sender);
        let mut response = Response::new(body);
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        async { sent.map(|()| response).map_err(|_| TestError::new("the test is over")) }
    });
    let addr = serve((suite.make)().service(script.service()), &suite.accept).await;
    let mut client = Client::connect(addr, http).await;
    let request = Kind::Get.head().map(|()| TestBody::empty());
    let mut response = client.send(&which, request).await;
    expect_status(&which, &response, StatusCode::OK);
    let sender = responses.recv().await.expect("the inner service has answered");
    for event in ["data: one\n\n", "data: two\n\n", "data: three\n\n"] {
        sender.data(event);
        expect_message(&which, &mut response, event).await;
    }
    sender.finish();
    // HTTP/2 may end a stream with an empty frame.
    let (rest, _) = read(&which, response).await;
    ensure!(rest.body().is_empty(), Bodies, "{which}: after its end the stream has {:?}", rest.body());
}

fn expect_status<B>(which: &str, response: &Response<B>, expected: StatusCode) {
    ensure!(
        response.status() == expected,
        Setup,
        "{which}: a request that `accept` prepared gets {}",
        response.status()
    );
}

async fn expect_message(which: &str, response: &mut Response<Incoming>, expected: &str) {
    match response.body_mut().frame().await {
        Some(Ok(frame)) if frame.data_ref().is_some_and(|data| data == expected) => {}
        other => fail!(Bodies, "{which}: {expected:?} was sent, and {other:?} arrived"),
    }
}

/// The connection belongs to the two ends after the response.
async fn an_upgrade(suite: &Suite) {
    let script = Script::answering(async |mut request| {
        let upgrade = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            let Ok(upgraded) = upgrade.await else { return };
            let mut stream = TokioIo::new(upgraded);
            let mut message = [0; 4];
            while stream.read_exact(&mut message).await.is_ok() && stream.write_all(&message).await.is_ok() {}
        });
        let mut response = Response::new(TestBody::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        response.headers_mut().insert(header::UPGRADE, HeaderValue::from_static("echo"));
        Ok(response)
    });
    let addr = serve((suite.make)().service(script.service()), &suite.accept).await;
    let mut client = RawClient::connect(addr).await;
    client
        .write("GET / HTTP/1.1\r\nhost: testkit.invalid\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n")
        .await;
    let head = client.head().await;
    let status = head.as_ref().map(|head| head.status);
    ensure!(
        status == Some(StatusCode::SWITCHING_PROTOCOLS),
        Bodies,
        "101 Switching Protocols: the client gets {status:?}"
    );
    for message in ["ping", "pong"] {
        client.write(message).await;
        let echoed = client.bytes(4).await;
        ensure!(
            echoed == message.as_bytes(),
            Bodies,
            "101 Switching Protocols: {message:?} comes back as {echoed:?}"
        );
    }
}

/// Each message is answered before the next is sent, and trailers arrive.
async fn a_bidirectional_stream(suite: &Suite) {
    let which = "a bidirectional gRPC stream over HTTP/2";
    let script =
        Script::answering(
            async |request: Request<TestBody>| Ok(echo(request.into_body()).map(TestBody::new)),
        );
    let addr = serve((suite.make)().service(script.service()), &suite.accept).await;
    let mut client = Client::connect(addr, Http::Two).await;
    let (sender, body) = TestBody::channel();
    let mut response = client.send(which, Kind::Grpc.head().map(|()| body)).await;
    expect_status(which, &response, StatusCode::OK);
    for message in ["one", "two", "three"] {
        sender.data(message);
        expect_message(which, &mut response, message).await;
    }
    sender.finish();
    let (_, trailers) = read(which, response).await;
    let status = trailers.as_ref().and_then(|trailers| trailers.get("grpc-status"));
    ensure!(
        status == ok_trailers().get("grpc-status"),
        Trailers,
        "{which}: the trailers arrive as {trailers:?}"
    );
}

/// A layer that has accepted what it accepts, on a server.
async fn refusing_server(refusal: &Refusal) -> std::net::SocketAddr {
    let mut service = (refusal.make)().service(ok().service());
    warm_up(&Probe::new(), refusal, &mut service).await;
    serve(service, &refusal.prepare).await
}

/// The refusal arrives with the right face although the request body never does.
async fn a_refusal(refusal: &Refusal, kind: Kind, http: Http) {
    let which = format!("{:?}, {kind:?} over {http:?}", refusal.reason);
    let addr = refusing_server(refusal).await;
    let mut client = Client::connect(addr, http).await;
    let (_withheld, body) = match kind {
        Kind::Get | Kind::Head => (None, TestBody::empty()),
        Kind::Post | Kind::Grpc | Kind::GrpcWeb => {
            let (sender, body) = TestBody::channel();
            (Some(sender), body)
        }
    };
    let response = client.send(&which, kind.head().map(|()| body)).await;
    ensure!(
        (kind, response.body().is_end_stream()) != (Kind::Grpc, false),
        TrailersOnly,
        "{which}: the refusal is more than one HEADERS frame with END_STREAM"
    );
    let (response, trailers) = read(&which, response).await;
    ensure!(trailers.is_none(), TrailersOnly, "{which}: the refusal has trailers: {trailers:?}");
    face(&which, refusal.reason, kind, &response);
}

/// HEAD is refused without a byte of a body: the next response on the connection is understood.
async fn a_refused_head(refusal: &Refusal) {
    let which = format!("{:?}, HEAD over HTTP/1.1", refusal.reason);
    let addr = refusing_server(refusal).await;
    let mut client = RawClient::connect(addr).await;
    client.write("HEAD / HTTP/1.1\r\nhost: testkit.invalid\r\n\r\n").await;
    let Some(head) = client.head().await else { fail!(Head, "{which}: no answer") };
    ensure!(
        head.status == refusal.reason.status(),
        Status,
        "{which}: the status is {}, and that of the reason {}",
        head.status,
        refusal.reason.status()
    );
    let length = head.headers.get(header::CONTENT_LENGTH);
    let length = length.map(|length| length.to_str().ok().and_then(|length| length.parse::<u64>().ok()));
    ensure!(
        length.is_none_or(|length| length.is_some_and(|length| length > 0)),
        Head,
        "{which}: content-length is {length:?}, and GET has a body"
    );
    if closes(refusal.reason) {
        ensure!(client.bytes(1).await.is_empty(), Head, "{which}: the answer has a body");
        return;
    }
    client.write("GET / HTTP/1.1\r\nhost: testkit.invalid\r\n\r\n").await;
    let next = client.head().await;
    ensure!(
        next.as_ref().is_some_and(|next| next.status == refusal.reason.status()),
        Head,
        "{which}: the answer to the next request does not follow at once: the answer to HEAD has a body"
    );
}

/// Whether the connection ends with this refusal.
fn closes(reason: Reason) -> bool {
    reason == Reason::RequestTimeout
}

/// A client that waits for `100 Continue` gets the refusal instead.
async fn a_withheld_body(refusal: &Refusal) {
    let which = format!("{:?}, Expect: 100-continue", refusal.reason);
    let addr = refusing_server(refusal).await;
    let mut client = RawClient::connect(addr).await;
    client.expect_continue("content-length: 1000").await;
    let Some(head) = client.head().await else {
        fail!(Early, "{which}: the connection ends without an answer")
    };
    ensure!(
        head.status != StatusCode::CONTINUE,
        Early,
        "{which}: the client is asked for the body of a request that is refused"
    );
    ensure!(
        head.status == refusal.reason.status(),
        Early,
        "{which}: the status is {}, and that of the reason {}",
        head.status,
        refusal.reason.status()
    );
}
