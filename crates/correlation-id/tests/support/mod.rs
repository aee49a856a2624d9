//! A service that shows what it was given.
#![allow(dead_code, reason = "each test takes what it needs")]

#[cfg(feature = "tracing")]
pub(crate) mod told;

use std::{
    convert::Infallible,
    future::{Ready, ready},
    task::{Context, Poll},
};

use bartizan_core::{Fact, RequestContext};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body_util::Full;
use tower::{Layer, Service, ServiceExt};

/// What the inner service saw of a request.
#[derive(Clone)]
pub(crate) struct Seen {
    pub(crate) headers: HeaderMap,
    pub(crate) context: RequestContext,
}

impl Seen {
    pub(crate) fn request_id(&self) -> &str {
        self.context.request_id().expect("every request has one").as_str()
    }

    pub(crate) fn correlation_id(&self) -> &str {
        self.context.correlation_id().expect("every request has one").as_str()
    }

    pub(crate) fn header(&self, name: &str) -> Vec<&[u8]> {
        self.headers.get_all(name).iter().map(|value| value.as_bytes()).collect()
    }

    pub(crate) fn fact(&self, name: &str) -> Option<Fact> {
        self.context
            .event()
            .read(|facts| facts.iter().find(|(known, _)| *known == name).map(|(_, fact)| fact.clone()))
    }
}

/// Leaves in its response what it saw of the request.
#[derive(Clone)]
pub(crate) struct Shower;

impl Service<Request<()>> for Shower {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        let context = RequestContext::get(request.extensions()).expect("the layer inserts one").clone();
        let mut response = Response::new(Full::from("ok"));
        response.extensions_mut().insert(Seen { headers: request.headers().clone(), context });
        ready(Ok(response))
    }
}

/// Sends `request` through `layer`; returns what the inner service saw, and the headers of the response.
pub(crate) async fn send<L, B>(layer: &L, request: Request<()>) -> (Seen, HeaderMap)
where
    L: Layer<Shower>,
    L::Service: Service<Request<()>, Response = Response<B>, Error = Infallible>,
{
    let response = layer.layer(Shower).oneshot(request).await.expect("the service does not fail");
    let (parts, _) = response.into_parts();
    (parts.extensions.get::<Seen>().expect("inserted above").clone(), parts.headers)
}

/// A request with these headers, in this order.
pub(crate) fn request(headers: &[(&str, &str)]) -> Request<()> {
    let mut request = Request::new(());
    for (name, value) in headers {
        let name = name.parse::<HeaderName>().unwrap();
        request.headers_mut().append(name, HeaderValue::from_str(value).unwrap());
    }
    request
}

/// Adds names until the map of headers holds no more.
pub(crate) fn fill(request: &mut Request<()>) {
    let names = (0..).map(|index| format!("x-{index}").parse::<HeaderName>().unwrap());
    for name in names {
        if request.headers_mut().try_append(name, HeaderValue::from_static("")).is_err() {
            break;
        }
    }
}

pub(crate) fn is_uuid(id: &str) -> bool {
    id.len() == 36 && uuid::Uuid::parse_str(id).is_ok() && !id.contains(|c: char| c.is_ascii_uppercase())
}
