//! What is done about a response that breaks its schema.

use bartizan_core::RequestContext;
use bartizan_testkit::{TestBody, TestError};
use bartizan_validate::{JsonLimits, OtherMedia, ResponseMode};
use http::{Request, Response, StatusCode};
use serde_json::{Value, json as value};

use crate::support::{Seen, ask, client, get, json, schema, server};

const GOOD: &str = r#"{ "id": 7 }"#;
const BAD: &str = r#"{"email":"s3cret@example.com","s3cret2":1}"#;

/// A refusal in which nothing of the response is left.
#[track_caller]
fn assert_refused(seen: &Seen, status: u16, code: &str) {
    assert_eq!(seen.status(), status);
    let problem: Value = serde_json::from_str(&seen.text()).unwrap();
    assert_eq!(problem["code"], code);
    assert_eq!(problem.get("errors"), None);
    assert!(!seen.text().contains("s3cret") && !seen.text().contains("email"), "{}", seen.text());
    assert!(seen.response.headers().get("set-cookie").is_none());
    assert!(!seen.cause().contains("@example.com") && !seen.told.contains("@example.com"));
}

#[tokio::test]
async fn val_08_a_good_response_goes_on_as_it_is() {
    for seen in [get(&server(), json(GOOD)).await, get(&client(), json(GOOD)).await] {
        assert_eq!((seen.status(), seen.text()), (200, GOOD.to_owned()));
        assert_eq!(seen.response.headers()["set-cookie"], "s3cret");
    }
}

#[tokio::test]
async fn val_08_a_servers_broken_response_is_a_500_that_says_nothing() {
    let seen = get(&server(), json(BAD)).await;
    assert_refused(&seen, 500, "internal");
    assert!(
        seen.cause().contains("# required") && seen.cause().contains("#/email max_length"),
        "{}",
        seen.cause()
    );
    assert!(seen.told.contains("#/email max_length"), "{}", seen.told);
    assert_refused(&get(&server(), json(r#"{"id":1,"id":2}"#)).await, 500, "internal");
    assert_refused(&get(&server(), json("")).await, 500, "internal");
    assert_refused(&get(&server(), json(r#"{"id":1e999}"#)).await, 500, "internal");
}

#[tokio::test]
async fn val_08_an_upstreams_broken_response_is_a_502_with_its_pointers_in_the_log_only() {
    let seen = get(&client(), json(BAD)).await;
    assert_refused(&seen, 502, "bad_gateway");
    assert!(seen.cause().contains("#/email max_length"), "{}", seen.cause());

    let mut call = Request::new(());
    let mut inbound = Request::builder().header("content-type", "application/grpc").body(()).unwrap();
    call.extensions_mut().insert(RequestContext::of(&mut inbound));
    let seen = ask(&client(), call, json(BAD)).await;
    assert_refused(&seen, 502, "bad_gateway");

    let page = || {
        let page = Response::builder().header("content-type", "text/html");
        page.body(TestBody::full("<h1>s3cret</h1>")).unwrap()
    };
    assert_refused(&get(&client(), page()).await, 502, "bad_gateway");
    assert_eq!(get(&client().with_other_media(OtherMedia::Pass), page()).await.status(), 200);
    assert_eq!(get(&server(), page()).await.status(), 200, "a server's layer may stand around many routes");
}

#[tokio::test]
async fn val_08_log_mode_lets_pass_and_tells() {
    let seen = get(&server().with_mode(ResponseMode::Log), json(BAD)).await;
    assert_eq!((seen.status(), seen.text()), (200, BAD.to_owned()));
    assert_eq!(seen.response.headers()["set-cookie"], "s3cret");
    assert!(seen.told.contains("#/email max_length") && !seen.told.contains("@example"), "{}", seen.told);
}

#[tokio::test]
async fn val_08_off_reads_nothing() {
    let (sender, body) = TestBody::channel();
    let response = json("").map(|_| body);
    let layer = server().with_mode(ResponseMode::Off);
    let ask = tokio::spawn(async move { get(&layer, response).await });
    sender.data("{");
    sender.finish();
    assert_eq!(ask.await.unwrap().text(), "{");
}

#[tokio::test]
async fn val_08_what_is_over_the_cap_passes_unchecked_in_log_mode_and_is_refused_in_enforce_mode() {
    const LONG: &str = r#"{ "id": 7000000000 }"#;
    let limits = JsonLimits::new().with_max_body(16).unwrap();
    let enforce = server().with_limits(limits);
    let log = enforce.clone().with_mode(ResponseMode::Log);
    let announced = || json(LONG);
    // In pieces, and without a length: only reading shows that it is too much.
    let pieces = || {
        let (sender, body) = TestBody::channel();
        for piece in LONG.as_bytes().chunks(6) {
            sender.data(piece.to_vec());
        }
        sender.finish();
        json("").map(|_| body)
    };
    for response in [announced as fn() -> _, pieces] {
        let seen = get(&log, response()).await;
        assert_eq!((seen.status(), seen.text()), (200, LONG.to_owned()));
        assert!(seen.told.contains("content_too_large"), "{}", seen.told);
        let seen = get(&enforce, response()).await;
        assert_refused(&seen, 500, "internal");
        assert!(seen.cause().contains("content_too_large"));
    }
}

#[tokio::test]
async fn val_08_a_body_that_fails_is_no_document() {
    let failing = || {
        let (sender, body) = TestBody::channel();
        sender.data("{");
        sender.fail(TestError::new("reset"));
        json("").map(|_| body)
    };
    assert_refused(&get(&client(), failing()).await, 502, "bad_gateway");
    let seen = get(&client().with_mode(ResponseMode::Log), failing()).await;
    assert_eq!((seen.status(), seen.text(), seen.failed), (200, "{".to_owned(), true));
}

#[tokio::test]
async fn val_08_each_status_has_its_schema() {
    let error = bartizan_validate::JsonSchema::new(&value!({ "required": ["code"] })).unwrap();
    let layer = server().with_status(StatusCode::NOT_FOUND, error).with_status(StatusCode::CREATED, schema());
    let status = |status: u16, body: &'static str| {
        let mut response = json(body);
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        response
    };
    for (code, body, expected) in [
        (201, GOOD, 201),
        (201, BAD, 500),
        (202, BAD, 500),
        (404, r#"{"code":1}"#, 404),
        (404, "{}", 500),
        (400, "{}", 400),
        (301, "{}", 301),
    ] {
        assert_eq!(get(&layer, status(code, body)).await.status(), expected, "{code} {body}");
    }
}

#[tokio::test]
async fn val_08_a_part_of_the_responses_is_checked() {
    let layer = server().with_sample(0.25).unwrap();
    let mut refused = 0;
    for _ in 0..400 {
        refused += usize::from(get(&layer, json(BAD)).await.status() == 500);
    }
    // Ten standard deviations around 100.
    assert!((14..=186).contains(&refused), "{refused}");
    for part in [0.0, -1.0, 1.1, f64::NAN, f64::INFINITY] {
        assert!(server().with_sample(part).unwrap_err().to_string().starts_with("sample: "));
    }
}

#[cfg(feature = "decompress")]
#[tokio::test]
async fn val_08_a_compressed_response_is_checked_as_it_is_meant_and_goes_on_as_it_was_sent() {
    use std::io::Write as _;

    let gzip = |text: &str| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        let bytes = encoder.finish().unwrap();
        let mut response = json(bytes.clone());
        response.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
        (bytes, response)
    };
    let (bytes, response) = gzip(GOOD);
    let seen = get(&client(), response).await;
    assert_eq!((seen.status(), &seen.response.body()[..]), (200, &bytes[..]));
    assert_eq!(seen.response.headers()["content-encoding"], "gzip");
    assert_refused(&get(&client(), gzip(BAD).1).await, 502, "bad_gateway");

    let mut unknown = json(GOOD);
    unknown.headers_mut().insert("content-encoding", "zip".parse().unwrap());
    assert_refused(&get(&client(), unknown).await, 502, "bad_gateway");
}

#[cfg(feature = "metrics")]
#[tokio::test]
async fn obs_09_broken_responses_are_counted_by_code() {
    use metrics_util::debugging::{DebugValue, DebuggingRecorder};

    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let layer = server().with_recorder(recorder).with_mode(ResponseMode::Log);
    get(&layer, json(GOOD)).await;
    get(&layer, json(BAD)).await;
    let mut series: Vec<_> = snapshotter
        .snapshot()
        .into_vec()
        .into_iter()
        .map(|(key, _, _, value)| {
            let labels: Vec<_> = key.key().labels().map(|label| label.value().to_owned()).collect();
            let DebugValue::Counter(value) = value else { panic!("only counters") };
            (labels.join(" "), value)
        })
        .collect();
    series.sort();
    let expected = ["additional_properties", "max_length", "required"];
    assert_eq!(series, expected.map(|code| (format!("response {code}"), 1)));
}
