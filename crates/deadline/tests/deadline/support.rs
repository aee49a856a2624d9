//! What the tests share.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use bartizan_core::{Clock, TimeSource};
use http::{Request, Response};

/// The clock that tokio sleeps by.
struct TokioTime;

impl TimeSource for TokioTime {
    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }

    fn wall(&self) -> SystemTime {
        Clock::system().wall()
    }
}

pub(crate) fn clock() -> Clock {
    Clock::new(TokioTime)
}

pub(crate) const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// How long `future` takes, to the tenth of a second.
pub(crate) async fn timed<T>(future: impl Future<Output = T>) -> (T, Duration) {
    let begin = tokio::time::Instant::now();
    let output = future.await;
    (output, Duration::from_millis(begin.elapsed().as_millis() as u64 / 100 * 100))
}

/// Says whether what holds it was dropped.
#[derive(Clone, Default)]
pub(crate) struct Dropped(Arc<AtomicBool>);

impl Dropped {
    pub(crate) fn guard(&self) -> impl Drop + Send + use<> {
        struct Guard(Arc<AtomicBool>);
        impl Drop for Guard {
            fn drop(&mut self) {
                self.0.store(true, Ordering::SeqCst);
            }
        }
        Guard(Arc::clone(&self.0))
    }

    pub(crate) fn is(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

pub(crate) fn get(headers: &[(&'static str, &str)]) -> Request<String> {
    let builder =
        headers.iter().fold(Request::get("/"), |request, (name, value)| request.header(*name, *value));
    builder.body(String::new()).unwrap()
}

pub(crate) fn grpc(headers: &[(&'static str, &str)]) -> Request<String> {
    let mut request = get(headers);
    *request.method_mut() = http::Method::POST;
    request.headers_mut().insert("content-type", http::HeaderValue::from_static("application/grpc"));
    request
}

pub(crate) fn grpc_status<B>(response: &Response<B>) -> &str {
    response.headers().get("grpc-status").map_or("", |status| status.to_str().unwrap())
}
