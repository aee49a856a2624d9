//! RT-07: a budget bounds what an upstream that is down has to bear.

use std::{
    io::{self, ErrorKind},
    task::{Context, Poll},
};

use bartizan_core::{Reason, Rejection};
use bartizan_retry::{Backoff, Budget, HedgeLayer, ReplayBody, RetryBody, RetryLayer};
use bartizan_testkit::TestBody;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tokio::time::timeout;
use tower::{Layer, Service, ServiceExt};

use crate::support::{Answer, SECOND, Upstream, fail, get, status, status_with};

fn quick() -> RetryLayer {
    RetryLayer::new().with_backoff(Backoff::none())
}

async fn send_many(upstream: &Upstream, layer: &RetryLayer, calls: usize) {
    for _ in 0..calls {
        let _ = upstream.send(layer, get()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn rt_07_an_upstream_that_is_down_gets_a_fifth_more_and_the_floor() {
    for answer in [|| fail(ErrorKind::ConnectionRefused), || status(503)] {
        let upstream = Upstream::always(answer);
        send_many(&upstream, &quick(), 1_000).await;
        assert_eq!(upstream.called(), 1_000 + 200 + 100, "1.2 times, and ten per second of ten seconds");
    }
}

#[tokio::test(start_paused = true)]
async fn rt_07_calls_at_the_same_time_share_it() {
    let (layer, upstream) = (RetryLayer::new(), Upstream::always(|| status(503)));
    let calls: Vec<_> = (0..1_000)
        .map(|_| {
            let (layer, upstream) = (layer.clone(), upstream.clone());
            tokio::spawn(async move { upstream.send(&layer, get()).await.unwrap() })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap().status(), 503);
    }
    let called = upstream.called();
    assert!(called <= 1_300, "{called}");
    assert!(called > 1_150, "and what there is, is used: {called}");
}

#[tokio::test(start_paused = true)]
async fn rt_07_a_handle_is_one_budget_for_all_layers_that_have_it() {
    let budget = Budget::ratio(0.2, 1, 10 * SECOND).unwrap();
    let (one, other) = (quick().with_budget(budget.clone()), quick().with_budget(budget));
    let upstream = Upstream::always(|| status(503));
    send_many(&upstream, &one, 50).await;
    let after_one = upstream.called();
    assert_eq!(after_one, 50 + 10 + 10);
    send_many(&upstream, &other, 50).await;
    assert_eq!(upstream.called() - after_one, 50 + 10, "the floor is gone already");
    let own = Upstream::always(|| status(503));
    send_many(&own, &quick(), 10).await;
    assert_eq!(own.called(), 30, "another layer has its own");
}

#[tokio::test(start_paused = true)]
async fn rt_07_the_throttle_stops_at_half_and_recovers_by_successes() {
    let layer = quick().with_budget(Budget::grpc_throttle(10, 0.5).unwrap());
    let upstream = Upstream::always(|| status(503));
    send_many(&upstream, &layer, 10).await;
    // 9 and 8 tokens: two retries; then 7, 6 and 5.
    assert_eq!(upstream.called(), 3 + 2 + 8);
    let healthy = Upstream::new([]);
    send_many(&healthy, &layer, 30).await;
    let upstream = Upstream::always(|| status(503));
    send_many(&upstream, &layer, 1).await;
    assert_eq!(upstream.called(), 3);
}

#[tokio::test(start_paused = true)]
async fn rt_07_a_bucket_of_costs_pays_more_for_timeouts_and_gets_back_what_succeeds() {
    let layer = || quick().with_budget(Budget::cost(50).unwrap());
    let upstream = Upstream::always(|| status(503));
    send_many(&upstream, &layer(), 20).await;
    assert_eq!(upstream.called(), 20 + 10, "five each");
    let upstream = Upstream::always(|| Answer::Never);
    send_many(&upstream, &layer().with_attempt_timeout(SECOND).unwrap(), 20).await;
    assert_eq!(upstream.called(), 20 + 5, "ten each");
    let flaky = Upstream::new((0..100).map(|number| status(if number % 2 == 0 { 503 } else { 200 })));
    send_many(&flaky, &layer(), 50).await;
    assert_eq!(flaky.called(), 100, "each is given back");
}

#[tokio::test(start_paused = true)]
async fn rt_07_without_a_budget_all_attempts_are_made() {
    let layer = quick().with_budget(Budget::unlimited());
    let upstream = Upstream::always(|| status(503));
    send_many(&upstream, &layer, 200).await;
    assert_eq!(upstream.called(), 600);
}

/// An upstream that is ready for the first attempt of a call, and then as it is told.
struct Unready {
    upstream: Upstream,
    then: fn() -> Poll<io::Result<()>>,
    is_further: bool,
}

impl Clone for Unready {
    fn clone(&self) -> Self {
        Self { upstream: self.upstream.clone(), is_further: true, ..*self }
    }
}

impl Service<Request<ReplayBody<Full<Bytes>>>> for Unready {
    type Response = Response<TestBody>;
    type Error = io::Error;
    type Future = <Upstream as Service<Request<ReplayBody<Full<Bytes>>>>>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_further {
            return (self.then)();
        }
        Service::<Request<ReplayBody<Full<Bytes>>>>::poll_ready(&mut self.upstream, cx)
    }

    fn call(&mut self, request: Request<ReplayBody<Full<Bytes>>>) -> Self::Future {
        self.upstream.call(request)
    }
}

/// A call whose second attempt or copy is paid for and not sent.
async fn call_in_vain<L>(layer: &L, answer: fn() -> Answer, then: fn() -> Poll<io::Result<()>>)
where
    L: Layer<Unready>,
    L::Service: Service<Request<Full<Bytes>>, Response = Response<RetryBody<TestBody>>, Error = io::Error>,
{
    let upstream = Upstream::always(answer);
    let service = layer.layer(Unready { upstream: upstream.clone(), then, is_further: false });
    // Who leaves after two seconds.
    let _ = timeout(2 * SECOND, service.oneshot(get())).await;
    assert_eq!(upstream.called(), 1);
}

fn refused() -> Answer {
    let rejection = Rejection::new(Reason::CircuitOpen);
    Answer::Respond(rejection.answer::<_, TestBody>(&get()).map(TestBody::new))
}

/// Budgets that cover one retry after ten calls, or two: of ten calls the tenth part, and of ten tokens five each.
fn small() -> [Budget; 2] {
    [Budget::ratio(0.1, 0, 100 * SECOND).unwrap(), Budget::cost(10).unwrap()]
}

/// That `budget` still has a retry.
#[track_caller]
fn assert_covers_one(called: usize, how: &str) {
    assert_eq!(called, 2, "what was not sent is paid for no more: {how}");
}

#[tokio::test(start_paused = true)]
async fn rt_07_a_retry_that_is_not_sent_gives_back_what_it_took() {
    for budget in small() {
        let layer = quick().with_budget(budget).with_max_attempts(2).unwrap();
        send_many(&Upstream::new([]), &layer, 10).await;
        let ends_first = layer.clone().with_total_timeout(SECOND).unwrap();
        for _ in 0..5 {
            call_in_vain(&layer, || status(503), || Poll::Pending).await;
            call_in_vain(&layer, || status_with(503, &[("retry-after", "5")]), || Poll::Pending).await;
            call_in_vain(&layer, || status(503), || Poll::Ready(Err(ErrorKind::BrokenPipe.into()))).await;
            call_in_vain(&ends_first, || status(503), || Poll::Pending).await;
        }
        let down = Upstream::always(|| status(503));
        // Twenty calls more, of which a tenth part are two.
        send_many(&down, &layer, 1).await;
        assert_covers_one(down.called(), "retry");
    }
}

#[tokio::test(start_paused = true)]
async fn rt_07_a_copy_that_is_not_sent_gives_back_what_it_took() {
    for budget in small() {
        let layer = HedgeLayer::after(SECOND).unwrap().with_budget(budget);
        for _ in 0..10 {
            Upstream::new([]).send(&layer, get()).await.unwrap();
        }
        for _ in 0..5 {
            call_in_vain(&layer, || status(200).after(3 * SECOND), || Poll::Pending).await;
            call_in_vain(
                &layer,
                || status(200).after(3 * SECOND),
                || Poll::Ready(Err(ErrorKind::BrokenPipe.into())),
            )
            .await;
        }
        let slow = Upstream::always(|| status(200).after(3 * SECOND));
        slow.send(&layer, get()).await.unwrap();
        assert_covers_one(slow.called(), "hedge");
    }
}

#[tokio::test(start_paused = true)]
async fn rt_14_a_retry_that_our_own_side_refuses_gives_back_what_it_took() {
    for budget in small() {
        let layer = quick().with_budget(budget.clone()).with_max_attempts(2).unwrap();
        let hedge = HedgeLayer::after(SECOND).unwrap().with_budget(budget);
        send_many(&Upstream::new([]), &layer, 10).await;
        for _ in 0..5 {
            let opened = Upstream::new([status(503), refused()]);
            send_many(&opened, &layer, 1).await;
            let opened = Upstream::new([status(200).after(3 * SECOND), refused()]);
            opened.send(&hedge, get()).await.unwrap();
            assert_eq!(opened.called(), 2);
        }
        let down = Upstream::always(|| status(503));
        send_many(&down, &layer, 1).await;
        assert_covers_one(down.called(), "refused");
    }
}

#[tokio::test(start_paused = true)]
async fn rt_14_a_refusal_of_our_own_side_counts_in_no_budget() {
    let layer = quick().with_budget(Budget::ratio(0.5, 0, 10 * SECOND).unwrap());
    let (open, down) = (Upstream::always(refused), Upstream::always(|| status(503)));
    send_many(&open, &layer, 100).await;
    send_many(&down, &layer, 1).await;
    assert_eq!((open.called(), down.called()), (100, 1), "a hundred refusals earn no retry");

    let layer = quick().with_budget(Budget::grpc_throttle(10, 0.1).unwrap());
    send_many(&open, &layer, 100).await;
    send_many(&down, &layer, 1).await;
    assert_eq!(down.called(), 1 + 3, "nor do they take a token");
}

#[tokio::test(start_paused = true)]
async fn rt_07_what_a_refused_copy_took_is_given_back_once() {
    // Large, so that what is given back too much is not cut off at its top.
    let budget = Budget::cost(1000).unwrap();
    let retry = quick().with_budget(budget.clone()).with_max_attempts(2).unwrap();
    let retries_left = async || {
        let down = Upstream::always(|| status(503));
        send_many(&down, &retry, 300).await;
        down.called() - 300
    };
    assert_eq!(retries_left().await, 200);
    send_many(&Upstream::new([]), &retry, 20).await;

    let hedge = HedgeLayer::after(SECOND).unwrap().with_budget(budget);
    for _ in 0..20 {
        let upstream = Upstream::new([status(200).after(3 * SECOND), refused()]);
        upstream.send(&hedge, get()).await.unwrap();
        assert_eq!(upstream.called(), 2);
    }
    assert_eq!(retries_left().await, 8, "of one token for each of forty successes");
}
