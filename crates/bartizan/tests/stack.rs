//! What a stack does at run time. What it refuses to compile stands in `ui.rs`.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use bartizan::{
    IntoLayer, NormalizeLayer, ProblemLayer, Reason, Rejection, RequestContext, Server, ServerLayer, Stack,
    fact, phase,
};
use http::{Request, Response, StatusCode};
use tower::{BoxError, Layer, Service, ServiceExt, service_fn};

type Trail = Arc<Mutex<Vec<&'static str>>>;

/// Notes that a request came by.
#[derive(Clone)]
struct Mark(&'static str, Trail);

#[derive(Clone)]
struct Marked<S>(Mark, S);

impl<S> Layer<S> for Mark {
    type Service = Marked<S>;

    fn layer(&self, inner: S) -> Marked<S> {
        Marked(self.clone(), inner)
    }
}

impl<S: Service<R>, R> Service<R> for Marked<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.1.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> S::Future {
        self.0.1.lock().unwrap().push(self.0.0);
        self.1.call(request)
    }
}

/// Says that it authenticates.
#[derive(Clone)]
struct Authenticate(Mark);

impl ServerLayer for Authenticate {
    type Phase = phase::Authentication;
    type Needs = ();
    type Provides = fact::Principal;

    fn name(&self) -> &'static str {
        "authenticate"
    }
}

impl<S> Layer<S> for Authenticate {
    type Service = Marked<S>;

    fn layer(&self, inner: S) -> Marked<S> {
        self.0.layer(inner)
    }
}

/// Says that it needs someone who did.
#[derive(Clone)]
struct Authorize(Mark);

impl ServerLayer for Authorize {
    type Phase = phase::Authorization;
    type Needs = (fact::Principal, ());
    type Provides = ();

    fn name(&self) -> &'static str {
        "authorize"
    }
}

impl<S> Layer<S> for Authorize {
    type Service = Marked<S>;

    fn layer(&self, inner: S) -> Marked<S> {
        self.0.layer(inner)
    }
}

async fn echo(request: Request<String>) -> Result<Response<String>, Infallible> {
    Ok(Response::new(request.into_body()))
}

fn request() -> Request<String> {
    Request::get("/").body(String::from("hello")).unwrap()
}

#[tokio::test]
async fn lay_08_the_first_layer_pushed_sees_the_request_first() {
    let trail = Trail::default();
    let mark = |name| Mark(name, Arc::clone(&trail));
    let stack = Stack::server()
        .push(ProblemLayer::new())
        .push_foreign("first", mark("first"))
        .push(NormalizeLayer::new())
        .push_foreign_at::<phase::Cors, _>("cors", mark("cors"))
        .push(Authenticate(mark("authenticate")))
        .push(Authorize(mark("authorize")));
    assert_eq!(
        stack.describe().to_string(),
        "1. problem         problem\n\
         2. problem         first (foreign)\n\
         3. normalize       normalize\n\
         4. cors            cors (foreign)\n\
         5. authentication  authenticate\n\
         6. authorization   authorize\n"
    );
    let response = stack.build().layer(service_fn(echo)).oneshot(request()).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(*trail.lock().unwrap(), ["first", "cors", "authenticate", "authorize"]);
}

#[tokio::test]
async fn an_option_keeps_its_phase_and_passes_through_when_off() {
    for on in [true, false] {
        let trail = Trail::default();
        let layer = on.then(|| Authenticate(Mark("authenticate", Arc::clone(&trail))));
        assert_eq!(IntoLayer::<Server>::name(&layer), on.then_some("authenticate"));
        let stack = Stack::server().push(NormalizeLayer::new()).push(layer);
        assert_eq!(stack.describe().entries()[1].phase(), "authentication");
        assert_eq!(stack.describe().entries()[1].is_off(), !on);
        let service = stack.build().layer(service_fn(echo));
        let response = service.oneshot(request()).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(trail.lock().unwrap().len(), usize::from(on));
    }
}

#[tokio::test]
async fn a_route_stack_starts_where_the_outer_one_ended() {
    let trail = Trail::default();
    let mark = |name| Mark(name, Arc::clone(&trail));
    let outer = Stack::server().push(Authenticate(mark("outer")));
    let inner = outer.inside().push(Authorize(mark("inner")));
    let assumed = Stack::server_assuming::<fact::Principal>().push(Authorize(mark("assumed")));
    let service = outer.build().layer(inner.build().layer(assumed.build().layer(service_fn(echo))));
    service.oneshot(request()).await.unwrap();
    assert_eq!(*trail.lock().unwrap(), ["outer", "inner", "assumed"]);
}

/// Fails to get ready, or to answer.
#[derive(Clone)]
struct Failing {
    ready: bool,
}

impl Service<Request<String>> for Failing {
    type Response = Response<String>;
    type Error = BoxError;
    type Future = std::future::Ready<Result<Response<String>, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(if self.ready { Ok(()) } else { Err("not ready".into()) })
    }

    fn call(&mut self, _: Request<String>) -> Self::Future {
        assert!(self.ready, "called although it was not ready");
        std::future::ready(Err("failed".into()))
    }
}

#[tokio::test]
async fn errors_of_fallible_layers_become_refusals_before_and_after_the_call() {
    for (ready, reason) in [(true, Reason::BadGateway), (false, Reason::Overloaded)] {
        let stack = Stack::server().push(ProblemLayer::new()).push_fallible(
            "identity",
            tower_layer::Identity::new(),
            |error: BoxError| {
                let reason =
                    if error.to_string() == "failed" { Reason::BadGateway } else { Reason::Overloaded };
                Rejection::new(reason)
            },
        );
        let service = stack.build().layer(Failing { ready });
        let response: Result<_, Infallible> = service.oneshot(request()).await;
        let Ok(response) = response;
        assert_eq!(response.status(), reason.status());
        assert_eq!(response.extensions().get::<Rejection>().unwrap().reason(), reason);
    }
}

#[tokio::test]
async fn err_02_and_grpc_02_a_call_is_refused_in_its_own_protocol_whichever_request_it_is_made_for() {
    let served = |method, content_type: &str| {
        let request = Request::builder().method(method).uri("/a.B/C").header("content-type", content_type);
        RequestContext::of(&mut request.body(()).unwrap())
    };
    let refused = async |served: RequestContext, content_type: &str| {
        let stack = Stack::client().push_fallible("identity", tower_layer::Identity::new(), |_: BoxError| {
            Rejection::new(Reason::DeadlineExceeded)
        });
        let call = Request::post("/x.Y/Z").header("content-type", content_type).extension(served);
        stack.build().layer(Failing { ready: true }).oneshot(call.body(String::new()).unwrap()).await.unwrap()
    };
    let http = refused(served("POST", "application/grpc"), "application/json").await;
    assert_eq!(
        (http.status(), &http.headers()["content-type"]),
        (StatusCode::GATEWAY_TIMEOUT, &"application/problem+json".parse().unwrap())
    );
    let grpc = refused(served("GET", "application/json"), "application/grpc").await;
    assert_eq!((grpc.status(), &grpc.headers()["grpc-status"]), (StatusCode::OK, &"4".parse().unwrap()));
    // The answer to a HEAD would have no body.
    let get = refused(served("HEAD", "application/json"), "application/json").await;
    assert!(!http_body::Body::is_end_stream(get.body()), "it has a body");
}

#[cfg(all(feature = "correlation-id", feature = "deadline"))]
#[tokio::test]
async fn tower_http_s_cors_fits_around_every_layer() {
    use bartizan::{
        correlation_id::{CorrelationIdLayer, TraceContextLayer},
        deadline::TimeoutLayer,
    };
    use tower::ServiceBuilder;
    use tower_http::cors::CorsLayer;

    let preflight = || {
        let request = Request::options("/").header("origin", "https://shop.example.com");
        request.header("access-control-request-method", "GET").body(String::new()).unwrap()
    };
    let allowed = |response: &Response<_>| {
        assert_eq!(response.status(), StatusCode::OK);
        assert!(response.headers().contains_key("access-control-allow-origin"));
    };
    fn head<B>(response: Response<B>) -> Response<()> {
        response.map(drop)
    }

    let cors = CorsLayer::permissive;
    let ids = ServiceBuilder::new().layer(cors()).layer(CorrelationIdLayer::new()).service_fn(echo);
    allowed(&head(ids.oneshot(preflight()).await.unwrap()));
    let trace = ServiceBuilder::new().layer(cors()).layer(TraceContextLayer::new()).service_fn(echo);
    allowed(&head(trace.oneshot(preflight()).await.unwrap()));
    let timeout = Some(TimeoutLayer::new(std::time::Duration::from_secs(1)).unwrap());
    let stack = Stack::server().push_foreign_at::<phase::Cors, _>("cors", cors()).push(timeout);
    let plain = stack.build().layer(service_fn(echo));
    allowed(&head(plain.oneshot(preflight()).await.unwrap()));
}
