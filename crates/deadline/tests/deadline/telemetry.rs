//! The metrics: names, labels and values are API.

use std::{collections::BTreeMap, convert::Infallible, future::pending};

use bartizan_deadline::{
    OutboundTimeoutLayer, RequestBodyTimeoutLayer, TimedRequestBody, TimeoutLayer, Timeouts,
};
use bartizan_testkit::TestBody;
use http::{Request, Response};
use http_body_util::BodyExt;
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use tower::{Layer, ServiceExt, service_fn};

use crate::support::{clock, get, grpc, secs};

fn series(snapshotter: &Snapshotter) -> BTreeMap<String, u64> {
    let snapshot = snapshotter.snapshot().into_vec();
    snapshot
        .into_iter()
        .filter_map(|(key, _, _, value)| {
            let labels: Vec<_> =
                key.key().labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
            let DebugValue::Counter(value) = value else { panic!("there are counters alone") };
            (value > 0).then_some((format!("{}{{{}}}", key.key().name(), labels.join(",")), value))
        })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn obs_09_what_takes_too_long_is_counted_by_layer_and_stage() {
    let never = service_fn(|_: Request<String>| pending::<Result<Response<TestBody>, Infallible>>());
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let timeouts = Timeouts::new(secs(5)).unwrap().with_idle(secs(2)).unwrap();
    let layer = TimeoutLayer::with_timeouts(timeouts).with_clock(clock()).with_recorder(recorder);
    layer.layer(never).oneshot(get(&[])).await.unwrap();
    layer.layer(never).oneshot(grpc(&[("grpc-timeout", "0S")])).await.unwrap();
    layer.layer(never).oneshot(grpc(&[("grpc-timeout", "x")])).await.unwrap();
    layer.layer(never).oneshot(get(&[("x-request-deadline", "-1")])).await.unwrap();
    let resting =
        service_fn(async |_: Request<String>| Ok::<_, Infallible>(Response::new(TestBody::channel().1)));
    let hold = service_fn(async |_: Request<String>| {
        let (sender, body) = TestBody::channel();
        tokio::spawn(async move {
            // A frame each second: it never rests, and never ends.
            loop {
                tokio::time::sleep(secs(1)).await;
                if sender.is_dropped() {
                    return;
                }
                sender.data("x");
            }
        });
        Ok::<_, Infallible>(Response::new(body))
    });
    assert!(layer.layer(resting).oneshot(get(&[])).await.unwrap().collect().await.is_err());
    assert!(layer.layer(hold).oneshot(get(&[])).await.unwrap().collect().await.is_err());

    let expected = [
        ("bartizan_deadline_exceeded_total{layer=timeout,stage=arrival}", 1),
        ("bartizan_deadline_exceeded_total{layer=timeout,stage=head}", 3),
        ("bartizan_deadline_exceeded_total{layer=timeout,stage=idle}", 1),
        ("bartizan_deadline_exceeded_total{layer=timeout,stage=body}", 1),
        ("bartizan_deadline_ignored_total{header=grpc-timeout}", 1),
        ("bartizan_deadline_ignored_total{header=x-request-deadline}", 1),
    ];
    assert_eq!(series(&snapshotter), expected.map(|(name, value)| (name.to_owned(), value)).into());
}

#[tokio::test(start_paused = true)]
async fn obs_09_other_layers_count_under_their_own_names() {
    let never = service_fn(|_: Request<String>| pending::<Result<Response<String>, Infallible>>());
    let count = |recorder: DebuggingRecorder| (recorder.snapshotter(), recorder);
    let (total, recorder) = count(DebuggingRecorder::new());
    let layer = OutboundTimeoutLayer::total(secs(1)).unwrap().with_recorder(recorder);
    layer.layer(never).oneshot(get(&[])).await.unwrap();
    let (attempt, recorder) = count(DebuggingRecorder::new());
    let layer = OutboundTimeoutLayer::per_attempt(secs(1)).unwrap().with_recorder(recorder);
    layer.layer(never).oneshot(get(&[])).await.unwrap();
    let (slow, recorder) = count(DebuggingRecorder::new());
    let reader = service_fn(async |request: Request<TimedRequestBody<TestBody>>| {
        let _ = request.into_body().collect().await;
        Ok::<_, Infallible>(Response::new(String::new()))
    });
    let (_sender, body) = TestBody::channel();
    let layer = RequestBodyTimeoutLayer::new().with_recorder(recorder);
    layer.layer(reader).oneshot(Request::new(body)).await.unwrap();
    for (snapshotter, name) in [
        (total, "bartizan_deadline_exceeded_total{layer=outbound_timeout,stage=head}"),
        (attempt, "bartizan_deadline_exceeded_total{layer=attempt_timeout,stage=head}"),
        (slow, "bartizan_deadline_exceeded_total{layer=request_body_timeout,stage=request_body}"),
    ] {
        assert_eq!(series(&snapshotter), [(name.to_owned(), 1)].into());
    }
}
