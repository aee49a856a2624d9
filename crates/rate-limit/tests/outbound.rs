//! Limits on what a client sends.
#![cfg(feature = "outbound")]

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use bartizan_core::{ClientLayer, Deadline, Reason, Rejection, RequestContext, phase::Phase};
use bartizan_rate_limit::{OutboundRateLimitLayer, Rate};
use http::{Request, Response, StatusCode};
use tokio::time::{Instant, advance, sleep};
use tower::{Layer, ServiceExt, service_fn};

const SECOND: Duration = Duration::from_secs(1);

type Answers = Arc<Mutex<Vec<Response<String>>>>;

/// What the upstream says, the last first; then it says nothing more than 200.
fn says<const N: usize>(answers: [http::response::Builder; N]) -> Answers {
    Arc::new(Mutex::new(
        answers.into_iter().rev().map(|answer| answer.body(String::new()).unwrap()).collect(),
    ))
}

async fn send_to(layer: &OutboundRateLimitLayer, uri: &str, answers: &Answers) -> StatusCode {
    let answers = Arc::clone(answers);
    let service = layer.layer(service_fn(move |_: Request<String>| {
        let answer = answers.lock().unwrap().pop().unwrap_or_default();
        async move { Ok::<_, Infallible>(answer) }
    }));
    service.oneshot(Request::get(uri).body(String::new()).unwrap()).await.unwrap().status()
}

async fn send(layer: &OutboundRateLimitLayer) -> StatusCode {
    send_to(layer, "http://a.example/", &says([])).await
}

fn rate(text: &str) -> Rate {
    text.parse().unwrap()
}

fn waiting(text: &str, queue: usize, seconds: u32) -> OutboundRateLimitLayer {
    OutboundRateLimitLayer::new(rate(text)).with_waiting(queue, seconds * SECOND).unwrap()
}

fn refusal() -> http::response::Builder {
    Response::builder().status(429)
}

#[tokio::test(start_paused = true)]
async fn rl_14_a_request_too_early_is_refused_or_waits() {
    let layer = OutboundRateLimitLayer::new(rate("1/s"));
    assert_eq!(send(&layer).await, StatusCode::OK);
    assert_eq!(send(&layer).await, StatusCode::TOO_MANY_REQUESTS);
    let layer = waiting("1/s", 10, 10);
    let start = Instant::now();
    for _ in 0..4 {
        assert_eq!(send(&layer).await, StatusCode::OK);
    }
    assert_eq!(start.elapsed().as_secs(), 3);
}

#[tokio::test(start_paused = true)]
async fn rl_14_who_came_first_is_served_first_and_who_leaves_holds_nobody_up() {
    let layer = waiting("1/s", 10, 60);
    send(&layer).await;
    let order = Arc::new(Mutex::new(Vec::new()));
    let tasks: Vec<_> = (0..5)
        .map(|index| {
            let (layer, order) = (layer.clone(), Arc::clone(&order));
            tokio::spawn(async move {
                sleep(Duration::from_millis(index)).await;
                assert_eq!(send(&layer).await, StatusCode::OK);
                order.lock().unwrap().push(index);
            })
        })
        .collect();
    sleep(SECOND / 2).await;
    tasks[1].abort();
    tasks[2].abort();
    sleep(SECOND * 5 / 2 + SECOND / 10).await;
    assert_eq!(*order.lock().unwrap(), [0, 3, 4]);
}

#[tokio::test(start_paused = true)]
async fn rl_14_the_line_is_bounded_and_so_is_the_wait() {
    let layer = waiting("1/s", 2, 60);
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let layer = layer.clone();
            tokio::spawn(async move { send(&layer).await })
        })
        .collect();
    let mut statuses = Vec::new();
    for task in tasks {
        statuses.push(task.await.unwrap().as_u16());
    }
    assert_eq!(statuses, [200, 200, 200, 429], "one at once, two that wait");
    let layer = waiting("1/min", 9, 59);
    assert_eq!(send(&layer).await, StatusCode::OK);
    let start = Instant::now();
    assert_eq!(send(&layer).await, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(start.elapsed(), Duration::ZERO, "who cannot be served in time is told at once");
}

#[tokio::test(start_paused = true)]
async fn rl_14_nobody_waits_beyond_the_deadline() {
    let layer = waiting("1/10s", 9, 60);
    send(&layer).await;
    let start = Instant::now();
    let with_deadline = |seconds: u32| {
        let mut request = Request::get("http://a.example/").body(String::new()).unwrap();
        let deadline = Deadline::at(start.into_std() + seconds * SECOND);
        RequestContext::of(&mut request).tighten_deadline(deadline);
        request
    };
    let service =
        layer.layer(service_fn(async |_: Request<String>| Ok::<_, Infallible>(Response::new(String::new()))));
    let refused = service.clone().oneshot(with_deadline(9)).await.unwrap();
    let rejection = refused.extensions().get::<Rejection>().unwrap();
    assert_eq!((rejection.reason(), rejection.layer()), (Reason::RateLimited, Some("outbound_rate_limit")));
    assert_eq!(refused.headers()["retry-after"], "10");
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(service.oneshot(with_deadline(11)).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn rt_11_the_deadline_that_a_layer_further_out_left_counts_too() {
    let layer = waiting("1/10s", 9, 60);
    send(&layer).await;
    let start = Instant::now();
    let mut request = Request::get("http://a.example/").body(String::new()).unwrap();
    RequestContext::of(&mut request).tighten_deadline(Deadline::at(start.into_std() + 60 * SECOND));
    request.extensions_mut().insert(Deadline::at(start.into_std() + 9 * SECOND));
    let service = service_fn(async |_: Request<String>| Ok::<_, Infallible>(Response::new(String::new())));
    let refused = layer.layer(service).oneshot(request).await.unwrap();
    assert_eq!((refused.status(), start.elapsed()), (StatusCode::TOO_MANY_REQUESTS, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn grpc_02_a_call_is_refused_in_its_own_protocol_and_not_in_that_of_the_request_it_is_made_for() {
    for layer in [OutboundRateLimitLayer::new(rate("1/min")), waiting("1/min", 9, 1)] {
        send(&layer).await;
        let mut call = Request::post("http://a.example/pkg.Stock/Reserve").body(String::new()).unwrap();
        call.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
        call.extensions_mut().insert(RequestContext::of(&mut Request::new(())));
        let service =
            service_fn(async |_: Request<String>| Ok::<_, Infallible>(Response::new(String::new())));
        let refused = layer.layer(service).oneshot(call).await.unwrap();
        assert_eq!(
            (refused.status(), &refused.headers()["grpc-status"]),
            (StatusCode::OK, &"8".parse().unwrap())
        );
    }
}

#[tokio::test(start_paused = true)]
async fn rl_14_retry_after_stops_the_one_authority_and_resumption_is_spread() {
    let mut resumed = Vec::new();
    for _ in 0..20 {
        let layer = OutboundRateLimitLayer::learning();
        let answers = says([refusal().header("retry-after", "5")]);
        send_to(&layer, "http://a.example/", &answers).await;
        assert_eq!(send_to(&layer, "http://b.example/", &answers).await, StatusCode::OK);
        let start = Instant::now();
        resumed.push(resumes(&layer, start).await);
    }
    assert_spread(&resumed, 5 * SECOND);
}

/// When `layer` lets a request pass again, counted from `start`.
async fn resumes(layer: &OutboundRateLimitLayer, start: Instant) -> Duration {
    while send(layer).await != StatusCode::OK {
        advance(Duration::from_millis(10)).await;
    }
    start.elapsed()
}

/// A fleet that was told to wait comes back over five seconds.
#[track_caller]
fn assert_spread(resumed: &[Duration], wait: Duration) {
    let all = wait..=wait + 5 * SECOND + SECOND / 50;
    assert!(resumed.iter().all(|after| all.contains(after)), "{resumed:?}");
    let (first, last) = (resumed.iter().min().unwrap(), resumed.iter().max().unwrap());
    assert!(*last - *first > SECOND, "all come back within one second: {resumed:?}");
}

#[tokio::test(start_paused = true)]
async fn rl_14_a_quota_that_is_counted_down_here_is_resumed_one_after_the_other_too() {
    let mut resumed = Vec::new();
    for _ in 0..20 {
        let layer = OutboundRateLimitLayer::learning();
        let answers = says([Response::builder().header("ratelimit", r#""a";r=2;t=10"#)]);
        let start = Instant::now();
        for expected in [200, 200, 200, 429] {
            assert_eq!(send_to(&layer, "http://a.example/", &answers).await.as_u16(), expected);
        }
        resumed.push(resumes(&layer, start).await);
    }
    assert_spread(&resumed, 10 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn rl_14_many_answers_do_not_move_the_end_of_a_wait_to_its_latest() {
    let mut resumed = Vec::new();
    for _ in 0..20 {
        let layer = OutboundRateLimitLayer::learning();
        let start = Instant::now();
        let service = layer.layer(service_fn(async |_: Request<String>| {
            sleep(SECOND / 10).await;
            Ok::<_, Infallible>(refusal().header("retry-after", "5").body(String::new()).unwrap())
        }));
        let request = || Request::get("http://a.example/").body(String::new()).unwrap();
        let all = (0..100).map(|_| tokio::spawn(service.clone().oneshot(request()))).collect::<Vec<_>>();
        for answer in all {
            assert_eq!(answer.await.unwrap().unwrap().status(), StatusCode::TOO_MANY_REQUESTS);
        }
        resumed.push(resumes(&layer, start + SECOND / 10).await);
    }
    assert_spread(&resumed, 5 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn rl_14_a_pause_of_milliseconds_does_not_become_one_of_seconds() {
    for _ in 0..20 {
        let layer = OutboundRateLimitLayer::learning();
        let pushback = Response::builder().header("grpc-status", "8").header("grpc-retry-pushback-ms", "100");
        send_to(&layer, "http://a.example/", &says([pushback])).await;
        assert_eq!(send(&layer).await, StatusCode::TOO_MANY_REQUESTS);
        advance(SECOND * 6 / 10 + Duration::from_millis(10)).await;
        assert_eq!(send(&layer).await, StatusCode::OK);
    }
}

#[tokio::test(start_paused = true)]
async fn rl_14_rate_limit_fields_tell_how_many_may_follow() {
    let layer = OutboundRateLimitLayer::learning();
    let answers = says([Response::builder().header("ratelimit", r#""a";r=2;t=10"#)]);
    for expected in [200, 200, 200, 429] {
        assert_eq!(send_to(&layer, "http://a.example/", &answers).await.as_u16(), expected);
    }
    advance(9 * SECOND).await;
    assert_eq!(send(&layer).await, StatusCode::TOO_MANY_REQUESTS);
    advance(6 * SECOND).await;
    assert_eq!(send(&layer).await, StatusCode::OK);
    // Each policy holds for itself.
    let answers = says([Response::builder().header("ratelimit", r#""a";r=9;t=1, "b";r=0;t=30"#)]);
    send_to(&layer, "http://a.example/", &answers).await;
    advance(29 * SECOND).await;
    assert_eq!(send(&layer).await, StatusCode::TOO_MANY_REQUESTS);
    advance(6 * SECOND).await;
    assert_eq!(send(&layer).await, StatusCode::OK);
}

/// Sends requests at once whose answers tell of the policy `a` when it is their time, and waits for all of them.
async fn answered<const N: usize>(layer: &OutboundRateLimitLayer, answers: [(u32, &'static str); N]) {
    let all = answers.map(|(tenths, says)| {
        let service = layer.layer(service_fn(move |_: Request<String>| async move {
            sleep(tenths * SECOND / 10).await;
            Ok::<_, Infallible>(Response::builder().header("ratelimit", says).body(String::new()).unwrap())
        }));
        tokio::spawn(service.oneshot(Request::get("http://a.example/").body(String::new()).unwrap()))
    });
    for answer in all {
        assert_eq!(answer.await.unwrap().unwrap().status(), StatusCode::OK);
    }
}

#[tokio::test(start_paused = true)]
async fn rl_14_a_late_answer_to_an_older_request_does_not_raise_what_is_left() {
    let layer = OutboundRateLimitLayer::learning();
    answered(&layer, [(2, r#""a";r=5;t=10"#), (1, r#""a";r=0;t=10"#)]).await;
    assert_eq!(send(&layer).await, StatusCode::TOO_MANY_REQUESTS, "the newer one has used it up");
    // It is the newest that counts, also when it told nothing new.
    let layer = OutboundRateLimitLayer::learning();
    let used_up = r#""a";r=0;t=10"#;
    answered(&layer, [(1, used_up), (3, r#""a";r=5;t=10"#), (2, used_up)]).await;
    assert_eq!(send(&layer).await, StatusCode::TOO_MANY_REQUESTS);
    // A quota that was not used up is counted down as before.
    let layer = OutboundRateLimitLayer::learning();
    answered(&layer, [(2, r#""a";r=9;t=10"#), (1, r#""a";r=3;t=10"#)]).await;
    for expected in [200, 200, 429] {
        assert_eq!(
            send(&layer).await.as_u16(),
            expected,
            "three, of which one may have been taken meanwhile"
        );
    }
    // A newer answer tells of more.
    let layer = OutboundRateLimitLayer::learning();
    answered(&layer, [(1, r#""a";r=1;t=10"#), (2, r#""a";r=5;t=10"#)]).await;
    for expected in [200, 200, 200, 200, 200, 429] {
        assert_eq!(send(&layer).await.as_u16(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn rl_07_what_is_malformed_or_stored_changes_nothing() {
    let layer = OutboundRateLimitLayer::learning();
    let answers = says([
        Response::builder().header("ratelimit", "a;r=0;t=60"),
        refusal().header("retry-after", "soon"),
        refusal().header("retry-after", "60").header("age", "5"),
    ]);
    for expected in [200, 429, 429, 200] {
        assert_eq!(send_to(&layer, "http://a.example/", &answers).await.as_u16(), expected);
    }
}

#[test]
fn lay_06_waiting_must_be_possible_and_bounded() {
    let layer = OutboundRateLimitLayer::learning;
    let fields = [
        layer().with_waiting(0, SECOND).unwrap_err(),
        layer().with_waiting(1, Duration::ZERO).unwrap_err(),
        layer().with_waiting(1, 3_601 * SECOND).unwrap_err(),
        layer().with_max_authorities(0).unwrap_err(),
        layer().with_name("").unwrap_err(),
    ];
    assert_eq!(
        fields.map(|error| error.field()),
        ["queue", "max_wait", "max_wait", "max_authorities", "name"]
    );
    assert_eq!(<OutboundRateLimitLayer as ClientLayer>::Phase::NAME, "outbound_limit");
}

#[tokio::test(start_paused = true)]
async fn grpc_06_a_refused_call_looks_as_from_a_proxy() {
    let layer = OutboundRateLimitLayer::new(rate("1/min")).with_name("stock").unwrap();
    send(&layer).await;
    let service =
        layer.layer(service_fn(async |_: Request<String>| Ok::<_, Infallible>(Response::new(String::new()))));
    let call = Request::post("http://a.example/a.B/C").header("content-type", "application/grpc");
    let refused = service.oneshot(call.body(String::new()).unwrap()).await.unwrap();
    assert_eq!(refused.headers()["grpc-status"], "8");
    assert_eq!(refused.headers()["grpc-retry-pushback-ms"], "60000");
    assert_eq!(refused.extensions().get::<Rejection>().unwrap().quotas()[0].subject, "stock");
}

#[test]
fn an_outbound_limit_keeps_the_contract() {
    // Its refusals are shown above: the suite's requests go to several authorities, which do not share a limit.
    bartizan_testkit::contract(|| OutboundRateLimitLayer::new(rate("100000/s"))).check_client();
}

#[test]
fn an_outbound_limit_that_waits_keeps_the_contract() {
    bartizan_testkit::contract(|| waiting("100000/s", 100, 60)).check_client();
}
