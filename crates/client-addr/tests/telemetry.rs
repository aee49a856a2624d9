//! The fault that a missing address is, as operators see it.
#![cfg(feature = "tracing")]

use std::{convert::Infallible, net::IpAddr};

use bartizan_client_addr::{ClientAddrLayer, MissingAddr};
use bartizan_testkit::TestLog;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower::{Layer, ServiceExt};

/// What is written while each layer gets three requests without an address.
fn written(layers: &[ClientAddrLayer]) -> String {
    let inner = tower::service_fn(async |_: Request<()>| {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    });
    let log = TestLog::default();
    let _guard = log.listen(tracing::Level::INFO);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for layer in layers {
        for _ in 0..3 {
            runtime.block_on(layer.layer(inner).oneshot(Request::new(()))).unwrap();
        }
    }
    log.text()
}

#[test]
fn a_missing_address_is_reported_once_with_its_fix() {
    let layer = ClientAddrLayer::peer();
    let written = written(&[layer.clone(), layer.with_missing(MissingAddr::Refuse)]);
    assert_eq!(written.lines().count(), 1, "{written}");
    for part in ["ERROR", "client_addr", "address", "into_make_service_with_connect_info", "with_peer_from"] {
        assert!(written.contains(part), "{part} in {written}");
    }
}

#[test]
fn a_missing_extension_is_reported_by_its_name() {
    #[derive(Clone)]
    struct Accepted(IpAddr);

    let written = written(&[ClientAddrLayer::peer().with_peer_from(|accepted: &Accepted| Some(accepted.0))]);
    assert_eq!(written.lines().count(), 1, "{written}");
    for part in ["ERROR", "client_addr", "Accepted", "let the server insert that extension"] {
        assert!(written.contains(part), "{part} in {written}");
    }
}
