//! Whether two threads do more than one.

use std::{
    sync::{Arc, Barrier},
    thread,
    time::{Duration, Instant},
};

use http::StatusCode;
use tower_layer::Layer as _;

use crate::{
    Arm, Bare, Body, Prepared,
    prepared::BATCH,
    rows::{jwt, rate_limit},
};

/// What threads that share one layer do at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Together {
    /// Each sends the same token, seen before: the worst case, for all look at one entry of the cache.
    OneToken,
    /// Each is a client with an address of its own, whose limit it is far from.
    ManyAddresses,
}

impl Together {
    /// For people to read.
    pub fn name(self) -> &'static str {
        match self {
            Self::OneToken => "JWT, token seen before",
            Self::ManyAddresses => "rate limit by address, a client for each thread",
        }
    }

    /// What makes the stack of each thread, by the number of the thread.
    fn stacks(self, arm: Arm) -> Arc<dyn Fn(u8) -> Prepared + Send + Sync> {
        match self {
            Self::OneToken => {
                let issuer = jwt::Issuer::new();
                let layer = jwt::layer(issuer.keys());
                Arc::new(move |_| {
                    let layer = layer.clone();
                    arm.prepare(issuer.request(), StatusCode::OK, move |bare: Bare<Body>| layer.layer(bare))
                })
            }
            Self::ManyAddresses => {
                let layer = rate_limit::layer();
                Arc::new(move |thread| {
                    let layer = layer.clone();
                    arm.prepare(rate_limit::client(thread), StatusCode::OK, move |bare: Bare<Body>| {
                        layer.layer(bare)
                    })
                })
            }
        }
    }
}

/// How many requests all of these threads together send through one layer in a second.
///
/// # Panics
///
/// When a thread does.
pub fn requests_per_second(together: Together, arm: Arm, threads: u8, batches: usize) -> f64 {
    let (stacks, barrier) = (together.stacks(arm), Arc::new(Barrier::new(threads.into())));
    let workers: Vec<_> = (0..threads)
        .map(|thread| {
            let (stacks, barrier) = (Arc::clone(&stacks), Arc::clone(&barrier));
            thread::spawn(move || {
                let mut prepared = stacks(thread).warm();
                barrier.wait();
                time_of(|| (0..batches).for_each(|_| prepared.run()))
            })
        })
        .collect();
    let times = workers.into_iter().map(|worker| worker.join().expect("no worker panics"));
    times.map(|time| (batches * BATCH) as f64 / time.as_secs_f64()).sum()
}

#[expect(clippy::disallowed_methods, reason = "this measures time")]
fn time_of(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}
