//! What outgoing requests carry.

use std::{
    collections::HashSet,
    convert::Infallible,
    future::{Ready, ready},
    sync::{Arc, Mutex},
};

use bartizan_core::{
    Baggage, Clock, CorrelationId, ManualClock, RequestContext, RequestId, SpanId, TraceContext, TraceId,
};
use bartizan_correlation_id::{ConfigError, LogicalCallLayer, PropagateLayer};
use bartizan_testkit::contract;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use tower::{Layer, ServiceExt, retry::RetryLayer};

const URI: &str = "http://stock.internal/x";

/// A request that is being served, with all that a server's layers can know of it.
fn serving() -> RequestContext {
    let context = RequestContext::of(&mut Request::new(()));
    context.set_request_id(RequestId::new("r-1").unwrap());
    context.set_correlation_id(CorrelationId::new("w-1").unwrap());
    context.set_trace(trace());
    context.set_baggage(baggage("tenant=acme;p=1,session=s3cret,region=eu"));
    context
}

fn trace() -> TraceContext {
    TraceContext::new(
        TraceId::new([0xab; 16]).unwrap(),
        SpanId::new([0xcd; 8]).unwrap(),
        TraceContext::SAMPLED,
    )
    .with_state(HeaderValue::from_static("a=1,b=2"))
}

fn baggage(text: &'static str) -> Baggage {
    Baggage::from_lines([&HeaderValue::from_static(text)]).unwrap()
}

/// What is sent for `request`.
async fn send(layer: &PropagateLayer, request: Request<()>) -> HeaderMap {
    let far = tower::service_fn(async |request: Request<()>| {
        Ok::<_, Infallible>(Response::new(request.into_parts().0.headers))
    });
    layer.layer(far).oneshot(request).await.unwrap().into_body()
}

fn within(context: &RequestContext) -> http::request::Builder {
    Request::get(URI).extension(context.clone())
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Vec<&'a str> {
    headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect()
}

/// Trace id, parent id and flags of the one `traceparent`.
#[track_caller]
fn parent(headers: &HeaderMap) -> (String, String, String) {
    let [line] = text(headers, "traceparent")[..] else { panic!("one line: {headers:?}") };
    let [version, trace, parent, flags] = line.split('-').collect::<Vec<_>>()[..] else { panic!("{line}") };
    assert_eq!((version, trace.len(), parent.len(), flags.len()), ("00", 32, 16, 2), "{line}");
    (trace.into(), parent.into(), flags.into())
}

#[test]
fn lay_03_the_layers_keep_the_contract_of_a_client() {
    contract(PropagateLayer::new).check_client();
    contract(LogicalCallLayer::new).check_client();
    contract(|| {
        PropagateLayer::new()
            .with_overwrite(true)
            .with_baggage(["tenant"])
            .and_then(|layer| layer.with_authorities(["elsewhere.example"]))
            .unwrap()
    })
    .check_client();
}

#[tokio::test]
async fn cid_04_a_call_carries_the_ids_and_the_trace_of_the_request_being_served() {
    let context = serving();
    let sent = send(&PropagateLayer::new(), within(&context).body(()).unwrap()).await;
    assert_eq!(text(&sent, "x-request-id"), ["r-1"]);
    assert_eq!(text(&sent, "x-correlation-id"), ["w-1"]);
    assert_eq!(text(&sent, "tracestate"), ["a=1,b=2"]);
    assert!(!sent.contains_key("baggage"), "none is sent unless allowed");
    let (trace, span, flags) = parent(&sent);
    assert_eq!((trace, flags), ("ab".repeat(16), "01".into()));
    assert_ne!(span, "cd".repeat(8));
}

#[tokio::test]
async fn cid_04_nothing_else_of_the_request_being_served_goes_out() {
    let mut received = Request::get("/")
        .header("connection", "x-request-id, close")
        .header("te", "trailers")
        .header("authorization", "Bearer s3cret")
        .header("cookie", "session=s3cret")
        .body(())
        .unwrap();
    let context = RequestContext::of(&mut received);
    context.set_request_id(RequestId::new("r-1").unwrap());
    context.set_trace(trace());
    let sent = send(&PropagateLayer::new(), within(&context).header("accept", "*/*").body(()).unwrap()).await;
    let names: HashSet<_> = sent.keys().map(http::HeaderName::as_str).collect();
    assert_eq!(
        names,
        HashSet::from(["accept", "x-request-id", "x-correlation-id", "traceparent", "tracestate"])
    );
}

#[tokio::test]
async fn lay_05_a_request_that_is_sent_on_leaves_behind_what_was_meant_for_its_connection() {
    let forward = PropagateLayer::new().with_overwrite(true);
    let received = |te: &'static str| {
        within(&serving())
            .header("connection", "x-secret, TE")
            .header("connection", "Keep-Alive,, bad name, close")
            .header("x-secret", "1")
            .header("keep-alive", "timeout=5")
            .header("proxy-connection", "keep-alive")
            .header("transfer-encoding", "chunked")
            .header("upgrade", "websocket")
            .header("te", te)
            .header("accept", "*/*")
            .body(())
            .unwrap()
    };
    for (te, kept) in [("trailers", true), ("Trailers", true), ("gzip, trailers", false)] {
        let sent = send(&forward, received(te)).await;
        let names: HashSet<_> = sent.keys().map(http::HeaderName::as_str).collect();
        let mut expected =
            HashSet::from(["accept", "x-request-id", "x-correlation-id", "traceparent", "tracestate"]);
        if kept {
            expected.insert("te");
        }
        assert_eq!(names, expected, "{te}");
    }
    // To where nothing of ours goes, that does not go either.
    let elsewhere = forward.with_authorities(["elsewhere.example"]).unwrap();
    assert!(!send(&elsewhere, received("gzip")).await.contains_key("x-secret"));
    // What a client asks of its own connection is its own affair.
    let own =
        send(&PropagateLayer::new(), within(&serving()).header("connection", "close").body(()).unwrap())
            .await;
    assert_eq!(own["connection"], "close");
}

#[tokio::test]
async fn cid_04_headers_have_the_names_that_were_asked_for() {
    let layer = PropagateLayer::new().with_headers("x-acme-request", Some("x-acme-workflow")).unwrap();
    let sent = send(&layer, within(&serving()).body(()).unwrap()).await;
    assert_eq!((text(&sent, "x-acme-request"), text(&sent, "x-acme-workflow")), (vec!["r-1"], vec!["w-1"]));
    assert!(!sent.contains_key("x-request-id") && !sent.contains_key("x-correlation-id"));
    let one = PropagateLayer::new().with_headers("x-request-id", None).unwrap();
    let sent = send(&one, within(&serving()).body(()).unwrap()).await;
    assert_eq!(text(&sent, "x-request-id"), ["r-1"]);
    assert!(!sent.contains_key("x-correlation-id"));
}

#[tokio::test]
async fn trc_04_each_request_sent_has_a_new_parent_id() {
    let (layer, context) = (PropagateLayer::new(), serving());
    let mut spans = HashSet::new();
    for _ in 0..100 {
        let (trace, span, _) = parent(&send(&layer, within(&context).body(()).unwrap()).await);
        assert_eq!(trace, "ab".repeat(16));
        assert_ne!(span, "0".repeat(16));
        assert!(spans.insert(span));
    }
}

#[tokio::test]
async fn trc_03_the_random_flag_is_sent_as_it_was_received_and_set_on_new_traces() {
    let layer = PropagateLayer::new();
    for flags in 0..=3 {
        let context = RequestContext::of(&mut Request::new(()));
        context.set_trace(TraceContext::new(trace().trace_id(), trace().span_id(), flags));
        let sent = send(&layer, within(&context).body(()).unwrap()).await;
        assert_eq!(parent(&sent).2, format!("0{flags}"));
    }
    for (layer, flags) in [(layer.clone(), "03"), (layer.with_sampled_share(0.0).unwrap(), "02")] {
        assert_eq!(parent(&send(&layer, Request::get(URI).body(()).unwrap()).await).2, flags);
    }
}

#[tokio::test]
async fn a_share_of_the_new_traces_is_sampled() {
    let bad = |error: ConfigError| assert_eq!(error, ConfigError::SampledShare);
    bad(PropagateLayer::new().with_sampled_share(1.5).unwrap_err());
    bad(LogicalCallLayer::new().with_sampled_share(f64::NAN).unwrap_err());
    let none = LogicalCallLayer::new().with_sampled_share(0.0).unwrap();
    let attempts = three_attempts(Some(none), Request::get(URI).body(()).unwrap()).await;
    assert!(attempts.iter().all(|sent| parent(sent).2 == "02"));
}

#[tokio::test]
async fn trc_06_a_tracestate_of_512_characters_is_sent_whole() {
    let state = format!("a={},b={}", "x".repeat(250), "y".repeat(257));
    assert_eq!(state.len(), 512);
    let context = RequestContext::of(&mut Request::new(()));
    context.set_trace(trace().with_state(HeaderValue::from_str(&state).unwrap()));
    let sent = send(&PropagateLayer::new(), within(&context).body(()).unwrap()).await;
    assert_eq!(text(&sent, "tracestate"), [state]);
}

#[tokio::test]
async fn trc_08_only_allowed_baggage_is_sent_and_only_whole_members() {
    let context = serving();
    for (keys, expected) in [
        (vec![], vec![]),
        (vec!["tenant"], vec!["tenant=acme;p=1"]),
        (vec!["region", "tenant"], vec!["tenant=acme;p=1,region=eu"]),
        (vec!["tenant", "session", "region"], vec!["tenant=acme;p=1,session=s3cret,region=eu"]),
        (vec!["Tenant", "ten", "other"], vec![]),
    ] {
        let layer = PropagateLayer::new().with_baggage(keys.iter().copied()).unwrap();
        let sent = send(&layer, within(&context).body(()).unwrap()).await;
        assert_eq!(text(&sent, "baggage"), expected, "{keys:?}");
    }
    let by_hand = within(&context).header("baggage", "mine=1").body(()).unwrap();
    let layer = PropagateLayer::new().with_baggage(["tenant"]).unwrap();
    assert_eq!(text(&send(&layer, by_hand).await, "baggage"), ["mine=1"]);
    for bad in ["", "a b", "a=1", "ä"] {
        let error = PropagateLayer::new().with_baggage(["good", bad]).unwrap_err();
        assert_eq!(error, ConfigError::BaggageKey(bad.into()));
        assert!(error.to_string().starts_with("baggage: "), "{error}");
    }
}

#[tokio::test]
async fn what_the_caller_set_by_hand_stays() {
    let (layer, context) = (PropagateLayer::new(), serving());
    let own = "00-11111111111111111111111111111111-2222222222222222-00";

    let sent = send(&layer, within(&context).header("x-request-id", "mine").body(()).unwrap()).await;
    assert_eq!((text(&sent, "x-request-id"), text(&sent, "x-correlation-id")), (vec!["mine"], vec!["w-1"]));

    let sent = send(&layer, within(&context).header("x-correlation-id", "mine").body(()).unwrap()).await;
    assert_eq!((text(&sent, "x-request-id"), text(&sent, "x-correlation-id")), (vec!["r-1"], vec!["mine"]));

    let sent = send(&layer, within(&context).header("traceparent", own).body(()).unwrap()).await;
    assert_eq!(text(&sent, "traceparent"), [own]);
    assert!(!sent.contains_key("tracestate"), "ours speaks of another trace");

    let request = within(&context).header("traceparent", own).header("tracestate", "c=3");
    let sent = send(&layer, request.body(()).unwrap()).await;
    assert_eq!((text(&sent, "traceparent"), text(&sent, "tracestate")), (vec![own], vec!["c=3"]));

    let sent = send(&layer, within(&context).header("tracestate", "c=3").body(()).unwrap()).await;
    assert_eq!((parent(&sent).0, text(&sent, "tracestate")), ("ab".repeat(16), vec!["c=3"]));
}

#[tokio::test]
async fn a_proxy_sends_its_own_in_place_of_what_it_received() {
    let layer = PropagateLayer::new().with_overwrite(true).with_authorities(["stock.internal"]).unwrap();
    let received = |request: http::request::Builder| {
        let request = request
            .header("x-request-id", "old-1")
            .header("x-request-id", "old-2")
            .header("x-correlation-id", "old")
            .header("traceparent", "00-11111111111111111111111111111111-2222222222222222-00")
            .header("tracestate", "old=1")
            .header("baggage", "session=s3cret")
            .header("accept", "*/*");
        request.body(()).unwrap()
    };
    let sent = send(&layer, received(within(&serving()))).await;
    assert_eq!((text(&sent, "x-request-id"), text(&sent, "x-correlation-id")), (vec!["r-1"], vec!["w-1"]));
    assert_eq!((parent(&sent).0, text(&sent, "tracestate")), ("ab".repeat(16), vec!["a=1,b=2"]));
    assert!(!sent.contains_key("baggage"));

    let fresh = send(&layer, received(Request::get(URI))).await;
    assert!(!fresh.contains_key("tracestate"), "a new trace has none");
    assert_eq!(text(&fresh, "x-request-id"), text(&fresh, "x-correlation-id"));

    let elsewhere = send(&layer, received(Request::get("http://elsewhere.example/"))).await;
    assert_eq!(elsewhere.keys().collect::<Vec<_>>(), ["accept"]);
}

/// A request with these headers and as many more as a map can hold.
fn full(given: &[(&'static str, &'static str)]) -> Request<()> {
    let mut request = within(&serving()).body(()).unwrap();
    let headers = request.headers_mut();
    for (name, value) in given {
        headers.insert(*name, HeaderValue::from_static(value));
    }
    for n in 0.. {
        let name = http::HeaderName::try_from(format!("x-{n}")).unwrap();
        if headers.try_insert(name, HeaderValue::from_static("")).is_err() {
            break;
        }
    }
    request
}

#[tokio::test]
async fn cid_04_headers_that_hold_no_more_names_are_no_reason_to_fail_or_to_keep_what_must_go() {
    let names = full(&[]).headers().keys_len();
    let sent = send(&PropagateLayer::new(), full(&[])).await;
    assert_eq!(sent.keys_len(), names);
    assert!(!sent.contains_key("x-request-id"));

    let layer = PropagateLayer::new().with_overwrite(true);
    let old = "00-11111111111111111111111111111111-2222222222222222-00";
    let sent = send(&layer, full(&[("x-request-id", "old"), ("traceparent", old)])).await;
    assert_eq!((text(&sent, "x-request-id"), parent(&sent).0), (vec!["r-1"], "ab".repeat(16)));
}

#[tokio::test]
async fn nothing_goes_to_an_authority_that_is_not_listed() {
    let layer = PropagateLayer::new().with_baggage(["tenant"]).unwrap();
    let layer = layer.with_authorities(["Stock.internal", "billing.internal:8443"]).unwrap();
    for (uri, listed) in [
        (URI, true),
        ("https://billing.internal:8443/", true),
        ("https://billing.internal/", false),
        ("https://stock.internal.example/", false),
        ("/no-authority", false),
    ] {
        let request = Request::get(uri).extension(serving()).header("x-request-id", "mine").body(()).unwrap();
        let sent = send(&layer, request).await;
        assert_eq!(text(&sent, "x-request-id"), ["mine"], "{uri}");
        assert_eq!(sent.contains_key("traceparent"), listed, "{uri}");
        assert_eq!(sent.contains_key("baggage"), listed, "{uri}");
    }
}

#[tokio::test]
async fn cid_01_a_call_outside_of_any_request_is_its_own_workflow() {
    let layer = PropagateLayer::new();
    let mut seen = HashSet::new();
    for _ in 0..10 {
        let sent = send(&layer, Request::get(URI).body(()).unwrap()).await;
        let id = text(&sent, "x-request-id")[0];
        assert_eq!(uuid::Uuid::parse_str(id).unwrap().get_version_num(), 7);
        assert_eq!(text(&sent, "x-correlation-id"), [id]);
        assert!(!sent.contains_key("tracestate"));
        assert!(seen.insert((id.to_owned(), parent(&sent).0)));
    }
    let sent = send(&layer, Request::get(URI).header("x-request-id", "mine").body(()).unwrap()).await;
    assert_eq!(text(&sent, "x-correlation-id"), ["mine"]);

    let manual = ManualClock::new();
    let layer = layer
        .with_generator(|clock: &Clock| {
            let since = clock.wall().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap();
            RequestId::new(format!("at-{}", since.as_secs())).unwrap()
        })
        .with_clock(Clock::from(manual.clone()));
    let now = Clock::from(manual).wall().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap();
    let sent = send(&layer, Request::get(URI).body(()).unwrap()).await;
    assert_eq!(text(&sent, "x-request-id"), [format!("at-{}", now.as_secs())]);
}

#[tokio::test]
async fn what_only_one_server_layer_knows_is_completed() {
    let layer = PropagateLayer::new();
    let ids_alone = RequestContext::of(&mut Request::new(()));
    ids_alone.set_request_id(RequestId::new("r-1").unwrap());
    let first = send(&layer, within(&ids_alone).body(()).unwrap()).await;
    assert_eq!((text(&first, "x-request-id"), text(&first, "x-correlation-id")), (vec!["r-1"], vec!["r-1"]));
    let second = send(&layer, within(&ids_alone).body(()).unwrap()).await;
    assert_ne!(parent(&first).0, parent(&second).0);

    let trace_alone = RequestContext::of(&mut Request::new(()));
    trace_alone.set_trace(trace());
    let sent = send(&layer, within(&trace_alone).body(()).unwrap()).await;
    assert_eq!(parent(&sent).0, "ab".repeat(16));
    assert_eq!(text(&sent, "x-request-id")[0].len(), 36);
}

/// Retries until the answer is good, with clones that keep the extensions.
#[derive(Clone)]
struct UntilGood;

impl<E> tower::retry::Policy<Request<()>, Response<()>, E> for UntilGood {
    type Future = Ready<()>;

    fn retry(&mut self, _: &mut Request<()>, result: &mut Result<Response<()>, E>) -> Option<Ready<()>> {
        result.as_ref().is_ok_and(|response| !response.status().is_success()).then(|| ready(()))
    }

    fn clone_request(&mut self, request: &Request<()>) -> Option<Request<()>> {
        Some(request.clone())
    }
}

/// What the three attempts of one call carry, the first two of which fail.
async fn three_attempts(outside: Option<LogicalCallLayer>, request: Request<()>) -> [HeaderMap; 3] {
    let attempts = Arc::new(Mutex::new(Vec::new()));
    let far = tower::service_fn({
        let attempts = Arc::clone(&attempts);
        move |request: Request<()>| {
            let mut attempts = attempts.lock().unwrap();
            attempts.push(request.into_parts().0.headers);
            let status = if attempts.len() < 3 { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
            ready(Ok::<_, Infallible>(Response::builder().status(status).body(()).unwrap()))
        }
    });
    let retried = RetryLayer::new(UntilGood).layer(PropagateLayer::new().layer(far));
    let response = match outside {
        Some(layer) => layer.layer(retried).oneshot(request).await,
        None => retried.oneshot(request).await,
    };
    assert_eq!(response.unwrap().status(), StatusCode::OK);
    let attempts = std::mem::take(&mut *attempts.lock().unwrap());
    attempts.try_into().unwrap()
}

fn count<T: Eq + std::hash::Hash>(attempts: &[HeaderMap; 3], what: impl Fn(&HeaderMap) -> T) -> usize {
    attempts.iter().map(what).collect::<HashSet<_>>().len()
}

#[tokio::test]
async fn obs_04_each_http_attempt_has_its_own_parent_id() {
    let known = three_attempts(None, within(&serving()).body(()).unwrap()).await;
    assert_eq!(count(&known, |sent| parent(sent).1), 3);
    assert_eq!(count(&known, |sent| parent(sent).0), 1);
    for request in [Request::get(URI), within(&serving())] {
        let request = request.body(()).unwrap();
        let attempts = three_attempts(Some(LogicalCallLayer::new()), request).await;
        assert_eq!(count(&attempts, |sent| parent(sent).1), 3);
        assert_eq!(count(&attempts, |sent| parent(sent).0), 1);
        assert_eq!(count(&attempts, |sent| text(sent, "x-request-id")[0].to_owned()), 1);
    }
}

#[tokio::test]
async fn obs_05_the_attempts_of_a_grpc_call_are_one_span() {
    let grpc = || Request::post(URI).header("content-type", "application/grpc");
    for request in [grpc(), grpc().extension(serving())] {
        let request = request.body(()).unwrap();
        let attempts = three_attempts(Some(LogicalCallLayer::new()), request.clone()).await;
        assert_eq!(count(&attempts, parent), 1);
        assert_eq!(count(&attempts, |sent| text(sent, "x-request-id")[0].to_owned()), 1);
        let other = three_attempts(Some(LogicalCallLayer::new()), request).await;
        assert_ne!(parent(&attempts[0]).1, parent(&other[0]).1, "another call is another span");
    }
}

#[tokio::test]
async fn an_outer_logical_call_is_the_one_that_counts() {
    let id = |name: &'static str| move |_: &Clock| RequestId::new(name).unwrap();
    let inner = LogicalCallLayer::new().with_generator(id("inner"));
    let far = tower::service_fn(async |request: Request<()>| {
        Ok::<_, Infallible>(Response::new(request.into_parts().0.headers))
    });
    let both = LogicalCallLayer::new()
        .with_generator(id("outer"))
        .with_clock(Clock::from(ManualClock::new()))
        .layer(inner.layer(PropagateLayer::new().layer(far)));
    let sent = both.oneshot(Request::get(URI).body(()).unwrap()).await.unwrap().into_body();
    assert_eq!(text(&sent, "x-request-id"), ["outer"]);
}

#[tokio::test]
async fn settings_are_shown_and_belong_to_one_layer() {
    let first = PropagateLayer::new();
    let second = first.clone().with_overwrite(true).with_authorities(["a:1"]).unwrap();
    let shown = format!("{second:?}");
    assert!(shown.contains("overwrite: true") && shown.contains("\"a\""), "{shown}");
    assert!(format!("{first:?}").contains("overwrite: false"), "{first:?}");
}

#[cfg(feature = "scope")]
mod scope {
    use bartizan_core::{Scoped, in_scope};

    use super::*;

    #[tokio::test]
    async fn cid_04_a_call_from_within_the_scope_needs_no_extension() {
        let layer = PropagateLayer::new();
        let ask = |layer: &PropagateLayer| {
            let layer = layer.clone();
            async move {
                let sent = send(&layer, Request::get(URI).body(()).unwrap()).await;
                (text(&sent, "x-request-id")[0].to_owned(), parent(&sent).0)
            }
        };
        let served = Scoped::new(serving(), async {
            let here = ask(&layer).await;
            let carried = tokio::spawn(in_scope(ask(&layer))).await.unwrap();
            let plain = tokio::spawn(ask(&layer)).await.unwrap();
            (here, carried, plain)
        });
        let (here, carried, plain) = served.await;
        assert_eq!(here, ("r-1".into(), "ab".repeat(16)));
        assert_eq!(carried, here);
        assert_ne!(plain.0, "r-1");
        assert_ne!(plain.1, "ab".repeat(16));
    }

    #[tokio::test]
    async fn a_context_that_knows_nothing_does_not_hide_the_request_being_served() {
        let empty = RequestContext::of(&mut Request::new(()));
        let layer = PropagateLayer::new();
        let sent = Scoped::new(serving(), send(&layer, within(&empty).body(()).unwrap())).await;
        assert_eq!(text(&sent, "x-request-id"), ["r-1"]);
        let other = RequestContext::of(&mut Request::new(()));
        other.set_request_id(RequestId::new("r-2").unwrap());
        let sent = Scoped::new(serving(), send(&layer, within(&other).body(()).unwrap())).await;
        assert_eq!(text(&sent, "x-request-id"), ["r-2"], "the request's own goes first");
    }

    #[tokio::test]
    async fn cid_04_attempts_made_by_another_task_find_the_request() {
        let attempt = PropagateLayer::new().layer(tower::service_fn(async |request: Request<()>| {
            Ok::<_, Infallible>(Response::new(request.into_parts().0.headers))
        }));
        let elsewhere = tower::service_fn(move |request: Request<()>| {
            let attempt = attempt.clone();
            async move { tokio::spawn(attempt.oneshot(request)).await.unwrap() }
        });
        let call = LogicalCallLayer::new().layer(elsewhere);
        let sent = Scoped::new(serving(), async {
            call.oneshot(Request::get(URI).body(()).unwrap()).await.unwrap().into_body()
        });
        assert_eq!(text(&sent.await, "x-request-id"), ["r-1"]);
    }
}
