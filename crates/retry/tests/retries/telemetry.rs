//! The metrics and the wide event: names, labels and values are API.

use std::io::ErrorKind;

use bartizan_core::{Fact, RequestContext};
use bartizan_retry::{Backoff, RetryLayer};
use bytes::Bytes;
use http::Request;
use http_body::Body;

use crate::support::{Upstream, fail, get, post, status};

fn quick() -> RetryLayer {
    RetryLayer::new().with_backoff(Backoff::none())
}

#[cfg(feature = "metrics")]
mod counted {
    use std::{collections::BTreeMap, sync::Arc};

    use bartizan_core::{Clock, ManualClock, Reason, Rejection};
    use bartizan_retry::Budget;
    use bartizan_testkit::TestBody;
    use http::HeaderValue;
    use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};

    use super::*;
    use crate::support::{Answer, Frames, SECOND, call, grpc, status_with};

    fn counted() -> (RetryLayer, Snapshotter) {
        let recorder = Arc::new(DebuggingRecorder::new());
        let snapshotter = recorder.snapshotter();
        (quick().with_name("supplier").unwrap().with_recorder(recorder), snapshotter)
    }

    /// Every series as `name{label=value,…}` with its value, since the last time.
    fn series(snapshotter: &Snapshotter) -> BTreeMap<String, u64> {
        snapshotter
            .snapshot()
            .into_vec()
            .into_iter()
            .filter_map(|(key, _, _, value)| {
                let labels: Vec<_> =
                    key.key().labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
                let DebugValue::Counter(value) = value else { panic!("there are only counters") };
                let name = key.key().name().strip_prefix("bartizan_retry_").unwrap().to_owned();
                (value > 0).then_some((format!("{name}{{{}}}", labels.join(",")), value))
            })
            .collect()
    }

    fn expected<const N: usize>(pairs: [(&str, u64); N]) -> BTreeMap<String, u64> {
        pairs.map(|(name, value)| (name.to_owned(), value)).into()
    }

    #[tokio::test(start_paused = true)]
    async fn obs_09_attempts_are_counted_by_reason() {
        let (layer, snapshotter) = counted();
        let answers = [
            status(503),
            fail(ErrorKind::ConnectionRefused),
            status(200),
            fail(ErrorKind::ConnectionReset),
            status(421),
            status(200),
            status(425),
        ];
        let upstream = Upstream::new(answers);
        for _ in 0..3 {
            upstream.send(&layer, get()).await.unwrap();
        }
        Upstream::new([grpc("14", &[])]).send(&layer, call()).await.unwrap();
        let timeout = layer.with_attempt_timeout(SECOND).unwrap();
        Upstream::new([Answer::Never]).send(&timeout, get()).await.unwrap();
        let seen = series(&snapshotter);
        assert_eq!(
            seen,
            expected([
                ("attempts_total{name=supplier,reason=first}", 5),
                ("attempts_total{name=supplier,reason=status}", 1),
                ("attempts_total{name=supplier,reason=connect}", 1),
                ("attempts_total{name=supplier,reason=transport}", 1),
                ("attempts_total{name=supplier,reason=misdirected}", 1),
                ("attempts_total{name=supplier,reason=too_early}", 1),
                ("attempts_total{name=supplier,reason=grpc_status}", 1),
                ("attempts_total{name=supplier,reason=timeout}", 1),
            ])
        );
    }

    #[tokio::test(start_paused = true)]
    async fn obs_09_what_is_not_retried_is_counted_by_why_not() {
        let (layer, snapshotter) = counted();
        let first = |more: &[(&str, u64)]| {
            let mut series = expected([("attempts_total{name=supplier,reason=first}", 1)]);
            series.extend(more.iter().map(|(name, value)| ((*name).to_owned(), *value)));
            series
        };
        let skipped = |reason: &str| format!("skipped_total{{name=supplier,reason={reason}}}");

        Upstream::new([status(503)]).send(&layer, post("order")).await.unwrap();
        assert_eq!(series(&snapshotter), first(&[(&skipped("not_idempotent"), 1)]));

        Upstream::new([status_with(503, &[("retry-after", "60")])]).send(&layer, get()).await.unwrap();
        assert_eq!(series(&snapshotter), first(&[(&skipped("retry_after"), 1)]));

        let one = layer.clone().with_max_attempts(1).unwrap();
        Upstream::new([status(503)]).send(&one, get()).await.unwrap();
        assert_eq!(series(&snapshotter), first(&[(&skipped("attempts"), 1)]));

        let none = layer.clone().with_budget(Budget::ratio(0.001, 0, SECOND).unwrap());
        Upstream::new([status(503)]).send(&none, get()).await.unwrap();
        assert_eq!(
            series(&snapshotter),
            first(&[(&skipped("budget"), 1), ("budget_exhausted_total{name=supplier}", 1)])
        );

        let hasty = layer.clone().with_total_timeout(SECOND).unwrap();
        Upstream::new([Answer::Never]).send(&hasty, get()).await.unwrap();
        assert_eq!(series(&snapshotter), first(&[(&skipped("deadline"), 1)]));

        Upstream::new([grpc("14", &[("grpc-retry-pushback-ms", "-1")])]).send(&layer, call()).await.unwrap();
        assert_eq!(series(&snapshotter), first(&[(&skipped("pushback"), 1)]));

        let mut request = call();
        request.headers_mut().insert("grpc-previous-rpc-attempts", HeaderValue::from_static("1"));
        Upstream::new([grpc("14", &[])]).send(&layer, request).await.unwrap();
        assert_eq!(series(&snapshotter), first(&[(&skipped("already_retry"), 1)]));

        let small = layer.clone().with_replay_cap(3);
        let request = Request::put("/").body(Frames::new([http_body::Frame::data("long".into())])).unwrap();
        Upstream::new([status(503)]).send(&small, request).await.unwrap();
        assert_eq!(series(&snapshotter), first(&[(&skipped("body_too_large"), 1)]));

        let open = Rejection::new(Reason::CircuitOpen).answer::<_, TestBody>(&get()).map(TestBody::new);
        Upstream::new([Answer::Respond(open)]).send(&layer, get()).await.unwrap();
        assert_eq!(series(&snapshotter), first(&[(&skipped("local_rejection"), 1)]));
    }

    #[tokio::test(start_paused = true)]
    async fn obs_09_an_attempt_that_is_not_begun_is_none() {
        let (layer, snapshotter) = counted();
        let clock = ManualClock::new();
        let layer = layer
            .with_clock(Clock::from(clock.clone()))
            .with_backoff(Backoff::equal_jitter(SECOND / 2, SECOND / 2).unwrap())
            .with_total_timeout(2 * SECOND)
            .unwrap();
        let upstream = Upstream::new([status(503)]);
        // As of a machine that is too busy to wake who waits.
        let late = async {
            tokio::time::sleep(SECOND / 10).await;
            clock.advance(3 * SECOND);
        };
        let mut request = get();
        let context = RequestContext::of(&mut request);
        context.event().enable();
        let (answer, ()) = tokio::join!(upstream.send(&layer, request), late);
        assert_eq!((answer.unwrap().status().as_u16(), upstream.called()), (504, 1));
        assert_eq!(
            series(&snapshotter),
            expected([
                ("attempts_total{name=supplier,reason=first}", 1),
                ("skipped_total{name=supplier,reason=deadline}", 1),
            ])
        );
        assert_eq!(
            context.event().read(<[_]>::to_vec),
            [("retry.skipped", Fact::from("deadline")), ("retry.attempts", Fact::from(1_u32))]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn obs_09_callers_make_no_series() {
        let (layer, snapshotter) = counted();
        Upstream::new([]).send(&layer, get()).await.unwrap();
        let before = snapshotter.snapshot().into_vec().len();
        for number in 0..1_000 {
            let request = Request::builder().method(&*format!("M{number}")).uri(format!("/{number}"));
            let body = http_body_util::Full::<Bytes>::default();
            Upstream::new([status(503)]).send(&layer, request.body(body).unwrap()).await.unwrap();
        }
        assert_eq!(snapshotter.snapshot().into_vec().len(), before);
    }
}

async fn facts<B>(upstream: Upstream, mut request: Request<B>) -> Vec<(&'static str, Fact)>
where
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
{
    let context = RequestContext::of(&mut request);
    context.event().enable();
    let _ = upstream.send(&quick(), request).await;
    context.event().read(<[_]>::to_vec)
}

#[tokio::test(start_paused = true)]
async fn the_wide_event_tells_of_attempts_reasons_and_what_was_not_retried() {
    assert_eq!(facts(Upstream::new([]), get()).await, []);
    assert_eq!(
        facts(Upstream::new([status(503), fail(ErrorKind::ConnectionReset)]), get()).await,
        [("retry.attempts", Fact::from(3_u32)), ("retry.reason", Fact::from("transport"))]
    );
    assert_eq!(
        facts(Upstream::new([status(503)]), post("order")).await,
        [("retry.skipped", Fact::from("not_idempotent")), ("retry.attempts", Fact::from(1_u32))]
    );
    let failed = facts(Upstream::always(|| fail(ErrorKind::ConnectionReset)), get()).await;
    assert_eq!(
        failed,
        [
            ("retry.skipped", Fact::from("attempts")),
            ("retry.attempts", Fact::from(3_u32)),
            ("retry.reason", Fact::from("transport"))
        ],
        "an error has no extensions: here it can be read"
    );
}
