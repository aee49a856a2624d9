//! The cases of the W3C suite that matter most, over real sockets: strict, Level 2.

mod support;

use std::collections::HashSet;

use support::Harness;

const TRACE: &str = "12345678901234567890123456789012";
const SPAN: &str = "1234567890123456";
const GOOD: &str = "00-12345678901234567890123456789012-1234567890123456-01";

#[tokio::test]
async fn trc_01_without_a_parent_a_trace_begins() {
    let harness = Harness::start().await;
    let (first, second) = (harness.ask_one(&[]).await.parent(), harness.ask_one(&[]).await.parent());
    assert_ne!(first.trace, second.trace);
    assert_eq!(first.flags, "03", "sampled, and random");
}

#[tokio::test]
async fn trc_04_a_valid_parent_goes_on_with_a_new_parent_id() {
    let harness = Harness::start().await;
    for name in ["traceparent", "TraceParent", "TrAcEpArEnT", "TRACEPARENT"] {
        for flags in ["00", "01", "02", "03"] {
            let value = format!("00-{TRACE}-{SPAN}-{flags}");
            let parent = harness.ask_one(&[(name, &value)]).await.parent();
            assert_eq!((parent.trace.as_str(), parent.flags.as_str()), (TRACE, flags), "{name}");
            assert_ne!(parent.span, SPAN);
        }
    }
    for blank in [format!(" {GOOD}"), format!("\t{GOOD}"), format!("{GOOD} "), format!("\t {GOOD} \t")] {
        assert_eq!(harness.ask_one(&[("traceparent", &blank)]).await.parent().trace, TRACE, "{blank:?}");
    }
}

#[tokio::test]
async fn trc_03_unknown_flags_are_not_sent_on() {
    let harness = Harness::start().await;
    for (received, sent) in [("ff", "03"), ("fe", "02"), ("fd", "01"), ("04", "00")] {
        let value = format!("00-{TRACE}-{SPAN}-{received}");
        assert_eq!(harness.ask_one(&[("traceparent", &value)]).await.parent().flags, sent);
    }
}

#[tokio::test]
async fn trc_01_an_invalid_parent_restarts_the_trace_and_drops_its_state() {
    let harness = Harness::start().await;
    let zeros = ("0".repeat(32), "0".repeat(16));
    for bad in [
        format!("{GOOD}."),
        format!("{GOOD}-what-the-future-will-be-like"),
        format!("ff-{TRACE}-{SPAN}-01"),
        format!(".0-{TRACE}-{SPAN}-01"),
        format!("0.-{TRACE}-{SPAN}-01"),
        format!("000-{TRACE}-{SPAN}-01"),
        format!("0-{TRACE}-{SPAN}-01"),
        format!("00-{}-{SPAN}-01", zeros.0),
        format!("00-{TRACE}-{}-01", zeros.1),
        format!("00-.{}-{SPAN}-01", &TRACE[1..]),
        format!("00-{}.-{SPAN}-01", &TRACE[1..]),
        format!("00-{TRACE}3-{SPAN}-01"),
        format!("00-{}-{SPAN}-01", &TRACE[1..]),
        format!("00-{TRACE}-.{}-01", &SPAN[1..]),
        format!("00-{TRACE}-{SPAN}7-01"),
        format!("00-{TRACE}-{}-01", &SPAN[1..]),
        format!("00-{TRACE}-{SPAN}-.0"),
        format!("00-{TRACE}-{SPAN}-0."),
        format!("00-{TRACE}-{SPAN}-001"),
        format!("00-{TRACE}-{SPAN}-1"),
        format!("00-{}-{SPAN}-01", "ABCDEFABCDEFABCDEFABCDEFABCDEFAB"),
        format!("{GOOD},{GOOD}"),
        String::new(),
    ] {
        let sent = harness.ask_one(&[("traceparent", &bad), ("tracestate", "foo=1")]).await;
        let parent = sent.parent();
        assert!(!bad.contains(&parent.trace), "{bad}");
        assert_ne!(parent.span, SPAN);
        assert_eq!(sent.state(), [""; 0], "{bad}");
    }
    for name in ["trace-parent", "trace.parent"] {
        assert_ne!(harness.ask_one(&[(name, GOOD)]).await.parent().trace, TRACE);
    }
}

#[tokio::test]
async fn trc_01_two_parents_are_none() {
    let harness = Harness::start().await;
    let other = format!("00-{}-{SPAN}-01", "a".repeat(32));
    for second in [GOOD, &other] {
        let headers = [("traceparent", GOOD), ("traceparent", second), ("tracestate", "foo=1")];
        let sent = harness.ask_one(&headers).await;
        assert!(![TRACE, &"a".repeat(32)].contains(&sent.parent().trace.as_str()));
        assert_eq!(sent.state(), [""; 0]);
    }
}

#[tokio::test]
async fn trc_02_a_higher_version_is_read_by_its_first_four_fields() {
    let harness = Harness::start().await;
    for (rest, goes_on) in [
        ("", true),
        ("-", true),
        ("-what-the-future-will-be-like", true),
        (".what-the-future-will-be-like", false),
        (".x", false),
        ("1", false),
    ] {
        for version in ["01", "cc", "fe"] {
            let value = format!("{version}-{TRACE}-{SPAN}-01{rest}");
            let parent = harness.ask_one(&[("traceparent", &value)]).await.parent();
            assert_eq!(parent.trace == TRACE, goes_on, "{value}");
        }
    }
}

#[tokio::test]
async fn trc_04_each_outgoing_call_has_a_parent_id_of_its_own() {
    let harness = Harness::start().await;
    for headers in [vec![("traceparent", GOOD)], vec![("traceparent", "00-nonsense")], vec![]] {
        let parents = harness.ask::<3>(&headers).await.map(|call| call.parent());
        let traces: HashSet<_> = parents.iter().map(|parent| &parent.trace).collect();
        let spans: HashSet<_> = parents.iter().map(|parent| parent.span.as_str()).chain([SPAN]).collect();
        assert_eq!((traces.len(), spans.len()), (1, 4));
        assert_eq!(traces.contains(&TRACE.to_owned()), headers.contains(&("traceparent", GOOD)));
    }
}

/// The members that are sent on for these lines of `tracestate`, with a valid parent.
async fn state(harness: &Harness, lines: &[&str]) -> Vec<String> {
    let lines = lines.iter().map(|line| ("tracestate", *line));
    let sent = harness.ask_one(&[("traceparent", GOOD)].into_iter().chain(lines).collect::<Vec<_>>()).await;
    assert_eq!(sent.parent().trace, TRACE, "a bad state is no reason to leave the trace");
    sent.state()
}

#[tokio::test]
async fn trc_05_a_state_goes_on_in_order_over_all_its_lines() {
    let harness = Harness::start().await;
    for (lines, sent) in [
        (vec!["foo=1,bar=2"], vec!["foo=1", "bar=2"]),
        (
            vec!["foo=1,bar=2", "rojo=1,congo=2", "baz=3"],
            vec!["foo=1", "bar=2", "rojo=1", "congo=2", "baz=3"],
        ),
        (vec!["foo=1", ""], vec!["foo=1"]),
        (vec!["", "foo=1"], vec!["foo=1"]),
        (vec!["foo=1,,bar=2,"], vec!["foo=1", "bar=2"]),
        (vec!["foo=1 \t , \t bar=2, \t baz=3"], vec!["foo=1", "bar=2", "baz=3"]),
        (vec!["foo=1\t \t,\t \tbar=2"], vec!["foo=1", "bar=2"]),
        (vec!["\t foo=1 \t"], vec!["foo=1"]),
        (vec![""], vec![]),
        (vec!["foo=1,foo=2"], vec!["foo=1"]),
        (vec!["foo=1", "bar=2,foo=3"], vec!["foo=1", "bar=2"]),
        (vec!["0foo@bar@baz=1,a@=2"], vec!["0foo@bar@baz=1", "a@=2"]),
    ] {
        assert_eq!(state(&harness, &lines).await, sent, "{lines:?}");
    }
    let key = "abcdefghijklmnopqrstuvwxyz0123456789_-*/@a-z0-9_-*/";
    let value: String = (' '..='~').filter(|char| !",=".contains(*char)).collect();
    assert_eq!(state(&harness, &[&format!("{key}={value}")]).await, [format!("{key}={value}")]);
    let wrong_name = [("traceparent", GOOD), ("trace-state", "foo=1"), ("trace.state", "foo=1")];
    assert_eq!(harness.ask_one(&wrong_name).await.state(), [""; 0]);
    for name in ["TraceState", "TrAcEsTaTe", "TRACESTATE"] {
        assert_eq!(harness.ask_one(&[("traceparent", GOOD), (name, "foo=1")]).await.state(), ["foo=1"]);
    }
    assert_eq!(harness.ask_one(&[("tracestate", "foo=1")]).await.state(), [""; 0], "without a parent");
}

#[tokio::test]
async fn trc_05_an_invalid_state_is_dropped_whole() {
    let harness = Harness::start().await;
    let long_key = format!("bar=1,{}=1", "k".repeat(257));
    let long_value = format!("bar=1,k={}", "v".repeat(257));
    for bad in [
        "foo =1,bar=2",
        "FOO=1,bar=2",
        "foo.bar=1,bar=2",
        "@foo=1,bar=2",
        "_foo=1,bar=2",
        "foo,bar=2",
        "=1,bar=2",
        "foo=,bar=2",
        "foo=bar=baz,bar=2",
        &long_key,
        &long_value,
    ] {
        assert_eq!(state(&harness, &[bad]).await, [""; 0], "{bad}");
    }
}

#[tokio::test]
async fn trc_05_and_trc_06_the_limits_of_a_state() {
    let harness = Harness::start().await;
    let members: Vec<String> = (0..33).map(|index| format!("bar{index:02}={index:02}")).collect();
    assert_eq!(state(&harness, &[&members[..32].join(",")]).await, members[..32]);
    assert_eq!(state(&harness, &[&members[..16].join(","), &members[16..32].join(",")]).await, members[..32]);
    assert_eq!(state(&harness, &[&members.join(",")]).await, [""; 0]);
    let longest = [format!("{}=1", "z".repeat(256)), format!("k={}", "v".repeat(250))];
    assert!(longest.join(",").len() >= 509);
    assert_eq!(state(&harness, &[&longest.join(",")]).await, longest);
}

#[tokio::test]
async fn cid_04_both_ids_reach_the_called_and_the_arguments_are_its_body() {
    let harness = Harness::start().await;
    let ids = [("x-request-id", "r-1"), ("x-correlation-id", "w-1")];
    let sent = harness.ask_one(&ids).await;
    assert_eq!(sent.headers["x-request-id"], "r-1");
    assert_eq!(sent.headers["x-correlation-id"], "w-1");
    assert_eq!(sent.body, "[]");
    assert_eq!(sent.headers["content-type"], "application/json");
}

#[tokio::test]
async fn a_call_may_ask_for_calls_in_one_trace() {
    let harness = Harness::start().await;
    let (service, back) = (harness.service, harness.callbacks);
    let inner = format!(r#"{{"url":"http://{back}/callback/end","arguments":[]}}"#);
    let body = format!(r#"[{{"url":"http://{service}/test","arguments":[{inner}]}}]"#);
    assert_eq!(harness.send(&[("traceparent", GOOD)], &body).await.0, 200);
    let end = harness.taken("end");
    assert_eq!(end.parent().trace, TRACE);
}

#[tokio::test]
async fn what_is_read_is_bounded_and_checked_before_the_first_call() {
    let harness = Harness::start().await;
    let call = |url: &str| format!(r#"{{"url":"{url}","arguments":[]}}"#);
    let good = call(&format!("http://{}/callback/0", harness.callbacks));
    let large = format!(r#"[{{"url":"{}","arguments":"{}"}}]"#, "http://a/", "x".repeat(65 * 1024));
    for (body, status) in [
        ("[]".to_owned(), 200),
        ("[oops".to_owned(), 400),
        ("{}".to_owned(), 422),
        (r#"[{"arguments":[]}]"#.to_owned(), 422),
        (format!("[{good},{}]", call("/no/host")), 422),
        (format!("[{good},{}]", call("ftp://a/")), 422),
        (format!("[{}]", vec![good.as_str(); 33].join(",")), 422),
        (large, 413),
    ] {
        let (answered, answer) = harness.send(&[], &body).await;
        assert_eq!(answered, status, "{answer}");
        assert!(status == 200 || answer.contains("application/problem+json"), "{answer}");
    }
    assert!(!harness.was_called(), "no call of a bad request is made");
}

#[tokio::test]
async fn a_call_that_cannot_be_made_is_a_bad_gateway() {
    let harness = Harness::start().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gone = listener.local_addr().unwrap();
    drop(listener);
    let (status, answer) = harness.send(&[], &format!(r#"[{{"url":"http://{gone}/"}}]"#)).await;
    assert_eq!(status, 502, "{answer}");
    assert!(!answer.contains(&gone.to_string()));
}

/// Time is not real here: it jumps to the next deadline once nothing else is left to do.
#[tokio::test(start_paused = true)]
async fn a_call_that_takes_too_long_is_given_up() {
    let harness = Harness::start().await;
    let body = format!(r#"[{{"url":"http://{}/never","arguments":[]}}]"#, harness.callbacks);
    let (status, answer) = harness.send(&[], &body).await;
    assert_eq!(status, 504, "{answer}");
}
