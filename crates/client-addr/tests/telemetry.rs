//! The fault that a missing address is, as operators see it.
#![cfg(feature = "tracing")]

use std::{
    convert::Infallible,
    io::{self, Write},
    net::IpAddr,
    sync::{Arc, Mutex},
};

use bartizan_client_addr::{ClientAddrLayer, MissingAddr};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower::{Layer, ServiceExt};

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is written while each layer gets three requests without an address.
fn written(layers: &[ClientAddrLayer]) -> String {
    let buffer = Buffer::default();
    let writer = buffer.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let inner = tower::service_fn(async |_: Request<()>| {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    });
    tracing::subscriber::with_default(subscriber, || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for layer in layers {
            for _ in 0..3 {
                runtime.block_on(layer.layer(inner).oneshot(Request::new(()))).unwrap();
            }
        }
    });
    let bytes = buffer.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
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
