//! The layer on an axum router and on a tonic server, with a tonic client.

use axum::{Router, body::Body, routing::any};
use bartizan_core::Rejection;
use bytes::{Buf, BufMut, Bytes};
use futures_util::stream;
use http::{Response, StatusCode, uri::PathAndQuery};
use http_body_util::BodyExt;
use tonic::{
    Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    transport::{Channel, Endpoint},
};
use tower::ServiceExt;
use tower_layer::Layer;

use super::wire::within;
use crate::{
    prepare::{GRPC_PATH, Kind, Prepare, PrepareLayer},
    rule::{Rule, ensure, fail},
    server::listen,
    suite::{Refusal, Subject, Suite},
};

pub(crate) async fn frameworks(suite: &Suite) {
    within(Rule::Setup, "an axum router", axum_accepts(suite)).await;
    within(Rule::Setup, "a tonic server", tonic_accepts(suite)).await;
    for refusal in &suite.refusals {
        within(Rule::Refusal, "an axum router", axum_refuses(refusal)).await;
        within(Rule::Refusal, "a tonic server", tonic_refuses(refusal)).await;
    }
}

const ROUTES: [&str; 2] = ["/", "/other"];

/// A router with two routes, around each of which the router puts the layer.
fn router(subject: &Subject) -> Option<Router> {
    let routes =
        ROUTES.into_iter().fold(Router::new(), |router, path| router.route(path, any(async || "ok")));
    subject.on_axum(routes)
}

async fn axum_call(router: &Router, prepare: &Prepare, path: &'static str) -> Response<Bytes> {
    let mut request = Kind::Get.head();
    *request.uri_mut() = http::Uri::from_static(path);
    let service = PrepareLayer(prepare.clone()).layer(router.clone());
    let Ok(response) = service.oneshot(request.map(|()| Body::empty())).await;
    let (parts, body) = response.into_parts();
    match body.collect().await {
        Ok(body) => Response::from_parts(parts, body.to_bytes()),
        Err(error) => fail!(Bodies, "on an axum router the response body fails: {error}"),
    }
}

async fn axum_accepts(suite: &Suite) {
    let Some(router) = router(&(suite.make)()) else { return };
    for path in ROUTES {
        let response = axum_call(&router, &suite.accept, path).await;
        ensure!(
            response.status() == StatusCode::OK && response.body() == "ok",
            Setup,
            "on an axum router a request that `accept` prepared gets {} {:?}",
            response.status(),
            response.body()
        );
    }
}

async fn axum_refuses(refusal: &Refusal) {
    let Some(router) = router(&(refusal.make)()) else { return };
    for _ in 0..refusal.after {
        axum_call(&router, &refusal.prepare, ROUTES[0]).await;
    }
    // On another route than those that were accepted: the router calls `layer()` for each.
    let response = axum_call(&router, &refusal.prepare, ROUTES[1]).await;
    let reason = response.extensions().get::<Rejection>().map(Rejection::reason);
    if refusal.after > 0 {
        ensure!(
            reason == Some(refusal.reason),
            SharedState,
            "on an axum router one route refuses after {} accepted requests, and the other answers with {}",
            refusal.after,
            response.status()
        );
    }
    ensure!(
        (reason, response.status()) == (Some(refusal.reason), refusal.reason.status()),
        Refusal,
        "on an axum router a request that should be refused with {:?} gets {}",
        refusal.reason,
        response.status()
    );
}

/// A tonic client of the echo service inside the layer.
async fn tonic_client(subject: &Subject, prepare: &Prepare) -> Option<Grpc<Channel>> {
    let (listener, addr) = listen().await;
    if !subject.on_tonic(PrepareLayer(prepare.clone()), listener) {
        return None;
    }
    let endpoint = Endpoint::from_shared(format!("http://{addr}")).expect("an address is a URI");
    Some(Grpc::new(endpoint.connect_lazy()))
}

async fn tonic_ready(client: &mut Grpc<Channel>) {
    if let Err(error) = client.ready().await {
        fail!(Setup, "the tonic server does not answer: {error}")
    }
}

async fn tonic_call(client: &mut Grpc<Channel>, message: &'static str) -> Result<Bytes, Status> {
    tonic_ready(client).await;
    let request = tonic::Request::new(Bytes::from_static(message.as_bytes()));
    let path = PathAndQuery::from_static(GRPC_PATH);
    Ok(client.unary(request, path, BytesCodec).await?.into_inner())
}

async fn tonic_accepts(suite: &Suite) {
    let Some(mut client) = tonic_client(&(suite.make)(), &suite.accept).await else { return };
    let unary = tonic_call(&mut client, "hello").await;
    ensure!(
        matches!(&unary, Ok(message) if message == "hello"),
        Setup,
        "on a tonic server a call that `accept` prepared gets {unary:?}"
    );
    let messages = ["one", "two"].map(|message| Bytes::from_static(message.as_bytes()));
    let request = tonic::Request::new(stream::iter(messages.clone()));
    let path = PathAndQuery::from_static(GRPC_PATH);
    tonic_ready(&mut client).await;
    let mut stream = match client.streaming(request, path, BytesCodec).await {
        Ok(response) => response.into_inner(),
        Err(status) => fail!(Bodies, "on a tonic server a stream gets {status}"),
    };
    for expected in messages {
        match stream.message().await {
            Ok(Some(message)) if message == expected => {}
            other => fail!(Bodies, "on a tonic server the stream gives {other:?} instead of {expected:?}"),
        }
    }
    let end = stream.message().await;
    ensure!(matches!(end, Ok(None)), Trailers, "on a tonic server the stream ends with {end:?}");
}

async fn tonic_refuses(refusal: &Refusal) {
    let Some(mut client) = tonic_client(&(refusal.make)(), &refusal.prepare).await else { return };
    for _ in 0..refusal.after {
        let accepted = tonic_call(&mut client, "hello").await;
        ensure!(accepted.is_ok(), Setup, "on a tonic server a call that is accepted first gets {accepted:?}");
    }
    let refused = tonic_call(&mut client, "hello").await;
    let expected = refusal.reason.grpc_code();
    ensure!(
        matches!(&refused, Err(status) if status.code() as i32 == expected.number()),
        TrailersOnly,
        "on a tonic server a call that should be refused with {expected:?} gets {refused:?}"
    );
}

/// Messages that are bytes.
#[derive(Clone, Copy, Debug)]
struct BytesCodec;

impl Codec for BytesCodec {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for BytesCodec {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for BytesCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}
