//! A handler that shows what reached it.
#![allow(dead_code, reason = "each test uses its part")]

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use bartizan_auth::ApiKey;
use bartizan_core::{Principal, RequestContext};
use bytes::Bytes;
use http::{Request, Response, request::Parts};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use tower::{Layer, Service, ServiceExt};

/// What a caller got, and what the handler saw if it was called.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) response: Response<()>,
    pub(crate) body: Bytes,
    pub(crate) handled: Option<Parts>,
}

impl Seen {
    pub(crate) fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.response.headers().get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn principal(&self) -> Option<Principal> {
        RequestContext::get(&self.handled.as_ref()?.extensions)?.principal().cloned()
    }

    /// Everything a caller could tell two answers apart by.
    pub(crate) fn face(&self) -> String {
        format!("{} {:?} {:?}", self.response.status(), self.response.headers(), self.body)
    }
}

/// Sends one request through `layer`, to a handler that answers with `response`.
pub(crate) async fn send_to<L, S, B>(
    layer: &L,
    request: Request<String>,
    response: Response<Full<Bytes>>,
) -> Seen
where
    L: Layer<Handler, Service = S>,
    S: Service<Request<String>, Response = Response<B>, Error = Infallible>,
    B: Body,
    B::Error: std::fmt::Debug,
{
    let handled = Arc::new(Mutex::new(None));
    let handler = Handler(Arc::clone(&handled), response);
    let response = layer.layer(handler).oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let handled = handled.lock().unwrap().take();
    Seen { response: Response::from_parts(parts, ()), body, handled }
}

pub(crate) async fn send<L, S, B>(layer: &L, request: Request<String>) -> Seen
where
    L: Layer<Handler, Service = S>,
    S: Service<Request<String>, Response = Response<B>, Error = Infallible>,
    B: Body,
    B::Error: std::fmt::Debug,
{
    send_to(layer, request, Response::new(Full::from("ok"))).await
}

#[derive(Clone, Debug)]
pub(crate) struct Handler(Arc<Mutex<Option<Parts>>>, Response<Full<Bytes>>);

impl Service<Request<String>> for Handler {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<String>) -> Self::Future {
        *self.0.lock().unwrap() = Some(request.into_parts().0);
        std::future::ready(Ok(self.1.clone()))
    }
}

pub(crate) fn get(target: &str) -> http::request::Builder {
    Request::get(target)
}

pub(crate) fn with_key(key: &ApiKey) -> Request<String> {
    get("/").header("x-api-key", key.expose()).body(String::new()).unwrap()
}

pub(crate) fn grpc(headers: &[(&str, &str)]) -> Request<String> {
    let mut request = Request::post("/pkg.Orders/Create").header("content-type", "application/grpc");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(String::new()).unwrap()
}
