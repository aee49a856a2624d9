//! The layer, on virtual time.

mod cost;
mod handle;
mod keys;
mod outcomes;
mod recovery;
mod refusals;
mod share;
mod telemetry;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bartizan_circuit_breaker::{BreakerPolicy, CircuitBreakerLayer, State};
use bartizan_core::{Clock, ManualClock};
use bartizan_testkit::{Inner, Script, TestBody, TestError};
use http::{Request, Response, StatusCode};
use tower::{Layer, Service, ServiceExt};

const SECOND: Duration = Duration::from_secs(1);
const HOST: &str = "http://supplier.internal/quotes/7";
const KEY: &str = "supplier.internal";

/// An upstream that answers with the status it was told.
struct Upstream {
    script: Script,
    status: Arc<Mutex<u16>>,
}

impl Upstream {
    fn new(status: u16) -> Self {
        let status = Arc::new(Mutex::new(status));
        let says = Arc::clone(&status);
        let script = Script::answering(move |_| {
            let status = *says.lock().unwrap();
            async move { Ok(Response::builder().status(status).body(TestBody::empty()).unwrap()) }
        });
        Self { script, status }
    }

    fn says(&self, status: u16) {
        *self.status.lock().unwrap() = status;
    }

    fn calls(&self) -> usize {
        self.script.called()
    }

    /// One call through `layer`, to the end of its body.
    async fn call<L, B>(&self, layer: &L, uri: &str) -> StatusCode
    where
        L: Layer<Inner>,
        L::Service: Service<Request<TestBody>, Response = Response<B>, Error = TestError>,
    {
        let request = Request::get(uri).body(TestBody::empty()).unwrap();
        layer.layer(self.script.service()).oneshot(request).await.unwrap().status()
    }
}

/// A layer whose breakers open with the first failure and have one probe, and its time.
fn touchy() -> (CircuitBreakerLayer, ManualClock) {
    let time = ManualClock::new();
    let policy = BreakerPolicy::consecutive(1).and_then(|policy| policy.with_probes(1)).unwrap();
    (CircuitBreakerLayer::new(policy).with_clock(Clock::from(time.clone())), time)
}

fn state<K, F>(layer: &CircuitBreakerLayer<K, F>) -> State {
    layer.handle().breaker(KEY).state()
}
