//! How refusals look for a whole service.

mod support;

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bartizan_core::{
    ExtensionName, Face, ProblemLayer, ProblemSettingsError, Reason, Rejection, RequestContext, RequestId,
    ResponseBody,
};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body::Body;
use http_body_util::BodyExt;
use support::{Steps, json, request};
use tonic_types::StatusExt;
use tower::{Layer, ServiceExt};

type Refused = Response<ResponseBody<Steps>>;

fn identified(method: &str) -> Request<String> {
    let mut request = request(method, "/orders");
    RequestContext::of(&mut request).set_request_id(RequestId::new("req-1").unwrap());
    request
}

/// What `layer` makes of the answer.
async fn through(
    layer: &ProblemLayer,
    request: Request<String>,
    answer: impl FnOnce(&Request<String>) -> Refused,
) -> Response<ResponseBody<ResponseBody<Steps>>> {
    let mut answer = Some(answer);
    let inner = tower::service_fn(move |request: Request<String>| {
        let response = (answer.take().expect("called once"))(&request);
        async { Ok::<_, Infallible>(response) }
    });
    layer.layer(inner).oneshot(request).await.unwrap()
}

fn styled() -> ProblemLayer {
    ProblemLayer::new().with_type_base("https://errors.example/").unwrap()
}

fn limited(request: &Request<String>) -> Refused {
    Rejection::new(Reason::RateLimited).answer(request)
}

/// As a handler does that hands on why its own call of another service was refused.
#[tokio::test]
async fn err_06_the_refusal_of_a_call_gets_the_id_of_the_request_it_was_made_for() {
    for of_another in [false, true] {
        let answer = move |_: &Request<String>| -> Refused {
            let mut call = Request::new(());
            if of_another {
                RequestContext::of(&mut call).set_request_id(RequestId::new("call-1").unwrap());
            }
            Rejection::new(Reason::CircuitOpen).into_response(&Face::of(&call))
        };
        let response = through(&ProblemLayer::new(), identified("GET"), answer).await;
        assert_eq!(json(response).await["request_id"], "req-1");
    }
}

#[tokio::test]
async fn the_services_style_replaces_the_default_form() {
    let layer = styled().with_member("service", "orders").unwrap();
    let response = through(&layer, identified("GET"), limited).await;
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    let problem = json(response).await;
    assert_eq!(problem["type"], "https://errors.example/rate_limited");
    assert_eq!(problem["title"], "Rate limit exceeded");
    assert_eq!(problem["service"], "orders");
    assert_eq!(problem["request_id"], "req-1");
}

#[tokio::test]
async fn a_member_of_the_refusals_own_wins_and_none_is_written_twice() {
    let layer = ProblemLayer::new().with_member("limit", 1).unwrap().with_member("limit", 2).unwrap();
    let plain = through(&layer, identified("GET"), limited).await.collect().await.unwrap().to_bytes();
    let text = std::str::from_utf8(&plain).unwrap();
    assert_eq!(text.matches("\"limit\"").count(), 1, "{text}");
    assert!(text.contains("\"limit\":2"), "{text}");
    let own = |request: &Request<String>| {
        Rejection::new(Reason::RateLimited)
            .with_extension(const { ExtensionName::new("limit") }, 3)
            .answer(request)
    };
    let own = through(&layer, identified("GET"), own).await.collect().await.unwrap().to_bytes();
    let text = std::str::from_utf8(&own).unwrap();
    assert_eq!(text.matches("\"limit\"").count(), 1, "{text}");
    assert!(text.contains("\"limit\":3"), "{text}");
}

#[tokio::test]
async fn headers_that_layers_in_between_added_stay() {
    let answer = |request: &Request<String>| {
        let mut response: Refused = Rejection::new(Reason::RateLimited)
            .with_header(header::VARY, HeaderValue::from_static("authorization"))
            .answer(request);
        // As CORS, a cookie layer and a drain layer would.
        response.headers_mut().append(header::VARY, HeaderValue::from_static("origin"));
        response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("30"));
        response
    };
    let response = through(&styled(), identified("GET"), answer).await;
    let vary: Vec<_> = response.headers().get_all(header::VARY).iter().collect();
    assert_eq!(vary, ["authorization", "origin"]);
    for (name, value) in [
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (header::CONNECTION, "close"),
        (header::RETRY_AFTER, "30"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        assert_eq!(response.headers()[name], value);
    }
}

#[tokio::test]
async fn a_body_that_a_layer_in_between_compressed_is_replaced_with_its_headers() {
    let answer = |request: &Request<String>| {
        let mut response = limited(request);
        response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("7"));
        response.map(|_| ResponseBody::full(Some(Bytes::from_static(b"\x1f\x8b_gzip"))))
    };
    let response = through(&styled(), identified("GET"), answer).await;
    assert!(!response.headers().contains_key(header::CONTENT_ENCODING));
    assert!(!response.headers().contains_key(header::CONTENT_LENGTH));
    assert_eq!(json(response).await["code"], "rate_limited");
}

#[tokio::test]
async fn what_a_layer_in_between_answered_instead_is_left_alone() {
    let redirect = |request: &Request<String>| {
        let mut response: Refused = Rejection::new(Reason::Unauthenticated).answer(request);
        *response.status_mut() = StatusCode::FOUND;
        response.headers_mut().insert(header::LOCATION, HeaderValue::from_static("/login"));
        response
    };
    let page = |request: &Request<String>| {
        let mut response: Refused = Rejection::new(Reason::RouteNotFound).answer(request);
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html"));
        response.map(|_| ResponseBody::full(Some(Bytes::from_static(b"<h1>Lost?</h1>"))))
    };
    for layer in [ProblemLayer::new(), styled()] {
        let response = through(&layer, identified("GET"), redirect).await;
        assert_eq!(response.status(), StatusCode::FOUND);
        assert_eq!(response.headers()[header::LOCATION], "/login");

        let response = through(&layer, identified("GET"), page).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "text/html");
        assert_eq!(response.collect().await.unwrap().to_bytes(), "<h1>Lost?</h1>");
    }
}

#[tokio::test]
async fn what_is_no_refusal_is_left_alone() {
    let answer = |_: &Request<String>| {
        Response::builder().status(500).body(ResponseBody::forward(Steps::data(["mine"]).known())).unwrap()
    };
    let response = through(&styled(), identified("GET"), answer).await;
    assert!(response.headers().is_empty());
    assert_eq!(response.collect().await.unwrap().to_bytes(), "mine");
}

#[tokio::test]
async fn grpc_06_the_domain_is_the_services() {
    let layer = ProblemLayer::new().with_domain("orders.example").unwrap();
    let mut call = identified("POST");
    call.extensions_mut().clear();
    call.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    let response = through(&layer, call, limited).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert!(response.body().is_end_stream());
    let status = tonic::Status::from_header_map(response.headers()).unwrap();
    assert_eq!(status.get_details_error_info().unwrap().domain, "orders.example");
    assert_eq!(response.headers().get_all("grpc-status").iter().count(), 1);
}

#[tokio::test]
async fn a_renderer_decides_on_body_type_and_further_headers_alone() {
    let layer = ProblemLayer::new().with_renderer(|rejection| {
        let id = rejection.request_id().map_or("none", |id| id.as_str());
        let page = Response::builder()
            .status(200)
            .header(header::CONTENT_TYPE, "text/html")
            .header(header::CACHE_CONTROL, "max-age=600")
            .header(header::RETRY_AFTER, "1")
            .header(header::CONTENT_LENGTH, "3")
            .header(header::WWW_AUTHENTICATE, "None")
            .header("x-page", "refusal");
        Some(page.body(Bytes::from(format!("<h1>{}</h1> {id}", rejection.reason().code()))).unwrap())
    });
    let answer = |request: &Request<String>| {
        Rejection::unauthenticated(HeaderValue::from_static("ApiKey")).answer(request)
    };
    let response = through(&layer, identified("GET"), answer).await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    for (name, value) in [
        ("content-type", "text/html"),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("www-authenticate", "ApiKey"),
        ("x-page", "refusal"),
    ] {
        assert_eq!(response.headers()[name], value);
    }
    assert!(!response.headers().contains_key(header::RETRY_AFTER));
    assert!(!response.headers().contains_key(header::CONTENT_LENGTH));
    assert_eq!(response.collect().await.unwrap().to_bytes(), "<h1>unauthenticated</h1> req-1");

    // ERR-10 holds for it too.
    let response = through(&layer, identified("HEAD"), answer).await;
    assert!(response.body().is_end_stream());
    assert_eq!(response.headers()[header::CONTENT_LENGTH], "30");

    // A refusal that knew no request, and a panic, learn the id before they are shown to the renderer.
    let unaddressed =
        |_: &Request<String>| Rejection::new(Reason::Overloaded).into_response(&Face::default());
    let response = through(&layer, identified("GET"), unaddressed).await;
    assert_eq!(response.collect().await.unwrap().to_bytes(), "<h1>overloaded</h1> req-1");
}

#[tokio::test]
async fn a_renderer_that_panics_or_declines_leaves_the_usual_problem() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let layers = [
        ProblemLayer::new().with_renderer(|_| panic!("the renderer panics, as the test wants")),
        ProblemLayer::new().with_renderer(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
            None
        }),
    ];
    for layer in layers {
        let response = through(&layer, identified("GET"), limited).await;
        assert_eq!(json(response).await["code"], "rate_limited");
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn err_05_it_is_the_last_resort_for_a_panic() {
    let panics = tower::service_fn(|request: Request<String>| {
        assert!(request.uri().path() != "/call", "secret");
        async { panic!("secret") as Result<Refused, Infallible> }
    });
    for path in ["/call", "/poll"] {
        let mut request = identified("GET");
        *request.uri_mut() = path.parse().unwrap();
        let response = styled().layer(panics).oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert!(response.extensions().get::<Rejection>().unwrap().is_panic());
        let problem = json(response).await;
        assert_eq!(problem["type"], "https://errors.example/internal");
        assert_eq!(problem["request_id"], "req-1");
        assert!(!problem.to_string().contains("secret"));
    }
}

#[test]
fn lay_06_settings_that_can_never_work_fail_when_they_are_made() {
    for base in
        ["", "/errors/", "errors/", "https://e.example/no-slash", "https://e .example/", "1x:/", ":/", "urn:"]
    {
        let error = ProblemLayer::new().with_type_base(base).unwrap_err();
        assert_eq!(error, ProblemSettingsError::TypeBase(base.into()));
        assert!(error.to_string().starts_with("type_base: "), "{error}");
    }
    for base in
        ["https://e.example/", "https://e.example/errors#", "urn:example:errors:", "https://e.example/?c="]
    {
        assert!(ProblemLayer::new().with_type_base(base).is_ok(), "{base}");
    }
    for name in ["status", "code", "a-b", "ab"] {
        let error = ProblemLayer::new().with_member(name, 1).unwrap_err();
        assert_eq!(error, ProblemSettingsError::Member(name));
        assert!(error.to_string().starts_with("member: "), "{error}");
    }
    let long = "x".repeat(254);
    for domain in ["", long.as_str()] {
        let error = ProblemLayer::new().with_domain(domain.to_owned()).unwrap_err();
        assert_eq!(error, ProblemSettingsError::Domain(domain.into()));
        assert!(error.to_string().starts_with("domain: "), "{error}");
    }
}
