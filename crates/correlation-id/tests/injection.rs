//! No header a caller can send makes a second log line, or puts a control byte into one.

mod support;

use bartizan_core::Fact;
use bartizan_correlation_id::{CorrelationIdLayer, Trust};
use http::{HeaderName, HeaderValue, Request};
use support::send;

/// The ids and facts of one request as a log layer would write them.
fn log_line(seen: &support::Seen) -> String {
    let mut line = serde_json::Map::new();
    line.insert("request_id".into(), seen.request_id().into());
    line.insert("correlation_id".into(), seen.correlation_id().into());
    seen.context.event().read(|facts| {
        for (name, fact) in facts {
            let Fact::Text(text) = fact else { panic!("this layer records texts alone") };
            line.insert((*name).into(), text.as_ref().into());
        }
    });
    serde_json::Value::from(line).to_string()
}

fn check(trust: Trust, values: &[(HeaderName, HeaderValue)]) {
    let mut request = Request::new(());
    for (name, value) in values {
        request.headers_mut().append(name, value.clone());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (seen, response) = runtime.block_on(send(&CorrelationIdLayer::new().with_trust(trust), request));

    let line = log_line(&seen);
    assert!(line.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()), "{line}");
    assert!(line.len() < 2_000, "{line}");
    let id_bytes = |byte: &u8| byte.is_ascii_alphanumeric() || b"._~+/=:@-".contains(byte);
    for name in ["x-request-id", "x-correlation-id"] {
        for value in [seen.header(name).as_slice(), &[response[name].as_bytes()]] {
            let [value] = value else { panic!("{name} is one line") };
            assert!((1..=128).contains(&value.len()) && value.iter().all(id_bytes), "{value:?}");
        }
    }
}

#[test]
fn cid_05_the_known_tricks_make_no_second_line() {
    let long = "x".repeat(10_000);
    for text in ["%0d%0a", "a%0aInjected: 1", "\u{2028}", "\u{2029}", "\u{85}", "\t", "\"}\\", "a\\nb", &long]
    {
        let Ok(value) = HeaderValue::from_bytes(text.as_bytes()) else {
            panic!("{text:?} is a header value")
        };
        for trust in [Trust::Internal, Trust::Edge] {
            for name in ["x-request-id", "x-correlation-id"] {
                check(trust, &[(name.parse().unwrap(), value.clone())]);
            }
        }
    }
    for raw in ["a\r\nb", "a\nb", "\u{1b}[31m", "\0"] {
        assert!(HeaderValue::from_bytes(raw.as_bytes()).is_err(), "the http types let no {raw:?} through");
    }
}

#[test]
fn cid_05_no_header_makes_a_second_line() {
    bolero::check!().with_type::<(bool, Vec<(bool, Vec<u8>)>)>().for_each(|(edge, lines)| {
        let values: Vec<_> = lines
            .iter()
            .filter_map(|(request, bytes)| {
                let name = if *request { "x-request-id" } else { "x-correlation-id" };
                Some((HeaderName::from_static(name), HeaderValue::from_bytes(bytes).ok()?))
            })
            .collect();
        check(if *edge { Trust::Edge } else { Trust::Internal }, &values);
    });
}
