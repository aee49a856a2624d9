//! Refusals as errors.

mod support;

use std::convert::Infallible;

use bartizan_core::{Reason, Rejection, RejectionToErrorLayer, ResponseBody};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use support::{Steps, request};
use tower::{Layer, Service, ServiceExt};

#[tokio::test]
async fn a_refusal_is_an_error_that_tells_its_reason_and_nothing_else() {
    let service = tower::service_fn(async |request: Request<String>| {
        let refusal = Rejection::new(Reason::CircuitOpen).with_layer("circuit_breaker").with_cause("secret");
        Ok::<Response<ResponseBody<Steps>>, Infallible>(refusal.answer(&request))
    });
    let error = RejectionToErrorLayer::new().layer(service).oneshot(request("GET", "/")).await.unwrap_err();
    let refusal = error.downcast_ref::<Rejection>().expect("the refusal itself");
    assert_eq!((refusal.reason(), refusal.layer()), (Reason::CircuitOpen, Some("circuit_breaker")));
    assert_eq!(error.to_string(), "request refused: circuit_open");
    assert!(!format!("{error:?}").contains("secret"));
}

#[tokio::test]
async fn any_other_response_passes_whatever_its_status() {
    for status in [StatusCode::OK, StatusCode::SERVICE_UNAVAILABLE] {
        let service = tower::service_fn(move |_: Request<String>| async move {
            Ok::<_, Infallible>(Response::builder().status(status).body(Steps::data(["far"])).unwrap())
        });
        let response =
            RejectionToErrorLayer::new().layer(service).oneshot(request("GET", "/")).await.unwrap();
        assert_eq!(response.status(), status);
        assert_eq!(response.collect().await.unwrap().to_bytes(), "far");
    }
}

#[tokio::test]
async fn errors_of_the_inner_service_pass() {
    #[derive(Debug)]
    struct Away;
    impl std::fmt::Display for Away {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("away")
        }
    }
    impl std::error::Error for Away {}
    struct Failing;
    impl Service<Request<String>> for Failing {
        type Response = Response<Steps>;
        type Error = Away;
        type Future = std::future::Ready<Result<Response<Steps>, Away>>;
        fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Away>> {
            std::task::Poll::Ready(Err(Away))
        }
        fn call(&mut self, _: Request<String>) -> Self::Future {
            std::future::ready(Err(Away))
        }
    }
    let mut service = RejectionToErrorLayer::new().layer(Failing);
    assert!(service.ready().await.err().unwrap().is::<Away>());
    assert!(service.call(request("GET", "/")).await.unwrap_err().is::<Away>());
}
