//! What becomes of the trace of a request, by rule.

mod support;

use std::collections::HashSet;

use bartizan_core::{Baggage, Fact, RequestContext, TraceContext};
use bartizan_correlation_id::{ConfigError, TraceContextLayer, Trust};
use http::{HeaderName, HeaderValue, Request};
use support::{Seen, fill, request, send};

const TRACE: &str = "12345678901234567890123456789012";
const PARENT: &str = "1234567890123456";

fn layer() -> TraceContextLayer {
    TraceContextLayer::new()
}

fn edge() -> TraceContextLayer {
    layer().with_trust(Trust::Edge)
}

async fn seen(layer: &TraceContextLayer, headers: &[(&str, &str)]) -> Seen {
    send(layer, request(headers)).await.0
}

fn trace(seen: &Seen) -> &TraceContext {
    seen.context.trace().expect("every request has one")
}

fn state(seen: &Seen) -> Option<&str> {
    trace(seen).state().map(|state| state.to_str().unwrap())
}

fn parent(flags: &str) -> String {
    format!("00-{TRACE}-{PARENT}-{flags}")
}

fn continued(seen: &Seen) -> bool {
    let trace = trace(seen);
    let same = trace.trace_id().to_string() == TRACE;
    assert_eq!(trace.parent_id().map(|id| id.to_string()), same.then(|| PARENT.to_owned()));
    assert_ne!(trace.span_id().to_string(), PARENT);
    same
}

#[tokio::test]
async fn trc_01_a_valid_trace_goes_on_under_a_span_of_our_own() {
    let sent = parent("01");
    let seen = seen(&layer(), &[("traceparent", &sent), ("tracestate", "foo=1,bar=2")]).await;
    assert!(continued(&seen));
    assert_eq!(state(&seen), Some("foo=1,bar=2"));
    assert_eq!(seen.header("traceparent"), [sent.as_bytes()], "what is good stays");
    assert_eq!(seen.header("tracestate"), [b"foo=1,bar=2"]);
    assert_eq!(seen.context.event().read(<[_]>::len), 0);
}

#[tokio::test]
async fn trc_01_an_invalid_parent_restarts_the_trace_and_drops_its_state() {
    let good = parent("01");
    for (lines, why) in [
        ([good.replace("12-", "1A-")].as_slice(), "malformed"),
        (&[good.replacen("00", "ff", 1)], "malformed"),
        (&[format!("{good}-more")], "malformed"),
        (&[format!("00-{}-{PARENT}-01", "0".repeat(32))], "malformed"),
        (&[String::new()], "malformed"),
        (&[good.clone(), good.clone()], "several"),
    ] {
        let mut headers: Vec<_> = lines.iter().map(|line| ("traceparent", line.as_str())).collect();
        headers.push(("tracestate", "foo=1"));
        let seen = seen(&layer(), &headers).await;
        assert!(!continued(&seen), "{lines:?}");
        assert_eq!(trace(&seen).flags(), TraceContext::SAMPLED | TraceContext::RANDOM);
        assert_eq!(state(&seen), None);
        for name in ["traceparent", "tracestate"] {
            assert!(seen.header(name).is_empty(), "nobody further in may go on with it");
        }
        assert_eq!(seen.fact("trace_context.restarted"), Some(Fact::from(why)));
        assert_eq!(seen.context.event().read(<[_]>::len), 1, "the original is told nobody");
    }
}

#[tokio::test]
async fn trc_02_a_version_to_come_goes_on_as_version_00() {
    for rest in ["", "-what-the-future-will-be-like"] {
        let sent = format!("{}{rest}", parent("01").replacen("00", "cc", 1));
        let seen = seen(&layer(), &[("traceparent", &sent)]).await;
        assert!(continued(&seen));
        let span = trace(&seen).span_id();
        assert_eq!(trace(&seen).traceparent(span), format!("00-{TRACE}-{span}-01").as_str());
    }
    let sent = format!("{}.x", parent("01").replacen("00", "cc", 1));
    assert!(!continued(&seen(&layer(), &[("traceparent", &sent)]).await));
}

#[tokio::test]
async fn trc_03_the_random_flag_stays_as_it_came_and_is_set_on_new_traces() {
    for (received, kept) in [("00", 0), ("01", 1), ("02", 2), ("03", 3), ("ff", 3), ("f8", 0)] {
        let seen = seen(&layer(), &[("traceparent", &parent(received))]).await;
        assert!(continued(&seen));
        assert_eq!(trace(&seen).flags(), kept, "{received}");
    }
    let unsampled = layer().with_sampled_share(0.0).unwrap();
    assert_eq!(trace(&seen(&unsampled, &[]).await).flags(), TraceContext::RANDOM);
}

#[tokio::test]
async fn trc_04_every_request_gets_a_span_of_its_own() {
    let mut spans = HashSet::new();
    let mut traces = HashSet::new();
    for _ in 0..100 {
        let seen = seen(&layer(), &[("traceparent", &parent("01"))]).await;
        spans.insert(trace(&seen).span_id());
        let seen = self::seen(&layer(), &[]).await;
        traces.insert(trace(&seen).trace_id());
        spans.insert(trace(&seen).span_id());
    }
    assert_eq!((spans.len(), traces.len()), (200, 100));
}

#[tokio::test]
async fn trc_04_state_without_a_parent_says_nothing() {
    let seen = seen(&layer(), &[("tracestate", "foo=1")]).await;
    assert!(!continued(&seen));
    assert_eq!(state(&seen), None);
    assert!(seen.header("tracestate").is_empty());
    assert!(seen.header("traceparent").is_empty(), "a request is not written to");
}

#[tokio::test]
async fn trc_05_a_bad_state_is_dropped_and_the_trace_goes_on() {
    let parent = parent("01");
    for bad in ["FOO=1", "foo=1,foo.bar=2", "foo=,bar=3", "foo=bar=baz"] {
        let seen =
            seen(&layer(), &[("traceparent", &parent), ("tracestate", bad), ("tracestate", "a=1")]).await;
        assert!(continued(&seen));
        assert_eq!(state(&seen), None, "{bad}");
        assert!(seen.header("tracestate").is_empty());
        assert_eq!(seen.header("traceparent"), [parent.as_bytes()]);
        assert_eq!(seen.fact("trace_context.state_dropped"), Some(Fact::from(true)));
    }
}

#[tokio::test]
async fn trc_05_lines_are_combined_in_order() {
    let parent = parent("01");
    let headers = [
        ("traceparent", parent.as_str()),
        ("tracestate", "foo=1,bar=2"),
        ("tracestate", ""),
        ("tracestate", "baz=3"),
    ];
    assert_eq!(state(&seen(&layer(), &headers).await), Some("foo=1,bar=2,baz=3"));
}

#[tokio::test]
async fn trc_05_our_own_entry_is_leftmost_and_once() {
    let ours = layer().with_state_entry("us", "new").unwrap();
    let parent = parent("01");
    for (headers, expected) in [
        ([("traceparent", parent.as_str()), ("tracestate", "a=1,us=old")].as_slice(), "us=new,a=1"),
        (&[("traceparent", parent.as_str()), ("tracestate", "A=1")], "us=new"),
        (&[("traceparent", parent.as_str())], "us=new"),
        (&[("traceparent", "bad"), ("tracestate", "a=1")], "us=new"),
        (&[], "us=new"),
    ] {
        assert_eq!(state(&seen(&ours, headers).await), Some(expected), "{headers:?}");
    }
    assert_eq!(
        state(&seen(&ours.with_trust(Trust::Edge), &[("traceparent", &parent)]).await),
        Some("us=new")
    );
}

#[tokio::test]
async fn trc_06_a_long_state_is_cut_by_whole_entries() {
    let long = (0..20).map(|n| format!("k{n}={}", "v".repeat(40))).collect::<Vec<_>>().join(",");
    let parent = parent("01");
    let seen = seen(&layer(), &[("traceparent", &parent), ("tracestate", &long)]).await;
    let kept = state(&seen).unwrap();
    assert!(kept.len() <= 512 && kept.len() > 512 - 45, "{}", kept.len());
    assert!(long.starts_with(&format!("{kept},")));
    assert_eq!(seen.header("tracestate"), [long.as_bytes()], "a parent that stays has its state");
}

#[tokio::test]
async fn trc_07_at_the_edge_every_trace_is_restarted() {
    let parent = parent("03");
    let headers = [("traceparent", parent.as_str()), ("tracestate", "foo=1"), ("baggage", "tenant=acme")];
    let none = edge().with_sampled_share(0.0).unwrap();
    let seen = seen(&none, &headers).await;
    assert!(!continued(&seen));
    assert_eq!(trace(&seen).flags(), TraceContext::RANDOM, "the caller's flag does not count");
    assert_eq!((state(&seen), seen.context.baggage()), (None, None));
    for (name, _) in headers {
        assert!(seen.header(name).is_empty(), "{name}");
    }
    assert_eq!(seen.fact("trace_context.restarted"), Some(Fact::from("untrusted")));
    assert_eq!(seen.fact("trace_context.original_parent"), Some(Fact::from(parent.clone())));

    let honoured = self::seen(&none.with_caller_sampling(true), &headers).await;
    assert!(!continued(&honoured) && trace(&honoured).is_sampled());

    let bad = self::seen(&edge(), &[("traceparent", "bad")]).await;
    assert_eq!(bad.fact("trace_context.restarted"), Some(Fact::from("untrusted")));
    assert_eq!(bad.fact("trace_context.original_parent"), None);
}

#[tokio::test]
async fn trc_07_the_flag_of_a_caller_may_be_ignored_while_its_trace_goes_on() {
    for (share, sampled) in [(0.0, false), (1.0, true)] {
        let own = layer().with_sampled_share(share).unwrap().with_caller_sampling(false);
        for flags in ["00", "01", "02", "03"] {
            let seen = seen(&own, &[("traceparent", &parent(flags))]).await;
            assert!(continued(&seen));
            assert_eq!(trace(&seen).is_sampled(), sampled);
            assert_eq!(trace(&seen).flags() & TraceContext::RANDOM != 0, flags >= "02");
        }
    }
    let half = layer().with_sampled_share(0.5).unwrap().with_caller_sampling(false);
    let mut sampled = 0;
    for _ in 0..1_000 {
        sampled += usize::from(trace(&seen(&half, &[("traceparent", &parent("00"))]).await).is_sampled());
    }
    assert!((350..650).contains(&sampled), "{sampled} of 1000: not what the caller's trace id says");
}

#[tokio::test]
async fn trc_08_baggage_is_read_with_or_without_a_trace() {
    for headers in [&[("baggage", "a=1;p,b=2")][..], &[("traceparent", "bad"), ("baggage", "a=1;p,b=2")]] {
        let seen = seen(&layer(), headers).await;
        assert_eq!(seen.context.baggage().unwrap().as_str(), "a=1;p,b=2");
        assert_eq!(seen.header("baggage"), [b"a=1;p,b=2"]);
    }
    assert_eq!(seen(&layer(), &[]).await.context.baggage(), None);
}

#[tokio::test]
async fn trc_08_nobody_further_in_sees_what_is_no_baggage() {
    let too_long = format!("k={}", "v".repeat(Baggage::MAX_BYTES));
    for (lines, kept) in [
        (["a=1,b"].as_slice(), Some("a=1")),
        (&["a=1", "b"], Some("a=1")),
        (&["a=1", "b=2"], Some("a=1,b=2")),
        (&["b", "a b=1"], None),
        (&[too_long.as_str()], None),
    ] {
        let headers: Vec<_> = lines.iter().map(|line| ("baggage", *line)).collect();
        let mut sent = request(&headers);
        fill(&mut sent);
        let (seen, _) = send(&layer(), sent).await;
        assert_eq!(seen.context.baggage().map(Baggage::as_str), kept);
        assert_eq!(seen.header("baggage"), kept.map(str::as_bytes).as_slice(), "{lines:?}");
    }
}

#[tokio::test]
async fn trc_08_baggage_is_told_to_no_log() {
    let seen = seen(&layer(), &[("baggage", "session=s3cret")]).await;
    assert_eq!(seen.context.event().read(<[_]>::len), 0);
    assert!(!format!("{:?} {:?}", seen.context, seen.context.baggage()).contains("s3cret"));
}

#[tokio::test]
async fn one_request_has_one_place_however_many_layers_give_it() {
    let (sent, both) = (parent("01"), (layer(), edge()));
    let seen = send(&both, request(&[("traceparent", &sent)])).await.0;
    assert!(continued(&seen));
    assert_eq!(seen.header("traceparent"), [sent.as_bytes()]);
}

#[tokio::test]
async fn the_response_is_not_written_to() {
    let (_, response) = send(&layer(), request(&[("traceparent", &parent("01"))])).await;
    assert!(response.is_empty());
}

#[test]
fn lay_06_what_can_never_work_fails_where_it_is_set() {
    for share in [-0.5, 1.5, f64::NAN] {
        let error = layer().with_sampled_share(share).unwrap_err();
        assert_eq!(error, ConfigError::SampledShare);
        assert!(error.to_string().starts_with("sampled_share: "), "{error}");
    }
    for (key, value) in [("", "1"), ("Us", "1"), ("us", "a,b"), ("us", ""), ("us", &"v".repeat(126))] {
        let error = layer().with_state_entry(key, value).unwrap_err();
        assert!(error.to_string().starts_with("state_entry: "), "{error}");
    }
}

#[test]
fn trc_01_no_headers_make_more_of_a_place_than_it_may_be() {
    let names = [TRACEPARENT, TRACESTATE, BAGGAGE];
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    bolero::check!().with_type::<(bool, Vec<(u8, Vec<u8>)>)>().for_each(|(at_edge, lines)| {
        let mut sent = Request::new(());
        for (name, value) in lines {
            if let Ok(value) = HeaderValue::from_bytes(value) {
                sent.headers_mut().append(&names[usize::from(*name) % names.len()], value);
            }
        }
        let layer = if *at_edge { edge() } else { layer() };
        check(&runtime.block_on(send(&layer, sent)).0.context);
    });
}

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
const BAGGAGE: HeaderName = HeaderName::from_static("baggage");

/// Whatever came, what is sent on and logged is short and printable.
fn check(context: &RequestContext) {
    let trace = context.trace().unwrap();
    let state = trace.state().map_or("", |state| state.to_str().unwrap());
    let baggage = context.baggage().map_or("", Baggage::as_str);
    assert!(state.len() <= 512 && baggage.len() <= Baggage::MAX_BYTES);
    let printable = |text: &str| text.bytes().all(|byte| matches!(byte, b'\t' | b' '..=b'~'));
    assert!(printable(state) && printable(baggage));
    context.event().read(|facts| {
        for (name, fact) in facts {
            let text = match fact {
                Fact::Text(text) => text.as_ref(),
                _ => "",
            };
            assert!(printable(text) && !text.contains('\t') && text.len() <= 55, "{name}: {text}");
        }
    });
}
