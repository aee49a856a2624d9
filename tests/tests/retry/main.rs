//! Retries over real sockets: servers that reset, half-answer, refuse and go away get exactly the attempts that the
//! rules allow. The servers count.

mod grpc;
mod hedge;
mod http1;
mod http2;

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bartizan::retry::{Attempts, Backoff, RetryLayer};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{Full, combinators::BoxBody};

/// Counts what a server got.
#[derive(Clone, Debug, Default)]
struct Count(Arc<AtomicUsize>);

impl Count {
    /// One more; says which it is, from 1.
    fn next(&self) -> usize {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }

    fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

fn quick() -> RetryLayer {
    RetryLayer::new().with_backoff(Backoff::none())
}

fn request(method: &str, uri: String, body: &'static str) -> Request<BoxBody<Bytes, Infallible>> {
    Request::builder().method(method).uri(uri).body(BoxBody::new(Full::from(body))).unwrap()
}

fn attempts<B>(response: &Response<B>) -> u32 {
    response.extensions().get::<Attempts>().map_or(1, |attempts| attempts.get())
}
