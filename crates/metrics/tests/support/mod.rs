//! What the tests of this crate share.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part of it")]

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
};

use bartizan_metrics::MetricsLayer;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::{Body, Frame};
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use tower::Service;

/// A recorder that can be asked what it has got.
#[derive(Clone)]
pub struct Recorded {
    pub recorder: Arc<TestRecorder>,
    snapshotter: Snapshotter,
}

/// `metrics-util`'s, but for gauges, which that one resets when it is looked at.
pub struct TestRecorder {
    rest: DebuggingRecorder,
    gauges: Mutex<BTreeMap<String, Arc<AtomicU64>>>,
}

impl Recorder for TestRecorder {
    fn describe_counter(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.rest.describe_counter(key, unit, description);
    }

    fn describe_gauge(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.rest.describe_gauge(key, unit, description);
    }

    fn describe_histogram(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.rest.describe_histogram(key, unit, description);
    }

    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> Counter {
        self.rest.register_counter(key, metadata)
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        assert_eq!(key.labels().len(), 0);
        Gauge::from_arc(Arc::clone(self.gauges.lock().unwrap().entry(key.name().to_owned()).or_default()))
    }

    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> Histogram {
        self.rest.register_histogram(key, metadata)
    }
}

/// One series: its labels as `name=value`, joined by a comma, in their order.
pub type Series = BTreeMap<String, DebugValue>;

impl Recorded {
    pub fn new() -> Self {
        let recorder = DebuggingRecorder::new();
        let snapshotter = recorder.snapshotter();
        Self { snapshotter, recorder: Arc::new(TestRecorder { rest: recorder, gauges: Mutex::default() }) }
    }

    pub fn layer(&self) -> MetricsLayer {
        MetricsLayer::new().with_recorder(Arc::clone(&self.recorder)).with_active_requests(true)
    }

    /// The series of a metric, since it was last looked at.
    pub fn series(&self, metric: &str) -> Series {
        let all = self.snapshotter.snapshot().into_vec().into_iter();
        all.filter(|(key, ..)| key.key().name() == metric)
            .map(|(key, _, _, value)| {
                let labels = key.key().labels().map(|label| format!("{}={}", label.key(), label.value()));
                (labels.collect::<Vec<_>>().join(","), value)
            })
            .collect()
    }

    /// The labels of all series of a metric.
    pub fn labels(&self, metric: &str) -> Vec<String> {
        self.series(metric).into_keys().collect()
    }

    pub fn active(&self) -> f64 {
        let gauges = self.recorder.gauges.lock().unwrap();
        f64::from_bits(gauges[bartizan_metrics::HTTP_SERVER_ACTIVE_REQUESTS].load(Ordering::SeqCst))
    }

    pub fn count(&self) -> usize {
        self.snapshotter.snapshot().into_vec().len()
    }
}

pub fn values(value: &DebugValue) -> Vec<f64> {
    match value {
        DebugValue::Histogram(values) => values.iter().map(|value| value.0).collect(),
        other => panic!("{other:?}"),
    }
}

pub fn get(path: &str) -> Request<()> {
    Request::get(path).body(()).unwrap()
}

pub fn grpc(path: &str) -> Request<()> {
    Request::post(path).header("content-type", "application/grpc").body(()).unwrap()
}

/// What a gRPC service answers: messages, then a status in the trailers.
pub fn grpc_answer(messages: &[&'static str], status: &'static str) -> Response<Frames> {
    let trailers = HeaderMap::from_iter([("grpc-status".parse().unwrap(), HeaderValue::from_static(status))]);
    let body = Frames::new(messages, Some(trailers), Last::End);
    Response::builder().header("content-type", "application/grpc").body(body).unwrap()
}

/// Polls once, with a waker that does nothing.
pub fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// Calls a service that is always ready.
pub fn call<S, R>(service: &mut S, request: R) -> S::Future
where
    S: Service<R>,
{
    assert!(service.poll_ready(&mut Context::from_waker(Waker::noop())).is_ready());
    service.call(request)
}

/// One request from beginning to end, for services and bodies that never wait.
pub fn request<S, R, B>(service: &mut S, request: R)
where
    S: Service<R, Response = Response<B>, Future: Unpin, Error: std::fmt::Debug>,
    B: Body + Unpin,
{
    let Poll::Ready(response) = poll(&mut call(service, request)) else { panic!("ready at once") };
    let mut body = response.unwrap().into_body();
    let mut cx = Context::from_waker(Waker::noop());
    while let Poll::Ready(Some(Ok(_))) = Pin::new(&mut body).poll_frame(&mut cx) {}
}

/// A body of given frames, then its end, an error or nothing ever more.
pub struct Frames {
    frames: VecDeque<Frame<Bytes>>,
    last: Last,
}

#[derive(Clone, Copy, PartialEq)]
pub enum Last {
    End,
    Error,
    Never,
}

impl Frames {
    pub fn new(data: &[&'static str], trailers: Option<HeaderMap>, last: Last) -> Self {
        let data = data.iter().map(|text| Frame::data(Bytes::from_static(text.as_bytes())));
        Self { frames: data.chain(trailers.map(Frame::trailers)).collect(), last }
    }
}

impl Body for Frames {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match (self.frames.pop_front(), self.last) {
            (Some(frame), _) => Poll::Ready(Some(Ok(frame))),
            (None, Last::End) => Poll::Ready(None),
            (None, Last::Error) => Poll::Ready(Some(Err(io::Error::other("broken")))),
            (None, Last::Never) => Poll::Pending,
        }
    }
}
