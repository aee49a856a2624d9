//! Many tasks on many threads.

use std::{
    convert::Infallible,
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::Poll,
    time::Duration,
};

use bartizan_bulkhead::{AdaptiveConcurrencyLayer, BulkheadKey, BulkheadLayer, Key, KeyFn, Limit, Priority};
use bartizan_core::RequestHead;
use http::{Request, Response};
use http_body_util::BodyExt;
use tokio::task::{JoinSet, yield_now};
use tower::{Layer, ServiceExt, service_fn};

const TASKS: usize = 64;
const REQUESTS: usize = 200;

/// Sends many requests through `layer`, of which some are given up; how many were answered, and the most that were
/// under way at once for one key.
async fn storm<K: BulkheadKey, L: Limit>(layer: BulkheadLayer<K, L>, keys: usize) -> (usize, usize) {
    let now: Arc<Vec<AtomicUsize>> = Arc::new((0..keys).map(|_| AtomicUsize::new(0)).collect());
    let most = Arc::new(AtomicUsize::new(0));
    let service = {
        let (now, most) = (Arc::clone(&now), Arc::clone(&most));
        layer.layer(service_fn(move |request: Request<String>| {
            let key: usize = request.uri().path()[1..].parse().unwrap();
            let (now, most) = (Arc::clone(&now), Arc::clone(&most));
            async move {
                struct Out(Arc<Vec<AtomicUsize>>, usize);
                impl Drop for Out {
                    fn drop(&mut self) {
                        self.0[self.1].fetch_sub(1, SeqCst);
                    }
                }
                most.fetch_max(now[key].fetch_add(1, SeqCst) + 1, SeqCst);
                let _out = Out(now, key);
                for _ in 0..3 {
                    yield_now().await;
                }
                Ok::<_, Infallible>(Response::new(String::from("ok")))
            }
        }))
    };
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let service = service.clone();
        tasks.spawn(async move {
            let mut answered = 0;
            for index in 0..REQUESTS {
                let request =
                    Request::get(format!("/{}", (task + index) % keys)).body(String::new()).unwrap();
                let mut call = Box::pin(service.clone().oneshot(request));
                if (task + index) % 5 == 0 {
                    // Given up at some await point or other.
                    for _ in 0..index % 7 {
                        if is_ready(&mut call).await {
                            break;
                        }
                        yield_now().await;
                    }
                    continue;
                }
                let response = call.await.unwrap();
                answered += usize::from(response.status() == 200);
                response.into_body().collect().await.unwrap();
            }
            answered
        });
    }
    let mut answered = 0;
    while let Some(count) = tasks.join_next().await {
        answered += count.unwrap();
    }
    let handle = layer.handle();
    assert_eq!((handle.in_flight(), handle.queued()), (0, 0), "nothing is kept");
    (answered, most.load(SeqCst))
}

/// Polls once.
async fn is_ready<F: Future + Unpin>(future: &mut F) -> bool {
    poll_fn(|cx| Poll::Ready(Pin::new(&mut *future).poll(cx).is_ready())).await
}

const WHOLE: usize = TASKS * REQUESTS / 5 * 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn lay_01_no_place_and_no_wake_is_lost_among_many_tasks() {
    // A lost wake would be a request that waits for an hour.
    let layer = BulkheadLayer::new(5).unwrap().with_queue(TASKS, Duration::from_secs(3_600)).unwrap();
    let (answered, most) = storm(layer, 1).await;
    assert_eq!(answered, WHOLE, "there is room in the queue for all");
    assert!((1..=5).contains(&most), "{most}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn lay_01_nor_among_many_keys_and_priorities() {
    let by_path = |head: &RequestHead<'_>| match head.uri().path().len() % 2 {
        0 => Priority::High,
        _ => Priority::Low,
    };
    let key = KeyFn::new(|head| Some(Key::from(head.uri().path().to_owned())));
    let layer = BulkheadLayer::new(2)
        .unwrap()
        .by(key)
        .with_max_keys(256)
        .unwrap()
        .with_priority(by_path)
        .with_queue(TASKS, Duration::from_secs(3_600))
        .unwrap();
    let (answered, most) = storm(layer, 12).await;
    assert_eq!(answered, WHOLE);
    assert!((1..=2).contains(&most), "{most}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn lay_01_nor_while_the_limit_moves() {
    let layer = AdaptiveConcurrencyLayer::between(2, 30)
        .unwrap()
        .with_queue(TASKS, Duration::from_secs(3_600))
        .unwrap();
    let (answered, most) = storm(layer, 1).await;
    assert_eq!(answered, WHOLE);
    assert!((1..=30).contains(&most), "{most}");
}
