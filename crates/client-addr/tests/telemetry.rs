//! The fault that a missing address is, as operators see it.
#![cfg(feature = "tracing")]

use std::{
    convert::Infallible,
    io::{self, Write},
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

#[test]
fn a_missing_address_is_reported_once_with_its_fix() {
    let buffer = Buffer::default();
    let writer = buffer.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let inner = tower::service_fn(async |_: Request<()>| {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    });
    tracing::subscriber::with_default(subscriber, || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let layer = ClientAddrLayer::peer();
        for layer in [layer.clone(), layer.with_missing(MissingAddr::Refuse)] {
            for _ in 0..3 {
                runtime.block_on(layer.layer(inner).oneshot(Request::new(()))).unwrap();
            }
        }
    });
    let bytes = buffer.0.lock().unwrap().clone();
    let written = String::from_utf8(bytes).unwrap();
    assert_eq!(written.lines().count(), 1, "{written}");
    for part in ["ERROR", "client_addr", "address", "into_make_service_with_connect_info"] {
        assert!(written.contains(part), "{part} in {written}");
    }
}
