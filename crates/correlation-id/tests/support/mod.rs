//! A service that shows what it was given.
#![allow(dead_code, reason = "each test takes what it needs")]

use std::convert::Infallible;

use bartizan_core::{Fact, RequestContext};
use bartizan_correlation_id::CorrelationIdLayer;
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::Full;
use tower::{Layer, ServiceExt};

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

/// Sends `request` through `layer`; returns what the inner service saw, and the headers of the response.
pub(crate) async fn send(layer: &CorrelationIdLayer, request: Request<()>) -> (Seen, HeaderMap) {
    let inner = tower::service_fn(async |request: Request<()>| {
        let context = RequestContext::get(request.extensions()).expect("the layer inserts one").clone();
        let mut response = Response::new(Full::<Bytes>::from("ok"));
        response.extensions_mut().insert(Seen { headers: request.headers().clone(), context });
        Ok::<_, Infallible>(response)
    });
    let response = layer.layer(inner).oneshot(request).await.expect("the service does not fail");
    let (parts, _) = response.into_parts();
    (parts.extensions.get::<Seen>().expect("inserted above").clone(), parts.headers)
}

pub(crate) fn is_uuid(id: &str) -> bool {
    id.len() == 36 && uuid::Uuid::parse_str(id).is_ok() && !id.contains(|c: char| c.is_ascii_uppercase())
}
