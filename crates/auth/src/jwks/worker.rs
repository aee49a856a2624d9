//! The task that fetches keys.

use std::{future::poll_fn, pin::pin, sync::Arc, task::Poll};

use tokio::{sync::OwnedSemaphorePermit, time::timeout};

use super::{remote::Shared, schedule::Next};

/// Fetches keys until the last handle is gone; waits for its turn while another task does.
pub(super) async fn run(shared: Arc<Shared>) {
    if let Ok(turn) = Arc::clone(&shared.worker).acquire_owned().await {
        work(shared, turn).await;
    }
}

/// The same by the one whose turn it is.
pub(super) async fn work(shared: Arc<Shared>, _turn: OwnedSemaphorePermit) {
    let shared = &*shared;
    let mut discovered = None;
    while !shared.worker.is_closed() {
        match shared.next() {
            Next::GiveUp => {}
            Next::Wait(time) => drop(timeout(time, shared.wake.notified()).await),
            Next::Fetch => {
                // However this ends, those who wait are told.
                let _flight = Flight(shared);
                let now = shared.settings.clock.now();
                let attempt = shared.settings.fetcher.attempt(&mut discovered, now);
                let Some(outcome) = unless_closed(shared, attempt).await else { return };
                shared.land(outcome);
            }
        }
    }
}

struct Flight<'a>(&'a Shared);

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.0.landed();
    }
}

/// What `future` gives, unless the last handle goes before.
async fn unless_closed<F: Future>(shared: &Shared, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    loop {
        let mut woken = pin!(shared.wake.notified());
        let outcome = poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
            Poll::Pending => woken.as_mut().poll(cx).map(|()| None),
        })
        .await;
        if outcome.is_some() || shared.worker.is_closed() {
            return outcome;
        }
    }
}
