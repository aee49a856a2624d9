//! Several limits in one layer, and what they count.

mod support;

use bartizan_core::{Fact, Principal, Problem, Rejection, RequestContext, ServerLayer, phase::Phase};
use bartizan_rate_limit::{
    Charge, Decisions, Global, Key, KeyFn, MissingKey, PerClientAddr, PerCredential, PerHeader, PerMethod,
    PerPrincipal, PerRoute, PerTenant, RateLimitLayer,
};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use support::{SECOND, by, clock, from, passes, rate, request, send, send_to};

fn who(name: &str, tenant: &str) -> Request<String> {
    by(Principal::user(name).tenant(tenant).build())
}

#[tokio::test]
async fn rl_10_nothing_is_taken_unless_every_limit_allows() {
    let (time, clock) = clock();
    let layer =
        RateLimitLayer::new(rate("4/h")).by(PerPrincipal).and(rate("5/h")).by(PerTenant).with_clock(clock);
    assert_eq!(passes(&layer, 10, || who("ada", "acme")).await, 4);
    assert_eq!(passes(&layer, 10, || who("bob", "acme")).await, 1, "the tenant has one left: none was lost");
    // Bob has three of his own left, whatever his tenant refused.
    assert_eq!(passes(&layer, 10, || who("bob", "other")).await, 3);
    assert_eq!(passes(&layer, 10, || who("eve", "other")).await, 2);
    time.advance(SECOND);
    assert_eq!(passes(&layer, 1, || who("eve", "other")).await, 0);
}

#[tokio::test]
async fn rl_10_a_refusal_names_all_that_refuse_and_waits_for_the_last() {
    let (_, clock) = clock();
    let layer = RateLimitLayer::new(rate("1/min"))
        .by(PerPrincipal)
        .and(rate("1/h"))
        .by(PerTenant)
        .and(rate("9/h"))
        .by(Global)
        .with_clock(clock);
    assert_eq!(passes(&layer, 1, || who("ada", "acme")).await, 1);
    let mut request = who("ada", "acme");
    let context = RequestContext::of(&mut request);
    context.event().enable();
    let refused = send(&layer, request).await;
    assert_eq!(refused.headers()["retry-after"], "3600");
    let problem = Problem::from_slice(&refused.collect().await.unwrap().to_bytes()).unwrap();
    assert_eq!(problem.extensions["violated-policies"], serde_json::json!(["per-principal", "per-tenant"]));
    context.event().read(|facts| {
        assert_eq!(facts[0], ("rate_limit.policy", Fact::from("per-tenant")), "the tightest");
        assert_eq!(facts[2], ("rate_limit.retry_after_seconds", Fact::from(3600.0)));
    });
}

#[tokio::test]
async fn rl_10_threads_never_see_half_of_a_decision() {
    let layer = RateLimitLayer::new(rate("1000/h"))
        .by(PerHeader(HeaderName::from_static("x-a")))
        .and(rate("1000/h"))
        .by(PerHeader(HeaderName::from_static("x-b")));
    let send_all = |layer: RateLimitLayer<_>, swap: bool| async move {
        let (a, b) = if swap { ("1", "2") } else { ("2", "1") };
        passes(&layer, 800, || {
            Request::builder().header("x-a", a).header("x-b", b).body(String::new()).unwrap()
        })
        .await
    };
    let threads: Vec<_> = (0..4)
        .map(|index| {
            let layer = layer.clone();
            std::thread::spawn(move || {
                tokio::runtime::Builder::new_current_thread()
                    .build()
                    .unwrap()
                    .block_on(send_all(layer, index % 2 == 0))
            })
        })
        .collect();
    let passed: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    assert_eq!(passed, 2_000, "each pair of keys lets a thousand through, exactly");
}

#[tokio::test]
async fn rl_10_refused_requests_count_only_on_demand() {
    let (time, clock) = clock();
    for (counted, after_a_second) in [(false, 1), (true, 0)] {
        let layer = RateLimitLayer::new(rate("2/2s")).by(Global).with_clock(clock.clone());
        let layer = if counted { layer.with_refused_counted() } else { layer };
        assert_eq!(passes(&layer, 2, request).await, 2);
        time.advance(SECOND / 2);
        assert_eq!(passes(&layer, 1, request).await, 0);
        time.advance(SECOND / 2);
        assert_eq!(passes(&layer, 1, request).await, after_a_second);
        time.advance(2 * SECOND);
        assert_eq!(passes(&layer, 9, request).await, 2, "who holds back gets through");
    }
}

#[tokio::test]
async fn rl_01_a_cost_that_never_fits_is_no_429() {
    let (_, clock) = clock();
    let layer = RateLimitLayer::new(rate("5/s")).by(Global).with_clock(clock).with_cost_by(|head| {
        head.headers().get("x-cost").and_then(|cost| cost.to_str().ok()?.parse().ok()).unwrap_or(1)
    });
    let cost = |cost: &str| Request::builder().header("x-cost", cost).body(String::new()).unwrap();
    let refused = send(&layer, cost("6")).await;
    assert_eq!(refused.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert!(!refused.headers().contains_key("retry-after"));
    let problem = Problem::from_slice(&refused.collect().await.unwrap().to_bytes()).unwrap();
    assert_eq!(problem.extensions["limit"], 5);
    let mut grpc = cost("6");
    *grpc.method_mut() = Method::POST;
    grpc.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    assert_eq!(send(&layer, grpc).await.headers()["grpc-status"], "3");
    assert_eq!(passes(&layer, 3, || cost("2")).await, 2);
    assert_eq!(passes(&layer, 3, || cost("0")).await, 3, "0 looks and takes nothing");
    assert_eq!(passes(&layer, 3, || cost("1")).await, 1);
}

/// What a layer further in leaves of a bad credential.
fn bad_credential() -> Response<String> {
    let mut response = Response::new(String::new());
    *response.status_mut() = StatusCode::UNAUTHORIZED;
    let challenge = HeaderValue::from_static("Bearer");
    response.extensions_mut().insert(Rejection::unauthenticated(challenge).with_failed_credential());
    response
}

#[tokio::test]
async fn key_05_a_bad_credential_costs_ten_more_by_address() {
    let (time, clock) = clock();
    let layer = RateLimitLayer::new(rate("1/s burst 30")).by(PerClientAddr).with_clock(clock.clone());
    for _ in 0..2 {
        send_to(&layer, from("192.0.2.1"), |_| bad_credential()).await;
    }
    assert_eq!(passes(&layer, 30, || from("192.0.2.1")).await, 8, "30 less twice 11");
    assert_eq!(passes(&layer, 40, || from("192.0.2.2")).await, 30, "of nobody else");
    time.advance(30 * SECOND);
    let missing = |_: Request<String>| {
        let mut response = Response::new(String::new());
        response.extensions_mut().insert(Rejection::unauthenticated(HeaderValue::from_static("Bearer")));
        response
    };
    send_to(&layer, from("192.0.2.1"), missing).await;
    assert_eq!(passes(&layer, 40, || from("192.0.2.1")).await, 29, "one without a credential is no attempt");
}

#[tokio::test]
async fn key_05_attempts_lead_into_debt_of_one_burst_at_most() {
    let (time, clock) = clock();
    let layer = RateLimitLayer::new(rate("1/s burst 5"))
        .by(PerClientAddr)
        .with_failed_credential_charge(1_000)
        .with_clock(clock.clone());
    send_to(&layer, from("192.0.2.1"), |_| bad_credential()).await;
    assert_eq!(send(&layer, from("192.0.2.1")).await.headers()["retry-after"], "6");
    time.advance(6 * SECOND);
    assert_eq!(passes(&layer, 5, || from("192.0.2.1")).await, 1);
    let none = RateLimitLayer::new(rate("1/s burst 5")).by(Global).with_clock(clock);
    send_to(&none, request(), |_| bad_credential()).await;
    assert_eq!(passes(&none, 5, request).await, 4, "only limits by address charge");
}

#[tokio::test]
async fn lay_02_a_charge_is_settled_when_the_body_ends() {
    let (_, clock) = clock();
    let layer = RateLimitLayer::new(rate("1/min burst 10"))
        .by(Global)
        .with_charge(|outcome| match outcome.status {
            Some(status) if status.is_server_error() => Charge::Refund(1),
            _ => Charge::More(u32::try_from(outcome.bytes).unwrap()),
        })
        .with_clock(clock);
    let body = |text: &str| Request::new(text.to_owned());
    let answer = send(&layer, body("abc")).await;
    let look = send(&layer, body("")).await;
    assert_eq!(answer.collect().await.unwrap().to_bytes(), "abc");
    drop(look);
    // 10 − 1 − 1 − 3.
    let failed = send_to(&layer, body(""), |_| {
        let mut response = Response::new(String::new());
        *response.status_mut() = StatusCode::BAD_GATEWAY;
        response
    });
    drop(failed.await);
    assert_eq!(passes(&layer, 10, || body("")).await, 5);
}

#[tokio::test]
async fn lay_01_a_request_that_is_given_up_is_settled_too() {
    use std::task::Poll;

    use tower::{Layer, Service, service_fn};
    let layer = RateLimitLayer::new(rate("1/min burst 10")).by(Global).with_charge(|outcome| {
        assert_eq!(outcome.ending, bartizan_core::Ending::ClientAborted);
        Charge::Refund(1)
    });
    let mut service = layer.layer(service_fn(async |_: Request<String>| {
        std::future::pending::<()>().await;
        Ok::<_, std::convert::Infallible>(Response::new(String::new()))
    }));
    for _ in 0..50 {
        let mut future = tokio_test_poll(service.call(request()));
        assert!(matches!(future.poll(), Poll::Pending), "let through, since each gives back what it took");
    }
}

/// Polls a future once, without a runtime.
struct Polled<F>(std::pin::Pin<Box<F>>);

fn tokio_test_poll<F: Future>(future: F) -> Polled<F> {
    Polled(Box::pin(future))
}

impl<F: Future> Polled<F> {
    fn poll(&mut self) -> std::task::Poll<F::Output> {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        self.0.as_mut().poll(&mut context)
    }
}

#[tokio::test]
async fn a_shadow_decides_and_lets_pass() {
    let (_, clock) = clock();
    let layer = RateLimitLayer::new(rate("1/h"))
        .by(PerPrincipal)
        .with_name("new")
        .unwrap()
        .with_shadow()
        .and(rate("3/h"))
        .by(Global)
        .with_clock(clock);
    let ask = async || {
        let mut request = who("ada", "acme");
        let context = RequestContext::of(&mut request);
        context.event().enable();
        let status = send(&layer, request).await.status();
        (
            status,
            context
                .event()
                .read(|facts| facts.iter().find(|fact| fact.0 == "rate_limit.would_refuse").cloned()),
        )
    };
    let would = Some(("rate_limit.would_refuse", Fact::from("new")));
    assert_eq!(ask().await, (StatusCode::OK, None));
    assert_eq!(ask().await, (StatusCode::OK, would.clone()));
    assert_eq!(ask().await, (StatusCode::OK, would.clone()));
    assert_eq!(ask().await, (StatusCode::TOO_MANY_REQUESTS, would), "the other limit is in force");
}

#[tokio::test]
async fn tiers_and_closures_choose_among_rates() {
    let (_, clock) = clock();
    let layer = RateLimitLayer::new(rate("1/h"))
        .by(PerPrincipal)
        .with_tier("silver", rate("2/h"))
        .unwrap()
        .with_tier("gold", rate("3/h"))
        .unwrap()
        .with_clock(clock.clone());
    for (tier, expected) in [(None, 1), (Some("silver"), 2), (Some("gold"), 3), (Some("unknown"), 1)] {
        let caller = || {
            let caller = Principal::user(tier.unwrap_or("none"));
            by(tier.into_iter().fold(caller, bartizan_core::PrincipalBuilder::tier).build())
        };
        assert_eq!(passes(&layer, 5, caller).await, expected, "{tier:?}");
    }
    let layer = RateLimitLayer::new(rate("1/h"))
        .by(PerMethod)
        .with_rates([rate("2/h"), rate("4/h")], |head| match head.method().as_str() {
            "GET" => Some(1),
            "PUT" => Some(0),
            "PATCH" => Some(7),
            _ => None,
        })
        .unwrap()
        .with_clock(clock);
    for (method, expected) in [("GET", 4), ("PUT", 2), ("PATCH", 1), ("POST", 1)] {
        let send = || Request::builder().method(method).body(String::new()).unwrap();
        assert_eq!(passes(&layer, 9, send).await, expected, "{method}");
    }
}

#[test]
fn lay_06_what_can_never_work_fails_where_it_is_set() {
    let layer = || RateLimitLayer::new(rate("5/s")).by(PerPrincipal);
    let fields = [
        layer().with_cost(0).unwrap_err(),
        layer().with_cost(6).unwrap_err(),
        layer().with_cost(5).unwrap().with_tier("a", rate("4/s")).unwrap_err(),
        layer().with_tier("", rate("1/s")).unwrap_err(),
        layer().with_tier("a", rate("1/s")).unwrap().with_tier("a", rate("2/s")).unwrap_err(),
        RateLimitLayer::new(rate("5/s burst 9")).by(Global).with_sliding_window().unwrap_err(),
        layer().with_sliding_window().unwrap().with_tier("a", rate("5/min")).unwrap_err(),
        layer().with_exempt_paths(["health"]).unwrap_err(),
        layer().with_allow_list(["nowhere"]).unwrap_err(),
    ];
    assert_eq!(
        fields.map(|error| error.field()),
        ["cost", "cost", "cost", "tier", "tier", "burst", "period", "exempt_paths", "allow_list"]
    );
}

#[tokio::test]
async fn every_key_counts_what_it_says() {
    let (_, clock) = clock();
    let limited = |first: Request<String>, second: Request<String>| (first, second);
    macro_rules! together {
        ($key:expr, $expected:literal, $first:expr, $second:expr) => {{
            let layer = RateLimitLayer::new(rate("1/h")).by($key).with_clock(clock.clone());
            let (first, second) = limited($first, $second);
            assert_eq!(send(&layer, first).await.status(), StatusCode::OK);
            assert_eq!(send(&layer, second).await.status() != StatusCode::OK, $expected);
        }};
    }
    let key = |id: &'static str| by(Principal::service("billing").credential_id(id).build());
    let header = |value: &'static str| Request::builder().header("x-k", value).body(String::new()).unwrap();
    let method = |method: Method| Request::builder().method(method).body(String::new()).unwrap();
    let per_header = || PerHeader(HeaderName::from_static("x-k"));
    let route = |template: &'static str| {
        let mut request = request();
        request.extensions_mut().insert(bartizan_core::MatchedRoute::template(template));
        request
    };
    let both = |addr: &str, name: &'static str| {
        let mut request = from(addr);
        RequestContext::of(&mut request).set_principal(Principal::user(name).build());
        request
    };
    together!(PerTenant, true, who("ada", "acme"), who("bob", "acme"));
    together!(PerTenant, false, who("ada", "acme"), who("ada", "other"));
    together!(PerCredential, true, key("1"), key("1"));
    together!(PerCredential, false, key("1"), key("2"));
    together!(per_header(), true, header("a"), header("a"));
    together!(per_header(), false, header("a"), header("b"));
    together!(PerMethod, true, method(Method::PUT), method(Method::PUT));
    together!(PerMethod, false, method(Method::PUT), method(Method::GET));
    together!(PerRoute, true, route("/orders/{id}"), route("/orders/{id}"));
    together!(PerRoute, false, route("/orders/{id}"), route("/orders"));
    together!(PerRoute, true, Request::get("/a").body(String::new()).unwrap(), request());
    together!((PerClientAddr, PerPrincipal), true, both("192.0.2.1", "ada"), both("192.0.2.1", "ada"));
    together!((PerClientAddr, PerPrincipal), false, both("192.0.2.1", "ada"), both("192.0.2.2", "ada"));
    together!((PerClientAddr, PerPrincipal), false, both("192.0.2.1", "ada"), both("192.0.2.1", "bob"));
    together!((Global, PerMethod, per_header()), true, header("a"), header("a"));
    together!((Global, PerMethod, PerRoute, per_header()), false, header("a"), header("b"));
}

#[tokio::test]
async fn rl_11_a_tuple_that_lacks_a_part_and_an_ambiguous_header_have_no_key() {
    let layer = RateLimitLayer::new(rate("9/h"))
        .by((PerPrincipal, PerHeader(HeaderName::from_static("x-k"))))
        .with_missing_key(MissingKey::Refuse);
    assert_eq!(send(&layer, who("ada", "acme")).await.status(), StatusCode::FORBIDDEN);
    let mut twice = who("ada", "acme");
    twice.headers_mut().append("x-k", HeaderValue::from_static("a"));
    twice.headers_mut().append("x-k", HeaderValue::from_static("b"));
    assert_eq!(send(&layer, twice).await.status(), StatusCode::FORBIDDEN);
}

#[test]
fn lay_08_several_limits_belong_where_the_latest_does() {
    fn phase<L: ServerLayer>(_: &L) -> &'static str {
        L::Phase::NAME
    }
    let one = || RateLimitLayer::new(rate("1/s"));
    assert_eq!(phase(&one().by(PerClientAddr).and(rate("1/s")).by(Global)), "address_limit");
    assert_eq!(phase(&one().by(PerPrincipal).and(rate("1/s")).by(PerClientAddr)), "principal_limit");
    assert_eq!(phase(&one().by((PerRoute, PerClientAddr))), "address_limit");
    assert_eq!(phase(&one().by((PerRoute, PerTenant, PerMethod))), "principal_limit");
    let closure = KeyFn::<bartizan_core::phase::Validation, _>::new(|_| Some(Key::number(1)));
    assert_eq!(phase(&one().by(Global).and(rate("1/s")).by(closure)), "validation");
}

#[tokio::test]
async fn key_05_exempt_requests_pass_uncounted_and_credentials_do_not() {
    let layer = RateLimitLayer::new(rate("1/h"))
        .by(Global)
        .with_exempt_methods([Method::HEAD])
        .with_exempt_paths(["/healthz"])
        .unwrap()
        .with_allow_list(["10.0.0.0/8"])
        .unwrap();
    assert_eq!(passes(&layer, 5, || Request::get("/healthz").body(String::new()).unwrap()).await, 5);
    assert_eq!(passes(&layer, 5, || Request::head("/").body(String::new()).unwrap()).await, 5);
    assert_eq!(passes(&layer, 5, || from("10.9.8.7")).await, 5);
    let preflight = || {
        Request::options("/")
            .header("origin", "https://a.example")
            .header("access-control-request-method", "PUT")
            .body(String::new())
            .unwrap()
    };
    let lenient = layer.clone().with_exempt_preflights();
    assert_eq!(passes(&lenient, 5, preflight).await, 5);
    let guess = || {
        let mut guess = preflight();
        guess.headers_mut().insert("x-api-key", "a guess".parse().unwrap());
        guess
    };
    assert_eq!(passes(&lenient, 5, guess).await, 1, "KEY-05: nobody tries keys where nobody counts");
    let named = HeaderName::from_static("x-shop-key");
    let guess = || {
        let mut guess = preflight();
        guess.headers_mut().insert(named.clone(), "a guess".parse().unwrap());
        guess
    };
    assert_eq!(passes(&lenient, 5, guess).await, 5, "nobody has said that it is a credential");
    let told = layer.clone().with_credential_header(named.clone()).with_exempt_preflights();
    assert_eq!(passes(&told, 5, guess).await, 1, "KEY-05: in a header of the service's own neither");
    assert_eq!(passes(&told, 5, preflight).await, 5);
    assert_eq!(passes(&layer, 5, preflight).await, 1, "counted unless they are to pass");
}

#[tokio::test]
async fn handlers_see_what_all_layers_decided() {
    let outer = RateLimitLayer::new(rate("9/h")).by(Global).with_extension();
    let inner = RateLimitLayer::new(rate("5/h")).by(PerMethod).and(rate("7/h")).by(PerRoute).with_extension();
    use tower::{Layer, ServiceExt, service_fn};
    let service = outer.layer(inner.layer(service_fn(async |request: Request<String>| {
        let decisions = request.extensions().get::<Decisions>().unwrap();
        let seen: Vec<_> =
            decisions.iter().map(|(name, decision)| format!("{name} {}", decision.remaining())).collect();
        assert_eq!(decisions.get("per-route").unwrap().rate(), rate("7/h"));
        Ok::<_, std::convert::Infallible>(Response::new(seen.join(", ")))
    })));
    let answer = service.oneshot(request()).await.unwrap();
    assert_eq!(answer.collect().await.unwrap().to_bytes(), "global 8, per-method 4, per-route 6");
}

#[tokio::test]
async fn the_refusal_does_not_blame_a_caller_for_a_global_limit() {
    let layer = RateLimitLayer::new(rate("1/h")).by(Global);
    passes(&layer, 1, request).await;
    let refused = send(&layer, request()).await;
    let rejection = refused.extensions().get::<Rejection>().unwrap();
    assert_eq!(rejection.detail(), "Too many requests from all callers together. Try again later.");
}

#[tokio::test]
async fn the_wide_event_tells_of_a_bucket_that_is_shared() {
    let layer = RateLimitLayer::new(rate("9/h"))
        .by(PerHeader(HeaderName::from_static("x-k")))
        .with_max_keys(1)
        .unwrap();
    let shared = async |key: Option<&'static str>| {
        let mut request = request();
        key.into_iter().for_each(|key| {
            request.headers_mut().insert("x-k", HeaderValue::from_static(key));
        });
        let context = RequestContext::of(&mut request);
        context.event().enable();
        send(&layer, request).await;
        context.event().read(|facts| facts.iter().find(|fact| fact.0 == "rate_limit.shared_bucket").cloned())
    };
    assert_eq!(shared(Some("first")).await, None);
    assert_eq!(shared(Some("second")).await, Some(("rate_limit.shared_bucket", Fact::from("overflow"))));
    assert_eq!(shared(None).await, Some(("rate_limit.shared_bucket", Fact::from("no_key"))));
}
