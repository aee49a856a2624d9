//! The scope of a request around all that runs for it.
#![cfg(feature = "scope")]

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use bartizan_core::current;
use bartizan_correlation_id::CorrelationIdLayer;
use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use tower::{Layer, Service, ServiceExt};

fn id_in_scope() -> String {
    current().and_then(|context| Some(context.request_id()?.to_string())).unwrap_or_default()
}

/// Tells, at each place where code may run for a request, the id in scope there.
#[derive(Clone)]
struct Teller;

impl Service<Request<()>> for Teller {
    type Response = Response<Told>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Told>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        let in_call = id_in_scope();
        Box::pin(async move {
            tokio::task::yield_now().await;
            Ok(Response::new(Told(vec![in_call, id_in_scope()])))
        })
    }
}

struct Told(Vec<String>);

impl Body for Told {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.0.is_empty() {
            return Poll::Ready(None);
        }
        let mut told = std::mem::take(&mut self.0);
        told.push(id_in_scope());
        Poll::Ready(Some(Ok(Frame::data(told.join(" ").into()))))
    }
}

#[tokio::test]
async fn cid_04_call_future_and_body_run_within_the_scope_and_nothing_else_does() {
    let request = Request::builder().header("x-request-id", "r-1").body(()).unwrap();
    let response = CorrelationIdLayer::new().layer(Teller).oneshot(request).await.unwrap();
    assert!(current().is_none());
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "r-1 r-1 r-1");
    assert!(current().is_none());
}
